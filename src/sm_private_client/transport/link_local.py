"""What gives credentials and tells the place on link-local addresses, guarded like a client.

botocore fetches these with HTTP sessions of its own, which would follow ``HTTP_PROXY`` and go to
whatever host a variable names. Here each goes through a Dialer that knows these addresses only.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sm_private_client.privatelink.addresses import AddressPolicy, is_loopback_host
from sm_private_client.privatelink.records import Route
from sm_private_client.transport.dialer import Dialer
from sm_private_client.transport.guarded import GuardedHTTPSession

if TYPE_CHECKING:
    import socket

    from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse

    from sm_private_client.routing.network import NetworkBackend, SocketOption
    from sm_private_client.transport.dialer import ZoneHealth
    from sm_private_client.transport.egress import EgressLedger

__all__ = ["CredentialsHTTPSession", "MetadataNetwork"]

_LINK_LOCAL: Final = AddressPolicy(credentials=True)
_LOCAL: Final = AddressPolicy(local=True)  # Greengrass, CloudShell and stand-ins name localhost


class CredentialsHTTPSession:
    """Stands in for the HTTP session of a botocore credential fetcher.

    Args:
        service_name: What it is called in the record of what was reached.
        network: What resolves and opens.
        health: The session's.
        egress: The session's.
        timeout: Seconds to connect and to read.
    """

    def __init__(
        self,
        service_name: str,
        *,
        network: NetworkBackend,
        health: ZoneHealth,
        egress: EgressLedger,
        timeout: float,
    ) -> None:
        def session(policy: AddressPolicy) -> GuardedHTTPSession:
            route = Route(
                service_name=service_name,
                region="",
                partition="",
                endpoint_url="",
                source="configured",
                address_policy=policy,
            )
            return GuardedHTTPSession(
                Dialer(route, network=network, health=health, egress=egress),
                timeout=(timeout, timeout),
                max_pool_connections=1,
            )

        self._link_local = session(_LINK_LOCAL)
        self._local = session(_LOCAL)

    def send(self, request: AWSRequest | AWSPreparedRequest) -> AWSResponse:
        """Sends a request.

        Raises:
            PublicAddressError: Its host is neither where credentials are given nor this machine.
            HTTPClientError: botocore's own.
        """
        host = urlsplit(str(request.url)).hostname or ""
        return (self._local if is_loopback_host(host) else self._link_local).send(request)


class MetadataNetwork:
    """Implements ``NetworkBackend`` for finding out where we run: link-local and loopback only.

    Args:
        network: What resolves and opens.
        egress: The session's.
    """

    def __init__(self, network: NetworkBackend, *, egress: EgressLedger) -> None:
        self._network = network
        self._egress = egress

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Looks a host name up; see ``NetworkBackend.resolve``."""
        return self._network.resolve(host, timeout=timeout)

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Starts to connect; see ``NetworkBackend.open``.

        Raises:
            OSError: The address is not one that tells where a process runs.
        """
        local = ipaddress.ip_address(address).is_loopback
        verdict = (_LOCAL if local else _LINK_LOCAL).judge(address)
        tally = self._egress.tally("instance metadata", address, verdict, availability_zone=None)
        if not verdict.private:
            tally.refused()
            raise OSError(f"{address} {verdict.why}")
        opened = self._network.open(address, port, socket_options=socket_options)
        tally.connected()
        tally.called()  # one request a connection; see routing.location
        return opened
