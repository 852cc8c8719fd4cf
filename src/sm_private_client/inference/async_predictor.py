"""AsyncPredictor: the verbs of Predictor as coroutines and async iterators, natively async."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal

from sm_private_client.inference.codecs import decode, encode
from sm_private_client.inference.invocation import (
    INVOKE_TIMEOUT,
    MAX_RESPONSE_BYTES,
    STREAM_TIMEOUT,
    Invocation,
    Target,
    invocation_of,
    typed,
)
from sm_private_client.inference.mapping.async_mapping import map_calls_async
from sm_private_client.inference.mapping.predictions import journal_codec, result_of, value_of
from sm_private_client.inference.retrier import Retrier
from sm_private_client.inference.s3 import S3Objects
from sm_private_client.inference.streams import AsyncResponseStream
from sm_private_client.inference.submit import submit_data
from sm_private_client.inference.tracing import call_span

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping

    from typing_extensions import Self

    from sm_private_client.inference.codecs import Codec
    from sm_private_client.inference.invokers import AsyncInvoker, OperationResult
    from sm_private_client.inference.jobs import AsyncJob
    from sm_private_client.inference.mapping.window import Combine, OnError
    from sm_private_client.inference.retry_policy import RetryPolicy, RetryQuota

__all__ = ["AsyncPredictor"]


class AsyncPredictor:
    """Calls one inference endpoint from asyncio; made by ``session.async_predictor(name)``.

    The verbs, their arguments and their errors are ``Predictor``'s. Thousands of calls and
    streams may be in flight in one process; connections are shared by a session's predictors.

    Args:
        endpoint_name: The inference endpoint's name.
        invoker: What carries the calls.
        codec: See ``Predictor``.
        inference_component: See ``Predictor``.
        target_variant: See ``Predictor``.
        target_model: See ``Predictor``.
        target_container: See ``Predictor``.
        retry: See ``Predictor``.
        timeout: See ``Predictor``.
        stream_timeout: See ``Predictor``.
        max_response_bytes: See ``Predictor``.
        s3_prefix: See ``Predictor``.
        quota: Shared by the predictors of a session.
        s3: What ``submit`` reaches S3 with.
        recipe: Makes the same predictor again in another process.
    """

    def __init__(
        self,
        endpoint_name: str,
        *,
        invoker: AsyncInvoker,
        recipe: tuple[Callable[..., AsyncPredictor], tuple[Any, ...]],
        codec: Codec | str | None = None,
        inference_component: str | None = None,
        target_variant: str | None = None,
        target_model: str | None = None,
        target_container: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = INVOKE_TIMEOUT,
        stream_timeout: float | None = STREAM_TIMEOUT,
        max_response_bytes: int | None = MAX_RESPONSE_BYTES,
        s3_prefix: str | None = None,
        quota: RetryQuota | None = None,
        s3: S3Objects | None = None,
    ) -> None:
        self.endpoint_name = endpoint_name
        self._invoker = invoker
        self._codec = codec
        self._target = Target.of(
            endpoint_name,
            inference_component=inference_component,
            target_variant=target_variant,
            target_model=target_model,
            target_container=target_container,
        )
        self._retrier = Retrier(retry, quota)
        self._timeout = timeout
        self._stream_timeout = stream_timeout
        self._max_response_bytes = max_response_bytes
        self._s3_prefix = s3_prefix
        self._s3 = s3 or S3Objects.of_session()
        self._recipe = recipe

    def __repr__(self) -> str:
        return f"AsyncPredictor({self.endpoint_name!r}, transport={self._invoker!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; see ``Predictor.close``."""
        await self._invoker.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._recipe

    async def invoke(self, body: bytes | bytearray | memoryview, **options: Any) -> Invocation:  # noqa: ANN401
        """Sends bytes as they are and gives the answer as it is; see ``Predictor.invoke``."""
        return await self._invoke(body, None, **options)

    async def predict(self, data: Any, *, codec: Codec | str | None = None, **options: Any) -> Any:  # noqa: ANN401
        """Encodes, invokes, decodes; see ``Predictor.predict``."""
        chosen = codec or self._codec
        payload = encode(data, chosen)
        answer = await self._invoke(payload.body, None, **typed(payload, options))
        return decode(answer.body, answer.content_type, codec=chosen, like=data)

    async def stream(
        self,
        data: Any,  # noqa: ANN401 - any data
        *,
        codec: Codec | str | None = None,
        members: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **options: Any,  # noqa: ANN401 - those of Predictor.stream
    ) -> AsyncResponseStream:
        """Sends data and gives the answer as it comes; see ``Predictor.stream``.

        ``async with await predictor.stream(data) as stream: ...``
        """
        payload = encode(data, codec or self._codec)
        options.setdefault("content_type", payload.content_type)
        params = self._target.params(payload.body, options, members)
        limit = self._stream_timeout if timeout is None else timeout
        started = time.monotonic()
        with call_span("InvokeEndpointWithResponseStream", self.endpoint_name) as span:
            answer, attempts = await self._retrier.call_async(
                lambda _: self._invoker.stream(
                    params, timeout=limit, limit=self._max_response_bytes
                ),
                timeout=limit,
            )
            span.answered(answer, attempts)
            source = span.follow_async(answer)
        return AsyncResponseStream(source, started=started)

    async def submit(
        self,
        data: Any,  # noqa: ANN401 - any data
        *,
        codec: Codec | str | None = None,
        s3_prefix: str | None = None,
        upload_args: Mapping[str, Any] | None = None,
        members: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **options: Any,  # noqa: ANN401 - those of Predictor.stream
    ) -> AsyncJob:
        """Has an asynchronous inference endpoint take data; ``await`` the job for its result."""
        limit = self._timeout if timeout is None else timeout
        loop = asyncio.get_running_loop()

        async def call(params: Mapping[str, Any]) -> OperationResult:
            with call_span("InvokeEndpointAsync", self.endpoint_name) as span:
                answer, attempts = await self._retrier.call_async(
                    lambda left: self._invoker.invoke_async(
                        params, timeout=left, limit=self._max_response_bytes
                    ),
                    timeout=limit,
                )
                span.answered(answer, attempts)
            return answer

        def send(params: Mapping[str, Any]) -> OperationResult:
            return asyncio.run_coroutine_threadsafe(call(params), loop).result()

        return await asyncio.to_thread(  # S3 is boto3's, which blocks
            submit_data,
            send,
            data,
            target=self._target,
            options=options,
            members=members,
            codec=codec or self._codec,
            operation=self._invoker.async_operation,
            s3=self._s3,
            s3_prefix=s3_prefix or self._s3_prefix,
            extra_args=upload_args,
        )

    async def map(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int | Literal["auto"] = "auto",
        ordered: bool = True,
        on_error: OnError = "raise",
        journal: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
        batch_size: int = 1,
        combine: Combine | tuple[Any, Any] | None = None,
        codec: Codec | str | None = None,
        **options: Any,  # noqa: ANN401 - those of Predictor.stream
    ) -> AsyncGenerator[Any, None]:
        """Predicts for many inputs, many at once, in bounded memory; see ``Predictor.map``.

        ``items`` may be an async iterable. A journal is written by the event loop's thread.
        """
        chosen = codec or self._codec
        alone = batch_size == 1 and combine is None
        keeps = journal is not None and alone

        async def call(item: Any, observe: Callable[[BaseException], None]) -> Any:  # noqa: ANN401
            payload = encode(item, chosen)
            answer = await self._invoke(payload.body, observe, **typed(payload, options))
            return result_of((answer.body, answer.content_type), chosen, keeps=keeps)

        results = map_calls_async(
            call,
            items,
            concurrency=concurrency,
            ordered=ordered,
            on_error=on_error,
            journal=journal_codec(
                journal,
                self._target.run(chosen),
                codec=chosen,
                batch_size=batch_size,
                alone=alone,
            ),
            progress=progress,
            batch_size=batch_size,
            combine=combine,
            name=self.endpoint_name,
        )
        try:
            async for result in results:
                yield value_of(result)
        finally:
            await results.aclose()

    async def _invoke(
        self,
        body: object,
        observe: Callable[[BaseException], None] | None,
        *,
        members: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **options: Any,  # noqa: ANN401 - those of Predictor.stream
    ) -> Invocation:
        params = self._target.params(body, options, members)

        async def attempt(left: float | None) -> OperationResult:
            try:
                return await self._invoker.invoke(
                    params, timeout=left, limit=self._max_response_bytes
                )
            except Exception as error:
                if observe is not None:
                    observe(error)
                raise

        limit = self._timeout if timeout is None else timeout
        started = time.perf_counter()
        with call_span("InvokeEndpoint", self.endpoint_name) as span:
            answer, attempts = await self._retrier.call_async(attempt, timeout=limit)
            span.answered(answer, attempts)
        return invocation_of(answer, attempts, time.perf_counter() - started)
