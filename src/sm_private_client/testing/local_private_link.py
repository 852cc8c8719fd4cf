"""LocalPrivateLink: a VPC with SageMaker endpoints, on loopback, in this process."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, Literal

import botocore.session
from botocore.loaders import Loader, create_loader

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.location import locate
from sm_private_client.routing.settings import read_environment
from sm_private_client.session import Session
from sm_private_client.session.private_routes import routes_of
from sm_private_client.testing.network_controls import NetworkControls
from sm_private_client.testing.simulator import Simulator

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from typing_extensions import Self

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.hosting import Model, ModelRecord
    from sm_private_client.testing.network import SimulatedNetwork
    from sm_private_client.testing.records import Log, RequestRecord
    from sm_private_client.testing.server import Listener
    from sm_private_client.testing.signatures import Clock
    from sm_private_client.testing.topology import StandingVpcEndpoint

__all__ = ["LocalPrivateLink"]

OtherServices = Literal["loopback", "network"]


class LocalPrivateLink(NetworkControls):
    """A VPC with SageMaker endpoints, played on loopback, in one process, without root.

    ``with LocalPrivateLink() as link: link.session().client("sagemaker")``. The API is moto's;
    names, addresses, TLS and signatures are checked as AWS checks them. Several may run at once:
    each has an account of its own. ``moto.mock_aws`` must not be active at the same time, since
    it resets all of moto and answers before anything is dialled.

    Args:
        region: The region, of any partition.
        zones: The Availability Zones that VPCs have subnets in; by default the region's first two.
        services: boto3's names of the services that get a VPC endpoint in the first VPC.
        private_dns: Whether these answer for the default host names.
        fips: Whether these are of the FIPS endpoint services.
        clock: Returns the time that signatures are judged by, UTC without a zone.

    Attributes:
        region: The region.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        zones: Sequence[str] | None = None,
        services: Sequence[str] = ("sagemaker", "sagemaker-runtime"),
        private_dns: bool = False,
        fips: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.region = region
        self._zones = tuple(zones) if zones is not None else None
        self._services = tuple(services)
        self._private_dns = private_dns
        self._fips = fips
        self._clock = clock or _utc_now
        self._simulator: Simulator | None = None

    def start(self) -> LocalPrivateLink:
        """Start it.

        Raises:
            ConfigurationError: It runs already, or an argument does not fit the region.
        """
        if self._simulator is not None:
            raise ConfigurationError(
                "This LocalPrivateLink runs already.", remedy="call stop() first, or make another."
            )
        self._simulator = Simulator(region=self.region, clock=self._clock)
        try:
            self._simulator.open_network(self.create_vpc())
            for service in self._services:
                self.create_vpc_endpoint(service, private_dns=self._private_dns, fips=self._fips)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it and forget its state; calling it again does nothing."""
        simulator, self._simulator = self._simulator, None
        if simulator is not None:
            simulator.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self._simulator is not None else "stopped"
        return f"<LocalPrivateLink {self.region} {state}>"

    @property
    def _running(self) -> Simulator:
        if self._simulator is None:
            raise ConfigurationError(
                "This LocalPrivateLink is not running.",
                remedy="call start(), or use it in a with statement.",
            )
        return self._simulator

    # How clients get here

    def session(self, *, other_services: OtherServices = "loopback", **options: Any) -> Session:  # noqa: ANN401 - those of Session
        """Return a ``Session`` inside the VPC; the process's environment is left alone.

        Args:
            other_services: See ``botocore_session``.
            **options: Of ``sm_private_client.Session``.
        """
        options.setdefault("network", self.network)
        if "botocore_session" not in options:
            options["botocore_session"] = self.botocore_session(other_services=other_services)
        session = Session(**options)
        metadata = self._running.metadata
        if metadata is not None:
            # A real session asks the machine's own firmware whether this is EC2.
            routes_of(session).router.set_location(
                locate(self.network, environ=metadata.environment, root=metadata.root)
            )
        return session

    def botocore_session(
        self, *, other_services: OtherServices = "loopback"
    ) -> botocore.session.Session:
        """Return a botocore session with the simulator's files, keys and authority.

        Args:
            other_services: ``loopback``: EC2, STS, S3 and so on have ``control_url`` as their URL.
                ``network``: they have their own host names, and are reached only by clients
                whose connections go through ``network``.
        """
        files = self._running.files
        config = files.config if other_services == "loopback" else files.network_config
        session = botocore.session.Session()
        for name, value in (
            ("config_file", str(config)),
            ("credentials_file", str(files.credentials)),
            ("profile", "default"),
            ("ca_bundle", self.ca_bundle),
            ("region", self.region),
        ):
            session.set_config_variable(name, value)
        loader = _loader(read_environment().get("AWS_DATA_PATH"))
        session.register_component("data_loader", loader)
        return session

    def environment(self) -> dict[str, str]:
        """Return the variables that lead boto3 in another process, or all of this one, here.

        SageMaker's own services stay without a URL: they are only found through ``network``.
        """
        files = self._running.files
        return {
            "AWS_CONFIG_FILE": str(files.config),
            "AWS_SHARED_CREDENTIALS_FILE": str(files.credentials),
            "AWS_PROFILE": "default",
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": "",
            "AWS_CA_BUNDLE": self.ca_bundle,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    @property
    def network(self) -> SimulatedNetwork:
        """The network as seen from inside the VPC: a ``NetworkBackend``."""
        return self._running.network

    @property
    def control_url(self) -> str:
        """The URL of EC2, STS, S3, IAM and the other services."""
        return self._running.control_url

    @property
    def account_id(self) -> str:
        """The account."""
        return self._running.control.account_id

    @property
    def access_key_id(self) -> str:
        """The id of a key that is good for everything."""
        return self._running.control.access_key_id

    @property
    def secret_access_key(self) -> str:
        """That key's secret, which is worth nothing outside of the simulator."""
        return self._running.control.secret_access_key

    @property
    def ca_bundle(self) -> str:
        """Path of the certificate authority that the listeners' certificates are signed by."""
        return str(self._running.files.ca_bundle)

    @property
    def corporate_ca_bundle(self) -> str:
        """Path of a bundle that also has the authority of ``faults.tls_inspection``."""
        return str(self._running.corporate_ca_bundle())

    # Models

    def deploy(
        self,
        endpoint_name: str,
        model: Model | str,
        *,
        variant: str = "AllTraffic",
        s3_output_path: str | None = None,
        s3_failure_path: str | None = None,
    ) -> None:
        """Host a model behind an inference endpoint, which is ``InService`` when this returns.

        Args:
            endpoint_name: The inference endpoint's name; one that exists gets the new model.
            model: A callable ``(body, content_type)`` that returns bytes, text, either with a
                content type as a tuple, or an iterable of bytes (the parts of a response
                stream); or the URL of a server with SageMaker's container contract
                (``GET /ping``, ``POST /invocations``).
            variant: The production variant.
            s3_output_path: ``s3://bucket/prefix`` for asynchronous answers; without it
                InvokeEndpointAsync is refused.
            s3_failure_path: The same for asynchronous failures, which go to the output path
                without it.

        Raises:
            ConfigurationError: The server does not answer ``GET /ping`` with 200, or a path is
                not one of S3.
            ValueError: SageMaker refuses the name.
        """
        self._running.models.deploy(
            endpoint_name,
            model,
            variant=variant,
            s3_output_path=s3_output_path,
            s3_failure_path=s3_failure_path,
        )

    def model(self, endpoint_name: str) -> ModelRecord:
        """Return what the models behind an inference endpoint really received."""
        return self._running.models.record(endpoint_name)

    # What stands, what goes wrong, what happened

    @property
    def vpc_endpoints(self) -> tuple[StandingVpcEndpoint, ...]:
        """The interface VPC endpoints, the oldest first."""
        return self._running.topology.all()

    def vpc_endpoint(self, service: str, *, fips: bool = False) -> StandingVpcEndpoint:
        """Return the oldest VPC endpoint of a boto3 service in the VPC that calls come from.

        Raises:
            LookupError: It has none.
        """
        for standing in self.vpc_endpoints:
            row = standing.name.service
            if (row.service_name, row.fips, standing.vpc_id) == (service, fips, self.vpc_id):
                return standing
        raise LookupError(f"{self.vpc_id} has no VPC endpoint for {service}")

    @property
    def faults(self) -> Faults:
        """What switches faults on and off."""
        return self._running.faults

    @property
    def control(self) -> ControlPlane:
        """Moto's side: ``page_size``, ``participant``, objects in S3."""
        return self._running.control

    @property
    def requests(self) -> Log[RequestRecord]:
        """Every request that reached a SageMaker listener, without payloads."""
        return self._running.sagemaker.requests

    @property
    def other_service_requests(self) -> Log[RequestRecord]:
        """Every request that reached another service over the network, without payloads.

        Those to ``control_url`` are not among them.
        """
        return self._running.other_services.requests

    @property
    def calls(self) -> Counter[str]:
        """How often each action was called, such as ``ec2:DescribeVpcEndpoints``."""
        return self._running.control.calls

    @property
    def internet(self) -> Listener:
        """What stands for AWS's public addresses: counts connections and bytes."""
        return self._running.internet


@functools.cache
def _loader(data_path: str | None) -> Loader:
    """Read botocore's models once a process: EC2's alone takes a third of a second."""
    return create_loader(data_path)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
