"""Exports of a plan: a CloudFormation template, a Terraform configuration, an AWS CLI script."""

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
    RULE_DESCRIPTION,
    RULE_PORTS,
    group_request,
    ingress_request,
    vpc_endpoint_request,
    vpc_endpoint_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.provisioning.plan import Plan
    from sm_private_client.provisioning.records import PlannedVpcEndpoint

__all__ = ["cli_script", "cloudformation_template", "terraform_configuration"]

_PROVIDER_VERSION: Final = ">= 5.0"
"""The first with ``aws_vpc_security_group_ingress_rule`` in a stable form (4.56 brought it)."""


def _to_export(plan: Plan) -> tuple[PlannedVpcEndpoint, ...]:
    refuse_problems(plan)
    if not plan.to_make:
        existing = ", ".join(f"{one.found_id} for {one.service}" for one in plan.vpc_endpoints)
        raise ProvisioningError(
            f"The plan for {plan.vpc_id} has nothing to export: there is {existing}.",
            remedy="export a plan with something to make.",
        )
    return plan.to_make


def _words(planned: PlannedVpcEndpoint) -> list[str]:
    return re.findall(r"[A-Za-z0-9]+", planned.service)


def _snake_name(planned: PlannedVpcEndpoint) -> str:
    return "_".join(_words(planned)).lower()


# CloudFormation, whose properties have the names of EC2's parameters


def cloudformation_template(plan: Plan) -> str:
    """Return a plan as a template; see ``Plan.to_cloudformation``."""
    planned = _to_export(plan)
    tags = {"Tags": [{"Key": key, "Value": value} for key, value in plan.tags]} if plan.tags else {}
    resources: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    group_ids: list[Any] = list(plan.security_group_ids)
    if plan.security_group is not None:
        group_ids = [{"Fn::GetAtt": ["SecurityGroup", "GroupId"]}]
        rules = [
            {
                "CidrIpv6" if ":" in cidr else "CidrIp": cidr,
                "Description": RULE_DESCRIPTION,
                **RULE_PORTS,
            }
            for cidr in plan.security_group.cidrs
        ]
        properties = {
            "GroupDescription": GROUP_DESCRIPTION,
            "VpcId": plan.vpc_id,
            "SecurityGroupIngress": rules,
        }
        resources["SecurityGroup"] = {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": properties | tags,
        }
    for one in planned:
        name = "".join(word.capitalize() for word in _words(one)) + "VpcEndpoint"
        settings = vpc_endpoint_settings(plan, one, group_ids)
        if one.policy:
            settings["PolicyDocument"] = json.loads(one.policy)
        resources[name] = {"Type": "AWS::EC2::VPCEndpoint", "Properties": settings | tags}
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


# Terraform, whose arguments are EC2's parameters in snake case, but for the policy


def terraform_configuration(plan: Plan) -> str:
    """Return a plan as a ``.tf.json`` file; see ``Plan.to_terraform``."""
    planned = _to_export(plan)
    resources: dict[str, dict[str, Any]] = {}
    outputs: dict[str, Any] = {}
    group_ids = list(plan.security_group_ids)
    if (group := plan.security_group) is not None:
        group_ids = ["${aws_security_group.vpc_endpoints.id}"]
        resources["aws_security_group"] = {
            "vpc_endpoints": {
                # Not its name: an earlier run may have left a group of that name.
                "name_prefix": f"{group.name}-",
                "description": GROUP_DESCRIPTION,
                "vpc_id": plan.vpc_id,
                "tags": _terraform_tags(plan, group.name),
            }
        }
        resources["aws_vpc_security_group_ingress_rule"] = {
            f"https_{number}": {
                "security_group_id": group_ids[0],
                "cidr_ipv6" if ":" in cidr else "cidr_ipv4": cidr,
                **_snake_case(RULE_PORTS),
                "description": RULE_DESCRIPTION,
            }
            for number, cidr in enumerate(group.cidrs, 1)
        }
    for one in planned:
        name = _snake_name(one)
        arguments = _snake_case(vpc_endpoint_settings(plan, one, group_ids))
        if one.policy:
            arguments["policy"] = _literal(arguments.pop("policy_document"))
        arguments["tags"] = _terraform_tags(plan, one.service)
        resources.setdefault("aws_vpc_endpoint", {})[name] = arguments
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


def _snake_case(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {xform_name(key): value for key, value in parameters.items()}


def _terraform_tags(plan: Plan, name: str) -> dict[str, str]:
    tags = {"Name": name, **dict(plan.tags)}
    return {_literal(key): _literal(value) for key, value in tags.items()}


def _literal(text: str) -> str:
    """Escape a text: every string is a template for Terraform, as policy variables would be."""
    return text.replace("${", "$${").replace("%{", "%%{")


# AWS CLI


def cli_script(plan: Plan) -> str:
    """Return a plan as a shell script; see ``Plan.to_cli``."""
    planned = _to_export(plan)
    lines = [
        "#!/bin/sh",
        f"# Plan {plan.plan_id}: VPC endpoints in {plan.vpc_id}, {plan.region}",
        "set -eu",
    ]
    group = plan.security_group
    if group is not None:
        create = _command(plan, "create-security-group", group_request(plan, group))
        found = f"security_group={group.found_id}"
        lines.append(found if group.found_id else _assign("security_group", create, "GroupId"))
        allow = _command(plan, "authorize-security-group-ingress", ingress_request(group))
        # A group that exists may have the rule already, which EC2 refuses to make twice.
        unless = " || true" if group.found_id else ""
        lines.append(f'{allow} --group-id "$security_group" --output text{unless}')
    for one in planned:
        request = vpc_endpoint_request(plan, one, plan.security_group_ids)
        create = _command(plan, "create-vpc-endpoint", request)
        if group is not None and one.kind == "Interface":
            create += ' --security-group-ids "$security_group"'
        lines.append(_assign(f"{_snake_name(one)}_id", create, "VpcEndpoint.VpcEndpointId"))
    describe = _command(plan, "describe-vpc-endpoints", {})
    ids = " ".join(f'"${_snake_name(one)}_id"' for one in planned)
    query = shlex.quote("VpcEndpoints[].[VpcEndpointId, ServiceName, State]")
    lines.append(f"{describe} --vpc-endpoint-ids {ids} --query {query} --output text")
    return "\n".join(lines) + "\n"


def _command(plan: Plan, name: str, parameters: Mapping[str, Any]) -> str:
    words = ["aws", "ec2", name, "--region", plan.region]
    for key, value in parameters.items():
        option = xform_name(key, "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            words += [f"--{option}", *value]
        else:
            words += [f"--{option}", value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)


def _assign(variable: str, command: str, query: str) -> str:
    return f"{variable}=$({command} --query {query} --output text)"
