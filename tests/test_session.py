"""Specification of session/ and front.py: what is handed out, shared, refused and passed on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3.session
import pytest
from botocore.config import Config
from botocore.exceptions import NoRegionError, UnknownServiceError

import sm_private_client as smp
from sm_private_client.errors import ConfigurationError, NoPrivateRouteError
from sm_private_client.testing import LocalPrivateLink

KEYS: Any = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        link.deploy("echo", lambda body, _: body)
        yield link


def test_a_session_is_a_boto3_session(link: LocalPrivateLink) -> None:
    """Isinstance holds, the class is named Session and its repr is boto3's."""
    session = link.session()
    assert isinstance(session, boto3.session.Session)
    assert repr(session) == "Session(region_name='us-east-1')"
    assert repr(smp.Session("a", "b", None, "eu-west-1")) == "Session(region_name='eu-west-1')"


def test_making_a_session_does_no_io(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither network nor EC2 nor the route cache is touched before a client is asked for."""

    class Untouchable:
        def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
            raise AssertionError(host, timeout)

        def open(self, address: str, port: int, *, socket_options: Any = ()) -> Any:
            raise AssertionError(address, port, socket_options)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    smp.Session(network=Untouchable(), vpc_endpoint="vpce-0a1b2c3d", route_cache=tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"vpc_id": "nonsense"}, "vpc_id= has 'nonsense'."),
        ({"availability_zone": "1a"}, "availability_zone= has '1a'."),
        ({"on_public_route": "ask"}, "on_public_route= has 'ask'."),
        ({"allowed_networks": ["0.0.0.0/0"]}, "allowed_networks has 0.0.0.0/0, wider than /8."),
    ],
)
def test_bad_options_are_refused_when_the_session_is_made(options: Any, what: str) -> None:
    """Bad input gets a clear error early."""
    with pytest.raises(ConfigurationError) as caught:
        smp.Session(**options)
    assert caught.value.what == what


def test_an_unknown_option_is_a_type_error() -> None:
    """As for any Python function."""
    unknown: Any = {"vpc_endpoints": "vpce-0a1b2c3d"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'vpc_endpoints'"):
        smp.Session(**unknown)


def test_services_outside_the_family_are_boto3s_own(link: LocalPrivateLink) -> None:
    """session.client("s3") is untouched: botocore's HTTP session, made anew each time."""
    session: Any = link.session()
    s3 = session.client("s3")
    assert type(s3._endpoint.http_session).__name__ == "URLLib3Session"
    assert session.client("s3") is not s3
    assert s3.list_buckets()["Buckets"] == []
    assert session.client("sts").get_caller_identity()["Account"] == link.account_id
    assert session.resource("s3").meta.client is not None


def test_the_alias_is_routed_like_the_service(link: LocalPrivateLink) -> None:
    """The SageMaker SDK asks for ``runtime.sagemaker``; it gets the very same client."""
    session: Any = link.session()
    assert session.client("runtime.sagemaker") is session.client("sagemaker-runtime")


def test_clients_of_one_set_of_arguments_are_made_once_and_shared(link: LocalPrivateLink) -> None:
    """Equal arguments give the same client, different ones another."""
    session: Any = link.session()
    client = session.client("sagemaker")
    assert session.client("sagemaker", config=Config()) is client
    assert session.client("sagemaker", "us-east-1") is not client
    slow = session.client("sagemaker", config=Config(read_timeout=9))
    assert slow is not client
    assert session.client("sagemaker", config=Config(read_timeout=9)) is slow
    assert session.client("sagemaker", **KEYS) is not client
    assert link.session().client("sagemaker") is not client


def test_predictors_share_a_client_only_with_equal_time_outs(link: LocalPrivateLink) -> None:
    """That of streams counts too; a client that was asked for keeps ``read_timeout`` for both."""
    session: Any = link.session()

    def client(**options: Any) -> Any:
        made = session.predictor("echo", transport="botocore", **options)._invoker.client
        assert made.meta.config.read_timeout == options.get("timeout", 70)
        return made

    default = client()
    assert client(timeout=70.0, stream_timeout=600.0) is default
    others = [client(timeout=9), client(stream_timeout=9), client(stream_timeout=None)]
    once = Config(read_timeout=9, retries={"mode": "standard", "total_max_attempts": 1})
    others.append(session.client("sagemaker-runtime", "us-east-1", config=once))
    assert len({id(made) for made in (default, *others)}) == 5
    assert client(stream_timeout=None) is others[2]


def test_32_threads_make_one_client(link: LocalPrivateLink) -> None:
    """Creation under 32 threads is safe, and asks EC2 once."""
    session: Any = link.session()
    barrier = threading.Barrier(32)

    def make(number: int) -> Any:
        barrier.wait()
        client = session.client("sagemaker" if number % 2 else "sagemaker-runtime")
        if number % 2:
            return client, client.list_endpoints()["Endpoints"][0]["EndpointName"]
        body = client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read()
        return client, body.decode()

    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(make, range(32)))
    assert len({id(client) for client, _ in made}) == 2
    assert {answer for _, answer in made} == {"echo", "x"}
    assert link.calls["ec2:DescribeVpcEndpoints"] == 1
    assert link.calls["ec2:DescribeNetworkInterfaces"] == 1


