"""ConnectionPool: idle connections, last in, first out."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.connection import Connection

__all__ = ["IDLE_LIMIT", "ConnectionPool"]

IDLE_LIMIT: Final = 300.0
"""Seconds that a connection may be idle; PrivateLink forgets it after 350 (PrivateLink guide)."""


class _Kept:
    """What one process keeps."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.idle: deque[Connection] = deque()  # the longest idle first

    def close(self) -> None:
        with self.lock:
            idle = tuple(self.idle)
            self.idle.clear()
        for connection in idle:
            connection.close()


class ConnectionPool:
    """Keeps idle connections for reuse; safe between threads and forks.

    Args:
        max_idle: How many are kept at the most; the longest idle ones are closed first.
        is_suspect: Says whether the zone of an address failed lately: its connections are not
            used again.
        clock: Monotonic seconds.
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
        self._kept = self._begin()

    def __len__(self) -> int:
        return len(self._own().idle)

    def take(self) -> Connection | None:
        """Gives the connection that was used last and can be used again, ``None`` if none can."""
        kept = self._own()
        while True:
            with kept.lock:
                if not kept.idle:
                    return None
                connection = kept.idle.pop()
            if not (
                self._is_old(connection)
                or self._is_suspect(connection.address)
                or connection.is_stale()
            ):
                return connection
            connection.close()

    def give(self, connection: Connection) -> None:
        """Takes a connection back whose last answer was read to the end."""
        kept = self._own()
        connection.idle_since = self._clock()
        surplus = []
        with kept.lock:
            kept.idle.append(connection)
            while len(kept.idle) > self._max_idle or self._is_old(kept.idle[0]):
                surplus.append(kept.idle.popleft())
        for unwanted in surplus:
            unwanted.close()

    def close(self) -> None:
        """Closes every idle connection; the pool can be used again."""
        self._own().close()

    def _is_old(self, connection: Connection) -> bool:
        return self._clock() - connection.idle_since >= IDLE_LIMIT

    def _own(self) -> _Kept:
        """Gives what this process keeps; a forked child begins with nothing.

        Not even the lock is the parent's, since another thread may have held it at the fork. Two
        threads of a child may both begin; nothing is lost, since neither keeps anything yet.
        """
        kept = self._kept
        if kept.pid != os.getpid():
            for inherited in kept.idle:
                inherited.close()  # the child's copy; the parent's goes on
            kept = self._kept = self._begin()
        return kept

    def _begin(self) -> _Kept:
        # Not __del__: in a circle the garbage collector could take the sockets before the pool.
        kept = _Kept()
        weakref.finalize(self, kept.close).atexit = False
        return kept
