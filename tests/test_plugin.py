"""The botocore plugin: it guards every client of the family, or blocks it; it never raises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    ProfileNotFound,
)
from botocore.httpsession import URLLib3Session

from sm_private_client import (
    ConfigurationError,
    NoPrivateRouteError,
    PublicAddressError,
    RoutingError,
    Session,
    plugin,
)
from sm_private_client.integrations.install import install
from sm_private_client.routing import discovery, router
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.guarded import is_guarded

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("churn", lambda body, _content_type: b"0.5" + body)
        yield running


@pytest.fixture(autouse=True)
def hooked(link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose environment has the plugin, inside the simulated VPC."""
    monkeypatch.setenv(plugin.VARIABLE, plugin.ENTRY)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", link.session())
    yield
    assert link.internet.connections == 0


ONCE = Config(connect_timeout=1, retries={"total_max_attempts": 1})


def client_of(link: LocalPrivateLink, service_name: str = "sagemaker", **arguments: Any) -> Any:
    session: Any = boto3.Session(botocore_session=link.botocore_session())
    return session.client(service_name, **arguments)


def test_clients_of_the_family_are_guarded(link: LocalPrivateLink) -> None:
    """Unmodified code: the call goes to the VPC endpoint, signed for its host."""
    seen = len(link.requests)
    client = client_of(link, "sagemaker-runtime")
    answer = client.invoke_endpoint(EndpointName="churn", Body=b"1", ContentType="text/csv")
    assert answer["Body"].read() == b"0.51"
    (request,) = link.requests[seen:]
    assert request.operation == "InvokeEndpoint"
    assert f"https://{request.host}" == link.session().route("sagemaker-runtime").endpoint_url
    assert client.meta.endpoint_url == "https://runtime.sagemaker.us-east-1.amazonaws.com"


def test_making_a_client_does_no_io(link: LocalPrivateLink) -> None:
    """Its first call decides, by the default session, which is asked once for all of them."""
    session: Any = link.session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", session)
        before = len(link.network.looked_up), len(link.network.dialled), link.calls.total()
        clients = [client_of(link) for _ in range(3)]
        after = len(link.network.looked_up), len(link.network.dialled), link.calls.total()
        assert after == before
        for client in clients:
            assert client.list_endpoints()["Endpoints"]
    (record,) = session.egress().records
    assert (record.service_name, record.calls, record.private) == ("sagemaker", 3, True)


def test_a_default_session_of_boto3s_own_is_used_too(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever set it up; it stays what it is."""
    theirs: Any = boto3.Session(botocore_session=link.botocore_session())
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", theirs)
    assert is_guarded(client_of(link))
    assert is_guarded(boto3.client("sagemaker"))
    assert boto3.DEFAULT_SESSION is theirs
    assert type(boto3.client("s3")._endpoint.http_session) is URLLib3Session


def test_a_client_that_was_made_during_a_failure_works_later(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That there is no route is kept for seconds, which are over here at once."""
    monkeypatch.setattr(router, "REFUSAL_TTL", 0.0)
    monkeypatch.setattr(discovery, "_FAILURE_TTL", 0.0)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", link.session())
    with link.faults.deny("ec2:DescribeVpcEndpoints"):
        client = client_of(link)
        with pytest.raises(NoPrivateRouteError):
            client.list_endpoints()
    assert client.list_endpoints()["Endpoints"]


def test_presigned_urls_name_the_private_host_too(link: LocalPrivateLink) -> None:
    """No URL that such a client gives leads elsewhere."""
    url = client_of(link).generate_presigned_url("list_endpoints")
    assert ".vpce.amazonaws.com/" in url


def test_other_clients_are_left_alone(link: LocalPrivateLink) -> None:
    """S3 is boto3's own."""
    client = client_of(link, "s3")
    assert type(client._endpoint.http_session) is URLLib3Session


def test_private_dns_keeps_botocores_own_url() -> None:
    """Only the connection is guarded."""
    with LocalPrivateLink(private_dns=True) as link, pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", link.session())
        client = client_of(link)
        assert client.list_endpoints()["Endpoints"] == []
        assert [r.host for r in link.requests] == ["api.sagemaker.us-east-1.amazonaws.com"]
        assert link.internet.connections == 0


@pytest.mark.parametrize(
    ("config", "connect_timeout", "read_timeout"),
    [(None, 5, 70), (Config(connect_timeout=3, read_timeout=9), 3, 9)],
)
def test_time_outs_become_ours_where_nobody_set_them(
    link: LocalPrivateLink, config: Config | None, connect_timeout: int, read_timeout: int
) -> None:
    """The 60 s that botocore waits would mean minutes of silence."""
    made = client_of(link, config=config).meta.config
    assert (made.connect_timeout, made.read_timeout) == (connect_timeout, read_timeout)


def test_a_url_that_was_given_is_kept_and_judged(link: LocalPrivateLink) -> None:
    """By argument or by variable."""
    assert client_of(link, endpoint_url="https://10.0.1.7").meta.endpoint_url == "https://10.0.1.7"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "https://10.0.1.6")
        patch.setattr(boto3, "DEFAULT_SESSION", link.session())
        assert client_of(link).meta.endpoint_url == "https://10.0.1.6"
        dialled = len(link.network.dialled)
        with pytest.raises(BotoCoreError):
            client_of(link, config=ONCE).list_endpoints()
        assert link.network.dialled[dialled:][0] == ("10.0.1.6", 443)


