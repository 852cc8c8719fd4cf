"""A client without a private route: it exists, and every call of it is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NoReturn

from sm_private_client.transport.guarded import BLOCKED_EVENTS, block_id

if TYPE_CHECKING:
    from sm_private_client.errors import PrivateClientError

__all__ = ["block"]


def block(client: Any, error: PrivateClientError) -> None:  # noqa: ANN401 - boto3's or aiobotocore's
    """Has every call of a client end in an error from now on; nothing is sent.

    Args:
        client: A client of botocore, or of a library that is built on it.
        error: What each call raises, with a traceback of its own.
    """

    def refuse(**_: object) -> NoReturn:
        raise copy.copy(error)

    for event in BLOCKED_EVENTS:
        client.meta.events.register_first(event, refuse, unique_id=block_id(event))
