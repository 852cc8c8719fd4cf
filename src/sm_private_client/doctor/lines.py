"""A report as plain lines: the paths, what is wrong and how to mend it, what is well."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.records import Diagnosis, Finding

__all__ = ["details_of", "report_lines", "title_of", "verdict", "well"]

_INDENT: Final = "    "


def verdict(report: Diagnosis) -> str:
    """Gives the outcome in one sentence."""
    cause = report.root_cause
    if cause is not None:
        return f"Broken in {report.region}: {cause.seen}"
    if report.exit_status:
        return f"Could not tell in {report.region}: a hop of a path could not be looked at."
    count = sum(finding.status == "warning" for finding in report.findings)
    warned = f", with {count} warning{'s' if count > 1 else ''}" if count else ""
    return f"Healthy in {report.region}{warned}."


def title_of(finding: Finding) -> str:
    """Gives what a finding is about, and which one it follows from."""
    follows = f" (follows from {finding.follows_from})" if finding.follows_from else ""
    return f"{finding.check}: {finding.subject}{follows}"


def details_of(finding: Finding) -> Iterator[tuple[str, str]]:
    """Gives pairs of a word and its text: what was seen, the cause, each remedy.

    What only follows from another finding is mended with that one, and needs no remedy here.
    """
    yield "seen", finding.seen
    if finding.cause and finding.follows_from is None:
        yield "cause", finding.cause
    for remedy in () if finding.follows_from else finding.remedy:
        yield "remedy", remedy


def well(report: Diagnosis) -> str:
    """Names the checks that found nothing wrong, with how often where that is more than once."""
    counts = Counter(finding.check for finding in report.findings if finding.status == "ok")
    return ", ".join(f"{check} ({n})" if n > 1 else check for check, n in counts.items())


def report_lines(report: Diagnosis) -> Iterator[str]:
    """Gives the report line by line, without colours; what is well takes one line."""
    yield verdict(report)
    yield ""
    width = max((len(path.service_name) for path in report.paths), default=0)
    for path in report.paths:
        yield f"{path.service_name:<{width}}  {path.line}"
    yield ""
    for finding in report.findings:
        if finding.status == "ok":
            continue
        yield f"{finding.status:<7}  {title_of(finding)}"
        for word, text in details_of(finding):
            yield f"{_INDENT}{word + ':':<8} {text}"
    yield f"{'ok':<7}  {well(report)}"
    yield ""
    yield f"{len(report.findings)} findings in {report.seconds:.1f} s, {report.created}"
