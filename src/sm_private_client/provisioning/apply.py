"""Apply a plan: make what is missing, wait, connect to it; undo all of it where a step fails."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import DiscoveryError, PrivateClientError, ProvisioningError
from sm_private_client.provisioning.account import GONE, Account, ec2_of, why
from sm_private_client.provisioning.checks import match_existing, refuse_problems
from sm_private_client.provisioning.destroy import REMOVE_TIMEOUT, Remover, left_behind
from sm_private_client.provisioning.ec2_requests import (
    group_request,
    ingress_request,
    vpc_endpoint_request,
)
from sm_private_client.provisioning.progress import POLL_INTERVAL, Progress, ProgressState, Waiting
from sm_private_client.provisioning.verify import verify_vpc_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.provisioning.records import (
        Blueprint,
        PlannedSecurityGroup,
        PlannedVpcEndpoint,
    )
    from sm_private_client.session import Session

__all__ = ["APPLY_TIMEOUT", "Applied", "apply_blueprint"]

APPLY_TIMEOUT: Final = 600.0
"""Seconds until every VPC endpoint is available; AWS takes one to a few minutes."""

SETTLING_TIME: Final = 60.0
"""Seconds that connections are tried again for: a new name takes a while to be known to DNS."""

_FAILED: Final = frozenset({"failed", "rejected", "expired", *GONE})
_GENERATIONS: Final = 10
"""How often a client token may turn out to be that of a VPC endpoint that is gone or failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What there is after a plan was applied.

    Attributes:
        plan_id: The plan.
        made: The ids of what was made now, in order.
        vpc_endpoint_ids: The VPC endpoint of each service that was asked for.
        security_group_id: The group that the plan made, now or before; empty where it has none.
    """

    plan_id: str
    made: tuple[str, ...]
    vpc_endpoint_ids: dict[str, str]
    security_group_id: str = ""


def apply_blueprint(
    plan: Blueprint,
    session: Session,
    *,
    progress: Callable[[Progress], None] | None,
    timeout: float,
    verify: bool,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Applied:
    """Applies a plan; see ``Plan.apply``."""
    refuse_problems(plan)
    ec2 = ec2_of(session)
    run = _Run(
        plan=plan,
        session=session,
        ec2=ec2,
        account=Account(ec2),
        tell=progress or (lambda _: None),
        waiting=Waiting(timeout, clock=clock, sleep=sleep),
    )
    run.look()
    try:
        run.make()
        run.wait()
        if verify:
            run.verify()
    except BaseException as error:
        # Undoing takes its own time, however little the caller had for making.
        left = run.undo(Waiting(REMOVE_TIMEOUT, clock=clock, sleep=sleep))
        session.forget_routes()
        if isinstance(error, Exception):
            raise run.failure(error, left) from error
        if left:  # an interrupt stays one, and its cause says what is left
            raise error from run.failure(error, left)
        raise
    session.forget_routes()  # what was looked up before knows nothing of what is there now
    return run.applied()


@dataclass(kw_only=True, slots=True)
class _Run:
    plan: Blueprint
    session: Session
    ec2: Any
    account: Account
    tell: Callable[[Progress], None]
    waiting: Waiting
    before: dict[str, VpcEndpoint] = field(default_factory=dict)
    groups_before: tuple[str, ...] = ()
    doing: str = ""
    permission: str = ""
    made: list[str] = field(default_factory=list)
    group_id: str = ""
    vpc_endpoint_ids: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """Notes what there is: the world may have changed since the plan."""
        standing = self.account.vpc_endpoints(vpc_id=self.plan.vpc_id)
        self.before = {one.vpc_endpoint_id: one for one in standing}
        self.groups_before = self._tagged_groups()

    def make(self) -> None:
        standing = tuple(self.before.values())
        missing = []
        for planned in self.plan.vpc_endpoints:
            found = match_existing(planned, standing)
            if found is None:
                missing.append(planned)
                continue
            self.vpc_endpoint_ids[planned.service] = found.vpc_endpoint_id
            self._tell("found", _title(planned), found.vpc_endpoint_id)
        group = self.plan.security_group
        if group is not None and any(planned.kind == "Interface" for planned in missing):
            self._make_group(group)
        for planned in missing:
            self._make_vpc_endpoint(planned)

    def _make_group(self, group: PlannedSecurityGroup) -> None:
        what = f"security group {group.name}"
        self._begin("ec2:CreateSecurityGroup, ec2:CreateTags", what)
        self.group_id = self._group_named(group.name)
        if self.group_id:
            self._tell("found", what, self.group_id)
        else:
            self.group_id = self._new_group(group)
            self.made.append(self.group_id)
            self._tell("made", what, self.group_id)
        self._begin("ec2:AuthorizeSecurityGroupIngress", f"TCP port 443 into {self.group_id}")
        while True:
            try:
                self.ec2.authorize_security_group_ingress(
                    GroupId=self.group_id, **ingress_request(group)
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "InvalidPermission.Duplicate":
                    self._tell("found", self.doing)
                    return
                # A group that was just made is not known everywhere at once.
                if code == "InvalidGroup.NotFound" and self.waiting.again(POLL_INTERVAL):
                    continue
                raise
            self._tell("made", self.doing)
            return

    def _group_named(self, name: str) -> str:
        found = self.account.security_groups(vpc_id=[self.plan.vpc_id], group_name=[name])
        return str(found[0]["GroupId"]) if found else ""

    def _new_group(self, group: PlannedSecurityGroup) -> str:
        try:
            return str(self.ec2.create_security_group(**group_request(self.plan, group))["GroupId"])
        except ClientError as error:
            # The answer of a first attempt was lost: groups have no client token.
            made = error.response["Error"]["Code"] == "InvalidGroup.Duplicate"
            if made and (group_id := self._group_named(group.name)):
                return group_id
            raise

    def _make_vpc_endpoint(self, planned: PlannedVpcEndpoint) -> None:
        permissions = "ec2:CreateVpcEndpoint, ec2:CreateTags"
        if planned.private_dns:
            permissions += ", route53:AssociateVPCWithHostedZone"
        self._begin(permissions, _title(planned))
        groups = self.plan.security_group_ids or tuple(filter(None, [self.group_id]))
        after, made = "", {}
        for _ in range(_GENERATIONS):
            request = vpc_endpoint_request(self.plan, planned, groups, after=after)
            made = self.ec2.create_vpc_endpoint(**request)["VpcEndpoint"]
            state = str(made.get("State", "")).lower()
            is_old = str(made["VpcEndpointId"]) in self.before
            if not (state in GONE or (is_old and state in _FAILED)):
                break
            after = str(made["VpcEndpointId"])  # EC2 remembers tokens longer than what they made
        made_id = str(made["VpcEndpointId"])
        if made_id not in self.before:
            self.made.append(made_id)
        self.vpc_endpoint_ids[planned.service] = made_id
        self._tell("made", self.doing, made_id)

    def wait(self) -> None:
        """Waits until every VPC endpoint is available."""
        self._begin("ec2:DescribeVpcEndpoints", "waiting until all are available", "waiting")
        pending = dict(self.vpc_endpoint_ids)
        while True:
            standing = self._standing()
            for service, vpc_endpoint_id in tuple(pending.items()):
                state = standing[vpc_endpoint_id].state if vpc_endpoint_id in standing else ""
                if state == "available":
                    del pending[service]
                    self._tell("available", service, vpc_endpoint_id)
                elif state in _FAILED:
                    raise ProvisioningError(
                        f"{vpc_endpoint_id} for {service} is {state}.",
                        remedy="see why: aws ec2 describe-vpc-endpoints --vpc-endpoint-ids "
                        f"{vpc_endpoint_id}.",
                    )
                else:
                    self._tell(
                        "waiting", f"{service} is {state or 'not shown yet'}", vpc_endpoint_id
                    )
            if not pending:
                return
            if not self.waiting.again(POLL_INTERVAL):
                raise ProvisioningError(
                    f"Not available after {self.waiting.timeout:g} s: "
                    + ", ".join(f"{i} for {s}" for s, i in pending.items())
                    + ".",
                    remedy="apply again with a longer timeout=.",
                )

    def verify(self) -> None:
        """Connects to every interface VPC endpoint of the plan, as clients would."""
        standing = self._standing()
        until = self.waiting.seconds + SETTLING_TIME
        for planned in self.plan.vpc_endpoints:
            if planned.kind == "Interface":
                found = standing[self.vpc_endpoint_ids[planned.service]]
                what = f"connecting to {_title(planned)}"
                self._begin("ec2:DescribeNetworkInterfaces", what, "waiting")
                address = self._connect(planned, found, until)
                self._tell("verified", f"{_title(planned)} at {address}", found.vpc_endpoint_id)

    def _connect(self, planned: PlannedVpcEndpoint, found: VpcEndpoint, until: float) -> str:
        while True:
            try:
                return verify_vpc_endpoint(planned, found, self.session, self.account)
            except ProvisioningError:
                if self.waiting.seconds >= until or not self.waiting.again(POLL_INTERVAL):
                    raise

    def undo(self, waiting: Waiting) -> dict[str, str]:
        """Removes what was made, the last first; gives what is left, with the reason."""
        if not self.doing:
            return {}
        remover = Remover(
            self.ec2, self.account, vpc_id=self.plan.vpc_id, tell=self._try_to_tell, waiting=waiting
        )
        groups = [one for one in self.made if one.startswith("sg-")]
        made = [one for one in self.made if one not in groups]
        try:  # a lost answer leaves what is not noted as made
            tagged = waiting.patiently(
                lambda: self.account.made_by(self.plan.plan_id, self.plan.vpc_id)
            )
            made += [
                one.vpc_endpoint_id
                for one in tagged
                if one.vpc_endpoint_id not in (*self.before, *made) and one.state not in GONE
            ]
            known = (*groups, *self.groups_before)
            there = waiting.patiently(self._tagged_groups)
            groups += [one for one in there if one not in known]
        except DiscoveryError:
            pass  # what is noted is removed
        return remover.remove(made[::-1], groups[::-1])

    def failure(self, error: BaseException, left: dict[str, str]) -> ProvisioningError:
        if isinstance(error, PrivateClientError):
            cause, remedies = f"{error.what} {error.cause}".strip(), error.remedies
        elif isinstance(error, (BotoCoreError, ClientError)):
            cause, remedies = why(error, self.permission)
        else:  # a bug, the caller's own progress, or an interrupt
            cause, remedies = f"{type(error).__name__}: {error}", ()
        undone, by_hand = left_behind(self.made, left)
        return ProvisioningError(
            f"The plan for {self.plan.vpc_id} failed at: {self.doing}. {undone}",
            made=self.made,
            left=left,
            cause=cause,
            remedy=(*by_hand, *remedies),
        )

    def applied(self) -> Applied:
        return Applied(
            plan_id=self.plan.plan_id,
            made=tuple(self.made),
            vpc_endpoint_ids=dict(self.vpc_endpoint_ids),
            security_group_id=self.group_id,
        )

    def _try_to_tell(self, told: Progress) -> None:
        """While undoing, what the caller's progress raises is in nobody's way."""
        with contextlib.suppress(Exception):
            self.tell(told)

    def _tagged_groups(self) -> tuple[str, ...]:
        if self.plan.security_group is None:
            return ()
        return self.account.groups_made_by(self.plan.plan_id, self.plan.vpc_id)

    def _standing(self) -> dict[str, VpcEndpoint]:
        found = self.waiting.patiently(lambda: self.account.vpc_endpoints(vpc_id=self.plan.vpc_id))
        return {one.vpc_endpoint_id: one for one in found}

    def _begin(self, permission: str, what: str, state: ProgressState = "making") -> None:
        self.permission, self.doing = permission, what
        self._tell(state, what)

    def _tell(self, state: ProgressState, what: str, resource_id: str = "") -> None:
        self.tell(
            Progress(state=state, what=what, resource_id=resource_id, seconds=self.waiting.seconds)
        )


def _title(planned: PlannedVpcEndpoint) -> str:
    return f"{planned.kind.lower()} VPC endpoint {planned.endpoint_service}"
