"""SimulatedNetwork: DNS and routes as one VPC has them, carried over loopback."""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, cast

from sm_private_client.testing.records import Log
from sm_private_client.testing.topology import covers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_private_client.routing.network import SocketOption
    from sm_private_client.testing.caller import Places
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.gateways import Gateways
    from sm_private_client.testing.server import Listener
    from sm_private_client.testing.topology import Interface, Topology

__all__ = ["SimulatedNetwork"]

_LOOPBACK = "127.0.0.1"
_HTTPS = 443


class PublicNames:
    """The names that public DNS answers with public addresses, and whose they are.

    Args:
        family: From host name to public address, of SageMaker's services.
        services: From host name to boto3's name of the service, for those that have one.
        other_services: The same for the other services, as address and service; called once, and
            only when a name may be one of theirs, since reading botocore's rules takes a while.
        domains: What the other services' names end in.
    """

    def __init__(
        self,
        *,
        family: Mapping[str, str],
        services: Mapping[str, str],
        other_services: Callable[[], Mapping[str, tuple[str, str]]],
        domains: tuple[str, ...],
    ) -> None:
        self.family = family
        self._services = services
        self._find_other_services = other_services
        self._domains = domains
        self._lock = threading.Lock()
        self._other_services: Mapping[str, tuple[str, str]] | None = None

    def address_of(self, host: str) -> str | None:
        """Gives the public address of a name; ``None`` where the name is unknown."""
        exact = self.family.get(host)
        if exact is not None:
            return exact
        if (known := self._other_service(host)) is not None:
            return known[0]
        return next((a for n, a in self.family.items() if covers(n, host)), None)

    def service_of(self, host: str) -> str | None:
        """Gives boto3's name of the service that a public name belongs to, if it has one."""
        if host in self.family:
            return self._services.get(host)
        known = self._other_service(host)
        return known[1] if known is not None else None

    def names_of(self, service_name: str) -> tuple[str, ...]:
        """Gives the names of another service."""
        return tuple(
            n for n, (_, owner) in self._all_other_services().items() if owner == service_name
        )

    def known_names(self) -> tuple[str, ...]:
        """Gives every name that has been read."""
        return (*self._services, *(self._other_services or ()))

    def _other_service(self, host: str) -> tuple[str, str] | None:
        if not host.endswith(self._domains) or ".vpce." in host:
            return None
        known = self._all_other_services()
        if host in known:
            return known[host]
        return next((found for name, found in known.items() if covers(name, host)), None)

    def _all_other_services(self) -> Mapping[str, tuple[str, str]]:
        with self._lock:
            if self._other_services is None:
                self._other_services = self._find_other_services()
            return self._other_services


