"""Where a command writes what the model answered: standard output, a file, a device."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import typer

from sm_private_client.cli.whole_files import WholeFile

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STANDARD", "Output", "open_output"]

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
        opened = _Special(target) if is_special else WholeFile(target)
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
