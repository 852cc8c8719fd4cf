"""A trial of the SageMaker Python SDK, version 2 and 3, over a session of ours.

    python tests/compatibility/sagemaker_sdk.py            # both versions, some minutes
    python tests/compatibility/sagemaker_sdk.py "sagemaker<3"

Each version is installed with this checkout into a virtual environment of its own, in a temporary
directory; on Pythons that the SDK's own packages support. There an SDK session is made over
``sm_private_client.Session()`` in a simulated VPC (``LocalPrivateLink``) that has endpoints of the
API and the Runtime only, as the SDK makes clients that it may never use: Feature Store's and
Metrics'. Then it calls a model.

Exits with 1 if a version fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
VERSIONS = ("sagemaker<3", "sagemaker>=3,<4")
TRIAL = "--in-this-environment"


def _double(body: bytes, _: str) -> tuple[bytes, str]:
    return str(2 * int(body)).encode(), "text/csv"


def _answer_of_version_2(session: Any) -> bytes:
    import sagemaker  # noqa: PLC0415 - one of two versions
    from sagemaker.predictor import Predictor  # noqa: PLC0415 - as above

    over = sagemaker.Session(boto_session=session, default_bucket="bucket")
    answer: bytes = Predictor("doubles", sagemaker_session=over).predict(b"21")
    return answer


def _answer_of_version_3(session: Any) -> bytes:
    from sagemaker.core.helper.session_helper import Session  # noqa: PLC0415 - as above
    from sagemaker.core.resources import Endpoint  # noqa: PLC0415 - as above

    over = Session(boto_session=session, default_bucket="bucket")
    answered = over.sagemaker_runtime_client.invoke_endpoint(EndpointName="doubles", Body=b"21")
    by_client: bytes = answered["Body"].read()
    found = Endpoint.get(endpoint_name="doubles", session=session)
    by_resource: bytes = found.invoke(body=b"21", session=session).body.read()
    return by_client if by_client == by_resource else by_resource


def _try_here() -> int:
    """Try the version that is installed; return the exit status."""
    import importlib.metadata  # noqa: PLC0415 - of the virtual environment

    from sm_private_client.testing import LocalPrivateLink  # noqa: PLC0415 - see the module

    version = importlib.metadata.version("sagemaker")
    call = _answer_of_version_2 if version.startswith("2.") else _answer_of_version_3
    with LocalPrivateLink() as link:
        link.deploy("doubles", _double)
        try:
            answer = call(link.session())
        except Exception as error:  # noqa: BLE001 - a traceback is for --debug
            first = str(error).partition("\n")[0]
            print(f"sagemaker {version}: {type(error).__name__}: {first}")
            return 1
        received = (answer, link.model("doubles").times(b"21"), link.internet.connections)
    wanted = (b"42", 1 if version.startswith("2.") else 2, 0)
    works = received == wanted
    print(f"sagemaker {version}: {'works' if works else f'{received} instead of {wanted}'}")
    return 0 if works else 1


def _try_version(requirement: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="sagemaker-sdk-") as temporary:
        venv.create(temporary, with_pip=True)
        python = Path(temporary) / ("Scripts" if os.name == "nt" else "bin") / "python"
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([python, *install, requirement, f"{ROOT}[testing]"], check=True)  # noqa: S603 - our own words
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "SM_PRIVATE_"))},
            "HOME": temporary,
            "PYTHONWARNINGS": "ignore",
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
        }
        tried = subprocess.run([python, __file__, TRIAL], env=environment, check=False)  # noqa: S603
        return tried.returncode == 0


def main(arguments: list[str]) -> int:
    """Try what was asked for; return the exit status."""
    if arguments == [TRIAL]:
        return _try_here()
    failed = [one for one in arguments or VERSIONS if not _try_version(one)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
