"""Which errors are retried: every row, with errors that botocore itself made of HTTP answers."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import io
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.retries.standard
import botocore.session
import pytest
from botocore import exceptions
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client import errors
from sm_private_client.inference.retry_policy import RETRIED_MODEL_STATUSES, RetryPolicy
from sm_private_client.inference.retry_rules import (
    RULES,
    RetryRule,
    classify,
    describe,
    requested_wait,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "retries.md"

URL: Final = "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/certificate/invocations"


# Real errors


class _Raw(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


@functools.cache
def client() -> Any:
    """Return a client that is answered before anything is dialled."""
    return botocore.session.Session().create_client(
        "sagemaker-runtime",
        "us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    )


def answered(status: int, code: str = "", body: bytes = b'{"Message": "no"}') -> ClientError:
    """Return the error that boto3 raises for an HTTP answer."""
    headers = {"Content-Type": "application/json", **({"x-amzn-ErrorType": code} if code else {})}

    def answer(**_: object) -> AWSResponse:
        return AWSResponse(URL, status, headers, _Raw(body))  # type: ignore[arg-type] # urllib3's own is not needed

    events = client().meta.events
    events.register("before-send.sagemaker-runtime.InvokeEndpoint", answer, "answer")
    with pytest.raises(ClientError) as caught:
        client().invoke_endpoint(EndpointName="e", Body=b"")
    events.unregister("before-send.sagemaker-runtime.InvokeEndpoint", answer, "answer")
    return caught.value


def model_error(original: int | None) -> ClientError:
    status = "" if original is None else f', "OriginalStatusCode": {original}'
    return answered(424, "ModelError", body=f'{{"Message": "no"{status}}}'.encode())


def tls_error(text: str) -> exceptions.SSLError:
    return exceptions.SSLError(endpoint_url=URL, error=ssl.SSLError(text))


def is_retried(error: BaseException, **policy: Any) -> bool:
    return classify(error).allows(error, RetryPolicy(**policy))


# The table

THROTTLING_CODES: Final = botocore.retries.standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES  # type: ignore[attr-defined] # not in the stubs

ANSWERS: Final[tuple[tuple[int, str, str, bool], ...]] = (
    *((400, code, "throttled", True) for code in THROTTLING_CODES),
    *((status, code, "throttled", True) for status in (429, 503) for code in ("Throttling",)),
    (429, "", "throttled", True),
    (429, "SomethingNew", "throttled", True),
    (429, "ModelNotReadyException", "not-ready", True),
    (530, "InternalDependencyException", "dependency", True),
    (530, "", "dependency", True),
    (503, "ServiceUnavailable", "unavailable", True),
    (503, "", "unavailable", True),
    (502, "", "unavailable", True),
    (504, "", "unavailable", True),
    (400, "RequestTimeout", "unavailable", True),
    (408, "RequestTimeoutException", "unavailable", True),
    (500, "InternalFailure", "internal", True),
    (500, "", "internal", True),
    (400, "ValidationError", "invalid", False),
    (500, "ValidationException", "invalid", False),
    (400, "SerializationException", "invalid", False),
    (403, "AccessDenied", "not-permitted", False),
    (403, "AccessDeniedException", "not-permitted", False),
    (403, "UnauthorizedOperation", "not-permitted", False),
    (403, "OptInRequired", "not-permitted", False),
    (403, "SignatureDoesNotMatch", "not-authenticated", False),
    (403, "InvalidSignatureException", "not-authenticated", False),
    (400, "IncompleteSignature", "not-authenticated", False),
    (400, "IncompleteSignatureException", "not-authenticated", False),
    (403, "ExpiredToken", "not-authenticated", False),
    (403, "ExpiredTokenException", "not-authenticated", False),
    (403, "RequestExpired", "not-authenticated", False),
    (403, "RequestTimeTooSkewed", "not-authenticated", False),
    (403, "InvalidClientTokenId", "not-authenticated", False),
    (403, "UnrecognizedClientException", "not-authenticated", False),
    (403, "MissingAuthenticationToken", "not-authenticated", False),
    (403, "MissingAuthenticationTokenException", "not-authenticated", False),
    (400, "ModelStreamError", "stream-began", False),
    (500, "InternalStreamFailure", "stream-began", False),
    (400, "", "other-answer", False),
    (403, "", "other-answer", False),
    (404, "", "other-answer", False),
    (408, "", "other-answer", False),
    (413, "", "other-answer", False),
    (424, "", "other-answer", False),
    (501, "", "other-answer", False),
    (505, "", "other-answer", False),
    (507, "", "other-answer", False),
    (599, "", "other-answer", False),
)

STREAM_ERROR: Final = exceptions.EventStreamError(
    {"Error": {"Code": "ThrottlingException", "Message": "no"}}, "InvokeEndpointWithResponseStream"
)

RAISED: Final[tuple[tuple[BaseException, str, str], ...]] = (
    (exceptions.ConnectTimeoutError(endpoint_url=URL), "connect-timeout", "yes"),
    (exceptions.EndpointConnectionError(endpoint_url=URL), "not-connected", "yes"),
    (exceptions.ProxyConnectionError(proxy_url="http://proxy"), "not-connected", "yes"),
    (exceptions.ReadTimeoutError(endpoint_url=URL), "read-timeout", "safe"),
    (exceptions.ConnectionClosedError(endpoint_url=URL), "connection-lost", "safe"),
    (
        exceptions.ConnectionClosedError(
            endpoint_url=URL, error=ConnectionAbortedError("the kept connection ended")
        ),
        "kept-connection",
        "safe",
    ),
    (exceptions.ResponseStreamingError(error="cut"), "connection-lost", "safe"),
    (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), "connection-lost", "safe"),
    (exceptions.HTTPClientError(error="?"), "connection-lost", "safe"),
    (tls_error("EOF occurred in violation of protocol (_ssl.c:1007)"), "tls", "safe"),
    (tls_error("certificate verify failed: self-signed certificate"), "certificate", "no"),
    (tls_error("[SSL: CERTIFICATE_VERIFY_FAILED]"), "certificate", "no"),
    (tls_error("Hostname mismatch, certificate is not valid for 'x'"), "certificate", "no"),
    (tls_error("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]"), "certificate", "no"),
    (exceptions.ParamValidationError(report="no"), "invalid", "no"),
    (exceptions.ValidationError(value="v", param="p", type_name="t"), "invalid", "no"),
    (exceptions.NoCredentialsError(), "not-authenticated", "no"),
    (
        exceptions.PartialCredentialsError(provider="env", cred_var="secret"),
        "not-authenticated",
        "no",
    ),
    (
        exceptions.CredentialRetrievalError(provider="sso", error_msg="no"),
        "not-authenticated",
        "no",
    ),
    (STREAM_ERROR, "stream-began", "no"),
    (errors.PublicAddressError("no", host="h", address="52.1.2.3"), "refused-here", "no"),
    (errors.NoPrivateRouteError("no"), "refused-here", "no"),
    (errors.StreamInterruptedError("no", parts_received=3), "refused-here", "no"),
    (errors.PayloadError("no"), "refused-here", "no"),
    (errors.ConfigurationError("no"), "refused-here", "no"),
    (errors.JobTimeoutError("no"), "refused-here", "no"),
    (errors.MissingExtraError("it", extra="data"), "refused-here", "no"),
    (exceptions.NoRegionError(), "anything-else", "no"),
    (exceptions.BotoCoreError(), "anything-else", "no"),
    (ConnectionResetError("no"), "anything-else", "no"),
    (TimeoutError("no"), "anything-else", "no"),
    (ValueError("no"), "anything-else", "no"),
    (KeyboardInterrupt(), "anything-else", "no"),
    (asyncio.CancelledError(), "anything-else", "no"),
)


@pytest.mark.parametrize(("status", "code", "row", "retried"), ANSWERS)
def test_what_the_service_answers(status: int, code: str, row: str, retried: bool) -> None:
    """The code decides before the status; what is not in the table is not retried."""
    error = answered(status, code)
    assert classify(error).name == row
    assert is_retried(error) == is_retried(error, safe_to_repeat=True) == retried


@pytest.mark.parametrize(
    ("original", "retried"),
    [(status, True) for status in (0, 502, 503, 504, 507)]
    + [(status, False) for status in (None, 400, 404, 408, 413, 424, 429, 500, 501, 505, 508)],
)
def test_what_a_model_answers(original: int | None, *, retried: bool) -> None:
    """A ModelError is retried by the model's own status; one without it is not."""
    error = model_error(original)
    assert classify(error).name == "model"
    assert is_retried(error) == retried


