"""The keys that a call has for conditions and variables.

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sm_private_client.policy.principals import Caller
    from sm_private_client.policy.variables import Context

__all__ = ["ContextValue", "GivenContext", "call_context", "endpoint_context"]

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
