"""Specification of transport/async_direct.py for what only loops have: cancelling, loops, forks."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from botocore.exceptions import ConnectTimeoutError

from loopback_peer import (
    AUTHORITY,
    CHUNKED,
    HOST,
    KEYS,
    Decided,
    Net,
    Peer,
    Talk,
    in_child,
    route,
)
from sm_private_client.transport.async_direct import AsyncDirectTransport
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.http11 import HttpRequest

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


class Echo(Peer):
    """A peer that answers with the request's body, and knows which connections are open."""

    def __init__(self) -> None:
        super().__init__()
        self.script = self._echo
        self.open = 0
        self._counting = threading.Lock()

    def _serve(self, raw: Any) -> None:
        with self._counting:
            self.open += 1
        super()._serve(raw)
        with self._counting:
            self.open -= 1

    def _echo(self, _: Peer, talk: Talk) -> None:
        while received := talk.read():
            size = b"Content-Length: %d\r\n\r\n" % len(received.body)
            talk.write(b"HTTP/1.1 200 OK\r\n" + size + received.body)


@pytest.fixture
def peer() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.stop()


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Run a coroutine as ``asyncio.run`` does, in a loop of its own."""

    def run(work: Any) -> Any:
        loop = LOOPS[request.param]()
        try:
            return loop.run_until_complete(work)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    return run


def transport(net: Net, bundle: str, **options: Any) -> AsyncDirectTransport:
    dialer = Dialer(route(), network=net, health=ZoneHealth())
    defaults: dict[str, Any] = {
        "service": "sagemaker",
        "credentials": lambda: KEYS,
        "bundle": lambda: bundle,
        "user_agent": "lib/test",
    }
    return AsyncDirectTransport(options.pop("routes", Decided(dialer)), **(defaults | options))


def idle(direct: AsyncDirectTransport) -> int:
    return int(repr(direct).rpartition("idle=")[2].rstrip(")"))


def request(body: bytes) -> HttpRequest:
    return HttpRequest(method="POST", path="/e", headers=(), body=body)


def settles(peer: Echo, count: int) -> bool:
    """Wait until so many connections are open."""
    for _ in range(2000):
        if peer.open == count:
            return True
        time.sleep(0.005)
    return False


async def call(direct: AsyncDirectTransport, body: bytes, *, streamed: bool) -> bytes:
    if not streamed:
        return (await direct.send(request(body), timeout=20)).body
    stream = await direct.stream(request(body), timeout=20)
    try:
        return b"".join([chunk async for chunk in stream.chunks()])
    finally:
        await stream.close()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "size", [10, pytest.param(300_000, marks=pytest.mark.slow(reason="thousands of calls"))]
)
def test_a_call_can_be_cancelled_at_any_step(
    peer: Echo, bundle: str, run: Callable[[Any], Any], size: int, *, streamed: bool
) -> None:
    """No later call has its answer, and its connection is closed; at each turn of the loop."""
    direct = transport(Net(peer.port), bundle)

    async def main() -> None:
        finished = 0
        turns = 0
        while turns < 200 and finished < 5:  # then it is over before it can be cancelled
            body = b"%d-" % turns * (size // 4)
            fresh = turns % 2 == 0
            if fresh:
                await direct.close()
            cancelled = asyncio.ensure_future(call(direct, body, streamed=streamed))
            for _ in range(turns // 2):
                await asyncio.sleep(0)
            cancelled.cancel()
            (outcome,) = await asyncio.gather(cancelled, return_exceptions=True)
            finished += fresh and outcome == body
            assert outcome == body or isinstance(outcome, asyncio.CancelledError)
            mine = b"mine %d" % turns
            assert await call(direct, mine, streamed=streamed) == mine
            turns += 1
        assert idle(direct) == 1
        assert await asyncio.to_thread(settles, peer, 1)

    run(main())
    assert settles(peer, 0)


def test_many_calls_that_are_cancelled_leave_nothing(
    peer: Echo, bundle: str, run: Callable[[Any], Any]
) -> None:
    """Fifty at once, each some time later than the one before."""
    direct = transport(Net(peer.port), bundle)

    async def late(number: int) -> bytes:
        return await asyncio.wait_for(
            call(direct, b"%d" % number * 50_000, streamed=number % 2 == 0), number * 0.002
        )

    async def main() -> None:
        for _ in range(3):
            outcomes = await asyncio.gather(*map(late, range(50)), return_exceptions=True)
            for number, outcome in enumerate(outcomes):
                assert isinstance(outcome, asyncio.TimeoutError) or (
                    outcome == b"%d" % number * 50_000
                )
        assert await asyncio.to_thread(settles, peer, idle(direct))

    run(main())
    assert settles(peer, 0)


def test_many_streams_are_in_flight_in_one_loop(
    peer: Echo, bundle: str, run: Callable[[Any], Any]
) -> None:
    """A hundred at once; each has its own answer."""
    direct = transport(Net(peer.port), bundle, connect_timeout=60)

    async def main() -> list[bytes]:
        return await asyncio.gather(
            *(call(direct, b"%d" % number, streamed=True) for number in range(100))
        )

    assert run(main()) == [b"%d" % number for number in range(100)]
    assert settles(peer, 0)


def test_each_loop_has_connections_of_its_own(
    peer: Echo, bundle: str, run: Callable[[Any], Any]
) -> None:
    """One after the other over one transport: no warning, and nothing is left open."""
    direct = transport(Net(peer.port), bundle)

    async def main() -> None:
        for _ in range(2):
            got = await asyncio.gather(*(call(direct, b"%d" % n, streamed=False) for n in range(3)))
            assert got == [b"0", b"1", b"2"]
        assert idle(direct) == 3

    for turn in range(1, 4):
        run(main())
        assert idle(direct) == 0
        assert peer.connections == 3 * turn
    assert settles(peer, 0)


def test_a_loop_in_each_thread_can_share_a_transport(
    peer: Echo, bundle: str, run: Callable[[Any], Any]
) -> None:
    """Eight at the same time; each has its own answers."""
    direct = transport(Net(peer.port), bundle, connect_timeout=60)
    wrong: list[object] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        async def main() -> None:
            for turn in range(20):
                body = b"%d-%d" % (number, turn)
                if await call(direct, body, streamed=turn % 3 == 0) != body:
                    wrong.append(body)

        start.wait(20)
        try:
            run(main())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert idle(direct) == 0
    assert settles(peer, 0)


class Slow:
    """Routes whose decision waits until the loop has moved on."""

    def __init__(self, dialer: Dialer) -> None:
        self.go_on = threading.Event()
        self.decided = 0
        self._dialer = dialer
        self._known: Dialer | None = None

    def known(self) -> Dialer | None:
        return self._known

    def decide(self) -> Dialer:
        assert self.go_on.wait(20), "the loop stood still"
        self.decided += 1
        self._known = self._dialer
        return self._dialer


def test_deciding_the_route_does_not_block_the_loop(
    peer: Echo, bundle: str, run: Callable[[Any], Any]
) -> None:
    """One thread decides for all who wait; who gives up leaves it to the others."""
    routes = Slow(Dialer(route(), network=Net(peer.port), health=ZoneHealth()))
    direct = transport(Net(peer.port), bundle, routes=routes)

    async def main() -> None:
        before = threading.active_count()
        waiting = [asyncio.ensure_future(call(direct, b"x", streamed=False)) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert threading.active_count() - before <= 1
        waiting[0].cancel()
        routes.go_on.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert outcomes[1:] == [b"x"] * 19

    run(main())
    assert routes.decided == 1


def test_a_resolver_that_hangs_holds_one_thread(
    peer: Echo, bundle: str, run: Callable[[Any], Any]
) -> None:
    """However many call; each ends in its time, and later ones work again."""
    go_on = threading.Event()

    class Hanging(Net):
        def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
            go_on.wait(20)
            return super().resolve(host, timeout=timeout)

    direct = transport(Hanging(peer.port), bundle, connect_timeout=0.2)

    async def main() -> None:
        before = threading.active_count()
        for _ in range(3):
            outcomes = await asyncio.gather(
                *(call(direct, b"x", streamed=False) for _ in range(20)), return_exceptions=True
            )
            assert all(isinstance(outcome, ConnectTimeoutError) for outcome in outcomes)
            assert threading.active_count() - before <= 1
        go_on.set()
        patient = transport(Net(peer.port), bundle)
        assert await call(patient, b"x", streamed=False) == b"x"

    run(main())


@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_is_dropped_closes_its_connection(
    peer: Echo, bundle: str, run: Callable[[Any], Any], *, begun: bool
) -> None:
    """Unclosed, and though the peer is silent: it learns that nobody listens."""

    def script(_: Peer, talk: Talk) -> None:
        if talk.read():
            talk.write(CHUNKED + b"3\r\nabc\r\n")
            talk.read_bytes(1)  # until the end

    peer.script = script
    direct = transport(Net(peer.port), bundle)

    async def main() -> None:
        stream = await direct.stream(request(b"x"), timeout=20)
        if begun:
            chunks = stream.chunks()
            assert await chunks.__anext__() == b"abc"
            del chunks
        del stream
        gc.collect()
        assert await asyncio.to_thread(settles, peer, 0)

    run(main())


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
def test_a_forked_child_makes_its_own_connections(peer: Echo, bundle: str) -> None:
    """In a loop of its own; the parent's go on working."""
    direct = transport(Net(peer.port), bundle)

    async def main() -> bytes:
        return await call(direct, b"x", streamed=False) + await call(direct, b"y", streamed=True)

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(main()) == b"xy"
    assert in_child(lambda: asyncio.new_event_loop().run_until_complete(main()) == b"xy")
    assert loop.run_until_complete(main()) == b"xy"
    assert peer.connections == 2
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_refreshing_credentials_does_not_block_the_loop(
    peer: Echo, bundle: str, run: Callable[[Any], Any]
) -> None:
    """One thread refreshes for all who wait."""
    go_on = threading.Event()
    threads: list[str] = []

    def credentials() -> Any:
        threads.append(threading.current_thread().name)
        assert go_on.wait(20), "the loop stood still"
        return KEYS

    direct = transport(
        Net(peer.port), bundle, credentials=credentials, refresh_is_due=lambda: not go_on.is_set()
    )

    async def main() -> None:
        waiting = asyncio.gather(*(call(direct, b"x", streamed=False) for _ in range(5)))
        await asyncio.sleep(0.05)
        assert threads == ["refreshing credentials"]
        go_on.set()
        assert await waiting == [b"x"] * 5

    run(main())


def test_it_says_where_it_leads(bundle: str) -> None:
    """State is in the repr."""
    direct = transport(Net(1), bundle)
    assert repr(direct) == f"AsyncDirectTransport(host={HOST!r}, idle=0)"
