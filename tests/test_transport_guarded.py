"""Specification of transport/guarded.py, on real boto3 clients against the simulator."""

from __future__ import annotations

import contextlib
import gc
import re
import socket
import struct
import time
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import ProxyConfiguration, URLLib3Session

import sm_private_client as smp
from loopback_peer import route
from sm_private_client.errors import ConfigurationError, PublicAddressError
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.testing.http_connection import Connection
from sm_private_client.testing.topology import StandingVpcEndpoint
from sm_private_client.transport.dialer import Dialed, Dialer, ZoneHealth
from sm_private_client.transport.guarded import GuardedHTTPSession, decide_route
from sm_private_client.transport.tls import verifying_context

KEYS: Any = {
    "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key": "x" * 40,
    "region_name": "us-east-1",
}
ONCE: Any = {"mode": "standard", "total_max_attempts": 1}


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        link.deploy("echo", lambda body, _: body)
        yield link


def http_session(client: Any) -> GuardedHTTPSession:
    session = client._endpoint.http_session
    assert isinstance(session, GuardedHTTPSession)
    return session


def invoke(client: Any, body: bytes = b"1,2") -> bytes:
    answer = client.invoke_endpoint(EndpointName="echo", Body=body, ContentType="text/csv")
    return bytes(answer["Body"].read())


def test_the_session_is_botocores_own_with_a_dialer_under_it(link: LocalPrivateLink) -> None:
    """The guard sits on the real botocore HTTP session; its repr tells the host."""
    client = link.session().client("sagemaker-runtime")
    session = http_session(client)
    assert isinstance(session, URLLib3Session)
    assert repr(session) == "GuardedHTTPSession(None)"
    invoke(client)
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    assert repr(session) == f"GuardedHTTPSession(Dialer(host={host!r}, zone=None))"


def serving(standing: StandingVpcEndpoint) -> set[Connection]:
    """Return the connections that stand to a VPC endpoint."""
    return {c for i in standing.interfaces for c in i.listener.open_connections()}


def test_connections_are_kept_and_shared(link: LocalPrivateLink) -> None:
    """The guard costs nothing per call: one look-up and one connection serve many calls."""
    client = link.session().client("sagemaker-runtime")
    decide_route(client)
    link.network.dialled.clear()
    link.network.looked_up.clear()
    for _ in range(5):
        assert invoke(client) == b"1,2"
    assert len(link.network.dialled) == 1
    assert len(link.network.looked_up) == 1


def test_a_public_address_is_refused_once_and_before_a_byte(link: LocalPrivateLink) -> None:
    """PublicAddressError comes as itself, is not retried, and nothing was sent."""
    client = link.session().client("sagemaker-runtime")
    decide_route(client)
    link.network.dialled.clear()
    link.network.looked_up.clear()
    with link.faults.dns("sagemaker-runtime", "52.1.2.3"), pytest.raises(PublicAddressError):
        invoke(client)
    assert len(link.network.looked_up) == 1
    assert list(link.network.dialled) == []
    assert (link.internet.connections, link.internet.bytes_received) == (0, 0)
    assert invoke(client) == b"1,2"


def test_every_address_of_a_mixed_answer_must_be_private(link: LocalPrivateLink) -> None:
    """One public address among private ones refuses them all."""
    client = link.session().client("sagemaker-runtime")
    decide_route(client)
    private = link.session().route("sagemaker-runtime").addresses[0].address
    link.network.dialled.clear()
    with (
        link.faults.dns("sagemaker-runtime", private, "52.1.2.3"),
        pytest.raises(PublicAddressError),
    ):
        invoke(client)
    assert list(link.network.dialled) == []


def test_proxies_of_the_environment_are_not_used(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vpce hosts go through HTTPS_PROXY with plain boto3; here they never do."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert invoke(link.session().client("sagemaker-runtime")) == b"1,2"
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_a_certificate_for_other_names_is_explained(link: LocalPrivateLink) -> None:
    """A host name mismatch is botocore's SSLError, with cause and remedy."""
    client = link.session().client("sagemaker-runtime", config=Config(retries=ONCE))
    with (
        link.faults.certificate("other.example", service_name="sagemaker-runtime"),
        pytest.raises(SSLError) as caught,
    ):
        invoke(client)
    text = str(caught.value)
    assert "Cause: the certificate is for other names than the host that was called" in text
    assert "Remedy: pass vpc_endpoint= with the DNS name that EC2 gives" in text


def test_an_unknown_authority_is_explained(link: LocalPrivateLink, tmp_path: Path) -> None:
    """TLS is verified against the bundle in use, which the error names."""
    with LocalPrivateLink(region="eu-west-1", services=()) as other:
        bundle = tmp_path / "other-ca.pem"
        bundle.write_bytes(Path(other.ca_bundle).read_bytes())
    client = link.session().client(
        "sagemaker-runtime", verify=str(bundle), config=Config(retries=ONCE)
    )
    with pytest.raises(SSLError) as caught:
        invoke(client)
    assert "Possible causes: TLS is inspected on the way; " in str(caught.value)
    assert f"{bundle} lacks the CA. Remedy: set AWS_CA_BUNDLE or verify=" in str(caught.value)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("refuse", EndpointConnectionError), ("swallow", ConnectTimeoutError)],
)
def test_connection_failures_are_botocores_own(
    link: LocalPrivateLink, how: Any, expected: type[Exception]
) -> None:
    """Code that catches botocore's connection errors keeps catching; they name each address."""
    config = Config(retries=ONCE, connect_timeout=0.3)
    client = link.session().client("sagemaker-runtime", config=config)
    with (
        link.faults.zone("us-east-1a", how),
        link.faults.zone("us-east-1b", how),
        pytest.raises(expected) as caught,
    ):
        invoke(client)
    cause = caught.value.kwargs["error"]  # type: ignore[attr-defined] # botocore's
    for address in link.session().route("sagemaker-runtime").addresses:
        assert address.address in str(cause)


