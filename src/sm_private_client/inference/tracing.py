"""OpenTelemetry spans around calls, where that package is there: names and numbers, no bodies."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

from sm_private_client._version import __version__

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Span", "call_span"]


class Span(Protocol):
    """What is written to."""

    def set_attribute(self, key: str, value: Any) -> Any:  # noqa: ANN401 - OpenTelemetry's types
        """Sets one attribute."""
        ...


class _NoSpan:
    def set_attribute(self, key: str, value: Any) -> None:  # noqa: ANN401
        pass


_NO_SPAN = contextlib.nullcontext(_NoSpan())


def _has_opentelemetry() -> bool:
    return importlib.util.find_spec("opentelemetry") is not None


HAS_OPENTELEMETRY = _has_opentelemetry()


def call_span(operation: str, endpoint_name: str) -> AbstractContextManager[Span]:
    """Opens a client span for one operation; an exception that leaves it is recorded by type.

    Attributes are those of OpenTelemetry's conventions for the AWS SDK, and the inference
    endpoint's name.
    """
    if not HAS_OPENTELEMETRY:
        return _NO_SPAN
    from opentelemetry import trace  # noqa: PLC0415 - optional

    tracer = trace.get_tracer("sm_private_client", __version__)
    span: AbstractContextManager[Span] = tracer.start_as_current_span(
        f"SageMakerRuntime.{operation}",
        kind=trace.SpanKind.CLIENT,
        attributes={
            "rpc.system": "aws-api",
            "rpc.service": "SageMakerRuntime",
            "rpc.method": operation,
            "aws.sagemaker.endpoint_name": endpoint_name,
        },
        record_exception=False,  # its text could repeat what the model said of the payload
    )
    return span
