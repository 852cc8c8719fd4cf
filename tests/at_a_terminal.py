"""A program that runs at a terminal of its own, and somebody who answers its question."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SCRIPT", "answered"]

SCRIPT = Path(sys.executable).with_name("sm-private-client")
_AT_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
_QUESTION = b"[y/N] "


def answered(
    argv: Sequence[str], answer: bytes, *, environ: Mapping[str, str], cwd: Path
) -> tuple[int, str]:
    r"""Runs the program, answers its question, gives its exit status and all that it showed.

    Args:
        argv: Its arguments.
        answer: The keys that are pressed once it asks: ``b"y\n"``, ``b"\x03"`` for Ctrl-C.
        environ: Its environment.
        cwd: Its working directory.
    """
    command = [sys.executable, "-c", _AT_A_TERMINAL, str(SCRIPT), *argv]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environ), cwd=cwd
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown = b""
        while _QUESTION not in shown and (part := os.read(process.stdout.fileno(), 4096)):
            shown += part
        if _QUESTION in shown:
            process.stdin.write(answer)
            process.stdin.flush()
        shown += process.stdout.read()
    return process.returncode, shown.decode().replace("\r\n", "\n")
