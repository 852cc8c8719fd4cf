"""Dry run of a plan: EC2's DryRun tells for each call if it would be allowed, and makes nothing.

What a plan makes does not exist yet, so a call that needs an id gets a stand-in: the default
security group of the VPC, or an id that nothing has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sm_private_client.privatelink.ec2 import error_code, explain
from sm_private_client.provisioning.account import Account, ec2_of
from sm_private_client.provisioning.checks import refuse_problems
from sm_private_client.provisioning.ec2_requests import (
    group_request,
    ingress_request,
    vpc_endpoint_request,
)
from sm_private_client.routing.discovery import permission_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.types import BotoClient

__all__ = ["DryRun", "DryRunResult", "dry_run_plan"]

_WOULD_WORK: Final = "DryRunOperation"
_NO_VPC_ENDPOINT: Final = "vpce-00000000000000000"
_NO_GROUP: Final = "sg-00000000000000000"


@dataclass(frozen=True, kw_only=True, slots=True)
class DryRunResult:
    """The result of one call.

    Attributes:
        permission: The IAM action.
        what: What for.
        allowed: Whether it is allowed; ``None`` if EC2 did not tell.
        detail: What EC2 answered.
    """

    permission: str
    what: str
    allowed: bool | None
    detail: str

    def __str__(self) -> str:
        """Return one line: the result, the permission, what for."""
        result = {True: "allowed", False: "missing", None: "not told"}[self.allowed]
        detail = "" if self.allowed else f": {self.detail}"
        return f"{result:8}  {self.permission} ({self.what}){detail}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DryRun:
    """The results of all calls of a plan.

    Attributes:
        calls: In the order of a run; those that undo it last.
    """

    calls: tuple[DryRunResult, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The permissions that are missing."""
        return tuple(dict.fromkeys(c.permission for c in self.calls if c.allowed is False))

    def __str__(self) -> str:
        """Return one line per call."""
        return "\n".join(map(str, self.calls))


def dry_run_plan(plan: Plan) -> DryRun:
    """Ask EC2 about every call of a plan; see ``Plan.apply``."""
    refuse_problems(plan)
    ec2 = ec2_of(plan.session)
    return DryRun(calls=tuple(_try(ec2, *call) for call in _calls(plan, Account(ec2))))


def _calls(plan: Plan, account: Account) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield operation, purpose and parameters of every call."""
    groups = plan.security_group_ids
    group = plan.security_group
    if group is not None:
        default = account.security_groups(vpc_id=[plan.vpc_id], group_name=["default"])
        groups = tuple(str(one["GroupId"]) for one in default)
        yield "create_security_group", group.name, group_request(plan, group)
        rule = {"GroupId": groups[0] if groups else _NO_GROUP, **ingress_request(group)}
        yield "authorize_security_group_ingress", group.name, rule
    for planned in plan.to_make:
        request = vpc_endpoint_request(plan, planned, groups)
        del request["ClientToken"]  # the token is for the call that makes it
        yield "create_vpc_endpoint", planned.endpoint_service, request
    if plan.to_make:
        yield "delete_vpc_endpoints", "to undo", {"VpcEndpointIds": [_NO_VPC_ENDPOINT]}
    if group is not None:
        yield "delete_security_group", "to undo", {"GroupId": _NO_GROUP}


def _try(ec2: BotoClient, operation: str, what: str, parameters: dict[str, Any]) -> DryRunResult:
    permission = permission_for(operation)
    allowed, detail = None, "EC2 did not refuse"
    try:
        getattr(ec2, operation)(DryRun=True, **parameters)
    except ClientError as error:
        code = error_code(error)
        if code == _WOULD_WORK:
            allowed = True
        elif explain(error, permission).kind == "denied":
            allowed = False
        detail = error.response["Error"].get("Message") or code
    return DryRunResult(permission=permission, what=what, allowed=allowed, detail=detail)
