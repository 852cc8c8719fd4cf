"""How ``exec`` becomes the command that it was given; without typer, which need not be loaded."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from sm_private_client.cli.error_texts import REPORTED
from sm_private_client.cli.private_variables import KEYS, reports_for, variables_for
from sm_private_client.errors import PrivateClientError
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_private_client.cli.context import CliContext

__all__ = ["execute"]

_NO_ROUTE: Final = 125  # as env, nohup and timeout give it for a failure of their own
_CANNOT_RUN: Final = 126
_NOT_FOUND: Final = 127


def execute(
    invocation: CliContext,
    words: Sequence[str],
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
        invocation: Makes the session, and reports.
        words: The command and its arguments.
        services: As ``reports_for`` has them.
        region: As for ``CliContext.session``.
        profile: As for ``CliContext.session``.
        vpc_endpoint: As for ``CliContext.session``.
        guard: Guard every boto3 client of the command.
        as_json: Print what is set on stderr first.
    """
    environ = read_environment()
    try:
        session = invocation.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
        reports = reports_for(session, services)
        found = variables_for(session, reports, environ=environ, region=region, profile=profile)
    except REPORTED as error:
        invocation.report(error)
        return _NO_ROUTE
    variables = dict(found.variables)
    if guard:
        from sm_private_client.plugin import VARIABLE, with_entry  # noqa: PLC0415 - seldom

        variables[VARIABLE] = with_entry(environ.get(VARIABLE))
    if as_json:
        record = {"region": found.region, "variables": variables, "notes": list(found.notes)}
        print(json.dumps(record), file=sys.stderr)  # noqa: T201 - see the module
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
        return _NOT_FOUND if missing else _CANNOT_RUN


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
        import subprocess  # noqa: PLC0415 - there only

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = subprocess.run(words, env=dict(environ), check=False)  # noqa: S603 - what was asked for
        raise SystemExit(ended.returncode)
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
