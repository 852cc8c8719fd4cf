"""Specification of transport/fast.py and pinning.py: pyreqwest, sync and async, real sockets.

What is not special to pyreqwest is specified in test_transport_direct.py.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import importlib
import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from loopback_peer import (
    AUTHORITY,
    CHUNKED,
    HOST,
    KEYS,
    NOON,
    OK,
    PART,
    REFUSES,
    URL,
    A,
    B,
    Clock,
    Net,
    Peer,
    Script,
    Talk,
    closes,
    in_child,
    resets,
    route,
    silent,
    writes,
)
from sm_private_client.errors import ConfigurationError, MissingExtraError, PublicAddressError
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.http import HttpRequest, HttpResponse
from sm_private_client.transport.signing import Signer

REQUEST = HttpRequest(
    method="POST",
    path="/endpoints/churn/invocations",
    headers=(("Content-Type", "text/csv"),),
    body=b"top,secret,row",
)
without_pyreqwest = importlib.util.find_spec("pyreqwest") is None
needs_pyreqwest = pytest.mark.skipif(without_pyreqwest, reason="pyreqwest needs Python 3.11")


class Calls:
    """Both transports behind one synchronous face."""

    def __init__(self, transport: Any, runner: Any = None) -> None:
        self.transport = transport
        self._runner = runner

    def send(self, request: HttpRequest = REQUEST, timeout: float | None = 5) -> HttpResponse:
        made = self.transport.send(request, timeout=timeout)
        answer: HttpResponse = self._runner.run(made) if self._runner else made
        return answer

    def stream(self, request: HttpRequest = REQUEST, timeout: float | None = 5) -> Any:
        made = self.transport.stream(request, timeout=timeout)
        return self._runner.run(made) if self._runner else made

    def chunks(self, stream: Any) -> Iterator[bytes]:
        if not self._runner:
            yield from stream.chunks()
            return
        chunks = stream.chunks()
        try:
            with suppress(StopAsyncIteration):
                while True:
                    yield self._runner.run(anext(chunks))  # type: ignore[name-defined, unused-ignore] # 3.10
        finally:
            self._runner.run(chunks.aclose())

    def end(self, stream: Any) -> None:
        made = stream.close()
        if self._runner:
            self._runner.run(made)

    def close(self) -> None:
        made = self.transport.close()
        if self._runner:
            self._runner.run(made)


Make = Callable[..., Calls]


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.stop()


@pytest.fixture
def other() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.stop()


@pytest.fixture
def net(peer: Peer) -> Net:
    return Net(a=peer.port)


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, bundle: str) -> Iterator[Make]:
    """Makes a transport of either kind over a network."""
    fast = importlib.import_module("sm_private_client.transport.fast")
    made: list[Calls] = []
    runner = asyncio.Runner() if request.param == "async" else None  # type: ignore[attr-defined, unused-ignore] # 3.11

    def make(network: Any, *, health: ZoneHealth | None = None, **arguments: Any) -> Calls:
        url = arguments.get("url", f"https://{HOST}")
        leads = route(url, local=arguments.pop("local", False))
        cls = fast.AsyncFastTransport if runner else fast.FastTransport
        options: dict[str, Any] = {
            "url": url,
            "signer": Signer(region="us-east-1", service="sagemaker"),
            "credentials": lambda: KEYS,
            "bundle": bundle,
            "user_agent": "lib/test",
        }
        dialer = Dialer(leads, network=network, health=health or ZoneHealth())
        made.append(Calls(cls(dialer, **(options | arguments)), runner))
        return made[-1]

    yield make
    for calls in made:
        calls.close()
    if runner:
        runner.close()


@needs_pyreqwest
def test_a_call_is_answered(make: Make, net: Net, peer: Peer) -> None:
    """Status, headers in lower case, payload, zone; each header once, and the signature's."""
    calls = make(net)
    for body in (REQUEST.body, b"", bytes(3_000_000)):
        request = HttpRequest(method="POST", path=REQUEST.path, headers=REQUEST.headers, body=body)
        answer = calls.send(request)
        assert (answer.status, answer.body) == (200, b"hello")
        assert answer.headers == {"content-type": "text/csv", "x-a": "b", "content-length": "5"}
        assert answer.availability_zone == "us-east-1a"
        asked = peer.asked.pop()
        assert asked.body == body
        assert sorted(name.lower() for name, _ in asked.headers) == [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-amz-date",
            "x-amz-security-token",
        ]
        assert (asked.header("host"), asked.header("user-agent"), asked.header("accept")) == (
            HOST,
            "lib/test",
            "*/*",
        )


