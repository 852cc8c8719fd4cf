"""Make VPCs and VPC endpoints from inside, as EC2's API would."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.other_services import OTHER_SERVICES
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.testing.endpoint_services import GATEWAY_SERVICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.gateways import Gateways
    from sm_private_client.testing.topology import StandingVpcEndpoint, Topology
    from sm_private_client.testing.vpc_endpoints import VpcEndpoints

__all__ = ["Vpc", "Vpcs"]

_OPEN_GROUP: Final = "vpc-endpoints"
_PRIVATE_NETWORKS: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
"""RFC 1918 and RFC 6598: where peered VPCs and on-premises networks mostly are."""


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
        gateways: Furnishes moto's gateways.
        topology: What stands.
    """

    def __init__(
        self,
        *,
        region: str,
        control: ControlPlane,
        vpc_endpoints: VpcEndpoints,
        gateways: Gateways,
        topology: Topology,
    ) -> None:
        self._region = region
        self._control = control
        self._vpc_endpoints = vpc_endpoints
        self._gateways = gateways
        self._offers = vpc_endpoints.offers
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
            # AWS makes this group with a rule that lets in everything from the group itself.
            group = backend.get_default_security_group(made.id)
            itself = [{"GroupId": group.id}]
            backend.authorize_security_group_ingress(
                group.id, "-1", "-1", "-1", [], source_groups=itself
            )
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
        security_group_ids: Sequence[str] | None,
    ) -> StandingVpcEndpoint:
        """Makes a VPC endpoint; see ``LocalPrivateLink.create_vpc_endpoint``."""
        row = self.row(service, fips=fips)
        vpc = self.vpc(vpc_id)
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
            groups = security_group_ids
            made = self._control.ec2_backend(self._region).create_vpc_endpoint(
                vpc.vpc_id,
                self._offers.full_name(row, self._region),
                "Interface",
                None,
                [],
                subnet_ids=[vpc.subnet_ids[zone] for zone in chosen],
                private_dns_enabled=private_dns,
                security_group_ids=[self._open_group(vpc)] if groups is None else list(groups),
            )
            made.state = state
            return self._vpc_endpoints.furnish(made, service=row, private_dns=private_dns)

    def set_state(self, vpc_endpoint_id: str, state: str) -> None:
        """Changes a VPC endpoint's state."""
        with self._control.locked():
            self._control.ec2_backend(self._region).vpc_end_points[vpc_endpoint_id].state = state
            self._topology.replace_state(vpc_endpoint_id, state)

    def furnish_again(self, vpc_endpoint_id: str) -> None:
        """Has an interface VPC endpoint's parts follow what was changed in moto."""
        with self._control.locked():
            made = self._control.ec2_backend(self._region).vpc_end_points[vpc_endpoint_id]
            row = self.row(made.service_name)
            self._vpc_endpoints.furnish(made, service=row, private_dns=made.private_dns_enabled)

    def delete_vpc_endpoint(self, vpc_endpoint_id: str) -> None:
        """Takes a VPC endpoint away."""
        with self._control.locked():
            backend = self._control.ec2_backend(self._region)
            backend.delete_vpc_endpoints(vpce_ids=[vpc_endpoint_id])
            backend.vpc_end_points.pop(vpc_endpoint_id, None)
            self._vpc_endpoints.remove(vpc_endpoint_id)
            self._gateways.remove(vpc_endpoint_id)

    def vpc(self, vpc_id: str) -> Vpc:
        """Finds a VPC that was made from inside.

        Raises:
            ConfigurationError: There is none of this id.
        """
        found = self._vpcs.get(vpc_id)
        if found is None:
            raise ConfigurationError(
                f"There is no VPC {vpc_id} with subnets in the simulator.",
                remedy="use the vpc_id of what create_vpc() gave, or EC2's CreateVpcEndpoint.",
            )
        return found

    def row(self, service: str, *, fips: bool = False) -> EndpointService:
        """Finds an endpoint service by its full name or by boto3's name of the service.

        Raises:
            ConfigurationError: There is none.
        """
        found = self._offers.find(service, self._region)
        found = found or self._offers.of_client(service, fips=fips)
        if found is None:
            kind = "FIPS endpoint service" if fips else "endpoint service"
            names = (*routable_service_names(), *(row.service_name for row in OTHER_SERVICES))
            raise ConfigurationError(
                f"There is no {kind} for {service!r}.",
                remedy=f"name one of {', '.join(names)}, or an endpoint "
                f"service such as aws.sagemaker.{self._region}.notebook.",
            )
        return found

    def create_gateway(
        self, service: str, *, vpc_id: str, route_table_ids: Sequence[str] | None
    ) -> str:
        """Makes a gateway VPC endpoint; see ``LocalPrivateLink.create_gateway``."""
        full_name = f"com.amazonaws.{self._region}.{service}"
        if self._gateways.service_of(full_name, self._region) is None:
            raise ConfigurationError(
                f"There is no gateway endpoint for {service!r}.",
                remedy=f"name one of {', '.join(sorted(GATEWAY_SERVICES))}.",
            )
        with self._control.locked():
            backend = self._control.ec2_backend(self._region)
            tables = route_table_ids
            if tables is None:
                tables = [t.id for t in backend.route_tables.values() if t.vpc_id == vpc_id]
            made = backend.create_vpc_endpoint(vpc_id, full_name, "Gateway", None, list(tables))
            self._gateways.furnish(made)
            return str(made.id)

    def _open_group(self, vpc: Vpc) -> str:
        """Gives the security group that lets port 443 in from the VPC and private networks."""
        backend = self._control.ec2_backend(self._region)
        known = backend.get_security_group_from_name(_OPEN_GROUP, vpc_id=vpc.vpc_id)
        if known is None:
            known = backend.create_security_group(
                _OPEN_GROUP, "HTTPS from this VPC and private networks", vpc_id=vpc.vpc_id
            )
            cidrs = dict.fromkeys([vpc.cidr_block, *_PRIVATE_NETWORKS])
            backend.authorize_security_group_ingress(
                known.id, "tcp", "443", "443", [{"CidrIp": cidr} for cidr in cidrs]
            )
        return str(known.id)
