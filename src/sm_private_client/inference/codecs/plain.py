"""Text and raw bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sm_private_client.errors import PayloadError
from sm_private_client.inference.codecs.codec import refusal

__all__ = ["BytesCodec", "TextCodec"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextCodec:
    """Text, in UTF-8."""

    content_type: ClassVar[str] = "text/plain"

    def encode(self, data: object) -> bytes:
        """Gives the body; see ``Codec``."""
        if not isinstance(data, str):
            raise refusal("text", data, "str")
        try:
            return data.encode()
        except UnicodeEncodeError as error:
            position = error.start
        raise PayloadError(f"Character {position} of the text is a lone surrogate.")

    def decode(self, body: bytes, *, like: object = None) -> str:
        """Gives the text; ``like`` changes nothing."""
        del like
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            position = error.start
        # Raised here, not where it was caught: that error holds the payload.
        raise PayloadError(f"The payload is not valid utf-8 at byte {position}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class BytesCodec:
    """Bytes as they are."""

    content_type: ClassVar[str] = "application/octet-stream"

    def encode(self, data: object) -> bytes:
        """Gives the body; see ``Codec``."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise refusal("bytes", data, "bytes, bytearray, memoryview")
        return bytes(data)

    def decode(self, body: bytes, *, like: object = None) -> bytes:
        """Gives the bytes; ``like`` changes nothing."""
        del like
        return body
