"""AsyncJob: one asynchronous call, and the wait for the object with its answer.

SageMaker accepts the call, queues it, and writes the answer to S3: an output object, or a failure
object. It has no operation that returns a job's state or cancels a job. There are only the two
objects, and ``AsyncJob`` checks if they are there.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.codecs import decode as decode_by_type
from sm_private_client.inference.job_wait import (
    Poller,
    PollSchedule,
    cancelled_error,
    checked_timeout,
    failed_error,
    timeout_error,
)
from sm_private_client.inference.s3 import S3Location, S3Objects

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Generator

    import boto3.session
    from typing_extensions import Unpack

    from sm_private_client.inference.s3 import ObjectStatus
    from sm_private_client.types import BotoClient, Value

__all__ = ["INVOCATION_TIMEOUT", "MARGIN", "REQUEST_TTL", "AsyncJob", "JobOptions"]

REQUEST_TTL: Final = 21_600.0
INVOCATION_TIMEOUT: Final = 900.0
"""Seconds; SageMaker Runtime API reference, InvokeEndpointAsync: how long a request may be queued
and how long the model may take, by default."""

MARGIN: Final = 60.0
"""Seconds of a job beyond its limits, for reading the input and writing the answer."""

_UNTYPED: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""S3's content types of an object that was written without one."""


class JobOptions(TypedDict, total=False):
    """Options of an ``AsyncJob``.

    Attributes:
        decode: From body and content type to the result. The content type is the output object's;
            if S3 does not know it, ``accept``, if that is one type. By content type by default.
        endpoint_name: The inference endpoint, for messages.
        inference_id: The service's id of the job, for messages.
        submitted_at: When the job was accepted, with a time zone.
        time_limit: Seconds after which it has certainly ended.
        accept: The content type that was asked for.
        schedule: When to check again.
    """

    decode: Callable[[bytes, str], Any]
    endpoint_name: str | None
    inference_id: str | None
    submitted_at: dt.datetime | None
    time_limit: float
    accept: str | None
    schedule: PollSchedule | None


