"""Specification of transport/connection.py: signals, gevent, and kept connections that die."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from loopback_peer import (
    AUTHORITY,
    CHUNKED,
    HOST,
    KINDS,
    OK,
    REQUEST,
    Calls,
    Net,
    Peer,
    Script,
    Talk,
    answers,
    route,
    silent,
)
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.transport.connection import NeverDeliveredError
from sm_private_client.transport.connector import Connector, Origin
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.egress import Counters
from sm_private_client.transport.http11 import ResponseReader

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems do not tell what a peer has acknowledged"
)
HEAD = b"POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.stop()


class SoftTimeLimit(Exception):  # noqa: N818 - as a job queue has it
    pass


def expired(_: int, __: FrameType | None) -> None:
    raise SoftTimeLimit


@pytest.fixture
def alarm() -> Iterator[Callable[..., None]]:
    """Send a signal after some time, or again and again, with a handler."""

    def begin(handler: Any, seconds: float, interval: float = 0) -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds, interval)

    before = signal.getsignal(signal.SIGALRM)
    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_handler_that_raises_ends_a_call_at_once(
    peer: Peer, bundle: str, alarm: Callable[..., None], *, streamed: bool
) -> None:
    """Long before the time-out; the connection, whose answer may still come, is closed."""

    def script(peer: Peer, talk: Talk) -> None:
        if talk.read() and streamed:
            talk.write(CHUNKED + b"3\r\nabc\r\n")
        peer.go_on.wait(30)

    peer.script = script
    calls = Calls("main thread", peer, bundle)
    alarm(expired, 0.2)
    with pytest.raises(SoftTimeLimit):
        calls.read(streamed=streamed, timeout=60)
    assert calls.idle == 0
    assert not peer.go_on.is_set()
    calls.close()


def test_ctrl_c_ends_a_call_at_once(peer: Peer, bundle: str) -> None:
    """As it ends everything."""
    peer.script = silent
    calls = Calls("main thread", peer, bundle)
    pressed = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    pressed.start()
    with pytest.raises(KeyboardInterrupt):
        calls.send(timeout=60)
    pressed.join()
    assert calls.idle == 0
    calls.close()


def test_signals_whose_handlers_return_do_not_put_off_a_timeout(
    peer: Peer, bundle: str, alarm: Callable[..., None]
) -> None:
    """A profiler's, twenty a second."""
    peer.script = silent
    calls = Calls("main thread", peer, bundle)
    alarm(lambda *_: None, 0.05, 0.05)
    with pytest.raises(ReadTimeoutError):
        calls.send(timeout=0.4)
    assert not peer.go_on.is_set()
    calls.close()


GREENLETS = """
import gevent.monkey
gevent.monkey.patch_all()
import sys
import gevent
import sm_private_client as smp

session = smp.Session(route_cache="off")
predictor = session.predictor("m", retry=smp.RetryPolicy(attempts=1))
if sys.argv[1] == "map":
    answers = list(predictor.map(range(8), concurrency=8))
elif sys.argv[1] == "stream":
    def read():
        with predictor.stream(b"x") as stream:
            try:
                return b"".join(stream.bytes())
            except smp.errors.StreamError:
                return b"not an event stream"
    answers = [g.get() for g in [gevent.spawn(read) for _ in range(8)]]
else:
    answers = [g.get() for g in [gevent.spawn(predictor.predict, {}) for _ in range(8)]]
assert len(answers) == 8, answers
"""


@pytest.mark.parametrize(
    "verb",
    [
        "predict",
        pytest.param(
            "stream", marks=pytest.mark.slow(reason="gevent patches a process of its own")
        ),
        pytest.param("map", marks=pytest.mark.slow(reason="gevent patches a process of its own")),
    ],
)
def test_greenlets_wait_for_their_models_at_the_same_time(peer: Peer, verb: str) -> None:
    """None of eight is answered before all of them have called."""
    pytest.importorskip("gevent")
    together = threading.Barrier(8, timeout=60)

    def script(_: Peer, talk: Talk) -> None:
        while talk.read():
            together.wait()
            talk.write(OK.replace(b"hello", b"[1,2]").replace(b"text/csv", b"application/json"))

    peer.script = script
    peer.tls = False
    subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-W", "ignore", "-c", GREENLETS, verb],
        env={
            **os.environ,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"http://127.0.0.1:{peer.port}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        check=True,
        timeout=100,
    )


