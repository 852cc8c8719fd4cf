"""RouteResolver: explicit, configured, private DNS, discovery, or NoPrivateRouteError.

Each step gives a route, or leaves evidence of why not and lets the next one try, or raises.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from sm_private_client.errors import (
    AmbiguousVpcEndpointError,
    DiscoveryError,
    PrivateClientError,
    PublicAddressError,
    RoutingError,
)
from sm_private_client.privatelink.hostnames import is_vpc_endpoint_id, parse_vpc_endpoint_arn
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.routing.choice import nearest, usable
from sm_private_client.routing.deadlines import run_within
from sm_private_client.routing.inquiry import Inquiry, RouteRequest, World
from sm_private_client.routing.kept_answers import KeptAnswers
from sm_private_client.routing.named import from_text, from_url, from_vpc_endpoint
from sm_private_client.routing.network import failure_of
from sm_private_client.routing.refusals import no_route
from sm_private_client.routing.urls import parse_endpoint_url

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
    """Decides routes in one region.

    Args:
        world: What can be asked.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def resolve(self, request: RouteRequest, *, timeout: float = ROUTE_TIMEOUT) -> Route:
        """Decides how a service is reached, within ten seconds.

        Args:
            request: What is wanted.
            timeout: Seconds for all steps together.

        Raises:
            NoPrivateRouteError: No step led there; it has them all.
            FipsUnavailableError: The same, where FIPS was asked for.
            AmbiguousVpcEndpointError, VpcEndpointUnavailableError: Discovery found what it cannot
                choose from or use.
            PublicAddressError: The host that was named resolves to a public address.
            ConfigurationError: A name or URL is malformed or contradicts the request.
        """
        inquiry = Inquiry(world=self._world, request=request)
        try:
            return run_within(
                timeout, lambda: _decide(inquiry), what=f"route to {request.service_name}"
            )
        except TimeoutError:
            inquiry.note("deadline", "failed", f"the {timeout:.1f} s for a route are over")
            raise no_route(inquiry) from None

    def recall(
        self, request: RouteRequest, kept: KeptAnswers, *, timeout: float = ROUTE_TIMEOUT
    ) -> Route | None:
        """Make the route that EC2's kept answers lead to, by one DNS look-up and without EC2.

        Private DNS is not tried before what was found without it.

        Args:
            request: What is wanted.
            kept: What EC2 answered.
            timeout: Seconds for all steps together.

        Returns:
            The route, or ``None`` if they lead nowhere today, or to an address that is not
            private.
        """
        subnet_ids = self._world.locate().subnet_ids

        def again() -> Route | None:
            discovery = kept.discovery(
                region=request.region, partitions=self._world.partitions, subnet_ids=subnet_ids
            )
            if discovery is None:
                return None
            inquiry = Inquiry(world=self._world._replace(discovery=discovery), request=request)
            inquiry.note("route cache", "noted", "EC2's answers were kept on disk")
            return _explicit(inquiry) or _configured(inquiry) or _discovery(inquiry)

        try:
            route = run_within(timeout, again, what=f"route to {request.service_name}")
        except (PrivateClientError, TimeoutError):
            return None  # why, is said when it is decided anew
        return route if route is not None and route.is_private else None

    def answers_of(self, request: RouteRequest, route: Route) -> KeptAnswers | None:
        """Return what EC2 answered for a route, to be kept.

        Returns:
            It, or ``None`` if EC2 was not asked, or must be asked each time.
        """
        named, _ = request.settings.vpc_endpoint_for(request.service_name) or ("", False)
        chosen = route.vpc_endpoint
        if chosen is None:
            # From the bare id alone, because EC2 could not be asked.
            _, bare = parse_vpc_endpoint_arn(named) or ("", named)
            return KeptAnswers() if is_vpc_endpoint_id(bare) else None
        others = (
            v
            for v in self._world.discovery.known()
            if v.vpc_endpoint_id in named and v.vpc_endpoint_id != chosen.vpc_endpoint_id
        )
        partitions = self._world.partitions
        return KeptAnswers.of((chosen, *others), route.address_policy.vpc_cidrs, partitions)


def _decide(inquiry: Inquiry) -> Route:
    return (
        _explicit(inquiry)
        or _configured(inquiry)
        or _without_endpoint_service(inquiry)
        or private_dns(inquiry)
        or _discovery(inquiry)
        or _nowhere(inquiry)
    )


def _explicit(inquiry: Inquiry) -> Route | None:
    request = inquiry.request
    if request.endpoint_url is not None:
        return from_url(inquiry, request.endpoint_url, origin="endpoint_url=", source="explicit")
    named = request.settings.vpc_endpoint_for(request.service_name)
    if named is not None and request.settings.vpc_endpoint_is_argument:
        text, for_this_service = named
        return from_text(inquiry, text, for_this_service=for_this_service, source="explicit")
    if request.settings.vpc_endpoints and request.settings.vpc_endpoint_is_argument:
        inquiry.note("explicit", "skipped", "vpc_endpoint= names other services only")
    else:
        inquiry.note("explicit", "skipped", "neither endpoint_url= nor vpc_endpoint= was given")
    return None


def _configured(inquiry: Inquiry) -> Route | None:
    request = inquiry.request
    named = request.settings.vpc_endpoint_for(request.service_name)
    if named is not None:
        text, for_this_service = named
        return from_text(inquiry, text, for_this_service=for_this_service, source="configured")
    if request.configured_url is not None:
        origin, url = request.configured_url.origin, request.configured_url.url
        return from_url(inquiry, url, origin=origin, source="configured")
    inquiry.note(
        "configured",
        "skipped",
        "neither SM_PRIVATE_VPC_ENDPOINT, nor the profile key sm_private_vpc_endpoint, nor "
        "AWS_ENDPOINT_URL* is set",
    )
    return None


