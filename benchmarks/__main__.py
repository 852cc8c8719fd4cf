"""``python -m benchmarks``: measures, prints the table, writes JSON where asked to."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import asynchronous, calls, mapping, report, starting, streams
from benchmarks.measuring import FULL, QUICK
from benchmarks.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.measuring import Counts, Row

_WORKS: Final[dict[str, Callable[[Site, Counts], Iterator[Row]]]] = {
    "invoke": calls.one_thread_rows,
    "threads": calls.thread_rows,
    "async": asynchronous.async_rows,
    "stream": streams.stream_rows,
    "guard": calls.guard_rows,
    "clients": starting.client_rows,
    "processes": starting.process_rows,
    "import": starting.import_rows,
    "map": mapping.map_rows,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every work, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="work", help=f"of {', '.join(_WORKS)}; all")
    parser.add_argument("--quick", action="store_true", help="small counts: does it run at all?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    chosen = parser.parse_args(arguments)
    unknown = [work for work in chosen.works if work not in _WORKS]
    if unknown:
        parser.error(f"there is no work {unknown[0]!r}; there are {', '.join(_WORKS)}.")
    before = report.surroundings()
    rows: list[Row] = []
    with Site() as site:
        for work in chosen.works or _WORKS:
            started = time.monotonic()
            rows += _WORKS[work](site, QUICK if chosen.quick else FULL)
            print(f"{work}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    after = report.surroundings()
    print(report.as_text(rows, before, after))
    if chosen.json:
        written = json.dumps(report.as_json(rows, before, after), indent=1)
        chosen.json.write_text(f"{written}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
