"""Conditions are met as AWS documents it.

The tables follow the IAM User Guide: "IAM JSON policy elements: Condition operators",
"Single-valued vs. multivalued context keys", "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.policy.conditions import OPERATORS, ConditionOperator, is_met, read_operator
from sm_private_client.policy.matching import Pattern, expand

if TYPE_CHECKING:
    from collections.abc import Mapping


def met(
    operator: str,
    wanted: str | list[str],
    actual: str | list[str] | None,
    *,
    variables: bool = True,
    call: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Return True if the key ``k`` with the actual value meets the operator's wanted ones."""
    read = read_operator(operator)
    assert read is not None
    context: dict[str, tuple[str, ...]] = {name: (value,) for name, value in call.items()}
    if actual is not None:
        context["k"] = (actual,) if isinstance(actual, str) else tuple(actual)
    values = [wanted] if isinstance(wanted, str) else wanted
    return is_met(read, "K", values, context, variables=variables)


ONE_VALUE: list[tuple[str, str, str, bool]] = [
    ("StringEquals", "Finance", "Finance", True),
    ("StringEquals", "Finance", "finance", False),
    ("StringEquals", "Fin*", "Finance", False),
    ("StringEquals", "Fin*", "Fin*", True),
    ("StringNotEquals", "Finance", "finance", True),
    ("StringEqualsIgnoreCase", "Finance", "FINANCE", True),
    ("StringNotEqualsIgnoreCase", "Finance", "FINANCE", False),
    ("StringLike", "Fin*", "Finance", True),
    ("StringLike", "F?n*e", "Finance", True),
    ("StringLike", "fin*", "Finance", False),
    ("StringLike", "Fin?", "Finance", False),
    ("StringNotLike", "Fin*", "Finance", False),
    ("NumericEquals", "10", "10.0", True),
    ("NumericEquals", "10", "ten", False),
    ("NumericNotEquals", "10", "11", True),
    ("NumericLessThan", "10", "9", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericGreaterThan", "9", "10", True),
    ("NumericGreaterThan", "9", "9", False),
    ("NumericGreaterThanEquals", "10", "9.99", False),
    ("NumericGreaterThanEquals", "10", "NaN", False),
    ("DateEquals", "2020-04-01T00:00:00Z", "2020-04-01", True),
    ("DateEquals", "2020-04-01T00:00:00Z", "1585699200", True),
    ("DateEquals", "2020-04-01T02:00:00+02:00", "2020-04-01T00:00:00Z", True),
    ("DateEquals", "2020-04-01T12:30:00+12:30", "2020-04-01T00:00:00Z", True),
    ("DateEquals", "2020-04-01T00:00:00-11:30", "2020-04-01T11:30:00Z", True),
    ("DateNotEquals", "2020-04", "2020-04-01T00:00Z", False),
    ("DateLessThan", "2020", "2019-12-31T23:59:59.999Z", True),
    ("DateLessThan", "2020-01-01T00:00:01Z", "not a date", False),
    ("DateLessThanEquals", "2020-06-30", "2020-06-30T00:00:00Z", True),
    ("DateGreaterThan", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", False),
    ("DateGreaterThan", "2020-13-01", "2024-01-01", False),
    ("DateGreaterThan", "2020-01-01", "1e15", False),  # more seconds than a date can have
    ("DateGreaterThan", "2020-01-01", "1e999", False),
    ("DateGreaterThanEquals", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", True),
    ("Bool", "true", "true", True),
    ("Bool", "TRUE", "true", True),
    ("Bool", "false", "true", False),
    ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
    ("BinaryEquals", "QmluYXJ5", "b3RoZXI=", False),
    ("BinaryEquals", "QmluYXJ5", "%%%", False),
    ("IpAddress", "203.0.113.0/24", "203.0.113.77", True),
    ("IpAddress", "203.0.113.0/24", "203.0.114.1", False),
    ("IpAddress", "203.0.113.7/24", "203.0.113.77", True),
    ("IpAddress", "203.0.113.5", "203.0.113.5", True),
    ("IpAddress", "203.0.113.5", "203.0.113.6", False),
    ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", True),
    ("IpAddress", "0.0.0.0/0", "::1", False),
    ("IpAddress", "203.0.113.0/24", "here", False),
    ("IpAddress", "203.0.113.*", "203.0.113.5", False),
    ("NotIpAddress", "203.0.113.0/24", "198.51.100.1", True),
    ("NotIpAddress", "203.0.113.0/24", "203.0.113.1", False),
    ("ArnEquals", "arn:aws:sns:*:123456789012:*", "arn:aws:sns:us-east-1:123456789012:t", True),
    ("ArnEquals", "arn:aws:sns:*:123456789012:*", "arn:aws:sns:us-east-1:999999999999:t", False),
    ("ArnLike", "arn:aws:iam::*:role/ml-?", "arn:aws:iam::123456789012:role/ml-a", True),
    ("ArnLike", "arn:aws:iam::*", "arn:aws:iam::123456789012:role/ml-a", False),
    ("ArnLike", "*", "arn:aws:iam::123456789012:role/ml-a", True),
    ("ArnLike", "arn:aws:logs:*:1:log-group:*", "arn:aws:logs:us-east-1:1:log-group:a:b", True),
    ("ArnNotEquals", "arn:aws:iam::*:role/ml-?", "arn:aws:iam::123456789012:role/ml-a", False),
    ("ArnNotLike", "arn:aws:iam::*:role/ml-?", "arn:aws:iam::123456789012:role/web", True),
    # The guide's example of a string operator that matches where the ARN operator does not.
    (
        "StringLike",
        "arn:aws:someservice:*:111122223333:finance/*",
        "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
        True,
    ),
    (
        "ArnLike",
        "arn:aws:someservice:*:111122223333:finance/*",
        "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
        False,
    ),
]


@pytest.mark.parametrize(("operator", "wanted", "actual", "expected"), ONE_VALUE)
def test_one_value_is_compared_with_one(
    operator: str, wanted: str, actual: str, *, expected: bool
) -> None:
    """Each operator compares as its row of the guide says."""
    assert met(operator, wanted, actual) is expected


def test_every_operator_has_a_row_that_meets_it_or_its_opposite() -> None:
    """No operator is left out of the table."""
    assert {row[0] for row in ONE_VALUE} == set(OPERATORS)


def test_several_values_of_the_policy_are_an_or_and_for_negated_operators_a_nor() -> None:
    """One of several values is enough; a negated operator is met by none of them."""
    assert met("StringEquals", ["hr", "finance"], "finance")
    assert not met("StringEquals", ["hr", "legal"], "finance")
    assert not met("StringNotEquals", ["hr", "finance"], "finance")
    assert met("StringNotEquals", ["hr", "legal"], "finance")


MISSING = [
    ("StringEquals", False),
    ("StringNotEquals", True),
    ("StringNotLike", True),
    ("ArnNotLike", True),
    ("NotIpAddress", True),
    ("NumericNotEquals", True),
    ("Bool", False),
    ("DateLessThan", False),
    ("StringEqualsIfExists", True),
    ("StringNotEqualsIfExists", True),
    ("BoolIfExists", True),
    ("IpAddressIfExists", True),
    ("ForAllValues:StringEquals", True),
    ("ForAllValues:StringNotEquals", True),
    ("ForAnyValue:StringEquals", False),
    ("ForAnyValue:StringNotEquals", False),
    ("ForAnyValue:StringEqualsIfExists", True),
]


@pytest.mark.parametrize(("operator", "expected"), MISSING)
def test_a_key_that_the_call_does_not_have(operator: str, *, expected: bool) -> None:
    """Positive operators fail; negated ones, IfExists and ForAllValues hold; ForAnyValue fails."""
    assert met(operator, "x", None) is expected


@pytest.mark.parametrize(
    ("wanted", "actual", "expected"),
    [
        ("true", None, True),
        ("true", "x", False),
        ("false", None, False),
        ("false", "x", True),
        ("TRUE", None, True),
        (["true", "false"], None, True),
        ("false", "", False),
        ("true", "", True),
    ],
)
def test_null_looks_at_the_key_alone(wanted: Any, actual: str | None, *, expected: bool) -> None:
    """``Null`` with true is met where the key is absent or empty, with false where it is there."""
    assert met("Null", wanted, actual) is expected


SETS: list[tuple[str, list[str], list[str], bool]] = [
    # The guide's table: a request for PostDateTime and UserName, a policy that lists three.
    ("ForAnyValue:StringEquals", ["PostDateTime", "Message", "Tags"], ["PostDateTime", "U"], True),
    ("ForAllValues:StringEquals", ["PostDateTime", "Message"], ["PostDateTime", "U"], False),
    ("ForAllValues:StringEquals", ["ID", "Message", "Tags"], ["Message", "Tags"], True),
    ("ForAllValues:StringLike", ["key1*"], ["key1:legal", "key1:hr"], True),
    ("ForAllValues:StringLike", ["key1*"], ["key1:legal", "key2:hr"], False),
    ("ForAnyValue:StringLike", ["key1*"], ["key2:hr"], False),
    ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], True),
    ("ForAllValues:StringNotEquals", ["a", "b"], ["b", "d"], False),
    ("ForAnyValue:StringNotEquals", ["a", "b"], ["b", "d"], True),
    ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], False),
    ("ForAllValues:StringEquals", ["a"], [""], True),
    ("ForAnyValue:StringEquals", ["a"], [""], False),
    ("ForAnyValue:StringEqualsIfExists", ["a"], ["b"], False),
    ("ForAnyValue:StringEqualsIfExists", ["a"], [""], False),
    ("ForAllValues:StringEqualsIfExists", ["a"], [""], True),
    ("ForAnyValue:StringNotEquals", ["a"], [""], False),
    ("ForAllValues:NumericLessThan", ["10"], ["9", "11"], False),
    # Without a set operator any value may agree; for a negated operator none.
    ("StringEquals", ["a"], ["c", "a"], True),
    ("StringEquals", ["a"], ["c", "d"], False),
    ("StringNotEquals", ["a"], ["c", "a"], False),
    ("StringNotEquals", ["a"], ["c", "d"], True),
    ("StringEquals", [""], [""], True),
    ("StringNotEquals", ["a"], [""], True),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "wanted", "actual", "expected"), SETS)
