"""DirectTransport: signed HTTP/1.1 over Dialer connections, pooled, with the standard library.

One prepared block goes out in one write, and connections are kept last in, first out. Nothing is
retried here; an error says whether anything was sent.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError

from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.transport.connection import NeverDeliveredError
from sm_private_client.transport.connector import Connector, Origin
from sm_private_client.transport.http11 import FIRST_ERROR, HttpResponse, ResponseReader
from sm_private_client.transport.pool import ConnectionPool
from sm_private_client.transport.signing import RequestSigner

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from botocore.credentials import ReadOnlyCredentials

    from sm_private_client.transport.connection import BaseConnection, Connection
    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.http11 import HttpRequest

__all__ = [
    "BaseDirectTransport",
    "BaseHttpStream",
    "DirectTransport",
    "HttpStream",
    "Routes",
    "Upstream",
    "failure_of",
    "response_of",
]

C = TypeVar("C", bound="BaseConnection")


class Routes(Protocol):
    """Decides the route of a transport when it is first needed, and remembers it."""

    def known(self) -> Dialer | None:
        """Return the Dialer if the route is decided; no I/O."""
        ...

    def decide(self) -> Dialer:
        """Return the Dialer; deciding may take seconds.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: There is no route.
        """
        ...


class Upstream(Generic[C]):
    """One route and the idle connections to it."""

    def __init__(
        self, dialer: Dialer, connector: Connector, new_pool: Callable[[], ConnectionPool[C]]
    ) -> None:
        self.dialer = dialer
        self.connector = connector
        self.pool = new_pool()  # of threads
        self.pools: dict[asyncio.AbstractEventLoop, ConnectionPool[C]] = {}
        self._new_pool = new_pool
        self._closers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return sum(map(len, (self.pool, *self.pools.values())))

    def close(self) -> None:
        """Close every idle connection."""
        for pool in (self.pool, *self.pools.values()):
            pool.close()

    async def pool_in(self, loop: asyncio.AbstractEventLoop) -> ConnectionPool[C]:
        """Make the pool of the running loop."""
        for other in [known for known in (*self.pools,) if known.is_closed()]:
            self._drop(other)
        pool = self.pools[loop] = self._new_pool()
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


class BaseDirectTransport(Generic[C]):
    """What the transports for threads and for asyncio share: options, signing, the upstream.

    Args:
        routes: Called for each request; connections of an earlier Dialer are closed.
        credentials: Return those of a request, ``None`` if there are none.
        bundle: Return the path of a CA bundle, or ``True`` for botocore's own.
        client_cert: As in botocore's ``Config``.
        connect_timeout: Seconds for look-up, connection and handshake together; ``None`` waits.
        max_idle: The most connections that are kept while idle; those in use are not bounded.
        clock: Monotonic seconds.
        now: This machine's seconds since the epoch.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        service: str,
        credentials: Callable[[], ReadOnlyCredentials | None],
        bundle: Callable[[], bool | str],
        client_cert: str | tuple[str, str] | None = None,
        connect_timeout: float | None = 5.0,
        max_idle: int = 50,
        user_agent: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._routes = routes
        self._bundle = bundle
        self._client_cert = client_cert
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle
        self._clock = clock
        self._signer = RequestSigner(
            service=service, credentials=credentials, user_agent=user_agent, now=now
        )
        self._upstream: Upstream[C] | None = None
        self._lock = ForkableLock()

    def __repr__(self) -> str:
        dialer = self._routes.known()
        host = dialer.route.host if dialer else None
        idle = self._upstream.idle if self._upstream else 0
        return f"{type(self).__name__}(host={host!r}, idle={idle})"

    def _reach(self) -> Upstream[C]:
        """Return the upstream of the route that is known, or is decided now."""
        dialer = self._routes.known() or self._routes.decide()
        upstream = self._upstream
        if upstream is not None and upstream.dialer is dialer:
            return upstream
        with self._lock:
            upstream = self._upstream
            if upstream is None or upstream.dialer is not dialer:
                if upstream is not None:
                    upstream.close()
                upstream = self._upstream = self._connect_to(dialer)
        return upstream

    def _connect_to(self, dialer: Dialer) -> Upstream[C]:
        """Make the upstream of a route.

        Raises:
            ConfigurationError: The URL, the bundle or the client certificate cannot be used.
        """
        connector = Connector(
            dialer,
            Origin.of(dialer.route.endpoint_url, is_local=dialer.route.is_local),
            bundle=self._bundle(),
            client_cert=self._client_cert,
            timeout=self._connect_timeout,
            clock=self._clock,
        )
        new_pool = functools.partial(  # not a method of this: the two would be a circle
            ConnectionPool,
            max_idle=self._max_idle,
            is_suspect=dialer.is_suspect,
            clock=self._clock,
        )
        return Upstream(dialer, connector, new_pool)

    def _signed(self, request: HttpRequest, connector: Connector, region: str) -> tuple[str, bytes]:
        """Return the URL and the head of a request."""
        path = connector.origin.path + request.path
        head = self._signer.head(request, path=path, authority=connector.authority, region=region)
        return connector.base_url + path, head


