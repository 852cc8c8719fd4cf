"""ResponseStream: a response stream as bytes, text, lines, JSON values or Server-Sent Events."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from botocore.exceptions import HTTPClientError

from sm_private_client.errors import StreamError
from sm_private_client.inference.decoders import (
    ChatChunkDecoder,
    JsonDecoder,
    LineDecoder,
    ServerSentEventDecoder,
    TextDecoder,
)
from sm_private_client.inference.eventstream import PayloadPartDecoder

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client.inference.decoders import Decoder, ServerSentEvent
    from sm_private_client.inference.invokers import StreamAnswer
    from sm_private_client.transport.async_direct import AsyncHttpStream

__all__ = [
    "AsyncResponseStream",
    "AsyncStreamAnswer",
    "AsyncStreamSource",
    "ResponseStream",
    "StreamHead",
    "StreamRecord",
]

T = TypeVar("T")


class StreamHead(Protocol):
    """What is known of a response stream once it has begun; ``StreamAnswer`` is one."""

    @property
    def members(self) -> Mapping[str, Any]:
        """The output's members by botocore's names, without ``Body``."""
        ...

    @property
    def request_id(self) -> str | None:
        """The service's id of the request."""
        ...

    @property
    def availability_zone(self) -> str | None:
        """The zone that answers."""
        ...


