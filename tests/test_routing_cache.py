"""Routes on disk: kept, refreshed, forgotten, and passed over when anything is wrong."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import DiscoveryError, NoPrivateRouteError
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.records import EndpointAddress, Evidence, Route
from sm_private_client.routing.cache import NEGATIVE_TTL, ROUTE_TTL, RouteCache
from sm_private_client.routing.settings import RoutingSettings

KEY: dict[str, Any] = {
    "service": "sagemaker",
    "region": "us-east-1",
    # As the resolver's caller has it: with tuples, which JSON turns into lists.
    "settings": RoutingSettings(
        vpc_endpoints=(("sagemaker", "vpce-0aaaaaaa"),), allowed_networks=("198.51.100.0/24",)
    ).cache_key(),
}
ROUTE = Route(
    service_name="sagemaker",
    region="us-east-1",
    partition="aws",
    endpoint_url="https://vpce-0aaaaaaa-29p5708s.api.sagemaker.us-east-1.vpce.amazonaws.com",
    source="discovery",
    addresses=(EndpointAddress(address="10.0.1.5", availability_zone="us-east-1a"),),
    address_policy=AddressPolicy(eni_addresses=frozenset({"10.0.1.5"})),
    evidence=(Evidence(step="discovery", outcome="used", detail="EC2 shows one"),),
)
REFUSAL = NoPrivateRouteError(
    "There is no private route to sagemaker.",
    attempts=ROUTE.evidence,
    cause="nothing is there.",
    remedy=("do this.", "or that."),
)


class World:
    """A clock, and what a resolver would decide; it counts what it is asked."""

    def __init__(self, directory: Path) -> None:
        self.now = 1_000_000.0
        self.decided = 0
        self.refreshed = 0
        self.outcome: Route | Exception = ROUTE
        self.fresh: Route | None = ROUTE
        self.directory = directory
        self.cache = self.another()

    def another(self) -> RouteCache:
        return RouteCache(str(self.directory), now=lambda: self.now)

    def decide(self) -> Route:
        self.decided += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def refresh(self, route: Route) -> Route | None:
        assert route == ROUTE
        self.refreshed += 1
        return self.fresh

    def fetch(self, key: dict[str, Any] | None = None, cache: RouteCache | None = None) -> Route:
        return (cache or self.cache).fetch(key or KEY, decide=self.decide, refresh=self.refresh)

    def file(self) -> Path:
        (found,) = self.directory.glob("*.json")
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "a" / "routes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_route_is_decided_once(world: World) -> None:
    """A fresh process finds the route on disk and asks nobody but DNS."""
    assert world.fetch() == ROUTE
    assert (world.decided, world.refreshed) == (1, 0)
    assert world.fetch() == ROUTE
    assert world.fetch(cache=world.another()) == ROUTE
    assert (world.decided, world.refreshed) == (1, 2)


def test_what_refresh_gives_is_given(world: World) -> None:
    """A kept route is brought up to date before it is given."""
    world.fetch()
    world.fresh = Route(
        service_name="x", region="r", partition="p", endpoint_url="u", source="explicit"
    )
    assert world.fetch() is world.fresh


def test_a_route_that_is_not_good_any_more_is_decided_anew(world: World) -> None:
    """Where DNS does not confirm a kept route, it is decided anew and replaced."""
    world.fetch()
    world.fresh = None
    assert world.fetch() == ROUTE
    assert world.decided == 2


@pytest.mark.parametrize(
    ("age", "decided"),
    [
        (0.0, 1),
        (ROUTE_TTL - 1, 1),
        (ROUTE_TTL, 2),
        (ROUTE_TTL + 1, 2),
        (-1.0, 2),  # written in the future: the clock was set back
    ],
)
def test_a_route_is_kept_for_an_hour(world: World, age: float, decided: int) -> None:
    """A route is kept for an hour, by the injected clock."""
    world.fetch()
    world.now += age
    world.fetch()
    assert world.decided == decided


def test_times() -> None:
    """A route is kept for an hour, that there is none for 30 s."""
    assert (ROUTE_TTL, NEGATIVE_TTL) == (3600.0, 30.0)


@pytest.mark.parametrize(("age", "decided"), [(0.0, 1), (29.0, 1), (30.0, 2), (-1.0, 2)])
def test_no_route_is_kept_for_thirty_seconds(world: World, age: float, decided: int) -> None:
    """That there is no private route is kept for 30 s, with its message and its attempts."""
    world.outcome = REFUSAL
    with pytest.raises(NoPrivateRouteError) as first:
        world.fetch()
    assert first.value is REFUSAL
    world.now += age
    with pytest.raises(NoPrivateRouteError) as second:
        world.fetch(cache=world.another())
    assert world.decided == decided
    assert str(second.value) == str(REFUSAL)
    assert (second.value.what, second.value.attempts) == (REFUSAL.what, REFUSAL.attempts)


def test_other_errors_are_not_kept(world: World) -> None:
    """Only "there is no private route" is kept; other errors go through."""
    world.outcome = DiscoveryError("EC2 could not be asked.")
    for _ in range(2):
        with pytest.raises(DiscoveryError):
            world.fetch()
    assert world.decided == 2
    assert not list(world.directory.glob("*.json"))


def test_each_key_has_its_route(world: World) -> None:
    """What a route depends on is its key: another key, another route."""
    world.fetch()
    world.fetch({**KEY, "region": "us-east-2"})
    assert world.decided == 2
    world.fetch(dict(reversed(KEY.items())))  # in any order
    assert world.decided == 2


def test_a_file_of_another_key_is_not_taken(world: World) -> None:
    """A file must hold the very key that it is asked for, whatever it is called."""
    world.fetch()
    kept = json.loads(world.file().read_text())
    kept["key"]["region"] = "us-east-2"
    world.file().write_text(json.dumps(kept))
    world.fetch()
    assert world.decided == 2


def test_a_file_of_another_format_is_not_taken(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Another version's file is passed over, without a word."""
    world.fetch()
    kept = json.loads(world.file().read_text())
    kept["format"] += 1
    world.file().write_text(json.dumps(kept))
    world.fetch()
    assert world.decided == 2
    assert not caplog.records


