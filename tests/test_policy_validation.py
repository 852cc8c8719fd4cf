"""A policy is checked before AWS sees it, and explained in English."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError
from sm_private_client.policy.building import EndpointPolicy, confine_to
from sm_private_client.policy.conditions import OPERATORS
from sm_private_client.policy.diff import diff
from sm_private_client.policy.documents import Problem
from sm_private_client.policy.evaluation import evaluate
from sm_private_client.policy.explaining import explain
from sm_private_client.policy.validation import ENDPOINT_POLICY_SIZE, check

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/ml"
HERE = EndpointPolicy(region="us-east-1", account_id=ACCOUNT)
EXAMPLE = HERE.allow("sagemaker:InvokeEndpoint", endpoint="myEndpoint").document


def policy(**changes: Any) -> dict[str, Any]:
    elements = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "sagemaker:InvokeEndpoint",
        "Resource": f"{ARN}:endpoint/myEndpoint",
    } | changes
    kept = {key: value for key, value in elements.items() if value is not None}
    return {"Version": "2012-10-17", "Statement": [kept]}


def found(document: Any, **options: Any) -> list[tuple[str, str, str]]:
    return [(p.severity, p.place, p.message) for p in check(document, **options)]


@pytest.mark.parametrize(
    ("document", "options"),
    [
        (EXAMPLE, {}),
        (EXAMPLE, {"endpoint_service": "com.amazonaws.us-east-1.sagemaker.runtime"}),
        (EXAMPLE, {"region": "us-east-1", "account_id": ACCOUNT}),
        (HERE.allow_invoking("a", "b-*").document, {"endpoint_service": "sagemaker.runtime"}),
        (HERE.allow_within("o-1").document, {"endpoint_service": "sagemaker.api"}),
        (HERE.allow_invoking("a").deny_outside("o-1").document, {}),
        (confine_to(organization_id="o-1", effect="Deny"), {"kind": "scp"}),
        (EndpointPolicy().allow("sagemaker:*", endpoint="x").document, {"region": "cn-north-1"}),
        (HERE.allow("sagemaker:List*").document, {}),
        (HERE.allow("sagemaker:CreateEndpoint", endpoint="x", endpoint_config="x").document, {}),
        (HERE.allow("sagemaker:AddTags", model="x").document, {}),
        (HERE.allow("SageMaker:invokeEndpoint", endpoint="x").document, {}),
        (HERE.allow("s3:GetObject", resource="arn:aws:s3:::b/*").document, {}),
        (HERE.allow("sagemaker:InvokeEndpoint", resource=f"{ARN}:end*").document, {}),
        (HERE.allow("sagemaker:DescribeDevice", device="fleet/device/d").document, {}),
        (HERE.allow("sagemaker:*", endpoint="${aws:username}").document, {}),
        (confine_to(vpc_endpoint_ids="vpce-1"), {"kind": "identity"}),
        (confine_to(vpc_id="vpc-1", effect="Deny"), {"kind": "scp"}),
        (HERE.allow("sagemaker-mlflow:CreateExperiment").document, {}),
        (
            HERE.allow("s3:*", resource="arn:aws:s3:::b/*").document,
            {"region": "eu-west-1", "account_id": ACCOUNT},
        ),
        (EXAMPLE, {"endpoint_service": "com.amazonaws.us-east-1.s3"}),
        (
            policy(
                Effect="Deny",
                Principal=None,
                Condition={"StringNotEquals": {"sagemaker:TargetModel": "a"}},
            ),
            {"kind": "identity"},
        ),
        (
            policy(Effect="Deny", Principal=None, Condition={"Null": {"aws:SourceVpc": "true"}}),
            {"kind": "identity"},
        ),
    ],
)
def test_what_is_well_has_no_problem(document: Any, options: dict[str, Any]) -> None:
    """Nothing is said about AWS's example, nor about what the builders make."""
    assert check(document, **options) == ()


