"""The routes of one session: decided once, kept in memory and on disk."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from sm_private_client.errors import NoPrivateRouteError, PublicAddressError, RoutingError
from sm_private_client.privatelink import services
from sm_private_client.privatelink.hostnames import endpoint_service_name, partition_of
from sm_private_client.routing import botocore_rules
from sm_private_client.routing.cache import RouteCache
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.routing.discovery import (
    Discovery,
    Ec2Access,
    forget_shared_answers,
    shared_answer,
)
from sm_private_client.routing.location import Location, SageMakerResource, locate
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.routing.resolver import ROUTE_TIMEOUT, RouteResolver
from sm_private_client.routing.search import RouteRequest, RouteSources
from sm_private_client.routing.settings import (
    RoutingOptions,
    RoutingSettings,
    identity_of,
    load_settings,
    read_environment,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import botocore.session
    from botocore.config import Config

    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.privatelink.records import Route
    from sm_private_client.routing.network import NetworkBackend

__all__ = ["ClientCredentials", "Router"]

REFUSAL_TTL: Final = 5.0
"""Seconds that "there is no private route" is kept in memory, for the threads that ask at once."""

DOUBT_AFTER: Final = 30.0
"""Seconds after which a route is decided anew if an address is refused on it."""

_LOCATION: Final = "location"


class ClientCredentials(NamedTuple):
    """Credentials that were passed for one client instead of the session's own.

    ``is_unsigned``: the client signs nothing, such as one that fetches credentials.
    """

    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None
    aws_session_token: str | None = None
    aws_account_id: str | None = None
    is_unsigned: bool = False

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of boto3's arguments."""
        return ClientCredentials._fields[:-1]

    def as_arguments(self) -> dict[str, str]:
        """Return those that were passed, as keyword arguments of boto3."""
        return {n: v for n in self.names() if (v := getattr(self, n)) is not None}


class Lookups(Protocol):
    """The AWS calls that deciding a route may need."""

    def ec2(self, region: str, credentials: ClientCredentials) -> Ec2Access:
        """Return the way to ask EC2."""
        ...

    def own_vpc(
        self,
        resource: SageMakerResource,
        route: Route,
        credentials: ClientCredentials,
        discovery: Discovery,
    ) -> str | None:
        """Ask SageMaker, over a route, for the VPC of a resource."""
        ...


