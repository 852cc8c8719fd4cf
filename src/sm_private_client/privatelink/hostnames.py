"""The DNS names of VPC endpoints and the names of endpoint services, built and parsed.

A regional name is ``vpce-ID-SUFFIX.LABEL.REGION.vpce.DNS_SUFFIX``, a zonal one has
``-ZONE`` after the suffix. ``SUFFIX`` is eight random characters of EC2's; a name
without it is documented only as a placeholder, so a built one must be tried by DNS before
it is used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.services import (
    BROWSER_DNS_DOMAIN,
    EndpointService,
    by_dns_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Partition",
    "VpceName",
    "endpoint_service_name",
    "is_vpc_endpoint_id",
    "parse_vpc_endpoint_arn",
    "parse_vpce_name",
    "partition_of",
    "split_vpc_endpoint_label",
    "without_hosted_zone",
]

_ID: Final = r"vpce-[0-9a-f]{8}(?:[0-9a-f]{9})?"
_BARE_ID: Final = re.compile(rf"{_ID}\Z")
_ID_SUFFIX: Final = re.compile(rf"(?P<id>{_ID})-(?P<suffix>[0-9a-z]{{8}})\Z")
_ARN: Final = re.compile(
    rf"arn:[a-z-]+:ec2:(?P<region>[a-z0-9-]+):\d*:vpc-endpoint/(?P<id>{_ID})\Z"
)
_HOSTED_ZONE: Final = re.compile(r"(?P<scheme>(?:https://)?)Z[0-9A-Z]{4,31}:(?P<name>\*?[a-z].*)\Z")
_VERIFIED_PARTITIONS: Final = frozenset({"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b"})


class Partition(NamedTuple):
    """One AWS partition, as botocore's ``partitions.json`` has it.

    Attributes:
        name: ``aws``, ``aws-cn``, …
        dns_suffix: ``amazonaws.com``, ``amazonaws.com.cn``, …
        region_regex: What the partition's region names look like.
        regions: The regions that are listed by name.
    """

    name: str
    dns_suffix: str
    region_regex: str
    regions: frozenset[str] = frozenset()

    @property
    def service_prefix(self) -> str:
        """The start of the names of its endpoint services: its DNS suffix, reversed.

        CDK lists ``com.amazonaws``, ``cn.com.amazonaws``, ``gov.ic.c2s``, ``gov.sgov.sc2s``.
        """
        return ".".join(reversed(self.dns_suffix.split(".")))

    @property
    def names_verified(self) -> bool:
        """Whether a source states the names of endpoint services in this partition.

        For the others the rule (the DNS suffix, reversed) is inferred from the verified ones.
        """
        return self.name in _VERIFIED_PARTITIONS

    def has_region(self, region: str) -> bool:
        """Return True if a region belongs to this partition."""
        if region in self.regions:
            return True
        # The pattern's own $ and \w would let a line end and accented letters through.
        return re.fullmatch(self.region_regex, region, re.ASCII) is not None


def partition_of(
    region: str, partitions: Iterable[Partition], *, falls_back: bool = False
) -> Partition:
    """Return the partition of a region.

    With ``falls_back`` a region of none is in ``aws``, as in botocore's endpoint rules.

    Raises:
        ConfigurationError: No partition has such a region.
    """
    known = tuple(partitions)
    listed = [p for p in known if region in p.regions]
    matching = listed or [p for p in known if p.has_region(region)]
    if not matching and falls_back:
        matching = [p for p in known if p.name == "aws"]
    if matching:
        return matching[0]
    raise ConfigurationError(
        f"{region!r} is not a region of any AWS partition.",
        possible_causes=("a typing error", "a botocore older than the region"),
        remedy="set region_name= or AWS_DEFAULT_REGION to a region such as us-east-1.",
    )


def endpoint_service_name(service: EndpointService, *, region: str, partition: Partition) -> str:
    """Return EC2's name of the endpoint service: ``com.amazonaws.us-east-1.sagemaker.api``.

    Browser-only services begin with ``aws.sagemaker``.
    """
    if service.is_browser_only:
        return f"aws.sagemaker.{region}.{service.name_suffix}"
    return f"{partition.service_prefix}.{region}.{service.name_suffix}"


def is_vpc_endpoint_id(text: str) -> bool:
    """Return True for a bare VPC endpoint id, ``vpce-`` and 8 or 17 hex digits."""
    return _BARE_ID.match(text) is not None


class VpceName(NamedTuple):
    """A DNS name of a VPC endpoint, in its parts.

    Attributes:
        vpc_endpoint_id: ``vpce-`` and 8 or 17 hex digits.
        service: The catalogue's row.
        region: The region.
        partition: The partition.
        id_suffix: The eight random characters; empty in a placeholder name.
        availability_zone: The zone's name in a zonal name, else ``None``.
    """

    vpc_endpoint_id: str
    service: EndpointService
    region: str
    partition: Partition
    id_suffix: str = ""
    availability_zone: str | None = None

    @property
    def host(self) -> str:
        """The name itself, in lower case, without a trailing dot."""
        parts = (self.vpc_endpoint_id, self.id_suffix, self.availability_zone)
        label = "-".join(filter(None, parts))
        browser = self.service.is_browser_only
        domain = BROWSER_DNS_DOMAIN if browser else self.partition.dns_suffix
        return f"{label}.{self.service.dns_label}.{self.region}.vpce.{domain}"

    def in_zone(self, availability_zone: str | None) -> VpceName:
        """Return the zonal name of the same VPC endpoint, or the regional one for ``None``."""
        return self._replace(availability_zone=availability_zone)


def split_vpc_endpoint_label(label: str) -> tuple[str, str] | None:
    """Return id and suffix of ``vpce-ID`` or ``vpce-ID-SUFFIX``; ``None`` for anything else."""
    if is_vpc_endpoint_id(label):
        return label, ""
    match = _ID_SUFFIX.match(label)
    return (match["id"], match["suffix"]) if match else None


def parse_vpc_endpoint_arn(text: str) -> tuple[str, str] | None:
    """Return region and id of a VPC endpoint's ARN, as Terraform has it; else ``None``."""
    match = _ARN.match(text)
    return (match["region"], match["id"]) if match else None


