"""The operations of ``sagemaker-runtime``: answers, errors and headers as the service has them."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sm_private_client.testing.async_inference import AsyncInference
from sm_private_client.testing.aws_errors import AwsError
from sm_private_client.testing.hosting import HostedModel, ModelAnswer, ModelFailure, failure_of
from sm_private_client.testing.http_connection import Request, Response
from sm_private_client.testing.operations import operations_of
from sm_private_client.testing.response_streams import CONTENT_TYPE, cut_after_bytes, stream_body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botocore.model import OperationModel

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.hosting import HostedModels
    from sm_private_client.testing.http_connection import Connection
    from sm_private_client.testing.signatures import Clock

__all__ = ["Runtime"]

PAYLOAD_LIMIT: Final = 25 * 1024 * 1024
"""Bytes; SageMaker quotas, InvokeEndpoint's payload (older pages: 6 MB)."""

ASYNC_BODY_LIMIT: Final = 128_000
"""Bytes; SageMaker Runtime API reference, InvokeEndpointAsync, Body."""

_CLIENT_ERRORS: Final = range(400, 500)

_SERVICE_ERRORS: Final = (
    (
        "unavailable",
        "ServiceUnavailable",
        503,
        "The request has failed due to a temporary failure of the server.",
    ),
    (
        "internal-failure",
        "InternalFailure",
        500,
        "The request processing has failed because of an unknown error, exception or failure.",
    ),
    (
        "dependency-failure",
        "InternalDependencyException",
        530,
        "The request caused an exception with an internal dependency.",
    ),
    (
        "not-ready",
        "ModelNotReadyException",
        429,
        "Model for endpoint {endpoint_name} variant {variant} is not ready for inference yet.",
    ),
)
"""Fault, error code, HTTP status and message; codes and statuses are from botocore's model."""

_INVOKE, _STREAM, _ASYNC = (
    "InvokeEndpoint",
    "InvokeEndpointWithResponseStream",
    "InvokeEndpointAsync",
)
_TYPE_HEADERS: Final = {
    _INVOKE: ("content-type", "accept"),
    _STREAM: ("content-type", "x-amzn-sagemaker-accept"),
    _ASYNC: ("x-amzn-sagemaker-content-type", "x-amzn-sagemaker-accept"),
}
"""By operation: the headers of the body's content type, and of the accepted one."""


