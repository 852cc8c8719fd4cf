"""Differences between the rights that two policies give."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sm_private_client.policy.evaluation import Decision, evaluate
from sm_private_client.policy.parsing import Policy, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.policy.caller import GivenContext

__all__ = ["Change", "diff"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One right that is given or taken: what the old policy decides, and what the new one does."""

    principal: str
    action: str
    resource: str
    before: Decision
    after: Decision

    @property
    def is_given(self) -> bool:
        """Whether the new policy allows what the old one did not."""
        return self.after.allowed

    def __str__(self) -> str:
        """Return ``+ PRINCIPAL ACTION RESOURCE`` for a right that is given, ``-`` for one taken."""
        sign = "+" if self.is_given else "-"
        return f"{sign} {self.principal} {self.action} {self.resource}"


def diff(
    old: Policy,
    new: Policy,
    *,
    actions: Iterable[str],
    resources: Iterable[str],
    principals: Iterable[str],
    context: GivenContext | None = None,
) -> tuple[Change, ...]:
    """Compare two policies call by call; what both allow or both deny is left out.

    Every principal is tried on every resource with every action, in that order. ``context`` has
    the condition keys of the calls, as in ``evaluate``.

    Raises:
        PolicyError: One of the documents cannot be read.
    """
    documents = parse(old), parse(new)
    changes = []
    for principal, resource, action in itertools.product(principals, resources, actions):
        before, after = (
            evaluate(one, principal=principal, action=action, resource=resource, context=context)
            for one in documents
        )
        if before.allowed != after.allowed:
            changes.append(
                Change(
                    principal=principal,
                    action=action,
                    resource=resource,
                    before=before,
                    after=after,
                )
            )
    return tuple(changes)
