"""Specification of transport/dialer.py, over real loopback sockets and an injected network."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import PublicAddressError
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.records import EndpointAddress, Route
from sm_private_client.routing.network import SocketOption
from sm_private_client.transport.dialer import KEEPALIVE, RACE_DELAY, Dialer, ZoneHealth

HOST = "vpce-0a1b2c3d-abcdefgh.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
A, B, C = "10.0.1.10", "10.0.2.10", "10.0.3.10"
ZONES = {A: "us-east-1a", B: "us-east-1b", C: "us-east-1c"}


class ScriptedNetwork:
    """A NetworkBackend whose addresses answer, refuse, stay silent or cannot be reached."""

    def __init__(self, port: int, **behaviour: str) -> None:
        self.port = port
        self.answers: tuple[str, ...] = (A, B, C)
        self.behaviour = {ZONE_OF_NAME[name]: how for name, how in behaviour.items()}
        self.looked_up: list[tuple[str, float]] = []
        self.opened: list[str] = []
        self.sockets: list[socket.socket] = []

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        self.looked_up.append((host, timeout))
        return self.answers

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        assert port == 443
        self.opened.append(address)
        how = self.behaviour.get(address, "answer")
        if how == "unreachable":
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        opened = socket.socket()
        self.sockets.append(opened)
        for level, option, value in socket_options:
            opened.setsockopt(level, option, value)
        opened.setblocking(False)
        if how == "silent":
            opened.bind(("127.0.0.1", 0))
            opened.listen(1)  # never becomes writable
        else:
            opened.connect_ex(("127.0.0.1", self.port if how == "answer" else _closed_port()))
        return opened


ZONE_OF_NAME = {"a": A, "b": B, "c": C}


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def route(*, zone: str | None = None, policy: AddressPolicy | None = None) -> Route:
    return Route(
        service_name="sagemaker-runtime",
        region="us-east-1",
        partition="aws",
        endpoint_url=f"https://{HOST}",
        source="discovery",
        addresses=tuple(EndpointAddress(address=a, availability_zone=z) for a, z in ZONES.items()),
        availability_zone=zone,
        address_policy=policy or AddressPolicy(),
    )


@contextmanager
def dialed(dialer: Dialer, *, timeout: float | None = 5.0) -> Iterator[str]:
    result = dialer.dial(HOST, 443, timeout=timeout)
    try:
        assert result.availability_zone == ZONES.get(result.address)
        assert result.sock.getblocking()
        assert result.sock.getpeername()[0] == "127.0.0.1"
        yield result.address
    finally:
        result.sock.close()


def dialer(network: ScriptedNetwork, health: ZoneHealth | None = None, **kwargs: object) -> Dialer:
    zone = kwargs.get("zone")
    assert zone is None or isinstance(zone, str)
    return Dialer(route(zone=zone), network=network, health=health or ZoneHealth())


def test_it_connects_to_the_address_that_was_judged_with_one_look_up(port: int) -> None:
    """There is no second look-up, so DNS cannot change between judging and connecting."""
    network = ScriptedNetwork(port)
    with dialed(dialer(network)) as address:
        assert address == A
    assert network.looked_up == [(HOST, 5.0)]
    assert network.opened == [A]


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        (("52.1.2.3",), "52.1.2.3"),
        ((A, "52.1.2.3"), "52.1.2.3"),
        (("52.1.2.3", A), "52.1.2.3"),
        (("127.0.0.1",), "127.0.0.1"),
        (("::ffff:52.1.2.3",), "::ffff:52.1.2.3"),
        (("169.254.169.254",), "169.254.169.254"),
    ],
)
def test_one_address_that_is_not_private_refuses_them_all(
    port: int, answers: tuple[str, ...], refused: str
) -> None:
    """A public address raises PublicAddressError before any byte is sent."""
    network = ScriptedNetwork(port)
    network.answers = answers
    with pytest.raises(PublicAddressError) as caught:
        dialer(network).dial(HOST, 443, timeout=5)
    assert (caught.value.host, caught.value.address) == (HOST, refused)
    assert network.opened == []


@given(
    st.lists(st.ip_addresses().map(str), min_size=1, max_size=4),
    st.ip_addresses().filter(lambda ip: ip.is_global).map(str),
    st.integers(0, 4),
)
def test_no_answer_with_a_global_address_in_it_is_ever_dialled(
    others: list[str], public: str, position: int
) -> None:
    """Each address is judged, wherever it stands in the answer."""
    network = ScriptedNetwork(1)
    network.answers = (*others[:position], public, *others[position:])
    with pytest.raises(PublicAddressError):
        dialer(network).dial(HOST, 443, timeout=5)
    assert network.opened == []


def test_warn_only_logs_once_and_goes_on(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """on_public_route="warn" is the only way round the guard."""
    network = ScriptedNetwork(port)
    network.answers = ("52.1.2.3",)
    lenient = Dialer(route(), network=network, health=ZoneHealth(), warn_only=True)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            lenient.dial(HOST, 443, timeout=5).sock.close()
    assert [r.getMessage() for r in caplog.records] == [
        f"{HOST} is reached at 52.1.2.3, which is public (on_public_route='warn')."
    ]


def test_an_empty_answer_is_a_failed_look_up(port: int) -> None:
    """A name without addresses does not resolve."""
    network = ScriptedNetwork(port)
    network.answers = ()
    with pytest.raises(socket.gaierror, match="has no address"):
        dialer(network).dial(HOST, 443, timeout=5)


@pytest.mark.parametrize(("zone", "first"), [("us-east-1b", B), ("us-east-1c", C), (None, A)])
def test_our_own_zone_comes_first(port: int, zone: str | None, first: str) -> None:
    """Addresses of our own zone are tried first; without one, in the resolver's order."""
    with dialed(dialer(ScriptedNetwork(port), zone=zone)) as address:
        assert address == first


