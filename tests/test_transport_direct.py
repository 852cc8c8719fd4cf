"""Specification of transport/direct.py and what it is made of, over real sockets of loopback."""

from __future__ import annotations

import datetime as dt
import os
import pickle
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    NOON,
    OK,
    PART,
    REFUSES,
    URL,
    ZONES,
    A,
    B,
    Clock,
    Net,
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
from sm_private_client.errors import ConfigurationError, PublicAddressError
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.connector import Origin
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.direct import DirectTransport
from sm_private_client.transport.http import HttpRequest
from sm_private_client.transport.signing import Signer
from sm_private_client.transport.tls import verifying_context

REQUEST = HttpRequest(
    method="POST",
    path="/endpoints/churn/invocations",
    headers=(("Content-Type", "text/csv"), ("X-Amzn-SageMaker-Target-Variant", "A")),
    body=b"top,secret,row",
)
MB = 1024 * 1024


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.stop()


class Made:
    """A transport to a peer, with what it was made of."""

    def __init__(self, peer: Peer, bundle: str, **arguments: Any) -> None:
        self.net = Net(peer.port)
        self.health = ZoneHealth()
        self.dialer = Dialer(route(), network=self.net, health=self.health)
        options: dict[str, Any] = {
            "url": f"https://{HOST}",
            "signer": Signer(region="us-east-1", service="sagemaker"),
            "credentials": lambda: KEYS,
            "bundle": bundle,
            "user_agent": "lib/test",
        }
        self.transport = DirectTransport.to(self.dialer, **(options | arguments))


@pytest.fixture
def made(peer: Peer, bundle: str) -> Iterator[Made]:
    made = Made(peer, bundle)
    yield made
    made.transport.close()


@contextmanager
def closing(transport: DirectTransport) -> Iterator[DirectTransport]:
    try:
        yield transport
    finally:
        transport.close()


def read(transport: DirectTransport, *, streamed: bool, timeout: float) -> bytes:
    if streamed:
        return b"".join(transport.stream(REQUEST, timeout=timeout).chunks())
    return transport.send(REQUEST, timeout=timeout).body


def idle(transport: DirectTransport) -> int:
    return int(repr(transport).rpartition("idle=")[2].rstrip(")"))


def test_a_call_is_answered(made: Made) -> None:
    """Status, headers in lower case, payload, and the zone that answered."""
    answer = made.transport.send(REQUEST, timeout=5)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers == {"content-type": "text/csv", "x-a": "b", "content-length": "5"}
    assert answer.availability_zone == "us-east-1a"
    assert made.net.opened == [A]


def test_what_goes_on_the_wire(made: Made, peer: Peer) -> None:
    """One request line, every header once, and the signature that botocore makes."""
    made.transport.send(REQUEST, timeout=5)
    (asked,) = peer.asked
    assert asked.line == "POST /endpoints/churn/invocations HTTP/1.1"
    assert asked.body == REQUEST.body
    assert [name for name, _ in asked.headers] == [
        "Host",
        "Content-Type",
        "X-Amzn-SageMaker-Target-Variant",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "Authorization",
        "User-Agent",
        "Content-Length",
    ]
    assert (asked.header("host"), asked.header("user-agent")) == (HOST, "lib/test")
    expected = AWSRequest(method="POST", url=URL, headers=dict(REQUEST.headers), data=REQUEST.body)
    expected.headers["X-Amz-Date"] = expected.context["timestamp"] = asked.header("x-amz-date")
    expected.headers["X-Amz-Security-Token"] = KEYS.token
    signer: Any = SigV4Auth(KEYS, "sagemaker", "us-east-1")
    text = signer.string_to_sign(expected, signer.canonical_request(expected))
    assert asked.header("authorization").endswith(signer.signature(text, expected))


