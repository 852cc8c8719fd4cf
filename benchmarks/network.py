"""LoopbackNetwork: the DNS and the routes of a VPC in which one VPC endpoint stands."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sm_private_client.routing.network import SocketOption

__all__ = ["REGION", "VPC_ENDPOINT", "LoopbackNetwork"]

REGION: Final = "us-east-1"
VPC_ENDPOINT: Final = (
    f"vpce-0fe5b17a0707d6abc-29p5708s.runtime.sagemaker.{REGION}.vpce.amazonaws.com"
)
_ADDRESS: Final = "10.0.1.17"


class LoopbackNetwork:
    """Implements ``NetworkBackend``: the VPC endpoint's address is judged, a local port answers.

    Nothing else resolves and nothing else can be reached. It pickles.

    Args:
        port: Of the server on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Knows the VPC endpoint's name; see ``NetworkBackend.resolve``."""
        del timeout
        if host in (VPC_ENDPOINT, _ADDRESS):
            return (_ADDRESS,)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def target(self, address: str, port: int) -> tuple[str, int]:
        """Return where a connection to an address really goes.

        Raises:
            OSError: It is not the VPC endpoint's.
        """
        if (address, port) != (_ADDRESS, 443):
            raise OSError(errno.ENETUNREACH, f"Network is unreachable: {address}:{port}")
        return "127.0.0.1", self._port

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Start a connection to the server; see ``NetworkBackend.open``."""
        target = self.target(address, port)
        opened = socket.socket()
        try:
            for level, option, value in socket_options:
                opened.setsockopt(level, option, value)
            opened.setblocking(False)
            code = opened.connect_ex(target)
            if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                raise OSError(code, f"{errno.errorcode.get(code, code)} for {address}:{port}")
        except OSError:
            opened.close()
            raise
        return opened
