"""What EC2 knows: against moto's EC2 over HTTP, and botocore's stubs for what moto lacks."""

from __future__ import annotations

import datetime as dt
import functools
import os
import re
import socket
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer

from sm_private_client.errors import DiscoveryError
from sm_private_client.privatelink.records import EndpointAddress, VpcEndpoint
from sm_private_client.routing.discovery import (
    SHARED_TTL,
    Discovery,
    Ec2Access,
    forget_shared_answers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGION = "us-east-1"
API, RUNTIME = (f"com.amazonaws.{REGION}.sagemaker.{name}" for name in ("api", "runtime"))
SERVICES = (RUNTIME, API)


def ec2_client(url: str | None = None) -> Any:
    return boto3.session.Session().client(
        "ec2",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=30),
    )


def access(client: Any) -> Ec2Access:
    """How a session of its own account asks."""
    return Ec2Access(client=client, identity=object())


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# Against moto over HTTP


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def ec2(moto: str) -> Iterator[Any]:
    client = ec2_client(moto)
    yield client
    client.close()


@pytest.fixture
def vpc_id(ec2: Any) -> Iterator[str]:
    made: str = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    yield made
    asked = {"Filters": [{"Name": "vpc-id", "Values": [made]}]}
    for found in ec2.describe_vpc_endpoints(**asked)["VpcEndpoints"]:
        ec2.delete_vpc_endpoints(VpcEndpointIds=[found["VpcEndpointId"]])


@pytest.fixture
def subnet_id(ec2: Any, vpc_id: str) -> str:
    made: str = ec2.create_subnet(
        VpcId=vpc_id, CidrBlock="10.9.1.0/24", AvailabilityZone=f"{REGION}b"
    )["Subnet"]["SubnetId"]
    return made


@pytest.fixture
def make(ec2: Any, vpc_id: str, subnet_id: str) -> Callable[[str], dict[str, Any]]:
    def create(service: str) -> dict[str, Any]:
        made: dict[str, Any] = ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=vpc_id,
            ServiceName=service,
            SubnetIds=[subnet_id],
            PrivateDnsEnabled=True,
        )["VpcEndpoint"]
        return made

    return create


Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def calls(ec2: Any) -> Iterator[Calls]:
    """What the client sends."""
    made: Calls = []

    def note(model: Any, params: Any, **_: object) -> None:
        made.append((model.name, params["body"]))

    ec2.meta.events.register("before-call.ec2", note)
    yield made
    ec2.meta.events.unregister("before-call.ec2", note)


@pytest.fixture
def discovery(ec2: Any) -> Discovery:
    return Discovery(lambda: access(ec2), service_names=SERVICES, timeout=10)


def test_one_call_gives_every_service(
    vpc_id: str,
    subnet_id: str,
    make: Callable[[str], dict[str, Any]],
    discovery: Discovery,
    calls: Calls,
) -> None:
    """One DescribeVpcEndpoints gives every service's VPC endpoints; others are not asked for."""
    api, runtime, other = make(API), make(RUNTIME), make(f"com.amazonaws.{REGION}.kms")
    calls.clear()
    mine = [v for v in discovery.vpc_endpoints() if v.vpc_id == vpc_id]
    assert {v.vpc_endpoint_id: v.endpoint_service for v in mine} == {
        api["VpcEndpointId"]: API,
        runtime["VpcEndpointId"]: RUNTIME,
    }
    assert other["VpcEndpointId"] not in {v.vpc_endpoint_id for v in discovery.vpc_endpoints()}
    assert [name for name, _ in calls] == ["DescribeVpcEndpoints"]
    assert calls[0][1]["Filter.1.Name"] == "service-name"
    assert {v for k, v in calls[0][1].items() if k.startswith("Filter.1.Value")} == {API, RUNTIME}
    one = next(v for v in mine if v.endpoint_service == API)
    assert (one.state, one.is_available) == ("available", True)
    assert one.subnet_ids == (subnet_id,)
    assert one.network_interface_ids == tuple(api["NetworkInterfaceIds"])
    assert one.dns_names == tuple(e["DnsName"] for e in api["DnsEntries"])
    assert dt.datetime.fromisoformat(one.created).utcoffset() == dt.timedelta(0)
    assert one.addresses == ()


