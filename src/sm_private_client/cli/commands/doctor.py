"""``sm-private-client doctor``: why it does not work, the root cause first, and how to mend it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import print_json
from sm_private_client.cli.context import cli_context

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from sm_private_client.doctor import findings

__all__ = ["EXIT_STATUS", "app", "render"]

EXIT_STATUS: Final = "Exit status: 0 healthy, 1 broken, 2 could not tell, or wrong usage."

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def doctor(
    context: typer.Context,
    *,
    service: options.Services = None,
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
    region: options.Region = None,
    profile: options.Profile = None,
    vpc_endpoint: options.VpcEndpoint = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
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

    service_names = options.family_services(service)
    session = cli_context(context).session(
        region=region, profile=profile, vpc_endpoint=vpc_endpoint
    )
    report = diagnose(session, **({"services": service_names} if service_names else {}), deep=deep)
    if html is not None:
        from sm_private_client.doctor.views import page
        from sm_private_client.files import AtomicFile

        with AtomicFile(html) as file:
            file.write(page(report).encode())
            file.commit()
    if as_json:
        print_json(report.as_dict())
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(render(report))
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


def render(report: findings.Report) -> Group:
    """Return a report for a terminal: the outcome, a path for each service, the findings."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from sm_private_client.doctor.views import details_of, passed_checks, summary, title_of

    parts: list[RenderableType] = [Text(summary(report), style=_OUTCOMES[report.exit_status])]
    for path in report.paths:
        hops = Text()
        for number, hop in enumerate(path.hops):
            mark, style = _HOPS[hop.state]
            hops.append(" → " if number else "", style="dim")
            hops.append(f"{mark}{hop.label}", style=style)
        parts += [Text(path.service_name, style="bold"), Padding(hops, (0, 0, 0, 2))]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in report.findings:
        if finding.status == "ok":
            continue
        text = Text(title_of(finding), style="bold")
        for label, detail in details_of(finding):
            text.append(f"\n{label}: ", style="dim not bold")
            text.append(detail, style="cyan not bold" if label == "remedy" else "not bold")
        table.add_row(Text(finding.status, style=_STATUSES[finding.status]), text)
    table.add_row(Text("ok", style=_STATUSES["ok"]), Text(passed_checks(report)))
    count = f"{len(report.findings)} findings in {report.seconds:.1f} s"
    return Group(*parts, Text(), table, Text(count, style="dim"))
