"""Everything that runs while a LocalPrivateLink does, wired together."""

from __future__ import annotations

import functools
import ipaddress
import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import botocore.session
from botocore.loaders import create_loader

from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.privatelink.services import CATALOGUE, routable_service_names
from sm_private_client.routing.botocore_rules import default_url, partitions
from sm_private_client.testing.caller import Places
from sm_private_client.testing.certificates import Authorities
from sm_private_client.testing.control_plane import ControlPlane
from sm_private_client.testing.data_plane import DataPlane
from sm_private_client.testing.deployment import Deployment
from sm_private_client.testing.endpoint_policies import EndpointPolicies
from sm_private_client.testing.endpoint_services import EndpointServices, HostRule
from sm_private_client.testing.faults import Faults
from sm_private_client.testing.gateways import GATEWAY_ADDRESSES, Gateways
from sm_private_client.testing.hosting import HostedModels
from sm_private_client.testing.instance_metadata import METADATA_ADDRESS, InstanceMetadata
from sm_private_client.testing.listeners import Listeners
from sm_private_client.testing.network import PublicNames, SimulatedNetwork
from sm_private_client.testing.operations import operations_of
from sm_private_client.testing.other_services_front import OtherServiceFront
from sm_private_client.testing.runtime import RuntimeFront
from sm_private_client.testing.server import LOOPBACK, Server
from sm_private_client.testing.topology import Topology, allows
from sm_private_client.testing.vpc_endpoints import VpcEndpoints
from sm_private_client.testing.vpcs import Vpcs

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from sm_private_client.testing.topology import Interface
    from sm_private_client.testing.vpcs import Vpc

__all__ = ["OTHER_SERVICES", "AwsFiles", "Simulator"]

