"""What the simulator enforces around VPC endpoints: places, packet filters, DNS attributes."""

from __future__ import annotations

import http.client
import json
import selectors
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from simulator_calls import client_of
from sm_private_client import ConfigurationError
from sm_private_client.routing.location import locate
from sm_private_client.routing.network import connect
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

API = "api.sagemaker.us-east-1.amazonaws.com"
METADATA = "169.254.169.254"
SERVICE = "com.amazonaws.us-east-1.sagemaker.api"


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=["sagemaker"], private_dns=True) as running:
        yield running


def answering(link: LocalPrivateLink, vpc_endpoint_id: str | None = None) -> list[str]:
    """Return the zones whose ENI answers on 443; what is swallowed never becomes writable."""
    standing = link.vpc_endpoint("sagemaker")
    if vpc_endpoint_id is not None:
        (standing,) = (v for v in link.vpc_endpoints if v.vpc_endpoint_id == vpc_endpoint_id)
    found = []
    for interface in standing.interfaces:
        opened = link.network.open(interface.address, 443)
        with selectors.DefaultSelector() as waiting:  # select() takes no descriptor above 1023
            waiting.register(opened, selectors.EVENT_WRITE)
            is_open = bool(waiting.select(0.1))
        if is_open:
            found.append(interface.availability_zone[-1])
        opened.close()
    return found


# Places


def test_the_caller_has_an_interface_of_its_own(link: LocalPrivateLink) -> None:
    """EC2 describes it: address inside the subnet, zone, group."""
    filters = [{"Name": "private-ip-address", "Values": [link.caller.address]}]
    (eni,) = client_of(link, "ec2").describe_network_interfaces(Filters=filters)[
        "NetworkInterfaces"
    ]
    assert (eni["SubnetId"], eni["VpcId"]) == (link.caller.subnet_id, link.vpc_id)
    assert eni["AvailabilityZone"] == link.caller.availability_zone == "us-east-1a"
    assert [g["GroupId"] for g in eni["Groups"]] == [link.caller.security_group_ids[0]]
    assert eni["NetworkInterfaceId"] == link.caller.network_interface_id


def test_the_caller_moves(link: LocalPrivateLink) -> None:
    """To another zone with other groups; the interface it had is gone."""
    before = link.caller
    group = link.create_security_group()
    link.move_to("us-east-1b", security_group_ids=[group])
    assert (link.caller.availability_zone, link.caller.security_group_ids[0]) == (
        "us-east-1b",
        group,
    )
    listed = client_of(link, "ec2").describe_network_interfaces()["NetworkInterfaces"]
    ids = [eni["NetworkInterfaceId"] for eni in listed]
    assert before.network_interface_id not in ids
    assert link.caller.network_interface_id in ids
    with pytest.raises(ConfigurationError, match=r"has no subnet in us-east-1f\."):
        link.move_to("us-east-1f")


@pytest.mark.parametrize("inbound_resolver", [False, True])
def test_on_premises_names_are_private_with_an_inbound_resolver(
    link: LocalPrivateLink, *, inbound_resolver: bool
) -> None:
    """The VPC's addresses answer there, private DNS only through the VPC's resolver."""
    link.create_gateway("s3")
    link.move_on_premises(inbound_resolver=inbound_resolver)
    assert (link.caller.address, link.caller.subnet_id) == ("192.168.10.20", None)
    assert link.network.resolve(API, timeout=1)[0].startswith("10.") is inbound_resolver
    assert link.network.resolve(link.vpc_endpoint("sagemaker").name.host, timeout=1)
    assert answering(link) == ["a", "b"]
    before = link.internet.connections
    connect(link.network, "52.216.160.10", 443, timeout=3).close()
    while link.internet.connections == before:
        time.sleep(0.01)
    assert len(link.other_service_requests) == 0


# Security groups


def test_a_closed_group_swallows(link: LocalPrivateLink) -> None:
    """And EC2 tells it, of the VPC endpoint and of its ENIs."""
    assert answering(link) == ["a", "b"]
    standing = link.vpc_endpoint("sagemaker")
    group = link.close_https(standing.vpc_endpoint_id)
    assert answering(link) == []
    ec2 = client_of(link, "ec2")
    (described,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert [g["GroupId"] for g in described["Groups"]] == [group]
    enis = ec2.describe_network_interfaces(NetworkInterfaceIds=described["NetworkInterfaceIds"])
    assert {g["GroupId"] for e in enis["NetworkInterfaces"] for g in e["Groups"]} == {group}
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [{"CidrIp": f"{link.caller.address}/32"}],
            }
        ],
    )
    assert answering(link) == ["a", "b"]


OTHER = "10.0.0.0/26"  # not the caller's own address


