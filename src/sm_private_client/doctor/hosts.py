"""Which AWS service and region a host name stands for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_private_client.privatelink.hostnames import parse_vpce_name
from sm_private_client.privatelink.services import CATALOGUE

if TYPE_CHECKING:
    from sm_private_client.privatelink.hostnames import Partition

__all__ = ["HostName", "covered_by_no_proxy", "read_host"]


class HostName(NamedTuple):
    """What an AWS host name says.

    Attributes:
        service_name: boto3's name of the service.
        region: The region.
        fips: Whether it is a FIPS host.
    """

    service_name: str | None
    region: str
    fips: bool


def read_host(host: str, partition: Partition) -> HostName | None:
    """Reads a VPC endpoint's DNS name or a default host name of the SageMaker family.

    Returns:
        What it says; ``None`` for any other host.
    """
    name = parse_vpce_name(host, (partition,))
    if name is not None:
        return HostName(name.service.service_name, name.region, name.service.fips)
    for row in CATALOGUE:
        suffix = f".{partition.dns_suffix}"
        stem = f"{row.dns_label}."
        if row.is_browser_only or not (host.startswith(stem) and host.endswith(suffix)):
            continue
        region = host.removeprefix(stem).removesuffix(suffix)
        if partition.has_region(region):
            return HostName(row.service_name, region, row.fips)
    return None


def covered_by_no_proxy(host: str, no_proxy: tuple[str, ...]) -> bool:
    """Says whether NO_PROXY keeps a host from the proxy, as Python's urllib reads it."""
    for entry in no_proxy:
        name = entry.lstrip(".").lower()
        if name in {"*", host} or host.endswith(f".{name}"):
            return True
    return False
