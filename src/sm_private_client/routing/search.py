"""One search for one route: its sources, its questions, and the evidence it leaves."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from sm_private_client.errors import (
    AmbiguousVpcEndpointError,
    DiscoveryError,
    VpcEndpointUnavailableError,
)
from sm_private_client.privatelink import services
from sm_private_client.privatelink.addresses import AddressPolicy, refusal
from sm_private_client.privatelink.hostnames import (
    Partition,
    endpoint_service_name,
    parse_vpce_name,
    partition_of,
)
from sm_private_client.privatelink.records import (
    EndpointAddress,
    Evidence,
    Outcome,
    Route,
    RouteSource,
    VpcEndpoint,
)
from sm_private_client.privatelink.urls import parse_endpoint_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.routing.botocore_rules import ConfiguredUrl
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.routing.location import Location, SageMakerResource
    from sm_private_client.routing.network import NetworkBackend
    from sm_private_client.routing.settings import RoutingSettings

__all__ = [
    "DNS_TIMEOUT",
    "RouteRequest",
    "RouteSearch",
    "RouteSources",
    "nearest",
    "require_available",
    "usable",
]

DNS_TIMEOUT: Final = 2.0
"""Seconds for one look-up while a route is decided."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteRequest:
    """The service that a route is wanted for, and the settings that decide.

    Attributes:
        service_name: boto3's own name of the service.
        region: The region.
        settings: The routing settings in force.
        endpoint_url: The caller's ``endpoint_url=`` argument.
        configured_url: A standard ``endpoint_url`` setting.
        default_url: botocore's own URL, FIPS and dual-stack included.
        fips: Whether FIPS is set.
        default_is_fips: Whether the region's plain host is a FIPS one anyway (as in GovCloud).
    """

    service_name: str
    region: str
    settings: RoutingSettings
    endpoint_url: str | None = field(default=None, repr=False)  # it may hold a password
    configured_url: ConfiguredUrl | None = None
    default_url: str | None = None
    fips: bool = False
    default_is_fips: bool = False

    def partition(self, partitions: tuple[Partition, ...]) -> Partition:
        """Return the region's partition; with a URL the region may be in none.

        Raises:
            ConfigurationError: No partition has such a region, and a host is to be found in it.
        """
        named = self.settings.vpc_endpoint_for(self.service_name)
        has_url = self.endpoint_url is not None or (
            self.configured_url is not None and named is None
        )
        return partition_of(self.region, partitions, falls_back=has_url)


class RouteSources(NamedTuple):
    """The sources that a search can ask.

    Attributes:
        network: For DNS.
        partitions: botocore's.
        discovery: EC2 of the region.
        locate: A function that returns where this process runs.
        ask_sagemaker: A function that asks SageMaker, over a route, for the VPC of a resource.
    """

    network: NetworkBackend
    partitions: tuple[Partition, ...]
    discovery: Discovery
    locate: Callable[[], Location]
    ask_sagemaker: Callable[[SageMakerResource, Route], str | None]


