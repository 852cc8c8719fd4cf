"""The simulator's EC2: what moto lacks about VPC endpoints."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

import pytest

from simulator_calls import client_of, refused
from sm_private_client.privatelink.hostnames import Partition, parse_vpce_name
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator

AWS = Partition(name="aws", dns_suffix="amazonaws.com", region_regex=r"^(us|eu)\-\w+\-\d+$")
CHINA = Partition(name="aws-cn", dns_suffix="amazonaws.com.cn", region_regex=r"^cn\-\w+\-\d+$")
API = "com.amazonaws.us-east-1.sagemaker.api"


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


def error_of(call: Any, **arguments: Any) -> tuple[str, str]:
    error = refused(call, **arguments)["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("region", "partition", "prefix"),
    [("us-east-1", AWS, "com.amazonaws"), ("cn-north-1", CHINA, "cn.com.amazonaws")],
)
def test_dns_entries_are_real_names(region: str, partition: Partition, prefix: str) -> None:
    """Regional, zonal and private names, label order flipped, each with a HostedZoneId."""
    with LocalPrivateLink(region=region, private_dns=True) as link:
        api, runtime = client_of(link, "ec2").describe_vpc_endpoints()["VpcEndpoints"]
    assert api["ServiceName"] == f"{prefix}.{region}.sagemaker.api"
    assert runtime["ServiceName"] == f"{prefix}.{region}.sagemaker.runtime"
    for described, label in ((api, "api"), (runtime, "runtime")):
        assert all(entry["HostedZoneId"].startswith("Z") for entry in described["DnsEntries"])
        names = [entry["DnsName"] for entry in described["DnsEntries"]]
        assert f"{label}.sagemaker.{region}.{partition.dns_suffix}" in names
        parsed = [found for n in names if (found := parse_vpce_name(n, [partition]))]
        assert {p.availability_zone for p in parsed} == {None, f"{region}a", f"{region}b"}
        assert {p.vpc_endpoint_id for p in parsed} == {described["VpcEndpointId"]}
        (suffix,) = {p.id_suffix for p in parsed}
        assert len(suffix) == 8


def test_fips_endpoints_have_fips_names() -> None:
    """The private name of a FIPS VPC endpoint is the FIPS default host name."""
    with LocalPrivateLink(services=["sagemaker-runtime"], private_dns=True, fips=True) as link:
        (described,) = client_of(link, "ec2").describe_vpc_endpoints()["VpcEndpoints"]
    names = {entry["DnsName"] for entry in described["DnsEntries"]}
    assert described["ServiceName"] == "com.amazonaws.us-east-1.sagemaker.runtime-fips"
    assert "runtime-fips.sagemaker.us-east-1.amazonaws.com" in names


def test_interfaces_lie_in_their_subnets(link: LocalPrivateLink) -> None:
    """One ENI a subnet; DescribeNetworkInterfaces tells address, zone, zone id, subnet and VPC."""
    ec2 = client_of(link, "ec2")
    known = ec2.meta.service_model.shape_for("NetworkInterface")
    for described in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        enis = ec2.describe_network_interfaces(NetworkInterfaceIds=described["NetworkInterfaceIds"])
        subnets = ec2.describe_subnets(SubnetIds=described["SubnetIds"])["Subnets"]
        by_id = {subnet["SubnetId"]: subnet for subnet in subnets}
        assert len(enis["NetworkInterfaces"]) == len(by_id) == 2
        for eni in enis["NetworkInterfaces"]:
            subnet = by_id.pop(eni["SubnetId"])
            address = ipaddress.ip_address(eni["PrivateIpAddress"])
            assert address in ipaddress.ip_network(subnet["CidrBlock"])
            assert eni["AvailabilityZone"] == subnet["AvailabilityZone"]
            # botocore 1.40's model of an ENI does not have the zone's id yet.
            if "AvailabilityZoneId" in known.members:
                assert eni["AvailabilityZoneId"] == subnet["AvailabilityZoneId"]
            assert eni["VpcId"] == described["VpcId"]
            assert eni["InterfaceType"] == "vpc_endpoint"


def test_what_ec2_s_api_makes_is_as_real(link: LocalPrivateLink) -> None:
    """CreateVpcEndpoint through boto3 gives names that resolve and ENIs that answer."""
    ec2 = client_of(link, "ec2")
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [link.vpc_id]}])
    described = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=link.vpc_id,
        ServiceName="com.amazonaws.us-east-1.sagemaker.metrics",
        SubnetIds=[subnet["SubnetId"] for subnet in subnets["Subnets"]],
        PrivateDnsEnabled=True,
        TagSpecifications=[
            {"ResourceType": "vpc-endpoint", "Tags": [{"Key": "team", "Value": "ml"}]}
        ],
    )["VpcEndpoint"]
    assert described["Tags"] == [{"Key": "team", "Value": "ml"}]
    standing = link.vpc_endpoint("sagemaker-metrics")
    assert standing.vpc_endpoint_id == described["VpcEndpointId"]
    for name in [entry["DnsName"] for entry in described["DnsEntries"]]:
        assert link.network.resolve(name, timeout=1)
    metrics: Any = link.session().client("sagemaker-metrics")
    metric = {"MetricName": "loss", "Timestamp": 0, "Value": 1.0}
    metrics.batch_put_metrics(TrialComponentName="trial", MetricData=[metric])
    assert link.requests[-1].vpc_endpoint_id == described["VpcEndpointId"]


def test_modify_adds_and_removes_subnets_and_private_dns(link: LocalPrivateLink) -> None:
    """ENIs, names and listeners follow."""
    ec2 = client_of(link, "ec2")
    before = link.vpc_endpoint("sagemaker")
    wanted = before.vpc_endpoint_id
    kept, gone = before.interfaces
    ec2.modify_vpc_endpoint(
        VpcEndpointId=wanted, RemoveSubnetIds=[gone.subnet_id], PrivateDnsEnabled=True
    )
    (described,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[wanted])["VpcEndpoints"]
    assert described["PrivateDnsEnabled"] is True
    assert described["NetworkInterfaceIds"] == [kept.network_interface_id]
    names = {entry["DnsName"] for entry in described["DnsEntries"]}
    assert names == {
        before.name.host,
        before.name.in_zone("us-east-1a").host,
        "api.sagemaker.us-east-1.amazonaws.com",
    }
    assert link.network.resolve("api.sagemaker.us-east-1.amazonaws.com", timeout=1) == (
        kept.address,
    )
    ec2.modify_vpc_endpoint(VpcEndpointId=wanted, AddSubnetIds=[gone.subnet_id])
    after = link.vpc_endpoint("sagemaker")
    assert [i.availability_zone for i in after.interfaces] == ["us-east-1a", "us-east-1b"]
    assert after.name == before.name


def test_modify_resets_the_policy(link: LocalPrivateLink) -> None:
    """ResetPolicy gives the default policy back."""
    ec2, wanted = client_of(link, "ec2"), link.vpc_endpoint("sagemaker").vpc_endpoint_id
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sagemaker:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    default = ec2.describe_vpc_endpoints(VpcEndpointIds=[wanted])["VpcEndpoints"][0]
    for arguments, expected in (
        ({"PolicyDocument": policy}, policy),
        ({"ResetPolicy": True}, default["PolicyDocument"]),
    ):
        ec2.modify_vpc_endpoint(VpcEndpointId=wanted, **arguments)
        (described,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[wanted])["VpcEndpoints"]
        assert described["PolicyDocument"] == expected


def test_delete_takes_names_and_interfaces_away(link: LocalPrivateLink) -> None:
    """What was deleted is not described; what is unknown is unsuccessful."""
    ec2, standing = client_of(link, "ec2"), link.vpc_endpoint("sagemaker")
    unknown = "vpce-0fe5b17a0707d6abc"
    answer = ec2.delete_vpc_endpoints(VpcEndpointIds=[standing.vpc_endpoint_id, unknown])
    (failed,) = answer["Unsuccessful"]
    assert (failed["ResourceId"], failed["Error"]["Code"]) == (
        unknown,
        "InvalidVpcEndpointId.NotFound",
    )
    assert len(ec2.describe_vpc_endpoints()["VpcEndpoints"]) == 1
    with pytest.raises(OSError, match="Name or service not known"):
        link.network.resolve(standing.name.host, timeout=1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"ServiceName": "com.amazonaws.us-east-1.sagemaker.apii"}, "InvalidServiceName", None),
        ({"ServiceName": "com.amazonaws.eu-west-1.sagemaker.api"}, "InvalidServiceName", None),
        (
            {"ServiceName": "com.amazonaws.us-east-1.sagemaker-geospatial"},
            "InvalidServiceName",
            "The Vpc Endpoint Service 'com.amazonaws.us-east-1.sagemaker-geospatial' does not "
            "exist",
        ),
        (
            {"PolicyDocument": "not json"},
            "InvalidPolicyDocument",
            "The specified policy document is not a valid JSON policy document.",
        ),
        ({"DryRun": True}, "DryRunOperation", None),
        ({"VpcId": "vpc-0fe5b17a0707d6abc"}, "InvalidVpcID.NotFound", None),
        ({"SubnetIds": ["subnet-0fe5b17a0707d6abc"]}, "InvalidSubnetID.NotFound", None),
    ],
)
def test_create_validates(
    link: LocalPrivateLink, arguments: dict[str, Any], code: str, message: str | None
) -> None:
    """Moto takes anything; EC2 does not, and nothing is made."""
    good = {
        "VpcEndpointType": "Interface",
        "VpcId": link.vpc_id,
        "ServiceName": API,
        "SubnetIds": [],
        "PrivateDnsEnabled": False,
    }
    seen = error_of(client_of(link, "ec2").create_vpc_endpoint, **{**good, **arguments})
    assert seen[0] == code
    assert message is None or seen[1] == message
    assert len(link.vpc_endpoints) == 2


def test_private_dns_is_given_once_a_vpc(link: LocalPrivateLink) -> None:
    """A second one for the same name is refused, in this VPC; another VPC has its own."""
    ec2, other = client_of(link, "ec2"), link.create_vpc().vpc_id
    create = ec2.create_vpc_endpoint
    arguments = {"VpcEndpointType": "Interface", "ServiceName": API, "VpcId": link.vpc_id}
    create(**arguments)
    assert error_of(create, **arguments) == (
        "InvalidParameter",
        "private-dns-enabled cannot be set because there is already a conflicting DNS domain "
        f"for api.sagemaker.us-east-1.amazonaws.com in the VPC {link.vpc_id}",
    )
    create(**{**arguments, "VpcId": other})


def test_private_dns_needs_dns_in_the_vpc(link: LocalPrivateLink) -> None:
    """EnableDnsHostnames is off in a VPC that EC2 just made."""
    ec2 = client_of(link, "ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    assert error_of(
        ec2.create_vpc_endpoint, VpcEndpointType="Interface", ServiceName=API, VpcId=vpc_id
    ) == (
        "InvalidParameter",
        "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC "
        f"attributes set to true for {vpc_id}",
    )


def test_one_subnet_a_zone(link: LocalPrivateLink) -> None:
    """Two subnets in one zone are refused."""
    ec2 = client_of(link, "ec2")
    one, two = (
        ec2.create_subnet(
            VpcId=link.vpc_id, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone="us-east-1c"
        )["Subnet"]["SubnetId"]
        for n in (100, 101)
    )
    assert error_of(
        ec2.create_vpc_endpoint,
        VpcEndpointType="Interface",
        ServiceName=API,
        VpcId=link.vpc_id,
        SubnetIds=[one, two],
        PrivateDnsEnabled=False,
    ) == (
        "DuplicateSubnetsInSameZone",
        f"Found another VPC endpoint subnet in the availability zone of {two}",
    )


def test_a_client_token_makes_one(link: LocalPrivateLink) -> None:
    """The same token gives the same VPC endpoint."""
    create = client_of(link, "ec2").create_vpc_endpoint
    ids = {
        create(
            VpcEndpointType="Interface",
            ServiceName=API,
            VpcId=link.vpc_id,
            PrivateDnsEnabled=False,
            ClientToken="once",
        )["VpcEndpoint"]["VpcEndpointId"]
        for _ in range(2)
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("service-name", [API], {"api", "pending"}),
        ("service-name", ["*sagemaker*"], {"api", "runtime", "pending"}),
        ("service-name", ["nothing"], set()),
        ("service-region", ["us-east-1"], {"api", "runtime", "pending", "s3"}),
        ("service-region", ["eu-west-1"], set()),
        ("vpc-id", ["own"], {"api", "runtime", "s3"}),
        ("vpc-id", ["own", "other"], {"api", "runtime", "pending", "s3"}),
        ("vpc-endpoint-id", ["api", "pending"], {"api", "pending"}),
        ("vpc-endpoint-state", ["available"], {"api", "runtime", "s3"}),
        ("vpc-endpoint-state", ["pendingAcceptance"], {"pending"}),
        ("vpc-endpoint-type", ["Interface"], {"api", "runtime", "pending"}),
        ("vpc-endpoint-type", ["Gateway"], {"s3"}),
        ("ip-address-type", ["ipv4"], {"api", "runtime", "pending", "s3"}),
        ("ip-address-type", ["dualstack"], set()),
        ("tag:team", ["ml"], {"s3"}),
        ("tag:team", ["web"], set()),
        ("tag-key", ["team"], {"s3"}),
    ],
)
def test_every_filter_works(
    link: LocalPrivateLink, name: str, values: list[str], expected: set[str]
) -> None:
    """A filter's values are alternatives and may have wildcards."""
    ec2, other = client_of(link, "ec2"), link.create_vpc().vpc_id
    pending = link.create_vpc_endpoint("sagemaker", vpc_id=other, state="pendingAcceptance")
    gateway = ec2.create_vpc_endpoint(
        VpcId=link.vpc_id,
        ServiceName="com.amazonaws.us-east-1.s3",
        TagSpecifications=[
            {"ResourceType": "vpc-endpoint", "Tags": [{"Key": "team", "Value": "ml"}]}
        ],
    )
    ids = {
        "api": link.vpc_endpoint("sagemaker").vpc_endpoint_id,
        "runtime": link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id,
        "pending": pending.vpc_endpoint_id,
        "s3": gateway["VpcEndpoint"]["VpcEndpointId"],
        "own": link.vpc_id,
        "other": other,
    }
    filters = [{"Name": name, "Values": [ids.get(value, value) for value in values]}]
    found = ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    assert {described["VpcEndpointId"] for described in found} == {ids[key] for key in expected}