UNREADABLE = [
    ("IpAddress", "10.0.0.0/33"),
    ("NotIpAddressIfExists", "10.0.0.*"),
    ("NumericLessThan", "ten"),
    ("DateGreaterThan", "2020-01-01T00:00:00"),
    ("Bool", "yes"),
    ("BinaryEquals", "%%%"),
    ("ArnNotLike", "role/ml"),
    ("Null", "absent"),
]


@pytest.mark.parametrize(("operator", "value"), UNREADABLE)
def test_values_that_an_operator_cannot_read_are_errors(operator: str, value: str) -> None:
    """A Deny with one would let everything pass, a negated Allow too."""
    document = policy(Condition={operator: {"sagemaker:TargetModel": value}})
    name = operator.removesuffix("IfExists")
    assert found(document) == [
        (
            "error",
            f"Statement[0].Condition.{operator}.sagemaker:TargetModel",
            f"{value!r} is no value for {name}: nothing ever agrees with it.",
        )
    ]


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("IpAddress", "10.0.0.0/8"),
        ("IpAddress", "10.0.0.1/8"),
        ("IpAddress", "2001:db8::/64"),
        ("NumericLessThan", 10),
        ("DateGreaterThan", "2020-01-01T00:00:00Z"),
        ("Bool", False),
        ("Bool", "${aws:PrincipalTag/flag}"),
        ("BinaryEquals", "QUJD"),
        ("ArnLike", "*"),
        ("ArnLike", "arn:aws:iam::*:role/${aws:username}"),
        ("Null", True),
        ("StringEquals", ""),
    ],
)
def test_values_that_an_operator_can_read_are_not(operator: str, value: Any) -> None:
    """Variables, where an operator has them, are not known before a call."""
    assert found(policy(Condition={operator: {"sagemaker:TargetModel": value}})) == []