class RouteSearch:
    """One search for one route.

    Attributes:
        sources: What can be asked.
        request: What is wanted.
        trail: The evidence so far.
        partition: The region's.
        service: The catalogue's row that serves the request, if there is one.
    """

    def __init__(self, *, sources: RouteSources, request: RouteRequest) -> None:
        self.sources = sources
        self.request = request
        self.trail: list[Evidence] = []
        self.partition = request.partition(sources.partitions)
        self.service = self._service()

    def _service(self) -> EndpointService | None:
        return services.for_service(self.request.service_name, fips=self.request.fips)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The endpoint services that serve the request, the best first."""
        rows = [self.service]
        if self.request.fips and self.request.default_is_fips:
            rows.append(services.for_service(self.request.service_name))
        return tuple(
            endpoint_service_name(row, region=self.request.region, partition=self.partition)
            for row in rows
            if row is not None
        )

    @property
    def other_regions(self) -> tuple[str, ...]:
        """The only regions that have the endpoint service; empty if the request's has it too."""
        regions = (self.service.regions if self.service else None) or ()
        return () if self.request.region in regions else tuple(sorted(regions))

    def note(self, step: str, outcome: Outcome, detail: str) -> None:
        """Leave evidence."""
        self.trail.append(Evidence(step=step, outcome=outcome, detail=detail))

    def note_failure(self, step: str, error: DiscoveryError) -> None:
        """Leave evidence of what could not be asked, with the cause."""
        self.note_public_question()
        self.note(step, "failed", " ".join(str(error).splitlines()[:2]))

    def resolve(self, host: str, step: str) -> tuple[str, ...]:
        """Return the addresses of a host; leave evidence and return none if it has none."""
        try:
            return self.sources.network.resolve(host, timeout=DNS_TIMEOUT)
        except socket.gaierror as error:
            self.note(step, "failed", f"{host} does not resolve ({error.strerror})")
        except TimeoutError:
            self.note(step, "failed", f"no DNS answer for {host} within {DNS_TIMEOUT:g} s")
        except OSError as error:
            self.note(step, "failed", f"{host} could not be looked up ({error})")
        return ()

    def own_vpc(self) -> str | None:
        """Return our VPC, from the settings or from where we run, if anyone knows it."""
        if self.request.settings.vpc_id is not None:
            return self.request.settings.vpc_id
        location = self.sources.locate()
        vpc_id = location.vpc_id
        if vpc_id is None and location.subnet_ids:
            try:
                vpc_id = self.sources.discovery.vpc_of_subnets(location.subnet_ids)
            except DiscoveryError as error:
                self.note_failure("location", error)
        if vpc_id is not None:
            self.note("location", "noted", f"this is {vpc_id}, says {location.source}")
        return vpc_id

    def own_zone(self, vpc_endpoints: tuple[VpcEndpoint, ...]) -> str | None:
        """Return our zone's name; a zone id is translated by what EC2 said of the interfaces."""
        if self.request.settings.availability_zone is not None:
            return self.request.settings.availability_zone
        location = self.sources.locate()
        if location.availability_zone is None and location.availability_zone_id is not None:
            for address in (a for v in vpc_endpoints for a in v.addresses):
                if address.availability_zone_id == location.availability_zone_id:
                    return address.availability_zone
        return location.availability_zone

    def choose(
        self,
        every: tuple[VpcEndpoint, ...],
        *,
        ask_vpc: Callable[[], str | None] = lambda: None,
    ) -> VpcEndpoint | None:
        """Return the best of the VPC endpoints that EC2 shows; leave evidence if none will do.

        ``ask_vpc`` returns our VPC; it is called if they are in several VPCs and ours is unknown.

        Raises:
            VpcEndpointUnavailableError, AmbiguousVpcEndpointError: See ``usable``.
        """
        self.note_public_question()
        mine = tuple(v for name in self.wanted for v in every if v.endpoint_service == name)
        if not mine:
            self.note("discovery", "no", f"EC2 shows no VPC endpoint of {self.wanted[0]}")
            return None
        vpc_id = self.own_vpc()
        try:
            candidates = usable(mine, vpc_id=vpc_id)
        except AmbiguousVpcEndpointError:
            vpc_id = ask_vpc()
            if vpc_id is None:
                raise
            candidates = usable(mine, vpc_id=vpc_id)
        if not candidates:
            others = ", ".join(f"{v.vpc_endpoint_id} in {v.vpc_id}" for v in mine)
            seen = f"none of {self.wanted[0]} is in {vpc_id}; there is {others}"
            self.note("discovery", "no", seen)
            return None
        candidates = self.with_addresses(candidates)
        return nearest(candidates, self.own_zone(candidates))

    def note_public_question(self) -> None:
        """Leave evidence if EC2 was asked at a public address."""
        where = self.sources.discovery.public_address
        if where is not None and all(e.step != "EC2" for e in self.trail):
            self.note("EC2", "noted", f"EC2 was asked at a public address: {where}")

    def with_addresses(self, vpc_endpoints: tuple[VpcEndpoint, ...]) -> tuple[VpcEndpoint, ...]:
        """Return VPC endpoints with their interfaces' addresses, if EC2 shows them."""
        self.note_public_question()
        try:
            return self.sources.discovery.with_addresses(vpc_endpoints)
        except DiscoveryError as error:
            self.note_failure("discovery", error)
            return vpc_endpoints

    def policy(self, vpc_endpoint: VpcEndpoint | None = None) -> AddressPolicy:
        """Return what is private: the interfaces' addresses, else the VPC's CIDRs, else ranges."""
        addresses: frozenset[str] = frozenset()
        cidrs: tuple[str, ...] = ()
        if vpc_endpoint is not None:
            addresses = frozenset(a.address for a in vpc_endpoint.addresses)
            try:
                cidrs = () if addresses else self.sources.discovery.vpc_cidrs(vpc_endpoint.vpc_id)
            except DiscoveryError as error:
                self.note_failure("discovery", error)
        allowed = self.request.settings.allowed_networks
        return AddressPolicy(eni_addresses=addresses, vpc_cidrs=cidrs, allowed_networks=allowed)

    def route(
        self,
        url: str,
        source: RouteSource,
        policy: AddressPolicy,
        addresses: tuple[str, ...] = (),
        vpc_endpoint: VpcEndpoint | None = None,
    ) -> Route:
        """Return the route, once every address that was looked up is judged.

        Raises:
            PublicAddressError: One is not private, and ``on_public_route`` refuses it.
        """
        host = parse_endpoint_url(url, source).host
        for verdict in map(policy.judge, addresses):
            if not verdict.private:
                if self.request.settings.on_public_route != "warn":
                    raise refusal(host, verdict)
                self.note(source, "noted", f"{verdict.address} {verdict.why}")
        known = {a.address: a for a in vpc_endpoint.addresses} if vpc_endpoint else {}
        zone = self.own_zone((vpc_endpoint,) if vpc_endpoint else ()) if addresses else None
        if zone is not None and not known:
            known = self._addresses_in_zone(host, zone)
        return Route(
            service_name=self.request.service_name,
            region=self.request.region,
            partition=self.partition.name,
            endpoint_url=url,
            source=source,
            vpc_endpoint=vpc_endpoint,
            addresses=tuple(known.get(a, EndpointAddress(address=a)) for a in addresses),
            availability_zone=zone,
            address_policy=policy,
            fips=self.request.fips,
            evidence=tuple(self.trail),
        )

    def _addresses_in_zone(self, host: str, zone: str) -> dict[str, EndpointAddress]:
        """Return the addresses of the zonal name; that needs no permission."""
        name = parse_vpce_name(host, self.sources.partitions)
        if name is None or not name.id_suffix or name.availability_zone:
            return {}
        try:
            addresses = self.sources.network.resolve(name.in_zone(zone).host, timeout=DNS_TIMEOUT)
        except OSError:
            return {}  # the VPC endpoint has no network interface there
        return {a: EndpointAddress(address=a, availability_zone=zone) for a in addresses}


