"""Who carries an operation: the direct path, or a boto3 client. One attempt a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import botocore.parsers
from botocore.awsrequest import HeadersDict
from botocore.exceptions import EventStreamError, HTTPClientError
from urllib3.exceptions import HTTPError as URLLib3Error

from sm_private_client.errors import StreamInterruptedError
from sm_private_client.inference.eventstream import payload_parts
from sm_private_client.inference.invoking import Answer, answered_in
from sm_private_client.inference.requests import BODY_LIMITS, RuntimeOperation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.model import ServiceModel

    from sm_private_client.inference.invoking import StreamAnswer
    from sm_private_client.transport.http import HttpResponse, HttpStream, HttpTransport

__all__ = ["FIRST_ERROR", "BotocoreInvoker", "DirectInvoker", "RuntimeModel", "answer_of_http"]

_REQUEST_ID: Final = "x-amzn-requestid"
FIRST_ERROR: Final = 300  # as botocore's parsers have it


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
        """Makes the exception that a boto3 client would raise for an error answer."""
        return self.made(operation, self.parsed(operation, status, headers, body))

    def parsed(
        self, operation: RuntimeOperation, status: int, headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any]:
        """Parses an answer as botocore does."""
        answer = {"status_code": status, "headers": HeadersDict(headers), "body": body}
        made: dict[str, Any] = self._parser.parse(answer, operation.output_shape)
        code = made.get("Error", {}).get("Code")
        shape = self._model.shape_for_error_code(code) if code else None
        if shape is not None:  # such as ModelError, which has members of its own
            made.update(self._parser.parse(answer, shape))
        return made

    def made(self, operation: RuntimeOperation, parsed: dict[str, Any]) -> Exception:
        """Makes the client's own exception of an error response."""
        code = parsed.get("Error", {}).get("Code")
        error: Exception = self._exceptions().from_code(code)(parsed, operation.name)
        return error


class DirectInvoker:
    """Carries operations over the direct path.

    Args:
        transport: What signs and sends.
        runtime: The operations.
        name: ``direct`` or ``fast``.
    """

    def __init__(self, transport: HttpTransport, runtime: RuntimeModel, *, name: str) -> None:
        self.name = name
        self._transport = transport
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"DirectInvoker({self._transport!r})"

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        return self._runtime.invoke_async

    def invoke(self, params: Mapping[str, Any], *, timeout: float | None) -> Answer:
        """Does InvokeEndpoint; see ``Invoker``."""
        return self._send(self._runtime.invoke, params, timeout)

    def invoke_async(self, params: Mapping[str, Any], *, timeout: float | None) -> Answer:
        """Does InvokeEndpointAsync; see ``Invoker``."""
        return self._send(self._runtime.invoke_async, params, timeout)

    def stream(self, params: Mapping[str, Any], *, timeout: float | None) -> StreamAnswer:
        """Does InvokeEndpointWithResponseStream; see ``Invoker``."""
        operation = self._runtime.stream
        answer = self._transport.stream(operation.request(params), timeout=timeout)
        if answer.status >= FIRST_ERROR:
            try:
                body = b"".join(answer.chunks())
            finally:
                answer.close()
            error = self._runtime.error(operation, answer.status, answer.headers, body)
            raise answered_in(answer.availability_zone, error)
        return _DirectStream(answer, operation, self._runtime)

    def close(self) -> None:
        """Closes idle connections."""
        self._transport.close()

    def _send(
        self, operation: RuntimeOperation, params: Mapping[str, Any], timeout: float | None
    ) -> Answer:
        answer = self._transport.send(operation.request(params), timeout=timeout)
        return answer_of_http(self._runtime, operation, answer)


def answer_of_http(
    runtime: RuntimeModel, operation: RuntimeOperation, answer: HttpResponse
) -> Answer:
    """Reads an answer that has come whole.

    Raises:
        ClientError: It is an error; the client's own class.
    """
    if answer.status >= FIRST_ERROR:
        error = runtime.error(operation, answer.status, answer.headers, answer.body)
        raise answered_in(answer.availability_zone, error)
    if operation is runtime.invoke_async:  # one member of it travels in the body
        parsed = runtime.parsed(operation, answer.status, answer.headers, answer.body)
        members = dict(_answer_of(parsed).members)
    else:
        members = {**operation.members(answer.headers), "Body": answer.body}
    return Answer(
        members=members,
        request_id=answer.headers.get(_REQUEST_ID),
        availability_zone=answer.availability_zone,
        status=answer.status,
    )


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
        return payload_parts(
            self._answer.chunks(), lambda parsed: self._runtime.made(self._operation, parsed)
        )

    def close(self) -> None:
        self._answer.close()


class BotocoreInvoker:
    """Carries operations by a boto3 client, whose own retries stay what its config says.

    A time-out is the client's too: ``timeout`` is passed over.

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

    def invoke(self, params: Mapping[str, Any], *, timeout: float | None) -> Answer:  # noqa: ARG002
        """Does InvokeEndpoint; see ``Invoker``."""
        self._operations["InvokeEndpoint"].request(params)  # refuses what is out of limits
        answer = self.client.invoke_endpoint(**params)
        body = answer.pop("Body")
        with body:
            read = body.read()
        return _answer_of(answer, read)

    def invoke_async(self, params: Mapping[str, Any], *, timeout: float | None) -> Answer:  # noqa: ARG002
        """Does InvokeEndpointAsync; see ``Invoker``."""
        self._operations["InvokeEndpointAsync"].request(params)
        return _answer_of(self.client.invoke_endpoint_async(**params))

    def stream(self, params: Mapping[str, Any], *, timeout: float | None) -> StreamAnswer:  # noqa: ARG002
        """Does InvokeEndpointWithResponseStream; see ``Invoker``."""
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


def _answer_of(answer: dict[str, Any], body: bytes | None = None) -> Answer:
    metadata = answer.pop("ResponseMetadata", {})
    members = answer if body is None else {**answer, "Body": body}
    return Answer(
        members=members,
        request_id=metadata.get("RequestId"),
        status=metadata.get("HTTPStatusCode"),
    )
