"""Where calls come from: a network interface of the caller's own, or a place outside the VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Place", "Places", "is_on"]

_FROM_END = 6
"""The caller's address counts from its subnet's end; VPC endpoints fill a subnet from its start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where calls come from.

    Attributes:
        vpc_id: The VPC, or the one that a place outside is connected to.
        address: The source address of every connection.
        subnet_id: The subnet; ``None`` outside of the VPC.
        availability_zone: The zone's name; ``None`` outside.
        availability_zone_id: The zone's id; ``None`` outside.
        network_interface_id: The caller's own ENI; ``None`` outside.
        mac: That ENI's MAC address; empty outside.
        security_group_ids: That ENI's security groups.
        asks_vpc_resolver: Whether names are looked up by the VPC's own resolver, so that private
            DNS counts; outside that takes an inbound resolver endpoint.
    """

    vpc_id: str
    address: str
    subnet_id: str | None = None
    availability_zone: str | None = None
    availability_zone_id: str | None = None
    network_interface_id: str | None = None
    mac: str = ""
    security_group_ids: tuple[str, ...] = ()
    asks_vpc_resolver: bool = True


class Places:
    """Moves the caller.

    Args:
        ec2: Gives moto's EC2 while nobody else uses it.
    """

    def __init__(self, *, ec2: Callable[[], AbstractContextManager[Any]]) -> None:
        self._ec2 = ec2
        self._current: Place | None = None

    @property
    def current(self) -> Place:
        """Where calls come from now."""
        if self._current is None:
            raise RuntimeError("inside() comes first")
        return self._current

    def inside(self, subnet_id: str, security_group_ids: Sequence[str] = ()) -> Place:
        """Moves the caller into a subnet.

        Args:
            subnet_id: The subnet.
            security_group_ids: The groups of its ENI; the VPC's default group where empty.
        """
        with self._ec2() as backend:
            self._leave(backend)
            subnet = backend.get_subnet(subnet_id)
            groups = list(security_group_ids) or [
                backend.get_default_security_group(subnet.vpc_id).id
            ]
            address = str(subnet.cidr[-_FROM_END])
            made = backend.create_network_interface(subnet, address, group_ids=groups)
            made.status = "in-use"
            made.description = "The caller"
            made.availability_zone_id = subnet.availability_zone_id
        self._current = Place(
            vpc_id=subnet.vpc_id,
            address=address,
            subnet_id=subnet_id,
            availability_zone=subnet.availability_zone,
            availability_zone_id=subnet.availability_zone_id,
            network_interface_id=made.id,
            mac=made.mac_address,
            security_group_ids=tuple(groups),
        )
        return self._current

    def inside_vpc(self, vpc_id: str) -> Place:
        """Moves the caller into the first subnet of a VPC."""
        with self._ec2() as backend:
            subnets = (s.id for s in backend.describe_subnets() if s.vpc_id == vpc_id)
            return self.inside(next(subnets))

    def outside(self, address: str, *, inbound_resolver: bool) -> Place:
        """Moves the caller out of the VPC, to the other end of a VPN or Direct Connect.

        Args:
            address: Its address there.
            inbound_resolver: Whether it asks the VPC's resolver.
        """
        vpc_id = self.current.vpc_id
        with self._ec2() as backend:
            self._leave(backend)
        self._current = Place(vpc_id=vpc_id, address=address, asks_vpc_resolver=inbound_resolver)
        return self._current

    def answers_private_names(self) -> bool:
        """Says whether the names of private DNS are answered where the caller is.

        They are while the VPC has both ``enableDnsSupport`` and ``enableDnsHostnames``.
        """
        place = self.current
        if not place.asks_vpc_resolver:
            return False
        with self._ec2() as backend:
            vpc = backend.get_vpc(place.vpc_id)
            return is_on(vpc.enable_dns_support) and is_on(vpc.enable_dns_hostnames)

    def _leave(self, backend: Any) -> None:  # noqa: ANN401 - moto's
        if self._current is not None and self._current.network_interface_id is not None:
            backend.enis.pop(self._current.network_interface_id, None)


def is_on(value: Any) -> bool:  # noqa: ANN401 - moto's
    """Reads a VPC attribute, which moto keeps as a boolean or as the text that was sent."""
    return str(value).lower() == "true"
