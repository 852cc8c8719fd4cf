"""One fault that is on, and the switchboard that all of them are on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

from sm_private_client.routing.discovery import forget_shared_answers

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Fault", "FaultKind", "FaultSwitches"]

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
