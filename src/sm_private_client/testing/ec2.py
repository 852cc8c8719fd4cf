"""EC2's PrivateLink operations as moto plays them, corrected if moto differs from EC2.

A subclass of moto's own response class: moto parses parameters and serializes answers from
botocore's model; only what the operations do is ours.
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
from sm_private_client.testing.vpc_endpoints import gateway_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.testing.control_plane import MotoObject
    from sm_private_client.testing.vpc_endpoints import VpcEndpoints

__all__ = ["PrivateLinkEC2"]

_LARGEST_PAGE: Final = 1000  # EC2 API reference, DescribeVpcEndpoints, MaxResults
_NOT_FOUND: Final = "InvalidVpcEndpointId.NotFound"


class PrivateLinkEC2(EC2Response):  # type: ignore[misc] # moto has no types
    """Answers one EC2 request.

    A ``participant`` only shares the VPC of another account, whose VPC endpoints are not described
    to it.
    """

    def __init__(
        self, vpc_endpoints: VpcEndpoints, *, page_size: int | None, participant: bool
    ) -> None:
        super().__init__()
        self._vpc_endpoints = vpc_endpoints
        self._services = vpc_endpoints.services
        self._page_size = page_size
        self._participant = participant

    def create_vpc_endpoint(self) -> MotoObject:
        """Create a VPC endpoint with ENIs in its subnets and names as EC2 gives them."""
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
            if kind == "Gateway" and gateway_service(name, self.region):
                self._vpc_endpoints.set_up_gateway(result.result["VpcEndpoint"])
            return result
        vpc = self.ec2_backend.get_vpc(self._get_param("VpcId"))
        private_dns = bool(self._get_bool_param("PrivateDnsEnabled", if_none=True))
        self._check_subnets(self._get_param("SubnetIds", []), service)
        if private_dns:
            self._check_private_dns(vpc, service)
        result = super().create_vpc_endpoint()
        vpc_endpoint = result.result["VpcEndpoint"]
        vpc_endpoint.ip_address_type = self._get_param("IpAddressType") or "ipv4"
        vpc_endpoint.dns_options = self._get_param("DnsOptions") or {"DnsRecordIpType": "ipv4"}
        self._vpc_endpoints.set_up(vpc_endpoint, service=service, private_dns=private_dns)
        return result

    def describe_vpc_endpoints(self) -> MotoObject:
        """Describe VPC endpoints with every filter that EC2 documents, page by page."""
        self.error_on_dryrun()
        standing = {} if self._participant else self.ec2_backend.vpc_end_points
        ids = self._get_param("VpcEndpointIds", [])
        for vpc_endpoint_id in ids:
            if vpc_endpoint_id not in standing:
                raise EC2ClientError(_NOT_FOUND, _not_found(vpc_endpoint_id))
        found = [v for v in standing.values() if not ids or v.id in ids]
        for name, patterns in self._filters_from_querystring().items():
            read = _filter_reader(name, self.region)
            found = [v for v in found if any(_matches(text, patterns) for text in read(v))]
        start = self._start(self._get_param("NextToken"))
        max_results = self._get_int_param("MaxResults") or _LARGEST_PAGE
        end = start + min(max_results, self._page_size or _LARGEST_PAGE)
        page: dict[str, Any] = {"VpcEndpoints": found[start:end]}
        if end < len(found):
            page["NextToken"] = f"page-{end}"
        return ActionResult(page)

    def modify_vpc_endpoint(self) -> MotoObject:
        """Modify policy, subnets, groups and private DNS."""
        self.error_on_dryrun()
        vpc_endpoint_id = self._get_param("VpcEndpointId")
        vpc_endpoint = self.ec2_backend.vpc_end_points.get(vpc_endpoint_id)
        if vpc_endpoint is None:
            raise EC2ClientError(_NOT_FOUND, _not_found(vpc_endpoint_id))
        service = (
            self._services.find(vpc_endpoint.service_name, self.region)
            if vpc_endpoint.vpc_endpoint_type == "Interface"
            else None
        )
        if policy := self._get_param("PolicyDocument"):
            _check_policy(policy, service)
        private_dns = self._get_bool_param("PrivateDnsEnabled")
        if service is not None and private_dns and not vpc_endpoint.private_dns_enabled:
            self._check_private_dns(self.ec2_backend.get_vpc(vpc_endpoint.vpc_id), service)
        added = self._get_param("AddSubnetIds", [])
        self._check_subnets([*(vpc_endpoint.subnet_ids or []), *added], service)
        result = super().modify_vpc_endpoint()
        if self._get_bool_param("ResetPolicy"):
            vpc_endpoint.policy_document = json.dumps(type(vpc_endpoint).DEFAULT_POLICY)
        if service is not None:
            is_private = vpc_endpoint.private_dns_enabled if private_dns is None else private_dns
            self._vpc_endpoints.set_up(vpc_endpoint, service=service, private_dns=bool(is_private))
        elif vpc_endpoint.vpc_endpoint_type == "Gateway":
            self._vpc_endpoints.set_up_gateway(vpc_endpoint)
        return result

    def delete_vpc_endpoints(self) -> MotoObject:
        """Delete VPC endpoints; they are gone at once, while EC2 shows them for minutes."""
        self.error_on_dryrun()
        unsuccessful = []
        for vpc_endpoint_id in self._get_param("VpcEndpointIds", []):
            if vpc_endpoint_id in self.ec2_backend.vpc_end_points:
                self._vpc_endpoints.delete(vpc_endpoint_id, self.ec2_backend)
            else:
                error = {"Code": _NOT_FOUND, "Message": _not_found(vpc_endpoint_id)}
                unsuccessful.append({"ResourceId": vpc_endpoint_id, "Error": error})
        return ActionResult({"Unsuccessful": unsuccessful})

    def describe_vpc_endpoint_services(self) -> MotoObject:
        """Describe moto's endpoint services and, in place of its own, the catalogue's."""
        backend = self.ec2_backend
        details = [
            self._vpc_endpoints.describe_service(service, backend)
            for service in self._services.all(self.region)
        ]
        catalogue = {detail["ServiceName"] for detail in details}
        of_moto = backend.describe_vpc_endpoint_services(
            service_names=[], filters=[], max_results=1000, next_token=None, region=self.region
        )
        details += [
            detail
            for detail in of_moto["servicesDetails"]
            if ".sagemaker" not in detail["ServiceName"]
            and (
                detail["ServiceName"] not in catalogue
                or {"ServiceType": "Gateway"} in detail["ServiceType"]
            )
        ]
        names = self._get_param("ServiceNames", [])
        known = {detail["ServiceName"] for detail in details}
        for name in names:
            if name not in known:
                raise _unknown_service(name)
        patterns = self._filters_from_querystring().get("service-name", ["*"])
        details = [
            detail
            for detail in details
            if _matches(detail["ServiceName"], patterns)
            and (not names or detail["ServiceName"] in names)
        ]
        return ActionResult(
            {
                "ServiceNames": [detail["ServiceName"] for detail in details],
                "ServiceDetails": details,
            }
        )

    def describe_prefix_lists(self) -> MotoObject:
        """Describe AWS's prefix lists with their CIDRs, which moto leaves out."""
        result = super().describe_prefix_lists()
        prefix_lists = [
            {
                "PrefixListId": listed.id,
                "PrefixListName": listed.prefix_list_name,
                "Cidrs": [e["Cidr"] for entries in listed.entries.values() for e in entries],
            }
            for listed in result.result["PrefixLists"]
        ]
        return ActionResult({"PrefixLists": prefix_lists})

    def _known_service(self, name: str, kind: str) -> EndpointService | None:
        """Return the interface endpoint service that is meant; ``None``: it is left to moto.

        Raises:
            EC2ClientError: There is none of this name and type.
        """
        service = self._services.find(name, self.region)
        if service is None and ".sagemaker" in name:
            raise _unknown_service(name)
        if service is None or kind == "Interface":
            return service
        if kind == "Gateway" and not gateway_service(name, self.region):
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
            if service is not None and not self._services.is_offered_in(service, zone):
                name = self._services.full_name(service, self.region)
                raise EC2ClientError(
                    "InvalidParameter",
                    f"The VPC endpoint service {name} does not support the availability zone of "
                    f"the subnet: {subnet_id}.",
                )

    def _check_private_dns(self, vpc: MotoObject, service: EndpointService) -> None:
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


