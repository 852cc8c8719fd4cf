"""Invokers: what carries an operation, one attempt a call: the direct path or a boto3 client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict

from botocore.exceptions import EventStreamError, HTTPClientError
from urllib3.exceptions import HTTPError as URLLib3Error

from sm_private_client.inference.operations import (
    REQUEST_ID,
    OperationResult,
    RuntimeModel,
    RuntimeOperation,
    result_of,
    runtime_operations,
)
from sm_private_client.transport.direct import DirectTransport
from sm_private_client.transport.http11 import FIRST_ERROR, check_size

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from botocore.credentials import ReadOnlyCredentials
    from botocore.model import ServiceModel
    from typing_extensions import Unpack

    from sm_private_client.transport.async_direct import AsyncDirectTransport, AsyncHttpStream
    from sm_private_client.transport.direct import HttpStream, Routes
    from sm_private_client.types import BotoClient

__all__ = [
    "AsyncInvoker",
    "AsyncStreamSource",
    "BotocoreInvoker",
    "DirectInvoker",
    "Invoker",
    "StreamSource",
    "TransportOptions",
    "async_invoker",
    "direct_invoker",
]

_ASYNC: Final = "InvokeEndpointAsync"
_STREAM: Final = "InvokeEndpointWithResponseStream"


class StreamSource(Protocol):
    """A response stream that has begun."""

    @property
    def head(self) -> OperationResult:
        """What is known of it."""
        ...

    def parts(self) -> Iterator[bytes]:
        """Yield the bytes of each PayloadPart as it arrives.

        Raises:
            ModelStreamError, InternalStreamFailure: The client's own exceptions.
            StreamInterruptedError: The connection was cut; it has how much had arrived.
        """
        ...

    def close(self) -> None:
        """End it, and the connection with it if the stream was not read to its end."""
        ...


class AsyncStreamSource(Protocol):
    """``StreamSource`` for asyncio."""

    @property
    def head(self) -> OperationResult:
        """See ``StreamSource``."""
        ...

    def parts(self) -> AsyncGenerator[bytes, None]:
        """See ``StreamSource``."""
        ...

    async def close(self) -> None:
        """See ``StreamSource``."""
        ...


class Invoker(Protocol):
    """Carries the Runtime's operations, one attempt a call; safe between threads.

    ``timeout`` is in seconds of silence. ``limit`` is the most bytes of a payload, or of the error
    of a stream. ``None`` is no limit. It never retries. It raises the client's own exceptions for
    what the service answered, botocore's for connections, ``PayloadError`` for too large an
    answer, and the errors of deciding the route.
    """

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        ...

    def send(
        self,
        operation: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None,
        limit: int | None = None,
    ) -> OperationResult:
        """Send InvokeEndpoint or InvokeEndpointAsync."""
        ...

    def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> StreamSource:
        """Send InvokeEndpointWithResponseStream."""
        ...

    def close(self) -> None:
        """Close idle connections; the invoker can still be used."""
        ...


class DirectInvoker:
    """The invoker of the direct path.

    Args:
        transport: Signs and sends.
        runtime: The operations.
    """

    def __init__(self, transport: DirectTransport, runtime: RuntimeModel) -> None:
        self._transport = transport
        self._runtime = runtime
        self._operations = runtime.operations
        self.async_operation = runtime.operations[_ASYNC]

    def __repr__(self) -> str:
        return f"DirectInvoker({self._transport!r})"

    def send(
        self,
        operation: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None,
        limit: int | None = None,
    ) -> OperationResult:
        """See ``Invoker``."""
        kind = self._operations[operation]
        response = self._transport.send(kind.request(params), timeout=timeout, limit=limit)
        return self._runtime.result(kind, response)

    def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> StreamSource:
        """See ``Invoker``."""
        kind = self._operations[_STREAM]
        response = self._transport.stream(kind.request(params), timeout=timeout, limit=limit)
        if response.status >= FIRST_ERROR:
            self._runtime.result(kind, response.whole())
        return _DirectStream(response, self._runtime)

    def close(self) -> None:
        """See ``Invoker``."""
        self._transport.close()


class AsyncInvoker:
    """The invoker of the direct path for asyncio; see ``Invoker``.

    Args:
        transport: Signs and sends.
        runtime: The operations.
    """

    def __init__(self, transport: AsyncDirectTransport, runtime: RuntimeModel) -> None:
        self._transport = transport
        self._runtime = runtime
        self._operations = runtime.operations
        self.async_operation = runtime.operations[_ASYNC]

    def __repr__(self) -> str:
        return f"AsyncInvoker({self._transport!r})"

    async def send(
        self,
        operation: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None,
        limit: int | None = None,
    ) -> OperationResult:
        """See ``Invoker``."""
        kind = self._operations[operation]
        response = await self._transport.send(kind.request(params), timeout=timeout, limit=limit)
        return self._runtime.result(kind, response)

    async def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> AsyncStreamSource:
        """See ``Invoker``."""
        kind = self._operations[_STREAM]
        response = await self._transport.stream(kind.request(params), timeout=timeout, limit=limit)
        if response.status >= FIRST_ERROR:
            self._runtime.result(kind, await response.whole())
        return _AsyncDirectStream(response, self._runtime)

    async def close(self) -> None:
        """See ``Invoker``."""
        await self._transport.close()


class _DirectStream:
    def __init__(self, response: HttpStream, runtime: RuntimeModel) -> None:
        self.head = _head_of(response, runtime)
        self._response = response
        self._runtime = runtime

    def parts(self) -> Iterator[bytes]:
        # Here and below: plain calls do without it.
        from sm_private_client.inference.eventstream import payload_parts  # noqa: PLC0415 - see above

        return payload_parts(self._response.chunks(), _stream_errors(self._runtime))

    def close(self) -> None:
        self._response.close()


class _AsyncDirectStream:
    def __init__(self, response: AsyncHttpStream, runtime: RuntimeModel) -> None:
        self.head = _head_of(response, runtime)
        self._response = response
        self._runtime = runtime

    async def parts(self) -> AsyncGenerator[bytes, None]:
        from sm_private_client.inference.eventstream import (  # noqa: PLC0415 - see above
            PayloadPartDecoder,
            interrupted,
        )

        decoder = PayloadPartDecoder(_stream_errors(self._runtime))
        try:
            async for chunk in self._response.chunks():
                for part in decoder.feed(chunk):
                    yield part
                decoder.check()
        except HTTPClientError as error:
            raise interrupted(decoder.parts_received, error) from error
        for part in decoder.finish():
            yield part

    async def close(self) -> None:
        await self._response.close()


def _head_of(response: HttpStream | AsyncHttpStream, runtime: RuntimeModel) -> OperationResult:
    return OperationResult(
        members=runtime.operations[_STREAM].members(response.headers),
        request_id=response.headers.get(REQUEST_ID),
        availability_zone=response.availability_zone,
        status=response.status,
    )


def _stream_errors(runtime: RuntimeModel) -> Callable[[dict[str, Any]], Exception]:
    return lambda parsed: runtime.exception(runtime.operations[_STREAM], parsed)


class BotocoreInvoker:
    """The invoker over a boto3 client, whose own retries stay as its config says.

    The client's time-outs hold: ``timeout`` is ignored, and so is the limit of what the client
    reads itself.

    Args:
        client: Any ``sagemaker-runtime`` client.
    """

    def __init__(self, client: BotoClient) -> None:
        self.client = client
        self._operations = runtime_operations(client.meta.service_model)
        self.async_operation = self._operations[_ASYNC]

    def __repr__(self) -> str:
        return f"BotocoreInvoker({self.client.meta.endpoint_url!r})"

    def send(
        self,
        operation: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None,
        limit: int | None = None,
    ) -> OperationResult:
        """See ``Invoker``."""
        del timeout  # the client's own holds
        self._operations[operation].request(params)  # refuses what is out of limits
        if operation == _ASYNC:
            return result_of(self.client.invoke_endpoint_async(**params))
        output = self.client.invoke_endpoint(**params)
        with output.pop("Body") as stream:
            body = stream.read() if limit is None else stream.read(limit + 1)
        check_size(len(body), limit)
        return result_of(output, body)

    def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> StreamSource:
        """See ``Invoker``."""
        del timeout, limit  # the client's own hold
        self._operations[_STREAM].request(params)
        output = self.client.invoke_endpoint_with_response_stream(**params)
        return _BotocoreStream(output, self.client.exceptions)

    def close(self) -> None:
        """Do nothing: the client is its owner's."""


