"""Remove VPC endpoints and security groups, wait until they are gone, say what is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import DiscoveryError, ProvisioningError
from sm_private_client.provisioning.account import GONE, Account, ec2_of, why
from sm_private_client.provisioning.progress import POLL_INTERVAL, Progress, ProgressState, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sm_private_client.session import Session

__all__ = ["REMOVE_TIMEOUT", "Remover", "destroy_plan", "left_behind", "made_by_plan"]

REMOVE_TIMEOUT: Final = 600.0
"""Seconds until everything is gone; AWS takes a few minutes for a VPC endpoint."""


class Remover:
    """Removes what is named, and keeps on where a part cannot be removed.

    Args:
        ec2: A boto3 client.
        account: Asks it.
        vpc_id: The VPC.
        tell: Called with what happens.
        waiting: The time limit.
    """

    def __init__(
        self,
        ec2: Any,  # noqa: ANN401 - boto3's
        account: Account,
        *,
        vpc_id: str,
        tell: Callable[[Progress], None],
        waiting: Waiting,
    ) -> None:
        self._ec2 = ec2
        self._account = account
        self._vpc_id = vpc_id
        self._tell_progress = tell
        self._waiting = waiting

    def remove(
        self, vpc_endpoint_ids: Sequence[str], security_group_ids: Iterable[str]
    ) -> dict[str, str]:
        """Removes VPC endpoints, then the security groups that they used.

        Returns:
            What is left, each id with the reason.
        """
        left = self._remove_vpc_endpoints(vpc_endpoint_ids)
        for group_id in security_group_ids:
            reason = self._remove_group(group_id, is_in_use=bool(left))
            if reason:
                left[group_id] = reason
        for resource_id, reason in left.items():
            self._tell("left", reason, resource_id)
        return left

    def _remove_vpc_endpoints(self, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        for vpc_endpoint_id in ids:
            self._tell("removing", "VPC endpoint", vpc_endpoint_id)
        try:
            answer = self._waiting.patiently(
                lambda: self._ec2.delete_vpc_endpoints(VpcEndpointIds=list(ids))
            )
        except (BotoCoreError, ClientError) as error:
            return dict.fromkeys(ids, _reason(error, "ec2:DeleteVpcEndpoints"))
        left = {
            str(item["ResourceId"]): str(item["Error"]["Message"])
            for item in answer.get("Unsuccessful", ())
            if not str(item["Error"]["Code"]).endswith("NotFound")
        }
        return left | self._wait_until_gone([one for one in ids if one not in left])

    def _wait_until_gone(self, ids: Sequence[str]) -> dict[str, str]:
        gone: set[str] = set()
        while True:
            try:
                found = self._waiting.patiently(
                    lambda: self._account.vpc_endpoints(vpc_id=self._vpc_id)
                )
            except DiscoveryError as error:
                reason = f"it is being deleted; {error.what}"
                return {one: reason for one in ids if one not in gone}
            standing = {one.vpc_endpoint_id: one.state for one in found}
            waiting = [one for one in ids if standing.get(one, "deleted") != "deleted"]
            for one in ids:
                if one not in waiting and one not in gone:
                    gone.add(one)
                    self._tell("removed", "VPC endpoint", one)
            if not waiting:
                return {}
            if not self._waiting.again(POLL_INTERVAL):
                limit = f"after {self._waiting.timeout:g} s"
                return {one: f"it is still {standing[one]} {limit}." for one in waiting}

    def _remove_group(self, group_id: str, *, is_in_use: bool) -> str:
        self._tell("removing", "security group", group_id)
        while True:
            try:
                self._waiting.patiently(lambda: self._ec2.delete_security_group(GroupId=group_id))
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "InvalidGroup.NotFound":
                    break
                # Network interfaces let go of their groups a while after they are gone.
                again = code == "DependencyViolation" and not is_in_use
                if again and self._waiting.again(POLL_INTERVAL):
                    continue
                return _reason(error, "ec2:DeleteSecurityGroup")
            except BotoCoreError as error:
                return _reason(error, "ec2:DeleteSecurityGroup")
            break
        self._tell("removed", "security group", group_id)
        return ""

    def _tell(self, state: ProgressState, what: str, resource_id: str) -> None:
        self._tell_progress(
            Progress(state=state, what=what, resource_id=resource_id, seconds=self._waiting.seconds)
        )


def _reason(error: Exception, permission: str) -> str:
    cause, remedies = why(error, permission)
    return f"{cause} Remedy: {' '.join(remedies)}"


def left_behind(made: Sequence[str], left: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Says what became of what was made, and how to remove what is left."""
    if not left:
        return ("What it had made was removed again." if made else "Nothing was made."), ()
    told = "".join(f"\n  {one}: {reason}" for one, reason in left.items())
    return f"Still there:{told}", tuple(_by_hand(left))


def _by_hand(left: Iterable[str]) -> list[str]:
    vpc_endpoints = [one for one in left if one.startswith("vpce-")]
    groups = [one for one in left if one not in vpc_endpoints]
    remedies = ["call plan.destroy(), or remove what is left by hand."]
    if vpc_endpoints:
        ids = " ".join(vpc_endpoints)
        remedies.append(f"aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {ids}")
    remedies += [f"aws ec2 delete-security-group --group-id {one}" for one in groups]
    return remedies


def made_by_plan(session: Session, *, plan_id: str, vpc_id: str) -> tuple[str, ...]:
    """Lists the ids of what a plan made and is still there, in the order it is removed in.

    Args:
        session: Whose account and region.
        plan_id: The plan's id.
        vpc_id: The plan's VPC.

    Raises:
        DiscoveryError: EC2 could not be asked; the permission is named.
    """
    return _made(Account(ec2_of(session)), plan_id, vpc_id)


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
    """Removes what a plan made; see ``Plan.destroy``, which this does without the plan itself.

    Args:
        session: Whose account and region.
        plan_id: The plan's id: the value of the tag ``sm-private-client:plan``.
        vpc_id: The plan's VPC.
        progress: As for ``Plan.destroy``.
        timeout: As for ``Plan.destroy``.
        clock: Monotonic seconds.
        sleep: Waits seconds.

    Raises:
        ProvisioningError, DiscoveryError: As for ``Plan.destroy``.
    """
    ec2 = ec2_of(session)
    account = Account(ec2)
    found = _made(account, plan_id, vpc_id)
    vpc_endpoints = [one for one in found if one.startswith("vpce-")]
    waiting = Waiting(timeout, clock=clock, sleep=sleep)
    tell = progress or (lambda _: None)
    remover = Remover(ec2, account, vpc_id=vpc_id, tell=tell, waiting=waiting)
    left = remover.remove(vpc_endpoints, found[len(vpc_endpoints) :])
    session.forget_routes()
    if left:
        undone, remedies = left_behind((), left)
        raise ProvisioningError(
            f"What the plan made in {vpc_id} could not all be removed. {undone}",
            made=found,
            left=left,
            remedy=remedies,
        )
    return found


def _made(account: Account, plan_id: str, vpc_id: str) -> tuple[str, ...]:
    found = account.made_by(plan_id, vpc_id)
    vpc_endpoints = [one.vpc_endpoint_id for one in found if one.state not in GONE]
    return (*vpc_endpoints[::-1], *account.groups_made_by(plan_id, vpc_id))
