"""The front door: ``client`` and ``connect``, over one lazily made default session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink import services
from sm_private_client.routing.settings import RoutingOptions
from sm_private_client.session import Session

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_sagemaker.client import SageMakerClient
    from mypy_boto3_sagemaker_featurestore_runtime.client import (
        SageMakerFeatureStoreRuntimeClient,
    )
    from mypy_boto3_sagemaker_geospatial.client import SageMakergeospatialcapabilitiesClient
    from mypy_boto3_sagemaker_metrics.client import SageMakerMetricsClient
    from mypy_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from typing_extensions import Unpack

__all__ = ["Clients", "client", "connect"]


class Clients(NamedTuple):
    """What ``connect`` gives.

    Attributes:
        sagemaker: The SageMaker API.
        runtime: The SageMaker Runtime.
    """

    sagemaker: SageMakerClient
    runtime: SageMakerRuntimeClient


class ClientArguments(RoutingOptions, total=False):
    """The keywords of ``client``: those of ``boto3.client``, and the routing options."""

    api_version: str | None
    use_ssl: bool | None
    verify: bool | str | None
    endpoint_url: str | None
    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    aws_session_token: str | None
    aws_account_id: str | None
    config: Config | None


_default_session: Session | None = None
_default_session_lock = threading.Lock()


def _session_for(routing: RoutingOptions) -> Session:
    """Gives the default session, as boto3 has one; routing options need a session of their own."""
    global _default_session  # noqa: PLW0603 - the one lazily made default session
    if routing:
        return Session(**routing)
    with _default_session_lock:
        if _default_session is None:
            _default_session = Session()
        return _default_session


def default_session() -> Session:
    """Gives the session that ``client`` and ``connect`` use where they are told nothing."""
    return _session_for({})


@overload
def client(
    service_name: Literal["sagemaker"],
    region_name: str | None = None,
    **arguments: Unpack[ClientArguments],
) -> SageMakerClient: ...
@overload
def client(
    service_name: Literal["sagemaker-runtime", "runtime.sagemaker"],
    region_name: str | None = None,
    **arguments: Unpack[ClientArguments],
) -> SageMakerRuntimeClient: ...
@overload
def client(
    service_name: Literal["sagemaker-featurestore-runtime"],
    region_name: str | None = None,
    **arguments: Unpack[ClientArguments],
) -> SageMakerFeatureStoreRuntimeClient: ...
@overload
def client(
    service_name: Literal["sagemaker-metrics"],
    region_name: str | None = None,
    **arguments: Unpack[ClientArguments],
) -> SageMakerMetricsClient: ...
@overload
def client(
    service_name: Literal["sagemaker-geospatial"],
    region_name: str | None = None,
    **arguments: Unpack[ClientArguments],
) -> SageMakergeospatialcapabilitiesClient: ...
@overload
def client(
    service_name: str,
    region_name: str | None = None,
    **arguments: Unpack[ClientArguments],
) -> Any: ...  # noqa: ANN401 - a service that is not known by name here
def client(
    service_name: str,
    region_name: str | None = None,
    **arguments: Unpack[ClientArguments],
) -> Any:
    """Makes a client, like ``boto3.client``: the SageMaker family routed, the rest boto3's own.

    Without routing options the default session makes it; with some, a session of their own. A
    single ``vpc_endpoint`` is meant for this very service.

    Args:
        service_name: boto3's name of the service.
        region_name: As for ``boto3.client``.
        **arguments: Those of ``boto3.client`` by keyword, and ``RoutingOptions``.

    Raises:
        NoPrivateRouteError: There is no private route; nothing was sent.
        RoutingError, PublicAddressError, ConfigurationError: See ``errors``.
    """
    routing = RoutingOptions()
    rest: dict[str, Any] = {}
    for name, value in arguments.items():
        (routing if name in RoutingOptions.__annotations__ else rest)[name] = value  # type: ignore[literal-required] # split by name
    named = routing.get("vpc_endpoint")
    if isinstance(named, str) and "=" not in named and services.is_family(service_name):
        routing["vpc_endpoint"] = {service_name: named}
    chosen: Any = _session_for(routing)
    return chosen.client(service_name, region_name=region_name, **rest)


def connect(
    region_name: str | None = None,
    *,
    profile_name: str | None = None,
    session: Session | None = None,
    config: Config | None = None,
    verify: str | None = None,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    **routing: Unpack[RoutingOptions],
) -> Clients:
    """Finds the private routes to SageMaker and its Runtime and gives a boto3 client for each.

    Args:
        region_name: As for ``boto3.client``.
        profile_name: As for ``boto3.Session``.
        session: A session to use, with its own routing options; then neither ``profile_name`` nor
            routing options may be given.
        config: As for ``boto3.client``.
        verify: As for ``boto3.client``, but TLS is always verified.
        aws_access_key_id: As for ``boto3.client``.
        aws_secret_access_key: As for ``boto3.client``.
        aws_session_token: As for ``boto3.client``.
        **routing: See ``RoutingOptions``.

    Raises:
        NoPrivateRouteError: There is no private route to one of them; nothing was sent.
        RoutingError, PublicAddressError, ConfigurationError: See ``errors``.
    """
    if session is not None and (routing or profile_name):
        raise ConfigurationError(
            "connect() got session= together with options that a session is made with.",
            remedy="pass profile_name= and the routing options to Session(...) instead.",
        )
    if session is None and profile_name:
        session = Session(profile_name=profile_name, **routing)
    chosen: Any = session or _session_for(routing)
    arguments = {
        "region_name": region_name,
        "config": config,
        "verify": verify,
        "aws_access_key_id": aws_access_key_id,
        "aws_secret_access_key": aws_secret_access_key,
        "aws_session_token": aws_session_token,
    }
    return Clients(
        sagemaker=chosen.client("sagemaker", **arguments),
        runtime=chosen.client("sagemaker-runtime", **arguments),
    )