def test_addresses_of_every_service_in_one_call(
    ec2: Any, vpc_id: str, make: Callable[[str], dict[str, Any]], discovery: Discovery, calls: Calls
) -> None:
    """One DescribeNetworkInterfaces gives the addresses and zones of all of them."""
    made = [make(API), make(RUNTIME)]
    calls.clear()
    mine = tuple(v for v in discovery.vpc_endpoints() if v.vpc_id == vpc_id)
    for each in mine:
        (found,) = discovery.with_addresses((each,))
        (address,) = found.addresses
        (eni,) = ec2.describe_network_interfaces(
            NetworkInterfaceIds=list(each.network_interface_ids)
        )["NetworkInterfaces"]
        assert address.address == eni["PrivateIpAddress"]
        assert address.availability_zone == f"{REGION}b"
        assert address.network_interface_id == eni["NetworkInterfaceId"]
    assert len(mine) == len(made)
    filtered = [c for c in calls if "Filter.1.Name" in c[1] and c[0] == "DescribeNetworkInterfaces"]
    assert len(filtered) == 1


def test_one_by_its_id(
    vpc_id: str, make: Callable[[str], dict[str, Any]], discovery: Discovery, calls: Calls
) -> None:
    """A VPC endpoint is looked up by its id, whatever service it is of."""
    other = make(f"com.amazonaws.{REGION}.kms")
    calls.clear()
    found = discovery.vpc_endpoint(other["VpcEndpointId"])
    assert found is not None
    assert (found.vpc_id, found.endpoint_service) == (vpc_id, other["ServiceName"])
    assert discovery.vpc_endpoint(other["VpcEndpointId"]) is found
    assert len(calls) == 1


def test_none_of_that_id(discovery: Discovery, calls: Calls) -> None:
    """An id that EC2 does not have is an answer, not an error; it is kept as well."""
    calls.clear()
    for _ in range(2):
        assert discovery.vpc_endpoint("vpce-0123456789abcdef0") is None
    assert len(calls) == 1


def test_cidrs(ec2: Any, vpc_id: str, discovery: Discovery, calls: Calls) -> None:
    """Every IPv4 and IPv6 CIDR of a VPC, each once."""
    ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="100.64.0.0/16")
    v6 = ec2.associate_vpc_cidr_block(VpcId=vpc_id, AmazonProvidedIpv6CidrBlock=True)
    calls.clear()
    expected = (
        "10.9.0.0/16",
        "100.64.0.0/16",
        v6["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"],
    )
    for _ in range(2):
        assert discovery.vpc_cidrs(vpc_id) == expected
    assert len(calls) == 1


def test_vpc_of_subnets(vpc_id: str, subnet_id: str, discovery: Discovery, calls: Calls) -> None:
    """The VPC that subnets are in, ``None`` where EC2 shows none of them."""
    calls.clear()
    assert discovery.vpc_of_subnets((subnet_id,)) == vpc_id
    assert discovery.vpc_of_subnets(("subnet-0123456789abcdef0",)) is None
    assert [name for name, _ in calls] == ["DescribeSubnets"] * 2


