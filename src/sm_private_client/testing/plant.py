"""Everything that runs while a LocalPrivateLink does, wired together."""

from __future__ import annotations

import functools
import ipaddress
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import botocore.session

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.hostnames import endpoint_service_name, partition_of
from sm_private_client.privatelink.services import (
    BROWSER_DNS_DOMAIN,
    CATALOGUE,
    by_endpoint_service_name,
    for_service,
    is_family,
    routable_service_names,
)
from sm_private_client.routing.botocore_rules import default_url, partitions
from sm_private_client.testing.aws_files import AwsFiles
from sm_private_client.testing.certificates import Authority
from sm_private_client.testing.control_plane import ControlPlane
from sm_private_client.testing.data_plane import DataPlane, Door
from sm_private_client.testing.faults import Faults
from sm_private_client.testing.hosting import Hosted, HostedModels
from sm_private_client.testing.network import PublicNames, SimulatedNetwork
from sm_private_client.testing.operations import Operations
from sm_private_client.testing.runtime import RuntimeFront
from sm_private_client.testing.topology import Topology
from sm_private_client.testing.vpc_endpoints import VpcEndpoints
from sm_private_client.testing.wire import Server

if TYPE_CHECKING:
    import datetime as dt
    import ssl
    from collections.abc import Callable, Sequence

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.hosting import Model
    from sm_private_client.testing.topology import StandingVpcEndpoint
    from sm_private_client.testing.wire import Connection, Listener

__all__ = ["Plant", "Vpc"]

_PUBLIC_ADDRESSES: Final = ipaddress.ip_network("52.46.128.0/24")
"""A range of AWS's own; nothing is ever sent there, the simulator only tells it in DNS."""


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


