"""What every test stands on: a clean AWS environment, and Hypothesis without a database."""

from __future__ import annotations

import gc
import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# Each of the suite's many processes would compile all that it imports.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import hypothesis  # noqa: E402 - compiled once, too
import pytest  # noqa: E402 - as above

from botocore_once import work_out_once  # noqa: E402 - as above
from route_limits import limit_routes  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.testing import LocalPrivateLink

hypothesis.settings.register_profile(
    "suite", database=None, deadline=None, derandomize=True, max_examples=50
)
hypothesis.settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Have nothing looked through for garbage while a million objects come that stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


_PREFIXES = ("AWS_", "SM_PRIVATE_", "ECS_CONTAINER_METADATA_", "BOTO", "XDG_")
_NAMES = frozenset(
    {
        "ALL_PROXY",
        "CURL_CA_BUNDLE",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TRAINING_JOB_NAME",
    }
)


def _place(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "aws-credentials"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))


@pytest.fixture(scope="session", autouse=True)
def no_machine_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take away the machine's AWS set-up and proxies, also for fixtures of modules."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in tuple(os.environ):
            if name.upper().startswith(_PREFIXES) or name.upper() in _NAMES:
                monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        # moto's EC2 of each account would begin with 1,300 images, which nobody starts here.
        monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        _place(monkeypatch, tmp_path_factory.mktemp("home"))
        yield


@pytest.fixture(scope="session", autouse=True)
def a_busy_machine_is_waited_for() -> Iterator[None]:
    """Stretch the time limits of routing, so that only what tests hang on purpose is too late."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        limit_routes(monkeypatch)
        yield


@pytest.fixture(scope="session", autouse=True)
def sessions_are_made_quickly() -> Iterator[None]:
    """Have botocore work out once what is the same for every session."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        work_out_once(monkeypatch)
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> None:
    """A shell in the background has tests ignore Ctrl-C, ``nohup`` hang-ups; children inherit it.

    A signal that is handled here is as it was made for them.
    """
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            heard = signal.default_int_handler if name == "SIGINT" else lambda *_: None
            signal.signal(number, heard)


@pytest.fixture(scope="module", autouse=True)
def collections_are_short() -> None:
    """Leave what earlier modules made, such as models of services, out of later collections.

    A full collection after half of the suite takes seconds, and some tests ask for several.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def new_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Make directories, each with a number of its own."""
    base, numbers = tmp_path_factory.mktemp("test"), itertools.count()

    def make() -> Path:
        made = base / str(next(numbers))
        made.mkdir()
        return made

    return make


@pytest.fixture
def tmp_path(new_directory: Callable[[], Path]) -> Path:
    """Make a directory of the test's own; pytest's takes longer than most tests."""
    return new_directory()


@pytest.fixture(autouse=True)
def home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test a home, a configuration and a cache directory of its own."""
    _place(monkeypatch, tmp_path)


@pytest.fixture
def in_other_processes(tmp_path: Path) -> Callable[[LocalPrivateLink], dict[str, str]]:
    """Return the environment in which programs of any make are inside a played VPC."""

    def environment(link: LocalPrivateLink) -> dict[str, str]:
        played = {}
        for standing in link.vpc_endpoints:
            names = dict(standing.public_names)
            if standing.private_dns:
                names |= dict.fromkeys(standing.private_names, standing.interfaces)
            names |= {interface.address: (interface,) for interface in standing.interfaces}
            for host, interfaces in names.items():
                played[host] = [[i.address, i.listener.port] for i in interfaces]
        told = tmp_path / "played-dns.json"
        told.write_text(json.dumps(played), encoding="utf-8")
        return {
            **os.environ,
            **link.environment(),
            "PLAYED_DNS": str(told),
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parent / "played_dns"), os.environ.get("PYTHONPATH", "")]
            ).rstrip(os.pathsep),
            "SM_PRIVATE_ROUTE_CACHE": "off",
        }

    return environment
