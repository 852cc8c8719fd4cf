"""Gateway VPC endpoints: which addresses a VPC's route tables lead through one.

S3 and DynamoDB keep their public addresses behind a gateway endpoint. What makes the way private
is a route to the service's prefix list in the route table of the subnet (VPC guide, "Gateway
endpoints"), so that is looked at before any of these addresses counts as private.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sm_private_client.privatelink.ec2 import read_vpc_endpoints
from sm_private_client.routing.discovery import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.types import BotoClient

__all__ = ["RouteTable", "gateways_of", "lacking_route", "prefix_list", "route_tables"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteTable:
    """A route table, as far as gateways matter.

    Attributes:
        route_table_id: ``rtb-…``.
        is_main: Whether subnets without a table of their own use it.
        subnet_ids: The subnets that name it.
        gateways: Pairs of prefix list id and VPC endpoint id of its active routes.
    """

    route_table_id: str
    is_main: bool
    subnet_ids: frozenset[str]
    gateways: frozenset[tuple[str, str]]


def gateways_of(discovery: Discovery, endpoint_services: Iterable[str]) -> tuple[VpcEndpoint, ...]:
    """Return the gateway VPC endpoints of endpoint services, the oldest first.

    Raises:
        DiscoveryError: EC2 could not be asked.
    """
    names = tuple(sorted(endpoint_services))
    filters = {"service-name": names, "vpc-endpoint-type": ["Gateway"]}

    def ask(ec2: BotoClient) -> tuple[VpcEndpoint, ...]:
        return read_vpc_endpoints(described(ec2, "describe_vpc_endpoints", "VpcEndpoints", filters))

    return discovery.asked("ec2:DescribeVpcEndpoints", ("gateways", names), ask)


def prefix_list(discovery: Discovery, name: str) -> tuple[str, tuple[str, ...]] | None:
    """Gives the id and the CIDRs of AWS's prefix list of a name; ``None`` where there is none.

    Raises:
        DiscoveryError: EC2 could not be asked.
    """
    filters = {"prefix-list-name": [name]}

    def ask(ec2: BotoClient) -> tuple[str, tuple[str, ...]] | None:
        for raw in described(ec2, "describe_prefix_lists", "PrefixLists", filters):
            if raw["PrefixListName"] == name:
                return str(raw["PrefixListId"]), tuple(raw.get("Cidrs", ()))
        return None

    return discovery.asked("ec2:DescribePrefixLists", name, ask)


def route_tables(discovery: Discovery, vpc_id: str) -> tuple[RouteTable, ...]:
    """Lists the route tables of a VPC, by id.

    Raises:
        DiscoveryError: EC2 could not be asked.
    """
    filters = {"vpc-id": [vpc_id]}

    def ask(ec2: BotoClient) -> tuple[RouteTable, ...]:
        found = map(_route_table, described(ec2, "describe_route_tables", "RouteTables", filters))
        return tuple(sorted(found, key=lambda table: table.route_table_id))

    return discovery.asked("ec2:DescribeRouteTables", vpc_id, ask)


def lacking_route(
    tables: tuple[RouteTable, ...],
    *,
    subnet_ids: tuple[str, ...],
    prefix_list_id: str,
    vpc_endpoint_id: str,
) -> str | None:
    """Says which route table lacks the route to a gateway; ``None`` where the way is there.

    Args:
        tables: Those of our VPC.
        subnet_ids: Our subnets; where they are not known, every table must have the route.
        prefix_list_id: The service's.
        vpc_endpoint_id: The gateway's.
    """
    if not tables:
        return "EC2 shows no route table of the VPC"
    for subnet_id in subnet_ids:
        table = _table_of(tables, subnet_id)
        if table is None:
            return f"EC2 shows no route table of {subnet_id}"
        if (prefix_list_id, vpc_endpoint_id) not in table.gateways:
            return f"{table.route_table_id}, the route table of {subnet_id}, has no route to it"
    for table in () if subnet_ids else tables:
        if (prefix_list_id, vpc_endpoint_id) not in table.gateways:
            return (
                f"{table.route_table_id} has no route to it, and which subnet this is is not known"
            )
    return None


def _table_of(tables: tuple[RouteTable, ...], subnet_id: str) -> RouteTable | None:
    own = next((table for table in tables if subnet_id in table.subnet_ids), None)
    return own or next((table for table in tables if table.is_main), None)


def _route_table(made: dict[str, Any]) -> RouteTable:
    associations = made.get("Associations", ())
    return RouteTable(
        route_table_id=made["RouteTableId"],
        is_main=any(a.get("Main") for a in associations),
        subnet_ids=frozenset(a["SubnetId"] for a in associations if a.get("SubnetId")),
        gateways=frozenset(
            (r["DestinationPrefixListId"], r.get("GatewayId", ""))
            for r in made.get("Routes", ())
            if r.get("DestinationPrefixListId") and r.get("State", "active") == "active"
        ),
    )
