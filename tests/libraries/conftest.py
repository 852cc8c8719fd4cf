"""Real libraries against the simulator: the recipes of docs/swap-in.md, as they stand there."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

import sm_private_client as smp
from sm_private_client import api
from sm_private_client.integrations import install as installing
from sm_private_client.session.session import session_over
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE: Final = Path(__file__).parents[2] / "docs" / "swap-in.md"
SENTENCE: Final = "It scatters."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the libraries warn of is not ours to mend."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


def answer(body: bytes, _content_type: str) -> Any:
    """Answer in the forms that langchain-aws's handler on the page and litellm read."""
    asked = json.loads(body)
    if not asked.get("stream"):
        return json.dumps({"generated_text": SENTENCE}), "application/json"
    words = SENTENCE.partition(" ")[::2]
    if "parameters" in asked:  # litellm
        return iter([b'data: {"token": {"text": "%s"}}\n\n' % word.encode() for word in words])
    return iter([b'{"generated_text": "%s"}\n' % word.encode() for word in words])


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    """A VPC with endpoints for SageMaker and its Runtime, as most have."""
    with LocalPrivateLink() as running:
        running.deploy("churn-xgb", lambda body, _content_type: b"0.5," + body)
        running.deploy("chat-llm", answer)
        yield running


@pytest.fixture
def new_default_session(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Have boto3's default session be one of its own, and ours over it be in that VPC and new."""

    def begin_anew() -> None:
        theirs = boto3.Session()
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", theirs)
        monkeypatch.setitem(api._sessions, theirs, session_over(theirs, network=link.network))

    return begin_anew


@pytest.fixture
def inside(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    new_default_session: Callable[[], None],
) -> Iterator[LocalPrivateLink]:
    """The process is in that VPC: its environment, and what looks names up and connects."""
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    new_default_session()
    monkeypatch.setattr(smp, "Session", link.session)
    install = functools.partial(installing.install, network=link.network)
    monkeypatch.setattr(smp, "install", install)
    yield link
    assert link.internet.connections == 0
    assert link.internet.bytes_received == 0


@pytest.fixture
def run(inside: LocalPrivateLink, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Run the recipe under a heading of the page and return what it printed."""
    assert inside

    def run_recipe(heading: str) -> str:
        section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
        found = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        assert found is not None
        names: dict[str, Any] = {"__name__": "recipe"}
        capsys.readouterr()
        exec(compile(found[1], f"{PAGE.name}#{heading}", "exec"), names)  # noqa: S102 - our own page
        return capsys.readouterr().out

    return run_recipe
