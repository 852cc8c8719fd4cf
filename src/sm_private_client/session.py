"""Session: a boto3.Session that wires the floors together."""

from __future__ import annotations

import contextlib
import threading
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import boto3.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import NoRegionError, UnknownServiceError

from sm_private_client.errors import ConfigurationError, PublicAddressError, RoutingError
from sm_private_client.inference.quota import RetryQuota
from sm_private_client.privatelink import services
from sm_private_client.routing import botocore_rules
from sm_private_client.routing.book import ClientCredentials, RouteBook
from sm_private_client.routing.network import NetworkBackend, SystemNetwork
from sm_private_client.routing.settings import (
    RoutingOptions,
    is_sealed,
    load_settings,
    read_environment,
)
from sm_private_client.transport.client_config import (
    USER_AGENT,
    RoutedConfig,
    sealed_config,
    verified_by,
)
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.egress import NO_PRIVATE_ROUTE, EgressLedger
from sm_private_client.transport.guarded import MadeClient, guard, redirect
from sm_private_client.transport.own_vpc import own_vpc
from sm_private_client.transport.presigned import PresignedUrlNotice
from sm_private_client.transport.sealing import Seal, seal_when_asked, without_common_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import botocore.session
    from botocore.client import BaseClient
    from typing_extensions import Unpack

    from sm_private_client.inference.aio import AsyncPredictor
    from sm_private_client.inference.async_invoker import AsyncInvoker
    from sm_private_client.inference.calls import PredictorOptions
    from sm_private_client.inference.invokers import DirectInvoker
    from sm_private_client.inference.invoking import Invoker
    from sm_private_client.inference.predictor import Predictor
    from sm_private_client.privatelink.records import Route
    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.provisioning.planning import PlanOptions
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.routing.location import SageMakerResource
    from sm_private_client.transport.egress import Egress
    from sm_private_client.transport.link_local import CredentialsHTTPSession

__all__ = ["Session", "is_making", "making"]

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}
)
"""For the calls that deciding a route may need, so that no route is said within ten seconds."""

_KEEP_BOTOCORES_URL: Final = frozenset({"private-dns", "gateway"})
"""How a service is reached at the host that botocore uses by itself."""

_making: Final[ContextVar[bool]] = ContextVar("sm_private_client_making", default=False)


@contextlib.contextmanager
def making() -> Iterator[None]:
    """Marks what is made meanwhile as ours: ``install`` and the plugin leave it alone."""
    token = _making.set(True)
    try:
        yield
    finally:
        _making.reset(token)


def is_making() -> bool:
    """Says whether a session of ours is making a client here and now, which it will guard."""
    return _making.get()


