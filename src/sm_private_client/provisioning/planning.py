"""Plan VPC endpoints: look at the account, change nothing, say what would be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sm_private_client.provisioning.looking import Account, ec2_of
from sm_private_client.provisioning.question import Question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_private_client.provisioning.attached_policies import AnyPolicy
    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.provisioning.records import FoundVpcEndpoint
    from sm_private_client.session import Session

__all__ = ["list_vpc_endpoints", "plan_vpc_endpoints"]


def list_vpc_endpoints(
    session: Session, *, vpc_id: str | None = None
) -> tuple[FoundVpcEndpoint, ...]:
    """Lists the VPC endpoints of the session's region, of every service, the oldest first.

    Args:
        session: Whose account and region.
        vpc_id: Only those of one VPC; all by default.

    Raises:
        DiscoveryError: EC2 could not be asked.
    """
    account = Account(ec2_of(session))
    return account.vpc_endpoints(**({"vpc_id": vpc_id} if vpc_id else {}))


def plan_vpc_endpoints(
    session: Session,
    *,
    vpc_id: str,
    services: Sequence[str] = ("sagemaker", "sagemaker-runtime"),
    subnets: Literal["one-per-zone"] | Sequence[str] = "one-per-zone",
    security_groups: Literal["create"] | Sequence[str] = "create",
    private_dns: bool = True,
    policy: AnyPolicy | Mapping[str, AnyPolicy] | None = None,
    tags: Mapping[str, str] | None = None,
    route_tables: Literal["all"] | Sequence[str] = "all",
    fips: bool | None = None,
) -> Plan:
    """Plans the VPC endpoints of a VPC; looks, and changes nothing.

    Args:
        session: Whose account and region.
        vpc_id: The VPC.
        services: boto3's names of the SageMaker family and its siblings (``sts``, ``logs``,
            ``kms``, …), ``notebook`` and ``studio`` for browsers, or full names of endpoint
            services. ``s3`` and ``dynamodb`` mean the gateway, ``s3-interface`` the interface.
        subnets: ``one-per-zone`` takes one of each zone that the service is offered in.
        security_groups: ``create`` makes one that lets TCP port 443 in from the VPC.
        private_dns: Whether the default host names lead to the VPC endpoints inside the VPC.
        policy: An endpoint policy for the services of the SageMaker family that clients call, or a
            mapping from the words of ``services`` to policies. Without one AWS's own allows all.
        tags: Of everything that is made.
        route_tables: For gateways; ``all`` means every one of the VPC.
        fips: Whether the family's FIPS endpoint services are meant; as the session says by default.

    Raises:
        ConfigurationError: An argument cannot be used; nothing is planned.
        PolicyError: A policy cannot be attached.
        FipsUnavailableError: A service has no FIPS endpoint service.
        DiscoveryError: EC2 could not be asked; the permission is named.
        MissingRegionError: The session has no region; botocore's NoRegionError catches it.
    """
    asked = Question(
        session, vpc_id, tuple(services) if not isinstance(services, str) else (services,), fips
    )
    return asked.plan(
        subnets=subnets,
        security_groups=security_groups,
        private_dns=private_dns,
        policy=policy,
        tags=dict(tags or {}),
        route_tables=route_tables,
    )
