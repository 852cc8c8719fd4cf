"""``endpoints destroy``: removes what this program made, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sm_private_client.cli.console import DryRun, Yes, ask, ended_in_order, refuse_where_nobody_is
from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.options import AsJson, Debug, Profile, Region, cli_context
from sm_private_client.cli.policy_files import print_json
from sm_private_client.cli.vpc_endpoint_views import ProgressLines
from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.ec2 import PLAN_TAG
from sm_private_client.provisioning import Plan
from sm_private_client.provisioning.account import GONE, Account, ec2_of
from sm_private_client.provisioning.destroy import REMOVE_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.session import Session

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_NOTHING: Final = "Nothing here was made by this program."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """What one plan made and is still there.

    Attributes:
        plan_id: The plan.
        vpc_id: Its VPC.
        resources: Ids, each with what it is.
    """

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
            help="What this plan made, as `endpoints list` names it; needed where there are more.",
        ),
    ] = None,
    vpc_id: Annotated[
        str | None, typer.Option("--vpc-id", metavar="vpc-…", help="Only in this VPC.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Until all is gone.", min=1)
    ] = REMOVE_TIMEOUT,
    dry_run: DryRun = False,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Remove the VPC endpoints and the security group that a plan made, and nothing else.

    What a plan made has the tag sm-private-client:plan. Shows it and asks first.

    \b
    Examples:
      sm-private-client endpoints destroy --vpc-id vpc-0d2a3b4c5d6e7f801 --dry-run
      sm-private-client endpoints destroy --plan 1f0e2d3c4b5a --yes
    """
    invocation = cli_context(context)
    if not (yes or dry_run):
        refuse_where_nobody_is(invocation, "remove VPC endpoints")
    session = invocation.session(region=region, profile=profile, vpc_endpoint=None)
    made = _made(session, plan_id, vpc_id)
    if not made and plan_id is not None:
        raise ConfigurationError(
            f"Nothing of plan {plan_id} is in {vpc_id or session.region_name}.",
            possible_causes=("it was removed already", "a typing error", "another account"),
            remedy="see the plans that there are: sm-private-client endpoints list.",
        )
    if dry_run:
        _print_what_there_is(made, as_json=as_json)
        return
    if not made:
        if as_json:
            print_json({"plan_id": None, "vpc_id": vpc_id, "removed": []})
        else:
            typer.echo(_NOTHING)
        return
    if len(made) > 1:
        listed = ", ".join(f"{one.plan_id} in {one.vpc_id}" for one in made)
        raise typer.BadParameter(f"There are several plans: {listed}; name one with --plan.")
    (one,) = made
    typer.echo(str(one), err=True)
    if not yes:
        ask("Remove it?")
    of_plan = Plan(
        plan_id=one.plan_id,
        region=str(session.region_name),
        vpc_id=one.vpc_id,
        vpc_endpoints=(),
        session=session,
    )
    with ended_in_order():
        removed = of_plan.destroy(progress=ProgressLines(), timeout=timeout)
    if as_json:
        print_json({"plan_id": one.plan_id, "vpc_id": one.vpc_id, "removed": list(removed)})
    else:
        for resource_id in removed:
            typer.echo(f"removed  {resource_id}")


def _made(session: Session, plan_id: str | None, vpc_id: str | None) -> list[_Made]:
    """Finds what plans made, by their tag."""
    account = Account(ec2_of(session))
    in_vpc = {"vpc_id": vpc_id} if vpc_id else {}
    found: dict[tuple[str, str], dict[str, str]] = {}
    for one in account.vpc_endpoints(tag_key=PLAN_TAG, **in_vpc):
        if one.state not in GONE:
            resources = found.setdefault((one.plan_id, one.vpc_id), {})
            resources[one.vpc_endpoint_id] = one.endpoint_service
    groups = {name: [value] for name, value in in_vpc.items()}
    for group in account.security_groups(tag_key=[PLAN_TAG], **groups):
        tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
        resources = found.setdefault((tags[PLAN_TAG], group["VpcId"]), {})
        resources[group["GroupId"]] = f"security group {group['GroupName']}"
    return [
        _Made(plan_id=plan, vpc_id=vpc, resources=resources)
        for (plan, vpc), resources in sorted(found.items())
        if plan_id in (None, plan)
    ]


def _print_what_there_is(made: Sequence[_Made], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {"plan_id": one.plan_id, "vpc_id": one.vpc_id, "resources": list(one.resources)}
            for one in made
        ]
        print_json({"would_remove": listed})
        return
    for one in made:
        typer.echo(str(one))
    if not made:
        typer.echo(_NOTHING)
