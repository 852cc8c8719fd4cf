"""Specification of inference/tracing.py: spans have names and numbers, no bodies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.testing import LocalPrivateLink

EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    """OpenTelemetry takes one provider a process."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(made)


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    EXPORTER.clear()
    with LocalPrivateLink() as link:
        link.deploy("echo", lambda body, content_type: (body, content_type))
        yield link


def ours() -> list[ReadableSpan]:
    return [s for s in EXPORTER.get_finished_spans() if s.name.startswith("SageMakerRuntime.")]


def test_a_call_is_a_client_span_with_name_attempts_and_zone(link: LocalPrivateLink) -> None:
    """Retries are part of it."""
    predictor = link.session().predictor(
        "echo", retry=RetryPolicy(wait_initial=0.01, wait_max=0.02)
    )
    link.faults.throttle("sagemaker:InvokeEndpoint", times=1)
    predictor.predict({"secret-payload": 1})
    (span,) = ours()
    assert span.name == "SageMakerRuntime.InvokeEndpoint"
    assert span.kind is trace.SpanKind.CLIENT
    attributes: Any = dict(span.attributes or {})
    assert attributes.pop("zone") in {"us-east-1a", "us-east-1b"}
    assert attributes == {
        "rpc.system": "aws-api",
        "rpc.service": "SageMakerRuntime",
        "rpc.method": "InvokeEndpoint",
        "aws.sagemaker.endpoint_name": "echo",
        "attempts": 2,
    }
    assert "secret-payload" not in span.to_json()


def test_an_error_is_told_by_type_and_status_alone(link: LocalPrivateLink) -> None:
    """What the model said may repeat the payload, so the error's text stays out."""

    def broken(_: bytes, __: str) -> bytes:
        raise ValueError("secret-payload")

    link.deploy("broken", broken)
    predictor = link.session().predictor("broken", retry=RetryPolicy(attempts=1))
    with pytest.raises(ClientError):
        predictor.invoke(b"secret-payload")
    (span,) = ours()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "ModelError"
    assert (span.attributes or {})["http.response.status_code"] == 424
    assert span.events == ()
    assert "secret-payload" not in span.to_json()


def test_streams_have_a_span_for_their_beginning(link: LocalPrivateLink) -> None:
    """It ends when the answer begins."""
    with link.session().predictor("echo").stream(b"1") as stream:
        (span,) = ours()
        assert span.name == "SageMakerRuntime.InvokeEndpointWithResponseStream"
        assert list(stream.bytes()) == [b"1"]
