"""``sm-private-client demo``: it tells the truth, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sm_private_client.cli import main
from sm_private_client.cli.commands import demo
from sm_private_client.cli.demo.output import Output

if TYPE_CHECKING:
    from sm_private_client.testing import LocalPrivateLink

SCRIPT = Path(sys.executable).with_name("sm-private-client")
CLAIMS = [
    "the model runs in a separate process",
    "the routes lead to the two VPC endpoints that stand",
    "every address is a network interface of theirs",
    "both lists have what was made",
    "every answer is the model's own",
    "the accuracy is at least 90%",
    "every call came through a VPC endpoint, in our own zone",
    "every call was answered, and rightly",
    "us-east-1b took over",
    "no call took longer than 5 s",
    "the call is refused with PublicAddressError, at once",
    "that call dialled nothing and sent not a byte, inside or outside",
    "the public address has received nothing since the demo began",
    "its counter works: with the guard switched off the same call arrives there",
    "no process, thread or file is left behind",
]


def aws_settings() -> dict[str, str]:
    return {n: v for n, v in os.environ.items() if n.startswith(("AWS_", "SM_PRIVATE_", "NO_P"))}


@pytest.fixture(autouse=True)
def a_slow_demo_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch the demo's own limits, where it runs in this process."""
    for limit in ("_SLOWEST_CALL", "_SLOWEST_REFUSAL"):
        monkeypatch.setattr(f"sm_private_client.cli.demo.script.{limit}", 100.0)


