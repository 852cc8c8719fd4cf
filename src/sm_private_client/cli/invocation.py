"""What every command shares: its session, its common options, how it speaks."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound

from sm_private_client.errors import ConfigurationError, PrivateClientError
from sm_private_client.privatelink.services import (
    canonical_service_name,
    is_family,
    routable_service_names,
)
from sm_private_client.routing.settings import missing_region
from sm_private_client.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "EXIT_STATUS",
    "REPORTED",
    "AsJson",
    "Debug",
    "Invocation",
    "MakeSession",
    "Profile",
    "Region",
    "Services",
    "VpcEndpoint",
    "families",
    "invocation_of",
    "unforeseen",
]

EXIT_STATUS: Final = "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."

REPORTED: Final = (BotoCoreError, ClientError)
"""What a command may end in without a traceback: our errors, botocore's and AWS's."""


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
class Invocation:
    """One run of the program.

    Attributes:
        make_session: What makes sessions.
        debug: Whether errors are shown with their traceback.
    """

    make_session: MakeSession = Session
    debug: bool = False

    def session(
        self, *, region: str | None, profile: str | None, vpc_endpoint: str | None
    ) -> Session:
        """Makes the session that the common options describe.

        Raises:
            typer.Exit: An option's value cannot be used (status 2); stderr has said why.
            ConfigurationError: There is no such profile, or no region anywhere.
        """
        try:
            session = self.make_session(
                region_name=region, profile_name=profile, vpc_endpoint=vpc_endpoint
            )
        except ConfigurationError as error:
            self.report(error)
            raise typer.Exit(2) from error
        if not session.region_name:
            raise missing_region(option="--region")
        return session

    def report(self, error: BaseException) -> None:
        """Says on stderr what went wrong."""
        if self.debug:
            traceback.print_exception(error, file=sys.stderr)
            return
        typer.echo(_text(error), err=True)


def _text(error: BaseException) -> str:
    if isinstance(error, NoRegionError):  # botocore's own too, of a client that is not routed
        error = missing_region(option="--region")
    elif isinstance(error, ProfileNotFound):
        error = ConfigurationError(
            f"There is no profile {error.kwargs.get('profile')!r}.",
            cause="neither the AWS config file nor the credentials file has a section for it.",
            remedy="pass --profile with the name of one of `aws configure list-profiles`.",
        )
    return str(error)


def unforeseen(error: Exception) -> PrivateClientError:
    """Gives the text for an error that no command foresees: a full disk, or a mistake of ours.

    Of the latter only the class is told: what it says may hold a payload.
    """
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


def invocation_of(context: typer.Context) -> Invocation:
    """Gives the invocation that a command runs in."""
    found = context.find_object(Invocation)
    if found is None:
        raise RuntimeError("commands are run by sm_private_client.cli.main")
    return found


def families(given: Sequence[str] | None) -> tuple[str, ...]:
    """Gives boto3's own names of the services that were asked for, each once.

    Raises:
        typer.BadParameter: One is not of the SageMaker family.
    """
    for service_name in given or ():
        if not is_family(service_name):
            raise typer.BadParameter(
                f"{service_name!r} is not a service of the SageMaker family; name one of "
                f"{', '.join(routable_service_names())}."
            )
    return tuple(dict.fromkeys(map(canonical_service_name, given or ())))


def _set_debug(context: typer.Context, *, value: bool) -> bool:
    if value:
        invocation_of(context).debug = True
    return value


Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="NAME",
        help="A boto3 service name, such as sagemaker-runtime; may be repeated.",
    ),
]
Region = Annotated[
    str | None, typer.Option("--region", metavar="NAME", help="The region, as in `aws --region`.")
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="The AWS profile, as in `aws --profile`."),
]
VpcEndpoint = Annotated[
    str | None,
    typer.Option(
        "--vpc-endpoint",
        metavar="ID|NAME|URL",
        help="The VPC endpoint: an id, a DNS name, a URL, or service=value,…",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Debug = Annotated[
    bool,
    typer.Option("--debug", callback=_set_debug, help="Show errors with their traceback."),
]
