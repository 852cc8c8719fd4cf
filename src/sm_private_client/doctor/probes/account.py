"""What EC2 and STS tell: VPC endpoints with groups, ACLs, subnets and policies; VPCs; identity."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.doctor.facts import Identity
from sm_private_client.doctor.observations import (
    AclEntry,
    GroupRule,
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
from sm_private_client.routing.discovery import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sm_private_client.privatelink.records import EndpointAddress, VpcEndpoint

__all__ = ["Account", "ask", "groups_of", "identity_of_caller", "look_at_account"]

ACCOUNT_TIMEOUT: Final = 6.0
"""Seconds for all questions to EC2; they are asked in parallel once the first is answered."""


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What EC2 told.

    Attributes:
        vpc_endpoints: Those of the services and other services in the region, the oldest first.
        vpcs: The VPCs that matter, by id.
    """

    vpc_endpoints: tuple[VpcEndpointFacts, ...] | Unknown
    vpcs: Mapping[str, VpcFacts]


def ask(permission: str, question: Callable[[], T]) -> T | Unknown:
    """Asks AWS something; what is not allowed or not answered is ``Unknown``."""
    try:
        return question()
    except (BotoCoreError, ClientError, TimeoutError) as error:
        why = explain(error, permission)
        return Unknown(
            reason=f"{permission} failed: {why.cause.rstrip('.')}",
            permission=why.permission,
            unreachable=why.kind == "unreachable",
        )


def identity_of_caller(sts: Any) -> Identity | Unknown:  # noqa: ANN401 - boto3's
    """Asks STS who the credentials belong to."""

    def question() -> Identity:
        told = sts.get_caller_identity()
        return Identity(arn=told["Arn"], account_id=told["Account"])

    return ask("sts:GetCallerIdentity", question)


def groups_of(ec2: Any, addresses: Sequence[str]) -> tuple[str, ...] | Unknown:  # noqa: ANN401
    """Asks which security groups the network interfaces at private addresses are in."""

    def question() -> tuple[str, ...]:
        wanted = [{"Name": "addresses.private-ip-address", "Values": list(addresses)}]
        told = ec2.describe_network_interfaces(Filters=wanted)
        groups = (g["GroupId"] for made in told["NetworkInterfaces"] for g in made["Groups"])
        return tuple(dict.fromkeys(groups))

    return ask("ec2:DescribeNetworkInterfaces", question)


def look_at_account(
    ec2: Any,  # noqa: ANN401 - boto3's
    *,
    endpoint_services: Sequence[str],
    in_full: Iterable[str],
    vpc_ids: Iterable[str],
) -> Account:
    """Asks EC2 about everything that the checks look at.

    Args:
        ec2: A client with short time-outs.
        endpoint_services: The endpoint services whose VPC endpoints are listed.
        in_full: Those of them whose VPC endpoints are looked at with groups, ACLs and subnets.
        vpc_ids: VPCs to look at beside those of the VPC endpoints.
    """
    deadline = time.monotonic() + ACCOUNT_TIMEOUT

    def list_vpc_endpoints() -> tuple[VpcEndpoint, ...]:
        filters = {"service-name": sorted(endpoint_services)}
        return read_vpc_endpoints(describe(ec2, "describe_vpc_endpoints", "VpcEndpoints", filters))

    listed = ask("ec2:DescribeVpcEndpoints", list_vpc_endpoints)
    if isinstance(listed, Unknown):
        if listed.unreachable:
            return Account(vpc_endpoints=listed, vpcs={})
        return Account(vpc_endpoints=listed, vpcs=_look_at_vpcs(ec2, set(vpc_ids), deadline))
    full = [v for v in listed if v.endpoint_service in set(in_full)]
    interface_ids = sorted({eni for v in full for eni in v.network_interface_ids})
    group_ids = sorted({group for v in full for group in v.security_group_ids})
    subnet_ids = sorted({subnet for v in full for subnet in v.subnet_ids})
    questions: dict[str, BackgroundTask[Any]] = {}
    for permission, wanted, question in (
        ("ec2:DescribeNetworkInterfaces", interface_ids, _interfaces),
        ("ec2:DescribeSecurityGroups", group_ids, _groups),
        ("ec2:DescribeNetworkAcls", subnet_ids, _acls),
        ("ec2:DescribeSubnets", subnet_ids, _subnets),
    ):
        questions[permission] = _start(permission, question, ec2, wanted)
    in_vpcs = {v.vpc_id for v in full} | set(vpc_ids)
    vpcs = _look_at_vpcs(ec2, in_vpcs - {""}, deadline)
    answers: dict[str, Any] = {
        permission: _answer(permission, started, deadline)
        for permission, started in questions.items()
    }
    facts = tuple(
        _facts(v, answers) if v in full else VpcEndpointFacts(vpc_endpoint=v) for v in listed
    )
    return Account(vpc_endpoints=facts, vpcs=vpcs)