class _BotocoreStream:
    def __init__(self, output: dict[str, Any], exceptions: BotoClient) -> None:
        self._body = output.pop("Body")
        self.head = result_of(output)
        self._exceptions = exceptions

    def parts(self) -> Iterator[bytes]:
        received = 0
        try:
            for event in self._body:
                if "PayloadPart" in event:
                    received += 1
                    yield event["PayloadPart"]["Bytes"]
        except EventStreamError as error:
            code = error.response["Error"]["Code"]
            kind = self._exceptions.from_code(code[:1].upper() + code[1:])
            raise kind(error.response, error.operation_name) from error
        except (HTTPClientError, URLLib3Error) as error:
            from sm_private_client.inference.eventstream import interrupted  # noqa: PLC0415 - as above

            raise interrupted(received, error) from error

    def close(self) -> None:
        self._body.close()


class TransportOptions(TypedDict):
    """Options of both transports.

    Attributes:
        credentials: Called for each request; returns ``None`` if there are none.
        bundle: Returns the path of a CA bundle, or ``True`` for botocore's own.
        config: botocore's Config; connect time-out, pool size and client certificate count.
        user_agent: The value of ``User-Agent``.
    """

    credentials: Callable[[], ReadOnlyCredentials | None]
    bundle: Callable[[], bool | str]
    config: Any
    user_agent: str


