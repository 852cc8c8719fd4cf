"""``install``: from then on this process's own boto3 gives routed clients for the SageMaker family.

botocore shows every client that it has made to its session's plugin hook, however it was asked
for the client. This one attribute of that one class is replaced, and nothing else, so sessions
that exist already, and subclasses, are covered.
"""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from sm_private_client.errors import ConfigurationError, PrivateClientError
from sm_private_client.integrations.blocking import ORIGIN, block, is_sealing_asked_for, unsealed
from sm_private_client.privatelink.services import is_family
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.routing.settings import RoutingOptions, load_settings
from sm_private_client.session import Session
from sm_private_client.transport.guarded import CLIENT_HOOK, is_guarded

if TYPE_CHECKING:
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
        self._lock = ForkableLock()
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
        return _hook.has(self)

    def uninstall(self) -> None:
        """Ends it; the last one to end puts botocore's own back. Again, it does nothing."""
        _hook.remove(self)

    def guard(self, botocore_session: botocore.session.Session, client: Any) -> None:  # noqa: ANN401
        """Put the guard on a client that a botocore session has just made; no I/O.

        One that cannot be guarded has each of its calls refused: an asynchronous one, and one
        that asks for what is not private, such as a proxy.
        """
        try:
            self._session_over(botocore_session).guard(client)
            # The first call needs the session, which nothing else may keep by then.
            client.meta.events.register("before-call", functools.partial(_keep, botocore_session))
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


def _keep(_session: botocore.session.Session, **_: object) -> None:
    """Do nothing, and hold on to a session."""


class _Hook:
    """The hook of botocore's session class, and who wants to see the clients it is called with.

    Others may wrap it too, and put back what they had found, in any order. So what is ours is
    looked for each time: it is put on top if it is not, and taken off if it is.
    """

    def __init__(self) -> None:
        self._lock = ForkableLock(threading.RLock)
        self._installations: list[Installation] = []
        self._below: dict[Any, Any] = {}  # of what is ours: what it was put on

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
            # Where somebody has wrapped ours since, ours stays below it and hands everything on.
            while not self._installations and (
                (found := vars(botocore.session.Session)[CLIENT_HOOK]) in self._below
            ):
                setattr(botocore.session.Session, CLIENT_HOOK, self._below.pop(found))

    def newest(self) -> Installation | None:
        with self._lock:
            return self._installations[-1] if self._installations else None

    def _after(self, original: Any) -> Any:  # noqa: ANN401 - botocore's hook
        def hook(session: botocore.session.Session, client: Any) -> None:  # noqa: ANN401
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
    _hook.add(installation)
    return installation


def uninstall() -> None:
    """Ends the newest installation; without one it does nothing."""
    installation = _hook.newest()
    if installation is not None:
        installation.uninstall()
