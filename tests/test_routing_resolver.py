"""Specification of routing/resolver.py: the five steps, their order, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client.errors import (
    NoPrivateRouteError,
    PublicAddressError,
)
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sm_private_client.privatelink.records import Evidence

EXPLICIT = "explicit (skipped): neither endpoint_url= nor vpc_endpoint= was given"
CONFIGURED = (
    "configured (skipped): neither SM_PRIVATE_VPC_ENDPOINT, nor the profile key "
    "sm_private_vpc_endpoint, nor AWS_ENDPOINT_URL* is set"
)
HOST = "runtime.sagemaker.us-east-1.amazonaws.com"
PUBLIC = f"private DNS (no): {HOST} resolves to 52.46.128.5, which is public"
NO_DEFAULT_NAME = f"private DNS (failed): {HOST} does not resolve (Name or service not known)"


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


@pytest.fixture
def link(shared: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    """A running simulator that tests share; they leave it as it was. Nothing goes out publicly."""
    shared.calls.clear()
    yield shared
    assert not shared.faults.active
    assert (shared.internet.connections, shared.internet.bytes_received) == (0, 0)


@pytest.fixture
def own_link() -> Iterator[LocalPrivateLink]:
    """A simulator without VPC endpoints, for one test. Nothing goes out publicly."""
    with LocalPrivateLink(services=()) as running:
        yield running
        assert (running.internet.connections, running.internet.bytes_received) == (0, 0)


def told(evidence: Iterable[Evidence]) -> list[str]:
    return [f"{e.step} ({e.outcome}): {e.detail}" for e in evidence]


def regional(link: LocalPrivateLink, service: str = "sagemaker-runtime") -> str:
    return link.vpc_endpoint(service).name.host


# The steps, in order


def test_explicit_url_comes_first_and_asks_nobody(link: LocalPrivateLink) -> None:
    """endpoint_url= wins over all the rest; nothing is looked up before the guard does."""
    link.network.looked_up.clear()
    session = link.session(vpc_endpoint="vpce-0a1b2c3d")
    url = f"https://{regional(link)}"
    route = session.route("sagemaker-runtime", endpoint_url=url)
    assert (route.endpoint_url, route.source) == (url, "explicit")
    assert told(route.evidence) == [f"explicit (used): endpoint_url= names {url}"]
    assert list(link.network.looked_up) == []
    assert not link.calls
    assert not route.is_private  # nobody has looked yet: the guard does when it dials


def test_private_dns_keeps_the_default_url(own_link: LocalPrivateLink) -> None:
    """A default host that resolves to private addresses only is kept; EC2 is not asked."""
    standing = own_link.create_vpc_endpoint("sagemaker-runtime", private_dns=True)
    route = own_link.session().route("sagemaker-runtime")
    assert (route.endpoint_url, route.source) == (f"https://{HOST}", "private-dns")
    assert told(route.evidence) == [
        EXPLICIT,
        CONFIGURED,
        f"private DNS (used): {HOST} resolves to private addresses only",
    ]
    assert {a.address for a in route.addresses} == {i.address for i in standing.interfaces}
    assert route.is_private
    assert not own_link.calls


def test_discovery_comes_last_and_shows_its_way(link: LocalPrivateLink) -> None:
    """Where DNS shows public addresses EC2 tells the VPC endpoint, its interfaces and zones."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    route = link.session().route("sagemaker-runtime")
    assert (route.endpoint_url, route.source) == (f"https://{standing.name.host}", "discovery")
    assert route.explain().splitlines() == [
        f"sagemaker-runtime in us-east-1: https://{standing.name.host} (discovery)",
        f"  {EXPLICIT}",
        f"  {CONFIGURED}",
        f"  {PUBLIC}",
        f"  discovery (used): EC2 gives {standing.vpc_endpoint_id} in {link.vpc_id}",
        *(
            f"  {i.address} in {i.availability_zone} is a network interface of the VPC endpoint"
            for i in standing.interfaces
        ),
    ]
    assert route.vpc_endpoint is not None
    assert route.vpc_endpoint.vpc_endpoint_id == standing.vpc_endpoint_id
    assert route.address_policy.eni_addresses == {i.address for i in standing.interfaces}
    assert route.is_private


