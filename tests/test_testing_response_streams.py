"""The simulator's response streams: frames, and how they are cut up, delayed, broken, ended."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.exceptions import ReadTimeoutError as AnswerTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from simulator_calls import ONCE
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.testing.response_streams import encode_event, encode_exception, encode_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

HASTY = ONCE.merge(Config(read_timeout=0.3))
PARTS = [b"one", b"two", b"three"]
FRAMES = [encode_event("PayloadPart", part) for part in PARTS]


def parts(_body: bytes, _content_type: str) -> Iterator[bytes]:
    yield from PARTS


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("chat", parts)
        yield running


@pytest.fixture
def link(shared: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    yield shared
    shared.faults.clear()


@pytest.fixture(scope="module")
def runtime(shared: LocalPrivateLink) -> Iterator[Any]:
    client = shared.session().client("sagemaker-runtime", config=ONCE)
    yield client
    client.close()


@pytest.fixture
def hasty(link: LocalPrivateLink) -> Iterator[Any]:
    client = link.session().client("sagemaker-runtime", config=HASTY)
    yield client
    client.close()


def start(runtime: Any, name: str = "chat") -> Any:
    return runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=b"")["Body"]


def read(stream: Any) -> tuple[list[bytes], Exception | None]:
    """Read to the end, or to the error that it ends with."""
    seen: list[bytes] = []
    try:
        seen.extend(event["PayloadPart"]["Bytes"] for event in stream)
    except (EventStreamError, ProtocolError, ReadTimeoutError) as error:
        return seen, error
    finally:
        stream.close()
    return seen, None


def pieces(stream: Any) -> list[bytes]:
    """Return the chunks as they came over the wire."""
    return list(stream._raw_stream.stream())


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((), FRAMES),
        ((10_000,), [b"".join(FRAMES)]),
        ((1,), [bytes([byte]) for byte in b"".join(FRAMES)]),
        ((100, 7), None),
    ],
)
def test_streams_are_split_at_chosen_bytes(
    link: LocalPrivateLink, runtime: Any, sizes: tuple[int, ...], expected: list[bytes] | None
) -> None:
    """One frame a piece by itself; else pieces of these sizes, in turn, whatever the frames."""
    if sizes:
        link.faults.split(*sizes, endpoint_name="chat")
    seen = pieces(start(runtime))
    assert b"".join(seen) == b"".join(FRAMES)
    if expected is not None:
        assert seen == expected
    else:
        assert [len(piece) for piece in seen[:4]] == [100, 7, 100, 7]
    assert read(start(runtime)) == (PARTS, None)


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(1, 120), min_size=1, max_size=4))
def test_any_split_carries_the_same_parts(
    shared: LocalPrivateLink, runtime: Any, sizes: list[int]
) -> None:
    """Clients read the same, however the bytes come."""
    with shared.faults.split(*sizes):
        assert read(start(runtime)) == (PARTS, None)


def test_parts_come_with_delays(link: LocalPrivateLink, runtime: Any) -> None:
    """Before each part; the head comes at once."""
    with link.faults.delay_parts(0.1, "chat"):
        started = time.monotonic()
        assert read(start(runtime)) == (PARTS, None)
        assert time.monotonic() - started >= 0.3


def test_parts_come_as_the_model_gives_them(link: LocalPrivateLink, runtime: Any) -> None:
    """The first is there while the model has not made the second."""
    go_on = threading.Event()

    def model(_body: bytes, _content_type: str) -> Iterator[bytes]:
        yield b"first"
        go_on.wait(20)
        yield b"second"

    link.deploy("live", model)
    stream = iter(start(runtime, "live"))
    assert next(stream)["PayloadPart"]["Bytes"] == b"first"
    go_on.set()
    assert [event["PayloadPart"]["Bytes"] for event in stream] == [b"second"]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_streams_stall(link: LocalPrivateLink, hasty: Any, after: int) -> None:
    """After the head and so many parts; after all of them, the end is missing."""
    link.faults.stall(endpoint_name="chat", after_parts=after, times=1)
    seen, error = read(start(hasty))
    assert seen == PARTS[:after]
    assert isinstance(error, ReadTimeoutError)
    assert read(start(hasty)) == (PARTS, None)


def test_a_stream_s_head_stalls(link: LocalPrivateLink, hasty: Any) -> None:
    """A stall without after_parts holds everything back."""
    link.faults.stall(endpoint_name="chat", times=1)
    with pytest.raises(AnswerTimeoutError):
        start(hasty)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("after", [0, 2, 3, 9])
def test_streams_are_cut_after_parts(
    link: LocalPrivateLink, runtime: Any, after: int, how: Any
) -> None:
    """The parts before have come; the end of the body has not, even after the last part."""
    link.faults.cut("chat", after_parts=after, how=how, times=1)
    seen, error = read(start(runtime))
    assert seen == PARTS[:after]
    assert isinstance(error, ProtocolError)
    assert read(start(runtime)) == (PARTS, None)


@pytest.mark.parametrize("after", [0, 1, len(FRAMES[0]), len(FRAMES[0]) + 5, 10_000])
@pytest.mark.parametrize("sizes", [(), (7,)])
def test_streams_are_cut_after_bytes(
    link: LocalPrivateLink, runtime: Any, after: int, sizes: tuple[int, ...]
) -> None:
    """At any byte of any frame, to the byte."""
    if sizes:
        link.faults.split(*sizes)
    seen: list[int] = []
    with link.faults.cut("chat", after_bytes=after):
        stream = start(runtime)
        with pytest.raises(ProtocolError):
            seen.extend(itertools.chain.from_iterable(stream._raw_stream.stream()))
        stream.close()
    assert bytes(seen) == b"".join(FRAMES)[:after]


def test_what_waits_for_its_piece_comes_before_the_cut(
    link: LocalPrivateLink, runtime: Any
) -> None:
    """Splitting does not swallow what after_parts lets through."""
    link.faults.split(10_000)
    link.faults.cut(after_parts=2)
    seen, error = read(start(runtime))
    assert (seen, type(error)) == (PARTS[:2], ProtocolError)


@pytest.mark.parametrize("after", [0, 2, 9])
@pytest.mark.parametrize(
    ("arguments", "members"),
    [
        (
            {},
            {
                "Error": {"Code": "ModelStreamError", "Message": "the stream failed on purpose"},
            },
        ),
        (
            {"error_code": "ModelInvocationTimeExceeded", "message": "too slow"},
            {
                "Error": {"Code": "ModelStreamError", "Message": "too slow"},
            },
        ),
        (
            {"code": "InternalStreamFailure", "message": "lost"},
            {"Error": {"Code": "InternalStreamFailure", "Message": "lost"}},
        ),
    ],
)
def test_streams_end_in_an_error_event(
    link: LocalPrivateLink,
    runtime: Any,
    after: int,
    arguments: dict[str, Any],
    members: dict[str, Any],
) -> None:
    """A real exception event with the members of botocore's model; the body ends well."""
    link.faults.stream_error(endpoint_name="chat", after_parts=after, times=1, **arguments)
    stream = start(runtime)
    seen, error = read(stream)
    assert seen == PARTS[:after]
    assert isinstance(error, EventStreamError)
    assert error.response["Error"] == members["Error"]
    assert read(start(runtime)) == (PARTS, None)


