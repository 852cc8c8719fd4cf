"""Specification of routing/explicit.py: the ids, DNS names and URLs that users name."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client.errors import ConfigurationError, NoPrivateRouteError, PublicAddressError
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_private_client.privatelink.records import Evidence

RUNTIME = "com.amazonaws.us-east-1.sagemaker.runtime"


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    services = ("sagemaker", "sagemaker-runtime", "sagemaker-metrics")
    with LocalPrivateLink(services=services) as running:
        yield running


@pytest.fixture
def link(shared: LocalPrivateLink) -> Iterator[LocalPrivateLink]:
    """A running simulator that tests share; they leave it as it was. Nothing goes out publicly."""
    forget_shared_answers()
    shared.calls.clear()
    shared.network.looked_up.clear()
    yield shared
    assert not shared.faults.active
    assert not shared.control.participant
    assert (shared.internet.connections, shared.internet.bytes_received) == (0, 0)


@pytest.fixture
def own_link() -> Iterator[LocalPrivateLink]:
    """A simulator without VPC endpoints, for one test. Nothing goes out publicly."""
    with LocalPrivateLink(services=()) as running:
        yield running
        assert (running.internet.connections, running.internet.bytes_received) == (0, 0)


def told(evidence: Iterable[Evidence]) -> list[str]:
    return [f"{e.step} ({e.outcome}): {e.detail}" for e in evidence]


def placeholder(link: LocalPrivateLink) -> str:
    """Return the name that is built from the bare id of the Runtime's VPC endpoint."""
    vpc_endpoint_id = link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    return f"{vpc_endpoint_id}.runtime.sagemaker.us-east-1.vpce.amazonaws.com"


# Ids


