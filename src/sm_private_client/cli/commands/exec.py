"""``sm-private-client exec``: runs a command that is led over the private routes."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from sm_private_client.cli.invocation import (
    AsJson,
    Debug,
    Profile,
    Region,
    Services,
    VpcEndpoint,
    families,
    invocation_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EXIT_STATUS", "app"]

EXIT_STATUS: Final = (
    "Exit status: the command's own, 128 + N if signal N ended it; 125 no private route and "
    "nothing was run, 126 it cannot be run, 127 there is none of that name, 2 wrong usage."
)

_PASSED_ON: Final = {"allow_interspersed_args": False}
"""What follows the name of the command to run is its own."""

_NO_ROUTE: Final = 125  # as env, nohup and timeout give it for a failure of their own
_CANNOT_RUN: Final = 126
_NOT_FOUND: Final = 127


app = typer.Typer(rich_markup_mode=None)


@app.command("exec", epilog=EXIT_STATUS, context_settings=_PASSED_ON)
def exec_(
    context: typer.Context,
    *,
    words: Annotated[list[str], typer.Argument(metavar="COMMAND...", show_default=False)],
    guard: Annotated[
        bool,
        typer.Option(
            "--guard", help="Guard every boto3 client of the command, where it is in Python."
        ),
    ] = False,
    service: Services = None,
    region: Region = None,
    profile: Profile = None,
    vpc_endpoint: VpcEndpoint = None,
    as_json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - its callback has noted it
) -> None:
    """Run a command that calls SageMaker over the private routes, without changing it.

    Sets what `env` prints, then becomes the command: signals, status, stdin, stdout and stderr are
    its own. --json prints what is set on stderr first.

    \b
    Examples:
      sm-private-client exec -- aws sagemaker list-endpoints
      sm-private-client exec --region eu-west-1 -- python train.py --epochs 3
      sm-private-client exec --guard -- python train.py
    """  # noqa: D301 - \b is click's mark for lines that keep their breaks
    from sm_private_client.cli.error_texts import REPORTED
    from sm_private_client.cli.private_variables import KEYS, reports_for, variables_for
    from sm_private_client.errors import PrivateClientError
    from sm_private_client.routing.settings import read_environment

    invocation, asked = invocation_of(context), families(service)
    environ = read_environment()
    try:
        session = invocation.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
        reports = reports_for(session, asked)
        found = variables_for(session, reports, environ=environ, region=region, profile=profile)
    except REPORTED as error:
        invocation.report(error)
        raise typer.Exit(_NO_ROUTE) from None
    variables = dict(found.variables)
    if guard:
        from sm_private_client.plugin import VARIABLE, with_entry

        variables[VARIABLE] = with_entry(environ.get(VARIABLE))
    if as_json:
        record = {"region": found.region, "variables": variables, "notes": list(found.notes)}
        typer.echo(json.dumps(record), err=True)
    try:
        # As for `aws --profile`: keys in the environment do not come before the profile's.
        kept = {name: value for name, value in environ.items() if not (profile and name in KEYS)}
        _become(words, {**kept, **variables})
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        invocation.report(
            PrivateClientError(
                f"{words[0]} cannot be run: {error.strerror}.",
                remedy="give a program on PATH, or the path of one that may be executed.",
            )
        )
        raise typer.Exit(_NOT_FOUND if missing else _CANNOT_RUN) from None


def _become(words: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Becomes the command.

    On POSIX the process is replaced: it keeps its id, its terminal and its place in the process
    group, so signals and the status need nobody to pass them on.

    Raises:
        OSError: It cannot be run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        # There exec starts another process and ends this one at once. Ctrl-C reaches both.
        import subprocess

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = subprocess.run(words, env=dict(environ), check=False)  # noqa: S603 - what was asked for
        raise typer.Exit(ended.returncode)
    ignored = [  # Python ignores them, and exec would pass that on
        (number, signal.signal(number, signal.SIG_DFL))
        for number in (getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ"))
        if number is not None
    ]
    try:
        os.execvpe(words[0], list(words), dict(environ))  # noqa: S606 - as above
    finally:  # it could not be run
        for number, before in ignored:
            signal.signal(number, before)
