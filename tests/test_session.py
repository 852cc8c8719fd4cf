"""Specification of session/ and api.py: what is handed out, kept, refused and passed on."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import Mock

import boto3
import boto3.session
import moto
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, NoRegionError, UnknownServiceError
from botocore.stub import Stubber
from botocore.utils import ArgumentGenerator

import sm_private_client as smp
from loopback_peer import in_child
from sm_private_client import api
from sm_private_client.errors import ConfigurationError, NoPrivateRouteError
from sm_private_client.integrations import install as installing
from sm_private_client.privatelink.services import UNROUTABLE
from sm_private_client.routing import discovery, network, router
from sm_private_client.routing.router import ClientCredentials
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.guarded import is_guarded

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


class Untouchable:
    """A network that nobody may use."""

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        raise AssertionError(host, timeout)

    def open(self, address: str, port: int, *, socket_options: Any = ()) -> Any:
        raise AssertionError(address, port, socket_options)


def test_making_sessions_and_clients_does_no_io(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither network nor EC2 nor the route cache is touched before a call."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    session: Any = smp.Session(
        "a", "b", network=Untouchable(), region_name="us-east-1", route_cache=tmp_path / "r"
    )
    for service in ("sagemaker", "sagemaker-runtime", "sagemaker-edge", "s3"):
        for sealed in (False, True):
            session = smp.Session(
                "a", "b", network=Untouchable(), region_name="us-east-1", sealed=sealed
            )
            session.client(service).close()
    assert list(tmp_path.iterdir()) == []


def test_a_botocore_session_may_be_a_mock() -> None:
    """Tests of code that takes a session hand in made-up ones, whose profile is no mapping."""
    made_up = Mock()
    credentials = made_up.get_credentials.return_value
    session = smp.Session(region_name="us-east-1", botocore_session=made_up)
    assert session.client("sqs") is made_up.create_client.return_value
    assert session.get_credentials() is credentials
    assert not session.sealed


def test_a_mock_of_the_family_is_not_handed_out() -> None:
    """What cannot be guarded is refused, whatever made it."""
    with pytest.raises(ConfigurationError, match="cannot be guarded"):
        smp.Session(
            botocore_session=_made_up("sagemaker"), sealed=False, region_name="us-east-1"
        ).client("sqs")


def _made_up(service_name: str) -> Mock:
    made_up = Mock()
    made_up.create_client.return_value.meta.service_model.service_name = service_name
    return made_up


def test_a_stubbed_client_asks_nobody() -> None:
    """Unit tests that stub a boto3 client stub ours."""
    session: Any = smp.Session("a", "b", network=Untouchable(), region_name="us-east-1")
    client = session.client("sagemaker-runtime")
    with Stubber(client) as stubber:
        stubber.add_response("invoke_endpoint", {"Body": b"x"})
        assert client.invoke_endpoint(EndpointName="m", Body=b"1") == {"Body": b"x"}


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


@pytest.mark.parametrize("name", ["sagemaker-runtime", "runtime.sagemaker"])
def test_the_alias_is_routed_like_the_service(link: LocalPrivateLink, name: Any) -> None:
    """The SageMaker SDK asks for ``runtime.sagemaker``."""
    client = link.session().client(name)
    assert client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"
    assert {r.vpc_endpoint_id for r in link.requests} == {
        link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    }


def test_every_client_is_one_of_its_own(link: LocalPrivateLink) -> None:
    """Handlers, stubs, close() and credentials of one never touch another's."""
    session: Any = link.session()
    first, second = session.client("sagemaker-runtime"), session.client("sagemaker-runtime")
    with Stubber(first) as stubber:
        stubber.add_response("invoke_endpoint", {"Body": b"stub"})
        assert second.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"
    first.meta.events.register(
        "before-sign.sagemaker-runtime", lambda request, **_: request.headers.add_header("X-A", "1")
    )
    first.close()
    assert second.invoke_endpoint(EndpointName="echo", Body=b"y")["Body"].read() == b"y"
    assert first.meta.config is not second.meta.config


