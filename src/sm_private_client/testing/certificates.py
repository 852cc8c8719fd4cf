"""A throwaway certificate authority, and the certificates of the listeners."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority", "ServerSide"]


class ServerSide(ssl.SSLObject):
    """The server's side of one TLS connection, which remembers the name it was asked for."""

    sni: str | None = None


class Authority:
    """Signs certificates that only clients with its ``bundle`` trust.

    Args:
        bundle: Where the authority's own certificate is written, as PEM.
    """

    def __init__(self, bundle: Path) -> None:
        self._authority = trustme.CA(organization_name="sm_private_client simulator")
        self._authority.cert_pem.write_to_path(str(bundle))
        self._lock = threading.Lock()
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}

    def context(self, names: tuple[str, ...]) -> ssl.SSLContext:
        """Gives a server's context whose certificate is good for the names (wildcards allowed)."""
        with self._lock:
            if names not in self._contexts:
                self._contexts[names] = self._make(names)
            return self._contexts[names]

    def _make(self, names: tuple[str, ...]) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_alpn_protocols(["http/1.1"])
        # The connection wants to know the SNI; SSLObject itself does not keep it.
        made.sslobject_class = ServerSide
        made.sni_callback = _remember
        self._authority.issue_cert(*names).configure_cert(made)
        return made


def _remember(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    if isinstance(connection, ServerSide):
        connection.sni = name
