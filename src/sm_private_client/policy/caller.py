"""Who calls, and whether a statement means that caller.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "... NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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
        if self.kind == "root":
            return f"arn:{self.partition}:iam::{self.account_id}:root"
        return self.name

    @property
    def layers(self) -> frozenset[str]:
        """The identities it has at once: a session is itself, its role, and of its account."""
        if self.kind == "assumed-role":
            return frozenset({"itself", "role", "account"})
        if self.kind == "root":
            return frozenset({"account"})
        return frozenset({"itself", "account"} if self.account_id else {"itself"})

    def named_by(self, principals: Principals) -> frozenset[str]:
        """Gives the layers that are named; all of them where everyone is."""
        if principals.is_everyone:
            return self.layers
        named = frozenset(filter(None, map(self._layer_named, principals.aws)))
        others = (*principals.service, *principals.federated, *principals.canonical_user)
        return named | {"itself"} if self.name in others else named

    def _layer_named(self, entry: str) -> str | None:
        """The ``root`` ARN and the bare account id mean the account, not its root user alone."""
        if self.account_id is None:
            return "itself" if entry == self.name else None
        if entry in (self.account_id, f"arn:{self.partition}:iam::{self.account_id}:root"):
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
    """Reads a principal: the ARN of a user, role, session or account, an account id, a service."""
    if _ACCOUNT_ID.match(principal):
        return Caller(name=principal, partition="aws", account_id=principal, kind="root")
    found = _ARN.match(principal)
    if found is None:
        is_service = re.fullmatch(r"[\w.-]+\.amazonaws\.com(\.cn)?", principal) is not None
        return Caller(name=principal, kind="service" if is_service else "other")
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
key, also where it would be filled in."""

_PRINCIPAL_TYPES: Final = {
    "assumed-role": "AssumedRole",
    "federated-user": "FederatedUser",
    "role": "AssumedRole",
    "root": "Account",
    "user": "User",
}
_ARN_PARTS: Final = 6


def call_context(caller: Caller, resource: str, given: GivenContext | None = None) -> Context:
    """Gives the keys of a call: what was given, and what follows from who calls what.

    Filled in unless given: ``aws:PrincipalArn``, ``aws:PrincipalAccount``, ``aws:PrincipalType``,
    ``aws:username`` of users, ``aws:ResourceAccount``; ``aws:PrincipalIsAWSService``,
    ``aws:ViaAWSService`` (false: the caller calls by itself) and ``aws:SecureTransport`` (true),
    which AWS sets for every call. Nothing about the network is made up.
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
    parts = resource.split(":", _ARN_PARTS - 1)
    if len(parts) == _ARN_PARTS:
        known["aws:ResourceAccount"] = parts[4] or None
    filled = {key.lower(): value for key, value in known.items()}
    filled |= {key.lower(): value for key, value in (given or {}).items()}
    values = {key: _texts(value) for key, value in filled.items()}
    return {key: texts for key, texts in values.items() if texts}


def endpoint_context(
    *, vpc_endpoint_id: str, vpc_id: str | None = None, source_ip: str | None = None
) -> dict[str, ContextValue]:
    """Gives the keys that a call has because it came through a VPC endpoint.

    Args:
        vpc_endpoint_id: ``vpce-…``, becomes ``aws:SourceVpce``.
        vpc_id: Becomes ``aws:SourceVpc``.
        source_ip: The caller's private address, becomes ``aws:VpcSourceIp``. ``aws:SourceIp`` does
            not exist on such calls.
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
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_text, value))
    return (_text(value),)


def _text(value: str | bool | int | float) -> str:  # noqa: PYI041 - bool and int are meant by name
    return str(value).lower() if isinstance(value, bool) else str(value)
