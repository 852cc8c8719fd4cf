"""Hosted models: a Python callable, or any server that speaks SageMaker's container contract."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import urllib3

from sm_private_client.errors import ConfigurationError
from sm_private_client.testing.records import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.testing.control_plane import ControlPlane

__all__ = [
    "HostedModel",
    "HostedModels",
    "Model",
    "ModelAnswer",
    "ModelCall",
    "ModelFailure",
    "ModelRecord",
    "failure_of",
]

PING_TIMEOUT: Final = 2.0
MODEL_TIMEOUT: Final = 60.0
"""Seconds; SageMaker developer guide, "How containers serve requests"."""

ModelResult = bytes | str | tuple[bytes | str, str] | Iterable[bytes]
Model = Callable[[bytes, str], ModelResult]
"""``(body, content_type)`` to the answer: bytes or text; or these and their content type; or an
iterable of bytes, whose items are the parts of a response stream. What it raises becomes a
``ModelError``; ``ModelFailure`` chooses its status."""


class ModelFailure(Exception):  # noqa: N818 - what a container answers, not an error of ours
    """Raised by a model to answer as a container does with an error.

    Args:
        status: The container's HTTP status, 400 to 599.
        message: The container's body.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCall:
    """One call that reached a model, whatever became of its answer.

    Attributes:
        operation: The operation that led to it, such as ``InvokeEndpoint``.
        inference_id: The caller's inference id, or the one that was made up for a job;
            ``None``: there was none.
        content_type: The body's content type; empty if none came.
        size: Bytes of the body.
        digest: SHA-256 of the body, in hexadecimal.
    """

    operation: str
    inference_id: str | None
    content_type: str
    size: int
    digest: str


class ModelRecord:
    """What the models behind one inference endpoint received, the oldest first.

    Attributes:
        endpoint_name: The inference endpoint.
        calls: One record a call; ``calls.clear()`` starts anew.
    """

    def __init__(self, endpoint_name: str) -> None:
        self.endpoint_name = endpoint_name
        self.calls: Log[ModelCall] = Log()

    @property
    def inference_ids(self) -> tuple[str | None, ...]:
        """The inference ids of the calls."""
        return tuple(call.inference_id for call in self.calls)

    def times(self, body: bytes) -> int:
        """Return how often the model got exactly this body."""
        digest = _digest(body)
        return sum(call.digest == digest for call in self.calls)

    def __repr__(self) -> str:
        return f"<ModelRecord {self.endpoint_name}: {len(self.calls)} calls>"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAnswer:
    """What a model answered.

    Attributes:
        parts: The body; of several parts if the model gave them one by one.
        content_type: Its content type.
        custom_attributes: ``X-Amzn-SageMaker-Custom-Attributes`` of the answer.
    """

    parts: Iterable[bytes]
    content_type: str
    custom_attributes: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HostedModel:
    """One model behind an inference endpoint.

    Attributes:
        model: The callable, or the container's URL.
        variant: The production variant that answers.
        s3_output_path: Where asynchronous answers go; ``None``: it takes no asynchronous calls.
        s3_failure_path: Where asynchronous failures go; ``None``: where the answers go.
        record: What it received.
    """

    endpoint_name: str
    model: Model | str
    variant: str
    s3_output_path: str | None
    s3_failure_path: str | None
    record: ModelRecord


