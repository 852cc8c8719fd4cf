"""SimulatedNetwork: DNS, routes and packet filters of one VPC, carried over loopback."""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Final, cast

from sm_private_client.testing.records import Log
from sm_private_client.testing.server import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sm_private_client.routing.network import SocketOption
    from sm_private_client.testing.caller import Caller, CallerLocation
    from sm_private_client.testing.control_plane import ControlPlane, MotoObject
    from sm_private_client.testing.endpoint_services import PublicNames
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.server import Listener
    from sm_private_client.testing.topology import Interface, Topology
    from sm_private_client.testing.vpc_endpoints import VpcEndpoints

__all__ = ["SimulatedNetwork"]

_HTTPS: Final = 443
_EPHEMERAL: Final = 32768
"""A port that clients call from; network ACLs see the answers go there."""

_TCP: Final = frozenset({"tcp", "6", "-1", "all"})


class SimulatedNetwork:
    """Implements ``NetworkBackend`` as seen from inside one VPC.

    Addresses are the ones that AWS would give (ENIs in the VPC's subnets, public ones outside),
    so that whoever judges them judges as in AWS; only ``open`` turns them into loopback.

    Attributes:
        dialled: Every address and port that ``open`` was called with.
        looked_up: Every host name that ``resolve`` was called with.
    """

    def __init__(
        self,
        *,
        caller: Caller,
        control: ControlPlane,
        topology: Topology,
        vpc_endpoints: VpcEndpoints,
        faults: Faults,
        public_names: PublicNames,
        internet: Listener,
        wait: Callable[[float], object],
    ) -> None:
        self.dialled: Log[tuple[str, int]] = Log()
        self.looked_up: Log[str] = Log()
        self._caller = caller
        self._control = control
        self._topology = topology
        self._vpc_endpoints = vpc_endpoints
        self._faults = faults
        self._public_names = public_names
        self._internet = internet
        self._wait = wait
        self._lock = threading.Lock()
        self._mapped: dict[tuple[str, int], tuple[str, int]] = {}
        self._peered: set[str] = set()
        self._dialled_by_port: dict[int, str] = {}
        # Bound but not listening: the kernel refuses whoever connects.
        self._refusing = socket.socket()
        self._refusing.bind((LOOPBACK, 0))

    @property
    def vpc_id(self) -> str:
        """The VPC that names are looked up in and addresses are dialled from."""
        return self._caller.location.vpc_id

    @vpc_id.setter
    def vpc_id(self, vpc_id: str) -> None:
        self._caller.move_into_vpc(vpc_id)

    def map(self, address: str, port: int, target: tuple[str, int]) -> None:
        """Lead an address and port to a real host and port, such as a played metadata service."""
        with self._lock:
            self._mapped[address, port] = target

    def peer(self, vpc_id: str) -> None:
        """Make the ENIs of another VPC reachable; without that, dialling them only hangs."""
        with self._lock:
            self._peered.add(vpc_id)

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Look a name up as the VPC's resolver would; see ``NetworkBackend.resolve``."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        name = host.lower().rstrip(".")
        self.looked_up.append(name)
        subjects = (name, *self._services_of(name)) if self._faults.active else ()
        if delay := self._faults.take("dns-delay", *subjects):
            self._wait(min(delay.value, timeout))
            if delay.value >= timeout:
                raise TimeoutError(f"no DNS answer for {host} within {timeout:g} s")
        if self._faults.take("dns-failure", *subjects):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if forged := self._faults.take("dns", *subjects):
            return cast("tuple[str, ...]", forged.value)
        private_vpc_id = self.vpc_id if self._caller.sees_private_names() else None
        if interfaces := self._topology.resolve(name, vpc_id=private_vpc_id):
            return tuple(interface.address for interface in interfaces)
        if public := self._public_names.find(name):
            return (public.address,)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Start a connection over loopback; see ``NetworkBackend.open``."""
        self.dialled.append((address, port))
        target = self._target(address, port)
        opened = socket.socket()
        try:
            for level, option, value in socket_options:
                opened.setsockopt(level, option, value)
            opened.setblocking(False)
            if target is None:
                # A listening socket never becomes writable, as one whose SYN nobody answers:
                # the same everywhere, while a full backlog depends on the kernel.
                opened.bind((LOOPBACK, 0))
                opened.listen(1)
                return opened
            code = opened.connect_ex(target)
            if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                raise OSError(code, f"{errno.errorcode.get(code, code)} for {address}:{port}")
            with self._lock:
                self._dialled_by_port[opened.getsockname()[1]] = address
        except OSError:
            opened.close()
            raise
        return opened

    def address_dialled_from(self, client_port: int) -> str:
        """Return the address that the connection from a local port was opened for."""
        with self._lock:
            return self._dialled_by_port.get(client_port, "")

    def close(self) -> None:
        """Give its sockets back."""
        self._refusing.close()

    def _target(self, address: str, port: int) -> tuple[str, int] | None:
        """Return the loopback address that a connection leads to; ``None``: it is swallowed."""
        with self._lock:
            if (address, port) in self._mapped:
                return self._mapped[address, port]
            reachable = {self.vpc_id, *self._peered}
        interface = self._topology.interface_at(address, vpc_id=self.vpc_id)
        if interface is not None:
            if interface.vpc_id not in reachable or port != _HTTPS:
                return None
            with self._control.ec2() as backend:
                if not _lets_through(backend, self._caller.location, interface):
                    return None
            fault = self._faults.take("zone", interface.availability_zone)
            if fault is not None:
                refusing = cast("tuple[str, int]", self._refusing.getsockname())
                return refusing if fault.value == "refuse" else None
            return LOOPBACK, interface.listener.port
        if not ipaddress.ip_address(address).is_global:
            raise OSError(errno.ENETUNREACH, f"Network is unreachable: {address}:{port}")
        subnet_id = self._caller.location.subnet_id
        listener = self._vpc_endpoints.gateway_towards(address, subnet_id) if subnet_id else None
        if listener is None:
            if self._faults.take("no-internet"):
                return None
            listener = self._internet
        return (LOOPBACK, listener.port) if port == _HTTPS else None

    def _services_of(self, name: str) -> tuple[str, ...]:
        of_vpce = (e.name.service.service_name for e in self._topology.all() if e.answers_for(name))
        services = {*of_vpce, self._public_names.service_of(name)}
        return tuple(service for service in services if service)


def _lets_through(backend: MotoObject, caller: CallerLocation, interface: Interface) -> bool:
    """Return True if a connection from the caller to port 443 of an ENI is let through.

    Security groups are read on both sides (they remember connections, so only for the first
    packet), network ACLs of both subnets in both directions, unless it is one subnet.
    """
    groups = [group.id for group in backend.enis[interface.network_interface_id].group_set]
    ingress = _group_rules(backend, groups, "ingress_rules")
    if not any(_group_allows(rule, caller.address, caller.security_group_ids) for rule in ingress):
        return False
    there = _acl_entries(backend, interface.subnet_id)
    hops = [(there, False, caller.address, _HTTPS), (there, True, caller.address, _EPHEMERAL)]
    if caller.subnet_id is not None:
        egress = _group_rules(backend, caller.security_group_ids, "egress_rules")
        if not any(_group_allows(rule, interface.address, groups) for rule in egress):
            return False
        if caller.subnet_id == interface.subnet_id:
            return True
        here = _acl_entries(backend, caller.subnet_id)
        hops.append((here, True, interface.address, _HTTPS))
        hops.append((here, False, interface.address, _EPHEMERAL))
    return all(
        _acl_allows(entries, egress=egress, address=address, port=port)
        for entries, egress, address, port in hops
    )


def _group_rules(backend: MotoObject, group_ids: Iterable[str], direction: str) -> list[MotoObject]:
    groups = (backend.get_security_group_from_id(group_id) for group_id in group_ids)
    return [rule for group in groups if group is not None for rule in getattr(group, direction)]


def _group_allows(rule: MotoObject, address: str, group_ids: Iterable[str]) -> bool:
    if str(rule.ip_protocol).lower() not in _TCP:
        return False
    if rule.from_port is not None and not rule.from_port <= _HTTPS <= rule.to_port:
        return False
    if rule.source_group and rule.source_group.get("GroupId") in group_ids:
        return True
    return _contains(rule.ip_range.get("CidrIp"), address)


def _acl_entries(backend: MotoObject, subnet_id: str) -> list[MotoObject]:
    for acl in backend.network_acls.values():
        if any(association.subnet_id == subnet_id for association in acl.associations):
            return sorted(acl.network_acl_entries, key=lambda entry: int(entry.rule_number))
    return []


def _acl_allows(entries: list[MotoObject], *, egress: bool, address: str, port: int) -> bool:
    """Return what the first entry that fits decides; without one packets are dropped."""
    for entry in entries:
        if (str(entry.egress).lower() == "true") is not egress:
            continue
        if str(entry.protocol).lower() not in _TCP or not _contains(entry.cidr_block, address):
            continue
        first, last = entry.port_range_from, entry.port_range_to
        has_ports = str(entry.protocol) in ("6", "tcp") and first is not None
        if has_ports and not int(first) <= port <= int(last):
            continue
        return bool(entry.rule_action == "allow")
    return False


def _contains(cidr: str | None, address: str) -> bool:
    return cidr is not None and ipaddress.ip_address(address) in ipaddress.ip_network(
        cidr, strict=False
    )