class AsyncJob:
    """One asynchronous call that SageMaker accepted; safe between threads, and awaitable.

    ``predictor.submit`` makes one, and ``AsyncJob.from_locations`` after a restart. It pickles as
    names and locations, without credentials, connections or results. ``decode`` and the function
    that makes the S3 client must pickle.

    Args:
        output_location: The location of the output object.
        failure_location: The location of the failure object; ``None`` if the inference endpoint
            has no ``S3FailurePath``: a failed job is not different from a slow one then.
        s3: Reads the objects.
        input_location: The input in S3; ``None`` if it was sent with the call.
        **options: See ``JobOptions``.
    """

    def __init__(
        self,
        *,
        output_location: str,
        failure_location: str | None,
        s3: S3Objects,
        input_location: str | None = None,
        decode: Callable[[bytes, str], Any] = decode_by_type,
        endpoint_name: str | None = None,
        inference_id: str | None = None,
        submitted_at: dt.datetime | None = None,
        time_limit: float = REQUEST_TTL + INVOCATION_TIMEOUT + MARGIN,
        accept: str | None = None,
        schedule: PollSchedule | None = None,
    ) -> None:
        if submitted_at is not None and submitted_at.tzinfo is None:
            raise ConfigurationError(
                "submitted_at has no time zone.", remedy="give it as datetime.now(timezone.utc)."
            )
        self.output_location = output_location
        self.failure_location = failure_location
        self.endpoint_name = endpoint_name
        self.inference_id = inference_id
        self.input_location = input_location
        self.submitted_at = submitted_at
        self.time_limit = checked_timeout(time_limit, name="time_limit")
        self._output = S3Location.parse(output_location, name="output_location")
        self._failure = (
            None
            if failure_location is None
            else S3Location.parse(failure_location, name="failure_location")
        )
        self._s3 = s3
        self._decode = decode
        self._accept = accept
        self._schedule = schedule or PollSchedule()
        self._ended = False
        self._result: tuple[Any] | None = None
        self._failure_body: bytes | None = None
        self._wakers: set[Callable[[], object]] = set()

    @classmethod
    def from_locations(
        cls,
        *,
        output_location: str,
        failure_location: str | None = None,
        session: boto3.session.Session | None = None,
        s3: BotoClient = None,
        **options: Unpack[JobOptions],
    ) -> AsyncJob:
        """Return a job that another process submitted; no I/O.

        Args:
            output_location: ``job.output_location``, as ``s3://bucket/key``.
            failure_location: ``job.failure_location``.
            session: Makes the S3 client; boto3's default session if ``s3`` is not given either.
            s3: An S3 client, or a function that makes one, called on first use.
            **options: See ``JobOptions``. With ``submitted_at``, ``result`` waits no longer than
                the job can take.

        Raises:
            ConfigurationError: A location is not one in S3, ``submitted_at`` has no time zone,
                or both ``session`` and ``s3`` are given.
        """
        if session is not None and s3 is not None:
            raise ConfigurationError(
                "Both session= and s3= are given.", remedy="give one: either can reach S3."
            )
        return cls(
            output_location=output_location,
            failure_location=failure_location,
            s3=S3Objects.of_session(session) if s3 is None else S3Objects(s3),
            **options,
        )

    def __repr__(self) -> str:
        return f"<AsyncJob {self._name} at {self.output_location}>"

    def __reduce__(self) -> tuple[Any, ...]:
        recipe = {
            "output_location": self.output_location,
            "failure_location": self.failure_location,
            "s3": self._s3,
            "decode": self._decode,
            "endpoint_name": self.endpoint_name,
            "inference_id": self.inference_id,
            "input_location": self.input_location,
            "submitted_at": self.submitted_at,
            "time_limit": self.time_limit,
            "accept": self._accept,
            "schedule": self._schedule,
        }
        return _again, (recipe,)

    def done(self) -> bool:
        """Return True if the job has ended, well or not; one check.

        It is False, too, if S3 could not be reached or answered 403.

        Raises:
            ClientError, BotoCoreError: As ``result``.
        """
        if not self._ended:
            self._ended = self._check(read=False)[-1].state == "found"
        return self._ended

    def result(self, timeout: float | None = None, *, progress: bool | None = None) -> Value:
        """Wait for the job to end and return its decoded output; the output wins over a failure.

        A lost network, throttling and 5xx answers of S3 do not end the wait. Nor does 403, which
        S3 answers instead of 404 without ``s3:ListBucket``. A check that is under way when the
        time is over ends first. The result is kept: calling this again checks nothing.

        Args:
            timeout: Seconds; 0 checks once. By default until the job has certainly ended:
                ``RequestTTLSeconds`` and ``InvocationTimeoutSeconds`` of the call and a minute,
                counted from ``submitted_at`` (from now if that is not known), and at least that
                minute. ``math.inf`` waits for ever.
            progress: ``None`` shows a display after 10 s in the main thread, on a terminal or in a
                notebook with tqdm or rich; ``True`` always; ``False`` never. A line is logged at
                INFO each minute.

        Raises:
            JobFailedError: The job wrote a failure object; see ``failure``.
            JobTimeoutError: It wrote neither object in time; it may still do so.
            JobError: ``cancel_wait`` was called.
            PayloadError: The output cannot be decoded.
            ClientError: S3's own errors that waiting does not mend, such as ``NoSuchBucket``.
            BotoCoreError: No credentials, or a certificate that is not trusted.
            ConfigurationError: ``timeout`` is not a time.
            MissingExtraError: ``progress=True`` without tqdm and rich.
        """
        if self._result is not None:
            return self._result[0]
        cancelled = threading.Event()
        with self._waiting(timeout, progress, wake=cancelled.set) as poller:
            while not cancelled.is_set():
                statuses = self._check(read=True)
                if statuses[-1].state == "found":
                    return self._end(statuses[-1])
                self._schedule.sleep(cancelled, self._pause(poller, statuses))
        raise cancelled_error(self._name)

    async def result_async(self, timeout: float | None = None) -> Value:
        """Do the same without blocking the event loop; ``await job`` is the same.

        Threads of the loop's default executor ask S3. No display is shown.
        """
        import asyncio  # noqa: PLC0415 - boto3 does not import it, and plain calls do without

        if self._result is not None:
            return self._result[0]
        cancelled, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(cancelled.set)

        with self._waiting(timeout, progress=False, wake=wake) as poller:
            while not cancelled.is_set():
                statuses = await asyncio.to_thread(self._check, read=True)
                if statuses[-1].state == "found":
                    return await asyncio.to_thread(self._end, statuses[-1])
                pause = self._pause(poller, statuses)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(cancelled.wait(), pause)
        raise cancelled_error(self._name)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result_async().__await__()

    def failure(self) -> bytes | None:
        """Return the failure object as it is; one check, unless ``result`` has read it.

        ``None`` if there is none, or S3 could not be reached or answered 403. It holds what the
        model or SageMaker wrote, which may be data of yours: no error or log line shows it.

        Raises:
            ClientError, BotoCoreError: As ``result``.
        """
        if self._failure is None or self._failure_body is not None:
            return self._failure_body
        status = self._s3.check(self._failure, read=True)
        return status.body if status.state == "found" else None

    def cancel_wait(self) -> None:
        """End every ``result`` and ``await`` that waits now with a ``JobError``.

        The job goes on, since SageMaker cannot cancel one, and can be waited for anew.
        """
        for wake in tuple(self._wakers):
            wake()

    @property
    def _name(self) -> str:
        name = f"job {self.inference_id}" if self.inference_id else "the job"
        return f"{name} of {self.endpoint_name}" if self.endpoint_name else name

    def _check(self, *, read: bool) -> list[ObjectStatus]:
        """Check the output, and the failure if there is certainly no output."""
        statuses = [self._s3.check(self._output, read=read)]
        if self._failure is not None and statuses[0].state in ("absent", "denied"):
            statuses.append(self._s3.check(self._failure, read=read))
        return statuses

    def _end(self, status: ObjectStatus) -> Value:
        self._ended = True
        if status.location != self._output:
            self._failure_body = status.body
            raise failed_error(self._name, self.failure_location, status.body)
        content_type = status.content_type
        if content_type.lower() in _UNTYPED and _is_one_type(self._accept):
            content_type = self._accept or content_type
        self._result = (self._decode(status.body, content_type),)
        return self._result[0]

    def _pause(self, poller: Poller, statuses: list[ObjectStatus]) -> float:
        pause = poller.pause()
        if pause is None:
            raise timeout_error(
                self._name,
                output_location=self.output_location,
                failure_location=self.failure_location,
                seconds=poller.timeout,
                statuses=statuses,
            )
        return pause

    @contextlib.contextmanager
    def _waiting(
        self, timeout: float | None, progress: bool | None, wake: Callable[[], object]
    ) -> Generator[Poller, None, None]:
        seconds = self._time_left() if timeout is None else checked_timeout(timeout)
        poller = Poller(self._schedule, timeout=seconds, name=self._name, progress=progress)
        self._wakers.add(wake)
        try:
            yield poller
        finally:
            self._wakers.discard(wake)
            poller.close()

    def _time_left(self) -> float:
        """Return the seconds until the job has certainly ended, by clocks that may differ."""
        if self.submitted_at is None:
            return self.time_limit
        passed = (self._schedule.now() - self.submitted_at).total_seconds()
        return min(max(self.time_limit - passed, MARGIN), self.time_limit)


def _is_one_type(accept: str | None) -> bool:
    return bool(accept) and "*" not in str(accept) and "," not in str(accept)


def _again(recipe: dict[str, Any]) -> AsyncJob:
    return AsyncJob(**recipe)
