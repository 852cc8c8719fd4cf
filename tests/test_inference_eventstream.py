"""Specification of inference/eventstream.py: frames as botocore reads them, however cut."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from botocore.eventstream import (
    ChecksumMismatch,
    DuplicateHeader,
    EventStreamBuffer,
    InvalidHeadersLength,
    InvalidPayloadLength,
    ParserError,
)
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from hypothesis import given

from sm_private_client.errors import StreamError, StreamInterruptedError
from sm_private_client.inference.eventstream import (
    HEADERS_LIMIT,
    PAYLOAD_LIMIT,
    FrameDecoder,
    error_response,
    payload_parts,
)
from sm_private_client.testing.response_streams import encode_event, encode_exception, encode_frame

Header = tuple[int, bytes]  # type and encoded value


Event = tuple[dict[str, Any], bytes]  # headers and payload


class EventDecoder(FrameDecoder[Event]):
    """Returns every frame, as botocore's ``EventStreamBuffer`` does."""

    def _item(self, headers: Any, payload: bytes) -> Event:
        return dict(headers), payload


def frame(headers: bytes, payload: bytes, *, extra: int = 0, headers_length: int = -1) -> bytes:
    """A frame around a header block; its lengths can be made to lie."""
    length = len(headers) if headers_length < 0 else headers_length
    prelude = struct.pack("!II", 16 + len(headers) + len(payload) + extra, length)
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


def block(*headers: tuple[str, int, bytes]) -> bytes:
    return b"".join(
        struct.pack("!B", len(name.encode())) + name.encode() + bytes((kind,)) + value
        for name, kind, value in headers
    )


def sized(value: bytes) -> bytes:
    return struct.pack("!H", len(value)) + value


VALUES: st.SearchStrategy[Header] = st.one_of(
    st.just((0, b"")),
    st.just((1, b"")),
    st.integers(-(2**7), 2**7 - 1).map(lambda n: (2, struct.pack("!b", n))),
    st.integers(-(2**15), 2**15 - 1).map(lambda n: (3, struct.pack("!h", n))),
    st.integers(-(2**31), 2**31 - 1).map(lambda n: (4, struct.pack("!i", n))),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: (5, struct.pack("!q", n))),
    st.binary(max_size=20).map(lambda value: (6, sized(value))),
    st.text(max_size=20).map(lambda value: (7, sized(value.encode()))),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: (8, struct.pack("!q", n))),
    st.uuids().map(lambda value: (9, value.bytes)),
)
BLOCKS = st.dictionaries(st.text(min_size=1, max_size=20), VALUES, max_size=5).map(
    lambda headers: block(*((name, *value) for name, value in headers.items()))
)
FRAMES = st.lists(st.builds(frame, BLOCKS, st.binary(max_size=60)), max_size=5).map(b"".join)
CUTS = st.lists(st.integers(0, 1000), max_size=8)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def ours(parts: list[bytes]) -> tuple[list[Event], str | None]:
    decoder = EventDecoder()
    seen: list[Event] = []
    try:
        for part in parts:
            seen += decoder.feed(part)
            decoder.check()
    except (ParserError, StreamError) as error:
        return seen, type(error).__name__
    return seen, None


def botocores(parts: list[bytes]) -> tuple[list[tuple[dict[str, Any], bytes]], str | None]:
    buffer, seen = EventStreamBuffer(), []
    event: Any  # the stubs have the type of headers wrong
    try:
        for part in parts:
            buffer.add_data(part)
            for event in buffer:
                seen.append((event.headers, event.payload))  # noqa: PERF401 - keep those before an error
    except ParserError as error:
        return seen, type(error).__name__
    except (KeyError, IndexError, struct.error, UnicodeDecodeError):
        return seen, "StreamError"
    return seen, None


@given(data=FRAMES, cuts=CUTS)
def test_frames_are_read_as_botocore_reads_them(data: bytes, cuts: list[int]) -> None:
    """All header types, any split."""
    parts = split(data, cuts)
    assert ours(parts) == botocores(parts) == ours([data])


