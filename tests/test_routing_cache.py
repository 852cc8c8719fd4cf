"""What EC2 answered, on disk: kept, recalled, forgotten, and believed only as far as it narrows."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import (
    DiscoveryError,
    NoPrivateRouteError,
    PublicAddressError,
)
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.hostnames import parse_vpce_name
from sm_private_client.privatelink.records import EndpointAddress, Evidence, Route, VpcEndpoint
from sm_private_client.routing.botocore_rules import partitions
from sm_private_client.routing.cache import ROUTE_TTL, KeptAnswers, RouteCache
from sm_private_client.routing.discovery import Discovery
from sm_private_client.routing.location import Location
from sm_private_client.routing.resolver import RouteResolver
from sm_private_client.routing.search import RouteRequest, RouteSources
from sm_private_client.routing.settings import RoutingSettings
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.session import Session

PARTITIONS = partitions(botocore.session.get_session())
KEY: dict[str, Any] = {
    "service": "sagemaker",
    "region": "us-east-1",
    # As the resolver's caller has it: with tuples, which JSON turns into lists.
    "settings": RoutingSettings(
        vpc_endpoints=(("sagemaker", "vpce-0aaaaaaa"),), allowed_networks=("198.51.100.0/24",)
    ).cache_key(),
}
HOST = "vpce-0aaaaaaa-29p5708s.api.sagemaker.us-east-1.vpce.amazonaws.com"
VPC_ENDPOINT = VpcEndpoint(
    vpc_endpoint_id="vpce-0aaaaaaa",
    endpoint_service="com.amazonaws.us-east-1.sagemaker.api",
    vpc_id="vpc-0a1b2c3d",
    state="available",
    dns_names=("sagemaker.internal", HOST),
    addresses=(
        EndpointAddress(
            address="10.0.1.5",
            availability_zone="us-east-1a",
            availability_zone_id="use1-az1",
            network_interface_id="eni-0a1b2c3d",
        ),
    ),
)
ROUTE = Route(
    service_name="sagemaker",
    region="us-east-1",
    partition="aws",
    endpoint_url=f"https://{HOST}",
    source="discovery",
    vpc_endpoint=VPC_ENDPOINT,
    addresses=VPC_ENDPOINT.addresses,
    address_policy=AddressPolicy(eni_addresses=frozenset({"10.0.1.5"})),
    evidence=(Evidence(step="discovery", outcome="used", detail="EC2 shows one"),),
)
REFUSAL = NoPrivateRouteError(
    "There is no private route to sagemaker.",
    attempts=ROUTE.evidence,
    cause="nothing is there.",
    remedy=("do this.", "or that."),
)


def answers_of(*vpc_endpoints: VpcEndpoint, vpc_cidrs: tuple[str, ...] = ()) -> KeptAnswers:
    found = KeptAnswers.of(vpc_endpoints, vpc_cidrs, PARTITIONS)
    assert found is not None
    return found


ANSWERS = answers_of(VPC_ENDPOINT)


class Site:
    """A clock, and what a resolver would decide; it counts what it is asked."""

    def __init__(self, directory: Path) -> None:
        self.now = 1_000_000.0
        self.decided = 0
        self.recalled: list[KeptAnswers] = []
        self.outcome: Route | Exception = ROUTE
        self.again: Route | None = ROUTE
        self.keeps: KeptAnswers | None = ANSWERS
        self.directory = directory
        self.cache = self.another()

    def another(self) -> RouteCache:
        return RouteCache(str(self.directory), now=lambda: self.now)

    def decide(self) -> Route:
        self.decided += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def recall(self, kept: KeptAnswers) -> Route | None:
        self.recalled.append(kept)
        return self.again

    def fetch(self, key: dict[str, Any] | None = None, cache: RouteCache | None = None) -> Route:
        return (cache or self.cache).fetch(
            key or KEY, decide=self.decide, recall=self.recall, answers_of=lambda _: self.keeps
        )

    def file(self) -> Path:
        (found,) = self.directory.glob("*.json")
        return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "a" / "routes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_route_is_decided_once(site: Site) -> None:
    """A fresh process finds EC2's answers on disk, and makes the route of them."""
    assert site.fetch() == ROUTE
    assert (site.decided, site.recalled) == (1, [])
    assert site.fetch() == ROUTE
    assert site.fetch(cache=site.another()) == ROUTE
    assert site.decided == 1
    assert [k.as_json() for k in site.recalled] == [ANSWERS.as_json()] * 2


