"""Routes of sealed sessions to services outside the SageMaker family.

The steps are those of ``RouteResolver``, as far as they apply: a URL that was named, private DNS,
an interface VPC endpoint, a gateway one, or ``NoPrivateRouteError`` with what to create.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sm_private_client.errors import DiscoveryError, FipsUnavailableError, NoPrivateRouteError
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.siblings import (
    SIBLINGS,
    WITHOUT_PRIVATE_WAY,
    Sibling,
    regional_dns_name,
    sibling,
    sibling_endpoint_url,
    sibling_service_names,
)
from sm_private_client.routing.choice import nearest, usable
from sm_private_client.routing.deadlines import run_within
from sm_private_client.routing.discovery import vpc_endpoint_of
from sm_private_client.routing.gateways import (
    gateways_of,
    lacking_route,
    prefix_list,
    route_tables,
)
from sm_private_client.routing.inquiry import Inquiry
from sm_private_client.routing.named import from_url
from sm_private_client.routing.resolver import ROUTE_TIMEOUT, private_dns
from sm_private_client.routing.urls import parse_endpoint_url

if TYPE_CHECKING:
    from typing import Any

    from sm_private_client.privatelink.records import Route, VpcEndpoint
    from sm_private_client.routing.inquiry import RouteRequest, World

__all__ = ["sibling_route"]


@dataclass(kw_only=True)
class _SiblingInquiry(Inquiry):
    """One search for a route to a service outside the family.

    Attributes:
        row: The sibling's; ``None`` where the table has none.
        can_ask_ec2: Whether EC2 may be asked. It must not where the answer is needed to sign the
            question: for EC2 itself, and for what fetches the session's own credentials.
    """

    can_ask_ec2: bool
    row: Sibling | None = field(init=False)

    def __post_init__(self) -> None:
        self.partition = self.request.partition(self.world.partitions)
        self.service = None  # the catalogue is of the family
        self.row = sibling(self.request.service_name)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names that the endpoint service may have, the likeliest first."""
        if self.row is None:
            return ()
        return sibling_service_names(self.row, region=self.request.region, partition=self.partition)


def sibling_route(
    world: World,
    request: RouteRequest,
    *,
    can_ask_ec2: bool,
    timeout: float = ROUTE_TIMEOUT,
) -> Route:
    """Decides how a service outside the family is reached privately, within ten seconds.

    Args:
        world: What can be asked.
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
    inquiry = _SiblingInquiry(world=world, request=request, can_ask_ec2=can_ask_ec2)
    what = f"route to {request.service_name}"
    try:
        return run_within(timeout, lambda: _decide(inquiry), what=what)
    except TimeoutError:
        inquiry.note("deadline", "failed", f"the {timeout:.1f} s for a route are over")
        raise _no_route(inquiry) from None


def _decide(inquiry: _SiblingInquiry) -> Route:
    found = _named(inquiry)
    if found is None and inquiry.request.service_name not in WITHOUT_PRIVATE_WAY:
        found = private_dns(inquiry) or _by_ec2(inquiry)
    if found is None:
        raise _no_route(inquiry)
    return found


def _named(inquiry: _SiblingInquiry) -> Route | None:
    request = inquiry.request
    if request.endpoint_url is not None:
        return from_url(inquiry, request.endpoint_url, origin="endpoint_url=", source="explicit")
    if request.configured_url is not None:
        origin, url = request.configured_url.origin, request.configured_url.url
        return from_url(inquiry, url, origin=origin, source="configured")
    inquiry.note("explicit", "skipped", "neither endpoint_url= nor AWS_ENDPOINT_URL* was given")
    return None


def _by_ec2(inquiry: _SiblingInquiry) -> Route | None:
    row, request = inquiry.row, inquiry.request
    if row is None:
        inquiry.note("discovery", "skipped", f"{request.service_name} is not in the sibling table")
        return None
    if request.fips and not request.default_is_fips:
        inquiry.note("discovery", "skipped", "FIPS is asked for; botocore drops it for a vpce host")
        return None
    if not inquiry.can_ask_ec2:
        inquiry.note("discovery", "skipped", "EC2 cannot be asked before this service is reached")
        return None
    try:
        found = _interface(inquiry, row)
        if found is None and row.has_gateway:
            found = _gateway(inquiry, row)
    except DiscoveryError as error:
        inquiry.note_failure("discovery", error)
        return None
    return found


def _interface(inquiry: _SiblingInquiry, row: Sibling) -> Route | None:
    every = _siblings_of_region(inquiry)
    mine = tuple(v for name in inquiry.wanted for v in every if v.endpoint_service == name)
    if not mine:
        inquiry.note("discovery", "no", f"EC2 shows no VPC endpoint of {inquiry.wanted[0]}")
        return None
    vpc_id = inquiry.own_vpc()
    candidates = usable(mine, vpc_id=vpc_id)
    if not candidates:
        others = ", ".join(f"{v.vpc_endpoint_id} in {v.vpc_id}" for v in mine)
        seen = f"none of {inquiry.wanted[0]} is in {vpc_id}; there is {others}"
        inquiry.note("discovery", "no", seen)
        return None
    candidates = inquiry.with_addresses(candidates)
    chosen = nearest(candidates, inquiry.own_zone(candidates))
    name = regional_dns_name(chosen.dns_names)
    if name is None:
        seen = f"EC2 gives no regional DNS name of {chosen.vpc_endpoint_id}"
        inquiry.note("discovery", "no", seen)
        return None
    url = sibling_endpoint_url(row, name)
    found = inquiry.resolve(parse_endpoint_url(url, "EC2").host, "discovery")
    if not found:
        return None
    inquiry.note("discovery", "used", f"EC2 gives {chosen.vpc_endpoint_id} in {chosen.vpc_id}")
    return inquiry.route(url, "discovery", inquiry.policy(chosen), found, chosen)


def _siblings_of_region(inquiry: _SiblingInquiry) -> tuple[VpcEndpoint, ...]:
    """Asks for the interface VPC endpoints of every sibling at once, the oldest first."""
    names = sorted(
        name
        for row in SIBLINGS
        for name in sibling_service_names(
            row, region=inquiry.request.region, partition=inquiry.partition
        )
    )
    asked = [
        {"Name": "service-name", "Values": names},
        {"Name": "vpc-endpoint-type", "Values": ["Interface"]},
    ]

    def ask(ec2: Any) -> tuple[VpcEndpoint, ...]:  # noqa: ANN401 - boto3's clients
        found = [
            vpc_endpoint_of(made)
            for page in ec2.get_paginator("describe_vpc_endpoints").paginate(Filters=asked)
            for made in page["VpcEndpoints"]
        ]
        return tuple(sorted(found, key=lambda v: (v.created, v.vpc_endpoint_id)))

    return inquiry.world.discovery.asked("ec2:DescribeVpcEndpoints", "siblings", ask)


def _gateway(inquiry: _SiblingInquiry, row: Sibling) -> Route | None:
    """Takes the default URL, with the prefix list's addresses, where our route table has it."""
    step = "gateway"
    discovery, url = inquiry.world.discovery, inquiry.request.default_url
    vpc_id = _own_vpc_for_gateways(inquiry)
    if vpc_id is None or url is None:
        return None
    gateways = [
        gateway
        for gateway in gateways_of(discovery, inquiry.wanted)
        if gateway.vpc_id == vpc_id and gateway.state == "available"
    ]
    if not gateways:
        inquiry.note(step, "no", f"{vpc_id} has no gateway endpoint of {inquiry.wanted[0]}")
        return None
    gateway = gateways[0]
    known = prefix_list(discovery, gateway.endpoint_service)
    if known is None or not known[1]:
        inquiry.note(step, "no", f"EC2 shows no prefix list {gateway.endpoint_service}")
        return None
    lacking = lacking_route(
        route_tables(discovery, vpc_id),
        subnet_ids=inquiry.world.locate().subnet_ids,
        prefix_list_id=known[0],
        vpc_endpoint_id=gateway.vpc_endpoint_id,
    )
    if lacking is not None:
        inquiry.note(step, "no", f"{gateway.vpc_endpoint_id} is in {vpc_id}, but {lacking}")
        return None
    policy = AddressPolicy(
        gateway=row.service_name,
        gateway_networks=known[1],
        allowed_networks=inquiry.request.settings.allowed_networks,
    )
    host = parse_endpoint_url(url, "botocore's rules").host
    found = inquiry.resolve(host, step)
    outside = [v for v in map(policy.judge, found) if not v.private]
    if outside:
        where = f"outside the prefix list {known[0]}"
        inquiry.note(step, "no", f"{host} resolves to {outside[0].address}, {where}")
    if outside or not found:
        return None
    inquiry.note(step, "used", f"{gateway.vpc_endpoint_id} in {vpc_id} carries {known[0]}")
    return inquiry.route(url, "gateway", policy, found)


