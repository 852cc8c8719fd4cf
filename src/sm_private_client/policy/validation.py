"""Check of a policy before AWS sees it: what is refused, what can never work, what is doubtful.

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
    """Return what is wrong with a policy; ask nobody, and change nothing.

    Args:
        document: The document; JSON text if its size with white space is to be checked.
        kind: What it will be attached to: a VPC endpoint, an identity, or an organization.
        endpoint_service: The VPC endpoint's, ``com.amazonaws.us-east-1.sagemaker.runtime``; its
            end, ``sagemaker.runtime``, is enough.
        region: Where calls are made; not compared by default.
        account_id: Whose resources are meant; not compared by default.

    Returns:
        The problems in the order of the document. Of a document that breaks the grammar, only the
        first such place, because what follows cannot be read.

    Raises:
        ConfigurationError: SageMaker has no such endpoint service.
    """
    service = _find_service(endpoint_service) if endpoint_service is not None else None
    problems = list(_check_support(service)) if kind == "endpoint" else []
    try:
        parsed = parse(document)
    except PolicyError as error:
        return (*problems, Problem.error(error.place, error.what, error.remedy))
    if kind == "endpoint":
        text = document if isinstance(document, str) else to_json(parsed, indent=None)
        problems += _check_size(text)
    problems += _check_document(parsed, kind)
    for number, statement in enumerate(parsed.statements):
        place = f"Statement[{number}]"
        if kind == "endpoint":
            problems += _check_principals(place, statement)
        else:
            problems += _check_identity_statement(place, statement)
        problems += check_actions(place, statement)
        problems += check_resources(place, statement, region=region, account_id=account_id)
        problems += check_conditions(place, statement, kind=kind)
        if kind == "endpoint" and service is not None:
            problems += _check_service(place, statement, service)
    return tuple(problems)


def _find_service(name: str) -> EndpointService | None:
    found = by_endpoint_service_name(name) or by_endpoint_service_name(f".{name}")
    if found is None and "sagemaker" in name:
        raise ConfigurationError(
            f"{name!r} is no endpoint service of SageMaker.",
            possible_causes=("a typing error", "boto3's name of the service"),
            remedy="give one such as 'com.amazonaws.us-east-1.sagemaker.runtime'.",
        )
    return found


def _check_support(service: EndpointService | None) -> Iterator[Problem]:
    remedy = "leave the policy out, and confine the callers by identity policies (confine_to)."
    if service is not None and service.endpoint_policy is False:
        yield Problem.error(
            "", f"VPC endpoints of {service.title} do not support policies.", remedy
        )
    elif service is not None and not service.endpoint_policy:
        what = f"VPC endpoints of {service.title} are not documented to support policies."
        yield Problem.warning("", what, remedy)


def _check_size(text: str) -> Iterator[Problem]:
    if len(text) > ENDPOINT_POLICY_SIZE:
        yield Problem.error(
            "",
            f"the document has {len(text):,} characters, white space included; "
            f"{ENDPOINT_POLICY_SIZE:,} is the most.",
            "write it without white space, or with wildcards in place of lists.",
        )


def _check_document(document: PolicyDocument, kind: PolicyKind) -> Iterator[Problem]:
    if kind == "endpoint" and all(one.effect == "Deny" for one in document.statements):
        yield Problem.warning(
            "Statement",
            "no statement allows anything, so no call passes the VPC endpoint.",
            "add an Allow.",
        )
    allows = [statement for statement in document.statements if statement.effect == "Allow"]
    named = {action.lower() for statement in allows for action in statement.actions}
    if _STREAM in named and not any(Pattern.of(action).matches(_INVOKE) for action in named):
        yield Problem.warning(
            "Statement",
            "sagemaker:InvokeEndpointWithResponseStream alone lets no stream pass: streams "
            "are authorized as sagemaker:InvokeEndpoint.",
            "allow sagemaker:InvokeEndpoint too.",
        )
    if kind != "endpoint" and document.id is not None:
        yield Problem.warning(
            "Id", "the grammar has no Id in policies of identities.", "take it out."
        )
    if not document.has_variables and VARIABLE.search(to_json(document)):
        yield Problem.warning(
            "Version",
            "there are policy variables, but this version has none: they are literal text.",
            'write "Version": "2012-10-17".',
        )


def _check_identity_statement(place: str, statement: Statement) -> Iterator[Problem]:
    for name, principals in (
        ("Principal", statement.principal),
        ("NotPrincipal", statement.not_principal),
    ):
        if principals is not None:
            yield Problem.error(
                f"{place}.{name}",
                "policies of identities and organizations name no principals.",
                "take it out; whoever the policy is attached to is meant.",
            )
    if statement.sid is not None and not _SID.match(statement.sid):
        yield Problem.error(
            f"{place}.Sid",
            f"{statement.sid!r} has other characters than letters and digits.",
            "write letters and digits only.",
        )


def _check_principals(place: str, statement: Statement) -> Iterator[Problem]:
    principals = statement.principal or statement.not_principal
    if principals is None:
        yield Problem.error(
            place,
            "the policy of a VPC endpoint names its principals.",
            'add "Principal": "*", or whom you mean.',
        )
        return
    name = "Principal" if statement.not_principal is None else "NotPrincipal"
    for here, entry in placed(f"{place}.{name}.AWS", principals.aws):
        if entry != "*" and ("*" in entry or "?" in entry):
            yield Problem.error(
                here,
                f"{entry} has a wildcard, which matches no part of a principal.",
                'write "*" with a condition ArnLike on aws:PrincipalArn.',
            )
    if statement.effect == "Allow" and statement.not_principal is not None:
        yield Problem.warning(
            f"{place}.NotPrincipal",
            "an Allow with NotPrincipal lets everybody else in the world pass.",
            "name whom you mean in Principal.",
        )
    is_unlimited = "*" in statement.actions and not statement.conditions
    is_everyone = statement.principal is not None and statement.principal.is_everyone
    if statement.effect == "Allow" and is_everyone and is_unlimited:
        yield Problem.warning(
            place,
            "everybody may do everything, as without a policy.",
            "name actions or principals, or add a condition such as aws:PrincipalOrgID.",
        )


def _check_service(place: str, statement: Statement, service: EndpointService) -> Iterator[Problem]:
    """Find actions whose calls take another endpoint service."""
    is_either = service.service_name in ("sagemaker", "sagemaker-runtime")
    if statement.effect != "Allow" or not is_either:
        return
    is_runtime = service.service_name == "sagemaker-runtime"
    for here, action in placed(f"{place}.Action", statement.actions):
        if resource_types(action) is None:  # a pattern, another service's, or unknown
            continue
        if (action.lower() in _INVOKING) != is_runtime:
            other = "sagemaker.api" if is_runtime else "sagemaker.runtime"
            yield Problem.warning(
                here,
                f"{action} does not come through {service.name_suffix}.",
                f"put it into the policy of the VPC endpoint of {other}.",
            )
