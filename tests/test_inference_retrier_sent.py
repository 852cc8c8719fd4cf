"""Retries over real sockets: what the model really got, counted by the simulator."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import ClientError

from sm_private_client import errors
from sm_private_client.inference.retrier import Retrier, attempts_made
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.inference.retry_rules import classify
from sm_private_client.testing import LocalPrivateLink, ModelFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Attempt = Callable[[float | None], bytes]

ONCE: Final = Config(retries={"total_max_attempts": 1, "mode": "standard"})
IMPATIENT: Final = ONCE.merge(Config(connect_timeout=1.5, read_timeout=1.5))


class Model:
    """Fails as told, then echoes; counts what it got."""

    def __init__(self, *failures: int) -> None:
        self._failures = list(failures)
        self.calls = 0

    def __call__(self, body: bytes, _content_type: str) -> bytes:
        self.calls += 1
        if self._failures:
            raise ModelFailure(self._failures.pop(0), "no")
        return body


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


def attempts_over(link: LocalPrivateLink, config: Config) -> Iterator[Attempt]:
    """Return one attempt over a client that does not retry by itself."""
    client: Any = link.session().client("sagemaker-runtime", config=config)

    def attempt(_seconds: float | None) -> bytes:
        answer = client.invoke_endpoint(EndpointName="model", Body=b"row", ContentType="text/csv")
        return bytes(answer["Body"].read())

    yield attempt
    link.faults.clear()
    client.close()


@pytest.fixture
def invoke(link: LocalPrivateLink) -> Iterator[Attempt]:
    yield from attempts_over(link, ONCE)


@pytest.fixture
def invoke_impatiently(link: LocalPrivateLink) -> Iterator[Attempt]:
    yield from attempts_over(link, IMPATIENT)


def invocations(link: LocalPrivateLink, since: int) -> int:
    return len([r for r in list(link.requests)[since:] if r.operation == "InvokeEndpoint"])


def quick(**policy: Any) -> Retrier:
    return Retrier(RetryPolicy(**policy), sleep=lambda _seconds: None)


@pytest.mark.parametrize(
    ("failures", "attempts"),
    [((), 1), ((503,), 2), ((504, 502, 507), 4)],
)
def test_a_model_that_recovers_is_asked_again(
    link: LocalPrivateLink,
    invoke: Attempt,
    failures: tuple[int, ...],
    attempts: int,
) -> None:
    """As often as it failed, and once more."""
    model = Model(*failures)
    link.deploy("model", model)
    assert quick().call(invoke) == (b"row", attempts)
    assert model.calls == attempts


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_a_model_that_says_no_is_not_asked_again(
    link: LocalPrivateLink, invoke: Attempt, status: int
) -> None:
    """It got the call once."""
    model = Model(status)
    link.deploy("model", model)
    with pytest.raises(ClientError, match="ModelError"):
        quick().call(invoke)
    assert model.calls == 1


def test_a_throttled_call_reaches_the_model_once(link: LocalPrivateLink, invoke: Attempt) -> None:
    """Throttling comes before the model."""
    model = Model()
    link.deploy("model", model)
    since = len(link.requests)
    link.faults.throttle("sagemaker:InvokeEndpoint", times=3)
    assert quick().call(invoke) == (b"row", 4)
    assert (invocations(link, since), model.calls) == (4, 1)


@pytest.mark.parametrize(
    "fault", ["unavailable", "internal_failure", "dependency_failure", "not_ready"]
)
def test_a_service_that_cannot_for_the_moment_is_asked_again(
    link: LocalPrivateLink, invoke: Attempt, fault: str
) -> None:
    """503, 500, 530 and 429 while a model loads: none of these has reached the model."""
    model = Model()
    link.deploy("model", model)
    since = len(link.requests)
    getattr(link.faults, fault)("model", times=3)
    assert quick().call(invoke) == (b"row", 4)
    assert (invocations(link, since), model.calls) == (4, 1)


@pytest.mark.parametrize(
    "fault", ["unavailable", "internal_failure", "dependency_failure", "not_ready"]
)
def test_a_service_that_stays_down_is_asked_four_times(
    link: LocalPrivateLink, invoke: Attempt, fault: str
) -> None:
    """Then its own error is raised."""
    link.deploy("model", Model())
    since = len(link.requests)
    getattr(link.faults, fault)("model")
    with pytest.raises(ClientError) as caught:
        quick().call(invoke)
    assert attempts_made(caught.value) == invocations(link, since) == 4


def test_retry_after_is_read_from_the_wire(link: LocalPrivateLink, invoke: Attempt) -> None:
    """Seconds and dates, as a server sends them; beyond the deadline there is no second call."""
    link.deploy("model", Model())
    slept: list[float] = []
    retrier = Retrier(RetryPolicy(deadline=60), sleep=slept.append, wall_clock=lambda: 0)
    link.faults.throttle("sagemaker:InvokeEndpoint", times=1, retry_after=7)
    assert retrier.call(invoke) == (b"row", 2)
    assert slept == [7]
    link.faults.unavailable("model", times=1, retry_after="Fri, 31 Dec 1999 23:59:59 GMT")
    assert retrier.call(invoke) == (b"row", 2)
    assert 0 <= slept[1] <= 0.5
    since = len(link.requests)
    link.faults.not_ready("model", times=1, retry_after=3600)
    with pytest.raises(ClientError, match="ModelNotReady"):
        retrier.call(invoke)
    assert invocations(link, since) == 1


@pytest.mark.parametrize(("safe", "calls"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("fault", ["lost", "cut"])
def test_an_answer_that_is_lost_after_the_model_ran(
    link: LocalPrivateLink,
    invoke: Attempt,
    fault: str,
    *,
    safe: bool,
    calls: int,
) -> None:
    """The model has run: it runs again only where that does no harm."""
    model = Model()
    link.deploy("model", model)
    if fault == "lost":
        link.faults.reset("sagemaker-runtime", when="after-model", times=1)
    else:
        link.faults.cut("model", after_bytes=1, times=1)
    retrier = quick(safe_to_repeat=safe)
    if safe:
        assert retrier.call(invoke) == (b"row", 2)
    else:
        with pytest.raises(exceptions.BotoCoreError) as caught:
            retrier.call(invoke)
        assert classify(caught.value).name == "connection-lost"
    assert model.calls == calls


def test_what_is_denied_is_sent_once(link: LocalPrivateLink, invoke: Attempt) -> None:
    """AccessDenied is an answer."""
    link.deploy("model", Model())
    since = len(link.requests)
    link.faults.deny("sagemaker:InvokeEndpoint")
    with pytest.raises(ClientError, match="AccessDenied"):
        quick().call(invoke)
    assert invocations(link, since) == 1


@pytest.mark.parametrize(("safe", "sent"), [(False, 1), (True, 3)])
def test_a_connection_that_is_reset_after_the_request_went_out(
    link: LocalPrivateLink, invoke: Attempt, *, safe: bool, sent: int
) -> None:
    """Is repeated only where that does no harm."""
    link.deploy("model", Model())
    since = len(link.requests)
    link.faults.reset("sagemaker-runtime", times=2)
    retrier = quick(safe_to_repeat=safe)
    if safe:
        assert retrier.call(invoke) == (b"row", 3)
    else:
        with pytest.raises(exceptions.ConnectionClosedError):
            retrier.call(invoke)
    assert invocations(link, since) == sent


@pytest.mark.parametrize(("safe", "asked"), [(False, 1), (True, 2)])
def test_a_model_that_takes_too_long(
    link: LocalPrivateLink, invoke_impatiently: Attempt, *, safe: bool, asked: int
) -> None:
    """Is asked again only where that does no harm."""
    awaited = threading.Event()
    calls: list[bytes] = []

    def slow(body: bytes, _content_type: str) -> bytes:
        calls.append(body)
        if len(calls) == 1:
            awaited.wait(30)
        return body

    link.deploy("model", slow)
    retrier = quick(safe_to_repeat=safe)
    try:
        if safe:
            assert retrier.call(invoke_impatiently) == (b"row", 2)
        else:
            with pytest.raises(exceptions.ReadTimeoutError):
                retrier.call(invoke_impatiently)
    finally:
        awaited.set()
    assert len(calls) == asked


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("refuse", exceptions.EndpointConnectionError),
        ("swallow", exceptions.ConnectTimeoutError),
    ],
)
def test_what_was_never_sent_is_tried_again(
    link: LocalPrivateLink,
    invoke_impatiently: Attempt,
    how: Any,
    kind: type[Exception],
) -> None:
    """Zones that are down cost attempts, not calls."""
    model = Model()
    link.deploy("model", model)
    down = [link.faults.zone(f"{link.region}{letter}", how) for letter in "ab"]
    seen: list[type[BaseException]] = []

    def attempt(seconds: float | None) -> bytes:
        if len(seen) == 2:
            for fault in down:
                fault.clear()
        try:
            return invoke_impatiently(seconds)
        except Exception as error:
            seen.append(type(error))
            raise

    assert quick().call(attempt) == (b"row", 3)
    assert seen == [kind, kind]
    assert model.calls == 1


def test_a_certificate_for_other_names_is_refused_once(
    link: LocalPrivateLink, invoke: Attempt
) -> None:
    """The guard's own words for it are of the same row."""
    since = len(link.network.dialled)
    link.faults.certificate("elsewhere.example")
    with pytest.raises(exceptions.SSLError) as caught:
        quick(safe_to_repeat=True).call(invoke)
    assert classify(caught.value).name == "certificate"
    assert len(link.network.dialled) - since == 1


