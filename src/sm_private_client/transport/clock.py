"""ServiceClock: the time that requests are signed with, corrected after the service's clock."""

from __future__ import annotations

import email.utils
import json
import time
from datetime import timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.http import HttpResponse

__all__ = ["ServiceClock"]

LEAST_SKEW: Final = 240.0
"""Seconds; AWS takes a signature within five minutes ("Elements of an AWS API request
signature"), so a clock that is less than four off is not why it was refused."""

_REFUSED_FOR_TIME: Final = frozenset(
    {"RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"}
)
_FIRST_ERROR: Final = 400


class ServiceClock:
    """Gives seconds since the epoch as the service counts them; safe between threads.

    Args:
        now: This machine's seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._offset = 0.0

    def __call__(self) -> float:
        """Gives the time."""
        return self._now() + self._offset

    def corrected_by(self, answer: HttpResponse) -> bool:
        """Sets itself after an answer that refused a signature for its time.

        Returns:
            Whether it was more than 240 s off and is right from now on, so that signing and
            sending once more can help.
        """
        if answer.status < _FIRST_ERROR or _code(answer) not in _REFUSED_FOR_TIME:
            return False
        theirs = _date(answer.headers.get("date", ""))
        if theirs is None or abs(theirs - self()) <= LEAST_SKEW:
            return False
        self._offset = theirs - self._now()
        return True


def _code(answer: HttpResponse) -> str:
    """Reads the error's code from where the REST-JSON protocol has it."""
    code: object = answer.headers.get("x-amzn-errortype")
    if code is None:
        try:
            document = json.loads(answer.body)
        except ValueError:
            return ""
        if not isinstance(document, dict):
            return ""
        code = document.get("code") or document.get("Code") or document.get("__type")
    return str(code).partition(":")[0].rpartition("#")[2]


def _date(text: str) -> float | None:
    try:
        parsed = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)  # "-0000": UTC, says RFC 5322
    return parsed.timestamp()
