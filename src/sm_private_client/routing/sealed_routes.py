"""Routes of sealed sessions to services outside the SageMaker family.

The steps are those of ``RouteResolver``, as far as they apply: a URL that was named, private DNS,
an interface VPC endpoint, a gateway one, or ``NoPrivateRouteError`` with what to create.

S3 and DynamoDB keep their public addresses behind a gateway endpoint. What makes the way private
is a route to the service's prefix list in the route table of the subnet (VPC guide, "Gateway
endpoints"). So that is looked at before any of these addresses counts as private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_private_client.errors import DiscoveryError, FipsUnavailableError, NoPrivateRouteError
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.ec2 import read_route_table, read_vpc_endpoints
from sm_private_client.privatelink.other_services import (
    OTHER_SERVICES,
    WITHOUT_PRIVATE_WAY,
    OtherService,
    endpoint_service_names,
    other_service,
    other_service_url,
    regional_dns_name,
)
from sm_private_client.privatelink.urls import parse_endpoint_url
from sm_private_client.routing.deadlines import run_within
from sm_private_client.routing.explicit import from_url
from sm_private_client.routing.resolver import ROUTE_TIMEOUT, private_dns
from sm_private_client.routing.route_errors import FIPS_OFF
from sm_private_client.routing.search import RouteSearch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.privatelink.records import Route, RouteTable, VpcEndpoint
    from sm_private_client.routing.search import RouteRequest, RouteSources

__all__ = ["lacking_route", "other_service_route"]


class _OtherServiceSearch(RouteSearch):
    """One search for a route to a service outside the family; ``row`` is the table's, if any."""

    def __init__(self, *, sources: RouteSources, request: RouteRequest, can_ask_ec2: bool) -> None:
        super().__init__(sources=sources, request=request)
        self.can_ask_ec2 = can_ask_ec2
        self.row = other_service(request.service_name)

    def _service(self) -> None:
        return None  # the catalogue is of the family

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names that the endpoint service may have, the likeliest first."""
        return self.names_of(self.row) if self.row else ()

    def names_of(self, row: OtherService) -> tuple[str, ...]:
        """Return the names that an endpoint service may have here."""
        return endpoint_service_names(row, region=self.request.region, partition=self.partition)

    def vpc_endpoints(self, kind: str, names: Iterable[str]) -> tuple[VpcEndpoint, ...]:
        """Return the VPC endpoints of a kind and of endpoint services, the oldest first."""
        filters = {"service-name": sorted(names), "vpc-endpoint-type": [kind]}
        found = self._described("describe_vpc_endpoints", "VpcEndpoints", filters)
        return read_vpc_endpoints(found)

    def prefix_list(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """Return the id and the CIDRs of AWS's prefix list of a name."""
        filters = {"prefix-list-name": [name]}
        for raw in self._described("describe_prefix_lists", "PrefixLists", filters):
            if raw["PrefixListName"] == name:
                return str(raw["PrefixListId"]), tuple(raw.get("Cidrs", ()))
        return None

    def route_tables(self, vpc_id: str) -> list[RouteTable]:
        """Return the route tables of a VPC, by id."""
        found = self._described("describe_route_tables", "RouteTables", {"vpc-id": [vpc_id]})
        return sorted(map(read_route_table, found), key=lambda table: table.route_table_id)

    def _described(self, operation: str, key: str, filters: dict[str, list[str]]) -> list[Any]:
        return self.sources.discovery.describe(operation, key, filters)


def other_service_route(
    sources: RouteSources,
    request: RouteRequest,
    *,
    can_ask_ec2: bool,
    timeout: float = ROUTE_TIMEOUT,
) -> Route:
    """Return the private route to a service outside the family, within ten seconds.

    Args:
        sources: See ``RouteSearch``.
        request: See ``RouteSearch``.
        can_ask_ec2: Whether EC2 may be asked. It must not if the answer is needed to sign the
            question: for EC2 itself, and for what fetches the session's own credentials.
        timeout: Seconds for all steps together.

    Raises:
        NoPrivateRouteError: No step led there; it names the endpoint service to create.
        FipsUnavailableError: The same, if FIPS is set.
        AmbiguousVpcEndpointError, VpcEndpointUnavailableError: EC2 shows what cannot be chosen
            from or used.
        PublicAddressError: The name of the VPC endpoint resolves to an address that is not its.
        ConfigurationError: A URL that was named cannot be used.
    """
    search = _OtherServiceSearch(sources=sources, request=request, can_ask_ec2=can_ask_ec2)
    what = f"route to {request.service_name}"
    try:
        return run_within(timeout, lambda: _decide(search), what=what)
    except TimeoutError:
        search.note("deadline", "failed", f"the {timeout:.1f} s for a route are over")
        raise _no_route(search) from None


