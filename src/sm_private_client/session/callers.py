"""RouteCallers: the AWS calls that deciding a route may need, made with the session's own means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config

from sm_private_client.transport.client_config import RoutedConfig
from sm_private_client.transport.own_vpc import own_vpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.privatelink.records import Route
    from sm_private_client.routing.book import ClientCredentials
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.routing.location import SageMakerResource
    from sm_private_client.session.clients import RoutedClients

__all__ = ["RouteCallers"]

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}
)
"""For the calls that deciding a route may need, so that no route is said within ten seconds."""


class RouteCallers:
    """Implements ``Callers`` of ``routing.book`` for one session.

    Args:
        client: The session's ``client``, which guards where the session is sealed.
        is_sealed: Whether it is sealed by now.
        clients: Gives its routed clients, which need the routes that these calls help to decide.
    """

    def __init__(
        self,
        *,
        client: Callable[..., Any],
        is_sealed: Callable[[], bool],
        clients: Callable[[], RoutedClients],
    ) -> None:
        self._client = client
        self._is_sealed = is_sealed
        self._clients = clients

    def ec2(self, region: str, credentials: ClientCredentials) -> Any:  # noqa: ANN401 - boto3's
        """Makes an EC2 client; see ``Callers.ec2``."""
        make = self._client if self._is_sealed() else self._clients().plain
        return make("ec2", region_name=region, config=_QUICK, **credentials.as_arguments())

    def own_vpc(
        self,
        resource: SageMakerResource,
        route: Route,
        credentials: ClientCredentials,
        discovery: Discovery,
    ) -> str | None:
        """Asks SageMaker in which VPC a resource is; see ``Callers.own_vpc``."""
        routed = RoutedConfig.merged(_QUICK, session_default=None, retries_are_configured=False)
        asked = self._clients().over(route, routed, credentials=credentials)
        return own_vpc(resource, asked, discovery)
