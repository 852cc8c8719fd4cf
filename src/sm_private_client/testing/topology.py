"""What stands in the simulated VPCs: VPC endpoints, their network interfaces, their names."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sm_private_client.privatelink.hostnames import VpceName
    from sm_private_client.testing.server import Listener

__all__ = ["Interface", "StandingVpcEndpoint", "Topology", "Vpc", "covers"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Vpc:
    """One VPC.

    Attributes:
        vpc_id: Its id.
        cidr_block: Its addresses.
        subnet_ids: From zone to subnet.
    """

    vpc_id: str
    cidr_block: str
    subnet_ids: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interface:
    """One ENI of a VPC endpoint.

    Attributes:
        address: Its IPv4 address inside the subnet.
        listener: What answers there.
    """

    network_interface_id: str
    vpc_endpoint_id: str
    vpc_id: str
    subnet_id: str
    availability_zone: str
    address: str
    listener: Listener


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingVpcEndpoint:
    """One interface VPC endpoint, of a SageMaker service or another service.

    Attributes:
        name: Its regional DNS name, in parts.
        vpc_id: The VPC.
        private_names: The names that private DNS answers for, whether it is on or not; a
            leading ``*.`` stands for one or more labels.
        private_dns: Whether private DNS is on.
        state: As EC2 answers it: ``available``, ``pendingAcceptance``, …
        interfaces: Its ENIs, in the order of the subnets.
    """

    name: VpceName
    vpc_id: str
    private_names: tuple[str, ...]
    private_dns: bool
    state: str = "available"
    interfaces: tuple[Interface, ...] = ()

    @property
    def vpc_endpoint_id(self) -> str:
        """Its id."""
        return self.name.vpc_endpoint_id

    @property
    def public_names(self) -> dict[str, tuple[Interface, ...]]:
        """The regional name and the zonal ones, each with the ENIs it resolves to.

        S3's begin with ``*.``: only names below them (``bucket``, ``accesspoint``) resolve.
        """
        any_label = "*." if self.name.service.service_name == "s3" else ""
        zonal = {
            any_label + self.name.in_zone(i.availability_zone).host: (i,) for i in self.interfaces
        }
        return {any_label + self.name.host: self.interfaces, **zonal}

    def answers_for(self, host: str) -> bool:
        """Return True if its listeners take a host name for one of its own."""
        return any(covers(name, host) for name in (*self.public_names, *self.private_names))


class Topology:
    """The VPC endpoints that stand, by id; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standing: dict[str, StandingVpcEndpoint] = {}

    def put(self, vpc_endpoint: StandingVpcEndpoint) -> None:
        """Add one, or replace the one of the same id."""
        with self._lock:
            self._standing[vpc_endpoint.vpc_endpoint_id] = vpc_endpoint

    def remove(self, vpc_endpoint_id: str) -> StandingVpcEndpoint | None:
        """Remove one, and return it."""
        with self._lock:
            return self._standing.pop(vpc_endpoint_id, None)

    def get(self, vpc_endpoint_id: str) -> StandingVpcEndpoint | None:
        """Return the one of an id."""
        with self._lock:
            return self._standing.get(vpc_endpoint_id)

    def all(self) -> tuple[StandingVpcEndpoint, ...]:
        """Return all of them, the oldest first."""
        with self._lock:
            return tuple(self._standing.values())

    def set_state(self, vpc_endpoint_id: str, state: str) -> None:
        """Change the state of one.

        Raises:
            KeyError: There is none of this id.
        """
        with self._lock:
            standing = self._standing[vpc_endpoint_id]
            self._standing[vpc_endpoint_id] = dataclasses.replace(standing, state=state)

    def interface_at(self, address: str, *, vpc_id: str) -> Interface | None:
        """Return the ENI at an address; VPCs may overlap, and those of ``vpc_id`` come first."""
        found = [i for e in self.all() for i in e.interfaces if i.address == address]
        return min(found, key=lambda i: i.vpc_id != vpc_id, default=None)

    def resolve(self, host: str, *, vpc_id: str | None) -> tuple[Interface, ...]:
        """Return the ENIs that DNS answers for a name.

        Args:
            host: The name.
            vpc_id: The VPC whose private names count; ``None``: none.
        """
        for standing in self.all():
            if standing.state != "available":
                continue
            for name, interfaces in standing.public_names.items():
                if covers(name, host):
                    return interfaces
            if (
                standing.private_dns
                and standing.vpc_id == vpc_id
                and any(covers(name, host) for name in standing.private_names)
            ):
                return standing.interfaces
        return ()


def covers(name: str, host: str) -> bool:
    """Return True if a name, whose leading ``*.`` stands for any labels, covers a host's."""
    return host.endswith(name[1:]) if name.startswith("*.") else host == name
