"""An httpx transport whose every connection goes through a Dialer.

For libraries that sign requests themselves and send them with httpx. It uses the same guarded HTTP
session that boto3 clients get.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)
from botocore.exceptions import (
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from urllib3.exceptions import HTTPError

from sm_private_client.api import default_session
from sm_private_client.errors import MissingExtraError
from sm_private_client.session.private_routes import routes_of
from sm_private_client.transport.guarded import GuardedHTTPSession

try:
    import httpx
except ModuleNotFoundError as error:
    raise MissingExtraError("sm_private_client.integrations.httpx", extra="libraries") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSResponse

    from sm_private_client.session import Session
    from sm_private_client.transport.dialer import Dialer

__all__ = ["GuardedTransport", "httpx_transport"]

_CHUNK: Final = 65536
_TIMEOUT: Final = (5, 70)
"""Seconds to connect and to read, as for routed clients; httpx's own per request are not used."""

_STREAM_TIMEOUT: Final = 600.0
_ERRORS: Final = (
    (ConnectTimeoutError, httpx.ConnectTimeout),
    (ReadTimeoutError, httpx.ReadTimeout),
)


def httpx_transport(
    service_name: str, *, session: Session | None = None, region_name: str | None = None
) -> GuardedTransport:
    """Return a transport for ``httpx.Client`` that reaches a service privately or not at all.

    Args:
        service_name: boto3's name of a service of the SageMaker family.
        session: Whose routes count; the default session if not given.
        region_name: The session's region by default.

    Raises:
        RoutingError, PublicAddressError, ConfigurationError: See ``Session.route``.
    """
    routes = routes_of(session or default_session())
    route = routes.route(service_name, region_name)
    return GuardedTransport(routes.dialer(route), verify=routes.bundle())


class GuardedTransport(httpx.BaseTransport):  # type: ignore[misc] # an extra, untyped here
    """Send what an ``httpx.Client`` sends, privately or not at all; no proxies, no HTTP/2.

    Args:
        dialer: Judges and connects.
        verify: ``True`` for botocore's CA bundle, or the path of one.
    """

    def __init__(self, dialer: Dialer, *, verify: bool | str = True) -> None:
        self._http = GuardedHTTPSession(
            dialer,
            verify=verify,
            timeout=_TIMEOUT,
            max_pool_connections=50,
        )
        self._http.stream_timeout = _STREAM_TIMEOUT

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of the answer is read when it is asked for.

        Raises:
            PublicAddressError: The guard refused; nothing was sent.
            httpx.TransportError: The request could not be carried.
        """
        headers: Any = HeadersDict(request.headers)  # the stubs have another type
        prepared = AWSPreparedRequest(
            request.method, str(request.url), headers, request.read(), stream_output=True
        )
        try:
            response = self._http.send(prepared)
        except (HTTPClientError, BotocoreConnectionError) as error:
            kind = next((theirs for ours, theirs in _ERRORS if isinstance(error, ours)), None)
            raise (kind or httpx.ConnectError)(str(error), request=request) from error
        return httpx.Response(
            response.status_code,
            headers=list(response.headers.items()),
            stream=_Body(response, request),
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()


class _Body(httpx.SyncByteStream):  # type: ignore[misc] # as above
    def __init__(self, response: AWSResponse, request: httpx.Request) -> None:
        self._raw: Any = response.raw  # urllib3's
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._raw.stream(_CHUNK, decode_content=False)
        except HTTPError as error:
            raise httpx.ReadError(str(error), request=self._request) from error

    def close(self) -> None:
        self._raw.close()
        self._raw.release_conn()
