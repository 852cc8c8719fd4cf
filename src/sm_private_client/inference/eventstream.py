"""Decoders of ``application/vnd.amazon.eventstream`` frames, without I/O.

A frame is: total length, headers length and the CRC of these two; headers; payload; the CRC of
all before it. Numbers are big-endian, CRCs are CRC-32. The layout, the header types and the limits
are those of the Smithy specification "Amazon Event Stream" and of ``botocore.eventstream``.

The errors are botocore's own; ``StreamError`` is for those that botocore raises as a ``KeyError``
or ``struct.error``.
"""

from __future__ import annotations

import json
import struct
import zlib
from abc import abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, TypeVar

from botocore.eventstream import (
    ChecksumMismatch,
    DuplicateHeader,
    InvalidHeadersLength,
    InvalidPayloadLength,
    ParserError,
)
from botocore.exceptions import HTTPClientError

from sm_private_client.errors import StreamError, StreamInterruptedError
from sm_private_client.inference.decoders import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = [
    "FrameDecoder",
    "PayloadPartDecoder",
    "error_response",
    "interrupted",
    "payload_parts",
]

HEADERS_LIMIT: Final = 128 * 1024
"""Bytes of headers in a frame; Smithy, "Amazon Event Stream", and botocore."""

PAYLOAD_LIMIT: Final = 24 * 1024 * 1024
"""Bytes of payload in a frame; the same sources."""

Headers: TypeAlias = "Mapping[str, bool | int | bytes | str]"
"""Names and values; byte arrays and UUIDs are bytes, a timestamp is in milliseconds since 1970."""

_PRELUDE: Final = struct.Struct("!III")
_CHECKSUM: Final = struct.Struct("!I")
_OVERHEAD: Final = _PRELUDE.size + _CHECKSUM.size
_NUMBERS: Final = {
    2: struct.Struct("!b"),
    3: struct.Struct("!h"),
    4: struct.Struct("!i"),
    5: struct.Struct("!q"),
    8: struct.Struct("!q"),
}
_LENGTH: Final = struct.Struct("!H")
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9

T = TypeVar("T")


class FrameDecoder(Decoder[T]):
    """Decoder of frames; its subclasses turn a frame into an item.

    Its failures: botocore's ``ChecksumMismatch``, ``DuplicateHeader``, ``InvalidHeadersLength``
    and ``InvalidPayloadLength``; ``StreamError`` for a frame that is malformed otherwise; at the
    end ``StreamInterruptedError`` if that is inside a frame (botocore ends without an error).
    """

    _failures: ClassVar[tuple[type[Exception], ...]] = (ParserError, StreamError)

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []
        self._size = 0
        self._needed = _PRELUDE.size
        self._events = 0
        # A stream repeats the same header block in nearly every frame: parse it once.
        self._block: bytes | None = None
        self._headers: Headers = MappingProxyType({})

    @abstractmethod
    def _item(self, headers: Headers, payload: bytes) -> T | None:
        """Return the item of a frame; ``None`` to skip the frame."""

    def _take(self, data: bytes) -> Iterator[T]:
        self._chunks.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return
        joined = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        start, size = 0, len(joined)
        while size - start >= _PRELUDE.size:
            total, headers_length, checksum = _PRELUDE.unpack_from(joined, start)
            _check_prelude(joined[start : start + 8], total, headers_length, checksum)
            if size - start < total:
                self._needed = total
                break
            item = self._frame(joined, start, total, headers_length, checksum)
            if item is not None:
                yield item
            start += total
        else:
            self._needed = _PRELUDE.size
        self._chunks = [joined[start:]] if start < size else []
        self._size = size - start

    def _frame(
        self, data: bytes, start: int, total: int, headers_length: int, checksum: int
    ) -> T | None:
        headers_start = start + _PRELUDE.size
        payload_start = headers_start + headers_length
        payload_end = start + total - _CHECKSUM.size
        (expected,) = _CHECKSUM.unpack_from(data, payload_end)
        # The CRC of the first eight bytes is known to be right: go on from it, as botocore does.
        calculated = zlib.crc32(memoryview(data)[start + 8 : payload_end], checksum)
        if calculated != expected:
            raise ChecksumMismatch(expected, calculated)
        block = data[headers_start:payload_start]
        if block != self._block:
            self._headers = MappingProxyType(_parse_headers(block))
            self._block = block
        self._events += 1
        return self._item(self._headers, data[payload_start:payload_end])

    def _end(self) -> Iterator[T]:
        if self._size:
            raise StreamInterruptedError(
                f"The event stream ended inside a frame, after {self._events} whole ones and "
                f"{self._size} bytes more.",
                parts_received=self._events,
                cause="the connection was closed before the service had sent the whole answer.",
            )
        yield from ()


