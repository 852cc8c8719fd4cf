"""Whether the other services (STS, S3, logs, …) are private, public or not reached at all."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sm_private_client.doctor.facts import OtherServiceFacts
from sm_private_client.doctor.observations import Unknown
from sm_private_client.doctor.probes.network import CONNECT_TIMEOUT, DNS_TIMEOUT, Prober
from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.addresses import AddressPolicy, is_loopback_host
from sm_private_client.privatelink.other_services import OTHER_SERVICES, endpoint_service_names
from sm_private_client.routing.deadlines import BackgroundTask
from sm_private_client.session.private_routes import routes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.doctor.probes.account import Account
    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.privatelink.other_services import OtherService
    from sm_private_client.session import Session

__all__ = ["look_at_other_services", "other_endpoint_services"]

_ALWAYS: Final = frozenset({"sts", "s3", "logs", "ecr", "kms"})
"""Those that are looked at without ``deep`` too."""


def other_endpoint_services(region: str, partition: Partition) -> tuple[str, ...]:
    """Gives the endpoint services of all other services."""
    return tuple(
        name
        for row in OTHER_SERVICES
        for name in endpoint_service_names(row, region=region, partition=partition)
    )


def look_at_other_services(
    session: Session,
    *,
    region: str,
    partition: Partition,
    account: Callable[[], Account],
    vpc_id: Callable[[], str | None],
    deep: bool,
) -> tuple[OtherServiceFacts, ...]:
    """Looks every other service's host up and tries one connection; nothing is sent.

    Args:
        session: Whose network and settings count.
        region: The region.
        partition: Its partition.
        account: Waits for what EC2 told: gateways have no names of their own.
        vpc_id: Waits for our VPC.
        deep: All of them, not only the most needed.
    """
    try:
        prober = Prober(routes_of(session).network, routes_of(session).bundle())
    except ConfigurationError:
        return ()

    def look(row: OtherService) -> OtherServiceFacts | None:
        url = urlsplit(routes_of(session).router.plain_url(row.service_name, region) or "")
        if not url.hostname:
            return None
        names = endpoint_service_names(row, region=region, partition=partition)
        host = url.hostname
        port = url.port or (80 if url.scheme == "http" else 443)
        seen = OtherServiceFacts(
            service_name=row.service_name,
            host=host,
            endpoint_service=names[0],
            purpose=row.purpose,
        )
        return _reached(
            session, prober, seen, port=port, standing=lambda kind: standing(kind, names)
        )

    def standing(kind: str, names: tuple[str, ...]) -> str | None:
        told = account().vpc_endpoints
        if isinstance(told, Unknown):
            return None
        here = vpc_id()
        for one in told:
            found = one.vpc_endpoint
            right = found.kind == kind and found.endpoint_service in names
            if right and found.is_available and here in (None, found.vpc_id):
                return found.vpc_endpoint_id
        return None

    rows = [row for row in OTHER_SERVICES if deep or row.service_name in _ALWAYS]
    asked = [
        BackgroundTask(partial(look, row), what=f"other service {row.service_name}") for row in rows
    ]
    deadline = time.monotonic() + DNS_TIMEOUT + CONNECT_TIMEOUT + 1.0
    found = []
    for started in asked:
        try:
            seen = started.result(deadline)
        except TimeoutError:
            continue
        if seen is not None:
            found.append(seen)
    return tuple(found)


def _reached(
    session: Session,
    prober: Prober,
    seen: OtherServiceFacts,
    *,
    port: int,
    standing: Callable[[str], str | None],
) -> OtherServiceFacts:
    if is_loopback_host(seen.host):
        return replace(seen, private=True, reached=True, through="a stand-in on this machine")
    try:
        found = routes_of(session).network.resolve(seen.host, timeout=DNS_TIMEOUT)
    except OSError as error:
        return replace(seen, failure=str(error.strerror or error))
    private = all(AddressPolicy().judge(address).private for address in found)
    through = "private addresses" if private else ""
    if not private and (gateway_id := standing("Gateway")) is not None:
        private, through = True, f"the gateway {gateway_id}"
    if not private:
        seen = replace(seen, interface=standing("Interface"))
    if not private and session.sealed:
        seen = replace(seen, addresses=found, reached=False)
        return replace(seen, failure=f"{found[0]} is public, and this session is sealed")
    failure = prober.reach(found[0], port)
    return replace(
        seen,
        addresses=found,
        private=private,
        through=through,
        reached=failure is None,
        failure=failure,
    )
