"""Condition operators, and how a call meets a condition.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators" (the operators, missing
keys, IfExists, Null) and "Single-valued vs. multivalued context keys" (ForAllValues, ForAnyValue).
"""

from __future__ import annotations

import base64
import ipaddress
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeVar

from sm_private_client.policy.matching import Context, Pattern, Wildcard, expand

__all__ = ["OPERATORS", "ConditionOperator", "can_compare", "is_met", "read_operator"]

Comparison = Callable[[Pattern, str], bool]
SetOperator = Literal["ForAllValues", "ForAnyValue"]
_Read = TypeVar("_Read")
_Comparable = TypeVar("_Comparable", Decimal, datetime)

_DATE: Final = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d))?)?)?\Z",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ARN_PARTS: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One operator, without prefix and suffix.

    Attributes:
        compares: Returns True if a value of the policy and one of the call agree.
        reads: Returns True if it can compare with a value of the policy at all.
        negated: Whether it is met if they do not agree.
        has_variables: Whether its values may have policy variables.
        words: What it says in English.
    """

    compares: Comparison
    reads: Callable[[str], bool] = lambda _: True
    negated: bool = False
    has_variables: bool = False
    words: str = "is"


Operators = dict[str, Operator]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionOperator:
    """A condition operator as it is written in a policy: ``ForAnyValue:StringLikeIfExists``.

    Attributes:
        name: The operator itself, ``StringLike``.
        set_operator: How several values of a call count; ``None``: the key has one value.
        if_exists: Whether a key that the call does not have meets it.
    """

    name: str
    set_operator: SetOperator | None = None
    if_exists: bool = False


def _string(wanted: Pattern, actual: str) -> bool:
    return wanted.text == actual


def _string_ignoring_case(wanted: Pattern, actual: str) -> bool:
    return wanted.text.lower() == actual.lower()


def _arn(wanted: Pattern, actual: str) -> bool:
    """Match each of the six parts by itself; ArnEquals and ArnLike behave the same."""
    if wanted.tokens == (Wildcard.MANY,):
        return True
    patterns = wanted.split(":", _ARN_PARTS - 1)
    parts = actual.split(":", _ARN_PARTS - 1)
    is_arn = len(patterns) == len(parts) == _ARN_PARTS
    return is_arn and all(map(Pattern.matches, patterns, parts))


def _network(wanted: Pattern, actual: str) -> bool:
    """Return True if an address is in a network; one without a prefix length is one address."""
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted.text, strict=False)
    except ValueError:
        return False


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _date(text: str) -> datetime | None:
    """Read the W3C's forms of ISO 8601, and seconds since 1970; four digits are a year."""
    found = _DATE.match(text)
    try:
        if found is None:
            seconds = _number(text)
            return None if seconds is None else _EPOCH + timedelta(seconds=float(seconds))
        moment = datetime(
            int(found["year"]),
            int(found["month"] or 1),
            int(found["day"] or 1),
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            int(found["second"] or 0),
            tzinfo=timezone.utc,
        )
        return moment - _offset(found["zone"])
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    size = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return -size if zone[0] == "-" else size


def _is_arn(text: str) -> bool:
    return text == "*" or text.count(":") >= _ARN_PARTS - 1


def _is_boolean(text: str) -> bool:
    return text.lower() in ("true", "false")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _reading(
    read: Callable[[str], _Read | None], holds: Callable[[_Read, _Read], bool], words: str = "is"
) -> Operator:
    """Return an operator that reads both values before it compares them."""

    def compares(wanted: Pattern, actual: str) -> bool:
        left, right = read(actual), read(wanted.text)
        return left is not None and right is not None and holds(left, right)

    return Operator(compares=compares, reads=lambda text: read(text) is not None, words=words)


def _orders(prefix: str, read: Callable[[str], _Comparable | None], *words: str) -> Operators:
    less, at_most, more, at_least = words
    return {
        **_pair(f"{prefix}Equals", f"{prefix}NotEquals", _reading(read, operator.eq)),
        f"{prefix}LessThan": _reading(read, operator.lt, less),
        f"{prefix}LessThanEquals": _reading(read, operator.le, at_most),
        f"{prefix}GreaterThan": _reading(read, operator.gt, more),
        f"{prefix}GreaterThanEquals": _reading(read, operator.ge, at_least),
    }


