"""Verified connections to one origin through a Dialer, with botocore's errors."""

from __future__ import annotations

import re
import ssl
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    EndpointConnectionError,
    SSLError,
)

from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.connection import Connection
from sm_private_client.transport.tls import TlsSession, explain, verifying_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.async_connection import AsyncConnection
    from sm_private_client.transport.dialer import Dialer

__all__ = ["Connector", "Origin"]

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_CALL: Final = re.compile(r"/endpoints/[^/]+/(async-)?invocations")


class Origin(NamedTuple):
    """The parts of an endpoint URL."""

    scheme: str
    host: str  # an address has no brackets
    port: int
    path: str = ""  # the prefix of every request's path, such as /gateway

    @classmethod
    def of(cls, url: str, *, is_local: bool) -> Origin:
        """Parse an endpoint URL; that of a stand-in on this machine may have http.

        Raises:
            ConfigurationError: It has another scheme, or is the URL of a call.
        """
        parts = urlsplit(url)
        allowed = ("https", "http") if is_local else ("https",)
        if parts.scheme not in allowed or not parts.hostname:
            raise ConfigurationError(
                f"endpoint_url={url!r} cannot be called directly.",
                cause=f"the direct path takes {' or '.join(allowed)} here.",
                remedy="give a URL such as https://<DNS name of the VPC endpoint>.",
            )
        if _CALL.search(parts.path):
            raise ConfigurationError(
                f"endpoint_url={url!r} is the URL of a call.",
                cause="the path of each call is added to the endpoint URL.",
                remedy="leave out what begins with /endpoints/; the inference endpoint's name is "
                "the argument of predictor().",
            )
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
            path=parts.path.removesuffix("/"),
        )

    @property
    def authority(self) -> str:
        """The value of ``Host``; it has the port only if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Connector:
    """Connects to one origin; safe between threads.

    Args:
        dialer: Judges and connects.
        origin: Where to connect.
        bundle: The path of a CA bundle, or ``True`` for botocore's own.
        client_cert: As in botocore's ``Config``.
        timeout: Seconds for look-up, connection and handshake together; ``None`` waits for ever.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: The bundle or the client certificate cannot be used.
    """

    def __init__(
        self,
        dialer: Dialer,
        origin: Origin,
        *,
        bundle: bool | str,
        client_cert: str | tuple[str, str] | None = None,
        timeout: float | None = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dialer = dialer
        self.origin = origin
        self.authority = origin.authority
        self.base_url = f"{origin.scheme}://{origin.authority}"  # without a path
        self._bundle = bundle
        self._timeout = timeout
        self._clock = clock
        self._context = verifying_context(bundle, client_cert) if origin.scheme == "https" else None

    def connect(self, url: str) -> Connection:
        """Connect, for a call of this URL; nothing of it has been sent if this raises.

        Raises:
            PublicAddressError: The guard refused.
            ConnectTimeoutError: botocore's; no address answered, or shook hands, in time.
            SSLError: botocore's; the handshake failed, with what is known of the cause.
            EndpointConnectionError: botocore's; the name does not resolve, or no address answers.
        """
        started = self._clock()
        try:
            dialed = self._dialer.dial(self.origin.host, self.origin.port, timeout=self._timeout)
            connection = Connection(dialed, self._tls())
            try:
                connection.shake_hands(self._left(started))
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            failure, cause = self._failure(url, error), error
        else:
            return connection
        raise failure from cause

    async def connect_async(self, url: str) -> AsyncConnection:
        """Do what ``connect`` does, in the running event loop."""
        from sm_private_client.transport.async_connection import (  # noqa: PLC0415 - imports asyncio
            AsyncConnection,
        )

        started = self._clock()
        try:
            dialed = await self._dialer.dial_async(
                self.origin.host, self.origin.port, timeout=self._timeout
            )
            connection = AsyncConnection(dialed, self._tls())
            await connection.begin(self._left(started))
        except OSError as error:
            failure, cause = self._failure(url, error), error
        else:
            return connection
        raise failure from cause

    def _tls(self) -> TlsSession | None:
        return TlsSession(self._context, self.origin.host) if self._context else None

    def _left(self, started: float) -> float | None:
        return None if self._timeout is None else self._timeout - (self._clock() - started)

    def _failure(self, url: str, error: OSError) -> BotoCoreError:
        if isinstance(error, TimeoutError):
            return ConnectTimeoutError(endpoint_url=url, error=error)
        if isinstance(error, ssl.SSLError):
            explained = ssl.SSLError(explain(str(error), self._bundle))
            return SSLError(endpoint_url=url, error=explained)
        return EndpointConnectionError(endpoint_url=url, error=error)
