"""The typer application: which commands there are, and how a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import typer

from sm_private_client._version import __version__
from sm_private_client.cli.context import EXIT_STATUS, CliContext
from sm_private_client.cli.lazy_commands import LazyCommands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.cli.context import MakeSession

__all__ = ["app", "run"]

_PROGRAM: Final = "sm-private-client"


class _Commands(LazyCommands):
    modules: ClassVar = {
        "routes": ("routes", "Print how each service is reached from here and why, or why not."),
        "env": (
            "env",
            "Print the lines that lead any AWS SDK, or the AWS CLI, over the private routes.",
        ),
        "exec": (
            "exec",
            "Run a command that calls SageMaker over the private routes, without changing it.",
        ),
        "invoke": (
            "invoke",
            "Call a model once and write its answer, as it is, to a file or stdout.",
        ),
        "map": (
            "map",
            "Call a model for every row of a file and write the answers in the same order.",
        ),
        "doctor": (
            "doctor",
            "Find out why it does not work: the root cause first, and what mends it.",
        ),
        "demo": ("demo", "Prove it on this machine, without AWS."),
        "policy": ("policy", "Build, check, explain, simulate, apply and restore policies."),
        "endpoints": (
            "endpoints",
            "List, plan, create, destroy and export VPC endpoints.",
        ),
    }


# Plain help and plain tracebacks: both are read in logs and over slow consoles.
app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EXIT_STATUS,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """boto3 for Amazon SageMaker in private networks.

    \b
    Examples:
      sm-private-client demo
      sm-private-client routes
      sm-private-client routes --service sagemaker-runtime --json
      sm-private-client exec -- aws sagemaker list-endpoints
      sm-private-client invoke churn-xgb --body @row.csv --content-type text/csv
    """  # noqa: D301 - \b is click's mark for lines that keep their breaks
    if version:
        typer.echo(f"{_PROGRAM} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: Sequence[str], *, make_session: MakeSession | None) -> int:
    """Runs one command; see ``cli.main``."""
    invocation = CliContext(make_session=make_session)
    try:
        app(args=list(arguments), prog_name=_PROGRAM, obj=invocation)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug
        return invocation.failed(error)
    return 0
