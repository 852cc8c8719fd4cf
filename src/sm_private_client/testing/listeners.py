"""What stands behind ENIs, gateways and public addresses: fronts, doors, certificates."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from sm_private_client.privatelink.services import BROWSER_DNS_DOMAIN
from sm_private_client.testing.http_connection import ConnectionCut
from sm_private_client.testing.records import Ingress
from sm_private_client.testing.topology import covers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from sm_private_client.privatelink.hostnames import VpceName
    from sm_private_client.testing.certificates import Authorities
    from sm_private_client.testing.data_plane import DataPlane
    from sm_private_client.testing.endpoint_services import EndpointServices
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.http_connection import Connection, Request, Response
    from sm_private_client.testing.network import PublicNames
    from sm_private_client.testing.other_services_front import OtherServiceFront
    from sm_private_client.testing.server import Listener, Server
    from sm_private_client.testing.topology import Topology

__all__ = ["Listeners"]


class Listeners:
    """Opens listeners.

    Args:
        region: The region of public addresses and gateways.
        server: Accepts for all of them.
        authorities: Sign their certificates.
        topology: Says which names an ENI answers for.
        offers: Says which private names a service has.
        public: The names of public addresses.
        data: The front of SageMaker's services.
        other_services: The front of all others.
        faults: What goes wrong.
        dialled: Gives the address that a connection was opened for.
    """

    def __init__(
        self,
        *,
        region: str,
        server: Server,
        authorities: Authorities,
        topology: Topology,
        offers: EndpointServices,
        public: PublicNames,
        data: DataPlane,
        other_services: OtherServiceFront,
        faults: Faults,
        dialled: Callable[[Connection], str],
    ) -> None:
        self._region = region
        self._server = server
        self._authorities = authorities
        self._topology = topology
        self._offers = offers
        self._public = public
        self._data = data
        self._other_services = other_services
        self._faults = faults
        self._dialled = dialled

    def behind_interface(self, name: VpceName, vpc_id: str, zone: str, address: str) -> Listener:
        """Opens the listener of an ENI.

        Args:
            name: The regional name of its VPC endpoint.
            vpc_id: The VPC.
            zone: The ENI's zone.
            address: The ENI's address.
        """
        service_name = name.service.service_name

        def service_of(host: str) -> str | None:
            standing = self._topology.get(name.vpc_endpoint_id)
            return service_name if standing and standing.answers_for(host) else None

        ingress = Ingress(
            service_of=service_of,
            region=name.region,
            address=lambda _connection: address,
            availability_zone=zone,
            vpc_endpoint_id=name.vpc_endpoint_id,
            vpc_id=vpc_id,
        )

        def on_connect() -> None:
            fault = self._faults.take("slow-accept", zone)
            if fault is not None and isinstance(fault.value, (int, float)):
                self._server.stopping.wait(fault.value)

        shown = self._shown_names(name, zone)
        self._authorities.own.context(shown)  # makes the key now, not in the first handshake
        front = self._data if self._offers.is_family(name.service) else self._other_services
        return self._server.listen(
            functools.partial(front.answer, ingress),
            begin=functools.partial(front.begin, ingress),
            context=lambda: self._context(service_name or "", shown),
            on_connect=on_connect,
        )

    def behind_gateway(self, vpc_endpoint_id: str, vpc_id: str, service_name: str) -> Listener:
        """Opens what a gateway leads to: the service's public names, reached privately."""
        hosts = self._public.names_of(service_name)

        def service_of(host: str) -> str | None:
            return service_name if any(covers(name, host) for name in hosts) else None

        ingress = Ingress(
            service_of=service_of,
            region=self._region,
            address=self._dialled,
            vpc_endpoint_id=vpc_endpoint_id,
            vpc_id=vpc_id,
        )
        return self._server.listen(
            functools.partial(self._other_services.answer, ingress),
            begin=functools.partial(self._other_services.begin, ingress),
            context=lambda: self._context(service_name, hosts),
        )

    def on_internet(self) -> Listener:
        """Opens what stands for every public address."""
        ingress = Ingress(
            service_of=self._public.service_of, region=self._region, address=self._dialled
        )

        def front_of(request: Request) -> DataPlane | OtherServiceFront:
            is_family = request.host in self._public.family
            return (
                self._data
                if is_family or not ingress.service_of(request.host)
                else self._other_services
            )

        def answer(request: Request, connection: Connection) -> Response:
            return front_of(request).answer(ingress, request, connection)

        def begin(request: Request, connection: Connection) -> None:
            front_of(request).begin(ingress, request, connection)

        return self._server.listen(
            answer,
            begin=begin,
            context=lambda: self._authorities.own.context(self._public.known_names()),
        )

    def _shown_names(self, name: VpceName, zone: str) -> tuple[str, ...]:
        private = self._offers.private_names(name.service, name.region)
        if name.service.service_name == "s3":
            own = (name.host, name.in_zone(zone).host)
            kinds = ("*.", "*.bucket.", "*.accesspoint.")
            return (*(kind + host for host in own for kind in kinds), *private)
        is_browser_only = name.service.is_browser_only
        domain = BROWSER_DNS_DOMAIN if is_browser_only else name.partition.dns_suffix
        return (f"*.{name.service.dns_label}.{name.region}.vpce.{domain}", *private)

    def _context(self, service_name: str, names: Sequence[str]) -> ssl.SSLContext:
        """Gives what the next handshake is answered with, after the faults that are on."""
        if self._faults.take("handshake-close", service_name):
            raise ConnectionCut("close")
        wrong = self._faults.take("certificate", service_name)
        shown = cast("tuple[str, ...]", wrong.value) if wrong is not None else tuple(names)
        inspected = self._faults.take("tls-inspection", service_name)
        authority = self._authorities.corporate if inspected else self._authorities.own
        expired = self._faults.take("expired-certificate", service_name) is not None
        return authority.context(shown, expired=expired)
