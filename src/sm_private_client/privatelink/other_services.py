"""The other services: AWS services that SageMaker code calls besides SageMaker's own, as one table.

They are reached through interface VPC endpoints too, S3 and DynamoDB also through gateway ones.
Endpoint service names are those of AWS's list "AWS services that integrate with AWS PrivateLink".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherService:
    """One other service.

    Attributes:
        service_name: boto3's name of the service.
        name_suffix: What the endpoint service name ends in, after the region.
        purpose: What SageMaker code calls it for.
        has_gateway: Whether a gateway VPC endpoint exists as well, of the same service name.
        is_regional: Whether the endpoint service name has the region in it.
    """

    service_name: str
    name_suffix: str
    purpose: str
    has_gateway: bool = False
    is_regional: bool = True


OTHER_SERVICES: Final[tuple[OtherService, ...]] = (
    OtherService(service_name="sts", name_suffix="sts", purpose="roles and the caller's identity"),
    OtherService(
        service_name="s3",
        name_suffix="s3",
        purpose="data, model artifacts, asynchronous answers",
        has_gateway=True,
    ),
    OtherService(service_name="logs", name_suffix="logs", purpose="logs of jobs and models"),
    OtherService(service_name="cloudwatch", name_suffix="monitoring", purpose="metrics and alarms"),
    OtherService(service_name="ecr", name_suffix="ecr.api", purpose="container images"),
    OtherService(service_name="kms", name_suffix="kms", purpose="keys of encrypted data"),
    OtherService(service_name="ec2", name_suffix="ec2", purpose="finding VPC endpoints"),
    OtherService(
        service_name="iam", name_suffix="iam", purpose="execution roles", is_regional=False
    ),
    OtherService(service_name="secretsmanager", name_suffix="secretsmanager", purpose="secrets"),
    OtherService(service_name="ssm", name_suffix="ssm", purpose="parameters"),
    OtherService(service_name="events", name_suffix="events", purpose="events of jobs and models"),
    OtherService(service_name="sqs", name_suffix="sqs", purpose="queues"),
    OtherService(
        service_name="sns", name_suffix="sns", purpose="notices of asynchronous inference"
    ),
    OtherService(service_name="stepfunctions", name_suffix="states", purpose="workflows"),
    OtherService(service_name="lambda", name_suffix="lambda", purpose="pipeline steps"),
    OtherService(
        service_name="dynamodb", name_suffix="dynamodb", purpose="tables", has_gateway=True
    ),
    OtherService(service_name="glue", name_suffix="glue", purpose="the feature store's catalogue"),
    OtherService(service_name="athena", name_suffix="athena", purpose="feature store queries"),
    OtherService(service_name="servicecatalog", name_suffix="servicecatalog", purpose="projects"),
)

WITHOUT_PRIVATE_WAY: Final = frozenset({"sso", "sso-oidc"})
"""What IAM Identity Center's sign-in calls; no endpoint service for it is in AWS's list."""


def other_service(service_name: str) -> OtherService | None:
    """Finds the row of a boto3 service; ``None`` where it has none."""
    return next((row for row in OTHER_SERVICES if row.service_name == service_name), None)


def endpoint_service_names(
    row: OtherService, *, region: str, partition: Partition
) -> tuple[str, ...]:
    """Gives the full names that the endpoint service may have, the likeliest first.

    In China some services keep the prefix ``com.amazonaws`` and others have ``cn.com.amazonaws``
    (CDK lists them one by one), so both are given; EC2 knows one of them.
    """
    rest = f"{region}.{row.name_suffix}" if row.is_regional else row.name_suffix
    own = ".".join(reversed(partition.dns_suffix.split(".")))
    return tuple(dict.fromkeys(f"{prefix}.{rest}" for prefix in (own, "com.amazonaws")))


def regional_dns_name(dns_names: Iterable[str]) -> str | None:
    """Finds the regional DNS name among those that EC2 gives for a VPC endpoint.

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
    """Gives the URL that clients take for an interface VPC endpoint of another service.

    S3's has ``bucket.`` before the DNS name (Amazon S3 user guide, "Accessing buckets, access
    points, and Amazon S3 Control API operations from S3 interface endpoints").
    """
    return f"https://bucket.{dns_name}" if row.service_name == "s3" else f"https://{dns_name}"