def test_modes(world: World) -> None:
    """Files are the user's alone, in a directory of the user's alone, whatever the umask."""
    old = os.umask(0)
    try:
        world.fetch()
    finally:
        os.umask(old)
    assert mode(world.directory) == 0o700
    assert {path.suffix: mode(path) for path in world.directory.iterdir()} == {
        ".json": 0o600,
        ".lock": 0o600,
    }


def test_nothing_secret_is_kept(world: World) -> None:
    """What is kept is the key, the time and the route."""
    world.fetch()
    kept = json.loads(world.file().read_text())
    assert set(kept) == {"format", "written", "key", "route"}
    assert kept["key"] == json.loads(json.dumps(KEY))
    assert Route.from_dict(kept["route"]) == ROUTE


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.name == "sm_private_client.routing.cache" and r.levelno == logging.WARNING
    ]


def passed_over(what: str) -> list[str]:
    return [f"The route cache is passed over: {what}. Delete it, or set route_cache=False."]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"5",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "written": "x", "key": {}, "route": {}}',
    ],
)
def test_a_damaged_file_is_passed_over(
    world: World, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """A damaged file is passed over with one warning, and replaced."""
    world.fetch()
    path = world.file()
    path.write_bytes(content)
    assert world.fetch() == ROUTE
    assert world.decided == 2
    assert warnings_of(caplog) == passed_over(f"{path} is damaged")
    assert world.fetch(cache=world.another()) == ROUTE
    assert world.decided == 2


@pytest.mark.parametrize(
    "change",
    [
        {"route": None},
        {"route": {}},
        {"route": "x"},
        {"route": {**ROUTE.as_dict(), "more": 1}},
        {"route": {**ROUTE.as_dict(), "addresses": [{"adress": "10.0.0.1"}]}},
        {"written": None},
        {"route": ..., "refused": None},
        {"route": ..., "refused": {"what": "x"}},
        {"route": ..., "refused": {"what": "x", "text": "y", "attempts": [["a"]]}},
    ],
)
def test_a_file_of_another_shape_is_passed_over(
    world: World, caplog: pytest.LogCaptureFixture, change: dict[str, Any]
) -> None:
    """JSON of another shape is passed over with one warning."""
    world.fetch()
    path = world.file()
    kept = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: v for name, v in kept.items() if v is not ...}))
    assert world.fetch() == ROUTE
    assert world.decided == 2
    assert warnings_of(caplog) == passed_over(f"{path} is damaged")


