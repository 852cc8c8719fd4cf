"""The simulator's event-stream encoder, read back by botocore's own decoder."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from botocore.eventstream import EventStreamBuffer
from hypothesis import given

from sm_private_client.testing.response_streams import encode_event, encode_exception, encode_frame

HEADERS = st.dictionaries(st.text(min_size=1, max_size=40), st.text(max_size=200), max_size=6)


@given(headers=HEADERS, payload=st.binary(max_size=2000))
def test_botocore_reads_what_is_written(headers: dict[str, str], payload: bytes) -> None:
    """Headers and payload come back; both checksums hold."""
    buffer = EventStreamBuffer()
    buffer.add_data(encode_frame(headers, payload))
    frame: Any
    (frame,) = list(buffer)
    assert (frame.headers, frame.payload) == (headers, payload)


@given(payloads=st.lists(st.binary(max_size=50), max_size=5), cut=st.integers(1, 40))
def test_frames_may_be_cut_anywhere(payloads: list[bytes], cut: int) -> None:
    """A stream of events is the same however its bytes arrive."""
    data = b"".join(encode_event("PayloadPart", payload) for payload in payloads)
    buffer, seen = EventStreamBuffer(), []
    for start in range(0, len(data), cut):
        buffer.add_data(data[start : start + cut])
        seen += [frame.payload for frame in buffer]
    assert seen == payloads


def test_events_and_exceptions_name_their_types() -> None:
    """As the service's headers do."""
    buffer = EventStreamBuffer()
    buffer.add_data(encode_event("PayloadPart", b"x") + encode_exception("ModelStreamError", b"{}"))
    event: Any  # the stubs have the type of headers wrong
    exception: Any
    event, exception = list(buffer)
    assert event.headers == {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    assert exception.headers == {
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
