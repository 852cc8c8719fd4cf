"""Specification of session/sealed.py: every service is reached privately, or refused."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import CredentialProvider, Credentials
from botocore.exceptions import UnknownServiceError

import sm_private_client as smp
from sm_private_client.errors import (
    ConfigurationError,
    FipsUnavailableError,
    NoPrivateRouteError,
    PublicAddressError,
)
from sm_private_client.privatelink.other_services import OTHER_SERVICES
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.guarded import is_guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
    """Return a sealed session whose other services have no URL but their own."""
    return link.session(other_services="network", sealed=True, **options)


@contextlib.contextmanager
def without_io(link: LocalPrivateLink) -> Iterator[None]:
    """Fail if a name is looked up or an address dialled inside."""
    before = len(link.network.looked_up), len(link.network.dialled)
    yield
    assert (len(link.network.looked_up), len(link.network.dialled)) == before


READS = {
    "athena": "list_work_groups",
    "bedrock": "list_foundation_models",
    "cloudwatch": "list_metrics",
    "dynamodb": "list_tables",
    "ec2": "describe_vpcs",
    "ecr": "describe_repositories",
    "events": "list_rules",
    "glue": "get_databases",
    "iam": "list_users",
    "kms": "list_keys",
    "lambda": "list_functions",
    "logs": "describe_log_groups",
    "s3": "list_buckets",
    "sagemaker": "list_endpoints",
    "secretsmanager": "list_secrets",
    "servicecatalog": "list_portfolios",
    "sns": "list_topics",
    "sqs": "list_queues",
    "ssm": "describe_parameters",
    "stepfunctions": "list_state_machines",
    "sts": "get_caller_identity",
}
"""Of each service a call without parameters."""


def call(client: Any, service_name: str) -> Any:
    return getattr(client, READS[service_name])()


# What is reached


def test_other_services_are_reached_through_their_interface_endpoints(
    furnished: LocalPrivateLink,
) -> None:
    """By private DNS if it answers, else by the endpoint's own name, found through EC2."""
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
    assert session.route("s3").endpoint_url.startswith("https://bucket.vpce-")
    assert s3.meta.endpoint_url == "https://s3.amazonaws.com"  # boto3's own, as it was made
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
    """They go over connections of the same kind."""
    session: Any = bare.session()

    async def work() -> None:
        async with session.async_predictor("echo") as predictor:
            for _ in range(3):
                await predictor.invoke(b"1", content_type="text/csv")

    asyncio.run(work())
    (record,) = session.egress().records
    assert (record.calls, record.connections, record.rule) == (3, 1, "eni")


# What is refused


