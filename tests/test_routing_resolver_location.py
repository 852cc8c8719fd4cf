"""Specification of routing/resolver.py: which VPC and zone are ours, and what follows from it."""

from __future__ import annotations

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client.errors import (
    AmbiguousVpcEndpointError,
    NoPrivateRouteError,
)
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.routing.location import locate
from sm_private_client.session.private_routes import routes_of
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

    from sm_private_client.privatelink.records import Evidence, Route
    from sm_private_client.session import Session

API = "com.amazonaws.us-east-1.sagemaker.api"
FAMILY = ("sagemaker", "sagemaker-runtime")


@pytest.fixture
def own_link() -> Iterator[LocalPrivateLink]:
    """A simulator without VPC endpoints, for one test. Nothing goes out publicly."""
    with LocalPrivateLink(services=()) as running:
        yield running
        assert (running.internet.connections, running.internet.bytes_received) == (0, 0)


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    """Four VPCs with both services each, the oldest first; calls come from the last one."""
    with LocalPrivateLink(services=()) as running:
        vpcs = [running.vpc_id, *(running.create_vpc().vpc_id for _ in range(3))]
        made = [running.create_vpc_endpoint(s, vpc_id=v) for v in vpcs for s in FAMILY]
        age(running, *(standing.vpc_endpoint_id for standing in made))
        running.network.vpc_id = vpcs[-1]
        yield running


@pytest.fixture
def vpcs(shared: LocalPrivateLink) -> LocalPrivateLink:
    forget_shared_answers()
    shared.calls.clear()
    return shared


def age(link: LocalPrivateLink, *oldest_first: str) -> None:
    """Have EC2 say that VPC endpoints were made a day after the other."""
    with link.control.ec2() as ec2:
        for day, vpc_endpoint_id in enumerate(oldest_first, 1):
            created = dt.datetime(2026, 1, day, tzinfo=dt.timezone.utc)
            ec2.vpc_end_points[vpc_endpoint_id].creation_timestamp = created


def told(evidence: Iterable[Evidence]) -> list[str]:
    return [f"{e.step} ({e.outcome}): {e.detail}" for e in evidence]


def subnets_of(link: LocalPrivateLink, vpc_id: str) -> list[str]:
    with link.control.ec2() as ec2:
        return [s.id for s in ec2.describe_subnets() if s.vpc_id == vpc_id]


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    """A server that plays metadata services."""
    with Metadata() as server:
        yield server


class Metadata:
    """Answers GET and PUT of the paths it was given, with 404 everything else."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told = answers.get(self.path)
                self.send_response(404 if told is None else 200)
                self.end_headers()
                self.wfile.write((told or "").encode())

            do_PUT = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.target = ("127.0.0.1", self._server.server_port)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


# Own VPC


def in_vpc(link: LocalPrivateLink, route: Route) -> str:
    assert route.vpc_endpoint is not None
    assert route.host in [v.name.host for v in link.vpc_endpoints]
    return route.vpc_endpoint.vpc_id


def test_vpc_id_chooses(vpcs: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """vpc_id= or SM_PRIVATE_VPC_ID says which VPC is meant."""
    second = vpcs.vpc_endpoints[2].vpc_id
    assert in_vpc(vpcs, vpcs.session(vpc_id=second).route("sagemaker")) == second
    monkeypatch.setenv("SM_PRIVATE_VPC_ID", second)
    assert in_vpc(vpcs, vpcs.session().route("sagemaker")) == second


def test_own_vpc_has_none_but_another_has(own_link: LocalPrivateLink) -> None:
    """The other VPC's is not taken; the evidence names it."""
    other = own_link.create_vpc().vpc_id
    standing = own_link.create_vpc_endpoint("sagemaker", vpc_id=other)
    with pytest.raises(NoPrivateRouteError) as caught:
        own_link.session(vpc_id=own_link.vpc_id).route("sagemaker")
    assert told(caught.value.attempts)[-1] == (
        f"discovery (no): none of {API} is in {own_link.vpc_id}; there is "
        f"{standing.vpc_endpoint_id} in {other}"
    )
    assert str(caught.value).splitlines()[-4] == (
        f"  1. create an interface endpoint of {API} in this VPC, with private DNS."
    )


