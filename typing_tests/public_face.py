"""Read by mypy and pyright, never run: the public face has the types it promises."""

from __future__ import annotations

from typing import Any

from mypy_boto3_sagemaker.client import SageMakerClient
from mypy_boto3_sagemaker_featurestore_runtime.client import (
    SageMakerFeatureStoreRuntimeClient,
)
from mypy_boto3_sagemaker_geospatial.client import SageMakergeospatialcapabilitiesClient
from mypy_boto3_sagemaker_metrics.client import SageMakerMetricsClient
from mypy_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
from typing_extensions import assert_type

import sm_private_client as smp


def clients_have_their_own_types() -> None:
    assert_type(smp.client("sagemaker"), SageMakerClient)
    assert_type(smp.client("sagemaker-runtime"), SageMakerRuntimeClient)
    assert_type(smp.client("runtime.sagemaker"), SageMakerRuntimeClient)
    assert_type(
        smp.client("sagemaker-featurestore-runtime", "us-east-1"),
        SageMakerFeatureStoreRuntimeClient,
    )
    assert_type(smp.client("sagemaker-metrics"), SageMakerMetricsClient)
    assert_type(
        smp.client("sagemaker-geospatial", vpc_endpoint="vpce-0a1b2c3d"),
        SageMakergeospatialcapabilitiesClient,
    )
    assert_type(smp.client("s3"), Any)


def connect_gives_both_clients() -> None:
    sagemaker, runtime = smp.connect(vpc_endpoint={"sagemaker": "vpce-0a1b2c3d"})
    assert_type(sagemaker, SageMakerClient)
    assert_type(runtime, SageMakerRuntimeClient)
    assert_type(smp.connect().runtime, SageMakerRuntimeClient)


def a_session_is_typed_like_boto3s() -> None:
    session = smp.Session(profile_name="prod", allowed_networks=["198.51.100.0/24"])
    assert_type(session.client("sagemaker-runtime"), SageMakerRuntimeClient)
    assert_type(session.route("sagemaker-runtime"), smp.Route)
    assert_type(session.route("sagemaker").vpc_endpoint, smp.VpcEndpoint | None)


def predictors_are_typed() -> None:
    predictor = smp.Session().predictor("churn", retry=smp.RetryPolicy(attempts=2), timeout=5)
    assert_type(predictor, smp.Predictor)
    assert_type(predictor.invoke(b"1"), smp.Invocation)
    assert_type(predictor.invoke(b"1").body, bytes)
    assert_type(predictor.submit({"a": 1}), smp.AsyncJob)
    assert_type(smp.Session().async_predictor("churn"), smp.AsyncPredictor)


def wrong_uses_are_refused() -> None:
    smp.client("sagemaker", vpc_endpoints="vpce-0a1b2c3d")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue,reportArgumentType]
    smp.Session(on_public_route="ask")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    smp.Session().predictor("churn", retries=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    smp.connect(endpoint_url="https://x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
