"""EgressLedger: what the clients of a session reached and were refused, counted as it happens.

Nothing of a call is kept but the service, the host and the address: no payload, no path, no query.
Counting takes one step a call and no lock, so that threads do not wait for each other and a fork
cannot leave one held.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sm_private_client.privatelink.addresses import Verdict
    from sm_private_client.transport.egress_records import Egress

__all__ = ["EgressLedger", "Tally"]

NO_PRIVATE_ROUTE: Final = "no-private-route"
"""The rule of a refusal that came before any address was known."""


class Tally:
    """Counts what happens on one way; safe between threads and over forks.

    ``itertools.count`` moves on in one step of the interpreter, which no thread can interrupt.
    """

    __slots__ = ("_calls", "_connections", "_refusals")

    def __init__(self) -> None:
        self._connections = itertools.count()
        self._calls = itertools.count()
        self._refusals = itertools.count()

    def connected(self) -> None:
        """Counts a connection."""
        next(self._connections)

    def called(self) -> None:
        """Counts a request that was sent."""
        next(self._calls)

    def refused(self) -> None:
        """Counts a refusal."""
        next(self._refusals)

    def read(self) -> dict[str, int]:
        """Gives the numbers so far."""
        return {
            "connections": _number(self._connections),
            "calls": _number(self._calls),
            "refused": _number(self._refusals),
        }


def _number(counter: itertools.count[int]) -> int:
    return int(repr(counter).removeprefix("count(").removesuffix(")"))  # read without counting


class EgressLedger:
    """Keeps the tallies of one session; safe between threads and over forks."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str, str | None, bool, str], Tally] = {}

    def tally(
        self, service_name: str, host: str, verdict: Verdict, *, availability_zone: str | None
    ) -> Tally:
        """Gives what counts the connections and calls to one address.

        Args:
            service_name: boto3's name of the service.
            host: The host name, without a port.
            verdict: What was decided about the address.
            availability_zone: Its zone, where that is known.
        """
        private = verdict.private and verdict.rule != "local"
        key = (service_name, host, verdict.address, availability_zone, private, verdict.rule)
        return self._tallies.setdefault(key, Tally())

    def refused(self, service_name: str, host: str, *, address: str = "", rule: str) -> None:
        """Counts a refusal that no connection came before."""
        key = (service_name, host, address, None, False, rule)
        self._tallies.setdefault(key, Tally()).refused()

    def read(self, *, sealed: bool) -> Egress:
        """Gives what happened so far."""
        # Here: every client counts, and few programs read.
        from sm_private_client.transport.egress_records import (  # noqa: PLC0415
            Egress,
            EgressRecord,
        )

        records = [
            EgressRecord(
                service_name=key[0],
                host=key[1],
                address=key[2],
                availability_zone=key[3],
                private=key[4],
                rule=key[5],
                **tally.read(),
            )
            for key, tally in self._tallies.copy().items()
        ]
        records.sort(key=lambda r: (r.service_name, r.host, r.address, r.rule))
        return Egress(sealed=sealed, records=tuple(records))
