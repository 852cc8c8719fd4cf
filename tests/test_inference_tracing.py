"""Specification of inference/tracing.py: spans have names and numbers, no bodies."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sm_private_client.errors import StreamInterruptedError
from sm_private_client.inference import tracing
from sm_private_client.inference.async_predictor import AsyncPredictor
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.testing import LocalPrivateLink

EXPORTER = InMemorySpanExporter()
STATUS = "http.response.status_code"
SECRET = "s3://jobs/secret-payload"
ZONES = ("us-east-1a", "us-east-1b")
VERBS = {
    "invoke": ("InvokeEndpoint", 200),
    "stream": ("InvokeEndpointWithResponseStream", 200),
    "submit": ("InvokeEndpointAsync", 202),
}
PATHS = ("direct", "botocore", "asyncio")
TWICE = RetryPolicy(attempts=2, wait_initial=0.01, wait_max=0.02)


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    """OpenTelemetry takes one provider a process."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(made)


@pytest.fixture(scope="module")
def shared_link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        session: Any = link.session()
        session.client("s3").create_bucket(Bucket="jobs")
        link.deploy("chat", lambda *_: iter((b"1", b"2")), s3_output_path="s3://jobs/out")
        yield link


@pytest.fixture
def link(shared_link: LocalPrivateLink) -> LocalPrivateLink:
    EXPORTER.clear()
    return shared_link


def ours() -> list[ReadableSpan]:
    return [s for s in EXPORTER.get_finished_spans() if s.name.startswith("SageMakerRuntime.")]


def only() -> tuple[ReadableSpan, dict[str, Any]]:
    """Return the one span and what it adds to operation and name."""
    (span,) = ours()
    assert "secret-payload" not in span.to_json()
    assert span.events == ()
    attributes: Any = dict(span.attributes or {})
    assert attributes.pop("rpc.system") == "aws-api"
    assert attributes.pop("rpc.service") == "SageMakerRuntime"
    assert f"SageMakerRuntime.{attributes.pop('rpc.method')}" == span.name
    assert attributes.pop("aws.sagemaker.endpoint_name") == "chat"
    return span, attributes


def use_async(link: LocalPrivateLink, use: Callable[[AsyncPredictor], Awaitable[None]]) -> None:
    async def main() -> None:
        async with link.session().async_predictor("chat", retry=TWICE) as predictor:
            await use(predictor)

    asyncio.run(main())


def call(link: LocalPrivateLink, path: Any, verb: str) -> None:
    """Do a verb once, a stream to its end."""

    async def use(p: AsyncPredictor) -> None:
        if verb == "stream":
            async with await p.stream(SECRET) as stream:
                assert [part async for part in stream.bytes()] == [b"1", b"2"]
        elif verb == "submit":
            await p.submit(SECRET)
        else:
            await p.invoke(SECRET.encode())

    if path == "asyncio":
        use_async(link, use)
        return
    p = link.session().predictor("chat", transport=path, retry=TWICE)
    if verb == "stream":
        with p.stream(SECRET) as stream:
            assert list(stream.bytes()) == [b"1", b"2"]
    elif verb == "submit":
        p.submit(SECRET)
    else:
        p.invoke(SECRET.encode())


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("path", PATHS)
def test_a_call_is_a_client_span(link: LocalPrivateLink, path: str, verb: str) -> None:
    """With name, attempts, zone and status, below the caller's; retries are part of it."""
    operation, status = VERBS[verb]
    with (
        link.faults.unavailable("chat", times=1),
        trace.get_tracer("caller").start_as_current_span("caller") as caller,
    ):
        call(link, path, verb)
    span, attributes = only()
    assert span.name == f"SageMakerRuntime.{operation}"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.parent == caller.get_span_context()
    assert span.status.status_code is trace.StatusCode.UNSET
    assert attributes.pop("zone", None) in (ZONES if path != "botocore" else (None,))
    if verb == "stream":
        assert attributes.pop("parts_received") == 2
        assert attributes.pop("time_to_first_byte") > 0
    assert attributes == {"attempts": 2, STATUS: status}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("path", PATHS)
def test_an_error_is_told_by_its_type(link: LocalPrivateLink, path: str, verb: str) -> None:
    """With attempts, zone and status, and without its text, which may repeat the payload."""
    with link.faults.unavailable("chat"), pytest.raises(ClientError):
        call(link, path, verb)
    span, attributes = only()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == attributes.pop("error.type") == "ServiceUnavailable"
    assert attributes.pop("zone", None) in (ZONES if path != "botocore" else (None,))
    assert attributes == {"attempts": 2, STATUS: 503}


def test_what_the_model_said_stays_out(link: LocalPrivateLink) -> None:
    """The text of a ModelError is the model's."""
    with (
        link.faults.model_error("chat", status=500, message="secret-payload"),
        pytest.raises(ClientError, match="secret-payload"),
    ):
        call(link, "direct", "invoke")
    span, attributes = only()
    assert span.status.description == attributes["error.type"] == "ModelError"
    assert attributes[STATUS] == 424


