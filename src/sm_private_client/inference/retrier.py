"""Retrier: a function called again as a policy says, until it succeeds or its last error is raised.

Built on tenacity, which is entered (and imported) only after a first failure that is to be
retried. ``_RetryState.goes_on_after`` decides for synchronous and asynchronous calls alike.
"""

from __future__ import annotations

import logging
import random as _random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from sm_private_client.inference.retry_policy import SUCCESS_GAIN, RetryPolicy, RetryQuota
from sm_private_client.inference.retry_rules import classify, describe, requested_wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sm_private_client.inference.retry_rules import RetryRule

__all__ = ["Retrier", "attempts_made"]

T = TypeVar("T")

_SHORTEST: Final = 0.001
"""Seconds for an attempt after a sleep that took too long: sockets take no time-out of 0."""

_ATTEMPTS: Final = "_sm_private_attempts"

_logger = logging.getLogger(__name__)


class Retrier:
    """Calls functions, and again if they fail and the policy says so; safe between threads.

    A function makes one attempt: it is given the seconds that it may take (``None`` for no limit)
    and raises botocore's errors. A function that opens a stream returns at the stream's start, so
    that a stream that has begun is never asked for again.

    Args:
        policy: ``RetryPolicy()`` by default.
        quota: Shared by the retriers of a session; one of its own by default.
        sleep: Sleeps for seconds.
        async_sleep: The same for ``call_async``; by default tenacity's, which is the event loop's.
        random: Returns numbers from 0 to 1, for the waits' jitter.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch, for ``Retry-After`` with a date.
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        quota: RetryQuota | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] | None = None,
        random: Callable[[], float] = _random.random,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.quota = quota or RetryQuota()
        self._sleep = sleep
        self._async_sleep = async_sleep
        self.random = random
        self.clock = clock
        self.wall_clock = wall_clock

    def __repr__(self) -> str:
        return f"Retrier({self.policy!r}, {self.quota!r})"

    def call(
        self,
        function: Callable[[float | None], T],
        *,
        timeout: float | None = None,
        on_failure: Callable[[BaseException], object] | None = None,
    ) -> tuple[T, int]:
        """Call a function until it succeeds or is not to be tried again.

        Args:
            function: One attempt; it is given the seconds that it may take.
            timeout: Seconds for one attempt; the policy's deadline can make it less.
            on_failure: Takes the error of each failed attempt, before any wait.

        Returns:
            The function's value, and the number of attempts.

        Raises:
            Exception: The very error of the last attempt, with the attempts as its notes;
                ``attempts_made`` counts them.
            BaseException: KeyboardInterrupt and its like, at once.
        """
        began = self.clock()
        try:
            value = function(_lesser(timeout, self.policy.deadline))
        except Exception as error:
            state = _RetryState(self, began=began, timeout=timeout, on_failure=on_failure)
            if not state.goes_on_after(error):
                raise
        else:
            self.quota.release(SUCCESS_GAIN)
            return value, 1

        from tenacity import Retrying  # noqa: PLC0415 - see module

        def attempt() -> T:
            state.enter()
            return function(state.time_left())

        try:
            value = Retrying(**state.strategies(self._sleep))(attempt)
        except BaseException as error:
            state.count_on(error)
            raise
        return value, state.succeeded()

    async def call_async(
        self,
        function: Callable[[float | None], Awaitable[T]],
        *,
        timeout: float | None = None,
        on_failure: Callable[[BaseException], object] | None = None,
    ) -> tuple[T, int]:
        """Do the same for a coroutine function; a call that is cancelled ends at once."""
        began = self.clock()
        try:
            value = await function(_lesser(timeout, self.policy.deadline))
        except Exception as error:
            state = _RetryState(self, began=began, timeout=timeout, on_failure=on_failure)
            if not state.goes_on_after(error):
                raise
        else:
            self.quota.release(SUCCESS_GAIN)
            return value, 1

        from tenacity import AsyncRetrying  # noqa: PLC0415 - see module

        async def attempt() -> T:
            state.enter()
            return await function(state.time_left())

        try:
            value = await AsyncRetrying(**state.strategies(self._async_sleep))(attempt)
        except BaseException as error:
            state.count_on(error)
            raise
        return value, state.succeeded()


def attempts_made(error: BaseException) -> int:
    """Return the number of attempts that ended in an error of a ``Retrier``."""
    return int(getattr(error, _ATTEMPTS, 1))


class _FailedBeforeError(Exception):
    """The first attempt failed before tenacity was entered; only tenacity sees it."""


class _RetryState:
    """One call that has failed: its history, if it goes on, and when."""

    def __init__(
        self,
        retrier: Retrier,
        *,
        began: float,
        timeout: float | None,
        on_failure: Callable[[BaseException], object] | None,
    ) -> None:
        self._retrier = retrier
        self._policy = retrier.policy
        self._began = began
        self._timeout = timeout
        self._on_failure = on_failure
        self._attempts = 1
        self._failures = 0
        self._wait = 0.0
        self._cost = 0
        self._history: list[str] = []
        self._entered = False

    def strategies(self, sleep: Callable[[float], object] | None) -> dict[str, Any]:
        """Return tenacity's arguments; it raises as it is what it is not told to retry."""
        from tenacity import retry_if_exception  # noqa: PLC0415 - see module

        return {
            "retry": retry_if_exception(self._goes_on),
            "wait": lambda _state: self._wait,
            **({"sleep": sleep} if sleep is not None else {}),
        }

    def enter(self) -> None:
        """Start an attempt; tenacity's first stands for the one that failed: it starts waiting."""
        if not self._entered:
            self._entered = True
            raise _FailedBeforeError
        self._attempts += 1

    def count_on(self, error: BaseException) -> None:
        """Set the number of attempts on what ended the call, or ended it within a wait."""
        vars(error)[_ATTEMPTS] = self._attempts

    def time_left(self) -> float | None:
        """Return the seconds that the next attempt may take."""
        if self._policy.deadline is None:
            return self._timeout
        return _lesser(self._timeout, max(self._left(), _SHORTEST))

    def succeeded(self) -> int:
        """Return the last retry's tokens to the quota, and the number of attempts."""
        self._retrier.quota.release(self._cost)
        return self._failures + 1

    def goes_on_after(self, error: Exception) -> bool:
        """Return True if there is a next attempt; if not, the error has its notes."""
        self._failures += 1
        waited = f" after {round(self._wait, 2):g} s" if self._failures > 1 else ""
        self._history.append(f"attempt {self._failures}{waited}: {describe(error)}")
        rule = classify(error)
        if self._on_failure is not None:
            self._on_failure(error)
        reason = self._reason_to_stop(error, rule)
        if reason is None:
            _logger.debug("%s; again in %.3f s", self._history[-1], self._wait)
            return True
        self._record(error, reason, worth_notes=rule.retried != "no")
        return False

    def _goes_on(self, error: BaseException) -> bool:
        if isinstance(error, _FailedBeforeError):
            return True
        return isinstance(error, Exception) and self.goes_on_after(error)

    def _reason_to_stop(self, error: Exception, rule: RetryRule) -> str | None:
        """Return what speaks against a next attempt; after ``None`` its wait is set and paid."""
        retrier, policy = self._retrier, self._policy
        if not rule.allows(error, policy):
            return rule.why
        if self._failures >= policy.attempts:
            return f"RetryPolicy.attempts is {policy.attempts}"
        requested = requested_wait(error, now=retrier.wall_clock())
        wait = max(policy.backoff(self._failures, draw=retrier.random()), requested or 0.0)
        left = self._left()
        if wait >= left:
            who = "the service asks for" if requested == wait else "the next attempt needs"
            return (
                f"{who} a wait of {round(wait, 2):g} s, and {round(max(left, 0.0), 2):g} s are "
                "left of RetryPolicy.deadline"
            )
        if not retrier.quota.acquire(rule.cost):
            return "too many calls fail, and the retry quota is used up"
        self._wait, self._cost = wait, rule.cost
        return None

    def _left(self) -> float:
        """Return the seconds left; without a deadline, the longest that can be slept."""
        if self._policy.deadline is None:
            return threading.TIMEOUT_MAX
        return self._policy.deadline - (self._retrier.clock() - self._began)

    def _record(self, error: Exception, reason: str, *, worth_notes: bool) -> None:
        vars(error)[_ATTEMPTS] = self._failures
        if isinstance(error, ClientError):
            # Where botocore counts its own retries.
            metadata: Any = error.response.setdefault("ResponseMetadata", {})  # type: ignore[typeddict-item] # filled below
            metadata["RetryAttempts"] = self._failures - 1
        if self._failures == 1 and not worth_notes:
            return
        for note in (*self._history, f"not tried again: {reason}"):
            if sys.version_info >= (3, 11):
                error.add_note(note)
            else:
                vars(error).setdefault("__notes__", []).append(note)


def _lesser(timeout: float | None, limit: float | None) -> float | None:
    if timeout is None or limit is None:
        return limit if timeout is None else timeout
    return min(timeout, limit)
