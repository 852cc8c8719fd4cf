"""``endpoints plan``, ``create`` and ``export``: what is to be there, shown, made, written."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from sm_private_client.cli.asking import Yes, ask, refuse_where_nobody_is
from sm_private_client.cli.ending import ended_in_order
from sm_private_client.cli.invocation import EXIT_STATUS
from sm_private_client.cli.options import AsJson, Debug, Profile, Region, invocation_of
from sm_private_client.cli.outputs import STANDARD, open_output
from sm_private_client.cli.plan_options import (
    PlanPolicy,
    PrivateDns,
    SecurityGroups,
    Services,
    Subnets,
    Tags,
    VpcId,
    plan_of,
)
from sm_private_client.cli.policy_files import print_json
from sm_private_client.cli.vpc_endpoint_views import ProgressLines
from sm_private_client.provisioning.applying import APPLY_TIMEOUT
from sm_private_client.provisioning.checks import refuse_problems

if TYPE_CHECKING:
    from sm_private_client.provisioning import Plan
    from sm_private_client.provisioning.applying import Applied

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_PLAN_STATUS: Final = "Exit status: 0 it can be applied, 1 it has problems, 2 wrong usage."

_Format = Literal["cloudformation", "terraform", "cli"]


@app.command(epilog=_PLAN_STATUS)
def plan(
    context: typer.Context,
    *,
    vpc_id: VpcId,
    service: Services = None,
    subnet: Subnets = None,
    security_group: SecurityGroups = None,
    private_dns: PrivateDns = True,
    policy: PlanPolicy = None,
    tag: Tags = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - its callback has noted it
) -> None:
    """Show which VPC endpoints would be made, and what stands against it; change nothing.

    \b
    Examples:
      sm-private-client endpoints plan --vpc-id vpc-0d2a3b4c5d6e7f801
      sm-private-client endpoints plan --vpc-id vpc-0d2a3b4c5d6e7f801 --service sagemaker-runtime \\
        --service sts --service s3 --policy policy.json --json
    """  # noqa: D301 - \b is click's mark for lines that keep their breaks
    made = plan_of(
        invocation_of(context),
        vpc_id=vpc_id,
        service=service,
        subnet=subnet,
        security_group=security_group,
        private_dns=private_dns,
        policy=policy,
        tag=tag,
        region=region,
        profile=profile,
    )
    if as_json:
        print_json(made.as_dict())
    else:
        typer.echo(str(made))
    if made.problems:
        raise typer.Exit(1)


@app.command(epilog=EXIT_STATUS)
def create(
    context: typer.Context,
    *,
    vpc_id: VpcId,
    service: Services = None,
    subnet: Subnets = None,
    security_group: SecurityGroups = None,
    private_dns: PrivateDns = True,
    policy: PlanPolicy = None,
    tag: Tags = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            help="Connect to each at the end, which only works from a network that reaches it.",
        ),
    ] = True,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Until all are available.", min=1)
    ] = APPLY_TIMEOUT,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Ask EC2 which permissions are missing; make nothing."),
    ] = False,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - its callback has noted it
) -> None:
    """Make the VPC endpoints of a plan that are not there yet, and wait for them.

    Shows the plan and asks first. What it made is removed again if a step fails, or at Ctrl-C.
    Doing it twice makes nothing twice.

    \b
    Examples:
      sm-private-client endpoints create --vpc-id vpc-0d2a3b4c5d6e7f801 --dry-run
      sm-private-client endpoints create --vpc-id vpc-0d2a3b4c5d6e7f801 --policy policy.json
      sm-private-client endpoints create --vpc-id vpc-0d2a3b4c5d6e7f801 --no-verify --yes --json
    """  # noqa: D301 - \b is click's mark for lines that keep their breaks
    invocation = invocation_of(context)
    if not (yes or dry_run):
        refuse_where_nobody_is(invocation, f"make VPC endpoints in {vpc_id}")
    made = plan_of(
        invocation,
        vpc_id=vpc_id,
        service=service,
        subnet=subnet,
        security_group=security_group,
        private_dns=private_dns,
        policy=policy,
        tag=tag,
        region=region,
        profile=profile,
    )
    typer.echo(str(made), err=True)
    refuse_problems(made)
    if dry_run:
        _rehearse(made, as_json=as_json)
        return
    if made.to_make and not yes:
        ask(f"Make this in {vpc_id}?")
    with ended_in_order():
        applied = made.apply(progress=ProgressLines(), timeout=timeout, verify=verify)
    _tell(applied, as_json=as_json)


@app.command(epilog=EXIT_STATUS)
def export(
    context: typer.Context,
    *,
    vpc_id: VpcId,
    form: Annotated[_Format, typer.Option("--format", help="What reads it.")],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Write it there, mode 0600; - for stdout."),
    ] = None,
    service: Services = None,
    subnet: Subnets = None,
    security_group: SecurityGroups = None,
    private_dns: PrivateDns = True,
    policy: PlanPolicy = None,
    tag: Tags = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - its callback has noted it
) -> None:
    """Write a plan for those who apply such things: a template, a configuration, a script.

    Changes nothing.

    \b
    Examples:
      sm-private-client endpoints export --vpc-id vpc-0d2a3b4c5d6e7f801 --format cloudformation
      sm-private-client endpoints export --vpc-id vpc-0d2a3b4c5d6e7f801 --format terraform \\
        --out sagemaker.tf.json
    """  # noqa: D301 - \b is click's mark for lines that keep their breaks
    made = plan_of(
        invocation_of(context),
        vpc_id=vpc_id,
        service=service,
        subnet=subnet,
        security_group=security_group,
        private_dns=private_dns,
        policy=policy,
        tag=tag,
        region=region,
        profile=profile,
    )
    write = {
        "cloudformation": made.to_cloudformation,
        "terraform": made.to_terraform,
        "cli": made.to_cli,
    }[form]
    text = write()
    text = text if text.endswith("\n") else f"{text}\n"
    for note in made.notes:
        typer.echo(f"Note: {note}", err=True)
    is_file = out not in (None, STANDARD)
    with open_output(out) as output:
        if is_file or not as_json:
            output.write(text.encode())
        output.commit()
    if as_json:
        record = {"plan_id": made.plan_id, "format": form, "notes": list(made.notes)}
        print_json({**record, "path": out if is_file else None, "text": text})


def _rehearse(made: Plan, *, as_json: bool) -> None:
    rehearsal = made.apply(dry_run=True)
    if as_json:
        calls = [asdict(call) for call in rehearsal.calls]
        print_json({"calls": calls, "missing": list(rehearsal.missing)})
    else:
        typer.echo(str(rehearsal) if rehearsal.calls else "There is nothing to make.")
    if rehearsal.missing:
        raise typer.Exit(1)


def _tell(applied: Applied, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(applied))
        return
    for service, vpc_endpoint_id in applied.vpc_endpoint_ids.items():
        verb = "made" if vpc_endpoint_id in applied.made else "found"
        typer.echo(f"{verb}  {vpc_endpoint_id}  {service}")
    if applied.security_group_id:
        verb = "made" if applied.security_group_id in applied.made else "found"
        typer.echo(f"{verb}  {applied.security_group_id}  security group")
    if applied.made:
        typer.echo(f"sm-private-client endpoints destroy --plan {applied.plan_id} removes it.")
