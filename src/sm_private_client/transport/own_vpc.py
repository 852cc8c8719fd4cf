"""Asks SageMaker in which VPC the notebook, Studio domain or training job is that we run in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import DiscoveryError

if TYPE_CHECKING:
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.routing.location import SageMakerResource

__all__ = ["own_vpc"]


def own_vpc(resource: SageMakerResource, client: Any, discovery: Discovery) -> str | None:  # noqa: ANN401 - boto3's
    """Gives the VPC of a resource.

    Args:
        resource: What this process runs in.
        client: A ``sagemaker`` client.
        discovery: To find the VPC of a subnet.

    Returns:
        The VPC's id; ``None`` where SageMaker or EC2 does not say.
    """
    try:
        if resource.kind == "domain":
            return str(client.describe_domain(DomainId=resource.name)["VpcId"])
        if resource.kind == "notebook-instance":
            told = client.describe_notebook_instance(NotebookInstanceName=resource.name)
            subnets = (told["SubnetId"],)
        else:
            told = client.describe_training_job(TrainingJobName=resource.name)
            subnets = tuple(told["VpcConfig"]["Subnets"])
        return discovery.vpc_of_subnets(subnets)
    except (BotoCoreError, ClientError, DiscoveryError, KeyError):
        return None
