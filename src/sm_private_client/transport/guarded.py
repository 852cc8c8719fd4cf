"""The guard of boto3's own clients: each call goes over a judged route, or not at all.

``guard`` is put on a client that botocore has made. Public events route its calls, and an HTTP
session whose every connection goes through a Dialer replaces the client's own. The private
surfaces of botocore and urllib3 that this needs stand here and nowhere else;
``tests/test_botocore_surfaces.py`` names them and fails when they change.
"""

from __future__ import annotations

import copy
import functools
import os
import ssl
import weakref
from typing import TYPE_CHECKING, Any, Final

import botocore.awsrequest
import botocore.exceptions
import botocore.httpsession
from botocore.awsrequest import prepare_request_dict
from botocore.exceptions import BotoCoreError, HTTPClientError, ReadTimeoutError, SSLError
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Timeout

from sm_private_client.errors import (
    ConfigurationError,
    PrivateClientError,
    PublicAddressError,
    RoutingError,
)
from sm_private_client.privatelink.services import is_family
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.transport.dialer import Dialer
from sm_private_client.transport.tls import explain, verifying_context

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.credentials import Credentials

    from sm_private_client.transport.dialer import Dialed
    from sm_private_client.types import BotoClient

__all__ = [
    "BLOCKED_EVENTS",
    "CLIENT_HOOK",
    "GuardedHTTPSession",
    "block_id",
    "credentials_of",
    "decide_route",
    "guard",
    "guarded_session",
    "is_guarded",
    "limit_silence",
    "user_provided_options",
    "verified_by_client",
]

CLIENT_HOOK: Final = "_register_client_plugins"
"""The method that sessions of botocore and aiobotocore call with every client they have made."""

BLOCKED_EVENTS: Final = ("before-call", "before-send")
"""The events at which every call of a client can be refused: before a request is signed, and
before any other code would send one."""

STREAM_PATH: Final = "/invocations-response-stream"

_SDK_ENDPOINT: Final = "SDK::Endpoint"  # of the endpoint rules' built-in parameters
_GIVEN_URL: Final = "sm_private_client_endpoint_url"  # in botocore's context of one request
_UPLOAD_STEP: Final = 64 * 1024  # bytes; the time-out is for each, so that it means silence


