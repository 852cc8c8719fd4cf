"""What EC2 answered about the VPC endpoints of a route, as a later process may find it on disk.

Nothing here decides what is private: a route is made of these answers by the steps that make it
of EC2's own, with the settings and the DNS of that moment, and the answers can only narrow it.
Their file may have been written by anyone who can write as this user, so each value must have
its exact form, and addresses outside the private ranges are not kept: EC2 is asked again for them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sm_private_client.privatelink.addresses import is_in_private_range
from sm_private_client.privatelink.hostnames import (
    Partition,
    VpceName,
    endpoint_service_name,
    parse_vpce_name,
    partition_of,
)
from sm_private_client.privatelink.records import EndpointAddress, VpcEndpoint
from sm_private_client.routing.discovery import Discovery

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KeptAnswers"]

_TEXTS: Final = {
    "vpc_id": re.compile(r"vpc-[0-9a-f]{1,17}\Z"),
    "availability_zone": re.compile(r"[a-z0-9-]{1,40}\Z"),
    "availability_zone_id": re.compile(r"[a-z0-9-]{1,40}\Z"),
    "network_interface_id": re.compile(r"eni-[0-9a-f]{1,17}\Z"),
}
_HOST: Final = re.compile(r"vpce-[a-z0-9.-]{1,240}\Z")
_AVAILABLE: Final = "available"  # no other is a route's


class KeptAnswers(NamedTuple):
    """EC2's answers, as far as they decided one route.

    Attributes:
        vpc_endpoints: The VPC endpoint of the route and the one that was named, each with its
            regional DNS name alone; none where EC2 could not be asked.
        vpc_cidrs: The CIDRs of their VPC, where the interfaces' addresses are not known.
    """

    vpc_endpoints: tuple[VpcEndpoint, ...] = ()
    vpc_cidrs: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        vpc_endpoints: Iterable[VpcEndpoint],
        vpc_cidrs: tuple[str, ...],
        partitions: tuple[Partition, ...],
    ) -> KeptAnswers | None:
        """Return what may be kept of EC2's answers; ``None`` if EC2 must be asked each time."""
        kept = []
        for standing in vpc_endpoints:
            names = [parse_vpce_name(host, partitions) for host in standing.dns_names]
            regional = [n.host for n in names if n and n.id_suffix and n.availability_zone is None]
            if not regional:
                return None
            kept.append(replace(standing, dns_names=(regional[0],)))
        answers = cls(vpc_endpoints=tuple(kept), vpc_cidrs=vpc_cidrs)
        try:
            cls.from_json(answers.as_json())
        except ValueError:
            return None
        return answers

    def as_json(self) -> dict[str, Any]:
        """Return the answers as JSON can hold them."""
        return {
            "vpc_endpoints": [
                {
                    "host": standing.dns_names[0],
                    "vpc_id": standing.vpc_id,
                    "addresses": [
                        {
                            "address": a.address,
                            "availability_zone": a.availability_zone,
                            "availability_zone_id": a.availability_zone_id,
                            "network_interface_id": a.network_interface_id,
                        }
                        for a in standing.addresses
                    ],
                }
                for standing in self.vpc_endpoints
            ],
            "vpc_cidrs": list(self.vpc_cidrs),
        }

    @classmethod
    def from_json(cls, raw: object) -> KeptAnswers:
        """Return the answers again.

        Raises:
            ValueError: They are not of exactly that form, or have an address that is not in a
                private range.
        """
        members = _members(raw, "vpc_endpoints", "vpc_cidrs")
        return cls(
            vpc_endpoints=tuple(map(_vpc_endpoint, _list(members["vpc_endpoints"]))),
            vpc_cidrs=tuple(map(_private_cidr, _list(members["vpc_cidrs"]))),
        )

    def discovery(
        self, *, region: str, partitions: tuple[Partition, ...], subnet_ids: tuple[str, ...]
    ) -> Discovery | None:
        """Return what gives these answers instead of EC2, and asks nobody.

        Args:
            region: The region of the request.
            partitions: botocore's.
            subnet_ids: Where this process runs, if only its subnets are known.

        Returns:
            It, or ``None`` if a name is not one of a VPC endpoint in this region.
        """
        partition = partition_of(region, partitions)
        described = []
        for standing in self.vpc_endpoints:
            name = parse_vpce_name(standing.dns_names[0], partitions)
            if name is None or not _is_regional(name, region, partition):
                return None
            service = endpoint_service_name(name.service, region=region, partition=partition)
            described.append(
                replace(standing, vpc_endpoint_id=name.vpc_endpoint_id, endpoint_service=service)
            )
        vpc_id = described[0].vpc_id if described else None
        return Discovery.answered(
            tuple(described), vpc_cidrs=self.vpc_cidrs, vpc_id=vpc_id, subnet_ids=subnet_ids
        )


def _is_regional(name: VpceName, region: str, partition: Partition) -> bool:
    return (
        bool(name.id_suffix)
        and name.availability_zone is None
        and not name.service.is_browser_only
        and (name.region, name.partition.name) == (region, partition.name)
    )


def _vpc_endpoint(raw: object) -> VpcEndpoint:
    members = _members(raw, "host", "vpc_id", "addresses")
    host = members["host"]
    if not isinstance(host, str) or not _HOST.match(host):
        raise ValueError("no DNS name of a VPC endpoint")
    return VpcEndpoint(
        vpc_endpoint_id="",  # the DNS name says it
        endpoint_service="",
        vpc_id=_text("vpc_id", members["vpc_id"]),
        state=_AVAILABLE,
        dns_names=(host,),
        addresses=tuple(map(_address, _list(members["addresses"]))),
    )


def _address(raw: object) -> EndpointAddress:
    names = ("availability_zone", "availability_zone_id", "network_interface_id")
    members = _members(raw, "address", *names)
    address = members["address"]
    if not isinstance(address, str) or not is_in_private_range(address):
        raise ValueError("no address of a private range")
    optional = {n: None if members[n] is None else _text(n, members[n]) for n in names}
    return EndpointAddress(address=str(ipaddress.ip_address(address)), **optional)


def _private_cidr(raw: object) -> str:
    if not isinstance(raw, str) or not is_in_private_range(raw):
        raise ValueError("no network of a private range")
    return str(ipaddress.ip_network(raw))


def _members(raw: object, *names: str) -> dict[str, Any]:
    if not isinstance(raw, dict) or set(raw) != set(names):
        raise ValueError("no object with these members")
    return raw


def _list(raw: object) -> list[object]:
    if not isinstance(raw, list):
        raise ValueError("no list")  # noqa: TRY004 - what a file holds is a value
    return raw


def _text(name: str, raw: object) -> str:
    if not isinstance(raw, str) or not _TEXTS[name].match(raw):
        raise ValueError(f"no {name}")
    return raw
