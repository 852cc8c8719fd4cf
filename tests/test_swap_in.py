"""``install``: code that makes its own boto3 clients gets private ones, and all of it is undone."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import NoRegionError, UnknownServiceError
from botocore.httpsession import URLLib3Session

from sm_private_client import (
    ConfigurationError,
    MissingExtraError,
    NoPrivateRouteError,
    PublicAddressError,
    Session,
    swap_in,
)
from sm_private_client.swap_in import aiobotocore_arguments, httpx_transport
from sm_private_client.swap_in.installing import Installation, install, uninstall
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.guarded import CLIENT_HOOK, GuardedHTTPSession, is_guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATCHED = ("create_client", CLIENT_HOOK)


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("churn", lambda body, _content_type: b"0.5" + body)
        yield running


@pytest.fixture(autouse=True)
def nothing_left_behind(link: LocalPrivateLink) -> Iterator[None]:
    """After every test botocore is as it was, and nothing has gone out."""
    before = attributes()
    yield
    assert all(now is was for now, was in zip(attributes(), before, strict=True))
    assert link.internet.connections == 0


def attributes() -> list[object]:
    return [vars(botocore.session.Session)[name] for name in PATCHED]


def boto3_session(link: LocalPrivateLink) -> Any:
    return boto3.Session(botocore_session=link.botocore_session())


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
    return boto3.client(
        "sagemaker-runtime",
        region_name=link.region,
        aws_access_key_id=link.access_key_id,
        aws_secret_access_key=link.secret_access_key,
    )


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
    """The call arrives at the VPC endpoint's listener, and nowhere else."""
    seen = len(link.requests)
    with install(network=link.network):
        client = make(link)
    assert isinstance(carried(client), GuardedHTTPSession)
    answer = client.invoke_endpoint(EndpointName="churn", Body=b"1", ContentType="text/csv")
    assert answer["Body"].read() == b"0.51"
    assert [r.operation for r in link.requests[seen:]] == ["InvokeEndpoint"]
    assert ".vpce." in client.meta.endpoint_url
    client.close()


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
    """What does not come through ``create_client`` is guarded when it has been made."""
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


def no_route(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("sagemaker-featurestore-runtime")


def no_endpoint_service(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client("sagemaker-a2i-runtime")


def public_url(link: LocalPrivateLink) -> Any:
    return boto3_session(link).client(
        "sagemaker", endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com"
    )


@pytest.mark.parametrize(
    ("make", "operation", "arguments", "error"),
    [
        (
            no_route,
            "get_record",
            {"FeatureGroupName": "g", "RecordIdentifierValueAsString": "1"},
            NoPrivateRouteError,
        ),
        (
            no_endpoint_service,
            "describe_human_loop",
            {"HumanLoopName": "loop"},
            NoPrivateRouteError,
        ),
        (public_url, "list_endpoints", {}, PublicAddressError),
    ],
)
def test_a_client_without_a_private_route_refuses_every_call(
    link: LocalPrivateLink,
    make: Callable[[LocalPrivateLink], Any],
    operation: str,
    arguments: dict[str, str],
    error: type[Exception],
) -> None:
    """A library that makes clients it never uses works on; a call says why, each time anew."""
    with install(network=link.network):
        client = make(link)
        raised = []
        for _ in range(2):
            with pytest.raises(error, match="Remed") as caught:
                getattr(client, operation)(**arguments)
            raised.append(caught.value)
    assert raised[0] is not raised[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"verify": False}, "verify=False"),
        ({"use_ssl": False}, "use_ssl=False"),
        ({"config": Config(proxies={"https": "http://proxy:1"})}, r"proxies=\.\.\."),
    ],
)
def test_arguments_that_are_not_private_are_refused_at_once(
    link: LocalPrivateLink, arguments: dict[str, Any], said: str
) -> None:
    """Nothing could be proved with them, so there is no client."""
    with install(network=link.network), pytest.raises(ConfigurationError, match=said):
        boto3_session(link).client("sagemaker", **arguments)


def test_botocores_own_errors_stay(link: LocalPrivateLink) -> None:
    """A service that nobody knows, and no region anywhere."""
    with install(network=link.network):
        with pytest.raises(UnknownServiceError):
            boto3_session(link).client("sagemaker-of-tomorrow")
        with pytest.raises(NoRegionError):
            boto3.Session(aws_access_key_id="a", aws_secret_access_key="b").client("sagemaker")


# Undoing


def test_it_is_undone_completely(link: LocalPrivateLink) -> None:
    """The attributes are the same objects afterwards, also after an error."""
    before = attributes()
    with install(network=link.network) as installation:
        assert not any(now is was for now, was in zip(attributes(), before, strict=True))
        assert installation.is_active
        assert repr(installation) == "<Installation active>"
    assert all(now is was for now, was in zip(attributes(), before, strict=True))
    assert repr(installation) == "<Installation ended>"
    with pytest.raises(RuntimeError), install(network=link.network):
        raise RuntimeError
    assert all(now is was for now, was in zip(attributes(), before, strict=True))


