"""What a hosted model really received: how often, in which call, and a digest of what."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sm_private_client.testing.records import Log

__all__ = ["ModelCall", "ModelRecord"]


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
