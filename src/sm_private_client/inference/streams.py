"""ResponseStream: a response stream as bytes, text, lines, JSON values or Server-Sent Events."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

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
    from collections.abc import Callable, Generator, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client.inference.decoders import Decoder, ServerSentEvent
    from sm_private_client.inference.invoking import StreamAnswer

__all__ = ["ResponseStream", "StreamHead", "StreamRecord"]

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
