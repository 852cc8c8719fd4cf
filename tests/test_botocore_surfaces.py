"""The private surfaces of botocore and urllib3 that we lean on, named; fails when they change.

Their text is compared up to the versions that were read; see as_read.py.

They are used in routing/botocore_rules.py, transport/guarded.py and transport/sealing.py and
nowhere else.
"""

from __future__ import annotations

import ast
import inspect
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3.session
import botocore.awsrequest
import botocore.client
import botocore.config
import botocore.configprovider
import botocore.credentials
import botocore.endpoint
import botocore.endpoint_provider
import botocore.httpsession
import botocore.plugin
import botocore.session
import botocore.utils
import pytest
import urllib3.connection
import urllib3.connectionpool
from botocore.awsrequest import AWSResponse, prepare_request_dict
from botocore.compat import HTTPHeaders
from botocore.config import Config

import sm_private_client
from as_read import as_read
from sm_private_client import plugin
from sm_private_client.transport.guarded import (
    CLIENT_HOOK,
    credentials_of,
    is_guarded,
    verified_by_client,
)

SOURCE = Path(sm_private_client.__file__).parent


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


@as_read
def test_a_client_keeps_its_http_session_where_the_guard_replaces_it() -> None:
    """``client._endpoint.http_session`` is asked for ``send(request)`` and ``close()``."""
    client = botocore.session.Session().create_client(
        "sagemaker", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    kept = client._endpoint  # type: ignore[attr-defined] # not in the stubs
    assert isinstance(kept, botocore.endpoint.Endpoint)
    assert type(kept.http_session) is botocore.httpsession.URLLib3Session
    source = inspect.getsource(botocore.endpoint.Endpoint)
    assert "self.http_session.send(request)" in source
    assert "self.http_session.close()" in source
    assert source.count("self.http_session") == 5
    client.close()


@as_read
def test_the_http_session_takes_what_the_guard_passes() -> None:
    """``URLLib3Session.__init__`` and the manager whose pool classes are replaced."""
    assert parameters(botocore.httpsession.URLLib3Session.__init__) == [
        "self",
        "verify",
        "proxies",
        "timeout",
        "max_pool_connections",
        "socket_options",
        "client_cert",
        "proxies_config",
    ]
    session = botocore.httpsession.URLLib3Session()
    manager = session._manager  # type: ignore[attr-defined] # not in the stubs
    assert set(manager.pool_classes_by_scheme) == {"http", "https"}
    assert isinstance(manager.connection_pool_kw["ssl_context"], ssl.SSLContext)
    source = inspect.getsource(botocore.httpsession.URLLib3Session.send)
    assert "manager.connection_from_url(request.url)" in source
    assert "raise HTTPClientError(error=e)" in source
    assert "raise SSLError(endpoint_url=request.url, error=e)" in source


def test_a_made_client_has_its_http_session_and_its_credentials() -> None:
    """``client._endpoint.http_session`` with its ``_verify``, and ``client._get_credentials``."""
    client: Any = botocore.session.Session().create_client(
        "sagemaker",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        verify="bundle.pem",
    )
    assert isinstance(client._endpoint.http_session, botocore.httpsession.URLLib3Session)
    assert verified_by_client(client) == "bundle.pem"
    credentials = credentials_of(client)
    assert credentials
    assert credentials.access_key == "a"
    assert not is_guarded(client)
    client.close()


def test_the_http_session_asks_what_is_overridden() -> None:
    """``send`` takes manager, target and certificates from methods that a subclass can replace."""
    source = inspect.getsource(botocore.httpsession.URLLib3Session.send)
    for asked in (
        "self._get_connection_manager(request.url, proxy_url)",
        "self._setup_ssl_cert(conn, request.url, self._verify)",
        "self._get_request_target(request.url, proxy_url)",
    ):
        assert asked in source
    kwargs = inspect.getsource(botocore.httpsession.URLLib3Session._get_pool_manager_kwargs)  # type: ignore[attr-defined] # not in the stubs
    assert "'ssl_context': self._get_ssl_context()" in kwargs


def test_events_of_a_call_tell_and_take_what_routes_it() -> None:
    """``before-endpoint-resolution`` has the built-ins and a context that ``before-call`` gets."""
    client: Any = botocore.session.Session().create_client(
        "sagemaker-runtime",
        region_name="us-east-1",
        endpoint_url="https://first.internal/prefix",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    seen: list[Any] = []

    def resolve(builtins: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        seen.extend((builtins["SDK::Endpoint"], context))

    def call(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        seen.append(context)
        prepare_request_dict(params, endpoint_url="https://second.internal/p", context=context)

    def send(request: Any, **_: object) -> AWSResponse:
        seen.append(request.url)
        return AWSResponse(request.url, 500, HTTPHeaders(), None)

    client.meta.events.register_last("before-endpoint-resolution", resolve)
    client.meta.events.register_last("before-call", call)
    client.meta.events.register_last("before-send", send)
    with suppress(AttributeError):  # the answer has no body
        client.invoke_endpoint(EndpointName="m", Body=b"x")
    given, context, same, url, *_ = seen
    assert given == "https://first.internal/prefix"
    assert context is same
    assert url == "https://second.internal/p/endpoints/m/invocations"
    client.close()


@as_read
def test_sessions_show_every_client_to_one_hook() -> None:
    """``Session._register_client_plugins(client)``, the last thing that ``create_client`` does."""
    hook = vars(botocore.session.Session)[CLIENT_HOOK]
    assert parameters(hook) == ["self", "client"]
    source = inspect.getsource(botocore.session.Session.create_client)
    assert source.rstrip().endswith(f"self.{CLIENT_HOOK}(client)\n        return client")
    assert parameters(botocore.session.Session.create_client) == [
        "self",
        "service_name",
        "region_name",
        "api_version",
        "use_ssl",
        "verify",
        "endpoint_url",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "config",
        "aws_account_id",
    ]


@as_read
def test_plugins_are_read_from_the_variable_that_we_set() -> None:
    """``name=module`` with commas between; what a plugin raises is swallowed."""
    assert plugin.VARIABLE in inspect.getsource(botocore.plugin.get_botocore_plugins)
    loading = inspect.getsource(botocore.plugin.load_client_plugins)
    assert "module.initialize_client_plugin(client)" in loading
    assert "except Exception as e:\n            log.debug(" in loading
    reading = inspect.getsource(vars(botocore.session.Session)[CLIENT_HOOK])
    assert "plugins_list.split(',')" in reading
    assert "plugin.split('=')" in reading


@as_read
def test_connections_are_opened_in_one_place() -> None:
    """``_new_conn`` of urllib3's connections is what the guard overrides."""
    for cls in (
        botocore.awsrequest.AWSHTTPConnection,
        botocore.awsrequest.AWSHTTPSConnection,
    ):
        assert parameters(cls._new_conn) == ["self"]
    assert "self.sock = sock = self._new_conn()" in inspect.getsource(
        urllib3.connection.HTTPSConnection.connect
    )
    assert "self.sock = self._new_conn()" in inspect.getsource(
        urllib3.connection.HTTPConnection.connect
    )
    connection = urllib3.connection.HTTPConnection("localhost", 1, timeout=2)
    assert (connection.host, connection.port, connection.timeout) == ("localhost", 1, 2)
    assert connection.socket_options


@as_read
def test_pools_make_connections_of_their_own_class() -> None:
    """``ConnectionCls`` is called by keyword and may be any callable."""
    source = inspect.getsource(urllib3.connectionpool.HTTPSConnectionPool._new_conn)
    assert "self.ConnectionCls(" in source
    assert "timeout" in parameters(urllib3.connectionpool.HTTPConnectionPool.urlopen)


def test_a_config_remembers_what_it_was_made_with() -> None:
    """``Config._user_provided_options``."""
    made = Config(read_timeout=9)
    assert made._user_provided_options == {"read_timeout": 9}  # type: ignore[attr-defined] # not in the stubs


@as_read
def test_configured_urls_are_provided_by_a_class_of_its_own() -> None:
    """``ConfiguredEndpointProvider(full_config, scoped_config, client_name, environ)``."""
    assert parameters(botocore.configprovider.ConfiguredEndpointProvider.__init__) == [
        "self",
        "full_config",
        "scoped_config",
        "client_name",
        "environ",
    ]


@as_read
def test_endpoint_rules_are_resolved_by_a_class_of_its_own() -> None:
    """``EndpointProvider(ruleset_data, partition_data).resolve_endpoint(**parameters).url``."""
    cls = botocore.endpoint_provider.EndpointProvider
    assert parameters(cls.__init__)[:3] == ["self", "ruleset_data", "partition_data"]
    assert parameters(cls.resolve_endpoint) == ["self", "input_parameters"]


@pytest.mark.parametrize(
    "service",
    [
        "sagemaker",
        "sagemaker-runtime",
        "sagemaker-featurestore-runtime",
        "sagemaker-metrics",
        "sagemaker-geospatial",
    ],
)
def test_endpoint_rules_take_the_parameters_we_give(service: str) -> None:
    """Every routable service's rules know Region, UseFIPS, UseDualStack, and no required others."""
    loader = botocore.session.Session().get_component("data_loader")
    rules = loader.load_service_model(service, "endpoint-rule-set-1")
    parameters: dict[str, dict[str, Any]] = rules["parameters"]
    given = {"Region", "UseFIPS", "UseDualStack", "Endpoint"}
    needed = {n for n, p in parameters.items() if p["required"] and "default" not in p}
    assert needed <= given <= set(parameters)


def test_partitions_have_the_fields_we_read() -> None:
    """``partitions.json``: id, regionRegex, regions, outputs.dnsSuffix."""
    loaded = botocore.session.Session().get_component("data_loader").load_data("partitions")
    for partition in loaded["partitions"]:
        assert {"id", "regionRegex", "regions", "outputs"} <= set(partition)
        assert partition["outputs"]["dnsSuffix"]


# Sealing


def test_an_event_lets_a_base_class_in_before_every_client_is_made() -> None:
    """``creating-client-class``, with the bases of the class that is about to be made.

    ``BaseClient.__init__`` calls ``_register_handlers`` at its end.
    """
    made: list[Any] = []

    class First:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

        def _register_handlers(self) -> None:
            super()._register_handlers()  # type: ignore[misc] # a mixin
            assert hasattr(self, "meta")
            made.append("handlers")

    session = botocore.session.Session()

    def add(**given: Any) -> None:
        given["base_classes"].insert(0, First)

    session.register("creating-client-class", add)
    keys: Any = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    client: Any = session.create_client("sts", region_name="us-east-1", **keys)
    assert made == ["handlers", client]
    assert client.meta.service_model.service_name == "sts"
    assert "get_credentials" not in vars(session)  # so that ours can stand before it
    client.close()


@as_read
def test_credential_fetchers_keep_their_http_session_where_the_seal_replaces_it() -> None:
    """``_session`` of the fetchers, asked for ``send``; no other provider has sockets."""
    providers = botocore.session.Session().get_component("credential_provider").providers
    by_class: dict[type, Any] = {type(provider): provider for provider in providers}
    instance = by_class[botocore.credentials.InstanceMetadataProvider]._role_fetcher
    container = by_class[botocore.credentials.ContainerProvider]._fetcher
    for fetcher in (instance, container):
        assert isinstance(fetcher._session, botocore.httpsession.URLLib3Session)
    assert "self._session.send(" in inspect.getsource(botocore.utils.IMDSFetcher)
    assert "self._session.send(" in inspect.getsource(botocore.utils.ContainerMetadataFetcher)
    assert "URLLib3Session" not in inspect.getsource(botocore.credentials)


@as_read
def test_only_transfers_ask_a_client_for_its_credentials() -> None:
    """``_get_credentials`` is what boto3 asks before the Common Runtime may carry a transfer."""
    client = botocore.session.Session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    assert client._get_credentials() is not None  # type: ignore[attr-defined] # not in the stubs
    client.close()
    crt = (Path(boto3.__file__).parent / "crt.py").read_text(encoding="utf-8")
    assert "boto3_creds = client._get_credentials()\n    if boto3_creds is None:" in crt
    assert "self._get_credentials" not in inspect.getsource(botocore.client)


def test_no_other_module_touches_private_attributes_of_botocore() -> None:
    """Only the three modules above read a private name of something that is not their own."""
    allowed = {"routing/botocore_rules.py", "transport/guarded.py", "transport/sealing.py"}
    surfaces = {
        "_fetcher",
        "_role_fetcher",
        "_builtins",
        "_endpoint",
        "_endpoint_url",
        "_manager",
        "_new_conn",
        "_ruleset_resolver",
        "_use_ssl",
        "_user_provided_options",
        "_verify",
    }
    found = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        attributes = {
            n.attr
            for n in ast.walk(tree)
            if isinstance(n, ast.Attribute) and ast.unparse(n.value) != "self"  # its own
        }
        if attributes & surfaces:
            found.add(path.relative_to(SOURCE).as_posix())
    assert found <= allowed
