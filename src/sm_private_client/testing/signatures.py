"""Verification of SigV4 signatures the way AWS does it, by botocore's own signer."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sm_private_client.testing.aws_errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.testing.http_connection import Request

__all__ = ["Clock", "KnownCredentials", "Scope", "scope_of", "verify"]

Clock: TypeAlias = "Callable[[], dt.datetime]"
"""Returns the time, UTC without a zone."""

CLOCK_SKEW: Final = dt.timedelta(minutes=5)
"""AWS, "Elements of an AWS API request signature": a request is good for five minutes."""

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/,]+)/(?P<date>\d{8})/(?P<region>[^/]+)/"
    r"(?P<service>[^/]+)/aws4_request, *SignedHeaders=(?P<headers>[^,]+), *"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_TIMESTAMP: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCredentials:
    """What the simulator knows of an access key.

    Attributes:
        session_token: The token that must come with it; ``None`` for a long-lived key.
        expiration: When it ends, UTC without a zone; ``None``: never.
        principal_arn: Whose it is: a user's ARN, or that of an assumed role's session.
    """

    secret_access_key: str
    session_token: str | None = None
    expiration: dt.datetime | None = None
    principal_arn: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Whose key signed, and for which region and service."""

    access_key_id: str
    region: str
    service: str


def scope_of(request: Request) -> Scope | None:
    """Read who signed, without verifying anything; ``None``: nobody did."""
    match = _AUTHORIZATION.fullmatch(request.header("authorization") or "")
    if match is None:
        return None
    return Scope(access_key_id=match["key"], region=match["region"], service=match["service"])


def verify(
    request: Request,
    *,
    region: str,
    service: str,
    find_credentials: Callable[[str], KnownCredentials | None],
    now: dt.datetime,
    skew_code: str = "InvalidSignatureException",
) -> None:
    """Verify a request's signature.

    Args:
        request: The request.
        region: The region that must stand in the scope.
        service: The signing name that must stand in the scope.
        find_credentials: Looks an access key id up.
        now: The time, UTC without a zone.
        skew_code: The error code of a request that is too old or too new.

    Raises:
        AwsError: It is not signed, not by a known key, not for here, not in time or not rightly.
    """
    authorization = request.header("authorization")
    if authorization is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise AwsError(
            "IncompleteSignatureException",
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' "
            "parameters of AWS4-HMAC-SHA256.",
            403,
        )
    known = find_credentials(match["key"])
    token = request.header("x-amz-security-token")
    if known is None or (known.session_token or None) != (token or None):
        raise AwsError(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            403,
        )
    if known.expiration is not None and known.expiration <= now:
        raise AwsError(
            "ExpiredTokenException", "The security token included in the request is expired", 403
        )
    if match["region"] != region:
        raise _invalid(f"Credential should be scoped to a valid region, not '{match['region']}'. ")
    if match["service"] != service:
        raise _invalid(f"Credential should be scoped to correct service: '{service}'. ")
    _check_time(request, match["date"], now, skew_code)
    _check_signature(request, match, known)


def _check_time(request: Request, date: str, now: dt.datetime, skew_code: str) -> None:
    stamp = request.header("x-amz-date") or ""
    try:
        signed = dt.datetime.strptime(stamp, _TIMESTAMP)  # noqa: DTZ007 - UTC by name
    except ValueError:
        raise _invalid("Date must be in ISO-8601 'basic format'.") from None
    if not stamp.startswith(date):
        raise _invalid(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
            f"from HTTP: '{date}' != '{stamp[:8]}', from '{stamp}'."
        )
    earliest, latest = now - CLOCK_SKEW, now + CLOCK_SKEW
    if earliest <= signed <= latest:
        return
    if signed < earliest:
        message = f"Signature expired: {stamp} is now earlier than {earliest:{_TIMESTAMP}}"
    else:
        message = f"Signature not yet current: {stamp} is still later than {latest:{_TIMESTAMP}}"
    minutes = int(CLOCK_SKEW.total_seconds() // 60)
    sign = "-" if signed < earliest else "+"
    raise AwsError(skew_code, f"{message} ({now:{_TIMESTAMP}} {sign} {minutes} min.)", 403)


def _check_signature(request: Request, match: re.Match[str], known: KnownCredentials) -> None:
    mismatch = _invalid(
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details."
    )
    signed = match["headers"].split(";")
    required = {"host", "x-amz-date"}
    if request.header("x-amz-security-token") is not None:
        required.add("x-amz-security-token")
    if missing := required - set(signed):
        raise _invalid(f"'{min(missing)}' must be a 'SignedHeader' in the AWS Authorization.")
    digest = request.header("x-amz-content-sha256")
    # S3 also takes payloads that are not signed, or in parts that have their own checksums.
    unsigned = match["service"] == "s3" and (digest or "").startswith(("UNSIGNED-", "STREAMING-"))
    if digest not in (None, hashlib.sha256(request.body).hexdigest()) and not unsigned:
        raise mismatch
    copy = AWSRequest(
        method=request.method,
        url=f"https://{request.header('host')}{request.target}",
        data=request.body,
    )
    for name, value in request.headers:
        if name in signed:
            copy.headers.add_header(name, value)
    copy.context["timestamp"] = request.header("x-amz-date")
    # botocore reads the time from either place, depending on its version.
    copy.context["payload_signing_enabled"] = True
    scheme = S3SigV4Auth if match["service"] == "s3" else SigV4Auth
    signer = scheme(
        Credentials(match["key"], known.secret_access_key), match["service"], match["region"]
    )
    if sorted(signed) != signer.signed_headers(signer.headers_to_sign(copy)).split(";"):
        raise mismatch
    string = signer.string_to_sign(copy, signer.canonical_request(copy))
    if not hmac.compare_digest(signer.signature(string, copy), match["signature"]):
        raise mismatch


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidSignatureException", message, 403)