def test_the_last_of_several_puts_botocores_own_back(link: LocalPrivateLink) -> None:
    """The newest decides; ending one twice does nothing more; so does ending none."""
    before = attributes()
    outer: Installation = install(network=link.network)
    inner = install(network=link.network, vpc_endpoint="https://10.0.1.9")
    session = boto3_session(link)
    assert session.client("sagemaker").meta.endpoint_url == "https://10.0.1.9"
    inner.uninstall()
    inner.uninstall()
    assert outer.is_active
    assert ".vpce." in session.client("sagemaker").meta.endpoint_url
    install(network=link.network)
    uninstall()
    assert attributes()[0] is not before[0]
    uninstall()
    assert all(now is was for now, was in zip(attributes(), before, strict=True))
    uninstall()


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
    before = attributes()
    with install(network=link.network):
        ours: Any = vars(botocore.session.Session)["create_client"]

        @functools.wraps(ours)
        def traced(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
            calls.append(service_name)
            return ours(self, service_name, *args, **kwargs)

        monkeypatch.setattr(botocore.session.Session, "create_client", traced)
    session = boto3_session(link)
    assert not is_guarded(session.client("sagemaker"))
    with install(network=link.network):
        assert is_guarded(session.client("sagemaker"))
    assert calls == ["sagemaker", "ec2", "sagemaker"]  # before; EC2; made
    monkeypatch.undo()
    with install(network=link.network):
        pass
    assert all(now is was for now, was in zip(attributes(), before, strict=True))


def test_a_bad_option_installs_nothing() -> None:
    """It is said at once."""
    before = attributes()
    with pytest.raises(ConfigurationError, match="vpc_id="):
        install(vpc_id="10.0.0.0/16")
    with pytest.raises(TypeError, match="unexpected keyword argument 'vpc'"):
        install(vpc="vpc-0a1b2c3d")  # type: ignore[call-arg] # what is tested
    with pytest.raises(ConfigurationError, match=r"sealed=True cannot be installed\."):
        install(sealed=True)
    assert attributes() == before


@pytest.mark.parametrize("source", ["variable", "profile"])
def test_where_sealing_is_asked_for_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """It promises what covers every service; installing would keep it for one family."""
    ask_for_sealing(monkeypatch, tmp_path, source)
    before = attributes()
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
    assert attributes() == before


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
        session: Any = link.session(siblings="network", sealed=True)
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
    before: Any = vars(botocore.session.Session)["create_client"]

    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        return before(self, *args, **kwargs)

    monkeypatch.setattr(botocore.session.Session, "create_client", functools.wraps(before)(traced))
    with install(network=link.network):
        monkeypatch.undo()
    session = boto3_session(link)
    with install(network=link.network):
        assert is_guarded(session.client("sagemaker"))
    assert vars(botocore.session.Session)["create_client"] is before


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
    """They route by their own options, once, and share their clients as always."""
    with install(network=link.network):
        session: Any = link.session(vpc_endpoint="https://10.0.1.8")
        client = session.client("sagemaker")
        assert client is session.client("sagemaker")
        assert client.meta.endpoint_url == "https://10.0.1.8"
        with pytest.raises(NoPrivateRouteError):
            link.session().client("sagemaker-metrics")
        assert isinstance(session, boto3.Session)
        assert isinstance(boto3_session(link), boto3.Session)
        assert not isinstance(boto3_session(link), Session)


def test_threads_may_install_and_make_clients_at_the_same_time(link: LocalPrivateLink) -> None:
    """Inside of its own ``with`` each thread gets guarded clients; at the end all is undone."""
    failures: list[object] = []
    started = threading.Barrier(4)

    def work() -> None:
        started.wait()
        try:
            for _ in range(3):
                with install(network=link.network):
                    if not is_guarded(boto3_session(link).client("sagemaker")):
                        failures.append("not guarded")
        except Exception as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# What other libraries are given


@pytest.mark.parametrize(
    ("give", "module"),
    [(aiobotocore_arguments, "aiobotocore_guard"), (httpx_transport, "httpx_transport")],
)
def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, give: Callable[[str], object], module: str
) -> None:
    """What is missing is an installation, so the command is told."""
    monkeypatch.setitem(sys.modules, f"sm_private_client.transport.{module}", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sm-private-client\[libraries\]'"):
        give("sagemaker-runtime")


def test_the_room_names_what_it_has() -> None:
    """Names are imported when they are used, and there are no others."""
    assert swap_in.install is install
    with pytest.raises(AttributeError, match="has no attribute 'x'"):
        _ = swap_in.x