class DirectTransport(BaseDirectTransport["Connection"]):
    """Signs requests and sends them over guarded connections; safe between threads and forks.

    Its errors are botocore's own: ``ConnectTimeoutError``, ``EndpointConnectionError`` and
    ``SSLError`` (nothing was sent), ``ReadTimeoutError`` and ``ConnectionClosedError`` (the
    request may have been executed); besides ``PublicAddressError``, ``PayloadError`` and the
    errors of deciding the route. It never retries, with two exceptions that are none: a request
    that was refused for our clock is sent once more by the service's, and one that a dead
    connection did not deliver is sent on a fresh one.

    A forked child never uses its parent's connections: it makes its own. For the arguments see
    ``BaseDirectTransport``.
    """

    def send(
        self, request: HttpRequest, *, timeout: float | None, limit: int | None = None
    ) -> HttpResponse:
        """Send a request and read the whole answer, whatever its status.

        ``timeout`` is in seconds of silence, ``limit`` the most bytes of payload; ``None``: any.
        """
        response = self._response(request, timeout, limit)
        if self._signer.is_corrected_by(response):
            response = self._response(request, timeout, limit)
        return response

    def stream(
        self, request: HttpRequest, *, timeout: float | None, limit: int | None = None
    ) -> HttpStream:
        """Send a request and return the answer once its head has come.

        The answer of an error is read whole, and the limit is for that only.
        """
        stream = self._stream(request, timeout, limit)
        if stream.status >= FIRST_ERROR and self._signer.is_corrected_by(stream.whole()):
            stream = self._stream(request, timeout, limit)
            if stream.status >= FIRST_ERROR:
                stream.whole()
        return stream

    def close(self) -> None:
        """Close every idle connection; the transport can be used again."""
        if self._upstream is not None:
            self._upstream.close()

    def _response(
        self, request: HttpRequest, timeout: float | None, limit: int | None
    ) -> HttpResponse:
        reader = ResponseReader(limit=limit)
        _, connection, chunks, pool = self._exchange(request, timeout, reader, whole=True)
        pool.give(connection, reader)
        return response_of(reader, chunks, connection.availability_zone)

    def _stream(self, request: HttpRequest, timeout: float | None, limit: int | None) -> HttpStream:
        reader = ResponseReader(limit=limit, only_errors=True)
        return HttpStream(reader, *self._exchange(request, timeout, reader, whole=False))

    def _exchange(
        self, request: HttpRequest, timeout: float | None, reader: ResponseReader, *, whole: bool
    ) -> tuple[str, Connection, list[bytes], ConnectionPool[Connection]]:
        """Send a request; read the whole answer, or its head and what came with it."""
        upstream = self._reach()
        connector, pool = upstream.connector, upstream.pool
        url, head = self._signed(request, connector, upstream.dialer.route.region)
        connection = pool.take()
        while True:
            if connection is None:
                connection = connector.connect(url)
            try:
                connection.counters.called()
                connection.write(head, request.body, timeout)
                chunks = connection.read(reader)
                while not (reader.is_whole if whole else reader.status):
                    chunks += connection.read(reader)
            except NeverDeliveredError:
                connection.close()
                connection = None  # and again, on a fresh one
                continue
            except OSError as error:
                connection.close()
                failure = failure_of(url, error)
            except BaseException:
                connection.close()
                raise
            else:
                return url, connection, chunks, pool
            raise failure  # here, so that nothing of the exchange is its context


class BaseHttpStream(Generic[C]):
    """An answer whose head has come.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case.
        availability_zone: The zone of the address that answers, ``None`` if not known.
    """

    def __init__(
        self,
        reader: ResponseReader,
        url: str,
        connection: C,
        chunks: list[bytes],
        pool: ConnectionPool[C],
    ) -> None:
        self.status = reader.status
        self.headers: Mapping[str, str] = reader.headers
        self.availability_zone = connection.availability_zone
        self._reader = reader
        self._url = url
        self._connection: C | None = connection
        self._chunks = chunks  # that came with the head
        self._pool = pool

    def _end(self) -> None:
        self._chunks = []
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class HttpStream(BaseHttpStream["Connection"]):
    """An answer whose payload is read as it comes."""

    def whole(self) -> HttpResponse:
        """Read all of it; ``chunks`` yields it once more.

        Raises:
            ReadTimeoutError, ConnectionClosedError, PayloadError: See ``DirectTransport``.
        """
        self._chunks = list(self.chunks())
        return response_of(self._reader, self._chunks, self.availability_zone)

    def chunks(self) -> Iterator[bytes]:
        """Yield the payload as it arrives; nothing more after ``close``.

        Raises:
            ReadTimeoutError, ConnectionClosedError, PayloadError: See ``DirectTransport``.
        """
        reader, connection = self._reader, self._connection
        failure: HTTPClientError | None = None
        try:
            chunks, self._chunks = self._chunks, []
            yield from chunks
            while self._connection is not None and connection is not None:
                if connection.pid != os.getpid():
                    raise ConnectionAbortedError("the answer belongs to the parent process")
                if reader.is_whole:
                    self._connection = None
                    self._pool.give(connection, reader)
                    return
                yield from connection.read(reader)
        except OSError as error:
            failure = failure_of(self._url, error)
        finally:
            self.close()
        if failure is not None:
            raise failure

    def close(self) -> None:
        """End it; the connection is closed unless the payload was read to its end."""
        self._end()


def response_of(
    reader: ResponseReader, chunks: list[bytes], availability_zone: str | None
) -> HttpResponse:
    """Return an answer that has come whole."""
    return HttpResponse(
        status=reader.status,
        headers=reader.headers,
        body=chunks[0] if len(chunks) == 1 else b"".join(chunks),
        availability_zone=availability_zone,
    )


def failure_of(url: str, error: OSError) -> HTTPClientError:
    """Return botocore's error for a request that was sent and not answered."""
    if isinstance(error, TimeoutError):
        return ReadTimeoutError(endpoint_url=url, error=error)
    return ConnectionClosedError(endpoint_url=url, error=error)
