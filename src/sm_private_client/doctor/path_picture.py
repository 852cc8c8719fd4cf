"""The paths of a report as one SVG picture: a row of boxes for each service."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.records import Hop, HopName, HopState, Path

__all__ = ["picture"]

_TITLES: Final[dict[HopName, str]] = {
    "you": "you",
    "dns": "DNS",
    "network-interface": "network interface",
    "tls": "TLS",
    "signature": "signature",
    "endpoint-policy": "endpoint policy",
    "service": "service",
}
_MARKS: Final[dict[HopState, str]] = {"ok": "✓", "broken": "✗", "unknown": "?", "not-reached": "·"}
_BOX: Final = 164  # all measures in SVG units, a pixel each where it is shown at its own size
_GAP: Final = 24
_HEIGHT: Final = 104
_HEAD: Final = 30
_LINE: Final = 15
_LETTERS: Final = 22
"""Letters of 11 units that fit into a box."""

_LINES: Final = 4
"""Lines that fit below a box's title."""


def picture(paths: tuple[Path, ...]) -> str:
    """Draws the paths, one below the other, as an ``<svg>`` element.

    Colours come from the classes ``ok``, ``broken``, ``unknown`` and ``not-reached``.
    """
    hops = max((len(path.hops) for path in paths), default=0)
    width = max(hops * (_BOX + _GAP) - _GAP, 0) + 2
    height = len(paths) * (_HEAD + _HEIGHT + _GAP)
    drawn = "".join(
        part
        for row, path in enumerate(paths)
        for part in _row(path, row * (_HEAD + _HEIGHT + _GAP))
    )
    told = escape("; ".join(f"{path.service_name}: {path.line}" for path in paths))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{told}">{drawn}</svg>'
    )


def _row(path: Path, top: int) -> Iterator[str]:
    yield f'<text class="service" x="1" y="{top + 18}">{escape(path.service_name)}</text>'
    for place, hop in enumerate(path.hops):
        left = 1 + place * (_BOX + _GAP)
        if place:
            yield _arrow(left - _GAP, top + _HEAD + _HEIGHT // 2, hop.state)
        yield from _box(hop, left, top + _HEAD)


def _arrow(left: int, middle: int, state: HopState) -> str:
    right = left + _GAP - 4
    return (
        f'<path class="arrow {state}" d="M{left + 3} {middle}H{right}m-5 -5l5 5l-5 5" '
        'fill="none" stroke-width="2"/>'
    )


def _box(hop: Hop, left: int, top: int) -> Iterator[str]:
    yield (
        f'<g class="hop {hop.state}"><rect x="{left}" y="{top}" width="{_BOX}" '
        f'height="{_HEIGHT}" rx="8"/>'
        f'<text class="title" x="{left + 10}" y="{top + 22}">'
        f"{_MARKS[hop.state]} {escape(_TITLES[hop.name])}</text>"
    )
    said = "" if hop.label == _TITLES[hop.name] else hop.label
    for number, line in enumerate(_lines(said)):
        x, y = left + 10, top + 42 + number * _LINE
        yield f'<text class="label" x="{x}" y="{y}">{escape(line)}</text>'
    yield "</g>"


def _lines(label: str) -> list[str]:
    """Breaks a label at spaces, and a long host name behind its dots."""
    spaced = " ".join(
        word if len(word) <= _LETTERS else word.replace(".", ". ") for word in label.split()
    )
    lines = textwrap.wrap(spaced, _LETTERS, break_long_words=True, break_on_hyphens=False)
    joined = [line.replace(". ", ".") for line in lines]
    return joined if len(joined) <= _LINES else [*joined[: _LINES - 1], f"{joined[_LINES - 1]}…"]