def _own_vpc_for_gateways(inquiry: _SiblingInquiry) -> str | None:
    """Gives the VPC that this process certainly runs in: a gateway serves no other.

    Seen from elsewhere, the prefix list's addresses are the internet's. So a variable, which may
    widen nothing, does not decide here, and a VPC that was named must be the one we are in.
    """
    settings = inquiry.request.settings
    located = inquiry.world.locate().vpc_id
    if settings.vpc_id is None or not settings.vpc_id_from.startswith("the variable"):
        vpc_id = inquiry.own_vpc()
    else:
        vpc_id = located
    if vpc_id is None:
        why = "which VPC this is is not known; pass vpc_id="
    elif located not in (None, vpc_id):
        why = f"this is {located}, not {vpc_id}"
    else:
        return vpc_id
    inquiry.note("gateway", "skipped", why)
    return None


def _no_route(inquiry: _SiblingInquiry) -> NoPrivateRouteError | FipsUnavailableError:
    request = inquiry.request
    where = f"{request.service_name} in {request.region}"
    what = f"No private route to {where}, and the session is sealed; nothing was sent."
    if request.service_name in WITHOUT_PRIVATE_WAY:
        return NoPrivateRouteError(
            what,
            attempts=inquiry.trail,
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
    if inquiry.row is None:
        create = (
            f"if AWS PrivateLink carries {request.service_name} (aws ec2 "
            "describe-vpc-endpoint-services lists it), create its interface endpoint in this VPC, "
            "with private DNS.",
        )
    else:
        create = _remedies(inquiry, inquiry.row)
    if request.fips:
        tried = "".join(f"\n  {e.step} ({e.outcome}): {e.detail}" for e in inquiry.trail)
        return FipsUnavailableError(
            f"{what} Tried, in order:{tried}",
            remedy=(
                "make its FIPS host resolve to private addresses.",
                "turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may.",
            ),
        )
    return NoPrivateRouteError(
        what,
        attempts=inquiry.trail,
        remedy=(
            *create,
            "if there is one that this identity cannot see, pass endpoint_url= with its DNS name.",
        ),
    )


def _remedies(inquiry: _SiblingInquiry, row: Sibling) -> tuple[str, ...]:
    name = inquiry.wanted[0]
    create = f"create an interface endpoint of {name} in this VPC, with private DNS."
    if not row.has_gateway:
        return (create,)
    gateway = (
        f"or create a gateway endpoint of {name} in this VPC and add it to the route table of "
        "this subnet."
    )
    return create, gateway
