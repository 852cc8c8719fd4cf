"""Patterns of policies: ``*`` is any run of characters, ``?`` is any one."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Pattern", "Wildcard"]


class Wildcard(enum.Enum):
    """What is no character of its own in a pattern."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern in its tokens, so that a literal ``*`` and a wildcard are told apart.

    Attributes:
        tokens: Single characters and wildcards.
    """

    tokens: tuple[str | Wildcard, ...]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Reads ``*`` and ``?`` in a text as wildcards."""
        return cls(tuple(wildcard_or(character) for character in text))

    @property
    def text(self) -> str:
        """The pattern with its wildcards as the characters they are written with."""
        return "".join(t.value if isinstance(t, Wildcard) else t for t in self.tokens)

    def matches(self, text: str) -> bool:
        """Says whether the whole text fits; takes time of pattern times text at the worst."""
        tokens, here, there = self.tokens, 0, 0
        star, resume = -1, 0  # the last ``*``, and where in the text to go on if what follows fails
        while there < len(text):
            token = tokens[here] if here < len(tokens) else None
            if token is Wildcard.MANY:
                star, resume = here, there
                here += 1
            elif token is Wildcard.ONE or token == text[there]:
                here, there = here + 1, there + 1
            elif star >= 0:
                resume += 1
                here, there = star + 1, resume
            else:
                return False
        return all(token is Wildcard.MANY for token in tokens[here:])

    def split(self, separator: str, times: int) -> tuple[Pattern, ...]:
        """Cuts at the first literal separators, as ``str.split`` does."""
        return tuple(self._parts(separator, times))

    def _parts(self, separator: str, times: int) -> Iterator[Pattern]:
        start = 0
        for position, token in enumerate(self.tokens):
            if token == separator and times > 0:
                yield Pattern(self.tokens[start:position])
                start, times = position + 1, times - 1
        yield Pattern(self.tokens[start:])


def wildcard_or(character: str) -> str | Wildcard:
    """Gives the wildcard that a character stands for, or the character."""
    if character == "*":
        return Wildcard.MANY
    return Wildcard.ONE if character == "?" else character
