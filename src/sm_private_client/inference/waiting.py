"""How long to wait for a job: when to look again, until when, and what is shown meanwhile."""

from __future__ import annotations

import datetime as dt
import logging
import math
import random as _random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.progress import progress_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.inference.progress import Progress

__all__ = ["Pace", "Wait", "checked_timeout"]

SHOWN_AFTER: Final = 10.0
"""Seconds; a wait that is over sooner shows nothing."""

LOGGED_EVERY: Final = 60.0
"""Seconds between two log lines of one wait."""

_MOST_DOUBLINGS: Final = 30  # 2.0 ** looks would overflow in a wait of days

_logger = logging.getLogger(__name__)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
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


class Wait:
    """One wait: its deadline, its pauses, and its display.

    Args:
        pace: When to look again.
        timeout: Seconds; ``math.inf`` for ever.
        name: What is waited for.
        progress: ``None`` shows a display after 10 s in the main thread, where there is a
            terminal or notebook and tqdm or rich; ``True`` shows one from the start; ``False``
            never. Whatever it is, a line is logged each minute.

    Raises:
        MissingExtraError: ``True``, and neither tqdm nor rich is there.
    """

    def __init__(self, pace: Pace, *, timeout: float, name: str, progress: bool | None) -> None:
        self.timeout = timeout
        self._pace = pace
        self._name = name
        self._began = pace.clock()
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
        passed = self._pace.clock() - self._began
        self._tell(passed)
        left = self.timeout - passed
        if left <= 0:
            return None
        pause = min(self._pace.pause(self._looks), left)
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
