"""``sm-private-client doctor``: why it does not work, the root cause first, and how to mend it."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sm_private_client.cli.options import (
    AsJson,
    Debug,
    Profile,
    Region,
    Services,
    VpcEndpoint,
    cli_context,
    families,
)
from sm_private_client.doctor.views import details_of, title_of, verdict, well
from sm_private_client.files import AtomicFile

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sm_private_client.doctor import findings

__all__ = ["EXIT_STATUS", "app", "drawn", "print_report"]

EXIT_STATUS: Final = "Exit status: 0 healthy, 1 broken, 2 could not tell, or wrong usage."


app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def doctor(
    context: typer.Context,
    *,
    service: Services = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Look at every network interface, and at the other services: S3, STS, …"
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the report as one HTML page as well."),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    vpc_endpoint: VpcEndpoint = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find out why it does not work: the root cause first, and what mends it.

    Looks at everything between here and SageMaker and changes nothing. It sends one harmless call
    for each service: ListEndpoints, and InvokeEndpoint of an inference endpoint that does not
    exist. No model runs.

    \b
    Examples:
      sm-private-client doctor
      sm-private-client doctor --service sagemaker-runtime --html report.html
      sm-private-client doctor --deep --json
    """
    from sm_private_client.doctor.diagnose import diagnose

    invocation = cli_context(context)
    asked = families(service)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=vpc_endpoint)
    report = diagnose(session, **({"services": asked} if asked else {}), deep=deep)
    if html is not None:
        from sm_private_client.doctor.views import page

        with AtomicFile(html) as file:
            file.write(page(report).encode())
            file.commit()
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    elif sys.stdout.isatty():
        print_report(report)
    else:
        typer.echo(str(report))
    raise typer.Exit(report.exit_status)


_OUTCOMES: Final = {0: "bold green", 1: "bold red", 2: "bold yellow"}
_STATUSES: Final = {"ok": "green", "warning": "yellow", "failure": "bold red", "unknown": "yellow"}
_HOPS: Final = {
    "ok": ("", "green"),
    "broken": ("✗ ", "bold red"),
    "unknown": ("? ", "yellow"),
    "not-reached": ("", "dim"),
}


def print_report(report: findings.Report) -> None:
    """Prints a report on the terminal."""
    Console().print(drawn(report))


def drawn(report: findings.Report) -> Group:
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


def _path(path: findings.Path) -> Text:
    text = Text()
    for place, hop in enumerate(path.hops):
        mark, style = _HOPS[hop.state]
        text.append(" → " if place else "", style="dim").append(f"{mark}{hop.label}", style=style)
    return text


def _finding(finding: findings.Finding) -> Text:
    text = Text(title_of(finding), style="bold")
    for word, said in details_of(finding):
        text.append(f"\n{word}: ", style="dim not bold")
        text.append(said, style="cyan not bold" if word == "remedy" else "not bold")
    return text
