"""A diagnosis on a terminal: the paths as lines, and a table of what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sm_private_client.doctor.lines import details_of, title_of, verdict, well

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sm_private_client.doctor.records import Diagnosis, Finding, Path

__all__ = ["drawn", "print_report"]

_OUTCOMES: Final = {0: "bold green", 1: "bold red", 2: "bold yellow"}
_STATUSES: Final = {"ok": "green", "warning": "yellow", "failure": "bold red", "unknown": "yellow"}
_HOPS: Final = {
    "ok": ("", "green"),
    "broken": ("✗ ", "bold red"),
    "unknown": ("? ", "yellow"),
    "not-reached": ("", "dim"),
}


def print_report(report: Diagnosis) -> None:
    """Prints a report on the terminal."""
    Console().print(drawn(report))


def drawn(report: Diagnosis) -> Group:
    """Draws a report: the outcome, a path for each service, a table of the findings."""
    parts: list[RenderableType] = [Text(verdict(report), style=_OUTCOMES[report.exit_status])]
    for path in report.paths:
        parts += [Text(path.service_name, style="bold"), Padding(_path(path), (0, 0, 0, 2))]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in report.findings:
        if finding.status != "ok":
            style = _STATUSES[finding.status]
            table.add_row(Text(finding.status, style=style), _finding(finding))
    table.add_row(Text("ok", style=_STATUSES["ok"]), Text(well(report)))
    count = f"{len(report.findings)} findings in {report.seconds:.1f} s"
    return Group(*parts, Text(), table, Text(count, style="dim"))


def _path(path: Path) -> Text:
    text = Text()
    for place, hop in enumerate(path.hops):
        mark, style = _HOPS[hop.state]
        text.append(" → " if place else "", style="dim").append(f"{mark}{hop.label}", style=style)
    return text


def _finding(finding: Finding) -> Text:
    text = Text(title_of(finding), style="bold")
    for word, said in details_of(finding):
        text.append(f"\n{word}: ", style="dim not bold")
        text.append(said, style="cyan not bold" if word == "remedy" else "not bold")
    return text
