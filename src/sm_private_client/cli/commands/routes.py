"""``sm-private-client routes``: how each service is reached from here and why, or why not."""

from __future__ import annotations

import sys

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import print_json
from sm_private_client.cli.context import EXIT_STATUS, cli_context

__all__ = ["app"]


app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def routes(
    context: typer.Context,
    *,
    service: options.Services = None,
    region: options.Region = None,
    profile: options.Profile = None,
    vpc_endpoint: options.VpcEndpoint = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Print how each service is reached from here and why, or why not.

    Exit status 1 if a service asked for with --service has no private route; without --service,
    if sagemaker or sagemaker-runtime has none. A stand-in on this machine is local, not private.

    \b
    Examples:
      sm-private-client routes
      sm-private-client routes --service sagemaker-runtime --service sagemaker
      sm-private-client routes --vpc-endpoint vpce-0fe5b17a0707d6abc --json
    """
    from sm_private_client.cli.route_reports import NEEDED, RouteStatus, lines, report_on, table
    from sm_private_client.privatelink.services import routable_service_names

    cli, names = cli_context(context), options.family_services(service)
    session = cli.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    reports = [
        report_on(session, name, asked_for=bool(names))
        for name in names or routable_service_names()
    ]
    is_terminal = sys.stdout.isatty()
    if as_json:
        print_json([report.as_dict() for report in reports])
    elif is_terminal:
        from rich.console import Console

        Console().print(table(reports), crop=False)
    else:
        for line in lines(reports):
            typer.echo(line)
    missing = [
        report
        for report in reports
        if report.status is not RouteStatus.PRIVATE and report.service_name in (names or NEEDED)
    ]
    # A terminal has just shown the errors under the rows; others read them on stderr.
    if cli.debug or as_json or not is_terminal:
        for report in missing:
            if report.error is not None:
                cli.report(report.error)
    if missing:
        raise typer.Exit(1)
