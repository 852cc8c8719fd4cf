"""The codecs by name and content type, and the choice of one for an input or an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.inference.codecs.binary import ArrowCodec, NpyCodec, ParquetCodec
from sm_private_client.inference.codecs.codec import (
    BytesCodec,
    Codec,
    Payload,
    TextCodec,
    type_name,
)
from sm_private_client.inference.codecs.csv_codec import CsvCodec
from sm_private_client.inference.codecs.json_codec import JsonCodec, JsonLinesCodec
from sm_private_client.inference.codecs.rows import is_numpy, is_pandas, is_row_source, is_table

if TYPE_CHECKING:
    from sm_private_client.types import Value

__all__ = ["CODECS", "decode", "encode"]

CODECS: Final[Mapping[str, Codec]] = MappingProxyType(
    {
        "json": JsonCodec(),
        "jsonlines": JsonLinesCodec(),
        "csv": CsvCodec(),
        "npy": NpyCodec(),
        "parquet": ParquetCodec(),
        "arrow": ArrowCodec(),
        "text": TextCodec(),
        "bytes": BytesCodec(),
    }
)
"""The codecs by name."""

_ALIASES: Final = MappingProxyType(
    {
        "jsonl": "jsonlines",
        "application/json": "json",
        "text/json": "json",
        "application/jsonlines": "jsonlines",
        "application/jsonl": "jsonlines",
        "application/x-jsonlines": "jsonlines",
        "application/x-ndjson": "jsonlines",
        "text/csv": "csv",
        "application/csv": "csv",
        "application/x-npy": "npy",
        "application/x-parquet": "parquet",
        "application/vnd.apache.parquet": "parquet",
        "application/vnd.apache.arrow.stream": "arrow",
        "text/plain": "text",
        "application/octet-stream": "bytes",
    }
)
"""Content types (and one short name) of each codec; the first of each is what it sends."""

_ANY: Final = "*/*"
_GENERIC: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", _ANY})
"""Content types of servers that do not name the type of their answer."""


def encode(data: object, codec: str | Codec | None = None) -> Payload:
    """Return the body of a value, its content type and the content type to ask for.

    Without ``codec``: dict, list, tuple, scalars and dataclasses become JSON, iterators and other
    iterables of rows JSON Lines, str text, bytes-likes themselves, arrays NPY, a DataFrame or
    Series CSV, a Table or RecordBatch Arrow.

    Args:
        data: The value.
        codec: A name of ``CODECS``, a content type (sent as it is, with its parameters; the body
            is in its ``charset``), or a codec of your own.

    Raises:
        ConfigurationError: No codec has that name or content type.
        PayloadError: The codec does not take the value.
        MissingExtraError: The codec needs a library that is not installed.
    """
    if codec is None:
        codec = CODECS[_infer(data)]
    if not isinstance(codec, str):
        content_type = codec.content_type
        return Payload(codec.encode(data), content_type, _accept(content_type))
    name, charset = _parse(codec)
    found = _find(name)
    if found is None:
        raise ConfigurationError(
            f"codec={codec!r} is neither a codec nor a content type that has one.",
            remedy=(
                f"give one of {', '.join(CODECS)}, a content type of theirs, or an object with "
                "content_type, encode and decode."
            ),
        )
    content_type = codec.strip() if "/" in codec else found.content_type
    body = _recode(found.encode(data), "utf-8", charset) if charset else found.encode(data)
    return Payload(body, content_type, _accept(_parse(content_type)[0]))


def decode(
    body: bytes, content_type: str | None, *, codec: str | Codec | None = None, like: object = None
) -> Value:
    """Return the value of an answer.

    A codec object decodes any answer. Otherwise the answer's content type decides, since the model
    knows what it wrote. If that is missing, unknown, octet-stream, text/plain or other text, the
    named codec decides. Without one, text becomes str and the rest bytes.

    Args:
        body: The answer's bytes.
        content_type: The answer's content type.
        codec: As for ``encode``.
        like: What was sent; CSV, Parquet and Arrow return the same kind (see the codecs).

    Raises:
        PayloadError: The body is not of its content type, or not of the codec's.
        MissingExtraError: The codec needs a library that is not installed.
    """
    name, charset = _parse(content_type or "")
    chosen = _decoder(name, codec)
    try:
        text = _recode(body, charset, "utf-8") if charset and _is_textual(chosen) else body
        return chosen.decode(text, like=like)
    except PayloadError as error:
        problem = error.what
    # Raised here, not where it was caught, so that the reader sees one error.
    raise PayloadError(
        f"The answer, of content type {content_type!r}, cannot be decoded as "
        f"{chosen.content_type} (sent: {type_name(like)}): {problem}",
        remedy="name the codec= of what the model answers, or call invoke() for the bytes.",
    )


def _infer(data: object) -> str:
    if isinstance(data, str):
        return "text"
    if isinstance(data, (bytes, bytearray, memoryview)):
        return "bytes"
    if is_pandas(data):
        return "csv"
    if is_table(data):
        return "arrow"
    if is_numpy(data):
        return "npy" if getattr(data, "ndim", 0) else "json"
    if isinstance(data, Iterator) or (is_row_source(data) and not isinstance(data, (list, tuple))):
        return "jsonlines"
    return "json"  # which refuses what it does not take


def _find(name: str) -> Codec | None:
    if name in CODECS:
        return CODECS[name]
    if name in _ALIASES:
        return CODECS[_ALIASES[name]]
    if name.startswith("application/") and name.endswith("+json"):  # RFC 6839
        return CODECS["json"]
    return None


def _decoder(name: str, codec: str | Codec | None) -> Codec:
    if codec is not None and not isinstance(codec, str):
        return codec
    answered = _find(name) if name not in _GENERIC and "/" in name else None
    if answered is None and name.startswith("text/"):
        answered = CODECS["text"]
    if answered is not None and not isinstance(answered, TextCodec):
        return answered
    named = _find(_parse(codec)[0]) if codec is not None else None
    return named or answered or CODECS["bytes"]


def _parse(content_type: str) -> tuple[str, str | None]:
    """Return the type in lower case, and its charset if that is not UTF-8."""
    kind, *parameters = content_type.split(";")
    charset = None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    if charset in {"", "utf-8", "utf8", "us-ascii", "ascii"}:
        charset = None
    return kind.strip().lower(), charset


def _accept(content_type: str) -> str:
    """Return the content type to ask for: any for text and bytes, else the same."""
    return _ANY if content_type in {"text/plain", "application/octet-stream"} else content_type


def _is_textual(codec: Codec) -> bool:
    return isinstance(codec, (JsonCodec, JsonLinesCodec, CsvCodec, TextCodec))


def _recode(body: bytes, source: str, target: str) -> bytes:
    try:
        return body.decode(source).encode(target)
    except LookupError:
        problem = "Python does not know it"
    except UnicodeError:
        problem = "the payload has bytes or characters that it does not"
    charset = target if source == "utf-8" else source
    raise PayloadError(f"The charset {charset!r} cannot be used: {problem}.")