FOUND: list[tuple[Any, dict[str, Any], str, str, str]] = [
    ("{", {}, "error", "line 1 column 2",
     "The policy document is not JSON: Expecting property name enclosed in double quotes: "
     "line 1 column 2 (char 1)."),
    (policy(Effect="allow"), {}, "error", "Statement[0].Effect", "Statement[0].Effect is 'allow'."),
    (policy(Action=["sagemaker:InvokeEndpiont", "sagemaker:InvokeEndpoint"]), {}, "error",
     "Statement[0].Action[0]", "sagemaker:InvokeEndpiont is no action of SageMaker."),
    (policy(Action="sagemaker-runtime:InvokeEndpoint"), {}, "error", "Statement[0].Action",
     "sagemaker-runtime:InvokeEndpoint is no action: boto3's services share the prefix "
     "sagemaker."),
    (policy(Action="SageMaker-Runtime:InvokeEndpoint"), {}, "error", "Statement[0].Action",
     "SageMaker-Runtime:InvokeEndpoint is no action: boto3's services share the prefix "
     "sagemaker."),
    (policy(Action="sagemaker:Invok?Endpoints*", Resource="*"), {}, "error", "Statement[0].Action",
     "sagemaker:Invok?Endpoints* matches no action of SageMaker."),
    (policy(Resource="myEndpoint"), {}, "error", "Statement[0].Resource", "myEndpoint is no ARN."),
    (policy(Resource=f"{ARN}:endpoint-config/x"), {}, "error", "Statement[0].Action",
     "sagemaker:InvokeEndpoint never applies: it acts on endpoint and inference-component, and "
     "no resource of the statement is that."),
    (policy(Resource=f"{ARN}:endpoint"), {}, "error", "Statement[0].Action",
     "sagemaker:InvokeEndpoint never applies: it acts on endpoint and inference-component, and "
     "no resource of the statement is that."),
    (policy(Resource=None, NotResource="myEndpoint"), {}, "error", "Statement[0].NotResource",
     "myEndpoint is no ARN."),
    (policy(Action=None, NotAction="sagemaker:InvokeEndpoints"), {}, "error",
     "Statement[0].NotAction", "sagemaker:InvokeEndpoints is no action of SageMaker."),
    (policy(Resource=f"{ARN}:mod*"), {}, "error", "Statement[0].Action",
     "sagemaker:InvokeEndpoint never applies: it acts on endpoint and inference-component, and "
     "no resource of the statement is that."),
    (policy(Action="sagemaker:ListEndpoints"), {}, "error", "Statement[0].Action",
     "sagemaker:ListEndpoints never applies: it acts on no particular resource, and no resource "
     "of the statement is that."),
    (policy(Resource=[f"{ARN}:endpoint/x", f"{ARN}:model/x"]), {}, "error",
     "Statement[0].Resource[1]", f"no action of the statement acts on {ARN}:model/x."),
    (policy(Resource=[f"{ARN}:endpoint/x", "arn:aws:s3:::x"]), {}, "error",
     "Statement[0].Resource[1]", "no action of the statement acts on arn:aws:s3:::x."),
    (policy(Resource=[f"{ARN}:endpoint/x", "arn:aws:s3:::endpoint/x"]), {}, "error",
     "Statement[0].Resource[1]", "no action of the statement acts on arn:aws:s3:::endpoint/x."),
    (policy(), {"region": "eu-west-1"}, "error", "Statement[0].Resource",
     "it is in us-east-1, but calls are made in eu-west-1: it never matches."),
    (policy(), {"account_id": "999999999999"}, "warning", "Statement[0].Resource",
     f"it is in account {ACCOUNT}, not in 999999999999."),
    (policy(Resource="arn:aws:sagemaker:us-east-1:12345:endpoint/x"), {}, "error",
     "Statement[0].Resource", "12345 is no account id."),
    (policy(Resource=f"arn:aws:sagemaker:cn-north-1:{ACCOUNT}:endpoint/x"), {}, "error",
     "Statement[0].Resource", "it is in partition aws, but cn-north-1 is in aws-cn."),
    (policy(Resource="arn:aws:sagemaker:us-east-1:${aws:PrincipalAccount}:endpoint/x"), {}, "error",
     "Statement[0].Resource",
     "a policy variable stands before the fifth colon, where there are none."),
    (policy(Condition={"StringEquals": {"aws:SourceVpcArn": "x"}}), {}, "error",
     "Statement[0].Condition.StringEquals.aws:SourceVpcArn",
     "SageMaker's calls do not have aws:SourceVpcArn: AWS gives it for listed services only."),
    (policy(Condition={"StringEquals": {"AWS:vpceaccount": ACCOUNT}}), {}, "error",
     "Statement[0].Condition.StringEquals.AWS:vpceaccount",
     "SageMaker's calls do not have AWS:vpceaccount: AWS gives it for listed services only."),
    (policy(Condition={"StringEquals": {"sagemaker:TargetModels": "x"}}), {}, "error",
     "Statement[0].Condition.StringEquals.sagemaker:TargetModels",
     "sagemaker:TargetModels is no condition key that is known."),
    (policy(Condition={"StringEquals": {"aws:SourceVpcs": "x"}}), {}, "warning",
     "Statement[0].Condition.StringEquals.aws:SourceVpcs",
     "aws:SourceVpcs is no condition key that is known."),
    (policy(Condition={"StringEquals": {"s3:prefix": "x"}}), {}, "warning",
     "Statement[0].Condition.StringEquals.s3:prefix",
     "s3:prefix is another service's key; SageMaker's calls do not have it."),
    (policy(Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), {}, "warning",
     "Statement[0].Condition.IpAddress.aws:SourceIp",
     "calls through a VPC endpoint do not have aws:SourceIp."),
    (policy(Condition={"ForAllValues:StringEquals": {"aws:TagKeys": "x"}}), {}, "warning",
     "Statement[0].Condition.ForAllValues:StringEquals.aws:TagKeys",
     "ForAllValues also holds for calls that do not have the key."),
    (policy(Action="*", Resource="*"), {}, "warning", "Statement[0]",
     "everybody may do everything, as without a policy."),
    (policy(Effect="Deny"), {}, "warning", "Statement",
     "no statement allows anything, so no call passes the VPC endpoint."),
    (policy(Action="sagemaker:InvokeEndpointWithResponseStream"), {}, "warning", "Statement",
     "sagemaker:InvokeEndpointWithResponseStream alone lets no stream pass: streams are "
     "authorized as sagemaker:InvokeEndpoint."),
    (policy(Effect="Deny", Principal=None, Condition={"StringNotEquals": {"aws:SourceVpc": "v"}}),
     {"kind": "scp"}, "warning", "Statement[0].Condition",
     "the Deny also hits AWS services, which call for others or for themselves."),
    (policy(Principal=None), {}, "error", "Statement[0]",
     "the policy of a VPC endpoint names its principals."),
    (policy(), {"kind": "identity"}, "error", "Statement[0].Principal",
     "policies of identities and organizations name no principals."),
    (policy(Principal=None, Sid="My statement"), {"kind": "identity"}, "error", "Statement[0].Sid",
     "'My statement' has other characters than letters and digits."),
    (policy(Principal=None) | {"Id": "x"}, {"kind": "identity"}, "warning", "Id",
     "the grammar has no Id in policies of identities."),
    (policy(Principal={"AWS": ["*", f"arn:aws:iam::{ACCOUNT}:role/*"]}), {}, "error",
     "Statement[0].Principal.AWS[1]",
     f"arn:aws:iam::{ACCOUNT}:role/* has a wildcard, which matches no part of a principal."),
    (policy(Principal=None, NotPrincipal={"AWS": ACCOUNT}), {}, "warning",
     "Statement[0].NotPrincipal",
     "an Allow with NotPrincipal lets everybody else in the world pass."),
    (policy(Resource=f"{ARN}:endpoint/${{aws:username}}") | {"Version": "2008-10-17"}, {},
     "warning", "Version",
     "there are policy variables, but this version has none: they are literal text."),
    (EXAMPLE, {"endpoint_service": "com.amazonaws.us-east-1.sagemaker.runtime-fips"}, "error", "",
     "VPC endpoints of sagemaker-runtime (FIPS) do not support policies."),
    (HERE.allow("sagemaker:CreateEndpoint").document, {"endpoint_service": "sagemaker.api-fips"},
     "warning", "", "VPC endpoints of sagemaker (FIPS) are not documented to support policies."),
    (EXAMPLE, {"endpoint_service": "aws.sagemaker.us-east-1.experiments"}, "warning", "",
     "VPC endpoints of experiments (browser) are not documented to support policies."),
    (HERE.allow("sagemaker:CreateEndpoint", "sagemaker:Invoke*").document,
     {"endpoint_service": "sagemaker.runtime"}, "warning", "Statement[0].Action[0]",
     "sagemaker:CreateEndpoint does not come through sagemaker.runtime."),
    (EXAMPLE, {"endpoint_service": "sagemaker.api"}, "warning", "Statement[0].Action",
     "sagemaker:InvokeEndpoint does not come through sagemaker.api."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "options", "severity", "place", "message"), FOUND, ids=[row[4] for row in FOUND]
)
def test_each_problem_is_found_with_its_place(
    document: Any, options: dict[str, Any], severity: str, place: str, message: str
) -> None:
    """One thing is wrong, and that is what is said, with what to do about it."""
    assert found(document, **options) == [(severity, place, message)]
    (problem,) = check(document, **options)
    assert problem.remedy.endswith((".", "?"))


