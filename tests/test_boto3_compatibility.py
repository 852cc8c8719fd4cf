"""boto3 code runs unchanged on routed clients: what other swap-ins got wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError
from botocore.stub import Stubber

import sm_private_client as smp
from sm_private_client.testing import LocalPrivateLink


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        link.deploy("echo", lambda body, _: body)
        yield link


@pytest.fixture
def session(link: LocalPrivateLink) -> Any:
    return link.session()


def test_paginators_page(link: LocalPrivateLink, session: Any) -> None:
    """get_paginator pages through the VPC endpoint."""
    for number in range(5):
        link.deploy(f"more-{number}", lambda body, _: body)
    client = session.client("sagemaker")
    pages = list(client.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 2}))
    names = [e["EndpointName"] for page in pages for e in page["Endpoints"]]
    assert len(pages) == 3
    assert sorted(names) == ["echo", *(f"more-{n}" for n in range(5))]


def test_waiters_wait(session: Any) -> None:
    """endpoint_in_service returns for one that is, and raises for one that is not there."""
    client = session.client("sagemaker")
    client.get_waiter("endpoint_in_service").wait(EndpointName="echo")
    with pytest.raises(WaiterError):
        client.get_waiter("endpoint_in_service").wait(
            EndpointName="absent", WaiterConfig={"Delay": 0, "MaxAttempts": 1}
        )


def test_exceptions_are_the_clients_own(link: LocalPrivateLink, session: Any) -> None:
    """client.exceptions.ModelError still catches, with the fields of the service."""

    def broken(_: bytes, __: str) -> bytes:
        raise ValueError("no")

    link.deploy("broken", broken)
    client = session.client("sagemaker-runtime")
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="broken", Body=b"1")
    assert caught.value.response["OriginalStatusCode"] == 500
    with pytest.raises(client.exceptions.ValidationError):
        client.invoke_endpoint(EndpointName="absent", Body=b"1")


def test_meta_is_boto3s(session: Any) -> None:
    """client.meta has service model, region, partition, events and URL like any client."""
    client = session.client("sagemaker-runtime")
    assert client.meta.service_model.service_name == "sagemaker-runtime"
    assert client.meta.region_name == "us-east-1"
    assert client.meta.partition == "aws"
    assert client.meta.endpoint_url == "https://runtime.sagemaker.us-east-1.amazonaws.com"
    assert client.meta.method_to_api_mapping["invoke_endpoint"] == "InvokeEndpoint"
    seen = []
    client.meta.events.register("before-call.sagemaker-runtime", lambda **kw: seen.append(kw))
    assert client.invoke_endpoint(EndpointName="echo", Body=b"1")["Body"].read() == b"1"
    assert len(seen) == 1


def test_event_streams_stream(link: LocalPrivateLink, session: Any) -> None:
    """invoke_endpoint_with_response_stream gives botocore's EventStream."""
    link.deploy("stream", lambda _, __: iter([b"a", b"bc", b"d"]))
    client = session.client("sagemaker-runtime")
    answer = client.invoke_endpoint_with_response_stream(EndpointName="stream", Body=b"1")
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"".join(parts) == b"abcd"


def test_stubber_stubs(link: LocalPrivateLink, session: Any) -> None:
    """Stubber answers before anything is dialled."""
    client = session.client("sagemaker")
    link.network.dialled.clear()
    with Stubber(client) as stubber:
        stubber.add_response("list_models", {"Models": []})
        assert client.list_models()["Models"] == []
        stubber.assert_no_pending_responses()
    assert list(link.network.dialled) == []


def test_later_clients_of_the_session_are_made_as_ever(session: Any) -> None:
    """No second boto3 session on the same botocore session: s3 and its resource still work."""
    session.client("sagemaker")
    assert session.client("s3").list_buckets()["Buckets"] == []
    assert list(session.resource("s3").buckets.all()) == []
    assert session.client("ec2").describe_vpcs()["Vpcs"]


