"""Facts: everything that a diagnosis saw, as frozen records; the checks read nothing else.

A piece that could not be seen is ``Unknown``, with the reason and, where one was missing, the IAM
permission. No record holds a payload, a credential or a signature: keys are not kept, not even
their ids, and of error messages only the code and what kind of policy refused.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sm_private_client.doctor.observations import Unknown, VpcEndpointFacts, VpcFacts, known

if TYPE_CHECKING:
    from sm_private_client.doctor.observations import NameAnswer, Peer
    from sm_private_client.privatelink.records import Evidence, Route
    from sm_private_client.routing.location import Location

__all__ = [
    "Call",
    "Credentials",
    "Environment",
    "Facts",
    "Hook",
    "Identity",
    "OtherServiceFacts",
    "RouteFailure",
    "ServiceFacts",
    "UrlSetting",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """That there are credentials, and what may be said about them.

    Attributes:
        source: botocore's name of the provider, such as ``env`` or ``iam-role``.
        temporary: Whether they have a session token.
        seconds_left: Until they expire; ``None`` where they do not say.
    """

    source: str
    temporary: bool = False
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who the credentials belong to, as STS says.

    Attributes:
        arn: The caller's ARN.
        account_id: The caller's account.
    """

    arn: str
    account_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """The variables and settings that lead calls astray.

    Attributes:
        proxies: From the variable's name to the proxy, without user and password.
        no_proxy: The entries of NO_PROXY.
        variables: The ``AWS_*`` and ``SM_PRIVATE_*`` variables that matter and are set, without
            secrets.
        fips: Whether FIPS is asked for.
        dual_stack: Whether dual-stack is asked for.
        ca_bundle: The bundle that TLS is verified with: a path, or botocore's own.
        ca_bundle_problem: Why it cannot be read; ``None`` where it can.
    """

    proxies: tuple[tuple[str, str], ...] = ()
    no_proxy: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    fips: bool = False
    dual_stack: bool = False
    ca_bundle: str = "botocore's own CA bundle"
    ca_bundle_problem: str | None = None

    def variable(self, name: str) -> str | None:
        """Gives the value of a variable; ``None`` where it is not set."""
        return dict(self.variables).get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hook:
    """The plugin hook for clients of code that is not yours.

    Attributes:
        wanted: Whether ``BOTOCORE_EXPERIMENTAL__PLUGINS`` names our plugin.
        live: Whether a new plain client is really routed by it; ``Unknown`` where untried.
    """

    wanted: bool = False
    live: bool | Unknown = False