@pytest.mark.parametrize("for_this_service", [True, False])
def test_a_bare_id_is_looked_up(link: LocalPrivateLink, *, for_this_service: bool) -> None:
    """EC2 tells the DNS name that belongs to an id: it has a suffix that nobody can guess."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    named = standing.vpc_endpoint_id
    session = link.session(vpc_endpoint={"sagemaker-runtime": named} if for_this_service else named)
    route = session.route("sagemaker-runtime")
    assert (route.host, route.source) == (standing.name.host, "explicit")
    assert told(route.evidence) == [
        f"explicit (used): vpc_endpoint= gives {named} in {link.vpc_id}"
    ]
    assert route.address_policy.eni_addresses == {i.address for i in standing.interfaces}
    assert list(link.network.looked_up) == [standing.name.host]
    assert dict(link.calls) == {"ec2:DescribeVpcEndpoints": 1, "ec2:DescribeNetworkInterfaces": 1}


def test_an_id_with_its_suffix_asks_dns_only(link: LocalPrivateLink) -> None:
    """An id with its suffix is complete: the name is made of it, and EC2 is not asked."""
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    label = host.partition(".")[0]
    route = link.session(vpc_endpoint=label).route("sagemaker-runtime")
    assert route.host == host
    assert told(route.evidence) == [
        f"explicit (used): vpc_endpoint= names {label[:22]}; {host} was made from the id and its "
        "suffix"
    ]
    assert not link.calls


@pytest.mark.parametrize("form", ["id", "label", "name", "zonal name", "url"])
def test_one_of_another_service_leads_to_the_other_endpoint(
    link: LocalPrivateLink, form: str
) -> None:
    """A single vpc_endpoint serves every service: the other endpoint of the same VPC is found."""
    api, runtime = link.vpc_endpoint("sagemaker"), link.vpc_endpoint("sagemaker-runtime")
    named = {
        "id": api.vpc_endpoint_id,
        "label": api.name.host.partition(".")[0],
        "name": api.name.host,
        "zonal name": api.name.in_zone("us-east-1b").host,
        "url": f"https://{api.name.host}",
    }[form]
    session = link.session(vpc_endpoint=named)
    route = session.route("sagemaker-runtime")
    assert route.host == runtime.name.host
    assert told(route.evidence)[-2:] == [
        f"explicit (noted): {api.vpc_endpoint_id} has another endpoint in {link.vpc_id}",
        f"explicit (used): vpc_endpoint= gives {runtime.vpc_endpoint_id} in {link.vpc_id}",
    ]
    assert session.route("sagemaker").host.startswith(api.vpc_endpoint_id)


def test_the_other_endpoint_is_one_of_the_same_vpc(own_link: LocalPrivateLink) -> None:
    """A VPC endpoint of another VPC does not count, and the error says what the VPC lacks."""
    other = own_link.create_vpc().vpc_id
    api = own_link.create_vpc_endpoint("sagemaker")
    own_link.create_vpc_endpoint("sagemaker-runtime", vpc_id=other)
    with pytest.raises(NoPrivateRouteError) as caught:
        own_link.session(vpc_endpoint=api.vpc_endpoint_id).route("sagemaker-runtime")
    assert told(caught.value.attempts) == [
        f"explicit (no): {api.vpc_endpoint_id} is in {own_link.vpc_id}, which has no VPC endpoint "
        f"of {RUNTIME}"
    ]


def test_of_several_others_the_one_in_our_zone_is_taken(own_link: LocalPrivateLink) -> None:
    """Chosen as discovery chooses: our zone, then the oldest; available ones."""
    api = own_link.create_vpc_endpoint("sagemaker")
    made = [
        own_link.create_vpc_endpoint("sagemaker-runtime", zones=[zone])
        for zone in ("us-east-1a", "us-east-1b", "us-east-1b")
    ]
    with own_link.control.ec2() as ec2:
        for day, standing in enumerate(made, 1):
            created = dt.datetime(2026, 1, day, tzinfo=dt.timezone.utc)
            ec2.vpc_end_points[standing.vpc_endpoint_id].creation_timestamp = created

    def chosen(zone: str | None) -> str:
        session = own_link.session(vpc_endpoint=api.vpc_endpoint_id, availability_zone=zone)
        return session.route("sagemaker-runtime").host

    assert chosen("us-east-1b") == made[1].name.host
    assert chosen("us-east-1a") == made[0].name.host
    assert chosen(None) == made[0].name.host
    own_link.set_state(made[1].vpc_endpoint_id, "deleting")
    assert chosen("us-east-1b") == made[2].name.host


# Where EC2 cannot be asked


@pytest.mark.parametrize(
    ("trouble", "seen"),
    [
        (
            "deny",
            "explicit (failed): EC2 could not be asked (ec2:DescribeVpcEndpoints). Cause: this "
            "identity is not allowed to (UnauthorizedOperation).",
        ),
        ("participant", "explicit (no): EC2 shows no VPC endpoint {id} here"),
    ],
)
def test_a_bare_id_is_guessed_where_ec2_cannot_tell(
    link: LocalPrivateLink, trouble: str, seen: str
) -> None:
    """Without EC2 the built name is tried by DNS, and the evidence says that it was guessed."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    host = placeholder(link)
    fault = link.faults.deny("ec2:DescribeVpcEndpoints" if trouble == "deny" else "ec2:Nothing")
    link.control.participant = trouble == "participant"
    try:
        with fault:
            session = link.session(vpc_endpoint=standing.vpc_endpoint_id)
            with pytest.raises(NoPrivateRouteError) as caught:
                session.route("sagemaker-runtime")
            session.forget_routes()
            with link.faults.dns(host, "10.0.0.10"):
                route = session.route("sagemaker-runtime")
    finally:
        link.control.participant = False
    seen = seen.format(id=standing.vpc_endpoint_id)
    assert told(caught.value.attempts) == [
        seen,
        f"explicit (failed): {host} does not resolve (Name or service not known)",
    ]
    assert told(route.evidence) == [
        seen,
        f"explicit (used): vpc_endpoint= names {standing.vpc_endpoint_id}; {host} was guessed from "
        "the bare id",
    ]
    assert route.host == host
    assert route.vpc_endpoint is None


