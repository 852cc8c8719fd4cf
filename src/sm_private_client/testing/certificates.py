"""Throwaway certificate authorities, and the certificates of the listeners."""

from __future__ import annotations

import datetime as dt
import functools
import ssl
import threading
from typing import TYPE_CHECKING, Final

import trustme

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CORPORATE", "Authorities", "Authority", "ServerSide"]

CORPORATE: Final = "Corporate Proxy CA"
"""The organization that signs where TLS is inspected."""


class ServerSide(ssl.SSLObject):
    """The server's side of one TLS connection, which remembers the name it was asked for."""

    sni: str | None = None


class Authority:
    """Signs certificates that only clients with its certificate trust.

    Args:
        organization: Its name, as certificates tell their issuer.
    """

    def __init__(self, organization: str) -> None:
        self._authority = trustme.CA(organization_name=organization)
        self._lock = threading.Lock()
        self._contexts: dict[tuple[tuple[str, ...], bool], ssl.SSLContext] = {}

    @property
    def certificate(self) -> bytes:
        """Its own certificate, as PEM."""
        return self._authority.cert_pem.bytes()

    def context(self, names: tuple[str, ...], *, expired: bool = False) -> ssl.SSLContext:
        """Gives a server's context.

        Args:
            names: What its certificate is good for; wildcards are allowed.
            expired: Whether the certificate ended yesterday.
        """
        with self._lock:
            if (names, expired) not in self._contexts:
                self._contexts[names, expired] = self._make(names, expired=expired)
            return self._contexts[names, expired]

    def _make(self, names: tuple[str, ...], *, expired: bool) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_alpn_protocols(["http/1.1"])
        # The connection wants to know the SNI; SSLObject itself does not keep it.
        made.sslobject_class = ServerSide
        made.sni_callback = _remember
        yesterday = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=1)
        signed = self._authority.issue_cert(
            *names,
            not_before=yesterday - dt.timedelta(days=90) if expired else None,
            not_after=yesterday if expired else None,
        )
        signed.configure_cert(made)
        return made


class Authorities:
    """The simulator's own authority, and the one of a company that inspects TLS.

    Args:
        bundle: Where the own authority's certificate is written, as PEM.
        corporate_bundle: Where both are, once the company's is needed.
    """

    def __init__(self, bundle: Path, corporate_bundle: Path) -> None:
        self.own = Authority("Amazon, played by sm_private_client")
        bundle.write_bytes(self.own.certificate)
        self._corporate_bundle = corporate_bundle
        self._lock = threading.Lock()

    @property
    def corporate(self) -> Authority:
        """The company's."""
        with self._lock:
            return self._corporate

    @property
    def corporate_bundle(self) -> Path:
        """The bundle with which both are trusted, as a company's machines have it."""
        company = self.corporate
        self._corporate_bundle.write_bytes(self.own.certificate + company.certificate)
        return self._corporate_bundle

    @functools.cached_property
    def _corporate(self) -> Authority:
        return Authority(CORPORATE)


def _remember(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    if isinstance(connection, ServerSide):
        connection.sni = name
