"""Specification of transport/http11.py: answers as they are on the wire, and what is none."""

from __future__ import annotations

import contextlib
import itertools
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.transport.http11 import ResponseReader, request_head

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def read(reader: ResponseReader, *pieces: bytes) -> bytes:
    """Feeds what comes in these pieces, then the end; gives the payload."""
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    if not reader.is_whole:
        reader.end()
    return b"".join(chunks)


@pytest.mark.parametrize(
    ("told", "status", "headers", "payload", "will_close"),
    [
        (HEAD + b"Content-Length: 5\r\n\r\nhello", 200, {"content-length": "5"}, b"hello", False),
        (HEAD + b"X-A:b \r\nContent-Length: 0\r\n\r\n", 200, {"x-a": "b"}, b"", False),
        (HEAD + b"A: 1\r\nA: 2\r\nContent-Length: 0\r\n\r\n", 200, {"a": "1, 2"}, b"", False),
        (HEAD + b"A: 1\r\n  2\r\nContent-Length: 0\r\n\r\n", 200, {"a": "1 2"}, b"", False),
        (HEAD + b"A: \xe9\r\nContent-Length: 0\r\n\r\n", 200, {"a": "é"}, b"", False),
        (HEAD + b"Content-Length: 2, 2\r\n\r\nhi", 200, {}, b"hi", False),
        (HEAD + b"\r\nto the end", 200, {}, b"to the end", True),
        (HEAD + b"Connection: Close\r\nContent-Length: 1\r\n\r\nx", 200, {}, b"x", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, {}, b"x", True),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
            200,
            {},
            b"x",
            False,
        ),
        (HEAD + "A: café\r\nContent-Length: 0\r\n\r\n".encode(), 200, {"a": "cafÃ©"}, b"", False),
        (b"HTTP/1.1 204 None\r\n\r\n", 204, {}, b"", False),
        (b"HTTP/1.1 304\r\nContent-Length: 7\r\n\r\n", 304, {}, b"", False),
        (b"HTTP/1.1 429 Too Many\nContent-Length: 1\n\nx", 429, {}, b"x", False),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\nx",
            200,
            {},
            b"x",
            False,
        ),
        (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200, {}, b"abcde", False),
        (CHUNKED + b"A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n", 200, {}, b"0123456789", False),
        (
            HEAD + b"Content-Length: 9\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            200,
            {},
            b"x",
            True,
        ),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n0\r\n\r\n",
            200,
            {},
            b"x",
            True,
        ),
        (HEAD + b"Content-Length:\t1 \r\n\r\nx", 200, {"content-length": "1"}, b"x", False),
        (CHUNKED + b"1 \r\nx\r\n0 ;a\r\n\r\n", 200, {}, b"x", False),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + HEAD + b"Content-Length: 0\r\n\r\n",
            200,
            {},
            b"",
            False,
        ),
    ],
)
def test_an_answer_is_read_whole(
    told: bytes, status: int, headers: dict[str, str], payload: bytes, *, will_close: bool
) -> None:
    """Status, headers, payload, and whether the connection can go on; at once or byte by byte."""
    for pieces in ((told,), tuple(told[n : n + 1] for n in range(len(told)))):
        reader = ResponseReader()
        assert read(reader, *pieces) == payload
        assert (reader.status, reader.will_close) == (status, will_close)
        assert headers.items() <= reader.headers.items()
        assert (reader.is_whole, reader.has_surplus, reader.has_begun) == (True, False, True)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 O", "closed the connection"),
        (HEAD, "closed the connection"),
        (HEAD + b"Content-Length: 5\r\n", "closed the connection"),
        (HEAD + b"Content-Length: 5\r\n\r\nhell", "closed the connection"),
        (CHUNKED, "closed the connection"),
        (CHUNKED + b"5\r\nhel", "closed the connection"),
        (CHUNKED + b"5\r\nhello\r\n", "closed the connection"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", "closed the connection"),
        (b"HTTP/2 200 OK\r\n\r\n", "its first line is not a status"),
        (b"SSH-2.0-x\r\n", "its first line is not a status"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "its first line is not a status"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "its first line is not a status"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "its first line is not a status"),
        (b"HTTP/1.1 200 OK\rA: 1\r\n\r\n", "its first line is not a status"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "it switches protocols unasked"),
        (HEAD + b"no colon\r\n\r\n", "a header is not one"),
        (HEAD + b": nameless\r\n\r\n", "a header is not one"),
        (HEAD + b"A : b\r\n\r\n", "a header is not one"),
        (HEAD + b" folded: first\r\n\r\n", "a header is not one"),
        (HEAD + b"A: 1\rContent-Length: 5\r\n\r\n", "a header is not one"),
        (HEAD + b"A\rB: 1\r\n\r\n", "a header is not one"),
        (HEAD + b"A: 1\0\r\n\r\n", "a header is not one"),
        (HEAD + b"A: 1\r\n 2\r3\r\n\r\n", "a header is not one"),
        (HEAD + b"Transfer-Encoding\x0b: chunked\r\n\r\n", "a header is not one"),
        (HEAD + b"A B: 1\r\n\r\n", "a header is not one"),
        (HEAD + b"A\xe9: 1\r\n\r\n", "a header is not one"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 101, "it has too many interim answers"),
        (HEAD + b"A: b\r\n" * 101 + b"\r\n", "it has too many headers"),
        (HEAD + b"A: " + b"x" * 70_000 + b"\r\n\r\n", "its head is too long"),
        (HEAD + b"A: " + b"x" * 70_000, "its head is too long"),
        (b"garbage", "its first line is not a status"),
        (CHUNKED + b"1;" + b"x" * 70_000, "a line is too long"),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * 20_000, "its trailers are too long"),
        (HEAD + b"Content-Length: five\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length: -5\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length: 5, 6\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "its length is not clear"),
        (HEAD + b"Content-Length: 5\xa0\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length: \x0b5\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length: 5,\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length: +5\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length: 5_0\r\n\r\nhello", "its length is not clear"),
        (HEAD + b"Content-Length:\r\n\r\n", "its length is not clear"),
        (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n", "its transfer coding"),
        (CHUNKED[:-2] + CHUNKED[len(HEAD) :], "its transfer coding"),
        (HEAD + b"Transfer-Encoding: chunked\x0b\r\n\r\n", "its transfer coding"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "its transfer coding"),
        (CHUNKED + b"x\r\n", "a chunk has no size"),
        (CHUNKED + b"-1\r\n", "a chunk has no size"),
        (CHUNKED + b"0x1\r\nx\r\n", "a chunk has no size"),
        (CHUNKED + b"\r\n", "a chunk has no size"),
        (CHUNKED + b"2\r\nabc\r\n", "a chunk has no end"),
        (CHUNKED + b"1\nx\r\n0\r\n\r\n", "a chunk has no size"),
        (CHUNKED + b"1;a\rb\r\nx\r\n0\r\n\r\n", "a chunk has no size"),
        (CHUNKED + b"1\x0b\r\nx\r\n0\r\n\r\n", "a chunk has no size"),
        (CHUNKED + b" 1\r\nx\r\n0\r\n\r\n", "a chunk has no size"),
        (CHUNKED + b"f" * 16 + b"\r\n", "a chunk has no size"),
        (CHUNKED + b"1_0\r\n", "a chunk has no size"),
        (CHUNKED + b"1\r\nx\n0\r\n\r\n", "a chunk has no end"),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n", "it has too many headers"),
    ],
)
def test_what_is_cut_or_not_clear_is_an_error(told: bytes, said: str) -> None:
    """At once or byte by byte, long ones by hundreds; nothing of what came is in its text."""
    step = 1 if len(told) < 10_000 else 100
    for pieces in ((told,), tuple(told[n : n + step] for n in range(0, len(told), step))):
        reader = ResponseReader()
        with pytest.raises(ConnectionError, match=said):
            read(reader, *pieces)
        assert not reader.is_whole


