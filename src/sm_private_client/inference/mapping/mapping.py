"""Map: one call per item or batch, in bounded memory, many at once, carried by threads.

The consumer's thread reads the items while it asks for a result; worker threads make the calls.
``_WorkerPool`` holds what the threads share. The consumer's iterator is not part of it: if it is
abandoned, it is collected and the pool stops.

Threads are no daemons. A worker exits if it has nothing to do for half a second or its consumer's
thread has ended; new workers are spawned as needed. So neither an abandoned run nor the end of the
program waits for more than the calls under way.
"""

from __future__ import annotations

import contextvars
import functools
import logging
import os
import threading
import weakref
from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from sm_private_client.inference.mapping.concurrency_limit import limit_for
from sm_private_client.inference.mapping.journal import JournalWriter
from sm_private_client.inference.mapping.window import (
    Batch,
    Combine,
    Item,
    OnError,
    OnFailure,
    Window,
    combine_from,
)
from sm_private_client.inference.progress import progress_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

    from sm_private_client.inference.mapping.journal import JournalCodec
    from sm_private_client.inference.progress import Progress
    from sm_private_client.types import Value

__all__ = ["MapResults", "map_calls"]

R = TypeVar("R")

_IDLE_TIMEOUT: Final = 0.5  # seconds that a worker waits for work
_SIGNAL_CHECK: Final = 1.0  # seconds between checks for Ctrl-C if locks do not notice it
_PULLS_PER_RESULT: Final = 2  # batches of items: more than one, so that supply can grow

_logger = logging.getLogger(__name__)


def map_calls(
    call: Callable[[Value, OnFailure], Value],
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
) -> MapResults[R]:
    """Call for every item and return the results; no call begins before the first is asked for.

    Args:
        call: Encodes an item, or what ``combine`` joined, invokes with retries, decodes. It passes
            the error of each failed attempt to its second argument, so that throttling lowers the
            limit even if the call succeeds in the end. It is safe between threads.
        items: Any iterable, also an endless one. At most ``CALLS_AHEAD`` (4) times the calls at
            once times the batch size are ahead of the consumer. A result may wait until the
            source has two more batches.
        concurrency: Calls at once, or ``"auto"``: from 4 up to 64, as many as the service bears.
        ordered: Return results in the order of the items, else as they come.
        on_error: ``raise`` starts nothing more, waits for what runs, and raises the error of the
            first item in order; ``return`` returns the error in place of the result.
        journal: Where results are kept, so that a run that was killed can go on. An item that has
            a result there is not called again; one that had ended in an error is.
        progress: See ``progress_for``.
        batch_size: Items per call. The journal, errors and results stay per item. If a batch
            fails, or its answer does not fit, each of its items has that error.
        combine: How items are joined and answers split; lists of rows by default.
        name: The name of the display and of the threads.

    Raises:
        ConfigurationError: An argument cannot be used, or the journal is not this run's.
    """
    combine = combine_from(combine, batch_size=batch_size)
    window: Window[Any, R] = Window(
        limit_for(concurrency), ordered=ordered, on_error=on_error, batch_size=batch_size
    )
    source = iter(items)
    writer = None if journal is None else JournalWriter(journal)
    try:
        display = progress_for(
            progress, name=name, total=len(items) if isinstance(items, Sized) else None
        )
    except BaseException:
        if writer is not None:
            writer.close()
        raise
    pool = _WorkerPool(call, window, combine, writer, name)
    return MapResults(pool, source, display, pulls=_PULLS_PER_RESULT * batch_size)