class HostedModels:
    """The models that are hosted, by inference endpoint."""

    def __init__(self, *, control: ControlPlane) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._hosted: dict[str, HostedModel] = {}
        self._records: dict[str, ModelRecord] = {}
        self._pool = urllib3.PoolManager(maxsize=32, retries=False)

    def deploy(
        self,
        endpoint_name: str,
        model: Model | str,
        *,
        variant: str,
        s3_output_path: str | None,
        s3_failure_path: str | None,
    ) -> None:
        """Host a model; see ``LocalPrivateLink.deploy``."""
        paths = (("S3OutputPath", s3_output_path), ("S3FailurePath", s3_failure_path))
        output = {name: path for name, path in paths if path is not None}
        for path in output.values():
            match = re.match("s3://([^/]+)", path)
            if match is None:
                raise ConfigurationError(
                    f"{path!r} is not a place in S3.", remedy="give s3://bucket/prefix."
                )
            self._control.ensure_bucket(match[1])
        if isinstance(model, str):
            model = model.rstrip("/")
            self._ping(model)
        hosted = HostedModel(
            endpoint_name=endpoint_name,
            model=model,
            variant=variant,
            s3_output_path=s3_output_path,
            s3_failure_path=s3_failure_path,
            record=self.record(endpoint_name),
        )
        with self._lock:
            self._hosted[endpoint_name] = hosted
        control = self._control
        if control.endpoint_status(endpoint_name) is not None:
            return
        control.call_sagemaker(
            "CreateModel",
            ModelName=endpoint_name,
            ExecutionRoleArn=control.role_arn("private-link"),
            PrimaryContainer={"Image": "simulated"},
        )
        production_variant = {
            "VariantName": variant,
            "ModelName": endpoint_name,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": 1.0,
        }
        is_async = s3_output_path is not None
        control.call_sagemaker(
            "CreateEndpointConfig",
            EndpointConfigName=endpoint_name,
            ProductionVariants=[production_variant],
            **({"AsyncInferenceConfig": {"OutputConfig": output}} if is_async else {}),
        )
        control.call_sagemaker(
            "CreateEndpoint", EndpointName=endpoint_name, EndpointConfigName=endpoint_name
        )

    def get(self, endpoint_name: str) -> HostedModel | None:
        """Return what is hosted behind an inference endpoint."""
        with self._lock:
            return self._hosted.get(endpoint_name)

    def record(self, endpoint_name: str) -> ModelRecord:
        """Return the record of an inference endpoint, which outlives the models behind it."""
        with self._lock:
            return self._records.setdefault(endpoint_name, ModelRecord(endpoint_name))

    def close(self) -> None:
        """Close connections to containers."""
        self._pool.clear()

    def invoke(
        self,
        hosted: HostedModel,
        body: bytes,
        *,
        content_type: str,
        headers: Mapping[str, str],
        operation: str,
        inference_id: str | None,
        failure: ModelFailure | None,
    ) -> ModelAnswer:
        """Call a model, and keep a record of the call.

        Args:
            hosted: The model.
            body: The payload.
            content_type: Its content type.
            headers: ``Accept`` and ``X-Amzn-SageMaker-Custom-Attributes``, if the caller gave them.
            operation: The operation that led to it.
            inference_id: The call's id.
            failure: What it fails with on purpose, in place of running.

        Raises:
            ModelFailure: The model raised, or the container answered 400 or more.
        """
        hosted.record.calls.append(
            ModelCall(
                operation=operation,
                inference_id=inference_id,
                content_type=content_type,
                size=len(body),
                digest=_digest(body),
            )
        )
        if failure is not None:
            raise failure
        if isinstance(hosted.model, str):
            return self._call_container(hosted.model, body, content_type, headers)
        accept = headers.get("Accept", "*/*")
        answer_type = accept if "*" not in accept and "," not in accept else content_type
        try:
            result = hosted.model(body, content_type)
        except Exception as error:
            raise failure_of(error) from error
        if isinstance(result, tuple):
            result, answer_type = result
        return ModelAnswer(
            parts=_parts(result),
            content_type=answer_type or "application/octet-stream",
            custom_attributes=headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        )

    def _ping(self, url: str) -> None:
        try:
            answer = self._pool.request("GET", f"{url}/ping", timeout=PING_TIMEOUT)
            cause = f"it answered {answer.status}."
            if answer.status == HTTPStatus.OK:
                return
        except urllib3.exceptions.HTTPError as error:
            cause = f"{type(error).__name__}."
        raise ConfigurationError(
            f"The model server at {url} does not answer GET /ping with 200.",
            cause=cause,
            remedy="start the server before deploy(), and give the URL that /ping and "
            "/invocations are below.",
        )

    def _call_container(
        self, url: str, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> ModelAnswer:
        headers = {**headers, **({"Content-Type": content_type} if content_type else {})}
        try:
            answer = self._pool.request(
                "POST", f"{url}/invocations", body=body, headers=headers, timeout=MODEL_TIMEOUT
            )
        except urllib3.exceptions.HTTPError as error:
            message = f"no answer from the container: {type(error).__name__}"
            raise ModelFailure(500, message) from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ModelFailure(answer.status, answer.data.decode("utf-8", "replace"))
        return ModelAnswer(
            parts=(answer.data,),
            content_type=answer.headers.get("Content-Type", "application/octet-stream"),
            custom_attributes=answer.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        )


def failure_of(error: Exception) -> ModelFailure:
    """Return what a container would answer to what a user's model raised: 500."""
    if isinstance(error, ModelFailure):
        return error
    return ModelFailure(500, f"{type(error).__name__}: {error}")


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _parts(result: bytes | str | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(result, str):
        return (result.encode(),)
    if isinstance(result, (bytes, bytearray, memoryview)):
        return (bytes(result),)
    return result if isinstance(result, Iterator) else tuple(result)
