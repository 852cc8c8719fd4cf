"""SealedClients: whether a session is sealed, and the clients of services outside the family."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from botocore import UNSIGNED
from botocore.exceptions import UnknownServiceError

from sm_private_client.routing.book import ClientCredentials
from sm_private_client.routing.settings import is_sealed, read_environment
from sm_private_client.session.making import making
from sm_private_client.session.private_routes import url_of
from sm_private_client.transport.client_config import sealed_config
from sm_private_client.transport.guarded import guard
from sm_private_client.transport.sealing import Seal, seal_when_asked, without_common_runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import botocore.session

    from sm_private_client.routing.network import NetworkBackend
    from sm_private_client.routing.settings import RoutingOptions
    from sm_private_client.session.private_routes import PrivateRoutes
    from sm_private_client.transport.link_local import CredentialsHTTPSession

__all__ = ["SealedClients"]


class SealedClients:
    """Seals one session once that is asked for, and makes what a sealed one may have.

    Args:
        botocore_session: What is sealed.
        routes: Decides and dials.
        client: The session's ``client``, which makes those of the SageMaker family.
        one_at_a_time: Held while botocore makes a client of the session.
    """

    def __init__(
        self,
        botocore_session: botocore.session.Session,
        *,
        routes: PrivateRoutes,
        client: Callable[..., Any],
        one_at_a_time: threading.RLock,
    ) -> None:
        self._session = botocore_session
        self._options: RoutingOptions | None = None
        self._routes = routes
        self._client = client
        self._one_at_a_time = one_at_a_time
        self._lock = threading.Lock()
        self._seal: Seal | None = None

    def watch(self, options: RoutingOptions) -> None:
        """Has the session sealed once that is asked for, which may be now; no I/O.

        A session for which this is not called is never sealed.

        Args:
            options: The routing arguments.
        """
        self._options = options
        seal_when_asked(self._session, self.seal)
        if is_sealed(options, environ=read_environment(), profile={}):
            self._put_on()

    def seal(self) -> Seal | None:
        """Gives the seal, once any source of settings asks for one; it is never taken off."""
        if self._seal is None and self._options is not None:
            profile = self._session.get_scoped_config()
            if is_sealed(self._options, environ=read_environment(), profile=profile):
                self._put_on()
        return self._seal

    def lifted(self) -> AbstractContextManager[None]:
        """Lets the next client of this thread past a seal that is on; the caller guards it."""
        return self._seal.lifted() if self._seal else contextlib.nullcontext()

    def metadata_network(self) -> NetworkBackend:
        """Gives what is asked where we run: link-local addresses only where a seal is on."""
        if self._seal is None:
            return self._routes.network
        from sm_private_client.transport.link_local import MetadataNetwork  # noqa: PLC0415

        return MetadataNetwork(self._routes.network, egress=self._routes.egress)

    def _put_on(self) -> None:
        with self._lock:
            if self._seal is None:
                self._seal = Seal(self._session, make=self._guarded, fetch=self._credentials)

    def _guarded(
        self,
        service_name: str,
        arguments: dict[str, Any],
        create: Callable[..., Any],
    ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Makes a client of any service, guarded, however botocore was asked for it."""
        if self._routes.is_routed(service_name):
            return self._client(service_name, **arguments)
        known = self._session.get_available_services()
        if service_name not in known:  # before a handler of somebody's makes another name of it
            raise UnknownServiceError(
                service_name=service_name, known_service_names=", ".join(sorted(known))
            )
        endpoint_url, caller = arguments.get("endpoint_url"), arguments.get("config")
        bundle = self._routes.checked_bundle(
            service_name,
            use_ssl=arguments.get("use_ssl", True),
            verify=arguments.get("verify"),
            endpoint_url=endpoint_url,
        )
        default = self._session.get_default_client_config()
        config = sealed_config(caller, session_default=default)
        passed = {name: arguments.get(name) for name in ClientCredentials.names()}
        unsigned = getattr(config, "signature_version", None) is UNSIGNED
        route = self._routes.decide(
            service_name,
            self._routes.region(arguments.get("region_name"), caller),
            endpoint_url=endpoint_url,
            config=caller,
            credentials=ClientCredentials(**passed, is_unsigned=unsigned),
        )
        arguments |= {"config": config, "verify": bundle, "endpoint_url": url_of(route)}
        with self._one_at_a_time, making():
            made = create(service_name, **arguments)
        read_timeout = made.meta.config.read_timeout
        guard(made, self._routes.dialer(route), verify=bundle, stream_timeout=read_timeout)
        if service_name == "s3":
            without_common_runtime(made)
        return made

    def _credentials(self, service_name: str) -> CredentialsHTTPSession:
        from sm_private_client.transport.link_local import CredentialsHTTPSession  # noqa: PLC0415

        return CredentialsHTTPSession(
            service_name,
            network=self._routes.network,
            health=self._routes.health,
            egress=self._routes.egress,
            timeout=float(self._session.get_config_variable("metadata_service_timeout")),
        )
