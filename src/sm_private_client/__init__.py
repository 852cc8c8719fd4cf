"""boto3 for Amazon SageMaker in private networks.

``connect()`` finds the VPC endpoints, proves that they are private, and returns boto3 clients.
Names are imported when they are first used, so that importing this package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sm_private_client._version import __version__

if TYPE_CHECKING:
    from sm_private_client.api import (
        client,
        connect,
        resource,
        set_stream_logger,
        setup_default_session,
    )
    from sm_private_client.doctor.diagnose import diagnose
    from sm_private_client.errors import (
        AmbiguousVpcEndpointError,
        ConfigurationError,
        DiscoveryError,
        FipsUnavailableError,
        MissingExtraError,
        NoPrivateRouteError,
        PayloadError,
        PrivateClientError,
        PublicAddressError,
        RoutingError,
        VpcEndpointUnavailableError,
    )
    from sm_private_client.inference.async_predictor import AsyncPredictor
    from sm_private_client.inference.invocation import Invocation
    from sm_private_client.inference.jobs import AsyncJob
    from sm_private_client.inference.predictor import Predictor
    from sm_private_client.inference.retry_policy import RetryPolicy
    from sm_private_client.integrations.install import install, uninstall
    from sm_private_client.privatelink.records import Route, VpcEndpoint
    from sm_private_client.session import Session

__all__ = [
    "AmbiguousVpcEndpointError",
    "AsyncJob",
    "AsyncPredictor",
    "ConfigurationError",
    "DiscoveryError",
    "FipsUnavailableError",
    "Invocation",
    "MissingExtraError",
    "NoPrivateRouteError",
    "PayloadError",
    "Predictor",
    "PrivateClientError",
    "PublicAddressError",
    "RetryPolicy",
    "Route",
    "RoutingError",
    "Session",
    "VpcEndpoint",
    "VpcEndpointUnavailableError",
    "__version__",
    "client",
    "connect",
    "diagnose",
    "install",
    "resource",
    "set_stream_logger",
    "setup_default_session",
    "uninstall",
]

_HOMES: Final = {
    "AsyncJob": "inference.jobs",
    "AsyncPredictor": "inference.async_predictor",
    "Invocation": "inference.invocation",
    "Predictor": "inference.predictor",
    "RetryPolicy": "inference.retry_policy",
    "Route": "privatelink.records",
    "Session": "session",
    "VpcEndpoint": "privatelink.records",
    "client": "api",
    "connect": "api",
    "diagnose": "doctor.diagnose",
    "install": "integrations.install",
    "resource": "api",
    "set_stream_logger": "api",
    "setup_default_session": "api",
    "uninstall": "integrations.install",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name == "DEFAULT_SESSION":  # boto3 has it as a variable, which others set
        return import_module(f"{__name__}.api").existing_default_session()
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
