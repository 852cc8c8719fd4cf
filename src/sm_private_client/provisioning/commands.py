"""A plan as AWS CLI commands."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from sm_private_client.provisioning.exporting import exported, words_of
from sm_private_client.provisioning.requests import (
    group_request,
    ingress_request,
    vpc_endpoint_request,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.provisioning.records import Blueprint

__all__ = ["cli_script"]

_GROUP = "security_group"


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
        found = f"{_GROUP}={group.found_id}"
        lines.append(found if group.found_id else _kept(_GROUP, made, "GroupId"))
        allowed = _command(plan, "authorize-security-group-ingress", ingress_request(group))
        # A group that is there may have the rule already, which EC2 refuses to make twice.
        unless = " || true" if group.found_id else ""
        lines.append(f'{allowed} --group-id "${_GROUP}" --output text{unless}')
    names = []
    for one in planned:
        name = "_".join(word.lower() for word in words_of(one)) + "_id"
        names.append(name)
        request = vpc_endpoint_request(plan, one, plan.security_group_ids)
        made = _command(plan, "create-vpc-endpoint", request)
        if group is not None and one.kind == "Interface":
            made += f' --security-group-ids "${_GROUP}"'
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
