"""EC2's answers on disk, so that a fresh process need not ask for them anew.

One file a route, written whole and renamed, mode 0600 in a directory of mode 0700. Processes
that start together take turns at a lock file, so that one asks and the others read. Whatever is
wrong with the directory or a file, routing goes on without it, with one warning. What a file says
saves look-ups and decides nothing: see ``kept_answers``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.files import NotOursError, OwnedDirectory, try_lock
from sm_private_client.routing.kept_answers import KeptAnswers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sm_private_client.privatelink.records import Route

__all__ = ["ROUTE_TTL", "RouteCache"]

ROUTE_TTL: Final = 3600.0
"""Seconds that a route is kept."""

_TURN_TIMEOUT: Final = 3.0  # then EC2 is asked beside another process
_FAMILY: Final = "sm_private_client route "
_FORMAT: Final = f"{_FAMILY}2"
_LARGEST: Final = 1 << 16  # a VPC endpoint with an interface in each of 20 zones is below 8 KiB
_NAME: Final = re.compile(r"[0-9a-f]{32}\.json\Z")

_logger = logging.getLogger(__name__)


class RouteCache:
    """Keeps in a directory what routes were made of.

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
        recall: Callable[[KeptAnswers], Route | None],
        answers_of: Callable[[Route], KeptAnswers | None],
    ) -> Route:
        """Return the route that the kept answers lead to, or decide one; processes take turns.

        Args:
            key: What the route depends on.
            decide: Makes the route; what it raises goes through, and nothing is kept of it.
            recall: Makes the route of kept answers; ``None`` if they are not good any more.
            answers_of: Gives what to keep of a decided route, if anything.
        """
        route = self._recalled(key, recall)
        if route is not None:
            return route
        with self.turn(key):
            route = self._recalled(key, recall)  # another process may have made it meanwhile
            if route is None:
                route = decide()
                answers = answers_of(route)
                if answers is not None:
                    self.write(key, answers)
            return route

    def _recalled(
        self, key: Mapping[str, Any], recall: Callable[[KeptAnswers], Route | None]
    ) -> Route | None:
        kept = self.read(key)
        return recall(kept) if kept is not None else None

    def read(self, key: Mapping[str, Any]) -> KeptAnswers | None:
        """Return what is kept for a key. Never raises."""
        digest = _digest(key)
        name = f"{digest[:32]}.json"
        try:
            with OwnedDirectory(self._directory) as directory:
                raw = _parsed(directory.read(name, limit=_LARGEST))
            if raw["format"] != _FORMAT or raw["key"] != digest:
                return None
            age = self._now() - float(raw["written"])
            return KeptAnswers.from_json(raw["ec2"]) if 0 <= age < ROUTE_TTL else None
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(error, name, "read")
        except (ValueError, KeyError, TypeError, OverflowError):
            self._warn_of(f"{self._directory / name} is damaged")
        return None

    def write(self, key: Mapping[str, Any], answers: KeptAnswers) -> None:
        """Keep answers. Never raises."""
        digest = _digest(key)
        made = {
            "format": _FORMAT,
            "written": self._now(),
            "key": digest,
            "ec2": answers.as_json(),
        }
        content = json.dumps(made).encode()
        if len(content) > _LARGEST:
            return
        try:
            with OwnedDirectory(self._directory, make=True) as directory:
                directory.write(f"{digest[:32]}.json", content)
        except OSError as error:
            self._warn(error, "", "written")

    def forget(self) -> None:
        """Delete what was kept in the directory, and no other file. Never raises."""
        with contextlib.suppress(OSError), OwnedDirectory(self._directory) as directory:
            for name in filter(_NAME.match, directory.names()):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    raw = _parsed(directory.read(name, limit=_LARGEST))
                    if str(raw["format"]).startswith(_FAMILY):
                        directory.unlink(name)

    @contextlib.contextmanager
    def turn(self, key: Mapping[str, Any]) -> Iterator[None]:
        """Wait, some seconds at most, until no other process makes the same route."""
        handle: int | None = None
        name = f"{_digest(key)[:32]}.lock"
        try:
            with OwnedDirectory(self._directory, make=True) as directory:
                handle = directory.lock_file(name)
        except OSError as error:
            self._warn(error, name, "written")
        if handle is None:
            yield
            return
        try:
            deadline = time.monotonic() + _TURN_TIMEOUT
            while not try_lock(handle) and time.monotonic() < deadline:
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)  # closing gives the lock back

    def _warn(self, error: OSError, name: str, verb: str) -> None:
        if isinstance(error, NotOursError):
            self._warn_of(str(error))
        else:
            self._warn_of(f"{self._directory / name} cannot be {verb} ({error.strerror})")

    def _warn_of(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning(
                "The route cache is passed over: %s. Delete it, or set route_cache=False.", what
            )


def _digest(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()


def _parsed(content: bytes) -> dict[str, Any]:
    """Read a file of ours.

    Raises:
        ValueError: It is longer than any of ours, or no JSON object.
    """
    if len(content) > _LARGEST:
        raise ValueError("too long")
    try:
        raw = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(raw, dict):
        raise ValueError("no object")  # noqa: TRY004 - what a file holds is a value
    return raw