# Against stubs: what moto lacks


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A real client that reaches nobody."""
    made = ec2_client()
    yield made
    made.close()


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def described(number: int, service: str = API, **changes: object) -> dict[str, Any]:
    return {"VpcEndpointId": f"vpce-{number:08x}", "ServiceName": service, **changes}


def question(**more: object) -> dict[str, Any]:
    return {"Filters": [{"Name": "service-name", "Values": sorted(SERVICES)}], **more}


def discover(
    client: Any, clock: Callable[[], float] | None = None, timeout: float = 5
) -> Discovery:
    return Discovery(
        lambda: access(client), service_names=SERVICES, timeout=timeout, clock=clock or Clock()
    )


def test_every_page_oldest_first(client: Any, stub: Stubber) -> None:
    """All pages are read, and the VPC endpoints come oldest first, then by id."""
    day = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
    older = day - dt.timedelta(days=1)
    pages = [
        [described(4, CreationTimestamp=day), described(3, CreationTimestamp=day)],
        [described(2, RUNTIME, CreationTimestamp=older)],
        [described(1)],
    ]
    for number, page in enumerate(pages):
        answer: dict[str, Any] = {"VpcEndpoints": page}
        if number < 2:
            answer["NextToken"] = f"t{number + 1}"
        asked = question(NextToken=f"t{number}") if number else question()
        stub.add_response("describe_vpc_endpoints", answer, asked)
    found = discover(client).vpc_endpoints()
    assert [v.vpc_endpoint_id[-1] for v in found] == ["1", "2", "3", "4"]
    assert [v.created for v in found] == [
        "",
        "2026-01-01T00:00:00+00:00",
        "2026-01-02T00:00:00+00:00",
        "2026-01-02T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("Available", "available"),
        ("available", "available"),
        ("PendingAcceptance", "pendingacceptance"),
        ("pendingAcceptance", "pendingacceptance"),
        ("Deleted", "deleted"),
        ("", ""),
    ],
)
def test_states_are_compared_in_lower_case(
    client: Any, stub: Stubber, state: str, kept: str
) -> None:
    """EC2 gives states in Pascal, camel or lower case; here they are in lower case."""
    stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(1, State=state)]})
    (found,) = discover(client).vpc_endpoints()
    assert found.state == kept


def test_addresses_of_both_families(client: Any, stub: Stubber) -> None:
    """IPv4 and IPv6 addresses of an interface, its primary one first, each once."""
    interface = client.meta.service_model.shape_for("NetworkInterface")
    zone_id = {"AvailabilityZoneId": "use1-az1"}
    if "AvailabilityZoneId" not in interface.members:  # an older botocore
        zone_id = {}
    stub.add_response(
        "describe_network_interfaces",
        {
            "NetworkInterfaces": [
                {
                    "NetworkInterfaceId": "eni-1",
                    "AvailabilityZone": "us-east-1a",
                    **zone_id,
                    "PrivateIpAddress": "10.0.1.5",
                    "PrivateIpAddresses": [
                        {"PrivateIpAddress": "10.0.1.9"},
                        {"PrivateIpAddress": "10.0.1.5", "Primary": True},
                    ],
                    "Ipv6Addresses": [{"Ipv6Address": "2600:1f18::5"}],
                },
                {"NetworkInterfaceId": "eni-2", "Ipv6Addresses": [{"Ipv6Address": "fd00::2"}]},
            ]
        },
        {"Filters": [{"Name": "network-interface-id", "Values": ["eni-1", "eni-2", "eni-3"]}]},
    )
    asked = VpcEndpoint(
        vpc_endpoint_id="vpce-00000001",
        endpoint_service=API,
        vpc_id="vpc-0a1b2c3d",
        state="available",
        network_interface_ids=("eni-2", "eni-1", "eni-3"),  # eni-3 is gone
    )
    (found,) = discover(client).with_addresses((asked,))
    zoned = {
        "availability_zone": "us-east-1a",
        "availability_zone_id": zone_id.get("AvailabilityZoneId"),
        "network_interface_id": "eni-1",
    }
    assert found.addresses == (
        EndpointAddress(address="fd00::2", network_interface_id="eni-2"),
        EndpointAddress(address="10.0.1.5", **zoned),
        EndpointAddress(address="10.0.1.9", **zoned),
        EndpointAddress(address="2600:1f18::5", **zoned),
    )


def test_nobody_is_asked_about_no_interfaces(client: Any, stub: Stubber) -> None:
    """Without network interfaces there is nothing to ask."""
    assert stub.client is client
    bare = VpcEndpoint(vpc_endpoint_id="v", endpoint_service=API, vpc_id="", state="pending")
    assert discover(client).with_addresses((bare,)) == (bare,)


def test_no_such_vpc_has_no_cidrs(client: Any, stub: Stubber) -> None:
    """A VPC that EC2 does not show has no CIDRs."""
    stub.add_response("describe_vpcs", {"Vpcs": []}, {"VpcIds": ["vpc-0a1b2c3d"]})
    assert discover(client).vpc_cidrs("vpc-0a1b2c3d") == ()


@pytest.mark.parametrize(
    "code", ["InvalidVpcEndpointId.NotFound", "InvalidVpcEndpointId.Malformed"]
)
def test_an_unknown_id_is_none(client: Any, stub: Stubber, code: str) -> None:
    """EC2's answer that there is no such id is not a failure."""
    stub.add_client_error("describe_vpc_endpoints", code)
    assert discover(client).vpc_endpoint("vpce-0a1b2c3d") is None


ASK: dict[str, tuple[str, Callable[[Discovery], object]]] = {
    "ec2:DescribeVpcEndpoints": ("describe_vpc_endpoints", Discovery.vpc_endpoints),
    "ec2:DescribeNetworkInterfaces": (
        "describe_network_interfaces",
        lambda d: d.with_addresses(
            (
                VpcEndpoint(
                    vpc_endpoint_id="v",
                    endpoint_service=API,
                    vpc_id="x",
                    state="available",
                    network_interface_ids=("eni-1",),
                ),
            )
        ),
    ),
    "ec2:DescribeVpcs": ("describe_vpcs", lambda d: d.vpc_cidrs("vpc-0a1b2c3d")),
    "ec2:DescribeSubnets": ("describe_subnets", lambda d: d.vpc_of_subnets(("subnet-1",))),
}
FULL_NAME = "pass vpc_endpoint= with the full DNS name."