@pytest.mark.parametrize(
    "row", [r for r in OTHER_SERVICES if r.service_name != "ec2"], ids=lambda row: row.service_name
)
def test_a_other_service_without_a_private_way_is_refused_by_its_first_call(
    bare: LocalPrivateLink, row: Any
) -> None:
    """The client is made; the error names the endpoint service to create, and nothing is sent."""
    session = sealed(bare)
    with without_io(bare):
        client = session.client(row.service_name)
    started = time.monotonic()
    with pytest.raises(NoPrivateRouteError) as caught:
        call(client, row.service_name)
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
        sealed(bare).client("sqs").list_queues()
    message = str(caught.value)
    address = message.partition("resolves to ")[2].partition(",")[0]
    assert message == (
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
    with pytest.raises(NoPrivateRouteError, match="bedrock is not in the other service table"):
        sealed(bare).client("bedrock").list_foundation_models()
    with bare.faults.dns("bedrock.us-east-1.amazonaws.com", "10.0.0.77"):
        assert sealed(bare).route("bedrock").source == "private-dns"


def test_ec2_itself_must_be_private() -> None:
    """The look-ups of discovery are no exception: without a private EC2 nothing is asked."""
    with LocalPrivateLink() as link:
        session = sealed(link)
        ec2, sts, sagemaker = (session.client(name) for name in ("ec2", "sts", "sagemaker"))
        with pytest.raises(NoPrivateRouteError, match="EC2 cannot be asked before this service"):
            ec2.describe_vpcs()
        with pytest.raises(NoPrivateRouteError) as caught:
            sts.get_caller_identity()
        assert "EC2 could not be asked" in str(caught.value)
        assert "No private route to ec2 in us-east-1" in str(caught.value)
        with pytest.raises(NoPrivateRouteError):
            sagemaker.list_endpoints()
        assert link.calls["ec2:DescribeVpcEndpoints"] == 0
        assert link.internet.connections == 0


def test_a_name_that_turns_public_is_refused_when_it_is_dialled(
    furnished: LocalPrivateLink,
) -> None:
    """DNS that answers publicly once the route is decided is caught by the guard, and counted."""
    session = sealed(furnished)
    client = session.client("sts")
    assert session.route("sts").source == "private-dns"
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
        sealed(link).client("sts").get_caller_identity()
    assert caught.value.address == "10.9.9.9"


def test_fips_is_never_dropped_for_a_vpce_host(furnished: LocalPrivateLink) -> None:
    """Botocore turns FIPS off for a custom host, so only a private FIPS host counts."""
    with pytest.raises(FipsUnavailableError, match="No private route to logs in us-east-1"):
        call(sealed(furnished).client("logs", config=Config(use_fips_endpoint=True)), "logs")


UNENCRYPTED = {
    "use_ssl=False": {"use_ssl": False},
    "http": {"endpoint_url": "http://s3.example"},
}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"verify": False}, "verify=False asks for TLS without verification."),
        (
            {"config": Config(proxies={"https": "http://p:1"})},
            "Config(proxies=...) is set for a routed client.",
        ),
        (UNENCRYPTED["use_ssl=False"], "use_ssl=False asks for an unencrypted s3 client."),
        (
            UNENCRYPTED["http"],
            "endpoint_url= has 'http://s3.example', which cannot be used as an endpoint URL.",
        ),
    ],
)
def test_what_would_weaken_the_seal_is_refused_at_creation(
    furnished: LocalPrivateLink, arguments: Any, what: str
) -> None:
    """For every service what holds for SageMaker's own."""
    session = sealed(furnished)
    with without_io(furnished), pytest.raises(ConfigurationError) as caught:
        session.client("s3", **arguments)
    assert caught.value.what == what


@pytest.mark.parametrize("service_name", ["s3", "sagemaker"])
@pytest.mark.parametrize(
    "arguments", [{"verify": False}, {"config": Config(proxies={"https": "http://p:1"})}]
)
def test_the_botocore_session_refuses_it_too(
    furnished: LocalPrivateLink, service_name: str, arguments: Any
) -> None:
    """Also a function of it that was kept from before the sealing."""
    core = furnished.botocore_session(other_services="network")
    kept = core.create_client
    assert sealed(furnished, botocore_session=core).sealed
    for make in (kept, core.create_client):
        with without_io(furnished), pytest.raises(ConfigurationError):
            make(service_name, **arguments)


@pytest.mark.parametrize(
    ("service_name", "arguments", "what"),
    [
        (
            "sts",
            UNENCRYPTED["use_ssl=False"],
            "An unencrypted request to sts was about to be sent.",
        ),
        (
            "s3",
            UNENCRYPTED["http"],
            "endpoint_url= has 'http://s3.example', which cannot be used as an endpoint URL.",
        ),
    ],
)
def test_what_is_not_encrypted_is_refused_by_calls_where_creation_does_not_see_it(
    furnished: LocalPrivateLink, service_name: str, arguments: Any, what: str
) -> None:
    """Clients of the botocore session; each time anew, and nothing is sent."""
    session = sealed(furnished)
    with without_io(furnished):
        client = session._session.create_client(service_name, **arguments)
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            call(client, service_name)
        assert caught.value.what == what
    assert [r for r in session.egress().records if r.service_name == service_name] == []


def test_a_vpce_host_is_encrypted_whatever_the_client_was_made_with(
    furnished: LocalPrivateLink,
) -> None:
    """The route's URL is what is called; of that botocore 1.40 makes http, which is refused."""
    client = sealed(furnished)._session.create_client("s3", use_ssl=False)
    before = len(furnished.other_service_requests)
    with contextlib.suppress(ConfigurationError):
        client.list_buckets()
    assert all(request.sni for request in furnished.other_service_requests[before:])


def test_an_unknown_service_is_boto3s_own_error(bare: LocalPrivateLink) -> None:
    """A typing error gets the list of services."""
    with pytest.raises(UnknownServiceError, match="s4"):
        sealed(bare).client("s4")


# Nothing gets past it


