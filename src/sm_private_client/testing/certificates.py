"""Throwaway certificate authorities, and the TLS contexts of the listeners."""

from __future__ import annotations

import datetime as dt
import functools
import ssl
import threading

import trustme

__all__ = ["Authority", "ServerSide"]


class ServerSide(ssl.SSLObject):
    """The server's side of one TLS connection, which remembers the name it was asked for."""

    sni: str | None = None


class Authority:
    """An authority whose certificates only clients with its own certificate trust.

    Args:
        organization: Its name, as certificates tell their issuer.
    """

    def __init__(self, organization: str) -> None:
        self._organization = organization
        self._lock = threading.Lock()
        self._contexts: dict[tuple[tuple[str, ...], bool], ssl.SSLContext] = {}

    @functools.cached_property
    def _authority(self) -> trustme.CA:
        return trustme.CA(organization_name=self._organization)

    @property
    def certificate(self) -> bytes:
        """Its own certificate, as PEM."""
        with self._lock:
            return self._authority.cert_pem.bytes()

    def context(self, names: tuple[str, ...], *, expired: bool = False) -> ssl.SSLContext:
        """Return a server's context.

        Args:
            names: What its certificate is good for; wildcards are allowed.
            expired: Whether the certificate ended yesterday.
        """
        with self._lock:
            if (names, expired) not in self._contexts:
                self._contexts[names, expired] = self._new_context(names, expired=expired)
            return self._contexts[names, expired]

    def _new_context(self, names: tuple[str, ...], *, expired: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # The connection wants to know the SNI; SSLObject itself does not keep it.
        context.sslobject_class = ServerSide
        context.sni_callback = _remember_sni
        yesterday = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=1)
        certificate = self._authority.issue_cert(
            *names,
            not_before=yesterday - dt.timedelta(days=90) if expired else None,
            not_after=yesterday if expired else None,
        )
        certificate.configure_cert(context)
        return context


def _remember_sni(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    if isinstance(connection, ServerSide):
        connection.sni = name