def test_the_service_takes_the_signature_and_odd_values() -> None:
    """Against the simulator, which verifies as AWS does: odd headers, an empty and a large body."""
    with LocalPrivateLink() as link:
        link.deploy("churn", lambda body, content_type: (body, content_type))
        session = link.session()
        reached = session.route("sagemaker-runtime")
        dialer = Dialer(reached, network=link.network, health=ZoneHealth())
        credentials: Any = ReadOnlyCredentials(link.access_key_id, link.secret_access_key, None)
        transport = DirectTransport.to(
            dialer,
            url=reached.endpoint_url,
            signer=Signer(region="us-east-1", service="sagemaker"),
            credentials=lambda: credentials,
            bundle=link.ca_bundle,
            user_agent="lib/test",
        )
        odd = (
            ("Content-Type", "text/csv;  charset=utf-8 "),
            ("X-Amzn-SageMaker-Custom-Attributes", 'a, b ,,  c%20="d"'),
            ("X-Amzn-SageMaker-Inference-Id", "x"),
        )
        with closing(transport):
            for body in (b"1,2", b"", bytes(25 * MB)):
                request = HttpRequest(
                    method="POST", path="/endpoints/churn/invocations", headers=odd, body=body
                )
                answer = transport.send(request, timeout=30)
                assert (answer.status, answer.body) == (200, body)
                assert answer.availability_zone in {"us-east-1a", "us-east-1b"}
            path = "/endpoints/churn/invocations-response-stream"
            request = HttpRequest(method="POST", path=path, headers=odd, body=b"1,2")
            stream = transport.stream(request, timeout=30)
            assert stream.headers["content-type"] == "application/vnd.amazon.eventstream"
            assert b"1,2" in b"".join(stream.chunks())
            assert idle(transport) == 1
            missing = HttpRequest(
                method="POST", path="/endpoints/no%20such/invocations", headers=(), body=b""
            )
            assert transport.send(missing, timeout=30).status == 400
            calls = [r for r in link.requests if r.operation == "InvokeEndpoint"]
            assert [r.status for r in calls] == [200, 200, 200, 400]


def test_a_public_address_is_refused_before_a_byte(made: Made, peer: Peer) -> None:
    """The guard's error comes as itself."""
    made.net.answers = (A, "52.1.2.3")
    with pytest.raises(PublicAddressError):
        made.transport.send(REQUEST, timeout=5)
    assert (made.net.opened, peer.connections) == ([], 0)


def test_connections_are_kept_and_the_last_used_is_used_first(made: Made, peer: Peer) -> None:
    """One after the other, many calls take one connection; two at once take two."""
    for _ in range(5):
        made.transport.send(REQUEST, timeout=5)
    assert peer.connections == 1
    first, second = (made.transport.stream(REQUEST, timeout=5) for _ in range(2))
    assert peer.connections == 2
    assert repr(made.transport) == (f"DirectTransport(host={HOST!r}, engine='built-in', idle=0)")
    for stream in (first, second):
        assert b"".join(stream.chunks()) == b"hello"
    assert idle(made.transport) == 2
    for _ in range(3):
        made.transport.send(REQUEST, timeout=5)
    assert peer.connections == 2
    made.transport.close()
    assert idle(made.transport) == 0
    made.transport.send(REQUEST, timeout=5)
    assert peer.connections == 3


def test_idle_connections_are_bounded_and_those_in_use_are_not(peer: Peer, bundle: str) -> None:
    """More than ``max_idle`` can be in use; the surplus is closed when it comes back."""
    made = Made(peer, bundle, max_idle=2)
    with closing(made.transport):
        streams = [made.transport.stream(REQUEST, timeout=5) for _ in range(6)]
        assert peer.connections == 6
        for stream in streams:
            assert b"".join(stream.chunks()) == b"hello"
        assert idle(made.transport) == 2


def test_a_connection_idle_for_300_seconds_is_not_used_again(peer: Peer, bundle: str) -> None:
    """PrivateLink forgets connections after 350 s of silence; ours never get that old."""
    clock = Clock()
    made = Made(peer, bundle, clock=clock)
    with closing(made.transport):
        made.transport.send(REQUEST, timeout=5)
        clock.now += 299.9
        made.transport.send(REQUEST, timeout=5)
        assert peer.connections == 1
        clock.now += 300
        made.transport.send(REQUEST, timeout=5)
        assert peer.connections == 2


