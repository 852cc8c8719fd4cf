"""EC2's answers on disk, so that a fresh process need not ask for them anew.

There is one file a route, written whole and renamed, mode 0600 in a directory of mode 0700.
Processes that start together take turns at a lock file, so that one asks and the others read.
Whatever is wrong with the directory or a file, routing goes on without it, with one warning.

Nothing here decides what is private. The route is made of these answers by the steps that make it
of EC2's own, with the settings and the DNS of that moment, and the answers can only narrow it.
Their file may have been written by anyone who can write as this user. So each value must have its
exact form, and addresses outside the private ranges are not kept: EC2 is asked again for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import logging
import os
import re
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from sm_private_client.files import NotOursError, OwnedDirectory, try_lock
from sm_private_client.privatelink.addresses import is_in_private_range
from sm_private_client.privatelink.hostnames import (
    Partition,
    VpceName,
    endpoint_service_name,
    parse_vpce_name,
    partition_of,
)
from sm_private_client.privatelink.records import EndpointAddress, VpcEndpoint
from sm_private_client.routing.discovery import Discovery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sm_private_client.privatelink.records import Route

__all__ = ["ROUTE_TTL", "KeptAnswers", "RouteCache"]

ROUTE_TTL: Final = 3600.0
"""Seconds that a route is kept."""

_TURN_TIMEOUT: Final = 3.0  # then EC2 is asked beside another process
_FAMILY: Final = "sm_private_client route "
_FORMAT: Final = f"{_FAMILY}2"
_LARGEST: Final = 1 << 16  # a VPC endpoint with an interface in each of 20 zones is below 8 KiB
_NAME: Final = re.compile(r"[0-9a-f]{32}\.json\Z")
_TEXTS: Final = {
    "host": re.compile(r"vpce-[a-z0-9.-]{1,240}\Z"),
    "vpc_id": re.compile(r"vpc-[0-9a-f]{1,17}\Z"),
    "availability_zone": re.compile(r"[a-z0-9-]{1,40}\Z"),
    "availability_zone_id": re.compile(r"[a-z0-9-]{1,40}\Z"),
    "network_interface_id": re.compile(r"eni-[0-9a-f]{1,17}\Z"),
}

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class KeptAnswers(NamedTuple):
    """EC2's answers, as far as they decided one route.

    Attributes:
        vpc_endpoints: The VPC endpoint of the route and the one that was named, each with its
            regional DNS name alone; none if EC2 could not be asked.
        vpc_cidrs: The CIDRs of their VPC, if the interfaces' addresses are not known.
    """

    vpc_endpoints: tuple[VpcEndpoint, ...] = ()
    vpc_cidrs: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        vpc_endpoints: Iterable[VpcEndpoint],
        vpc_cidrs: tuple[str, ...],
        partitions: tuple[Partition, ...],
    ) -> KeptAnswers | None:
        """Return what may be kept of EC2's answers; ``None`` if EC2 must be asked each time."""
        kept = []
        for standing in vpc_endpoints:
            names = [parse_vpce_name(host, partitions) for host in standing.dns_names]
            regional = [n.host for n in names if n and n.id_suffix and n.availability_zone is None]
            if not regional:
                return None
            kept.append(replace(standing, dns_names=(regional[0],)))
        answers = cls(vpc_endpoints=tuple(kept), vpc_cidrs=vpc_cidrs)
        try:
            cls.from_json(answers.as_json())
        except ValueError:
            return None
        return answers

    def as_json(self) -> dict[str, Any]:
        """Return the answers as JSON can hold them."""
        vpc_endpoints = [
            {
                "host": standing.dns_names[0],
                "vpc_id": standing.vpc_id,
                "addresses": [asdict(address) for address in standing.addresses],
            }
            for standing in self.vpc_endpoints
        ]
        return {"vpc_endpoints": vpc_endpoints, "vpc_cidrs": list(self.vpc_cidrs)}

    @classmethod
    def from_json(cls, raw: object) -> KeptAnswers:
        """Return the answers again.

        Raises:
            ValueError: They are not of exactly that form, or have an address that is not in a
                private range.
        """
        members = _members(raw, "vpc_endpoints", "vpc_cidrs")
        return cls(
            vpc_endpoints=tuple(map(_vpc_endpoint, _list(members["vpc_endpoints"]))),
            vpc_cidrs=tuple(map(_private_cidr, _list(members["vpc_cidrs"]))),
        )

    def discovery(
        self, *, region: str, partitions: tuple[Partition, ...], subnet_ids: tuple[str, ...]
    ) -> Discovery | None:
        """Return a Discovery that has these answers and asks nobody.

        ``None`` if a name is not one of a VPC endpoint in this region.
        """
        partition = partition_of(region, partitions)
        described = []
        for standing in self.vpc_endpoints:
            name = parse_vpce_name(standing.dns_names[0], partitions)
            if name is None or not _is_regional(name, region, partition):
                return None
            service = endpoint_service_name(name.service, region=region, partition=partition)
            described.append(
                replace(standing, vpc_endpoint_id=name.vpc_endpoint_id, endpoint_service=service)
            )
        vpc_id = described[0].vpc_id if described else None
        return Discovery.answered(
            tuple(described), vpc_cidrs=self.vpc_cidrs, vpc_id=vpc_id, subnet_ids=subnet_ids
        )


