"""Parquet and Arrow IPC streams."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

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

__all__ = ["ArrowCodec", "NpyCodec", "ParquetCodec"]

_TAKES = "DataFrame, Table, RecordBatch, dicts or dataclasses as rows, a dict of columns"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParquetCodec:
    """One Parquet file. A DataFrame's index is not written.

    Answers are pyarrow Tables; a DataFrame where pandas' was sent.
    """

    content_type: ClassVar[str] = "application/x-parquet"

    def encode(self, data: object) -> bytes:
        """Gives the body; see ``Codec``."""
        table = _table(data, "Parquet")
        parquet, pyarrow = _load("pyarrow.parquet"), _load("pyarrow")
        sink = pyarrow.BufferOutputStream()
        try:
            parquet.write_table(table, sink)
        except (ValueError, NotImplementedError):  # a type that Parquet lacks; pyarrow's errors
            sink = None
        if sink is None:
            raise refusal("Parquet", data, "columns of types that Parquet has")
        body: bytes = sink.getvalue().to_pybytes()
        return body

    def decode(self, body: bytes, *, like: object = None) -> Any:  # noqa: ANN401 - an array
        """Gives a Table, or a DataFrame where ``like`` is of pandas."""
        parquet, pyarrow = _load("pyarrow.parquet"), _load("pyarrow")
        try:
            table = parquet.read_table(pyarrow.BufferReader(body))
        except (ValueError, OSError, NotImplementedError):  # pyarrow's; their texts hold values
            table = None
        if table is None:
            raise PayloadError(f"The payload of {len(body)} bytes is not a whole Parquet file.")
        return table.to_pandas() if is_pandas(like) else table


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrowCodec:
    """One Arrow IPC stream. A DataFrame's index is not written.

    Answers are pyarrow Tables; a DataFrame where pandas' was sent.
    """

    content_type: ClassVar[str] = "application/vnd.apache.arrow.stream"

    def encode(self, data: object) -> bytes:
        """Gives the body; see ``Codec``."""
        table = _table(data, "Arrow")
        pyarrow = _load("pyarrow")
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write(table)
        body: bytes = sink.getvalue().to_pybytes()
        return body

    def decode(self, body: bytes, *, like: object = None) -> Any:  # noqa: ANN401 - an array
        """Gives a Table, or a DataFrame where ``like`` is of pandas."""
        pyarrow = _load("pyarrow")
        try:
            with pyarrow.ipc.open_stream(pyarrow.BufferReader(body)) as reader:
                table = reader.read_all()
        except (ValueError, OSError, NotImplementedError):  # pyarrow's; their texts hold values
            table = None
        if table is None:
            raise PayloadError(f"The payload of {len(body)} bytes is not a whole Arrow IPC stream.")
        return table.to_pandas() if is_pandas(like) else table


def _load(module: str) -> Any:  # noqa: ANN401 - an optional module has no static type
    return load(module, "Parquet and Arrow")


def _table(data: Any, codec: str) -> Any:  # noqa: ANN401 - any input, told apart here
    """Gives a Table of what a user has."""
    pyarrow = _load("pyarrow")
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
    raise refusal(codec, data, _TAKES, remedy="give columns of one type and equal lengths.")


_NPY_TAKES = "arrays, lists and tuples of equal lengths, numbers, DataFrame, Series"


@dataclass(frozen=True, kw_only=True, slots=True)
class NpyCodec:
    """One numpy array. It never pickles and never unpickles, which would run what an answer says.

    Answers are arrays, whatever was sent.
    """

    content_type: ClassVar[str] = "application/x-npy"

    def encode(self, data: object) -> bytes:
        """Gives the body; see ``Codec``."""
        numpy = load("numpy", "The NPY codec")
        if not (
            is_numpy(data)
            or is_pandas(data)
            or isinstance(data, (list, tuple, int, float, complex))
        ):
            raise refusal("NPY", data, _NPY_TAKES)
        try:
            array = numpy.asarray(data)
        except (ValueError, TypeError, OverflowError):
            array = None
        if array is None:
            raise refusal("NPY", data, _NPY_TAKES, remedy="make rows of equal lengths.")
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

    def decode(self, body: bytes, *, like: object = None) -> Any:  # noqa: ANN401 - an array
        """Gives the array; ``like`` changes nothing."""
        del like
        numpy = load("numpy", "The NPY codec")
        try:
            return numpy.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
        except Exception:  # noqa: BLE001, S110 - a broken header fails in many ways, with its text
            pass
        raise PayloadError(
            f"The payload of {len(body)} bytes is not a whole NPY array without objects."
        )