def test_several_values_of_the_call(
    operator: str, wanted: list[str], actual: list[str], *, expected: bool
) -> None:
    """ForAllValues asks every value of the call, ForAnyValue one of them."""
    assert met(operator, wanted, actual) is expected


def test_null_guards_for_all_values_against_empty_values() -> None:
    """AWS's guard, which ``check`` recommends: nothing passes that has no value at all."""
    for actual in (None, "", ["", ""]):
        assert met("ForAllValues:StringEquals", "a", actual)
        assert not met("Null", "false", actual)


VARIABLES: list[tuple[str, str, str | None, bool]] = [
    ("StringEquals", "${aws:username}", "anna", True),
    ("StringEquals", "${AWS:UserName}", "anna", True),
    ("StringEquals", "${ aws:username }", "anna", True),
    ("StringLike", "home/${aws:username}/*", "home/anna/x", True),
    ("StringLike", "home/${aws:username}/*", "home/otto/x", False),
    ("StringEquals", "${aws:PrincipalTag/team, 'company-wide'}", "company-wide", True),
    ("StringEquals", "${aws:username, 'nobody'}", "anna", True),
    ("StringEquals", "${aws:username, ''}x", "annax", True),
    ("StringLike", "a${*}c", "a*c", True),
    ("StringLike", "a${*}c", "abc", False),
    ("StringLike", "a${?}c", "abc", False),
    ("StringEquals", "${$}{aws:username}", "${aws:username}", True),
    ("StringEquals", "${unknown:key}", "", False),
    ("StringNotEquals", "${unknown:key}", "anna", True),
    ("StringNotLike", "${unknown:key}*", "anna", True),
    ("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/anna", True),
    ("Bool", "${aws:flag}", "true", True),
    # Numbers, dates, binary and addresses have no variables.
    ("NumericEquals", "${aws:number}", "5", False),
    ("IpAddress", "${aws:address}", "10.0.0.1", False),
    ("DateEquals", "${aws:date}", "2020-01-01", False),
    ("BinaryEquals", "${aws:binary}", "QUJD", False),
]


