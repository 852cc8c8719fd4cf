"""What would make a plan fail, told before: pure functions of what EC2 showed."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from sm_private_client.errors import ConfigurationError, ProvisioningError
from sm_private_client.provisioning.account import GONE
from sm_private_client.provisioning.ec2_requests import HTTPS
from sm_private_client.provisioning.policy_files import same_rights
from sm_private_client.provisioning.records import Problem, Subnet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.provisioning.account import ServiceOffer, VpcSubnet
    from sm_private_client.provisioning.records import (
        Blueprint,
        PlannedVpcEndpoint,
    )

__all__ = [
    "check_addresses",
    "check_dns_attributes",
    "check_private_names",
    "check_quotas",
    "check_security_groups",
    "chosen_subnets",
    "found_again",
    "match_existing",
    "refuse_problems",
]

INTERFACES_PER_VPC: Final = 50
"""Interface (and Gateway Load Balancer) VPC endpoints of a VPC, adjustable. Source: PrivateLink
guide, "AWS PrivateLink quotas"."""

GATEWAYS_PER_REGION: Final = 20
"""Gateway VPC endpoints of a region, adjustable. Source: as above."""

_ANY_PROTOCOL: Final = frozenset({"-1", "tcp", "6"})


def refuse_problems(plan: Blueprint) -> None:
    """Refuses a plan that cannot be applied.

    Raises:
        ProvisioningError: It has problems.
    """
    if plan.problems:
        told = "".join(f"\n  {problem.what}" for problem in plan.problems)
        raise ProvisioningError(
            f"The plan for {plan.vpc_id} cannot be applied; nothing was made:{told}",
            remedy=tuple(dict.fromkeys(problem.remedy for problem in plan.problems)),
        )


def check_dns_attributes(vpc_id: str, attributes: Mapping[str, bool]) -> Iterator[Problem]:
    """Private DNS needs both DNS attributes of the VPC."""
    for name, is_on in attributes.items():
        if not is_on:
            option = {
                "enableDnsSupport": "--enable-dns-support",
                "enableDnsHostnames": "--enable-dns-hostnames",
            }[name]
            yield Problem(
                what=f"{name} of {vpc_id} is off, and private DNS needs it.",
                remedy=f"turn it on: aws ec2 modify-vpc-attribute --vpc-id {vpc_id} {option}; or "
                "pass private_dns=False.",
            )


def check_private_names(
    planned: Iterable[PlannedVpcEndpoint],
    offers: Mapping[tuple[str, str], ServiceOffer],
    standing: Iterable[VpcEndpoint],
) -> Iterator[Problem]:
    """A private name leads to one VPC endpoint of a VPC only."""
    taken = {
        name.lower().removesuffix("."): one
        for one in standing
        if one.private_dns_enabled and one.state != "deleted"
        for name in one.dns_names
        if ".vpce." not in name
    }
    for one in planned:
        if not one.private_dns or one.found_id:
            continue
        for name in offers[one.endpoint_service, one.kind].private_names:
            owner = taken.get(name.lower())
            if owner is None:
                continue
            is_going = owner.state in GONE
            yield Problem(
                what=f"{name} leads to {owner.vpc_endpoint_id} in this VPC already, which is "
                f"{owner.state}.",
                remedy="wait until it is deleted, and plan again."
                if is_going
                else f"turn private DNS off for {owner.vpc_endpoint_id}, or pass "
                "private_dns=False.",
            )
            break


def check_quotas(
    in_vpc: Iterable[VpcEndpoint], gateways: int, planned: Sequence[PlannedVpcEndpoint]
) -> Iterator[str]:
    """Notes default quotas that would be passed; whether one was raised is not known here.

    Args:
        in_vpc: The VPC endpoints of the VPC.
        gateways: How many gateway VPC endpoints the region has.
        planned: What is planned.
    """
    interfaces = sum(one.kind in ("Interface", "GatewayLoadBalancer") for one in in_vpc)
    for there, kind, most, where in (
        (interfaces, "Interface", INTERFACES_PER_VPC, "VPC"),
        (gateways, "Gateway", GATEWAYS_PER_REGION, "region"),
    ):
        more = sum(one.kind == kind and not one.found_id for one in planned)
        if more and there + more > most:
            yield (
                f"The {where} has {there} {kind.lower()} VPC endpoints and gets {more} more; AWS's "
                f"default quota is {most}: have it raised (Service Quotas, Amazon VPC)."
            )


def check_addresses(
    planned: Iterable[PlannedVpcEndpoint], subnets: Iterable[VpcSubnet]
) -> Iterator[Problem]:
    """Each VPC endpoint takes one address of each of its subnets."""
    taken = Counter(s.subnet_id for one in planned if not one.found_id for s in one.subnets)
    for subnet in subnets:
        needed = taken[subnet.subnet_id]
        if needed > subnet.free_addresses:
            yield Problem(
                what=f"{subnet.subnet_id} has {subnet.free_addresses} free addresses, and "
                f"{needed} are needed.",
                remedy="pass subnets=[...] with others.",
            )


def check_security_groups(
    groups: Sequence[Mapping[str, Any]], cidrs: Iterable[str]
) -> tuple[list[Problem], list[str]]:
    """Says whether security groups let HTTPS in from a VPC's CIDRs.

    Args:
        groups: As EC2 describes them.
        cidrs: The VPC's.

    Returns:
        A problem where nobody at all is let in; notes on what of the VPC is left out.
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
    left_out = [cidr for cidr in cidrs if not _covered(cidr, sources)]
    if not left_out:
        return [], []
    beside = f", but for members of {', '.join(members)}" if members else ""
    return [], [f"{names} let in TCP port 443 from only a part of {', '.join(left_out)}{beside}."]


