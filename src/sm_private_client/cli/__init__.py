"""The command line, ``sm-private-client``: commands, each a thin shell over a floor below.

Importing this package costs nothing; typer and rich (extra ``cli``) are imported by ``main``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from sm_private_client._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.cli.context import MakeSession

__all__ = ["main"]

_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells give it and as typer does."""


def main(argv: Sequence[str] | None = None, *, make_session: MakeSession | None = None) -> int:
    """Run one command and return its exit status: 0 ok, 1 it failed, 2 wrong usage.

    Args:
        argv: The arguments after the program's name; the process's own if not given.
        make_session: What commands make their session with; ``Session`` if not given.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments == ["--version"]:  # scripts ask for it, and typer takes ten times as long
        print(f"sm-private-client {__version__}")  # noqa: T201 - no rich here
        return 0
    if arguments[:2] == ["exec", "--"] and arguments[2:]:
        return _execute(arguments[2:], make_session)
    try:
        from sm_private_client.cli.app import run  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        from sm_private_client.cli.error_texts import missing_extra  # noqa: PLC0415 - seldom

        missing = missing_extra(error)
        if missing is None:
            raise
        print(missing, file=sys.stderr)  # noqa: T201 - as above
        return 1
    return run(arguments, make_session=make_session)


def _execute(words: Sequence[str], make_session: MakeSession | None) -> int:
    """Run ``exec`` without options: it stands before every run of another program.

    typer and what it reads arguments with take as long to load as all that is needed here.
    """
    from sm_private_client.cli.context import CliContext  # noqa: PLC0415

    invocation = CliContext(make_session=make_session)
    try:
        from sm_private_client.cli.execution import execute  # noqa: PLC0415 - as above

        return execute(invocation, words)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:  # while the routes are found
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug
        return invocation.failed(error)
