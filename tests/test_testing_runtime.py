"""The simulator's hosted models and the front of sagemaker-runtime."""

from __future__ import annotations

import http.server
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import EventStreamError

from simulator_calls import ONCE, refused
from sm_private_client.errors import ConfigurationError
from sm_private_client.testing import LocalPrivateLink, ModelFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUT: Any = (
    botocore.session.Session()
    .get_service_model("sagemaker-runtime")
    .operation_model("InvokeEndpoint")
    .input_shape
)


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("echo", lambda body, _content_type: body)
        yield running


@pytest.fixture(scope="module")
def runtime(link: LocalPrivateLink) -> Any:
    return link.session().client("sagemaker-runtime", config=ONCE)


def most(name: str) -> int:
    """The largest length that botocore's model allows a member of InvokeEndpoint."""
    return int(INPUT.members[name].metadata["max"])


def parts(body: bytes, _content_type: str) -> Iterator[bytes]:
    yield from (body, b"", b"-", body)


@pytest.mark.parametrize(
    ("model", "accept", "body", "content_type"),
    [
        (lambda b, _: b.upper(), None, b"ROW", "text/csv"),
        (lambda b, _: b.upper(), "application/json", b"ROW", "application/json"),
        (lambda b, _: b.upper(), "*/*", b"ROW", "text/csv"),
        (lambda b, _: b.decode() + "é", None, "rowé".encode(), "text/csv"),
        (lambda b, _: (b, "application/x-thing"), "text/plain", b"row", "application/x-thing"),
        (lambda _b, _t: ("text", "text/plain"), None, b"text", "text/plain"),
        (lambda _b, t: (t.encode(), "text/plain"), None, b"text/csv", "text/plain"),
        (lambda b, _: [b, b"!"], None, b"row!", "text/csv"),
        (parts, None, b"row-row", "text/csv"),
    ],
)
def test_what_a_callable_may_answer(
    link: LocalPrivateLink,
    runtime: Any,
    model: Any,
    accept: str | None,
    body: bytes,
    content_type: str,
) -> None:
    """Bytes, text, with or without a content type, or parts."""
    link.deploy("model", model)
    given = {"Accept": accept} if accept else {}
    answer = runtime.invoke_endpoint(
        EndpointName="model", Body=b"row", ContentType="text/csv", **given
    )
    assert answer["Body"].read() == body
    assert answer["ContentType"] == content_type
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_the_control_plane_shows_what_is_deployed(link: LocalPrivateLink) -> None:
    """The inference endpoint is InService at once, and waiters pass."""
    client: Any = link.session().client("sagemaker")
    link.deploy("shown", lambda body, _: body, variant="Blue")
    names = [shown["EndpointName"] for shown in client.list_endpoints()["Endpoints"]]
    assert "shown" in names
    client.get_waiter("endpoint_in_service").wait(EndpointName="shown")
    described = client.describe_endpoint(EndpointName="shown")
    assert described["ProductionVariants"][0]["VariantName"] == "Blue"
    client.delete_endpoint(EndpointName="shown")
    runtime: Any = link.session().client("sagemaker-runtime", config=ONCE)
    answer = refused(runtime.invoke_endpoint, EndpointName="shown", Body=b"")
    assert answer["Error"] == {
        "Code": "ValidationError",
        "Message": f"Endpoint shown of account {link.account_id} not found.",
    }


def test_an_inference_endpoint_without_a_model_says_so(
    link: LocalPrivateLink, runtime: Any
) -> None:
    """CreateEndpoint alone hosts nothing in the simulator."""
    client: Any = link.session().client("sagemaker")
    variant = {"VariantName": "A", "ModelName": "m", "InstanceType": "ml.t2.medium"}
    client.create_model(ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/some-role")
    client.create_endpoint_config(
        EndpointConfigName="bare", ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    client.create_endpoint(EndpointName="bare", EndpointConfigName="bare")
    assert refused(runtime.invoke_endpoint, EndpointName="bare", Body=b"")["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint bare has no model in the simulator: use deploy().",
    }


@pytest.mark.parametrize(
    ("error", "status", "message", "side"),
    [
        (
            ValueError("bad row"),
            500,
            "ValueError: bad row",
            "server",
        ),
        (ModelFailure(415, "no csv"), 415, "no csv", "client"),
        (ModelFailure(503, "busy"), 503, "busy", "server"),
    ],
)
def test_a_model_that_fails_is_a_model_error(
    link: LocalPrivateLink,
    runtime: Any,
    error: Exception,
    status: int,
    message: str,
    side: str,
) -> None:
    """424, with the members that the service gives."""

    def model(_body: bytes, _content_type: str) -> bytes:
        raise error

    link.deploy("failing", model)
    with pytest.raises(runtime.exceptions.ModelError):
        runtime.invoke_endpoint(EndpointName="failing", Body=b"")
    answer = refused(runtime.invoke_endpoint, EndpointName="failing", Body=b"")
    group = "/aws/sagemaker/Endpoints/failing"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (answer["OriginalStatusCode"], answer["OriginalMessage"]) == (status, message)
    assert answer["LogStreamArn"] == f"arn:aws:logs:us-east-1:{link.account_id}:log-group:{group}"
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["Error"]["Message"].startswith(
        f'Received {side} error ({status}) from primary with message "{message}". See https://'
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"CustomAttributes": "x" * (most("CustomAttributes") + 1)},
            "1 validation error detected: Value at 'customAttributes' failed to satisfy "
            f"constraint: Member must have length less than or equal to {most('CustomAttributes')}",
        ),
        (
            {
                "InferenceId": "x" * (most("InferenceId") + 1),
                "SessionId": "y" * (most("SessionId") + 1),
            },
            "2 validation errors detected: Value at 'inferenceId' failed to satisfy constraint: "
            f"Member must have length less than or equal to {most('InferenceId')}; Value at "
            "'sessionId' failed to satisfy constraint: "
            f"Member must have length less than or equal to {most('SessionId')}",
        ),
        ({"TargetVariant": "Green"}, "Variant Green not found for Request echo."),
    ],
)
def test_header_limits(runtime: Any, arguments: dict[str, str], message: str) -> None:
    """The lengths stand in botocore's model; botocore itself does not check the longest."""
    answer = refused(runtime.invoke_endpoint, EndpointName="echo", Body=b"", **arguments)
    assert answer["Error"] == {"Code": "ValidationError", "Message": message}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(("size", "good"), [(25 * 2**20, True), (25 * 2**20 + 1, False)])