def test_giving_one_back_closes_those_that_are_too_old(peer: Peer, bundle: str) -> None:
    """A burst's connections do not stay for ever under one that is used all the time."""
    clock = Clock()
    made = Made(peer, bundle, clock=clock)
    with closing(made.transport):
        for stream in [made.transport.stream(REQUEST, timeout=5) for _ in range(4)]:
            list(stream.chunks())
        for _ in range(4):
            clock.now += 100
            made.transport.send(REQUEST, timeout=5)
        assert idle(made.transport) == 1
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


@pytest.mark.parametrize(
    "script", [closes_after_one, speaks_unasked, says_too_much, wants_to_close]
)
def test_a_connection_that_cannot_carry_another_call_is_not_used(
    made: Made, peer: Peer, script: Script
) -> None:
    """Closed, spoken on unasked, left with surplus bytes: the next call has a fresh one."""
    peer.script = script
    assert made.transport.send(REQUEST, timeout=5).body == b"hello"
    peer.go_on.set()
    if idle(made.transport):
        kept = made.transport._pool._kept.idle[0]
        assert kept._wait(10, writing=False) == (True, False)
    peer.script = answers
    assert made.transport.send(REQUEST, timeout=5).body == b"hello"
    assert peer.connections == 2


def test_connections_of_a_zone_that_failed_are_not_used_again(made: Made, peer: Peer) -> None:
    """While a zone is suspect its idle connections are closed, and another zone is dialled."""
    made.transport.send(REQUEST, timeout=5)
    made.health.failed("us-east-1a")
    assert made.transport.send(REQUEST, timeout=5).availability_zone == "us-east-1b"
    assert made.net.opened == [A, B]
    assert made.transport.send(REQUEST, timeout=5).availability_zone == "us-east-1b"
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
    made: Made, peer: Peer, script: Script, expected: type[Exception], *, streamed: bool
) -> None:
    """The request may have been executed; the error names the URL and holds no payload."""
    peer.script = script
    patience = 0.3 if expected is ReadTimeoutError else 20
    with pytest.raises(expected) as caught:
        read(made.transport, streamed=streamed, timeout=patience)
    assert URL in str(caught.value)
    assert caught.value.kwargs["endpoint_url"] == URL  # type: ignore[attr-defined] # botocore's
    held: BaseException | None = caught.value
    while held is not None:
        told = repr((held, held.__dict__, held.args, getattr(held, "partial", b"")))
        for secret in (PART.decode(), "top,secret", KEYS.secret_key, KEYS.token):
            assert secret not in told
        held = held.__cause__ or held.__context__
    assert idle(made.transport) == 0
    assert peer.connections == 1


def test_a_reused_connection_that_breaks_is_not_retried(made: Made, peer: Peer) -> None:
    """Whether to send again is for those above to say."""

    def script(_: Peer, talk: Talk) -> None:
        talk.read()
        talk.write(OK)
        talk.read()

    peer.script = script
    made.transport.send(REQUEST, timeout=5)
    with pytest.raises(ConnectionClosedError):
        made.transport.send(REQUEST, timeout=5)
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("port", "expected"), [(REFUSES, EndpointConnectionError), (None, ConnectTimeoutError)]
)
def test_a_connection_that_cannot_be_made_is_botocores_error(
    peer: Peer, bundle: str, port: int | None, expected: type[Exception]
) -> None:
    """Nothing was sent; the error names the URL and, in its cause, every address."""
    made = Made(peer, bundle, connect_timeout=0.3)
    made.net.ports = {A: port, B: port}
    with pytest.raises(expected) as caught:
        made.transport.send(REQUEST, timeout=5)
    assert URL in str(caught.value)
    for address, zone in ZONES.items():
        assert f"{address} ({zone})" in str(caught.value.kwargs["error"])  # type: ignore[attr-defined]


