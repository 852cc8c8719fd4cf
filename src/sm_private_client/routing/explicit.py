"""Routes to what a user names: an id, a DNS name, a URL."""

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
from sm_private_client.privatelink.urls import parse_endpoint_url, without_call
from sm_private_client.routing.route_errors import check_url, contradiction, no_route, not_fips
from sm_private_client.routing.search import nearest, require_available

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import Route, RouteSource, VpcEndpoint
    from sm_private_client.routing.search import RouteSearch

__all__ = ["from_text", "from_url", "from_vpc_endpoint"]

_logger = logging.getLogger(__name__)


def from_url(search: RouteSearch, text: str, *, origin: str, source: RouteSource) -> Route:
    """Return the route to a URL as it is; look nothing up, the guard judges each connection.

    Raises:
        ConfigurationError: It is malformed or contradicts the request.
        FipsUnavailableError: FIPS is set and it is not a FIPS host.
    """
    # A predictor makes the whole path by itself; a client, which botocore gave the URL, refuses it.
    url = parse_endpoint_url(without_call(text) if source == "configured" else text, origin)
    check_url(search, url, origin)
    search.note(source, "used", f"{origin} names {url.url}")
    if not url.is_local:
        return search.route(url.url, source, search.policy())
    _logger.warning(
        "%s goes to %s, a stand-in on this machine, not a private route.",
        search.request.service_name,
        url.url,
    )
    return search.route(url.url, source, AddressPolicy(local=True))


def from_text(
    search: RouteSearch, text: str, *, for_this_service: bool, source: RouteSource
) -> Route:
    """Return the route to an id, an id with its suffix, an ARN, a DNS name or a URL.

    If it was not named ``for_this_service`` alone, a VPC endpoint of another service leads to the
    other endpoint of the same VPC.

    Raises:
        ConfigurationError: It is malformed or contradicts the request.
        NoPrivateRouteError, FipsUnavailableError, VpcEndpointUnavailableError,
        PublicAddressError: It cannot be used.
    """
    origin = search.request.settings.vpc_endpoint_from
    text = without_hosted_zone(text)
    arn = parse_vpc_endpoint_arn(text)
    if arn is not None:
        region, text = arn
        if region != search.request.region:
            raise contradiction(search, origin, text, what="region", other=region)
    if split_vpc_endpoint_label(text):
        return _from_id(search, text, for_this_service=for_this_service, source=source)
    url = parse_endpoint_url(text, origin)
    name = parse_vpce_name(url.host, search.sources.partitions)
    if name is not None and not for_this_service and _is_of_another_service(search, name):
        return _from_id(search, name.vpc_endpoint_id, for_this_service=False, source=source)
    if url.is_local:
        return from_url(search, text, origin=origin, source=source)
    check_url(search, url, origin)
    addresses = search.resolve(url.host, source)
    if not addresses:
        raise no_route(search)
    vpc_endpoint = _owner(search, name.vpc_endpoint_id, addresses) if name else None
    search.note(source, "used", f"{origin} names {url.host}")
    return search.route(url.url, source, search.policy(vpc_endpoint), addresses, vpc_endpoint)


def from_vpc_endpoint(
    search: RouteSearch, vpc_endpoint: VpcEndpoint, *, origin: str, source: RouteSource
) -> Route:
    """Return the route to a VPC endpoint that EC2 described, by its regional DNS name.

    Raises:
        NoPrivateRouteError, FipsUnavailableError: The name does not resolve.
        PublicAddressError: It resolves to an address that is not the VPC endpoint's.
    """
    names = [parse_vpce_name(host, search.sources.partitions) for host in vpc_endpoint.dns_names]
    regional = [n for n in names if n and n.id_suffix and n.availability_zone is None]
    if regional:
        host = regional[0].host
    else:
        host = _built(search, vpc_endpoint.vpc_endpoint_id, "")
        search.note(source, "noted", "EC2 gives no regional DNS name; it was guessed")
    addresses = search.resolve(host, source)
    if not addresses:
        raise no_route(search)
    where = f"{vpc_endpoint.vpc_endpoint_id} in {vpc_endpoint.vpc_id}"
    search.note(source, "used", f"{origin} gives {where}")
    policy = search.policy(vpc_endpoint)
    return search.route(f"https://{host}", source, policy, addresses, vpc_endpoint)


