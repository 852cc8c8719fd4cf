"""Session: boto3's signatures and our verbs; the work is done by its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import boto3.session

from sm_private_client.privatelink import services
from sm_private_client.routing.network import NetworkBackend, SystemNetwork
from sm_private_client.routing.settings import RoutingOptions, load_settings
from sm_private_client.session.clients import ClientRequest
from sm_private_client.session.wiring import Parts

if TYPE_CHECKING:
    import botocore.session
    from botocore.client import BaseClient
    from botocore.config import Config
    from typing_extensions import Unpack

    from sm_private_client.inference.aio import AsyncPredictor
    from sm_private_client.inference.calls import PredictorOptions
    from sm_private_client.inference.predictor import Predictor
    from sm_private_client.privatelink.records import Route
    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.provisioning.planning import PlanOptions
    from sm_private_client.routing.book import RouteBook
    from sm_private_client.transport.egress import Egress, EgressLedger

__all__ = ["Session"]


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
        self._parts.sealed_clients.watch(routing)

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
        self._parts = Parts.wired(
            self._session,
            network=network or SystemNetwork(),
            routing=routing,
            keeps_on_disk=network is None or routing.get("route_cache") is not None,
            access_key_id=access_key_id,
            client=self.client,
            boto3_client=super().client,
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
        ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
            """Makes a client; every argument means what it means to ``boto3.Session.client``.

            Raises:
                NoPrivateRouteError: There is no private route; nothing was sent.
                RoutingError, PublicAddressError, ConfigurationError: See ``errors``.
            """
            arguments = {
                "region_name": region_name,
                "api_version": api_version,
                "use_ssl": use_ssl,
                "verify": verify,
                "endpoint_url": endpoint_url,
                "aws_access_key_id": aws_access_key_id,
                "aws_secret_access_key": aws_secret_access_key,
                "aws_session_token": aws_session_token,
                "config": config,
                "aws_account_id": aws_account_id,
            }
            self._parts.sealed_clients.seal()
            if self._parts.routes.is_routed(service_name):
                return self._parts.clients.shared(ClientRequest.of(service_name, **arguments))
            return super().client(service_name, **arguments)

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
        return self._parts.clients.unshared(
            ClientRequest.of(service_name, config=config, **arguments)
        )

    def adopt(self, client: BaseClient) -> Route:
        """Puts a client of the family that was made elsewhere on its private route.

        Nobody may have used it yet. Its retries stay what they are; its time-outs become ours
        where they are botocore's defaults. A URL that it was made with is kept, and judged.

        Raises:
            RoutingError, PublicAddressError, ConfigurationError: As ``client`` does; the client
                is as it was, and goes out publicly when it is used.
        """
        return self._parts.clients.adopt(client)

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
        if not self.sealed:
            services.for_service(service_name)  # raises: not of the family
        return self._parts.routes.route(
            service_name, region_name, endpoint_url=endpoint_url, config=config
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

        Predictors of a session share their connections. Making one does no I/O: its first call
        decides the route, and raises what ``route`` does.

        Args:
            endpoint_name: The inference endpoint's name.
            region_name: The session's region by default.
            transport: ``direct`` signs and sends itself; ``botocore`` goes through a boto3 client
                whose own retries are off.
            client: A ``sagemaker-runtime`` client to use instead; see ``Predictor``.
            **options: See ``Predictor``.

        Raises:
            NoRegionError: None is set anywhere; botocore's own.
            ConfigurationError: An argument cannot be used.
        """
        # Here and below: a process that only wants clients need not load what calls models.
        from sm_private_client.inference.predictor import Predictor  # noqa: PLC0415

        if client is not None:
            return Predictor(endpoint_name, client=client, **options)
        region = self._parts.routes.region(region_name, None)
        again = {**options, "region_name": region, "transport": transport}
        return Predictor(
            endpoint_name,
            invoker=self._parts.carriers.blocking(transport, region, options),
            **self._parts.carriers.carried(self, "predictor", endpoint_name, again),
            **options,
        )

    def async_predictor(
        self,
        endpoint_name: str,
        *,
        region_name: str | None = None,
        **options: Unpack[PredictorOptions],
    ) -> AsyncPredictor:
        """Makes an ``AsyncPredictor``, as ``predictor`` makes a ``Predictor``; no I/O.

        Args:
            endpoint_name: The inference endpoint's name.
            region_name: The session's region by default.
            **options: See ``Predictor``.

        Raises:
            Exception: As ``predictor``.
        """
        from sm_private_client.inference.aio import AsyncPredictor  # noqa: PLC0415

        region = self._parts.routes.region(region_name, None)
        again = {**options, "region_name": region}
        return AsyncPredictor(
            endpoint_name,
            invoker=self._parts.carriers.asynchronous(region),
            **self._parts.carriers.carried(self, "async_predictor", endpoint_name, again),
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

    def __reduce__(self) -> tuple[Any, ...]:
        sealed = {"sealed": True} if self.sealed else {}  # whatever sealed it, wherever it goes
        return _session_again, ({**self._recipe, **sealed},)

    @property
    def network(self) -> NetworkBackend:
        """What this session resolves names and opens sockets with."""
        return self._parts.routes.network

    @property
    def ledger(self) -> EgressLedger:
        """What ``egress`` reads; for rooms above that connect for this session."""
        return self._parts.routes.egress

    @property
    def sealed(self) -> bool:
        """Whether no client or resource of this session may reach a public address."""
        return self._parts.sealed_clients.seal() is not None

    def egress(self) -> Egress:
        """Tells what the clients of this session reached, and were refused, since it was made."""
        return self._parts.routes.egress.read(sealed=self.sealed)

    def get_credentials(self) -> Any:  # noqa: ANN401 - as boto3 has it
        """Gives the credentials, as boto3 does; a sealed session fetches them privately."""
        self._parts.sealed_clients.seal()
        return super().get_credentials()

    @property
    def routes(self) -> RouteBook:
        """This session's routes and what they are decided by; for rooms above, such as doctor."""
        return self._parts.routes.book

    @property
    def ca_bundle(self) -> bool | str:
        """What TLS is verified with: the path of a bundle, or ``True`` for botocore's own."""
        return self._parts.routes.bundle()

    def forget_routes(self) -> None:
        """Forgets every route and shared client, here and on disk; the next one is made anew."""
        self._parts.routes.book.forget()  # first, so that nothing is made anew by an old route
        self._parts.clients.forget()
        self._parts.carriers.forget()


def _session_again(recipe: dict[str, Any]) -> Session:
    """Makes a session from its recipe, which has names and settings and no credentials."""
    return Session(**recipe)
