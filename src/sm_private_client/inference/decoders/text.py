"""Decoder, and the decoders of text, lines, Server-Sent Events and chat chunks."""

from __future__ import annotations

import codecs
import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from sm_private_client.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ChatChunkDecoder",
    "Decoder",
    "LineDecoder",
    "ServerSentEvent",
    "ServerSentEventDecoder",
    "TextDecoder",
]

T = TypeVar("T")


class Decoder(ABC, Generic[T]):
    """Takes bytes as they arrive and returns the items that they complete.

    Items before a failure come first: ``feed`` returns them and keeps the failure, which
    ``check``, and every later ``feed`` or ``finish``, raises. So the loop is::

        for chunk in chunks:
            yield from decoder.feed(chunk)
            decoder.check()
        yield from decoder.finish()
    """

    _failures: ClassVar[tuple[type[Exception], ...]] = (PayloadError,)

    def __init__(self) -> None:
        self._failure: Exception | None = None

    def feed(self, data: bytes) -> list[T]:
        """Return the items that these bytes complete."""
        self.check()
        return self._collect(self._take(data))

    def finish(self) -> list[T]:
        """Return the items that the end of the stream completes."""
        self.check()
        items = self._collect(self._end())
        self.check()
        return items

    def check(self) -> None:
        """Raise the failure that stopped ``feed``, if there was one."""
        if self._failure is not None:
            raise self._failure

    @property
    def done(self) -> bool:
        """True if the items end here, whatever else the stream carries."""
        return False

    def _collect(self, items: Iterator[T]) -> list[T]:
        collected: list[T] = []
        try:
            for item in items:
                collected.append(item)  # noqa: PERF402 - list(items) would lose those before a failure
        except self._failures as failure:
            self._failure = failure
        return collected

    @abstractmethod
    def _take(self, data: bytes) -> Iterator[T]:
        """Yield the items that these bytes complete, then raise one of ``_failures`` if any."""

    @abstractmethod
    def _end(self) -> Iterator[T]:
        """Yield the items that the end completes, or raise one of ``_failures``."""


