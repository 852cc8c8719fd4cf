"""FastEngine: what the synchronous and the asynchronous transport over pyreqwest share."""

from __future__ import annotations

import os
import ssl
import time
from abc import ABC, abstractmethod
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path

from sm_private_client.errors import MissingExtraError
from sm_private_client.transport.connector import Connector, Origin
from sm_private_client.transport.dialer import (
    KEEPALIVE_IDLE,
    KEEPALIVE_INTERVAL,
    KEEPALIVE_PROBES,
)
from sm_private_client.transport.direct import DirectTransport
from sm_private_client.transport.outgoing import Outgoing
from sm_private_client.transport.pinning import Pins
from sm_private_client.transport.pool import IDLE_LIMIT
from sm_private_client.transport.tls import explain

try:
    from pyreqwest.client import Client, SyncClient
    from pyreqwest.exceptions import RequestError, RequestTimeoutError
except ModuleNotFoundError as missing:
    raise MissingExtraError("The fast engine of the direct path", extra="fast") from missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyreqwest.client import ClientBuilder, SyncClientBuilder

    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.http import HttpRequest
    from sm_private_client.transport.pinning import Pin
    from sm_private_client.transport.signing import Credentials, Signer

__all__ = ["NEVER_SENT", "FastEngine"]

NEVER_SENT: Final = (ConnectTimeoutError, EndpointConnectionError, SSLError)
"""The errors after which a request can be sent again, whatever it does."""

_CONNECTING: Final = "client error (Connect)"
"""hyper's words for what failed before a request was begun. pyreqwest's own ``ConnectError`` and
``ConnectTimeoutError`` are also raised for connections that break while the answer is awaited."""

_SHORTEST_TIMEOUT: Final = 0.001  # seconds

_Client = TypeVar("_Client", Client, SyncClient)


class FastEngine(ABC, Generic[_Client]):
    """What both transports are made of; see ``DirectTransport.to`` for the arguments.

    Attributes:
        origin: Where requests go.
        outgoing: Signs them.
        direct: Carries sync streams, and everything where pyreqwest cannot run.
        refresh_is_due: Whether asking for the credentials may take I/O.
        pins: The judged address and its clients.
    """

    name: ClassVar[str]

    def __init__(
        self,
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
        refresh_is_due: Callable[[], bool] = lambda: False,
    ) -> None:
        self.refresh_is_due = refresh_is_due
        self._dialer = dialer
        self.origin = Origin.of(url, is_local=dialer.route.is_local)
        self._connector = Connector(
            dialer,
            self.origin,
            bundle=bundle,
            client_cert=client_cert,
            timeout=connect_timeout,
            clock=clock,
        )
        self.outgoing = Outgoing(
            authority=self.origin.authority,
            signer=signer,
            credentials=credentials,
            user_agent=user_agent,
            now=now,
        )
        self.direct = DirectTransport(
            self._connector,
            self.outgoing,
            max_idle=max_idle,
            is_suspect=dialer.is_suspect,
            clock=clock,
        )
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle
        self._clock = clock
        self._bundle = bundle
        path = bundle if isinstance(bundle, str) else str(get_cert_path(True))
        self._authorities = Path(path).read_bytes()
        paths = (client_cert,) if isinstance(client_cert, str) else client_cert or ()
        self._identity = b"\n".join(Path(part).read_bytes() for part in paths)
        self._begin()

    def __repr__(self) -> str:
        engine = "pyreqwest" if self._runs_here else "built-in"
        pin = self.pins.pin
        address = pin.address if pin is not None else None
        return f"{self.name}(host={self.origin.host!r}, engine={engine!r}, address={address!r})"

    @abstractmethod
    def builder(self) -> ClientBuilder | SyncClientBuilder:
        """Begins a client."""

    def _build(self, target: tuple[str, int], timeout: float | None) -> _Client:
        builder = (
            self.builder()
            .http1_only()
            .no_proxy()
            .follow_redirects(False)
            .referer(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .https_only(self.origin.scheme == "https")
            .min_tls_version("TLSv1.2")
            .add_root_certificate_pem(self._authorities)
            .resolve(self.origin.host, *target)
            .pool_idle_timeout(timedelta(seconds=IDLE_LIMIT))
            .pool_max_idle_per_host(self._max_idle)
            .tcp_keepalive(timedelta(seconds=KEEPALIVE_IDLE))
            .tcp_keepalive_interval(timedelta(seconds=KEEPALIVE_INTERVAL))
            .tcp_keepalive_retries(KEEPALIVE_PROBES)
        )
        if self._identity:
            builder = builder.identity_pem(self._identity)
        if self._connect_timeout is not None:
            builder = builder.connect_timeout(timedelta(seconds=self._connect_timeout / 2))
        if timeout is not None:
            builder = builder.read_timeout(timedelta(seconds=max(timeout, _SHORTEST_TIMEOUT)))
        built: _Client = builder.build()
        return built

    def _begin(self) -> None:
        """Begins in this process: with pyreqwest, or without it where it cannot run."""
        self.pins: Pins[_Client] = Pins(
            self._dialer,
            self.origin,
            self._connector,
            build=self._build,
            lookup_timeout=self._connect_timeout,
            clock=self._clock,
        )
        try:
            self.builder().build()
            self._runs_here = True
        except RuntimeError:  # "A pyreqwest runtime was initialized before fork()"
            self._runs_here = False
        self._pid = os.getpid()

    def forget(self) -> None:
        """Closes every idle connection."""
        self.pins.drop()
        self.direct.close()

    def fallback(self) -> DirectTransport | None:
        """Gives what carries the calls where pyreqwest cannot."""
        if self._pid != os.getpid():
            self._begin()
        return None if self._runs_here else self.direct

    def headers(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Gives the headers of a request but Host, which pyreqwest sends itself."""
        headers = self.outgoing.headers(request)
        headers.append(("Content-Length", str(len(request.body))))
        return headers[1:]

    def failed(self, error: RequestError, url: str, pin: Pin[_Client]) -> BotoCoreError:
        """Makes botocore's error of pyreqwest's, and forgets a pin whose connection broke."""
        causes = [cause["message"] for cause in error.details["causes"] or ()]
        told = ConnectionError("; ".join(causes[1:]) or error.message)  # the first has the URL
        late = isinstance(error, RequestTimeoutError)
        if late and _CONNECTING not in causes:
            return ReadTimeoutError(endpoint_url=url, error=told)
        # Whatever broke: the Dialer finds out whether its zone still answers.
        self.pins.drop(pin)
        if _CONNECTING not in causes:
            return ConnectionClosedError(endpoint_url=url, error=told)
        if late:
            return ConnectTimeoutError(endpoint_url=url, error=told)
        if "(os error" in causes[-1]:
            return EndpointConnectionError(endpoint_url=url, error=told)
        explained = ssl.SSLError(explain(causes[-1], self._bundle))
        return SSLError(endpoint_url=url, error=explained)