def _is_regional(name: VpceName, region: str, partition: Partition) -> bool:
    return (
        bool(name.id_suffix)
        and name.availability_zone is None
        and not name.service.is_browser_only
        and (name.region, name.partition.name) == (region, partition.name)
    )


def _vpc_endpoint(raw: object) -> VpcEndpoint:
    members = _members(raw, "host", "vpc_id", "addresses")
    return VpcEndpoint(
        vpc_endpoint_id="",  # the DNS name has it
        endpoint_service="",
        vpc_id=_text("vpc_id", members["vpc_id"]),
        state="available",  # no other is a route's
        dns_names=(_text("host", members["host"]),),
        addresses=tuple(map(_address, _list(members["addresses"]))),
    )


def _address(raw: object) -> EndpointAddress:
    names = ("availability_zone", "availability_zone_id", "network_interface_id")
    members = _members(raw, "address", *names)
    address = members["address"]
    if not isinstance(address, str) or not is_in_private_range(address):
        raise ValueError("no address of a private range")
    optional = {n: None if members[n] is None else _text(n, members[n]) for n in names}
    return EndpointAddress(address=str(ipaddress.ip_address(address)), **optional)


def _private_cidr(raw: object) -> str:
    if not isinstance(raw, str) or not is_in_private_range(raw):
        raise ValueError("no network of a private range")
    return str(ipaddress.ip_network(raw))


def _members(raw: object, *names: str) -> dict[str, Any]:
    if not isinstance(raw, dict) or set(raw) != set(names):
        raise ValueError("no object with these members")
    return raw


def _list(raw: object) -> list[object]:
    return _typed(raw, list)


def _typed(raw: object, kind: type[T]) -> T:
    if not isinstance(raw, kind):
        raise ValueError(f"no {kind.__name__}")  # noqa: TRY004 - what a file holds is a value
    return raw


def _text(name: str, raw: object) -> str:
    if not isinstance(raw, str) or not _TEXTS[name].match(raw):
        raise ValueError(f"no {name}")
    return raw


