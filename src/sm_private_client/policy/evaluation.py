"""Judge a call by a policy, as AWS would: an explicit deny wins, and nothing is allowed unsaid.

Source: IAM User Guide, "Policy evaluation logic". One policy is judged, not all that AWS asks: a
call that an endpoint policy allows still needs the caller's identity policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sm_private_client.policy.actions import actions_of_operation, authorizing
from sm_private_client.policy.arns import completed_arn
from sm_private_client.policy.caller import Caller, GivenContext, call_context, read_caller
from sm_private_client.policy.conditions import is_met, read_operator
from sm_private_client.policy.matching import Context, Pattern, expand
from sm_private_client.policy.parsing import Policy, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sm_private_client.policy.caller import GivenContext
    from sm_private_client.policy.documents import Condition, PolicyDocument, Statement
    from sm_private_client.policy.parsing import Policy

__all__ = [
    "Decision",
    "denial_message",
    "evaluate",
    "evaluate_at_vpc_endpoint",
    "evaluate_operation",
]

DecisionEffect = Literal["allow", "explicit-deny", "implicit-deny"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a policy says to one call.

    Attributes:
        effect: ``implicit-deny`` where no statement speaks for the call.
        why: A sentence for people.
        statement: The one that decided, ``None`` for an implicit deny.
        index: Its place in the document, from 0; ``None`` for an implicit deny.
    """

    effect: DecisionEffect
    why: str
    statement: Statement | None = None
    index: int | None = None

    @property
    def allowed(self) -> bool:
        """Whether the call may pass."""
        return self.effect == "allow"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    caller: Caller
    action: str
    resource: str
    context: Context
    variables: bool


def evaluate(
    policy: Policy,
    *,
    principal: str,
    action: str,
    resource: str,
    context: GivenContext | None = None,
) -> Decision:
    """Judges one call by one policy.

    Args:
        policy: The document.
        principal: Who calls: ARN of a user, role, assumed-role session or account, an account id,
            or a service principal.
        action: ``sagemaker:InvokeEndpoint``; its case does not matter. Response streams are
            authorized as that: ``sagemaker:InvokeEndpointWithResponseStream`` is allowed where
            InvokeEndpoint is, and denied where either is.
        resource: The ARN, or ``*`` for actions that have none.
        context: Condition keys of the call; ``call_context`` fills in what follows from the rest.

    Raises:
        PolicyError: The document cannot be read.
    """
    document = parse(policy)
    caller = read_caller(principal)
    keys = call_context(caller, resource, context)
    judged = []
    for named in authorizing(action):
        call = _Call(
            caller=caller,
            action=named.lower(),
            resource=resource,
            context=keys,
            variables=document.has_variables,
        )
        judged.append(_judged(document, call, named))
    denied = (decision for decision in judged if decision.effect == "explicit-deny")
    return next(denied, judged[-1])


def _judged(document: PolicyDocument, call: _Call, action: str) -> Decision:
    resource = call.resource
    misses = [_miss(statement, call) for statement in document.statements]
    for effect, decided, verb in (
        ("Deny", "explicit-deny", "denies"),
        ("Allow", "allow", "allows"),
    ):
        for index, statement in enumerate(document.statements):
            if statement.effect == effect and misses[index] is None:
                why = f"{_title(index, statement)} {verb} {action} on {resource}."
                return Decision(
                    effect="allow" if decided == "allow" else "explicit-deny",
                    why=why,
                    statement=statement,
                    index=index,
                )
    return Decision(effect="implicit-deny", why=_unsaid(document, misses, action, resource))


def evaluate_at_vpc_endpoint(
    policy: Policy,
    *,
    vpc_endpoint_id: str,
    principal: str,
    action: str,
    resource: str,
    context: GivenContext,
) -> Decision | None:
    """Judges one call by the policy of a VPC endpoint, if the call passes it at all.

    Args:
        policy: The VPC endpoint's document.
        vpc_endpoint_id: That VPC endpoint.
        principal: As in ``evaluate``.
        action: As in ``evaluate``.
        resource: As in ``evaluate``.
        context: As in ``evaluate``; ``aws:SourceVpce`` says which way the call takes.

    Returns:
        The decision; ``None`` for a call that goes another way, on which the policy has no say.
    """
    way = {key.lower(): value for key, value in context.items()}.get("aws:sourcevpce")
    if way not in (vpc_endpoint_id, [vpc_endpoint_id], (vpc_endpoint_id,)):
        return None
    return evaluate(policy, principal=principal, action=action, resource=resource, context=context)


