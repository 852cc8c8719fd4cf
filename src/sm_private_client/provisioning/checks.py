"""Checks of a plan before it is applied: pure functions of what EC2 showed."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from sm_private_client.errors import ConfigurationError, ProvisioningError
from sm_private_client.provisioning.account import GONE
from sm_private_client.provisioning.ec2_requests import HTTPS
from sm_private_client.provisioning.policy_files import is_same_policy
from sm_private_client.provisioning.records import Problem, Subnet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.provisioning.account import ServiceOffer, VpcSubnet
    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.provisioning.records import PlannedVpcEndpoint

__all__ = [
    "check_addresses",
    "check_dns_attributes",
    "check_private_names",
    "check_quotas",
    "check_security_groups",
    "choose_subnets",
    "mark_existing",
    "match_existing",
    "refuse_problems",
]

INTERFACES_PER_VPC: Final = 50
"""Interface (and Gateway Load Balancer) VPC endpoints of a VPC, adjustable. Source: PrivateLink
guide, "AWS PrivateLink quotas"."""

GATEWAYS_PER_REGION: Final = 20
"""Gateway VPC endpoints of a region, adjustable. Source: as above."""

_USABLE: Final = frozenset({"available", "pending", "pendingacceptance", "partial"})
_TCP: Final = frozenset({"-1", "tcp", "6"})  # -1: any protocol
_DNS_OPTIONS: Final = {
    "enableDnsSupport": "--enable-dns-support",
    "enableDnsHostnames": "--enable-dns-hostnames",
}


def refuse_problems(plan: Plan) -> None:
    """Refuse a plan that cannot be applied.

    Raises:
        ProvisioningError: It has problems.
    """
    if plan.problems:
        listed = "".join(f"\n  {problem.what}" for problem in plan.problems)
        raise ProvisioningError(
            f"The plan for {plan.vpc_id} cannot be applied; nothing was made:{listed}",
            remedy=tuple(dict.fromkeys(problem.remedy for problem in plan.problems)),
        )


# Subnets


def choose_subnets(
    subnets: Literal["one-per-zone"] | Sequence[str], existing: Sequence[VpcSubnet], vpc_id: str
) -> tuple[Subnet, ...]:
    """Return one subnet per zone, ordered by zone.

    ``one-per-zone`` takes the first of each zone by its id. Subnets in which nothing gets a public
    address and that have a free address come first.

    Raises:
        ConfigurationError: A subnet is not in the VPC, two are in one zone, or there is none.
    """
    if subnets == "one-per-zone":
        if not existing:
            raise ConfigurationError(
                f"{vpc_id} has no subnets.",
                remedy="create a subnet in each zone that callers are in.",
            )
        by_zone: dict[str, str] = {}
        for one in sorted(existing, key=lambda s: (s.is_public, not s.free_addresses, s.subnet_id)):
            by_zone.setdefault(one.availability_zone, one.subnet_id)
    else:
        subnet_ids = (subnets,) if isinstance(subnets, str) else tuple(subnets)
        by_zone = _by_zone(subnet_ids, existing, vpc_id)
    return tuple(
        Subnet(subnet_id=by_zone[zone], availability_zone=zone) for zone in sorted(by_zone)
    )


def _by_zone(
    subnet_ids: tuple[str, ...], existing: Sequence[VpcSubnet], vpc_id: str
) -> dict[str, str]:
    zones = {subnet.subnet_id: subnet.availability_zone for subnet in existing}
    if not subnet_ids or (strangers := [one for one in subnet_ids if one not in zones]):
        named = ", ".join(strangers) if subnet_ids else "no subnet at all"
        raise ConfigurationError(
            f"subnets names {named}, of which {vpc_id} has none.",
            possible_causes=("a typing error", "a subnet of another VPC or region"),
            remedy="pass subnets='one-per-zone', or ids of "
            f"{', '.join(sorted(zones)) or 'subnets of that VPC'}.",
        )
    by_zone: dict[str, str] = {}
    for one in subnet_ids:
        zone = zones[one]
        if zone in by_zone:
            raise ConfigurationError(
                f"subnets names {by_zone[zone]} and {one}, which are both in {zone}.",
                cause="EC2 takes one subnet a zone (DuplicateSubnetsInSameZone).",
                remedy=f"name one of them; it is reached from every subnet of {vpc_id}.",
            )
        by_zone[zone] = one
    return by_zone


# VPC endpoints that exist


def match_existing(
    planned: PlannedVpcEndpoint, existing: Iterable[VpcEndpoint]
) -> VpcEndpoint | None:
    """Return the VPC endpoint that a service has already: with private DNS first, then the oldest.

    ``existing`` are those of the VPC, the oldest first.
    """
    usable = [
        one
        for one in existing
        if (one.endpoint_service, one.kind) == (planned.endpoint_service, planned.kind)
        and one.state in _USABLE
    ]
    return min(usable, key=lambda one: not one.private_dns_enabled, default=None)


def mark_existing(
    planned: PlannedVpcEndpoint,
    existing: Iterable[VpcEndpoint],
    security_group_ids: tuple[str, ...],
) -> PlannedVpcEndpoint:
    """Return what is planned, with the VPC endpoint that exists already and how it differs."""
    found = match_existing(planned, existing)
    if found is None:
        return planned
    differences = tuple(_differences(planned, found, security_group_ids))
    return replace(planned, found_id=found.vpc_endpoint_id, differences=differences)


def _differences(
    planned: PlannedVpcEndpoint, found: VpcEndpoint, security_group_ids: tuple[str, ...]
) -> Iterator[str]:
    if found.state != "available":
        yield f"it is {found.state}"
    if planned.private_dns != found.private_dns_enabled and planned.kind == "Interface":
        yield f"its private DNS is {'on' if found.private_dns_enabled else 'off'}"
    places = {*planned.route_table_ids, *(one.subnet_id for one in planned.subnets)}
    if missing := places.difference(found.route_table_ids, found.subnet_ids):
        yield "it is not in " + ", ".join(sorted(missing))
    is_other_group = set(security_group_ids) != set(found.security_group_ids)
    if security_group_ids and is_other_group and planned.kind == "Interface":
        yield f"its security groups are {', '.join(found.security_group_ids)}"
    if planned.policy and not is_same_policy(planned.policy, found.policy):
        yield "its policy is another one"


# Problems and notes


def check_dns_attributes(vpc_id: str, attributes: Mapping[str, bool]) -> Iterator[Problem]:
    """Find DNS attributes of the VPC that are off: private DNS needs both."""
    for name, is_on in attributes.items():
        if not is_on:
            yield Problem(
                what=f"{name} of {vpc_id} is off, and private DNS needs it.",
                remedy=f"turn it on: aws ec2 modify-vpc-attribute --vpc-id {vpc_id} "
                f"{_DNS_OPTIONS[name]}; or pass private_dns=False.",
            )


def check_private_names(
    planned: Iterable[PlannedVpcEndpoint],
    offers: Mapping[tuple[str, str], ServiceOffer],
    existing: Iterable[VpcEndpoint],
) -> Iterator[Problem]:
    """Find private names that another VPC endpoint of the VPC has: they lead to one only."""
    owners = {
        name.lower().removesuffix("."): one
        for one in existing
        if one.private_dns_enabled and one.state != "deleted"
        for name in one.dns_names
        if ".vpce." not in name
    }
    for one in planned:
        if not one.private_dns or one.found_id:
            continue
        names = offers[one.endpoint_service, one.kind].private_names
        name = next((name for name in names if name.lower() in owners), None)
        if name is not None:
            owner = owners[name.lower()]
            yield Problem(
                what=f"{name} leads to {owner.vpc_endpoint_id} in this VPC already, which is "
                f"{owner.state}.",
                remedy="wait until it is deleted, and plan again."
                if owner.state in GONE
                else f"turn private DNS off for {owner.vpc_endpoint_id}, or pass "
                "private_dns=False.",
            )


def check_quotas(
    in_vpc: Iterable[VpcEndpoint], gateways: int, planned: Sequence[PlannedVpcEndpoint]
) -> Iterator[str]:
    """Note the default quotas that would be exceeded; nobody can see here if one was raised.

    ``gateways`` is how many gateway VPC endpoints the region has.
    """
    interfaces = sum(one.kind in ("Interface", "GatewayLoadBalancer") for one in in_vpc)
    for count, kind, quota, where in (
        (interfaces, "Interface", INTERFACES_PER_VPC, "VPC"),
        (gateways, "Gateway", GATEWAYS_PER_REGION, "region"),
    ):
        more = sum(one.kind == kind and not one.found_id for one in planned)
        if more and count + more > quota:
            yield (
                f"The {where} has {count} {kind.lower()} VPC endpoints and gets {more} more; AWS's "
                f"default quota is {quota}: have it raised (Service Quotas, Amazon VPC)."
            )


def check_addresses(
    planned: Iterable[PlannedVpcEndpoint], subnets: Iterable[VpcSubnet]
) -> Iterator[Problem]:
    """Find subnets with too few addresses: each VPC endpoint takes one of each of its subnets."""
    needed = Counter(s.subnet_id for one in planned if not one.found_id for s in one.subnets)
    for subnet in subnets:
        if needed[subnet.subnet_id] > subnet.free_addresses:
            yield Problem(
                what=f"{subnet.subnet_id} has {subnet.free_addresses} free addresses, and "
                f"{needed[subnet.subnet_id]} are needed.",
                remedy="pass subnets=[...] with others.",
            )


def check_security_groups(
    groups: Sequence[Mapping[str, Any]], cidrs: Iterable[str]
) -> tuple[list[Problem], list[str]]:
    """Compare what security groups let in to HTTPS with the CIDRs of a VPC.

    Returns:
        A problem if nobody at all is let in; a note if a part of the VPC is not.
    """
    rules = [rule for group in groups for rule in group.get("IpPermissions", ()) if _is_https(rule)]
    sources = [r["CidrIp"] for rule in rules for r in rule.get("IpRanges", ())]
    sources += [r["CidrIpv6"] for rule in rules for r in rule.get("Ipv6Ranges", ())]
    members = [pair["GroupId"] for rule in rules for pair in rule.get("UserIdGroupPairs", ())]
    members += [entry["PrefixListId"] for rule in rules for entry in rule.get("PrefixListIds", ())]
    names = ", ".join(str(group["GroupId"]) for group in groups)
    if not sources and not members:
        return [
            Problem(
                what=f"Nobody is let in to TCP port 443 by {names}.",
                remedy="add an inbound rule for TCP port 443 from the VPC to one of them, or pass "
                "security_groups='create'.",
            )
        ], []
    left_out = ", ".join(cidr for cidr in cidrs if not _is_covered(cidr, sources))
    if not left_out:
        return [], []
    beside = f", but for members of {', '.join(members)}" if members else ""
    return [], [f"{names} let in TCP port 443 from only a part of {left_out}{beside}."]


def _is_https(rule: Mapping[str, Any]) -> bool:
    if str(rule.get("IpProtocol")).lower() not in _TCP:
        return False
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return first is None or last is None or first == -1 or first <= HTTPS <= last


def _is_covered(cidr: str, sources: Iterable[str]) -> bool:
    """Return True if the sources cover a CIDR, also if only several of them together do."""
    network = ipaddress.ip_network(cidr)
    same = [n for n in map(ipaddress.ip_network, sources) if n.version == network.version]
    merged: Iterable[Any] = ipaddress.collapse_addresses(same)
    return any(network.subnet_of(wide) for wide in merged)
