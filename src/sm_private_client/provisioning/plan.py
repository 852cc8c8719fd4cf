"""Plan: what is to be made, shown, exported, applied and taken away again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Literal, overload

from sm_private_client.provisioning.apply import APPLY_TIMEOUT, apply_blueprint
from sm_private_client.provisioning.destroy import REMOVE_TIMEOUT, destroy_plan
from sm_private_client.provisioning.dry_run import DryRun, rehearse
from sm_private_client.provisioning.exports import (
    cli_script,
    cloudformation_template,
    terraform_configuration,
)
from sm_private_client.provisioning.records import Blueprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.provisioning.apply import Applied
    from sm_private_client.provisioning.progress import Progress
    from sm_private_client.provisioning.records import Step
    from sm_private_client.session import Session

__all__ = ["Plan", "as_html", "as_text"]

_HEAD = ("", "Step", "Where and how")


def as_text(plan: Blueprint) -> str:
    """Draws a plan as a table."""
    rows = [_HEAD, *map(_row, plan.steps)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [_title(plan), ""]
    lines += [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip() for row in rows]
    lines += ["", f"Cost an hour: {plan.cost}."]
    lines += [f"Problem: {problem.what} Remedy: {problem.remedy}" for problem in plan.problems]
    lines += [f"Note: {note}" for note in plan.notes]
    return "\n".join(lines)


def as_html(plan: Blueprint) -> str:
    """Draws a plan as HTML; everything that is told is escaped."""
    parts = [f"<p><b>{escape(_title(plan))}</b></p>", "<table><thead>", _html_row("th", _HEAD)]
    parts += ["</thead><tbody>", *(_html_row("td", _row(step)) for step in plan.steps)]
    parts += ["</tbody></table>", f"<p>Cost an hour: {escape(plan.cost)}.</p>"]
    told = [f"Problem: {problem.what} Remedy: {problem.remedy}" for problem in plan.problems]
    told += [f"Note: {note}" for note in plan.notes]
    parts += [f"<p>{escape(line)}</p>" for line in told]
    return "".join(parts)


def _title(plan: Blueprint) -> str:
    return f"Plan {plan.plan_id}: VPC endpoints in {plan.vpc_id}, {plan.region}"


def _row(step: Step) -> tuple[str, str, str]:
    if step.found_id:
        return "found", step.what, f"{step.found_id}: {step.detail}"
    return "make", step.what, step.detail


def _html_row(tag: str, cells: Sequence[str]) -> str:
    inner = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"


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
    def apply(self, *, dry_run: Literal[True]) -> DryRun: ...
    def apply(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        timeout: float = APPLY_TIMEOUT,
        verify: bool = True,
        dry_run: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Applied | DryRun:
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
