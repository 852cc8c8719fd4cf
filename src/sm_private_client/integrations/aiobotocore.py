"""The guard of an aiobotocore client: a resolver and sockets that judge, a session with our errors.

aiohttp connects to the very addresses that its resolver returns, so judging them there is a guard:
there is no second look-up. An address in a URL or a redirect is not resolved; it is judged when
its socket is made.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import HTTPClientError

from sm_private_client.api import default_session
from sm_private_client.errors import MissingExtraError, PrivateClientError
from sm_private_client.session.private_routes import routes_of
from sm_private_client.transport.client_config import RoutedConfig
from sm_private_client.transport.guarded import user_provided_options

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.httpsession import AIOHTTPSession
    from aiohttp.abc import AbstractResolver
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "sm_private_client.integrations.aiobotocore", extra="libraries"
    ) from error

if TYPE_CHECKING:
    from sm_private_client.session import Session
    from sm_private_client.transport.dialer import Dialer

__all__ = ["GuardedAIOHTTPSession", "GuardedResolver", "aiobotocore_arguments", "guarded_config"]

_LOOKUP_TIMEOUT: Final = 5.0
"""Seconds for a look-up, as for the connection after it."""


def aiobotocore_arguments(
    service_name: str, *, session: Session | None = None, region_name: str | None = None
) -> dict[str, Any]:
    """Return the arguments that make an aiobotocore client private.

    Pass them on: ``create_client("sagemaker-runtime", **arguments)``. ``config`` can be merged
    with an ``AioConfig`` of your own. Deciding the route may take seconds: in an event loop call
    this by ``asyncio.to_thread``.

    Args:
        service_name: boto3's name of a service of the SageMaker family.
        session: Whose routes count; the default session if not given.
        region_name: The session's region by default.

    Returns:
        ``region_name``, ``endpoint_url``, ``verify`` and ``config`` for ``create_client``.

    Raises:
        RoutingError, PublicAddressError, ConfigurationError: See ``Session.route``.
    """
    routes = routes_of(session or default_session())
    route = routes.route(service_name, region_name)
    return {
        "region_name": route.region,
        "endpoint_url": route.endpoint_url,
        "verify": routes.bundle(),
        "config": guarded_config(routes.dialer(route)),
    }


class GuardedResolver(AbstractResolver):  # type: ignore[misc] # an extra, untyped here
    """A resolver of aiohttp that judges every address before one is connected to.

    Attributes:
        dialer: Judges.
    """

    def __init__(self, dialer: Dialer) -> None:
        self.dialer = dialer

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        """Return the addresses of a host, those of our own zone first.

        Raises:
            PublicAddressError: One of them is not private.
            OSError: The name does not resolve in time.
        """
        addresses = await asyncio.to_thread(self.dialer.candidates, host, timeout=_LOOKUP_TIMEOUT)
        common = {"hostname": host, "port": port, "proto": 0, "flags": socket.AI_NUMERICHOST}
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            {**common, "host": address, "family": its}
            for address, its in zip(addresses, families, strict=True)
            if family in (socket.AF_UNSPEC, its)
        ]

    async def close(self) -> None:
        """Do nothing; there is nothing to close."""

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Return the socket for one address, as ``socket.getaddrinfo`` describes it.

        Raises:
            PublicAddressError: It is not private; nothing was sent.
        """
        family, kind, protocol, _, address = info
        self.dialer.judge(str(address[0]))
        return socket.socket(family, kind, protocol)


class GuardedAIOHTTPSession(AIOHTTPSession):  # type: ignore[misc] # as above
    """The HTTP session of aiobotocore, which raises our errors as they are."""

    async def send(self, request: object) -> Any:  # noqa: ANN401 - aiobotocore is untyped here
        """Send a request as aiobotocore does.

        Raises:
            PublicAddressError: The guard refused; it is not retried.
        """
        try:
            return await super().send(request)
        except HTTPClientError as error:
            refused = error.kwargs.get("error")
            if isinstance(refused, PrivateClientError):
                raise refused from None
            raise


def guarded_config(dialer: Dialer) -> AioConfig:
    """Return the configuration of a guarded client: our defaults as for boto3, and no proxies."""
    routed = RoutedConfig.merged(None, session_default=None, retries_are_configured=False)
    resolver = GuardedResolver(dialer)
    return AioConfig(
        connector_args={"resolver": resolver, "socket_factory": resolver.make_socket},
        http_session_cls=GuardedAIOHTTPSession,
        proxies={},
        **user_provided_options(routed.config),
    )
