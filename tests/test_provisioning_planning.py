"""Planning VPC endpoints: what EC2 is asked, what exists, and what stands against a plan."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client.errors import (
    ConfigurationError,
    DiscoveryError,
    FipsUnavailableError,
    PolicyError,
)
from sm_private_client.policy.building import EndpointPolicy
from sm_private_client.privatelink.hostnames import Partition
from sm_private_client.privatelink.records import VpcEndpoint
from sm_private_client.provisioning import Plan, list_vpc_endpoints, plan_vpc_endpoints
from sm_private_client.provisioning.account import ServiceOffer, VpcSubnet
from sm_private_client.provisioning.checks import (
    check_addresses,
    check_private_names,
    check_quotas,
    check_security_groups,
    choose_subnets,
)
from sm_private_client.provisioning.records import PlannedVpcEndpoint, Subnet
from sm_private_client.provisioning.requested_services import resolve_services
from sm_private_client.session import Session
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.testing.topology import Vpc

API = "com.amazonaws.us-east-1.sagemaker.api"
RUNTIME = "com.amazonaws.us-east-1.sagemaker.runtime"
SEED = EndpointPolicy(region="us-east-1", account_id="123456789012").allow(
    "sagemaker:InvokeEndpoint", endpoint="myEndpoint"
)


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as running:
        yield running


@pytest.fixture(scope="module")
def session(link: LocalPrivateLink) -> Session:
    return link.session()


@pytest.fixture
def vpc(link: LocalPrivateLink) -> Iterator[Vpc]:
    """A VPC of the test's own; its faults are cleared."""
    yield link.create_vpc()
    link.faults.clear()


def without_ids(text: str, vpc: Vpc, plan: Plan) -> str:
    for zone, subnet_id in vpc.subnet_ids.items():
        text = text.replace(subnet_id, f"subnet-{zone[-1]}")
    return text.replace(vpc.vpc_id, "vpc-1").replace(plan.plan_id, "ID")


# What a plan says


def test_a_look_changes_nothing(link: LocalPrivateLink, session: Session, vpc: Vpc) -> None:
    """Planning every kind of VPC endpoint calls nothing but EC2's Describe operations."""
    before = link.calls.copy()
    plan_vpc_endpoints(
        session,
        vpc_id=vpc.vpc_id,
        services=("sagemaker", "sagemaker-runtime", "notebook", "studio", "sts", "s3"),
    )
    called = link.calls - before
    assert called
    assert {action for action in called if not action.startswith("ec2:Describe")} == set()
    assert list_vpc_endpoints(session, vpc_id=vpc.vpc_id) == ()


def test_a_plan_is_shown_as_a_table(session: Session, vpc: Vpc) -> None:
    """Each step with where and how, the cost as a formula without prices."""
    plan = plan_vpc_endpoints(
        session, vpc_id=vpc.vpc_id, services=["sagemaker-runtime", "s3"], policy=SEED
    )
    tables = plan.vpc_endpoints[1].route_table_ids
    text = without_ids(str(plan), vpc, plan).replace(", ".join(tables), "rtb-1")
    words = [" ".join(line.split()) for line in text.splitlines()]
    assert words == [
        "Plan ID: VPC endpoints in vpc-1, us-east-1",
        "",
        "Step Where and how",
        "make security group sm-private-client-ID in vpc-1",
        f"make TCP port 443 in from {vpc.cidr_block}",
        f"make interface VPC endpoint {RUNTIME} in us-east-1a (subnet-a), us-east-1b (subnet-b); "
        "private DNS on; with an endpoint policy",
        "make gateway VPC endpoint com.amazonaws.us-east-1.s3 in rtb-1",
        "",
        "Cost an hour: (2 zones x 1 service = 2) x your price per VPC endpoint, zone and hour, "
        "+ GB processed x your price per GB.",
    ]


def test_a_notebook_shows_a_plan_escaped(session: Session, vpc: Vpc) -> None:
    """Nothing that is told becomes markup."""
    plan = plan_vpc_endpoints(session, vpc_id=vpc.vpc_id)
    shown = dataclasses.replace(plan, notes=("<script>alert(1)</script>",))._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>" not in shown
    assert shown.count("<tr>") == 1 + len(plan.steps)


