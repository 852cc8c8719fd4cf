"""Checks of the VPC endpoints and their VPC, as EC2 describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.doctor.checks.check import (
    Check,
    CheckResult,
    create_vpc_endpoint,
    failure,
    failure_if,
    ok,
    unknown,
    warning,
)
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts, Unknown, known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.privatelink.records import VpcEndpoint

__all__ = [
    "discovery",
    "ip_address_type",
    "private_dns",
    "vpc_attributes",
    "vpc_endpoint",
    "vpc_endpoint_state",
    "vpc_endpoint_vpc",
    "zone",
]


@Check(
    name="discovery",
    looks_at="whether EC2 can be asked which VPC endpoints there are (ec2:DescribeVpcEndpoints)",
    meaning="without private DNS a VPC endpoint is found by asking EC2, which has to be reachable.",
    remedies=(
        "export SM_PRIVATE_VPC_ENDPOINT=<the DNS name of the VPC endpoint> (EC2 need not be asked)",
        create_vpc_endpoint("com.amazonaws.{region}.ec2", "<vpc>"),
    ),
    explained_by=("credentials", "credentials-expiry", "clock", "signature", "proxy", "resolver"),
).for_session
def discovery(facts: Facts) -> Iterator[CheckResult]:
    if not facts.services:
        return
    found = facts.services[0].vpc_endpoints
    if not isinstance(found, Unknown):
        yield ok("ec2", "EC2 describes the VPC endpoints of this account.")
    elif not found.unreachable:
        yield unknown("ec2", found)
    else:
        seen = f"EC2 could not be asked for VPC endpoints: {found.reason}."
        stranded = not all(service.has_route for service in facts.services)
        yield failure_if(stranded, "ec2", seen, region=facts.region)


def _all(service: ServiceFacts) -> list[VpcEndpoint]:
    return [one.vpc_endpoint for one in known(service.vpc_endpoints) or ()]


def _here(facts: Facts, service: ServiceFacts) -> list[VpcEndpoint]:
    """Return the VPC endpoints that could serve: those of our VPC if it is known."""
    return [v for v in _all(service) if facts.vpc_id in (None, v.vpc_id)]


@Check(
    name="vpc-endpoint",
    looks_at="whether there is a VPC endpoint of the service's endpoint service",
    meaning="no VPC endpoint, no private way to the service.",
    remedies=(
        "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name {service} "
        "--vpc-id {vpc} --subnet-ids <subnets> --security-group-ids <group> --private-dns-enabled",
    ),
    hop="network-interface",
    explained_by=("named-vpc-endpoint", "custom-url-target"),
).for_each_service
def vpc_endpoint(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    name, endpoint_service = service.service_name, service.endpoint_service
    values = {"service": endpoint_service, "vpc": facts.vpc_label}
    if not service.endpoint_services:
        if not facts.environment.fips:
            yield failure(name, f"AWS offers no endpoint service for {name}.", **values)
    elif isinstance(service.vpc_endpoints, Unknown):
        if not service.vpc_endpoints.unreachable:
            yield unknown(name, service.vpc_endpoints)
    elif service.vpc_endpoints:
        listed = ", ".join(v.vpc_endpoint_id for v in _all(service))
        yield ok(name, f"There is {listed} of {endpoint_service}.")
    elif service.has_route:
        seen = f"This account shows no VPC endpoint of {endpoint_service}; another one's is used."
        yield ok(name, seen)
    else:
        seen = f"This account has no VPC endpoint of {endpoint_service} in {facts.region}."
        yield failure(name, seen, **values)


@Check(
    name="vpc-endpoint-state",
    looks_at="the state of the VPC endpoint; only `available` carries calls",
    meaning="a VPC endpoint that is not available has no names in DNS and takes no connection.",
    remedies=("{remedy}",),
    hop="network-interface",
).for_each_service
def vpc_endpoint_state(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    mine = _here(facts, service)
    works = service.works or any(v.is_available for v in mine)
    for v in sorted(mine, key=lambda v: v.is_available):
        if v.is_available:
            yield ok(v.vpc_endpoint_id, f"{v.vpc_endpoint_id} is available.")
            continue
        remedy = create_vpc_endpoint(v.endpoint_service, v.vpc_id)
        if v.state == "pendingacceptance":
            remedy = (
                "have the owner accept it: aws ec2 accept-vpc-endpoint-connections --service-id "
                f"<vpce-svc-…> --vpc-endpoint-ids {v.vpc_endpoint_id}"
            )
        elif v.state == "pending":
            command = f"describe-vpc-endpoints --vpc-endpoint-ids {v.vpc_endpoint_id}"
            remedy = f"wait a few minutes: aws ec2 {command}"
        seen = f"{v.vpc_endpoint_id} is in the state {v.state}."
        yield failure_if(not works, v.vpc_endpoint_id, seen, remedy=remedy)


@Check(
    name="vpc-endpoint-vpc",
    looks_at="whether the VPC endpoint is in our VPC",
    meaning="the VPC endpoint of another VPC is reached only over peering, a transit gateway or a "
    "VPN, and only by its own DNS name.",
    remedies=(
        "export SM_PRIVATE_VPC_ID=<the VPC whose VPC endpoint to use>",
        create_vpc_endpoint(),
    ),
    hop="network-interface",
).for_each_service
def vpc_endpoint_vpc(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    every, name, route = _all(service), service.service_name, service.route
    if not every:
        return
    listed = ", ".join(f"{v.vpc_endpoint_id} in {v.vpc_id}" for v in every)
    values = {"service": every[0].endpoint_service, "vpc": facts.vpc_label}
    if isinstance(route, RouteFailure) and route.reference == "ambiguous-vpc-endpoint":
        seen = f"VPC endpoints are in several VPCs, and which is ours is not known: {listed}."
        yield failure(name, seen, **values)
    elif facts.vpc_id is None:
        return
    elif _here(facts, service):
        yield ok(name, f"There is one in {facts.vpc_id}.")
    else:
        seen = f"None is in {facts.vpc_id}, where this process runs; there is {listed}."
        yield ok(name, seen) if service.has_route else failure(name, seen, **values)


@Check(
    name="vpc-attributes",
    looks_at="enableDnsSupport and enableDnsHostnames of the VPC",
    meaning="without enableDnsSupport the VPC has no resolver, and without both there is no "
    "private DNS.",
    remedies=("aws ec2 modify-vpc-attribute --vpc-id {vpc} {flag}",),
    hop="dns",
).for_session
def vpc_attributes(facts: Facts) -> Iterator[CheckResult]:
    vpc = facts.vpc
    if vpc is None:
        return
    if isinstance(vpc, Unknown):
        yield unknown("vpc", vpc)
        return
    lost = any(not s.works and _is_lost_in_dns(s) for s in facts.services)
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
            yield failure_if(lost, subject, seen, vpc=vpc.vpc_id, flag=flag)


def _is_lost_in_dns(service: ServiceFacts) -> bool:
    default = [n for n in service.names if n.kind == "default"]
    return not service.has_route or any(n.failure or n.refused for n in default)


@Check(
    name="private-dns",
    looks_at="whether private DNS is on for the VPC endpoint",
    meaning="routed clients still find the VPC endpoint, but the AWS CLI, other SDKs and "
    "other people's code call the default host, which is public then.",
    remedies=(
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --private-dns-enabled",
    ),
    hop="dns",
    explained_by=(
        "vpc-attributes",
        "named-vpc-endpoint",
        "custom-url-target",
        "custom-url",
        "fips",
    ),
).for_each_service
def private_dns(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    if service.serving is None or service.serving.vpc_endpoint.kind != "Interface":
        return
    used, route = service.serving.vpc_endpoint, service.route
    subject = used.vpc_endpoint_id
    if used.private_dns_enabled:
        yield ok(subject, f"Private DNS is on for {subject}.")
        return
    default = next((n for n in service.names if n.kind == "default"), None)
    if default is not None and default.addresses and not default.refused:
        yield ok(subject, f"It is off, and {default.host} still resolves privately.")
        return
    if isinstance(route, RouteFailure):
        regional = [n for n in service.names if n.kind == "regional"]
        resolves = all(n.addresses and not n.refused for n in regional)
        stranded = route.reference in ("public-address", "no-private-route") and resolves
    else:  # a setting may name the default host
        stranded = not service.works and route.host == service.default_host
    seen = f"Private DNS is off for {subject}: {service.default_host} does not lead to it."
    yield failure_if(stranded, subject, seen, vpc_endpoint=subject)


@Check(
    name="zone",
    looks_at="whether the VPC endpoint has a network interface in our Availability Zone",
    meaning="calls cross zones: slower, dearer, and lost with the other zone. AWS asks for the "
    "Runtime's VPC endpoint to be in the caller's own zone for private DNS.",
    remedies=(
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --add-subnet-ids "
        "<a subnet in {zone}>",
    ),
).for_each_service
def zone(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    used, zone = service.serving, facts.availability_zone
    if used is None or zone is None or not used.zones:
        return
    subject = used.vpc_endpoint.vpc_endpoint_id
    if zone in used.zones:
        yield ok(subject, f"{subject} has a network interface in {zone}.")
    else:
        seen = f"{subject} is in {', '.join(used.zones)}, and this process in {zone}."
        yield warning(subject, seen, vpc_endpoint=subject, zone=zone)


@Check(
    name="ip-address-type",
    looks_at="the IP address type of the VPC endpoint against this machine's addresses",
    meaning="a machine without IPv6 does not reach an IPv6 address.",
    remedies=(
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --ip-address-type dualstack",
    ),
    hop="network-interface",
).for_each_service
def ip_address_type(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    if service.serving is None:
        return
    used = service.serving.vpc_endpoint
    subject = used.vpc_endpoint_id
    seen = f"{subject} is of the IP address type {used.ip_address_type}."
    has_v6 = any(":" in address for address in facts.own_addresses)
    if used.ip_address_type == "ipv6" and facts.own_addresses and not has_v6:
        seen = f"{seen} This machine has IPv4 only."
        yield failure_if(not service.works, subject, seen, vpc_endpoint=subject)
    else:
        yield ok(subject, seen)
