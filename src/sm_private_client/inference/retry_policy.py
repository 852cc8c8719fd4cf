"""RetryPolicy and RetryQuota: the limits of retries, of one call and of all together."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.deadlines import ForkableLock

__all__ = [
    "CAPACITY",
    "RETRIED_MODEL_STATUSES",
    "RETRY_COST",
    "SUCCESS_GAIN",
    "TIMEOUT_COST",
    "RetryPolicy",
    "RetryQuota",
]

RETRIED_MODEL_STATUSES: Final = frozenset({0, 502, 503, 504, 507})
"""A model's own statuses after which it may do better: no answer (0), a server in front of it that
found no worker (502, 503), its time-out (504), no memory for this request now (507)."""

CAPACITY: Final = 500
"""Tokens of a quota at the start and at most (botocore's ``RetryQuota``)."""

RETRY_COST: Final = 5
"""Tokens for a retry (botocore's standard mode up to 1.43; 1.44 takes 14, or 5 if it is throttled,
since it waits less between attempts than this package does)."""

TIMEOUT_COST: Final = 10
"""Tokens for a retry after a time-out (botocore's standard mode up to 1.43)."""

SUCCESS_GAIN: Final = 1
"""Tokens that a call returns if it succeeds at once; others return those of their last retry."""

_STATUSES: Final = range(600)
_DOUBLINGS: Final = 64  # 2.0 to the power of more would end in an OverflowError, not in wait_max


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often, how long and after what a call is tried again.

    ``RetryPolicy(attempts=1)`` never tries again. ``retry_rules.RULES`` and docs/retries.md have
    what is retried and what never is. Policies compare, hash and pickle by value.

    Attributes:
        attempts: The number of attempts, the first included.
        deadline: Seconds for all attempts and the waits between them; ``None`` for no limit. By
            default 300: four attempts of 70 s, the longest that InvokeEndpoint takes (60 s for
            the model; AWS says to wait 70 s for the socket), and their waits. The time-out of
            each attempt is its own or what is left of the deadline, whichever is less.
        wait_initial: Seconds; the wait after the first failure is drawn from 0 to this, the next
            from 0 to twice this, and so on (exponential, full jitter).
        wait_max: Seconds; no wait is drawn from more. Only ``Retry-After`` can ask for more.
            By default 20, as in botocore's standard mode.
        safe_to_repeat: The model may be called twice for one call: read time-outs and connections
            that closed after the request went out are retried, too.
        model_statuses: A ModelError is retried if its OriginalStatusCode is one of these.

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.
    """

    attempts: int = 4
    deadline: float | None = 300.0
    wait_initial: float = 0.5
    wait_max: float = 20.0
    safe_to_repeat: bool = False
    model_statuses: AbstractSet[int] = RETRIED_MODEL_STATUSES

    def __post_init__(self) -> None:
        if not _is_integer(self.attempts) or self.attempts < 1:
            raise _refused("attempts", self.attempts, "pass a whole number from 1 on")
        if self.deadline is not None and not (_is_seconds(self.deadline) and self.deadline > 0):
            raise _refused(
                "deadline", self.deadline, "pass seconds greater than 0, or None for no limit"
            )
        for name in ("wait_initial", "wait_max"):
            if not _is_seconds(getattr(self, name)):
                raise _refused(name, getattr(self, name), "pass seconds, 0 or more")
        if self.wait_initial > self.wait_max:
            raise _refused(
                "wait_initial",
                self.wait_initial,
                f"pass at most wait_max, which is {self.wait_max!r}",
            )
        if not isinstance(self.safe_to_repeat, bool):
            raise _refused("safe_to_repeat", self.safe_to_repeat, "pass True or False")
        statuses = self.model_statuses
        if not isinstance(statuses, AbstractSet) or not all(
            _is_integer(status) and status in _STATUSES for status in statuses
        ):
            raise _refused(
                "model_statuses", statuses, "pass a set of HTTP statuses, such as {429, 503}"
            )
        # A set of the caller's could change later, and cannot be hashed.
        object.__setattr__(self, "model_statuses", frozenset(statuses))

    def backoff(self, failures: int, *, draw: float) -> float:
        """Return the seconds to wait after a failed attempt.

        Args:
            failures: The failures of the call so far, at least 1.
            draw: A random number from 0 to 1.
        """
        longest = self.wait_initial * 2.0 ** min(failures - 1, _DOUBLINGS)
        return draw * min(longest, self.wait_max)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value >= 0


def _refused(name: str, value: object, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"RetryPolicy({name}={value!r}) cannot be used.", remedy=f"{remedy}.")


class RetryQuota:
    """Tokens for retries, shared by threads and by predictors.

    If a service fails for everybody, the first hundred retries empty it. From then on each call is
    tried once, until enough calls succeed again.

    Args:
        capacity: Tokens at the start and at most.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._available = capacity
        self._lock = ForkableLock()

    def __repr__(self) -> str:
        return f"RetryQuota(available={self._available}, capacity={self._capacity})"

    @property
    def available(self) -> int:
        """The tokens that are left."""
        return self._available

    def acquire(self, tokens: int) -> bool:
        """Take tokens, all or none, without waiting; return True if they were there."""
        with self._lock:
            if tokens > self._available:
                return False
            self._available -= tokens
            return True

    def release(self, tokens: int) -> None:
        """Return tokens; those above the capacity are lost."""
        if self._available == self._capacity:
            return  # every call that succeeds comes here: if nothing failed, it takes no lock
        with self._lock:
            self._available = min(self._capacity, self._available + tokens)