def test_a_plan_is_json(session: Session, vpc: Vpc) -> None:
    """``as_dict`` has what the table has; the session is in neither."""
    plan = plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, tags={"team": "risk"})
    record = json.loads(json.dumps(plan.as_dict()))
    assert record["vpc_id"] == vpc.vpc_id
    assert record["tags"] == {"team": "risk"}
    assert record["cost"]["hourly_units"] == 4
    assert [step["action"] for step in record["steps"]] == [
        "ec2:CreateSecurityGroup",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateVpcEndpoint",
        "ec2:CreateVpcEndpoint",
    ]
    assert "session" not in repr(plan)


def test_the_same_question_has_the_same_id(session: Session, vpc: Vpc) -> None:
    """Whatever is asked otherwise makes it another plan."""

    def ask(**arguments: Any) -> str:
        return plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, **arguments).plan_id

    others = (
        ask(services=["sagemaker"]),
        ask(private_dns=False),
        ask(tags={"team": "risk"}),
        ask(policy=SEED),
        ask(subnets=list(vpc.subnet_ids.values())[:1]),
    )
    assert ask() == ask()
    assert len({ask(), *others}) == 1 + len(others)


def test_what_exists_is_found(link: LocalPrivateLink, session: Session, vpc: Vpc) -> None:
    """Nothing is made for it, and the plan has how it differs."""
    there = link.create_vpc_endpoint("sagemaker", vpc_id=vpc.vpc_id, zones=["us-east-1a"])
    link.create_vpc_endpoint("sagemaker-runtime", vpc_id=vpc.vpc_id, private_dns=True)
    plan = plan_vpc_endpoints(
        session, vpc_id=vpc.vpc_id, policy={"sagemaker": EndpointPolicy().allow("sagemaker:List*")}
    )
    api, runtime = plan.vpc_endpoints
    assert api.found_id == there.vpc_endpoint_id
    assert api.differences == (
        "its private DNS is off",
        f"it is not in {vpc.subnet_ids['us-east-1b']}",
        "its policy is another one",
    )
    assert runtime.differences == ()
    assert plan.to_make == ()
    assert plan.security_group is None
    assert plan.hourly_units == 0
    assert [step.found_id for step in plan.steps] == [api.found_id, runtime.found_id]


@pytest.mark.parametrize("state", ["deleted", "rejected", "failed"])
def test_what_cannot_be_used_is_not_found(
    link: LocalPrivateLink, session: Session, vpc: Vpc, state: str
) -> None:
    """One that is gone or broken stands for nothing."""
    link.create_vpc_endpoint("sagemaker", vpc_id=vpc.vpc_id, state=state)
    (planned,) = plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, services="sagemaker").vpc_endpoints
    assert planned.found_id == ""


# What the account has against it


def test_dns_attributes_that_are_off_are_named(
    link: LocalPrivateLink, session: Session, vpc: Vpc
) -> None:
    """With the command that turns them on; without private DNS nothing is wrong."""
    link.set_dns_attributes(vpc_id=vpc.vpc_id, hostnames=False)
    (problem,) = plan_vpc_endpoints(session, vpc_id=vpc.vpc_id).problems
    assert problem.what == f"enableDnsHostnames of {vpc.vpc_id} is off, and private DNS needs it."
    assert problem.remedy == (
        f"turn it on: aws ec2 modify-vpc-attribute --vpc-id {vpc.vpc_id} --enable-dns-hostnames; "
        "or pass private_dns=False."
    )
    assert plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, private_dns=False).problems == ()


def test_zones_that_the_service_is_not_offered_in_are_left_out_or_named() -> None:
    """One per zone leaves them out; subnets that were named are a problem."""
    with LocalPrivateLink(services=()) as link:
        link.stop_offering("sagemaker-runtime", "us-east-1b")
        session, subnets = link.session(), link.create_vpc()
        plan = plan_vpc_endpoints(session, vpc_id=subnets.vpc_id)
        named = plan_vpc_endpoints(
            session, vpc_id=subnets.vpc_id, subnets=list(subnets.subnet_ids.values())
        )
    assert [len(one.subnets) for one in plan.vpc_endpoints] == [2, 1]
    assert plan.notes == (
        f"{RUNTIME} is not offered in us-east-1b: callers there reach it in another zone.",
    )
    assert "(2 zones x 1 service + 1 zone x 1 service = 3)" in plan.cost
    assert [problem.what for problem in named.problems] == [
        f"{RUNTIME} is not offered in us-east-1b."
    ]


