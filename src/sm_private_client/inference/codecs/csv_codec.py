"""The codec of CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from sm_private_client.errors import PayloadError
from sm_private_client.inference.codecs.codec import TextCodec, refusal, type_name
from sm_private_client.inference.codecs.rows import (
    is_frame,
    is_numpy,
    is_pandas,
    is_row_source,
    is_series,
    is_table,
    load,
    members,
    unique_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_private_client.types import Value

__all__ = ["CsvCodec"]

_LONGEST_NUMBER: Final = 4000  # characters; Python reads integers of up to 4300 digits
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(
    r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|nan|[+-]?inf(inity)?",
    re.IGNORECASE,
)
_USUAL: Final = frozenset({str, int, float, bool})
_TAKES: Final = (
    "str (CSV already), rows (lists, tuples, dicts, dataclasses), DataFrame, Series, Table, "
    "arrays of one or two dimensions"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvCodec:
    r"""CSV in UTF-8 with lines ended by ``\n``, without a header as built-in algorithms expect it.

    A flat list, array or Series is one row. A DataFrame's index is not written. ``None`` and NaN
    are empty cells. Datetimes are written in ISO 8601. Rows of dicts need the same keys; the first
    row has the order.

    Answers are lists of rows. Cells that look like numbers are int or float, and empty ones are
    ``None``; ``007`` stays text. If a DataFrame, Table or array was sent, the answer is one, too
    (for a Series a DataFrame).

    Attributes:
        header: Write the names of the columns first, and read them: rows are dicts then.
    """

    content_type: ClassVar[str] = "text/csv"
    header: bool = False

    def encode(self, data: object) -> bytes:
        """See ``Codec``."""
        if isinstance(data, str):
            return TextCodec().encode(data)
        if is_frame(data):
            return TextCodec().encode(_write_frame(data, header=self.header))
        writer = csv.writer(_Line(), lineterminator="\r\n")  # so that either is quoted in cells
        lines: list[str] = []
        names: list[Any] | None = None
        for number, row in enumerate(_rows(data), 1):
            cells: Iterable[Any]
            if (named := members(row)) is not None:
                if names is None:
                    names = list(named)
                    if self.header:
                        lines.append(writer.writerow(names))
                if len(named) != len(names) or any(name not in named for name in names):
                    raise PayloadError(f"Row {number} has other keys than the row before it.")
                cells = [named[name] for name in names]
            elif names is None and not self.header:
                cells = row
            else:
                raise PayloadError(
                    f"Row {number} is {type_name(row)}, which has no names for its columns.",
                    remedy="give all rows as dicts or dataclasses, or none.",
                )
            checked = [_cell(cell, number) for cell in cells]
            if not checked:
                raise PayloadError(f"Row {number} has no cells, which CSV cannot write.")
            lines.append(writer.writerow(checked))
        return TextCodec().encode("".join(line.removesuffix("\r\n") + "\n" for line in lines))

    def decode(self, body: bytes, *, like: object = None) -> Value:
        """See ``Codec``."""
        text = TextCodec().decode(body).removeprefix("\ufeff")
        if is_pandas(like):
            return _frame(text, header=self.header)
        if is_table(like):
            return _table(text, header=self.header)
        parsed = _parse(text)
        names = next(parsed, None) if self.header else None
        rows = [[_number(cell) for cell in row] for row in parsed]
        width = len(names or (rows[0] if rows else ()))
        if (names or is_numpy(like)) and any(len(row) != width for row in rows):
            raise PayloadError("The rows of the payload differ in length.")
        if is_numpy(like):
            return _array(rows)
        return [dict(zip(names, row, strict=True)) for row in rows] if names else rows


class _Line:
    """The file of a csv.writer: it returns each line."""

    def write(self, line: str) -> str:
        return line


def _write_frame(data: Value, *, header: bool) -> str:
    text: str = data.to_csv(header=header, index=False, lineterminator="\n")
    if "\r" in text:  # which Python before 3.13 does not quote
        text = data.to_csv(
            header=header, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
        )
    return text


def _rows(data: Value) -> Iterator[Any]:
    """Yield rows as mappings or sequences of cells."""
    if is_numpy(data):
        if data.ndim not in {1, 2}:
            raise refusal("CSV", data, _TAKES)
        # Python's own types are faster to write, but not shorter or truer for all of numpy's.
        plain = data.dtype.kind in "biuU" or data.dtype == "float64"
        rows = data.tolist() if plain else data
        yield from [rows] if data.ndim == 1 else rows
    elif is_series(data):
        yield data
    elif is_table(data):
        names = unique_names(data.schema.names)
        columns = [column.to_pylist() for column in data.columns]
        yield from (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    elif members(data) is not None or (
        isinstance(data, (list, tuple)) and data and not _is_row(data[0])
    ):
        yield data
    elif is_row_source(data):
        for number, row in enumerate(data, 1):
            if not _is_row(row):
                raise refusal(f"CSV (row {number})", row, "rows: lists, tuples, dicts, dataclasses")
            yield row
    else:
        raise refusal("CSV", data, _TAKES)


def _is_row(value: Value) -> bool:
    return (
        isinstance(value, (list, tuple))
        or is_series(value)
        or (is_numpy(value) and value.ndim == 1)
        or members(value) is not None
    )


def _cell(value: Value, row: int) -> object:
    if type(value) in _USUAL:  # nearly every cell: spare it the questions below
        return value if value == value else None  # noqa: PLR0124 - NaN differs from itself
    if is_numpy(value) and value.dtype.kind == "M":
        value = value.astype("datetime64[us]").item()
    if value is None or _is_missing(value):
        return None
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, (str, int, float, Decimal, UUID)) or (
        is_numpy(value) and value.ndim == 0 and value.dtype.kind in "biufU"
    ):
        return value
    raise refusal(f"CSV (row {row})", value, "cells of text, numbers, datetimes, UUIDs or None")


def _is_missing(value: Value) -> bool:
    """Return True for NaN, NaT and pandas' NA: none of them equals itself."""
    if is_numpy(value) and value.ndim:
        return False
    same = value == value  # noqa: PLR0124 - see above
    return same is not True and not (is_numpy(same) and bool(same))


