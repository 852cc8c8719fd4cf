"""What DNS, TCP and TLS tell. Nothing is ever sent: connections are made and closed again."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.observations import Certificate, NameAnswer, Peer, TlsResult
from sm_private_client.routing.network import connect, failure_of
from sm_private_client.transport.tls import verifying_context

if TYPE_CHECKING:
    from typing import Literal

    from sm_private_client.privatelink.addresses import AddressPolicy
    from sm_private_client.privatelink.records import EndpointAddress
    from sm_private_client.routing.network import NetworkBackend

__all__ = ["Prober", "look_up", "name_servers"]

DNS_TIMEOUT: Final = 2.0
"""Seconds for one look-up."""

CONNECT_TIMEOUT: Final = 2.0
"""Seconds for one connection; a VPC endpoint answers in milliseconds, over a VPN in some 100 ms."""

TLS_TIMEOUT: Final = 3.0
"""Seconds for one handshake."""

_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the module ``ssl`` has no name for."""

_EXPIRED: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED
_OTHER_NAME: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH


def name_servers(root: Path = Path("/")) -> tuple[str, ...]:
    """Gives the ``nameserver`` lines of /etc/resolv.conf; none where it cannot be read."""
    try:
        text = (root / "etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    split = (line.split() for line in text.splitlines())
    return tuple(words[1] for words in split if len(words) > 1 and words[0] == "nameserver")


def look_up(
    network: NetworkBackend,
    host: str,
    kind: Literal["default", "regional", "zonal", "route"],
    policy: AddressPolicy,
) -> NameAnswer:
    """Looks one name up and judges what comes."""
    try:
        found = network.resolve(host, timeout=DNS_TIMEOUT)
    except socket.gaierror as error:
        said = str(error.strerror)
        return NameAnswer(
            host=host,
            kind=kind,
            failure=f"does not resolve ({said})",
            unanswered="temporary failure" in said.lower(),  # EAI_AGAIN, in the C library's words
        )
    except TimeoutError:
        failure = f"was not answered within {DNS_TIMEOUT:g} s"
        return NameAnswer(host=host, kind=kind, failure=failure, unanswered=True)
    except OSError as error:
        return NameAnswer(host=host, kind=kind, failure=f"could not be looked up ({error})")
    verdicts = [policy.judge(address) for address in found]
    return NameAnswer(
        host=host,
        kind=kind,
        addresses=found,
        refused=tuple((v.address, v.why) for v in verdicts if not v.private),
    )


class Prober:
    """Connects to addresses and shakes hands.

    Args:
        network: The network to go through.
        bundle: The path of a CA bundle, or ``True`` for botocore's own.

    Raises:
        ConfigurationError: The bundle cannot be read.
    """

    def __init__(self, network: NetworkBackend, bundle: bool | str) -> None:
        self._network = network
        self._context = verifying_context(bundle)

    def reach(self, address: str, port: int = 443) -> str | None:
        """Tries a connection and closes it; gives why it failed."""
        return self._connect(address, port)[0]

    def probe(self, address: EndpointAddress, host: str, *, port: int = 443, tls: bool) -> Peer:
        """Tries one address: connection, then handshake against the host's name.

        Args:
            address: The address.
            host: The name that the certificate must be good for.
            port: The port.
            tls: Whether TLS is spoken; a stand-in on this machine may not.
        """
        started = time.monotonic()
        failure, timed_out, source = self._connect(address.address, port)
        seconds = time.monotonic() - started
        if failure is not None:
            return Peer(
                address=address,
                tcp_failure=failure,
                timed_out=timed_out,
                seconds=seconds,
                source_address=source,
            )
        shaken = TlsResult(detail="not encrypted, a stand-in on this machine")
        if tls:
            shaken = self._shake_hands(address.address, port, host)
        return Peer(address=address, seconds=seconds, tls=shaken, source_address=source)

    def _connect(self, address: str, port: int) -> tuple[str | None, bool, str | None]:
        try:
            opened = self._network.open(address, port)
        except OSError as error:
            return str(error.strerror or error), False, None
        with opened, selectors.DefaultSelector() as selector:
            source = str(opened.getsockname()[0])
            selector.register(opened, selectors.EVENT_WRITE)
            if not selector.select(CONNECT_TIMEOUT):
                return f"no answer within {CONNECT_TIMEOUT:g} s", True, source
            failure = failure_of(opened)
            return (str(failure.strerror) if failure else None), False, source

    def _shake_hands(self, address: str, port: int, host: str) -> TlsResult:
        started = time.monotonic()
        try:
            certificate = self._handshake(self._context, address, port, host)
        except ssl.SSLCertVerificationError as error:
            seen = self._unverified(address, port, host)
            problem: Literal["name", "expired", "authority"] = "authority"
            if error.verify_code in _OTHER_NAME:
                problem = "name"
            elif error.verify_code in _EXPIRED:
                problem = "expired"
            return TlsResult(
                problem=problem,
                detail=error.verify_message,
                certificate=seen,
                seconds=time.monotonic() - started,
            )
        except OSError as error:
            detail = getattr(error, "reason", None) or error.strerror or type(error).__name__
            seconds = time.monotonic() - started
            return TlsResult(problem="handshake", detail=str(detail), seconds=seconds)
        return TlsResult(certificate=certificate, seconds=time.monotonic() - started)

    def _handshake(
        self, context: ssl.SSLContext, address: str, port: int, host: str
    ) -> Certificate:
        with (
            connect(self._network, address, port, timeout=TLS_TIMEOUT) as opened,
            context.wrap_socket(opened, server_hostname=host) as secured,
        ):
            return _read(secured.getpeercert() or {})

    def _unverified(self, address: str, port: int, host: str) -> Certificate | None:
        """Reads the certificate that verification refused.

        Verification has failed already, and that is what is reported; these handshakes are only
        made to say whose certificate it is. Nothing is sent over them, and they are closed at
        once. Python decodes only a certificate that was verified: so the first one takes it as
        it is, and the second verifies it against itself.
        """
        try:
            blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            blind.check_hostname = False
            blind.verify_mode = ssl.CERT_NONE
            with (
                connect(self._network, address, port, timeout=TLS_TIMEOUT) as opened,
                blind.wrap_socket(opened, server_hostname=host) as secured,
            ):
                shown = secured.getpeercert(binary_form=True)
            if shown is None:
                return None
            itself = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            itself.check_hostname = False
            itself.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
            itself.load_verify_locations(cadata=shown)
            return self._handshake(itself, address, port, host)
        except OSError:
            return None


def _read(made: object) -> Certificate:
    """Reads what ``SSLSocket.getpeercert`` gives."""
    if not isinstance(made, dict) or not made:
        return Certificate()
    issuer = {name: value for part in made.get("issuer", ()) for name, value in part}
    titles = (issuer.get("organizationName"), issuer.get("commonName"))
    start, end = (ssl.cert_time_to_seconds(made[n]) for n in ("notBefore", "notAfter"))
    return Certificate(
        names=tuple(value for _, value in made.get("subjectAltName", ())),
        issuer=", ".join(dict.fromkeys(title for title in titles if title)),
        not_before=_iso(start),
        not_after=_iso(end),
        expired=not start <= time.time() <= end,
    )


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
