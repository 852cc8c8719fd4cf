"""What stands in the simulated VPCs: VPC endpoints, their network interfaces, their names."""

from __future__ import annotations

import dataclasses
import ipaddress
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.privatelink.hostnames import VpceName
    from sm_private_client.testing.caller import Place
    from sm_private_client.testing.server import Listener

__all__ = ["Interface", "StandingVpcEndpoint", "Topology", "allows", "covers"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interface:
    """One ENI of a VPC endpoint.

    Attributes:
        network_interface_id: Its id.
        vpc_endpoint_id: The VPC endpoint's id.
        vpc_id: The VPC.
        subnet_id: The subnet.
        availability_zone: The zone's name.
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

        S3's begin with ``*.``: only what stands before (``bucket``, ``accesspoint``) resolves.
        """
        any_label = "*." if self.name.service.service_name == "s3" else ""
        zonal = {
            any_label + self.name.in_zone(i.availability_zone).host: (i,) for i in self.interfaces
        }
        return {any_label + self.name.host: self.interfaces, **zonal}

    def answers_for(self, host: str) -> bool:
        """Says whether its certificate and front take a host name for its own."""
        return any(covers(name, host) for name in (*self.public_names, *self.private_names))


class Topology:
    """The VPC endpoints that stand, by id; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standing: dict[str, StandingVpcEndpoint] = {}

    def put(self, vpc_endpoint: StandingVpcEndpoint) -> None:
        """Adds one, or replaces the one of the same id."""
        with self._lock:
            self._standing[vpc_endpoint.vpc_endpoint_id] = vpc_endpoint

    def remove(self, vpc_endpoint_id: str) -> StandingVpcEndpoint | None:
        """Takes one away and gives it."""
        with self._lock:
            return self._standing.pop(vpc_endpoint_id, None)

    def get(self, vpc_endpoint_id: str) -> StandingVpcEndpoint | None:
        """Finds one by its id."""
        with self._lock:
            return self._standing.get(vpc_endpoint_id)

    def all(self) -> tuple[StandingVpcEndpoint, ...]:
        """Gives all of them, the oldest first."""
        with self._lock:
            return tuple(self._standing.values())

    def replace_state(self, vpc_endpoint_id: str, state: str) -> None:
        """Changes the state of one.

        Raises:
            KeyError: There is none of this id.
        """
        with self._lock:
            standing = self._standing[vpc_endpoint_id]
            self._standing[vpc_endpoint_id] = dataclasses.replace(standing, state=state)

    def interface_at(self, address: str, *, vpc_id: str) -> Interface | None:
        """Finds the ENI at an address; VPCs may overlap, and the asker's own comes first."""
        found = [i for e in self.all() for i in e.interfaces if i.address == address]
        return min(found, key=lambda i: i.vpc_id != vpc_id, default=None)

    def resolve(self, host: str, *, vpc_id: str | None) -> tuple[Interface, ...]:
        """Gives the ENIs that DNS answers for a name.

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
    """Says whether a name, whose leading ``*.`` stands for any labels, is a host's."""
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


_HTTPS: Final = 443
_EPHEMERAL: Final = 32768
"""A port that clients call from; network ACLs see the answers go there."""

_TCP: Final = frozenset({"tcp", "6", "-1", "all"})


def allows(backend: Any, place: Place, interface: Interface) -> bool:  # noqa: ANN401
    """Says whether a connection from a place to port 443 of an ENI is let through.

    Security groups are asked on both sides (they remember connections, so only for the first
    packet), network ACLs of both subnets in both directions, unless it is one subnet.

    Args:
        backend: moto's EC2, locked.
        place: Where the connection comes from.
        interface: Where it goes.
    """
    groups = [group.id for group in backend.enis[interface.network_interface_id].group_set]
    ingress = _rules(backend, groups, "ingress_rules")
    if not any(_allows(rule, place.address, place.security_group_ids) for rule in ingress):
        return False
    if place.subnet_id is not None:
        egress = _rules(backend, place.security_group_ids, "egress_rules")
        if not any(_allows(rule, interface.address, groups) for rule in egress):
            return False
        if place.subnet_id == interface.subnet_id:
            return True
    there = _acl_entries(backend, interface.subnet_id)
    here = [] if place.subnet_id is None else _acl_entries(backend, place.subnet_id)
    hops = [(there, False, place.address, _HTTPS), (there, True, place.address, _EPHEMERAL)]
    if place.subnet_id is not None:
        hops.append((here, True, interface.address, _HTTPS))
        hops.append((here, False, interface.address, _EPHEMERAL))
    return all(
        _passes(entries, egress=egress, address=address, port=port)
        for entries, egress, address, port in hops
    )


def _rules(backend: Any, group_ids: Iterable[str], direction: str) -> list[Any]:  # noqa: ANN401
    groups = (backend.get_security_group_from_id(group_id) for group_id in group_ids)
    return [rule for group in groups if group is not None for rule in getattr(group, direction)]


def _allows(rule: Any, address: str, group_ids: Iterable[str]) -> bool:  # noqa: ANN401
    if str(rule.ip_protocol).lower() not in _TCP:
        return False
    if rule.from_port is not None and not rule.from_port <= _HTTPS <= rule.to_port:
        return False
    if rule.source_group and rule.source_group.get("GroupId") in group_ids:
        return True
    return _covers(rule.ip_range.get("CidrIp"), address)


def _acl_entries(backend: Any, subnet_id: str) -> list[Any]:  # noqa: ANN401
    for acl in backend.network_acls.values():
        if any(association.subnet_id == subnet_id for association in acl.associations):
            return sorted(acl.network_acl_entries, key=lambda entry: int(entry.rule_number))
    return []


def _passes(entries: list[Any], *, egress: bool, address: str, port: int) -> bool:
    """The first entry that fits decides; without one packets are dropped."""
    for entry in entries:
        if (str(entry.egress).lower() == "true") is not egress:
            continue
        if str(entry.protocol).lower() not in _TCP or not _covers(entry.cidr_block, address):
            continue
        first, last = entry.port_range_from, entry.port_range_to
        has_ports = str(entry.protocol) in ("6", "tcp") and first is not None
        if has_ports and not int(first) <= port <= int(last):
            continue
        return bool(entry.rule_action == "allow")
    return False


def _covers(cidr: str | None, address: str) -> bool:
    return cidr is not None and ipaddress.ip_address(address) in ipaddress.ip_network(
        cidr, strict=False
    )
