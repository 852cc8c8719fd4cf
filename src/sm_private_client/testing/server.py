"""Loopback listeners: one thread accepts for all, each connection is served by its own.

Threads, not an event loop, because models are plain callables that may block, and because a
test that sleeps, resets or floods one connection must not slow the others down.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

from sm_private_client.testing.http_connection import Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sm_private_client.testing.http_connection import Request, Response

__all__ = ["LOOPBACK", "Listener", "Server"]

LOOPBACK: Final = "127.0.0.1"
_RESET_TIMEOUT: Final = 1.0
"""Seconds, in all; a stream whose model computes a part is reset when it has the part."""

_STOP_TIMEOUT: Final = 5.0
"""Seconds; a model that still computes then is left to its daemon thread."""


class Listener:
    """One listening socket on a free port of 127.0.0.1, and what it counted.

    Args:
        answer: Answers a request, in the connection's own thread.
        on_head: Called with a request whose body has not been read yet; it may cut.
        context: Returns the TLS context of a new connection; without it TLS is not spoken.
        on_connect: Called before the first byte is read; it may wait or reset.

    Attributes:
        port: Its port.
        connections: How many connections were accepted.
        bytes_received: How many bytes came in, before decryption.
    """

    def __init__(
        self,
        answer: Callable[[Request, Connection], Response],
        *,
        on_head: Callable[[Request, Connection], None] | None = None,
        context: Callable[[], ssl.SSLContext] | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> None:
        self.answer = answer
        self.on_head = on_head
        self.context = context
        self.on_connect = on_connect
        self.connections = 0
        self.bytes_received = 0
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self.socket = socket.create_server((LOOPBACK, 0), backlog=256)
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    def add(self, connection: Connection) -> None:
        """Count a new connection."""
        with self._lock:
            self.connections += 1
            self._open.add(connection)

    def discard(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._open.discard(connection)

    def count(self, received: int) -> None:
        """Add to the bytes received."""
        with self._lock:
            self.bytes_received += received

    def open_connections(self) -> tuple[Connection, ...]:
        """Return the connections that are open now."""
        with self._lock:
            return tuple(self._open)

    def reset_connections(self) -> None:
        """Reset every open connection, and return when they are closed."""
        connections = self.open_connections()
        for connection in connections:
            connection.reset()
        deadline = time.monotonic() + _RESET_TIMEOUT
        for connection in connections:
            if connection is not threading.current_thread():
                connection.closed.wait(max(0.0, deadline - time.monotonic()))


class Server:
    """Accepts for all listeners, in one thread.

    Attributes:
        stopping: Set once ``stop`` is called, so that who waits on it stops waiting.
    """

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

    def listen(self, listener: Listener) -> Listener:
        """Accept connections of a listener, and return it."""
        with self._lock:
            self._listeners.add(listener)
        self._selector.register(listener.socket, selectors.EVENT_READ, listener)
        self._wake_writer.send(b"w")
        return listener

    def close(self, listener: Listener) -> None:
        """Close a listener and reset its connections."""
        with self._lock:
            known = listener in self._listeners
            self._listeners.discard(listener)
        if known:
            self._selector.unregister(listener.socket)
            listener.socket.close()
            listener.reset_connections()

    def stop(self) -> None:
        """End every listener, connection and thread."""
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
                    accepted, _ = key.data.socket.accept()
                    self._serve(key.data, accepted)

    def _serve(self, listener: Listener, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(True)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(listener, accepted)
        except OSError:
            accepted.close()
            return
        listener.add(connection)
        with self._lock:
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            self._threads.add(connection)
            connection.start()