def test_a_zone_that_failed_is_put_last_for_30_seconds_for_all_clients(port: int) -> None:
    """A dead zone costs once, not a time-out per client."""
    clock = Clock()
    health = ZoneHealth(clock)
    network = ScriptedNetwork(port, a="refuse")
    with dialed(dialer(network, health, zone="us-east-1a")) as address:
        assert address == B
    assert network.opened == [A, B]
    with dialed(dialer(network, health, zone="us-east-1a")) as address:
        assert address == B
    assert network.opened == [A, B, B]
    clock.now += 30
    network.behaviour.clear()
    with dialed(dialer(network, health, zone="us-east-1a")) as address:
        assert address == A


def test_a_silent_address_is_raced_after_one_second(port: int) -> None:
    """An address that has not answered within 1 s is raced by the next one."""
    health = ZoneHealth()
    network = ScriptedNetwork(port, a="silent")
    with dialed(dialer(network, health)) as address:
        assert address == B
    assert network.opened == [A, B]
    assert RACE_DELAY == 1.0
    assert health.is_suspect("us-east-1a")
    assert not health.is_suspect("us-east-1b")


def test_an_address_that_answered_unseen_is_not_raced(port: int) -> None:
    """A thread that did not run for longer than the second finds the answer, and opens no other."""
    clock = Clock()

    class Paused(ScriptedNetwork):
        def open(
            self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
        ) -> socket.socket:
            clock.now += 2 * RACE_DELAY
            return super().open(address, port, socket_options=socket_options)

    network = Paused(port)
    health = ZoneHealth(clock)
    with dialed(Dialer(route(), network=network, health=health, clock=clock)) as address:
        assert address == A
    assert network.opened == [A]


def test_the_winner_is_kept_and_every_other_socket_is_closed(port: int) -> None:
    """A race leaks nothing."""
    network = ScriptedNetwork(port, a="silent", b="refuse")
    with dialed(dialer(network)) as address:
        assert address == C
        assert [s.fileno() == -1 for s in network.sockets] == [True, True, False]


@pytest.mark.parametrize("how", ["refuse", "unreachable"])
def test_a_refused_address_is_followed_by_the_next_at_once(port: int, how: str) -> None:
    """Only silence costs time: within half a second the third of three is connected."""
    network = ScriptedNetwork(port, a=how, b=how)
    with dialed(dialer(network), timeout=0.5) as address:
        assert address == C


def test_when_every_address_fails_the_error_names_each(port: int) -> None:
    """The message has every address, its zone and what became of it."""
    network = ScriptedNetwork(port, a="refuse", b="unreachable", c="refuse")
    with pytest.raises(ConnectionError) as caught:
        dialer(network).dial(HOST, 443, timeout=5)
    host, _, failures = str(caught.value).partition(":443: ")
    assert host == HOST
    assert sorted(failures.split("; ")) == [
        "10.0.1.10 (us-east-1a): Connection refused",
        "10.0.2.10 (us-east-1b): Network is unreachable",
        "10.0.3.10 (us-east-1c): Connection refused",
    ]


def test_silence_of_all_ends_with_the_connect_budget(port: int) -> None:
    """Look-up and all attempts share the one connect time-out."""
    network = ScriptedNetwork(port, a="silent", b="silent", c="silent")
    with pytest.raises(TimeoutError) as caught:
        dialer(network).dial(HOST, 443, timeout=1.2)
    assert network.opened == [A, B]
    assert str(caught.value) == (
        f"{HOST}:443: 10.0.1.10 (us-east-1a): no answer in time; "
        "10.0.2.10 (us-east-1b): no answer in time; "
        "10.0.3.10 (us-east-1c): no answer in time"
    )
    assert all(s.fileno() == -1 for s in network.sockets)


def test_without_a_timeout_it_waits(port: int) -> None:
    """``connect_timeout=None`` is botocore's way to wait for ever."""
    network = ScriptedNetwork(port)
    with dialed(dialer(network), timeout=None) as address:
        assert address == A
    assert network.looked_up == [(HOST, threading.TIMEOUT_MAX)]


def test_keep_alive_is_really_set_below_350_seconds(port: int) -> None:
    """PrivateLink drops connections idle for 350 s; the kernel probes long before."""
    result = dialer(ScriptedNetwork(port)).dial(
        HOST, 443, timeout=5, socket_options=((socket.SOL_SOCKET, socket.SO_RCVBUF, 65536),)
    )
    with result.sock as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        idle = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        interval = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        count = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert (idle, interval, count) == (60, 30, 4)
        assert idle + interval * count < 350
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 65536
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in KEEPALIVE


def test_the_repr_tells_host_and_zone(port: int) -> None:
    """State is in the repr."""
    text = repr(dialer(ScriptedNetwork(port), zone="us-east-1a"))
    assert text == f"Dialer(host={HOST!r}, zone='us-east-1a')"


def test_health_is_forgiven_when_a_zone_answers() -> None:
    """A zone that answers is no longer suspect; one never seen is not."""
    health = ZoneHealth(Clock())
    assert not health.is_suspect("us-east-1a")
    health.failed("us-east-1a")
    assert health.is_suspect("us-east-1a")
    health.answered("us-east-1a")
    health.answered("us-east-1b")
    assert not health.is_suspect("us-east-1a")