def _is_https(rule: Mapping[str, Any]) -> bool:
    if str(rule.get("IpProtocol")).lower() not in _ANY_PROTOCOL:
        return False
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return first is None or last is None or first == -1 or first <= HTTPS <= last


def _covered(cidr: str, sources: Iterable[str]) -> bool:
    """Several rules that cover a CIDR only together count too."""
    network = ipaddress.ip_network(cidr)
    same = [n for n in map(ipaddress.ip_network, sources) if n.version == network.version]
    merged: Iterable[Any] = ipaddress.collapse_addresses(same)
    return any(network.subnet_of(wide) for wide in merged)


def chosen_subnets(
    asked: Literal["one-per-zone"] | Sequence[str], there: Sequence[VpcSubnet], vpc_id: str
) -> tuple[Subnet, ...]:
    """Gives the subnets, ordered by zone.

    For ``one-per-zone`` the first of each zone by its id, those first in which nothing gets a
    public address and that have a free address.

    Raises:
        ConfigurationError: A subnet is not in the VPC, two are in one zone, or there is none.
    """
    if asked == "one-per-zone":
        found = _one_per_zone(there)
        if not found:
            raise ConfigurationError(
                f"{vpc_id} has no subnets.",
                remedy="create a subnet in each zone that callers are in.",
            )
        return found
    wanted = (asked,) if isinstance(asked, str) else tuple(asked)
    known = {subnet.subnet_id: subnet for subnet in there}
    if not wanted or (strangers := [one for one in wanted if one not in known]):
        named = ", ".join(strangers) if wanted else "no subnet at all"
        raise ConfigurationError(
            f"subnets names {named}, of which {vpc_id} has none.",
            possible_causes=("a typing error", "a subnet of another VPC or region"),
            remedy="pass subnets='one-per-zone', or ids of "
            f"{', '.join(sorted(known)) or 'subnets of that VPC'}.",
        )
    by_zone: dict[str, str] = {}
    for one in wanted:
        zone = known[one].availability_zone
        if zone in by_zone:
            raise ConfigurationError(
                f"subnets names {by_zone[zone]} and {one}, which are both in {zone}.",
                cause="EC2 takes one subnet a zone (DuplicateSubnetsInSameZone).",
                remedy=f"name one of them; it is reached from every subnet of {vpc_id}.",
            )
        by_zone[zone] = one
    return _ordered(by_zone)


def _one_per_zone(there: Sequence[VpcSubnet]) -> tuple[Subnet, ...]:
    by_zone: dict[str, str] = {}
    for subnet in sorted(there, key=lambda s: (s.is_public, s.free_addresses == 0, s.subnet_id)):
        by_zone.setdefault(subnet.availability_zone, subnet.subnet_id)
    return _ordered(by_zone)


def _ordered(by_zone: dict[str, str]) -> tuple[Subnet, ...]:
    return tuple(
        Subnet(subnet_id=by_zone[zone], availability_zone=zone) for zone in sorted(by_zone)
    )


_USABLE: Final = frozenset({"available", "pending", "pendingacceptance", "partial"})


def match_existing(
    planned: PlannedVpcEndpoint, standing: Iterable[VpcEndpoint]
) -> VpcEndpoint | None:
    """Gives the VPC endpoint that there is for a service: with private DNS first, then the oldest.

    Args:
        planned: What is planned.
        standing: Those of the VPC, the oldest first.
    """
    same = [
        one
        for one in standing
        if (one.endpoint_service, one.kind) == (planned.endpoint_service, planned.kind)
        and one.state in _USABLE
    ]
    return next((one for one in same if one.private_dns_enabled), next(iter(same), None))


def found_again(
    planned: PlannedVpcEndpoint,
    standing: Iterable[VpcEndpoint],
    security_group_ids: tuple[str, ...],
) -> PlannedVpcEndpoint:
    """Notes in what is planned that it is there already, and how it differs."""
    found = match_existing(planned, standing)
    if found is None:
        return planned
    differences = tuple(_differences(planned, found, security_group_ids))
    return replace(planned, found_id=found.vpc_endpoint_id, differences=differences)


def _differences(
    planned: PlannedVpcEndpoint, found: VpcEndpoint, security_group_ids: tuple[str, ...]
) -> Iterator[str]:
    if found.state != "available":
        yield f"it is {found.state}"
    if planned.kind == "Interface":
        if planned.private_dns != found.private_dns_enabled:
            yield f"its private DNS is {'on' if found.private_dns_enabled else 'off'}"
        missing = [s for s in planned.subnets if s.subnet_id not in found.subnet_ids]
        if missing:
            yield "it is not in " + ", ".join(s.subnet_id for s in missing)
        if security_group_ids and set(security_group_ids) != set(found.security_group_ids):
            yield f"its security groups are {', '.join(found.security_group_ids)}"
    elif missing_tables := set(planned.route_table_ids) - set(found.route_table_ids):
        yield "it is not in " + ", ".join(sorted(missing_tables))
    if planned.policy and not same_rights(planned.policy, found.policy):
        yield "its policy is another one"