def denial_message(
    decision: Decision,
    *,
    principal: str,
    action: str,
    resource: str,
    policy_type: str = "VPC endpoint policy",
) -> str:
    """Words a denial as AWS does in its AccessDenied errors.

    Source: IAM User Guide, "Troubleshoot access denied error messages".

    Args:
        decision: What ``evaluate`` gave; one that does not allow.
        principal: As it was given to ``evaluate``.
        action: As it was given to ``evaluate``.
        resource: As it was given to ``evaluate``.
        policy_type: The kind of policy, for other ones ``identity-based policy`` and so on.
    """
    reason = f"because no {policy_type} allows the {action} action"
    if decision.effect == "explicit-deny":
        article = "an" if policy_type[0] in "aeiou" else "a"
        reason = f"with an explicit deny in {article} {policy_type}"
    return (
        f"User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}"
    )


def _title(index: int, statement: Statement) -> str:
    return f"Statement[{index}]" + (f" ({statement.sid})" if statement.sid else "")


def _unsaid(
    document: PolicyDocument, misses: Sequence[str | None], action: str, resource: str
) -> str:
    told = [
        f"{_title(index, statement)} {miss}"
        for index, (statement, miss) in enumerate(zip(document.statements, misses, strict=True))
        if statement.effect == "Allow"
    ]
    listed = ": " + "; ".join(told) if told else ""
    return f"No statement allows {action} on {resource}{listed}."


def _miss(statement: Statement, call: _Call) -> str | None:
    """Gives why a statement does not apply; ``None`` where it does."""
    if not _is_about_action(statement, call.action):
        return "is for other actions"
    if not _is_about_caller(statement, call.caller):
        return "is for other principals"
    if not _is_about_resource(statement, call):
        return "is for other resources"
    return next(
        (
            f"has a condition that is not met: {_told(condition, call.context)}"
            for condition in statement.conditions
            if not _meets(condition, call)
        ),
        None,
    )


def _is_about_action(statement: Statement, action: str) -> bool:
    if statement.not_actions:
        return not _fits(map(str.lower, statement.not_actions), action)
    return _fits(map(str.lower, statement.actions), action)


def _fits(patterns: Iterable[str], text: str) -> bool:
    return any(Pattern.of(pattern).matches(text) for pattern in patterns)


def _is_about_caller(statement: Statement, caller: Caller) -> bool:
    """A policy without principals is one of an identity: whoever has it is meant.

    NotPrincipal is read as AWS warns that it may work: a Deny spares a caller only where each of
    its identities is listed (session, role and account), an Allow leaves out whoever has one that
    is.
    """
    if statement.not_principal is not None:
        named = caller.named_by(statement.not_principal)
        return named != caller.layers if statement.effect == "Deny" else not named
    return statement.principal is None or bool(caller.named_by(statement.principal))


def _is_about_resource(statement: Statement, call: _Call) -> bool:
    """Wildcards match the ARN as a whole, colons included.

    A variable without a value makes an entry match no resource, in NotResource too. In policies of
    identities AWS completes ARNs that are too short.
    """
    listed = statement.not_resources or statement.resources
    if statement.principal is None and statement.not_principal is None:
        listed = tuple(map(completed_arn, listed))
    patterns = (expand(entry, call.context, variables=call.variables) for entry in listed)
    found = any(pattern is not None and pattern.matches(call.resource) for pattern in patterns)
    return found != bool(statement.not_resources)


def _meets(condition: Condition, call: _Call) -> bool:
    operator = read_operator(condition.operator)
    return operator is not None and is_met(
        operator, condition.key, condition.values, call.context, variables=call.variables
    )


def _told(condition: Condition, context: Context) -> str:
    has = context.get(condition.key.lower())
    seen = f"it is {' '.join(has)}" if has else "the call has no such key"
    return f"{condition.operator} {condition.key} {' '.join(condition.values)} ({seen})"


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