def _decide(search: _OtherServiceSearch) -> Route:
    found = _named(search)
    if found is None and search.request.service_name not in WITHOUT_PRIVATE_WAY:
        found = private_dns(search) or _by_ec2(search)
    if found is None:
        raise _no_route(search)
    return found


def _named(search: _OtherServiceSearch) -> Route | None:
    request = search.request
    if request.endpoint_url is not None:
        return from_url(search, request.endpoint_url, origin="endpoint_url=", source="explicit")
    if request.configured_url is not None:
        origin, url = request.configured_url.origin, request.configured_url.url
        return from_url(search, url, origin=origin, source="configured")
    search.note("explicit", "skipped", "neither endpoint_url= nor AWS_ENDPOINT_URL* was given")
    return None


def _by_ec2(search: _OtherServiceSearch) -> Route | None:
    row, request = search.row, search.request
    why = ""
    if row is None:
        why = f"{request.service_name} is not in the other service table"
    elif request.fips and not request.default_is_fips:
        why = "FIPS is asked for; botocore drops it for a vpce host"
    elif not search.can_ask_ec2:
        why = "EC2 cannot be asked before this service is reached"
    if row is None or why:
        search.note("discovery", "skipped", why)
        return None
    try:
        return _interface(search, row) or (_gateway(search, row) if row.has_gateway else None)
    except DiscoveryError as error:
        search.note_failure("discovery", error)
        return None


def _interface(search: _OtherServiceSearch, row: OtherService) -> Route | None:
    # One question for every other service: the next one finds its answer here.
    names = (name for row in OTHER_SERVICES for name in search.names_of(row))
    chosen = search.choose(search.vpc_endpoints("Interface", names))
    if chosen is None:
        return None
    name = regional_dns_name(chosen.dns_names)
    if name is None:
        seen = f"EC2 gives no regional DNS name of {chosen.vpc_endpoint_id}"
        search.note("discovery", "no", seen)
        return None
    url = other_service_url(row, name)
    addresses = search.resolve(parse_endpoint_url(url, "EC2").host, "discovery")
    if not addresses:
        return None
    search.note("discovery", "used", f"EC2 gives {chosen.vpc_endpoint_id} in {chosen.vpc_id}")
    return search.route(url, "discovery", search.policy(chosen), addresses, chosen)


def _gateway(search: _OtherServiceSearch, row: OtherService) -> Route | None:
    """Return a route to the default URL if our route table leads its addresses to a gateway."""
    step = "gateway"
    url = search.request.default_url
    vpc_id = _own_vpc_for_gateways(search)
    if vpc_id is None or url is None:
        return None
    every = search.vpc_endpoints("Gateway", search.wanted)
    gateway = next((v for v in every if v.vpc_id == vpc_id and v.is_available), None)
    if gateway is None:
        search.note(step, "no", f"{vpc_id} has no gateway endpoint of {search.wanted[0]}")
        return None
    prefix_list_id, networks = search.prefix_list(gateway.endpoint_service) or ("", ())
    if not networks:
        search.note(step, "no", f"EC2 shows no prefix list {gateway.endpoint_service}")
        return None
    lacking = lacking_route(
        search.route_tables(vpc_id),
        subnet_ids=search.sources.locate().subnet_ids,
        prefix_list_id=prefix_list_id,
        vpc_endpoint_id=gateway.vpc_endpoint_id,
    )
    if lacking is not None:
        search.note(step, "no", f"{gateway.vpc_endpoint_id} is in {vpc_id}, but {lacking}")
        return None
    policy = AddressPolicy(
        gateway=row.service_name,
        gateway_networks=networks,
        allowed_networks=search.request.settings.allowed_networks,
    )
    host = parse_endpoint_url(url, "botocore's rules").host
    addresses = search.resolve(host, step)
    outside = [v for v in map(policy.judge, addresses) if not v.private]
    if outside:
        where = f"outside the prefix list {prefix_list_id}"
        search.note(step, "no", f"{host} resolves to {outside[0].address}, {where}")
    if outside or not addresses:
        return None
    search.note(step, "used", f"{gateway.vpc_endpoint_id} in {vpc_id} carries {prefix_list_id}")
    return search.route(url, "gateway", policy, addresses)


