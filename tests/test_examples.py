"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sm_private_client.testing import LocalPrivateLink

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs an example with no AWS settings but the given ones."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "SM_PRIVATE_"))}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, EXAMPLES / name],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_against_the_simulator() -> None:
    """examples/against_the_simulator.py lists, invokes and explains, without any AWS setting."""
    done = run("against_the_simulator.py")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["echo InService", "HELLO"]
    assert lines[2].startswith("sagemaker-runtime in us-east-1: https://vpce-")
    assert lines[-1].endswith(" is a network interface of the VPC endpoint")


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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_each_says_how_it_is_run(path: Path) -> None:
    """Every example's docstring has the command that runs it."""
    assert f"    python examples/{path.name}\n" in path.read_text(encoding="utf-8")
