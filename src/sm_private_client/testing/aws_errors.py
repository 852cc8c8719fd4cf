"""Errors as AWS words them on the wire, in each protocol's shape."""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus
from xml.sax.saxutils import escape

from sm_private_client.testing.http_connection import Response

__all__ = [
    "UNKNOWN_OPERATION",
    "AwsError",
    "denied",
    "json_error",
    "other_service_error",
    "rest_error",
    "unsupported",
]

UNKNOWN_OPERATION = Response(
    status=404,
    headers=(("Content-Type", "application/xml"),),
    body=b"<UnknownOperationException/>\n",
)
"""What AWS answers to a host or a target that is not the service's."""


class AwsError(Exception):
    """An error that a request is answered with.

    Args:
        code: The error code.
        message: The message.
        rest_status: The HTTP status of REST services; the JSON protocol's is 400 for the
            client's errors.
        document: More members of the error's document.
        retry_after: ``Retry-After``, seconds or an HTTP date; ``None`` leaves it out.
    """

    def __init__(
        self,
        code: str,
        message: str,
        rest_status: int = 400,
        document: dict[str, object] | None = None,
        *,
        retry_after: float | str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.rest_status = rest_status
        self.document = document or {}
        self.retry_after = retry_after

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """More headers of the answer."""
        if self.retry_after is None:
            return ()
        value = self.retry_after
        return (("Retry-After", value if isinstance(value, str) else f"{value:g}"),)


def denied(service: str, message: str) -> AwsError:
    """Return the error of a call that nobody allowed, by the name that a service has for it."""
    if service == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
        return AwsError("UnauthorizedOperation", message, 403)
    short = service in ("sts", "iam", "s3")
    return AwsError("AccessDenied" if short else "AccessDeniedException", message, 403)


def unsupported(operation: str) -> AwsError:
    """Return the error of an operation that the simulator does not play."""
    return AwsError("UnsupportedOperation", f"The simulator does not play {operation}.")


def json_error(error: AwsError) -> Response:
    """Return the answer of a service of the JSON protocol, such as ``sagemaker``."""
    is_server_error = error.rest_status >= HTTPStatus.INTERNAL_SERVER_ERROR
    document = {"__type": error.code, "message": error.message, **error.document}
    return Response(
        status=error.rest_status if is_server_error else 400,
        headers=(
            ("Content-Type", "application/x-amz-json-1.1"),
            ("x-amzn-RequestId", str(uuid.uuid4())),
            *error.headers,
        ),
        body=json.dumps(document).encode(),
    )


def rest_error(error: AwsError) -> Response:
    """Return the answer of a REST-JSON service, such as ``sagemaker-runtime``."""
    return Response(
        status=error.rest_status,
        headers=(
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", str(uuid.uuid4())),
            ("x-amzn-ErrorType", error.code),
            *error.headers,
        ),
        body=json.dumps({"Message": error.message, **error.document}).encode(),
    )


def other_service_error(service: str, error: AwsError, *, is_json: bool) -> Response:
    """Return the answer of a service beside SageMaker in its protocol's shape."""
    if is_json:
        return json_error(error)
    return rest_error(error) if service == "lambda" else _xml_error(service, error)


def _xml_error(service: str, error: AwsError) -> Response:
    """Return the answer of an XML service: ``ec2``'s shape, ``s3``'s, or the query protocol's."""
    fields = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    request_id = str(uuid.uuid4())
    if service == "ec2":
        text = (
            f"<Response><Errors><Error>{fields}</Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    elif service == "s3":
        text = f"<Error>{fields}<RequestId>{request_id}</RequestId></Error>"
    else:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type>{fields}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return Response(
        status=error.rest_status,
        headers=(("Content-Type", "text/xml;charset=UTF-8"), *error.headers),
        body=b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode(),
    )