class StreamRecord:
    """What a stream says of itself, and what was counted; synchronous or not.

    Args:
        head: What is known of the stream.
        started: When the request was sent, by ``clock``; now by default.
        clock: Gives seconds that only grow.
    """

    def __init__(
        self,
        head: StreamHead,
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
        self._read_by: str | None = None

    @property
    def content_type(self) -> str | None:
        """The MIME type of what the model streams, ``None`` where it gave none."""
        return self._head.members.get("ContentType")

    @property
    def invoked_production_variant(self) -> str | None:
        """The variant that answers, ``None`` where the service did not say."""
        return self._head.members.get("InvokedProductionVariant")

    @property
    def custom_attributes(self) -> str | None:
        """What the model said besides the payload, ``None`` where nothing."""
        return self._head.members.get("CustomAttributes")

    @property
    def request_id(self) -> str | None:
        """The service's id of the request, ``None`` where it gave none."""
        return self._head.request_id

    @property
    def availability_zone(self) -> str | None:
        """The zone that answers, ``None`` where not known."""
        return self._head.availability_zone

    @property
    def parts_received(self) -> int:
        """How many payload parts have arrived."""
        return self._parts_received

    @property
    def bytes_received(self) -> int:
        """How many bytes of payload have arrived."""
        return self._bytes_received

    @property
    def time_to_first_byte(self) -> float | None:
        """Seconds from sending the request to the first payload byte, ``None`` before it."""
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

    def _tell(self, error: Exception) -> None:
        """Has an error that ends the stream carry how much had arrived."""
        vars(error).update(parts_received=self._parts_received, bytes_received=self._bytes_received)

    def _claim(self, reader: str) -> None:
        """Notes who reads the stream: it can be read once.

        Raises:
            StreamError: It is or was read already.
        """
        if self._read_by is not None:
            raise StreamError(
                f"{reader} cannot read this response stream: {self._read_by} does or did.",
                cause="the parts of a stream come once and are not kept.",
                remedy=f"go on with the iterator that {self._read_by} gave, or stream again.",
            )
        self._read_by = reader


class ResponseStream(StreamRecord):
    """A response stream, read once and one way; leaving early closes it.

    It is closed, and with it the connection if the stream was not read to its end, by reading to
    the end, ``close()``, the end of its ``with`` block, closing or dropping the iterator, an
    exception, or when nothing refers to it any more.

    Whole items that arrived are given before an error is raised: the client's own
    ``ModelStreamError`` and ``InternalStreamFailure`` for what broke at the service,
    ``StreamInterruptedError`` for a connection that was cut, ``PayloadError`` for bytes that are
    not what was asked for; a piece of an item is dropped then. The first three carry
    ``parts_received`` and ``bytes_received``.

    Args:
        answer: The stream as an invoker gives it.
        started: When the request was sent, by ``clock``; now by default.
        clock: Gives seconds that only grow.
    """

    def __init__(
        self,
        answer: StreamAnswer,
        *,
        started: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(answer, started=started, clock=clock)
        self._answer = answer
        self._closer = weakref.finalize(self, answer.close)
        self._closer.atexit = False  # the process's end closes its connections itself

    def bytes(self) -> Generator[builtins.bytes, None, None]:
        """Gives the payload as it arrives, in the parts that the service made."""
        self._claim("bytes()")
        return self._parts()

    def text(self, encoding: str = "utf-8") -> Generator[str, None, None]:
        """Gives text as it arrives; a character cut between parts comes whole.

        Raises:
            ConfigurationError: Python does not know the encoding.
        """
        return self._decoded("text()", TextDecoder(encoding))

    def lines(self, encoding: str = "utf-8") -> Generator[str, None, None]:
        r"""Gives lines without their ends (``\n``, ``\r\n``, ``\r``), an unterminated last too.

        Raises:
            ConfigurationError: Python does not know the encoding.
        """
        return self._decoded("lines()", LineDecoder(encoding))

    def json(self) -> Generator[Any, None, None]:
        """Gives JSON values as each is complete: JSON Lines, concatenated or pretty-printed."""
        return self._decoded("json()", JsonDecoder())

    def sse(self) -> Generator[ServerSentEvent, None, None]:
        """Gives Server-Sent Events, by the rules of ``ServerSentEventDecoder``."""
        return self._decoded("sse()", ServerSentEventDecoder())

    def chat_chunks(self) -> Generator[Any, None, None]:
        """Gives the JSON of each Server-Sent Event's data, up to ``[DONE]``."""
        return self._decoded("chat_chunks()", ChatChunkDecoder())

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._closer.alive

    def close(self) -> None:
        """Closes it; again does nothing."""
        self._closer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
            for part in self._answer.parts():
                self._count(part)
                yield part
                self._check_open()
        except Exception as error:
            self._tell(error)
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


class AsyncStreamSource(StreamHead, Protocol):
    """What an ``AsyncResponseStream`` reads."""

    def parts(self) -> AsyncGenerator[bytes, None]:
        """Gives the bytes of each PayloadPart as it arrives; see ``StreamAnswer.parts``."""
        ...

    async def close(self) -> None:
        """Ends it, and the connection with it where it was not read to its end."""
        ...


class AsyncStreamAnswer:
    """A response stream that has begun.

    Args:
        answer: What the transport reads.
        members: The output's members by botocore's names, without ``Body``.
        exceptions: Makes the client's own exception of an in-stream error.
    """

    def __init__(
        self,
        answer: AsyncHttpStream,
        members: Mapping[str, Any],
        exceptions: Callable[[dict[str, Any]], Exception],
    ) -> None:
        self.members = members
        self.request_id = answer.headers.get("x-amzn-requestid")
        self.availability_zone = answer.availability_zone
        self.status = answer.status
        self._answer = answer
        self._exceptions = exceptions

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Gives the bytes of each PayloadPart as it arrives; see ``StreamAnswer.parts``."""
        decoder = PayloadPartDecoder(self._exceptions)
        try:
            async for chunk in self._answer.chunks():
                for part in decoder.feed(chunk):
                    yield part
                decoder.check()
        except HTTPClientError as error:
            raise decoder.interrupted(error) from error
        for part in decoder.finish():
            yield part

    async def close(self) -> None:
        """Ends it, and the connection with it where it was not read to its end."""
        await self._answer.close()


class AsyncResponseStream(StreamRecord):
    """A response stream, read once and one way; use it in an ``async with`` block.

    It is closed by reading to the end, ``close()``, the end of the block, and an exception. What
    it gives and raises is what ``ResponseStream`` does.

    Args:
        answer: The stream.
        started: When the request was sent, by ``clock``; now by default.
        clock: Gives seconds that only grow.
    """

    def __init__(
        self,
        answer: AsyncStreamSource,
        *,
        started: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(answer, started=started, clock=clock)
        self._answer = answer
        self._closed = False

    def bytes(self) -> AsyncGenerator[builtins.bytes, None]:
        """Gives the payload as it arrives, in the parts that the service made."""
        self._claim("bytes()")
        return self._parts()

    def text(self, encoding: str = "utf-8") -> AsyncGenerator[str, None]:
        """Gives text as it arrives; a character cut between parts comes whole."""
        return self._decoded("text()", TextDecoder(encoding))

    def lines(self, encoding: str = "utf-8") -> AsyncGenerator[str, None]:
        """Gives lines without their ends, an unterminated last one too."""
        return self._decoded("lines()", LineDecoder(encoding))

    def json(self) -> AsyncGenerator[Any, None]:
        """Gives JSON values as each is complete."""
        return self._decoded("json()", JsonDecoder())

    def sse(self) -> AsyncGenerator[ServerSentEvent, None]:
        """Gives Server-Sent Events."""
        return self._decoded("sse()", ServerSentEventDecoder())

    def chat_chunks(self) -> AsyncGenerator[Any, None]:
        """Gives the JSON of each Server-Sent Event's data, up to ``[DONE]``."""
        return self._decoded("chat_chunks()", ChatChunkDecoder())

    async def close(self) -> None:
        """Closes it; again does nothing."""
        if not self._closed:
            self._closed = True
            await self._answer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _parts(self) -> AsyncGenerator[builtins.bytes, None]:
        try:
            async for part in self._answer.parts():
                self._count(part)
                yield part
        except Exception as error:
            self._tell(error)
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
