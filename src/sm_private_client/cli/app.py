"""The typer application: which commands there are, and how a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from sm_private_client._version import __version__
from sm_private_client.cli.commands import (
    demo,
    doctor,
    env,
    exec,  # noqa: A004 - a module
    invoke,
    map,  # noqa: A004 - a module
    policy,
    routes,
    vpc_endpoints,
)
from sm_private_client.cli.invocation import EXIT_STATUS, REPORTED, Invocation, unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.cli.invocation import MakeSession

__all__ = ["app", "run"]

_PROGRAM: Final = "sm-private-client"
_PASSED_ON: Final = {"allow_interspersed_args": False}
"""For a command that runs another: what follows that one's name is its own."""

# Plain help and plain tracebacks: both are read in logs and over slow consoles.
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, epilog=EXIT_STATUS)


def _add(
    name: str,
    command: Callable[..., None],
    *,
    epilog: str = EXIT_STATUS,
    settings: dict[str, bool] | None = None,
) -> None:
    app.command(name, epilog=epilog, context_settings=dict(settings or {}))(command)


# A command: _add("name", module.command). A group: app.add_typer(module.app, name="name").
_add("routes", routes.command)
_add("env", env.command)
_add("exec", exec.command, epilog=exec.EXIT_STATUS, settings=_PASSED_ON)
_add("invoke", invoke.command)
_add("map", map.command)
_add("doctor", doctor.command, epilog=doctor.EXIT_STATUS)
_add("demo", demo.command)
app.add_typer(policy.app, name="policy", help=policy.HELP)
app.add_typer(vpc_endpoints.app, name="endpoints", help=vpc_endpoints.HELP)


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


def run(argv: Sequence[str] | None, *, make_session: MakeSession | None) -> int:
    """Runs one command; see ``cli.main``."""
    invocation = Invocation(make_session=make_session) if make_session else Invocation()
    try:
        app(args=None if argv is None else list(argv), prog_name=_PROGRAM, obj=invocation)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except REPORTED as error:
        invocation.report(error)
        return 1
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug
        invocation.report(error if invocation.debug else unforeseen(error))
        return 1
    return 0