class TextDecoder(Decoder[str]):
    """Decoder of text as it arrives; a character that is cut waits for its other bytes.

    Args:
        encoding: A text encoding that Python knows.

    Raises:
        ConfigurationError: Python does not know it.
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        try:
            "".encode(encoding)  # refuses what is not a text encoding, such as hex
            self._decoder = codecs.getincrementaldecoder(encoding)()
        except LookupError as error:
            raise ConfigurationError(
                f"encoding={encoding!r} is not a text encoding that Python knows.",
                remedy="name one of https://docs.python.org/3/library/codecs.html#standard-encodings",
            ) from error
        self._encoding = encoding
        self._bytes = 0

    def _take(self, data: bytes) -> Iterator[str]:
        before = self._decoder.getstate()
        try:
            text = self._decoder.decode(data)
        except UnicodeError:  # utf-16 without its byte-order mark is a bare one
            text = None
        if text is None:
            self._decoder.setstate(before)
            yield from self._take_singly(data)
        elif text:
            yield text
        self._bytes += len(data)

    def _take_singly(self, data: bytes) -> Iterator[str]:
        """Yield what is well formed before the byte that is not, then raise."""
        good: list[str] = []
        for byte in data:
            try:
                good.append(self._decoder.decode(bytes((byte,))))
            except UnicodeError:
                break
        if text := "".join(good):
            yield text
        # Raised here, not where it was caught: a UnicodeDecodeError holds the payload.
        raise PayloadError(
            f"Byte {self._bytes + len(good)} of the payload is not valid {self._encoding}.",
            remedy="read it with bytes(), or as text with the encoding that the model writes.",
        )

    def _end(self) -> Iterator[str]:
        try:
            text = self._decoder.decode(b"", final=True)
        except UnicodeError:
            text = None
        if text is None:
            raise PayloadError(
                f"The payload ends inside a character of {self._encoding}, "
                f"after byte {self._bytes - 1}."
            )
        if text:
            yield text


class LineDecoder(Decoder[str]):
    r"""Decoder of lines without their ends, which are ``\n``, ``\r\n`` or ``\r``.

    A last line without an end comes when the stream finishes.

    Args:
        encoding: As for ``TextDecoder``.
    """

    _LINE_END: Final = re.compile(r"\r\n?|\n")

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._text = TextDecoder(encoding)
        self._fragments: list[str] = []
        self._after_cr = False

    def _take(self, data: bytes) -> Iterator[str]:
        for text in self._text.feed(data):
            yield from self._split(text)
        self._text.check()

    def _split(self, text: str) -> Iterator[str]:
        start = 1 if self._after_cr and text.startswith("\n") else 0
        for line_end in self._LINE_END.finditer(text, start):
            yield self._line(text[start : line_end.start()])
            start = line_end.end()
        if start < len(text):
            self._fragments.append(text[start:])
        self._after_cr = text.endswith("\r")

    def _line(self, last_fragment: str) -> str:
        line = "".join((*self._fragments, last_fragment))
        self._fragments.clear()
        return line

    def _end(self) -> Iterator[str]:
        for text in self._text.finish():
            yield from self._split(text)
        if self._fragments:
            yield self._line("")


_RETRY: Final = re.compile(r"[0-9]{1,18}")  # milliseconds; more digits are no reconnection time


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ServerSentEvent:
    """One event of ``text/event-stream``.

    Attributes:
        event: Its type; ``message`` by default.
        data: Its data lines, joined with line feeds.
        id: The last event id of the stream; empty before the first.
        retry: The last reconnection time of the stream in milliseconds; ``None`` before the first.
    """

    event: str
    data: str
    id: str
    retry: int | None

    def __repr__(self) -> str:
        return f"ServerSentEvent(event={self.event!r}, data=<{len(self.data)} characters>)"


class ServerSentEventDecoder(Decoder[ServerSentEvent]):
    """Decoder of Server-Sent Events by the rules of the WHATWG HTML standard, section 9.2.6.

    There are two differences. An event whose blank line is missing at the end counts: a stream
    that was cut raises an error by itself, so this one ended so. And bytes that are not UTF-8 are
    a ``PayloadError``, not replaced.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines = LineDecoder()
        self._first = True
        self._event = ""
        self._data: list[str] = []
        self._id = ""
        self._retry: int | None = None

    def _take(self, data: bytes) -> Iterator[ServerSentEvent]:
        for line in self._lines.feed(data):
            yield from self._line(line)
        self._lines.check()

    def _end(self) -> Iterator[ServerSentEvent]:
        for line in self._lines.finish():
            yield from self._line(line)
        yield from self._dispatch()

    def _line(self, line: str) -> Iterator[ServerSentEvent]:
        if self._first:
            line = line.removeprefix("\ufeff")
            self._first = False
        if not line:
            yield from self._dispatch()
            return
        name, _, value = line.partition(":")  # a comment has an empty name
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _RETRY.fullmatch(value):
            self._retry = int(value)

    def _dispatch(self) -> Iterator[ServerSentEvent]:
        if self._data:
            yield ServerSentEvent(
                event=self._event or "message",
                data="\n".join(self._data),
                id=self._id,
                retry=self._retry,
            )
        self._data.clear()
        self._event = ""


class ChatChunkDecoder(Decoder[Any]):
    """Decoder of the JSON in the data of Server-Sent Events, up to ``[DONE]``.

    ``[DONE]`` is the convention of OpenAI's API, which vLLM, TGI and LMI containers follow. The
    end of the stream is an end, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._events = ServerSentEventDecoder()
        self._done = False
        self._chunks = 0

    @property
    def done(self) -> bool:
        """True if ``[DONE]`` has come."""
        return self._done

    def _take(self, data: bytes) -> Iterator[Any]:
        if not self._done:
            yield from self._parse(self._events.feed(data))
        if not self._done:
            self._events.check()

    def _end(self) -> Iterator[Any]:
        if not self._done:
            yield from self._parse(self._events.finish())

    def _parse(self, events: list[ServerSentEvent]) -> Iterator[Any]:
        for event in events:
            if event.data.strip() == "[DONE]":
                self._done = True
                return
            try:
                chunk = json.loads(event.data)
            except (ValueError, RecursionError) as error:
                position = getattr(error, "pos", 0)
            else:
                self._chunks += 1
                yield chunk
                continue
            raise PayloadError(
                f"The data of server-sent event {self._chunks + 1} is not valid JSON at "
                f"character {position}.",
                remedy="read it with sse(), which leaves the data as it is.",
            )