def test_whoever_calls_chooses_the_statuses_of_models() -> None:
    """For servers that answer 429 while busy, or models that must never run twice."""
    assert is_retried(model_error(429), model_statuses={429})
    assert not is_retried(model_error(503), model_statuses={429})
    assert not is_retried(model_error(None), model_statuses=set())


@pytest.mark.parametrize(("error", "row", "retried"), RAISED)
def test_what_never_was_answered(error: BaseException, row: str, retried: str) -> None:
    """What was never sent is retried; what may have run only where that does no harm."""
    assert classify(error).name == row
    assert is_retried(error) == (retried == "yes")
    assert is_retried(error, safe_to_repeat=True) == (retried != "no")


def test_every_row_has_a_case() -> None:
    """The tables of this file and the table in the code have the same rows."""
    seen = {row for _, _, row, _ in ANSWERS} | {row for _, row, _ in RAISED} | {"model"}
    assert seen == {row.name for row in RULES}


def test_every_code_of_the_table_has_a_case() -> None:
    """No code stands in the table that no test asks for."""
    listed = {code for row in RULES for code in row.codes}
    assert listed == {code for _, code, _, _ in ANSWERS if code} - {"SomethingNew"} | {"ModelError"}


def test_the_throttling_codes_are_those_of_botocore() -> None:
    """None that botocore retries is missing."""
    (row,) = (row for row in RULES if row.name == "throttled")
    assert set(row.codes) == set(THROTTLING_CODES)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({}, "InvokeEndpoint"),
        ClientError({"Error": {}, "ResponseMetadata": {}}, "InvokeEndpoint"),  # type: ignore[typeddict-item] # as odd stand-ins answer
        type("Odd", (Exception,), {"kwargs": None, "response": None})(),
    ],
)
def test_odd_errors_have_a_row_too(error: Exception) -> None:
    """An error without the usual members is neither retried nor a reason to fail."""
    assert not is_retried(error)
    assert requested_wait(error, now=0) is None
    assert describe(error) in {"Unknown", "Odd"}


