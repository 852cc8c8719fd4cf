"""A policy judges a call as AWS would."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import PolicyError
from sm_private_client.policy.caller import ContextValue, GivenContext, endpoint_context
from sm_private_client.policy.documents import PolicyDocument
from sm_private_client.policy.evaluation import (
    Decision,
    denial_message,
    evaluate,
    evaluate_at_vpc_endpoint,
)
from sm_private_client.policy.parsing import parse

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint"
ANNA = f"arn:aws:iam::{ACCOUNT}:user/team/anna"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/ml"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/ml/run-7"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
STRANGER = "arn:aws:iam::999999999999:user/anna"
SERVICE = "sagemaker.amazonaws.com"
AWS_EXAMPLE = {
    "Statement": [
        {
            "Action": "sagemaker:InvokeEndpoint",
            "Effect": "Allow",
            "Resource": f"{ARN}/myEndpoint",
            "Principal": "*",
        }
    ]
}


def statement(effect: str = "Allow", **changes: Any) -> dict[str, Any]:
    elements = {"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*"} | changes
    return {key: value for key, value in elements.items() if value is not None}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def judge(
    document: Any,
    action: str = "sagemaker:InvokeEndpoint",
    resource: str = f"{ARN}/myEndpoint",
    principal: str = SESSION,
    context: GivenContext | None = None,
) -> Decision:
    return evaluate(
        document, principal=principal, action=action, resource=resource, context=context
    )


# AWS's example


@pytest.mark.parametrize("principal", [SESSION, ROLE, ANNA, ROOT, STRANGER, SERVICE])
def test_the_example_of_aws_lets_everybody_invoke_the_one_endpoint(principal: str) -> None:
    """The inference endpoint of the example may be invoked by all."""
    decision = judge(AWS_EXAMPLE, principal=principal)
    assert decision.allowed
    assert decision.effect == "allow"
    assert decision.index == 0
    assert decision.statement == parse(AWS_EXAMPLE).statements[0]
    assert decision.why == (f"Statement[0] allows sagemaker:InvokeEndpoint on {ARN}/myEndpoint.")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:CreateEndpoint", f"{ARN}/myEndpoint"),
        ("sagemaker:DeleteEndpoint", f"{ARN}/myEndpoint"),
        ("sagemaker:InvokeEndpointAsync", f"{ARN}/myEndpoint"),
        ("sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/x"),
        ("sagemaker:ListEndpoints", "*"),
    ],
)
def test_the_example_of_aws_denies_other_api_actions(action: str, resource: str) -> None:
    """Nothing but the one action passes."""
    decision = judge(AWS_EXAMPLE, action, resource)
    assert not decision.allowed
    assert decision == Decision(
        effect="implicit-deny",
        why=f"No statement allows {action} on {resource}: Statement[0] is for other actions.",
    )


@pytest.mark.parametrize(
    "resource",
    [
        f"{ARN}/another",
        f"{ARN}/myendpoint",
        f"{ARN}/myEndpoint2",
        f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/myEndpoint",
        "arn:aws:sagemaker:us-east-1:999999999999:endpoint/myEndpoint",
        f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint-config/myEndpoint",
    ],
)
def test_the_example_of_aws_denies_other_inference_endpoints(resource: str) -> None:
    """Only the one inference endpoint is reached, in its region and account."""
    decision = judge(AWS_EXAMPLE, resource=resource)
    assert decision.effect == "implicit-deny"
    assert decision.why.endswith("Statement[0] is for other resources.")


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"aws:SourceVpce": None},
        {"aws:SourceVpce": "vpce-0fffffffffffffff0"},
        {"aws:SourceIp": "203.0.113.7"},
    ],
)
def test_a_call_that_goes_another_way_is_not_judged(context: dict[str, ContextValue]) -> None:
    """The policy of a VPC endpoint has no say about calls that do not pass it."""
    call: dict[str, Any] = {
        "vpc_endpoint_id": "vpce-0aaaaaaaaaaaaaaa0",
        "principal": SESSION,
        "action": "sagemaker:CreateEndpoint",
        "resource": f"{ARN}/myEndpoint",
    }
    assert evaluate_at_vpc_endpoint(AWS_EXAMPLE, context=context, **call) is None
    inside = endpoint_context(vpc_endpoint_id="vpce-0aaaaaaaaaaaaaaa0")
    decision = evaluate_at_vpc_endpoint(AWS_EXAMPLE, context=inside, **call)
    assert decision is not None
    assert decision.effect == "implicit-deny"


# Elements


ELEMENTS: list[tuple[str, dict[str, Any], bool]] = [
    ("the action's case does not matter", statement(Action="SageMaker:invokeENDPOINT"), True),
    ("wildcards in actions", statement(Action="sagemaker:Invoke*"), True),
    ("one character", statement(Action="sagemaker:InvokeEndpoin?"), True),
    ("another service", statement(Action="s3:*"), False),
    ("one of a list", statement(Action=["s3:*", "sagemaker:*"]), True),
    ("all but others", statement(Action=None, NotAction="s3:*"), True),
    ("all but this", statement(Action=None, NotAction=["s3:*", "sagemaker:InvokeE*"]), False),
    ("wildcards in resources", statement(Resource=f"{ARN}/my*"), True),
    ("the resource's case matters", statement(Resource=f"{ARN}/MY*"), False),
    ("any region and account", statement(Resource="arn:aws:sagemaker:*:*:endpoint/*"), True),
    ("all but other resources", statement(Resource=None, NotResource=f"{ARN}/x"), True),
    ("all but this resource", statement(Resource=None, NotResource=f"{ARN}/my*"), False),
    ("a variable", statement(Resource=f"{ARN}/${{aws:PrincipalTag/e}}"), True),
    ("a variable without a value", statement(Resource=f"{ARN}/${{aws:PrincipalTag/f}}*"), False),
    ("its default", statement(Resource=f"{ARN}/${{aws:PrincipalTag/f, 'myEndpoint'}}"), True),
    (
        "a variable without a value in NotResource matches no resource",
        statement(Resource=None, NotResource="${aws:PrincipalTag/f}*"),
        True,
    ),
]


@pytest.mark.parametrize(
    ("one", "expected"), [row[1:] for row in ELEMENTS], ids=[row[0] for row in ELEMENTS]
)
def test_elements_choose_the_call(one: dict[str, Any], *, expected: bool) -> None:
    """Actions and resources match by wildcards; the Not forms mean everything else."""
    keys = {"aws:PrincipalTag/e": "myEndpoint"}
    assert judge(policy(one), context=keys).allowed is expected
    denied = judge(policy(statement(), one | {"Effect": "Deny"}), context=keys)
    assert (denied.effect == "explicit-deny") is expected


def aws(*named: str) -> dict[str, list[str]]:
    return {"AWS": list(named)}


PRINCIPALS: list[tuple[Any, str, bool]] = [
    ("*", ANNA, True),
    (aws("*"), STRANGER, True),
    (aws(ANNA), ANNA, True),
    (aws(ANNA), STRANGER, False),
    (aws(ANNA), SESSION, False),
    (aws(ACCOUNT), ANNA, True),
    (aws(ROOT), ANNA, True),
    (aws(ROOT), SESSION, True),
    (aws(ROOT), ROOT, True),
    (aws(ROOT), ACCOUNT, True),
    (aws(ROOT), STRANGER, False),
    (aws(ROOT), SERVICE, False),
    (aws(ROLE), ROLE, True),
    (aws(ROLE), SESSION, True),
    (aws(ROLE), f"arn:aws:sts::{ACCOUNT}:assumed-role/other/run-7", False),
    (aws(ROLE), "arn:aws:sts::999999999999:assumed-role/ml/run-7", False),
    (aws(ROLE), f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/ml/run-7", False),
    (aws(SESSION), SESSION, True),
    (aws(SESSION), f"arn:aws:sts::{ACCOUNT}:assumed-role/ml/run-8", False),
    (aws(SESSION), ROLE, False),
    (aws(f"arn:aws:iam::{ACCOUNT}:user/*"), ANNA, False),  # no wildcards in part of a principal
    ({"Service": SERVICE}, SERVICE, True),
    ({"Service": SERVICE}, ANNA, False),
    ({"Service": "ec2.amazonaws.com"}, SERVICE, False),
    ({"Federated": "accounts.google.com"}, "accounts.google.com", True),
]


@pytest.mark.parametrize(("named", "principal", "expected"), PRINCIPALS)
def test_principals_are_named_as_arns(named: Any, principal: str, *, expected: bool) -> None:
    """A role means its sessions, root or the account id everybody of the account."""
    assert judge(policy(statement(Principal=named)), principal=principal).allowed is expected


NOT_PRINCIPALS: list[tuple[str, Any, str, bool]] = [
    # AWS: list the account too, and for a session also its role, or the Deny still applies.
    ("Deny", aws(ANNA, ROOT), ANNA, False),
    ("Deny", aws(ANNA), ANNA, True),
    ("Deny", aws(ROOT), ANNA, True),
    ("Deny", aws(ANNA, ROOT), f"arn:aws:iam::{ACCOUNT}:user/otto", True),
    ("Deny", aws(SESSION, ROLE, ROOT), SESSION, False),
    ("Deny", aws(ROLE, ROOT), SESSION, True),
    ("Deny", aws(ROOT), ROOT, False),
    ("Deny", "*", STRANGER, False),
    ("Allow", aws(ANNA), ANNA, False),
    ("Allow", aws(ANNA), STRANGER, True),
    ("Allow", aws(ROLE), SESSION, False),
    ("Allow", aws(ROOT), SESSION, False),
]


@pytest.mark.parametrize(("effect", "named", "principal", "applies"), NOT_PRINCIPALS)
def test_not_principal_spares_only_who_is_named_in_full(
    effect: str, named: Any, principal: str, *, applies: bool
) -> None:
    """A Deny spares whom all is listed of, an Allow leaves out whom anything is listed of."""
    one = statement(effect, Principal=None, NotPrincipal=named)
    document = policy(one) if effect == "Allow" else policy(statement(), one)
    assert (judge(document, principal=principal).index == len(document["Statement"]) - 1) is applies


def test_a_policy_without_principals_means_whoever_has_it() -> None:
    """Identity policies name nobody."""
    assert judge(policy(statement(Principal=None))).allowed


@pytest.mark.parametrize("short", ["arn:aws", "arn:aws:sagemaker", "arn:aws:sagemaker:us-east-1"])
def test_short_arns_are_completed_in_policies_of_identities(short: str) -> None:
    """As AWS does; an s3 one stays another service's, and other policies are not completed."""
    mine = statement("Deny", Principal=None, Resource=short)
    assert judge(policy(statement(Principal=None), mine)).effect == "explicit-deny"
    other = mine | {"Resource": "arn:aws:s3"}
    assert judge(policy(statement(Principal=None), other)).allowed
    assert not judge(policy(statement(Resource=short))).allowed


