"""Policy documents are read strictly, and written back the same."""

from __future__ import annotations

import contextlib
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import PolicyError
from sm_private_client.policy.conditions import OPERATORS
from sm_private_client.policy.documents import (
    VERSIONS,
    Condition,
    Effect,
    PolicyDocument,
    Principals,
    Statement,
    to_json,
)
from sm_private_client.policy.parsing import parse

AWS_EXAMPLE: dict[str, Any] = {
    "Statement": [
        {
            "Action": "sagemaker:InvokeEndpoint",
            "Effect": "Allow",
            "Resource": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/myEndpoint",
            "Principal": "*",
        }
    ]
}
GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}


def with_statement(**changes: Any) -> dict[str, Any]:
    statement = GOOD | changes
    kept = {key: value for key, value in statement.items() if value is not ...}
    return {"Statement": [GOOD | {"Sid": "first"}, kept]}


def test_the_example_of_aws_is_read() -> None:
    """AWS's own example gives one statement with everything in its place."""
    (statement,) = parse(AWS_EXAMPLE).statements
    assert statement == Statement(
        effect="Allow",
        principal=Principals(anyone=True),
        actions=("sagemaker:InvokeEndpoint",),
        resources=("arn:aws:sagemaker:us-east-1:123456789012:endpoint/myEndpoint",),
    )
    assert parse(AWS_EXAMPLE).version is None
    assert parse(AWS_EXAMPLE).as_dict() == AWS_EXAMPLE


def test_every_form_of_an_element_is_read() -> None:
    """A string, a list, a mapping of principals, numbers and booleans as values; order is kept."""
    document = parse(
        json.dumps(
            {
                "Version": "2012-10-17",
                "Id": "forms",
                "Statement": {
                    "Sid": "One",
                    "Effect": "Deny",
                    "NotPrincipal": {
                        "AWS": ["123456789012", "arn:aws:iam::123456789012:role/x"],
                        "Service": "sagemaker.amazonaws.com",
                        "Federated": "accounts.google.com",
                        "CanonicalUser": "79a59df9",
                    },
                    "NotAction": ["sagemaker:*", "s3:Get*"],
                    "NotResource": ["arn:aws:s3:::b", "arn:aws:s3:::a"],
                    "Condition": {
                        "Bool": {"aws:SecureTransport": True},
                        "NumericLessThan": {"s3:max-keys": [10, 2.5]},
                    },
                },
            }
        )
    )
    assert document == PolicyDocument(
        version="2012-10-17",
        id="forms",
        statements=(
            Statement(
                sid="One",
                effect="Deny",
                not_principal=Principals(
                    aws=("123456789012", "arn:aws:iam::123456789012:role/x"),
                    service=("sagemaker.amazonaws.com",),
                    federated=("accounts.google.com",),
                    canonical_user=("79a59df9",),
                ),
                not_actions=("sagemaker:*", "s3:Get*"),
                not_resources=("arn:aws:s3:::b", "arn:aws:s3:::a"),
                conditions=(
                    Condition(operator="Bool", key="aws:SecureTransport", values=("true",)),
                    Condition(operator="NumericLessThan", key="s3:max-keys", values=("10", "2.5")),
                ),
            ),
        ),
    )


