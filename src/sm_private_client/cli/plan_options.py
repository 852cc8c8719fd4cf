"""The options that a plan of VPC endpoints has, and the plan that they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sm_private_client.cli.policy_files import read_policy
from sm_private_client.errors import ConfigurationError
from sm_private_client.provisioning import plan_vpc_endpoints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.cli.invocation import Invocation
    from sm_private_client.provisioning import Plan

__all__ = [
    "PlanPolicy",
    "PrivateDns",
    "SecurityGroups",
    "Services",
    "Subnets",
    "Tags",
    "VpcId",
    "plan_of",
]

_SERVICES = ("sagemaker", "sagemaker-runtime")

VpcId = Annotated[str, typer.Option("--vpc-id", metavar="vpc-…", help="The VPC.")]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="NAME",
        help="A boto3 service of SageMaker or a sibling such as s3, or notebook, studio; may be "
        "repeated; sagemaker and sagemaker-runtime by default.",
    ),
]
Subnets = Annotated[
    list[str] | None,
    typer.Option("--subnet", metavar="ID", help="May be repeated; one of each zone by default."),
]
SecurityGroups = Annotated[
    list[str] | None,
    typer.Option(
        "--security-group",
        metavar="ID",
        help="May be repeated; by default one is made that lets TCP port 443 in from the VPC.",
    ),
]
PrivateDns = Annotated[
    bool,
    typer.Option(
        "--private-dns/--no-private-dns",
        help="Whether the default host names lead to the VPC endpoints inside the VPC.",
    ),
]
PlanPolicy = Annotated[
    str | None,
    typer.Option("--policy", metavar="FILE|-", help="The endpoint policy of SageMaker's services."),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Of everything made; may be repeated."),
]


def plan_of(
    invocation: Invocation,
    *,
    vpc_id: str,
    service: list[str] | None,
    subnet: list[str] | None,
    security_group: list[str] | None,
    private_dns: bool,
    policy: str | None,
    tag: list[str] | None,
    region: str | None,
    profile: str | None,
) -> Plan:
    """Looks at the account and gives the plan; changes nothing.

    Raises:
        typer.Exit: An option's value cannot be used (status 2); stderr has said why.
        PolicyError: AWS would refuse the policy.
        DiscoveryError: EC2 could not be asked; the permission is named.
    """
    tags = _tags(tag or ())
    document = None if policy is None else read_policy(policy)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=None)
    try:
        return plan_vpc_endpoints(
            session,
            vpc_id=vpc_id,
            services=tuple(service or _SERVICES),
            subnets=tuple(subnet) if subnet else "one-per-zone",
            security_groups=tuple(security_group) if security_group else "create",
            private_dns=private_dns,
            policy=document,
            tags=tags,
        )
    except ConfigurationError as error:
        invocation.report(error)
        raise typer.Exit(2) from error


def _tags(given: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"--tag {text!r} is not of the form KEY=VALUE.")
        if key in found:
            raise typer.BadParameter(f"--tag gives {key!r} twice.")
        found[key] = value
    return found
