"""What commands read, write and ask: files, standard streams, JSON, questions and signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

import typer

from sm_private_client.files import AtomicFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.cli.context import CliContext
    from sm_private_client.provisioning.progress import Progress

__all__ = [
    "STANDARD",
    "Output",
    "ProgressLines",
    "confirm",
    "exit_on_sigterm",
    "open_output",
    "print_json",
    "read_text",
    "require_terminal",
]

STANDARD: Final = "-"
"""The name of standard input and output."""

_BROKEN_PIPE: Final = 141
"""128 + SIGPIPE, as shells have it."""

_TERMINATED: Final = 143
"""128 + SIGTERM, as shells have it."""

_REPEAT_INTERVAL: Final = 30.0
"""Seconds after which a wait is shown once more."""


def read_text(path: str) -> str:
    """Return the text of a file in UTF-8; ``-`` is standard input.

    Raises:
        typer.BadParameter: It cannot be read.
    """
    try:
        if path == STANDARD:
            content = sys.stdin.buffer.read()
        else:
            content = Path(path).expanduser().read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise typer.BadParameter(f"{path!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path!r} is not in UTF-8.") from error


class Output(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> None:
        """Write bytes; all of them, and at once if it is no file."""
        ...

    def commit(self) -> None:
        """Complete the output; a file gets its name now."""
        ...


@contextlib.contextmanager
def open_output(path: str | None) -> Iterator[Output]:
    """Open an output for a ``with`` block; without ``commit`` no file stays.

    Args:
        path: A file, written whole or not at all, mode 0600; a device or pipe, written to as it
            is; ``-`` or ``None`` for standard output.

    Raises:
        typer.BadParameter: It cannot be written.
    """
    if path is None or path == STANDARD:
        yield _Stream(sys.stdout.buffer)
        return
    target = Path(path).expanduser()
    try:
        if target.is_dir():
            raise IsADirectoryError(None, "Is a directory")
        # Nobody wants /dev/stdout or a pipe replaced by a file.
        is_special = target.exists() and not target.is_file()
        opened: IO[bytes] | AtomicFile = target.open("wb") if is_special else AtomicFile(target)
    except OSError as error:
        raise typer.BadParameter(f"{path!r} cannot be written: {error.strerror}.") from error
    with opened as file:
        yield file if isinstance(file, AtomicFile) else _Stream(file)


class _Stream:
    """Implements ``Output`` over standard output, a device or a pipe; its reader may leave."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:
            # What is buffered goes nowhere, or the last flush would fail too.
            with contextlib.suppress(OSError, ValueError):
                number = self._file.fileno()
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)
            raise typer.Exit(_BROKEN_PIPE) from None

    def commit(self) -> None:
        pass


def print_json(value: object) -> None:
    """Print a value as JSON on stdout."""
    typer.echo(json.dumps(value, indent=2))


class ProgressLines:
    """Progress as lines on stderr; a wait is printed again after 30 s."""

    def __init__(self) -> None:
        self._printed: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        """Print one line."""
        text = str(progress)
        if progress.state == "waiting":
            before = self._printed.get(text)
            if before is not None and progress.seconds - before < _REPEAT_INTERVAL:
                return
            self._printed[text] = progress.seconds
        typer.echo(f"{progress.seconds:5.1f} s  {text}", err=True)


def require_terminal(cli: CliContext, action: str) -> None:
    """End the run, before anything is looked at, if nobody could answer a question.

    Args:
        cli: Reports it.
        action: What would be asked about, such as ``"change the policy"``.

    Raises:
        typer.Exit: Standard input or error is no terminal (status 2); it was reported.
    """
    if sys.stdin.isatty() and sys.stderr.isatty():
        return
    from sm_private_client.errors import ConfigurationError

    cli.report(
        ConfigurationError(
            f"Nobody can be asked whether to {action}; nothing was changed.",
            cause="standard input or standard error is no terminal.",
            remedy="pass --yes if that is meant, or run it on a terminal.",
        )
    )
    raise typer.Exit(2)


def confirm(question: str) -> None:
    """Ask on the terminal, and return only after ``y`` or ``yes``.

    Raises:
        typer.Exit: The answer was another, or none (status 1).
        KeyboardInterrupt: It was Ctrl-C.
    """
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if answer.strip().lower() in ("y", "yes"):
        return
    if not answer.endswith("\n"):  # Ctrl-D leaves the cursor behind the question
        typer.echo(err=True)
    typer.echo("Nothing was changed.", err=True)
    raise typer.Exit(1)


@contextlib.contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Have SIGTERM clean up as Ctrl-C does, for the ``with`` block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
