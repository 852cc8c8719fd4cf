"""The limits of ``sagemaker-runtime``, checked as the service words them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sm_private_client.testing.messages import Response
from sm_private_client.testing.refusals import Refusal

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from sm_private_client.testing.messages import Request

__all__ = ["check_limits", "too_large"]

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
        raise Refusal("ValidationError", count + details)