def test_ec2_is_asked_once_for_every_service(link: LocalPrivateLink) -> None:
    """One DescribeVpcEndpoints and one DescribeNetworkInterfaces serve both services."""
    forget_shared_answers()
    session = link.session()
    session.route("sagemaker")
    session.route("sagemaker-runtime")
    session.route("runtime.sagemaker")
    assert dict(link.calls) == {"ec2:DescribeVpcEndpoints": 1, "ec2:DescribeNetworkInterfaces": 1}


def test_every_page_is_read(own_link: LocalPrivateLink) -> None:
    """DescribeVpcEndpoints is paginated; a VPC endpoint on a later page is found."""
    for service in ("sagemaker", "sagemaker-metrics", "sagemaker-runtime"):
        own_link.create_vpc_endpoint(service)
    own_link.control.page_size = 1
    session = own_link.session()
    for service in ("sagemaker", "sagemaker-metrics", "sagemaker-runtime"):
        assert session.route(service).host == regional(own_link, service)
    assert own_link.calls["ec2:DescribeVpcEndpoints"] == 3


def test_vpc_cidrs_are_asked_for_only_without_interfaces(link: LocalPrivateLink) -> None:
    """Where EC2 does not tell the interfaces the VPC's CIDRs are what is private."""
    with link.faults.deny("ec2:DescribeNetworkInterfaces"):
        session = link.session()
        routes = [session.route(s) for s in ("sagemaker", "sagemaker-runtime")]
    for route in routes:
        assert route.address_policy.eni_addresses == frozenset()
        assert route.address_policy.vpc_cidrs == ("10.0.0.0/16",)
        assert route.is_private
        assert told(route.evidence)[-1] == (
            f"discovery (used): EC2 gives {route.host[:22]} in {link.vpc_id}"
        )
    assert link.calls["ec2:DescribeVpcs"] == 1


def test_without_any_detail_private_ranges_decide(link: LocalPrivateLink) -> None:
    """Where EC2 tells neither interfaces nor CIDRs, RFC 1918 and its like are what is private."""
    with (
        link.faults.deny("ec2:DescribeNetworkInterfaces"),
        link.faults.deny("ec2:DescribeVpcs"),
    ):
        route = link.session().route("sagemaker-runtime")
    assert route.address_policy.eni_addresses == frozenset()
    assert route.address_policy.vpc_cidrs == ()
    assert route.is_private
    denied = "this identity is not allowed to (UnauthorizedOperation)."
    for permission in ("ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs"):
        line = f"discovery (failed): EC2 could not be asked ({permission}). Cause: {denied}"
        assert line in told(route.evidence)


# Precedence


