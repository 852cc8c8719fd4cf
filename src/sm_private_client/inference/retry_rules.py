"""Which errors are retried: one table, and the function that finds an error's row.

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
from sm_private_client.inference.retry_policy import RETRY_COST, TIMEOUT_COST, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "TABLE",
    "THROTTLING_CODES",
    "RetryDecision",
    "Row",
    "classify",
    "describe",
    "requested_wait",
]

Retried = Literal["yes", "if safe to repeat", "by the model's status", "no"]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of the table; an error belongs to it by its type, its code or its HTTP status.

    Attributes:
        name: Its name, in kebab case.
        errors: Types of exceptions.
        mention: What the cause of these must mention; empty: nothing.
        codes: Error codes of the service.
        statuses: HTTP statuses of the service.
        retried: Whether an error of this row is retried, or what decides it.
        why: The reason.
        cost: Tokens of the retry quota that a retry takes.
    """

    name: str
    errors: tuple[type[BaseException], ...] = ()
    mention: str = ""
    codes: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    retried: Retried
    why: str
    cost: int = RETRY_COST

    def covers(self, error: BaseException) -> bool:
        """Says whether an error belongs to this row."""
        if isinstance(error, self.errors) and self.mention in _cause(error):
            return True
        if not isinstance(error, ClientError):
            return False
        return _code(error) in self.codes or _status(error) in self.statuses


