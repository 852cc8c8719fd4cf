"""AddressPolicy: which addresses are private for this VPC."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError, PublicAddressError
from sm_private_client.privatelink.addresses import (
    AddressPolicy,
    AddressVerdict,
    is_in_private_range,
    is_loopback_host,
    parse_allowed_networks,
    refusal,
)

ENIS = AddressPolicy(eni_addresses=frozenset({"10.0.1.5", "52.1.2.3", "2600:1f18::5"}))
CIDRS = AddressPolicy(vpc_cidrs=("10.0.0.0/16", "203.0.113.0/24", "2600:1f18:1::/56"))
BOTH = AddressPolicy(eni_addresses=frozenset({"10.0.1.5"}), vpc_cidrs=("10.0.0.0/16",))
ALLOWED = AddressPolicy(allowed_networks=("198.51.100.0/24", "2001:db8::/32"))
ALL = AddressPolicy(
    eni_addresses=frozenset({"10.0.1.5"}),
    vpc_cidrs=("10.0.0.0/16",),
    allowed_networks=("198.51.100.0/24",),
)
OPEN = AddressPolicy()
LOCAL = AddressPolicy(local=True)
GATEWAY = AddressPolicy(
    vpc_cidrs=("10.0.0.0/16",), gateway="s3", gateway_networks=("3.5.0.0/19", "2600:1fa0::/39")
)
CREDENTIALS = AddressPolicy(credentials=True, allowed_networks=("10.0.0.0/8",))

PRIVATE = "is in a private range"
ENI = "is a network interface of the VPC endpoint"
VPC = "is inside the VPC"
S3_GATEWAY = "is in the prefix list of the VPC's s3 gateway"


def never(rule: str, article: str = "a") -> str:
    return f"is {article} {rule} address, which no VPC endpoint has"


def carries(form: str) -> str:
    return f"is a way to an IPv4 address ({form})"


def foreign(known: str) -> str:
    return f"is not the VPC endpoint's (known: {known})"


@pytest.mark.parametrize(
    ("address", "private", "rule", "why"),
    [
        # RFC 1918, first and last of each, and their neighbours
        ("10.0.0.0", True, "private-range", PRIVATE),
        ("10.255.255.255", True, "private-range", PRIVATE),
        ("9.255.255.255", False, "public", "is public"),
        ("11.0.0.0", False, "public", "is public"),
        ("172.16.0.0", True, "private-range", PRIVATE),
        ("172.31.255.255", True, "private-range", PRIVATE),
        ("172.15.255.255", False, "public", "is public"),
        ("172.32.0.0", False, "public", "is public"),
        ("192.168.0.0", True, "private-range", PRIVATE),
        ("192.168.255.255", True, "private-range", PRIVATE),
        ("192.167.255.255", False, "public", "is public"),
        ("192.169.0.0", False, "public", "is public"),
        # RFC 6598
        ("100.64.0.0", True, "private-range", PRIVATE),
        ("100.127.255.255", True, "private-range", PRIVATE),
        ("100.63.255.255", False, "public", "is public"),
        ("100.128.0.0", False, "public", "is public"),
        # RFC 4193
        ("fc00::", True, "private-range", PRIVATE),
        ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", True, "private-range", PRIVATE),
        ("fd00::1%eth0", True, "private-range", PRIVATE),
        ("fbff::1", False, "public", "is public"),
        ("fe00::1", False, "public", "is public"),
        # public, and what else is not private
        ("52.94.1.1", False, "public", "is public"),
        ("2600:1f18::1", False, "public", "is public"),
        ("192.0.2.1", False, "public", "is public"),  # documentation
        ("198.18.0.1", False, "public", "is public"),  # benchmarks
        ("240.0.0.1", False, "public", "is public"),  # reserved
        ("255.255.255.255", False, "public", "is public"),
        ("0.0.0.1", False, "public", "is public"),
        ("2001:db8::1", False, "public", "is public"),
        ("fec0::1", False, "public", "is public"),  # site-local, given up in RFC 3879
        # addresses that carry another: only the IPv4-mapped form is judged as what it carries
        ("::ffff:10.0.0.1", True, "private-range", PRIVATE),
        ("::ffff:100.64.0.1", True, "private-range", PRIVATE),
        ("::ffff:52.94.1.1", False, "public", "is public"),
        ("::ffff:0.0.0.0", False, "unspecified", never("unspecified", "an")),
        ("::ffff:127.0.0.1", False, "loopback", never("loopback")),
        ("::ffff:169.254.169.254", False, "link-local", never("link-local")),
        ("::ffff:224.0.0.1", False, "multicast", never("multicast")),
        ("64:ff9b::10.0.0.1", False, "embedded-ipv4", carries("NAT64")),  # NAT64
        ("64:ff9b:1::10.0.0.1", False, "embedded-ipv4", carries("NAT64")),
        ("2002:a00:1::", False, "embedded-ipv4", carries("6to4")),  # 6to4 of 10.0.0.1
        ("2001:0:a00:1::", False, "embedded-ipv4", carries("Teredo")),  # Teredo
        ("::ffff:0:10.0.0.1", False, "embedded-ipv4", carries("IPv4-translated")),
        ("2001:1::1", False, "public", "is public"),  # beside Teredo
        ("2003::1", False, "public", "is public"),  # beside 6to4
        ("64:ff9c::10.0.0.1", False, "public", "is public"),  # beside NAT64
        ("::10.0.0.1", False, "embedded-ipv4", carries("IPv4-compatible")),  # IPv4-compatible
        # never
        ("127.0.0.1", False, "loopback", never("loopback")),
        ("127.255.255.255", False, "loopback", never("loopback")),
        ("::1", False, "loopback", never("loopback")),
        ("169.254.169.254", False, "link-local", never("link-local")),
        ("fe80::1", False, "link-local", never("link-local")),
        ("fe80::1%eth0", False, "link-local", never("link-local")),
        ("224.0.0.1", False, "multicast", never("multicast")),
        ("ff02::1", False, "multicast", never("multicast")),
        ("0.0.0.0", False, "unspecified", never("unspecified", "an")),  # noqa: S104 - no binding
        ("::", False, "unspecified", never("unspecified", "an")),
    ],
)
def test_where_nothing_is_known(address: str, private: bool, rule: str, why: str) -> None:
    """Without knowledge of the VPC, RFC 1918, RFC 6598 and RFC 4193 are private, nothing else."""
    expected = AddressVerdict(address=address, private=private, rule=rule, why=why)
    assert OPEN.judge(address) == expected


@pytest.mark.parametrize(
    ("policy", "address", "private", "rule", "why"),
    [
        # the VPC endpoint's own addresses are known: only these
        (ENIS, "10.0.1.5", True, "eni", ENI),
        (ENIS, "52.1.2.3", True, "eni", ENI),  # a VPC may have public-owned addresses
        (ENIS, "2600:1f18::5", True, "eni", ENI),
        (ENIS, "2600:1f18:0:0:0:0:0:5", True, "eni", ENI),
        (ENIS, "::ffff:10.0.1.5", True, "eni", ENI),
        (ENIS, "10.0.1.6", False, "foreign", foreign("10.0.1.5, 2600:1f18::5, 52.1.2.3")),
        (ENIS, "192.168.1.1", False, "foreign", foreign("10.0.1.5, 2600:1f18::5, 52.1.2.3")),
        (ENIS, "52.1.2.4", False, "foreign", foreign("10.0.1.5, 2600:1f18::5, 52.1.2.3")),
        # its VPC's CIDRs are known: only these
        (CIDRS, "10.0.255.255", True, "vpc-cidr", VPC),
        (CIDRS, "203.0.113.9", True, "vpc-cidr", VPC),
        (CIDRS, "2600:1f18:1::9", True, "vpc-cidr", VPC),
        (CIDRS, "::ffff:10.0.0.9", True, "vpc-cidr", VPC),
        (
            CIDRS,
            "10.1.0.0",
            False,
            "foreign",
            foreign("10.0.0.0/16, 203.0.113.0/24, 2600:1f18:1::/56"),
        ),
        (
            CIDRS,
            "::ffff:52.1.2.3",
            False,
            "foreign",
            foreign("10.0.0.0/16, 203.0.113.0/24, 2600:1f18:1::/56"),
        ),
        # both: a network interface or inside the VPC
        (BOTH, "10.0.1.5", True, "eni", ENI),
        (BOTH, "10.0.9.9", True, "vpc-cidr", VPC),
        (BOTH, "10.1.0.1", False, "foreign", foreign("10.0.1.5")),
        # allowed_networks come on top
        (ALLOWED, "198.51.100.7", True, "allowed-network", "is in allowed_networks"),
        (ALLOWED, "::ffff:198.51.100.7", True, "allowed-network", "is in allowed_networks"),
        (ALLOWED, "2001:db8::7", True, "allowed-network", "is in allowed_networks"),
        (ALLOWED, "10.0.0.1", True, "private-range", PRIVATE),
        (ALLOWED, "198.51.101.7", False, "public", "is public"),
        (ALL, "198.51.100.7", True, "allowed-network", "is in allowed_networks"),
        (ALL, "10.0.1.5", True, "eni", ENI),
        (ALL, "192.168.0.1", False, "foreign", foreign("10.0.1.5")),
        # a stand-in on this machine: only loopback
        (LOCAL, "127.0.0.1", True, "local", "is on this machine, as the URL says"),
        (LOCAL, "127.9.9.9", True, "local", "is on this machine, as the URL says"),
        (LOCAL, "::1", True, "local", "is on this machine, as the URL says"),
        (LOCAL, "::ffff:127.0.0.1", True, "local", "is on this machine, as the URL says"),
        *[
            (
                LOCAL,
                address,
                False,
                "not-local",
                "is not on this machine though the URL names it",
            )
            for address in ("10.0.0.1", "52.1.2.3", "169.254.169.254", "::", "fd00::1")
        ],
        # a gateway VPC endpoint: the networks of its prefix list too
        (GATEWAY, "3.5.31.255", True, "s3-gateway", S3_GATEWAY),
        (GATEWAY, "2600:1fa0::1", True, "s3-gateway", S3_GATEWAY),
        (GATEWAY, "10.0.0.9", True, "vpc-cidr", VPC),
        (GATEWAY, "3.5.32.0", False, "foreign", foreign("10.0.0.0/16")),
        # a source of credentials: only the addresses that platforms have them at
        *[
            (
                CREDENTIALS,
                address,
                True,
                "link-local credentials",
                "is where the platform gives credentials",
            )
            for address in (
                "169.254.169.254",
                "169.254.170.2",
                "169.254.170.23",
                "fd00:ec2::254",
                "fd00:ec2::23",
                "FD00:EC2:0::23",
            )
        ],
        *[
            (
                CREDENTIALS,
                address,
                False,
                "foreign",
                "is not where the platform gives credentials",
            )
            for address in ("169.254.169.253", "10.0.0.1", "127.0.0.1", "52.1.2.3", "fd00::1")
        ],
    ],
)
def test_what_is_known_decides(
    policy: AddressPolicy, address: str, private: bool, rule: str, why: str
) -> None:
    """ENI addresses and CIDRs, where known, are the only private ones, but for allowed_networks."""
    expected = AddressVerdict(address=address, private=private, rule=rule, why=why)
    assert policy.judge(address) == expected


@pytest.mark.parametrize("address", ["169.254.1.1", "127.0.0.1", "224.0.0.1", "::1", "fe80::1"])
def test_what_no_vpc_endpoint_has_is_never_private(address: str) -> None:
    """Loopback, link-local and multicast are refused even where ENIs and networks would match."""
    whole = tuple(str(n) for n in (ipaddress.ip_network(address),))
    policy = AddressPolicy(
        eni_addresses=frozenset({address}), vpc_cidrs=whole, allowed_networks=whole
    )
    assert not policy.judge(address).private


@pytest.mark.parametrize("text", ["", "example.com", "10.0.0", "10.0.0.1.2", "[::1]", "10.0.0.1 "])
def test_what_is_no_address(text: str) -> None:
    """A text that is not an address is an error, not a verdict."""
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        OPEN.judge(text)


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
networks = st.builds(
    lambda address, bits: ipaddress.ip_network(
        (address, 32 - bits if address.version == 4 else 128 - bits), strict=False
    ),
    addresses,
    st.integers(min_value=0, max_value=16),
)


CARRYING = (
    ("64:ff9b::/96", "64:ff9b::342e:8005"),
    ("64:ff9b:1::/48", "64:ff9b:1:8000::342e:8005"),
    ("2002::/16", "2002:342e:8005::1"),
    ("2001::/32", "2001:0:342e:8005::1"),
    ("::/96", "::342e:8005"),
    ("::ffff:0:0:0/96", "::ffff:0:342e:8005"),
)


@pytest.mark.parametrize(("network", "address"), CARRYING)
def test_what_carries_ipv4_is_private_by_no_rule(network: str, address: str) -> None:
    """A way to an IPv4 address is not private, though a network or an interface covers it."""
    for policy in (
        AddressPolicy(allowed_networks=(network,)),
        AddressPolicy(vpc_cidrs=(network,)),
        AddressPolicy(eni_addresses=frozenset({address})),
        AddressPolicy(gateway="s3", gateway_networks=(network,)),
    ):
        assert policy.judge(address).rule == "embedded-ipv4"
        assert not policy.judge(address).private


@given(
    addresses,
    st.frozensets(addresses, max_size=3),
    st.lists(networks, max_size=2),
    st.lists(networks, max_size=2),
    st.booleans(),
)
@example(ipaddress.ip_address("::ffff:8.8.8.8"), frozenset(), [], [], False)
@example(ipaddress.ip_address("64:ff9b::808:808"), frozenset(), [], [], False)
def test_no_public_address_is_ever_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    enis: frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address],
    cidrs: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    allowed: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    is_local: bool,
) -> None:
    """A globally routable address is private only as an ENI's, in a VPC CIDR, or allowed."""
    carried = getattr(address, "ipv4_mapped", None) or address
    assume(carried.is_global)
    named = carried in enis or any(carried in network for network in (*cidrs, *allowed))
    policy = AddressPolicy(
        eni_addresses=frozenset(map(str, enis)),
        vpc_cidrs=tuple(map(str, cidrs)),
        allowed_networks=tuple(map(str, allowed)),
        local=is_local,
    )
    verdict = policy.judge(str(address))
    assert not verdict.private or (named and not is_local)


