"""EgressLog: counts of what the clients of a session reached and were refused.

Only the service, the host and the address of a call are kept: no payload, no path, no query.
Counting is one atomic step and takes no lock, so threads do not wait for each other and a fork
cannot leave a lock held.
"""

from __future__ import annotations

import html
import itertools
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from sm_private_client.privatelink.addresses import AddressVerdict

__all__ = ["Counters", "Egress", "EgressLog", "EgressRecord"]

NO_PRIVATE_ROUTE: Final = "no-private-route"
"""The rule of a refusal before any address was known."""


class Counters:
    """Counts of one way; safe between threads and over forks: ``itertools.count`` is atomic."""

    __slots__ = ("_calls", "_connections", "_refusals")

    def __init__(self) -> None:
        self._connections = itertools.count()
        self._calls = itertools.count()
        self._refusals = itertools.count()

    def connected(self) -> None:
        """Count a connection."""
        next(self._connections)

    def called(self) -> None:
        """Count a request that was sent."""
        next(self._calls)

    def refused(self) -> None:
        """Count a refusal."""
        next(self._refusals)

    def read(self) -> dict[str, Any]:
        """Return the numbers so far."""
        return {
            "connections": _number(self._connections),
            "calls": _number(self._calls),
            "refused": _number(self._refusals),
        }


def _number(counter: itertools.count[int]) -> int:
    return int(repr(counter).removeprefix("count(").removesuffix(")"))  # read without counting


class _Way(NamedTuple):
    """The fields of an ``EgressRecord`` that are counted apart."""

    service_name: str
    host: str
    address: str
    availability_zone: str | None
    private: bool
    rule: str


class EgressLog:
    """The counters of one session; safe between threads and over forks."""

    def __init__(self) -> None:
        self._counters: dict[_Way, Counters] = {}

    def counters(
        self,
        service_name: str,
        host: str,
        verdict: AddressVerdict,
        *,
        availability_zone: str | None,
    ) -> Counters:
        """Return the counters of one address, about which the policy gave a verdict."""
        private = verdict.private and verdict.rule != "local"
        way = _Way(service_name, host, verdict.address, availability_zone, private, verdict.rule)
        return self._counters.setdefault(way, Counters())

    def refused(self, service_name: str, host: str, *, address: str = "", rule: str) -> None:
        """Count a refusal before any connection."""
        way = _Way(service_name, host, address, None, False, rule)
        self._counters.setdefault(way, Counters()).refused()

    def read(self, *, sealed: bool) -> Egress:
        """Return what was counted so far."""
        records = [
            EgressRecord(**way._asdict(), **counters.read())
            for way, counters in self._counters.copy().items()
        ]
        records.sort(key=lambda r: (r.service_name, r.host, r.address, r.rule))
        return Egress(sealed=sealed, records=tuple(records))


_COLUMNS: Final = (
    "service",
    "host",
    "address",
    "zone",
    "private",
    "rule",
    "connections",
    "calls",
    "refused",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EgressRecord:
    """One way that calls of a session went, or were kept from going.

    Attributes:
        service_name: boto3's name of the service; ``instance metadata`` and
            ``container credentials`` for the services on link-local addresses.
        host: The host name.
        address: The address; empty if none was looked up before the refusal.
        availability_zone: Its zone; ``None`` if it is not known.
        private: Whether the address was judged private. A stand-in on this machine is not, and
            neither is an address that ``on_public_route="warn"`` let pass.
        rule: The rule that decided, as in ``AddressVerdict``: ``private-range``, ``eni``,
            ``vpc-cidr``, ``s3-gateway``, ``link-local credentials``, ``local``, ``public``,
            ``no-private-route``, …
        connections: How many connections were made to it.
        calls: How many requests were sent over them; each attempt counts.
        refused: How often it was refused before anything was sent.
    """

    service_name: str
    host: str
    address: str
    availability_zone: str | None
    private: bool
    rule: str
    connections: int
    calls: int
    refused: int


def _row(record: EgressRecord) -> tuple[str, ...]:
    return (
        record.service_name,
        record.host,
        record.address or "-",
        record.availability_zone or "-",
        "yes" if record.private else "no",
        record.rule,
        str(record.connections),
        str(record.calls),
        str(record.refused),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Egress:
    """What a session reached since it was made: a table in a terminal and a notebook.

    Attributes:
        sealed: Whether the session is sealed. If not, clients of services outside the SageMaker
            family are boto3's own, and not observed.
        records: By service, host and address.
    """

    sealed: bool
    records: tuple[EgressRecord, ...]

    @property
    def reached_public(self) -> bool:
        """Whether a connection was made to an address neither private nor on this machine."""
        return any(
            record.connections and not record.private and record.rule != "local"
            for record in self.records
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "sealed": self.sealed,
            "reached_public": self.reached_public,
            "records": [asdict(record) for record in self.records],
        }

    def as_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps(self.as_dict(), indent=2)

    def __str__(self) -> str:
        rows = [_COLUMNS, *map(_row, self.records)]
        widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, self._scope])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _row(record)) + "</tr>"
            for record in self.records
        )
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
            f"<caption>{html.escape(self._scope)}</caption></table>"
        )

    @property
    def _scope(self) -> str:
        if self.sealed:
            return "The session is sealed: this is every client of it."
        return (
            "The session is not sealed: clients of services outside the SageMaker family are not "
            "observed."
        )
