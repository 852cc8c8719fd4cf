"""``endpoints list``: the VPC endpoints that EC2 shows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import print_json
from sm_private_client.cli.context import EXIT_STATUS, cli_context
from sm_private_client.errors import DiscoveryError, PolicyError
from sm_private_client.policy import DEFAULT_ENDPOINT_POLICY, parse
from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.privatelink.other_services import OTHER_SERVICES, endpoint_service_names
from sm_private_client.privatelink.services import CATALOGUE, by_endpoint_service_name
from sm_private_client.provisioning import list_vpc_endpoints
from sm_private_client.provisioning.account import Account, ec2_of
from sm_private_client.routing.botocore_rules import partitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sm_private_client.cli.context import CliContext
    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.session import Session

__all__ = ["app"]

_HEAD: Final = (
    "VPC endpoint",
    "service",
    "state",
    "VPC",
    "zones",
    "private DNS",
    "policy",
    "plan",
)

app = typer.Typer(rich_markup_mode=None)


@app.command("list", epilog=EXIT_STATUS)
def list_(
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
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """List the VPC endpoints of SageMaker and the other services, as EC2 shows them.

    Changes nothing. Needs ec2:DescribeVpcEndpoints, and ec2:DescribeSubnets for the zones.

    \b
    Examples:
      sm-private-client endpoints list
      sm-private-client endpoints list --vpc-id vpc-0d2a3b4c5d6e7f801 --json
    """
    names = _service_names()
    for name in service or ():
        if name not in names:
            raise typer.BadParameter(
                f"{name!r} is no service that is listed; name one of {', '.join(names)}."
            )
    cli = cli_context(context)
    session = cli.session(region=region, profile=profile)
    region_name = str(session.region_name)
    partition = partition_of(region_name, partitions(session._session))  # noqa: SLF001 - boto3 names it no other way
    chosen = []
    for found in list_vpc_endpoints(session, vpc_id=vpc_id):
        known = _service_of(found.endpoint_service, region=region_name, partition=partition)
        if known is not None and (not service or known[0] in service):
            chosen.append((found, known[1]))
    zones = _zones(cli, session, [found for found, _ in chosen])
    rows = [
        _Row(
            found=found,
            service=title,
            zones=None
            if zones is None
            else tuple(sorted({zones[s] for s in found.subnet_ids if s in zones})),
        )
        for found, title in chosen
    ]
    if as_json:
        print_json([row.as_dict() for row in rows])
    elif rows:
        for line in _table(rows):
            typer.echo(line)
    else:
        where = f"{vpc_id} in {region_name}" if vpc_id else region_name
        typer.echo(f"EC2 shows no such VPC endpoint in {where}.", err=True)


def _service_names() -> tuple[str, ...]:
    """Return the names that ``--service`` takes: boto3's, and those of browsers' services."""
    family = (row.service_name or row.name_suffix for row in CATALOGUE)
    return tuple(dict.fromkeys((*family, *(row.service_name for row in OTHER_SERVICES))))


def _service_of(
    endpoint_service: str, *, region: str, partition: Partition
) -> tuple[str, str] | None:
    """Return the name and the title of a service, or ``None`` if it is not listed.

    They are such as ``sagemaker-runtime`` and ``sagemaker-runtime (FIPS)``.
    """
    row = by_endpoint_service_name(endpoint_service)
    if row is not None:
        return row.service_name or row.name_suffix, row.title
    for other_service in OTHER_SERVICES:
        names = endpoint_service_names(other_service, region=region, partition=partition)
        if endpoint_service in names:
            return other_service.service_name, other_service.service_name
    return None


def _zones(cli: CliContext, session: Session, found: list[VpcEndpoint]) -> dict[str, str] | None:
    """Return the zone of each subnet, or ``None``: the list is useful without."""
    account = Account(ec2_of(session))
    vpc_ids = dict.fromkeys(one.vpc_id for one in found if one.subnet_ids)
    try:
        return {
            subnet.subnet_id: subnet.availability_zone
            for vpc_id in vpc_ids
            for subnet in account.subnets(vpc_id)
        }
    except DiscoveryError as error:
        cli.report(error)
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """One VPC endpoint.

    Attributes:
        found: As EC2 describes it.
        service: The title of its service: ``sagemaker-runtime (FIPS)``, ``notebook (browser)``.
        zones: The zones of its network interfaces; ``None`` if EC2 did not show them.
    """

    found: VpcEndpoint
    service: str
    zones: tuple[str, ...] | None

    @property
    def has_default_policy(self) -> bool:
        """True if it has AWS's own policy, which allows everything."""
        if not self.found.policy:
            return True
        try:
            document = parse(self.found.policy)
        except PolicyError:
            return False
        return document.statements == DEFAULT_ENDPOINT_POLICY.statements

    def cells(self) -> tuple[str, ...]:
        found = self.found
        is_gateway = found.kind == "Gateway"
        zones = "unknown" if self.zones is None else ",".join(self.zones) or "-"
        return (
            found.vpc_endpoint_id,
            f"{self.service} (gateway)" if is_gateway else self.service,
            found.state,
            found.vpc_id,
            "-" if is_gateway else zones,
            "-" if is_gateway else "on" if found.private_dns_enabled else "off",
            "default" if self.has_default_policy else "own",
            found.plan_id or "-",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; the policy as a document if it is one."""
        record = asdict(self.found)
        record["service"] = self.service
        record["availability_zones"] = None if self.zones is None else list(self.zones)
        record["default_policy"] = self.has_default_policy
        try:
            record["policy"] = json.loads(self.found.policy) if self.found.policy else None
        except ValueError:
            record["policy"] = self.found.policy
        return record


def _table(rows: Sequence[_Row]) -> Iterator[str]:
    table = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()
