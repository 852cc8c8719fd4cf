"""Where this process runs: Lambda, ECS, SageMaker, EC2, or nowhere known."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from sm_private_client.routing.location import Location, SageMakerResource, locate
from sm_private_client.routing.network import SystemNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

    from sm_private_client.routing.network import SocketOption

IMDS, ECS, LAMBDA = "169.254.169.254", "169.254.170.2", "169.254.100.1"
UNKNOWN = Location()
MAC = "0e:49:61:0f:c3:11"
IMDS_PATHS = {
    "/latest/meta-data/placement/availability-zone": "us-east-1a",
    "/latest/meta-data/placement/availability-zone-id": "use1-az6",
    "/latest/meta-data/mac": MAC,
    f"/latest/meta-data/network/interfaces/macs/{MAC}/vpc-id": "vpc-0a1b2c3d",
    f"/latest/meta-data/network/interfaces/macs/{MAC}/subnet-id": "subnet-0a1b2c3d",
}
ON_EC2 = Location(
    vpc_id="vpc-0a1b2c3d",
    availability_zone="us-east-1a",
    availability_zone_id="use1-az6",
    subnet_ids=("subnet-0a1b2c3d",),
    source="the EC2 instance metadata",
)
LAMBDA_ENVIRON = {
    "AWS_LAMBDA_METADATA_API": f"{LAMBDA}:9001",
    "AWS_LAMBDA_METADATA_TOKEN": "lambda-token",
}
LAMBDA_PATH = "/2026-01-15/metadata/execution-environment"
ECS_ENVIRON = {"ECS_CONTAINER_METADATA_URI_V4": f"http://{ECS}/v4/abc"}

Answer = tuple[int, str]


class MetadataService:
    """A small HTTP server on loopback; ``answer`` says what it answers to a request."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], Answer]) -> None:
        self.requests: list[str] = []
        told = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.append(f"{self.command} {self.path}")
                status, text = answer(self)
                body = text.encode()
                with contextlib.suppress(OSError):  # the one who asked may have gone
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            do_PUT = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that closing it joins them
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MetadataNetwork:
    """A network in which link-local addresses lead to servers on loopback, and nothing else."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        return SystemNetwork().resolve(host, timeout=timeout)

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        assert port in (80, 9001)
        if address not in self._ports:
            raise OSError(f"nothing at {address}")
        return SystemNetwork().open(
            "127.0.0.1", self._ports[address], socket_options=socket_options
        )


class NoNetwork:
    """A network that must not be used."""

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        pytest.fail(f"{host} was looked up with {timeout}")

    def open(
        self, address: str, port: int, *, socket_options: tuple[SocketOption, ...] = ()
    ) -> socket.socket:
        pytest.fail(f"{address}:{port} was contacted with {socket_options}")


@pytest.fixture
def ec2_root(tmp_path: Path) -> Path:
    """The root of a Nitro instance."""
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "Amazon EC2\n")
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def imds_answer(request: BaseHTTPRequestHandler) -> Answer:
    """Answer as IMDSv2 does: nothing without a token."""
    if request.command == "PUT":
        good = request.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
        return (200, "imds-token") if good and request.path == "/latest/api/token" else (400, "")
    if request.headers["X-aws-ec2-metadata-token"] != "imds-token":
        return 401, ""
    return (200, IMDS_PATHS[request.path]) if request.path in IMDS_PATHS else (404, "")


@pytest.fixture
def imds() -> Iterator[MetadataService]:
    with MetadataService(imds_answer) as service:
        yield service


def saying(text: str, status: int = 200) -> MetadataService:
    return MetadataService(lambda _: (status, text))


# EC2


def test_ec2_by_imdsv2(imds: MetadataService, ec2_root: Path) -> None:
    """On EC2 and EKS nodes, IMDSv2 tells zone, zone id, VPC and subnet; with a token only."""
    found = locate(MetadataNetwork({IMDS: imds.port}), environ={}, root=ec2_root, timeout=5)
    assert found == ON_EC2
    assert imds.requests == ["PUT /latest/api/token", *(f"GET {path}" for path in IMDS_PATHS)]


def test_a_xen_instance_is_ec2_too(imds: MetadataService, tmp_path: Path) -> None:
    """Older instances say EC2 in the hypervisor's UUID."""
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "Xen\n")
    write(tmp_path, "sys/hypervisor/uuid", "EC2e1916-9099-7caf-fd21-012345abcdef\n")
    network = MetadataNetwork({IMDS: imds.port})
    assert locate(network, environ={}, root=tmp_path, timeout=5) == ON_EC2


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (None, ""),
        ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
        ("sys/class/dmi/id/sys_vendor", "Google\n"),
        ("sys/class/dmi/id/sys_vendor", "Not Amazon EC2\n"),
        ("sys/class/dmi/id/sys_vendor", "\u00e4\n"),
        ("sys/hypervisor/uuid", "f00-ec2\n"),
        ("sys/class/dmi/id/sys_vendor/is/a/directory", ""),
    ],
)
def test_nothing_is_contacted_outside_aws(tmp_path: Path, path: str | None, text: str) -> None:
    """Where the firmware does not say EC2, no metadata service is asked."""
    if path:
        write(tmp_path, path, text)
    assert locate(NoNetwork(), environ={"HOME": "/h"}, root=tmp_path) == UNKNOWN


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
def test_aws_ec2_metadata_disabled(ec2_root: Path, value: str) -> None:
    """AWS_EC2_METADATA_DISABLED is respected, in any case, as botocore does."""
    environ = {"AWS_EC2_METADATA_DISABLED": value}
    assert locate(NoNetwork(), environ=environ, root=ec2_root) == UNKNOWN


