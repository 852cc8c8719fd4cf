"""Furnish moto's VPC endpoints with what makes them reachable: names, addresses, listeners."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.privatelink.hostnames import VpceName
from sm_private_client.privatelink.services import BROWSER_DNS_DOMAIN
from sm_private_client.testing.topology import Interface, StandingVpcEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.endpoint_services import EndpointServices
    from sm_private_client.testing.server import Listener, Server
    from sm_private_client.testing.topology import Topology

__all__ = ["VpcEndpoints"]

_PUBLIC_ZONE: Final = "Z7HUB22UULQXV"  # vpce.amazonaws.com in us-east-1, as CDK's fixtures show
_RESERVED: Final = 10
"""Addresses left out at a subnet's start; AWS itself reserves four."""


class VpcEndpoints:
    """Keeps the topology in step with moto's VPC endpoints.

    Args:
        offers: The endpoint services that there are, and their names.
        topology: What stands.
        server: Closes listeners.
        listen: Opens the listener of an ENI, given its VPC endpoint's name, VPC, zone and
            address.
    """

    def __init__(
        self,
        *,
        offers: EndpointServices,
        topology: Topology,
        server: Server,
        listen: Callable[[VpceName, str, str, str], Listener],
    ) -> None:
        self.offers = offers
        self._topology = topology
        self._server = server
        self._listen = listen
        self._random = random.SystemRandom()

    def furnish(
        self,
        made: Any,  # noqa: ANN401
        *,
        service: EndpointService,
        private_dns: bool,
    ) -> StandingVpcEndpoint:
        """Gives moto's VPC endpoint names, ENIs and listeners; again after a change."""
        backend = made.ec2_backend
        region = backend.region_name
        standing = self._topology.get(made.id)
        name = standing.name if standing else self._new_name(made.id, service, region)
        interfaces = {i.subnet_id: i for i in (standing.interfaces if standing else ())}
        spare = [backend.enis[eni] for eni in made.network_interface_ids]
        for subnet_id in list(interfaces):
            if subnet_id not in made.subnet_ids:
                gone = interfaces.pop(subnet_id)
                backend.enis.pop(gone.network_interface_id, None)
                self._server.close(gone.listener)
        for subnet_id in made.subnet_ids:
            if subnet_id not in interfaces:
                eni = next((e for e in spare if e.subnet.id == subnet_id), None)
                if eni is None:
                    eni = backend.create_network_interface(subnet_id, None)
                interfaces[subnet_id] = self._furnish_interface(eni, made, name)
        ordered = tuple(interfaces[subnet_id] for subnet_id in made.subnet_ids)
        standing = StandingVpcEndpoint(
            name=name,
            vpc_id=made.vpc_id,
            private_names=self.offers.private_names(service, region),
            private_dns=private_dns,
            state=made.state,
            interfaces=ordered,
        )
        made.private_dns_enabled = private_dns
        made.network_interface_ids = [i.network_interface_id for i in ordered]
        made.service_region = region
        made.ip_address_type = getattr(made, "ip_address_type", "ipv4")
        made.dns_options = getattr(made, "dns_options", {"DnsRecordIpType": "ipv4"})
        if not made.security_group_ids:
            made.security_group_ids = [backend.get_default_security_group(made.vpc_id).id]
        groups = [backend.get_security_group_from_id(g) for g in made.security_group_ids]
        for interface in ordered:
            backend.enis[interface.network_interface_id]._group_set = groups  # noqa: SLF001 - moto has no other way
        made.requester_managed = False
        made.dns_entries = _dns_entries(standing)
        self._topology.put(standing)
        return standing

    def remove(self, vpc_endpoint_id: str) -> None:
        """Takes a VPC endpoint's listeners down."""
        gone = self._topology.remove(vpc_endpoint_id)
        for interface in gone.interfaces if gone else ():
            self._server.close(interface.listener)

    def private_dns_conflict(self, vpc_id: str, service: EndpointService) -> str | None:
        """Gives the private name that another VPC endpoint of the VPC has already."""
        for standing in self._topology.all():
            if standing.vpc_id == vpc_id and standing.private_dns:
                same = standing.name.service == service
                if same and standing.private_names:
                    return standing.private_names[0]
        return None

    def describe_service(self, service: EndpointService, backend: Any) -> dict[str, Any]:  # noqa: ANN401
        """Gives one entry of DescribeVpcEndpointServices."""
        region = backend.region_name
        name = self.offers.full_name(service, region)
        private = self.offers.private_names(service, region)
        partition = self.offers.partition
        domain = BROWSER_DNS_DOMAIN if service.is_browser_only else partition.dns_suffix
        number = sum(map(ord, name)) * 0x10001
        return {
            "ServiceName": name,
            "ServiceId": f"vpce-svc-{number:017x}",
            "ServiceType": [{"ServiceType": "Interface"}],
            "ServiceRegion": region,
            "AvailabilityZones": [
                zone.name
                for zone in backend.describe_availability_zones()
                if self.offers.is_offered_in(service, zone.name)
            ],
            "Owner": "amazon",
            "BaseEndpointDnsNames": [f"{service.dns_label}.{region}.vpce.{domain}"],
            "PrivateDnsName": private[0] if private else None,
            "PrivateDnsNames": [{"PrivateDnsName": n} for n in private],
            "VpcEndpointPolicySupported": service.endpoint_policy is not False,
            "AcceptanceRequired": False,
            "ManagesVpcEndpoints": False,
            "PrivateDnsNameVerificationState": "verified",
            "SupportedIpAddressTypes": ["ipv4"],
            "Tags": [],
        }

    def _furnish_interface(
        self,
        eni: Any,  # noqa: ANN401
        made: Any,  # noqa: ANN401
        name: VpceName,
    ) -> Interface:
        subnet = eni.subnet
        taken = {e.private_ip_address for e in made.ec2_backend.enis.values() if e is not eni}
        hosts = (str(subnet.cidr[n]) for n in range(_RESERVED, subnet.cidr.num_addresses - 1))
        address = next(host for host in hosts if host not in taken)
        eni.private_ip_address = address
        eni.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address}]
        eni.private_dns_name = f"ip-{address.replace('.', '-')}.ec2.internal"
        eni.description = f"VPC Endpoint Interface {made.id}"
        eni.interface_type = "vpc_endpoint"
        eni.requester_managed = True
        eni.status = "in-use"
        eni.availability_zone_id = subnet.availability_zone_id
        zone = subnet.availability_zone
        return Interface(
            network_interface_id=eni.id,
            vpc_endpoint_id=made.id,
            vpc_id=made.vpc_id,
            subnet_id=subnet.id,
            availability_zone=zone,
            address=address,
            listener=self._listen(name, made.vpc_id, zone, address),
        )

    def _new_name(self, vpc_endpoint_id: str, service: EndpointService, region: str) -> VpceName:
        characters = string.ascii_lowercase + string.digits
        return VpceName(
            vpc_endpoint_id=vpc_endpoint_id,
            id_suffix="".join(self._random.choices(characters, k=8)),
            service=service,
            region=region,
            partition=self.offers.partition,
        )


def _dns_entries(standing: StandingVpcEndpoint) -> list[dict[str, str]]:
    private = standing.private_names if standing.private_dns else ()
    private_zone = "Z0" + standing.vpc_endpoint_id[-17:].upper()
    entries = [{"DnsName": n, "HostedZoneId": private_zone} for n in private]
    entries += [{"DnsName": n, "HostedZoneId": _PUBLIC_ZONE} for n in standing.public_names]
    # EC2 promises no order; sorted, the regional name never happens to come first.
    return sorted(entries, key=lambda entry: entry["DnsName"])
