"""Callers: the identities of a principal, and the condition keys that a call of theirs has.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "... NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sm_private_client.policy.arns import read_arn

if TYPE_CHECKING:
    from sm_private_client.policy.documents import Principals
    from sm_private_client.policy.matching import Context

__all__ = [
    "Caller",
    "ContextValue",
    "GivenContext",
    "call_context",
    "endpoint_context",
    "read_caller",
]

_ARN: Final = re.compile(
    r"arn:(?P<partition>[^:]+):(?:iam|sts)::(?P<account>\d{12}):(?P<kind>[^/]+)(?:/(?P<name>.+))?\Z"
)
_ACCOUNT_ID: Final = re.compile(r"\d{12}\Z")
_SERVICE: Final = re.compile(r"[\w.-]+\.amazonaws\.com(\.cn)?\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The principal of a call.

    Attributes:
        name: As it was given: an ARN, an account id, a service principal.
        partition: Of the ARN; ``None`` for a service.
        account_id: Twelve digits; ``None`` for a service.
        kind: ``user``, ``role``, ``assumed-role``, ``federated-user``, ``root``, ``service`` or
            ``other``.
        role_name: The role of a role or of its session, without its path.
        user_name: The user, without path.
    """

    name: str
    partition: str | None = None
    account_id: str | None = None
    kind: str = "other"
    role_name: str | None = None
    user_name: str | None = None

    @property
    def arn(self) -> str:
        """What ``aws:PrincipalArn`` is: for a session that of its role, whose path is not known."""
        if self.kind == "assumed-role":
            return f"arn:{self.partition}:iam::{self.account_id}:role/{self.role_name}"
        return self._account_arn if self.kind == "root" else self.name

    @property
    def _account_arn(self) -> str:
        return f"arn:{self.partition}:iam::{self.account_id}:root"

    @property
    def layers(self) -> frozenset[str]:
        """The identities it has at once: a session is itself, its role, and of its account."""
        if self.kind == "assumed-role":
            return frozenset({"itself", "role", "account"})
        if self.kind == "root":
            return frozenset({"account"})
        return frozenset({"itself", "account"} if self.account_id else {"itself"})

    def named_by(self, principals: Principals) -> frozenset[str]:
        """Return the layers that are named; all of them if everyone is."""
        if principals.is_everyone:
            return self.layers
        named = frozenset(filter(None, map(self._layer_named, principals.aws)))
        others = (*principals.service, *principals.federated, *principals.canonical_user)
        return named | {"itself"} if self.name in others else named

    def _layer_named(self, entry: str) -> str | None:
        # The ARN of root and the bare account id mean the account, not its root user alone.
        if self.account_id is not None and entry in (self.account_id, self._account_arn):
            return "account"
        if entry == self.name:
            return "itself"
        if self.kind == "assumed-role":
            role = read_caller(entry)
            same = (role.kind, role.account_id, role.partition, role.role_name)
            if same == ("role", self.account_id, self.partition, self.role_name):
                return "role"
        return None


def read_caller(principal: str) -> Caller:
    """Read a principal: the ARN of a user, role, session or account, an account id, a service."""
    if _ACCOUNT_ID.match(principal):
        return Caller(name=principal, partition="aws", account_id=principal, kind="root")
    found = _ARN.match(principal)
    if found is None:
        return Caller(name=principal, kind="service" if _SERVICE.match(principal) else "other")
    kind, name = found["kind"], found["name"] or ""
    last = name.rpartition("/")[2]  # a path comes before the name
    role = last if kind == "role" else name.partition("/")[0] if kind == "assumed-role" else None
    return Caller(
        name=principal,
        partition=found["partition"],
        account_id=found["account"],
        kind=kind,
        role_name=role,
        user_name=last if kind == "user" else None,
    )


ContextValue = str | bool | int | float | Sequence[str | bool | int | float] | None
GivenContext = Mapping[str, ContextValue]
"""Keys in any case, with one value or several; ``None`` and an empty list: the call has no such
key, even if it would be filled in."""

_PRINCIPAL_TYPES: Final = {
    "assumed-role": "AssumedRole",
    "federated-user": "FederatedUser",
    "role": "AssumedRole",
    "root": "Account",
    "user": "User",
}


def call_context(caller: Caller, resource: str, given: GivenContext | None = None) -> Context:
    """Return the keys of a call: what was given, and what follows from who calls what.

    Filled in unless given: ``aws:PrincipalArn``, ``aws:PrincipalAccount``, ``aws:PrincipalType``,
    ``aws:username`` of users, ``aws:ResourceAccount``; ``aws:PrincipalIsAWSService``,
    ``aws:ViaAWSService`` (false: the caller calls by itself) and ``aws:SecureTransport`` (true),
    which AWS sets for every call. Keys of the network are never made up.
    """
    is_service = caller.kind == "service"
    known: dict[str, ContextValue] = {
        "aws:PrincipalIsAWSService": is_service,
        "aws:SecureTransport": True,
        "aws:ViaAWSService": False,
    }
    if is_service:
        known["aws:PrincipalServiceName"] = caller.name
    if caller.account_id:
        known["aws:PrincipalArn"] = caller.arn
        known["aws:PrincipalAccount"] = caller.account_id
        known["aws:PrincipalType"] = _PRINCIPAL_TYPES.get(caller.kind)
        known["aws:username"] = caller.user_name
    if arn := read_arn(resource):
        known["aws:ResourceAccount"] = arn.account_id or None
    values = {
        key.lower(): _texts(value) for keys in (known, given or {}) for key, value in keys.items()
    }
    return {key: texts for key, texts in values.items() if texts}


def endpoint_context(
    *, vpc_endpoint_id: str, vpc_id: str | None = None, source_ip: str | None = None
) -> dict[str, ContextValue]:
    """Return the keys that a call has because it came through a VPC endpoint.

    ``source_ip`` is the caller's private address. ``aws:SourceIp`` does not exist on such calls.
    """
    return {
        "aws:SourceVpce": vpc_endpoint_id,
        "aws:SourceVpc": vpc_id,
        "aws:VpcSourceIp": source_ip,
        "aws:SourceIp": None,
    }


def _texts(value: ContextValue) -> tuple[str, ...]:
    if value is None:
        return ()
    values = [value] if isinstance(value, (str, bool, int, float)) else value
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)
