"""Specification of transport/direct.py and async_direct.py: one table over real sockets.

Every kind of caller gets the same: the main thread, another thread, asyncio's loop, uvloop's.
"""

from __future__ import annotations

import datetime as dt
import os
import pickle
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
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
    KINDS,
    NOON,
    OK,
    PART,
    REFUSES,
    REQUEST,
    URL,
    ZONES,
    A,
    B,
    Calls,
    Clock,
    Decided,
    Peer,
    Script,
    Talk,
    answers,
    closes,
    in_child,
    resets,
    route,
    silent,
    writes,
)
from sm_private_client.errors import ConfigurationError, PayloadError, PublicAddressError
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.connector import Origin
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.http11 import HttpRequest

MB = 1024 * 1024
Make = Callable[..., Calls]
_AGAIN = pytest.mark.slow(reason="the same table in the main thread and on uvloop")


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def peer() -> Iterator[Peer]:
    scripted = Peer()
    yield scripted
    scripted.stop()


@pytest.fixture(
    params=[
        pytest.param(kind, marks=() if kind in ("thread", "asyncio") else _AGAIN) for kind in KINDS
    ]
)
def make(request: pytest.FixtureRequest, peer: Peer, bundle: str) -> Iterator[Make]:
    """Make a transport of each kind, to the peer or another."""
    kept: list[Calls] = []

    def make(to: Peer = peer, **arguments: Any) -> Calls:
        kept.append(Calls(request.param, to, bundle, **arguments))
        return kept[-1]

    yield make
    for calls in kept:
        calls.close()


@pytest.fixture
def calls(make: Make) -> Calls:
    return make()


def to_peer(peer: Peer, path: str = "") -> Decided:
    """Routes to a peer that plays a stand-in on this machine, over http."""
    url = f"http://127.0.0.1:{peer.port}{path}"
    return Decided(Dialer(route(url, local=True), network=SystemNetwork(), health=ZoneHealth()))


def test_a_call_is_answered(calls: Calls) -> None:
    """Status, headers in lower case, payload, and the zone that answered."""
    answer = calls.send()
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers == {"content-type": "text/csv", "x-a": "b", "content-length": "5"}
    assert answer.availability_zone == "us-east-1a"
    assert calls.net.opened == [A]


def test_what_goes_on_the_wire(calls: Calls, peer: Peer) -> None:
    """One request line, every header once, and the signature that botocore makes."""
    calls.send()
    (request,) = peer.requests
    assert request.line == "POST /endpoints/churn/invocations HTTP/1.1"
    assert request.body == REQUEST.body
    assert [name for name, _ in request.headers] == [
        "Host",
        "Content-Type",
        "X-Amzn-SageMaker-Target-Variant",
        "User-Agent",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "Authorization",
        "Content-Length",
    ]
    assert (request.header("host"), request.header("user-agent")) == (HOST, "lib/test")
    expected = AWSRequest(method="POST", url=URL, headers=dict(REQUEST.headers), data=REQUEST.body)
    expected.headers["X-Amz-Date"] = expected.context["timestamp"] = request.header("x-amz-date")
    expected.headers["X-Amz-Security-Token"] = KEYS.token
    signer: Any = SigV4Auth(KEYS, "sagemaker", "us-east-1")
    text = signer.string_to_sign(expected, signer.canonical_request(expected))
    assert request.header("authorization").endswith(signer.signature(text, expected))


def test_the_service_takes_the_signature_and_odd_values(make: Make) -> None:
    """Against the simulator, which verifies as AWS does: odd headers, an empty and a large body."""
    with LocalPrivateLink() as link:
        link.deploy("churn", lambda body, content_type: (body, content_type))
        reached = link.session().route("sagemaker-runtime")
        keys: Any = ReadOnlyCredentials(link.access_key_id, link.secret_access_key, None)
        dialer = Dialer(reached, network=link.network, health=ZoneHealth())
        calls = make(
            routes=Decided(dialer), credentials=lambda: keys, bundle=lambda: link.ca_bundle
        )
        odd = (
            ("Content-Type", "text/csv;  charset=utf-8 "),
            ("X-Amzn-SageMaker-Custom-Attributes", 'a, b ,,  c%20="d"'),
            ("X-Amzn-SageMaker-Inference-Id", "x"),
        )

        def request(path: str, body: bytes = b"1,2") -> HttpRequest:
            return HttpRequest(method="POST", path=path, headers=odd, body=body)

        for body in (b"1,2", b"", bytes(25 * MB)):
            answer = calls.send(request("/endpoints/churn/invocations", body), timeout=60)
            assert (answer.status, answer.body) == (200, body)
            assert answer.availability_zone in {"us-east-1a", "us-east-1b"}
        stream = calls.stream(request("/endpoints/churn/invocations-response-stream"))
        assert stream.headers["content-type"] == "application/vnd.amazon.eventstream"
        assert b"1,2" in b"".join(calls.chunks(stream))
        assert calls.idle == 1
        assert calls.send(request("/endpoints/no%20such/invocations")).status == 400
        statuses = [r.status for r in link.requests if r.operation == "InvokeEndpoint"]
        assert statuses == [200, 200, 200, 400]


