"""What the demonstration stands on: a clean environment and a model server; both are taken away."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import PrivateClientError
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["ModelServer", "environment_of", "serve"]

_OWNED: Final = ("AWS_", "SM_PRIVATE_")
_START_TIMEOUT: Final = 120.0
_END_TIMEOUT: Final = 5.0


@contextlib.contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Has this process see only the given AWS variables for the length of the block.

    The reader's own profile, keys, endpoint URLs and proxies must neither be used nor disturb.
    """
    before = read_environment()
    mine = {name for name in before if name.startswith(_OWNED)}
    try:
        for name in mine:
            del os.environ[name]
        os.environ.update(variables)
        yield
    finally:
        for name in mine | set(variables):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


class ModelServer:
    """A model server that runs in a process of its own.

    Attributes:
        url: Where it listens.
        pid: Its process.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self.pid = process.pid
        self._process = process

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None


@contextlib.contextmanager
def serve(artifact: Path) -> Iterator[ModelServer]:
    """Serves a model in a separate process for the length of the block.

    Raises:
        PrivateClientError: It did not start; the text has what it said.
    """
    log = artifact.with_suffix(".log")
    command = [sys.executable, "-m", f"{__package__}.model_server", str(artifact)]
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=artifact.parent,  # -m looks there first: nobody's files but ours
        )
    try:
        url = _first_line(process)
        if not url:
            raise PrivateClientError(
                "The model server did not start.",
                cause=log.read_text().strip() or f"it said nothing for {_START_TIMEOUT:g} s.",
                remedy="run the command again; if it fails again, tell us what it says here.",
            )
        yield ModelServer(process, url)
    finally:
        _end(process)


def _first_line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        return ""
    # A pipe has no time-out of its own; ending the process ends the wait.
    watchdog = threading.Timer(_START_TIMEOUT, process.kill)
    watchdog.start()
    try:
        return process.stdout.readline().strip()
    finally:
        watchdog.cancel()
        watchdog.join()


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()
