"""Endpoint policies, in force on the simulator's listeners."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from simulator_calls import ONCE, client_of, refused
from sm_private_client import ConfigurationError
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        for name in ("churn", "fraud"):
            running.deploy(
                name, lambda body, _: [body], s3_output_path=f"s3://answers-{running.account_id}"
            )
        yield running


def allow(action: str = "sagemaker:InvokeEndpoint", resource: str = "*", **more: Any) -> Any:
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [{**statement, **more}]}


@pytest.fixture(autouse=True)
def no_policy(link: LocalPrivateLink) -> None:
    for standing in link.vpc_endpoints:
        link.set_policy(standing.vpc_endpoint_id, None)
    link.organization_id = None


@pytest.fixture(scope="module")
def runtime(link: LocalPrivateLink) -> Any:
    return link.session().client("sagemaker-runtime", config=ONCE)


def passes(call: Any, **arguments: Any) -> bool:
    """Return True if a call passes; other errors than a denial are raised."""
    try:
        body = call(**arguments).get("Body")
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    if body is not None:
        list(body)
        body.close()
    return True


def runtime_id(link: LocalPrivateLink) -> str:
    return link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id


def test_only_the_allowed_endpoint_is_invoked(link: LocalPrivateLink, runtime: Any) -> None:
    """Another one is refused in AWS's words, and its model is not called."""
    start = f"arn:aws:sagemaker:us-east-1:{link.account_id}:endpoint"
    link.set_policy(runtime_id(link), allow(resource=f"{start}/churn"))
    assert passes(runtime.invoke_endpoint, EndpointName="churn", Body=b"1")
    answer = refused(runtime.invoke_endpoint, EndpointName="fraud", Body=b"1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"] == {
        "Code": "AccessDeniedException",
        "Message": (
            f"User: arn:aws:iam::{link.account_id}:user/private-link is not authorized to perform: "
            f"sagemaker:InvokeEndpoint on resource: {start}/fraud because no VPC endpoint policy "
            "allows the sagemaker:InvokeEndpoint action"
        ),
    }
    assert link.model("fraud").times(b"1") == 0


def test_an_explicit_deny_is_worded_as_such(link: LocalPrivateLink, runtime: Any) -> None:
    """It wins over what is allowed."""
    document = allow("*")
    document["Statement"].append({**document["Statement"][0], "Effect": "Deny"})
    link.set_policy(runtime_id(link), document)
    with pytest.raises(ClientError, match="with an explicit deny in a VPC endpoint policy"):
        runtime.invoke_endpoint(EndpointName="churn", Body=b"1")


@pytest.mark.parametrize(
    ("action", "invoke", "stream", "asynchronous"),
    [
        ("sagemaker:InvokeEndpoint", True, True, False),
        ("sagemaker:InvokeEndpointAsync", False, False, True),
        ("sagemaker:Invoke*", True, True, True),
        ("sagemaker:ListEndpoints", False, False, False),
    ],
)
def test_operations_are_authorized_by_their_actions(
    link: LocalPrivateLink,
    runtime: Any,
    action: str,
    *,
    invoke: bool,
    stream: bool,
    asynchronous: bool,
) -> None:
    """Response streaming is InvokeEndpoint, asynchronous inference is an action of its own."""
    link.set_policy(runtime_id(link), allow(action))
    assert passes(runtime.invoke_endpoint, EndpointName="churn", Body=b"1") is invoke
    streaming = runtime.invoke_endpoint_with_response_stream
    assert passes(streaming, EndpointName="churn", Body=b"2") is stream
    where = {"EndpointName": "churn", "InputLocation": f"s3://answers-{link.account_id}/in"}
    assert passes(runtime.invoke_endpoint_async, **where) is asynchronous


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({"StringEquals": {"aws:SourceVpce": "{vpce}"}}, True),
        ({"StringEquals": {"aws:SourceVpce": "vpce-0"}}, False),
        ({"StringEquals": {"aws:SourceVpc": "{vpc}"}}, True),
        ({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/24"}}, True),
        ({"IpAddress": {"aws:VpcSourceIp": "10.0.1.0/24"}}, False),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, False),
        ({"StringEquals": {"aws:PrincipalAccount": "{account}"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/private-link"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-2"}}, False),
    ],
)
def test_conditions_see_the_call_s_way(
    link: LocalPrivateLink, runtime: Any, condition: dict[str, dict[str, str]], *, fits: bool
) -> None:
    """The keys that AWS supplies on calls through a VPC endpoint, and only these."""
    link.organization_id = "o-1"
    ids = {"vpce": runtime_id(link), "vpc": link.vpc_id, "account": link.account_id}
    filled = {
        operator: {key: value.format(**ids) for key, value in keys.items()}
        for operator, keys in condition.items()
    }
    link.set_policy(runtime_id(link), allow(Condition=filled))
    assert passes(runtime.invoke_endpoint, EndpointName="churn", Body=b"1") is fits


