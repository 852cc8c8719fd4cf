"""TLS: a verifying context, one connection's session without I/O, and what failures mean."""

from __future__ import annotations

import functools
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from botocore.httpsession import get_cert_path

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "Authorities",
    "ClosedWhenReset",
    "TlsSession",
    "check_bundle",
    "explain",
    "verifying_context",
]

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+\Z")
_PEM: Final = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_RECORD: Final = 16 * 1024
"""The most bytes of a record (RFC 8446, 5.1). OpenSSL returns no more at once, and a larger buffer
would be allocated and freed at each call."""


class ClosedWhenReset(ssl.SSLSocket):
    """A socket that is closed if its peer resets the connection before TLS has begun.

    Up to Python 3.12, ``SSLContext.wrap_socket`` notices such a reset by ``recv`` and leaves the
    new socket open until the garbage collector finds it (python/cpython#113280).
    """

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive, as a socket does."""
        try:
            return super().recv(buflen, flags)
        except ConnectionError:
            self.close()
            raise


class Authorities(NamedTuple):
    """The arguments of ``SSLContext.load_verify_locations``, one of which is ``None``."""

    cafile: str | None
    capath: str | None


def check_bundle(bundle: bool | str) -> Authorities:
    """Return the file or directory of a CA bundle that can be used.

    OpenSSL finds certificates of a directory by names such as ``9d66eef0.0``, which
    ``openssl rehash`` makes. ``True`` is botocore's own file.

    Raises:
        ConfigurationError: It is not there, cannot be read, or holds no certificate.
    """
    path = bundle if isinstance(bundle, str) else str(get_cert_path(True))
    try:
        is_directory = Path(path).is_dir()
        files = filter(_is_hashed, Path(path).iterdir()) if is_directory else (Path(path),)
        holds_one = any(map(_has_certificate, files))
    except (OSError, ValueError) as error:  # a ValueError: a NUL in the path
        raise _unusable(path, getattr(error, "strerror", None) or str(error)) from error
    if not holds_one and is_directory:
        why = "it is a directory without hashed certificates"
        raise _unusable(path, why, f"run: openssl rehash {path}")
    if not holds_one:
        raise _unusable(path, "it holds no PEM certificate")
    return Authorities(None, path) if is_directory else Authorities(path, None)


class TlsSession:
    """TLS of one connection without I/O: received bytes go in, bytes to send come out.

    One read of the socket serves header and record, which OpenSSL would read one by one. Blocking
    sockets and event loops use it alike.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.is_ended = False  # by the peer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    @property
    def has_unread(self) -> bool:
        """Whether bytes were received that nobody has read."""
        return bool(self._incoming.pending or self._tls.pending())

    def shake_hands(self, received: bytes | None = None) -> bool:
        """Begin the handshake, or go on with received bytes; return True if it is done.

        ``to_send`` returns the bytes for the peer then.

        Raises:
            ssl.SSLError: It failed.
        """
        if received is not None:
            self._take(received)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def to_send(self) -> bytes:
        """Return the bytes to send."""
        return self._outgoing.read()

    def encrypt(self, data: Buffer) -> bytes:
        """Return the bytes to send for some data."""
        self._tls.write(data)
        return self._outgoing.read()

    def decrypt(self, received: bytes) -> bytes:
        """Return the data in received bytes; it is empty if they only serve TLS itself.

        Raises:
            ConnectionAbortedError: The connection ended without TLS's own end.
            OSError: It is not TLS.
        """
        self._take(received)
        data = b""
        try:
            data = self._tls.read(_RECORD)
            while data and self._incoming.pending:
                more = self._tls.read(_RECORD)
                self.is_ended = not more
                data += more
        except ssl.SSLWantReadError:  # part of a record, or bytes for TLS itself
            return data
        except ssl.SSLEOFError:  # anybody on the way can end a connection so
            raise ConnectionAbortedError("the connection ended without TLS's own end") from None
        if not data:
            self.is_ended = True
        return data

    def _take(self, received: bytes) -> None:
        if received:
            self._incoming.write(received)
        else:
            self._incoming.write_eof()


