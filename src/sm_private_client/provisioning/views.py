"""Show a plan: a table of plain text, and HTML for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.provisioning.records import Blueprint, Step

__all__ = ["as_html", "as_text"]

_HEAD = ("", "Step", "Where and how")


def as_text(plan: Blueprint) -> str:
    """Draws a plan as a table."""
    rows = [_HEAD, *map(_row, plan.steps)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [_title(plan), ""]
    lines += [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip() for row in rows]
    lines += ["", f"Cost an hour: {plan.cost}."]
    lines += [f"Problem: {problem.what} Remedy: {problem.remedy}" for problem in plan.problems]
    lines += [f"Note: {note}" for note in plan.notes]
    return "\n".join(lines)


def as_html(plan: Blueprint) -> str:
    """Draws a plan as HTML; everything that is told is escaped."""
    parts = [f"<p><b>{escape(_title(plan))}</b></p>", "<table><thead>", _html_row("th", _HEAD)]
    parts += ["</thead><tbody>", *(_html_row("td", _row(step)) for step in plan.steps)]
    parts += ["</tbody></table>", f"<p>Cost an hour: {escape(plan.cost)}.</p>"]
    told = [f"Problem: {problem.what} Remedy: {problem.remedy}" for problem in plan.problems]
    told += [f"Note: {note}" for note in plan.notes]
    parts += [f"<p>{escape(line)}</p>" for line in told]
    return "".join(parts)


def _title(plan: Blueprint) -> str:
    return f"Plan {plan.plan_id}: VPC endpoints in {plan.vpc_id}, {plan.region}"


def _row(step: Step) -> tuple[str, str, str]:
    if step.found_id:
        return "found", step.what, f"{step.found_id}: {step.detail}"
    return "make", step.what, step.detail


def _html_row(tag: str, cells: Sequence[str]) -> str:
    inner = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"
