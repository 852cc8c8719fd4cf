"""A check as a row of the table: its words and its pure function."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.findings import Finding, HopName, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sm_private_client.doctor.facts import Facts, ServiceFacts, Unknown

    SessionFunction = Callable[[Facts], Iterable["CheckResult"]]
    ServiceFunction = Callable[[Facts, ServiceFacts], Iterable["CheckResult"]]

__all__ = [
    "NO_VPC_ENDPOINT",
    "Check",
    "CheckResult",
    "create_vpc_endpoint",
    "failure",
    "failure_if",
    "ok",
    "unknown",
    "warning",
]

NO_VPC_ENDPOINT: Final = (
    "custom-url-target",
    "custom-url",
    "fips",
    "named-vpc-endpoint",
    "discovery",
    "vpc-endpoint",
    "vpc-endpoint-state",
    "vpc-endpoint-vpc",
)
"""Checks that explain why no VPC endpoint is used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What a check's function says about one subject.

    Attributes:
        status: The status.
        subject: What it is about: a service, an id, a variable.
        seen: What was seen, as a sentence.
        values: The texts for the braces in the check's words.
        permission: The missing IAM permission of an ``unknown`` one.
    """

    status: Status
    subject: str
    seen: str
    values: Mapping[str, str] = field(default_factory=dict)
    permission: str | None = None


def ok(subject: str, seen: str) -> CheckResult:
    """Return that nothing is wrong."""
    return CheckResult(status="ok", subject=subject, seen=seen)


def failure(subject: str, seen: str, /, **values: str) -> CheckResult:
    """Return that calls do not come through because of this."""
    return CheckResult(status="failure", subject=subject, seen=seen, values=values)


def warning(subject: str, seen: str, /, **values: str) -> CheckResult:
    """Return that something is wrong, but calls come through."""
    return CheckResult(status="warning", subject=subject, seen=seen, values=values)


def failure_if(broken: object, subject: str, seen: str, /, **values: str) -> CheckResult:
    """Return a failure if calls do not come through because of this, else a warning."""
    return (failure if broken else warning)(subject, seen, **values)


def unknown(subject: str, why: Unknown) -> CheckResult:
    """Return that a subject could not be looked at."""
    return CheckResult(
        status="unknown",
        subject=subject,
        seen=f"could not be looked at: {why.reason}",
        permission=why.permission,
    )


def create_vpc_endpoint(service: str = "{service}", vpc: str = "{vpc}") -> str:
    """Return the command that creates a VPC endpoint of an endpoint service, as a remedy."""
    return (
        f"aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name {service} "
        f"--vpc-id {vpc} --subnet-ids <subnets> --private-dns-enabled"
    )


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check; its function is decorated with ``for_session`` or ``for_each_service``.

    Attributes:
        name: In kebab case; an anchor of docs/doctor.md.
        looks_at: What it looks at, for the documentation.
        meaning: What it means if something is wrong; braces take a result's values.
        remedies: Commands or settings that mend it; braces take a result's values.
        hop: The hop of the path it is about; ``None`` if it is beside the path.
        explained_by: The checks whose failure this one's failure is only a consequence of.
        session: Its function, if it is about the session as a whole.
        service: Its function, if it is about each service.
    """

    name: str
    looks_at: str
    meaning: str
    remedies: tuple[str, ...]
    hop: HopName | None = None
    explained_by: tuple[str, ...] = ()
    session: SessionFunction | None = None
    service: ServiceFunction | None = None

    def for_session(self, function: SessionFunction) -> Check:
        """Return the check with a function of the session as a whole."""
        return replace(self, session=function)

    def for_each_service(self, function: ServiceFunction) -> Check:
        """Return the check with a function of each service."""
        return replace(self, service=function)

    def findings(self, facts: Facts) -> Iterator[Finding]:
        """Run the check on facts."""
        if self.session is not None:
            for result in self.session(facts):
                yield self._finding(result, None)
        if self.service is not None:
            for service in facts.services:
                for result in self.service(facts, service):
                    yield self._finding(result, service.service_name)

    def _finding(self, result: CheckResult, service_name: str | None) -> Finding:
        wrong = result.status in ("failure", "warning")
        remedies = tuple(text.format(**result.values) for text in self.remedies) if wrong else ()
        if result.permission is not None:
            remedies = (f"allow {result.permission} for this identity, and run the doctor again",)
        return Finding(
            check=self.name,
            status=result.status,
            subject=result.subject,
            seen=result.seen,
            cause=self.meaning.format(**result.values) if wrong else None,
            remedy=remedies,
            service_name=service_name,
            hop=self.hop,
        )
