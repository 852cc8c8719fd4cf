"""The mark on clients that a session of ours is making: it will guard them itself."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_making", "making"]

_making: Final[ContextVar[bool]] = ContextVar("sm_private_client_making", default=False)


@contextlib.contextmanager
def making() -> Iterator[None]:
    """Marks what is made meanwhile as ours: ``install`` and the plugin leave it alone."""
    token = _making.set(True)
    try:
        yield
    finally:
        _making.reset(token)


def is_making() -> bool:
    """Says whether a session of ours is making a client here and now, which it will guard."""
    return _making.get()
