"""What the simulator's Runtime gets wrong on purpose, and what the model received meanwhile."""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import http.client
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError, SSLError

from simulator_calls import ONCE, drain, refused
from sm_private_client.testing import LocalPrivateLink, ModelCall

if TYPE_CHECKING:
    from collections.abc import Iterator

CUT_OFF = (ConnectionClosedError, SSLError)
"""botocore reports a reset as the latter if it comes while the request is sent."""
HASTY = ONCE.merge(Config(read_timeout=0.3))


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


@pytest.fixture
def link(shared: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    shared.deploy("churn", lambda body, _: body.upper())
    shared.deploy("other", lambda body, _: body)
    shared.model("churn").calls.clear()
    shared.requests.clear()
    yield shared
    shared.faults.clear()


@pytest.fixture
def runtime(link: LocalPrivateLink) -> Iterator[Any]:
    client = link.session().client("sagemaker-runtime", config=ONCE)
    yield client
    client.close()


def invoke(runtime: Any, body: bytes = b"row", **arguments: Any) -> bytes:
    answer = runtime.invoke_endpoint(EndpointName="churn", Body=body, **arguments)
    return bytes(answer["Body"].read())


# Errors of the service


@pytest.mark.parametrize(
    ("fault", "code", "status", "message"),
    [
        (
            "unavailable",
            "ServiceUnavailable",
            503,
            "The request has failed due to a temporary failure of the server.",
        ),
        (
            "internal_failure",
            "InternalFailure",
            500,
            "The request processing has failed because of an unknown error, exception or failure.",
        ),
        (
            "dependency_failure",
            "InternalDependencyException",
            530,
            "The request caused an exception with an internal dependency.",
        ),
        (
            "not_ready",
            "ModelNotReadyException",
            429,
            "Model for endpoint churn variant AllTraffic is not ready for inference yet.",
        ),
    ],
)
@pytest.mark.parametrize("subject", ["churn", ""])
def test_the_service_fails_so_many_times(
    link: LocalPrivateLink,
    runtime: Any,
    fault: str,
    code: str,
    status: int,
    message: str,
    subject: str,
) -> None:
    """Code, status and exception class of botocore's model; the model is not called."""
    getattr(link.faults, fault)(subject, times=2)
    for _ in range(2):
        with pytest.raises(getattr(runtime.exceptions, code)) as caught:
            invoke(runtime)
        answer = caught.value.response
        assert answer["Error"] == {"Code": code, "Message": message}
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
        assert "retry-after" not in answer["ResponseMetadata"]["HTTPHeaders"]
    assert len(link.model("churn").calls) == 0
    assert invoke(runtime) == b"ROW"
    assert len(link.model("churn").calls) == 1
    # One that an earlier test gave up is recorded when its model ends, which may be here.
    assert [record.status for record in link.requests][-3:] == [status, status, 200]


@pytest.mark.parametrize("name", ["unavailable", "internal_failure", "not_ready", "model_error"])
def test_a_fault_is_for_its_own_inference_endpoint(
    link: LocalPrivateLink, runtime: Any, name: str
) -> None:
    """Others are not hit, nor is anyone after the block."""
    with getattr(link.faults, name)("other"):
        assert invoke(runtime) == b"ROW"
        refused(runtime.invoke_endpoint, EndpointName="other", Body=b"")
    runtime.invoke_endpoint(EndpointName="other", Body=b"")["Body"].read()


@pytest.mark.parametrize(
    ("given", "header"),
    [
        (None, None),
        (0, "0"),
        (3, "3"),
        (0.5, "0.5"),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT"),
    ],
)
def test_retry_after(
    link: LocalPrivateLink, runtime: Any, given: float | str | None, header: str | None
) -> None:
    """As seconds or as a date, on every error that may have it."""
    faults = link.faults
    for fault in (
        faults.unavailable(retry_after=given),
        faults.internal_failure(retry_after=given),
        faults.dependency_failure(retry_after=given),
        faults.not_ready(retry_after=given),
        faults.throttle("sagemaker:InvokeEndpoint", retry_after=given),
    ):
        answer = refused(runtime.invoke_endpoint, EndpointName="churn", Body=b"")
        assert answer["ResponseMetadata"]["HTTPHeaders"].get("retry-after") == header
        fault.clear()


def test_retry_after_of_other_services(link: LocalPrivateLink) -> None:
    """SageMaker's API and the other services have it too."""
    session = link.session()
    for service, action, call in (
        ("sagemaker", "sagemaker:ListEndpoints", "list_endpoints"),
        ("ec2", "ec2:DescribeVpcs", "describe_vpcs"),
        ("sts", "sts:GetCallerIdentity", "get_caller_identity"),
    ):
        client: Any = session.client(service, config=ONCE)  # type: ignore[call-overload]
        with link.faults.throttle(action, retry_after=7):
            answer = refused(getattr(client, call))
        assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "7"


@pytest.mark.parametrize(
    ("status", "side"), [(0, "server"), (400, "client"), (500, "server"), (503, "server")]
)
def test_the_model_fails_on_purpose(
    link: LocalPrivateLink, runtime: Any, status: int, side: str
) -> None:
    """ModelError with the container's status; each call was received by the model."""
    link.faults.model_error("churn", status, message="out of memory", times=2)
    for _ in range(2):
        with pytest.raises(runtime.exceptions.ModelError) as caught:
            invoke(runtime)
        answer = caught.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert (answer["OriginalStatusCode"], answer["OriginalMessage"]) == (
            status,
            "out of memory",
        )
        assert answer["LogStreamArn"].endswith(":log-group:/aws/sagemaker/Endpoints/churn")
        assert answer["Error"]["Message"].startswith(f"Received {side} error ({status}) from")
    assert invoke(runtime) == b"ROW"
    assert len(link.model("churn").calls) == 3


def test_streams_and_jobs_fail_before_they_begin_too(link: LocalPrivateLink, runtime: Any) -> None:
    """The same faults hit all three operations."""
    link.deploy("churn", lambda body, _: body, s3_output_path="s3://fault-outputs")
    stream = runtime.invoke_endpoint_with_response_stream
    with link.faults.unavailable("churn"):
        for call, arguments in (
            (stream, {"Body": b""}),
            (runtime.invoke_endpoint_async, {"InputLocation": "s3://fault-outputs/none"}),
        ):
            answer = refused(call, EndpointName="churn", **arguments)
            assert answer["Error"]["Code"] == "ServiceUnavailable"
    with link.faults.model_error("churn", 507):
        answer = refused(stream, EndpointName="churn", Body=b"")
        assert answer["OriginalStatusCode"] == 507


# Connections


@pytest.mark.parametrize(
    ("when", "received"), [("before-body", 0), ("before-model", 0), ("after-model", 1)]
)
def test_a_reset_comes_at_three_moments(
    link: LocalPrivateLink, runtime: Any, when: Any, received: int
) -> None:
    """The caller sees the same each time; the model was called or not; then all is well."""
    link.faults.reset("sagemaker-runtime", when=when, times=1)
    with pytest.raises(CUT_OFF):
        invoke(runtime, b"reset me")
    assert [record.status for record in link.requests] == [None]
    assert link.requests[0].operation == "InvokeEndpoint"
    assert link.model("churn").times(b"reset me") == received
    assert invoke(runtime, b"reset me") == b"RESET ME"
    assert link.model("churn").times(b"reset me") == received + 1


def test_a_reset_before_the_body_does_not_wait_for_it(link: LocalPrivateLink) -> None:
    """The head is enough: no byte of the body has to come."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    trust = ssl.create_default_context(cafile=link.ca_bundle)
    raw = socket.create_connection(("127.0.0.1", standing.interfaces[0].listener.port), timeout=5)
    with (
        link.faults.reset(when="before-body"),
        trust.wrap_socket(raw, server_hostname=standing.name.host) as secured,
    ):
        head = f"POST / HTTP/1.1\r\nHost: {standing.name.host}\r\nContent-Length: 9\r\n\r\n"
        secured.sendall(head.encode())
        with pytest.raises(ConnectionResetError):
            drain(secured)


def test_a_stream_has_run_when_it_is_reset_after_the_model(
    link: LocalPrivateLink, runtime: Any
) -> None:
    """A model that is a generator ran to its end."""
    done = threading.Event()

    def model(body: bytes, _content_type: str) -> Iterator[bytes]:
        yield body
        done.set()

    link.deploy("churn", model)
    with (
        link.faults.reset("sagemaker-runtime", when="after-model"),
        pytest.raises(CUT_OFF),
    ):
        runtime.invoke_endpoint_with_response_stream(EndpointName="churn", Body=b"x")
    assert done.is_set()


@pytest.mark.parametrize("when", ["before-body", "before-model", "after-model"])
def test_other_services_are_reset_too(link: LocalPrivateLink, when: Any) -> None:
    """By boto3's name of the service; only after-model was executed."""
    s3: Any = link.session().client("s3", config=ONCE)
    link.faults.reset("s3", when=when, times=1)
    with pytest.raises(ConnectionClosedError):
        s3.create_bucket(Bucket=f"bucket-{when}")
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert (f"bucket-{when}" in names) is (when == "after-model")
    s3.close()


def test_resetting_connections_returns_when_they_are_closed(link: LocalPrivateLink) -> None:
    """Idle ones, and one whose model computes: its caller does not wait for the model."""
    computing, go_on = threading.Event(), threading.Event()

    def model(body: bytes, _content_type: str) -> bytes:
        computing.set()
        go_on.wait(20)
        return body

    link.deploy("churn", model)
    idle, busy = (
        link.session(availability_zone="us-east-1a").client("sagemaker-runtime", config=ONCE)
        for _ in range(2)
    )
    idle.invoke_endpoint(EndpointName="other", Body=b"")["Body"].read()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            invoke(busy)
        except CUT_OFF as error:
            errors.append(error)

    caller = threading.Thread(target=work)
    caller.start()
    assert computing.wait(10)
    listener = link.vpc_endpoint("sagemaker-runtime").interfaces[0].listener
    standing = listener.open_connections()
    assert len(standing) >= 2
    link.faults.zone("us-east-1a", "refuse")
    assert all(connection.closed.is_set() for connection in standing)
    caller.join(10)
    assert len(errors) == 1
    assert not go_on.is_set()
    go_on.set()
    idle.close()
    busy.close()


def test_a_stalled_answer_was_executed(link: LocalPrivateLink) -> None:
    """The caller gives up, the model has run; the next call finds all well."""
    client: Any = link.session().client("sagemaker-runtime", config=HASTY)
    link.faults.stall(endpoint_name="churn", times=1)
    with pytest.raises(ReadTimeoutError):
        invoke(client, b"slow")
    assert link.model("churn").times(b"slow") == 1
    assert invoke(client, b"slow") == b"SLOW"
    assert link.model("churn").times(b"slow") == 2
    client.close()


def test_a_stall_of_some_seconds_ends(link: LocalPrivateLink, runtime: Any) -> None:
    """The answer is late, and whole."""
    with link.faults.stall(0.2, "churn"):
        started = time.monotonic()
        assert invoke(runtime) == b"ROW"
        assert time.monotonic() - started >= 0.2


def test_stopping_ends_what_stalls() -> None:
    """Nobody waits for ever for a simulator that is gone."""
    before = set(threading.enumerate())
    failures: list[BaseException] = []
    with LocalPrivateLink() as link:
        link.deploy("churn", lambda body, _: body)
        link.faults.stall()
        client: Any = link.session().client("sagemaker-runtime", config=ONCE)

        def work() -> None:
            try:
                invoke(client)
            except CUT_OFF as error:
                failures.append(error)

        caller = threading.Thread(target=work)
        caller.start()
        while not link.requests:
            time.sleep(0.01)
    caller.join(10)
    client.close()
    assert len(failures) == 1
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(("after", "how"), [(0, "close"), (2, "close"), (9, "close"), (2, "reset")])
def test_a_whole_answer_is_cut(link: LocalPrivateLink, runtime: Any, after: int, how: Any) -> None:
    """Content-Length promises more than comes, or the end is missing; the model has run."""
    with link.faults.cut("churn", after_bytes=after, how=how):
        answer = runtime.invoke_endpoint(EndpointName="churn", Body=b"nine more")
        assert answer["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "9"
        if (after, how) == (9, "close"):
            assert answer["Body"].read() == b"NINE MORE"
        else:
            with pytest.raises(Exception, match=r"(?i)incomplete|reset|protocol|broken"):
                answer["Body"].read()
            answer["Body"].close()
    assert link.model("churn").times(b"nine more") == 1


# The clock


@pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestExpired"])
@pytest.mark.parametrize(
    ("seconds", "message"), [(400, "Signature expired: "), (-400, "Signature not yet current: ")]
)
def test_the_service_s_clock_is_wrong(
    link: LocalPrivateLink, runtime: Any, seconds: float, message: str, code: str
) -> None:
    """The error's Date tells that clock; within five minutes nothing is wrong."""
    with link.faults.clock_skew(seconds, code=code):
        answer = refused(runtime.invoke_endpoint, EndpointName="churn", Body=b"")
    assert answer["Error"]["Code"] == code
    assert answer["Error"]["Message"].startswith(message)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    date = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    skew = (date - dt.datetime.now(dt.timezone.utc)).total_seconds()
    assert abs(skew - seconds) < 60
    with link.faults.clock_skew(seconds / 2):
        assert invoke(runtime) == b"ROW"


def test_every_answer_has_a_date(link: LocalPrivateLink) -> None:
    """One, of the simulator's clock, also where moto has put its own."""
    then = dt.datetime(2031, 5, 6, 7, 8, 9)  # noqa: DTZ001 - UTC by contract
    with LocalPrivateLink(clock=lambda: then) as other:
        standing = other.vpc_endpoint("sagemaker")
        trust = ssl.create_default_context(cafile=other.ca_bundle)
        trust.check_hostname = False
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            standing.interfaces[0].listener.port,
            context=trust,
            timeout=10,
        )
        connection.request("POST", "/", headers={"Host": standing.name.host})
        answer = connection.getresponse()
        assert answer.headers.get_all("date") == ["Tue, 06 May 2031 07:08:09 GMT"]
        connection.close()
    client: Any = link.session().client("sagemaker")
    header = client.list_endpoints()["ResponseMetadata"]["HTTPHeaders"]["date"]
    date = email.utils.parsedate_to_datetime(header)
    assert abs((date - dt.datetime.now(dt.timezone.utc)).total_seconds()) < 60


# Counting


def test_what_a_model_received_is_counted(link: LocalPrivateLink, runtime: Any) -> None:
    """Operation, id, type, size and digest; never the payload."""
    invoke(runtime, b"SECRET", InferenceId="one", ContentType="text/csv")
    stream = runtime.invoke_endpoint_with_response_stream(EndpointName="churn", Body=b"more")
    list(stream["Body"])
    record = link.model("churn")
    assert list(record.calls) == [
        ModelCall(
            operation="InvokeEndpoint",
            inference_id="one",
            content_type="text/csv",
            size=6,
            digest=hashlib.sha256(b"SECRET").hexdigest(),
        ),
        ModelCall(
            operation="InvokeEndpointWithResponseStream",
            inference_id=None,
            content_type="",
            size=4,
            digest=hashlib.sha256(b"more").hexdigest(),
        ),
    ]
    assert record.inference_ids == ("one", None)
    assert [record.times(body) for body in (b"SECRET", b"more", b"none")] == [1, 1, 0]
    assert "SECRET" not in repr(record) + repr(record.calls)
    assert repr(record) == "<ModelRecord churn: 2 calls>"


def test_a_call_counts_while_the_model_computes(link: LocalPrivateLink, runtime: Any) -> None:
    """And when the model raises; the record outlives the model."""
    seen: list[int] = []

    def model(_body: bytes, _content_type: str) -> bytes:
        seen.append(len(link.model("churn").calls))
        raise ValueError

    link.deploy("churn", model)
    refused(runtime.invoke_endpoint, EndpointName="churn", Body=b"")
    link.deploy("churn", lambda body, _: body)
    assert seen == [1]
    assert len(link.model("churn").calls) == 1
    assert len(link.model("never deployed").calls) == 0


# Switches


@pytest.mark.parametrize("times", [0, -1])
def test_a_fault_that_never_happens_is_refused(link: LocalPrivateLink, times: int) -> None:
    """It would be a typing error."""
    with pytest.raises(ValueError, match=f"times must be at least 1, not {times}"):
        link.faults.unavailable(times=times)


@pytest.mark.parametrize("given", [{}, {"after_parts": 1, "after_bytes": 1}])
def test_a_cut_needs_one_place(link: LocalPrivateLink, given: dict[str, int]) -> None:
    """Neither none nor two."""
    with pytest.raises(ValueError, match="exactly one of after_parts and after_bytes"):
        link.faults.cut(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [(), (0,), (3, -1)])
def test_pieces_have_bytes(link: LocalPrivateLink, sizes: tuple[int, ...]) -> None:
    """A piece of nothing would never end."""
    with pytest.raises(ValueError, match="sizes of at least 1 byte"):
        link.faults.split(*sizes)
