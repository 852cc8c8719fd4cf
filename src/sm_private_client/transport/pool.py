"""Idle connections of one upstream, last in, first out."""

from __future__ import annotations

import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.connection import BaseConnection
    from sm_private_client.transport.http11 import ResponseReader

__all__ = ["IDLE_LIMIT", "ConnectionPool"]

IDLE_LIMIT: Final = 300.0
"""Seconds that a connection may be idle; PrivateLink forgets it after 350 (PrivateLink guide)."""


C = TypeVar("C", bound="BaseConnection")


class _Idle(Generic[C]):
    """The idle connections of one process, the longest idle first.

    Each operation on the deque is atomic, so there is no lock that a fork could leave held.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.connections: deque[C] = deque()

    def close(self) -> None:
        try:
            while True:
                self.connections.pop().close()
        except IndexError:
            return


class ConnectionPool(Generic[C]):
    """Keep idle connections for reuse; safe between threads and forks.

    At most ``max_idle`` are kept; the longest idle ones are closed first. Connections to an address
    that ``is_suspect`` are not used again.
    """

    def __init__(
        self,
        *,
        max_idle: int,
        is_suspect: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._max_idle = max_idle
        self._is_suspect = is_suspect
        self._clock = clock
        self._idle: _Idle[C] = self._begin()

    def __len__(self) -> int:
        return len(self._own().connections)

    def take(self) -> C | None:
        """Return the connection that was used last and can be used again, ``None`` if none can."""
        connections = self._own().connections
        while True:
            try:
                connection = connections.pop()
            except IndexError:
                return None
            if not (
                self._clock() - connection.idle_since >= IDLE_LIMIT
                or self._is_suspect(connection.address)
                or connection.is_stale()
            ):
                return connection
            connection.close()

    def give(self, connection: C, reader: ResponseReader) -> None:
        """Take a connection back after an answer; one that cannot be used again is closed."""
        if not connection.can_be_kept(reader):
            connection.close()
            return
        connections = self._own().connections
        now = connection.idle_since = self._clock()
        connections.append(connection)
        try:
            while (
                len(connections) > self._max_idle or now - connections[0].idle_since >= IDLE_LIMIT
            ):
                connections.popleft().close()
        except IndexError:  # another thread took it
            return

    def close(self) -> None:
        """Close every idle connection; the pool can be used again."""
        self._own().close()

    def _own(self) -> _Idle[C]:
        """Return the connections of this process; a forked child begins with none.

        Two threads of a child may both begin; nothing is lost, since neither has any yet.
        """
        idle = self._idle
        if idle.pid != os.getpid():
            for inherited in idle.connections:
                inherited.close()  # the child's copy; the parent's goes on
            idle = self._idle = self._begin()
        return idle

    def _begin(self) -> _Idle[C]:
        # Not __del__: in a circle the garbage collector could take the sockets before the pool.
        idle: _Idle[C] = _Idle()
        weakref.finalize(self, idle.close).atexit = False
        return idle
