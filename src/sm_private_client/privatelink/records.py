"""Records of VPC endpoints, route tables and routes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from sm_private_client.privatelink.addresses import AddressPolicy

__all__ = [
    "EndpointAddress",
    "Evidence",
    "Outcome",
    "Route",
    "RouteSource",
    "RouteTable",
    "VpcEndpoint",
]

Outcome = Literal["used", "no", "failed", "skipped", "noted"]
RouteSource = Literal["explicit", "configured", "private-dns", "discovery", "gateway", "public"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """One step on the way to a route, and what it saw.

    Attributes:
        step: ``explicit``, ``configured``, ``private DNS``, ``location``, ``discovery``, …
        outcome: ``used`` if it decided, ``no`` if it led nowhere, ``failed`` if it could not be
            asked, ``skipped`` if it was not tried, ``noted`` if it adds a fact.
        detail: A sentence for people.
    """

    step: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointAddress:
    """One address of a VPC endpoint; what is not known of it is ``None``.

    Attributes:
        address: IPv4 or IPv6, as text.
        availability_zone: Name of its zone.
        availability_zone_id: Id of its zone (``use1-az1``).
        network_interface_id: Its ENI.
    """

    address: str
    availability_zone: str | None = None
    availability_zone_id: str | None = None
    network_interface_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class VpcEndpoint:
    """A VPC endpoint, as EC2 describes it.

    Attributes:
        vpc_endpoint_id: ``vpce-…``.
        endpoint_service: Name of the endpoint service, ``com.amazonaws.R.sagemaker.api``.
        vpc_id: The VPC it is in.
        state: In lower case; ``available`` is the only usable one.
        private_dns_enabled: Whether the default host name resolves to it inside its VPC.
        dns_names: Regional, zonal and private names, in no order.
        subnet_ids: The subnets it has network interfaces in.
        network_interface_ids: These interfaces.
        security_group_ids: The security groups of the interfaces.
        route_table_ids: A gateway's route tables.
        ip_address_type: ``ipv4``, ``dualstack`` or ``ipv6``.
        kind: ``Interface``, ``Gateway`` or another type of EC2's.
        policy: The text of its endpoint policy; empty if it has none.
        created: ISO 8601, UTC; empty if it is not known.
        plan_id: The plan of this package that made it; empty if none did.
        addresses: The interfaces' addresses; empty until they were asked for.
    """

    vpc_endpoint_id: str
    endpoint_service: str
    vpc_id: str
    state: str
    private_dns_enabled: bool = False
    dns_names: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    network_interface_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    route_table_ids: tuple[str, ...] = ()
    ip_address_type: str = "ipv4"
    kind: str = "Interface"
    policy: str = ""
    created: str = ""
    plan_id: str = ""
    addresses: tuple[EndpointAddress, ...] = ()

    @property
    def is_available(self) -> bool:
        """Whether it can carry calls."""
        return self.state == "available"


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteTable:
    """A route table, as far as gateways matter.

    Attributes:
        route_table_id: ``rtb-…``.
        is_main: Whether subnets without a table of their own use it.
        subnet_ids: The subnets that name it.
        gateways: Pairs of prefix list id and VPC endpoint id of its active routes.
    """

    route_table_id: str
    is_main: bool
    subnet_ids: frozenset[str]
    gateways: frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """The way to a service from here, and the reasons for it.

    Attributes:
        service_name: boto3's name of the service.
        region: The region that calls are signed for.
        partition: The region's partition.
        endpoint_url: Scheme and host that the client talks to.
        source: The step that decided.
        vpc_endpoint: The VPC endpoint, if it is known.
        addresses: The host's addresses when the route was made; empty if the guard judges at
            connect time only. Every connection looks them up and judges them anew.
        availability_zone: The zone that is preferred, if ours is known.
        address_policy: What counts as private on this route.
        fips: Whether the host is a FIPS one.
        evidence: Every step, in order.
    """

    service_name: str
    region: str
    partition: str
    endpoint_url: str
    source: RouteSource
    vpc_endpoint: VpcEndpoint | None = None
    addresses: tuple[EndpointAddress, ...] = ()
    availability_zone: str | None = None
    address_policy: AddressPolicy = field(default_factory=AddressPolicy)
    fips: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def host(self) -> str:
        """The host of ``endpoint_url``."""
        return urlsplit(self.endpoint_url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Whether it leads to a stand-in on this machine, which is not a private route."""
        return self.address_policy.local

    @property
    def is_default_host(self) -> bool:
        """Whether botocore's own rules have the same host, so that its URL can stay as it is."""
        return self.source in {"private-dns", "gateway", "public"}

    @property
    def is_private(self) -> bool:
        """Whether every address was judged private; False while none was looked up."""
        return (
            not self.is_local
            and bool(self.addresses)
            and all(self.address_policy.judge(a.address).private for a in self.addresses)
        )

    def explain(self) -> str:
        """Return in plain lines how the route was decided."""
        lines = [f"{self.service_name} in {self.region}: {self.endpoint_url} ({self.source})"]
        lines += [f"  {e.step} ({e.outcome}): {e.detail}" for e in self.evidence]
        for a in self.addresses:
            verdict = self.address_policy.judge(a.address)
            zone = f" in {a.availability_zone}" if a.availability_zone else ""
            lines.append(f"  {a.address}{zone} {verdict.why}")
        if self.is_local:
            lines.append("  This is a stand-in on this machine, not a private route.")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the route as JSON can hold it. There is no way back: a route is decided."""
        record = asdict(self)
        record["address_policy"]["eni_addresses"] = sorted(self.address_policy.eni_addresses)
        return record