def direct_invoker(
    routes: Routes,
    *,
    model: ServiceModel,
    exceptions: Callable[[], Any],
    **options: Unpack[TransportOptions],
) -> DirectInvoker:
    """Return the invoker of one route; no I/O.

    Args:
        routes: Asked at each call.
        model: botocore's model of ``sagemaker-runtime``.
        exceptions: Returns the ``exceptions`` of a client; called at the first error.
        **options: See ``TransportOptions``.
    """
    transport = DirectTransport(routes, **_transport_arguments(model, options))
    return DirectInvoker(transport, RuntimeModel(model, exceptions))


def async_invoker(
    routes: Routes,
    *,
    model: ServiceModel,
    exceptions: Callable[[], Any],
    refresh_is_due: Callable[[], bool],
    **options: Unpack[TransportOptions],
) -> AsyncInvoker:
    """Return the same for asyncio.

    Args:
        routes: See ``direct_invoker``.
        model: See ``direct_invoker``.
        exceptions: See ``direct_invoker``.
        refresh_is_due: Returns True if asking for the credentials may take I/O.
        **options: See ``TransportOptions``.
    """
    # Here: it imports asyncio, which plain calls do without.
    from sm_private_client.transport.async_direct import AsyncDirectTransport  # noqa: PLC0415 - see above

    transport = AsyncDirectTransport(
        routes, refresh_is_due=refresh_is_due, **_transport_arguments(model, options)
    )
    return AsyncInvoker(transport, RuntimeModel(model, exceptions))


def _transport_arguments(model: ServiceModel, options: TransportOptions) -> dict[str, Any]:
    config = options["config"]
    return {
        "service": str(model.signing_name),
        "credentials": options["credentials"],
        "bundle": options["bundle"],
        "client_cert": config.client_cert,
        "connect_timeout": config.connect_timeout,
        "max_idle": config.max_pool_connections,
        "user_agent": options["user_agent"],
    }
