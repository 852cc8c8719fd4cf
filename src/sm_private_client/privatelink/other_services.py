"""The AWS services that SageMaker code calls besides SageMaker's own, as one table.

They are reached through interface VPC endpoints too, S3 and DynamoDB also through gateway ones.
Endpoint service names are those of AWS's list "AWS services that integrate with AWS PrivateLink".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sm_private_client.privatelink.hostnames import split_vpc_endpoint_label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.privatelink.hostnames import Partition

__all__ = [
    "OTHER_SERVICES",
    "WITHOUT_PRIVATE_WAY",
    "OtherService",
    "endpoint_service_names",
    "other_service",
    "other_service_url",
    "regional_dns_name",
]


class OtherService(NamedTuple):
    """One other service.

    Attributes:
        service_name: boto3's name of the service.
        name_suffix: The end of the endpoint service name, after the region.
        purpose: Why SageMaker code calls it.
        has_gateway: Whether a gateway VPC endpoint exists as well, of the same service name.
        is_regional: Whether the endpoint service name has the region in it.
    """

    service_name: str
    name_suffix: str
    purpose: str
    has_gateway: bool = False
    is_regional: bool = True


OTHER_SERVICES: Final[tuple[OtherService, ...]] = (
    OtherService("sts", "sts", "roles and the caller's identity"),
    OtherService("s3", "s3", "data, model artifacts, asynchronous answers", has_gateway=True),
    OtherService("logs", "logs", "logs of jobs and models"),
    OtherService("cloudwatch", "monitoring", "metrics and alarms"),
    OtherService("ecr", "ecr.api", "container images"),
    OtherService("kms", "kms", "keys of encrypted data"),
    OtherService("ec2", "ec2", "finding VPC endpoints"),
    OtherService("iam", "iam", "execution roles", is_regional=False),
    OtherService("secretsmanager", "secretsmanager", "secrets"),
    OtherService("ssm", "ssm", "parameters"),
    OtherService("events", "events", "events of jobs and models"),
    OtherService("sqs", "sqs", "queues"),
    OtherService("sns", "sns", "notices of asynchronous inference"),
    OtherService("stepfunctions", "states", "workflows"),
    OtherService("lambda", "lambda", "pipeline steps"),
    OtherService("dynamodb", "dynamodb", "tables", has_gateway=True),
    OtherService("glue", "glue", "the feature store's catalogue"),
    OtherService("athena", "athena", "feature store queries"),
    OtherService("servicecatalog", "servicecatalog", "projects"),
)

WITHOUT_PRIVATE_WAY: Final = frozenset({"sso", "sso-oidc"})
"""The services of IAM Identity Center's sign-in; AWS's list has no endpoint service for them."""


def other_service(service_name: str) -> OtherService | None:
    """Return the row of a boto3 service, if it has one."""
    return next((row for row in OTHER_SERVICES if row.service_name == service_name), None)


def endpoint_service_names(
    row: OtherService, *, region: str, partition: Partition
) -> tuple[str, ...]:
    """Return the full names that the endpoint service may have, the likeliest first.

    In China some services keep the prefix ``com.amazonaws`` and others have ``cn.com.amazonaws``
    (CDK lists them one by one), so both are returned; EC2 knows one of them.
    """
    rest = f"{region}.{row.name_suffix}" if row.is_regional else row.name_suffix
    prefixes = (partition.service_prefix, "com.amazonaws")
    return tuple(dict.fromkeys(f"{prefix}.{rest}" for prefix in prefixes))


def regional_dns_name(dns_names: Iterable[str]) -> str | None:
    """Return the regional DNS name among those that EC2 shows for a VPC endpoint.

    S3's begins with ``*.``, which stands for ``bucket``, ``accesspoint`` or ``control``; that is
    left out here.
    """
    for name in sorted(dns_names):
        host = name.lower().removesuffix(".").removeprefix("*.")
        label = split_vpc_endpoint_label(host.partition(".")[0])
        if label is not None and label[1] and ".vpce." in host:
            return host
    return None


def other_service_url(row: OtherService, dns_name: str) -> str:
    """Return the URL for clients of an interface VPC endpoint of another service.

    S3's has ``bucket.`` before the DNS name (Amazon S3 user guide, "Accessing buckets, access
    points, and Amazon S3 Control API operations from S3 interface endpoints").
    """
    return f"https://bucket.{dns_name}" if row.service_name == "s3" else f"https://{dns_name}"
