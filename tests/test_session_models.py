"""Specification of session/models.py: what botocore knows is read once a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3.session
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader, create_loader

import sm_private_client as smp
from sm_private_client.session.models import new_botocore_session

URL = "https://10.0.0.5"
KEYS: Any = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
COUNT_READS = """
import collections, json, os, sys
counts = collections.Counter()
def count(event, arguments):
    path = arguments[0] if event == "open" else ""
    if isinstance(path, str) and path.endswith((".json", ".json.gz")) and "data" in path:
        counts[path] += 1
sys.addaudithook(count)
import boto3, botocore.session
import sm_private_client as smp
keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
def use(session):
    for name in ("sagemaker-runtime", "sagemaker", "s3"):
        client = session.client(name)
    client.get_paginator("list_objects_v2"), client.get_waiter("bucket_exists")
    session.get_available_services()
    session.get_available_regions("sagemaker")
"""
COUNTED = """
print(json.dumps(counts))
"""


@pytest.fixture(autouse=True)
def _only_packaged_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_DATA_PATH", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(tmp_path / "no-models"))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A directory with a service of its own, and one operation more of another."""
    latest = create_loader().determine_latest_version("sagemaker-runtime", "service-2")
    shipped = Path(Loader.BUILTIN_DATA_PATH) / "sagemaker-runtime" / latest
    for name in ("in-house", "sagemaker-runtime"):
        directory = tmp_path / "models" / name / latest
        directory.mkdir(parents=True)
        (packed,) = shipped.glob("service-2.json*")
        (directory / packed.name).write_bytes(packed.read_bytes())
    extra = {"version": 1.0, "merge": {"metadata": {"serviceFullName": "Changed"}}}
    (directory / "service-2.sdk-extras.json").write_text(json.dumps(extra))
    return tmp_path / "models"


def reads_of(*statements: str, environ: dict[str, str] | None = None) -> dict[str, int]:
    program = "\n".join((COUNT_READS, *statements, COUNTED))
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", program],
        env={**os.environ, "HOME": os.devnull, **(environ or {})},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    counted: dict[str, int] = json.loads(done.stdout)
    return counted


def names_of(paths: Iterable[str]) -> set[str]:
    return {Path(path).name for path in paths}


def data_of(session: boto3.session.Session) -> Loader:
    loader: Loader = session._session.get_component("data_loader")
    return loader


OURS = f"smp.Session(vpc_endpoint={URL!r}, **keys)"


@pytest.mark.slow(reason="other programs")
def test_two_sessions_read_each_file_once() -> None:
    """The second session of a process opens no model, no endpoint rules, no partitions."""
    once = reads_of(f"use({OURS})")
    twice = reads_of(f"use({OURS})", f"use({OURS})")
    assert {"service-2.json.gz", "partitions.json", "paginators-1.json"} <= names_of(once)
    again = {path for path, number in twice.items() if number > once[path]}
    assert names_of(again) <= {"_retry.json"}  # botocore changes it; some versions do not read it


@pytest.mark.slow(reason="three processes, to show that its neighbour can fail")
def test_two_sessions_of_boto3_read_every_file_twice() -> None:
    """What is counted is what boto3 would read: nothing of ours is in the way of boto3's own."""
    once = reads_of("use(boto3.Session(**keys))")
    twice = reads_of("use(boto3.Session(**keys))", "use(boto3.Session(**keys))")
    assert twice == {path: 2 * number for path, number in once.items()}
    ours = reads_of(f"use({OURS})")
    assert {path: ours[path] for path in once} == once


@pytest.mark.slow(reason="other programs")
@pytest.mark.parametrize(
    ("made", "looks_everywhere"), [(OURS, False), ("boto3.Session(**keys)", True)]
)
def test_a_client_looks_into_no_other_services_directory(made: str, looks_everywhere: bool) -> None:
    """For a client of one service, boto3 lists the directories of some hundred."""
    counted = reads_of(
        "def count_lists(event, arguments):",
        "    if event == 'os.listdir': counts['listed'] += 1",
        "sys.addaudithook(count_lists)",
        f"{made}.client('sagemaker-runtime')",
    )
    assert (counted["listed"] > 100) == looks_everywhere


@pytest.mark.parametrize("service_name", ["sagemaker", "sagemaker-runtime", "s3", "ec2", "sts"])
def test_what_is_read_is_what_botocore_reads(service_name: str) -> None:
    """Each answer equals that of botocore's own loader, of the same search paths."""
    ours = data_of(smp.Session(**KEYS))
    theirs = data_of(boto3.Session(**KEYS))
    assert ours.search_paths == theirs.search_paths
    for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
        assert ours.list_available_services(kind) == theirs.list_available_services(kind)
        assert ours.list_api_versions(service_name, kind) == theirs.list_api_versions(
            service_name, kind
        )
        assert ours.determine_latest_version(service_name, kind) == theirs.determine_latest_version(
            service_name, kind
        )
        assert ours.load_service_model(service_name, kind) == theirs.load_service_model(
            service_name, kind
        )
    for name in ("partitions", "endpoints", "_retry", "sdk-default-configuration"):
        assert ours.load_data(name) == theirs.load_data(name)
        assert ours.load_data_with_path(name) == theirs.load_data_with_path(name)


