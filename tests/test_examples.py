"""The examples run as they stand."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sm_private_client as smp
from sm_private_client.testing import LocalPrivateLink

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run an example with no AWS settings but the given ones."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "SM_PRIVATE_"))}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, EXAMPLES / name],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.slow(reason="the simulator in a process of its own")
def test_against_the_simulator() -> None:
    """examples/against_the_simulator.py lists, invokes and explains, without any AWS setting."""
    done = run("against_the_simulator.py")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["echo InService", "HELLO"]
    assert lines[2].startswith("sagemaker-runtime in us-east-1: https://vpce-")
    assert lines[-1].endswith(" is a network interface of the VPC endpoint")


@pytest.mark.slow(reason="other programs")
def test_connect() -> None:
    """examples/connect.py lists what is hosted, here at a stand-in that its variables name."""
    with LocalPrivateLink() as link:
        link.deploy("churn", lambda body, _content_type: body)
        done = run(
            "connect.py",
            **link.environment(),
            AWS_ENDPOINT_URL_SAGEMAKER=link.control_url,
            AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=link.control_url,
        )
    assert (done.returncode, done.stdout) == (0, "churn InService\n"), done.stderr
    assert done.stderr.count("a stand-in on this machine, not a private route.") == 2


@pytest.fixture
def started(private_link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Start an example as it stands; only the sessions that it makes are inside the simulator."""

    def start(name: str, *arguments: str) -> None:
        monkeypatch.setattr(smp, "Session", private_link.session)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert private_link.internet.connections == 0

    return start


def chunks_of(words: tuple[str, ...]) -> Iterator[bytes]:
    """Say words as OpenAI's API does: a role first, then the words, then what it cost."""
    said = [{"role": "assistant"}, *({"content": word} for word in words)]
    for delta in said:
        yield f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n".encode()
    yield b'data: {"choices": [], "usage": {"total_tokens": 7}}\n\ndata: [DONE]\n\n'


def test_stream(
    private_link: LocalPrivateLink,
    started: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """examples/stream.py asks as chat servers are asked, and prints the words as one text."""
    asked: list[dict[str, object]] = []

    def model(body: bytes, _content_type: str) -> Iterator[bytes]:
        asked.append(json.loads(body))
        return chunks_of(("It ", "scatters ", "light."))

    private_link.deploy("chat-llm", model)
    started("stream.py", "chat-llm", "Why?")
    out, err = capsys.readouterr()
    assert out == "It scatters light.\n"
    assert err.startswith("first byte after ")
    assert asked[0]["messages"] == [{"role": "user", "content": "Why?"}]
    assert asked[0]["stream"] is True


@pytest.mark.parametrize(
    ("size", "rest"),
    [(100, ()), (100, ("s3://inputs/reports/",)), (128_001, ("s3://inputs/reports/",))],
)
def test_async_job(
    size: int,
    rest: tuple[str, ...],
    tmp_path: Path,
    private_link: LocalPrivateLink,
    started: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """examples/async_job.py waits for the answer to a file; a large one goes by way of S3."""
    session = private_link.session()
    runtime = session.client("sagemaker-runtime")
    operation: Any = runtime.meta.service_model.operation_model("InvokeEndpointAsync")
    travels_inline = size <= 128_000 and "Body" in operation.input_shape.members
    if not (travels_inline or rest):
        pytest.skip("this botocore cannot send an input without S3")
    private_link.deploy(
        "summarise-llm",
        lambda body, content_type: f"{len(body)} bytes of {content_type}",
        s3_output_path="s3://outputs/summaries",
    )
    s3 = session.client("s3")
    s3.create_bucket(Bucket="inputs")
    report = tmp_path / "report.txt"
    report.write_text("x" * size, encoding="utf-8")
    started("async_job.py", "summarise-llm", str(report), *rest)
    out, err = capsys.readouterr()
    assert out == f"{size} bytes of text/plain\n"
    assert err.startswith("the answer goes to s3://outputs/summaries/")
    assert s3.list_objects_v2(Bucket="inputs", Prefix="reports/")["KeyCount"] == (
        not travels_inline
    )


def test_map_with_journal(
    tmp_path: Path,
    private_link: LocalPrivateLink,
    started: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """examples/map_with_journal.py prints every score in order; a second run calls nothing."""

    def model(body: bytes, _content_type: str) -> str:
        totals = (sum(map(int, line.split(b","))) for line in body.splitlines())
        return "".join(f"{total}\n" for total in totals)

    private_link.deploy("churn-xgb", model)
    customers = tmp_path / "customers.csv"
    customers.write_text("".join(f"{n},{n + 1}\n" for n in range(250)), encoding="utf-8")
    printed = []
    for _ in range(2):
        started("map_with_journal.py", "churn-xgb", str(customers))
        printed.append(capsys.readouterr().out)
    assert printed[0] == "".join(f"[{2 * n + 1}]\n" for n in range(250))
    assert printed[1] == printed[0]
    assert len(private_link.model("churn-xgb").calls) == 3


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_each_says_how_it_is_run(path: Path) -> None:
    """Every example's docstring has the command that runs it."""
    assert re.search(rf"^    python examples/{path.name}\b", path.read_text("utf-8"), re.MULTILINE)
