"""Retry-After: what an answer asks for, and what is not obeyed."""

from __future__ import annotations

from typing import Final

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.inference.retry_rules import requested_wait


def asking(headers: dict[str, str]) -> ClientError:
    """Gives an error as botocore makes it: with the names of headers in lower case."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return ClientError({"ResponseMetadata": {"HTTPHeaders": lowered}}, "InvokeEndpoint")  # type: ignore[typeddict-item] # what is read of it


ANSWERED_AT: Final = "Wed, 21 Oct 2026 07:28:00 GMT"
THEN: Final = 1792567680.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT"}, 9),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT", "Date": ANSWERED_AT}, 9),
        # Its own date counts, whatever this machine's clock says.
        (
            {
                "Retry-After": "Thu, 22 Oct 2026 00:00:05 GMT",
                "Date": "Thu, 22 Oct 2026 00:00:00 GMT",
            },
            5,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT", "Date": "today"}, 9),
        ({"Retry-After": "Wed Oct 21 07:28:09 2026"}, 9),
        ({"Retry-After": "Wednesday, 21-Oct-26 07:28:09 GMT"}, 9),
        ({"Retry-After": "Wed, 21 Oct 2026 07:00:00 GMT"}, 0),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-amz-retry-after": "1500", "Retry-After": "7"}, 7),
        ({"x-amz-retry-after": "1500", "Retry-After": "soon"}, 1.5),
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "Wed, 32 Oct 2026 07:28:09 GMT"}, None),
        ({"x-amz-retry-after": "-1"}, None),
        ({"x-amz-retry-after": "1.5"}, None),
    ],
)
def test_what_retry_after_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or a date, or AWS's milliseconds; what is not proper is not obeyed."""
    assert requested_wait(asking(headers), now=THEN) == seconds


def test_only_answers_ask_to_wait() -> None:
    """A connection that failed has no headers."""
    assert requested_wait(ConnectTimeoutError(endpoint_url="https://h"), now=THEN) is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2},? \d+[ -][A-Z]\w\w[ -]\d+ \d+:\d+:\d+ \S*"))
def test_no_header_breaks_anything(text: str) -> None:
    """Whatever stands in the header: seconds that are not negative, or nothing."""
    asked = requested_wait(asking({"retry-after": text, "date": text}), now=THEN)
    assert asked is None or asked >= 0
