"""The simulator's other services: STS, S3, Logs and others behind VPC endpoints and gateways."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, SSLError

from simulator_calls import ONCE, client_of, refused
from sm_private_client.privatelink.other_services import OTHER_SERVICES
from sm_private_client.privatelink.records import Route
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.dialer import Dialer, ZoneHealth
from sm_private_client.transport.guarded import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = ONCE.merge(Config(connect_timeout=0.5, read_timeout=5))
STS = "sts.us-east-1.amazonaws.com"
S3 = "s3.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    """A world with interface endpoints of every other service, with private DNS."""
    with LocalPrivateLink(services=()) as running:
        for row in OTHER_SERVICES:
            running.create_vpc_endpoint(row.service_name, private_dns=True)
        yield running


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as running:
        yield running


def over_network(
    link: LocalPrivateLink,
    service_name: str,
    *,
    url: str | None = None,
    verify: str | None = None,
    config: Config = QUICK,
    **arguments: Any,
) -> Any:
    """Return a client that dials through the simulated network, public addresses included."""
    session = boto3.Session(botocore_session=link.botocore_session(other_services="network"))
    make: Any = session.client
    client = make(service_name, endpoint_url=url, config=config, **arguments)
    route = Route(
        service_name=service_name,
        region=link.region,
        partition="aws",
        endpoint_url=client.meta.endpoint_url,
        source="explicit",
    )
    dialer = Dialer(route, network=link.network, health=ZoneHealth(), warn_only=True)
    guard(client, lambda _: dialer, verify=verify or link.ca_bundle)
    return client


@pytest.mark.parametrize(
    ("service_name", "operation"),
    [
        ("sts", "get_caller_identity"),
        ("logs", "describe_log_groups"),
        ("cloudwatch", "list_metrics"),
        ("kms", "list_keys"),
        ("ec2", "describe_vpcs"),
        ("iam", "list_roles"),
        ("secretsmanager", "list_secrets"),
        ("events", "list_rules"),
        ("sqs", "list_queues"),
        ("sns", "list_topics"),
        ("lambda", "list_functions"),
        ("ecr", "describe_repositories"),
    ],
)
def test_other_services_are_called_through_their_vpc_endpoint(
    shared: LocalPrivateLink, service_name: str, operation: str
) -> None:
    """The default host name leads to the ENI, over TLS, signed; nothing goes to the internet."""
    before = shared.internet.connections
    getattr(over_network(shared, service_name), operation)()
    record = shared.other_service_requests[-1]
    standing = shared.vpc_endpoint(service_name)
    assert (record.service_name, record.vpc_endpoint_id, record.status) == (
        service_name,
        standing.vpc_endpoint_id,
        200,
    )
    assert record.address in [i.address for i in standing.interfaces]
    assert shared.internet.connections == before


@pytest.mark.parametrize(
    ("service_name", "label", "private"),
    [
        ("sts", "sts", [STS]),
        ("ecr", "api.ecr", ["api.ecr.us-east-1.amazonaws.com"]),
        ("cloudwatch", "monitoring", ["monitoring.us-east-1.amazonaws.com"]),
        ("iam", "iam", ["iam.amazonaws.com"]),
        ("s3", "s3", [S3, f"*.{S3}"]),
    ],
)
def test_names_are_those_of_the_service(
    shared: LocalPrivateLink, service_name: str, label: str, private: list[str]
) -> None:
    """The vpce names carry the service's DNS label, the private ones are botocore's own hosts."""
    ec2 = over_network(shared, "ec2")
    standing = shared.vpc_endpoint(service_name)
    (described,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[standing.vpc_endpoint_id])[
        "VpcEndpoints"
    ]
    names = {entry["DnsName"] for entry in described["DnsEntries"]}
    stem = "*." if service_name == "s3" else ""
    host = f".{label}.us-east-1.vpce.amazonaws.com"
    assert set(private) <= names
    assert len(names) == len(private) + 3
    assert all(n.startswith(f"{stem}vpce-") and n.endswith(host) for n in names - set(private))


def test_the_vpce_name_is_called_without_private_dns(link: LocalPrivateLink) -> None:
    """Regional and zonal names work as endpoint URL; the default host name stays public."""
    standing = link.create_vpc_endpoint("sts")
    zonal = standing.name.in_zone("us-east-1b").host
    for host in (standing.name.host, zonal):
        sts = over_network(link, "sts", url=f"https://{host}")
        assert sts.get_caller_identity()["Account"] == link.account_id
    assert link.other_service_requests[-1].availability_zone == "us-east-1b"
    assert link.network.resolve(STS, timeout=1)[0].startswith("52.46.129.")


def test_a_public_other_service_is_counted_as_internet(link: LocalPrivateLink) -> None:
    """Without VPC endpoint the call works, and is counted."""
    sts = over_network(link, "sts")
    assert sts.get_caller_identity()["Account"] == link.account_id
    assert link.internet.connections == 1
    assert link.other_service_requests[-1].vpc_endpoint_id is None


@pytest.mark.parametrize("style", ["virtual", "path"])
@pytest.mark.parametrize("how", ["private-dns", "bucket", "gateway", "internet"])
def test_objects_come_back_from_s3(link: LocalPrivateLink, how: str, style: str) -> None:
    """Through private DNS, the ``bucket`` name, a gateway or the internet, in either style."""
    url = None
    if how in ("private-dns", "bucket"):
        standing = link.create_vpc_endpoint("s3", private_dns=how == "private-dns")
        url = f"https://{S3}" if how == "private-dns" else f"https://bucket.{standing.name.host}"
    gateway = link.create_gateway("s3") if how == "gateway" else None
    s3_options: Any = {"addressing_style": style}
    addressed = Config(s3=s3_options).merge(QUICK)
    s3 = over_network(link, "s3", url=url, config=addressed)
    s3.create_bucket(Bucket="my.rows" if style == "path" else f"rows-{how}")
    (bucket,) = (b["Name"] for b in s3.list_buckets()["Buckets"])
    s3.put_object(Bucket=bucket, Key="a b/ü.csv", Body=b"1,2,3")
    assert s3.get_object(Bucket=bucket, Key="a b/ü.csv")["Body"].read() == b"1,2,3"
    assert link.control.get_object(bucket, "a b/ü.csv") == b"1,2,3"
    assert (link.internet.connections > 0) is (how == "internet")
    via = {r.vpc_endpoint_id for r in link.other_service_requests}
    assert via == {gateway or (standing.vpc_endpoint_id if url else None)}


def test_a_gateway_has_a_prefix_list_and_routes(link: LocalPrivateLink) -> None:
    """EC2 tells the prefix list, its CIDRs and the entries; S3's public address is inside."""
    gateway = link.create_gateway("s3")
    ec2 = client_of(link, "ec2")
    (described,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[gateway])["VpcEndpoints"]
    assert (described["VpcEndpointType"], described["State"]) == ("Gateway", "available")
    filters = [{"Name": "prefix-list-name", "Values": [described["ServiceName"]]}]
    (managed,) = ec2.describe_managed_prefix_lists(Filters=filters)["PrefixLists"]
    listed = ec2.describe_prefix_lists(Filters=filters)["PrefixLists"]
    assert [p["PrefixListId"] for p in listed] == [managed["PrefixListId"]]
    entries = ec2.get_managed_prefix_list_entries(PrefixListId=managed["PrefixListId"])["Entries"]
    assert listed[0]["Cidrs"] == [e["Cidr"] for e in entries]
    assert "52.216.0.0/15" in listed[0]["Cidrs"]
    assert link.network.resolve(S3, timeout=1) == ("52.216.160.10",)
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [link.vpc_id]}])[
        "RouteTables"
    ]
    assert (managed["PrefixListId"], gateway) in [
        (r.get("DestinationPrefixListId"), r.get("GatewayId")) for r in table["Routes"]
    ]


