"""A pytest plugin that makes other people's tests use the sessions of ``sm_private_client``.

``run.py`` loads it by ``-p session_swap``. It needs nothing of a suite but pytest.
"""

from __future__ import annotations

import errno
import functools
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import boto3.session
import botocore.session

import sm_private_client as smp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    import pytest

SWAPS = ("nothing", "boto3-over-botocore", "session", "session-over-botocore", "install")
"""What ``--swap`` takes.

``nothing`` and ``boto3-over-botocore`` are what the others are compared with: ``session`` and
``install`` with the first, ``session-over-botocore`` with the second.
"""


class PrivateNames:
    """A ``NetworkBackend`` on which every name is private, as with private DNS; nothing answers."""

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        """Answer every name alike."""
        del host, timeout
        return ("10.0.1.10",)

    def open(self, address: str, port: int, *, socket_options: Any = ()) -> socket.socket:
        """Refuse every connection."""
        del socket_options
        raise OSError(errno.ENETUNREACH, f"Network is unreachable: {address}:{port}")


class Session(smp.Session):
    """A session of ours where SageMaker has private DNS."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, network=PrivateNames(), **kwargs)


class Outcomes:
    """The outcome and the last line of the message of every test, for a file, as JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, tuple[str, str]] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a module that cannot be imported as a test that fails."""
        if report.failed:
            self._found[report.nodeid] = ("error", _last_line(report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first thing that did not pass: set-up, call, tear-down."""
        before = self._found.get(report.nodeid, ("passed", ""))[0]
        if before == "passed":
            outcome = "error" if report.failed and report.when != "call" else report.outcome
            self._found[report.nodeid] = (outcome, _last_line(report))

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        self._path.write_text(json.dumps(self._found), encoding="utf-8")


def _last_line(report: pytest.CollectReport | pytest.TestReport) -> str:
    if report.passed:
        return ""
    crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", None)
    told = str(crash or report.longrepr or "").strip().splitlines() or [""]
    return told[0] if crash else told[-1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    parser.addoption("--swap", choices=SWAPS, default="nothing")
    parser.addoption("--private-names", action="store_true", help="SageMaker has private DNS")
    parser.addoption("--outcomes", required=True, help="the file that outcomes are written to")


def pytest_configure(config: pytest.Config) -> None:
    """Swap before a test module is imported, and for good: the process is the suite's alone."""
    config.pluginmanager.register(Outcomes(Path(config.getoption("--outcomes"))))
    swap, is_private = config.getoption("--swap"), config.getoption("--private-names")
    session_class = Session if is_private else smp.Session
    if swap == "session":
        boto3.Session = boto3.session.Session = session_class  # type: ignore[misc]
    elif swap == "install":
        smp.install(network=PrivateNames() if is_private else None)
    elif swap == "session-over-botocore":
        _make_clients_by(session_class)
    elif swap == "boto3-over-botocore":
        _make_clients_by(boto3.session.Session)


def _make_clients_by(session_class: type[boto3.session.Session]) -> None:
    """Have every client of a botocore session made by a session of a class over it.

    boto3's, or ours, has ``client`` call ``create_client`` again, which is then botocore's own.
    """
    original: Callable[..., Any] = botocore.session.Session.create_client
    local = threading.local()

    @functools.wraps(original)
    def create_client(self: botocore.session.Session, *args: Any, **kwargs: Any) -> Any:
        if getattr(local, "is_making", False):
            return original(self, *args, **kwargs)
        local.is_making = True
        try:
            over = vars(self).get("_session_over")
            if over is None:
                over = session_class(botocore_session=self)
                vars(self)["_session_over"] = over
            return over.client(*args, **kwargs)
        finally:
            local.is_making = False

    botocore.session.Session.create_client = create_client  # type: ignore[method-assign]
