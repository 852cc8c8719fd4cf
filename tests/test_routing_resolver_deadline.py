"""Specification of time in routing: "no route" is said within its limit, whatever hangs."""

from __future__ import annotations

import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from route_limits import limit_routes
from sm_private_client.errors import NoPrivateRouteError
from sm_private_client.routing.discovery import DISCOVERY_TIMEOUT
from sm_private_client.routing.location import LOCATION_TIMEOUT
from sm_private_client.routing.resolver import ROUTE_TIMEOUT
from sm_private_client.routing.search import DNS_TIMEOUT
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sm_private_client.privatelink.records import Evidence
    from sm_private_client.routing.network import NetworkBackend, SocketOption

HOST = "runtime.sagemaker.us-east-1.amazonaws.com"


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    """A simulator whose public addresses must see nothing."""
    with LocalPrivateLink(services=("sagemaker-runtime",)) as running:
        yield running
        assert (running.internet.connections, running.internet.bytes_received) == (0, 0)


@pytest.fixture
def hanging() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def told(evidence: Iterable[Evidence]) -> list[str]:
    return [f"{e.step} ({e.outcome}): {e.detail}" for e in evidence]


class StuckNetwork:
    """A network whose look-ups heed no time limit."""

    def __init__(self, inner: NetworkBackend) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []
        self._inner = inner

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        if host[0].isdigit():
            return self._inner.resolve(host, timeout=timeout)
        self.asked.append(host)
        self.released.wait(600)
        raise socket.gaierror(socket.EAI_NONAME, "released")

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        return self._inner.open(address, port, socket_options=socket_options)


def test_everything_hangs(
    link: LocalPrivateLink, hanging: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One limit for all, with DNS, metadata and EC2 hanging, with a route cache too."""
    limit_routes(monkeypatch, route=2, metadata=0.5)
    link.network.map("169.254.170.2", 80, ("127.0.0.1", hanging))
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/task-id")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"http://127.0.0.1:{hanging}")
    stuck = StuckNetwork(link.network)
    session = link.session(network=stuck, route_cache=str(tmp_path))
    try:
        with pytest.raises(NoPrivateRouteError) as caught:
            session.route("sagemaker-runtime")
        asked = len(stuck.asked)
        with pytest.raises(NoPrivateRouteError):
            session.route("sagemaker-runtime")
        assert len(stuck.asked) == asked == 1  # the refusal is kept
    finally:
        stuck.released.set()
    # Half a second of the two went to the metadata service: the cache's key has our VPC in it.
    last = told(caught.value.attempts)[-1]
    found = re.fullmatch(r"deadline \(failed\): the ([\d.]+) s for a route are over", last)
    assert found
    assert float(found[1]) <= 1.5


def test_the_limits_add_up_to_what_is_promised() -> None:
    """No route is said within ten seconds; each question has a part of that."""
    assert LOCATION_TIMEOUT + DNS_TIMEOUT + DISCOVERY_TIMEOUT < ROUTE_TIMEOUT < 10


def test_dns_that_hangs_costs_two_seconds(link: LocalPrivateLink) -> None:
    """A look-up without an answer is given up after two seconds, and the next step tries."""
    with link.faults.dns_delay(600, HOST):
        route = link.session().route("sagemaker-runtime")
    assert told(route.evidence)[2] == (f"private DNS (failed): no DNS answer for {HOST} within 2 s")
    assert route.source == "discovery"


def test_ec2_that_hangs_costs_its_time_once(
    link: LocalPrivateLink, hanging: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 that takes the connection and never answers is told as a time-out; once for all."""
    limit_routes(monkeypatch, ec2=0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"http://127.0.0.1:{hanging}")
    named = link.vpc_endpoints[0].vpc_endpoint_id
    session = link.session(vpc_endpoint={"sagemaker-metrics": named})
    with pytest.raises(NoPrivateRouteError) as caught:
        session.route("sagemaker-runtime")
    no_answer = (
        "EC2 could not be asked (ec2:DescribeVpcEndpoints). Cause: ec2:DescribeVpcEndpoints: no "
        "answer within 0.5 s."
    )
    assert told(caught.value.attempts)[-1] == f"discovery (failed): {no_answer}"
    # The failure is kept, so EC2 is not waited for again; what only it could tell is guessed.
    host = f"{named}.metrics.sagemaker.us-east-1.vpce.amazonaws.com"
    with link.faults.dns(host, "10.0.0.10"):
        route = session.route("sagemaker-metrics")
    assert told(route.evidence) == [
        f"explicit (failed): {no_answer}",
        f"explicit (used): vpc_endpoint= names {named}; {host} was guessed from the bare id",
    ]


def test_metadata_that_hangs_costs_its_time_once(
    link: LocalPrivateLink, hanging: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metadata service that hangs leaves our place unknown, and is asked once."""
    limit_routes(monkeypatch, metadata=0.2)
    link.network.map("169.254.170.2", 80, ("127.0.0.1", hanging))
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/task-id")
    session = link.session()
    assert session.route("sagemaker-runtime").source == "discovery"
    assert len([d for d in link.network.dialled if d == ("169.254.170.2", 80)]) == 1