def test_all_conditions_must_be_met() -> None:
    """Operators and keys are an AND."""
    both = statement(
        Condition={
            "StringEquals": {"aws:SourceVpc": ["vpc-1", "vpc-2"], "aws:PrincipalOrgID": "o-1"},
            "Bool": {"aws:SecureTransport": "true"},
        }
    )
    there = {"aws:SourceVpc": "vpc-2"}
    assert judge(policy(both), context=there | {"aws:PrincipalOrgID": "o-1"}).allowed
    assert not judge(policy(both), context=there | {"aws:PrincipalOrgID": "o-2"}).allowed
    decision = judge(policy(both), context={"aws:PrincipalOrgID": "o-1"})
    assert decision.why == (
        f"No statement allows sagemaker:InvokeEndpoint on {ARN}/myEndpoint: Statement[0] has a "
        "condition that is not met: StringEquals aws:SourceVpc vpc-1 vpc-2 (the call has no such "
        "key)."
    )


def test_only_an_allow_could_have_allowed() -> None:
    """The reasons of an implicit deny leave statements out that deny."""
    decision = judge(policy(statement("Deny", Action="s3:*"), statement(Action="s3:*", Sid="Two")))
    assert decision.why == (
        f"No statement allows sagemaker:InvokeEndpoint on {ARN}/myEndpoint: Statement[1] (Two) is "
        "for other actions."
    )
    assert judge(policy(statement("Deny", Action="s3:*"))).why == (
        f"No statement allows sagemaker:InvokeEndpoint on {ARN}/myEndpoint."
    )


