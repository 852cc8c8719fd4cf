"""VpcEndpoint, Route, Evidence: frozen records, and the way to JSON and back."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.records import (
    EndpointAddress,
    Evidence,
    Route,
    RouteSource,
    VpcEndpoint,
)

VPC_ENDPOINT = VpcEndpoint(
    vpc_endpoint_id="vpce-0fe5b17a0707d6abc",
    endpoint_service="com.amazonaws.us-east-1.sagemaker.runtime",
    vpc_id="vpc-0a1b2c3d",
    state="available",
    private_dns_enabled=True,
    dns_names=("a.example", "b.example"),
    subnet_ids=("subnet-1", "subnet-2"),
    network_interface_ids=("eni-1",),
    ip_address_type="dualstack",
    created="2026-01-01T00:00:00+00:00",
    addresses=(EndpointAddress(address="10.0.1.5", availability_zone="us-east-1a"),),
)
ROUTE = Route(
    service_name="sagemaker-runtime",
    region="us-east-1",
    partition="aws",
    endpoint_url="https://vpce-0fe5b17a0707d6abc-29p5708s.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
    source="discovery",
    vpc_endpoint=VPC_ENDPOINT,
    addresses=(
        EndpointAddress(
            address="10.0.1.5",
            availability_zone="us-east-1a",
            availability_zone_id="use1-az1",
            network_interface_id="eni-1",
        ),
        EndpointAddress(address="10.0.2.5"),
    ),
    availability_zone="us-east-1a",
    address_policy=AddressPolicy(
        eni_addresses=frozenset({"10.0.1.5"}),
        vpc_cidrs=("10.0.0.0/16",),
        allowed_networks=("198.51.100.0/24",),
    ),
    fips=True,
    evidence=(
        Evidence(step="private DNS", outcome="no", detail="it resolves to 52.1.2.3"),
        Evidence(step="discovery", outcome="used", detail="EC2 shows one"),
    ),
)
BARE = Route(
    service_name="sagemaker",
    region="us-east-1",
    partition="aws",
    endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com",
    source="private-dns",
)
PUBLIC, PRIVATE = EndpointAddress(address="52.1.2.3"), EndpointAddress(address="10.0.0.5")
LOCAL = dataclasses.replace(
    BARE,
    endpoint_url="http://localhost:5000",
    source="explicit",
    address_policy=AddressPolicy(local=True),
    addresses=(EndpointAddress(address="127.0.0.1"),),
    evidence=(Evidence(step="explicit", outcome="used", detail="endpoint_url= names it"),),
)


@pytest.mark.parametrize(
    ("addresses", "policy", "private"),
    [
        ((PRIVATE,), AddressPolicy(), True),
        ((PRIVATE, PRIVATE), AddressPolicy(), True),
        ((PRIVATE, PUBLIC), AddressPolicy(), False),
        ((PUBLIC,), AddressPolicy(), False),
        ((), AddressPolicy(), False),  # none was looked up
        ((PUBLIC,), AddressPolicy(eni_addresses=frozenset({"52.1.2.3"})), True),
        ((PRIVATE,), AddressPolicy(eni_addresses=frozenset({"52.1.2.3"})), False),
        ((PUBLIC,), AddressPolicy(allowed_networks=("52.0.0.0/8",)), True),
        ((EndpointAddress(address="127.0.0.1"),), AddressPolicy(), False),
        ((EndpointAddress(address="127.0.0.1"),), AddressPolicy(local=True), False),
    ],
)
def test_is_private(
    addresses: tuple[EndpointAddress, ...], policy: AddressPolicy, private: bool
) -> None:
    """A route is private if it has addresses and each is judged private; a local one never is."""
    route = dataclasses.replace(BARE, addresses=addresses, address_policy=policy)
    assert route.is_private is private


def test_is_local() -> None:
    """A route to a stand-in on this machine says that it is local, not private."""
    assert (LOCAL.is_local, LOCAL.is_private) == (True, False)
    assert (ROUTE.is_local, BARE.is_local) == (False, False)


@pytest.mark.parametrize(
    ("source", "is_default"),
    [
        ("private-dns", True),
        ("gateway", True),
        ("public", True),
        ("explicit", False),
        ("configured", False),
        ("discovery", False),
    ],
)
def test_is_default_host(source: RouteSource, is_default: bool) -> None:
    """Private DNS, gateways and public routes keep the host that botocore's own rules have."""
    assert dataclasses.replace(BARE, source=source).is_default_host is is_default


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.SageMaker.us-east-1.amazonaws.com", "api.sagemaker.us-east-1.amazonaws.com"),
        ("http://localhost:5000/x", "localhost"),
        ("http://[::1]:5000", "::1"),
    ],
)
def test_host(url: str, host: str) -> None:
    """The host of a route is its URL's, in lower case, without the port."""
    assert dataclasses.replace(BARE, endpoint_url=url).host == host


