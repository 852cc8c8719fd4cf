"""``sm-private-client invoke``: one call, its answer as it is."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client.cli import main
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BINARY = bytes(range(256)) + b"\r\n\x00"


def talk(body: bytes, _: str) -> Iterator[bytes]:
    yield from (b"one ", b"two ", body)


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("echo", lambda body, kind: (body, kind))
        running.deploy("talk", talk)
        running.deploy("job", lambda body, _: body[::-1], s3_output_path="s3://answers/out")
        s3 = running.session().client("s3")
        s3.create_bucket(Bucket="inputs")
        s3.put_object(Bucket="inputs", Key="a", Body=b"abc")
        yield running


class Run:
    """Run ``invoke`` and check that the keys are nowhere."""

    def __init__(self, link: LocalPrivateLink, capsys: pytest.CaptureFixture[bytes]) -> None:
        self.link = link
        self.capsys = capsys

    def __call__(self, *words: str, status: int = 0) -> tuple[bytes, str]:
        got = main(["invoke", *words], make_session=self.link.session)
        out, err = self.capsys.readouterr()
        assert got == status, err
        for secret in (self.link.secret_access_key, self.link.access_key_id):
            assert secret.encode() not in out + err
        assert b"Traceback" not in err
        return out, err.decode()


@pytest.fixture
def run(link: LocalPrivateLink, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return Run(link, capsysbinary)


def test_the_answer_goes_to_stdout_as_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte, from a file in both notations, from stdin and from the text itself."""
    (tmp_path / "body").write_bytes(BINARY)
    for given in (f"@{tmp_path}/body", f"fileb://{tmp_path}/body", "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BINARY)))
        assert run("echo", "--body", given) == (BINARY, "")
    assert run("echo", "--body", "é", "-") == ("é".encode(), "")


def test_a_file_is_whole_and_the_owners_alone(run: Run, tmp_path: Path) -> None:
    """OUTFILE has mode 0600, replaces what was there, and stdout stays free."""
    target = tmp_path / "answer"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o644)
    assert run("echo", "--body", "new", str(target)) == (b"", "")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["answer"]


def test_a_failed_call_leaves_the_file(run: Run, tmp_path: Path) -> None:
    """The service's error is told on stderr; nothing is half-written, of a stream neither."""
    target = tmp_path / "answer"
    target.write_text("old", encoding="utf-8")
    _, err = run("nobody", "--body", "x", str(target), status=1)
    assert "nobody" in err
    run.link.faults.cut("talk", after_parts=1)
    _, err = run("talk", "--body", "x", "--stream", str(target), status=1)
    assert "See docs/errors.md#stream-interrupted\n" in err
    assert target.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["answer"]


