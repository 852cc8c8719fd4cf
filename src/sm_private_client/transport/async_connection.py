"""One HTTP/1.1 connection in an event loop, for one request after the other.

It is an ``asyncio.Protocol``: asyncio's own loop and uvloop drive it alike.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.transport.connection import CHUNK, BaseConnection, acknowledged, ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.dialer import Dialed
    from sm_private_client.transport.http11 import ResponseReader
    from sm_private_client.transport.tls import TlsSession

__all__ = ["AsyncConnection"]

_MOST_UNREAD: Final = 256 * 1024
"""Bytes of a stream that may wait for their reader before reading pauses."""


class AsyncConnection(BaseConnection, asyncio.Protocol):
    """A connection of one event loop."""

    def __init__(self, dialed: Dialed, tls: TlsSession | None) -> None:
        super().__init__(dialed, tls)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None  # asyncio.Transport, once the loop has made it
        self._reader: ResponseReader | None = None
        self._chunks: list[bytes] = []
        self._unread = 0
        self._is_paused = self._is_blocked = self._is_handshaking = False
        self._unwritten = memoryview(b"")
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timeout: float | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self, timeout: float | None) -> None:
        """Have the loop drive it, and begin TLS.

        Raises:
            OSError: It failed; ``ssl.SSLError`` if it was TLS.
        """
        # Up to Python 3.10 asyncio leaves the socket in its selector if this is cancelled half-way.
        beginning = asyncio.ensure_future(
            self._loop.create_connection(lambda: self, sock=self._sock)
        )
        try:
            await asyncio.shield(beginning)
            if self._tls is not None:
                await self._shake_hands(self._tls, timeout)
        except BaseException:
            beginning.add_done_callback(lambda _: self.close())
            raise

    def write(
        self, head: bytes, body: bytes, reader: ResponseReader, timeout: float | None
    ) -> None:
        """Begin to write a request; reading goes on with it.

        Silence may last ``timeout`` seconds, here and in the reads after it.
        """
        self._reader = reader
        self._timeout = timeout
        self._acknowledged = acknowledged(self._sock) if self._is_used else None
        self._is_used = True
        if len(body) <= CHUNK:
            head += body  # in one write
            body = b""
        self._send(head if self._tls is None else self._tls.encrypt(head))
        self._unwritten = memoryview(body)

    async def read_head(self) -> None:
        """Wait for the head of the answer; see ``read_whole`` for the errors."""
        await self._until(lambda reader: reader.status > 0)

    async def read_more(self) -> None:
        """Wait for more of the payload, or its end; see ``read_whole`` for the errors."""
        await self._until(lambda reader: bool(self._chunks) or reader.is_whole)

    async def read_whole(self) -> None:
        """Wait for the whole answer.

        Raises:
            NeverDeliveredError: A kept connection was dead before the request came.
            PayloadError: The payload is larger than the reader's limit.
            OSError: Nothing came in time, the connection broke, or it is not HTTP/1.1.
        """
        await self._until(lambda reader: reader.is_whole)

    def taken(self) -> list[bytes]:
        """Return the chunks of payload that came since the last call."""
        chunks, self._chunks = self._chunks, []
        self._unread = 0
        return chunks

    def can_be_kept(self, reader: ResponseReader) -> bool:
        """Return True if it can carry another request after this answer, which it forgets."""
        self._reader = None
        self._chunks = []
        self._unread = 0
        if self._is_paused:
            self._go_on_reading()
        return (
            reader.is_whole
            and not self._unwritten
            and self._error is None
            and not (self._is_blocked or reader.will_close or reader.has_surplus)
            and not (self._tls is not None and (self._tls.has_unread or self._tls.is_ended))
        )

    def is_stale(self) -> bool:
        """Return True if the peer closed it, or sent anything, while it was idle."""
        return self._error is not None or self._is_readable()

    def close(self) -> None:
        """Close it at once, from any thread, also of a forked child."""
        if self._error is None:
            self._error = ConnectionAbortedError("the connection was closed")
        if self._transport is None or self.pid != os.getpid() or self._loop.is_closed():
            self._sock.close()
            return
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            self._abort()
        else:
            with suppress(RuntimeError):  # the loop was closed meanwhile, and the socket with it
                self._loop.call_soon_threadsafe(self._abort)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the loop's transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what the peer sent."""
        try:
            if self._tls is not None:
                if self._is_handshaking:
                    self._go_on_shaking_hands(data)
                    return
                data = self._tls.decrypt(data)
            self._take(data)
            if self._tls is not None and self._tls.is_ended:
                self._end()
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            self._fail(error)

    def eof_received(self) -> None:
        """Take note that the peer sends no more."""
        try:
            if self._tls is not None:
                if self._is_handshaking:
                    self._go_on_shaking_hands(b"")
                    return
                if not self._tls.is_ended:
                    self._take(self._tls.decrypt(b""))
            self._end()
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection has ended."""
        if self._error is not None:
            return
        with suppress(OSError):  # what was sent before a reset can still be read: a 413
            while self._error is None and (data := self._sock.recv(CHUNK)):
                self.data_received(data)
        self._fail(exc or ConnectionAbortedError("the connection ended"))

    def pause_writing(self) -> None:
        """Take note that the peer takes less than is written."""
        self._is_blocked = True

    def resume_writing(self) -> None:
        """Take note that the peer has taken what was written."""
        self._is_blocked = False
        self._wake()

    async def _until(self, is_enough: Callable[[ResponseReader], bool]) -> None:
        reader = self._reader
        if reader is None:
            raise ConnectionAbortedError("the answer was ended")
        while not is_enough(reader):
            if self._error is not None:
                raise self._error
            if self._is_paused:
                self._go_on_reading()
            is_taken = not (self._is_blocked or reader.has_begun or self._transport.is_closing())
            if self._unwritten and is_taken:
                chunk, self._unwritten = self._unwritten[:CHUNK], self._unwritten[CHUNK:]
                self._send(chunk if self._tls is None else self._tls.encrypt(chunk))
            else:
                await self._wait()

    def _go_on_reading(self) -> None:
        self._is_paused = False
        self._transport.resume_reading()

    def _send(self, data: bytes | memoryview) -> None:
        """Send, unless the connection has ended: uvloop refuses that, and what ended it comes."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def _shake_hands(self, tls: TlsSession, timeout: float | None) -> None:
        deadline = None if timeout is None else self._loop.time() + timeout
        self._is_handshaking = not tls.shake_hands()
        self._send(tls.to_send())
        while True:
            if self._error is not None:
                raise self._error
            if not self._is_handshaking:
                return
            self._timeout = None if deadline is None else deadline - self._loop.time()
            await self._wait()

    def _go_on_shaking_hands(self, data: bytes) -> None:
        tls = self._tls
        if tls is None:
            return
        try:
            self._is_handshaking = not tls.shake_hands(data)
        finally:
            self._send(tls.to_send())  # also the alert that tells the peer why
        self._wake()

    def _take(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            if data:
                raise ConnectionError("the peer spoke unasked")
            return
        chunks = reader.feed(data)
        self._chunks.extend(chunks)
        self._unread += sum(map(len, chunks))
        if self._unread > _MOST_UNREAD and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def _end(self) -> None:
        if self._reader is not None and not self._reader.is_whole:
            self._reader.end()
            self._wake()
        else:
            raise ConnectionAbortedError("the peer closed the connection")

    def _fail(self, error: Exception) -> None:
        """Close it, and keep the error for whoever waits for the answer."""
        if self._error is None:
            if self._reader is not None and isinstance(error, OSError):
                error = ended(self._reader, self._sock, self._acknowledged, error)
            self._error = error
        if not self._transport.is_closing():
            self._abort()
        self._wake()

    def _abort(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        """Wait for bytes, the end, or room to write."""
        self._waiter = self._loop.create_future()
        if self._timeout is not None:
            self._deadline = self._loop.time() + self._timeout
            if self._timer is None or self._timer.when() > self._deadline:
                self._set_timer()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        """End a silence that lasts too long; one timer serves many calls."""
        self._timer = None
        if self._waiter is None or self._timeout is None:
            return
        if self._loop.time() < self._deadline:
            self._set_timer()
        else:
            self._fail(TimeoutError("the peer was silent"))
