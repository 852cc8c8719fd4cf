"""diagnose: gather the facts, check them, put the root cause first."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from sm_private_client.doctor.checks.table import check_all
from sm_private_client.doctor.gathering import gather
from sm_private_client.doctor.ranking import paths, ranked
from sm_private_client.doctor.report import Report
from sm_private_client.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["diagnose"]


def diagnose(
    session: Session | None = None,
    services: Sequence[str] = ("sagemaker", "sagemaker-runtime"),
    *,
    deep: bool = False,
) -> Report:
    """Finds out what is wrong between here and SageMaker, in at most fifteen seconds.

    It reads, and changes nothing: settings, DNS, EC2, connections, and one harmless signed call
    for each service.

    Args:
        session: Whose settings, credentials and network count; a new ``Session`` by default.
        services: boto3's names of the services to look at.
        deep: Also every sibling, and the network interfaces of every VPC endpoint of the services.

    Raises:
        ConfigurationError: A service is not one of the SageMaker family.
    """
    started = time.monotonic()
    created = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    facts = gather(session if session is not None else Session(), services, deep=deep)
    findings = ranked(check_all(facts))
    return Report(
        region=facts.region,
        findings=findings,
        paths=paths(facts, findings),
        created=created,
        seconds=time.monotonic() - started,
    )
