"""Connection: HTTP/1.1 on one socket, one request after the other, each written in one block."""

from __future__ import annotations

import io
import os
import select
import ssl
from typing import TYPE_CHECKING, Final

from sm_private_client.transport.answers import PIECE, Answer

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer

    from sm_private_client.transport.dialer import Dialed

__all__ = ["Connection"]

_SHORTEST_TIMEOUT: Final = 0.001  # seconds; zero would mean not to wait at all


class _Incoming(io.RawIOBase):
    """Reads a socket; while it is paused it has nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self.paused = False
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        if self.paused:
            return None
        try:
            return self._sock.recv_into(buffer)
        except ssl.SSLEOFError:  # whoever is on the way can end a connection so
            raise ConnectionAbortedError("the connection ended without TLS's own end") from None


class Connection:
    """One connection that stands, for one request after the other.

    Attributes:
        address: The address that was judged and connected to.
        availability_zone: Its zone, ``None`` where it is not known.
        tally: Counts the calls over it.
        pid: The process that made it, the only one that may use it.
        idle_since: When it was last given back, monotonic seconds.
    """

    def __init__(self, dialed: Dialed, sock: socket.socket) -> None:
        self.address = dialed.address
        self.availability_zone = dialed.availability_zone
        self.tally = dialed.tally
        self.pid = os.getpid()
        self.idle_since = 0.0
        self._sock = sock
        self._incoming = _Incoming(sock)
        self._reader = io.BufferedReader(self._incoming, PIECE)
        self._timeout = sock.gettimeout()
        self._is_whole = True

    def set_timeout(self, timeout: float | None) -> None:
        """Sets how long a read or a write may take, in seconds; ``None`` waits for ever."""
        if timeout is not None:
            timeout = max(timeout, _SHORTEST_TIMEOUT)
        if timeout != self._timeout:
            self._sock.settimeout(timeout)
            self._timeout = timeout

    def write(self, head: bytes, body: bytes) -> None:
        """Writes a request, or as much of it as the peer takes before it answers.

        A peer may refuse a large body before it has all of it (413), and close. What it said
        then is still there to be read, so that a write that fails is not an error yet.

        Raises:
            TimeoutError: The peer neither took more nor answered in time.
        """
        self._is_whole = False
        try:
            if len(body) <= PIECE:  # head and body in one write
                self._sock.sendall(head + body)
                self._is_whole = True
            else:
                self._sock.sendall(head)
                self._is_whole = self._write_large(memoryview(body))
        except TimeoutError:
            raise
        except OSError:
            pass  # reading says what became of it

    def read_head(self) -> Answer:
        """Reads the head of an answer.

        Raises:
            OSError: None came, or it is not HTTP/1.1.
        """
        return Answer(self._reader)

    def can_be_kept(self, answer: Answer) -> bool:
        """Says whether it can carry another request after this answer."""
        if answer.will_close or not answer.is_whole or not self._is_whole:
            return False
        # Whatever else came would be taken for the next one's answer. What TLS has decrypted and
        # nobody has read yet is not seen by poll() either.
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return False
        self._incoming.paused = True
        surplus = self._reader.peek(1)
        self._incoming.paused = False
        return not surplus

    def is_stale(self) -> bool:
        """Says whether the peer closed it, or spoke unasked, while it was idle."""
        return self._wait(0, writing=False)[0]

    def close(self) -> None:
        """Closes it, without a word to the peer: a forked child may close its copy."""
        self._sock.close()

    def _write_large(self, body: memoryview) -> bool:
        """Writes and listens at once; says whether all of it went out."""
        self._sock.setblocking(False)
        try:
            at = 0
            while at < len(body):
                try:
                    at += self._sock.send(body[at : at + PIECE])
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    readable, writable = self._wait(self._timeout, writing=True)
                    if not (readable or writable):
                        raise TimeoutError("the peer took no more of the request") from None
                    if readable and self._has_answer():
                        return False
        finally:
            self._sock.settimeout(self._timeout)
        return True

    def _has_answer(self) -> bool:
        try:
            self._reader.peek(1)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False  # TLS's own messages, such as session tickets
        return True  # something, or the end

    def _wait(self, timeout: float | None, *, writing: bool) -> tuple[bool, bool]:
        """Waits until it can be read (or written) and says which."""
        if hasattr(select, "poll"):  # select() cannot take descriptors above 1023
            poll = select.poll()
            poll.register(self._sock, select.POLLIN | (select.POLLOUT if writing else 0))
            events = poll.poll(None if timeout is None else timeout * 1000)
            flags = events[0][1] if events else 0
            return bool(flags & ~select.POLLOUT), bool(flags & select.POLLOUT)
        wanted = [self._sock]
        readable, writable, _ = select.select(wanted, wanted if writing else [], [], timeout)
        return bool(readable), bool(writable)