@pytest.mark.parametrize("value", ["", "false", "1", "yes"])
def test_aws_ec2_metadata_not_disabled(imds: MetadataService, ec2_root: Path, value: str) -> None:
    """Only true disables it, as for botocore."""
    network = MetadataNetwork({IMDS: imds.port})
    environ = {"AWS_EC2_METADATA_DISABLED": value}
    assert locate(network, environ=environ, root=ec2_root, timeout=5) == ON_EC2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 302])
def test_an_imds_that_refuses_tells_nothing(ec2_root: Path, status: int) -> None:
    """An answer other than 200 tells nothing; a redirect is not followed."""
    with saying("x", status) as service:
        network = MetadataNetwork({IMDS: service.port})
        assert locate(network, environ={}, root=ec2_root, timeout=5) == UNKNOWN


def test_an_imds_that_tells_half_tells_nothing(ec2_root: Path) -> None:
    """Half an answer could be of another interface: nothing is taken from it."""

    def answer(request: BaseHTTPRequestHandler) -> Answer:
        return (404, "") if request.path.endswith("vpc-id") else imds_answer(request)

    with MetadataService(answer) as service:
        network = MetadataNetwork({IMDS: service.port})
        assert locate(network, environ={}, root=ec2_root, timeout=5) == UNKNOWN


def test_nobody_at_the_metadata_address(ec2_root: Path) -> None:
    """An unreachable metadata service tells nothing."""
    assert locate(MetadataNetwork({}), environ={}, root=ec2_root) == UNKNOWN


# ECS


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            {"AvailabilityZone": "us-east-1a", "VPCID": "vpc-0a1b2c3d", "Cluster": "c"},
            Location(
                vpc_id="vpc-0a1b2c3d",
                availability_zone="us-east-1a",
                source="the ECS task metadata",
            ),
        ),
        (
            {"AvailabilityZone": "us-east-1a"},  # Fargate
            Location(availability_zone="us-east-1a", source="the ECS task metadata"),
        ),
    ],
)
def test_ecs(tmp_path: Path, told: dict[str, str], found: Location) -> None:
    """On ECS the task metadata tells the zone, and the VPC on the EC2 launch type."""
    with saying(json.dumps(told)) as service:
        network = MetadataNetwork({ECS: service.port})
        assert locate(network, environ=ECS_ENVIRON, root=tmp_path, timeout=5) == found
        assert service.requests == ["GET /v4/abc/task"]


# Lambda


def test_lambda(tmp_path: Path) -> None:
    """On Lambda the metadata endpoint tells the zone's id to who has the token."""

    def answer(request: BaseHTTPRequestHandler) -> Answer:
        if request.headers["Authorization"] != "Bearer lambda-token":
            return 401, ""
        return 200, '{"AvailabilityZoneID": "use1-az1"}'

    with MetadataService(answer) as service:
        network = MetadataNetwork({LAMBDA: service.port})
        found = locate(network, environ=LAMBDA_ENVIRON, root=tmp_path, timeout=5)
        assert service.requests == [f"GET {LAMBDA_PATH}"]
    assert found == Location(availability_zone_id="use1-az1", source="Lambda's metadata endpoint")


