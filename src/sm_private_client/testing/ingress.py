"""Where requests come in: ENIs, gateways and the internet, with their names and certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sm_private_client.testing.http_connection import ConnectionCut
from sm_private_client.testing.server import Listener
from sm_private_client.testing.topology import covers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from sm_private_client.privatelink.hostnames import VpceName
    from sm_private_client.testing.certificates import Authority
    from sm_private_client.testing.endpoint_services import EndpointServices, PublicNames
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.http_connection import Connection, Request, Response
    from sm_private_client.testing.other_services_front import OtherServicesFront
    from sm_private_client.testing.sagemaker_front import SageMakerFront
    from sm_private_client.testing.server import Server
    from sm_private_client.testing.topology import Topology

    _Front: TypeAlias = SageMakerFront | OtherServicesFront

__all__ = ["Ingress", "IngressListeners"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingress:
    """One entry to the simulator: a network interface, a gateway or the public internet.

    Attributes:
        service_of: Returns boto3's name of the service that a host name is of; ``None`` if this
            entry does not serve the name.
        region: The region that must be signed for.
        address: Returns the address that a connection was dialled at.
        availability_zone: The zone; ``None`` on the internet and at a gateway.
        vpc_endpoint_id: The VPC endpoint; ``None`` on the internet.
        vpc_id: The VPC endpoint's VPC.
    """

    service_of: Callable[[str], str | None]
    region: str
    address: Callable[[Connection], str]
    availability_zone: str | None = None
    vpc_endpoint_id: str | None = None
    vpc_id: str | None = None

    def service_called(self, request: Request, connection: Connection) -> str | None:
        """Return the service that ``Host`` names; ``None`` if the TLS server name is of another."""
        service_name = self.service_of(request.host)
        if connection.sni is not None and self.service_of(connection.sni) != service_name:
            return None
        return service_name


@dataclass(frozen=True, kw_only=True, slots=True)
class IngressListeners:
    """Opens the listeners behind ENIs, gateways and public addresses.

    Attributes:
        region: The region of public addresses and gateways.
        authority: Signs their certificates.
        corporate_authority: Signs them while TLS is inspected.
        sagemaker: Answers SageMaker's services.
        others: Answers all others.
        dialled: Returns the played address that a client connected to; the real one is loopback.
    """

    region: str
    server: Server
    authority: Authority
    corporate_authority: Authority
    topology: Topology
    services: EndpointServices
    public_names: PublicNames
    sagemaker: SageMakerFront
    others: OtherServicesFront
    faults: Faults
    dialled: Callable[[Connection], str]

    def open_interface(self, name: VpceName, vpc_id: str, zone: str, address: str) -> Listener:
        """Open the listener of an ENI, given the regional name of its VPC endpoint."""
        service_name = name.service.service_name

        def service_of(host: str) -> str | None:
            standing = self.topology.get(name.vpc_endpoint_id)
            return service_name if standing and standing.answers_for(host) else None

        def on_connect() -> None:
            if fault := self.faults.take("slow-accept", zone):
                self.server.stopping.wait(fault.value)

        ingress = Ingress(
            service_of=service_of,
            region=name.region,
            address=lambda _connection: address,
            availability_zone=zone,
            vpc_endpoint_id=name.vpc_endpoint_id,
            vpc_id=vpc_id,
        )
        names = self._certificate_names(name, zone)
        self.authority.context(names)  # makes the key now, not in the first handshake
        front = self.sagemaker if self.services.is_family(name.service) else self.others
        return self._listen(
            ingress,
            lambda _: front,
            context=lambda: self._context(service_name or "", names),
            on_connect=on_connect,
        )

    def open_gateway(self, vpc_endpoint_id: str, vpc_id: str, service_name: str) -> Listener:
        """Open what a gateway leads to: the service's public names, reached privately."""
        names = self.public_names.names_of(service_name)
        ingress = Ingress(
            service_of=lambda host: (
                service_name if any(covers(name, host) for name in names) else None
            ),
            region=self.region,
            address=self.dialled,
            vpc_endpoint_id=vpc_endpoint_id,
            vpc_id=vpc_id,
        )
        return self._listen(
            ingress, lambda _: self.others, context=lambda: self._context(service_name, names)
        )

    def open_internet(self) -> Listener:
        """Open what stands for every public address."""
        public_names = self.public_names
        ingress = Ingress(
            service_of=public_names.service_of, region=self.region, address=self.dialled
        )

        def front_of(request: Request) -> _Front:
            host = request.host
            is_other = not public_names.is_family(host) and public_names.service_of(host)
            return self.others if is_other else self.sagemaker

        return self._listen(
            ingress, front_of, context=lambda: self.authority.context(public_names.known_names())
        )

    def _listen(
        self,
        ingress: Ingress,
        front_of: Callable[[Request], _Front],
        *,
        context: Callable[[], ssl.SSLContext],
        on_connect: Callable[[], None] | None = None,
    ) -> Listener:
        def answer(request: Request, connection: Connection) -> Response:
            return front_of(request).answer(ingress, request, connection)

        def on_head(request: Request, connection: Connection) -> None:
            front_of(request).on_head(ingress, request, connection)

        return self.server.listen(
            Listener(answer, on_head=on_head, context=context, on_connect=on_connect)
        )

    def _certificate_names(self, name: VpceName, zone: str) -> tuple[str, ...]:
        private = self.services.private_names(name.service, name.region)
        if name.service.service_name == "s3":
            hosts = (name.host, name.in_zone(zone).host)
            kinds = ("*.", "*.bucket.", "*.accesspoint.")
            return (*(kind + host for host in hosts for kind in kinds), *private)
        return (f"*.{self.services.base_name(name.service, name.region)}", *private)

    def _context(self, service_name: str, names: Sequence[str]) -> ssl.SSLContext:
        """Return what the next handshake is answered with, after the faults that are on."""
        if self.faults.take("handshake-close", service_name):
            raise ConnectionCut("close")
        wrong = self.faults.take("certificate", service_name)
        inspected = self.faults.take("tls-inspection", service_name)
        expired = self.faults.take("expired-certificate", service_name) is not None
        authority = self.corporate_authority if inspected else self.authority
        return authority.context(wrong.value if wrong else tuple(names), expired=expired)
