"""AsyncResponseStream: a response stream for asyncio, by the decoders of the other one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from botocore.exceptions import HTTPClientError

from sm_private_client.inference.decoders import (
    ChatChunkDecoder,
    JsonDecoder,
    LineDecoder,
    ServerSentEventDecoder,
    TextDecoder,
)
from sm_private_client.inference.eventstream import PayloadPartDecoder
from sm_private_client.inference.streams import StreamHead, StreamRecord

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncGenerator, Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client.inference.decoders import Decoder, ServerSentEvent
    from sm_private_client.transport.async_direct import AsyncHttpStream

__all__ = ["AsyncResponseStream", "AsyncStreamAnswer", "AsyncStreamSource"]

T = TypeVar("T")


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
