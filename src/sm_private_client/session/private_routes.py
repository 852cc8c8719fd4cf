"""PrivateRoutes: how the services of one session are reached, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sm_private_client.errors import ConfigurationError, PublicAddressError, RoutingError
from sm_private_client.privatelink import services
from sm_private_client.routing.book import ClientCredentials
from sm_private_client.routing.settings import missing_region, read_environment
from sm_private_client.transport.client_config import verified_by
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.egress import NO_PRIVATE_ROUTE, EgressLedger

if TYPE_CHECKING:
    import botocore.session
    from botocore.config import Config

    from sm_private_client.privatelink.records import Route
    from sm_private_client.routing.book import RouteBook
    from sm_private_client.routing.network import NetworkBackend

__all__ = ["PrivateRoutes", "url_of"]

_KEEP_BOTOCORES_URL: Final = frozenset({"private-dns", "gateway"})
"""How a service is reached at the host that botocore uses by itself."""


class PrivateRoutes:
    """Decides and dials the routes of one session; safe between threads.

    Args:
        botocore_session: Whose region and CA bundle count.
        network: What resolves names and opens sockets.
        book: What decides routes and keeps them.

    Attributes:
        network: As given.
        book: As given.
        egress: What was reached and refused.
        health: Which zones did not answer lately, for all clients of the session.
    """

    def __init__(
        self,
        botocore_session: botocore.session.Session,
        *,
        network: NetworkBackend,
        book: RouteBook,
    ) -> None:
        self._session = botocore_session
        self.network = network
        self.book = book
        self.egress = EgressLedger()
        self.health = ZoneHealth()

    def is_routed(self, service_name: str) -> bool:
        """Says whether a name is ours; one that nobody knows is left to boto3 to refuse."""
        name = services.canonical_service_name(service_name)
        if name in services.routable_service_names() or name in services.UNROUTABLE:
            return True
        return services.is_family(name) and name in self._session.get_available_services()

    def region(self, region_name: str | None, config: Config | None) -> str:
        """Gives the region that is meant: the one given, the config's, or the session's.

        Raises:
            MissingRegionError: None is set anywhere; botocore's NoRegionError catches it.
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
    ) -> Route:
        """Decides a route for the session's own credentials; see ``decide``.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: See ``RouteBook.route``.
        """
        return self.decide(
            services.canonical_service_name(service_name),
            self.region(region_name, config),
            endpoint_url=endpoint_url,
            config=config,
            credentials=ClientCredentials(),
        )

    def decide(
        self,
        service_name: str,
        region: str,
        *,
        endpoint_url: str | None,
        config: Config | None,
        credentials: ClientCredentials,
    ) -> Route:
        """Decides a route; a refusal is kept for ``egress``.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: See ``RouteBook.route``.
        """
        try:
            return self.book.route(
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
            url = endpoint_url or self.book.plain_url(service_name, region, config=config)
            host = urlsplit(url or "").hostname or ""
            self.egress.refused(service_name, host, rule=NO_PRIVATE_ROUTE)
            raise

    def dialer(self, route: Route) -> Dialer:
        """Gives what connects over a route, and checks each address that it connects to."""
        return Dialer(
            route,
            network=self.network,
            health=self.health,
            warn_only=self.book.settings().on_public_route == "warn",
            egress=self.egress,
        )

    def bundle(self, verify: bool | str | None = None) -> bool | str:
        """Gives what TLS is verified with: the path of a bundle, or ``True`` for botocore's own.

        Raises:
            ConfigurationError: ``verify`` is false.
        """
        return verified_by(verify, session=self._session, environ=read_environment())

    def checked_bundle(
        self,
        service_name: str,
        *,
        use_ssl: bool | None,
        verify: bool | str | None,
        endpoint_url: str | None,
    ) -> bool | str:
        """Gives the same for a client, which must be encrypted unless it has a URL of its own.

        Raises:
            ConfigurationError: ``verify`` is false, or ``use_ssl`` beside another URL than http.
        """
        # botocore 1.40 makes http of an https URL then.
        if not use_ssl and not (endpoint_url or "").startswith("http://"):
            raise ConfigurationError(
                f"use_ssl=False asks for an unencrypted {service_name} client.",
                cause="a private route is always encrypted.",
                remedy="leave use_ssl out; for a stand-in on this machine pass endpoint_url=.",
            )
        return self.bundle(verify)


def url_of(route: Route) -> str | None:
    """Gives the URL that botocore is told; ``None`` where it has the right one by itself.

    With private DNS botocore keeps its own URL, and with it its own endpoint rules.
    """
    return None if route.source in _KEEP_BOTOCORES_URL else route.endpoint_url
