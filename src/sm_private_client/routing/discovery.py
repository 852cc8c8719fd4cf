"""Discovery: what EC2 knows about the VPC endpoints of the SageMaker family.

One DescribeVpcEndpoints call (paginated) gives every service's VPC endpoints of a region;
DescribeNetworkInterfaces, DescribeVpcs and DescribeSubnets are called at most once each, and
only for what is asked. EC2 throttles per account, so a session keeps its answers, and the sessions
of one process that begin together ask each question once.
"""

from __future__ import annotations

import copy
import math
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import DiscoveryError
from sm_private_client.privatelink.ec2 import (
    discovery_error,
    error_code,
    read_addresses,
    read_cidrs,
    read_vpc_endpoint,
    read_vpc_endpoints,
)
from sm_private_client.routing.deadlines import ForkableLock, run_within

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from sm_private_client.privatelink.records import EndpointAddress, VpcEndpoint
    from sm_private_client.types import BotoClient

__all__ = [
    "DISCOVERY_TIMEOUT",
    "Discovery",
    "Ec2Access",
    "described",
    "forget_shared_answers",
    "shared_answer",
]

DISCOVERY_TIMEOUT: Final = 5.0
"""Seconds for one question to EC2; making the client does not count."""

SHARED_TTL: Final = 30.0
"""Seconds that an answer serves other sessions of the process too."""

_ANSWER_TTL: Final = 3600.0
_FAILURE_TTL: Final = 5.0
_FRESH: Final = 1.0  # seconds; what another session was told this long ago may be out of date
_SHARED_FAILURE_TTL: Final = 2.0  # so that sessions that wait for one answer do not ask in turn
_DESCRIBE_VPC_ENDPOINTS: Final = "ec2:DescribeVpcEndpoints"
_DESCRIBE_INTERFACES: Final = "ec2:DescribeNetworkInterfaces"
_DESCRIBE_VPCS: Final = "ec2:DescribeVpcs"
_DESCRIBE_SUBNETS: Final = "ec2:DescribeSubnets"
_OTHERWISE: Final = "pass vpc_endpoint= with the full DNS name"

T = TypeVar("T")


def described(
    ec2: BotoClient, operation: str, key: str, filters: Mapping[str, Iterable[str]]
) -> list[Any]:
    """Return everything that a Describe operation of EC2 lists.

    Args:
        ec2: A boto3 client.
        operation: boto3's name of the operation, ``describe_vpc_endpoints``.
        key: The member of its answer that has the list.
        filters: From the filter's name to its values.
    """
    named = [{"Name": name, "Values": list(values)} for name, values in filters.items()]
    pages = ec2.get_paginator(operation).paginate(Filters=named)
    return [entry for page in pages for entry in page[key]]


class Ec2Access(NamedTuple):
    """How EC2 is asked.

    Attributes:
        client: A boto3 client of ``ec2``.
        identity: Equal for whoever is shown the same; holds no credential.
        public_address: Host and address in words if the question goes to a public address.
    """

    client: Any
    identity: Hashable
    public_address: str | None = None


class _SharedAnswers:
    """The answers that sessions of this process share; each question is asked once at a time."""

    _kept: dict[Any, tuple[float, float, Any, Exception | None]]  # until, since, answer, error

    def __init__(self) -> None:
        self._begin()

    def fetch(
        self, key: Hashable, ask: Callable[[], T], clock: Callable[[], float]
    ) -> tuple[T, float]:
        """Return an answer and when it came; ask if there is none."""
        if self._pid != os.getpid():
            self._begin()  # not even the locks are the parent's: one may have been held
        with self._lock:
            now = clock()
            self._kept = {k: v for k, v in self._kept.items() if now < v[0]}
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            until, came, answer, error = self._kept.get(key, (0.0, 0.0, None, None))
            if clock() >= until:
                answer, error, ttl = None, None, SHARED_TTL
                try:
                    answer = ask()
                except (BotoCoreError, ClientError, TimeoutError) as failure:
                    error, ttl = failure, _SHARED_FAILURE_TTL
                came = clock()
                with self._lock:
                    self._kept[key] = (came + ttl, came, answer, error)
                    self._asking.pop(key, None)
        if error is not None:
            raise error
        return answer, came

    def forget(self, identity: Hashable = None) -> None:
        """Forget what one identity was told; all of it if none is named."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            self._kept = {k: v for k, v in self._kept.items() if identity not in (None, k[0])}

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._asking: dict[Hashable, threading.Lock] = {}
        self._kept = {}


_shared: Final = _SharedAnswers()


def shared_answer(about: str, key: Hashable, ask: Callable[[], T]) -> T:
    """Return an answer that sessions of this process share for half a minute; ask if there is none.

    Args:
        about: What is asked, as ``forget_shared_answers`` takes it.
        key: What the answer depends on.
        ask: Asks.
    """
    return _shared.fetch((about, key), ask, time.monotonic)[0]


def forget_shared_answers(about: str | None = None) -> None:
    """Forget what the sessions of this process were told, as when it was just changed from here.

    Args:
        about: What alone is forgotten; all of it, EC2's answers included, if not given.
    """
    _shared.forget(about)


class Discovery:
    """Asks EC2 of one region; safe to share between threads.

    Args:
        access: Return how to ask EC2; called once, when the first question is asked.
        service_names: The endpoint service names to look for.
        timeout: Seconds for one question.
        clock: Monotonic seconds.

    Attributes:
        is_second_hand: True if an answer was given to another session a while ago.
    """

    def __init__(
        self,
        access: Callable[[], Ec2Access],
        *,
        service_names: Iterable[str],
        timeout: float = DISCOVERY_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_access = access
        self._service_names = sorted(service_names)
        self._timeout = timeout
        self._clock = clock
        self._access: Ec2Access | None = None
        self._lock = ForkableLock(threading.RLock)
        self._answers: dict[tuple[str, Any], tuple[float, Any]] = {}
        self.is_second_hand = False

    @classmethod
    def answered(
        cls,
        vpc_endpoints: tuple[VpcEndpoint, ...],
        *,
        vpc_cidrs: tuple[str, ...],
        vpc_id: str | None,
        subnet_ids: tuple[str, ...],
    ) -> Discovery:
        """Return one that has EC2's answers of earlier and asks nobody.

        Args:
            vpc_endpoints: With their addresses; none if EC2 could not be asked.
            vpc_cidrs: The CIDRs of their VPC.
            vpc_id: That VPC.
            subnet_ids: Where this process runs, in that VPC.
        """

        def nobody() -> NoReturn:
            raise DiscoveryError("EC2 is not asked again.", cause="it could not be asked earlier.")

        made = cls(nobody, service_names=())
        answers: dict[tuple[str, Any], Any] = {}
        if vpc_endpoints:
            answers[_DESCRIBE_VPC_ENDPOINTS, ()] = vpc_endpoints
            answers[_DESCRIBE_VPCS, (vpc_id,)] = vpc_cidrs
            answers[_DESCRIBE_SUBNETS, subnet_ids] = vpc_id
        made._answers = {about: (math.inf, answer) for about, answer in answers.items()}
        return made

    def vpc_endpoints(self) -> tuple[VpcEndpoint, ...]:
        """Lists the family's interface VPC endpoints, without their addresses, oldest first.

        Raises:
            DiscoveryError: EC2 could not be asked.
        """

        def ask() -> tuple[VpcEndpoint, ...]:
            filters = {"service-name": self._service_names}
            return read_vpc_endpoints(
                described(self._ec2(), "describe_vpc_endpoints", "VpcEndpoints", filters)
            )

        return self._kept(_DESCRIBE_VPC_ENDPOINTS, (), ask)

    def vpc_endpoint(self, vpc_endpoint_id: str) -> VpcEndpoint | None:
        """Looks one VPC endpoint up by its id, whatever service it is of.

        Returns:
            It, or ``None`` where EC2 has none of that id in this account and region.

        Raises:
            DiscoveryError: EC2 could not be asked.
        """

        def ask() -> VpcEndpoint | None:
            try:
                answer = self._ec2().describe_vpc_endpoints(VpcEndpointIds=[vpc_endpoint_id])
            except ClientError as error:
                if error_code(error).startswith("InvalidVpcEndpointId"):
                    return None
                raise
            return next(map(read_vpc_endpoint, answer["VpcEndpoints"]), None)

        return self._kept(_DESCRIBE_VPC_ENDPOINTS, (vpc_endpoint_id,), ask)

    def asked(self, permission: str, about: Hashable, question: Callable[[Any], T]) -> T:
        """Asks EC2 anything else, once; the answer is kept like the others.

        Args:
            permission: The IAM action, such as ``ec2:DescribeRouteTables``.
            about: What tells this question from others of the same permission.
            question: Asks, given the EC2 client.

        Raises:
            DiscoveryError: EC2 could not be asked.
        """
        return self._kept(permission, about, lambda: question(self._ec2()))

    def with_addresses(self, vpc_endpoints: tuple[VpcEndpoint, ...]) -> tuple[VpcEndpoint, ...]:
        """Adds to VPC endpoints the addresses and zones of their network interfaces.

        Raises:
            DiscoveryError: EC2 could not be asked.
        """
        wanted = {eni for v in vpc_endpoints for eni in v.network_interface_ids}
        if not wanted:
            return vpc_endpoints
        # One call for every service of these VPCs: the next one finds its interfaces here.
        vpcs = {v.vpc_id for v in vpc_endpoints}
        known = [v for v in self.known() if v.vpc_id in vpcs]
        every = sorted(wanted | {eni for v in known for eni in v.network_interface_ids})

        def ask() -> dict[str, tuple[EndpointAddress, ...]]:
            filters = {"network-interface-id": every}
            found = described(
                self._ec2(), "describe_network_interfaces", "NetworkInterfaces", filters
            )
            return {raw["NetworkInterfaceId"]: read_addresses(raw) for raw in found}

        with self._lock:  # what an earlier, wider question answered is not asked again
            kept = [about for what, about in self._answers if what == _DESCRIBE_INTERFACES]
        covering = (about for about in kept if wanted <= set(about))
        about = next(covering, tuple(every))
        found = self._kept(_DESCRIBE_INTERFACES, about, ask)
        return tuple(
            replace(
                v,
                addresses=tuple(a for eni in v.network_interface_ids for a in found.get(eni, ())),
            )
            for v in vpc_endpoints
        )

    def vpc_cidrs(self, vpc_id: str) -> tuple[str, ...]:
        """Lists the IPv4 and IPv6 CIDRs of a VPC.

        Raises:
            DiscoveryError: EC2 could not be asked.
        """

        def ask() -> tuple[str, ...]:
            answer = self._ec2().describe_vpcs(VpcIds=[vpc_id])
            return next(map(read_cidrs, answer["Vpcs"]), ())

        return self._kept(_DESCRIBE_VPCS, (vpc_id,), ask)

    def vpc_of_subnets(self, subnet_ids: tuple[str, ...]) -> str | None:
        """Gives the VPC that subnets are in, ``None`` where EC2 shows none of them.

        Raises:
            DiscoveryError: EC2 could not be asked.
        """

        def ask() -> str | None:
            answer = self._ec2().describe_subnets(
                Filters=[{"Name": "subnet-id", "Values": list(subnet_ids)}]
            )
            return next((str(subnet["VpcId"]) for subnet in answer["Subnets"]), None)

        return self._kept(_DESCRIBE_SUBNETS, subnet_ids, ask)

    def known(self) -> tuple[VpcEndpoint, ...]:
        """Gives what ``vpc_endpoints`` answered, if it was asked before; asks nobody."""
        with self._lock:
            _, answer = self._answers.get((_DESCRIBE_VPC_ENDPOINTS, ()), (0.0, ()))
        return () if isinstance(answer, DiscoveryError) else answer

    @property
    def public_address(self) -> str | None:
        """Host and address of EC2 in words if it was asked at a public address."""
        return self._access.public_address if self._access is not None else None

    def forget(self) -> None:
        """Forget every answer, so that the next question is asked anew."""
        with self._lock:
            self._answers.clear()
            self.is_second_hand = False
            if self._access is not None:
                _shared.forget(self._access.identity)
                self._access = None

    def doubt(self) -> None:
        """Forget what EC2 showed, which led nowhere, but not that it could not be asked."""
        with self._lock:
            failures = (a for a in self._answers.items() if isinstance(a[1][1], DiscoveryError))
            self._answers = dict(failures)

    def _ec2(self) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        if self._access is None:
            self._access = self._make_access()
        return self._access.client

    def _kept(self, permission: str, about: Hashable, ask: Callable[[], T]) -> T:
        key = (permission, about)
        with self._lock:
            until, answer = self._answers.get(key, (0.0, None))
            if self._clock() >= until:
                try:
                    self._ec2()  # made here: loading its model is this machine's time, not EC2's
                    answer = self._ask(key, ask)
                    ttl = _ANSWER_TTL
                except (BotoCoreError, ClientError, TimeoutError) as error:
                    answer = discovery_error(error, permission, or_else=_OTHERWISE)
                    ttl = _FAILURE_TTL
                self._answers[key] = (self._clock() + ttl, answer)
        if isinstance(answer, DiscoveryError):
            raise copy.copy(answer)  # each caller gets a traceback of its own
        return answer  # type: ignore[no-any-return] # what ask() gave

    def _ask(self, key: tuple[str, Hashable], ask: Callable[[], T]) -> T:
        identity = self._access.identity if self._access is not None else None
        about = (identity, *key, tuple(self._service_names))
        asked = self._clock()
        answer, came = _shared.fetch(
            about, lambda: run_within(self._timeout, ask, what=key[0]), self._clock
        )
        self.is_second_hand = self.is_second_hand or asked - came > _FRESH
        return answer
