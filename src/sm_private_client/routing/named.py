"""From what a user names (an id, a DNS name, a URL) to a route."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sm_private_client.errors import DiscoveryError
from sm_private_client.privatelink import services
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.hostnames import (
    VpceName,
    parse_vpc_endpoint_arn,
    parse_vpce_name,
    split_vpc_endpoint_label,
    without_hosted_zone,
)
from sm_private_client.routing.choice import nearest, require_available
from sm_private_client.routing.refusals import check_url, contradiction, no_route, not_fips
from sm_private_client.routing.urls import parse_endpoint_url, without_call

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import Route, RouteSource, VpcEndpoint
    from sm_private_client.routing.inquiry import Inquiry

__all__ = ["from_text", "from_url", "from_vpc_endpoint"]

_logger = logging.getLogger(__name__)


def from_url(inquiry: Inquiry, text: str, *, origin: str, source: RouteSource) -> Route:
    """Takes a URL as it is; nothing is looked up, the guard judges it when it is dialled.

    Raises:
        ConfigurationError: It is malformed or contradicts the request.
        FipsUnavailableError: FIPS is asked for and it is not a FIPS host.
    """
    # A predictor makes the whole path by itself; a client, which botocore gave the URL, refuses it.
    url = parse_endpoint_url(without_call(text) if source == "configured" else text, origin)
    check_url(inquiry, url, origin)
    inquiry.note(source, "used", f"{origin} names {url.url}")
    if not url.is_local:
        return inquiry.route(url.url, source, inquiry.policy())
    _logger.warning(
        "%s goes to %s, a stand-in on this machine, not a private route.",
        inquiry.request.service_name,
        url.url,
    )
    return inquiry.route(url.url, source, AddressPolicy(local=True))


def from_text(inquiry: Inquiry, text: str, *, for_this_service: bool, source: RouteSource) -> Route:
    """Takes what ``vpc_endpoint`` names: an id, an id with its suffix, an ARN, a DNS name or a URL.

    Args:
        inquiry: The search.
        text: What is named.
        for_this_service: Whether it was named for this service alone; else one of another service
            leads to its sibling in the same VPC.
        source: ``explicit`` or ``configured``.

    Raises:
        ConfigurationError: It is malformed or contradicts the request.
        NoPrivateRouteError, FipsUnavailableError, VpcEndpointUnavailableError,
        PublicAddressError: It cannot be used.
    """
    origin = inquiry.request.settings.vpc_endpoint_from
    text = without_hosted_zone(text)
    arn = parse_vpc_endpoint_arn(text)
    if arn is not None:
        region, text = arn
        if region != inquiry.request.region:
            raise contradiction(inquiry, origin, text, what="region", other=region)
    if split_vpc_endpoint_label(text):
        return _from_id(inquiry, text, for_this_service=for_this_service, source=source)
    url = parse_endpoint_url(text, origin)
    name = parse_vpce_name(url.host, inquiry.world.partitions)
    if name is not None and not for_this_service and _is_sibling(inquiry, name):
        return _from_id(inquiry, name.vpc_endpoint_id, for_this_service=False, source=source)
    if url.is_local:
        return from_url(inquiry, text, origin=origin, source=source)
    check_url(inquiry, url, origin)
    found = inquiry.resolve(url.host, source)
    if not found:
        raise no_route(inquiry)
    vpc_endpoint = _owner(inquiry, name.vpc_endpoint_id, found) if name else None
    inquiry.note(source, "used", f"{origin} names {url.host}")
    return inquiry.route(url.url, source, inquiry.policy(vpc_endpoint), found, vpc_endpoint)


def from_vpc_endpoint(
    inquiry: Inquiry, vpc_endpoint: VpcEndpoint, *, origin: str, source: RouteSource
) -> Route:
    """Takes a VPC endpoint that EC2 described, by its regional DNS name.

    Raises:
        NoPrivateRouteError, FipsUnavailableError: The name does not resolve.
        PublicAddressError: It resolves to an address that is not the VPC endpoint's.
    """
    names = [parse_vpce_name(host, inquiry.world.partitions) for host in vpc_endpoint.dns_names]
    regional = [n for n in names if n and n.id_suffix and n.availability_zone is None]
    if regional:
        host = regional[0].host
    else:
        host = _built(inquiry, vpc_endpoint.vpc_endpoint_id, "")
        inquiry.note(source, "noted", "EC2 gives no regional DNS name; it was guessed")
    found = inquiry.resolve(host, source)
    if not found:
        raise no_route(inquiry)
    where = f"{vpc_endpoint.vpc_endpoint_id} in {vpc_endpoint.vpc_id}"
    inquiry.note(source, "used", f"{origin} gives {where}")
    policy = inquiry.policy(vpc_endpoint)
    return inquiry.route(f"https://{host}", source, policy, found, vpc_endpoint)


def _from_id(inquiry: Inquiry, text: str, *, for_this_service: bool, source: RouteSource) -> Route:
    origin = inquiry.request.settings.vpc_endpoint_from
    vpc_endpoint_id, id_suffix = split_vpc_endpoint_label(text) or (text, "")
    # With its suffix the name is complete, if it is this service's: DNS tells, EC2 need not.
    route = _guess(inquiry, vpc_endpoint_id, id_suffix, source) if id_suffix else None
    if route is not None:
        return route
    described = _found_by_id(inquiry, vpc_endpoint_id, for_this_service, source)
    if described is not None:
        described = inquiry.with_addresses((require_available(described),))[0]
        return from_vpc_endpoint(inquiry, described, origin=origin, source=source)
    route = None if id_suffix else _guess(inquiry, vpc_endpoint_id, "", source)
    if route is None:
        raise no_route(inquiry)
    return route


def _found_by_id(
    inquiry: Inquiry,
    vpc_endpoint_id: str,
    for_this_service: bool,
    source: RouteSource,
) -> VpcEndpoint | None:
    """Asks EC2 for the VPC endpoint, or its sibling that serves the request."""
    discovery, wanted = inquiry.world.discovery, inquiry.wanted
    try:
        every = discovery.vpc_endpoints()
        found = next((v for v in every if v.vpc_endpoint_id == vpc_endpoint_id), None)
        found = found or discovery.vpc_endpoint(vpc_endpoint_id)
    except DiscoveryError as error:
        inquiry.note_failure(source, error)
        return None
    if found is None:
        inquiry.note(source, "no", f"EC2 shows no VPC endpoint {vpc_endpoint_id} here")
        return None
    row = services.by_endpoint_service_name(found.endpoint_service)
    same_service = row is not None and row.service_name == inquiry.request.service_name
    if found.endpoint_service in wanted or (same_service and not inquiry.request.fips):
        return found  # a FIPS one is good for everybody
    if same_service and for_this_service:
        raise not_fips(inquiry.request.settings.vpc_endpoint_from, vpc_endpoint_id)
    if row is None or row.is_browser_only or for_this_service:
        title = row.title if row else found.endpoint_service
        origin = inquiry.request.settings.vpc_endpoint_from
        raise contradiction(inquiry, origin, vpc_endpoint_id, what="service", other=title)
    siblings = [v for v in every if v.vpc_id == found.vpc_id and v.endpoint_service in wanted]
    if not siblings:
        lacking = wanted[0] if wanted else inquiry.request.service_name
        where = f"{vpc_endpoint_id} is in {found.vpc_id}"
        inquiry.note(source, "no", f"{where}, which has no VPC endpoint of {lacking}")
        raise no_route(inquiry)
    inquiry.note(source, "noted", f"{vpc_endpoint_id} has a sibling in {found.vpc_id}")
    available = tuple(v for v in siblings if v.is_available)
    if not available:
        return siblings[0]
    available = inquiry.with_addresses(available)
    return nearest(available, inquiry.own_zone(available))


def _guess(
    inquiry: Inquiry, vpc_endpoint_id: str, id_suffix: str, source: RouteSource
) -> Route | None:
    """Builds the DNS name and takes it if it resolves."""
    host = _built(inquiry, vpc_endpoint_id, id_suffix)
    found = inquiry.resolve(host, source)
    if not found:
        return None
    vpc_endpoint = _owner(inquiry, vpc_endpoint_id, found)
    how = "made from the id and its suffix" if id_suffix else "guessed from the bare id"
    origin = inquiry.request.settings.vpc_endpoint_from
    inquiry.note(source, "used", f"{origin} names {vpc_endpoint_id}; {host} was {how}")
    policy = inquiry.policy(vpc_endpoint)
    return inquiry.route(f"https://{host}", source, policy, found, vpc_endpoint)


def _built(inquiry: Inquiry, vpc_endpoint_id: str, id_suffix: str) -> str:
    if inquiry.service is None:
        raise no_route(inquiry)
    name = VpceName(
        vpc_endpoint_id=vpc_endpoint_id,
        id_suffix=id_suffix,
        service=inquiry.service,
        region=inquiry.request.region,
        partition=inquiry.partition,
    )
    return name.host


def _owner(inquiry: Inquiry, vpc_endpoint_id: str, found: tuple[str, ...]) -> VpcEndpoint | None:
    """Asks EC2 about a VPC endpoint whose addresses are in no private range.

    A VPC may have public-owned CIDRs: only EC2 can say whether the addresses are its own.
    """
    if all(inquiry.policy().judge(address).private for address in found):
        return None
    try:
        described = inquiry.world.discovery.vpc_endpoint(vpc_endpoint_id)
    except DiscoveryError as error:
        inquiry.note_failure("discovery", error)
        return None
    return inquiry.with_addresses((described,))[0] if described else None


def _is_sibling(inquiry: Inquiry, name: VpceName) -> bool:
    return (
        name.region == inquiry.request.region
        and not name.service.is_browser_only
        and name.service.service_name != inquiry.request.service_name
    )
