"""Answers as they are on the wire, and everything that is not one."""

from __future__ import annotations

import contextlib
import io
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.transport.answers import PIECE, Answer

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Wire(io.RawIOBase):
    """Gives bytes in the pieces that they arrive in, then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        if piece[size:]:
            self._pieces.insert(0, piece[size:])
        return size


def reading(*pieces: bytes) -> io.BufferedReader:
    return io.BufferedReader(Wire(*pieces), PIECE)


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
    """Status, headers, payload, and whether the connection can go on; at once or in pieces."""
    whole = Answer(reading(told))
    assert (whole.status, whole.will_close) == (status, will_close)
    assert headers.items() <= whole.headers.items()
    assert whole.read() == payload
    assert whole.is_whole
    in_pieces = Answer(reading(told))
    assert b"".join(in_pieces.pieces()) == payload
    assert in_pieces.is_whole


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
        (HEAD + b"A: " + b"x" * 70_000 + b"\r\n\r\n", "a line is too long"),
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
    """Nothing of what came is in its text."""
    with pytest.raises(ConnectionError, match=said):
        Answer(reading(told)).read()
    with pytest.raises(ConnectionError, match=said):
        list(Answer(reading(told)).pieces())


def test_a_length_that_does_not_come_takes_no_memory() -> None:
    """A petabyte that is only told of."""
    answer = Answer(reading(HEAD + b"Content-Length: 999999999999999\r\n\r\nx"[:-1]))
    with pytest.raises(ConnectionError):
        answer.read()
    assert not answer.is_whole


@given(
    payload=st.binary(max_size=300),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 700), max_size=12),
)
def test_splits_anywhere_change_nothing(payload: bytes, sizes: list[int], cuts: list[int]) -> None:
    """Chunked any way, arriving in any pieces, with the next answer behind it."""
    rest, chunks = payload, b""
    for size in sizes:
        piece, rest = rest[:size], rest[size:]
        if piece:
            chunks += b"%x\r\n%s\r\n" % (len(piece), piece)
    chunks += b"%x\r\n%s\r\n" % (len(rest), rest) if rest else b""
    told = CHUNKED + chunks + b"0\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nhi"
    marks = sorted({0, len(told), *(cut for cut in cuts if cut < len(told))})
    reader = reading(*(told[a:b] for a, b in itertools.pairwise(marks)))
    assert b"".join(Answer(reader).pieces()) == payload
    assert Answer(reader).read() == b"hi"
    assert reader.read() == b""


@given(st.binary(max_size=400))
def test_no_bytes_can_break_it(told: bytes) -> None:
    """Whatever comes is an answer or a ``ConnectionError``."""
    with contextlib.suppress(ConnectionError):
        Answer(reading(b"HTTP/1.1 200 OK\r\n" + told)).read()


def test_what_has_come_is_given_before_the_rest() -> None:
    """Half a chunk is there to be used."""
    pieces = Answer(reading(CHUNKED + b"6\r\nabc", b"def\r\n0\r\n\r\n")).pieces()
    assert next(pieces) == b"abc"
    assert list(pieces) == [b"def"]
