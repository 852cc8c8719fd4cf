"""A plan as a Terraform configuration in JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.provisioning.exporting import exported, words_of
from sm_private_client.provisioning.requests import GROUP_DESCRIPTION, HTTPS, RULE_DESCRIPTION

if TYPE_CHECKING:
    from sm_private_client.provisioning.records import (
        Blueprint,
        PlannedSecurityGroup,
        PlannedVpcEndpoint,
    )

__all__ = ["terraform_configuration"]

_GROUP: Final = "vpc_endpoints"
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
        resources["aws_security_group"] = {_GROUP: _group(plan, plan.security_group)}
        resources["aws_vpc_security_group_ingress_rule"] = _rules(plan.security_group)
    for one in planned:
        name = "_".join(word.lower() for word in words_of(one))
        resources.setdefault("aws_vpc_endpoint", {})[name] = _vpc_endpoint(plan, one)
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


def _group(plan: Blueprint, group: PlannedSecurityGroup) -> dict[str, Any]:
    return {
        "name_prefix": f"{group.name}-",  # an earlier run may have left one of the plan's name
        "description": GROUP_DESCRIPTION,
        "vpc_id": plan.vpc_id,
        "tags": _tags(plan, group.name),
    }


def _rules(group: PlannedSecurityGroup) -> dict[str, Any]:
    return {
        f"https_{number}": {
            "security_group_id": f"${{aws_security_group.{_GROUP}.id}}",
            "cidr_ipv6" if ":" in cidr else "cidr_ipv4": cidr,
            "ip_protocol": "tcp",
            "from_port": HTTPS,
            "to_port": HTTPS,
            "description": RULE_DESCRIPTION,
        }
        for number, cidr in enumerate(group.cidrs, 1)
    }


def _vpc_endpoint(plan: Blueprint, one: PlannedVpcEndpoint) -> dict[str, Any]:
    made: dict[str, Any] = {
        "vpc_id": plan.vpc_id,
        "service_name": one.endpoint_service,
        "vpc_endpoint_type": one.kind,
        "tags": _tags(plan, one.service),
    }
    if one.kind == "Gateway":
        made["route_table_ids"] = list(one.route_table_ids)
    else:
        made["subnet_ids"] = [subnet.subnet_id for subnet in one.subnets]
        made["private_dns_enabled"] = one.private_dns
        created = [f"${{aws_security_group.{_GROUP}.id}}"] if plan.security_group else []
        made["security_group_ids"] = created or list(plan.security_group_ids)
    if one.policy:
        made["policy"] = _literal(one.policy)
    return made


def _tags(plan: Blueprint, name: str) -> dict[str, str]:
    given = {"Name": name, **dict(plan.tags)}
    return {_literal(key): _literal(value) for key, value in given.items()}


def _literal(text: str) -> str:
    """Every string is a template for Terraform: policy variables would be taken for its own."""
    return text.replace("${", "$${").replace("%{", "%%{")
