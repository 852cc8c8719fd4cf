"""Map: many items through one call each, in bounded memory, as many at once as is good.

Items are pulled in the consumer's thread, while it asks for a result; calls are made by worker
threads. What the threads share is in ``_WorkerPool``; the iterator that the consumer holds is not
part of it, so that it is collected when it is abandoned, and the crew stops.

Threads are no daemons. A worker that finds nothing to do for half a second, or whose consumer's
thread has ended, goes home; new ones are hired as needed. So neither an abandoned run nor the end
of the program waits for more than the calls under way.
"""

from __future__ import annotations

import contextvars
import functools
import logging
import os
import threading
import weakref
from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeVar

from sm_private_client.inference.mapping.concurrency_limit import is_overload, limit_for
from sm_private_client.inference.mapping.journal import JournalWriter
from sm_private_client.inference.mapping.window import (
    Batch,
    Combine,
    OnError,
    Place,
    Window,
    check_batch_size,
    combine_from,
    fill,
    payload_of,
)
from sm_private_client.inference.progress import progress_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client.inference.mapping.journal import JournalCodec
    from sm_private_client.inference.progress import Progress

__all__ = ["Call", "MappedCalls", "map_calls"]

R = TypeVar("R")

_PATIENCE: Final = 0.5  # seconds that a worker without work waits for some
_BREATH: Final = 1.0  # seconds between looks at Ctrl-C on systems whose locks do not notice it
_PULLS_A_RESULT: Final = 2  # batches of items: more than one, so that supply can grow

_logger = logging.getLogger(__name__)


class Call(Protocol):
    """Encodes, invokes with retries, decodes; safe between threads."""

    def __call__(self, item: Any, observe: Callable[[BaseException], None], /) -> Any:  # noqa: ANN401 - the caller's
        """Does it.

        Args:
            item: The item, or what ``combine`` joined.
            observe: To be called with the error of each attempt that failed and is tried again,
                so that throttling lowers the limit though the call succeeds in the end.
        """
        ...


def map_calls(
    call: Call,
    items: Iterable[Any],
    *,
    concurrency: int | Literal["auto"] = "auto",
    ordered: bool = True,
    on_error: OnError = "raise",
    journal: JournalCodec[Any, R] | None = None,
    progress: bool | None = None,
    batch_size: int = 1,
    combine: Combine | tuple[Any, Any] | None = None,
    name: str = "map",
) -> MappedCalls[R]:
    """Calls for every item and gives the results; nothing is called before the first is asked for.

    Args:
        call: What is called; see ``Call``.
        items: Any iterable, also one without an end. At most ``CALLS_AHEAD`` (4) times the calls
            at once times the batch size are ahead of the consumer; a result may wait for the
            source to give two more batches.
        concurrency: Calls at once, or ``"auto"``: from 4 up to 64, as many as the service bears.
        ordered: Results in the order of the items, else as they come.
        on_error: ``raise`` starts nothing more, waits for what runs, and raises the error of the
            first item in order; ``return`` gives the error in place of the result.
        journal: Where results are kept, so that a run that was killed can go on. What is found
            there is not called again; an item that had ended in an error is.
        progress: See ``progress_for``.
        batch_size: Items a call. The journal, errors and results stay per item; where a batch
            fails, or its answer does not fit, each of its items gets that error.
        combine: How items are joined and answers split; lists of rows where not given.
        name: What progress and threads are called.

    Raises:
        ConfigurationError: An argument cannot be used, or the journal is not this run's.
    """
    check_batch_size(batch_size)
    joined = None if batch_size == 1 and combine is None else combine_from(combine)
    window: Window[Any, R] = Window(
        limit_for(concurrency), ordered=ordered, on_error=on_error, batch_size=batch_size
    )
    source = iter(items)
    writer = None if journal is None else JournalWriter(journal)
    try:
        shown = progress_for(progress, name=name, total=_length(items))
    except BaseException:
        if writer is not None:
            writer.close()
        raise
    crew = _WorkerPool(call, window, joined, writer, name)
    return MappedCalls(crew, source, shown, pulls=_PULLS_A_RESULT * batch_size)


