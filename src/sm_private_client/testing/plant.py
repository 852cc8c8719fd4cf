"""Everything that runs while a LocalPrivateLink does, wired together."""

from __future__ import annotations

import functools
import ipaddress
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import botocore.session
from botocore.loaders import create_loader

from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.privatelink.services import (
    BROWSER_DNS_DOMAIN,
    CATALOGUE,
    routable_service_names,
)
from sm_private_client.routing.botocore_rules import default_url, partitions
from sm_private_client.testing.aws_files import AwsFiles
from sm_private_client.testing.certificates import Authority
from sm_private_client.testing.control_plane import ControlPlane
from sm_private_client.testing.data_plane import DataPlane, Door
from sm_private_client.testing.deployment import Deployment
from sm_private_client.testing.faults import Faults
from sm_private_client.testing.hosting import HostedModels
from sm_private_client.testing.network import PublicNames, SimulatedNetwork
from sm_private_client.testing.operations import Operations
from sm_private_client.testing.runtime import RuntimeFront
from sm_private_client.testing.server import Server
from sm_private_client.testing.topology import Topology
from sm_private_client.testing.vpc_endpoints import VpcEndpoints
from sm_private_client.testing.vpcs import Vpcs

if TYPE_CHECKING:
    import datetime as dt
    import ssl
    from collections.abc import Callable

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.server import Listener
    from sm_private_client.testing.wire import Connection

__all__ = ["Plant"]

_PUBLIC_ADDRESSES: Final = ipaddress.ip_network("52.46.128.0/24")
"""A range of AWS's own; nothing is ever sent there, the simulator only tells it in DNS."""


