"""Window: the items between the source and the consumer, and the calls they are put into.

Bookkeeping only, for threads and for asyncio alike: no clock, no I/O, no waiting. Not safe
between threads: whoever shares it holds a lock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from sm_private_client.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.inference.mapping.concurrency_limit import Limit

__all__ = [
    "CALLS_AHEAD",
    "ROWS",
    "Batch",
    "Combine",
    "OnError",
    "Place",
    "Window",
    "check_batch_size",
    "combine_from",
    "fill",
    "payload_of",
]

T = TypeVar("T")
R = TypeVar("R")

OnError = Literal["raise", "return"]

CALLS_AHEAD: Final = 4
"""Items between source and consumer, in multiples of the calls at once and the batch size."""


class Place(Generic[T, R]):
    """One item on its way, and what came of it.

    Attributes:
        index: Its place among the items, from 0.
        item: The item; let go once it has its outcome.
        fingerprint: Its fingerprint, where there is a journal.
        outcome: The result, or the error.
        is_known: Whether it has its outcome.
        is_done: Whether that may be given: not before it is written down.
        is_error: Whether that is an error.
        is_fatal: Whether it ends the run, whatever the caller said about errors.
    """

    __slots__ = (
        "fingerprint",
        "index",
        "is_done",
        "is_error",
        "is_fatal",
        "is_known",
        "item",
        "outcome",
    )

    def __init__(self, index: int, item: T) -> None:
        self.index = index
        self.item: T | None = item
        self.fingerprint = b""
        self.outcome: R | BaseException | None = None
        self.is_known = self.is_done = self.is_error = self.is_fatal = False

    def answer(self, result: R) -> None:
        """Notes its result."""
        self.outcome = result
        self.item = None
        self.is_known = True

    def fail(self, error: BaseException, *, fatal: bool = False) -> None:
        """Notes its error; one that is no ``Exception`` is fatal."""
        self.outcome = error
        self.item = None
        self.is_known = self.is_error = True
        self.is_fatal = fatal or not isinstance(error, Exception)


class Batch(Generic[T, R]):
    """The items of one call.

    Attributes:
        places: In the order of the items.
        attempts_failed: Attempts of this call that failed so far.
        started: What the limit wants back.
    """

    __slots__ = ("attempts_failed", "places", "started")

    def __init__(self) -> None:
        self.places: list[Place[T, R]] = []
        self.attempts_failed = 0
        self.started = 0.0


class Window(Generic[T, R]):
    """Takes items in, gives calls out; takes outcomes in, gives results out.

    It is full at ``CALLS_AHEAD`` times the limit times the batch size, finished items that wait
    for their turn included: one slow item at the front holds the rest back, not memory.

    Once an item failed and errors are raised, nothing more is started. The results of the calls
    under way are still given (in order, those before the failed item); then the error of the
    lowest index is raised.

    Attributes:
        limit: How many calls may be under way.
        running: How many are.
        is_failing: Whether an error is to be raised.

    Args:
        limit: Told how calls went.
        ordered: Give results in the order of the items, else as they come.
        on_error: ``raise`` ends the run at an error, ``return`` gives it in place of a result.
        batch_size: Items a call.

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
        self._line: deque[Place[T, R]] = deque()  # in order: all; as they come: the done ones
        self._first_error: Place[T, R] | None = None
        self._held = 0

    @property
    def is_full(self) -> bool:
        """Says whether no more items are to be added for now."""
        return self._held >= CALLS_AHEAD * self.limit.limit * self._batch_size

    @property
    def is_empty(self) -> bool:
        """Says whether every item that was added has been given."""
        return self._held == 0

    @property
    def startable(self) -> int:
        """How many calls could begin now."""
        return max(0, min(len(self._waiting), self.limit.limit - self.running))

    @property
    def is_ready(self) -> bool:
        """Says whether ``give`` has something."""
        if self._line and self._line[0].is_done:
            return True
        return self.is_failing and self.running == 0

    def add(self, place: Place[T, R]) -> None:
        """Takes an item in, to be called, or done already."""
        self._held += 1
        if self._ordered:
            self._line.append(place)
        if place.is_known:
            self._settle_place(place)
            return
        self._filling.places.append(place)
        if len(self._filling.places) >= self._batch_size:
            self._close_batch()

    def flush(self, *, is_last: bool) -> None:
        """Lets a batch go that is not full: the last one, or one that everything waits for.

        The latter happens where answers of a journal fill the window around it.
        """
        if self._filling.places and (is_last or not (self._waiting or self.running)):
            self._close_batch()

    def start(self) -> Batch[T, R] | None:
        """Gives the next call to make, ``None`` where none may begin."""
        if not self.startable:
            return None
        self.running += 1
        batch = self._waiting.popleft()
        batch.started = self.limit.started()
        return batch

    def settle(self, batch: Batch[T, R]) -> None:
        """Takes a call back whose places are all done."""
        if not batch.attempts_failed:
            self.limit.answered(batch.started, in_flight=self.running)
        self.running -= 1
        for place in batch.places:
            self._settle_place(place)
        batch.places = []  # its call may still be known to the traceback of an error

    def give(self) -> R | Exception:
        """Gives the next result; only when it is ready.

        Raises:
            BaseException: The error that ends the run.
        """
        is_next = self._line and self._line[0].is_done
        place = self._line.popleft() if is_next else self._first_error
        if place is None:
            raise LookupError("no result is ready")
        outcome: Any = place.outcome
        if place.is_error and self._ends(place):
            raise outcome
        self._held -= 1
        place.outcome = None  # an error's traceback may lead here: let no circle stay
        result: R | Exception = outcome
        return result

    def cancel(self) -> None:
        """Forgets the calls that have not begun."""
        self._waiting.clear()
        self._filling = Batch()

    def _close_batch(self) -> None:
        self._waiting.append(self._filling)
        self._filling = Batch()

    def _ends(self, place: Place[T, R]) -> bool:
        return self._raises or place.is_fatal

    def _settle_place(self, place: Place[T, R]) -> None:
        place.is_done = True
        ends = place.is_error and self._ends(place)
        if ends:
            self.is_failing = True
            self.cancel()
            if self._first_error is None or place.index < self._first_error.index:
                self._first_error = place
        if not self._ordered and not ends:
            self._line.append(place)