@given(data=FRAMES.filter(bool), cuts=CUTS, place=st.integers(0, 1000), flip=st.integers(1, 255))
def test_a_wrong_byte_is_found_as_botocore_finds_it(
    data: bytes, cuts: list[int], place: int, flip: int
) -> None:
    """Wherever it is: the same events before it, the same error."""
    place %= len(data)
    wrong = data[:place] + bytes((data[place] ^ flip,)) + data[place + 1 :]
    parts = split(wrong, cuts)
    assert ours(parts) == botocores(parts)
    assert ours(parts)[1] is not None


@given(junk=st.binary(max_size=30))
def test_malformed_headers_are_found(junk: bytes) -> None:
    """Whatever is in a block whose checksums are right, it is read or refused by name."""
    seen, failure = ours([frame(junk, b"")])
    if failure is None:
        assert (seen, None) == botocores([frame(junk, b"")])


def test_every_header_type() -> None:
    """By its value in Python."""
    identity = uuid.UUID(int=7)
    headers = block(
        ("true", 0, b""),
        ("false", 1, b""),
        ("byte", 2, b"\xff"),
        ("short", 3, b"\x01\x00"),
        ("integer", 4, b"\xff\xff\xff\xfe"),
        ("long", 5, b"\x00" * 7 + b"\x05"),
        ("bytes", 6, sized(b"\x00\xff")),
        ("string", 7, sized("é".encode())),
        ("timestamp", 8, b"\x00" * 6 + b"\x03\xe8"),
        ("uuid", 9, identity.bytes),
    )
    (event,) = EventDecoder().feed(frame(headers, b"p"))
    assert event == (
        {
            "true": True,
            "false": False,
            "byte": -1,
            "short": 256,
            "integer": -2,
            "long": 5,
            "bytes": b"\x00\xff",
            "string": "é",
            "timestamp": 1000,
            "uuid": identity.bytes,
        },
        b"p",
    )


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (frame(b"", b"")[:8] + b"\0" * 8, ChecksumMismatch, "Checksum mismatch: expected 0x0"),
        (frame(b"", b"a")[:-1] + b"\0", ChecksumMismatch, "Checksum mismatch"),
        (frame(block(("a", 0, b""), ("a", 1, b"")), b""), DuplicateHeader, '"a"'),
        (frame(b"", b"", headers_length=HEADERS_LIMIT + 1), InvalidHeadersLength, "131073"),
        (frame(b"", b"", extra=PAYLOAD_LIMIT + 1), InvalidPayloadLength, "25165825"),
        (frame(b"", b"", headers_length=9), StreamError, "is 16 bytes long with 9 bytes of"),
        (frame(block(("a", 10, b"")), b""), StreamError, "header of type 10, which does not"),
        (frame(b"\x05a", b""), StreamError, "has headers that are cut short or not UTF-8"),
        (frame(block(("a", 7, b"\x00\x09x")), b""), StreamError, "cut short or not UTF-8"),
        (frame(block(("a", 9, b"\x00\x09x")), b""), StreamError, "cut short or not UTF-8"),
        (frame(block(("a", 7, sized(b"\xff"))), b""), StreamError, "cut short or not UTF-8"),
    ],
)
def test_bad_frames(data: bytes, error: type[Exception], text: str) -> None:
    """Errors are those of botocore where it has one; frames before it come first, nothing after."""
    decoder = EventDecoder()
    good = encode_frame({"n": "1"}, b"payload")
    assert decoder.feed(good + data + good) == [({"n": "1"}, b"payload")]
    for call in (decoder.check, decoder.finish, lambda: decoder.feed(good)):
        with pytest.raises(error) as caught:
            call()
        assert text in str(caught.value)


def test_the_largest_frame_passes() -> None:
    """A payload at the limit, in pieces, without copying it once a piece."""
    data = encode_event("PayloadPart", b"\0" * PAYLOAD_LIMIT)
    parts = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    decoder = EventDecoder()
    ((_, payload),) = [event for part in parts for event in decoder.feed(part)]
    assert len(payload) == PAYLOAD_LIMIT
    assert decoder.finish() == []


