"""What all calls of a predictor share: options, defaults, the result of one call."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.retrier import Retrier
from sm_private_client.inference.s3 import S3Objects

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from sm_private_client.inference.codecs import Codec, Payload
    from sm_private_client.inference.invokers import AsyncInvoker, Invoker
    from sm_private_client.inference.jobs import AsyncJob
    from sm_private_client.inference.mapping.predictions import ItemCodec
    from sm_private_client.inference.mapping.window import Combine
    from sm_private_client.inference.operations import OperationResult
    from sm_private_client.inference.retry_policy import RetryPolicy, RetryQuota
    from sm_private_client.types import Value

__all__ = [
    "INVOKE_TIMEOUT",
    "MAX_RESPONSE_BYTES",
    "STREAM_TIMEOUT",
    "BasePredictor",
    "CallOptions",
    "Invocation",
    "InvokeOptions",
    "PredictorOptions",
    "StreamOptions",
    "invocation_of",
]

INVOKE_TIMEOUT: Final = 70.0
"""Seconds; SageMaker gives a model 60, and AWS says to wait 70 (InvokeEndpoint)."""

STREAM_TIMEOUT: Final = 600.0
"""Seconds; a response stream may last 8 minutes (InvokeEndpointWithResponseStream)."""

MAX_RESPONSE_BYTES: Final = 256 * 1024 * 1024
"""Bytes of one response. SageMaker lets a model answer 25 MB (developer guide, endpoint quotas);
ten times as much is refused."""

MEMBERS: Final = {
    "content_type": "ContentType",
    "accept": "Accept",
    "custom_attributes": "CustomAttributes",
    "inference_id": "InferenceId",
    "session_id": "SessionId",
    "prefix_aware_id": "PrefixAwareId",
    "explanations": "EnableExplanations",
    "inference_component": "InferenceComponentName",
    "target_variant": "TargetVariant",
    "target_model": "TargetModel",
    "target_container": "TargetContainerHostname",
}
"""botocore's names of the options of a call."""

