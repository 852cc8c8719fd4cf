"""The options of commands that call models; flags are named as the AWS CLI names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sm_private_client.inference.invocation import PredictorOptions

__all__ = [
    "Accept",
    "CustomAttributes",
    "EndpointName",
    "InferenceComponentName",
    "TargetContainerHostname",
    "TargetModel",
    "TargetVariant",
    "Timeout",
    "predictor_options",
]

EndpointName = Annotated[
    str, typer.Argument(metavar="NAME", help="The inference endpoint.", show_default=False)
]
Accept = Annotated[
    str | None,
    typer.Option("--accept", metavar="TYPE", help="The content type that is wanted."),
]
CustomAttributes = Annotated[
    str | None,
    typer.Option(
        "--custom-attributes", metavar="TEXT", help="Passed to the model: at most 1,024 characters."
    ),
]
TargetModel = Annotated[
    str | None,
    typer.Option("--target-model", metavar="NAME", help="The model of a multi-model endpoint."),
]
TargetVariant = Annotated[
    str | None, typer.Option("--target-variant", metavar="NAME", help="The production variant.")
]
TargetContainerHostname = Annotated[
    str | None,
    typer.Option(
        "--target-container-hostname",
        metavar="NAME",
        help="The container of a multi-container endpoint.",
    ),
]
InferenceComponentName = Annotated[
    str | None,
    typer.Option("--inference-component-name", metavar="NAME", help="The inference component."),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0,
        help="Time for an answer: 70, of a stream 600 between parts, of a job until it must end.",
    ),
]


def predictor_options(
    *,
    target_model: str | None,
    target_variant: str | None,
    target_container: str | None,
    inference_component: str | None,
    s3_prefix: str | None = None,
    codec: str | None = None,
) -> PredictorOptions:
    """Gives the options of a predictor, by the names that ``Predictor`` has for them."""
    return {
        "target_model": target_model,
        "target_variant": target_variant,
        "target_container": target_container,
        "inference_component": inference_component,
        "s3_prefix": s3_prefix,
        "codec": codec,
    }
