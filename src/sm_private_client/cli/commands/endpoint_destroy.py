"""``endpoints destroy``: removes what a plan made, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import (
    ProgressLines,
    confirm,
    exit_on_sigterm,
    print_json,
    require_terminal,
)
from sm_private_client.cli.context import EXIT_STATUS, cli_context
from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.ec2 import PLAN_TAG
from sm_private_client.provisioning import Plan
from sm_private_client.provisioning.account import GONE, Account, ec2_of
from sm_private_client.provisioning.destroy import REMOVE_TIMEOUT

if TYPE_CHECKING:
    from sm_private_client.session import Session

__all__ = ["app"]

_NOTHING: Final = "Nothing here was made by this program."

app = typer.Typer(rich_markup_mode=None)


class _Remains(NamedTuple):
    """What one plan made in a VPC and is still there; by id, what each is."""

    plan_id: str
    vpc_id: str
    resources: dict[str, str]

    def __str__(self) -> str:
        listed = "".join(f"\n  {one}  {what}" for one, what in self.resources.items())
        return f"Plan {self.plan_id} made in {self.vpc_id}:{listed}"


@app.command(epilog=EXIT_STATUS)
def destroy(
    context: typer.Context,
    *,
    plan_id: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="ID",
            help="What this plan made, as `endpoints list` names it; needed if there are more.",
        ),
    ] = None,
    vpc_id: Annotated[
        str | None, typer.Option("--vpc-id", metavar="vpc-…", help="Only in this VPC.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Until all is gone.", min=1)
    ] = REMOVE_TIMEOUT,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Remove the VPC endpoints and the security group that a plan made, and nothing else.

    What a plan made has the tag sm-private-client:plan. Shows it and asks first.

    \b
    Examples:
      sm-private-client endpoints destroy --vpc-id vpc-0d2a3b4c5d6e7f801 --dry-run
      sm-private-client endpoints destroy --plan 1f0e2d3c4b5a --yes
    """
    cli = cli_context(context)
    if not (yes or dry_run):
        require_terminal(cli, "remove VPC endpoints")
    session = cli.session(region=region, profile=profile)
    found = _remains(session, plan_id, vpc_id)
    if not found and plan_id is not None:
        raise ConfigurationError(
            f"Nothing of plan {plan_id} is in {vpc_id or session.region_name}.",
            possible_causes=("it was removed already", "a typing error", "another account"),
            remedy="see the plans that there are: sm-private-client endpoints list.",
        )
    if dry_run and as_json:
        print_json(
            {
                "would_remove": [
                    {"plan_id": one.plan_id, "vpc_id": one.vpc_id, "resources": list(one.resources)}
                    for one in found
                ]
            }
        )
    elif dry_run:
        typer.echo("\n".join(map(str, found)) or _NOTHING)
    elif not found and as_json:
        print_json({"plan_id": None, "vpc_id": vpc_id, "removed": []})
    elif not found:
        typer.echo(_NOTHING)
    elif len(found) > 1:
        listed = ", ".join(f"{one.plan_id} in {one.vpc_id}" for one in found)
        raise typer.BadParameter(f"There are several plans: {listed}; name one with --plan.")
    else:
        _remove(session, found[0], timeout=timeout, yes=yes, as_json=as_json)


def _remains(session: Session, plan_id: str | None, vpc_id: str | None) -> list[_Remains]:
    """Find what plans made, by their tag."""
    account = Account(ec2_of(session))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for one in account.vpc_endpoints(tag_key=PLAN_TAG, **({"vpc_id": vpc_id} if vpc_id else {})):
        if one.state not in GONE:
            resources = found.setdefault((one.plan_id, one.vpc_id), {})
            resources[one.vpc_endpoint_id] = one.endpoint_service
    filters = {"vpc_id": [vpc_id]} if vpc_id else {}
    for group in account.security_groups(tag_key=[PLAN_TAG], **filters):
        tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
        resources = found.setdefault((tags[PLAN_TAG], group["VpcId"]), {})
        resources[group["GroupId"]] = f"security group {group['GroupName']}"
    return [
        _Remains(plan, vpc, resources)
        for (plan, vpc), resources in sorted(found.items())
        if plan_id in (None, plan)
    ]


def _remove(
    session: Session, remains: _Remains, *, timeout: float, yes: bool, as_json: bool
) -> None:
    typer.echo(str(remains), err=True)
    if not yes:
        confirm("Remove it?")
    plan = Plan(
        plan_id=remains.plan_id,
        region=str(session.region_name),
        vpc_id=remains.vpc_id,
        vpc_endpoints=(),
        session=session,
    )
    with exit_on_sigterm():
        removed = plan.destroy(progress=ProgressLines(), timeout=timeout)
    if as_json:
        print_json({"plan_id": plan.plan_id, "vpc_id": plan.vpc_id, "removed": removed})
    else:
        for resource_id in removed:
            typer.echo(f"removed  {resource_id}")
