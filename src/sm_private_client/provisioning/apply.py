"""Applying a plan: make what is missing, wait, connect to it; undo all of it if a step fails."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import DiscoveryError, PrivateClientError, ProvisioningError
from sm_private_client.privatelink.ec2 import error_code
from sm_private_client.provisioning.account import GONE, Account, ec2_of, explain_error
from sm_private_client.provisioning.checks import match_existing, refuse_problems
from sm_private_client.provisioning.destroy import REMOVE_TIMEOUT, Remover, left_behind
from sm_private_client.provisioning.ec2_requests import (
    group_request,
    ingress_request,
    vpc_endpoint_request,
)
from sm_private_client.provisioning.progress import Progress, ProgressState, Run
from sm_private_client.provisioning.verify import verify_vpc_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.provisioning.records import PlannedSecurityGroup, PlannedVpcEndpoint

__all__ = ["APPLY_TIMEOUT", "Applied", "apply_plan"]

APPLY_TIMEOUT: Final = 600.0
"""Seconds until every VPC endpoint is available; AWS takes one to a few minutes."""

SETTLING_TIME: Final = 60.0
"""Seconds for which connections are tried again: DNS learns a new name late."""

_FAILED: Final = frozenset({"failed", "rejected", "expired", *GONE})
_GENERATIONS: Final = 10
"""How often a client token may turn out to be that of a VPC endpoint that is gone or failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What exists after a plan was applied.

    Attributes:
        plan_id: The plan.
        made: The ids of what was made now, in order.
        vpc_endpoint_ids: The VPC endpoint of each requested service.
        security_group_id: The group that the plan made, now or before; empty if it has none.
    """

    plan_id: str
    made: tuple[str, ...]
    vpc_endpoint_ids: dict[str, str]
    security_group_id: str = ""


def apply_plan(
    plan: Plan,
    *,
    progress: Callable[[Progress], None] | None,
    timeout: float,
    verify: bool,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Applied:
    """Apply a plan; see ``Plan.apply``."""
    refuse_problems(plan)
    applier = _Applier(plan, Run(timeout, progress=progress, clock=clock, sleep=sleep))
    applier.look()
    try:
        applier.make()
        applier.wait()
        if verify:
            applier.verify()
    except BaseException as error:
        # Undoing has its own time, however little the caller had for making.
        undo = Run(REMOVE_TIMEOUT, progress=_quiet(progress), clock=clock, sleep=sleep)
        left = applier.undo(undo)
        plan.session.forget_routes()
        if isinstance(error, Exception):
            raise applier.failure(error, left) from error
        if left:  # an interrupt stays one, and its cause says what is left
            raise error from applier.failure(error, left)
        raise
    plan.session.forget_routes()  # they were decided before what exists now
    return Applied(
        plan_id=plan.plan_id,
        made=tuple(applier.made),
        vpc_endpoint_ids=applier.vpc_endpoint_ids,
        security_group_id=applier.group_id,
    )


def _quiet(progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    """Return a progress whose errors do not stop the undoing."""

    def report(progressed: Progress) -> None:
        with contextlib.suppress(Exception):
            if progress is not None:
                progress(progressed)

    return report


class _Applier:
    def __init__(self, plan: Plan, run: Run) -> None:
        self._plan = plan
        self._run = run
        self._ec2 = ec2_of(plan.session)
        self._account = Account(self._ec2)
        self._before: dict[str, VpcEndpoint] = {}
        self._groups_before: tuple[str, ...] = ()
        self._step = ""
        self._permission = ""
        self.made: list[str] = []
        self.group_id = ""
        self.vpc_endpoint_ids: dict[str, str] = {}

    def look(self) -> None:
        """Note what exists: the account may have changed since the plan."""
        existing = self._account.vpc_endpoints(vpc_id=self._plan.vpc_id)
        self._before = {one.vpc_endpoint_id: one for one in existing}
        self._groups_before = self._tagged_groups()

    def make(self) -> None:
        missing = []
        for planned in self._plan.vpc_endpoints:
            found = match_existing(planned, self._before.values())
            if found is None:
                missing.append(planned)
                continue
            self.vpc_endpoint_ids[planned.service] = found.vpc_endpoint_id
            self._run.report("found", planned.title, found.vpc_endpoint_id)
        group = self._plan.security_group
        if group is not None and any(planned.kind == "Interface" for planned in missing):
            self._make_group(group)
        for planned in missing:
            self._make_vpc_endpoint(planned)

    def _make_group(self, group: PlannedSecurityGroup) -> None:
        self._begin("ec2:CreateSecurityGroup, ec2:CreateTags", group.title)
        self.group_id = self._group_named(group.name)
        if self.group_id:
            self._run.report("found", group.title, self.group_id)
        else:
            self.group_id = self._create_group(group)
            self.made.append(self.group_id)
            self._run.report("made", group.title, self.group_id)
        self._begin("ec2:AuthorizeSecurityGroupIngress", f"TCP port 443 into {self.group_id}")
        self._run.report(self._allow_https(group), self._step)

    def _group_named(self, name: str) -> str:
        found = self._account.security_groups(vpc_id=[self._plan.vpc_id], group_name=[name])
        return str(found[0]["GroupId"]) if found else ""

    def _create_group(self, group: PlannedSecurityGroup) -> str:
        try:
            response = self._ec2.create_security_group(**group_request(self._plan, group))
        except ClientError as error:
            # The response to a first attempt was lost: groups have no client token.
            exists = error_code(error) == "InvalidGroup.Duplicate"
            if exists and (group_id := self._group_named(group.name)):
                return group_id
            raise
        return str(response["GroupId"])

    def _allow_https(self, group: PlannedSecurityGroup) -> ProgressState:
        while True:
            try:
                self._ec2.authorize_security_group_ingress(
                    GroupId=self.group_id, **ingress_request(group)
                )
            except ClientError as error:
                code = error_code(error)
                if code == "InvalidPermission.Duplicate":
                    return "found"
                # A group that was just made is not known everywhere at once.
                if not (code == "InvalidGroup.NotFound" and self._run.wait()):
                    raise
            else:
                return "made"

    def _make_vpc_endpoint(self, planned: PlannedVpcEndpoint) -> None:
        permissions = "ec2:CreateVpcEndpoint, ec2:CreateTags"
        if planned.private_dns:
            permissions += ", route53:AssociateVPCWithHostedZone"
        self._begin(permissions, planned.title)
        groups = self._plan.security_group_ids or tuple(filter(None, [self.group_id]))
        vpc_endpoint_id = ""
        for _ in range(_GENERATIONS):
            request = vpc_endpoint_request(self._plan, planned, groups, after=vpc_endpoint_id)
            created = self._ec2.create_vpc_endpoint(**request)["VpcEndpoint"]
            vpc_endpoint_id = str(created["VpcEndpointId"])
            state = str(created.get("State", "")).lower()
            # EC2 remembers a token longer than what was made with it.
            if state not in (_FAILED if vpc_endpoint_id in self._before else GONE):
                break
        if vpc_endpoint_id not in self._before:
            self.made.append(vpc_endpoint_id)
        self.vpc_endpoint_ids[planned.service] = vpc_endpoint_id
        self._run.report("made", planned.title, vpc_endpoint_id)

    def wait(self) -> None:
        """Wait until every VPC endpoint is available."""
        self._begin("ec2:DescribeVpcEndpoints", "waiting until all are available", "waiting")
        pending = dict(self.vpc_endpoint_ids)
        while True:
            existing = self._existing()
            for service, vpc_endpoint_id in tuple(pending.items()):
                state = existing[vpc_endpoint_id].state if vpc_endpoint_id in existing else ""
                if state == "available":
                    del pending[service]
                    self._run.report("available", service, vpc_endpoint_id)
                elif state in _FAILED:
                    raise ProvisioningError(
                        f"{vpc_endpoint_id} for {service} is {state}.",
                        remedy="see why: aws ec2 describe-vpc-endpoints --vpc-endpoint-ids "
                        f"{vpc_endpoint_id}.",
                    )
                else:
                    what = f"{service} is {state or 'not shown yet'}"
                    self._run.report("waiting", what, vpc_endpoint_id)
            if not pending:
                return
            if not self._run.wait():
                listed = ", ".join(f"{one} for {service}" for service, one in pending.items())
                raise ProvisioningError(
                    f"Not available after {self._run.timeout:g} s: {listed}.",
                    remedy="apply again with a longer timeout=.",
                )

    def verify(self) -> None:
        """Connect to every interface VPC endpoint of the plan, as clients would."""
        existing = self._existing()
        until = self._run.seconds + SETTLING_TIME
        for planned in self._plan.vpc_endpoints:
            if planned.kind == "Interface":
                found = existing[self.vpc_endpoint_ids[planned.service]]
                what = f"connecting to {planned.title}"
                self._begin("ec2:DescribeNetworkInterfaces", what, "waiting")
                address = self._connect(planned, found, until)
                what = f"{planned.title} at {address}"
                self._run.report("verified", what, found.vpc_endpoint_id)

    def _connect(self, planned: PlannedVpcEndpoint, found: VpcEndpoint, until: float) -> str:
        while True:
            try:
                return verify_vpc_endpoint(planned, found, self._plan.session, self._account)
            except ProvisioningError:
                if self._run.seconds >= until or not self._run.wait():
                    raise

    def undo(self, run: Run) -> dict[str, str]:
        """Remove what was made, the last first; return what is left, with the reason."""
        if not self._step:
            return {}
        groups = [one for one in self.made if one.startswith("sg-")]
        vpc_endpoint_ids = [one for one in self.made if one not in groups]
        with contextlib.suppress(DiscoveryError):  # then only what is noted is removed
            # A lost response leaves resources that are not noted as made.
            plan_id, vpc_id = self._plan.plan_id, self._plan.vpc_id
            tagged = run.retry_throttled(lambda: self._account.made_by(plan_id, vpc_id))
            known = {*self._before, *vpc_endpoint_ids}
            vpc_endpoint_ids += [
                one.vpc_endpoint_id
                for one in tagged
                if one.vpc_endpoint_id not in known and one.state not in GONE
            ]
            known = {*self._groups_before, *groups}
            tagged_groups = run.retry_throttled(self._tagged_groups)
            groups += [one for one in tagged_groups if one not in known]
        remover = Remover(self._ec2, self._account, self._plan.vpc_id, run)
        return remover.remove(vpc_endpoint_ids[::-1], groups[::-1])

    def failure(self, error: BaseException, left: dict[str, str]) -> ProvisioningError:
        """Return the error that says which step failed, why, and what is left."""
        if isinstance(error, PrivateClientError):
            cause, remedies = f"{error.what} {error.cause}".strip(), error.remedies
        elif isinstance(error, (BotoCoreError, ClientError)):
            cause, remedies = explain_error(error, self._permission)
        else:  # a bug, the caller's own progress, or an interrupt
            cause, remedies = f"{type(error).__name__}: {error}", ()
        outcome, by_hand = left_behind(self.made, left)
        return ProvisioningError(
            f"The plan for {self._plan.vpc_id} failed at: {self._step}. {outcome}",
            made=self.made,
            left=left,
            cause=cause,
            remedy=(*by_hand, *remedies),
        )

    def _tagged_groups(self) -> tuple[str, ...]:
        if self._plan.security_group is None:
            return ()
        return self._account.groups_made_by(self._plan.plan_id, self._plan.vpc_id)

    def _existing(self) -> dict[str, VpcEndpoint]:
        vpc_id = self._plan.vpc_id
        found = self._run.retry_throttled(lambda: self._account.vpc_endpoints(vpc_id=vpc_id))
        return {one.vpc_endpoint_id: one for one in found}

    def _begin(self, permission: str, step: str, state: ProgressState = "making") -> None:
        self._permission, self._step = permission, step
        self._run.report(state, step)
