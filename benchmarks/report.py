"""What a run says: a table with goals, one of what has no goal, and JSON."""

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

_PACKAGES: Final = ("sm-private-client", "boto3", "botocore", "aiobotocore", "pyreqwest")
_HEADS: Final = ("work", "ours", "peer", "ratio (min-max)", "goal", "verdict")
_SCALES: Final = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def surroundings() -> dict[str, Any]:
    """Gives what the numbers depend on besides the code."""
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
    """Makes the tables, in Markdown, of medians; below them where and with what it ran."""
    versions = ", ".join(f"{k} {v or '(absent)'}" for k, v in before["versions"].items())
    start, end = (" ".join(map(str, at["load"])) for at in (before, after))
    return "\n".join(
        [
            *_table(row for row in rows if row.goal),
            "",
            "Beside the goals:",
            "",
            *_table(row for row in rows if not row.goal),
            "",
            f"Medians; ratios are of pairs interleaved in one run. Python {before['python']}, "
            f"{before['machine']}, {before['cpus']} CPUs; {versions}.",
            f"Load averages: {start} at the start, {end} at the end.",
        ]
    )


def as_json(rows: Iterable[Row], before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Gives everything that was measured, in units without prefixes."""
    return {
        "before": before,
        "after": after,
        "rows": [
            {
                "work": row.work,
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


def _table(rows: Iterable[Row]) -> list[str]:
    lines = [_HEADS, ("---",) * len(_HEADS), *map(_cells, rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "-"
    if row.ratio is not None:
        ratio = _number(row.ratio)
        if len(row.ratios) > 1:
            ratio += f" ({_number(min(row.ratios))}-{_number(max(row.ratios))})"
    return (
        row.work,
        _with_median(row.ours, row.our_values, row.unit),
        _with_median(row.peer, row.peer_values, row.unit) or "-",
        ratio,
        str(row.goal) if row.goal else "-",
        row.verdict or "-",
    )


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
    """Gives three figures."""
    if value >= 1000:  # noqa: PLR2004 - no decimals to lose
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004 - the same
