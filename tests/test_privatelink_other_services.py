"""The AWS services besides SageMaker's: their endpoint services, DNS names and URLs."""

from __future__ import annotations

import botocore.session
import pytest

from sm_private_client.privatelink.hostnames import Partition
from sm_private_client.privatelink.other_services import (
    OTHER_SERVICES,
    WITHOUT_PRIVATE_WAY,
    OtherService,
    endpoint_service_names,
    other_service,
    other_service_url,
    regional_dns_name,
)

AWS = Partition(name="aws", dns_suffix="amazonaws.com", region_regex="")
CHINA = Partition(name="aws-cn", dns_suffix="amazonaws.com.cn", region_regex="")
VPCE = "vpce-0fe5b17a0707d6abc-29p5708s"


def row(service_name: str) -> OtherService:
    found = other_service(service_name)
    assert found is not None
    return found


# AWS's list "AWS services that integrate with AWS PrivateLink", and its pages of gateway endpoints.
NAMES = {
    "sts": "com.amazonaws.us-east-1.sts",
    "s3": "com.amazonaws.us-east-1.s3",
    "logs": "com.amazonaws.us-east-1.logs",
    "cloudwatch": "com.amazonaws.us-east-1.monitoring",
    "ecr": "com.amazonaws.us-east-1.ecr.api",
    "kms": "com.amazonaws.us-east-1.kms",
    "ec2": "com.amazonaws.us-east-1.ec2",
    "iam": "com.amazonaws.iam",
    "secretsmanager": "com.amazonaws.us-east-1.secretsmanager",
    "ssm": "com.amazonaws.us-east-1.ssm",
    "events": "com.amazonaws.us-east-1.events",
    "sqs": "com.amazonaws.us-east-1.sqs",
    "sns": "com.amazonaws.us-east-1.sns",
    "stepfunctions": "com.amazonaws.us-east-1.states",
    "lambda": "com.amazonaws.us-east-1.lambda",
    "dynamodb": "com.amazonaws.us-east-1.dynamodb",
    "glue": "com.amazonaws.us-east-1.glue",
    "athena": "com.amazonaws.us-east-1.athena",
    "servicecatalog": "com.amazonaws.us-east-1.servicecatalog",
}


def test_the_table_is_what_aws_documents() -> None:
    """These services and no others; S3 and DynamoDB have gateways, and all are boto3's."""
    found = {
        one.service_name: endpoint_service_names(one, region="us-east-1", partition=AWS)
        for one in OTHER_SERVICES
    }
    assert found == {service_name: (name,) for service_name, name in NAMES.items()}
    assert {one.service_name for one in OTHER_SERVICES if one.has_gateway} == {"s3", "dynamodb"}
    known = set(botocore.session.Session().get_available_services())
    assert {*NAMES, *WITHOUT_PRIVATE_WAY} <= known


def test_other_service() -> None:
    """A row is found by boto3's name alone."""
    assert row("cloudwatch").name_suffix == "monitoring"
    for stranger in ("monitoring", "sagemaker", "sso", ""):
        assert other_service(stranger) is None


def test_names_in_china() -> None:
    """Both prefixes are possible there, the partition's own first."""
    assert endpoint_service_names(row("ecr"), region="cn-north-1", partition=CHINA) == (
        "cn.com.amazonaws.cn-north-1.ecr.api",
        "com.amazonaws.cn-north-1.ecr.api",
    )


@pytest.mark.parametrize(
    ("dns_names", "host"),
    [
        (
            [
                f"{VPCE}-us-east-1a.sts.us-east-1.vpce.amazonaws.com",
                f"{VPCE}.sts.us-east-1.vpce.amazonaws.com",
                "sts.us-east-1.amazonaws.com",
            ],
            f"{VPCE}.sts.us-east-1.vpce.amazonaws.com",
        ),
        (
            [f"*.{VPCE}.s3.us-east-1.vpce.amazonaws.com", "s3.us-east-1.amazonaws.com"],
            f"{VPCE}.s3.us-east-1.vpce.amazonaws.com",
        ),
        (
            [f"{VPCE.upper()}.STS.us-east-1.vpce.amazonaws.com."],
            f"{VPCE}.sts.us-east-1.vpce.amazonaws.com",
        ),
        ([f"{VPCE}-us-east-1a.sts.us-east-1.vpce.amazonaws.com"], None),  # a zone's only
        (["vpce-0fe5b17a0707d6abc.sts.us-east-1.vpce.amazonaws.com"], None),  # a placeholder
        ([f"{VPCE}.sts.us-east-1.amazonaws.com"], None),
        (["sts.us-east-1.amazonaws.com"], None),
        ([], None),
    ],
)
def test_regional_dns_name(dns_names: list[str], host: str | None) -> None:
    """Of the names that EC2 shows, in any order, the regional one is used."""
    assert regional_dns_name(dns_names) == host
    assert regional_dns_name(dns_names[::-1]) == host


def test_url() -> None:
    """The URL is the DNS name's; S3's has its kind of name before it."""
    assert other_service_url(row("sts"), "a.example") == "https://a.example"
    assert other_service_url(row("s3"), "a.example") == "https://bucket.a.example"