@dataclass(frozen=True, kw_only=True, slots=True)
class Combine:
    """How items become one payload, and its answer their answers.

    A model that takes ``{"instances": […]}`` and gives ``{"predictions": […]}`` needs::

        Combine(
            join=lambda items: {"instances": items},
            split=lambda answer, count: answer["predictions"],
        )

    Attributes:
        join: From the items of a batch, in order, to what one call is given.
        split: From what the call gave, and how many items it was for, to one answer an item.
    """

    join: Callable[[list[Any]], Any]
    split: Callable[[Any, int], Sequence[Any]]


def split_rows(answer: object, count: int) -> Sequence[Any]:
    """Gives the rows of a list, a tuple or a numpy array.

    Raises:
        PayloadError: The answer is something else.
    """
    if isinstance(answer, (list, tuple)):
        return answer
    # numpy's arrays and pandas' columns; a table's own iterator would give its column names
    if hasattr(answer, "tolist") and getattr(answer, "ndim", 0) > 0:
        return list(answer)  # type: ignore[call-overload,no-any-return] # only known by its look
    raise PayloadError(
        f"The answer to a batch of {count} items is a {type(answer).__name__}, not a list.",
        cause="rows are answered by a list with one element for each.",
        remedy="pass combine=(join, split) that fit the model, or batch_size=1.",
    )


ROWS: Final = Combine(join=list, split=split_rows)
"""A list of the items in, a list of the same length out."""


def combine_from(combine: Combine | tuple[Any, Any] | None) -> Combine:
    """Makes a ``Combine`` of what the argument is.

    Args:
        combine: One, a pair ``(join, split)``, or ``None`` for rows.

    Raises:
        ConfigurationError: It is something else.
    """
    if combine is None:
        return ROWS
    if isinstance(combine, Combine):
        return combine
    if isinstance(combine, tuple) and [callable(part) for part in combine] == [True, True]:
        return Combine(join=combine[0], split=combine[1])
    raise ConfigurationError(
        f"combine= cannot be a {type(combine).__name__}.",
        cause="it is neither a Combine nor a pair of callables.",
        remedy="pass Combine(join=…, split=…), or (join, split).",
    )


def check_batch_size(batch_size: int) -> None:
    """Lets whole numbers from 1 up pass.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigurationError(
            f"batch_size={batch_size!r} cannot be used.",
            cause="it is not a whole number from 1 up.",
            remedy="pass the number of items that one call is to carry.",
        )


def payload_of(batch: Batch[Any, Any], combine: Combine | None) -> Any:  # noqa: ANN401 - the caller's
    """Gives what a call is to be given: the items joined, or the one item as it is."""
    items = [place.item for place in batch.places]
    return items[0] if combine is None else combine.join(items)


def fill(batch: Batch[Any, Any], combine: Combine | None, answer: object) -> None:
    """Gives each item its part of what a call gave.

    Raises:
        PayloadError: There are not as many parts as there are items; none got any.
    """
    if combine is None:
        batch.places[0].answer(answer)
        return
    count = len(batch.places)
    parts = combine.split(answer, count)
    if len(parts) != count:
        raise PayloadError(
            f"A batch of {count} items was answered by {len(parts)} rows.",
            possible_causes=(
                "the model drops or adds rows",
                "it takes the batch for one input",
                "split does not fit its answers",
            ),
            remedy="pass combine=(join, split) that fit the model, or batch_size=1.",
        )
    for place, part in zip(batch.places, parts, strict=True):
        place.answer(part)
