"""Predictor: one hosted model, by name: invoke, predict, stream, submit, map."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.invocation import (
    INVOKE_TIMEOUT,
    MAX_RESPONSE_BYTES,
    STREAM_TIMEOUT,
    Invocation,
    Target,
    invocation_of,
    typed,
)
from sm_private_client.inference.invokers import BotocoreInvoker
from sm_private_client.inference.retrier import Retrier
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.inference.s3 import S3Objects
from sm_private_client.inference.tracing import call_span

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Self

    from sm_private_client.inference.codecs import Codec
    from sm_private_client.inference.invokers import Invoker, OperationResult
    from sm_private_client.inference.jobs import AsyncJob
    from sm_private_client.inference.mapping.predictions import Predictions
    from sm_private_client.inference.mapping.window import Combine, OnError
    from sm_private_client.inference.retry_policy import RetryQuota
    from sm_private_client.inference.streams import ResponseStream

__all__ = ["Predictor"]


class Predictor:
    """Calls one inference endpoint; safe between threads.

    ``session.predictor(name)`` makes one over the session's private route.
    ``Predictor(name, client=client)`` makes one over any ``sagemaker-runtime`` client; the
    client's own retries and time-outs stay in force then, and if it retries, ``retry`` makes one
    attempt, so that only one of them does.

    Args:
        endpoint_name: The inference endpoint's name.
        client: A boto3 ``sagemaker-runtime`` client.
        codec: How ``predict`` encodes and decodes: a codec, its name or a content type; by the
            type of the data and of the answer where not given.
        inference_component: Name of the inference component to call.
        target_variant: Name of the production variant to call.
        target_model: Name of the model of a multi-model endpoint.
        target_container: Host name of the container of a multi-container endpoint.
        retry: When and how often to try again; ``RetryPolicy()`` by default.
        timeout: Seconds to read, for ``invoke`` and ``predict``; 70 by default.
        stream_timeout: Seconds to read, for ``stream``; 600 by default.
        max_response_bytes: Bytes of an answer that are taken at the most, 256 MiB by default;
            ``None``: any number. A stream's parts do not count.
        invoker: What carries the calls; ``session.predictor`` passes it.
        quota: Shared by the predictors of a session.
        s3_prefix: ``s3://bucket/prefix/`` that ``submit`` puts large inputs under.
        s3: What ``submit`` reaches S3 with; a client of boto3's default session by default.
        recipe: Makes the same predictor again in another process; ``None``: it cannot be.

    Raises:
        ConfigurationError: Neither ``client`` nor ``invoker`` is given, or both.
    """

    def __init__(
        self,
        endpoint_name: str,
        *,
        client: Any = None,  # noqa: ANN401 - boto3's clients are made at run time
        codec: Codec | str | None = None,
        inference_component: str | None = None,
        target_variant: str | None = None,
        target_model: str | None = None,
        target_container: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = INVOKE_TIMEOUT,
        stream_timeout: float | None = STREAM_TIMEOUT,
        max_response_bytes: int | None = MAX_RESPONSE_BYTES,
        invoker: Invoker | None = None,
        quota: RetryQuota | None = None,
        s3_prefix: str | None = None,
        s3: S3Objects | None = None,
        recipe: tuple[Callable[..., Predictor], tuple[Any, ...]] | None = None,
    ) -> None:
        if (client is None) == (invoker is None):
            raise ConfigurationError(
                "A Predictor needs a client.",
                remedy="use session.predictor(name), or pass client=<a sagemaker-runtime client>.",
            )
        self.endpoint_name = endpoint_name
        self._invoker: Invoker = invoker or BotocoreInvoker(client)
        self._codec = codec
        self._target = Target.of(
            endpoint_name,
            inference_component=inference_component,
            target_variant=target_variant,
            target_model=target_model,
            target_container=target_container,
        )
        policy = retry or RetryPolicy()
        if client is not None and _retries_itself(client):
            policy = replace(policy, attempts=1)
        self._retrier = Retrier(policy, quota)
        self._timeout = timeout
        self._stream_timeout = stream_timeout
        self._max_response_bytes = max_response_bytes
        self._s3_prefix = s3_prefix
        self._s3 = s3 or S3Objects.of_session()
        self._recipe = recipe

    def __repr__(self) -> str:
        return f"Predictor({self.endpoint_name!r}, transport={self._invoker!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections, which the session's predictors share.

        All of them can be used again. A client that was given stays as it is.
        """
        self._invoker.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._recipe is None:
            raise ConfigurationError(
                f"{self!r} cannot be pickled.",
                cause="it was made with client=, and clients stay in their process.",
                remedy="make it with session.predictor(name).",
            )
        return self._recipe

    def invoke(
        self,
        body: bytes | bytearray | memoryview,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        custom_attributes: str | None = None,
        inference_id: str | None = None,
        session_id: str | None = None,
        prefix_aware_id: str | None = None,
        explanations: str | None = None,
        inference_component: str | None = None,
        target_variant: str | None = None,
        target_model: str | None = None,
        target_container: str | None = None,
        members: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Invocation:
        """Sends bytes as they are and gives the answer as it is.

        Args:
            body: At most 25 MB.
            content_type: Of the body; the service takes ``application/octet-stream`` without it.
            accept: The content type that is wanted.
            custom_attributes: At most 1,024 ASCII characters, passed to the model.
            inference_id: At most 64 characters, for data capture.
            session_id: Of a stateful session, or ``NEW_SESSION``.
            prefix_aware_id: At most 64 characters, for prefix-aware routing.
            explanations: An expression for ``EnableExplanations``.
            inference_component: Instead of the predictor's.
            target_variant: Instead of the predictor's.
            target_model: Instead of the predictor's.
            target_container: Instead of the predictor's.
            members: Any further members of InvokeEndpoint by botocore's own names.
            timeout: Seconds to read, instead of the predictor's.

        Raises:
            ConfigurationError, PayloadError: Something is out of limits; nothing was sent.
            ClientError: The service's own errors, as classes of ``client.exceptions``.
            HTTPClientError, PublicAddressError: No connection, or no answer.
        """
        return self._invoke(
            body,
            None,
            content_type=content_type,
            accept=accept,
            custom_attributes=custom_attributes,
            inference_id=inference_id,
            session_id=session_id,
            prefix_aware_id=prefix_aware_id,
            explanations=explanations,
            inference_component=inference_component,
            target_variant=target_variant,
            target_model=target_model,
            target_container=target_container,
            members=members,
            timeout=timeout,
        )

    def _invoke(
        self,
        body: object,
        observe: Callable[[BaseException], None] | None,
        *,
        members: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **options: Any,  # noqa: ANN401 - those of Predictor.stream
    ) -> Invocation:
        params = self._target.params(body, options, members)

        def attempt(left: float | None) -> OperationResult:
            try:
                return self._invoker.invoke(params, timeout=left, limit=self._max_response_bytes)
            except Exception as error:
                if observe is not None:
                    observe(error)
                raise

        limit = self._timeout if timeout is None else timeout
        started = time.perf_counter()
        with call_span("InvokeEndpoint", self.endpoint_name) as span:
            answer, attempts = self._retrier.call(attempt, timeout=limit)
            span.answered(answer, attempts)
        return invocation_of(answer, attempts, time.perf_counter() - started)

    def predict(self, data: Any, *, codec: Codec | str | None = None, **options: Any) -> Any:  # noqa: ANN401 - any data
        """Encodes, invokes, decodes.

        Args:
            data: What a codec takes: dict, list, text, bytes, numpy, pandas, pyarrow, rows.
            codec: Instead of the predictor's.
            **options: Those of ``invoke``.

        Raises:
            PayloadError: The data cannot be encoded, or the answer cannot be decoded.
            Exception: As ``invoke``.
        """
        # Here and below: a process that only sends bytes need not load what the other verbs need.
        from sm_private_client.inference.codecs import decode, encode  # noqa: PLC0415

        chosen = codec or self._codec
        payload = encode(data, chosen)
        answer = self.invoke(payload.body, **typed(payload, options))
        return decode(answer.body, answer.content_type, codec=chosen, like=data)

    def stream(
        self,
        data: Any,  # noqa: ANN401 - any data
        *,
        codec: Codec | str | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        custom_attributes: str | None = None,
        inference_id: str | None = None,
        session_id: str | None = None,
        members: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> ResponseStream:
        """Sends data and gives the answer as it comes; use it in a ``with`` block.

        Beginning a stream is retried like ``invoke``; one that has begun never is.

        Args:
            data: As for ``predict``; bytes go as they are.
            codec: Instead of the predictor's.
            content_type: Instead of the codec's.
            accept: The content type that is wanted.
            custom_attributes: As for ``invoke``.
            inference_id: As for ``invoke``.
            session_id: Of a stateful session that is open.
            members: Any further members of InvokeEndpointWithResponseStream.
            timeout: Seconds between two parts, instead of the predictor's.

        Raises:
            Exception: As ``invoke``.
        """
        from sm_private_client.inference.codecs import encode  # noqa: PLC0415 - as predict
        from sm_private_client.inference.streams import ResponseStream  # noqa: PLC0415

        payload = encode(data, codec or self._codec)
        options = {
            "content_type": content_type or payload.content_type,
            "accept": accept,
            "custom_attributes": custom_attributes,
            "inference_id": inference_id,
            "session_id": session_id,
        }
        params = self._target.params(payload.body, options, members)
        limit = self._stream_timeout if timeout is None else timeout
        started = time.monotonic()
        with call_span("InvokeEndpointWithResponseStream", self.endpoint_name) as span:
            answer, attempts = self._retrier.call(
                # The limit is for each part; the deadline is for beginning.
                lambda _: self._invoker.stream(
                    params, timeout=limit, limit=self._max_response_bytes
                ),
                timeout=limit,
            )
            span.answered(answer, attempts)
            answer = span.follow(answer)
        return ResponseStream(answer, started=started)

    def submit(
        self,
        data: Any,  # noqa: ANN401 - any data
        *,
        codec: Codec | str | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        custom_attributes: str | None = None,
        inference_id: str | None = None,
        s3_prefix: str | None = None,
        upload_args: Mapping[str, Any] | None = None,
        members: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> AsyncJob:
        """Has an asynchronous inference endpoint take data, and gives the job to wait for.

        Args:
            data: As for ``predict``; or a text ``s3://bucket/key``, where the input is already.
            codec: Instead of the predictor's.
            content_type: Instead of the codec's.
            accept: The content type that is wanted.
            custom_attributes: As for ``invoke``.
            inference_id: As for ``invoke``.
            s3_prefix: ``s3://bucket/prefix/`` for an input of more than 128,000 bytes, instead of
                the predictor's.
            upload_args: For that upload, as boto3's ``ExtraArgs``.
            members: Any further members of InvokeEndpointAsync, such as ``RequestTTLSeconds``
                and ``InvocationTimeoutSeconds``.
            timeout: Seconds to wait for the call to be taken; 70 by default.

        Raises:
            Exception: As ``submitting.submit_data``.
        """
        from sm_private_client.inference.submit import submit_data  # noqa: PLC0415

        options = {
            "content_type": content_type,
            "accept": accept,
            "custom_attributes": custom_attributes,
            "inference_id": inference_id,
        }
        limit = self._timeout if timeout is None else timeout

        def send(params: Mapping[str, Any]) -> OperationResult:
            with call_span("InvokeEndpointAsync", self.endpoint_name) as span:
                answer, attempts = self._retrier.call(
                    lambda left: self._invoker.invoke_async(
                        params, timeout=left, limit=self._max_response_bytes
                    ),
                    timeout=limit,
                )
                span.answered(answer, attempts)
            return answer

        return submit_data(
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

    def map(
        self,
        items: Iterable[Any],
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
    ) -> Predictions:
        """Predicts for many inputs, many at once, in bounded memory.

        Answers are decoded by their content type and the codec; an input's type is not copied.

        Args:
            items: Any iterable, also one without an end; it is pulled as results are asked for.
            concurrency: Calls at once, or ``"auto"``: from 4 up to 64, as many as the inference
                endpoint bears.
            ordered: Results in the order of the items, else as they come.
            on_error: ``"raise"`` stops and raises the first error in order; ``"return"`` gives
                the error in place of the result.
            journal: A file that keeps results, so that a run that was killed goes on where it
                was. It holds the answers; mode 0600.
            progress: Whether to show progress; on a terminal or in a notebook by default.
            batch_size: Items a call.
            combine: How items become one payload and its answer theirs; lists of rows by default.
            codec: Instead of the predictor's.
            **options: Those of ``invoke``, for every call.

        Raises:
            ConfigurationError: An argument cannot be used, or the journal is another run's.
            Exception: As ``predict``, for the item that failed.
        """
        from sm_private_client.inference.mapping.predictions import predictions  # noqa: PLC0415

        chosen = codec or self._codec

        def answer(
            body: bytes, content_type: str, accept: str, observe: Callable[[BaseException], None]
        ) -> tuple[bytes, str | None]:
            made = self._invoke(
                body, observe, **{"content_type": content_type, "accept": accept, **options}
            )
            return made.body, made.content_type

        return predictions(
            answer,
            items,
            codec=chosen,
            journal=journal,
            run=self._target.run(chosen),
            batch_size=batch_size,
            concurrency=concurrency,
            ordered=ordered,
            on_error=on_error,
            progress=progress,
            combine=combine,
            name=self.endpoint_name,
        )


def _retries_itself(client: Any) -> bool:  # noqa: ANN401
    retries = client.meta.config.retries or {}
    return int(retries.get("total_max_attempts", 2)) > 1