def connector(peer: Peer, bundle: str, *, tls: bool) -> Connector:
    peer.tls = tls
    if tls:
        dialer = Dialer(route(), network=Net(peer.port), health=ZoneHealth())
        return Connector(dialer, Origin.of(f"https://{HOST}", is_local=False), bundle=bundle)
    url = f"http://127.0.0.1:{peer.port}"
    dialer = Dialer(route(url, local=True), network=SystemNetwork(), health=ZoneHealth())
    return Connector(dialer, Origin.of(url, is_local=True), bundle=bundle)


def closes_idle(_: Peer, talk: Talk) -> None:
    """Close a kept connection in order, as a server does whose patience has ended."""
    talk.read()
    talk.write(OK)


def reads_and_closes(_: Peer, talk: Talk) -> None:
    """Read the request, which may have run."""
    talk.read()
    talk.write(OK)
    talk.read()


def resets(_: Peer, talk: Talk) -> None:
    """The same, and ends it as what stands between would."""
    reads_and_closes(_, talk)
    talk.reset()


CASES = [(closes_idle, True), (reads_and_closes, False), (resets, False)]
"""What a peer does, and whether it had nothing of the request for certain."""


@linux_only
@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(("script", "was_lost"), CASES)
def test_a_request_that_a_dead_connection_did_not_deliver_is_known(
    peer: Peer, bundle: str, script: Script, *, was_lost: bool, tls: bool
) -> None:
    """Only if the peer closed in order, and had nothing of it; a reset proves nothing."""
    peer.script = script
    connection = connector(peer, bundle, tls=tls).connect("url")
    reader = ResponseReader()
    connection.write(HEAD, b"abc", 20)
    while not reader.is_whole:
        connection.read(reader)
    if was_lost:
        assert select.select([connection._sock], [], [], 20)[0]  # the end has come, unseen
    connection.write(HEAD, b"abc", 20)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is the point
        connection.read(ResponseReader())
    assert isinstance(caught.value, NeverDeliveredError) == was_lost
    connection.close()


@linux_only
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(("script", "was_lost"), CASES)
def test_a_loop_knows_it_too(
    peer: Peer, bundle: str, kind: str, script: Script, *, was_lost: bool, tls: bool
) -> None:
    """The end comes while the loop does something else."""
    peer.script = script
    calls = Calls(kind, peer, bundle)

    async def main() -> None:
        connection = await connector(peer, bundle, tls=tls).connect_async("url")
        reader = ResponseReader()
        connection.write(HEAD, b"abc", reader, 20)
        await connection.read_whole()
        assert connection.can_be_kept(reader)
        if was_lost:
            select.select([connection._sock], [], [], 20)
        connection.write(HEAD, b"abc", ResponseReader(), 20)
        with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is the point
            await connection.read_whole()
        assert isinstance(caught.value, NeverDeliveredError) == was_lost
        connection.close()

    assert calls.loop
    calls.loop.run_until_complete(main())
    calls.close()


class ClosedNow(Counters):
    """Close a connection at the peer just before it is written to."""

    def __init__(self, peer: Peer, connection: Any) -> None:
        super().__init__()
        self._peer = peer
        self._sock = connection._sock

    def called(self) -> None:
        self._peer.go_on.set()
        assert select.select([self._sock], [], [], 20)[0]


@linux_only
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_was_not_delivered_is_sent_on_a_fresh_connection(
    peer: Peer, bundle: str, kind: str
) -> None:
    """Nobody sees it, and the model has it once."""

    def script(peer: Peer, talk: Talk) -> None:
        peer.requests += [request for request in (talk.read(),) if request]
        talk.write(OK)
        peer.wait()

    peer.script = script
    calls = Calls(kind, peer, bundle)
    for number in range(1, 4):
        assert calls.send().body == b"hello"
        assert (peer.connections, len(peer.requests)) == (number, number)
        upstream = calls.transport._upstream
        (pool,) = upstream.pools.values() if calls.loop else (upstream.pool,)
        (kept,) = pool._idle.connections
        kept.counters = ClosedNow(peer, kept)
    peer.go_on.set()
    calls.close()


def test_the_main_thread_and_others_share_connections(peer: Peer, bundle: str) -> None:
    """Each waits in its own way, as long as it should."""
    peer.script = answers
    calls = Calls("thread", peer, bundle)
    for _ in range(3):
        assert calls.send().body == b"hello"
        assert calls.transport.send(REQUEST, timeout=20).body == b"hello"
    assert peer.connections == 1
    peer.script = silent
    calls.do(calls.transport.close)
    for work in (calls.send, lambda timeout: calls.transport.send(REQUEST, timeout=timeout)):
        with pytest.raises(ReadTimeoutError):
            work(timeout=0.3)
    calls.close()
