"""Calls from one event loop, 64 in flight, against aiobotocore."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measuring import Goal, Sample, absence, take_turns
from benchmarks.ours import BODY, ENDPOINT_NAME, OURS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.measuring import Counts, Row
    from benchmarks.site import Site

__all__ = ["async_rows"]

IN_FLIGHT: Final = 64
_PEER: Final = "aiobotocore"


def async_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """``AsyncPredictor.invoke`` against aiobotocore's ``invoke_endpoint``."""
    loop = asyncio.new_event_loop()
    calls: dict[str, Callable[[], Awaitable[object]]] = {}
    missing: dict[str, str] = {}
    closing = contextlib.AsyncExitStack()
    for name, prepare in ((OURS, _prepare_ours), (_PEER, _prepare_aiobotocore)):
        try:
            calls[name] = loop.run_until_complete(prepare(site, closing))
        except ImportError as error:
            missing[name] = absence(error)

    def turn(call: Callable[[], Awaitable[object]]) -> Sample:
        started = time.perf_counter()
        loop.run_until_complete(_all_at_once(call, counts.task_calls))
        return {"rate": IN_FLIGHT * counts.task_calls / (time.perf_counter() - started)}

    try:
        measured = take_turns(
            {name: functools.partial(turn, call) for name, call in calls.items()},
            counts.rounds,
            missing=missing,
        )
    finally:
        loop.run_until_complete(closing.aclose())
        loop.close()
    yield measured.row(
        f"invoke, {IN_FLIGHT} in flight",
        "rate",
        OURS,
        _PEER,
        unit="calls/s",
        goal=Goal(at_least=7),
    )


async def _all_at_once(call: Callable[[], Awaitable[object]], count: int) -> None:
    async def one_after_the_other() -> None:
        for _ in range(count):
            await call()

    await asyncio.gather(*(one_after_the_other() for _ in range(IN_FLIGHT)))


async def _prepare_ours(
    site: Site, closing: contextlib.AsyncExitStack
) -> Callable[[], Awaitable[object]]:
    predictor = await closing.enter_async_context(site.session().async_predictor(ENDPOINT_NAME))
    return functools.partial(predictor.invoke, BODY, content_type="application/json")


async def _prepare_aiobotocore(
    site: Site, closing: contextlib.AsyncExitStack
) -> Callable[[], Awaitable[object]]:
    aiobotocore: Any = importlib.import_module("aiobotocore.session")
    config: Any = importlib.import_module("aiobotocore.config")
    client = await closing.enter_async_context(
        aiobotocore.get_session().create_client(
            "sagemaker-runtime",
            endpoint_url=site.url,
            config=config.AioConfig(max_pool_connections=IN_FLIGHT),
        )
    )

    async def invoke() -> object:
        answer = await client.invoke_endpoint(
            EndpointName=ENDPOINT_NAME, ContentType="application/json", Body=BODY
        )
        return await answer["Body"].read()

    return invoke