def test_the_page_shows_the_table() -> None:
    """docs/retries.md has every row as it is in the code, and the policy's defaults."""

    def line(row: RetryRule) -> str:
        named = [f"`{cls.__name__}`" for cls in row.errors]
        if row.mention:
            named = [f'{name} that mentions "{row.mention}"' for name in named]
        named += [f"`{code}`" for code in sorted(row.codes)]
        named += [f"HTTP {status}" for status in sorted(row.statuses)]
        tokens = "–" if row.retried == "no" else str(row.cost)  # noqa: RUF001 - as typeset
        what = ", ".join(dict.fromkeys(named))
        return f"| {row.name} | {what} | {row.retried} | {tokens} | {row.why} |"

    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("|---|---|---|---|---|\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [line(row) for row in RULES]
    shown = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE)
    defaults = {
        field.name: ", ".join(map(str, sorted(RETRIED_MODEL_STATUSES)))
        if field.name == "model_statuses"
        else str(field.default)
        for field in dataclasses.fields(RetryPolicy)
    }
    assert dict(shown) == defaults


# Retry-After


def asking(headers: dict[str, str]) -> ClientError:
    """Return an error as botocore makes it: with the names of headers in lower case."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return ClientError({"ResponseMetadata": {"HTTPHeaders": lowered}}, "InvokeEndpoint")  # type: ignore[typeddict-item] # what is read of it


ANSWERED_AT: Final = "Wed, 21 Oct 2026 07:28:00 GMT"
THEN: Final = 1792567680.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT"}, 9),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT", "Date": ANSWERED_AT}, 9),
        # Its own date counts, whatever this machine's clock says.
        (
            {
                "Retry-After": "Thu, 22 Oct 2026 00:00:05 GMT",
                "Date": "Thu, 22 Oct 2026 00:00:00 GMT",
            },
            5,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT", "Date": "today"}, 9),
        ({"Retry-After": "Wed Oct 21 07:28:09 2026"}, 9),
        ({"Retry-After": "Wednesday, 21-Oct-26 07:28:09 GMT"}, 9),
        ({"Retry-After": "Wed, 21 Oct 2026 07:00:00 GMT"}, 0),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-amz-retry-after": "1500", "Retry-After": "7"}, 7),
        ({"x-amz-retry-after": "1500", "Retry-After": "soon"}, 1.5),
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "Wed, 32 Oct 2026 07:28:09 GMT"}, None),
        ({"x-amz-retry-after": "-1"}, None),
        ({"x-amz-retry-after": "1.5"}, None),
    ],
)
def test_what_retry_after_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or a date, or AWS's milliseconds; what is not proper is not obeyed."""
    assert requested_wait(asking(headers), now=THEN) == seconds


def test_only_answers_ask_to_wait() -> None:
    """A connection that failed has no headers."""
    assert requested_wait(ConnectTimeoutError(endpoint_url="https://h"), now=THEN) is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2},? \d+[ -][A-Z]\w\w[ -]\d+ \d+:\d+:\d+ \S*"))
def test_no_header_breaks_anything(text: str) -> None:
    """Whatever stands in the header: seconds that are not negative, or nothing."""
    asked = requested_wait(asking({"retry-after": text, "date": text}), now=THEN)
    assert asked is None or asked >= 0