def _from_id(
    search: RouteSearch, text: str, *, for_this_service: bool, source: RouteSource
) -> Route:
    origin = search.request.settings.vpc_endpoint_from
    vpc_endpoint_id, id_suffix = split_vpc_endpoint_label(text) or (text, "")
    # With its suffix the name is complete, if it is this service's: DNS tells, EC2 need not.
    route = _guess(search, vpc_endpoint_id, id_suffix, source) if id_suffix else None
    if route is not None:
        return route
    described = _found_by_id(search, vpc_endpoint_id, for_this_service, source)
    if described is not None:
        described = search.with_addresses((require_available(described),))[0]
        return from_vpc_endpoint(search, described, origin=origin, source=source)
    route = None if id_suffix else _guess(search, vpc_endpoint_id, "", source)
    if route is None:
        raise no_route(search)
    return route


def _found_by_id(
    search: RouteSearch,
    vpc_endpoint_id: str,
    for_this_service: bool,
    source: RouteSource,
) -> VpcEndpoint | None:
    """Return the VPC endpoint as EC2 shows it, or the one of its VPC that serves the request."""
    discovery, wanted = search.sources.discovery, search.wanted
    try:
        every = discovery.vpc_endpoints()
        found = next((v for v in every if v.vpc_endpoint_id == vpc_endpoint_id), None)
        found = found or discovery.vpc_endpoint(vpc_endpoint_id)
    except DiscoveryError as error:
        search.note_failure(source, error)
        return None
    if found is None:
        search.note(source, "no", f"EC2 shows no VPC endpoint {vpc_endpoint_id} here")
        return None
    row = services.by_endpoint_service_name(found.endpoint_service)
    same_service = row is not None and row.service_name == search.request.service_name
    if found.endpoint_service in wanted or (same_service and not search.request.fips):
        return found  # a FIPS one is good for everybody
    if same_service and for_this_service:
        raise not_fips(search.request.settings.vpc_endpoint_from, vpc_endpoint_id)
    if row is None or row.is_browser_only or for_this_service:
        title = row.title if row else found.endpoint_service
        origin = search.request.settings.vpc_endpoint_from
        raise contradiction(search, origin, vpc_endpoint_id, what="service", other=title)
    others = [v for v in every if v.vpc_id == found.vpc_id and v.endpoint_service in wanted]
    if not others:
        lacking = wanted[0] if wanted else search.request.service_name
        where = f"{vpc_endpoint_id} is in {found.vpc_id}"
        search.note(source, "no", f"{where}, which has no VPC endpoint of {lacking}")
        raise no_route(search)
    search.note(source, "noted", f"{vpc_endpoint_id} has another endpoint in {found.vpc_id}")
    available = tuple(v for v in others if v.is_available)
    if not available:
        return others[0]
    available = search.with_addresses(available)
    return nearest(available, search.own_zone(available))


def _guess(
    search: RouteSearch, vpc_endpoint_id: str, id_suffix: str, source: RouteSource
) -> Route | None:
    """Return the route to a DNS name that is built from the id, if it resolves."""
    host = _built(search, vpc_endpoint_id, id_suffix)
    addresses = search.resolve(host, source)
    if not addresses:
        return None
    vpc_endpoint = _owner(search, vpc_endpoint_id, addresses)
    how = "made from the id and its suffix" if id_suffix else "guessed from the bare id"
    origin = search.request.settings.vpc_endpoint_from
    search.note(source, "used", f"{origin} names {vpc_endpoint_id}; {host} was {how}")
    policy = search.policy(vpc_endpoint)
    return search.route(f"https://{host}", source, policy, addresses, vpc_endpoint)


def _built(search: RouteSearch, vpc_endpoint_id: str, id_suffix: str) -> str:
    if search.service is None:
        raise no_route(search)
    name = VpceName(
        vpc_endpoint_id=vpc_endpoint_id,
        id_suffix=id_suffix,
        service=search.service,
        region=search.request.region,
        partition=search.partition,
    )
    return name.host


def _owner(
    search: RouteSearch, vpc_endpoint_id: str, addresses: tuple[str, ...]
) -> VpcEndpoint | None:
    """Return the VPC endpoint as EC2 shows it, if its addresses are in no private range.

    A VPC may have public CIDRs: only EC2 knows whether the addresses are its own.
    """
    if all(search.policy().judge(address).private for address in addresses):
        return None
    try:
        described = search.sources.discovery.vpc_endpoint(vpc_endpoint_id)
    except DiscoveryError as error:
        search.note_failure("discovery", error)
        return None
    return search.with_addresses((described,))[0] if described else None


def _is_of_another_service(search: RouteSearch, name: VpceName) -> bool:
    return (
        name.region == search.request.region
        and not name.service.is_browser_only
        and name.service.service_name != search.request.service_name
    )