class MappedCalls(Iterator["R | Exception"]):
    """The results of ``map_calls``, one an item; for one thread at a time.

    It closes itself at the end, at an error and at Ctrl-C; used as a context manager it does so
    at the end of the block. One that is abandoned starts nothing more as soon as it is collected.
    """

    def __init__(
        self, crew: _WorkerPool[R], source: Iterator[Any], progress: Progress, *, pulls: int
    ) -> None:
        self._crew = crew
        self._source: Iterator[Any] | None = source
        self._source_error: Exception | None = None
        self._progress = progress
        self._pulls = pulls
        self._pulled = 0
        self._is_closed = False
        weakref.finalize(self, crew.abandon)

    def __repr__(self) -> str:
        window = self._crew.window
        state = "closed" if self._is_closed else f"{window.running} running"
        return f"<MappedCalls {self._crew.name!r} {state}, limit {window.limit.limit}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> R | Exception:
        """Gives the next result.

        Raises:
            Exception: An item's error where errors are raised, or what the source raised, once
                everything before it was given.
        """
        if self._is_closed:
            raise StopIteration
        try:
            result = self._next()
        except BaseException:
            self.close()
            raise
        self._progress.advance()
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Starts nothing more, waits for the calls under way, frees the journal.

        May be called again. A second Ctrl-C ends the waiting; the calls end by themselves.

        Raises:
            OSError: The disk did not take the end of the journal.
        """
        self._is_closed = True
        self._source = None
        self._progress.close()
        self._crew.shutdown()

    def _next(self) -> R | Exception:
        crew, window = self._crew, self._crew.window
        crew.consumer = threading.current_thread()
        place: Place[Any, R] | None = None
        pulls = 0
        while True:
            with crew.lock:
                if place is not None:
                    window.add(place)
                may_pull = not (self._source is None or window.is_full or window.is_failing)
                if self._source is None or not (may_pull or window.is_ready):
                    window.flush(is_last=self._source is None)
                crew.spawn()
                if window.is_ready and not (may_pull and pulls < self._pulls):
                    return window.give()
                if not may_pull:
                    if window.is_empty:
                        raise self._source_error or StopIteration
                    crew.done.wait(_BREATH)
                    place = None
                    continue
            place = self._pull()
            pulls += 1

    def _pull(self) -> Place[Any, R] | None:
        """Takes an item from the source; ``None`` at its end."""
        if self._source is None:
            return None
        try:
            item = next(self._source)
        except StopIteration:
            self._source = None
            return None
        except Exception as error:  # noqa: BLE001 - a traceback is for --debug
            self._source = None
            self._source_error = error
            return None
        place: Place[Any, R] = Place(self._pulled, item)
        self._pulled += 1
        if self._crew.writer is not None:
            self._crew.writer.recall(place)
        return place


class _WorkerPool(Generic[R]):
    """The workers, and what they share with the consumer; ``lock`` guards all of it.

    The lock can be taken twice by one thread, because the garbage collector may run ``abandon``
    in a thread that has it.
    """

    def __init__(
        self,
        call: Call,
        window: Window[Any, R],
        combine: Combine | None,
        writer: JournalWriter | None,
        name: str,
    ) -> None:
        self.window = window
        self.writer = writer
        self.name = name
        self.lock = threading.RLock()
        self.done = threading.Condition(self.lock)
        self.consumer = threading.current_thread()
        self._work_there = threading.Condition(self.lock)
        self._call = call
        self._combine = combine
        self._context = contextvars.copy_context()  # the caller's: its span is the calls' parent
        self._workers: set[threading.Thread] = set()
        self._hired = 0
        self._idle = 0
        self._is_stopping = False
        self._process = os.getpid()

    def spawn(self) -> None:
        """Sees to it that every call that could begin has a worker; the lock is held."""
        startable = self.window.startable
        self._work_there.notify(startable)
        # A worker between two calls is neither idle nor running: never more than the limit.
        room = self.window.limit.limit - len(self._workers)
        for _ in range(min(startable - self._idle, room)):
            self._hired += 1
            worker = threading.Thread(
                target=self._context.copy().run,  # one context is entered by one thread only
                args=(self._work,),
                name=f"{self.name}-{self._hired}",
                daemon=False,
            )
            worker.start()
            self._workers.add(worker)

    def shutdown(self) -> None:
        """Lets the calls under way end and every worker go home."""
        with self.lock:
            self._is_stopping = True
            self.window.cancel()
            self._work_there.notify_all()
            workers = tuple(self._workers)
        for worker in workers:
            worker.join()
        if self.writer is not None:
            self.writer.close()

    def abandon(self) -> None:
        """Has workers go home after their call; waits for none. The last one frees the journal.

        The garbage collector calls this, at any point of any thread: it touches little.
        """
        if os.getpid() != self._process:
            return  # a forked child has none of the workers, and perhaps a lock that stays taken
        self._is_stopping = True
        with self.lock:
            self._close_if_last()

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            self._perform(batch)
            with self.lock:
                self.window.settle(batch)
                if self.window.is_ready:
                    self.done.notify()
                self._work_there.notify(max(0, self.window.startable - 1))  # one is for this worker

    def _take(self) -> Batch[Any, R] | None:
        """Waits for a call to make; ``None`` tells the worker to go home."""
        with self.lock:
            is_tired = False
            while not self._is_stopping and self.consumer.is_alive():
                batch = self.window.start()
                if batch is not None:
                    return batch
                if is_tired:
                    break
                self._idle += 1
                is_tired = not self._work_there.wait(_PATIENCE)
                self._idle -= 1
            self._workers.discard(threading.current_thread())
            if self._is_stopping:
                self._close_if_last()
            return None

    def _perform(self, batch: Batch[Any, R]) -> None:
        try:
            payload = payload_of(batch, self._combine)
            fill(batch, self._combine, self._call(payload, functools.partial(self._observe, batch)))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            self._observe(batch, error)
            for place in batch.places:
                place.fail(error)
        if self.writer is not None:
            for place in batch.places:
                self.writer.keep(place)

    def _observe(self, batch: Batch[Any, R], error: BaseException) -> None:
        with self.lock:
            batch.attempts_failed += 1
            if is_overload(error):
                self.window.limit.overloaded()

    def _close_if_last(self) -> None:
        if self._workers or self.writer is None:
            return
        try:
            self.writer.close()
        except OSError as error:
            _logger.warning("The end of %r was not forced to the disk: %s", self.writer, error)


def _length(items: Iterable[Any]) -> int | None:
    return len(items) if isinstance(items, Sized) else None
