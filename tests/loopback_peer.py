"""The doubles of the transport tests: a scripted server, a network to it, and callers."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import os
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trustme
import uvloop
from botocore.credentials import ReadOnlyCredentials

from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.records import EndpointAddress, Route
from sm_private_client.routing.network import SocketOption
from sm_private_client.transport.async_direct import AsyncDirectTransport
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.direct import DirectTransport
from sm_private_client.transport.http11 import HttpRequest, HttpResponse
from sm_private_client.transport.tls import ClosedWhenReset

HOST = "vpce-0a1b2c3d-abcdefgh.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
URL = f"https://{HOST}/endpoints/churn/invocations"
A, B = "10.0.1.10", "10.0.2.10"
ZONES = {A: "us-east-1a", B: "us-east-1b"}
KEYS: Any = ReadOnlyCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "session/token==")
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PART = b"top-secret-answer"
AUTHORITY = trustme.CA()
REQUEST = HttpRequest(
    method="POST",
    path="/endpoints/churn/invocations",
    headers=(("Content-Type", "text/csv"), ("X-Amzn-SageMaker-Target-Variant", "A")),
    body=b"top,secret,row",
)
REFUSES = 1
"""A port on which nothing listens."""


@dataclass
class ReceivedRequest:
    """One request as it came over the wire."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name)


class Talk:
    """The peer's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")

    def read(self, *, body: bool = True) -> ReceivedRequest | None:
        """Read a request; ``None``: the other side has closed."""
        with suppress(OSError):
            line = self._file.readline().decode().rstrip("\r\n")
            if not line:
                return None
            request = ReceivedRequest(line, [], b"")
            while header := self._file.readline().decode().rstrip("\r\n"):
                name, _, value = header.partition(": ")
                request.headers.append((name, value))
            if body:
                request.body = self.read_bytes(int(request.header("content-length")))
            return request
        return None

    def read_bytes(self, count: int) -> bytes:
        return self._file.read(count)

    def write(self, data: bytes) -> None:
        self._sock.sendall(data)

    def reset(self) -> None:
        """End the connection with a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def end(self) -> None:
        """End TLS by its own message; closing alone does not."""
        assert isinstance(self._sock, ssl.SSLSocket)
        with suppress(OSError):  # the other side closes without a word
            self._sock.unwrap()

    def close(self) -> None:
        self._file.close()
        self._sock.close()


_certificate = functools.cache(AUTHORITY.issue_cert)

Script = Callable[["Peer", Talk], None]


def answers(peer: Peer, talk: Talk) -> None:
    """Answer every request the same."""
    while request := talk.read():
        peer.requests.append(request)
        talk.write(OK)


def silent(peer: Peer, talk: Talk) -> None:
    if talk.read():
        peer.go_on.wait(10)


def closes(_: Peer, talk: Talk) -> None:
    talk.read()


def resets(_: Peer, talk: Talk) -> None:
    if talk.read():
        talk.reset()


def writes(data: bytes) -> Script:
    def script(_: Peer, talk: Talk) -> None:
        if talk.read():
            talk.write(data)

    return script


class Peer:
    """A server on loopback that does with each connection what its script says."""

    def __init__(self, *names: str) -> None:
        self.script: Script = answers
        self.tls = True
        self.connections = 0
        self.requests: list[ReceivedRequest] = []
        self.stopping = False
        self.go_on = threading.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sslsocket_class = ClosedWhenReset
        _certificate(*names or (HOST,)).configure_cert(self.context)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._raw: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._raw.append(raw)
                serving = threading.Thread(target=self._serve, args=(raw,))
                self._threads.append(serving)
            serving.start()

    def _serve(self, raw: socket.socket) -> None:
        sock = raw
        with suppress(OSError):
            if self.tls:
                sock = self.context.wrap_socket(raw.dup(), server_side=True)
            talk = Talk(sock)
            try:
                self.script(self, talk)
            finally:
                talk.close()
        sock.close()
        raw.close()

    def wait(self) -> None:
        """Wait until the test says to go on, once."""
        self.go_on.wait(10)
        if not self.stopping:
            self.go_on.clear()

    def stop(self) -> None:
        """End every connection that stands and take no more."""
        self.stopping = True
        self.go_on.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for raw in self._raw:
                with suppress(OSError):
                    raw.shutdown(socket.SHUT_RDWR)
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(10)


