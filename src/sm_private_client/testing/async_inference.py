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
from typing import TYPE_CHECKING, Final

from sm_private_client.testing.aws_errors import AwsError
from sm_private_client.testing.http_connection import Response

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.hosting import HostedModel
    from sm_private_client.testing.http_connection import Request
    from sm_private_client.testing.signatures import Clock

__all__ = ["AsyncInference"]

REQUEST_TTL: Final = 21_600
INVOCATION_TIMEOUT: Final = 900
"""Seconds; SageMaker Runtime API reference, InvokeEndpointAsync, the defaults."""

_THREADS: Final = 8
_STOP_TIMEOUT: Final = 5.0
"""Seconds; a model that still computes then is left to its daemon thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One accepted call.

    Attributes:
        inference_id: The caller's, or one made up.
        output: The URI of the answer's object.
        failure: The URI of the error's object.
        accepted: When it was accepted, UTC without a zone.
    """

    hosted: HostedModel
    request: Request
    inference_id: str
    output: str
    failure: str
    accepted: dt.datetime


class AsyncInference:
    """Accepts asynchronous calls, and runs them.

    ``invoke`` calls a model with a request, the body that belongs to it and its inference id, and
    returns the answer's body.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        faults: Faults,
        clock: Clock,
        invoke: Callable[[HostedModel, Request, bytes, str], bytes],
    ) -> None:
        self._control = control
        self._faults = faults
        self._clock = clock
        self._invoke = invoke
        self._queue = _JobQueue()

    def accept(self, hosted: HostedModel, request: Request) -> Response:
        """Answer 202 and leave the call to the queue.

        Raises:
            AwsError: The inference endpoint is not an asynchronous one, or the input is missing
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
        extension = (request.header("x-amzn-sagemaker-s3outputpathextension") or "").strip("/")
        file_name = request.header("x-amzn-sagemaker-filename")
        stem = file_name or secrets.token_hex(16)
        failure_path = hosted.s3_failure_path or hosted.s3_output_path
        job = _Job(
            hosted=hosted,
            request=request,
            inference_id=request.header("x-amzn-sagemaker-inference-id") or str(uuid.uuid4()),
            output=_below(hosted.s3_output_path, extension, file_name or f"{stem}.out"),
            failure=_below(failure_path, extension, f"{stem}-error.out"),
            accepted=self._clock(),
        )
        fault = self._faults.take("delay-jobs", hosted.endpoint_name)
        self._queue.put(lambda: self._run(job), delay=fault.value if fault else 0.0)
        return Response(
            status=202,
            headers=(
                ("Content-Type", "application/json"),
                ("x-amzn-RequestId", str(uuid.uuid4())),
                ("X-Amzn-SageMaker-OutputLocation", job.output),
                ("X-Amzn-SageMaker-FailureLocation", job.failure),
            ),
            body=json.dumps({"InferenceId": job.inference_id}).encode(),
        )

    def stop(self) -> None:
        """Forget what waits; what still runs leaves nothing in S3."""
        self._queue.stop()

    def _run(self, job: _Job) -> None:
        try:
            uri, body = job.output, self._answer(job)
        except AwsError as error:
            uri, body = job.failure, error.message.encode()
        if not self._queue.stopped:
            self._control.put_object(*_bucket_and_key(uri), body)

    def _answer(self, job: _Job) -> bytes:
        waited = (self._clock() - job.accepted).total_seconds()
        ttl = _seconds(job.request, "x-amzn-sagemaker-requestttlseconds", REQUEST_TTL)
        if waited > ttl:
            raise AwsError("ValidationError", f"The request expired: it waited more than {ttl} s.")
        started = self._clock()
        body = self._invoke(job.hosted, job.request, self._input(job.request), job.inference_id)
        limit = _seconds(
            job.request, "x-amzn-sagemaker-invocationtimeoutseconds", INVOCATION_TIMEOUT
        )
        if (self._clock() - started).total_seconds() > limit:
            raise AwsError(
                "ModelError", f"The invocation timed out: the model took more than {limit} s."
            )
        return body

    def _input(self, request: Request) -> bytes:
        location = request.header("x-amzn-sagemaker-inputlocation")
        if location is None:
            return request.body
        body = self._control.get_object(*_bucket_and_key(location))
        if body is None:
            raise AwsError("ValidationError", f"The input {location} does not exist.")
        return body


class _JobQueue:
    """Runs what is put into it when its time has come, the earliest first.

    Attributes:
        stopped: Whether it was stopped, so that what still runs is to leave no trace.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []

    def put(self, run: Callable[[], None], *, delay: float) -> None:
        """Call ``run`` in a thread of the queue, after so many seconds."""
        with self._changed:
            entry = (time.monotonic() + delay, next(self._numbers), run)
            heapq.heappush(self._waiting, entry)
            if len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._work, name="private-link-jobs", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Forget what waits and end the threads."""
        with self._changed:
            self.stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (run := self._next()) is not None:
            run()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self.stopped:
                now = time.monotonic()
                if self._waiting and self._waiting[0][0] <= now:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
            return None


def _below(uri: str, *names: str) -> str:
    return "/".join([uri.rstrip("/"), *filter(None, names)])


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def _seconds(request: Request, header: str, default: int) -> int:
    value = request.header(header)
    return int(value) if value is not None else default