class PayloadPartDecoder(FrameDecoder[bytes]):
    """Decoder of the bytes of each PayloadPart; other events, which may come one day, are skipped.

    Args:
        exceptions: Returns the exception for an in-stream error from botocore's error response
            (see ``error_response``), for example with ``client.exceptions.from_code``.
    """

    _failures = (Exception,)  # whatever ``exceptions`` returns

    def __init__(self, exceptions: Callable[[dict[str, Any]], Exception]) -> None:
        super().__init__()
        self._exceptions = exceptions
        self._part_headers: Headers | None = None  # of the last part; mostly the next one's too
        self.parts_received = 0

    def _item(self, headers: Headers, payload: bytes) -> bytes | None:
        if headers is not self._part_headers:
            if headers.get(":message-type") in {"error", "exception"}:
                raise self._exceptions(error_response(headers, payload))
            if headers.get(":event-type") != "PayloadPart":
                return None
            self._part_headers = headers
        self.parts_received += 1
        return payload


def payload_parts(
    chunks: Iterable[bytes], exceptions: Callable[[dict[str, Any]], Exception]
) -> Iterator[bytes]:
    """Yield the bytes of each PayloadPart of a body.

    Args:
        chunks: The body of the HTTP answer, cut anywhere.
        exceptions: As for ``PayloadPartDecoder``.

    Raises:
        StreamInterruptedError: ``chunks`` raised a connection error of botocore's, which is its
            ``__cause__``, or ended inside a frame.
        Exception: The exception of an in-stream error.
    """
    decoder = PayloadPartDecoder(exceptions)
    try:
        for chunk in chunks:
            yield from decoder.feed(chunk)
            decoder.check()
    except HTTPClientError as error:
        raise interrupted(decoder.parts_received, error) from error
    yield from decoder.finish()


def interrupted(parts_received: int, error: Exception) -> StreamInterruptedError:
    """Return the error for a connection that failed while parts came."""
    return StreamInterruptedError(
        f"The response stream was cut after {parts_received} parts: {type(error).__name__}.",
        parts_received=parts_received,
        cause="the connection was lost or stayed silent longer than the time-out.",
        remedy="use what arrived, or send the request again if the model is safe to repeat.",
    )


def error_response(headers: Headers, payload: bytes) -> dict[str, Any]:
    """Return an error or exception frame as botocore's error response.

    Returns:
        ``{"Error": {"Code": …, "Message": …}}``, and for a modelled exception its further
        members, such as ModelStreamError's ``ErrorCode`` (which botocore drops).
    """
    code = headers.get(":exception-type")
    if code is None:
        code = headers.get(":error-code", "")
        message = headers.get(":error-message", "")
        return {"Error": {"Code": str(code), "Message": str(message)}}
    try:
        members = json.loads(payload or b"{}")
    except ValueError:  # an error without its document is still that error
        members = {}
    members = dict(members) if isinstance(members, dict) else {}
    message = members.pop("Message", members.pop("message", ""))
    return {"Error": {"Code": str(code), "Message": message}, **members}


def _check_prelude(lengths: bytes, total: int, headers_length: int, checksum: int) -> None:
    calculated = zlib.crc32(lengths)
    if calculated != checksum:
        raise ChecksumMismatch(checksum, calculated)
    if headers_length > HEADERS_LIMIT:
        raise InvalidHeadersLength(headers_length)
    payload_length = total - headers_length - _OVERHEAD
    if payload_length > PAYLOAD_LIMIT:
        raise InvalidPayloadLength(payload_length)
    if payload_length < 0:
        raise _malformed(f"is {total} bytes long with {headers_length} bytes of headers")


def _parse_headers(block: bytes) -> dict[str, bool | int | bytes | str]:
    headers: dict[str, bool | int | bytes | str] = {}
    position = 0
    try:
        while position < len(block):
            name_end = position + 1 + block[position]
            name = block[position + 1 : name_end].decode()
            value, position = _parse_value(block, name_end)
            if name in headers:
                raise DuplicateHeader(name)
            headers[name] = value
    except (IndexError, struct.error, UnicodeDecodeError):
        position = -1
    if position != len(block):
        raise _malformed("has headers that are cut short or not UTF-8")
    return headers


def _parse_value(block: bytes, position: int) -> tuple[bool | int | bytes | str, int]:
    """Return the value whose type is at this position, and the position after it."""
    kind = block[position]
    position += 1
    if kind in {_TRUE, _FALSE}:
        return kind == _TRUE, position
    if number := _NUMBERS.get(kind):
        return number.unpack_from(block, position)[0], position + number.size
    if kind == _UUID:
        return block[position : position + 16], position + 16
    if kind in {_BYTES, _STRING}:
        (length,) = _LENGTH.unpack_from(block, position)
        position += _LENGTH.size
        value = block[position : position + length]
        return (value if kind == _BYTES else value.decode()), position + length
    raise _malformed(f"has a header of type {kind}, which does not exist")


def _malformed(how: str) -> StreamError:
    return StreamError(
        f"A frame of the event stream {how}.",
        cause="what answered does not speak application/vnd.amazon.eventstream correctly.",
    )
