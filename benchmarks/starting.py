"""What stands before the first call: importing, clients, fresh processes."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import boto3.session

from benchmarks.measuring import Goal, Measured, Sample, take_turns
from benchmarks.ours import OURS
from benchmarks.site import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measuring import Counts, Row
    from benchmarks.site import Site

__all__ = ["client_rows", "fresh_process", "import_rows", "process_rows"]

_IMPORT: Final = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"
_FRESH: Final = "fresh process, routes known"
_TIMEOUT: Final = 120.0


def client_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """A session's later client, and a later session's first one."""
    ours, theirs = site.session(), boto3.session.Session()
    later, peer_later = "routed client", "boto3's later client"
    first, peer_first = "first routed client", "boto3's first client"
    makers: dict[str, Callable[[], object]] = {
        later: lambda: ours.client("sagemaker-runtime"),
        peer_later: lambda: site.boto3_client(theirs),
        first: lambda: site.session().client("sagemaker-runtime"),
        peer_first: site.boto3_client,
    }
    for make in makers.values():
        make()

    def turn(make: Callable[[], object]) -> Sample:
        started = time.perf_counter()
        for _ in range(counts.clients):
            make()
        return {"wall": (time.perf_counter() - started) / counts.clients}

    measured = take_turns(
        {name: functools.partial(turn, make) for name, make in makers.items()}, counts.rounds
    )
    row = functools.partial(measured.row, unit="s")
    yield row("later client of a session", "wall", later, peer_later, goal=Goal(at_most=1.1))
    yield row(
        "first client of a later session", "wall", first, peer_first, goal=Goal(at_most=1 / 3)
    )


def process_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """A fresh process up to its first answer, the route known from an earlier one."""
    cache = str(site.directory / "routes")

    def turn(kind: str) -> Sample:
        started = time.monotonic()
        answer = fresh_process(kind, url=site.url, port=site.port, route_cache=cache)
        return {"wall": answer["answered"] - started, "cpu": answer["cpu"]}

    client, peer = "routed client", "boto3, URL typed in"
    contenders = {
        client: functools.partial(turn, "client"),
        peer: functools.partial(turn, "boto3"),
        OURS: functools.partial(turn, "predictor"),
    }
    measured = take_turns(contenders, counts.processes)
    row = functools.partial(measured.row, _FRESH, peer=peer)
    for name in (client, OURS):
        yield row("wall", name, unit="s", measure="first answer", goal=Goal(at_most=1.1))
        yield row("cpu", name, unit="CPU s", measure="first answer, CPU")


def import_rows(_site: Site, counts: Counts) -> Iterator[Row]:
    """Importing the package against importing boto3; what is left for later shows above."""

    def turn(module: str) -> Sample:
        return {"cpu": float(_run("-c", _IMPORT.format(module)))}

    ours, peer = "sm_private_client", "boto3"
    measured: Measured = take_turns(
        {name: functools.partial(turn, name) for name in (ours, peer)},
        counts.processes,
    )
    goal = Goal(at_most=1 / 10)
    yield measured.row(_FRESH, "cpu", ours, peer, unit="CPU s", measure="import", goal=goal)


def fresh_process(kind: str, *, timeout: float = _TIMEOUT, **told: object) -> Any:  # noqa: ANN401 - JSON
    """Run one kind of ``benchmarks.fresh`` in a new process and return what it said.

    Raises:
        subprocess.SubprocessError: It failed, or was not done within ``timeout`` seconds.
    """
    return json.loads(_run("-m", "benchmarks.fresh", kind, json.dumps(told), timeout=timeout))


def _run(*arguments: str, timeout: float = _TIMEOUT) -> str:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=timeout,
        check=True,
    ).stdout
