"""Whether the plugin hook is set, and whether it takes hold of new plain clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.doctor.facts import Hook, Unknown
from sm_private_client.doctor.gathering_session import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.session import Session

__all__ = ["look_at_hook"]


def look_at_hook(session: Session, environ: Mapping[str, str]) -> Hook:
    """Looks at the variable, and tries a plain client where it names us."""
    wanted = "sm_private_client" in environ.get(PLUGINS, "")
    del session
    return Hook(wanted=wanted, live=Unknown(reason="it was not tried") if wanted else False)
