"""Routes of sealed sessions to services outside the SageMaker family.

The steps are those of ``RouteResolver``, as far as they apply: a URL that was named, private DNS,
an interface VPC endpoint, a gateway one, or ``NoPrivateRouteError`` with what to create.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.errors import DiscoveryError, FipsUnavailableError, NoPrivateRouteError
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.ec2 import read_vpc_endpoints
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
from sm_private_client.routing.discovery import described
from sm_private_client.routing.explicit import from_url
from sm_private_client.routing.gateways import (
    gateways_of,
    lacking_route,
    prefix_list,
    route_tables,
)
from sm_private_client.routing.resolver import ROUTE_TIMEOUT, private_dns
from sm_private_client.routing.search import RouteSearch, nearest, usable

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import Route, VpcEndpoint
    from sm_private_client.routing.search import RouteRequest, RouteSources
    from sm_private_client.types import BotoClient

__all__ = ["other_service_route"]


class _OtherServiceSearch(RouteSearch):
    """One search for a route to a service outside the family.

    Args:
        sources: What can be asked.
        request: What is wanted.
        can_ask_ec2: Whether EC2 may be asked. It must not where the answer is needed to sign the
            question: for EC2 itself, and for what fetches the session's own credentials.

    Attributes:
        can_ask_ec2: As given.
        row: The other service's; ``None`` where the table has none.
    """

    def __init__(self, *, sources: RouteSources, request: RouteRequest, can_ask_ec2: bool) -> None:
        super().__init__(sources=sources, request=request)
        self.can_ask_ec2 = can_ask_ec2
        self.row = other_service(request.service_name)

    def _service(self) -> None:
        return None  # the catalogue is of the family

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names that the endpoint service may have, the likeliest first."""
        if self.row is None:
            return ()
        return endpoint_service_names(
            self.row, region=self.request.region, partition=self.partition
        )


def other_service_route(
    sources: RouteSources,
    request: RouteRequest,
    *,
    can_ask_ec2: bool,
    timeout: float = ROUTE_TIMEOUT,
) -> Route:
    """Decides how a service outside the family is reached privately, within ten seconds.

    Args:
        sources: What can be asked.
        request: What is wanted.
        can_ask_ec2: Whether EC2 can be asked with the credentials that the client has.
        timeout: Seconds for all steps together.

    Raises:
        NoPrivateRouteError: No step led there; it names the endpoint service to create.
        FipsUnavailableError: The same, where FIPS was asked for.
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
    if row is None:
        search.note(
            "discovery", "skipped", f"{request.service_name} is not in the other service table"
        )
        return None
    if request.fips and not request.default_is_fips:
        search.note("discovery", "skipped", "FIPS is asked for; botocore drops it for a vpce host")
        return None
    if not search.can_ask_ec2:
        search.note("discovery", "skipped", "EC2 cannot be asked before this service is reached")
        return None
    try:
        found = _interface(search, row)
        if found is None and row.has_gateway:
            found = _gateway(search, row)
    except DiscoveryError as error:
        search.note_failure("discovery", error)
        return None
    return found


def _interface(search: _OtherServiceSearch, row: OtherService) -> Route | None:
    every = _other_services_of_region(search)
    mine = tuple(v for name in search.wanted for v in every if v.endpoint_service == name)
    if not mine:
        search.note("discovery", "no", f"EC2 shows no VPC endpoint of {search.wanted[0]}")
        return None
    vpc_id = search.own_vpc()
    candidates = usable(mine, vpc_id=vpc_id)
    if not candidates:
        others = ", ".join(f"{v.vpc_endpoint_id} in {v.vpc_id}" for v in mine)
        seen = f"none of {search.wanted[0]} is in {vpc_id}; there is {others}"
        search.note("discovery", "no", seen)
        return None
    candidates = search.with_addresses(candidates)
    chosen = nearest(candidates, search.own_zone(candidates))
    name = regional_dns_name(chosen.dns_names)
    if name is None:
        seen = f"EC2 gives no regional DNS name of {chosen.vpc_endpoint_id}"
        search.note("discovery", "no", seen)
        return None
    url = other_service_url(row, name)
    found = search.resolve(parse_endpoint_url(url, "EC2").host, "discovery")
    if not found:
        return None
    search.note("discovery", "used", f"EC2 gives {chosen.vpc_endpoint_id} in {chosen.vpc_id}")
    return search.route(url, "discovery", search.policy(chosen), found, chosen)


def _other_services_of_region(search: _OtherServiceSearch) -> tuple[VpcEndpoint, ...]:
    """Asks for the interface VPC endpoints of every other service at once, the oldest first."""
    names = sorted(
        name
        for row in OTHER_SERVICES
        for name in endpoint_service_names(
            row, region=search.request.region, partition=search.partition
        )
    )
    filters = {"service-name": names, "vpc-endpoint-type": ["Interface"]}

    def ask(ec2: BotoClient) -> tuple[VpcEndpoint, ...]:
        return read_vpc_endpoints(described(ec2, "describe_vpc_endpoints", "VpcEndpoints", filters))

    return search.sources.discovery.asked("ec2:DescribeVpcEndpoints", "other_services", ask)


def _gateway(search: _OtherServiceSearch, row: OtherService) -> Route | None:
    """Takes the default URL, with the prefix list's addresses, where our route table has it."""
    step = "gateway"
    discovery, url = search.sources.discovery, search.request.default_url
    vpc_id = _own_vpc_for_gateways(search)
    if vpc_id is None or url is None:
        return None
    gateways = [
        gateway
        for gateway in gateways_of(discovery, search.wanted)
        if gateway.vpc_id == vpc_id and gateway.state == "available"
    ]
    if not gateways:
        search.note(step, "no", f"{vpc_id} has no gateway endpoint of {search.wanted[0]}")
        return None
    gateway = gateways[0]
    known = prefix_list(discovery, gateway.endpoint_service)
    if known is None or not known[1]:
        search.note(step, "no", f"EC2 shows no prefix list {gateway.endpoint_service}")
        return None
    lacking = lacking_route(
        route_tables(discovery, vpc_id),
        subnet_ids=search.sources.locate().subnet_ids,
        prefix_list_id=known[0],
        vpc_endpoint_id=gateway.vpc_endpoint_id,
    )
    if lacking is not None:
        search.note(step, "no", f"{gateway.vpc_endpoint_id} is in {vpc_id}, but {lacking}")
        return None
    policy = AddressPolicy(
        gateway=row.service_name,
        gateway_networks=known[1],
        allowed_networks=search.request.settings.allowed_networks,
    )
    host = parse_endpoint_url(url, "botocore's rules").host
    found = search.resolve(host, step)
    outside = [v for v in map(policy.judge, found) if not v.private]
    if outside:
        where = f"outside the prefix list {known[0]}"
        search.note(step, "no", f"{host} resolves to {outside[0].address}, {where}")
    if outside or not found:
        return None
    search.note(step, "used", f"{gateway.vpc_endpoint_id} in {vpc_id} carries {known[0]}")
    return search.route(url, "gateway", policy, found)


