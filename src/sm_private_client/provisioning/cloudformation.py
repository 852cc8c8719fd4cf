"""A plan as a CloudFormation template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sm_private_client.provisioning.exporting import exported, words_of
from sm_private_client.provisioning.requests import GROUP_DESCRIPTION, HTTPS, RULE_DESCRIPTION

if TYPE_CHECKING:
    from sm_private_client.provisioning.records import (
        Blueprint,
        PlannedSecurityGroup,
        PlannedVpcEndpoint,
    )

__all__ = ["cloudformation_template"]

_GROUP = "SecurityGroup"


def cloudformation_template(plan: Blueprint) -> str:
    """Writes a plan as a template; see ``Plan.to_cloudformation``.

    CloudFormation owns what it makes, so ``Plan.destroy`` leaves it alone: it has no plan tag.
    """
    resources: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    planned = exported(plan)
    if plan.security_group is not None:
        resources[_GROUP] = _group(plan, plan.security_group)
    for one in planned:
        name = "".join(word.capitalize() for word in words_of(one)) + "VpcEndpoint"
        resources[name] = _vpc_endpoint(plan, one)
        outputs[name] = {
            "Description": f"VPC endpoint of {one.endpoint_service}",
            "Value": {"Ref": name},
        }
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"VPC endpoints of {plan.vpc_id}",
        "Resources": resources,
        "Outputs": outputs,
    }
    return json.dumps(template, indent=2) + "\n"


def _group(plan: Blueprint, group: PlannedSecurityGroup) -> dict[str, Any]:
    rules = [
        {
            "CidrIpv6" if ":" in cidr else "CidrIp": cidr,
            "Description": RULE_DESCRIPTION,
            "IpProtocol": "tcp",
            "FromPort": HTTPS,
            "ToPort": HTTPS,
        }
        for cidr in group.cidrs
    ]
    return {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {
            "GroupDescription": GROUP_DESCRIPTION,
            "VpcId": plan.vpc_id,
            "SecurityGroupIngress": rules,
            **_tags(plan),
        },
    }


def _vpc_endpoint(plan: Blueprint, one: PlannedVpcEndpoint) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "VpcId": plan.vpc_id,
        "ServiceName": one.endpoint_service,
        "VpcEndpointType": one.kind,
    }
    if one.kind == "Gateway":
        properties["RouteTableIds"] = list(one.route_table_ids)
    else:
        properties["SubnetIds"] = [subnet.subnet_id for subnet in one.subnets]
        properties["PrivateDnsEnabled"] = one.private_dns
        made = [{"Fn::GetAtt": [_GROUP, "GroupId"]}] if plan.security_group else []
        properties["SecurityGroupIds"] = made or list(plan.security_group_ids)
    if one.policy:
        properties["PolicyDocument"] = json.loads(one.policy)
    return {"Type": "AWS::EC2::VPCEndpoint", "Properties": {**properties, **_tags(plan)}}


def _tags(plan: Blueprint) -> dict[str, Any]:
    if not plan.tags:
        return {}
    return {"Tags": [{"Key": key, "Value": value} for key, value in plan.tags]}
