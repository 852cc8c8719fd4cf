"""Specification of sealed sessions: every service is reached privately, or refused at once."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import UnknownServiceError

import sm_private_client as smp
from sm_private_client.errors import (
    ConfigurationError,
    FipsUnavailableError,
    NoPrivateRouteError,
    PublicAddressError,
)
from sm_private_client.privatelink.siblings import SIBLINGS
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def bare() -> Iterator[LocalPrivateLink]:
    """A VPC in which only EC2 and SageMaker have interface endpoints; not to be changed."""
    with LocalPrivateLink() as link:
        link.create_vpc_endpoint("ec2", private_dns=True)
        link.deploy("echo", lambda body, _: body)
        yield link
        assert link.internet.connections == 0


@pytest.fixture(scope="module")
def furnished() -> Iterator[LocalPrivateLink]:
    """A VPC with interface endpoints of EC2, STS (private DNS) and S3 (none); not to be changed."""
    with LocalPrivateLink() as link:
        link.create_vpc_endpoint("ec2", private_dns=True)
        link.create_vpc_endpoint("sts", private_dns=True)
        link.create_vpc_endpoint("logs")
        link.create_vpc_endpoint("s3")
        link.deploy("echo", lambda body, _: body, s3_output_path="s3://answers/out")
        s3: Any = link.session().client("s3")
        s3.create_bucket(Bucket="answers")
        yield link
        assert link.internet.connections == 0


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    """A VPC to be changed; EC2 has private DNS. Nothing goes out publicly."""
    with LocalPrivateLink(services=()) as running:
        running.create_vpc_endpoint("ec2", private_dns=True)
        yield running
        assert running.internet.connections == 0


def sealed(link: LocalPrivateLink, **options: Any) -> Any:
    """Gives a sealed session whose siblings have no URL but their own."""
    return link.session(siblings="network", sealed=True, **options)


# What is reached


def test_siblings_are_reached_through_their_interface_endpoints(
    furnished: LocalPrivateLink,
) -> None:
    """By private DNS where it answers, else by the endpoint's own name, found through EC2."""
    session = sealed(furnished)
    account = session.client("sts").get_caller_identity()["Account"]
    assert account == furnished.account_id
    assert session.client("logs").describe_log_groups()["logGroups"] == []
    assert session.route("sts").source == "private-dns"
    assert session.route("sts").endpoint_url == "https://sts.us-east-1.amazonaws.com"
    assert session.route("logs").source == "discovery"
    assert session.route("logs").endpoint_url.endswith(".logs.us-east-1.vpce.amazonaws.com")
    reached = {r.service_name: r for r in session.egress().records}
    assert set(reached) == {"ec2", "logs", "sts"}
    assert all(r.private and r.connections and r.calls for r in reached.values())
    assert reached["logs"].rule == "eni"
    assert reached["sts"].rule == "private-range"
    assert not session.egress().reached_public


