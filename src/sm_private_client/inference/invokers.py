"""Who carries an operation: the direct path, or a boto3 client. One attempt a call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import botocore.parsers
from botocore.awsrequest import HeadersDict
from botocore.exceptions import EventStreamError, HTTPClientError
from urllib3.exceptions import HTTPError as URLLib3Error

from sm_private_client.errors import StreamInterruptedError
from sm_private_client.inference.operations import BODY_LIMITS, RuntimeOperation
from sm_private_client.transport.direct import DirectTransport
from sm_private_client.transport.http11 import FIRST_ERROR, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.model import ServiceModel

    from sm_private_client.inference.streams import AsyncStreamAnswer
    from sm_private_client.transport.async_direct import AsyncDirectTransport
    from sm_private_client.transport.direct import HttpStream, Routes
    from sm_private_client.transport.http11 import HttpResponse
    from sm_private_client.transport.signing import Credentials

__all__ = [
    "AsyncInvoker",
    "BotocoreInvoker",
    "DirectInvoker",
    "Invoker",
    "OperationResult",
    "RuntimeModel",
    "StreamAnswer",
    "answered_in",
    "async_invoker",
    "direct_invoker",
    "zone_of",
]

E = TypeVar("E", bound=BaseException)

_ZONE: Final = "_sm_private_zone"


class OperationResult(NamedTuple):
    """What an operation answered.

    Attributes:
        members: The output's members by botocore's names, ``Body`` (bytes) among them.
        request_id: The service's id of the request, ``None`` where it gave none.
        availability_zone: The zone that answered, ``None`` where not known.
        status: The HTTP status, ``None`` where not known.
    """

    members: Mapping[str, Any]
    request_id: str | None
    availability_zone: str | None = None
    status: int | None = None


class StreamAnswer(Protocol):
    """A response stream that has begun."""

    @property
    def members(self) -> Mapping[str, Any]:
        """The output's members by botocore's names, without ``Body``."""
        ...

    @property
    def request_id(self) -> str | None:
        """The service's id of the request."""
        ...

    @property
    def availability_zone(self) -> str | None:
        """The zone that answers."""
        ...

    @property
    def status(self) -> int | None:
        """The HTTP status, ``None`` where not known."""
        ...

    def parts(self) -> Iterator[bytes]:
        """Gives the bytes of each PayloadPart as it arrives.

        Raises:
            ModelStreamError, InternalStreamFailure: The client's own exceptions.
            StreamInterruptedError: The connection was cut; it says how much had arrived.
        """
        ...

    def close(self) -> None:
        """Ends it, and the connection with it where the stream was not read to its end."""
        ...


