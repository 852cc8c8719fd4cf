"""What can go wrong on purpose: zones, names, connections, clocks, permissions, throttling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sm_private_client.testing.runtime_faults import Fault, RuntimeFaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.testing.runtime_faults import FaultKind, RetryAfter

__all__ = ["Fault", "Faults"]


class Faults(RuntimeFaults):
    """Switches faults on and off; every method gives a ``Fault`` that can be cleared.

    Args:
        zone_failed: Called with the zone when one goes down.
    """

    def __init__(self, *, zone_failed: Callable[[str], None]) -> None:
        super().__init__()
        self._zone_failed = zone_failed

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

    def tls_inspection(self, service_name: str = "") -> Fault:
        """Has ENIs and gateways show a certificate for the right names that a company signed.

        Nobody trusts "Corporate Proxy CA" but with ``LocalPrivateLink.corporate_ca_bundle``.
        """
        return self._add("tls-inspection", service_name)

    def expired_certificate(self, service_name: str = "") -> Fault:
        """Has ENIs and gateways show a certificate that ended yesterday."""
        return self._add("expired-certificate", service_name)

    def handshake_close(self, service_name: str = "", *, times: int | None = None) -> Fault:
        """Has ENIs and gateways close connections when they are greeted, as middleboxes do."""
        return self._add("handshake-close", service_name, times=times)

    def clock_skew(self, seconds: float, *, code: str = "InvalidSignatureException") -> Fault:
        """Has SageMaker's clock go wrong: signatures are judged by it, and ``Date`` tells it.

        Args:
            seconds: How much it is ahead; negative: behind.
            code: The error of a request that is then too old or too new; other services say
                ``RequestExpired``, ``RequestTimeTooSkewed`` or ``SignatureDoesNotMatch``.
        """
        return self._add("clock-skew", "", value=(seconds, code))

    def reset(
        self,
        service_name: str = "",
        *,
        when: Literal["before-body", "before-model", "after-model"] = "before-model",
        times: int | None = None,
    ) -> Fault:
        """Has connections reset instead of answered.

        Args:
            service_name: boto3's name of the service; empty for all.
            when: ``before-body``: once a request's head came; ``before-model``: once all of it
                came; ``after-model``: once it was executed, so that only the answer is lost.
            times: How many requests; until cleared where not given.
        """
        kinds: dict[str, FaultKind] = {
            "before-body": "reset-before-body",
            "before-model": "reset-before-model",
            "after-model": "reset-after-model",
        }
        return self._add(kinds[when], service_name, times=times)

    def deny(self, action: str, *, times: int | None = None) -> Fault:
        """Denies an action, such as ``ec2:DescribeVpcEndpoints``, as its service words it."""
        return self._add("deny", action, times=times)

    def throttle(
        self, action: str, *, times: int | None = None, retry_after: RetryAfter = None
    ) -> Fault:
        """Throttles an action, such as ``sagemaker:InvokeEndpoint``, with a ``Retry-After``."""
        return self._add("throttle", action, value=retry_after, times=times)