def test_a_guessed_name_is_judged(link: LocalPrivateLink) -> None:
    """A guessed name that resolves publicly is refused."""
    host = placeholder(link)
    standing = link.vpc_endpoint("sagemaker-runtime")
    with link.faults.deny("ec2:DescribeVpcEndpoints"), link.faults.dns(host, "52.46.128.9"):
        session = link.session(vpc_endpoint=standing.vpc_endpoint_id)
        with pytest.raises(PublicAddressError) as caught:
            session.route("sagemaker-runtime")
    assert (caught.value.host, caught.value.address) == (host, "52.46.128.9")


def test_an_id_that_does_not_exist(link: LocalPrivateLink) -> None:
    """An id that EC2 does not have is told as such; discovery is not tried in its place."""
    session = link.session(vpc_endpoint="vpce-0123456789abcdef0")
    with pytest.raises(NoPrivateRouteError) as caught:
        session.route("sagemaker-runtime")
    host = "vpce-0123456789abcdef0.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
    assert told(caught.value.attempts) == [
        "explicit (no): EC2 shows no VPC endpoint vpce-0123456789abcdef0 here",
        f"explicit (failed): {host} does not resolve (Name or service not known)",
    ]


# DNS names and URLs


@pytest.mark.parametrize("place", ["vpc_endpoint=", "mapping", "variable", "endpoint_url="])
@pytest.mark.parametrize(
    ("form", "zonal"),
    [
        ("{}", False),
        ("{}", True),
        ("https://{}", False),
        (" {} ", True),
        ("https://{}/", True),
        ("{upper}", False),
    ],
)
def test_a_full_name_is_taken_wherever_a_url_is(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    form: str,
    zonal: bool,
) -> None:
    """vpce-….runtime.sagemaker.R.vpce.amazonaws.com needs no scheme; EC2 is not asked."""
    name = link.vpc_endpoint("sagemaker-runtime").name
    host = name.in_zone("us-east-1b").host if zonal else name.host
    given = form.format(host, upper=host.upper())
    options: dict[str, Any] = {}
    if place == "vpc_endpoint=":
        options["vpc_endpoint"] = given
    elif place == "mapping":
        options["vpc_endpoint"] = {"runtime.sagemaker": given}
    elif place == "variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", given)
    session = link.session(**options)
    url = given if place == "endpoint_url=" else None
    route = session.route("sagemaker-runtime", endpoint_url=url)
    assert route.host == host
    assert route.endpoint_url.lower().startswith(f"https://{host}")
    assert not link.calls


@pytest.mark.parametrize(
    ("place", "origin"),
    [
        ("endpoint_url", "endpoint_url="),
        ("mapping", "vpc_endpoint="),
        ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL*"),
    ],
)
@pytest.mark.parametrize(
    ("host", "what", "other", "mine"),
    [
        (
            "vpce-0fe5b17a0707d6abc-29p5708s.api.sagemaker.us-east-1.vpce.amazonaws.com",
            "service",
            "sagemaker",
            "sagemaker-runtime",
        ),
        (
            "vpce-0fe5b17a0707d6abc-29p5708s.notebook.us-east-1.vpce.sagemaker.aws",
            "service",
            "notebook (browser)",
            "sagemaker-runtime",
        ),
        (
            "vpce-0fe5b17a0707d6abc-29p5708s.runtime.sagemaker.us-west-2.vpce.amazonaws.com",
            "region",
            "us-west-2",
            "us-east-1",
        ),
        (
            "vpce-0fe5b17a0707d6abc-29p5708s.runtime.sagemaker.cn-north-1.vpce.amazonaws.com.cn",
            "region",
            "cn-north-1",
            "us-east-1",
        ),
    ],
)
def test_a_name_that_contradicts_the_client_is_an_error(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    origin: str,
    host: str,
    what: str,
    other: str,
    mine: str,
) -> None:
    """A name of another service or region is a ConfigurationError that names both."""
    options: dict[str, Any] = (
        {"vpc_endpoint": {"sagemaker-runtime": host}} if place == "mapping" else {}
    )
    if place == "AWS_ENDPOINT_URL":
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{host}")
    session = link.session(**options)
    with pytest.raises(ConfigurationError) as caught:
        session.route("sagemaker-runtime", endpoint_url=host if place == "endpoint_url" else None)
    assert str(caught.value) == (
        f"{origin} names {host}, whose {what} is {other}, but the client's is {mine}.\n"
        f"Cause: a VPC endpoint serves one {what} only.\n"
        "Remedy: name a VPC endpoint for sagemaker-runtime in us-east-1.\n"
        "See docs/errors.md#configuration"
    )
    assert list(link.network.looked_up) == []


