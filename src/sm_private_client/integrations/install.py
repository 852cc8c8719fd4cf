"""``install``: this process's own boto3 makes routed clients for the SageMaker family.

botocore passes every client that it has made to its session's plugin hook, however the client was
asked for. This one attribute of that one class is replaced, and nothing else. So sessions that
exist already, and subclasses, are covered.
"""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING, Final, TypeAlias

import botocore.session

from sm_private_client.errors import ConfigurationError, PrivateClientError
from sm_private_client.integrations.blocking import ORIGIN, block, is_sealing_asked_for, unsealed
from sm_private_client.privatelink.services import is_family
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.routing.settings import RoutingOptions, load_settings
from sm_private_client.session.session import Session, guard_client, session_over
from sm_private_client.transport.guarded import CLIENT_HOOK, is_guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self, Unpack

    from sm_private_client.routing.network import NetworkBackend
    from sm_private_client.types import BotoClient

__all__ = ["Installation", "install", "uninstall"]

_ClientHook: TypeAlias = "Callable[[botocore.session.Session, BotoClient], None]"


class Installation:
    """One ``install``, until the end of its ``with`` block or ``uninstall``."""

    def __init__(self, network: NetworkBackend | None, routing: RoutingOptions) -> None:
        self._network = network
        self._routing = routing
        self._lock = ForkableLock()
        self._sessions: weakref.WeakKeyDictionary[botocore.session.Session, Session] = (
            weakref.WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"<Installation {'active' if self.is_active else 'ended'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return _hook.has(self)

    def uninstall(self) -> None:
        """End it; the last one to end puts botocore's own back. A second time does nothing."""
        _hook.remove(self)

    def guard(self, botocore_session: botocore.session.Session, client: BotoClient) -> None:
        """Put the guard on a client that a botocore session has just made; no I/O.

        If it cannot be guarded, each of its calls is refused: an asynchronous client, or one that
        asks for what is not private, such as a proxy.
        """
        try:
            guard_client(self._session_over(botocore_session), client)
            # The first call needs the session, which nothing else may keep by then.
            client.meta.events.register("before-call", functools.partial(_keep, botocore_session))
        except PrivateClientError as error:
            block(client, error)

    def _session_over(self, botocore_session: botocore.session.Session) -> Session:
        with self._lock:
            if botocore_session not in self._sessions:
                # By proxy, so that a value of this dictionary does not keep its key alive.
                self._sessions[botocore_session] = session_over(
                    weakref.proxy(botocore_session), network=self._network, **self._routing
                )
            return self._sessions[botocore_session]


def _keep(_session: botocore.session.Session, **_: object) -> None:
    """Do nothing, and hold on to a session."""


class _Hook:
    """The hook of botocore's session class, and the installations that it serves.

    Others may wrap the hook too, and put back what they had found, in any order. So ours is looked
    for each time: it is put on top if it is not there, and taken off if it is.
    """

    def __init__(self) -> None:
        self._lock = ForkableLock(threading.RLock)
        self._installations: list[Installation] = []
        self._below: dict[_ClientHook, _ClientHook] = {}  # by hook of ours: the one it wraps

    def add(self, installation: Installation) -> None:
        with self._lock:
            self._installations.append(installation)
            found = vars(botocore.session.Session)[CLIENT_HOOK]
            if found not in self._below:
                ours = functools.wraps(found)(self._after(found))
                self._below[ours] = found
                setattr(botocore.session.Session, CLIENT_HOOK, ours)

    def has(self, installation: Installation) -> bool:
        return installation in self._installations

    def remove(self, installation: Installation) -> None:
        with self._lock:
            if installation in self._installations:
                self._installations.remove(installation)
            # If somebody has wrapped ours since, it stays below theirs and passes everything on.
            while not self._installations and (
                (found := vars(botocore.session.Session)[CLIENT_HOOK]) in self._below
            ):
                setattr(botocore.session.Session, CLIENT_HOOK, self._below.pop(found))

    def newest(self) -> Installation | None:
        with self._lock:
            return self._installations[-1] if self._installations else None

    def _after(self, original: _ClientHook) -> _ClientHook:
        def hook(session: botocore.session.Session, client: BotoClient) -> None:
            installation = self.newest()
            if installation is not None and not is_guarded(client):
                service_name = client.meta.service_model.service_name
                if is_family(service_name):
                    installation.guard(session, client)
                elif is_sealing_asked_for(session):
                    block(client, unsealed(service_name))
            original(session, client)  # last: the plugin leaves alone what is guarded

        return hook


_hook: Final = _Hook()


def install(
    *, network: NetworkBackend | None = None, **routing: Unpack[RoutingOptions]
) -> Installation:
    """Have this process's boto3 make routed clients for the SageMaker family, until it is undone.

    ``boto3.client``, ``boto3.Session``, sessions that exist already and botocore's own sessions
    are covered, in every thread; clients of other services are boto3's own. A client without a
    private route can be made, and each of its calls raises why; nothing is sent.

    The newest installation decides. botocore's own hook is put back when the last one has ended.

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
    _hook.add(installation)
    return installation


def uninstall() -> None:
    """End the newest installation; do nothing if there is none."""
    installation = _hook.newest()
    if installation is not None:
        installation.uninstall()