def require_available(vpc_endpoint: VpcEndpoint) -> VpcEndpoint:
    """Return the VPC endpoint if it can carry calls.

    Raises:
        VpcEndpointUnavailableError: It is in another state.
    """
    if vpc_endpoint.is_available:
        return vpc_endpoint
    state = vpc_endpoint.state
    remedies = {
        "pendingacceptance": "have the owner of the endpoint service accept it",
        "pending": "wait a few minutes until EC2 has made it",
    }
    raise VpcEndpointUnavailableError(
        f"The VPC endpoint {vpc_endpoint.vpc_endpoint_id} of {vpc_endpoint.endpoint_service} in "
        f"{vpc_endpoint.vpc_id} is in the state {state!r}, not 'available'.",
        state=state,
        remedy=f"{remedies.get(state, 'create a new one')}, or name another with vpc_endpoint=.",
    )


def usable(found: tuple[VpcEndpoint, ...], *, vpc_id: str | None) -> tuple[VpcEndpoint, ...]:
    """Return the available VPC endpoints of our VPC, or of the only one; none if ours has none.

    Raises:
        VpcEndpointUnavailableError: There are some, but none is available.
        AmbiguousVpcEndpointError: They are in several VPCs and ours is not known.
    """
    mine = tuple(v for v in found if vpc_id in (None, v.vpc_id))
    if not mine:
        return ()
    available = tuple(v for v in mine if v.is_available)
    if not available:
        require_available(mine[0])
    if len({v.vpc_id for v in available}) > 1:
        raise AmbiguousVpcEndpointError(
            f"VPC endpoints of {available[0].endpoint_service} are in several VPCs:",
            candidates=available,
            cause="which VPC this process runs in is not known.",
            remedy=(
                "pass vpc_id= (or set SM_PRIVATE_VPC_ID).",
                "pass vpc_endpoint= with the id of the one to use.",
            ),
        )
    return available


def nearest(candidates: tuple[VpcEndpoint, ...], availability_zone: str | None) -> VpcEndpoint:
    """Return the first with an address in a zone, else the first, which is the oldest."""
    for candidate in candidates if availability_zone is not None else ():
        if any(a.availability_zone == availability_zone for a in candidate.addresses):
            return candidate
    return candidates[0]
