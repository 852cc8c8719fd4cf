"""Codec: the seam that every way of writing a payload fills, and how refusals are worded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from sm_private_client.errors import PayloadError

__all__ = ["BytesCodec", "Codec", "Payload", "TextCodec", "refusal", "type_name"]


class Codec(Protocol):
    """Turns Python values into bytes of one content type, and back; give your own to a predictor.

    Pickle it with the predictor: keep settings in it, no handles.
    """

    @property
    def content_type(self) -> str:
        """What is sent as ``Content-Type``, and as ``Accept``."""
        ...

    def encode(self, data: Any) -> bytes:  # noqa: ANN401 - a codec takes what it takes
        """Gives the body.

        Raises:
            PayloadError: It cannot be encoded; the text names the type, never the value.
        """
        ...

    def decode(self, body: bytes, *, like: object = None) -> Any:  # noqa: ANN401 - an array
        """Gives what the body holds.

        Args:
            body: The answer's bytes; UTF-8 where they are text.
            like: What was sent; an answer of the same library is given where there is a choice.

        Raises:
            PayloadError: It cannot be decoded; the text says where, never what.
        """
        ...


class Payload(NamedTuple):
    """What is sent.

    Attributes:
        body: The bytes.
        content_type: Their content type.
        accept: The content type that is asked for.
    """

    body: bytes
    content_type: str
    accept: str

    def __repr__(self) -> str:
        return (
            f"Payload(body=<{len(self.body)} bytes>, content_type={self.content_type!r}, "
            f"accept={self.accept!r})"
        )


def type_name(value: object) -> str:
    """Gives a type as users know it: ``dict``, ``numpy.ndarray``, ``pandas.DataFrame``."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if package == "builtins":
        return kind.__qualname__
    short = package in {"numpy", "pandas", "pyarrow"}
    return f"{package if short else kind.__module__}.{kind.__qualname__}"


def refusal(codec: str, data: object, takes: str, *, remedy: str = "") -> PayloadError:
    """Makes the error for an input of a type that a codec does not take."""
    return PayloadError(
        f"The {codec} codec cannot encode {type_name(data)}: it takes {takes}.",
        remedy=remedy or "convert it, or name another codec=.",
    )


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