def _own_vpc_for_gateways(search: _OtherServiceSearch) -> str | None:
    """Gives the VPC that this process certainly runs in: a gateway serves no other.

    Seen from elsewhere, the prefix list's addresses are the internet's. So a variable, which may
    widen nothing, does not decide here, and a VPC that was named must be the one we are in.
    """
    settings = search.request.settings
    located = search.sources.locate().vpc_id
    if settings.vpc_id is None or not settings.vpc_id_from.startswith("the variable"):
        vpc_id = search.own_vpc()
    else:
        vpc_id = located
    if vpc_id is None:
        why = "which VPC this is is not known; pass vpc_id="
    elif located not in (None, vpc_id):
        why = f"this is {located}, not {vpc_id}"
    else:
        return vpc_id
    search.note("gateway", "skipped", why)
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
    create: tuple[str, ...]
    if search.row is None:
        create = (
            f"if AWS PrivateLink carries {request.service_name} (aws ec2 "
            "describe-vpc-endpoint-services lists it), create its interface endpoint in this VPC, "
            "with private DNS.",
        )
    else:
        create = _remedies(search, search.row)
    if request.fips:
        tried = "".join(f"\n  {e.step} ({e.outcome}): {e.detail}" for e in search.trail)
        return FipsUnavailableError(
            f"{what} Tried, in order:{tried}",
            remedy=(
                "make its FIPS host resolve to private addresses.",
                "turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may.",
            ),
        )
    return NoPrivateRouteError(
        what,
        attempts=search.trail,
        remedy=(
            *create,
            "if there is one that this identity cannot see, pass endpoint_url= with its DNS name.",
        ),
    )


def _remedies(search: _OtherServiceSearch, row: OtherService) -> tuple[str, ...]:
    name = search.wanted[0]
    create = f"create an interface endpoint of {name} in this VPC, with private DNS."
    if not row.has_gateway:
        return (create,)
    gateway = (
        f"or create a gateway endpoint of {name} in this VPC and add it to the route table of "
        "this subnet."
    )
    return create, gateway
