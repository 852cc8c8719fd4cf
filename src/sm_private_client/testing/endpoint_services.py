"""The endpoint services that a region has, and the public host names of their services."""

from __future__ import annotations

import functools
import ipaddress
import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

import botocore.session
from botocore.loaders import create_loader

from sm_private_client.errors import PolicyError
from sm_private_client.policy.parsing import parse
from sm_private_client.privatelink.hostnames import endpoint_service_name, partition_of
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
    routable_service_names,
)
from sm_private_client.routing.botocore_rules import default_url, partitions
from sm_private_client.testing.topology import covers

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "GATEWAY_SERVICES",
    "EndpointServices",
    "PublicName",
    "PublicNames",
    "policy_problem",
    "signing_name",
]

GATEWAY_SERVICES: Final = frozenset(row.service_name for row in OTHER_SERVICES if row.has_gateway)

_SIGNING_NAMES: Final = {"cloudwatch": "monitoring", "stepfunctions": "states"}
"""Other services whose signing name in botocore differs from boto3's name of the service."""

_GLOBAL_HOSTS: Final = {"s3": "s3.amazonaws.com", "sts": "sts.amazonaws.com"}
"""Host names without a region that botocore still uses in the partition ``aws``."""

_FAMILY_ADDRESSES: Final = "52.46.128.0/24"
_OTHER_SERVICE_ADDRESSES: Final = "52.46.129.0/24"
_GATEWAY_ADDRESSES: Final = {"s3": "52.216.160.10", "dynamodb": "52.94.0.10"}
"""Public addresses of AWS's own, the last two inside the prefix lists that moto has for every
region; nothing is ever sent there, they are only answered in DNS."""

_LARGEST_POLICY: Final = 20_480
"""Characters, white space included (AWS PrivateLink guide, "Endpoint policies")."""

_SOURCE: Final = "privatelink.other_services"


class EndpointServices:
    """What can be named in CreateVpcEndpoint, and the names that it then answers for."""

    def __init__(self, region: str) -> None:
        self.partition = partition_of(region, partitions(_botocore_session()))
        self._other_services = tuple(
            EndpointService(row.service_name, row.name_suffix, _SOURCE) for row in OTHER_SERVICES
        )
        self._not_offered: set[tuple[str, str]] = set()

    def all(self, region: str) -> tuple[EndpointService, ...]:
        """Return every endpoint service that a region has."""
        family = (row for row in CATALOGUE if row.regions is None or region in row.regions)
        return (*family, *self._other_services)

    def find(self, full_name: str, region: str) -> EndpointService | None:
        """Return what a full name such as ``com.amazonaws.us-east-1.sts`` stands for here."""
        return next((r for r in self.all(region) if self.full_name(r, region) == full_name), None)

    def of_client(self, service_name: str, *, fips: bool = False) -> EndpointService | None:
        """Return what a boto3 client is reached through; ``None``: nothing."""
        if is_family(service_name):
            return for_service(service_name, fips=fips)
        found = (row for row in self._other_services if row.service_name == service_name)
        return None if fips else next(found, None)

    def full_name(self, service: EndpointService, region: str) -> str:
        """Return what EC2 calls an endpoint service."""
        row = None if self.is_family(service) else other_service(service.service_name or "")
        if row is None:
            return endpoint_service_name(service, region=region, partition=self.partition)
        names = endpoint_service_names(row, region=region, partition=self.partition)
        # The services that have gateways keep com.amazonaws in China too, as moto's prefix lists.
        return names[-1] if row.has_gateway else names[0]

    @staticmethod
    def is_family(service: EndpointService) -> bool:
        """Return True if an endpoint service is one of SageMaker's, not another service's."""
        return service.source != _SOURCE

    def base_name(self, service: EndpointService, region: str) -> str:
        """Return what the regional DNS names of its VPC endpoints end in."""
        suffix = BROWSER_DNS_DOMAIN if service.is_browser_only else self.partition.dns_suffix
        return f"{service.dns_label}.{region}.vpce.{suffix}"

    def private_names(self, service: EndpointService, region: str) -> tuple[str, ...]:
        """Return the names that private DNS answers for."""
        if service.service_name is None:
            return (f"*.{service.name_suffix}.{region}.{BROWSER_DNS_DOMAIN}",)
        host = _default_host(service.service_name, region, service.fips, False)
        if host is None:
            return ()
        return (host, f"*.{host}") if service.service_name == "s3" else (host,)

    def stop_offering(self, service: EndpointService, availability_zone: str) -> None:
        """Stop offering an endpoint service in a zone."""
        self._not_offered.add((service.name_suffix, availability_zone))

    def is_offered_in(self, service: EndpointService, availability_zone: str) -> bool:
        """Return True if an endpoint service is offered in a zone."""
        return (service.name_suffix, availability_zone) not in self._not_offered


