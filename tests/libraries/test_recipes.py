"""Unmodified libraries, newest versions, call models privately; without a route they send nothing.

Each recipe is the text of docs/swap-in.md. Whether anything reached the internet is checked after
every test, by the simulator's counters and by pytest-socket.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sm_private_client import NoPrivateRouteError, PublicAddressError, install, plugin
from sm_private_client.routing.network import connect
from sm_private_client.transport.guarded import is_guarded

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from sm_private_client.testing import LocalPrivateLink

REASON = "needs the extra 'libraries'"


def integration(library: str) -> Any:
    """Return our module for a library, which not everybody has."""
    return importlib.import_module(f"sm_private_client.integrations.{library}")


def seen(link: LocalPrivateLink, before: int) -> list[str | None]:
    return [request.operation for request in link.requests[before:]]


@pytest.fixture
def cut_off(
    inside: LocalPrivateLink, new_default_session: Callable[[], None]
) -> Iterator[LocalPrivateLink]:
    """Nobody tells where the VPC endpoints are: names resolve publicly, EC2 may not be asked."""
    with inside.faults.deny("ec2:DescribeVpcEndpoints"):
        new_default_session()
        yield inside


# boto3 itself


def test_boto3(inside: LocalPrivateLink, run: Callable[[str], str]) -> None:
    """The page's first example."""
    before = len(inside.requests)
    assert run("install") == "b'0.5,1,2,3'\n"
    assert seen(inside, before) == ["InvokeEndpoint"]


# sagemaker-core


@pytest.fixture
def sagemaker_core() -> Iterator[None]:
    """The SDK keeps clients for the process, so they are thrown away before and after."""
    pytest.importorskip("sagemaker.core", reason=REASON)
    from sagemaker.core.utils.utils import SageMakerClient  # noqa: PLC0415 - an extra

    SageMakerClient.reset()
    yield
    SageMakerClient.reset()


@pytest.mark.usefixtures("sagemaker_core")
def test_sagemaker_core(inside: LocalPrivateLink, run: Callable[[str], str]) -> None:
    """Session, Endpoint.get and Endpoint.invoke, in a VPC without a Feature Store endpoint."""
    before = len(inside.requests)
    assert run("SageMaker Python SDK v3") == "True\nInService\nb'0.5,1,2,3'\n"
    assert seen(inside, before) == ["DescribeEndpoint", "DescribeEndpoint", "InvokeEndpoint"]


@pytest.mark.usefixtures("sagemaker_core", "cut_off")
def test_sagemaker_core_without_a_route(inside: LocalPrivateLink) -> None:
    """The SDK's own call ends in our error."""
    from sagemaker.core.resources import Endpoint  # noqa: PLC0415 - as above

    before = len(inside.requests)
    with install(network=inside.network), pytest.raises(NoPrivateRouteError):
        Endpoint.get(endpoint_name="churn-xgb")
    assert seen(inside, before) == []


# langchain-aws


def test_langchain_aws(inside: LocalPrivateLink, run: Callable[[str], str]) -> None:
    """SagemakerEndpoint, invoked and streamed."""
    pytest.importorskip("langchain_aws", reason=REASON)
    before = len(inside.requests)
    assert run("langchain-aws") == "It scatters.\nIt|scatters.|"
    assert seen(inside, before) == ["InvokeEndpoint", "InvokeEndpointWithResponseStream"]


@pytest.mark.usefixtures("cut_off")
@pytest.mark.parametrize("verb", ["invoke", "stream"])
def test_langchain_aws_without_a_route(inside: LocalPrivateLink, verb: str) -> None:
    """Its call ends in our error."""
    sagemaker_endpoint = pytest.importorskip("langchain_aws.llms.sagemaker_endpoint", reason=REASON)

    class Texts(sagemaker_endpoint.LLMContentHandler):  # type: ignore[name-defined,misc] # an extra
        def transform_input(self, prompt: str, _model_kwargs: dict[str, Any]) -> bytes:
            return prompt.encode()

        def transform_output(self, output: Any) -> str:
            return str(output)

    before = len(inside.requests)
    with install(network=inside.network):
        chat = sagemaker_endpoint.SagemakerEndpoint(
            endpoint_name="chat-llm", region_name="us-east-1", content_handler=Texts()
        )
        with pytest.raises(NoPrivateRouteError):
            list(getattr(chat, verb)("Why?"))
    assert seen(inside, before) == []


