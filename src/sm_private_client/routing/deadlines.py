"""Bounds on what would wait for ever: look-ups, providers, EC2 calls, a lock held at a fork."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["BackgroundTask", "ForkableLock", "SingleFlight", "run_within"]

T = TypeVar("T")


class ForkableLock:
    """A lock between threads that a forked child finds unlocked, whoever held it at the fork.

    The thread that held it is not in the child, and would never release it there. For locks that
    are held during I/O, where a fork is likely to meet one.

    Args:
        make: ``threading.Lock`` or ``threading.RLock``.
    """

    def __init__(self, make: Callable[[], Any] = threading.Lock) -> None:
        self._make = make
        self._lock = make()
        _forkable.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Release it in a forked child."""
        self._lock = self._make()


_forkable: Final[weakref.WeakSet[ForkableLock]] = weakref.WeakSet()


def _renew_locks() -> None:
    for lock in list(_forkable):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


class BackgroundTask(Generic[T]):
    """A function that runs in a daemon thread, which holds up neither the caller nor the exit.

    Args:
        function: What to run.
        what: What it does, for errors and the thread's name.

    Attributes:
        future: What the function returns or raises.
    """

    def __init__(self, function: Callable[[], T], *, what: str) -> None:
        self._what = what
        self.future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self.future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                outcome = function()
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                self.future.set_exception(error)
            else:
                self.future.set_result(outcome)

        threading.Thread(target=run, name=what, daemon=True).start()

    def result_within(self, timeout: float) -> T:
        """Return what the function returns, after ``timeout`` seconds at most.

        Raises:
            TimeoutError: It takes longer; it goes on.
            BaseException: Whatever the function raises.
        """
        done, _ = concurrent.futures.wait((self.future,), max(timeout, 0.001))
        if not done:
            raise TimeoutError(f"{self._what}: no answer within {timeout:g} s")
        return self.future.result()

    def result(self, deadline: float) -> T:
        """Do what ``result_within`` does, until ``time.monotonic()`` passes ``deadline``."""
        return self.result_within(deadline - time.monotonic())

    def result_or(self, instead: T, deadline: float) -> T:
        """Do what ``result`` does, but return ``instead`` if the result is not there in time."""
        try:
            return self.result(deadline)
        except TimeoutError:
            return instead


def run_within(timeout: float, function: Callable[[], T], *, what: str) -> T:
    """Run a function in a thread of its own, and wait for it ``timeout`` seconds at most.

    Raises:
        TimeoutError: It takes longer; it is left behind.
        BaseException: Whatever the function raises.
    """
    return BackgroundTask(function, what=what).result_within(timeout)


class SingleFlight:
    """Share one run of a function among all who ask for it meanwhile; safe between threads.

    Each runs in a daemon thread of its own, so that there is at most one thread a key, however
    many ask, and however long it takes. A forked child begins with none.
    """

    def __init__(self) -> None:
        self._begin_anew()

    def __reduce__(self) -> tuple[Any, ...]:
        return SingleFlight, ()

    def begin(self, key: Hashable, function: Callable[[], T], *, what: str) -> BackgroundTask[T]:
        """Return the run of a key that is under way; begin one if there is none."""
        if self._pid != os.getpid():
            self._begin_anew()  # the parent's threads are not here

        def run() -> T:
            try:
                return function()
            finally:
                with self._lock:
                    del self._running[key]

        with self._lock:
            task: BackgroundTask[T] | None = self._running.get(key)
            if task is None:
                task = self._running[key] = BackgroundTask(run, what=what)
            return task

    def run_within(
        self, timeout: float, key: Hashable, function: Callable[[], T], *, what: str
    ) -> T:
        """Wait for a shared run no longer than ``timeout`` seconds; see ``run_within``."""
        return self.begin(key, function, what=what).result_within(timeout)

    async def run(
        self, key: Hashable, function: Callable[[], T], *, what: str, timeout: float | None = None
    ) -> T:
        """Do what ``run_within`` does, without blocking the event loop; ``None`` waits for ever."""
        import asyncio  # noqa: PLC0415 - boto3 does not import it, and plain calls do without

        waiting = asyncio.wrap_future(self.begin(key, function, what=what).future)
        try:
            await asyncio.wait((waiting,), timeout=timeout)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()  # this wait only: what has begun goes on
        raise TimeoutError(f"{what}: no answer within {timeout} s")

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._running: dict[Hashable, BackgroundTask[Any]] = {}
