"""Checks of one statement: its actions, its resources, its conditions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sm_private_client.policy.actions import (
    SERVICE_NAMES,
    actions_matching,
    is_known,
    prefix_of,
    resource_types,
    suggestion,
)
from sm_private_client.policy.arns import partition_name, read_arn
from sm_private_client.policy.condition_keys import likely_key, state_of
from sm_private_client.policy.conditions import OPERATORS, can_compare, read_operator
from sm_private_client.policy.documents import Problem
from sm_private_client.policy.matching import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sm_private_client.policy.arns import Arn
    from sm_private_client.policy.documents import Condition, Statement

__all__ = ["check_actions", "check_conditions", "check_resources", "placed"]

_WILD: Final = re.compile(r"[*?]|\$\{")
_ACCOUNT: Final = re.compile(r"(\d{12}|.*[*?$].*|aws|)\Z", re.ASCII)
_PERIMETER_KEYS: Final = frozenset(
    {
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceip",
        "aws:vpcsourceip",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalaccount",
        "aws:resourceorgid",
        "aws:resourceorgpaths",
    }
)
"""Keys that a call of an AWS service does not have, or has with a value of the service's own."""
_SERVICE_KEYS: Final = ("aws:ViaAWSService", "aws:PrincipalIsAWSService")