# litellm


@pytest.fixture
def litellm(inside: LocalPrivateLink) -> Iterator[Any]:
    assert inside
    module = pytest.importorskip("litellm", reason=REASON)
    module.suppress_debug_info = True
    yield module
    module.sync_transport.close()
    del module.sync_transport
    module.in_memory_llm_clients_cache.flush_cache()


@pytest.mark.usefixtures("litellm")
def test_litellm(inside: LocalPrivateLink, run: Callable[[str], str]) -> None:
    """Completion and stream, signed by litellm for the private host."""
    before = len(inside.requests)
    assert run("litellm") == "It scatters.\nItscatters.\n"
    assert seen(inside, before) == ["InvokeEndpoint", "InvokeEndpointWithResponseStream"]


@pytest.mark.parametrize("stream", [False, True])
def test_litellm_to_its_own_host(inside: LocalPrivateLink, litellm: Any, stream: bool) -> None:
    """Without the URL litellm goes to the public host; the transport refuses it."""
    before = len(inside.requests)
    litellm.sync_transport = integration("httpx").httpx_transport("sagemaker-runtime")
    with pytest.raises(Exception, match="nothing was sent") as caught:
        litellm.completion(
            model="sagemaker/chat-llm",
            messages=[{"role": "user", "content": "Why?"}],
            aws_region_name="us-east-1",
            stream=stream,
            num_retries=0,
        )
    assert "runtime.sagemaker.us-east-1.amazonaws.com" in str(caught.value)
    assert seen(inside, before) == []


@pytest.mark.usefixtures("cut_off")
def test_a_transport_without_a_route_is_not_given() -> None:
    """There is nothing to give litellm."""
    pytest.importorskip("httpx", reason=REASON)
    with pytest.raises(NoPrivateRouteError):
        integration("httpx").httpx_transport("sagemaker-runtime")


def test_what_a_transport_carries_is_in_the_sessions_record(inside: LocalPrivateLink) -> None:
    """Its evidence would be incomplete without; what was refused too."""
    httpx = pytest.importorskip("httpx", reason=REASON)
    session: Any = inside.session()
    with httpx.Client(
        transport=integration("httpx").httpx_transport("sagemaker-runtime", session=session)
    ) as client:
        host = session.route("sagemaker-runtime").host
        client.get(f"https://{host}/ping")
        for address in (
            "52.46.128.5",
            "[2600:1f18::5]",
            "runtime.sagemaker.us-east-1.amazonaws.com",
        ):
            with pytest.raises(PublicAddressError):
                client.get(f"https://{address}/ping")
    records = {r.host: (r.connections, r.calls, r.refused) for r in session.egress().records}
    assert records[host] == (1, 1, 0)
    assert sorted(records.values()) == [(0, 0, 1), (0, 0, 1), (0, 0, 1), (1, 1, 0)]


# aiobotocore


class VpcLoop(asyncio.SelectorEventLoop):
    """An event loop inside the simulated VPC: what asyncio connects to leads over loopback."""

    def __init__(self, link: LocalPrivateLink) -> None:
        super().__init__()
        self._network = link.network

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        reached = await asyncio.to_thread(
            functools.partial(connect, self._network, address[0], address[1], timeout=5)
        )
        with reached:
            reached.setblocking(False)
            os.dup2(reached.fileno(), sock.fileno())