REFUSED: list[tuple[Any, str, str]] = [
    ([], "", "The policy document is a list."),
    ({}, "Statement", "Statement is missing."),
    ({"Statement": []}, "Statement", "Statement is an empty list."),
    ({"Statement": "*"}, "Statement", "Statement is a string."),
    ({"Statement": [1]}, "Statement[0]", "Statement[0] is a number."),
    ({"Statements": []}, "Statements", "Statements is no element of the policy language."),
    ({"Version": "2012-10-18", **AWS_EXAMPLE}, "Version", "Version is '2012-10-18'."),
    ({"Version": 2012, **AWS_EXAMPLE}, "Version", "Version is a number."),
    (with_statement(Effect="allow"), "Statement[1].Effect", "Statement[1].Effect is 'allow'."),
    (with_statement(Effect=...), "Statement[1].Effect", "Statement[1].Effect is missing."),
    (with_statement(Effect=["Allow"]), "Statement[1].Effect", "Statement[1].Effect is ['Allow']."),
    (with_statement(Sid=7), "Statement[1].Sid", "Statement[1].Sid is a number."),
    (with_statement(Sid="first"), "Statement[1].Sid",
     "Statement[1].Sid is 'first', as that of Statement[0]."),
    (with_statement(Action=...), "Statement[1]", "Statement[1] has neither Action nor NotAction."),
    (with_statement(NotAction="*"), "Statement[1]", "Statement[1] has both Action and NotAction."),
    (with_statement(Action=[]), "Statement[1].Action", "Statement[1].Action is an empty list."),
    (with_statement(Action=None), "Statement[1].Action", "Statement[1].Action is null."),
    (with_statement(Action=["*", 1]), "Statement[1].Action[1]",
     "Statement[1].Action[1] is a number."),
    (with_statement(Action=""), "Statement[1].Action", "Statement[1].Action is empty."),
    (with_statement(Action="InvokeEndpoint"), "Statement[1].Action",
     "Statement[1].Action is 'InvokeEndpoint'."),
    (with_statement(Action=["*", "sagemaker:Invoke Endpoint"]), "Statement[1].Action[1]",
     "Statement[1].Action[1] is 'sagemaker:Invoke Endpoint'."),
    (with_statement(Resource=...), "Statement[1]",
     "Statement[1] has neither Resource nor NotResource."),
    (with_statement(NotResource="*"), "Statement[1]",
     "Statement[1] has both Resource and NotResource."),
    (with_statement(NotPrincipal="*"), "Statement[1]",
     "Statement[1] has both Principal and NotPrincipal."),
    (with_statement(Principal="me"), "Statement[1].Principal", "Statement[1].Principal is 'me'."),
    (with_statement(Principal={}), "Statement[1].Principal",
     "Statement[1].Principal is an empty object."),
    (with_statement(Principal={"Aws": "*"}), "Statement[1].Principal.Aws",
     "Statement[1].Principal.Aws is no element of the policy language."),
    (with_statement(Principal={"AWS": []}), "Statement[1].Principal.AWS",
     "Statement[1].Principal.AWS is an empty list."),
    (with_statement(Condition={"StringEqual": {"aws:SourceVpc": "vpc-1"}}),
     "Statement[1].Condition.StringEqual",
     "Statement[1].Condition.StringEqual is no condition operator."),
    (with_statement(Condition={"ForSomeValues:StringEquals": {"aws:SourceVpc": "vpc-1"}}),
     "Statement[1].Condition.ForSomeValues:StringEquals",
     "Statement[1].Condition.ForSomeValues:StringEquals is no condition operator."),
    (with_statement(Condition={"NullIfExists": {"aws:SourceVpc": "true"}}),
     "Statement[1].Condition.NullIfExists",
     "Statement[1].Condition.NullIfExists is no condition operator."),
    (with_statement(Condition=[]), "Statement[1].Condition",
     "Statement[1].Condition is a list."),
    (with_statement(Condition={"Bool": "true"}), "Statement[1].Condition.Bool",
     "Statement[1].Condition.Bool is a string."),
    (with_statement(Condition={"Bool": {}}), "Statement[1].Condition.Bool",
     "Statement[1].Condition.Bool is empty."),
    (with_statement(Condition={"Bool": {"aws:SecureTransport": []}}),
     "Statement[1].Condition.Bool.aws:SecureTransport",
     "Statement[1].Condition.Bool.aws:SecureTransport is an empty list."),
    (with_statement(Condition={"Bool": {"aws:SecureTransport": None}}),
     "Statement[1].Condition.Bool.aws:SecureTransport",
     "Statement[1].Condition.Bool.aws:SecureTransport is null."),
    (with_statement(Condition={"Bool": {"aws:ViaAWSService": "true", "AWS:viaawsservice": "x"}}),
     "Statement[1].Condition.Bool.AWS:viaawsservice",
     "Statement[1].Condition.Bool.AWS:viaawsservice is there twice, as keys ignore case."),
    (with_statement(Condition={7: {"aws:SourceVpc": "vpc-1"}}), "Statement[1].Condition.7",
     "Statement[1].Condition.7 is no condition operator."),
    ("{", "line 1 column 2", "The policy document is not JSON: Expecting property name enclosed"),
    ('{"Statement": [], "Statement": []}', "Statement", "Statement is there twice in one object."),
]  # fmt: skip


