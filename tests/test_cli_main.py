"""The command line as a whole: help, usage errors, exit statuses, entry points, extras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from sm_private_client import __version__
from sm_private_client.cli import app, main
from sm_private_client.cli.app import LazyCommands
from sm_private_client.cli.commands import exec  # noqa: A004 - a module

EXIT_STATUS = "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."
SCRIPT = Path(sys.executable).with_name("sm-private-client")
NO_REGION = """\
No region is set.
Cause: neither --region nor AWS_DEFAULT_REGION nor the profile names one.
Remedies, in order:
  1. export AWS_DEFAULT_REGION=us-east-1
  2. or pass --region us-east-1.
See docs/errors.md#missing-region
"""
NO_PROFILE = """\
There is no profile 'nobody'.
Cause: neither the AWS config file nor the credentials file has a section for it.
Remedy: pass --profile with the name of one of `aws configure list-profiles`.
See docs/errors.md#configuration
"""


@pytest.fixture(autouse=True)
def _no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.mark.parametrize("argv", [[], ["routes"], ["env"], ["exec"], ["invoke"], ["map"], ["demo"]])
def test_help_has_examples_and_exit_statuses(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Help, of the program and of each command, has examples and the exit statuses."""
    assert main([*argv, "--help"]) == 0
    shown = capsys.readouterr()
    assert "Examples:\n" in shown.out
    assert f"  sm-private-client {' '.join(argv)}".rstrip() in shown.out
    status = exec.EXIT_STATUS if argv == ["exec"] else EXIT_STATUS
    assert status in " ".join(shown.out.split())
    assert shown.err == ""


