"""Parameters of EC2's calls that make things, for applying, dry runs and exports."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.privatelink.ec2 import PLAN_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.provisioning.records import PlannedSecurityGroup, PlannedVpcEndpoint

__all__ = [
    "GROUP_DESCRIPTION",
    "HTTPS",
    "RULE_DESCRIPTION",
    "RULE_PORTS",
    "group_request",
    "ingress_request",
    "vpc_endpoint_request",
    "vpc_endpoint_settings",
]

HTTPS: Final = 443
GROUP_DESCRIPTION: Final = "HTTPS from this VPC to VPC endpoints"
RULE_DESCRIPTION: Final = "HTTPS from the VPC"
RULE_PORTS: Final = {"IpProtocol": "tcp", "FromPort": HTTPS, "ToPort": HTTPS}


def group_request(plan: Plan, group: PlannedSecurityGroup) -> dict[str, Any]:
    """Return the parameters of CreateSecurityGroup."""
    return {
        "GroupName": group.name,
        "Description": GROUP_DESCRIPTION,
        "VpcId": plan.vpc_id,
        "TagSpecifications": _tags(plan, "security-group", name=group.name),
    }


def ingress_request(group: PlannedSecurityGroup) -> dict[str, Any]:
    """Return the parameters of AuthorizeSecurityGroupIngress, except the id of the group."""
    permission: dict[str, Any] = dict(RULE_PORTS)
    for cidr in group.cidrs:
        ranges, key = ("Ipv6Ranges", "CidrIpv6") if ":" in cidr else ("IpRanges", "CidrIp")
        entry = {key: cidr, "Description": RULE_DESCRIPTION}
        permission.setdefault(ranges, []).append(entry)
    return {"IpPermissions": [permission]}


def vpc_endpoint_settings(
    plan: Plan, planned: PlannedVpcEndpoint, security_group_ids: Sequence[object]
) -> dict[str, Any]:
    """Return the parameters of CreateVpcEndpoint that every export has too.

    ``security_group_ids`` are for an interface: ids, or what stands for them; none if they are
    added later.
    """
    settings: dict[str, Any] = {
        "VpcId": plan.vpc_id,
        "ServiceName": planned.endpoint_service,
        "VpcEndpointType": planned.kind,
    }
    if planned.policy:
        settings["PolicyDocument"] = planned.policy
    if planned.kind == "Gateway":
        return {**settings, "RouteTableIds": list(planned.route_table_ids)}
    settings["SubnetIds"] = [subnet.subnet_id for subnet in planned.subnets]
    settings["PrivateDnsEnabled"] = planned.private_dns
    if security_group_ids:
        settings["SecurityGroupIds"] = list(security_group_ids)
    return settings


def vpc_endpoint_request(
    plan: Plan, planned: PlannedVpcEndpoint, security_group_ids: Sequence[str], *, after: str = ""
) -> dict[str, Any]:
    """Return the parameters of CreateVpcEndpoint.

    The client token follows from the other parameters, so a repeated call makes no second one.
    ``after`` is the id of a VPC endpoint that had the same token and is gone.
    """
    request = vpc_endpoint_settings(plan, planned, security_group_ids)
    request["TagSpecifications"] = _tags(plan, "vpc-endpoint", name=planned.service)
    content = json.dumps([plan.plan_id, after, request], sort_keys=True)
    request["ClientToken"] = hashlib.sha256(content.encode()).hexdigest()
    return request


def _tags(plan: Plan, resource_type: str, *, name: str) -> list[dict[str, Any]]:
    tags = {"Name": name, **dict(plan.tags), PLAN_TAG: plan.plan_id}
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": resource_type, "Tags": listed}]