def test_a_path_in_the_endpoint_url_stands_before_every_path(make: Make, peer: Peer) -> None:
    """As a gateway has it; what is signed is what is sent."""
    peer.tls = False
    for path in ("/gateway/ml", "/gateway/ml/"):
        assert make(routes=to_peer(peer, path)).send().body == b"hello"
        request = peer.requests.pop()
        assert request.line == "POST /gateway/ml/endpoints/churn/invocations HTTP/1.1"
        url = f"http://127.0.0.1:{peer.port}/gateway/ml/endpoints/churn/invocations"
        expected = AWSRequest(
            method="POST", url=url, headers=dict(REQUEST.headers), data=REQUEST.body
        )
        expected.headers["X-Amz-Date"] = expected.context["timestamp"] = request.header(
            "x-amz-date"
        )
        expected.headers["X-Amz-Security-Token"] = KEYS.token
        signer: Any = SigV4Auth(KEYS, "sagemaker", "us-east-1")
        text = signer.string_to_sign(expected, signer.canonical_request(expected))
        assert request.header("authorization").endswith(signer.signature(text, expected))


def test_a_public_address_is_refused_before_a_byte(calls: Calls, peer: Peer) -> None:
    """The guard's error comes as itself."""
    calls.net.answers = (A, "52.1.2.3")
    with pytest.raises(PublicAddressError):
        calls.send()
    assert (calls.net.opened, peer.connections) == ([], 0)


class Undecided:
    """Routes that nobody has decided yet."""

    def __init__(self, *dialers: Dialer | Exception) -> None:
        self.outcomes = list(dialers)
        self.dialer: Dialer | None = None
        self.decided = 0

    def known(self) -> Dialer | None:
        return self.dialer

    def decide(self) -> Dialer:
        self.decided += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        self.dialer = outcome
        return outcome


def test_the_first_call_decides_the_route(make: Make, peer: Peer, calls: Calls) -> None:
    """Once; a failure is the call's, and the next one decides again."""
    peer.script = answers
    routes = Undecided(ConfigurationError("no route yet"), calls.dialer)
    own = make(routes=routes)
    assert "host=None, idle=0" in repr(own.transport)
    assert routes.decided == 0
    with pytest.raises(ConfigurationError, match="no route yet"):
        own.send()
    for _ in range(3):
        assert own.send().body == b"hello"
    assert (routes.decided, peer.connections) == (2, 1)
    assert f"host={HOST!r}, idle=1" in repr(own.transport)


def test_a_route_that_was_forgotten_is_left(make: Make, peer: Peer, calls: Calls) -> None:
    """Connections of the old one are closed; the new one is connected to anew."""
    other = Peer()
    try:
        own = make(routes=Undecided(calls.dialer, make(other).dialer))
        own.send()
        own.transport._routes.dialer = None
        own.send()
        own.send()
        assert (peer.connections, other.connections, own.idle) == (1, 1, 1)
    finally:
        other.stop()


def test_connections_are_kept_and_the_last_used_is_used_first(calls: Calls, peer: Peer) -> None:
    """One after the other, many calls take one connection; two at once take two."""
    for _ in range(5):
        calls.send()
    assert peer.connections == 1
    first, second = (calls.stream() for _ in range(2))
    assert peer.connections == 2
    name = type(calls.transport).__name__
    assert repr(calls.transport) == f"{name}(host={HOST!r}, idle=0)"
    for stream in (first, second):
        assert b"".join(calls.chunks(stream)) == b"hello"
    assert calls.idle == 2
    for _ in range(3):
        calls.send()
    assert peer.connections == 2
    calls.do(calls.transport.close)
    assert calls.idle == 0
    calls.send()
    assert peer.connections == 3


def test_idle_connections_are_bounded_and_those_in_use_are_not(make: Make, peer: Peer) -> None:
    """More than ``max_idle`` can be in use; the surplus is closed when it comes back."""
    calls = make(max_idle=2)
    streams = [calls.stream() for _ in range(6)]
    assert peer.connections == 6
    for stream in streams:
        assert b"".join(calls.chunks(stream)) == b"hello"
    assert calls.idle == 2