@pytest.mark.parametrize(
    ("rule", "opens"),
    [
        ({"cidr": "10.0.0.0/16"}, True),
        ({"cidr": "0.0.0.0/0"}, True),
        ({"cidr": OTHER}, False),
        ({"cidr": "10.0.0.0/16", "ports": (80, 442)}, False),
        ({"cidr": "10.0.0.0/16", "ports": (0, 65535)}, True),
        ({"cidr": "10.0.0.0/16", "protocol": "udp"}, False),
        ({"cidr": "10.0.0.0/16", "protocol": "-1"}, True),
        ({"group": "own"}, True),
        ({"group": "other"}, False),
    ],
)
def test_rules_are_read_as_ec2_means_them(
    shared: LocalPrivateLink, rule: dict[str, Any], *, opens: bool
) -> None:
    """Protocol, ports, CIDR, and groups instead of a CIDR."""
    standing = shared.vpc_endpoint("sagemaker")
    group = shared.close_https(standing.vpc_endpoint_id)
    permission: dict[str, Any] = {"IpProtocol": rule.get("protocol", "tcp")}
    if permission["IpProtocol"] != "-1":
        permission["FromPort"], permission["ToPort"] = rule.get("ports", (443, 443))
    if "cidr" in rule:
        permission["IpRanges"] = [{"CidrIp": rule["cidr"]}]
    else:
        own = shared.caller.security_group_ids[0]
        source = own if rule["group"] == "own" else shared.create_security_group()
        permission["UserIdGroupPairs"] = [{"GroupId": source}]
    client_of(shared, "ec2").authorize_security_group_ingress(
        GroupId=group, IpPermissions=[permission]
    )
    assert (answering(shared) == ["a", "b"]) is opens


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    """A world whose groups each test sets anew."""
    with LocalPrivateLink(services=["sagemaker"]) as running:
        yield running


def test_groups_may_be_given_when_it_is_made(link: LocalPrivateLink) -> None:
    """Also none that lets anybody in."""
    closed, opened = (
        link.create_security_group(),
        link.create_security_group(https_from=["10.0.0.0/8"]),
    )
    for group, zones in ((closed, []), (opened, ["a", "b"])):
        standing = link.create_vpc_endpoint("sagemaker", security_group_ids=[group])
        assert answering(link, standing.vpc_endpoint_id) == zones


def test_the_caller_s_own_group_must_let_out(link: LocalPrivateLink) -> None:
    """A group without egress rules stops packets before they leave."""
    group = link.create_security_group()
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    client_of(link, "ec2").revoke_security_group_egress(GroupId=group, IpPermissions=everything)
    link.move_to("us-east-1a", security_group_ids=[group])
    assert answering(link) == []


# Network ACLs


@pytest.mark.parametrize("egress", [False, True])
def test_a_network_acl_denies_a_subnet(link: LocalPrivateLink, *, egress: bool) -> None:
    """Packets or answers; within one subnet ACLs have no say."""
    acl = link.deny_in_network_acl("us-east-1b", egress=egress)
    assert answering(link) == ["a"]
    (described,) = client_of(link, "ec2").describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert len(described["Associations"]) == 1
    denied = [e for e in described["Entries"] if e["RuleAction"] == "deny"]
    assert [e["Egress"] for e in denied] == [egress]
    link.deny_in_network_acl("us-east-1a", cidr="10.9.0.0/16")
    assert answering(link) == ["a"]


# DNS attributes


@pytest.mark.parametrize("off", ["support", "hostnames"])
def test_private_dns_needs_both_attributes(link: LocalPrivateLink, off: str) -> None:
    """Off through EC2's API or from inside, names are public; on again, private."""
    attribute = f"enableDns{off.capitalize()}"
    name = attribute[0].upper() + attribute[1:]
    assert link.network.resolve(API, timeout=1)[0].startswith("10.")
    ec2 = client_of(link, "ec2")
    for value in (False, True):
        ec2.modify_vpc_attribute(VpcId=link.vpc_id, **{name: {"Value": value}})
        assert link.network.resolve(API, timeout=1)[0].startswith("10.") is value
    link.set_dns_attributes(support=off != "support", hostnames=off != "hostnames")
    assert link.network.resolve(API, timeout=1)[0].startswith("52.")
    attribute = ec2.describe_vpc_attribute(
        VpcId=link.vpc_id, Attribute=f"enableDns{off.capitalize()}"
    )
    assert attribute[name]["Value"] is False


def test_private_dns_is_refused_without_the_attributes(link: LocalPrivateLink) -> None:
    """CreateVpcEndpoint says which ones."""
    link.set_dns_attributes(support=False)
    with pytest.raises(ClientError, match="both enableDnsSupport and enableDnsHostnames"):
        client_of(link, "ec2").create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=link.vpc_id,
            ServiceName="com.amazonaws.us-east-1.sts",
            PrivateDnsEnabled=True,
        )


