"""CliContext: one run of the program, its session and how it reports errors."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import typer

    from sm_private_client.session import Session

__all__ = ["EXIT_STATUS", "CliContext", "cli_context"]

EXIT_STATUS: Final = "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."
_EXTRA_PACKAGES: Final = ("typer", "rich", "click")


# Imports are inside functions: help, completion and wrong usage need none of them.
@dataclass
class CliContext:
    """One run of the program.

    Attributes:
        make_session: Creates sessions; ``Session`` itself if ``None``.
        debug: Show errors with their traceback.
    """

    make_session: Callable[..., Session] | None = None
    debug: bool = False

    def session(
        self, *, region: str | None, profile: str | None, vpc_endpoint: str | None = None
    ) -> Session:
        """Return the session that the common options describe.

        Raises:
            SystemExit: An option's value cannot be used (status 2); it was reported.
            ConfigurationError: No region is set.
            ProfileNotFound: There is no such profile.
        """
        from sm_private_client.errors import ConfigurationError
        from sm_private_client.routing.settings import missing_region
        from sm_private_client.session import Session

        make_session = self.make_session or Session
        with self.usage_errors(ConfigurationError):
            session = make_session(
                region_name=region, profile_name=profile, vpc_endpoint=vpc_endpoint
            )
        if not session.region_name:
            raise missing_region(option="--region")
        return session

    @contextlib.contextmanager
    def usage_errors(self, error_class: type[Exception]) -> Iterator[None]:
        """Report an error of this class and exit with status 2, for the ``with`` block."""
        try:
            yield
        except error_class as error:
            self.report(error)
            raise SystemExit(2) from error

    def report(self, error: BaseException) -> None:
        """Print on stderr what went wrong."""
        if self.debug:
            import traceback

            traceback.print_exception(error, file=sys.stderr)
        else:
            print(_text_of(error), file=sys.stderr)

    def fail(self, error: Exception) -> int:
        """Report what ended the run and return its exit status."""
        from botocore.exceptions import BotoCoreError, ClientError

        is_expected = self.debug or isinstance(error, (BotoCoreError, ClientError))
        self.report(error if is_expected else _unexpected(error))
        return 1


def cli_context(context: typer.Context) -> CliContext:
    """Return the run that a command belongs to."""
    cli = context.find_object(CliContext)
    if cli is None:
        raise RuntimeError("commands are run by sm_private_client.cli.main")
    return cli


def _text_of(error: BaseException) -> str:
    """Return what happened, the cause and the remedy."""
    from botocore.exceptions import NoRegionError, ProfileNotFound

    from sm_private_client.errors import ConfigurationError
    from sm_private_client.routing.settings import missing_region

    if isinstance(error, NoRegionError):
        error = missing_region(option="--region")
    elif isinstance(error, ProfileNotFound):
        error = ConfigurationError(
            f"There is no profile {error.kwargs.get('profile')!r}.",
            cause="neither the AWS config file nor the credentials file has a section for it.",
            remedy="pass --profile with the name of one of `aws configure list-profiles`.",
        )
    return str(error)


def _unexpected(error: Exception) -> Exception:
    """Return the error to report if no command expects this one: a full disk, or our mistake.

    A mistake is reported by its class alone: its text may hold a payload.
    """
    from sm_private_client.errors import MissingExtraError, PrivateClientError

    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in _EXTRA_PACKAGES:
            return MissingExtraError("sm-private-client", extra="cli")
    if isinstance(error, OSError) and error.strerror:
        named = f" {error.filename}" if isinstance(error.filename, str) else ""
        return PrivateClientError(
            f"The system refused{named}: {error.strerror}.",
            remedy="see to that and run it again; --debug shows where it happened.",
        )
    return PrivateClientError(
        f"sm-private-client ended in a {type(error).__name__} that it did not foresee.",
        remedy="run it again with --debug and report what that shows.",
    )
