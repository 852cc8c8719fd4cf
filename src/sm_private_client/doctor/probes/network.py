"""Probes of DNS, TCP and TLS. Connections are made and closed again; nothing is ever sent."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.doctor.facts import Certificate, NameAnswer, Peer, TlsResult
from sm_private_client.routing.network import connect, failure_of
from sm_private_client.transport.tls import verifying_context

if TYPE_CHECKING:
    from sm_private_client.doctor.facts import NameKind, TlsProblem
    from sm_private_client.privatelink.addresses import AddressPolicy
    from sm_private_client.privatelink.records import EndpointAddress
    from sm_private_client.routing.network import NetworkBackend

__all__ = ["AddressProbe", "look_up", "name_servers"]

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
    """Return the ``nameserver`` lines of /etc/resolv.conf; empty if it cannot be read."""
    try:
        text = (root / "etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    split = (line.split() for line in text.splitlines())
    return tuple(words[1] for words in split if len(words) > 1 and words[0] == "nameserver")


def look_up(
    network: NetworkBackend, host: str, kind: NameKind, policy: AddressPolicy
) -> NameAnswer:
    """Look one name up and judge its addresses."""
    unanswered = False
    try:
        found = network.resolve(host, timeout=DNS_TIMEOUT)
    except socket.gaierror as error:
        failure = f"does not resolve ({error.strerror})"
        unanswered = "temporary failure" in failure.lower()  # EAI_AGAIN, in the C library's words
    except TimeoutError:
        failure = f"was not answered within {DNS_TIMEOUT:g} s"
        unanswered = True
    except OSError as error:
        failure = f"could not be looked up ({error})"
    else:
        verdicts = [policy.judge(address) for address in found]
        refused = tuple((v.address, v.why) for v in verdicts if not v.private)
        return NameAnswer(host=host, kind=kind, addresses=found, refused=refused)
    return NameAnswer(host=host, kind=kind, failure=failure, unanswered=unanswered)


class AddressProbe:
    """A probe of addresses: connections and TLS handshakes.

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
        """Try a connection and close it; return why it failed, or ``None``."""
        return self._connect(address, port)[0]

    def probe(self, address: EndpointAddress, host: str, *, port: int = 443, tls: bool) -> Peer:
        """Try a connection to one address, then a handshake for the host's name.

        A stand-in on this machine may speak no TLS.
        """
        started = time.monotonic()
        failure, source = self._connect(address.address, port)
        seconds = time.monotonic() - started
        result = None
        if failure is None and tls:
            result = self._shake_hands(address.address, port, host)
        elif failure is None:
            result = TlsResult(detail="not encrypted, a stand-in on this machine")
        return Peer(
            address=address, tcp_failure=failure, seconds=seconds, tls=result, source_address=source
        )

    def _connect(self, address: str, port: int) -> tuple[str | None, str | None]:
        """Return why it failed, and our own address."""
        try:
            opened = self._network.open(address, port)
        except OSError as error:
            return str(error.strerror or error), None
        with opened, selectors.DefaultSelector() as selector:
            source = str(opened.getsockname()[0])
            selector.register(opened, selectors.EVENT_WRITE)
            if not selector.select(CONNECT_TIMEOUT):
                return f"no answer within {CONNECT_TIMEOUT:g} s", source
            failure = failure_of(opened)
            return str(failure.strerror) if failure else None, source

    def _shake_hands(self, address: str, port: int, host: str) -> TlsResult:
        started = time.monotonic()
        problem: TlsProblem | None = None
        detail = ""
        certificate: Certificate | None = None
        try:
            certificate = self._handshake(self._context, address, port, host)
        except ssl.SSLCertVerificationError as error:
            certificate = self._unverified(address, port, host)
            detail = error.verify_message
            problem = "authority"
            if error.verify_code in _OTHER_NAME:
                problem = "name"
            elif error.verify_code in _EXPIRED:
                problem = "expired"
        except OSError as error:
            detail = getattr(error, "reason", None) or error.strerror or type(error).__name__
            problem = "handshake"
        return TlsResult(
            problem=problem,
            detail=str(detail),
            certificate=certificate,
            seconds=time.monotonic() - started,
        )

    def _handshake(
        self, context: ssl.SSLContext, address: str, port: int, host: str
    ) -> Certificate:
        with (
            connect(self._network, address, port, timeout=TLS_TIMEOUT) as opened,
            context.wrap_socket(opened, server_hostname=host) as secured,
        ):
            return _certificate(secured.getpeercert() or {})

    def _unverified(self, address: str, port: int, host: str) -> Certificate | None:
        """Read the certificate that verification refused.

        Verification has failed already, and that is what is reported. These handshakes only show
        whose certificate it is: nothing is sent over them, and they are closed at once. Python
        decodes only a certificate that was verified. So the first handshake takes it as it is,
        and the second one verifies it against itself.
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


def _certificate(raw: dict[str, Any]) -> Certificate:
    """Read what ``SSLSocket.getpeercert`` returns."""
    if not raw:
        return Certificate()
    issuer = {name: value for part in raw.get("issuer", ()) for name, value in part}
    titles = (issuer.get("organizationName"), issuer.get("commonName"))
    start, end = (ssl.cert_time_to_seconds(raw[n]) for n in ("notBefore", "notAfter"))
    return Certificate(
        names=tuple(value for _, value in raw.get("subjectAltName", ())),
        issuer=", ".join(dict.fromkeys(title for title in titles if title)),
        not_before=_iso(start),
        not_after=_iso(end),
        expired=not start <= time.time() <= end,
    )


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
