"""The bookkeeping of ``map``: items read and not yet returned, and the calls under way.

No clock, no I/O, no waiting: threads and asyncio share it. It is not safe between threads; whoever
shares it holds a lock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.inference.mapping.concurrency_limit import is_overload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.inference.mapping.concurrency_limit import Limit
    from sm_private_client.types import Value

__all__ = [
    "CALLS_AHEAD",
    "ROWS",
    "Batch",
    "Combine",
    "Item",
    "OnError",
    "OnFailure",
    "Window",
    "combine_from",
]

T = TypeVar("T")
R = TypeVar("R")

OnError = Literal["raise", "return"]
OnFailure: TypeAlias = "Callable[[BaseException], object]"

CALLS_AHEAD: Final = 4
"""Items between source and consumer, in multiples of the calls at once and the batch size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Combine:
    """How items become one payload, and its answer their answers.

    A model that takes ``{"instances": […]}`` and returns ``{"predictions": […]}`` needs::

        Combine(
            join=lambda items: {"instances": items},
            split=lambda answer, count: answer["predictions"],
        )

    Attributes:
        join: From the items of a batch, in order, to the input of one call.
        split: From the result of the call, and the number of items, to one answer per item.
    """

    join: Callable[[list[Any]], Any]
    split: Callable[[Any, int], Sequence[Any]]


def _split_rows(answer: object, count: int) -> Sequence[Any]:
    if isinstance(answer, (list, tuple)):
        return answer
    # numpy's arrays and pandas' columns; a table's own iterator would return its column names
    if hasattr(answer, "tolist") and getattr(answer, "ndim", 0) > 0:
        return list(answer)  # type: ignore[call-overload,no-any-return] # only known by its look
    raise PayloadError(
        f"The answer to a batch of {count} items is a {type(answer).__name__}, not a list.",
        cause="rows are answered by a list with one element for each.",
        remedy="pass combine=(join, split) that fit the model, or batch_size=1.",
    )


ROWS: Final = Combine(join=list, split=_split_rows)
"""A list of the items in, a list of the same length out."""


