"""The rules of retries: one table, and what it reads of an error.

docs/retries.md shows the same table, and the tests hold the two together.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import PrivateClientError
from sm_private_client.inference.retry_policy import RETRY_COST, TIMEOUT_COST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.inference.retry_policy import RetryPolicy

__all__ = ["RULES", "THROTTLING_CODES", "RetryRule", "classify", "describe", "requested_wait"]

THROTTLING_CODES: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Those of ``botocore.retries.standard.ThrottledRetryableChecker``."""

_MAY_HAVE_RUN: Final = "the model may have run; RetryPolicy(safe_to_repeat=True) retries it"

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
"""RFC 9110 has whole seconds only; some gateways send fractions. More digits mean nothing."""

_MILLISECONDS: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryRule:
    """One row of the table; it covers an error by type, code or HTTP status.

    Attributes:
        name: Its name, in kebab case.
        errors: Types of exceptions.
        mention: A word that the cause of these must have; empty for any cause.
        codes: Error codes of the service.
        statuses: HTTP statuses of the service.
        retried: What decides if an error is retried.
        why: The reason.
        cost: Tokens of the retry quota for a retry.
    """

    name: str
    errors: tuple[type[BaseException], ...] = ()
    mention: str = ""
    codes: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    retried: Literal["yes", "if safe to repeat", "by the model's status", "no"]
    why: str
    cost: int = RETRY_COST

    def covers(self, error: BaseException) -> bool:
        """Return True if an error belongs to this row."""
        if isinstance(error, self.errors) and self.mention in _cause(error):
            return True
        if not isinstance(error, ClientError):
            return False
        return _code(error) in self.codes or _status(error) in self.statuses

    def allows(self, error: BaseException, policy: RetryPolicy) -> bool:
        """Return True if a policy retries an error of this row."""
        if self.retried == "if safe to repeat":
            return policy.safe_to_repeat
        if self.retried == "by the model's status":
            return _model_status(error) in policy.model_statuses
        return self.retried == "yes"


RULES: Final = (
    RetryRule(
        name="refused-here",
        errors=(PrivateClientError,),
        retried="no",
        why="this package refused it, and would again",
    ),
    RetryRule(
        name="stream-began",
        errors=(exceptions.EventStreamError,),
        codes=frozenset({"ModelStreamError", "InternalStreamFailure"}),
        retried="no",
        why="the answer has begun, and parts of it are used already",
    ),
    RetryRule(
        name="invalid",
        errors=(exceptions.ParamValidationError, exceptions.ValidationError),
        codes=frozenset({"ValidationError", "ValidationException", "SerializationException"}),
        retried="no",
        why="the request is not valid, and stays so",
    ),
    RetryRule(
        name="not-permitted",
        codes=frozenset(
            {"AccessDenied", "AccessDeniedException", "OptInRequired", "UnauthorizedOperation"}
        ),
        retried="no",
        why="policies do not change from one attempt to the next",
    ),
    RetryRule(
        name="not-authenticated",
        errors=(
            exceptions.CredentialRetrievalError,
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
        ),
        codes=frozenset(
            {
                "ExpiredToken",
                "ExpiredTokenException",
                "IncompleteSignature",
                "IncompleteSignatureException",
                "InvalidClientTokenId",
                "InvalidSignatureException",
                "MissingAuthenticationToken",
                "MissingAuthenticationTokenException",
                "RequestExpired",
                "RequestTimeTooSkewed",
                "SignatureDoesNotMatch",
                "UnrecognizedClientException",
            }
        ),
        retried="no",
        why="the same credentials and clock would sign the same",
    ),
    RetryRule(
        name="not-ready",
        codes=frozenset({"ModelNotReadyException"}),
        retried="yes",
        why="the model is being loaded",
    ),
    RetryRule(
        name="model",
        codes=frozenset({"ModelError"}),
        retried="by the model's status",
        why="only the statuses in RetryPolicy.model_statuses are worth another attempt",
    ),
    RetryRule(
        name="dependency",
        codes=frozenset({"InternalDependencyException"}),
        statuses=frozenset({530}),
        retried="yes",
        why="something that the service needs failed for the moment",
    ),
    RetryRule(
        name="throttled",
        codes=THROTTLING_CODES,
        statuses=frozenset({429}),
        retried="yes",
        why="the service asks for fewer calls a second",
    ),
    RetryRule(
        name="unavailable",
        codes=frozenset({"RequestTimeout", "RequestTimeoutException", "ServiceUnavailable"}),
        statuses=frozenset({502, 503, 504}),
        retried="yes",
        why="the service could not take the request",
    ),
    RetryRule(
        name="internal",
        codes=frozenset({"InternalFailure"}),
        statuses=frozenset({500}),
        retried="yes",
        why="the service failed for the moment",
    ),
    RetryRule(
        name="other-answer",
        errors=(ClientError,),
        retried="no",
        why="the service would answer the same again",
    ),
    RetryRule(
        name="connect-timeout",
        errors=(exceptions.ConnectTimeoutError,),
        retried="yes",
        why="nothing was sent",
        cost=TIMEOUT_COST,
    ),
    RetryRule(
        name="not-connected",
        errors=(exceptions.EndpointConnectionError, exceptions.ProxyConnectionError),
        retried="yes",
        why="nothing was sent",
    ),
    RetryRule(
        name="certificate",
        errors=(exceptions.SSLError,),
        mention="certificate",
        retried="no",
        why="the same certificate would be shown again",
    ),
    RetryRule(
        # After the handshake too: with TLS 1.3 and botocore nobody knows if the request was read.
        name="tls",
        errors=(exceptions.SSLError,),
        retried="if safe to repeat",
        why=_MAY_HAVE_RUN,
    ),
    RetryRule(
        name="read-timeout",
        errors=(exceptions.ReadTimeoutError,),
        retried="if safe to repeat",
        why=_MAY_HAVE_RUN,
        cost=TIMEOUT_COST,
    ),
    RetryRule(
        # One that the request certainly did not reach is not even an error: see transport.direct.
        name="kept-connection",
        errors=(exceptions.ConnectionClosedError,),
        mention="kept connection",
        retried="if safe to repeat",
        why="the kept connection ended without an answer, and " + _MAY_HAVE_RUN,
    ),
    RetryRule(
        name="connection-lost",
        errors=(
            exceptions.ConnectionClosedError,
            exceptions.ResponseStreamingError,
            exceptions.IncompleteReadError,
            exceptions.HTTPClientError,
        ),
        retried="if safe to repeat",
        why=_MAY_HAVE_RUN,
    ),
    RetryRule(
        name="anything-else",
        errors=(BaseException,),
        retried="no",
        why="nobody knows what it means",
    ),
)
"""The first row that covers an error decides."""


