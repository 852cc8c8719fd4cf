"""Invoker: the three Runtime operations by botocore's own member names, whoever carries them.

Above it (predictor, jobs, map) nobody knows whether a boto3 client or the direct path answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sm_private_client.inference.requests import RuntimeOperation

__all__ = ["Invoker", "OperationResult", "StreamAnswer", "answered_in", "zone_of"]

E = TypeVar("E", bound=BaseException)

_ZONE: Final = "_sm_private_zone"


class OperationResult(NamedTuple):
    """What an operation answered.

    Attributes:
        members: The output's members by botocore's names, ``Body`` (bytes) among them.
        request_id: The service's id of the request, ``None`` where it gave none.
        availability_zone: The zone that answered, ``None`` where not known.
        status: The HTTP status, ``None`` where not known.
    """

    members: Mapping[str, Any]
    request_id: str | None
    availability_zone: str | None = None
    status: int | None = None


class StreamAnswer(Protocol):
    """A response stream that has begun."""

    @property
    def members(self) -> Mapping[str, Any]:
        """The output's members by botocore's names, without ``Body``."""
        ...

    @property
    def request_id(self) -> str | None:
        """The service's id of the request."""
        ...

    @property
    def availability_zone(self) -> str | None:
        """The zone that answers."""
        ...

    @property
    def status(self) -> int | None:
        """The HTTP status, ``None`` where not known."""
        ...

    def parts(self) -> Iterator[bytes]:
        """Gives the bytes of each PayloadPart as it arrives.

        Raises:
            ModelStreamError, InternalStreamFailure: The client's own exceptions.
            StreamInterruptedError: The connection was cut; it says how much had arrived.
        """
        ...

    def close(self) -> None:
        """Ends it, and the connection with it where the stream was not read to its end."""
        ...


class Invoker(Protocol):
    """Carries the Runtime's operations, one attempt a call; safe between threads.

    It is given the seconds of silence to bear, and the bytes of payload to take at the most, of a
    stream those of an error; ``None``: any number. What it raises: the client's own exceptions
    for what the service answered, botocore's for connections, ``PayloadError`` for too large an
    answer, and what deciding the route raises. It never retries.
    """

    @property
    def name(self) -> str:
        """``direct`` or ``botocore``."""
        ...

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        ...

    def invoke(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Does InvokeEndpoint."""
        ...

    def invoke_async(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Does InvokeEndpointAsync."""
        ...

    def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> StreamAnswer:
        """Does InvokeEndpointWithResponseStream."""
        ...

    def close(self) -> None:
        """Closes idle connections; it can be used again."""
        ...


def answered_in(availability_zone: str | None, error: E) -> E:
    """Notes on a service's error which zone it came from."""
    vars(error)[_ZONE] = availability_zone
    return error


def zone_of(error: BaseException) -> str | None:
    """Gives the zone that a service's error came from, ``None`` where not known."""
    zone: str | None = getattr(error, _ZONE, None)
    return zone
