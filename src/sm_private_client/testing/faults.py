"""What can go wrong on purpose: zones, names, connections, permissions, throttling."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Fault", "Faults"]

FaultKind = Literal[
    "zone",
    "no-internet",
    "dns",
    "dns-failure",
    "dns-delay",
    "slow-accept",
    "certificate",
    "reset",
    "deny",
    "throttle",
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
        faults: Faults,
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
        self._faults = faults

    def clear(self) -> None:
        """Ends the fault."""
        self._faults.discard(self)

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


class Faults:
    """Switches faults on and off; every method gives a ``Fault`` that can be cleared.

    Args:
        zone_failed: Called with the zone when one goes down.
    """

    def __init__(self, *, zone_failed: Callable[[str], None]) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []
        self._zone_failed = zone_failed

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that are on, in the order they were made."""
        with self._lock:
            return tuple(self._active)

    def zone(self, availability_zone: str, how: Literal["refuse", "swallow"] = "swallow") -> Fault:
        """Takes a zone down: its ENIs refuse connections or swallow packets.

        Connections that stand are reset.
        """
        fault = self._add("zone", availability_zone, value=how)
        self._zone_failed(availability_zone)
        return fault

    def no_internet(self) -> Fault:
        """Has public addresses swallow packets, as in a subnet without a way out."""
        return self._add("no-internet", "")

    def dns(self, name: str, *addresses: str) -> Fault:
        """Has a host name, or all names of a boto3 service, resolve to these addresses."""
        return self._add("dns", name.lower(), value=addresses)

    def dns_failure(self, name: str = "", *, times: int | None = None) -> Fault:
        """Has look-ups of a host, a service's names or (empty) any name fail."""
        return self._add("dns-failure", name.lower(), times=times)

    def dns_delay(self, seconds: float, name: str = "") -> Fault:
        """Has look-ups answer late; past the caller's own time-out they time out."""
        return self._add("dns-delay", name.lower(), value=seconds)

    def slow_accept(self, seconds: float, availability_zone: str = "") -> Fault:
        """Has ENIs (of one zone) wait before the TLS handshake."""
        return self._add("slow-accept", availability_zone, value=seconds)

    def certificate(self, *names: str, service_name: str = "") -> Fault:
        """Has ENIs (of one service) show a certificate that is good for other names only."""
        return self._add("certificate", service_name, value=names)

    def reset(self, service_name: str = "", *, times: int | None = None) -> Fault:
        """Has connections reset once a whole request came, before it is answered."""
        return self._add("reset", service_name, times=times)

    def deny(self, action: str, *, times: int | None = None) -> Fault:
        """Denies an action, such as ``ec2:DescribeVpcEndpoints``, as its service words it."""
        return self._add("deny", action, times=times)

    def throttle(self, action: str, *, times: int | None = None) -> Fault:
        """Throttles an action, such as ``sagemaker:InvokeEndpoint``."""
        return self._add("throttle", action, times=times)

    def clear(self) -> None:
        """Ends every fault."""
        with self._lock:
            self._active.clear()

    def discard(self, fault: Fault) -> None:
        """Ends one fault; one that has ended already is passed over."""
        with self._lock:
            if fault in self._active:
                self._active.remove(fault)

    def take(self, kind: FaultKind, *subjects: str) -> Fault | None:
        """Gives the newest fault that applies to one of the subjects, and uses it up by one."""
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
        fault = Fault(self, kind, subject, value=value, times=times)
        with self._lock:
            self._active.append(fault)
        return fault