@needs_pyreqwest
def test_the_service_takes_the_signature(make: Make) -> None:
    """Against the simulator, which verifies as AWS does."""
    with LocalPrivateLink() as link:
        link.deploy("churn", lambda body, content_type: (body, content_type))
        reached = link.session().route("sagemaker-runtime")
        credentials: Any = ReadOnlyCredentials(link.access_key_id, link.secret_access_key, None)

        class Routed(SystemNetwork):
            resolve = link.network.resolve
            open = link.network.open

        fast = make(
            Routed(),
            url=reached.endpoint_url,
            credentials=lambda: credentials,
            bundle=link.ca_bundle,
        )
        odd = (
            ("Content-Type", "text/csv;  charset=utf-8 "),
            ("X-Amzn-SageMaker-Custom-Attributes", 'a, b ,,  c%20="d"'),
        )
        for body in (b"1,2", b"", bytes(4_000_000)):
            request = HttpRequest(
                method="POST", path="/endpoints/churn/invocations", headers=odd, body=body
            )
            answer = fast.send(request, timeout=30)
            assert (answer.status, answer.body) == (200, body)
        path = "/endpoints/churn/invocations-response-stream"
        stream = fast.stream(HttpRequest(method="POST", path=path, headers=odd, body=b"1,2"), 30)
        assert stream.headers["content-type"] == "application/vnd.amazon.eventstream"
        assert b"1,2" in b"".join(fast.chunks(stream))
        path = "/endpoints/no%20such/invocations"
        missing = HttpRequest(method="POST", path=path, headers=(), body=b"")
        assert fast.send(missing, timeout=30).status == 400
        assert [r.status for r in link.requests] == [200, 200, 200, 200, 400]


@needs_pyreqwest
def test_a_public_address_is_refused_before_a_byte(make: Make, net: Net, peer: Peer) -> None:
    """The guard's error comes as itself, also when a pin is judged again."""
    clock = Clock()
    calls = make(net, clock=clock)
    net.answers = (A, "52.1.2.3")
    with pytest.raises(PublicAddressError):
        calls.send()
    assert (net.opened, peer.asked) == ([], [])
    net.answers = (A, B)
    calls.send()
    net.answers = ("52.1.2.3",)
    calls.send()
    clock.now += 30
    for _ in range(2):
        with pytest.raises(PublicAddressError):
            calls.send()
    assert net.opened == [A]
    assert len(peer.asked) == 2


@needs_pyreqwest
def test_an_address_is_judged_again_every_30_seconds(make: Make, net: Net) -> None:
    """One look-up, without a new connection while the address stays good."""
    clock = Clock()
    calls = make(net, clock=clock)
    for _ in range(3):
        calls.send()
        clock.now += 29.9 / 3
    assert (net.looked_up, net.opened) == (1, [A])
    clock.now += 30
    calls.send()
    calls.send()
    assert (net.looked_up, net.opened) == (2, [A])
    net.fails_to_resolve = True
    clock.now += 30
    assert calls.send().status == 200
    assert (net.looked_up, net.opened) == (3, [A])


@needs_pyreqwest
def test_an_address_that_is_gone_from_dns_is_left(make: Make, net: Net) -> None:
    """The next address in order is connected to, judged like the first."""
    clock = Clock()
    calls = make(net, clock=clock)
    assert calls.send().availability_zone == "us-east-1a"
    net.answers = (B,)
    clock.now += 30
    assert calls.send().availability_zone == "us-east-1b"
    net.answers = (A, B)
    clock.now += 30
    assert calls.send().availability_zone == "us-east-1a"
    assert net.opened == [A, B, A]


@needs_pyreqwest
def test_a_zone_that_failed_is_left_at_once(make: Make, net: Net) -> None:
    """Whoever of the session noticed it."""
    health = ZoneHealth()
    calls = make(net, health=health)
    assert calls.send().availability_zone == "us-east-1a"
    health.failed("us-east-1a")
    assert calls.send().availability_zone == "us-east-1b"
    assert calls.send().availability_zone == "us-east-1b"
    assert net.opened == [A, B]