@given(addresses, st.booleans())
def test_an_eni_address_is_known_in_any_spelling(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, upper: bool
) -> None:
    """However EC2 and DNS spell it, an ENI's address is recognized."""
    mapped = getattr(address, "ipv4_mapped", None)
    assume(not (mapped or address.is_loopback or address.is_link_local))
    assume(not (address.is_multicast or address.is_unspecified))
    assume(AddressPolicy().judge(str(address)).rule != "embedded-ipv4")
    spelled = address.exploded.upper() if upper else address.exploded
    assert AddressPolicy(eni_addresses=frozenset({spelled})).judge(str(address)).rule == "eni"
    assert AddressPolicy(eni_addresses=frozenset({str(address)})).judge(spelled).rule == "eni"


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_one_it_carries(address: ipaddress.IPv4Address) -> None:
    """An IPv4-mapped IPv6 address gets the verdict of its IPv4 address."""
    for policy in (OPEN, LOCAL, ENIS, CIDRS, ALLOWED):
        mapped, plain = policy.judge(f"::ffff:{address}"), policy.judge(str(address))
        assert (mapped.private, mapped.rule, mapped.why) == (plain.private, plain.rule, plain.why)


@pytest.mark.parametrize(
    ("given_networks", "accepted"),
    [
        ([], ()),
        (["198.51.100.0/24"], ("198.51.100.0/24",)),
        (["198.51.100.7"], ("198.51.100.7/32",)),
        (["2001:DB8::/32"], ("2001:db8::/32",)),
        ([ipaddress.ip_network("52.0.0.0/8")], ("52.0.0.0/8",)),
        (["2600::/16"], ("2600::/16",)),
        (("10.0.0.0/8", "fd00::/16"), ("10.0.0.0/8", "fd00::/16")),
        (["198.51.100.0/255.255.255.0"], ("198.51.100.0/24",)),
        # what public-owned VPCs have, and private ranges, which do not count
        (
            ["19.16.0.0/12", "19.32.0.0/12", "52.95.0.0/16", "10.0.0.0/8", "172.0.0.0/12"],
            ("19.16.0.0/12", "19.32.0.0/12", "52.95.0.0/16", "10.0.0.0/8", "172.0.0.0/12"),
        ),
        (["19.0.0.0/8", "19.1.0.0/16"], ("19.0.0.0/8", "19.1.0.0/16")),  # counted once
        (["172.0.0.0/8", "3.0.0.0/12"], ("172.0.0.0/8", "3.0.0.0/12")),  # 172.16/12 is private
        (["2600::/16", "fd00::/16", "19.0.0.0/8"], ("2600::/16", "fd00::/16", "19.0.0.0/8")),
    ],
)
def test_allowed_networks(
    given_networks: list[str | ipaddress.IPv4Network], accepted: tuple[str, ...]
) -> None:
    """allowed_networks come back in canonical form."""
    assert parse_allowed_networks(given_networks) == accepted


