"""The simulator's asynchronous inference: accepted at once, answered by an object in S3."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from simulator_calls import ONCE, client_of, refused
from sm_private_client.errors import ConfigurationError
from sm_private_client.testing import LocalPrivateLink, ModelFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Clock:
    """The simulator's time, moved by hand."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.timezone.utc).replace(tzinfo=None) + self.ahead


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def link(clock: Clock) -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(clock=clock) as running:
        running.control.put_object("inputs", "a/row", b"from s3")
        running.deploy("sync", lambda body, _: body)
        yield running


@pytest.fixture(scope="module")
def runtime(link: LocalPrivateLink) -> Any:
    return link.session().client("sagemaker-runtime", config=ONCE)


def given_body(runtime: Any, body: bytes) -> dict[str, Any]:
    """Return Body, or skips: botocore 1.40 has only InputLocation."""
    shape = runtime.meta.service_model.operation_model("InvokeEndpointAsync").input_shape
    if "Body" not in shape.members:
        pytest.skip("this botocore's InvokeEndpointAsync has no Body")
    return {"Body": body}


def read(link: LocalPrivateLink, location: str) -> bytes | None:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return link.control.get_object(bucket, key)


def wait_for(link: LocalPrivateLink, location: str) -> bytes:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (body := read(link, location)) is not None:
            return body
        time.sleep(0.01)
    raise TimeoutError(location)


