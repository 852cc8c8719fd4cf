"""What every command shares: its session, its common options, how it speaks."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.session import Session

__all__ = [
    "EXIT_STATUS",
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
]

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
class Invocation:
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
            typer.Exit: An option's value cannot be used (status 2); stderr has said why.
            ConfigurationError: There is no such profile, or no region anywhere.
        """
        # Here and below: help, completion and wrong usage need none of it.
        from botocore.exceptions import NoRegionError  # noqa: PLC0415

        from sm_private_client.errors import ConfigurationError  # noqa: PLC0415
        from sm_private_client.session import Session  # noqa: PLC0415

        make_session = self.make_session or Session
        try:
            session = make_session(
                region_name=region, profile_name=profile, vpc_endpoint=vpc_endpoint
            )
        except ConfigurationError as error:
            self.report(error)
            raise typer.Exit(2) from error
        if not session.region_name:
            raise NoRegionError
        return session

    def report(self, error: BaseException) -> None:
        """Says on stderr what went wrong."""
        if self.debug:
            import traceback  # noqa: PLC0415

            traceback.print_exception(error, file=sys.stderr)
            return
        from sm_private_client.cli.error_texts import text_of  # noqa: PLC0415

        typer.echo(text_of(error), err=True)


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
    if not given:
        return ()
    from sm_private_client.privatelink.services import (  # noqa: PLC0415 - as above
        canonical_service_name,
        is_family,
        routable_service_names,
    )

    for service_name in given:
        if not is_family(service_name):
            raise typer.BadParameter(
                f"{service_name!r} is not a service of the SageMaker family; name one of "
                f"{', '.join(routable_service_names())}."
            )
    return tuple(dict.fromkeys(map(canonical_service_name, given)))


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