@pytest.fixture
def asynchronous(inside: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(asyncio.events, "new_event_loop", lambda: VpcLoop(inside))
    return pytest.importorskip("aiobotocore.session", reason=REASON)


@pytest.mark.usefixtures("asynchronous")
def test_aiobotocore(inside: LocalPrivateLink, run: Callable[[str], str]) -> None:
    """An asynchronous client with our URL and resolver."""
    before = len(inside.requests)
    assert run("aiobotocore") == "b'0.5,1,2,3'\n"
    assert seen(inside, before) == ["InvokeEndpoint"]


async def invoke(made: Any) -> bytes:
    async with made as client:
        answer = await client.invoke_endpoint(EndpointName="churn-xgb", Body=b"1")
        return bytes(await answer["Body"].read())


def test_aiobotocore_at_a_public_address(inside: LocalPrivateLink, asynchronous: Any) -> None:
    """The resolver refuses, once, with our error; the library does not retry it."""
    arguments = integration("aiobotocore").aiobotocore_arguments("sagemaker-runtime")
    arguments["endpoint_url"] = "https://runtime.sagemaker.us-east-1.amazonaws.com"
    asked = len(inside.network.looked_up)
    with pytest.raises(PublicAddressError):
        asyncio.run(
            invoke(asynchronous.get_session().create_client("sagemaker-runtime", **arguments))
        )
    assert len(inside.network.looked_up) == asked + 1


@pytest.mark.parametrize("address", ["52.46.128.5", "[2600:1f18::5]"])
def test_aiobotocore_at_a_public_address_without_a_name(asynchronous: Any, address: str) -> None:
    """Nothing is looked up for it, so it is judged when its socket is made."""
    arguments = integration("aiobotocore").aiobotocore_arguments("sagemaker-runtime")
    arguments["endpoint_url"] = f"https://{address}"
    with pytest.raises(PublicAddressError, match="is not the VPC endpoint's"):
        asyncio.run(
            invoke(asynchronous.get_session().create_client("sagemaker-runtime", **arguments))
        )


@pytest.mark.usefixtures("asynchronous", "cut_off")
def test_aiobotocore_without_a_route() -> None:
    """There are no arguments to give it."""
    with pytest.raises(NoPrivateRouteError):
        integration("aiobotocore").aiobotocore_arguments("sagemaker-runtime")


def by_install(link: LocalPrivateLink, _: pytest.MonkeyPatch) -> Any:
    return install(network=link.network)


def by_plugin(_: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(plugin.VARIABLE, plugin.ENTRY)
    return None


@pytest.mark.parametrize("protect", [by_install, by_plugin])
def test_an_aiobotocore_client_without_the_recipe_is_blocked(
    inside: LocalPrivateLink,
    asynchronous: Any,
    monkeypatch: pytest.MonkeyPatch,
    protect: Callable[[LocalPrivateLink, pytest.MonkeyPatch], Any],
) -> None:
    """Under install and under the plugin; the message names the recipe, and with it all is well."""
    installation = protect(inside, monkeypatch)
    try:
        session = asynchronous.get_session()
        with pytest.raises(ValueError, match="aiobotocore_arguments"):
            asyncio.run(invoke(session.create_client("sagemaker-runtime")))
        arguments = integration("aiobotocore").aiobotocore_arguments("sagemaker-runtime")
        made = session.create_client("sagemaker-runtime", **arguments)
        assert asyncio.run(invoke(made)) == b"0.5,1"
    finally:
        if installation is not None:
            installation.uninstall()


def test_the_plugin_covers_them_too(
    inside: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that a library makes by boto3 is guarded by the variable alone."""
    monkeypatch.setenv(plugin.VARIABLE, plugin.ENTRY)
    langchain = pytest.importorskip("langchain_aws.utils", reason=REASON)
    assert is_guarded(langchain.create_aws_client("sagemaker-runtime", region_name="us-east-1"))
    assert is_guarded(boto3.client("sagemaker"))
    assert inside.internet.connections == 0
