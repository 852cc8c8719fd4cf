"""CliContext: one run of the program, its session and how it speaks."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from sm_private_client.session import Session

__all__ = ["EXIT_STATUS", "CliContext", "MakeSession"]

EXIT_STATUS: Final = "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."


class MakeSession(Protocol):
    """Makes the session that a command works with; ``Session`` itself is one."""

    def __call__(
        self,
        *,
        region_name: str | None,
        profile_name: str | None,
        vpc_endpoint: str | None,
    ) -> Session:
        """Makes it; ``None`` stands for what was not given."""
        ...


@dataclass
class CliContext:
    """One run of the program.

    Attributes:
        make_session: What makes sessions; ``Session`` itself if ``None``.
        debug: Whether errors are shown with their traceback.
    """

    make_session: MakeSession | None = None
    debug: bool = False

    def session(
        self, *, region: str | None, profile: str | None, vpc_endpoint: str | None
    ) -> Session:
        """Makes the session that the common options describe.

        Raises:
            SystemExit: An option's value cannot be used (status 2); stderr has said why.
            ConfigurationError: There is no such profile, or no region anywhere.
        """
        # Here and below: help, completion and wrong usage need none of it.
        from sm_private_client.errors import ConfigurationError  # noqa: PLC0415
        from sm_private_client.routing.settings import missing_region  # noqa: PLC0415
        from sm_private_client.session import Session  # noqa: PLC0415

        make_session = self.make_session or Session
        try:
            session = make_session(
                region_name=region, profile_name=profile, vpc_endpoint=vpc_endpoint
            )
        except ConfigurationError as error:
            self.report(error)
            raise SystemExit(2) from error
        if not session.region_name:
            raise missing_region(option="--region")
        return session

    def report(self, error: BaseException) -> None:
        """Says on stderr what went wrong."""
        if self.debug:
            import traceback  # noqa: PLC0415

            traceback.print_exception(error, file=sys.stderr)
            return
        from sm_private_client.cli.error_texts import text_of  # noqa: PLC0415

        print(text_of(error), file=sys.stderr)  # noqa: T201 - typer is not loaded for everything

    def failed(self, error: Exception) -> int:
        """Report what ended the run and return its exit status."""
        from sm_private_client.cli.error_texts import REPORTED, unforeseen  # noqa: PLC0415

        is_foreseen = self.debug or isinstance(error, REPORTED)
        self.report(error if is_foreseen else unforeseen(error))
        return 1
