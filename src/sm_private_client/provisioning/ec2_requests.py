"""What EC2 is asked to make, word for word: used to apply, to rehearse and to write commands."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.privatelink.ec2 import PLAN_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.provisioning.records import (
        Blueprint,
        PlannedSecurityGroup,
        PlannedVpcEndpoint,
    )

__all__ = [
    "GROUP_DESCRIPTION",
    "RULE_DESCRIPTION",
    "group_request",
    "ingress_request",
    "vpc_endpoint_request",
]

GROUP_DESCRIPTION: Final = "HTTPS from this VPC to VPC endpoints"
RULE_DESCRIPTION: Final = "HTTPS from the VPC"
HTTPS: Final = 443


def group_request(plan: Blueprint, group: PlannedSecurityGroup) -> dict[str, Any]:
    """Gives the parameters of CreateSecurityGroup."""
    return {
        "GroupName": group.name,
        "Description": GROUP_DESCRIPTION,
        "VpcId": plan.vpc_id,
        "TagSpecifications": _tags(plan, "security-group", name=group.name),
    }


def ingress_request(group: PlannedSecurityGroup) -> dict[str, Any]:
    """Gives the parameters of AuthorizeSecurityGroupIngress, but for the group's id."""
    v4 = [cidr for cidr in group.cidrs if ":" not in cidr]
    v6 = [cidr for cidr in group.cidrs if ":" in cidr]
    permission: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": HTTPS, "ToPort": HTTPS}
    if v4:
        permission["IpRanges"] = [{"CidrIp": c, "Description": RULE_DESCRIPTION} for c in v4]
    if v6:
        permission["Ipv6Ranges"] = [{"CidrIpv6": c, "Description": RULE_DESCRIPTION} for c in v6]
    return {"IpPermissions": [permission]}


def vpc_endpoint_request(
    plan: Blueprint,
    planned: PlannedVpcEndpoint,
    security_group_ids: Sequence[str],
    *,
    after: str = "",
) -> dict[str, Any]:
    """Gives the parameters of CreateVpcEndpoint.

    The client token follows from the rest, so that asking again makes no second one.

    Args:
        plan: The plan.
        planned: One of its VPC endpoints.
        security_group_ids: For an interface; none where they are filled in later.
        after: The id of a VPC endpoint that had the same token and is gone.
    """
    made: dict[str, Any] = {
        "VpcId": plan.vpc_id,
        "ServiceName": planned.endpoint_service,
        "VpcEndpointType": planned.kind,
    }
    if planned.policy:
        made["PolicyDocument"] = planned.policy
    if planned.kind == "Gateway":
        made["RouteTableIds"] = list(planned.route_table_ids)
    else:
        made["SubnetIds"] = [subnet.subnet_id for subnet in planned.subnets]
        made["PrivateDnsEnabled"] = planned.private_dns
        if security_group_ids:
            made["SecurityGroupIds"] = list(security_group_ids)
    made["TagSpecifications"] = _tags(plan, "vpc-endpoint", name=planned.service)
    content = json.dumps([plan.plan_id, after, made], sort_keys=True)
    made["ClientToken"] = hashlib.sha256(content.encode()).hexdigest()
    return made


def _tags(plan: Blueprint, resource_type: str, *, name: str) -> list[dict[str, Any]]:
    tags = {"Name": name, **dict(plan.tags), PLAN_TAG: plan.plan_id}
    return [
        {
            "ResourceType": resource_type,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
    ]