_NOT_MEMBERS: Final = frozenset({"members", "timeout"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """The result of one call.

    Attributes:
        body: The payload of the answer.
        content_type: The content type of the payload.
        invoked_production_variant: The variant that answered.
        custom_attributes: What the model returned besides the payload.
        new_session_id: The stateful session that was opened: ``id; Expires=…Z``.
        closed_session_id: The stateful session that was closed.
        request_id: The service's id of the request.
        attempts: The number of attempts.
        seconds: From the start of the first attempt to the end of the answer.
        availability_zone: The zone that answered; ``None`` if not known.
        members: Every member of botocore's output by its own name, ``Body`` as bytes.
    """

    body: bytes = field(repr=False)
    content_type: str | None
    invoked_production_variant: str | None
    custom_attributes: str | None = field(repr=False)
    new_session_id: str | None
    closed_session_id: str | None
    request_id: str | None
    attempts: int
    seconds: float
    availability_zone: str | None
    members: Mapping[str, Any] = field(repr=False)


class PredictorOptions(TypedDict, total=False):
    """Options of ``Predictor``, ``session.predictor`` and ``session.async_predictor``.

    Attributes:
        codec: How values are encoded and decoded: a codec, its name or a content type. By
            default the type of the data and of the answer decides.
        inference_component: The inference component to call.
        target_variant: The production variant to call.
        target_model: The model of a multi-model endpoint.
        target_container: The container of a multi-container endpoint.
        retry: When and how often to try again; ``RetryPolicy()`` by default.
        timeout: Seconds of silence in ``invoke``, ``predict``, ``submit`` and ``map``; 70 by
            default.
        stream_timeout: Seconds of silence in ``stream``; 600 by default.
        max_response_bytes: A larger answer is refused; 256 MiB by default, ``None`` for no
            limit. The payload parts of a stream do not count.
        s3_prefix: ``s3://bucket/prefix/`` where ``submit`` puts large inputs.
    """

    codec: Codec | str | None
    inference_component: str | None
    target_variant: str | None
    target_model: str | None
    target_container: str | None
    retry: RetryPolicy | None
    timeout: float | None
    stream_timeout: float | None
    max_response_bytes: int | None
    s3_prefix: str | None


class CallOptions(TypedDict, total=False):
    """Options of every call; ``None`` counts as not given.

    Attributes:
        content_type: The content type of the payload.
        accept: The content type to ask for.
        custom_attributes: At most 1,024 ASCII characters for the model.
        inference_id: At most 64 characters, for data capture.
        members: Further members of the operation, by botocore's names.
        timeout: Seconds of silence, instead of the predictor's.
    """

    content_type: str | None
    accept: str | None
    custom_attributes: str | None
    inference_id: str | None
    members: Mapping[str, Any] | None
    timeout: float | None


class StreamOptions(CallOptions, total=False):
    """Options of ``stream``.

    Attributes:
        session_id: An open stateful session; ``invoke`` also takes ``NEW_SESSION``.
    """

    session_id: str | None


class InvokeOptions(StreamOptions, total=False):
    """Options of ``invoke``, ``predict`` and ``map``.

    Attributes:
        prefix_aware_id: At most 64 characters, for prefix-aware routing.
        explanations: An expression for ``EnableExplanations``.
        inference_component: Instead of the predictor's.
        target_variant: Instead of the predictor's.
        target_model: Instead of the predictor's.
        target_container: Instead of the predictor's.
    """

    prefix_aware_id: str | None
    explanations: str | None
    inference_component: str | None
    target_variant: str | None
    target_model: str | None
    target_container: str | None


class BasePredictor:
    """Settings of a predictor, synchronous or not, and what follows from them.

    Args:
        endpoint_name: The name of the inference endpoint.
        quota: The retry quota that the predictors of a session share.
        s3: How ``submit`` reaches S3; boto3's default session by default.
        recipe: Makes the same predictor in another process; ``None`` if that is not possible.
        **options: See ``PredictorOptions``.
    """

    _invoker: Invoker | AsyncInvoker

    def __init__(
        self,
        endpoint_name: str,
        *,
        quota: RetryQuota | None,
        s3: S3Objects | None,
        recipe: tuple[Callable[..., BasePredictor], tuple[Any, ...]] | None,
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
    ) -> None:
        self.endpoint_name = endpoint_name
        target = {
            "EndpointName": endpoint_name,
            "InferenceComponentName": inference_component,
            "TargetVariant": target_variant,
            "TargetModel": target_model,
            "TargetContainerHostname": target_container,
        }
        self._target = {name: value for name, value in target.items() if value is not None}
        self._codec = codec
        self._retrier = Retrier(retry, quota)
        self._timeout = timeout
        self._stream_timeout = stream_timeout
        self._max_response_bytes = max_response_bytes
        self._s3_prefix = s3_prefix
        self._s3 = s3 or S3Objects.of_session()
        self._recipe = recipe

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint_name!r}, transport={self._invoker!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._recipe is None:
            raise ConfigurationError(
                f"{self!r} cannot be pickled.",
                cause="it was made with client=, and clients stay in their process.",
                remedy="make it with session.predictor(name).",
            )
        return self._recipe

    def _params(
        self, options: InvokeOptions | CallOptions, body: object = None, **defaults: str
    ) -> dict[str, Any]:
        """Return the members of an operation.

        Args:
            options: The options of the call, which come before the predictor's.
            body: The payload; ``None`` if it is added later.
            **defaults: Members that hold unless ``options`` has them.

        Raises:
            TypeError: There is no such option.
        """
        params: dict[str, Any] = {**self._target, **defaults}
        for name, value in options.items():
            if name in _NOT_MEMBERS:
                continue
            if name not in MEMBERS:
                raise TypeError(f"unexpected keyword argument {name!r}")
            if value is not None:
                params[MEMBERS[name]] = value
        if body is not None:
            params["Body"] = body
        members = options.get("members")
        if members:
            params.update(members)
        return params

    def _payload_params(self, payload: Payload, options: InvokeOptions) -> dict[str, Any]:
        return self._params(
            options, payload.body, ContentType=payload.content_type, Accept=payload.accept
        )

    def _submit(
        self,
        send: Callable[[Mapping[str, Any]], OperationResult],
        data: Value,
        *,
        codec: Codec | str | None,
        s3_prefix: str | None,
        upload_args: Mapping[str, Any] | None,
        options: CallOptions,
    ) -> AsyncJob:
        # Here, as below: a process that only sends bytes does not load codecs and jobs.
        from sm_private_client.inference.codecs import decode, encode  # noqa: PLC0415 - see above
        from sm_private_client.inference.submit import submit  # noqa: PLC0415 - see above

        codec = codec or self._codec
        source: dict[str, Any]
        if isinstance(data, str) and data.startswith("s3://"):
            params, source = self._params(options), {"input_location": data}
        else:
            payload = encode(data, codec)
            params = self._params(options, ContentType=payload.content_type, Accept=payload.accept)
            source = {"body": payload.body}
        return submit(
            send,
            params,
            operation=self._invoker.async_operation,
            s3=self._s3,
            s3_prefix=s3_prefix or self._s3_prefix,
            extra_args=upload_args,
            decode=functools.partial(decode, codec=codec),
            **source,
        )

    def _item_codec(
        self,
        options: InvokeOptions,
        codec: Codec | str | None,
        *,
        journal: str | os.PathLike[str] | None,
        batch_size: int,
        combine: Combine | tuple[Any, Any] | None,
    ) -> ItemCodec:
        from sm_private_client.inference.mapping.predictions import ItemCodec  # noqa: PLC0415 - as above

        self._params(options)  # an option that does not exist is not each item's error
        codec = codec or self._codec
        name = codec if isinstance(codec, str) else type(codec).__name__
        return ItemCodec(
            codec,
            journal=journal,
            run={**self._target, "codec": name, "batch_size": str(batch_size)},
            is_single=batch_size == 1 and combine is None,
        )


def invocation_of(result: OperationResult, attempts: int, seconds: float) -> Invocation:
    """Return the record of one call."""
    members = result.members
    return Invocation(
        body=members["Body"],
        content_type=members.get("ContentType"),
        invoked_production_variant=members.get("InvokedProductionVariant"),
        custom_attributes=members.get("CustomAttributes"),
        new_session_id=members.get("NewSessionId"),
        closed_session_id=members.get("ClosedSessionId"),
        request_id=result.request_id,
        attempts=attempts,
        seconds=seconds,
        availability_zone=result.availability_zone,
        members=members,
    )
