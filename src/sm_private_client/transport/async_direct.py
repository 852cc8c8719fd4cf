"""AsyncDirectTransport: what ``DirectTransport`` does, for asyncio."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, Any

from sm_private_client.routing.deadlines import SingleFlight
from sm_private_client.transport.connection import NeverDeliveredError
from sm_private_client.transport.direct import Exchanges, failure_of, response_of
from sm_private_client.transport.http11 import FIRST_ERROR, ResponseReader
from sm_private_client.transport.pool import ConnectionPool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from botocore.exceptions import HTTPClientError

    from sm_private_client.transport.async_connection import AsyncConnection
    from sm_private_client.transport.connector import Connector
    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.direct import Routes
    from sm_private_client.transport.http11 import HttpRequest, HttpResponse

__all__ = ["AsyncDirectTransport", "AsyncHttpStream"]


class _Upstream:
    """One route and the connections to it, a pool for each event loop."""

    def __init__(
        self, dialer: Dialer, connector: Connector, *, max_idle: int, clock: Callable[[], float]
    ) -> None:
        self.dialer = dialer
        self.connector = connector
        self._max_idle = max_idle
        self._clock = clock
        self.pools: dict[asyncio.AbstractEventLoop, ConnectionPool[AsyncConnection]] = {}
        self._closers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    async def new_pool(self) -> ConnectionPool[AsyncConnection]:
        """Make the pool of the running loop."""
        loop = asyncio.get_running_loop()
        for other in [known for known in (*self.pools,) if known.is_closed()]:
            self._drop(other)
        pool: ConnectionPool[AsyncConnection] = ConnectionPool(
            max_idle=self._max_idle, is_suspect=self.dialer.is_suspect, clock=self._clock
        )
        self.pools[loop] = pool
        closer = self._closers[loop] = self._closed_with(loop)
        await closer.asend(None)
        return pool

    async def _closed_with(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        """Close a loop's pool before the loop: ``asyncio.run`` ends every generator."""
        try:
            yield
        finally:
            self._drop(loop)

    def _drop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._closers.pop(loop, None)
        pool = self.pools.pop(loop, None)
        if pool is not None:
            pool.close()

    def close(self) -> None:
        """Close every idle connection."""
        for pool in (*self.pools.values(),):
            pool.close()

    @property
    def idle(self) -> int:
        """How many connections are idle, in all loops."""
        return sum(len(pool) for pool in (*self.pools.values(),))


class AsyncDirectTransport(Exchanges):
    """``DirectTransport`` for asyncio: its errors, its limits, its pool policy.

    Connections belong to the event loop that made them. Deciding the route, loading the CA bundle
    and refreshing credentials are done in a thread that all calls share.

    Args:
        routes: See ``Exchanges``.
        refresh_is_due: Return True if asking for the credentials may take I/O.
        **options: See ``Exchanges``.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        refresh_is_due: Callable[[], bool] = lambda: False,
        **options: Any,  # noqa: ANN401 - those of Predictor.stream
    ) -> None:
        super().__init__(routes, **options)
        self._refresh_is_due = refresh_is_due
        self._credentials = options["credentials"]
        self._upstream: _Upstream | None = None
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

    @property
    def _idle(self) -> int:
        return 0 if self._upstream is None else self._upstream.idle

    async def _reached(self) -> _Upstream:
        """Return the upstream of the route that is known now, or is decided now."""
        dialer = self._routes.known()
        upstream = self._upstream
        if upstream is None or upstream.dialer is not dialer:
            upstream = await self._shared.run("route", self._reach, what="deciding a route")
        return upstream

    def _reach(self) -> _Upstream:
        dialer = self._routes.known() or self._routes.decide()
        upstream = self._upstream
        if upstream is None or upstream.dialer is not dialer:
            if upstream is not None:
                upstream.close()
            upstream = self._upstream = _Upstream(
                dialer, self._connector(dialer), max_idle=self._max_idle, clock=self._clock
            )
        return upstream

    async def _response(
        self, request: HttpRequest, timeout: float | None, limit: int | None
    ) -> HttpResponse:
        reader = ResponseReader(limit=limit)
        _, connection, pool = await self._exchange(request, timeout, reader, whole=True)
        chunks = connection.taken()
        pool.give(connection, reader)
        return response_of(reader, chunks, connection.availability_zone)

    async def _stream(
        self, request: HttpRequest, timeout: float | None, limit: int | None
    ) -> AsyncHttpStream:
        reader = ResponseReader(limit=limit, only_errors=True)
        return AsyncHttpStream(reader, *await self._exchange(request, timeout, reader, whole=False))

    async def _exchange(
        self, request: HttpRequest, timeout: float | None, reader: ResponseReader, *, whole: bool
    ) -> tuple[str, AsyncConnection, ConnectionPool[AsyncConnection]]:
        """Send a request; wait for the whole answer, or for its head."""
        upstream = await self._reached()
        if self._refresh_is_due():  # it may take seconds, and others are in flight in this loop
            await self._shared.run("keys", self._credentials, what="refreshing credentials")
        connector = upstream.connector
        url, head = self._signed(request, connector, upstream.dialer.route.region)
        pool = upstream.pools.get(asyncio.get_running_loop())
        if pool is None:
            pool = await upstream.new_pool()
        connection = pool.take()
        while True:
            if connection is None:
                connection = await connector.connect_async(url)
            try:
                connection.tally.called()
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
                return url, connection, pool
            raise failure  # here, so that nothing of the exchange is its context


class AsyncHttpStream:
    """``HttpStream`` for asyncio; one that is dropped closes its connection."""

    def __init__(
        self,
        reader: ResponseReader,
        url: str,
        connection: AsyncConnection,
        pool: ConnectionPool[AsyncConnection],
    ) -> None:
        self.status = reader.status
        self.headers: Mapping[str, str] = reader.headers
        self.availability_zone = connection.availability_zone
        self._reader = reader
        self._url = url
        self._connection: AsyncConnection | None = connection
        self._chunks: list[bytes] = []
        self._pool = pool
        self._dropped = weakref.finalize(self, connection.close)
        self._dropped.atexit = False  # the process's end closes its connections itself

    async def whole(self) -> HttpResponse:
        """Read all of it; ``chunks`` gives it once more.

        Raises:
            ReadTimeoutError, ConnectionClosedError, PayloadError: See ``DirectTransport``.
        """
        self._chunks = [chunk async for chunk in self.chunks()]
        return response_of(self._reader, self._chunks, self.availability_zone)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the payload as it arrives; one that was ended has no more.

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
        self._chunks = []
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
