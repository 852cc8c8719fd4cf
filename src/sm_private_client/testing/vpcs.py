"""Make VPCs and VPC endpoints from inside, as EC2's API would."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.hostnames import endpoint_service_name
from sm_private_client.privatelink.services import (
    by_endpoint_service_name,
    for_service,
    is_family,
    routable_service_names,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.topology import StandingVpcEndpoint, Topology
    from sm_private_client.testing.vpc_endpoints import VpcEndpoints

__all__ = ["Vpc", "Vpcs"]


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


class Vpcs:
    """The VPCs that were made from inside.

    Args:
        region: Their region.
        control: Holds moto's EC2.
        vpc_endpoints: Furnishes moto's VPC endpoints.
        topology: What stands.
    """

    def __init__(
        self,
        *,
        region: str,
        control: ControlPlane,
        vpc_endpoints: VpcEndpoints,
        topology: Topology,
    ) -> None:
        self._region = region
        self._control = control
        self._vpc_endpoints = vpc_endpoints
        self._topology = topology
        self._vpcs: dict[str, Vpc] = {}

    def first_zones(self, count: int) -> tuple[str, ...]:
        """Gives the first zones of the region.

        Raises:
            ConfigurationError: moto does not know the region.
        """
        with self._control.locked():
            try:
                backend = self._control.ec2_backend(self._region)
            except KeyError:
                raise ConfigurationError(
                    f"moto plays no EC2 in {self._region}.",
                    remedy="choose a region that moto knows, such as us-east-1 or cn-north-1.",
                ) from None
            return tuple(sorted(z.name for z in backend.describe_availability_zones())[:count])

    def create_vpc(self, zones: Sequence[str], cidr_block: str | None) -> Vpc:
        """Makes a VPC; see ``LocalPrivateLink.create_vpc``."""
        block = cidr_block or f"10.{len(self._vpcs)}.0.0/16"
        subnets = ipaddress.ip_network(block).subnets(new_prefix=24)
        with self._control.locked():
            backend = self._control.ec2_backend(self._region)
            made = backend.create_vpc(block)
            backend.modify_vpc_attribute(made.id, "enable_dns_support", "true")
            backend.modify_vpc_attribute(made.id, "enable_dns_hostnames", "true")
            subnet_ids = {
                zone: backend.create_subnet(made.id, str(next(subnets)), availability_zone=zone).id
                for zone in (zones)
            }
        vpc = Vpc(vpc_id=made.id, cidr_block=block, subnet_ids=subnet_ids)
        self._vpcs[vpc.vpc_id] = vpc
        return vpc

    def create_vpc_endpoint(
        self,
        service: str,
        *,
        vpc_id: str,
        zones: Sequence[str] | None,
        private_dns: bool,
        fips: bool,
        state: str,
    ) -> StandingVpcEndpoint:
        """Makes a VPC endpoint; see ``LocalPrivateLink.create_vpc_endpoint``."""
        row = self._row(service, fips=fips)
        vpc = self._vpcs.get(vpc_id)
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
        conflict = (
            self._vpc_endpoints.private_dns_conflict(vpc.vpc_id, row) if private_dns else None
        )
        if conflict is not None:
            raise ConfigurationError(
                f"{vpc.vpc_id} has a VPC endpoint with private DNS for {conflict} already.",
                remedy="make the other one with private_dns=False.",
            )
        with self._control.locked():
            made = self._control.ec2_backend(self._region).create_vpc_endpoint(
                vpc.vpc_id,
                endpoint_service_name(
                    row, region=self._region, partition=self._vpc_endpoints.partition
                ),
                "Interface",
                None,
                [],
                subnet_ids=[vpc.subnet_ids[zone] for zone in chosen],
                private_dns_enabled=private_dns,
            )
            made.state = state
            return self._vpc_endpoints.furnish(made, service=row, private_dns=private_dns)

    def set_state(self, vpc_endpoint_id: str, state: str) -> None:
        """Changes a VPC endpoint's state."""
        with self._control.locked():
            self._control.ec2_backend(self._region).vpc_end_points[vpc_endpoint_id].state = state
            self._topology.replace_state(vpc_endpoint_id, state)

    def delete_vpc_endpoint(self, vpc_endpoint_id: str) -> None:
        """Takes a VPC endpoint away."""
        with self._control.locked():
            backend = self._control.ec2_backend(self._region)
            backend.delete_vpc_endpoints(vpce_ids=[vpc_endpoint_id])
            backend.vpc_end_points.pop(vpc_endpoint_id, None)
            self._vpc_endpoints.remove(vpc_endpoint_id)

    def _row(self, service: str, *, fips: bool) -> EndpointService:
        row = by_endpoint_service_name(service) or (
            for_service(service, fips=fips) if is_family(service) else None
        )
        if row is None:
            kind = "FIPS endpoint service" if fips else "endpoint service"
            raise ConfigurationError(
                f"There is no {kind} for {service!r}.",
                remedy=f"name one of {', '.join(routable_service_names())}, or an endpoint "
                f"service such as aws.sagemaker.{self._region}.notebook.",
            )
        return row
