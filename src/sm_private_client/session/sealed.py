"""The seal of one session: when it is on, and what it guards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sm_private_client.privatelink.services import is_family
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.routing.settings import is_sealed, read_environment
from sm_private_client.transport.sealing import (
    CredentialsHTTPSession,
    MetadataNetwork,
    guard_fetchers,
    watch_clients,
)

if TYPE_CHECKING:
    import botocore.session

    from sm_private_client.routing.network import NetworkBackend
    from sm_private_client.routing.settings import RoutingOptions
    from sm_private_client.session.clients import ClientGuard
    from sm_private_client.session.private_routes import PrivateRoutes

__all__ = ["Seal"]


class Seal:
    """Seals one session once a setting asks for it, which may be later; it is never undone."""

    def __init__(
        self, botocore_session: botocore.session.Session, *, routes: PrivateRoutes
    ) -> None:
        self._session = botocore_session
        self._routes = routes
        self._options: RoutingOptions | None = None
        self._lock = ForkableLock()
        self._is_on = False
        self._fetchers_are_guarded = False

    def watch(self, options: RoutingOptions, clients: ClientGuard, *, family: bool) -> None:
        """Seal the session once a setting asks for it; no I/O. Without this it never is.

        With ``family`` the SageMaker family's clients are guarded also while it is not sealed,
        however its botocore session is asked for them.
        """
        self._options = options
        self._is_on = is_sealed(options, environ=read_environment(), profile={})
        watch_clients(
            self._session,
            is_guarded_service=lambda name: self.is_on() or (family and is_family(name)),
            put_on=clients.put_on,
            before_credentials=self._guard_fetchers,
        )

    def is_on(self) -> bool:
        """Return True once any source of settings has asked for the seal."""
        if not self._is_on and self._options is not None:
            profile: object = self._session.get_scoped_config()
            self._is_on = is_sealed(
                self._options,
                environ=read_environment(),
                profile=profile if isinstance(profile, Mapping) else {},  # users' tests pass mocks
            )
        return self._is_on

    def metadata_network(self) -> NetworkBackend:
        """Return the network for finding out where we run: link-local only if the seal is on."""
        if not self.is_on():
            return self._routes.network
        return MetadataNetwork(self._routes.network, egress=self._routes.egress)

    def _guard_fetchers(self) -> None:
        if self._fetchers_are_guarded or not self.is_on():
            return
        with self._lock:
            if not self._fetchers_are_guarded:
                guard_fetchers(self._session, self._credentials)
                self._fetchers_are_guarded = True

    def _credentials(self, service_name: str) -> CredentialsHTTPSession:
        return CredentialsHTTPSession(
            service_name,
            network=self._routes.network,
            health=self._routes.health,
            egress=self._routes.egress,
            timeout=float(self._session.get_config_variable("metadata_service_timeout")),
        )
