"""``install``: code that makes its own boto3 clients gets private ones, and all of it is undone."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import CredentialProvider, Credentials, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, NoRegionError, UnknownServiceError
from botocore.httpsession import URLLib3Session

from sm_private_client import (
    ConfigurationError,
    MissingExtraError,
    NoPrivateRouteError,
    PublicAddressError,
    Session,
)
from sm_private_client.integrations.install import Installation, install, uninstall
from sm_private_client.routing import discovery, router
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.guarded import CLIENT_HOOK, GuardedHTTPSession, is_guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("churn", lambda body, _content_type: b"0.5" + body)
        yield running


@pytest.fixture(autouse=True)
def nothing_left_behind(link: LocalPrivateLink) -> Iterator[None]:
    """After every test botocore is as it was, and nothing has gone out."""
    before = dict(vars(botocore.session.Session))
    yield
    assert dict(vars(botocore.session.Session)) == before
    assert hook() is before[CLIENT_HOOK]
    assert link.internet.connections == 0


def hook() -> object:
    return vars(botocore.session.Session)[CLIENT_HOOK]


@contextlib.contextmanager
def without_io(link: LocalPrivateLink) -> Iterator[None]:
    """Fail if a name is looked up or an address dialled inside, or AWS is asked anything."""

    def seen() -> tuple[int, ...]:
        return len(link.network.looked_up), len(link.network.dialled), link.calls.total()

    before = seen()
    yield
    assert seen() == before


def boto3_session(link: LocalPrivateLink) -> Any:
    return boto3.Session(botocore_session=link.botocore_session())


def keys(link: LocalPrivateLink) -> dict[str, Any]:
    return {
        "aws_access_key_id": link.access_key_id,
        "aws_secret_access_key": link.secret_access_key,
    }


def carried(client: Any) -> object:
    return client._endpoint.http_session


class Mine(boto3.Session):
    """A session as users write them, with a ``client`` of its own."""

    def client(self, *args: Any, **kwargs: Any) -> Any:
        return super().client(*args, **kwargs)


class MineOfBotocore(botocore.session.Session):
    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        return super().create_client(*args, **kwargs)


def by_default_session(_: LocalPrivateLink) -> Any:
    return boto3.client("sagemaker-runtime")


def by_new_session(_: LocalPrivateLink) -> Any:
    return boto3.Session().client("sagemaker-runtime")


def by_keyword(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client(service_name="sagemaker-runtime")


def by_alias(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("runtime.sagemaker")


def by_position(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("sagemaker-runtime", "us-east-1", None, True)


def by_subclass(link: LocalPrivateLink) -> Any:
    return Mine(botocore_session=link.botocore_session()).client("sagemaker-runtime")


def by_botocore(link: LocalPrivateLink) -> Any:
    return link.botocore_session().create_client("sagemaker-runtime")


def by_botocore_subclass(_: LocalPrivateLink) -> Any:
    return MineOfBotocore().create_client("sagemaker-runtime")


def by_given_keys(link: LocalPrivateLink) -> Any:
    return boto3.client("sagemaker-runtime", region_name=link.region, **keys(link))


WAYS = [
    by_default_session,
    by_new_session,
    by_keyword,
    by_alias,
    by_position,
    by_subclass,
    by_botocore,
    by_botocore_subclass,
    by_given_keys,
]


@pytest.fixture
def environment(link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("make", WAYS)
def test_every_way_of_making_a_client_gives_a_routed_one(
    link: LocalPrivateLink, make: Callable[[LocalPrivateLink], Any]
) -> None:
    """Made without I/O; the call arrives at the VPC endpoint's listener, and nowhere else."""
    seen = len(link.requests)
    with install(network=link.network), without_io(link):
        client = make(link)
    assert isinstance(carried(client), GuardedHTTPSession)
    answer = client.invoke_endpoint(EndpointName="churn", Body=b"1", ContentType="text/csv")
    assert answer["Body"].read() == b"0.51"
    (request,) = link.requests[seen:]
    assert request.operation == "InvokeEndpoint"
    assert ".vpce." in request.host
    assert request.vpc_endpoint_id == link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    assert client.meta.endpoint_url == "https://runtime.sagemaker.us-east-1.amazonaws.com"
    client.close()


