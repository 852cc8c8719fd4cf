"""How long to wait for a job: when to look again, until when, and what is shown meanwhile."""

from __future__ import annotations

import datetime as dt
import logging
import math
import random as _random
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import ConfigurationError, JobError, JobFailedError, JobTimeoutError
from sm_private_client.inference.progress import progress_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.inference.progress import Progress
    from sm_private_client.inference.s3 import Look

__all__ = ["PollSchedule", "Poller", "cancelled_wait", "checked_timeout", "failed", "timed_out"]

SHOWN_AFTER: Final = 10.0
"""Seconds; a wait that is over sooner shows nothing."""

LOGGED_EVERY: Final = 60.0
"""Seconds between two log lines of one wait."""

_MOST_DOUBLINGS: Final = 30  # 2.0 ** looks would overflow in a wait of days

_logger = logging.getLogger(__name__)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class PollSchedule:
    """When to look again, and what time it is.

    The pause doubles from ``first_pause`` to ``longest_pause``; each is shortened at random by up
    to a half, so that many jobs submitted at once are not looked for at once.

    Attributes:
        first_pause: Seconds.
        longest_pause: Seconds.
        clock: Monotonic seconds.
        now: The time, with a zone.
        random: Gives numbers from 0 to 1.
        sleep: Waits for an event, given seconds; only ``await`` has asyncio's own instead.
    """

    first_pause: float = 0.5
    longest_pause: float = 15.0
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], dt.datetime] = _utc_now
    random: Callable[[], float] = _random.random
    sleep: Callable[[threading.Event, float], object] = threading.Event.wait

    def pause(self, looks: int) -> float:
        """Gives the seconds to wait after so many looks, the first of which was number 0."""
        doubled = self.first_pause * 2.0 ** min(looks, _MOST_DOUBLINGS)
        return min(doubled, self.longest_pause) * (1 - self.random() / 2)


class Poller:
    """One wait: its deadline, its pauses, and its display.

    Args:
        schedule: When to look again.
        timeout: Seconds; ``math.inf`` for ever.
        name: What is waited for.
        progress: ``None`` shows a display after 10 s in the main thread, where there is a
            terminal or notebook and tqdm or rich; ``True`` shows one from the start; ``False``
            never. Whatever it is, a line is logged each minute.

    Raises:
        MissingExtraError: ``True``, and neither tqdm nor rich is there.
    """

    def __init__(
        self, schedule: PollSchedule, *, timeout: float, name: str, progress: bool | None
    ) -> None:
        self.timeout = timeout
        self._schedule = schedule
        self._name = name
        self._began = schedule.clock()
        self._looks = 0
        self._logged = 0.0
        self._shown = 0
        self._display: Progress | None = None
        # One thread at most has a display, so that waits side by side do not write over it.
        in_main = threading.current_thread() is threading.main_thread()
        self._shows = progress is None and in_main
        if progress:
            self._display = self._new_display(progress=True)

    def pause(self) -> float | None:
        """Gives the seconds until the next look; ``None``: the time is over."""
        passed = self._schedule.clock() - self._began
        self._tell(passed)
        left = self.timeout - passed
        if left <= 0:
            return None
        pause = min(self._schedule.pause(self._looks), left)
        self._looks += 1
        return pause

    def close(self) -> None:
        """Ends the display."""
        if self._display is not None:
            self._display.close()

    def _tell(self, passed: float) -> None:
        if passed >= self._logged + LOGGED_EVERY:
            self._logged = passed
            _logger.info("%s is not done after %.0f s of waiting", self._name, passed)
        if self._display is None and self._shows and passed >= SHOWN_AFTER:
            self._display = self._new_display(progress=None)
        if self._display is not None:
            while self._shown < int(passed):
                self._display.advance()
                self._shown += 1

    def _new_display(self, *, progress: bool | None) -> Progress:
        total = None if math.isinf(self.timeout) else math.ceil(self.timeout)
        return progress_for(progress, name=f"seconds of waiting for {self._name}", total=total)


def checked_timeout(timeout: float, *, name: str = "timeout") -> float:
    """Gives an argument as seconds.

    Raises:
        ConfigurationError: It is negative, or not a number.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise ConfigurationError(
            f"{name}={timeout!r} is not a time.",
            remedy="give seconds from 0 on; math.inf waits for ever.",
        )
    return float(timeout)


_CONTAINER_STATUS: Final = re.compile(rb"Received (?:client|server) error \((\d{1,3})\)")
"""SageMaker's own words, in which the status is the only part that cannot be anybody's data."""


def failed(name: str, failure_location: str | None, failure: bytes) -> JobFailedError:
    """Says that a job wrote a failure object, which it describes and does not show."""
    said = _CONTAINER_STATUS.search(failure)
    status = f" The container answered {said[1].decode()}." if said else ""
    return JobFailedError(
        f"{name} failed.{status} The failure object at {failure_location} has "
        f"{len(failure):,} bytes; they may hold data of yours and are not shown.",
        possible_causes=(
            "the model refused the input or raised",
            "the model took longer than InvocationTimeoutSeconds",
            "the request was queued for longer than RequestTTLSeconds",
            "SageMaker could not read the input",
        ),
        remedy="read it with job.failure(), and the container's log in CloudWatch.",
    )


def timed_out(
    name: str,
    *,
    output_location: str,
    failure_location: str | None,
    seconds: float,
    looks: Sequence[Look],
) -> JobTimeoutError:
    """Says that neither object was there in time, what the last looks saw, and how to wait on."""
    places = output_location
    again = f"output_location={output_location!r}"
    if failure_location is not None:
        places += f" and no failure at {failure_location}"
        again += f", failure_location={failure_location!r}"
    causes, remedies = ["the job is still queued or running"], []
    for look in looks:
        if look.state == "unreachable":
            causes.append(f"S3 did not answer the last look at {look.location} ({look.why})")
            remedies.append("check the way to S3 from here: its VPC endpoint, routes and DNS.")
            break
        if look.state == "denied":
            causes.append(
                f"S3 answered the last look at {look.location} with {look.why}: without the "
                "permission s3:ListBucket it does so for what is not there yet, and without "
                "s3:GetObject for what is"
            )
            remedies.append(
                "allow s3:GetObject on both objects and s3:ListBucket on their buckets."
            )
            break
    if failure_location is None:
        causes.append("the job failed, and its inference endpoint has no S3FailurePath to say so")
        remedies.append("set S3FailurePath in the AsyncInferenceConfig of the inference endpoint.")
    remedies.append(
        "wait on with job.result(timeout=...), or in another process with "
        f"AsyncJob.from_locations({again})."
    )
    return JobTimeoutError(
        f"{name} wrote nothing in {seconds:g} s of waiting: there is no output at {places}.",
        possible_causes=causes,
        remedy=remedies,
    )


def cancelled_wait(name: str) -> JobError:
    """Says that ``cancel_wait`` ended a wait."""
    return JobError(
        f"Waiting for {name} was cancelled.",
        cause="cancel_wait() was called; the job itself goes on.",
        remedy="wait anew with job.result().",
    )