@needs_pyreqwest
def test_an_address_that_is_not_reached_is_followed_by_the_next(
    make: Make, peer: Peer, other: Peer
) -> None:
    """Pyreqwest's connection fails; the Dialer finds another zone, the request is sent there."""
    net = Net(a=peer.port, b=other.port)
    calls = make(net)
    assert calls.send().availability_zone == "us-east-1a"
    peer.stop()
    calls.transport.pins.pin.clients.clear()  # so that no kept connection is tried first
    assert calls.send().availability_zone == "us-east-1b"
    assert net.opened == [A, A, B]
    assert len(other.asked) == 1


@needs_pyreqwest
def test_no_zone_left_is_botocores_error(make: Make, peer: Peer, net: Net) -> None:
    """EndpointConnectionError, with the URL."""
    calls = make(net)
    calls.send()
    peer.stop()
    calls.transport.pins.pin.clients.clear()
    with pytest.raises(EndpointConnectionError) as caught:
        calls.send()
    assert URL in str(caught.value)


@needs_pyreqwest
def test_silence_is_a_connect_timeout(make: Make, net: Net) -> None:
    """Within the connect budget."""
    net.ports = {A: None, B: None}
    with pytest.raises(ConnectTimeoutError) as caught:
        make(net, connect_timeout=0.3).send()
    assert URL in str(caught.value)


@needs_pyreqwest
def test_a_name_that_does_not_resolve_is_botocores_error(make: Make, net: Net) -> None:
    """As of a boto3 client."""
    net.fails_to_resolve = True
    with pytest.raises(EndpointConnectionError):
        make(net).send()


@needs_pyreqwest
def test_a_certificate_for_other_names_is_explained(make: Make) -> None:
    """TLS is verified against the host of the URL."""
    stranger = Peer("other.example")
    try:
        with pytest.raises(SSLError, match="the certificate is for other names than the host"):
            make(Net(a=stranger.port)).send()
    finally:
        stranger.stop()