def test_an_unknown_filter_is_error_of(link: LocalPrivateLink) -> None:
    """So that a misspelt one does not pass for an empty answer."""
    seen = error_of(
        client_of(link, "ec2").describe_vpc_endpoints,
        Filters=[{"Name": "vpc-name", "Values": ["x"]}],
    )
    assert seen == ("InvalidParameterValue", "The filter 'vpc-name' is invalid")


@pytest.mark.parametrize("server_side", [False, True])
def test_pages(link: LocalPrivateLink, *, server_side: bool) -> None:
    """MaxResults makes pages, and EC2 may make smaller ones of its own accord."""
    link.create_vpc_endpoint("sagemaker-metrics")
    if server_side:
        link.control.page_size = 2
    sizes = {} if server_side else {"PaginationConfig": {"PageSize": 2}}
    pages = client_of(link, "ec2").get_paginator("describe_vpc_endpoints").paginate(**sizes)
    assert [len(page["VpcEndpoints"]) for page in pages] == [2, 1]


@pytest.mark.parametrize("token", ["x", "page-x", "page"])
def test_a_wrong_page_token_is_error_of(link: LocalPrivateLink, token: str) -> None:
    """Tokens are the service's own."""
    seen = error_of(client_of(link, "ec2").describe_vpc_endpoints, NextToken=token)
    assert seen[0] == "InvalidNextToken"


