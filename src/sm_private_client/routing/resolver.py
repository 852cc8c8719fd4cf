"""RouteResolver: explicit, configured, private DNS, discovery, or NoPrivateRouteError.

Each step gives a route, or leaves evidence of why not and lets the next one try, or raises.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import (
    AmbiguousVpcEndpointError,
    ConfigurationError,
    DiscoveryError,
    FipsUnavailableError,
    NoPrivateRouteError,
)
from sm_private_client.privatelink import services
from sm_private_client.privatelink.addresses import AddressPolicy, refusal
from sm_private_client.privatelink.hostnames import (
    Partition,
    VpceName,
    endpoint_service_name,
    parse_vpce_name,
    partition_of,
    split_vpc_endpoint_label,
)
from sm_private_client.privatelink.records import (
    EndpointAddress,
    Evidence,
    Outcome,
    Route,
    RouteSource,
    VpcEndpoint,
)
from sm_private_client.routing.choice import nearest, require_available, usable
from sm_private_client.routing.deadlines import run_within
from sm_private_client.routing.urls import EndpointUrl, parse_endpoint_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.routing.botocore_rules import ConfiguredUrl
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.routing.location import Location, SageMakerResource
    from sm_private_client.routing.network import NetworkBackend
    from sm_private_client.routing.settings import RoutingSettings

__all__ = ["RouteRequest", "RouteResolver", "World"]

ROUTE_TIMEOUT: Final = 9.5
"""Seconds for all steps together, so that "no route" is said within ten."""

DNS_TIMEOUT: Final = 2.0
"""Seconds for one look-up while a route is decided."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteRequest:
    """What a route is asked for.

    Attributes:
        service_name: boto3's own name of the service.
        region: The region.
        settings: The routing settings in force.
        endpoint_url: The caller's ``endpoint_url=`` argument.
        configured_url: A standard ``endpoint_url`` setting.
        default_url: What botocore would use by itself, FIPS and dual-stack included.
        fips: Whether FIPS is asked for.
        default_is_fips: Whether the region's plain host is a FIPS one anyway (as in GovCloud).
    """

    service_name: str
    region: str
    settings: RoutingSettings
    endpoint_url: str | None = None
    configured_url: ConfiguredUrl | None = None
    default_url: str | None = None
    fips: bool = False
    default_is_fips: bool = False


@dataclass(frozen=True, kw_only=True)
class World:
    """What a resolver can ask.

    Attributes:
        network: For DNS.
        partitions: botocore's.
        discovery: EC2 of the region.
        locate: Where this process runs; asked when first needed.
        ask_sagemaker: Asks SageMaker, over a route, in which VPC a resource is.
    """

    network: NetworkBackend
    partitions: tuple[Partition, ...]
    discovery: Discovery
    locate: Callable[[], Location]
    ask_sagemaker: Callable[[SageMakerResource, Route], str | None]


