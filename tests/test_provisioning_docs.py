"""The pages on creating VPC endpoints and on presigned URLs do what they show."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sm_private_client as smp
from sm_private_client.policy.validation import check
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parent.parent / "docs"
PLACEHOLDER = "vpc-0f1e2d3c4b5a69788"


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as running:
        yield running


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(page: str, link: LocalPrivateLink, names: dict[str, object]) -> None:
    for block in blocks(page, "python"):
        text = block.replace(PLACEHOLDER, link.vpc_id)
        exec(compile(text, page, "exec"), names)  # noqa: S102 - our own page


def test_the_blocks_on_creating_vpc_endpoints_run(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are executed one after the other; only taking away comes last."""
    page = "creating-endpoints.md"
    monkeypatch.setattr(smp, "Session", link.session)
    monkeypatch.chdir(tmp_path)
    plan, apply, destroy, export, policy = (
        block.replace(PLACEHOLDER, link.vpc_id) for block in blocks(page, "python")
    )
    names: dict[str, object] = {}
    for block in (plan, export, apply, policy, destroy):
        exec(compile(block, page, "exec"), names)  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    assert "make  gateway VPC endpoint com.amazonaws.us-east-1.s3 " in printed
    assert "verified: interface VPC endpoint com.amazonaws.us-east-1.sagemaker.api" in printed
    assert "\n- * sagemaker:InvokeEndpoint *\n" in printed
    assert link.vpc_endpoints == ()
    assert len(list(tmp_path.glob("vpc-endpoints*"))) == 3
    assert len(list(tmp_path.glob("vpce-*.policy.*.json"))) == 2


def test_the_block_on_presigned_urls_keeps_them_private(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the VPC endpoints of the page nothing is warned about."""
    monkeypatch.setattr(smp, "Session", link.session)
    names: dict[str, object] = {}
    with caplog.at_level(logging.WARNING):
        run("presigned-urls.md", link, names)
    assert ".notebook.us-east-1.sagemaker.aws" in str(names["answer"])
    assert [r for r in caplog.records if r.name.endswith("presigned")] == []
    assert link.internet.connections == 0


def test_the_policy_on_presigned_urls_is_one() -> None:
    """It passes the check for policies of identities."""
    (document,) = blocks("presigned-urls.md", "json")
    assert check(json.loads(document), kind="identity") == ()
