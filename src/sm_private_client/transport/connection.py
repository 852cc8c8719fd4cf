"""One HTTP/1.1 connection on a socket, for one request after the other.

Python's own socket time-outs poll before each step, and each poll hands over the interpreter's
lock. So a thread waits in the kernel instead, for as long as SO_RCVTIMEO and SO_SNDTIMEO say. The
main thread does not: there a signal whose handler returns would begin that time anew.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.dialer import Dialed
    from sm_private_client.transport.http11 import ResponseReader
    from sm_private_client.transport.tls import TlsSession

__all__ = [
    "CHUNK",
    "BaseConnection",
    "Connection",
    "NeverDeliveredError",
    "acknowledged",
    "ended",
    "look_at",
]

CHUNK: Final = 64 * 1024
"""The most bytes that are read or written at once."""

_SHORTEST_TIMEOUT: Final = 0.001  # seconds; zero would mean not to wait at all
_LONGEST_TIMEOUT: Final = 1e9  # seconds, some thirty years; more does not fit a timeval
_TIMEVAL: Final = struct.Struct("ll")
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
_BYTES_ACKED: Final = slice(120, 128)  # in Linux's struct tcp_info, since 4.1
_NOT_COUNTED: Final = frozenset({b"", bytes(8)})


class NeverDeliveredError(ConnectionError):
    """A kept connection proved dead, and nothing of the request had arrived."""


class BaseConnection(ABC):
    """A connection that stands.

    Attributes:
        address: The address that was judged and connected to.
        availability_zone: Its zone, ``None`` if it is not known.
        counters: Count the calls over it.
        pid: The process that made it, the only one that may use it.
        idle_since: When it was last given back, monotonic seconds.
    """

    def __init__(self, dialed: Dialed, tls: TlsSession | None) -> None:
        self.address = dialed.address
        self.availability_zone = dialed.availability_zone
        self.counters = dialed.counters
        self.pid = os.getpid()
        self.idle_since = 0.0
        self._sock = dialed.sock
        self._tls = tls
        self._is_used = False
        self._acknowledged: bytes | None = None
        self._is_readable = look_at(self._sock)

    @abstractmethod
    def can_be_kept(self, reader: ResponseReader) -> bool:
        """Return True if it can carry another request after this answer."""

    @abstractmethod
    def is_stale(self) -> bool:
        """Return True if the peer closed it, or sent anything, while it was idle."""

    @abstractmethod
    def close(self) -> None:
        """Close it at once, without TLS's own end: a forked child may close its copy."""


