"""numpy, pandas and pyarrow: recognised without loading them, loaded only where they are used.

A value can only be of a library's type once that library is loaded, so ``sys.modules`` is asked.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from sm_private_client.errors import MissingExtraError

__all__ = ["is_frame", "is_numpy", "is_pandas", "is_series", "is_table", "load"]


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
