"""The options that many commands have, and what a command reads of its context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sm_private_client.cli.context import CliContext

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AsJson",
    "Debug",
    "Profile",
    "Region",
    "Services",
    "VpcEndpoint",
    "cli_context",
    "families",
]


def cli_context(context: typer.Context) -> CliContext:
    """Return the invocation that a command runs in."""
    found = context.find_object(CliContext)
    if found is None:
        raise RuntimeError("commands are run by sm_private_client.cli.main")
    return found


def families(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return boto3's own names of the services that were asked for, each once.

    Raises:
        typer.BadParameter: One is not of the SageMaker family.
    """
    if not given:
        return ()
    from sm_private_client.privatelink.services import (  # noqa: PLC0415 - help needs none of it
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
        cli_context(context).debug = True
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
