"""VPC endpoints: what moto's interface and gateway endpoints lack to be reached.

Interface VPC endpoints get names, addresses and listeners, gateways their routes and listeners.
"""

from __future__ import annotations

import ipaddress
import random
import string
import threading
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.privatelink.hostnames import VpceName
from sm_private_client.testing.endpoint_services import GATEWAY_SERVICES
from sm_private_client.testing.topology import Interface, StandingVpcEndpoint

if TYPE_CHECKING:
    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.control_plane import ControlPlane, MotoObject
    from sm_private_client.testing.endpoint_services import EndpointServices
    from sm_private_client.testing.ingress import IngressListeners
    from sm_private_client.testing.server import Listener
    from sm_private_client.testing.topology import Topology

__all__ = ["VpcEndpoints", "gateway_service"]

_PUBLIC_ZONE: Final = "Z7HUB22UULQXV"  # vpce.amazonaws.com in us-east-1, as CDK's fixtures show
_RESERVED: Final = 10
"""Addresses left out at a subnet's start; AWS itself reserves four."""


class VpcEndpoints:
    """Keeps topology and listeners in step with moto's VPC endpoints."""

    def __init__(
        self,
        *,
        control: ControlPlane,
        services: EndpointServices,
        topology: Topology,
        listeners: IngressListeners,
    ) -> None:
        self.services = services
        self._control = control
        self._topology = topology
        self._listeners = listeners
        self._random = random.SystemRandom()
        self._lock = threading.Lock()
        self._gateways: dict[str, Listener] = {}

    def set_up(
        self, vpc_endpoint: MotoObject, *, service: EndpointService, private_dns: bool
    ) -> StandingVpcEndpoint:
        """Give moto's interface VPC endpoint names, ENIs and listeners; again after a change."""
        backend = vpc_endpoint.ec2_backend
        region = backend.region_name
        standing = self._topology.get(vpc_endpoint.id)
        name = standing.name if standing else self._new_name(vpc_endpoint.id, service, region)
        interfaces = {i.subnet_id: i for i in (standing.interfaces if standing else ())}
        unused = [backend.enis[eni] for eni in vpc_endpoint.network_interface_ids]
        for subnet_id in list(interfaces):
            if subnet_id not in vpc_endpoint.subnet_ids:
                removed = interfaces.pop(subnet_id)
                backend.enis.pop(removed.network_interface_id, None)
                self._listeners.server.close(removed.listener)
        for subnet_id in vpc_endpoint.subnet_ids:
            if subnet_id not in interfaces:
                eni = next((e for e in unused if e.subnet.id == subnet_id), None)
                if eni is None:
                    eni = backend.create_network_interface(subnet_id, None)
                interfaces[subnet_id] = self._set_up_interface(eni, vpc_endpoint, name)
        ordered = tuple(interfaces[subnet_id] for subnet_id in vpc_endpoint.subnet_ids)
        standing = StandingVpcEndpoint(
            name=name,
            vpc_id=vpc_endpoint.vpc_id,
            private_names=self.services.private_names(service, region),
            private_dns=private_dns,
            state=vpc_endpoint.state,
            interfaces=ordered,
        )
        vpc_endpoint.private_dns_enabled = private_dns
        vpc_endpoint.network_interface_ids = [i.network_interface_id for i in ordered]
        vpc_endpoint.service_region = region
        vpc_endpoint.ip_address_type = getattr(vpc_endpoint, "ip_address_type", "ipv4")
        default_options = {"DnsRecordIpType": "ipv4"}
        vpc_endpoint.dns_options = getattr(vpc_endpoint, "dns_options", default_options)
        if not vpc_endpoint.security_group_ids:
            default_group = backend.get_default_security_group(vpc_endpoint.vpc_id)
            vpc_endpoint.security_group_ids = [default_group.id]
        groups = [backend.get_security_group_from_id(g) for g in vpc_endpoint.security_group_ids]
        for interface in ordered:
            backend.enis[interface.network_interface_id]._group_set = groups  # noqa: SLF001 - moto has no other way
        vpc_endpoint.requester_managed = False
        vpc_endpoint.dns_entries = _dns_entries(standing)
        self._topology.put(standing)
        return standing

    def set_up_gateway(self, vpc_endpoint: MotoObject) -> None:
        """Give moto's gateway its routes and what they lead to; again after a change."""
        backend = vpc_endpoint.ec2_backend
        vpc_endpoint.vpc_endpoint_type = "Gateway"
        vpc_endpoint.service_region = backend.region_name
        vpc_endpoint.requester_managed = False
        vpc_endpoint.private_dns_enabled = False
        vpc_endpoint.dns_entries = []
        vpc_endpoint.subnet_ids = []
        prefix_list_id = vpc_endpoint.destination_prefix_list_id
        for table in backend.route_tables.values():
            has_entry = any(
                route.gateway_id == vpc_endpoint.id and route.destination_prefix_list is not None
                for route in table.routes
            )
            is_wanted = table.id in vpc_endpoint.route_table_ids
            if is_wanted and not has_entry:
                backend.create_route(
                    table.id,
                    None,
                    gateway_id=vpc_endpoint.id,
                    destination_prefix_list_id=prefix_list_id,
                )
            elif has_entry and not is_wanted:
                backend.delete_route(table.id, prefix_list_id)
        service_name = gateway_service(vpc_endpoint.service_name, backend.region_name)
        with self._lock:
            if service_name is not None and vpc_endpoint.id not in self._gateways:
                self._gateways[vpc_endpoint.id] = self._listeners.open_gateway(
                    vpc_endpoint.id, vpc_endpoint.vpc_id, service_name
                )

    def delete(self, vpc_endpoint_id: str, backend: MotoObject) -> None:
        """Delete an interface VPC endpoint or a gateway from moto, with what was set up for it."""
        backend.delete_vpc_endpoints(vpce_ids=[vpc_endpoint_id])
        backend.vpc_end_points.pop(vpc_endpoint_id, None)
        self.remove(vpc_endpoint_id)

    def remove(self, vpc_endpoint_id: str) -> None:
        """Close the listeners of an interface VPC endpoint or a gateway."""
        with self._lock:
            gateway = self._gateways.pop(vpc_endpoint_id, None)
        standing = self._topology.remove(vpc_endpoint_id)
        listeners = [interface.listener for interface in standing.interfaces] if standing else []
        for listener in [gateway] if gateway else listeners:
            self._listeners.server.close(listener)

    def gateway_towards(self, address: str, subnet_id: str) -> Listener | None:
        """Return what a public address leads to from a subnet; ``None``: no gateway is on the way.

        The subnet's own route table counts, else the VPC's main one.
        """
        with self._lock:
            if not self._gateways:
                return None
        parsed = ipaddress.ip_address(address)
        with self._control.ec2() as backend:
            for route in _route_table(backend, subnet_id).routes:
                if route.destination_prefix_list is None or route.gateway_id is None:
                    continue
                entries = route.destination_prefix_list.entries.values()
                cidrs = (entry["Cidr"] for version in entries for entry in version)
                if any(parsed in ipaddress.ip_network(cidr) for cidr in cidrs):
                    vpc_endpoint = backend.vpc_end_points.get(route.gateway_id)
                    if vpc_endpoint is not None and vpc_endpoint.state == "available":
                        return self._gateways.get(route.gateway_id)
        return None

    def private_dns_conflict(self, vpc_id: str, service: EndpointService) -> str | None:
        """Return the private name that another VPC endpoint of the VPC has already."""
        for standing in self._topology.all():
            is_rival = standing.private_dns and standing.name.service == service
            if is_rival and standing.vpc_id == vpc_id and standing.private_names:
                return standing.private_names[0]
        return None

    def describe_service(self, service: EndpointService, backend: MotoObject) -> dict[str, Any]:
        """Return one entry of DescribeVpcEndpointServices."""
        region = backend.region_name
        name = self.services.full_name(service, region)
        private = self.services.private_names(service, region)
        number = sum(map(ord, name)) * 0x10001
        return {
            "ServiceName": name,
            "ServiceId": f"vpce-svc-{number:017x}",
            "ServiceType": [{"ServiceType": "Interface"}],
            "ServiceRegion": region,
            "AvailabilityZones": [
                zone.name
                for zone in backend.describe_availability_zones()
                if self.services.is_offered_in(service, zone.name)
            ],
            "Owner": "amazon",
            "BaseEndpointDnsNames": [self.services.base_name(service, region)],
            "PrivateDnsName": private[0] if private else None,
            "PrivateDnsNames": [{"PrivateDnsName": n} for n in private],
            "VpcEndpointPolicySupported": service.endpoint_policy is not False,
            "AcceptanceRequired": False,
            "ManagesVpcEndpoints": False,
            "PrivateDnsNameVerificationState": "verified",
            "SupportedIpAddressTypes": ["ipv4"],
            "Tags": [],
        }

    def _set_up_interface(
        self, eni: MotoObject, vpc_endpoint: MotoObject, name: VpceName
    ) -> Interface:
        subnet = eni.subnet
        enis = vpc_endpoint.ec2_backend.enis.values()
        taken = {e.private_ip_address for e in enis if e is not eni}
        hosts = (str(subnet.cidr[n]) for n in range(_RESERVED, subnet.cidr.num_addresses - 1))
        address = next(host for host in hosts if host not in taken)
        eni.private_ip_address = address
        eni.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address}]
        eni.private_dns_name = f"ip-{address.replace('.', '-')}.ec2.internal"
        eni.description = f"VPC Endpoint Interface {vpc_endpoint.id}"
        eni.interface_type = "vpc_endpoint"
        eni.requester_managed = True
        eni.status = "in-use"
        eni.availability_zone_id = subnet.availability_zone_id
        zone = subnet.availability_zone
        return Interface(
            network_interface_id=eni.id,
            vpc_endpoint_id=vpc_endpoint.id,
            vpc_id=vpc_endpoint.vpc_id,
            subnet_id=subnet.id,
            availability_zone=zone,
            address=address,
            listener=self._listeners.open_interface(name, vpc_endpoint.vpc_id, zone, address),
        )

    def _new_name(self, vpc_endpoint_id: str, service: EndpointService, region: str) -> VpceName:
        characters = string.ascii_lowercase + string.digits
        return VpceName(
            vpc_endpoint_id=vpc_endpoint_id,
            id_suffix="".join(self._random.choices(characters, k=8)),
            service=service,
            region=region,
            partition=self.services.partition,
        )


def gateway_service(full_name: str, region: str) -> str | None:
    """Return boto3's name of the service of a gateway endpoint service; ``None``: it is none."""
    found = (s for s in GATEWAY_SERVICES if full_name == f"com.amazonaws.{region}.{s}")
    return next(found, None)


def _route_table(backend: MotoObject, subnet_id: str) -> MotoObject:
    vpc_id = backend.get_subnet(subnet_id).vpc_id
    tables = [table for table in backend.route_tables.values() if table.vpc_id == vpc_id]
    own = (t for t in tables if any(a.get("SubnetId") == subnet_id for a in t.associations))
    main = next(table for table in tables if table.main_association_id is not None)
    return next(own, main)


def _dns_entries(standing: StandingVpcEndpoint) -> list[dict[str, str]]:
    private = standing.private_names if standing.private_dns else ()
    private_zone = "Z0" + standing.vpc_endpoint_id[-17:].upper()
    entries = [{"DnsName": n, "HostedZoneId": private_zone} for n in private]
    entries += [{"DnsName": n, "HostedZoneId": _PUBLIC_ZONE} for n in standing.public_names]
    # EC2 promises no order; sorted, the regional name never happens to come first.
    return sorted(entries, key=lambda entry: entry["DnsName"])
