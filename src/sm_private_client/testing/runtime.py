"""The front of ``sagemaker-runtime``: limits, errors and headers as the service has them."""

from __future__ import annotations

import json
import secrets
import uuid
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from sm_private_client.testing import eventstream
from sm_private_client.testing.hosting import Hosted, ModelAnswer, ModelFailure
from sm_private_client.testing.refusals import Refusal
from sm_private_client.testing.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from botocore.model import OperationModel

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.hosting import HostedModels
    from sm_private_client.testing.operations import ServiceOperations

__all__ = ["RuntimeFront"]

PAYLOAD_LIMIT: Final = 25 * 1024 * 1024
"""Bytes; SageMaker quotas, InvokeEndpoint's payload (older pages: 6 MB)."""

ASYNC_BODY_LIMIT: Final = 128_000
"""Bytes; SageMaker Runtime API reference, InvokeEndpointAsync, Body."""

_PART: Final = 64 * 1024
_CLIENT_ERRORS: Final = range(400, 500)


class RuntimeFront:
    """Answers the three operations of ``sagemaker-runtime``.

    Args:
        operations: The service's operations.
        models: What is hosted.
        control: Says which inference endpoints there are, and holds S3.
    """

    def __init__(
        self, *, operations: ServiceOperations, models: HostedModels, control: ControlPlane
    ) -> None:
        self._operations = operations
        self._models = models
        self._control = control

    def answer(self, operation: str, request: Request, region: str) -> Response:
        """Answers one request that was found to be well signed.

        Raises:
            Refusal: The service would answer with an error.
        """
        if len(request.body) > PAYLOAD_LIMIT:
            message = f"HTTP content length exceeded {PAYLOAD_LIMIT} bytes."
            return Response(
                status=413,
                headers=(("Content-Type", "application/json"),),
                body=json.dumps({"message": message}).encode(),
            )
        _check_limits(self._operations.operation(operation), request)
        path = self._operations.path_parameters(operation, request.path)
        endpoint_name = unquote(path["EndpointName"])
        hosted = self._hosted(endpoint_name, request, region)
        if operation == "InvokeEndpointAsync":
            return self._accept(hosted, request, region)
        streams = operation == "InvokeEndpointWithResponseStream"
        accept = "x-amzn-sagemaker-accept" if streams else "accept"
        answer = self._invoke(
            hosted, request.body, request, region, type_header="content-type", accept_header=accept
        )
        headers = [("x-Amzn-Invoked-Production-Variant", hosted.variant)]
        if answer.custom_attributes is not None:
            headers.append(("X-Amzn-SageMaker-Custom-Attributes", answer.custom_attributes))
        if streams:
            headers.append(("Content-Type", eventstream.CONTENT_TYPE))
            headers.append(("X-Amzn-SageMaker-Content-Type", answer.content_type))
            return _ok(headers, _events(answer.parts))
        headers.append(("Content-Type", answer.content_type))
        if request.header("x-amzn-sagemaker-session-id") == "NEW_SESSION":
            expires = "2099-01-01T00:00:00Z"
            headers.append(
                ("X-Amzn-SageMaker-New-Session-Id", f"{uuid.uuid4()}; Expires={expires}")
            )
        try:
            body = b"".join(answer.parts)
        except Exception as error:
            # The model is a generator: it fails where it is read.
            raise self._model_error(hosted, _failure(error), region) from error
        return _ok(headers, body)

    def _hosted(self, endpoint_name: str, request: Request, region: str) -> Hosted:
        account = self._control.account_id
        status = self._control.endpoint_status(endpoint_name, region)
        if status is None:
            raise Refusal(
                "ValidationError", f"Endpoint {endpoint_name} of account {account} not found."
            )
        hosted = self._models.get(endpoint_name)
        if status != "InService":
            raise Refusal(
                "ValidationError",
                f"Endpoint {endpoint_name} of account {account} is not InService: {status}.",
            )
        if hosted is None:
            raise Refusal(
                "ValidationError",
                f"Endpoint {endpoint_name} has no model in the simulator: use deploy().",
            )
        variant = request.header("x-amzn-sagemaker-target-variant")
        if variant is not None and variant != hosted.variant:
            raise Refusal(
                "ValidationError",
                f"Variant {variant} not found for Request {endpoint_name}.",
            )
        return hosted

    def _invoke(
        self,
        hosted: Hosted,
        body: bytes,
        request: Request,
        region: str,
        *,
        type_header: str,
        accept_header: str,
    ) -> ModelAnswer:
        headers = {}
        if accept := request.header(accept_header):
            headers["accept"] = accept
        if attributes := request.header("x-amzn-sagemaker-custom-attributes"):
            headers["custom-attributes"] = attributes
        content_type = request.header(type_header) or ""
        try:
            return self._models.invoke(hosted, body, content_type=content_type, headers=headers)
        except ModelFailure as failure:
            raise self._model_error(hosted, failure, region) from failure

    def _accept(self, hosted: Hosted, request: Request, region: str) -> Response:
        location = request.header("x-amzn-sagemaker-inputlocation")
        if (location is None) == (not request.body):
            raise Refusal("ValidationError", "Exactly one of InputLocation and Body must be given.")
        body: bytes | None = request.body
        if location is not None:
            parts = urlsplit(location)
            body = self._control.get_object(parts.netloc, parts.path.lstrip("/"))
        inference_id = request.header("x-amzn-sagemaker-inference-id") or str(uuid.uuid4())
        target = urlsplit(hosted.s3_output_path)
        prefix = target.path.strip("/")
        stem = f"{prefix}/{secrets.token_hex(16)}" if prefix else secrets.token_hex(16)
        output, failure = f"{stem}.out", f"{stem}-error.out"
        try:
            if body is None:
                raise ModelFailure(404, f"The input {location} does not exist.")
            answer = self._invoke(
                hosted,
                body,
                request,
                region,
                type_header="x-amzn-sagemaker-content-type",
                accept_header="x-amzn-sagemaker-accept",
            )
            self._control.put_object(target.netloc, output, b"".join(answer.parts))
        except (ModelFailure, Refusal) as error:
            self._control.put_object(target.netloc, failure, str(error).encode())
        return Response(
            status=202,
            headers=(
                ("Content-Type", "application/json"),
                ("x-amzn-RequestId", str(uuid.uuid4())),
                ("X-Amzn-SageMaker-OutputLocation", f"s3://{target.netloc}/{output}"),
                ("X-Amzn-SageMaker-FailureLocation", f"s3://{target.netloc}/{failure}"),
            ),
            body=json.dumps({"InferenceId": inference_id}).encode(),
        )

    def _model_error(self, hosted: Hosted, failure: ModelFailure, region: str) -> Refusal:
        account = self._control.account_id
        group = f"/aws/sagemaker/Endpoints/{hosted.endpoint_name}"
        client = failure.status in _CLIENT_ERRORS
        partition = self._control.partition
        return Refusal(
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


def _ok(headers: list[tuple[str, str]], body: bytes | Iterable[bytes]) -> Response:
    return Response(
        status=200, headers=(("x-amzn-RequestId", str(uuid.uuid4())), *headers), body=body
    )


def _events(parts: Iterable[bytes]) -> Iterator[bytes]:
    try:
        for part in parts:
            for start in range(0, len(part), _PART):
                yield eventstream.encode_event("PayloadPart", part[start : start + _PART])
    except Exception as error:  # noqa: BLE001 - whatever a user's model raises breaks the stream
        document = {"Message": _failure(error).message, "ErrorCode": "StreamBroken"}
        yield eventstream.encode_exception("ModelStreamError", json.dumps(document).encode())


def _failure(error: Exception) -> ModelFailure:
    if isinstance(error, ModelFailure):
        return error
    return ModelFailure(500, f"{type(error).__name__}: {error}")


def _check_limits(operation: OperationModel, request: Request) -> None:
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
        raise Refusal("ValidationError", count + details)
