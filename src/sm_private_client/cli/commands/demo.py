"""``sm-private-client demo``: a whole private SageMaker on this machine, and two promises kept."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import exit_on_sigterm
from sm_private_client.cli.context import EXIT_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.testing import LocalPrivateLink

__all__ = ["app", "run"]

_EXTRA_PACKAGES: Final = ("sklearn", "moto", "trustme", "h11", "flask", "flask_cors")
_OPENING: Final = "A private SageMaker on this machine: nothing leaves it, nothing stays on it."
_NO_FILES: Final = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
"""Already while loading: moto makes a boto3 session then, which wants the user's profile."""

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def demo(*, as_json: options.AsJson = False, debug: options.Debug = False) -> None:
    """Prove it on this machine, without AWS.

    Plays a VPC with SageMaker endpoints, trains and serves a scikit-learn model, finds the
    private routes, calls the model, takes a zone down, and has the name resolve to a public
    address. Nothing leaves this machine and nothing stays on it. Exit status 1 if any claim
    that is made did not hold.

    \b
    Examples:
      sm-private-client demo
      sm-private-client demo --json
    """
    if not run(as_json=as_json):
        raise typer.Exit(1)


def run(*, as_json: bool, on_ready: Callable[[LocalPrivateLink], None] | None = None) -> bool:
    """Play and show the demonstration; return True if every claim held.

    Args:
        as_json: Print one JSON document.
        on_ready: As for ``Demo``.

    Raises:
        MissingExtraError: What it needs is not installed.
    """
    from rich.console import Console

    from sm_private_client.cli.demo.output import Output
    from sm_private_client.cli.demo.setup import environment_of
    from sm_private_client.errors import MissingExtraError

    if not all(map(_is_installed, _EXTRA_PACKAGES)):
        raise MissingExtraError("sm-private-client demo", extra="demo")
    is_terminal = sys.stdout.isatty() and not as_json
    output = Output(Console() if is_terminal else None, as_json=as_json)
    with exit_on_sigterm(), contextlib.closing(output), environment_of(_NO_FILES):
        output.opening(_OPENING)
        from sm_private_client.cli.demo.script import Demo

        Demo(output, on_ready).play()
        return output.summary()


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it is barred from being imported
        return False