class _GuardedConnection:
    """One connection through the Dialer of its HTTP session; a mixin over botocore's."""

    sock: socket.socket | None

    def __init__(self, *args: object, guarded: GuardedHTTPSession, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        # Weak: urllib3 holds a pool's idle connections for as long as the pool is referred to.
        self._guarded: GuardedHTTPSession = weakref.proxy(guarded)
        self._dialed: Dialed | None = None

    def _new_conn(self) -> socket.socket:
        """Connect as urllib3 does, through the Dialer and with urllib3's errors."""
        connection: Any = self
        timeout = connection.timeout if isinstance(connection.timeout, (int, float)) else None
        try:
            self._dialed = self._guarded.dialer.dial(
                connection.host,
                connection.port,
                timeout=timeout,
                socket_options=tuple(connection.socket_options or ()),
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, str(error)) from error
        except OSError as error:
            raise NewConnectionError(connection, str(error)) from error
        self._dialed.sock.settimeout(timeout)
        return self._dialed.sock

    def request(self, *args: object, **kwargs: object) -> None:
        try:
            super().request(*args, **kwargs)  # type: ignore[misc] # a mixin
        finally:
            if self._dialed is not None:
                self._dialed.counters.called()

    def send(self, data: object) -> None:
        """Send; each step has the read time-out, while urllib3 gives all the connect time-out."""
        connection: Any = self
        if self.sock is None:
            connection.connect()
        if connection.sock.gettimeout() != self._guarded.read_timeout:
            connection.sock.settimeout(self._guarded.read_timeout)
        for step in _steps(data):
            super().send(step)  # type: ignore[misc] # a mixin


def _steps(data: object) -> Iterable[object]:
    if isinstance(data, (bytes, bytearray)) and len(data) > _UPLOAD_STEP:
        view = memoryview(data)
        return (view[at : at + _UPLOAD_STEP] for at in range(0, len(data), _UPLOAD_STEP))
    return (data,)


class _GuardedHTTPConnection(_GuardedConnection, botocore.awsrequest.AWSHTTPConnection):  # type: ignore[misc] # botocore's own bases disagree
    pass


class _GuardedHTTPSConnection(_GuardedConnection, botocore.awsrequest.AWSHTTPSConnection):  # type: ignore[misc] # as above
    pass


class _StreamTimeout:
    """Give response streams a read time-out of their own; the rest keep the pool's."""

    guarded: GuardedHTTPSession

    def urlopen(self, method: str, url: str, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - as urllib3 declares it
        if url.partition("?")[0].endswith(STREAM_PATH):
            connect, read = self.guarded.connect_timeout, self.guarded.stream_timeout
            kwargs["timeout"] = Timeout(connect=connect, read=read)
        return super().urlopen(method, url, *args, **kwargs)  # type: ignore[misc] # a mixin


class _GuardedHTTPConnectionPool(_StreamTimeout, botocore.awsrequest.AWSHTTPConnectionPool):
    ConnectionCls = _GuardedHTTPConnection


class _GuardedHTTPSConnectionPool(_StreamTimeout, botocore.awsrequest.AWSHTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPSConnection


class GuardedHTTPSession(botocore.httpsession.URLLib3Session):
    """botocore's HTTP session over a Dialer: same pools, same errors, no proxies.

    Args:
        dialer: Judges and connects; ``None`` until ``use`` names one.
        verify: ``True`` for botocore's CA bundle, or the path of one.
        timeout: Seconds to connect, and seconds of silence while sending and reading; ``None``
            waits for ever.
        max_pool_connections: As in ``Config``.
        client_cert: As in ``Config``.

    Attributes:
        stream_timeout: Seconds of silence on response streams; as ``read_timeout`` until set.
        route: The argument of ``guard``.
        owner: The object that put it under its client.
    """

    def __init__(
        self,
        dialer: Dialer | None = None,
        *,
        verify: bool | str = True,
        timeout: tuple[float | None, float | None],
        max_pool_connections: int,
        client_cert: str | tuple[str, str] | None = None,
    ) -> None:
        super().__init__(
            verify=verify,  # type: ignore[arg-type] # the stubs miss the path of a bundle
            proxies={},
            timeout=timeout,  # type: ignore[arg-type] # the stubs miss None: wait for ever
            max_pool_connections=max_pool_connections,
        )
        self.connect_timeout, self.read_timeout = timeout
        self.stream_timeout = self.read_timeout
        self.route: Callable[[str | None], Dialer] | None = None
        self.owner: object = None
        self._dialer: Dialer | PrivateClientError | None = dialer
        self._pid = os.getpid()
        self._bundle = verify
        self._client_cert = client_cert
        self._lock = ForkableLock()
        self._trusts = False
        manager: Any = self._manager  # type: ignore[attr-defined] # not in the stubs
        self._pools: Any = manager
        manager.pool_classes_by_scheme = {
            "http": self._pool_class(_GuardedHTTPConnectionPool),
            "https": self._pool_class(_GuardedHTTPSConnectionPool),
        }

    def _pool_class(self, cls: Callable[..., Any]) -> Callable[..., Any]:
        def make(*args: object, **kwargs: object) -> object:
            pool = cls(*args, **kwargs)
            # Set here, not passed on: arguments of a pool become part of the pool's key.
            pool.ConnectionCls = functools.partial(pool.ConnectionCls, guarded=self)
            pool.guarded = self
            return pool

        return make

    def __repr__(self) -> str:
        return f"GuardedHTTPSession({self._dialer!r})"

    @property
    def dialer(self) -> Dialer:
        """The Dialer of the client's route.

        Raises:
            PrivateClientError: No route was decided, or there is none; nothing was sent.
        """
        dialer = self._dialer
        if isinstance(dialer, PrivateClientError):
            raise copy.copy(dialer)  # each call gets a traceback of its own
        if dialer is None:
            raise ConfigurationError(
                "A request was about to be sent whose route nobody decided; nothing was sent.",
                cause="it did not go through the client's own methods.",
                remedy="call the client's methods.",
            )
        return dialer

    def wait(self, connect: float | None, read: float | None, *, streams: float | None) -> None:
        """Set the time-outs: seconds to connect, and of silence; on response streams too."""
        self.connect_timeout, self.read_timeout, self.stream_timeout = connect, read, streams
        self._pools.connection_pool_kw["timeout"] = Timeout(connect=connect, read=read)

    def use(self, dialer: Dialer) -> None:
        """Connect through this Dialer from now on; connections of another one are closed."""
        before, self._dialer = self._dialer, dialer
        if isinstance(before, Dialer) and before is not dialer:
            self.close()

    def refuse(self, error: PrivateClientError) -> None:
        """Raise this error for every request, until ``use`` names a Dialer."""
        self._dialer = error

    def send(self, request: AWSRequest | AWSPreparedRequest) -> AWSResponse:
        """Send a request as botocore does.

        Raises:
            PrivateClientError: There is no route, the guard refused, or the CA bundle cannot be
                used; botocore does not retry it, and nothing was sent.
            SSLError: botocore's own, with what is known of the cause.
        """
        encrypted = self.dialer.route.endpoint_url.startswith("https://")
        if encrypted and not str(request.url).startswith("https://"):
            raise ConfigurationError(
                f"An unencrypted request to {self.dialer.route.service_name} was about to be sent.",
                cause="use_ssl=False asks for it, and a private route is always encrypted.",
                remedy="leave use_ssl out; for a stand-in on this machine pass endpoint_url=.",
            )
        if self._pid != os.getpid():  # forked: the connections in the pool are the parent's
            self._pid = os.getpid()
            self.close()
        self._trust()
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

    def _trust(self) -> None:
        """Have the pools verify by a context of ours, which reads the bundle once."""
        if not self._trusts:
            with self._lock:
                context = verifying_context(self._bundle, self._client_cert, for_urllib3=True)
                self._pools.connection_pool_kw["ssl_context"] = context
                self._trusts = True

    def _get_ssl_context(self) -> None:
        """Return none: making one costs more than all the rest of a client, and ours is shared."""

    # Steps of botocore's ``send``. A proxy that was set later is passed over: it would resolve the
    # name itself. The bundle is in the context already.

    def _get_connection_manager(self, *_: object) -> object:
        return self._pools

    def _get_request_target(self, url: str, *_: object) -> object:
        return self._path_url(url)  # type: ignore[attr-defined] # not in the stubs

    def _setup_ssl_cert(self, conn: BotoClient, *_: object) -> None:
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None


class _Routing:
    """The event handlers that put one client's calls on their route.

    A call of the SageMaker family is routed just before it is signed, so that a stubbed client
    does no I/O. Others are routed when their URL is made: a presigned URL, and a call of a service
    whose rules build host names of their own, such as S3.
    """

    def __init__(
        self,
        client: BaseClient,
        route: Callable[[str | None], Dialer],
        http_session: GuardedHTTPSession,
    ) -> None:
        self._is_family = is_family(client.meta.service_model.service_name)
        self._made_with = client.meta.endpoint_url
        self._route = route
        self._http_session = http_session

    def resolve(self, builtins: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        """Handle ``before-endpoint-resolution``."""
        given = builtins.get(_SDK_ENDPOINT)
        if "AWS::S3::UseGlobalEndpoint" in builtins:  # private DNS answers for the regional host
            builtins["AWS::S3::UseGlobalEndpoint"] = False
        if context.get("is_presign_request"):
            dialer: Dialer | None = self._route(given)
        elif self._is_family:
            context[_GIVEN_URL] = given
            return
        else:
            dialer = self._decide(given)
        if dialer is not None and not dialer.route.is_default_host:
            # As botocore does for a custom URL: the variants are those of its own host names.
            builtins.update(
                {
                    _SDK_ENDPOINT: dialer.route.endpoint_url,
                    "AWS::UseFIPS": False,
                    "AWS::UseDualStack": False,
                }
            )

    def call(self, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        """Handle ``before-call``."""
        if not self._is_family:
            return
        # A service without endpoint rules has no such event; the URL of its client is judged.
        dialer = self._decide(context.pop(_GIVEN_URL, self._made_with))
        if dialer is None:
            return
        url = dialer.route.endpoint_url.rstrip("/")
        if not params["url"].startswith(f"{url}/"):
            prepare_request_dict(params, endpoint_url=url, context=context)

    def _decide(self, given: str | None) -> Dialer | None:
        """Return the Dialer; without a route only sending raises.

        So what answers instead of the network, such as moto, still can.
        """
        try:
            dialer = self._route(given)
        except (RoutingError, PublicAddressError) as error:
            self._http_session.refuse(error)
            return None
        self._http_session.use(dialer)
        return dialer


def guard(
    client: BotoClient,
    route: Callable[[str | None], Dialer],
    *,
    verify: bool | str,
) -> GuardedHTTPSession:
    """Put a guard on a client that boto3 made; no I/O.

    Its first call asks for the route. If it has a guard already, this one replaces it.

    ``route`` is called for each call with the endpoint URL that the client was given, ``None`` if
    botocore's own rules name its host. It returns the Dialer, kept from earlier calls, or raises a
    ``RoutingError`` or ``PublicAddressError``.
    """
    config = client.meta.config
    guarded = GuardedHTTPSession(
        verify=verify,
        timeout=(config.connect_timeout, config.read_timeout),
        max_pool_connections=config.max_pool_connections,
        client_cert=config.client_cert,
    )
    client._endpoint.http_session.close()
    client._endpoint.http_session = guarded
    guarded.route = route
    for event in BLOCKED_EVENTS:  # its calls may be blocked because it had no guard
        client.meta.events.unregister(event, unique_id=block_id(event))
    routing = _Routing(client, route, guarded)
    for event, handler in (
        ("before-endpoint-resolution", routing.resolve),
        ("before-call", routing.call),
    ):
        unique_id = f"sm-private-client-{event}"
        client.meta.events.unregister(event, unique_id=unique_id)
        # Last, after any handler that changes the URL, or answers instead.
        client.meta.events.register_last(event, handler, unique_id=unique_id)
    return guarded


def block_id(event: str) -> str:
    """Return the id of the handler that refuses every call."""
    return f"sm-private-client-block-{event}"


def decide_route(client: BotoClient) -> None:
    """Decide the route of a guarded client before its first call.

    Raises:
        RoutingError, PublicAddressError, ConfigurationError: As its first call.
    """
    client._endpoint.http_session.route(None)


def limit_silence(client: BotoClient) -> None:
    """Have a client of STS give up within 20 s if nothing answers, with an error that says so.

    botocore waits 60 s a try, five times, while the call that needs credentials hangs.
    """
    http_session = client._endpoint.http_session
    http_session._manager.connection_pool_kw["timeout"] = Timeout(connect=5, read=10)
    send, url, region = http_session.send, client.meta.endpoint_url, client.meta.region_name

    def send_twice(request: AWSPreparedRequest) -> AWSResponse:
        failure: BotoCoreError | None = None
        for _ in range(2):
            try:
                answer: AWSResponse = send(request)
            except (botocore.exceptions.ConnectTimeoutError, ReadTimeoutError) as error:
                failure = error
            else:
                return answer
        raise RoutingError(
            f"STS at {url} did not answer in time.",
            cause="nothing leads from here to STS; a call that waits for its credentials was not "
            "sent.",
            remedy=(
                f"create an interface endpoint of com.amazonaws.{region}.sts in this VPC, with "
                "private DNS.",
                "set AWS_STS_REGIONAL_ENDPOINTS=regional if that URL names no region.",
            ),
        ) from failure

    http_session.send = send_twice


def verified_by_client(client: BotoClient) -> bool | str:
    """Return the ``verify`` of a client as botocore made it.

    Raises:
        ConfigurationError: Its HTTP session is not botocore's own, so no guard fits under it.
    """
    http_session = client._endpoint.http_session
    if not isinstance(http_session, botocore.httpsession.URLLib3Session):
        kind = f"{type(http_session).__module__}.{type(http_session).__qualname__}"
        raise ConfigurationError(
            f"A {client.meta.service_model.service_name} client over {kind} cannot be guarded.",
            cause="only botocore's own HTTP session can; an asynchronous client has another.",
            remedy="for aiobotocore pass **aiobotocore_arguments(...) of "
            "sm_private_client.integrations.aiobotocore to create_client.",
        )
    return http_session._verify  # type: ignore[attr-defined,no-any-return] # not in the stubs


def guarded_session(client: BotoClient) -> GuardedHTTPSession | None:
    """Return the HTTP session that ``guard`` put under a client, ``None`` if there is none."""
    http_session = client._endpoint.http_session
    return http_session if isinstance(http_session, GuardedHTTPSession) else None


def credentials_of(client: BotoClient) -> Credentials | None:
    """Return botocore's credentials object of a client, ``None`` if it has none; no I/O."""
    return client._get_credentials()  # type: ignore[no-any-return] # botocore's


def is_guarded(client: BotoClient) -> bool:
    """Return True if every connection of a client goes through a Dialer."""
    if guarded_session(client) is not None:
        return True
    arguments = getattr(client.meta.config, "connector_args", None) or {}  # aiobotocore's
    return isinstance(getattr(arguments.get("resolver"), "dialer", None), Dialer)


def user_provided_options(config: Config | None) -> dict[str, Any]:
    """Return what a ``Config`` was made with, without botocore's defaults."""
    return dict(config._user_provided_options) if config is not None else {}  # type: ignore[attr-defined] # not in the stubs
