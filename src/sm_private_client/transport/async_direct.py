"""AsyncDirectTransport: what ``DirectTransport`` does, for asyncio."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, Any

from sm_private_client.routing.deadlines import SingleFlight
from sm_private_client.transport.connection import NeverDeliveredError
from sm_private_client.transport.direct import (
    BaseDirectTransport,
    BaseHttpStream,
    failure_of,
    response_of,
)
from sm_private_client.transport.http11 import FIRST_ERROR, ResponseReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from botocore.exceptions import HTTPClientError

    from sm_private_client.transport.async_connection import AsyncConnection
    from sm_private_client.transport.direct import Routes, Upstream
    from sm_private_client.transport.http11 import HttpRequest, HttpResponse
    from sm_private_client.transport.pool import ConnectionPool

__all__ = ["AsyncDirectTransport", "AsyncHttpStream"]


class AsyncDirectTransport(BaseDirectTransport["AsyncConnection"]):
    """``DirectTransport`` for asyncio: its errors, its limits, its pool policy.

    Connections belong to the event loop that made them. A thread that all calls share decides the
    route, loads the CA bundle and refreshes credentials.

    Args:
        routes: See ``BaseDirectTransport``.
        refresh_is_due: Return True if asking for the credentials may take I/O.
        **options: See ``BaseDirectTransport``.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        refresh_is_due: Callable[[], bool] = lambda: False,
        **options: Any,  # noqa: ANN401 - see the base
    ) -> None:
        super().__init__(routes, **options)
        self._refresh_is_due = refresh_is_due
        self._credentials = options["credentials"]
        self._shared = SingleFlight()

    async def send(
        self, request: HttpRequest, *, timeout: float | None, limit: int | None = None
    ) -> HttpResponse:
        """Send a request and read the whole answer; see ``DirectTransport.send``."""
        response = await self._response(request, timeout, limit)
        if self._signer.is_corrected_by(response):
            response = await self._response(request, timeout, limit)
        return response

    async def stream(
        self, request: HttpRequest, *, timeout: float | None, limit: int | None = None
    ) -> AsyncHttpStream:
        """Send a request and return the answer once its head has come, an error's whole."""
        stream = await self._stream(request, timeout, limit)
        if stream.status >= FIRST_ERROR and self._signer.is_corrected_by(await stream.whole()):
            stream = await self._stream(request, timeout, limit)
            if stream.status >= FIRST_ERROR:
                await stream.whole()
        return stream

    async def close(self) -> None:
        """Close every idle connection; the transport can be used again."""
        if self._upstream is not None:
            self._upstream.close()
            await asyncio.sleep(0)  # the loop closes sockets in its next turn

    async def _reached(self) -> Upstream[AsyncConnection]:
        """Return the upstream of the route that is known now, or is decided now."""
        dialer = self._routes.known()
        upstream = self._upstream
        if upstream is None or upstream.dialer is not dialer:
            upstream = await self._shared.run("route", self._reach, what="deciding a route")
        return upstream

    async def _response(
        self, request: HttpRequest, timeout: float | None, limit: int | None
    ) -> HttpResponse:
        reader = ResponseReader(limit=limit)
        _, connection, chunks, pool = await self._exchange(request, timeout, reader, whole=True)
        pool.give(connection, reader)
        return response_of(reader, chunks, connection.availability_zone)

    async def _stream(
        self, request: HttpRequest, timeout: float | None, limit: int | None
    ) -> AsyncHttpStream:
        reader = ResponseReader(limit=limit, only_errors=True)
        return AsyncHttpStream(reader, *await self._exchange(request, timeout, reader, whole=False))

    async def _exchange(
        self, request: HttpRequest, timeout: float | None, reader: ResponseReader, *, whole: bool
    ) -> tuple[str, AsyncConnection, list[bytes], ConnectionPool[AsyncConnection]]:
        """Send a request; wait for the whole answer, or for its head."""
        upstream = await self._reached()
        if self._refresh_is_due():  # it may take seconds, and others are in flight in this loop
            await self._shared.run("keys", self._credentials, what="refreshing credentials")
        connector = upstream.connector
        url, head = self._signed(request, connector, upstream.dialer.route.region)
        loop = asyncio.get_running_loop()
        pool = upstream.pools.get(loop)
        if pool is None:
            pool = await upstream.pool_in(loop)
        connection = pool.take()
        while True:
            if connection is None:
                connection = await connector.connect_async(url)
            try:
                connection.counters.called()
                connection.write(head, request.body, reader, timeout)
                await (connection.read_whole() if whole else connection.read_head())
            except NeverDeliveredError:
                connection.close()
                connection = None  # and again, on a fresh one
                continue
            except OSError as error:
                connection.close()
                failure = failure_of(url, error)
            except BaseException:  # cancelled, too: its answer is nobody's
                connection.close()
                raise
            else:
                return url, connection, connection.taken(), pool
            raise failure  # here, so that nothing of the exchange is its context


class AsyncHttpStream(BaseHttpStream["AsyncConnection"]):
    """``HttpStream`` for asyncio; its connection is closed if it is dropped."""

    def __init__(
        self,
        reader: ResponseReader,
        url: str,
        connection: AsyncConnection,
        chunks: list[bytes],
        pool: ConnectionPool[AsyncConnection],
    ) -> None:
        super().__init__(reader, url, connection, chunks, pool)
        self._dropped = weakref.finalize(self, connection.close)
        self._dropped.atexit = False  # the process's end closes its connections itself

    async def whole(self) -> HttpResponse:
        """Read all of it; ``chunks`` yields it once more.

        Raises:
            ReadTimeoutError, ConnectionClosedError, PayloadError: See ``DirectTransport``.
        """
        self._chunks = [chunk async for chunk in self.chunks()]
        return response_of(self._reader, self._chunks, self.availability_zone)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the payload as it arrives; nothing more after ``close``.

        Raises:
            ReadTimeoutError, ConnectionClosedError, PayloadError: See ``DirectTransport``.
        """
        connection = self._connection
        failure: HTTPClientError | None = None
        try:
            chunks, self._chunks = self._chunks, []
            for chunk in chunks:
                yield chunk
            while self._connection is not None and connection is not None:
                if connection.pid != os.getpid():
                    raise ConnectionAbortedError("the answer belongs to the parent process")
                chunks = connection.taken()
                for chunk in chunks:
                    yield chunk
                if chunks:
                    continue
                if self._reader.is_whole:
                    self._dropped.detach()
                    self._connection = None
                    self._pool.give(connection, self._reader)
                    return
                await connection.read_more()
        except OSError as error:
            failure = failure_of(self._url, error)
        finally:
            await self.close()
        if failure is not None:
            raise failure

    async def close(self) -> None:
        """End it; the connection is closed unless the payload was read to its end."""
        self._dropped.detach()
        self._end()
