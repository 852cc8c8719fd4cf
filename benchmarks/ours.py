"""Our side: sessions that lead to the server, and the call that all contenders make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.network import VPC_ENDPOINT, LoopbackNetwork
from sm_private_client import Session

if TYPE_CHECKING:
    from sm_private_client.inference.predictor import Predictor

__all__ = ["BODY", "ENDPOINT_NAME", "OURS", "invoke", "session"]

ENDPOINT_NAME: Final = "churn-xgb"
BODY: Final = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'

OURS: Final = "predictor"
"""What a predictor is called in the tables."""


def session(port: int, *, route_cache: str | None = None) -> Session:
    """Make a routed session whose VPC endpoint the server plays.

    Args:
        port: The server's.
        route_cache: A directory to keep routes in; none are kept where not given.
    """
    return Session(
        network=LoopbackNetwork(port), vpc_endpoint=VPC_ENDPOINT, route_cache=route_cache
    )


def invoke(called: Predictor) -> bytes:
    """Make the call that all contenders make."""
    return called.invoke(BODY, content_type="application/json").body
