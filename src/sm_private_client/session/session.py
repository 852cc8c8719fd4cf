"""Session: boto3's signatures and our verbs, over the parts that do the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import boto3.session
from botocore.exceptions import NoRegionError

from sm_private_client.privatelink import services
from sm_private_client.routing.network import NetworkBackend, SystemNetwork
from sm_private_client.routing.router import Router
from sm_private_client.routing.settings import RoutingOptions, load_settings, missing_region
from sm_private_client.session.clients import ClientGuard, check_encrypted
from sm_private_client.session.models import new_botocore_session
from sm_private_client.session.predictors import SharedInvokers
from sm_private_client.session.private_routes import PrivateRoutes
from sm_private_client.session.routing_clients import RouteLookups
from sm_private_client.session.sealed import Seal

if TYPE_CHECKING:
    import botocore.session
    from botocore.config import Config
    from typing_extensions import Unpack

    from sm_private_client.inference.async_predictor import AsyncPredictor
    from sm_private_client.inference.invocation import PredictorOptions
    from sm_private_client.inference.predictor import Predictor
    from sm_private_client.privatelink.records import Route
    from sm_private_client.transport.egress import Egress
    from sm_private_client.types import BotoClient

__all__ = ["Session", "guard_client", "session_over"]


class Session(boto3.session.Session):
    """A ``boto3.Session`` whose SageMaker clients go through PrivateLink, or not at all.

    It takes every argument of ``boto3.Session``, the routing options, and ``network``. Making a
    session or a client does no I/O: the first call of a client decides its route, which the
    session keeps. Clients of services outside the SageMaker family are boto3's own, unless the
    session is sealed: then each is guarded.

    Args:
        network: Resolves names and opens sockets; the machine's own by default. Routes over a
            network that is given are kept on disk only if ``route_cache`` says so.
        **routing: See ``RoutingOptions``.
    """

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
        load_settings(routing, environ={}, profile={})  # raises for a bad option now, not later
        super().__init__(
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key=aws_secret_access_key,
            aws_session_token=aws_session_token,
            region_name=region_name,
            botocore_session=botocore_session or new_botocore_session(),
            profile_name=profile_name,
            aws_account_id=aws_account_id,
        )
        self._build(network, routing, access_key_id=aws_access_key_id)
        self._recipe = {
            "region_name": region_name,
            "profile_name": profile_name,
            "network": network,
            **routing,
        }
        self._seal.watch(routing, self._clients, family=True)

    def _build(
        self,
        network: NetworkBackend | None,
        routing: RoutingOptions,
        *,
        access_key_id: str | None,
    ) -> None:
        """Make the parts; no I/O."""
        network = network or SystemNetwork()
        router = Router(
            self._session,
            network=network,
            options=routing,
            keeps_on_disk=isinstance(network, SystemNetwork) or bool(routing.get("route_cache")),
            lookups=RouteLookups(super().client, routes=lambda: self._routes),
            access_key_id=access_key_id,
            metadata=lambda: self._seal.metadata_network(),  # noqa: PLW0108 - not yet made
        )
        self._routes = PrivateRoutes(self._session, network=network, router=router)
        self._clients = ClientGuard(self._session, routes=self._routes)
        self._seal = Seal(self._session, routes=self._routes)
        self._invokers = SharedInvokers(
            self._session,
            routes=self._routes,
            clients=self._clients,
            client=self.client,
            get_credentials=self.get_credentials,
        )

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
        ) -> BotoClient:
            """Return boto3's own client, guarded if it is of the family or the session is sealed.

            Every argument means what it means to ``boto3.Session.client``. There is no I/O: the
            first call raises if there is no private route.

            Raises:
                MissingRegionError: No region is set; ``except NoRegionError`` catches it.
                ConfigurationError: An argument asks for a proxy or for unverified TLS, or the URL
                    cannot be used.
            """
            is_family = services.is_family(service_name)
            routed = self._clients.routed_config(config) if is_family else None
            if is_family or self.sealed:
                check_encrypted(service_name, use_ssl=use_ssl, endpoint_url=endpoint_url)
            try:
                client = super().client(
                    service_name,
                    region_name=region_name,
                    api_version=api_version,
                    use_ssl=use_ssl,
                    verify=verify,
                    endpoint_url=endpoint_url,
                    aws_access_key_id=aws_access_key_id,
                    aws_secret_access_key=aws_secret_access_key,
                    aws_session_token=aws_session_token,
                    config=routed.config if routed is not None else config,
                    aws_account_id=aws_account_id,
                )
            except NoRegionError:
                raise missing_region() from None
            # By its own name: botocore may know an alias that we do not. As a text: the client of
            # a mocked botocore session has a name that is none.
            if services.is_family(str(client.meta.service_model.service_name)):
                self._clients.put_on(client, routed=routed)
            return self._clients.checked(client) if self.sealed else client

    def route(
        self,
        service_name: str,
        region_name: str | None = None,
        *,
        endpoint_url: str | None = None,
        config: Config | None = None,
    ) -> Route:
        """Return how a service of the SageMaker family is reached from here, with the evidence.

        Args:
            service_name: boto3's name, for example ``sagemaker-runtime``; that of any service in
                a sealed session.
            region_name: The session's region by default.
            endpoint_url: As for ``client``.
            config: As for ``client``; FIPS, dual-stack and region count.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: As the first call of a client.
        """
        if not self.sealed:
            services.for_service(service_name)  # raises if it is not of the family
        return self._routes.route(
            service_name, region_name, endpoint_url=endpoint_url, config=config
        )

    def predictor(
        self,
        endpoint_name: str,
        *,
        region_name: str | None = None,
        transport: Literal["direct", "botocore"] = "direct",
        client: BotoClient = None,
        **options: Unpack[PredictorOptions],
    ) -> Predictor:
        """Return a ``Predictor`` for one inference endpoint, over this session's private route.

        Predictors of a session share their connections. There is no I/O: the first call decides
        the route, and raises what ``route`` does.

        Args:
            endpoint_name: The inference endpoint's name.
            region_name: The session's region by default.
            transport: ``direct``: our own HTTP; ``botocore``: a boto3 client whose own retries
                are off.
            client: A ``sagemaker-runtime`` client to use instead; see ``Predictor``.
            **options: See ``Predictor``.

        Raises:
            MissingRegionError: No region is set; ``except NoRegionError`` catches it.
            ConfigurationError: An argument cannot be used.
        """
        # Here and below: a process that only wants clients need not load what calls models.
        from sm_private_client.inference.predictor import Predictor

        if client is not None:
            return Predictor(endpoint_name, client=client, **options)
        region = self._routes.region(region_name, None)
        again: dict[str, Any] = {**options, "region_name": region, "transport": transport}
        return Predictor(
            endpoint_name,
            invoker=self._invokers.invoker(transport, region, options),
            **self._invokers.predictor_arguments(self, "predictor", endpoint_name, again),
            **options,
        )

    def async_predictor(
        self,
        endpoint_name: str,
        *,
        region_name: str | None = None,
        **options: Unpack[PredictorOptions],
    ) -> AsyncPredictor:
        """Return an ``AsyncPredictor``; see ``predictor``."""
        from sm_private_client.inference.async_predictor import AsyncPredictor

        region = self._routes.region(region_name, None)
        again: dict[str, Any] = {**options, "region_name": region}
        return AsyncPredictor(
            endpoint_name,
            invoker=self._invokers.async_invoker(region),
            **self._invokers.predictor_arguments(self, "async_predictor", endpoint_name, again),
            **options,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        sealed = {"sealed": True} if self.sealed else {}  # whatever sealed it here
        return _session_again, ({**self._recipe, **sealed},)

    @property
    def sealed(self) -> bool:
        """Whether no client or resource of this session may reach a public address."""
        return self._seal.is_on()

    def egress(self) -> Egress:
        """Return what the clients of this session reached, and were refused, since it was made."""
        return self._routes.egress.read(sealed=self.sealed)

    def forget_routes(self) -> None:
        """Forget every route, here and on disk; the next call of each client decides anew."""
        self._routes.router.forget()


def session_over(
    session: boto3.session.Session | botocore.session.Session,
    *,
    network: NetworkBackend | None = None,
    **routing: Unpack[RoutingOptions],
) -> Session:
    """Return a session on the botocore session of another one, which stays as it is.

    boto3 can set up a botocore session only once, so that is left out. The session cannot be
    pickled. Over a botocore session it makes no resources, and is never sealed.
    """
    load_settings(routing, environ={}, profile={})
    made = Session.__new__(Session)
    is_boto3 = isinstance(session, boto3.session.Session)
    vars(made).update(vars(session) if is_boto3 else {"_session": session})
    made._build(network, routing, access_key_id=None)  # noqa: SLF001 - in place of __init__
    if is_boto3:
        made._seal.watch(routing, made._clients, family=False)  # noqa: SLF001 - the same
    return made


def guard_client(session: Session, client: BotoClient) -> None:
    """Put a session's guard on a client that another session made; no I/O.

    Its first call decides the route. Its retries stay what they are; its time-outs become ours
    if they are botocore's defaults. A URL that it was made with is kept, and judged. Nobody may
    have used it yet.

    Raises:
        ConfigurationError: It asks for a proxy or for unverified TLS, or it is asynchronous; the
            client is as it was.
    """
    session._clients.put_on(client, is_foreign=True)  # noqa: SLF001 - for rooms above, not for users


def _session_again(recipe: dict[str, Any]) -> Session:
    """Make a session from names and settings, without credentials."""
    return Session(**recipe)
