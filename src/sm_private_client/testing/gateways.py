"""Gateway VPC endpoints: prefix lists, routes in route tables, and what the routes lead to."""

from __future__ import annotations

import ipaddress
import threading
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.testing.endpoint_services import GATEWAY_SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sm_private_client.testing.server import Listener, Server

__all__ = ["GATEWAY_ADDRESSES", "Gateways"]

GATEWAY_ADDRESSES: Final = {"s3": "52.216.160.10", "dynamodb": "52.94.0.10"}
"""Public addresses inside the prefix lists that moto has for every region; nothing is ever sent
there, the simulator only tells them in DNS."""


class Gateways:
    """The gateway VPC endpoints that stand.

    Args:
        ec2: Gives moto's EC2 while nobody else uses it.
        server: Closes listeners.
        listen: Opens what a gateway leads to, given its id, its VPC and boto3's name of the
            service.
    """

    def __init__(
        self,
        *,
        ec2: Callable[[], AbstractContextManager[Any]],
        server: Server,
        listen: Callable[[str, str, str], Listener],
    ) -> None:
        self._ec2 = ec2
        self._server = server
        self._listen = listen
        self._lock = threading.Lock()
        self._standing: dict[str, Listener] = {}

    @staticmethod
    def service_of(full_name: str, region: str) -> str | None:
        """Gives boto3's name of the service of a gateway endpoint service; ``None``: it is none."""
        found = (s for s in GATEWAY_SERVICES if full_name == f"com.amazonaws.{region}.{s}")
        return next(found, None)

    def furnish(self, made: Any) -> None:  # noqa: ANN401 - moto's
        """Gives moto's gateway its routes and what they lead to; again after a change."""
        backend = made.ec2_backend
        made.vpc_endpoint_type = "Gateway"
        made.service_region = backend.region_name
        made.requester_managed = False
        made.private_dns_enabled = False
        made.dns_entries = []
        made.subnet_ids = []
        prefix_list_id = made.destination_prefix_list_id
        for table in backend.route_tables.values():
            has = any(_leads_to(route, made.id) for route in table.routes)
            wanted = table.id in made.route_table_ids
            if wanted and not has:
                backend.create_route(
                    table.id, None, gateway_id=made.id, destination_prefix_list_id=prefix_list_id
                )
            elif has and not wanted:
                backend.delete_route(table.id, prefix_list_id)
        service_name = self.service_of(made.service_name, backend.region_name)
        with self._lock:
            if service_name is not None and made.id not in self._standing:
                self._standing[made.id] = self._listen(made.id, made.vpc_id, service_name)

    def remove(self, vpc_endpoint_id: str) -> None:
        """Takes down what a gateway leads to."""
        with self._lock:
            gone = self._standing.pop(vpc_endpoint_id, None)
        if gone is not None:
            self._server.close(gone)

    def towards(self, address: str, *, subnet_id: str) -> Listener | None:
        """Gives what a public address leads to from a subnet; ``None``: no gateway is on the way.

        Args:
            address: The address that is dialled.
            subnet_id: Whose route table counts: its own, else the VPC's main one.
        """
        with self._lock:
            if not self._standing:
                return None
        parsed = ipaddress.ip_address(address)
        with self._ec2() as backend:
            for route in route_table_of(backend, subnet_id).routes:
                entries = route.destination_prefix_list.entries if _is_to_list(route) else {}
                cidrs = (entry["Cidr"] for version in entries.values() for entry in version)
                if any(parsed in ipaddress.ip_network(cidr) for cidr in cidrs):
                    made = backend.vpc_end_points.get(route.gateway_id)
                    if made is not None and made.state == "available":
                        return self._standing.get(route.gateway_id)
        return None


def route_table_of(backend: Any, subnet_id: str) -> Any:  # noqa: ANN401 - moto's
    """Gives the route table that counts for a subnet: its own, else the VPC's main one."""
    vpc_id = backend.get_subnet(subnet_id).vpc_id
    tables = [table for table in backend.route_tables.values() if table.vpc_id == vpc_id]
    own = (t for t in tables if any(a.get("SubnetId") == subnet_id for a in t.associations))
    main = next(table for table in tables if table.main_association_id is not None)
    return next(own, main)


def _is_to_list(route: Any) -> bool:  # noqa: ANN401 - moto's
    return route.destination_prefix_list is not None and route.gateway_id is not None


def _leads_to(route: Any, vpc_endpoint_id: str) -> bool:  # noqa: ANN401 - moto's
    return _is_to_list(route) and route.gateway_id == vpc_endpoint_id
