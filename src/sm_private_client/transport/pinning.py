"""Pins: pyreqwest clients that only ever connect to an address that the Dialer judged.

pyreqwest opens its sockets itself. So a Connector goes first: it looks up, judges, connects and
verifies TLS against our bundle alone, and the address it got to is the only one that the client
is given. A look-up every 30 s judges anew.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.connector import Connector, Origin
    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.egress import Tally

__all__ = ["JUDGED_FOR", "Pin", "Pins"]

JUDGED_FOR: Final = 30.0
"""Seconds after which a pinned address is looked up and judged again."""

_MOST_CLIENTS: Final = 8
"""Clients of one address: one for each read time-out, which pyreqwest has for a client only."""

_Client = TypeVar("_Client")


@dataclass(kw_only=True, slots=True, eq=False)
class Pin(Generic[_Client]):
    """One judged address and the clients that connect to it.

    Attributes:
        address: The address that was judged.
        availability_zone: Its zone, ``None`` where it is not known.
        target: Host and port that the connection really went to.
        judged_at: When it was judged last, monotonic seconds.
        tally: Counts the calls to it.
        clients: By read time-out in seconds, the newest last.
    """

    address: str
    availability_zone: str | None
    target: tuple[str, int]
    judged_at: float
    tally: Tally
    clients: dict[float | None, _Client] = field(default_factory=dict)


class Pins(Generic[_Client]):
    """Keeps the pin that is in use; safe between threads.

    Args:
        dialer: Judges.
        origin: Where to.
        connector: Connects, before a client does.
        build: Makes a client for a target and a read time-out.
        lookup_timeout: Seconds for a look-up that judges again; ``None`` waits for ever.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        dialer: Dialer,
        origin: Origin,
        connector: Connector,
        *,
        build: Callable[[tuple[str, int], float | None], _Client],
        lookup_timeout: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._dialer = dialer
        self._origin = origin
        self._connector = connector
        self._build = build
        self._lookup_timeout = lookup_timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._building = threading.Lock()
        self.pin: Pin[_Client] | None = None

    def ready(self) -> Pin[_Client] | None:
        """Gives the pin, without any I/O; ``None`` where it must be made or judged first."""
        pin = self.pin
        if (
            pin is None
            or self._clock() - pin.judged_at >= JUDGED_FOR
            or self._dialer.is_suspect(pin.address)
        ):
            return None
        return pin

    def renewed(self, url: str) -> Pin[_Client]:
        """Judges the pin anew, or makes one; while one thread judges, the others go on.

        Args:
            url: What is called, for the errors.

        Raises:
            PublicAddressError: The guard refused; there is no pin then.
            ConnectTimeoutError, SSLError, EndpointConnectionError: As ``Connector.connect``.
        """
        kept = self.pin
        if not self._lock.acquire(blocking=kept is None) and kept is not None:
            return kept
        try:
            pin = self.ready()
            if pin is None and self.pin is not None and self._is_still_best(self.pin):
                pin = self.pin
            if pin is None:
                self.pin = None
                pin = self.pin = self._made(url)
            return pin
        finally:
            self._lock.release()

    def client(self, pin: Pin[_Client], timeout: float | None) -> _Client:
        """Gives the pin's client for a read time-out."""
        client = pin.clients.get(timeout)
        if client is None:
            with self._building:
                client = pin.clients.get(timeout)
                if client is None:
                    if len(pin.clients) >= _MOST_CLIENTS:
                        del pin.clients[next(iter(pin.clients))]
                    client = pin.clients[timeout] = self._build(pin.target, timeout)
        return client

    def drop(self, pin: Pin[_Client] | None = None) -> None:
        """Forgets a pin (any, where none is named); what is under way with it goes on."""
        if pin is None or self.pin is pin:
            self.pin = None

    def _made(self, url: str) -> Pin[_Client]:
        dialed, sock = self._connector.connect(url)
        with sock:
            host, port = sock.getpeername()[:2]
        return Pin(
            address=dialed.address,
            availability_zone=dialed.availability_zone,
            target=(host, port),
            judged_at=self._clock(),
            tally=dialed.tally,
        )

    def _is_still_best(self, pin: Pin[_Client]) -> bool:
        """Looks up and judges; a look-up that fails leaves what was judged as it was."""
        if self._dialer.is_suspect(pin.address):
            return False  # connecting tells whether it is back
        try:
            found = self._dialer.candidates(self._origin.host, timeout=self._lookup_timeout)
        except OSError:
            found = [pin.address]
        except BaseException:
            self.pin = None
            raise
        rank = self._dialer.rank
        if pin.address not in found or rank(pin.address) > rank(found[0]):
            return False
        pin.judged_at = self._clock()
        return True
