"""Judge an API operation, which more than one action may authorize."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.policy.actions import actions_of_operation
from sm_private_client.policy.evaluation import Decision, evaluate
from sm_private_client.policy.parsing import Policy, parse

if TYPE_CHECKING:
    from sm_private_client.policy.request_context import GivenContext

__all__ = ["evaluate_operation"]


def evaluate_operation(
    policy: Policy,
    *,
    operation_name: str,
    principal: str,
    resource: str,
    context: GivenContext | None = None,
) -> Decision:
    """Judges one API operation: any of its actions may be allowed, none may be denied.

    Args:
        policy: As in ``evaluate``.
        operation_name: Of a SageMaker service, ``InvokeEndpointWithResponseStream``.
        principal: As in ``evaluate``.
        resource: As in ``evaluate``.
        context: As in ``evaluate``.

    Raises:
        PolicyError: The document cannot be read.
    """
    document = parse(policy)
    decisions = [
        evaluate(document, principal=principal, action=action, resource=resource, context=context)
        for action in actions_of_operation(operation_name)
    ]
    for effect in ("explicit-deny", "allow"):
        for decision in decisions:
            if decision.effect == effect:
                return decision
    return decisions[0]