def test_an_input_in_s3(link: LocalPrivateLink, runtime: Any) -> None:
    """202 with id and places; the object has what the model gave, and clients of S3 see it."""
    link.deploy("upper", lambda body, _: body.upper(), s3_output_path="s3://outputs/here/")
    answer = runtime.invoke_endpoint_async(
        EndpointName="upper",
        InputLocation="s3://inputs/a/row",
        InferenceId="mine",
        ContentType="text/csv",
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "mine"
    assert answer["OutputLocation"].startswith("s3://outputs/here/")
    assert answer["FailureLocation"].startswith("s3://outputs/here/")
    assert wait_for(link, answer["OutputLocation"]) == b"FROM S3"
    assert read(link, answer["FailureLocation"]) is None
    s3 = client_of(link, "s3")
    key = answer["OutputLocation"].removeprefix("s3://outputs/")
    assert s3.get_object(Bucket="outputs", Key=key)["Body"].read() == b"FROM S3"
    (call,) = link.model("upper").calls
    assert (call.operation, call.inference_id, call.content_type) == (
        "InvokeEndpointAsync",
        "mine",
        "text/csv",
    )


def test_an_input_in_the_body(link: LocalPrivateLink, runtime: Any) -> None:
    """Up to 128,000 bytes; an id is made up and counts at the model too."""
    body = bytes(128_000)
    link.deploy("inline", lambda b, _: str(len(b)), s3_output_path="s3://outputs")
    answer = runtime.invoke_endpoint_async(EndpointName="inline", **given_body(runtime, body))
    assert wait_for(link, answer["OutputLocation"]) == b"128000"
    assert link.model("inline").inference_ids == (answer["InferenceId"],)
    assert link.model("inline").times(body) == 1


def test_the_answer_does_not_wait_for_the_model(link: LocalPrivateLink, runtime: Any) -> None:
    """Accepted while the model still computes."""
    go_on = threading.Event()

    def model(body: bytes, _content_type: str) -> bytes:
        go_on.wait(20)
        return body

    link.deploy("slow", model, s3_output_path="s3://outputs")
    answer = runtime.invoke_endpoint_async(EndpointName="slow", InputLocation="s3://inputs/a/row")
    assert read(link, answer["OutputLocation"]) is None
    go_on.set()
    assert wait_for(link, answer["OutputLocation"]) == b"from s3"


def raises(error: Exception) -> Callable[[bytes, str], bytes]:
    def model(_body: bytes, _content_type: str) -> bytes:
        raise error

    return model


def breaks(_body: bytes, _content_type: str) -> Iterator[bytes]:
    yield b"first"
    raise ValueError("lost")


@pytest.mark.parametrize(
    ("model", "place", "message"),
    [
        (
            raises(ModelFailure(503, "busy")),
            "a/row",
            b'Received server error (503) from primary with message "busy". See https://',
        ),
        (
            raises(ModelFailure(400, "bad")),
            "a/row",
            b'Received client error (400) from primary with message "bad". See https://',
        ),
        (
            breaks,
            "a/row",
            b'Received server error (500) from primary with message "ValueError: lost". See',
        ),
        (lambda b, _: b, "none", b"The input s3://inputs/none does not exist."),
    ],
)
def test_failures_have_a_place_of_their_own(
    link: LocalPrivateLink, runtime: Any, model: Any, place: str, message: bytes
) -> None:
    """The failure object says why; there is no output object."""
    link.deploy(
        "failing", model, s3_output_path="s3://outputs/good", s3_failure_path="s3://failures/bad"
    )
    answer = runtime.invoke_endpoint_async(
        EndpointName="failing", InputLocation=f"s3://inputs/{place}"
    )
    assert answer["FailureLocation"].startswith("s3://failures/bad/")
    assert wait_for(link, answer["FailureLocation"]).startswith(message)
    assert read(link, answer["OutputLocation"]) is None


def test_names_of_the_objects(link: LocalPrivateLink, runtime: Any) -> None:
    """S3OutputPathExtension and Filename are taken over, where botocore has them."""
    link.deploy("named", lambda body, _: body, s3_output_path="s3://outputs/base")
    shape = runtime.meta.service_model.operation_model("InvokeEndpointAsync").input_shape
    if "Filename" not in shape.members:
        pytest.skip("this botocore's InvokeEndpointAsync has no Filename")
    answer = runtime.invoke_endpoint_async(
        EndpointName="named",
        InputLocation="s3://inputs/a/row",
        S3OutputPathExtension="/2024/may/",
        Filename="result.csv",
    )
    assert answer["OutputLocation"] == "s3://outputs/base/2024/may/result.csv"
    assert wait_for(link, answer["OutputLocation"]) == b"from s3"


def test_jobs_wait_in_the_queue(link: LocalPrivateLink, runtime: Any) -> None:
    """delay_jobs leaves a call in the queue; one that waits for long holds no other up."""
    link.deploy("queued", lambda body, _: body, s3_output_path="s3://outputs")
    call = {"EndpointName": "queued", "InputLocation": "s3://inputs/a/row"}
    link.faults.delay_jobs(3600, "queued", times=20)
    waiting = [runtime.invoke_endpoint_async(**call) for _ in range(20)]
    answer = runtime.invoke_endpoint_async(**call)
    assert wait_for(link, answer["OutputLocation"]) == b"from s3"
    assert len(link.model("queued").calls) == 1
    assert all(read(link, accepted["OutputLocation"]) is None for accepted in waiting)


def test_a_call_that_waits_too_long_expires(
    link: LocalPrivateLink, runtime: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RequestTTLSeconds by the simulator's clock; the model does not see the call."""
    link.deploy("aged", lambda body, _: body, s3_output_path="s3://outputs")
    with link.faults.delay_jobs(0.5, "aged"):
        answer = runtime.invoke_endpoint_async(
            EndpointName="aged", InputLocation="s3://inputs/a/row", RequestTTLSeconds=60
        )
    monkeypatch.setattr(clock, "ahead", dt.timedelta(seconds=61))
    assert wait_for(link, answer["FailureLocation"]) == (
        b"The request expired: it waited more than 60 s."
    )
    assert len(link.model("aged").calls) == 0


def test_a_model_that_computes_too_long_has_failed(
    link: LocalPrivateLink, runtime: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InvocationTimeoutSeconds by the simulator's clock."""

    def model(body: bytes, _content_type: str) -> bytes:
        monkeypatch.setattr(clock, "ahead", dt.timedelta(seconds=31))
        return body

    link.deploy("long", model, s3_output_path="s3://outputs")
    answer = runtime.invoke_endpoint_async(
        EndpointName="long", InputLocation="s3://inputs/a/row", InvocationTimeoutSeconds=30
    )
    assert wait_for(link, answer["FailureLocation"]) == (
        b"The invocation timed out: the model took more than 30 s."
    )


def test_an_endpoint_that_is_not_asynchronous_refuses(link: LocalPrivateLink, runtime: Any) -> None:
    """It has to be deployed with an output path, which DescribeEndpointConfig then shows."""
    answer = refused(
        runtime.invoke_endpoint_async, EndpointName="sync", InputLocation="s3://inputs/a/row"
    )
    assert answer["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint sync is not configured for asynchronous inference: use "
        "deploy(..., s3_output_path=...).",
    }
    link.deploy(
        "shown", lambda body, _: body, s3_output_path="s3://good/b", s3_failure_path="s3://bad"
    )
    client: Any = link.session().client("sagemaker")
    described = client.describe_endpoint_config(EndpointConfigName="shown")
    assert described["AsyncInferenceConfig"]["OutputConfig"] == {
        "S3OutputPath": "s3://good/b",
        "S3FailurePath": "s3://bad",
    }


@pytest.mark.parametrize("path", ["", "outputs/here", "s3://", "s3:///here", "https://outputs"])
def test_a_path_that_is_not_in_s3_is_refused(link: LocalPrivateLink, path: str) -> None:
    """deploy() says so at once."""
    with pytest.raises(ConfigurationError) as caught:
        link.deploy("wrong", lambda body, _: body, s3_output_path=path)
    assert caught.value.what == f"{path!r} is not a place in S3."


@pytest.mark.parametrize("bucket", ["taken", "no"])
def test_a_bucket_that_cannot_be_is_refused(link: LocalPrivateLink, bucket: str) -> None:
    """Names of buckets are the world's, and S3 has rules for them."""
    with LocalPrivateLink() as other:
        other.control.put_object("taken", "row", b"x")
        with pytest.raises(ConfigurationError) as caught:
            link.deploy("wrong", lambda body, _: body, s3_output_path=f"s3://{bucket}")
    assert caught.value.what == f"There can be no bucket {bucket!r} in this account."


@pytest.mark.parametrize(
    ("body", "arguments", "message"),
    [
        (b"", {}, "Exactly one of InputLocation and Body must be given."),
        (
            b"x",
            {"InputLocation": "s3://a/b"},
            "Exactly one of InputLocation and Body must be given.",
        ),
        (
            bytes(128_001),
            {},
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member "
            "must have length less than or equal to 128000",
        ),
        (
            b"x",
            {"InvocationTimeoutSeconds": 3601},
            "1 validation error detected: Value at 'invocationTimeoutSeconds' failed to satisfy "
            "constraint: Member must have value less than or equal to 3600",
        ),
        (
            b"x",
            {"RequestTTLSeconds": 21_601},
            "1 validation error detected: Value at 'requestTTLSeconds' failed to satisfy "
            "constraint: Member must have value less than or equal to 21600",
        ),
    ],
)
def test_limits(
    link: LocalPrivateLink, runtime: Any, body: bytes, arguments: dict[str, Any], message: str
) -> None:
    """As the API reference has them."""
    link.deploy("limited", lambda b, _: b, s3_output_path="s3://outputs")
    given = {**given_body(runtime, body), **arguments}
    if not body:
        del given["Body"]
    answer = refused(runtime.invoke_endpoint_async, EndpointName="limited", **given)
    assert answer["Error"] == {"Code": "ValidationError", "Message": message}
    assert len(link.model("limited").calls) == 0


def test_stopping_forgets_what_waits() -> None:
    """No thread goes on, and what still runs writes nothing."""
    before = set(threading.enumerate())
    link = LocalPrivateLink()
    with link:
        link.control.put_object("other-inputs", "row", b"x")
        link.deploy("churn", lambda body, _: body, s3_output_path="s3://other-outputs")
        link.faults.delay_jobs(3600)
        runtime: Any = link.session().client("sagemaker-runtime", config=ONCE)
        runtime.invoke_endpoint_async(EndpointName="churn", InputLocation="s3://other-inputs/row")
    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile
