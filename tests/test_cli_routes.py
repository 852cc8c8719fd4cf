"""``sm-private-client routes`` in played VPCs."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sm_private_client.cli import main
from sm_private_client.cli.route_reports import RouteStatus, report_on, table
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNTIME_HOST = "runtime.sagemaker.us-east-1.amazonaws.com"


@pytest.fixture(autouse=True)
def _no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("AWS_", "SM_PRIVATE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


@pytest.fixture(scope="module")
def bare() -> Iterator[LocalPrivateLink]:
    """A VPC with an endpoint for the API only."""
    with LocalPrivateLink(services=("sagemaker",)) as running:
        yield running


def records(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    return {r["service_name"]: r for r in json.loads(capsys.readouterr().out)}


def test_every_routable_service_is_shown(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --service all of the catalogue is shown, and status 0 takes only the two needed."""
    assert main(["routes", "--json"], make_session=link.session) == 0
    shown = records(capsys)
    assert tuple(shown) == routable_service_names()
    assert {name: r["status"] for name, r in shown.items()} == {
        "sagemaker": "private",
        "sagemaker-runtime": "private",
        "sagemaker-featurestore-runtime": "no private route",
        "sagemaker-metrics": "no private route",
        "sagemaker-geospatial": "other regions only",
    }
    assert [r["private"] for r in shown.values()] == [True, True, False, False, False]
    assert shown["sagemaker-geospatial"]["error"] is None


