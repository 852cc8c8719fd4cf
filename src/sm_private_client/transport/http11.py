"""HTTP/1.1 without I/O: a request as bytes, and an answer read from bytes (RFC 9112).

``http.client`` reads heads with the parser for e-mail, which was a quarter of a call's work, and
takes some broken framing for a whole payload. Here all unclear framing is an error: each byte on a
connection that is kept must belong to one answer or the next.
"""

from __future__ import annotations

import functools
import re
from operator import methodcaller
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from sm_private_client.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "FIRST_ERROR",
    "HttpRequest",
    "HttpResponse",
    "ResponseReader",
    "check_size",
    "request_head",
]

FIRST_ERROR: Final = 300
"""A status from here on is an error to botocore's parsers, and its payload is small."""

_HEAD_LIMIT: Final = 64 * 1024  # bytes of a head, a chunk's size or the trailers
_MOST_FIELDS: Final = 100  # headers, or trailers; http.client's limit
_MOST_INTERIM: Final = 100  # answers before the final one; a peer that has more has no final one
_WITHOUT_PAYLOAD: Final = frozenset({204, 304})  # RFC 9112, 6.3
_FIRST_FINAL: Final = 200
_SWITCHING: Final = 101
_LENGTH_DIGITS: Final = 15  # more would be an exabyte

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110, 5.6.2
_SENT: Final = re.compile(rf"(?:{_NAME}: [\t -~]*\r\n)+")  # printable ASCII
_BEGIN: Final = b"HTTP/1."
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_STATUS: Final = re.compile(r"HTTP/(1\.[01]) ([1-9][0-9][0-9])(?: [^\0\r\n]*)?\r?\n")
_VALUE: Final = r"[^\0\r\n]*(?:\r?\n[ \t][^\0\r\n]*)*"
"""A line that begins with a space goes on with the value of the one before (RFC 9112, 5.2). A CR
within a value is a line end to some (RFC 9112, 2.2)."""
_FIELD: Final = re.compile(rf"({_NAME}):({_VALUE})\r?\n")
_FIELDS: Final = re.compile(rf"(?:{_NAME}:{_VALUE}\r?\n)*")
_PARTED: Final = methodcaller("partition", ":")
_FOLD: Final = re.compile(r"[ \t]*\r?\n[ \t]+")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
"""A chunk's size and extensions, whose line no lone LF may end (RFC 9112, 7.1)."""


class HttpRequest(NamedTuple):
    """One request, not signed yet.

    The path is percent-encoded as it goes on the wire, without that of the endpoint URL. The
    headers lack ``Host``, ``Content-Length``, ``User-Agent`` and those that the signature adds.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class HttpResponse(NamedTuple):
    """One whole answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    availability_zone: str | None = None  # of the address that answered


def request_head(
    method: str, path: str, headers: tuple[tuple[str, str], ...], more: Sequence[tuple[str, str]]
) -> bytes:
    """Return the head of a request as it goes on the wire.

    The lines of ``headers``, which calls of one kind have in common, are cached; those of ``more``
    are not.

    Raises:
        ConfigurationError: A header could not go on the wire as it is.
    """
    return f"{method} {path} HTTP/1.1\r\n{_common(headers)}{_lines(more)}\r\n".encode("ascii")


def _lines(headers: Sequence[tuple[str, str]]) -> str:
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
    # A line end within a value would begin another header.
    if not _SENT.fullmatch(fields) or fields.count("\n") != len(headers):
        name = next(n for n, v in headers if not _SENT.fullmatch(f"{n}: {v}\r\n") or "\n" in n + v)
        raise ConfigurationError(  # without the value: it may be a token
            f"The header {name!r} cannot be sent.",
            cause="a header is printable ASCII, without line ends.",
            remedy="encode its value, for example with percent signs or as Base64.",
        )
    return fields


_common: Final = functools.lru_cache(maxsize=256)(_lines)


