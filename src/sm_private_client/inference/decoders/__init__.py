"""Decode what a stream carries: text, lines, JSON values, Server-Sent Events.

Pure: bytes are fed in as they arrive, cut anywhere, and the items they complete come out; what
comes out, failures included, is the same for every way of cutting. Synchronous and asynchronous
streams share these classes.
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