@pytest.mark.parametrize("make", [by_keyword, by_botocore, by_subclass])
def test_a_client_outlives_the_session_that_made_it(
    link: LocalPrivateLink, make: Callable[[LocalPrivateLink], Any]
) -> None:
    """As boto3's do: ``boto3.Session().client(…)`` keeps nothing else."""
    with install(network=link.network):
        client = make(link)
        gc.collect()
        answer = client.invoke_endpoint(EndpointName="churn", Body=b"1", ContentType="text/csv")
    assert answer["Body"].read() == b"0.51"


def test_sessions_that_exist_already_give_routed_clients(link: LocalPrivateLink) -> None:
    """Those made before, in every thread; what was made before and is a client stays as it was."""
    session, makers = boto3_session(link), []
    old = session.client("sagemaker")
    with install(network=link.network):
        thread = threading.Thread(target=lambda: makers.append(session.client("sagemaker")))
        thread.start()
        thread.join()
    new = session.client("sagemaker")
    assert [is_guarded(client) for client in (old, *makers, new)] == [False, True, False]


def test_a_method_that_was_kept_from_before_is_covered_too(link: LocalPrivateLink) -> None:
    """It is the client that is guarded, however it was asked for."""
    session = link.botocore_session()
    kept = session.create_client
    with install(network=link.network):
        client: Any = kept("sagemaker")
        featurestore: Any = kept("sagemaker-featurestore-runtime")
    assert client.list_endpoints()["Endpoints"]
    with pytest.raises(NoPrivateRouteError):
        featurestore.get_record(FeatureGroupName="g", RecordIdentifierValueAsString="1")


def test_other_services_are_boto3s_own(link: LocalPrivateLink) -> None:
    """Clients and resources; boto3's additions to S3 stay on."""
    session = boto3_session(link)
    with install(network=link.network):
        s3, resource = session.client("s3"), session.resource("s3")
        assert type(carried(s3)) is URLLib3Session
        s3.create_bucket(Bucket="swap")
        assert resource.Bucket("swap").name == "swap"
        assert callable(s3.upload_file)


def test_each_client_is_a_new_one(link: LocalPrivateLink) -> None:
    """As boto3 makes them, so that what a library hangs on its client stays its own."""
    session = boto3_session(link)
    with install(network=link.network):
        assert session.client("sagemaker") is not session.client("sagemaker")


def test_arguments_mean_what_they_mean_to_boto3(link: LocalPrivateLink) -> None:
    """The caller's configuration, keys and URL count; our defaults fill in what is left out."""
    config = Config(user_agent_extra="theirs", read_timeout=7, retries={"total_max_attempts": 1})
    with install(network=link.network):
        client = boto3_session(link).client(
            "sagemaker",
            config=config,
            endpoint_url="https://10.0.1.7",
            aws_access_key_id="AKIDTHEIRS",
            aws_secret_access_key="secret",
        )
    assert client.meta.endpoint_url == "https://10.0.1.7"
    assert client.meta.config.read_timeout == 7
    assert client.meta.config.connect_timeout == 5
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert "theirs" in client.meta.config.user_agent_extra
    assert client._get_credentials().access_key == "AKIDTHEIRS"


# What cannot be routed


