"""What a measurement is: contenders that take turns in one run, and the rows that come of it."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FULL",
    "QUICK",
    "Counts",
    "Goal",
    "Measured",
    "Row",
    "Sample",
    "absence",
    "cost_of",
    "take_turns",
]

Sample = dict[str, float]
"""What one turn of one contender measured: numbers by keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How much is done.

    Attributes:
        rounds: Turns of each contender.
        calls: Calls a turn, by one thread.
        thread_calls: Calls a turn, by each of 16 threads.
        task_calls: Calls a turn, by each of 64 tasks.
        streams: Streams a turn.
        clients: Clients or predictors a turn.
        processes: Fresh processes of each kind.
        rows: Rows of the map.
        row_step: Rows between two looks at its memory; the first look is the one compared with.
    """

    rounds: int = 21
    calls: int = 200
    thread_calls: int = 50
    task_calls: int = 30
    streams: int = 9
    clients: int = 5
    processes: int = 15
    rows: int = 1_000_000
    row_step: int = 10_000


FULL: Final = Counts()
QUICK: Final = Counts(
    rounds=3,
    calls=10,
    thread_calls=2,
    task_calls=1,
    streams=1,
    clients=2,
    processes=1,
    rows=600,
    row_step=200,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What a ratio should be.

    Attributes:
        at_most: The ratio that is still good where less is better.
        at_least: The ratio that is still good where more is better.
    """

    at_most: float | None = None
    at_least: float | None = None

    def __str__(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}x"
        if self.at_most is not None and self.at_most < 1 and (1 / self.at_most).is_integer():
            return f"≤ 1/{1 / self.at_most:g}"
        return f"≤ {self.at_most:.2f}x"

    def verdict(self, ratio: float) -> str:
        """Say ``met``, or by how much it was missed."""
        if self.at_least is not None:
            missed = 1 - ratio / self.at_least
        else:
            missed = ratio / (self.at_most or 1) - 1
        return "met" if missed <= 0 else f"missed by {missed:.1%}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What came of one contender and its peer.

    Attributes:
        work: What is done; rows of one work make one line of the table of goals.
        measure: What of it is measured, where a work has several measures.
        unit: What a number means.
        ours: Who does it.
        peer: Who it is compared with.
        our_values: A number a round.
        peer_values: The same of the peer; the first with the first, interleaved.
        goal: What the ratio should be; ``None`` where there is no goal.
        note: Why there are no numbers, or what the numbers are.
    """

    work: str
    unit: str
    ours: str
    peer: str
    our_values: tuple[float, ...] = ()
    peer_values: tuple[float, ...] = ()
    measure: str = ""
    goal: Goal | None = None
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours by the peer's, a round each."""
        pairs = zip(self.our_values, self.peer_values, strict=False)
        return tuple(ours / theirs for ours, theirs in pairs if theirs)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios, ``None`` where there are none."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def verdict(self) -> str:
        """What became of the goal."""
        if self.ratio is None:
            return self.note
        return self.goal.verdict(self.ratio) if self.goal else ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the contenders of one work measured.

    Attributes:
        samples: From a contender's name to what each of its turns measured.
        missing: From the name of a contender that could not take part to the reason.
    """

    samples: Mapping[str, list[Sample]]
    missing: Mapping[str, str] = field(default_factory=dict)

    def row(
        self,
        work: str,
        key: str,
        ours: str,
        peer: str,
        *,
        unit: str,
        measure: str = "",
        goal: Goal | None = None,
    ) -> Row:
        """Make the row of two contenders from what their turns measured by ``key``."""
        return Row(
            work=work,
            measure=measure,
            unit=unit,
            ours=ours,
            peer=peer,
            our_values=self._values(ours, key),
            peer_values=self._values(peer, key),
            goal=goal,
            note=self.missing.get(ours) or self.missing.get(peer, ""),
        )

    def _values(self, name: str, key: str) -> tuple[float, ...]:
        return tuple(sample[key] for sample in self.samples.get(name, ()))


def take_turns(
    contenders: Mapping[str, Callable[[], Sample]],
    rounds: int,
    *,
    missing: Mapping[str, str] | None = None,
) -> Measured:
    """Let contenders measure in turns, so that what else the machine does hits all of them.

    A first round warms up and is not counted. Every other round goes backwards, so that nobody
    always comes after the same one.
    """
    for turn in contenders.values():
        turn()
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            gc.collect()  # nobody pays for another's garbage
            samples[name].append(contenders[name]())
    return Measured(samples, missing or {})


def absence(error: ImportError) -> str:
    """Return the note of a contender that is not installed, in one line."""
    return f"not measured: {str(error).partition(chr(10))[0]}"


def cost_of(call: Callable[[], object], count: int) -> Sample:
    """Measure ``cpu`` and ``wall`` seconds a call.

    CPU seconds are those of the whole process, of an engine's own threads too.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu / count, "wall": wall / count}