WIDE = (
    "allowed_networks has {network}, wider than /{widest}.\n"
    "Cause: a network this wide would let public addresses through.\n"
    "Remedy: name the networks your VPC endpoints are in.\n"
    "See docs/errors.md#configuration"
)
NEVER = (
    "allowed_networks has {network}, in which no VPC endpoint can be.\n"
    "Cause: loopback, link-local and multicast addresses are never private routes.\n"
    "Remedy: take it out; a stand-in on this machine is named by its URL instead.\n"
    "See docs/errors.md#configuration"
)
NO_NETWORK = (
    "allowed_networks has {network!r}, which is not a network.\n"
    "Cause: {cause}.\n"
    "Remedy: give networks in CIDR form, such as allowed_networks=['198.51.100.0/24'].\n"
    "See docs/errors.md#configuration"
)


@pytest.mark.parametrize(
    ("networks", "named"),
    [
        (["52.0.0.0/8", "54.0.0.0/8", "3.0.0.0/8"], "52.0.0.0/8, 54.0.0.0/8, 3.0.0.0/8"),
        ([f"{n}.0.0.0/8" for n in range(1, 224) if n != 127], "1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, …"),
        (["52.0.0.0/8", "54.0.0.1"], "52.0.0.0/8, 54.0.0.1/32"),
        (["10.0.0.0/8", "52.0.0.0/9", "54.0.0.0/8"], "52.0.0.0/9, 54.0.0.0/8"),
        (
            [f"52.{n}.0.0/16" for n in range(256)] + ["3.0.0.0/24"],
            "52.0.0.0/16, 52.1.0.0/16, 52.2.0.0/16, …",
        ),
        (["2600::/16", "2a05:d000::/25"], "2600::/16, 2a05:d000::/25"),
    ],
)
def test_networks_are_too_many_together(networks: list[str], named: str) -> None:
    """However it is cut, no more than one /8 (IPv6: /16) of public addresses can be allowed."""
    widest = 16 if ":" in named else 8
    with pytest.raises(ConfigurationError) as caught:
        parse_allowed_networks(networks)
    assert str(caught.value).splitlines()[:3] == [
        f"allowed_networks has more public addresses than a /{widest}: {named}.",
        "Cause: no organization has that many; networks of others would be let through.",
        "Remedy: name the networks your VPC endpoints are in.",
    ]


