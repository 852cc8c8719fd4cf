"""Plan: what is to be made, shown, exported, applied and taken away again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, overload

from sm_private_client.provisioning.applying import APPLY_TIMEOUT, apply_blueprint
from sm_private_client.provisioning.cloudformation import cloudformation_template
from sm_private_client.provisioning.commands import cli_script
from sm_private_client.provisioning.records import Blueprint
from sm_private_client.provisioning.rehearsal import Rehearsal, rehearse
from sm_private_client.provisioning.removing import REMOVE_TIMEOUT, destroy_plan
from sm_private_client.provisioning.terraform import terraform_configuration
from sm_private_client.provisioning.views import as_html, as_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.provisioning.applying import Applied
    from sm_private_client.provisioning.progress import Progress
    from sm_private_client.session import Session

__all__ = ["Plan"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan(Blueprint):
    """What ``plan_vpc_endpoints`` found out; nothing was changed.

    ``print(plan)`` shows it as a table, a notebook as HTML.

    Attributes:
        session: What it is applied with.
    """

    session: Session = field(repr=False, compare=False)

    def __str__(self) -> str:
        """Draws the plan as a table of plain text."""
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    @overload
    def apply(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        timeout: float = APPLY_TIMEOUT,
        verify: bool = True,
        dry_run: Literal[False] = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Applied: ...
    @overload
    def apply(self, *, dry_run: Literal[True]) -> Rehearsal: ...
    def apply(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        timeout: float = APPLY_TIMEOUT,
        verify: bool = True,
        dry_run: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Applied | Rehearsal:
        """Makes what is not there yet, waits until it is available, and connects to it.

        What an earlier step made is removed again where a step fails. Applying twice makes
        nothing twice.

        Args:
            progress: Called before and after each step, and while it waits.
            timeout: Seconds to wait until every VPC endpoint is available; undoing has as long.
            verify: Whether to connect to every interface VPC endpoint, which only works from
                a network that reaches the VPC.
            dry_run: Ask EC2 with DryRun about each call instead, and make nothing; the answer
                says which permissions are missing.
            clock: Monotonic seconds.
            sleep: Waits seconds.

        Raises:
            ProvisioningError: The plan has problems, or a step failed; ``left`` has what could
                not be removed again.
            DiscoveryError: EC2 could not be asked what there is; nothing was made.
        """
        if dry_run:
            return rehearse(self, self.session)
        return apply_blueprint(
            self,
            self.session,
            progress=progress,
            timeout=timeout,
            verify=verify,
            clock=clock,
            sleep=sleep,
        )

    def destroy(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        timeout: float = REMOVE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> tuple[str, ...]:
        """Removes what this plan made, and nothing else; waits until it is gone.

        What a plan made has a tag with its id; the same question gives a plan of the same id.

        Args:
            progress: As for ``apply``.
            timeout: Seconds to wait until everything is gone.
            clock: Monotonic seconds.
            sleep: Waits seconds.

        Returns:
            The ids of what was removed.

        Raises:
            ProvisioningError: Something could not be removed; ``left`` has it.
            DiscoveryError: EC2 could not be asked what there is.
        """
        return destroy_plan(
            self.session,
            plan_id=self.plan_id,
            vpc_id=self.vpc_id,
            progress=progress,
            timeout=timeout,
            clock=clock,
            sleep=sleep,
        )

    def to_cloudformation(self) -> str:
        """Writes what is to be made as a CloudFormation template (JSON).

        Raises:
            ProvisioningError: The plan has problems, or there is nothing to make.
        """
        return cloudformation_template(self)

    def to_terraform(self) -> str:
        """Writes what is to be made as a Terraform configuration (a ``.tf.json`` file).

        Raises:
            ProvisioningError: As ``to_cloudformation``.
        """
        return terraform_configuration(self)

    def to_cli(self) -> str:
        """Writes what is to be made as a shell script of AWS CLI commands.

        Raises:
            ProvisioningError: As ``to_cloudformation``.
        """
        return cli_script(self)