def test_the_defaults_reach_the_real_client(link: LocalPrivateLink) -> None:
    """Connect 5 s, read 70 s, standard retries with 4 attempts, pool of 50, our user agent."""
    client: Any = link.session().client("sagemaker-runtime")
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 70)
    assert config.retries == {"mode": "standard", "total_max_attempts": 4}
    assert config.max_pool_connections == 50
    assert f"lib/sm-private-client#{smp.__version__}" in config.user_agent


def test_retries_of_the_environment_and_the_profile_count(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What AWS_MAX_ATTEMPTS says to boto3 it says to a routed client."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    client: Any = link.session().client("sagemaker-runtime")
    assert client.meta.config.retries["total_max_attempts"] == 7


def test_the_callers_config_and_region_pass_through(link: LocalPrivateLink) -> None:
    """Every boto3 argument means the same."""
    session: Any = link.session()
    config = Config(retries={"mode": "adaptive", "total_max_attempts": 2}, user_agent_extra="x/1")
    client = session.client("sagemaker-runtime", config=config, api_version="2017-05-13")
    assert client.meta.config.retries == {"mode": "adaptive", "total_max_attempts": 2}
    assert "x/1 lib/sm-private-client#" in client.meta.config.user_agent
    other = session.client(
        "sagemaker",
        region_name="eu-west-1",
        endpoint_url="https://vpce-0a1b2c3d-abcdefgh.api.sagemaker.eu-west-1.vpce.amazonaws.com",
        **KEYS,
    )
    assert other.meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"verify": False}, "verify=False asks for TLS without verification."),
        ({"use_ssl": False}, "use_ssl=False asks for an unencrypted sagemaker client."),
        (
            {"config": Config(proxies={"https": "http://p:1"})},
            "Config(proxies=...) is set for a routed client.",
        ),
        (
            {"endpoint_url": "http://sagemaker.example"},
            "endpoint_url= has 'http://sagemaker.example', which cannot be used as an endpoint "
            "URL.",
        ),
    ],
)
def test_what_would_weaken_the_guard_is_refused(
    link: LocalPrivateLink, arguments: Any, what: str
) -> None:
    """No unverified or unencrypted TLS, no proxy, no http."""
    session: Any = link.session()
    with pytest.raises(ConfigurationError) as caught:
        session.client("sagemaker", **arguments)
    assert caught.value.what == what


@pytest.mark.parametrize(
    ("aws_region", "cause", "example"),
    [
        (None, "neither region_name= nor AWS_DEFAULT_REGION nor the profile names one.", None),
        ("", "neither region_name= nor AWS_DEFAULT_REGION nor the profile names one.", None),
        ("eu-west-1", "AWS_REGION=eu-west-1 is set, and boto3 does not read it.", "eu-west-1"),
        ("\x1b[2J", "AWS_REGION is set, and boto3 does not read it.", None),
    ],
)
@pytest.mark.parametrize("verb", ["client", "route", "predictor"])
def test_without_a_region_boto3s_error_comes_with_its_cause(
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    aws_region: str | None,
    cause: str,
    example: str | None,
) -> None:
    """What catches botocore's error catches it, and AWS_REGION, not read by boto3, is named."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    if aws_region is not None:
        monkeypatch.setenv("AWS_REGION", aws_region)
    with pytest.raises(NoRegionError) as caught:
        getattr(smp.Session(), verb)("sagemaker")
    assert isinstance(caught.value, ConfigurationError)
    region = example or "us-east-1"
    assert str(caught.value).splitlines()[:5] == [
        "No region is set.",
        f"Cause: {cause}",
        "Remedies, in order:",
        f"  1. export AWS_DEFAULT_REGION={region}",
        f"  2. or pass region_name={region!r}.",
    ]


@pytest.mark.parametrize(
    "service",
    [
        "sagemaker-a2i-runtime",
        "sagemaker-edge",
        "sagemakerjobruntime",
        "sagemakertrainingsessionruntime",
        "sagemaker-inference-router-runtime",
    ],
)
def test_family_members_without_an_endpoint_service_are_refused(
    link: LocalPrivateLink, service: str
) -> None:
    """They are never sent out publicly."""
    session: Any = link.session()
    with pytest.raises(NoPrivateRouteError) as caught:
        session.client(service)
    assert caught.value.what.startswith(f"{service} cannot be reached privately.")


def test_a_name_that_botocore_does_not_know_is_boto3s_own_error() -> None:
    """A typing error gets the list of services, as from boto3."""
    mistyped: Any = "sagemaker-runtim"
    with pytest.raises(UnknownServiceError, match="sagemaker-runtim"):
        smp.Session(region_name="us-east-1").client(mistyped)


def test_a_stand_in_on_loopback_is_reached_with_one_notice(
    link: LocalPrivateLink, caplog: pytest.LogCaptureFixture
) -> None:
    """A URL that itself names a loopback host is the user's explicit choice."""
    session: Any = link.session()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            client = session.client("sagemaker", endpoint_url=link.control_url)
            session.route("sagemaker", endpoint_url=link.control_url)
    said = [r.getMessage() for r in caplog.records]
    assert said == [
        f"sagemaker goes to {link.control_url}, a stand-in on this machine, not a private route."
    ]
    route = session.route("sagemaker", endpoint_url=link.control_url)
    assert route.is_local
    assert not route.is_private
    assert client.meta.endpoint_url == link.control_url


