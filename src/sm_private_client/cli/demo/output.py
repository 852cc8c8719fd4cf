"""What the demonstration shows: plain lines, colours on a terminal, or one JSON document."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from sm_private_client.cli.console import print_json
from sm_private_client.cli.route_reports import lines, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from sm_private_client.cli.route_reports import RouteReport

__all__ = ["Output"]

_INDENT = (0, 0, 0, 3)


class Output:
    """Shows steps, facts and checks as they come, and keeps them for the summary.

    Args:
        console: The terminal; ``None`` for plain lines.
        as_json: Print only a JSON document, at the end.
    """

    def __init__(self, console: Console | None = None, *, as_json: bool = False) -> None:
        self._console = console
        self._as_json = as_json
        self._started = time.monotonic()
        self._steps: list[dict[str, Any]] = []
        self._bar: Progress | None = None

    def opening(self, text: str) -> None:
        """Show what is about to begin; loading what it needs takes a moment."""
        self._print(text, Text(text))
        self._start_bar()

    def step(self, title: str) -> int:
        """Begin a step and return its number."""
        number = len(self._steps) + 1
        self._steps.append({"number": number, "title": title, "facts": {}, "checks": []})
        self.close()
        self._print(f"{number}. {title}", Text(f"\n{number}  {title}", style="bold cyan"))
        self._start_bar()
        return number

    def fact(self, name: str, value: object, text: str) -> None:
        """Show what was found or measured: by name for machines, as text for people."""
        self._steps[-1]["facts"][name] = value
        self._print(f"   {text}", Padding(Text(text), _INDENT))

    def routes(self, reports: Sequence[RouteReport]) -> None:
        """Show the table of routes."""
        self._steps[-1]["facts"]["routes"] = [report.as_dict() for report in reports]
        plain = "\n".join(f"   {line}" for line in lines(reports, briefly=True))
        self._print(plain, table(reports, briefly=True, indent=3))

    def check(self, claim: str, held: bool, found: str = "") -> None:
        """Show a claim that was tested, and what was seen if the facts do not show it."""
        self._steps[-1]["checks"].append({"claim": claim, "held": held, "found": found})
        mark = ("✔ ", "bold green") if held else ("✘ ", "bold red")
        self._print(
            f"   {'ok' if held else 'FAILED'}: {claim}" + (f" ({found})" if found else ""),
            Padding(Text.assemble(mark, claim, (f"  {found}", "dim")), _INDENT),
        )

    def progress(self, done: int, total: int) -> None:
        """Show how many calls have been answered."""
        if self._bar is not None:
            text = f"{done}/{total} calls"
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=text)

    def summary(self) -> bool:
        """Show the outcome and return True if every claim held."""
        checks = [check for step in self._steps for check in step["checks"]]
        failed = [check["claim"] for check in checks if not check["held"]]
        seconds = time.monotonic() - self._started
        text = f"All {len(checks)} claims held, in {seconds:.1f} s."
        if failed:
            text = f"{len(failed)} of {len(checks)} claims failed: {'; '.join(failed)}."
        self.close()
        self._print(text, Text(f"\n{text}", style="bold red" if failed else "bold green"))
        if self._as_json:
            print_json(
                {
                    "ok": not failed,
                    "held": len(checks) - len(failed),
                    "failed": failed,
                    "seconds": round(seconds, 2),
                    "steps": self._steps,
                }
            )
        return not failed

    def close(self) -> None:
        """Stop what moves; the terminal has its cursor again."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, plain: str, styled: RenderableType) -> None:
        if self._console is not None:
            self._console.print(styled, crop=False)
        elif not self._as_json:
            typer.echo(plain)

    def _start_bar(self) -> None:
        if self._console is None:
            return
        columns = (TextColumn("  "), BarColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._bar.add_task("", total=None)
        self._bar.start()
