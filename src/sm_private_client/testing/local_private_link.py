"""LocalPrivateLink: a VPC with SageMaker endpoints, on loopback, in this process."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.testing.access import Access
from sm_private_client.testing.network_controls import NetworkControls
from sm_private_client.testing.simulator import Simulator

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.hosting import Model, ModelRecord
    from sm_private_client.testing.records import Log, RequestRecord
    from sm_private_client.testing.server import Listener
    from sm_private_client.testing.topology import StandingVpcEndpoint
    from sm_private_client.testing.vpcs import Vpc

__all__ = ["LocalPrivateLink"]


class LocalPrivateLink(Access, NetworkControls):
    """A VPC with SageMaker endpoints, played on loopback, in one process, without root.

    ``with LocalPrivateLink() as link: link.session().client("sagemaker")``. The API is moto's;
    names, addresses, TLS and signatures are checked as AWS checks them. Several may run at once:
    each has an account of its own. ``moto.mock_aws`` must not be active at the same time, since
    it resets all of moto and answers before anything is dialled.

    Args:
        region: The region, of any partition.
        zones: The Availability Zones that VPCs have subnets in; the region's first two where
            not given.
        services: boto3's names of the services that get a VPC endpoint in the first VPC.
        private_dns: Whether these answer for the default host names.
        fips: Whether these are of the FIPS endpoint services.
        clock: Gives the time that signatures are judged by, UTC without a zone.

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
        clock: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self.region = region
        self._zones = tuple(zones) if zones is not None else None
        self._services = tuple(services)
        self._private_dns = private_dns
        self._fips = fips
        self._clock = clock or _utc_now
        self._plant: Simulator | None = None

    def start(self) -> LocalPrivateLink:
        """Starts it.

        Raises:
            ConfigurationError: It runs already, or an argument does not fit the region.
        """
        if self._plant is not None:
            raise ConfigurationError(
                "This LocalPrivateLink runs already.", remedy="call stop() first, or make another."
            )
        self._plant = Simulator(region=self.region, clock=self._clock)
        try:
            first = self.create_vpc()
            self._plant.open_network(first)
            for service in self._services:
                self.create_vpc_endpoint(service, private_dns=self._private_dns, fips=self._fips)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends it and forgets its state; calling it again does nothing."""
        simulator, self._plant = self._plant, None
        if simulator is not None:
            simulator.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self._plant is not None else "stopped"
        return f"<LocalPrivateLink {self.region} {state}>"

    # What stands

    def create_vpc(
        self, *, zones: Sequence[str] | None = None, cidr_block: str | None = None
    ) -> Vpc:
        """Makes a VPC with a subnet in each zone and DNS switched on.

        Args:
            zones: Its zones; those of the simulator where not given.
            cidr_block: Its addresses, at least a /20; 10.0.0.0/16, 10.1.0.0/16 and so on where
                not given.
        """
        chosen = zones if zones is not None else self._zones
        vpcs = self._running.vpcs
        return vpcs.create_vpc(vpcs.first_zones(2) if chosen is None else chosen, cidr_block)

    def create_vpc_endpoint(
        self,
        service: str,
        *,
        vpc_id: str | None = None,
        zones: Sequence[str] | None = None,
        private_dns: bool = False,
        fips: bool = False,
        state: str = "available",
        security_group_ids: Sequence[str] | None = None,
    ) -> StandingVpcEndpoint:
        """Makes an interface VPC endpoint, as EC2's CreateVpcEndpoint would.

        Args:
            service: boto3's name of a service of SageMaker's, or such as ``sts``, or
                the full name of an endpoint service.
            vpc_id: Its VPC; the one that the network is in where not given.
            zones: Zones with an ENI; all of the VPC's where not given.
            private_dns: Whether it answers for the default host name.
            fips: Whether it is of the FIPS endpoint service.
            state: As EC2 answers it; the names of one that is not ``available`` do not resolve.
            security_group_ids: The groups of its ENIs; one that lets port 443 in from the VPC
                and from private networks where not given.

        Raises:
            ConfigurationError: There is no such endpoint service, VPC or subnet.
        """
        forget_shared_answers()
        return self._running.vpcs.create_vpc_endpoint(
            service,
            vpc_id=vpc_id or self.vpc_id,
            zones=zones,
            private_dns=private_dns,
            fips=fips,
            state=state,
            security_group_ids=security_group_ids,
        )

    def set_state(self, vpc_endpoint_id: str, state: str) -> None:
        """Changes a VPC endpoint's state, such as to ``deleting``.

        Raises:
            KeyError: There is none of this id.
        """
        self._running.vpcs.set_state(vpc_endpoint_id, state)
        forget_shared_answers()

    def delete_vpc_endpoint(self, vpc_endpoint_id: str) -> None:
        """Takes a VPC endpoint away, with its ENIs and their connections."""
        self._running.vpcs.delete_vpc_endpoint(vpc_endpoint_id)
        forget_shared_answers()

    @property
    def vpc_id(self) -> str:
        """The VPC that calls come from."""
        return self.network.vpc_id

    @property
    def vpc_endpoints(self) -> tuple[StandingVpcEndpoint, ...]:
        """The interface VPC endpoints of the catalogue and the other services, the oldest first."""
        return self._running.topology.all()

    def vpc_endpoint(self, service: str, *, fips: bool = False) -> StandingVpcEndpoint:
        """Gives the oldest VPC endpoint of a boto3 service in the VPC that calls come from.

        Raises:
            LookupError: It has none.
        """
        for standing in self.vpc_endpoints:
            row = standing.name.service
            if (row.service_name, row.fips, standing.vpc_id) == (service, fips, self.vpc_id):
                return standing
        raise LookupError(f"{self.vpc_id} has no VPC endpoint for {service}")

    def deploy(
        self,
        endpoint_name: str,
        model: Model | str,
        *,
        variant: str = "AllTraffic",
        s3_output_path: str | None = None,
        s3_failure_path: str | None = None,
    ) -> None:
        """Hosts a model behind an inference endpoint, which is ``InService`` when this returns.

        Args:
            endpoint_name: The inference endpoint's name; one that exists gets the new model.
            model: A callable ``(body, content_type)`` that gives bytes, text, either with a
                content type as a tuple, or an iterable of bytes (the parts of a response
                stream); or the URL of a server with SageMaker's container contract
                (``GET /ping``, ``POST /invocations``).
            variant: The production variant.
            s3_output_path: ``s3://bucket/prefix`` for asynchronous answers; without it
                InvokeEndpointAsync is refused.
            s3_failure_path: The same for asynchronous failures, which go to the output path
                where it is not given.

        Raises:
            ConfigurationError: The server does not answer ``GET /ping`` with 200, or a path is
                not one of S3.
            ValueError: SageMaker refuses the name.
        """
        self._running.deployment.deploy(
            endpoint_name,
            model,
            variant=variant,
            s3_output_path=s3_output_path,
            s3_failure_path=s3_failure_path,
        )

    # What happened

    @property
    def faults(self) -> Faults:
        """Switches faults on and off."""
        return self._running.faults

    @property
    def requests(self) -> Log[RequestRecord]:
        """Every request that reached a SageMaker listener, without payloads."""
        return self._running.data.requests

    @property
    def other_service_requests(self) -> Log[RequestRecord]:
        """Every request that reached another service over the network, without payloads.

        Those to ``control_url`` are not among them.
        """
        return self._running.other_service_front.requests

    def model(self, endpoint_name: str) -> ModelRecord:
        """Gives what the models behind an inference endpoint really received."""
        return self._running.models.record(endpoint_name)

    @property
    def calls(self) -> Counter[str]:
        """How often each action was called, such as ``ec2:DescribeVpcEndpoints``."""
        return self._running.control.calls

    @property
    def internet(self) -> Listener:
        """What stands for AWS's public addresses: counts connections and bytes."""
        return self._running.internet

    @property
    def control(self) -> ControlPlane:
        """Moto's side: ``page_size``, ``participant``, objects in S3."""
        return self._running.control

    @property
    def _running(self) -> Simulator:
        if self._plant is None:
            raise ConfigurationError(
                "This LocalPrivateLink is not running.",
                remedy="call start(), or use it in a with statement.",
            )
        return self._plant


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