WHOLE = (
    CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
    HEAD + b"A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 Early\r\nA: 1\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nhi",
)


@given(told=st.sampled_from(WHOLE), marks=st.lists(st.integers(0, 120), max_size=8))
def test_splits_anywhere_change_nothing(told: bytes, marks: list[int]) -> None:
    """The same head, payload and end, however the bytes arrive; the next answer is surplus."""
    whole = ResponseReader()
    payload = read(whole, told)
    more = told + HEAD
    cuts = sorted({0, len(more), *(mark for mark in marks if mark < len(more))})
    reader = ResponseReader()
    assert read(reader, *(more[a:b] for a, b in itertools.pairwise(cuts))) == payload
    assert (reader.status, reader.headers, reader.is_whole) == (whole.status, whole.headers, True)
    assert reader.has_surplus


@given(told=st.sampled_from(WHOLE), data=st.data())
def test_a_cut_anywhere_is_an_error(told: bytes, data: st.DataObject) -> None:
    """Never a shorter answer."""
    size = data.draw(st.integers(0, len(told) - 1))
    reader = ResponseReader()
    with pytest.raises(ConnectionError, match="closed the connection"):
        read(reader, told[:size])
    assert not reader.is_whole


@given(
    payload=st.binary(max_size=300),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 700), max_size=12),
)
def test_chunks_of_any_size_are_one_payload(
    payload: bytes, sizes: list[int], cuts: list[int]
) -> None:
    """Chunked any way, arriving in any pieces."""
    rest, chunks = payload, b""
    for size in sizes:
        piece, rest = rest[:size], rest[size:]
        if piece:
            chunks += b"%x\r\n%s\r\n" % (len(piece), piece)
    chunks += b"%x\r\n%s\r\n" % (len(rest), rest) if rest else b""
    told = CHUNKED + chunks + b"0\r\n\r\n"
    marks = sorted({0, len(told), *(cut for cut in cuts if cut < len(told))})
    reader = ResponseReader()
    assert read(reader, *(told[a:b] for a, b in itertools.pairwise(marks))) == payload
    assert not reader.has_surplus


