"""``sm-private-client env``: the variables that lead any AWS SDK over the private routes."""

from __future__ import annotations

import enum
import re
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import print_json
from sm_private_client.cli.context import EXIT_STATUS, cli_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sm_private_client.cli.context import CliContext
    from sm_private_client.session import Session

__all__ = ["Shell", "app", "lines_for", "shell_of"]


class Shell(str, enum.Enum):
    """What reads the lines."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"
    DOTENV = "dotenv"


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
    service: options.Services = None,
    region: options.Region = None,
    profile: options.Profile = None,
    vpc_endpoint: options.VpcEndpoint = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
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
    from sm_private_client.cli.sdk_variables import reports_for, variables_for
    from sm_private_client.routing.settings import read_environment

    if merge and write is None:
        raise typer.BadParameter("--merge goes with --write-profile.")
    if shell is not None and (as_json or write is not None):
        raise typer.BadParameter("--shell goes with neither --json nor --write-profile.")
    cli, service_names = cli_context(context), options.family_services(service)
    if write is not None:
        session = _session_of(cli, write, region, profile, vpc_endpoint)
        _write(session, write, service_names, merge=merge, as_json=as_json)
        return
    session = cli.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    reports = reports_for(session, service_names)
    environ = read_environment()
    private = variables_for(session, reports, environ=environ, region=region, profile=profile)
    if as_json:
        print_json(
            {"region": private.region, "variables": private.variables, "notes": private.notes}
        )
        return
    shell = shell or shell_of(environ, platform=sys.platform)
    for line in lines_for(shell, private.variables, notes=private.notes):
        typer.echo(line)


def _session_of(
    cli: CliContext,
    write: str,
    region: str | None,
    profile: str | None,
    vpc_endpoint: str | None,
) -> Session:
    """Return the session of the profile that is written to, unless another is named.

    A profile that is not there yet, or has no credentials, cannot find a route by itself.
    """
    session = cli.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    if profile is None and write in session.available_profiles:
        own = cli.session(region=region, profile=write, vpc_endpoint=vpc_endpoint)
        if own.get_credentials() is not None:
            return own
    return session


def _write(
    session: Session, profile: str, service_names: tuple[str, ...], *, merge: bool, as_json: bool
) -> None:
    from sm_private_client.cli.aws_config import write_profile
    from sm_private_client.cli.sdk_variables import reports_for, variables_for

    reports = reports_for(session, service_names, ignore_urls=True)
    private = variables_for(session, reports, environ={})
    routes = {report.service_name: report.route for report in reports if report.route is not None}
    settings = session._session  # noqa: SLF001 - boto3 has no other way to botocore's settings
    change = write_profile(
        settings.get_config_variable("config_file"),
        profile,
        region=private.region,
        urls=private.urls,
        served={n: r.endpoint_url for n, r in routes.items() if r.source == "private-dns"},
        fips=all(routes[name].fips for name in private.urls),
        merge=merge,
    )
    if as_json:
        print_json(
            {
                "path": str(change.path),
                "profile": profile,
                "section": change.section,
                "changed": change.changed,
                "backup": None if change.backup is None else str(change.backup),
                "notes": private.notes,
            }
        )
        return
    for note in private.notes:
        typer.echo(note)
    if not change.changed:
        typer.echo(f"{change.path} needed no change.")
        return
    kept = f"; the file as it was is {change.backup}" if change.backup else ""
    typer.echo(f"{change.path} has [services {change.section}] for the profile {profile}{kept}.")


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@%+=*\[\]-]*\Z")
"""What every reader of ``.env`` files takes without quotes; Docker's takes no quotes at all."""

_POWERSHELL_QUOTES: Final = re.compile("['\u2018\u2019\u201a\u201b]")
"""PowerShell's language specification, section 2.3.5.2: all of these end a quoted text."""


def shell_of(environ: Mapping[str, str], *, platform: str) -> Shell:
    """Return the shell that a process was probably started from; bash if nothing names it."""
    if platform == "win32":
        return Shell.POWERSHELL
    name = environ.get("SHELL", "").rpartition("/")[2]
    return Shell(name) if name in (Shell.ZSH.value, Shell.FISH.value) else Shell.BASH


def lines_for(
    shell: Shell, variables: Mapping[str, str], *, notes: Sequence[str] = ()
) -> Iterator[str]:
    """Yield a line for each variable, after a comment for each note.

    Raises:
        ConfigurationError: A value has a line end, which could become a line of its own.
    """
    for note in notes:
        yield f"# {note}"
    for name, value in variables.items():
        if set("\n\r\0") & set(value):
            from sm_private_client.errors import ConfigurationError

            raise ConfigurationError(
                f"{name} would have a line end in it.",
                cause=f"the value of {name} that is set now has one.",
                remedy=f"set {name} to one line first.",
            )
        yield _line(shell, name, value)


def _line(shell: Shell, name: str, value: str) -> str:
    backslashed = value.replace("\\", "\\\\").replace("'", "\\'")
    if shell is Shell.FISH:
        return f"set -gx {name} '{backslashed}'"
    if shell is Shell.POWERSHELL:
        doubled = _POWERSHELL_QUOTES.sub(r"\g<0>\g<0>", value)
        return f"$env:{name} = '{doubled}'"
    if shell is Shell.DOTENV:
        return f"{name}={value}" if _PLAIN.match(value) else f"{name}='{backslashed}'"
    return f"export {name}={shlex.quote(value)}"