def test_an_id_set_for_one_service_must_be_of_it(link: LocalPrivateLink) -> None:
    """Named for one service alone, the id of another one contradicts it."""
    api = link.vpc_endpoint("sagemaker").vpc_endpoint_id
    session = link.session(vpc_endpoint={"sagemaker-runtime": api})
    with pytest.raises(ConfigurationError) as caught:
        session.route("sagemaker-runtime")
    assert str(caught.value).splitlines()[0] == (
        f"vpc_endpoint= names {api}, whose service is sagemaker, but the client's is "
        "sagemaker-runtime."
    )


def test_an_id_that_only_browsers_use_leads_nowhere_else(own_link: LocalPrivateLink) -> None:
    """The id of a notebook's VPC endpoint was not meant for a client, though its VPC has ours."""
    own_link.create_vpc_endpoint("sagemaker-runtime")
    notebook = own_link.create_vpc_endpoint("aws.sagemaker.us-east-1.notebook").vpc_endpoint_id
    with pytest.raises(ConfigurationError) as caught:
        own_link.session(vpc_endpoint=notebook).route("sagemaker-runtime")
    assert caught.value.what == (
        f"vpc_endpoint= names {notebook}, whose service is notebook (browser), but the client's is "
        "sagemaker-runtime."
    )


def test_public_owned_cidrs_work_where_ec2_tells_the_interfaces(
    own_link: LocalPrivateLink,
) -> None:
    """A VPC may have addresses outside of the private ranges; EC2 says whose they are."""
    vpc = own_link.create_vpc(cidr_block="44.192.0.0/16")
    standing = own_link.create_vpc_endpoint("sagemaker-runtime", vpc_id=vpc.vpc_id)
    host = standing.name.host
    assert own_link.session().route("sagemaker-runtime").is_private
    for named in (standing.vpc_endpoint_id, host.partition(".")[0], host, f"https://{host}"):
        session = own_link.session(vpc_endpoint=named)
        route = session.route("sagemaker-runtime")
        assert route.host == host
        assert route.is_private
        assert route.address_policy.eni_addresses == {i.address for i in standing.interfaces}
        session.forget_routes()
        with own_link.faults.deny("ec2:DescribeNetworkInterfaces"):
            route = session.route("sagemaker-runtime")
        assert route.address_policy.vpc_cidrs == ("44.192.0.0/16",)
        session.forget_routes()
        if named != standing.vpc_endpoint_id:
            denied = own_link.faults.deny("ec2:DescribeVpcEndpoints")
            with denied, pytest.raises(PublicAddressError):
                session.route("sagemaker-runtime")


def test_a_name_that_does_not_resolve_is_no_route(link: LocalPrivateLink) -> None:
    """What was named is tried alone: no other step takes its place."""
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    with link.faults.dns_failure(host), pytest.raises(NoPrivateRouteError) as caught:
        link.session(vpc_endpoint=host).route("sagemaker-runtime")
    assert told(caught.value.attempts) == [
        f"explicit (failed): {host} does not resolve (Name or service not known)"
    ]


# As other tools give them


