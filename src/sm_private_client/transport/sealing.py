"""Seal: no client leaves a botocore session but through one function of ours.

The private surfaces of botocore and boto3 that sealing leans on stand here and nowhere else;
``tests/test_botocore_surfaces.py`` names them and fails when they change. Clients are made by
``create_client`` of the botocore session, also those of credential providers (STS, SSO, sign-in).
It is replaced on this one object. Whoever kept the old one, such as a provider that was made
before, is stopped by the event that botocore emits for every client it makes.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.credentials import ContainerProvider, InstanceMetadataProvider

from sm_private_client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.client import BaseClient

__all__ = ["CREATE_CLIENT", "Seal", "seal_when_asked", "without_common_runtime"]

CREATE_CLIENT: Final = inspect.signature(botocore.session.Session.create_client)
"""The arguments of botocore's ``create_client``, whatever a subclass or a wrapper calls them."""


class Seal:
    """Puts our function in place of ``create_client`` of one botocore session, for good.

    Args:
        session: The botocore session.
        make: Makes a guarded client of a service and the arguments of ``create_client`` by name,
            with the function that it gets third: the botocore session's own, permitted once.
        fetch: Gives the HTTP session for what fetches credentials on link-local addresses, by
            name.
    """

    def __init__(
        self,
        session: botocore.session.Session,
        *,
        make: Callable[[str, dict[str, Any], Callable[..., Any]], Any],
        fetch: Callable[[str], Any],
    ) -> None:
        owned: Any = session
        self._session = owned
        self._create: Callable[..., Any] = owned.create_client
        self._get_credentials: Callable[..., Any] = owned.get_credentials
        self._make = make
        self._fetch = fetch
        self._local = threading.local()
        self._fetchers_are_guarded = False
        owned.create_client = self.create_client
        owned.get_credentials = self._get_guarded_credentials
        owned.register("creating-client-class", self._look, unique_id=f"sealed-{id(self)}")

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Lets the next client of this thread be made as it is; the caller guards it."""
        self._local.lifted = True
        try:
            yield
        finally:
            self._local.lifted = False

    @property
    def is_permitting(self) -> bool:
        """Whether this thread is making a client that was asked of ``create_client``."""
        return bool(getattr(self._local, "permits", 0))

    def create_client(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - boto3's clients
        """Stands in for the botocore session's."""
        bound = CREATE_CLIENT.bind(self._session, *args, **kwargs).arguments
        del bound["self"]
        service_name = bound.pop("service_name")
        if getattr(self._local, "lifted", False):
            self._local.lifted = False
            return self._permitted(service_name, **bound)
        return self._make(service_name, bound, self._permitted)

    def _permitted(self, service_name: str, **arguments: Any) -> Any:  # noqa: ANN401
        """Makes a client; credentials that it fetches on the way may make guarded ones."""
        before = getattr(self._local, "permits", 0)
        self._local.permits = 1
        try:
            return self._create(service_name, **arguments)
        finally:
            self._local.permits = before

    def _look(self, class_attributes: dict[str, Any], **_: Any) -> None:  # noqa: ANN401, ARG002
        if not self.is_permitting:
            raise ConfigurationError(
                "A client was about to be made past the seal of its session; nothing was sent.",
                cause="something kept botocore's create_client from before the session was sealed.",
                remedy="give sealed=True to the first Session that uses a botocore_session, or a "
                "botocore_session that nothing else has used.",
            )
        self._local.permits = 0

    def guard_fetchers(self) -> None:
        """Puts guarded HTTP sessions under what fetches credentials on link-local addresses."""
        if self._fetchers_are_guarded:
            return
        for provider in self._session.get_component("credential_provider").providers:
            if isinstance(provider, InstanceMetadataProvider):
                fetcher: Any = provider._role_fetcher  # type: ignore[attr-defined] # noqa: SLF001 - see module
                fetcher._session = self._fetch("instance metadata")  # noqa: SLF001 - see module
            elif isinstance(provider, ContainerProvider):
                fetcher = provider._fetcher  # type: ignore[attr-defined] # noqa: SLF001 - see module
                fetcher._session = self._fetch("container credentials")  # noqa: SLF001
        self._fetchers_are_guarded = True

    def _get_guarded_credentials(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        self.guard_fetchers()
        return self._get_credentials(*args, **kwargs)


def seal_when_asked(session: botocore.session.Session, sealing: Callable[[], Seal | None]) -> None:
    """Has what a botocore session makes and fetches wait for the answer whether it is sealed.

    A profile is read, and a variable may be set, after the session was made.

    Args:
        session: The botocore session.
        sealing: Gives the seal, which it makes when it is asked for first; ``None`` where nothing
            asks for one.
    """
    owned: Any = session
    create, fetch = owned.create_client, owned.get_credentials

    @functools.wraps(create)
    def create_client(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - boto3's clients
        seal = sealing()
        if seal is None or seal.is_permitting:
            return create(*args, **kwargs)
        return seal.create_client(*args, **kwargs)

    @functools.wraps(fetch)
    def get_credentials(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - botocore's
        seal = sealing()
        if seal is not None:
            seal.guard_fetchers()
        return fetch(*args, **kwargs)

    owned.create_client = create_client
    owned.get_credentials = get_credentials


def without_common_runtime(client: BaseClient) -> None:
    """Has boto3's S3 transfers use this client: the AWS Common Runtime has sockets of its own.

    boto3 asks a client for its credentials only to see whether the Common Runtime could carry its
    transfers, and carries them itself where there are none.
    """
    owned: Any = client
    owned._get_credentials = _no_credentials  # noqa: SLF001 - see module


def _no_credentials() -> None:
    return None
