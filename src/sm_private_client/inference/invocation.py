"""What every call of a predictor has in common: its target, its options, its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.inference.codecs import Codec, Payload
    from sm_private_client.inference.invokers import OperationResult
    from sm_private_client.inference.retry_policy import RetryPolicy

__all__ = [
    "INVOKE_TIMEOUT",
    "MAX_RESPONSE_BYTES",
    "STREAM_TIMEOUT",
    "Invocation",
    "PredictorOptions",
    "Target",
    "invocation_of",
    "typed",
]

INVOKE_TIMEOUT: Final = 70.0
"""Seconds; SageMaker gives a model 60, and AWS says to wait 70 (InvokeEndpoint)."""

STREAM_TIMEOUT: Final = 600.0
"""Seconds; a response stream may last 8 minutes (InvokeEndpointWithResponseStream)."""

MAX_RESPONSE_BYTES: Final = 256 * 1024 * 1024
"""Bytes of an answer that are taken at the most: ten times what SageMaker lets a model answer
(25 MB, developer guide, endpoint quotas), so that only what is broken is refused."""

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
"""The options of ``invoke`` and botocore's names of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """What one call gave.

    Attributes:
        body: The answer's payload.
        content_type: Of the payload.
        invoked_production_variant: The variant that answered.
        custom_attributes: What the model says besides.
        new_session_id: Of a stateful session that was opened: ``id; Expires=…Z``.
        closed_session_id: Of one that was closed.
        request_id: The service's id of the request.
        attempts: How many were made.
        seconds: From the first attempt's start to the answer's end.
        availability_zone: The zone that answered, ``None`` where not known.
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
    """The keywords that ``session.predictor`` and ``session.async_predictor`` share.

    They are those of ``Predictor``.
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


class Target(NamedTuple):
    """What a predictor calls, by botocore's own member names.

    Attributes:
        members: ``EndpointName`` and what narrows it down; what is ``None`` is not sent.
    """

    members: Mapping[str, str | None]

    @classmethod
    def of(
        cls,
        endpoint_name: str,
        *,
        inference_component: str | None,
        target_variant: str | None,
        target_model: str | None,
        target_container: str | None,
    ) -> Target:
        """Makes one from the arguments of a predictor."""
        return cls(
            members={
                "EndpointName": endpoint_name,
                "InferenceComponentName": inference_component,
                "TargetVariant": target_variant,
                "TargetModel": target_model,
                "TargetContainerHostname": target_container,
            }
        )

    def params(
        self, body: object, options: Mapping[str, Any], members: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Gives an operation's members; a call's own come before the predictor's.

        Args:
            body: The payload; ``None``: it is added later.
            options: By the names of ``invoke``; ``None`` counts as not given.
            members: Further members by botocore's names.

        Raises:
            TypeError: There is no such option.
        """
        unknown = options.keys() - MEMBERS.keys()
        if unknown:
            raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
        params = {MEMBERS[name]: value for name, value in options.items() if value is not None}
        if body is not None:
            params["Body"] = body
        for name, value in self.members.items():
            if value is not None:
                params.setdefault(name, value)
        if members:
            params.update(members)
        return params

    def run(self, codec: object) -> dict[str, str]:
        """Tells, for a journal, what a run over many items is."""
        named = {name: value for name, value in self.members.items() if value is not None}
        return {**named, "codec": codec if isinstance(codec, str) else type(codec).__name__}


def typed(payload: Payload, options: Mapping[str, Any]) -> dict[str, Any]:
    """Gives options with the payload's content type and accept, where these are not given."""
    given = {name: value for name, value in options.items() if value is not None}
    return {"content_type": payload.content_type, "accept": payload.accept, **given}


def invocation_of(answer: OperationResult, attempts: int, seconds: float) -> Invocation:
    """Makes the record of one call."""
    members = answer.members
    return Invocation(
        body=members["Body"],
        content_type=members.get("ContentType"),
        invoked_production_variant=members.get("InvokedProductionVariant"),
        custom_attributes=members.get("CustomAttributes"),
        new_session_id=members.get("NewSessionId"),
        closed_session_id=members.get("ClosedSessionId"),
        request_id=answer.request_id,
        attempts=attempts,
        seconds=seconds,
        availability_zone=answer.availability_zone,
        members=members,
    )