def test_a_name_that_does_not_resolve_is_botocores_error(made: Made) -> None:
    """EndpointConnectionError, as of a boto3 client."""
    made.net.fails_to_resolve = True
    with pytest.raises(EndpointConnectionError, match="Could not connect to the endpoint URL"):
        made.transport.send(REQUEST, timeout=5)


def test_one_dead_zone_costs_a_second_and_no_error(made: Made) -> None:
    """The dialer races the next address."""
    made.net.ports[A] = None
    assert made.transport.send(REQUEST, timeout=5).availability_zone == "us-east-1b"


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [("silence", ConnectTimeoutError), ("reset", EndpointConnectionError), ("http", SSLError)],
)
def test_a_handshake_that_fails_has_sent_nothing(
    peer: Peer, bundle: str, greeting: str, expected: type[Exception]
) -> None:
    """Silence is a connect time-out, within the one connect budget; plain HTTP is an SSLError."""

    def script(peer: Peer, talk: Talk) -> None:
        if greeting == "silence":
            peer.go_on.wait(10)
        elif greeting == "http":
            talk.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.go_on.wait(10)
        else:
            talk.reset()

    peer.tls = False
    peer.script = script
    made = Made(peer, bundle, connect_timeout=0.5)
    with pytest.raises(expected) as caught:
        made.transport.send(REQUEST, timeout=5)
    assert URL in str(caught.value)


def test_a_connection_that_is_reset_before_tls_begins_is_closed(bundle: str) -> None:
    """At once, not by the garbage collector at some later time, as Python up to 3.12 has it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        talk = Talk(accepted)
        talk.reset()
        talk.close()
    assert select.select([opened], [], [], 10)[0] == [opened]  # the reset has come
    handle = opened.fileno()
    with pytest.raises(ConnectionResetError):
        verifying_context(bundle).wrap_socket(opened, server_hostname=HOST)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)


def test_a_certificate_for_other_names_is_explained(bundle: str) -> None:
    """TLS is verified against the host of the URL, whatever the address."""
    other = Peer("other.example")
    try:
        with pytest.raises(SSLError) as caught:
            Made(other, bundle).transport.send(REQUEST, timeout=5)
    finally:
        other.stop()
    assert "Cause: the certificate is for other names than the host" in str(caught.value)


def test_an_unknown_authority_is_explained(peer: Peer, tmp_path: Path) -> None:
    """Only the bundle is trusted, and the error names it."""
    path = str(tmp_path / "other.pem")
    trustme.CA().cert_pem.write_to_path(path)
    with pytest.raises(SSLError) as caught:
        Made(peer, path).transport.send(REQUEST, timeout=5)
    assert f"{path} lacks the CA. Remedy: set AWS_CA_BUNDLE or verify=" in str(caught.value)
    with pytest.raises(SSLError, match="botocore's own CA bundle lacks the CA"):
        Made(peer, True).transport.send(REQUEST, timeout=5)  # type: ignore[arg-type]


def refuses_large(_: Peer, talk: Talk) -> None:
    """Answers at the head and closes, as a front does that never takes so much."""
    asked = talk.read(body=False)
    assert asked is not None
    talk.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")


def refuses_and_waits(peer: Peer, talk: Talk) -> None:
    """Answers at the head, reads no more, and closes only later."""
    refuses_large(peer, talk)
    peer.go_on.wait(10)


def refuses_then_reads(peer: Peer, talk: Talk) -> None:
    """Answers at the head but takes the body all the same."""
    asked = talk.read(body=False)
    assert asked is not None
    talk.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    talk.read_bytes(int(asked.header("content-length")))
    answers(peer, talk)


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("size", [8 * MB, 60_000])
@pytest.mark.parametrize("script", [refuses_large, refuses_and_waits, refuses_then_reads])
def test_an_answer_that_comes_before_the_body_is_out_is_read(
    peer: Peer, bundle: str, script: Script, size: int, *, tls: bool
) -> None:
    """A 413 is what the caller sees, not a broken pipe; the next call has a whole connection."""
    peer.tls = tls
    peer.script = script
    local = f"http://127.0.0.1:{peer.port}"
    transport = Made(peer, bundle).transport if tls else plain(local_dialer(local), local)
    request = HttpRequest(method="POST", path="/e", headers=(), body=bytes(size))
    with closing(transport):
        answer = transport.send(request, timeout=5)
        assert (answer.status, answer.body) == (413, b"big")
        peer.script = answers
        assert transport.send(REQUEST, timeout=5).status == 200


def local_dialer(url: str) -> Dialer:
    return Dialer(route(url, local=True), network=SystemNetwork(), health=ZoneHealth())


def plain(dialer: Dialer, url: str) -> DirectTransport:
    return DirectTransport.to(
        dialer,
        url=url,
        signer=Signer(region="us-east-1", service="sagemaker"),
        credentials=lambda: KEYS,
        bundle=True,
        user_agent="lib/test",
    )


def test_a_peer_that_takes_no_more_of_a_body_is_a_timeout(made: Made, peer: Peer) -> None:
    """A write that stalls ends with the read time-out."""

    def script(peer: Peer, talk: Talk) -> None:
        talk.read(body=False)
        peer.go_on.wait(10)

    peer.script = script
    request = HttpRequest(method="POST", path="/e", headers=(), body=bytes(25 * MB))
    with pytest.raises(ReadTimeoutError):
        made.transport.send(request, timeout=0.3)


def test_a_large_body_arrives_whole(made: Made, peer: Peer) -> None:
    """Written in pieces while the peer reads slowly."""
    request = HttpRequest(method="POST", path="/e", headers=(), body=os.urandom(3 * MB + 17))
    for _ in range(2):
        assert made.transport.send(request, timeout=10).status == 200
    assert [asked.body == request.body for asked in peer.asked] == [True, True]
    assert peer.connections == 1


def test_the_read_timeout_is_per_call(made: Made, peer: Peer) -> None:
    """A kept connection takes the next call's time-out; ``None`` waits."""

    def script(peer: Peer, talk: Talk) -> None:
        while talk.read():
            peer.go_on.wait(0.4)
            talk.write(OK)

    peer.script = script
    for timeout in (10.0, None, 5.0):
        assert made.transport.send(REQUEST, timeout=timeout).status == 200
    assert peer.connections == 1
    for timeout in (0.05, 0.0, -1.0):
        with pytest.raises(ReadTimeoutError):
            made.transport.send(REQUEST, timeout=timeout)


