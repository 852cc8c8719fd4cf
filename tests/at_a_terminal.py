"""A program that runs at a terminal of its own, and somebody who answers its question."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SCRIPT", "answered"]

SCRIPT = Path(sys.executable).with_name("sm-private-client")
_AT_ITS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_QUESTION = b"[y/N] "
_SIGNALS = (b"\x03", b"\x1c")
_LOOK = 0.05
_REPEATED = 2.0
_LIMIT = 240.0
"""Seconds: between looks, before a signal is sent again, and for all of it."""


def answered(
    argv: Sequence[str], answer: bytes, *, environ: Mapping[str, str], cwd: Path
) -> tuple[int, str]:
    r"""Run the program, answer its question, return its exit status and all that it showed.

    Args:
        argv: Its arguments.
        answer: The keys that are pressed once it reads: ``b"y\n"``, ``b"\x03"`` for Ctrl-C.
        environ: Its environment.
        cwd: Its working directory.
    """
    keyboard, terminal = os.openpty()
    with (
        os.fdopen(keyboard, "r+b", buffering=0) as screen,
        selectors.DefaultSelector() as selector,
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _AT_ITS_TERMINAL, str(SCRIPT), *argv],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=dict(environ),
            cwd=cwd,
            start_new_session=True,
        ) as process,
    ):
        os.close(terminal)
        selector.register(screen, selectors.EVENT_READ)
        shown, presses, now = b"", 0, ""
        limit = time.monotonic() + _LIMIT
        with contextlib.suppress(OSError):  # how Linux says that nobody has it open any more
            while True:
                if selector.select(_REPEATED if presses else _LOOK):
                    part = screen.read(4096)
                    if not part:
                        break
                    shown += part
                    continue
                if time.monotonic() > limit:
                    process.kill()
                    raise TimeoutError(f"{argv} did not end; it had shown {shown!r}")
                before, now = now, _doing(process.pid)
                # A signal that comes just before the read is heard after it: it is sent again.
                is_lost = not presses or answer in _SIGNALS
                if _QUESTION in shown and is_lost and before == now and now.startswith("S"):
                    presses += 1
                    screen.write(answer)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def _doing(pid: int) -> str:
    """Return a process's state, ``S`` if it sleeps, and the processor time that it has used.

    A program that sleeps, and used none between two looks, waits for a key once it has asked.
    """
    about = Path(f"/proc/{pid}/stat")
    if about.exists():
        fields = about.read_text(encoding="utf-8").rpartition(") ")[2].split()
        return " ".join([fields[0], *fields[11:13]])
    told = ["ps", "-o", "state=,time=", "-p", str(pid)]
    return subprocess.run(told, capture_output=True, text=True, check=False, timeout=60).stdout  # noqa: S603 - BSD's
