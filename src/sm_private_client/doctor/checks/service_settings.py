"""Checks of what leads one service astray: custom URLs, FIPS, the VPC endpoint that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.doctor.checks.check import (
    Check,
    CheckResult,
    create_vpc_endpoint,
    failure,
    failure_if,
    ok,
    warning,
)
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["custom_url", "custom_url_target", "fips", "named_vpc_endpoint"]


def _variable(service: ServiceFacts) -> str:
    return f"AWS_ENDPOINT_URL_{service.service_name.upper().replace('-', '_')}"


@Check(
    name="custom-url-target",
    looks_at="whether a custom URL (AWS_ENDPOINT_URL*, the services section) is of the right "
    "service and region",
    meaning="a host serves one service of one region; it answers for no other.",
    remedies=(
        "unset AWS_ENDPOINT_URL {variable}",
        "export {variable}=https://<the DNS name of a VPC endpoint of {service} in {region}>",
    ),
    hop="you",
).for_each_service
def custom_url_target(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    setting = service.url_setting
    if setting is None:
        return
    broken = True
    if not setting.host:
        broken = not service.works
        seen = f"{setting.origin} has a value that is no URL of a host."
    elif setting.names_service not in (None, service.service_name):
        seen = (
            f"{setting.origin} names {setting.host}, which is {setting.names_service}, "
            f"not {service.service_name}."
        )
    elif setting.names_region not in (None, facts.region):
        seen = (
            f"{setting.origin} names {setting.host} in {setting.names_region}, but the region is "
            f"{facts.region}."
        )
    else:
        yield ok(setting.origin, f"{setting.origin} names {setting.host}.")
        return
    yield failure_if(
        broken,
        setting.origin,
        seen,
        variable=_variable(service),
        service=service.service_name,
        region=facts.region,
    )


@Check(
    name="custom-url",
    looks_at="AWS_ENDPOINT_URL and AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    meaning="one URL for all services reaches one of them, and the others by mistake; one that is "
    "ignored reaches none.",
    remedies=(
        "unset AWS_ENDPOINT_URL AWS_IGNORE_CONFIGURED_ENDPOINT_URLS; set "
        "AWS_ENDPOINT_URL_<SERVICE> for the services that are meant",
    ),
    hop="you",
    explained_by=("custom-url-target",),
).for_each_service
def custom_url(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    environment = facts.environment
    ignored = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
    if environment.variable(ignored):
        if any(name.startswith("AWS_ENDPOINT_URL") for name, _ in environment.variables):
            yield warning(ignored, f"{ignored} has every AWS_ENDPOINT_URL* passed over.")
        return
    for_all = environment.variable("AWS_ENDPOINT_URL")
    if for_all and environment.variable(_variable(service)) is None:
        seen = f"AWS_ENDPOINT_URL sends every AWS service to {for_all}, not only one."
        yield failure_if(not service.works, "AWS_ENDPOINT_URL", seen)


@Check(
    name="fips",
    looks_at="FIPS and dual-stack settings, which botocore drops silently for a custom URL",
    meaning="FIPS was asked for and there is no private FIPS way; it is never dropped silently.",
    remedies=(
        create_vpc_endpoint(vpc="<vpc>"),
        "unset AWS_USE_FIPS_ENDPOINT AWS_USE_DUALSTACK_ENDPOINT, if you may",
    ),
    hop="you",
).for_each_service
def fips(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    route, setting = service.route, service.url_setting
    values = {"service": service.endpoint_service}
    if not facts.environment.fips:
        if facts.environment.dual_stack and setting is not None:
            seen = (
                f"Dual-stack is asked for, and {setting.origin} names a host: botocore then drops "
                "dual-stack."
            )
            yield warning("use_dualstack_endpoint", seen, **values)
    elif not isinstance(route, RouteFailure):
        yield ok("use_fips_endpoint", f"FIPS is asked for, and {route.host} is a FIPS host.")
    elif route.reference == "fips-unavailable":
        yield failure("use_fips_endpoint", f"FIPS is asked for. {route.what}", **values)


@Check(
    name="named-vpc-endpoint",
    looks_at="the VPC endpoint or URL that the settings name: that it exists and is of the right "
    "service and region",
    meaning="what vpc_endpoint=, SM_PRIVATE_VPC_ENDPOINT, the profile or a custom URL names cannot "
    "carry this service.",
    remedies=(
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values={service} "
        "--query 'VpcEndpoints[].[VpcEndpointId,DnsEntries[0].DnsName]', and name one of these",
        "unset SM_PRIVATE_VPC_ENDPOINT, so that the VPC endpoint is looked for",
    ),
    hop="you",
    explained_by=("custom-url-target", "fips"),
).for_each_service
def named_vpc_endpoint(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    route = service.route
    if not isinstance(route, RouteFailure):
        if route.source in ("explicit", "configured"):
            yield ok(service.service_name, f"The settings name {route.host}.")
        return
    named = any(
        s.step in ("explicit", "configured") and s.outcome != "skipped" for s in route.steps
    )
    if route.reference == "configuration" or (named and route.reference == "no-private-route"):
        failed = [s.detail for s in route.steps if s.outcome in ("no", "failed")]
        seen = " ".join([route.what.rstrip(":"), *(f"{detail}." for detail in failed[:1])])
        yield failure(service.service_name, seen, service=service.endpoint_service)
