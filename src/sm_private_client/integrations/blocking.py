"""Refusing every call of a client that exists and has no private route."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Final, NoReturn

import botocore.session
from botocore.exceptions import ProfileNotFound

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.settings import is_sealed, read_environment
from sm_private_client.transport.guarded import BLOCKED_EVENTS, block_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.errors import PrivateClientError
    from sm_private_client.types import BotoClient

__all__ = ["ORIGIN", "block", "is_sealing_asked_for", "unsealed"]


def block(client: BotoClient, error: PrivateClientError) -> None:
    """Raise a copy of an error in every call of a client from now on; nothing is sent."""

    def refuse(**_: object) -> NoReturn:
        raise copy.copy(error)

    for event in BLOCKED_EVENTS:
        client.meta.events.register_first(event, refuse, unique_id=block_id(event))


ORIGIN: Final = "SM_PRIVATE_SEALED, or sm_private_sealed of the profile, is set"


def is_sealing_asked_for(session: botocore.session.Session | None = None) -> bool:
    """Return True if the variable, or the profile of a botocore session, asks for a sealed one.

    Raises:
        ConfigurationError: The value means neither yes nor no.
    """
    profile: Mapping[str, object] = {}
    with contextlib.suppress(ProfileNotFound):  # it asks for nothing then
        profile = (session or botocore.session.Session()).get_scoped_config()
    return is_sealed({}, environ=read_environment(), profile=profile)


def unsealed(service_name: str) -> ConfigurationError:
    """Return the error of a client that should be sealed, and cannot be."""
    return ConfigurationError(
        f"A client of {service_name} was made in a process that is to be sealed, and it is not; "
        "its calls are blocked.",
        cause=f"{ORIGIN}, and install() and the plugin seal no clients: they route those of the "
        "SageMaker family.",
        remedy=(
            "make a Session(sealed=True) and hand it, or its clients, to the code.",
            "unset it if these calls may go out publicly.",
        ),
    )
