"""Judge an API operation of the SageMaker family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.policy.actions import actions_of_operation
from sm_private_client.policy.evaluation import Decision, evaluate

if TYPE_CHECKING:
    from sm_private_client.policy.parsing import Policy
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
    """Judges one API operation, as ``evaluate`` judges the action of its name.

    Args:
        policy: As in ``evaluate``.
        operation_name: Of a SageMaker service, ``InvokeEndpointWithResponseStream``.
        principal: As in ``evaluate``.
        resource: As in ``evaluate``.
        context: As in ``evaluate``.

    Raises:
        PolicyError: The document cannot be read.
    """
    return evaluate(
        policy,
        principal=principal,
        action=actions_of_operation(operation_name)[0],
        resource=resource,
        context=context,
    )
