"""Look at an account's VPC through EC2; every call here is a Describe, so nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.privatelink.ec2 import (
    PLAN_TAG,
    discovery_error,
    explain,
    read_cidrs,
    read_vpc_endpoints,
)
from sm_private_client.routing.discovery import describe, permission_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.session import Session

__all__ = [
    "GONE",
    "Account",
    "ServiceOffer",
    "VpcSubnet",
    "ec2_of",
    "why",
]

GONE: Final = frozenset({"deleting", "deleted"})
"""States of a VPC endpoint that is on its way out; EC2 shows it for minutes."""

_CALLS: Final = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4}
)


T = TypeVar("T")


def why(error: Exception, permission: str) -> tuple[str, tuple[str, ...]]:
    """Return the cause of a failed EC2 call, as a sentence, and the remedies."""
    failure = explain(error, permission, with_message=True)
    return failure.cause, failure.remedies


def ec2_of(session: Session) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
    """Makes an EC2 client: boto3's own, or a guarded one where the session is sealed."""
    return session.client("ec2", config=_CALLS)


@dataclass(frozen=True, kw_only=True, slots=True)
class VpcSubnet:
    """A subnet as EC2 describes it.

    Attributes:
        subnet_id: Its id.
        vpc_id: Its VPC.
        availability_zone: Its zone's name.
        free_addresses: How many IPv4 addresses are left.
        is_public: Whether what starts in it gets a public address.
    """

    subnet_id: str
    vpc_id: str
    availability_zone: str
    free_addresses: int
    is_public: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceOffer:
    """An endpoint service as EC2 offers it in the region.

    Attributes:
        name: Its name.
        kinds: ``Interface``, ``Gateway``.
        zones: The zones it is offered in.
        private_names: The names that private DNS answers for; empty where it has none.
        takes_policy: Whether endpoint policies are supported.
    """

    name: str
    kinds: frozenset[str]
    zones: frozenset[str]
    private_names: tuple[str, ...]
    takes_policy: bool


class Account:
    """Asks EC2, and names the permission where it is not allowed to.

    Args:
        ec2: A boto3 client.
    """

    def __init__(self, ec2: Any) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        self._ec2 = ec2

    def vpc_cidrs(self, vpc_id: str) -> tuple[str, ...] | None:
        """Gives a VPC's IPv4 and IPv6 CIDRs, ``None`` where there is no such VPC."""
        found = self._pages("describe_vpcs", "Vpcs", "vpc-id", [vpc_id])
        if not found:
            return None
        return read_cidrs(found[0])

    def dns_attributes(self, vpc_id: str) -> dict[str, bool]:
        """Says whether ``enableDnsSupport`` and ``enableDnsHostnames`` are on."""
        found = {}
        for name in ("enableDnsSupport", "enableDnsHostnames"):
            answer = self._ask(
                "ec2:DescribeVpcAttribute",
                partial(self._ec2.describe_vpc_attribute, VpcId=vpc_id, Attribute=name),
            )
            found[name] = bool(answer[name[0].upper() + name[1:]]["Value"])
        return found

    def subnets(self, vpc_id: str) -> tuple[VpcSubnet, ...]:
        """Lists a VPC's subnets."""
        return tuple(
            VpcSubnet(
                subnet_id=made["SubnetId"],
                vpc_id=made["VpcId"],
                availability_zone=made["AvailabilityZone"],
                free_addresses=int(made["AvailableIpAddressCount"]),
                is_public=bool(made.get("MapPublicIpOnLaunch")),
            )
            for made in self._pages("describe_subnets", "Subnets", "vpc-id", [vpc_id])
        )

    def route_table_ids(self, vpc_id: str) -> tuple[str, ...]:
        """Lists a VPC's route tables."""
        found = self._pages("describe_route_tables", "RouteTables", "vpc-id", [vpc_id])
        return tuple(sorted(made["RouteTableId"] for made in found))

    def offers(self, names: Iterable[str]) -> dict[tuple[str, str], ServiceOffer]:
        """Finds endpoint services by name, each by name and kind."""
        found = {}
        wanted = sorted(set(names))
        for made in self._pages(
            "describe_vpc_endpoint_services", "ServiceDetails", "service-name", wanted
        ):
            names_given = [n["PrivateDnsName"] for n in made.get("PrivateDnsNames", ())]
            offer = ServiceOffer(
                name=made["ServiceName"],
                kinds=frozenset(kind["ServiceType"] for kind in made["ServiceType"]),
                zones=frozenset(made.get("AvailabilityZones", ())),
                private_names=tuple(names_given or filter(None, [made.get("PrivateDnsName")])),
                takes_policy=bool(made.get("VpcEndpointPolicySupported")),
            )
            found.update({(offer.name, kind): offer for kind in offer.kinds})
        return found

    def vpc_endpoints(self, **filters: str) -> tuple[VpcEndpoint, ...]:
        """Lists VPC endpoints, the oldest first.

        Args:
            **filters: EC2's filters, with ``_`` for ``-``, such as ``vpc_id``; all where none.
        """
        return self._vpc_endpoints({k.replace("_", "-"): v for k, v in filters.items()})

    def made_by(self, plan_id: str, vpc_id: str) -> tuple[VpcEndpoint, ...]:
        """Lists the VPC endpoints that a plan made, those that go away included."""
        return self._vpc_endpoints({"vpc-id": vpc_id, f"tag:{PLAN_TAG}": plan_id})

    def security_groups(self, **filters: Iterable[str]) -> list[dict[str, Any]]:
        """Lists security groups as EC2 describes them.

        Args:
            **filters: As for ``vpc_endpoints``, each with its values.
        """
        asked = {name.replace("_", "-"): list(values) for name, values in filters.items()}
        return self._described("describe_security_groups", "SecurityGroups", asked)

    def groups_made_by(self, plan_id: str, vpc_id: str) -> tuple[str, ...]:
        """Lists the security groups that a plan made."""
        asked = {"vpc-id": [vpc_id], f"tag:{PLAN_TAG}": [plan_id]}
        found = self._described("describe_security_groups", "SecurityGroups", asked)
        return tuple(made["GroupId"] for made in found)

    def interfaces(self, network_interface_ids: Iterable[str]) -> list[dict[str, Any]]:
        """Lists network interfaces as EC2 describes them."""
        return self._pages(
            "describe_network_interfaces",
            "NetworkInterfaces",
            "network-interface-id",
            sorted(network_interface_ids),
        )

    def _vpc_endpoints(self, filters: Mapping[str, str]) -> tuple[VpcEndpoint, ...]:
        asked = {name: [value] for name, value in filters.items()}
        found = self._described("describe_vpc_endpoints", "VpcEndpoints", asked)
        return read_vpc_endpoints(found)

    def _pages(self, operation: str, key: str, name: str, values: list[str]) -> list[Any]:
        return self._described(operation, key, {name: values})

    def _described(self, operation: str, key: str, filters: Mapping[str, list[str]]) -> list[Any]:
        return self._ask(
            permission_for(operation), lambda: describe(self._ec2, operation, key, filters)
        )

    @staticmethod
    def _ask(permission: str, question: Callable[[], T]) -> T:
        try:
            return question()
        except (BotoCoreError, ClientError) as error:
            raise discovery_error(error, permission, with_message=True) from error