def nothing_at_all(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("sagemaker-featurestore-runtime")


def no_endpoint_service(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("sagemaker-a2i-runtime")


def public_url(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client(
        "sagemaker", endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com"
    )


def not_verified(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("sagemaker", verify=False)


def not_encrypted(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("sagemaker", endpoint_url="http://sagemaker.example")


def by_a_proxy(link: LocalPrivateLink) -> Any:
    config = Config(proxies={"https": "http://proxy:1"})
    return boto3_session(link).client("sagemaker", config=config)


GET_RECORD = ("get_record", {"FeatureGroupName": "g", "RecordIdentifierValueAsString": "1"})


@pytest.mark.parametrize(
    ("make", "operation", "arguments", "error", "said"),
    [
        (nothing_at_all, *GET_RECORD, NoPrivateRouteError, "sagemaker.featurestore-runtime"),
        (
            no_endpoint_service,
            "describe_human_loop",
            {"HumanLoopName": "loop"},
            NoPrivateRouteError,
            "Remed",
        ),
        (public_url, "list_endpoints", {}, PublicAddressError, "Remed"),
        (not_verified, "list_endpoints", {}, ConfigurationError, "verify=False"),
        (not_encrypted, "list_endpoints", {}, ConfigurationError, "http is not encrypted"),
        (by_a_proxy, "list_endpoints", {}, ConfigurationError, r"proxies=\.\.\."),
    ],
)
def test_a_client_that_cannot_be_private_refuses_every_call(
    link: LocalPrivateLink,
    make: Callable[[LocalPrivateLink], Any],
    operation: str,
    arguments: dict[str, str],
    error: type[Exception],
    said: str,
) -> None:
    """A library that makes clients it never uses works on; a call says why, each time anew."""
    with install(network=link.network):
        with without_io(link):
            client = make(link)
        raised = []
        for _ in range(2):
            with pytest.raises(error, match=said) as caught:
                getattr(client, operation)(**arguments)
            raised.append(caught.value)
    assert raised[0] is not raised[1]


@pytest.mark.parametrize("private_dns", [True, False])
def test_what_asks_for_no_encryption_is_encrypted_all_the_same(private_dns: bool) -> None:
    """``use_ssl=False`` is of botocore's own URL; a private route is always https."""
    with LocalPrivateLink(private_dns=private_dns) as link, install(network=link.network):
        client = boto3_session(link).client("sagemaker", use_ssl=False)
        assert client.list_endpoints()["Endpoints"] == []
        (request,) = link.requests
        assert request.sni == request.host
        assert request.sni


def test_a_client_that_was_made_during_a_failure_works_later(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library makes when it is imported; that there was no route is kept for seconds."""
    monkeypatch.setattr(router, "REFUSAL_TTL", 0.0)
    monkeypatch.setattr(discovery, "_FAILURE_TTL", 0.0)
    with install(network=link.network):
        with link.faults.deny("ec2:DescribeVpcEndpoints"):
            client = boto3_session(link).client("sagemaker")
            for _ in range(2):
                with pytest.raises(NoPrivateRouteError, match="EC2 could not be asked"):
                    client.list_endpoints()
        assert client.list_endpoints()["Endpoints"]


@pytest.mark.parametrize("way", ["install", "session"])
def test_the_sagemaker_sdks_four_clients_are_made(link: LocalPrivateLink, way: str) -> None:
    """Versions 2 and 3 make them all at once; the VPC has endpoints for two of them."""
    session: Any = boto3_session(link) if way == "install" else link.session()
    with install(network=link.network) if way == "install" else contextlib.nullcontext():
        with without_io(link):
            api = session.client("sagemaker", config=Config(user_agent_extra="SDK"))
            runtime = session.client("runtime.sagemaker", config=Config(read_timeout=80))
            features = session.client("sagemaker-featurestore-runtime")
            metrics = session.client("sagemaker-metrics")
        assert all(is_guarded(client) for client in (api, runtime, features, metrics))
        assert api.list_endpoints()["Endpoints"]
        answer = runtime.invoke_endpoint(EndpointName="churn", Body=b"1", ContentType="text/csv")
        assert answer["Body"].read() == b"0.51"
        with pytest.raises(NoPrivateRouteError):
            features.get_record(**GET_RECORD[1])


# What is made while something else is made


Nest = Callable[[LocalPrivateLink, botocore.session.Session, Callable[[], Any]], None]


def by_any_class(_: LocalPrivateLink, core: Any, make: Callable[[], Any]) -> None:
    core.register("creating-client-class", lambda **_: make())


def by_its_class(_: LocalPrivateLink, core: Any, make: Callable[[], Any]) -> None:
    core.register("creating-client-class.sagemaker", lambda **_: make())


def by_a_provider(link: LocalPrivateLink, core: Any, make: Callable[[], Any]) -> None:
    """Credentials that are loaded when a client is made."""

    def load() -> Credentials:
        make()
        return Credentials(link.access_key_id, link.secret_access_key)

    provide(core, load)


def by_a_refresh(link: LocalPrivateLink, core: Any, make: Callable[[], Any]) -> None:
    """Credentials that are fetched when the first call needs them, as those of a role."""

    def refresh() -> dict[str, str]:
        make()
        return {
            "access_key": link.access_key_id,
            "secret_key": link.secret_access_key,
            "token": "",
            "expiry_time": "2099-01-01T00:00:00Z",
        }

    provide(core, lambda: DeferredRefreshableCredentials(refresh, "nested"))


def provide(core: Any, load: Callable[[], Credentials]) -> None:
    class Provider(CredentialProvider):
        METHOD = CANONICAL_NAME = "nested"

    provider = Provider()
    provider.load = load  # type: ignore[method-assign] # the provider is nothing else
    chain = core.get_component("credential_provider")
    chain.insert_before(chain.providers[0].METHOD, provider)


@pytest.mark.parametrize("nest", [by_any_class, by_its_class, by_a_provider])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_client_that_is_made_while_another_one_is_made_is_guarded(
    link: LocalPrivateLink, nest: Nest, is_first: bool
) -> None:
    """Also by a function that was kept from before; it can be called before the other is made."""
    core = link.botocore_session()
    kept: Any = core.create_client
    made: list[Any] = []
    answers: list[bytes] = []
    is_making = threading.Event()

    def make() -> None:
        if not is_making.is_set():
            is_making.set()
            made.append(kept("sagemaker-runtime", link.region, **keys(link)))
            answer = made[0].invoke_endpoint(EndpointName="churn", Body=b"1")
            answers.append(answer["Body"].read())

    if is_first:
        nest(link, core, make)
    with install(network=link.network):
        if not is_first:
            nest(link, core, make)
        outer = boto3.Session(botocore_session=core).client("sagemaker")
    assert answers == [b"0.51"]
    assert [is_guarded(client) for client in (*made, outer)] == [True, True]
    assert carried(made[0]) is not carried(outer)


@pytest.mark.parametrize("nest", [by_a_provider, by_a_refresh])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["its thread", "another thread"])
@pytest.mark.parametrize("service_name", ["sagemaker", "sagemaker-runtime"])
def test_a_provider_that_makes_a_client_does_not_deadlock(
    link: LocalPrivateLink, nest: Nest, service_name: str, elsewhere: bool
) -> None:
    """No lock is held while it runs, and what it makes can be called there."""
    core = link.botocore_session()
    is_making = threading.Event()
    ended: list[object] = []

    def work() -> None:
        made: Any = core.create_client(service_name, link.region, **keys(link))
        call = (
            made.list_endpoints
            if service_name == "sagemaker"
            else functools.partial(made.invoke_endpoint, EndpointName="churn", Body=b"1")
        )
        ended.append(call()["ResponseMetadata"]["HTTPStatusCode"])

    def make() -> None:
        if is_making.is_set():
            return
        is_making.set()
        if elsewhere:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            thread.join(timeout=20)
        else:
            work()

    nest(link, core, make)

    def call() -> None:
        client: Any = boto3.Session(botocore_session=core).client("sagemaker")
        ended.append(bool(client.list_endpoints()["Endpoints"]))

    with install(network=link.network):
        caller = threading.Thread(target=call, daemon=True)
        caller.start()
        caller.join(timeout=60)
    assert ended == [200, True]


@pytest.mark.parametrize("nest", [by_a_provider, by_a_refresh])
@pytest.mark.parametrize("has_keys", [False, True])
def test_no_credential_provider_is_asked_that_boto3_would_not_ask(
    link: LocalPrivateLink, nest: Nest, has_keys: bool
) -> None:
    """Not when a client is made, nor by its first call; a provider may ask a person."""

    def asked(network: Any) -> list[int]:
        core, loads = link.botocore_session(), list[int]()
        nest(link, core, lambda: loads.append(1))
        with install(network=network) if network else contextlib.nullcontext():
            arguments = keys(link) if has_keys else {}
            client: Any = boto3.Session(botocore_session=core).client("sagemaker", **arguments)
            if not network:  # what has a route is not private: it is only signed
                client.meta.events.register("before-send", lambda **_: Answered())
            client.list_endpoints()
        return loads

    assert asked(link.network) == asked(None) == ([] if has_keys else [1])


class Answered(AWSResponse):
    """What an event handler answers instead of AWS."""

    def __init__(self) -> None:
        super().__init__("https://x", 200, HTTPHeaders(), None)

    @property
    def content(self) -> bytes:
        return b'{"Endpoints": []}'


@pytest.mark.parametrize("nest", [by_a_provider, by_a_refresh])
def test_a_client_without_credentials_is_made_without_a_provider(
    link: LocalPrivateLink, nest: Nest
) -> None:
    """Unsigned calls need none."""
    core, loads = link.botocore_session(), list[int]()
    nest(link, core, lambda: loads.append(1))
    with install(network=link.network), without_io(link):
        unsigned = Config(signature_version=UNSIGNED)
        assert is_guarded(core.create_client("sagemaker", link.region, config=unsigned))
    assert loads == []


def test_botocores_own_errors_stay(link: LocalPrivateLink) -> None:
    """A service that nobody knows, and no region anywhere."""
    with install(network=link.network):
        with pytest.raises(UnknownServiceError):
            boto3_session(link).client("sagemaker-of-tomorrow")
        with pytest.raises(NoRegionError):
            boto3.Session(aws_access_key_id="a", aws_secret_access_key="b").client("sagemaker")


# Undoing


def test_it_is_undone_completely(link: LocalPrivateLink) -> None:
    """One attribute differs inside; it is the same object afterwards, also after an error."""
    before = dict(vars(botocore.session.Session))
    with install(network=link.network) as installation:
        now = vars(botocore.session.Session)
        assert [name for name, was in before.items() if now[name] is not was] == [CLIENT_HOOK]
        assert installation.is_active
        assert repr(installation) == "<Installation active>"
    assert hook() is before[CLIENT_HOOK]
    assert repr(installation) == "<Installation ended>"
    with pytest.raises(RuntimeError), install(network=link.network):
        raise RuntimeError
    assert hook() is before[CLIENT_HOOK]


def reached(link: LocalPrivateLink) -> str:
    """Return the address that a client reaches which is made and called now."""
    before = len(link.network.dialled)
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=0.5)
    with contextlib.suppress(BotoCoreError):
        boto3_session(link).client("sagemaker", config=config).list_endpoints()
    return str(link.network.dialled[before:][-1][0])


def test_the_last_of_several_puts_botocores_own_back(link: LocalPrivateLink) -> None:
    """The newest decides; ending one twice does nothing more; so does ending none."""
    before = hook()
    outer: Installation = install(network=link.network)
    inner = install(network=link.network, vpc_endpoint="https://10.0.1.9")
    assert reached(link) == "10.0.1.9"
    inner.uninstall()
    inner.uninstall()
    assert outer.is_active
    assert reached(link) in {i.address for i in link.vpc_endpoint("sagemaker").interfaces}
    install(network=link.network)
    uninstall()
    assert hook() is not before
    uninstall()
    assert hook() is before
    uninstall()


def test_a_client_keeps_the_installation_that_guarded_it(link: LocalPrivateLink) -> None:
    """Also once that has ended: it was made for those settings."""
    session = boto3_session(link)
    with install(network=link.network):
        client = session.client("sagemaker")
    with install(network=link.network, vpc_endpoint="https://10.0.1.9"):
        assert client.list_endpoints()["Endpoints"]


def test_they_may_end_in_any_order(link: LocalPrivateLink) -> None:
    """The outer one first leaves the inner one in force."""
    outer, inner = install(network=link.network), install(network=link.network)
    outer.uninstall()
    assert is_guarded(boto3_session(link).client("sagemaker"))
    inner.uninstall()
    assert not is_guarded(boto3_session(link).client("sagemaker"))


def test_what_somebody_else_wrapped_around_ours_is_left_alone(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracer's wrapper survives, and ours below it only hands on; a new one is put on top."""
    calls: list[str] = []
    before = hook()
    with install(network=link.network):
        ours: Any = hook()

        @functools.wraps(ours)
        def traced(self: Any, client: Any) -> Any:
            calls.append(client.meta.service_model.service_name)
            return ours(self, client)

        monkeypatch.setattr(botocore.session.Session, CLIENT_HOOK, traced)
    session = boto3_session(link)
    assert not is_guarded(session.client("sagemaker"))
    with install(network=link.network):
        assert is_guarded(session.client("sagemaker"))
    assert calls == ["sagemaker", "sagemaker"]
    monkeypatch.undo()
    with install(network=link.network):
        pass
    assert hook() is before


def test_a_tracer_around_create_client_sees_what_it_always_saw(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put on or taken off at any time; the clients are guarded all the same."""
    calls: list[str] = []
    below: Any = botocore.session.Session.create_client

    @functools.wraps(below)
    def traced(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        calls.append(service_name)
        return below(self, service_name, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.session.Session, "create_client", traced)
        with install(network=link.network):
            assert is_guarded(boto3_session(link).client("sagemaker"))
        assert not is_guarded(boto3_session(link).client("sagemaker"))
    with install(network=link.network), monkeypatch.context() as patch:
        patch.setattr(botocore.session.Session, "create_client", traced)
        assert is_guarded(boto3_session(link).client("sagemaker"))
    assert calls == ["sagemaker"] * 3


def test_a_bad_option_installs_nothing() -> None:
    """It is said at once."""
    before = hook()
    with pytest.raises(ConfigurationError, match="vpc_id="):
        install(vpc_id="10.0.0.0/16")
    with pytest.raises(TypeError, match="unexpected keyword argument 'vpc'"):
        install(vpc="vpc-0a1b2c3d")  # type: ignore[call-arg] # what is tested
    with pytest.raises(ConfigurationError, match=r"sealed=True cannot be installed\."):
        install(sealed=True)
    assert hook() is before


@pytest.mark.parametrize("source", ["variable", "profile"])
def test_where_sealing_is_asked_for_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """It promises what covers every service; installing would keep it for one family."""
    ask_for_sealing(monkeypatch, tmp_path, source)
    before = hook()
    with pytest.raises(ConfigurationError) as caught:
        install()
    assert str(caught.value) == (
        "A sealed session is asked for, and cannot be installed.\n"
        "Cause: SM_PRIVATE_SEALED, or sm_private_sealed of the profile, is set, and install() "
        "swaps the clients of the SageMaker family only.\n"
        "Remedies, in order:\n"
        "  1. make a Session(sealed=True) and hand it, or its clients, to the library.\n"
        "  2. unset it if clients of other services may go out publicly.\n"
        "See docs/errors.md#configuration"
    )
    assert hook() is before


@pytest.mark.parametrize("source", ["variable", "profile"])
def test_where_sealing_is_asked_for_later_other_services_are_blocked(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """By a variable that is set afterwards, or by the profile of one session; ours are sealed."""
    with install(network=link.network):
        ask_for_sealing(monkeypatch, tmp_path, source)
        core = botocore.session.Session()
        client: Any = core.create_client("sqs", region_name="us-east-1")
        with pytest.raises(ConfigurationError, match="A client of sqs was made in a process that"):
            client.list_queues()
        session: Any = link.session(other_services="network", sealed=True)
        assert is_guarded(session.client("s3", endpoint_url="https://10.0.1.8"))


def ask_for_sealing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str) -> None:
    if source == "variable":
        monkeypatch.setenv("SM_PRIVATE_SEALED", "true")
        return
    config = tmp_path / "config"
    config.write_text("[default]\nsm_private_sealed = true\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


def test_a_tracer_that_takes_ours_away_does_not_end_later_installations(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was there before and puts back what it had found; the next ``install`` counts."""
    before: Any = hook()

    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        return before(self, *args, **kwargs)

    monkeypatch.setattr(botocore.session.Session, CLIENT_HOOK, functools.wraps(before)(traced))
    with install(network=link.network):
        monkeypatch.undo()
    session = boto3_session(link)
    with install(network=link.network):
        assert is_guarded(session.client("sagemaker"))
    assert hook() is before


def test_a_session_is_not_kept_alive(link: LocalPrivateLink) -> None:
    """A process that makes many sessions does not grow by them."""
    with install(network=link.network):
        session = link.botocore_session()
        session.create_client("sagemaker").close()
        gone = weakref.ref(session)
        del session
        gc.collect()
        assert gone() is None


def test_our_own_sessions_are_left_alone(link: LocalPrivateLink) -> None:
    """They route by their own options, also inside of an installation with others."""
    with install(network=link.network, vpc_endpoint="https://10.0.1.9"):
        session: Any = link.session()
        client = session.client("sagemaker")
        assert client.list_endpoints()["Endpoints"]
        (record,) = session.egress().records
        assert (record.service_name, record.calls) == ("sagemaker", 1)
        assert isinstance(session, boto3.Session)
        assert isinstance(boto3_session(link), boto3.Session)
        assert not isinstance(boto3_session(link), Session)


def test_threads_may_install_and_make_clients_at_the_same_time(link: LocalPrivateLink) -> None:
    """Inside of its own ``with`` each thread gets guarded clients; at the end all is undone."""
    failures: list[object] = []
    started = threading.Barrier(4)

    def work() -> None:
        started.wait(60)
        try:
            for _ in range(3):
                with install(network=link.network):
                    if not is_guarded(boto3_session(link).client("sagemaker")):
                        failures.append("not guarded")
        except Exception as error:  # noqa: BLE001 - compared after the threads have ended
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# What other libraries are given


@pytest.mark.parametrize(
    ("module", "library"), [("httpx", "httpx"), ("aiobotocore", "aiohttp.abc")]
)
def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, library: str
) -> None:
    """What is missing is an installation, so the command is told."""
    ours = f"sm_private_client.integrations.{module}"
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, ours, raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'sm-private-client\[libraries\]'"):
        importlib.import_module(ours)