def test_credentials_that_are_set_later_count_for_the_next_client(link: LocalPrivateLink) -> None:
    """As with boto3: the client that exists keeps signing with the old ones."""
    botocore_session = link.botocore_session()
    session: Any = link.session(botocore_session=botocore_session)
    before = session.client("sagemaker-runtime")
    before.invoke_endpoint(EndpointName="echo", Body=b"x")
    botocore_session.set_credentials("AKIAIOSFODNN7EXAMPLE", "x" * 40)
    with pytest.raises(ClientError, match=r"InvalidClientTokenId|UnrecognizedClient"):
        session.client("sagemaker-runtime").invoke_endpoint(EndpointName="echo", Body=b"x")
    before.invoke_endpoint(EndpointName="echo", Body=b"x")
    keys = [r.access_key_id for r in link.requests]
    assert keys == [link.access_key_id, "AKIAIOSFODNN7EXAMPLE", link.access_key_id]


def test_a_predictor_over_botocore_keeps_its_time_outs(link: LocalPrivateLink) -> None:
    """That of streams counts too."""
    session: Any = link.session()
    for options in (
        {},
        {"timeout": 9},
        {"timeout": 60},
        {"stream_timeout": 9},
        {"stream_timeout": None},
    ):
        client = session.predictor("echo", transport="botocore", **options)._invoker.client
        http = client._endpoint.http_session
        assert client.meta.config.read_timeout == http.read_timeout == options.get("timeout", 70)
        assert http.stream_timeout == options.get("stream_timeout", 600)


def test_64_threads_ask_ec2_once(link: LocalPrivateLink) -> None:
    """The first calls of one client, and of clients of their own, decide one route."""
    session: Any = link.session()
    shared = session.client("sagemaker-runtime")
    barrier = threading.Barrier(64)

    def call(number: int) -> Any:
        barrier.wait(60)
        if number % 2:
            return session.client("sagemaker").list_endpoints()["Endpoints"][0]["EndpointName"]
        client = session.client("sagemaker-runtime") if number % 4 else shared
        return client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read().decode()

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(call, range(64)))
    assert set(answers) == {"echo", "x"}
    assert link.calls["ec2:DescribeVpcEndpoints"] == 1
    assert link.calls["ec2:DescribeNetworkInterfaces"] == 1


def test_sessions_of_one_process_share_what_ec2_said(link: LocalPrivateLink) -> None:
    """A session a thread is what frameworks do; EC2 would throttle the account."""
    sessions: Any = [link.session() for _ in range(24)]
    barrier = threading.Barrier(24)

    def call(session: Any) -> bytes:
        barrier.wait(60)
        client = session.client("sagemaker-runtime")
        return bytes(client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read())

    with ThreadPoolExecutor(24) as pool:
        assert set(pool.map(call, sessions)) == {b"x"}
    assert link.calls["ec2:DescribeVpcEndpoints"] == 1
    assert link.calls["ec2:DescribeNetworkInterfaces"] == 1


def test_other_credentials_are_not_told_what_ec2_said(link: LocalPrivateLink) -> None:
    """What EC2 shows is shared among equal credentials only."""
    link.session().route("sagemaker-runtime")
    link.session().route("sagemaker-runtime")
    assert link.calls["ec2:DescribeVpcEndpoints"] == 1
    link.session(**KEYS).route("sagemaker-runtime")
    assert link.calls["ec2:DescribeVpcEndpoints"] == 2


