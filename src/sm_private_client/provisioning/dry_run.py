"""Rehearse a plan: EC2's DryRun says for each call whether it would be allowed, and makes nothing.

What a plan makes is not there yet, so stand-ins are named where a call needs an id: the VPC's
default security group, and ids that nothing has.
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.provisioning.records import Blueprint
    from sm_private_client.session import Session

__all__ = ["DryRun", "DryRunResult", "rehearse"]

_WOULD_WORK: Final = "DryRunOperation"
_NO_VPC_ENDPOINT: Final = "vpce-00000000000000000"
_NO_GROUP: Final = "sg-00000000000000000"


@dataclass(frozen=True, kw_only=True, slots=True)
class DryRunResult:
    """One call that was rehearsed.

    Attributes:
        permission: The IAM action.
        what: What for.
        allowed: Whether it is allowed; ``None`` where EC2 did not tell.
        detail: What EC2 answered.
    """

    permission: str
    what: str
    allowed: bool | None
    detail: str

    def __str__(self) -> str:
        """One line: the verdict, the permission, what for."""
        verdict = {True: "allowed", False: "missing", None: "not told"}[self.allowed]
        detail = "" if self.allowed else f": {self.detail}"
        return f"{verdict:8}  {self.permission} ({self.what}){detail}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DryRun:
    """What EC2 said to every call.

    Attributes:
        calls: In the order of a run; those that undo it last.
    """

    calls: tuple[DryRunResult, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The permissions that are missing."""
        return tuple(dict.fromkeys(c.permission for c in self.calls if c.allowed is False))

    def __str__(self) -> str:
        """One line a call."""
        return "\n".join(map(str, self.calls))


def rehearse(plan: Blueprint, session: Session) -> DryRun:
    """Rehearses a plan; see ``Plan.apply``."""
    refuse_problems(plan)
    ec2 = ec2_of(session)
    calls = _calls(plan, Account(ec2))
    return DryRun(calls=tuple(_rehearsed(ec2, *call) for call in calls))


def _calls(plan: Blueprint, account: Account) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Gives permission, purpose, boto3's method and its parameters of every call."""
    groups = plan.security_group_ids
    group = plan.security_group
    if group is not None:
        default = account.security_groups(vpc_id=[plan.vpc_id], group_name=["default"])
        groups = tuple(str(one["GroupId"]) for one in default)
        yield (
            "ec2:CreateSecurityGroup",
            group.name,
            "create_security_group",
            group_request(plan, group),
        )
        yield (
            "ec2:AuthorizeSecurityGroupIngress",
            group.name,
            "authorize_security_group_ingress",
            {"GroupId": groups[0] if groups else _NO_GROUP, **ingress_request(group)},
        )
    for planned in plan.to_make:
        request = vpc_endpoint_request(plan, planned, groups)
        del request["ClientToken"]  # the token is for the call that makes it
        yield "ec2:CreateVpcEndpoint", planned.endpoint_service, "create_vpc_endpoint", request
    if plan.to_make:
        yield (
            "ec2:DeleteVpcEndpoints",
            "to undo",
            "delete_vpc_endpoints",
            {"VpcEndpointIds": [_NO_VPC_ENDPOINT]},
        )
    if group is not None:
        yield "ec2:DeleteSecurityGroup", "to undo", "delete_security_group", {"GroupId": _NO_GROUP}


def _rehearsed(
    ec2: Any,  # noqa: ANN401 - boto3's
    permission: str,
    what: str,
    method: str,
    parameters: dict[str, Any],
) -> DryRunResult:
    try:
        getattr(ec2, method)(DryRun=True, **parameters)
    except ClientError as error:
        code = error_code(error)
        is_denied = explain(error, permission).kind == "denied"
        allowed = True if code == _WOULD_WORK else False if is_denied else None
        message = error.response["Error"].get("Message", "")
        return DryRunResult(
            permission=permission, what=what, allowed=allowed, detail=message or code
        )
    return DryRunResult(permission=permission, what=what, allowed=None, detail="EC2 did not refuse")