def test_security_groups_that_let_nobody_in_are_a_problem(
    link: LocalPrivateLink, session: Session, vpc: Vpc
) -> None:
    """The groups are judged by their rules for TCP port 443."""
    group_id = link.create_security_group(vpc_id=vpc.vpc_id)
    (problem,) = plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, security_groups=[group_id]).problems
    assert problem.what == f"Nobody is let in to TCP port 443 by {group_id}."


def rule(**members: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **members}


def from_cidrs(*cidrs: str) -> dict[str, Any]:
    return {
        "IpRanges": [{"CidrIp": c} for c in cidrs if ":" not in c],
        "Ipv6Ranges": [{"CidrIpv6": c} for c in cidrs if ":" in c],
    }


@pytest.mark.parametrize(
    ("rules", "problems", "notes"),
    [
        ([rule(**from_cidrs("10.0.0.0/8"))], 0, 0),
        ([rule(**from_cidrs("0.0.0.0/0"), IpProtocol="-1", FromPort=-1, ToPort=-1)], 0, 0),
        ([rule(**from_cidrs("10.0.0.0/17", "10.0.128.0/17"))], 0, 0),
        ([rule(**from_cidrs("10.0.0.0/16"), FromPort=0, ToPort=65535)], 0, 0),
        ([rule(**from_cidrs("10.0.0.0/17"))], 0, 1),
        ([rule(UserIdGroupPairs=[{"GroupId": "sg-2"}])], 0, 1),
        ([rule(**from_cidrs("10.0.0.0/16"), FromPort=80, ToPort=80)], 1, 0),
        ([rule(**from_cidrs("10.0.0.0/16"), IpProtocol="udp")], 1, 0),
        ([rule(**from_cidrs("::/0"))], 0, 1),
        ([], 1, 0),
    ],
)
def test_rules_are_judged_against_the_cidrs_of_the_vpc(
    rules: list[dict[str, Any]], problems: int, notes: int
) -> None:
    """Nobody let in is a problem, a part let in is a note."""
    groups = [{"GroupId": "sg-1", "IpPermissions": rules}]
    found = check_security_groups(groups, ["10.0.0.0/16"])
    assert (len(found[0]), len(found[1])) == (problems, notes)


PLANNED = PlannedVpcEndpoint(
    service="sagemaker",
    endpoint_service=API,
    kind="Interface",
    subnets=(Subnet(subnet_id="subnet-1", availability_zone="us-east-1a"),),
    private_dns=True,
)


@pytest.mark.parametrize(("free", "problems"), [(0, 1), (1, 1), (2, 0)])
def test_a_subnet_needs_an_address_for_each_vpc_endpoint(free: int, problems: int) -> None:
    """Two VPC endpoints take two addresses of it."""
    subnet = VpcSubnet(
        subnet_id="subnet-1",
        vpc_id="vpc-1",
        availability_zone="us-east-1a",
        free_addresses=free,
        is_public=False,
    )
    assert len(list(check_addresses([PLANNED, PLANNED], [subnet]))) == problems


