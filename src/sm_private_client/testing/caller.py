"""Where calls come from: a network interface of the caller's own, or an address outside the VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.testing.control_plane import ControlPlane, MotoObject

__all__ = ["Caller", "CallerLocation", "is_on"]

_FROM_END = 6
"""The caller's address counts from its subnet's end; VPC endpoints fill a subnet from its start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallerLocation:
    """Where calls come from; what is ``None`` or empty is so outside of the VPC.

    Attributes:
        vpc_id: The VPC, or the one that an address outside is connected to.
        address: The source address of every connection.
        subnet_id: The subnet.
        availability_zone: The zone's name.
        availability_zone_id: The zone's id.
        network_interface_id: The caller's own ENI.
        mac: That ENI's MAC address.
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


class Caller:
    """The caller, who can be moved."""

    def __init__(self, *, control: ControlPlane) -> None:
        self._control = control
        self._location: CallerLocation | None = None

    @property
    def location(self) -> CallerLocation:
        """Where calls come from now."""
        if self._location is None:
            raise RuntimeError("move_into() comes first")
        return self._location

    def move_into(self, subnet_id: str, security_group_ids: Sequence[str] = ()) -> CallerLocation:
        """Move the caller into a subnet.

        Args:
            subnet_id: The subnet.
            security_group_ids: The groups of its ENI; the VPC's default group if empty.
        """
        with self._control.ec2() as backend:
            self._leave(backend)
            subnet = backend.get_subnet(subnet_id)
            groups = list(security_group_ids) or [
                backend.get_default_security_group(subnet.vpc_id).id
            ]
            address = str(subnet.cidr[-_FROM_END])
            eni = backend.create_network_interface(subnet, address, group_ids=groups)
            eni.status = "in-use"
            eni.description = "The caller"
            eni.availability_zone_id = subnet.availability_zone_id
        self._location = CallerLocation(
            vpc_id=subnet.vpc_id,
            address=address,
            subnet_id=subnet_id,
            availability_zone=subnet.availability_zone,
            availability_zone_id=subnet.availability_zone_id,
            network_interface_id=eni.id,
            mac=eni.mac_address,
            security_group_ids=tuple(groups),
        )
        return self._location

    def move_into_vpc(self, vpc_id: str) -> CallerLocation:
        """Move the caller into the first subnet of a VPC."""
        with self._control.ec2() as backend:
            subnets = (s.id for s in backend.describe_subnets() if s.vpc_id == vpc_id)
            return self.move_into(next(subnets))

    def move_out(self, address: str, *, inbound_resolver: bool) -> CallerLocation:
        """Move the caller out of the VPC, to the other end of a VPN or Direct Connect.

        Args:
            address: Its address there.
            inbound_resolver: Whether it asks the VPC's resolver.
        """
        vpc_id = self.location.vpc_id
        with self._control.ec2() as backend:
            self._leave(backend)
        self._location = CallerLocation(
            vpc_id=vpc_id, address=address, asks_vpc_resolver=inbound_resolver
        )
        return self._location

    def sees_private_names(self) -> bool:
        """Return True if the names of private DNS are answered where the caller is.

        They are while the VPC has both ``enableDnsSupport`` and ``enableDnsHostnames``.
        """
        if not self.location.asks_vpc_resolver:
            return False
        with self._control.ec2() as backend:
            vpc = backend.get_vpc(self.location.vpc_id)
            return is_on(vpc.enable_dns_support) and is_on(vpc.enable_dns_hostnames)

    def _leave(self, backend: MotoObject) -> None:
        if self._location is not None and self._location.network_interface_id is not None:
            backend.enis.pop(self._location.network_interface_id, None)


def is_on(value: object) -> bool:
    """Return True if a VPC attribute is on; moto keeps a boolean or the text that was sent."""
    return str(value).lower() == "true"
