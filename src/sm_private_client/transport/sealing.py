"""The seal of a botocore session: a guard on each client it makes and on its credential fetchers.

botocore emits an event for every client class, however the client is asked for: a base class that
is added there guards the object that botocore makes. The private surfaces of botocore and boto3
that this needs stand here and nowhere else; ``tests/test_botocore_surfaces.py`` names them and
fails when they change.
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

    from sm_private_client.routing.network import NetworkBackend, SocketOption
    from sm_private_client.transport.dialer import ZoneHealth
    from sm_private_client.transport.egress import EgressLog
    from sm_private_client.types import BotoClient

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
    put_on: Callable[[BotoClient], object],
    before_credentials: Callable[[], None],
) -> None:
    """Guard the clients that a botocore session makes from now on, however they are asked for.

    A client of STS, guarded or not, does not wait minutes for an answer: fetching credentials
    ends within half a minute.

    ``is_guarded_service`` is called for each client: the profile is read, and a variable may be
    set, after the session was made. ``before_credentials`` is called before the session returns
    credentials.
    """

    class WatchedClient:
        """The base class next to botocore's own, so that no other can call the client before.

        botocore's own calls ``_register_handlers`` last, also if another base class skips ours.
        If it ever does not, ``__init__`` guards the client once it is made.
        """

        is_watched = False

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            self._watch()

        def _register_handlers(self) -> None:
            super()._register_handlers()  # type: ignore[misc] # a mixin
            self._watch()

        def _watch(self) -> None:
            if self.is_watched:
                return
            self.is_watched = True
            client: Any = self
            service_name = client.meta.service_model.service_name
            read_timeout = client.meta.config.read_timeout
            if is_guarded_service(service_name):
                put_on(client)
            if service_name == "sts" and read_timeout == DEFAULT_TIMEOUT:
                limit_silence(client)

    owned: Any = session
    fetch = owned.get_credentials

    @functools.wraps(fetch)
    def get_credentials(*args: object, **kwargs: object) -> object:
        before_credentials()
        return fetch(*args, **kwargs)

    def add(base_classes: list[type], **_: object) -> None:
        own = (at for at, base in enumerate(base_classes) if issubclass(base, ClientBase))
        base_classes.insert(next(own, 0), WatchedClient)

    owned.register("creating-client-class", add)
    owned.get_credentials = get_credentials


def guard_fetchers(session: botocore.session.Session, http_session: Callable[[str], Any]) -> None:
    """Put guarded HTTP sessions under the fetchers of credentials on link-local addresses."""
    for provider in session.get_component("credential_provider").providers:
        if isinstance(provider, InstanceMetadataProvider):
            provider._role_fetcher._session = http_session("instance metadata")  # type: ignore[attr-defined] # not in the stubs
        elif isinstance(provider, ContainerProvider):
            provider._fetcher._session = http_session("container credentials")  # type: ignore[attr-defined] # the same


def without_common_runtime(client: BotoClient) -> None:
    """Have boto3's S3 transfers use this client: the AWS Common Runtime has sockets of its own.

    boto3 reads the credentials of a client only to see if the Common Runtime could do its
    transfers, and does them itself if there are none.
    """
    client._get_credentials = _no_credentials


def _no_credentials() -> None:
    return None


_LINK_LOCAL: Final = AddressPolicy(credentials=True)
_LOCAL: Final = AddressPolicy(local=True)  # Greengrass, CloudShell and stand-ins name localhost


class CredentialsHTTPSession:
    """The guarded HTTP session of a botocore credential fetcher.

    ``service_name`` is its name in the egress log, ``timeout`` the seconds to connect and to read.
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
        """Send a request.

        Raises:
            PublicAddressError: Its host is neither a link-local credential service nor this
                machine.
            HTTPClientError: botocore's own.
        """
        host = urlsplit(str(request.url)).hostname or ""
        return (self._local if is_loopback_host(host) else self._link_local).send(request)


class MetadataNetwork:
    """The ``NetworkBackend`` for finding out where we run: link-local and loopback only."""

    def __init__(self, network: NetworkBackend, *, egress: EgressLog) -> None:
        self._network = network
        self._egress = egress

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Look up a host name; see ``NetworkBackend.resolve``."""
        return self._network.resolve(host, timeout=timeout)

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        """Start to connect; see ``NetworkBackend.open``.

        Raises:
            OSError: The address is neither link-local nor loopback.
        """
        is_local = ipaddress.ip_address(address).is_loopback
        verdict = (_LOCAL if is_local else _LINK_LOCAL).judge(address)
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
