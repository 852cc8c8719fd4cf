"""Models and endpoint rules of botocore, read once a process for every session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
import botocore.session
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader, create_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["new_botocore_session"]

_T = TypeVar("_T")

_PACKAGED: Final = frozenset(
    {Loader.BUILTIN_DATA_PATH, os.path.join(os.path.dirname(boto3.__file__), "data")}  # noqa: PTH118, PTH120 - as boto3 writes it
)
"""The directories that nobody adds models to while a process runs."""

_CHANGED_BY_BOTOCORE: Final = "_retry"
"""The file whose data botocore changes in place after loading it."""

# No lock, which a fork could leave held: at worst two threads read a file, and both use the first.
_read: Final[dict[Hashable, Any]] = {}


def new_botocore_session() -> botocore.session.Session:
    """Return a session as ``botocore.session.get_session``, with models that sessions share."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _SharedLoader(session))
    return session


class _SharedLoader(Loader):
    """botocore's loader, which reads the models of botocore and boto3 once a process.

    boto3 reads the models anew for each session, which is most of the time that its first client
    takes. Here all sessions with the same search paths share them, as the clients of one botocore
    session do. If there is another directory of models, ``~/.aws/models`` or one of
    ``AWS_DATA_PATH``, the session reads for itself, because models may be added to it.

    Args:
        session: Whose ``data_path`` counts; it is read with the first model, as by botocore.
    """

    def __init__(self, session: botocore.session.Session) -> None:
        super().__init__()
        self._session = session
        self._paths: list[str] | None = None

    @property
    def search_paths(self) -> list[str]:
        """The directories that are searched, in order; boto3 adds its own."""
        if self._paths is None:
            self._paths = create_loader(self._session.get_config_variable("data_path")).search_paths
        return self._paths

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the services that there is a type of data for."""
        read = super().list_available_services
        return self._once(("services", type_name), lambda: read(type_name)).copy()

    def list_api_versions(self, service_name: str, type_name: str) -> list[str]:
        """Return the API versions that there is a type of data for."""
        read = super().list_api_versions
        key = ("versions", service_name, type_name)
        return self._once(key, lambda: read(service_name, type_name)).copy()

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:  # noqa: ANN401 - as botocore declares it
        """Return the model of a service, its extras merged in."""
        try:
            self.list_api_versions(service_name, type_name)
        except DataNotFoundError:  # botocore's own method raises an error that lists the services
            return super().load_service_model(service_name, type_name, api_version)
        key = ("model", service_name, type_name, api_version)
        return self._once(
            key,
            lambda: _LoaderOfOne(service_name, self.search_paths).load_service_model(
                service_name, type_name, api_version
            ),
        )

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """Return what a file holds, and the file."""
        read = super().load_data_with_path
        if name == _CHANGED_BY_BOTOCORE:
            return read(name)
        return self._once(("data", name), lambda: read(name))

    def _once(self, key: tuple[Hashable, ...], read: Callable[[], _T]) -> _T:
        paths = tuple(self.search_paths)
        if any(path not in _PACKAGED and os.path.isdir(path) for path in paths):  # noqa: PTH112 - twice as fast
            return read()
        whole = (paths, *key)
        found: _T = _read[whole] if whole in _read else _read.setdefault(whole, read())
        return found


class _LoaderOfOne(Loader):
    """botocore's loader for one service that exists.

    botocore lists the directories of all services, some 900, to see if one is among them.
    """

    def __init__(self, service_name: str, search_paths: list[str]) -> None:
        super().__init__(extra_search_paths=[*search_paths], include_default_search_paths=False)
        self._service_name = service_name

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's
        """Return the one."""
        return [self._service_name]
