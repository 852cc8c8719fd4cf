"""DirectTransport: signed HTTP/1.1 over Dialer connections, pooled, with the standard library.

One prepared block goes out in one write, and connections are kept last in, first out. Nothing is
retried here; what is raised says whether anything was sent.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError

from sm_private_client.transport.connection import Connection
from sm_private_client.transport.connector import Connector, Origin
from sm_private_client.transport.http import HttpResponse
from sm_private_client.transport.outgoing import Outgoing
from sm_private_client.transport.pool import ConnectionPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

    from sm_private_client.transport.answers import Answer
    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.http import HttpRequest, HttpStream
    from sm_private_client.transport.signing import Credentials, Signer

__all__ = ["DirectTransport", "WholeStream"]

_FIRST_UNUSUAL: Final = 300
"""A status from here on has no event stream; its payload is small and read at once."""


class DirectTransport:
    """Implements ``HttpTransport`` with the standard library; safe between threads and forks.

    A forked child never uses its parent's connections: it makes its own.

    Args:
        connector: Connects to the origin.
        outgoing: Signs requests to it.
        max_idle: Connections that are kept while idle; those in use are not bounded.
        is_suspect: Whether a zone is held to have failed; its idle connections are not used.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        connector: Connector,
        outgoing: Outgoing,
        *,
        max_idle: int,
        is_suspect: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._origin = connector.origin
        self._connector = connector
        self._outgoing = outgoing
        self._pool = ConnectionPool(max_idle=max_idle, is_suspect=is_suspect, clock=clock)

    @classmethod
    def to(
        cls,
        dialer: Dialer,
        *,
        url: str,
        signer: Signer,
        credentials: Callable[[], Credentials | None],
        bundle: bool | str,
        client_cert: str | tuple[str, str] | None = None,
        connect_timeout: float | None = 5.0,
        max_idle: int = 50,
        user_agent: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> DirectTransport:
        """Makes one to a URL.

        Args:
            dialer: Judges and connects; its route says whether http is allowed.
            url: The endpoint URL; its path is not looked at.
            signer: For the region and service.
            credentials: Asked for each request; ``None``: there are none.
            bundle: The path of a CA bundle, or ``True`` for botocore's own.
            client_cert: As in botocore's ``Config``.
            connect_timeout: Seconds for look-up, connection and handshake together; ``None`` waits.
            max_idle: Connections that are kept while idle; those in use are not bounded.
            user_agent: The value of ``User-Agent``.
            clock: Monotonic seconds.
            now: This machine's seconds since the epoch.

        Raises:
            ConfigurationError: The URL, the bundle or the client certificate cannot be used.
        """
        origin = Origin.of(url, is_local=dialer.route.is_local)
        connector = Connector(
            dialer,
            origin,
            bundle=bundle,
            client_cert=client_cert,
            timeout=connect_timeout,
            clock=clock,
        )
        outgoing = Outgoing(
            authority=origin.authority,
            signer=signer,
            credentials=credentials,
            user_agent=user_agent,
            now=now,
        )
        return cls(
            connector, outgoing, max_idle=max_idle, is_suspect=dialer.is_suspect, clock=clock
        )

    def __repr__(self) -> str:
        return (
            f"DirectTransport(host={self._origin.host!r}, engine='built-in', "
            f"idle={len(self._pool)})"
        )

    def send(self, request: HttpRequest, *, timeout: float | None) -> HttpResponse:
        """Sends a request and reads the whole answer; see ``HttpTransport``.

        Where an answer says that our clock is off, the clock is set and the request is signed
        and sent once more, as botocore does.
        """
        answer = self._begin(request, timeout).whole()
        if self._outgoing.clock.corrected_by(answer):
            answer = self._begin(request, timeout).whole()
        return answer

    def stream(self, request: HttpRequest, *, timeout: float | None) -> HttpStream:
        """Sends a request and gives the answer once its head has come; see ``HttpTransport``.

        The answer of an error has come whole.
        """
        stream = self._begin(request, timeout)
        if stream.status < _FIRST_UNUSUAL:
            return stream
        answer = stream.whole()
        if self._outgoing.clock.corrected_by(answer):
            return self._begin(request, timeout)
        return WholeStream(answer)

    def close(self) -> None:
        """Closes every idle connection; the transport can be used again."""
        self._pool.close()

    def _begin(self, request: HttpRequest, timeout: float | None) -> _DirectStream:
        url = self._origin.url(request.path)
        headers = self._outgoing.headers(request)
        headers.append(("Content-Length", str(len(request.body))))
        lines = "\r\n".join([f"{name}: {value}" for name, value in headers])
        head = f"{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n\r\n".encode("ascii")
        connection = self._pool.take()
        if connection is None:
            connection = Connection(*self._connector.connect(url))
        with _Failing(url, connection) as failing:
            connection.set_timeout(timeout)
            connection.write(head, request.body)
            connection.tally.called()
            return _DirectStream(url, connection, connection.read_head(), self._pool)
        raise failing.error


class _DirectStream:
    """Implements ``HttpStream`` over one connection."""

    def __init__(
        self,
        url: str,
        connection: Connection,
        answer: Answer,
        pool: ConnectionPool,
    ) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.availability_zone = connection.availability_zone
        self._url = url
        self._answer = answer
        self._pool = pool
        self._connection: Connection | None = connection

    def whole(self) -> HttpResponse:
        """Reads all of it."""
        connection = self._using()
        with _Failing(self._url, connection) as failing:
            body = self._answer.read()
            self._end(connection)
            return HttpResponse(
                status=self.status,
                headers=self.headers,
                body=body,
                availability_zone=self.availability_zone,
            )
        raise failing.error

    def chunks(self) -> Iterator[bytes]:
        """Gives the payload as it arrives; one that was ended has no more."""
        if self._connection is None:
            return
        connection = self._using()
        try:
            with _Failing(self._url, connection) as failing:
                for piece in self._answer.pieces():
                    yield piece
                    self._using()  # a forked child would read what is its parent's
                self._end(connection)
                return
        finally:
            self.close()
        raise failing.error

    def close(self) -> None:
        """Ends it; the connection is closed unless the payload was read to its end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _using(self) -> Connection:
        if self._connection is None or self._connection.pid != os.getpid():
            raise ConnectionClosedError(
                endpoint_url=self._url,
                error=ConnectionError("the answer was ended, or belongs to the parent process"),
            )
        return self._connection

    def _end(self, connection: Connection) -> None:
        self._connection = None
        if connection.can_be_kept(self._answer):
            self._pool.give(connection)
        else:
            connection.close()


class WholeStream:
    """Implements ``HttpStream`` for an answer that has come whole."""

    def __init__(self, answer: HttpResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.availability_zone = answer.availability_zone
        self._left = answer.body

    def chunks(self) -> Iterator[bytes]:
        """Gives the payload in one piece."""
        body, self._left = self._left, b""
        if body:
            yield body

    def close(self) -> None:
        """Does nothing: no connection is held."""


class _Failing:
    """Closes a connection on whatever goes wrong in a block, and makes botocore's error of it.

    The error is to be raised after the block, so that nothing of the block is its context.
    """

    error: HTTPClientError

    def __init__(self, url: str, connection: Connection) -> None:
        self._url = url
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if error is None:
            return False
        self._connection.close()
        if isinstance(error, TimeoutError):
            self.error = ReadTimeoutError(endpoint_url=self._url, error=error)
            return True
        if isinstance(error, OSError):
            self.error = ConnectionClosedError(endpoint_url=self._url, error=error)
            return True
        return False
