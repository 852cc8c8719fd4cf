"""Specification of FIPS and dual-stack in routing: honoured or refused, never dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from sm_private_client.errors import FipsUnavailableError
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIPS = Config(use_fips_endpoint=True)
HOST = "runtime-fips.sagemaker.us-east-1.amazonaws.com"
REMEDIES = [
    "Remedies, in order:",
    "  1. name a VPC endpoint of a -fips endpoint service.",
    "  2. turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may.",
    "See docs/errors.md#fips-unavailable",
]


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    """Both services plain, and the Runtime's FIPS one beside it."""
    with LocalPrivateLink() as running:
        running.create_vpc_endpoint("sagemaker-runtime", fips=True)
        running.deploy("churn", lambda body, _content_type: body)
        yield running


@pytest.fixture
def link(shared: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    """A running simulator that tests share; they leave it as it was. Nothing goes out publicly."""
    forget_shared_answers()
    shared.calls.clear()
    yield shared
    assert not shared.faults.active
    assert (shared.internet.connections, shared.internet.bytes_received) == (0, 0)


@pytest.mark.parametrize("asked", ["Config", "default Config", "variable", "profile"])
def test_fips_picks_the_fips_endpoint_service(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str
) -> None:
    """use_fips_endpoint, wherever it is set, leads to the -fips endpoint service, end to end."""
    core = link.botocore_session()
    config = FIPS if asked == "Config" else None
    if asked == "default Config":
        core.set_default_client_config(FIPS)
    elif asked == "variable":
        monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", link.control_url)
    elif asked == "profile":
        text = (tmp_path / "config", core.get_config_variable("config_file"))
        with open(text[1], encoding="utf-8") as file:  # noqa: PTH123 - botocore gives a str
            text[0].write_text(
                file.read().replace("[default]", "[default]\nuse_fips_endpoint = true")
            )
        core.set_config_variable("config_file", str(text[0]))
    session = link.session(botocore_session=core)
    standing = link.vpc_endpoint("sagemaker-runtime", fips=True)
    route = session.route("sagemaker-runtime", config=config)
    assert (route.host, route.fips, route.source) == (standing.name.host, True, "discovery")
    client = session.client("sagemaker-runtime", config=config)
    assert client.invoke_endpoint(EndpointName="churn", Body=b"x")["Body"].read() == b"x"
    assert link.requests[-1].vpc_endpoint_id == standing.vpc_endpoint_id


def test_without_fips_the_plain_one_is_taken(link: LocalPrivateLink) -> None:
    """FIPS is taken where it is asked for; Config(use_fips_endpoint=False) takes it back."""
    session = link.session()
    session._session.set_default_client_config(FIPS)
    plain = link.vpc_endpoint("sagemaker-runtime").name.host
    off = Config(use_fips_endpoint=False)
    assert session.route("sagemaker-runtime", config=off).host == plain
    assert link.session().route("sagemaker-runtime").host == plain


def test_private_dns_of_the_fips_host(link: LocalPrivateLink) -> None:
    """With private DNS the FIPS default host is kept."""
    with link.faults.dns(HOST, "10.0.0.77"):
        route = link.session().route("sagemaker-runtime", config=FIPS)
    assert (route.endpoint_url, route.source, route.fips) == (
        f"https://{HOST}",
        "private-dns",
        True,
    )
    with link.faults.dns("runtime.sagemaker.us-east-1.amazonaws.com", "10.0.0.77"):
        route = link.session().route("sagemaker-runtime", config=FIPS)
    assert route.source == "discovery"  # private DNS of the plain host is no FIPS route


def test_no_fips_route_is_said(link: LocalPrivateLink) -> None:
    """FipsUnavailableError: every step, and to create the -fips endpoint service."""
    with pytest.raises(FipsUnavailableError) as caught:
        link.session().route("sagemaker", config=FIPS)
    service = "com.amazonaws.us-east-1.sagemaker.api-fips"
    host = "api-fips.sagemaker.us-east-1.amazonaws.com"
    assert str(caught.value).splitlines() == [
        "No private FIPS route to sagemaker in us-east-1. Tried, in order:",
        "  explicit (skipped): neither endpoint_url= nor vpc_endpoint= was given",
        "  configured (skipped): neither SM_PRIVATE_VPC_ENDPOINT, nor the profile key "
        "sm_private_vpc_endpoint, nor AWS_ENDPOINT_URL* is set",
        f"  private DNS (no): {host} resolves to 52.46.128.3, which is public",
        f"  discovery (no): EC2 shows no VPC endpoint of {service}",
        "Remedies, in order:",
        f"  1. create an interface endpoint of {service}.",
        "  2. turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may.",
        "See docs/errors.md#fips-unavailable",
    ]


@pytest.mark.parametrize("service", ["sagemaker-metrics", "sagemaker-geospatial"])
def test_a_service_without_fips_endpoint_service(link: LocalPrivateLink, service: str) -> None:
    """Where AWS offers none, only private DNS of the FIPS host can lead there."""
    metrics = link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    for named in (None, metrics):
        with pytest.raises(FipsUnavailableError) as caught:
            link.session(vpc_endpoint=named).route(service, config=FIPS)
        assert str(caught.value).splitlines()[-3] == (
            "  1. AWS offers no FIPS endpoint service for it: make its FIPS host resolve privately."
        )
    with link.faults.dns(service, "10.0.0.77"):
        route = link.session().route(service, config=FIPS)
    assert (route.source, route.fips) == ("private-dns", True)
    assert "fips" in route.host


@pytest.mark.parametrize(
    ("place", "origin"),
    [
        ("endpoint_url", "endpoint_url="),
        ("vpc_endpoint", "vpc_endpoint="),
        ("mapping", "vpc_endpoint="),
        ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL*"),
    ],
)
@pytest.mark.parametrize(
    "host",
    [
        "relay.internal",
        "localhost",
        "runtime.sagemaker.us-east-1.amazonaws.com",
        "vpce-0fe5b17a0707d6abc-29p5708s.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        "vpce-0fe5b17a0707d6abc-29p5708s-us-east-1a.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        "runtime-fips.sagemaker.us-east-1.amazonaws.com.example.com",
    ],
)
def test_a_named_host_that_is_not_fips_is_refused(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, place: str, origin: str, host: str
) -> None:
    """Where botocore drops FIPS silently for a custom host we refuse, on this machine too."""
    url = f"https://{host}"
    options: dict[str, Any] = {}
    if place in ("vpc_endpoint", "mapping"):
        options["vpc_endpoint"] = {"sagemaker-runtime": url} if place == "mapping" else url
    elif place == "AWS_ENDPOINT_URL":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    argument = url if place == "endpoint_url" else None
    with pytest.raises(FipsUnavailableError) as caught:
        link.session(**options).route("sagemaker-runtime", endpoint_url=argument, config=FIPS)
    assert str(caught.value).splitlines() == [
        f"FIPS is asked for, but {origin} names {host}, which is not FIPS.",
        "Cause: botocore drops FIPS silently for a host that it is given.",
        *REMEDIES,
    ]


def test_a_named_fips_host_is_taken(link: LocalPrivateLink) -> None:
    """The name of a FIPS VPC endpoint is FIPS, and so is botocore's own FIPS host."""
    standing = link.vpc_endpoint("sagemaker-runtime", fips=True)
    host, label = standing.name.host, standing.name.host.partition(".")[0]
    for named in (host, f"https://{host}", label, standing.vpc_endpoint_id):
        route = link.session(vpc_endpoint=named).route("sagemaker-runtime", config=FIPS)
        assert (route.host, route.fips) == (host, True)
    for url in (f"https://{host}", f"https://{HOST}"):
        route = link.session().route("sagemaker-runtime", endpoint_url=url, config=FIPS)
        assert (route.endpoint_url, route.fips) == (url, True)


def test_an_id_that_is_not_fips(link: LocalPrivateLink) -> None:
    """Named for all services it leads to its FIPS endpoint; named for this one it is refused."""
    plain = link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    fips = link.vpc_endpoint("sagemaker-runtime", fips=True)
    route = link.session(vpc_endpoint=plain).route("sagemaker-runtime", config=FIPS)
    assert route.host == fips.name.host
    session = link.session(vpc_endpoint={"sagemaker-runtime": plain})
    with pytest.raises(FipsUnavailableError) as caught:
        session.route("sagemaker-runtime", config=FIPS)
    assert str(caught.value).splitlines()[0] == (
        f"FIPS is asked for, but vpc_endpoint= names {plain}, which is not FIPS."
    )


def test_a_fips_id_is_good_for_everybody(link: LocalPrivateLink) -> None:
    """The id of a FIPS VPC endpoint is taken by a client that does not ask for FIPS too."""
    fips = link.vpc_endpoint("sagemaker-runtime", fips=True)
    for named in (fips.vpc_endpoint_id, {"sagemaker-runtime": fips.vpc_endpoint_id}):
        assert link.session(vpc_endpoint=named).route("sagemaker-runtime").host == fips.name.host
    session = link.session(vpc_endpoint=fips.vpc_endpoint_id)
    assert session.route("sagemaker").host == link.vpc_endpoint("sagemaker").name.host


def test_warn_goes_to_the_fips_host(link: LocalPrivateLink) -> None:
    """Even on_public_route="warn" does not drop FIPS."""
    route = link.session(on_public_route="warn").route("sagemaker", config=FIPS)
    assert route.endpoint_url == "https://api-fips.sagemaker.us-east-1.amazonaws.com"


@pytest.mark.parametrize("fips", [False, True])
def test_dual_stack_asks_dns_for_the_dual_stack_host(link: LocalPrivateLink, *, fips: bool) -> None:
    """Dual-stack has default hosts of its own, with and without FIPS."""
    host = f"runtime.sagemaker{'-fips' if fips else ''}.us-east-1.api.aws"
    config = Config(use_dualstack_endpoint=True, use_fips_endpoint=fips)
    with link.faults.dns(host, "10.0.0.77", "fd00::7"):
        route = link.session().route("sagemaker-runtime", config=config)
    assert (route.host, route.source, route.fips) == (host, "private-dns", fips)
    assert {a.address for a in route.addresses} == {"10.0.0.77", "fd00::7"}


# GovCloud, where the Runtime's host is FIPS by default


@pytest.fixture(scope="module")
def shared_govcloud() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(region="us-gov-west-1") as running:
        yield running


def test_govcloud_s_runtime_is_fips_by_default(shared_govcloud: LocalPrivateLink) -> None:
    """The plain endpoint service serves FIPS where botocore's rules give one host for both."""
    link = shared_govcloud
    plain = link.vpc_endpoint("sagemaker-runtime")
    for named in (None, plain.vpc_endpoint_id, plain.name.host):
        route = link.session(vpc_endpoint=named).route("sagemaker-runtime", config=FIPS)
        assert (route.host, route.fips) == (plain.name.host, True)
    host = "runtime.sagemaker.us-gov-west-1.amazonaws.com"
    with link.faults.dns(host, "10.0.0.77"):
        route = link.session().route("sagemaker-runtime", config=FIPS)
    assert (route.host, route.fips) == (host, True)


def test_govcloud_s_api_is_not(shared_govcloud: LocalPrivateLink) -> None:
    """The API has a FIPS host of its own there, so the plain endpoint service is refused."""
    link = shared_govcloud
    standing = link.vpc_endpoint("sagemaker")
    for named in (None, standing.vpc_endpoint_id, standing.name.host):
        with pytest.raises(FipsUnavailableError):
            link.session(vpc_endpoint=named).route("sagemaker", config=FIPS)


@pytest.mark.parametrize("host", ["relay.internal", "localhost"])
def test_govcloud_s_fips_by_default_is_of_its_own_hosts(
    shared_govcloud: LocalPrivateLink, host: str
) -> None:
    """Some other host is no FIPS host there either."""
    session = shared_govcloud.session()
    with pytest.raises(FipsUnavailableError):
        session.route("sagemaker-runtime", endpoint_url=f"https://{host}", config=FIPS)


def test_govcloud_prefers_the_fips_endpoint_service() -> None:
    """Where both stand, the -fips one comes first however old the other is."""
    with LocalPrivateLink(region="us-gov-west-1", services=("sagemaker-runtime",)) as link:
        with link.control.ec2() as ec2:
            plain = ec2.vpc_end_points[link.vpc_endpoints[0].vpc_endpoint_id]
            plain.creation_timestamp = plain.creation_timestamp.replace(year=2020)
        fips = link.create_vpc_endpoint("sagemaker-runtime", fips=True)
        route = link.session().route("sagemaker-runtime", config=FIPS)
        assert route.host == fips.name.host
        assert link.session().route("sagemaker-runtime").vpc_endpoint is not None