class Runtime:
    """Answers the three operations of ``sagemaker-runtime``."""

    def __init__(
        self, *, models: HostedModels, control: ControlPlane, faults: Faults, clock: Clock
    ) -> None:
        self._operations = operations_of("sagemaker-runtime")
        self._models = models
        self._control = control
        self._faults = faults
        self.jobs = AsyncInference(
            control=control, faults=faults, clock=clock, invoke=self._invoke_async
        )

    def answer(self, operation: str, request: Request, connection: Connection) -> Response:
        """Answer one request that was found to be well signed.

        Raises:
            AwsError: The service would answer with an error.
        """
        if len(request.body) > PAYLOAD_LIMIT:
            message = f"HTTP content length exceeded {PAYLOAD_LIMIT} bytes."
            return Response(
                status=413,
                headers=(("Content-Type", "application/json"),),
                body=json.dumps({"message": message}).encode(),
            )
        _check_limits(self._operations.model.operation_model(operation), request)
        path = self._operations.path_parameters(operation, request.path)
        hosted = self._hosted(unquote(path["EndpointName"]), request)
        self._fail_on_purpose(hosted)
        if operation == _ASYNC:
            response = self.jobs.accept(hosted, request)
        elif operation == _STREAM:
            response = self._stream(hosted, request, connection)
        else:
            response = self._whole(hosted, request)
        if stall := self._faults.take("stall", hosted.endpoint_name):
            held = float("inf") if stall.value is None else stall.value
            return dataclasses.replace(response, held=held)
        return response

    def _whole(self, hosted: HostedModel, request: Request) -> Response:
        answer = self._invoke(hosted, request, request.body, _INVOKE)
        headers = [("Content-Type", answer.content_type)]
        if request.header("x-amzn-sagemaker-session-id") == "NEW_SESSION":
            session = f"{uuid.uuid4()}; Expires=2099-01-01T00:00:00Z"
            headers.append(("X-Amzn-SageMaker-New-Session-Id", session))
        body = self._body(hosted, answer)
        if cut := self._faults.take("cut-after-bytes", hosted.endpoint_name):
            data = cut_after_bytes((body,), *cut.value)
            return dataclasses.replace(_ok(hosted, answer, headers, data), length=len(body))
        return _ok(hosted, answer, headers, body)

    def _stream(self, hosted: HostedModel, request: Request, connection: Connection) -> Response:
        answer = self._invoke(hosted, request, request.body, _STREAM)
        headers = [
            ("Content-Type", CONTENT_TYPE),
            ("X-Amzn-SageMaker-Content-Type", answer.content_type),
        ]
        data = stream_body(
            answer.parts,
            faults=self._faults,
            endpoint_name=hosted.endpoint_name,
            pause=connection.pause,
        )
        return _ok(hosted, answer, headers, data)

    def _invoke_async(
        self, hosted: HostedModel, request: Request, body: bytes, inference_id: str
    ) -> bytes:
        answer = self._invoke(hosted, request, body, _ASYNC, inference_id=inference_id)
        return self._body(hosted, answer)

    def _invoke(
        self,
        hosted: HostedModel,
        request: Request,
        body: bytes,
        operation: str,
        *,
        inference_id: str | None = None,
    ) -> ModelAnswer:
        type_header, accept_header = _TYPE_HEADERS[operation]
        headers = {
            "Accept": request.header(accept_header),
            "X-Amzn-SageMaker-Custom-Attributes": request.header(
                "x-amzn-sagemaker-custom-attributes"
            ),
        }
        fault = self._faults.take("model-error", hosted.endpoint_name)
        try:
            return self._models.invoke(
                hosted,
                body,
                content_type=request.header(type_header) or "",
                headers={name: value for name, value in headers.items() if value},
                operation=operation,
                inference_id=inference_id or request.header("x-amzn-sagemaker-inference-id"),
                failure=ModelFailure(*fault.value) if fault else None,
            )
        except ModelFailure as failure:
            raise self._model_error(hosted, failure) from failure

    def _body(self, hosted: HostedModel, answer: ModelAnswer) -> bytes:
        try:
            return b"".join(answer.parts)
        except Exception as error:
            # The model is a generator: it fails when it is read.
            raise self._model_error(hosted, failure_of(error)) from error

    def _model_error(self, hosted: HostedModel, failure: ModelFailure) -> AwsError:
        control = self._control
        account, region = control.account_id, control.region
        group = f"/aws/sagemaker/Endpoints/{hosted.endpoint_name}"
        is_client_error = failure.status in _CLIENT_ERRORS
        side = "client" if is_client_error else "server"
        return AwsError(
            "ModelError",
            f'Received {side} error ({failure.status}) from primary with message "'
            f'{failure.message}". See https://{region}.console.aws.amazon.com/'
            f"cloudwatch/home?region={region}#logEventViewer:group={group} in account {account} "
            "for more information.",
            424,
            {
                "ErrorCode": (
                    "CLIENT_ERROR_FROM_MODEL" if is_client_error else "INTERNAL_FAILURE_FROM_MODEL"
                ),
                "LogStreamArn": (
                    f"arn:{control.partition}:logs:{region}:{account}:log-group:{group}"
                ),
                "OriginalMessage": failure.message,
                "OriginalStatusCode": failure.status,
            },
        )

    def _hosted(self, endpoint_name: str, request: Request) -> HostedModel:
        status = self._control.endpoint_status(endpoint_name)
        name = f"Endpoint {endpoint_name} of account {self._control.account_id}"
        if status is None:
            raise AwsError("ValidationError", f"{name} not found.")
        if status != "InService":
            raise AwsError("ValidationError", f"{name} is not InService: {status}.")
        hosted = self._models.get(endpoint_name)
        if hosted is None:
            raise AwsError(
                "ValidationError",
                f"Endpoint {endpoint_name} has no model in the simulator: use deploy().",
            )
        variant = request.header("x-amzn-sagemaker-target-variant")
        if variant not in (None, hosted.variant):
            raise AwsError(
                "ValidationError", f"Variant {variant} not found for Request {endpoint_name}."
            )
        return hosted

    def _fail_on_purpose(self, hosted: HostedModel) -> None:
        for kind, code, status, message in _SERVICE_ERRORS:
            if fault := self._faults.take(kind, hosted.endpoint_name):
                text = message.format(endpoint_name=hosted.endpoint_name, variant=hosted.variant)
                raise AwsError(code, text, status, retry_after=fault.value)


def _ok(
    hosted: HostedModel,
    answer: ModelAnswer,
    headers: list[tuple[str, str]],
    body: bytes | Iterable[bytes],
) -> Response:
    headers = [
        ("x-amzn-RequestId", str(uuid.uuid4())),
        ("x-Amzn-Invoked-Production-Variant", hosted.variant),
        *headers,
    ]
    if answer.custom_attributes is not None:
        headers.append(("X-Amzn-SageMaker-Custom-Attributes", answer.custom_attributes))
    return Response(status=200, headers=tuple(headers), body=body)


def _check_limits(operation: OperationModel, request: Request) -> None:
    """Check headers against the lengths and numbers of botocore's model."""
    problems = []
    shape = operation.input_shape
    for name, member in shape.members.items() if shape is not None else ():
        if member.serialization.get("location") != "header":
            continue
        value = request.header(member.serialization["name"].lower())
        if value is None:
            continue
        limits = member.metadata
        is_integer = member.type_name == "integer"
        if is_integer and not value.isdigit():
            problems.append((name, "Member must be a number"))
            continue
        size = int(value) if is_integer else len(value)
        what = f"Member must have {'value' if is_integer else 'length'}"
        if "max" in limits and size > limits["max"]:
            problems.append((name, f"{what} less than or equal to {limits['max']}"))
        if "min" in limits and size < limits["min"]:
            problems.append((name, f"{what} greater than or equal to {limits['min']}"))
        if not is_integer and not value.isascii():
            problems.append((name, "Member must satisfy regular expression pattern: \\p{ASCII}*"))
    if operation.name == _ASYNC and len(request.body) > ASYNC_BODY_LIMIT:
        limit = f"Member must have length less than or equal to {ASYNC_BODY_LIMIT}"
        problems.append(("Body", limit))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        details = "; ".join(
            f"Value at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: {why}"
            for name, why in problems
        )
        raise AwsError("ValidationError", count + details)
