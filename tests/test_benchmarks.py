"""The benchmarks run: every row is printed and written, and goals are judged as they read.

Nothing here looks at how long anything took.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
MISSING: Final = re.compile(r"not measured: .+")

WITH_GOALS: Final = [
    ("invoke, one thread", "", "predictor", "≤ 1/8"),
    ("invoke, 16 threads", "", "predictor", "≥ 8x"),
    ("invoke, 64 in flight", "", "predictor", "≥ 7x"),
    ("stream of 1,000 parts", "first part", "predictor", "≤ 1/3"),
    ("stream of 1,000 parts", "each part", "predictor", "≤ 0.45x"),
    ("invoke_endpoint", "", "routed client", "≤ 1.03x"),
    ("later client of a session", "", "routed client", "≤ 1.10x"),
    ("first client of a later session", "", "first routed client", "≤ 1/3"),
    ("fresh process, routes known", "first answer", "routed client", "≤ 1.10x"),
    ("fresh process, routes known", "first answer", "predictor", "≤ 1.10x"),
    ("fresh process, routes known", "import", "sm_private_client", "≤ 1/10"),
    ("map of 600 rows", "peak memory", "predictor", "≤ 1.10x"),
]
"""Work, measure, who does it, goal."""


class Run(NamedTuple):
    """What a quick run printed and wrote."""

    printed: str
    written: dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run all of it once, as a user would, with the smallest counts."""
    file = tmp_path_factory.mktemp("benchmarks") / "run.json"
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return Run(ended.stdout, json.loads(file.read_text(encoding="utf-8")))


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the module that judges; ``benchmarks`` is found in the root of the repository."""
    monkeypatch.syspath_prepend(str(ROOT))
    yield importlib.import_module("benchmarks.measuring")
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]


def cells(line: str) -> list[str]:
    return line.removeprefix("| ").removesuffix(" |").split(" | ")


def check_goals(lines: list[str], expected: list[tuple[str, str, str, str]]) -> None:
    """Each work has a line; its cells name every goal, and every contender's ratio and verdict."""
    verdict = r": (met|missed by [\d.]+%|not measured: .+)"
    assert [cells(line)[0] for line in lines] == list(dict.fromkeys(row[0] for row in expected))
    for work, _, goals, measured in map(cells, lines):
        rows = [row for row in expected if row[0] == work]
        assert goals == "; ".join(dict.fromkeys(row[3] for row in rows))
        for (_, measure, ours, _), said in zip(rows, measured.split("; "), strict=True):
            name = f"{measure}, {ours}" if measure else ours
            ratio = r"([\d.]+( \([\d.]+-[\d.]+\))?|-)"
            assert re.fullmatch(f"{name} {ratio}{verdict}", said)


@pytest.mark.slow(reason="runs every benchmark once")
def test_every_goal_is_in_the_first_table(run: Run) -> None:
    """A line a work, and no goal is left out."""
    table = run.printed.partition("\n\n")[0]
    check_goals(table.splitlines()[2:], WITH_GOALS)


@pytest.mark.slow(reason="runs every benchmark once")
def test_every_row_is_printed_and_written(run: Run) -> None:
    """JSON has what the second table has, with every number behind the medians."""
    _, table, _ = run.printed.split("\n\n")
    rows = run.written["rows"]
    lines = [cells(line) for line in table.splitlines()[2:]]
    assert [(line[0], line[1], line[5], line[6]) for line in lines] == [
        (row["work"], row["measure"] or "-", row["goal"] or "-", row["verdict"] or "-")
        for row in rows
    ]
    with_goals = [row for row in rows if row["goal"]]
    named = [(row["work"], row["measure"], row["ours"], row["goal"]) for row in with_goals]
    assert named == WITH_GOALS
    for row in rows:
        if MISSING.fullmatch(row["verdict"]):
            assert not row["ratios"]
            continue
        assert row["our_values"]
        assert all(value > 0 for value in (*row["our_values"], *row["peer_values"]))
        if row["peer"]:
            assert len(row["our_values"]) == len(row["peer_values"]) == len(row["ratios"])


@pytest.mark.slow(reason="runs every benchmark once")
def test_only_what_is_not_installed_is_not_measured(run: Run) -> None:
    """A contender that is there takes part; the reason names what is not."""
    absent = {name for name, version in run.written["before"]["versions"].items() if not version}
    for row in run.written["rows"]:
        if MISSING.fullmatch(row["verdict"]):
            assert any(name in row["verdict"] for name in absent), row["verdict"]


@pytest.mark.slow(reason="runs every benchmark once")
def test_a_run_says_what_it_ran_with(run: Run) -> None:
    """Versions, Python, CPUs and the load before and after stand below the tables."""
    before = run.written["before"]
    for name, version in before["versions"].items():
        assert f"{name} {version or '(absent)'}" in run.printed
    assert f"Python {before['python']}" in run.printed
    assert len(before["load"]) == len(run.written["after"]["load"]) == 3


@pytest.mark.slow(reason="other programs")
def test_a_work_that_does_not_exist_is_refused() -> None:
    """A typing error is told with the names there are, and nothing is measured."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "invok"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "there is no work 'invok'; there are invoke, threads, " in ended.stderr
    assert not ended.stdout


@pytest.mark.parametrize(
    ("goal", "shown", "ratio", "verdict"),
    [
        ({"at_most": 1 / 5}, "≤ 1/5", 0.2, "met"),
        ({"at_most": 1 / 5}, "≤ 1/5", 0.22, "missed by 10.0%"),
        ({"at_most": 1.05}, "≤ 1.05x", 0.9, "met"),
        ({"at_most": 0.45}, "≤ 0.45x", 0.45, "met"),
        ({"at_most": 1.1}, "≤ 1.10x", 1.21, "missed by 10.0%"),
        ({"at_least": 4}, "≥ 4x", 4.0, "met"),
        ({"at_least": 4}, "≥ 4x", 9.0, "met"),
        ({"at_least": 4}, "≥ 4x", 3.0, "missed by 25.0%"),
    ],
)
def test_goals_are_judged_as_they_read(
    measuring: Any, goal: dict[str, float], shown: str, ratio: float, verdict: str
) -> None:
    """Where less is better more misses, and the other way round."""
    made = measuring.Goal(**goal)
    assert str(made) == shown
    assert made.verdict(ratio) == verdict


def test_contenders_take_turns(measuring: Any) -> None:
    """One warm-up that is not counted, then rounds, every other one backwards."""
    turns: list[str] = []

    def turn(name: str) -> dict[str, float]:
        turns.append(name)
        return {"n": float(len(turns))}

    measured = measuring.take_turns({"a": lambda: turn("a"), "b": lambda: turn("b")}, 3)
    assert turns == ["a", "b", "a", "b", "b", "a", "a", "b"]
    row = measured.row("work", "n", "a", "b", unit="")
    assert row.our_values == (3.0, 6.0, 7.0)
    assert row.peer_values == (4.0, 5.0, 8.0)
    assert row.ratio == 7 / 8


def test_the_readme_shows_the_table_that_a_run_prints() -> None:
    """The table of the README has every goal, as a run names it, and says how to run it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Speed\n")[2].partition("\n## ")[0]
    assert "python -m benchmarks" in section
    table = [line for line in section.splitlines() if line.startswith("| ")]
    rows = [line.replace("map of 1,000,000 rows", "map of 600 rows") for line in table[2:]]
    check_goals(rows, WITH_GOALS)