def _own_vpc_for_gateways(search: _OtherServiceSearch) -> str | None:
    """Return the VPC that this process certainly runs in: a gateway serves no other.

    Seen from elsewhere, the prefix list's addresses are the internet's. So a variable, which may
    widen nothing, does not decide here, and a VPC that was named must be the one we are in.
    """
    settings = search.request.settings
    located = search.sources.locate().vpc_id
    is_variable = settings.vpc_id_from.startswith("the variable")
    vpc_id = located if settings.vpc_id is not None and is_variable else search.own_vpc()
    if vpc_id is None:
        search.note("gateway", "skipped", "which VPC this is is not known; pass vpc_id=")
    elif located not in (None, vpc_id):
        search.note("gateway", "skipped", f"this is {located}, not {vpc_id}")
        return None
    return vpc_id


def lacking_route(
    tables: Iterable[RouteTable],
    *,
    subnet_ids: tuple[str, ...],
    prefix_list_id: str,
    vpc_endpoint_id: str,
) -> str | None:
    """Return which route table lacks the route to a gateway; ``None`` if the way is there.

    Args:
        tables: Those of our VPC.
        subnet_ids: Our subnets; if they are not known, every table must have the route.
        prefix_list_id: The service's.
        vpc_endpoint_id: The gateway's.
    """
    way = (prefix_list_id, vpc_endpoint_id)
    every = tuple(tables)
    if not every:
        return "EC2 shows no route table of the VPC"
    for subnet_id in subnet_ids:
        own = [table for table in every if subnet_id in table.subnet_ids]
        own += [table for table in every if table.is_main]
        if not own:
            return f"EC2 shows no route table of {subnet_id}"
        if way not in own[0].gateways:
            return f"{own[0].route_table_id}, the route table of {subnet_id}, has no route to it"
    without = [table.route_table_id for table in every if way not in table.gateways]
    if without and not subnet_ids:
        return f"{without[0]} has no route to it, and which subnet this is is not known"
    return None


def _no_route(search: _OtherServiceSearch) -> NoPrivateRouteError | FipsUnavailableError:
    request = search.request
    where = f"{request.service_name} in {request.region}"
    what = f"No private route to {where}, and the session is sealed; nothing was sent."
    if request.service_name in WITHOUT_PRIVATE_WAY:
        return NoPrivateRouteError(
            what,
            attempts=search.trail,
            cause="IAM Identity Center's sign-in has no interface endpoint, so that a profile "
            "with sso_session= needs the internet.",
            remedy=(
                "give this session credentials that need no sign-in: an instance, task or "
                "notebook role, or a role_arn= with a source that has one.",
                "export the credentials where the internet is allowed "
                "(aws configure export-credentials) and bring them here.",
            ),
        )
    if request.fips:
        return FipsUnavailableError(
            what,
            attempts=search.trail,
            remedy=("make its FIPS host resolve to private addresses.", FIPS_OFF),
        )
    remedies = [
        f"if AWS PrivateLink carries {request.service_name} (aws ec2 "
        "describe-vpc-endpoint-services lists it), create its interface endpoint in this VPC, "
        "with private DNS."
    ]
    if search.row is not None:
        name = search.wanted[0]
        remedies = [f"create an interface endpoint of {name} in this VPC, with private DNS."]
        if search.row.has_gateway:
            remedies.append(
                f"or create a gateway endpoint of {name} in this VPC and add it to the route "
                "table of this subnet."
            )
    remedies.append(
        "if there is one that this identity cannot see, pass endpoint_url= with its DNS name."
    )
    return NoPrivateRouteError(what, attempts=search.trail, remedy=remedies)
