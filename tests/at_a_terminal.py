"""A program that runs at a terminal of its own, and somebody who answers its question."""

from __future__ import annotations

import contextlib
import os
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
        shown, asked = b"", False
        with contextlib.suppress(OSError):  # how Linux says that nobody has it open any more
            while part := screen.read(4096):
                shown += part
                if not asked and _QUESTION in shown:
                    asked = True
                    _wait_until_it_reads(process)
                    screen.write(answer)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def _wait_until_it_reads(process: subprocess.Popen[bytes]) -> None:
    """Return once the program, which has asked, sleeps: it waits for a key, or has ended.

    Python hears of a Ctrl-C that comes between the question and the read only after the read.
    """
    while process.poll() is None and not _state(process.pid).startswith("S"):
        time.sleep(0.001)


def _state(pid: int) -> str:
    about = Path(f"/proc/{pid}/stat")
    if about.exists():
        return about.read_text(encoding="utf-8").rpartition(") ")[2]
    told = ["ps", "-o", "state=", "-p", str(pid)]
    return subprocess.run(told, capture_output=True, text=True, check=False).stdout  # noqa: S603 - BSD's
