"""``sm-private-client exec``: a command, unchanged, over the private routes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sm_private_client.cli import main
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.session import Session

    Environment = Callable[[LocalPrivateLink], dict[str, str]]

PROGRAM = [sys.executable, "-m", "sm_private_client"]
AWS_CLI = os.environ.get("TEST_AWS_CLI") or shutil.which("aws") or ""
"""The real AWS CLI. It pins botocore, so it has an environment of its own: the variable says
where, and a check that must not skip sets it."""

STAND_IN = {
    "AWS_ENDPOINT_URL_SAGEMAKER": "http://localhost:1",
    "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "http://localhost:2",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""Settings of a command that needs no route: they decide one without asking anybody."""

posix = pytest.mark.skipif(sys.platform == "win32", reason="these are POSIX signals and shells")


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.deploy("churn-xgb", lambda body, _: (b"0.5;" + body, "text/csv"))
        yield running


def run(*words: str, **changed: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, "exec", *words],
        env={**os.environ, **STAND_IN, **changed},
        input=b"\x00in\n",
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow(reason="other programs")
@posix
def test_streams_status_and_arguments_are_the_commands_own() -> None:
    """Bytes pass through, words are not touched, and SIGPIPE is as a shell would have it."""
    script = 'cat; printf "%s|" "$@" "$AWS_ENDPOINT_URL_SAGEMAKER" >&2; yes | head -n1; exit 7'
    done = run("--json", "--", "sh", "-c", script, "sh", "--json", "-x", "a b", "--", "")
    *notices, printed, rest = done.stderr.split(b"\n")
    assert done.returncode == 7
    assert done.stdout == b"\x00in\ny\n"
    assert [b"stand-in" in notice for notice in notices] == [True, True]
    assert rest == b"--json|-x|a b|--||http://localhost:1|"
    assert json.loads(printed)["variables"] == {
        "AWS_ENDPOINT_URL_SAGEMAKER": "http://localhost:1",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "http://localhost:2",
        "NO_PROXY": ".vpce.amazonaws.com,localhost",
        "no_proxy": ".vpce.amazonaws.com,localhost",
    }


