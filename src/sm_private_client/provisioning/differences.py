"""Find again what a VPC has already, and say what it has otherwise than it is planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sm_private_client.provisioning.attached_policies import same_rights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_private_client.provisioning.records import FoundVpcEndpoint, PlannedVpcEndpoint

__all__ = ["found_again", "standing_for"]

_USABLE: Final = frozenset({"available", "pending", "pendingacceptance", "partial"})


def standing_for(
    planned: PlannedVpcEndpoint, standing: Iterable[FoundVpcEndpoint]
) -> FoundVpcEndpoint | None:
    """Gives the VPC endpoint that there is for a service: with private DNS first, then the oldest.

    Args:
        planned: What is planned.
        standing: Those of the VPC, the oldest first.
    """
    same = [
        one
        for one in standing
        if (one.endpoint_service, one.kind) == (planned.endpoint_service, planned.kind)
        and one.state in _USABLE
    ]
    return next((one for one in same if one.private_dns), next(iter(same), None))


def found_again(
    planned: PlannedVpcEndpoint,
    standing: Iterable[FoundVpcEndpoint],
    security_group_ids: tuple[str, ...],
) -> PlannedVpcEndpoint:
    """Notes in what is planned that it is there already, and how it differs."""
    found = standing_for(planned, standing)
    if found is None:
        return planned
    differences = tuple(_differences(planned, found, security_group_ids))
    return replace(planned, found_id=found.vpc_endpoint_id, differences=differences)


def _differences(
    planned: PlannedVpcEndpoint, found: FoundVpcEndpoint, security_group_ids: tuple[str, ...]
) -> Iterator[str]:
    if found.state != "available":
        yield f"it is {found.state}"
    if planned.kind == "Interface":
        if planned.private_dns != found.private_dns:
            yield f"its private DNS is {'on' if found.private_dns else 'off'}"
        missing = [s for s in planned.subnets if s.subnet_id not in found.subnet_ids]
        if missing:
            yield "it is not in " + ", ".join(s.subnet_id for s in missing)
        if security_group_ids and set(security_group_ids) != set(found.security_group_ids):
            yield f"its security groups are {', '.join(found.security_group_ids)}"
    elif missing_tables := set(planned.route_table_ids) - set(found.route_table_ids):
        yield "it is not in " + ", ".join(sorted(missing_tables))
    if planned.policy and not same_rights(planned.policy, found.policy):
        yield "its policy is another one"