def test_a_connection_idle_for_300_seconds_is_not_used_again(make: Make, peer: Peer) -> None:
    """PrivateLink forgets connections after 350 s of silence; ours never get that old."""
    clock = Clock()
    calls = make(clock=clock)
    calls.send()
    clock.now += 299.9
    calls.send()
    assert peer.connections == 1
    clock.now += 300
    calls.send()
    assert peer.connections == 2


def test_giving_one_back_closes_those_that_are_too_old(make: Make, peer: Peer) -> None:
    """A burst's connections do not stay for ever under one that is used all the time."""
    clock = Clock()
    calls = make(clock=clock)
    for stream in [calls.stream() for _ in range(4)]:
        list(calls.chunks(stream))
    for _ in range(4):
        clock.now += 100
        calls.send()
    assert calls.idle == 1
    assert peer.connections == 4


def closes_after_one(_: Peer, talk: Talk) -> None:
    talk.read()
    talk.write(OK)


def speaks_unasked(peer: Peer, talk: Talk) -> None:
    talk.read()
    talk.write(OK)
    peer.go_on.wait(10)
    talk.write(OK.replace(b"hello", b"WRONG"))
    talk.read()


def says_too_much(_: Peer, talk: Talk) -> None:
    while talk.read():
        talk.write(OK + OK.replace(b"hello", b"WRONG"))


def wants_to_close(_: Peer, talk: Talk) -> None:
    while talk.read():
        talk.write(OK.replace(b"X-A: b", b"Connection: close"))


def says_too_much_later(_: Peer, talk: Talk) -> None:
    while talk.read():
        talk.write(OK[:-5])
        talk.write(OK[-5:] + OK.replace(b"hello", b"WRONG"))  # one record of TLS


def pools(calls: Calls) -> list[Any]:
    upstream = calls.transport._upstream
    return list(upstream.pools.values()) if calls.loop else [upstream.pool]


@pytest.mark.parametrize(
    "script", [closes_after_one, speaks_unasked, says_too_much, says_too_much_later, wants_to_close]
)
def test_a_connection_that_cannot_carry_another_call_is_not_used(
    calls: Calls, peer: Peer, script: Script
) -> None:
    """Closed, spoken on unasked, left with surplus bytes: the next call has a fresh one."""
    peer.script = script
    assert calls.read(streamed=False) == b"hello"
    peer.go_on.set()
    for kept in (pool for pool in pools(calls) if len(pool)):
        (connection,) = kept._idle.connections
        while not connection.is_stale():
            pass
    peer.script = answers
    assert calls.send().body == b"hello"
    assert peer.connections == 2


def test_connections_of_a_zone_that_failed_are_not_used_again(calls: Calls, peer: Peer) -> None:
    """While a zone is suspect its idle connections are closed, and another zone is dialled."""
    calls.send()
    calls.health.failed("us-east-1a")
    assert calls.send().availability_zone == "us-east-1b"
    assert calls.net.opened == [A, B]
    assert calls.send().availability_zone == "us-east-1b"
    assert peer.connections == 2


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
        (writes(CHUNKED + b"99\r\n" + PART), ConnectionClosedError),
        (writes(CHUNKED + b"zz\r\n" + PART), ConnectionClosedError),
        (writes(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"), ConnectionClosedError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_does_not_come_whole_is_botocores_error(
    calls: Calls, peer: Peer, script: Script, expected: type[Exception], *, streamed: bool
) -> None:
    """The request may have been executed; the error names the URL and holds no payload."""
    peer.script = script
    with pytest.raises(expected) as caught:
        calls.read(streamed=streamed, timeout=0.3 if expected is ReadTimeoutError else 20)
    assert URL in str(caught.value)
    assert caught.value.kwargs["endpoint_url"] == URL  # type: ignore[attr-defined] # botocore's
    held: BaseException | None = caught.value
    while held is not None:
        text = repr((held, held.__dict__, held.args))
        for secret in (PART.decode(), "top,secret", KEYS.secret_key, KEYS.token):
            assert secret not in text
        held = held.__cause__ or held.__context__
    assert calls.idle == 0
    assert peer.connections == 1


def test_a_reused_connection_that_breaks_is_not_retried(calls: Calls, peer: Peer) -> None:
    """The peer had the request: whether to send it again is for those above to say."""

    def script(_: Peer, talk: Talk) -> None:
        talk.read()
        talk.write(OK)
        talk.read()

    peer.script = script
    calls.send()
    with pytest.raises(ConnectionClosedError) as caught:
        calls.send()
    assert "the kept connection ended" in str(caught.value.kwargs["error"])
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("port", "expected"), [(REFUSES, EndpointConnectionError), (None, ConnectTimeoutError)]
)
def test_a_connection_that_cannot_be_made_is_botocores_error(
    make: Make, port: int | None, expected: type[Exception]
) -> None:
    """Nothing was sent; the error names the URL and, in its cause, every address."""
    calls = make(connect_timeout=0.3)
    calls.net.ports = {A: port, B: port}
    with pytest.raises(expected) as caught:
        calls.send()
    assert URL in str(caught.value)
    for address, zone in ZONES.items():
        assert f"{address} ({zone})" in str(caught.value.kwargs["error"])  # type: ignore[attr-defined]