def test_credentials_are_asked_for_each_call(peer: Peer, bundle: str) -> None:
    """So refreshed ones are used at once."""
    pairs = [ReadOnlyCredentials(f"AKID{n}", "secret", None) for n in range(3)]
    given = iter(pairs)
    made = Made(peer, bundle, credentials=lambda: next(given))
    with closing(made.transport):
        for _ in pairs:
            made.transport.send(REQUEST, timeout=5)
    used = [a.header("authorization").partition("/")[0].partition("=")[2] for a in peer.asked]
    assert used == ["AKID0", "AKID1", "AKID2"]
    assert all("x-amz-security-token" not in dict(a.headers) for a in peer.asked)


def test_without_credentials_nothing_is_dialled(peer: Peer, bundle: str) -> None:
    """It is botocore's NoCredentialsError."""
    made = Made(peer, bundle, credentials=lambda: None)
    with pytest.raises(NoCredentialsError):
        made.transport.send(REQUEST, timeout=5)
    assert made.net.opened == []


def skewed(seconds: float, code: bytes = b"InvalidSignatureException", times: int = 1) -> Script:
    """Refuses ``times`` requests for their time; tells a Date that is ``seconds`` off noon."""

    def script(peer: Peer, talk: Talk) -> None:
        date = format_datetime(NOON + dt.timedelta(seconds=seconds), usegmt=True).encode()
        while asked := talk.read():
            peer.asked.append(asked)
            if len(peer.asked) > times:
                talk.write(OK)
            else:
                talk.write(
                    b"HTTP/1.1 403 Forbidden\r\nDate: %s\r\nx-amzn-errortype: %s\r\n"
                    b"Content-Length: 2\r\n\r\n{}" % (date, code)
                )

    return script


