"""Records of a plan: subnets, VPC endpoints that exist or are planned, problems and steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

__all__ = [
    "PLAN_TAG",
    "FoundVpcEndpoint",
    "Kind",
    "PlannedSecurityGroup",
    "PlannedVpcEndpoint",
    "Problem",
    "Step",
    "Subnet",
]

PLAN_TAG: Final = "sm-private-client:plan"
"""The tag of everything that a plan makes; its value is the id of the plan."""

Kind = Literal["Interface", "Gateway"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subnet:
    """A subnet that gets a network interface of each VPC endpoint.

    Attributes:
        subnet_id: Its id.
        availability_zone: Its zone's name.
    """

    subnet_id: str
    availability_zone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something in the account that would make the plan fail.

    Attributes:
        what: What is wrong, with names and values.
        remedy: What to do about it, in the imperative, with the setting.
    """

    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundVpcEndpoint:
    """A VPC endpoint of any service that EC2 has.

    Attributes:
        vpc_endpoint_id: Its id.
        endpoint_service: Name of the endpoint service.
        kind: ``Interface`` or ``Gateway``.
        vpc_id: Its VPC.
        state: In lower case.
        private_dns: Whether private DNS is on.
        dns_names: Every DNS name that EC2 gives.
        subnet_ids: Where it has network interfaces.
        network_interface_ids: These interfaces.
        security_group_ids: Their security groups.
        route_table_ids: A gateway's route tables.
        policy: The endpoint policy's text; empty where EC2 gives none.
        created: ISO 8601, UTC; empty where it is not known.
        plan_id: The plan that made it; empty where none of ours did.
    """

    vpc_endpoint_id: str
    endpoint_service: str
    kind: str
    vpc_id: str
    state: str
    private_dns: bool = False
    dns_names: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    network_interface_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    route_table_ids: tuple[str, ...] = ()
    policy: str = ""
    created: str = ""
    plan_id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Gives it as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedSecurityGroup:
    """The security group that allows HTTPS from the VPC.

    Attributes:
        name: Its name, which contains the id of the plan.
        cidrs: The IPv4 and IPv6 CIDRs of the VPC.
        found_id: The group of that name, if an earlier run made it; else empty.
    """

    name: str
    cidrs: tuple[str, ...]
    found_id: str = ""

    @property
    def title(self) -> str:
        """``security group sm-private-client-…``, for people."""
        return f"security group {self.name}"

    def steps(self, vpc_id: str) -> tuple[Step, Step]:
        """Return the rows of a plan: the group, and its rule."""
        return (
            Step(
                action="ec2:CreateSecurityGroup",
                what=self.title,
                detail=f"in {vpc_id}",
                found_id=self.found_id,
            ),
            Step(
                action="ec2:AuthorizeSecurityGroupIngress",
                what="TCP port 443 in",
                detail=f"from {', '.join(self.cidrs)}",
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedVpcEndpoint:
    """One VPC endpoint of a plan.

    Attributes:
        service: The word it was requested with.
        endpoint_service: Name of the endpoint service.
        kind: ``Interface`` or ``Gateway``.
        service_name: boto3's name of the service; empty if no client calls it.
        subnets: One per zone; none for a gateway.
        private_dns: Whether the default host name leads to it inside the VPC.
        policy: The endpoint policy, JSON without white space; empty for AWS's "allow all".
        route_table_ids: The route tables of a gateway.
        found_id: The VPC endpoint that exists already, so that none is made; else empty.
        differences: How the existing one differs; it is not changed.
    """

    service: str
    endpoint_service: str
    kind: Kind
    service_name: str = ""
    subnets: tuple[Subnet, ...] = ()
    private_dns: bool = False
    policy: str = ""
    route_table_ids: tuple[str, ...] = ()
    found_id: str = ""
    differences: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """``interface VPC endpoint com.amazonaws…``, for people."""
        return f"{self.kind.lower()} VPC endpoint {self.endpoint_service}"

    def step(self) -> Step:
        """Return the row of a plan."""
        if self.kind == "Gateway":
            details = [f"in {', '.join(self.route_table_ids)}"]
        else:
            places = (f"{one.availability_zone} ({one.subnet_id})" for one in self.subnets)
            details = [
                f"in {', '.join(places)}",
                f"private DNS {'on' if self.private_dns else 'off'}",
            ]
        if self.policy:
            details.append("with an endpoint policy")
        return Step(
            action="ec2:CreateVpcEndpoint",
            what=self.title,
            detail="; ".join((*details, *self.differences)),
            found_id=self.found_id,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One row of a plan.

    Attributes:
        action: The IAM action it needs, such as ``ec2:CreateVpcEndpoint``.
        what: What is made, for people.
        detail: Where, and with which settings.
        found_id: What exists already, so that nothing is done; else empty.
    """

    action: str
    what: str
    detail: str
    found_id: str = ""