def test_the_ecs_task_metadata_tells_our_vpc_and_zone(
    vpcs: LocalPrivateLink, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ECS on EC2 says in which VPC and zone a task runs."""
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/task-id")
    vpcs.network.map("169.254.170.2", 80, metadata.target)
    where = {"VPCID": vpcs.vpc_id, "AvailabilityZone": "us-east-1b"}
    metadata.answers["/v4/task-id/task"] = json.dumps(where)
    route = vpcs.session().route("sagemaker")
    assert in_vpc(vpcs, route) == vpcs.vpc_id
    assert route.availability_zone == "us-east-1b"
    assert f"location (noted): this is {vpcs.vpc_id}, says the ECS task metadata" in told(
        route.evidence
    )


def located(session: Session, link: LocalPrivateLink, **arguments: Any) -> Session:
    """Return the session at the location that another root of the file system has."""
    routes_of(session).router.set_location(locate(link.network, **arguments))
    return session


def test_the_instance_metadata_tells_our_vpc_and_zone(
    vpcs: LocalPrivateLink, metadata: Metadata, tmp_path: Path
) -> None:
    """On EC2 the instance metadata says in which VPC and zone we are."""
    vendor = tmp_path / "sys/class/dmi/id/sys_vendor"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("Amazon EC2\n")
    vpcs.network.map("169.254.169.254", 80, metadata.target)
    interface = "network/interfaces/macs/0a:00"
    told_by = {
        "mac": "0a:00",
        "placement/availability-zone": "us-east-1b",
        "placement/availability-zone-id": "use1-az6",
        f"{interface}/vpc-id": vpcs.vpc_id,
        f"{interface}/subnet-id": "subnet-1",
    }
    metadata.answers.update({f"/latest/meta-data/{k}": v for k, v in told_by.items()})
    metadata.answers["/latest/api/token"] = "token"
    session = located(vpcs.session(), vpcs, environ={}, root=tmp_path)
    route = session.route("sagemaker")
    assert (in_vpc(vpcs, route), route.availability_zone) == (vpcs.vpc_id, "us-east-1b")
    assert told(route.evidence)[-2] == (
        f"location (noted): this is {vpcs.vpc_id}, says the EC2 instance metadata"
    )


def processing_job(root: Path, subnet_ids: list[str]) -> None:
    config = root / "opt/ml/config/processingjobconfig.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"NetworkConfig": {"VpcConfig": {"Subnets": subnet_ids}}}))


def test_ec2_tells_the_vpc_of_a_processing_job(vpcs: LocalPrivateLink, tmp_path: Path) -> None:
    """A processing job knows its subnets, and EC2 their VPC; it is asked once."""
    processing_job(tmp_path, subnets_of(vpcs, vpcs.vpc_id))
    session = located(vpcs.session(), vpcs, environ={}, root=tmp_path)
    for service in FAMILY:
        assert in_vpc(vpcs, session.route(service)) == vpcs.vpc_id
    assert vpcs.calls["ec2:DescribeSubnets"] == 1


def test_subnets_that_ec2_does_not_tell_leave_the_vpc_unknown(
    vpcs: LocalPrivateLink, own_link: LocalPrivateLink, tmp_path: Path
) -> None:
    """Denied DescribeSubnets is evidence; the only VPC endpoint is taken, of several none."""
    processing_job(tmp_path, ["subnet-0a1b2c3d"])
    own_link.create_vpc_endpoint("sagemaker")
    with own_link.faults.deny("ec2:DescribeSubnets"):
        route = located(own_link.session(), own_link, environ={}, root=tmp_path).route("sagemaker")
    assert told(route.evidence)[-2] == (
        "location (failed): EC2 could not be asked (ec2:DescribeSubnets). Cause: this identity is "
        "not allowed to (UnauthorizedOperation)."
    )
    with vpcs.faults.deny("ec2:DescribeSubnets"), pytest.raises(AmbiguousVpcEndpointError):
        located(vpcs.session(), vpcs, environ={}, root=tmp_path).route("sagemaker")


TRAINING_JOB = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::123456789012:role/role",
    "InputDataConfig": [],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/prefix"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}


def resource_metadata(root: Path, **told_by: str) -> None:
    path = root / "opt/ml/metadata/resource-metadata.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told_by))


@pytest.mark.parametrize("kind", ["training-job", "notebook-instance", "domain"])
def test_sagemaker_itself_tells_our_vpc(vpcs: LocalPrivateLink, tmp_path: Path, kind: str) -> None:
    """Of several VPCs the one is ours that SageMaker says, asked over whichever can be reached."""
    subnet_ids = subnets_of(vpcs, vpcs.vpc_id)
    environ: Mapping[str, str] = {}
    call = vpcs.control.call_sagemaker
    if kind == "training-job":
        environ = {"TRAINING_JOB_NAME": "job"}
        where = {"SecurityGroupIds": ["sg-0a1b2c3d"], "Subnets": subnet_ids}
        call("CreateTrainingJob", **TRAINING_JOB, VpcConfig=where)
    elif kind == "notebook-instance":
        resource_metadata(tmp_path, ResourceName="notebook")
        call(
            "CreateNotebookInstance",
            NotebookInstanceName="notebook",
            InstanceType="ml.t3.medium",
            RoleArn="arn:aws:iam::123456789012:role/role",
            SubnetId=subnet_ids[0],
        )
    else:
        made = call(
            "CreateDomain",
            DomainName="domain",
            AuthMode="IAM",
            DefaultUserSettings={},
            SubnetIds=subnet_ids,
            VpcId=vpcs.vpc_id,
        )
        domain_id = made["DomainArn"].rpartition("/")[2]
        resource_metadata(tmp_path, ResourceName="x", DomainId=domain_id)
    session = located(vpcs.session(), vpcs, environ=environ, root=tmp_path)
    for service in FAMILY:
        route = session.route(service)
        assert in_vpc(vpcs, route) == vpcs.vpc_id
        assert told(route.evidence)[-2] == (
            f"location (noted): this is {vpcs.vpc_id}, says the {kind}"
        )
    assert vpcs.calls["ec2:DescribeVpcEndpoints"] == 1
    assert vpcs.calls["ec2:DescribeNetworkInterfaces"] == 1


def test_sagemaker_that_does_not_tell_leaves_it_ambiguous(
    vpcs: LocalPrivateLink, tmp_path: Path
) -> None:
    """A denied or unknown resource does not hide which VPC endpoints there are."""
    session = located(vpcs.session(), vpcs, environ={"TRAINING_JOB_NAME": "none"}, root=tmp_path)
    with pytest.raises(AmbiguousVpcEndpointError) as caught:
        session.route("sagemaker-runtime")
    assert len(caught.value.candidates) == 4
    assert {r.vpc_endpoint_id for r in vpcs.requests} <= {
        v.vpc_endpoint_id for v in vpcs.vpc_endpoints if v.vpc_id == vpcs.vpc_id
    }


# Own zone


def test_lambda_s_zone_id_is_translated_by_the_interfaces(
    vpcs: LocalPrivateLink, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda tells a zone id; EC2's interfaces tell which name it has in this account."""
    vpcs.network.map("169.254.100.1", 9001, metadata.target)
    monkeypatch.setenv("AWS_LAMBDA_METADATA_API", "169.254.100.1:9001")
    path = "/2026-01-15/metadata/execution-environment"
    with vpcs.control.ec2() as ec2:
        zone_ids = {s.availability_zone: s.availability_zone_id for s in ec2.describe_subnets()}
    metadata.answers[path] = json.dumps({"AvailabilityZoneID": zone_ids["us-east-1b"]})
    route = vpcs.session(vpc_id=vpcs.vpc_id).route("sagemaker")
    if not any(a.availability_zone_id for a in route.addresses):
        pytest.skip("this moto's DescribeNetworkInterfaces tells no zone ids")
    assert route.availability_zone == "us-east-1b"
    metadata.answers[path] = json.dumps({"AvailabilityZoneID": "use1-az99"})
    route = vpcs.session(vpc_id=vpcs.vpc_id).route("sagemaker")
    assert route.availability_zone is None


def test_the_zonal_name_tells_our_address_without_ec2(vpcs: LocalPrivateLink) -> None:
    """Without EC2 rights the zonal DNS name tells which address is in our zone."""
    standing = vpcs.vpc_endpoint("sagemaker")
    session = vpcs.session(vpc_endpoint=standing.name.host, availability_zone="us-east-1b")
    route = session.route("sagemaker")
    zones = {i.address: i.availability_zone for i in standing.interfaces}
    assert {a.address: a.availability_zone for a in route.addresses} == {
        address: zone if zone == "us-east-1b" else None for address, zone in zones.items()
    }
    elsewhere = vpcs.session(vpc_endpoint=standing.name.host, availability_zone="us-east-1f")
    route = elsewhere.route("sagemaker")
    assert {a.availability_zone for a in route.addresses} == {None}
    assert not vpcs.calls