@pytest.mark.parametrize("streamed", [False, True])
def test_a_clock_that_is_off_is_corrected_and_the_call_sent_once_more(
    peer: Peer, bundle: str, *, streamed: bool
) -> None:
    """The correction is kept: the next call is right at once, on the same connection."""
    peer.script = skewed(3600)
    made = Made(peer, bundle, now=NOON.timestamp)
    with closing(made.transport):
        assert read(made.transport, streamed=streamed, timeout=5) == b"hello"
        made.transport.send(REQUEST, timeout=5)
    dates = [asked.header("x-amz-date") for asked in peer.asked]
    assert dates == ["20261123T120000Z", "20261123T130000Z", "20261123T130000Z"]
    assert peer.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        skewed(60),
        skewed(-3600, b"AccessDeniedException"),
    ],
)
def test_other_refusals_are_not_sent_again(peer: Peer, bundle: str, script: Script) -> None:
    """The answer is the caller's, once."""
    peer.script = script
    made = Made(peer, bundle, now=NOON.timestamp)
    with closing(made.transport):
        assert made.transport.send(REQUEST, timeout=5).status == 403
        assert len(peer.asked) == 1


def test_a_correction_that_does_not_help_is_not_repeated(peer: Peer, bundle: str) -> None:
    """Two requests at the most; the second answer is the caller's."""
    peer.script = skewed(-900, times=99)
    made = Made(peer, bundle, now=NOON.timestamp)
    with closing(made.transport):
        assert made.transport.send(REQUEST, timeout=5).status == 403
        assert len(peer.asked) == 2
        stream = made.transport.stream(REQUEST, timeout=5)
        assert (stream.status, b"".join(stream.chunks())) == (403, b"{}")
        assert len(peer.asked) == 3


def in_pieces(*pieces: bytes) -> Script:
    """Sends each piece when the test says so."""

    def script(peer: Peer, talk: Talk) -> None:
        while talk.read():
            for piece in pieces:
                talk.write(piece)
                peer.wait()

    return script


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        ((CHUNKED + b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"), True),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"de"), True),
    ],
)
def test_a_stream_gives_the_payload_as_it_arrives(
    made: Made, peer: Peer, pieces: tuple[bytes, ...], *, kept: bool
) -> None:
    """Each piece is there before the next was sent; read to the end, the connection is kept."""
    peer.script = in_pieces(*pieces)
    stream = made.transport.stream(REQUEST, timeout=5)
    assert (stream.status, stream.availability_zone) == (200, "us-east-1a")
    got = b""
    for chunk in stream.chunks():
        got += chunk
        peer.go_on.set()
    assert got == b"abcde"
    assert idle(made.transport) == kept
    assert list(stream.chunks()) == []
    stream.close()
    assert idle(made.transport) == kept
    peer.go_on.set()


def test_a_stream_up_to_the_end_of_the_connection_is_read(made: Made, peer: Peer) -> None:
    """Without a length the end is the end; nothing is kept."""

    def script(_: Peer, talk: Talk) -> None:
        if talk.read():
            talk.write(b"HTTP/1.1 200 OK\r\n\r\nabcde")
            talk.end()

    peer.script = script
    assert b"".join(made.transport.stream(REQUEST, timeout=5).chunks()) == b"abcde"
    assert idle(made.transport) == 0


def ends_without_a_word(_: Peer, talk: Talk) -> None:
    """As a connection that somebody on the way cuts: the end, and nothing of TLS before it."""
    if talk.read():
        talk.write(b"HTTP/1.1 200 OK\r\n\r\nabcde")


@pytest.mark.parametrize("streamed", [False, True])
def test_an_end_that_tls_does_not_vouch_for_is_a_cut(
    made: Made, peer: Peer, *, streamed: bool
) -> None:
    """Without a length only the peer's own closing alert says that all has come (RFC 9112, 9.8)."""
    peer.script = ends_without_a_word
    with pytest.raises(ConnectionClosedError):
        read(made.transport, streamed=streamed, timeout=5)


