"""What can go wrong on purpose behind ``sagemaker-runtime``: answers, streams, jobs.

Each method names an inference endpoint; an empty name stands for all of them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sm_private_client.routing.discovery import forget_shared_answers

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client.testing.http_connection import HowCut

__all__ = [
    "Cut",
    "FailedModel",
    "Fault",
    "FaultKind",
    "FaultSwitches",
    "RuntimeFaults",
    "Stall",
    "StreamError",
]

FaultKind = Literal[
    "zone",
    "no-internet",
    "dns",
    "dns-failure",
    "dns-delay",
    "slow-accept",
    "certificate",
    "tls-inspection",
    "expired-certificate",
    "handshake-close",
    "clock-skew",
    "reset-before-body",
    "reset-before-model",
    "reset-after-model",
    "deny",
    "throttle",
    "unavailable",
    "internal-failure",
    "dependency-failure",
    "not-ready",
    "model-error",
    "stall",
    "stall-in-stream",
    "cut-after-bytes",
    "cut-after-parts",
    "stream-error",
    "split",
    "delay-parts",
    "delay-jobs",
]


class Fault:
    """One fault that is on; as a context manager it is off after the block.

    Attributes:
        kind: What goes wrong.
        subject: Where: a zone, a name, an action; empty for everywhere.
        remaining: How many more times; ``None``: until it is cleared.
    """

    def __init__(
        self,
        switches: FaultSwitches,
        kind: FaultKind,
        subject: str,
        *,
        value: object = None,
        times: int | None = None,
    ) -> None:
        self.kind = kind
        self.subject = subject
        self.value = value
        self.remaining = times
        self._switches = switches

    def clear(self) -> None:
        """Ends the fault."""
        self._switches.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def __repr__(self) -> str:
        times = "" if self.remaining is None else f", remaining={self.remaining}"
        return f"Fault({self.kind!r}, {self.subject!r}{times})"


class FaultSwitches:
    """The faults that are on; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that are on, in the order they were made."""
        with self._lock:
            return tuple(self._active)

    def clear(self) -> None:
        """Ends every fault."""
        with self._lock:
            self._active.clear()
        forget_shared_answers()

    def discard(self, fault: Fault) -> None:
        """Ends one fault; one that has ended already is passed over."""
        with self._lock:
            if fault in self._active:
                self._active.remove(fault)
        forget_shared_answers()

    def take(self, kind: FaultKind, *subjects: str) -> Fault | None:
        """Gives the newest fault that applies to one of the subjects, and uses it up by one."""
        if not self._active:
            return None  # asked many times a request, and mostly there is none
        with self._lock:
            for fault in reversed(self._active):
                if fault.kind == kind and fault.subject in (*subjects, ""):
                    if fault.remaining is not None:
                        fault.remaining -= 1
                        if fault.remaining <= 0:
                            self._active.remove(fault)
                    return fault
        return None

    def _add(
        self, kind: FaultKind, subject: str, *, value: object = None, times: int | None = None
    ) -> Fault:
        if times is not None and times < 1:
            raise ValueError(f"times must be at least 1, not {times}")
        fault = Fault(self, kind, subject, value=value, times=times)
        with self._lock:
            self._active.append(fault)
        forget_shared_answers()
        return fault


RetryAfter = float | str | None
"""``Retry-After``: seconds, or text such as an HTTP date; ``None``: the header is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedModel:
    """What a container answers in place of the model.

    Attributes:
        status: Its HTTP status; 0: no answer came from it.
        message: Its body.
    """

    status: int
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stall:
    """An answer that does not come for a while.

    Attributes:
        seconds: How long; ``None``: for as long as the client waits.
        after_parts: How many parts of a stream come before.
    """

    seconds: float | None
    after_parts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A connection that ends inside of an answer.

    Attributes:
        after: How many parts, or bytes of the body, come before.
        how: How it ends.
    """

    after: int
    how: HowCut


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamError:
    """An exception event inside of a response stream.

    Attributes:
        code: Its type.
        document: Its members.
        after_parts: How many parts come before.
    """

    code: str
    document: dict[str, str]
    after_parts: int


class RuntimeFaults(FaultSwitches):
    """Switches faults of ``sagemaker-runtime`` on."""

    # Refused: the model is not called

    def unavailable(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answers 503 ``ServiceUnavailable``; the model is not called."""
        return self._add("unavailable", endpoint_name, value=retry_after, times=times)

    def internal_failure(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answers 500 ``InternalFailure``; the model is not called."""
        return self._add("internal-failure", endpoint_name, value=retry_after, times=times)

    def dependency_failure(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answers 530 ``InternalDependencyException``; the model is not called."""
        return self._add("dependency-failure", endpoint_name, value=retry_after, times=times)

    def not_ready(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answers 429 ``ModelNotReadyException``; the model is not called."""
        return self._add("not-ready", endpoint_name, value=retry_after, times=times)

    # Received: the model was called

    def model_error(
        self,
        endpoint_name: str = "",
        status: int = 500,
        *,
        message: str = "the model failed on purpose",
        times: int | None = None,
    ) -> Fault:
        """Answers 424 ``ModelError``, as where the container itself failed.

        The call counts as received by the model, whose callable does not run.

        Args:
            endpoint_name: The inference endpoint.
            status: ``OriginalStatusCode``; 0 stands for a container that did not answer.
            message: ``OriginalMessage``.
            times: How often; until cleared where not given.
        """
        value = FailedModel(status=status, message=message)
        return self._add("model-error", endpoint_name, value=value, times=times)

    def stall(
        self,
        seconds: float | None = None,
        endpoint_name: str = "",
        *,
        after_parts: int | None = None,
        times: int | None = None,
    ) -> Fault:
        """Holds answers back after the model was called.

        Args:
            seconds: How long; ``None``: until the client goes away.
            endpoint_name: The inference endpoint.
            after_parts: Holds a response stream back after its head and so many parts; where
                not given the whole answer is held back, head and all.
            times: How many answers; until cleared where not given.
        """
        if after_parts is None:
            return self._add("stall", endpoint_name, value=Stall(seconds=seconds), times=times)
        value = Stall(seconds=seconds, after_parts=after_parts)
        return self._add("stall-in-stream", endpoint_name, value=value, times=times)

    def cut(
        self,
        endpoint_name: str = "",
        *,
        after_parts: int | None = None,
        after_bytes: int | None = None,
        how: HowCut = "close",
        times: int | None = None,
    ) -> Fault:
        """Ends connections inside of an answer's body, or before its end where it is shorter.

        Args:
            endpoint_name: The inference endpoint.
            after_parts: So many parts of a response stream come before.
            after_bytes: So many bytes of the body come before, of a stream's frames as well as
                of a whole answer.
            how: ``close`` without a word more; ``reset``, by which what the client has not read
                yet may be lost.
            times: How many answers; until cleared where not given.

        Raises:
            ValueError: Not exactly one of the two is given.
        """
        if after_parts is not None and after_bytes is None:
            value = Cut(after=after_parts, how=how)
            return self._add("cut-after-parts", endpoint_name, value=value, times=times)
        if after_bytes is not None and after_parts is None:
            value = Cut(after=after_bytes, how=how)
            return self._add("cut-after-bytes", endpoint_name, value=value, times=times)
        raise ValueError("give exactly one of after_parts and after_bytes")

    def stream_error(
        self,
        code: Literal["ModelStreamError", "InternalStreamFailure"] = "ModelStreamError",
        endpoint_name: str = "",
        *,
        after_parts: int = 0,
        error_code: Literal["ModelInvocationTimeExceeded", "StreamBroken"] = "StreamBroken",
        message: str = "the stream failed on purpose",
        times: int | None = None,
    ) -> Fault:
        """Ends response streams with an exception event, as after the head has been sent.

        Args:
            code: The event's type.
            endpoint_name: The inference endpoint.
            after_parts: So many parts come before, or all where there are fewer.
            error_code: ``ErrorCode``, which only ``ModelStreamError`` has.
            message: ``Message``.
            times: How many streams; until cleared where not given.
        """
        document = {"Message": message}
        if code == "ModelStreamError":
            document["ErrorCode"] = error_code
        value = StreamError(code=code, document=document, after_parts=after_parts)
        return self._add("stream-error", endpoint_name, value=value, times=times)

    # Not wrong, but seldom tested

    def split(self, *sizes: int, endpoint_name: str = "", times: int | None = None) -> Fault:
        """Sends response streams in pieces of these sizes, whatever their frames are.

        Args:
            *sizes: Bytes of each piece, over and over; each piece is written by itself.
            endpoint_name: The inference endpoint.
            times: How many streams; until cleared where not given.

        Raises:
            ValueError: No size is given, or one is not positive.
        """
        if not sizes or min(sizes) < 1:
            raise ValueError(f"give sizes of at least 1 byte, not {sizes}")
        return self._add("split", endpoint_name, value=sizes, times=times)

    def delay_parts(
        self, seconds: float, endpoint_name: str = "", *, times: int | None = None
    ) -> Fault:
        """Waits so many seconds before each part of response streams (``times`` streams)."""
        return self._add("delay-parts", endpoint_name, value=seconds, times=times)

    def delay_jobs(
        self, seconds: float, endpoint_name: str = "", *, times: int | None = None
    ) -> Fault:
        """Leaves asynchronous calls in the queue for so many seconds before the model runs."""
        return self._add("delay-jobs", endpoint_name, value=seconds, times=times)
