"""What can go wrong on purpose: zones, names, connections, permissions, models, streams, jobs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.testing.http_connection import ConnectionCut

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from sm_private_client.testing.http_connection import HowCut

__all__ = ["Fault", "Faults"]

RetryAfter = float | str | None
"""``Retry-After``: seconds, or text such as an HTTP date; ``None`` leaves the header out."""


class Fault:
    """One fault that is on; as a context manager it is off after the block.

    Attributes:
        kind: What goes wrong.
        subject: Where: a zone, a name, an action; empty for everywhere.
        value: What the kind needs to know, such as seconds.
        remaining: How many more times; ``None``: until it is cleared.
    """

    def __init__(
        self, faults: Faults, kind: str, subject: str, *, value: object, times: int | None
    ) -> None:
        self.kind = kind
        self.subject = subject
        self.value: Any = value
        self.remaining = times
        self._faults = faults

    def clear(self) -> None:
        """End the fault."""
        self._faults.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __repr__(self) -> str:
        times = "" if self.remaining is None else f", remaining={self.remaining}"
        return f"Fault({self.kind!r}, {self.subject!r}{times})"


class Faults:
    """Switches faults on and off; every method returns a ``Fault`` that can be cleared.

    ``times`` ends a fault after so many times; without it the fault stays on until it is cleared.
    An ``endpoint_name``, a ``service_name`` or a zone that is empty stands for all of them.

    Args:
        on_zone_down: Called with the zone when one goes down.
    """

    def __init__(self, *, on_zone_down: Callable[[str], None]) -> None:
        self._on_zone_down = on_zone_down
        self._lock = threading.Lock()
        self._active: list[Fault] = []

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that are on, the oldest first."""
        with self._lock:
            return tuple(self._active)

    def clear(self) -> None:
        """End every fault."""
        with self._lock:
            self._active.clear()
        forget_shared_answers()

    def discard(self, fault: Fault) -> None:
        """End one fault; one that has ended already is passed over."""
        with self._lock:
            if fault in self._active:
                self._active.remove(fault)
        forget_shared_answers()

    def take(self, kind: str, *subjects: str) -> Fault | None:
        """Return the newest fault that applies to a subject, and count it."""
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

    def cut_if(self, kind: str, *subjects: str) -> None:
        """Raise ``ConnectionCut`` if a fault of this kind applies."""
        if self.take(kind, *subjects):
            raise ConnectionCut

    def _add(
        self, kind: str, subject: str, *, value: object = None, times: int | None = None
    ) -> Fault:
        if times is not None and times < 1:
            raise ValueError(f"times must be at least 1, not {times}")
        fault = Fault(self, kind, subject, value=value, times=times)
        with self._lock:
            self._active.append(fault)
        forget_shared_answers()
        return fault

    # Network

    def zone(self, availability_zone: str, how: Literal["refuse", "swallow"] = "swallow") -> Fault:
        """Take a zone down: its ENIs refuse connections or swallow packets.

        Open connections are reset.
        """
        fault = self._add("zone", availability_zone, value=how)
        self._on_zone_down(availability_zone)
        return fault

    def no_internet(self) -> Fault:
        """Let public addresses swallow packets, as in a subnet without a way out."""
        return self._add("no-internet", "")

    def dns(self, name: str, *addresses: str) -> Fault:
        """Resolve a host name, or all names of a boto3 service, to these addresses."""
        return self._add("dns", name.lower(), value=addresses)

    def dns_failure(self, name: str = "", *, times: int | None = None) -> Fault:
        """Fail look-ups of a host, of a service's names or (empty) of any name."""
        return self._add("dns-failure", name.lower(), times=times)

    def dns_delay(self, seconds: float, name: str = "") -> Fault:
        """Answer look-ups late; past the caller's own time-out they time out."""
        return self._add("dns-delay", name.lower(), value=seconds)

    # TLS and connections

    def slow_accept(self, seconds: float, availability_zone: str = "") -> Fault:
        """Let ENIs wait before the TLS handshake."""
        return self._add("slow-accept", availability_zone, value=seconds)

    def certificate(self, *names: str, service_name: str = "") -> Fault:
        """Show a certificate that is good for other names only."""
        return self._add("certificate", service_name, value=names)

    def tls_inspection(self, service_name: str = "") -> Fault:
        """Show a certificate for the right names that a company signed.

        Nobody trusts "Corporate Proxy CA" but with ``LocalPrivateLink.corporate_ca_bundle``.
        """
        return self._add("tls-inspection", service_name)

    def expired_certificate(self, service_name: str = "") -> Fault:
        """Show a certificate that ended yesterday."""
        return self._add("expired-certificate", service_name)

    def handshake_close(self, service_name: str = "", *, times: int | None = None) -> Fault:
        """Close connections when they are greeted, as middleboxes do."""
        return self._add("handshake-close", service_name, times=times)

    def reset(
        self,
        service_name: str = "",
        *,
        when: Literal["before-body", "before-model", "after-model"] = "before-model",
        times: int | None = None,
    ) -> Fault:
        """Reset connections instead of answering.

        ``before-body``: once a request's head came; ``before-model``: once all of it came;
        ``after-model``: once it was executed, so that only the answer is lost.
        """
        return self._add(f"reset-{when}", service_name, times=times)

    # Permissions, limits, the clock

    def deny(self, action: str, *, times: int | None = None) -> Fault:
        """Deny an action, such as ``ec2:DescribeVpcEndpoints``, as its service words it."""
        return self._add("deny", action, times=times)

    def throttle(
        self, action: str, *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Throttle an action, such as ``sagemaker:InvokeEndpoint``, with a ``Retry-After``."""
        return self._add("throttle", action, value=retry_after, times=times)

    def clock_skew(self, seconds: float, *, code: str = "InvalidSignatureException") -> Fault:
        """Set SageMaker's clock ahead: signatures are judged by it, and ``Date`` tells it.

        ``code`` is the error of a request that is then too old or too new; other services say
        ``RequestExpired``, ``RequestTimeTooSkewed`` or ``SignatureDoesNotMatch``.
        """
        return self._add("clock-skew", "", value=(seconds, code))

    # SageMaker Runtime: errors before the model is called

    def unavailable(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answer 503 ``ServiceUnavailable``; the model is not called."""
        return self._add("unavailable", endpoint_name, value=retry_after, times=times)

    def internal_failure(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answer 500 ``InternalFailure``; the model is not called."""
        return self._add("internal-failure", endpoint_name, value=retry_after, times=times)

    def dependency_failure(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answer 530 ``InternalDependencyException``; the model is not called."""
        return self._add("dependency-failure", endpoint_name, value=retry_after, times=times)

    def not_ready(
        self, endpoint_name: str = "", *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Answer 429 ``ModelNotReadyException``; the model is not called."""
        return self._add("not-ready", endpoint_name, value=retry_after, times=times)

    # SageMaker Runtime: the model was called

    def model_error(
        self,
        endpoint_name: str = "",
        status: int = 500,
        *,
        message: str = "the model failed on purpose",
        times: int | None = None,
    ) -> Fault:
        """Answer 424 ``ModelError``, as if the container itself had failed.

        The call counts as received by the model, whose callable does not run. A ``status`` of 0
        stands for a container that did not answer.
        """
        return self._add("model-error", endpoint_name, value=(status, message), times=times)

    def stall(
        self,
        seconds: float | None = None,
        endpoint_name: str = "",
        *,
        after_parts: int | None = None,
        times: int | None = None,
    ) -> Fault:
        """Hold answers back after the model was called.

        They are held for so many seconds; ``None``: until the client goes away. With
        ``after_parts`` a response stream is held back after its head and so many parts; without
        it the whole answer is, head and all.
        """
        if after_parts is None:
            return self._add("stall", endpoint_name, value=seconds, times=times)
        value = (seconds, after_parts)
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
        """End connections inside an answer's body, or before its end if it is shorter.

        So many parts of a response stream come before, or so many bytes of the body, of a
        stream's frames as well as of a whole answer. After a ``reset``, what the client has not
        read yet may be lost.

        Raises:
            ValueError: Not exactly one of the two is given.
        """
        if after_parts is not None and after_bytes is None:
            value = (after_parts, how)
            return self._add("cut-after-parts", endpoint_name, value=value, times=times)
        if after_bytes is not None and after_parts is None:
            value = (after_bytes, how)
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
        """End response streams with an exception event, after so many parts.

        ``error_code`` is the member ``ErrorCode``, which only ``ModelStreamError`` has.
        """
        document = {"Message": message}
        if code == "ModelStreamError":
            document["ErrorCode"] = error_code
        value = (code, document, after_parts)
        return self._add("stream-error", endpoint_name, value=value, times=times)

    # SageMaker Runtime: not wrong, but seldom tested

    def split(self, *sizes: int, endpoint_name: str = "", times: int | None = None) -> Fault:
        """Send response streams in pieces of so many bytes, over and over, across frames.

        Raises:
            ValueError: No size is given, or one is not positive.
        """
        if not sizes or min(sizes) < 1:
            raise ValueError(f"give sizes of at least 1 byte, not {sizes}")
        return self._add("split", endpoint_name, value=sizes, times=times)

    def delay_parts(
        self, seconds: float, endpoint_name: str = "", *, times: int | None = None
    ) -> Fault:
        """Wait so many seconds before each part of response streams (``times`` streams)."""
        return self._add("delay-parts", endpoint_name, value=seconds, times=times)

    def delay_jobs(
        self, seconds: float, endpoint_name: str = "", *, times: int | None = None
    ) -> Fault:
        """Leave asynchronous calls in the queue for so many seconds before the model runs."""
        return self._add("delay-jobs", endpoint_name, value=seconds, times=times)
