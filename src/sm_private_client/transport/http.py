"""What the direct path sends and gets: plain HTTP records, and the seam both engines fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

__all__ = [
    "AsyncHttpStream",
    "AsyncHttpTransport",
    "HttpRequest",
    "HttpResponse",
    "HttpStream",
    "HttpTransport",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """One request, not signed yet.

    Attributes:
        method: The HTTP method.
        path: The path, percent-encoded as it goes on the wire.
        headers: Names and values, without ``Host``, ``Content-Length``, ``User-Agent`` and what
            the signature adds.
        body: The payload.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpResponse:
    """One whole answer.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case.
        body: The payload.
        availability_zone: The zone of the address that answered, ``None`` where not known.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    availability_zone: str | None = None


class HttpStream(Protocol):
    """An answer whose payload is read as it comes."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def availability_zone(self) -> str | None:
        """The zone of the address that answers."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Gives the payload as it arrives; ends with it.

        Raises:
            ReadTimeoutError, ConnectionClosedError: botocore's, as for ``HttpTransport.send``.
        """
        ...

    def close(self) -> None:
        """Ends it; a connection that was not read to the end is closed, not kept."""
        ...


class HttpTransport(Protocol):
    """Signs requests and sends them over guarded connections; safe between threads.

    What it raises is botocore's own: ``ConnectTimeoutError`` and ``EndpointConnectionError``
    (nothing was sent), ``SSLError`` (nothing was sent), ``ReadTimeoutError`` and
    ``ConnectionClosedError`` (the request may have been executed); and ``PublicAddressError``.
    It never retries.
    """

    def send(self, request: HttpRequest, *, timeout: float | None) -> HttpResponse:
        """Sends a request and reads the whole answer, whatever its status.

        Args:
            request: What to send.
            timeout: Seconds between two reads; ``None`` waits for ever.
        """
        ...

    def stream(self, request: HttpRequest, *, timeout: float | None) -> HttpStream:
        """Sends a request and gives the answer once its head has come."""
        ...

    def close(self) -> None:
        """Closes every idle connection; the transport can be used again."""
        ...


class AsyncHttpStream(Protocol):
    """``HttpStream`` for asyncio."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def availability_zone(self) -> str | None:
        """The zone of the address that answers."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Gives the payload as it arrives."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...


class AsyncHttpTransport(Protocol):
    """``HttpTransport`` for asyncio."""

    async def send(self, request: HttpRequest, *, timeout: float | None) -> HttpResponse:
        """Sends a request and reads the whole answer."""
        ...

    async def stream(self, request: HttpRequest, *, timeout: float | None) -> AsyncHttpStream:
        """Sends a request and gives the answer once its head has come."""
        ...

    async def close(self) -> None:
        """Closes every idle connection."""
        ...
