"""Server-Sent Events, and the chat chunks that model servers send in them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import PayloadError
from sm_private_client.inference.decoders.text import Decoder, LineDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChatChunkDecoder", "ServerSentEvent", "ServerSentEventDecoder"]

_RETRY: Final = re.compile(r"[0-9]{1,18}")  # milliseconds; more digits are no reconnection time


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ServerSentEvent:
    """One event of ``text/event-stream``.

    Attributes:
        event: Its type; ``message`` where the stream names none.
        data: Its data lines, joined with line feeds.
        id: The last event id that the stream has set, empty while it has not.
        retry: The last reconnection time that it has set, in milliseconds; ``None`` while not.
    """

    event: str
    data: str
    id: str
    retry: int | None

    def __repr__(self) -> str:
        return f"ServerSentEvent(event={self.event!r}, data=<{len(self.data)} characters>)"


class ServerSentEventDecoder(Decoder[ServerSentEvent]):
    """Gives Server-Sent Events by the rules of the WHATWG HTML standard, section 9.2.6.

    It departs from them in two places. An event whose blank line is missing at the end is given,
    not dropped: a stream that was cut raises an error by itself, so this one ended so. And bytes
    that are not UTF-8 are a ``PayloadError``, not replaced.
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
    """Gives the JSON in the data of Server-Sent Events, up to ``[DONE]``, as chat servers write.

    ``[DONE]`` is the convention of OpenAI's API, which vLLM, TGI and LMI containers follow. A
    stream that ends without it ends too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._events = ServerSentEventDecoder()
        self._done = False
        self._chunks = 0

    @property
    def done(self) -> bool:
        """Whether ``[DONE]`` has come."""
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
