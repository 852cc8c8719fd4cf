"""``connect``, and the functions of the module ``boto3`` over its default session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, overload
from weakref import WeakKeyDictionary

import boto3
import boto3.session
from boto3 import set_stream_logger

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink import services
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.routing.settings import RoutingOptions
from sm_private_client.session.session import Session, session_over
from sm_private_client.transport.guarded import decide_route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config
    from mypy_boto3_sagemaker.client import SageMakerClient
    from mypy_boto3_sagemaker_featurestore_runtime.client import (
        SageMakerFeatureStoreRuntimeClient,
    )
    from mypy_boto3_sagemaker_geospatial.client import SageMakergeospatialcapabilitiesClient
    from mypy_boto3_sagemaker_metrics.client import SageMakerMetricsClient
    from mypy_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from typing_extensions import Unpack

    from sm_private_client.types import BotoClient

__all__ = [
    "Clients",
    "client",
    "connect",
    "default_session",
    "resource",
    "set_stream_logger",
    "setup_default_session",
]


class Clients(NamedTuple):
    """The clients that ``connect`` returns."""

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


_sessions: Final[WeakKeyDictionary[boto3.session.Session, Session]] = WeakKeyDictionary()
_lock: Final = ForkableLock()


def default_session() -> Session:
    """Return the session that ``client``, ``resource`` and ``connect`` use by default.

    It is boto3's default session, whoever set it up, with our guard on the clients that are made
    here; ``boto3.client`` stays as it is.
    """
    if boto3.DEFAULT_SESSION is None:
        boto3.setup_default_session()
    return _guarding(boto3.DEFAULT_SESSION)  # type: ignore[arg-type] # it is set by now


def existing_default_session() -> Session | None:
    """Return the default session, ``None`` if nobody has needed it yet."""
    return None if boto3.DEFAULT_SESSION is None else _guarding(boto3.DEFAULT_SESSION)


def _guarding(session: boto3.session.Session) -> Session:
    if isinstance(session, Session):
        return session
    with _lock:
        if session not in _sessions:
            _sessions[session] = session_over(session)
        return _sessions[session]


def setup_default_session(**arguments: Any) -> None:  # noqa: ANN401 - Session has their types
    """Make the default session anew, for this module and for boto3; see ``Session``."""
    boto3.DEFAULT_SESSION = Session(**arguments)


def _session_for(routing: RoutingOptions) -> Session:
    """Return the default session; routing options need a session of their own."""
    return Session(**routing) if routing else default_session()


@overload
def client(
    service_name: Literal["sagemaker"],
    region_name: str | None = None,
    *positional: object,
    **arguments: Unpack[ClientArguments],
) -> SageMakerClient: ...
@overload
def client(
    service_name: Literal["sagemaker-runtime", "runtime.sagemaker"],
    region_name: str | None = None,
    *positional: object,
    **arguments: Unpack[ClientArguments],
) -> SageMakerRuntimeClient: ...
@overload
def client(
    service_name: Literal["sagemaker-featurestore-runtime"],
    region_name: str | None = None,
    *positional: object,
    **arguments: Unpack[ClientArguments],
) -> SageMakerFeatureStoreRuntimeClient: ...
@overload
def client(
    service_name: Literal["sagemaker-metrics"],
    region_name: str | None = None,
    *positional: object,
    **arguments: Unpack[ClientArguments],
) -> SageMakerMetricsClient: ...
@overload
def client(
    service_name: Literal["sagemaker-geospatial"],
    region_name: str | None = None,
    *positional: object,
    **arguments: Unpack[ClientArguments],
) -> SageMakergeospatialcapabilitiesClient: ...
@overload
def client(
    service_name: str,
    region_name: str | None = None,
    *positional: object,
    **arguments: Unpack[ClientArguments],
) -> BotoClient: ...
def client(
    service_name: str,
    region_name: str | None = None,
    *positional: object,
    **arguments: Unpack[ClientArguments],
) -> BotoClient:
    """Return a client, like ``boto3.client``: the SageMaker family routed, the rest boto3's own.

    There is no I/O: the first call decides the route. The default session makes it; with routing
    options, a session of their own. A single ``vpc_endpoint`` is for this very service.

    Arguments are those of ``boto3.client``, in its order or by keyword, and ``RoutingOptions``.

    Raises:
        ConfigurationError: An option cannot be used, or asks for what is not private.
    """
    routing, rest = _split(arguments)
    vpc_endpoint = routing.get("vpc_endpoint")
    is_single = isinstance(vpc_endpoint, str) and "=" not in vpc_endpoint
    if is_single and services.is_family(service_name):
        routing["vpc_endpoint"] = {service_name: str(vpc_endpoint)}
    session: Any = _session_for(routing)
    return session.client(service_name, region_name, *positional, **rest)


def resource(service_name: str, *positional: object, **arguments: BotoClient) -> BotoClient:
    """Return a resource, like ``boto3.resource``; it takes ``RoutingOptions`` too.

    Raises:
        ConfigurationError: As ``client``.
    """
    routing, rest = _split(arguments)
    session: Any = _session_for(routing)
    return session.resource(service_name, *positional, **rest)


def _split(arguments: Mapping[str, Any]) -> tuple[RoutingOptions, dict[str, Any]]:
    """Split the routing options from boto3's arguments."""
    routing = RoutingOptions()
    rest: dict[str, Any] = {}
    for name, value in arguments.items():
        (routing if name in RoutingOptions.__annotations__ else rest)[name] = value  # type: ignore[literal-required] # by name
    return routing, rest


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
    """Find the private routes to SageMaker and its Runtime and return a boto3 client for each.

    Arguments mean what they mean to ``boto3.client``, ``boto3.Session`` and ``RoutingOptions``. A
    ``session`` has its own profile and routing options; give none of them with it.

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
    made_by: Any = session or _session_for(routing)
    arguments = {
        "region_name": region_name,
        "config": config,
        "verify": verify,
        "aws_access_key_id": aws_access_key_id,
        "aws_secret_access_key": aws_secret_access_key,
        "aws_session_token": aws_session_token,
    }
    clients = Clients(
        sagemaker=made_by.client("sagemaker", **arguments),
        runtime=made_by.client("sagemaker-runtime", **arguments),
    )
    for each in clients:
        decide_route(each)
    return clients
