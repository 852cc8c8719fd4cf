"""The decoder of JSON values that follow each other."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import PayloadError
from sm_private_client.inference.decoders.text import Decoder, TextDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JsonDecoder"]


class _At(Enum):
    """The position of a decoder in the JSON text."""

    BETWEEN = "between values"
    SCALAR = "in a number, true, false or null"
    STRING = "in a string"
    NESTED = "in an object or array, and not in a string"


class JsonDecoder(Decoder[Any]):
    """Decoder of JSON values that follow each other: lines, concatenated, pretty-printed; UTF-8.

    ``NaN`` and ``Infinity`` become floats, as Python's models write them. The work grows with the
    bytes only, however large a value and small its chunks are.
    """

    _SPACE: Final = re.compile(r"[ \t\r\n]*")
    _STRUCTURE: Final = re.compile(r'["{}\[\]]')
    _STRING_STOP: Final = re.compile(r'["\\]')
    _SCALAR_STOP: Final = re.compile(r'[ \t\r\n{\["]')
    _SCALAR_START: Final = frozenset("-0123456789tfnNI")
    _whole_value: Final = json.JSONDecoder().raw_decode

    def __init__(self) -> None:
        super().__init__()
        self._text = TextDecoder()
        self._fragments: list[str] = []  # of the value at hand
        self._at = _At.BETWEEN
        self._depth = 0
        self._escaped = False
        self._values = 0
        self._value_start = 0  # in characters of the payload
        self._characters = 0  # before the text at hand

    def _take(self, data: bytes) -> Iterator[Any]:
        for text in self._text.feed(data):
            yield from self._scan(text)
        self._text.check()

    def _end(self) -> Iterator[Any]:
        self._text.finish()
        if self._at is _At.SCALAR:
            yield self._value("")
        elif self._at is not _At.BETWEEN:
            raise PayloadError(
                f"The payload ends after {self._characters} characters, inside JSON value "
                f"{self._values + 1}, which begins at character {self._value_start}."
            )

    def _scan(self, text: str) -> Iterator[Any]:
        position = 1 if self._characters == 0 and text.startswith("\ufeff") else 0
        start = 0
        while position < len(text):
            if self._at is not _At.BETWEEN:
                position, ends = self._advance(text, position)
                if ends:
                    yield self._value(text[start:position])
                continue
            start = self._SPACE.match(text, position).end()  # type: ignore[union-attr] # matches nothing too
            if start == len(text):
                break
            # One call reads a value that is whole and shows its own end; what it cannot read is
            # cut or invalid, which happens once a text at most.
            if text[start] in '{["':
                try:
                    value, position = self._whole_value(text, start)
                except (ValueError, RecursionError):
                    pass
                else:
                    self._values += 1
                    yield value
                    continue
            self._begin(text[start], self._characters + start)
            position = start + 1
        if self._at is not _At.BETWEEN:
            self._fragments.append(text[start:])
        self._characters += len(text)

    def _begin(self, character: str, position: int) -> None:
        self._value_start = position
        if character == '"':
            self._at = _At.STRING
        elif character in "{[":
            self._at, self._depth = _At.NESTED, 1
        elif character in self._SCALAR_START:
            self._at = _At.SCALAR
        else:
            raise PayloadError(
                f"No JSON value begins at character {position} of the payload, after "
                f"{self._values} values."
            )

    def _advance(self, text: str, position: int) -> tuple[int, bool]:
        """Return the position scanned up to, and True if the value ends there."""
        if self._escaped:
            self._escaped = False
            return position + 1, False
        stop = {
            _At.SCALAR: self._SCALAR_STOP,
            _At.STRING: self._STRING_STOP,
            _At.NESTED: self._STRUCTURE,
        }[self._at].search(text, position)
        if stop is None:
            return len(text), False
        if self._at is _At.SCALAR:
            return stop.start(), True
        character = stop[0]
        if character == "\\":
            self._escaped = True
        elif self._at is _At.STRING:
            self._at = _At.NESTED
        elif character == '"':
            self._at = _At.STRING
        else:
            self._depth += 1 if character in "{[" else -1
        return stop.end(), self._at is _At.NESTED and self._depth == 0

    def _value(self, last_fragment: str) -> object:
        whole = "".join((*self._fragments, last_fragment))
        self._fragments.clear()
        self._at = _At.BETWEEN
        position = self._value_start
        try:
            value = json.loads(whole)
        except json.JSONDecodeError as error:
            position += error.pos
        except (ValueError, RecursionError):  # digits or nesting beyond what Python reads
            pass
        else:
            self._values += 1
            return value
        # Raised here, not where it was caught: a JSONDecodeError holds the payload.
        raise PayloadError(
            f"JSON value {self._values + 1} of the payload is not valid at character {position}."
        )