def without_hosted_zone(text: str) -> str:
    """Return a DNS name without the id of its hosted zone, ``Z…:name``; anything else as it is.

    CloudFormation's and CDK's ``DnsEntries`` have the id before each name.
    """
    match = _HOSTED_ZONE.match(text)
    return f"{match['scheme']}{match['name']}" if match else text


def parse_vpce_name(host: str, partitions: Iterable[Partition]) -> VpceName | None:
    """Return the parts of a host name; ``None`` if it is not one of a SageMaker VPC endpoint.

    The name may be in any case, with or without a trailing dot. For every name that it accepts,
    ``parse_vpce_name(host).host`` is the name again.
    """
    if not host.isascii():
        return None  # some letters become ASCII ones in lower case
    name = host.lower().removesuffix(".")
    stem, _, domain = name.rpartition(".vpce.")
    label, _, middle = stem.partition(".")
    dns_label, _, region = middle.rpartition(".")
    browser = domain == BROWSER_DNS_DOMAIN
    service = by_dns_label(dns_label, browser=browser)
    owner = next(
        (p for p in partitions if (browser or p.dns_suffix == domain) and p.has_region(region)),
        None,
    )
    if service is None or owner is None:
        return None
    zone = re.search(rf"-({re.escape(region)}(?:-[a-z]{{3}}-\d+)?[a-z])\Z", label)
    parts = split_vpc_endpoint_label(label[: zone.start()] if zone else label)
    if parts is None:
        return None
    return VpceName(
        vpc_endpoint_id=parts[0],
        id_suffix=parts[1],
        availability_zone=zone[1] if zone else None,
        service=service,
        region=region,
        partition=owner,
    )
