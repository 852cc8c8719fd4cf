"""Submission of an asynchronous call: input inline or in S3, checked before anything is sent."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import botocore

from sm_private_client.errors import ConfigurationError, JobError, PayloadError
from sm_private_client.inference.codecs import decode as decode_by_type
from sm_private_client.inference.job_wait import PollSchedule
from sm_private_client.inference.jobs import INVOCATION_TIMEOUT, MARGIN, REQUEST_TTL, AsyncJob
from sm_private_client.inference.operations import BODY_LIMITS, bytes_of
from sm_private_client.inference.s3 import S3Location, checked_extra_args

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_private_client.inference.operations import OperationResult, RuntimeOperation
    from sm_private_client.inference.s3 import S3Objects

__all__ = ["INLINE_LIMIT", "INPUT_LIMIT", "submit"]

INLINE_LIMIT: Final = BODY_LIMITS["InvokeEndpointAsync"]
"""Bytes of an input that is sent with the call."""

INPUT_LIMIT: Final = 1024**3
"""Bytes of an input in S3 (SageMaker developer guide, "Asynchronous inference": 1 GB)."""

_SUFFIXES: Final = {
    "application/json": ".json",
    "application/jsonlines": ".jsonl",
    "application/vnd.apache.arrow.stream": ".arrows",
    "application/x-npy": ".npy",
    "application/x-parquet": ".parquet",
    "text/csv": ".csv",
    "text/plain": ".txt",
}


def submit(
    send: Callable[[Mapping[str, Any]], OperationResult],
    params: Mapping[str, Any],
    *,
    operation: RuntimeOperation,
    s3: S3Objects,
    body: bytes | bytearray | memoryview | None = None,
    input_location: str | None = None,
    s3_prefix: str | None = None,
    extra_args: Mapping[str, Any] | None = None,
    decode: Callable[[bytes, str], Any] = decode_by_type,
    schedule: PollSchedule | None = None,
) -> AsyncJob:
    """Send an asynchronous call and return its job.

    An input of up to 128,000 bytes is sent with the call, if the installed botocore can do that.
    Any other input is first written under ``s3_prefix``, with a name of its own. Nobody deletes it:
    a lifecycle rule of the bucket can.

    Args:
        send: Sends InvokeEndpointAsync, retries included.
        params: Its members by botocore's names, without the input; ``None`` is not given.
        operation: InvokeEndpointAsync as the installed botocore has it.
        s3: Writes the input and reads the answer.
        body: The input; or
        input_location: an input that is in S3 already: ``s3://bucket/key``, of any size.
        s3_prefix: ``s3://bucket/prefix/`` for inputs.
        extra_args: For the upload, as boto3's ``ExtraArgs``: ``ServerSideEncryption``,
            ``SSEKMSKeyId``, ``Tagging``, …
        decode: See ``AsyncJob``; by content type by default.
        schedule: When to check for the answer.

    Raises:
        PayloadError: The input is not bytes, too large, or too large without ``s3_prefix``;
            nothing was sent.
        ConfigurationError: A member, location or upload argument is out of its limits, or not
            exactly one input is given; nothing was sent.
        ClientError, BotoCoreError: S3 refused the upload, or SageMaker the call.
        JobError: SageMaker accepted the call without an output location.
    """
    members = {name: value for name, value in params.items() if value is not None}
    if (body is None) == (input_location is None) or members.keys() & {"Body", "InputLocation"}:
        raise ConfigurationError(
            "An asynchronous call takes exactly one input; nothing was sent.",
            remedy="give either the data or its location in S3.",
        )
    upload_args = checked_extra_args(extra_args)
    prefix = None
    if s3_prefix is not None:
        prefix = S3Location.parse(s3_prefix, name="s3_prefix", needs_key=False)
    payload = None if body is None else _checked(body)
    content_type = members.get("ContentType")
    target = None
    if payload is not None and not _is_inline(payload, operation):
        target = _target(payload, prefix, operation, content_type)
        input_location = str(target)
    if input_location is not None:
        members["InputLocation"] = input_location
    operation.head(members)  # raises here, before an upload
    if target is not None and payload is not None:
        s3.put(target, payload, content_type=content_type, extra_args=upload_args)
    elif payload is not None:
        members["Body"] = payload
    schedule = schedule or PollSchedule()
    output = send(members).members
    return AsyncJob(
        output_location=_output_location(output, members["EndpointName"]),
        failure_location=output.get("FailureLocation"),
        s3=s3,
        decode=decode,
        endpoint_name=members["EndpointName"],
        inference_id=output.get("InferenceId"),
        input_location=input_location,
        submitted_at=schedule.now(),
        time_limit=members.get("RequestTTLSeconds", REQUEST_TTL)
        + members.get("InvocationTimeoutSeconds", INVOCATION_TIMEOUT)
        + MARGIN,
        accept=members.get("Accept"),
        schedule=schedule,
    )


def _checked(body: object) -> bytes:
    payload = bytes_of(body, "The input", remedy="encode it first.")
    if len(payload) > INPUT_LIMIT:
        raise PayloadError(
            f"The input has {len(payload):,} bytes; asynchronous inference takes {INPUT_LIMIT:,}. "
            "Nothing was sent.",
            cause="SageMaker's developer guide sets this limit of 1 GB.",
            remedy="split it, or use batch transform.",
        )
    return payload


def _is_inline(payload: bytes, operation: RuntimeOperation) -> bool:
    return len(payload) <= INLINE_LIMIT and "Body" in operation.input_members


def _target(
    payload: bytes,
    prefix: S3Location | None,
    operation: RuntimeOperation,
    content_type: str | None,
) -> S3Location:
    """Return the location for an input."""
    if prefix is not None:
        bare_type = str(content_type).partition(";")[0].strip().lower()
        return prefix.below(f"{uuid.uuid4()}{_SUFFIXES.get(bare_type, '.bin')}")
    remedy = (
        "pass s3_prefix='s3://bucket/prefix/': you need s3:PutObject there, and the role of the "
        "inference endpoint s3:GetObject."
    )
    if "Body" not in operation.input_members:
        raise ConfigurationError(
            f"{operation.name} needs its input in S3, and no s3_prefix is given; nothing was sent.",
            cause=f"botocore {botocore.__version__} does not know its member Body yet.",
            remedy=(remedy, "or install a newer boto3."),
        )
    raise PayloadError(
        f"The input has {len(payload):,} bytes and no s3_prefix is given; {operation.name} takes "
        f"{INLINE_LIMIT:,} in the request. Nothing was sent.",
        cause="SageMaker Runtime's API reference sets this limit for Body.",
        remedy=remedy,
    )


def _output_location(output: Mapping[str, Any], endpoint_name: str) -> str:
    location = output.get("OutputLocation")
    if not location:
        raise JobError(
            f"{endpoint_name} accepted the call and did not say where its output goes.",
            possible_causes=("something between here and SageMaker answered instead of it",),
            remedy="look for the output below S3OutputPath of the inference endpoint.",
        )
    return str(location)
