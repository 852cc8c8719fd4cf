"""How ``exec`` becomes the command it was given; without typer, which would double its start."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.cli.sdk_variables import KEYS, reports_for, variables_for
from sm_private_client.errors import PrivateClientError
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_private_client.cli.context import CliContext

__all__ = ["execute"]

_NO_ROUTE: Final = 125  # as env, nohup and timeout have it for a failure of their own
_CANNOT_RUN: Final = 126
_NOT_FOUND: Final = 127


def execute(
    cli: CliContext,
    command: Sequence[str],
    *,
    services: Sequence[str] = (),
    region: str | None = None,
    profile: str | None = None,
    vpc_endpoint: str | None = None,
    guard: bool = False,
    as_json: bool = False,
) -> int:
    """Become a command that is led over the private routes; return the exit status if not.

    Args:
        cli: Creates the session, and reports.
        command: The command and its arguments.
        services: As for ``reports_for``.
        region: As for ``CliContext.session``.
        profile: As for ``CliContext.session``.
        vpc_endpoint: As for ``CliContext.session``.
        guard: Guard every boto3 client of the command.
        as_json: Print the variables on stderr first.
    """
    environ = read_environment()
    try:
        session = cli.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
        reports = reports_for(session, services)
        private = variables_for(session, reports, environ=environ, region=region, profile=profile)
    except (BotoCoreError, ClientError) as error:
        cli.report(error)
        return _NO_ROUTE
    variables = dict(private.variables)
    if guard:
        from sm_private_client.plugin import VARIABLE, with_entry

        variables[VARIABLE] = with_entry(environ.get(VARIABLE))
    if as_json:
        record = {"region": private.region, "variables": variables, "notes": private.notes}
        print(json.dumps(record), file=sys.stderr)
    try:
        # As for `aws --profile`: keys in the environment do not come before the profile's.
        kept = {name: value for name, value in environ.items() if not (profile and name in KEYS)}
        _become(command, {**kept, **variables})
    except OSError as error:
        cli.report(
            PrivateClientError(
                f"{command[0]} cannot be run: {error.strerror}.",
                remedy="give a program on PATH, or the path of one that may be executed.",
            )
        )
        is_missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        return _NOT_FOUND if is_missing else _CANNOT_RUN


def _become(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become the command.

    On POSIX the process is replaced. It keeps its id, its terminal and its process group, so
    signals and the status need nobody to pass them on.

    Raises:
        OSError: It cannot be run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        # There, exec starts another process and ends this one at once. Ctrl-C reaches both.
        import subprocess

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = subprocess.run(command, env=dict(environ), check=False)  # noqa: S603 - the user's own command
        raise SystemExit(ended.returncode)
    ignored = [  # Python ignores these signals, and exec would pass that on
        (number, signal.signal(number, signal.SIG_DFL))
        for number in (getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ"))
        if number is not None
    ]
    try:
        os.execvpe(command[0], list(command), dict(environ))  # noqa: S606 - as above
    finally:  # it could not be run
        for number, before in ignored:
            signal.signal(number, before)
