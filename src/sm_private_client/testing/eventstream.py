"""Encode ``application/vnd.amazon.eventstream`` frames.

A frame is: total length, headers length and the CRC of these two; headers; payload; the CRC of
all before it. Numbers are big-endian, CRCs are CRC-32. A header is: length of its name in one
byte, name, type 7 (string), length of its value in two bytes, value.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONTENT_TYPE", "encode_event", "encode_exception", "encode_frame"]

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
