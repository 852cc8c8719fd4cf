"""Applying a plan, undoing what failed, removing it: nothing stays behind, or is made twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse

from sm_private_client.errors import DiscoveryError, ProvisioningError
from sm_private_client.privatelink.ec2 import PLAN_TAG
from sm_private_client.provisioning import Plan, list_vpc_endpoints, plan_vpc_endpoints
from sm_private_client.session import Session
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.provisioning.progress import Progress

RUNTIME = "com.amazonaws.us-east-1.sagemaker.runtime"
CHANGES = (
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "CreateVpcEndpoint",
    "DeleteVpcEndpoints",
    "DeleteSecurityGroup",
)


@pytest.fixture(scope="module")
def running() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as link:
        yield link


@pytest.fixture(scope="module")
def ec2(running: LocalPrivateLink) -> Any:
    return running.session().client("ec2")


@pytest.fixture
def link(running: LocalPrivateLink, ec2: Any) -> Iterator[LocalPrivateLink]:
    """The shared simulator, which is left as empty as it was."""
    yield running
    running.faults.clear()
    for found in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        running.delete_vpc_endpoint(found["VpcEndpointId"])
    for group_id in groups(ec2):
        ec2.delete_security_group(GroupId=group_id)


@pytest.fixture
def session(link: LocalPrivateLink) -> Session:
    return link.session()


@pytest.fixture(scope="module")
def planned(running: LocalPrivateLink) -> Plan:
    return plan_vpc_endpoints(running.session(), vpc_id=running.vpc_id, tags={"team": "risk"})


@pytest.fixture
def plan(session: Session, planned: Plan) -> Plan:
    """The plan of the empty VPC, with a session of the test's own."""
    return replace(planned, session=session)


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def groups(ec2: Any) -> list[str]:
    found = ec2.describe_security_groups(Filters=[{"Name": "tag-key", "Values": [PLAN_TAG]}])
    return [group["GroupId"] for group in found["SecurityGroups"]]


def vpc_endpoint_ids(ec2: Any) -> list[str]:
    return [found["VpcEndpointId"] for found in ec2.describe_vpc_endpoints()["VpcEndpoints"]]


def on(state: str, what: str, do: Callable[[Progress], object]) -> Callable[[Progress], None]:
    """Return a progress that does something at the first report of a step."""
    done: list[Progress] = []

    def report(progress: Progress) -> None:
        if progress.state == state and what in progress.what and not done:
            done.append(progress)
            do(progress)

    return report


def answered(session: Session, operation: str, status: int, parsed: dict[str, Any]) -> list[str]:
    """Answer an EC2 operation in place of EC2; return the calls."""
    calls: list[str] = []

    def answer(**_: object) -> tuple[AWSResponse, dict[str, Any]]:
        calls.append(operation)
        return AWSResponse("http://x", status, {}, None), parsed  # type: ignore[arg-type] # no body

    events: Any = session.events  # typed as if no handler could answer
    events.register(f"before-call.ec2.{operation}", answer)
    return calls


# What works


def test_a_plan_is_applied_and_its_clients_work(
    link: LocalPrivateLink, session: Session, plan: Plan, ec2: Any
) -> None:
    """Group, rule and VPC endpoints are there with their tags, and were connected to."""
    reports: list[Progress] = []
    applied = plan.apply(progress=reports.append)
    assert list(applied.made) == [*groups(ec2), *vpc_endpoint_ids(ec2)]
    assert applied.security_group_id == groups(ec2)[0]
    (group,) = ec2.describe_security_groups(GroupIds=groups(ec2))["SecurityGroups"]
    (permission,) = group["IpPermissions"]
    assert [r["CidrIp"] for r in permission["IpRanges"]] == ["10.0.0.0/16"]
    assert (permission["FromPort"], permission["ToPort"]) == (443, 443)
    for vpc_endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        tags = {tag["Key"]: tag["Value"] for tag in vpc_endpoint["Tags"]}
        assert (tags["team"], tags[PLAN_TAG]) == ("risk", plan.plan_id)
        assert vpc_endpoint["PrivateDnsEnabled"]
        assert [g["GroupId"] for g in vpc_endpoint["Groups"]] == groups(ec2)
    verified = [str(one).partition(" (")[0] for one in reports if one.state == "verified"]
    assert verified == [
        "verified: interface VPC endpoint com.amazonaws.us-east-1.sagemaker.api at 10.0.0.10",
        f"verified: interface VPC endpoint {RUNTIME} at 10.0.0.11",
    ]
    assert session.route("sagemaker").source == "private-dns"
    assert session.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert (link.internet.connections, len(link.requests)) == (0, 1)