@pytest.mark.slow(reason="other programs")
@posix
def test_signals_reach_the_command() -> None:
    """Each signal that is sent to our process is the command's, and so is the end."""
    script = (
        "trap 'echo INT' INT; trap 'echo HUP' HUP; trap 'echo TERM; exit 9' TERM; echo $$; "
        "while :; do sleep 0.02; done"
    )
    with subprocess.Popen(  # noqa: S603 - our own program
        [*PROGRAM, "exec", "--", "sh", "-c", script],
        env={**os.environ, **STAND_IN},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid  # it became the command
        for name in ("INT", "HUP", "TERM"):
            process.send_signal(getattr(signal, f"SIG{name}"))
            assert process.stdout.readline() == f"{name}\n"
        assert process.wait(120) == 9


@pytest.mark.slow(reason="other programs")
@posix
def test_a_signal_that_ends_the_command_is_seen_as_a_shell_shows_it() -> None:
    """The process dies of it itself; a shell makes 128 + N of that."""
    words = shlex.join([*PROGRAM, "exec", "--", "sh", "-c", "kill -KILL $$"])
    done = subprocess.run(  # noqa: S603 - our own text
        ["/bin/sh", "-c", f"{words}; echo $?"],
        env={**os.environ, **STAND_IN},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.stdout == "137\n"


@pytest.mark.parametrize(
    ("words", "changed", "status", "message"),
    [
        (["no-such-program"], {}, 127, "no-such-program cannot be run: No such file or directory."),
        (["{here}/plain"], {}, 126, "/plain cannot be run: Permission denied."),
        (["{here}/plain/x"], {}, 127, "/plain/x cannot be run: Not a directory."),
        (
            ["true"],
            {"AWS_ENDPOINT_URL_SAGEMAKER": "http://example.com"},
            125,
            "http is not encrypted",
        ),
        (["true"], {"AWS_PROFILE": "nobody"}, 125, "There is no profile 'nobody'."),
        ([], {}, 2, "Missing argument"),
        (["--service", "s3", "true"], {}, 2, "not a service of the SageMaker family"),
    ],
)
def test_what_cannot_be_run_has_a_status_of_its_own(
    words: list[str],
    changed: dict[str, str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """127 and 126 as shells give them, 125 where we refuse; stderr says why."""
    (tmp_path / "plain").write_text("text", encoding="utf-8")
    for name, value in {**STAND_IN, **changed}.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGINT)
    assert main(["exec", *(word.format(here=tmp_path) for word in words)]) == status
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("options", [[], ["--service", "sagemaker"]])
def test_ctrl_c_before_the_command_runs_is_130(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A user who ends the search for routes gets the status of shells, and no traceback."""

    def interrupted(**_: object) -> Session:
        raise KeyboardInterrupt

    assert main(["exec", *options, "--", "true"], make_session=interrupted) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow(reason="other programs")
@posix
def test_a_profile_that_is_named_is_the_commands(tmp_path: Path) -> None:
    """Keys in the environment come before a profile, so they are not passed on; --guard is."""
    config = tmp_path / "config"
    config.write_text("[profile prod]\nregion = us-east-1\n", encoding="utf-8")
    done = run(
        "--guard", "--profile", "prod", "--", "sh", "-c",
        'echo "$AWS_PROFILE:$AWS_ACCESS_KEY_ID:$BOTOCORE_EXPERIMENTAL__PLUGINS"',
        AWS_CONFIG_FILE=str(config), AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE",
    )  # fmt: skip
    assert done.stdout == b"prod::sm-private-client=sm_private_client.plugin\n"


@pytest.mark.slow(reason="other programs")
@posix
@pytest.mark.parametrize("private_dns", [False, True])
def test_where_routes_are_known_ec2_is_not_asked(
    private_dns: bool, in_other_processes: Environment, tmp_path: Path
) -> None:
    """EC2 costs a client and a call, before every run of another program."""
    services = [n for n in routable_service_names() if n != "sagemaker-geospatial"]  # us-west-2's
    with LocalPrivateLink(services=services, private_dns=private_dns) as link:
        environ = {**in_other_processes(link), "SM_PRIVATE_ROUTE_CACHE": str(tmp_path / "routes")}
        runs = []
        for _ in range(2):
            link.calls.clear()
            words = [*PROGRAM, "exec", "--json", "--", "true"]
            done = subprocess.run(words, env=environ, capture_output=True, check=True, timeout=240)  # noqa: S603 - our own program
            runs.append((json.loads(done.stderr), bool(link.calls)))
    (first, asked_first), (second, asked_again) = runs
    assert first == second
    assert len(first["notes"]) == (5 if private_dns else 1)
    assert (asked_first, asked_again) == (not private_dns, False)


def test_a_python_program_is_guarded(
    link: LocalPrivateLink, in_other_processes: Environment
) -> None:
    """With --guard a boto3 client that nobody changed judges every address it dials."""
    program = (
        "import boto3; client = boto3.client('sagemaker-runtime');"
        "body = client.invoke_endpoint(EndpointName='churn-xgb', Body=b'1')['Body'].read();"
        "print(type(client._endpoint.http_session).__name__, body)"
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [*PROGRAM, "exec", "--guard", "--", sys.executable, "-c", program],
        env=in_other_processes(link),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert (done.stdout, done.stderr) == ("GuardedHTTPSession b'0.5;1'\n", "")


@pytest.mark.slow(reason="another program, the AWS CLI")
@posix
@pytest.mark.skipif(not AWS_CLI, reason="there is no AWS CLI; TEST_AWS_CLI names one")
def test_the_aws_cli_needs_no_endpoint_url(
    link: LocalPrivateLink, in_other_processes: Environment, tmp_path: Path
) -> None:
    """The examples of AWS's guide to SageMaker over PrivateLink, by the real AWS CLI.

    A proxy that would swallow the calls is set, and is passed by.
    """
    environ = {**in_other_processes(link), "HTTPS_PROXY": "http://127.0.0.1:9"}
    answer = tmp_path / "answer.csv"
    examples = {
        "ListNotebookInstances": ["sagemaker", "list-notebook-instances"],
        "ListEndpoints": ["sagemaker", "list-endpoints"],
        "CreatePresignedNotebookInstanceUrl": [
            "sagemaker",
            "create-presigned-notebook-instance-url",
            "--notebook-instance-name",
            "nb",
        ],
        "InvokeEndpoint": [
            "sagemaker-runtime",
            "invoke-endpoint",
            "--endpoint-name=churn-xgb",
            "--body=fileb:///dev/stdin",
            "--content-type=text/csv",
            str(answer),
        ],
    }

    def call(words: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 - our own program
            [*PROGRAM, "exec", "--", AWS_CLI, *words],
            env=environ,
            input=b"1,2,3",
            capture_output=True,
            check=False,
            timeout=240,
        )

    seen = len(link.requests)
    with ThreadPoolExecutor(2) as pool:
        done = dict(zip(examples, pool.map(call, examples.values()), strict=True))
    for ended in done.values():
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert link.secret_access_key.encode() not in ended.stdout
    assert json.loads(done["ListNotebookInstances"].stdout) == {"NotebookInstances": []}
    (found,) = json.loads(done["ListEndpoints"].stdout)["Endpoints"]
    assert found["EndpointName"] == "churn-xgb"
    presigned = json.loads(done["CreatePresignedNotebookInstanceUrl"].stdout)
    assert presigned["AuthorizedUrl"].startswith("https://nb.notebook.us-east-1.sagemaker.aws?")
    assert json.loads(done["InvokeEndpoint"].stdout)["ContentType"] == "text/csv"
    assert answer.read_bytes() == b"0.5;1,2,3"
    records = list(link.requests)[seen:]
    assert {record.operation for record in records} == set(examples)
    assert all(record.vpc_endpoint_id for record in records)
    assert link.internet.connections == 0
