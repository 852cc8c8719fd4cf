"""Patterns of policies: ``*`` is any run of characters, ``?`` is any one."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["VARIABLE", "Context", "Pattern", "Wildcard", "expand"]


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


Context = Mapping[str, tuple[str, ...]]
"""The keys of a call, in lower case, each with its values."""

VARIABLE: Final = re.compile(
    r"\$\{(?:(?P<literal>[*?$])|\s*(?P<key>[^\s,'{}][^,'{}]*?)\s*(?:,\s*'(?P<default>[^']*)'\s*)?)\}"
)


def expand(text: str, context: Context, *, variables: bool = True) -> Pattern | None:
    """Puts the call's values into a text of a policy.

    The values are literal: a ``*`` in one is no wildcard.

    Args:
        text: An element of a policy.
        context: The call's keys.
        variables: Whether the policy's version has variables.

    Returns:
        The pattern; ``None`` where a variable has no value, which nothing matches.
    """
    if not variables or "${" not in text:
        return Pattern.of(text)
    tokens: list[str | Wildcard] = []
    end = 0
    for found in VARIABLE.finditer(text):
        value = _value(found, context)
        if value is None:
            return None
        tokens += [wildcard_or(character) for character in text[end : found.start()]]
        tokens += value
        end = found.end()
    tokens += [wildcard_or(character) for character in text[end:]]
    return Pattern(tuple(tokens))


def _value(found: re.Match[str], context: Context) -> str | None:
    if found["literal"]:
        return found["literal"]
    values = context.get(found["key"].lower(), ())
    if len(values) == 1:
        return values[0]
    default: str | None = found["default"]
    return default
