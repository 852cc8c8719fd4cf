"""Bound what has no time limit of its own: getaddrinfo, credential providers, slow EC2 calls."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run_within"]

T = TypeVar("T")


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