class Net:
    """A NetworkBackend whose addresses lead to ports of loopback, or, without one, are silent."""

    def __init__(self, a: int, b: int | None = None) -> None:
        self.answers: tuple[str, ...] = (A, B)
        self.fails_to_resolve = False
        self.ports: dict[str, int | None] = {A: a, B: a if b is None else b}
        self.opened: list[str] = []
        self.looked_up = 0

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        assert (host, timeout > 0) == (HOST, True)
        self.looked_up += 1
        if self.fails_to_resolve:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answers

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        assert port == 443
        self.opened.append(address)
        opened = socket.socket()
        for level, option, value in socket_options:
            opened.setsockopt(level, option, value)
        opened.setblocking(False)
        target = self.ports[address]
        if target is None:
            opened.bind(("127.0.0.1", 0))
            opened.listen(1)
        else:
            opened.connect_ex(("127.0.0.1", target))
        return opened


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def route(url: str = f"https://{HOST}", *, local: bool = False) -> Route:
    return Route(
        service_name="sagemaker-runtime",
        region="us-east-1",
        partition="aws",
        endpoint_url=url,
        source="explicit",
        addresses=tuple(EndpointAddress(address=a, availability_zone=z) for a, z in ZONES.items()),
        availability_zone=None if local else "us-east-1a",
        address_policy=AddressPolicy(local=local),
    )


class Decided:
    """Routes that are decided, until they are forgotten."""

    def __init__(self, dialer: Dialer) -> None:
        self.dialer = dialer

    def known(self) -> Dialer:
        return self.dialer

    def decide(self) -> Dialer:
        raise AssertionError("it is known")


KINDS = ("main thread", "thread", "asyncio", "uvloop")
"""Who calls: a socket's time-outs are kept in another way by other threads than the main one."""


class Calls:
    """A transport of either kind to a peer, behind one synchronous face."""

    def __init__(
        self, kind: str, peer: Peer, ca: str, *, routes: Any = None, **arguments: Any
    ) -> None:
        self.kind = kind
        self.net = Net(peer.port)
        self.health = ZoneHealth()
        self.dialer = Dialer(route(), network=self.net, health=self.health)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._threads: ThreadPoolExecutor | None = None
        if kind == "thread":
            self._threads = ThreadPoolExecutor(1)
        elif kind != "main thread":
            self.loop = asyncio.new_event_loop() if kind == "asyncio" else uvloop.new_event_loop()
        options: dict[str, Any] = {
            "service": "sagemaker",
            "credentials": lambda: KEYS,
            "bundle": lambda: ca,
            "user_agent": "lib/test",
        }
        cls: Any = AsyncDirectTransport if self.loop else DirectTransport
        self.transport = cls(routes or Decided(self.dialer), **(options | arguments))

    @property
    def idle(self) -> int:
        return int(repr(self.transport).rpartition("idle=")[2].rstrip(")"))

    def do(self, work: Callable[[], Any]) -> Any:
        """Run work as the kind of caller does."""
        if self.loop:
            return self.loop.run_until_complete(_awaited(work))
        return self._threads.submit(work).result() if self._threads else work()

    def send(
        self,
        request: HttpRequest = REQUEST,
        *,
        timeout: float | None = 20,
        limit: int | None = None,
    ) -> HttpResponse:
        response: HttpResponse = self.do(
            lambda: self.transport.send(request, timeout=timeout, limit=limit)
        )
        return response

    def stream(
        self,
        request: HttpRequest = REQUEST,
        *,
        timeout: float | None = 20,
        limit: int | None = None,
    ) -> Any:
        return self.do(lambda: self.transport.stream(request, timeout=timeout, limit=limit))

    def chunks(self, stream: Any) -> Iterator[bytes]:
        chunks = stream.chunks()
        ended = object()
        try:
            if self.loop:
                with suppress(StopAsyncIteration):
                    while True:
                        yield self.do(chunks.__anext__)
            else:
                while (chunk := self.do(lambda: next(chunks, ended))) is not ended:
                    yield chunk
        finally:
            self.do(chunks.aclose if self.loop else chunks.close)

    def read(self, *, streamed: bool, timeout: float | None = 20) -> bytes:
        if streamed:
            return b"".join(self.chunks(self.stream(timeout=timeout)))
        return self.send(timeout=timeout).body

    def end(self, stream: Any) -> None:
        self.do(stream.close)

    def close(self) -> None:
        self.do(self.transport.close)
        if self.loop:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()
        if self._threads:
            self._threads.shutdown()


async def _awaited(work: Callable[[], Any]) -> Any:
    try:
        return await work()
    finally:
        await asyncio.sleep(0)  # the loop closes sockets in its next turn


def in_child(work: Callable[[], bool]) -> bool:
    """Fork; return True if the work was done and true in the child."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        code = 1
        try:
            code = 0 if work() else 2
        except BaseException:  # noqa: BLE001 - it must not run the parent's tests
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