def message(permission: str, cause: str, remedy: str) -> str:
    return (
        f"EC2 could not be asked ({permission}).\n"
        f"Cause: {cause}\n"
        f"Remedy: {remedy}\n"
        "See docs/errors.md#discovery"
    )


@pytest.mark.parametrize("permission", ASK)
@pytest.mark.parametrize(
    ("code", "cause", "remedy"),
    [
        (
            "UnauthorizedOperation",
            "this identity is not allowed to (UnauthorizedOperation).",
            "allow {permission} for it, or " + FULL_NAME,
        ),
        (
            "RequestLimitExceeded",
            "EC2 throttles this account (RequestLimitExceeded).",
            "try again in a minute, or " + FULL_NAME,
        ),
        ("InternalError", "EC2 answered InternalError.", f"try again, or {FULL_NAME}"),
    ],
)
def test_refusals_of_ec2(
    client: Any, stub: Stubber, permission: str, code: str, cause: str, remedy: str
) -> None:
    """What EC2 refuses is said with the permission, the code and the remedy."""
    operation, ask = ASK[permission]
    stub.add_client_error(operation, code, "a message with an account id 123456789012")
    with pytest.raises(DiscoveryError) as caught:
        ask(discover(client))
    assert str(caught.value) == message(permission, cause, remedy.format(permission=permission))


UNREACHABLE = f"create an interface endpoint for EC2 in this VPC, or {FULL_NAME}"


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [
        (
            NoCredentialsError(),
            "there are no AWS credentials.",
            f"give credentials as for boto3, or {FULL_NAME}",
        ),
        (
            EndpointConnectionError(endpoint_url="https://ec2.example"),
            "EndpointConnectionError: Could not connect to the endpoint URL: "
            '"https://ec2.example".',
            UNREACHABLE,
        ),
    ],
)
def test_failures_before_ec2(error: Exception, cause: str, remedy: str) -> None:
    """Missing credentials and an unreachable EC2 are told from each other."""

    def make_client() -> Any:
        raise error

    discovery = Discovery(make_client, service_names=SERVICES, clock=Clock())
    with pytest.raises(DiscoveryError) as caught:
        discovery.vpc_endpoints()
    assert str(caught.value) == message("ec2:DescribeVpcEndpoints", cause, remedy)


def test_no_credentials_on_a_real_client() -> None:
    """A real client without credentials says so, and sends nothing."""
    client = boto3.session.Session().client("ec2", region_name=REGION)
    with pytest.raises(DiscoveryError, match=r"there are no AWS credentials\."):
        discover(client).vpc_endpoints()
    client.close()


