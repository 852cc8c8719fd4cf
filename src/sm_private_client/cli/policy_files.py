"""Policy documents on the command line: read from files or standard input, told to people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sm_private_client.cli.console import STANDARD
from sm_private_client.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sm_private_client.policy import Problem

__all__ = ["PolicyFile", "errors_among", "print_json", "problems_as_json", "read_policy", "refuse"]

PolicyFile = Annotated[
    str,
    typer.Argument(metavar="FILE|-", help="The policy document; - for stdin.", show_default=False),
]


def read_policy(path: str) -> str:
    """Gives a document's text.

    Args:
        path: A file in UTF-8; ``-`` for standard input.

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


def errors_among(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Leaves the warnings out."""
    return tuple(problem for problem in problems if problem.severity == "error")


def refuse(problems: Sequence[Problem]) -> None:
    """Refuses a document with errors.

    Raises:
        PolicyError: There are some; it has all of them.
    """
    errors = errors_among(problems)
    if not errors:
        return
    told = "".join(f"\n  {one.place or 'document'}: {one.message}" for one in errors)
    raise PolicyError(
        f"The policy could not be used:{told}",
        place=errors[0].place,
        remedy=tuple(dict.fromkeys(one.remedy for one in errors)),
    )


def problems_as_json(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Gives problems as JSON can hold them."""
    return [
        {
            "severity": problem.severity,
            "place": problem.place,
            "message": problem.message,
            "remedy": problem.remedy,
        }
        for problem in problems
    ]


def print_json(record: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Prints a record on stdout."""
    typer.echo(json.dumps(record, indent=2))
