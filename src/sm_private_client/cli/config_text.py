"""ConfigText: the text of an AWS config file, changed in place and nowhere else; pure.

Only what is asked for is touched: comments, order, blank lines and line ends stay. It reads what
is commonly written; whoever uses it has botocore read the result before it counts.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ConfigText"]

_HEADER: Final = re.compile(r"\[(?P<header>[^\]]+)\]")
_OPTION: Final = re.compile(
    r"(?P<start>\s*(?P<key>[^\s=:#;][^=:]*?)\s*[=:][ \t]*)(?P<value>.*?)\s*\Z"
)
_INDENT: Final = "  "


class ConfigText:
    """The lines of a config file.

    Args:
        text: The file's text; line ends of either kind.
    """

    def __init__(self, text: str) -> None:
        self._end = "\r" if "\r\n" in text else ""  # what a line of its own ends in before \n
        self._lines = text.split("\n")

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def has(self, section: Sequence[str]) -> bool:
        """Says whether there is a section, by the words of its header."""
        return any(_words(header) == list(section) for _, header in self._headers())

    def set_option(self, section: Sequence[str], key: str, value: str) -> None:
        """Sets an option of a section; both are made where they are not there.

        Args:
            section: The words of its header, such as ``("profile", "prod")``.
            key: The option's name.
            value: Its value.
        """
        start, end = self._section(section)
        found = self._option(key, start, end)
        if found is None:
            self._lines.insert(start, f"{key} = {value}{self._end}")
        else:
            self._replace(found, value)

    def set_nested(self, section: Sequence[str], key: str, nested: str, value: str) -> None:
        """Sets an option that stands, indented, below an option of a section; see above."""
        start, end = self._section(section)
        found = self._option(key, start, end)
        if found is None:
            while end > start and not self._is_content(end - 1):
                end -= 1  # what is blank or a comment before a header belongs to what follows
            added = [f"{key} =", f"{_INDENT}{nested} = {value}"]
            self._lines[end:end] = [line + self._end for line in added]
            return
        last = found + 1
        while last < end and (self._lines[last][:1].isspace() or not self._is_content(last)):
            last += 1
        inner = self._option(nested, found + 1, last, is_nested=True)
        if inner is None:
            self._lines.insert(found + 1, f"{_INDENT}{nested} = {value}{self._end}")
        else:
            self._replace(inner, value)

    def _section(self, section: Sequence[str]) -> tuple[int, int]:
        """Gives the first line below a section's header, and the line after its last."""
        headers = self._headers()
        for place, (number, header) in enumerate(headers):
            if _words(header) == list(section):
                following = headers[place + 1][0] if place + 1 < len(headers) else len(self._lines)
                if following == len(self._lines) and not self._lines[-1]:
                    following -= 1  # what follows the last line end is no line
                return number + 1, following
        return self._append(section)

    def _headers(self) -> list[tuple[int, str]]:
        return [
            (number, found["header"])
            for number, line in enumerate(self._lines)
            if (found := _HEADER.match(line))
        ]

    def _append(self, section: Sequence[str]) -> tuple[int, int]:
        if self._lines[-1]:  # the last line has no end
            self._lines[-1] += self._end
            self._lines.append("")
        if len(self._lines) > 1 and self._lines[-2].strip():
            self._lines.insert(-1, self._end)
        self._lines.insert(-1, f"[{shlex.join(section)}]{self._end}")
        place = len(self._lines) - 1
        return place, place

    def _option(self, key: str, start: int, end: int, *, is_nested: bool = False) -> int | None:
        for number in range(start, end):
            line = self._lines[number]
            found = _OPTION.match(line)
            if found and found["key"] == key and line[:1].isspace() == is_nested:
                return number
        return None

    def _replace(self, number: int, value: str) -> None:
        found = _OPTION.match(self._lines[number])
        if found is not None and found["value"] != value:
            self._lines[number] = f"{found['start']}{value}{self._end}"

    def _is_content(self, number: int) -> bool:
        line = self._lines[number].strip()
        return bool(line) and not line.startswith(("#", ";"))


def _words(header: str) -> list[str]:
    try:
        return shlex.split(header)
    except ValueError:  # a quotation mark without its other half
        return []
