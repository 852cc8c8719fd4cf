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
from sm_private_client.privatelink.records import EndpointAddress, VpcEndpoint
from sm_private_client.routing.deadlines import BackgroundTask
from sm_private_client.routing.discovery import (
    DENIED_CODES,
    THROTTLED_CODES,
    interface_addresses,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in DENIED_CODES:
            return Unknown(
                reason=f"{permission} is not allowed for this identity ({code})",
                permission=permission,
            )
        if code in THROTTLED_CODES:
            return Unknown(reason=f"AWS throttles {permission} for this account ({code})")
        return Unknown(reason=f"{permission} was answered with {code}")
    except TimeoutError:
        return Unknown(reason=f"{permission} was not answered in time", unreachable=True)
    except BotoCoreError as error:
        reason = f"{permission} could not be asked ({type(error).__name__})"
        return Unknown(reason=reason, unreachable=True)


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

    def list_vpc_endpoints() -> list[Mapping[str, Any]]:
        pages = ec2.get_paginator("describe_vpc_endpoints")
        wanted = [{"Name": "service-name", "Values": sorted(endpoint_services)}]
        return [made for page in pages.paginate(Filters=wanted) for made in page["VpcEndpoints"]]

    listed = ask("ec2:DescribeVpcEndpoints", list_vpc_endpoints)
    if isinstance(listed, Unknown):
        if listed.unreachable:
            return Account(vpc_endpoints=listed, vpcs={})
        return Account(vpc_endpoints=listed, vpcs=_look_at_vpcs(ec2, set(vpc_ids), deadline))
    full = [made for made in listed if made["ServiceName"] in set(in_full)]

    def ids(name: str) -> list[str]:
        return sorted({found for made in full for found in made.get(name, ())})

    group_ids = sorted({g["GroupId"] for made in full for g in made.get("Groups", ())})
    questions: dict[str, BackgroundTask[Any]] = {}
    for permission, wanted, question in (
        ("ec2:DescribeNetworkInterfaces", ids("NetworkInterfaceIds"), _interfaces),
        ("ec2:DescribeSecurityGroups", group_ids, _groups),
        ("ec2:DescribeNetworkAcls", ids("SubnetIds"), _acls),
        ("ec2:DescribeSubnets", ids("SubnetIds"), _subnets),
    ):
        questions[permission] = _start(permission, question, ec2, wanted)
    in_vpcs = {made.get("VpcId", "") for made in full} | set(vpc_ids)
    vpcs = _look_at_vpcs(ec2, in_vpcs - {""}, deadline)
    answers: dict[str, Any] = {
        permission: _answer(permission, started, deadline)
        for permission, started in questions.items()
    }
    made_facts = [_facts(made, answers, in_full=made in full) for made in listed]
    made_facts.sort(key=lambda f: (f.vpc_endpoint.created, f.vpc_endpoint.vpc_endpoint_id))
    return Account(vpc_endpoints=tuple(made_facts), vpcs=vpcs)


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
    told = ec2.describe_vpcs(VpcIds=vpc_ids)["Vpcs"]
    vpc: Mapping[str, Any] = told[0] if told else {}
    v4 = [a["CidrBlock"] for a in vpc.get("CidrBlockAssociationSet", ())]
    v6 = [a["Ipv6CidrBlock"] for a in vpc.get("Ipv6CidrBlockAssociationSet", ())]
    return tuple(dict.fromkeys([*v4, *([vpc["CidrBlock"]] if "CidrBlock" in vpc else []), *v6]))


def _interfaces(ec2: Any, ids: list[str]) -> dict[str, tuple[EndpointAddress, ...]]:  # noqa: ANN401
    if not ids:
        return {}
    pages = ec2.get_paginator("describe_network_interfaces")
    wanted = [{"Name": "network-interface-id", "Values": ids}]
    return {
        made["NetworkInterfaceId"]: interface_addresses(made)
        for page in pages.paginate(Filters=wanted)
        for made in page["NetworkInterfaces"]
    }


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


def _facts(
    made: Mapping[str, Any], answers: Mapping[str, Any], *, in_full: bool
) -> VpcEndpointFacts:
    created = made.get("CreationTimestamp")
    bare = VpcEndpointFacts(
        vpc_endpoint=VpcEndpoint(
            vpc_endpoint_id=made["VpcEndpointId"],
            endpoint_service=made["ServiceName"],
            vpc_id=made.get("VpcId", ""),
            state=str(made.get("State", "")).lower(),
            private_dns_enabled=bool(made.get("PrivateDnsEnabled")),
            dns_names=tuple(e["DnsName"] for e in made.get("DnsEntries", ()) if e.get("DnsName")),
            subnet_ids=tuple(made.get("SubnetIds", ())),
            network_interface_ids=tuple(made.get("NetworkInterfaceIds", ())),
            ip_address_type=str(made.get("IpAddressType") or "ipv4").lower(),
            created=created.isoformat() if created else "",
        ),
        kind=str(made.get("VpcEndpointType") or "interface").lower(),
        policy=made.get("PolicyDocument"),
    )
    if not in_full:
        return bare
    subnet_ids = bare.vpc_endpoint.subnet_ids
    interfaces = answers["ec2:DescribeNetworkInterfaces"]
    if not isinstance(interfaces, Unknown):
        enis = bare.vpc_endpoint.network_interface_ids
        addresses = tuple(a for eni in enis for a in interfaces.get(eni, ()))
        bare = replace(bare, vpc_endpoint=replace(bare.vpc_endpoint, addresses=addresses))
    groups, acls = answers["ec2:DescribeSecurityGroups"], answers["ec2:DescribeNetworkAcls"]
    subnets = answers["ec2:DescribeSubnets"]
    own = [g["GroupId"] for g in made.get("Groups", ())]
    return replace(
        bare,
        security_groups=groups
        if isinstance(groups, Unknown)
        else tuple(groups[g] for g in own if g in groups),
        network_acls=acls
        if isinstance(acls, Unknown)
        else tuple(
            replace(acl, subnet_ids=tuple(s for s in acl.subnet_ids if s in subnet_ids))
            for acl in acls
            if set(acl.subnet_ids) & set(subnet_ids)
        ),
        subnets=subnets
        if isinstance(subnets, Unknown)
        else tuple(subnets[s] for s in subnet_ids if s in subnets),
    )