def verifying_context(
    bundle: bool | str,
    client_cert: str | tuple[str, str] | None = None,
    *,
    for_urllib3: bool = False,
) -> ssl.SSLContext:
    """Return a context that verifies chain and host name, TLS 1.2 or newer.

    It is as strict as botocore's: Python 3.13's ``VERIFY_X509_STRICT`` stays off, which would
    refuse authorities that boto3 accepts.

    It is made once a process while its files stay as they are, because reading a bundle takes
    longer than a call. Callers must not change it.

    Args:
        bundle: The path of a CA bundle, or ``True`` for botocore's own. Nothing else is trusted.
        client_cert: As in botocore's ``Config``: a path, or the paths of certificate and key.
        for_urllib3: True for urllib3, which has a context of its own: with an older OpenSSL it
            turns the context's check of the host name off, and does the check itself.

    Raises:
        ConfigurationError: One of the files cannot be read, or holds no certificate.
    """
    authorities = check_bundle(bundle)
    paths = (client_cert,) if isinstance(client_cert, str) else tuple(client_cert or ())
    files = tuple(_identity(path) for path in (*filter(None, authorities), *paths))
    return _context(authorities, paths, files, for_urllib3)


@functools.lru_cache(maxsize=16)
def _context(
    authorities: Authorities,
    client_cert: tuple[str, ...],
    files: tuple[object, ...],  # noqa: ARG001 - a file that was replaced needs a new one
    for_urllib3: bool,  # noqa: ARG001 - urllib3 has its own
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name from the start
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = ClosedWhenReset
    try:
        context.load_verify_locations(cafile=authorities.cafile, capath=authorities.capath)
    except OSError as error:
        path = authorities.cafile or authorities.capath or ""
        raise _unusable(path, str(error)) from error
    if client_cert:
        try:
            context.load_cert_chain(*client_cert)
        except OSError as error:
            raise ConfigurationError(
                f"The client certificate {client_cert[0]!r} cannot be used.",
                cause=f"{error}.",
                remedy="set Config(client_cert=...) to the path of a PEM file, or to the paths of "
                "certificate and key.",
            ) from error
    return context


def _identity(path: str) -> tuple[int, ...] | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None  # loading it raises
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_hashed(path: Path) -> bool:
    return _HASHED.match(path.name) is not None and path.is_file()


def _has_certificate(path: Path) -> bool:
    if path.exists() and not path.is_file():
        return False  # a pipe could be read only once
    with path.open("rb") as file:
        return any(_PEM.match(line) for line in file)


def _unusable(path: str, why: str, *remedies: str) -> ConfigurationError:
    environ = read_environment()
    variables = (n for n in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if environ.get(n) == path)
    origin = next(variables, "verify= or the profile's ca_bundle")
    return ConfigurationError(
        f"The CA bundle {path!r} cannot be used.",
        cause=f"{origin} names it, and: {why}.",
        remedy=(
            *remedies,
            "set AWS_CA_BUNDLE or verify= to the path of a file of PEM certificates.",
        ),
    )


def explain(failure: str, bundle: bool | str) -> str:
    """Return OpenSSL's text of a failed handshake, with its cause and remedy if they are known."""
    lowered = failure.lower()
    if any(words in lowered for words in ("hostname mismatch", "doesn't match", "not valid for")):
        return (
            f"{failure}. Cause: the certificate is for other names than the host that was called, "
            "so this is not the VPC endpoint of that name, or something on the way answers for "
            "it. Remedy: pass vpc_endpoint= with the DNS name that EC2 gives for the VPC endpoint."
        )
    if any(words in lowered for words in ("certificate verify failed", "unknownissuer")):
        authority = bundle if isinstance(bundle, str) else "botocore's own CA bundle"
        return (
            f"{failure}. Possible causes: TLS is inspected on the way; {authority} lacks the CA. "
            "Remedy: set AWS_CA_BUNDLE or verify= to a bundle that has the CA."
        )
    return failure