def test_into_a_pipe_go_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Every claim holds, the status is 0, and a pipe gets plain lines, the accuracy among them."""
    threads, settings = threading.active_count(), aws_settings()
    assert main(["demo"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert shown.err == ""
    assert "\x1b" not in shown.out
    held = [line for line in lines if line.startswith("   ok: ")]
    assert len(held) == len(CLAIMS)
    for line, claim in zip(held, CLAIMS, strict=True):
        assert line.startswith(f"   ok: {claim.replace('5 s', '100 s')}")
    assert "   accuracy 97.7% over 171 calls of invoke_endpoint" in lines
    assert any(re.fullmatch(r"   \d+ calls per second by 4 threads \(.*\)", x) for x in lines)
    assert re.fullmatch(r"All 15 claims held, in \d+\.\d s\.", lines[-1])
    assert threading.active_count() <= threads
    assert aws_settings() == settings


@pytest.mark.slow(reason="the whole demo, in a process of its own")
def test_the_readers_own_settings_do_not_disturb(tmp_path: Path) -> None:
    """Whatever profile, keys, URLs, proxies or CA bundle are set, the demo is the same."""
    hostile = {
        "AWS_PROFILE": "nobody",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_CA_BUNDLE": str(tmp_path / "missing.pem"),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "missing.pem"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "https://192.0.2.1",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_REGION": "eu-west-1",
        "SM_PRIVATE_VPC_ENDPOINT": "vpce-00000000",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    done = subprocess.run(  # noqa: S603 - our own text
        [SCRIPT, "demo", "--json"],
        env={**os.environ, **hostile, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert (document["ok"], document["held"], document["failed"]) == (True, len(CLAIMS), [])
    checks = [check for step in document["steps"] for check in step["checks"]]
    assert [check["claim"] for check in checks] == CLAIMS
    assert all(check["held"] for check in checks)
    facts = {name: value for step in document["steps"] for name, value in step["facts"].items()}
    assert facts["accuracy"] == 0.9766
    assert facts["calls_per_second"] > 0
    assert [record["private"] for record in facts["routes"]] == [True, True]
    assert facts["endpoints"] == {"breast-cancer": "InService"}
    assert list(tmp_path.iterdir()) == []


def deny_lists(link: LocalPrivateLink) -> None:
    link.faults.deny("sagemaker:ListEndpoints")


def another_model(link: LocalPrivateLink) -> None:
    link.deploy("breast-cancer", lambda _body, _content_type: (b"1", "text/csv"))


def a_byte_goes_out(link: LocalPrivateLink) -> None:
    with socket.create_connection(("127.0.0.1", link.internet.port)) as connection:
        connection.sendall(b"x")
    deadline = time.monotonic() + 60
    while not link.internet.bytes_received and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("disturb", "failed"),
    [
        pytest.param(
            deny_lists,
            ["step 4 runs to its end"],
            marks=pytest.mark.slow(reason="the whole demo"),
        ),
        pytest.param(
            another_model,
            [
                "every answer is the model's own",
                "the accuracy is at least 90%",
                "every call was answered, and rightly",
            ],
            marks=pytest.mark.slow(reason="the whole demo"),
        ),
        pytest.param(
            a_byte_goes_out,
            ["the public address has received nothing since the demo began"],
            marks=pytest.mark.slow(reason="the whole demo"),
        ),
    ],
)
def test_a_claim_that_fails_is_named(
    disturb: object, failed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """If a claim does not hold, it is named and the demo has failed."""
    assert callable(disturb)
    assert demo.run(as_json=False, on_ready=disturb) is False
    lines = capsys.readouterr().out.splitlines()
    assert [x for x in lines if x.startswith("   FAILED: ")] != []
    assert re.fullmatch(
        rf"{len(failed)} of \d+ claims failed: {re.escape('; '.join(failed))}\.", lines[-1]
    )
    assert "   ok: no process, thread or file is left behind" in lines


@pytest.mark.slow(reason="the demo, in a process of its own")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_demo_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM in the middle takes away the files and the model server too."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [SCRIPT, "demo"], env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        server = 0
        for line in process.stdout:
            found = re.match(r"   ok: the model runs in a separate process \((\d+),", line)
            if found:
                server = int(found[1])
                process.send_signal(signal.SIGTERM)
                break
        process.stdout.read()
        assert process.wait(120) == 143
    assert list(tmp_path.iterdir()) == []
    assert server
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


def test_a_terminal_gets_colours_and_a_progress_bar() -> None:
    """On a terminal all is coloured, calls move a bar, and the end gives the cursor back."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80, color_system="standard")
    with contextlib.closing(Output(console)) as output:
        output.opening("It begins.")
        assert output.step("Invoke") == 1
        for done in (1, 171):
            output.progress(done, 171)
        output.fact("accuracy", 0.9766, "accuracy 97.7%")
        output.check("it holds", held=True)
        output.check("it does not", held=False, found="0 of 171")
        assert output.summary() is False
    text = shown.getvalue()
    assert "171/171 calls" in text
    assert "\x1b[1;36m1  Invoke\x1b[0m" in text
    assert "\x1b[1;32m✔ \x1b[0mit holds" in text
    assert "\x1b[1;31m✘ \x1b[0mit does not\x1b[2m  0 of 171\x1b[0m" in text
    assert "\x1b[1;31m1 of 2 claims failed: it does not.\x1b[0m" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown to people by the way is in the document for machines, with its counts."""
    output = Output(as_json=True)
    output.opening("It begins.")
    output.step("Invoke")
    output.progress(1, 2)
    output.fact("accuracy", 0.9766, "accuracy 97.7%")
    output.check("a", held=True)
    output.check("b", held=False, found="0 of 171")
    output.step("End")
    output.check("c", held=False)
    assert output.summary() is False
    document = json.loads(capsys.readouterr().out)
    assert document.pop("seconds") >= 0
    assert document == {
        "ok": False,
        "held": 1,
        "failed": ["b", "c"],
        "steps": [
            {
                "number": 1,
                "title": "Invoke",
                "facts": {"accuracy": 0.9766},
                "checks": [
                    {"claim": "a", "held": True, "found": ""},
                    {"claim": "b", "held": False, "found": "0 of 171"},
                ],
            },
            {
                "number": 2,
                "title": "End",
                "facts": {},
                "checks": [{"claim": "c", "held": False, "found": ""}],
            },
        ],
    }
