"""Which of several VPC endpoints is meant."""

from __future__ import annotations

import re

import botocore.session
import pytest
from botocore.stub import Stubber

from sm_private_client.errors import AmbiguousVpcEndpointError, VpcEndpointUnavailableError
from sm_private_client.privatelink.records import EndpointAddress, Evidence, VpcEndpoint
from sm_private_client.routing.botocore_rules import partitions
from sm_private_client.routing.discovery import Discovery, Ec2Access, forget_shared_answers
from sm_private_client.routing.location import Location
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.routing.search import (
    RouteRequest,
    RouteSearch,
    RouteSources,
    nearest,
    require_available,
    usable,
)
from sm_private_client.routing.settings import RoutingSettings

SERVICE = "com.amazonaws.us-east-1.sagemaker.runtime"


def vpc_endpoint(
    number: int, vpc: str = "a", *zones: str | None, state: str = "available"
) -> VpcEndpoint:
    return VpcEndpoint(
        vpc_endpoint_id=f"vpce-{number:08x}",
        endpoint_service=SERVICE,
        vpc_id=f"vpc-{vpc}",
        state=state,
        addresses=tuple(
            EndpointAddress(address=f"10.0.{number}.{i}", availability_zone=zone)
            for i, zone in enumerate(zones)
        ),
    )


A1, A2, B3 = vpc_endpoint(1), vpc_endpoint(2), vpc_endpoint(3, "b")
A4_PENDING = vpc_endpoint(4, state="pending")
B5_DELETED = vpc_endpoint(5, "b", state="deleted")


@pytest.mark.parametrize(
    ("found", "vpc_id", "expected"),
    [
        ((A1,), None, (A1,)),
        ((A1,), "vpc-a", (A1,)),
        ((A1,), "vpc-b", ()),
        ((A1, A2), None, (A1, A2)),
        ((A1, B3), "vpc-b", (B3,)),
        ((A1, B3), "vpc-c", ()),
        ((A1, A4_PENDING), "vpc-a", (A1,)),
        ((A4_PENDING, A1), None, (A1,)),
        ((A1, B5_DELETED), None, (A1,)),  # what cannot be used makes nothing ambiguous
        ((A1, B5_DELETED), "vpc-c", ()),
    ],
)
def test_usable(
    found: tuple[VpcEndpoint, ...], vpc_id: str | None, expected: tuple[VpcEndpoint, ...]
) -> None:
    """Those that are available, in our VPC if it is known, in the order they came."""
    assert usable(found, vpc_id=vpc_id) == expected


def test_several_vpcs_and_ours_unknown() -> None:
    """Available ones in several VPCs are ambiguous where ours is not known; all are listed."""
    text = (
        f"VPC endpoints of {SERVICE} are in several VPCs:\n"
        "  vpce-00000001 in vpc-a\n"
        "  vpce-00000003 in vpc-b\n"
        "Cause: which VPC this process runs in is not known.\n"
        "Remedies, in order:\n"
        "  1. pass vpc_id= (or set SM_PRIVATE_VPC_ID).\n"
        "  2. pass vpc_endpoint= with the id of the one to use.\n"
        "See docs/errors.md#ambiguous-vpc-endpoint"
    )
    with pytest.raises(AmbiguousVpcEndpointError, match=rf"\A{re.escape(text)}\Z") as caught:
        usable((A1, A4_PENDING, B3), vpc_id=None)
    assert caught.value.candidates == (A1, B3)


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("pendingacceptance", "have the owner of the endpoint service accept it"),
        ("pending", "wait a few minutes until EC2 has made it"),
        ("deleting", "create a new one"),
        ("deleted", "create a new one"),
        ("rejected", "create a new one"),
        ("failed", "create a new one"),
        ("expired", "create a new one"),
        ("partial", "create a new one"),
    ],
)
def test_unavailable(state: str, remedy: str) -> None:
    """What is not available is refused with its state and what to do about it."""
    found = vpc_endpoint(7, state=state)
    text = (
        f"The VPC endpoint vpce-00000007 of {SERVICE} in vpc-a is in the state {state!r}, "
        "not 'available'.\n"
        f"Remedy: {remedy}, or name another with vpc_endpoint=.\n"
        "See docs/errors.md#vpc-endpoint-unavailable"
    )
    for ask in (lambda: require_available(found), lambda: usable((found,), vpc_id=None)):
        with pytest.raises(VpcEndpointUnavailableError, match=rf"\A{re.escape(text)}\Z") as caught:
            ask()
        assert caught.value.state == state


def test_available_is_given_back() -> None:
    """What is available is given back."""
    assert require_available(A1) is A1


OLD = vpc_endpoint(1, "a", "us-east-1a", "us-east-1b")
NEW = vpc_endpoint(2, "a", "us-east-1c")
UNZONED = vpc_endpoint(3, "a", None)
WITHOUT = vpc_endpoint(4, "a")


@pytest.mark.parametrize(
    ("candidates", "zone", "expected"),
    [
        ((OLD, NEW), "us-east-1a", OLD),
        ((OLD, NEW), "us-east-1b", OLD),
        ((OLD, NEW), "us-east-1c", NEW),
        ((OLD, NEW), "us-east-1d", OLD),  # nobody there: the oldest
        ((OLD, NEW), None, OLD),
        ((NEW, OLD), None, NEW),
        ((OLD, UNZONED), None, OLD),  # an unknown zone is not the zone of an unknown one
        ((WITHOUT, UNZONED), None, WITHOUT),
        ((WITHOUT, NEW), "us-east-1c", NEW),
        ((UNZONED,), "us-east-1a", UNZONED),
    ],
)
def test_nearest(
    candidates: tuple[VpcEndpoint, ...], zone: str | None, expected: VpcEndpoint
) -> None:
    """The first with a network interface in our zone, else the oldest."""
    assert nearest(candidates, zone) is expected


def test_a_request_does_not_show_the_url_of_the_caller() -> None:
    """It is not checked yet, and may hold a password."""
    request = RouteRequest(
        service_name="sagemaker",
        region="us-east-1",
        settings=RoutingSettings(),
        endpoint_url="https://user:password@host.example",
    )
    assert "service_name='sagemaker'" in repr(request)
    assert "host.example" not in repr(request)


def test_a_question_at_a_public_address_is_noted_once() -> None:
    """Also of a VPC endpoint that was named, so that a route never hides it."""
    forget_shared_answers()
    session = botocore.session.get_session()
    client = session.create_client(
        "ec2", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    where = "ec2.us-east-1.amazonaws.com (203.0.113.9)"
    discovery = Discovery(lambda: Ec2Access(client, "me", where), service_names=())
    search = RouteSearch(
        sources=RouteSources(
            network=SystemNetwork(),
            partitions=partitions(session),
            discovery=discovery,
            locate=Location,
            ask_sagemaker=lambda *_: None,
        ),
        request=RouteRequest(
            service_name="sagemaker-runtime", region="us-east-1", settings=RoutingSettings()
        ),
    )
    assert search.with_addresses((A1,)) == (A1,)  # nothing was asked yet
    assert search.trail == []
    with Stubber(client) as stub:
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": []})
        assert discovery.vpc_endpoint("vpce-0a1b2c3d") is None
    for _ in range(2):
        search.with_addresses((A1,))
    assert search.trail == [
        Evidence(step="EC2", outcome="noted", detail=f"EC2 was asked at a public address: {where}")
    ]
