"""``sm-private-client demo``: a whole private SageMaker on this machine, and two promises kept."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import time
from typing import TYPE_CHECKING, Final

import typer

from sm_private_client.cli.console import ended_in_order
from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.demo.output import Opening, Summary, renderer_for
from sm_private_client.cli.demo.setup import environment_of
from sm_private_client.cli.options import AsJson, Debug  # noqa: TC001 - typer reads annotations
from sm_private_client.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.testing import LocalPrivateLink

__all__ = ["app", "run"]

_EXTRA_PACKAGES: Final = ("sklearn", "moto", "trustme", "h11", "flask", "flask_cors")
_OPENING: Final = "A private SageMaker on this machine: nothing leaves it, nothing stays on it."
_NO_FILES: Final = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
"""Already while loading: moto makes a boto3 session then, which wants the reader's profile."""


app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def demo(*, as_json: AsJson = False, debug: Debug = False) -> None:
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
    """Plays and shows the demonstration.

    Args:
        as_json: Print one JSON document.
        on_ready: See ``story.tell``.

    Returns:
        Whether every claim held.

    Raises:
        MissingExtraError: What it needs is not installed.
    """
    started = time.monotonic()
    if not all(map(_is_installed, _EXTRA_PACKAGES)):
        raise MissingExtraError("sm-private-client demo", extra="demo")
    renderer = renderer_for(as_json=as_json)
    held = False
    with ended_in_order(), contextlib.closing(renderer), environment_of(_NO_FILES):
        renderer.show(Opening(text=_OPENING))
        from sm_private_client.cli.demo.script import tell

        with contextlib.closing(tell(started=started, on_ready=on_ready)) as events:
            for event in events:
                renderer.show(event)
                if isinstance(event, Summary):
                    held = not event.failed
    return held


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it is barred from being imported
        return False
