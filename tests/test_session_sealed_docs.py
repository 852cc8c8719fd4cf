"""Specification of docs/sealed-sessions.md: its example, its table of other services, its rules."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import sm_private_client as smp
from sm_private_client.errors import NoPrivateRouteError
from sm_private_client.privatelink.other_services import OTHER_SERVICES
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport.egress import Egress, EgressRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = (Path(__file__).parent.parent / "docs" / "sealed-sessions.md").read_text("utf-8")


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    """The VPC of the page: private DNS, and a gateway for S3."""
    with LocalPrivateLink(private_dns=True) as running:
        for service in ("ec2", "sts"):
            running.create_vpc_endpoint(service, private_dns=True)
        running.create_gateway("s3")
        running.deploy("churn-xgb", lambda body, _: body)
        s3: Any = running.session().client("s3")
        with contextlib.suppress(s3.exceptions.BucketAlreadyExists):
            s3.create_bucket(Bucket="models")
        yield running
        assert running.internet.connections == 0


def test_the_example_prints_the_table(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is executed as it stands, only that the session is inside the simulator."""

    def inside(**options: Any) -> Any:
        return link.session(other_services="network", vpc_id=link.vpc_id, **options)

    monkeypatch.setattr(smp, "Session", inside)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tar.gz").write_bytes(b"model")
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (table,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "sealed-sessions.md", "exec"), names)  # noqa: S102 - our own page
    capsys.readouterr()
    with pytest.raises(NoPrivateRouteError):
        names["session"].client("sqs").list_queues()
    assert str(names["session"].egress()) == table.rstrip("\n")


def test_the_table_of_other_services_is_the_codes() -> None:
    """Every row, in order."""
    rows = re.findall(r"^\| `([a-z0-9]+)` \| `([a-zA-Z0-9.]+)`( .*)? \|$", PAGE, re.MULTILINE)
    assert rows == [
        (
            row.service_name,
            f"com.amazonaws.{'REGION.' if row.is_regional else ''}{row.name_suffix}",
            " (interface or gateway)" if row.has_gateway else "",
        )
        for row in OTHER_SERVICES
    ]


def test_every_field_of_a_record_is_on_the_page() -> None:
    """And every member of the whole."""
    assert all(f"`{name}`" in PAGE for name in EgressRecord.__dataclass_fields__)
    assert all(f".{name}" in PAGE for name in ("as_dict", "as_json", "reached_public", "records"))
    assert set(Egress.__dataclass_fields__) == {"sealed", "records"}