def test_a_participant_is_told_nothing(link: LocalPrivateLink) -> None:
    """In a shared VPC the owner's VPC endpoints are used, but not described."""
    link.control.participant = True
    ec2, standing = client_of(link, "ec2"), link.vpc_endpoint("sagemaker")
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == []
    assert (
        error_of(ec2.describe_vpc_endpoints, VpcEndpointIds=[standing.vpc_endpoint_id])[0]
        == "InvalidVpcEndpointId.NotFound"
    )
    assert link.network.resolve(standing.name.host, timeout=1)


@pytest.mark.parametrize("state", ["pendingAcceptance", "pending", "deleting", "failed"])
def test_states_are_told_as_ec2_does(link: LocalPrivateLink, state: str) -> None:
    """The names of one that is not available do not resolve."""
    standing = link.vpc_endpoint("sagemaker")
    link.set_state(standing.vpc_endpoint_id, state)
    found = client_of(link, "ec2").describe_vpc_endpoints(VpcEndpointIds=[standing.vpc_endpoint_id])
    assert found["VpcEndpoints"][0]["State"] == state
    with pytest.raises(OSError, match="Name or service not known"):
        link.network.resolve(standing.name.host, timeout=1)


@pytest.mark.parametrize(
    ("fault", "code", "status", "message"),
    [
        (
            "deny",
            "UnauthorizedOperation",
            403,
            "You are not authorized to perform this operation. User: {arn} is not authorized to "
            "perform: ec2:DescribeVpcEndpoints because no identity-based policy allows the "
            "ec2:DescribeVpcEndpoints action",
        ),
        ("throttle", "RequestLimitExceeded", 503, "Request limit exceeded."),
    ],
)
def test_denied_and_throttled_as_ec2_words_it(
    link: LocalPrivateLink, fault: str, code: str, status: int, message: str
) -> None:
    """Until it is cleared; other actions go on; every call is counted."""
    ec2 = client_of(link, "ec2")
    arn = f"arn:aws:iam::{link.account_id}:user/private-link"
    with getattr(link.faults, fault)("ec2:DescribeVpcEndpoints"):
        for _ in range(2):
            answer = refused(ec2.describe_vpc_endpoints)
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
            assert answer["Error"] == {"Code": code, "Message": message.format(arn=arn)}
        ec2.describe_network_interfaces()
    ec2.describe_vpc_endpoints()
    assert link.calls["ec2:DescribeVpcEndpoints"] == 3
    assert link.calls["ec2:DescribeNetworkInterfaces"] == 1


def test_services_are_described_from_the_catalogue(link: LocalPrivateLink) -> None:
    """Name, base names, private name and policy support are as AWS has them."""
    details = client_of(link, "ec2").describe_vpc_endpoint_services(
        ServiceNames=[API, "com.amazonaws.us-east-1.sagemaker.runtime-fips"]
    )["ServiceDetails"]
    seen = {
        described["ServiceName"]: (
            described["BaseEndpointDnsNames"],
            described["PrivateDnsName"],
            described["VpcEndpointPolicySupported"],
        )
        for described in details
    }
    assert seen == {
        API: (
            ["api.sagemaker.us-east-1.vpce.amazonaws.com"],
            "api.sagemaker.us-east-1.amazonaws.com",
            True,
        ),
        "com.amazonaws.us-east-1.sagemaker.runtime-fips": (
            ["runtime-fips.sagemaker.us-east-1.vpce.amazonaws.com"],
            "runtime-fips.sagemaker.us-east-1.amazonaws.com",
            False,
        ),
    }
    assert (
        error_of(client_of(link, "ec2").describe_vpc_endpoint_services, ServiceNames=["nothing"])[0]
        == "InvalidServiceName"
    )
