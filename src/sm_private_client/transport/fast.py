"""FastTransport, AsyncFastTransport: the direct path over pyreqwest (extra ``fast``).

What differs from ``DirectTransport``:

- pyreqwest trusts the system's authorities besides our bundle, and has no way not to. A pin is
  only made after a handshake that was verified against the bundle alone; see ``pinning``.
- It sends ``Accept: */*`` where a request has no ``Accept``; that is what none means (RFC 9110,
  12.5.1). It is not signed.
- The read time-out also runs while connecting and while the body is written.
- Where a peer answers before it took all of a large body, and closes at once, the answer can be
  lost: ``ConnectionClosedError``.
- Response streams of ``FastTransport`` are carried by ``DirectTransport`` all the same.
- pyreqwest cannot run in a process that was forked after it had been used. There
  ``DirectTransport`` carries the calls, and the repr says so.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import ConnectionClosedError

from sm_private_client.transport.direct import WholeStream
from sm_private_client.transport.fast_engine import NEVER_SENT, FastEngine
from sm_private_client.transport.http import HttpResponse

# isort: split
# After fast_engine, which says what to install where these are missing.
from pyreqwest.client import Client, ClientBuilder, SyncClient, SyncClientBuilder
from pyreqwest.exceptions import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from botocore.exceptions import BotoCoreError
    from pyreqwest.request import (
        RequestBuilder,
        StreamRequest,
        SyncRequestBuilder,
    )
    from pyreqwest.response import Response

    from sm_private_client.transport.http import AsyncHttpStream, HttpRequest, HttpStream

    Failed = partial[BotoCoreError]  # of FastEngine.failed, which lacks the error only

__all__ = ["AsyncFastTransport", "FastTransport"]

_FIRST_UNUSUAL: Final = 300
"""A status from here on has no event stream; its payload is small and read at once."""

_Sent = TypeVar("_Sent")


class FastTransport(FastEngine[SyncClient]):
    """Implements ``HttpTransport`` with pyreqwest; safe between threads and forks.

    The arguments are those of ``DirectTransport.to``, and ``refresh_is_due``, which says whether
    asking for the credentials may take I/O: that is then done in a thread.

    Requests go to one judged address at a time, our own zone's first. It is looked up and judged
    again at least every 30 s, and left where it is not private any more, its zone failed, or a
    better zone is back. Where it is not reached within half the connect time-out, the Dialer is
    asked once more, with its own budget, and the request is sent to the address that it got to.

    Raises:
        ConfigurationError: The URL, the bundle or the client certificate cannot be used.
    """

    name = "FastTransport"

    def builder(self) -> SyncClientBuilder:
        """Begins a client."""
        return SyncClientBuilder()

    def send(self, request: HttpRequest, *, timeout: float | None) -> HttpResponse:
        """Sends a request and reads the whole answer; see ``DirectTransport.send``."""
        if (direct := self.fallback()) is not None:
            return direct.send(request, timeout=timeout)
        answer = self._sent(request, timeout, _read)
        if self.outgoing.clock.corrected_by(answer):
            answer = self._sent(request, timeout, _read)
        return answer

    def stream(self, request: HttpRequest, *, timeout: float | None) -> HttpStream:
        """Sends a request and gives the answer's head; see ``DirectTransport.stream``.

        ``DirectTransport`` carries it: pyreqwest hands every piece over from a thread of its own,
        which costs more than it saves (``benchmarks``, stream of 1,000 parts).
        """
        return self.direct.stream(request, timeout=timeout)

    def close(self) -> None:
        """Closes every idle connection; the transport can be used again."""
        self.forget()

    def _sent(
        self,
        request: HttpRequest,
        timeout: float | None,
        send: Callable[[SyncRequestBuilder, str | None, Failed], _Sent],
    ) -> _Sent:
        url = self.origin.url(request.path)
        headers = self.headers(request)
        again = True
        while True:
            pin = self.pins.ready() or self.pins.renewed(url)
            client = self.pins.client(pin, timeout)
            building = client.request(request.method, url).headers(headers)
            building = building.body_bytes(request.body)
            failed = partial(self.failed, url=url, pin=pin)
            pin.tally.called()
            try:
                return send(building, pin.availability_zone, failed)
            except RequestError as error:
                failure = failed(error)
                if not (again and isinstance(failure, NEVER_SENT)):
                    raise failure from error
            again = False


class AsyncFastTransport(FastEngine[Client]):
    """Implements ``AsyncHttpTransport`` with pyreqwest; see ``FastTransport``.

    Looking up, judging and the first handshake are done in a thread; so is everything in a
    process that was forked after pyreqwest had been used.
    """

    name = "AsyncFastTransport"

    def builder(self) -> ClientBuilder:
        """Begins a client."""
        return ClientBuilder()

    async def send(
        self,
        request: HttpRequest,
        *,
        timeout: float | None,
    ) -> HttpResponse:
        """Sends a request and reads the whole answer; see ``DirectTransport.send``."""
        if (direct := self.fallback()) is not None:
            return await asyncio.to_thread(direct.send, request, timeout=timeout)
        answer = await self._sent(request, timeout, _read_async)
        if self.outgoing.clock.corrected_by(answer):
            answer = await self._sent(request, timeout, _read_async)
        return answer

    async def stream(
        self,
        request: HttpRequest,
        *,
        timeout: float | None,
    ) -> AsyncHttpStream:
        """Sends a request and gives the answer's head; see ``DirectTransport.stream``."""
        if (direct := self.fallback()) is not None:
            return _ThreadedStream(await asyncio.to_thread(direct.stream, request, timeout=timeout))
        stream = await self._sent(request, timeout, _open_async)
        if stream.status < _FIRST_UNUSUAL:
            return stream
        answer = stream.whole(b"".join([chunk async for chunk in stream.chunks()]))
        if self.outgoing.clock.corrected_by(answer):
            return await self._sent(request, timeout, _open_async)
        return _ThreadedStream(WholeStream(answer))

    async def close(self) -> None:
        """Closes every idle connection; the transport can be used again."""
        self.forget()

    async def _sent(
        self,
        request: HttpRequest,
        timeout: float | None,
        send: Callable[[RequestBuilder, str | None, Failed], Awaitable[_Sent]],
    ) -> _Sent:
        url = self.origin.url(request.path)
        if self.refresh_is_due():  # it may take seconds, and others are in flight in this loop
            headers = await asyncio.to_thread(self.headers, request)
        else:
            headers = self.headers(request)
        again = True
        while True:
            pin = self.pins.ready()
            if pin is None:
                pin = await asyncio.to_thread(self.pins.renewed, url)
            client = self.pins.client(pin, timeout)
            building = client.request(request.method, url).headers(headers)
            building = building.body_bytes(request.body)
            failed = partial(self.failed, url=url, pin=pin)
            pin.tally.called()
            try:
                return await send(building, pin.availability_zone, failed)
            except RequestError as error:
                failure = failed(error)
                if not (again and isinstance(failure, NEVER_SENT)):
                    raise failure from error
            again = False