@pytest.mark.parametrize("name", ["sagemaker-runtime", "com.amazonaws.us-east-1.sagemaker.runtme"])
def test_an_endpoint_service_that_is_none_is_refused(name: str) -> None:
    """A misspelt one does not silently take its checks away."""
    with pytest.raises(ConfigurationError, match="is no endpoint service of SageMaker"):
        check(EXAMPLE, endpoint_service=name)


def test_a_misspelt_action_names_the_one_that_was_meant() -> None:
    """In the remedy, and on the line that commands print."""
    (problem,) = check(policy(Action="sagemaker:InvokeEndpiont"))
    assert str(problem) == (
        "error at Statement[0].Action: sagemaker:InvokeEndpiont is no action of SageMaker. "
        "Remedy: did you mean sagemaker:InvokeEndpoint?"
    )
    whole = Problem(severity="error", place="", message="It is wrong.", remedy="Right it.")
    assert str(whole) == "error: It is wrong. Remedy: Right it."


def test_the_size_counts_white_space_as_it_is_given() -> None:
    """20,480 characters pass, one more does not; a document that is no text counts at its least."""
    text = HERE.allow("sagemaker:InvokeEndpoint", endpoint="x").to_json()
    at_most = text + " " * (ENDPOINT_POLICY_SIZE - len(text))
    assert check(at_most) == ()
    assert found(at_most + "\n") == [
        (
            "error",
            "",
            "the document has 20,481 characters, white space included; 20,480 is the most.",
        )
    ]
    assert check(at_most + "\n", kind="scp")[0].place == "Statement[0].Principal"
    many = HERE.allow("sagemaker:InvokeEndpoint", endpoint=[f"e{n:060}" for n in range(400)])
    assert "is the most" in check(many.document)[0].message


