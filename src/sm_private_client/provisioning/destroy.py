"""Removal of VPC endpoints and security groups: wait until they are gone, and report the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import DiscoveryError, ProvisioningError
from sm_private_client.privatelink.ec2 import error_code
from sm_private_client.provisioning.account import GONE, Account, ec2_of, explain_error
from sm_private_client.provisioning.progress import Progress, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sm_private_client.session import Session
    from sm_private_client.types import BotoClient

__all__ = ["REMOVE_TIMEOUT", "Remover", "destroy_plan", "left_behind"]

REMOVE_TIMEOUT: Final = 600.0
"""Seconds until everything is gone; AWS takes a few minutes for a VPC endpoint."""


def destroy_plan(
    session: Session,
    *,
    plan_id: str,
    vpc_id: str,
    progress: Callable[[Progress], None] | None = None,
    timeout: float = REMOVE_TIMEOUT,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Remove what a plan made, as ``Plan.destroy`` does, without the plan itself.

    ``plan_id`` is the value of the tag ``sm-private-client:plan`` of what the plan made.
    """
    ec2 = ec2_of(session)
    account = Account(ec2)
    tagged = account.made_by(plan_id, vpc_id)
    vpc_endpoint_ids = [one.vpc_endpoint_id for one in tagged if one.state not in GONE][::-1]
    group_ids = account.groups_made_by(plan_id, vpc_id)
    run = Run(timeout, progress=progress, clock=clock, sleep=sleep)
    left = Remover(ec2, account, vpc_id, run).remove(vpc_endpoint_ids, group_ids)
    session.forget_routes()
    made = (*vpc_endpoint_ids, *group_ids)
    if left:
        outcome, remedies = left_behind(made, left)
        raise ProvisioningError(
            f"What the plan made in {vpc_id} could not all be removed. {outcome}",
            made=made,
            left=left,
            remedy=remedies,
        )
    return made


class Remover:
    """Removes resources, and goes on if one of them cannot be removed."""

    def __init__(self, ec2: BotoClient, account: Account, vpc_id: str, run: Run) -> None:
        self._ec2 = ec2
        self._account = account
        self._vpc_id = vpc_id
        self._run = run

    def remove(
        self, vpc_endpoint_ids: Sequence[str], security_group_ids: Iterable[str]
    ) -> dict[str, str]:
        """Remove VPC endpoints, then the security groups that they used.

        Returns:
            What is left, each id with the reason.
        """
        left = self._remove_vpc_endpoints(vpc_endpoint_ids)
        for group_id in security_group_ids:
            if reason := self._remove_group(group_id, is_in_use=bool(left)):
                left[group_id] = reason
        for resource_id, reason in left.items():
            self._run.report("left", reason, resource_id)
        return left

    def _remove_vpc_endpoints(self, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        for vpc_endpoint_id in ids:
            self._run.report("removing", "VPC endpoint", vpc_endpoint_id)
        try:
            response = self._run.retry_throttled(
                lambda: self._ec2.delete_vpc_endpoints(VpcEndpointIds=list(ids))
            )
        except (BotoCoreError, ClientError) as error:
            return dict.fromkeys(ids, _reason(error, "ec2:DeleteVpcEndpoints"))
        left = {
            str(item["ResourceId"]): str(item["Error"]["Message"])
            for item in response.get("Unsuccessful", ())
            if not str(item["Error"]["Code"]).endswith("NotFound")
        }
        return left | self._wait_until_gone([one for one in ids if one not in left])

    def _wait_until_gone(self, ids: Sequence[str]) -> dict[str, str]:
        while ids:
            try:
                existing = self._run.retry_throttled(
                    lambda: self._account.vpc_endpoints(vpc_id=self._vpc_id)
                )
            except DiscoveryError as error:
                return dict.fromkeys(ids, f"it is being deleted; {error.what}")
            states = {one.vpc_endpoint_id: one.state for one in existing}
            gone = [one for one in ids if states.get(one, "deleted") == "deleted"]
            for vpc_endpoint_id in gone:
                self._run.report("removed", "VPC endpoint", vpc_endpoint_id)
            ids = [one for one in ids if one not in gone]
            if ids and not self._run.wait():
                limit = f"after {self._run.timeout:g} s"
                return {one: f"it is still {states[one]} {limit}." for one in ids}
        return {}

    def _remove_group(self, group_id: str, *, is_in_use: bool) -> str:
        self._run.report("removing", "security group", group_id)
        while True:
            try:
                self._run.retry_throttled(lambda: self._ec2.delete_security_group(GroupId=group_id))
                break
            except (BotoCoreError, ClientError) as error:
                code = error_code(error)
                if code == "InvalidGroup.NotFound":
                    break
                # Network interfaces let go of their groups a while after they are gone.
                if code == "DependencyViolation" and not is_in_use and self._run.wait():
                    continue
                return _reason(error, "ec2:DeleteSecurityGroup")
        self._run.report("removed", "security group", group_id)
        return ""


def _reason(error: Exception, permission: str) -> str:
    cause, remedies = explain_error(error, permission)
    return f"{cause} Remedy: {' '.join(remedies)}"


def left_behind(made: Sequence[str], left: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return what became of what was made, and the remedies that remove what is left."""
    if not left:
        return ("What it had made was removed again." if made else "Nothing was made."), ()
    listed = "".join(f"\n  {one}: {reason}" for one, reason in left.items())
    vpc_endpoint_ids = " ".join(one for one in left if one.startswith("vpce-"))
    remedies = ["call plan.destroy(), or remove what is left by hand."]
    if vpc_endpoint_ids:
        remedies.append(f"aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {vpc_endpoint_ids}")
    group_ids = (one for one in left if not one.startswith("vpce-"))
    remedies += [f"aws ec2 delete-security-group --group-id {one}" for one in group_ids]
    return f"Still there:{listed}", tuple(remedies)