def test_an_error_event_is_written_as_the_service_does(
    link: LocalPrivateLink, runtime: Any
) -> None:
    """Headers and JSON document, read by botocore's own frame decoder."""
    link.faults.stream_error("ModelStreamError", error_code="ModelInvocationTimeExceeded")
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(pieces(start(runtime))))
    frame: Any
    (frame,) = list(buffer)
    assert frame.headers == {
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    assert frame.payload == (
        b'{"Message": "the stream failed on purpose", "ErrorCode": "ModelInvocationTimeExceeded"}'
    )


def test_a_client_that_leaves_early_ends_the_model(link: LocalPrivateLink, hasty: Any) -> None:
    """While parts are delayed the simulator sees the connection close; the generator is closed."""
    closed = threading.Event()

    def model(_body: bytes, _content_type: str) -> Iterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            closed.set()

    link.deploy("endless", model)
    with link.faults.delay_parts(0.01):
        stream = start(hasty, "endless")
        next(iter(stream))
        stream.close()
        assert closed.wait(10)


def test_a_zone_that_fails_breaks_streams(link: LocalPrivateLink) -> None:
    """A stream that runs is reset too, at its next part at the latest."""

    def model(_body: bytes, _content_type: str) -> Iterator[bytes]:
        while True:
            yield b"more"

    link.deploy("endless", model)
    client: Any = link.session(availability_zone="us-east-1a").client(
        "sagemaker-runtime", config=ONCE
    )
    with link.faults.delay_parts(0.01):
        stream = start(client, "endless")
        next(iter(stream))
        link.faults.zone("us-east-1a")
        _, error = read(stream)
    assert isinstance(error, ProtocolError)
    client.close()


def test_a_thousand_parts(link: LocalPrivateLink, runtime: Any) -> None:
    """Each is a part of its own, in order."""
    link.deploy("long", lambda _b, _t: (str(number).encode() for number in range(1000)))
    assert read(start(runtime, "long")) == ([str(number).encode() for number in range(1000)], None)


# Frames, read back by botocore's own decoder

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