class RouteResolver:
    """Decides routes in one region.

    Args:
        world: What can be asked.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def resolve(self, request: RouteRequest) -> Route:
        """Decides how a service is reached.

        Raises:
            NoPrivateRouteError: No step led there; it has them all.
            FipsUnavailableError: The same, where FIPS was asked for.
            AmbiguousVpcEndpointError, VpcEndpointUnavailableError: Discovery found what it cannot
                choose from or use.
            PublicAddressError: The host that was named resolves to a public address.
            ConfigurationError: A name or URL is malformed or contradicts the request.
        """
        search = _Search(self._world, request)
        try:
            return run_within(ROUTE_TIMEOUT, search.run, what=f"route to {request.service_name}")
        except TimeoutError:
            search.note("deadline", "failed", f"the {ROUTE_TIMEOUT:g} s for a route are over")
            raise search.refusal() from None

    def refresh(self, route: Route) -> Route | None:
        """Checks a kept route by one DNS look-up.

        Returns:
            The route with the addresses of today, or ``None`` where the host does not resolve or
            an address is not private any more.
        """
        zones = {a.address: a for a in route.addresses}
        try:
            found = self._world.network.resolve(route.host, timeout=DNS_TIMEOUT)
        except OSError:
            return None
        if not all(route.address_policy.judge(address).private for address in found):
            return None
        addresses = tuple(zones.get(address, EndpointAddress(address=address)) for address in found)
        return replace(route, addresses=addresses)


@dataclass
class _Search:
    """One search for one route, and its evidence."""

    world: World
    request: RouteRequest
    trail: list[Evidence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.partition = partition_of(self.request.region, self.world.partitions)
        self.service = services.for_service(self.request.service_name, fips=self.request.fips)

    def run(self) -> Route:
        return (
            self._explicit()
            or self._configured()
            or self._without_endpoint_service()
            or self._private_dns()
            or self._discovery()
            or self._nowhere()
        )

    # The five steps

    def _explicit(self) -> Route | None:
        if self.request.endpoint_url is not None:
            return self._from_url(self.request.endpoint_url, "endpoint_url=", "explicit")
        settings = self.request.settings
        named = settings.vpc_endpoint_for(self.request.service_name)
        if named is not None and settings.vpc_endpoint_is_argument:
            return self._from_text(*named, "explicit")
        self.note("explicit", "skipped", "neither endpoint_url= nor vpc_endpoint= was given")
        return None

    def _configured(self) -> Route | None:
        named = self.request.settings.vpc_endpoint_for(self.request.service_name)
        if named is not None:
            return self._from_text(*named, "configured")
        if self.request.configured_url is not None:
            configured = self.request.configured_url
            return self._from_url(configured.url, configured.origin, "configured")
        self.note(
            "configured",
            "skipped",
            "no SM_PRIVATE_VPC_ENDPOINT, no profile key sm_private_vpc_endpoint, no "
            "AWS_ENDPOINT_URL* and no services section names one",
        )
        return None

    def _without_endpoint_service(self) -> Route | None:
        name = self.request.service_name
        if name in services.routable_service_names():
            return None
        self.note("catalogue", "no", f"AWS offers no endpoint service for {name}")
        return self._nowhere()

    def _private_dns(self) -> Route | None:
        url = self.request.default_url
        if url is None:
            self.note("private DNS", "skipped", "botocore has no default host for this request")
            return None
        host = parse_endpoint_url(url, "botocore's rules").host
        found = self._resolve(host, "private DNS")
        policy = AddressPolicy(allowed_networks=self.request.settings.allowed_networks)
        outside = [v for v in map(policy.judge, found) if not v.private]
        if outside:
            self.note(
                "private DNS", "no", f"{host} resolves to {outside[0].address}, "
                f"which {outside[0].why}",
            )  # fmt: skip
        if outside or not found:
            return None
        self.note("private DNS", "used", f"{host} resolves to private addresses only")
        return self._route(url, "private-dns", policy, found)

    def _discovery(self) -> Route | None:
        if self.service is None:
            self.note("discovery", "skipped", "AWS offers no FIPS endpoint service for it")
            return None
        wanted = self._wanted()
        try:
            every = self.world.discovery.vpc_endpoints()
            mine = tuple(v for v in every if v.endpoint_service in wanted)
            if not mine:
                self.note("discovery", "no", f"EC2 shows no VPC endpoint of {wanted[0]}")
                return None
            vpc_id = self._own_vpc()
            try:
                candidates = usable(mine, vpc_id=vpc_id)
            except AmbiguousVpcEndpointError:
                vpc_id = self._own_vpc_by_sagemaker(every)
                if vpc_id is None:
                    raise
                candidates = usable(mine, vpc_id=vpc_id)
        except DiscoveryError as error:
            self.note("discovery", "failed", _one_line(error))
            return None
        if not candidates:
            others = ", ".join(f"{v.vpc_endpoint_id} in {v.vpc_id}" for v in mine)
            self.note("discovery", "no", f"none of {wanted[0]} is in {vpc_id}; there is {others}")
            return None
        chosen = nearest(self._with_addresses(candidates), self._own_zone(candidates))
        return self._from_vpc_endpoint(chosen, "discovery", "discovery")

    def _nowhere(self) -> Route:
        request = self.request
        if request.settings.on_public_route == "warn" and request.default_url is not None:
            _logger.warning(
                "%s in %s has no private route; calls go out publicly (on_public_route='warn').",
                request.service_name,
                request.region,
            )
            self.note("public", "used", "on_public_route='warn' lets calls go out publicly")
            return Route(
                service_name=request.service_name,
                region=request.region,
                partition=self.partition.name,
                endpoint_url=request.default_url,
                source="public",
                fips=request.fips,
                evidence=tuple(self.trail),
            )
        raise self.refusal()

    # From what was named to a route

    def _from_text(self, text: str, own: bool, source: RouteSource) -> Route:  # noqa: FBT001
        origin = self.request.settings.vpc_endpoint_from
        if split_vpc_endpoint_label(text):
            return self._from_id(text, own, origin, source)
        url = parse_endpoint_url(text, origin)
        name = parse_vpce_name(url.host, self.world.partitions)
        if name is not None and not own and self._is_sibling(name):
            return self._from_id(name.vpc_endpoint_id, own, origin, source)
        self._check(url, origin)
        if url.is_local:
            return self._from_url(text, origin, source)
        found = self._resolve(url.host, source)
        if not found:
            raise self.refusal()
        policy = AddressPolicy(allowed_networks=self.request.settings.allowed_networks)
        vpc_endpoint = None
        if name is not None and not all(policy.judge(a).private for a in found):
            # A VPC may have public-owned CIDRs: only EC2 can say whether these are its addresses.
            vpc_endpoint = self._describe(name.vpc_endpoint_id)
            policy = self._policy(vpc_endpoint)
        self.note(source, "used", f"{origin} names {url.host}")
        return self._route(url.url, source, policy, found, vpc_endpoint)

    def _from_url(self, text: str, origin: str, source: RouteSource) -> Route:
        """Takes a URL as it is; no look-up, the guard judges it when it is dialled."""
        url = parse_endpoint_url(text, origin)
        self._check(url, origin)
        self.note(source, "used", f"{origin} names {url.url}")
        if url.is_local:
            _logger.warning(
                "%s goes to %s, a stand-in on this machine, not a private route.",
                self.request.service_name,
                url.url,
            )
            policy = AddressPolicy(local=True)
        else:
            policy = AddressPolicy(allowed_networks=self.request.settings.allowed_networks)
        return self._route(url.url, source, policy, ())

    def _from_id(self, text: str, own: bool, origin: str, source: RouteSource) -> Route:  # noqa: FBT001
        vpc_endpoint_id, id_suffix = split_vpc_endpoint_label(text) or (text, "")
        wanted = self._wanted()
        if not wanted:
            raise self.refusal()
        if id_suffix:  # with its suffix the name is complete, if it is this service's
            guessed = self._guess(vpc_endpoint_id, id_suffix, origin, source)
            if guessed is not None:
                return guessed
        try:
            every = self.world.discovery.vpc_endpoints()
            found = next((v for v in every if v.vpc_endpoint_id == vpc_endpoint_id), None)
            found = found or self.world.discovery.vpc_endpoint(vpc_endpoint_id)
        except DiscoveryError as error:
            self.note(source, "failed", _one_line(error))
            found = None
        else:
            if found is None:
                self.note(source, "no", f"EC2 shows no VPC endpoint {vpc_endpoint_id} here")
        if found is None:
            guessed = None if id_suffix else self._guess(vpc_endpoint_id, "", origin, source)
            if guessed is None:
                raise self.refusal()
            return guessed
        if found.endpoint_service not in wanted:
            self._check_relative(found, own, origin)
            siblings = [v for v in every if v.vpc_id == found.vpc_id]
            siblings = [v for v in siblings if v.endpoint_service in wanted]
            if not siblings:
                self.note(
                    source, "no", f"{origin} names {vpc_endpoint_id} in {found.vpc_id}, "
                    f"which has no VPC endpoint of {wanted[0]}",
                )  # fmt: skip
                raise self.refusal()
            available = [v for v in siblings if v.is_available]
            found = (available or siblings)[0]
            self.note(source, "noted", f"{vpc_endpoint_id} has a sibling in {found.vpc_id}")
        found = self._with_addresses((require_available(found),))[0]
        return self._from_vpc_endpoint(found, source, origin)

    def _from_vpc_endpoint(
        self, vpc_endpoint: VpcEndpoint, source: RouteSource, origin: str
    ) -> Route:
        names = [parse_vpce_name(host, self.world.partitions) for host in vpc_endpoint.dns_names]
        regional = [n for n in names if n and n.id_suffix and n.availability_zone is None]
        if regional:
            host = regional[0].host
        else:
            host = self._built(vpc_endpoint.vpc_endpoint_id, "").host
            self.note(source, "noted", "EC2 gives no regional DNS name; it was guessed")
        found = self._resolve(host, source)
        if not found:
            raise self.refusal()
        self.note(
            source, "used", f"{origin} gives {vpc_endpoint.vpc_endpoint_id} in "
            f"{vpc_endpoint.vpc_id}",
        )  # fmt: skip
        policy = self._policy(vpc_endpoint)
        return self._route(f"https://{host}", source, policy, found, vpc_endpoint)

    def _guess(
        self, vpc_endpoint_id: str, id_suffix: str, origin: str, source: RouteSource
    ) -> Route | None:
        host = self._built(vpc_endpoint_id, id_suffix).host
        found = self._resolve(host, source)
        if not found:
            return None
        how = "made from the id and its suffix" if id_suffix else "guessed from the bare id"
        self.note(source, "used", f"{origin} names {vpc_endpoint_id}; {host} was {how}")
        policy = AddressPolicy(allowed_networks=self.request.settings.allowed_networks)
        return self._route(f"https://{host}", source, policy, found)

    def _route(
        self,
        url: str,
        source: RouteSource,
        policy: AddressPolicy,
        found: tuple[str, ...],
        vpc_endpoint: VpcEndpoint | None = None,
    ) -> Route:
        host = parse_endpoint_url(url, source).host
        for verdict in map(policy.judge, found):
            if not verdict.private:
                if self.request.settings.on_public_route != "warn":
                    raise refusal(host, verdict)
                self.note(source, "noted", f"{verdict.address} {verdict.why}")
        known = {a.address: a for a in vpc_endpoint.addresses} if vpc_endpoint else {}
        zone = self._own_zone((vpc_endpoint,) if vpc_endpoint else ()) if found else None
        if zone is not None and not known:
            known = self._addresses_in_zone(host, zone)
        return Route(
            service_name=self.request.service_name,
            region=self.request.region,
            partition=self.partition.name,
            endpoint_url=url,
            source=source,
            vpc_endpoint=vpc_endpoint,
            addresses=tuple(known.get(a, EndpointAddress(address=a)) for a in found),
            availability_zone=zone,
            address_policy=policy,
            fips=self.request.fips,
            evidence=tuple(self.trail),
        )

    # What the steps ask

    def _resolve(self, host: str, step: str) -> tuple[str, ...]:
        try:
            found = self.world.network.resolve(host, timeout=DNS_TIMEOUT)
        except socket.gaierror as error:
            self.note(step, "failed", f"{host} does not resolve ({error.strerror})")
        except TimeoutError:
            self.note(step, "failed", f"no DNS answer for {host} within {DNS_TIMEOUT:g} s")
        except OSError as error:
            self.note(step, "failed", f"{host} could not be looked up ({error})")
        else:
            return found
        return ()

    def _addresses_in_zone(self, host: str, zone: str) -> dict[str, EndpointAddress]:
        """Learns from the zonal name which addresses are in our zone; needs no permission."""
        name = parse_vpce_name(host, self.world.partitions)
        if name is None or not name.id_suffix or name.availability_zone:
            return {}
        try:
            found = self.world.network.resolve(name.in_zone(zone).host, timeout=DNS_TIMEOUT)
        except OSError:
            return {}  # the VPC endpoint has no network interface there
        return {a: EndpointAddress(address=a, availability_zone=zone) for a in found}

    def _own_vpc(self) -> str | None:
        if self.request.settings.vpc_id is not None:
            return self.request.settings.vpc_id
        location = self.world.locate()
        vpc_id = location.vpc_id
        if vpc_id is None and location.subnet_ids:
            vpc_id = self.world.discovery.vpc_of_subnets(location.subnet_ids)
        if vpc_id is not None:
            self.note("location", "noted", f"this is {vpc_id}, says {location.source}")
        return vpc_id

    def _own_vpc_by_sagemaker(self, every: tuple[VpcEndpoint, ...]) -> str | None:
        resource = self.world.locate().resource
        row = services.for_service("sagemaker", fips=self.request.fips)
        if resource is None or row is None:
            return None
        api = endpoint_service_name(row, region=self.request.region, partition=self.partition)
        for candidate in every:
            if candidate.endpoint_service != api or not candidate.is_available:
                continue
            request = replace(self.request, service_name="sagemaker")
            candidate_search = _Search(self.world, request, [])
            described = candidate_search._with_addresses((candidate,))[0]
            try:
                route = candidate_search._from_vpc_endpoint(described, "discovery", "discovery")
            except (NoPrivateRouteError, FipsUnavailableError):
                continue
            vpc_id = self.world.ask_sagemaker(resource, route)
            if vpc_id is not None:
                self.note("location", "noted", f"this is {vpc_id}, says the {resource.kind}")
                return vpc_id
        return None

    def _own_zone(self, vpc_endpoints: tuple[VpcEndpoint, ...]) -> str | None:
        if self.request.settings.availability_zone is not None:
            return self.request.settings.availability_zone
        location = self.world.locate()
        if location.availability_zone is None and location.availability_zone_id is not None:
            for address in (a for v in vpc_endpoints for a in v.addresses):
                if address.availability_zone_id == location.availability_zone_id:
                    return address.availability_zone
        return location.availability_zone

    def _describe(self, vpc_endpoint_id: str) -> VpcEndpoint | None:
        try:
            found = self.world.discovery.vpc_endpoint(vpc_endpoint_id)
        except DiscoveryError as error:
            self.note("discovery", "failed", _one_line(error))
            return None
        return self._with_addresses((found,))[0] if found else None

    def _with_addresses(self, vpc_endpoints: tuple[VpcEndpoint, ...]) -> tuple[VpcEndpoint, ...]:
        try:
            return self.world.discovery.with_addresses(vpc_endpoints)
        except DiscoveryError as error:
            self.note("discovery", "failed", _one_line(error))
            return vpc_endpoints

    def _policy(self, vpc_endpoint: VpcEndpoint | None) -> AddressPolicy:
        allowed = self.request.settings.allowed_networks
        if vpc_endpoint is None:
            return AddressPolicy(allowed_networks=allowed)
        if vpc_endpoint.addresses:
            addresses = frozenset(a.address for a in vpc_endpoint.addresses)
            return AddressPolicy(eni_addresses=addresses, allowed_networks=allowed)
        try:
            cidrs = self.world.discovery.vpc_cidrs(vpc_endpoint.vpc_id)
        except DiscoveryError as error:
            self.note("discovery", "failed", _one_line(error))
            cidrs = ()
        return AddressPolicy(vpc_cidrs=cidrs, allowed_networks=allowed)

    # Contradictions and texts

    def _check(self, url: EndpointUrl, origin: str) -> None:
        request = self.request
        name = parse_vpce_name(url.host, self.world.partitions)
        if name is not None:
            if name.service.service_name != request.service_name:
                raise self._contradiction(origin, url.host, "service", name.service.title)
            if name.region != request.region:
                raise self._contradiction(origin, url.host, "region", name.region)
        if not request.fips or request.default_is_fips:
            return
        default = parse_endpoint_url(request.default_url, "").host if request.default_url else None
        if not (name.service.fips if name else url.host == default):
            raise FipsUnavailableError(
                f"FIPS is asked for, but {origin} names {url.host}, which is not a FIPS host.",
                cause="botocore would drop FIPS silently for a host it is given.",
                remedy="name a VPC endpoint of a -fips endpoint service, or turn "
                "use_fips_endpoint off.",
            )

    def _check_relative(self, found: VpcEndpoint, own: bool, origin: str) -> None:  # noqa: FBT001
        row = services.by_endpoint_service_name(found.endpoint_service)
        if row is None or row.is_browser_only or own:
            raise self._contradiction(
                origin,
                found.vpc_endpoint_id,
                "service",
                row.title if row else found.endpoint_service,
            )

    def _contradiction(self, origin: str, named: str, what: str, other: str) -> ConfigurationError:
        mine = self.request.service_name if what == "service" else self.request.region
        return ConfigurationError(
            f"{origin} names {named}, whose {what} is {other}, but the client's is {mine}.",
            cause=f"a VPC endpoint serves one {what} only.",
            remedy=f"name a VPC endpoint for {self.request.service_name} in {self.request.region}.",
        )

    def _is_sibling(self, name: VpceName) -> bool:
        return (
            name.region == self.request.region
            and not name.service.is_browser_only
            and name.service.service_name != self.request.service_name
        )

    def _wanted(self) -> tuple[str, ...]:
        """Names the endpoint services that serve the request, the best first."""
        rows = [self.service]
        if self.request.fips and self.request.default_is_fips:
            rows.append(services.for_service(self.request.service_name))
        return tuple(
            endpoint_service_name(row, region=self.request.region, partition=self.partition)
            for row in rows
            if row is not None
        )

    def _built(self, vpc_endpoint_id: str, id_suffix: str) -> VpceName:
        row = self.service or services.for_service(self.request.service_name)
        if row is None:
            raise self.refusal()
        return VpceName(
            vpc_endpoint_id=vpc_endpoint_id,
            id_suffix=id_suffix,
            service=row,
            region=self.request.region,
            partition=self.partition,
        )

    def note(self, step: str, outcome: Outcome, detail: str) -> None:
        self.trail.append(Evidence(step=step, outcome=outcome, detail=detail))

    def refusal(self) -> NoPrivateRouteError | FipsUnavailableError:
        request = self.request
        tried = "".join(f"\n  {e.step} ({e.outcome}): {e.detail}" for e in self.trail)
        if request.fips and request.service_name in services.routable_service_names():
            return FipsUnavailableError(
                f"No private FIPS route to {request.service_name} in {request.region}. "
                f"Tried, in order:{tried}",
                remedy=(
                    f"create an interface endpoint of {self._wanted()[0]}."
                    if self._wanted()
                    else "AWS offers no FIPS endpoint service for it: use private DNS for its FIPS "
                    "host.",
                    "turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may.",
                ),
            )
        if not self._wanted():
            return NoPrivateRouteError(
                f"{request.service_name} cannot be reached privately.",
                attempts=self.trail,
                cause="it is not among the services that AWS PrivateLink carries.",
                remedy="use plain boto3 for it where it may go out publicly, or pass endpoint_url= "
                "with a private host that passes it on.",
            )
        return NoPrivateRouteError(
            f"No private route to {request.service_name} in {request.region}.",
            attempts=self.trail,
            remedy=(
                f"create an interface endpoint of {self._wanted()[0]} in this VPC, with private "
                "DNS.",
                "if there is one, pass vpc_endpoint= with its DNS name (or set "
                "SM_PRIVATE_VPC_ENDPOINT).",
                "allow ec2:DescribeVpcEndpoints and ec2:DescribeNetworkInterfaces, so that it can "
                "be found.",
            ),
        )


def _one_line(error: DiscoveryError) -> str:
    return " ".join(line for line in str(error).splitlines()[:2])
