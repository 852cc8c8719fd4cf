"""Codecs of binary forms: Parquet, Arrow IPC streams, numpy arrays."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from sm_private_client.errors import PayloadError
from sm_private_client.inference.codecs.codec import refusal
from sm_private_client.inference.codecs.rows import (
    is_frame,
    is_numpy,
    is_pandas,
    is_row_source,
    is_table,
    load,
    members,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.types import Value

__all__ = ["ArrowCodec", "NpyCodec", "ParquetCodec"]

_TABLES: Final = "DataFrame, Table, RecordBatch, dicts or dataclasses as rows, a dict of columns"
_ARRAYS: Final = "arrays, lists and tuples of equal lengths, numbers, DataFrame, Series"
_FEATURE: Final = "Parquet and Arrow"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParquetCodec:
    """One Parquet file. A DataFrame's index is not written.

    Answers are pyarrow Tables; a DataFrame if pandas' was sent.
    """

    content_type: ClassVar[str] = "application/x-parquet"

    def encode(self, data: object) -> bytes:
        """See ``Codec``."""
        table = _table(data, "Parquet")
        sink = load("pyarrow", _FEATURE).BufferOutputStream()
        try:
            load("pyarrow.parquet", _FEATURE).write_table(table, sink)
        except (ValueError, NotImplementedError):  # a type that Parquet lacks; pyarrow's errors
            sink = None
        if sink is None:
            raise refusal("Parquet", data, "columns of types that Parquet has")
        return bytes(sink.getvalue())

    def decode(self, body: bytes, *, like: object = None) -> Value:
        """See ``Codec``."""
        read = load("pyarrow.parquet", _FEATURE).read_table
        return _read_table(body, read, "Parquet file", like)


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrowCodec:
    """One Arrow IPC stream. A DataFrame's index is not written.

    Answers are pyarrow Tables; a DataFrame if pandas' was sent.
    """

    content_type: ClassVar[str] = "application/vnd.apache.arrow.stream"

    def encode(self, data: object) -> bytes:
        """See ``Codec``."""
        table = _table(data, "Arrow")
        pyarrow = load("pyarrow", _FEATURE)
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write(table)
        return bytes(sink.getvalue())

    def decode(self, body: bytes, *, like: object = None) -> Value:
        """See ``Codec``."""
        open_stream = load("pyarrow", _FEATURE).ipc.open_stream

        def read(source: Value) -> Value:
            with open_stream(source) as reader:
                return reader.read_all()

        return _read_table(body, read, "Arrow IPC stream", like)


@dataclass(frozen=True, kw_only=True, slots=True)
class NpyCodec:
    """One numpy array. It never pickles or unpickles: unpickling an answer could run code.

    Answers are arrays, whatever was sent.
    """

    content_type: ClassVar[str] = "application/x-npy"

    def encode(self, data: object) -> bytes:
        """See ``Codec``."""
        numpy = load("numpy", "The NPY codec")
        if not (
            is_numpy(data)
            or is_pandas(data)
            or isinstance(data, (list, tuple, int, float, complex))
        ):
            raise refusal("NPY", data, _ARRAYS)
        try:
            array = numpy.asarray(data)
        except (ValueError, TypeError, OverflowError):
            array = None
        if array is None:
            raise refusal("NPY", data, _ARRAYS, remedy="make rows of equal lengths.")
        if array.dtype.hasobject:
            raise refusal(
                "NPY",
                data,
                "arrays without objects, which only pickle could write",
                remedy="convert it with astype() to numbers or text.",
            )
        out = io.BytesIO()
        numpy.lib.format.write_array(out, array, allow_pickle=False)
        return out.getvalue()

    def decode(self, body: bytes, *, like: object = None) -> Value:
        """See ``Codec``."""
        del like
        numpy = load("numpy", "The NPY codec")
        try:
            return numpy.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
        except Exception:  # noqa: BLE001, S110 - a broken header fails in many ways, with its text
            pass
        raise PayloadError(
            f"The payload of {len(body)} bytes is not a whole NPY array without objects."
        )


def _table(data: Value, codec: str) -> Value:
    """Return data as a pyarrow Table."""
    pyarrow = load("pyarrow", _FEATURE)
    rows = [members(row) for row in data] if is_row_source(data) else [members(data)]
    try:
        if is_table(data):
            batch = isinstance(data, pyarrow.RecordBatch)
            return pyarrow.Table.from_batches([data]) if batch else data
        if is_frame(data):
            return pyarrow.Table.from_pandas(data, preserve_index=False)
        if isinstance(data, dict):
            return pyarrow.table(data)
        if rows and all(row is not None for row in rows):
            return pyarrow.Table.from_pylist(rows)
    except (ValueError, TypeError, NotImplementedError):  # pyarrow's; their texts hold values
        pass
    raise refusal(codec, data, _TABLES, remedy="give columns of one type and equal lengths.")


def _read_table(body: bytes, read: Callable[[Value], Value], form: str, like: object) -> Value:
    """Return the Table of a body, or a DataFrame if ``like`` is pandas'."""
    try:
        table = read(load("pyarrow", _FEATURE).BufferReader(body))
    except (ValueError, OSError, NotImplementedError):  # pyarrow's; their texts hold values
        table = None
    if table is None:
        raise PayloadError(f"The payload of {len(body)} bytes is not a whole {form}.")
    return table.to_pandas() if is_pandas(like) else table
