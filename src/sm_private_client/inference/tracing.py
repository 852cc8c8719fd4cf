"""OpenTelemetry spans around calls, where that package is there: names and numbers, no bodies."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final, Protocol

from sm_private_client._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
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


HAS_OPENTELEMETRY: Final = importlib.util.find_spec("opentelemetry") is not None


def call_span(operation: str, endpoint_name: str) -> AbstractContextManager[Span]:
    """Opens a client span for one operation, attempts and waits included.

    Attributes are those of OpenTelemetry's conventions for the AWS SDK, and the inference
    endpoint's name. Of an exception that leaves it the span has type and HTTP status only: its
    text could repeat what the model said of the payload.
    """
    if not HAS_OPENTELEMETRY:
        return _NO_SPAN
    return _real_span(operation, endpoint_name)


@contextlib.contextmanager
def _real_span(operation: str, endpoint_name: str) -> Iterator[Span]:
    from opentelemetry import trace  # noqa: PLC0415 - optional

    tracer = trace.get_tracer("sm_private_client", __version__)
    with tracer.start_as_current_span(
        f"SageMakerRuntime.{operation}",
        kind=trace.SpanKind.CLIENT,
        attributes={
            "rpc.system": "aws-api",
            "rpc.service": "SageMakerRuntime",
            "rpc.method": operation,
            "aws.sagemaker.endpoint_name": endpoint_name,
        },
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
            metadata = getattr(error, "response", {}).get("ResponseMetadata", {})
            if "HTTPStatusCode" in metadata:
                span.set_attribute("http.response.status_code", metadata["HTTPStatusCode"])
            raise