def _without_endpoint_service(inquiry: Inquiry) -> Route | None:
    name = inquiry.request.service_name
    if name in routable_service_names():
        return None
    inquiry.note("catalogue", "no", f"AWS offers no endpoint service for {name}")
    return _nowhere(inquiry)


def private_dns(inquiry: Inquiry) -> Route | None:
    """Gives a route to the default host where it resolves to private addresses only."""
    url = inquiry.request.default_url
    if url is None:
        inquiry.note("private DNS", "skipped", "botocore has no default host for this request")
        return None
    host = parse_endpoint_url(url, "botocore's rules").host
    found = inquiry.resolve(host, "private DNS")
    policy = inquiry.policy()
    outside = [v for v in map(policy.judge, found) if not v.private]
    if outside:
        seen = f"{host} resolves to {outside[0].address}, which {outside[0].why}"
        inquiry.note("private DNS", "no", seen)
    if outside or not found:
        return None
    inquiry.note("private DNS", "used", f"{host} resolves to private addresses only")
    return inquiry.route(url, "private-dns", policy, found)


def _discovery(inquiry: Inquiry) -> Route | None:
    wanted = inquiry.wanted
    if not wanted:
        inquiry.note("discovery", "skipped", "AWS offers no FIPS endpoint service for it")
        return None
    if inquiry.other_regions:
        only = ", ".join(inquiry.other_regions)
        inquiry.note("discovery", "skipped", f"AWS offers its endpoint service in {only} only")
        return None
    try:
        every = inquiry.world.discovery.vpc_endpoints()
        inquiry.note_public_question()
        mine = tuple(v for name in wanted for v in every if v.endpoint_service == name)
        if not mine:
            inquiry.note("discovery", "no", f"EC2 shows no VPC endpoint of {wanted[0]}")
            return None
        vpc_id = inquiry.own_vpc()
        try:
            candidates = usable(mine, vpc_id=vpc_id)
        except AmbiguousVpcEndpointError:
            vpc_id = _own_vpc_by_sagemaker(inquiry, every)
            if vpc_id is None:
                raise
            candidates = usable(mine, vpc_id=vpc_id)
    except DiscoveryError as error:
        inquiry.note_failure("discovery", error)
        return None
    if not candidates:
        others = ", ".join(f"{v.vpc_endpoint_id} in {v.vpc_id}" for v in mine)
        inquiry.note("discovery", "no", f"none of {wanted[0]} is in {vpc_id}; there is {others}")
        return None
    candidates = inquiry.with_addresses(candidates)
    chosen = nearest(candidates, inquiry.own_zone(candidates))
    return from_vpc_endpoint(inquiry, chosen, origin="EC2", source="discovery")


def _own_vpc_by_sagemaker(inquiry: Inquiry, every: tuple[VpcEndpoint, ...]) -> str | None:
    """Asks SageMaker itself, through any of its VPC endpoints that can be reached."""
    resource = inquiry.world.locate().resource
    if resource is None:
        return None
    # The other service's host says nothing about whether this one's is FIPS anyway.
    same = inquiry.request.service_name == "sagemaker"
    default_is_fips = inquiry.request.default_is_fips and same
    request = replace(inquiry.request, service_name="sagemaker", default_is_fips=default_is_fips)
    asking = Inquiry(world=inquiry.world, request=request)
    usable_ones = tuple(v for v in every if v.endpoint_service in asking.wanted and v.is_available)
    for candidate in _reachable(inquiry, asking.with_addresses(usable_ones)):
        try:
            route = from_vpc_endpoint(asking, candidate, origin="EC2", source="discovery")
        except (RoutingError, PublicAddressError):
            continue
        vpc_id = inquiry.world.ask_sagemaker(resource, route)
        if vpc_id is not None:
            inquiry.note("location", "noted", f"this is {vpc_id}, says the {resource.kind}")
            return vpc_id
    return None


def _reachable(inquiry: Inquiry, vpc_endpoints: tuple[VpcEndpoint, ...]) -> Iterator[VpcEndpoint]:
    """Gives those that take a connection, as they do; nothing is sent.

    Another VPC's only swallow what is dialled, and to wait for each in turn takes too long.
    """
    with contextlib.ExitStack() as closing, selectors.DefaultSelector() as dialled:
        for vpc_endpoint in vpc_endpoints:
            for address in vpc_endpoint.addresses:
                with contextlib.suppress(OSError):
                    opened = inquiry.world.network.open(address.address, _HTTPS)
                    closing.enter_context(opened)
                    dialled.register(opened, selectors.EVENT_WRITE, vpc_endpoint)
        deadline = time.monotonic() + _REACH_TIMEOUT
        given = set()
        while dialled.get_map() and time.monotonic() < deadline:
            for key, _ in dialled.select(max(deadline - time.monotonic(), 0)):
                opened, vpc_endpoint = cast("socket.socket", key.fileobj), key.data
                dialled.unregister(opened)
                if failure_of(opened) is None and vpc_endpoint.vpc_endpoint_id not in given:
                    given.add(vpc_endpoint.vpc_endpoint_id)
                    yield vpc_endpoint
    yield from (v for v in vpc_endpoints if not v.addresses)  # EC2 does not tell them


def _nowhere(inquiry: Inquiry) -> Route:
    request = inquiry.request
    if request.settings.on_public_route != "warn" or request.default_url is None:
        raise no_route(inquiry)
    _logger.warning(
        "%s in %s has no private route; calls go out publicly (on_public_route='warn').",
        request.service_name,
        request.region,
    )
    inquiry.note("public", "used", "on_public_route='warn' lets calls go out publicly")
    return inquiry.route(request.default_url, "public", inquiry.policy())