class Connection(BaseConnection):
    """A connection for threads: its calls block."""

    def __init__(self, dialed: Dialed, tls: TlsSession | None) -> None:
        super().__init__(dialed, tls)
        self._is_written = False
        self._early = b""  # what was answered while the request was being written
        # gevent's sockets wait for its hub, not in the kernel
        self._is_plain = os.name == "posix" and type(self._sock).__module__ == "socket"
        self._waits: tuple[float | None, bool] | None = None

    def shake_hands(self, timeout: float | None) -> None:
        """Begin TLS, within so many seconds.

        Raises:
            OSError: It failed; ``ssl.SSLError`` if it was TLS.
        """
        if self._tls is None:
            return
        deadline = None if timeout is None else time.monotonic() + timeout
        is_done = self._tls.shake_hands()
        while True:
            self._set_timeout(None if deadline is None else deadline - time.monotonic())
            self._send(self._tls.to_send())
            if is_done:
                return
            received = self._receive()
            try:
                is_done = self._tls.shake_hands(received)
            except OSError:
                with suppress(OSError):
                    self._send(self._tls.to_send())  # the alert that tells the peer why
                raise

    def write(self, head: bytes, body: bytes, timeout: float | None) -> None:
        """Write a request, or as much of it as the peer takes before it answers.

        A peer may refuse a large body before it has all of it (413), and close. What it sent
        then can still be read, so a write that fails is not an error yet.

        Silence may last ``timeout`` seconds, here and in the reads after it.

        Raises:
            TimeoutError: The peer neither took more nor answered in time.
        """
        self._set_timeout(timeout)
        self._acknowledged = acknowledged(self._sock) if self._is_used else None
        self._is_used = True
        self._is_written = False
        try:
            if len(body) <= CHUNK:  # head and body in one write
                self._send(self._encrypted(head + body))
            else:
                self._write_large(head, memoryview(body), timeout)
        except TimeoutError:
            raise
        except OSError:
            return  # reading finds out what became of it
        self._is_written = True

    def read(self, reader: ResponseReader) -> list[bytes]:
        """Wait for more of an answer; return the chunks of payload that came.

        Raises:
            NeverDeliveredError: A kept connection was dead before the request came.
            PayloadError: The payload is larger than the reader's limit.
            OSError: Nothing came in time, the connection broke, or it is not HTTP/1.1.
        """
        data, self._early = self._early, b""
        if not data:
            try:
                data = self._received()
            except OSError as error:
                raise ended(reader, self._sock, self._acknowledged, error) from None
        if data:
            return reader.feed(data)
        try:
            reader.end()
        except ConnectionError as error:
            raise ended(reader, self._sock, self._acknowledged, error) from None
        return []

    def can_be_kept(self, reader: ResponseReader) -> bool:
        """Return True if it can carry another request after this answer."""
        return (
            reader.is_whole
            and self._is_written
            and not (reader.will_close or reader.has_surplus or self._early)
            and not (self._tls is not None and (self._tls.has_unread or self._tls.is_ended))
        )

    def is_stale(self) -> bool:
        """Return True if the peer closed it, or sent anything, while it was idle."""
        return self._is_readable()

    def close(self) -> None:
        """Close it at once, without TLS's own end: a forked child may close its copy."""
        self._sock.close()

    def _encrypted(self, data: bytes | memoryview) -> bytes | memoryview:
        return data if self._tls is None else self._tls.encrypt(data)

    def _received(self) -> bytes:
        """Return what the peer sent; empty at the end."""
        if self._tls is None:
            return self._receive()
        while not self._tls.is_ended:
            data = self._tls.decrypt(self._receive())
            if data:
                return data
        return b""

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(CHUNK)
        except BlockingIOError:
            raise TimeoutError("the peer was silent") from None

    def _send(self, data: bytes | memoryview) -> None:
        try:
            sent = self._sock.send(data)
            while sent < len(data):
                sent += self._sock.send(memoryview(data)[sent:])
        except BlockingIOError:
            raise TimeoutError("the peer took no more of the request") from None

    def _write_large(self, head: bytes, body: memoryview, timeout: float | None) -> None:
        """Write and listen at once, until all is written or an answer begins."""
        self._waits = None
        self._sock.setblocking(False)
        try:
            data = memoryview(self._encrypted(head))
            at = 0
            while data or at < len(body):
                if not data:
                    data = memoryview(self._encrypted(body[at : at + CHUNK]))
                    at += CHUNK
                try:
                    data = data[self._sock.send(data) :]
                except BlockingIOError:
                    is_readable, is_writable = _wait(self._sock, timeout)
                    if is_readable:
                        received = self._sock.recv(CHUNK)
                        self._early = self._tls.decrypt(received) if self._tls else received
                        if self._early or not received:
                            raise ConnectionAbortedError("the peer wants no more") from None
                    elif not is_writable:
                        raise TimeoutError("the peer took no more of the request") from None
        finally:
            self._set_timeout(timeout)

    def _set_timeout(self, timeout: float | None) -> None:
        """Set how long a read or a write may take, in seconds; ``None`` waits for ever."""
        in_kernel = self._is_plain and threading.get_ident() != threading.main_thread().ident
        if timeout is not None:
            timeout = min(max(timeout, _SHORTEST_TIMEOUT), _LONGEST_TIMEOUT)
        if self._waits == (timeout, in_kernel):
            return
        self._waits = None
        if in_kernel and timeout is not None:
            seconds = _TIMEVAL.pack(int(timeout), int(timeout % 1 * 1e6))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
            self._sock.setblocking(False)  # Python does not poll
            os.set_blocking(self._sock.fileno(), True)  # and the kernel waits
        else:
            self._sock.settimeout(timeout)
        self._waits = (timeout, in_kernel)


def look_at(sock: socket.socket) -> Callable[[], bool]:
    """Return a function that returns True if data, or the end, can be read from a socket."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([sock], (), (), 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return lambda: bool(poll.poll(0))


def acknowledged(sock: socket.socket) -> bytes:
    """Return the system's count of the bytes that the peer has acknowledged; empty if unknown."""
    if _TCP_INFO is None:
        return b""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.stop)[_BYTES_ACKED]
    except OSError:
        return b""


def ended(
    reader: ResponseReader, sock: socket.socket, acknowledged_before: bytes | None, error: OSError
) -> OSError:
    """Return what the end of a connection means before an answer has come.

    The end of a connection acknowledges what the peer has received. If that is nothing of this
    request, the request was not applied, and may be sent again whatever it does (RFC 9110,
    9.2.2). A reset acknowledges nothing.

    ``acknowledged_before`` is the count before the request was written, ``None`` for the first
    request of a connection.
    """
    if acknowledged_before is None or reader.has_begun or isinstance(error, TimeoutError):
        return error
    is_reset = isinstance(error, ConnectionResetError)
    is_counted = acknowledged_before not in _NOT_COUNTED  # earlier requests were acknowledged
    if is_counted and not is_reset and acknowledged(sock) == acknowledged_before:
        return NeverDeliveredError("the kept connection was closed before the request came")
    return ConnectionAbortedError(
        "the kept connection ended before a byte of the answer, and the request may have arrived"
    )


def _wait(sock: socket.socket, timeout: float | None) -> tuple[bool, bool]:
    """Wait until a socket can be read or written; return which."""
    if not hasattr(select, "poll"):  # select() cannot take descriptors above 1023
        readable, writable, _ = select.select([sock], [sock], (), timeout)
        return bool(readable), bool(writable)
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    events = poll.poll(None if timeout is None else timeout * 1000)
    flags = events[0][1] if events else 0
    return bool(flags & ~select.POLLOUT), bool(flags & select.POLLOUT)