@needs_pyreqwest
def test_only_the_bundle_is_trusted_when_an_address_is_pinned(
    make: Make, net: Net, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, pyreqwest would trust the system's authorities, here ours, too."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    path = str(tmp_path / "other.pem")
    trustme.CA().cert_pem.write_to_path(path)
    with pytest.raises(SSLError, match="lacks the CA"):
        make(net, bundle=path).send()


@needs_pyreqwest
def test_pyreqwest_itself_verifies_names_and_authorities(make: Make, net: Net, bundle: str) -> None:
    """A peer that shows another certificate after the address was pinned is refused."""
    calls = make(net, bundle=bundle)
    calls.send()
    stranger = Peer("other.example")
    try:
        calls.transport.pins.pin.clients.clear()
        calls.transport.pins.pin.target = ("127.0.0.1", stranger.port)
        net.ports = {A: stranger.port, B: stranger.port}
        with pytest.raises(SSLError, match="the certificate is for other names than the host"):
            calls.send()
        assert stranger.asked == []
    finally:
        stranger.stop()


@needs_pyreqwest
def test_proxies_of_the_environment_are_not_used(
    make: Make, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to one."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert make(net).send().body == b"hello"
        with pytest.raises(BlockingIOError):
            proxy.accept()


@needs_pyreqwest
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (silent, ReadTimeoutError),
        (closes, ConnectionClosedError),
        (resets, ConnectionClosedError),
        (writes(b"garbage " + PART + b"\r\n\r\n"), ConnectionClosedError),
        (writes(b"HTTP/1.1 200 OK\r\nContent-Len"), ConnectionClosedError),
        (writes(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + PART), ConnectionClosedError),
        (writes(CHUNKED + b"11\r\n" + PART + b"\r\n"), ConnectionClosedError),
        (writes(CHUNKED + b"zz\r\n" + PART), ConnectionClosedError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_does_not_come_whole_is_botocores_error(
    make: Make,
    net: Net,
    peer: Peer,
    script: Script,
    expected: type[Exception],
    *,
    streamed: bool,
) -> None:
    """Never an error that says nothing was sent; it is sent once; no payload is held."""
    peer.script = script
    calls = make(net)
    patience = 0.4 if expected is ReadTimeoutError else 20
    with pytest.raises(expected) as caught:
        read(calls, streamed=streamed, timeout=patience)
    assert URL in str(caught.value)
    assert peer.used == 1
    held: BaseException | None = caught.value
    while held is not None:
        told = repr((held, held.__dict__, held.args))
        for secret in (PART.decode(), "top,secret", KEYS.secret_key, KEYS.token):
            assert secret not in told
        held = held.__cause__ or held.__context__


@needs_pyreqwest
def test_a_connection_that_broke_has_the_dialer_asked_anew(
    make: Make, peer: Peer, other: Peer
) -> None:
    """The next call goes where the Dialer gets to; this one may have been executed."""
    peer.script = resets
    net = Net(a=peer.port, b=other.port)
    calls = make(net)
    with pytest.raises(ConnectionClosedError):
        calls.send()
    assert (peer.used, other.used) == (1, 0)
    net.ports[A] = REFUSES
    assert calls.send().availability_zone == "us-east-1b"
    assert net.opened == [A, A, B]


def read(calls: Calls, *, streamed: bool, timeout: float = 5) -> bytes:
    if streamed:
        return b"".join(calls.chunks(calls.stream(timeout=timeout)))
    return calls.send(timeout=timeout).body


@needs_pyreqwest
def test_the_read_timeout_is_per_call(make: Make, net: Net, peer: Peer) -> None:
    """``None`` waits."""

    def script(peer: Peer, talk: Talk) -> None:
        while talk.read():
            peer.go_on.wait(0.5)
            talk.write(OK)

    peer.script = script
    calls = make(net)
    for timeout in (10.0, None, 5.0):
        assert calls.send(timeout=timeout).status == 200
    for timeout in (0.1, 0.0, -1.0):
        with pytest.raises(ReadTimeoutError):
            calls.send(timeout=timeout)


@needs_pyreqwest
def test_many_read_timeouts_do_not_pile_up_clients(make: Make, net: Net) -> None:
    """Eight at the most are kept for one address."""
    calls = make(net)
    for timeout in range(10, 30):
        calls.send(timeout=float(timeout))
    assert list(calls.transport.pins.pin.clients) == [float(n) for n in range(22, 30)]


@needs_pyreqwest
def test_connections_are_kept(make: Make, net: Net, peer: Peer) -> None:
    """Many calls take one connection beside the pin's own; closing gives up the pin."""
    calls = make(net)
    for _ in range(5):
        calls.send()
    assert peer.used == 1
    name = type(calls.transport).__name__
    assert repr(calls.transport) == f"{name}(host={HOST!r}, engine='pyreqwest', address={A!r})"
    calls.close()
    assert repr(calls.transport) == f"{name}(host={HOST!r}, engine='pyreqwest', address=None)"
    calls.send()
    assert (peer.used, net.opened) == (2, [A, A])


@needs_pyreqwest
def test_without_credentials_nothing_is_dialled(make: Make, net: Net) -> None:
    """It is botocore's NoCredentialsError."""
    with pytest.raises(NoCredentialsError):
        make(net, credentials=lambda: None).send()
    assert net.opened == []


@needs_pyreqwest
@pytest.mark.parametrize("streamed", [False, True])
def test_a_clock_that_is_off_is_corrected_and_the_call_sent_once_more(
    make: Make, net: Net, peer: Peer, *, streamed: bool
) -> None:
    """The correction is kept."""

    def script(peer: Peer, talk: Talk) -> None:
        date = format_datetime(NOON + dt.timedelta(hours=1), usegmt=True).encode()
        while asked := talk.read():
            peer.asked.append(asked)
            if len(peer.asked) > 1:
                talk.write(OK)
            else:
                talk.write(
                    b"HTTP/1.1 403 Forbidden\r\nDate: %s\r\nx-amzn-errortype: RequestExpired\r\n"
                    b"Content-Length: 2\r\n\r\n{}" % date
                )

    peer.script = script
    calls = make(net, now=NOON.timestamp)
    assert read(calls, streamed=streamed) == b"hello"
    calls.send()
    dates = [asked.header("x-amz-date") for asked in peer.asked]
    assert dates == ["20261123T120000Z", "20261123T130000Z", "20261123T130000Z"]


@needs_pyreqwest
@pytest.mark.parametrize(
    "pieces",
    [
        (CHUNKED, b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"abc", b"de"),
    ],
)
def test_a_stream_gives_the_payload_as_it_arrives(
    make: Make, net: Net, peer: Peer, pieces: tuple[bytes, ...]
) -> None:
    """The head, then each piece, is there before the next was sent; the connection is kept."""

    def script(peer: Peer, talk: Talk) -> None:
        while talk.read():
            for piece in pieces:
                talk.write(piece)
                peer.wait()

    peer.script = script
    calls = make(net)
    stream = calls.stream()
    assert (stream.status, stream.availability_zone) == (200, "us-east-1a")
    peer.go_on.set()
    got = b""
    for chunk in calls.chunks(stream):
        got += chunk
        peer.go_on.set()
    assert got == b"abcde"
    assert list(calls.chunks(stream)) == []
    calls.end(stream)
    peer.go_on.set()
    calls.end(calls.stream())
    assert peer.used == 1


@needs_pyreqwest
@pytest.mark.parametrize("how", ["close", "leave the loop", "close unread"])
def test_leaving_a_stream_early_closes_its_connection(
    make: Make, net: Net, peer: Peer, how: str
) -> None:
    """The model behind it learns that nobody listens."""
    ended = threading.Event()

    def script(_: Peer, talk: Talk) -> None:
        if not talk.read():
            return
        try:
            talk.write(CHUNKED)
            while True:
                talk.write(b"3\r\nabc\r\n")
        finally:
            ended.set()

    peer.script = script
    calls = make(net)
    stream = calls.stream()
    if how != "close unread":
        chunks = calls.chunks(stream)
        assert next(chunks).startswith(b"abc")
        chunks.close()  # type: ignore[attr-defined] # a generator
    if how != "leave the loop":
        calls.end(stream)
    assert ended.wait(10)
    assert list(calls.chunks(stream)) == []


@needs_pyreqwest
@pytest.mark.parametrize("make", ["async"], indirect=True)  # ResponseStream closes the others
@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_is_dropped_closes_its_connection(
    make: Make, net: Net, peer: Peer, *, begun: bool
) -> None:
    """Unclosed, and though the peer is silent: it learns that nobody listens."""
    ended = threading.Event()

    def script(_: Peer, talk: Talk) -> None:
        if talk.read():
            talk.write(CHUNKED + b"3\r\nabc\r\n")
            talk.read_bytes(1)  # until the end
            ended.set()

    peer.script = script
    calls = make(net)
    stream = calls.stream()
    if begun:
        chunks = calls.chunks(stream)
        assert next(chunks) == b"abc"
        del chunks
    del stream
    gc.collect()
    assert ended.wait(10)


@needs_pyreqwest
def test_the_answer_of_an_error_is_whole_when_a_stream_is_asked_for(
    make: Make, net: Net, peer: Peer
) -> None:
    """It is small, and its connection is free at once."""
    peer.script = writes(b"HTTP/1.1 424 Failed\r\nContent-Length: 2\r\n\r\n{}")
    calls = make(net)
    stream = calls.stream()
    assert (stream.status, stream.headers, stream.availability_zone) == (
        424,
        {"content-length": "2"},
        "us-east-1a",
    )
    assert list(calls.chunks(stream)) == [b"{}"]
    calls.end(stream)


@needs_pyreqwest
def test_redirects_are_not_followed(make: Make, net: Net, peer: Peer) -> None:
    """The answer is the caller's."""
    peer.script = writes(
        b"HTTP/1.1 307 Elsewhere\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n"
    )
    assert make(net).send().status == 307


@needs_pyreqwest
def test_a_compressed_answer_is_given_as_it_came(make: Make, net: Net, peer: Peer) -> None:
    """As boto3 gives it: the payload is the model's, whatever its encoding."""
    peer.script = writes(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    )
    answer = make(net).send()
    assert (answer.body, answer.headers["content-encoding"]) == (b"hello", "gzip")


@needs_pyreqwest
def test_a_header_that_cannot_be_sent_is_refused(make: Make, net: Net) -> None:
    """As on the default engine."""
    request = HttpRequest(method="POST", path="/e", headers=(("X-A", "a\r\nX-B: c"),), body=b"")
    with pytest.raises(ConfigurationError, match="The header 'X-A' cannot be sent"):
        make(net).send(request)
    assert net.opened == []


@needs_pyreqwest
def test_a_stand_in_on_this_machine_is_called_over_http(make: Make, peer: Peer) -> None:
    """A URL that names a loopback host."""
    peer.tls = False
    for host in ("127.0.0.1", "localhost"):
        calls = make(SystemNetwork(), url=f"http://{host}:{peer.port}", local=True)
        assert calls.send().body == b"hello"
        assert peer.asked[-1].header("host") == f"{host}:{peer.port}"
    with pytest.raises(ConfigurationError):
        make(SystemNetwork(), url=f"http://{HOST}")


@needs_pyreqwest
def test_sixteen_threads_share_one_transport(net: Net, peer: Peer, bundle: str) -> None:
    """Each call gets its own answer, over one pin; streams share as many connections as threads."""
    from sm_private_client.transport.fast import FastTransport  # noqa: PLC0415 - optional

    def echo(_: Peer, talk: Talk) -> None:
        while asked := talk.read():
            body = asked.body
            talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    peer.script = echo
    transport = FastTransport(
        Dialer(route(), network=net, health=ZoneHealth()),
        url=f"https://{HOST}",
        signer=Signer(region="us-east-1", service="sagemaker"),
        credentials=lambda: KEYS,
        bundle=bundle,
        user_agent="lib/test",
    )
    wrong: list[object] = []
    start = threading.Barrier(16)

    def call(number: int) -> None:
        start.wait(10)
        for turn in range(25):
            body = f"{number}-{turn}".encode() * (1 + 400 * (turn % 3))
            request = HttpRequest(method="POST", path="/e", headers=(), body=body)
            try:
                if turn % 5:
                    answer = transport.send(request, timeout=20).body
                else:
                    answer = b"".join(transport.stream(request, timeout=20).chunks())
            except Exception as error:  # noqa: BLE001 - told to the main thread
                wrong.append(error)
                return
            if answer != body:
                wrong.append(answer)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    transport.close()
    assert wrong == []
    assert 1 < len(net.opened) <= 17


@needs_pyreqwest
def test_many_calls_are_in_flight_in_one_loop(net: Net, bundle: str) -> None:
    """A hundred streams at once; one pin."""
    from sm_private_client.transport.fast import AsyncFastTransport  # noqa: PLC0415 - optional

    transport = AsyncFastTransport(
        Dialer(route(), network=net, health=ZoneHealth()),
        url=f"https://{HOST}",
        signer=Signer(region="us-east-1", service="sagemaker"),
        credentials=lambda: KEYS,
        bundle=bundle,
        user_agent="lib/test",
    )

    async def one() -> bytes:
        stream = await transport.stream(REQUEST, timeout=20)
        return b"".join([chunk async for chunk in stream.chunks()])

    async def main() -> list[bytes]:
        got = await asyncio.gather(*(one() for _ in range(100)))
        await transport.close()
        return got

    assert asyncio.run(main()) == [b"hello"] * 100
    assert net.opened == [A]


@needs_pyreqwest
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
def test_a_forked_child_carries_its_calls_with_the_standard_library(make: Make, net: Net) -> None:
    """There pyreqwest cannot run; the parent's connections go on working."""
    calls = make(net)
    calls.send()
    held = calls.stream()

    def in_a_loop(body: Callable[[Calls], bool], transport: Any) -> bool:
        if calls._runner is None:
            return body(Calls(transport))
        with asyncio.Runner() as runner:  # type: ignore[attr-defined, unused-ignore] # 3.11
            return body(Calls(transport, runner))

    def body(own: Calls) -> bool:
        try:
            list(own.chunks(held))
        except ConnectionClosedError:
            pass
        else:
            return False
        answered = [own.send().body for _ in range(3)]
        answered.append(b"".join(own.chunks(own.stream())))
        told = repr(own.transport)
        own.close()
        return answered == [b"hello"] * 4 and "engine='built-in'" in told

    assert in_child(lambda: in_a_loop(body, calls.transport))
    assert calls.send().body == b"hello"
    assert b"".join(calls.chunks(held)) == b"hello"
    assert "engine='pyreqwest'" in repr(calls.transport)
    assert net.opened == [A] * (1 if calls._runner else 2)  # sync streams have one of their own


def test_without_pyreqwest_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """``pip install 'sm-private-client[fast]'``."""
    for name in ("fast", "fast_engine"):
        monkeypatch.delitem(sys.modules, f"sm_private_client.transport.{name}", raising=False)
    for name in [n for n in sys.modules if n.partition(".")[0] == "pyreqwest"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyreqwest", None)
    with pytest.raises(MissingExtraError) as caught:
        importlib.import_module("sm_private_client.transport.fast")
    assert str(caught.value) == (
        "The fast engine of the direct path needs the optional dependencies of the extra 'fast'.\n"
        "Cause: they are not installed in this environment.\n"
        "Remedy: run: pip install 'sm-private-client[fast]'\n"
        "See docs/errors.md#missing-extra"
    )