def test_without_its_route_a_gateway_is_not_on_the_way(link: LocalPrivateLink) -> None:
    """Where the subnet's route table lacks the entry, S3 is reached over the internet."""
    gateway = link.create_gateway("s3", route_table_ids=[])
    ec2 = client_of(link, "ec2")
    over_network(link, "s3").list_buckets()
    assert link.internet.connections == 1
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [link.vpc_id]}])[
        "RouteTables"
    ]
    for change in ("AddRouteTableIds", "RemoveRouteTableIds"):
        ec2.modify_vpc_endpoint(VpcEndpointId=gateway, **{change: [table["RouteTableId"]]})
        over_network(link, "s3").list_buckets()
    assert [r.vpc_endpoint_id for r in link.other_service_requests] == [None, gateway, None]
    ec2.delete_vpc_endpoints(VpcEndpointIds=[gateway])
    over_network(link, "s3").list_buckets()
    assert link.other_service_requests[-1].vpc_endpoint_id is None


def test_a_signature_for_another_service_or_key_is_refused(shared: LocalPrivateLink) -> None:
    """As each service words it."""
    other: dict[str, Any] = {"aws_access_key_id": "AKIAOTHER", "aws_secret_access_key": "s"}
    wrong = {**other, "aws_access_key_id": shared.access_key_id}
    codes = {
        (name, kind): refused(getattr(over_network(shared, name, **keys), call))["Error"]["Code"]
        for name, call in (
            ("sts", "get_caller_identity"),
            ("ec2", "describe_vpcs"),
            ("s3", "list_buckets"),
            ("logs", "describe_log_groups"),
        )
        for kind, keys in (("key", other), ("secret", wrong))
    }
    assert codes == {
        ("sts", "key"): "InvalidClientTokenId",
        ("sts", "secret"): "SignatureDoesNotMatch",
        ("ec2", "key"): "AuthFailure",
        ("ec2", "secret"): "AuthFailure",
        ("s3", "key"): "InvalidAccessKeyId",
        ("s3", "secret"): "SignatureDoesNotMatch",
        ("logs", "key"): "UnrecognizedClientException",
        ("logs", "secret"): "InvalidSignatureException",
    }
    host = shared.vpc_endpoint("logs").name.host
    sts = over_network(shared, "sts", url=f"https://{host}")
    assert refused(sts.get_caller_identity)["Error"]["Code"] == "SignatureDoesNotMatch"