@pytest.mark.parametrize(("operator", "wanted", "actual", "expected"), VARIABLES)
def test_variables_stand_for_the_calls_values(
    operator: str, wanted: str, actual: str, *, expected: bool
) -> None:
    """Where an operator has variables, they are the call's; one without a value equals nothing."""
    values = {
        "aws:username": "anna",
        "aws:flag": "true",
        "aws:number": "5",
        "aws:address": "10.0.0.1",
        "aws:date": "2020-01-01",
        "aws:binary": "QUJD",
    }
    assert met(operator, wanted, actual, call=values) is expected


def test_older_versions_have_no_variables() -> None:
    """``${...}`` is literal text there."""
    assert met("StringEquals", "${aws:username}", "${aws:username}", variables=False)
    assert not met(
        "StringEquals", "${aws:username}", "anna", variables=False, call={"aws:username": "anna"}
    )


def test_a_wildcard_in_a_value_is_literal() -> None:
    """Nobody widens a policy by being called ``*``."""
    assert not met("StringLike", "home/${aws:username}", "home/otto", call={"aws:username": "*"})
    assert met("StringLike", "home/${aws:username}", "home/*", call={"aws:username": "*"})


def test_a_key_with_several_values_is_no_variable() -> None:
    """Only keys with one value can be."""
    assert expand("${aws:tagkeys}", {"aws:tagkeys": ("a", "b")}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("StringLike", ConditionOperator(name="StringLike")),
        ("ForAnyValue:BoolIfExists",
         ConditionOperator(name="Bool", set_operator="ForAnyValue", if_exists=True)),
        ("Null", ConditionOperator(name="Null")),
        ("NullIfExists", None),
        ("ForAnyValue:Null", None),
        ("stringlike", None),
        (":StringLike", None),
        ("ForAll:StringLike", None),
        ("IfExists", None),
        ("", None),
    ],
)  # fmt: skip
def test_operators_are_read_with_prefix_and_suffix(
    text: str, expected: ConditionOperator | None
) -> None:
    """A known operator with what may stand around it; nothing else."""
    assert read_operator(text) == expected


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_wildcards_match_as_a_regular_expression_would(pattern: str, text: str) -> None:
    """``*`` is any run, ``?`` any character, over the whole text."""

    def reference(rest: str, left: str) -> bool:
        if not rest:
            return not left
        if rest[0] == "*":
            return reference(rest[1:], left) or (bool(left) and reference(rest, left[1:]))
        return bool(left) and rest[0] in ("?", left[0]) and reference(rest[1:], left[1:])

    assert Pattern.of(pattern).matches(text) is reference(pattern, text)


def test_many_stars_take_no_time() -> None:
    """A pattern made to be slow is not."""
    assert not Pattern.of("a*" * 200 + "b").matches("a" * 2000)