def classify(error: BaseException) -> RetryRule:
    """Return the rule for an error that an attempt raised."""
    return next(rule for rule in RULES if rule.covers(error))


def describe(error: BaseException) -> str:
    """Return an error in a few words, without anything of a request's or an answer's payload."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    known = [f"HTTP {_status(error)}"] if _status(error) is not None else []
    if _model_status(error) is not None:
        known.append(f"model {_model_status(error)}")
    return f"{_code(error)} ({', '.join(known)})" if known else _code(error)


def requested_wait(error: BaseException, *, now: float) -> float | None:
    """Return the seconds that an answer asks to wait; ``None`` if it does not ask properly.

    ``Retry-After`` has seconds or an HTTP date (RFC 9110, 10.2.3). A date is compared with the
    answer's own ``Date``, so that this machine's clock need not be right. ``x-amz-retry-after``
    has milliseconds, and counts if there is no ``Retry-After``.

    Args:
        error: The error of an attempt.
        now: Seconds since the epoch, for an answer without a ``Date``.
    """
    if not isinstance(error, ClientError):
        return None
    headers: Mapping[str, Any] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    wait = str(headers.get("retry-after", "")).strip()
    if _SECONDS.fullmatch(wait):
        return float(wait)
    until = _epoch(wait)
    if until is not None:
        answered = _epoch(str(headers.get("date", "")))
        return max(0.0, until - (now if answered is None else answered))
    wait = str(headers.get("x-amz-retry-after", "")).strip()
    return int(wait) / 1000 if _MILLISECONDS.fullmatch(wait) else None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def _status(error: ClientError) -> int | None:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")


def _model_status(error: BaseException) -> int | None:
    if not isinstance(error, ClientError):
        return None
    response: Mapping[str, Any] = error.response  # ModelError's members are not in its type
    return response.get("OriginalStatusCode")


def _cause(error: BaseException) -> str:
    """Return what botocore's error was made from: its own text has the URL, with users' names."""
    return str(error.kwargs.get("error", "")).lower() if isinstance(error, BotoCoreError) else ""


def _epoch(http_date: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # which of them differs between Python versions
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=dt.timezone.utc)  # HTTP dates are, whatever they say
    return parsed.timestamp()