@pytest.mark.parametrize(
    "network",
    [
        *(network for network, _ in CARRYING),
        "::ffff:0:0/96",
        "::ffff:52.0.0.0/104",
        "64:ff9b::342e:0/112",
        "2001::/16",
        "2002:342e::/32",
    ],
)
def test_networks_that_carry_ipv4_cannot_be_allowed(network: str) -> None:
    """A network of NAT64, 6to4, Teredo or their kind would allow any IPv4 address."""
    with pytest.raises(ConfigurationError, match="whose addresses carry IPv4 ones"):
        parse_allowed_networks([network])


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("10.0.0.0/8", True),
        ("10.1.2.3", True),
        ("172.16.0.0/12", True),
        ("172.0.0.0/8", False),
        ("192.168.255.0/24", True),
        ("100.0.0.0/8", False),
        ("fd00::/8", True),
        ("fc00::/6", False),
        ("52.46.128.5", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0/0", False),
    ],
)
def test_is_in_private_range(text: str, is_private: bool) -> None:
    """Wholly in RFC 1918, RFC 6598 or RFC 4193, or not."""
    assert is_in_private_range(text) is is_private


@pytest.mark.parametrize("text", ["", "fd00::1%eth0", "10.0.0.1/8", "localhost"])
def test_what_is_no_network_is_in_no_range(text: str) -> None:
    """What is neither an address nor a network is an error."""
    with pytest.raises(ValueError, match=r"."):
        is_in_private_range(text)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("0.0.0.0/0", WIDE.format(network="0.0.0.0/0", widest=8)),
        ("::/0", WIDE.format(network="::/0", widest=16)),
        ("10.0.0.0/7", WIDE.format(network="10.0.0.0/7", widest=8)),
        ("fd00::/15", WIDE.format(network="fd00::/15", widest=16)),
        ("0.0.0.0/1", WIDE.format(network="0.0.0.0/1", widest=8)),
        ("127.0.0.0/8", NEVER.format(network="127.0.0.0/8")),
        ("127.0.0.1", NEVER.format(network="127.0.0.1/32")),
        ("::1", NEVER.format(network="::1/128")),
        ("169.254.0.0/16", NEVER.format(network="169.254.0.0/16")),
        ("169.254.169.254", NEVER.format(network="169.254.169.254/32")),
        ("fe80::/16", NEVER.format(network="fe80::/16")),
        ("224.0.0.0/8", NEVER.format(network="224.0.0.0/8")),
        ("ff00::/16", NEVER.format(network="ff00::/16")),
        (
            "198.51.100.1/24",
            NO_NETWORK.format(network="198.51.100.1/24", cause="198.51.100.1/24 has host bits set"),
        ),
        (
            "all",
            NO_NETWORK.format(
                network="all", cause="'all' does not appear to be an IPv4 or IPv6 network"
            ),
        ),
        (
            "",
            NO_NETWORK.format(network="", cause="'' does not appear to be an IPv4 or IPv6 network"),
        ),
        (
            10,  # would count as 0.0.0.10
            NO_NETWORK.format(
                network="10", cause="'10' does not appear to be an IPv4 or IPv6 network"
            ),
        ),
    ],
)
def test_networks_that_cannot_be_allowed(network: str, text: str) -> None:
    """What is no network, too wide, or never private, is refused, also beside good ones."""
    with pytest.raises(ConfigurationError, match=rf"\A{re.escape(text)}\Z"):
        parse_allowed_networks(["198.51.100.0/24", network])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "stand-in.localhost",
        "127.0.0.1",
        "127.255.0.9",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
    ],
)
def test_hosts_that_name_this_machine(host: str) -> None:
    """localhost, names under it, 127/8 and ::1 name this machine."""
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "localhost.evil.com",
        "notlocalhost",
        "localhost..",
        "127.0.0.1.evil.com",
        "127.1",
        "0.0.0.0",  # noqa: S104 - no binding
        "::",
        "10.0.0.1",
        "sagemaker.us-east-1.amazonaws.com",
        "::ffff:10.0.0.1",
    ],
)
def test_hosts_that_do_not(host: str) -> None:
    """Nothing else does, least of all a name that only begins so."""
    assert not is_loopback_host(host)


