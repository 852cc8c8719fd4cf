"""Our side: sessions and predictors that lead to the server, with the engine that is asked for."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final

from benchmarks.network import VPC_ENDPOINT, LoopbackNetwork
from sm_private_client import Session
from sm_private_client.routing.settings import read_environment
from sm_private_client.transport.client_config import RoutedConfig, verified_by
from sm_private_client.transport.dialer import Dialer, ZoneHealth

if TYPE_CHECKING:
    from sm_private_client.inference.predictor import Predictor

__all__ = ["BODY", "DEFAULT", "DIRECT", "ENDPOINT_NAME", "FAST", "invoke", "predictor", "session"]

ENDPOINT_NAME: Final = "churn-xgb"
BODY: Final = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'

DIRECT: Final = "direct"
FAST: Final = "fast"
DEFAULT: Final = FAST if importlib.util.find_spec("pyreqwest") else DIRECT
"""The engine of what ``session.predictor`` makes here."""


def session(port: int, *, route_cache: str | None = None) -> Session:
    """Makes a routed session whose VPC endpoint the server plays.

    Args:
        port: The server's.
        route_cache: A directory to keep routes in; none are kept where not given.
    """
    return Session(
        network=LoopbackNetwork(port), vpc_endpoint=VPC_ENDPOINT, route_cache=route_cache
    )


def predictor(made_by: Session, *, fast: bool) -> Predictor:
    """Makes what ``Session.predictor`` makes, but with either engine.

    Raises:
        ImportError: ``fast`` is asked for and pyreqwest is not installed.
    """
    # Here: a fresh process that only makes a client does not load them.
    from sm_private_client.inference.engines import direct_invoker  # noqa: PLC0415
    from sm_private_client.inference.predictor import Predictor  # noqa: PLC0415

    inner = made_by._session  # noqa: SLF001 - as the session itself does
    credentials: Any = made_by.get_credentials()
    invoker = direct_invoker(
        Dialer(made_by.route("sagemaker-runtime"), network=made_by.network, health=ZoneHealth()),
        model=inner.get_service_model("sagemaker-runtime"),
        credentials=credentials.get_frozen_credentials,
        bundle=verified_by(session=inner, environ=read_environment()),
        config=RoutedConfig.merged(None, session_default=None, retries_are_configured=True).config,
        user_agent=inner.user_agent(),
        exceptions=lambda: made_by.client("sagemaker-runtime").exceptions,
        fast=fast,
    )
    return Predictor(ENDPOINT_NAME, invoker=invoker)


def invoke(called: Predictor) -> bytes:
    """Makes the call that all contenders make."""
    return called.invoke(BODY, content_type="application/json").body