def test_s3_clients_and_resources_use_the_endpoints_bucket_name(
    furnished: LocalPrivateLink,
) -> None:
    """``https://bucket.vpce-…`` is what AWS documents; resources and transfers are covered."""
    session = sealed(furnished)
    s3 = session.client("s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="a", Body=b"1")
    assert s3.get_object(Bucket="mine", Key="a")["Body"].read() == b"1"
    bucket = session.resource("s3").Bucket("mine")
    bucket.upload_fileobj(io.BytesIO(b"2" * 100), "b")
    assert sorted(made.key for made in bucket.objects.all()) == ["a", "b"]
    assert s3.meta.endpoint_url.startswith("https://bucket.vpce-")
    hosts = {r.host for r in session.egress().records if r.service_name == "s3"}
    assert all(host.endswith(".s3.us-east-1.vpce.amazonaws.com") for host in hosts)


def test_jobs_of_a_predictor_use_the_sealed_s3(furnished: LocalPrivateLink) -> None:
    """Submitting a job and reading its answer goes through S3's interface endpoint."""
    session = sealed(furnished)
    predictor = session.predictor("echo")
    job = predictor.submit(b"7", content_type="text/csv", s3_prefix="s3://answers/in/")
    assert job.result(timeout=20) is not None
    assert {"s3", "sagemaker-runtime"} <= {r.service_name for r in session.egress().records}
    assert not session.egress().reached_public


@pytest.mark.parametrize("engine", ["direct", "botocore"])
def test_every_engine_counts_its_calls(bare: LocalPrivateLink, engine: str) -> None:
    """One call is one call, whatever carries it, in sessions that are not sealed too."""
    session: Any = bare.session()
    predictor = session.predictor("echo", transport=engine)
    for _ in range(3):
        predictor.invoke(b"1", content_type="text/csv")
    if engine != "botocore":
        predictor._invoker.close()
    (record,) = session.egress().records
    assert (record.service_name, record.calls, record.refused) == ("sagemaker-runtime", 3, 0)
    assert record.connections == 1
    assert (record.private, record.rule) == (True, "eni")
    assert not session.egress().sealed


def test_an_asynchronous_predictor_counts_its_calls(bare: LocalPrivateLink) -> None:
    """Its engine opens connections itself: those that were judged are counted."""
    pytest.importorskip("pyreqwest")
    session: Any = bare.session()

    async def work() -> None:
        predictor = session.async_predictor("echo")
        for _ in range(3):
            await predictor.invoke(b"1", content_type="text/csv")

    asyncio.run(work())
    (record,) = session.egress().records
    assert (record.calls, record.connections, record.rule) == (3, 1, "eni")


# What is refused


@pytest.mark.parametrize(
    "row", [r for r in SIBLINGS if r.service_name != "ec2"], ids=lambda row: row.service_name
)
def test_a_sibling_without_a_private_way_is_refused_at_once(
    bare: LocalPrivateLink, row: Any
) -> None:
    """The error names the endpoint service to create, and comes before anything is sent."""
    session = sealed(bare)
    started = time.monotonic()
    with pytest.raises(NoPrivateRouteError) as caught:
        session.client(row.service_name)
    assert time.monotonic() - started < 10
    name = f"com.amazonaws.us-east-1.{row.name_suffix}" if row.is_regional else "com.amazonaws.iam"
    assert f"create an interface endpoint of {name} in this VPC" in str(caught.value)
    assert [e.step for e in caught.value.attempts][:3] == ["explicit", "private DNS", "discovery"]
    (refused,) = [r for r in session.egress().records if r.refused]
    assert (refused.service_name, refused.rule) == (row.service_name, "no-private-route")
    assert (refused.connections, refused.calls, refused.address) == (0, 0, "")


def test_the_whole_message_of_a_refusal(bare: LocalPrivateLink) -> None:
    """What was tried, and the remedies in order."""
    with pytest.raises(NoPrivateRouteError) as caught:
        sealed(bare).client("sqs")
    told = str(caught.value)
    address = told.partition("resolves to ")[2].partition(",")[0]
    assert told == (
        "No private route to sqs in us-east-1, and the session is sealed; nothing was sent. "
        "Tried, in order:\n"
        "  explicit (skipped): neither endpoint_url= nor AWS_ENDPOINT_URL* was given\n"
        f"  private DNS (no): sqs.us-east-1.amazonaws.com resolves to {address}, which is public\n"
        "  discovery (no): EC2 shows no VPC endpoint of com.amazonaws.us-east-1.sqs\n"
        "Remedies, in order:\n"
        "  1. create an interface endpoint of com.amazonaws.us-east-1.sqs in this VPC, with "
        "private DNS.\n"
        "  2. if there is one that this identity cannot see, pass endpoint_url= with its DNS "
        "name.\n"
        "See docs/errors.md#no-private-route"
    )


def test_a_service_outside_of_the_table_needs_private_dns(bare: LocalPrivateLink) -> None:
    """Its endpoint service is not known, so that EC2 is not asked."""
    with pytest.raises(NoPrivateRouteError, match="bedrock is not in the sibling table"):
        sealed(bare).client("bedrock")
    with bare.faults.dns("bedrock.us-east-1.amazonaws.com", "10.0.0.77"):
        session = sealed(bare)
        assert session.client("bedrock").meta.endpoint_url.startswith("https://bedrock.")
        assert session.route("bedrock").source == "private-dns"


def test_ec2_itself_must_be_private() -> None:
    """The look-ups of discovery are no exception: without a private EC2 nothing is asked."""
    with LocalPrivateLink() as link:
        session = sealed(link)
        with pytest.raises(NoPrivateRouteError, match="EC2 cannot be asked before this service"):
            session.client("ec2")
        with pytest.raises(NoPrivateRouteError) as caught:
            session.client("sts")
        assert "EC2 could not be asked" in str(caught.value)
        assert "No private route to ec2 in us-east-1" in str(caught.value)
        with pytest.raises(NoPrivateRouteError):
            session.client("sagemaker")
        assert link.calls["ec2:DescribeVpcEndpoints"] == 0
        assert link.internet.connections == 0


def test_a_name_that_turns_public_is_refused_when_it_is_dialled(
    furnished: LocalPrivateLink,
) -> None:
    """DNS that answers publicly later is caught by the guard, and counted."""
    session = sealed(furnished)
    client = session.client("sts")
    public = furnished.faults.dns("sts.us-east-1.amazonaws.com", "52.46.128.77")
    with public, pytest.raises(PublicAddressError):
        client.get_caller_identity()
    (refused,) = [r for r in session.egress().records if r.refused]
    assert (refused.address, refused.rule, refused.refused) == ("52.46.128.77", "public", 1)
    assert (refused.connections, refused.calls) == (0, 0)


def test_an_address_of_another_vpc_is_refused(link: LocalPrivateLink) -> None:
    """A discovered endpoint is judged by its own interfaces, not by private ranges."""
    name = link.create_vpc_endpoint("sts").name.host
    with link.faults.dns(name, "10.9.9.9"), pytest.raises(PublicAddressError) as caught:
        sealed(link).client("sts")
    assert caught.value.address == "10.9.9.9"


def test_fips_is_never_dropped_for_a_vpce_host(furnished: LocalPrivateLink) -> None:
    """Botocore turns FIPS off for a custom host, so only a private FIPS host counts."""
    with pytest.raises(FipsUnavailableError, match="No private route to logs in us-east-1"):
        sealed(furnished).client("logs", config=Config(use_fips_endpoint=True))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"verify": False}, "verify=False asks for TLS without verification."),
        ({"use_ssl": False}, "use_ssl=False asks for an unencrypted s3 client."),
        (
            {"config": Config(proxies={"https": "http://p:1"})},
            "Config(proxies=...) is set for a routed client.",
        ),
        (
            {"endpoint_url": "http://s3.example"},
            "endpoint_url= has 'http://s3.example', which cannot be used as an endpoint URL.",
        ),
    ],
)
def test_what_would_weaken_the_seal_is_refused(
    furnished: LocalPrivateLink, arguments: Any, what: str
) -> None:
    """For every service what holds for SageMaker's own."""
    with pytest.raises(ConfigurationError) as caught:
        sealed(furnished).client("s3", **arguments)
    assert caught.value.what == what