class MapResults(Iterator[R]):
    """The results of a map, one per item (or its error); for one thread at a time.

    It closes itself at the end, at an error and at Ctrl-C; as a context manager also at the end
    of the block. If it is abandoned, nothing more is started once it is collected.
    """

    def __init__(
        self, pool: _WorkerPool[R], source: Iterator[Any], progress: Progress, *, pulls: int
    ) -> None:
        self._pool = pool
        self._source: Iterator[Any] | None = source
        self._source_error: Exception | None = None
        self._progress = progress
        self._pulls = pulls
        self._pulled = 0
        self._is_closed = False
        weakref.finalize(self, pool.abandon)

    def __repr__(self) -> str:
        window = self._pool.window
        state = "closed" if self._is_closed else f"{window.running} running"
        return f"<MapResults {self._pool.name!r} {state}, limit {window.limit.limit}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> R:
        """Return the next result.

        Raises:
            Exception: An item's error if errors are raised; or an error of the source, once
                everything before it was returned.
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Start nothing more, wait for the calls under way, close the journal.

        It may be called again. A second Ctrl-C ends the waiting; the calls end by themselves.

        Raises:
            OSError: The end of the journal could not be written to the disk.
        """
        self._is_closed = True
        self._source = None
        self._progress.close()
        self._pool.shutdown()

    def _next(self) -> R:
        pool, window = self._pool, self._pool.window
        pool.consumer = threading.current_thread()
        item: Item[Any, R] | None = None
        pulls = 0
        while True:
            with pool.lock:
                if item is not None:
                    window.add(item)
                may_pull = not (self._source is None or window.is_full or window.is_failing)
                if self._source is None or not (may_pull or window.is_ready):
                    window.flush(is_last=self._source is None)
                pool.spawn()
                if window.is_ready and not (may_pull and pulls < self._pulls):
                    return window.pop()
                if not may_pull:
                    if window.is_empty:
                        raise self._source_error or StopIteration
                    pool.done.wait(_SIGNAL_CHECK)
                    item = None
                    continue
            item = self._pull()
            pulls += 1

    def _pull(self) -> Item[Any, R] | None:
        """Return an item of the source; ``None`` at its end."""
        if self._source is None:
            return None
        try:
            value = next(self._source)
        except StopIteration:
            self._source = None
            return None
        except Exception as error:  # noqa: BLE001 - a traceback is for --debug
            self._source = None
            self._source_error = error
            return None
        item: Item[Any, R] = Item(self._pulled, value)
        self._pulled += 1
        if self._pool.writer is not None:
            self._pool.writer.recall(item)
        return item


class _WorkerPool(Generic[R]):
    """The workers, and what they share with the consumer; ``lock`` guards all of it.

    One thread can take the lock twice: the garbage collector may run ``abandon`` in a thread that
    holds it.
    """

    def __init__(
        self,
        call: Callable[[Value, OnFailure], Value],
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
        self._has_work = threading.Condition(self.lock)
        self._call = call
        self._combine = combine
        self._context = contextvars.copy_context()  # the caller's: its span is the calls' parent
        self._workers: set[threading.Thread] = set()
        self._spawned = 0
        self._idle = 0
        self._is_stopping = False
        self._process = os.getpid()

    def spawn(self) -> None:
        """Provide a worker for every call that could begin; the lock is held."""
        startable = self.window.startable
        self._has_work.notify(startable)
        # A worker between two calls is neither idle nor running: never more than the limit.
        room = self.window.limit.limit - len(self._workers)
        for _ in range(min(startable - self._idle, room)):
            self._spawned += 1
            worker = threading.Thread(
                target=self._context.copy().run,  # one context is entered by one thread only
                args=(self._work,),
                name=f"{self.name}-{self._spawned}",
                daemon=False,
            )
            worker.start()
            self._workers.add(worker)

    def shutdown(self) -> None:
        """Wait until the calls under way have ended and every worker has exited."""
        with self.lock:
            self._is_stopping = True
            self.window.cancel()
            self._has_work.notify_all()
            workers = tuple(self._workers)
        for worker in workers:
            worker.join()
        if self.writer is not None:
            self.writer.close()

    def abandon(self) -> None:
        """Stop without waiting: workers exit after their call, the last one closes the journal.

        The garbage collector calls this, at any point of any thread: it touches little.
        """
        if os.getpid() != self._process:
            return  # a forked child has none of the workers, and perhaps a lock that stays taken
        self._is_stopping = True
        with self.lock:
            self._close_if_last()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._perform(batch)
            with self.lock:
                self.window.settle(batch)
                if self.window.is_ready:
                    self.done.notify()
                self._has_work.notify(max(0, self.window.startable - 1))  # one is for this worker

    def _next_batch(self) -> Batch[Any, R] | None:
        """Wait for a call to make; after ``None`` the worker exits."""
        with self.lock:
            has_waited = False
            while not self._is_stopping and self.consumer.is_alive():
                batch = self.window.start()
                if batch is not None:
                    return batch
                if has_waited:
                    break
                self._idle += 1
                has_waited = not self._has_work.wait(_IDLE_TIMEOUT)
                self._idle -= 1
            self._workers.discard(threading.current_thread())
            if self._is_stopping:
                self._close_if_last()
            return None

    def _perform(self, batch: Batch[Any, R]) -> None:
        try:
            answer = self._call(batch.join(self._combine), functools.partial(self._observe, batch))
            batch.split(self._combine, answer)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            self._observe(batch, error)
            batch.fail(error)
        if self.writer is not None:
            self.writer.keep(batch)

    def _observe(self, batch: Batch[Any, R], error: BaseException) -> None:
        with self.lock:
            self.window.observe(batch, error)

    def _close_if_last(self) -> None:
        if self._workers or self.writer is None:
            return
        try:
            self.writer.close()
        except OSError as error:
            _logger.warning("The end of %r was not forced to the disk: %s", self.writer, error)
