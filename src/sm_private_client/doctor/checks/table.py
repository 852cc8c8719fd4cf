"""The table of all checks, in the order of causes: what stands earlier explains what is later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.checks import (
    calls,
    connections,
    session,
    settings,
    tls,
    vpc_endpoints,
)

if TYPE_CHECKING:
    from sm_private_client.doctor.checks.check import Check
    from sm_private_client.doctor.facts import Facts
    from sm_private_client.doctor.findings import Finding

__all__ = ["CHECKS", "check_all"]

CHECKS: Final[tuple[Check, ...]] = (
    session.SETTINGS,
    session.BUNDLE,
    session.CREDENTIALS,
    session.EXPIRY,
    session.CLOCK,
    session.KEYS,
    session.PROXY,
    settings.URL_TARGET,
    settings.CUSTOM_URL,
    settings.FIPS,
    settings.NAMED,
    connections.RESOLVER,
    vpc_endpoints.DISCOVERY,
    vpc_endpoints.EXISTS,
    vpc_endpoints.STATE,
    vpc_endpoints.VPC,
    vpc_endpoints.ATTRIBUTES,
    vpc_endpoints.PRIVATE_DNS,
    connections.DNS,
    calls.ROUTE,
    vpc_endpoints.ADDRESSES,
    connections.GROUPS,
    connections.ACLS,
    connections.CONNECTION,
    tls.NAME,
    tls.EXPIRED,
    tls.INSPECTION,
    tls.AUTHORITY,
    tls.HANDSHAKE,
    calls.POLICY,
    calls.PERMISSION,
    calls.CALL,
    session.LOCATION,
    vpc_endpoints.ZONE,
    connections.LATENCY,
    calls.OTHER_SERVICES,
    calls.HOOK,
)


def check_all(facts: Facts) -> tuple[Finding, ...]:
    """Runs every check, in the table's order."""
    return tuple(finding for check in CHECKS for finding in check.findings(facts))