def placed(place: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each text with its place, as ``parse`` names it."""
    for number, text in enumerate(texts):
        yield (place if len(texts) == 1 else f"{place}[{number}]"), text


# Actions


def check_actions(place: str, statement: Statement) -> Iterator[Problem]:
    """Find names that are no actions of SageMaker's; those of other services are not checked."""
    name = "NotAction" if statement.not_actions else "Action"
    for here, action in placed(f"{place}.{name}", statement.not_actions or statement.actions):
        service, _, verb = action.partition(":")
        if service.lower() != "sagemaker":
            if service.lower() in SERVICE_NAMES:
                yield Problem.error(
                    here,
                    f"{action} is no action: boto3's services share the prefix sagemaker.",
                    f"write sagemaker:{verb}.",
                )
        elif _WILD.search(verb):
            if not actions_matching(action):
                yield Problem.error(
                    here,
                    f"{action} matches no action of SageMaker.",
                    "correct the name before the wildcard.",
                )
        elif not is_known(action):
            likely = suggestion(action)
            yield Problem.error(
                here,
                f"{action} is no action of SageMaker.",
                f"did you mean {likely}?" if likely else "take the name from AWS's reference.",
            )


# Resources


def check_resources(
    place: str, statement: Statement, *, region: str | None, account_id: str | None
) -> Iterator[Problem]:
    """Find resources of the wrong form, type, partition, region or account."""
    name = "NotResource" if statement.not_resources else "Resource"
    arns: dict[str, Arn | None] = {}
    texts = dict(placed(f"{place}.{name}", statement.not_resources or statement.resources))
    for here, text in texts.items():
        arn = arns[here] = read_arn(text)
        if arn is None and text != "*":
            yield Problem.error(
                here,
                f"{text} is no ARN.",
                "write '*', or arn:PARTITION:sagemaker:REGION:ACCOUNT:TYPE/NAME.",
            )
        if arn is not None and Pattern.of(arn.service).matches("sagemaker"):
            yield from _check_arn(here, arn, region=region, account_id=account_id)
    if statement.resources and "*" not in statement.resources:
        yield from _check_types(place, statement, texts, arns)


def _check_arn(
    place: str, arn: Arn, *, region: str | None, account_id: str | None
) -> Iterator[Problem]:
    if not _ACCOUNT.match(arn.account_id):
        yield Problem.error(
            place, f"{arn.account_id} is no account id.", "write its twelve digits, or *."
        )
    elif account_id and not Pattern.of(arn.account_id).matches(account_id):
        yield Problem.warning(
            place,
            f"it is in account {arn.account_id}, not in {account_id}.",
            f"write {account_id}, unless it is shared from there.",
        )
    if region and not Pattern.of(arn.region).matches(region):
        yield Problem.error(
            place,
            f"it is in {arn.region}, but calls are made in {region}: it never matches.",
            f"write {region}.",
        )
    region = region or (None if _WILD.search(arn.region) else arn.region)
    partition = partition_name(region) if region else None
    if partition and not Pattern.of(arn.partition).matches(partition):
        yield Problem.error(
            place,
            f"it is in partition {arn.partition}, but {region} is in {partition}.",
            f"write arn:{partition}:.",
        )
    if "${" in f"{arn.partition}{arn.service}{arn.region}{arn.account_id}":
        yield Problem.error(
            place,
            "a policy variable stands before the fifth colon, where there are none.",
            "keep variables to the part after the account.",
        )


def _check_types(
    place: str, statement: Statement, texts: dict[str, str], arns: dict[str, Arn | None]
) -> Iterator[Problem]:
    """Compare the types that the actions take with those that the resources are of."""
    used: set[str] = set()
    comparable = True
    for here, action in placed(f"{place}.Action", statement.actions):
        is_sagemakers = action.lower().startswith("sagemaker:")
        taken = [resource_types(one) for one in actions_matching(action)] if is_sagemakers else []
        if not taken or ("*",) in taken:
            comparable = False  # another service's, unknown, or one for every type
            continue
        types = sorted({one for kinds in taken for one in kinds or ()})
        prefixes = {prefix_of(one) for one in types}
        fitting = [where for where, arn in arns.items() if arn is None or _fits(arn, prefixes)]
        used.update(fitting)
        if not fitting:
            yield Problem.error(
                here,
                f"{action} never applies: it acts on "
                f"{' and '.join(types) if types else 'no particular resource'}, "
                "and no resource of the statement is that.",
                "give it a statement of its own, with "
                + (f"ARNs of {types[0]}/…." if types else "Resource '*'."),
            )
    if comparable and used:
        for here, text in texts.items():
            if here not in used:
                yield Problem.error(
                    here,
                    f"no action of the statement acts on {text}.",
                    "take it out, or correct its type.",
                )


def _fits(arn: Arn, prefixes: set[str]) -> bool:
    """Return True if an ARN can be of one of the types, judged by what is before its wildcards."""
    if not Pattern.of(arn.service).matches("sagemaker"):
        return False
    start = _WILD.split(arn.resource, 1)[0]
    is_whole = start == arn.resource
    return any(
        start.startswith(prefix) or (not is_whole and prefix.startswith(start))
        for prefix in prefixes
    )


# Conditions


def check_conditions(place: str, statement: Statement, *, kind: str) -> Iterator[Problem]:
    """Find keys that SageMaker's calls do not have, and denials that hit AWS services."""
    actions = statement.actions or statement.not_actions
    is_sagemakers = all(action.lower().startswith("sagemaker:") for action in actions)
    for condition in statement.conditions:
        here = f"{place}.Condition.{condition.operator}.{condition.key}"
        yield from _check_key(here, condition.key, is_sagemakers=is_sagemakers)
        yield from _check_values(here, condition)
        if condition.key.lower() == "aws:sourceip" and kind == "endpoint":
            yield Problem.warning(
                here,
                "calls through a VPC endpoint do not have aws:SourceIp.",
                "use aws:VpcSourceIp.",
            )
        if condition.operator.startswith("ForAllValues:") and statement.effect == "Allow":
            yield Problem.warning(
                here,
                "ForAllValues also holds for calls that do not have the key.",
                'add "Null": {KEY: "false"}, or use ForAnyValue.',
            )
    if statement.effect == "Deny" and any(map(_is_perimeter, statement.conditions)):
        keys = {condition.key.lower() for condition in statement.conditions}
        if missing := [key for key in _SERVICE_KEYS if key.lower() not in keys]:
            exceptions = " and ".join(f'"{key}": "false"' for key in missing)
            yield Problem.warning(
                f"{place}.Condition",
                "the Deny also hits AWS services, which call for others or for themselves.",
                f"add BoolIfExists with {exceptions}.",
            )


def _check_key(place: str, key: str, *, is_sagemakers: bool) -> Iterator[Problem]:
    state = state_of(key)
    other = likely_key(key)
    if state == "not-supplied":
        yield Problem.error(
            place,
            f"SageMaker's calls do not have {key}: AWS gives it for listed services only.",
            f"use {other}.",
        )
    elif state == "unknown":
        problem = Problem.error if key.lower().startswith("sagemaker:") else Problem.warning
        yield problem(
            place,
            f"{key} is no condition key that is known.",
            f"did you mean {other}?" if other else "take the name from AWS's reference.",
        )
    elif state == "foreign" and is_sagemakers:
        yield Problem.warning(
            place,
            f"{key} is another service's key; SageMaker's calls do not have it.",
            "use a key of aws: or sagemaker:.",
        )


def _check_values(place: str, condition: Condition) -> Iterator[Problem]:
    """Find values that an operator cannot compare with, so that nothing ever agrees with them."""
    read = read_operator(condition.operator)
    for here, value in placed(place, condition.values):
        if read is not None and not can_compare(read, value):
            yield Problem.error(
                here,
                f"{value!r} is no value for {read.name}: nothing ever agrees with it.",
                "write it in the form that the operator reads.",
            )


def _is_perimeter(condition: Condition) -> bool:
    read = read_operator(condition.operator)
    negated = read is not None and read.name != "Null" and OPERATORS[read.name].negated
    return negated and condition.key.lower() in _PERIMETER_KEYS
