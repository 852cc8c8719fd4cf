"""What is said where an asynchronous job gave no result; never what was in its objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import JobError, JobFailedError, JobTimeoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.inference.s3 import Look

__all__ = ["cancelled_wait", "failed", "timed_out"]

_CONTAINER_STATUS: Final = re.compile(rb"Received (?:client|server) error \((\d{1,3})\)")
"""SageMaker's own words, in which the status is the only part that cannot be anybody's data."""


def failed(name: str, failure_location: str | None, failure: bytes) -> JobFailedError:
    """Says that a job wrote a failure object, which it describes and does not show."""
    said = _CONTAINER_STATUS.search(failure)
    status = f" The container answered {said[1].decode()}." if said else ""
    return JobFailedError(
        f"{name} failed.{status} The failure object at {failure_location} has "
        f"{len(failure):,} bytes; they may hold data of yours and are not shown.",
        possible_causes=(
            "the model refused the input or raised",
            "the model took longer than InvocationTimeoutSeconds",
            "the request was queued for longer than RequestTTLSeconds",
            "SageMaker could not read the input",
        ),
        remedy="read it with job.failure(), and the container's log in CloudWatch.",
    )


def timed_out(
    name: str,
    *,
    output_location: str,
    failure_location: str | None,
    seconds: float,
    looks: Sequence[Look],
) -> JobTimeoutError:
    """Says that neither object was there in time, what the last looks saw, and how to wait on."""
    places = output_location
    again = f"output_location={output_location!r}"
    if failure_location is not None:
        places += f" and no failure at {failure_location}"
        again += f", failure_location={failure_location!r}"
    causes, remedies = ["the job is still queued or running"], []
    for look in looks:
        if look.state == "unreachable":
            causes.append(f"S3 did not answer the last look at {look.location} ({look.why})")
            remedies.append("check the way to S3 from here: its VPC endpoint, routes and DNS.")
            break
        if look.state == "denied":
            causes.append(
                f"S3 answered the last look at {look.location} with {look.why}: without the "
                "permission s3:ListBucket it does so for what is not there yet, and without "
                "s3:GetObject for what is"
            )
            remedies.append(
                "allow s3:GetObject on both objects and s3:ListBucket on their buckets."
            )
            break
    if failure_location is None:
        causes.append("the job failed, and its inference endpoint has no S3FailurePath to say so")
        remedies.append("set S3FailurePath in the AsyncInferenceConfig of the inference endpoint.")
    remedies.append(
        "wait on with job.result(timeout=...), or in another process with "
        f"AsyncJob.from_locations({again})."
    )
    return JobTimeoutError(
        f"{name} wrote nothing in {seconds:g} s of waiting: there is no output at {places}.",
        possible_causes=causes,
        remedy=remedies,
    )


def cancelled_wait(name: str) -> JobError:
    """Says that ``cancel_wait`` ended a wait."""
    return JobError(
        f"Waiting for {name} was cancelled.",
        cause="cancel_wait() was called; the job itself goes on.",
        remedy="wait anew with job.result().",
    )
