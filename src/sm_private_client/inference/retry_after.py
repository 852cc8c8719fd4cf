"""How long a service asks to wait: ``Retry-After`` and AWS's own form of it."""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["requested_wait"]

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
"""RFC 9110 has whole seconds only; some fronts send fractions. More digits mean nothing."""

_MILLISECONDS: Final = re.compile(r"[0-9]{1,12}")


def requested_wait(error: BaseException, *, now: float) -> float | None:
    """Gives the seconds that an answer asks to wait, ``None`` where it does not say so properly.

    ``Retry-After`` has seconds or an HTTP date (RFC 9110, 10.2.3); a date is compared with the
    answer's own ``Date``, so that this machine's clock need not be right. ``x-amz-retry-after``
    has milliseconds, and counts where there is no ``Retry-After``.

    Args:
        error: What an attempt raised.
        now: Seconds since the epoch, for an answer without a ``Date``.
    """
    if not isinstance(error, ClientError):
        return None
    headers: Mapping[str, Any] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    asked = str(headers.get("retry-after", "")).strip()
    if _SECONDS.fullmatch(asked):
        return float(asked)
    until = _epoch(asked)
    if until is not None:
        answered = _epoch(str(headers.get("date", "")))
        return max(0.0, until - (now if answered is None else answered))
    asked = str(headers.get("x-amz-retry-after", "")).strip()
    return int(asked) / 1000 if _MILLISECONDS.fullmatch(asked) else None


def _epoch(http_date: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # which of them differs between Python versions
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=dt.timezone.utc)  # HTTP dates are, whatever they say
    return parsed.timestamp()
