"""The seal of a botocore session: a guard on each client it makes and on its credential fetchers.

botocore emits an event for every client class, whoever asked for the client: a base class that
is added there guards the very object that botocore makes. The private surfaces of botocore and
boto3 that sealing leans on stand here and nowhere else; ``tests/test_botocore_surfaces.py`` names
them and fails when they change.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.client import BaseClient as ClientBase
from botocore.credentials import ContainerProvider, InstanceMetadataProvider
from botocore.endpoint import DEFAULT_TIMEOUT

from sm_private_client.privatelink.addresses import AddressPolicy, is_loopback_host
from sm_private_client.privatelink.records import Route
from sm_private_client.transport.dialer import Dialer
from sm_private_client.transport.guarded import GuardedHTTPSession, limit_silence

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    import botocore.session
    from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
    from botocore.client import BaseClient

    from sm_private_client.routing.network import NetworkBackend, SocketOption
    from sm_private_client.transport.dialer import ZoneHealth
    from sm_private_client.transport.egress import EgressLog

__all__ = [
    "CredentialsHTTPSession",
    "MetadataNetwork",
    "guard_fetchers",
    "watch_clients",
    "without_common_runtime",
]


def watch_clients(
    session: botocore.session.Session,
    *,
    is_guarded_service: Callable[[str], bool],
    put_on: Callable[[BaseClient], object],
    before_credentials: Callable[[], None],
) -> None:
    """Have the clients that a botocore session makes from now on guarded, whoever asks for them.

    One of STS, guarded or not, does not wait minutes for an answer: fetching credentials ends
    within half a minute.

    Args:
        session: The botocore session.
        is_guarded_service: Return True if a service's client is to be guarded. A profile is read,
            and a variable may be set, after the session was made; so this is asked each time.
        put_on: Put the guard on a client.
        before_credentials: Called before the session gives credentials.
    """

    class WatchedClient:
        """The base next to botocore's own, so that no other one can call the client before.

        botocore's own sets handlers last, also if another base passes ours over. If it ever does
        not, the client is looked at once it is made.
        """

        is_watched = False

        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - botocore's
            super().__init__(*args, **kwargs)
            self._watch()

        def _register_handlers(self) -> None:
            super()._register_handlers()  # type: ignore[misc] # a mixin
            self._watch()

        def _watch(self) -> None:
            if self.is_watched:
                return
            self.is_watched = True
            made: Any = self
            service_name = made.meta.service_model.service_name
            waits = made.meta.config.read_timeout
            if is_guarded_service(service_name):
                put_on(made)
            if service_name == "sts" and waits == DEFAULT_TIMEOUT:
                limit_silence(made)

    owned: Any = session
    fetch = owned.get_credentials

    @functools.wraps(fetch)
    def get_credentials(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - botocore's
        before_credentials()
        return fetch(*args, **kwargs)

    def add(base_classes: list[type], **_: object) -> None:
        own = (at for at, base in enumerate(base_classes) if issubclass(base, ClientBase))
        base_classes.insert(next(own, 0), WatchedClient)

    owned.register("creating-client-class", add)
    owned.get_credentials = get_credentials


def guard_fetchers(session: botocore.session.Session, fetch: Callable[[str], Any]) -> None:
    """Put guarded HTTP sessions under what fetches credentials on link-local addresses.

    Args:
        session: The botocore session.
        fetch: Return the HTTP session of a fetcher, by its name.
    """
    for provider in session.get_component("credential_provider").providers:
        if isinstance(provider, InstanceMetadataProvider):
            fetcher: Any = provider._role_fetcher  # type: ignore[attr-defined]
            fetcher._session = fetch("instance metadata")
        elif isinstance(provider, ContainerProvider):
            fetcher = provider._fetcher  # type: ignore[attr-defined]
            fetcher._session = fetch("container credentials")


def without_common_runtime(client: BaseClient) -> None:
    """Have boto3's S3 transfers use this client: the AWS Common Runtime has sockets of its own.

    boto3 asks a client for its credentials only to see if the Common Runtime could carry its
    transfers, and carries them itself if there are none.
    """
    owned: Any = client
    owned._get_credentials = _no_credentials


def _no_credentials() -> None:
    return None


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
        egress: EgressLog,
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

    def __init__(self, network: NetworkBackend, *, egress: EgressLog) -> None:
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
        counters = self._egress.counters(
            "instance metadata", address, verdict, availability_zone=None
        )
        if not verdict.private:
            counters.refused()
            raise OSError(f"{address} {verdict.why}")
        opened = self._network.open(address, port, socket_options=socket_options)
        counters.connected()
        counters.called()  # one request a connection; see routing.location
        return opened
