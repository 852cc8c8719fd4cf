"""Connector: verified connections to one origin through a Dialer, with botocore's errors."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    EndpointConnectionError,
    SSLError,
)

from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.tls import explain, verifying_context

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from sm_private_client.transport.dialer import Dialed, Dialer

__all__ = ["Connector", "Origin"]

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where requests go.

    Attributes:
        scheme: ``https`` or ``http``.
        host: The host name, or an address without brackets.
        port: The port.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str, *, is_local: bool) -> Origin:
        """Reads it from an endpoint URL, whose path is not looked at.

        Args:
            url: The endpoint URL.
            is_local: Whether the route leads to a stand-in on this machine.

        Raises:
            ConfigurationError: Not a URL of https, or of http where the route is local.
        """
        parts = urlsplit(url)
        allowed = ("https", "http") if is_local else ("https",)
        if parts.scheme not in allowed or not parts.hostname:
            raise ConfigurationError(
                f"endpoint_url={url!r} cannot be called directly.",
                cause=f"the direct path takes {' or '.join(allowed)} here.",
                remedy="give a URL such as https://<DNS name of the VPC endpoint>.",
            )
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
        )

    @property
    def authority(self) -> str:
        """The value of ``Host``: the port is in it only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def url(self, path: str = "") -> str:
        """Gives the URL of a path."""
        return f"{self.scheme}://{self.authority}{path}"


class Connector:
    """Connects to one origin; safe between threads.

    Args:
        dialer: Judges and connects.
        origin: Where to.
        bundle: The path of a CA bundle, or ``True`` for botocore's own.
        client_cert: As in botocore's ``Config``.
        timeout: Seconds for look-up, connection and handshake together; ``None`` waits for ever.
        clock: Monotonic seconds.

    Attributes:
        origin: Where to.

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
        self._bundle = bundle
        self._timeout = timeout
        self._clock = clock
        self._context = verifying_context(bundle, client_cert) if origin.scheme == "https" else None

    def connect(self, url: str) -> tuple[Dialed, socket.socket]:
        """Connects; nothing of a request has been sent where this raises.

        Args:
            url: What is called, for the errors.

        Returns:
            Which address it is, and the socket to use, with TLS where the origin is https.

        Raises:
            PublicAddressError: The guard refused.
            ConnectTimeoutError: botocore's: no address answered in time, or none shook hands.
            SSLError: botocore's: the handshake failed, with what is known of the cause.
            EndpointConnectionError: botocore's: the name does not resolve, or no address answers.
        """
        failure: BotoCoreError
        started = self._clock()
        try:
            dialed = self._dialer.dial(self.origin.host, self.origin.port, timeout=self._timeout)
            left = None if self._timeout is None else self._timeout - (self._clock() - started)
            return dialed, self._secured(dialed.sock, left)
        except TimeoutError as error:
            failure = ConnectTimeoutError(endpoint_url=url, error=error)
            cause: OSError = error
        except ssl.SSLError as error:
            explained = ssl.SSLError(explain(str(error), self._bundle))
            failure = SSLError(endpoint_url=url, error=explained)
            cause = error
        except OSError as error:
            failure = EndpointConnectionError(endpoint_url=url, error=error)
            cause = error
        raise failure from cause

    def _secured(self, sock: socket.socket, timeout: float | None) -> socket.socket:
        if self._context is None:
            return sock
        secured = self._context.wrap_socket(
            sock,
            server_hostname=self.origin.host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,  # an answer without a length could be cut unnoticed
        )
        try:
            secured.settimeout(None if timeout is None else max(timeout, 0.001))
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured
