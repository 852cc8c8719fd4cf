"""EC2's knowledge of the VPC endpoints of a region, asked for and kept.

One DescribeVpcEndpoints call (paginated) lists every service's VPC endpoints of a region.
DescribeNetworkInterfaces, DescribeVpcs and DescribeSubnets are called at most once each, and
only if needed. EC2 throttles per account. So a session keeps its answers, and the sessions of one
process that begin together ask each question once.
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
    "describe",
    "forget_shared_answers",
    "permission_for",
    "shared_answer",
]

DISCOVERY_TIMEOUT: Final = 5.0
"""Seconds for one question to EC2; making the client does not count.

The attempts within it are those of ``session.routing_clients``.
"""

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


def permission_for(operation: str) -> str:
    """Return the IAM action of an operation of EC2 by boto3's name of the operation."""
    return "ec2:" + "".join(part.capitalize() for part in operation.split("_"))


def describe(
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
    """The way to ask EC2.

    Attributes:
        client: A boto3 client of ``ec2``.
        identity: Equal for whoever is shown the same; holds no credential.
        public_address: Host and address in words, if the question goes to a public address.
    """

    client: BotoClient
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
        """Forget the answers to one identity; all of them if none is named."""
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

    It depends on ``key``; ``about`` is its subject, for ``forget_shared_answers``.
    """
    return _shared.fetch((about, key), ask, time.monotonic)[0]


def forget_shared_answers(about: str | None = None) -> None:
    """Forget the shared answers about one subject; EC2's and all others if none is named."""
    _shared.forget(about)


class Discovery:
    """The answers of EC2 of one region; safe to share between threads.

    Every method raises ``DiscoveryError`` if EC2 cannot be asked. Answers are kept for an hour,
    failures for some seconds.

    Args:
        access: A function that returns the way to ask EC2; called for the first question.
        service_names: The endpoint service names to look for.
        timeout: Seconds for one question.
        clock: Monotonic seconds.

    Attributes:
        is_second_hand: Whether an answer was given to another session a while ago.
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
        """Return a Discovery that has EC2's answers of earlier and asks nobody.

        Without VPC endpoints it is one that could not ask. The subnets are our own.
        """

        def nobody() -> NoReturn:
            raise DiscoveryError("EC2 is not asked again.", cause="it could not be asked earlier.")

        discovery = cls(nobody, service_names=())
        answers: dict[tuple[str, Any], Any] = {}
        if vpc_endpoints:
            answers[_DESCRIBE_VPC_ENDPOINTS, ()] = vpc_endpoints
            answers[_DESCRIBE_VPCS, (vpc_id,)] = vpc_cidrs
            answers[_DESCRIBE_SUBNETS, subnet_ids] = vpc_id
        discovery._answers = {about: (math.inf, answer) for about, answer in answers.items()}
        return discovery

    def vpc_endpoints(self) -> tuple[VpcEndpoint, ...]:
        """Return the family's VPC endpoints, without their addresses, the oldest first."""

        def ask() -> tuple[VpcEndpoint, ...]:
            filters = {"service-name": self._service_names}
            found = describe(self._ec2(), "describe_vpc_endpoints", "VpcEndpoints", filters)
            return read_vpc_endpoints(found)

        return self._answer(_DESCRIBE_VPC_ENDPOINTS, (), ask)

    def vpc_endpoint(self, vpc_endpoint_id: str) -> VpcEndpoint | None:
        """Return one VPC endpoint of any service; ``None`` if there is none of that id here."""

        def ask() -> VpcEndpoint | None:
            try:
                response = self._ec2().describe_vpc_endpoints(VpcEndpointIds=[vpc_endpoint_id])
            except ClientError as error:
                if error_code(error).startswith("InvalidVpcEndpointId"):
                    return None
                raise
            return next(map(read_vpc_endpoint, response["VpcEndpoints"]), None)

        return self._answer(_DESCRIBE_VPC_ENDPOINTS, (vpc_endpoint_id,), ask)

    def describe(self, operation: str, key: str, filters: Mapping[str, Iterable[str]]) -> list[Any]:
        """Return everything that any other Describe operation lists; see ``describe``."""
        question = (key, *((name, *values) for name, values in filters.items()))
        return self._answer(
            permission_for(operation),
            question,
            lambda: describe(self._ec2(), operation, key, filters),
        )

    def with_addresses(self, vpc_endpoints: tuple[VpcEndpoint, ...]) -> tuple[VpcEndpoint, ...]:
        """Return VPC endpoints with the addresses and zones of their network interfaces."""
        wanted = {eni for v in vpc_endpoints for eni in v.network_interface_ids}
        if not wanted:
            return vpc_endpoints
        # One call for every service of these VPCs: the next one finds its interfaces here.
        vpcs = {v.vpc_id for v in vpc_endpoints}
        known = [v for v in self.known() if v.vpc_id in vpcs]
        every = sorted(wanted | {eni for v in known for eni in v.network_interface_ids})

        def ask() -> dict[str, tuple[EndpointAddress, ...]]:
            filters = {"network-interface-id": every}
            found = describe(
                self._ec2(), "describe_network_interfaces", "NetworkInterfaces", filters
            )
            return {raw["NetworkInterfaceId"]: read_addresses(raw) for raw in found}

        with self._lock:  # an earlier question about these and others is not repeated
            earlier = [about for what, about in self._answers if what == _DESCRIBE_INTERFACES]
        about = next((about for about in earlier if wanted <= set(about)), tuple(every))
        found = self._answer(_DESCRIBE_INTERFACES, about, ask)
        return tuple(
            replace(
                v,
                addresses=tuple(a for eni in v.network_interface_ids for a in found.get(eni, ())),
            )
            for v in vpc_endpoints
        )

    def vpc_cidrs(self, vpc_id: str) -> tuple[str, ...]:
        """Return the IPv4 and IPv6 CIDRs of a VPC; none if EC2 does not show it."""

        def ask() -> tuple[str, ...]:
            response = self._ec2().describe_vpcs(VpcIds=[vpc_id])
            return next(map(read_cidrs, response["Vpcs"]), ())

        return self._answer(_DESCRIBE_VPCS, (vpc_id,), ask)

    def vpc_of_subnets(self, subnet_ids: tuple[str, ...]) -> str | None:
        """Return the VPC that subnets are in; ``None`` if EC2 shows none of them."""

        def ask() -> str | None:
            filters = [{"Name": "subnet-id", "Values": list(subnet_ids)}]
            response = self._ec2().describe_subnets(Filters=filters)
            return next((str(subnet["VpcId"]) for subnet in response["Subnets"]), None)

        return self._answer(_DESCRIBE_SUBNETS, subnet_ids, ask)

    def known(self) -> tuple[VpcEndpoint, ...]:
        """Return what ``vpc_endpoints`` answered before, if anything; ask nobody."""
        with self._lock:
            _, answer = self._answers.get((_DESCRIBE_VPC_ENDPOINTS, ()), (0.0, ()))
        return () if isinstance(answer, DiscoveryError) else answer

    @property
    def public_address(self) -> str | None:
        """The host and address of EC2 in words, if it was asked at a public address."""
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

    def _ec2(self) -> BotoClient:
        if self._access is None:
            self._access = self._make_access()
        return self._access.client

    def _answer(self, permission: str, about: Hashable, ask: Callable[[], T]) -> T:
        key = (permission, about)
        with self._lock:
            until, answer = self._answers.get(key, (0.0, None))
            if self._clock() >= until:
                try:
                    self._ec2()  # made here: loading its model is this machine's time, not EC2's
                    answer, ttl = self._ask(key, ask), _ANSWER_TTL
                except (BotoCoreError, ClientError, TimeoutError) as error:
                    answer = discovery_error(error, permission, or_else=_OTHERWISE)
                    ttl = _FAILURE_TTL
                self._answers[key] = (self._clock() + ttl, answer)
        if isinstance(answer, DiscoveryError):
            raise copy.copy(answer)  # each caller gets a traceback of its own
        return answer  # type: ignore[no-any-return] # what ask() returned

    def _ask(self, key: tuple[str, Hashable], ask: Callable[[], T]) -> T:
        identity = self._access.identity if self._access is not None else None
        about = (identity, *key, tuple(self._service_names))
        began = self._clock()
        answer, came = _shared.fetch(
            about, lambda: run_within(self._timeout, ask, what=key[0]), self._clock
        )
        self.is_second_hand = self.is_second_hand or began - came > _FRESH
        return answer
