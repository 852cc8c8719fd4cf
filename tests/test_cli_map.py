"""``sm-private-client map``: every row once, in order, whatever happens on the way."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client import Session
from sm_private_client.cli import main
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROWS = 40


def double(body: bytes, content_type: str) -> tuple[str, str]:
    """Answer JSON with the number twice, CSV with the sum of the row; refuse 13."""
    if content_type == "text/csv":
        return str(sum(map(float, body.split(b",")))), "text/csv"
    value = json.loads(body)
    if value == 13:
        raise ValueError("unlucky")
    return json.dumps(value * 2), content_type


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("double", double)
        running.deploy("blob", lambda _body, _kind: (b"\x80", "application/octet-stream"))
        yield running


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{n}\n" for n in range(100, 100 + ROWS)), encoding="utf-8")
    return path


def run(link: LocalPrivateLink, *words: object) -> int:
    return main(["map", *map(str, words)], make_session=link.session)


def answers(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


EXPECTED = [2 * n for n in range(100, 100 + ROWS)]


def test_an_answer_a_row_in_order(
    link: LocalPrivateLink, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file has mode 0600, and nothing but it, its rows and its journal stays."""
    out, journal = tmp_path / "out", tmp_path / "journal"
    words = ("double", "--in", rows, "--out", out, "--journal", journal, "--concurrency", 8)
    assert run(link, *words, "--json") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err) == {"items": ROWS, "answered": ROWS, "failed": 0}
    assert answers(out) == EXPECTED
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "out", "rows.jsonl"]
    for secret in (link.secret_access_key, link.access_key_id):
        for path in tmp_path.iterdir():
            assert secret.encode() not in path.read_bytes()
        assert secret not in shown.err


def test_stdin_and_stdout(
    link: LocalPrivateLink,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``-`` stands for both; blank lines are passed over; rows are sent as the type says."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1,2]\n\n [3,4]")))
    assert run(link, "double", "--in", "-", "--out", "-", "--content-type", "text/csv") == 0
    assert capsysbinary.readouterr() == (b"[[3.0]]\n[[7.0]]\n", b"")