class SimulatedNetwork:
    """Implements ``NetworkBackend`` as seen from inside one VPC.

    Addresses are the ones that AWS would give (ENIs in the VPC's subnets, public ones outside),
    so that whoever judges them judges as in AWS; only ``open`` turns them into loopback.

    Attributes:
        dialled: Every address and port that ``open`` was asked for.
        looked_up: Every host name that ``resolve`` was asked for.
    """

    def __init__(
        self,
        *,
        places: Places,
        topology: Topology,
        faults: Faults,
        public: PublicNames,
        internet: Listener,
        gateways: Gateways,
        allows: Callable[[Interface], bool],
        wait: Callable[[float], object],
    ) -> None:
        self._places = places
        self.dialled: Log[tuple[str, int]] = Log()
        self.looked_up: Log[str] = Log()
        self._topology = topology
        self._faults = faults
        self._public = public
        self._internet = internet
        self._gateways = gateways
        self._lets_through = allows
        self._wait = wait
        self._lock = threading.Lock()
        self._mapped: dict[tuple[str, int], tuple[str, int]] = {}
        self._peered: set[str] = set()
        self._origin: dict[int, str] = {}
        # Bound but not listening: the kernel refuses whoever connects.
        self._refusing = socket.socket()
        self._refusing.bind((_LOOPBACK, 0))

    @property
    def vpc_id(self) -> str:
        """The VPC that names are asked from and addresses are dialled from."""
        return self._places.current.vpc_id

    @vpc_id.setter
    def vpc_id(self, vpc_id: str) -> None:
        self._places.inside_vpc(vpc_id)

    def map(self, address: str, port: int, target: tuple[str, int]) -> None:
        """Leads an address and port to a real host and port, such as a played metadata service."""
        with self._lock:
            self._mapped[address, port] = target

    def peer(self, vpc_id: str) -> None:
        """Makes the ENIs of another VPC reachable; without that, dialling them only hangs."""
        with self._lock:
            self._peered.add(vpc_id)

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Looks a name up as the VPC's resolver would; see ``NetworkBackend.resolve``."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        name = host.lower().rstrip(".")
        self.looked_up.append(name)
        subjects = (name, *self._services_of(name)) if self._faults.active else ()
        if delay := self._faults.take("dns-delay", *subjects):
            seconds = cast("float", delay.value)
            self._wait(min(seconds, timeout))
            if seconds >= timeout:
                raise TimeoutError(f"no DNS answer for {host} within {timeout:g} s")
        if self._faults.take("dns-failure", *subjects):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if forged := self._faults.take("dns", *subjects):
            return cast("tuple[str, ...]", forged.value)
        interfaces = self._topology.resolve(
            name, vpc_id=self.vpc_id if self._places.answers_private_names() else None
        )
        if interfaces:
            return tuple(interface.address for interface in interfaces)
        public = self._public.address_of(name)
        if public is not None:
            return (public,)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Starts a connection over loopback; see ``NetworkBackend.open``."""
        self.dialled.append((address, port))
        target = self._target(address, port)
        opened = socket.socket()
        try:
            for level, option, value in socket_options:
                opened.setsockopt(level, option, value)
            opened.setblocking(False)
            if target is None:
                # A listening socket never becomes writable, as one whose SYN nobody answers:
                # the same everywhere, where a full backlog depends on the kernel.
                opened.bind((_LOOPBACK, 0))
                opened.listen(1)
                return opened
            code = opened.connect_ex(target)
            if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                raise OSError(code, f"{errno.errorcode.get(code, code)} for {address}:{port}")
            with self._lock:
                self._origin[opened.getsockname()[1]] = address
        except OSError:
            opened.close()
            raise
        return opened

    def address_dialled_from(self, client_port: int) -> str:
        """Gives the address that the connection from a local port was opened for."""
        with self._lock:
            return self._origin.get(client_port, "")

    def close(self) -> None:
        """Gives its sockets back."""
        self._refusing.close()

    def _target(self, address: str, port: int) -> tuple[str, int] | None:
        with self._lock:
            if (address, port) in self._mapped:
                return self._mapped[address, port]
            reachable = {self.vpc_id, *self._peered}
        refusing = cast("tuple[str, int]", self._refusing.getsockname())
        interface = self._topology.interface_at(address, vpc_id=self.vpc_id)
        if interface is not None:
            if interface.vpc_id not in reachable or port != _HTTPS:
                return None
            if not self._lets_through(interface):
                return None
            fault = self._faults.take("zone", interface.availability_zone)
            if fault is not None:
                return refusing if fault.value == "refuse" else None
            return _LOOPBACK, interface.listener.port
        if ipaddress.ip_address(address).is_global:
            subnet_id = self._places.current.subnet_id
            gateway = self._gateways.towards(address, subnet_id=subnet_id) if subnet_id else None
            if gateway is not None:
                return (_LOOPBACK, gateway.port) if port == _HTTPS else None
            if self._faults.take("no-internet"):
                return None
            return (_LOOPBACK, self._internet.port) if port == _HTTPS else None
        raise OSError(errno.ENETUNREACH, f"Network is unreachable: {address}:{port}")

    def _services_of(self, name: str) -> tuple[str, ...]:
        of_vpce = (e.name.service.service_name for e in self._topology.all() if e.answers_for(name))
        services = {service for service in of_vpce if service}
        if public := self._public.service_of(name):
            services.add(public)
        return tuple(services)