def _start(
    permission: str,
    question: Callable[[Any, list[str]], T],
    ec2: Any,  # noqa: ANN401 - boto3's
    wanted: list[str],
) -> BackgroundTask[T | Unknown]:
    return BackgroundTask(lambda: ask(permission, lambda: question(ec2, wanted)), what=permission)


def _answer(permission: str, started: BackgroundTask[T | Unknown], deadline: float) -> T | Unknown:
    try:
        return started.result(deadline)
    except TimeoutError:
        return Unknown(reason=f"{permission} was not answered in time", unreachable=True)


def _look_at_vpcs(
    ec2: Any,  # noqa: ANN401 - boto3's
    vpc_ids: set[str],
    deadline: float,
) -> dict[str, VpcFacts]:
    attributes = ("enableDnsSupport", "enableDnsHostnames")
    permission = "ec2:DescribeVpcAttribute"
    asked = {}
    for vpc_id in sorted(vpc_ids):
        cidrs = _start("ec2:DescribeVpcs", _cidrs, ec2, [vpc_id])
        switches = {
            name: _start(permission, lambda e, w, n=name: _switch(e, w, n), ec2, [vpc_id])  # type: ignore[misc] # mypy knows no default of a lambda
            for name in attributes
        }
        asked[vpc_id] = cidrs, switches
    return {
        vpc_id: VpcFacts(
            vpc_id=vpc_id,
            cidrs=_answer("ec2:DescribeVpcs", cidrs, deadline),
            dns_support=_answer(permission, switches["enableDnsSupport"], deadline),
            dns_hostnames=_answer(permission, switches["enableDnsHostnames"], deadline),
        )
        for vpc_id, (cidrs, switches) in asked.items()
    }


def _switch(ec2: Any, vpc_ids: list[str], name: str) -> bool:  # noqa: ANN401
    told = ec2.describe_vpc_attribute(VpcId=vpc_ids[0], Attribute=name)
    return bool(told[name[0].upper() + name[1:]]["Value"])


def _cidrs(ec2: Any, vpc_ids: list[str]) -> tuple[str, ...]:  # noqa: ANN401
    return next(map(read_cidrs, ec2.describe_vpcs(VpcIds=vpc_ids)["Vpcs"]), ())


def _interfaces(ec2: Any, ids: list[str]) -> dict[str, tuple[EndpointAddress, ...]]:  # noqa: ANN401
    if not ids:
        return {}
    filters = {"network-interface-id": ids}
    found = describe(ec2, "describe_network_interfaces", "NetworkInterfaces", filters)
    return {raw["NetworkInterfaceId"]: read_addresses(raw) for raw in found}