def test_an_unknown_service_is_boto3s_own_error(bare: LocalPrivateLink) -> None:
    """A typing error gets the list of services."""
    with pytest.raises(UnknownServiceError, match="s4"):
        sealed(bare).client("s4")


# Nothing gets past it


def test_clients_of_the_botocore_session_are_guarded_too(furnished: LocalPrivateLink) -> None:
    """Whoever makes clients by the botocore session gets what ``client`` gives."""
    session = sealed(furnished)
    core = session._session
    assert core.create_client("sts").get_caller_identity()["Account"] == furnished.account_id
    assert core.create_client("sagemaker") is session.client("sagemaker")
    with pytest.raises(NoPrivateRouteError):
        core.create_client("sqs", "us-east-1")


def test_a_client_made_past_the_seal_is_stopped(bare: LocalPrivateLink) -> None:
    """A function that was kept from before the sealing makes no client any more."""
    core = bare.botocore_session(siblings="network")
    kept = core.create_client
    session = sealed(bare, botocore_session=core)
    with pytest.raises(ConfigurationError, match="past the seal of its session"):
        kept("sqs")
    assert session.client("ec2").describe_vpcs()["Vpcs"]


class MineOfBotocore(botocore.session.Session):
    """A botocore session as users write them."""

    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        return super().create_client(*args, **kwargs)


