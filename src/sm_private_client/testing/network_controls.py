"""What the simulated network is built with: VPCs, VPC endpoints, packet filters, the caller."""

from __future__ import annotations

import abc
import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.other_services import OTHER_SERVICES
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.testing.endpoint_services import GATEWAY_SERVICES, policy_problem
from sm_private_client.testing.topology import Vpc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.caller import CallerLocation
    from sm_private_client.testing.control_plane import MotoObject
    from sm_private_client.testing.instance_metadata import InstanceMetadata
    from sm_private_client.testing.simulator import Simulator
    from sm_private_client.testing.topology import StandingVpcEndpoint

__all__ = ["NetworkControls"]

_HTTPS: Final = "443"
_PRIVATE_NETWORKS: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
"""RFC 1918 and RFC 6598: where peered VPCs and on-premises networks mostly are."""

_OPEN_GROUP: Final = "vpc-endpoints"


class NetworkControls(abc.ABC):
    """The part of ``LocalPrivateLink`` that builds healthy and broken networks.

    Everything here changes moto's EC2, so that EC2 describes it, and is in force on the network:
    what is not let through is swallowed. The same changes through boto3's ``ec2`` client count as
    well. Without a ``vpc_id`` the VPC that calls come from is meant.
    """

    _zones: tuple[str, ...] | None

    @property
    @abc.abstractmethod
    def _running(self) -> Simulator: ...

    def _ec2(self) -> AbstractContextManager[MotoObject]:
        return self._running.control.ec2()

    # VPCs and VPC endpoints

    @property
    def vpc_id(self) -> str:
        """The VPC that calls come from."""
        return self._running.caller.location.vpc_id

    def create_vpc(
        self, *, zones: Sequence[str] | None = None, cidr_block: str | None = None
    ) -> Vpc:
        """Make a VPC with a subnet in each zone and DNS switched on.

        Args:
            zones: Its zones; by default those of the simulator.
            cidr_block: Its addresses, at least a /20; by default 10.0.0.0/16, 10.1.0.0/16 and so
                on.

        Raises:
            ConfigurationError: moto does not know the region.
        """
        vpcs = self._running.vpcs
        block = cidr_block or f"10.{len(vpcs)}.0.0/16"
        subnets = ipaddress.ip_network(block).subnets(new_prefix=24)
        with self._ec2() as backend:
            known_zones = sorted(zone.name for zone in backend.describe_availability_zones())
            vpc_id = backend.create_vpc(block).id
            backend.modify_vpc_attribute(vpc_id, "enable_dns_support", "true")
            backend.modify_vpc_attribute(vpc_id, "enable_dns_hostnames", "true")
            # AWS makes this group with a rule that lets in everything from the group itself.
            group_id = backend.get_default_security_group(vpc_id).id
            backend.authorize_security_group_ingress(
                group_id, "-1", "-1", "-1", [], source_groups=[{"GroupId": group_id}]
            )
            subnet_ids = {
                zone: backend.create_subnet(vpc_id, str(subnet), availability_zone=zone).id
                for zone, subnet in zip(
                    zones or self._zones or known_zones[:2], subnets, strict=False
                )
            }
        vpc = Vpc(vpc_id=vpc_id, cidr_block=block, subnet_ids=subnet_ids)
        vpcs[vpc_id] = vpc
        return vpc

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
        """Make an interface VPC endpoint, as EC2's CreateVpcEndpoint would.

        Args:
            service: boto3's name of a service of SageMaker's, or such as ``sts``, or
                the full name of an endpoint service.
            vpc_id: Its VPC.
            zones: Zones with an ENI; by default all of the VPC's.
            private_dns: Whether it answers for the default host name.
            fips: Whether it is of the FIPS endpoint service.
            state: As EC2 answers it; the names of one that is not ``available`` do not resolve.
            security_group_ids: The groups of its ENIs; by default one that lets port 443 in from
                the VPC and from private networks.

        Raises:
            ConfigurationError: There is no such endpoint service, VPC or subnet.
        """
        forget_shared_answers()
        running = self._running
        endpoint_service = self._endpoint_service(service, fips=fips)
        vpc = self._vpc(vpc_id)
        zones = tuple(vpc.subnet_ids) if zones is None else zones
        subnet_ids = [self._subnet(vpc, zone) for zone in zones]
        conflict = running.vpc_endpoints.private_dns_conflict(vpc.vpc_id, endpoint_service)
        if private_dns and conflict is not None:
            raise ConfigurationError(
                f"{vpc.vpc_id} has a VPC endpoint with private DNS for {conflict} already.",
                remedy="make the other one with private_dns=False.",
            )
        with self._ec2() as backend:
            if security_group_ids is None:
                security_group_ids = [_open_group(backend, vpc)]
            vpc_endpoint = backend.create_vpc_endpoint(
                vpc.vpc_id,
                running.services.full_name(endpoint_service, running.region),
                "Interface",
                None,
                [],
                subnet_ids=subnet_ids,
                private_dns_enabled=private_dns,
                security_group_ids=list(security_group_ids),
            )
            vpc_endpoint.state = state
            return running.vpc_endpoints.set_up(
                vpc_endpoint, service=endpoint_service, private_dns=private_dns
            )

    def create_gateway(
        self,
        service: str = "s3",
        *,
        vpc_id: str | None = None,
        route_table_ids: Sequence[str] | None = None,
    ) -> str:
        """Make a gateway VPC endpoint, as EC2's CreateVpcEndpoint would.

        From subnets whose route table has its entry, the service's public addresses are reached
        through it, and are not counted as internet.

        Args:
            service: ``s3`` or ``dynamodb``.
            vpc_id: Its VPC.
            route_table_ids: Route tables that get its entry; by default all of the VPC's.

        Returns:
            The VPC endpoint's id.

        Raises:
            ConfigurationError: The service has no gateway.
        """
        if service not in GATEWAY_SERVICES:
            raise ConfigurationError(
                f"There is no gateway endpoint for {service!r}.",
                remedy=f"name one of {', '.join(sorted(GATEWAY_SERVICES))}.",
            )
        full_name = f"com.amazonaws.{self._running.region}.{service}"
        vpc_id = vpc_id or self.vpc_id
        with self._ec2() as backend:
            if route_table_ids is None:
                tables = backend.route_tables.values()
                route_table_ids = [table.id for table in tables if table.vpc_id == vpc_id]
            gateway = backend.create_vpc_endpoint(
                vpc_id, full_name, "Gateway", None, list(route_table_ids)
            )
            self._running.vpc_endpoints.set_up_gateway(gateway)
            return str(gateway.id)

    def set_state(self, vpc_endpoint_id: str, state: str) -> None:
        """Change a VPC endpoint's state, such as to ``deleting``.

        Raises:
            KeyError: There is none of this id.
        """
        with self._ec2() as backend:
            backend.vpc_end_points[vpc_endpoint_id].state = state
            self._running.topology.set_state(vpc_endpoint_id, state)
        forget_shared_answers()

    def delete_vpc_endpoint(self, vpc_endpoint_id: str) -> None:
        """Delete a VPC endpoint, with its ENIs and their connections."""
        with self._ec2() as backend:
            self._running.vpc_endpoints.delete(vpc_endpoint_id, backend)
        forget_shared_answers()

    def stop_offering(self, service: str, availability_zone: str) -> None:
        """Stop offering an endpoint service in a zone: EC2 says so, and refuses subnets there.

        Raises:
            ConfigurationError: There is no such endpoint service.
        """
        self._running.services.stop_offering(self._endpoint_service(service), availability_zone)

    # Endpoint policies

    def set_policy(self, vpc_endpoint_id: str, document: Mapping[str, Any] | str | None) -> None:
        """Attach an endpoint policy, which is in force from the next request on.

        Args:
            vpc_endpoint_id: An interface or gateway VPC endpoint.
            document: The policy; ``None`` for the one that allows everything.

        Raises:
            ConfigurationError: EC2 would refuse it.
            KeyError: There is no such VPC endpoint.
        """
        running = self._running
        with self._ec2() as backend:
            vpc_endpoint = backend.vpc_end_points[vpc_endpoint_id]
            if document is None:
                vpc_endpoint.policy_document = json.dumps(vpc_endpoint.DEFAULT_POLICY)
                return
            text = document if isinstance(document, str) else json.dumps(document)
            service = running.services.find(vpc_endpoint.service_name, running.region)
            problem = policy_problem(text, service)
            if problem is not None:
                raise ConfigurationError(
                    f"The policy of {vpc_endpoint_id} cannot be set.", cause=problem
                )
            vpc_endpoint.policy_document = text

    @property
    def organization_id(self) -> str | None:
        """What ``aws:PrincipalOrgID`` is to endpoint policies; ``None``: there is none."""
        return self._running.policies.organization_id

    @organization_id.setter
    def organization_id(self, organization_id: str | None) -> None:
        self._running.policies.organization_id = organization_id

    # Where calls come from

    @property
    def caller(self) -> CallerLocation:
        """Where calls come from: at first, the first subnet of the first VPC."""
        return self._running.caller.location

    def move_to(
        self,
        availability_zone: str,
        *,
        vpc_id: str | None = None,
        security_group_ids: Sequence[str] = (),
    ) -> CallerLocation:
        """Move the caller into the subnet of a zone, with an ENI of its own there.

        Args:
            availability_zone: The zone.
            vpc_id: The VPC.
            security_group_ids: The ENI's groups; the VPC's default group if empty.

        Raises:
            ConfigurationError: The VPC was not made with ``create_vpc``, or has no subnet there.
        """
        subnet_id = self._subnet(self._vpc(vpc_id), availability_zone)
        return self._running.caller.move_into(subnet_id, security_group_ids)

    def move_on_premises(
        self, address: str = "192.168.10.20", *, inbound_resolver: bool = False
    ) -> CallerLocation:
        """Move the caller to the other end of a VPN or Direct Connect.

        The VPC's addresses stay reachable, as far as security groups let the address in; private
        DNS does not answer there without an inbound resolver endpoint, and no gateway does.

        Args:
            address: The caller's address.
            inbound_resolver: Whether names are looked up by the VPC's resolver.
        """
        return self._running.caller.move_out(address, inbound_resolver=inbound_resolver)

    def play_instance_metadata(self, *, role_name: str | None = None) -> InstanceMetadata:
        """Play the metadata service of an EC2 instance, which tells where the caller is.

        It answers at 169.254.169.254 of ``network``. Sessions that ``session()`` makes from now on
        know where they are; ``routing.location.locate`` finds it with the answer's ``root`` and
        ``environment``.

        Args:
            role_name: A role whose credentials it gives out; by default none.
        """
        return self._running.play_metadata(role_name)

    # Packet filters and DNS

    def create_security_group(
        self, *, vpc_id: str | None = None, https_from: Sequence[str] = ()
    ) -> str:
        """Make a security group, and return its id.

        Args:
            vpc_id: Its VPC.
            https_from: CIDRs and security groups that port 443 is open from; nothing else is.
        """
        with self._ec2() as backend:
            number = sum(len(groups) for groups in backend.groups.values())
            group = backend.create_security_group(
                f"group-{number}", "made by a test", vpc_id=vpc_id or self.vpc_id
            )
            groups = [{"GroupId": source} for source in https_from if source.startswith("sg-")]
            cidrs = [{"CidrIp": source} for source in https_from if not source.startswith("sg-")]
            if https_from:
                backend.authorize_security_group_ingress(
                    group.id, "tcp", _HTTPS, _HTTPS, cidrs, source_groups=groups
                )
            return str(group.id)

    def set_security_groups(self, vpc_endpoint_id: str, *security_group_ids: str) -> None:
        """Give a VPC endpoint's ENIs other security groups.

        Raises:
            KeyError: There is no such VPC endpoint.
        """
        with self._ec2() as backend:
            vpc_endpoint = backend.vpc_end_points[vpc_endpoint_id]
            vpc_endpoint.security_group_ids = list(security_group_ids)
            self._running.vpc_endpoints.set_up(
                vpc_endpoint,
                service=self._endpoint_service(vpc_endpoint.service_name),
                private_dns=vpc_endpoint.private_dns_enabled,
            )

    def close_https(self, vpc_endpoint_id: str) -> str:
        """Give a VPC endpoint a new security group that lets nobody in, and return its id."""
        with self._ec2() as backend:
            vpc_id = backend.vpc_end_points[vpc_endpoint_id].vpc_id
        group_id = self.create_security_group(vpc_id=vpc_id)
        self.set_security_groups(vpc_endpoint_id, group_id)
        return group_id

    def deny_in_network_acl(
        self, availability_zone: str, *, cidr: str = "0.0.0.0/0", egress: bool = False
    ) -> str:
        """Give the subnet of a zone a network ACL that denies port 443, and return its id.

        Args:
            availability_zone: The zone of the subnet, in the VPC that calls come from.
            cidr: Whose packets are dropped; the others pass.
            egress: Whether answers to clients are dropped instead of their packets.

        Raises:
            ConfigurationError: The VPC has no subnet in the zone.
        """
        subnet_id = self._subnet(self._vpc(None), availability_zone)
        first, last = (1024, 65535) if egress else (443, 443)
        deny = (100, "6", "deny", egress, cidr, None, None, first, last, None)
        allow = [
            (200, "-1", "allow", direction, "0.0.0.0/0", None, None, None, None, None)
            for direction in (False, True)
        ]
        with self._ec2() as backend:
            denying = backend.create_network_acl(self.vpc_id, default=False)
            for entry in (deny, *allow):
                backend.create_network_acl_entry(denying.id, *entry)
            for acl in tuple(backend.network_acls.values()):
                for association in acl.associations:
                    if association.subnet_id == subnet_id:
                        backend.replace_network_acl_association(association.id, denying.id)
            return str(denying.id)

    def set_dns_attributes(
        self, *, support: bool = True, hostnames: bool = True, vpc_id: str | None = None
    ) -> None:
        """Set the VPC attributes ``enableDnsSupport`` and ``enableDnsHostnames``.

        Private DNS answers only while both are on; names are then looked up as in public DNS.
        """
        vpc_id = vpc_id or self.vpc_id
        with self._ec2() as backend:
            backend.modify_vpc_attribute(vpc_id, "enable_dns_support", str(support).lower())
            backend.modify_vpc_attribute(vpc_id, "enable_dns_hostnames", str(hostnames).lower())

    def _vpc(self, vpc_id: str | None) -> Vpc:
        vpc_id = vpc_id or self.vpc_id
        vpc = self._running.vpcs.get(vpc_id)
        if vpc is None:
            raise ConfigurationError(
                f"There is no VPC {vpc_id} with subnets in the simulator.",
                remedy="use the vpc_id of what create_vpc() gave, or EC2's CreateVpcEndpoint.",
            )
        return vpc

    @staticmethod
    def _subnet(vpc: Vpc, zone: str) -> str:
        if zone not in vpc.subnet_ids:
            raise ConfigurationError(
                f"{vpc.vpc_id} has no subnet in {zone}.",
                remedy=f"choose a zone of {', '.join(vpc.subnet_ids)}.",
            )
        return vpc.subnet_ids[zone]

    def _endpoint_service(self, service: str, *, fips: bool = False) -> EndpointService:
        """Return an endpoint service by its full name or by boto3's name of the service."""
        services, region = self._running.services, self._running.region
        found = services.find(service, region) or services.of_client(service, fips=fips)
        if found is None:
            kind = "FIPS endpoint service" if fips else "endpoint service"
            names = (*routable_service_names(), *(row.service_name for row in OTHER_SERVICES))
            raise ConfigurationError(
                f"There is no {kind} for {service!r}.",
                remedy=f"name one of {', '.join(names)}, or an endpoint "
                f"service such as aws.sagemaker.{region}.notebook.",
            )
        return found


def _open_group(backend: MotoObject, vpc: Vpc) -> str:
    """Return the security group that lets port 443 in from the VPC and private networks."""
    group = backend.get_security_group_from_name(_OPEN_GROUP, vpc_id=vpc.vpc_id)
    if group is None:
        group = backend.create_security_group(
            _OPEN_GROUP, "HTTPS from this VPC and private networks", vpc_id=vpc.vpc_id
        )
        cidrs = dict.fromkeys([vpc.cidr_block, *_PRIVATE_NETWORKS])
        backend.authorize_security_group_ingress(
            group.id, "tcp", _HTTPS, _HTTPS, [{"CidrIp": cidr} for cidr in cidrs]
        )
    return str(group.id)