def test_what_follows_from_the_caller_and_the_resource_is_filled_in() -> None:
    """PrincipalArn of a session is its role's; what is given wins, and None takes a key away."""
    for key, value in {
        "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/ml",
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalType": "AssumedRole",
        "aws:ResourceAccount": ACCOUNT,
        "aws:ViaAWSService": "false",
        "aws:PrincipalIsAWSService": "false",
        "aws:SecureTransport": "true",
    }.items():
        document = policy(statement(Condition={"StringEquals": {key: value}}))
        assert judge(document).allowed
        assert not judge(document, context={key: None}).allowed
        assert not judge(document, context={key.upper(): "x"}).allowed
    named = policy(statement(Condition={"StringEquals": {"aws:username": "anna"}}))
    assert judge(named, principal=ANNA).allowed
    assert not judge(named).allowed
    service = policy(statement(Condition={"Bool": {"aws:PrincipalIsAWSService": "true"}}))
    assert judge(service, principal=SERVICE).allowed
    by_name = policy(statement(Condition={"StringEquals": {"aws:PrincipalServiceName": SERVICE}}))
    assert judge(by_name, principal=SERVICE).allowed
    assert not judge(by_name).allowed


def test_an_older_version_has_no_variables_in_resources() -> None:
    """Without Version 2012-10-17 a variable is literal text."""
    document = {"Statement": [statement(Resource=f"{ARN}/${{aws:username}}")]}
    assert not judge(document, resource=f"{ARN}/anna", principal=ANNA).allowed
    assert judge(
        document | {"Version": "2012-10-17"}, resource=f"{ARN}/anna", principal=ANNA
    ).allowed