def _parse(text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            break
        if row is None:
            return
        if row:  # blank lines are no rows
            yield row
    raise PayloadError(
        f"The payload is not valid CSV at line {reader.line_num}.",
        possible_causes=(
            "a quote that is not closed",
            f"a cell of more than {csv.field_size_limit()} characters, csv.field_size_limit()",
        ),
    )


def _number(cell: str) -> str | int | float | None:
    if not cell:
        return None
    if len(cell) > _LONGEST_NUMBER:
        return cell
    if _INTEGER.fullmatch(cell):
        return int(cell)
    return float(cell) if _FLOAT.fullmatch(cell) else cell


def _array(rows: list[list[Any]]) -> object:
    numpy = load("numpy", "CSV as an array")
    if any(isinstance(cell, str) for row in rows for cell in row):
        return numpy.array(rows, dtype=object)
    return numpy.array([[numpy.nan if cell is None else cell for cell in row] for row in rows])


def _frame(text: str, *, header: bool) -> object:
    pandas = load("pandas", "CSV as a DataFrame")
    if not text.strip():
        return pandas.DataFrame()
    try:
        return pandas.read_csv(io.StringIO(text), header=0 if header else None)
    except ValueError:  # pandas' ParserError is one; its text holds the payload
        pass
    raise PayloadError("The payload is not valid CSV for a DataFrame.")


def _table(text: str, *, header: bool) -> object:
    csv_reader = load("pyarrow.csv", "CSV as a Table")
    if not text.strip():
        return load("pyarrow", "CSV as a Table").table({})
    try:
        return csv_reader.read_csv(
            io.BytesIO(text.encode()),
            read_options=csv_reader.ReadOptions(autogenerate_column_names=not header),
            parse_options=csv_reader.ParseOptions(newlines_in_values=True),
        )
    except ValueError:  # pyarrow's ArrowInvalid is one; its text holds the payload
        pass
    raise PayloadError("The payload is not valid CSV for a Table.")
