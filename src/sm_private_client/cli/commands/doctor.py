"""``sm-private-client doctor``: why it does not work, the root cause first, and how to mend it."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import Annotated, Final

import typer

from sm_private_client.cli.options import (
    AsJson,
    Debug,
    Profile,
    Region,
    Services,
    VpcEndpoint,
    families,
    invocation_of,
)
from sm_private_client.cli.whole_files import WholeFile

__all__ = ["EXIT_STATUS", "app"]

EXIT_STATUS: Final = "Exit status: 0 healthy, 1 broken, 2 could not tell, or wrong usage."


app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def doctor(
    context: typer.Context,
    *,
    service: Services = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Look at every network interface, and at the siblings: S3, STS, …"
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the report as one HTML page as well."),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    vpc_endpoint: VpcEndpoint = None,
    as_json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - its callback has noted it
) -> None:
    """Find out why it does not work: the root cause first, and what mends it.

    Looks at everything between here and SageMaker and changes nothing. It sends one harmless call
    for each service: ListEndpoints, and InvokeEndpoint of an inference endpoint that does not
    exist. No model runs.

    \b
    Examples:
      sm-private-client doctor
      sm-private-client doctor --service sagemaker-runtime --html report.html
      sm-private-client doctor --deep --json
    """  # noqa: D301 - \b is click's mark for lines that keep their breaks
    from sm_private_client.doctor.diagnosis import diagnose

    invocation = invocation_of(context)
    asked = families(service)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    report = diagnose(session, **({"services": asked} if asked else {}), deep=deep)
    if html is not None:
        from sm_private_client.doctor.page import page

        with WholeFile(html) as file:
            file.write(page(report).encode())
            file.commit()
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    elif sys.stdout.isatty():
        from sm_private_client.cli import doctor_views

        doctor_views.print_report(report)
    else:
        typer.echo(str(report))
    raise typer.Exit(report.exit_status)
