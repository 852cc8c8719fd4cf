"""The front of ``sagemaker-runtime``: answers, errors and headers as the service has them."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

from sm_private_client.testing.async_inference import AsyncInference, Job
from sm_private_client.testing.aws_errors import AwsError
from sm_private_client.testing.hosting import Hosted, ModelAnswer, ModelFailure, failure_of
from sm_private_client.testing.http_connection import Request, Response
from sm_private_client.testing.response_streams import CONTENT_TYPE, cut_after_bytes, stream_body

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable

    from botocore.model import OperationModel

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.hosting import HostedModels
    from sm_private_client.testing.http_connection import Connection, Request
    from sm_private_client.testing.operations import ServiceOperations
    from sm_private_client.testing.runtime_faults import (
        Cut,
        FailedModel,
        FaultKind,
        RetryAfter,
        Stall,
    )

__all__ = ["RuntimeFront", "check_limits", "too_large"]

PAYLOAD_LIMIT: Final = 25 * 1024 * 1024
"""Bytes; SageMaker quotas, InvokeEndpoint's payload (older pages: 6 MB)."""

ASYNC_BODY_LIMIT: Final = 128_000
"""Bytes; SageMaker Runtime API reference, InvokeEndpointAsync, Body."""


def too_large(request: Request) -> Response | None:
    """Gives the front's answer to a payload that is too large; ``None`` where it is not."""
    if len(request.body) <= PAYLOAD_LIMIT:
        return None
    message = f"HTTP content length exceeded {PAYLOAD_LIMIT} bytes."
    return Response(
        status=413,
        headers=(("Content-Type", "application/json"),),
        body=json.dumps({"message": message}).encode(),
    )


def check_limits(operation: OperationModel, request: Request) -> None:
    """Checks headers against the lengths and numbers of botocore's model."""
    broken = []
    shape = operation.input_shape
    for name, member in shape.members.items() if shape is not None else ():
        if member.serialization.get("location") != "header":
            continue
        value = request.header(member.serialization["name"].lower())
        if value is None:
            continue
        limits = member.metadata
        integer = member.type_name == "integer"
        if integer and not value.isdigit():
            broken.append((name, "Member must be a number"))
            continue
        size = int(value) if integer else len(value)
        what = "value" if integer else "length"
        if "max" in limits and size > limits["max"]:
            broken.append((name, f"Member must have {what} less than or equal to {limits['max']}"))
        if "min" in limits and size < limits["min"]:
            broken.append(
                (name, f"Member must have {what} greater than or equal to {limits['min']}")
            )
        if not integer and not value.isascii():
            broken.append((name, "Member must satisfy regular expression pattern: \\p{ASCII}*"))
    if operation.name == "InvokeEndpointAsync" and len(request.body) > ASYNC_BODY_LIMIT:
        limit = f"Member must have length less than or equal to {ASYNC_BODY_LIMIT}"
        broken.append(("Body", limit))
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected: "
        details = "; ".join(
            f"Value at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: {why}"
            for name, why in broken
        )
        raise AwsError("ValidationError", count + details)


_CLIENT_ERRORS: Final = range(400, 500)