def test_a_document_that_cannot_be_read_is_refused() -> None:
    """Nothing is judged by it."""
    with pytest.raises(PolicyError):
        judge("{}")


def test_denials_are_worded_as_aws_words_them() -> None:
    """Users find the text of the real service."""
    implicit = judge(AWS_EXAMPLE, "sagemaker:CreateEndpoint")
    explicit = judge(policy(statement("Deny")))
    call = {"principal": SESSION, "action": "sagemaker:X", "resource": f"{ARN}/e"}
    who = f"User: {SESSION} is not authorized to perform: sagemaker:X on resource: {ARN}/e"
    assert denial_message(implicit, **call) == (
        f"{who} because no VPC endpoint policy allows the sagemaker:X action"
    )
    assert denial_message(explicit, **call) == (
        f"{who} with an explicit deny in a VPC endpoint policy"
    )
    assert denial_message(explicit, policy_type="identity-based policy", **call).endswith(
        "with an explicit deny in an identity-based policy"
    )


# Examples that AWS documents, by the page they are of


ORGANIZATION = {"StringEquals": {"aws:PrincipalOrgID": "o-1", "aws:ResourceOrgID": "o-1"}}
SERVICES = {"Bool": {"aws:PrincipalIsAWSService": "true"}}
PERIMETER = policy(statement(Condition=ORGANIZATION), statement(Condition=SERVICES))
MFA = policy(
    statement(Principal=None),
    statement(
        "Deny",
        Principal=None,
        Action=None,
        NotAction="iam:*",
        Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    ),
)
TEAM = policy(
    statement(),
    statement(
        "Deny", Condition={"StringNotEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}
    ),
)
MONTHS = policy(
    statement(
        Condition={
            "DateGreaterThan": {"aws:CurrentTime": "2020-04-01T00:00:00Z"},
            "DateLessThan": {"aws:CurrentTime": "2020-06-30T23:59:59Z"},
        }
    )
)
NETWORK = policy(
    statement(),
    statement(
        "Deny",
        Condition={
            "NotIpAddressIfExists": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]},
            "StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
        },
    ),
)
DOCUMENTED: list[tuple[str, Any, dict[str, ContextValue], str]] = [
    ("data perimeter: own on own", PERIMETER,
     {"aws:PrincipalOrgID": "o-1", "aws:ResourceOrgID": "o-1"}, "allow"),
    ("data perimeter: own on a stranger's", PERIMETER,
     {"aws:PrincipalOrgID": "o-1", "aws:ResourceOrgID": "o-2"}, "implicit-deny"),
    ("data perimeter: no organization", PERIMETER, {}, "implicit-deny"),
    ("data perimeter: a service", PERIMETER, {"aws:PrincipalIsAWSService": True}, "allow"),
    ("NotAction with Deny: without MFA", MFA, {"aws:MultiFactorAuthPresent": False},
     "explicit-deny"),
    ("NotAction with Deny: with MFA", MFA, {"aws:MultiFactorAuthPresent": True}, "allow"),
    ("NotAction with Deny: IfExists denies long-term keys", MFA, {}, "explicit-deny"),
    ("variables: same team", TEAM,
     {"aws:ResourceTag/Team": "ml", "aws:PrincipalTag/Team": "ml"}, "allow"),
    ("variables: another team", TEAM,
     {"aws:ResourceTag/Team": "ml", "aws:PrincipalTag/Team": "web"}, "explicit-deny"),
    ("variables: no value", TEAM, {"aws:ResourceTag/Team": "ml"}, "explicit-deny"),
    ("dates: within", MONTHS, {"aws:CurrentTime": "2020-05-01T12:00:00Z"}, "allow"),
    ("dates: after", MONTHS, {"aws:CurrentTime": "2020-07-01T12:00:00Z"}, "implicit-deny"),
    ("network: expected address", NETWORK, {"aws:SourceIp": "203.0.113.7"}, "allow"),
    ("network: expected VPC", NETWORK, {"aws:SourceVpc": "vpc-1"}, "allow"),
    ("network: another address", NETWORK, {"aws:SourceIp": "198.51.100.7"}, "explicit-deny"),
    ("network: another VPC", NETWORK, {"aws:SourceVpc": "vpc-2"}, "explicit-deny"),
    ("network: a service for the caller", NETWORK,
     {"aws:SourceIp": "198.51.100.7", "aws:ViaAWSService": True}, "allow"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "context", "effect"),
    [row[1:] for row in DOCUMENTED],
    ids=[row[0] for row in DOCUMENTED],
)
def test_the_examples_that_aws_documents_decide_as_it_says(
    document: Any, context: dict[str, ContextValue], effect: str
) -> None:
    """Data perimeter samples; NotAction, variables, dates and network pages of the IAM guide."""
    assert judge(document, context=context).effect == effect


