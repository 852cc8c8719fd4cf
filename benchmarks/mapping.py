"""A map over very many rows, in a process of its own: does its memory grow?"""

from __future__ import annotations

import functools
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measuring import Goal, Row
from benchmarks.ours import ENDPOINT_NAME, OURS, session
from benchmarks.starting import fresh_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring import Counts
    from benchmarks.site import Site

__all__ = ["map_rows", "measure"]

_SECONDS_A_ROW: Final = 0.003  # at the worst; a run that takes longer is ended
_STATM: Final = Path("/proc/self/statm")


def map_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """Peak memory up to the end against that at the first look; and rows a second."""
    told = fresh_process(
        "map",
        port=site.port,
        rows=counts.rows,
        row_step=counts.row_step,
        timeout=60 + counts.rows * _SECONDS_A_ROW,
    )
    resident = tuple(told["resident"])
    work = f"map of {counts.rows:,} rows"
    up_to = f"up to {counts.row_step:,} rows"
    peak = (max(resident[1:]),)
    goal = Goal(at_most=1.1)
    row = functools.partial(Row, work=work, ours=OURS, unit="MiB", peer=up_to)
    yield row(our_values=peak, peer_values=resident[:1], measure="peak memory", goal=goal)
    yield row(
        our_values=resident, peer_values=resident[:1] * len(resident), measure="memory, by steps"
    )
    rates = tuple(counts.row_step / seconds for seconds in told["seconds"])
    yield row(our_values=rates, unit="rows/s", peer="", measure="rate")


def measure(*, port: int, rows: int, row_step: int) -> dict[str, Any]:
    """Maps, one call a row, and looks at the process's memory after every so many rows.

    Returns:
        ``resident``: peak MiB of each step; ``seconds``: how long each step took.
    """
    predictor = session(port).predictor(ENDPOINT_NAME)
    source = ({"instances": [[5.1, 3.5, 1.4, number]]} for number in range(rows))
    resident, seconds = [], []
    peak, done, started = 0.0, 0, time.perf_counter()
    with predictor.map(source, progress=False) as results:
        for done, _ in enumerate(results, 1):
            if done % 100 == 0:
                peak = max(peak, _resident())
            if done % row_step == 0:
                resident.append(peak)
                peak = 0.0
                now = time.perf_counter()
                seconds.append(now - started)
                started = now
    if done != rows:
        raise ValueError(f"{done} results came of {rows} rows.")
    return {"resident": resident, "seconds": seconds}


def _resident() -> float:
    """Return the process's memory in MiB: now, or where the system only tells that, its peak."""
    if _STATM.exists():
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
