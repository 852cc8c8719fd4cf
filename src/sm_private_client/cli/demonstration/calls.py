"""The calls of the demonstration: every held-out row through ``invoke_endpoint``, by threads."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.cli.demonstration.events import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.cli.demonstration.training import TrainedModel

__all__ = ["CALL_THREADS", "Calls", "ask"]

CALL_THREADS: Final = 4


def ask(runtime: Any, endpoint_name: str, row: bytes) -> int:  # noqa: ANN401 - boto3's
    """Asks a hosted model for the label of one row."""
    answer = runtime.invoke_endpoint(EndpointName=endpoint_name, Body=row, ContentType="text/csv")
    return int(answer["Body"].read())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    label: int
    seconds: float


class Calls:
    """One run over the held-out rows.

    Args:
        runtime: The ``sagemaker-runtime`` client; the threads share it.
        endpoint_name: The inference endpoint.
        model: Whose rows are sent, and whose own predictions the answers are compared with.
    """

    def __init__(self, runtime: Any, endpoint_name: str, model: TrainedModel) -> None:  # noqa: ANN401 - boto3's
        self._runtime = runtime
        self._endpoint_name = endpoint_name
        self._model = model
        self._answers: dict[int, _Answer] = {}
        self._seconds = 0.0

    def make(self) -> Iterator[Progress]:
        """Makes all calls; one that fails ends it with its error."""
        total = len(self._model.rows)
        started = time.monotonic()
        with ThreadPoolExecutor(CALL_THREADS, thread_name_prefix="demo-call") as pool:
            calls = {pool.submit(self._one, index): index for index in range(total)}
            try:
                for done, call in enumerate(as_completed(calls), 1):
                    self._answers[calls[call]] = call.result()
                    yield Progress(done=done, total=total)
            finally:
                for call in calls:
                    call.cancel()
        self._seconds = time.monotonic() - started

    @property
    def labels(self) -> tuple[int, ...]:
        """The answers, in the order of the rows."""
        return tuple(self._answers[index].label for index in range(len(self._model.rows)))

    @property
    def right(self) -> int:
        """How many answers are what the model says without a network."""
        return sum(a == b for a, b in zip(self.labels, self._model.predictions, strict=True))

    @property
    def per_second(self) -> float:
        """Calls per second, all threads together."""
        return len(self._answers) / self._seconds

    @property
    def slowest(self) -> float:
        """Seconds of the slowest call."""
        return max(answer.seconds for answer in self._answers.values())

    @property
    def median(self) -> float:
        """Seconds of the call in the middle."""
        return statistics.median(answer.seconds for answer in self._answers.values())

    def _one(self, index: int) -> _Answer:
        started = time.monotonic()
        label = ask(self._runtime, self._endpoint_name, self._model.rows[index])
        return _Answer(label=label, seconds=time.monotonic() - started)
