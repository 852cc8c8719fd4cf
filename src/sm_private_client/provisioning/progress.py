"""What is told while a plan is applied or taken away, and bounded waiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from botocore.exceptions import ClientError

from sm_private_client.errors import DiscoveryError
from sm_private_client.privatelink.ec2 import is_throttled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["POLL_INTERVAL", "Progress", "ProgressState", "Waiting"]

T = TypeVar("T")

POLL_INTERVAL: Final = 5.0
"""Seconds between two looks at what is being made or removed."""

ProgressState = Literal[
    "making", "made", "found", "waiting", "available", "verified", "removing", "removed", "left"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One thing that happens.

    Attributes:
        state: What happens.
        what: To what, in words.
        resource_id: Its id; empty where it has none yet.
        seconds: Since the run began.
    """

    state: ProgressState
    what: str
    resource_id: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        """``made: interface VPC endpoint com.amazonaws… (vpce-…)`` on one line."""
        named = f" ({self.resource_id})" if self.resource_id else ""
        return f"{self.state}: {self.what}{named}"


class Waiting:
    """A time limit that several waits share.

    Args:
        timeout: Seconds, from now on.
        clock: Monotonic seconds.
        sleep: Waits seconds.
    """

    def __init__(
        self, timeout: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._started = clock()
        self._deadline = self._started + timeout
        self.timeout = timeout

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return self._clock() - self._started

    def again(self, interval: float) -> bool:
        """Waits an interval and says whether there is time for another look."""
        left = self._deadline - self._clock()
        if left <= 0:
            return False
        self._sleep(min(interval, left))
        return True

    def patiently(self, call: Callable[[], T]) -> T:
        """Calls again where EC2 throttles, while there is time; boto3 gives up sooner.

        Raises:
            ClientError, DiscoveryError: The call's own.
        """
        while True:
            try:
                return call()
            except (ClientError, DiscoveryError) as error:
                if not (is_throttled(error) and self.again(POLL_INTERVAL)):
                    raise