class RouteCache:
    """A directory with the answers that routes were made of.

    Args:
        directory: Its path; it is made when the first route is kept.
        now: Seconds since the epoch.
    """

    def __init__(self, directory: str, *, now: Callable[[], float] = time.time) -> None:
        self._directory = Path(directory)
        self._now = now
        self._warned = False

    def fetch(
        self,
        key: Mapping[str, Any],
        *,
        decide: Callable[[], Route],
        recall: Callable[[KeptAnswers], Route | None],
        answers_of: Callable[[Route], KeptAnswers | None],
    ) -> Route:
        """Return the route that the kept answers lead to, or decide one; processes take turns.

        Args:
            key: What the route depends on.
            decide: A function that decides the route; nothing is kept of its errors.
            recall: A function that makes the route of kept answers, if they are still good.
            answers_of: A function that returns what to keep of a decided route, if anything.
        """
        route = self._recalled(key, recall)
        if route is not None:
            return route
        with self.turn(key):
            route = self._recalled(key, recall)  # another process may have made it meanwhile
            if route is None:
                route = decide()
                answers = answers_of(route)
                if answers is not None:
                    self.write(key, answers)
            return route

    def _recalled(
        self, key: Mapping[str, Any], recall: Callable[[KeptAnswers], Route | None]
    ) -> Route | None:
        kept = self.read(key)
        return recall(kept) if kept is not None else None

    def read(self, key: Mapping[str, Any]) -> KeptAnswers | None:
        """Return what is kept for a key. Never raises."""
        digest = _digest(key)
        name = f"{digest[:32]}.json"
        try:
            with OwnedDirectory(self._directory) as directory:
                raw = _parsed(directory.read(name, limit=_LARGEST))
            if raw["format"] != _FORMAT or raw["key"] != digest:
                return None
            age = self._now() - float(raw["written"])
            return KeptAnswers.from_json(raw["ec2"]) if 0 <= age < ROUTE_TTL else None
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(error, name, "read")
        except (ValueError, KeyError, TypeError, OverflowError):
            self._warn_of(f"{self._directory / name} is damaged")
        return None

    def write(self, key: Mapping[str, Any], answers: KeptAnswers) -> None:
        """Keep answers. Never raises."""
        digest = _digest(key)
        record = {
            "format": _FORMAT,
            "written": self._now(),
            "key": digest,
            "ec2": answers.as_json(),
        }
        content = json.dumps(record).encode()
        if len(content) > _LARGEST:
            return
        try:
            with OwnedDirectory(self._directory, make=True) as directory:
                directory.write(f"{digest[:32]}.json", content)
        except OSError as error:
            self._warn(error, "", "written")

    def forget(self) -> None:
        """Delete what was kept in the directory, and no other file. Never raises."""
        with contextlib.suppress(OSError), OwnedDirectory(self._directory) as directory:
            for name in filter(_NAME.match, directory.names()):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    raw = _parsed(directory.read(name, limit=_LARGEST))
                    if str(raw["format"]).startswith(_FAMILY):
                        directory.unlink(name)

    @contextlib.contextmanager
    def turn(self, key: Mapping[str, Any]) -> Iterator[None]:
        """Wait, some seconds at most, until no other process makes the same route."""
        handle: int | None = None
        name = f"{_digest(key)[:32]}.lock"
        try:
            with OwnedDirectory(self._directory, make=True) as directory:
                handle = directory.lock_file(name)
        except OSError as error:
            self._warn(error, name, "written")
        if handle is None:
            yield
            return
        try:
            deadline = time.monotonic() + _TURN_TIMEOUT
            while not try_lock(handle) and time.monotonic() < deadline:
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)  # closing gives the lock back

    def _warn(self, error: OSError, name: str, verb: str) -> None:
        if isinstance(error, NotOursError):
            self._warn_of(str(error))
        else:
            self._warn_of(f"{self._directory / name} cannot be {verb} ({error.strerror})")

    def _warn_of(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning(
                "The route cache is passed over: %s. Delete it, or set route_cache=False.", what
            )


def _digest(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()


def _parsed(content: bytes) -> dict[str, Any]:
    """Return the content of a file of ours.

    Raises:
        ValueError: It is longer than any of ours, or no JSON object.
    """
    if len(content) > _LARGEST:
        raise ValueError("too long")
    try:
        return _typed(json.loads(content), dict)
    except RecursionError:
        raise ValueError("nested too deeply") from None
