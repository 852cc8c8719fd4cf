"""``sm-private-client env``: the variables that lead any AWS SDK over the private routes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

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
from sm_private_client.cli.private_variables import Shell, lines_for, shell_of

if TYPE_CHECKING:
    from sm_private_client.cli.context import CliContext
    from sm_private_client.session import Session

__all__ = ["app"]


app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def env(
    context: typer.Context,
    *,
    shell: Annotated[
        Shell | None,
        typer.Option("--shell", help="What reads the lines; the shell that $SHELL names."),
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(
            "--write-profile",
            metavar="NAME",
            help="Write them into this profile of the AWS config file, and print none.",
        ),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge",
            help="With --write-profile: into the services section that the profile has already.",
        ),
    ] = False,
    service: Services = None,
    region: Region = None,
    profile: Profile = None,
    vpc_endpoint: VpcEndpoint = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Print the lines that lead any AWS SDK, or the AWS CLI, over the private routes.

    Sets AWS_ENDPOINT_URL_SAGEMAKER and its like, and adds to NO_PROXY. Exit status 1, and no line,
    if a service asked for with --service has no private route; without --service, if sagemaker or
    sagemaker-runtime has none.

    \b
    Examples:
      eval "$(sm-private-client env)"
      sm-private-client env --shell fish | source
      sm-private-client env --shell dotenv > .env
      sm-private-client env --write-profile prod
    """
    from sm_private_client.cli.private_variables import reports_for, variables_for
    from sm_private_client.routing.settings import read_environment

    if merge and write is None:
        raise typer.BadParameter("--merge goes with --write-profile.")
    if shell is not None and (as_json or write is not None):
        raise typer.BadParameter("--shell goes with neither --json nor --write-profile.")
    invocation, asked = cli_context(context), families(service)
    if write is not None:
        session = _session_of(invocation, write, region, profile, vpc_endpoint)
        _write(session, write, asked, merge=merge, as_json=as_json)
        return
    session = invocation.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    environ = read_environment()
    found = variables_for(
        session, reports_for(session, asked), environ=environ, region=region, profile=profile
    )
    if as_json:
        record = {
            "region": found.region,
            "variables": dict(found.variables),
            "notes": list(found.notes),
        }
        typer.echo(json.dumps(record, indent=2))
        return
    chosen = shell or shell_of(environ, platform=sys.platform)
    for line in lines_for(chosen, found.variables, notes=found.notes):
        typer.echo(line)


def _session_of(
    invocation: CliContext,
    write: str,
    region: str | None,
    profile: str | None,
    vpc_endpoint: str | None,
) -> Session:
    """Makes the session of the profile that is written to, unless another is named.

    One that is not there yet, or has no credentials, cannot find a route by itself.
    """
    session = invocation.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    if profile is None and write in session.available_profiles:
        own = invocation.session(region=region, profile=write, vpc_endpoint=vpc_endpoint)
        if own.get_credentials() is not None:
            return own
    return session


def _write(
    session: Session, profile: str, asked: tuple[str, ...], *, merge: bool, as_json: bool
) -> None:
    from sm_private_client.cli.aws_config import write_profile
    from sm_private_client.cli.private_variables import reports_for, variables_for

    reports = reports_for(session, asked, anew=True)
    found = variables_for(session, reports, environ={})
    served = {
        report.service_name: report.route.endpoint_url
        for report in reports
        if report.route is not None and report.route.source == "private-dns"
    }
    settings = session._session  # noqa: SLF001 - boto3 has no other way to botocore's settings
    change = write_profile(
        settings.get_config_variable("config_file"),
        profile,
        region=found.region,
        urls=found.urls,
        served=served,
        fips=all(r.route.fips for r in reports if r.route and r.service_name in found.urls),
        merge=merge,
    )
    if as_json:
        record = {
            "path": str(change.path),
            "profile": profile,
            "section": change.section,
            "changed": change.changed,
            "backup": None if change.backup is None else str(change.backup),
            "notes": list(found.notes),
        }
        typer.echo(json.dumps(record, indent=2))
        return
    for note in found.notes:
        typer.echo(note)
    if not change.changed:
        typer.echo(f"{change.path} needed no change.")
        return
    kept = f"; the file as it was is {change.backup}" if change.backup else ""
    typer.echo(f"{change.path} has [services {change.section}] for the profile {profile}{kept}.")