def test_a_failing_look_up_is_a_connection_error(link: LocalPrivateLink) -> None:
    """DNS that stops to answer is botocore's EndpointConnectionError."""
    client = link.session().client("sagemaker-runtime", config=Config(retries=ONCE))
    decide_route(client)
    with link.faults.dns_failure("sagemaker-runtime"), pytest.raises(EndpointConnectionError):
        invoke(client)


def test_a_reset_before_the_answer_is_retried_like_botocore(link: LocalPrivateLink) -> None:
    """Retries stay botocore's: one reset is survived, four are not."""
    client = link.session().client("sagemaker-runtime")
    link.faults.reset("sagemaker-runtime", times=1)
    assert invoke(client) == b"1,2"
    with link.faults.reset("sagemaker-runtime"), pytest.raises(ConnectionClosedError):
        invoke(client)
    assert [r.status for r in link.requests] == [None, 200, *[None] * 4]


class ResetBeforeTls(Dialer):
    """Connects, and has the peer reset the connection before TLS begins."""

    def dial(self, *_: Any, **__: Any) -> Dialed:
        with socket.create_server(("127.0.0.1", 0)) as server:
            dialed = super().dial("localhost", server.getsockname()[1], timeout=5)
            peer, _ = server.accept()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        return dialed


def test_a_reset_before_tls_leaves_no_socket_open() -> None:
    """Up to Python 3.12 ``wrap_socket`` leaves one to the garbage collector, which warns of it."""
    local = route("https://localhost", local=True)
    dialer = ResetBeforeTls(local, network=SystemNetwork(), health=ZoneHealth())
    session = GuardedHTTPSession(dialer, timeout=(5, 5), max_pool_connections=1)
    headers: Any = HeadersDict({})  # the stubs have another type
    request = AWSPreparedRequest("GET", "https://localhost/", headers, b"", False)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(ConnectionClosedError):
            session.send(request)
        gc.collect()
    assert [str(w.message) for w in warned] == []
    session.close()


def test_a_client_that_is_dropped_is_gone_with_its_connections(link: LocalPrivateLink) -> None:
    """Nobody has to close it: urllib3, which knows its idle connections, does not keep it."""
    client = link.session().client("sagemaker-runtime")
    invoke(client)
    (connection,) = {c for i in link.vpc_endpoints for c in serving(i)}
    dropped = weakref.ref(client)
    del client
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the socket, which is closed by it
        gc.collect()
    assert dropped() is None
    assert connection.closed.wait(60)


def test_response_streams_have_a_read_timeout_of_their_own(link: LocalPrivateLink) -> None:
    """A stream may be silent longer than a plain call."""

    def slow(body: bytes, _: str) -> bytes:
        time.sleep(1.0)
        return body

    link.deploy("echo", slow)
    session = link.session()
    client = session.client("sagemaker-runtime", config=Config(retries=ONCE, read_timeout=0.4))
    with pytest.raises(ReadTimeoutError):
        invoke(client)
    http_session(client).stream_timeout = 20
    answer = client.invoke_endpoint_with_response_stream(EndpointName="echo", Body=b"1,2")
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"".join(parts) == b"1,2"


def test_a_client_that_is_closed_leaves_no_connection(link: LocalPrivateLink) -> None:
    """``client.close()`` closes what the guard opened, and the client can be used again."""
    client = link.session().client("sagemaker-runtime")
    assert invoke(client) == b"1,2"
    client.close()
    assert invoke(client) == b"1,2"
    assert len([d for d in link.network.dialled if d[1] == 443]) == 2
    client.close()