_SERVICE_ERRORS: Final[tuple[tuple[FaultKind, str, int, str], ...]] = (
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
"""Fault, error code, HTTP status and message; the first two of each pair from botocore's model."""


class RuntimeFront:
    """Answers the three operations of ``sagemaker-runtime``.

    Args:
        operations: The service's operations.
        models: What is hosted.
        control: Says which inference endpoints there are, and holds S3.
        faults: What goes wrong.
        clock: The time, UTC without a zone.
        region: The region.
    """

    def __init__(
        self,
        *,
        operations: ServiceOperations,
        models: HostedModels,
        control: ControlPlane,
        faults: Faults,
        clock: Callable[[], dt.datetime],
        region: str,
    ) -> None:
        self._operations = operations
        self._models = models
        self._control = control
        self._faults = faults
        self._region = region
        self.jobs = AsyncInference(
            control=control,
            faults=faults,
            clock=clock,
            invoke=self._invoke_job,
            explain=self._model_error,
        )

    def answer(self, operation: str, request: Request, connection: Connection) -> Response:
        """Answers one request that was found to be well signed.

        Raises:
            Refusal: The service would answer with an error.
        """
        refused = too_large(request)
        if refused is not None:
            return refused
        check_limits(self._operations.operation(operation), request)
        path = self._operations.path_parameters(operation, request.path)
        hosted = self._hosted(unquote(path["EndpointName"]), request)
        self._fail_on_purpose(hosted)
        if operation == "InvokeEndpointAsync":
            response = self.jobs.accept(hosted, request)
        elif operation == "InvokeEndpointWithResponseStream":
            response = self._stream(hosted, request, connection)
        else:
            response = self._whole(hosted, request)
        if stall := self._faults.take("stall", hosted.endpoint_name):
            seconds = cast("Stall", stall.value).seconds
            held = float("inf") if seconds is None else seconds
            return dataclasses.replace(response, held=held)
        return response

    def _whole(self, hosted: Hosted, request: Request) -> Response:
        answer = self._invoke(
            hosted,
            request,
            request.body,
            operation="InvokeEndpoint",
            type_header="content-type",
            accept_header="accept",
        )
        headers = [*_headers(hosted, answer), ("Content-Type", answer.content_type)]
        if request.header("x-amzn-sagemaker-session-id") == "NEW_SESSION":
            expires = "2099-01-01T00:00:00Z"
            headers.append(
                ("X-Amzn-SageMaker-New-Session-Id", f"{uuid.uuid4()}; Expires={expires}")
            )
        try:
            body = b"".join(answer.parts)
        except Exception as error:
            # The model is a generator: it fails where it is read.
            raise self._model_error(hosted, failure_of(error)) from error
        if cut := self._faults.take("cut-after-bytes", hosted.endpoint_name):
            data = cut_after_bytes((body,), cast("Cut", cut.value))
            return dataclasses.replace(_ok(headers, data), length=len(body))
        return _ok(headers, body)

    def _stream(self, hosted: Hosted, request: Request, connection: Connection) -> Response:
        answer = self._invoke(
            hosted,
            request,
            request.body,
            operation="InvokeEndpointWithResponseStream",
            type_header="content-type",
            accept_header="x-amzn-sagemaker-accept",
        )
        headers = [
            *_headers(hosted, answer),
            ("Content-Type", CONTENT_TYPE),
            ("X-Amzn-SageMaker-Content-Type", answer.content_type),
        ]
        data = stream_body(
            answer.parts,
            faults=self._faults,
            endpoint_name=hosted.endpoint_name,
            pause=connection.pause,
        )
        return _ok(headers, data)

    def _fail_on_purpose(self, hosted: Hosted) -> None:
        for kind, code, status, message in _SERVICE_ERRORS:
            if fault := self._faults.take(kind, hosted.endpoint_name):
                raise AwsError(
                    code,
                    message.format(endpoint_name=hosted.endpoint_name, variant=hosted.variant),
                    status,
                    retry_after=cast("RetryAfter", fault.value),
                )

    def _hosted(self, endpoint_name: str, request: Request) -> Hosted:
        account = self._control.account_id
        status = self._control.endpoint_status(endpoint_name, self._region)
        if status is None:
            raise AwsError(
                "ValidationError", f"Endpoint {endpoint_name} of account {account} not found."
            )
        hosted = self._models.get(endpoint_name)
        if status != "InService":
            raise AwsError(
                "ValidationError",
                f"Endpoint {endpoint_name} of account {account} is not InService: {status}.",
            )
        if hosted is None:
            raise AwsError(
                "ValidationError",
                f"Endpoint {endpoint_name} has no model in the simulator: use deploy().",
            )
        variant = request.header("x-amzn-sagemaker-target-variant")
        if variant is not None and variant != hosted.variant:
            raise AwsError(
                "ValidationError",
                f"Variant {variant} not found for Request {endpoint_name}.",
            )
        return hosted

    def _invoke_job(self, hosted: Hosted, job: Job, body: bytes) -> ModelAnswer:
        return self._invoke(
            hosted,
            job.request,
            body,
            operation="InvokeEndpointAsync",
            type_header="x-amzn-sagemaker-content-type",
            accept_header="x-amzn-sagemaker-accept",
            inference_id=job.inference_id,
        )

    def _invoke(
        self,
        hosted: Hosted,
        request: Request,
        body: bytes,
        *,
        operation: str,
        type_header: str,
        accept_header: str,
        inference_id: str | None = None,
    ) -> ModelAnswer:
        headers = {}
        if accept := request.header(accept_header):
            headers["accept"] = accept
        if attributes := request.header("x-amzn-sagemaker-custom-attributes"):
            headers["custom-attributes"] = attributes
        fault = self._faults.take("model-error", hosted.endpoint_name)
        failed = cast("FailedModel", fault.value) if fault is not None else None
        try:
            return self._models.invoke(
                hosted,
                body,
                content_type=request.header(type_header) or "",
                headers=headers,
                operation=operation,
                inference_id=inference_id or request.header("x-amzn-sagemaker-inference-id"),
                failure=ModelFailure(failed.status, failed.message) if failed else None,
            )
        except ModelFailure as failure:
            raise self._model_error(hosted, failure) from failure

    def _model_error(self, hosted: Hosted, failure: ModelFailure) -> AwsError:
        account, region = self._control.account_id, self._region
        group = f"/aws/sagemaker/Endpoints/{hosted.endpoint_name}"
        client = failure.status in _CLIENT_ERRORS
        partition = self._control.partition
        return AwsError(
            "ModelError",
            f"Received {'client' if client else 'server'} error ({failure.status}) from primary "
            f'with message "{failure.message}". See https://{region}.console.aws.amazon.com/'
            f"cloudwatch/home?region={region}#logEventViewer:group={group} in account {account} "
            "for more information.",
            424,
            {
                "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if client else "INTERNAL_FAILURE_FROM_MODEL",
                "LogStreamArn": f"arn:{partition}:logs:{region}:{account}:log-group:{group}",
                "OriginalMessage": failure.message,
                "OriginalStatusCode": failure.status,
            },
        )


def _headers(hosted: Hosted, answer: ModelAnswer) -> list[tuple[str, str]]:
    headers = [("x-Amzn-Invoked-Production-Variant", hosted.variant)]
    if answer.custom_attributes is not None:
        headers.append(("X-Amzn-SageMaker-Custom-Attributes", answer.custom_attributes))
    return headers


def _ok(headers: list[tuple[str, str]], body: bytes | Iterable[bytes]) -> Response:
    return Response(
        status=200, headers=(("x-amzn-RequestId", str(uuid.uuid4())), *headers), body=body
    )
