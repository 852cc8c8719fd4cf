"""The codecs of JSON and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from sm_private_client.errors import PayloadError
from sm_private_client.inference.codecs.codec import refusal, type_name
from sm_private_client.inference.codecs.rows import (
    is_frame,
    is_numpy,
    is_row_source,
    is_series,
    is_table,
    members,
    records,
)
from sm_private_client.inference.decoders import JsonDecoder

if TYPE_CHECKING:
    from sm_private_client.types import Value

__all__ = ["JsonCodec", "JsonLinesCodec"]

_TAKES = (
    "dict, list, tuple, str, numbers, bool, None, datetimes, UUIDs, dataclasses, iterables of "
    "these, and those of numpy, pandas and pyarrow"
)
_MISSING_VALUES = (
    "replace missing values, for example by None, or pass codec=JsonCodec(allow_nan=True) if the "
    "model reads NaN."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonCodec:
    """JSON in ASCII, without spaces, as ``json.dumps`` writes it but for these points.

    - NaN and infinities are refused: they are not JSON (RFC 8259), and containers in Java, Go and
      Rust reject the whole request with them. Answers may have them, as Python's models write.
    - Datetimes are written in ISO 8601, UUIDs as text, dataclasses and mappings as objects, numpy
      scalars and arrays as numbers and lists, a DataFrame or Table as a list of objects (one a
      row), a Series as a list.
    - bytes, sets and decimals are refused: JSON has no form of them that keeps them.

    Attributes:
        allow_nan: Write ``NaN``, ``Infinity`` and ``-Infinity``, as ``json.dumps`` does.
    """

    content_type: ClassVar[str] = "application/json"
    allow_nan: bool = False

    def encode(self, data: object) -> bytes:
        """See ``Codec``."""
        if isinstance(data, Iterator):  # here, so that what it raises is not taken for json's
            data = list(data)
        return _dump(data, "JSON", allow_nan=self.allow_nan)

    def decode(self, body: bytes, *, like: object = None) -> Value:
        """See ``Codec``."""
        del like
        try:
            return json.loads(body)
        except json.JSONDecodeError as error:
            problem = f"is not valid JSON at character {error.pos}"
        except UnicodeDecodeError as error:
            problem = f"is not valid {error.encoding} at byte {error.start}"
        except (ValueError, RecursionError):  # digits or nesting beyond what Python reads
            problem = "is JSON that Python cannot hold"
        # Raised here, not where it was caught: these errors hold the payload.
        raise PayloadError(f"The payload of {len(body)} bytes {problem}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonLinesCodec:
    """One JSON value a line: rows as ``JsonCodec`` writes them; a single dict is one row.

    Answers may also be concatenated or pretty-printed values.

    Attributes:
        allow_nan: As for ``JsonCodec``.
    """

    content_type: ClassVar[str] = "application/jsonlines"
    allow_nan: bool = False

    def encode(self, data: object) -> bytes:
        """See ``Codec``."""
        rows = records(data)
        if rows is None:
            raise refusal(
                "JSON Lines", data, "iterables of rows, a dict or dataclass, DataFrame, Table"
            )
        return b"".join(_dump(row, "JSON Lines", allow_nan=self.allow_nan) + b"\n" for row in rows)

    def decode(self, body: bytes, *, like: object = None) -> list[Any]:
        """See ``Codec``."""
        del like
        decoder = JsonDecoder()
        values = decoder.feed(body)
        decoder.check()
        return values + decoder.finish()


def _dump(data: object, codec: str, *, allow_nan: bool) -> bytes:
    """Return a value as JSON.

    Raises:
        PayloadError: JSON cannot hold it.
    """

    def plain(value: Value) -> object:
        simpler = _plain(value)
        if type(simpler) is type(value):  # numpy's long doubles return themselves
            raise refusal(codec, value, _TAKES)
        return simpler

    try:
        text = json.dumps(data, default=plain, allow_nan=allow_nan, separators=(",", ":"))
    except PayloadError:
        raise
    except TypeError:
        problem = "has a dict with keys that are not str, int, float, bool or None"
        remedy = "use such keys."
    except (ValueError, RecursionError) as error:
        if isinstance(error, RecursionError) or "Circular" in str(error):
            problem, remedy = "contains itself, or is nested too deeply", "flatten it."
        else:
            problem, remedy = "has NaN or an infinity, which JSON does not", _MISSING_VALUES
    else:
        return text.encode()
    # Raised here, not where it was caught: json's texts hold values.
    raise PayloadError(
        f"The {codec} codec cannot encode this {type_name(data)}: it {problem}.", remedy=remedy
    )


def _plain(value: Value) -> object:
    """Return a value that json does not know as one that it does, one level deep."""
    if is_numpy(value):
        if value.dtype.kind == "M":  # nanoseconds would become bare integers
            value = value.astype("datetime64[us]")
        elif value.dtype.kind == "m":
            raise refusal("JSON", value, _TAKES)
        return value.tolist()
    if is_frame(value) or is_table(value):
        return list(records(value) or ())
    if is_series(value):
        return list(value)
    if isinstance(value, (date, datetime, time)) and value == value:  # noqa: PLR0124 - NaT differs
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if (row := members(value)) is not None:
        return row
    if is_row_source(value):
        return list(value)
    raise refusal("JSON", value, _TAKES)