def test_refusal() -> None:
    """The refusal says what resolved to what, by which rule, and the remedies."""
    error = refusal("api.example.com", OPEN.judge("52.1.2.3"))
    assert isinstance(error, PublicAddressError)
    assert (error.host, error.address) == ("api.example.com", "52.1.2.3")
    assert str(error) == (
        "api.example.com resolves to 52.1.2.3, which is public; nothing was sent.\n"
        "Possible causes: this network's DNS does not resolve the name to the VPC endpoint; "
        "private DNS is off on the VPC endpoint; "
        "the VPC endpoint is in a network that is not known to be yours.\n"
        "Remedies, in order:\n"
        "  1. pass vpc_endpoint= with the id or the DNS name of your VPC endpoint.\n"
        "  2. turn private DNS on for the VPC endpoint, and enableDnsSupport and "
        "enableDnsHostnames for the VPC.\n"
        "  3. if the address is your network's own, pass allowed_networks=['<its CIDR>'].\n"
        "See docs/errors.md#public-address"
    )


@pytest.mark.parametrize(
    ("host", "address", "what"),
    [
        ("52.1.2.3", "52.1.2.3", "52.1.2.3 is public"),
        ("[2600:1f18::1]", "2600:1f18::1", "[2600:1f18::1] is public"),
        ("2600:1f18::1", "2600:1f18::1", "2600:1f18::1 is public"),
        ("52.1.2.4", "52.1.2.3", "52.1.2.4 resolves to 52.1.2.3, which is public"),
    ],
)
def test_refusal_of_a_host_that_is_an_address(host: str, address: str, what: str) -> None:
    """A host that is the address itself does not resolve to it."""
    assert refusal(host, OPEN.judge(address)).what == f"{what}; nothing was sent."


@pytest.mark.parametrize(("policy", "is_named"), [(BOTH, True), (OPEN, False)])
def test_refusal_where_the_vpc_endpoint_may_be_another(
    policy: AddressPolicy, is_named: bool
) -> None:
    """If the VPC endpoint's addresses are known, new ones may be what is missing."""
    remedies = refusal("api.example.com", policy.judge("52.1.2.3")).remedies
    assert ("forget_routes()" in remedies[-1]) is is_named


@pytest.mark.parametrize(
    ("made", "names"),
    [(OPEN, AddressPolicy.__slots__), (OPEN.judge("10.0.0.1"), AddressVerdict._fields)],
    ids=["AddressPolicy", "AddressVerdict"],
)
def test_records_are_frozen_and_read_well(
    made: AddressPolicy | AddressVerdict, names: tuple[str, ...]
) -> None:
    """Policies and verdicts do not change, and their repr shows their state."""
    with pytest.raises(AttributeError):
        setattr(made, names[0], "")
    for name in names:
        assert f"{name}={getattr(made, name)!r}" in repr(made)
