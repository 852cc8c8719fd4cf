"""Explanation of a policy: one English line per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sm_private_client.policy.actions import actions_matching
from sm_private_client.policy.arns import read_arn
from sm_private_client.policy.caller import read_caller
from sm_private_client.policy.conditions import OPERATORS, read_operator
from sm_private_client.policy.parsing import Policy, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.policy.documents import Condition, Principals, Statement

__all__ = ["explain"]

_LISTED_AT_MOST: Final = 4


def explain(policy: Policy) -> tuple[str, ...]:
    """Return one line per statement: who may or may not do what on what, and when.

    Wildcards are followed by the actions of SageMaker that they match.

    Raises:
        PolicyError: The document cannot be read.
    """
    return tuple(map(_line, parse(policy).statements))


def _line(statement: Statement) -> str:
    may = "may" if statement.effect == "Allow" else "may not"
    line = f"{_who(statement)} {may} {_what(statement)} on {_on(statement)}"
    if statement.conditions:
        line += ", if " + " and ".join(map(_condition, statement.conditions))
    return f"{line}."


def _who(statement: Statement) -> str:
    if statement.not_principal is not None:
        return f"Everybody but {_principals(statement.not_principal)}"
    if statement.principal is None:
        return "Whoever has this policy"
    if statement.principal.is_everyone:
        return "Everybody"
    named = _principals(statement.principal)
    return named[0].upper() + named[1:]


def _principals(named: Principals) -> str:
    if named.is_everyone:
        return "everybody"
    texts = [_principal(entry) for entry in named.aws]
    texts += [f"the AWS service {entry}" for entry in named.service]
    texts += [f"whoever {entry} vouches for" for entry in named.federated]
    texts += [f"the canonical user {entry}" for entry in named.canonical_user]
    return _and(texts)


def _principal(entry: str) -> str:
    caller = read_caller(entry)
    if caller.kind == "root":
        return f"everybody of account {caller.account_id}"
    if caller.kind == "role":
        return f"role {caller.role_name} of account {caller.account_id}"
    if caller.kind == "user":
        return f"user {caller.user_name} of account {caller.account_id}"
    return entry


def _what(statement: Statement) -> str:
    if statement.not_actions:
        return f"do anything but {_and(map(_action, statement.not_actions))}"
    return "do " + (
        "anything" if "*" in statement.actions else _and(map(_action, statement.actions))
    )


def _action(action: str) -> str:
    if action.lower() == "sagemaker:invokeendpoint":
        return f"{action} (response streams included)"
    if not (set("*?") & set(action) and action.lower().startswith("sagemaker:")):
        return action
    names = [name.partition(":")[2] for name in actions_matching(action)]
    if len(names) > _LISTED_AT_MOST:
        return f"{action} ({len(names)} actions)"
    return f"{action} ({', '.join(names) or 'no action'})"


def _on(statement: Statement) -> str:
    if statement.not_resources:
        return f"everything but {_and(map(_resource, statement.not_resources))}"
    return "everything" if "*" in statement.resources else _and(map(_resource, statement.resources))


def _resource(text: str) -> str:
    arn = read_arn(text)
    if arn is None or arn.service != "sagemaker":
        return text
    kind, _, name = arn.resource.partition("/")
    title = "inference endpoint" if kind == "endpoint" else kind
    where = "any region" if arn.region == "*" else arn.region
    account = "any account" if arn.account_id == "*" else f"account {arn.account_id}"
    named = f"any {title}" if name == "*" else f"{title} {name}" if name else text
    return f"{named} in {where} of {account}"


def _condition(condition: Condition) -> str:
    read = read_operator(condition.operator)
    if read is None:  # no document that was read has such an operator
        return condition.operator
    if read.name == "Null":
        absent = [value.lower() == "true" for value in condition.values]
        return f"{condition.key} is {'absent' if all(absent) else 'present'}"
    subject = condition.key
    if read.set_operator is not None:
        every = "every value" if read.set_operator == "ForAllValues" else "a value"
        subject = f"{every} of {condition.key}"
    values = " or ".join(value or "empty" for value in condition.values)
    or_absent = " (or is absent)" if read.if_exists else ""
    return f"{subject} {OPERATORS[read.name].words} {values}{or_absent}"


def _and(texts: Iterable[str]) -> str:
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last
