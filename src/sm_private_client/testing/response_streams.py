"""The body of a response stream: one event a part, and what may go wrong on the way.

Each step is a generator over the frames of the step before it, and is only there while its
fault is on.
"""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from typing import TYPE_CHECKING, Final, cast

from sm_private_client.testing.hosting import failure_of
from sm_private_client.testing.http_connection import ConnectionCut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.runtime_faults import Cut, Stall, StreamError

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


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Gives one frame with string headers."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    frame = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
    return frame + struct.pack("!I", zlib.crc32(frame))


def encode_event(event_type: str, payload: bytes) -> bytes:
    """Gives an event whose payload is a blob, such as ``PayloadPart``."""
    return encode_frame(
        {
            ":event-type": event_type,
            ":content-type": "application/octet-stream",
            ":message-type": "event",
        },
        payload,
    )


def encode_exception(exception_type: str, document: bytes) -> bytes:
    """Gives a modelled exception, such as ``ModelStreamError``, with its JSON document."""
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


PART_LIMIT: Final = 64 * 1024
"""Bytes; longer parts of a model are sent as several events."""


def stream_body(
    parts: Iterable[bytes],
    *,
    faults: Faults,
    endpoint_name: str,
    pause: Callable[[float | None], None],
) -> Iterable[bytes]:
    """Gives the bytes of a response stream, piece by piece as they are written.

    Args:
        parts: What the model gives; an empty part is left out.
        faults: What goes wrong.
        endpoint_name: The inference endpoint.
        pause: Waits so many seconds; ends the connection where the client goes away.
    """
    data: Iterable[bytes] = _events(parts)
    if fault := faults.take("stream-error", endpoint_name):
        data = _ending_in_error(data, cast("StreamError", fault.value))
    if fault := faults.take("delay-parts", endpoint_name):
        data = _delayed(data, cast("float", fault.value), pause)
    if fault := faults.take("stall-in-stream", endpoint_name):
        data = _stalled(data, cast("Stall", fault.value), pause)
    if fault := faults.take("cut-after-parts", endpoint_name):
        data = _cut_after_parts(data, cast("Cut", fault.value))
    if fault := faults.take("split", endpoint_name):
        data = _in_pieces(data, cast("tuple[int, ...]", fault.value))
    if fault := faults.take("cut-after-bytes", endpoint_name):
        data = cut_after_bytes(data, cast("Cut", fault.value))
    return data


def cut_after_bytes(data: Iterable[bytes], cut: Cut) -> Iterator[bytes]:
    """Gives the first bytes of a body, then cuts; at its end where it is shorter."""
    left = cut.after
    for piece in data:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            break
    raise ConnectionCut(cut.how)


def _events(parts: Iterable[bytes]) -> Iterator[bytes]:
    try:
        for part in parts:
            for start in range(0, len(part), PART_LIMIT):
                yield encode_event("PayloadPart", part[start : start + PART_LIMIT])
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug
        yield _exception(
            "ModelStreamError",
            {"Message": failure_of(error).message, "ErrorCode": "StreamBroken"},
        )


def _ending_in_error(frames: Iterable[bytes], error: StreamError) -> Iterator[bytes]:
    yield from itertools.islice(frames, error.after_parts)
    yield _exception(error.code, error.document)


def _delayed(
    frames: Iterable[bytes], seconds: float, pause: Callable[[float | None], None]
) -> Iterator[bytes]:
    for frame in frames:
        pause(seconds)
        yield frame


def _stalled(
    frames: Iterable[bytes], stall: Stall, pause: Callable[[float | None], None]
) -> Iterator[bytes]:
    coming = iter(frames)
    yield from itertools.islice(coming, stall.after_parts)
    pause(stall.seconds)
    yield from coming


def _cut_after_parts(frames: Iterable[bytes], cut: Cut) -> Iterator[bytes]:
    yield from itertools.islice(frames, cut.after)
    raise ConnectionCut(cut.how)


def _in_pieces(frames: Iterable[bytes], sizes: Sequence[int]) -> Iterator[bytes]:
    waiting = bytearray()
    turn = itertools.cycle(sizes)
    size = next(turn)
    try:
        for frame in frames:
            waiting += frame
            while len(waiting) >= size:
                yield bytes(waiting[:size])
                del waiting[:size]
                size = next(turn)
    except ConnectionCut:
        yield bytes(waiting)  # what came before the cut
        raise
    yield bytes(waiting)


def _exception(code: str, document: dict[str, str]) -> bytes:
    return encode_exception(code, json.dumps(document).encode())
