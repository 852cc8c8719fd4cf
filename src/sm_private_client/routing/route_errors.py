"""The errors of deciding a route, with what was tried and the remedies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sm_private_client.errors import (
    ConfigurationError,
    FipsUnavailableError,
    NoPrivateRouteError,
)
from sm_private_client.privatelink.hostnames import parse_vpce_name
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.privatelink.urls import parse_endpoint_url

if TYPE_CHECKING:
    from sm_private_client.privatelink.urls import EndpointUrl
    from sm_private_client.routing.search import RouteSearch

__all__ = ["FIPS_OFF", "check_url", "contradiction", "no_route", "not_fips"]

FIPS_OFF: Final = "turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may."


def check_url(search: RouteSearch, url: EndpointUrl, origin: str) -> None:
    """Check that a named host does not contradict the request.

    Raises:
        ConfigurationError: It is the DNS name of another service or region.
        FipsUnavailableError: FIPS is set and it is not a FIPS host.
    """
    request = search.request
    name = parse_vpce_name(url.host, search.sources.partitions)
    if name is not None:
        if name.service.service_name != request.service_name:
            title = name.service.title
            raise contradiction(search, origin, url.host, what="service", other=title)
        if name.region != request.region:
            raise contradiction(search, origin, url.host, what="region", other=name.region)
    if not request.fips:
        return
    default = request.default_url and parse_endpoint_url(request.default_url, origin).host
    vpce_is_fips = name is not None and (name.service.fips or request.default_is_fips)
    if not vpce_is_fips and url.host != default:
        raise not_fips(origin, url.host)


def not_fips(origin: str, named: str) -> FipsUnavailableError:
    """Return the error for a name that is not FIPS though FIPS is set."""
    return FipsUnavailableError(
        f"FIPS is asked for, but {origin} names {named}, which is not FIPS.",
        cause="botocore drops FIPS silently for a host that it is given.",
        remedy=("name a VPC endpoint of a -fips endpoint service.", FIPS_OFF),
    )


def contradiction(
    search: RouteSearch,
    origin: str,
    named: str,
    *,
    what: Literal["service", "region"],
    other: str,
) -> ConfigurationError:
    """Return the error for a name whose service or region is not the client's."""
    request = search.request
    mine = request.service_name if what == "service" else request.region
    return ConfigurationError(
        f"{origin} names {named}, whose {what} is {other}, but the client's is {mine}.",
        cause=f"a VPC endpoint serves one {what} only.",
        remedy=f"name a VPC endpoint for {request.service_name} in {request.region}.",
    )


def no_route(search: RouteSearch) -> NoPrivateRouteError | FipsUnavailableError:
    """Return the error for "every step was tried", with the remedies in order."""
    request, wanted, trail = search.request, search.wanted, search.trail
    where = f"{request.service_name} in {request.region}"
    if request.service_name not in routable_service_names():
        return NoPrivateRouteError(
            f"{request.service_name} cannot be reached privately.",
            attempts=trail,
            cause="it is not among the services that AWS PrivateLink carries.",
            remedy=(
                "use plain boto3 for it where it may go out publicly.",
                "pass endpoint_url= with a private host of yours that passes it on.",
            ),
        )
    if request.fips:
        create = "AWS offers no FIPS endpoint service for it: make its FIPS host resolve privately."
        if wanted:
            create = f"create an interface endpoint of {wanted[0]}."
        return FipsUnavailableError(
            f"No private FIPS route to {where}.", attempts=trail, remedy=(create, FIPS_OFF)
        )
    what = f"No private route to {where}."
    if search.other_regions:
        return NoPrivateRouteError(
            what,
            attempts=trail,
            cause=f"AWS offers its endpoint service in {', '.join(search.other_regions)} only.",
            remedy="pass region_name= with such a region.",
        )
    remedies: tuple[str, ...] = (
        f"create an interface endpoint of {wanted[0]} in this VPC, with private DNS.",
        "if there is one, pass vpc_endpoint= with its DNS name (or set SM_PRIVATE_VPC_ENDPOINT).",
        "allow ec2:DescribeVpcEndpoints and ec2:DescribeNetworkInterfaces, so that it can be "
        "found.",
    )
    if request.settings.vpc_endpoint_for(request.service_name) is not None:
        origin = request.settings.vpc_endpoint_from
        remedies = (
            f"correct what {origin} names: aws ec2 describe-vpc-endpoints shows the ids and "
            "DNS names of yours.",
            f"take {origin} out, so that the route is looked for.",
        )
    return NoPrivateRouteError(what, attempts=trail, remedy=remedies)
