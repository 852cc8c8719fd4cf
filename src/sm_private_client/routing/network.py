"""NetworkBackend: resolve names and open sockets. The one seam between us and the network."""

from __future__ import annotations

import errno
import ipaddress
import queue
import socket
import threading
from typing import Final, Protocol

__all__ = ["NetworkBackend", "SocketOption", "SystemNetwork"]

SocketOption = tuple[int, int, int]

_IN_PROGRESS: Final = frozenset(
    {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
)


class NetworkBackend(Protocol):
    """What routing and transport need of a network.

    ``SystemNetwork`` is the real one; ``sm_private_client.testing`` has a simulated one.
    """

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Looks a host name up.

        Args:
            host: A host name, or an address, which is given back.
            timeout: Seconds to wait at the most.

        Returns:
            Its IPv4 and IPv6 addresses as text, each once, in the resolver's order.

        Raises:
            socket.gaierror: The name does not resolve.
            TimeoutError: No answer in time.
        """
        ...

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Starts to connect to an address and returns at once.

        Returns:
            A non-blocking socket; it is writable once the connection stands or has failed.

        Raises:
            OSError: The address cannot be reached from here at all.
        """
        ...


class SystemNetwork:
    """The machine's own resolver and sockets."""

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Looks a host name up through the system's resolver; see ``NetworkBackend``."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        # getaddrinfo has no timeout of its own, so it gets a thread that may be left behind.
        answers: queue.SimpleQueue[tuple[str, ...] | OSError | UnicodeError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                answers.put(error)
            else:
                answers.put(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)))

        threading.Thread(target=look_up, name=f"resolve-{host}", daemon=True).start()
        try:
            answer = answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no DNS answer for {host} within {timeout:g} s") from None
        if isinstance(answer, UnicodeError):
            raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is not a host name") from None
        if isinstance(answer, OSError):
            raise answer
        return answer

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Starts a connection with the system's sockets; see ``NetworkBackend``."""
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
