"""What the simulator keeps of every request: who called what, never what was in it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, overload

from sm_private_client.testing.signatures import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.testing.http_connection import Connection, Request
    from sm_private_client.testing.ingress import Ingress

__all__ = ["Log", "RequestRecord", "record_of"]

_T = TypeVar("_T")


class Log(Sequence[_T]):
    """A list that many threads append to and readers see as a sequence."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[_T] = []

    def append(self, record: _T) -> None:
        """Keep one more."""
        with self._lock:
            self._records.append(record)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._records.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._records)

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_T, ...]: ...
    def __getitem__(self, index: int | slice) -> _T | tuple[_T, ...]:
        with self._lock:
            return tuple(self._records[index]) if isinstance(index, slice) else self._records[index]

    def __iter__(self) -> Iterator[_T]:
        return iter(self[:])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestRecord:
    """One request that reached a listener of SageMaker or of another service.

    Payloads, secrets, tokens and signatures are never kept.

    Attributes:
        service_name: boto3's name of the service that the host belongs to; empty: of none.
        operation: The operation's name in botocore's model; ``None``: none matches.
        path: The path of the request, without the query.
        address: The address that was dialled: the ENI's, or a public one.
        availability_zone: The ENI's zone; ``None`` on the internet and at a gateway.
        vpc_endpoint_id: The VPC endpoint, of ENI or gateway; ``None`` on the internet.
        sni: The server name of the TLS handshake.
        host: The ``Host`` header.
        signing_region: The region in the signature's scope; ``None`` if it is not signed.
        signing_service: The service in the signature's scope.
        access_key_id: Whose key signed.
        status: The HTTP status that was answered; ``None`` if the connection was reset.
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
    """Return the record of a request that came in, and of what it was answered."""
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
