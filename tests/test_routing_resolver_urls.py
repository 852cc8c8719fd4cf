"""Specification of routing/resolver.py: URLs on this machine and elsewhere, and going public."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import UnknownServiceError
from botocore.loaders import create_loader

from sm_private_client.errors import (
    ConfigurationError,
    FipsUnavailableError,
    NoPrivateRouteError,
    PublicAddressError,
)
from sm_private_client.privatelink.services import UNROUTABLE
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import botocore.session

    from sm_private_client.privatelink.records import Evidence

HOST = "runtime.sagemaker.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=("sagemaker-runtime",)) as running:
        yield running


@pytest.fixture
def link(shared: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    """A running simulator that tests share; they leave it as it was. Nothing goes out publicly."""
    yield shared
    assert not shared.faults.active
    assert (shared.internet.connections, shared.internet.bytes_received) == (0, 0)


@pytest.fixture
def bare(link: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    """The same without a private route."""
    with link.faults.deny("ec2:DescribeVpcEndpoints"):
        yield link


def told(evidence: Iterable[Evidence]) -> list[str]:
    return [f"{e.step} ({e.outcome}): {e.detail}" for e in evidence]


def with_config(link: LocalPrivateLink, text: str, directory: Path) -> botocore.session.Session:
    config = directory / "config"
    config.write_text(f"[default]\nregion = us-east-1\nca_bundle = {link.ca_bundle}\n{text}")
    core = link.botocore_session()
    core.set_config_variable("config_file", str(config))
    return core


# A stand-in on this machine


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("https://127.0.0.1:5000", "https://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://sagemaker.localhost:4566", "http://sagemaker.localhost:4566"),
        ("localhost:5000", "https://localhost:5000"),
    ],
)
@pytest.mark.parametrize(
    ("place", "source", "origin"),
    [
        ("argument", "explicit", "endpoint_url="),
        ("vpc_endpoint", "explicit", "vpc_endpoint="),
        ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "configured", "AWS_ENDPOINT_URL*"),
        ("AWS_ENDPOINT_URL", "configured", "AWS_ENDPOINT_URL*"),
        ("services section", "configured", "the config file's endpoint_url"),
    ],
)
def test_a_loopback_url_is_honoured_with_one_notice(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    given: str,
    url: str,
    place: str,
    source: str,
    origin: str,
) -> None:
    """A URL on this machine is used wherever it stands; its route is local, not private."""
    options: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    if place == "argument":
        arguments["endpoint_url"] = given
    elif place == "vpc_endpoint":
        options["vpc_endpoint"] = given
    elif place == "services section":
        section = f"[services mine]\nsagemaker_runtime =\n  endpoint_url = {given}\n"
        text = f"services = mine\n{section}"
        options["botocore_session"] = with_config(link, text, tmp_path)
    else:
        monkeypatch.setenv(place, given)
    with caplog.at_level(logging.WARNING, logger="sm_private_client"):
        session = link.session(**options)
        route = session.route("sagemaker-runtime", **arguments)
        session.route("sagemaker-runtime", **arguments)
    assert (route.endpoint_url, route.source) == (url, source)
    assert route.is_local
    assert not route.is_private
    assert route.evidence[-1].detail == f"{origin} names {url}"
    assert route.explain().endswith("This is a stand-in on this machine, not a private route.")
    assert caplog.messages == [
        f"sagemaker-runtime goes to {url}, a stand-in on this machine, not a private route."
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        f"http://{HOST}",
        "http://10.0.0.10",
        "http://169.254.169.254",
        "http://vpce-0fe5b17a0707d6abc-29p5708s.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
    ],
)
@pytest.mark.parametrize("place", ["endpoint_url=", "vpc_endpoint=", "AWS_ENDPOINT_URL*"])
def test_http_to_anything_else_is_an_error(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, place: str, url: str
) -> None:
    """What is not on this machine is spoken to over TLS only."""
    options: dict[str, Any] = {"vpc_endpoint": url} if place == "vpc_endpoint=" else {}
    if place == "AWS_ENDPOINT_URL*":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    session = link.session(**options)
    with pytest.raises(ConfigurationError) as caught:
        session.route("sagemaker-runtime", endpoint_url=url if place == "endpoint_url=" else None)
    assert str(caught.value) == (
        f"{place} has {url!r}, which cannot be used as an endpoint URL.\n"
        "Cause: http is not encrypted; it is allowed to this machine only.\n"
        "Remedy: give https:// and a host, or the DNS name of a VPC endpoint alone.\n"
        "See docs/errors.md#configuration"
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_name_that_resolves_to_loopback_is_refused(link: LocalPrivateLink, address: str) -> None:
    """Only a URL that itself names this machine is local."""
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    with link.faults.dns(host, address):
        for named in (host, f"https://{host}"):
            with pytest.raises(PublicAddressError) as caught:
                link.session(vpc_endpoint=named).route("sagemaker-runtime")
            assert caught.value.address == address
        client = link.session().client("sagemaker-runtime", endpoint_url=f"https://{host}")
        with pytest.raises(PublicAddressError):
            client.invoke_endpoint(EndpointName="churn", Body=b"")


def test_an_explicit_url_is_judged_by_the_guard(link: LocalPrivateLink) -> None:
    """A URL whose host is public makes a client, and its first call is refused unsent."""
    client = link.session().client("sagemaker-runtime", endpoint_url=f"https://{HOST}")
    with pytest.raises(PublicAddressError) as caught:
        client.invoke_endpoint(EndpointName="churn", Body=b"")
    assert (caught.value.host, caught.value.address) == (HOST, "52.46.128.5")


# Members of the family without an endpoint service


@pytest.mark.parametrize("service", sorted(UNROUTABLE))
def test_a_member_without_endpoint_service_is_refused(link: LocalPrivateLink, service: str) -> None:
    """It is refused with an error that says so, whatever VPC endpoint is named; never sent out."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    for named in (None, standing.vpc_endpoint_id, standing.name.host):
        with pytest.raises(NoPrivateRouteError) as caught:
            link.session(vpc_endpoint=named).route(service)
        lines = str(caught.value).splitlines()
        assert lines[0] == f"{service} cannot be reached privately. Tried, in order:"
        assert lines[-5:] == [
            "Cause: it is not among the services that AWS PrivateLink carries.",
            "Remedies, in order:",
            "  1. use plain boto3 for it where it may go out publicly.",
            "  2. pass endpoint_url= with a private host of yours that passes it on.",
            "See docs/errors.md#no-private-route",
        ]
        if named is None:
            assert lines[3] == (f"  catalogue (no): AWS offers no endpoint service for {service}")
    route = link.session().route(service, endpoint_url="https://relay.internal")
    assert (route.endpoint_url, route.source) == ("https://relay.internal", "explicit")