class Router:
    """The routes of one session; safe between threads.

    Args:
        session: Whose region, profile and configured URLs count.
        network: The network for DNS.
        options: The routing arguments.
        metadata: Returns the network for asking the platform where this process runs;
            ``network`` by default.
        keeps_on_disk: Whether routes may be kept on disk at all.
        lookups: The AWS calls.
        access_key_id: The id of a key that the session was made with; part of the identity that
            kept routes belong to.

    Attributes:
        era: A token that ``forget`` and ``doubt`` replace: a route that was kept with another one
            is old.
    """

    def __init__(
        self,
        session: botocore.session.Session,
        *,
        network: NetworkBackend,
        options: RoutingOptions,
        keeps_on_disk: bool,
        lookups: Lookups,
        access_key_id: str | None = None,
        metadata: Callable[[], NetworkBackend] | None = None,
    ) -> None:
        self._session = session
        self._metadata = metadata or (lambda: network)
        self._network = network
        self._options = options
        self._keeps_on_disk = keeps_on_disk
        self._lookups = lookups
        self._access_key_id = access_key_id
        self._lock = ForkableLock()
        self._deciding: dict[object, ForkableLock] = {}
        self._caches: dict[str, RouteCache] = {}
        self._location: Location | None = None
        self._partitions: tuple[Partition, ...] = ()
        self._discoveries: dict[tuple[str, ClientCredentials], Discovery] = {}
        self._routes: dict[object, tuple[float, Route]] = {}
        self._refused: dict[object, tuple[float, NoPrivateRouteError]] = {}
        self.era = object()

    def settings(self) -> RoutingSettings:
        """Return the settings in force now.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        settings = load_settings(
            self._options, environ=read_environment(), profile=self._session.get_scoped_config()
        )
        return settings if self._keeps_on_disk else settings._replace(route_cache=None)

    def route(
        self,
        service_name: str,
        region: str,
        *,
        endpoint_url: str | None,
        config: Config | None,
        credentials: ClientCredentials,
    ) -> Route:
        """Return the route to a service; keep it, and for some seconds that there is none.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: See ``RouteResolver.resolve``.
        """
        request = self.request(service_name, region, endpoint_url=endpoint_url, config=config)
        key = (request, credentials)
        with self._lock:
            deciding = self._deciding.setdefault(key, ForkableLock())
        with deciding:  # one for each route: a service that is not reached holds up no other
            kept = self._routes.get(key)
            if kept is not None:
                return kept[1]
            until, refused = self._refused.get(key, (0.0, None))
            if refused is not None and time.monotonic() < until:
                raise copy.copy(refused)  # each caller gets a traceback of its own
            era = self.era
            try:
                decided = self._decide_anew(request, credentials)
            except NoPrivateRouteError as error:
                self._refused[key] = (time.monotonic() + REFUSAL_TTL, copy.copy(error))
                self._discovery(region, credentials).doubt()  # it may come
                raise
            with self._lock:
                if era is self.era:  # else everything was forgotten meanwhile
                    self._routes[key] = (time.monotonic(), decided)
            return decided

    def doubt(self, route: Route) -> None:
        """Have the next call decide a route anew, because an address was refused on it.

        Its VPC endpoint may have other interfaces by now. A route younger than 30 s is kept:
        otherwise a wrong DNS name would cause a question to EC2 at each call.
        """
        with self._lock:
            kept = next(((key, at) for key, (at, r) in self._routes.items() if r is route), None)
            if kept is None or time.monotonic() - kept[1] < DOUBT_AFTER:
                return
            del self._routes[kept[0]]
            self.era = object()
            discoveries = tuple(self._discoveries.values())
        for discovery in discoveries:  # without the lock, as in ``forget``
            discovery.forget()

    def has_private_dns(self, browser_service: str) -> bool:
        """Return True if a VPC endpoint with private DNS is known for ``notebook`` or ``studio``.

        Ask nobody: only what discovery saw so far counts.
        """
        with self._lock:
            known = [v for discovery in self._discoveries.values() for v in discovery.known()]
        names = ((v, services.by_endpoint_service_name(v.endpoint_service)) for v in known)
        return any(
            row.is_browser_only and row.name_suffix == browser_service
            for v, row in names
            if row is not None and v.private_dns_enabled and v.is_available
        )

    def request(
        self,
        service_name: str,
        region: str,
        *,
        endpoint_url: str | None = None,
        config: Config | None = None,
    ) -> RouteRequest:
        """Return what decides a route: the settings, and the URLs of botocore.

        Raises:
            ConfigurationError: A setting cannot be used.
        """
        default_config = self._session.get_default_client_config()
        if default_config is not None:  # botocore puts the caller's on top of it, and so do we
            config = default_config.merge(config) if config is not None else default_config
        fips = botocore_rules.wants_fips(self._session, config)
        dual_stack = botocore_rules.wants_dual_stack(self._session, config)
        place = (self._session, service_name, region)
        plain = botocore_rules.default_url(*place, dual_stack=dual_stack)
        default = (
            botocore_rules.default_url(*place, fips=True, dual_stack=dual_stack) if fips else plain
        )
        configured = self._configured_url(service_name, config)
        if configured is not None and endpoint_url == configured.url:
            endpoint_url = None  # botocore gave it to the client; what comes before it counts
        return RouteRequest(
            service_name=service_name,
            region=region,
            settings=self.settings(),
            endpoint_url=endpoint_url,
            configured_url=configured,
            default_url=default,
            fips=fips,
            default_is_fips=fips and default is not None and default == plain,
        )

    def plain_url(
        self, service_name: str, region: str, *, config: Config | None = None
    ) -> str | None:
        """Return the URL of boto3's own client of any service, if there is one."""
        configured = self._configured_url(service_name, config)
        if configured is not None:
            return configured.url
        fips = botocore_rules.wants_fips(self._session, config)
        return botocore_rules.default_url(self._session, service_name, region, fips=fips)

    def _configured_url(
        self, service_name: str, config: Config | None
    ) -> botocore_rules.ConfiguredUrl | None:
        environ = read_environment()
        return botocore_rules.configured_url(
            self._session, service_name, config=config, environ=environ
        )

    def location(self) -> Location:
        """Return where this process runs, as far as its platform says so; ask within a second."""
        if self._location is None:
            network, environ = self._metadata(), read_environment()

            def ask() -> Location:
                return locate(network, environ=environ)

            is_shared = isinstance(network, SystemNetwork)  # where nothing answers, this takes 1 s
            key = frozenset(environ.items())
            self._location = shared_answer(_LOCATION, key, ask) if is_shared else ask()
        return self._location

    def set_location(self, location: Location) -> None:
        """Set where this process runs, until everything is forgotten; ask no platform."""
        self._location = location

    def partition(self, region: str) -> Partition:
        """Return the partition of a region.

        Raises:
            ConfigurationError: No partition has such a region.
        """
        return partition_of(region, self._known_partitions())

    def forget(self) -> None:
        """Forget everything, in memory and on disk."""
        with self._lock:
            discoveries = tuple(self._discoveries.values())
        for discovery in discoveries:  # without the lock: a sealed session asks EC2 over a route
            discovery.forget()
        directory = self.settings().route_cache
        if directory is not None:
            self._cache(directory).forget()
        forget_shared_answers(_LOCATION)
        with self._lock:  # last, so that what is decided from now on saw none of it
            self._routes.clear()
            self._refused.clear()
            self._location = None
            self.era = object()

    def _decide_anew(self, request: RouteRequest, credentials: ClientCredentials) -> Route:
        """Decide; once more if the answers to another session led nowhere."""
        try:
            return self._decide(request, credentials)
        except (RoutingError, PublicAddressError):
            discovery = self._discovery(request.region, credentials)
            if not discovery.is_second_hand:
                raise
            discovery.forget()
        return self._decide(request, credentials)

    def _decide(self, request: RouteRequest, credentials: ClientCredentials) -> Route:
        if not services.is_family(request.service_name):
            from sm_private_client.routing import sealed_routes  # noqa: PLC0415 - for these alone

            sources = self._sources(request.region, credentials)
            # The session's own credentials may be what STS is called for, without a signature.
            unsigned = credentials.is_unsigned and request.service_name == "sts"
            can_ask = not unsigned and request.service_name != "ec2"
            return sealed_routes.other_service_route(sources, request, can_ask_ec2=can_ask)
        resolver = RouteResolver(self._sources(request.region, credentials))
        directory = request.settings.route_cache
        if directory is None or request.endpoint_url or request.configured_url:
            return resolver.resolve(request)
        started = time.monotonic()
        where = self.location()
        key = {
            "service": request.service_name,
            "partition": self.partition(request.region).name,
            "region": request.region,
            "vpc": where.vpc_id,
            "subnets": where.subnet_ids,
            "resource": str(where.resource),
            "identity": identity_of(
                self._session.profile or "default",
                read_environment(),
                credentials.aws_access_key_id or self._access_key_id,
            ),
            "settings": request.settings.cache_key(),
            "default_url": request.default_url,
            "fips": request.fips,
        }

        def left() -> float:  # the location took time, and so may the turn of other processes
            return ROUTE_TIMEOUT - (time.monotonic() - started)

        return self._cache(directory).fetch(
            key,
            decide=lambda: resolver.resolve(request, timeout=left()),
            recall=lambda kept: resolver.recall(request, kept, timeout=left()),
            answers_of=lambda route: resolver.answers_of(request, route),
        )

    def _cache(self, directory: str) -> RouteCache:
        with self._lock:  # one for the session, so that what is wrong with it is said once
            return self._caches.setdefault(directory, RouteCache(directory))

    def _sources(self, region: str, credentials: ClientCredentials) -> RouteSources:
        discovery = self._discovery(region, credentials)
        return RouteSources(
            network=self._network,
            partitions=self._known_partitions(),
            discovery=discovery,
            locate=self.location,
            ask_sagemaker=lambda resource, route: self._lookups.own_vpc(
                resource, route, credentials, discovery
            ),
        )

    def _discovery(self, region: str, credentials: ClientCredentials) -> Discovery:
        key = (region, credentials)
        with self._lock:
            if key not in self._discoveries:
                # A request that needs the region's own partition is refused before it asks.
                partition = partition_of(region, self._known_partitions(), falls_back=True)
                self._discoveries[key] = Discovery(
                    lambda: self._lookups.ec2(region, credentials),
                    service_names=[
                        endpoint_service_name(row, region=region, partition=partition)
                        for row in services.CATALOGUE
                    ],
                )
            return self._discoveries[key]

    def _known_partitions(self) -> tuple[Partition, ...]:
        if not self._partitions:
            self._partitions = botocore_rules.partitions(self._session)
        return self._partitions
