"""The body of a response stream: one event a part, and what may go wrong on the way."""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from typing import TYPE_CHECKING, Final

from sm_private_client.testing.hosting import failure_of
from sm_private_client.testing.http_connection import ConnectionCut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.http_connection import HowCut

__all__ = [
    "CONTENT_TYPE",
    "cut_after_bytes",
    "encode_event",
    "encode_exception",
    "encode_frame",
    "stream_body",
]

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
_STRING: Final = 7
PART_LIMIT: Final = 64 * 1024
"""Bytes; longer parts of a model are sent as several events."""


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one frame with string headers."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    frame = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
    return frame + struct.pack("!I", zlib.crc32(frame))


def encode_event(event_type: str, payload: bytes) -> bytes:
    """Return an event whose payload is a blob, such as ``PayloadPart``."""
    return encode_frame(
        {
            ":event-type": event_type,
            ":content-type": "application/octet-stream",
            ":message-type": "event",
        },
        payload,
    )


def encode_exception(exception_type: str, document: bytes) -> bytes:
    """Return a modelled exception, such as ``ModelStreamError``, with its JSON document."""
    return encode_frame(
        {
            ":exception-type": exception_type,
            ":content-type": "application/json",
            ":message-type": "exception",
        },
        document,
    )


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", _STRING, len(text)) + text


def stream_body(
    parts: Iterable[bytes],
    *,
    faults: Faults,
    endpoint_name: str,
    pause: Callable[[float | None], None],
) -> Iterable[bytes]:
    """Return the bytes of a response stream, piece by piece as they are written.

    Each fault that is on puts one more generator over the frames.

    Args:
        parts: What the model gives; an empty part is left out.
        faults: What goes wrong.
        endpoint_name: The inference endpoint.
        pause: Waits so many seconds; ends the connection if the client goes away.
    """
    data: Iterable[bytes] = _events(parts)
    if fault := faults.take("stream-error", endpoint_name):
        data = _end_in_error(data, *fault.value)
    if fault := faults.take("delay-parts", endpoint_name):
        data = _delay(data, fault.value, pause)
    if fault := faults.take("stall-in-stream", endpoint_name):
        data = _stall(data, pause, *fault.value)
    if fault := faults.take("cut-after-parts", endpoint_name):
        data = _cut_after_parts(data, *fault.value)
    if fault := faults.take("split", endpoint_name):
        data = _split(data, fault.value)
    if fault := faults.take("cut-after-bytes", endpoint_name):
        data = cut_after_bytes(data, *fault.value)
    return data


def cut_after_bytes(data: Iterable[bytes], after: int, how: HowCut) -> Iterator[bytes]:
    """Yield the first bytes of a body, then cut; at its end if it is shorter."""
    for piece in data:
        yield piece[:after]
        after -= len(piece)
        if after <= 0:
            break
    raise ConnectionCut(how)


def _events(parts: Iterable[bytes]) -> Iterator[bytes]:
    try:
        for part in parts:
            for start in range(0, len(part), PART_LIMIT):
                yield encode_event("PayloadPart", part[start : start + PART_LIMIT])
    except Exception as error:  # noqa: BLE001 - whatever a user's model raises ends the stream
        document = {"Message": failure_of(error).message, "ErrorCode": "StreamBroken"}
        yield encode_exception("ModelStreamError", json.dumps(document).encode())


def _end_in_error(
    frames: Iterable[bytes], code: str, document: dict[str, str], after_parts: int
) -> Iterator[bytes]:
    yield from itertools.islice(frames, after_parts)
    yield encode_exception(code, json.dumps(document).encode())


def _delay(
    frames: Iterable[bytes], seconds: float, pause: Callable[[float | None], None]
) -> Iterator[bytes]:
    for frame in frames:
        pause(seconds)
        yield frame


def _stall(
    frames: Iterable[bytes],
    pause: Callable[[float | None], None],
    seconds: float | None,
    after_parts: int,
) -> Iterator[bytes]:
    remaining = iter(frames)
    yield from itertools.islice(remaining, after_parts)
    pause(seconds)
    yield from remaining


def _cut_after_parts(frames: Iterable[bytes], after: int, how: HowCut) -> Iterator[bytes]:
    yield from itertools.islice(frames, after)
    raise ConnectionCut(how)


def _split(frames: Iterable[bytes], sizes: Sequence[int]) -> Iterator[bytes]:
    buffer = bytearray()
    next_sizes = itertools.cycle(sizes)
    size = next(next_sizes)
    try:
        for frame in frames:
            buffer += frame
            while len(buffer) >= size:
                yield bytes(buffer[:size])
                del buffer[:size]
                size = next(next_sizes)
    except ConnectionCut:
        yield bytes(buffer)  # what came before the cut
        raise
    yield bytes(buffer)
