"""The endpoint services that a region has: SageMaker's family and the other services."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import PolicyError
from sm_private_client.policy.parsing import parse
from sm_private_client.privatelink.hostnames import endpoint_service_name
from sm_private_client.privatelink.other_services import (
    OTHER_SERVICES,
    endpoint_service_names,
    other_service,
)
from sm_private_client.privatelink.services import (
    BROWSER_DNS_DOMAIN,
    CATALOGUE,
    EndpointService,
    for_service,
    is_family,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.privatelink.hostnames import Partition

__all__ = ["GATEWAY_SERVICES", "EndpointServices", "HostRule", "policy_problem", "signing_name"]

GATEWAY_SERVICES: Final = frozenset(row.service_name for row in OTHER_SERVICES if row.has_gateway)

_SIGNING_NAMES: Final = {"cloudwatch": "monitoring", "stepfunctions": "states"}
"""Where botocore's signing name differs from boto3's name of another service."""

_GLOBAL_HOSTS: Final = {"s3": "s3.amazonaws.com", "sts": "sts.amazonaws.com"}
"""Host names without a region that botocore still uses in the partition ``aws``."""

_LARGEST_POLICY: Final = 20_480
"""Characters, white space included (AWS PrivateLink guide, "Endpoint policies")."""

_SOURCE: Final = "privatelink.other_services"


class HostRule:
    """Gives botocore's own host name of a service: ``(service_name, region, fips, dual_stack)``."""

    def __init__(self, find: Callable[[str, str, bool, bool], str | None]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, bool, bool], str | None] = {}

    def host(
        self, service_name: str, region: str, *, fips: bool = False, dual_stack: bool = False
    ) -> str | None:
        """Gives the host name; ``None`` where botocore has none for this combination."""
        key = (service_name, region, fips, dual_stack)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._find(*key)
            return self._known[key]


class EndpointServices:
    """What can be named in CreateVpcEndpoint, and the names that it then answers for.

    Args:
        partition: The partition.
        rule: botocore's host names.
    """

    def __init__(self, *, partition: Partition, rule: HostRule) -> None:
        self.partition = partition
        self._rule = rule
        self._other_services = tuple(
            _row(row.service_name, row.name_suffix) for row in OTHER_SERVICES
        )
        self._withheld: set[tuple[str, str]] = set()

    def all(self, region: str) -> tuple[EndpointService, ...]:
        """Gives every endpoint service that a region has."""
        here = (row for row in CATALOGUE if row.regions is None or region in row.regions)
        return (*here, *self._other_services)

    def find(self, full_name: str, region: str) -> EndpointService | None:
        """Finds what a full name such as ``com.amazonaws.us-east-1.sts`` stands for here."""
        return next((r for r in self.all(region) if self.full_name(r, region) == full_name), None)

    def of_client(self, service_name: str, *, fips: bool = False) -> EndpointService | None:
        """Finds what a boto3 client is reached through; ``None`` where there is nothing."""
        if is_family(service_name):
            return for_service(service_name, fips=fips)
        found = (row for row in self._other_services if row.service_name == service_name)
        return None if fips else next(found, None)

    def full_name(self, service: EndpointService, region: str) -> str:
        """Gives what EC2 calls an endpoint service."""
        row = None if self.is_family(service) else other_service(service.service_name or "")
        if row is None:
            return endpoint_service_name(service, region=region, partition=self.partition)
        names = endpoint_service_names(row, region=region, partition=self.partition)
        # The services that have gateways keep com.amazonaws in China too, as moto's prefix lists.
        return names[-1] if row.has_gateway else names[0]

    @staticmethod
    def is_family(service: EndpointService) -> bool:
        """Says whether an endpoint service is one of SageMaker's, not another service's."""
        return service.source != _SOURCE

    def private_names(self, service: EndpointService, region: str) -> tuple[str, ...]:
        """Gives the names that private DNS answers for."""
        if service.service_name is None:
            return (f"*.{service.name_suffix}.{region}.{BROWSER_DNS_DOMAIN}",)
        host = self._rule.host(service.service_name, region, fips=service.fips)
        if host is None:
            return ()
        return (host, f"*.{host}") if service.service_name == "s3" else (host,)

    def other_service_hosts(self, region: str) -> dict[str, str]:
        """Gives the public names of the other services, each with boto3's name of the service."""
        hosts: dict[str, str] = {}
        for row in OTHER_SERVICES:
            service_name = row.service_name
            for fips in (False, True):
                for dual_stack in (False, True):
                    host = self._rule.host(service_name, region, fips=fips, dual_stack=dual_stack)
                    if host:
                        hosts.setdefault(host, service_name)
            if service_name in _GLOBAL_HOSTS and self.partition.name == "aws":
                hosts.setdefault(_GLOBAL_HOSTS[service_name], service_name)
        hosts.update({f"*.{host}": "s3" for host, name in tuple(hosts.items()) if name == "s3"})
        return hosts

    def stop_offering(self, service: EndpointService, availability_zone: str) -> None:
        """Stops offering an endpoint service in a zone."""
        self._withheld.add((service.name_suffix, availability_zone))

    def is_offered_in(self, service: EndpointService, availability_zone: str) -> bool:
        """Says whether an endpoint service is offered in a zone."""
        return (service.name_suffix, availability_zone) not in self._withheld


def policy_problem(document: str, service: EndpointService | None) -> str | None:
    """Gives what EC2 has against an endpoint policy; ``None`` where it takes it.

    Args:
        document: The policy's text.
        service: The endpoint service, if it is a known interface one.
    """
    if service is not None and service.endpoint_policy is False:
        return f"The service {service.title} does not support VPC endpoint policies."
    if len(document) > _LARGEST_POLICY:
        return f"The policy document is longer than {_LARGEST_POLICY} characters."
    try:
        parse(document)
    except PolicyError:
        return "The specified policy document is not a valid JSON policy document."
    return None


def signing_name(service_name: str) -> str:
    """Gives the service in the scope of another service's good signature."""
    return _SIGNING_NAMES.get(service_name, service_name)


def _row(service_name: str, name_suffix: str) -> EndpointService:
    return EndpointService(
        service_name=service_name,
        name_suffix=name_suffix,
        source=_SOURCE,
    )
