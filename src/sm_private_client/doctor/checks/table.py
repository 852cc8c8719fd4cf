"""The table of all checks, in the order of causes: an earlier one explains a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.checks import (
    calls,
    connections,
    environment,
    service_settings,
    tls,
    vpc_endpoints,
)

if TYPE_CHECKING:
    from sm_private_client.doctor.checks.check import Check
    from sm_private_client.doctor.facts import Facts
    from sm_private_client.doctor.findings import Finding

__all__ = ["CHECKS", "check_all"]

CHECKS: Final[tuple[Check, ...]] = (
    environment.settings,
    environment.ca_bundle,
    environment.credentials,
    environment.credentials_expiry,
    environment.clock,
    environment.signature,
    environment.proxy,
    service_settings.custom_url_target,
    service_settings.custom_url,
    service_settings.fips,
    service_settings.named_vpc_endpoint,
    connections.resolver,
    vpc_endpoints.discovery,
    vpc_endpoints.vpc_endpoint,
    vpc_endpoints.vpc_endpoint_state,
    vpc_endpoints.vpc_endpoint_vpc,
    vpc_endpoints.vpc_attributes,
    vpc_endpoints.private_dns,
    connections.dns,
    calls.route,
    vpc_endpoints.ip_address_type,
    connections.security_group,
    connections.network_acl,
    connections.connection,
    tls.tls_name,
    tls.tls_expired,
    tls.tls_inspection,
    tls.tls_authority,
    tls.tls_handshake,
    calls.endpoint_policy,
    calls.permission,
    calls.signed_call,
    environment.location,
    vpc_endpoints.zone,
    connections.latency,
    calls.other_service,
    calls.plugin_hook,
)


def check_all(facts: Facts) -> tuple[Finding, ...]:
    """Run every check, in the table's order."""
    return tuple(finding for check in CHECKS for finding in check.findings(facts))