def says_too_much_later(_: Peer, talk: Talk) -> None:
    while talk.read():
        talk.write(OK[:-5])
        talk.write(OK[-5:] + OK.replace(b"hello", b"WRONG"))  # one record of TLS


def test_surplus_that_tls_holds_is_not_the_next_answer(made: Made, peer: Peer) -> None:
    """It is neither in our buffer nor in the socket's; the connection is not used again."""
    peer.script = says_too_much_later
    chunks = made.transport.stream(REQUEST, timeout=5).chunks()
    assert b"".join(chunks) == b"hello"
    assert idle(made.transport) == 0
    assert made.transport.send(REQUEST, timeout=5).body == b"hello"


def endless(_: Peer, talk: Talk) -> None:
    talk.read()
    talk.write(CHUNKED)
    while True:
        talk.write(b"3\r\nabc\r\n")


@pytest.mark.parametrize("how", ["close", "leave the loop", "close unread"])
def test_leaving_a_stream_early_closes_its_connection(made: Made, peer: Peer, how: str) -> None:
    """The model behind it learns that nobody listens; nothing is kept."""
    ended = threading.Event()

    def script(peer: Peer, talk: Talk) -> None:
        try:
            endless(peer, talk)
        finally:
            ended.set()

    peer.script = script
    stream = made.transport.stream(REQUEST, timeout=5)
    if how != "close unread":
        for _ in stream.chunks():
            break
    if how != "leave the loop":
        stream.close()
    assert ended.wait(10)
    assert idle(made.transport) == 0
    assert list(stream.chunks()) == []
    stream.close()


def test_a_stream_that_falls_silent_is_a_read_timeout(made: Made, peer: Peer) -> None:
    """What had come was given."""
    peer.script = in_pieces(CHUNKED + b"3\r\nabc\r\n", b"0\r\n\r\n")
    chunks = made.transport.stream(REQUEST, timeout=0.3).chunks()
    assert next(chunks) == b"abc"
    with pytest.raises(ReadTimeoutError):
        next(chunks)
    assert list(chunks) == []


def test_the_answer_of_an_error_is_whole_when_a_stream_is_asked_for(made: Made, peer: Peer) -> None:
    """It is small, and its connection is free at once."""
    peer.script = writes(b"HTTP/1.1 424 Failed\r\nContent-Length: 2\r\n\r\n{}")
    stream = made.transport.stream(REQUEST, timeout=5)
    assert (stream.status, stream.headers, stream.availability_zone) == (
        424,
        {"content-length": "2"},
        "us-east-1a",
    )
    assert idle(made.transport) == 1
    assert list(stream.chunks()) == [b"{}"]
    assert list(stream.chunks()) == []
    stream.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: c"),
        ("X-A", "a\n"),
        ("X-A", "\x00"),
        ("X-A", "\u00e4"),
        ("X A", "a"),
        ("", "a"),
        ("X-A:", "a"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(made: Made, name: str, value: str) -> None:
    """A line end would begin another header; the error tells the name, not the value."""
    request = HttpRequest(method="POST", path="/e", headers=((name, value),), body=b"")
    with pytest.raises(ConfigurationError) as caught:
        made.transport.send(request, timeout=5)
    assert str(caught.value) == (
        f"The header {name!r} cannot be sent.\n"
        "Cause: a header is printable ASCII, without line ends.\n"
        "Remedy: encode its value, for example with percent signs or as Base64.\n"
        "See docs/errors.md#configuration"
    )
    assert made.net.opened == []


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
    """Host has a port only where it is not the scheme's own."""
    origin = Origin.of(url, is_local=local)
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)
    assert origin.url("/p") == f"{url.partition(':')[0]}://{authority}/p"


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


