"""Answer: an HTTP/1.1 answer as it is read from one connection (RFC 9112).

``http.client`` reads heads with the parser for e-mail, which was a quarter of a call's work, and
takes some broken framing for a whole payload. Here whatever is not clear is an error: the bytes
on a connection that is kept must all belong to one answer or the next.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PIECE", "Answer"]

PIECE: Final = 64 * 1024
"""Bytes that are read at once at the most."""

_LONGEST_LINE: Final = 64 * 1024  # bytes; http.client's limit
_MOST_LINES: Final = 100  # headers, or trailers; http.client's limit
_MOST_INTERIM: Final = 100  # answers before the final one; a peer that has more has no final one
_WITHOUT_PAYLOAD: Final = frozenset({204, 304})  # RFC 9112, 6.3
_FIRST_FINAL: Final = 200
_SWITCHING: Final = 101
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\0\r\n]*)\r?\n")
"""A name and a value (RFC 9110, 5.6.2 and 5.5). A CR within is a line end to some (9112, 2.2)."""
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
"""A chunk's size and extensions, whose line no lone LF may end (RFC 9112, 7.1)."""
_DIGITS: Final = 15  # of a length; more would be an exabyte
_LARGE: Final = 32 * 1024 * 1024  # bytes; memory for more is not taken before it has come


class Reader(Protocol):
    """What is read from; ``io.BufferedReader`` is one."""

    def readline(self, size: int, /) -> bytes:
        """Reads a line, or what there is of it before the end."""
        ...

    def read(self, size: int, /) -> bytes:
        """Reads so many bytes, or what there is of them before the end."""
        ...

    def read1(self, size: int, /) -> bytes:
        """Reads what has come, at least a byte unless the end has."""
        ...


class Answer:
    """One answer, whose head has been read and whose payload has not.

    Attributes:
        status: The final status; interim ones (100, 103) were passed over.
        headers: Names in lower case; what came twice is joined with a comma.
        is_whole: Whether all of the payload was read.
        will_close: Whether the peer ends the connection after it.
    """

    def __init__(self, reader: Reader) -> None:
        """Reads the head.

        Raises:
            ConnectionError: None came, it was cut, or it is not HTTP/1.
            OSError: As the reader.
        """
        self._reader = reader
        for _ in range(_MOST_INTERIM + 1):
            version, status = _status(_line(reader))
            if status == _SWITCHING:
                raise _not_http("it switches protocols unasked")
            self.headers = _headers(reader)
            if status >= _FIRST_FINAL:
                break
        else:
            raise _not_http("it has too many interim answers")
        self.status = status
        self._is_chunked = self._find_chunked()
        self._length = self._find_length()
        self.will_close = self._find_will_close(version)
        self.is_whole = not self._is_chunked and self._length == 0

    def read(self) -> bytes:
        """Reads the whole payload.

        Raises:
            ConnectionError: It was cut, or its framing is broken.
            OSError: As the reader.
        """
        if self._is_chunked or self._length is None or self._length > _LARGE:
            return b"".join(self.pieces())
        payload = self._reader.read(self._length)
        if len(payload) < self._length:
            raise _cut()
        self.is_whole = True
        return payload

    def pieces(self) -> Iterator[bytes]:
        """Gives the payload as it arrives, up to 64 KiB at a time.

        Raises:
            ConnectionError: It was cut, or its framing is broken.
            OSError: As the reader.
        """
        if self._is_chunked:
            yield from self._chunks()
        elif self._length is None:
            while piece := self._reader.read1(PIECE):
                yield piece
        else:
            yield from self._exactly(self._length)
        self.is_whole = True

    def _chunks(self) -> Iterator[bytes]:
        reader = self._reader
        while size := _chunk_size(_line(reader)):
            piece = reader.read1(min(size, PIECE))
            if not piece:
                raise _cut()
            yield piece
            if len(piece) < size:
                yield from self._exactly(size - len(piece))
            if reader.read(2) != b"\r\n":
                raise _not_http("a chunk has no end")
        _headers(reader)  # trailers, which no caller knows

    def _exactly(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._reader.read1(min(left, PIECE))
            if not piece:
                raise _cut()
            left -= len(piece)
            yield piece

    def _find_chunked(self) -> bool:
        coding = self.headers.get("transfer-encoding")
        if coding is None or self.status in _WITHOUT_PAYLOAD:
            return False
        if coding.lower() != "chunked":
            raise _not_http("its transfer coding was not asked for")
        return True

    def _find_length(self) -> int | None:
        """Gives the payload's bytes; ``None`` where only chunks or the connection's end tell."""
        if self.status in _WITHOUT_PAYLOAD:
            return 0
        told = self.headers.get("content-length")
        if told is None or self._is_chunked:
            return None
        lengths = {text.strip(" \t") for text in told.split(",")}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()) or len(length) > _DIGITS:
            raise _not_http("its length is not clear")
        return int(length)

    def _find_will_close(self, version: bytes) -> bool:
        if self._length is None and not self._is_chunked:
            return True
        if self._is_chunked and (version == b"HTTP/1.0" or "content-length" in self.headers):
            return True  # RFC 9112, 6.1: somebody on the way may have been misled
        said = self.headers.get("connection", "").lower()
        return "close" in said or (version == b"HTTP/1.0" and "keep-alive" not in said)


def _line(reader: Reader) -> bytes:
    line = reader.readline(_LONGEST_LINE + 1)
    if not line.endswith(b"\n"):
        raise _not_http("a line is too long") if len(line) > _LONGEST_LINE else _cut()
    return line


def _status(line: bytes) -> tuple[bytes, int]:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if (
        version not in {b"HTTP/1.1", b"HTTP/1.0"}
        or not code.isdigit()
        or code < b"100"
        or rest[3:4].strip()
        or b"\r" in line[:-2]
    ):
        raise _not_http("its first line is not a status")
    return version, int(code)


def _headers(reader: Reader) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for _ in range(_MOST_LINES + 1):
        line = _line(reader)
        if line in {b"\r\n", b"\n"}:
            return headers
        text = line.decode("latin-1")
        is_folded = name and text[0] in " \t"  # RFC 9112, 5.2 lets a client mend it
        field = _FIELD.fullmatch(f"{name}:{text}" if is_folded else text)
        if field is None:
            raise _not_http("a header is not one")
        name, value = field[1].lower(), field[2].strip(" \t")
        if is_folded:
            headers[name] = f"{headers[name]} {value}"
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raise _not_http("it has too many headers")


def _chunk_size(line: bytes) -> int:
    chunk = _CHUNK.fullmatch(line)
    if chunk is None:
        raise _not_http("a chunk has no size")
    return int(chunk[1], 16)


def _cut() -> ConnectionError:
    return ConnectionAbortedError("the peer closed the connection before it had answered")


def _not_http(why: str) -> ConnectionError:
    return ConnectionError(f"the answer is not HTTP/1.1: {why}")
