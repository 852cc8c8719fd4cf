"""OpenTelemetry spans around calls, if the program records any: names and numbers, no bodies.

If it does not, a call enters one shared context that does nothing, and a stream is given back as
it is.
"""

from __future__ import annotations

import contextlib
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol

from sm_private_client._version import __version__
from sm_private_client.inference.invokers import zone_of
from sm_private_client.inference.retrier import attempts_made

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

    from sm_private_client.inference.invokers import StreamAnswer
    from sm_private_client.inference.streams import AsyncStreamSource

__all__ = ["CallSpan", "call_span"]

_STATUS: Final = "http.response.status_code"


class Answered(Protocol):
    """What a span is told of an answer."""

    @property
    def status(self) -> int | None:
        """The HTTP status."""
        ...

    @property
    def availability_zone(self) -> str | None:
        """The zone that answered."""
        ...


class CallSpan(Protocol):
    """What a call tells its span."""

    def answered(self, answer: Answered, attempts: int) -> None:
        """Says that it succeeded, where, and after how many attempts."""
        ...

    def follow(self, stream: StreamAnswer) -> StreamAnswer:
        """Has the span last as long as the stream that is given back."""
        ...

    def follow_async(self, stream: AsyncStreamSource) -> AsyncStreamSource:
        """Does what ``follow`` does, for asyncio."""
        ...


class _NoSpan:
    def answered(self, answer: Answered, attempts: int) -> None:
        pass

    def follow(self, stream: StreamAnswer) -> StreamAnswer:
        return stream

    def follow_async(self, stream: AsyncStreamSource) -> AsyncStreamSource:
        return stream


_NO_SPAN = contextlib.nullcontext(_NoSpan())


def call_span(operation: str, endpoint_name: str) -> AbstractContextManager[CallSpan]:
    """Opens a client span for one operation, attempts and waits included.

    Attributes are those of OpenTelemetry's conventions for the AWS SDK, the inference endpoint's
    name, ``attempts`` and ``zone``. The span ends with the block; one that follows a stream ends
    when that is closed. Of an exception it has type and HTTP status only: the text could repeat
    what the model said of the payload.
    """
    if not _is_recorded():
        return _NO_SPAN
    return _real_span(operation, endpoint_name)


def _is_recorded() -> bool:
    """Return True if the program has set up something that takes spans."""
    if "opentelemetry.trace" not in sys.modules:  # whoever sets it up has imported it
        return False
    from opentelemetry import trace  # noqa: PLC0415 - optional

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextlib.contextmanager
def _real_span(operation: str, endpoint_name: str) -> Iterator[CallSpan]:
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
    call = _RealSpan(span)
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        try:
            yield call
        except BaseException as error:
            call.tell(
                {
                    "attempts": attempts_made(error),
                    "zone": zone_of(error),
                    _STATUS: _status_of(error),
                }
            )
            call.failed(error)
            raise
        finally:
            if not call.follows:
                span.end()


def _status_of(error: BaseException) -> int | None:
    response = getattr(error, "response", None)  # None in botocore's errors of connections
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    status: int | None = metadata.get("HTTPStatusCode")
    return status


class _RealSpan:
    def __init__(self, span: Span) -> None:
        self.follows = False
        self._span = span
        self._started = time.monotonic()
        self._parts_received = 0
        self._time_to_first_byte: float | None = None

    def answered(self, answer: Answered, attempts: int) -> None:
        self.tell({"attempts": attempts, "zone": answer.availability_zone, _STATUS: answer.status})

    def follow(self, stream: StreamAnswer) -> StreamAnswer:
        self.follows = True
        return _FollowedStream(stream, self)

    def follow_async(self, stream: AsyncStreamSource) -> AsyncStreamSource:
        self.follows = True
        return _FollowedAsyncStream(stream, self)

    def tell(self, attributes: Mapping[str, Any]) -> None:
        """Sets those attributes that are known."""
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(name, value)

    def failed(self, error: BaseException) -> None:
        """Marks an error, unless it comes of the stream having been closed already."""
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
        self.tell(
            {
                "parts_received": self._parts_received,
                "time_to_first_byte": self._time_to_first_byte,
            }
        )
        self._span.end()


class _FollowedStream:
    """A stream whose span ends with it."""

    def __init__(self, stream: StreamAnswer, span: _RealSpan) -> None:
        self.members = stream.members
        self.request_id = stream.request_id
        self.availability_zone = stream.availability_zone
        self.status = stream.status
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

    def __init__(self, stream: AsyncStreamSource, span: _RealSpan) -> None:
        self.members = stream.members
        self.request_id = stream.request_id
        self.availability_zone = stream.availability_zone
        self._stream = stream
        self._span = span
        self._end = weakref.finalize(self, span.end)  # once; also where nobody closes it
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
