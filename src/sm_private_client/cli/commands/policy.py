"""``sm-private-client policy``: documents built, looked over, judged by, and attached."""

from __future__ import annotations

from typing import ClassVar

import typer

from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.lazy_commands import LazyCommands

__all__ = ["app"]


class _Policy(LazyCommands):
    modules: ClassVar = {
        "build": (
            "policy_build",
            "Write the policy document that a sentence means, and look it over.",
        ),
        "check": (
            "policy_check",
            "Look a policy over before AWS does: what is refused, and what is likely not meant.",
        ),
        "explain": (
            "policy_check",
            "Say in one English line what each statement of a policy really does.",
        ),
        "simulate": (
            "policy_check",
            "Judge one call by a policy: allowed or denied, by which statement, and why.",
        ),
        "apply": (
            "policy_apply",
            "Give a VPC endpoint a policy, once it is known what that changes.",
        ),
        "restore": (
            "policy_apply",
            "Give a VPC endpoint back a policy that `policy apply` replaced.",
        ),
    }


app = typer.Typer(
    cls=_Policy,
    help="Build, check, explain, simulate, apply and restore policies.",
    rich_markup_mode=None,
    no_args_is_help=True,
    epilog=EXIT_STATUS,
)
