"""What a plan is made of, as frozen records; how it is shown is in ``views``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = [
    "Blueprint",
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
class PlannedSecurityGroup:
    """The security group that lets HTTPS in from the VPC.

    Attributes:
        name: Its name, which has the plan's id in it.
        cidrs: The VPC's IPv4 and IPv6 CIDRs.
        found_id: The group of that name, where an earlier run made it.
    """

    name: str
    cidrs: tuple[str, ...]
    found_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedVpcEndpoint:
    """One VPC endpoint that there is to be.

    Attributes:
        service: The word it was asked for with.
        endpoint_service: Name of the endpoint service.
        kind: ``Interface`` or ``Gateway``.
        service_name: boto3's name of the service; empty where no client calls it.
        subnets: One a zone; none for a gateway.
        private_dns: Whether the default host name is to lead to it inside the VPC.
        policy: The endpoint policy, JSON without white space; empty for AWS's "allow all".
        route_table_ids: A gateway's route tables.
        found_id: The VPC endpoint that there is already, so that none is made.
        differences: What that one has otherwise; it is left as it is.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One row of a plan.

    Attributes:
        action: The IAM action it takes, such as ``ec2:CreateVpcEndpoint``.
        what: What is made, for people.
        detail: Where, and with which settings.
        found_id: What there is already, so that nothing is done; else empty.
    """

    action: str
    what: str
    detail: str
    found_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blueprint:
    """What is to be there, and what stands against it.

    Attributes:
        plan_id: Follows from what was asked for: the same question has the same id.
        region: The region.
        vpc_id: The VPC.
        vpc_endpoints: In the order they were asked for.
        security_group: What is made; ``None`` where groups were given, or none is needed.
        security_group_ids: The groups that were given.
        tags: Of everything that is made, besides ``PLAN_TAG``.
        problems: Why it cannot be applied; empty where it can.
        notes: What is worth knowing before.
    """

    plan_id: str
    region: str
    vpc_id: str
    vpc_endpoints: tuple[PlannedVpcEndpoint, ...]
    security_group: PlannedSecurityGroup | None = None
    security_group_ids: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def to_make(self) -> tuple[PlannedVpcEndpoint, ...]:
        """The VPC endpoints that there are not yet."""
        return tuple(planned for planned in self.vpc_endpoints if not planned.found_id)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Everything in the order it is done."""
        group = self.security_group
        made = [] if group is None else _group_steps(group, self.vpc_id)
        return (*made, *(_vpc_endpoint_step(planned) for planned in self.vpc_endpoints))

    @property
    def hourly_units(self) -> int:
        """How many zones times services are paid by the hour, for what the plan makes."""
        return sum(len(planned.subnets) for planned in self.to_make)

    @property
    def cost(self) -> str:
        """The cost an hour as a formula, to be filled in from your price list."""
        interfaces = [planned for planned in self.to_make if planned.kind == "Interface"]
        if not interfaces:
            return "no interface VPC endpoint is made, so none is paid by the hour"
        sizes = sorted({len(planned.subnets) for planned in interfaces}, reverse=True)
        sums = []
        for size in sizes:
            services = sum(len(planned.subnets) == size for planned in interfaces)
            sums.append(f"{_counted(size, 'zone')} x {_counted(services, 'service')}")
        return (
            f"({' + '.join(sums)} = {self.hourly_units}) x your price per VPC endpoint, zone and "
            "hour, + GB processed x your price per GB"
        )

    def as_dict(self) -> dict[str, Any]:
        """Gives the plan as JSON can hold it."""
        return {
            "plan_id": self.plan_id,
            "region": self.region,
            "vpc_id": self.vpc_id,
            "tags": dict(self.tags),
            "security_group": asdict(self.security_group) if self.security_group else None,
            "security_group_ids": list(self.security_group_ids),
            "vpc_endpoints": [asdict(planned) for planned in self.vpc_endpoints],
            "steps": [asdict(step) for step in self.steps],
            "problems": [asdict(problem) for problem in self.problems],
            "notes": list(self.notes),
            "cost": {"hourly_units": self.hourly_units, "formula": self.cost},
        }


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _group_steps(group: PlannedSecurityGroup, vpc_id: str) -> list[Step]:
    found = group.found_id
    return [
        Step(
            action="ec2:CreateSecurityGroup",
            what=f"security group {group.name}",
            detail=f"in {vpc_id}",
            found_id=found,
        ),
        Step(
            action="ec2:AuthorizeSecurityGroupIngress",
            what="TCP port 443 in",
            detail=f"from {', '.join(group.cidrs)}",
        ),
    ]


def _vpc_endpoint_step(planned: PlannedVpcEndpoint) -> Step:
    if planned.kind == "Gateway":
        details = [f"in {', '.join(planned.route_table_ids)}"]
    else:
        places = (f"{s.availability_zone} ({s.subnet_id})" for s in planned.subnets)
        details = [
            f"in {', '.join(places)}",
            f"private DNS {'on' if planned.private_dns else 'off'}",
        ]
    if planned.policy:
        details.append("with an endpoint policy")
    return Step(
        action="ec2:CreateVpcEndpoint",
        what=f"{planned.kind.lower()} VPC endpoint {planned.endpoint_service}",
        detail="; ".join((*details, *planned.differences)),
        found_id=planned.found_id,
    )
