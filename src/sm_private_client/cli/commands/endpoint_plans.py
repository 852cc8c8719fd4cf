"""``endpoints plan``, ``create`` and ``export``: what is to be there, shown, made, written."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from sm_private_client.cli.console import (
    STANDARD,
    Yes,
    ask,
    ended_in_order,
    open_output,
    refuse_where_nobody_is,
)
from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.options import AsJson, Debug, Profile, Region, cli_context
from sm_private_client.cli.policy_files import print_json, read_policy
from sm_private_client.cli.vpc_endpoint_views import ProgressLines
from sm_private_client.errors import ConfigurationError
from sm_private_client.provisioning import plan_vpc_endpoints
from sm_private_client.provisioning.apply import APPLY_TIMEOUT
from sm_private_client.provisioning.checks import refuse_problems

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.cli.context import CliContext
    from sm_private_client.provisioning import Plan
    from sm_private_client.provisioning.apply import Applied

__all__ = [
    "PlanPolicy",
    "PrivateDns",
    "SecurityGroups",
    "Services",
    "Subnets",
    "Tags",
    "VpcId",
    "app",
    "plan_of",
]

_SERVICES = ("sagemaker", "sagemaker-runtime")

VpcId = Annotated[str, typer.Option("--vpc-id", metavar="vpc-…", help="The VPC.")]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="NAME",
        help="A boto3 service, of SageMaker or such as s3, or notebook, studio; may be "
        "repeated; sagemaker and sagemaker-runtime by default.",
    ),
]
Subnets = Annotated[
    list[str] | None,
    typer.Option("--subnet", metavar="ID", help="May be repeated; one of each zone by default."),
]
SecurityGroups = Annotated[
    list[str] | None,
    typer.Option(
        "--security-group",
        metavar="ID",
        help="May be repeated; by default one is made that lets TCP port 443 in from the VPC.",
    ),
]
PrivateDns = Annotated[
    bool,
    typer.Option(
        "--private-dns/--no-private-dns",
        help="Whether the default host names lead to the VPC endpoints inside the VPC.",
    ),
]
PlanPolicy = Annotated[
    str | None,
    typer.Option("--policy", metavar="FILE|-", help="The endpoint policy of SageMaker's services."),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Of everything made; may be repeated."),
]


def plan_of(
    invocation: CliContext,
    *,
    vpc_id: str,
    service: list[str] | None,
    subnet: list[str] | None,
    security_group: list[str] | None,
    private_dns: bool,
    policy: str | None,
    tag: list[str] | None,
    region: str | None,
    profile: str | None,
) -> Plan:
    """Looks at the account and gives the plan; changes nothing.

    Raises:
        typer.Exit: An option's value cannot be used (status 2); stderr has said why.
        PolicyError: AWS would refuse the policy.
        DiscoveryError: EC2 could not be asked; the permission is named.
    """
    tags = _tags(tag or ())
    document = None if policy is None else read_policy(policy)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=None)
    try:
        return plan_vpc_endpoints(
            session,
            vpc_id=vpc_id,
            services=tuple(service or _SERVICES),
            subnets=tuple(subnet) if subnet else "one-per-zone",
            security_groups=tuple(security_group) if security_group else "create",
            private_dns=private_dns,
            policy=document,
            tags=tags,
        )
    except ConfigurationError as error:
        invocation.report(error)
        raise typer.Exit(2) from error


def _tags(given: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"--tag {text!r} is not of the form KEY=VALUE.")
        if key in found:
            raise typer.BadParameter(f"--tag gives {key!r} twice.")
        found[key] = value
    return found


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
    debug: Debug = False,
) -> None:
    """Show which VPC endpoints would be made, and what stands against it; change nothing.

    \b
    Examples:
      sm-private-client endpoints plan --vpc-id vpc-0d2a3b4c5d6e7f801
      sm-private-client endpoints plan --vpc-id vpc-0d2a3b4c5d6e7f801 --service sagemaker-runtime \\
        --service sts --service s3 --policy policy.json --json
    """
    made = plan_of(
        cli_context(context),
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
    debug: Debug = False,
) -> None:
    """Make the VPC endpoints of a plan that are not there yet, and wait for them.

    Shows the plan and asks first. What it made is removed again if a step fails, or at Ctrl-C.
    Doing it twice makes nothing twice.

    \b
    Examples:
      sm-private-client endpoints create --vpc-id vpc-0d2a3b4c5d6e7f801 --dry-run
      sm-private-client endpoints create --vpc-id vpc-0d2a3b4c5d6e7f801 --policy policy.json
      sm-private-client endpoints create --vpc-id vpc-0d2a3b4c5d6e7f801 --no-verify --yes --json
    """
    invocation = cli_context(context)
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
    debug: Debug = False,
) -> None:
    """Write a plan for those who apply such things: a template, a configuration, a script.

    Changes nothing.

    \b
    Examples:
      sm-private-client endpoints export --vpc-id vpc-0d2a3b4c5d6e7f801 --format cloudformation
      sm-private-client endpoints export --vpc-id vpc-0d2a3b4c5d6e7f801 --format terraform \\
        --out sagemaker.tf.json
    """
    made = plan_of(
        cli_context(context),
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
