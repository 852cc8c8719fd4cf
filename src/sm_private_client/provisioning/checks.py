"""What would make a plan fail, told before: pure functions of what EC2 showed."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import ProvisioningError
from sm_private_client.provisioning.looking import GONE
from sm_private_client.provisioning.records import Problem
from sm_private_client.provisioning.requests import HTTPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sm_private_client.provisioning.looking import Offer, VpcSubnet
    from sm_private_client.provisioning.records import (
        Blueprint,
        FoundVpcEndpoint,
        PlannedVpcEndpoint,
    )

__all__ = [
    "check_addresses",
    "check_dns_attributes",
    "check_private_names",
    "check_quotas",
    "check_security_groups",
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
    offers: Mapping[tuple[str, str], Offer],
    standing: Iterable[FoundVpcEndpoint],
) -> Iterator[Problem]:
    """A private name leads to one VPC endpoint of a VPC only."""
    taken = {
        name.lower().removesuffix("."): one
        for one in standing
        if one.private_dns and one.state != "deleted"
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
    in_vpc: Iterable[FoundVpcEndpoint], gateways: int, planned: Sequence[PlannedVpcEndpoint]
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
