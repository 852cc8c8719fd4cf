"""The command line, ``sm-private-client``: commands, each a thin shell over a floor below.

Importing this package costs nothing. typer and rich (extra ``cli``) are imported when needed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from sm_private_client._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.session import Session

__all__ = ["main"]

_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells and typer have it."""


def main(
    argv: Sequence[str] | None = None, *, make_session: Callable[..., Session] | None = None
) -> int:
    """Run one command and return its exit status: 0 ok, 1 it failed, 2 wrong usage.

    Args:
        argv: The arguments after the program's name; the process's own if not given.
        make_session: Creates the session of the command; ``Session`` if not given.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments == ["--version"]:  # scripts ask for it, and typer takes ten times as long
        print(f"sm-private-client {__version__}")
        return 0
    from sm_private_client.cli.context import CliContext

    cli = CliContext(make_session=make_session)
    try:
        if arguments[:2] == ["exec", "--"] and arguments[2:]:
            # It starts before every run of another program. Loading typer would double the time.
            from sm_private_client.cli.execution import execute

            return execute(cli, arguments[2:])
        from sm_private_client.cli.app import run

        run(arguments, cli)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug
        return cli.fail(error)
    return 0
