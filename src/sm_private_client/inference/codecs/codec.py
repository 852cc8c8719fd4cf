"""Codec: the interface of every form of a payload; text and bytes; the error of a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from sm_private_client.errors import PayloadError

if TYPE_CHECKING:
    from sm_private_client.types import Value

__all__ = ["BytesCodec", "Codec", "Payload", "TextCodec", "refusal", "type_name"]


class Codec(Protocol):
    """Python values as bytes of one content type, and back; a predictor takes your own, too.

    It is pickled with the predictor: it has settings, no handles.
    """

    @property
    def content_type(self) -> str:
        """The value of ``Content-Type`` and ``Accept``."""
        ...

    def encode(self, data: Value) -> bytes:
        """Return the body.

        Raises:
            PayloadError: It cannot be encoded; the text names the type, never the value.
        """
        ...

    def decode(self, body: bytes, *, like: object = None) -> Value:
        """Return the value of a body.

        Args:
            body: The answer's bytes; UTF-8 if they are text.
            like: What was sent. If there is a choice, the answer is of the same library.

        Raises:
            PayloadError: It cannot be decoded; the text has the position, never the value.
        """
        ...


class Payload(NamedTuple):
    """An encoded value.

    Attributes:
        body: The bytes.
        content_type: Their content type.
        accept: The content type to ask for.
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
    """Return a type as users know it: ``dict``, ``numpy.ndarray``, ``pandas.DataFrame``."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if package == "builtins":
        return kind.__qualname__
    short = package in {"numpy", "pandas", "pyarrow"}
    return f"{package if short else kind.__module__}.{kind.__qualname__}"


def refusal(codec: str, data: object, takes: str, *, remedy: str = "") -> PayloadError:
    """Return the error for an input of a type that a codec does not take."""
    return PayloadError(
        f"The {codec} codec cannot encode {type_name(data)}: it takes {takes}.",
        remedy=remedy or "convert it, or name another codec=.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TextCodec:
    """Text, in UTF-8."""

    content_type: ClassVar[str] = "text/plain"

    def encode(self, data: object) -> bytes:
        """See ``Codec``."""
        if not isinstance(data, str):
            raise refusal("text", data, "str")
        try:
            return data.encode()
        except UnicodeEncodeError as error:
            position = error.start
        raise PayloadError(f"Character {position} of the text is a lone surrogate.")

    def decode(self, body: bytes, *, like: object = None) -> str:
        """See ``Codec``."""
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
        """See ``Codec``."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise refusal("bytes", data, "bytes, bytearray, memoryview")
        return bytes(data)

    def decode(self, body: bytes, *, like: object = None) -> bytes:
        """See ``Codec``."""
        del like
        return body