def test_s3_s_own_name_does_not_resolve(shared: LocalPrivateLink) -> None:
    """Only what stands before it does, as in AWS."""
    host = shared.vpc_endpoint("s3").name.host
    with pytest.raises(socket.gaierror):
        shared.network.resolve(host, timeout=1)
    assert shared.network.resolve(f"bucket.{host}", timeout=1)
    assert shared.network.resolve(f"accesspoint.{host}", timeout=1)


# TLS


def test_an_inspected_connection_is_trusted_with_the_company_s_bundle(
    shared: LocalPrivateLink,
) -> None:
    """The names are right, the issuer is the company's."""
    with shared.faults.tls_inspection("sts"):
        with pytest.raises(SSLError, match=r"unable to get local issuer|self.signed"):
            over_network(shared, "sts").get_caller_identity()
        over_network(shared, "sts", verify=shared.corporate_ca_bundle).get_caller_identity()
        over_network(shared, "kms").list_keys()
    over_network(shared, "sts", verify=shared.corporate_ca_bundle).get_caller_identity()


def test_an_expired_certificate_is_refused(shared: LocalPrivateLink) -> None:
    """It ended yesterday."""
    with (
        shared.faults.expired_certificate("sts"),
        pytest.raises(SSLError, match="certificate has expired"),
    ):
        over_network(shared, "sts").get_caller_identity()


def test_a_handshake_is_closed(shared: LocalPrivateLink) -> None:
    """The greeting is read, then the connection is closed without a word."""
    with shared.faults.handshake_close("sts"), pytest.raises(SSLError, match="EOF"):
        over_network(shared, "sts").get_caller_identity()


def test_a_swallowing_internet_times_out(link: LocalPrivateLink) -> None:
    """no_internet() holds for other services as well, but not for what a gateway leads to."""
    link.faults.no_internet()
    with pytest.raises(ConnectTimeoutError):
        over_network(link, "sts").get_caller_identity()
    link.create_gateway("s3")
    over_network(link, "s3").list_buckets()