def test_what_is_not_there_is_botocores_error() -> None:
    """An unknown service, version or file ends as it does with botocore, each time."""
    loader = data_of(smp.Session(**KEYS))
    for _ in range(2):
        with pytest.raises(UnknownServiceError, match="sagemaker-nothing"):
            loader.load_service_model("sagemaker-nothing", "service-2")
        with pytest.raises(DataNotFoundError):
            loader.load_service_model("sagemaker", "service-2", api_version="1999-01-01")
        with pytest.raises(DataNotFoundError):
            loader.load_data("nothing")


def test_botocore_leaves_as_it_is_what_is_shared() -> None:
    """Clients with every mode of retries change nothing that the next session would be given."""
    shared = data_of(smp.Session(**KEYS))
    names = ("sagemaker", "sagemaker-runtime", "s3", "dynamodb")
    name: Any  # stubs have an overload for each
    for name in names:
        for mode in ("legacy", "standard", "adaptive"):
            session = boto3.Session(botocore_session=new_botocore_session(), **KEYS)
            client = session.client(name, config=Config(retries={"mode": mode, "max_attempts": 7}))
            operation = client.meta.service_model.operation_model(
                client.meta.service_model.operation_names[0]
            )
            assert operation.input_shape is not None
            assert client.waiter_names is not None
    fresh = create_loader()
    for name in names:
        for kind in ("service-2", "endpoint-rule-set-1"):
            assert shared.load_service_model(name, kind) == fresh.load_service_model(name, kind)
    assert shared.load_data("partitions") == fresh.load_data("partitions")
    assert shared.load_data("_retry") == fresh.load_data("_retry")


def test_a_list_is_the_callers_own() -> None:
    """Who changes a list of services or versions changes it for nobody else."""
    loader = data_of(smp.Session(**KEYS))
    loader.list_available_services("service-2").clear()
    loader.list_api_versions("sagemaker", "service-2").clear()
    other = data_of(smp.Session(**KEYS))
    for one in (loader, other):
        assert "sagemaker" in one.list_available_services("service-2")
        assert one.list_api_versions("sagemaker", "service-2") != []


def test_aws_data_path_is_honoured(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that has models of its own uses them; one that has none does not."""
    monkeypatch.setenv("AWS_DATA_PATH", str(models))
    custom = smp.Session(**KEYS)
    assert "in-house" in custom.get_available_services()
    model = data_of(custom).load_service_model("sagemaker-runtime", "service-2")
    assert model["metadata"]["serviceFullName"] == "Changed"
    monkeypatch.delenv("AWS_DATA_PATH")
    plain = smp.Session(**KEYS)
    assert "in-house" not in plain.get_available_services()
    model = data_of(plain).load_service_model("sagemaker-runtime", "service-2")
    assert model["metadata"]["serviceFullName"] == "Amazon SageMaker Runtime"


def test_the_profiles_data_path_is_honoured(
    models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``data_path`` of the profile that the session has, as for boto3."""
    (tmp_path / "config").write_text(f"[profile a]\ndata_path = {models}\n[profile b]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("a", "b"):
        ours = smp.Session(profile_name=name, **KEYS)
        assert data_of(ours).search_paths == data_of(boto3.Session(profile_name=name)).search_paths
        assert ("in-house" in ours.get_available_services()) == (name == "a")


def test_models_that_are_added_meanwhile_are_seen(models: Path, tmp_path: Path) -> None:
    """As with boto3, the next session sees what was put into ``~/.aws/models``."""
    assert "in-house" not in smp.Session(**KEYS).get_available_services()
    models.rename(tmp_path / "no-models")
    assert "in-house" in smp.Session(**KEYS).get_available_services()


def test_a_botocore_session_that_is_passed_keeps_its_loader() -> None:
    """What a caller made, with a loader of its own or botocore's, is left alone."""
    mine = Loader()
    botocore_session = botocore.session.get_session()
    botocore_session.register_component("data_loader", mine)
    assert data_of(smp.Session(botocore_session=botocore_session, **KEYS)) is mine
    plain = smp.Session(botocore_session=botocore.session.get_session(), **KEYS)
    assert type(data_of(plain)) is Loader


def test_threads_are_given_one_and_the_same() -> None:
    """Sessions that load at the same moment end up with the same models."""
    sessions = [smp.Session(**KEYS) for _ in range(8)]
    together = threading.Barrier(len(sessions))

    def load(session: smp.Session) -> Any:
        together.wait(30)
        return data_of(session).load_service_model("sagemaker-edge", "service-2")

    with ThreadPoolExecutor(len(sessions)) as pool:
        loaded = list(pool.map(load, sessions))
    assert all(one is loaded[0] for one in loaded)
    fresh = create_loader().load_service_model("sagemaker-edge", "service-2")
    assert loaded[0] == fresh


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_that_is_forked_while_others_load_can_load() -> None:
    """No lock that another thread held is left to a child."""
    program = "\n".join(
        (
            COUNT_READS,
            "import threading",
            f"session = {OURS}",
            "loader = session._session.get_component('data_loader')",
            "names = loader.list_available_services('service-2')[:60]",
            "def load():",
            "    for name in names: loader.load_service_model(name, 'service-2')",
            "worker = threading.Thread(target=load)",
            "worker.start()",
            "statuses = []",
            "while worker.is_alive():",
            "    child = os.fork()",
            "    if not child:",
            f"        {OURS}.client('sagemaker-runtime')",
            "        os._exit(0)",
            "    statuses.append(os.waitpid(child, 0)[1])",
            "worker.join()",
            "print(json.dumps({'children': len(statuses), 'failed': sum(map(bool, statuses))}))",
        )
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    counts = json.loads(done.stdout)
    assert counts["children"] > 0
    assert counts["failed"] == 0
