"""Probes of the other services (STS, S3, logs, …): private, public or not reached at all."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sm_private_client.doctor.facts import OtherServiceFacts, Unknown
from sm_private_client.doctor.probes.network import CONNECT_TIMEOUT, DNS_TIMEOUT, AddressProbe
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

__all__ = ["other_endpoint_services", "probe_other_services"]

_ALWAYS: Final = frozenset({"sts", "s3", "logs", "ecr", "kms"})
"""Those that are looked at without ``deep`` too."""


def other_endpoint_services(region: str, partition: Partition) -> tuple[str, ...]:
    """Return the endpoint services of all other services."""
    return tuple(
        name
        for row in OTHER_SERVICES
        for name in endpoint_service_names(row, region=region, partition=partition)
    )


def probe_other_services(
    session: Session,
    *,
    region: str,
    partition: Partition,
    account: Callable[[], Account],
    vpc_id: Callable[[], str | None],
    deep: bool,
) -> tuple[OtherServiceFacts, ...]:
    """Look every other service's host up and try one connection; nothing is sent.

    ``account`` waits for what EC2 answers (gateways have no names of their own), and ``vpc_id``
    for our VPC. Without ``deep``, only the most needed services are looked at.
    """
    routes = routes_of(session)
    try:
        probe = AddressProbe(routes.network, routes.bundle())
    except ConfigurationError:
        return ()

    def look(row: OtherService) -> OtherServiceFacts | None:
        url = urlsplit(routes.router.plain_url(row.service_name, region) or "")
        if not url.hostname:
            return None
        names = endpoint_service_names(row, region=region, partition=partition)
        facts = OtherServiceFacts(
            service_name=row.service_name,
            host=url.hostname,
            endpoint_service=names[0],
            purpose=row.purpose,
        )
        port = url.port or (80 if url.scheme == "http" else 443)
        return _reached(session, probe, facts, port=port, available=partial(available, names))

    def available(names: tuple[str, ...], kind: str) -> str | None:
        """Return the id of a VPC endpoint of a kind that is available here."""
        found = account().vpc_endpoints
        if isinstance(found, Unknown):
            return None
        here = vpc_id()
        for one in found:
            v = one.vpc_endpoint
            right = v.kind == kind and v.endpoint_service in names
            if right and v.is_available and here in (None, v.vpc_id):
                return v.vpc_endpoint_id
        return None

    tasks = [
        BackgroundTask(partial(look, row), what=f"other service {row.service_name}")
        for row in OTHER_SERVICES
        if deep or row.service_name in _ALWAYS
    ]
    deadline = time.monotonic() + DNS_TIMEOUT + CONNECT_TIMEOUT + 1.0
    answers = [task.result_or(None, deadline) for task in tasks]
    return tuple(facts for facts in answers if facts is not None)


def _reached(
    session: Session,
    probe: AddressProbe,
    facts: OtherServiceFacts,
    *,
    port: int,
    available: Callable[[str], str | None],
) -> OtherServiceFacts:
    if is_loopback_host(facts.host):
        return replace(facts, private=True, reached=True, through="a stand-in on this machine")
    try:
        addresses = routes_of(session).network.resolve(facts.host, timeout=DNS_TIMEOUT)
    except OSError as error:
        return replace(facts, failure=str(error.strerror or error))
    facts = replace(facts, addresses=addresses)
    if all(AddressPolicy().judge(address).private for address in addresses):
        facts = replace(facts, private=True, through="private addresses")
    elif (gateway_id := available("Gateway")) is not None:
        facts = replace(facts, private=True, through=f"the gateway {gateway_id}")
    else:
        facts = replace(facts, interface=available("Interface"))
        if session.sealed:
            failure = f"{addresses[0]} is public, and this session is sealed"
            return replace(facts, reached=False, failure=failure)
    failed = probe.reach(addresses[0], port)
    return replace(facts, reached=failed is None, failure=failed)
