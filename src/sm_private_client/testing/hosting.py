"""Hosted models: a Python callable, or any server that speaks SageMaker's container contract."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import urllib3

from sm_private_client.errors import ConfigurationError
from sm_private_client.testing.records import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Hosted",
    "HostedModels",
    "Model",
    "ModelAnswer",
    "ModelCall",
    "ModelFailure",
    "ModelRecord",
    "failure_of",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCall:
    """One call that reached a model, whatever became of its answer.

    Attributes:
        operation: The operation that led to it, such as ``InvokeEndpoint``.
        inference_id: The caller's inference id, or the one that was made up for a job;
            ``None``: there was none.
        content_type: The body's content type; empty where none came.
        size: Bytes of the body.
        digest: SHA-256 of the body, in hexadecimal.
    """

    operation: str
    inference_id: str | None
    content_type: str
    size: int
    digest: str


class ModelRecord:
    """What the model behind one inference endpoint received, the oldest first.

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
        """Says how often the model got exactly this body."""
        digest = digest_of(body)
        return sum(call.digest == digest for call in self.calls)

    def __repr__(self) -> str:
        return f"<ModelRecord {self.endpoint_name}: {len(self.calls)} calls>"


def digest_of(body: bytes) -> str:
    """Gives the SHA-256 of a body, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


PING_TIMEOUT: Final = 2.0
MODEL_TIMEOUT: Final = 60.0
"""Seconds; SageMaker developer guide, "How containers serve requests"."""

_OK = 200
_CLIENT_ERROR = 400

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
class ModelAnswer:
    """What a model answered.

    Attributes:
        parts: The body; of several parts where the model gave them one by one.
        content_type: Its content type.
        custom_attributes: ``X-Amzn-SageMaker-Custom-Attributes`` of the answer.
    """

    parts: Iterable[bytes]
    content_type: str
    custom_attributes: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hosted:
    """One model behind an inference endpoint.

    Attributes:
        endpoint_name: The inference endpoint.
        model: The callable; ``None`` where a container is called.
        url: The container's URL; ``None`` where a callable is.
        variant: The production variant that answers.
        s3_output_path: Where asynchronous answers go; ``None``: it takes no asynchronous calls.
        s3_failure_path: Where asynchronous failures go; ``None``: where the answers go.
        record: What it received.
    """

    endpoint_name: str
    model: Model | None
    url: str | None
    variant: str
    s3_output_path: str | None
    s3_failure_path: str | None
    record: ModelRecord


class HostedModels:
    """The models that are hosted, by region and inference endpoint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosted: dict[str, Hosted] = {}
        self._records: dict[str, ModelRecord] = {}
        self._pool = urllib3.PoolManager(maxsize=32, retries=False)

    def put(self, hosted: Hosted) -> None:
        """Hosts a model, in place of one of the same name.

        Raises:
            ConfigurationError: The container does not answer ``GET /ping`` with 200.
        """
        if hosted.url is not None:
            self._ping(hosted.url)
        with self._lock:
            self._hosted[hosted.endpoint_name] = hosted

    def get(self, endpoint_name: str) -> Hosted | None:
        """Finds what is hosted behind an inference endpoint."""
        with self._lock:
            return self._hosted.get(endpoint_name)

    def record(self, endpoint_name: str) -> ModelRecord:
        """Gives the record of an inference endpoint, which outlives the models behind it."""
        with self._lock:
            return self._records.setdefault(endpoint_name, ModelRecord(endpoint_name))

    def close(self) -> None:
        """Closes connections to containers."""
        self._pool.clear()

    def invoke(
        self,
        hosted: Hosted,
        body: bytes,
        *,
        content_type: str,
        headers: Mapping[str, str],
        operation: str,
        inference_id: str | None,
        failure: ModelFailure | None,
    ) -> ModelAnswer:
        """Calls a model, and keeps a record of the call.

        Args:
            hosted: Which.
            body: The payload.
            content_type: Its content type.
            headers: ``accept`` and ``custom-attributes``, where the caller gave them.
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
                digest=digest_of(body),
            )
        )
        if failure is not None:
            raise failure
        if hosted.url is not None:
            return self._call_container(hosted.url, body, content_type, headers)
        accept = headers.get("accept", "*/*")
        default = accept if "*" not in accept and "," not in accept else content_type
        try:
            result = hosted.model(body, content_type) if hosted.model else b""
        except Exception as error:
            raise failure_of(error) from error
        if isinstance(result, tuple):
            result, default = result
        return ModelAnswer(
            parts=_parts(result),
            content_type=default or "application/octet-stream",
            custom_attributes=headers.get("custom-attributes"),
        )

    def _ping(self, url: str) -> None:
        try:
            answer = self._pool.request("GET", f"{url}/ping", timeout=PING_TIMEOUT)
            seen = f"it answered {answer.status}."
            if answer.status == _OK:
                return
        except urllib3.exceptions.HTTPError as error:
            seen = f"{type(error).__name__}."
        raise ConfigurationError(
            f"The model server at {url} does not answer GET /ping with 200.",
            cause=seen,
            remedy="start the server before deploy(), and give the URL that /ping and "
            "/invocations are below.",
        )

    def _call_container(
        self, url: str, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> ModelAnswer:
        sent = {"Content-Type": content_type} if content_type else {}
        if "accept" in headers:
            sent["Accept"] = headers["accept"]
        if "custom-attributes" in headers:
            sent["X-Amzn-SageMaker-Custom-Attributes"] = headers["custom-attributes"]
        try:
            answer = self._pool.request(
                "POST", f"{url}/invocations", body=body, headers=sent, timeout=MODEL_TIMEOUT
            )
        except urllib3.exceptions.HTTPError as error:
            raise ModelFailure(500, f"no answer from the container: {type(error).__name__}") from (
                error
            )
        if answer.status >= _CLIENT_ERROR:
            raise ModelFailure(answer.status, answer.data.decode("utf-8", "replace"))
        return ModelAnswer(
            parts=(answer.data,),
            content_type=answer.headers.get("Content-Type", "application/octet-stream"),
            custom_attributes=answer.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        )


def failure_of(error: Exception) -> ModelFailure:
    """Gives what a container would have answered for what a user's model raises: 500."""
    if isinstance(error, ModelFailure):
        return error
    return ModelFailure(500, f"{type(error).__name__}: {error}")


def _parts(result: bytes | str | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(result, str):
        return (result.encode(),)
    if isinstance(result, (bytes, bytearray, memoryview)):
        return (bytes(result),)
    if isinstance(result, Iterator):
        return result
    return tuple(result)
