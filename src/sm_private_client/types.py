"""Names for what has no static type: clients that boto3 makes at run time, and users' values."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["BotoClient", "Value"]

BotoClient: TypeAlias = Any
"""A client that boto3 or botocore made; its methods exist at run time only."""

Value: TypeAlias = Any
"""What a user gives to be encoded or gets decoded: rows, frames, arrays, JSON values, bytes."""
