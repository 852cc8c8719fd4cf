"""The judgement on addresses: private *for this VPC* or not, and by which rule."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from sm_private_client.errors import ConfigurationError, PublicAddressError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CREDENTIAL_ADDRESSES",
    "AddressPolicy",
    "AddressVerdict",
    "Network",
    "is_in_private_range",
    "is_loopback_host",
    "parse_allowed_networks",
    "refusal",
]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_NETWORKS: Final[tuple[Network, ...]] = (
    ipaddress.ip_network("10.0.0.0/8"),  # RFC 1918
    ipaddress.ip_network("172.16.0.0/12"),  # RFC 1918
    ipaddress.ip_network("192.168.0.0/16"),  # RFC 1918
    ipaddress.ip_network("100.64.0.0/10"),  # RFC 6598, allowed for VPCs
    ipaddress.ip_network("fc00::/7"),  # RFC 4193
)

_WIDEST_PREFIX: Final = {4: 8, 6: 16}
"""No organisation routes more than this privately; a wider network would switch the guard off, and
so would several that have more public addresses together."""

_CARRYING_IPV4: Final[tuple[tuple[Network, str], ...]] = (
    (ipaddress.ip_network("64:ff9b::/96"), "NAT64"),  # RFC 6052
    (ipaddress.ip_network("64:ff9b:1::/48"), "NAT64"),  # RFC 8215
    (ipaddress.ip_network("2002::/16"), "6to4"),  # RFC 3056
    (ipaddress.ip_network("2001::/32"), "Teredo"),  # RFC 4380
    (ipaddress.ip_network("::ffff:0:0/96"), "IPv4-mapped"),  # RFC 4291
    (ipaddress.ip_network("::ffff:0:0:0/96"), "IPv4-translated"),  # RFC 2765
    (ipaddress.ip_network("::/96"), "IPv4-compatible"),  # RFC 4291
)
"""IPv6 ranges whose addresses are a way to an IPv4 address, which may be any of the internet's."""

CREDENTIAL_ADDRESSES: Final = frozenset(
    {
        "169.254.169.254",  # EC2 instance metadata
        "fd00:ec2::254",
        "169.254.170.2",  # ECS task credentials and metadata
        "169.254.170.23",  # EKS Pod Identity
        "fd00:ec2::23",
    }
)
"""Where a platform has credentials and the location of a process. Sources: EC2 user guide,
"Access instance metadata"; ECS developer guide, "Task IAM role"; EKS user guide, "Pod Identity"."""


