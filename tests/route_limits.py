"""The time limits of routing: stretched for the suite, whose machine may be busy, or shortened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sm_private_client.routing import router
from sm_private_client.routing.discovery import DISCOVERY_TIMEOUT, Discovery
from sm_private_client.routing.location import LOCATION_TIMEOUT, locate
from sm_private_client.routing.resolver import ROUTE_TIMEOUT, RouteResolver
from sm_private_client.routing.sealed_routes import other_service_route

if TYPE_CHECKING:
    import pytest

__all__ = ["limit_routes"]

_ROUTE: Final[list[Any]] = [RouteResolver.resolve, other_service_route]
_EC2: Final[Any] = Discovery.__init__
_METADATA: Final[Any] = locate


def limit_routes(
    monkeypatch: pytest.MonkeyPatch,
    *,
    route: float = ROUTE_TIMEOUT * 20,
    ec2: float = DISCOVERY_TIMEOUT * 20,
    metadata: float = LOCATION_TIMEOUT * 20,
) -> None:
    """Set how many seconds a route, a question to EC2 and our place may take."""
    monkeypatch.setattr(router, "ROUTE_TIMEOUT", route)
    limits = [(_EC2, ec2), (_METADATA, metadata), *((function, route) for function in _ROUTE)]
    for function, seconds in limits:
        assert "timeout" in function.__kwdefaults__
        monkeypatch.setitem(function.__kwdefaults__, "timeout", seconds)
