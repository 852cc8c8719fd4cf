"""Started: one look at the world, under way in a thread of its own, waited for up to a deadline."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Started"]

T = TypeVar("T")


class Started(Generic[T]):
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
