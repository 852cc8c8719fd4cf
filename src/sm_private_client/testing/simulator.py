"""Simulator: everything that runs while a LocalPrivateLink does, wired together."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sm_private_client.testing.caller import Caller
from sm_private_client.testing.certificates import Authority
from sm_private_client.testing.control_plane import ControlPlane
from sm_private_client.testing.endpoint_policies import EndpointPolicies
from sm_private_client.testing.endpoint_services import EndpointServices, PublicNames
from sm_private_client.testing.faults import Faults
from sm_private_client.testing.hosting import HostedModels
from sm_private_client.testing.ingress import IngressListeners
from sm_private_client.testing.instance_metadata import METADATA_ADDRESS, InstanceMetadata
from sm_private_client.testing.network import SimulatedNetwork
from sm_private_client.testing.other_services_front import OtherServicesFront
from sm_private_client.testing.runtime import Runtime
from sm_private_client.testing.sagemaker_front import SageMakerFront
from sm_private_client.testing.server import LOOPBACK, Listener, Server
from sm_private_client.testing.topology import Topology
from sm_private_client.testing.vpc_endpoints import VpcEndpoints

if TYPE_CHECKING:
    from sm_private_client.testing.signatures import Clock
    from sm_private_client.testing.topology import Vpc

__all__ = ["AwsFiles", "Simulator"]

_OTHER_SERVICES: Final = (
    "cloudwatch cloudwatch_logs ec2 ecr eventbridge iam kms lambda s3 s3_control secrets_manager "
    "service_catalog sns sqs ssm sts"
)
"""Services beside SageMaker, as the ``services`` section names them; SageMaker's own are not
among them, because finding the way to those is what is tested."""


class AwsFiles:
    """A config and a credentials file, readable by their owner only.

    Attributes:
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

    def write(self, *, region: str, url: str, access_key_id: str, secret_access_key: str) -> None:
        """Write the files for a simulator whose other services are at a URL."""
        services = "".join(
            f"{name} =\n  endpoint_url = {url}\n" for name in _OTHER_SERVICES.split()
        )
        default = f"[default]\nregion = {region}\nca_bundle = {self.ca_bundle}\n"
        for path, text in (
            (
                self.config,
                f"{default}services = private-link\n\n[services private-link]\n{services}",
            ),
            (self.network_config, default),
            (
                self.credentials,
                f"[default]\naws_access_key_id = {access_key_id}\n"
                f"aws_secret_access_key = {secret_access_key}\n",
            ),
        ):
            handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(text)


class Simulator:
    """The running parts.

    Attributes:
        vpcs: The VPCs that were made with ``create_vpc``, by id.
        metadata: The metadata service, once it is played.
    """

    def __init__(self, *, region: str, clock: Clock) -> None:
        self.region = region
        self.vpcs: dict[str, Vpc] = {}
        self.metadata: InstanceMetadata | None = None
        self._network: SimulatedNetwork | None = None
        self.services = EndpointServices(region)
        self._directory = tempfile.TemporaryDirectory(prefix="private-link-")
        self.files = AwsFiles(Path(self._directory.name))
        self.authority = Authority("Amazon, played by sm_private_client")
        self.corporate_authority = Authority("Corporate Proxy CA")
        self.files.ca_bundle.write_bytes(self.authority.certificate)
        self.server = Server()
        self.topology = Topology()
        self.faults = Faults(on_zone_down=self._reset_zone)
        self.control = ControlPlane(
            # A random account: moto's state is one for the process, but apart by account.
            account_id=str(random.SystemRandom().randrange(10**11, 10**12)),
            region=region,
            partition=self.services.partition.name,
            faults=self.faults,
        )
        self.caller = Caller(control=self.control)
        self.policies = EndpointPolicies(control=self.control, caller=self.caller)
        self.models = HostedModels(control=self.control)
        self._runtime = Runtime(
            models=self.models, control=self.control, faults=self.faults, clock=clock
        )
        self.sagemaker = SageMakerFront(
            control=self.control,
            runtime=self._runtime,
            policies=self.policies,
            faults=self.faults,
            clock=clock,
        )
        self.other_services = OtherServicesFront(
            control=self.control, policies=self.policies, clock=clock
        )
        self._public_names = PublicNames(self.services, region)
        listeners = IngressListeners(
            region=region,
            server=self.server,
            authority=self.authority,
            corporate_authority=self.corporate_authority,
            topology=self.topology,
            services=self.services,
            public_names=self._public_names,
            sagemaker=self.sagemaker,
            others=self.other_services,
            faults=self.faults,
            dialled=lambda connection: self.network.address_dialled_from(connection.client_port),
        )
        self.vpc_endpoints = VpcEndpoints(
            control=self.control,
            services=self.services,
            topology=self.topology,
            listeners=listeners,
        )
        self.control.vpc_endpoints = self.vpc_endpoints
        self.internet = listeners.open_internet()
        loopback = Listener(self.control.answer, on_head=self.control.on_head)
        self.control_url = f"http://{LOOPBACK}:{self.server.listen(loopback).port}"
        self.files.write(
            region=region,
            url=self.control_url,
            access_key_id=self.control.access_key_id,
            secret_access_key=self.control.secret_access_key,
        )

    @property
    def network(self) -> SimulatedNetwork:
        """The network, once there is a VPC to see it from."""
        if self._network is None:
            raise RuntimeError("open_network() comes first")
        return self._network

    def open_network(self, vpc: Vpc) -> None:
        """Make the network as seen from the first subnet of a VPC."""
        self.caller.move_into(next(iter(vpc.subnet_ids.values())))
        self._network = SimulatedNetwork(
            caller=self.caller,
            control=self.control,
            topology=self.topology,
            vpc_endpoints=self.vpc_endpoints,
            faults=self.faults,
            public_names=self._public_names,
            internet=self.internet,
            wait=self.server.stopping.wait,
        )

    def play_metadata(self, role_name: str | None) -> InstanceMetadata:
        """Play the instance metadata service from now on."""
        self.metadata = InstanceMetadata(
            root=Path(self._directory.name) / "root",
            control=self.control,
            caller=self.caller,
            role_name=role_name,
        )
        listener = self.server.listen(Listener(self.metadata.answer))
        self.network.map(METADATA_ADDRESS, 80, (LOOPBACK, listener.port))
        return self.metadata

    def corporate_ca_bundle(self) -> Path:
        """Write the bundle that trusts both authorities, as a company's machines have it."""
        certificates = self.authority.certificate + self.corporate_authority.certificate
        self.files.corporate_ca_bundle.write_bytes(certificates)
        return self.files.corporate_ca_bundle

    def stop(self) -> None:
        """End every part."""
        self.server.stop()
        self._runtime.jobs.stop()
        self.models.close()
        if self._network is not None:
            self._network.close()
        self.control.forget()
        self._directory.cleanup()

    def _reset_zone(self, zone: str) -> None:
        for standing in self.topology.all():
            for interface in standing.interfaces:
                if interface.availability_zone == zone:
                    interface.listener.reset_connections()
