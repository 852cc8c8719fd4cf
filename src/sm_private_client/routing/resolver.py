"""The decision on a route: explicit, configured, private DNS, discovery, or NoPrivateRouteError.

Each step returns a route, or leaves evidence of why not and lets the next one try, or raises.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from sm_private_client.errors import (
    DiscoveryError,
    PrivateClientError,
    PublicAddressError,
    RoutingError,
)
from sm_private_client.privatelink.hostnames import is_vpc_endpoint_id, parse_vpc_endpoint_arn
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.privatelink.urls import parse_endpoint_url
from sm_private_client.routing.cache import KeptAnswers
from sm_private_client.routing.deadlines import run_within
from sm_private_client.routing.explicit import from_text, from_url, from_vpc_endpoint
from sm_private_client.routing.network import failure_of
from sm_private_client.routing.route_errors import no_route
from sm_private_client.routing.search import RouteRequest, RouteSearch, RouteSources

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from sm_private_client.privatelink.records import Route, VpcEndpoint

__all__ = ["ROUTE_TIMEOUT", "RouteResolver", "private_dns"]

ROUTE_TIMEOUT: Final = 9.5
"""Seconds for all steps together, so that "no route" is said within ten."""

_REACH_TIMEOUT: Final = 1.0  # a VPC endpoint that can be reached from here answers in milliseconds
_HTTPS: Final = 443

_logger = logging.getLogger(__name__)


class RouteResolver:
    """The decider of routes in one region.

    Args:
        sources: What can be asked.
    """

    def __init__(self, sources: RouteSources) -> None:
        self._sources = sources

    def resolve(self, request: RouteRequest, *, timeout: float = ROUTE_TIMEOUT) -> Route:
        """Return the route to a service, within ten seconds.

        Raises:
            NoPrivateRouteError: No step led there; it has them all.
            FipsUnavailableError: The same, if FIPS is set.
            AmbiguousVpcEndpointError, VpcEndpointUnavailableError: Discovery found what it cannot
                choose from or use.
            PublicAddressError: The host that was named resolves to a public address.
            ConfigurationError: A name or URL is malformed or contradicts the request.
        """
        search = RouteSearch(sources=self._sources, request=request)
        try:
            return run_within(
                timeout, lambda: _decide(search), what=f"route to {request.service_name}"
            )
        except TimeoutError:
            search.note("deadline", "failed", f"the {timeout:.1f} s for a route are over")
            raise no_route(search) from None

    def recall(
        self, request: RouteRequest, kept: KeptAnswers, *, timeout: float = ROUTE_TIMEOUT
    ) -> Route | None:
        """Return the route that EC2's kept answers lead to, by one DNS look-up and without EC2.

        ``None`` if they lead nowhere today, or to an address that is not private. Private DNS is
        not tried before what was found without it.
        """
        subnet_ids = self._sources.locate().subnet_ids

        def again() -> Route | None:
            discovery = kept.discovery(
                region=request.region, partitions=self._sources.partitions, subnet_ids=subnet_ids
            )
            if discovery is None:
                return None
            search = RouteSearch(
                sources=self._sources._replace(discovery=discovery), request=request
            )
            search.note("route cache", "noted", "EC2's answers were kept on disk")
            return _explicit(search) or _configured(search) or _discovery(search)

        try:
            route = run_within(timeout, again, what=f"route to {request.service_name}")
        except (PrivateClientError, TimeoutError):
            return None  # why, is said when it is decided anew
        return route if route is not None and route.is_private else None

    def answers_of(self, request: RouteRequest, route: Route) -> KeptAnswers | None:
        """Return EC2's answers for a route, to be kept; ``None`` if EC2 must be asked each time."""
        named, _ = request.settings.vpc_endpoint_for(request.service_name) or ("", False)
        chosen = route.vpc_endpoint
        if chosen is None:
            # From the bare id alone, because EC2 could not be asked.
            _, bare = parse_vpc_endpoint_arn(named) or ("", named)
            return KeptAnswers() if is_vpc_endpoint_id(bare) else None
        others = (
            v
            for v in self._sources.discovery.known()
            if v.vpc_endpoint_id in named and v.vpc_endpoint_id != chosen.vpc_endpoint_id
        )
        partitions = self._sources.partitions
        return KeptAnswers.of((chosen, *others), route.address_policy.vpc_cidrs, partitions)


def _decide(search: RouteSearch) -> Route:
    return (
        _explicit(search)
        or _configured(search)
        or _without_endpoint_service(search)
        or private_dns(search)
        or _discovery(search)
        or _nowhere(search)
    )


def _explicit(search: RouteSearch) -> Route | None:
    request = search.request
    if request.endpoint_url is not None:
        return from_url(search, request.endpoint_url, origin="endpoint_url=", source="explicit")
    named = request.settings.vpc_endpoint_for(request.service_name)
    if named is not None and request.settings.vpc_endpoint_is_argument:
        text, for_this_service = named
        return from_text(search, text, for_this_service=for_this_service, source="explicit")
    if request.settings.vpc_endpoints and request.settings.vpc_endpoint_is_argument:
        search.note("explicit", "skipped", "vpc_endpoint= names other services only")
    else:
        search.note("explicit", "skipped", "neither endpoint_url= nor vpc_endpoint= was given")
    return None


