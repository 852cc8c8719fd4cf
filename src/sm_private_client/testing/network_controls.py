"""What stands around the VPC endpoints: the caller's place, gateways, filters of packets."""

from __future__ import annotations

import abc
import itertools
import json
from typing import TYPE_CHECKING, Any

from sm_private_client.errors import ConfigurationError
from sm_private_client.testing.endpoint_services import policy_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_private_client.testing.caller import Place
    from sm_private_client.testing.instance_metadata import InstanceMetadata
    from sm_private_client.testing.simulator import Simulator

__all__ = ["NetworkControls"]

_HTTPS = "443"


class NetworkControls(abc.ABC):
    """The part of ``LocalPrivateLink`` that broken and healthy worlds are built with.

    Everything here changes moto's EC2, so that EC2's Describe operations tell it, and is in force
    on the network: what is not let through is swallowed. The same changes through boto3's ``ec2``
    client count as well.
    """

    @property
    @abc.abstractmethod
    def _running(self) -> Simulator:
        """What runs."""

    # Where calls come from

    @property
    def place(self) -> Place:
        """Where calls come from: first of all, the first subnet of the first VPC."""
        return self._running.places.current

    @property
    def own_address(self) -> str:
        """The source address of every connection."""
        return self.place.address

    @property
    def own_subnet_id(self) -> str | None:
        """The subnet that calls come from; ``None`` outside of the VPC."""
        return self.place.subnet_id

    @property
    def own_security_group_id(self) -> str | None:
        """The first security group of the caller's ENI; ``None`` outside of the VPC."""
        return next(iter(self.place.security_group_ids), None)

    @property
    def own_availability_zone(self) -> str | None:
        """The zone that calls come from; ``None`` outside of the VPC."""
        return self.place.availability_zone

    def move_to(
        self,
        availability_zone: str,
        *,
        vpc_id: str | None = None,
        security_group_ids: Sequence[str] = (),
    ) -> Place:
        """Moves the caller into the subnet of a zone, with an ENI of its own there.

        Args:
            availability_zone: The zone.
            vpc_id: The VPC; the one that calls come from now where not given.
            security_group_ids: The ENI's groups; the VPC's default group where empty.

        Raises:
            ConfigurationError: The VPC was not made with ``create_vpc``, or has no subnet there.
        """
        running = self._running
        vpc = running.vpcs.vpc(vpc_id or self.place.vpc_id)
        if availability_zone not in vpc.subnet_ids:
            raise ConfigurationError(
                f"{vpc.vpc_id} has no subnet in {availability_zone}.",
                remedy=f"choose a zone of {', '.join(vpc.subnet_ids)}.",
            )
        return running.places.inside(vpc.subnet_ids[availability_zone], security_group_ids)

    def move_on_premises(
        self, address: str = "192.168.10.20", *, inbound_resolver: bool = False
    ) -> Place:
        """Moves the caller to the other end of a VPN or Direct Connect.

        The VPC's addresses stay reachable, as far as security groups let the address in; private
        DNS does not answer there without an inbound resolver endpoint, and no gateway does.

        Args:
            address: The caller's address.
            inbound_resolver: Whether names are looked up by the VPC's resolver.
        """
        return self._running.places.outside(address, inbound_resolver=inbound_resolver)

    def play_instance_metadata(self, *, role_name: str | None = None) -> InstanceMetadata:
        """Plays the metadata service of an EC2 instance, which tells where the caller is.

        It answers at 169.254.169.254 of ``network``. Sessions that ``session()`` makes from now on
        know where they are; ``routing.location.locate`` finds it with the answer's ``root`` and
        ``environment``.

        Args:
            role_name: A role whose credentials it gives out; none where not given.
        """
        return self._running.start_metadata(role_name)

    # Gateways

    def create_gateway(
        self,
        service: str = "s3",
        *,
        vpc_id: str | None = None,
        route_table_ids: Sequence[str] | None = None,
    ) -> str:
        """Makes a gateway VPC endpoint, as EC2's CreateVpcEndpoint would.

        From subnets whose route table has its entry, the service's public addresses are reached
        through it, and are not counted as internet.

        Args:
            service: ``s3`` or ``dynamodb``.
            vpc_id: Its VPC; the one that calls come from where not given.
            route_table_ids: Route tables that get its entry; all of the VPC's where not given.

        Returns:
            The VPC endpoint's id.

        Raises:
            ConfigurationError: The service has no gateway.
        """
        return self._running.vpcs.create_gateway(
            service, vpc_id=vpc_id or self.place.vpc_id, route_table_ids=route_table_ids
        )

    # What lets packets through

    def create_security_group(
        self, *, vpc_id: str | None = None, https_from: Sequence[str] = ()
    ) -> str:
        """Makes a security group.

        Args:
            vpc_id: Its VPC; the one that calls come from where not given.
            https_from: CIDRs and security groups that port 443 is open from; nothing else is.

        Returns:
            The group's id.
        """
        running = self._running
        with running.control.ec2(running.region) as backend:
            number = sum(len(groups) for groups in backend.groups.values())
            made = backend.create_security_group(
                f"group-{number}", "made by a test", vpc_id=vpc_id or self.place.vpc_id
            )
            groups = [{"GroupId": source} for source in https_from if source.startswith("sg-")]
            cidrs = [{"CidrIp": source} for source in https_from if not source.startswith("sg-")]
            if https_from:
                backend.authorize_security_group_ingress(
                    made.id, "tcp", _HTTPS, _HTTPS, cidrs, source_groups=groups
                )
            return str(made.id)

    def set_security_groups(self, vpc_endpoint_id: str, *security_group_ids: str) -> None:
        """Gives a VPC endpoint's ENIs other security groups.

        Raises:
            KeyError: There is no such VPC endpoint.
        """
        running = self._running
        with running.control.ec2(running.region) as backend:
            made = backend.vpc_end_points[vpc_endpoint_id]
            made.security_group_ids = list(security_group_ids)
            running.vpcs.furnish_again(vpc_endpoint_id)

    def close_https(self, vpc_endpoint_id: str) -> str:
        """Has a VPC endpoint's security groups let nobody in, and gives the new group's id."""
        running = self._running
        with running.control.ec2(running.region) as backend:
            vpc_id = backend.vpc_end_points[vpc_endpoint_id].vpc_id
        group_id = self.create_security_group(vpc_id=vpc_id)
        self.set_security_groups(vpc_endpoint_id, group_id)
        return group_id

    def deny_in_network_acl(
        self, availability_zone: str, *, cidr: str = "0.0.0.0/0", egress: bool = False
    ) -> str:
        """Has the subnet of a zone get a network ACL that denies port 443, and gives its id.

        Args:
            availability_zone: The zone of the subnet, in the VPC that calls come from.
            cidr: Whose packets are dropped; the others pass.
            egress: Whether answers to clients are dropped instead of their packets.

        Raises:
            KeyError: The VPC has no subnet in the zone.
        """
        running = self._running
        subnet_id = running.vpcs.vpc(self.place.vpc_id).subnet_ids[availability_zone]
        with running.control.ec2(running.region) as backend:
            made = backend.create_network_acl(self.place.vpc_id, default=False)
            ports = (1024, 65535) if egress else (443, 443)
            rules = itertools.product((False, True), (("100", "deny"), ("200", "allow")))
            for outgoing, (number, action) in rules:
                if action == "deny" and outgoing is not egress:
                    continue
                backend.create_network_acl_entry(
                    made.id,
                    int(number),
                    "6" if action == "deny" else "-1",
                    action,
                    outgoing,
                    cidr if action == "deny" else "0.0.0.0/0",
                    None,
                    None,
                    ports[0] if action == "deny" else None,
                    ports[1] if action == "deny" else None,
                    None,
                )
            for acl in tuple(backend.network_acls.values()):
                for association in acl.associations:
                    if association.subnet_id == subnet_id:
                        backend.replace_network_acl_association(association.id, made.id)
            return str(made.id)

    def set_dns_attributes(
        self, *, support: bool = True, hostnames: bool = True, vpc_id: str | None = None
    ) -> None:
        """Sets the VPC attributes ``enableDnsSupport`` and ``enableDnsHostnames``.

        Private DNS answers only while both are on; names are then looked up as in public DNS.
        """
        running = self._running
        with running.control.ec2(running.region) as backend:
            vpc = vpc_id or self.place.vpc_id
            backend.modify_vpc_attribute(vpc, "enable_dns_support", str(support).lower())
            backend.modify_vpc_attribute(vpc, "enable_dns_hostnames", str(hostnames).lower())

    # Endpoint policies

    def set_policy(self, vpc_endpoint_id: str, document: Mapping[str, Any] | str | None) -> None:
        """Attaches an endpoint policy, which is in force from the next request on.

        Args:
            vpc_endpoint_id: An interface or gateway VPC endpoint.
            document: The policy; ``None`` for the one that allows everything.

        Raises:
            ConfigurationError: EC2 would refuse it.
            KeyError: There is no such VPC endpoint.
        """
        running = self._running
        text = document if isinstance(document, str) or document is None else json.dumps(document)
        with running.control.ec2(running.region) as backend:
            made = backend.vpc_end_points[vpc_endpoint_id]
            row = running.offers.find(made.service_name, running.region)
            problem = None if text is None else policy_problem(text, row)
            if problem is not None:
                raise ConfigurationError(
                    f"The policy of {vpc_endpoint_id} cannot be set.", cause=problem
                )
            default = json.dumps(type(made).DEFAULT_POLICY)
            made.policy_document = default if text is None else text

    @property
    def organization_id(self) -> str | None:
        """What ``aws:PrincipalOrgID`` says to endpoint policies; ``None``: there is none."""
        return self._running.policies.organization_id

    @organization_id.setter
    def organization_id(self, organization_id: str | None) -> None:
        self._running.policies.organization_id = organization_id

    def stop_offering(self, service: str, availability_zone: str) -> None:
        """Stops offering an endpoint service in a zone: EC2 says so, and refuses subnets there.

        Raises:
            ConfigurationError: There is no such endpoint service.
        """
        running = self._running
        running.offers.stop_offering(running.vpcs.row(service), availability_zone)
