"""Rows of lists, generators, dataclasses, frames, tables and arrays."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sm_private_client.errors import MissingExtraError, PayloadError

if TYPE_CHECKING:
    from types import ModuleType

    from sm_private_client.types import Value

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
    """Return True for a numpy array or scalar."""
    return _is_a(value, "numpy", "ndarray", "generic")


def is_frame(value: object) -> bool:
    """Return True for a pandas DataFrame."""
    return _is_a(value, "pandas", "DataFrame")


def is_series(value: object) -> bool:
    """Return True for a pandas Series."""
    return _is_a(value, "pandas", "Series")


def is_pandas(value: object) -> bool:
    """Return True for a pandas DataFrame or Series."""
    return is_frame(value) or is_series(value)


def is_table(value: object) -> bool:
    """Return True for a pyarrow Table or RecordBatch."""
    return _is_a(value, "pyarrow", "Table", "RecordBatch")


def load(module: str, feature: str) -> ModuleType:
    """Import an optional library.

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
    """Return a mapping's or a dataclass's names and values; ``None`` for anything else."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def is_row_source(value: object) -> bool:
    """Return True if a value can be read row by row.

    Text and bytes are no rows, and sets have no order. Arrays and frames of other libraries do
    not iterate over rows.
    """
    return (
        isinstance(value, Iterable)
        and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping, AbstractSet))
        and not hasattr(value, "__array__")
        and not hasattr(value, "__dataframe__")
    )


def unique_names(names: list[Any]) -> list[Any]:
    """Return the names of columns.

    Raises:
        PayloadError: One comes twice, so that a row would lose a value.
    """
    if len(set(names)) < len(names):
        raise PayloadError("Two columns have the same name.", remedy="rename one of them.")
    return names


def records(data: Value) -> Iterator[Any] | None:
    """Return the rows of a value, one JSON value each; ``None`` if it has none."""
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
