"""The wait for a job: when to check, until when, the display meanwhile, and how it can fail."""

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
    from sm_private_client.inference.s3 import ObjectStatus

__all__ = [
    "PollSchedule",
    "Poller",
    "cancelled_error",
    "checked_timeout",
    "failed_error",
    "timeout_error",
]

SHOWN_AFTER: Final = 10.0
"""Seconds; a wait that is over sooner shows nothing."""

LOGGED_EVERY: Final = 60.0
"""Seconds between two log lines of one wait."""

_MOST_DOUBLINGS: Final = 30  # 2.0 ** checks would overflow in a wait of days

_CONTAINER_STATUS: Final = re.compile(rb"Received (?:client|server) error \((\d{1,3})\)")
"""SageMaker's own words, in which the status is the only part that cannot be anybody's data."""

_logger = logging.getLogger(__name__)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class PollSchedule:
    """When to check again, and what time it is.

    The pause doubles from ``first_pause`` to ``longest_pause``. Each is shortened at random by up
    to a half, so that many jobs submitted at once are not checked at once.

    Attributes:
        first_pause: Seconds.
        longest_pause: Seconds.
        clock: Monotonic seconds.
        now: The time, with a zone.
        random: Returns numbers from 0 to 1.
        sleep: Waits for an event, given seconds; only ``await`` has asyncio's own instead.
    """

    first_pause: float = 0.5
    longest_pause: float = 15.0
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], dt.datetime] = _utc_now
    random: Callable[[], float] = _random.random
    sleep: Callable[[threading.Event, float], object] = threading.Event.wait

    def pause(self, checks: int) -> float:
        """Return the seconds to wait after a number of checks, the first of which was number 0."""
        doubled = self.first_pause * 2.0 ** min(checks, _MOST_DOUBLINGS)
        return min(doubled, self.longest_pause) * (1 - self.random() / 2)


class Poller:
    """One wait: its deadline, its pauses, and its display.

    Args:
        schedule: When to check again.
        timeout: Seconds; ``math.inf`` waits for ever.
        name: What is waited for.
        progress: ``None`` shows a display after 10 s in the main thread, on a terminal or in a
            notebook with tqdm or rich; ``True`` shows one from the start; ``False`` never. A line
            is logged each minute in any case.

    Raises:
        MissingExtraError: ``True``, and neither tqdm nor rich is installed.
    """

    def __init__(
        self, schedule: PollSchedule, *, timeout: float, name: str, progress: bool | None
    ) -> None:
        self.timeout = timeout
        self._schedule = schedule
        self._name = name
        self._began = schedule.clock()
        self._checks = 0
        self._logged = 0.0
        self._shown = 0
        self._display: Progress | None = None
        # One thread at most has a display, so that waits side by side do not write over it.
        in_main = threading.current_thread() is threading.main_thread()
        self._shows = progress is None and in_main
        if progress:
            self._display = self._new_display(progress=True)

    def pause(self) -> float | None:
        """Return the seconds until the next check; ``None`` if the time is over."""
        passed = self._schedule.clock() - self._began
        self._report(passed)
        left = self.timeout - passed
        if left <= 0:
            return None
        pause = min(self._schedule.pause(self._checks), left)
        self._checks += 1
        return pause

    def close(self) -> None:
        """End the display."""
        if self._display is not None:
            self._display.close()

    def _report(self, passed: float) -> None:
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
    """Return an argument as seconds.

    Raises:
        ConfigurationError: It is negative, or not a number.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise ConfigurationError(
            f"{name}={timeout!r} is not a time.",
            remedy="give seconds from 0 on; math.inf waits for ever.",
        )
    return float(timeout)


def failed_error(name: str, failure_location: str | None, failure: bytes) -> JobFailedError:
    """Return the error for a failure object, which it describes and does not show."""
    found = _CONTAINER_STATUS.search(failure)
    status = f" The container answered {found[1].decode()}." if found else ""
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


def timeout_error(
    name: str,
    *,
    output_location: str,
    failure_location: str | None,
    seconds: float,
    statuses: Sequence[ObjectStatus],
) -> JobTimeoutError:
    """Return the error for a job with neither object in time.

    It has the result of the last checks, and how to wait on.
    """
    expected = output_location
    arguments = f"output_location={output_location!r}"
    if failure_location is not None:
        expected += f" and no failure at {failure_location}"
        arguments += f", failure_location={failure_location!r}"
    causes, remedies = ["the job is still queued or running"], []
    for status in statuses:
        if status.state == "unreachable":
            causes.append(
                f"S3 did not answer the last check of {status.location} ({status.reason})"
            )
            remedies.append("check the way to S3 from here: its VPC endpoint, routes and DNS.")
            break
        if status.state == "denied":
            causes.append(
                f"S3 answered the last check of {status.location} with {status.reason}: without "
                "the permission s3:ListBucket it does so for what is not there yet, and without "
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
        f"AsyncJob.from_locations({arguments})."
    )
    return JobTimeoutError(
        f"{name} wrote nothing in {seconds:g} s of waiting: there is no output at {expected}.",
        possible_causes=causes,
        remedy=remedies,
    )


def cancelled_error(name: str) -> JobError:
    """Return the error for a wait that ``cancel_wait`` ended."""
    return JobError(
        f"Waiting for {name} was cancelled.",
        cause="cancel_wait() was called; the job itself goes on.",
        remedy="wait anew with job.result().",
    )