def test_a_hanging_ec2_costs_no_more_than_its_time() -> None:
    """A question that EC2 does not answer ends after its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = ec2_client(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(DiscoveryError) as caught:
            discover(client, timeout=0.2).vpc_endpoints()
        assert str(caught.value) == message(
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcEndpoints: no answer within 0.2 s.",
            UNREACHABLE,
        )
    for thread in threading.enumerate():  # closing the server ended the read
        if thread.name == "ec2:DescribeVpcEndpoints":
            thread.join(5)
    client.close()


# What is kept


@pytest.mark.parametrize(("age", "asked"), [(0.0, 1), (3599.0, 1), (3600.0, 2)])
def test_answers_are_kept(client: Any, stub: Stubber, age: float, asked: int) -> None:
    """An answer is kept for an hour, because EC2 throttles."""
    clock = Clock()
    for number in range(asked):
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(number)]})
    discovery = discover(client, clock)
    discovery.vpc_endpoints()
    clock.now += age
    (found,) = discovery.vpc_endpoints()
    assert found.vpc_endpoint_id == f"vpce-{asked - 1:08x}"


@pytest.mark.parametrize(("age", "asked"), [(0.0, 1), (4.9, 1), (5.0, 2)])
def test_failures_are_kept(client: Any, stub: Stubber, age: float, asked: int) -> None:
    """A failure is kept for seconds; then EC2 is asked again."""
    clock = Clock()
    stub.add_client_error("describe_vpc_endpoints", "RequestLimitExceeded")
    if asked == 2:
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": []})
    discovery = discover(client, clock)
    with pytest.raises(DiscoveryError) as first:
        discovery.vpc_endpoints()
    clock.now += age
    if asked == 2:
        assert discovery.vpc_endpoints() == ()
        return
    with pytest.raises(DiscoveryError, match=re.escape(str(first.value))) as second:
        discovery.vpc_endpoints()
    assert second.value is not first.value  # each caller gets a traceback of its own


def test_questions_do_not_answer_for_each_other(client: Any, stub: Stubber) -> None:
    """A failure about one thing is no failure about another."""
    stub.add_client_error("describe_vpcs", "UnauthorizedOperation")
    stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": []})
    discovery = discover(client)
    with pytest.raises(DiscoveryError):
        discovery.vpc_cidrs("vpc-0a1b2c3d")
    assert discovery.vpc_endpoints() == ()


def test_known_asks_nobody(client: Any, stub: Stubber) -> None:
    """``known`` gives what was answered before, also after a failure, and asks nobody."""
    discovery = discover(client)
    assert discovery.known() == ()
    stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(1)]})
    assert discovery.vpc_endpoints() == discovery.known() != ()
    discovery.forget()
    assert discovery.known() == ()
    stub.add_client_error("describe_vpc_endpoints", "UnauthorizedOperation")
    with pytest.raises(DiscoveryError):
        discovery.vpc_endpoints()
    assert discovery.known() == ()


def test_forget(client: Any, stub: Stubber) -> None:
    """After ``forget`` EC2 is asked anew."""
    for number in (1, 2):
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(number)]})
    discovery = discover(client)
    first = discovery.vpc_endpoints()
    discovery.forget()
    assert discovery.vpc_endpoints() != first


def test_many_threads_ask_once(client: Any, stub: Stubber) -> None:
    """Threads that ask at once make one client and one call."""
    made = []
    stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(1)]})

    def make_client() -> Any:
        made.append(1)
        time.sleep(0.05)
        return access(client)

    discovery = Discovery(make_client, service_names=SERVICES)
    found: list[tuple[VpcEndpoint, ...]] = []
    threads = [
        threading.Thread(target=lambda: found.append(discovery.vpc_endpoints())) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert made == [1]


def test_making_one_asks_nobody() -> None:
    """The client is made when the first question is asked, not before."""

    def make_client() -> Any:
        pytest.fail("a client was made")

    assert Discovery(make_client, service_names=SERVICES).known() == ()


# What sessions share


def two(client: Any, clock: Clock, *identities: str) -> list[Discovery]:
    return [
        Discovery(
            functools.partial(Ec2Access, client=client, identity=identity),
            service_names=SERVICES,
            clock=clock,
        )
        for identity in identities
    ]


@pytest.mark.parametrize(
    ("age", "second_hand", "asked"),
    [(0.0, False, 1), (1.5, True, 1), (SHARED_TTL - 1, True, 1), (SHARED_TTL, False, 2)],
)
def test_an_answer_serves_others_for_seconds(
    client: Any, stub: Stubber, age: float, second_hand: bool, asked: int
) -> None:
    """Sessions that begin together ask once; one that came later knows that it is second-hand."""
    forget_shared_answers()
    clock = Clock()
    for number in range(asked):
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(number)]})
    first, second = two(client, clock, "shared", "shared")
    first.vpc_endpoints()
    clock.now += age
    (found,) = second.vpc_endpoints()
    assert found.vpc_endpoint_id == f"vpce-{asked - 1:08x}"
    assert (first.is_second_hand, second.is_second_hand) == (False, second_hand)
    second.forget()
    assert not second.is_second_hand


def test_another_identity_is_not_told(client: Any, stub: Stubber) -> None:
    """What one account's EC2 shows is nobody else's."""
    forget_shared_answers()
    for number in (1, 2):
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(number)]})
    first, second = two(client, Clock(), "one", "other")
    assert first.vpc_endpoints() != second.vpc_endpoints()


def test_a_failure_serves_those_who_wait(client: Any, stub: Stubber) -> None:
    """Sessions do not ask a throttling EC2 one after the other."""
    forget_shared_answers()
    clock = Clock()
    stub.add_client_error("describe_vpc_endpoints", "RequestLimitExceeded")
    for discovery in two(client, clock, "shared", "shared"):
        with pytest.raises(DiscoveryError, match="throttles"):
            discovery.vpc_endpoints()
    clock.now += 2
    stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": []})
    (third,) = two(client, clock, "shared")
    assert third.vpc_endpoints() == ()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_shares_nothing(client: Any, stub: Stubber) -> None:
    """Not even the locks: another thread may have held one."""
    forget_shared_answers()
    for number in (1, 2):
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [described(number)]})
    clock = Clock()
    first, second = two(client, clock, "shared", "shared")
    first.vpc_endpoints()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # xdist's own threads
        pid = os.fork()
    if pid == 0:
        os._exit(second.vpc_endpoints()[0].vpc_endpoint_id != "vpce-00000002")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert second.vpc_endpoints() == first.vpc_endpoints()
    second.forget()
    second.vpc_endpoints()  # the parent's own second answer: the child used a copy of it
