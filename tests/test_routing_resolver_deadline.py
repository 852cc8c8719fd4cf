"""Specification of time in routing: "no route" is said within ten seconds, whatever hangs."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sm_private_client.errors import NoPrivateRouteError
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sm_private_client.errors import Attempt
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


def told(evidence: Iterable[Attempt]) -> list[str]:
    return [f"{e.step} ({e.outcome}): {e.detail}" for e in evidence]


class StuckNetwork:
    """A network whose look-ups heed no time limit."""

    def __init__(self, inner: NetworkBackend) -> None:
        self.released = threading.Event()
        self._inner = inner

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        if host[0].isdigit():
            return self._inner.resolve(host, timeout=timeout)
        self.released.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "released")

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        return self._inner.open(address, port, socket_options=socket_options)


def test_everything_hangs(
    link: LocalPrivateLink, hanging: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ten seconds at the worst, with DNS, metadata and EC2 hanging, with a route cache too."""
    link.network.map("169.254.170.2", 80, ("127.0.0.1", hanging))
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/task-id")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"http://127.0.0.1:{hanging}")
    stuck = StuckNetwork(link.network)
    session = link.session(network=stuck, route_cache=str(tmp_path))
    started = time.monotonic()
    try:
        with pytest.raises(NoPrivateRouteError) as caught:
            session.route("sagemaker-runtime")
        took = time.monotonic() - started
    finally:
        stuck.released.set()
    assert took < 10.0
    # One second of the 9.5 went to the metadata service: the cache's key has our VPC in it.
    assert told(caught.value.attempts)[-1] == "deadline (failed): the 8.5 s for a route are over"
    started = time.monotonic()
    with pytest.raises(NoPrivateRouteError):
        session.route("sagemaker-runtime")
    assert time.monotonic() - started < 1.0  # the refusal is kept


def test_dns_that_hangs_costs_two_seconds(link: LocalPrivateLink) -> None:
    """A look-up without an answer is given up after two seconds, and the next step tries."""
    started = time.monotonic()
    with link.faults.dns_delay(60, HOST):
        route = link.session().route("sagemaker-runtime")
    assert time.monotonic() - started < 5.0
    assert told(route.evidence)[2] == (f"private DNS (failed): no DNS answer for {HOST} within 2 s")
    assert route.source == "discovery"


def test_ec2_that_hangs_costs_five_seconds(
    link: LocalPrivateLink, hanging: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 that takes the connection and never answers is told as a time-out; once for all."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"http://127.0.0.1:{hanging}")
    named = link.vpc_endpoints[0].vpc_endpoint_id
    session = link.session(vpc_endpoint={"sagemaker-metrics": named})
    started = time.monotonic()
    with pytest.raises(NoPrivateRouteError) as caught:
        session.route("sagemaker-runtime")
    assert 3.0 < time.monotonic() - started < 9.0
    no_answer = (
        "EC2 could not be asked (ec2:DescribeVpcEndpoints). Cause: ec2:DescribeVpcEndpoints: no "
        "answer within 5 s."
    )
    assert told(caught.value.attempts)[-1] == f"discovery (failed): {no_answer}"
    # The failure is kept, so EC2 is not waited for again; what only it could tell is guessed.
    host = f"{named}.metrics.sagemaker.us-east-1.vpce.amazonaws.com"
    started = time.monotonic()
    with link.faults.dns(host, "10.0.0.10"):
        route = session.route("sagemaker-metrics")
    assert time.monotonic() - started < 2.0
    assert told(route.evidence) == [
        f"explicit (failed): {no_answer}",
        f"explicit (used): vpc_endpoint= names {named}; {host} was guessed from the bare id",
    ]


def test_metadata_that_hangs_costs_one_second(
    link: LocalPrivateLink, hanging: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metadata service that hangs leaves our place unknown, and is asked once."""
    link.network.map("169.254.170.2", 80, ("127.0.0.1", hanging))
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/task-id")
    session = link.session()
    started = time.monotonic()
    assert session.route("sagemaker-runtime").source == "discovery"
    assert time.monotonic() - started < 4.0
    assert len([d for d in link.network.dialled if d == ("169.254.170.2", 80)]) == 1
