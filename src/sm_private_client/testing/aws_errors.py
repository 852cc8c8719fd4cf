"""Errors as AWS words them on the wire, in each protocol's shape."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from sm_private_client.testing.http_connection import Response

__all__ = [
    "UNKNOWN_OPERATION",
    "AwsError",
    "denied",
    "json_error",
    "other_service_error",
    "rest_error",
    "xml_error",
]

UNKNOWN_OPERATION = Response(
    status=404,
    headers=(("Content-Type", "application/xml"),),
    body=b"<UnknownOperationException/>\n",
)
"""What AWS's fronts answer to a host or a target that is not theirs."""


class AwsError(Exception):
    """A request is answered with an error.

    Args:
        code: The error code.
        message: The message.
        rest_status: The HTTP status of REST services; the JSON protocol's is 400 for the
            client's errors.
        document: More members of the error's document.
        retry_after: ``Retry-After``, seconds or an HTTP date; left out where ``None``.
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
    """Gives the error of a call that nobody allowed, under the name that a service has for it."""
    if service == "ec2":
        said = f"You are not authorized to perform this operation. {message}"
        return AwsError("UnauthorizedOperation", said, 403)
    short = service in ("sts", "iam", "s3")
    return AwsError("AccessDenied" if short else "AccessDeniedException", message, 403)


def json_error(refusal: AwsError) -> Response:
    """Gives the answer of a service of the JSON protocol, such as ``sagemaker``."""
    status = refusal.rest_status if refusal.rest_status >= 500 else 400  # noqa: PLR2004 - where server errors begin
    document = {"__type": refusal.code, "message": refusal.message, **refusal.document}
    return Response(
        status=status,
        headers=(
            ("Content-Type", "application/x-amz-json-1.1"),
            ("x-amzn-RequestId", str(uuid.uuid4())),
            *refusal.headers,
        ),
        body=json.dumps(document).encode(),
    )


def rest_error(refusal: AwsError) -> Response:
    """Gives the answer of a REST-JSON service, such as ``sagemaker-runtime``."""
    return Response(
        status=refusal.rest_status,
        headers=(
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", str(uuid.uuid4())),
            ("x-amzn-ErrorType", refusal.code),
            *refusal.headers,
        ),
        body=json.dumps({"Message": refusal.message, **refusal.document}).encode(),
    )


def xml_error(service: str, refusal: AwsError) -> Response:
    """Gives the answer of an XML service: ``ec2``'s shape, ``s3``'s, or the query protocol's."""
    error = f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
    request_id = str(uuid.uuid4())
    if service == "ec2":
        text = (
            f"<Response><Errors><Error>{error}</Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    elif service == "s3":
        text = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    else:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return Response(
        status=refusal.rest_status,
        headers=(("Content-Type", "text/xml;charset=UTF-8"), *refusal.headers),
        body=b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode(),
    )


def other_service_error(service: str, refusal: AwsError, *, is_json: bool) -> Response:
    """Gives the answer of a service beside SageMaker in its protocol's shape."""
    if is_json:
        return json_error(refusal)
    return rest_error(refusal) if service == "lambda" else xml_error(service, refusal)