OTHER_SERVICES: Final = (
    "cloudwatch",
    "cloudwatch_logs",
    "ec2",
    "ecr",
    "eventbridge",
    "iam",
    "kms",
    "lambda",
    "s3",
    "s3_control",
    "secrets_manager",
    "service_catalog",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
"""Services beside SageMaker, as the ``services`` section names them; SageMaker's own are not
among them, because finding the way to those is what is tested."""


class AwsFiles:
    """A config and a credentials file, readable by their owner only.

    Attributes:
        config: The config file.
        credentials: The credentials file.
        network_config: A config file without URLs: other services have their own host names.
        ca_bundle: The simulator's certificate authority.
        corporate_ca_bundle: That, and the authority of a company that inspects TLS.
    """

    def __init__(self, directory: Path) -> None:
        self.config = directory / "config"
        self.network_config = directory / "network-config"
        self.credentials = directory / "credentials"
        self.ca_bundle = directory / "ca.pem"
        self.corporate_ca_bundle = directory / "corporate-ca.pem"

    def write(self, *, region: str, port: int, access_key_id: str, secret_access_key: str) -> None:
        """Writes the files for a simulator whose other service services are at a port."""
        url = f"http://127.0.0.1:{port}"
        services = "".join(f"{name} =\n  endpoint_url = {url}\n" for name in OTHER_SERVICES)
        default = f"[default]\nregion = {region}\nca_bundle = {self.ca_bundle}\n"
        _write(
            self.config, f"{default}services = private-link\n\n[services private-link]\n{services}"
        )
        _write(self.network_config, default)
        _write(
            self.credentials,
            f"[default]\naws_access_key_id = {access_key_id}\n"
            f"aws_secret_access_key = {secret_access_key}\n",
        )


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


_PUBLIC_ADDRESSES: Final = ipaddress.ip_network("52.46.128.0/24")
_OTHER_SERVICE_ADDRESSES: Final = ipaddress.ip_network("52.46.129.0/24")
"""Ranges of AWS's own; nothing is ever sent there, the simulator only tells them in DNS."""


class Simulator:
    """The running parts.

    Args:
        region: The region.
        clock: The time, UTC without a zone.
    """

    def __init__(self, *, region: str, clock: Callable[[], dt.datetime]) -> None:
        self.region = region
        self._partition = partition_of(region, partitions(_core()))
        self._network: SimulatedNetwork | None = None
        self.metadata: InstanceMetadata | None = None
        self._rule = HostRule(_find_host)
        self._directory = tempfile.TemporaryDirectory(prefix="private-link-")
        self.files = AwsFiles(Path(self._directory.name))
        self.authorities = Authorities(self.files.ca_bundle, self.files.corporate_ca_bundle)
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
        ec2 = functools.partial(self.control.ec2, region)
        self.places = Places(ec2=ec2)
        self.policies = EndpointPolicies(control=self.control, places=self.places)
        self.models = HostedModels()
        self.deployment = Deployment(
            models=self.models,
            control=self.control,
            region=region,
        )
        self._runtime = RuntimeFront(
            operations=operations_of("sagemaker-runtime"),
            models=self.models,
            control=self.control,
            faults=self.faults,
            clock=clock,
            region=region,
        )
        self.data = DataPlane(
            control=self.control,
            runtime=self._runtime,
            policies=self.policies,
            faults=self.faults,
            clock=clock,
        )
        self.other_service_front = OtherServiceFront(
            control=self.control, policies=self.policies, clock=clock
        )
        self.offers = EndpointServices(partition=self._partition, rule=self._rule)
        self._public = self._public_names()
        listeners = Listeners(
            region=region,
            server=self.server,
            authorities=self.authorities,
            topology=self.topology,
            offers=self.offers,
            public=self._public,
            data=self.data,
            other_services=self.other_service_front,
            faults=self.faults,
            dialled=lambda connection: self.network.address_dialled_from(connection.client_port),
        )
        self.gateways = Gateways(
            ec2=ec2,
            server=self.server,
            listen=listeners.behind_gateway,
        )
        vpc_endpoints = VpcEndpoints(
            offers=self.offers,
            topology=self.topology,
            server=self.server,
            listen=listeners.behind_interface,
        )
        self.control.vpc_endpoints = vpc_endpoints
        self.control.gateways = self.gateways
        self.vpcs = Vpcs(
            region=region,
            control=self.control,
            vpc_endpoints=vpc_endpoints,
            gateways=self.gateways,
            topology=self.topology,
        )
        self.other_services = self.server.listen(self.control.answer, begin=self.control.begin)
        self.internet = listeners.on_internet()
        self.files.write(
            region=region,
            port=self.other_services.port,
            access_key_id=self.control.access_key_id,
            secret_access_key=self.control.secret_access_key,
        )

    @property
    def network(self) -> SimulatedNetwork:
        """The network, once there is a VPC to see it from."""
        if self._network is None:
            raise RuntimeError("open_network() comes first")
        return self._network

    def open_network(self, first: Vpc) -> None:
        """Makes the network as seen from the first subnet of a VPC."""
        self.places.inside(next(iter(first.subnet_ids.values())))
        self._network = SimulatedNetwork(
            places=self.places,
            topology=self.topology,
            faults=self.faults,
            public=self._public,
            internet=self.internet,
            gateways=self.gateways,
            allows=self._lets_through,
            wait=self.server.stopping.wait,
        )

    def start_metadata(self, role_name: str | None) -> InstanceMetadata:
        """Plays the instance metadata service from now on."""
        made = InstanceMetadata(
            root=Path(self._directory.name) / "root",
            control=self.control,
            place=lambda: self.places.current,
            role_name=role_name,
        )
        listener = self.server.listen(made.answer)
        self.network.map(METADATA_ADDRESS, 80, (LOOPBACK, listener.port))
        self.metadata = made
        return made

    def stop(self) -> None:
        """Ends every part."""
        self.server.stop()
        self._runtime.jobs.stop()
        self.models.close()
        if self._network is not None:
            self._network.close()
        self.control.forget()
        self._directory.cleanup()

    def _lets_through(self, interface: Interface) -> bool:
        with self.control.ec2(self.region) as backend:
            return allows(backend, self.places.current, interface)

    def _public_names(self) -> PublicNames:
        services: dict[str, str] = {}
        for service_name in routable_service_names():
            for fips in (False, True):
                for dual_stack in (False, True):
                    host = self._rule.host(
                        service_name, self.region, fips=fips, dual_stack=dual_stack
                    )
                    if host:
                        services.setdefault(host, service_name)
        browser = [
            name
            for row in CATALOGUE
            if row.is_browser_only
            for name in self.offers.private_names(row, self.region)
        ]
        addresses = map(str, _PUBLIC_ADDRESSES.hosts())
        return PublicNames(
            family=dict(zip([*services, *browser], addresses, strict=False)),
            services=services,
            other_services=self._other_service_names,
            domains=(f".{self._partition.dns_suffix}", ".amazonaws.com", ".api.aws"),
        )

    def _other_service_names(self) -> dict[str, tuple[str, str]]:
        names = self.offers.other_service_hosts(self.region)
        addresses = map(str, _OTHER_SERVICE_ADDRESSES.hosts())
        own = dict(zip(names, addresses, strict=False))
        return {
            name: (GATEWAY_ADDRESSES.get(service_name, own[name]), service_name)
            for name, service_name in names.items()
        }

    def _reset_zone(self, zone: str) -> None:
        for standing in self.topology.all():
            for interface in standing.interfaces:
                if interface.availability_zone == zone:
                    interface.listener.reset_connections()


@functools.cache
def _core() -> botocore.session.Session:
    """Return what reads botocore's rules, once a process.

    With a loader of its own it reads no profile: AWS_PROFILE may name one that is not there.
    """
    made = botocore.session.Session()
    made.register_component("data_loader", create_loader())
    return made


@functools.cache
def _find_host(service_name: str, region: str, fips: bool, dual_stack: bool) -> str | None:
    url = default_url(_core(), service_name, region, fips=fips, dual_stack=dual_stack)
    return url.removeprefix("https://") if url else None
