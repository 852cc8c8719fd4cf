"""``endpoints plan``, ``create`` and ``export``: VPC endpoints shown, made or written down."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import (
    STANDARD,
    ProgressLines,
    confirm,
    exit_on_sigterm,
    open_output,
    print_json,
    read_text,
    require_terminal,
)
from sm_private_client.cli.context import EXIT_STATUS, cli_context
from sm_private_client.errors import ConfigurationError
from sm_private_client.provisioning import plan_vpc_endpoints
from sm_private_client.provisioning.apply import APPLY_TIMEOUT
from sm_private_client.provisioning.checks import refuse_problems

if TYPE_CHECKING:
    from sm_private_client.cli.context import CliContext
    from sm_private_client.provisioning import Plan
    from sm_private_client.provisioning.apply import Applied

__all__ = ["app"]

_SERVICES: Final = ("sagemaker", "sagemaker-runtime")
_PLAN_STATUS: Final = "Exit status: 0 it can be applied, 1 it has problems, 2 wrong usage."

app = typer.Typer(rich_markup_mode=None)

_VpcId = Annotated[str, typer.Option("--vpc-id", metavar="vpc-…", help="The VPC.")]
_Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="NAME",
        help="A boto3 service, of SageMaker or such as s3, or notebook, studio; may be "
        "repeated; sagemaker and sagemaker-runtime by default.",
    ),
]
_Subnets = Annotated[
    list[str] | None,
    typer.Option("--subnet", metavar="ID", help="May be repeated; one of each zone by default."),
]
_SecurityGroups = Annotated[
    list[str] | None,
    typer.Option(
        "--security-group",
        metavar="ID",
        help="May be repeated; by default one is made that lets TCP port 443 in from the VPC.",
    ),
]
_PrivateDns = Annotated[
    bool,
    typer.Option(
        "--private-dns/--no-private-dns",
        help="Whether the default host names lead to the VPC endpoints inside the VPC.",
    ),
]
_Policy = Annotated[
    str | None,
    typer.Option("--policy", metavar="FILE|-", help="The endpoint policy of SageMaker's services."),
]
_Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Of everything made; may be repeated."),
]
_Format = Literal["cloudformation", "terraform", "cli"]


@app.command(epilog=_PLAN_STATUS)
def plan(
    context: typer.Context,
    *,
    vpc_id: _VpcId,
    service: _Services = None,
    subnet: _Subnets = None,
    security_group: _SecurityGroups = None,
    private_dns: _PrivateDns = True,
    policy: _Policy = None,
    tag: _Tags = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Show which VPC endpoints would be made, and what stands against it; change nothing.

    \b
    Examples:
      sm-private-client endpoints plan --vpc-id vpc-0d2a3b4c5d6e7f801
      sm-private-client endpoints plan --vpc-id vpc-0d2a3b4c5d6e7f801 --service sagemaker-runtime \\
        --service sts --service s3 --policy policy.json --json
    """
    planned = _plan_of(
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
        print_json(planned.as_dict())
    else:
        typer.echo(str(planned))
    if planned.problems:
        raise typer.Exit(1)


@app.command(epilog=EXIT_STATUS)
def create(
    context: typer.Context,
    *,
    vpc_id: _VpcId,
    service: _Services = None,
    subnet: _Subnets = None,
    security_group: _SecurityGroups = None,
    private_dns: _PrivateDns = True,
    policy: _Policy = None,
    tag: _Tags = None,
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
    yes: options.Yes = False,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
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
    cli = cli_context(context)
    if not (yes or dry_run):
        require_terminal(cli, f"make VPC endpoints in {vpc_id}")
    planned = _plan_of(
        cli,
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
    typer.echo(str(planned), err=True)
    refuse_problems(planned)
    if dry_run:
        _dry_run(planned, as_json=as_json)
        return
    if planned.to_make and not yes:
        confirm(f"Make this in {vpc_id}?")
    with exit_on_sigterm():
        applied = planned.apply(progress=ProgressLines(), timeout=timeout, verify=verify)
    _print_applied(applied, as_json=as_json)


@app.command(epilog=EXIT_STATUS)
def export(
    context: typer.Context,
    *,
    vpc_id: _VpcId,
    form: Annotated[_Format, typer.Option("--format", help="What reads it.")],
    out: options.OutFile = None,
    service: _Services = None,
    subnet: _Subnets = None,
    security_group: _SecurityGroups = None,
    private_dns: _PrivateDns = True,
    policy: _Policy = None,
    tag: _Tags = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Write a plan for those who apply such things: a template, a configuration, a script.

    Changes nothing.

    \b
    Examples:
      sm-private-client endpoints export --vpc-id vpc-0d2a3b4c5d6e7f801 --format cloudformation
      sm-private-client endpoints export --vpc-id vpc-0d2a3b4c5d6e7f801 --format terraform \\
        --out sagemaker.tf.json
    """
    planned = _plan_of(
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
    text = {
        "cloudformation": planned.to_cloudformation,
        "terraform": planned.to_terraform,
        "cli": planned.to_cli,
    }[form]()
    text = text if text.endswith("\n") else f"{text}\n"
    for note in planned.notes:
        typer.echo(f"Note: {note}", err=True)
    is_file = out not in (None, STANDARD)
    with open_output(out) as output:
        if is_file or not as_json:
            output.write(text.encode())
        output.commit()
    if as_json:
        record = {"plan_id": planned.plan_id, "format": form, "notes": list(planned.notes)}
        print_json({**record, "path": out if is_file else None, "text": text})


def _plan_of(
    cli: CliContext,
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
    """Look at the account and return the plan; change nothing.

    Raises:
        SystemExit: An option's value cannot be used (status 2); it was reported.
        PolicyError: AWS would refuse the policy.
        DiscoveryError: EC2 could not be asked; the permission is named.
    """
    tags: dict[str, str] = {}
    for key, value in options.read_pairs(tag, "--tag"):
        if key in tags:
            raise typer.BadParameter(f"--tag gives {key!r} twice.")
        tags[key] = value
    document = None if policy is None else read_text(policy)
    session = cli.session(region=region, profile=profile)
    with cli.usage_errors(ConfigurationError):
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


def _dry_run(plan: Plan, *, as_json: bool) -> None:
    rehearsal = plan.apply(dry_run=True)
    if as_json:
        print_json(
            {"calls": [asdict(call) for call in rehearsal.calls], "missing": rehearsal.missing}
        )
    else:
        typer.echo(str(rehearsal) if rehearsal.calls else "There is nothing to make.")
    if rehearsal.missing:
        raise typer.Exit(1)


def _print_applied(applied: Applied, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(applied))
        return
    resources = [(resource_id, title) for title, resource_id in applied.vpc_endpoint_ids.items()]
    if applied.security_group_id:
        resources.append((applied.security_group_id, "security group"))
    for resource_id, title in resources:
        verb = "made" if resource_id in applied.made else "found"
        typer.echo(f"{verb}  {resource_id}  {title}")
    if applied.made:
        typer.echo(f"sm-private-client endpoints destroy --plan {applied.plan_id} removes it.")
