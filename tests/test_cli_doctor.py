"""``sm-private-client doctor`` through the real entry point."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sm_private_client.cli import main
from sm_private_client.testing import LocalPrivateLink


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(private_dns=True) as link:
        yield link


def doctor(link: LocalPrivateLink, *arguments: str) -> int:
    def make_session(**options: Any) -> Any:
        options.pop("profile_name")
        return link.session(**options)

    return main(["doctor", *arguments], make_session=make_session)


def test_a_healthy_world(link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, and a path for each service."""
    assert doctor(link) == 0
    out = capsys.readouterr().out
    assert out.startswith("Healthy in us-east-1")
    assert "sagemaker-runtime  you → DNS → eni-" in out


def test_a_broken_world(link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1; the root cause is the first thing said."""
    vpc_endpoint_id = link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    link.set_state(vpc_endpoint_id, "deleting")
    try:
        assert doctor(link, "--service", "sagemaker-runtime") == 1
    finally:
        link.set_state(vpc_endpoint_id, "available")
    out = capsys.readouterr().out
    assert out.startswith(f"Broken in us-east-1: {vpc_endpoint_id} is in the state deleting.\n")
    assert "→ ✗ network interface → · TLS" in out
    assert f"\nfailure  vpc-endpoint-state: {vpc_endpoint_id}\n" in out


def test_json(link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]) -> None:
    """One document with every finding."""
    assert doctor(link, "--json", "--service", "runtime.sagemaker") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["healthy"], report["region"]) == (True, "us-east-1")
    assert [path["service_name"] for path in report["paths"]] == ["sagemaker-runtime"]
    assert {"check", "status", "seen", "remedy"} <= report["findings"][0].keys()


def test_html(link: LocalPrivateLink, tmp_path: Path) -> None:
    """One file that only its owner may read."""
    file = tmp_path / "report.html"
    assert doctor(link, "--html", str(file)) == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "<svg" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert link.secret_access_key not in text


def test_html_that_cannot_be_written(
    link: LocalPrivateLink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the file, without a traceback."""
    assert doctor(link, "--html", str(tmp_path / "no" / "report.html")) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--service", "s3"], "is not a service of the SageMaker family"),
        (["--region"], "requires an argument"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_usage(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Status 2."""
    assert doctor(link, *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow(reason="other programs")
def test_the_program_itself(link: LocalPrivateLink, tmp_path: Path) -> None:
    """In a process of its own, where no name of the simulated VPC resolves: not healthy."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ},
        **link.environment(),
        "HOME": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "sm_private_client", "doctor", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report = json.loads(ended.stdout)
    assert ended.returncode == report["exit_status"] == 1
    assert link.secret_access_key not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
