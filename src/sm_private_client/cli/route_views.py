"""Route reports as a table, as lines and as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from sm_private_client.cli.route_reports import Standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from sm_private_client.cli.route_reports import RouteReport

__all__ = ["lines", "print_for_people", "print_json", "table"]

_STYLES: Final = {
    Standing.PRIVATE: "bold green",
    Standing.LOCAL: "yellow",
    Standing.PUBLIC: "bold red",
    Standing.NONE: "bold red",
    Standing.ELSEWHERE: "dim",
}


def table(reports: Sequence[RouteReport], *, briefly: bool = False, indent: int = 0) -> Group:
    """Draws a row for each service and its evidence below; print it with ``crop=False``.

    Args:
        reports: The rows.
        briefly: Leave out the steps that were skipped.
        indent: Columns to leave free on the left.
    """
    drawn: list[RenderableType] = []
    service = max((len(report.service_name) for report in reports), default=0)
    standing = max((len(report.standing.value) for report in reports), default=0)
    for report in reports:
        row = Text.assemble(
            (report.service_name.ljust(service), "bold"),
            "  ",
            (report.standing.value.ljust(standing), _STYLES[report.standing]),
            f"  {report.by}" if report.by else "",
        )
        drawn.append(Padding(row, (0, 0, 0, indent)))
        if report.route is not None:
            # Never broken into two, so that it can be copied.
            url = Text(" " * (indent + 2) + report.route.endpoint_url)
            url.no_wrap, url.overflow = True, "ignore"
            drawn.append(url)
        drawn.extend(
            Padding(Text(reason, style="dim"), (0, 0, 0, indent + 2))
            for reason in report.reasons(briefly=briefly)
        )
    return Group(*drawn)


def lines(reports: Sequence[RouteReport], *, briefly: bool = False) -> Iterator[str]:
    """Gives plain lines: one for each service, then its evidence, indented."""
    for report in reports:
        url = f"  {report.route.endpoint_url}" if report.route is not None else ""
        by = f"  ({report.by})" if report.by else ""
        yield f"{report.service_name}  {report.standing.value}{url}{by}"
        yield from (f"  {reason}" for reason in report.reasons(briefly=briefly))


def print_for_people(reports: Sequence[RouteReport]) -> None:
    """Prints a table on a terminal, and lines into a pipe."""
    if sys.stdout.isatty():
        Console().print(table(reports), crop=False)
        return
    for line in lines(reports):
        typer.echo(line)


def print_json(reports: Sequence[RouteReport]) -> None:
    """Prints a list of records."""
    typer.echo(json.dumps([report.as_record() for report in reports], indent=2))
