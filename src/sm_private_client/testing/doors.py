"""Where requests come in: an ENI's address, a gateway, the internet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.testing.messages import Request
    from sm_private_client.testing.wire import Connection

__all__ = ["Door"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """Where requests come in.

    Attributes:
        service_of: Gives boto3's name of the service that a host name belongs to here, or
            ``None`` where the name is not answered for.
        region: The region that must be signed for.
        address: Gives the address that a connection was dialled at.
        availability_zone: The zone; ``None`` on the internet and at a gateway.
        vpc_endpoint_id: The VPC endpoint; ``None`` on the internet.
        vpc_id: The VPC endpoint's VPC.
    """

    service_of: Callable[[str], str | None]
    region: str
    address: Callable[[Connection], str]
    availability_zone: str | None = None
    vpc_endpoint_id: str | None = None
    vpc_id: str | None = None

    def service_asked_for(self, request: Request, connection: Connection) -> str | None:
        """Gives boto3's name of the service that ``Host`` and the TLS server name agree on."""
        service_name = self.service_of(request.host)
        if connection.sni is not None and self.service_of(connection.sni) != service_name:
            return None
        return service_name
