"""Decoders of streams, without I/O: text, lines, JSON values, Server-Sent Events.

They are fed with bytes as these arrive, and return the items that are complete. Items and failures
are the same however the bytes are cut. Synchronous and asynchronous streams share them.
"""

from __future__ import annotations

from sm_private_client.inference.decoders.json_values import JsonDecoder
from sm_private_client.inference.decoders.text import (
    ChatChunkDecoder,
    Decoder,
    LineDecoder,
    ServerSentEvent,
    ServerSentEventDecoder,
    TextDecoder,
)

__all__ = [
    "ChatChunkDecoder",
    "Decoder",
    "JsonDecoder",
    "LineDecoder",
    "ServerSentEvent",
    "ServerSentEventDecoder",
    "TextDecoder",
]
