"""``sm-private-client routes``: how each service is reached from here and why, or why not."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from sm_private_client.cli import route_views
from sm_private_client.cli.invocation import (
    AsJson,
    Debug,
    Profile,
    Region,
    VpcEndpoint,
    invocation_of,
)
from sm_private_client.cli.route_reports import Standing, report_on
from sm_private_client.privatelink.services import (
    canonical_service_name,
    is_family,
    routable_service_names,
)

__all__ = ["command"]

NEEDED: Final = ("sagemaker", "sagemaker-runtime")
"""What decides the exit status where no service is asked for: nobody works without these two."""


def _family(service_name: str) -> str:
    if not is_family(service_name):
        raise typer.BadParameter(
            f"{service_name!r} is not a service of the SageMaker family; name one of "
            f"{', '.join(routable_service_names())}."
        )
    return canonical_service_name(service_name)


def command(
    context: typer.Context,
    *,
    service: Annotated[
        list[str] | None,
        typer.Option(
            "--service",
            metavar="NAME",
            help="A boto3 service name, such as sagemaker-runtime; may be repeated.",
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    vpc_endpoint: VpcEndpoint = None,
    as_json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - its callback has noted it
) -> None:
    """Print how each service is reached from here and why, or why not.

    Exit status 1 if a service asked for with --service has no private route; without --service,
    if sagemaker or sagemaker-runtime has none. A stand-in on this machine is local, not private.

    \b
    Examples:
      sm-private-client routes
      sm-private-client routes --service sagemaker-runtime --service sagemaker
      sm-private-client routes --vpc-endpoint vpce-0fe5b17a0707d6abc --json
    """  # noqa: D301 - \b is click's mark for lines that keep their breaks
    invocation = invocation_of(context)
    asked = tuple(dict.fromkeys(map(_family, service or ())))
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
