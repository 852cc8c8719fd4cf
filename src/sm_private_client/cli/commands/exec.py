"""``sm-private-client exec``: runs a command that is led over the private routes."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.context import cli_context

__all__ = ["EXIT_STATUS", "app"]

EXIT_STATUS: Final = (
    "Exit status: the command's own, 128 + N if signal N ended it; 125 no private route and "
    "nothing was run, 126 it cannot be run, 127 there is none of that name, 2 wrong usage."
)

_PASSED_ON: Final = {"allow_interspersed_args": False}
"""What follows the name of the command to run is its own."""

app = typer.Typer(rich_markup_mode=None)


@app.command("exec", epilog=EXIT_STATUS, context_settings=_PASSED_ON)
def exec_(
    context: typer.Context,
    *,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", show_default=False)],
    guard: Annotated[
        bool,
        typer.Option(
            "--guard", help="Guard every boto3 client of the command, if it is in Python."
        ),
    ] = False,
    service: options.Services = None,
    region: options.Region = None,
    profile: options.Profile = None,
    vpc_endpoint: options.VpcEndpoint = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Run a command that calls SageMaker over the private routes, without changing it.

    Sets what `env` prints, then becomes the command: signals, status, stdin, stdout and stderr are
    its own. --json prints what is set on stderr first.

    \b
    Examples:
      sm-private-client exec -- aws sagemaker list-endpoints
      sm-private-client exec --region eu-west-1 -- python train.py --epochs 3
      sm-private-client exec --guard -- python train.py
    """
    service_names = options.family_services(service)
    from sm_private_client.cli.execution import execute

    status = execute(
        cli_context(context),
        command,
        services=service_names,
        region=region,
        profile=profile,
        vpc_endpoint=vpc_endpoint,
        guard=guard,
        as_json=as_json,
    )
    raise typer.Exit(status)
