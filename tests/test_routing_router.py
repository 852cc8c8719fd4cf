"""Specification of routing/router.py: a session's routes, decided once, kept, and forgotten."""

from __future__ import annotations

import errno
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

import sm_private_client as smp
from sm_private_client.errors import FipsUnavailableError, NoPrivateRouteError, PublicAddressError
from sm_private_client.privatelink.records import Evidence
from sm_private_client.routing import router
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.session.private_routes import routes_of
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sm_private_client.privatelink.records import Route
    from sm_private_client.session import Session

ONE_EACH = {"ec2:DescribeVpcEndpoints": 1, "ec2:DescribeNetworkInterfaces": 1}


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


@pytest.fixture
def link(shared: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    """A running simulator that tests share; they leave it as it was. Nothing goes out publicly."""
    forget_shared_answers()
    shared.calls.clear()
    shared.network.looked_up.clear()
    yield shared
    assert not shared.faults.active
    assert (shared.internet.connections, shared.internet.bytes_received) == (0, 0)


# One decision


def test_one_decision_for_many_threads(link: LocalPrivateLink) -> None:
    """32 threads that ask at once get the same route, and EC2 and DNS are asked once."""
    session = link.session()
    start = threading.Barrier(32)

    def ask(_: int) -> Route:
        start.wait(60)
        return session.route("sagemaker-runtime")

    with ThreadPoolExecutor(32) as threads:
        routes = list(threads.map(ask, range(32)))
    assert all(route is routes[0] for route in routes)
    assert dict(link.calls) == ONE_EACH
    assert len(link.network.looked_up) == 2  # the default host and the VPC endpoint's


def test_a_refusal_is_kept_and_raised_as_copies(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is kept for 5 s; each caller gets an error and a traceback of its own."""
    clock = Clock()
    monkeypatch.setattr(router, "time", SimpleNamespace(monotonic=clock))
    session = link.session()
    caught = []
    with link.faults.dns_failure():
        for _ in range(3):
            with pytest.raises(NoPrivateRouteError) as one:
                session.route("sagemaker-metrics")
            caught.append(one.value)
    assert len({id(error) for error in caught}) == 3
    assert len({str(error) for error in caught}) == 1
    assert caught[0].attempts == caught[2].attempts
    depths = [len(traceback.extract_tb(error.__traceback__)) for error in caught]
    assert depths[1] == depths[2]  # none grows with the callers before it
    looked_up = len(link.network.looked_up)
    clock.seconds += 4.0
    with pytest.raises(NoPrivateRouteError):
        session.route("sagemaker-metrics")
    assert len(link.network.looked_up) == looked_up
    clock.seconds += 1.5
    with link.faults.dns("sagemaker-metrics", "10.0.0.99"):
        assert session.route("sagemaker-metrics").source == "private-dns"


@pytest.mark.parametrize(("age", "asked"), [(29.0, 0), (30.0, 1)])
def test_a_refused_address_has_an_older_route_decided_anew(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, age: float, asked: int
) -> None:
    """The VPC endpoint may have other interfaces than it had; EC2 is not asked for each call."""
    clock = Clock()
    monkeypatch.setattr(router, "time", SimpleNamespace(monotonic=clock))
    client = link.session().client("sagemaker")
    client.list_endpoints()
    client.close()
    link.calls.clear()
    clock.seconds += age
    with link.faults.dns("sagemaker", "10.0.0.200"), pytest.raises(PublicAddressError):
        client.list_endpoints()
    assert link.calls["ec2:DescribeVpcEndpoints"] == 0
    client.list_endpoints()
    assert link.calls["ec2:DescribeVpcEndpoints"] == asked


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_forget(link: LocalPrivateLink, tmp_path: Path) -> None:
    """forget() forgets routes, refusals and EC2's answers, in memory and on disk."""
    session = link.session(route_cache=tmp_path)
    session.route("sagemaker")
    assert list(tmp_path.glob("*.json"))
    session.forget_routes()
    assert not list(tmp_path.glob("*.json"))
    session.route("sagemaker")
    assert dict(link.calls) == dict.fromkeys(ONE_EACH, 2)


def test_what_a_route_depends_on_makes_another_one(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Region, FIPS, endpoint_url, credentials and the settings of the moment are told apart."""
    session = link.session()
    plain = session.route("sagemaker")
    with pytest.raises(FipsUnavailableError):
        session.route("sagemaker", config=Config(use_fips_endpoint=True))
    with pytest.raises(NoPrivateRouteError):
        session.route("sagemaker", "eu-west-1")
    assert session.route("sagemaker", endpoint_url="https://a.internal").host == "a.internal"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "https://b.internal")
    assert session.route("sagemaker").host == "b.internal"
    ignoring = Config(ignore_configured_endpoint_urls=True)  # type: ignore[call-arg] # stubs lack it
    assert session.route("sagemaker", config=ignoring) is plain
    session._session.set_default_client_config(ignoring)
    assert session.route("sagemaker") is plain


# Credentials


def other_key(link: LocalPrivateLink) -> dict[str, str]:
    iam = boto3.Session(link.access_key_id, link.secret_access_key, region_name=link.region).client(
        "iam", endpoint_url=link.control_url
    )
    made = iam.create_access_key(UserName="private-link")["AccessKey"]
    return {
        "aws_access_key_id": made["AccessKeyId"],
        "aws_secret_access_key": made["SecretAccessKey"],
    }


def test_client_credentials_have_their_own_discovery(
    link: LocalPrivateLink, tmp_path: Path
) -> None:
    """What one identity may see says nothing about another one, in memory and on disk."""
    session: Any = link.session(route_cache=tmp_path)  # stubs: no ** of a dictionary
    credentials = other_key(link)
    with link.faults.deny("ec2:DescribeVpcEndpoints"), pytest.raises(NoPrivateRouteError):
        session.client("sagemaker").list_endpoints()
    link.calls.clear()
    session.client("sagemaker", **credentials).list_endpoints()
    assert {name: link.calls[name] for name in ONE_EACH} == ONE_EACH
    with pytest.raises(NoPrivateRouteError):  # the session's own refusal is still kept
        session.client("sagemaker").list_endpoints()
    again: Any = link.session(route_cache=tmp_path)
    again.client("sagemaker", **credentials).list_endpoints()
    assert {name: link.calls[name] for name in ONE_EACH} == ONE_EACH
    for kept in tmp_path.glob("*.json"):
        text = kept.read_text()
        assert not [value for value in credentials.values() if value in text]


# On disk


def cached(link: LocalPrivateLink, directory: Path) -> Session:
    return link.session(route_cache=directory)


def test_a_kept_route_serves_the_next_router(link: LocalPrivateLink, tmp_path: Path) -> None:
    """A fresh process asks DNS once and EC2 not at all; the route is the same, and says so."""
    first = cached(link, tmp_path).route("sagemaker-runtime")
    link.calls.clear()
    link.network.looked_up.clear()
    second = cached(link, tmp_path).route("sagemaker-runtime")
    assert not link.calls
    assert list(link.network.looked_up) == [first.host]
    assert decisive(second) == decisive(first)
    kept = Evidence(step="route cache", outcome="noted", detail="EC2's answers were kept on disk")
    assert (second.evidence[0], second.evidence[-1]) == (kept, first.evidence[-1])


def decisive(route: Route) -> dict[str, Any]:
    """What a route is, without what was seen on the way to it."""
    told = route.as_dict()
    del told["evidence"]
    told["vpc_endpoint"] = {
        name: told["vpc_endpoint"][name]
        for name in ("vpc_endpoint_id", "endpoint_service", "vpc_id", "state", "addresses")
    }
    return told


@pytest.mark.parametrize("how", ["id", "another service's id", "another service's name"])
def test_what_a_name_led_to_is_kept(link: LocalPrivateLink, tmp_path: Path, how: str) -> None:
    """An id, and another service's VPC endpoint, lead there without EC2 the second time."""
    other = link.vpc_endpoint("sagemaker")
    named = {
        "id": link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id,
        "another service's id": other.vpc_endpoint_id,
        "another service's name": other.name.host,
    }[how]
    first, second = (
        link.session(route_cache=tmp_path, vpc_endpoint=named).route("sagemaker-runtime")
        for _ in range(2)
    )
    assert decisive(second) == decisive(first)
    assert second.address_policy.eni_addresses
    assert dict(link.calls) == ONE_EACH


def test_that_ec2_could_not_be_asked_is_kept(link: LocalPrivateLink, tmp_path: Path) -> None:
    """A bare id's route is guessed again, without waiting for EC2 again."""
    named = link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    host = f"{named}.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
    with (
        link.faults.deny("ec2:DescribeVpcEndpoints"),
        link.faults.dns(host, "10.0.0.77"),
    ):
        first, second = (
            link.session(route_cache=tmp_path, vpc_endpoint=named).route("sagemaker-runtime")
            for _ in range(2)
        )
    assert (first.host, second.host) == (host, host)
    assert second.address_policy == first.address_policy
    assert link.calls["ec2:DescribeVpcEndpoints"] == 1


def test_cidrs_are_kept_where_interfaces_are_not_told(
    link: LocalPrivateLink, tmp_path: Path
) -> None:
    """Without the interfaces' addresses the VPC's CIDRs judge, the second time too."""
    with link.faults.deny("ec2:DescribeNetworkInterfaces"):
        first, second = (cached(link, tmp_path).route("sagemaker-runtime") for _ in range(2))
    assert second.address_policy == first.address_policy
    assert second.address_policy.vpc_cidrs
    assert link.calls["ec2:DescribeVpcs"] == 1


@pytest.mark.parametrize("stale", ["gone", "public", "foreign"])
def test_a_stale_route_is_dropped_and_decided_anew(
    link: LocalPrivateLink, tmp_path: Path, stale: str
) -> None:
    """A kept route whose host does not resolve, or not to its VPC endpoint, is not used."""
    old = link.create_vpc_endpoint("sagemaker-metrics")
    try:
        assert cached(link, tmp_path).route("sagemaker-metrics").host == old.name.host
    finally:
        link.delete_vpc_endpoint(old.vpc_endpoint_id)
    new = link.create_vpc_endpoint("sagemaker-metrics")
    try:
        faults = {
            "gone": lambda: link.faults.dns_failure(old.name.host),
            "public": lambda: link.faults.dns(old.name.host, "52.46.128.9"),
            "foreign": lambda: link.faults.dns(old.name.host, "10.0.0.200"),
        }
        with faults[stale]():
            assert cached(link, tmp_path).route("sagemaker-metrics").host == new.name.host
        (kept,) = tmp_path.glob("*.json")
        assert new.name.host in kept.read_text()
        assert old.name.host not in kept.read_text()
    finally:
        link.delete_vpc_endpoint(new.vpc_endpoint_id)


def test_private_dns_is_asked_anew(link: LocalPrivateLink, tmp_path: Path) -> None:
    """What one look-up tells is not kept: private DNS that was switched off is seen at once."""
    host = "api.sagemaker.us-east-1.amazonaws.com"
    with link.faults.dns(host, "10.0.0.10"):
        assert cached(link, tmp_path).route("sagemaker").source == "private-dns"
    assert not list(tmp_path.glob("*.json"))
    assert cached(link, tmp_path).route("sagemaker").source == "discovery"


def test_a_refusal_is_not_kept_on_disk(link: LocalPrivateLink, tmp_path: Path) -> None:
    """That there is no route is seen anew by each session: what was mended works at once."""
    for _ in range(2):
        with pytest.raises(NoPrivateRouteError):
            cached(link, tmp_path).route("sagemaker-metrics")
    assert not list(tmp_path.glob("*.json"))
    with link.faults.dns("sagemaker-metrics", "10.0.0.99"):
        assert cached(link, tmp_path).route("sagemaker-metrics").source == "private-dns"


@pytest.mark.parametrize("place", ["argument", "variable"])
def test_explicit_urls_are_not_kept(
    link: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """What a URL says is said anew each time: nothing of it is on disk."""
    url = "https://relay.internal"
    if place == "variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    session = cached(link, tmp_path)
    argument = url if place == "argument" else None
    assert session.route("sagemaker", endpoint_url=argument).endpoint_url == url
    assert not list(tmp_path.iterdir())


def test_other_settings_have_other_entries(link: LocalPrivateLink, tmp_path: Path) -> None:
    """A route kept under other settings, FIPS or region is not found."""
    cached(link, tmp_path).route("sagemaker")
    named = link.vpc_endpoint("sagemaker").vpc_endpoint_id
    for options in (
        {"availability_zone": "us-east-1b"},
        {"vpc_endpoint": named},
        {"vpc_id": link.vpc_id},
        {"allowed_networks": ["198.51.100.0/24"]},
    ):
        before = len(list(tmp_path.glob("*.json")))
        link.session(route_cache=tmp_path, **options).route("sagemaker")
        assert len(list(tmp_path.glob("*.json"))) == before + 1
    with pytest.raises(FipsUnavailableError):
        cached(link, tmp_path).route("sagemaker", config=Config(use_fips_endpoint=True))


@pytest.mark.parametrize("route_cache", [None, False])
def test_an_injected_network_keeps_nothing_unasked(
    link: LocalPrivateLink, tmp_path: Path, *, route_cache: bool | None
) -> None:
    """Routes of a network that was passed in are kept on disk only where route_cache says so."""
    link.session(route_cache=route_cache).route("sagemaker")
    assert not list(tmp_path.iterdir())


class CountingNetwork(SystemNetwork):
    """The machine's own network, on which nothing answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        self.asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, f"{host} within {timeout} s")

    def open(self, address: str, port: int, *, socket_options: Any = ()) -> socket.socket:
        self.asked.append(address)
        raise OSError(errno.EHOSTUNREACH, f"{port} {socket_options}")


def test_sessions_share_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no metadata service answers, only the first one waits for it."""
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/task-id")
    forget_shared_answers()
    keys: Any = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    networks = [CountingNetwork() for _ in range(3)]
    sessions = [smp.Session(network=network, **keys) for network in networks]
    for session in sessions[:2]:
        routes_of(session).router.location()
    assert [bool(network.asked) for network in networks] == [True, False, False]
    sessions[1].forget_routes()
    routes_of(sessions[2]).router.location()
    assert networks[2].asked
