"""The command line, ``sm-private-client``: commands, each a thin shell over a floor below.

Importing this package costs nothing; typer and rich (extra ``cli``) are imported by ``main``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.cli.invocation import MakeSession

__all__ = ["main"]

_EXTRA_PACKAGES: Final = ("typer", "rich", "click")


def main(argv: Sequence[str] | None = None, *, make_session: MakeSession | None = None) -> int:
    """Runs one command and gives its exit status: 0 ok, 1 it failed, 2 wrong usage.

    Args:
        argv: The arguments after the program's name; the process's own where not given.
        make_session: What commands make their session with; ``Session`` where not given.
    """
    try:
        from sm_private_client.cli.app import run  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA_PACKAGES:
            raise
        print(MissingExtraError("sm-private-client", extra="cli"), file=sys.stderr)  # noqa: T201 - no rich here
        return 1
    return run(argv, make_session=make_session)
