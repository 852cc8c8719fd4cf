"""Whether the plugin hook is set, and whether it takes hold of new plain clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from sm_private_client.doctor.facts import Hook
from sm_private_client.doctor.gathering_session import PLUGINS
from sm_private_client.doctor.unknown import Unknown
from sm_private_client.plugin import hook_state

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["look_at_hook"]


def look_at_hook(environ: Mapping[str, str]) -> Hook:
    """Looks at the variable, and tries a client of botocore's where it names us."""
    if "sm_private_client" not in environ.get(PLUGINS, ""):
        return Hook()
    try:
        state = hook_state()
    except (BotoCoreError, OSError, ValueError) as error:
        return Hook(wanted=True, live=Unknown(reason=f"no client was made: {type(error).__name__}"))
    return Hook(wanted=True, live=state.is_live)
