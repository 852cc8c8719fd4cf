"""HTTP/1.1 on one accepted connection, with or without TLS."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import http
import selectors
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

import h11

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_private_client.testing.certificates import ServerSide
    from sm_private_client.testing.server import Listener

__all__ = ["Connection", "ConnectionCut", "HowCut", "Request", "Response"]

HowCut = Literal["reset", "close"]

_CHUNK: Final = 65536
_LARGEST_BODY: Final = 128 * 1024 * 1024
"""Bytes; what is larger is a runaway test, not a payload."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class ConnectionCut(Exception):  # noqa: N818 - it is an order, not an error
    """Raised by a handler, or by an answer's body, to end the connection right there.

    Args:
        how: ``reset``, as by a dead host; ``close``, without a word more, TLS's included.
    """

    def __init__(self, how: HowCut = "reset") -> None:
        super().__init__(how)
        self.how = how


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request as it came over the wire.

    Attributes:
        target: Path and query, still encoded.
        headers: Names in lower case and values, in the order they came.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whose name is given in lower case."""
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
        body: The body, or its parts, which are then sent one by one as they come.
        length: Bytes of a body in parts, which then goes out with ``Content-Length`` instead of
            chunked.
        held: Seconds to wait before the first byte; infinite: until the client goes away.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    held: float = 0.0


class Connection(threading.Thread):
    """A thread that serves one connection until either side ends it.

    Attributes:
        client_port: The client's port.
        sni: The server name that the client asked for; ``None`` without TLS.
        closed: Set once its socket is closed.
    """

    def __init__(self, listener: Listener, accepted: socket.socket) -> None:
        super().__init__(name=f"private-link-{listener.port}", daemon=True)
        self.listener = listener
        self.client_port: int = accepted.getpeername()[1]
        self.sni: str | None = None
        self.closed = threading.Event()
        self._socket = accepted
        self._tls: ServerSide | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._lock = threading.Lock()
        self._was_reset = False
        self._in_handler = False

    def run(self) -> None:
        """Serve; a fault or a client that goes away ends it silently."""
        try:
            with contextlib.suppress(OSError, h11.ProtocolError):
                if self.listener.on_connect is not None:
                    with self._handler():
                        self.listener.on_connect()
                # A greeting that was not read would turn a close into a reset.
                if self.listener.context is not None and self._feed():
                    self._shake_hands(self.listener.context())
                self._serve()
        except ConnectionCut as cut:
            if cut.how == "reset":
                self.reset()
        finally:
            self._close()
            self.listener.discard(self)

    def reset(self) -> None:
        """End the connection in a reset, from any thread; ``closed`` is set when it has ended."""
        with self._lock, contextlib.suppress(OSError):
            self._was_reset = True
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            if self._in_handler:
                self._close()
            else:
                # Closing would not wake a thread that reads; it closes when it wakes.
                self._socket.shutdown(socket.SHUT_RD)

    def end(self) -> None:
        """End the connection, from any thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def pause(self, seconds: float | None) -> None:
        """Wait, in the connection's own thread.

        Args:
            seconds: How long; ``None``: until the client goes away.

        Raises:
            ConnectionAbortedError: The client went away, or the connection is ended.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            # Clients do not speak before they are answered: what comes is the end.
            if selector.select(seconds):
                raise ConnectionAbortedError(errno.ECONNABORTED, "gone")

    @contextlib.contextmanager
    def _handler(self) -> Iterator[None]:
        """Let others close the socket meanwhile, since this thread does not use it."""
        with self._lock:
            self._in_handler = True
        try:
            yield
        finally:
            with self._lock:
                self._in_handler = False

    def _close(self) -> None:
        self._socket.close()
        self.closed.set()

    def _serve(self) -> None:
        stream = h11.Connection(h11.SERVER, max_incomplete_event_size=256 * 1024)
        while (request := self._read(stream)) is not None:
            with self._handler():
                response = self.listener.answer(request, self)
            if response.held:
                self.pause(None if response.held == float("inf") else response.held)
            self._write(stream, response, head=request.method == "HEAD")
            if stream.our_state is not h11.DONE or stream.their_state is not h11.DONE:
                return
            stream.start_next_cycle()

    def _read(self, stream: h11.Connection) -> Request | None:
        request: Request | None = None
        body = bytearray()
        while True:
            event = stream.next_event()
            if event is h11.NEED_DATA:
                if stream.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(
                        status_code=100, headers=[], reason=_reason(100)
                    )
                    self._send(stream.send(go_on))
                data = self._receive()
                stream.receive_data(data)
                if not data and request is None:
                    return None
            elif isinstance(event, h11.Request):
                request = Request(
                    method=event.method.decode(),
                    target=event.target.decode("latin-1"),
                    headers=tuple(
                        (name.decode(), value.decode("latin-1")) for name, value in event.headers
                    ),
                    body=b"",
                )
                if self.listener.on_head is not None:
                    self.listener.on_head(request, self)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST_BODY:
                    return None
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                return dataclasses.replace(request, body=bytes(body))
            else:
                return None

    def _write(self, stream: h11.Connection, response: Response, *, head: bool) -> None:
        body, headers = response.body, list(response.headers)
        # To a HEAD the length of what a GET would give is answered.
        if not head or all(name.lower() != "content-length" for name, _ in headers):
            headers = [header for header in headers if header[0].lower() != "content-length"]
            length = len(body) if isinstance(body, bytes) else response.length
            headers.append(
                ("Transfer-Encoding", "chunked")
                if length is None
                else ("Content-Length", str(length))
            )
        start = stream.send(
            h11.Response(
                status_code=response.status, headers=headers, reason=_reason(response.status)
            )
        )
        if head or isinstance(body, bytes):
            data = stream.send(h11.Data(data=b"" if head else cast("bytes", body)))
            end = stream.send(h11.EndOfMessage())
            self._send((start or b"") + (data or b"") + (end or b""))
            return
        self._send(start)
        for part in body:
            if part:
                self._send(stream.send(h11.Data(data=part)))
        self._send(stream.send(h11.EndOfMessage()))

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
            data = self._socket.recv(_CHUNK)
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
        if self._was_reset:
            raise ConnectionAbortedError(errno.ECONNABORTED, "reset")
        if self._tls is None:
            self._socket.sendall(data)
            return
        self._tls.write(data)
        self._flush()

    def _feed(self) -> bool:
        data = self._socket.recv(_CHUNK)
        self.listener.count(len(data))
        self._incoming.write(data)
        return bool(data)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.sendall(self._outgoing.read())


def _reason(status: int) -> bytes:
    # botocore takes "HTTP/1.1 100" without a phrase for the final answer.
    try:
        return http.HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"  # AWS has codes of its own, such as 530
