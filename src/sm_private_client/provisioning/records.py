"""Records of a plan: subnets, VPC endpoints that exist or are planned, problems and steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Kind",
    "PlannedSecurityGroup",
    "PlannedVpcEndpoint",
    "Problem",
    "Step",
    "Subnet",
]

Kind = Literal["Interface", "Gateway"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subnet:
    """A subnet that gets a network interface of each VPC endpoint."""

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
class PlannedSecurityGroup:
    """The security group that allows HTTPS from the VPC.

    Attributes:
        name: It contains the id of the plan.
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
        service_name: boto3's name of the service; empty if no client calls it.
        subnets: One per zone; none for a gateway.
        private_dns: Whether the default host name leads to it inside the VPC.
        policy: The endpoint policy, JSON without white space; empty for AWS's "allow all".
        route_table_ids: Of a gateway.
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
