"""EC2's PrivateLink operations as moto plays them, mended where moto differs from EC2.

A subclass of moto's own response class: parameters are parsed and answers serialized by moto
from botocore's model; only what the operations do is ours.
"""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any, Final

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from sm_private_client.testing.caller import is_on
from sm_private_client.testing.endpoint_services import policy_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.gateways import Gateways
    from sm_private_client.testing.vpc_endpoints import VpcEndpoints

__all__ = ["PrivateLinkEC2"]

_LARGEST_PAGE: Final = 1000  # EC2 API reference, DescribeVpcEndpoints, MaxResults


class PrivateLinkEC2(EC2Response):  # type: ignore[misc] # moto has no types
    """Answers one EC2 request.

    Args:
        vpc_endpoints: Furnishes moto's VPC endpoints with names, ENIs and listeners.
        gateways: Furnishes moto's gateways with routes and what they lead to.
        page_size: The largest page, below EC2's own limit.
        participant: Whether the account only shares the VPC of another one, so that the
            owner's VPC endpoints are not described to it.
    """

    def __init__(
        self,
        vpc_endpoints: VpcEndpoints,
        gateways: Gateways,
        *,
        page_size: int | None,
        participant: bool,
    ) -> None:
        super().__init__()
        self._gateways = gateways
        self._vpc_endpoints = vpc_endpoints
        self._page_size = page_size
        self._participant = participant

    def create_vpc_endpoint(self) -> Any:  # noqa: ANN401 - moto's result
        """Creates a VPC endpoint with ENIs in its subnets and names as EC2 gives them."""
        self.error_on_dryrun()
        token = self._get_param("ClientToken")
        if token:
            for known in self.ec2_backend.vpc_end_points.values():
                if known.client_token == token:
                    return ActionResult({"VpcEndpoint": known})
        name = self._get_param("ServiceName") or ""
        kind = self._get_param("VpcEndpointType") or "Gateway"
        service = self._known_service(name, kind)
        if policy := self._get_param("PolicyDocument"):
            _check_policy(policy, service)
        if service is None:
            result = super().create_vpc_endpoint()
            if kind == "Gateway" and self._gateways.service_of(name, self.region):
                self._gateways.furnish(result.result["VpcEndpoint"])
            return result
        backend = self.ec2_backend
        vpc = backend.get_vpc(self._get_param("VpcId"))
        private_dns = self._get_bool_param("PrivateDnsEnabled", if_none=True)
        self._check_subnets(self._get_param("SubnetIds", []), service)
        if private_dns:
            self._check_private_dns(vpc, service)
        result = super().create_vpc_endpoint()
        made = result.result["VpcEndpoint"]
        made.ip_address_type = self._get_param("IpAddressType") or "ipv4"
        made.dns_options = self._get_param("DnsOptions") or {"DnsRecordIpType": "ipv4"}
        self._vpc_endpoints.furnish(made, service=service, private_dns=bool(private_dns))
        return result

    def describe_vpc_endpoints(self) -> Any:  # noqa: ANN401 - moto's result
        """Describes VPC endpoints with every filter that EC2 documents, page by page."""
        self.error_on_dryrun()
        standing = {} if self._participant else self.ec2_backend.vpc_end_points
        found = list(standing.values())
        for wanted in (ids := self._get_param("VpcEndpointIds", [])):
            if wanted not in standing:
                raise EC2ClientError(
                    "InvalidVpcEndpointId.NotFound",
                    f"The Vpc Endpoint Id '{wanted}' does not exist",
                )
        if ids:
            found = [made for made in found if made.id in ids]
        for name, values in self._filters_from_querystring().items():
            read = _reader(name, self.region)
            found = [
                made
                for made in found
                if any(fnmatch.fnmatchcase(text, value) for text in read(made) for value in values)
            ]
        start = self._start(self._get_param("NextToken"))
        asked = self._get_int_param("MaxResults") or _LARGEST_PAGE
        size = min(asked, self._page_size or _LARGEST_PAGE)
        page: dict[str, Any] = {"VpcEndpoints": found[start : start + size]}
        if start + size < len(found):
            page["NextToken"] = f"page-{start + size}"
        return ActionResult(page)

    def modify_vpc_endpoint(self) -> Any:  # noqa: ANN401 - moto's result
        """Modifies policy, subnets, groups and private DNS."""
        self.error_on_dryrun()
        wanted = self._get_param("VpcEndpointId")
        made = self.ec2_backend.vpc_end_points.get(wanted)
        if made is None:
            raise EC2ClientError(
                "InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{wanted}' does not exist"
            )
        service = (
            self._vpc_endpoints.offers.find(made.service_name, self.region)
            if made.vpc_endpoint_type == "Interface"
            else None
        )
        if policy := self._get_param("PolicyDocument"):
            _check_policy(policy, service)
        private_dns = self._get_bool_param("PrivateDnsEnabled")
        if service is not None and private_dns and not made.private_dns_enabled:
            self._check_private_dns(self.ec2_backend.get_vpc(made.vpc_id), service)
        added = self._get_param("AddSubnetIds", [])
        self._check_subnets([*(made.subnet_ids or []), *added], service)
        result = super().modify_vpc_endpoint()
        if self._get_bool_param("ResetPolicy"):
            made.policy_document = json.dumps(type(made).DEFAULT_POLICY)
        if service is not None:
            on = made.private_dns_enabled if private_dns is None else private_dns
            self._vpc_endpoints.furnish(made, service=service, private_dns=bool(on))
        elif made.vpc_endpoint_type == "Gateway":
            self._gateways.furnish(made)
        return result

    def delete_vpc_endpoints(self) -> Any:  # noqa: ANN401 - moto's result
        """Deletes VPC endpoints; they are gone at once, where EC2 shows them for minutes."""
        self.error_on_dryrun()
        unsuccessful = []
        for wanted in self._get_param("VpcEndpointIds", []):
            if wanted not in self.ec2_backend.vpc_end_points:
                message = f"The Vpc Endpoint Id '{wanted}' does not exist"
                error = {"Code": "InvalidVpcEndpointId.NotFound", "Message": message}
                unsuccessful.append({"ResourceId": wanted, "Error": error})
                continue
            self.ec2_backend.delete_vpc_endpoints(vpce_ids=[wanted])
            del self.ec2_backend.vpc_end_points[wanted]
            self._vpc_endpoints.remove(wanted)
            self._gateways.remove(wanted)
        return ActionResult({"Unsuccessful": unsuccessful})

    def describe_vpc_endpoint_services(self) -> Any:  # noqa: ANN401 - moto's result
        """Describes moto's endpoint services and, in place of its own, the catalogue's."""
        backend = self.ec2_backend
        offers = self._vpc_endpoints.offers
        details = [
            self._vpc_endpoints.describe_service(service, backend)
            for service in offers.all(self.region)
        ]
        own = {made["ServiceName"] for made in details}
        others = backend.describe_vpc_endpoint_services(
            service_names=[], filters=[], max_results=1000, next_token=None, region=self.region
        )
        details += [
            made
            for made in others["servicesDetails"]
            if ".sagemaker" not in made["ServiceName"]
            and (
                made["ServiceName"] not in own or {"ServiceType": "Gateway"} in made["ServiceType"]
            )
        ]
        wanted = self._get_param("ServiceNames", [])
        known = {made["ServiceName"] for made in details}
        for name in wanted:
            if name not in known:
                raise EC2ClientError(
                    "InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist"
                )
        for name, values in self._filters_from_querystring().items():
            if name == "service-name":
                details = [
                    made
                    for made in details
                    if any(fnmatch.fnmatchcase(made["ServiceName"], value) for value in values)
                ]
        details = [made for made in details if not wanted or made["ServiceName"] in wanted]
        return ActionResult(
            {
                "ServiceNames": [made["ServiceName"] for made in details],
                "ServiceDetails": details,
            }
        )

    def describe_prefix_lists(self) -> Any:  # noqa: ANN401 - moto's result
        """Describes AWS's prefix lists with their CIDRs, which moto leaves out."""
        result = super().describe_prefix_lists()
        told = [
            {
                "PrefixListId": made.id,
                "PrefixListName": made.prefix_list_name,
                "Cidrs": [entry["Cidr"] for entries in made.entries.values() for entry in entries],
            }
            for made in result.result["PrefixLists"]
        ]
        return ActionResult({"PrefixLists": told})

    def _known_service(self, name: str, kind: str) -> EndpointService | None:
        """Finds the interface endpoint service that is meant; ``None``: it is left to moto.

        Raises:
            EC2ClientError: There is none of this name and type.
        """
        service = self._vpc_endpoints.offers.find(name, self.region)
        if service is None and ".sagemaker" in name:
            raise EC2ClientError(
                "InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist"
            )
        if service is None or kind == "Interface":
            return service
        if kind == "Gateway" and not self._gateways.service_of(name, self.region):
            raise EC2ClientError(
                "InvalidParameter",
                f"Endpoint type ({kind}) does not match available service types ([Interface]).",
            )
        return None

    def _check_subnets(self, subnet_ids: list[str], service: EndpointService | None) -> None:
        zones: set[str] = set()
        for subnet_id in dict.fromkeys(subnet_ids):
            zone = self.ec2_backend.get_subnet(subnet_id).availability_zone
            if zone in zones:
                raise EC2ClientError(
                    "DuplicateSubnetsInSameZone",
                    f"Found another VPC endpoint subnet in the availability zone of {subnet_id}",
                )
            zones.add(zone)
            if service is None or self._vpc_endpoints.offers.is_offered_in(service, zone):
                continue
            name = self._vpc_endpoints.offers.full_name(service, self.region)
            raise EC2ClientError(
                "InvalidParameter",
                f"The VPC endpoint service {name} does not support the availability zone of the "
                f"subnet: {subnet_id}.",
            )

    def _check_private_dns(self, vpc: Any, service: EndpointService) -> None:  # noqa: ANN401
        if not (is_on(vpc.enable_dns_support) and is_on(vpc.enable_dns_hostnames)):
            raise EC2ClientError(
                "InvalidParameter",
                "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC "
                f"attributes set to true for {vpc.id}",
            )
        conflict = self._vpc_endpoints.private_dns_conflict(vpc.id, service)
        if conflict is not None:
            raise EC2ClientError(
                "InvalidParameter",
                "private-dns-enabled cannot be set because there is already a conflicting DNS "
                f"domain for {conflict} in the VPC {vpc.id}",
            )

    @staticmethod
    def _start(token: str | None) -> int:
        if not token:
            return 0
        prefix, _, number = token.partition("-")
        if prefix != "page" or not number.isdigit():
            raise EC2ClientError(
                "InvalidNextToken", f"The token '{token}' is invalid for parameter nextToken"
            )
        return int(number)


def _check_policy(document: str, service: EndpointService | None) -> None:
    problem = policy_problem(document, service)
    if problem is not None:
        unsupported = service is not None and service.endpoint_policy is False
        raise EC2ClientError(
            "UnsupportedOperation" if unsupported else "InvalidPolicyDocument", problem
        )


def _reader(name: str, region: str) -> Callable[[Any], list[str]]:
    """Gives what a filter reads of moto's VPC endpoint."""
    if name.startswith("tag:"):
        return lambda made: [t["value"] for t in made.get_tags() if t["key"] == name[4:]]
    readers: dict[str, Callable[[Any], list[str]]] = {
        "service-name": lambda made: [made.service_name],
        "service-region": lambda _made: [region],
        "vpc-id": lambda made: [made.vpc_id],
        "vpc-endpoint-id": lambda made: [made.id],
        "vpc-endpoint-state": lambda made: [made.state],
        "vpc-endpoint-type": lambda made: [made.vpc_endpoint_type or "Gateway"],
        "ip-address-type": lambda made: [getattr(made, "ip_address_type", "ipv4")],
        "tag-key": lambda made: [t["key"] for t in made.get_tags()],
    }
    if name not in readers:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return readers[name]
