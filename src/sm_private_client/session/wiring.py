"""What one session is made of, and what each part needs of the others."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sm_private_client.routing.book import RouteBook
from sm_private_client.session.callers import RouteCallers
from sm_private_client.session.carriers import Carriers
from sm_private_client.session.clients import RoutedClients
from sm_private_client.session.private_routes import PrivateRoutes
from sm_private_client.session.sealed_clients import SealedClients

if TYPE_CHECKING:
    from collections.abc import Callable

    import botocore.session

    from sm_private_client.routing.network import NetworkBackend
    from sm_private_client.routing.settings import RoutingOptions

__all__ = ["Parts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The parts of one session.

    Attributes:
        routes: Decides and dials.
        sealed_clients: Says whether the session is sealed.
        clients: Makes the clients of the SageMaker family.
        carriers: Makes what predictors send with.
    """

    routes: PrivateRoutes
    sealed_clients: SealedClients
    clients: RoutedClients
    carriers: Carriers

    @classmethod
    def wired(
        cls,
        botocore_session: botocore.session.Session,
        *,
        network: NetworkBackend,
        routing: RoutingOptions,
        keeps_on_disk: bool,
        access_key_id: str | None,
        client: Callable[..., Any],
        boto3_client: Callable[..., Any],
        get_credentials: Callable[[], Any],
    ) -> Parts:
        """Makes the parts of a session; no I/O.

        Args:
            botocore_session: What the session is over.
            network: What resolves names and opens sockets.
            routing: The routing arguments.
            keeps_on_disk: See ``RouteBook``.
            access_key_id: See ``RouteBook``.
            client: The session's ``client``.
            boto3_client: boto3's own, which knows nothing of routes.
            get_credentials: The session's ``get_credentials``.
        """
        callers = RouteCallers(
            client=client,
            # Deciding a route may take clients, and clients have routes: asked for when needed.
            is_sealed=lambda: parts.sealed_clients.seal() is not None,
            clients=lambda: parts.clients,
        )
        book = RouteBook(
            botocore_session,
            network=network,
            options=routing,
            keeps_on_disk=keeps_on_disk,
            callers=callers,
            access_key_id=access_key_id,
            metadata=lambda: parts.sealed_clients.metadata_network(),  # noqa: PLW0108 - not yet made
        )
        routes = PrivateRoutes(botocore_session, network=network, book=book)
        one_at_a_time = threading.RLock()  # a credential provider may make a client meanwhile
        sealed_clients = SealedClients(
            botocore_session,
            routes=routes,
            client=client,
            one_at_a_time=one_at_a_time,
        )
        clients = RoutedClients(
            botocore_session,
            routes=routes,
            make=boto3_client,
            lifted=sealed_clients.lifted,
            get_credentials=get_credentials,
            one_at_a_time=one_at_a_time,
        )
        carriers = Carriers(
            botocore_session,
            routes=routes,
            clients=clients,
            client=client,
            get_credentials=get_credentials,
        )
        parts = cls(
            routes=routes, sealed_clients=sealed_clients, clients=clients, carriers=carriers
        )
        return parts
