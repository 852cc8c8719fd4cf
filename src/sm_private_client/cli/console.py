"""Where a command writes what the model answered: standard output, a file, a device."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from sm_private_client.errors import ConfigurationError
from sm_private_client.files import AtomicFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.cli.context import CliContext

__all__ = [
    "STANDARD",
    "DryRun",
    "Output",
    "Yes",
    "ask",
    "ended_in_order",
    "open_output",
    "refuse_where_nobody_is",
]

STANDARD: Final = "-"
"""The name of standard input and output."""

_PIPE_BROKEN: Final = 141
"""128 + SIGPIPE, as shells give it."""


class Output(Protocol):
    """Takes bytes."""

    def write(self, data: bytes) -> None:
        """Takes some; on standard output they are seen at once."""
        ...

    def commit(self) -> None:
        """Says that this was all; a file takes its name then."""
        ...


@contextlib.contextmanager
def open_output(path: str | None) -> Iterator[Output]:
    """Opens an output for the length of a ``with`` block; without ``commit`` no file stays.

    Args:
        path: A file, made whole or not at all, mode 0600; a device or pipe, written to as it is;
            ``-`` or ``None`` for standard output.

    Raises:
        typer.BadParameter: It cannot be written.
    """
    if path is None or path == STANDARD:
        yield _Standard()
        return
    target = Path(path).expanduser()
    try:
        if target.is_dir():
            raise IsADirectoryError(None, "Is a directory")
        # Replacing /dev/stdout or a pipe by a file is not what is meant.
        is_special = target.exists() and not target.is_file()
        opened = _Special(target) if is_special else AtomicFile(target)
    except OSError as error:
        raise typer.BadParameter(f"{path!r} cannot be written: {error.strerror}.") from error
    with opened as output:
        yield output


class _Standard:
    """Implements ``Output``; whoever reads it may leave early."""

    def write(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            _let_go(sys.stdout)
            raise typer.Exit(_PIPE_BROKEN) from None

    def commit(self) -> None:
        pass


class _Special(io.FileIO):
    """Implements ``Output`` over a device or a pipe."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")

    def write(self, data: bytes) -> None:  # type: ignore[override] # all of it, so no count
        left = memoryview(data)
        try:
            while left:
                left = left[super().write(left) :]
        except BrokenPipeError:
            raise typer.Exit(_PIPE_BROKEN) from None

    def commit(self) -> None:
        pass


def _let_go(stream: io.TextIOBase | object) -> None:
    """Leads a stream nowhere, so that Python's own last flush does not complain."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr] # a real stream has it
        os.close(nowhere)


Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")]


def refuse_where_nobody_is(invocation: CliContext, deed: str) -> None:
    """Ends the run where a question could not be answered, before anything is looked at.

    Args:
        invocation: Says why.
        deed: What would be asked about, such as ``"change the policy"``.

    Raises:
        typer.Exit: Standard input or error is no terminal (status 2); stderr has said so.
    """
    if sys.stdin.isatty() and sys.stderr.isatty():
        return
    invocation.report(
        ConfigurationError(
            f"Nobody can be asked whether to {deed}; nothing was changed.",
            cause="standard input or standard error is no terminal.",
            remedy="pass --yes if that is meant, or run it on a terminal.",
        )
    )
    raise typer.Exit(2)


def ask(question: str) -> None:
    """Asks on the terminal, and goes on only after ``y`` or ``yes``.

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