@pytest.mark.parametrize("argv", [[], ["exec"], ["policy"], ["policy", "build"], ["endpoints"]])
def test_h_is_help(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """-h is --help, of the program and of each command."""
    assert main([*argv, "-h"]) == 0
    short = capsys.readouterr()
    assert main([*argv, "--help"]) == 0
    assert capsys.readouterr() == short


@pytest.mark.parametrize("path", [[], ["policy"], ["endpoints"]], ids=lambda path: path or "all")
def test_a_list_of_commands_says_what_each_says_of_itself(path: list[str]) -> None:
    """Lists of commands have the first paragraph of each command's own help, without loading it."""
    group: object = typer.main.get_group(app.app)
    for name in path:
        assert isinstance(group, LazyCommands)
        group = group.load(name)
    assert isinstance(group, LazyCommands)
    assert set(group.commands) >= set(group.modules)
    for name, listed in group.commands.items():
        loaded = group.load(name)
        assert loaded.name in (name, None)
        assert listed.help == loaded.help.split("\n\n")[0].replace("\n", " ")


@pytest.mark.slow(reason="other programs")
@pytest.mark.parametrize(
    ("argv", "unneeded"),
    [
        (["--version"], ("typer", "rich", "botocore", "sm_private_client.session")),
        (["--help"], ("rich", "botocore", "sm_private_client.cli.commands.demo")),
        (["policy", "--help"], ("rich", "botocore", "sm_private_client.policy")),
        (["exec", "--help"], ("rich", "boto3", "sm_private_client.session")),
        (["env", "--help"], ("rich", "boto3", "sm_private_client.session")),
        (["routes", "--help"], ("rich", "boto3", "sm_private_client.session")),
        (["invoke", "--help"], ("rich", "boto3", "sm_private_client.inference")),
        (["map", "--help"], ("rich", "boto3", "sm_private_client.inference")),
        (["doctor", "--help"], ("rich", "boto3", "sm_private_client.doctor")),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_is_only_asked_about_is_not_loaded(argv: list[str], unneeded: tuple[str, ...]) -> None:
    """A version or a help comes without loading what makes sessions or calls models."""
    program = (
        f"import sys; from sm_private_client.cli import main; status = main({argv!r})\n"
        f"print([name for name in {unneeded!r} if name in sys.modules], status)"
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout.endswith("\n[] 0\n")


@pytest.mark.slow(reason="other programs")
@pytest.mark.parametrize(
    ("options", "is_loaded"), [([], False), (["--service", "sagemaker"], True)]
)
def test_exec_without_options_loads_no_typer(
    options: list[str], is_loaded: bool, tmp_path: Path
) -> None:
    """It stands before every run of another program, and typer takes as long as all the rest."""
    program = (
        "import sys; from sm_private_client.cli import main\n"
        f"print(main({['exec', *options, '--', str(tmp_path / 'none')]!r}), 'typer' in sys.modules)"
    )
    environ = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SM_PRIVATE_VPC_ENDPOINT": "https://10.0.0.5",
        "SM_PRIVATE_ROUTE_CACHE": "off",
    }
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", program],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert done.stdout == f"127 {is_loaded}\n"
    assert "cannot be run" in done.stderr


@pytest.mark.parametrize("argv", [["--version"], ["--version", "routes"]])
def test_version(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the package's version, whatever follows."""
    assert main(argv) == 0
    assert capsys.readouterr().out == f"sm-private-client {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Commands:"),
        (["route"], "No such command 'route'"),
        (["routes", "--servce", "sagemaker"], "No such option"),
        (["routes", "--service"], "--service"),
        (["routes", "everything"], "unexpected extra argument"),
        (["demo", "--region", "us-east-1"], "No such option"),
        (
            ["routes", "--service", "s3"],
            "'s3' is not a service of the SageMaker family; name one of sagemaker, "
            "sagemaker-runtime, sagemaker-featurestore-runtime, sagemaker-metrics, "
            "sagemaker-geospatial.",
        ),
        (["routes", "--vpc-endpoint", "s3=vpce-1"], "vpc_endpoint= names 's3'='vpce-1'"),
    ],
)
def test_wrong_usage_is_status_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with the arguments is said on stderr, and the status is 2."""
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["routes"], NO_REGION),
        (["routes", "--region", "us-east-1", "--profile", "nobody"], NO_PROFILE),
    ],
)
def test_errors_are_texts_in_three_parts(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error is what happened, cause and remedy on stderr, and the status is 1."""
    assert main(argv) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", message)


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug an error comes with its traceback."""
    assert main(["routes", "--debug"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n")
    assert "MissingRegionError" in shown


@pytest.mark.parametrize(
    "argv", [["doctor"], ["routes"], ["env"], ["exec", "--", "true"], ["endpoints", "list"]]
)
def test_a_region_that_boto3_does_not_read_is_named(
    argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_REGION, which ECS, EKS and other SDKs have, is not boto3's: every command says so."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert main(argv) == (125 if "exec" in argv else 1)
    assert capsys.readouterr().err == (
        "No region is set.\n"
        "Cause: AWS_REGION=eu-west-1 is set, and boto3 does not read it.\n"
        "Remedies, in order:\n"
        "  1. export AWS_DEFAULT_REGION=eu-west-1\n"
        "  2. or pass --region eu-west-1.\n"
        "See docs/errors.md#missing-region\n"
    )


@pytest.mark.parametrize(
    "program", [[str(SCRIPT)], [sys.executable, "-m", "sm_private_client"]], ids=["script", "-m"]
)
def test_entry_points(program: list[str]) -> None:
    """The installed script and ``python -m`` are the same program, with its exit statuses."""
    for argv, status in ((["--version"], 0), (["routes"], 1), (["routes", "--no"], 2)):
        done = subprocess.run(  # noqa: S603 - our own program
            [*program, *argv], capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow(reason="other programs")
@pytest.mark.parametrize(
    ("missing", "argv", "feature", "extra"),
    [
        ("typer", ["routes"], "sm-private-client", "cli"),
        ("rich", ["demo"], "sm-private-client", "cli"),
        ("moto", ["demo"], "sm-private-client demo", "demo"),
        ("sklearn", ["demo"], "sm-private-client demo", "demo"),
        ("trustme", ["demo", "--json"], "sm-private-client demo", "demo"),
    ],
)
def test_a_missing_extra_is_named(missing: str, argv: list[str], feature: str, extra: str) -> None:
    """If the extra is not installed, stderr says how to install it, and the status is 1."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from sm_private_client.cli import main; sys.exit(main({argv!r}))"
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=240
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{feature} needs the optional dependencies of the extra '{extra}'.\n"
        "Cause: they are not installed in this environment.\n"
        f"Remedy: run: pip install 'sm-private-client[{extra}]'\n"
        "See docs/errors.md#missing-extra\n"
    )


@pytest.mark.slow(reason="other programs")
@pytest.mark.parametrize(
    ("words", "completed"),
    [("sm-private-client ma", "map"), ("sm-private-client env --shell po", "powershell")],
)
def test_shells_complete_commands_options_and_values(words: str, completed: str) -> None:
    """The script that --show-completion prints asks the program, which answers like this."""
    completion = {
        "_SM_PRIVATE_CLIENT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(  # noqa: S603 - our own text
        [SCRIPT],
        env={**os.environ, **completion},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert (done.stdout, done.stderr) == (f"{completed}\n", "")


@pytest.mark.slow(reason="other programs")
def test_completion_can_be_shown_and_installed(tmp_path: Path) -> None:
    """Both are options of the program; what is installed goes to the home directory only."""
    environ = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for option in ("--show-completion", "--install-completion"):
        done = subprocess.run(  # noqa: S603 - our own text
            [SCRIPT, option, "bash"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert ("_SM_PRIVATE_CLIENT_COMPLETE=complete_bash" in done.stdout) == (
            option == "--show-completion"
        )
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "complete_bash" in script.read_text(encoding="utf-8")


def test_importing_the_command_line_imports_no_extra() -> None:
    """Importing ``sm_private_client.cli`` brings neither typer nor rich nor botocore's session."""
    program = (
        "import sys, sm_private_client.cli\n"
        "print([m for m in ('typer', 'rich', 'boto3', 'moto', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout == "[]\n"