class AddressVerdict(NamedTuple):
    """The judgement on one address.

    Attributes:
        address: The address as it was given.
        private: Whether a connection to it may be made.
        rule: A short name of the rule that decided: ``eni``, ``vpc-cidr``, ``allowed-network``,
            ``private-range``, ``s3-gateway``, ``link-local credentials``, ``local``, or a reason to
            refuse such as ``public``.
        why: The rule as a clause, to stand after the address.
    """

    address: str
    private: bool
    rule: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressPolicy:
    """The rules that judge addresses for one route.

    If the VPC endpoint's own addresses or its VPC's CIDRs are known, only these are private (and
    ``allowed_networks``). If neither is known, RFC 1918, RFC 6598 and RFC 4193 ranges are.
    Loopback, link-local, multicast and unspecified addresses never are. An IPv4-mapped IPv6
    address is judged as the IPv4 address it carries; the other forms that carry one (NAT64, 6to4,
    Teredo, IPv4-compatible, IPv4-translated) never are private, whatever network they are in.

    Attributes:
        eni_addresses: The addresses of the VPC endpoint's network interfaces.
        vpc_cidrs: The CIDRs of its VPC.
        allowed_networks: More networks that the user allows.
        local: The URL itself names a loopback host (a stand-in on this machine): only loopback
            addresses are reached, and the route is local, not private.
        gateway: boto3's name of the service (``s3``) whose gateway VPC endpoint carries the calls;
            empty if none does.
        gateway_networks: The CIDRs of that gateway's prefix list. They are public addresses, to
            which the VPC's route tables know a way that does not leave AWS's network.
        credentials: The route leads to a source of credentials on link-local addresses: only
            ``CREDENTIAL_ADDRESSES`` are reached.
    """

    eni_addresses: frozenset[str] = frozenset()
    vpc_cidrs: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    local: bool = False
    gateway: str = ""
    gateway_networks: tuple[str, ...] = ()
    credentials: bool = False

    def judge(self, address: str) -> AddressVerdict:
        """Return the judgement on one address.

        Args:
            address: An IPv4 or IPv6 address as text; an IPv6 zone (``%eth0``) is passed over.

        Raises:
            ValueError: The text is not an address.
        """
        ip = _unmapped(ipaddress.ip_address(address.partition("%")[0]))
        private, rule, why = _gives_credentials(ip) if self.credentials else self._decide(ip)
        return AddressVerdict(address=address, private=private, rule=rule, why=why)

    def _decide(self, ip: IPAddress) -> tuple[bool, str, str]:
        if self.local:
            if ip.is_loopback:
                return True, "local", "is on this machine, as the URL says"
            return False, "not-local", "is not on this machine though the URL names it"
        for rule, excluded in (
            ("loopback", ip.is_loopback),
            ("link-local", ip.is_link_local),
            ("multicast", ip.is_multicast),
            ("unspecified", ip.is_unspecified),
        ):
            if excluded:
                article = "an" if rule == "unspecified" else "a"
                return False, rule, f"is {article} {rule} address, which no VPC endpoint has"
        form = _form_of_ipv4(ip)
        if form is not None:
            return False, "embedded-ipv4", f"is a way to an IPv4 address ({form})"
        if _is_in(ip, self.allowed_networks):
            return True, "allowed-network", "is in allowed_networks"
        if _is_in(ip, self.gateway_networks):
            why = f"is in the prefix list of the VPC's {self.gateway} gateway"
            return True, f"{self.gateway}-gateway", why
        if self.eni_addresses or self.vpc_cidrs:
            if any(ip == ipaddress.ip_address(known) for known in self.eni_addresses):
                return True, "eni", "is a network interface of the VPC endpoint"
            if _is_in(ip, self.vpc_cidrs):
                return True, "vpc-cidr", "is inside the VPC"
            known = ", ".join(sorted(self.eni_addresses) or self.vpc_cidrs)
            return False, "foreign", f"is not the VPC endpoint's (known: {known})"
        if any(ip in network for network in PRIVATE_NETWORKS):
            return True, "private-range", "is in a private range"
        return False, "public", "is public"


def is_in_private_range(text: str) -> bool:
    """Return True if an address or a network, as text, is wholly in a range that nobody routes.

    Raises:
        ValueError: The text is neither, or names an IPv6 zone.
    """
    if "%" in text:
        raise ValueError("an IPv6 zone is no part of an address")
    network = ipaddress.ip_network(text)
    return any(
        network.version == private.version and network.subnet_of(private)  # type: ignore[arg-type]
        for private in PRIVATE_NETWORKS
    )


def _gives_credentials(ip: IPAddress) -> tuple[bool, str, str]:
    if str(ip) in CREDENTIAL_ADDRESSES:
        return True, "link-local credentials", "is where the platform gives credentials"
    return False, "foreign", "is not where the platform gives credentials"


def _form_of_ipv4(ip: IPAddress) -> str | None:
    return next((form for network, form in _CARRYING_IPV4 if ip in network), None)


def _is_in(ip: IPAddress, networks: tuple[str, ...]) -> bool:
    return any(ip in ipaddress.ip_network(network) for network in networks)


def _unmapped(ip: IPAddress) -> IPAddress:
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def refusal(host: str, verdict: AddressVerdict) -> PublicAddressError:
    """Return the error for an address that was judged not private."""
    literal = host.strip("[]") == verdict.address
    reached = host if literal else f"{host} resolves to {verdict.address}, which"
    replaced = (
        "if the VPC endpoint or its network interfaces were replaced, call session.forget_routes() "
        "and make the client anew."
    )
    return PublicAddressError(
        f"{reached} {verdict.why}; nothing was sent.",
        host=host,
        address=verdict.address,
        possible_causes=(
            "this network's DNS does not resolve the name to the VPC endpoint",
            "private DNS is off on the VPC endpoint",
            "the VPC endpoint is in a network that is not known to be yours",
        ),
        remedy=(
            "pass vpc_endpoint= with the id or the DNS name of your VPC endpoint.",
            "turn private DNS on for the VPC endpoint, and enableDnsSupport and "
            "enableDnsHostnames for the VPC.",
            "if the address is your network's own, pass allowed_networks=['<its CIDR>'].",
            *((replaced,) if verdict.rule == "foreign" else ()),
        ),
    )