@pytest.mark.parametrize(("document", "place", "what"), REFUSED, ids=[row[2] for row in REFUSED])
def test_what_breaks_the_grammar_is_refused_with_its_place(
    document: Any, place: str, what: str
) -> None:
    """The error names the place, what is wrong, why, and what to write instead."""
    with pytest.raises(PolicyError) as caught:
        parse(document)
    assert caught.value.place == place
    assert caught.value.what.startswith(what)
    assert "\nRemedy: " in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).place == place  # noqa: S301 - our own


def test_the_remedy_says_what_was_meant() -> None:
    """A misspelt element or operator gets the one it is like."""
    with pytest.raises(PolicyError, match=r"Remedy: did you mean Resource\?"):
        parse({"Statement": [GOOD | {"Resources": "*"}]})
    with pytest.raises(PolicyError, match=r"Remedy: did you mean StringEquals\?"):
        parse(with_statement(Condition={"StringEqual": {"aws:SourceVpc": "vpc-1"}}))
    with pytest.raises(PolicyError, match=r"Remedy: did you mean Bool\?"):
        parse(with_statement(Condition={"ForAllValues:Bol": {"aws:ViaAWSService": "true"}}))
    with pytest.raises(PolicyError, match="Remedy: write '2012-10-17'; it names"):
        parse({**AWS_EXAMPLE, "Version": "2012-10-18"})
    values: tuple[Any, ...] = (None, {}, 1)
    for value in values:
        with pytest.raises(PolicyError, match="Remedy: write a string or a list of strings"):
            parse(with_statement(Action=value))


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
some = st.lists(texts, min_size=1, max_size=3).map(tuple)
actions = st.lists(
    st.from_regex(r"\*|[a-zA-Z0-9-]{1,5}:[a-zA-Z*?]{1,8}", fullmatch=True), min_size=1, max_size=3
).map(tuple)
principals = st.just(Principals(anyone=True)) | st.builds(
    Principals, aws=some, service=some | st.just(()), federated=some | st.just(())
)
operators = st.builds(
    lambda prefix, name, suffix: prefix + name + suffix,
    st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(sorted(OPERATORS)),
    st.sampled_from(["", "IfExists"]),
) | st.just("Null")
conditions = st.lists(
    st.builds(Condition, operator=operators, key=texts, values=some),
    max_size=3,
    unique_by=(lambda c: c.operator, lambda c: c.key.lower()),
).map(tuple)


@st.composite
def statements(draw: st.DrawFn, sid: str | None) -> Statement:
    elements: dict[str, Any] = {
        draw(st.sampled_from(["actions", "not_actions"])): draw(actions),
        draw(st.sampled_from(["resources", "not_resources"])): draw(some),
    }
    whom = draw(st.sampled_from(["principal", "not_principal", None]))
    if whom is not None:
        elements[whom] = draw(principals)
    effects: tuple[Effect, ...] = ("Allow", "Deny")
    effect = draw(st.sampled_from(effects))
    return Statement(sid=sid, effect=effect, conditions=draw(conditions), **elements)


@st.composite
def documents(draw: st.DrawFn) -> PolicyDocument:
    sids = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    return PolicyDocument(
        version=draw(st.sampled_from([*VERSIONS, None])),
        id=draw(st.none() | texts),
        statements=tuple(draw(statements(draw(st.sampled_from([sid, None])))) for sid in sids),
    )


@given(documents(), st.sampled_from([None, 2]))
def test_a_document_that_is_written_and_read_is_the_same(
    document: PolicyDocument, indent: int | None
) -> None:
    """``parse`` undoes ``to_json`` and ``as_dict`` for every document."""
    assert parse(to_json(document, indent=indent)) == document
    assert parse(document.as_dict()) == document
    assert parse(document) is document


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["*", "Allow", "a:b", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["Statement", "Effect", "Action", "Resource", "Principal", "Condition",
                         "AWS", "StringEquals", "Sid", "Version"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_whatever_is_given_is_read_or_refused(value: Any) -> None:
    """No input makes another error than PolicyError."""
    with contextlib.suppress(PolicyError):
        parse({"Statement": value} if isinstance(value, (dict, list)) else value)