FUTURE = {
    "version": "2.0",
    "metadata": {
        "apiVersion": "2027-01-01",
        "endpointPrefix": "foo.sagemaker",
        "protocol": "rest-json",
        "serviceFullName": "Amazon SageMaker Foo",
        "serviceId": "SageMaker Foo",
        "signatureVersion": "v4",
        "signingName": "sagemaker",
        "uid": "sagemaker-foo-2027-01-01",
    },
    "operations": {"Ping": {"name": "Ping", "http": {"method": "GET", "requestUri": "/ping"}}},
    "shapes": {},
}


@pytest.fixture
def future(link: LocalPrivateLink, tmp_path: Path) -> Any:
    """A session of a later botocore, which has sagemaker-foo; boto3-stubs know no such name."""
    model = tmp_path / "sagemaker-foo" / "2027-01-01" / "service-2.json"
    model.parent.mkdir(parents=True)
    model.write_text(json.dumps(FUTURE))
    core = link.botocore_session()
    core.register_component("data_loader", create_loader(str(tmp_path)))
    return link.session(botocore_session=core)


def test_a_future_member_is_refused(future: Any) -> None:
    """A service that a later botocore brings is refused, not sent out publicly."""
    with pytest.raises(NoPrivateRouteError) as caught:
        future.route("sagemaker-foo")
    assert caught.value.what.startswith("sagemaker-foo cannot be reached privately.")
    fips = Config(use_fips_endpoint=True)
    with pytest.raises(FipsUnavailableError):  # no host with and none without FIPS: not the same
        future.route("sagemaker-foo", endpoint_url="https://relay.internal", config=fips)


def test_a_future_member_goes_where_an_explicit_url_says_guarded(
    link: LocalPrivateLink, future: Any
) -> None:
    """With an endpoint_url a member without endpoint service is dialled, under the guard.

    One without endpoint rules has its own host judged in the same way.
    """
    host = "foo.sagemaker.us-east-1.amazonaws.com"
    for given, name in (({}, host), ({"endpoint_url": "https://relay.internal"}, "relay.internal")):
        with link.faults.dns(name, "52.46.128.99"), pytest.raises(PublicAddressError, match=name):
            future.client("sagemaker-foo", **given).ping()


def test_an_unknown_member_is_botocore_s_own_error(link: LocalPrivateLink) -> None:
    """A name that botocore does not know is the error that boto3 gives."""
    session: Any = link.session()  # boto3-stubs know no such name
    with pytest.raises(UnknownServiceError, match="Unknown service: 'sagemaker-foo'"):
        session.client("sagemaker-foo")


# Going out publicly


def test_warn_goes_on_publicly_with_a_warning(
    bare: LocalPrivateLink, caplog: pytest.LogCaptureFixture
) -> None:
    """on_public_route="warn" logs and gives the default URL, which is not called private."""
    with caplog.at_level(logging.WARNING, logger="sm_private_client"):
        route = bare.session(on_public_route="warn").route("sagemaker-runtime")
    assert (route.endpoint_url, route.source) == (f"https://{HOST}", "public")
    assert not route.is_private
    assert caplog.messages == [
        "sagemaker-runtime in us-east-1 has no private route; calls go out publicly "
        "(on_public_route='warn')."
    ]
    assert told(route.evidence)[-1] == (
        "public (used): on_public_route='warn' lets calls go out publicly"
    )


def test_warn_still_prefers_a_private_route(link: LocalPrivateLink) -> None:
    """on_public_route="warn" changes nothing where there is a private route."""
    assert link.session(on_public_route="warn").route("sagemaker-runtime").source == "discovery"


def test_no_variable_lets_calls_out(
    bare: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """on_public_route and allowed_networks cannot be set by an environment variable."""
    monkeypatch.setenv("SM_PRIVATE_ON_PUBLIC_ROUTE", "warn")
    monkeypatch.setenv("SM_PRIVATE_ALLOWED_NETWORKS", "52.46.128.0/24")
    with pytest.raises(NoPrivateRouteError):
        bare.session().route("sagemaker-runtime")
    with pytest.raises(ConfigurationError, match="give 'refuse' or 'warn'"):
        bare.session(on_public_route="allow")
