"""InvokeEndpointAsync: accepted at once, answered later by an object in S3."""

from __future__ import annotations

import heapq
import itertools
import json
import secrets
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from sm_private_client.testing.aws_errors import AwsError
from sm_private_client.testing.hosting import ModelFailure, failure_of
from sm_private_client.testing.http_connection import Response

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.hosting import Hosted, ModelAnswer
    from sm_private_client.testing.http_connection import Request

__all__ = ["AsyncInference", "Job", "JobQueue"]

_THREADS: Final = 8
_STOP_TIMEOUT: Final = 5.0
"""Seconds; a model that still computes then is left to its daemon thread."""


class JobQueue:
    """Runs what is put into it when its time has come, the earliest first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def put(self, run: Callable[[], None], *, delay: float) -> None:
        """Has ``run`` called in a thread of the queue, after so many seconds."""
        with self._changed:
            entry = (time.monotonic() + delay, next(self._numbers), run)
            heapq.heappush(self._waiting, entry)
            if len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._work, name="private-link-jobs", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Forgets what waits and ends the threads."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def stopped(self) -> bool:
        """Whether the queue was stopped, so that what still runs is to leave no trace."""
        return self._stopped

    def _work(self) -> None:
        while (run := self._next()) is not None:
            run()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                if self._waiting and self._waiting[0][0] <= now:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
            return None


REQUEST_TTL: Final = 21_600
INVOCATION_TIMEOUT: Final = 900
"""Seconds; SageMaker Runtime API reference, InvokeEndpointAsync, the defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """An object in S3.

    Attributes:
        bucket: The bucket.
        key: The key.
    """

    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> Place:
        """Reads ``s3://bucket/key``."""
        bucket, _, key = uri.partition("://")[2].partition("/")
        return cls(bucket=bucket, key=key)

    def below(self, *names: str) -> Place:
        """Gives the place of an object whose key starts with this one's."""
        labels = (self.key.strip("/"), *names)
        return Place(bucket=self.bucket, key="/".join(label for label in labels if label))

    @property
    def uri(self) -> str:
        """As ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One accepted call.

    Attributes:
        request: What came in.
        inference_id: The caller's, or one made up.
        output: Where the answer goes.
        failure: Where the error goes.
        accepted: When it was accepted, UTC without a zone.
    """

    request: Request
    inference_id: str
    output: Place
    failure: Place
    accepted: dt.datetime


class AsyncInference:
    """Accepts asynchronous calls, and runs them.

    Args:
        control: Holds S3.
        faults: ``delay_jobs``.
        clock: The time that ages and durations are judged by, UTC without a zone.
        invoke: Calls the model with a job's request and the body that belongs to it.
        explain: Words a model's failure.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        faults: Faults,
        clock: Callable[[], dt.datetime],
        invoke: Callable[[Hosted, Job, bytes], ModelAnswer],
        explain: Callable[[Hosted, ModelFailure], AwsError],
    ) -> None:
        self._control = control
        self._faults = faults
        self._clock = clock
        self._invoke = invoke
        self._explain = explain
        self._queue = JobQueue()

    def accept(self, hosted: Hosted, request: Request) -> Response:
        """Answers 202 and leaves the call to the queue.

        Raises:
            Refusal: The inference endpoint is not an asynchronous one, or the input is missing
                or given twice.
        """
        if hosted.s3_output_path is None:
            raise AwsError(
                "ValidationError",
                f"Endpoint {hosted.endpoint_name} is not configured for asynchronous inference: "
                "use deploy(..., s3_output_path=...).",
            )
        location = request.header("x-amzn-sagemaker-inputlocation")
        if (location is None) == (not request.body):
            raise AwsError(
                "ValidationError", "Exactly one of InputLocation and Body must be given."
            )
        extension = request.header("x-amzn-sagemaker-s3outputpathextension") or ""
        name = request.header("x-amzn-sagemaker-filename")
        stem = name or secrets.token_hex(16)
        path = extension.strip("/")
        failures = hosted.s3_failure_path or hosted.s3_output_path
        job = Job(
            request=request,
            inference_id=request.header("x-amzn-sagemaker-inference-id") or str(uuid.uuid4()),
            output=Place.of(hosted.s3_output_path).below(path, name or f"{stem}.out"),
            failure=Place.of(failures).below(path, f"{stem}-error.out"),
            accepted=self._clock(),
        )
        delay = self._faults.take("delay-jobs", hosted.endpoint_name)
        self._queue.put(
            lambda: self._run(hosted, job),
            delay=cast("float", delay.value) if delay is not None else 0.0,
        )
        return Response(
            status=202,
            headers=(
                ("Content-Type", "application/json"),
                ("x-amzn-RequestId", str(uuid.uuid4())),
                ("X-Amzn-SageMaker-OutputLocation", job.output.uri),
                ("X-Amzn-SageMaker-FailureLocation", job.failure.uri),
            ),
            body=json.dumps({"InferenceId": job.inference_id}).encode(),
        )

    def stop(self) -> None:
        """Forgets what waits; what still runs leaves nothing in S3."""
        self._queue.stop()

    def _run(self, hosted: Hosted, job: Job) -> None:
        try:
            place, body = job.output, self._answer(hosted, job)
        except AwsError as refusal:
            place, body = job.failure, refusal.message.encode()
        if not self._queue.stopped:
            self._control.put_object(place.bucket, place.key, body)

    def _answer(self, hosted: Hosted, job: Job) -> bytes:
        waited = (self._clock() - job.accepted).total_seconds()
        ttl = _seconds(job.request, "x-amzn-sagemaker-requestttlseconds", REQUEST_TTL)
        if waited > ttl:
            raise AwsError("ValidationError", f"The request expired: it waited more than {ttl} s.")
        started = self._clock()
        answer = self._invoke(hosted, job, self._input(job))
        try:
            body = b"".join(answer.parts)
        except Exception as error:
            # The model is a generator: it fails where it is read.
            raise self._explain(hosted, failure_of(error)) from error
        limit = _seconds(
            job.request, "x-amzn-sagemaker-invocationtimeoutseconds", INVOCATION_TIMEOUT
        )
        if (self._clock() - started).total_seconds() > limit:
            raise AwsError(
                "ModelError", f"The invocation timed out: the model took more than {limit} s."
            )
        return body

    def _input(self, job: Job) -> bytes:
        location = job.request.header("x-amzn-sagemaker-inputlocation")
        if location is None:
            return job.request.body
        place = Place.of(location)
        body = self._control.get_object(place.bucket, place.key)
        if body is None:
            raise AwsError("ValidationError", f"The input {location} does not exist.")
        return body


def _seconds(request: Request, header: str, default: int) -> int:
    value = request.header(header)
    return int(value) if value is not None else default
