"""RetryQuota: the token bucket that keeps many callers from retrying all at once."""

from __future__ import annotations

import threading
from typing import Final

__all__ = ["CAPACITY", "RETRY_COST", "SUCCESS_GAIN", "TIMEOUT_COST", "RetryQuota"]

CAPACITY: Final = 500
"""Tokens that a quota starts with and never exceeds (botocore's ``RetryQuota``)."""

RETRY_COST: Final = 5
"""Tokens that a retry costs (botocore's standard mode up to 1.43; 1.44 takes 14, or 5 where it is
throttled, since it waits less between attempts than this package does)."""

TIMEOUT_COST: Final = 10
"""Tokens that a retry after a time-out costs (botocore's standard mode up to 1.43)."""

SUCCESS_GAIN: Final = 1
"""Tokens that a call gives back that succeeded at once; others give back their last retry's."""


class RetryQuota:
    """Gives tokens to retries until none are left; shared by threads and by predictors.

    When a service fails for everybody, the first hundred retries empty it; from then on each call
    is tried once, until enough calls succeed again.

    Args:
        capacity: Tokens at the start and at most.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._available = capacity
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"RetryQuota(available={self._available}, capacity={self._capacity})"

    @property
    def available(self) -> int:
        """The tokens that are left."""
        return self._available

    def acquire(self, tokens: int) -> bool:
        """Takes tokens, all or none, and says whether it could; never waits for any."""
        with self._lock:
            if tokens > self._available:
                return False
            self._available -= tokens
            return True

    def release(self, tokens: int) -> None:
        """Gives tokens back; what is above the capacity is lost."""
        if self._available == self._capacity:
            return  # every call that succeeds comes here: where nothing failed, it takes no lock
        with self._lock:
            self._available = min(self._capacity, self._available + tokens)