def test_what_recall_gives_is_given(site: Site) -> None:
    """The route of today is given, not the one of then."""
    site.fetch()
    site.again = replace(ROUTE, availability_zone="us-east-1b")
    assert site.fetch() is site.again


def test_answers_that_are_not_good_any_more_are_asked_for_anew(site: Site) -> None:
    """Where kept answers lead nowhere, the route is decided anew and they are replaced."""
    site.fetch()
    site.again = None
    assert site.fetch() == ROUTE
    assert site.decided == 2


def test_what_is_not_to_be_kept_is_not(site: Site) -> None:
    """A route that EC2 was not asked for leaves no file."""
    site.keeps = None
    site.fetch()
    site.fetch()
    assert site.decided == 2
    assert not list(site.directory.glob("*.json"))


@pytest.mark.parametrize(
    ("age", "decided"),
    [
        (0.0, 1),
        (ROUTE_TTL - 1, 1),
        (ROUTE_TTL, 2),
        (ROUTE_TTL + 1, 2),
        (-1.0, 2),  # written in the future: the clock was set back
    ],
)
def test_answers_are_kept_for_an_hour(site: Site, age: float, decided: int) -> None:
    """Answers are kept for an hour, by the injected clock."""
    site.fetch()
    site.now += age
    site.fetch()
    assert site.decided == decided
    assert ROUTE_TTL == 3600.0


@pytest.mark.parametrize("error", [REFUSAL, DiscoveryError("EC2 could not be asked.")])
def test_errors_are_not_kept(site: Site, error: Exception) -> None:
    """Nothing is kept of an error, "no private route" among them: its cause may be mended now."""
    site.outcome = error
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            site.fetch()
        assert caught.value is error
    assert site.decided == 2
    assert not list(site.directory.glob("*.json"))


def test_each_key_has_its_file(site: Site) -> None:
    """What a route depends on is its key: another key, another file."""
    site.fetch()
    site.fetch({**KEY, "region": "us-east-2"})
    assert site.decided == 2
    site.fetch(dict(reversed(KEY.items())))  # in any order
    assert site.decided == 2


def test_a_file_of_another_key_is_not_taken(site: Site) -> None:
    """A file must be of the very key that it is asked for, whatever it is called."""
    site.fetch()
    content = site.file().read_bytes()
    site.fetch({**KEY, "region": "us-east-2"})
    for path in site.directory.glob("*.json"):
        path.write_bytes(content)
    site.fetch({**KEY, "region": "us-east-2"})
    assert site.decided == 3


def test_a_file_of_another_format_is_not_taken(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Another version's file is passed over, without a word."""
    site.fetch()
    kept = json.loads(site.file().read_text())
    kept["format"] += "0"
    site.file().write_text(json.dumps(kept))
    site.fetch()
    assert site.decided == 2
    assert not caplog.records


def test_modes(site: Site) -> None:
    """Files are the user's alone, in a directory of the user's alone, whatever the umask."""
    old = os.umask(0)
    try:
        site.fetch()
    finally:
        os.umask(old)
    assert mode(site.directory) == 0o700
    assert {path.suffix: mode(path) for path in site.directory.iterdir()} == {
        ".json": 0o600,
        ".lock": 0o600,
    }


def test_only_what_ec2_answered_is_kept(site: Site) -> None:
    """A file has no policy, no URL, no settings and no evidence: the key is a digest."""
    site.fetch()
    kept = json.loads(site.file().read_text())
    assert set(kept) == {"format", "written", "key", "ec2"}
    assert len(bytes.fromhex(kept["key"])) == 32
    assert kept["ec2"] == {
        "vpc_endpoints": [
            {
                "host": HOST,
                "vpc_id": "vpc-0a1b2c3d",
                "addresses": [
                    {
                        "address": "10.0.1.5",
                        "availability_zone": "us-east-1a",
                        "availability_zone_id": "use1-az1",
                        "network_interface_id": "eni-0a1b2c3d",
                    }
                ],
            }
        ],
        "vpc_cidrs": [],
    }


@pytest.mark.parametrize(
    ("vpc_endpoint", "vpc_cidrs"),
    [
        (replace(VPC_ENDPOINT, addresses=(EndpointAddress(address="52.46.128.5"),)), ()),
        (replace(VPC_ENDPOINT, addresses=(EndpointAddress(address="2600:1f18::5"),)), ()),
        (VPC_ENDPOINT, ("10.0.0.0/16", "52.46.128.0/20")),
        (VPC_ENDPOINT, ("0.0.0.0/0",)),
        (replace(VPC_ENDPOINT, dns_names=("sagemaker.internal",)), ()),
    ],
)
def test_what_only_ec2_can_prove_is_not_kept(
    vpc_endpoint: VpcEndpoint, vpc_cidrs: tuple[str, ...]
) -> None:
    """Addresses outside the private ranges, public-owned CIDRs too, are asked for each time."""
    assert KeptAnswers.of((vpc_endpoint,), vpc_cidrs, PARTITIONS) is None


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.name == "sm_private_client.routing.cache" and r.levelno == logging.WARNING
    ]