def test_a_denial_that_spares_the_services_is_well() -> None:
    """Both exceptions are asked for, and each by its name."""
    where = {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}
    spared = {"Bool": {"aws:ViaAWSService": "false", "aws:PrincipalIsAWSService": "false"}}
    denied = policy(Effect="Deny", Principal=None, Condition=where | spared)
    assert check(denied, kind="identity") == ()
    half = policy(
        Effect="Deny", Principal=None, Condition=where | {"Bool": {"aws:ViaAWSService": "false"}}
    )
    (problem,) = check(half, kind="identity")
    assert problem.remedy == 'add BoolIfExists with "aws:PrincipalIsAWSService": "false".'


@given(
    st.text("*?:/aesgmkr$I{}-", max_size=12).map(lambda text: f"sagemaker:{text}"),
    st.text("arn:*/endpoi$?{}1", max_size=30),
)
def test_whatever_is_written_is_looked_over(action: str, resource: str) -> None:
    """No document makes ``check`` fail."""
    for problem in check(policy(Action=action, Resource=resource), region="us-east-1"):
        assert problem.severity in ("error", "warning")


# In English


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (
            EXAMPLE,
            "Everybody may do sagemaker:InvokeEndpoint (response streams included) on inference "
            f"endpoint myEndpoint in us-east-1 of account {ACCOUNT}.",
        ),
        (HERE.allow("*").document, "Everybody may do anything on everything."),
        (
            EndpointPolicy().allow("sagemaker:InvokeEndpoint*", endpoint="*").document,
            "Everybody may do sagemaker:InvokeEndpoint* (InvokeEndpoint, InvokeEndpointAsync, "
            "InvokeEndpointWithResponseStream) on any inference endpoint in any region of any "
            "account.",
        ),
        (
            HERE.deny("sagemaker:Nothing*", "s3:*", principal=ROLE).document,
            f"Role ml of account {ACCOUNT} may not do sagemaker:Nothing* (no action) and s3:* on "
            "everything.",
        ),
        (
            HERE.allow("sagemaker:DescribeModel", principal=ACCOUNT, model=["a", "b"]).document,
            f"Everybody of account {ACCOUNT} may do sagemaker:DescribeModel on model a in "
            f"us-east-1 of account {ACCOUNT} and model b in us-east-1 of account {ACCOUNT}.",
        ),
        (
            confine_to(vpc_endpoint_ids=["vpce-1", "vpce-2"]),
            "Whoever has this policy may do sagemaker:* (460 actions) on everything, if "
            "aws:SourceVpce is vpce-1 or vpce-2.",
        ),
        (
            confine_to(vpc_id="vpc-1", effect="Deny"),
            "Whoever has this policy may not do sagemaker:* (460 actions) on everything, if "
            "aws:SourceVpc is not vpc-1 (or is absent) and aws:ViaAWSService is "
            "false (or is absent) and aws:PrincipalIsAWSService is false (or is absent).",
        ),
        (
            policy(
                Principal={"Federated": "accounts.google.com", "CanonicalUser": "79a59df9"},
                Action="s3:*",
                Resource="*",
            ),
            "Whoever accounts.google.com vouches for and the canonical user 79a59df9 may do s3:* "
            "on everything.",
        ),
        (
            policy(
                Principal=None,
                NotPrincipal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/a/anna", "Service": "x"},
                Action=None,
                NotAction="sagemaker:Delete*",
                Resource=None,
                NotResource="arn:aws:s3:::b",
                Condition={
                    "Null": {"aws:SourceVpce": "false"},
                    "ForAnyValue:StringLike": {"aws:TagKeys": "a*"},
                },
            ),
            f"Everybody but user anna of account {ACCOUNT} and the AWS service x may do anything "
            "but sagemaker:Delete* (67 actions) on everything but arn:aws:s3:::b, if "
            "aws:SourceVpce is present and a value of aws:TagKeys is like a*.",
        ),
    ],
)
def test_a_statement_is_one_english_line(document: Any, line: str) -> None:
    """Who may do what on what, and when; wildcards with what they really mean."""
    assert explain(document) == (line,)


