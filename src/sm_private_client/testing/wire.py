"""Loopback listeners that speak HTTP/1.1, with or without TLS: one thread a connection.

Threads, not an event loop, because models are plain callables that may block, and because a
test that sleeps, resets or floods one connection must not slow the others down.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import h11

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sm_private_client.testing.certificates import ServerSide

__all__ = ["Connection", "ConnectionResetFault", "Listener", "Request", "Response", "Server"]

LOOPBACK: Final = "127.0.0.1"
_CHUNK: Final = 65536
_LARGEST_BODY: Final = 128 * 1024 * 1024
"""Bytes; what is larger is a runaway test, not a payload."""

_STOP_TIMEOUT: Final = 5.0
"""Seconds; a model that still computes then is left to its daemon thread."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class ConnectionResetFault(Exception):  # noqa: N818 - it is an order, not an error
    """Raised by a handler to have the connection reset instead of answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request as it came over the wire.

    Attributes:
        method: The method.
        target: Path and query, still encoded.
        headers: Names in lower case and values, in the order they came.
        body: The whole body.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Gives the first value of a header; ``name`` is in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def path(self) -> str:
        """The target without its query, still encoded."""
        return self.target.partition("?")[0]

    @property
    def host(self) -> str:
        """The ``Host`` header in lower case, without a port."""
        return (self.header("host") or "").lower().partition(":")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One HTTP answer.

    Attributes:
        status: The status.
        headers: Names and values.
        body: The body, or its parts, which are then sent one by one as they come.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""


class Listener:
    """One listening socket and what it counted.

    Attributes:
        port: Its port on 127.0.0.1.
        connections: How many connections were accepted.
        bytes_received: How many bytes came in, before decryption.
    """

    def __init__(
        self,
        *,
        answer: Callable[[Request, Connection], Response],
        context: Callable[[], ssl.SSLContext] | None,
        greet: Callable[[], None] | None,
    ) -> None:
        self.answer = answer
        self.context = context
        self.greet = greet
        self.connections = 0
        self.bytes_received = 0
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self.socket = socket.create_server((LOOPBACK, 0), backlog=256)
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    def add(self, connection: Connection) -> None:
        """Counts a new connection."""
        with self._lock:
            self.connections += 1
            self._open.add(connection)

    def discard(self, connection: Connection) -> None:
        """Forgets a connection that has ended."""
        with self._lock:
            self._open.discard(connection)

    def count(self, received: int) -> None:
        """Adds to the bytes received."""
        with self._lock:
            self.bytes_received += received

    def open_connections(self) -> tuple[Connection, ...]:
        """Gives the connections that stand now."""
        with self._lock:
            return tuple(self._open)

    def reset_connections(self) -> None:
        """Resets every connection that stands."""
        for connection in self.open_connections():
            connection.reset()


class Connection(threading.Thread):
    """Serves one connection until either side ends it."""

    def __init__(self, listener: Listener, raw: socket.socket) -> None:
        super().__init__(name=f"private-link-{listener.port}", daemon=True)
        self.listener = listener
        self.client_port: int = raw.getpeername()[1]
        self.sni: str | None = None
        self._raw = raw
        self._tls: ServerSide | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()

    def run(self) -> None:
        """Serves; a fault or a client that goes away ends it silently."""
        try:
            with contextlib.suppress(OSError, h11.ProtocolError, ConnectionResetFault):
                if self.listener.greet is not None:
                    self.listener.greet()
                if self.listener.context is not None:
                    self._shake_hands(self.listener.context())
                self._serve()
        finally:
            self._raw.close()
            self.listener.discard(self)

    def reset(self) -> None:
        """Has the connection end in a reset, from any thread."""
        with contextlib.suppress(OSError):
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            # Closing would not wake the thread that reads; closing is left to that thread.
            self._raw.shutdown(socket.SHUT_RD)

    def end(self) -> None:
        """Ends the connection, from any thread."""
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=256 * 1024)
        while True:
            request = self._read(http)
            if request is None:
                return
            try:
                response = self.listener.answer(request, self)
            except ConnectionResetFault:
                self.reset()
                raise
            self._write(http, response, head=request.method == "HEAD")
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    def _read(self, http: h11.Connection) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                if http.they_are_waiting_for_100_continue:
                    self._send(http.send(h11.InformationalResponse(status_code=100, headers=[])))
                data = self._receive()
                http.receive_data(data)
                if not data and head is None:
                    return None
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST_BODY:
                    return None
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Request(
                    method=head.method.decode(),
                    target=head.target.decode("latin-1"),
                    headers=tuple(
                        (name.decode(), value.decode("latin-1")) for name, value in head.headers
                    ),
                    body=bytes(body),
                )
            else:
                return None

    def _write(self, http: h11.Connection, response: Response, *, head: bool) -> None:
        stated = any(name.lower() == "content-length" for name, _ in response.headers)
        headers = [
            (name, value)
            for name, value in response.headers
            if head or name.lower() != "content-length"
        ]
        whole = response.body if isinstance(response.body, bytes) else None
        if head and stated:
            pass  # the length of what a GET would give
        elif whole is not None:
            headers.append(("Content-Length", str(len(whole))))
        else:
            headers.append(("Transfer-Encoding", "chunked"))
        start = http.send(h11.Response(status_code=response.status, headers=headers)) or b""
        if head:
            whole = b""
        if whole is not None:
            data = http.send(h11.Data(data=whole)) if whole else b""
            self._send(start + (data or b"") + (http.send(h11.EndOfMessage()) or b""))
            return
        self._send(start)
        for part in cast("Iterable[bytes]", response.body):
            if part:
                self._send(http.send(h11.Data(data=part)))
        self._send(http.send(h11.EndOfMessage()))

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        tls = cast("ServerSide", context.wrap_bio(self._incoming, self._outgoing, server_side=True))
        self._tls = tls
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                if not self._feed():
                    raise ConnectionAbortedError(errno.ECONNABORTED, "gone") from None
            except ssl.SSLError:
                self._flush()  # the alert
                raise
            else:
                self._flush()
                self.sni = tls.sni
                return

    def _receive(self) -> bytes:
        if self._tls is None:
            data = self._raw.recv(_CHUNK)
            self.listener.count(len(data))
            return data
        while True:
            try:
                return self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._feed():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def _send(self, data: bytes | None) -> None:
        if not data:
            return
        if self._tls is None:
            self._raw.sendall(data)
            return
        self._tls.write(data)
        self._flush()

    def _feed(self) -> bool:
        data = self._raw.recv(_CHUNK)
        self.listener.count(len(data))
        self._incoming.write(data)
        return bool(data)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._raw.sendall(self._outgoing.read())


class Server:
    """Accepts for all listeners, in one thread."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._threads: set[Connection] = set()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._accept, name="private-link", daemon=True)
        self._thread.start()

    def listen(
        self,
        answer: Callable[[Request, Connection], Response],
        *,
        context: Callable[[], ssl.SSLContext] | None = None,
        greet: Callable[[], None] | None = None,
    ) -> Listener:
        """Opens a listener on a free port of 127.0.0.1.

        Args:
            answer: Answers a request, in the connection's own thread.
            context: Gives the context of a new connection; TLS is spoken where it is given.
            greet: Called before the first byte is read; it may wait or reset.
        """
        listener = Listener(answer=answer, context=context, greet=greet)
        with self._lock:
            self._listeners.add(listener)
        self._selector.register(listener.socket, selectors.EVENT_READ, listener)
        self._wake_writer.send(b"w")
        return listener

    def close(self, listener: Listener) -> None:
        """Closes a listener and resets its connections."""
        with self._lock:
            known = listener in self._listeners
            self._listeners.discard(listener)
        if known:
            self._selector.unregister(listener.socket)
            listener.socket.close()
            listener.reset_connections()

    def stop(self) -> None:
        """Ends every listener, connection and thread."""
        self.stopping.set()
        self._wake_writer.send(b"s")
        self._thread.join()
        with self._lock:
            listeners, self._listeners = self._listeners, set()
            threads = tuple(self._threads)
        for listener in listeners:
            listener.socket.close()
        for connection in threads:
            connection.end()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for connection in threads:
            connection.join(max(0.0, deadline - time.monotonic()))
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            for key, _ in self._selector.select():
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_reader.recv(64)
                    continue
                # A listener may have been closed between select and here.
                with contextlib.suppress(OSError):
                    raw, _ = key.data.socket.accept()
                    self._welcome(key.data, raw)

    def _welcome(self, listener: Listener, raw: socket.socket) -> None:
        try:
            raw.setblocking(True)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(listener, raw)
        except OSError:
            raw.close()
            return
        listener.add(connection)
        with self._lock:
            self._threads = {known for known in self._threads if known.is_alive()}
            self._threads.add(connection)
            connection.start()
