"""GuardedHTTPSession: botocore's own HTTP session whose every connection goes through a Dialer.

The private surfaces of botocore and urllib3 that the guard leans on stand here and nowhere else;
``tests/test_botocore_surfaces.py`` names them and fails when they change.
"""

from __future__ import annotations

import functools
import logging
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import botocore.awsrequest
import botocore.httpsession
from botocore.exceptions import HTTPClientError, SSLError
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Timeout

from sm_private_client.errors import ConfigurationError, PrivateClientError
from sm_private_client.transport.dialer import Dialer
from sm_private_client.transport.tls import ClosedWhenReset, explain

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
    from botocore.client import BaseClient
    from botocore.config import Config

    from sm_private_client.transport.dialer import Dialed

__all__ = [
    "CLIENT_HOOK",
    "GuardedHTTPSession",
    "MadeClient",
    "guard",
    "is_guarded",
    "redirect",
    "user_provided_options",
]

CLIENT_HOOK: Final = "_register_client_plugins"
"""What botocore's sessions, and aiobotocore's, call with every client that they have made."""

STREAM_PATH: Final = "/invocations-response-stream"

_SDK_ENDPOINT: Final = "SDK::Endpoint"  # of the endpoint rules' built-in parameters

_logger = logging.getLogger(__name__)


def _dial(connection: Any, dialer: Dialer) -> socket.socket:  # noqa: ANN401 - urllib3's
    """Does what urllib3's ``_new_conn`` does, through the dialer and with its errors."""
    timeout = connection.timeout if isinstance(connection.timeout, (int, float)) else None
    try:
        dialed = dialer.dial(
            connection.host,
            connection.port,
            timeout=timeout,
            socket_options=tuple(connection.socket_options or ()),
        )
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, str(error)) from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error
    dialed.sock.settimeout(timeout)
    connection.dialed = dialed
    return dialed.sock


