"""Facts about the network: what DNS, TCP and TLS answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import EndpointAddress

__all__ = ["Certificate", "NameAnswer", "Peer", "TlsResult"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NameAnswer:
    """What DNS answered for one name.

    Attributes:
        host: The name.
        kind: Which name it is: the service's own, or one of the VPC endpoint's.
        addresses: The addresses; empty where it did not resolve.
        failure: Why it did not.
        unanswered: Whether no resolver answered at all.
        refused: The addresses that the guard would refuse, each with the reason.
    """

    host: str
    kind: Literal["default", "regional", "zonal", "route"]
    addresses: tuple[str, ...] = ()
    failure: str | None = None
    unanswered: bool = False
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What a certificate says.

    Attributes:
        names: The names it is good for.
        issuer: Who signed it: organization and common name.
        not_before: ISO 8601, UTC.
        not_after: ISO 8601, UTC.
        expired: Whether it had expired, or was not valid yet, when it was seen.
    """

    names: tuple[str, ...] = ()
    issuer: str = ""
    not_before: str = ""
    not_after: str = ""
    expired: bool = False

    @property
    def is_amazons(self) -> bool:
        """Whether Amazon Trust Services (or an AWS authority) signed it."""
        lowered = self.issuer.lower()
        return "amazon" in lowered or "starfield" in lowered


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsResult:
    """One handshake with verification.

    Attributes:
        problem: ``name``, ``expired``, ``authority`` or ``handshake``; ``None`` where it stands.
        detail: What OpenSSL said.
        certificate: What was shown; ``None`` where none was read.
        seconds: How long it took.
    """

    problem: Literal["name", "expired", "authority", "handshake"] | None = None
    detail: str = ""
    certificate: Certificate | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One address, and what came of connecting to it.

    Attributes:
        address: With its zone and network interface, where these are known.
        tcp_failure: Why no connection stood; ``None`` where it did.
        timed_out: Whether nobody answered, as when packets are dropped.
        seconds: How long the connection took.
        tls: The handshake; ``None`` where there was no connection.
        source_address: Our own address towards it; ``None`` where it is not known.
    """

    address: EndpointAddress
    tcp_failure: str | None = None
    timed_out: bool = False
    seconds: float = 0.0
    tls: TlsResult | None = None
    source_address: str | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stood."""
        return self.tcp_failure is None

    @property
    def is_good(self) -> bool:
        """Whether connection and TLS stood."""
        return self.connected and self.tls is not None and self.tls.problem is None

    @property
    def label(self) -> str:
        """The peer for people: ``eni-0a1b 10.0.1.10 (us-east-1a)``."""
        at = self.address
        parts = [at.network_interface_id, at.address]
        if at.availability_zone:
            parts.append(f"({at.availability_zone})")
        return " ".join(part for part in parts if part)
