"""What every export of a plan has in common: what it refuses, and how things are named."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from botocore import xform_name

from sm_private_client.errors import ProvisioningError
from sm_private_client.provisioning.checks import refuse_problems
from sm_private_client.provisioning.ec2_requests import (
    GROUP_DESCRIPTION,
    HTTPS,
    RULE_DESCRIPTION,
    group_request,
    ingress_request,
    vpc_endpoint_request,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.provisioning.records import (
        Blueprint,
        PlannedSecurityGroup,
        PlannedVpcEndpoint,
    )

__all__ = [
    "cli_script",
    "cloudformation_template",
    "exported",
    "terraform_configuration",
    "words_of",
]


def exported(plan: Blueprint) -> tuple[PlannedVpcEndpoint, ...]:
    """Gives what an export makes.

    Raises:
        ProvisioningError: The plan has problems, or there is nothing to make.
    """
    refuse_problems(plan)
    if not plan.to_make:
        there = ", ".join(f"{one.found_id} for {one.service}" for one in plan.vpc_endpoints)
        raise ProvisioningError(
            f"The plan for {plan.vpc_id} has nothing to export: there is {there}.",
            remedy="export a plan with something to make.",
        )
    return plan.to_make


def words_of(planned: PlannedVpcEndpoint) -> list[str]:
    """Splits the word of a service, such as ``sagemaker-runtime``, into letters and digits."""
    return re.findall(r"[A-Za-z0-9]+", planned.service)


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


_TERRAFORM_GROUP: Final = "vpc_endpoints"
_PROVIDER_VERSION: Final = ">= 5.0"
"""The first with ``aws_vpc_security_group_ingress_rule`` in a stable form (4.56 brought it)."""


def terraform_configuration(plan: Blueprint) -> str:
    """Writes a plan as a ``.tf.json`` file; see ``Plan.to_terraform``.

    Terraform owns what it makes, so ``Plan.destroy`` leaves it alone: it has no plan tag.
    """
    resources: dict[str, dict[str, Any]] = {}
    outputs: dict[str, Any] = {}
    planned = exported(plan)
    if plan.security_group is not None:
        resources["aws_security_group"] = {
            _TERRAFORM_GROUP: _terraform_group(plan, plan.security_group)
        }
        resources["aws_vpc_security_group_ingress_rule"] = _rules(plan.security_group)
    for one in planned:
        name = "_".join(word.lower() for word in words_of(one))
        resources.setdefault("aws_vpc_endpoint", {})[name] = _terraform_vpc_endpoint(plan, one)
        outputs[f"{name}_vpc_endpoint_id"] = {"value": f"${{aws_vpc_endpoint.{name}.id}}"}
    configuration = {
        "terraform": {
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": _PROVIDER_VERSION}}
        },
        "provider": {"aws": {"region": plan.region}},
        "resource": resources,
        "output": outputs,
    }
    return json.dumps(configuration, indent=2) + "\n"


def _terraform_group(plan: Blueprint, group: PlannedSecurityGroup) -> dict[str, Any]:
    return {
        "name_prefix": f"{group.name}-",  # an earlier run may have left one of the plan's name
        "description": GROUP_DESCRIPTION,
        "vpc_id": plan.vpc_id,
        "tags": _terraform_tags(plan, group.name),
    }


def _rules(group: PlannedSecurityGroup) -> dict[str, Any]:
    return {
        f"https_{number}": {
            "security_group_id": f"${{aws_security_group.{_TERRAFORM_GROUP}.id}}",
            "cidr_ipv6" if ":" in cidr else "cidr_ipv4": cidr,
            "ip_protocol": "tcp",
            "from_port": HTTPS,
            "to_port": HTTPS,
            "description": RULE_DESCRIPTION,
        }
        for number, cidr in enumerate(group.cidrs, 1)
    }


def _terraform_vpc_endpoint(plan: Blueprint, one: PlannedVpcEndpoint) -> dict[str, Any]:
    made: dict[str, Any] = {
        "vpc_id": plan.vpc_id,
        "service_name": one.endpoint_service,
        "vpc_endpoint_type": one.kind,
        "tags": _terraform_tags(plan, one.service),
    }
    if one.kind == "Gateway":
        made["route_table_ids"] = list(one.route_table_ids)
    else:
        made["subnet_ids"] = [subnet.subnet_id for subnet in one.subnets]
        made["private_dns_enabled"] = one.private_dns
        created = [f"${{aws_security_group.{_TERRAFORM_GROUP}.id}}"] if plan.security_group else []
        made["security_group_ids"] = created or list(plan.security_group_ids)
    if one.policy:
        made["policy"] = _literal(one.policy)
    return made


def _terraform_tags(plan: Blueprint, name: str) -> dict[str, str]:
    given = {"Name": name, **dict(plan.tags)}
    return {_literal(key): _literal(value) for key, value in given.items()}


def _literal(text: str) -> str:
    """Every string is a template for Terraform: policy variables would be taken for its own."""
    return text.replace("${", "$${").replace("%{", "%%{")


_SHELL_GROUP = "security_group"


def cli_script(plan: Blueprint) -> str:
    """Writes a plan as a shell script; see ``Plan.to_cli``.

    The commands are the calls that ``Plan.apply`` makes, tags and client tokens included, so
    ``Plan.destroy`` removes what they made.
    """
    planned = exported(plan)
    lines = [
        "#!/bin/sh",
        f"# Plan {plan.plan_id}: VPC endpoints in {plan.vpc_id}, {plan.region}",
        "set -eu",
    ]
    group = plan.security_group
    if group is not None:
        made = _command(plan, "create-security-group", group_request(plan, group))
        found = f"{_SHELL_GROUP}={group.found_id}"
        lines.append(found if group.found_id else _kept(_SHELL_GROUP, made, "GroupId"))
        allowed = _command(plan, "authorize-security-group-ingress", ingress_request(group))
        # A group that is there may have the rule already, which EC2 refuses to make twice.
        unless = " || true" if group.found_id else ""
        lines.append(f'{allowed} --group-id "${_SHELL_GROUP}" --output text{unless}')
    names = []
    for one in planned:
        name = "_".join(word.lower() for word in words_of(one)) + "_id"
        names.append(name)
        request = vpc_endpoint_request(plan, one, plan.security_group_ids)
        made = _command(plan, "create-vpc-endpoint", request)
        if group is not None and one.kind == "Interface":
            made += f' --security-group-ids "${_SHELL_GROUP}"'
        lines.append(_kept(name, made, "VpcEndpoint.VpcEndpointId"))
    ids = " ".join(f'"${name}"' for name in names)
    shown = _command(plan, "describe-vpc-endpoints", {})
    query = shlex.quote("VpcEndpoints[].[VpcEndpointId, ServiceName, State]")
    lines.append(f"{shown} --vpc-endpoint-ids {ids} --query {query} --output text")
    return "\n".join(lines) + "\n"


def _command(plan: Blueprint, name: str, parameters: Mapping[str, Any]) -> str:
    words = ["aws", "ec2", name, "--region", plan.region]
    for key, value in parameters.items():
        option = f"--{xform_name(key, '-')}"
        if value is True:
            words.append(option)
        elif value is False:
            words.append(option.replace("--", "--no-", 1))
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            words += [option, *value]
        else:
            words += [option, value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)


def _kept(variable: str, command: str, query: str) -> str:
    return f"{variable}=$({command} --query {query} --output text)"
