"""Everything that a diagnosis saw, as frozen records; the checks read nothing else.

What could not be seen is ``Unknown``, with the reason and the missing IAM permission if there is
one. No record holds a payload, a credential or a signature, not even the id of a key. Of an error
message only the code and the kind of policy that refused are kept.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import EndpointAddress, Evidence, Route, VpcEndpoint
    from sm_private_client.routing.location import Location

__all__ = [
    "AclEntry",
    "Call",
    "Certificate",
    "Credentials",
    "Environment",
    "Facts",
    "GroupRule",
    "Hook",
    "Identity",
    "NameAnswer",
    "NameKind",
    "NetworkAcl",
    "OtherServiceFacts",
    "Peer",
    "RouteFailure",
    "SecurityGroup",
    "ServiceFacts",
    "Subnet",
    "TlsProblem",
    "TlsResult",
    "Unknown",
    "UrlSetting",
    "VpcEndpointFacts",
    "VpcFacts",
    "known",
]

T = TypeVar("T")

NameKind = Literal["default", "regional", "zonal", "route"]
TlsProblem = Literal["name", "expired", "authority", "handshake"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """What could not be seen.

    Attributes:
        reason: Why, as a clause: ``this identity is not allowed to (UnauthorizedOperation)``.
        permission: The missing IAM action; ``None`` if there was another reason.
        unreachable: True if the service that was asked could not be reached at all.
    """

    reason: str
    permission: str | None = None
    unreachable: bool = False


def known(fact: T | Unknown) -> T | None:
    """Return a fact, or ``None`` if it is not known."""
    return None if isinstance(fact, Unknown) else fact


# The session and this machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What may be said about the credentials.

    Attributes:
        source: botocore's name of the provider, such as ``env`` or ``iam-role``.
        temporary: True if they have a session token.
        seconds_left: Until they expire; ``None`` if they do not say.
    """

    source: str
    temporary: bool = False
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who the credentials belong to, as STS says."""

    arn: str
    account_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """The variables and settings that lead calls astray.

    Attributes:
        proxies: From the variable's name to the proxy, without user and password.
        variables: The ``AWS_*`` and ``SM_PRIVATE_*`` variables that matter and are set, without
            secrets.
        ca_bundle: The bundle that TLS is verified with: a path, or botocore's own.
        ca_bundle_problem: Why it cannot be read; ``None`` if it can.
    """

    proxies: tuple[tuple[str, str], ...] = ()
    no_proxy: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    fips: bool = False
    dual_stack: bool = False
    ca_bundle: str = "botocore's own CA bundle"
    ca_bundle_problem: str | None = None

    def variable(self, name: str) -> str | None:
        """Return the value of a variable, or ``None`` if it is not set."""
        return dict(self.variables).get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hook:
    """The plugin hook for clients of code that is not yours.

    Attributes:
        configured: True if ``BOTOCORE_EXPERIMENTAL__PLUGINS`` names our plugin.
        live: True if it routes a new plain client; ``Unknown`` if that could not be tried.
    """

    configured: bool = False
    live: bool | Unknown = False


# The account, as EC2 describes it


@dataclass(frozen=True, kw_only=True, slots=True)
class VpcFacts:
    """One VPC; the flags are ``enableDnsSupport`` and ``enableDnsHostnames``."""

    vpc_id: str
    cidrs: tuple[str, ...] | Unknown = ()
    dns_support: bool | Unknown = True
    dns_hostnames: bool | Unknown = True


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRule:
    """One inbound rule of a security group: ports, and sources by address, group or prefix list.

    Attributes:
        protocol: ``tcp``, ``udp``, …; ``-1`` for all.
        from_port: The first port; ``None`` for all.
    """

    protocol: str = "tcp"
    from_port: int | None = 443
    to_port: int | None = 443
    cidrs: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    prefix_list_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SecurityGroup:
    """A security group of a VPC endpoint, with its inbound rules."""

    group_id: str
    rules: tuple[GroupRule, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AclEntry:
    """One entry of a network ACL.

    Attributes:
        number: Its rule number; the lowest that matches decides.
        egress: True if it is about what leaves the subnet.
        protocol: The protocol's number as text; ``6`` is TCP, ``-1`` all.
        cidr: The other side's addresses.
        from_port: The first port; ``None`` for all.
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
    """A network ACL.

    Attributes:
        subnet_ids: The subnets of the VPC endpoint that it guards.
        entries: Its entries, the lowest number first.
    """

    acl_id: str
    subnet_ids: tuple[str, ...] = ()
    entries: tuple[AclEntry, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Subnet:
    """A subnet and its zone."""

    subnet_id: str
    availability_zone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VpcEndpointFacts:
    """A VPC endpoint of the service, usable or not.

    Attributes:
        vpc_endpoint: As EC2 describes it, with its addresses if EC2 shows them.
        network_acls: The network ACLs of its subnets.
    """

    vpc_endpoint: VpcEndpoint
    security_groups: tuple[SecurityGroup, ...] | Unknown = ()
    network_acls: tuple[NetworkAcl, ...] | Unknown = ()
    subnets: tuple[Subnet, ...] | Unknown = ()

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones with a network interface, as far as they are known."""
        found = {a.availability_zone for a in self.vpc_endpoint.addresses}
        found |= {s.availability_zone for s in known(self.subnets) or ()}
        return tuple(sorted(zone for zone in found if zone))


# The network


@dataclass(frozen=True, kw_only=True, slots=True)
class NameAnswer:
    """What DNS answered for one name.

    Attributes:
        kind: Which name it is: the service's own, or one of the VPC endpoint's.
        addresses: The addresses; empty if it did not resolve.
        failure: Why it did not.
        unanswered: True if no resolver answered at all.
        refused: The addresses that the guard would refuse, each with the reason.
    """

    host: str
    kind: NameKind
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
        not_before: ISO 8601, UTC, as ``not_after`` is.
        expired: True if it had expired, or was not valid yet, when it was seen.
    """

    names: tuple[str, ...] = ()
    issuer: str = ""
    not_before: str = ""
    not_after: str = ""
    expired: bool = False

    @property
    def is_amazons(self) -> bool:
        """True if Amazon Trust Services (or an AWS authority) signed it."""
        lowered = self.issuer.lower()
        return "amazon" in lowered or "starfield" in lowered


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsResult:
    """One handshake with verification.

    Attributes:
        problem: What went wrong; ``None`` if nothing did.
        detail: What OpenSSL said.
        certificate: What was shown; ``None`` if none was read.
    """

    problem: TlsProblem | None = None
    detail: str = ""
    certificate: Certificate | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One address, and what came of connecting to it.

    Attributes:
        address: With its zone and network interface if these are known.
        tcp_failure: Why there was no connection; ``None`` if there was one.
        seconds: How long the connection took.
        tls: The handshake; ``None`` if there was no connection.
        source_address: Our own address towards it; ``None`` if it is not known.
    """

    address: EndpointAddress
    tcp_failure: str | None = None
    seconds: float = 0.0
    tls: TlsResult | None = None
    source_address: str | None = None

    @property
    def connected(self) -> bool:
        """True if a connection was made."""
        return self.tcp_failure is None

    @property
    def is_good(self) -> bool:
        """True if both connection and TLS were made."""
        return self.connected and self.tls is not None and self.tls.problem is None

    @property
    def label(self) -> str:
        """The peer for people: ``eni-0a1b 10.0.1.10 (us-east-1a)``."""
        at = self.address
        zone = f"({at.availability_zone})" if at.availability_zone else None
        return " ".join(filter(None, (at.network_interface_id, at.address, zone)))


# The services


@dataclass(frozen=True, kw_only=True, slots=True)
class UrlSetting:
    """A standard ``endpoint_url`` setting of a service.

    Attributes:
        host: Its host; empty if its value is not the URL of one.
        origin: Where it was set, in words.
        names_service: The service whose host it names, if it is an AWS host.
        names_region: The region that it names, if it is an AWS host.
    """

    host: str
    origin: str
    names_service: str | None = None
    names_region: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteFailure:
    """Why there is no route.

    Attributes:
        reference: The error's anchor in docs/errors.md, such as ``no-private-route``.
        what: What the error says first.
    """

    reference: str
    what: str
    steps: tuple[Evidence, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One signed call.

    Attributes:
        action: The IAM action it needs.
        code: The error code that the service answered; ``None`` for success or no answer.
        status: The HTTP status; ``None`` if nobody answered.
        denied_by: What refused, in AWS's words: ``VPC endpoint policy``, ``identity-based
            policy``; empty if AWS does not say.
        failure: Why nobody answered; ``None`` if somebody did.
        expected: True if it is the answer that proves the way through.
        clock_skew: Seconds that our clock is ahead of the service's; ``None`` if unknown.
    """

    operation: str
    action: str
    code: str | None = None
    status: int | None = None
    denied_by: str = ""
    failure: str | None = None
    expected: bool = False
    clock_skew: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceFacts:
    """What was seen of one service.

    Attributes:
        vpc_id: Our VPC, if it is known.
        endpoint_services: The endpoint services that serve it, the best first; empty if AWS
            offers none.
        default_host: The host that botocore calls by itself.
        has_endpoint_policy: True if its endpoint service takes endpoint policies; ``None``: not
            documented.
        route: The route, or why there is none.
        vpc_endpoints: All of the service's in the region.
        names: What DNS answered.
        peers: The addresses that were tried.
        call: The signed call; ``None`` if none was made, for want of a route or credentials.
    """

    service_name: str
    vpc_id: str | None = None
    endpoint_services: tuple[str, ...] = ()
    default_host: str | None = None
    has_endpoint_policy: bool | None = True
    url_setting: UrlSetting | None = None
    route: Route | RouteFailure
    vpc_endpoints: tuple[VpcEndpointFacts, ...] | Unknown = ()
    names: tuple[NameAnswer, ...] = ()
    peers: tuple[Peer, ...] = ()
    call: Call | None = None

    @property
    def endpoint_service(self) -> str:
        """The endpoint service for a remedy; boto3's name if AWS offers none."""
        return next(iter(self.endpoint_services), self.service_name)

    @property
    def has_route(self) -> bool:
        """True if there is a route."""
        return not isinstance(self.route, RouteFailure)

    @property
    def works(self) -> bool:
        """True if the call came through or, if none could be made, TLS to a peer did."""
        if self.call is not None:
            return self.call.expected
        return self.has_route and any(peer.is_good for peer in self.peers)

    @property
    def serving(self) -> VpcEndpointFacts | None:
        """The VPC endpoint that calls go through, or would: the route's, else by its addresses."""
        every = known(self.vpc_endpoints) or ()
        if not isinstance(self.route, RouteFailure):
            chosen = self.route.vpc_endpoint
            chosen_id = chosen.vpc_endpoint_id if chosen is not None else None
            reached = {a.address for a in self.route.addresses}
            matches = (
                [v for v in every if v.vpc_endpoint.vpc_endpoint_id == chosen_id]
                or [v for v in every if reached & {a.address for a in v.vpc_endpoint.addresses}]
                or [v for v in every if self.route.host in v.vpc_endpoint.dns_names]
            )
            if matches or self.route.is_local:
                return next(iter(matches), None)
        usable = (v for v in every if v.vpc_endpoint.is_available)
        return next((v for v in usable if self.vpc_id in (None, v.vpc_endpoint.vpc_id)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherServiceFacts:
    """How another service is reached.

    Attributes:
        endpoint_service: The endpoint service to create.
        purpose: What SageMaker code calls it for.
        addresses: What the host resolves to.
        private: True if all of these are private, or reached through a gateway.
        through: What makes it private, in words.
        interface: An interface VPC endpoint of it that is available here, even if the host does
            not lead to it; ``None`` if EC2 shows none.
        reached: True if a connection was made; ``None`` if it was not tried.
        failure: Why it does not resolve or is not reached.
    """

    service_name: str
    host: str
    endpoint_service: str
    purpose: str = ""
    addresses: tuple[str, ...] = ()
    private: bool = False
    through: str = ""
    interface: str | None = None
    reached: bool | None = None
    failure: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Everything that was seen; ``None`` is what is not known.

    Attributes:
        settings_problem: What is wrong with the settings; then nothing else was looked at.
        credentials: The credentials; ``Unknown`` if the provider failed, ``None`` for none.
        location: Where this process runs, as its platform says.
        vpc: Our VPC, or the one of the VPC endpoint that is used.
        own_addresses: This machine's addresses towards the VPC endpoint.
        own_group_ids: The security groups of this machine's network interface.
        name_servers: ``nameserver`` lines of /etc/resolv.conf.
    """

    region: str
    partition: str | None = None
    settings_problem: str | None = None
    credentials: Credentials | Unknown | None = None
    identity: Identity | Unknown = field(default_factory=lambda: Unknown(reason="nobody asked"))
    location: Location | None = None
    vpc_id: str | None = None
    availability_zone: str | None = None
    vpc: VpcFacts | Unknown | None = None
    own_addresses: tuple[str, ...] = ()
    own_group_ids: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ()
    environment: Environment = field(default_factory=Environment)
    hook: Hook = field(default_factory=Hook)
    services: tuple[ServiceFacts, ...] = ()
    other_services: tuple[OtherServiceFacts, ...] = ()

    @property
    def vpc_label(self) -> str:
        """Our VPC for a remedy; a placeholder if it is not known."""
        return self.vpc_id or "<vpc>"

    @property
    def resolver(self) -> str:
        """The resolver in words."""
        return ", ".join(self.name_servers) or "the system's resolver"

    @property
    def sources(self) -> tuple[str, ...]:
        """Where our packets come from, as CIDRs: our own addresses, else the VPC's."""
        if self.own_addresses:
            return tuple(str(ipaddress.ip_network(address)) for address in self.own_addresses)
        return (known(self.vpc.cidrs) or ()) if isinstance(self.vpc, VpcFacts) else ()
