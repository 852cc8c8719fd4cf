"""An account's VPC as EC2 describes it: every call here is a Describe and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
    from collections.abc import Iterable, Mapping

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.session import Session
    from sm_private_client.types import BotoClient

__all__ = ["GONE", "Account", "ServiceOffer", "VpcSubnet", "ec2_of", "explain_error"]

GONE: Final = frozenset({"deleting", "deleted"})
"""States of a VPC endpoint that is being removed; EC2 shows it for minutes."""

_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4}
)


def ec2_of(session: Session) -> BotoClient:
    """Return an EC2 client: boto3's own, or a guarded one if the session is sealed."""
    return session.client("ec2", config=_CONFIG)


def explain_error(error: Exception, permission: str) -> tuple[str, tuple[str, ...]]:
    """Return the cause of a failed EC2 call, as a sentence, and the remedies."""
    failure = explain(error, permission, with_message=True)
    return failure.cause, failure.remedies


@dataclass(frozen=True, kw_only=True, slots=True)
class VpcSubnet:
    """A subnet of a VPC; it is public if what starts in it gets a public address."""

    subnet_id: str
    vpc_id: str
    availability_zone: str
    free_addresses: int
    is_public: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceOffer:
    """An endpoint service that EC2 offers in the region.

    Attributes:
        kinds: ``Interface``, ``Gateway``.
        zones: The zones it is offered in.
        private_names: The names that private DNS answers for; empty if it has none.
        takes_policy: Whether endpoint policies are supported.
    """

    name: str
    kinds: frozenset[str]
    zones: frozenset[str]
    private_names: tuple[str, ...]
    takes_policy: bool


class Account:
    """Asks EC2; each method raises DiscoveryError, which names the permission, if it is refused."""

    def __init__(self, ec2: BotoClient) -> None:
        self._ec2 = ec2

    def vpc_cidrs(self, vpc_id: str) -> tuple[str, ...] | None:
        """Return the IPv4 and IPv6 CIDRs of a VPC; ``None`` if there is no such VPC."""
        found = self._describe("describe_vpcs", "Vpcs", {"vpc-id": [vpc_id]})
        return read_cidrs(found[0]) if found else None

    def dns_attributes(self, vpc_id: str) -> dict[str, bool]:
        """Return for ``enableDnsSupport`` and ``enableDnsHostnames`` if they are on."""
        attributes = {}
        for name in ("enableDnsSupport", "enableDnsHostnames"):
            try:
                response = self._ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)
            except (BotoCoreError, ClientError) as error:
                permission = "ec2:DescribeVpcAttribute"
                raise discovery_error(error, permission, with_message=True) from error
            attributes[name] = bool(response[name[0].upper() + name[1:]]["Value"])
        return attributes

    def subnets(self, vpc_id: str) -> tuple[VpcSubnet, ...]:
        """Return the subnets of a VPC."""
        return tuple(
            VpcSubnet(
                subnet_id=raw["SubnetId"],
                vpc_id=raw["VpcId"],
                availability_zone=raw["AvailabilityZone"],
                free_addresses=int(raw["AvailableIpAddressCount"]),
                is_public=bool(raw.get("MapPublicIpOnLaunch")),
            )
            for raw in self._describe("describe_subnets", "Subnets", {"vpc-id": [vpc_id]})
        )

    def route_table_ids(self, vpc_id: str) -> tuple[str, ...]:
        """Return the route tables of a VPC."""
        found = self._describe("describe_route_tables", "RouteTables", {"vpc-id": [vpc_id]})
        return tuple(sorted(raw["RouteTableId"] for raw in found))

    def offers(self, names: Iterable[str]) -> dict[tuple[str, str], ServiceOffer]:
        """Return endpoint services by name and kind."""
        filters = {"service-name": sorted(set(names))}
        offers = {}
        for raw in self._describe("describe_vpc_endpoint_services", "ServiceDetails", filters):
            private_names = [n["PrivateDnsName"] for n in raw.get("PrivateDnsNames", ())]
            offer = ServiceOffer(
                name=raw["ServiceName"],
                kinds=frozenset(kind["ServiceType"] for kind in raw["ServiceType"]),
                zones=frozenset(raw.get("AvailabilityZones", ())),
                private_names=tuple(private_names or filter(None, [raw.get("PrivateDnsName")])),
                takes_policy=bool(raw.get("VpcEndpointPolicySupported")),
            )
            offers.update({(offer.name, kind): offer for kind in offer.kinds})
        return offers

    def vpc_endpoints(self, **filters: str) -> tuple[VpcEndpoint, ...]:
        """Return VPC endpoints, the oldest first.

        Args:
            **filters: EC2's filters, with ``_`` for ``-``, such as ``vpc_id``; none for all.
        """
        return self._vpc_endpoints({k.replace("_", "-"): [v] for k, v in filters.items()})

    def security_groups(self, **filters: Iterable[str]) -> list[dict[str, Any]]:
        """Return security groups as EC2 describes them.

        Args:
            **filters: As for ``vpc_endpoints``, each with its values.
        """
        return self._security_groups({k.replace("_", "-"): v for k, v in filters.items()})

    def made_by(self, plan_id: str, vpc_id: str) -> tuple[VpcEndpoint, ...]:
        """Return the VPC endpoints that a plan made, and those that are being removed."""
        return self._vpc_endpoints({"vpc-id": [vpc_id], f"tag:{PLAN_TAG}": [plan_id]})

    def groups_made_by(self, plan_id: str, vpc_id: str) -> tuple[str, ...]:
        """Return the ids of the security groups that a plan made."""
        found = self._security_groups({"vpc-id": [vpc_id], f"tag:{PLAN_TAG}": [plan_id]})
        return tuple(raw["GroupId"] for raw in found)

    def interfaces(self, network_interface_ids: Iterable[str]) -> list[dict[str, Any]]:
        """Return network interfaces as EC2 describes them."""
        filters = {"network-interface-id": sorted(network_interface_ids)}
        return self._describe("describe_network_interfaces", "NetworkInterfaces", filters)

    def _vpc_endpoints(self, filters: Mapping[str, Iterable[str]]) -> tuple[VpcEndpoint, ...]:
        found = self._describe("describe_vpc_endpoints", "VpcEndpoints", filters)
        return read_vpc_endpoints(found)

    def _security_groups(self, filters: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
        return self._describe("describe_security_groups", "SecurityGroups", filters)

    def _describe(
        self, operation: str, key: str, filters: Mapping[str, Iterable[str]]
    ) -> list[dict[str, Any]]:
        try:
            return describe(self._ec2, operation, key, filters)
        except (BotoCoreError, ClientError) as error:
            raise discovery_error(error, permission_for(operation), with_message=True) from error