def test_a_name_that_does_not_resolve_is_botocores_error(calls: Calls) -> None:
    """EndpointConnectionError, as of a boto3 client."""
    calls.net.fails_to_resolve = True
    with pytest.raises(EndpointConnectionError, match="Could not connect to the endpoint URL"):
        calls.send()


def test_one_dead_zone_costs_a_second_and_no_error(calls: Calls) -> None:
    """The dialer races the next address."""
    calls.net.ports[A] = None
    assert calls.send().availability_zone == "us-east-1b"


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        ("silence", ConnectTimeoutError),
        ("trickle", ConnectTimeoutError),
        ("reset", EndpointConnectionError),
        ("http", SSLError),
    ],
)
def test_a_handshake_that_fails_has_sent_nothing(
    make: Make, peer: Peer, greeting: str, expected: type[Exception]
) -> None:
    """Silence is a connect time-out, within the one connect budget; plain HTTP is an SSLError."""

    def script(peer: Peer, talk: Talk) -> None:
        if greeting == "silence":
            peer.go_on.wait(10)
        elif greeting == "trickle":
            talk.write(b"\x16\x03\x03\x10\x00")  # of a record that never ends
            while not peer.go_on.wait(0.1):
                talk.write(b"\x00")
        elif greeting == "http":
            talk.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.go_on.wait(10)
        else:
            talk.reset()

    peer.tls = False
    peer.script = script
    calls = make(connect_timeout=0.5)
    with pytest.raises(expected) as caught:
        calls.send()
    assert URL in str(caught.value)


def test_a_certificate_for_other_names_is_explained(make: Make) -> None:
    """TLS is verified against the host of the URL, whatever the address."""
    other = Peer("other.example")
    try:
        with pytest.raises(SSLError) as caught:
            make(other).send()
    finally:
        other.stop()
    assert "Cause: the certificate is for other names than the host" in str(caught.value)
    assert other.requests == []


