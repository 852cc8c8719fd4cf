"""ARNs of SageMaker's resources, for every partition."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["ANY", "Arn", "completed_arn", "partition_name", "read_arn", "sagemaker_arn"]

ANY: Final = "*"
_PARTITIONS: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-iso-", "aws-iso"),
    ("eusc-", "aws-eusc"),
)
"""What the regions of a partition begin with (botocore's partitions.json); all others: ``aws``."""
_PARTS: Final = 6
_COLON: Final = re.compile(r":(?![^${}]*\})")  # not one inside of a policy variable


@dataclass(frozen=True, kw_only=True, slots=True)
class Arn:
    """An ARN, or a pattern of ARNs, in its parts; ``resource`` is ``endpoint/myEndpoint``."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str


def partition_name(region: str) -> str:
    """Return the name of a region's partition; ``*`` for ``*``."""
    if region == ANY:
        return ANY
    return next((name for start, name in _PARTITIONS if region.startswith(start)), "aws")


def sagemaker_arn(resource: str, *, region: str, account_id: str, partition: str) -> str:
    """Return ``arn:aws:sagemaker:us-east-1:123456789012:endpoint/myEndpoint``."""
    return f"arn:{partition}:sagemaker:{region}:{account_id}:{resource}"


def completed_arn(text: str) -> str:
    """Return ``arn:aws:sqs:*:*:*`` for ``arn:aws:sqs``, as AWS does in policies of identities.

    Source: IAM User Guide, "IAM JSON policy elements: Resource". Other texts are returned as they
    are.
    """
    parts = _COLON.split(text)
    if parts[0] != "arn" or len(parts) >= _PARTS:
        return text
    return ":".join([*parts, *[ANY] * (_PARTS - len(parts))])


def read_arn(text: str) -> Arn | None:
    """Return the parts of an ARN; ``None`` if the text has too few parts or another start."""
    parts = _COLON.split(text, _PARTS - 1)
    if len(parts) != _PARTS or parts[0] != "arn":
        return None
    _, partition, service, region, account_id, resource = parts
    return Arn(
        partition=partition,
        service=service,
        region=region,
        account_id=account_id,
        resource=resource,
    )