class Session(boto3.session.Session):
    """A ``boto3.Session`` whose SageMaker clients go through PrivateLink, or not at all.

    Takes every argument of ``boto3.Session``, the routing options, and ``network``. Making one
    does no I/O. Clients of services outside the SageMaker family are boto3's own, unless the
    session is sealed: then each is guarded, or refused. Clients of the family are routed and
    guarded, made once for one set of arguments, and shared: like every boto3 client they may be
    used by many threads.

    Args:
        network: What resolves names and opens sockets; the machine's own by default. A network
            that is given has its routes kept on disk only where ``route_cache`` says so.
        **routing: See ``RoutingOptions``.
    """

    _sealable: RoutingOptions | None = None  # a session made by ``over`` is never sealed
    _seal: Seal | None = None

    def __init__(
        self,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        botocore_session: botocore.session.Session | None = None,
        profile_name: str | None = None,
        aws_account_id: str | None = None,
        *,
        network: NetworkBackend | None = None,
        **routing: Unpack[RoutingOptions],
    ) -> None:
        load_settings(routing, environ={}, profile={})  # what is wrong is said here, not later
        super().__init__(
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key=aws_secret_access_key,
            aws_session_token=aws_session_token,
            region_name=region_name,
            botocore_session=botocore_session,
            profile_name=profile_name,
            aws_account_id=aws_account_id,
        )
        self._wire(network, routing, access_key_id=aws_access_key_id)
        self._recipe = {
            "region_name": region_name,
            "profile_name": profile_name,
            "network": network,
            **routing,
        }
        self._sealable = routing
        seal_when_asked(self._session, self._sealing)
        if is_sealed(routing, environ=read_environment(), profile={}):
            self._sealed_now()

    @classmethod
    def over(
        cls,
        botocore_session: botocore.session.Session,
        *,
        network: NetworkBackend | None = None,
        **routing: Unpack[RoutingOptions],
    ) -> Session:
        """Makes a session on a botocore session that is a ``boto3.Session``'s already.

        boto3 can set a botocore session up only once, so that is left out: the session gives
        clients and routes as any other, but no resources, and it cannot be pickled.

        Args:
            botocore_session: Whose region, profile and credentials count.
            network: As for ``Session``.
            **routing: As for ``Session``.
        """
        load_settings(routing, environ={}, profile={})
        made = cls.__new__(cls)
        made._session = botocore_session  # noqa: SLF001 - an instance of this class
        known = botocore_session.get_credentials()
        key = known.access_key if known is not None and known.method == "explicit" else None
        made._wire(network, routing, access_key_id=key)  # noqa: SLF001 - as above
        return made

    def _wire(
        self,
        network: NetworkBackend | None,
        routing: RoutingOptions,
        *,
        access_key_id: str | None,
    ) -> None:
        self._network: NetworkBackend = network or SystemNetwork()
        self._routes = RouteBook(
            self._session,
            network=self._network,
            options=routing,
            keeps_on_disk=network is None or routing.get("route_cache") is not None,
            callers=_Callers(self),
            access_key_id=access_key_id,
            metadata=self._metadata_network,
        )
        self._egress = EgressLedger()
        self._health = ZoneHealth()
        self._lock = threading.RLock()
        self._making = threading.RLock()  # a credential provider may make a client meanwhile
        self._clients: dict[object, Any] = {}
        self._direct: dict[str, DirectInvoker] = {}
        self._async: dict[str, AsyncInvoker] = {}
        self._quota = RetryQuota()
        self._presigned: PresignedUrlNotice | None = None

    if not TYPE_CHECKING:  # type checkers see boto3-stubs' overloads, every service included

        def client(
            self,
            service_name: str,
            region_name: str | None = None,
            api_version: str | None = None,
            use_ssl: bool | None = True,  # noqa: FBT002 - boto3's own signature
            verify: bool | str | None = None,
            endpoint_url: str | None = None,
            aws_access_key_id: str | None = None,
            aws_secret_access_key: str | None = None,
            aws_session_token: str | None = None,
            config: Config | None = None,
            aws_account_id: str | None = None,
        ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
            """Makes a client; every argument means what it means to ``boto3.Session.client``.

            Raises:
                NoPrivateRouteError: There is no private route; nothing was sent.
                RoutingError, PublicAddressError, ConfigurationError: See ``errors``.
            """
            credentials = ClientCredentials(
                aws_access_key_id, aws_secret_access_key, aws_session_token, aws_account_id
            )
            self._sealing()
            if not self._is_routed(service_name):
                return super().client(
                    service_name,
                    region_name=region_name,
                    api_version=api_version,
                    use_ssl=use_ssl,
                    verify=verify,
                    endpoint_url=endpoint_url,
                    config=config,
                    **credentials.as_arguments(),
                )
            return self._shared_client(
                services.canonical_service_name(service_name),
                self._routed_config(config),
                config,
                region_name=region_name,
                api_version=api_version,
                use_ssl=use_ssl,
                verify=verify,
                endpoint_url=endpoint_url,
                credentials=credentials,
            )

    def unshared_client(
        self,
        service_name: str,
        *,
        config: Config | None = None,
        **arguments: Any,  # noqa: ANN401 - those of boto3
    ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Makes a client of the family that nobody else is given, as ``boto3.Session`` does.

        Args:
            service_name: boto3's name of the service.
            config: As for ``client``.
            **arguments: As for ``client``.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: As ``client`` does.
        """
        credentials = ClientCredentials(
            **{name: arguments.pop(name, None) for name in ClientCredentials.names()}
        )
        given = {
            "region_name": None,
            "api_version": None,
            "use_ssl": True,
            "verify": None,
            "endpoint_url": None,
            **arguments,
        }
        name = services.canonical_service_name(service_name)
        make = self._routed_client(
            name, self._routed_config(config), config, credentials=credentials, **given
        )
        return make()

    def adopt(self, client: BaseClient) -> Route:
        """Puts a client of the family that was made elsewhere on its private route.

        Nobody may have used it yet. Its retries stay what they are; its time-outs become ours
        where they are botocore's defaults. A URL that it was made with is kept, and judged.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: As ``client`` does; the client
                is as it was, and goes out publicly when it is used.
        """
        made, config = MadeClient.of(client), client.meta.config
        service_name = services.canonical_service_name(client.meta.service_model.service_name)
        configured = botocore_rules.configured_url(
            self._session, service_name, config=config, environ=read_environment()
        )
        given = made.endpoint_url
        if configured is not None and given == configured.url:
            given = None  # the book knows what comes before it
        bundle = self._checked_bundle(service_name, made.use_ssl, made.verify, made.endpoint_url)
        route = self._decided(
            service_name,
            client.meta.region_name,
            endpoint_url=given,
            config=config,
            credentials=self._credentials_beside_ours(made.credentials),
        )
        routed = RoutedConfig.adopted(config)
        if route.source != "private-dns":
            redirect(client, route.endpoint_url)
        self._put_on(client, route, bundle, routed)
        return route

    def _credentials_beside_ours(self, theirs: Any) -> ClientCredentials:  # noqa: ANN401
        if theirs is None:
            return ClientCredentials()
        frozen, ours = theirs.get_frozen_credentials(), self.get_credentials()
        if ours is not None and ours.get_frozen_credentials().access_key == frozen.access_key:
            return ClientCredentials()
        return ClientCredentials(frozen.access_key, frozen.secret_key, frozen.token)

    def route(
        self,
        service_name: str,
        region_name: str | None = None,
        *,
        endpoint_url: str | None = None,
        config: Config | None = None,
    ) -> Route:
        """Tells how a service of the SageMaker family is reached from here, and why.

        Args:
            service_name: boto3's name, for example ``sagemaker-runtime``; in a sealed session of
                any service.
            region_name: The session's region by default.
            endpoint_url: As for ``client``.
            config: As for ``client``; FIPS, dual-stack and region count.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: As ``client`` would.
        """
        if self._sealing() is None:
            services.for_service(service_name)  # raises: not of the family
        return self._decided(
            services.canonical_service_name(service_name),
            self._region(region_name, config),
            endpoint_url=endpoint_url,
            config=config,
            credentials=ClientCredentials(),
        )

    def predictor(
        self,
        endpoint_name: str,
        *,
        region_name: str | None = None,
        transport: Literal["direct", "botocore"] = "direct",
        client: Any = None,  # noqa: ANN401 - boto3's clients are made at run time
        **options: Unpack[PredictorOptions],
    ) -> Predictor:
        """Makes a ``Predictor`` for one inference endpoint, over this session's private route.

        Predictors of a session share their connections.

        Args:
            endpoint_name: The inference endpoint's name.
            region_name: The session's region by default.
            transport: ``direct`` signs and sends itself; ``botocore`` goes through a boto3 client
                whose own retries are off.
            client: A ``sagemaker-runtime`` client to use instead; see ``Predictor``.
            **options: See ``Predictor``.

        Raises:
            NoPrivateRouteError: There is no private route; nothing was sent.
            RoutingError, PublicAddressError, ConfigurationError: See ``errors``.
        """
        # Here and below: a process that only wants clients need not load what calls models.
        from sm_private_client.inference.predictor import Predictor  # noqa: PLC0415
        from sm_private_client.inference.s3 import S3Objects  # noqa: PLC0415

        if client is not None:
            return Predictor(endpoint_name, client=client, **options)
        region = self._region(region_name, None)
        if transport == "direct":
            invoker: Invoker = self._direct_invoker(region)
        elif transport == "botocore":
            invoker = self._botocore_invoker(region, options)
        else:
            raise ConfigurationError(
                f"transport= has {transport!r}.", remedy="give 'direct' or 'botocore'."
            )
        again = {**options, "region_name": region, "transport": transport}
        return Predictor(
            endpoint_name,
            invoker=invoker,
            quota=self._quota,
            s3=S3Objects.of_session(self),
            recipe=(_predictor_again, (self, "predictor", endpoint_name, again)),
            **options,
        )

    def async_predictor(
        self,
        endpoint_name: str,
        *,
        region_name: str | None = None,
        **options: Unpack[PredictorOptions],
    ) -> AsyncPredictor:
        """Makes an ``AsyncPredictor``, as ``predictor`` makes a ``Predictor``; extra ``fast``.

        Deciding the route may take seconds: in an event loop, make it before the work begins or
        in ``asyncio.to_thread``.

        Args:
            endpoint_name: The inference endpoint's name.
            region_name: The session's region by default.
            **options: See ``Predictor``.

        Raises:
            MissingExtraError: The extra is not installed.
            Exception: As ``predictor``.
        """
        from sm_private_client.inference.aio import AsyncPredictor  # noqa: PLC0415
        from sm_private_client.inference.engines import async_invoker  # noqa: PLC0415
        from sm_private_client.inference.s3 import S3Objects  # noqa: PLC0415

        region = self._region(region_name, None)
        with self._lock:
            if region not in self._async:
                credentials: Any = self.get_credentials()
                self._async[region] = async_invoker(
                    **self._carrier_options(region),
                    # Only credentials that expire have it.
                    refresh_is_due=getattr(credentials, "refresh_needed", lambda: False),
                )
            invoker = self._async[region]
        again = {**options, "region_name": region}
        return AsyncPredictor(
            endpoint_name,
            invoker=invoker,
            quota=self._quota,
            s3=S3Objects.of_session(self),
            recipe=(_predictor_again, (self, "async_predictor", endpoint_name, again)),
            **options,
        )

    def plan_vpc_endpoints(self, *, vpc_id: str, **options: Unpack[PlanOptions]) -> Plan:
        """Plans the VPC endpoints of a VPC; looks, and changes nothing.

        Args:
            vpc_id: The VPC.
            **options: See ``provisioning.plan_vpc_endpoints``.

        Raises:
            Exception: As ``provisioning.plan_vpc_endpoints``.
        """
        from sm_private_client.provisioning.planning import plan_vpc_endpoints  # noqa: PLC0415

        return plan_vpc_endpoints(self, vpc_id=vpc_id, **options)

    def _direct_invoker(self, region: str) -> DirectInvoker:
        from sm_private_client.inference.engines import direct_invoker  # noqa: PLC0415

        with self._lock:
            if region not in self._direct:
                self._direct[region] = direct_invoker(**self._carrier_options(region))
            return self._direct[region]

    def _botocore_invoker(self, region: str, options: PredictorOptions) -> Invoker:
        from sm_private_client.inference.calls import (  # noqa: PLC0415
            INVOKE_TIMEOUT,
            STREAM_TIMEOUT,
        )
        from sm_private_client.inference.invokers import BotocoreInvoker  # noqa: PLC0415

        once = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            read_timeout=options.get("timeout", INVOKE_TIMEOUT),
        )
        routed = replace(
            self._routed_config(once), stream_timeout=options.get("stream_timeout", STREAM_TIMEOUT)
        )
        return BotocoreInvoker(
            self._shared_client(
                "sagemaker-runtime",
                routed,
                once,
                region_name=region,
                api_version=None,
                use_ssl=True,
                verify=None,
                endpoint_url=None,
                credentials=ClientCredentials(),
            )
        )

    def _carrier_options(self, region: str) -> dict[str, Any]:
        routed = RoutedConfig.merged(
            None,
            session_default=self._session.get_default_client_config(),
            retries_are_configured=True,
        )
        credentials: Any = self.get_credentials()
        make: Any = self.client
        return {
            "dialer": self._dialer(self.route("sagemaker-runtime", region)),
            "model": self._session.get_service_model("sagemaker-runtime"),
            "credentials": lambda: credentials and credentials.get_frozen_credentials(),
            "bundle": verified_by(None, session=self._session, environ=read_environment()),
            "config": routed.config,
            "user_agent": f"{self._session.user_agent()} {USER_AGENT}",
            "exceptions": lambda: make("sagemaker-runtime", region).exceptions,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        sealed = {"sealed": True} if self.sealed else {}  # whatever sealed it, wherever it goes
        return _session_again, ({**self._recipe, **sealed},)

    @property
    def network(self) -> NetworkBackend:
        """What this session resolves names and opens sockets with."""
        return self._network

    @property
    def ledger(self) -> EgressLedger:
        """What ``egress`` reads; for rooms above that connect for this session."""
        return self._egress

    @property
    def sealed(self) -> bool:
        """Whether no client or resource of this session may reach a public address."""
        return self._sealing() is not None

    def egress(self) -> Egress:
        """Tells what the clients of this session reached, and were refused, since it was made."""
        return self._egress.read(sealed=self.sealed)

    def get_credentials(self) -> Any:  # noqa: ANN401 - as boto3 has it
        """Gives the credentials, as boto3 does; a sealed session fetches them privately."""
        self._sealing()
        return super().get_credentials()

    @property
    def routes(self) -> RouteBook:
        """This session's routes and what they are decided by; for rooms above, such as doctor."""
        return self._routes

    @property
    def ca_bundle(self) -> bool | str:
        """What TLS is verified with: the path of a bundle, or ``True`` for botocore's own."""
        return verified_by(None, session=self._session, environ=read_environment())

    def forget_routes(self) -> None:
        """Forgets every route and shared client, here and on disk; the next one is made anew."""
        with self._lock:
            self._clients.clear()
            self._direct.clear()
            self._async.clear()
            self._routes.forget()

    def _routed_config(self, config: Config | None) -> RoutedConfig:
        return RoutedConfig.merged(
            config,
            session_default=self._session.get_default_client_config(),
            retries_are_configured=self._retries_are_configured(),
        )

    def _shared_client(
        self,
        service_name: str,
        routed: RoutedConfig,
        config: Config | None,
        **arguments: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        given = tuple(sorted(arguments.items()))
        key = (service_name, routed.key(), routed.stream_timeout, given)
        with self._lock:
            if key in self._clients:
                return self._clients[key]
        # Not under the lock: deciding a route may take seconds, and another service need not wait.
        make = self._routed_client(service_name, routed, config, **arguments)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = make()
            return self._clients[key]

    def _routed_client(
        self,
        service_name: str,
        routed: RoutedConfig,
        config: Config | None,
        *,
        region_name: str | None,
        api_version: str | None,
        use_ssl: bool | None,
        verify: bool | str | None,
        endpoint_url: str | None,
        credentials: ClientCredentials,
    ) -> Callable[[], Any]:
        """Checks what was asked for and decides its route; gives what makes the client."""
        bundle = self._checked_bundle(service_name, use_ssl, verify, endpoint_url)
        route = self._decided(
            service_name,
            self._region(region_name, config),
            endpoint_url=endpoint_url,
            config=config,
            credentials=credentials,
        )
        return lambda: self._client_over(route, routed, bundle, credentials, api_version)

    def _client_over(
        self,
        route: Route,
        routed: RoutedConfig,
        bundle: bool | str,
        credentials: ClientCredentials,
        api_version: str | None = None,
    ) -> Any:  # noqa: ANN401
        made = self._plain_client(
            route.service_name,
            region_name=route.region,
            api_version=api_version,
            verify=bundle,
            # With private DNS botocore keeps its own URL, and with it its own endpoint rules.
            endpoint_url=None if route.source in _KEEP_BOTOCORES_URL else route.endpoint_url,
            config=routed.config,
            **credentials.as_arguments(),
        )
        self._put_on(made, route, bundle, routed)
        return made

    def _put_on(
        self, made: BaseClient, route: Route, bundle: bool | str, routed: RoutedConfig
    ) -> None:
        guard(made, self._dialer(route), verify=bundle, stream_timeout=routed.stream_timeout)
        if route.service_name == "sagemaker":
            if self._presigned is None:
                self._presigned = PresignedUrlNotice(
                    self._network,
                    allowed_networks=self._routes.settings().allowed_networks,
                    has_private_dns=self._routes.has_private_dns,
                )
            self._presigned.watch(made)

    def _dialer(self, route: Route) -> Dialer:
        return Dialer(
            route,
            network=self._network,
            health=self._health,
            warn_only=self._routes.settings().on_public_route == "warn",
            egress=self._egress,
        )

    def _decided(self, service_name: str, region: str, **request: Any) -> Route:  # noqa: ANN401
        """Decides a route; a refusal is kept for ``egress``."""
        try:
            return self._routes.route(service_name, region, **request)
        except PublicAddressError as error:
            self._egress.refused(service_name, error.host, address=error.address, rule="public")
            raise
        except RoutingError:
            url = request["endpoint_url"] or self._routes.plain_url(
                service_name, region, config=request["config"]
            )
            host = urlsplit(url or "").hostname or ""
            self._egress.refused(service_name, host, rule=NO_PRIVATE_ROUTE)
            raise

    def _checked_bundle(
        self,
        service_name: str,
        use_ssl: bool | None,
        verify: bool | str | None,
        endpoint_url: str | None,
    ) -> bool | str:
        if not use_ssl and endpoint_url is None:
            raise ConfigurationError(
                f"use_ssl=False asks for an unencrypted {service_name} client.",
                cause="a private route is always encrypted.",
                remedy="leave use_ssl out; for a stand-in on this machine pass endpoint_url=.",
            )
        return verified_by(verify, session=self._session, environ=read_environment())

    def _sealing(self) -> Seal | None:
        """Gives the seal, once any source of settings asks for one; it is never taken off."""
        if self._seal is None and self._sealable is not None:
            profile = self._session.get_scoped_config()
            if is_sealed(self._sealable, environ=read_environment(), profile=profile):
                self._sealed_now()
        return self._seal

    def _sealed_now(self) -> None:
        with self._lock:
            if self._seal is None:
                self._seal = Seal(
                    self._session, make=self._sealed_client, fetch=self._credentials_session
                )

    def _sealed_client(
        self,
        service_name: str,
        arguments: dict[str, Any],
        create: Callable[..., Any],
    ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Makes a client of any service, guarded, however botocore was asked for it."""
        if self._is_routed(service_name):
            make: Any = self.client
            return make(service_name, **arguments)
        known = self.get_available_services()
        if service_name not in known:  # before a handler of somebody's makes another name of it
            raise UnknownServiceError(
                service_name=service_name, known_service_names=", ".join(sorted(known))
            )
        endpoint_url, caller = arguments.get("endpoint_url"), arguments.get("config")
        bundle = self._checked_bundle(
            service_name, arguments.get("use_ssl", True), arguments.get("verify"), endpoint_url
        )
        default = self._session.get_default_client_config()
        config = sealed_config(caller, session_default=default)
        passed = {name: arguments.get(name) for name in ClientCredentials.names()}
        unsigned = getattr(config, "signature_version", None) is UNSIGNED
        route = self._decided(
            service_name,
            self._region(arguments.get("region_name"), caller),
            endpoint_url=endpoint_url,
            config=caller,
            credentials=ClientCredentials(**passed, is_unsigned=unsigned),
        )
        arguments |= {"config": config, "verify": bundle, "endpoint_url": route.endpoint_url}
        if route.source in _KEEP_BOTOCORES_URL:
            del arguments["endpoint_url"]
        with self._making, making():
            made = create(service_name, **arguments)
        read_timeout = made.meta.config.read_timeout
        guard(made, self._dialer(route), verify=bundle, stream_timeout=read_timeout)
        if service_name == "s3":
            without_common_runtime(made)
        return made

    def _credentials_session(self, service_name: str) -> CredentialsHTTPSession:
        from sm_private_client.transport.link_local import CredentialsHTTPSession  # noqa: PLC0415

        return CredentialsHTTPSession(
            service_name,
            network=self._network,
            health=self._health,
            egress=self._egress,
            timeout=float(self._session.get_config_variable("metadata_service_timeout")),
        )

    def _metadata_network(self) -> NetworkBackend:
        if self._seal is None:
            return self._network
        from sm_private_client.transport.link_local import MetadataNetwork  # noqa: PLC0415

        return MetadataNetwork(self._network, egress=self._egress)

    def _is_routed(self, service_name: str) -> bool:
        """Says whether a name is ours; one that nobody knows is left to boto3 to refuse."""
        name = services.canonical_service_name(service_name)
        if name in services.routable_service_names() or name in services.UNROUTABLE:
            return True
        return services.is_family(name) and name in self.get_available_services()

    def _plain_client(self, service_name: str, **arguments: Any) -> Any:  # noqa: ANN401
        make: Any = super().client
        lifted = self._seal.lifted() if self._seal else contextlib.nullcontext()
        with self._making, making(), lifted:  # botocore makes one client at a time
            return make(service_name, **arguments)

    def _retries_are_configured(self) -> bool:
        environ, profile = read_environment(), self._session.get_scoped_config()
        return any(
            environ.get(f"AWS_{name.upper()}") or profile.get(name)
            for name in ("retry_mode", "max_attempts")
        )

    def _region(self, region_name: str | None, config: Config | None) -> str:
        default = self._session.get_default_client_config()
        configured = (getattr(c, "region_name", None) for c in (config, default))
        region = region_name or next(filter(None, configured), None) or self.region_name
        if not region:
            raise NoRegionError
        return str(region)


def _session_again(recipe: dict[str, Any]) -> Session:
    """Makes a session from its recipe, which has names and settings and no credentials."""
    return Session(**recipe)


def _predictor_again(
    session: Session, verb: str, endpoint_name: str, options: dict[str, Any]
) -> Any:  # noqa: ANN401 - a Predictor or an AsyncPredictor
    return getattr(session, verb)(endpoint_name, **options)


class _Callers:
    """The AWS calls that deciding a route may need, made with the session's own means."""

    def __init__(self, session: Session) -> None:
        self._owner = session

    def ec2(self, region: str, credentials: ClientCredentials) -> Any:  # noqa: ANN401
        arguments = credentials.as_arguments()
        if self._owner.sealed:
            make: Any = self._owner.client
            return make("ec2", region_name=region, config=_QUICK, **arguments)
        return self._owner._plain_client(  # noqa: SLF001 - same module
            "ec2", region_name=region, config=_QUICK, **arguments
        )

    def own_vpc(
        self,
        resource: SageMakerResource,
        route: Route,
        credentials: ClientCredentials,
        discovery: Discovery,
    ) -> str | None:
        owner = self._owner
        routed = RoutedConfig.merged(_QUICK, session_default=None, retries_are_configured=False)
        bundle = verified_by(None, session=owner._session, environ=read_environment())  # noqa: SLF001
        asked = owner._client_over(route, routed, bundle, credentials)  # noqa: SLF001 - same module
        return own_vpc(resource, asked, discovery)
