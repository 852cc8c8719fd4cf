"""The simulator as a whole: life, isolation, files, session, plugin."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import sm_private_client.testing as simulator
from sm_private_client.errors import ConfigurationError, MissingExtraError
from sm_private_client.testing import LocalPrivateLink, RequestRecord

if TYPE_CHECKING:
    from sm_private_client.session import Session


def test_exported_names() -> None:
    """Each imports; an unknown one does not."""
    assert simulator.__all__ == [
        "Fault",
        "Faults",
        "LocalPrivateLink",
        "ModelCall",
        "ModelFailure",
        "ModelRecord",
        "RequestRecord",
        "SimulatedNetwork",
    ]
    assert all(getattr(simulator, name) for name in simulator.__all__)
    assert dir(simulator) == simulator.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        getattr(simulator, "nonsense")  # noqa: B009 - mypy knows that it is not there


def test_nothing_is_left_behind() -> None:
    """Threads, files and moto's state of the account are gone after stop()."""
    from moto.core.base_backend import BackendDict  # noqa: PLC0415 - only this test looks inside

    before = set(threading.enumerate())
    with LocalPrivateLink() as link:
        link.deploy("churn", lambda body, _: body)
        runtime: Any = link.session().client("sagemaker-runtime")
        runtime.invoke_endpoint(EndpointName="churn", Body=b"")["Body"].read()
        account, directory = link.account_id, Path(link.ca_bundle).parent
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile
    assert not directory.exists()
    assert not any(account in dict.keys(known) for known in BackendDict._instances)


def test_two_at_once_do_not_see_each_other() -> None:
    """Account, models, buckets and credentials are apart."""
    with LocalPrivateLink() as one, LocalPrivateLink() as two:
        assert one.account_id != two.account_id
        one.deploy("churn", lambda body, _: body)
        assert one.session().client("sagemaker").list_endpoints()["Endpoints"]
        assert two.session().client("sagemaker").list_endpoints()["Endpoints"] == []
        stranger = two.session(
            aws_access_key_id=one.access_key_id, aws_secret_access_key=one.secret_access_key
        )
        client = stranger.client("sagemaker")
        with pytest.raises(client.exceptions.ClientError, match="UnrecognizedClientException"):
            client.list_endpoints()


def test_one_after_the_other_starts_empty() -> None:
    """The same simulator started again knows nothing of before, and buckets are free again."""
    link = LocalPrivateLink()
    for _ in range(2):
        with link:
            s3 = boto3.Session(botocore_session=link.botocore_session()).client("s3")
            assert s3.list_buckets()["Buckets"] == []
            s3.create_bucket(Bucket="the-same-name")
            assert len(link.requests) == 0


def test_starting_twice_and_using_it_stopped() -> None:
    """Both are told plainly; stopping twice is nothing."""
    link = LocalPrivateLink()
    assert repr(link) == "<LocalPrivateLink us-east-1 stopped>"
    with pytest.raises(ConfigurationError, match=r"^This LocalPrivateLink is not running"):
        _ = link.network
    with link:
        assert repr(link) == "<LocalPrivateLink us-east-1 running>"
        with pytest.raises(ConfigurationError, match=r"^This LocalPrivateLink runs already"):
            link.start()
    link.stop()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"region": "nowhere-1"}, "'nowhere-1' is not a region of any AWS partition."),
        ({"services": ["sagemaker-edge"]}, "There is no endpoint service for 'sagemaker-edge'."),
        ({"services": ["bedrock"]}, "There is no endpoint service for 'bedrock'."),
        (
            {"services": ["sagemaker-metrics"], "fips": True},
            "There is no FIPS endpoint service for 'sagemaker-metrics'.",
        ),
    ],
)
def test_a_start_that_fails_leaves_nothing(arguments: dict[str, Any], message: str) -> None:
    """The error says what is wrong, and no thread goes on."""
    before = set(threading.enumerate())
    with pytest.raises(ConfigurationError) as caught:
        LocalPrivateLink(**arguments).start()
    assert caught.value.what == message
    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile


def test_vpc_endpoints_need_known_vpcs_and_zones() -> None:
    """A zone without a subnet and an unknown VPC are refused; private DNS is given once."""
    with LocalPrivateLink(private_dns=True, zones=["us-east-1c"]) as link:
        for arguments, message in (
            ({"zones": ["us-east-1a"]}, f"{link.vpc_id} has no subnet in us-east-1a."),
            ({"vpc_id": "vpc-1"}, "There is no VPC vpc-1 with subnets in the simulator."),
            (
                {"private_dns": True},
                f"{link.vpc_id} has a VPC endpoint with private DNS for "
                "api.sagemaker.us-east-1.amazonaws.com already.",
            ),
        ):
            with pytest.raises(ConfigurationError) as caught:
                link.create_vpc_endpoint("sagemaker", **arguments)
            assert caught.value.what == message
        with pytest.raises(LookupError, match="has no VPC endpoint for sagemaker-metrics"):
            link.vpc_endpoint("sagemaker-metrics")
        wanted = link.vpc_endpoint("sagemaker").vpc_endpoint_id
        link.delete_vpc_endpoint(wanted)
        assert [e.name.service.service_name for e in link.vpc_endpoints] == ["sagemaker-runtime"]