def test_an_end_inside_a_frame_is_an_interruption() -> None:
    """Where botocore ends without a word; here it is said, with how much had come."""
    decoder = EventDecoder()
    data = encode_event("PayloadPart", b"x")
    assert len(decoder.feed(data * 2 + data[:-1])) == 2
    with pytest.raises(StreamInterruptedError) as caught:
        decoder.finish()
    assert caught.value.parts_received == 2
    assert str(caught.value) == (
        f"The event stream ended inside a frame, after 2 whole ones and {len(data) - 1} bytes "
        "more.\nCause: the connection was closed before the service had sent the whole answer.\n"
        "See docs/errors.md#stream-interrupted"
    )


def raised(response: dict[str, Any]) -> Exception:
    return ClientError(response, "InvokeEndpointWithResponseStream")  # type: ignore[arg-type] # a dict


@given(payloads=st.lists(st.binary(max_size=20), max_size=6), cuts=CUTS)
def test_parts_are_the_payloads(payloads: list[bytes], cuts: list[int]) -> None:
    """Empty ones too; events of a kind not known yet are passed over."""
    data = b"".join(encode_event("PayloadPart", p) + encode_event("New", p) for p in payloads)
    assert list(payload_parts(split(data, cuts), raised)) == payloads


@pytest.mark.parametrize(
    ("error", "response"),
    [
        (
            encode_exception("ModelStreamError", b'{"Message":"m","ErrorCode":"StreamBroken"}'),
            {"Error": {"Code": "ModelStreamError", "Message": "m"}, "ErrorCode": "StreamBroken"},
        ),
        (
            encode_exception("InternalStreamFailure", b'{"message":"m"}'),
            {"Error": {"Code": "InternalStreamFailure", "Message": "m"}},
        ),
        (
            encode_exception("InternalStreamFailure", b"not json"),
            {"Error": {"Code": "InternalStreamFailure", "Message": ""}},
        ),
        (
            encode_exception("InternalStreamFailure", b""),
            {"Error": {"Code": "InternalStreamFailure", "Message": ""}},
        ),
        (
            encode_frame(
                {":message-type": "error", ":error-code": "Oops", ":error-message": "m"}, b""
            ),
            {"Error": {"Code": "Oops", "Message": "m"}},
        ),
    ],
)
def test_errors_in_the_stream_come_after_the_parts(error: bytes, response: dict[str, Any]) -> None:
    """Modelled exceptions and bare errors, as botocore's error response."""
    part = encode_event("PayloadPart", b"a")
    parts = payload_parts([part + error + part], raised)
    assert next(parts) == b"a"
    with pytest.raises(ClientError) as caught:
        next(parts)
    assert caught.value.response == response
    (event,) = EventDecoder().feed(error)
    assert error_response(*event) == response


@pytest.mark.parametrize(
    "lost",
    [
        ReadTimeoutError(endpoint_url="https://h"),
        ConnectionClosedError(endpoint_url="https://h"),
    ],
)
def test_a_lost_connection_is_an_interruption(lost: Exception) -> None:
    """It says how many parts came, and has botocore's error as its cause."""

    def chunks() -> Iterator[bytes]:
        yield encode_event("PayloadPart", b"a") * 3
        raise lost

    parts = payload_parts(chunks(), raised)
    assert [next(parts), next(parts), next(parts)] == [b"a"] * 3
    with pytest.raises(StreamInterruptedError) as caught:
        next(parts)
    assert caught.value.parts_received == 3
    assert caught.value.__cause__ is lost
    assert str(caught.value).startswith(
        f"The response stream was cut after 3 parts: {type(lost).__name__}.\nCause: "
    )


def test_a_body_that_ends_early_is_an_interruption() -> None:
    """After the parts that came."""
    data = encode_event("PayloadPart", b"a")
    parts = payload_parts([data, data[:5]], raised)
    assert next(parts) == b"a"
    with pytest.raises(StreamInterruptedError) as caught:
        next(parts)
    assert caught.value.parts_received == 1
