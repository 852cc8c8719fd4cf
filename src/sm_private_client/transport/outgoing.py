"""Outgoing: what is common to both engines of the direct path before a request is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from botocore.exceptions import NoCredentialsError

from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.clock import ServiceClock
from sm_private_client.transport.signing import canonical_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.transport.http import HttpRequest
    from sm_private_client.transport.signing import Credentials, Signer

__all__ = ["Outgoing"]

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, 5.6.2)
_VALUE: Final = re.compile(r"[\t -~]*")  # printable ASCII: a line end would begin another header


class Outgoing:
    """Signs requests to one host; safe between threads.

    Args:
        authority: The value of ``Host``.
        signer: For the region and service.
        credentials: Asked for each request, so that they are fresh; ``None``: there are none.
        user_agent: Sent, not signed.
        now: This machine's seconds since the epoch.

    Attributes:
        clock: The time that is signed with.
    """

    def __init__(
        self,
        *,
        authority: str,
        signer: Signer,
        credentials: Callable[[], Credentials | None],
        user_agent: str,
        now: Callable[[], float],
    ) -> None:
        self.clock = ServiceClock(now)
        self._host = ("Host", authority)
        self._user_agent = ("User-Agent", user_agent)
        self._signer = signer
        self._credentials = credentials

    def headers(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Gives every header of a request but ``Content-Length``, in the order of the wire.

        Raises:
            NoCredentialsError: botocore's.
            ConfigurationError: The path or a header could not go on the wire as it is.
        """
        path = canonical_path(request.path)
        credentials = self._credentials()
        if credentials is None:
            raise NoCredentialsError
        headers = [self._host, *request.headers]
        headers += self._signer.sign(
            method=request.method,
            path=path,
            headers=headers,
            body=request.body,
            credentials=credentials,
            now=self.clock(),
        )
        headers.append(self._user_agent)
        for name, value in headers:
            if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
                raise ConfigurationError(  # without the value: it may be a token
                    f"The header {name!r} cannot be sent.",
                    cause="a header is printable ASCII, without line ends.",
                    remedy="encode its value, for example with percent signs or as Base64.",
                )
        return headers