def _pair(positive: str, negative: str, one: Operator) -> Operators:
    other = replace(one, negated=True, words=one.words.replace("is", "is not", 1))
    return {positive: one, negative: other}


_ARN: Final = Operator(compares=_arn, reads=_is_arn, has_variables=True, words="is like")
_LIKE: Final = Operator(compares=Pattern.matches, has_variables=True, words="is like")
_IGNORING_CASE: Final = Operator(compares=_string_ignoring_case, has_variables=True)

OPERATORS: Final[Operators] = {
    **_pair("StringEquals", "StringNotEquals", Operator(compares=_string, has_variables=True)),
    **_pair(
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        replace(_IGNORING_CASE, words="is (in any case)"),
    ),
    **_pair("StringLike", "StringNotLike", _LIKE),
    **_pair("ArnEquals", "ArnNotEquals", _ARN),
    **_pair("ArnLike", "ArnNotLike", _ARN),
    **_orders("Numeric", _number, "is less than", "is at most", "is more than", "is at least"),
    **_orders("Date", _date, "is before", "is not after", "is after", "is not before"),
    "Bool": replace(_IGNORING_CASE, reads=_is_boolean),
    "BinaryEquals": _reading(_bytes, operator.eq),
    **_pair(
        "IpAddress", "NotIpAddress", Operator(compares=_network, reads=_is_network, words="is in")
    ),
}
"""Every operator but ``Null``, which is about the key and not its value."""


def read_operator(text: str) -> ConditionOperator | None:
    """Read an operator with its prefix and suffix; return ``None`` if there is no such one."""
    prefixes: dict[str, SetOperator] = {
        "ForAllValues:": "ForAllValues",
        "ForAnyValue:": "ForAnyValue",
    }
    rest = text.rpartition(":")[2]
    prefix = text.removesuffix(rest)
    name = rest.removesuffix("IfExists")
    if text == "Null":
        return ConditionOperator(name=text)
    if name not in OPERATORS or (prefix and prefix not in prefixes):
        return None
    return ConditionOperator(name=name, set_operator=prefixes.get(prefix), if_exists=name != rest)


def can_compare(test: ConditionOperator, value: str) -> bool:
    """Return True if an operator can compare with a policy's value."""
    if test.name == "Null":
        return _is_boolean(value)
    kind = OPERATORS[test.name]
    return kind.reads(value) or (kind.has_variables and "${" in value)


def is_met(
    test: ConditionOperator,
    key: str,
    values: Sequence[str],
    context: Context,
    *,
    variables: bool = True,
) -> bool:
    """Return True if a call meets one condition: one operator, one key, any of its values.

    One value of the policy is enough; for a negated operator none may agree. ``variables`` is True
    if the policy's version has variables.
    """
    # An empty value counts as none: Null asks "if the key exists and its value is not null", and
    # ForAllValues is true for "context keys with empty values".
    actual = tuple(value for value in context.get(key.lower(), ()) if value)
    if test.name == "Null":
        return any(value.lower() == ("false" if actual else "true") for value in values)
    kind = OPERATORS[test.name]
    if key.lower() not in context:
        return test.if_exists or _when_missing(test, kind)
    if test.set_operator and not actual:
        return _when_missing(test, kind)
    allowed = [
        expand(value, context, variables=variables and kind.has_variables) for value in values
    ]

    def agrees(one: str) -> bool:
        return any(wanted is not None and kind.compares(wanted, one) for wanted in allowed)

    if test.set_operator == "ForAllValues":
        return all(agrees(one) != kind.negated for one in actual)
    if test.set_operator == "ForAnyValue":
        return any(agrees(one) != kind.negated for one in actual)
    # AWS asks for a set operator if a key has several values, and does not document what happens
    # without one. Here it is as with one value: any may agree, or none for a negated operator.
    return any(agrees(one) for one in context[key.lower()]) != kind.negated


def _when_missing(test: ConditionOperator, kind: Operator) -> bool:
    """Return True for ForAllValues, False for ForAnyValue; else True for a negated operator."""
    if test.set_operator is None:
        return kind.negated
    return test.set_operator == "ForAllValues"
