"""Facts about the account: VPC endpoints with their groups, ACLs and subnets, and VPCs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sm_private_client.doctor.unknown import Unknown, known

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import VpcEndpoint

__all__ = [
    "AclEntry",
    "GroupRule",
    "NetworkAcl",
    "SecurityGroup",
    "Subnet",
    "VpcEndpointFacts",
    "VpcFacts",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class VpcFacts:
    """One VPC.

    Attributes:
        vpc_id: Its id.
        cidrs: Its CIDRs.
        dns_support: ``enableDnsSupport``.
        dns_hostnames: ``enableDnsHostnames``.
    """

    vpc_id: str
    cidrs: tuple[str, ...] | Unknown = ()
    dns_support: bool | Unknown = True
    dns_hostnames: bool | Unknown = True


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRule:
    """One inbound rule of a security group.

    Attributes:
        protocol: ``tcp``, ``udp``, …; ``-1`` for all.
        from_port: The first port; ``None`` for all.
        to_port: The last port.
        cidrs: Sources by address.
        group_ids: Sources by security group.
        prefix_list_ids: Sources by prefix list.
    """

    protocol: str = "tcp"
    from_port: int | None = 443
    to_port: int | None = 443
    cidrs: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    prefix_list_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SecurityGroup:
    """A security group of a VPC endpoint.

    Attributes:
        group_id: Its id.
        rules: Its inbound rules.
    """

    group_id: str
    rules: tuple[GroupRule, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AclEntry:
    """One entry of a network ACL.

    Attributes:
        number: Its rule number; the lowest that matches decides.
        egress: Whether it is about what leaves the subnet.
        allow: Whether it allows.
        protocol: The protocol's number as text; ``6`` is TCP, ``-1`` all.
        cidr: The other side.
        from_port: The first port; ``None`` for all.
        to_port: The last port.
    """

    number: int
    egress: bool
    allow: bool
    protocol: str = "-1"
    cidr: str = "0.0.0.0/0"
    from_port: int | None = None
    to_port: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkAcl:
    """The network ACL of subnets.

    Attributes:
        acl_id: Its id.
        subnet_ids: The subnets of the VPC endpoint that it guards.
        entries: Its entries, the lowest number first.
    """

    acl_id: str
    subnet_ids: tuple[str, ...] = ()
    entries: tuple[AclEntry, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Subnet:
    """A subnet.

    Attributes:
        subnet_id: Its id.
        availability_zone: Its zone's name.
        cidr: Its addresses.
    """

    subnet_id: str
    availability_zone: str
    cidr: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class VpcEndpointFacts:
    """A VPC endpoint of the service, usable or not.

    Attributes:
        vpc_endpoint: As EC2 describes it, with its addresses where EC2 tells them.
        kind: ``interface`` or ``gateway``, in lower case.
        policy: Its policy document as JSON text; ``None`` where EC2 gives none.
        security_groups: Its security groups.
        network_acls: The network ACLs of its subnets.
        subnets: Its subnets.
    """

    vpc_endpoint: VpcEndpoint
    kind: str = "interface"
    policy: str | None = None
    security_groups: tuple[SecurityGroup, ...] | Unknown = ()
    network_acls: tuple[NetworkAcl, ...] | Unknown = ()
    subnets: tuple[Subnet, ...] | Unknown = ()

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones with a network interface, as far as they are known."""
        found = [a.availability_zone for a in self.vpc_endpoint.addresses]
        found += [s.availability_zone for s in known(self.subnets) or ()]
        return tuple(sorted({zone for zone in found if zone}))