def test_every_operator_has_words() -> None:
    """No condition is left out of the line."""
    for operator in OPERATORS:
        (line,) = explain(policy(Condition={operator: {"aws:SourceVpc": "x"}}))
        assert ", if aws:SourceVpc is" in line


# What changes


def test_a_change_of_policy_is_told_by_rights() -> None:
    """Only calls that are decided otherwise are listed, in the order they were given."""
    new = HERE.allow("sagemaker:InvokeEndpoint*", endpoint="other").document
    actions = ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync", "sagemaker:Search"]
    mine, other = f"{ARN}:endpoint/myEndpoint", f"{ARN}:endpoint/other"
    changes = diff(EXAMPLE, new, actions=actions, resources=[mine, other], principals=[ROLE])
    assert [str(change) for change in changes] == [
        f"- {ROLE} sagemaker:InvokeEndpoint {mine}",
        f"+ {ROLE} sagemaker:InvokeEndpoint {other}",
        f"+ {ROLE} sagemaker:InvokeEndpointAsync {other}",
    ]
    assert [change.is_given for change in changes] == [False, True, True]
    assert changes[0].before == evaluate(
        EXAMPLE, principal=ROLE, action="sagemaker:InvokeEndpoint", resource=mine
    )
    assert diff(new, new, actions=actions, resources=[mine, other], principals=[ROLE]) == ()


def test_a_change_of_policy_is_judged_in_the_context_of_the_calls() -> None:
    """A right that depends on the VPC is given to calls that come from there, and to no others."""
    new = policy(Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})

    def changes(context: dict[str, str] | None) -> list[bool]:
        return [
            change.is_given
            for change in diff(
                HERE.deny("*").document,
                new,
                actions=["sagemaker:InvokeEndpoint"],
                resources=[f"{ARN}:endpoint/myEndpoint"],
                principals=[ROLE],
                context=context,
            )
        ]

    assert changes({"aws:SourceVpc": "vpc-1"}) == [True]
    assert changes({"aws:SourceVpc": "vpc-2"}) == []
    assert changes(None) == []