BROKEN = ["", "{", "null", "5", '"x"', "[]", '[{"AvailabilityZoneID": "x"}]', "\x00"]


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize(
    ("address", "environ"), [(ECS, ECS_ENVIRON), (LAMBDA, LAMBDA_ENVIRON)], ids=["ecs", "lambda"]
)
def test_broken_json_tells_nothing(
    tmp_path: Path, address: str, environ: dict[str, str], text: str
) -> None:
    """A platform that does not answer as documented tells nothing, and nothing is raised."""
    with saying(text) as service:
        network = MetadataNetwork({address: service.port})
        assert locate(network, environ=environ, root=tmp_path, timeout=5) == UNKNOWN


@pytest.mark.parametrize(
    "environ",
    [
        {"ECS_CONTAINER_METADATA_URI_V4": "nonsense"},
        {"ECS_CONTAINER_METADATA_URI_V4": "http://"},
        {"ECS_CONTAINER_METADATA_URI_V4": "http://[::1"},
        {"ECS_CONTAINER_METADATA_URI_V4": "http://a..b/"},
        {"AWS_LAMBDA_METADATA_API": "169.254.100.1:x"},
        {"AWS_LAMBDA_METADATA_API": "nobody.invalid"},
        {"AWS_LAMBDA_METADATA_API": f"{LAMBDA}:9001", "AWS_LAMBDA_METADATA_TOKEN": "a\r\nb"},
        {"AWS_LAMBDA_METADATA_API": "", "ECS_CONTAINER_METADATA_URI_V4": ""},
    ],
)
def test_broken_variables_tell_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    """A variable that does not name a metadata service tells nothing."""
    with saying("{}") as service:
        network = MetadataNetwork({LAMBDA: service.port})
        assert locate(network, environ=environ, root=tmp_path, timeout=5) == UNKNOWN


def test_a_network_without_addresses_tells_nothing(ec2_root: Path) -> None:
    """Even a network that finds no address for a name does not make ``locate`` raise."""

    class Empty(NoNetwork):
        def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
            _ = host, timeout
            return ()

    assert locate(Empty(), environ={}, root=ec2_root) == UNKNOWN


# SageMaker

METADATA = "opt/ml/metadata/resource-metadata.json"
PROCESSING = "opt/ml/config/processingjobconfig.json"
NOTEBOOK = {
    "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/mine",
    "ResourceName": "mine",
}
STUDIO = {
    "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:app/d-abc/user/JupyterServer/default",
    "ResourceName": "default",
    "DomainId": "d-abc",
    "UserProfileName": "user",
}


def in_subnets(*subnets: str) -> dict[str, object]:
    return {"NetworkConfig": {"VpcConfig": {"Subnets": list(subnets), "SecurityGroupIds": []}}}


@pytest.mark.parametrize(
    ("environ", "files", "found"),
    [
        (
            {},
            {METADATA: NOTEBOOK},
            Location(
                resource=SageMakerResource(kind="notebook-instance", name="mine"),
                source="SageMaker's resource metadata",
            ),
        ),
        (
            {},
            {METADATA: STUDIO},
            Location(
                resource=SageMakerResource(kind="domain", name="d-abc"),
                source="SageMaker's resource metadata",
            ),
        ),
        (
            {"TRAINING_JOB_NAME": "churn-1"},
            {},
            Location(
                resource=SageMakerResource(kind="training-job", name="churn-1"),
                source="the training job's environment",
            ),
        ),
        (
            {},
            {PROCESSING: in_subnets("subnet-1", "subnet-2")},
            Location(
                subnet_ids=("subnet-1", "subnet-2"), source="the processing job's configuration"
            ),
        ),
        (
            {},
            {PROCESSING: {"NetworkConfig": None}},
            Location(source="the processing job's configuration"),
        ),
        ({}, {PROCESSING: {}}, Location(source="the processing job's configuration")),
        ({"TRAINING_JOB_NAME": ""}, {}, UNKNOWN),
        ({}, {METADATA: {}}, UNKNOWN),
        ({}, {METADATA: []}, UNKNOWN),
        ({}, {METADATA: None}, UNKNOWN),
        ({}, {PROCESSING: []}, UNKNOWN),
        ({}, {PROCESSING: {"NetworkConfig": ["x"]}}, UNKNOWN),
        ({}, {PROCESSING: {"NetworkConfig": {"VpcConfig": "x"}}}, UNKNOWN),
    ],
)
def test_sagemaker(
    tmp_path: Path, environ: dict[str, str], files: dict[str, object], found: Location
) -> None:
    """SageMaker's own files and variables tell what it can be asked about; no network is used."""
    for path, content in files.items():
        write(tmp_path, path, json.dumps(content))
    assert locate(NoNetwork(), environ=environ, root=tmp_path) == found


