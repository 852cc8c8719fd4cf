"""A report as lines of text, as an HTML page in one file, and as an element for a notebook.

The page runs no script and fetches nothing.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.findings import Finding, Hop, HopName, HopState, Path, Report

__all__ = [
    "details_of",
    "fragment",
    "page",
    "passed_checks",
    "path_svg",
    "report_lines",
    "summary",
    "title_of",
]

# Text


def summary(report: Report) -> str:
    """Return the outcome in one sentence."""
    cause = report.root_cause
    if cause is not None:
        return f"Broken in {report.region}: {cause.seen}"
    if report.exit_status:
        return f"Could not tell in {report.region}: a hop of a path could not be looked at."
    count = sum(finding.status == "warning" for finding in report.findings)
    warned = f", with {count} warning{'s' if count > 1 else ''}" if count else ""
    return f"Healthy in {report.region}{warned}."


def title_of(finding: Finding) -> str:
    """Return what a finding is about, and which one it follows from."""
    follows = f" (follows from {finding.follows_from})" if finding.follows_from else ""
    return f"{finding.check}: {finding.subject}{follows}"


def details_of(finding: Finding) -> Iterator[tuple[str, str]]:
    """Yield pairs of a label and its text: what was seen, the cause, each remedy.

    A finding that follows from another one is mended with that one, and has no remedy here.
    """
    yield "seen", finding.seen
    if finding.follows_from is None:
        if finding.cause:
            yield "cause", finding.cause
        for remedy in finding.remedy:
            yield "remedy", remedy


def passed_checks(report: Report) -> str:
    """Return the names of the checks that found nothing wrong, with how often if more than once."""
    counts = Counter(finding.check for finding in report.findings if finding.status == "ok")
    return ", ".join(f"{check} ({n})" if n > 1 else check for check, n in counts.items())


def _footer(report: Report) -> str:
    return f"{len(report.findings)} findings in {report.seconds:.1f} s, {report.created}"


def report_lines(report: Report) -> Iterator[str]:
    """Yield the report line by line, without colours; all that is ok takes one line."""
    yield summary(report)
    yield ""
    width = max((len(path.service_name) for path in report.paths), default=0)
    for path in report.paths:
        yield f"{path.service_name:<{width}}  {path.line}"
    yield ""
    for finding in report.findings:
        if finding.status != "ok":
            yield f"{finding.status:<7}  {title_of(finding)}"
            for label, text in details_of(finding):
                yield f"    {label + ':':<8} {text}"
    yield f"{'ok':<7}  {passed_checks(report)}"
    yield ""
    yield _footer(report)


# HTML

_STYLE: Final = """
.smp-doctor { --ok: #1a7f37; --broken: #cf222e; --unknown: #9a6700; --quiet: #6e7781;
  --ink: #1f2328; --paper: #ffffff; --box: #f6f8fa;
  color: var(--ink); background: var(--paper); font: 14px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .smp-doctor { --ok: #3fb950; --broken: #f85149;
  --unknown: #d29922; --quiet: #8d96a0; --ink: #e6edf3; --paper: #0d1117; --box: #161b22; } }
.smp-doctor h1 { font-size: 18px; margin: 0 0 12px; overflow-wrap: anywhere; }
.smp-doctor .map { overflow-x: auto; }
.smp-doctor svg { display: block; max-width: 100%; min-width: 760px; height: auto; }
.smp-doctor svg text { font: 11px ui-monospace, monospace; fill: var(--ink); }
.smp-doctor svg .service, .smp-doctor svg .title { font: 600 13px system-ui, sans-serif; }
.smp-doctor svg rect { fill: var(--box); stroke: var(--quiet); stroke-width: 1.5; }
.smp-doctor svg .ok rect, .smp-doctor svg .arrow.ok { stroke: var(--ok); }
.smp-doctor svg .broken rect, .smp-doctor svg .arrow.broken { stroke: var(--broken); }
.smp-doctor svg .broken rect { stroke-width: 3; }
.smp-doctor svg .unknown rect, .smp-doctor svg .arrow.unknown { stroke: var(--unknown); }
.smp-doctor svg .arrow.not-reached { stroke: var(--quiet); stroke-dasharray: 3 3; }
.smp-doctor svg .not-reached { opacity: .6; }
.smp-doctor svg .ok .title { fill: var(--ok); }
.smp-doctor svg .broken .title { fill: var(--broken); }
.smp-doctor svg .unknown .title { fill: var(--unknown); }
.smp-doctor table { border-collapse: collapse; width: 100%; margin-top: 8px; }
.smp-doctor td { border-top: 1px solid var(--quiet); padding: 6px 10px 6px 0;
  text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.smp-doctor .status { font-weight: 600; white-space: nowrap; }
.smp-doctor .failure-status { color: var(--broken); }
.smp-doctor .warning-status { color: var(--unknown); }
.smp-doctor .unknown-status { color: var(--unknown); } .smp-doctor .ok-status { color: var(--ok); }
.smp-doctor dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 10px; margin: 0; }
.smp-doctor dt { color: var(--quiet); } .smp-doctor dd { margin: 0; }
.smp-doctor code { font: 13px ui-monospace, monospace; }
.smp-doctor details { margin-top: 12px; } .smp-doctor summary { color: var(--ok); }
.smp-doctor .foot { color: var(--quiet); margin-top: 12px; }
"""


def page(report: Report) -> str:
    """Return the report as a whole page in one file."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(summary(report))}</title>"
        "<style>:root { color-scheme: light dark; } body { margin: 24px; } "
        "@media (prefers-color-scheme: dark) { body { background: #0d1117; } }</style></head>"
        f"<body>{fragment(report)}</body></html>\n"
    )


def fragment(report: Report) -> str:
    """Return the report as an element that needs nothing of the page around it."""
    wrong = "".join(_row(finding) for finding in report.findings if finding.status != "ok")
    passed = "".join(_row(finding) for finding in report.findings if finding.status == "ok")
    names = escape(passed_checks(report))
    return (
        f'<div class="smp-doctor"><style>{_STYLE}</style><h1>{escape(summary(report))}</h1>'
        f'<div class="map">{path_svg(report.paths)}</div><table>{wrong}</table>'
        f"<details><summary>ok: {names}</summary><table>{passed}</table></details>"
        f'<p class="foot">{escape(_footer(report))}</p></div>'
    )


def _row(finding: Finding) -> str:
    status = finding.status
    details = "".join(
        f"<dt>{label}</dt><dd>{_text(label, text)}</dd>" for label, text in details_of(finding)
    )
    return (
        f'<tr><td class="status {status}-status">{status}</td>'
        f"<td><strong>{escape(title_of(finding))}</strong><dl>{details}</dl></td></tr>"
    )


def _text(label: str, text: str) -> str:
    return f"<code>{escape(text)}</code>" if label == "remedy" else escape(text)


# The picture of the paths

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


def path_svg(paths: tuple[Path, ...]) -> str:
    """Draw the paths, one below the other, as an ``<svg>`` element.

    Colours come from the classes ``ok``, ``broken``, ``unknown`` and ``not-reached``.
    """
    hops = max((len(path.hops) for path in paths), default=0)
    width = max(hops * (_BOX + _GAP) - _GAP, 0) + 2
    height = len(paths) * (_HEAD + _HEIGHT + _GAP)
    drawn = "".join(
        part
        for row, path in enumerate(paths)
        for part in _path_row(path, row * (_HEAD + _HEIGHT + _GAP))
    )
    label = escape("; ".join(f"{path.service_name}: {path.line}" for path in paths))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{label}">{drawn}</svg>'
    )


def _path_row(path: Path, top: int) -> Iterator[str]:
    yield f'<text class="service" x="1" y="{top + 18}">{escape(path.service_name)}</text>'
    for number, hop in enumerate(path.hops):
        left = 1 + number * (_BOX + _GAP)
        if number:
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
    label = "" if hop.label == _TITLES[hop.name] else hop.label
    for number, line in enumerate(_lines(label)):
        x, y = left + 10, top + 42 + number * _LINE
        yield f'<text class="label" x="{x}" y="{y}">{escape(line)}</text>'
    yield "</g>"


def _lines(label: str) -> list[str]:
    """Break a label at spaces, and a long host name behind its dots."""
    spaced = " ".join(
        word if len(word) <= _LETTERS else word.replace(".", ". ") for word in label.split()
    )
    lines = textwrap.wrap(spaced, _LETTERS, break_long_words=True, break_on_hyphens=False)
    joined = [line.replace(". ", ".") for line in lines]
    return joined if len(joined) <= _LINES else [*joined[: _LINES - 1], f"{joined[_LINES - 1]}…"]
