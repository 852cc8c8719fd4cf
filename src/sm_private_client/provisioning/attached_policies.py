"""Endpoint policies as they are attached: read, checked, written without white space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from sm_private_client.errors import PolicyError
from sm_private_client.policy.building import EndpointPolicy
from sm_private_client.policy.documents import PolicyDocument, to_json
from sm_private_client.policy.parsing import parse
from sm_private_client.policy.validation import check

if TYPE_CHECKING:
    from sm_private_client.policy.problems import Problem

__all__ = ["AnyPolicy", "accepted", "of_one_service", "same_rights"]

AnyPolicy = PolicyDocument | EndpointPolicy | str | Mapping[str, Any]
"""A policy as it may be given: read, built, JSON text, or what ``json.loads`` gives of it."""


def accepted(
    policy: AnyPolicy, *, endpoint_service: str, region: str
) -> tuple[PolicyDocument, tuple[Problem, ...]]:
    """Reads a policy that is to be attached to a VPC endpoint.

    Args:
        policy: The policy.
        endpoint_service: Name of the VPC endpoint's service.
        region: Its region.

    Returns:
        The document, and what is likely not meant.

    Raises:
        PolicyError: AWS would refuse it, or it could never do what it says.
    """
    given = policy.document if isinstance(policy, EndpointPolicy) else policy
    problems = check(given, kind="endpoint", endpoint_service=endpoint_service, region=region)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        told = "".join(
            f"\n  {problem.place or 'document'}: {problem.message}" for problem in errors
        )
        raise PolicyError(
            f"The policy cannot be attached to a VPC endpoint of {endpoint_service}:{told}",
            place=errors[0].place,
            remedy=tuple(dict.fromkeys(problem.remedy for problem in errors)),
        )
    return parse(given), problems


def of_one_service(
    policy: AnyPolicy | Mapping[str, AnyPolicy] | None, service: str, *, in_family: bool
) -> AnyPolicy | None:
    """Gives the policy that is meant for one service.

    Args:
        policy: One policy, which is meant for the SageMaker family, or a mapping from the words
            of ``services`` to policies.
        service: The word.
        in_family: Whether it is of the SageMaker family and not for browsers only.
    """
    if by_service(policy):
        return cast("Mapping[str, AnyPolicy]", policy).get(service)
    return cast("AnyPolicy | None", policy) if in_family else None


def by_service(policy: object) -> bool:
    """Says whether it is a mapping from services to policies, rather than one document."""
    return isinstance(policy, Mapping) and "Statement" not in policy


def same_rights(one: str, other: str) -> bool:
    """Says whether two texts are the same document; white space and lists of one do not count."""
    try:
        return to_json(parse(one)) == to_json(parse(other))
    except PolicyError:
        return one == other