TABLE: Final = (
    Row(
        name="refused-here",
        errors=(PrivateClientError,),
        retried="no",
        why="this package refused it, and would again",
    ),
    Row(
        name="stream-began",
        errors=(exceptions.EventStreamError,),
        codes=frozenset({"ModelStreamError", "InternalStreamFailure"}),
        retried="no",
        why="the answer has begun, and parts of it are used already",
    ),
    Row(
        name="invalid",
        errors=(exceptions.ParamValidationError, exceptions.ValidationError),
        codes=frozenset({"ValidationError", "ValidationException", "SerializationException"}),
        retried="no",
        why="the request is not valid, and stays so",
    ),
    Row(
        name="not-permitted",
        codes=frozenset(
            {"AccessDenied", "AccessDeniedException", "OptInRequired", "UnauthorizedOperation"}
        ),
        retried="no",
        why="policies do not change from one attempt to the next",
    ),
    Row(
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
    Row(
        name="not-ready",
        codes=frozenset({"ModelNotReadyException"}),
        retried="yes",
        why="the model is being loaded",
    ),
    Row(
        name="model",
        codes=frozenset({"ModelError"}),
        retried="by the model's status",
        why="only the statuses in RetryPolicy.model_statuses are worth another attempt",
    ),
    Row(
        name="dependency",
        codes=frozenset({"InternalDependencyException"}),
        statuses=frozenset({530}),
        retried="yes",
        why="something that the service needs failed for the moment",
    ),
    Row(
        name="throttled",
        codes=THROTTLING_CODES,
        statuses=frozenset({429}),
        retried="yes",
        why="the service asks for fewer calls a second",
    ),
    Row(
        name="unavailable",
        codes=frozenset({"RequestTimeout", "RequestTimeoutException", "ServiceUnavailable"}),
        statuses=frozenset({502, 503, 504}),
        retried="yes",
        why="the service could not take the request",
    ),
    Row(
        name="internal",
        codes=frozenset({"InternalFailure"}),
        statuses=frozenset({500}),
        retried="yes",
        why="the service failed for the moment",
    ),
    Row(
        name="other-answer",
        errors=(ClientError,),
        retried="no",
        why="the service would answer the same again",
    ),
    Row(
        name="connect-timeout",
        errors=(exceptions.ConnectTimeoutError,),
        retried="yes",
        why="nothing was sent",
        cost=TIMEOUT_COST,
    ),
    Row(
        name="not-connected",
        errors=(exceptions.EndpointConnectionError, exceptions.ProxyConnectionError),
        retried="yes",
        why="nothing was sent",
    ),
    Row(
        name="certificate",
        errors=(exceptions.SSLError,),
        mention="certificate",
        retried="no",
        why="the same certificate would be shown again",
    ),
    Row(
        # After the handshake too: TLS 1.3 and botocore do not tell whether the request was read.
        name="tls",
        errors=(exceptions.SSLError,),
        retried="if safe to repeat",
        why=_MAY_HAVE_RUN,
    ),
    Row(
        name="read-timeout",
        errors=(exceptions.ReadTimeoutError,),
        retried="if safe to repeat",
        why=_MAY_HAVE_RUN,
        cost=TIMEOUT_COST,
    ),
    Row(
        # One that the request certainly did not reach is not even an error: see transport.direct.
        name="kept-connection",
        errors=(exceptions.ConnectionClosedError,),
        mention="kept connection",
        retried="if safe to repeat",
        why="the kept connection ended without an answer, and " + _MAY_HAVE_RUN,
    ),
    Row(
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
    Row(
        name="anything-else",
        errors=(BaseException,),
        retried="no",
        why="nobody knows what it means",
    ),
)
"""The first row that covers an error decides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryDecision:
    """What becomes of an error.

    Attributes:
        row: The row of the table that it belongs to.
        retry: Whether the policy retries it, as long as attempts, time and quota are left.
    """

    row: Row
    retry: bool

    @property
    def name(self) -> str:
        """The row's name, such as ``throttled``."""
        return self.row.name

    @property
    def why(self) -> str:
        """The row's reason."""
        return self.row.why


def classify(error: BaseException, policy: RetryPolicy | None = None) -> RetryDecision:
    """Finds the row of an error and what a policy makes of it; asks nobody, changes nothing.

    Args:
        error: What an attempt raised.
        policy: ``RetryPolicy()`` by default.
    """
    row = next(row for row in TABLE if row.covers(error))
    return RetryDecision(row=row, retry=_DECIDES[row.retried](policy or RetryPolicy(), error))


def describe(error: BaseException) -> str:
    """Names an error in a few words, without anything that was sent or answered as payload."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    known = [f"HTTP {_status(error)}"] if _status(error) is not None else []
    if _model_status(error) is not None:
        known.append(f"model {_model_status(error)}")
    return f"{_code(error)} ({', '.join(known)})" if known else _code(error)


_DECIDES: Final[Mapping[Retried, Callable[[RetryPolicy, BaseException], bool]]] = {
    "yes": lambda _policy, _error: True,
    "no": lambda _policy, _error: False,
    "if safe to repeat": lambda policy, _error: policy.safe_to_repeat,
    "by the model's status": lambda policy, error: _model_status(error) in policy.model_statuses,
}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def _status(error: ClientError) -> int | None:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")


def _model_status(error: BaseException) -> int | None:
    if not isinstance(error, ClientError):
        return None
    response: Mapping[str, Any] = error.response  # ModelError's members are not in its type
    status: int | None = response.get("OriginalStatusCode")
    return status


def _cause(error: BaseException) -> str:
    """Gives what botocore's error was made from: its own text has the URL, with users' names."""
    return str(error.kwargs.get("error", "")).lower() if isinstance(error, BotoCoreError) else ""


_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
"""RFC 9110 has whole seconds only; some fronts send fractions. More digits mean nothing."""

_MILLISECONDS: Final = re.compile(r"[0-9]{1,12}")


def requested_wait(error: BaseException, *, now: float) -> float | None:
    """Gives the seconds that an answer asks to wait, ``None`` where it does not say so properly.

    ``Retry-After`` has seconds or an HTTP date (RFC 9110, 10.2.3); a date is compared with the
    answer's own ``Date``, so that this machine's clock need not be right. ``x-amz-retry-after``
    has milliseconds, and counts where there is no ``Retry-After``.

    Args:
        error: What an attempt raised.
        now: Seconds since the epoch, for an answer without a ``Date``.
    """
    if not isinstance(error, ClientError):
        return None
    headers: Mapping[str, Any] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    asked = str(headers.get("retry-after", "")).strip()
    if _SECONDS.fullmatch(asked):
        return float(asked)
    until = _epoch(asked)
    if until is not None:
        answered = _epoch(str(headers.get("date", "")))
        return max(0.0, until - (now if answered is None else answered))
    asked = str(headers.get("x-amz-retry-after", "")).strip()
    return int(asked) / 1000 if _MILLISECONDS.fullmatch(asked) else None


def _epoch(http_date: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # which of them differs between Python versions
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=dt.timezone.utc)  # HTTP dates are, whatever they say
    return parsed.timestamp()