class ResponseReader:
    """Reads one answer: bytes go in as they arrive, chunks of the payload come out.

    Args:
        limit: The most bytes of payload; ``None``: any number.
        only_errors: Apply the limit to the answer of an error only, not to a stream.

    Attributes:
        status: The final status, 0 until the head has come; interim ones (100, 103) are skipped.
        headers: Names in lower case; values of one name are joined with a comma.
        has_begun: Whether a byte has come.
        is_whole: Whether all of the answer has come.
        has_surplus: Whether more than that has come.
        will_close: Whether the peer ends the connection after it.
    """

    status = 0
    has_begun = is_whole = has_surplus = will_close = False
    _rest = b""  # of a head, a chunk's size or the trailers, which has not come whole
    _interim = 0
    _is_chunked = False
    _left: int | None = 0  # bytes of the payload, or of this chunk; None: up to the end
    _ends_chunk = _in_trailers = False
    _taken = 0

    def __init__(self, *, limit: int | None = None, only_errors: bool = False) -> None:
        self.headers: dict[str, str] = {}
        self._limit = limit
        self._only_errors = only_errors

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes that have come; return the chunks of payload that are in them.

        Raises:
            ConnectionError: It is not HTTP/1.1.
            PayloadError: The payload is larger than the limit.
        """
        if not data:
            return []
        self.has_begun = True
        if self.is_whole:
            self.has_surplus = True
            return []
        chunks: list[bytes] = []
        at = 0
        if self._rest:
            at = max(0, len(self._rest) - 2)  # what came before has no end of a head
            data = self._rest + data
            self._rest = b""
        if not self.status:
            at = self._read_head(data, at)
            if not self.status:
                return chunks
        elif self._is_chunked:
            at = 0
        if self._is_chunked:
            at = self._read_chunks(data, at, chunks)
        elif self._left is None:
            if at < len(data):
                self._count(len(data) - at)
                chunks.append(data[at:] if at else data)
            return chunks
        else:
            piece = data[at : at + self._left] if at or len(data) > self._left else data
            at += len(piece)
            self._left -= len(piece)
            if piece:
                chunks.append(piece)
            self.is_whole = not self._left
        self.has_surplus = self.is_whole and at < len(data)
        return chunks

    def end(self) -> None:
        """Take note that nothing more comes.

        Raises:
            ConnectionError: Something is missing.
        """
        if self.status and self._left is None:
            self.is_whole = True
        if not self.is_whole:
            raise ConnectionAbortedError("the peer closed the connection before it had answered")

    def _read_head(self, data: bytes, searched: int) -> int:
        """Read the final head if all of it has come; return the offset of the payload."""
        at = 0
        while True:
            if not data.startswith(_BEGIN, at) and not _BEGIN.startswith(data[at:]):
                _refuse("its first line is not a status")
            found = _HEAD_END.search(data, max(at, searched))
            size = (found.end() if found else len(data) + 1) - at
            if size > _HEAD_LIMIT:
                _refuse("its head is too long")
            if found is None:
                self._rest = data[at:]
                return 0
            head = data[at : found.start() + 1].decode("latin-1")
            at = found.end()
            line = _STATUS.match(head)
            if line is None:
                _refuse("its first line is not a status")
            status = int(line[2])
            headers = _fields(head, line.end())
            if status >= _FIRST_FINAL:
                break
            if status == _SWITCHING:
                _refuse("it switches protocols unasked")
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                _refuse("it has too many interim answers")
        self.status = status
        self.headers = headers
        self._frame(line[1])
        return at

    def _frame(self, version: str) -> None:
        """Find out how long the payload is, and whether the connection goes on after it."""
        headers = self.headers
        if self._only_errors and self.status < FIRST_ERROR:
            self._limit = None
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if self.status in _WITHOUT_PAYLOAD:
            self.is_whole = True
        elif coding is not None:
            if coding.lower() != "chunked":
                _refuse("its transfer coding was not asked for")
            self._is_chunked = True
            # RFC 9112, 6.1: somebody on the way may have been misled
            self.will_close = version == "1.0" or length is not None
        elif length is None:
            self._left = None
            self.will_close = True
        else:
            self._left = _length(length)
            self._count(self._left)
            self.is_whole = not self._left
        options = headers.get("connection")
        if options is not None or version == "1.0":
            options = (options or "").lower()
            if "close" in options or (version == "1.0" and "keep-alive" not in options):
                self.will_close = True

    def _read_chunks(self, data: bytes, at: int, chunks: list[bytes]) -> int:
        """Read as many chunks as have come; return the offset of the rest."""
        while not self._in_trailers:
            if self._left:
                piece = data[at : at + self._left]
                if piece:
                    chunks.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    return at
                self._ends_chunk = True
            if self._ends_chunk:
                end = data[at : at + 2]
                if end != b"\r\n":
                    if not b"\r\n".startswith(end):
                        _refuse("a chunk has no end")
                    self._rest = end
                    return len(data)
                at += 2
                self._ends_chunk = False
            line_end = data.find(b"\n", at) + 1
            if (line_end or len(data) + 1) - at > _HEAD_LIMIT:
                _refuse("a line is too long")
            if not line_end:
                self._rest = data[at:]
                return len(data)
            line = _CHUNK.fullmatch(data, at, line_end)
            if line is None:
                _refuse("a chunk has no size")
            at = line_end
            self._left = int(line[1], 16)
            self._count(self._left)
            self._in_trailers = not self._left
        return self._read_trailers(data, at)

    def _read_trailers(self, data: bytes, at: int) -> int:
        """Check the trailers, which no caller needs; return the offset after them."""
        trailers = b"\n" + data[at:]  # the line end before them may be that of an empty line
        found = _HEAD_END.search(trailers)
        if (found.end() if found else len(trailers) + 1) > _HEAD_LIMIT:
            _refuse("its trailers are too long")
        if found is None:
            self._rest = data[at:]
            return len(data)
        _fields(trailers[1 : found.start() + 1].decode("latin-1"), 0)
        self.is_whole = True
        return at + found.end() - 1

    def _count(self, size: int) -> None:
        """Refuse a payload that is larger than the limit, before it is taken."""
        self._taken += size
        check_size(self._taken, self._limit)


def check_size(size: int, limit: int | None) -> None:
    """Refuse an answer that is larger than its limit.

    Raises:
        PayloadError: It is.
    """
    if limit is not None and size > limit:
        raise PayloadError(
            f"The answer has more than {limit:,} bytes; it was not read to its end.",
            cause=f"max_response_bytes is {limit:,}.",
            remedy="pass a larger max_response_bytes= to the predictor, or use stream().",
        )


def _fields(head: str, at: int) -> dict[str, str]:
    """Return the headers of a head from a place on."""
    if not _FIELDS.fullmatch(head, at):
        _refuse("a header is not one")
    lines = head[at:].split("\r\n")
    count = head.count("\n", at)
    if count > _MOST_FIELDS:
        _refuse("it has too many headers")
    headers = {name.lower(): value.strip(" \t") for name, _, value in map(_PARTED, lines[:-1])}
    is_folded = "\n " in head or "\n\t" in head
    if not is_folded and len(headers) == len(lines) - 1 == count:
        return headers
    headers = {}  # something came twice, is continued, or ends its lines as is not usual
    for name, value in _FIELD.findall(head, at):
        lowered, whole = name.lower(), _FOLD.sub(" ", value).strip(" \t")
        headers[lowered] = f"{headers[lowered]}, {whole}" if lowered in headers else whole
    return headers


def _length(value: str) -> int:
    if value.isdecimal() and value.isascii() and len(value) <= _LENGTH_DIGITS:
        return int(value)
    lengths = {text.strip(" \t") for text in value.split(",")}
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()) or len(length) > _LENGTH_DIGITS:
        _refuse("its length is not clear")
    return int(length)


def _refuse(why: str) -> NoReturn:
    raise ConnectionError(f"the answer is not HTTP/1.1: {why}")
