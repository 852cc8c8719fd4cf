"""What every export of a plan has in common: what it refuses, and how things are named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sm_private_client.errors import ProvisioningError
from sm_private_client.provisioning.checks import refuse_problems

if TYPE_CHECKING:
    from sm_private_client.provisioning.records import Blueprint, PlannedVpcEndpoint

__all__ = ["exported", "words_of"]


def exported(plan: Blueprint) -> tuple[PlannedVpcEndpoint, ...]:
    """Gives what an export makes.

    Raises:
        ProvisioningError: The plan has problems, or there is nothing to make.
    """
    refuse_problems(plan)
    if not plan.to_make:
        there = ", ".join(f"{one.found_id} for {one.service}" for one in plan.vpc_endpoints)
        raise ProvisioningError(
            f"The plan for {plan.vpc_id} has nothing to export: there is {there}.",
            remedy="export a plan with something to make.",
        )
    return plan.to_make


def words_of(planned: PlannedVpcEndpoint) -> list[str]:
    """Splits the word of a service, such as ``sagemaker-runtime``, into letters and digits."""
    return re.findall(r"[A-Za-z0-9]+", planned.service)
