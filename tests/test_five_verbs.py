"""The verbs of a predictor against real models: the demonstration's, and a bare container.

Both are servers with SageMaker's container contract, in front of which the simulator puts DNS,
TLS, signatures and the Runtime; every byte travels over real sockets.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import pytest

from sm_private_client.cli.demo import setup
from sm_private_client.inference.codecs import decode, encode
from sm_private_client.inference.predictor import Predictor
from sm_private_client.testing import LocalPrivateLink

ROWS = [[number, number + 1] for number in range(60)]


class Container(BaseHTTPRequestHandler):
    """The least that SageMaker asks of a container; its model adds the numbers of each row."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(json.dumps([sum(row) for row in rows]).encode())

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model that is served, what it is asked, and what it says."""

    endpoint_name: str
    codec: str
    rows: list[list[Any]]
    answers: list[Any]


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Served]]:
    """The demonstration's model, in a process of its own."""
    artifact = tmp_path_factory.mktemp("model") / "model.pkl"
    model = setup.train(artifact)
    served = Served(
        endpoint_name="demonstrated",
        codec="csv",
        rows=[[float(cell) for cell in row.split(b",")] for row in model.rows],
        answers=[[label] for label in model.predictions],
    )
    with setup.serve(artifact) as (url, _):
        yield url, served


@pytest.fixture(scope="module")
def contained() -> Iterator[tuple[str, Served]]:
    """A bare container, in a thread of its own."""
    served = Served(
        endpoint_name="contained", codec="json", rows=ROWS, answers=[sum(row) for row in ROWS]
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Container) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", served
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def link(
    demonstrated: tuple[str, Served], contained: tuple[str, Served]
) -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        for url, served in (demonstrated, contained):
            link.deploy(served.endpoint_name, url, s3_output_path="s3://answers/jobs")
        link.session().client("s3").create_bucket(Bucket="inputs")
        yield link


@pytest.fixture(params=["demonstrated", "contained"])
def served(request: pytest.FixtureRequest) -> Served:
    model: Served = request.getfixturevalue(request.param)[1]
    return model


@pytest.fixture(params=["direct", "botocore"])
def predictor(
    request: pytest.FixtureRequest, link: LocalPrivateLink, served: Served
) -> Iterator[Predictor]:
    """A predictor for each model over each transport; nothing may have left the network."""
    transport: Literal["direct", "botocore"] = request.param
    link.model(served.endpoint_name).calls.clear()
    yield link.session().predictor(served.endpoint_name, codec=served.codec, transport=transport)
    assert link.internet.connections == 0


def operations(link: LocalPrivateLink, served: Served) -> list[str]:
    return [call.operation for call in link.model(served.endpoint_name).calls]


def test_invoke(predictor: Predictor, served: Served, link: LocalPrivateLink) -> None:
    """Bytes go as they are and come as they are."""
    payload = encode(served.rows, served.codec)
    answer = predictor.invoke(
        payload.body, content_type=payload.content_type, accept=payload.accept
    )
    assert decode(answer.body, answer.content_type) == served.answers
    assert answer.content_type == payload.content_type
    assert operations(link, served) == ["InvokeEndpoint"]


def test_predict(predictor: Predictor, served: Served, link: LocalPrivateLink) -> None:
    """Rows in, answers out."""
    assert predictor.predict(served.rows) == served.answers
    assert operations(link, served) == ["InvokeEndpoint"]


def test_stream(predictor: Predictor, served: Served, link: LocalPrivateLink) -> None:
    """The same answer comes as a stream."""
    with predictor.stream(served.rows) as stream:
        body = b"".join(stream.bytes())
        content_type = stream.content_type
    assert decode(body, content_type) == served.answers
    assert operations(link, served) == ["InvokeEndpointWithResponseStream"]


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_map(predictor: Predictor, served: Served, link: LocalPrivateLink, batch_size: int) -> None:
    """An answer for each row, in order, however many rows a call carries."""
    rows = iter(served.rows)
    assert list(predictor.map(rows, batch_size=batch_size)) == served.answers
    calls = -(-len(served.rows) // batch_size)
    assert operations(link, served) == ["InvokeEndpoint"] * calls


def test_submit(predictor: Predictor, served: Served, link: LocalPrivateLink) -> None:
    """The same answer comes by way of S3."""
    job = predictor.submit(served.rows, s3_prefix="s3://inputs/")  # which the oldest boto3 needs
    assert job.output_location.startswith("s3://answers/jobs/")
    assert job.result(timeout=60) == served.answers
    assert operations(link, served) == ["InvokeEndpointAsync"]
