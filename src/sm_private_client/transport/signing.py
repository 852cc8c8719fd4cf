"""SigV4 for the direct path: what botocore's ``SigV4Auth`` signs, with the day's key kept.

Tested equal to botocore's signer for every field of InvokeEndpoint and for odd values. The
derived key depends on secret, date, region and service only, so it is made once a day.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Credentials", "Signer"]

_UNSIGNED: Final = frozenset({"expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})
"""Header names that botocore leaves out of the signature (``SIGNED_HEADERS_BLACKLIST``)."""

_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()


class Credentials(Protocol):
    """Frozen credentials, as botocore's ``get_frozen_credentials`` gives them."""

    @property
    def access_key(self) -> str: ...  # noqa: D102 - botocore's own names
    @property
    def secret_key(self) -> str: ...  # noqa: D102
    @property
    def token(self) -> str | None: ...  # noqa: D102


class Signer:
    """Signs requests for one region and service; safe between threads.

    Args:
        region: The signing region.
        service: The signing name, ``sagemaker``.
    """

    def __init__(self, *, region: str, service: str) -> None:
        self._region = region
        self._service = service
        # One entry: whoever signs for two identities at once only derives the key more often.
        self._day_key: tuple[str, str, bytes] = ("", "", b"")

    def sign(
        self,
        *,
        method: str,
        path: str,
        query: str = "",
        headers: Iterable[tuple[str, str]],
        body: bytes,
        credentials: Credentials,
        now: float,
    ) -> list[tuple[str, str]]:
        """Gives the headers that a signature adds: date, token where there is one, Authorization.

        Args:
            method: The HTTP method.
            path: The canonical path: what goes on the wire, percent-encoded once more.
            query: The canonical query; SageMaker Runtime has none.
            headers: Every header of the request, ``Host`` included.
            body: The payload.
            credentials: Frozen, so that they cannot change while this runs.
            now: Seconds since the epoch, corrected for the service's clock.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        added = [("X-Amz-Date", stamp)]
        if credentials.token:
            added.append(("X-Amz-Security-Token", credentials.token))
        grouped: dict[str, str] = {}
        for name, value in (*headers, *added):
            lowered = name.lower()
            if lowered not in _UNSIGNED:
                folded = " ".join(value.split())
                known = grouped.get(lowered)
                grouped[lowered] = folded if known is None else f"{known},{folded}"
        names = sorted(grouped)
        signed = ";".join(names)
        lines = "\n".join([f"{name}:{grouped[name]}" for name in names])
        digest = hashlib.sha256(body).hexdigest() if body else _EMPTY_SHA256
        canonical = f"{method}\n{path}\n{query}\n{lines}\n\n{signed}\n{digest}"
        day = stamp[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
        key = self._key(credentials.secret_key, day)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        added.append(
            (
                "Authorization",
                f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
                f"SignedHeaders={signed}, Signature={signature}",
            )
        )
        return added

    def _key(self, secret_key: str, day: str) -> bytes:
        kept_secret, kept_day, kept = self._day_key
        if kept_day == day and hmac.compare_digest(kept_secret.encode(), secret_key.encode()):
            return kept
        key = f"AWS4{secret_key}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._day_key = (secret_key, day, key)
        return key
