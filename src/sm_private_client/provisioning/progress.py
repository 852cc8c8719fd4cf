"""Progress reports of a run that applies or removes a plan, and its time limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from botocore.exceptions import ClientError

from sm_private_client.errors import DiscoveryError
from sm_private_client.privatelink.ec2 import is_throttled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["POLL_INTERVAL", "Progress", "ProgressState", "Run"]

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
        resource_id: Empty if it has none yet.
        seconds: Since the run began.
    """

    state: ProgressState
    what: str
    resource_id: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return one line: ``made: interface VPC endpoint com.amazonaws… (vpce-…)``."""
        resource_id = f" ({self.resource_id})" if self.resource_id else ""
        return f"{self.state}: {self.what}{resource_id}"


class Run:
    """The time limit of one run, in seconds from now on, and whom its progress is reported to."""

    def __init__(
        self,
        timeout: float,
        *,
        progress: Callable[[Progress], None] | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.timeout = timeout
        self._progress = progress
        self._clock = clock
        self._sleep = sleep
        self._started = clock()

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    def report(self, state: ProgressState, what: str, resource_id: str = "") -> None:
        """Report what happens."""
        if self._progress is not None:
            self._progress(
                Progress(state=state, what=what, resource_id=resource_id, seconds=self.seconds)
            )

    def wait(self) -> bool:
        """Wait until it is time for another look; return False if the time limit is reached."""
        left = self.timeout - self.seconds
        if left <= 0:
            return False
        self._sleep(min(POLL_INTERVAL, left))
        return True

    def retry_throttled(self, call: Callable[[], T]) -> T:
        """Repeat a call that EC2 throttles, while there is time; boto3 gives up sooner.

        Raises:
            ClientError, DiscoveryError: The call's own.
        """
        while True:
            try:
                return call()
            except (ClientError, DiscoveryError) as error:
                if not (is_throttled(error) and self.wait()):
                    raise
