"""The question before an account is changed: asked on a terminal, answered by --yes elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sm_private_client.errors import ConfigurationError

if TYPE_CHECKING:
    from sm_private_client.cli.invocation import Invocation

__all__ = ["DryRun", "Yes", "ask", "refuse_where_nobody_is"]

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")]


def refuse_where_nobody_is(invocation: Invocation, deed: str) -> None:
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