@given(cut=st.integers(min_value=0), flip=st.none() | st.integers(min_value=0))
def test_any_damage_gives_the_route_or_none(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    """Wherever a file is cut, what is read is the route or nothing; nothing is raised."""
    world = World(tmp_path_factory.mktemp("cut"))
    world.cache.write(KEY, ROUTE)
    whole = world.file().read_bytes()
    if flip is None:
        world.file().write_bytes(whole[: cut % (len(whole) + 1)])
    else:
        world.file().write_bytes(whole[:flip] + b"{" + whole[flip + 1 :])
    found = world.another().read(KEY)
    assert found is None or isinstance(found, Route)


@pytest.mark.parametrize("bits", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_passed_over(
    world: World, caplog: pytest.LogCaptureFixture, bits: int
) -> None:
    """A file that others can write is not believed; it is replaced by one that they cannot."""
    world.fetch()
    path = world.file()
    path.chmod(bits)
    assert world.fetch() == ROUTE
    assert world.decided == 2
    text = f"{path} belongs to another user or can be written by others"
    assert warnings_of(caplog) == passed_over(text)
    assert mode(path) == 0o600


def test_what_belongs_to_another_user_is_passed_over(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another user is not believed."""
    world.fetch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert world.fetch() == ROUTE
    assert world.decided == 2
    text = f"{world.file()} belongs to another user or can be written by others"
    assert warnings_of(caplog) == passed_over(text)


def test_an_unwritable_directory_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing can be written, routing goes on without the cache, with one warning."""
    (tmp_path / "file").write_text("")
    world = World(tmp_path / "file" / "routes")
    for _ in range(3):
        assert world.fetch() == ROUTE
    assert world.decided == 3
    (warning,) = warnings_of(caplog)
    assert warning in (
        *passed_over(f"{world.directory} cannot be written (Not a directory)"),
        *passed_over(f"{world.cache._path(KEY)} cannot be read (Not a directory)"),
    )


def test_a_file_that_cannot_be_read_is_passed_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read or replaced is passed over with one warning; nothing is left behind."""
    world.fetch()
    path = world.file()
    path.unlink()
    path.mkdir(mode=0o700)
    assert world.fetch() == ROUTE
    assert warnings_of(caplog) == passed_over(f"{path} cannot be read (Is a directory)")
    assert sorted(p.suffix for p in world.directory.iterdir()) == [".json", ".lock"]


def test_an_error_keeps_its_own_context(tmp_path: Path) -> None:
    """What deciding raises is not reported as a consequence of the cache's trouble."""
    (tmp_path / "file").write_text("")
    world = World(tmp_path / "file" / "routes")
    world.outcome = DiscoveryError("EC2 could not be asked.")
    with pytest.raises(DiscoveryError) as caught:
        world.fetch()
    assert caught.value.__context__ is None


def test_forget(world: World) -> None:
    """``forget`` deletes every route, and nothing that is not one."""
    world.fetch()
    world.fetch({**KEY, "region": "us-east-2"})
    (world.directory / "mine.txt").write_text("")
    world.cache.forget()
    assert not list(world.directory.glob("*.json"))
    assert (world.directory / "mine.txt").exists()
    world.fetch()
    assert world.decided == 3


def test_forget_where_there_is_nothing(tmp_path: Path) -> None:
    """``forget`` never raises, and makes no directory."""
    cache = RouteCache(str(tmp_path / "none"))
    cache.forget()
    assert not (tmp_path / "none").exists()


def test_making_a_cache_touches_nothing(world: World) -> None:
    """The directory is made when the first route is kept, not before."""
    assert world.cache.read(KEY) is None
    assert not world.directory.parent.exists()


PROCESS = textwrap.dedent(
    """
    import json, os, sys, time
    from pathlib import Path
    from sm_private_client.privatelink.records import Route
    from sm_private_client.routing.cache import RouteCache

    directory, decisions, start, made = sys.argv[1:]
    route = Route.from_dict(json.loads(made))

    def decide():
        Path(decisions, str(os.getpid())).touch()
        time.sleep(0.05)
        return route

    cache = RouteCache(directory)
    Path(start, str(os.getpid())).touch()
    while not Path(start, "go").exists():
        time.sleep(0.002)
    for _ in range(5):
        assert cache.fetch({"k": [1]}, decide=decide, refresh=lambda kept: kept) == route
    """
)


def test_many_processes_at_once(tmp_path: Path) -> None:
    """32 processes that start together read whole files, and hardly more than one decides."""
    count = 32
    directory, decisions, start = (tmp_path / name for name in ("routes", "decisions", "start"))
    decisions.mkdir()
    start.mkdir()
    arguments = [str(directory), str(decisions), str(start), json.dumps(ROUTE.as_dict())]
    processes = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-W", "error", "-c", PROCESS, *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        while len(list(start.iterdir())) < count and all(p.poll() is None for p in processes):
            time.sleep(0.01)
        (start / "go").touch()
        said = [p.communicate(timeout=60)[1] for p in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert said == [""] * count
    assert [p.returncode for p in processes] == [0] * count
    assert 1 <= len(list(decisions.iterdir())) <= 3
    assert sorted(p.suffix for p in directory.iterdir()) == [".json", ".lock"]
    assert RouteCache(str(directory)).read({"k": [1]}) == ROUTE


def test_a_lock_that_is_never_given_back_holds_nobody_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten seconds without its turn a process goes on by itself."""
    from sm_private_client.routing import cache  # noqa: PLC0415 - its constant is shortened

    monkeypatch.setattr(cache, "_LOCK_TIMEOUT", 0.1)
    with world.cache.turn(KEY):
        assert world.fetch(cache=world.another()) == ROUTE
    assert world.decided == 1
