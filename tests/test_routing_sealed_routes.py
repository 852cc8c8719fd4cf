"""Routes of sealed sessions: which route tables lead to a gateway."""

from __future__ import annotations

import pytest

from sm_private_client.privatelink.records import RouteTable
from sm_private_client.routing.sealed_routes import lacking_route

WAY = frozenset({("pl-1", "vpce-1")})
MAIN = RouteTable(route_table_id="rtb-m", is_main=True, subnet_ids=frozenset(), gateways=WAY)
WITH = RouteTable(
    route_table_id="rtb-w", is_main=False, subnet_ids=frozenset({"subnet-w"}), gateways=WAY
)
WITHOUT = RouteTable(
    route_table_id="rtb-o",
    is_main=False,
    subnet_ids=frozenset({"subnet-o"}),
    gateways=frozenset({("pl-1", "vpce-2"), ("pl-2", "vpce-1")}),
)
BARE_MAIN = RouteTable(
    route_table_id="rtb-b", is_main=True, subnet_ids=frozenset(), gateways=frozenset()
)


@pytest.mark.parametrize(
    ("tables", "subnet_ids", "lacking"),
    [
        ((MAIN, WITH, WITHOUT), ("subnet-w",), None),
        ((BARE_MAIN, WITH), ("subnet-w",), None),
        ((MAIN, WITHOUT), ("subnet-x",), None),
        ((MAIN,), (), None),
        ((MAIN, WITH), (), None),
        ((), (), "EC2 shows no route table of the VPC"),
        ((WITH,), ("subnet-x",), "EC2 shows no route table of subnet-x"),
        (
            (MAIN, WITHOUT),
            ("subnet-o",),
            "rtb-o, the route table of subnet-o, has no route to it",
        ),
        (
            (BARE_MAIN, WITH),
            ("subnet-x",),
            "rtb-b, the route table of subnet-x, has no route to it",
        ),
        (
            (MAIN, WITH, WITHOUT),
            ("subnet-w", "subnet-o"),
            "rtb-o, the route table of subnet-o, has no route to it",
        ),
        (
            (MAIN, WITHOUT),
            (),
            "rtb-o has no route to it, and which subnet this is is not known",
        ),
        (
            (BARE_MAIN, WITH),
            (),
            "rtb-b has no route to it, and which subnet this is is not known",
        ),
    ],
)
def test_the_table_of_our_subnet_decides(
    tables: tuple[RouteTable, ...], subnet_ids: tuple[str, ...], lacking: str | None
) -> None:
    """Its own, else the main one; where the subnet is not known, every table of the VPC."""
    found = lacking_route(
        tables, subnet_ids=subnet_ids, prefix_list_id="pl-1", vpc_endpoint_id="vpce-1"
    )
    assert found == lacking