def _configured(search: RouteSearch) -> Route | None:
    request = search.request
    named = request.settings.vpc_endpoint_for(request.service_name)
    if named is not None:
        text, for_this_service = named
        return from_text(search, text, for_this_service=for_this_service, source="configured")
    if request.configured_url is not None:
        origin, url = request.configured_url.origin, request.configured_url.url
        return from_url(search, url, origin=origin, source="configured")
    search.note(
        "configured",
        "skipped",
        "neither SM_PRIVATE_VPC_ENDPOINT, nor the profile key sm_private_vpc_endpoint, nor "
        "AWS_ENDPOINT_URL* is set",
    )
    return None


def _without_endpoint_service(search: RouteSearch) -> Route | None:
    name = search.request.service_name
    if name in routable_service_names():
        return None
    search.note("catalogue", "no", f"AWS offers no endpoint service for {name}")
    return _nowhere(search)


def private_dns(search: RouteSearch) -> Route | None:
    """Return a route to the default host if it resolves to private addresses only."""
    url = search.request.default_url
    if url is None:
        search.note("private DNS", "skipped", "botocore has no default host for this request")
        return None
    host = parse_endpoint_url(url, "botocore's rules").host
    addresses = search.resolve(host, "private DNS")
    policy = search.policy()
    outside = [v for v in map(policy.judge, addresses) if not v.private]
    if outside:
        seen = f"{host} resolves to {outside[0].address}, which {outside[0].why}"
        search.note("private DNS", "no", seen)
    if outside or not addresses:
        return None
    search.note("private DNS", "used", f"{host} resolves to private addresses only")
    return search.route(url, "private-dns", policy, addresses)


def _discovery(search: RouteSearch) -> Route | None:
    if not search.wanted:
        search.note("discovery", "skipped", "AWS offers no FIPS endpoint service for it")
        return None
    if search.other_regions:
        only = ", ".join(search.other_regions)
        search.note("discovery", "skipped", f"AWS offers its endpoint service in {only} only")
        return None
    try:
        every = search.sources.discovery.vpc_endpoints()
        chosen = search.choose(every, ask_vpc=lambda: _own_vpc_by_sagemaker(search, every))
    except DiscoveryError as error:
        search.note_failure("discovery", error)
        return None
    if chosen is None:
        return None
    return from_vpc_endpoint(search, chosen, origin="EC2", source="discovery")


def _own_vpc_by_sagemaker(search: RouteSearch, every: tuple[VpcEndpoint, ...]) -> str | None:
    """Ask SageMaker itself, through any of its VPC endpoints that can be reached."""
    resource = search.sources.locate().resource
    if resource is None:
        return None
    # The other service's host says nothing about whether this one's is FIPS anyway.
    same = search.request.service_name == "sagemaker"
    default_is_fips = search.request.default_is_fips and same
    request = replace(search.request, service_name="sagemaker", default_is_fips=default_is_fips)
    asking = RouteSearch(sources=search.sources, request=request)
    available = tuple(v for v in every if v.endpoint_service in asking.wanted and v.is_available)
    for candidate in _reachable(search, asking.with_addresses(available)):
        try:
            route = from_vpc_endpoint(asking, candidate, origin="EC2", source="discovery")
        except (RoutingError, PublicAddressError):
            continue
        vpc_id = search.sources.ask_sagemaker(resource, route)
        if vpc_id is not None:
            search.note("location", "noted", f"this is {vpc_id}, says the {resource.kind}")
            return vpc_id
    return None


def _reachable(
    search: RouteSearch, vpc_endpoints: tuple[VpcEndpoint, ...]
) -> Iterator[VpcEndpoint]:
    """Yield those that take a connection, the fastest first; send nothing.

    Those of another VPC do not answer, and to wait for each in turn takes too long.
    """
    with contextlib.ExitStack() as closing, selectors.DefaultSelector() as dialled:
        for vpc_endpoint in vpc_endpoints:
            for address in vpc_endpoint.addresses:
                with contextlib.suppress(OSError):
                    opened = search.sources.network.open(address.address, _HTTPS)
                    closing.enter_context(opened)
                    dialled.register(opened, selectors.EVENT_WRITE, vpc_endpoint)
        deadline = time.monotonic() + _REACH_TIMEOUT
        seen = set()
        while dialled.get_map() and time.monotonic() < deadline:
            for key, _ in dialled.select(max(deadline - time.monotonic(), 0)):
                opened, vpc_endpoint = cast("socket.socket", key.fileobj), key.data
                dialled.unregister(opened)
                if failure_of(opened) is None and vpc_endpoint.vpc_endpoint_id not in seen:
                    seen.add(vpc_endpoint.vpc_endpoint_id)
                    yield vpc_endpoint
    yield from (v for v in vpc_endpoints if not v.addresses)  # EC2 does not show them


def _nowhere(search: RouteSearch) -> Route:
    request = search.request
    if request.settings.on_public_route != "warn" or request.default_url is None:
        raise no_route(search)
    _logger.warning(
        "%s in %s has no private route; calls go out publicly (on_public_route='warn').",
        request.service_name,
        request.region,
    )
    search.note("public", "used", "on_public_route='warn' lets calls go out publicly")
    return search.route(request.default_url, "public", search.policy())
