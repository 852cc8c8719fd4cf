"""What libraries that do not call boto3 are given, so that they go privately too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_private_client.api import default_session
from sm_private_client.errors import MissingExtraError
from sm_private_client.transport.dialer import Dialer, ZoneHealth

if TYPE_CHECKING:
    import httpx

    from sm_private_client.privatelink.records import Route
    from sm_private_client.session import Session

__all__ = ["aiobotocore_arguments", "httpx_transport"]


def aiobotocore_arguments(
    service_name: str, *, session: Session | None = None, region_name: str | None = None
) -> dict[str, Any]:
    """Gives the arguments that make an aiobotocore client private.

    Pass them on: ``create_client("sagemaker-runtime", **arguments)``. ``config`` can be merged
    with an ``AioConfig`` of your own. Deciding the route may take seconds: in an event loop call
    this by ``asyncio.to_thread``.

    Args:
        service_name: boto3's name of a service of the SageMaker family.
        session: Whose routes count; the default session where not given.
        region_name: The session's region by default.

    Returns:
        ``region_name``, ``endpoint_url``, ``verify`` and ``config`` for ``create_client``.

    Raises:
        MissingExtraError: aiobotocore is not installed.
        RoutingError, PublicAddressError, ConfigurationError: As ``Session.client`` does.
    """
    try:
        from sm_private_client.transport.aiobotocore_guard import guarded_config  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError("aiobotocore_arguments", extra="libraries") from error
    chosen = session or default_session()
    route = chosen.route(service_name, region_name)
    return {
        "region_name": route.region,
        "endpoint_url": route.endpoint_url,
        "verify": chosen.ca_bundle,
        "config": guarded_config(_dialer(chosen, route)),
    }


def httpx_transport(
    service_name: str, *, session: Session | None = None, region_name: str | None = None
) -> httpx.BaseTransport:
    """Gives a transport for ``httpx.Client`` that carries to a service privately or not at all.

    Args:
        service_name: boto3's name of a service of the SageMaker family.
        session: Whose routes count; the default session where not given.
        region_name: The session's region by default.

    Raises:
        MissingExtraError: httpx is not installed.
        RoutingError, PublicAddressError, ConfigurationError: As ``Session.client`` does.
    """
    try:
        from sm_private_client.transport.httpx_transport import GuardedTransport  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError("httpx_transport", extra="libraries") from error
    chosen = session or default_session()
    route = chosen.route(service_name, region_name)
    return GuardedTransport(_dialer(chosen, route), verify=chosen.ca_bundle)


def _dialer(session: Session, route: Route) -> Dialer:
    return Dialer(route, network=session.network, health=ZoneHealth(), egress=session.ledger)
