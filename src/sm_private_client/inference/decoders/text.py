"""What decoders share, and text and lines."""

from __future__ import annotations

import codecs
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from sm_private_client.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Decoder", "LineDecoder", "TextDecoder"]

T = TypeVar("T")


class Decoder(ABC, Generic[T]):
    """Takes bytes as they arrive and gives the items that they complete.

    Items that came before a failure are given first: ``feed`` returns them and keeps the failure,
    which ``check``, and every later ``feed`` or ``finish``, raises. So the loop is::

        for part in parts:
            yield from decoder.feed(part)
            decoder.check()
        yield from decoder.finish()
    """

    _failures: ClassVar[tuple[type[Exception], ...]] = (PayloadError,)

    def __init__(self) -> None:
        self._failure: Exception | None = None

    def feed(self, data: bytes) -> list[T]:
        """Gives the items that these bytes complete."""
        self.check()
        return self._collect(self._take(data))

    def finish(self) -> list[T]:
        """Gives the items that the end of the stream completes."""
        self.check()
        items = self._collect(self._end())
        self.check()
        return items

    def check(self) -> None:
        """Raises the failure that stopped ``feed``, if there was one."""
        if self._failure is not None:
            raise self._failure

    @property
    def done(self) -> bool:
        """Whether the items end here, whatever else the stream carries."""
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
        """Gives the items that these bytes complete, then raises one of ``_failures`` if any."""

    @abstractmethod
    def _end(self) -> Iterator[T]:
        """Gives the items that the end completes, or raises one of ``_failures``."""


class TextDecoder(Decoder[str]):
    """Gives text as it arrives; a character that is cut waits for its other bytes.

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
        """Gives what is well formed before the byte that is not, then raises."""
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
    r"""Gives lines without their ends, which are ``\n``, ``\r\n`` or ``\r`` as in Python's files.

    A last line without an end is given when the stream finishes.

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
