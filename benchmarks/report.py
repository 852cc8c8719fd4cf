"""What a run says: the table of goals, the table of everything, and JSON."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.measuring import Row

__all__ = ["as_json", "as_text", "surroundings"]

_PACKAGES: Final = ("sm-private-client", "boto3", "botocore", "aiobotocore")
_GOAL_HEADS: Final = ("work", "peer", "goal", "ratio to the peer, median (min-max): verdict")
_ROW_HEADS: Final = ("work", "measure", "ours", "peer", "ratio (min-max)", "goal", "verdict")
_SCALES: Final = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def surroundings() -> dict[str, Any]:
    """Return what the numbers depend on besides the code."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "versions": versions,
    }


def as_text(rows: Sequence[Row], before: dict[str, Any], after: dict[str, Any]) -> str:
    """Make the table of goals, a line a work, and that of every row, in Markdown."""
    works = dict.fromkeys(row.work for row in rows)
    goals = [_goal_cells(work, [r for r in rows if r.work == work and r.goal]) for work in works]
    versions = ", ".join(f"{k} {v or '(absent)'}" for k, v in before["versions"].items())
    start, end = (" ".join(map(str, at["load"])) for at in (before, after))
    return "\n".join(
        [
            *_table(_GOAL_HEADS, goals),
            "",
            *_table(_ROW_HEADS, map(_row_cells, rows)),
            "",
            f"Medians (min-max) over {max(len(row.ratios) for row in rows)} rounds or fewer. "
            f"Python {before['python']}, "
            f"{before['machine']}, {before['cpus']} CPUs; {versions}.",
            f"Load averages: {start} at the start, {end} at the end.",
        ]
    )


def as_json(rows: Iterable[Row], before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return everything that was measured, in units without prefixes."""
    return {
        "before": before,
        "after": after,
        "rows": [
            {
                "work": row.work,
                "measure": row.measure,
                "unit": row.unit,
                "ours": row.ours,
                "peer": row.peer,
                "our_values": row.our_values,
                "peer_values": row.peer_values,
                "ratio": row.ratio,
                "ratios": row.ratios,
                "goal": str(row.goal) if row.goal else None,
                "verdict": row.verdict,
            }
            for row in rows
        ],
    }


def _table(heads: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ("---",) * len(heads), *lines)]


def _goal_cells(work: str, rows: Sequence[Row]) -> tuple[str, ...]:
    prefixes = [f"{row.measure}, " if row.measure else "" for row in rows]
    peers = (
        prefix + _with_median(row.peer, row.peer_values, row.unit)
        for prefix, row in zip(prefixes, rows, strict=True)
    )
    ours = (
        f"{prefix}{row.ours} {_ratio(row)}: {row.verdict}"
        for prefix, row in zip(prefixes, rows, strict=True)
    )
    goals = dict.fromkeys(f"{row.goal}" for row in rows)
    return work, "; ".join(dict.fromkeys(peers)), "; ".join(goals), "; ".join(ours)


def _row_cells(row: Row) -> tuple[str, ...]:
    return (
        row.work,
        row.measure or "-",
        _with_median(row.ours, row.our_values, row.unit),
        _with_median(row.peer, row.peer_values, row.unit) or "-",
        _ratio(row),
        str(row.goal) if row.goal else "-",
        row.verdict or "-",
    )


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return "-"
    spread = f" ({_number(min(row.ratios))}-{_number(max(row.ratios))})"
    return _number(row.ratio) + (spread if len(row.ratios) > 1 else "")


def _with_median(name: str, values: tuple[float, ...], unit: str) -> str:
    if not values:
        return name
    value = statistics.median(values)
    prefix = ""
    if _is_seconds(unit):
        scale, prefix = next((s for s in _SCALES if value >= s[0]), _SCALES[-1])
        value /= scale
    return f"{name}: {_number(value)} {unit.replace('s', f'{prefix}s', 1) if prefix else unit}"


def _is_seconds(unit: str) -> bool:
    return unit.removeprefix("CPU ").partition("/")[0] == "s"


def _number(value: float) -> str:
    """Return three figures."""
    if value >= 1000:  # noqa: PLR2004 - no decimals to lose
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004 - the same
