"""``install``: from then on this process's own boto3 gives routed clients for the SageMaker family.

boto3 makes every client through ``botocore.session.Session.create_client``, and botocore shows
every client that it made to the session's plugin hook. These two attributes of that one class are
replaced; nothing else is touched, so sessions that exist already, and subclasses, are covered.
"""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from sm_private_client.errors import (
    ConfigurationError,
    PrivateClientError,
    PublicAddressError,
    RoutingError,
)
from sm_private_client.privatelink.services import is_family
from sm_private_client.routing.settings import RoutingOptions, load_settings
from sm_private_client.session import Session, is_making, making
from sm_private_client.swap_in.blocking import block
from sm_private_client.swap_in.sealed_settings import ORIGIN, is_sealing_asked_for, unsealed
from sm_private_client.transport.guarded import CLIENT_HOOK, MadeClient, is_guarded
from sm_private_client.transport.sealing import CREATE_CLIENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from sm_private_client.routing.network import NetworkBackend

__all__ = ["Installation", "install", "uninstall"]


class Installation:
    """What one ``install`` did; it ends with its ``with`` block, or ``uninstall``.

    Args:
        network: As for ``Session``.
        routing: As for ``Session``.
    """

    def __init__(self, network: NetworkBackend | None, routing: RoutingOptions) -> None:
        self._network = network
        self._routing = routing
        self._lock = threading.Lock()
        self._sessions: weakref.WeakKeyDictionary[botocore.session.Session, Session] = (
            weakref.WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"<Installation {'active' if self.is_active else 'ended'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return _swap.has(self)

    def uninstall(self) -> None:
        """Ends it; the last one to end puts botocore's own back. Again, it does nothing."""
        _swap.remove(self)

    def client(
        self,
        make: Callable[..., Any],
        botocore_session: botocore.session.Session,
        arguments: dict[str, Any],
    ) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Makes a routed client, or one whose every call is refused where there is no route.

        Libraries make clients that they may never use; so what cannot be routed is refused when
        it is called, and not when it is made.

        Args:
            make: botocore's own ``create_client``.
            botocore_session: Whose client it is.
            arguments: Those of ``create_client``.

        Raises:
            ConfigurationError: An argument asks for what is not private, such as a proxy.
        """
        try:
            return self._session_over(botocore_session).unshared_client(**arguments)
        except (RoutingError, PublicAddressError) as error:
            with making():
                client = make(botocore_session, **arguments)
            block(client, error)
            return client

    def take(self, botocore_session: botocore.session.Session, client: Any) -> None:  # noqa: ANN401
        """Guards a client that did not come through ``client``, or has its calls refused."""
        try:
            MadeClient.of(client)  # raises: no guard fits, nor a session of ours on an async one
            self._session_over(botocore_session).adopt(client)
        except PrivateClientError as error:
            block(client, error)

    def _session_over(self, botocore_session: botocore.session.Session) -> Session:
        with self._lock:
            if botocore_session not in self._sessions:
                # By proxy: what is kept for a botocore session must not keep it alive.
                self._sessions[botocore_session] = Session.over(
                    weakref.proxy(botocore_session), network=self._network, **self._routing
                )
            return self._sessions[botocore_session]


class _Swap:
    """The two attributes of botocore's session class, and who wants them replaced.

    Others may wrap them too, and put back what they had found, in any order. So what is ours is
    looked for each time: it is put on top where it is not, and taken off where it is.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._installations: list[Installation] = []
        self._below: dict[Any, Any] = {}  # of what is ours: what it was put on

    def add(self, installation: Installation) -> None:
        with self._lock:
            self._installations.append(installation)
            self._replace("create_client", _creating)
            self._replace(CLIENT_HOOK, _taking)

    def has(self, installation: Installation) -> bool:
        return installation in self._installations

    def remove(self, installation: Installation) -> None:
        with self._lock:
            if installation in self._installations:
                self._installations.remove(installation)
            if not self._installations:
                self._put_back("create_client")
                self._put_back(CLIENT_HOOK)

    def newest(self) -> Installation | None:
        with self._lock:
            return self._installations[-1] if self._installations else None

    def _replace(self, name: str, make: Callable[[Any], Any]) -> None:
        found = vars(botocore.session.Session)[name]
        if found not in self._below:
            ours = functools.wraps(found)(make(found))
            self._below[ours] = found
            setattr(botocore.session.Session, name, ours)

    def _put_back(self, name: str) -> None:
        # Where somebody has wrapped ours since, ours stays below it and hands everything on.
        while (found := vars(botocore.session.Session)[name]) in self._below:
            setattr(botocore.session.Session, name, self._below.pop(found))


_swap: Final = _Swap()


def _creating(original: Any) -> Any:  # noqa: ANN401 - botocore's create_client
    def create_client(self: botocore.session.Session, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        installation = _swap.newest()
        arguments = CREATE_CLIENT.bind(self, *args, **kwargs).arguments
        del arguments["self"]
        if installation is None or is_making() or not is_family(str(arguments["service_name"])):
            return original(self, *args, **kwargs)
        return installation.client(original, self, arguments)

    return create_client


def _taking(original: Any) -> Any:  # noqa: ANN401 - botocore's hook
    def take(self: botocore.session.Session, client: Any) -> None:  # noqa: ANN401
        original(self, client)
        installation = _swap.newest()
        if installation is None or is_making():
            return
        service_name = client.meta.service_model.service_name
        if not is_family(service_name):
            if is_sealing_asked_for(self):
                block(client, unsealed(service_name))
        elif not is_guarded(client):
            installation.take(self, client)

    return take


def install(
    *, network: NetworkBackend | None = None, **routing: Unpack[RoutingOptions]
) -> Installation:
    """Has this process's boto3 give routed clients for the SageMaker family, until it is undone.

    ``boto3.client``, ``boto3.Session``, sessions that exist already and botocore's own sessions
    are covered, in every thread; clients of other services are boto3's own. A client without a
    private route is given all the same, and each call of it raises why; nothing is sent.

    The newest installation decides; botocore's own attributes are put back when the last one has
    ended.

    Args:
        network: As for ``Session``.
        **routing: As for ``Session``; ``sealed`` is refused.

    Returns:
        The installation, to end it: by ``with``, or its ``uninstall``.

    Raises:
        ConfigurationError: An option cannot be used, or a variable or the profile asks for a
            sealed session; nothing was installed.
    """
    load_settings(routing, environ={}, profile={})
    if routing.get("sealed"):
        raise ConfigurationError(
            "sealed=True cannot be installed.",
            cause="install() swaps the clients of the SageMaker family only.",
            remedy="make a Session(sealed=True) and hand it, or its clients, to the library.",
        )
    if is_sealing_asked_for():
        raise ConfigurationError(
            "A sealed session is asked for, and cannot be installed.",
            cause=f"{ORIGIN}, and install() swaps the clients of the SageMaker family only.",
            remedy=(
                "make a Session(sealed=True) and hand it, or its clients, to the library.",
                "unset it if clients of other services may go out publicly.",
            ),
        )
    installation = Installation(network, routing)
    _swap.add(installation)
    return installation


def uninstall() -> None:
    """Ends the newest installation; without one it does nothing."""
    installation = _swap.newest()
    if installation is not None:
        installation.uninstall()
