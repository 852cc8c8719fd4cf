"""Specification of session/lookups.py: what SageMaker and EC2 are asked for a route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sm_private_client.privatelink.hostnames import endpoint_service_name, partition_of
from sm_private_client.privatelink.services import CATALOGUE
from sm_private_client.routing.botocore_rules import partitions
from sm_private_client.routing.discovery import Discovery, Ec2Access
from sm_private_client.routing.location import SageMakerResource
from sm_private_client.session.lookups import own_vpc
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
    made = client.create_domain(
        DomainName="studio",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": ROLE},
        SubnetIds=[subnet_of(link)],
        VpcId=link.vpc_id,
    )
    domain_id = made["DomainArn"].rpartition("/")[2]
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
