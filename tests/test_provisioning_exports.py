"""Exports of a plan: a CloudFormation template, Terraform JSON, AWS CLI commands."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client.errors import ProvisioningError
from sm_private_client.policy.building import EndpointPolicy
from sm_private_client.provisioning import Plan, plan_vpc_endpoints
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AWS_CLI = os.environ.get("TEST_AWS_CLI") or shutil.which("aws") or ""
"""The real AWS CLI; see tests/test_cli_exec.py."""

SERVICES = ("sagemaker", "sagemaker-runtime", "studio", "s3")
POLICY = EndpointPolicy(region="us-east-1", account_id="123456789012").allow(
    "sagemaker:InvokeEndpoint", endpoint="${aws:username}-*", principal="123456789012"
)
"""It has a policy variable, which Terraform would take for its own."""

CFN_LINT = "1.58.0"  # whose rules the template was written for
EXPORTS: list[Callable[[Plan], str]] = [Plan.to_cloudformation, Plan.to_terraform, Plan.to_cli]


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as running:
        yield running


@pytest.fixture(scope="module")
def plan(link: LocalPrivateLink) -> Plan:
    return plan_vpc_endpoints(
        link.session(),
        vpc_id=link.vpc_id,
        services=SERVICES,
        policy={"sagemaker-runtime": POLICY},
        tags={"team": "it's 5 > 4"},
    )


@pytest.fixture(scope="module")
def given(link: LocalPrivateLink) -> Plan:
    """A plan with security groups that are there, and without private DNS."""
    return plan_vpc_endpoints(
        link.session(),
        vpc_id=link.vpc_id,
        security_groups=[link.create_security_group(https_from=["10.0.0.0/16"])],
        private_dns=False,
    )


def subnet_ids(plan: Plan) -> list[str]:
    return [subnet.subnet_id for subnet in plan.vpc_endpoints[0].subnets]


# CloudFormation


def lint(template: str) -> list[str]:
    """Return what AWS's own linter says, which takes a second to import."""
    said = importlib.import_module("cfnlint.api").lint(template, regions=["us-east-1"])
    return [str(match) for match in said]


@pytest.mark.slow(reason="another project's linter")
@pytest.mark.parametrize("which", ["plan", "given"])
def test_cfn_lint_has_nothing_to_say(which: str, request: pytest.FixtureRequest) -> None:
    """AWS's own linter accepts the template, warnings included."""
    if importlib.metadata.version("cfn-lint") != CFN_LINT:
        pytest.skip("this cfn-lint may have rules that were not read")
    template = request.getfixturevalue(which).to_cloudformation()
    assert lint(template) == []


@pytest.mark.slow(reason="another project's linter")
def test_cfn_lint_would_say_something() -> None:
    """A resource without what it needs is not passed by."""
    broken = {"Resources": {"X": {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"Vpc": "v"}}}}
    assert lint(json.dumps(broken))


def test_the_template_has_what_the_plan_has(plan: Plan) -> None:
    """Group, rule, VPC endpoints, policy and tags; no tag of the plan, which does not own it."""
    template = json.loads(plan.to_cloudformation())
    resources = template["Resources"]
    assert list(resources) == [
        "SecurityGroup",
        "SagemakerVpcEndpoint",
        "SagemakerRuntimeVpcEndpoint",
        "StudioVpcEndpoint",
        "S3VpcEndpoint",
    ]
    runtime = resources["SagemakerRuntimeVpcEndpoint"]["Properties"]
    assert runtime == {
        "VpcId": plan.vpc_id,
        "ServiceName": "com.amazonaws.us-east-1.sagemaker.runtime",
        "VpcEndpointType": "Interface",
        "SubnetIds": subnet_ids(plan),
        "PrivateDnsEnabled": True,
        "SecurityGroupIds": [{"Fn::GetAtt": ["SecurityGroup", "GroupId"]}],
        "PolicyDocument": POLICY.as_dict(),
        "Tags": [{"Key": "team", "Value": "it's 5 > 4"}],
    }
    assert resources["S3VpcEndpoint"]["Properties"]["RouteTableIds"]
    assert plan.plan_id not in plan.to_cloudformation()
    assert set(template["Outputs"]) == set(resources) - {"SecurityGroup"}


# Terraform


def test_the_configuration_has_what_the_plan_has(plan: Plan) -> None:
    """Names and arguments are those of the provider hashicorp/aws."""
    configuration = json.loads(plan.to_terraform())
    assert configuration["provider"] == {"aws": {"region": "us-east-1"}}
    assert {kind: list(named) for kind, named in configuration["resource"].items()} == {
        "aws_security_group": ["vpc_endpoints"],
        "aws_vpc_security_group_ingress_rule": ["https_1"],
        "aws_vpc_endpoint": ["sagemaker", "sagemaker_runtime", "studio", "s3"],
    }
    assert configuration["resource"]["aws_vpc_endpoint"]["sagemaker"] == {
        "vpc_id": plan.vpc_id,
        "service_name": "com.amazonaws.us-east-1.sagemaker.api",
        "vpc_endpoint_type": "Interface",
        "tags": {"Name": "sagemaker", "team": "it's 5 > 4"},
        "subnet_ids": subnet_ids(plan),
        "private_dns_enabled": True,
        "security_group_ids": ["${aws_security_group.vpc_endpoints.id}"],
    }
    assert configuration["output"]["s3_vpc_endpoint_id"] == {"value": "${aws_vpc_endpoint.s3.id}"}


