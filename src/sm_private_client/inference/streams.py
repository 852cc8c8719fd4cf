"""Response streams as bytes, text, lines, JSON values or Server-Sent Events."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from sm_private_client.errors import StreamError
from sm_private_client.inference.decoders import (
    ChatChunkDecoder,
    JsonDecoder,
    LineDecoder,
    ServerSentEventDecoder,
    TextDecoder,
)

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncGenerator, Callable, Generator

    from typing_extensions import Self

    from sm_private_client.inference.decoders import Decoder, ServerSentEvent
    from sm_private_client.inference.invokers import AsyncStreamSource, StreamSource
    from sm_private_client.inference.operations import OperationResult

__all__ = ["AsyncResponseStream", "ResponseStream", "StreamRecord"]

T = TypeVar("T")


class StreamRecord:
    """The head of a stream, and what was counted while it was read; synchronous or not.

    Args:
        head: What is known of the stream; see ``OperationResult``.
        started: When the request was sent, by ``clock``; now by default.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        head: OperationResult,
        *,
        started: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._head = head
        self._clock = clock
        self._started = clock() if started is None else started
        self._time_to_first_byte: float | None = None
        self._parts_received = 0
        self._bytes_received = 0
        self._reader: str | None = None

    @property
    def content_type(self) -> str | None:
        """The MIME type of the payload, if the service sent one."""
        return self._head.members.get("ContentType")

    @property
    def invoked_production_variant(self) -> str | None:
        """The variant that answers, if the service sent it."""
        return self._head.members.get("InvokedProductionVariant")

    @property
    def custom_attributes(self) -> str | None:
        """What the model returned besides the payload."""
        return self._head.members.get("CustomAttributes")

    @property
    def request_id(self) -> str | None:
        """The service's id of the request, if it sent one."""
        return self._head.request_id

    @property
    def availability_zone(self) -> str | None:
        """The zone that answers; ``None`` if not known."""
        return self._head.availability_zone

    @property
    def parts_received(self) -> int:
        """The number of payload parts that have arrived."""
        return self._parts_received

    @property
    def bytes_received(self) -> int:
        """The bytes of payload that have arrived."""
        return self._bytes_received

    @property
    def time_to_first_byte(self) -> float | None:
        """Seconds from sending the request to the first payload byte; ``None`` before it."""
        return self._time_to_first_byte

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(content_type={self.content_type!r}, "
            f"parts_received={self._parts_received}, bytes_received={self._bytes_received})"
        )

    def _count(self, part: bytes) -> None:
        if part and self._time_to_first_byte is None:
            self._time_to_first_byte = self._clock() - self._started
        self._parts_received += 1
        self._bytes_received += len(part)

    def _attach_counts(self, error: Exception) -> None:
        """Set on an error that ends the stream how much had arrived."""
        vars(error).update(parts_received=self._parts_received, bytes_received=self._bytes_received)

    def _claim(self, reader: str) -> None:
        """Set who reads the stream.

        Raises:
            StreamError: It is or was read already.
        """
        if self._reader is not None:
            raise StreamError(
                f"{reader} cannot read this response stream: {self._reader} does or did.",
                cause="the parts of a stream come once and are not kept.",
                remedy=f"go on with the iterator that {self._reader} gave, or stream again.",
            )
        self._reader = reader