def test_forget_routes_makes_the_next_client_anew(link: LocalPrivateLink) -> None:
    """After a VPC endpoint was replaced, one call is enough."""
    session: Any = link.session()
    client = session.client("sagemaker-runtime")
    old = session.route("sagemaker-runtime").vpc_endpoint.vpc_endpoint_id
    link.delete_vpc_endpoint(old)
    new = link.create_vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    assert session.client("sagemaker-runtime") is client
    session.forget_routes()
    assert session.client("sagemaker-runtime") is not client
    assert session.route("sagemaker-runtime").vpc_endpoint.vpc_endpoint_id == new


def test_a_dead_zone_costs_one_second_once(link: LocalPrivateLink) -> None:
    """The first call goes round it; every other client of the session knows already."""
    session: Any = link.session(availability_zone="us-east-1a")
    runtime, api = session.client("sagemaker-runtime"), session.client("sagemaker")
    with link.faults.zone("us-east-1a", "swallow"):
        assert runtime.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"
        link.network.dialled.clear()
        api.list_endpoints()
    zones = {a.address: a.availability_zone for a in session.route("sagemaker").addresses}
    assert [zones[address] for address, _ in link.network.dialled] == ["us-east-1b"]


# connect and client


def environment(link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)


def test_connect_gives_both_clients(link: LocalPrivateLink) -> None:
    """sagemaker, runtime = smp.connect(): two real boto3 clients."""
    sagemaker, runtime = smp.connect(session=link.session())
    assert sagemaker.list_endpoints()["Endpoints"][0]["EndpointName"] == "echo"
    assert runtime.invoke_endpoint(EndpointName="echo", Body=b"1")["Body"].read() == b"1"


@pytest.mark.parametrize("options", [{"profile_name": "p"}, {"vpc_endpoint": "vpce-0a1b2c3d"}])
def test_connect_takes_a_session_or_its_options(link: LocalPrivateLink, options: Any) -> None:
    """Both at once would leave one of them without effect."""
    with pytest.raises(ConfigurationError) as caught:
        smp.connect(session=link.session(), **options)
    assert caught.value.what == (
        "connect() got session= together with options that a session is made with."
    )


def test_client_refuses_the_name_of_another_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single vpc_endpoint given to client() is meant for that very service."""
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    name = "vpce-0a1b2c3d-abcdefgh.api.sagemaker.us-west-2.vpce.amazonaws.com"
    with pytest.raises(ConfigurationError) as caught:
        smp.client("sagemaker-runtime", vpc_endpoint=name)
    assert caught.value.what == (
        f"vpc_endpoint= names {name}, whose service is sagemaker, but the client's is "
        "sagemaker-runtime."
    )


def test_client_and_connect_use_one_default_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """As boto3's: made when first needed, and its clients are shared."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    url = "https://vpce-0a1b2c3d-abcdefgh.api.sagemaker.us-east-1.vpce.amazonaws.com"
    one = smp.client("sagemaker", endpoint_url=url)
    assert smp.client("sagemaker", endpoint_url=url) is one
    assert type(smp.client("s3")).__name__ == "S3"
