"""The rules of retries: one table, and what it reads of an error.

docs/retries.md shows the same table, and the tests hold the two together.
"""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import PrivateClientError
from sm_private_client.inference.retry_policy import RETRY_COST, TIMEOUT_COST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.inference.retry_policy import RetryPolicy

__all__ = ["RULES", "THROTTLING_CODES", "RetryRule", "classify", "describe", "requested_wait"]

THROTTLING_CODES: Final = (
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
)
"""Those of ``botocore.retries.standard.ThrottledRetryableChecker``."""

_MAY_HAVE_RUN: Final = "the model may have run; RetryPolicy(safe_to_repeat=True) retries it"

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
"""RFC 9110 has whole seconds only; some gateways send fractions. More digits mean nothing."""

_MILLISECONDS: Final = re.compile(r"[0-9]{1,12}")


class RetryRule(NamedTuple):
    """One row of the table; it covers an error by type, code or HTTP status.

    Attributes:
        name: Its name, in kebab case.
        retried: What decides if an error is retried.
        why: The reason.
        errors: Types of exceptions.
        mention: A word that the cause of these must have; empty for any cause.
        codes: Error codes of the service.
        statuses: HTTP statuses of the service.
        cost: Tokens of the retry quota for a retry.
    """

    name: str
    retried: Literal["yes", "if safe to repeat", "by the model's status", "no"]
    why: str
    errors: tuple[type[BaseException], ...] = ()
    mention: str = ""
    codes: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
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
        "refused-here",
        "no",
        "this package refused it, and would again",
        errors=(PrivateClientError,),
    ),
    RetryRule(
        "stream-began",
        "no",
        "the answer has begun, and parts of it are used already",
        errors=(exceptions.EventStreamError,),
        codes=("ModelStreamError", "InternalStreamFailure"),
    ),
    RetryRule(
        "invalid",
        "no",
        "the request is not valid, and stays so",
        errors=(exceptions.ParamValidationError, exceptions.ValidationError),
        codes=("ValidationError", "ValidationException", "SerializationException"),
    ),
    RetryRule(
        "not-permitted",
        "no",
        "policies do not change from one attempt to the next",
        codes=("AccessDenied", "AccessDeniedException", "OptInRequired", "UnauthorizedOperation"),
    ),
    RetryRule(
        "not-authenticated",
        "no",
        "the same credentials and clock would sign the same",
        errors=(
            exceptions.CredentialRetrievalError,
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
        ),
        codes=(
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
        ),
    ),
    RetryRule("not-ready", "yes", "the model is being loaded", codes=("ModelNotReadyException",)),
    RetryRule(
        "model",
        "by the model's status",
        "only the statuses in RetryPolicy.model_statuses are worth another attempt",
        codes=("ModelError",),
    ),
    RetryRule(
        "dependency",
        "yes",
        "something that the service needs failed for the moment",
        codes=("InternalDependencyException",),
        statuses=(530,),
    ),
    RetryRule(
        "throttled",
        "yes",
        "the service asks for fewer calls a second",
        codes=THROTTLING_CODES,
        statuses=(429,),
    ),
    RetryRule(
        "unavailable",
        "yes",
        "the service could not take the request",
        codes=("RequestTimeout", "RequestTimeoutException", "ServiceUnavailable"),
        statuses=(502, 503, 504),
    ),
    RetryRule(
        "internal",
        "yes",
        "the service failed for the moment",
        codes=("InternalFailure",),
        statuses=(500,),
    ),
    RetryRule(
        "other-answer", "no", "the service would answer the same again", errors=(ClientError,)
    ),
    RetryRule(
        "connect-timeout",
        "yes",
        "nothing was sent",
        errors=(exceptions.ConnectTimeoutError,),
        cost=TIMEOUT_COST,
    ),
    RetryRule(
        "not-connected",
        "yes",
        "nothing was sent",
        errors=(exceptions.EndpointConnectionError, exceptions.ProxyConnectionError),
    ),
    RetryRule(
        "certificate",
        "no",
        "the same certificate would be shown again",
        errors=(exceptions.SSLError,),
        mention="certificate",
    ),
    # After the handshake too: with TLS 1.3 and botocore nobody knows if the request was read.
    RetryRule("tls", "if safe to repeat", _MAY_HAVE_RUN, errors=(exceptions.SSLError,)),
    RetryRule(
        "read-timeout",
        "if safe to repeat",
        _MAY_HAVE_RUN,
        errors=(exceptions.ReadTimeoutError,),
        cost=TIMEOUT_COST,
    ),
    # One that the request certainly did not reach is not even an error: see transport.direct.
    RetryRule(
        "kept-connection",
        "if safe to repeat",
        "the kept connection ended without an answer, and " + _MAY_HAVE_RUN,
        errors=(exceptions.ConnectionClosedError,),
        mention="kept connection",
    ),
    RetryRule(
        "connection-lost",
        "if safe to repeat",
        _MAY_HAVE_RUN,
        errors=(
            exceptions.ConnectionClosedError,
            exceptions.ResponseStreamingError,
            exceptions.IncompleteReadError,
            exceptions.HTTPClientError,
        ),
    ),
    RetryRule("anything-else", "no", "nobody knows what it means", errors=(BaseException,)),
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
