"""Map for asyncio: like ``mapping``, with tasks instead of threads."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, Iterable, Sized
from typing import TYPE_CHECKING, Any, Literal

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
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from sm_private_client.inference.mapping.journal import JournalCodec
    from sm_private_client.types import Value

__all__ = ["map_calls_async"]


async def map_calls_async(
    call: Callable[[Value, OnFailure], Awaitable[Value]],
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
) -> AsyncGenerator[Value, None]:
    """Call for every item and yield the results; see ``map_calls``, whose rules are the same.

    Leaving it early (``aclose``, cancellation) starts nothing more and waits for what runs.
    """
    combine = combine_from(combine, batch_size=batch_size)
    window: Window[Any, Any] = Window(
        limit_for(concurrency), ordered=ordered, on_error=on_error, batch_size=batch_size
    )
    total = len(items) if isinstance(items, Sized) else None
    run = _Run(call, items, window, combine, None if journal is None else JournalWriter(journal))
    display = None
    try:
        display = progress_for(progress, name=name, total=total)
        while await run.has_next():
            result = window.pop()
            display.advance()
            yield result
    finally:
        if display is not None:
            display.close()
        await run.end()


class _Run:
    """One map: its source, its tasks, its window."""

    def __init__(
        self,
        call: Callable[[Value, OnFailure], Awaitable[Value]],
        items: Iterable[Any] | AsyncIterable[Any],
        window: Window[Any, Any],
        combine: Combine | None,
        writer: JournalWriter | None,
    ) -> None:
        self._call = call
        self._source: AsyncIterator[Any] | None = (
            items.__aiter__() if isinstance(items, AsyncIterable) else _as_async(items)
        )
        self._source_error: Exception | None = None
        self._window = window
        self._combine = combine
        self._writer = writer
        self._running: set[asyncio.Task[None]] = set()
        self._pulled = 0

    async def has_next(self) -> bool:
        """Pull, start and wait until a result is ready; return False at the end.

        Raises:
            Exception: An error of the source, once everything before it was returned.
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
        """Start nothing more, wait for what runs, close the journal."""
        self._source = None
        self._window.cancel()
        if self._running:
            await asyncio.wait(self._running)
        if self._writer is not None:
            self._writer.close()

    async def _pull(self, source: AsyncIterator[Any]) -> None:
        try:
            item: Item[Any, Any] = Item(self._pulled, await source.__anext__())
        except StopAsyncIteration:
            self._source = None
            return
        except Exception as error:  # noqa: BLE001 - a traceback is for --debug
            self._source, self._source_error = None, error
            return
        self._pulled += 1
        if self._writer is not None:
            self._writer.recall(item)
        self._window.add(item)

    def _start(self) -> None:
        while (batch := self._window.start()) is not None:
            task = asyncio.ensure_future(self._perform(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _perform(self, batch: Batch[Any, Any]) -> None:
        on_failure = functools.partial(self._window.observe, batch)
        try:
            batch.split(self._combine, await self._call(batch.join(self._combine), on_failure))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            on_failure(error)
            batch.fail(error)
        if self._writer is not None:
            self._writer.keep(batch)
        self._window.settle(batch)


async def _as_async(items: Iterable[Any]) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item
