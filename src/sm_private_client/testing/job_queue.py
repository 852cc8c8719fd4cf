"""The queue of asynchronous calls, and the threads that work it off."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JobQueue"]

_THREADS: Final = 8
_STOP_TIMEOUT: Final = 5.0
"""Seconds; a model that still computes then is left to its daemon thread."""


class JobQueue:
    """Runs what is put into it when its time has come, the earliest first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def put(self, run: Callable[[], None], *, delay: float) -> None:
        """Has ``run`` called in a thread of the queue, after so many seconds."""
        with self._changed:
            entry = (time.monotonic() + delay, next(self._numbers), run)
            heapq.heappush(self._waiting, entry)
            if len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._work, name="private-link-jobs", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Forgets what waits and ends the threads."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def stopped(self) -> bool:
        """Whether the queue was stopped, so that what still runs is to leave no trace."""
        return self._stopped

    def _work(self) -> None:
        while (run := self._next()) is not None:
            run()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                if self._waiting and self._waiting[0][0] <= now:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
            return None