@pytest.mark.parametrize(("there", "noted"), [(48, 0), (49, 0), (50, 1)])
def test_default_quotas_are_told_before_they_are_hit(there: int, noted: int) -> None:
    """50 interface VPC endpoints of a VPC; whether it was raised nobody can see."""
    standing = [
        VpcEndpoint(
            vpc_endpoint_id=f"vpce-{n}",
            endpoint_service="s",
            kind="Interface",
            vpc_id="vpc-1",
            state="available",
        )
        for n in range(there)
    ]
    notes = list(check_quotas(standing, 0, [PLANNED]))
    assert len(notes) == noted
    assert all("default quota is 50" in note for note in notes)


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("available", "turn private DNS off for vpce-1, or pass private_dns=False."),
        ("deleting", "wait until it is deleted, and plan again."),
    ],
)
def test_a_private_name_that_leads_elsewhere_is_a_problem(state: str, remedy: str) -> None:
    """EC2 lets one VPC endpoint of a VPC have a private name."""
    name = "api.sagemaker.us-east-1.amazonaws.com"
    owner = VpcEndpoint(
        vpc_endpoint_id="vpce-1",
        endpoint_service="another",
        kind="Interface",
        vpc_id="vpc-1",
        state=state,
        private_dns_enabled=True,
        dns_names=(name, "vpce-1-x.api.sagemaker.us-east-1.vpce.amazonaws.com"),
    )
    offer = ServiceOffer(
        name=API,
        kinds=frozenset({"Interface"}),
        zones=frozenset({"us-east-1a"}),
        private_names=(name,),
        takes_policy=True,
    )
    offers = {(API, "Interface"): offer}
    (problem,) = check_private_names([PLANNED], offers, [owner])
    assert problem.what == f"{name} leads to vpce-1 in this VPC already, which is {state}."
    assert problem.remedy == remedy
    off = dataclasses.replace(owner, private_dns_enabled=False)
    assert list(check_private_names([PLANNED], offers, [off])) == []


def test_one_subnet_a_zone_is_chosen() -> None:
    """Private ones first, then those with free addresses, then by id; always the same."""

    def subnet(name: str, zone: str, *, free: int = 9, public: bool = False) -> VpcSubnet:
        return VpcSubnet(
            subnet_id=name,
            vpc_id="v",
            availability_zone=zone,
            free_addresses=free,
            is_public=public,
        )

    there = [
        subnet("s1", "b", public=True),
        subnet("s2", "b"),
        subnet("s4", "a", free=0),
        subnet("s5", "a"),
        subnet("s3", "b"),
    ]
    chosen = choose_subnets("one-per-zone", there, "v")
    assert [(s.availability_zone, s.subnet_id) for s in chosen] == [("a", "s5"), ("b", "s2")]


# What is refused


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"vpc_id": "vpc-0"}, "There is no VPC vpc-0 in us-east-1 that this account sees."),
        ({"services": ()}, "services is empty, so there is nothing to plan."),
        (
            {"services": ["sagemaker-runtme"]},
            "services names 'sagemaker-runtme', for which no endpoint service is known.",
        ),
        (
            {"services": ["sagemaker-runtime", "runtime.sagemaker"]},
            "services names 'sagemaker-runtime' and 'sagemaker-runtime', which are the same.",
        ),
        (
            {"services": ["sagemaker-geospatial"]},
            "EC2 offers no interface endpoint service com.amazonaws.us-east-1.sagemaker-geospatial "
            "in us-east-1.",
        ),
        (
            {"services": ["sts-interface"]},
            "services names 'sts-interface', for which no endpoint service is known.",
        ),
        ({"subnets": ["subnet-0"]}, "subnets names subnet-0, of which VPC has none."),
        ({"subnets": []}, "subnets names no subnet at all, of which VPC has none."),
        ({"security_groups": ["sg-0"]}, "security_groups names sg-0, of which VPC has none."),
        (
            {"services": ["s3"], "route_tables": ["rtb-0"]},
            "route_tables names rtb-0, of which VPC has none.",
        ),
        (
            {"tags": {"aws:x": "y"}},
            "tags has sm-private-client:plan or a key that begins with 'aws:'.",
        ),
        ({"policy": {"sts": SEED}}, "policy has 'sts', which services does not."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_arguments_are_refused(
    session: Session, vpc: Vpc, arguments: dict[str, Any], what: str
) -> None:
    """Each refusal names the argument and what is wrong with it."""
    with pytest.raises(ConfigurationError) as caught:
        plan_vpc_endpoints(session, **{"vpc_id": vpc.vpc_id, **arguments})
    assert caught.value.what == what.replace("VPC has", f"{vpc.vpc_id} has")
    assert "Remed" in str(caught.value)


def test_two_subnets_of_one_zone_are_refused(session: Session, vpc: Vpc) -> None:
    """As EC2 would, but before anything is made."""
    ec2 = session.client("ec2")
    second = ec2.create_subnet(
        VpcId=vpc.vpc_id,
        CidrBlock=vpc.cidr_block.replace("0.0/16", "200.0/24"),
        AvailabilityZone="us-east-1a",
    )["Subnet"]["SubnetId"]
    first = vpc.subnet_ids["us-east-1a"]
    with pytest.raises(ConfigurationError) as caught:
        plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, subnets=[first, second])
    assert caught.value.what == (
        f"subnets names {first} and {second}, which are both in us-east-1a."
    )


