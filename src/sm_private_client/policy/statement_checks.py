"""Look at one statement: its actions, its resources, its conditions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sm_private_client.policy.actions import (
    SERVICE_NAMES,
    is_known,
    matching,
    prefix_of,
    resource_types,
    suggestion,
)
from sm_private_client.policy.arns import partition_name, read_arn
from sm_private_client.policy.condition_keys import likest_key, state_of
from sm_private_client.policy.conditions import OPERATORS, can_compare, read_operator
from sm_private_client.policy.documents import Problem, Severity
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
_SERVICE_KEYS: Final = frozenset({"aws:viaawsservice", "aws:principalisawsservice"})


def placed(place: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Gives each text with its place, as ``parse`` names it."""
    for number, text in enumerate(texts):
        yield (place if len(texts) == 1 else f"{place}[{number}]"), text


def check_actions(place: str, statement: Statement) -> Iterator[Problem]:
    """Finds names that are no actions of SageMaker's; other services' are not looked at."""
    name = "NotAction" if statement.not_actions else "Action"
    actions = statement.not_actions or statement.actions
    for here, action in placed(f"{place}.{name}", actions):
        service, _, verb = action.partition(":")
        if service.lower() != "sagemaker":
            if service.lower() in SERVICE_NAMES:
                yield Problem(
                    severity="error",
                    place=here,
                    message=f"{action} is no action: boto3's services share the prefix sagemaker.",
                    remedy=f"write sagemaker:{verb}.",
                )
            continue
        if _WILD.search(verb):
            if not matching(action):
                yield Problem(
                    severity="error",
                    place=here,
                    message=f"{action} matches no action of SageMaker.",
                    remedy="correct the name before the wildcard.",
                )
        elif not is_known(action):
            meant = suggestion(action)
            yield Problem(
                severity="error",
                place=here,
                message=f"{action} is no action of SageMaker.",
                remedy=f"did you mean {meant}?" if meant else "take the name from AWS's reference.",
            )


def check_resources(
    place: str, statement: Statement, *, region: str | None, account_id: str | None
) -> Iterator[Problem]:
    """Finds resources of the wrong form, type, partition, region or account."""
    name = "NotResource" if statement.not_resources else "Resource"
    read: list[tuple[str, str, Arn | None]] = []
    for here, text in placed(f"{place}.{name}", statement.not_resources or statement.resources):
        arn = read_arn(text)
        read.append((here, text, arn))
        if text == "*":
            continue
        if arn is None:
            yield Problem(
                severity="error",
                place=here,
                message=f"{text} is no ARN.",
                remedy="write '*', or arn:PARTITION:sagemaker:REGION:ACCOUNT:TYPE/NAME.",
            )
            continue
        if Pattern.of(arn.service).matches("sagemaker"):
            yield from _place_of_arn(here, arn, region=region, account_id=account_id)
    if statement.resources:
        yield from _types(place, statement, [(here, text, arn) for here, text, arn in read])


def _place_of_arn(
    place: str, arn: Arn, *, region: str | None, account_id: str | None
) -> Iterator[Problem]:
    def wrong(severity: Severity, what: str, remedy: str) -> Problem:
        return Problem(severity=severity, place=place, message=what, remedy=remedy)

    if not _ACCOUNT.match(arn.account_id):
        yield wrong(
            "error", f"{arn.account_id} is no account id.", "write its twelve digits, or *."
        )
    elif account_id and not Pattern.of(arn.account_id).matches(account_id):
        yield wrong(
            "warning",
            f"it is in account {arn.account_id}, not in {account_id}.",
            f"write {account_id}, unless it is shared from there.",
        )
    if region and not Pattern.of(arn.region).matches(region):
        yield wrong(
            "error",
            f"it is in {arn.region}, but calls are made in {region}: it never matches.",
            f"write {region}.",
        )
    there = region or (None if _WILD.search(arn.region) else arn.region)
    partition = partition_name(there) if there else None
    if partition and not Pattern.of(arn.partition).matches(partition):
        yield wrong(
            "error",
            f"it is in partition {arn.partition}, but {there} is in {partition}.",
            f"write arn:{partition}:.",
        )
    head = f"{arn.partition}:{arn.service}:{arn.region}:{arn.account_id}"
    if "${" in head:
        yield wrong(
            "error",
            "a policy variable stands before the fifth colon, where there are none.",
            "keep variables to the part after the account.",
        )


