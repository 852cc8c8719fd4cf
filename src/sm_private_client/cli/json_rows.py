"""Rows of JSON Lines as items of a map, and its answers as lines again."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer
from botocore.exceptions import ClientError

from sm_private_client.cli.outputs import STANDARD
from sm_private_client.errors import PayloadError
from sm_private_client.inference.codecs import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Rows", "open_rows"]


class _NotJson:
    """Stands for a line that is not JSON; no codec takes it, so it is never sent."""


class Rows:
    """The lines of a file, as Python values, one at a time; blank ones are passed over.

    Args:
        file: The file, of bytes.
        total: How many lines there are; ``None`` where that is not known.
    """

    def __init__(self, file: IO[bytes], total: int | None) -> None:
        self._file = file
        self._total = total
        self._broken: dict[int, PayloadError] = {}

    def items(self) -> Any:  # noqa: ANN401 - sized only where the number is known
        """Gives what is to be mapped."""
        return iter(self) if self._total is None else self

    def __len__(self) -> int:
        return self._total or 0

    def __iter__(self) -> Iterator[Any]:
        index = 0
        for number, line in enumerate(self._file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError:  # what it says would show the line
                self._broken[index] = PayloadError(
                    f"Line {number} is not JSON in UTF-8; nothing was sent for it.",
                    remedy="mend that line.",
                )
                value = _NotJson()
            yield value
            index += 1

    def line_of(self, index: int, answer: object) -> tuple[bytes, bool]:
        """Gives an answer, or an error, as a line, and whether it is an answer."""
        error = self._broken.pop(index, None) or answer
        if not isinstance(error, Exception):
            try:
                return encode(answer, "application/json").body + b"\n", True
            except PayloadError as refused:
                error = refused
        told: dict[str, Any] = {"item": index, "type": type(error).__name__}
        if isinstance(error, ClientError):
            told["code"] = error.response.get("Error", {}).get("Code")
        told["message"] = str(error)
        return json.dumps({"error": told}).encode() + b"\n", False


@contextmanager
def open_rows(path: str) -> Iterator[Rows]:
    """Opens the rows for the length of a ``with`` block.

    Args:
        path: A file of JSON Lines; ``-`` for standard input.

    Raises:
        typer.BadParameter: It cannot be read.
    """
    if path == STANDARD:
        yield Rows(sys.stdin.buffer, None)
        return
    try:
        file = Path(path).expanduser().open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path!r} cannot be read: {error.strerror}.") from error
    with file:
        yield Rows(file, _count(file) if file.seekable() else None)


def _count(file: IO[bytes]) -> int:
    """Counts the rows, for a progress bar, and goes back to the start."""
    total = sum(1 for line in file if line.strip())
    file.seek(0)
    return total
