"""Questions to EC2 and STS: VPC endpoints with groups, ACLs and subnets; VPCs; the identity."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.doctor.facts import (
    AclEntry,
    GroupRule,
    Identity,
    NetworkAcl,
    SecurityGroup,
    Subnet,
    Unknown,
    VpcEndpointFacts,
    VpcFacts,
)
from sm_private_client.privatelink.ec2 import (
    explain,
    read_addresses,
    read_cidrs,
    read_vpc_endpoints,
)
from sm_private_client.routing.deadlines import BackgroundTask
from sm_private_client.routing.discovery import describe, permission_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.types import BotoClient

__all__ = ["Account", "groups_of", "identity_of_caller", "probe_account"]

ACCOUNT_TIMEOUT: Final = 6.0
"""Seconds for all questions to EC2; they are asked in parallel once the first is answered."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What EC2 answered.

    Attributes:
        vpc_endpoints: Those of the services and other services in the region, the oldest first.
        vpcs: The VPCs that matter, by id.
    """

    vpc_endpoints: tuple[VpcEndpointFacts, ...] | Unknown
    vpcs: Mapping[str, VpcFacts]


def identity_of_caller(sts: BotoClient) -> Identity | Unknown:
    """Ask STS who the credentials belong to."""

    def question() -> Identity:
        response = sts.get_caller_identity()
        return Identity(arn=response["Arn"], account_id=response["Account"])

    return _ask("sts:GetCallerIdentity", question)


def groups_of(ec2: BotoClient, addresses: Sequence[str]) -> tuple[str, ...] | Unknown:
    """Ask EC2 which security groups the network interfaces at private addresses are in."""

    def question() -> tuple[str, ...]:
        filters = [{"Name": "addresses.private-ip-address", "Values": list(addresses)}]
        response = ec2.describe_network_interfaces(Filters=filters)
        groups = (g["GroupId"] for raw in response["NetworkInterfaces"] for g in raw["Groups"])
        return tuple(dict.fromkeys(groups))

    return _ask("ec2:DescribeNetworkInterfaces", question)


def probe_account(
    ec2: BotoClient,
    *,
    endpoint_services: Iterable[str],
    in_full: Collection[str],
    vpc_ids: Iterable[str],
) -> Account:
    """Ask EC2 about everything that the checks look at.

    Args:
        ec2: A client with short time-outs.
        endpoint_services: The endpoint services whose VPC endpoints are listed.
        in_full: Those of them whose VPC endpoints are looked at with groups, ACLs and subnets.
        vpc_ids: VPCs to look at beside those of the VPC endpoints.
    """
    deadline = time.monotonic() + ACCOUNT_TIMEOUT
    filters = {"service-name": sorted(endpoint_services)}
    listed = _ask(
        "ec2:DescribeVpcEndpoints",
        lambda: read_vpc_endpoints(
            describe(ec2, "describe_vpc_endpoints", "VpcEndpoints", filters)
        ),
    )
    if isinstance(listed, Unknown):
        vpcs = {} if listed.unreachable else _probe_vpcs(ec2, set(vpc_ids), deadline)
        return Account(vpc_endpoints=listed, vpcs=vpcs)
    full = [v for v in listed if v.endpoint_service in in_full]
    subnet_ids = {subnet for v in full for subnet in v.subnet_ids}

    def begin(
        operation: str, key: str, filter_name: str, ids: set[str]
    ) -> Callable[[], list[Any] | Unknown]:
        def question() -> list[Any]:
            return describe(ec2, operation, key, {filter_name: sorted(ids)}) if ids else []

        return _begin(permission_for(operation), question, deadline)

    interfaces = begin(
        "describe_network_interfaces",
        "NetworkInterfaces",
        "network-interface-id",
        {eni for v in full for eni in v.network_interface_ids},
    )
    groups = begin(
        "describe_security_groups",
        "SecurityGroups",
        "group-id",
        {group for v in full for group in v.security_group_ids},
    )
    acls = begin("describe_network_acls", "NetworkAcls", "association.subnet-id", subnet_ids)
    subnets = begin("describe_subnets", "Subnets", "subnet-id", subnet_ids)
    vpcs = _probe_vpcs(ec2, {v.vpc_id for v in full}.union(vpc_ids) - {""}, deadline)
    raw = interfaces(), groups(), acls(), subnets()
    facts = (_facts(v, *raw) if v in full else VpcEndpointFacts(vpc_endpoint=v) for v in listed)
    return Account(vpc_endpoints=tuple(facts), vpcs=vpcs)


def _ask(permission: str, question: Callable[[], T]) -> T | Unknown:
    """Return the answer, or ``Unknown`` if AWS does not allow or does not answer it."""
    try:
        return question()
    except (BotoCoreError, ClientError, TimeoutError) as error:
        why = explain(error, permission)
        return Unknown(
            reason=f"{permission} failed: {why.cause.rstrip('.')}",
            permission=why.permission,
            unreachable=why.kind == "unreachable",
        )


def _begin(
    permission: str, question: Callable[[], T], deadline: float
) -> Callable[[], T | Unknown]:
    """Ask in the background; return a function that waits for the answer."""
    task: BackgroundTask[T | Unknown] = BackgroundTask(
        partial(_ask, permission, question), what=permission
    )
    late = Unknown(reason=f"{permission} was not answered in time", unreachable=True)
    return partial(task.result_or, late, deadline)


def _probe_vpcs(ec2: BotoClient, vpc_ids: set[str], deadline: float) -> dict[str, VpcFacts]:
    def cidrs(vpc_id: str) -> tuple[str, ...]:
        return next(map(read_cidrs, ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]), ())

    def attribute(vpc_id: str, name: str) -> bool:
        response = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)
        return bool(response[name[0].upper() + name[1:]]["Value"])

    def begin_attribute(vpc_id: str, name: str) -> Callable[[], bool | Unknown]:
        return _begin("ec2:DescribeVpcAttribute", partial(attribute, vpc_id, name), deadline)

    begun = {
        vpc_id: (
            _begin("ec2:DescribeVpcs", partial(cidrs, vpc_id), deadline),
            begin_attribute(vpc_id, "enableDnsSupport"),
            begin_attribute(vpc_id, "enableDnsHostnames"),
        )
        for vpc_id in sorted(vpc_ids)
    }
    return {
        vpc_id: VpcFacts(
            vpc_id=vpc_id, cidrs=blocks(), dns_support=support(), dns_hostnames=hostnames()
        )
        for vpc_id, (blocks, support, hostnames) in begun.items()
    }


def _facts(
    vpc_endpoint: VpcEndpoint,
    interfaces: list[Any] | Unknown,
    groups: list[Any] | Unknown,
    acls: list[Any] | Unknown,
    subnets: list[Any] | Unknown,
) -> VpcEndpointFacts:
    if not isinstance(interfaces, Unknown):
        found = _by_id(interfaces, "NetworkInterfaceId", vpc_endpoint.network_interface_ids)
        addresses = tuple(address for raw in found for address in read_addresses(raw))
        vpc_endpoint = replace(vpc_endpoint, addresses=addresses)
    return VpcEndpointFacts(
        vpc_endpoint=vpc_endpoint,
        security_groups=groups
        if isinstance(groups, Unknown)
        else tuple(map(_group, _by_id(groups, "GroupId", vpc_endpoint.security_group_ids))),
        network_acls=acls
        if isinstance(acls, Unknown)
        else tuple(acl for raw in acls if (acl := _acl(raw, vpc_endpoint.subnet_ids)).subnet_ids),
        subnets=subnets
        if isinstance(subnets, Unknown)
        else tuple(map(_subnet, _by_id(subnets, "SubnetId", vpc_endpoint.subnet_ids))),
    )


def _by_id(found: list[Any], key: str, ids: Iterable[str]) -> list[Any]:
    return [raw for one in ids for raw in found if raw[key] == one]


def _group(raw: Mapping[str, Any]) -> SecurityGroup:
    rules = tuple(map(_rule, raw.get("IpPermissions", ())))
    return SecurityGroup(group_id=raw["GroupId"], rules=rules)


def _rule(raw: Mapping[str, Any]) -> GroupRule:
    v4 = [r["CidrIp"] for r in raw.get("IpRanges", ()) if r.get("CidrIp")]
    v6 = [r["CidrIpv6"] for r in raw.get("Ipv6Ranges", ()) if r.get("CidrIpv6")]
    pairs = raw.get("UserIdGroupPairs", ())
    return GroupRule(
        protocol=str(raw.get("IpProtocol", "-1")),
        from_port=raw.get("FromPort"),
        to_port=raw.get("ToPort"),
        cidrs=(*v4, *v6),
        group_ids=tuple(p["GroupId"] for p in pairs if p.get("GroupId")),
        prefix_list_ids=tuple(p["PrefixListId"] for p in raw.get("PrefixListIds", ())),
    )


def _acl(raw: Mapping[str, Any], subnet_ids: Collection[str]) -> NetworkAcl:
    guarded = (a.get("SubnetId") for a in raw["Associations"])
    return NetworkAcl(
        acl_id=raw["NetworkAclId"],
        subnet_ids=tuple(subnet for subnet in guarded if subnet in subnet_ids),
        entries=tuple(sorted(map(_entry, raw["Entries"]), key=lambda e: e.number)),
    )


def _entry(raw: Mapping[str, Any]) -> AclEntry:
    ports = raw.get("PortRange") or {}
    return AclEntry(
        number=int(raw["RuleNumber"]),
        egress=bool(raw["Egress"]),
        allow=raw["RuleAction"] == "allow",
        protocol=str(raw["Protocol"]),
        cidr=str(raw.get("CidrBlock") or raw.get("Ipv6CidrBlock") or "0.0.0.0/0"),
        from_port=ports.get("From"),
        to_port=ports.get("To"),
    )


def _subnet(raw: Mapping[str, Any]) -> Subnet:
    zone = raw.get("AvailabilityZone", "")
    return Subnet(subnet_id=raw["SubnetId"], availability_zone=zone)
