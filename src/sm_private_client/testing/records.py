"""What the simulator keeps of every request: who was asked for what, never what was said."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, overload

from sm_private_client.testing.signatures import scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.testing.http_connection import Connection, Request

__all__ = ["Ingress", "Log", "RequestRecord", "record_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestRecord:
    """One request that reached a listener of SageMaker or of another service.

    Payloads, secrets, tokens and signatures are never kept.

    Attributes:
        service_name: boto3's name of the service that the listener stands for.
        operation: The operation's name in botocore's model; ``None``: none matches.
        method: The HTTP method.
        path: The path of the request, without the query.
        address: The address that was dialled: the ENI's, or a public one.
        availability_zone: The ENI's zone; ``None`` on the internet and at a gateway.
        vpc_endpoint_id: The VPC endpoint, of ENI or gateway; ``None`` on the internet.
        sni: The server name of the TLS handshake.
        host: The ``Host`` header.
        signing_region: The region in the signature's scope; ``None`` where unsigned.
        signing_service: The service in the signature's scope.
        access_key_id: Whose key signed.
        status: The HTTP status that was answered; ``None`` where the connection was reset.
    """

    service_name: str
    operation: str | None
    method: str
    path: str
    address: str
    availability_zone: str | None
    vpc_endpoint_id: str | None
    sni: str | None
    host: str
    signing_region: str | None
    signing_service: str | None
    access_key_id: str | None
    status: int | None


def record_of(
    ingress: Ingress,
    request: Request,
    connection: Connection,
    service_name: str | None,
    operation: str | None,
    status: int | None,
) -> RequestRecord:
    """Puts down what came in at a door, and what it was answered."""
    scope = scope_of(request)
    return RequestRecord(
        service_name=service_name or "",
        operation=operation,
        method=request.method,
        path=request.path,
        address=ingress.address(connection),
        availability_zone=ingress.availability_zone,
        vpc_endpoint_id=ingress.vpc_endpoint_id,
        sni=connection.sni,
        host=request.host,
        signing_region=scope.region if scope else None,
        signing_service=scope.service if scope else None,
        access_key_id=scope.access_key_id if scope else None,
        status=status,
    )


_T = TypeVar("_T")


class Log(Sequence[_T]):
    """A list that many threads append to and readers see as a sequence."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[_T] = []

    def append(self, record: _T) -> None:
        """Keeps one more."""
        with self._lock:
            self._kept.append(record)

    def clear(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_T, ...]: ...
    def __getitem__(self, index: int | slice) -> _T | tuple[_T, ...]:
        with self._lock:
            return tuple(self._kept[index]) if isinstance(index, slice) else self._kept[index]

    def __iter__(self) -> Iterator[_T]:
        return iter(self[:])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingress:
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
