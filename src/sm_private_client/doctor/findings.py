"""Findings, paths of hops, and the report that has both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sm_private_client.doctor.views import fragment, report_lines

__all__ = ["HOPS", "Finding", "Hop", "HopName", "HopState", "Path", "Report", "Status"]

Status = Literal["ok", "warning", "failure", "unknown"]
HopName = Literal[
    "you", "dns", "network-interface", "tls", "signature", "endpoint-policy", "service"
]
HopState = Literal["ok", "broken", "unknown", "not-reached"]

HOPS: tuple[HopName, ...] = get_args(HopName)
"""A call's way, in its order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: Which check, in kebab case; an anchor of docs/doctor.md.
        status: ``unknown`` if it could not be looked at, for a missing permission for example.
        subject: What it is about: a service, an id, a variable.
        seen: What was seen, as a sentence.
        cause: The likely cause; ``None`` if nothing is wrong.
        remedy: Commands or settings that mend it, the best first.
        service_name: boto3's name of the service, ``None`` if it is about all of them.
        hop: The hop of the path it is about, ``None`` if it is beside the path.
        follows_from: The ``check`` of the finding that this one is only a consequence of.
    """

    check: str
    status: Status
    subject: str
    seen: str
    cause: str | None = None
    remedy: tuple[str, ...] = ()
    service_name: str | None = None
    hop: HopName | None = None
    follows_from: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hop:
    """One hop of a path.

    Attributes:
        name: Which one.
        label: What is there, for people: ``eni-0a1b… 10.0.1.10 (us-east-1a)``.
        state: ``not-reached`` behind a broken one.
    """

    name: HopName
    label: str
    state: HopState


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """The way of one service's calls.

    Attributes:
        service_name: boto3's name of the service.
        hops: In the order of ``HOPS``.
    """

    service_name: str
    hops: tuple[Hop, ...]

    @property
    def line(self) -> str:
        """The path on one line; a broken hop is marked with ``✗``, an unknown one with ``?``."""
        marks = {"ok": "", "broken": "✗ ", "unknown": "? ", "not-reached": "· "}
        return " → ".join(f"{marks[hop.state]}{hop.label}" for hop in self.hops)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What the doctor found, as text (``str()``), JSON, or HTML in a notebook.

    Attributes:
        region: The region that was looked at.
        findings: The root cause first, then what else is wrong, what is unknown, what is ok.
        paths: One for each service.
        created: ISO 8601, UTC.
        seconds: How long it took.
    """

    region: str
    findings: tuple[Finding, ...]
    paths: tuple[Path, ...]
    created: str
    seconds: float

    @property
    def root_cause(self) -> Finding | None:
        """The failure that the others follow from; ``None`` if there is no failure."""
        first = self.findings[0] if self.findings else None
        return first if first is not None and first.status == "failure" else None

    @property
    def is_healthy(self) -> bool:
        """True if nothing is broken and everything on the paths could be looked at."""
        return self.exit_status == 0

    @property
    def exit_status(self) -> int:
        """0 healthy, 1 broken, 2 could not tell: a hop of a path is unknown, and none broken."""
        if any(finding.status == "failure" for finding in self.findings):
            return 1
        undecided = any(hop.state == "unknown" for path in self.paths for hop in path.hops)
        return 2 if undecided else 0

    def __str__(self) -> str:
        return "\n".join(report_lines(self))

    def _repr_html_(self) -> str:
        return fragment(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return {"healthy": self.is_healthy, "exit_status": self.exit_status, **asdict(self)}