def _types(
    place: str, statement: Statement, read: Sequence[tuple[str, str, Arn | None]]
) -> Iterator[Problem]:
    """Compares the types that the actions take with those that the resources are of."""
    if any(text == "*" for _, text, _ in read):
        return
    taken: dict[str, bool] = {here: False for here, _, _ in read}
    comparable = True
    for here, action in placed(f"{place}.Action", statement.actions):
        meant = matching(action) if action.lower().startswith("sagemaker:") else ()
        kinds = [resource_types(one) for one in meant]
        if not meant or any(kind == ("*",) for kind in kinds):
            comparable = False  # another service's, unknown, or one for every type
            continue
        prefixes = {prefix_of(one) for kind in kinds if kind for one in kind}
        fitting = [where for where, _, arn in read if arn is None or _fits(arn, prefixes)]
        taken.update(dict.fromkeys(fitting, True))
        if not fitting:
            types = sorted({one for kind in kinds if kind for one in kind})
            yield Problem(
                severity="error",
                place=here,
                message=f"{action} never applies: it acts on "
                f"{' and '.join(types) if types else 'no particular resource'}, "
                "and no resource of the statement is that.",
                remedy="give it a statement of its own, with "
                + (f"ARNs of {types[0]}/…" if types else "Resource '*'")
                + ".",
            )
    if comparable and any(taken.values()):
        for here, text, _ in read:
            if not taken[here]:
                yield Problem(
                    severity="error",
                    place=here,
                    message=f"no action of the statement acts on {text}.",
                    remedy="take it out, or correct its type.",
                )


def _fits(arn: Arn, prefixes: set[str]) -> bool:
    """Whether an ARN can be of one of the types, judged by what comes before its wildcards."""
    if not Pattern.of(arn.service).matches("sagemaker"):
        return False
    start = _WILD.split(arn.resource, 1)[0]
    is_whole = start == arn.resource
    return any(
        start.startswith(prefix) or (not is_whole and prefix.startswith(start))
        for prefix in prefixes
    )


def check_conditions(place: str, statement: Statement, *, kind: str) -> Iterator[Problem]:
    """Finds keys that SageMaker's calls do not have, and denials that hit AWS services."""
    is_sagemakers = all(
        action.lower().startswith("sagemaker:")
        for action in statement.actions or statement.not_actions
    )
    for condition in statement.conditions:
        here = f"{place}.Condition.{condition.operator}.{condition.key}"
        yield from _key(here, condition.key, is_sagemakers=is_sagemakers)
        yield from _values(here, condition)
        if condition.key.lower() == "aws:sourceip" and kind == "endpoint":
            yield Problem(
                severity="warning",
                place=here,
                message="calls through a VPC endpoint do not have aws:SourceIp.",
                remedy="use aws:VpcSourceIp.",
            )
        if condition.operator.startswith("ForAllValues:") and statement.effect == "Allow":
            yield Problem(
                severity="warning",
                place=here,
                message="ForAllValues also holds for calls that do not have the key.",
                remedy='add "Null": {KEY: "false"}, or use ForAnyValue.',
            )
    if statement.effect == "Deny" and any(map(_is_perimeter, statement.conditions)):
        spared = {condition.key.lower() for condition in statement.conditions}
        missing = [
            key
            for key in ("aws:ViaAWSService", "aws:PrincipalIsAWSService")
            if key.lower() not in spared
        ]
        if missing:
            yield Problem(
                severity="warning",
                place=f"{place}.Condition",
                message="the Deny also hits AWS services, which call for others or for themselves.",
                remedy="add BoolIfExists with "
                + " and ".join(f'"{key}": "false"' for key in missing)
                + ".",
            )


def _key(place: str, key: str, *, is_sagemakers: bool) -> Iterator[Problem]:
    state = state_of(key)
    other = likest_key(key)
    if state == "not-supplied":
        yield Problem(
            severity="error",
            place=place,
            message=f"SageMaker's calls do not have {key}: AWS gives it for listed services only.",
            remedy=f"use {other}.",
        )
    elif state == "unknown":
        yield Problem(
            severity="error" if key.lower().startswith("sagemaker:") else "warning",
            place=place,
            message=f"{key} is no condition key that is known.",
            remedy=f"did you mean {other}?" if other else "take the name from AWS's reference.",
        )
    elif state == "foreign" and is_sagemakers:
        yield Problem(
            severity="warning",
            place=place,
            message=f"{key} is another service's key; SageMaker's calls do not have it.",
            remedy="use a key of aws: or sagemaker:.",
        )


def _values(place: str, condition: Condition) -> Iterator[Problem]:
    """Finds values that an operator cannot compare with, so that nothing ever agrees with them."""
    read = read_operator(condition.operator)
    for here, value in placed(place, condition.values):
        if read is not None and not can_compare(read, value):
            yield Problem(
                severity="error",
                place=here,
                message=f"{value!r} is no value for {read.name}: nothing ever agrees with it.",
                remedy="write it in the form that the operator reads.",
            )


def _is_perimeter(condition: Condition) -> bool:
    read = read_operator(condition.operator)
    negated = read is not None and read.name != "Null" and OPERATORS[read.name].negated
    return negated and condition.key.lower() in _PERIMETER_KEYS
