"""RoutedClients: the boto3 clients of the SageMaker family: made, shared, adopted and guarded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sm_private_client.privatelink import services
from sm_private_client.routing import botocore_rules
from sm_private_client.routing.book import ClientCredentials
from sm_private_client.routing.settings import read_environment
from sm_private_client.session.making import making
from sm_private_client.session.private_routes import url_of
from sm_private_client.transport.client_config import RoutedConfig
from sm_private_client.transport.guarded import MadeClient, guard, redirect
from sm_private_client.transport.presigned import PresignedUrlNotice

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import botocore.session
    from botocore.client import BaseClient
    from botocore.config import Config

    from sm_private_client.privatelink.records import Route
    from sm_private_client.session.private_routes import PrivateRoutes

__all__ = ["ClientRequest", "RoutedClients"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientRequest:
    """What was asked for, in the words of ``boto3.Session.client``; equal for equal clients.

    Attributes:
        service_name: The canonical name.
        region_name: As for boto3.
        api_version: As for boto3.
        use_ssl: As for boto3.
        verify: As for boto3.
        endpoint_url: As for boto3.
        credentials: Those that were passed instead of the session's own.
        config: As for boto3; it does not count for being equal, see ``RoutedConfig.key``.
    """

    service_name: str
    region_name: str | None = None
    api_version: str | None = None
    use_ssl: bool | None = True
    verify: bool | str | None = None
    endpoint_url: str | None = None
    credentials: ClientCredentials = field(default_factory=ClientCredentials, repr=False)
    config: Config | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, service_name: str, **arguments: Any) -> ClientRequest:  # noqa: ANN401 - boto3's
        """Reads the arguments of ``boto3.Session.client``, the service by any name of it."""
        passed = {name: arguments.pop(name, None) for name in ClientCredentials.names()}
        return cls(
            service_name=services.canonical_service_name(service_name),
            credentials=ClientCredentials(**passed),
            **arguments,
        )


class RoutedClients:
    """Makes the routed clients of one session; safe between threads.

    Args:
        botocore_session: Whose default config, retries and configured URLs count.
        routes: Decides and dials.
        make: boto3's own ``client``.
        lifted: Lets the next client of this thread past the session's seal.
        get_credentials: Gives the session's credentials.
        one_at_a_time: Held while botocore makes a client of the session.
    """

    def __init__(
        self,
        botocore_session: botocore.session.Session,
        *,
        routes: PrivateRoutes,
        make: Callable[..., Any],
        lifted: Callable[[], AbstractContextManager[None]],
        get_credentials: Callable[[], Any],
        one_at_a_time: threading.RLock,
    ) -> None:
        self._session = botocore_session
        self._routes = routes
        self._make = make
        self._lifted = lifted
        self._get_credentials = get_credentials
        self._one_at_a_time = one_at_a_time
        self._lock = threading.RLock()
        self._shared: dict[object, Any] = {}
        self._presigned: PresignedUrlNotice | None = None

    def shared(self, request: ClientRequest, routed: RoutedConfig | None = None) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Gives the client of a request, made once for equal ones.

        Args:
            request: What was asked for.
            routed: What the client is set to; by default what ``routed_config`` makes of the
                request's config.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: See ``errors``.
        """
        if routed is None:
            routed = self.routed_config(request.config)
        key = (request, routed.key(), routed.stream_timeout)
        with self._lock:
            if key in self._shared:
                return self._shared[key]
        # Not under the lock: deciding a route may take seconds, and another service need not wait.
        make = self._decided(request, routed)
        with self._lock:
            if key not in self._shared:
                self._shared[key] = make()
            return self._shared[key]

    def unshared(self, request: ClientRequest) -> Any:  # noqa: ANN401 - as above
        """Makes a client that nobody else is given.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: As ``shared``.
        """
        return self._decided(request, self.routed_config(request.config))()

    def adopt(self, client: BaseClient) -> Route:
        """Puts a client that was made elsewhere on its private route; see ``Session.adopt``."""
        made, config = MadeClient.of(client), client.meta.config
        service_name = services.canonical_service_name(client.meta.service_model.service_name)
        configured = botocore_rules.configured_url(
            self._session, service_name, config=config, environ=read_environment()
        )
        given = made.endpoint_url
        if configured is not None and given == configured.url:
            given = None  # the book knows what comes before it
        bundle = self._routes.checked_bundle(
            service_name,
            use_ssl=made.use_ssl,
            verify=made.verify,
            endpoint_url=made.endpoint_url,
        )
        route = self._routes.decide(
            service_name,
            client.meta.region_name,
            endpoint_url=given,
            config=config,
            credentials=self._credentials_beside_ours(made.credentials),
        )
        routed = RoutedConfig.adopted(config)
        if route.source != "private-dns":
            redirect(client, route.endpoint_url)
        self._guard(client, route, bundle, routed)
        return route

    def over(
        self,
        route: Route,
        routed: RoutedConfig,
        *,
        credentials: ClientCredentials,
        bundle: bool | str | None = None,
        api_version: str | None = None,
    ) -> Any:  # noqa: ANN401 - as above
        """Makes a client over a route that is decided, and guards it.

        Args:
            route: The route.
            routed: What the client is set to.
            credentials: Those that were passed instead of the session's own.
            bundle: What TLS is verified with; what the session says by default.
            api_version: As for boto3.
        """
        bundle = bundle or self._routes.bundle()
        made = self.plain(
            route.service_name,
            region_name=route.region,
            api_version=api_version,
            verify=bundle,
            endpoint_url=url_of(route),
            config=routed.config,
            **credentials.as_arguments(),
        )
        self._guard(made, route, bundle, routed)
        return made

    def plain(self, service_name: str, **arguments: Any) -> Any:  # noqa: ANN401 - as above
        """Makes a client as boto3 does, sealed session or not; the caller guards it."""
        # botocore makes one client at a time
        with self._one_at_a_time, making(), self._lifted():
            return self._make(service_name, **arguments)

    def routed_config(self, config: Config | None) -> RoutedConfig:
        """Puts our defaults under a caller's config.

        Raises:
            ConfigurationError: A proxy is asked for.
        """
        return RoutedConfig.merged(
            config,
            session_default=self._session.get_default_client_config(),
            retries_are_configured=self._retries_are_configured(),
        )

    def forget(self) -> None:
        """Forgets every shared client; those who have one keep it."""
        with self._lock:
            self._shared.clear()

    def _decided(self, request: ClientRequest, routed: RoutedConfig) -> Callable[[], Any]:
        """Checks what was asked for and decides its route; gives what makes the client."""
        bundle = self._routes.checked_bundle(
            request.service_name,
            use_ssl=request.use_ssl,
            verify=request.verify,
            endpoint_url=request.endpoint_url,
        )
        route = self._routes.decide(
            request.service_name,
            self._routes.region(request.region_name, request.config),
            endpoint_url=request.endpoint_url,
            config=request.config,
            credentials=request.credentials,
        )
        return lambda: self.over(
            route,
            routed,
            bundle=bundle,
            credentials=request.credentials,
            api_version=request.api_version,
        )

    def _guard(
        self, made: BaseClient, route: Route, bundle: bool | str, routed: RoutedConfig
    ) -> None:
        guard(made, self._routes.dialer(route), verify=bundle, stream_timeout=routed.stream_timeout)
        if route.service_name == "sagemaker":
            if self._presigned is None:
                self._presigned = PresignedUrlNotice(
                    self._routes.network,
                    allowed_networks=self._routes.book.settings().allowed_networks,
                    has_private_dns=self._routes.book.has_private_dns,
                )
            self._presigned.watch(made)

    def _credentials_beside_ours(self, theirs: Any) -> ClientCredentials:  # noqa: ANN401
        if theirs is None:
            return ClientCredentials()
        frozen, ours = theirs.get_frozen_credentials(), self._get_credentials()
        if ours is not None and ours.get_frozen_credentials().access_key == frozen.access_key:
            return ClientCredentials()
        return ClientCredentials(frozen.access_key, frozen.secret_key, frozen.token)

    def _retries_are_configured(self) -> bool:
        environ, profile = read_environment(), self._session.get_scoped_config()
        return any(
            environ.get(f"AWS_{name.upper()}") or profile.get(name)
            for name in ("retry_mode", "max_attempts")
        )
