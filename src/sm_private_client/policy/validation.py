"""Look a policy over before AWS does: what is refused, what can never work, what is likely wrong.

Sources: IAM User Guide, "Grammar of the IAM JSON policy language", and the Principal and Condition
pages; PrivateLink guide, "Control access to VPC endpoints using endpoint policies" (size, default);
SageMaker developer guide, "Connect to SageMaker AI within your VPC" (no policies on FIPS runtime).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from sm_private_client.errors import ConfigurationError, PolicyError
from sm_private_client.policy.actions import INVOKING, resource_types
from sm_private_client.policy.documents import PolicyDocument, Problem, to_json
from sm_private_client.policy.matching import VARIABLE, Pattern
from sm_private_client.policy.parsing import Policy, parse
from sm_private_client.policy.statement_checks import (
    check_actions,
    check_conditions,
    check_resources,
    placed,
)
from sm_private_client.privatelink.services import EndpointService, by_endpoint_service_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.policy.documents import Statement

__all__ = ["ENDPOINT_POLICY_SIZE", "PolicyKind", "check"]

PolicyKind = Literal["endpoint", "identity", "scp"]

ENDPOINT_POLICY_SIZE: Final = 20_480
"""Characters of an endpoint policy at most, white space included (PrivateLink guide)."""

_INVOKING: Final = frozenset(action.lower() for actions in INVOKING.values() for action in actions)
_STREAM, _INVOKE = (one.lower() for one in INVOKING["InvokeEndpointWithResponseStream"])
_SID: Final = re.compile(r"[A-Za-z0-9]*\Z")


def check(
    document: Policy,
    *,
    kind: PolicyKind = "endpoint",
    endpoint_service: str | None = None,
    region: str | None = None,
    account_id: str | None = None,
) -> tuple[Problem, ...]:
    """Finds what is wrong with a policy; asks nobody, changes nothing.

    Args:
        document: The document; JSON text where its size with white space is to be judged.
        kind: What it will be attached to: a VPC endpoint, an identity, or an organization.
        endpoint_service: The VPC endpoint's, ``com.amazonaws.us-east-1.sagemaker.runtime``; its
            end, ``sagemaker.runtime``, is enough.
        region: Where calls are made; unknown by default, and then not compared.
        account_id: Whose resources are meant; unknown by default, and then not compared.

    Returns:
        The problems in the document's order. For a document that breaks the grammar the first such
        place, because what follows cannot be read.

    Raises:
        ConfigurationError: SageMaker has no such endpoint service.
    """
    service = _service(endpoint_service)
    found = list(_support(service)) if kind == "endpoint" else []
    try:
        read = parse(document)
    except PolicyError as error:
        broken = Problem(
            severity="error", place=error.place, message=error.what, remedy=error.remedy
        )
        return (*found, broken)
    if kind == "endpoint":
        found += _size(document if isinstance(document, str) else to_json(read, indent=None))
    found += _whole(read, kind)
    for number, statement in enumerate(read.statements):
        place = f"Statement[{number}]"
        found += _principals(place, statement, kind)
        found += check_actions(place, statement)
        found += check_resources(place, statement, region=region, account_id=account_id)
        found += check_conditions(place, statement, kind=kind)
        if kind == "endpoint" and service is not None:
            found += _way(place, statement, service)
    return tuple(found)


def _service(name: str | None) -> EndpointService | None:
    if name is None:
        return None
    found = by_endpoint_service_name(name) or by_endpoint_service_name(f".{name}")
    if found is None and "sagemaker" in name:
        raise ConfigurationError(
            f"{name!r} is no endpoint service of SageMaker.",
            possible_causes=("a typing error", "boto3's name of the service"),
            remedy="give one such as 'com.amazonaws.us-east-1.sagemaker.runtime'.",
        )
    return found


def _support(service: EndpointService | None) -> Iterator[Problem]:
    if service is None or service.endpoint_policy:
        return
    refused = service.endpoint_policy is False
    yield Problem(
        severity="error" if refused else "warning",
        place="",
        message=f"VPC endpoints of {service.title} "
        + ("do not support policies." if refused else "are not documented to support policies."),
        remedy="leave the policy out, and confine the callers by identity policies (confine_to).",
    )


def _size(text: str) -> Iterator[Problem]:
    if len(text) > ENDPOINT_POLICY_SIZE:
        yield Problem(
            severity="error",
            place="",
            message=f"the document has {len(text):,} characters, white space included; "
            f"{ENDPOINT_POLICY_SIZE:,} is the most.",
            remedy="write it without white space, or with wildcards in place of lists.",
        )


def _whole(document: PolicyDocument, kind: PolicyKind) -> Iterator[Problem]:
    if kind == "endpoint" and all(one.effect == "Deny" for one in document.statements):
        yield Problem(
            severity="warning",
            place="Statement",
            message="no statement allows anything, so no call passes the VPC endpoint.",
            remedy="add an Allow.",
        )
    allows = [statement for statement in document.statements if statement.effect == "Allow"]
    named = {action.lower() for statement in allows for action in statement.actions}
    if _STREAM in named and not any(Pattern.of(action).matches(_INVOKE) for action in named):
        yield Problem(
            severity="warning",
            place="Statement",
            message="sagemaker:InvokeEndpointWithResponseStream alone lets no stream pass: streams "
            "are authorized as sagemaker:InvokeEndpoint.",
            remedy="allow sagemaker:InvokeEndpoint too.",
        )
    if kind != "endpoint" and document.id is not None:
        yield Problem(
            severity="warning",
            place="Id",
            message="the grammar has no Id in policies of identities.",
            remedy="take it out.",
        )
    if not document.has_variables and VARIABLE.search(to_json(document)):
        yield Problem(
            severity="warning",
            place="Version",
            message="there are policy variables, but this version has none: they are literal text.",
            remedy='write "Version": "2012-10-17".',
        )


def _principals(place: str, statement: Statement, kind: PolicyKind) -> Iterator[Problem]:
    named = statement.principal or statement.not_principal
    name = "Principal" if statement.not_principal is None else "NotPrincipal"
    if kind != "endpoint":
        if named is not None:
            yield Problem(
                severity="error",
                place=f"{place}.{name}",
                message="policies of identities and organizations name no principals.",
                remedy="take it out; whoever the policy is attached to is meant.",
            )
        if statement.sid is not None and not _SID.match(statement.sid):
            yield Problem(
                severity="error",
                place=f"{place}.Sid",
                message=f"{statement.sid!r} has other characters than letters and digits.",
                remedy="write letters and digits only.",
            )
        return
    if named is None:
        yield Problem(
            severity="error",
            place=place,
            message="the policy of a VPC endpoint names its principals.",
            remedy='add "Principal": "*", or whom you mean.',
        )
        return
    for here, entry in placed(f"{place}.{name}.AWS", named.aws):
        if entry != "*" and ("*" in entry or "?" in entry):
            yield Problem(
                severity="error",
                place=here,
                message=f"{entry} has a wildcard, which matches no part of a principal.",
                remedy='write "*" with a condition ArnLike on aws:PrincipalArn.',
            )
    if statement.effect == "Allow" and statement.not_principal is not None:
        yield Problem(
            severity="warning",
            place=f"{place}.NotPrincipal",
            message="an Allow with NotPrincipal lets everybody else in the world pass.",
            remedy="name whom you mean in Principal.",
        )
    everyone = statement.principal is not None and statement.principal.is_everyone
    if (
        statement.effect == "Allow"
        and everyone
        and "*" in statement.actions
        and not statement.conditions
    ):
        yield Problem(
            severity="warning",
            place=place,
            message="everybody may do everything, as without a policy.",
            remedy="name actions or principals, or add a condition such as aws:PrincipalOrgID.",
        )


def _way(place: str, statement: Statement, service: EndpointService) -> Iterator[Problem]:
    """Finds actions whose calls take another endpoint service."""
    if statement.effect != "Allow" or service.service_name not in (
        "sagemaker",
        "sagemaker-runtime",
    ):
        return
    is_runtime = service.service_name == "sagemaker-runtime"
    for here, action in placed(f"{place}.Action", statement.actions):
        if resource_types(action) is None:  # a pattern, another service's, or unknown
            continue
        if (action.lower() in _INVOKING) != is_runtime:
            other = "sagemaker.api" if is_runtime else "sagemaker.runtime"
            yield Problem(
                severity="warning",
                place=here,
                message=f"{action} does not come through {service.name_suffix}.",
                remedy=f"put it into the policy of the VPC endpoint of {other}.",
            )
