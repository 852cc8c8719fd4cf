"""Read by mypy and pyright, never run: calls of predictors take their options and no others."""

from __future__ import annotations

import datetime as dt
from typing import Any

from typing_extensions import assert_type

import sm_private_client as smp


def options_are_typed(predictor: smp.Predictor, rows: list[list[float]]) -> None:
    assert_type(
        predictor.invoke(b"1", content_type="text/csv", target_variant="blue", timeout=5),
        smp.Invocation,
    )
    assert_type(predictor.predict(rows, codec="csv", members={"SessionId": "s"}), Any)
    predictor.stream("text", session_id=None).lines()
    predictor.submit(rows, inference_id="i", upload_args={"Tagging": "a=b"})
    with predictor.map(rows, concurrency=8, batch_size=10, accept="text/csv") as answers:
        assert_type(next(answers), Any)
    smp.Predictor("churn", client=object(), retry=smp.RetryPolicy(attempts=2), timeout=None)
    smp.AsyncJob.from_locations(
        output_location="s3://b/o", submitted_at=dt.datetime.now(dt.timezone.utc), time_limit=60
    )


async def asynchronous_options_are_typed(predictor: smp.AsyncPredictor) -> None:
    assert_type(await predictor.invoke(b"1", accept="text/csv"), smp.Invocation)
    assert_type(await predictor.submit(b"1", custom_attributes="a"), smp.AsyncJob)
    async for part in (await predictor.stream(b"1", timeout=5)).bytes():
        assert_type(part, bytes)
    async for answer in predictor.map([1], on_error="return", explanations="`true`"):
        assert_type(answer, Any)


def misspelt_options_are_refused(predictor: smp.Predictor) -> None:
    predictor.invoke(b"1", contenttype="text/csv")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    predictor.invoke(b"1", timeout="5")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    predictor.predict([1], acept="text/csv")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    predictor.stream(b"1", target_model="m.tar.gz")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    predictor.submit(b"1", s3_prefx="s3://b/")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    predictor.map([1], batchsize=2)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    smp.Predictor("churn", client=object(), retries=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    smp.AsyncJob.from_locations(output_location="s3://b/o", limit=60)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


async def misspelt_asynchronous_options_are_refused(predictor: smp.AsyncPredictor) -> None:
    await predictor.invoke(b"1", contenttype="text/csv")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await predictor.predict([1], acept="text/csv")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await predictor.stream(b"1", target_model="m.tar.gz")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await predictor.submit(b"1", session_id="s")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    predictor.map([1], batchsize=2)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
