"""``sm-private-client endpoints`` in played VPCs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from at_a_terminal import SCRIPT, answered
from sm_private_client.cli import main
from sm_private_client.cli.console import ProgressLines
from sm_private_client.provisioning import plan_vpc_endpoints
from sm_private_client.provisioning.progress import Progress
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from sm_private_client.testing.topology import Vpc

SERVICES = ["--service", "sagemaker-runtime", "--service", "s3"]
POLICY = {
    "Statement": {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "sagemaker:InvokeEndpoint",
        "Resource": "*",
    }
}
NOBODY = """\
Nobody can be asked whether to {action}; nothing was changed.
Cause: standard input or standard error is no terminal.
Remedy: pass --yes if that is meant, or run it on a terminal.
See docs/errors.md#configuration
"""


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as running:
        yield running


@pytest.fixture
def vpc(link: LocalPrivateLink) -> Vpc:
    """A VPC without VPC endpoints that no other test touches; nothing in it is reached."""
    return link.create_vpc()


def run(link: LocalPrivateLink, *argv: str) -> int:
    return main(["endpoints", *argv], make_session=link.session)


def described(link: LocalPrivateLink, vpc_id: str) -> list[Any]:
    found = (
        link.session()
        .client("ec2")
        .describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["VpcEndpoints"]
    )
    return [one for one in found if one["State"].lower() not in ("deleting", "deleted")]


def groups(link: LocalPrivateLink, vpc_id: str) -> list[str]:
    found = (
        link.session()
        .client("ec2")
        .describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])[
            "SecurityGroups"
        ]
    )
    return [one["GroupName"] for one in found if one["GroupName"].startswith("sm-private-client")]


def changing(calls: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in calls.items() if not name.startswith("ec2:Describe")}


# list


def test_list_is_a_table_of_what_ec2_shows(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row each: id, service, state, VPC, zones, private DNS, policy, plan; the oldest first."""
    ec2 = link.session().client("ec2")
    first = link.create_vpc_endpoint("sagemaker", vpc_id=vpc.vpc_id, private_dns=True)
    second = link.create_vpc_endpoint(
        "sagemaker-runtime", vpc_id=vpc.vpc_id, zones=["us-east-1b"], fips=True
    )
    gateway = ec2.create_vpc_endpoint(
        VpcId=vpc.vpc_id,
        ServiceName="com.amazonaws.us-east-1.s3",
        PolicyDocument=json.dumps(POLICY),
    )["VpcEndpoint"]["VpcEndpointId"]
    link.set_state(second.vpc_endpoint_id, "pending")
    before = link.calls.copy()
    assert run(link, "list", "--vpc-id", vpc.vpc_id) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "VPC endpoint"
    expected = {
        first.vpc_endpoint_id: [
            "sagemaker", "available", vpc.vpc_id, "us-east-1a,us-east-1b", "on", "default", "-",
        ],
        second.vpc_endpoint_id: [
            "sagemaker-runtime (FIPS)", "pending", vpc.vpc_id, "us-east-1b", "off", "default", "-",
        ],
        gateway: ["s3 (gateway)", "available", vpc.vpc_id, "-", "-", "own", "-"],
    }  # fmt: skip
    cells = [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows]
    assert {row[0]: row[1:] for row in cells} == expected
    assert changing(link.calls - before) == {}


