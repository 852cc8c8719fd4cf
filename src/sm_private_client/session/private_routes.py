"""The routes of one session, and the Dialers over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sm_private_client.errors import PublicAddressError, RoutingError
from sm_private_client.privatelink import services
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.routing.router import ClientCredentials
from sm_private_client.routing.settings import missing_region, read_environment
from sm_private_client.transport.client_config import verified_by
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.egress import NO_PRIVATE_ROUTE, EgressLog

if TYPE_CHECKING:
    from collections.abc import Callable

    import botocore.session
    from botocore.config import Config

    from sm_private_client.privatelink.records import Route
    from sm_private_client.routing.network import NetworkBackend
    from sm_private_client.routing.router import Router
    from sm_private_client.session.session import Session

__all__ = ["PrivateRoutes", "ServiceRoute", "routes_of"]

_SESSIONS_OWN: Final = ClientCredentials()


def routes_of(session: Session) -> PrivateRoutes:
    """Return the routes of a session, for rooms above that connect as it does."""
    return session._routes  # noqa: SLF001 - for rooms above, not for users


class PrivateRoutes:
    """Decides and dials the routes of one session; safe between threads.

    Attributes:
        network: Resolves names and opens sockets.
        router: Decides routes and keeps them.
        egress: Counts what was reached and refused.
        health: Which zones did not answer lately, for all clients of the session.
    """

    def __init__(
        self,
        botocore_session: botocore.session.Session,
        *,
        network: NetworkBackend,
        router: Router,
    ) -> None:
        self._session = botocore_session
        self.network = network
        self.router = router
        self.egress = EgressLog()
        self.health = ZoneHealth()

    def is_routed(self, service_name: str) -> bool:
        """Return True if a name is of the family; boto3 refuses a name that nobody knows."""
        name = services.canonical_service_name(service_name)
        if name in services.routable_service_names() or name in services.UNROUTABLE:
            return True
        return services.is_family(name) and name in self._session.get_available_services()

    def region(self, region_name: str | None, config: Config | None) -> str:
        """Return the region: the argument, the config's, or the session's.

        Raises:
            MissingRegionError: No region is set; ``except NoRegionError`` catches it.
        """
        default = self._session.get_default_client_config()
        configured = (getattr(c, "region_name", None) for c in (config, default))
        region = region_name or next(filter(None, configured), None)
        region = region or self._session.get_config_variable("region")
        if not region:
            raise missing_region()
        return str(region)

    def route(
        self,
        service_name: str,
        region_name: str | None = None,
        *,
        endpoint_url: str | None = None,
        config: Config | None = None,
        credentials: ClientCredentials = _SESSIONS_OWN,
    ) -> Route:
        """Return the route to a service; a refusal is counted in ``egress``.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: See ``Router.route``.
        """
        service_name = services.canonical_service_name(service_name)
        region = self.region(region_name, config)
        try:
            return self.router.route(
                service_name,
                region,
                endpoint_url=endpoint_url,
                config=config,
                credentials=credentials,
            )
        except PublicAddressError as error:
            self.egress.refused(service_name, error.host, address=error.address, rule="public")
            raise
        except RoutingError:
            url = endpoint_url or self.router.plain_url(service_name, region, config=config)
            host = urlsplit(url or "").hostname or ""
            self.egress.refused(service_name, host, rule=NO_PRIVATE_ROUTE)
            raise

    def dialer(self, route: Route) -> Dialer:
        """Return the Dialer of a route."""
        return Dialer(
            route,
            network=self.network,
            health=self.health,
            warn_only=self.router.settings().on_public_route == "warn",
            egress=self.egress,
            on_refusal=lambda: self.router.doubt(route),
        )

    def bundle(self) -> bool | str:
        """Return the CA bundle: its path, or ``True`` for botocore's own."""
        return verified_by(self._session, environ=read_environment())


class ServiceRoute:
    """The route to one service, decided by the first call; safe between threads.

    The session keeps it until ``forget_routes``. If none was found, it is searched anew some
    seconds later.

    Args:
        routes: The session's.
        service_name: The canonical name.
        region: The region.
        config: For FIPS and dual-stack.
        credentials: Return those to ask EC2 with, if they are not the session's own.
    """

    def __init__(
        self,
        routes: PrivateRoutes,
        service_name: str,
        region: str,
        *,
        config: Config | None = None,
        credentials: Callable[[], ClientCredentials] = ClientCredentials,
    ) -> None:
        self._routes = routes
        self._service_name = service_name
        self._region = region
        self._config = config
        self._credentials = credentials
        self._lock = ForkableLock()
        self._decided: tuple[object, str | None, Dialer] | None = None

    def known(self, endpoint_url: str | None = None) -> Dialer | None:
        """Return the Dialer if the route is decided and not forgotten; no I/O."""
        decided = self._decided
        if (
            decided is None
            or decided[0] is not self._routes.router.era
            or decided[1] != endpoint_url
        ):
            return None
        return decided[2]

    def decide(self, endpoint_url: str | None = None) -> Dialer:
        """Return the Dialer; the first time this may take up to ten seconds.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: See ``Router.route``.
        """
        known = self.known(endpoint_url)
        if known is not None:
            return known
        with self._lock:  # so that all who ask get one Dialer
            known = self.known(endpoint_url)
            if known is not None:
                return known
            era = self._routes.router.era
            route = self._routes.route(
                self._service_name,
                self._region,
                endpoint_url=endpoint_url,
                config=self._config,
                credentials=self._credentials(),
            )
            dialer = self._routes.dialer(route)
            self._decided = era, endpoint_url, dialer
            return dialer