# What cannot be guarded


@pytest.mark.parametrize(
    ("service_name", "arguments", "operation", "parameters", "error", "said"),
    [
        (
            "sagemaker-featurestore-runtime",
            {},
            "get_record",
            {"FeatureGroupName": "g", "RecordIdentifierValueAsString": "1"},
            NoPrivateRouteError,
            "1. create an interface endpoint of com.amazonaws.us-east-1.sagemaker.featurestore",
        ),
        (
            "sagemaker",
            {"endpoint_url": "https://api.sagemaker.us-east-1.amazonaws.com"},
            "list_endpoints",
            {},
            PublicAddressError,
            "Remed",
        ),
        ("sagemaker", {"verify": False}, "list_endpoints", {}, ConfigurationError, "AWS_CA_BUNDLE"),
        (
            "sagemaker",
            {"config": Config(proxies={"https": "http://proxy:1"})},
            "list_endpoints",
            {},
            ConfigurationError,
            "leave proxies out",
        ),
    ],
)
def test_what_cannot_be_guarded_is_blocked(
    link: LocalPrivateLink,
    service_name: str,
    arguments: dict[str, Any],
    operation: str,
    parameters: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    """The client is made; every call of it raises our error with its remedy; nothing is sent."""
    client = client_of(link, service_name, **arguments)
    for _ in range(2):
        with pytest.raises(error) as caught:
            getattr(client, operation)(**parameters)
        assert said in str(caught.value)


def test_what_asks_for_no_encryption_is_encrypted_all_the_same() -> None:
    """``use_ssl=False`` is of botocore's own URL; a private route is always https."""
    with LocalPrivateLink(private_dns=True) as link, pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", link.session())
        assert client_of(link, use_ssl=False).list_endpoints()["Endpoints"] == []
        assert [r.sni for r in link.requests] == ["api.sagemaker.us-east-1.amazonaws.com"]
        # What botocore makes of this depends on its version: http, which is refused, or https.
        given = client_of(link, use_ssl=False, endpoint_url="https://10.0.1.7", config=ONCE)
        with pytest.raises((ConfigurationError, BotoCoreError)):
            given.list_endpoints()
        assert len(link.requests) == 1


@pytest.mark.parametrize("source", ["variable", "profile"])
def test_where_sealing_is_asked_for_other_services_are_blocked(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """The plugin cannot seal them, and they must not go out as if nobody had asked."""
    if source == "variable":
        monkeypatch.setenv("SM_PRIVATE_SEALED", "true")
    else:
        config = tmp_path / "config"
        config.write_text("[profile p]\nsm_private_sealed = true\n", encoding="utf-8")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "p")
    session: Any = link.session(
        other_services="network", sealed=True, vpc_endpoint="https://10.0.1.7"
    )
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    with pytest.raises(ConfigurationError) as caught:
        client_of(link, "s3").list_buckets()
    assert str(caught.value) == (
        "A client of s3 was made in a process that is to be sealed, and it is not; its calls are "
        "blocked.\n"
        "Cause: SM_PRIVATE_SEALED, or sm_private_sealed of the profile, is set, and install() and "
        "the plugin seal no clients: they route those of the SageMaker family.\n"
        "Remedies, in order:\n"
        "  1. make a Session(sealed=True) and hand it, or its clients, to the code.\n"
        "  2. unset it if these calls may go out publicly.\n"
        "See docs/errors.md#configuration"
    )
    assert is_guarded(client_of(link))
    assert is_guarded(session.client("s3", endpoint_url="https://10.0.1.8"))  # sealed, and ours
    assert plugin.is_live()


class Broken(Session):
    """A session whose guard fails in a way that nobody thought of."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @property
    def _clients(self) -> NoReturn:  # type: ignore[override] # an attribute of Session
        raise self._error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (LookupError("s3cret"), "LookupError."),
        (CredentialRetrievalError(provider="p", error_msg="s3cret"), "CredentialRetrievalError."),
        (
            ProfileNotFound(profile="prod"),
            "ProfileNotFound: The config profile (prod) could not be found.",
        ),
    ],
)
def test_what_nobody_thought_of_blocks_too(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str
) -> None:
    """Any exception: botocore would swallow it and go out publicly. No text that may be secret."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", Broken(error))
    with pytest.raises(RoutingError) as caught:
        client_of(link).list_endpoints()
    assert str(caught.value) == (
        "The plugin sm_private_client.plugin could not decide a private route for this client, so "
        "its calls are blocked.\n"
        f"Cause: {cause}\n"
        "Remedies, in order:\n"
        "  1. run: sm-private-client doctor\n"
        "  2. take sm-private-client=sm_private_client.plugin out of "
        "BOTOCORE_EXPERIMENTAL__PLUGINS only if these calls may go out publicly.\n"
        "See docs/errors.md#routing"
    )


