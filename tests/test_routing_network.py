"""The machine's own network: names, sockets, connections; all on loopback."""

from __future__ import annotations

import errno
import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sm_private_client.routing.network import (
    NetworkBackend,
    SystemNetwork,
    connect,
    failure_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK: NetworkBackend = SystemNetwork()


def listening(family: socket.AddressFamily, address: str) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((address, 0))
    listener.listen()
    return listener


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listening(socket.AF_INET, "127.0.0.1") as made:
        yield made


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with listening(socket.AF_INET, "127.0.0.1") as made:
        return port_of(made)


@pytest.fixture
def full_listener() -> Iterator[socket.socket]:
    """A listener whose queue is full, so that a further connection gets no answer."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(0)
        waiting = []
        try:
            for _ in range(4):
                one = socket.socket()
                waiting.append(one)
                one.setblocking(False)
                one.connect_ex(made.getsockname())
            yield made
        finally:
            for one in waiting:
                one.close()


def port_of(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])


def has_ipv6() -> bool:
    try:
        listening(socket.AF_INET6, "::1").close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("52.94.1.1", ("52.94.1.1",)),
        ("::1", ("::1",)),
        ("FD00:0:0::5", ("fd00::5",)),
    ],
)
def test_addresses_are_given_back(host: str, found: tuple[str, ...]) -> None:
    """An address is given back, in its short form, without a look-up."""
    assert NETWORK.resolve(host, timeout=0) == found


def test_localhost() -> None:
    """A name gives its addresses as text, each once."""
    found = NETWORK.resolve("localhost", timeout=5)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", "nobody.invalid", f"{'x' * 64}.invalid", "a\x00b", "h\u00f6st.invalid"],
)
def test_names_that_do_not_resolve(host: str) -> None:
    """A name that does not resolve, or is none, is a ``socket.gaierror``."""
    with pytest.raises(socket.gaierror):
        NETWORK.resolve(host, timeout=5)


def test_what_is_no_host_name_says_so() -> None:
    """A text that cannot be a host name says so."""
    with pytest.raises(socket.gaierror, match=re.escape("'a..b' is not a host name")):
        NETWORK.resolve("a..b", timeout=5)


def test_a_look_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver has no time limit; a look-up that hangs ends in a TimeoutError."""
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(
            TimeoutError, match=r"^DNS look-up of slow\.example: no answer within 0\.1 s$"
        ):
            NETWORK.resolve("slow.example", timeout=0.1)
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("DNS look-up"):
                thread.join(5)


def test_every_address_once_in_the_resolver_s_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses keep the resolver's order, and each comes once."""
    answer = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fd00::2", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.2", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fd00::2", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    assert NETWORK.resolve("many.example", timeout=5) == ("fd00::2", "10.0.0.2", "10.0.0.1")


def test_open_starts_and_does_not_wait(listener: socket.socket) -> None:
    """``open`` gives a non-blocking socket whose connection is under way."""
    with NETWORK.open("127.0.0.1", port_of(listener)) as opened:
        assert opened.gettimeout() == 0
        accepted, _ = listener.accept()
        accepted.close()


def test_open_does_not_wait_for_an_answer(full_listener: socket.socket) -> None:
    """``open`` returns at once also where nobody answers."""
    NETWORK.open("127.0.0.1", port_of(full_listener)).close()


def test_open_sets_options_first(listener: socket.socket) -> None:
    """Socket options are set before the connection is started."""
    options = ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (6, socket.TCP_NODELAY, 1))
    with NETWORK.open("127.0.0.1", port_of(listener), socket_options=options) as opened:
        for level, option, _ in options:
            assert opened.getsockopt(level, option) != 0


@pytest.mark.parametrize(
    ("address", "port", "options"),
    [
        ("localhost", 1, ()),  # a name: nobody judged where it leads
        ("", 1, ()),
        ("127.0.0.1", 1, ((12345, 12345, 1),)),
    ],
)
def test_open_takes_only_addresses(
    address: str, port: int, options: tuple[tuple[int, int, int], ...]
) -> None:
    """What is no address is never looked up, and an impossible option is an OSError."""
    with pytest.raises(OSError, match=r"."):
        NETWORK.open(address, port, socket_options=options)


def test_what_cannot_be_reached_at_all_is_said_at_once() -> None:
    """An address to which no connection can be started is an OSError; no socket is left behind."""
    with pytest.raises(OSError, match=r" for 255\.255\.255\.255:443$"):
        NETWORK.open("255.255.255.255", 443)


def test_connect(listener: socket.socket) -> None:
    """``connect`` waits for the connection and sets the time limit for what follows."""
    with connect(NETWORK, "127.0.0.1", port_of(listener), timeout=5) as opened:
        assert opened.gettimeout() == 5
        assert opened.getpeername() == listener.getsockname()
        assert failure_of(opened) is None
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(b"hello")
            assert opened.recv(5) == b"hello"


def test_connect_refused(free_port: int) -> None:
    """Where nobody listens, ``connect`` raises ConnectionRefusedError."""
    with pytest.raises(ConnectionRefusedError) as caught:
        connect(NETWORK, "127.0.0.1", free_port, timeout=5)
    assert caught.value.errno == errno.ECONNREFUSED


def test_connect_without_answer(full_listener: socket.socket) -> None:
    """Where nobody answers, ``connect`` raises TimeoutError in time and closes its socket."""
    port = port_of(full_listener)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"^127\.0\.0\.1:{port} did not answer within 0\.2 s$"):
        connect(NETWORK, "127.0.0.1", port, timeout=0.2)
    assert time.monotonic() - began > 0.15


def test_reads_are_bounded_after_connect(listener: socket.socket) -> None:
    """A peer that accepts and says nothing costs no more than the time limit."""
    with (
        connect(NETWORK, "127.0.0.1", port_of(listener), timeout=0.1) as opened,
        pytest.raises(TimeoutError),
    ):
        opened.recv(1)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
def test_ipv6() -> None:
    """IPv6 addresses are connected to as well."""
    with (
        listening(socket.AF_INET6, "::1") as listener,
        connect(NETWORK, "::1", port_of(listener), timeout=5) as opened,
    ):
        assert opened.family == socket.AF_INET6


def test_a_resolver_that_hangs_holds_one_thread_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many look it up, one after the other or at once."""
    go_on = threading.Event()

    def hangs(*_: object, **__: object) -> list[object]:
        go_on.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    network = SystemNetwork()
    before = threading.active_count()
    for _ in range(10):
        for host in ("a.example", "b.example"):
            with pytest.raises(TimeoutError, match=f"DNS look-up of {host}"):
                network.resolve(host, timeout=0.01)
    assert threading.active_count() - before == 2
    go_on.set()
    assert network.resolve("a.example", timeout=20) == ("10.0.0.1",)