# Laws


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None) -> dict[str, Any]:
    one = statement(
        effect or draw(some("Allow", "Deny")),
        Principal=draw(some("*", aws(ANNA), aws(ROOT), {"Service": SERVICE})),
        Condition=draw(
            some(
                {},
                {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
                {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
                {"Null": {"aws:SourceVpc": "true"}},
            )
        ),
    )
    listed = draw(some("*", "sagemaker:Invoke*", "sagemaker:CreateEndpoint"))
    if draw(st.booleans()):
        one |= {"Action": listed}
    else:
        del one["Action"]
        one |= {"NotAction": listed}
    one["Resource"] = draw(some("*", f"{ARN}/a", f"{ARN}/*"))
    return one


documents = st.lists(statements(), min_size=1, max_size=5)
calls = st.fixed_dictionaries(
    {
        "principal": some(ANNA, SESSION, STRANGER, SERVICE),
        "action": some("sagemaker:InvokeEndpoint", "sagemaker:CreateEndpoint"),
        "resource": some(f"{ARN}/a", f"{ARN}/b"),
        "context": some({}, {"aws:SourceVpc": "vpc-1"}, {"aws:SourceVpc": "vpc-2"}),
    }
)


@given(documents, calls)
def test_a_deny_wins(listed: list[dict[str, Any]], call: dict[str, Any]) -> None:
    """Where any Deny by itself denies, the whole denies, whatever else allows."""
    whole = evaluate(policy(*listed), **call)
    each = [evaluate(policy(one), **call).effect for one in listed]
    if "explicit-deny" in each:
        assert whole.effect == "explicit-deny"
    else:
        assert whole.allowed is ("allow" in each)
    if whole.index is not None:
        assert each[whole.index] == whole.effect


@given(documents, calls, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    listed: list[dict[str, Any]], call: dict[str, Any], random: Any
) -> None:
    """Statements in any order decide the same."""
    mixed = listed.copy()
    random.shuffle(mixed)
    assert evaluate(policy(*listed), **call).effect == evaluate(policy(*mixed), **call).effect


@given(documents, statements("Allow"), calls)
def test_adding_an_allow_never_takes_a_right_away(
    listed: list[dict[str, Any]], more: dict[str, Any], call: dict[str, Any]
) -> None:
    """What was allowed stays allowed."""
    before = evaluate(policy(*listed), **call)
    after = evaluate(policy(*listed, more), **call)
    assert after.allowed or not before.allowed


@given(documents, statements("Deny"), calls)
def test_adding_a_deny_never_gives_a_right(
    listed: list[dict[str, Any]], more: dict[str, Any], call: dict[str, Any]
) -> None:
    """What was denied stays denied."""
    before = evaluate(policy(*listed), **call)
    after = evaluate(policy(*listed, more), **call)
    assert before.allowed or not after.allowed


@given(calls)
def test_nothing_is_allowed_unsaid(call: dict[str, Any]) -> None:
    """A document without a statement denies everything."""
    assert evaluate(PolicyDocument(statements=()), **call).effect == "implicit-deny"
