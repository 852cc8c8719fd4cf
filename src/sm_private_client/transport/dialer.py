"""Dialer: resolves a host, judges every address, connects to one that it judged.

There is no second look-up between judging and connecting, so DNS cannot change under it. Our own
zone's addresses come first. An address that has not answered within a second is raced by the next
one (as RFC 8305 does), inside the one connect timeout. A zone that failed is tried last for 30 s.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sm_private_client.privatelink.addresses import refusal
from sm_private_client.routing.deadlines import SingleFlight
from sm_private_client.routing.network import failure_of
from sm_private_client.transport.egress import Counters, EgressLog

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator

    from typing_extensions import Self

    from sm_private_client.privatelink.records import Route
    from sm_private_client.routing.network import NetworkBackend, SocketOption

__all__ = ["KEEPALIVE", "Dialed", "Dialer", "ZoneHealth"]

RACE_DELAY: Final = 1.0
"""Seconds that an address has to answer before the next one is tried beside it."""

ZONE_PENALTY: Final = 30.0
"""Seconds that a zone that failed is tried last."""

_PROBES: Final = {
    "TCP_KEEPIDLE": 60,  # of silence before the first probe
    "TCP_KEEPALIVE": 60,  # macOS has this name for it
    "TCP_KEEPINTVL": 30,  # between two probes
    "TCP_KEEPCNT": 4,  # probes without an answer, after which a connection is gone
}
KEEPALIVE: Final[tuple[SocketOption, ...]] = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _PROBES.items()
        if hasattr(socket, name)
    ),
)
"""Socket options of every connection: PrivateLink drops idle connections after 350 s."""

_logger = logging.getLogger(__name__)


class ZoneHealth:
    """Remembers which zones failed lately, for all clients of a session.

    Each operation on the dictionary is atomic, so there is no lock that a fork could leave held.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, float] = {}

    def failed(self, zone: str) -> None:
        """Note that a zone, or an address of an unknown zone, did not answer."""
        self._failed[zone] = self._clock()

    def answered(self, zone: str) -> None:
        """Note that it did."""
        self._failed.pop(zone, None)

    def is_suspect(self, zone: str) -> bool:
        """Return True if it failed within the last 30 s."""
        if not self._failed:
            return False
        failed = self._failed.get(zone)
        return failed is not None and self._clock() - failed < ZONE_PENALTY


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialed:
    """A connected socket, without TLS yet, and the address that was judged."""

    sock: socket.socket
    address: str
    availability_zone: str | None
    counters: Counters = field(default_factory=Counters)


