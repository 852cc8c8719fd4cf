"""``endpoints list``: the VPC endpoints that EC2 shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.options import AsJson, Debug, Profile, Region, cli_context
from sm_private_client.cli.policy_files import print_json
from sm_private_client.cli.vpc_endpoint_views import Row, lines, service_of, service_words
from sm_private_client.errors import DiscoveryError
from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.provisioning import list_vpc_endpoints
from sm_private_client.provisioning.account import Account, ec2_of
from sm_private_client.routing.botocore_rules import partitions

if TYPE_CHECKING:
    from sm_private_client.cli.context import CliContext
    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.session import Session

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command("list", epilog=EXIT_STATUS)
def show(
    context: typer.Context,
    *,
    vpc_id: Annotated[
        str | None, typer.Option("--vpc-id", metavar="vpc-…", help="Only those of this VPC.")
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option(
            "--service",
            metavar="NAME",
            help="Only this: a boto3 name, or notebook, studio; may be repeated.",
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the VPC endpoints of SageMaker and the other services, as EC2 shows them.

    Changes nothing. Needs ec2:DescribeVpcEndpoints, and ec2:DescribeSubnets for the zones.

    \b
    Examples:
      sm-private-client endpoints list
      sm-private-client endpoints list --vpc-id vpc-0d2a3b4c5d6e7f801 --json
    """
    for word in service or ():
        if word not in service_words():
            raise typer.BadParameter(
                f"{word!r} is no service that is listed; name one of {', '.join(service_words())}."
            )
    invocation = cli_context(context)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=None)
    region_name = str(session.region_name)
    partition = partition_of(region_name, partitions(session._session))  # noqa: SLF001 - boto3 names it no other way
    chosen = []
    for found in list_vpc_endpoints(session, vpc_id=vpc_id):
        known = service_of(found.endpoint_service, region=region_name, partition=partition)
        if known is not None and (not service or known[0] in service):
            chosen.append((found, known[1]))
    zones = _zones(invocation, session, [found for found, _ in chosen])
    rows = [
        Row(
            found=found,
            service=name,
            zones=None
            if zones is None
            else tuple(sorted({zones[s] for s in found.subnet_ids if s in zones})),
        )
        for found, name in chosen
    ]
    if as_json:
        print_json([row.as_record() for row in rows])
    elif rows:
        for line in lines(rows):
            typer.echo(line)
    else:
        where = f"{vpc_id} in {region_name}" if vpc_id else region_name
        typer.echo(f"EC2 shows no such VPC endpoint in {where}.", err=True)


def _zones(
    invocation: CliContext, session: Session, found: list[VpcEndpoint]
) -> dict[str, str] | None:
    """Return the zone of each subnet; the list is worth showing without."""
    account = Account(ec2_of(session))
    vpc_ids = dict.fromkeys(one.vpc_id for one in found if one.subnet_ids)
    try:
        return {
            subnet.subnet_id: subnet.availability_zone
            for vpc_id in vpc_ids
            for subnet in account.subnets(vpc_id)
        }
    except DiscoveryError as error:
        invocation.report(error)
        return None
