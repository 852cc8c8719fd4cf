"""What is wrong with a policy, as a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Problem", "Severity"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong, or likely not meant.

    Attributes:
        severity: ``error``: AWS refuses it, or it can never do what it says; ``warning``: it works,
            and is likely not what was meant.
        place: Where, such as ``Statement[1].Action[0]``; empty for the whole document.
        message: What it is, as a sentence.
        remedy: What to write instead, in the imperative.
    """

    severity: Severity
    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        """``error at Statement[0].Action: … Remedy: …`` on one line."""
        place = f" at {self.place}" if self.place else ""
        return f"{self.severity}{place}: {self.message} Remedy: {self.remedy}"