def test_a_failed_decision_is_kept_for_seconds(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was made during a failure works once that is over."""
    monkeypatch.setattr(router, "REFUSAL_TTL", 0.0)
    session: Any = link.session()
    client = session.client("sagemaker-runtime")
    with link.faults.deny("ec2:DescribeVpcEndpoints"), pytest.raises(NoPrivateRouteError):
        client.invoke_endpoint(EndpointName="echo", Body=b"x")
    monkeypatch.setattr(discovery, "_FAILURE_TTL", 0.0)
    session._routes.router._discovery("us-east-1", ClientCredentials()).forget()
    assert client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"


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
    "service", sorted(UNROUTABLE & set(boto3.session.Session().get_available_services()))
)
def test_family_members_without_an_endpoint_service_are_refused(
    link: LocalPrivateLink, service: str
) -> None:
    """Their clients can be made, and no call of them is sent."""
    session: Any = link.session()
    client = session.client(service, config=Config(parameter_validation=False))
    model = client.meta.service_model
    operation = model.operation_model(min(model.operation_names))
    arguments = ArgumentGenerator(use_member_names=True).generate_skeleton(operation.input_shape)
    with pytest.raises(NoPrivateRouteError) as caught:
        getattr(client, xform_name(operation.name))(**arguments)
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
    messages = [r.getMessage() for r in caplog.records]
    assert messages == [
        f"sagemaker goes to {link.control_url}, a stand-in on this machine, not a private route."
    ]
    route = session.route("sagemaker", endpoint_url=link.control_url)
    assert route.is_local
    assert not route.is_private
    assert client.meta.endpoint_url == link.control_url


def test_forget_routes_counts_for_clients_that_exist(link: LocalPrivateLink) -> None:
    """After a VPC endpoint was replaced, one call is enough."""
    session: Any = link.session()
    client = session.client("sagemaker-runtime")
    client.invoke_endpoint(EndpointName="echo", Body=b"x")
    old = link.requests[-1].vpc_endpoint_id
    link.delete_vpc_endpoint(str(old))
    new = link.create_vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    session.forget_routes()
    assert client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"
    assert link.requests[-1].vpc_endpoint_id == new != old


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
@pytest.mark.parametrize("what", ["client", "predictor"])
def test_a_child_forked_while_a_thread_decides_decides_by_itself(
    link: LocalPrivateLink, what: str
) -> None:
    """The thread that was about to is not in the child."""
    session: Any = link.session()
    parent, asked, go_on = os.getpid(), threading.Event(), threading.Event()

    def wait(**_: object) -> None:
        if os.getpid() == parent:
            asked.set()
            go_on.wait(60)

    session._session.register("creating-client-class.ec2", wait)
    client = session.client("sagemaker-runtime")
    predictor = session.predictor("echo")

    def call() -> bool:
        if what == "client":
            return bool(
                client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"
            )
        return bool(predictor.invoke(b"x", content_type="text/csv").body == b"x")

    def call_in_time() -> bool:
        signal.alarm(60)  # ends a child that waits for ever
        return call()

    with ThreadPoolExecutor(1) as pool:
        called = pool.submit(call)
        asked.wait(60)
        assert in_child(call_in_time)
        go_on.set()
        assert called.result(60)


def default_session(_: Any) -> tuple[Any, Callable[[], Any]]:
    return api._lock, api.default_session


def predictors(session: Any) -> tuple[Any, Callable[[], Any]]:
    return session._invokers._lock, lambda: session.predictor("echo")


def transport(session: Any) -> tuple[Any, Callable[[], Any]]:
    predictor = session.predictor("echo")
    lock = predictor._invoker._transport._lock
    return lock, lambda: predictor.invoke(b"x", content_type="text/csv")


def retries(session: Any) -> tuple[Any, Callable[[], Any]]:
    quota = session._invokers._quota
    return quota._lock, lambda: quota.acquire(1)


def http_session(session: Any) -> tuple[Any, Callable[[], Any]]:
    client = session.client("sagemaker-runtime")
    lock = client._endpoint.http_session._lock
    return lock, lambda: client.invoke_endpoint(EndpointName="echo", Body=b"x")


def seal(session: Any) -> tuple[Any, Callable[[], Any]]:
    sealed = smp.Session("a", "b", region_name=session.region_name, sealed=True)
    return sealed._seal._lock, sealed.get_credentials


def installation(session: Any) -> tuple[Any, Callable[[], Any]]:
    return session.installation._lock, lambda: boto3.Session().client("sagemaker")


def hook(_: Any) -> tuple[Any, Callable[[], Any]]:
    return installing._hook._lock, lambda: boto3.Session().client("sagemaker")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
@pytest.mark.parametrize(
    "use",
    [default_session, predictors, transport, retries, http_session, seal, installation, hook],
)
def test_no_lock_that_a_thread_holds_at_a_fork_hangs_the_child(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[Any], tuple[Any, Callable[[], Any]]],
) -> None:
    """The thread is not in the child, and would never release it there."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session())
    held, go_on = threading.Event(), threading.Event()

    def hold(lock: Any) -> None:
        with lock:
            held.set()
            go_on.wait()

    def work_in_time() -> bool:
        signal.alarm(60)  # ends a child that waits for ever
        work()
        return True

    with installing.install(network=link.network) as installed, ThreadPoolExecutor(1) as pool:
        session: Any = link.session()
        session.installation = installed
        lock, work = use(session)
        holding = pool.submit(hold, lock)
        held.wait()
        done = in_child(work_in_time)
        go_on.set()
        holding.result()
    assert done


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


def test_connect_decides_at_once(link: LocalPrivateLink) -> None:
    """What has no private route is said before the first call."""
    for vpc_endpoint in link.vpc_endpoints:
        link.delete_vpc_endpoint(str(vpc_endpoint.vpc_endpoint_id))
    with pytest.raises(NoPrivateRouteError):
        smp.connect(session=link.session())


def test_client_refuses_the_name_of_another_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single vpc_endpoint given to client() is meant for that very service."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    name = "vpce-0a1b2c3d-abcdefgh.api.sagemaker.us-west-2.vpce.amazonaws.com"
    client = smp.client("sagemaker-runtime", vpc_endpoint=name)
    with pytest.raises(ConfigurationError) as caught:
        client.invoke_endpoint(EndpointName="m", Body=b"x")
    assert caught.value.what == (
        f"vpc_endpoint= names {name}, whose service is sagemaker, but the client's is "
        "sagemaker-runtime."
    )


def test_the_default_session_is_boto3s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set it up, and however late: its region and its keys count, here and there."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert smp.DEFAULT_SESSION is None
    secret: Any = {"aws_secret_access_key": "s"}
    boto3.setup_default_session(aws_access_key_id="k1", **secret, region_name="eu-west-1")
    assert smp.client("sagemaker").meta.region_name == "eu-west-1"
    assert isinstance(smp.DEFAULT_SESSION, smp.Session)
    assert is_guarded(smp.client("sagemaker"))
    assert not is_guarded(boto3.client("sagemaker"))
    boto3.setup_default_session(aws_access_key_id="k2", **secret, region_name="eu-west-2")
    assert smp.client("sagemaker").meta.region_name == "eu-west-2"
    assert smp.resource("s3").meta.client.meta.region_name == "eu-west-2"
    smp.setup_default_session(
        aws_access_key_id="k3", region_name="us-west-2", vpc_id="vpc-0a1b2c3d"
    )
    assert boto3.DEFAULT_SESSION is smp.DEFAULT_SESSION
    assert smp.client("s3").meta.region_name == "us-west-2"


def test_client_takes_boto3s_arguments_by_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """In boto3's order."""
    url = "https://vpce-0a1b2c3d-abcdefgh.api.sagemaker.eu-west-1.vpce.amazonaws.com"
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    client: Any = smp.client("sagemaker", "eu-west-1", None, True, None, url, "k", "s", "t")
    assert (client.meta.region_name, client.meta.endpoint_url) == ("eu-west-1", url)
    assert client._get_credentials().token == "t"


def test_a_client_made_at_import_works_inside_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """As boto3's: it is answered by the mock, and the session of the mock's own keys is used."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "outside")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(network.SystemNetwork, "resolve", unresolved)
    client = smp.client("sagemaker")
    with moto.mock_aws():
        assert client.list_endpoints()["Endpoints"] == []
        inside: Any = smp.client("sagemaker")
        assert inside.list_endpoints()["Endpoints"] == []
        assert inside._get_credentials().access_key == "FOOBARKEY"
    after: Any = smp.client("sagemaker")
    assert after._get_credentials().access_key == "outside"


def unresolved(*_: object, **__: object) -> NoReturn:
    raise socket.gaierror(socket.EAI_NONAME, "no DNS in this test")
