"""What a check is: a row of the table, with its words and its pure function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sm_private_client.doctor.facts import Facts, ServiceFacts
from sm_private_client.doctor.findings import Finding, HopName, Status

if TYPE_CHECKING:
    from sm_private_client.doctor.observations import Unknown

__all__ = ["Check", "CheckResult", "failure", "failure_or_warning", "ok", "unknown", "warning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What a check's function says about one subject.

    Attributes:
        status: The status.
        subject: What it is about: a service, an id, a variable.
        seen: What was seen, as a sentence.
        values: What stands for the braces in the check's words.
        permission: The missing IAM permission of an ``unknown`` one.
        hop: A hop other than the check's own.
    """

    status: Status
    subject: str
    seen: str
    values: Mapping[str, str] = field(default_factory=dict)
    permission: str | None = None
    hop: HopName | None = None


def ok(subject: str, seen: str) -> CheckResult:
    """Says that a subject is well."""
    return CheckResult(status="ok", subject=subject, seen=seen)


def failure(subject: str, seen: str, /, **values: str) -> CheckResult:
    """Says that a subject breaks the way."""
    return CheckResult(status="failure", subject=subject, seen=seen, values=values)


def warning(subject: str, seen: str, /, **values: str) -> CheckResult:
    """Says that a subject is wrong without breaking the way."""
    return CheckResult(status="warning", subject=subject, seen=seen, values=values)


def failure_or_warning(
    service: ServiceFacts, subject: str, seen: str, /, **values: str
) -> CheckResult:
    """Says that a subject is wrong: a failure where the service's way is broken, else a warning."""
    return (warning if service.works else failure)(subject, seen, **values)


def unknown(subject: str, why: Unknown) -> CheckResult:
    """Says that a subject could not be looked at."""
    return CheckResult(
        status="unknown",
        subject=subject,
        seen=f"could not be looked at: {why.reason}",
        permission=why.permission,
    )


OfSession = Callable[[Facts], Iterable[CheckResult]]
OfService = Callable[[Facts, ServiceFacts], Iterable[CheckResult]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: In kebab case; an anchor of docs/doctor.md.
        looks_at: What it looks at, for the documentation.
        meaning: What it means where something is wrong; braces take a verdict's values.
        remedies: Commands or settings that mend it; braces take a verdict's values.
        hop: The hop of the path it is about; ``None`` where it is beside the path.
        session: Its function, where it is about the session as a whole.
        service: Its function, where it is about each service.
        explained_by: The checks whose failure this one's failure is merely a consequence of.
    """

    name: str
    looks_at: str
    meaning: str
    remedies: tuple[str, ...]
    hop: HopName | None = None
    session: OfSession | None = None
    service: OfService | None = None
    explained_by: tuple[str, ...] = ()

    def findings(self, facts: Facts) -> Iterable[Finding]:
        """Runs the check on facts."""
        if self.session is not None:
            for verdict in self.session(facts):
                yield self._finding(verdict, None)
        if self.service is not None:
            for service in facts.services:
                for verdict in self.service(facts, service):
                    yield self._finding(verdict, service.service_name)

    def _finding(self, verdict: CheckResult, service_name: str | None) -> Finding:
        wrong = verdict.status in ("failure", "warning")
        remedies = tuple(text.format(**verdict.values) for text in self.remedies) if wrong else ()
        if verdict.permission is not None:
            remedies = (f"allow {verdict.permission} for this identity, and run the doctor again",)
        return Finding(
            check=self.name,
            status=verdict.status,
            subject=verdict.subject,
            seen=verdict.seen,
            cause=self.meaning.format(**verdict.values) if wrong else None,
            remedy=remedies,
            service_name=service_name,
            hop=verdict.hop or self.hop,
        )