@pytest.mark.parametrize("path", [METADATA, PROCESSING])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_broken_files_tell_nothing(tmp_path: Path, path: str, content: bytes) -> None:
    """A file that is not JSON tells nothing."""
    write(tmp_path, path, "")
    (tmp_path / path).write_bytes(content)
    assert locate(NoNetwork(), environ={}, root=tmp_path) == UNKNOWN


# Order and time


def test_the_order_of_the_probes(imds: MetadataService, ec2_root: Path) -> None:
    """Lambda, then ECS, then SageMaker's files, then EC2; one that fails lets the next one tell."""
    write(ec2_root, METADATA, json.dumps(NOTEBOOK))
    with saying('{"AvailabilityZone": "us-east-1b"}') as ecs, saying("{}") as silent:
        ports = {IMDS: imds.port, ECS: ecs.port, LAMBDA: silent.port}
        network = MetadataNetwork(ports)
        every = {**LAMBDA_ENVIRON, **ECS_ENVIRON}
        sources = [
            locate(network, environ=environ, root=ec2_root, timeout=5).source
            for environ in (every, {})
        ]
        assert silent.requests == [f"GET {LAMBDA_PATH}"]
    assert sources == ["the ECS task metadata", "SageMaker's resource metadata"]
    (ec2_root / METADATA).unlink()
    assert locate(network, environ={}, root=ec2_root, timeout=5) == ON_EC2


@contextlib.contextmanager
def hanging(first: bytes = b"") -> Iterator[int]:
    """Return the port of a server that accepts, then drips ``first`` for ever, or says nothing."""
    stop = threading.Event()
    opened: list[socket.socket] = []

    def serve() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                opened.append(listener.accept()[0])
            for one in opened:
                with contextlib.suppress(OSError):
                    one.sendall(first)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            thread.join()
            for one in opened:
                one.close()
            for left in threading.enumerate():
                if left.name.startswith("http://"):
                    left.join(5)


@pytest.mark.parametrize("first", [b"", b"H", b"HTTP/1.1 200 OK\r\nX: y\r\n"], ids=repr)
def test_one_limit_for_all_when_servers_hang(ec2_root: Path, first: bytes) -> None:
    """However metadata services hang, silently or drop by drop, all probes end in one time-out."""
    with hanging(first) as port:
        network = MetadataNetwork({IMDS: port, ECS: port, LAMBDA: port})
        began = time.monotonic()
        found = locate(
            network, environ={**LAMBDA_ENVIRON, **ECS_ENVIRON}, root=ec2_root, timeout=1.5
        )
        assert time.monotonic() - began < 4  # each of three would have had its own
    assert found == UNKNOWN


def test_files_are_read_though_a_server_hangs(tmp_path: Path) -> None:
    """What can be read without the network is told even when the time is over."""
    write(tmp_path, METADATA, json.dumps(NOTEBOOK))
    with hanging() as port:
        network = MetadataNetwork({LAMBDA: port})
        found = locate(network, environ=LAMBDA_ENVIRON, root=tmp_path, timeout=0.2)
    assert found.source == "SageMaker's resource metadata"


def test_no_time_no_question(ec2_root: Path) -> None:
    """When the time is over, nobody is asked any more."""
    times = iter([0.0, *[10.0] * 9])
    network = NoNetwork()
    clock = times.__next__
    assert locate(network, environ={}, root=ec2_root, timeout=1, clock=clock) == UNKNOWN


def test_records_read_well() -> None:
    """A location's repr shows its state."""
    assert repr(ON_EC2) == (
        "Location(vpc_id='vpc-0a1b2c3d', availability_zone='us-east-1a', "
        "availability_zone_id='use1-az6', subnet_ids=('subnet-0a1b2c3d',), resource=None, "
        "source='the EC2 instance metadata')"
    )