def test_a_proxy_that_is_set_later_is_passed_over(link: LocalPrivateLink) -> None:
    """Nothing on the HTTP session of a client leads round the Dialer."""
    client = link.session().client("sagemaker-runtime")
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        later: Any = http_session(client)
        later._proxy_config = ProxyConfiguration(proxies={"https": url, "http": url})
        assert invoke(client) == b"1,2"
        with pytest.raises(BlockingIOError):
            proxy.accept()


def read_slowly(server: socket.socket, total: int) -> None:
    """Answer one request once its body has come, 64 KiB at a time."""
    peer, _ = server.accept()
    with peer, peer.makefile("rb") as file:
        while file.readline() not in (b"\r\n", b""):
            pass
        read = 0
        while read < total:
            time.sleep(0.01)
            read += len(file.read(min(64 << 10, total - read)))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\nok")


def test_a_large_body_over_a_slow_line_is_sent() -> None:
    """A time-out means silence: sending may last longer than it takes to connect or to read."""
    body = b"x" * (16 << 20)
    with socket.socket() as server, ThreadPoolExecutor(1) as pool:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        server.bind(("127.0.0.1", 0))
        server.listen()
        reading = pool.submit(read_slowly, server, len(body))
        client = smp.Session(**KEYS).client(
            "sagemaker-runtime",
            endpoint_url=f"http://127.0.0.1:{server.getsockname()[1]}",
            config=Config(retries=ONCE, connect_timeout=1, read_timeout=1.5),
        )
        assert invoke(client, body) == b"ok"
        reading.result(60)


@pytest.mark.parametrize(
    ("bundle", "content"),
    [("gone.pem", None), ("empty.pem", b""), ("no.pem", b"not PEM"), (".", None)],
)
def test_a_ca_bundle_that_cannot_be_used_is_named(
    link: LocalPrivateLink, tmp_path: Path, bundle: str, content: bytes | None
) -> None:
    """By its path, once, and as a ConfigurationError."""
    path = tmp_path / bundle
    if content is not None:
        path.write_bytes(content)
    client = link.session().client("sagemaker-runtime", verify=str(path))
    with pytest.raises(ConfigurationError, match=re.escape(repr(str(path)))):
        invoke(client)


@pytest.mark.parametrize("path", ["", "/", "/gateway/ml", "/gateway/ml/"])
@pytest.mark.parametrize("how", ["argument", "variable"])
def test_the_path_of_an_endpoint_url_is_kept(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, path: str, how: str
) -> None:
    """A gateway's prefix comes before the operation's own path, and is signed."""
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    url = f"https://{host}{path}"
    given = {"endpoint_url": url} if how == "argument" else {}
    if how == "variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
    session: Any = link.session()
    client = session.client("sagemaker-runtime", **given)
    sent = []
    client.meta.events.register_first(
        "before-send.sagemaker-runtime", lambda request, **_: sent.append(request.url)
    )
    with contextlib.suppress(ClientError):  # the simulator plays no gateway
        invoke(client)
    assert sent == [f"https://{host}{path.rstrip('/')}/endpoints/echo/invocations"]


def test_a_presigned_url_names_the_route(link: LocalPrivateLink) -> None:
    """It is made for somebody to open: the public host would not do."""
    client: Any = link.session().client("sagemaker-runtime")
    url = client.generate_presigned_url(
        "invoke_endpoint", Params={"EndpointName": "echo", "Body": b"{}"}
    )
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    assert url.startswith(f"https://{host}/endpoints/echo/invocations?X-Amz-Algorithm=")


def test_a_request_past_the_clients_methods_is_refused(link: LocalPrivateLink) -> None:
    """Its route was never decided."""
    client = link.session().client("sagemaker-runtime")
    request: Any = AWSPreparedRequest("GET", "https://x.example/", HeadersDict({}), b"", False)  # type: ignore[arg-type] # the stubs have another type
    with pytest.raises(ConfigurationError, match="whose route nobody decided"):
        http_session(client).send(request)
    assert list(link.network.looked_up) == []


def test_a_url_of_a_call_is_refused_by_clients_and_works_for_predictors(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console shows one; botocore would put the path before the operation's own."""
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    url = f"https://{host}/endpoints/echo/invocations"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
    session: Any = link.session()
    with pytest.raises(ConfigurationError, match="it names a call to one model already"):
        invoke(session.client("sagemaker-runtime"))
    assert session.predictor("echo").invoke(b"1", content_type="text/csv").body == b"1"


def test_what_urllib3_does_to_its_context_is_nobody_elses(link: LocalPrivateLink) -> None:
    """With an older OpenSSL it takes the check of the host name off, and does it itself."""
    client = link.session().client("sagemaker-runtime")
    invoke(client)
    pools: Any = http_session(client)
    given = pools._pools.connection_pool_kw["ssl_context"]
    assert given is verifying_context(link.ca_bundle, for_urllib3=True)
    assert given is not verifying_context(link.ca_bundle)
    assert verifying_context(link.ca_bundle).check_hostname