def test_a_public_address_is_refused_once(link: LocalPrivateLink, invoke: Attempt) -> None:
    """Nothing is dialled, nothing is tried again."""
    link.deploy("model", Model())
    since = len(link.network.dialled)
    link.faults.dns("sagemaker-runtime", "52.94.0.1")
    tried: list[float | None] = []

    def attempt(seconds: float | None) -> bytes:
        tried.append(seconds)
        return invoke(seconds)

    with pytest.raises(errors.PublicAddressError) as caught:
        quick(safe_to_repeat=True).call(attempt)
    assert attempts_made(caught.value) == len(tried) == 1
    assert len(link.network.dialled) == since


def test_an_error_inside_a_stream_is_not_retried(link: LocalPrivateLink) -> None:
    """boto3's own error of a stream that has begun says so by its type."""

    def breaks(body: bytes, _content_type: str) -> Iterator[bytes]:
        yield body
        raise ModelFailure(500, "no")

    link.deploy("model", breaks)
    client: Any = link.session().client("sagemaker-runtime", config=ONCE)
    answer = client.invoke_endpoint_with_response_stream(EndpointName="model", Body=b"row")
    with pytest.raises(exceptions.EventStreamError) as caught:
        list(answer["Body"])
    answer["Body"].close()
    client.close()
    rule = classify(caught.value)
    assert rule.name == "stream-began"
    assert not rule.allows(caught.value, RetryPolicy(safe_to_repeat=True))