def test_rows_that_fail_are_objects_in_their_place(
    link: LocalPrivateLink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the model refused, and a line that is not JSON; the rest is answered; status 1."""
    source, out = tmp_path / "rows", tmp_path / "out"
    source.write_bytes(b'1\n13\n{"broken\n"ab"\n\xff\n')
    before = len(link.model("double").calls)
    assert run(link, "double", "--in", source, "--out", out) == 1
    lines = answers(out)
    assert [lines[0], lines[3]] == [2, "abab"]
    assert (lines[1]["error"]["item"], lines[1]["error"]["code"]) == (1, "ModelError")
    for place, line in ((2, 3), (4, 5)):
        error = lines[place]["error"]
        assert (error["item"], error["type"]) == (place, "PayloadError")
        assert error["message"].startswith(
            f"Line {line} is not JSON in UTF-8; nothing was sent for it.\n"
        )
    assert len(link.model("double").calls) == before + 3
    assert capsys.readouterr().err == (
        "3 of 5 rows failed.\n"
        'Cause: the objects with "error" in the output say why, a line each.\n'
        "Remedy: mend what they say; with --journal only these are called again.\n"
        "See docs/errors.md#private-client-error\n"
    )


def no_credentials(_: LocalPrivateLink, patch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    return contextlib.nullcontext()


def nothing_else(_link: LocalPrivateLink, _patch: pytest.MonkeyPatch) -> Any:
    return contextlib.nullcontext()


def not_permitted(link: LocalPrivateLink, _: pytest.MonkeyPatch) -> Any:
    return link.faults.deny("sagemaker:InvokeEndpoint")


@pytest.mark.parametrize(
    ("disturb", "url", "message"),
    [
        (no_credentials, None, "Unable to locate credentials"),
        (nothing_else, "https://52.46.128.77", "52.46.128.77 is public; nothing was sent."),
        (not_permitted, None, "AccessDenied"),
    ],
)
def test_what_is_wrong_with_every_call_ends_the_run(
    link: LocalPrivateLink,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    disturb: Callable[[LocalPrivateLink, pytest.MonkeyPatch], Any],
    url: str | None,
    message: str,
) -> None:
    """It is said once, not in a line a row; no file of answers is made; what was there stays."""
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)
    url = url or link.session().route("sagemaker-runtime").endpoint_url
    out = tmp_path / "out"
    out.write_text("before", encoding="utf-8")
    with disturb(link, monkeypatch):
        words = ("double", "--in", rows, "--out", out, "--vpc-endpoint", url)
        make = functools.partial(Session, network=link.network)
        assert main(["map", *map(str, words)], make_session=make) == 1
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count(message) == 1
    assert out.read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "rows.jsonl"]


def test_an_answer_that_json_cannot_hold_failed(
    link: LocalPrivateLink, tmp_path: Path, rows: Path
) -> None:
    """Bytes have no place in JSON Lines."""
    rows.write_text("1\n", encoding="utf-8")
    assert run(link, "blob", "--in", rows, "--out", tmp_path / "out") == 1
    (line,) = answers(tmp_path / "out")
    assert line["error"]["type"] == "PayloadError"


def test_only_what_failed_is_called_again(
    link: LocalPrivateLink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a journal a second run calls for nothing that was answered."""
    source, out = tmp_path / "rows", tmp_path / "out"
    source.write_text("".join(f"{n}\n" for n in (12, 13, 14)), encoding="utf-8")
    words = ("double", "--in", source, "--out", out, "--journal", tmp_path / "journal")
    assert run(link, *words) == 1
    assert "same --journal: only these are called again." in capsys.readouterr().err
    before = len(link.model("double").calls)
    assert run(link, *words) == 1
    assert len(link.model("double").calls) == before + 1
    assert [answers(out)[place] for place in (0, 2)] == [24, 28]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--in", "{rows}"], 2, "Missing option '--out'"),
        (["--in", "/nowhere", "--out", "-"], 2, "'/nowhere' cannot be read: No such file"),
        (["--in", "{rows}", "--out", "/nowhere/x"], 2, "'/nowhere/x' cannot be written"),
        (["--in", "{rows}", "--out", "{rows}"], 2, "--in and --out name the same file."),
        (
            ["--in", "{rows}", "--out", "{rows}.a", "--journal", "{rows}.a"],
            2,
            "--out and --journal name the same file.",
        ),
        (["--in", "{rows}", "--out", "-", "--concurrency", "0"], 2, "a number from 1 on, or auto"),
        (["--in", "{rows}", "--out", "-", "--concurrency", "many"], 2, "a number from 1 on"),
        (["--in", "{rows}", "--out", "-", "--content-type", "x/y"], 1, "codec='x/y' is neither"),
        (["--in", "{rows}", "--out", "-", "--journal", "{rows}.b"], 1, "not a journal that can"),
    ],
)
def test_what_cannot_be_used_sends_nothing(
    words: list[str],
    status: int,
    message: str,
    link: LocalPrivateLink,
    rows: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said before the first call."""
    rows.with_name("rows.jsonl.b").write_text("something else", encoding="utf-8")
    before = len(link.model("double").calls)
    assert run(link, "double", *(word.format(rows=rows) for word in words)) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in " ".join(shown.err.split())
    assert "Traceback" not in shown.err
    assert len(link.model("double").calls) == before


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_sees_how_far_it_is(
    link: LocalPrivateLink,
    rows: Path,
    in_other_processes: Callable[[LocalPrivateLink], dict[str, str]],
) -> None:
    """A progress bar on stderr, and nothing of it on stdout."""
    import pty  # noqa: PLC0415 - not everywhere

    terminal, theirs = pty.openpty()
    words = ["map", "double", "--in", str(rows), "--out", "-"]
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        with subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "sm_private_client", *words],
            env={**in_other_processes(link), "TERM": "xterm", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            shown = b""
            with contextlib.suppress(OSError):  # how Linux tells that nobody has it open any more
                while part := screen.read(4096):
                    shown += part
            assert process.stdout is not None
            output = process.stdout.read()
        assert process.returncode == 0, shown
    assert f"{ROWS}/{ROWS}".encode() in shown
    assert [json.loads(line) for line in output.splitlines()] == EXPECTED


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    "number",
    [
        "SIGKILL",
        pytest.param("SIGTERM", marks=pytest.mark.slow(reason="two programs for each signal")),
        "SIGINT",
    ],
)
def test_a_run_that_was_killed_goes_on(
    number: str,
    link: LocalPrivateLink,
    rows: Path,
    tmp_path: Path,
    in_other_processes: Callable[[LocalPrivateLink], dict[str, str]],
) -> None:
    """What was answered is not called again; the output is whole, each answer once, in order."""
    goes_on, lock, answered = threading.Event(), threading.Lock(), []

    def stalling(body: bytes, content_type: str) -> tuple[str, str]:
        with lock:
            answered.append(json.loads(body))
            stalls = len(answered) > ROWS // 2
        if stalls and not goes_on.is_set():
            goes_on.wait(120)
        return double(body, content_type)

    link.deploy("stalling", stalling)
    out, journal = tmp_path / "out", tmp_path / "journal"
    words = ["stalling", "--in", rows, "--out", out, "--journal", journal, "--concurrency", "4"]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "sm_private_client", "map", *map(str, words)],
        env=in_other_processes(link),
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 120
        while len(answered) < ROWS // 2 + 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(getattr(signal, number))
        if number == "SIGKILL":
            process.wait(120)
        goes_on.set()
        assert process.stderr is not None
        errors = process.stderr.read()
        status = process.wait(120)
    assert status == {"SIGKILL": -9, "SIGTERM": 143, "SIGINT": 130}[number], errors
    assert errors == b""
    assert not out.exists()
    if number != "SIGKILL":
        assert sorted(path.name for path in tmp_path.glob(".*")) == []
    first = len(answered)
    assert run(link, *words) == 0
    assert answers(out) == EXPECTED
    again = answered[first:]
    # At most the four calls that were under way are made anew.
    assert ROWS - first <= len(again) <= ROWS - first + 4
    assert len(set(again)) == len(again)
