"""Plan: the VPC endpoints that a VPC needs, to be shown, exported, applied and removed again."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal, overload

from sm_private_client.provisioning.apply import APPLY_TIMEOUT, apply_plan
from sm_private_client.provisioning.destroy import REMOVE_TIMEOUT, destroy_plan
from sm_private_client.provisioning.dry_run import DryRun, dry_run_plan
from sm_private_client.provisioning.exports import (
    cli_script,
    cloudformation_template,
    terraform_configuration,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.provisioning.apply import Applied
    from sm_private_client.provisioning.progress import Progress
    from sm_private_client.provisioning.records import (
        PlannedSecurityGroup,
        PlannedVpcEndpoint,
        Problem,
        Step,
    )
    from sm_private_client.session import Session

__all__ = ["Plan"]

_HEAD = ("", "Step", "Where and how")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What ``plan_vpc_endpoints`` found out; nothing was changed.

    ``print(plan)`` shows it as a table, a notebook as HTML.

    Attributes:
        plan_id: Follows from the arguments: equal arguments give equal ids.
        vpc_endpoints: In the order they were requested.
        session: What it is applied with.
        security_group: The group to make; ``None`` if groups were named, or none is needed.
        security_group_ids: The groups that were named.
        tags: Of everything that is made, besides ``PLAN_TAG``.
        problems: Why it cannot be applied; empty if it can.
        notes: What is worth knowing before.
    """

    plan_id: str
    region: str
    vpc_id: str
    vpc_endpoints: tuple[PlannedVpcEndpoint, ...]
    session: Session = field(repr=False, compare=False)
    security_group: PlannedSecurityGroup | None = None
    security_group_ids: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def to_make(self) -> tuple[PlannedVpcEndpoint, ...]:
        """The VPC endpoints that do not exist yet."""
        return tuple(planned for planned in self.vpc_endpoints if not planned.found_id)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Everything in the order it is done."""
        group_steps = self.security_group.steps(self.vpc_id) if self.security_group else ()
        return (*group_steps, *(planned.step() for planned in self.vpc_endpoints))

    @property
    def hourly_units(self) -> int:
        """How many zones times services are paid by the hour, for what the plan makes."""
        return sum(len(planned.subnets) for planned in self.to_make)

    @property
    def cost(self) -> str:
        """The cost per hour as a formula, to be completed with your price list."""
        sizes = Counter(len(one.subnets) for one in self.to_make if one.kind == "Interface")
        if not sizes:
            return "no interface VPC endpoint is made, so none is paid by the hour"
        products = (
            f"{_counted(zones, 'zone')} x {_counted(sizes[zones], 'service')}"
            for zones in sorted(sizes, reverse=True)
        )
        return (
            f"({' + '.join(products)} = {self.hourly_units}) x your price per VPC endpoint, zone "
            "and hour, + GB processed x your price per GB"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return {
            "plan_id": self.plan_id,
            "region": self.region,
            "vpc_id": self.vpc_id,
            "tags": dict(self.tags),
            "security_group": asdict(self.security_group) if self.security_group else None,
            "security_group_ids": list(self.security_group_ids),
            "vpc_endpoints": [asdict(planned) for planned in self.vpc_endpoints],
            "steps": [asdict(step) for step in self.steps],
            "problems": [asdict(problem) for problem in self.problems],
            "notes": list(self.notes),
            "cost": {"hourly_units": self.hourly_units, "formula": self.cost},
        }

    def __str__(self) -> str:
        """Return the plan as a table of plain text."""
        rows = [_HEAD, *map(_row, self.steps)]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines = [self._title(), ""]
        lines += [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip() for row in rows]
        return "\n".join([*lines, "", *self._remarks()])

    def _repr_html_(self) -> str:
        title, *remarks = map(escape, (self._title(), *self._remarks()))
        body = "".join(_html_row("td", _row(step)) for step in self.steps)
        return (
            f"<p><b>{title}</b></p><table><thead>{_html_row('th', _HEAD)}</thead>"
            f"<tbody>{body}</tbody></table>{''.join(f'<p>{line}</p>' for line in remarks)}"
        )

    def _title(self) -> str:
        return f"Plan {self.plan_id}: VPC endpoints in {self.vpc_id}, {self.region}"

    def _remarks(self) -> list[str]:
        problems = [f"Problem: {one.what} Remedy: {one.remedy}" for one in self.problems]
        return [f"Cost an hour: {self.cost}.", *problems, *(f"Note: {n}" for n in self.notes)]

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
        """Make what does not exist yet, wait until it is available, and connect to it.

        If a step fails, what earlier steps made is removed again. Applying twice makes nothing
        twice.

        Args:
            progress: Called before and after each step, and while it waits.
            timeout: Seconds to wait until every VPC endpoint is available; undoing has ten minutes
                of its own.
            verify: Whether to connect to every interface VPC endpoint. That needs a network that
                reaches the VPC.
            dry_run: Ask EC2 with DryRun about each call instead, and make nothing. The result
                names the permissions that are missing.
            clock: Monotonic seconds.
            sleep: Waits seconds.

        Raises:
            ProvisioningError: The plan has problems, or a step failed; ``left`` has what could
                not be removed again.
            DiscoveryError: EC2 could not be asked what exists; nothing was made.
        """
        if dry_run:
            return dry_run_plan(self)
        return apply_plan(
            self, progress=progress, timeout=timeout, verify=verify, clock=clock, sleep=sleep
        )

    def destroy(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        timeout: float = REMOVE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> tuple[str, ...]:
        """Remove what this plan made, and nothing else; wait until it is gone.

        What a plan makes has a tag with its id. A plan from equal arguments has the same id.

        Args:
            progress: As for ``apply``.
            timeout: Seconds to wait until everything is gone.
            clock: Monotonic seconds.
            sleep: Waits seconds.

        Returns:
            The ids of what was removed.

        Raises:
            ProvisioningError: Something could not be removed; ``left`` has it.
            DiscoveryError: EC2 could not be asked what exists.
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
        """Return what is to be made as a CloudFormation template (JSON).

        CloudFormation owns what it makes: it has no plan tag, so ``destroy`` leaves it alone.

        Raises:
            ProvisioningError: The plan has problems, or there is nothing to make.
        """
        return cloudformation_template(self)

    def to_terraform(self) -> str:
        """Return what is to be made as a Terraform configuration (a ``.tf.json`` file).

        Terraform owns what it makes: it has no plan tag, so ``destroy`` leaves it alone.

        Raises:
            ProvisioningError: As ``to_cloudformation``.
        """
        return terraform_configuration(self)

    def to_cli(self) -> str:
        """Return what is to be made as a shell script of AWS CLI commands.

        The commands are the calls of ``apply``, tags and client tokens included, so ``destroy``
        removes what they made.

        Raises:
            ProvisioningError: As ``to_cloudformation``.
        """
        return cli_script(self)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _row(step: Step) -> tuple[str, str, str]:
    if step.found_id:
        return "found", step.what, f"{step.found_id}: {step.detail}"
    return "make", step.what, step.detail


def _html_row(tag: str, cells: Sequence[str]) -> str:
    inner = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"
