"""The options that several commands have, and readers of their values.

Those of calls are named as the AWS CLI names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sm_private_client.cli.context import cli_context

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Accept",
    "AsJson",
    "CustomAttributes",
    "Debug",
    "DryRun",
    "EndpointName",
    "InferenceComponentName",
    "OutFile",
    "PolicyFile",
    "Profile",
    "Region",
    "Services",
    "TargetContainerHostname",
    "TargetModel",
    "TargetVariant",
    "Timeout",
    "VpcEndpoint",
    "Yes",
    "family_services",
    "read_pairs",
]


def family_services(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return boto3's own names of the services of ``--service``, each once.

    Raises:
        typer.BadParameter: One is not of the SageMaker family.
    """
    if not names:
        return ()
    from sm_private_client.privatelink.services import (
        canonical_service_name,
        is_family,
        routable_service_names,
    )

    for service_name in names:
        if not is_family(service_name):
            raise typer.BadParameter(
                f"{service_name!r} is not a service of the SageMaker family; name one of "
                f"{', '.join(routable_service_names())}."
            )
    return tuple(dict.fromkeys(map(canonical_service_name, names)))


def read_pairs(texts: Sequence[str] | None, option: str) -> list[tuple[str, str]]:
    """Return the keys and values of an option that takes ``KEY=VALUE``.

    Raises:
        typer.BadParameter: One is not of that form.
    """
    pairs = []
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{option} {text!r} is not of the form KEY=VALUE.")
        pairs.append((key, value))
    return pairs


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

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")]
OutFile = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="Write it there, mode 0600; - for stdout."),
]
PolicyFile = Annotated[
    str,
    typer.Argument(metavar="FILE|-", help="The policy document; - for stdin.", show_default=False),
]

EndpointName = Annotated[
    str, typer.Argument(metavar="NAME", help="The inference endpoint.", show_default=False)
]
Accept = Annotated[
    str | None,
    typer.Option("--accept", metavar="TYPE", help="The content type that is wanted."),
]
CustomAttributes = Annotated[
    str | None,
    typer.Option(
        "--custom-attributes", metavar="TEXT", help="Passed to the model: at most 1,024 characters."
    ),
]
TargetModel = Annotated[
    str | None,
    typer.Option("--target-model", metavar="NAME", help="The model of a multi-model endpoint."),
]
TargetVariant = Annotated[
    str | None, typer.Option("--target-variant", metavar="NAME", help="The production variant.")
]
TargetContainerHostname = Annotated[
    str | None,
    typer.Option(
        "--target-container-hostname",
        metavar="NAME",
        help="The container of a multi-container endpoint.",
    ),
]
InferenceComponentName = Annotated[
    str | None,
    typer.Option("--inference-component-name", metavar="NAME", help="The inference component."),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0,
        help="Time for an answer: 70, of a stream 600 between parts, of a job until it must end.",
    ),
]