def passed_over(what: str) -> list[str]:
    return [f"The route cache is passed over: {what}. Delete it, or set route_cache=False."]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"5",
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b" " * 70_000,
        b"{}",
        b'{"format": "sm_private_client route 2"}',
        b"9" * 5_000,
    ],
)
def test_a_damaged_file_is_passed_over(
    site: Site, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """A damaged file is passed over with one warning, and replaced."""
    site.fetch()
    path = site.file()
    path.write_bytes(content)
    assert site.fetch() == ROUTE
    assert site.decided == 2
    assert warnings_of(caplog) == passed_over(f"{path} is damaged")
    assert site.fetch(cache=site.another()) == ROUTE
    assert site.decided == 2


def test_a_huge_file_is_not_read(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Of a file that is longer than any of ours only its beginning is read."""
    site.fetch()
    path = site.file()
    os.truncate(path, 1 << 40)  # sparse: it takes no room on the disk, and would in memory
    assert site.fetch() == ROUTE
    assert warnings_of(caplog) == passed_over(f"{path} is damaged")


def changed(part: str, value: object) -> dict[str, Any]:
    """EC2's kept answers with one member changed; a dot leads into the only one of a list."""
    whole: dict[str, Any] = ANSWERS.as_json()
    inside = whole
    *way, last = part.split(".")
    for name in way:
        found = inside[name]
        inside = found[0] if isinstance(found, list) else found
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    return whole


MALFORMED: list[tuple[str, object]] = [
    ("vpc_endpoints", None),
    ("vpc_endpoints", {}),
    ("vpc_endpoints", [None]),
    ("vpc_endpoints", ...),
    ("address_policy", {"eni_addresses": ["52.46.128.5"]}),
    ("vpc_cidrs", "10.0.0.0/8"),
    ("vpc_cidrs", ["0.0.0.0/0"]),
    ("vpc_cidrs", ["52.0.0.0/8"]),
    ("vpc_cidrs", ["10.0.0.1/8"]),
    ("vpc_cidrs", ["::/0"]),
    ("vpc_cidrs", [8]),
    ("vpc_endpoints.host", "evil.example.com"),
    ("vpc_endpoints.host", None),
    ("vpc_endpoints.host", f"http://{HOST}"),
    ("vpc_endpoints.host", f"{HOST}/x"),
    ("vpc_endpoints.host", f"{HOST}\n"),
    ("vpc_endpoints.host", f"user@{HOST}"),
    ("vpc_endpoints.host", "\ud800"),
    ("vpc_endpoints.vpc_id", "vpc-x"),
    ("vpc_endpoints.vpc_id", 5),
    ("vpc_endpoints.more", 1),
    ("vpc_endpoints.addresses", {}),
    ("vpc_endpoints.addresses", ["10.0.0.1"]),
    ("vpc_endpoints.addresses.address", "52.46.128.5"),
    ("vpc_endpoints.addresses.address", "2600:1f18::5"),
    ("vpc_endpoints.addresses.address", "::ffff:52.46.128.5"),
    ("vpc_endpoints.addresses.address", "10.0.0.0/8"),
    ("vpc_endpoints.addresses.address", "fd00::1%eth0"),
    ("vpc_endpoints.addresses.address", 167772161),
    ("vpc_endpoints.addresses.address", None),
    ("vpc_endpoints.addresses.availability_zone", "\x1b[2J"),
    ("vpc_endpoints.addresses.availability_zone_id", 1),
    ("vpc_endpoints.addresses.network_interface_id", "eni-\ud800"),
]


@pytest.mark.parametrize(("part", "value"), MALFORMED)
def test_answers_of_another_form_are_passed_over(
    site: Site, caplog: pytest.LogCaptureFixture, part: str, value: object
) -> None:
    """Each value must have its exact form, and lie in a private range; one warning says so."""
    site.fetch()
    path = site.file()
    path.write_text(json.dumps({**json.loads(path.read_text()), "ec2": changed(part, value)}))
    assert site.fetch() == ROUTE
    assert (site.decided, site.recalled) == (2, [])
    assert warnings_of(caplog) == passed_over(f"{path} is damaged")


@pytest.mark.parametrize(
    "written", [None, "x", [], float("nan"), float("inf"), -1e308, 10**400, True]
)
def test_no_time_but_the_last_hour_is_believed(site: Site, written: object) -> None:
    """Whatever stands for the time, only the last hour is taken, and nothing is raised."""
    site.fetch()
    kept = json.loads(site.file().read_text())
    site.file().write_text(json.dumps({**kept, "written": written}))
    assert site.fetch() == ROUTE
    assert site.decided == 2


# What a file says only narrows


class Names:
    """A network that has one answer for every name, and opens nothing."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def resolve(self, host: str, *, timeout: float) -> tuple[str, ...]:
        assert host
        assert timeout > 0
        return self.addresses

    def open(self, address: str, port: int, **_: object) -> socket.socket:
        raise AssertionError(f"{address}:{port} was dialled")


def resolver_of(*addresses: str, shown: tuple[VpcEndpoint, ...] = ()) -> RouteResolver:
    discovery = Discovery(lambda: pytest.fail("EC2 was asked"), service_names=())
    if shown:
        discovery = Discovery.answered(shown, vpc_cidrs=(), vpc_id=None, subnet_ids=())
    return RouteResolver(
        RouteSources(
            network=Names(*addresses),
            partitions=PARTITIONS,
            discovery=discovery,
            locate=Location,
            ask_sagemaker=lambda *_: pytest.fail("SageMaker was asked"),
        )
    )


def request_of(service_name: str = "sagemaker", **settings: Any) -> RouteRequest:
    return RouteRequest(
        service_name=service_name,
        region="us-east-1",
        settings=RoutingSettings(**settings),
        default_url="https://api.sagemaker.us-east-1.amazonaws.com",
    )


ALLOWED = ("198.51.100.0/24",)
ADDRESSES = (
    "10.0.1.5",
    "10.200.0.1",
    "fd00::5",
    "198.51.100.7",
    "52.46.128.5",
    "2600:1f18::5",
    "127.0.0.1",
    "169.254.169.254",
    "::ffff:52.46.128.5",
    "64:ff9b::342e:8005",
)
OTHER_HOSTS = (
    "vpce-0bbbbbbb-29p5708s.api.sagemaker.us-east-1.vpce.amazonaws.com",
    "vpce-0bbbbbbb-29p5708s-us-east-1a.api.sagemaker.us-east-1.vpce.amazonaws.com",
    "vpce-0bbbbbbb-29p5708s.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
    "vpce-0bbbbbbb-29p5708s.api.sagemaker.eu-west-1.vpce.amazonaws.com",
    "vpce-0bbbbbbb-29p5708s.api.sagemaker.us-east-1.vpce.amazonaws.com.cn",
    "vpce-0bbbbbbb-29p5708s.api.sagemaker.us-east-1.vpce.amazonaws.com.evil.example",
    "vpce-0bbbbbbb.api.sagemaker.us-east-1.vpce.amazonaws.com",
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
planted_answers = json_values | st.fixed_dictionaries(
    {
        "vpc_endpoints": st.lists(
            st.fixed_dictionaries(
                {
                    "host": st.sampled_from((HOST, *OTHER_HOSTS)) | st.text(max_size=30),
                    "vpc_id": st.sampled_from(("vpc-0a1b2c3d", "vpc-1")) | json_values,
                    "addresses": st.lists(
                        st.fixed_dictionaries(
                            {
                                "address": st.sampled_from(ADDRESSES) | st.text(max_size=5),
                                "availability_zone": st.none() | st.text(max_size=3),
                                "availability_zone_id": st.none(),
                                "network_interface_id": st.none(),
                            }
                        ),
                        max_size=3,
                    ),
                }
            ),
            max_size=3,
        ),
        "vpc_cidrs": st.lists(
            st.sampled_from(("10.0.0.0/16", "52.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8")),
            max_size=2,
        ),
    }
)


@given(
    answers=planted_answers,
    named=st.sampled_from(("", "vpce-0aaaaaaa", "vpce-0bbbbbbb-29p5708s")),
    warn=st.booleans(),
    found=st.lists(st.sampled_from(ADDRESSES), max_size=2).map(tuple),
)
def test_no_file_makes_a_route_that_the_settings_would_not(
    tmp_path_factory: pytest.TempPathFactory,
    answers: object,
    named: str,
    warn: bool,
    found: tuple[str, ...],
) -> None:
    """Whatever a file says: a VPC endpoint of the service here, and private by the settings."""
    site = Site(tmp_path_factory.mktemp("planted"))
    site.cache.write(KEY, ANSWERS)
    kept = json.loads(site.file().read_text())
    site.file().write_text(json.dumps({**kept, "ec2": answers}))
    read = site.cache.read(KEY)
    request = request_of(
        vpc_endpoint=named or None,
        vpc_endpoint_from="vpc_endpoint=",
        allowed_networks=ALLOWED,
        on_public_route="warn" if warn else "refuse",
    )
    route = resolver_of(*found).recall(request, read) if read is not None else None
    if route is None:
        return
    name = parse_vpce_name(route.host, PARTITIONS)
    assert name is not None
    assert route.endpoint_url == f"https://{name.host}"
    assert (name.service.service_name, name.region) == ("sagemaker", "us-east-1")
    assert name.partition.name == "aws"
    assert route.source == ("explicit" if named else "discovery")
    if named:
        assert name.vpc_endpoint_id in named
    by_settings = AddressPolicy(allowed_networks=ALLOWED)
    policy = route.address_policy
    assert policy == replace(
        by_settings, eni_addresses=policy.eni_addresses, vpc_cidrs=policy.vpc_cidrs
    )
    assert all(policy.judge(address).private for address in found)
    for address in ADDRESSES:
        assert by_settings.judge(address).private or not policy.judge(address).private


@given(content=st.binary(max_size=400))
def test_any_bytes_are_answers_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever a file holds, reading it raises nothing."""
    site = Site(tmp_path_factory.mktemp("bytes"))
    site.cache.write(KEY, ANSWERS)
    site.file().write_bytes(content)
    assert site.another().read(KEY) is None


@given(cut=st.integers(min_value=0), flip=st.none() | st.integers(min_value=0))
def test_any_damage_gives_the_answers_or_none(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    """Wherever a file is cut, what is read is what was kept or nothing; nothing is raised."""
    site = Site(tmp_path_factory.mktemp("cut"))
    site.cache.write(KEY, ANSWERS)
    whole = site.file().read_bytes()
    if flip is None:
        site.file().write_bytes(whole[: cut % (len(whole) + 1)])
    else:
        site.file().write_bytes(whole[:flip] + b"{" + whole[flip + 1 :])
    found = site.another().read(KEY)
    assert found is None or found.as_json() == ANSWERS.as_json()


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_a_host_of_another_service_or_region_leads_nowhere(host: str) -> None:
    """Only a regional name of the service and region that are asked for is recalled."""
    kept = KeptAnswers.from_json(changed("vpc_endpoints.host", host))
    route = resolver_of("10.0.1.5").recall(request_of(), kept)
    assert (route is not None) == (host == OTHER_HOSTS[0])


@pytest.mark.parametrize(
    ("found", "recalled"),
    [
        (("10.0.1.5",), True),
        (("10.0.1.6",), False),  # not its interface
        (("10.0.1.5", "52.46.128.5"), False),
        (("52.46.128.5",), False),
        (("127.0.0.1",), False),
        ((), False),
    ],
)
@pytest.mark.parametrize("on_public_route", ["refuse", "warn"])
def test_what_dns_says_now_is_judged(
    found: tuple[str, ...],
    recalled: bool,
    on_public_route: str,
) -> None:
    """An address that is not the VPC endpoint's has the route decided anew, with 'warn' too."""
    request = request_of(on_public_route=on_public_route)
    route = resolver_of(*found).recall(request, ANSWERS)
    assert (route is not None) == recalled


RUNTIME = replace(
    VPC_ENDPOINT,
    vpc_endpoint_id="vpce-0bbbbbbb",
    endpoint_service="com.amazonaws.us-east-1.sagemaker.runtime",
    dns_names=("vpce-0bbbbbbb-29p5708s.runtime.sagemaker.us-east-1.vpce.amazonaws.com",),
)


@pytest.mark.parametrize(
    ("named", "chosen", "kept"),
    [
        (None, VPC_ENDPOINT, (VPC_ENDPOINT,)),
        ("vpce-0aaaaaaa", VPC_ENDPOINT, (VPC_ENDPOINT,)),
        ("vpce-0bbbbbbb", VPC_ENDPOINT, (VPC_ENDPOINT, RUNTIME)),  # it led to its VPC's other one
        ("vpce-0aaaaaaa", None, ()),  # EC2 could not be asked
        ("arn:aws:ec2:us-east-1:123456789012:vpc-endpoint/vpce-0aaaaaaa", None, ()),
        ("vpce-0aaaaaaa-29p5708s", None, None),
        (HOST, None, None),
        (None, None, None),
    ],
)
def test_what_is_kept_of_a_route(
    named: str | None, chosen: VpcEndpoint | None, kept: tuple[VpcEndpoint, ...] | None
) -> None:
    """The VPC endpoint of the route and the one that was named, of all that EC2 showed."""
    resolver = resolver_of(shown=(VPC_ENDPOINT, RUNTIME))
    request = request_of(vpc_endpoint=named, vpc_endpoint_from="vpc_endpoint=")
    answers = resolver.answers_of(request, replace(ROUTE, vpc_endpoint=chosen))
    assert answers == (None if kept is None else KeptAnswers.of(kept, (), PARTITIONS))


def test_the_settings_of_now_decide_what_is_allowed() -> None:
    """``allowed_networks`` is never read from a file."""
    kept = answers_of(replace(VPC_ENDPOINT, addresses=()), vpc_cidrs=("10.0.0.0/16",))
    resolver = resolver_of("198.51.100.7")
    assert resolver.recall(request_of(), kept) is None
    route = resolver.recall(request_of(allowed_networks=ALLOWED), kept)
    assert route is not None
    assert route.address_policy == AddressPolicy(
        vpc_cidrs=("10.0.0.0/16",), allowed_networks=ALLOWED
    )


# Whose it is


@pytest.mark.parametrize("bits", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_passed_over(
    site: Site, caplog: pytest.LogCaptureFixture, bits: int
) -> None:
    """A file that others can write is not believed; it is replaced by one that they cannot."""
    site.fetch()
    path = site.file()
    path.chmod(bits)
    assert site.fetch() == ROUTE
    assert site.decided == 2
    text = f"{path} can be written by others"
    assert warnings_of(caplog) == passed_over(text)
    assert mode(path) == 0o600


@pytest.mark.parametrize("bits", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_can_write_is_passed_over(
    site: Site, caplog: pytest.LogCaptureFixture, bits: int
) -> None:
    """Who can write in the directory can put any file there: nothing is read, kept or deleted."""
    site.fetch()
    before = site.file().read_bytes()
    site.directory.chmod(bits)
    assert site.fetch() == ROUTE
    site.cache.forget()
    site.directory.chmod(0o700)
    assert site.decided == 2
    assert site.recalled == []
    text = f"{site.directory} can be written by others"
    assert warnings_of(caplog) == passed_over(text)
    assert site.file().read_bytes() == before


def test_what_belongs_to_another_user_is_passed_over(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of another user is not believed."""
    site.fetch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert site.fetch() == ROUTE
    assert site.decided == 2
    text = f"{site.directory} belongs to another user"
    assert warnings_of(caplog) == passed_over(text)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_passed_over(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of another user, in a directory of ours, is not believed."""
    site.fetch()
    path = site.file()
    os.chown(path, 12345, -1)
    assert site.fetch() == ROUTE
    assert (site.decided, site.recalled) == (2, [])
    text = f"{path} belongs to another user"
    assert warnings_of(caplog) == passed_over(text)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_links_are_not_followed(
    site: Site, caplog: pytest.LogCaptureFixture, tmp_path: Path, what: str
) -> None:
    """A link is not followed, wherever it leads: not to read, and not to write."""
    site.fetch()
    linked = site.file() if what == "file" else site.directory
    moved = linked.rename(tmp_path / "moved")
    linked.symlink_to(moved)
    before = moved.read_bytes() if what == "file" else [p.read_bytes() for p in moved.iterdir()]
    assert site.fetch() == ROUTE
    assert (site.decided, site.recalled) == (2, [])
    assert warnings_of(caplog) == passed_over(f"{linked} is a link")
    after = moved.read_bytes() if what == "file" else [p.read_bytes() for p in moved.iterdir()]
    assert after == before


def test_a_planted_lock_file_is_not_followed(
    site: Site, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A link in place of the lock file makes and opens nothing; the route is decided."""
    site.fetch()
    (lock,) = site.directory.glob("*.lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "made")
    site.again = None
    assert site.fetch() == ROUTE
    assert not (tmp_path / "made").exists()
    assert warnings_of(caplog) == passed_over(f"{lock} is a link")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A pipe in place of the file, which nobody writes to, holds nobody up."""
    site.fetch()
    path = site.file()
    path.unlink()
    os.mkfifo(path, 0o600)
    assert site.fetch() == ROUTE
    assert warnings_of(caplog) == passed_over(f"{path} is no ordinary file")


def test_a_link_that_is_swapped_under_the_reader_wins_nothing(site: Site, tmp_path: Path) -> None:
    """What is read is what was checked, however fast a file and a link take each other's place."""
    site.fetch()
    path = site.file()
    planted = tmp_path / "planted.json"
    planted.write_text(path.read_text().replace("29p5708s", "evilevil"))
    planted.chmod(0o666)
    ours, link = tmp_path / "ours.json", tmp_path / "link.json"
    stop = threading.Event()

    def swap() -> None:
        content = path.read_bytes()
        while not stop.is_set():
            ours.write_bytes(content)
            ours.chmod(0o600)
            link.unlink(missing_ok=True)
            link.symlink_to(planted)
            link.replace(path)
            ours.replace(path)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        hosts = {k.vpc_endpoints[0].dns_names[0] for k in map(site.cache.read, [KEY] * 2000) if k}
    finally:
        stop.set()
        swapping.join()
    assert hosts <= {HOST}


def test_an_unwritable_directory_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing can be written, routing goes on without the cache, with one warning."""
    (tmp_path / "file").write_text("")
    site = Site(tmp_path / "file" / "routes")
    for _ in range(3):
        assert site.fetch() == ROUTE
    assert site.decided == 3
    (warning,) = warnings_of(caplog)
    assert f"{site.directory}" in warning
    assert "(Not a directory)" in warning


def test_what_is_no_file_is_passed_over(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read or replaced is passed over with one warning; nothing is left behind."""
    site.fetch()
    path = site.file()
    path.unlink()
    path.mkdir(mode=0o700)
    assert site.fetch() == ROUTE
    assert warnings_of(caplog) == passed_over(f"{path} is no ordinary file")
    assert sorted(p.suffix for p in site.directory.iterdir()) == [".json", ".lock"]


def test_an_error_keeps_its_own_context(tmp_path: Path) -> None:
    """What deciding raises is not reported as a consequence of the cache's trouble."""
    (tmp_path / "file").write_text("")
    site = Site(tmp_path / "file" / "routes")
    site.outcome = DiscoveryError("EC2 could not be asked.")
    with pytest.raises(DiscoveryError) as caught:
        site.fetch()
    assert caught.value.__context__ is None


# Forgetting


def test_forget_deletes_what_is_ours_and_nothing_else(site: Site, tmp_path: Path) -> None:
    """Only a file with a name and a format of ours is deleted, whatever else lies there."""
    site.fetch()
    site.fetch({**KEY, "region": "us-east-2"})
    ours = set(site.directory.glob("*.json"))
    assert len(ours) == 2
    others: dict[str, str] = {
        "package.json": "{}",
        "training-results.json": "{}",
        "mine.txt": "",
        f"{'0' * 32}.json": "{}",
        f"{'1' * 32}.json": '{"format": 2}',
        f"{'2' * 32}.json": "[]",
        f"{'3' * 32}.json": "{",
        f"{'4' * 33}.json": next(iter(ours)).read_text(),
    }
    for name, content in others.items():
        (site.directory / name).write_text(content)
    away = tmp_path / "away.json"
    away.write_text(next(iter(ours)).read_text())
    (site.directory / f"{'5' * 32}.json").symlink_to(away)
    site.cache.forget()
    assert not [path for path in ours if path.exists()]
    left = {p.name for p in site.directory.iterdir() if p.suffix != ".lock"}
    assert left == {*others, f"{'5' * 32}.json"}
    assert away.exists()
    site.fetch()
    assert site.decided == 3


def test_forget_where_there_is_nothing(tmp_path: Path) -> None:
    """``forget`` never raises, and makes no directory."""
    cache = RouteCache(str(tmp_path / "none"))
    cache.forget()
    assert not (tmp_path / "none").exists()


def test_making_a_cache_touches_nothing(site: Site) -> None:
    """The directory is made when the first route is kept, not before."""
    assert site.cache.read(KEY) is None
    assert not site.directory.parent.exists()


# Many processes

PROCESS = textwrap.dedent(
    """
    import json, os, sys, time
    from pathlib import Path
    from sm_private_client.routing.cache import RouteCache
    from sm_private_client.routing.cache import KeptAnswers

    directory, decisions, start, made = sys.argv[1:]
    answers = KeptAnswers.from_json(json.loads(made))

    def decide():
        Path(decisions, str(os.getpid())).touch()
        time.sleep(0.05)
        return "route"

    cache = RouteCache(directory)
    Path(start, str(os.getpid())).touch()
    while not Path(start, "go").exists():
        time.sleep(0.002)
    for _ in range(5):
        route = cache.fetch(
            {"k": [1]},
            decide=decide,
            recall=lambda kept: "route" if kept == answers else "wrong",
            answers_of=lambda _: answers,
        )
        assert route == "route"
    """
)


@pytest.mark.slow(reason="many processes")
def test_many_processes_at_once(tmp_path: Path) -> None:
    """32 processes that start together read whole files, and hardly more than one decides."""
    count = 32
    directory, decisions, start = (tmp_path / name for name in ("routes", "decisions", "start"))
    decisions.mkdir()
    start.mkdir()
    arguments = [str(directory), str(decisions), str(start), json.dumps(ANSWERS.as_json())]
    processes = [
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-W", "error", "-c", PROCESS, *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        while len(list(start.iterdir())) < count and all(p.poll() is None for p in processes):
            time.sleep(0.01)
        (start / "go").touch()
        said = [p.communicate(timeout=60)[1] for p in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=240)
    assert said == [""] * count
    assert [p.returncode for p in processes] == [0] * count
    assert 1 <= len(list(decisions.iterdir())) <= 3
    assert sorted(p.suffix for p in directory.iterdir()) == [".json", ".lock"]
    assert RouteCache(str(directory)).read({"k": [1]}) is not None


def test_a_lock_that_is_never_given_back_holds_nobody_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some seconds without its turn a process goes on by itself."""
    from sm_private_client.routing import cache  # noqa: PLC0415 - its constant is shortened

    assert cache._TURN_TIMEOUT <= 3.0  # "no route" must still be said within ten seconds
    monkeypatch.setattr(cache, "_TURN_TIMEOUT", 0.1)
    with site.cache.turn(KEY):
        assert site.fetch(cache=site.another()) == ROUTE
    assert site.decided == 1


# Attacks on a session


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.create_vpc_endpoint("ec2", private_dns=True)  # a sealed session asks it too
        running.deploy("model", lambda _, __: (b"{}", "application/json"))
        yield running


PUBLIC = "52.46.128.5"


def poison_policy(kept: dict[str, Any]) -> None:
    kept["route"] = {
        **replace(
            ROUTE,
            service_name="sagemaker-runtime",
            endpoint_url="https://evil.example.com",
            address_policy=AddressPolicy(allowed_networks=("0.0.0.0/0",), local=True),
        ).as_dict()
    }
    kept["ec2"]["address_policy"] = kept["route"]["address_policy"]


def poison_address(kept: dict[str, Any]) -> None:
    kept["ec2"]["vpc_endpoints"][0]["addresses"] = [
        {
            "address": PUBLIC,
            "availability_zone": None,
            "availability_zone_id": None,
            "network_interface_id": None,
        }
    ]


def poison_cidrs(kept: dict[str, Any]) -> None:
    kept["ec2"]["vpc_endpoints"][0]["addresses"] = []
    kept["ec2"]["vpc_cidrs"] = ["0.0.0.0/0"]


def poison_unknown(kept: dict[str, Any]) -> None:
    kept["ec2"]["vpc_endpoints"][0]["addresses"] = []


def poison_host(kept: dict[str, Any]) -> None:
    kept["ec2"]["vpc_endpoints"][0]["host"] = "evil.example.com"


@pytest.mark.parametrize("sealed", [False, True], ids=["", "sealed"])
@pytest.mark.parametrize(
    "poison", [poison_policy, poison_address, poison_cidrs, poison_unknown, poison_host]
)
def test_a_planted_file_sends_nothing_out(
    shared: LocalPrivateLink,
    tmp_path: Path,
    poison: Callable[[dict[str, Any]], None],
    sealed: bool,
) -> None:
    """A file that names a public address, host or policy sends no byte to the internet."""

    def opened() -> Session:
        how: dict[str, Any] = {"other_services": "network", "sealed": True} if sealed else {}
        return shared.session(route_cache=tmp_path, **how)

    opened().route("sagemaker-runtime")
    (path,) = tmp_path.glob("*.json")
    kept = json.loads(path.read_text())
    poison(kept)
    path.write_text(json.dumps(kept))
    host = shared.vpc_endpoint("sagemaker-runtime").name.host
    with shared.faults.dns(host, PUBLIC), shared.faults.dns("evil.example.com", PUBLIC):
        session = opened()
        with pytest.raises((PublicAddressError, NoPrivateRouteError)):
            session.predictor("model").invoke(b"payload")
        with pytest.raises((PublicAddressError, NoPrivateRouteError)):
            session.client("sagemaker-runtime").invoke_endpoint(EndpointName="model", Body=b"x")
    assert (shared.internet.connections, shared.internet.bytes_received) == (0, 0)
    path.write_text(json.dumps(kept))
    assert opened().predictor("model").invoke(b"payload").body == b"{}"
    assert opened().route("sagemaker-runtime").host == host
