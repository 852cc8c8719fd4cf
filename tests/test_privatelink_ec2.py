"""EC2's answers are read whatever they leave out, and its failures are explained."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from sm_private_client.errors import (
    ConfigurationError,
    DiscoveryError,
    NoPrivateRouteError,
    PrivateClientError,
    PublicAddressError,
)
from sm_private_client.privatelink.ec2 import (
    Failure,
    discovery_error,
    explain,
    is_throttled,
    read_addresses,
    read_cidrs,
    read_route_table,
    read_vpc_endpoint,
    read_vpc_endpoints,
)
from sm_private_client.privatelink.records import EndpointAddress, RouteTable, VpcEndpoint

PERMISSION = "ec2:DescribeVpcEndpoints"
BARE = {"VpcEndpointId": "vpce-1", "ServiceName": "s"}


def answered(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeVpcEndpoints")


def test_every_part_of_a_vpc_endpoint_is_read() -> None:
    """All that routes, plans and the doctor look at."""
    raw = {
        **BARE,
        "VpcId": "vpc-1",
        "State": "PendingAcceptance",
        "VpcEndpointType": "Gateway",
        "PrivateDnsEnabled": True,
        "DnsEntries": [{"DnsName": "b", "HostedZoneId": "Z"}, {"HostedZoneId": "Z"}],
        "SubnetIds": ["subnet-1"],
        "NetworkInterfaceIds": ["eni-1"],
        "Groups": [{"GroupId": "sg-1", "GroupName": "g"}],
        "RouteTableIds": ["rtb-1"],
        "IpAddressType": "DualStack",
        "PolicyDocument": "{}",
        "CreationTimestamp": dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc),
        "Tags": [{"Key": "team", "Value": "ml"}, {"Key": "sm-private-client:plan", "Value": "p-1"}],
    }
    assert read_vpc_endpoint(raw) == VpcEndpoint(
        vpc_endpoint_id="vpce-1",
        endpoint_service="s",
        vpc_id="vpc-1",
        state="pendingacceptance",
        kind="Gateway",
        private_dns_enabled=True,
        dns_names=("b",),
        subnet_ids=("subnet-1",),
        network_interface_ids=("eni-1",),
        security_group_ids=("sg-1",),
        route_table_ids=("rtb-1",),
        ip_address_type="dualstack",
        policy="{}",
        created="2026-01-02T00:00:00+00:00",
        plan_id="p-1",
    )


def test_what_ec2_leaves_out_is_empty() -> None:
    """An id and a service are enough; nothing is ``None``."""
    assert read_vpc_endpoint(BARE) == VpcEndpoint(
        vpc_endpoint_id="vpce-1", endpoint_service="s", vpc_id="", state=""
    )
    assert read_addresses({"NetworkInterfaceId": "eni-1"}) == ()
    assert read_cidrs({}) == ()
    assert read_route_table({"RouteTableId": "rtb-1"}) == RouteTable(
        route_table_id="rtb-1", is_main=False, subnet_ids=frozenset(), gateways=frozenset()
    )


def test_vpc_endpoints_are_sorted_by_age() -> None:
    """The oldest first, then by id; EC2 lists them in no order."""
    old, new = (dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc) for year in (2025, 2026))
    raw = [
        {**BARE, "VpcEndpointId": name, "CreationTimestamp": created}
        for name, created in (("vpce-3", new), ("vpce-2", old), ("vpce-1", old))
    ]
    found = [v.vpc_endpoint_id for v in read_vpc_endpoints(raw)]
    assert found == ["vpce-1", "vpce-2", "vpce-3"]


@pytest.mark.parametrize(
    ("raw", "cidrs"),
    [
        ({"CidrBlock": "10.0.0.0/16"}, ("10.0.0.0/16",)),
        (
            {
                "CidrBlock": "10.0.0.0/16",
                "CidrBlockAssociationSet": [
                    {"CidrBlock": "10.1.0.0/16"},
                    {"CidrBlock": "10.0.0.0/16"},
                ],
                "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2600:1f18::/56"}],
            },
            ("10.0.0.0/16", "10.1.0.0/16", "2600:1f18::/56"),
        ),
    ],
)
def test_cidrs_of_both_families(raw: dict[str, Any], cidrs: tuple[str, ...]) -> None:
    """The primary one first, each once."""
    assert read_cidrs(raw) == cidrs


def test_addresses_of_both_families() -> None:
    """The primary one first, each once, with zone and interface."""
    raw = {
        "NetworkInterfaceId": "eni-1",
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az1",
        "PrivateIpAddress": "10.0.1.5",
        "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.1.9"}, {"PrivateIpAddress": "10.0.1.5"}],
        "Ipv6Addresses": [{"Ipv6Address": "fd00::5"}],
    }
    assert read_addresses(raw) == tuple(
        EndpointAddress(
            address=address,
            availability_zone="us-east-1a",
            availability_zone_id="use1-az1",
            network_interface_id="eni-1",
        )
        for address in ("10.0.1.5", "10.0.1.9", "fd00::5")
    )


def test_only_active_routes_to_prefix_lists_count() -> None:
    """Routes to networks, and routes that lead nowhere, make no gateway."""
    routes = [
        {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "State": "active"},
        {"DestinationPrefixListId": "pl-2", "GatewayId": "vpce-2", "State": "blackhole"},
        {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"},
    ]
    associations = [{"Main": True}, {"SubnetId": "subnet-1"}]
    raw = {"RouteTableId": "rtb-1", "Associations": associations, "Routes": routes}
    assert read_route_table(raw) == RouteTable(
        route_table_id="rtb-1",
        is_main=True,
        subnet_ids=frozenset({"subnet-1"}),
        gateways=frozenset({("pl-1", "vpce-1")}),
    )


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "AccessDenied", "AuthFailure"])
def test_every_way_of_denying_is_known(code: str) -> None:
    """EC2 and its endpoint policies use different codes."""
    failure = explain(answered(code), PERMISSION)
    assert (failure.kind, failure.permission) == ("denied", PERMISSION)


DENIED = "this identity is not allowed to (UnauthorizedOperation)."
UNREACHABLE = "create an interface endpoint for EC2 in this VPC, or "


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (
            answered("UnauthorizedOperation"),
            Failure("denied", DENIED, (f"allow {PERMISSION} for it.",), PERMISSION),
        ),
        (
            answered("UnauthorizedOperation", "You are not authorized to perform: kms:Decrypt"),
            Failure("denied", DENIED, ("allow kms:Decrypt for it.",), "kms:Decrypt"),
        ),
        (
            answered("RequestLimitExceeded", "Slow down."),
            Failure(
                "throttled",
                "EC2 throttles this account (RequestLimitExceeded).",
                ("try again in a minute.",),
            ),
        ),
        (
            answered("DependencyViolation", "in use."),
            Failure(
                "answered",
                "EC2 answered DependencyViolation: in use.",
                ("correct what EC2 names, and try again.",),
            ),
        ),
        (
            answered("SignatureDoesNotMatch", "x-amz-security-token:secret"),
            Failure("answered", "EC2 answered SignatureDoesNotMatch.", ("try again.",)),
        ),
        (
            NoCredentialsError(),
            Failure(
                "unreachable", "there are no AWS credentials.", ("give credentials as for boto3.",)
            ),
        ),
        (
            TimeoutError("no answer within 5 s"),
            Failure(
                "unreachable",
                "no answer within 5 s.",
                (f"{UNREACHABLE}run this in a network that reaches it.",),
            ),
        ),
        (
            ConnectTimeoutError(endpoint_url="https://me:secret@ec2.example"),
            Failure(
                "unreachable",
                'ConnectTimeoutError: Connect timeout on endpoint URL: "https://…@ec2.example".',
                (f"{UNREACHABLE}run this in a network that reaches it.",),
            ),
        ),
        *[
            (
                error,
                Failure(
                    "unreachable",
                    "Refused.",
                    (
                        "create an interface endpoint for EC2 in this VPC, with private DNS.",
                        "or name one you have: set AWS_ENDPOINT_URL_EC2.",
                    ),
                ),
            )
            for error in (
                NoPrivateRouteError("Refused."),
                PublicAddressError("Refused.", host="h", address="a"),
            )
        ],
        (
            ConfigurationError("Wrong.\nMore.", remedy="correct it."),
            Failure("unreachable", "Wrong.", ("correct it.",)),
        ),
    ],
)
def test_a_failure_is_explained(error: Exception, failure: Failure) -> None:
    """With its kind, its cause, the remedies, and the permission that is missing."""
    assert explain(error, PERMISSION, with_message=True) == failure


def test_another_service_is_named_by_its_permission() -> None:
    """STS is asked too."""
    failure = explain(answered("Throttling"), "sts:GetCallerIdentity")
    assert failure.cause == "STS throttles this account (Throttling)."


def test_messages_of_ec2_are_repeated_only_if_asked_for() -> None:
    """They may name accounts and resources; the evidence of a route is logged."""
    error = discovery_error(answered("InternalError", "account 1"), PERMISSION, or_else="do that")
    assert isinstance(error, DiscoveryError)
    assert error.what == f"EC2 could not be asked ({PERMISSION})."
    assert error.cause == "EC2 answered InternalError."
    assert error.remedies == ("try again, or do that.",)


@pytest.mark.parametrize(
    ("code", "throttled"),
    [
        ("RequestLimitExceeded", True),
        ("Throttling", True),
        ("ThrottlingException", True),
        ("InternalError", False),
    ],
)
def test_throttling_shows_through_errors_of_ours(code: str, throttled: bool) -> None:
    """Also if it is the cause of one."""
    error = answered(code)
    ours = PrivateClientError("What.")
    ours.__cause__ = error
    assert (is_throttled(error), is_throttled(ours)) == (throttled, throttled)
    assert not is_throttled(PrivateClientError("What."))
