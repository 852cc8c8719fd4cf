"""Checks of the VPC endpoints and their VPC, as EC2 describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.doctor.checks.check import (
    Check,
    CheckResult,
    failure,
    failure_or_warning,
    ok,
    unknown,
    warning,
)
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts
from sm_private_client.doctor.observations import Unknown, known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.observations import VpcEndpointFacts

__all__ = ["ADDRESSES", "ATTRIBUTES", "DISCOVERY", "EXISTS", "PRIVATE_DNS", "STATE", "VPC", "ZONE"]


def _discovery(facts: Facts) -> Iterator[CheckResult]:
    told = next((s.vpc_endpoints for s in facts.services), None)
    if told is None:
        return
    if not isinstance(told, Unknown):
        yield ok("ec2", "EC2 describes the VPC endpoints of this account.")
    elif told.unreachable:
        stranded = [s for s in facts.services if not s.has_route]
        seen = f"EC2 could not be asked for VPC endpoints: {told.reason}."
        say = failure if stranded else warning
        yield say("ec2", seen, region=facts.region)
    else:
        yield unknown("ec2", told)


DISCOVERY = Check(
    name="discovery",
    looks_at="whether EC2 can be asked which VPC endpoints there are (ec2:DescribeVpcEndpoints)",
    meaning="without private DNS a VPC endpoint is found by asking EC2, which has to be reachable.",
    remedies=(
        "export SM_PRIVATE_VPC_ENDPOINT=<the DNS name of the VPC endpoint> (EC2 need not be asked)",
        "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name "
        "com.amazonaws.{region}.ec2 --vpc-id <vpc> --subnet-ids <subnets> --private-dns-enabled",
    ),
    session=_discovery,
    explained_by=(
        "credentials",
        "credentials-expiry",
        "clock",
        "signature",
        "proxy",
        "resolver",
    ),
)


def _here(facts: Facts, service: ServiceFacts) -> tuple[VpcEndpointFacts, ...]:
    """Gives the VPC endpoints that could serve: those of our VPC where it is known."""
    every = known(service.vpc_endpoints) or ()
    return tuple(v for v in every if facts.vpc_id in (None, v.vpc_endpoint.vpc_id))


def _exists(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    every = service.vpc_endpoints
    name = service.service_name
    if not service.endpoint_services:
        if not facts.environment.fips:
            seen = f"AWS offers no endpoint service for {name}."
            yield failure(name, seen, service=name, vpc="<vpc>")
        return
    if isinstance(every, Unknown):
        if not every.unreachable:
            yield unknown(name, every)
        return
    wanted = service.endpoint_services[0]
    if every:
        listed = ", ".join(v.vpc_endpoint.vpc_endpoint_id for v in every)
        yield ok(name, f"There is {listed} of {wanted}.")
    elif service.has_route:
        yield ok(name, f"This account shows no VPC endpoint of {wanted}; another one's is used.")
    else:
        seen = f"This account has no VPC endpoint of {wanted} in {facts.region}."
        yield failure(name, seen, service=wanted, vpc=facts.vpc_id or "<vpc>")


EXISTS = Check(
    name="vpc-endpoint",
    looks_at="whether there is a VPC endpoint of the service's endpoint service",
    meaning="no VPC endpoint, no private way to the service.",
    remedies=(
        "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name {service} "
        "--vpc-id {vpc} --subnet-ids <subnets> --security-group-ids <group> --private-dns-enabled",
    ),
    hop="network-interface",
    service=_exists,
    explained_by=("named-vpc-endpoint", "custom-url-target"),
)


def _state(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    mine = _here(facts, service)
    lost = [v for v in mine if not v.vpc_endpoint.is_available]
    usable = len(lost) < len(mine)
    for one in lost:
        standing = one.vpc_endpoint
        seen = f"{standing.vpc_endpoint_id} is in the state {standing.state}."
        remedy = {
            "pendingacceptance": "have the owner accept it: aws ec2 "
            "accept-vpc-endpoint-connections --service-id <vpce-svc-…> --vpc-endpoint-ids "
            + standing.vpc_endpoint_id,
            "pending": "wait a few minutes: aws ec2 describe-vpc-endpoints --vpc-endpoint-ids "
            + standing.vpc_endpoint_id,
        }.get(
            standing.state,
            f"aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name "
            f"{standing.endpoint_service} --vpc-id {standing.vpc_id} --subnet-ids <subnets> "
            "--private-dns-enabled",
        )
        say = failure if not usable and not service.works else warning
        yield say(standing.vpc_endpoint_id, seen, remedy=remedy)
    for one in mine:
        if one.vpc_endpoint.is_available:
            standing = one.vpc_endpoint
            yield ok(standing.vpc_endpoint_id, f"{standing.vpc_endpoint_id} is available.")


STATE = Check(
    name="vpc-endpoint-state",
    looks_at="the state of the VPC endpoint; only `available` carries calls",
    meaning="a VPC endpoint that is not available has no names in DNS and takes no connection.",
    remedies=("{remedy}",),
    hop="network-interface",
    service=_state,
)


def _vpc(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    every = known(service.vpc_endpoints) or ()
    if not every:
        return
    listed = ", ".join(
        f"{v.vpc_endpoint.vpc_endpoint_id} in {v.vpc_endpoint.vpc_id}" for v in every
    )
    values = {"service": every[0].vpc_endpoint.endpoint_service, "vpc": facts.vpc_id or "<vpc>"}
    route = service.route
    if isinstance(route, RouteFailure) and route.reference == "ambiguous-vpc-endpoint":
        seen = f"VPC endpoints are in several VPCs, and which is ours is not known: {listed}."
        yield failure(service.service_name, seen, **values)
    elif facts.vpc_id is None:
        return
    elif _here(facts, service):
        yield ok(service.service_name, f"There is one in {facts.vpc_id}.")
    else:
        seen = f"None is in {facts.vpc_id}, where this process runs; there is {listed}."
        if service.has_route:
            yield ok(service.service_name, seen)
        else:
            yield failure(service.service_name, seen, **values)


VPC = Check(
    name="vpc-endpoint-vpc",
    looks_at="whether the VPC endpoint is in our VPC",
    meaning="the VPC endpoint of another VPC is reached only over peering, a transit gateway or a "
    "VPN, and only by its own DNS name.",
    remedies=(
        "export SM_PRIVATE_VPC_ID=<the VPC whose VPC endpoint is meant>",
        "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name {service} "
        "--vpc-id {vpc} --subnet-ids <subnets> --private-dns-enabled",
    ),
    hop="network-interface",
    service=_vpc,
)


def _attributes(facts: Facts) -> Iterator[CheckResult]:
    vpc = facts.vpc
    if vpc is None:
        return
    if isinstance(vpc, Unknown):
        yield unknown("vpc", vpc)
        return
    for name, value, flag in (
        ("enableDnsSupport", vpc.dns_support, "--enable-dns-support"),
        ("enableDnsHostnames", vpc.dns_hostnames, "--enable-dns-hostnames"),
    ):
        subject = f"{vpc.vpc_id} {name}"
        if isinstance(value, Unknown):
            yield unknown(subject, value)
        elif value:
            yield ok(subject, f"{name} is on in {vpc.vpc_id}.")
        else:
            seen = f"{name} is off in {vpc.vpc_id}."
            lost = any(not s.works and _is_lost_in_dns(s) for s in facts.services)
            yield (failure if lost else warning)(subject, seen, vpc=vpc.vpc_id, flag=flag)


def _is_lost_in_dns(service: ServiceFacts) -> bool:
    default = [n for n in service.names if n.kind == "default"]
    return not service.has_route or any(n.failure or n.refused for n in default)


ATTRIBUTES = Check(
    name="vpc-attributes",
    looks_at="enableDnsSupport and enableDnsHostnames of the VPC",
    meaning="without enableDnsSupport the VPC has no resolver, and without both there is no "
    "private DNS.",
    remedies=("aws ec2 modify-vpc-attribute --vpc-id {vpc} {flag}",),
    hop="dns",
    session=_attributes,
)


def _private_dns(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    del facts
    used = service.serving
    if used is None or used.vpc_endpoint.kind != "Interface":
        return
    standing = used.vpc_endpoint
    default = next((n for n in service.names if n.kind == "default"), None)
    if standing.private_dns_enabled:
        yield ok(standing.vpc_endpoint_id, f"Private DNS is on for {standing.vpc_endpoint_id}.")
        return
    if default is not None and default.addresses and not default.refused:
        seen = f"It is off, and {default.host} resolves privately nevertheless."
        yield ok(standing.vpc_endpoint_id, seen)
        return
    seen = (
        f"Private DNS is off for {standing.vpc_endpoint_id}: {service.default_host} does not lead "
        "to it."
    )
    route = service.route
    regional = [n for n in service.names if n.kind == "regional"]
    resolves = all(n.addresses and not n.refused for n in regional)
    if isinstance(route, RouteFailure):
        stranded = route.reference in ("public-address", "no-private-route") and resolves
    else:  # a setting may name the default host
        stranded = not service.works and route.host == service.default_host
    yield (failure if stranded else warning)(
        standing.vpc_endpoint_id, seen, vpc_endpoint=standing.vpc_endpoint_id
    )


PRIVATE_DNS = Check(
    name="private-dns",
    looks_at="whether private DNS is on for the VPC endpoint",
    meaning="routed clients find the VPC endpoint nevertheless, but the AWS CLI, other SDKs and "
    "other people's code call the default host, which is public then.",
    remedies=(
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --private-dns-enabled",
    ),
    hop="dns",
    service=_private_dns,
    explained_by=(
        "vpc-attributes",
        "named-vpc-endpoint",
        "custom-url-target",
        "custom-url",
        "fips",
    ),
)


def _zone(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    used = service.serving
    if used is None or facts.availability_zone is None or not used.zones:
        return
    standing = used.vpc_endpoint
    if facts.availability_zone in used.zones:
        seen = f"{standing.vpc_endpoint_id} has a network interface in {facts.availability_zone}."
        yield ok(standing.vpc_endpoint_id, seen)
        return
    zones = ", ".join(used.zones)
    seen = (
        f"{standing.vpc_endpoint_id} is in {zones}, and this process in {facts.availability_zone}."
    )
    yield warning(
        standing.vpc_endpoint_id,
        seen,
        vpc_endpoint=standing.vpc_endpoint_id,
        zone=facts.availability_zone,
    )


ZONE = Check(
    name="zone",
    looks_at="whether the VPC endpoint has a network interface in our Availability Zone",
    meaning="calls cross zones: slower, dearer, and lost with the other zone. AWS asks for the "
    "Runtime's VPC endpoint to be in the caller's own zone for private DNS.",
    remedies=(
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --add-subnet-ids "
        "<a subnet in {zone}>",
    ),
    service=_zone,
)


def _addresses(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    used = service.serving
    if used is None:
        return
    standing = used.vpc_endpoint
    seen = f"{standing.vpc_endpoint_id} is of the IP address type {standing.ip_address_type}."
    has_v6 = any(":" in address for address in facts.own_addresses)
    if standing.ip_address_type == "ipv6" and facts.own_addresses and not has_v6:
        yield failure_or_warning(
            service,
            standing.vpc_endpoint_id,
            f"{seen} This machine has IPv4 only.",
            vpc_endpoint=standing.vpc_endpoint_id,
        )
    else:
        yield ok(standing.vpc_endpoint_id, seen)


ADDRESSES = Check(
    name="ip-address-type",
    looks_at="the IP address type of the VPC endpoint against this machine's addresses",
    meaning="a machine without IPv6 does not reach an IPv6 address.",
    remedies=(
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --ip-address-type dualstack",
    ),
    hop="network-interface",
    service=_addresses,
)