def combine_from(combine: Combine | tuple[Any, Any] | None, *, batch_size: int) -> Combine | None:
    """Return what joins and splits; ``None`` if each call has one item as it is.

    Args:
        combine: A ``Combine``, a pair ``(join, split)``, or ``None`` for rows.
        batch_size: Items per call.

    Raises:
        ConfigurationError: An argument is something else.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigurationError(
            f"batch_size={batch_size!r} cannot be used.",
            cause="it is not a whole number from 1 up.",
            remedy="pass the number of items that one call is to carry.",
        )
    if combine is None:
        return None if batch_size == 1 else ROWS
    if isinstance(combine, Combine):
        return combine
    if isinstance(combine, tuple) and [callable(part) for part in combine] == [True, True]:
        return Combine(join=combine[0], split=combine[1])
    raise ConfigurationError(
        f"combine= cannot be a {type(combine).__name__}.",
        cause="it is neither a Combine nor a pair of callables.",
        remedy="pass Combine(join=…, split=…), or (join, split).",
    )


class Item(Generic[T, R]):
    """One item on its way, and its outcome.

    Attributes:
        index: Its position among the items, from 0.
        value: The item; released once there is an outcome.
        fingerprint: Its fingerprint, if there is a journal.
        outcome: The result, or the error.
        is_known: There is an outcome.
        is_done: The outcome may be returned: it is written down, if there is a journal.
        is_error: The outcome is an error.
        is_fatal: The outcome ends the run, even with ``on_error="return"``.
    """

    __slots__ = (
        "fingerprint",
        "index",
        "is_done",
        "is_error",
        "is_fatal",
        "is_known",
        "outcome",
        "value",
    )

    def __init__(self, index: int, value: T) -> None:
        self.index = index
        self.value: T | None = value
        self.fingerprint = b""
        self.outcome: R | BaseException | None = None
        self.is_known = self.is_done = self.is_error = self.is_fatal = False

    def succeed(self, result: R) -> None:
        """Set the result."""
        self.outcome = result
        self.value = None
        self.is_known = True

    def fail(self, error: BaseException, *, fatal: bool = False) -> None:
        """Set the error; one that is no ``Exception`` is fatal."""
        self.outcome = error
        self.value = None
        self.is_known = self.is_error = True
        self.is_fatal = fatal or not isinstance(error, Exception)


class Batch(Generic[T, R]):
    """The items of one call.

    Attributes:
        items: In order.
        failed_attempts: The attempts of this call that failed so far.
        started: When it began, by the limit's clock.
    """

    __slots__ = ("failed_attempts", "items", "started")

    def __init__(self) -> None:
        self.items: list[Item[T, R]] = []
        self.failed_attempts = 0
        self.started = 0.0

    def join(self, combine: Combine | None) -> Value:
        """Return the input of the call: the items joined, or the one item as it is."""
        values = [item.value for item in self.items]
        return values[0] if combine is None else combine.join(values)

    def split(self, combine: Combine | None, answer: Value) -> None:
        """Set the result of each item.

        Raises:
            PayloadError: There are not as many results as items; no item has one.
        """
        results = [answer] if combine is None else combine.split(answer, len(self.items))
        if len(results) != len(self.items):
            raise PayloadError(
                f"A batch of {len(self.items)} items was answered by {len(results)} rows.",
                possible_causes=(
                    "the model drops or adds rows",
                    "it takes the batch for one input",
                    "split does not fit its answers",
                ),
                remedy="pass combine=(join, split) that fit the model, or batch_size=1.",
            )
        for item, result in zip(self.items, results, strict=True):
            item.succeed(result)

    def fail(self, error: BaseException) -> None:
        """Set the error of each item."""
        for item in self.items:
            item.fail(error)


class Window(Generic[T, R]):
    """Items in, calls out; outcomes in, results out.

    It is full with ``CALLS_AHEAD`` times the limit times the batch size items. Finished ones that
    wait for an earlier one count too: one slow item stops reading, and memory stays bounded.

    Once an item failed and errors are raised, nothing more is started. The results of the calls
    under way are still returned (in order, those before the failed item). Then the error of the
    lowest index is raised.

    Attributes:
        limit: How many calls may be under way.
        running: How many calls are under way.
        is_failing: An error is to be raised.

    Args:
        limit: See above; it learns how calls went.
        ordered: Return results in the order of the items, else as they come.
        on_error: ``raise`` ends the run at an error, ``return`` puts it in place of a result.
        batch_size: Items per call.

    Raises:
        ConfigurationError: ``on_error`` is neither.
    """

    def __init__(self, limit: Limit, *, ordered: bool, on_error: OnError, batch_size: int) -> None:
        if on_error not in ("raise", "return"):
            raise ConfigurationError(
                f"on_error={on_error!r} cannot be used.",
                cause="it is neither 'raise' nor 'return'.",
                remedy="pass on_error='raise' or on_error='return'.",
            )
        self.limit = limit
        self.running = 0
        self.is_failing = False
        self._ordered = ordered
        self._raises = on_error == "raise"
        self._batch_size = batch_size
        self._filling: Batch[T, R] = Batch()
        self._waiting: deque[Batch[T, R]] = deque()
        self._queue: deque[Item[T, R]] = deque()  # if ordered all items, else the done ones
        self._first_error: Item[T, R] | None = None
        self._held = 0

    @property
    def is_full(self) -> bool:
        """No more items are to be added for now."""
        return self._held >= CALLS_AHEAD * self.limit.limit * self._batch_size

    @property
    def is_empty(self) -> bool:
        """Every item that was added has been returned."""
        return self._held == 0

    @property
    def startable(self) -> int:
        """The number of calls that could begin now."""
        return max(0, min(len(self._waiting), self.limit.limit - self.running))

    @property
    def is_ready(self) -> bool:
        """``pop`` has something."""
        if self._queue and self._queue[0].is_done:
            return True
        return self.is_failing and self.running == 0

    def add(self, item: Item[T, R]) -> None:
        """Add an item, to be called, or done already."""
        self._held += 1
        if self._ordered:
            self._queue.append(item)
        if item.is_known:
            self._settle_item(item)
            return
        self._filling.items.append(item)
        if len(self._filling.items) >= self._batch_size:
            self._close_batch()

    def flush(self, *, is_last: bool) -> None:
        """Close a batch that is not full: the last one, or one that everything waits for.

        The latter happens if answers of a journal fill the window around it.
        """
        if self._filling.items and (is_last or not (self._waiting or self.running)):
            self._close_batch()

    def start(self) -> Batch[T, R] | None:
        """Return the next call to make; ``None`` if none may begin."""
        if not self.startable:
            return None
        self.running += 1
        batch = self._waiting.popleft()
        batch.started = self.limit.started()
        return batch

    def observe(self, batch: Batch[T, R], error: BaseException) -> None:
        """Count a failed attempt of a call; the limit shrinks if it was too much at once."""
        batch.failed_attempts += 1
        if is_overload(error):
            self.limit.overloaded()

    def settle(self, batch: Batch[T, R]) -> None:
        """End a call: count it for the limit, and make its items ready to return."""
        if not batch.failed_attempts:
            self.limit.answered(batch.started, in_flight=self.running)
        self.running -= 1
        for item in batch.items:
            self._settle_item(item)
        batch.items = []  # its call may still be known to the traceback of an error

    def pop(self) -> R:
        """Return the next result; only if ``is_ready``.

        Raises:
            BaseException: The error that ends the run.
        """
        is_next = self._queue and self._queue[0].is_done
        item = self._queue.popleft() if is_next else self._first_error
        if item is None:
            raise LookupError("no result is ready")
        outcome: Any = item.outcome
        if item.is_error and self._ends(item):
            raise outcome
        self._held -= 1
        item.outcome = None  # an error's traceback may lead here: let no circle stay
        result: R = outcome  # or an error that is returned
        return result

    def cancel(self) -> None:
        """Drop the calls that have not begun."""
        self._waiting.clear()
        self._filling = Batch()

    def _close_batch(self) -> None:
        self._waiting.append(self._filling)
        self._filling = Batch()

    def _ends(self, item: Item[T, R]) -> bool:
        return self._raises or item.is_fatal

    def _settle_item(self, item: Item[T, R]) -> None:
        item.is_done = True
        ends = item.is_error and self._ends(item)
        if ends:
            self.is_failing = True
            self.cancel()
            if self._first_error is None or item.index < self._first_error.index:
                self._first_error = item
        if not self._ordered and not ends:
            self._queue.append(item)
