"""Facts about the account: VPC endpoints with their groups, ACLs and subnets, and VPCs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import EndpointAddress, VpcEndpoint

__all__ = [
    "AclEntry",
    "Certificate",
    "GroupRule",
    "NameAnswer",
    "NetworkAcl",
    "Peer",
    "SecurityGroup",
    "Subnet",
    "TlsResult",
    "Unknown",
    "VpcEndpointFacts",
    "VpcFacts",
    "known",
]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """What could not be seen.

    Attributes:
        reason: Why, as a clause: ``this identity is not allowed to (UnauthorizedOperation)``.
        permission: The IAM action that was missing; ``None`` where that was not the reason.
        unreachable: Whether the service that was asked could not be reached at all.
    """

    reason: str
    permission: str | None = None
    unreachable: bool = False


def known(piece: T | Unknown) -> T | None:
    """Gives a piece, ``None`` where it is not known."""
    return None if isinstance(piece, Unknown) else piece


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
        security_groups: Its security groups.
        network_acls: The network ACLs of its subnets.
        subnets: Its subnets.
    """

    vpc_endpoint: VpcEndpoint
    security_groups: tuple[SecurityGroup, ...] | Unknown = ()
    network_acls: tuple[NetworkAcl, ...] | Unknown = ()
    subnets: tuple[Subnet, ...] | Unknown = ()

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones with a network interface, as far as they are known."""
        found = [a.availability_zone for a in self.vpc_endpoint.addresses]
        found += [s.availability_zone for s in known(self.subnets) or ()]
        return tuple(sorted({zone for zone in found if zone}))


@dataclass(frozen=True, kw_only=True, slots=True)
class NameAnswer:
    """What DNS answered for one name.

    Attributes:
        host: The name.
        kind: Which name it is: the service's own, or one of the VPC endpoint's.
        addresses: The addresses; empty where it did not resolve.
        failure: Why it did not.
        unanswered: Whether no resolver answered at all.
        refused: The addresses that the guard would refuse, each with the reason.
    """

    host: str
    kind: Literal["default", "regional", "zonal", "route"]
    addresses: tuple[str, ...] = ()
    failure: str | None = None
    unanswered: bool = False
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What a certificate says.

    Attributes:
        names: The names it is good for.
        issuer: Who signed it: organization and common name.
        not_before: ISO 8601, UTC.
        not_after: ISO 8601, UTC.
        expired: Whether it had expired, or was not valid yet, when it was seen.
    """

    names: tuple[str, ...] = ()
    issuer: str = ""
    not_before: str = ""
    not_after: str = ""
    expired: bool = False

    @property
    def is_amazons(self) -> bool:
        """Whether Amazon Trust Services (or an AWS authority) signed it."""
        lowered = self.issuer.lower()
        return "amazon" in lowered or "starfield" in lowered


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsResult:
    """One handshake with verification.

    Attributes:
        problem: ``name``, ``expired``, ``authority`` or ``handshake``; ``None`` where it stands.
        detail: What OpenSSL said.
        certificate: What was shown; ``None`` where none was read.
        seconds: How long it took.
    """

    problem: Literal["name", "expired", "authority", "handshake"] | None = None
    detail: str = ""
    certificate: Certificate | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One address, and what came of connecting to it.

    Attributes:
        address: With its zone and network interface, where these are known.
        tcp_failure: Why no connection stood; ``None`` where it did.
        timed_out: Whether nobody answered, as when packets are dropped.
        seconds: How long the connection took.
        tls: The handshake; ``None`` where there was no connection.
        source_address: Our own address towards it; ``None`` where it is not known.
    """

    address: EndpointAddress
    tcp_failure: str | None = None
    timed_out: bool = False
    seconds: float = 0.0
    tls: TlsResult | None = None
    source_address: str | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stood."""
        return self.tcp_failure is None

    @property
    def is_good(self) -> bool:
        """Whether connection and TLS stood."""
        return self.connected and self.tls is not None and self.tls.problem is None

    @property
    def label(self) -> str:
        """The peer for people: ``eni-0a1b 10.0.1.10 (us-east-1a)``."""
        at = self.address
        parts = [at.network_interface_id, at.address]
        if at.availability_zone:
            parts.append(f"({at.availability_zone})")
        return " ".join(part for part in parts if part)