def test_json_records_are_routes_and_their_status(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """A JSON record is ``Route.as_dict()``, ``private``, and the error, which is null."""
    assert main(["routes", "--json", "--service", "sagemaker"], make_session=link.session) == 0
    record = records(capsys)["sagemaker"]
    added = {name: record.pop(name) for name in ("private", "status", "error", "reference")}
    assert added == {"private": True, "status": "private", "error": None, "reference": None}
    assert record == json.loads(json.dumps(link.session().route("sagemaker").as_dict()))


def test_plain_lines_have_the_evidence(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a pipe go a line for the service and a line for each piece of evidence."""
    assert main(["routes", "--service", "sagemaker-runtime"], make_session=link.session) == 0
    out = capsys.readouterr().out.splitlines()
    vpc_endpoint = link.vpc_endpoint("sagemaker-runtime")
    assert out[0] == f"sagemaker-runtime  private  https://{vpc_endpoint.name.host}  (discovery)"
    assert f"  discovery (used): EC2 gives {vpc_endpoint.vpc_endpoint_id} in {link.vpc_id}" in out
    for eni in vpc_endpoint.interfaces:
        assert (
            f"  {eni.address} in {eni.availability_zone} is a network interface of the VPC endpoint"
            in out
        )


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        ([], 1),
        (["--service", "sagemaker"], 0),
        (["--service", "sagemaker-runtime"], 1),
        (["--service", "runtime.sagemaker"], 1),
        (["--service", "sagemaker", "--service", "sagemaker-runtime"], 1),
        (["--service", "sagemaker-geospatial"], 1),
        (["--service", "sagemaker-edge"], 1),
        (["--region", "us-east-1", "--service", "sagemaker"], 0),
    ],
)
def test_exit_status(
    argv: list[str], status: int, bare: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 if a service asked for (else sagemaker or its runtime) has no private route."""
    assert main(["routes", *argv], make_session=bare.session) == status
    shown = capsys.readouterr()
    assert bool(shown.err) == (status == 1)
    assert "Traceback" not in shown.err


def test_no_route_says_why_on_both_streams(
    bare: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Why there is no route stands under the row and, in three parts, on stderr."""
    assert main(["routes", "--service", "sagemaker-runtime"], make_session=bare.session) == 1
    shown = capsys.readouterr()
    out = shown.out.splitlines()
    assert out[0] == "sagemaker-runtime  no private route"
    assert shown.err.startswith(
        "No private route to sagemaker-runtime in us-east-1. Tried, in order:\n"
    )
    assert "Remedies, in order:\n" in shown.err
    assert shown.err.endswith("See docs/errors.md#no-private-route\n")
    assert [line.removeprefix("  ") for line in out[1:]] == shown.err.splitlines()


def test_no_route_as_json_has_the_evidence(
    bare: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record without a route has the attempts as evidence and the error's reference."""
    argv = ["routes", "--json", "--service", "sagemaker-runtime"]
    assert main(argv, make_session=bare.session) == 1
    record = records(capsys)["sagemaker-runtime"]
    assert (record["private"], record["reference"]) == (False, "no-private-route")
    assert "endpoint_url" not in record
    assert isinstance(record["evidence"], list)
    steps = [step["step"] for step in record["evidence"]]
    assert steps == ["explicit", "configured", "private DNS", "discovery"]


@pytest.mark.parametrize(
    ("url", "route_status", "exit_status", "error"),
    [
        ("https://10.1.2.3", "private", 0, None),
        ("https://52.1.2.3", "public", 1, "is public; nothing was sent."),
        (f"https://{RUNTIME_HOST}", "public", 1, "is public; nothing was sent."),
        (
            "https://nowhere.example.com",
            "no private route",
            1,
            "nowhere.example.com cannot be looked up, so sagemaker-runtime has no private route.",
        ),
        (
            "http://127.0.0.1:9",
            "local, not private",
            1,
            "sagemaker-runtime goes to http://127.0.0.1:9, a stand-in on this machine.",
        ),
        ("http://10.1.2.3", "no private route", 1, "http"),
    ],
)
def test_a_configured_url_is_looked_up_and_judged(
    url: str,
    route_status: str,
    exit_status: int,
    error: str | None,
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A host that only the configuration names is looked up here, so that the report is true."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
    argv = ["routes", "--json", "--service", "sagemaker-runtime"]
    assert main(argv, make_session=link.session) == exit_status
    record = records(capsys)["sagemaker-runtime"]
    assert (record["status"], record["private"]) == (route_status, exit_status == 0)
    if error is None:
        assert record["error"] is None
    else:
        assert error in str(record["error"])


def test_vpc_endpoint_option_serves_both_services(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """--vpc-endpoint with one id finds the other service for the other service."""
    vpc_endpoint = link.vpc_endpoint("sagemaker")
    argv = ["routes", "--json", "--vpc-endpoint", vpc_endpoint.vpc_endpoint_id]
    assert main(argv, make_session=link.session) == 0
    shown = records(capsys)
    assert shown["sagemaker"]["source"] == shown["sagemaker-runtime"]["source"] == "explicit"
    assert shown["sagemaker"]["endpoint_url"] == f"https://{vpc_endpoint.name.host}"


def test_a_name_that_turned_public_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A VPC endpoint's name that resolves to a public address has no private route."""
    with LocalPrivateLink() as link, link.faults.dns("sagemaker-runtime", "52.46.128.200"):
        argv = ["routes", "--json", "--service", "sagemaker-runtime"]
        assert main(argv, make_session=link.session) == 1
        record = records(capsys)["sagemaker-runtime"]
        assert record["reference"] == "public-address"
        assert link.internet.connections == 0


def test_a_session_that_only_warns_is_told_public(bare: LocalPrivateLink) -> None:
    """If calls may go out publicly the report says public, never private."""
    report = report_on(bare.session(on_public_route="warn"), "sagemaker-runtime")
    assert report.status is RouteStatus.PUBLIC
    assert report.as_dict()["private"] is False


def test_geospatial_in_its_own_region_counts_like_any_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """If AWS offers a service, having no VPC endpoint for it is said as such."""
    with LocalPrivateLink(region="us-west-2") as link:
        assert main(["routes", "--json"], make_session=link.session) == 0
        assert records(capsys)["sagemaker-geospatial"]["status"] == "no private route"


def test_the_table_on_a_terminal(link: LocalPrivateLink) -> None:
    """On a terminal the URL is never broken and the evidence stands below its row."""
    reports = [report_on(link.session(), name) for name in ("sagemaker", "sagemaker-geospatial")]
    shown = io.StringIO()
    Console(file=shown, width=60).print(table(reports), crop=False)
    lines = shown.getvalue().splitlines()
    assert lines[0].rstrip() == "sagemaker             private             discovery"
    assert lines[1].rstrip() == f"  https://{link.vpc_endpoint('sagemaker').name.host}"
    assert lines[-2].rstrip() == "sagemaker-geospatial  other regions only  us-west-2"
    assert lines[-1].rstrip() == "  AWS offers no endpoint service for it in us-east-1."
