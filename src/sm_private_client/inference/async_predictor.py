"""AsyncPredictor: the verbs of Predictor as coroutines and async iterators."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal

from sm_private_client.inference.codecs import decode, encode
from sm_private_client.inference.invocation import BasePredictor, Invocation, invocation_of
from sm_private_client.inference.mapping.async_mapping import map_calls_async
from sm_private_client.inference.streams import AsyncResponseStream
from sm_private_client.inference.tracing import call_span

if TYPE_CHECKING:
    import os
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Callable,
        Iterable,
        Mapping,
    )

    from typing_extensions import Self, Unpack

    from sm_private_client.inference.codecs import Codec
    from sm_private_client.inference.invocation import (
        CallOptions,
        InvokeOptions,
        PredictorOptions,
        StreamOptions,
    )
    from sm_private_client.inference.invokers import AsyncInvoker
    from sm_private_client.inference.jobs import AsyncJob
    from sm_private_client.inference.mapping.window import Combine, OnError, OnFailure
    from sm_private_client.inference.operations import OperationResult
    from sm_private_client.inference.retry_policy import RetryQuota
    from sm_private_client.inference.s3 import S3Objects
    from sm_private_client.types import Value

__all__ = ["AsyncPredictor"]


class AsyncPredictor(BasePredictor):
    """Caller of one inference endpoint from asyncio; ``session.async_predictor(name)`` makes one.

    The verbs, their arguments and their errors are those of ``Predictor``. Thousands of calls and
    streams may be in flight in one process; the predictors of a session share connections.

    Args:
        endpoint_name: The name of the inference endpoint.
        invoker: The transport of the calls.
        recipe: See ``BasePredictor``.
        quota: See ``BasePredictor``.
        s3: See ``BasePredictor``.
        **options: See ``PredictorOptions``.
    """

    _invoker: AsyncInvoker

    def __init__(
        self,
        endpoint_name: str,
        *,
        invoker: AsyncInvoker,
        recipe: tuple[Callable[..., AsyncPredictor], tuple[Any, ...]],
        quota: RetryQuota | None = None,
        s3: S3Objects | None = None,
        **options: Unpack[PredictorOptions],
    ) -> None:
        super().__init__(endpoint_name, quota=quota, s3=s3, recipe=recipe, **options)
        self._invoker = invoker

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; see ``Predictor.close``."""
        await self._invoker.close()

    async def invoke(
        self, body: bytes | bytearray | memoryview, **options: Unpack[InvokeOptions]
    ) -> Invocation:
        """See ``Predictor.invoke``."""
        return await self._invoke(self._params(options, body), options.get("timeout"))

    async def predict(
        self, data: Value, *, codec: Codec | str | None = None, **options: Unpack[InvokeOptions]
    ) -> Value:
        """See ``Predictor.predict``."""
        codec = codec or self._codec
        payload = encode(data, codec)
        params = self._payload_params(payload, options)
        answer = await self._invoke(params, options.get("timeout"))
        return decode(answer.body, answer.content_type, codec=codec, like=data)

    async def stream(
        self, data: Value, *, codec: Codec | str | None = None, **options: Unpack[StreamOptions]
    ) -> AsyncResponseStream:
        """See ``Predictor.stream``.

        ``async with await predictor.stream(data) as stream: ...``
        """
        payload = encode(data, codec or self._codec)
        params = self._params(options, payload.body, ContentType=payload.content_type)
        timeout = options.get("timeout")
        if timeout is None:
            timeout = self._stream_timeout
        started = time.monotonic()
        with call_span("InvokeEndpointWithResponseStream", self.endpoint_name) as span:
            source, attempts = await self._retrier.call_async(
                lambda _: self._invoker.stream(
                    params, timeout=timeout, limit=self._max_response_bytes
                ),
                timeout=timeout,
            )
            span.answered(source.head, attempts)
            source = span.follow_async(source)
        return AsyncResponseStream(source, started=started)

    async def submit(
        self,
        data: Value,
        *,
        codec: Codec | str | None = None,
        s3_prefix: str | None = None,
        upload_args: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncJob:
        """See ``Predictor.submit``; ``await`` the job for its result."""
        loop = asyncio.get_running_loop()

        def send(params: Mapping[str, Any]) -> OperationResult:
            call = self._call("InvokeEndpointAsync", params, options.get("timeout"))
            return asyncio.run_coroutine_threadsafe(call, loop).result()[0]

        return await asyncio.to_thread(  # S3 is boto3's, which blocks
            self._submit,
            send,
            data,
            codec=codec,
            s3_prefix=s3_prefix,
            upload_args=upload_args,
            options=options,
        )

    def map(
        self,
        items: Iterable[Value] | AsyncIterable[Value],
        *,
        concurrency: int | Literal["auto"] = "auto",
        ordered: bool = True,
        on_error: OnError = "raise",
        journal: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
        batch_size: int = 1,
        combine: Combine | tuple[Any, Any] | None = None,
        codec: Codec | str | None = None,
        **options: Unpack[InvokeOptions],
    ) -> AsyncGenerator[Value, None]:
        """See ``Predictor.map``.

        ``items`` may be an async iterable. The event loop's thread writes the journal.
        """
        item_codec = self._item_codec(
            options, codec, journal=journal, batch_size=batch_size, combine=combine
        )

        async def call(item: Value, on_failure: OnFailure) -> object:
            payload = item_codec.encode(item)
            params = self._payload_params(payload, options)
            answer = await self._invoke(params, options.get("timeout"), on_failure)
            return item_codec.decode(answer)

        return map_calls_async(
            call,
            items,
            concurrency=concurrency,
            ordered=ordered,
            on_error=on_error,
            journal=item_codec.journal,
            progress=progress,
            batch_size=batch_size,
            combine=combine,
            name=self.endpoint_name,
        )

    async def _invoke(
        self,
        params: Mapping[str, Any],
        timeout: float | None,
        on_failure: OnFailure | None = None,
    ) -> Invocation:
        started = time.perf_counter()
        result, attempts = await self._call("InvokeEndpoint", params, timeout, on_failure)
        return invocation_of(result, attempts, time.perf_counter() - started)

    async def _call(
        self,
        operation: str,
        params: Mapping[str, Any],
        timeout: float | None,
        on_failure: OnFailure | None = None,
    ) -> tuple[OperationResult, int]:
        with call_span(operation, self.endpoint_name) as span:
            result, attempts = await self._retrier.call_async(
                lambda left: self._invoker.send(
                    operation, params, timeout=left, limit=self._max_response_bytes
                ),
                timeout=self._timeout if timeout is None else timeout,
                on_failure=on_failure,
            )
            span.answered(result, attempts)
        return result, attempts
