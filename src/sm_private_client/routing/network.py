"""The one seam between us and the network: names are resolved and sockets are opened here."""

from __future__ import annotations

import errno
import ipaddress
import os
import selectors
import socket
from typing import Final, Protocol

from sm_private_client.routing.deadlines import SingleFlight

__all__ = ["NetworkBackend", "SocketOption", "SystemNetwork", "connect", "failure_of"]

SocketOption = tuple[int, int, int]

_IN_PROGRESS: Final = frozenset(
    {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
)


class NetworkBackend(Protocol):
    """The network, as routing and transport need it.

    ``SystemNetwork`` is the real one; ``sm_private_client.testing`` has a simulated one.
    """

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Return the IPv4 and IPv6 addresses of a host as text, each once, in resolver's order.

        Args:
            host: A host name, or an address, which is returned.
            timeout: Seconds to wait at the most.

        Raises:
            socket.gaierror: The name does not resolve.
            TimeoutError: No answer in time.
        """
        ...

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Begin to connect to an address and return at once.

        Returns:
            A non-blocking socket; it is writable once the connection stands or has failed.

        Raises:
            OSError: The address cannot be reached from here at all.
        """
        ...


class SystemNetwork:
    """The machine's own resolver and sockets.

    A resolver that hangs holds one thread a host name, however many ask.
    """

    def __init__(self) -> None:
        self._lookups = SingleFlight()

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """See ``NetworkBackend``."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        try:
            # getaddrinfo has no timeout of its own.
            found = self._lookups.run_within(
                timeout,
                host,
                lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM),
                what=f"DNS look-up of {host}",
            )
        except UnicodeError:
            raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is not a host name") from None
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """See ``NetworkBackend``."""
        family, kind, protocol, _, target = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        opened = socket.socket(family, kind, protocol)
        try:
            for level, option, value in socket_options:
                opened.setsockopt(level, option, value)
            opened.setblocking(False)
            code = opened.connect_ex(target)
            if code not in _IN_PROGRESS:
                raise OSError(code, f"{errno.errorcode.get(code, code)} for {address}:{port}")
        except OSError:
            opened.close()
            raise
        return opened


def failure_of(opened: socket.socket) -> OSError | None:
    """Return the error that a socket's connection ended in; ``None`` if it stands."""
    code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return OSError(code, os.strerror(code)) if code else None


def connect(network: NetworkBackend, address: str, port: int, *, timeout: float) -> socket.socket:
    """Return a socket that is connected to one address.

    ``timeout`` is in seconds, for the connection and then for each read and write.

    Raises:
        OSError: The connection failed; ``TimeoutError`` if it took too long.
    """
    opened = network.open(address, port)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(opened, selectors.EVENT_WRITE)
            if not selector.select(timeout):
                raise TimeoutError(f"{address}:{port} did not answer within {timeout:g} s")
        failure = failure_of(opened)
        if failure is not None:
            raise failure
        opened.settimeout(timeout)
    except BaseException:
        opened.close()
        raise
    return opened
