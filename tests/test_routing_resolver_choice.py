"""Specification of which of several VPC endpoints discovery takes: state, VPC, zone, age."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from sm_private_client.errors import AmbiguousVpcEndpointError, VpcEndpointUnavailableError
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def own_link() -> Iterator[LocalPrivateLink]:
    """A simulator without VPC endpoints, for one test. Nothing goes out publicly."""
    with LocalPrivateLink(services=()) as running:
        yield running
        assert (running.internet.connections, running.internet.bytes_received) == (0, 0)


def age(link: LocalPrivateLink, *oldest_first: str) -> None:
    """Have EC2 say that VPC endpoints were made a day after the other."""
    with link.control.ec2() as ec2:
        for day, vpc_endpoint_id in enumerate(oldest_first, 1):
            created = dt.datetime(2026, 1, day, tzinfo=dt.timezone.utc)
            ec2.vpc_end_points[vpc_endpoint_id].creation_timestamp = created


STATES = {
    "pendingAcceptance": "have the owner of the endpoint service accept it",
    "pending": "wait a few minutes until EC2 has made it",
    "deleting": "create a new one",
    "Rejected": "create a new one",
    "failed": "create a new one",
}


def test_a_state_other_than_available_is_named(own_link: LocalPrivateLink) -> None:
    """A VPC endpoint that cannot carry calls is an error that names its state."""
    standing = own_link.create_vpc_endpoint("sagemaker-runtime")
    by_id = own_link.session(vpc_endpoint=standing.vpc_endpoint_id)
    for state, remedy in STATES.items():
        own_link.set_state(standing.vpc_endpoint_id, state)
        for session in (own_link.session(), by_id):
            session.forget_routes()
            with pytest.raises(VpcEndpointUnavailableError) as caught:
                session.route("sagemaker-runtime")
            assert caught.value.state == state.lower()
            assert str(caught.value) == (
                f"The VPC endpoint {standing.vpc_endpoint_id} of "
                f"com.amazonaws.us-east-1.sagemaker.runtime in {own_link.vpc_id} is in the state "
                f"'{state.lower()}', not 'available'.\n"
                f"Remedy: {remedy}, or name another with vpc_endpoint=.\n"
                "See docs/errors.md#vpc-endpoint-unavailable"
            )
    available = own_link.create_vpc_endpoint("sagemaker-runtime")
    assert own_link.session().route("sagemaker-runtime").host == available.name.host


def test_several_vpcs_and_ours_unknown_are_listed(own_link: LocalPrivateLink) -> None:
    """AmbiguousVpcEndpointError lists the candidates, oldest first, and says what to pass."""
    vpcs = [own_link.vpc_id, own_link.create_vpc().vpc_id]
    standing = [own_link.create_vpc_endpoint("sagemaker", vpc_id=v) for v in vpcs]
    with pytest.raises(AmbiguousVpcEndpointError) as caught:
        own_link.session().route("sagemaker")
    listed = [f"  {v.vpc_endpoint_id} in {v.vpc_id}" for v in caught.value.candidates]
    assert sorted(listed) == sorted(f"  {s.vpc_endpoint_id} in {s.vpc_id}" for s in standing)
    assert str(caught.value).splitlines() == [
        "VPC endpoints of com.amazonaws.us-east-1.sagemaker.api are in several VPCs:",
        *listed,
        "Cause: which VPC this process runs in is not known.",
        "Remedies, in order:",
        "  1. pass vpc_id= (or set SM_PRIVATE_VPC_ID).",
        "  2. pass vpc_endpoint= with the id of the one to use.",
        "See docs/errors.md#ambiguous-vpc-endpoint",
    ]


def test_the_oldest_of_several_in_one_vpc_is_taken(own_link: LocalPrivateLink) -> None:
    """Several in one VPC and no zone known: the oldest."""
    standing = [own_link.create_vpc_endpoint("sagemaker") for _ in range(4)]
    age(own_link, *(standing[n].vpc_endpoint_id for n in (2, 1, 3, 0)))
    assert own_link.session().route("sagemaker").host == standing[2].name.host
    own_link.set_state(standing[2].vpc_endpoint_id, "deleting")
    assert own_link.session().route("sagemaker").host == standing[1].name.host


def test_the_one_with_an_interface_in_our_zone_comes_before_the_oldest(
    own_link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several in one VPC: one with an ENI in our zone; the zone is set by argument or variable."""
    made = [own_link.create_vpc_endpoint("sagemaker", zones=[f"us-east-1{z}"]) for z in "abb"]
    age(own_link, *(standing.vpc_endpoint_id for standing in made))
    route = own_link.session(availability_zone="us-east-1b").route("sagemaker")
    assert (route.host, route.availability_zone) == (made[1].name.host, "us-east-1b")
    route = own_link.session(availability_zone="us-east-1f").route("sagemaker")
    assert (route.host, route.availability_zone) == (made[0].name.host, "us-east-1f")
    monkeypatch.setenv("SM_PRIVATE_AVAILABILITY_ZONE", "us-east-1b")
    assert own_link.session().route("sagemaker").host == made[1].name.host
