"""Patterns of policies with their wildcards and variables."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["VARIABLE", "Context", "Pattern", "Wildcard", "expand"]


class Wildcard(enum.Enum):
    """``*`` is any run of characters, ``?`` is any one."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as single characters and wildcards, so that a literal ``*`` is no wildcard."""

    tokens: tuple[str | Wildcard, ...]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Return the pattern of a text, whose ``*`` and ``?`` are wildcards."""
        return cls(tuple(_tokens(text)))

    @property
    def text(self) -> str:
        """The pattern with its wildcards as the characters they are written with."""
        return "".join(t.value if isinstance(t, Wildcard) else t for t in self.tokens)

    def matches(self, text: str) -> bool:
        """Return True if the whole text fits; takes time of pattern times text at the worst."""
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
        """Split at the first literal separators, as ``str.split`` does."""
        parts: list[Pattern] = []
        rest = self.tokens
        while separator in rest and len(parts) < times:
            position = rest.index(separator)
            parts.append(Pattern(rest[:position]))
            rest = rest[position + 1 :]
        return (*parts, Pattern(rest))


def _tokens(text: str) -> list[str | Wildcard]:
    return [Wildcard(character) if character in "*?" else character for character in text]


Context = Mapping[str, tuple[str, ...]]
"""The keys of a call, in lower case, each with its values."""

VARIABLE: Final = re.compile(
    r"\$\{(?:(?P<literal>[*?$])|\s*(?P<key>[^\s,'{}][^,'{}]*?)\s*(?:,\s*'(?P<default>[^']*)'\s*)?)\}"
)


def expand(text: str, context: Context, *, variables: bool = True) -> Pattern | None:
    """Return the pattern of a policy's text with the call's values in place of its variables.

    A ``*`` in a value is no wildcard. If a variable has no value, return ``None``: nothing matches.
    """
    if not variables or "${" not in text:
        return Pattern.of(text)
    tokens: list[str | Wildcard] = []
    end = 0
    for found in VARIABLE.finditer(text):
        value = _value(found, context)
        if value is None:
            return None
        tokens += [*_tokens(text[end : found.start()]), *value]
        end = found.end()
    return Pattern((*tokens, *_tokens(text[end:])))


def _value(found: re.Match[str], context: Context) -> str | None:
    if found["literal"]:
        return found["literal"]
    values = context.get(found["key"].lower(), ())
    if len(values) == 1:
        return values[0]
    default: str | None = found["default"]
    return default