def test_other_services_gateways_and_browsers_are_made_and_verified(
    link: LocalPrivateLink, session: Session
) -> None:
    """What only browsers use is connected to without TLS; a gateway has nothing to connect to."""
    reports: list[Progress] = []
    services = ("sts", "s3", "s3-interface", "notebook", "studio", "logs")
    plan = plan_vpc_endpoints(session, vpc_id=link.vpc_id, services=services, private_dns=False)
    applied = plan.apply(progress=reports.append)
    assert set(applied.vpc_endpoint_ids) == set(services)
    assert sum(one.state == "verified" for one in reports) == len(services) - 1
    assert sum(one.state == "available" for one in reports) == len(services)


def test_applying_twice_makes_nothing_twice(
    link: LocalPrivateLink, session: Session, plan: Plan
) -> None:
    """Neither the same plan nor a new one for the same question makes anything."""
    first = plan.apply()
    before = link.calls.copy()
    again = plan_vpc_endpoints(session, vpc_id=link.vpc_id, tags={"team": "risk"})
    for repeated in (plan.apply(), again.apply()):
        assert repeated.made == ()
        assert repeated.vpc_endpoint_ids == first.vpc_endpoint_ids
    called = link.calls - before
    assert not {f"ec2:{action}" for action in CHANGES} & set(called)
    assert again.plan_id == plan.plan_id


def test_what_somebody_made_since_the_plan_is_found(link: LocalPrivateLink, plan: Plan) -> None:
    """The account is looked at again."""
    there = link.create_vpc_endpoint("sagemaker")
    applied = plan.apply()
    assert applied.vpc_endpoint_ids["sagemaker"] == there.vpc_endpoint_id
    assert there.vpc_endpoint_id not in applied.made


def test_a_token_of_a_vpc_endpoint_that_is_gone_is_not_used_again(
    link: LocalPrivateLink, plan: Plan
) -> None:
    """EC2 would answer with the one that is gone."""
    first = plan.apply(verify=False).vpc_endpoint_ids
    for vpc_endpoint_id in first.values():
        link.set_state(vpc_endpoint_id, "deleted")
    for vpc_endpoint_id in first.values():  # private DNS of what is gone is in nobody's way
        link.control.vpc_endpoints.remove(vpc_endpoint_id)  # type: ignore[union-attr] # it runs
    second = plan.apply().vpc_endpoint_ids
    assert not set(first.values()) & set(second.values())


def test_throttling_and_lost_answers_make_nothing_twice(
    link: LocalPrivateLink, session: Session, plan: Plan, ec2: Any
) -> None:
    """Each call is tried again; the group, which has no client token, is found by its name."""
    lose = iter([True])

    def answer_is_lost(**_: object) -> None:
        if next(lose, False):
            link.faults.reset("ec2", when="after-model", times=1)

    session.events.register("before-call.ec2.CreateSecurityGroup", answer_is_lost)
    for action in CHANGES[1:3]:
        link.faults.throttle(f"ec2:{action}", times=1)
    applied = plan.apply(
        progress=on(
            "making", RUNTIME, lambda _: link.faults.reset("ec2", when="after-model", times=1)
        )
    )
    assert list(applied.made) == [*groups(ec2), *vpc_endpoint_ids(ec2)]
    assert len(applied.made) == 3


def test_where_nothing_is_reached_from_here_nothing_need_be_verified(
    link: LocalPrivateLink, plan: Plan
) -> None:
    """verify=False connects to nothing."""
    link.faults.zone("us-east-1a", "refuse")
    link.faults.zone("us-east-1b", "refuse")
    assert len(plan.apply(verify=False).made) == 3


def test_a_name_that_dns_learns_late_is_tried_again(link: LocalPrivateLink, plan: Plan) -> None:
    """For a while; see the certificate and the closed zones below for when it never works."""
    link.faults.dns_failure(times=2)
    clock = Clock()
    assert len(plan.apply(clock=clock, sleep=clock.sleep).made) == 3
    assert 0 < len(clock.slept) <= 2