def test_assumed_roles_sign(link: LocalPrivateLink, session: Any) -> None:
    """Temporary credentials of sts:AssumeRole, with their token, reach SageMaker."""
    taken = session.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{link.account_id}:role/science", RoleSessionName="test"
    )["Credentials"]
    client = session.client(
        "sagemaker",
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
    )
    assert client.list_endpoints()["Endpoints"][0]["EndpointName"] == "echo"
    assert link.requests[-1].access_key_id == taken["AccessKeyId"]
    wrong = session.client(
        "sagemaker",
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key="wrong",
        aws_session_token=taken["SessionToken"],
    )
    with pytest.raises(ClientError) as caught:
        wrong.list_endpoints()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_profiles_and_their_role_sign(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A profile with role_arn and source_profile works, and its routing keys count."""
    for name, value in link.environment().items():
        if not name.startswith("AWS_ACCESS") and "SECRET" not in name and "TOKEN" not in name:
            monkeypatch.setenv(name, value)
    config = tmp_path / "config"
    standard = Path(link.environment()["AWS_CONFIG_FILE"]).read_text(encoding="utf-8")
    services = next(line for line in standard.splitlines() if line.startswith("services"))
    runtime = link.vpc_endpoint("sagemaker-runtime").name.host
    config.write_text(
        f"{standard}\n[profile science]\nregion = us-east-1\n{services}\n"
        f"role_arn = arn:aws:iam::{link.account_id}:role/science\nsource_profile = default\n"
        f"sm_private_vpc_endpoint = sagemaker-runtime={runtime}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_PROFILE")
    session: Any = smp.Session(profile_name="science", network=link.network)
    assert session.route("sagemaker-runtime").source == "configured"
    client = session.client("sagemaker-runtime")
    assert client.invoke_endpoint(EndpointName="echo", Body=b"1")["Body"].read() == b"1"
    assert link.requests[-1].access_key_id != link.access_key_id


def test_aws_ca_bundle_is_honoured(link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_CA_BUNDLE verifies the peer, as it does for boto3."""
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)
    session: Any = smp.Session(network=link.network)
    assert session.client("sagemaker").list_endpoints()["Endpoints"]


def test_a_routed_answer_equals_boto3s(link: LocalPrivateLink, session: Any) -> None:
    """The same call through plain boto3 (to the stand-in) gives the same answer."""
    plain: Any = boto3.Session(botocore_session=link.botocore_session()).client(
        "sagemaker", endpoint_url=link.control_url
    )
    ours = session.client("sagemaker").describe_endpoint(EndpointName="echo")
    theirs = plain.describe_endpoint(EndpointName="echo")
    for answer in (ours, theirs):
        del answer["ResponseMetadata"]
    assert ours == theirs


MOCKED = """
import json, boto3, moto
import sm_private_client as smp

with moto.mock_aws():
    url = "https://api.sagemaker.us-east-1.amazonaws.com"
    client = smp.client("sagemaker", region_name="us-east-1", endpoint_url=url)
    client.create_model(ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/r",
                        PrimaryContainer={"Image": "i"})
    ours = [m["ModelName"] for m in client.list_models()["Models"]]
    plain = boto3.client("sagemaker", "us-east-1")
    theirs = [m["ModelName"] for m in plain.list_models()["Models"]]
    runtime = smp.client("sagemaker-runtime", region_name="us-east-1",
                         endpoint_url="https://runtime.sagemaker.us-east-1.amazonaws.com")
    body = runtime.invoke_endpoint(EndpointName="e", Body=b"1")["Body"].read().decode()
print(json.dumps([ours, theirs, body]))
"""


@pytest.mark.slow(reason="other programs")
def test_motos_mock_aws_answers_around_our_clients() -> None:
    """mock_aws answers before anything is dialled; in a process of its own, as it is global."""
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", MOCKED], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["m"], ["m"], "body"]


def test_config_of_the_botocore_session_counts(link: LocalPrivateLink) -> None:
    """A default client config set on the botocore session is merged, as botocore does."""
    inner = link.botocore_session()
    inner.set_default_client_config(Config(read_timeout=33, user_agent_extra="inner/1"))
    client: Any = link.session(botocore_session=inner).client("sagemaker")
    assert client.meta.config.read_timeout == 33
    assert client.meta.config.connect_timeout == 5
    assert "inner/1" in client.meta.config.user_agent
