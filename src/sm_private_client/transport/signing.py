"""Request signing: SigV4 as botocore's ``SigV4Auth`` makes it, by the service's clock.

Tests compare it with botocore's signer over odd headers, paths, bodies and credentials. The derived
key depends on secret, date, region and service only, so it is made once a day.
"""

from __future__ import annotations

import email.utils
import functools
import hashlib
import hmac
import json
import re
import time
from datetime import timezone
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from botocore.auth import SIGNED_HEADERS_BLACKLIST
from botocore.exceptions import NoCredentialsError
from botocore.utils import normalize_url_path

from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.http11 import request_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.credentials import ReadOnlyCredentials

    from sm_private_client.transport.http11 import HttpRequest, HttpResponse

__all__ = ["RequestSigner", "Signer", "canonical_path"]

LEAST_SKEW: Final = 240.0
"""Seconds; AWS takes a signature within five minutes ("Elements of an AWS API request
signature"), so a clock that is less than four off is not why it was refused."""

_REFUSED_FOR_TIME: Final = frozenset(
    {"RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"}
)
_FIRST_ERROR: Final = 400

_UNSIGNED: Final = frozenset(SIGNED_HEADERS_BLACKLIST)
"""Header names that are left out of the signature: the installed botocore's own list."""

_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()

_WIRE_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
"""The characters of a path (RFC 3986, 3.3); some URL parser would change any other."""


@functools.lru_cache(maxsize=1024)
def canonical_path(path: str) -> str:
    """Return the path that is signed for a path on the wire: percent-encoded once more.

    Raises:
        ConfigurationError: It could not go on the wire as it is.
    """
    if not _WIRE_PATH.fullmatch(path):
        raise ConfigurationError(
            f"{path!r} cannot be the path of a request.",
            cause="it does not start with a slash, or is not percent-encoded, or has a query.",
            remedy="percent-encode every part of the path.",
        )
    return quote(normalize_url_path(path), safe="/~")


class Signer:
    """SigV4 for one region and service, by its signing name; safe between threads."""

    def __init__(self, *, region: str, service: str) -> None:
        self._region = region
        self._service = service
        # One entry each, replaced as a whole: a lost race only derives the value once more.
        self._day_key: tuple[str | None, str, bytes] = ("", "", b"")
        self._layout = functools.lru_cache(maxsize=256)(_layout)  # calls have few kinds of headers
        self._stamp: tuple[int, str] = (-1, "")

    def __repr__(self) -> str:
        return f"Signer(region={self._region!r}, service={self._service!r})"

    def sign(
        self,
        *,
        method: str,
        path: str,
        query: str = "",
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        credentials: ReadOnlyCredentials,
        now: float,
    ) -> list[tuple[str, str]]:
        """Return the headers that a signature adds: date, token if there is one, Authorization.

        Args:
            method: In upper case.
            path: The canonical path; see ``canonical_path``.
            query: The canonical query; SageMaker Runtime has none.
            headers: Every header of the request, ``Host`` included; none of those that are
                added, and neither ``Date`` nor ``X-Amz-Content-SHA256``.
            body: The payload.
            credentials: Frozen, so that they cannot change while this runs.
            now: Seconds since the epoch, corrected for the service's clock.
        """
        stamp = self._timestamp(int(now))
        added = [("X-Amz-Date", stamp)]
        token = credentials.token
        before, between, after, signed = self._layout(headers, bool(token))
        if token:
            added.append(("X-Amz-Security-Token", token))
            between = f"{between}x-amz-security-token:{_folded(token)}\n"
        digest = hashlib.sha256(body).hexdigest() if body else _EMPTY_SHA256
        canonical = (
            f"{method}\n{path}\n{query}\n{before}x-amz-date:{stamp}\n{between}{after}\n"
            f"{signed}\n{digest}"
        )
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

    def _timestamp(self, second: int) -> str:
        kept_second, kept = self._stamp
        if kept_second == second:
            return kept
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        self._stamp = (second, stamp)
        return stamp

    def _key(self, secret_key: str | None, day: str) -> bytes:
        kept_secret, kept_day, kept = self._day_key
        if kept_day == day and kept_secret == secret_key:
            return kept
        key = f"AWS4{secret_key}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._day_key = (secret_key, day, key)
        return key


def _folded(value: str) -> str:
    return " ".join(value.split())


def _layout(headers: tuple[tuple[str, str], ...], has_token: bool) -> tuple[str, str, str, str]:
    """Return the canonical lines before, between and after those that are added, and all names."""
    grouped: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered not in _UNSIGNED:
            known = grouped.get(lowered)
            folded = _folded(value)
            grouped[lowered] = folded if known is None else f"{known},{folded}"
    lines = ["", "", ""]
    for name in sorted(grouped):
        place = (name > "x-amz-date") + (name > "x-amz-security-token")
        lines[place] += f"{name}:{grouped[name]}\n"
    added = ["x-amz-date", "x-amz-security-token"] if has_token else ["x-amz-date"]
    return lines[0], lines[1], lines[2], ";".join(sorted([*grouped, *added]))


class RequestSigner:
    """Completes and signs the headers of requests, by the service's clock; safe between threads."""

    def __init__(
        self,
        *,
        service: str,
        credentials: Callable[[], ReadOnlyCredentials | None],
        user_agent: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._credentials = credentials
        self._user_agent = ("User-Agent", user_agent)
        self._now = now
        self._offset = 0.0  # seconds that the service's clock is ahead of ours
        self._signers: dict[str, Signer] = {}

    def now(self) -> float:
        """Return the seconds since the epoch as the service counts them."""
        return self._now() + self._offset

    def head(self, request: HttpRequest, *, path: str, authority: str, region: str) -> bytes:
        """Return the signed head of a request as it goes on the wire, whose ``Host`` is given.

        Raises:
            NoCredentialsError: botocore's.
            ConfigurationError: The path or a header could not go on the wire as it is.
        """
        signed = canonical_path(path)
        credentials = self._credentials()
        if credentials is None:
            raise NoCredentialsError
        signer = self._signers.get(region)
        if signer is None:
            signer = self._signers[region] = Signer(region=region, service=self._service)
        headers = (("Host", authority), *request.headers)
        added = signer.sign(
            method=request.method,
            path=signed,
            headers=headers,
            body=request.body,
            credentials=credentials,
            now=self._now() + self._offset,
        )
        added.append(("Content-Length", str(len(request.body))))
        return request_head(request.method, path, (*headers, self._user_agent), added)

    def is_corrected_by(self, response: HttpResponse) -> bool:
        """Set the clock by an answer that refused a signature for its time, as botocore does.

        Returns:
            True if it was more than 240 s off, so that signing and sending once more can help.
        """
        if response.status < _FIRST_ERROR or _code(response) not in _REFUSED_FOR_TIME:
            return False
        service_time = _date(response.headers.get("date", ""))
        if service_time is None or abs(service_time - self.now()) <= LEAST_SKEW:
            return False
        self._offset = service_time - self._now()
        return True


def _code(response: HttpResponse) -> str:
    """Return the error's code, as the REST-JSON protocol carries it."""
    code: object = response.headers.get("x-amzn-errortype")
    if code is None:
        try:
            document = json.loads(response.body)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(document, dict):
            return ""
        code = document.get("code") or document.get("Code") or document.get("__type")
    return str(code).partition(":")[0].rpartition("#")[2]


def _date(text: str) -> float | None:
    try:
        parsed = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)  # "-0000" is UTC (RFC 5322)
    return parsed.timestamp()