class Invoker(Protocol):
    """Carries the Runtime's operations, one attempt a call; safe between threads.

    It is given the seconds of silence to bear, and the bytes of payload to take at the most, of a
    stream those of an error; ``None``: any number. What it raises: the client's own exceptions
    for what the service answered, botocore's for connections, ``PayloadError`` for too large an
    answer, and what deciding the route raises. It never retries.
    """

    @property
    def name(self) -> str:
        """``direct`` or ``botocore``."""
        ...

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        ...

    def invoke(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Does InvokeEndpoint."""
        ...

    def invoke_async(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Does InvokeEndpointAsync."""
        ...

    def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> StreamAnswer:
        """Does InvokeEndpointWithResponseStream."""
        ...

    def close(self) -> None:
        """Closes idle connections; it can be used again."""
        ...


def answered_in(availability_zone: str | None, error: E) -> E:
    """Notes on a service's error which zone it came from."""
    vars(error)[_ZONE] = availability_zone
    return error


def zone_of(error: BaseException) -> str | None:
    """Gives the zone that a service's error came from, ``None`` where not known."""
    zone: str | None = getattr(error, _ZONE, None)
    return zone


_REQUEST_ID: Final = "x-amzn-requestid"


class RuntimeModel:
    """The three operations, and how an error answer becomes the client's own exception.

    Args:
        model: botocore's model of ``sagemaker-runtime``.
        exceptions: Gives the ``exceptions`` of a client; called when the first error comes.
    """

    def __init__(self, model: ServiceModel, exceptions: Callable[[], Any]) -> None:
        self.invoke = RuntimeOperation(model.operation_model("InvokeEndpoint"))
        self.invoke_async = RuntimeOperation(model.operation_model("InvokeEndpointAsync"))
        self.stream = RuntimeOperation(model.operation_model("InvokeEndpointWithResponseStream"))
        self._exceptions = exceptions
        self._model = model
        self._parser = botocore.parsers.create_parser("rest-json")

    def error(
        self, operation: RuntimeOperation, status: int, headers: Mapping[str, str], body: bytes
    ) -> Exception:
        """Make the exception that a boto3 client would raise for an error answer.

        A body that botocore's parser cannot read, which boto3 fails on with an ``AttributeError``
        or the like, is the error's message.
        """
        try:
            parsed = self.parsed(operation, status, headers, body)
        except (AttributeError, LookupError, TypeError, ValueError):
            message = json.dumps({"message": body.decode("utf-8", "replace")})
            parsed = self.parsed(operation, status, headers, message.encode())
        return self.made(operation, parsed)

    def parsed(
        self, operation: RuntimeOperation, status: int, headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any]:
        """Parse an answer as botocore does."""
        answer = {"status_code": status, "headers": HeadersDict(headers), "body": body}
        made: dict[str, Any] = self._parser.parse(answer, operation.output_shape)
        code = made.get("Error", {}).get("Code")
        shape = self._model.shape_for_error_code(code) if code else None
        if shape is not None:  # such as ModelError, which has members of its own
            made.update(self._parser.parse(answer, shape))
        return made

    def result(self, operation: RuntimeOperation, answer: HttpResponse) -> OperationResult:
        """Read an answer that has come whole.

        Raises:
            ClientError: It is an error; the client's own class.
        """
        if answer.status >= FIRST_ERROR:
            error = self.error(operation, answer.status, answer.headers, answer.body)
            raise answered_in(answer.availability_zone, error)
        if operation is self.invoke_async:  # one member of it travels in the body
            parsed = self.parsed(operation, answer.status, answer.headers, answer.body)
            members = dict(_answer_of(parsed).members)
        else:
            members = {**operation.members(answer.headers), "Body": answer.body}
        return OperationResult(
            members=members,
            request_id=answer.headers.get(_REQUEST_ID),
            availability_zone=answer.availability_zone,
            status=answer.status,
        )

    def made(self, operation: RuntimeOperation, parsed: dict[str, Any]) -> Exception:
        """Make the client's own exception of an error response."""
        code = parsed.get("Error", {}).get("Code")
        error: Exception = self._exceptions().from_code(code)(parsed, operation.name)
        return error


class DirectInvoker:
    """Carries operations over the direct path.

    Args:
        transport: What signs and sends.
        runtime: The operations.
    """

    name = "direct"

    def __init__(self, transport: DirectTransport, runtime: RuntimeModel) -> None:
        self._transport = transport
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"DirectInvoker({self._transport!r})"

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        return self._runtime.invoke_async

    def invoke(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Do InvokeEndpoint; see ``Invoker``."""
        operation = self._runtime.invoke
        request = operation.request(params)
        return self._runtime.result(
            operation, self._transport.send(request, timeout=timeout, limit=limit)
        )

    def invoke_async(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Do InvokeEndpointAsync; see ``Invoker``."""
        operation = self._runtime.invoke_async
        request = operation.request(params)
        return self._runtime.result(
            operation, self._transport.send(request, timeout=timeout, limit=limit)
        )

    def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> StreamAnswer:
        """Do InvokeEndpointWithResponseStream; see ``Invoker``."""
        operation = self._runtime.stream
        request = operation.request(params)
        answer = self._transport.stream(request, timeout=timeout, limit=limit)
        if answer.status >= FIRST_ERROR:
            self._runtime.result(operation, answer.whole())
        return _DirectStream(answer, operation, self._runtime)

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()


class AsyncInvoker:
    """Carries operations for asyncio, one attempt a call; it raises what ``Invoker`` says.

    Args:
        transport: What signs and sends.
        runtime: The operations.
    """

    name = "direct"

    def __init__(self, transport: AsyncDirectTransport, runtime: RuntimeModel) -> None:
        self._transport = transport
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"AsyncInvoker({self._transport!r})"

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        return self._runtime.invoke_async

    async def invoke(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Do InvokeEndpoint."""
        operation = self._runtime.invoke
        request = operation.request(params)
        return self._runtime.result(
            operation, await self._transport.send(request, timeout=timeout, limit=limit)
        )

    async def invoke_async(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> OperationResult:
        """Do InvokeEndpointAsync."""
        operation = self._runtime.invoke_async
        request = operation.request(params)
        return self._runtime.result(
            operation, await self._transport.send(request, timeout=timeout, limit=limit)
        )

    async def stream(
        self, params: Mapping[str, Any], *, timeout: float | None, limit: int | None = None
    ) -> AsyncStreamAnswer:
        """Do InvokeEndpointWithResponseStream."""
        # Here: plain calls do without it.
        from sm_private_client.inference.streams import AsyncStreamAnswer  # noqa: PLC0415

        operation = self._runtime.stream
        request = operation.request(params)
        answer = await self._transport.stream(request, timeout=timeout, limit=limit)
        if answer.status >= FIRST_ERROR:
            self._runtime.result(operation, await answer.whole())
        return AsyncStreamAnswer(
            answer,
            operation.members(answer.headers),
            lambda parsed: self._runtime.made(operation, parsed),
        )

    async def close(self) -> None:
        """Close idle connections."""
        await self._transport.close()


def direct_invoker(
    routes: Routes,
    *,
    model: ServiceModel,
    exceptions: Callable[[], Any],
    **options: Any,  # noqa: ANN401 - those of Predictor.stream
) -> DirectInvoker:
    """Make what carries the Runtime's operations over one route; no I/O.

    Args:
        routes: Asked at each call.
        model: botocore's model of ``sagemaker-runtime``.
        exceptions: Gives the ``exceptions`` of a client when the first error comes.
        **options: See ``_transport_options``.
    """
    transport = DirectTransport(routes, **_transport_options(model, **options))
    return DirectInvoker(transport, RuntimeModel(model, exceptions))


def async_invoker(
    routes: Routes,
    *,
    model: ServiceModel,
    exceptions: Callable[[], Any],
    refresh_is_due: Callable[[], bool],
    **options: Any,  # noqa: ANN401 - those of Predictor.stream
) -> AsyncInvoker:
    """Make the same for asyncio; see ``direct_invoker``.

    Args:
        routes: As there.
        model: As there.
        exceptions: As there.
        refresh_is_due: Return True if asking for the credentials may take I/O.
        **options: As there.
    """
    # Here: it imports asyncio, which plain calls do without.
    from sm_private_client.transport.async_direct import AsyncDirectTransport  # noqa: PLC0415

    transport = AsyncDirectTransport(
        routes, refresh_is_due=refresh_is_due, **_transport_options(model, **options)
    )
    return AsyncInvoker(transport, RuntimeModel(model, exceptions))


def _transport_options(
    model: ServiceModel,
    *,
    credentials: Callable[[], Credentials | None],
    bundle: Callable[[], bool | str],
    config: Any,  # noqa: ANN401 - botocore's Config is partly typed
    user_agent: str,
) -> dict[str, Any]:
    """Return what both transports take.

    Args:
        model: Its signing name counts.
        credentials: Asked for each request; ``None``: there are none.
        bundle: Gives the path of a CA bundle, or ``True`` for botocore's own.
        config: Connect time-out, pool size and client certificate are taken from it.
        user_agent: The value of ``User-Agent``.
    """
    return {
        "service": str(model.signing_name),
        "credentials": credentials,
        "bundle": bundle,
        "client_cert": config.client_cert,
        "connect_timeout": config.connect_timeout,
        "max_idle": config.max_pool_connections,
        "user_agent": user_agent,
    }


class _DirectStream:
    """A response stream of the direct path."""

    def __init__(
        self, answer: HttpStream, operation: RuntimeOperation, runtime: RuntimeModel
    ) -> None:
        self.members: Mapping[str, Any] = operation.members(answer.headers)
        self.request_id = answer.headers.get(_REQUEST_ID)
        self.availability_zone = answer.availability_zone
        self.status = answer.status
        self._answer = answer
        self._operation = operation
        self._runtime = runtime

    def parts(self) -> Iterator[bytes]:
        # Here: plain calls do without it.
        from sm_private_client.inference.eventstream import payload_parts  # noqa: PLC0415

        return payload_parts(
            self._answer.chunks(), lambda parsed: self._runtime.made(self._operation, parsed)
        )

    def close(self) -> None:
        self._answer.close()


class BotocoreInvoker:
    """Carries operations by a boto3 client, whose own retries stay what its config says.

    A time-out is the client's too: ``timeout`` is passed over, and so is the limit of what the
    client reads itself.

    Args:
        client: Any ``sagemaker-runtime`` client.
    """

    name = "botocore"

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        self.client = client
        model = client.meta.service_model
        self._operations = {
            name: RuntimeOperation(model.operation_model(name)) for name in BODY_LIMITS
        }

    def __repr__(self) -> str:
        return f"BotocoreInvoker({self.client.meta.endpoint_url!r})"

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        return self._operations["InvokeEndpointAsync"]

    def invoke(
        self,
        params: Mapping[str, Any],
        *,
        timeout: float | None,  # noqa: ARG002
        limit: int | None = None,
    ) -> OperationResult:
        """Do InvokeEndpoint; see ``Invoker``."""
        self._operations["InvokeEndpoint"].request(params)  # refuses what is out of limits
        answer = self.client.invoke_endpoint(**params)
        body = answer.pop("Body")
        with body:
            read = body.read() if limit is None else body.read(limit + 1)
        check_size(len(read), limit)
        return _answer_of(answer, read)

    def invoke_async(
        self,
        params: Mapping[str, Any],
        *,
        timeout: float | None,  # noqa: ARG002
        limit: int | None = None,  # noqa: ARG002
    ) -> OperationResult:
        """Do InvokeEndpointAsync; see ``Invoker``."""
        self._operations["InvokeEndpointAsync"].request(params)
        return _answer_of(self.client.invoke_endpoint_async(**params))

    def stream(
        self,
        params: Mapping[str, Any],
        *,
        timeout: float | None,  # noqa: ARG002
        limit: int | None = None,  # noqa: ARG002
    ) -> StreamAnswer:
        """Do InvokeEndpointWithResponseStream; see ``Invoker``."""
        self._operations["InvokeEndpointWithResponseStream"].request(params)
        answer = self.client.invoke_endpoint_with_response_stream(**params)
        return _BotocoreStream(answer, self.client.exceptions)

    def close(self) -> None:
        """Does nothing: the client is its owner's."""


class _BotocoreStream:
    """A response stream that a boto3 client reads."""

    def __init__(self, answer: dict[str, Any], exceptions: Any) -> None:  # noqa: ANN401 - boto3's
        self._body = answer.pop("Body")
        made = _answer_of(answer)
        self.members = made.members
        self.request_id = made.request_id
        self.availability_zone: str | None = None
        self.status = made.status
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
            made = self._exceptions.from_code(code[:1].upper() + code[1:])
            raise made(error.response, error.operation_name) from error
        except (HTTPClientError, URLLib3Error) as error:
            raise StreamInterruptedError(
                f"The response stream was cut after {received} parts: {type(error).__name__}.",
                parts_received=received,
                cause="the connection was lost or stayed silent longer than the time-out.",
                remedy="use what arrived, or send the request again if the model is safe to "
                "repeat.",
            ) from error

    def close(self) -> None:
        self._body.close()


def _answer_of(answer: dict[str, Any], body: bytes | None = None) -> OperationResult:
    metadata = answer.pop("ResponseMetadata", {})
    members = answer if body is None else {**answer, "Body": body}
    return OperationResult(
        members=members,
        request_id=metadata.get("RequestId"),
        status=metadata.get("HTTPStatusCode"),
    )