def test_a_stand_in_on_this_machine_is_called_over_http(peer: Peer) -> None:
    """A URL that names a loopback host."""
    peer.tls = False
    url = f"http://127.0.0.1:{peer.port}"
    with closing(plain(local_dialer(url), url)) as transport:
        answer = transport.send(REQUEST, timeout=5)
        assert (answer.body, answer.availability_zone) == (b"hello", None)
    assert peer.asked[0].header("host") == f"127.0.0.1:{peer.port}"


@pytest.mark.parametrize(
    ("argument", "start"),
    [
        ({"bundle": "/no/such/file"}, "The CA bundle '/no/such/file' cannot be used.\nCause: "),
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
def test_files_that_cannot_be_used_are_said_early(
    peer: Peer, bundle: str, argument: dict[str, Any], start: str
) -> None:
    """When the transport is made, not at the first call."""
    with pytest.raises(ConfigurationError) as caught:
        Made(peer, **{"bundle": bundle} | argument)
    assert str(caught.value).startswith(start)


def test_a_client_certificate_is_shown(peer: Peer, bundle: str, tmp_path: Path) -> None:
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
        with closing(Made(peer, bundle, client_cert=given).transport) as transport:
            assert transport.send(REQUEST, timeout=5).status == 200
    with pytest.raises((SSLError, ConnectionClosedError)):
        Made(peer, bundle).transport.send(REQUEST, timeout=5)


def test_sixteen_threads_share_one_transport(made: Made, peer: Peer) -> None:
    """Each call gets its own answer; no more connections than threads are made."""

    def echo(_: Peer, talk: Talk) -> None:
        while asked := talk.read():
            talk.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(asked.body) + asked.body
            )

    peer.script = echo
    wrong: list[object] = []
    start = threading.Barrier(16)

    def call(number: int) -> None:
        start.wait(10)
        for turn in range(25):
            body = f"{number}-{turn}".encode() * (1 + 400 * (turn % 3))
            request = HttpRequest(method="POST", path="/e", headers=(), body=body)
            try:
                if turn % 5:
                    answer = made.transport.send(request, timeout=20).body
                else:
                    answer = b"".join(made.transport.stream(request, timeout=20).chunks())
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
    assert wrong == []
    assert peer.connections <= 16
    assert idle(made.transport) == peer.connections


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
def test_a_forked_child_makes_its_own_connections(made: Made, peer: Peer) -> None:
    """The parent's idle connection and its open stream go on working after the child's calls."""
    peer.script = in_pieces(CHUNKED + b"3\r\nabc\r\n", b"0\r\n\r\n")
    held = made.transport.stream(REQUEST, timeout=5)
    peer.script = answers
    made.transport.send(REQUEST, timeout=5)
    assert peer.connections == 2

    def work() -> bool:
        try:
            list(held.chunks())
        except ConnectionClosedError:
            pass
        else:
            return False
        held.close()
        bodies = [made.transport.send(REQUEST, timeout=5).body for _ in range(3)]
        ok = bodies == [b"hello"] * 3 and idle(made.transport) == 1
        made.transport.close()
        return ok

    with made.transport._pool._kept.lock:  # as if another thread were in the pool at the fork
        assert in_child(work)
    assert peer.connections == 3
    assert made.transport.send(REQUEST, timeout=5).body == b"hello"
    peer.go_on.set()
    assert b"".join(held.chunks()) == b"abc"
    assert peer.connections == 3


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
def test_a_forked_child_does_not_go_on_with_a_stream(made: Made, peer: Peer) -> None:
    """What it would read, its parent would miss."""
    peer.script = in_pieces(CHUNKED + b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n")
    chunks = made.transport.stream(REQUEST, timeout=5).chunks()
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
    made = Made(peer, bundle)
    made.transport.send(REQUEST, timeout=5)
    del made
    assert ended.wait(10)


def test_errors_can_be_pickled(made: Made) -> None:
    """As botocore's own can, for process pools."""
    made.net.fails_to_resolve = True
    with pytest.raises(EndpointConnectionError) as caught:
        made.transport.send(REQUEST, timeout=5)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - ours