def _not_found(vpc_endpoint_id: str) -> str:
    return f"The Vpc Endpoint Id '{vpc_endpoint_id}' does not exist"


def _unknown_service(name: str) -> EC2ClientError:
    message = f"The Vpc Endpoint Service '{name}' does not exist"
    return EC2ClientError("InvalidServiceName", message)


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def _check_policy(document: str, service: EndpointService | None) -> None:
    problem = policy_problem(document, service)
    if problem is not None:
        unsupported = service is not None and service.endpoint_policy is False
        raise EC2ClientError(
            "UnsupportedOperation" if unsupported else "InvalidPolicyDocument", problem
        )


def _filter_reader(name: str, region: str) -> Callable[[MotoObject], list[str]]:
    """Return what reads the texts that a filter is about from moto's VPC endpoint."""
    if name.startswith("tag:"):
        return lambda v: [t["value"] for t in v.get_tags() if t["key"] == name[4:]]
    readers: dict[str, Callable[[MotoObject], list[str]]] = {
        "service-name": lambda v: [v.service_name],
        "service-region": lambda _: [region],
        "vpc-id": lambda v: [v.vpc_id],
        "vpc-endpoint-id": lambda v: [v.id],
        "vpc-endpoint-state": lambda v: [v.state],
        "vpc-endpoint-type": lambda v: [v.vpc_endpoint_type or "Gateway"],
        "ip-address-type": lambda v: [getattr(v, "ip_address_type", "ipv4")],
        "tag-key": lambda v: [t["key"] for t in v.get_tags()],
    }
    if name not in readers:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return readers[name]
