"""The botocore and urllib3 that were read, up to which completeness is tested.

A later one may bring services, operations, partitions, members and limits, and its private code
may change. What is new is refused or passed on by rule, which other tests hold; that nothing is
missing from our tables is only known of a botocore that somebody read. Whoever has read a newer
one raises the number, and the tests say what the tables lack.
"""

from __future__ import annotations

import re
from typing import Final

import botocore
import pytest
import urllib3
from botocore.model import ServiceModel

from sm_private_client.policy.actions import resource_types

__all__ = ["as_read", "operations_read"]

READ: Final = {botocore: (1, 44, 8), urllib3: (2, 8, 0)}
_NEWER: Final = [
    f"{module.__name__} {module.__version__}"
    for module, read in READ.items()
    if tuple(map(int, re.findall(r"\d+", module.__version__)[:3])) > read
]
as_read: Final = pytest.mark.skipif(
    bool(_NEWER), reason=f"{' and '.join(_NEWER)}: newer than what was read"
)


def operations_read(model: ServiceModel) -> list[str]:
    """Return the operations of a service, of a later botocore only those that our tables know.

    A new one may need what no test here can make: a host of its own, a stream of events.
    """
    names: list[str] = list(model.operation_names)
    if not _NEWER:
        return names
    return [name for name in names if resource_types(f"sagemaker:{name}") is not None]
