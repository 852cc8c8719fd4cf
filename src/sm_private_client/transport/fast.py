"""FastTransport, AsyncFastTransport: the direct path over pyreqwest (extra ``fast``).

What differs from ``DirectTransport``:

- pyreqwest trusts the system's authorities besides our bundle, and has no way not to. A pin is
  only made after a handshake that was verified against the bundle alone; see ``pinning``.
- It sends ``Accept: */*`` where a request has no ``Accept``; that is what none means (RFC 9110,
  12.5.1). It is not signed.
- The read time-out also runs while connecting and while the body is written.
- Where a peer answers before it took all of a large body, and closes at once, the answer can be
  lost: ``ConnectionClosedError``.
- pyreqwest cannot run in a process that was forked after it had been used. There
  ``http.client`` carries the calls, and the repr says so.
"""

from __future__ import annotations

import asyncio
import os
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
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from botocore.exceptions import BotoCoreError
    from pyreqwest.request import (
        RequestBuilder,
        StreamRequest,
        SyncRequestBuilder,
        SyncStreamRequest,
    )
    from pyreqwest.response import Response, SyncResponse

    from sm_private_client.transport.http import AsyncHttpStream, HttpRequest, HttpStream

    Failed = partial[BotoCoreError]  # of FastEngine.failed, which lacks the error only

__all__ = ["AsyncFastTransport", "FastTransport"]

_FIRST_UNUSUAL: Final = 300
"""A status from here on has no event stream; its payload is small and read at once."""

_Sent = TypeVar("_Sent")


class FastTransport(FastEngine[SyncClient]):
    """Implements ``HttpTransport`` with pyreqwest; safe between threads and forks.

    The arguments are those of ``DirectTransport``. Requests go to one judged address at a time,
    our own zone's first. It is looked up and judged again at least every 30 s, and left where it
    is not private any more, its zone failed, or a better zone is back. Where it is not reached
    within half the connect time-out, the Dialer is asked once more, with its own budget, and the
    request is sent to the address that it got to.

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
        """Sends a request and gives the answer's head; see ``DirectTransport.stream``."""
        if (direct := self.fallback()) is not None:
            return direct.stream(request, timeout=timeout)
        stream = self._sent(request, timeout, _FastStream)
        if stream.status < _FIRST_UNUSUAL:
            return stream
        answer = stream.whole(b"".join(stream.chunks()))
        if self.outgoing.clock.corrected_by(answer):
            return self._sent(request, timeout, _FastStream)
        return WholeStream(answer)

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


class _Head:
    """The head of an answer whose payload is read as it comes."""

    def __init__(self, answer: Response | SyncResponse, zone: str | None, failed: Failed) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = dict(answer.headers)
        self.availability_zone = zone
        self.failed = failed
        self._pid = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """Whether the connection is a parent process's."""
        return self._pid != os.getpid()

    def inherited(self) -> ConnectionClosedError:
        """Makes the error of reading it all the same."""
        error = ConnectionError("the answer belongs to the parent process")
        return ConnectionClosedError(endpoint_url=self.failed.keywords["url"], error=error)

    def whole(self, body: bytes) -> HttpResponse:
        """Gives the answer with all of its payload."""
        return HttpResponse(
            status=self.status,
            headers=self.headers,
            body=body,
            availability_zone=self.availability_zone,
        )


class _FastStream(_Head):
    """Implements ``HttpStream``."""

    def __init__(self, building: SyncRequestBuilder, zone: str | None, failed: Failed) -> None:
        sending = building.streamed_read_buffer_limit(0).build_streamed()
        self._answer = sending.__enter__()  # left by close()
        super().__init__(self._answer, zone, failed)
        self._sending: SyncStreamRequest | None = sending

    def chunks(self) -> Iterator[bytes]:
        """Gives the payload as it arrives; one that was ended has no more."""
        try:
            while self._sending is not None:
                if self.is_inherited:
                    raise self.inherited()
                try:
                    chunk = self._answer.body_reader.read_chunk()
                except RequestError as error:
                    raise self.failed(error) from error
                if chunk is None:
                    return
                yield chunk.to_bytes()
        finally:
            self.close()

    def close(self) -> None:
        """Ends it; the connection is closed unless the payload was read to its end."""
        sending, self._sending = self._sending, None
        if sending is not None and not self.is_inherited:
            sending.__exit__(None, None, None)


async def _open_async(building: RequestBuilder, zone: str | None, failed: Failed) -> _AsyncStream:
    sending = building.streamed_read_buffer_limit(0).build_streamed()
    return _AsyncStream(sending, await sending.__aenter__(), zone, failed)  # left by close()


class _AsyncStream(_Head):
    """Implements ``AsyncHttpStream``."""

    def __init__(
        self, sending: StreamRequest, answer: Response, zone: str | None, failed: Failed
    ) -> None:
        super().__init__(answer, zone, failed)
        self._answer = answer
        self._sending: StreamRequest | None = sending

    async def chunks(self) -> AsyncIterator[bytes]:
        """Gives the payload as it arrives; one that was ended has no more."""
        try:
            while self._sending is not None:
                if self.is_inherited:
                    raise self.inherited()
                try:
                    chunk = await self._answer.body_reader.read_chunk()
                except RequestError as error:
                    raise self.failed(error) from error
                if chunk is None:
                    return
                yield chunk.to_bytes()
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends it; the connection is closed unless the payload was read to its end."""
        sending, self._sending = self._sending, None
        if sending is not None and not self.is_inherited:
            await sending.__aexit__(None, None, None)


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
