"""A report as one self-contained HTML page, and as what a notebook shows: no script, no fetch."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.lines import details_of, title_of, verdict, well
from sm_private_client.doctor.path_picture import picture

if TYPE_CHECKING:
    from sm_private_client.doctor.records import Diagnosis, Finding

__all__ = ["fragment", "page"]

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
.smp-doctor .failure { color: var(--broken); } .smp-doctor .warning { color: var(--unknown); }
.smp-doctor .unknown-status { color: var(--unknown); } .smp-doctor .ok-status { color: var(--ok); }
.smp-doctor dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 10px; margin: 0; }
.smp-doctor dt { color: var(--quiet); } .smp-doctor dd { margin: 0; }
.smp-doctor code { font: 13px ui-monospace, monospace; }
.smp-doctor details { margin-top: 12px; } .smp-doctor summary { color: var(--ok); }
.smp-doctor .foot { color: var(--quiet); margin-top: 12px; }
"""
_CLASSES: Final = {
    "ok": "ok-status",
    "warning": "warning",
    "failure": "failure",
    "unknown": "unknown-status",
}


def fragment(report: Diagnosis) -> str:
    """Gives the report as an element that stands by itself in any page."""
    wrong = "".join(_row(finding) for finding in report.findings if finding.status != "ok")
    right = "".join(_row(finding) for finding in report.findings if finding.status == "ok")
    return (
        f'<div class="smp-doctor"><style>{_STYLE}</style><h1>{escape(verdict(report))}</h1>'
        f'<div class="map">{picture(report.paths)}</div><table>{wrong}</table>'
        f"<details><summary>ok: {escape(well(report))}</summary><table>{right}</table></details>"
        f'<p class="foot">{len(report.findings)} findings in {report.seconds:.1f} s, '
        f"{escape(report.created)}</p></div>"
    )


def page(report: Diagnosis) -> str:
    """Gives the report as a whole page in one file."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(verdict(report))}</title>"
        "<style>:root { color-scheme: light dark; } body { margin: 24px; } "
        "@media (prefers-color-scheme: dark) { body { background: #0d1117; } }</style></head>"
        f"<body>{fragment(report)}</body></html>\n"
    )


def _row(finding: Finding) -> str:
    details = "".join(
        f"<dt>{escape(word)}</dt><dd>{_text(word, text)}</dd>" for word, text in details_of(finding)
    )
    return (
        f'<tr><td class="status {_CLASSES[finding.status]}">{escape(finding.status)}</td>'
        f"<td><strong>{escape(title_of(finding))}</strong><dl>{details}</dl></td></tr>"
    )


def _text(word: str, text: str) -> str:
    return f"<code>{escape(text)}</code>" if word == "remedy" else escape(text)
