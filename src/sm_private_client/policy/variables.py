"""Policy variables: ``${aws:username}``, with defaults, and the literals ``${*} ${?} ${$}``.

Source: IAM User Guide, "IAM policy elements: Variables and tags". The rules taken from there: keys
are case-insensitive; only keys with one value can be variables; a variable without a value makes
its text match nothing; a policy without ``"Version": "2012-10-17"`` has no variables, ``${...}``
is literal text in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sm_private_client.policy.wildcards import Pattern, Wildcard, wildcard_or

__all__ = ["VARIABLE", "Context", "expand"]

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