def test_list_as_json_has_the_policy_as_a_document(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record each, with everything that EC2 told and what the table adds."""
    vpc_endpoint_id = link.create_vpc_endpoint("sts", vpc_id=vpc.vpc_id).vpc_endpoint_id
    link.create_vpc_endpoint("sagemaker", vpc_id=vpc.vpc_id)
    argv = ["list", "--vpc-id", vpc.vpc_id, "--service", "sts", "--json"]
    assert run(link, *argv) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["vpc_endpoint_id"], record["service"]) == (vpc_endpoint_id, "sts")
    assert record["availability_zones"] == ["us-east-1a", "us-east-1b"]
    assert (record["default_policy"], record["plan_id"]) == (True, "")
    assert record["policy"]["Statement"][0]["Action"] == "*"


def test_list_leaves_other_services_out_and_says_where_there_is_none(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the family and the other services are listed; an empty list is no error."""
    ec2 = link.session().client("ec2")
    name = "com.amazonaws.us-east-1.ecs"
    ec2.create_vpc_endpoint(VpcId=vpc.vpc_id, ServiceName=name, VpcEndpointType="Interface")
    assert run(link, "list", "--vpc-id", vpc.vpc_id) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"EC2 shows no such VPC endpoint in {vpc.vpc_id} in us-east-1.\n"
    assert run(link, "list", "--vpc-id", vpc.vpc_id, "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_list_goes_without_zones_where_subnets_are_not_shown(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without ec2:DescribeSubnets the rest is worth showing; the permission is named."""
    link.create_vpc_endpoint("sagemaker", vpc_id=vpc.vpc_id)
    with link.faults.deny("ec2:DescribeSubnets"):
        assert run(link, "list", "--vpc-id", vpc.vpc_id) == 0
    shown = capsys.readouterr()
    assert "  unknown  " in shown.out
    assert "Remedy: allow ec2:DescribeSubnets for it." in shown.err


def test_list_filters_by_the_words_that_plans_take(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """FIPS belongs to its service; a word that nothing is listed by is wrong usage."""
    for service, fips in (
        ("sagemaker-runtime", True),
        ("sagemaker-runtime", False),
        ("kms", False),
    ):
        link.create_vpc_endpoint(service, vpc_id=vpc.vpc_id, fips=fips)
    argv = ["list", "--vpc-id", vpc.vpc_id, "--json", "--service"]
    assert run(link, *argv, "sagemaker-runtime") == 0
    names = [record["service"] for record in json.loads(capsys.readouterr().out)]
    assert sorted(names) == ["sagemaker-runtime", "sagemaker-runtime (FIPS)"]
    assert run(link, *argv, "notebook") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(link, *argv, "sagmaker") == 2
    assert "'sagmaker' is no service that is listed" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "plan", "export", "create", "destroy"])
def test_a_missing_permission_is_named(
    command: str, link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """If EC2 may not be asked, each command names what to allow, and changes nothing."""
    argv = {
        "export": ["--format", "cli"],
        "create": ["--yes"],
        "destroy": ["--yes"],
    }.get(command, [])
    before = link.calls.copy()
    with link.faults.deny("ec2:DescribeVpcEndpoints"):
        assert run(link, command, "--vpc-id", vpc.vpc_id, *argv) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Remedy: allow ec2:DescribeVpcEndpoints for it." in shown.err
    assert changing(link.calls - before) == {}


# plan


def test_plan_shows_what_the_package_plans(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text is the plan's own, the JSON its ``as_dict()``, and nothing is changed."""
    before = link.calls.copy()
    assert run(link, "plan", "--vpc-id", vpc.vpc_id) == 0
    meant = plan_vpc_endpoints(link.session(), vpc_id=vpc.vpc_id)
    assert capsys.readouterr() == (f"{meant}\n", "")
    assert run(link, "plan", "--vpc-id", vpc.vpc_id, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(meant.as_dict()))
    assert changing(link.calls - before) == {}


def test_every_option_is_in_the_plan(
    link: LocalPrivateLink, vpc: Vpc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Services, subnet, security group, private DNS, policy and tags are what was asked for."""
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY), encoding="utf-8")
    ec2 = link.session().client("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc.vpc_id]}])["Subnets"][
        0
    ]
    group = ec2.create_security_group(GroupName="own", Description="own", VpcId=vpc.vpc_id)
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"], IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.0.0.0/8"
    )
    status = run(
        link,
        *["plan", "--vpc-id", vpc.vpc_id, "--service", "sagemaker-runtime", "--service", "studio"],
        *["--subnet", subnet["SubnetId"], "--security-group", group["GroupId"]],
        *["--no-private-dns", "--policy", str(policy), "--tag", "team=ml", "--tag", "a=b=c"],
        "--json",
    )
    record = json.loads(capsys.readouterr().out)
    runtime, studio = record["vpc_endpoints"]
    assert status == 0, record["problems"]
    assert [runtime["service"], studio["service"]] == ["sagemaker-runtime", "studio"]
    assert [one["subnet_id"] for one in runtime["subnets"]] == [subnet["SubnetId"]]
    assert record["security_group_ids"] == [group["GroupId"]]
    assert (runtime["private_dns"], record["tags"]) == (False, {"team": "ml", "a": "b=c"})
    assert json.loads(runtime["policy"])["Statement"][0]["Action"] == "sagemaker:InvokeEndpoint"
    assert studio["policy"] == ""


def test_a_plan_with_problems_is_shown_and_not_applied(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 with the setting to change; create does not begin, nor does export."""
    link.set_dns_attributes(vpc_id=vpc.vpc_id, hostnames=False)
    assert run(link, "plan", "--vpc-id", vpc.vpc_id) == 1
    assert "enableDnsHostnames" in capsys.readouterr().out
    before = link.calls.copy()
    for argv in (["create", "--yes"], ["create", "--dry-run"], ["export", "--format", "cli"]):
        assert run(link, *argv, "--vpc-id", vpc.vpc_id) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "enableDnsHostnames" in shown.err
        assert "See docs/errors.md#provisioning" in shown.err
    assert changing(link.calls - before) == {}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Missing option '--vpc-id'"),
        (["--vpc-id", "vpc-1"], "There is no VPC vpc-1 in us-east-1 that this account sees."),
        (["--vpc-id", "VPC", "--service", "sagmaker"], "did you mean 'sagemaker'?"),
        (["--vpc-id", "VPC", "--subnet", "subnet-1"], "subnets names subnet-1"),
        (["--vpc-id", "VPC", "--security-group", "sg-1"], "security_groups names sg-1"),
        (["--vpc-id", "VPC", "--tag", "team"], "--tag 'team' is not of the form KEY=VALUE"),
        (["--vpc-id", "VPC", "--tag", "a=1", "--tag", "a=2"], "--tag gives 'a' twice"),
        (["--vpc-id", "VPC", "--tag", "aws:a=1"], "'aws:'"),
        (["--vpc-id", "VPC", "--policy", "none.json"], "'none.json' cannot be read"),
    ],
)
def test_what_cannot_be_planned_is_wrong_usage(
    argv: list[str], message: str, link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, the option's value and what is wrong with it; nothing was changed."""
    before = link.calls.copy()
    named = [link.vpc_id if word == "VPC" else word for word in argv]
    for command in (["plan"], ["create", "--yes"]):
        assert run(link, *command, *named) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert message in " ".join(shown.err.split())
    assert changing(link.calls - before) == {}


def test_a_policy_that_aws_would_refuse_is_refused_first(
    link: LocalPrivateLink, vpc: Vpc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, the place and the remedy; nothing was made."""
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY).replace("Invoke", "Invok"), encoding="utf-8")
    before = link.calls.copy()
    for command in (["plan"], ["create", "--yes"]):
        assert run(link, *command, "--vpc-id", vpc.vpc_id, "--policy", str(policy)) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "did you mean sagemaker:InvokeEndpoint?" in shown.err
    assert changing(link.calls - before) == {}


# create and destroy


def test_create_makes_it_once_and_destroy_takes_it_away(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was made is verified and told; again it is found; destroy removes that and no more."""
    other = link.create_vpc_endpoint("sts").vpc_endpoint_id
    argv = ["create", "--vpc-id", link.vpc_id, *SERVICES, "--yes"]
    assert run(link, *argv) == 0
    shown = capsys.readouterr()
    assert [line.split()[0] for line in shown.out.splitlines()[:3]] == ["made"] * 3
    assert (
        "  verified: interface VPC endpoint com.amazonaws.us-east-1.sagemaker.runtime at 10."
        in (shown.err)
    )
    plan_id = shown.out.rpartition("--plan ")[2].split()[0]
    before = link.calls.copy()
    assert run(link, *argv, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["plan_id"], record["made"]) == (plan_id, [])
    assert set(record["vpc_endpoint_ids"]) == {"sagemaker-runtime", "s3"}
    assert changing(link.calls - before) == {}

    created = {one["VpcEndpointId"] for one in described(link, link.vpc_id)} - {other}
    assert set(record["vpc_endpoint_ids"].values()) == created
    assert run(link, "destroy", "--dry-run", "--json") == 0
    (planned,) = json.loads(capsys.readouterr().out)["would_remove"]
    assert (planned["plan_id"], planned["vpc_id"]) == (plan_id, link.vpc_id)
    assert created < set(planned["resources"])
    assert changing(link.calls - before) == {}

    assert run(link, "destroy", "--plan", plan_id, "--yes", "--json") == 0
    removed = json.loads(capsys.readouterr().out)
    assert set(removed["removed"]) == set(planned["resources"])
    assert [one["VpcEndpointId"] for one in described(link, link.vpc_id)] == [other]
    assert groups(link, link.vpc_id) == []
    assert run(link, "destroy", "--yes") == 0
    assert capsys.readouterr().out == "Nothing here was made by this program.\n"


def test_destroy_takes_one_plan_at_a_time(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """If several plans made something, one has to be named, by an id that is there."""
    for service in ("sagemaker", "sts"):
        argv = ["create", "--vpc-id", vpc.vpc_id, "--service", service, "--yes", "--no-verify"]
        assert run(link, *argv) == 0
    before = link.calls.copy()
    capsys.readouterr()
    assert run(link, "destroy", "--vpc-id", vpc.vpc_id, "--yes") == 2
    assert "There are several plans: " in capsys.readouterr().err
    assert run(link, "destroy", "--vpc-id", vpc.vpc_id, "--plan", "0123", "--yes") == 1
    assert capsys.readouterr().err.startswith(f"Nothing of plan 0123 is in {vpc.vpc_id}.\n")
    assert changing(link.calls - before) == {}
    assert run(link, "destroy", "--vpc-id", vpc.vpc_id, "--dry-run") == 0
    plans = [line.split()[1] for line in capsys.readouterr().out.splitlines() if "made in" in line]
    assert run(link, "destroy", "--plan", plans[0], "--yes") == 0
    assert len(described(link, vpc.vpc_id)) == len(groups(link, vpc.vpc_id)) == 1
    assert run(link, "destroy", "--vpc-id", vpc.vpc_id, "--yes") == 0
    assert described(link, vpc.vpc_id) == groups(link, vpc.vpc_id) == []


def test_a_dry_run_names_missing_permissions(
    link: LocalPrivateLink, vpc: Vpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """EC2 is asked with DryRun: status 1 if it would refuse a call, and nothing is made."""
    argv = ["create", "--vpc-id", vpc.vpc_id, "--dry-run"]
    assert run(link, *argv) == 0
    assert "allowed   ec2:CreateVpcEndpoint" in capsys.readouterr().out
    with link.faults.deny("ec2:CreateVpcEndpoint"):
        assert run(link, *argv, "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert record["missing"] == ["ec2:CreateVpcEndpoint"]
    assert {one["permission"] for one in record["calls"]} > {"ec2:CreateSecurityGroup"}
    assert described(link, vpc.vpc_id) == groups(link, vpc.vpc_id) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("ec2:CreateVpcEndpoint", "Remedy: allow ec2:CreateVpcEndpoint for it."),
        ("unverified", "No connection to vpce-"),
    ],
)
def test_a_failed_create_leaves_nothing_behind(
    fault: str, message: str, link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, the three-part text, and what was made is removed again."""
    before = described(link, link.vpc_id)
    argv = ["create", "--vpc-id", link.vpc_id, "--service", "sagemaker-metrics", "--yes"]
    argv += ["--timeout", "1"]  # or it would try to connect for a minute
    faults = link.faults
    with faults.certificate("other.example") if fault == "unverified" else faults.deny(fault):
        assert run(link, *argv) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert "What it had made was removed again." in shown.err
    assert "Traceback" not in shown.err
    assert described(link, link.vpc_id) == before
    assert groups(link, link.vpc_id) == []


@pytest.mark.parametrize(
    ("argv", "deed"),
    [
        (["create", "--vpc-id", "vpc-1"], "make VPC endpoints in vpc-1"),
        (["destroy"], "remove VPC endpoints"),
        (["destroy", "--plan", "0123", "--json"], "remove VPC endpoints"),
    ],
)
def test_without_a_terminal_or_yes_nothing_is_even_looked_at(
    argv: list[str], deed: str, link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, a text that says why, and no call at all."""
    before = link.calls.copy()
    assert run(link, *argv) == 2
    assert capsys.readouterr() == ("", NOBODY.format(action=deed))
    assert link.calls == before


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(b"yes\n", 0, id="yes"),
        pytest.param(
            b"n\n", 1, id="no", marks=pytest.mark.slow(reason="a program of its own for each key")
        ),
        pytest.param(b"\x03", 130, id="ctrl-c"),
    ],
)
def test_the_question_on_a_terminal(
    answer: bytes, status: int, link: LocalPrivateLink, vpc: Vpc, tmp_path: Path
) -> None:
    """The plan is shown first; only yes makes it, and only yes removes it."""
    environ = {**os.environ, **link.environment()}
    create = ["create", "--vpc-id", vpc.vpc_id, "--service", "sagemaker-runtime", "--no-verify"]
    before = link.calls.copy()
    ended, shown = answered(["endpoints", *create], answer, environ=environ, cwd=tmp_path)
    assert ended == status, shown
    assert "Traceback" not in shown
    assert shown.index("Cost an hour: ") < shown.index(f"Make this in {vpc.vpc_id}? [y/N] ")
    assert len(described(link, vpc.vpc_id)) == int(status == 0)
    if status:
        assert changing(link.calls - before) == {}
        assert run(link, *create, "--yes") == 0
    before = link.calls.copy()
    ended, shown = answered(
        ["endpoints", "destroy", "--vpc-id", vpc.vpc_id], answer, environ=environ, cwd=tmp_path
    )
    assert ended == status, shown
    assert shown.index(" made in ") < shown.index("Remove it? [y/N] ")
    assert len(described(link, vpc.vpc_id)) == int(status != 0)
    if status:
        assert changing(link.calls - before) == {}
        assert run(link, "destroy", "--vpc-id", vpc.vpc_id, "--yes") == 0


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_create_that_is_ended_removes_what_it_made(
    sent: signal.Signals, status: int, link: LocalPrivateLink, vpc: Vpc
) -> None:
    """A run that is ended while it tries to connect leaves nothing behind."""
    create = ["create", "--vpc-id", vpc.vpc_id, "--service", "sagemaker-runtime", "--yes"]
    with subprocess.Popen(  # noqa: S603 - our own program
        [str(SCRIPT), "endpoints", *create],
        env={**os.environ, **link.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "waiting: connecting" in line:
                process.send_signal(sent)
                break
        out, rest = process.communicate(timeout=240)
    assert (process.returncode, out) == (status, "")
    assert "Traceback" not in rest
    assert described(link, vpc.vpc_id) == groups(link, vpc.vpc_id) == []


# export


@pytest.mark.parametrize(
    ("form", "begins"),
    [("cloudformation", "{"), ("terraform", "{"), ("cli", "#!/bin/sh\n")],
)
def test_export_writes_the_plan_for_others(
    form: str,
    begins: str,
    link: LocalPrivateLink,
    vpc: Vpc,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On stdout or into a file of mode 0600 stands what the plan gives; nothing is changed."""
    before = link.calls.copy()
    argv = ["export", "--vpc-id", vpc.vpc_id, "--format", form]
    assert run(link, *argv) == 0
    text = capsys.readouterr().out
    plan = plan_vpc_endpoints(link.session(), vpc_id=vpc.vpc_id)
    assert text.rstrip("\n") == getattr(plan, f"to_{form}")().rstrip("\n")
    assert text.startswith(begins)
    out = tmp_path / "exported"
    assert run(link, *argv, "--out", str(out), "--json") == 0
    assert (out.read_text(encoding="utf-8"), out.stat().st_mode & 0o777) == (text, 0o600)
    record = json.loads(capsys.readouterr().out)
    assert (record["format"], record["path"], record["text"]) == (form, str(out), text)
    assert record["plan_id"] == plan.plan_id
    assert changing(link.calls - before) == {}


@pytest.mark.parametrize(
    ("argv", "status"), [([], 2), (["--format", "pulumi"], 2), (["--format", "cli"], 1)]
)
def test_export_needs_a_format_and_something_to_make(
    argv: list[str], status: int, link: LocalPrivateLink, vpc: Vpc, tmp_path: Path
) -> None:
    """An unknown format is wrong usage; if all is there already, no file is written."""
    link.create_vpc_endpoint("sagemaker", vpc_id=vpc.vpc_id, private_dns=True)
    out = tmp_path / "exported"
    options = ["--vpc-id", vpc.vpc_id, "--service", "sagemaker", "--out", str(out)]
    assert run(link, "export", *options, *argv) == status
    assert list(tmp_path.glob("*exported*")) == []


# how it speaks


def test_a_wait_is_told_of_again_after_half_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """A wait that looks every five seconds does not fill the screen."""
    progress = ProgressLines()
    for seconds in (0.0, 5.0, 10.0, 30.0, 35.0):
        progress(Progress(state="waiting", what="sagemaker is pending", seconds=seconds))
    progress(Progress(state="available", what="sagemaker", resource_id="vpce-1", seconds=40.0))
    assert capsys.readouterr().err == (
        "  0.0 s  waiting: sagemaker is pending\n"
        " 30.0 s  waiting: sagemaker is pending\n"
        " 40.0 s  available: sagemaker (vpce-1)\n"
    )


@pytest.mark.parametrize("command", ["list", "plan", "create", "destroy", "export"])
def test_help_has_examples_and_exit_statuses(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command's help has examples and its exit statuses."""
    assert main(["endpoints", command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Examples:\n    sm-private-client endpoints {command}" in shown
    assert "Exit status: 0 " in shown


def test_the_group_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the group says which there are, as wrong usage."""
    assert main(["endpoints"]) == 2
    shown = capsys.readouterr()
    for name in ("list", "plan", "create", "destroy", "export"):
        assert f"\n  {name} " in shown.out + shown.err