def test_what_cannot_be_loaded_blocks_too(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is there in part only."""
    monkeypatch.setitem(sys.modules, "sm_private_client.api", None)
    with pytest.raises(RoutingError, match="ModuleNotFoundError"):
        client_of(link).list_endpoints()


def test_a_client_over_another_http_session_is_blocked(link: LocalPrivateLink) -> None:
    """One that no guard fits under, as aiobotocore's; the message names the way to make it."""

    class Other:
        def close(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(plugin.VARIABLE)
        client = client_of(link)
    client._endpoint.http_session.close()
    client._endpoint.http_session = Other()
    plugin.initialize_client_plugin(client)
    with pytest.raises(ConfigurationError, match="aiobotocore_arguments"):
        client.list_endpoints()
    client.close()


# Recursion


def test_sessions_of_ours_and_installations_guard_their_own_clients(
    link: LocalPrivateLink,
) -> None:
    """By their own options; the plugin sees that they are guarded, whoever was first."""
    session: Any = link.session(vpc_endpoint="https://10.0.1.8")
    made = session.client("sagemaker", config=ONCE)
    with install(network=link.network, vpc_endpoint="https://10.0.1.8"):
        installed = client_of(link, config=ONCE)
    for client in (made, installed):
        dialled = len(link.network.dialled)
        with pytest.raises(BotoCoreError):
            client.list_endpoints()
        assert {address for address, _ in link.network.dialled[dialled:]} == {"10.0.1.8"}


def test_a_session_of_ours_does_not_need_the_default_one(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is out of order with that blocks clients that have no other guard."""
    session: Any = link.session()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", Broken(LookupError("s3cret")))
    assert session.client("sagemaker").list_endpoints()["Endpoints"]


def test_keys_of_the_client_are_used_to_find_its_route(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 is asked with them, once for all clients that have the same."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", link.session())
    before = link.calls["ec2:DescribeVpcEndpoints"]
    assert client_of(link).list_endpoints()["Endpoints"]
    asked = link.calls["ec2:DescribeVpcEndpoints"]
    assert client_of(link).list_endpoints()["Endpoints"]
    same = {
        "aws_access_key_id": link.access_key_id,
        "aws_secret_access_key": link.secret_access_key,
    }
    assert client_of(link, **same).list_endpoints()["Endpoints"]
    assert link.calls["ec2:DescribeVpcEndpoints"] == asked <= before + 1
    theirs = {"aws_access_key_id": "AKIDOTHERS", "aws_secret_access_key": "theirs"}
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client_of(link, **theirs).list_endpoints()
    assert link.calls["ec2:DescribeVpcEndpoints"] == asked + 1


# The variable


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, plugin.ENTRY),
        ("", plugin.ENTRY),
        ("DISABLED", plugin.ENTRY),
        ("other=some.module", f"other=some.module,{plugin.ENTRY}"),
        (f"{plugin.ENTRY},other=some.module", f"other=some.module,{plugin.ENTRY}"),
        (" sm-private-client = elsewhere , ", plugin.ENTRY),
    ],
)
def test_our_entry_is_put_beside_others(before: str | None, after: str) -> None:
    """Once, and nobody else's is lost."""
    assert plugin.with_entry(before) == after
    assert plugin.with_entry(after) == after


@pytest.mark.parametrize(
    ("value", "live"),
    [
        (None, False),
        ("DISABLED", False),
        ("sm_private_client.plugin", False),
        ("x=y=sm_private_client.plugin", False),
        ("x=some.module.that.is.missing, y = sm_private_client.plugin", True),
        (plugin.ENTRY, True),
    ],
)
def test_the_doctor_learns_whether_the_hook_is_live(
    monkeypatch: pytest.MonkeyPatch, value: str | None, live: bool
) -> None:
    """The variable has to name the module as botocore reads it."""
    if value is None:
        monkeypatch.delenv(plugin.VARIABLE)
    else:
        monkeypatch.setenv(plugin.VARIABLE, value)
    assert plugin.is_live() is live


def test_a_variable_that_is_set_may_guard_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """If routing is out of order the hook blocks, and the doctor is told so."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", Broken(LookupError("s3cret")))
    assert not plugin.is_live()


def test_a_process_without_sagemaker_loads_next_to_nothing() -> None:
    """Making an S3 client under the plugin does not load our session."""
    code = (
        "import boto3, sys\n"
        "boto3.client('s3', region_name='us-east-1')\n"
        "assert 'sm_private_client.plugin' in sys.modules\n"
        "assert 'sm_private_client.session' not in sys.modules\n"
    )
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr


def test_the_page_has_the_line_to_type() -> None:
    """What docs/swap-in.md exports is the variable and the entry that the code knows."""
    page = (Path(__file__).parents[1] / "docs" / "swap-in.md").read_text(encoding="utf-8")
    assert f'export {plugin.VARIABLE}="{plugin.ENTRY}"' in page