class PublicName(NamedTuple):
    """What public DNS knows of a host name.

    Attributes:
        address: Its public address.
        service_name: boto3's name of the service; ``None``: only browsers use it.
    """

    address: str
    service_name: str | None


class PublicNames:
    """The host names of a region that public DNS answers with public addresses.

    A leading ``*.`` of a name stands for one or more labels.
    """

    def __init__(self, services: EndpointServices, region: str) -> None:
        self._partition = services.partition
        self._region = region
        family = _default_hosts(routable_service_names(), region)
        for row in CATALOGUE:
            if row.is_browser_only:
                family |= dict.fromkeys(services.private_names(row, region))
        self._family = _with_addresses(family, _FAMILY_ADDRESSES)
        self._other_services: dict[str, PublicName] | None = None

    def find(self, host: str) -> PublicName | None:
        """Return what is known of a host name; ``None``: nothing."""
        if host in self._family:
            return self._family[host]
        tables = [self._family]
        domains = (f".{self._partition.dns_suffix}", ".amazonaws.com", ".api.aws")
        if host.endswith(domains) and ".vpce." not in host:
            tables.insert(0, self._read_other_services())
        for table in tables:
            if host in table:
                return table[host]
            for name, found in table.items():
                if covers(name, host):
                    return found
        return None

    def service_of(self, host: str) -> str | None:
        """Return boto3's name of the service that a host name belongs to, if it has one."""
        found = self.find(host)
        return found.service_name if found is not None else None

    def is_family(self, host: str) -> bool:
        """Return True if a host name is SageMaker's."""
        return host in self._family

    def names_of(self, service_name: str) -> tuple[str, ...]:
        """Return the names of another service."""
        named = self._read_other_services().items()
        return tuple(name for name, found in named if found.service_name == service_name)

    def known_names(self) -> tuple[str, ...]:
        """Return every name that was read until now and belongs to a service."""
        family = [name for name, found in self._family.items() if found.service_name]
        return (*family, *(self._other_services or ()))

    def _read_other_services(self) -> dict[str, PublicName]:
        """Return the other services' names; reading botocore's rules for them takes a while."""
        if self._other_services is None:
            hosts = _default_hosts((row.service_name for row in OTHER_SERVICES), self._region)
            if self._partition.name == "aws":
                hosts = {**{host: name for name, host in _GLOBAL_HOSTS.items()}, **hosts}
            hosts |= {f"*.{host}": "s3" for host, name in hosts.items() if name == "s3"}
            self._other_services = _with_addresses(hosts, _OTHER_SERVICE_ADDRESSES)
        return self._other_services


def policy_problem(document: str, service: EndpointService | None) -> str | None:
    """Return what EC2 has against an endpoint policy of a known service; ``None``: nothing."""
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
    """Return the service in the scope of another service's good signature."""
    return _SIGNING_NAMES.get(service_name, service_name)


def _with_addresses(hosts: dict[str, str | None], network: str) -> dict[str, PublicName]:
    numbered = zip(hosts.items(), ipaddress.ip_network(network).hosts(), strict=False)
    return {
        host: PublicName(_GATEWAY_ADDRESSES.get(name or "", str(address)), name)
        for (host, name), address in numbered
    }


def _default_hosts(service_names: Iterable[str], region: str) -> dict[str, str | None]:
    """Return botocore's host names of services, each with the service's name."""
    hosts: dict[str, str | None] = {}
    kinds = itertools.product(service_names, (False, True), (False, True))
    for service_name, fips, dual_stack in kinds:
        host = _default_host(service_name, region, fips, dual_stack)
        if host is not None:
            hosts.setdefault(host, service_name)
    return hosts


@functools.cache
def _default_host(service_name: str, region: str, fips: bool, dual_stack: bool) -> str | None:
    """Return botocore's own host name of a service, whose rules a process reads once."""
    session = _botocore_session()
    url = default_url(session, service_name, region, fips=fips, dual_stack=dual_stack)
    return url.removeprefix("https://") if url else None


@functools.cache
def _botocore_session() -> botocore.session.Session:
    """Return a session that reads no profile: AWS_PROFILE may name one that is not there."""
    session = botocore.session.Session()
    session.register_component("data_loader", create_loader())
    return session
