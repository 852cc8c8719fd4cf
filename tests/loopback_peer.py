"""What both engines are specified against: a scripted server, and a network that leads to it."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trustme
from botocore.credentials import ReadOnlyCredentials

from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.records import EndpointAddress, Route
from sm_private_client.routing.network import SocketOption
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
REFUSES = 1
"""A port where nothing listens."""


@dataclass
class Asked:
    """One request as it came over the wire."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name)


class Talk:
    """The peer's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.was_asked = False
        self._sock = sock
        self._file = sock.makefile("rb")

    def read(self, *, body: bool = True) -> Asked | None:
        """Reads a request; ``None``: the other side has closed."""
        with suppress(OSError):
            line = self._file.readline().decode().rstrip("\r\n")
            if not line:
                return None
            self.was_asked = True
            asked = Asked(line, [], b"")
            while header := self._file.readline().decode().rstrip("\r\n"):
                name, _, value = header.partition(": ")
                asked.headers.append((name, value))
            if body:
                asked.body = self.read_bytes(int(asked.header("content-length")))
            return asked
        return None

    def read_bytes(self, count: int) -> bytes:
        return self._file.read(count)

    def write(self, data: bytes) -> None:
        self._sock.sendall(data)

    def reset(self) -> None:
        """Has the connection end with a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def end(self) -> None:
        """Tells the end as TLS does; closing alone does not."""
        assert isinstance(self._sock, ssl.SSLSocket)
        with suppress(OSError):  # the other side closes without a word
            self._sock.unwrap()

    def close(self) -> None:
        self._file.close()
        self._sock.close()


Script = Callable[["Peer", Talk], None]


def answers(peer: Peer, talk: Talk) -> None:
    """Answers every request the same."""
    while asked := talk.read():
        peer.asked.append(asked)
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
        self.asked: list[Asked] = []
        self.stopping = False
        self.go_on = threading.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sslsocket_class = ClosedWhenReset
        AUTHORITY.issue_cert(*names or (HOST,)).configure_cert(self.context)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._raw: list[socket.socket] = []
        self._talks: list[Talk] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def used(self) -> int:
        """How many connections carried a request; a pin's own carries none."""
        return sum(talk.was_asked for talk in tuple(self._talks))

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
            self._talks.append(talk)
            try:
                self.script(self, talk)
            finally:
                talk.close()
        sock.close()
        raw.close()

    def wait(self) -> None:
        """Waits until the test says to go on, once."""
        self.go_on.wait(10)
        if not self.stopping:
            self.go_on.clear()

    def stop(self) -> None:
        """Ends every connection that stands, and takes no more; may be called again."""
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


def in_child(work: Callable[[], bool]) -> bool:
    """Forks; says whether the work was done and true in the child."""
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
