"""Evaluation of a call by one policy: an explicit deny wins, and what nothing allows is denied.

Source: IAM User Guide, "Policy evaluation logic". AWS asks other policies too: a call that an
endpoint policy allows still needs the caller's identity policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sm_private_client.policy.actions import actions_of_operation, authorizing_actions
from sm_private_client.policy.arns import completed_arn
from sm_private_client.policy.caller import Caller, GivenContext, call_context, read_caller
from sm_private_client.policy.conditions import is_met, read_operator
from sm_private_client.policy.matching import Context, Pattern, expand
from sm_private_client.policy.parsing import Policy, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.policy.documents import Condition, PolicyDocument, Statement

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
    """What a policy decides about one call.

    Attributes:
        effect: ``implicit-deny`` if no statement allows or denies the call.
        why: A sentence for people.
        statement: The one that decided; ``None`` for an implicit deny.
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
    """Decide about one call by one policy.

    Args:
        policy: The document.
        principal: Who calls: ARN of a user, role, assumed-role session or account, an account id,
            or a service principal.
        action: ``sagemaker:InvokeEndpoint``; its case does not matter. Response streams are
            authorized as that: ``sagemaker:InvokeEndpointWithResponseStream`` is allowed if
            InvokeEndpoint is, and denied if either is.
        resource: The ARN, or ``*`` for actions that have none.
        context: Condition keys of the call; ``call_context`` fills in what follows from the rest.

    Raises:
        PolicyError: The document cannot be read.
    """
    document = parse(policy)
    caller = read_caller(principal)
    keys = call_context(caller, resource, context)
    decisions = [
        _decide(
            document,
            _Call(
                caller=caller,
                action=name,
                resource=resource,
                context=keys,
                variables=document.has_variables,
            ),
        )
        for name in authorizing_actions(action)
    ]
    denied = (decision for decision in decisions if decision.effect == "explicit-deny")
    return next(denied, decisions[-1])


def evaluate_operation(
    policy: Policy,
    *,
    operation_name: str,
    principal: str,
    resource: str,
    context: GivenContext | None = None,
) -> Decision:
    """Decide about an API operation of a SageMaker service, as ``evaluate`` about its action.

    ``operation_name`` is a name such as ``InvokeEndpointWithResponseStream``; the other arguments
    are those of ``evaluate``.
    """
    return evaluate(
        policy,
        principal=principal,
        action=actions_of_operation(operation_name)[0],
        resource=resource,
        context=context,
    )


def evaluate_at_vpc_endpoint(
    policy: Policy,
    *,
    vpc_endpoint_id: str,
    principal: str,
    action: str,
    resource: str,
    context: GivenContext,
) -> Decision | None:
    """Decide about one call by the policy of a VPC endpoint, if the call goes through it.

    ``aws:SourceVpce`` in ``context`` is the VPC endpoint that the call takes. If it is another one,
    or missing, the policy does not decide, and ``None`` is returned. The arguments are those of
    ``evaluate``.
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
    """Return a denial in the words of AWS's AccessDenied errors.

    Source: IAM User Guide, "Troubleshoot access denied error messages".

    Args:
        decision: What ``evaluate`` returned; one that does not allow.
        principal: As in ``evaluate``.
        action: As in ``evaluate``.
        resource: As in ``evaluate``.
        policy_type: The kind of policy, such as ``identity-based policy``.
    """
    reason = f"because no {policy_type} allows the {action} action"
    if decision.effect == "explicit-deny":
        article = "an" if policy_type[0] in "aeiou" else "a"
        reason = f"with an explicit deny in {article} {policy_type}"
    return (
        f"User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}"
    )


def _decide(document: PolicyDocument, call: _Call) -> Decision:
    misses = [_miss(statement, call) for statement in document.statements]
    applying = [index for index, miss in enumerate(misses) if miss is None]
    denying = (index for index in applying if document.statements[index].effect == "Deny")
    index = next(denying, next(iter(applying), None))
    what = f"{call.action} on {call.resource}"
    if index is None:
        reasons = "; ".join(
            f"{_title(number, statement)} {misses[number]}"
            for number, statement in enumerate(document.statements)
            if statement.effect == "Allow"
        )
        why = f"No statement allows {what}{': ' if reasons else ''}{reasons}."
        return Decision(effect="implicit-deny", why=why)
    statement = document.statements[index]
    is_denied = statement.effect == "Deny"
    return Decision(
        effect="explicit-deny" if is_denied else "allow",
        why=f"{_title(index, statement)} {'denies' if is_denied else 'allows'} {what}.",
        statement=statement,
        index=index,
    )


def _title(index: int, statement: Statement) -> str:
    return f"Statement[{index}]" + (f" ({statement.sid})" if statement.sid else "")


def _miss(statement: Statement, call: _Call) -> str | None:
    """Return why a statement does not apply to a call; ``None`` if it does."""
    if not _is_about_action(statement, call.action):
        return "is for other actions"
    if not _is_about_caller(statement, call.caller):
        return "is for other principals"
    if not _is_about_resource(statement, call):
        return "is for other resources"
    for condition in statement.conditions:
        if not _is_met(condition, call):
            return f"has a condition that is not met: {_describe(condition, call.context)}"
    return None


def _is_about_action(statement: Statement, action: str) -> bool:
    listed = statement.not_actions or statement.actions
    found = _matches_any((Pattern.of(one.lower()) for one in listed), action.lower())
    return found != bool(statement.not_actions)


def _matches_any(patterns: Iterable[Pattern | None], text: str) -> bool:
    return any(pattern is not None and pattern.matches(text) for pattern in patterns)


def _is_about_caller(statement: Statement, caller: Caller) -> bool:
    """Return True if a statement names a caller; one of an identity policy means whoever has it.

    NotPrincipal is read in the stricter of the ways that AWS warns about. A Deny exempts a caller
    only if each of its identities is listed (session, role and account). An Allow excludes a
    caller if one of them is.
    """
    if statement.not_principal is not None:
        named = caller.named_by(statement.not_principal)
        return named != caller.layers if statement.effect == "Deny" else not named
    return statement.principal is None or bool(caller.named_by(statement.principal))


def _is_about_resource(statement: Statement, call: _Call) -> bool:
    """Return True if a statement names a resource; wildcards match the whole ARN, colons included.

    A variable without a value makes an entry match no resource, in NotResource too. In policies of
    identities AWS completes ARNs that are too short.
    """
    listed = statement.not_resources or statement.resources
    if statement.principal is None and statement.not_principal is None:
        listed = tuple(map(completed_arn, listed))
    patterns = (expand(entry, call.context, variables=call.variables) for entry in listed)
    return _matches_any(patterns, call.resource) != bool(statement.not_resources)


def _is_met(condition: Condition, call: _Call) -> bool:
    operator = read_operator(condition.operator)
    return operator is not None and is_met(
        operator, condition.key, condition.values, call.context, variables=call.variables
    )


def _describe(condition: Condition, context: Context) -> str:
    values = context.get(condition.key.lower())
    actual = f"it is {' '.join(values)}" if values else "the call has no such key"
    return f"{condition.operator} {condition.key} {' '.join(condition.values)} ({actual})"
