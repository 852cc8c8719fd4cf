"""Map for asyncio: window, limit, batches and journal of ``mapping``, with tasks for threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Sized
from typing import TYPE_CHECKING, Any, Literal, Protocol

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
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from sm_private_client.inference.mapping.journal import JournalCodec

__all__ = ["AsyncCall", "map_calls_async"]


class AsyncCall(Protocol):
    """``mapping.Call`` as a coroutine function."""

    async def __call__(self, item: Any, observe: Callable[[BaseException], None], /) -> Any:  # noqa: ANN401 - the caller's
        """Encodes, invokes with retries, decodes."""
        ...


async def map_calls_async(
    call: AsyncCall,
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    concurrency: int | Literal["auto"] = "auto",
    ordered: bool = True,
    on_error: OnError = "raise",
    journal: JournalCodec[Any, Any] | None = None,
    progress: bool | None = None,
    batch_size: int = 1,
    combine: Combine | tuple[Any, Any] | None = None,
    name: str = "map",
) -> AsyncGenerator[Any, None]:
    """Calls for every item and gives the results; see ``map_calls``, whose rules are the same.

    Leaving it early (``aclose``, cancellation) starts nothing more and waits for what runs.
    """
    check_batch_size(batch_size)
    joined = None if batch_size == 1 and combine is None else combine_from(combine)
    window: Window[Any, Any] = Window(
        limit_for(concurrency), ordered=ordered, on_error=on_error, batch_size=batch_size
    )
    total = len(items) if isinstance(items, Sized) else None
    run = _Run(call, items, window, joined, None if journal is None else JournalWriter(journal))
    shown = None
    try:
        shown = progress_for(progress, name=name, total=total)
        while await run.has_next():
            result = window.give()
            shown.advance()
            yield result
    finally:
        if shown is not None:
            shown.close()
        await run.end()


class _Run:
    """One map: its source, its tasks, its window."""

    def __init__(
        self,
        call: AsyncCall,
        items: Iterable[Any] | AsyncIterable[Any],
        window: Window[Any, Any],
        combine: Combine | None,
        writer: JournalWriter | None,
    ) -> None:
        self._call = call
        self._source: AsyncIterator[Any] | None = _source(items)
        self._source_error: Exception | None = None
        self._window = window
        self._combine = combine
        self._writer = writer
        self._running: set[asyncio.Task[None]] = set()
        self._pulled = 0

    async def has_next(self) -> bool:
        """Pulls, starts and waits until a result is ready; ``False`` at the end.

        Raises:
            Exception: What the source raised, once everything before it was given.
        """
        window = self._window
        while True:
            while self._source is not None and not (window.is_full or window.is_failing):
                await self._pull(self._source)
                self._start()
                if window.is_ready:
                    return True
            window.flush(is_last=self._source is None)
            self._start()
            if window.is_ready:
                return True
            if window.is_empty and self._source is None:
                if self._source_error is not None:
                    raise self._source_error
                return False
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def end(self) -> None:
        """Starts nothing more, waits for what runs, frees the journal."""
        self._source = None
        self._window.cancel()
        if self._running:
            await asyncio.wait(self._running)
        if self._writer is not None:
            self._writer.close()

    async def _pull(self, source: AsyncIterator[Any]) -> None:
        try:
            place: Place[Any, Any] = Place(self._pulled, await source.__anext__())
        except StopAsyncIteration:
            self._source = None
            return
        except Exception as error:  # noqa: BLE001 - a traceback is for --debug
            self._source, self._source_error = None, error
            return
        self._pulled += 1
        if self._writer is not None:
            self._writer.recall(place)
        self._window.add(place)

    def _start(self) -> None:
        while (batch := self._window.start()) is not None:
            task = asyncio.ensure_future(self._perform(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _perform(self, batch: Batch[Any, Any]) -> None:
        def observe(error: BaseException) -> None:
            batch.attempts_failed += 1
            if is_overload(error):
                self._window.limit.overloaded()

        try:
            payload = payload_of(batch, self._combine)
            fill(batch, self._combine, await self._call(payload, observe))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            observe(error)
            for place in batch.places:
                place.fail(error)
        if self._writer is not None:
            for place in batch.places:
                self._writer.keep(place)
        self._window.settle(batch)


def _source(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        return items.__aiter__()
    return _as_async(items)


async def _as_async(items: Iterable[Any]) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item
