"""``sm-private-client endpoints``: VPC endpoints listed, planned, made, removed, exported."""

from __future__ import annotations

from typing import ClassVar

import typer

from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.lazy_commands import LazyCommands

__all__ = ["app"]


class _VpcEndpoints(LazyCommands):
    modules: ClassVar = {
        "list": (
            "endpoint_list",
            "List the VPC endpoints of SageMaker and the other services, as EC2 shows them.",
        ),
        "plan": (
            "endpoint_plans",
            "Show which VPC endpoints would be made, and what stands against it; change nothing.",
        ),
        "create": (
            "endpoint_plans",
            "Make the VPC endpoints of a plan that are not there yet, and wait for them.",
        ),
        "destroy": (
            "endpoint_destroy",
            "Remove the VPC endpoints and the security group that a plan made, and nothing else.",
        ),
        "export": (
            "endpoint_plans",
            "Write a plan for those who apply such things: a template, a configuration, a script.",
        ),
    }


app = typer.Typer(
    cls=_VpcEndpoints,
    help="List, plan, create, destroy and export VPC endpoints.",
    rich_markup_mode=None,
    no_args_is_help=True,
    epilog=EXIT_STATUS,
)