# The metadata service


def metadata(link: LocalPrivateLink, method: str, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(METADATA, timeout=3)
    connection.sock = connect(link.network, METADATA, 80, timeout=3)
    connection.request(method, f"/latest/{path}", headers=headers)
    with connection.getresponse() as answer:
        response = answer.status, answer.read().decode()
    connection.close()
    return response


def test_the_metadata_service_tells_the_place(link: LocalPrivateLink) -> None:
    """With a token only, as IMDSv2; it follows the caller; its credentials are good."""
    played = link.play_instance_metadata(role_name="app")
    assert metadata(link, "GET", "meta-data/mac")[0] == 401
    status, token = metadata(
        link, "PUT", "api/token", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    assert status == 200
    with_token = {"X-aws-ec2-metadata-token": token}
    link.move_to("us-east-1b")
    found = {
        name: metadata(link, "GET", f"meta-data/{name}", **with_token)
        for name in ("local-ipv4", "placement/availability-zone", "no/such/thing")
    }
    assert found == {
        "local-ipv4": (200, link.caller.address),
        "placement/availability-zone": (200, "us-east-1b"),
        "no/such/thing": (404, ""),
    }
    groups = f"network/interfaces/macs/{link.caller.mac}/security-group-ids"
    assert (
        metadata(link, "GET", f"meta-data/{groups}", **with_token)[1]
        == link.caller.security_group_ids[0]
    )
    path = "meta-data/iam/security-credentials/"
    assert metadata(link, "GET", path, **with_token) == (200, "app")
    keys = json.loads(metadata(link, "GET", f"{path}app", **with_token)[1])
    sts = client_of(
        link,
        "sts",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["Token"],
    )
    assert ":assumed-role/app/" in sts.get_caller_identity()["Arn"]
    location = locate(link.network, environ=played.environment, root=Path(played.root))
    assert (location.vpc_id, location.subnet_ids) == (link.vpc_id, (link.caller.subnet_id,))


def test_sessions_know_where_they_are(shared: LocalPrivateLink) -> None:
    """Once the metadata service is played; the zone's addresses come first."""
    link = shared
    link.set_security_groups(
        link.vpc_endpoint("sagemaker").vpc_endpoint_id,
        link.create_security_group(https_from=["10.0.0.0/8"]),
    )
    assert link.session().route("sagemaker").availability_zone is None
    link.move_to("us-east-1b")
    link.play_instance_metadata()
    session = link.session()
    assert session.route("sagemaker").availability_zone == "us-east-1b"
    session.client("sagemaker").list_endpoints()
    assert link.requests[-1].availability_zone == "us-east-1b"


# What EC2 tells and tries


def test_a_service_is_withheld_from_a_zone(link: LocalPrivateLink) -> None:
    """DescribeVpcEndpointServices leaves the zone out, and subnets there are refused."""
    link.stop_offering("sts", "us-east-1b")
    ec2 = client_of(link, "ec2")
    name = "com.amazonaws.us-east-1.sts"
    (described,) = ec2.describe_vpc_endpoint_services(ServiceNames=[name])["ServiceDetails"]
    assert "us-east-1a" in described["AvailabilityZones"]
    assert "us-east-1b" not in described["AvailabilityZones"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [link.vpc_id]}])["Subnets"]
    by_zone = {s["AvailabilityZone"]: s["SubnetId"] for s in subnets}
    create: Callable[..., Any] = ec2.create_vpc_endpoint
    arguments = {"VpcEndpointType": "Interface", "VpcId": link.vpc_id, "ServiceName": name}
    with pytest.raises(ClientError, match="does not support the availability zone of the subnet"):
        create(SubnetIds=list(by_zone.values()), **arguments)
    assert create(SubnetIds=[by_zone["us-east-1a"]], **arguments)


def test_dry_runs_change_nothing(link: LocalPrivateLink) -> None:
    """Create, modify and delete answer DryRunOperation; what stands stays."""
    ec2 = client_of(link, "ec2")
    (before,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    wanted = before["VpcEndpointId"]
    for call, arguments in (
        (ec2.create_vpc_endpoint, {"VpcId": link.vpc_id, "ServiceName": SERVICE}),
        (ec2.modify_vpc_endpoint, {"VpcEndpointId": wanted, "PrivateDnsEnabled": False}),
        (ec2.delete_vpc_endpoints, {"VpcEndpointIds": [wanted]}),
    ):
        with pytest.raises(ClientError, match="DryRun flag is set") as caught:
            call(DryRun=True, **arguments)
        assert caught.value.response["Error"]["Code"] == "DryRunOperation"
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == [before]
    assert {"Groups", "SubnetIds", "PolicyDocument", "DnsEntries"} <= set(before)