def test_an_unknown_authority_is_explained(
    make: Make, peer: Peer, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the bundle is trusted, whatever the system trusts, and the error names it."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    path = str(tmp_path / "other.pem")
    trustme.CA().cert_pem.write_to_path(path)
    with pytest.raises(SSLError) as caught:
        make(bundle=lambda: path).send()
    assert f"{path} lacks the CA. Remedy: set AWS_CA_BUNDLE or verify=" in str(caught.value)
    with pytest.raises(SSLError, match="botocore's own CA bundle lacks the CA"):
        make(bundle=lambda: True).send()
    assert peer.requests == []


def test_proxies_of_the_environment_are_not_used(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to one."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert calls.send().body == b"hello"
        with pytest.raises(BlockingIOError):
            proxy.accept()


def refuses_large(_: Peer, talk: Talk) -> None:
    """Answer at the head and close, as a front does that never takes so much."""
    request = talk.read(body=False)
    assert request is not None
    talk.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")


def refuses_and_waits(peer: Peer, talk: Talk) -> None:
    """Answer at the head, read no more, and close only later."""
    refuses_large(peer, talk)
    peer.go_on.wait(10)


def refuses_then_reads(peer: Peer, talk: Talk) -> None:
    """Answer at the head but take the body all the same."""
    request = talk.read(body=False)
    assert request is not None
    talk.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    talk.read_bytes(int(request.header("content-length")))
    answers(peer, talk)


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("size", [20 * MB, 60_000])
@pytest.mark.parametrize("script", [refuses_large, refuses_and_waits, refuses_then_reads])
def test_an_answer_that_comes_before_the_body_is_out_is_read(
    make: Make, peer: Peer, script: Script, size: int, *, tls: bool
) -> None:
    """A 413 is what the caller sees, not a broken pipe; the next call has a whole connection."""
    peer.tls = tls
    calls = make() if tls else make(routes=to_peer(peer))
    request = HttpRequest(method="POST", path="/e", headers=(), body=bytes(size))
    for _ in range(3):
        peer.script = script
        answer = calls.send(request)
        assert (answer.status, answer.body) == (413, b"big")
        peer.script = answers
        assert calls.send().status == 200
        calls.do(calls.transport.close)


def test_a_peer_that_takes_no_more_of_a_body_is_a_timeout(calls: Calls, peer: Peer) -> None:
    """A write that stalls ends with the read time-out."""

    def script(peer: Peer, talk: Talk) -> None:
        talk.read(body=False)
        peer.go_on.wait(10)

    peer.script = script
    request = HttpRequest(method="POST", path="/e", headers=(), body=bytes(25 * MB))
    with pytest.raises(ReadTimeoutError):
        calls.send(request, timeout=0.3)


@pytest.mark.parametrize("pause", [0, 0.1])
def test_a_large_body_arrives_whole(calls: Calls, peer: Peer, pause: float) -> None:
    """Written in pieces while the peer reads slowly: longer than the time-out, never silent."""
    arrived = []

    def script(peer: Peer, talk: Talk) -> None:
        while request := talk.read(body=False):
            left, body = int(request.header("content-length")), b""
            while left:
                body += talk.read_bytes(min(left, MB))
                left -= min(left, MB)
                peer.go_on.wait(pause)
            arrived.append(body)
            talk.write(OK)

    peer.script = script
    body = os.urandom((20 if pause else 3) * MB + 17)
    request = HttpRequest(method="POST", path="/e", headers=(), body=body)
    for _ in range(1 if pause else 2):
        assert calls.send(request, timeout=1.5 if pause else 20).status == 200
    assert all(came == body for came in arrived)
    assert peer.connections == 1


def test_the_read_timeout_is_per_call(calls: Calls, peer: Peer) -> None:
    """A kept connection takes the next call's time-out; ``None`` waits."""

    def script(peer: Peer, talk: Talk) -> None:
        while talk.read():
            peer.go_on.wait(0.4)
            talk.write(OK)

    peer.script = script
    for timeout in (10.0, None, 5.0):
        assert calls.send(timeout=timeout).status == 200
    assert peer.connections == 1
    for timeout in (0.05, 0.0, -1.0):
        with pytest.raises(ReadTimeoutError):
            calls.send(timeout=timeout)


def test_credentials_are_asked_for_each_call(make: Make, peer: Peer) -> None:
    """So refreshed ones are used at once."""
    pairs = [ReadOnlyCredentials(f"AKID{n}", "secret", None) for n in range(3)]
    given = iter(pairs)
    calls = make(credentials=lambda: next(given))
    for _ in pairs:
        calls.send()
    used = [a.header("authorization").partition("/")[0].partition("=")[2] for a in peer.requests]
    assert used == ["AKID0", "AKID1", "AKID2"]
    assert all("x-amz-security-token" not in dict(a.headers) for a in peer.requests)


def test_without_credentials_nothing_is_dialled(make: Make) -> None:
    """It is botocore's NoCredentialsError."""
    calls = make(credentials=lambda: None)
    with pytest.raises(NoCredentialsError):
        calls.send()
    assert calls.net.opened == []


def skewed(seconds: float, code: bytes = b"InvalidSignatureException", times: int = 1) -> Script:
    """Refuse ``times`` requests for their time; tells a Date that is ``seconds`` off noon."""

    def script(peer: Peer, talk: Talk) -> None:
        date = format_datetime(NOON + dt.timedelta(seconds=seconds), usegmt=True).encode()
        while request := talk.read():
            peer.requests.append(request)
            if len(peer.requests) > times:
                talk.write(OK)
            else:
                talk.write(
                    b"HTTP/1.1 403 Forbidden\r\nDate: %s\r\nx-amzn-errortype: %s\r\n"
                    b"Content-Length: 2\r\n\r\n{}" % (date, code)
                )

    return script


@pytest.mark.parametrize("streamed", [False, True])
def test_a_clock_that_is_off_is_corrected_and_the_call_sent_once_more(
    make: Make, peer: Peer, *, streamed: bool
) -> None:
    """The correction is kept: the next call is right at once, on the same connection."""
    peer.script = skewed(3600)
    calls = make(now=NOON.timestamp)
    assert calls.read(streamed=streamed) == b"hello"
    calls.send()
    dates = [request.header("x-amz-date") for request in peer.requests]
    assert dates == ["20261123T120000Z", "20261123T130000Z", "20261123T130000Z"]
    assert peer.connections == 1


@pytest.mark.parametrize("script", [skewed(60), skewed(-3600, b"AccessDeniedException")])
def test_other_refusals_are_not_sent_again(make: Make, peer: Peer, script: Script) -> None:
    """The answer is the caller's, once."""
    peer.script = script
    assert make(now=NOON.timestamp).send().status == 403
    assert len(peer.requests) == 1


def test_a_correction_that_does_not_help_is_not_repeated(make: Make, peer: Peer) -> None:
    """Two requests at the most; the second answer is the caller's."""
    peer.script = skewed(-900, times=99)
    calls = make(now=NOON.timestamp)
    assert calls.send().status == 403
    assert len(peer.requests) == 2
    stream = calls.stream()
    assert (stream.status, b"".join(calls.chunks(stream))) == (403, b"{}")
    assert len(peer.requests) == 3


def in_pieces(*pieces: bytes) -> Script:
    """Send each piece when the test says so."""

    def script(peer: Peer, talk: Talk) -> None:
        while talk.read():
            for piece in pieces:
                talk.write(piece)
                peer.wait()

    return script


@pytest.mark.parametrize(
    "pieces",
    [
        (CHUNKED + b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"),
        (CHUNKED, b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"de"),
    ],
)
def test_a_stream_gives_the_payload_as_it_arrives(
    calls: Calls, peer: Peer, pieces: tuple[bytes, ...]
) -> None:
    """The head, then each piece, is there before the next was sent; the connection is kept."""
    peer.script = in_pieces(*pieces)
    stream = calls.stream()
    assert (stream.status, stream.availability_zone) == (200, "us-east-1a")
    if not pieces[0].endswith(b"abc\r\n") and not pieces[0].endswith(b"abc"):
        peer.go_on.set()
    got = b""
    for chunk in calls.chunks(stream):
        got += chunk
        peer.go_on.set()
    assert got == b"abcde"
    assert calls.idle == 1
    assert list(calls.chunks(stream)) == []
    calls.end(stream)
    assert calls.idle == 1
    peer.go_on.set()


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_up_to_the_end_of_the_connection_is_read(
    calls: Calls, peer: Peer, *, streamed: bool
) -> None:
    """Without a length the end is the end; nothing is kept."""

    def script(_: Peer, talk: Talk) -> None:
        if talk.read():
            talk.write(b"HTTP/1.1 200 OK\r\n\r\nabcde")
            talk.end()

    peer.script = script
    assert calls.read(streamed=streamed) == b"abcde"
    assert calls.idle == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_an_end_that_tls_does_not_vouch_for_is_a_cut(
    calls: Calls, peer: Peer, *, streamed: bool
) -> None:
    """Without a length only the peer's own closing alert says that all has come (RFC 9112, 9.8).

    A connection that somebody on the way cuts ends without it.
    """
    peer.script = writes(b"HTTP/1.1 200 OK\r\n\r\nabcde")
    with pytest.raises(ConnectionClosedError):
        calls.read(streamed=streamed)


@pytest.mark.parametrize(
    "told",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        CHUNKED + b"ffffffff\r\n",
        CHUNKED + b"8\r\n01234567\r\n8\r\n01234567\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n0123456789abcdef",
        b"HTTP/1.1 500 No\r\nContent-Length: 11\r\n\r\n",
    ],
)
def test_an_answer_above_its_limit_is_refused(calls: Calls, peer: Peer, told: bytes) -> None:
    """Whatever tells of it, before it has come; the connection is not used again."""
    peer.script = in_pieces(told)
    with pytest.raises(PayloadError, match="The answer has more than 10 bytes"):
        calls.send(limit=10)
    assert calls.idle == 0
    peer.go_on.set()


def test_only_an_errors_answer_has_a_limit_in_a_stream(calls: Calls, peer: Peer) -> None:
    """A stream's parts are used as they come; what an error says is kept."""
    peer.script = writes(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a")
    assert b"".join(calls.chunks(calls.stream(limit=10))) == b"0123456789a"
    calls.do(calls.transport.close)
    peer.script = writes(b"HTTP/1.1 500 No\r\nContent-Length: 11\r\n\r\n0123456789a")
    with pytest.raises(PayloadError):
        calls.stream(limit=10)


def test_a_stream_that_is_not_read_does_not_fill_the_memory(calls: Calls, peer: Peer) -> None:
    """The peer has to wait; all of it comes in the end."""
    size = 64 * MB
    peer.script = writes(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    stream = calls.stream()
    chunks = calls.chunks(stream)
    got = len(next(chunks))
    if calls.loop:
        import asyncio  # noqa: PLC0415 - boto3 does not import it, and plain calls do without

        calls.do(lambda: asyncio.sleep(0.5))
        assert stream._connection._unread < 2 * MB
    assert got + sum(map(len, chunks)) == size


def endless(_: Peer, talk: Talk) -> None:
    talk.read()
    talk.write(CHUNKED)
    while True:
        talk.write(b"3\r\nabc\r\n")


@pytest.mark.parametrize("how", ["close", "leave the loop", "close unread"])
def test_leaving_a_stream_early_closes_its_connection(calls: Calls, peer: Peer, how: str) -> None:
    """The model behind it learns that nobody listens; nothing is kept."""
    ended = threading.Event()

    def script(peer: Peer, talk: Talk) -> None:
        try:
            endless(peer, talk)
        finally:
            ended.set()

    peer.script = script
    stream = calls.stream()
    if how != "close unread":
        chunks = calls.chunks(stream)
        assert next(chunks).startswith(b"abc")
        chunks.close()  # type: ignore[attr-defined] # a generator
    if how != "leave the loop":
        calls.end(stream)
    assert ended.wait(10)
    assert calls.idle == 0
    assert list(calls.chunks(stream)) == []
    calls.end(stream)


def test_a_stream_that_falls_silent_is_a_read_timeout(calls: Calls, peer: Peer) -> None:
    """What had come was given."""
    peer.script = in_pieces(CHUNKED + b"3\r\nabc\r\n", b"0\r\n\r\n")
    stream = calls.stream(timeout=0.3)
    chunks = calls.chunks(stream)
    assert next(chunks) == b"abc"
    with pytest.raises(ReadTimeoutError):
        next(chunks)
    assert list(calls.chunks(stream)) == []


def test_the_answer_of_an_error_is_whole_when_a_stream_is_asked_for(
    calls: Calls, peer: Peer
) -> None:
    """It is small, and its connection is free at once."""
    peer.script = writes(b"HTTP/1.1 424 Failed\r\nContent-Length: 2\r\n\r\n{}")
    stream = calls.stream()
    assert (stream.status, stream.headers, stream.availability_zone) == (
        424,
        {"content-length": "2"},
        "us-east-1a",
    )
    assert calls.idle == 1
    assert list(calls.chunks(stream)) == [b"{}"]
    assert list(calls.chunks(stream)) == []
    calls.end(stream)


@pytest.mark.parametrize(
    ("told", "status", "body"),
    [
        (b"HTTP/1.1 307 No\r\nLocation: https://example.com/\r\nContent-Length: 0", 307, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5", 200, b"hello"),
        ("HTTP/1.1 200 OK\r\nX-A: café\r\nContent-Length: 5".encode(), 200, b"hello"),
    ],
)
def test_an_answer_is_given_as_it_came(
    calls: Calls, peer: Peer, told: bytes, status: int, body: bytes
) -> None:
    """A redirect is not followed, an encoding is the model's own, any header is readable."""
    peer.script = writes(told + b"\r\n\r\n" + body)
    answer = calls.send()
    assert (answer.status, answer.body) == (status, body)


def test_a_header_that_cannot_be_sent_is_refused(calls: Calls) -> None:
    """Before anything is dialled."""
    request = HttpRequest(method="POST", path="/e", headers=(("X-A", "a\r\nX-B: c"),), body=b"")
    with pytest.raises(ConfigurationError, match="The header 'X-A' cannot be sent"):
        calls.send(request)
    assert calls.net.opened == []


@pytest.mark.parametrize(
    ("url", "local", "host", "port", "authority"),
    [
        (f"https://{HOST}", False, HOST, 443, HOST),
        (f"https://{HOST}:443", False, HOST, 443, HOST),
        (f"https://{HOST.upper()}:8443/x", False, HOST, 8443, f"{HOST}:8443"),
        ("https://10.0.1.10", False, "10.0.1.10", 443, "10.0.1.10"),
        ("https://[fd00::1]", False, "fd00::1", 443, "[fd00::1]"),
        ("https://[fd00::1]:444", False, "fd00::1", 444, "[fd00::1]:444"),
        ("http://localhost", True, "localhost", 80, "localhost"),
        ("http://localhost:443", True, "localhost", 443, "localhost:443"),
        ("https://localhost:5000", True, "localhost", 5000, "localhost:5000"),
    ],
)
def test_the_origin_of_a_url(
    url: str, host: str, port: int, authority: str, *, local: bool
) -> None:
    """Host has a port only if it is not the scheme's own."""
    origin = Origin.of(url, is_local=local)
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)
    assert origin.path == ("/x" if url.endswith("/x") else "")


@pytest.mark.parametrize(
    ("url", "local", "allowed"),
    [
        (f"http://{HOST}", False, "https"),
        (HOST, False, "https"),
        ("https://", False, "https"),
        ("ftp://localhost", True, "https or http"),
    ],
)
def test_a_url_that_is_not_https_is_refused(url: str, allowed: str, *, local: bool) -> None:
    """Only a stand-in on this machine is called over http."""
    with pytest.raises(ConfigurationError) as caught:
        Origin.of(url, is_local=local)
    assert str(caught.value) == (
        f"endpoint_url={url!r} cannot be called directly.\n"
        f"Cause: the direct path takes {allowed} here.\n"
        "Remedy: give a URL such as https://<DNS name of the VPC endpoint>.\n"
        "See docs/errors.md#configuration"
    )


@pytest.mark.parametrize("verb", ["invocations", "async-invocations", "invocations/"])
def test_a_url_of_a_call_is_refused_with_its_cause(verb: str) -> None:
    """As AWS's console shows it: its path would come twice."""
    with pytest.raises(ConfigurationError, match="is the URL of a call"):
        Origin.of(f"https://{HOST}/endpoints/churn/{verb}", is_local=False)


def test_a_stand_in_on_this_machine_is_called_over_http(make: Make, peer: Peer) -> None:
    """A URL that names a loopback host."""
    peer.tls = False
    answer = make(routes=to_peer(peer)).send()
    assert (answer.body, answer.availability_zone) == (b"hello", None)
    assert peer.requests[0].header("host") == f"127.0.0.1:{peer.port}"


@pytest.mark.parametrize(
    ("argument", "start"),
    [
        (
            {"bundle": lambda: "/no/such/file"},
            "The CA bundle '/no/such/file' cannot be used.\nCause: ",
        ),
        (
            {"client_cert": "/no/such/file"},
            "The client certificate '/no/such/file' cannot be used.\nCause: ",
        ),
        (
            {"client_cert": ("/no/cert", "/no/key")},
            "The client certificate '/no/cert' cannot be used.\nCause: ",
        ),
    ],
)
def test_files_that_cannot_be_used_are_said_by_the_first_call(
    make: Make, peer: Peer, argument: dict[str, Any], start: str
) -> None:
    """Making a transport reads none; nothing is dialled."""
    calls = make(**argument)
    with pytest.raises(ConfigurationError) as caught:
        calls.send()
    assert str(caught.value).startswith(start)
    assert peer.connections == 0


def test_a_client_certificate_is_shown(make: Make, peer: Peer, tmp_path: Path) -> None:
    """``Config(client_cert=)`` means what it means to botocore."""
    peer.context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(peer.context)
    own = AUTHORITY.issue_cert("client.example")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    for given in (
        str(tmp_path / "own.pem"),
        (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")),
    ):
        assert make(client_cert=given).send().status == 200
    with pytest.raises((SSLError, ConnectionClosedError)):
        make().send()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
@pytest.mark.parametrize("make", KINDS[:1], indirect=True)
def test_a_forked_child_makes_its_own_connections(calls: Calls, peer: Peer) -> None:
    """The parent's idle connection and its open stream go on working after the child's calls."""
    peer.script = in_pieces(CHUNKED + b"3\r\nabc\r\n", b"0\r\n\r\n")
    held = calls.stream()
    peer.script = answers
    calls.send()
    assert peer.connections == 2

    def work() -> bool:
        try:
            list(calls.chunks(held))
        except ConnectionClosedError:
            pass
        else:
            return False
        calls.end(held)
        bodies = [calls.send().body for _ in range(3)]
        ok = bodies == [b"hello"] * 3 and calls.idle == 1
        calls.do(calls.transport.close)
        return ok

    assert in_child(work)
    assert peer.connections == 3
    assert calls.send().body == b"hello"
    peer.go_on.set()
    assert b"".join(calls.chunks(held)) == b"abc"
    assert peer.connections == 3


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
@pytest.mark.parametrize("make", KINDS[:1], indirect=True)
def test_a_forked_child_does_not_go_on_with_a_stream(calls: Calls, peer: Peer) -> None:
    """What it would read, its parent would miss."""
    peer.script = in_pieces(CHUNKED + b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n")
    chunks = calls.chunks(calls.stream())
    assert next(chunks) == b"abc"
    peer.go_on.set()

    def work() -> bool:
        try:
            next(chunks)
        except ConnectionClosedError:
            return True
        return False

    assert in_child(work)
    assert next(chunks) == b"def"
    peer.go_on.set()
    assert list(chunks) == []


def test_a_transport_that_is_dropped_closes_its_connections(peer: Peer, bundle: str) -> None:
    """No ResourceWarning, no socket left behind."""
    ended = threading.Event()

    def script(peer: Peer, talk: Talk) -> None:
        answers(peer, talk)
        ended.set()

    peer.script = script
    calls = Calls("main thread", peer, bundle)
    calls.send()
    del calls
    assert ended.wait(10)


def test_errors_can_be_pickled(calls: Calls) -> None:
    """As botocore's own can, for process pools."""
    calls.net.fails_to_resolve = True
    with pytest.raises(EndpointConnectionError) as caught:
        calls.send()
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - ours