@pytest.mark.parametrize("path", ["direct", "botocore"])
def test_an_error_without_an_answer_has_no_status(link: LocalPrivateLink, path: Any) -> None:
    """Errors of connections have a ``response`` too, which botocore leaves ``None``."""
    predictor = link.session().predictor("chat", transport=path, timeout=0.2)
    with link.faults.stall(endpoint_name="chat"), pytest.raises(ReadTimeoutError):
        predictor.invoke(b"1")
    assert only()[1] == {"attempts": 1, "error.type": "ReadTimeoutError"}


def test_a_cancelled_call_tells_the_attempts_it_had(link: LocalPrivateLink) -> None:
    """Here in the wait after the second one."""

    async def use(p: AsyncPredictor) -> None:
        second = asyncio.Event()
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                second.set()
                await asyncio.Event().wait()

        p._retrier._async_sleep = sleep
        p._retrier.policy = RetryPolicy(attempts=5)
        task = asyncio.ensure_future(p.invoke(b"1"))
        await second.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with link.faults.unavailable("chat"):
        use_async(link, use)
    assert only()[1] == {"attempts": 2, "error.type": "CancelledError"}


def test_a_stream_has_a_span_until_it_is_closed(link: LocalPrivateLink) -> None:
    """By leaving early, which is no error."""
    with link.session().predictor("chat").stream(b"") as stream:
        parts = stream.bytes()
        assert next(parts) == b"1"
        assert ours() == []
    span, attributes = only()
    assert span.status.status_code is trace.StatusCode.UNSET
    assert attributes["parts_received"] == 1


def test_a_stream_that_is_dropped_ends_its_span(link: LocalPrivateLink) -> None:
    """Unread, it has no time to first byte."""
    stream = link.session().predictor("chat").stream(b"")
    assert ours() == []
    del stream
    gc.collect()
    attributes = only()[1]
    assert attributes["parts_received"] == 0
    assert "time_to_first_byte" not in attributes


FAULTS: dict[str, Callable[[LocalPrivateLink], Any]] = {
    "StreamInterruptedError": lambda link: link.faults.cut("chat", after_parts=1),
    "ModelStreamError": lambda link: link.faults.stream_error(
        "ModelStreamError", "chat", after_parts=1, message="secret-payload"
    ),
    "InternalStreamFailure": lambda link: link.faults.stream_error(
        "InternalStreamFailure", "chat", after_parts=1, message="secret-payload"
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("path", PATHS)
def test_an_interrupted_stream_is_an_error(link: LocalPrivateLink, path: str, kind: str) -> None:
    """Its status is that of its beginning, and what arrived is counted."""
    with FAULTS[kind](link), pytest.raises((ClientError, StreamInterruptedError)):
        call(link, path, "stream")
    span, attributes = only()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == attributes["error.type"] == kind
    assert (attributes["parts_received"], attributes[STATUS]) == (1, 200)


def test_an_async_stream_that_is_dropped_ends_its_span(link: LocalPrivateLink) -> None:
    """Nobody closed it, and no loop is asked to."""

    async def use(p: AsyncPredictor) -> None:
        stream = await p.stream(b"")
        assert ours() == []
        del stream
        gc.collect()

    use_async(link, use)
    assert only()[1]["parts_received"] == 0


def test_leaving_an_async_stream_ends_its_span(link: LocalPrivateLink) -> None:
    """A reader that has enough is no error there either."""

    async def use(p: AsyncPredictor) -> None:
        async with await p.stream(b"") as stream:
            async for part in stream.bytes():
                assert part == b"1"
                assert ours() == []
                break

    use_async(link, use)
    span, attributes = only()
    assert span.status.status_code is trace.StatusCode.UNSET
    assert attributes["parts_received"] == 1


def test_the_items_of_a_map_are_calls(link: LocalPrivateLink) -> None:
    """Each has a span, a child of the caller's though threads carry it."""
    with trace.get_tracer("tests").start_as_current_span("caller") as caller:
        list(link.session().predictor("chat").map(range(5), concurrency=2))
    assert [span.name for span in ours()] == ["SageMakerRuntime.InvokeEndpoint"] * 5
    assert {span.parent and span.parent.span_id for span in ours()} == {
        caller.get_span_context().span_id
    }


def test_the_items_of_an_async_map_are_calls(link: LocalPrivateLink) -> None:
    """The same where tasks carry them."""

    async def use(p: AsyncPredictor) -> None:
        with trace.get_tracer("tests").start_as_current_span("caller"):
            assert [item async for item in p.map(range(3), concurrency=2)]

    use_async(link, use)
    (caller,) = [span for span in EXPORTER.get_finished_spans() if span.name == "caller"]
    assert caller.context is not None
    assert [span.parent and span.parent.span_id for span in ours()] == [caller.context.span_id] * 3


def test_without_opentelemetry_there_is_nothing(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One shared context, and streams as they are; a program that never loaded it has none."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    opened = tracing.call_span("InvokeEndpoint", "chat")
    assert opened is tracing.call_span("InvokeEndpointAsync", "other")
    plain: Any = object()
    awaited: Any = object()
    with opened as span:
        assert span.follow(plain) is plain
        assert span.follow_async(awaited) is awaited
    for verb in VERBS:
        call(link, "direct", verb)
    assert ours() == []
