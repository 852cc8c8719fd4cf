"""``sm-private-client policy``: documents built, looked over, judged by, and attached."""

from __future__ import annotations

from typing import Final

import typer

from sm_private_client.cli.commands import policy_build, policy_changing, policy_reading
from sm_private_client.cli.invocation import EXIT_STATUS

__all__ = ["HELP", "app"]

HELP: Final = "Build, check, explain, simulate, apply and restore policies."

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, epilog=EXIT_STATUS)
app.command("build", epilog=EXIT_STATUS)(policy_build.command)
app.command("check", epilog=policy_reading.CHECK_STATUS)(policy_reading.check)
app.command("explain", epilog=EXIT_STATUS)(policy_reading.explain)
app.command("simulate", epilog=policy_reading.SIMULATE_STATUS)(policy_reading.simulate)
app.command("apply", epilog=EXIT_STATUS)(policy_changing.apply)
app.command("restore", epilog=EXIT_STATUS)(policy_changing.restore)