def test_policy_variables_are_literal_text_for_terraform(plan: Plan) -> None:
    """``${`` would begin an expression; Terraform reads ``$${`` as ``${``."""
    configuration = json.loads(plan.to_terraform())
    policy = configuration["resource"]["aws_vpc_endpoint"]["sagemaker_runtime"]["policy"]
    assert "endpoint/$${aws:username}-*" in policy
    assert json.loads(policy.replace("$${", "${")) == POLICY.as_dict()


def test_groups_that_were_given_are_named(given: Plan) -> None:
    """Nothing of them is configuration."""
    configuration = json.loads(given.to_terraform())["resource"]
    assert list(configuration) == ["aws_vpc_endpoint"]
    assert configuration["aws_vpc_endpoint"]["sagemaker"]["security_group_ids"] == list(
        given.security_group_ids
    )


# AWS CLI


@pytest.mark.slow(reason="another program, the AWS CLI")
@pytest.mark.skipif(not AWS_CLI, reason="there is no AWS CLI; TEST_AWS_CLI names one")
@pytest.mark.skipif(sys.platform == "win32", reason="the script is for a POSIX shell")
def test_the_commands_make_the_same_as_apply(plan: Plan, tmp_path: Path) -> None:
    """Run by a shell with the real AWS CLI; then the plan finds all of it, and takes it away."""
    # A simulator of its own, so that what was applied there before is in nobody's way.
    with LocalPrivateLink(services=()) as link:
        session = link.session()
        # A command of the AWS CLI takes half a second; the Runtime has all that the API has.
        services = SERVICES[1:]
        here = plan_vpc_endpoints(
            session,
            vpc_id=link.vpc_id,
            services=services,
            policy={"sagemaker-runtime": POLICY},
            tags=dict(plan.tags),
        )
        script = tmp_path / "create.sh"
        script.write_text(here.to_cli(), encoding="utf-8")
        path = os.pathsep.join([str(Path(AWS_CLI).parent), os.defpath])
        environ = {**link.environment(), "PATH": path, "AWS_PAGER": ""}
        ended = subprocess.run(  # noqa: S603 - our own interpreter
            ["/bin/sh", str(script)],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert (ended.stderr, ended.returncode) == ("", 0)
        by_script = described(session)
        again = plan_vpc_endpoints(session, vpc_id=link.vpc_id, services=services)
        assert [bool(one.found_id) for one in again.vpc_endpoints] == [True] * 3
        assert len(here.destroy()) == 4
        assert described(session) == []
        here.apply(verify=False)
        assert without_ids(described(session)) == without_ids(by_script)
        for one in again.vpc_endpoints:
            assert one.found_id in ended.stdout


def described(session: Any) -> list[dict[str, Any]]:
    ec2 = session.client("ec2")
    return list(ec2.describe_vpc_endpoints()["VpcEndpoints"])


def without_ids(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leaves out what EC2 makes up."""
    made_up = {"VpcEndpointId", "NetworkInterfaceIds", "DnsEntries", "CreationTimestamp", "Groups"}
    return [{key: value for key, value in one.items() if key not in made_up} for one in found]


def test_the_script_is_the_calls_of_apply(given: Plan) -> None:
    """Readable options, quoted; booleans as the AWS CLI has them."""
    script = given.to_cli()
    assert script.startswith("#!/bin/sh\n# Plan ")
    assert "set -eu\n" in script
    (command,) = [line for line in script.splitlines() if "sagemaker.runtime" in line]
    assert command.startswith(
        "sagemaker_runtime_id=$(aws ec2 create-vpc-endpoint --region us-east-1 "
        f"--vpc-id {given.vpc_id} --service-name com.amazonaws.us-east-1.sagemaker.runtime "
        f"--vpc-endpoint-type Interface --subnet-ids {' '.join(subnet_ids(given))} "
        f"--no-private-dns-enabled --security-group-ids {given.security_group_ids[0]} "
    )
    assert "--client-token " in command
    assert "create-security-group" not in script


def test_a_group_that_an_earlier_run_left_is_in_no_exports_way(plan: Plan) -> None:
    """A second one of its name would be refused: the script uses it, Terraform names its own."""
    assert plan.security_group is not None
    found = replace(plan.security_group, found_id="sg-0123456789abcdef0")
    again = replace(plan, security_group=found)
    script = again.to_cli()
    assert "\nsecurity_group=sg-0123456789abcdef0\n" in script
    assert "create-security-group" not in script
    (rule,) = [line for line in script.splitlines() if "authorize-security-group" in line]
    assert rule.endswith("|| true")
    assert "|| true" not in plan.to_cli()
    group = json.loads(again.to_terraform())["resource"]["aws_security_group"]["vpc_endpoints"]
    assert group["name_prefix"] == f"{found.name}-"
    assert "name" not in group
    template = json.loads(again.to_cloudformation())
    assert "GroupName" not in template["Resources"]["SecurityGroup"]["Properties"]


# What none of them writes


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.__name__)
def test_problems_and_plans_without_work_are_refused(
    link: LocalPrivateLink, export: Callable[[Plan], str]
) -> None:
    """A template that would fail, or is empty, helps nobody."""
    vpc = link.create_vpc()
    there = link.create_vpc_endpoint("sagemaker", vpc_id=vpc.vpc_id)
    session = link.session()
    with pytest.raises(ProvisioningError) as caught:
        export(plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, services="sagemaker"))
    assert caught.value.what == (
        f"The plan for {vpc.vpc_id} has nothing to export: there is {there.vpc_endpoint_id} for "
        "sagemaker."
    )
    link.set_dns_attributes(vpc_id=vpc.vpc_id, support=False)
    with pytest.raises(ProvisioningError, match="enableDnsSupport of"):
        export(plan_vpc_endpoints(session, vpc_id=vpc.vpc_id))
