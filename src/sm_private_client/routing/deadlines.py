"""Bounds on what would wait for ever: look-ups, providers, EC2 calls, a lock held at a fork."""

from __future__ import annotations

import concurrent.futures
import os
import queue
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


def run_within(timeout: float, function: Callable[[], T], *, what: str) -> T:
    """Runs a function in a thread of its own and waits for it no longer than ``timeout``.

    A function that does not return in time is left behind in a daemon thread, which neither
    blocks the caller nor the end of the process.

    Args:
        timeout: Seconds.
        function: What to run.
        what: What it does, for the error and the thread's name.

    Returns:
        What the function returns.

    Raises:
        TimeoutError: It took longer.
        BaseException: Whatever the function raises.
    """
    answers: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            answers.put((None, error))

    threading.Thread(target=run, name=what, daemon=True).start()
    try:
        result, error = answers.get(timeout=max(timeout, 0.001))
    except queue.Empty:
        raise TimeoutError(f"{what}: no answer within {timeout:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # error is None, so this is the result


class SingleFlight:
    """Share one run of a function among all who ask for it meanwhile; safe between threads.

    Each runs in a daemon thread of its own, so that there is at most one thread a key, however
    many ask, and however long it takes. A forked child begins with none.
    """

    def __init__(self) -> None:
        self._begin_anew()

    def __reduce__(self) -> tuple[Any, ...]:
        return SingleFlight, ()

    def begin(
        self, key: Hashable, function: Callable[[], T], *, what: str
    ) -> concurrent.futures.Future[T]:
        """Return what a run that has begun will give, and begin one if none has.

        Args:
            key: What is asked for.
            function: What to run; it is not run if another with the same key is running.
            what: What it does, for the thread's name.
        """
        if self._pid != os.getpid():
            self._begin_anew()  # the parent's threads are not here
        with self._lock:
            future: concurrent.futures.Future[T] | None = self._running.get(key)
            if future is not None:
                return future
            future = self._running[key] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                outcome = function()
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                self._forget(key)
                future.set_exception(error)
            else:
                self._forget(key)
                future.set_result(outcome)

        try:
            threading.Thread(target=run, name=what, daemon=True).start()
        except BaseException:
            self._forget(key)
            raise
        return future

    def run_within(
        self, timeout: float, key: Hashable, function: Callable[[], T], *, what: str
    ) -> T:
        """Wait for a shared run no longer than ``timeout`` seconds; see ``begin``.

        Raises:
            TimeoutError: It takes longer; it goes on, for those who ask later.
            BaseException: Whatever the function raises.
        """
        future = self.begin(key, function, what=what)
        done, _ = concurrent.futures.wait((future,), max(timeout, 0.001))
        if not done:
            raise TimeoutError(f"{what}: no answer within {timeout:g} s")
        return future.result()

    async def run(
        self, key: Hashable, function: Callable[[], T], *, what: str, timeout: float | None = None
    ) -> T:
        """Do what ``run_within`` does, without blocking the event loop; ``None`` waits for ever."""
        import asyncio  # noqa: PLC0415 - boto3 does not import it, and plain calls do without

        waiting = asyncio.wrap_future(self.begin(key, function, what=what))
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
        self._running: dict[Hashable, concurrent.futures.Future[Any]] = {}

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]


class BackgroundTask(Generic[T]):
    """Runs a function in a daemon thread, which holds up neither the caller nor the process's end.

    Args:
        function: What to run.
        what: What it does, for errors and the thread's name.
    """

    def __init__(self, function: Callable[[], T], *, what: str) -> None:
        self._what = what
        self._done = threading.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._results.append(function())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                self._error = error
            self._done.set()

        threading.Thread(target=run, name=f"doctor: {what}", daemon=True).start()

    def result(self, deadline: float) -> T:
        """Waits for the result.

        Args:
            deadline: Until when, as ``time.monotonic()`` counts.

        Raises:
            TimeoutError: It was not there in time.
            BaseException: Whatever the function raised.
        """
        if not self._done.wait(max(deadline - time.monotonic(), 0.0)):
            raise TimeoutError(f"{self._what}: no answer in time")
        if self._error is not None:
            raise self._error
        return self._results[0]

    def result_or(self, instead: T, deadline: float) -> T:
        """Waits for the result; gives ``instead`` where it was not there in time.

        Raises:
            BaseException: Whatever the function raised.
        """
        try:
            return self.result(deadline)
        except TimeoutError:
            return instead
