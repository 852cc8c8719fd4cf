"""Report: a diagnosis that shows itself, as lines and in a notebook."""

from __future__ import annotations

from sm_private_client.doctor.lines import report_lines
from sm_private_client.doctor.page import fragment
from sm_private_client.doctor.records import Diagnosis

__all__ = ["Report"]


class Report(Diagnosis):
    """A diagnosis; ``str()`` gives its lines, and a notebook shows it as a page does."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(report_lines(self))

    def _repr_html_(self) -> str:
        return fragment(self)