@given(told=st.binary(max_size=400), cut=st.integers(0, 400))
@example(told=b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r", cut=0)
def test_no_bytes_can_break_it(told: bytes, cut: int) -> None:
    """Whatever comes is an answer or a ``ConnectionError``, and the same in two pieces."""
    outcomes = []
    for pieces in ((told,), (told[:cut], told[cut:])):
        reader = ResponseReader()
        payload: bytes | None = None
        with contextlib.suppress(ConnectionError):
            payload = read(reader, HEAD, *pieces)
        outcomes.append((payload, reader.headers, reader.is_whole))
    assert outcomes[0] == outcomes[1]


def test_what_has_come_is_given_before_the_rest() -> None:
    """Half a chunk is there to be used."""
    reader = ResponseReader()
    assert reader.feed(CHUNKED + b"6\r\nabc") == [b"abc"]
    assert reader.feed(b"def\r\n0\r\n\r\n") == [b"def"]
    assert reader.is_whole


@pytest.mark.parametrize(
    "told",
    [
        HEAD + b"Content-Length: 11\r\n\r\n",
        HEAD + b"Content-Length: 999999999999999\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n6\r\n",
        CHUNKED + b"fffffffffffffff\r\n",
        HEAD + b"\r\nhello world",
    ],
)
def test_an_answer_above_its_limit_is_refused_before_it_takes_memory(told: bytes) -> None:
    """Told of, or come: the error names the limit."""
    tracemalloc.start()
    with pytest.raises(PayloadError) as caught:
        read(ResponseReader(limit=10), told)
    assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    tracemalloc.stop()
    assert str(caught.value) == (
        "The answer has more than 10 bytes; it was not read to its end.\n"
        "Cause: max_response_bytes is 10.\n"
        "Remedy: pass a larger max_response_bytes= to the predictor, or use stream().\n"
        "See docs/errors.md#payload"
    )


def test_the_limit_is_exact_and_can_be_that_of_errors_only() -> None:
    """Ten bytes are ten; a stream's chunks are used as they come, an error's payload is kept."""
    ten = b"Content-Length: 10\r\n\r\n0123456789"
    assert read(ResponseReader(limit=10), HEAD + ten) == b"0123456789"
    assert read(ResponseReader(limit=9, only_errors=True), HEAD + ten) == b"0123456789"
    with pytest.raises(PayloadError):
        read(ResponseReader(limit=9, only_errors=True), b"HTTP/1.1 500 No\r\n" + ten)


def test_a_length_that_does_not_come_takes_no_memory() -> None:
    """A petabyte that is only told of, without a limit."""
    tracemalloc.start()
    with pytest.raises(ConnectionError):
        read(ResponseReader(), HEAD + b"Content-Length: 999999999999999\r\n\r\n")
    assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    tracemalloc.stop()


def test_a_head_is_one_block() -> None:
    """The request line, every header, an empty line."""
    head = request_head("POST", "/e", (("Host", "h"),), [("X-A", "a  b\t~")])
    assert head == b"POST /e HTTP/1.1\r\nHost: h\r\nX-A: a  b\t~\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: c"),
        ("X-A", "a\r\nX-B: c\r\nX-C: d"),
        ("X-A", "a\n"),
        ("X-A", "a\r"),
        ("X-A", "\x00"),
        ("X-A", "\u00e4"),
        ("X A", "a"),
        ("", "a"),
        ("X-A:", "a"),
        ("X-A: b\r\nX-B", "a"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(name: str, value: str) -> None:
    """A line end would begin another header; the error tells the name, not the value."""
    good, bad = (("Host", "h"), ("X-Z", "z")), (("Host", "h"), (name, value), ("X-Z", "z"))
    for common, more in ((bad, good), (good, bad)):
        with pytest.raises(ConfigurationError) as caught:
            request_head("POST", "/e", common, more)
        assert str(caught.value) == (
            f"The header {name!r} cannot be sent.\n"
            "Cause: a header is printable ASCII, without line ends.\n"
            "Remedy: encode its value, for example with percent signs or as Base64.\n"
            "See docs/errors.md#configuration"
        )
