"""What the demonstration says: events, ready to be shown, in the order they happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sm_private_client.cli.route_reports import RouteReport

__all__ = ["Check", "Event", "Fact", "Opening", "Progress", "Routes", "Step", "Summary"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """It begins; loading what it needs takes a moment.

    Attributes:
        text: What is going to be shown.
    """

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A step begins.

    Attributes:
        number: From 1.
        title: What it does.
    """

    number: int
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that was found or measured.

    Attributes:
        name: Its key for machines.
        value: For machines.
        text: For people.
    """

    name: str
    value: Any
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Routes:
    """The route table.

    Attributes:
        reports: A report for each service.
    """

    reports: tuple[RouteReport, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Part of a step is done.

    Attributes:
        done: How many calls have been answered.
        total: Of how many.
    """

    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A claim was put to the test.

    Attributes:
        claim: The claim, as it reads when it holds.
        held: Whether it does.
        found: What was seen, where the claim and the facts above do not say it already.
    """

    claim: str
    held: bool
    found: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The end.

    Attributes:
        held: How many claims held.
        failed: Those that did not.
        seconds: How long it took.
    """

    held: int
    failed: tuple[str, ...]
    seconds: float

    @property
    def text(self) -> str:
        """The outcome in one sentence."""
        if not self.failed:
            return f"All {self.held} claims held, in {self.seconds:.1f} s."
        total = self.held + len(self.failed)
        return f"{len(self.failed)} of {total} claims failed: " + "; ".join(self.failed) + "."


Event = Opening | Step | Fact | Routes | Progress | Check | Summary
