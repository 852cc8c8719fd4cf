"""VPC endpoints as EC2 shows them, as rows and as JSON; and progress as lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from sm_private_client.errors import PolicyError
from sm_private_client.policy import DEFAULT_ENDPOINT_POLICY, parse
from sm_private_client.privatelink.other_services import OTHER_SERVICES, endpoint_service_names
from sm_private_client.privatelink.services import CATALOGUE, by_endpoint_service_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.provisioning.progress import Progress

__all__ = ["ProgressLines", "Row", "lines", "service_of", "service_words"]

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
_SAID_AGAIN: Final = 30.0
"""Seconds after which a wait is told of once more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One VPC endpoint.

    Attributes:
        found: As EC2 describes it.
        service: boto3's name of its service, ``sagemaker-runtime (FIPS)``, ``notebook (browser)``.
        zones: Where it has network interfaces; ``None`` where EC2 did not tell.
    """

    found: VpcEndpoint
    service: str
    zones: tuple[str, ...] | None

    @property
    def has_default_policy(self) -> bool:
        """Whether it has the policy that AWS gives, which allows everything."""
        if not self.found.policy:
            return True
        try:
            document = parse(self.found.policy)
        except PolicyError:
            return False
        return document.statements == DEFAULT_ENDPOINT_POLICY.statements

    def cells(self) -> tuple[str, ...]:
        """Gives what a row of the table shows."""
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

    def as_record(self) -> dict[str, Any]:
        """Gives it as JSON can hold it; the policy as a document where it is one."""
        record = asdict(self.found)
        record["service"] = self.service
        record["availability_zones"] = None if self.zones is None else list(self.zones)
        record["default_policy"] = self.has_default_policy
        try:
            record["policy"] = json.loads(self.found.policy) if self.found.policy else None
        except ValueError:
            record["policy"] = self.found.policy
        return record


def service_words() -> tuple[str, ...]:
    """Gives the words that services are asked for with: boto3's names, and browsers' services."""
    family = (row.service_name or row.name_suffix for row in CATALOGUE)
    return tuple(dict.fromkeys((*family, *(row.service_name for row in OTHER_SERVICES))))


def service_of(
    endpoint_service: str, *, region: str, partition: Partition
) -> tuple[str, str] | None:
    """Names the service of the family or the other service: its word, and its name for people.

    Returns:
        Such as ``sagemaker-runtime`` and ``sagemaker-runtime (FIPS)``; ``None`` for any other.
    """
    row = by_endpoint_service_name(endpoint_service)
    if row is not None:
        return row.service_name or row.name_suffix, row.title
    for other_service in OTHER_SERVICES:
        names = endpoint_service_names(other_service, region=region, partition=partition)
        if endpoint_service in names:
            return other_service.service_name, other_service.service_name
    return None


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Draws a table with a head."""
    drawn = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*drawn, strict=True)]
    for cells in drawn:
        padded = (f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()


class ProgressLines:
    """Tells what happens, a line each on stderr; a wait again after 30 s."""

    def __init__(self) -> None:
        self._waits: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        """Tells of one thing."""
        text = str(progress)
        if progress.state == "waiting":
            before = self._waits.get(text)
            if before is not None and progress.seconds - before < _SAID_AGAIN:
                return
            self._waits[text] = progress.seconds
        typer.echo(f"{progress.seconds:5.1f} s  {text}", err=True)
