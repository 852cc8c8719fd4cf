"""How many calls may be under way at once: a fixed number, or one that adapts.

``AdaptiveLimit`` is additive increase, multiplicative decrease, as TCP Reno has it for its window:

=======================================  ==================================================
event                                    the limit
=======================================  ==================================================
at the start                             4
a round of calls, at first and from 1    doubles (until the first sign of too much)
a round of calls, later                  grows by one
the service says that it is too much     halves, at most once in the time a call takes
calls take over 1.5 times the least      halves
=======================================  ==================================================

A round is as many calls as the limit allows, at least 8 while doubling and 16 later, answered at
their first attempt. The limit grows only while it is used up. The time of a round is its mean. It
is compared less two standard errors, so that a model whose times vary much is not taken for a slow
one. Between 1 and 1.5 times its capacity, a service that queues is fully used.

No threads, no I/O; the clock is an argument. Not safe between threads: whoever shares it holds a
lock.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Final, Literal

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.retry_rules import THROTTLING_CODES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAXIMUM", "START", "AdaptiveLimit", "Limit", "is_overload", "limit_for"]

START: Final = 4
"""Calls at once at the start of an adaptive limit."""

MAXIMUM: Final = 64
"""Calls at once that an adaptive limit never exceeds."""

_DOUBLING_ROUND: Final = 8
_LATER_ROUND: Final = 16  # enough for a mean to compare
_TOLERANCE: Final = 1.5  # below 2, so that halving empties the queue and shows the least again
_FORGETTING: Final = 0.02  # a round's share in moving the least up: 50 rounds follow a change
_ERRORS: Final = 2.0  # standard errors of a mean that are put down to chance
_FIRST_PAUSE: Final = 0.1  # seconds between two halvings while no round was answered yet

_OVERLOAD_CODES: Final = {*THROTTLING_CODES, "ModelNotReadyException"}  # SageMaker's own 429
_OVERLOAD_STATUSES: Final = frozenset({429, 503})
_MODEL_OVERLOAD_STATUSES: Final = frozenset({429, 503, 507})  # 507: no memory for one more model


def is_overload(error: BaseException) -> bool:
    """Return True if an error means "too much at once": throttling, 429, 503, or a time-out.

    A ModelError counts where the model's own status (``OriginalStatusCode``) is 429, 503 or 507.
    """
    if isinstance(error, (ReadTimeoutError, ConnectTimeoutError)):
        return True
    if not isinstance(error, ClientError):
        return False
    if error.response.get("OriginalStatusCode") in _MODEL_OVERLOAD_STATUSES:
        return True
    if error.response.get("Error", {}).get("Code") in _OVERLOAD_CODES:
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in _OVERLOAD_STATUSES


class Limit:
    """A fixed number of calls at once.

    Args:
        limit: Calls that may be under way, at least 1.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __repr__(self) -> str:
        return f"{type(self).__name__}(limit={self.limit})"

    def started(self) -> float:
        """Return what ``answered`` needs, as a call begins."""
        return 0.0

    def answered(self, started: float, *, in_flight: int) -> None:
        """Take in a call that was answered at its first attempt.

        Args:
            started: The result of ``started``.
            in_flight: Calls under way as it ended, itself included.
        """

    def overloaded(self) -> None:
        """Take in an attempt that failed because it was too much at once."""


class AdaptiveLimit(Limit):
    """A limit that finds how much the other side can do at once; see the module's table.

    Slowness counts only against calls that began after the last decrease. A service that became
    slower for reasons of its own takes the limit down to 1. There nothing of ours queues, so the
    time of a call is the new least, and the limit doubles again.

    Args:
        start: Calls at once at the start.
        maximum: The largest limit.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        start: int = START,
        maximum: int = MAXIMUM,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(min(start, maximum))
        self._maximum = maximum
        self._clock = clock
        self._doubling = True
        self._decreased = float("-inf")
        self._least: float | None = None
        self._seconds: list[float] = []
        self._used = False

    def started(self) -> float:
        """Return the time."""
        return self._clock()

    def overloaded(self) -> None:
        """Halve the limit, unless that was done within the least time of a call."""
        pause = _FIRST_PAUSE if self._least is None else self._least
        if self._clock() - self._decreased >= pause:
            self._halve()

    def answered(self, started: float, *, in_flight: int) -> None:
        """Count the time of a call; a full round of calls moves the limit."""
        if started < self._decreased:
            return  # it began when more were under way
        self._seconds.append(self._clock() - started)
        # One less counts too: a limit that just grew is not filled yet.
        self._used = self._used or in_flight >= self.limit - 1
        least_round = _DOUBLING_ROUND if self._doubling else _LATER_ROUND
        if len(self._seconds) >= max(self.limit, least_round):
            self._judge()

    def _judge(self) -> None:
        mean = statistics.fmean(self._seconds)
        chance = _ERRORS * statistics.stdev(self._seconds) / math.sqrt(len(self._seconds))
        if self.limit == 1:
            self._least = mean + chance
            self._doubling = True
        least = mean + chance if self._least is None else self._least
        if mean - chance > least * _TOLERANCE:
            self._halve()
            return
        self._least = min(mean + chance, least + max(mean - least, 0) * _FORGETTING)
        if self._used:
            grown = self.limit * 2 if self._doubling else self.limit + 1
            self.limit = min(grown, self._maximum)
        self._begin_round()

    def _halve(self) -> None:
        self.limit = max(1, self.limit // 2)
        self._doubling = False
        self._decreased = self._clock()
        self._begin_round()

    def _begin_round(self) -> None:
        self._seconds.clear()
        self._used = False


def limit_for(concurrency: int | Literal["auto"]) -> Limit:
    """Return the limit for an argument ``concurrency``.

    Raises:
        ConfigurationError: It is neither ``"auto"`` nor a number of calls.
    """
    if concurrency == "auto":
        return AdaptiveLimit()
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigurationError(
            f"concurrency={concurrency!r} cannot be used.",
            cause='it is neither "auto" nor a whole number from 1 up.',
            remedy='pass concurrency="auto", or the number of calls at once.',
        )
    return Limit(concurrency)
