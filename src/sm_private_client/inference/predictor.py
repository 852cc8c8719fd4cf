"""Predictor: one hosted model, by name: invoke, predict, stream, submit, map."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.invocation import BasePredictor, Invocation, invocation_of
from sm_private_client.inference.invokers import BotocoreInvoker
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.inference.tracing import call_span

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Self, Unpack

    from sm_private_client.inference.codecs import Codec
    from sm_private_client.inference.invocation import (
        CallOptions,
        InvokeOptions,
        PredictorOptions,
        StreamOptions,
    )
    from sm_private_client.inference.invokers import Invoker
    from sm_private_client.inference.jobs import AsyncJob
    from sm_private_client.inference.mapping.mapping import MapResults
    from sm_private_client.inference.mapping.window import Combine, OnError, OnFailure
    from sm_private_client.inference.operations import OperationResult
    from sm_private_client.inference.retry_policy import RetryQuota
    from sm_private_client.inference.s3 import S3Objects
    from sm_private_client.inference.streams import ResponseStream
    from sm_private_client.types import BotoClient, Value

__all__ = ["Predictor"]


class Predictor(BasePredictor):
    """Caller of one inference endpoint; safe between threads.

    ``session.predictor(name)`` uses the session's private route. ``Predictor(name,
    client=client)`` uses any ``sagemaker-runtime`` client with the client's own retries and
    time-outs. If that client retries, ``retry`` makes one attempt, so that only one of them does.

    Args:
        endpoint_name: The name of the inference endpoint.
        client: A boto3 ``sagemaker-runtime`` client.
        invoker: The transport of the calls; ``session.predictor`` passes it.
        quota: See ``BasePredictor``.
        s3: See ``BasePredictor``.
        recipe: See ``BasePredictor``.
        **options: See ``PredictorOptions``.

    Raises:
        ConfigurationError: Neither ``client`` nor ``invoker`` is given, or both.
    """

    _invoker: Invoker

    def __init__(
        self,
        endpoint_name: str,
        *,
        client: BotoClient = None,
        invoker: Invoker | None = None,
        quota: RetryQuota | None = None,
        s3: S3Objects | None = None,
        recipe: tuple[Callable[..., Predictor], tuple[Any, ...]] | None = None,
        **options: Unpack[PredictorOptions],
    ) -> None:
        if (client is None) == (invoker is None):
            raise ConfigurationError(
                "A Predictor needs a client.",
                remedy="use session.predictor(name), or pass client=<a sagemaker-runtime client>.",
            )
        if client is not None and _retries_itself(client):
            options["retry"] = replace(options.get("retry") or RetryPolicy(), attempts=1)
        super().__init__(endpoint_name, quota=quota, s3=s3, recipe=recipe, **options)
        self._invoker = invoker or BotocoreInvoker(client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections, which all predictors of the session share.

        The predictors can still be used. A client that was passed in stays open.
        """
        self._invoker.close()

    def invoke(
        self, body: bytes | bytearray | memoryview, **options: Unpack[InvokeOptions]
    ) -> Invocation:
        """Send bytes and return the answer, both as they are.

        Args:
            body: At most 25 MB.
            **options: Such as ``content_type`` and ``accept``; see ``InvokeOptions``.

        Raises:
            ConfigurationError, PayloadError: Something is out of limits; nothing was sent.
            ClientError: The service's own errors, as classes of ``client.exceptions``.
            HTTPClientError, PublicAddressError: No connection, or no answer.
        """
        return self._invoke(self._params(options, body), options.get("timeout"))

    def predict(
        self, data: Value, *, codec: Codec | str | None = None, **options: Unpack[InvokeOptions]
    ) -> Value:
        """Encode data, invoke, and decode the answer.

        Args:
            data: What a codec takes: dict, list, text, bytes, numpy, pandas, pyarrow, rows.
            codec: Instead of the predictor's.
            **options: See ``InvokeOptions``.

        Raises:
            PayloadError: The data cannot be encoded, or the answer cannot be decoded.
            Exception: As ``invoke``.
        """
        # Here and below: a process that only sends bytes does not load what other verbs need.
        from sm_private_client.inference.codecs import decode, encode  # noqa: PLC0415 - see above

        codec = codec or self._codec
        payload = encode(data, codec)
        params = self._payload_params(payload, options)
        answer = self._invoke(params, options.get("timeout"))
        return decode(answer.body, answer.content_type, codec=codec, like=data)

    def stream(
        self, data: Value, *, codec: Codec | str | None = None, **options: Unpack[StreamOptions]
    ) -> ResponseStream:
        """Send data and return the answer as a stream; use it in a ``with`` block.

        The start of a stream is retried like ``invoke``; a stream that has begun never is.

        Args:
            data: As for ``predict``; bytes are sent as they are.
            codec: Instead of the predictor's.
            **options: See ``StreamOptions``; ``timeout`` is for the silence between two parts.

        Raises:
            Exception: As ``invoke``.
        """
        from sm_private_client.inference.codecs import encode  # noqa: PLC0415 - as predict
        from sm_private_client.inference.streams import ResponseStream  # noqa: PLC0415 - as predict

        payload = encode(data, codec or self._codec)
        params = self._params(options, payload.body, ContentType=payload.content_type)
        timeout = options.get("timeout")
        if timeout is None:
            timeout = self._stream_timeout
        started = time.monotonic()
        with call_span("InvokeEndpointWithResponseStream", self.endpoint_name) as span:
            source, attempts = self._retrier.call(
                # The time-out is for each part; the deadline is for the start.
                lambda _: self._invoker.stream(
                    params, timeout=timeout, limit=self._max_response_bytes
                ),
                timeout=timeout,
            )
            span.answered(source.head, attempts)
            source = span.follow(source)
        return ResponseStream(source, started=started)

    def submit(
        self,
        data: Value,
        *,
        codec: Codec | str | None = None,
        s3_prefix: str | None = None,
        upload_args: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncJob:
        """Send data to an asynchronous inference endpoint and return the job to wait for.

        Args:
            data: As for ``predict``; or ``s3://bucket/key``, an input that is in S3 already.
            codec: Instead of the predictor's.
            s3_prefix: ``s3://bucket/prefix/`` for an input of more than 128,000 bytes, instead of
                the predictor's.
            upload_args: For that upload, as boto3's ``ExtraArgs``.
            **options: See ``CallOptions``; ``members`` takes ``RequestTTLSeconds`` and
                ``InvocationTimeoutSeconds``.

        Raises:
            Exception: As ``submit.submit``.
        """
        return self._submit(
            lambda params: self._call("InvokeEndpointAsync", params, options.get("timeout"))[0],
            data,
            codec=codec,
            s3_prefix=s3_prefix,
            upload_args=upload_args,
            options=options,
        )

    def map(
        self,
        items: Iterable[Value],
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
    ) -> MapResults[Value]:
        """Predict for many inputs, many at once, in bounded memory.

        Answers are decoded by their content type and the codec, whatever the type of the input.

        Args:
            items: Any iterable, also an endless one; it is read as results are asked for.
            concurrency: Calls at once, or ``"auto"``: from 4 up to 64, as many as the inference
                endpoint bears.
            ordered: Return results in the order of the items, else as they come.
            on_error: ``"raise"`` stops and raises the first error in order; ``"return"`` returns
                the error in place of the result.
            journal: A file that keeps the answers, so that a run that was killed can go on; its
                mode is 0600.
            progress: Show progress; by default on a terminal or in a notebook.
            batch_size: Items per call.
            combine: How items become one payload and its answer theirs; lists of rows by default.
            codec: Instead of the predictor's.
            **options: Those of ``invoke``, for every call.

        Raises:
            ConfigurationError: An argument cannot be used, or the journal is another run's.
            Exception: As ``predict``, for the item that failed.
        """
        from sm_private_client.inference.mapping.mapping import map_calls  # noqa: PLC0415 - as predict

        item_codec = self._item_codec(
            options, codec, journal=journal, batch_size=batch_size, combine=combine
        )

        def call(item: Value, on_failure: OnFailure) -> object:
            payload = item_codec.encode(item)
            params = self._payload_params(payload, options)
            return item_codec.decode(self._invoke(params, options.get("timeout"), on_failure))

        return map_calls(
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

    def _invoke(
        self,
        params: Mapping[str, Any],
        timeout: float | None,
        on_failure: OnFailure | None = None,
    ) -> Invocation:
        started = time.perf_counter()
        result, attempts = self._call("InvokeEndpoint", params, timeout, on_failure)
        return invocation_of(result, attempts, time.perf_counter() - started)

    def _call(
        self,
        operation: str,
        params: Mapping[str, Any],
        timeout: float | None,
        on_failure: OnFailure | None = None,
    ) -> tuple[OperationResult, int]:
        with call_span(operation, self.endpoint_name) as span:
            result, attempts = self._retrier.call(
                lambda left: self._invoker.send(
                    operation, params, timeout=left, limit=self._max_response_bytes
                ),
                timeout=self._timeout if timeout is None else timeout,
                on_failure=on_failure,
            )
            span.answered(result, attempts)
        return result, attempts


def _retries_itself(client: BotoClient) -> bool:
    retries = client.meta.config.retries or {}
    return int(retries.get("total_max_attempts", 2)) > 1