@pytest.mark.parametrize(
    ("state", "available"),
    [
        ("available", True),
        ("pending", False),
        ("pendingacceptance", False),
        ("partial", False),
        ("deleted", False),
        ("", False),
    ],
)
def test_is_available(state: str, available: bool) -> None:
    """Only the state available can carry calls."""
    assert dataclasses.replace(VPC_ENDPOINT, state=state).is_available is available


def test_explain() -> None:
    """A route explains itself: what, how it was decided, and each address with its verdict."""
    assert ROUTE.explain() == (
        "sagemaker-runtime in us-east-1: https://vpce-0fe5b17a0707d6abc-29p5708s.runtime."
        "sagemaker.us-east-1.vpce.amazonaws.com (discovery)\n"
        "  private DNS (no): it resolves to 52.1.2.3\n"
        "  discovery (used): EC2 shows one\n"
        "  10.0.1.5 in us-east-1a is a network interface of the VPC endpoint\n"
        "  10.0.2.5 is inside the VPC"
    )


def test_explain_with_nothing_but_the_url() -> None:
    """A route without evidence or addresses is one line."""
    assert BARE.explain() == (
        "sagemaker in us-east-1: https://api.sagemaker.us-east-1.amazonaws.com (private-dns)"
    )


def test_explain_says_public_and_local() -> None:
    """A public address is called public, and a stand-in a stand-in."""
    assert (
        dataclasses.replace(BARE, addresses=(PUBLIC,)).explain().endswith("\n  52.1.2.3 is public")
    )
    assert LOCAL.explain() == (
        "sagemaker in us-east-1: http://localhost:5000 (explicit)\n"
        "  explicit (used): endpoint_url= names it\n"
        "  127.0.0.1 is on this machine, as the URL says\n"
        "  This is a stand-in on this machine, not a private route."
    )


@pytest.mark.parametrize("route", [ROUTE, BARE, LOCAL], ids=["full", "bare", "local"])
def test_the_way_to_json(route: Route) -> None:
    """``as_dict`` has everything, as JSON takes it; there is no way back to a route."""
    raw = json.loads(json.dumps(route.as_dict()))
    assert set(raw) == {field.name for field in dataclasses.fields(Route)}
    assert raw["endpoint_url"] == route.endpoint_url
    assert raw["address_policy"]["eni_addresses"] == sorted(route.address_policy.eni_addresses)
    assert not hasattr(Route, "from_dict")


@pytest.mark.parametrize(
    "made", [ROUTE, VPC_ENDPOINT, PRIVATE, ROUTE.evidence[0]], ids=lambda made: type(made).__name__
)
def test_records_are_frozen_and_read_well(
    made: Route | VpcEndpoint | EndpointAddress | Evidence,
) -> None:
    """Records do not change, can be keys, and their repr shows their state."""
    first = dataclasses.fields(made)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, first, "")
    assert {made: 1}[made] == 1
    assert repr(made).startswith(f"{type(made).__name__}({first}={getattr(made, first)!r}")