def _groups(ec2: Any, ids: list[str]) -> dict[str, SecurityGroup]:  # noqa: ANN401
    if not ids:
        return {}
    return {
        made["GroupId"]: SecurityGroup(
            group_id=made["GroupId"],
            rules=tuple(map(_rule, made.get("IpPermissions", ()))),
        )
        for made in ec2.describe_security_groups(GroupIds=ids)["SecurityGroups"]
    }


def _rule(made: Mapping[str, Any]) -> GroupRule:
    v4 = [r["CidrIp"] for r in made.get("IpRanges", ()) if r.get("CidrIp")]
    v6 = [r["CidrIpv6"] for r in made.get("Ipv6Ranges", ()) if r.get("CidrIpv6")]
    pairs = made.get("UserIdGroupPairs", ())
    return GroupRule(
        protocol=str(made.get("IpProtocol", "-1")),
        from_port=made.get("FromPort"),
        to_port=made.get("ToPort"),
        cidrs=(*v4, *v6),
        group_ids=tuple(p["GroupId"] for p in pairs if p.get("GroupId")),
        prefix_list_ids=tuple(p["PrefixListId"] for p in made.get("PrefixListIds", ())),
    )


def _acls(ec2: Any, subnet_ids: list[str]) -> tuple[NetworkAcl, ...]:  # noqa: ANN401
    if not subnet_ids:
        return ()
    wanted = [{"Name": "association.subnet-id", "Values": subnet_ids}]
    return tuple(
        NetworkAcl(
            acl_id=made["NetworkAclId"],
            subnet_ids=tuple(a["SubnetId"] for a in made["Associations"] if "SubnetId" in a),
            entries=tuple(sorted(map(_entry, made["Entries"]), key=lambda e: e.number)),
        )
        for made in ec2.describe_network_acls(Filters=wanted)["NetworkAcls"]
    )


def _entry(made: Mapping[str, Any]) -> AclEntry:
    ports = made.get("PortRange") or {}
    return AclEntry(
        number=int(made["RuleNumber"]),
        egress=bool(made["Egress"]),
        allow=made["RuleAction"] == "allow",
        protocol=str(made["Protocol"]),
        cidr=str(made.get("CidrBlock") or made.get("Ipv6CidrBlock") or "0.0.0.0/0"),
        from_port=ports.get("From"),
        to_port=ports.get("To"),
    )


def _subnets(ec2: Any, subnet_ids: list[str]) -> dict[str, Subnet]:  # noqa: ANN401
    if not subnet_ids:
        return {}
    wanted = [{"Name": "subnet-id", "Values": subnet_ids}]
    return {
        made["SubnetId"]: Subnet(
            subnet_id=made["SubnetId"],
            availability_zone=made.get("AvailabilityZone", ""),
            cidr=made.get("CidrBlock", ""),
        )
        for made in ec2.describe_subnets(Filters=wanted)["Subnets"]
    }


def _facts(found: VpcEndpoint, answers: Mapping[str, Any]) -> VpcEndpointFacts:
    interfaces = answers["ec2:DescribeNetworkInterfaces"]
    if not isinstance(interfaces, Unknown):
        enis = found.network_interface_ids
        found = replace(found, addresses=tuple(a for e in enis for a in interfaces.get(e, ())))
    groups, acls = answers["ec2:DescribeSecurityGroups"], answers["ec2:DescribeNetworkAcls"]
    subnets = answers["ec2:DescribeSubnets"]
    return VpcEndpointFacts(
        vpc_endpoint=found,
        security_groups=groups
        if isinstance(groups, Unknown)
        else tuple(groups[g] for g in found.security_group_ids if g in groups),
        network_acls=acls
        if isinstance(acls, Unknown)
        else tuple(
            replace(acl, subnet_ids=tuple(s for s in acl.subnet_ids if s in found.subnet_ids))
            for acl in acls
            if set(acl.subnet_ids) & set(found.subnet_ids)
        ),
        subnets=subnets
        if isinstance(subnets, Unknown)
        else tuple(subnets[s] for s in found.subnet_ids if s in subnets),
    )