def test_the_api_is_judged_by_its_own_endpoint_s_policy(link: LocalPrivateLink) -> None:
    """By the resource that a parameter names."""
    api: Any = link.session().client("sagemaker", config=ONCE)
    standing = link.vpc_endpoint("sagemaker")
    start = f"arn:aws:sagemaker:us-east-1:{link.account_id}:endpoint"
    link.set_policy(standing.vpc_endpoint_id, allow("sagemaker:DescribeEndpoint", f"{start}/churn"))
    assert passes(api.describe_endpoint, EndpointName="churn")
    assert not passes(api.describe_endpoint, EndpointName="fraud")
    assert not passes(api.list_endpoints)


def test_a_policy_judges_nothing_elsewhere(link: LocalPrivateLink, runtime: Any) -> None:
    """The other VPC endpoint's calls are not judged by it."""
    link.set_policy(link.vpc_endpoint("sagemaker").vpc_endpoint_id, allow("sagemaker:ListModels"))
    assert passes(runtime.invoke_endpoint, EndpointName="churn", Body=b"1")


def test_fips_runtime_endpoints_take_no_policy() -> None:
    """EC2 refuses it, at creation and afterwards; so does the simulator's own method."""
    with LocalPrivateLink(services=["sagemaker-runtime"], fips=True) as fips:
        ec2 = client_of(fips, "ec2")
        wanted = fips.vpc_endpoints[0].vpc_endpoint_id
        text = json.dumps(allow())
        for call, arguments in (
            (ec2.modify_vpc_endpoint, {"VpcEndpointId": wanted}),
            (
                ec2.create_vpc_endpoint,
                {
                    "VpcEndpointType": "Interface",
                    "VpcId": fips.vpc_id,
                    "ServiceName": "com.amazonaws.us-east-1.sagemaker.runtime-fips",
                },
            ),
        ):
            with pytest.raises(ClientError, match="does not support VPC endpoint policies"):
                call(PolicyDocument=text, **arguments)
        with pytest.raises(ConfigurationError, match="does not support VPC endpoint policies"):
            fips.set_policy(wanted, text)


@pytest.mark.parametrize(
    "document",
    ["not json", "{}", '{"Statement": []}', '{"Statement": [{"Effect": "Maybe"}]}', " " * 20_481],
)
def test_documents_that_are_no_policies_are_refused(link: LocalPrivateLink, document: str) -> None:
    """By EC2 and by the simulator's own method; what was attached stays."""
    modify = client_of(link, "ec2").modify_vpc_endpoint
    answer = refused(modify, VpcEndpointId=runtime_id(link), PolicyDocument=document)
    assert answer["Error"]["Code"] == "InvalidPolicyDocument"
    assert "policy document" in answer["Error"]["Message"]
    with pytest.raises(ConfigurationError, match="policy document"):
        link.set_policy(runtime_id(link), document)