@pytest.mark.parametrize(
    "action",
    [
        "DescribeVpcs",
        "DescribeVpcAttribute",
        "DescribeSubnets",
        "DescribeRouteTables",
        "DescribeSecurityGroups",
        "DescribeVpcEndpoints",
        "DescribeVpcEndpointServices",
    ],
)
def test_a_missing_permission_is_named(
    link: LocalPrivateLink, session: Session, vpc: Vpc, action: str
) -> None:
    """The refusal says what to allow."""
    link.faults.deny(f"ec2:{action}")
    with pytest.raises(DiscoveryError) as caught:
        plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, services=["sagemaker", "s3"])
    assert str(caught.value).splitlines()[:3] == [
        f"EC2 could not be asked (ec2:{action}).",
        "Cause: this identity is not allowed to (UnauthorizedOperation).",
        f"Remedy: allow ec2:{action} for it.",
    ]


# Policies, FIPS, partitions


def test_a_policy_is_for_the_family_and_a_mapping_is_by_service(session: Session, vpc: Vpc) -> None:
    """Other services and browsers keep AWS's own where one policy is given."""
    services = ["sagemaker-runtime", "sts", "studio"]

    def policies(policy: Any) -> list[bool]:
        plan = plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, services=services, policy=policy)
        return [bool(one.policy) for one in plan.vpc_endpoints]

    assert policies(SEED) == [True, False, False]
    assert policies({"sts": EndpointPolicy().allow("sts:*")}) == [False, True, False]
    assert policies(None) == [False, False, False]


def test_a_policy_on_a_fips_runtime_endpoint_is_refused(session: Session, vpc: Vpc) -> None:
    """AWS does not support it there."""
    with pytest.raises(PolicyError) as caught:
        plan_vpc_endpoints(
            session, vpc_id=vpc.vpc_id, services="sagemaker-runtime", fips=True, policy=SEED
        )
    assert "VPC endpoints of sagemaker-runtime (FIPS) do not support policies." in str(caught.value)


def test_fips_names_the_fips_services_or_refuses(session: Session, vpc: Vpc) -> None:
    """FIPS is never dropped silently."""
    plan = plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, services="sagemaker-runtime", fips=True)
    assert plan.vpc_endpoints[0].endpoint_service == f"{RUNTIME}-fips"
    with pytest.raises(
        FipsUnavailableError, match="no FIPS endpoint service for sagemaker-metrics"
    ):
        plan_vpc_endpoints(session, vpc_id=vpc.vpc_id, services="sagemaker-metrics", fips=True)


@pytest.mark.parametrize(
    ("word", "kind", "names"),
    [
        ("sagemaker", "Interface", ("cn.com.amazonaws.cn-north-1.sagemaker.api",)),
        ("runtime.sagemaker", "Interface", ("cn.com.amazonaws.cn-north-1.sagemaker.runtime",)),
        ("studio", "Interface", ("aws.sagemaker.cn-north-1.studio",)),
        (
            "ecr",
            "Interface",
            ("cn.com.amazonaws.cn-north-1.ecr.api", "com.amazonaws.cn-north-1.ecr.api"),
        ),
        ("com.amazonaws.x.ecr.dkr", "Interface", ("com.amazonaws.x.ecr.dkr",)),
        ("s3", "Gateway", ("cn.com.amazonaws.cn-north-1.s3", "com.amazonaws.cn-north-1.s3")),
        (
            "s3-interface",
            "Interface",
            ("cn.com.amazonaws.cn-north-1.s3", "com.amazonaws.cn-north-1.s3"),
        ),
    ],
)
def test_words_lead_to_endpoint_services(word: str, kind: str, names: tuple[str, ...]) -> None:
    """boto3's names, browsers, gateways, interfaces and full names, in any partition."""
    china = Partition(name="aws-cn", dns_suffix="amazonaws.com.cn", region_regex="cn-.*")
    (wanted,) = resolve_services([word], region="cn-north-1", partition=china, fips=False)
    assert (wanted.kind, wanted.names) == (kind, names)