def is_loopback_host(host: str) -> bool:
    """Return True if a host *names* this machine: localhost, 127/8, ::1 (RFC 6761, RFC 5735)."""
    name = host.lower().removesuffix(".").strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return _unmapped(ipaddress.ip_address(name)).is_loopback
    except ValueError:
        return False


def parse_allowed_networks(networks: Iterable[str | Network]) -> tuple[str, ...]:
    """Check ``allowed_networks`` and return it in canonical form.

    Each may be as wide as /8 (IPv4) or /16 (IPv6), and all of them together may hold that many
    public addresses; private ranges do not count. So the public CIDRs that an organization owns
    fit, and a set that spans the ranges of a cloud or of the internet does not, however it is cut.

    Raises:
        ConfigurationError: One is not a network, is too wide, is one that no VPC endpoint can be
            in (loopback, link-local, multicast), or carries IPv4 addresses (NAT64, 6to4, Teredo
            and their kind); or they have too many public addresses together.
    """
    accepted: list[Network] = []
    for given in networks:
        try:
            network = ipaddress.ip_network(str(given))  # a bare number would count as an address
        except ValueError as error:
            raise ConfigurationError(
                f"allowed_networks has {str(given)!r}, which is not a network.",
                cause=f"{error}.",
                remedy="give networks in CIDR form, such as allowed_networks=['198.51.100.0/24'].",
            ) from None
        widest = _WIDEST_PREFIX[network.version]
        if network.prefixlen < widest:
            raise ConfigurationError(
                f"allowed_networks has {network}, wider than /{widest}.",
                cause="a network this wide would let public addresses through.",
                remedy="name the networks your VPC endpoints are in.",
            )
        if network.is_loopback or network.is_link_local or network.is_multicast:
            raise ConfigurationError(
                f"allowed_networks has {network}, in which no VPC endpoint can be.",
                cause="loopback, link-local and multicast addresses are never private routes.",
                remedy="take it out; a stand-in on this machine is named by its URL instead.",
            )
        for carrying, form in _CARRYING_IPV4:
            if network.version == carrying.version and network.overlaps(carrying):
                raise ConfigurationError(
                    f"allowed_networks has {network}, whose addresses carry IPv4 ones ({form}).",
                    cause="a translator or a tunnel leads from them to any IPv4 address.",
                    remedy="name the IPv4 network itself, such as '198.51.100.0/24'.",
                )
        accepted.append(network)
    for version, widest in _WIDEST_PREFIX.items():
        _check_public_space([n for n in accepted if n.version == version], widest)
    return tuple(map(str, accepted))


def _check_public_space(networks: list[Network], widest: int) -> None:
    # Networks of one version, which the stubs cannot know; those that overlap count once.
    separate = list(ipaddress.collapse_addresses(networks))  # type: ignore[type-var]
    if not separate:
        return
    most = 1 << (separate[0].max_prefixlen - widest)
    if sum(map(_public_size, separate)) <= most:
        return
    public = [str(n) for n in networks if _public_size(n)]
    named = ", ".join(public[:3]) + (", …" if public[3:] else "")
    raise ConfigurationError(
        f"allowed_networks has more public addresses than a /{widest}: {named}.",
        cause="no organization has that many; networks of others would be let through.",
        remedy="name the networks your VPC endpoints are in.",
    )


def _public_size(network: Network) -> int:
    """Return how many addresses of a network are in no private range."""
    size = network.num_addresses
    for private in PRIVATE_NETWORKS:
        if network.version == private.version and network.overlaps(private):
            size -= min(network.num_addresses, private.num_addresses)
    return size
