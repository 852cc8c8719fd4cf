"""OpenTelemetry spans around calls, if the program records any: names and numbers, no bodies."""

from __future__ import annotations

import contextlib
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from sm_private_client._version import __version__
from sm_private_client.inference.operations import zone_of
from sm_private_client.inference.retrier import attempts_made

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

    from sm_private_client.inference.invokers import AsyncStreamSource, StreamSource
    from sm_private_client.inference.operations import OperationResult

__all__ = ["CallSpan", "call_span"]

_STATUS: Final = "http.response.status_code"


class CallSpan:
    """The span of one call; this one records nothing."""

    def answered(self, result: OperationResult, attempts: int) -> None:
        """Set what is known of a call that succeeded."""

    def follow(self, stream: StreamSource) -> StreamSource:
        """Return the stream to use; the span ends when that is closed."""
        return stream

    def follow_async(self, stream: AsyncStreamSource) -> AsyncStreamSource:
        """Do the same for asyncio."""
        return stream


_NO_SPAN = contextlib.nullcontext(CallSpan())  # one for all calls: it does nothing


def call_span(operation: str, endpoint_name: str) -> AbstractContextManager[CallSpan]:
    """Open a client span for one operation, attempts and waits included.

    Attributes are those of OpenTelemetry's conventions for the AWS SDK, the inference endpoint's
    name, ``attempts`` and ``zone``. The span ends with the block, or with the stream that it
    follows. Of an exception it has type and HTTP status only: the text could repeat what the model
    said of the payload.
    """
    if not _is_recorded():
        return _NO_SPAN
    return _recorded_span(operation, endpoint_name)


def _is_recorded() -> bool:
    """Return True if the program has set up a tracer provider."""
    if "opentelemetry.trace" not in sys.modules:  # whoever sets it up has imported it
        return False
    from opentelemetry import trace  # noqa: PLC0415 - optional

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextlib.contextmanager
def _recorded_span(operation: str, endpoint_name: str) -> Iterator[CallSpan]:
    from opentelemetry import trace  # noqa: PLC0415 - optional

    span = trace.get_tracer("sm_private_client", __version__).start_span(
        f"SageMakerRuntime.{operation}",
        kind=trace.SpanKind.CLIENT,
        attributes={
            "rpc.system": "aws-api",
            "rpc.service": "SageMakerRuntime",
            "rpc.method": operation,
            "aws.sagemaker.endpoint_name": endpoint_name,
        },
    )
    call = _RecordedSpan(span)
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        try:
            yield call
        except BaseException as error:
            response = getattr(error, "response", None)  # None in botocore's errors of connections
            metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
            call.set_known(
                {
                    "attempts": attempts_made(error),
                    "zone": zone_of(error),
                    _STATUS: metadata.get("HTTPStatusCode"),
                }
            )
            call.failed(error)
            raise
        finally:
            if not call.follows_stream:
                span.end()


class _RecordedSpan(CallSpan):
    def __init__(self, span: Span) -> None:
        self.follows_stream = False
        self._span = span
        self._started = time.monotonic()
        self._parts_received = 0
        self._time_to_first_byte: float | None = None

    def answered(self, result: OperationResult, attempts: int) -> None:
        self.set_known(
            {"attempts": attempts, "zone": result.availability_zone, _STATUS: result.status}
        )

    def follow(self, stream: StreamSource) -> StreamSource:
        self.follows_stream = True
        return _FollowedStream(stream, self)

    def follow_async(self, stream: AsyncStreamSource) -> AsyncStreamSource:
        self.follows_stream = True
        return _FollowedAsyncStream(stream, self)

    def set_known(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(name, value)

    def failed(self, error: BaseException) -> None:
        """Set an error, unless the stream was closed already, of which the error may come."""
        if not self._span.is_recording():
            return
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - optional

        kind = type(error).__name__
        self._span.set_status(Status(StatusCode.ERROR, kind))
        self._span.set_attribute("error.type", kind)

    def count(self, part: bytes) -> None:
        if part and self._time_to_first_byte is None:
            self._time_to_first_byte = time.monotonic() - self._started
        self._parts_received += 1

    def end(self) -> None:
        self.set_known(
            {
                "parts_received": self._parts_received,
                "time_to_first_byte": self._time_to_first_byte,
            }
        )
        self._span.end()


class _FollowedStream:
    """A stream whose span ends with it."""

    def __init__(self, stream: StreamSource, span: _RecordedSpan) -> None:
        self.head = stream.head
        self._stream = stream
        self._span = span

    def parts(self) -> Generator[bytes, None, None]:
        try:
            for part in self._stream.parts():
                self._span.count(part)
                yield part
        except GeneratorExit:  # the reader has enough
            raise
        except BaseException as error:
            self._span.failed(error)
            raise

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._span.end()


class _FollowedAsyncStream:
    """The same for asyncio."""

    def __init__(self, stream: AsyncStreamSource, span: _RecordedSpan) -> None:
        self.head = stream.head
        self._stream = stream
        self._span = span
        self._end = weakref.finalize(self, span.end)  # once; also if nobody closes it
        self._end.atexit = False

    async def parts(self) -> AsyncGenerator[bytes, None]:
        try:
            async with contextlib.aclosing(self._stream.parts()) as parts:
                async for part in parts:
                    self._span.count(part)
                    yield part
        except GeneratorExit:  # the reader has enough
            raise
        except BaseException as error:
            self._span.failed(error)
            raise

    async def close(self) -> None:
        try:
            await self._stream.close()
        finally:
            self._end()