def test_a_subclass_of_botocores_session_is_sealed(
    bare: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it calls its arguments."""
    for name, value in bare.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    session: Any = smp.Session(botocore_session=MineOfBotocore(), network=bare.network, sealed=True)
    assert session.client("ec2").describe_vpcs()["Vpcs"]
    with pytest.raises(NoPrivateRouteError):
        session.client("sqs")


def test_a_name_that_a_handler_translates_is_refused(bare: LocalPrivateLink) -> None:
    """Botocore asks handlers what a service is really called; only its own names are known here."""
    core = bare.botocore_session(siblings="network")
    core.get_component("event_emitter").register_first(
        "choose-service-name", lambda service_name, **_: {"queues": "sqs"}.get(service_name)
    )
    with pytest.raises(UnknownServiceError, match="queues"):
        sealed(bare, botocore_session=core).client("queues")


def test_a_stand_in_on_loopback_stays_local(bare: LocalPrivateLink) -> None:
    """From the argument or the config file, as for the family; the record says local."""
    port = int(bare.control_url.rpartition(":")[2])
    bare.network.map("127.0.0.1", port, ("127.0.0.1", port))
    session: Any = bare.session(sealed=True)
    assert session.client("sts").get_caller_identity()["Account"] == bare.account_id
    s3 = session.client("s3", endpoint_url=bare.control_url)
    assert s3.list_buckets()["Buckets"] == []
    assert session.route("sts").is_local
    assert {(r.service_name, r.rule, r.private) for r in session.egress().records} == {
        ("sts", "local", False),
        ("s3", "local", False),
    }
    assert not session.egress().reached_public


def test_threads_share_a_sealed_session(furnished: LocalPrivateLink) -> None:
    """Sixteen threads make clients and call; every call is counted once."""
    session = sealed(furnished)
    barrier = threading.Barrier(16)

    def work(number: int) -> object:
        barrier.wait()
        client = session.client("sts" if number % 2 else "logs")
        call = client.get_caller_identity if number % 2 else client.describe_log_groups
        for _ in range(2):
            call()
        return call().get("Account")

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(work, range(16)))
    assert answers == {furnished.account_id, None}
    calls = {
        service: sum(r.calls for r in session.egress().records if r.service_name == service)
        for service in ("sts", "logs")
    }
    assert calls == {"sts": 24, "logs": 24}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on_counting(furnished: LocalPrivateLink) -> None:
    """The child stays sealed and has a record of its own, which begins as its parent's."""
    session = sealed(furnished)
    client = session.client("sts")
    client.get_caller_identity()
    child = os.fork()
    if child == 0:
        try:
            client.get_caller_identity()
            calls = sum(r.calls for r in session.egress().records if r.service_name == "sts")
            os._exit(0 if session.sealed and calls == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sum(r.calls for r in session.egress().records if r.service_name == "sts") == 1


def test_forgetting_routes_forgets_nothing_that_was_reached(furnished: LocalPrivateLink) -> None:
    """The record is of the session, not of its routes and clients."""
    session = sealed(furnished)
    client = session.client("sts")
    client.get_caller_identity()
    before = session.egress()
    client.close()
    session.forget_routes()
    assert session.egress() == before
    session.client("sts").get_caller_identity()
    assert sum(r.calls for r in session.egress().records if r.service_name == "sts") == 2


# How a session is sealed


def test_a_pickled_session_stays_sealed() -> None:
    """The recipe has ``sealed``."""
    again = pickle.loads(pickle.dumps(smp.Session(region_name="us-east-1", sealed=True)))  # noqa: S301 - our own
    assert again.sealed
    assert not pickle.loads(pickle.dumps(smp.Session(region_name="us-east-1"))).sealed  # noqa: S301 - our own


def test_a_session_that_a_variable_sealed_stays_sealed_where_it_is_not_set() -> None:
    """A worker on another machine has another environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SM_PRIVATE_SEALED", "true")
        pickled = pickle.dumps(smp.Session(region_name="us-east-1"))
    assert pickle.loads(pickled).sealed  # noqa: S301 - our own


def test_the_profile_seals(bare: LocalPrivateLink, tmp_path: Path) -> None:
    """``sm_private_sealed`` counts for the first client already."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = us-east-1\nsm_private_sealed = true\n", encoding="utf-8")
    core = bare.botocore_session(siblings="network")
    core.set_config_variable("config_file", str(config))
    session: Any = bare.session(botocore_session=core)
    with pytest.raises(NoPrivateRouteError):
        session.client("sqs")
    assert session.sealed


@pytest.mark.parametrize("source", ["profile", "variable"])
def test_what_seals_later_counts_for_the_botocore_session_too(
    bare: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Libraries take ``_session`` of a session and make clients by it; the first one is sealed."""
    core = bare.botocore_session(siblings="network")
    if source == "profile":
        config = tmp_path / "config"
        config.write_text("[default]\nsm_private_sealed = true\n", encoding="utf-8")
        core.set_config_variable("config_file", str(config))
    session: Any = bare.session(botocore_session=core)
    kept = session._session.create_client
    if source == "variable":
        assert not session.sealed
        monkeypatch.setenv("SM_PRIVATE_SEALED", "true")
    for make in (kept, session._session.create_client, kept):
        with pytest.raises(NoPrivateRouteError):
            make("sqs")
        assert make("ec2", "us-east-1").describe_vpcs()["Vpcs"]
    assert session.sealed


def test_the_environment_seals_and_cannot_unseal(
    bare: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``SM_PRIVATE_SEALED`` only narrows."""
    monkeypatch.setenv("SM_PRIVATE_SEALED", "false")
    assert sealed(bare).sealed
    monkeypatch.setenv("SM_PRIVATE_SEALED", "true")
    assert bare.session(sealed=False).sealed


def test_client_and_connect_take_sealed(
    bare: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``smp.client(…, sealed=True)`` and ``smp.connect(sealed=True)`` make a sealed session."""
    for name, value in bare.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", bare.control_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", bare.control_url)
    identity = smp.client("sts", sealed=True).get_caller_identity()
    assert identity["Account"] == bare.account_id
    with pytest.raises(ConfigurationError, match="use_ssl=False"):
        smp.client("sqs", sealed=True, use_ssl=False)
    assert smp.connect(sealed=True).sagemaker.meta.endpoint_url == bare.control_url


# Gateways


def test_s3_goes_through_a_gateway_that_the_route_table_has(link: LocalPrivateLink) -> None:
    """Its public addresses are private by the prefix list; the default URL stays."""
    link.create_gateway("s3")
    session = sealed(link, vpc_id=link.vpc_id)
    s3 = session.client("s3")
    s3.create_bucket(Bucket="gated")
    s3.put_object(Bucket="gated", Key="a", Body=b"1")
    assert session.resource("s3").Object("gated", "a").get()["Body"].read() == b"1"
    route = session.route("s3")
    assert (route.source, route.endpoint_url) == ("gateway", "https://s3.us-east-1.amazonaws.com")
    records = [r for r in session.egress().records if r.service_name == "s3"]
    assert {(r.rule, r.private) for r in records} == {("s3-gateway", True)}
    outside = link.faults.dns("gated.s3.us-east-1.amazonaws.com", "52.46.128.77")
    with outside, pytest.raises(PublicAddressError, match="is public"):
        session.client("s3").get_object(Bucket="gated", Key="a")


@pytest.mark.parametrize(
    ("tables", "options", "said"),
    [
        ([], {"vpc_id": True}, "has no route to it, and which subnet this is is not known"),
        (None, {}, "which VPC this is is not known; pass vpc_id="),
        (None, {"vpc_id": "vpc-0a1b2c3d"}, "vpc-0a1b2c3d has no gateway endpoint of"),
    ],
)
def test_a_gateway_without_a_way_to_it_does_not_count(
    link: LocalPrivateLink, tables: Any, options: Any, said: str
) -> None:
    """No entry in the route table, an unknown VPC, another VPC."""
    link.create_gateway("s3", route_table_ids=tables)
    given = {"vpc_id": link.vpc_id} if options.get("vpc_id") is True else options
    with pytest.raises(NoPrivateRouteError) as caught:
        sealed(link, **given).client("s3")
    assert said in str(caught.value)
    assert "or create a gateway endpoint of com.amazonaws.us-east-1.s3" in str(caught.value)


def test_a_variable_does_not_make_a_gateway_count(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the environment widens what is private: the VPC must be known otherwise."""
    link.create_gateway("s3")
    monkeypatch.setenv("SM_PRIVATE_VPC_ID", link.vpc_id)
    with pytest.raises(NoPrivateRouteError, match="which VPC this is is not known"):
        sealed(link).client("s3")


@pytest.mark.parametrize("action", ["DescribePrefixLists", "DescribeRouteTables"])
def test_what_ec2_does_not_tell_about_a_gateway_is_named(
    link: LocalPrivateLink, action: str
) -> None:
    """A missing permission is a refusal that says which one."""
    link.create_gateway("s3")
    with link.faults.deny(f"ec2:{action}"), pytest.raises(NoPrivateRouteError) as caught:
        sealed(link, vpc_id=link.vpc_id).client("s3")
    assert f"EC2 could not be asked (ec2:{action})" in str(caught.value)