def _request(connection: Any, send: Callable[..., Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's
    """Sends a request and counts it, once it is known which address it went to."""
    try:
        send(*args, **kwargs)
    finally:
        if connection.dialed is not None:
            connection.dialed.tally.called()


class _GuardedHTTPConnection(botocore.awsrequest.AWSHTTPConnection):
    def __init__(self, *args: Any, dialer: Dialer, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._dialer = dialer
        self.dialed: Dialed | None = None

    def _new_conn(self) -> socket.socket:
        return _dial(self, self._dialer)

    def request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's
        _request(self, super().request, *args, **kwargs)


class _GuardedHTTPSConnection(botocore.awsrequest.AWSHTTPSConnection):
    def __init__(self, *args: Any, dialer: Dialer, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._dialer = dialer
        self.dialed: Dialed | None = None

    def _new_conn(self) -> socket.socket:
        return _dial(self, self._dialer)

    def request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's
        _request(self, super().request, *args, **kwargs)


class _StreamTimeout:
    """Gives response streams a read timeout of their own; the rest keep the pool's."""

    stream_timeout: Timeout

    def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if url.partition("?")[0].endswith(STREAM_PATH):
            kwargs["timeout"] = self.stream_timeout
        return super().urlopen(method, url, *args, **kwargs)  # type: ignore[misc] # a mixin


class _GuardedHTTPConnectionPool(_StreamTimeout, botocore.awsrequest.AWSHTTPConnectionPool):
    ConnectionCls = _GuardedHTTPConnection


class _GuardedHTTPSConnectionPool(_StreamTimeout, botocore.awsrequest.AWSHTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPSConnection


class GuardedHTTPSession(botocore.httpsession.URLLib3Session):
    """botocore's HTTP session over a Dialer: same pools, same errors, no proxies.

    Args:
        dialer: What connects.
        verify: ``True`` for botocore's CA bundle, or the path of one.
        timeout: Seconds to connect, and seconds to read.
        stream_timeout: Seconds to read on response streams.
        max_pool_connections: As in ``Config``.
        client_cert: As in ``Config``.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        verify: bool | str = True,
        timeout: tuple[float | None, float | None],
        stream_timeout: float | None,
        max_pool_connections: int,
        client_cert: str | tuple[str, str] | None = None,
    ) -> None:
        super().__init__(
            verify=verify,  # type: ignore[arg-type] # the stubs miss the path of a bundle
            proxies={},
            timeout=timeout,  # type: ignore[arg-type] # the stubs miss None: wait for ever
            max_pool_connections=max_pool_connections,
            client_cert=client_cert,
        )
        self.dialer = dialer
        self._pid = os.getpid()
        self._bundle = verify
        streams = Timeout(connect=timeout[0], read=stream_timeout)
        manager: Any = self._manager  # type: ignore[attr-defined] # not in the stubs
        manager.connection_pool_kw["ssl_context"].sslsocket_class = ClosedWhenReset
        manager.pool_classes_by_scheme = {
            "http": self._pool_class(_GuardedHTTPConnectionPool, streams),
            "https": self._pool_class(_GuardedHTTPSConnectionPool, streams),
        }

    def _pool_class(self, cls: Any, streams: Timeout) -> Any:  # noqa: ANN401 - urllib3's
        def make(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            pool = cls(*args, **kwargs)
            # Set here, not passed on: what a pool is given becomes part of the pool's key.
            pool.ConnectionCls = functools.partial(cls.ConnectionCls, dialer=self.dialer)
            pool.stream_timeout = streams
            return pool

        return make

    def __repr__(self) -> str:
        return f"GuardedHTTPSession({self.dialer!r})"

    def send(self, request: AWSRequest | AWSPreparedRequest) -> AWSResponse:
        """Sends a request as botocore does.

        Raises:
            PublicAddressError: The guard refused; botocore does not retry it.
            SSLError: botocore's own, with what is known of the cause.
        """
        if self._pid != os.getpid():  # forked: the connections in the pool are the parent's
            self._pid = os.getpid()
            self.close()
        try:
            return super().send(request)
        except SSLError as error:
            explained = ssl.SSLError(explain(str(error.kwargs.get("error")), self._bundle))
            raise SSLError(endpoint_url=str(request.url), error=explained) from error
        except HTTPClientError as error:
            refused = error.kwargs.get("error")
            if isinstance(refused, PrivateClientError):
                raise refused from None
            raise


def guard(
    client: BaseClient,
    dialer: Dialer,
    *,
    verify: bool | str,
    stream_timeout: float | None,
) -> GuardedHTTPSession:
    """Puts a guarded HTTP session under a client, in place of the one it was made with.

    Args:
        client: A client that nobody uses yet.
        dialer: What its connections go through.
        verify: ``True`` for botocore's CA bundle, or the path of one.
        stream_timeout: Seconds to read on response streams.
    """
    config: Any = client.meta.config
    guarded = GuardedHTTPSession(
        dialer,
        verify=verify,
        timeout=(config.connect_timeout, config.read_timeout),
        stream_timeout=stream_timeout,
        max_pool_connections=config.max_pool_connections,
        client_cert=config.client_cert,
    )
    carrier: Any = client._endpoint  # type: ignore[attr-defined] # noqa: SLF001 - see module
    carrier.http_session.close()
    carrier.http_session = guarded
    return guarded


@dataclass(frozen=True, kw_only=True)
class MadeClient:
    """What a client that somebody else made was made with.

    Attributes:
        endpoint_url: The URL that was given by argument, variable or profile; ``None`` where
            botocore's own rules give it.
        verify: As botocore decided it: a boolean, or the path of a CA bundle.
        use_ssl: Whether the URL that botocore's rules give is an https one.
        credentials: botocore's, ``None`` for a client that does not sign.
    """

    endpoint_url: str | None
    verify: bool | str
    use_ssl: bool
    credentials: Any

    @classmethod
    def of(cls, client: BaseClient) -> MadeClient:
        """Reads a client.

        Raises:
            ConfigurationError: Its HTTP session is not botocore's own, so no guard fits under it.
        """
        made: Any = client
        carried = made._endpoint.http_session  # noqa: SLF001 - see module
        if type(carried) is not botocore.httpsession.URLLib3Session:
            kind = f"{type(carried).__module__}.{type(carried).__qualname__}"
            raise ConfigurationError(
                f"A {client.meta.service_model.service_name} client over {kind} cannot be guarded.",
                cause="only botocore's own HTTP session can; an asynchronous client has another.",
                remedy="for aiobotocore pass **aiobotocore_arguments(...) of "
                "sm_private_client.swap_in to create_client.",
            )
        return cls(
            endpoint_url=made._ruleset_resolver._builtins[_SDK_ENDPOINT],  # noqa: SLF001 - see module
            verify=made._endpoint.http_session._verify,  # noqa: SLF001 - see module
            use_ssl=made._ruleset_resolver._use_ssl,  # noqa: SLF001 - see module
            credentials=made._get_credentials(),  # noqa: SLF001 - see module
        )


def redirect(client: BaseClient, endpoint_url: str) -> None:
    """Makes a client talk to another URL, as if it had been made with it."""
    made: Any = client
    made._ruleset_resolver._builtins.update(  # noqa: SLF001 - see module
        # As botocore does for a custom URL: the variants are those of its own host names.
        {_SDK_ENDPOINT: endpoint_url, "AWS::UseFIPS": False, "AWS::UseDualStack": False}
    )
    made.meta._endpoint_url = endpoint_url  # noqa: SLF001 - see module


def is_guarded(client: BaseClient) -> bool:
    """Says whether every connection of a client goes through a Dialer."""
    made: Any = client
    if isinstance(made._endpoint.http_session, GuardedHTTPSession):  # noqa: SLF001 - see module
        return True
    given = getattr(client.meta.config, "connector_args", None) or {}  # aiobotocore's
    return isinstance(getattr(given.get("resolver"), "dialer", None), Dialer)


def user_provided_options(config: Config | None) -> dict[str, Any]:
    """Gives what a ``Config`` was made with, without botocore's defaults."""
    return dict(config._user_provided_options) if config is not None else {}  # type: ignore[attr-defined] # noqa: SLF001 - see module
