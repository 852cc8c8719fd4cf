"""Routes on disk, so that a fresh process need not ask DNS and EC2 anew.

One file a route, written whole and renamed, mode 0600 in a directory of mode 0700. Processes
that start together take turns at a lock file, so that one asks and the others read. Whatever is
wrong with the directory or a file, routing goes on without it, with one warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import NoPrivateRouteError
from sm_private_client.privatelink.records import Evidence, Route
from sm_private_client.routing.file_locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["NEGATIVE_TTL", "ROUTE_TTL", "RouteCache"]

ROUTE_TTL: Final = 3600.0
"""Seconds that a route is kept."""

NEGATIVE_TTL: Final = 30.0
"""Seconds that "there is no private route" is kept."""

_LOCK_TIMEOUT: Final = 10.0  # as long as making a route may take
_FORMAT: Final = 1

_logger = logging.getLogger(__name__)


class RouteCache:
    """Keeps routes in a directory.

    Args:
        directory: Where; it is made when the first route is kept.
        now: Seconds since the epoch.
    """

    def __init__(self, directory: str, *, now: Callable[[], float] = time.time) -> None:
        self._directory = Path(directory)
        self._now = now
        self._warned = False

    def fetch(
        self,
        key: Mapping[str, Any],
        *,
        decide: Callable[[], Route],
        refresh: Callable[[Route], Route | None],
    ) -> Route:
        """Gives the kept route, or decides one and keeps it; processes take turns.

        Args:
            key: What the route depends on.
            decide: Makes the route; what it raises goes through, and "no private route" is kept.
            refresh: Brings a kept route up to date; ``None`` if it is not good any more.
        """
        route = self._kept(key, refresh)
        if route is not None:
            return route
        with self.turn(key):
            route = self._kept(key, refresh)  # another process may have made it meanwhile
            if route is not None:
                return route
            try:
                route = decide()
            except NoPrivateRouteError as error:
                self.write(key, error)
                raise
            self.write(key, route)
            return route

    def _kept(
        self, key: Mapping[str, Any], refresh: Callable[[Route], Route | None]
    ) -> Route | None:
        kept = self.read(key)
        if isinstance(kept, NoPrivateRouteError):
            raise kept
        return refresh(kept) if kept is not None else None

    def read(self, key: Mapping[str, Any]) -> Route | NoPrivateRouteError | None:
        """Gives what is kept for a key: a route, an error to raise, or ``None``."""
        path = self._path(key)
        try:
            if not self._is_ours(path):
                return None
            kept = json.loads(path.read_text(encoding="utf-8"))
            age = self._now() - kept["written"]
            if kept["format"] != _FORMAT or kept["key"] != _as_json_gives_it(key):
                return None
            if "route" in kept:
                return Route.from_dict(kept["route"]) if 0 <= age < ROUTE_TTL else None
            return _refused(kept["refused"]) if 0 <= age < NEGATIVE_TTL else None
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"{path} cannot be read ({error.strerror})")
        except (ValueError, KeyError, TypeError, RecursionError):
            self._warn(f"{path} is damaged")
        return None

    def write(self, key: Mapping[str, Any], decided: Route | NoPrivateRouteError) -> None:
        """Keeps a route, or that there is none. Never raises."""
        made: dict[str, Any] = {"format": _FORMAT, "written": self._now(), "key": dict(key)}
        if isinstance(decided, Route):
            made["route"] = decided.as_dict()
        else:
            made["refused"] = {
                "text": str(decided),
                "what": decided.what,
                "attempts": [[a.step, a.outcome, a.detail] for a in decided.attempts],
            }
        path = self._path(key)
        temporary = ""
        try:
            self._make_directory()
            # mkstemp makes the file with mode 0600.
            handle, temporary = tempfile.mkstemp(dir=self._directory, prefix=".new-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(made, file)
            os.replace(temporary, path)  # noqa: PTH105 - atomic, over a file that may be there
        except OSError as error:
            self._warn(f"{self._directory} cannot be written ({error.strerror})")
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - the name may be empty

    def forget(self) -> None:
        """Deletes everything that is kept in the directory. Never raises."""
        with contextlib.suppress(OSError):
            for path in self._directory.glob("*.json"):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def turn(self, key: Mapping[str, Any]) -> Iterator[None]:
        """Waits, at most ten seconds, until no other process makes the same route."""
        handle: int | None = None
        try:
            self._make_directory()
            handle = os.open(self._path(key).with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._warn(f"{self._directory} cannot be written ({error.strerror})")
        if handle is None:
            yield
            return
        try:
            deadline = time.monotonic() + _LOCK_TIMEOUT
            while not try_lock(handle) and time.monotonic() < deadline:
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)  # closing gives the lock back

    def _path(self, key: Mapping[str, Any]) -> Path:
        text = json.dumps(dict(key), sort_keys=True)
        return self._directory / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"

    def _make_directory(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _is_ours(self, path: Path) -> bool:
        if not hasattr(os, "geteuid"):
            return True  # Windows: the user's own profile directory
        status = path.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
            return True
        self._warn(f"{path} belongs to another user or can be written by others")
        return False

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning(
                "The route cache is passed over: %s. Delete it, or set route_cache=False.", what
            )


def _as_json_gives_it(key: Mapping[str, Any]) -> Any:  # noqa: ANN401 - json's own type
    return json.loads(json.dumps(dict(key)))  # tuples have become lists


def _refused(kept: Mapping[str, Any]) -> NoPrivateRouteError:
    error = NoPrivateRouteError(
        kept["what"],
        attempts=[Evidence(step=s, outcome=o, detail=d) for s, o, d in kept["attempts"]],
    )
    error.args = (str(kept["text"]),)
    error.what = kept["what"]
    return error
