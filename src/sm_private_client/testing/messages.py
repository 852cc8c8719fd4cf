"""What goes over a connection: HTTP requests and answers, and the order to cut it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConnectionCut", "HowCut", "Request", "Response"]

HowCut = Literal["reset", "close"]


class ConnectionCut(Exception):  # noqa: N818 - it is an order, not an error
    """Raised by a handler, or by an answer's body, to have the connection end right there.

    Args:
        how: ``reset`` as by a dead host, or ``close`` without a word more, TLS's included.
    """

    def __init__(self, how: HowCut = "reset") -> None:
        super().__init__(how)
        self.how = how


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request as it came over the wire.

    Attributes:
        method: The method.
        target: Path and query, still encoded.
        headers: Names in lower case and values, in the order they came.
        body: The whole body.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Gives the first value of a header; ``name`` is in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def path(self) -> str:
        """The target without its query, still encoded."""
        return self.target.partition("?")[0]

    @property
    def host(self) -> str:
        """The ``Host`` header in lower case, without a port."""
        return (self.header("host") or "").lower().partition(":")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One HTTP answer.

    Attributes:
        status: The status.
        headers: Names and values.
        body: The body, or its parts, which are then sent one by one as they come.
        length: Bytes of a body in parts, which then goes out with ``Content-Length`` instead of
            chunked.
        held: Seconds to wait before the first byte; infinite: until the client goes away.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    held: float = 0.0
