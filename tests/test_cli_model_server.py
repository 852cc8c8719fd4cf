"""The demonstration's model server: SageMaker's container contract, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
import urllib3

from sm_private_client.cli.demo import setup
from sm_private_client.errors import PrivateClientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Each server is a program of its own, which imports scikit-learn.
pytestmark = pytest.mark.slow(reason="programs that import scikit-learn")


class Served(NamedTuple):
    """A model and the server that serves it."""

    model: setup.TrainedModel
    url: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    artifact = tmp_path_factory.mktemp("model") / "model.pkl"
    model = setup.train(artifact)
    with setup.serve(artifact) as (url, process):
        yield Served(model, url, process)


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


def test_training_is_the_same_every_time(served: Served, tmp_path: Path) -> None:
    """569 rows, 30 % held out, and the same model whenever it is trained."""
    model = served.model
    again = setup.train(tmp_path / "model.pkl")
    assert (model.trained_on, len(model.rows)) == (398, 171)
    assert again == model
    assert model.accuracy(model.predictions) > 0.95
    assert model.accuracy(model.labels) == 1.0


def test_it_is_another_process(served: Served) -> None:
    """The server has a process of its own, which runs."""
    assert served.process.poll() is None
    assert served.process.pid != os.getpid()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/ping", 200), ("GET", "/", 404), ("POST", "/ping", 404), ("POST", "/", 404)],
)
def test_paths(
    method: str, path: str, status: int, served: Served, pool: urllib3.PoolManager
) -> None:
    """GET /ping says 200; other paths are not there."""
    answer = pool.request(method, f"{served.url}{path}")
    assert (answer.status, answer.data) == (status, b"")


def test_invocations_answers_a_line_for_each_line(
    served: Served, pool: urllib3.PoolManager
) -> None:
    """POST /invocations takes lines of CSV and answers lines of CSV."""
    answer = pool.request(
        "POST",
        f"{served.url}/invocations",
        body=b"\n".join(served.model.rows[:2]),
        headers={"Content-Type": "text/csv; charset=utf-8"},
    )
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv")
    assert answer.data.decode() == "{}\n{}\n".format(*served.model.predictions[:2])


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("text/csv", b"a,b", 400),
        ("text/csv", b"1,2", 400),
        ("text/csv", b"", 400),
        ("text/csv", b"\xff\xfe", 400),
    ],
)
def test_invocations_refuses(
    content_type: str, body: bytes, status: int, served: Served, pool: urllib3.PoolManager
) -> None:
    """Another content type is 415, a row that is none is 400 with a reason."""
    answer = pool.request(
        "POST",
        f"{served.url}/invocations",
        body=body,
        headers={"Content-Type": content_type},
    )
    assert answer.status == status
    assert answer.data


def test_it_keeps_connections(served: Served, pool: urllib3.PoolManager) -> None:
    """Many requests go over one connection."""
    for _ in range(5):
        assert pool.request("GET", f"{served.url}/ping").status == 200
    connections = pool.connection_from_url(served.url)
    assert isinstance(connections, urllib3.HTTPConnectionPool)
    assert connections.num_connections == 1


def test_it_ends_with_the_block(tmp_path: Path) -> None:
    """After the block the process is gone."""
    artifact = tmp_path / "model.pkl"
    setup.train(artifact)
    with setup.serve(artifact) as (_, process):
        assert process.poll() is None
    assert process.poll() == 0


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """When its starter is gone, however that ended, its standard input ends, and so does it."""
    artifact = tmp_path / "model.pkl"
    setup.train(artifact)
    command = [sys.executable, "-m", f"{setup.__package__}.model_server", str(artifact)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own program
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(60) == 0


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    """A server that ends at once is an error with what it said."""
    artifact = tmp_path / "model.pkl"
    artifact.write_bytes(b"no model")
    with (
        pytest.raises(PrivateClientError, match=r"(?s)did not start\.\nCause: .*UnpicklingError"),
        setup.serve(artifact),
    ):
        pytest.fail("it started")


def test_environment_is_lent_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the block only the given AWS variables are there; afterwards all is as before."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://192.0.2.1")
    monkeypatch.setenv("SM_PRIVATE_VPC_ID", "vpc-00000000")
    monkeypatch.setenv("HOME", "/home/me")
    before = dict(os.environ)
    with setup.environment_of({"AWS_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}):
        inside = {n: v for n, v in os.environ.items() if n.startswith(("AWS_", "SM_PRIVATE_"))}
        assert inside == {"AWS_REGION": "us-east-1"}
        assert (os.environ["NO_PROXY"], os.environ["HOME"]) == ("127.0.0.1", "/home/me")
    assert dict(os.environ) == before