def _read(building: SyncRequestBuilder, zone: str | None, _: Failed) -> HttpResponse:
    answer = building.build().send()
    return HttpResponse(
        status=answer.status,
        headers=dict(answer.headers),
        body=answer.bytes().to_bytes(),
        availability_zone=zone,
    )


async def _read_async(building: RequestBuilder, zone: str | None, _: Failed) -> HttpResponse:
    answer = await building.build().send()
    return HttpResponse(
        status=answer.status,
        headers=dict(answer.headers),
        body=(await answer.bytes()).to_bytes(),
        availability_zone=zone,
    )


async def _open_async(building: RequestBuilder, zone: str | None, failed: Failed) -> _AsyncStream:
    sending = building.streamed_read_buffer_limit(0).build_streamed()
    return _AsyncStream(sending, await sending.__aenter__(), zone, failed)  # left by close()


class _AsyncStream:
    """Implements ``AsyncHttpStream``."""

    def __init__(
        self, sending: StreamRequest, answer: Response, zone: str | None, failed: Failed
    ) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = dict(answer.headers)
        self.availability_zone = zone
        self._failed = failed
        self._answer = answer
        self._sending: StreamRequest | None = sending
        self._pid = os.getpid()
        self._dropped = weakref.finalize(self, _leave, sending, self._pid)
        self._dropped.atexit = False  # the process's end closes its connections itself

    @property
    def _is_inherited(self) -> bool:
        return self._pid != os.getpid()

    def whole(self, body: bytes) -> HttpResponse:
        """Gives the answer with all of its payload."""
        return HttpResponse(
            status=self.status,
            headers=self.headers,
            body=body,
            availability_zone=self.availability_zone,
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """Gives the payload as it arrives; one that was ended has no more."""
        try:
            while self._sending is not None:
                if self._is_inherited:
                    raise ConnectionClosedError(
                        endpoint_url=self._failed.keywords["url"],
                        error=ConnectionError("the answer belongs to the parent process"),
                    )
                try:
                    chunk = await self._answer.body_reader.read_chunk()
                except RequestError as error:
                    raise self._failed(error) from error
                if chunk is None:
                    return
                yield chunk.to_bytes()
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends it; the connection is closed unless the payload was read to its end."""
        sending, self._sending = self._sending, None
        self._dropped.detach()
        if sending is not None and not self._is_inherited:
            await sending.__aexit__(None, None, None)


def _leave(sending: StreamRequest, pid: int) -> None:
    """Closes the connection of a stream that nobody holds any more.

    Until the peer says something pyreqwest keeps it. It is closed within the first step of the
    coroutine, for which no loop need run.
    """
    if pid == os.getpid():
        leaving = sending.__aexit__(None, None, None)
        with suppress(StopIteration):
            leaving.send(None)
        leaving.close()


class _ThreadedStream:
    """Implements ``AsyncHttpStream`` over an ``HttpStream``, reading it in a thread."""

    def __init__(self, stream: HttpStream) -> None:
        self.status = stream.status
        self.headers = stream.headers
        self.availability_zone = stream.availability_zone
        self._stream = stream

    async def chunks(self) -> AsyncIterator[bytes]:
        """Gives the payload as it arrives."""
        chunks = self._stream.chunks()
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    async def close(self) -> None:
        """Ends it."""
        self._stream.close()