# What fails


def deny(link: LocalPrivateLink, action: str, times: int | None = None) -> Callable[..., object]:
    return lambda _: link.faults.deny(f"ec2:{action}", times=times)


STEPS: list[tuple[str, str, str, Callable[[LocalPrivateLink], Callable[..., object]], str]] = [
    ("group", "making", "security group", lambda link: deny(link, "CreateSecurityGroup"),
     "allow ec2:CreateSecurityGroup for it."),
    ("rule", "making", "TCP port 443", lambda link: deny(link, "AuthorizeSecurityGroupIngress"),
     "allow ec2:AuthorizeSecurityGroupIngress for it."),
    ("first", "making", "sagemaker.api", lambda link: deny(link, "CreateVpcEndpoint"),
     "allow ec2:CreateVpcEndpoint for it."),
    ("second", "making", "sagemaker.runtime", lambda link: deny(link, "CreateVpcEndpoint"),
     "allow ec2:CreateVpcEndpoint for it."),
    ("waiting", "waiting", "until all", lambda link: deny(link, "DescribeVpcEndpoints", 1),
     "allow ec2:DescribeVpcEndpoints for it."),
    ("failed", "made", "sagemaker.api",
     lambda link: lambda progress: link.set_state(progress.resource_id, "failed"),
     "see why: aws ec2 describe-vpc-endpoints"),
    ("slow", "made", "sagemaker.runtime",
     lambda link: lambda progress: link.set_state(progress.resource_id, "pending"),
     "apply again with a longer timeout=."),
    ("closed", "making", "sagemaker.api",
     lambda link: lambda _: link.faults.zone("us-east-1a", "refuse")
     and link.faults.zone("us-east-1b", "refuse"),
     "pass verify=False."),
    ("certificate", "making", "sagemaker.api",
     lambda link: lambda _: link.faults.certificate("other.example"),
     "pass verify=False."),
    ("progress", "available", "sagemaker", lambda _: lambda one: 1 / len(one.what[:0]), ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "what", "fail", "remedy"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
def test_a_failed_step_leaves_nothing_behind(
    link: LocalPrivateLink,
    plan: Plan,
    ec2: Any,
    state: str,
    what: str,
    fail: Callable[[LocalPrivateLink], Callable[..., object]],
    remedy: str,
) -> None:
    """Whatever step fails, what was made before is removed, and the refusal says what to do."""
    clock = Clock()
    with pytest.raises(ProvisioningError) as caught:
        plan.apply(progress=on(state, what, fail(link)), clock=clock, sleep=clock.sleep)
    link.faults.clear()
    assert (groups(ec2), vpc_endpoint_ids(ec2)) == ([], [])
    assert caught.value.left == ()
    assert remedy in str(caught.value)
    outcome = "What it had made was removed again." if caught.value.made else "Nothing was made."
    assert caught.value.what.endswith(outcome)
    assert clock.now <= 600


class NoSleep:
    """Stands for the module ``time`` where botocore waits before it tries again."""

    @staticmethod
    def sleep(_: float) -> None:
        return


@pytest.mark.parametrize("action", CHANGES[:3])
def test_throttling_that_does_not_end_leaves_nothing_behind(
    link: LocalPrivateLink, plan: Plan, ec2: Any, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 throttles accounts and whole organizations."""
    monkeypatch.setattr("botocore.endpoint.time", NoSleep)
    link.faults.throttle(f"ec2:{action}")
    before = link.calls[f"ec2:{action}"]
    with pytest.raises(ProvisioningError) as caught:
        plan.apply()
    assert link.calls[f"ec2:{action}"] - before == 4
    assert (groups(ec2), vpc_endpoint_ids(ec2), caught.value.left) == ([], [], ())
    assert "EC2 throttles this account (RequestLimitExceeded)." in str(caught.value)


def test_throttling_while_waiting_is_waited_for_too(
    link: LocalPrivateLink, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is torn down because EC2 was asked too often."""
    monkeypatch.setattr("botocore.endpoint.time", NoSleep)
    clock = Clock()
    throttle = on(
        "waiting", "until", lambda _: link.faults.throttle("ec2:DescribeVpcEndpoints", times=8)
    )
    assert len(plan.apply(progress=throttle, clock=clock, sleep=clock.sleep).made) == 3
    assert clock.slept == [5, 5]


@pytest.mark.parametrize("action", [*CHANGES[3:], "DescribeVpcEndpoints", "DescribeSecurityGroups"])
def test_throttling_while_undoing_is_waited_for(
    link: LocalPrivateLink, plan: Plan, ec2: Any, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 gives up after four attempts; what was made is removed all the same."""
    monkeypatch.setattr("botocore.endpoint.time", NoSleep)

    def fail(_: Progress) -> None:
        link.faults.deny("ec2:CreateVpcEndpoint")
        link.faults.throttle(f"ec2:{action}", times=8)

    clock = Clock()
    with pytest.raises(ProvisioningError) as caught:
        plan.apply(progress=on("making", RUNTIME, fail), clock=clock, sleep=clock.sleep, timeout=1)
    link.faults.clear()
    assert (groups(ec2), vpc_endpoint_ids(ec2), caught.value.left) == ([], [], ())
    assert clock.slept == [5, 5]


def test_the_refusal_names_step_and_permission(link: LocalPrivateLink, plan: Plan) -> None:
    """What failed, why, and what to allow."""
    link.faults.deny("ec2:CreateVpcEndpoint")
    with pytest.raises(ProvisioningError) as caught:
        plan.apply()
    assert str(caught.value) == (
        f"The plan for {link.vpc_id} failed at: interface VPC endpoint "
        "com.amazonaws.us-east-1.sagemaker.api. What it had made was removed again.\n"
        "Cause: this identity is not allowed to (UnauthorizedOperation).\n"
        "Remedy: allow ec2:CreateVpcEndpoint for it.\n"
        "See docs/errors.md#provisioning"
    )
    assert [one[:3] for one in caught.value.made] == ["sg-"]


def test_an_interrupt_undoes_too(plan: Plan, ec2: Any) -> None:
    """Ctrl-C leaves nothing behind, and stays an interrupt."""

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan.apply(progress=on("available", "sagemaker", interrupt))
    assert (groups(ec2), vpc_endpoint_ids(ec2)) == ([], [])


def test_an_interrupt_says_what_is_left(link: LocalPrivateLink, plan: Plan, ec2: Any) -> None:
    """Its cause is the error that a failed step would have raised."""

    def interrupt(_: Progress) -> None:
        for action in CHANGES[3:]:
            link.faults.deny(f"ec2:{action}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        plan.apply(progress=on("making", RUNTIME, interrupt))
    error = caught.value.__cause__
    assert isinstance(error, ProvisioningError)
    assert error.left == (*vpc_endpoint_ids(ec2), *groups(ec2))
    assert len(error.left) == 2


@pytest.mark.parametrize("action", CHANGES[:3])
def test_an_interrupt_while_ec2_is_asked_undoes_too(
    session: Session, plan: Plan, ec2: Any, action: str
) -> None:
    """The answer never came, but what was asked for may have been made."""

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    session.events.register(f"needs-retry.ec2.{action}", interrupt)
    with pytest.raises(KeyboardInterrupt):
        plan.apply()
    assert (groups(ec2), vpc_endpoint_ids(ec2)) == ([], [])


def test_a_failed_vpc_endpoint_that_is_still_there_is_not_taken_for_a_new_one(
    link: LocalPrivateLink, session: Session, ec2: Any
) -> None:
    """Its client token is used up; where it may stand beside, another one is made."""
    plan = plan_vpc_endpoints(
        session, vpc_id=link.vpc_id, services="sagemaker-runtime", private_dns=False
    )
    (failed,) = plan.apply().vpc_endpoint_ids.values()
    link.set_state(failed, "failed")
    applied = plan.apply()
    assert failed not in applied.vpc_endpoint_ids.values()
    assert len(vpc_endpoint_ids(ec2)) == 2
    assert len(plan.destroy()) == 3


def test_two_runs_at_once_make_nothing_twice(link: LocalPrivateLink, plan: Plan, ec2: Any) -> None:
    """Both have client tokens and the group's name in common, and end with the same."""
    other = plan_vpc_endpoints(link.session(), vpc_id=link.vpc_id, tags={"team": "risk"})
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(one.apply, verify=False) for one in (plan, other)]
        first, second = (run.result(60) for run in runs)
    assert first.vpc_endpoint_ids == second.vpc_endpoint_ids
    assert (len(groups(ec2)), len(vpc_endpoint_ids(ec2))) == (1, 2)


def test_a_progress_that_fails_for_good_does_not_stop_the_undoing(plan: Plan, ec2: Any) -> None:
    """As where a pipe was closed that it prints to."""
    reports: list[Progress] = []

    def broken(one: Progress) -> None:
        reports.append(one)
        if len(reports) > 5:
            raise BrokenPipeError("nobody reads")

    with pytest.raises(ProvisioningError) as caught:
        plan.apply(progress=broken)
    assert "BrokenPipeError: nobody reads" in str(caught.value)
    assert (groups(ec2), vpc_endpoint_ids(ec2), caught.value.left) == ([], [], ())


def test_what_was_there_before_is_not_undone(link: LocalPrivateLink, plan: Plan, ec2: Any) -> None:
    """A VPC endpoint that was found stays."""
    there = link.create_vpc_endpoint("sagemaker")
    link.faults.deny("ec2:CreateVpcEndpoint")
    with pytest.raises(ProvisioningError):
        plan.apply()
    assert vpc_endpoint_ids(ec2) == [there.vpc_endpoint_id]


def test_a_group_that_an_earlier_run_left_is_found_and_not_undone(
    link: LocalPrivateLink, plan: Plan, ec2: Any
) -> None:
    """It was not made by the run that failed; the next one uses it."""
    for action in CHANGES[2:]:
        link.faults.deny(f"ec2:{action}")
    with pytest.raises(ProvisioningError) as first:
        plan.apply()
    link.faults.clear()
    link.faults.deny("ec2:CreateVpcEndpoint")
    with pytest.raises(ProvisioningError) as second:
        plan.apply()
    assert list(first.value.left) == groups(ec2)
    assert (second.value.made, second.value.left) == ((), ())
    link.faults.clear()
    applied = plan.apply()
    assert [applied.security_group_id] == groups(ec2)
    assert len(applied.made) == 2


def test_where_nothing_can_be_asked_nothing_is_made(link: LocalPrivateLink, plan: Plan) -> None:
    """The look before the first step is not allowed."""
    link.faults.deny("ec2:DescribeVpcEndpoints")
    with pytest.raises(DiscoveryError, match="allow ec2:DescribeVpcEndpoints for it"):
        plan.apply()
    assert link.vpc_endpoints == ()


def test_what_cannot_be_undone_is_named(link: LocalPrivateLink, plan: Plan, ec2: Any) -> None:
    """With the reason and the commands; destroy removes it once that is allowed."""
    for action in CHANGES[3:]:
        link.faults.deny(f"ec2:{action}")
    with pytest.raises(ProvisioningError) as caught:
        plan.apply(progress=on("making", RUNTIME, deny(link, "CreateVpcEndpoint")))
    (group_id,), (vpc_endpoint_id,) = groups(ec2), vpc_endpoint_ids(ec2)
    assert caught.value.left == (vpc_endpoint_id, group_id)
    assert str(caught.value).splitlines()[:8] == [
        f"The plan for {link.vpc_id} failed at: interface VPC endpoint {RUNTIME}. Still there:",
        f"  {vpc_endpoint_id}: this identity is not allowed to (UnauthorizedOperation). "
        "Remedy: allow ec2:DeleteVpcEndpoints for it.",
        f"  {group_id}: this identity is not allowed to (UnauthorizedOperation). "
        "Remedy: allow ec2:DeleteSecurityGroup for it.",
        "Cause: this identity is not allowed to (UnauthorizedOperation).",
        "Remedies, in order:",
        "  1. call plan.destroy(), or remove what is left by hand.",
        f"  2. aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {vpc_endpoint_id}",
        f"  3. aws ec2 delete-security-group --group-id {group_id}",
    ]
    link.faults.clear()
    assert plan.destroy() == (vpc_endpoint_id, group_id)
    assert (groups(ec2), vpc_endpoint_ids(ec2)) == ([], [])


def test_a_plan_with_problems_is_not_applied(link: LocalPrivateLink, session: Session) -> None:
    """Nor tried in a dry run; the text has every problem and its remedy."""
    shut = link.create_security_group()
    plan = plan_vpc_endpoints(session, vpc_id=link.vpc_id, security_groups=[shut])
    apply: Any = plan.apply
    before = link.calls.copy()
    for dry_run in (False, True):
        with pytest.raises(ProvisioningError) as caught:
            apply(dry_run=dry_run)
        assert str(caught.value) == (
            f"The plan for {link.vpc_id} cannot be applied; nothing was made:\n"
            f"  Nobody is let in to TCP port 443 by {shut}.\n"
            "Remedy: add an inbound rule for TCP port 443 from the VPC to one of them, or pass "
            "security_groups='create'.\n"
            "See docs/errors.md#provisioning"
        )
    assert link.calls == before


# What is removed


def test_destroy_removes_what_the_plan_made_and_nothing_else(
    link: LocalPrivateLink, session: Session, plan: Plan, ec2: Any
) -> None:
    """What others made stays; a new plan of the same question knows what is its own."""
    there = link.create_vpc_endpoint("sagemaker-metrics")
    other = plan_vpc_endpoints(session, vpc_id=link.vpc_id, services=["sts"]).apply()
    applied = plan.apply()
    again = plan_vpc_endpoints(session, vpc_id=link.vpc_id, tags={"team": "risk"})
    removed = again.destroy()
    assert sorted(removed) == sorted(applied.made)
    assert removed[-1] == applied.security_group_id
    assert vpc_endpoint_ids(ec2) == [there.vpc_endpoint_id, other.vpc_endpoint_ids["sts"]]
    assert groups(ec2) == [other.security_group_id]
    assert plan.destroy() == ()


def test_destroy_waits_for_a_group_that_is_still_in_use(
    session: Session, plan: Plan, ec2: Any
) -> None:
    """Network interfaces let go of it late; the wait is bounded and what is left is named."""
    plan.apply()
    error = {"Error": {"Code": "DependencyViolation", "Message": "in use"}}
    calls = answered(session, "DeleteSecurityGroup", 400, error)
    clock = Clock()
    with pytest.raises(ProvisioningError) as caught:
        plan.destroy(timeout=20, clock=clock, sleep=clock.sleep)
    assert (len(calls), clock.slept) == (5, [5, 5, 5, 5])
    assert list(caught.value.left) == groups(ec2)
    assert "EC2 answered DependencyViolation: in use." in str(caught.value)


def test_destroy_waits_until_vpc_endpoints_are_gone(session: Session, plan: Plan) -> None:
    """EC2 shows them for minutes; the group is not tried while they are there."""
    applied = plan.apply()
    answered(session, "DeleteVpcEndpoints", 200, {"Unsuccessful": []})
    answered(session, "DeleteSecurityGroup", 400, {"Error": {"Code": "DependencyViolation"}})
    clock = Clock()
    with pytest.raises(ProvisioningError) as caught:
        plan.destroy(timeout=12, clock=clock, sleep=clock.sleep)
    assert clock.slept == [5, 5, 2]
    assert set(caught.value.left) == set(applied.made)
    assert "it is still available after 12 s." in str(caught.value)


# Dry runs


def test_a_dry_run_names_missing_permissions_and_makes_nothing(
    link: LocalPrivateLink, session: Session, plan: Plan
) -> None:
    """EC2 is asked about every call of a run, and of undoing it."""
    before = link.calls.copy()
    allowed = plan.apply(dry_run=True)
    assert allowed.missing == ()
    assert [one.permission for one in allowed.calls] == [
        "ec2:CreateSecurityGroup",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateVpcEndpoint",
        "ec2:CreateVpcEndpoint",
        "ec2:DeleteVpcEndpoints",
        "ec2:DeleteSecurityGroup",
    ]
    called = link.calls - before
    assert {a.removeprefix("ec2:") for a in called if "Describe" not in a} == set(CHANGES)
    for action in ("CreateVpcEndpoint", "DeleteSecurityGroup"):
        link.faults.deny(f"ec2:{action}")
    refused = plan.apply(dry_run=True)
    assert refused.missing == ("ec2:CreateVpcEndpoint", "ec2:DeleteSecurityGroup")
    lines = str(refused).splitlines()
    assert lines[1].startswith("allowed   ec2:AuthorizeSecurityGroupIngress (sm-private-client-")
    assert lines[2].startswith(
        "missing   ec2:CreateVpcEndpoint (com.amazonaws.us-east-1.sagemaker.api): You are not"
    )
    link.faults.clear()
    assert list_vpc_endpoints(session) == ()
