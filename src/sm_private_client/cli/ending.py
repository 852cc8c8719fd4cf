"""How a command that takes long is ended in order."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ended_in_order"]

_TERMINATED: Final = 143
"""128 + SIGTERM, as shells give it."""


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """Has SIGTERM take everything away again, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