class Plant:
    """The running parts.

    Args:
        region: The region.
        clock: The time, UTC without a zone.
    """

    def __init__(self, *, region: str, clock: Callable[[], dt.datetime]) -> None:
        self.region = region
        # With a loader of its own it reads no profile: AWS_PROFILE may name one that is not there.
        self._core = botocore.session.Session()
        self._core.register_component("data_loader", create_loader())
        self._partition = partition_of(region, partitions(self._core))
        self._hosts: dict[tuple[str, str, bool, bool], str | None] = {}
        self._network: SimulatedNetwork | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="private-link-")
        self.files = AwsFiles(Path(self._directory.name))
        self._authority = Authority(self.files.ca_bundle)
        self.server = Server()
        self.topology = Topology()
        self.faults = Faults(zone_failed=self._reset_zone)
        # A random account: moto's state is one for the process, but apart by account.
        account_id = str(random.SystemRandom().randrange(10**11, 10**12))
        self.control = ControlPlane(
            account_id=account_id,
            region=region,
            partition=self._partition.name,
            faults=self.faults,
        )
        self.models = HostedModels()
        self.deployment = Deployment(
            models=self.models,
            control=self.control,
            region=region,
        )
        self._operations = Operations()
        self._runtime = RuntimeFront(
            operations=self._operations.of("sagemaker-runtime"),
            models=self.models,
            control=self.control,
            faults=self.faults,
            clock=clock,
            region=region,
        )
        self.data = DataPlane(
            operations=self._operations,
            control=self.control,
            runtime=self._runtime,
            faults=self.faults,
            clock=clock,
        )
        self._endpoints = VpcEndpoints(
            partition=self._partition,
            topology=self.topology,
            server=self.server,
            listen=self._listen,
            default_host=self._default_host,
        )
        self.control.vpc_endpoints = self._endpoints
        self.vpcs = Vpcs(
            region=region,
            control=self.control,
            vpc_endpoints=self._endpoints,
            topology=self.topology,
        )
        self.siblings = self.server.listen(self.control.answer, begin=self.control.begin)
        self._public = self._public_names()
        self.internet = self._listen_on_internet()
        self.files.write(
            region=region,
            port=self.siblings.port,
            access_key_id=self.control.access_key_id,
            secret_access_key=self.control.secret_access_key,
        )

    @property
    def network(self) -> SimulatedNetwork:
        """The network, once there is a VPC to see it from."""
        if self._network is None:
            raise RuntimeError("open_network() comes first")
        return self._network

    def open_network(self, vpc_id: str) -> None:
        """Makes the network as seen from a VPC."""
        self._network = SimulatedNetwork(
            vpc_id=vpc_id,
            topology=self.topology,
            faults=self.faults,
            public=self._public,
            internet=self.internet,
            wait=self.server.stopping.wait,
        )

    def stop(self) -> None:
        """Ends every part."""
        self.server.stop()
        self._runtime.jobs.stop()
        self.models.close()
        if self._network is not None:
            self._network.close()
        self.control.forget()
        self._directory.cleanup()

    def _listen(
        self, service: EndpointService, region: str, vpc_endpoint_id: str, zone: str, address: str
    ) -> Listener:
        domain = BROWSER_DNS_DOMAIN if service.is_browser_only else self._partition.dns_suffix
        names = (
            f"*.{service.dns_label}.{region}.vpce.{domain}",
            *self._endpoints.private_names(service, region),
        )

        def service_of(host: str) -> str | None:
            standing = self.topology.get(vpc_endpoint_id)
            return service.service_name if standing and standing.answers_for(host) else None

        door = Door(
            service_of=service_of,
            region=region,
            address=lambda _connection: address,
            availability_zone=zone,
            vpc_endpoint_id=vpc_endpoint_id,
        )

        def greet() -> None:
            fault = self.faults.take("slow-accept", zone)
            if fault is not None and isinstance(fault.value, (int, float)):
                self.server.stopping.wait(fault.value)

        def context() -> ssl.SSLContext:
            fault = self.faults.take("certificate", service.service_name or "")
            shown = cast("tuple[str, ...]", fault.value) if fault is not None else names
            return self._authority.context(shown)

        context()  # makes the key now rather than in the first handshake
        return self.server.listen(
            functools.partial(self.data.answer, door),
            begin=functools.partial(self.data.begin, door),
            context=context,
            greet=greet,
        )

    def _listen_on_internet(self) -> Listener:
        def address(connection: Connection) -> str:
            return self.network.address_dialled_from(connection.client_port)

        door = Door(
            service_of=self._public.services.get,
            region=self.region,
            address=address,
        )
        return self.server.listen(
            functools.partial(self.data.answer, door),
            begin=functools.partial(self.data.begin, door),
            context=lambda: self._authority.context(tuple(self._public.services)),
        )

    def _public_names(self) -> PublicNames:
        services: dict[str, str] = {}
        for service_name in routable_service_names():
            for fips in (False, True):
                for dual_stack in (False, True):
                    host = self._host(service_name, self.region, fips=fips, dual_stack=dual_stack)
                    if host:
                        services.setdefault(host, service_name)
        browser = [
            name
            for row in CATALOGUE
            if row.is_browser_only
            for name in self._endpoints.private_names(row, self.region)
        ]
        addresses = (str(address) for address in _PUBLIC_ADDRESSES.hosts())
        return PublicNames(
            addresses=dict(zip([*services, *browser], addresses, strict=False)),
            services=services,
        )

    def _default_host(self, service: EndpointService, region: str) -> str | None:
        if service.service_name is None:
            return None
        return self._host(service.service_name, region, fips=service.fips, dual_stack=False)

    def _host(self, service_name: str, region: str, *, fips: bool, dual_stack: bool) -> str | None:
        key = (service_name, region, fips, dual_stack)
        if key not in self._hosts:
            url = default_url(self._core, service_name, region, fips=fips, dual_stack=dual_stack)
            self._hosts[key] = url.removeprefix("https://") if url else None
        return self._hosts[key]

    def _reset_zone(self, zone: str) -> None:
        for standing in self.topology.all():
            for interface in standing.interfaces:
                if interface.availability_zone == zone:
                    interface.listener.reset_connections()
