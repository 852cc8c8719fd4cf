"""Deploy: an inference endpoint in SageMaker's API, and the model behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sm_private_client.errors import ConfigurationError
from sm_private_client.testing.hosting import Hosted

if TYPE_CHECKING:
    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.hosting import HostedModels, Model

__all__ = ["Deployment"]


class Deployment:
    """Deploys models.

    Args:
        models: Where they are hosted.
        control: SageMaker's API.
        region: The region.
    """

    def __init__(self, *, models: HostedModels, control: ControlPlane, region: str) -> None:
        self._models = models
        self._control = control
        self._region = region

    def deploy(
        self,
        endpoint_name: str,
        model: Model | str,
        *,
        variant: str,
        s3_output_path: str | None,
        s3_failure_path: str | None,
    ) -> None:
        """Hosts a model; see ``LocalPrivateLink.deploy``."""
        for path in (s3_output_path, s3_failure_path):
            if path is None:
                continue
            match = re.match("s3://([^/]+)", path)
            if match is None:
                raise ConfigurationError(
                    f"{path!r} is not a place in S3.", remedy="give s3://bucket/prefix."
                )
            self._control.need_bucket(match[1])
        account_id = self._control.account_id
        self._models.put(
            Hosted(
                endpoint_name=endpoint_name,
                model=None if isinstance(model, str) else model,
                url=model.rstrip("/") if isinstance(model, str) else None,
                variant=variant,
                s3_output_path=s3_output_path,
                s3_failure_path=s3_failure_path,
                record=self._models.record(endpoint_name),
            )
        )
        if self._control.endpoint_status(endpoint_name, self._region) is not None:
            return
        role = f"arn:{self._control.partition}:iam::{account_id}:role/private-link"
        self._control.call_sagemaker(
            "CreateModel",
            ModelName=endpoint_name,
            ExecutionRoleArn=role,
            PrimaryContainer={"Image": "simulated"},
        )
        self._control.call_sagemaker(
            "CreateEndpointConfig",
            EndpointConfigName=endpoint_name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": endpoint_name,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "InitialVariantWeight": 1.0,
                }
            ],
            **_async_config(s3_output_path, s3_failure_path),
        )
        self._control.call_sagemaker(
            "CreateEndpoint", EndpointName=endpoint_name, EndpointConfigName=endpoint_name
        )


def _async_config(s3_output_path: str | None, s3_failure_path: str | None) -> dict[str, Any]:
    if s3_output_path is None:
        return {}
    output = {"S3OutputPath": s3_output_path}
    if s3_failure_path is not None:
        output["S3FailurePath"] = s3_failure_path
    return {"AsyncInferenceConfig": {"OutputConfig": output}}
