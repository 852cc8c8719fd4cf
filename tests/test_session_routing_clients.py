"""Specification of session/routing_clients.py: what SageMaker and EC2 are asked for a route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sm_private_client.errors import NoPrivateRouteError
from sm_private_client.privatelink.hostnames import endpoint_service_name, partition_of
from sm_private_client.privatelink.services import CATALOGUE
from sm_private_client.routing.botocore_rules import partitions
from sm_private_client.routing.discovery import Discovery, Ec2Access
from sm_private_client.routing.location import SageMakerResource
from sm_private_client.session.routing_clients import own_vpc
from sm_private_client.testing import LocalPrivateLink

ROLE = "arn:aws:iam::123456789012:role/sagemaker"


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        yield link


@pytest.fixture
def discovery(link: LocalPrivateLink) -> Discovery:
    session = link.session()
    partition = partition_of("us-east-1", partitions(session._session))
    names = [
        endpoint_service_name(row, region="us-east-1", partition=partition) for row in CATALOGUE
    ]
    access = Ec2Access(client=session.client("ec2"), identity=object())
    return Discovery(lambda: access, service_names=names)


def subnet_of(link: LocalPrivateLink) -> str:
    subnets = (
        link.session()
        .client("ec2")
        .describe_subnets(Filters=[{"Name": "vpc-id", "Values": [link.vpc_id]}])
    )
    return str(subnets["Subnets"][0]["SubnetId"])


def test_a_notebook_instance_is_in_its_subnets_vpc(
    link: LocalPrivateLink, discovery: Discovery
) -> None:
    """DescribeNotebookInstance gives the subnet, EC2 its VPC."""
    client = link.session().client("sagemaker")
    client.create_notebook_instance(
        NotebookInstanceName="nb",
        InstanceType="ml.t3.medium",
        RoleArn=ROLE,
        SubnetId=subnet_of(link),
    )
    resource = SageMakerResource(kind="notebook-instance", name="nb")
    assert own_vpc(resource, client, discovery) == link.vpc_id


def test_a_studio_domain_names_its_vpc(link: LocalPrivateLink, discovery: Discovery) -> None:
    """DescribeDomain gives the VPC itself."""
    client = link.session().client("sagemaker")
    domain = client.create_domain(
        DomainName="studio",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": ROLE},
        SubnetIds=[subnet_of(link)],
        VpcId=link.vpc_id,
    )
    domain_id = domain["DomainArn"].rpartition("/")[2]
    resource = SageMakerResource(kind="domain", name=domain_id)
    assert own_vpc(resource, client, discovery) == link.vpc_id


def test_a_training_job_is_in_its_subnets_vpc(link: LocalPrivateLink, discovery: Discovery) -> None:
    """DescribeTrainingJob gives the subnets, EC2 their VPC."""
    client = link.session().client("sagemaker")
    job: Any = {
        "TrainingJobName": "train",
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
        "VpcConfig": {"SecurityGroupIds": ["sg-0a1b2c3d"], "Subnets": [subnet_of(link)]},
    }
    client.create_training_job(**job)
    resource = SageMakerResource(kind="training-job", name="train")
    assert own_vpc(resource, client, discovery) == link.vpc_id


@pytest.mark.parametrize("kind", ["notebook-instance", "domain", "training-job"])
def test_what_sagemaker_does_not_tell_is_not_known(
    kind: Any, link: LocalPrivateLink, discovery: Discovery
) -> None:
    """A resource that is not there, or may not be described, gives no VPC."""
    client = link.session().client("sagemaker")
    assert own_vpc(SageMakerResource(kind=kind, name="absent"), client, discovery) is None


# Where EC2 is asked

EC2 = "ec2.us-east-1.amazonaws.com"


def asked(link: LocalPrivateLink, **options: Any) -> tuple[Any, list[str]]:
    """Search a route that only EC2 can tell; return the session and what it saw of EC2."""
    session = link.session(other_services="network", **options)
    evidence: Any
    try:
        evidence = session.route("sagemaker").evidence
    except NoPrivateRouteError as error:
        evidence = error.attempts
    seen = [f"{e.step} ({e.outcome}): {e.detail}" for e in evidence if "EC2" in e.step + e.detail]
    return session, seen


def test_ec2_is_asked_at_its_private_address() -> None:
    """If its own name has one; nothing else is said of it."""
    with LocalPrivateLink() as link:
        link.create_vpc_endpoint("ec2", private_dns=True)
        session, seen = asked(link, discovery="private")
        assert seen == [
            "discovery (used): EC2 gives "
            f"{link.vpc_endpoint('sagemaker').vpc_endpoint_id} in {link.vpc_id}"
        ]
        (record,) = (r for r in session.egress().records if r.service_name == "ec2")
        assert (record.host, record.private) == (EC2, True)
        assert record.calls > 0


def test_ec2_at_a_public_address_is_said_to_be(link: LocalPrivateLink) -> None:
    """In the evidence of the route, and by egress(); the call itself is boto3's own."""
    link.faults.deny("ec2:DescribeVpcEndpoints")  # were it asked, and it is out of reach anyway
    with link.faults.dns(EC2, "203.0.113.9"):
        session, seen = asked(link)
    assert seen[0] == f"EC2 (noted): EC2 was asked at a public address: {EC2} (203.0.113.9)"
    (record,) = (r for r in session.egress().records if r.service_name == "ec2")
    assert (record.host, record.address, record.private) == (EC2, "203.0.113.9", False)
    assert record.calls > 0


def test_discovery_private_asks_no_public_address(link: LocalPrivateLink) -> None:
    """Nothing is sent to it, by argument or by profile."""
    with link.faults.dns(EC2, "203.0.113.9"):
        session, seen = asked(link, discovery="private")
    assert len(seen) == 1
    assert seen[0].startswith("discovery (failed): EC2 could not be asked")
    assert f"{EC2} resolves to 203.0.113.9, which is public" in seen[0]
    (record,) = (r for r in session.egress().records if r.service_name == "ec2")
    assert (record.calls, record.connections, record.refused) == (0, 0, 1)