@pytest.mark.parametrize("form", ["name", "https", "zonal", "mapping", "ARN"])
def test_what_cloudformation_and_terraform_give_is_understood(
    link: LocalPrivateLink, form: str
) -> None:
    """``Z…:name`` of DnsEntries and a VPC endpoint's ARN lead where the name and the id lead."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    host = standing.name.host
    zonal = standing.name.in_zone("us-east-1a").host
    named: Any = {
        "name": f"Z7HUB22UULQXV:{host}",
        "https": f"https://Z7HUB22UULQXV:{host}",
        "zonal": f"Z7HUB22UULQXV:{zonal}",
        "mapping": f"sagemaker-runtime=Z7HUB22UULQXV:{host}",
        "ARN": f"arn:aws:ec2:us-east-1:123456789012:vpc-endpoint/{standing.vpc_endpoint_id}",
    }[form]
    route = link.session(vpc_endpoint=named).route("sagemaker-runtime")
    assert route.endpoint_url == f"https://{zonal if form == 'zonal' else host}"
    assert route.is_private


def test_an_arn_of_another_region_is_refused(link: LocalPrivateLink) -> None:
    """The region that an ARN names is the client's, or the error says which it is."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    named = f"arn:aws:ec2:eu-west-1:123456789012:vpc-endpoint/{standing.vpc_endpoint_id}"
    with pytest.raises(ConfigurationError, match="whose region is eu-west-1"):
        link.session(vpc_endpoint=named).route("sagemaker-runtime")


def test_an_arn_of_another_services_vpc_endpoint_leads_to_ours(link: LocalPrivateLink) -> None:
    """As a bare id does: the one of the same VPC is found."""
    other = link.vpc_endpoint("sagemaker")
    named = f"arn:aws:ec2:us-east-1:123456789012:vpc-endpoint/{other.vpc_endpoint_id}"
    route = link.session(vpc_endpoint=named).route("sagemaker-runtime")
    assert route.host == link.vpc_endpoint("sagemaker-runtime").name.host


# URLs with a path, and with secrets


@pytest.mark.parametrize("place", ["endpoint_url=", "vpc_endpoint=", "the variable", "boto3's own"])
def test_a_gateways_prefix_is_kept(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The path of a URL is the prefix that a gateway wants, wherever the URL was set."""
    url = "https://gateway.internal:8443/gateway/ml"
    if place == "the variable":
        monkeypatch.setenv("SM_PRIVATE_VPC_ENDPOINT", f"sagemaker-runtime={url}/")
    if place == "boto3's own":
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"{url}/")
    session = link.session(vpc_endpoint=url if place == "vpc_endpoint=" else None)
    with link.faults.dns("gateway.internal", "10.0.0.88"):
        route = session.route(
            "sagemaker-runtime", endpoint_url=url if place == "endpoint_url=" else None
        )
    assert route.endpoint_url == url
    assert route.host == "gateway.internal"


@pytest.mark.parametrize(
    "place", ["endpoint_url=", "vpc_endpoint=", "SM_PRIVATE_VPC_ENDPOINT", "AWS_ENDPOINT_URL"]
)
@pytest.mark.parametrize(
    "url",
    [
        "https://user:S3cret@gateway.internal",
        "https://user:S3c/ret@gateway.internal",
        "https://user:a=S3cret@gateway.internal",
        "https://gateway.internal/?X-Amz-Signature=S3cret",
        "http://user:S3cret@localhost:1",
    ],
)
def test_no_secret_of_a_url_is_repeated(
    link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
    url: str,
) -> None:
    """A password or signature in a URL is refused, and is in no message, log or representation."""
    given = {place: url}
    if place.isupper():
        monkeypatch.setenv(place, url)
    with pytest.raises(ConfigurationError) as caught:
        link.session(vpc_endpoint=given.get("vpc_endpoint=")).route(
            "sagemaker-runtime", endpoint_url=given.get("endpoint_url=")
        )
    shown = f"{caught.value}\n{caught.value!r}\n{caught.value.__dict__}\n{caplog.text}"
    assert "S3c" not in shown
    assert "ret@" not in shown