class ResponseStream(StreamRecord):
    """A response stream, read once and one way; leaving early closes it.

    It is closed by reading to the end, ``close()``, the end of its ``with`` block, closing or
    dropping the iterator, an exception, or when nothing refers to it any more. If it was not read
    to its end, its connection is closed, too.

    Whole items that arrived come before an error: the client's own ``ModelStreamError`` and
    ``InternalStreamFailure`` for a failure of the service, ``StreamInterruptedError`` for a
    connection that was cut, ``PayloadError`` for bytes that are not what was asked for. A part of
    an item is dropped then. The first three errors have ``parts_received`` and
    ``bytes_received``.

    Args:
        source: The stream from an invoker.
        started: See ``StreamRecord``.
        clock: See ``StreamRecord``.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        started: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source.head, started=started, clock=clock)
        self._source = source
        self._closer = weakref.finalize(self, source.close)
        self._closer.atexit = False  # the process's end closes its connections itself

    def bytes(self) -> Generator[builtins.bytes, None, None]:
        """Yield the payload as it arrives, in the parts of the service."""
        self._claim("bytes()")
        return self._parts()

    def text(self, encoding: str = "utf-8") -> Generator[str, None, None]:
        """Yield text as it arrives; a character cut between parts comes whole.

        Raises:
            ConfigurationError: Python does not know the encoding.
        """
        return self._decoded("text()", TextDecoder(encoding))

    def lines(self, encoding: str = "utf-8") -> Generator[str, None, None]:
        r"""Yield lines without their ends (``\n``, ``\r\n``, ``\r``), an unterminated last too.

        Raises:
            ConfigurationError: Python does not know the encoding.
        """
        return self._decoded("lines()", LineDecoder(encoding))

    def json(self) -> Generator[Any, None, None]:
        """Yield JSON values as each is complete: JSON Lines, concatenated or pretty-printed."""
        return self._decoded("json()", JsonDecoder())

    def sse(self) -> Generator[ServerSentEvent, None, None]:
        """Yield Server-Sent Events, by the rules of ``ServerSentEventDecoder``."""
        return self._decoded("sse()", ServerSentEventDecoder())

    def chat_chunks(self) -> Generator[Any, None, None]:
        """Yield the JSON of each Server-Sent Event's data, up to ``[DONE]``."""
        return self._decoded("chat_chunks()", ChatChunkDecoder())

    @property
    def closed(self) -> bool:
        """True if it was closed."""
        return not self._closer.alive

    def close(self) -> None:
        """Close it; calling it again does nothing."""
        self._closer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _claim(self, reader: str) -> None:
        super()._claim(reader)
        self._check_open()

    def _check_open(self) -> None:
        if self.closed:
            raise StreamError(
                f"The response stream was closed after {self._parts_received} parts.",
                cause="close() was called, or its with block was left, before it was read.",
                remedy="read it before that.",
            )

    def _parts(self) -> Generator[builtins.bytes, None, None]:
        try:
            for part in self._source.parts():
                self._count(part)
                yield part
                self._check_open()
        except Exception as error:
            self._attach_counts(error)
            raise
        finally:
            self.close()

    def _decoded(self, reader: str, decoder: Decoder[T]) -> Generator[T, None, None]:
        self._claim(reader)
        return self._items(decoder)

    def _items(self, decoder: Decoder[T]) -> Generator[T, None, None]:
        try:
            for part in self._parts():
                yield from decoder.feed(part)
                decoder.check()
                if decoder.done:
                    return
            yield from decoder.finish()
        finally:
            self.close()


class AsyncResponseStream(StreamRecord):
    """``ResponseStream`` for asyncio; use it in an ``async with`` block.

    It is closed by reading to the end, ``close()``, the end of the block, and an exception.

    Args:
        source: The stream from an invoker.
        started: See ``StreamRecord``.
        clock: See ``StreamRecord``.
    """

    def __init__(
        self,
        source: AsyncStreamSource,
        *,
        started: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source.head, started=started, clock=clock)
        self._source = source
        self._closed = False

    def bytes(self) -> AsyncGenerator[builtins.bytes, None]:
        """See ``ResponseStream.bytes``."""
        self._claim("bytes()")
        return self._parts()

    def text(self, encoding: str = "utf-8") -> AsyncGenerator[str, None]:
        """See ``ResponseStream.text``."""
        return self._decoded("text()", TextDecoder(encoding))

    def lines(self, encoding: str = "utf-8") -> AsyncGenerator[str, None]:
        """See ``ResponseStream.lines``."""
        return self._decoded("lines()", LineDecoder(encoding))

    def json(self) -> AsyncGenerator[Any, None]:
        """See ``ResponseStream.json``."""
        return self._decoded("json()", JsonDecoder())

    def sse(self) -> AsyncGenerator[ServerSentEvent, None]:
        """See ``ResponseStream.sse``."""
        return self._decoded("sse()", ServerSentEventDecoder())

    def chat_chunks(self) -> AsyncGenerator[Any, None]:
        """See ``ResponseStream.chat_chunks``."""
        return self._decoded("chat_chunks()", ChatChunkDecoder())

    async def close(self) -> None:
        """Close it; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            await self._source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _parts(self) -> AsyncGenerator[builtins.bytes, None]:
        try:
            async for part in self._source.parts():
                self._count(part)
                yield part
        except Exception as error:
            self._attach_counts(error)
            raise
        finally:
            await self.close()

    def _decoded(self, reader: str, decoder: Decoder[T]) -> AsyncGenerator[T, None]:
        self._claim(reader)
        return self._items(decoder)

    async def _items(self, decoder: Decoder[T]) -> AsyncGenerator[T, None]:
        try:
            async for part in self._parts():
                for item in decoder.feed(part):
                    yield item
                decoder.check()
                if decoder.done:
                    return
            for item in decoder.finish():
                yield item
        finally:
            await self.close()