def test_each_source_comes_before_the_next(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Argument, variable, profile key, AWS_ENDPOINT_URL*, services section, private DNS, EC2."""
    url = "https://{}.sagemaker.test.internal".format
    config = tmp_path / "config"
    sections = "[default]\nregion = us-east-1\nservices = mine\nendpoint_url = {}\n{}\n"
    services = f"[services mine]\nsagemaker_runtime =\n  endpoint_url = {url('section')}\n"
    ec2 = f"ec2 =\n  endpoint_url = {link.control_url}\n"
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    label = host.partition(".")[0]

    def decided(key: str = "", section: str = services, **options: Any) -> tuple[str, str]:
        config.write_text(sections.format(url("profile"), key) + section + ec2)
        core = link.botocore_session()
        core.set_config_variable("config_file", str(config))
        route = link.session(botocore_session=core, **options).route("sagemaker-runtime")
        return route.endpoint_url, told(route.evidence)[-1]

    in_profile = f"sm_private_vpc_endpoint = {label}"
    of_ours = f"names {label[:22]}; {host} was made from the id and its suffix"
    monkeypatch.setenv("SM_PRIVATE_VPC_ENDPOINT", label)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url("service-variable"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", url("variable"))
    assert decided(in_profile, vpc_endpoint=host) == (
        f"https://{host}",
        f"explicit (used): vpc_endpoint= names {host}",
    )
    assert decided(in_profile)[1] == (
        f"configured (used): the variable SM_PRIVATE_VPC_ENDPOINT {of_ours}"
    )
    monkeypatch.delenv("SM_PRIVATE_VPC_ENDPOINT")
    assert decided(in_profile)[1] == (
        f"configured (used): the profile key sm_private_vpc_endpoint {of_ours}"
    )
    for name, made in (
        ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url("service-variable")),
        ("AWS_ENDPOINT_URL", url("variable")),
    ):
        assert decided() == (made, f"configured (used): AWS_ENDPOINT_URL* names {made}")
        monkeypatch.delenv(name)
    of_file = "configured (used): the config file's endpoint_url names"
    assert decided() == (url("section"), f"{of_file} {url('section')}")
    assert decided(section="[services mine]\n") == (url("profile"), f"{of_file} {url('profile')}")


def test_configured_urls_can_be_ignored(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_IGNORE_CONFIGURED_ENDPOINT_URLS leads past them to private DNS and discovery."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "https://elsewhere.test")
    assert link.session().route("sagemaker-runtime").host == "elsewhere.test"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", link.control_url)
    session = link.session(vpc_endpoint=regional(link))
    assert session.route("sagemaker-runtime").host == regional(link)


# No way


def test_no_route_says_every_step_and_the_remedies(own_link: LocalPrivateLink) -> None:
    """NoPrivateRouteError: every step, what it saw, the remedies in order; nothing was sent."""
    with pytest.raises(NoPrivateRouteError) as caught:
        own_link.session().route("sagemaker-runtime")
    service = "com.amazonaws.us-east-1.sagemaker.runtime"
    assert str(caught.value).splitlines() == [
        "No private route to sagemaker-runtime in us-east-1. Tried, in order:",
        f"  {EXPLICIT}",
        f"  {CONFIGURED}",
        f"  {PUBLIC}",
        f"  discovery (no): EC2 shows no VPC endpoint of {service}",
        "Remedies, in order:",
        f"  1. create an interface endpoint of {service} in this VPC, with private DNS.",
        "  2. if there is one, pass vpc_endpoint= with its DNS name (or set "
        "SM_PRIVATE_VPC_ENDPOINT).",
        "  3. allow ec2:DescribeVpcEndpoints and ec2:DescribeNetworkInterfaces, so that it can "
        "be found.",
        "See docs/errors.md#no-private-route",
    ]
    assert [(a.step, a.outcome) for a in caught.value.attempts] == [
        ("explicit", "skipped"),
        ("configured", "skipped"),
        ("private DNS", "no"),
        ("discovery", "no"),
    ]


@pytest.mark.parametrize(
    ("action", "fault", "cause"),
    [
        ("deny", "ec2:DescribeVpcEndpoints", "this identity is not allowed to"),
        ("throttle", "ec2:DescribeVpcEndpoints", "EC2 throttles this account"),
    ],
)
def test_an_ec2_that_says_no_is_told_with_its_reason(
    link: LocalPrivateLink, action: str, fault: str, cause: str
) -> None:
    """Discovery that fails is one line of evidence with the cause, not an error of its own."""
    code = {"deny": "UnauthorizedOperation", "throttle": "RequestLimitExceeded"}[action]
    with getattr(link.faults, action)(fault), pytest.raises(NoPrivateRouteError) as caught:
        link.session().route("sagemaker")
    assert told(caught.value.attempts)[-1] == (
        f"discovery (failed): EC2 could not be asked ({fault}). Cause: {cause} ({code})."
    )


def test_an_unknown_default_name_leads_on(link: LocalPrivateLink) -> None:
    """A default name that does not resolve is evidence, and the next step tries."""
    with link.faults.dns_failure(HOST):
        route = link.session().route("sagemaker-runtime")
    assert told(route.evidence)[2] == NO_DEFAULT_NAME
    assert route.source == "discovery"


def test_one_public_address_among_private_ones_is_not_private_dns(link: LocalPrivateLink) -> None:
    """The default host is kept only where *every* address is private."""
    with link.faults.dns(HOST, "10.0.0.99", "52.46.128.77"):
        route = link.session().route("sagemaker-runtime")
    assert told(route.evidence)[2] == (
        f"private DNS (no): {HOST} resolves to 52.46.128.77, which is public"
    )
    assert route.source == "discovery"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "is a loopback address, which no VPC endpoint has"),
        ("::1", "is a loopback address, which no VPC endpoint has"),
        ("169.254.1.1", "is a link-local address, which no VPC endpoint has"),
        ("0.0.0.0", "is an unspecified address, which no VPC endpoint has"),  # noqa: S104 - data
        ("::ffff:52.46.128.5", "is public"),
    ],
)
def test_an_aws_name_that_resolves_to_a_wrong_address_is_refused(
    own_link: LocalPrivateLink, address: str, why: str
) -> None:
    """An AWS name that resolves to loopback and its like is no private route."""
    with own_link.faults.dns(HOST, address), pytest.raises(NoPrivateRouteError) as caught:
        own_link.session().route("sagemaker-runtime")
    assert told(caught.value.attempts)[2] == (
        f"private DNS (no): {HOST} resolves to {address}, which {why}"
    )


def test_a_discovered_name_that_is_public_is_refused(link: LocalPrivateLink) -> None:
    """EC2 tells the interfaces, and only these are private, even of private ranges."""
    host = regional(link)
    known = ", ".join(sorted(i.address for i in link.vpc_endpoint("sagemaker-runtime").interfaces))
    for address in ("52.46.128.9", "10.0.0.200"):
        with link.faults.dns(host, address), pytest.raises(PublicAddressError) as caught:
            link.session().route("sagemaker-runtime")
        assert (caught.value.host, caught.value.address) == (host, address)
        assert str(caught.value).splitlines()[0] == (
            f"{host} resolves to {address}, which is not the VPC endpoint's (known: {known}); "
            "nothing was sent."
        )


def test_a_mapping_without_this_service_is_said_to_be_one(link: LocalPrivateLink) -> None:
    """vpc_endpoint={...} leaves the services that it does not name to the next steps."""
    session = link.session(vpc_endpoint={"sagemaker": regional(link, "sagemaker")})
    assert session.route("sagemaker").source == "explicit"
    route = session.route("sagemaker-runtime")
    assert route.source == "discovery"
    assert told(route.evidence)[0] == (
        "explicit (skipped): vpc_endpoint= names other services only"
    )


def test_a_region_that_lacks_the_endpoint_service_is_told(link: LocalPrivateLink) -> None:
    """Nobody is advised to create an endpoint that AWS does not offer there; EC2 is not asked."""
    forget_shared_answers()
    with pytest.raises(NoPrivateRouteError) as caught:
        link.session().route("sagemaker-geospatial")
    assert told(caught.value.attempts)[-1] == (
        "discovery (skipped): AWS offers its endpoint service in us-west-2 only"
    )
    assert not link.calls
    assert str(caught.value).splitlines()[-3:] == [
        "Cause: AWS offers its endpoint service in us-west-2 only.",
        "Remedy: pass region_name= with such a region.",
        "See docs/errors.md#no-private-route",
    ]