def test_flags_are_the_members_of_the_operation(run: Run) -> None:
    """They travel as the AWS CLI would send them, and --json tells what came back."""
    words = {
        "--content-type": "text/csv",
        "--accept": "text/csv",
        "--custom-attributes": "c000b4f9",
        "--inference-id": "id-7",
        "--target-variant": "AllTraffic",
    }
    out, err = run("echo", "--body=1,2", "--json", *(w for pair in words.items() for w in pair))
    call = run.link.model("echo").calls[-1]
    assert (call.content_type, out) == ("text/csv", b"1,2")
    metadata = json.loads(err)
    assert metadata["ContentType"] == "text/csv"
    assert metadata["InvokedProductionVariant"] == "AllTraffic"
    assert metadata["Attempts"] == 1
    assert metadata["AvailabilityZone"].startswith("us-east-1")
    assert metadata["RequestId"]
    assert "Body" not in metadata


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev/fd")
def test_a_device_or_pipe_is_written_to(run: Run) -> None:
    """It is not replaced by a file."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read:
        run("echo", "--body", "x", f"/dev/fd/{writer}")
        os.close(writer)
        assert read.read() == b"x"
    run("echo", "--body", "x", os.devnull)
    assert os.path.exists(os.devnull)  # noqa: PTH110 - a device
    assert not os.path.isfile(os.devnull)  # noqa: PTH113 - the same


def test_a_job_is_submitted_and_waited_for(run: Run) -> None:
    """Its answer is written; before that stderr, or with --json a record, says where it goes."""
    s3 = ("--s3-prefix", "s3://inputs/small/")  # the oldest botocore has no other way
    out, err = run("job", "--body", "abc", "--content-type", "text/plain", "--async", *s3)
    assert out == b"cba"
    assert err.startswith("Submitted; the answer goes to s3://answers/out/")
    words = ("--input-location", "s3://inputs/a", "--async", "--json", "--timeout", "60")
    out, err = run("job", *words, "--request-ttl-seconds", "600")
    assert out == b"cba"
    assert json.loads(err)["OutputLocation"].startswith("s3://answers/out/")
    bucket = run.link.session().client("s3")
    run("job", "--body", "x" * 128_001, "--async", "--s3-prefix", "s3://inputs/big/")
    assert bucket.list_objects_v2(Bucket="inputs", Prefix="big/")["KeyCount"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["echo"], "Pass --body, or with --async --input-location instead."),
        (["echo", "--body", "@/nowhere/x"], "'@/nowhere/x' cannot be read: No such file"),
        (["echo", "--body", "x", "/nowhere/x"], "'/nowhere/x' cannot be written: No such file"),
        (["echo", "--body", "x", "/"], "'/' cannot be written: Is a directory"),
        (["echo", "--body", "x", "--stream", "--async"], "exclude each other"),
        (["echo", "--body", "x", "--s3-prefix", "s3://a/"], "go with --async"),
        (["echo", "--input-location", "a", "--async"], "not of the form s3://bucket/key"),
        (["echo", "--body", "x", "--timeout", "-1"], "--timeout"),
        (["--body", "x"], "Missing argument"),
    ],
)
def test_wrong_usage_sends_nothing(words: list[str], message: str, run: Run) -> None:
    """It is status 2, said on stderr, and no request leaves."""
    before = len(run.link.requests)
    out, err = run(*words, status=2)
    assert out == b""
    assert message in " ".join(err.split())
    assert len(run.link.requests) == before


@pytest.mark.parametrize(
    ("words", "reference"),
    [
        (["echo", "--body", "x", "--target-model", "x" * 1025], "configuration"),
        (["talk", "--body", "x", "--stream", "--session-id", "x" * 257], "configuration"),
        (["echo", "--body", "x", "--region", "eu-west-9"], "no-private-route"),
    ],
)
def test_what_is_out_of_limits_is_refused(words: list[str], reference: str, run: Run) -> None:
    """Our text says so in three parts, the status is 1, and nothing is sent."""
    before = len(run.link.requests)
    out, err = run(*words, status=1)
    assert out == b""
    assert err.endswith(f"See docs/errors.md#{reference}\n")
    assert len(run.link.requests) == before


def test_an_error_that_nobody_foresaw_has_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its class is told, not its text, which may hold a payload; --debug shows all."""

    def broken(**_: object) -> Any:
        raise ZeroDivisionError("the payload")

    assert main(["invoke", "echo", "--body", "x"], make_session=broken) == 1
    assert capsys.readouterr().err == (
        "sm-private-client ended in a ZeroDivisionError that it did not foresee.\n"
        "Remedy: run it again with --debug and report what that shows.\n"
        "See docs/errors.md#private-client-error\n"
    )
    assert main(["invoke", "echo", "--body", "x", "--debug"], make_session=broken) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


# In a process of its own

PROGRAM = [sys.executable, "-m", "sm_private_client", "invoke"]


@pytest.mark.slow(reason="other programs")
def test_parts_of_a_stream_are_written_as_they_come(
    link: LocalPrivateLink, in_other_processes: Callable[[LocalPrivateLink], dict[str, str]]
) -> None:
    """The first part is there while the model still computes; a reader that leaves is no error."""
    for leaves in (False, True):
        goes_on = threading.Event()

        def slow(body: bytes, _kind: str, goes_on: threading.Event = goes_on) -> Iterator[bytes]:
            yield b"first\n"
            goes_on.wait(120)
            for _ in range(200):
                yield body

        link.deploy("slow", slow)
        with subprocess.Popen(  # noqa: S603 - our own program
            [*PROGRAM, "slow", "--body", "x" * 1000, "--stream"],
            env=in_other_processes(link),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"first\n"
            if leaves:
                process.stdout.close()
            goes_on.set()
            rest = b"" if leaves else process.stdout.read()
            assert process.stderr.read() == b""
            assert process.wait(120) == (141 if leaves else 0)
        assert leaves or rest == b"x" * 200_000