class Dialer:
    """Connects to the host of one route, or refuses; safe between threads.

    Args:
        route: Its policy judges; its addresses have zones; its own zone comes first.
        network: Resolves names and opens sockets.
        health: Shared by the dialers of a session.
        warn_only: Log a public address instead of refusing it.
        egress: Counts what was reached and refused, for all dialers of a session.
        on_refusal: Called before an address is refused: the route may be out of date.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        route: Route,
        *,
        network: NetworkBackend,
        health: ZoneHealth,
        warn_only: bool = False,
        egress: EgressLog | None = None,
        on_refusal: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.route = route
        self._network = network
        self._health = health
        self._warn_only = warn_only
        self._warned = False
        self._egress = egress if egress is not None else EgressLog()
        self._on_refusal = on_refusal
        self._clock = clock
        self._zones = {a.address: a.availability_zone for a in route.addresses}
        self._lookups = SingleFlight()

    def __repr__(self) -> str:
        return f"Dialer(host={self.route.host!r}, zone={self.route.availability_zone!r})"

    def dial(
        self,
        host: str,
        port: int,
        *,
        timeout: float | None,
        socket_options: tuple[SocketOption, ...] = (),
    ) -> Dialed:
        """Look a host up and connect, within so many seconds; ``None`` waits for ever.

        Raises:
            PublicAddressError: An address is not private; no connection was tried.
            socket.gaierror: The name does not resolve.
            TimeoutError: No address answered in time.
            OSError: Every address failed.
        """
        deadline = self._clock() + (float("inf") if timeout is None else timeout)
        waiting = self.candidates(host, timeout=timeout)
        with _Pending() as pending:
            race = self._race(pending, host, waiting, port, deadline, (*KEEPALIVE, *socket_options))
            try:
                seconds = next(race)
                while True:
                    seconds = race.send(pending.wait(seconds))
            except StopIteration as won:
                dialed: Dialed = won.value
                dialed.sock.setblocking(True)
                return dialed

    async def dial_async(self, host: str, port: int, *, timeout: float | None) -> Dialed:
        """Do what ``dial`` does without blocking the event loop; one look-up serves all who wait.

        Its socket does not block.
        """
        import asyncio  # noqa: PLC0415 - boto3 does not import it, and plain calls do without

        deadline = self._clock() + (float("inf") if timeout is None else timeout)
        waiting = await self._lookups.run(
            host,
            lambda: self.candidates(host, timeout=timeout),
            what=f"look-up of {host}",
            timeout=timeout,
        )
        with _Pending() as pending:
            race = self._race(pending, host, [*waiting], port, deadline, KEEPALIVE)
            try:
                seconds = next(race)
                while True:
                    await pending.wait_in(asyncio.get_running_loop(), seconds)
                    seconds = race.send(pending.wait(0))
            except StopIteration as won:
                dialed: Dialed = won.value
                return dialed

    def candidates(self, host: str, *, timeout: float | None) -> list[str]:
        """Return the addresses of a host, judged, in the order they are tried in.

        Raises:
            PublicAddressError: An address is not private.
            socket.gaierror: The name does not resolve.
            TimeoutError: The resolver did not answer in time.
        """
        # The look-up's thread can wait no longer than threading's limit.
        limit = threading.TIMEOUT_MAX if timeout is None else timeout
        found = self._network.resolve(host, timeout=min(limit, threading.TIMEOUT_MAX))
        self._judge(host, found)
        return sorted(found, key=self.rank)

    def judge(self, address: str) -> None:
        """Refuse an address that no look-up came before, unless it is private.

        Raises:
            PublicAddressError: It is not private.
        """
        self._judge(address, (address,))

    def rank(self, address: str) -> tuple[bool, bool]:
        """Return the sort key of an address: zones that did not fail first, then our own zone."""
        zone = self._zone(address)
        own = self.route.availability_zone
        return self._health.is_suspect(zone), own is not None and zone != own

    def is_suspect(self, address: str) -> bool:
        """Return True if the zone of an address failed within the last 30 s."""
        return self._health.is_suspect(self._zone(address))

    def _judge(self, host: str, found: tuple[str, ...]) -> None:
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
        for verdict in map(self.route.address_policy.judge, found):
            if verdict.private:
                continue
            if not self._warn_only:
                self._egress.refused(
                    self.route.service_name, host, address=verdict.address, rule=verdict.rule
                )
                if self._on_refusal is not None:
                    self._on_refusal()
                raise refusal(host, verdict)
            if not self._warned:
                self._warned = True
                _logger.warning(
                    "%s is reached at %s, which %s (on_public_route='warn').",
                    host,
                    verdict.address,
                    verdict.why,
                )

    def _zone(self, address: str) -> str:
        return self._zones.get(address) or address

    def _race(
        self,
        pending: _Pending,
        host: str,
        waiting: list[str],
        port: int,
        deadline: float,
        options: tuple[SocketOption, ...],
    ) -> Generator[float, list[tuple[socket.socket, str]], Dialed]:
        """Race the addresses: yield the most seconds to wait, receive the connected sockets."""
        failures: list[str] = []
        next_start = self._clock()
        while True:
            now = self._clock()
            # A thread that had to wait for the CPU looks for an answer before it races.
            if waiting and now >= next_start and not (pending and pending.wait(0)):
                address = waiting.pop(0)
                try:
                    opened = self._network.open(address, port, socket_options=options)
                except OSError as error:
                    failures.append(self._fail(address, error))
                else:
                    pending.add(opened, address, now)
                    next_start = now + RACE_DELAY
                continue
            if not pending:
                raise ConnectionError(f"{host}:{port}: " + "; ".join(failures))
            if now >= deadline:
                late = TimeoutError("no answer in time")
                failures += [self._fail(a, late) for a in (*pending.addresses(), *waiting)]
                raise TimeoutError(f"{host}:{port}: " + "; ".join(failures))
            wake = min(deadline, next_start) if waiting else deadline
            for opened, address in (yield wake - now):
                failure = failure_of(opened)
                if failure is None:
                    pending.take(opened)
                    for silent in pending.addresses(for_seconds=RACE_DELAY, now=self._clock()):
                        self._health.failed(self._zone(silent))
                    return self._won(host, opened, address)
                pending.take(opened).close()
                failures.append(self._fail(address, failure))
                next_start = now  # the next one need not wait

    def _won(self, host: str, opened: socket.socket, address: str) -> Dialed:
        self._health.answered(self._zone(address))
        zone = self._zones.get(address)
        verdict = self.route.address_policy.judge(address)
        counters = self._egress.counters(
            self.route.service_name, host, verdict, availability_zone=zone
        )
        counters.connected()
        return Dialed(sock=opened, address=address, availability_zone=zone, counters=counters)

    def _fail(self, address: str, error: OSError) -> str:
        self._health.failed(self._zone(address))
        zone = self._zones.get(address)
        where = f"{address} ({zone})" if zone else address
        return f"{where}: {error.strerror or error}"


class _Pending:
    """Connections under way; those that nobody took are closed at the end."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._opened: dict[socket.socket, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for opened in self._opened:
            opened.close()

    def __bool__(self) -> bool:
        return bool(self._opened)

    def add(self, opened: socket.socket, address: str, started: float) -> None:
        self._opened[opened] = address, started
        self._selector.register(opened, selectors.EVENT_WRITE)

    def wait(self, timeout: float) -> list[tuple[socket.socket, str]]:
        limit = None if timeout == float("inf") else max(timeout, 0)
        fds = {key.fd for key, _ in self._selector.select(limit)}
        return [(s, address) for s, (address, _) in self._opened.items() if s.fileno() in fds]

    async def wait_in(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        """Wait in an event loop until one is connected or has failed."""
        ready = loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        timer = None if timeout == float("inf") else loop.call_later(max(timeout, 0), wake)
        for opened in self._opened:
            loop.add_writer(opened, wake)
        try:
            await ready
        finally:
            if timer is not None:
                timer.cancel()
            for opened in self._opened:
                loop.remove_writer(opened)

    def addresses(self, *, for_seconds: float = 0, now: float = float("inf")) -> list[str]:
        return [a for a, started in self._opened.values() if now - started >= for_seconds]

    def take(self, opened: socket.socket) -> socket.socket:
        self._selector.unregister(opened)
        del self._opened[opened]
        return opened
