"""Three ways to show the demonstration: on a terminal, as plain lines, as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from sm_private_client.cli import route_views

if TYPE_CHECKING:
    from rich.status import Status

    from sm_private_client.cli.route_reports import RouteReport

__all__ = [
    "Check",
    "Event",
    "Fact",
    "JsonRenderer",
    "Opening",
    "PlainRenderer",
    "Progress",
    "Renderer",
    "RichRenderer",
    "Routes",
    "Step",
    "Summary",
    "renderer_for",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """It begins; loading what it needs takes a moment.

    Attributes:
        text: What is going to be shown.
    """

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A step begins.

    Attributes:
        number: From 1.
        title: What it does.
    """

    number: int
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that was found or measured.

    Attributes:
        name: Its key for machines.
        value: For machines.
        text: For people.
    """

    name: str
    value: Any
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Routes:
    """The route table.

    Attributes:
        reports: A report for each service.
    """

    reports: tuple[RouteReport, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Part of a step is done.

    Attributes:
        done: How many calls have been answered.
        total: Of how many.
    """

    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A claim was put to the test.

    Attributes:
        claim: The claim, as it reads when it holds.
        held: Whether it does.
        found: What was seen, where the claim and the facts above do not say it already.
    """

    claim: str
    held: bool
    found: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The end.

    Attributes:
        held: How many claims held.
        failed: Those that did not.
        seconds: How long it took.
    """

    held: int
    failed: tuple[str, ...]
    seconds: float

    @property
    def text(self) -> str:
        """The outcome in one sentence."""
        if not self.failed:
            return f"All {self.held} claims held, in {self.seconds:.1f} s."
        total = self.held + len(self.failed)
        return f"{len(self.failed)} of {total} claims failed: " + "; ".join(self.failed) + "."


Event = Opening | Step | Fact | Routes | Progress | Check | Summary


class Renderer(Protocol):
    """Shows events."""

    def show(self, event: Event) -> None:
        """Shows one event."""
        ...

    def close(self) -> None:
        """Gives the terminal back, whatever happened."""
        ...


def renderer_for(*, as_json: bool) -> Renderer:
    """Chooses: JSON if asked for, colours and a progress bar on a terminal, else plain lines."""
    if as_json:
        return JsonRenderer()
    return RichRenderer(Console()) if sys.stdout.isatty() else PlainRenderer()


class PlainRenderer:
    """A line for each fact and check."""

    def show(self, event: Event) -> None:
        """Prints one event at once."""
        for line in _plain(event):
            typer.echo(line)
        sys.stdout.flush()

    def close(self) -> None:
        """Does nothing."""


def _plain(event: Event) -> list[str]:
    if isinstance(event, Step):
        return [f"{event.number}. {event.title}"]
    if isinstance(event, Fact):
        return [f"   {event.text}"]
    if isinstance(event, Routes):
        return [f"   {line}" for line in route_views.lines(event.reports, briefly=True)]
    if isinstance(event, Check):
        found = f" ({event.found})" if event.found else ""
        return [f"   {'ok' if event.held else 'FAILED'}: {event.claim}{found}"]
    return [event.text] if isinstance(event, (Opening, Summary)) else []


class RichRenderer:
    """Colours, a spinner and a progress bar.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._bar: Bar | None = None

    def show(self, event: Event) -> None:
        """Prints one event, above what moves."""
        if isinstance(event, Progress):
            self._advance(event)
            return
        if isinstance(event, (Step, Summary)):
            self.close()
            self._console.print()
        for line in self._styled(event):
            self._console.print(line, crop=False)
        if isinstance(event, (Opening, Step)):
            self._status = self._console.status("")
            self._status.start()

    def close(self) -> None:
        """Ends what moves."""
        for moving in (self._status, self._bar):
            if moving is not None:
                moving.stop()
        self._status = self._bar = None

    def _styled(self, event: Event) -> list[Any]:
        if isinstance(event, Step):
            return [Text(f"{event.number}  {event.title}", style="bold cyan")]
        if isinstance(event, Fact):
            return [Padding(Text(event.text), (0, 0, 0, 3))]
        if isinstance(event, Routes):
            return [route_views.table(event.reports, briefly=True, indent=3)]
        if isinstance(event, Check):
            mark = ("✔ ", "bold green") if event.held else ("✘ ", "bold red")
            text = Text.assemble(mark, event.claim, (f"  {event.found}", "dim"))
            return [Padding(text, (0, 0, 0, 3))]
        if isinstance(event, Summary):
            return [Text(event.text, style="bold red" if event.failed else "bold green")]
        return [Text(event.text)] if isinstance(event, Opening) else []

    def _advance(self, event: Progress) -> None:
        if self._bar is None:
            self.close()  # only one thing can move at a time
            self._bar = Bar(
                TextColumn("  "),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("calls"),
                console=self._console,
                transient=True,
            )
            self._bar.add_task("", total=event.total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=event.done)
        if event.done == event.total:
            self.close()


class JsonRenderer:
    """One JSON document, when it is over."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []

    def show(self, event: Event) -> None:
        """Keeps one event; the summary prints them all."""
        if isinstance(event, Step):
            step = {"number": event.number, "title": event.title, "facts": {}, "checks": []}
            self._steps.append(step)
        elif isinstance(event, Fact):
            self._steps[-1]["facts"][event.name] = event.value
        elif isinstance(event, Routes):
            records = [report.as_record() for report in event.reports]
            self._steps[-1]["facts"]["routes"] = records
        elif isinstance(event, Check):
            check = {"claim": event.claim, "held": event.held, "found": event.found}
            self._steps[-1]["checks"].append(check)
        elif isinstance(event, Summary):
            document = {
                "ok": not event.failed,
                "held": event.held,
                "failed": list(event.failed),
                "seconds": round(event.seconds, 2),
                "steps": self._steps,
            }
            typer.echo(json.dumps(document, indent=2))

    def close(self) -> None:
        """Does nothing."""