class Plant:
    """The running parts.

    Args:
        region: The region.
        clock: The time, UTC without a zone.
    """

    def __init__(self, *, region: str, clock: Callable[[], dt.datetime]) -> None:
        self.region = region
        self.zones: tuple[str, ...] = ()
        self._core = botocore.session.Session()
        self._partition = partition_of(region, partitions(self._core))
        self._hosts: dict[tuple[str, str, bool, bool], str | None] = {}
        self._vpcs: dict[str, Vpc] = {}
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
        self._operations = Operations()
        self.data = DataPlane(
            operations=self._operations,
            control=self.control,
            runtime=RuntimeFront(
                operations=self._operations.of("sagemaker-runtime"),
                models=self.models,
                control=self.control,
            ),
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
        self.siblings = self.server.listen(self.control.answer)
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
        self.models.close()
        if self._network is not None:
            self._network.close()
        self.control.forget()
        self._directory.cleanup()

    def first_zones(self, count: int) -> tuple[str, ...]:
        """Gives the first zones of the region.

        Raises:
            ConfigurationError: moto does not know the region.
        """
        with self.control.locked():
            try:
                backend = self.control.ec2_backend(self.region)
            except KeyError:
                raise ConfigurationError(
                    f"moto plays no EC2 in {self.region}.",
                    remedy="choose a region that moto knows, such as us-east-1 or cn-north-1.",
                ) from None
            return tuple(sorted(z.name for z in backend.describe_availability_zones())[:count])

    def create_vpc(self, zones: Sequence[str] | None, cidr_block: str | None) -> Vpc:
        """Makes a VPC; see ``LocalPrivateLink.create_vpc``."""
        block = cidr_block or f"10.{len(self._vpcs)}.0.0/16"
        subnets = ipaddress.ip_network(block).subnets(new_prefix=24)
        with self.control.locked():
            backend = self.control.ec2_backend(self.region)
            made = backend.create_vpc(block)
            backend.modify_vpc_attribute(made.id, "enable_dns_support", "true")
            backend.modify_vpc_attribute(made.id, "enable_dns_hostnames", "true")
            subnet_ids = {
                zone: backend.create_subnet(made.id, str(next(subnets)), availability_zone=zone).id
                for zone in (self.zones if zones is None else zones)
            }
        vpc = Vpc(vpc_id=made.id, cidr_block=block, subnet_ids=subnet_ids)
        self._vpcs[vpc.vpc_id] = vpc
        return vpc

    def create_vpc_endpoint(
        self,
        service: str,
        *,
        vpc_id: str | None,
        zones: Sequence[str] | None,
        private_dns: bool,
        fips: bool,
        state: str,
    ) -> StandingVpcEndpoint:
        """Makes a VPC endpoint; see ``LocalPrivateLink.create_vpc_endpoint``."""
        row = self._row(service, fips=fips)
        vpc = self._vpcs.get(vpc_id or self.network.vpc_id)
        if vpc is None:
            raise ConfigurationError(
                f"There is no VPC {vpc_id} with subnets in the simulator.",
                remedy="use the vpc_id of what create_vpc() gave, or EC2's CreateVpcEndpoint.",
            )
        chosen = tuple(vpc.subnet_ids) if zones is None else tuple(zones)
        if missing := [zone for zone in chosen if zone not in vpc.subnet_ids]:
            raise ConfigurationError(
                f"{vpc.vpc_id} has no subnet in {', '.join(missing)}.",
                remedy=f"choose zones of {', '.join(vpc.subnet_ids)}.",
            )
        conflict = self._endpoints.private_dns_conflict(vpc.vpc_id, row) if private_dns else None
        if conflict is not None:
            raise ConfigurationError(
                f"{vpc.vpc_id} has a VPC endpoint with private DNS for {conflict} already.",
                remedy="make the other one with private_dns=False.",
            )
        with self.control.locked():
            made = self.control.ec2_backend(self.region).create_vpc_endpoint(
                vpc.vpc_id,
                endpoint_service_name(row, region=self.region, partition=self._partition),
                "Interface",
                None,
                [],
                subnet_ids=[vpc.subnet_ids[zone] for zone in chosen],
                private_dns_enabled=private_dns,
            )
            made.state = state
            return self._endpoints.furnish(made, service=row, private_dns=private_dns)

    def set_state(self, vpc_endpoint_id: str, state: str) -> None:
        """Changes a VPC endpoint's state."""
        with self.control.locked():
            self.control.ec2_backend(self.region).vpc_end_points[vpc_endpoint_id].state = state
            self.topology.replace_state(vpc_endpoint_id, state)

    def delete_vpc_endpoint(self, vpc_endpoint_id: str) -> None:
        """Takes a VPC endpoint away."""
        with self.control.locked():
            backend = self.control.ec2_backend(self.region)
            backend.delete_vpc_endpoints(vpce_ids=[vpc_endpoint_id])
            backend.vpc_end_points.pop(vpc_endpoint_id, None)
            self._endpoints.remove(vpc_endpoint_id)

    def deploy(
        self, endpoint_name: str, model: Model | str, variant: str, s3_output_path: str | None
    ) -> None:
        """Hosts a model; see ``LocalPrivateLink.deploy``."""
        account_id = self.control.account_id
        output = s3_output_path or f"s3://sagemaker-{self.region}-{account_id}/async-inference"
        self.models.put(
            Hosted(
                endpoint_name=endpoint_name,
                model=None if isinstance(model, str) else model,
                url=model.rstrip("/") if isinstance(model, str) else None,
                variant=variant,
                s3_output_path=output,
            )
        )
        if self.control.endpoint_status(endpoint_name, self.region) is not None:
            return
        role = f"arn:{self._partition.name}:iam::{account_id}:role/private-link"
        self.control.call_sagemaker(
            "CreateModel",
            ModelName=endpoint_name,
            ExecutionRoleArn=role,
            PrimaryContainer={"Image": "simulated"},
        )
        self.control.call_sagemaker(
            "CreateEndpointConfig",
            EndpointConfigName=endpoint_name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": endpoint_name,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "InitialVariantWeight": 1.0,
                }
            ],
        )
        self.control.call_sagemaker(
            "CreateEndpoint", EndpointName=endpoint_name, EndpointConfigName=endpoint_name
        )

    def _row(self, service: str, *, fips: bool) -> EndpointService:
        row = by_endpoint_service_name(service) or (
            for_service(service, fips=fips) if is_family(service) else None
        )
        if row is None:
            kind = "FIPS endpoint service" if fips else "endpoint service"
            raise ConfigurationError(
                f"There is no {kind} for {service!r}.",
                remedy=f"name one of {', '.join(routable_service_names())}, or an endpoint "
                f"service such as aws.sagemaker.{self.region}.notebook.",
            )
        return row

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