def test_payload_limit(runtime: Any, size: int, *, good: bool) -> None:
    """25 MB pass, a byte more is 413 as the front words it."""
    if good:
        answer = runtime.invoke_endpoint(EndpointName="echo", Body=bytes(size))
        assert len(answer["Body"].read()) == size
    else:
        answer = refused(runtime.invoke_endpoint, EndpointName="echo", Body=bytes(size))
        assert answer["Error"] == {
            "Code": "413",
            "Message": "HTTP content length exceeded 26214400 bytes.",
        }


def test_custom_attributes_and_sessions_come_back(runtime: Any) -> None:
    """A NEW_SESSION gets an id that expires."""
    answer = runtime.invoke_endpoint(
        EndpointName="echo", Body=b"", CustomAttributes="trace=1", SessionId="NEW_SESSION"
    )
    assert answer["CustomAttributes"] == "trace=1"
    assert re.fullmatch(r"[0-9a-f-]{36}; Expires=[0-9T:-]+Z", answer["NewSessionId"])


def test_streams_come_in_the_model_s_parts(link: LocalPrivateLink, runtime: Any) -> None:
    """Each part is one event; empty ones are left out; long ones are split."""
    link.deploy("streaming", parts)
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="streaming", Body=b"row", ContentType="text/csv"
    )
    seen = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert seen == [b"row", b"-", b"row"]
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/csv", "AllTraffic")
    long = runtime.invoke_endpoint_with_response_stream(EndpointName="echo", Body=bytes(200_000))
    sizes = [len(event["PayloadPart"]["Bytes"]) for event in long["Body"]]
    assert sizes == [65536, 65536, 65536, 3392]


def test_a_stream_that_breaks_ends_in_an_event(link: LocalPrivateLink, runtime: Any) -> None:
    """ModelStreamError inside of the stream, since the answer has begun."""

    def model(_body: bytes, _content_type: str) -> Iterator[bytes]:
        yield b"first"
        raise ValueError("lost")

    link.deploy("breaking", model)
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName="breaking", Body=b"")
    stream = iter(answer["Body"])
    assert next(stream) == {"PayloadPart": {"Bytes": b"first"}}
    with pytest.raises(EventStreamError) as caught:
        next(stream)
    assert "ModelStreamError" in str(caught.value)
    answer["Body"].close()
    whole = refused(runtime.invoke_endpoint, EndpointName="breaking", Body=b"")
    assert whole["Error"]["Code"] == "ModelError"


class Container(http.server.BaseHTTPRequestHandler):
    """SageMaker's container contract."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received = {
            "body": body.decode(),
            "type": self.headers["Content-Type"],
            "accept": self.headers["Accept"],
            "attributes": self.headers["X-Amzn-SageMaker-Custom-Attributes"],
            "path": self.path,
        }
        self._answer(400 if body == b"bad" else 200, json.dumps(received).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "theirs")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def container() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Container) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_container_is_called(link: LocalPrivateLink, runtime: Any, container: str) -> None:
    """Headers go there and come back; its errors are model errors."""
    link.deploy("contained", container + "/")
    answer = runtime.invoke_endpoint(
        EndpointName="contained",
        Body=b"row",
        ContentType="text/csv",
        Accept="text/plain",
        CustomAttributes="mine",
    )
    assert json.loads(answer["Body"].read()) == {
        "body": "row",
        "type": "text/csv",
        "accept": "text/plain",
        "attributes": "mine",
        "path": "/invocations",
    }
    assert (answer["ContentType"], answer["CustomAttributes"]) == ("application/json", "theirs")
    failed = refused(runtime.invoke_endpoint, EndpointName="contained", Body=b"bad")
    assert (failed["Error"]["Code"], failed["OriginalStatusCode"]) == ("ModelError", 400)


def test_a_container_that_does_not_answer_ping_is_not_deployed(
    link: LocalPrivateLink, container: str
) -> None:
    """deploy() says so at once, and what it saw."""
    for url, seen in (
        ("http://127.0.0.1:9", "NewConnectionError."),
        (f"{container}/below", "it answered 404."),
    ):
        with pytest.raises(ConfigurationError) as caught:
            link.deploy("absent", url)
        assert str(caught.value) == (
            f"The model server at {url} does not answer GET /ping with 200.\n"
            f"Cause: {seen}\n"
            "Remedy: start the server before deploy(), and give the URL that /ping and "
            "/invocations are below.\n"
            "See docs/errors.md#configuration"
        )
    assert link.control.endpoint_status("absent") is None


def test_many_threads_invoke(link: LocalPrivateLink) -> None:
    """Answers do not get mixed up."""
    client: Any = link.session().client("sagemaker-runtime", config=Config(max_pool_connections=8))
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            body = str(number).encode()
            answer = client.invoke_endpoint(EndpointName="echo", Body=body)
            if answer["Body"].read() != body:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