def test_clients_of_the_botocore_session_are_guarded_too(furnished: LocalPrivateLink) -> None:
    """Whoever makes clients by the botocore session gets what ``client`` gives, a new one."""
    session = sealed(furnished)
    core = session._session
    assert core.create_client("sts").get_caller_identity()["Account"] == furnished.account_id
    assert len(core.create_client("sagemaker").list_endpoints()["Endpoints"]) == 1
    assert core.create_client("sts") is not core.create_client("sts")
    with without_io(furnished):
        queues = core.create_client("sqs", "us-east-1")
    with pytest.raises(NoPrivateRouteError):
        queues.list_queues()


def test_a_function_that_was_kept_from_before_makes_guarded_clients(
    bare: LocalPrivateLink,
) -> None:
    """``create_client`` of the botocore session, taken before the sealing."""
    core = bare.botocore_session(other_services="network")
    kept: Any = core.create_client
    session = sealed(bare, botocore_session=core)
    with without_io(bare):
        queues = kept("sqs")
    with pytest.raises(NoPrivateRouteError):
        queues.list_queues()
    assert kept("ec2").describe_vpcs()["Vpcs"]
    assert session.client("ec2").describe_vpcs()["Vpcs"]


def test_a_client_that_was_made_before_the_sealing_stays_what_it_was(
    bare: LocalPrivateLink,
) -> None:
    """The page says so."""
    core = bare.botocore_session(other_services="network")
    before: Any = core.create_client("sqs")
    assert sealed(bare, botocore_session=core).sealed
    assert not is_guarded(before)


class Nested:
    """What makes a client of SQS while another client is being made.

    Attributes:
        kept: ``create_client`` as it was before the session was sealed.
        made: The clients.
    """

    def __init__(self, core: botocore.session.Session) -> None:
        self.kept: Callable[..., Any] = core.create_client
        self.made: list[Any] = []
        self._is_making = False

    def make(self, **_: object) -> None:
        if not self._is_making:
            self._is_making = True
            self.made.append(self.kept("sqs", "us-east-1", **KEYS))


KEYS: Any = {"aws_access_key_id": "AKIDNESTED", "aws_secret_access_key": "secret"}


def by_a_class_handler(core: botocore.session.Session, nested: Nested) -> None:
    core.register("creating-client-class", nested.make)


def by_the_services_class_handler(core: botocore.session.Session, nested: Nested) -> None:
    core.register("creating-client-class.sts", nested.make)


def by_a_credential_provider(core: botocore.session.Session, nested: Nested) -> None:
    class Provider(CredentialProvider):
        METHOD = CANONICAL_NAME = "nested"

        def load(self) -> Credentials:
            nested.make()
            return Credentials("AKIDPROVIDED", "secret")

    chain = core.get_component("credential_provider")
    chain.insert_before(chain.providers[0].METHOD, Provider())


NESTING = [
    by_a_class_handler,
    by_the_services_class_handler,
    by_a_credential_provider,
]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("nest", NESTING)
def test_a_client_that_is_made_while_another_one_is_made_is_guarded(
    bare: LocalPrivateLink,
    nest: Callable[[botocore.session.Session, Nested], None],
    is_first: bool,
) -> None:
    """Both are: there is no permit that one could use up for the other."""
    core = bare.botocore_session(other_services="network")
    nested = Nested(core)
    if is_first:
        nest(core, nested)
    session = sealed(bare, botocore_session=core)
    if not is_first:
        nest(core, nested)
    with without_io(bare):
        outer = session.client("sts")
    (inner,) = nested.made
    with pytest.raises(NoPrivateRouteError):
        inner.list_queues()
    with pytest.raises(NoPrivateRouteError):
        outer.get_caller_identity()
    assert {(r.service_name, r.refused) for r in session.egress().records if r.refused} == {
        ("sqs", 1),
        ("sts", 1),
    }


def base_that_calls(seen: list[Exception], *, is_cooperative: bool) -> type:
    """Return a base class of clients that calls SQS as soon as it can."""

    class Base:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made: Any = self
            if is_cooperative:
                super().__init__(*args, **kwargs)
            else:
                BaseClient.__init__(made, *args, **kwargs)
            if made.meta.service_model.service_name == "sqs":
                with pytest.raises(NoPrivateRouteError) as caught:
                    made.list_queues()
                seen.append(caught.value)

    return Base


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("event", ["creating-client-class", "creating-client-class.sqs"])
@pytest.mark.parametrize("is_cooperative", [True, False])
def test_a_base_class_that_calls_while_it_is_made_is_guarded(
    bare: LocalPrivateLink, event: str, is_cooperative: bool, is_first: bool
) -> None:
    """Handlers may give a client more bases, before the session is sealed and afterwards."""
    core: Any = bare.botocore_session(other_services="network")
    seen: list[Exception] = []

    def more(base_classes: list[type], **_: object) -> None:
        base_classes.insert(0, base_that_calls(seen, is_cooperative=is_cooperative))

    if is_first:
        core.register(event, more)
    session = sealed(bare, botocore_session=core)
    if not is_first:
        core.register(event, more)
    made = session._session.create_client("sqs", "us-east-1")
    assert len(seen) == 1
    with pytest.raises(NoPrivateRouteError):
        made.list_queues()


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
        session.client("sqs").list_queues()


def test_a_name_that_a_handler_translates_is_guarded(bare: LocalPrivateLink) -> None:
    """Botocore asks handlers what a service is really called; that is what counts."""
    core = bare.botocore_session(other_services="network")
    core.get_component("event_emitter").register_first(
        "choose-service-name", lambda service_name, **_: {"queues": "sqs"}.get(service_name)
    )
    client = sealed(bare, botocore_session=core).client("queues")
    with pytest.raises(NoPrivateRouteError, match="No private route to sqs in us-east-1"):
        client.list_queues()


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
        barrier.wait(60)
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


def test_routes_may_be_forgotten_while_a_call_asks_ec2(furnished: LocalPrivateLink) -> None:
    """The question to EC2 has a route of its own: neither waits for the other for ever."""
    session = sealed(furnished)
    client = session.client("sagemaker-runtime")
    forgetters = [threading.Thread(target=session.forget_routes, daemon=True) for _ in range(2)]

    def forget(**_: object) -> None:
        for thread in forgetters:
            if thread.ident is None:
                thread.start()
        time.sleep(0.2)  # for them to come as far as they do

    session._session.register("creating-client-class.ec2", forget)
    caller = threading.Thread(
        target=lambda: client.invoke_endpoint(EndpointName="echo", Body=b"x"), daemon=True
    )
    caller.start()
    for thread in (caller, *forgetters):
        thread.join(60)
    assert not any(thread.is_alive() for thread in (caller, *forgetters))
    assert client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"


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
    core = bare.botocore_session(other_services="network")
    core.set_config_variable("config_file", str(config))
    session: Any = bare.session(botocore_session=core)
    with pytest.raises(NoPrivateRouteError):
        session.client("sqs").list_queues()
    assert session.sealed


@pytest.mark.parametrize("source", ["profile", "variable"])
def test_what_seals_later_counts_for_the_botocore_session_too(
    bare: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Libraries take ``_session`` of a session and make clients by it; the first one is sealed."""
    core = bare.botocore_session(other_services="network")
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
            make("sqs").list_queues()
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
    with pytest.raises(ConfigurationError, match="verify=False"):
        smp.client("sqs", sealed=True, verify=False)
    assert smp.connect(sealed=True).sagemaker.meta.endpoint_url == bare.control_url
    assert is_guarded(smp.client("sqs", sealed=True))
    assert not is_guarded(smp.client("sqs"))


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
    arguments = {"vpc_id": link.vpc_id} if options.get("vpc_id") is True else options
    with pytest.raises(NoPrivateRouteError) as caught:
        sealed(link, **arguments).client("s3").list_buckets()
    assert said in str(caught.value)
    assert "or create a gateway endpoint of com.amazonaws.us-east-1.s3" in str(caught.value)


def test_a_variable_does_not_make_a_gateway_count(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the environment widens what is private: the VPC must be known otherwise."""
    link.create_gateway("s3")
    monkeypatch.setenv("SM_PRIVATE_VPC_ID", link.vpc_id)
    with pytest.raises(NoPrivateRouteError, match="which VPC this is is not known"):
        sealed(link).client("s3").list_buckets()


@pytest.mark.parametrize("action", ["DescribePrefixLists", "DescribeRouteTables"])
def test_what_ec2_does_not_tell_about_a_gateway_is_named(
    link: LocalPrivateLink, action: str
) -> None:
    """A missing permission is a refusal that says which one."""
    link.create_gateway("s3")
    with link.faults.deny(f"ec2:{action}"), pytest.raises(NoPrivateRouteError) as caught:
        sealed(link, vpc_id=link.vpc_id).client("s3").list_buckets()
    assert f"EC2 could not be asked (ec2:{action})" in str(caught.value)
