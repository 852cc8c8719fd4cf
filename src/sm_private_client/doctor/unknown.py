"""Unknown: what could not be seen, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Unknown", "known"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """What could not be seen.

    Attributes:
        reason: Why, as a clause: ``this identity is not allowed to (UnauthorizedOperation)``.
        permission: The IAM action that was missing; ``None`` where that was not the reason.
        unreachable: Whether the service that was asked could not be reached at all.
    """

    reason: str
    permission: str | None = None
    unreachable: bool = False


def known(piece: T | Unknown) -> T | None:
    """Gives a piece, ``None`` where it is not known."""
    return None if isinstance(piece, Unknown) else piece