@dataclass(frozen=True, kw_only=True, slots=True)
class UrlSetting:
    """A standard ``endpoint_url`` setting of a service.

    Attributes:
        host: Its host.
        origin: Where it stands, in words.
        for_every_service: Whether it is set for every service, not for this one.
        names_service: The service whose host it names, where it is an AWS host.
        names_region: The region that it names, where it is an AWS host.
        is_fips: Whether it names a FIPS host.
        is_local: Whether it names this machine.
    """

    host: str
    origin: str
    for_every_service: bool = False
    names_service: str | None = None
    names_region: str | None = None
    is_fips: bool = False
    is_local: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteFailure:
    """Why there is no route.

    Attributes:
        reference: The error's anchor in docs/errors.md, such as ``no-private-route``.
        what: What the error says first.
        steps: The steps that were tried.
        late: Whether time was over before it was decided.
    """

    reference: str
    what: str
    steps: tuple[Evidence, ...] = ()
    late: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One signed call.

    Attributes:
        operation: The operation.
        action: The IAM action it needs.
        code: The error code that the service answered; ``None`` for success or no answer.
        status: The HTTP status; ``None`` where nobody answered.
        denied_by: What refused, in AWS's words: ``VPC endpoint policy``, ``identity-based
            policy``; empty where AWS does not say.
        failure: Why nobody answered; ``None`` where somebody did.
        expected: Whether it is the answer that proves the way through.
        clock_skew: Seconds that our clock is ahead of the service's; ``None`` where unknown.
        seconds: How long it took.
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
        service_name: boto3's name.
        vpc_id: Our VPC, where it is known.
        endpoint_services: The endpoint services that serve it, the best first; none where AWS
            offers none.
        default_host: The host that botocore calls by itself.
        has_endpoint_policy: Whether its endpoint service takes endpoint policies; ``None``: not
            documented.
        url_setting: A standard ``endpoint_url`` setting for it.
        route: The route, or why there is none.
        vpc_endpoints: All of the service's in the region.
        named: The VPC endpoint that the settings name, if it is of another service.
        names: What DNS answered.
        peers: The addresses that were tried.
        call: The signed call; ``None`` where none was made, for want of a route or credentials.
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
    def has_route(self) -> bool:
        """Whether there is a route."""
        return not isinstance(self.route, RouteFailure)

    @property
    def works(self) -> bool:
        """Whether a call came through: where none could be made, whether a peer stood."""
        if self.call is not None:
            return self.call.expected
        return self.has_route and any(peer.is_good for peer in self.peers)

    @property
    def serving(self) -> VpcEndpointFacts | None:
        """The VPC endpoint that calls go through, or would: the route's, else by its addresses."""
        every = known(self.vpc_endpoints) or ()
        if not isinstance(self.route, RouteFailure):
            chosen = self.route.vpc_endpoint
            if chosen is not None:
                for one in every:
                    if one.vpc_endpoint.vpc_endpoint_id == chosen.vpc_endpoint_id:
                        return one
            reached = {a.address for a in self.route.addresses}
            for one in every:
                if reached & {a.address for a in one.vpc_endpoint.addresses}:
                    return one
            for one in every:
                if self.route.host in one.vpc_endpoint.dns_names:
                    return one
            if self.route.is_local:
                return None
        usable = (one for one in every if one.vpc_endpoint.is_available)
        mine = (one for one in usable if self.vpc_id in (None, one.vpc_endpoint.vpc_id))
        return next(mine, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherServiceFacts:
    """Whether another service is reached, and how.

    Attributes:
        service_name: boto3's name.
        host: The host that botocore calls.
        endpoint_service: The endpoint service to create.
        purpose: What SageMaker code calls it for.
        addresses: What the host resolves to.
        private: Whether all of these are private, or reached through a gateway.
        through: What makes it private, in words.
        interface: An interface VPC endpoint of it that is available here, whether or not the host
            leads to it; ``None`` where EC2 shows none.
        reached: Whether a connection stood; ``None`` where it was not tried.
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
    """Everything that was seen.

    Attributes:
        region: The region.
        partition: Its partition.
        settings_problem: What is wrong with the settings; then nothing else was looked at.
        credentials: The credentials; ``Unknown`` where the provider failed, ``None`` for none.
        identity: Who they belong to.
        location: Where this process runs, as its platform says.
        vpc_id: Our VPC, where it is known.
        availability_zone: Our zone, where it is known.
        vpc: Our VPC, or the one of the VPC endpoint that is used.
        own_addresses: This machine's addresses towards the VPC endpoint.
        own_group_ids: The security groups of this machine's network interface.
        name_servers: ``nameserver`` lines of /etc/resolv.conf.
        environment: Variables and settings.
        hook: The plugin hook.
        services: The services.
        other_services: The other services.
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
    def resolver(self) -> str:
        """The resolver in words."""
        return ", ".join(self.name_servers) or "the system's resolver"

    @property
    def sources(self) -> tuple[str, ...]:
        """Where our packets come from, as CIDRs: our own addresses, else the VPC's."""
        if self.own_addresses:
            return tuple(str(ipaddress.ip_network(address)) for address in self.own_addresses)
        vpc = self.vpc if isinstance(self.vpc, VpcFacts) else None
        return (known(vpc.cidrs) or ()) if vpc is not None else ()