@pytest.mark.parametrize(
    "region", ["us-east-1", "eu-west-1", "us-gov-west-1", "cn-north-1", "cn-northwest-1"]
)
def test_calls_go_through_in_every_partition(region: str) -> None:
    """A session finds the VPC endpoint by itself, signs, is verified and answered."""
    with LocalPrivateLink(region=region) as link:
        link.deploy("churn", lambda body, _: body + b"!")
        runtime: Any = link.session().client("sagemaker-runtime")
        assert runtime.invoke_endpoint(EndpointName="churn", Body=b"1")["Body"].read() == b"1!"
        record = link.requests[-1]
        assert isinstance(record, RequestRecord)
        assert (record.signing_region, record.status) == (region, 200)
        assert link.internet.connections == 0


def test_files_are_for_the_owner_only() -> None:
    """SageMaker's own services have no URL in them: they are found, not told."""
    with LocalPrivateLink() as link:
        environment = link.environment()
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            path = Path(environment[name])
            if os.name == "posix":
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert "sagemaker" not in path.read_text()
        assert link.secret_access_key not in Path(environment["AWS_CONFIG_FILE"]).read_text()


@pytest.mark.slow(reason="other programs")
def test_another_process_is_led_here_by_the_environment() -> None:
    """Plain boto3 reaches EC2, STS and S3; SageMaker it would seek on the internet."""
    code = (
        "import boto3, json;"
        "sts = boto3.client('sts').get_caller_identity()['Account'];"
        "ec2 = len(boto3.client('ec2').describe_vpc_endpoints()['VpcEndpoints']);"
        "s3 = boto3.client('s3').list_buckets()['Buckets'];"
        "print(json.dumps([sts, ec2, s3, boto3.client('sagemaker').meta.endpoint_url]))"
    )
    kept = {"PATH": os.environ.get("PATH", ""), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")}
    with LocalPrivateLink() as link:
        done = subprocess.run(  # noqa: S603 - our own text
            [sys.executable, "-c", code],
            env={**kept, **link.environment()},
            capture_output=True,
            check=True,
            text=True,
            timeout=240,
        )
        assert json.loads(done.stdout) == [
            link.account_id,
            2,
            [],
            "https://api.sagemaker.us-east-1.amazonaws.com",
        ]


def test_the_session_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are set on this machine for other ends change nothing, nor are changed."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nonexistent/ca.pem")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-simulator-s")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    before = dict(os.environ)
    with LocalPrivateLink() as link:
        session = link.session()
        assert session.client("sagemaker").list_endpoints()["Endpoints"] == []
        assert session.client("sts").get_caller_identity()["Account"] == link.account_id
    assert dict(os.environ) == before


def test_the_fixtures(private_link: LocalPrivateLink, private_session: Session) -> None:
    """They come with the package's pytest plugin."""
    private_link.deploy("churn", lambda body, _: body)
    runtime: Any = private_session.client("sagemaker-runtime")
    assert runtime.invoke_endpoint(EndpointName="churn", Body=b"1")["Body"].read() == b"1"


def test_a_client_that_waits_is_told_to_continue(private_link: LocalPrivateLink) -> None:
    """With a reason phrase, without which botocore takes 100 for the final answer."""
    port = int(private_link.control_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.slow(reason="the simulator in a process of its own")
def test_a_profile_that_is_not_there_does_not_matter() -> None:
    """Neither moto, which makes sessions of its own, nor the simulator reads one; they stay."""
    named = {"AWS_PROFILE": "nowhere", "AWS_DEFAULT_PROFILE": "nowhere else"}
    code = (
        "import os\n"
        "from sm_private_client.testing import LocalPrivateLink\n"
        "with LocalPrivateLink() as link:\n"
        "    link.deploy('churn', lambda body, _: body)\n"
        "    session = link.session()\n"
        "    for name, call in (('ec2', 'describe_vpcs'), ('s3', 'list_buckets'),\n"
        "                       ('sts', 'get_caller_identity'), ('sagemaker', 'list_endpoints')):\n"
        "        getattr(session.client(name), call)()\n"
        "    runtime = session.client('sagemaker-runtime')\n"
        "    print(runtime.invoke_endpoint(EndpointName='churn', Body=b'1')['Body'].read())\n"
        f"print({{name: os.environ[name] for name in {list(named)}}})"
    )
    assert run(code, **named) == f"b'1'\n{named}\n"


def run(code: str, **variables: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        check=True,
        text=True,
        timeout=240,
    )
    return done.stdout


def test_the_plugin_costs_nothing_to_import() -> None:
    """It is imported by every pytest run of everybody who installed the package."""
    code = (
        "import sys, pytest, sm_private_client.testing.pytest_plugin;"
        "print([m for m in ('moto', 'h11', 'trustme', 'boto3', 'flask') if m in sys.modules])"
    )
    assert run(code) == "[]\n"


@pytest.mark.slow(reason="other programs")
@pytest.mark.parametrize("package", ["moto", "trustme", "h11"])
def test_a_missing_extra_is_named(package: str) -> None:
    """Not a bare ModuleNotFoundError."""
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from sm_private_client.errors import MissingExtraError\n"
        "try:\n    from sm_private_client.testing import LocalPrivateLink\n"
        "except MissingExtraError as error: print(error)"
    )
    assert run(code).strip() == str(MissingExtraError("LocalPrivateLink", extra="testing"))
