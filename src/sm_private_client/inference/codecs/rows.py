"""Rows out of what users have: lists, generators, dataclasses, frames, tables, arrays."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

from sm_private_client.errors import MissingExtraError, PayloadError

__all__ = [
    "is_frame",
    "is_numpy",
    "is_pandas",
    "is_row_source",
    "is_series",
    "is_table",
    "load",
    "members",
    "records",
    "unique_names",
]


def is_numpy(value: object) -> bool:
    """Whether it is a numpy array or scalar."""
    return _is_a(value, "numpy", "ndarray", "generic")


def is_frame(value: object) -> bool:
    """Whether it is a pandas DataFrame."""
    return _is_a(value, "pandas", "DataFrame")


def is_series(value: object) -> bool:
    """Whether it is a pandas Series."""
    return _is_a(value, "pandas", "Series")


def is_pandas(value: object) -> bool:
    """Whether it is a pandas DataFrame or Series."""
    return is_frame(value) or is_series(value)


def is_table(value: object) -> bool:
    """Whether it is a pyarrow Table or RecordBatch."""
    return _is_a(value, "pyarrow", "Table", "RecordBatch")


def load(module: str, feature: str) -> Any:  # noqa: ANN401 - an optional module has no static type
    """Imports a library.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(feature, extra="data") from error


def _is_a(value: object, module: str, *names: str) -> bool:
    loaded = sys.modules.get(module)
    # Another thread may be half-way through importing it: then the names are not there yet.
    kinds = tuple(kind for name in names if (kind := getattr(loaded, name, None)))
    return isinstance(value, kinds)


def members(value: object) -> dict[Any, Any] | None:
    """Gives a mapping's or a dataclass's names and values, ``None`` for anything else."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def is_row_source(value: object) -> bool:
    """Whether it can be read row by row.

    Text and bytes are no rows, sets have no order, and arrays and frames of other libraries
    iterate over something else than rows.
    """
    return (
        isinstance(value, Iterable)
        and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping, AbstractSet))
        and not hasattr(value, "__array__")
        and not hasattr(value, "__dataframe__")
    )


def unique_names(names: list[Any]) -> list[Any]:
    """Gives the names of columns back.

    Raises:
        PayloadError: One comes twice, so that a row would lose a value.
    """
    if len(set(names)) < len(names):
        raise PayloadError("Two columns have the same name.", remedy="rename one of them.")
    return names


def records(data: Any) -> Iterator[Any] | None:  # noqa: ANN401 - any input, told apart here
    """Gives the values that stand for rows, one JSON value each; ``None`` where there are none."""
    rows: Iterable[Any] | None = None
    if is_frame(data):
        unique_names(list(data.columns))
        rows = data.to_dict("records")
    elif is_table(data):
        unique_names(data.schema.names)
        rows = data.to_pylist()
    elif (row := members(data)) is not None:
        rows = [row]
    elif is_series(data) or (is_numpy(data) and data.ndim) or is_row_source(data):
        rows = data
    return None if rows is None else iter(rows)
