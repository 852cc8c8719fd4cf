"""``sm-private-client routes``: how each service is reached from here and why, or why not."""

from __future__ import annotations

import sys

import typer

from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.options import (
    AsJson,
    Debug,
    Profile,
    Region,
    Services,
    VpcEndpoint,
    cli_context,
    families,
)

__all__ = ["app"]


app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def routes(
    context: typer.Context,
    *,
    service: Services = None,
    region: Region = None,
    profile: Profile = None,
    vpc_endpoint: VpcEndpoint = None,
    as_json: AsJson = False,
    debug: Debug = False,
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
    from sm_private_client.cli import route_views
    from sm_private_client.cli.route_reports import NEEDED, Standing, report_on
    from sm_private_client.privatelink.services import routable_service_names

    invocation = cli_context(context)
    asked = families(service)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    reports = []
    for service_name in asked or routable_service_names():
        report = report_on(session, service_name, asked_for=bool(asked))
        reports.append(report)
    if as_json:
        route_views.print_json(reports)
    else:
        route_views.print_for_people(reports)
    missing = [
        report
        for report in reports
        if report.standing is not Standing.PRIVATE and report.service_name in (asked or NEEDED)
    ]
    # A terminal has just shown the texts under the rows; whoever pipes reads them on stderr.
    if invocation.debug or as_json or not sys.stdout.isatty():
        for report in missing:
            if report.error is not None:
                invocation.report(report.error)
    if missing:
        raise typer.Exit(1)
