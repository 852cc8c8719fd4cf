"""Checks of the way to the network interfaces: names, firewalls, connections, latency."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, Literal

from sm_private_client.doctor.checks.check import (
    NO_VPC_ENDPOINT,
    Check,
    CheckResult,
    failure_if,
    ok,
    unknown,
    warning,
)
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts, Unknown, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sm_private_client.doctor.facts import (
        AclEntry,
        GroupRule,
        NameAnswer,
        NetworkAcl,
        SecurityGroup,
        VpcEndpointFacts,
    )

__all__ = [
    "blocked_directions",
    "connection",
    "dns",
    "latency",
    "lets_in",
    "network_acl",
    "resolver",
    "security_group",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Direction = Literal["inbound", "outbound"]

_HTTPS: Final = 443
_EPHEMERAL: Final = 40000
"""A port that answers go to: Linux takes 32768 to 60999, and AWS asks to allow 1024 to 65535."""

_SLOW: Final = 0.25
"""Seconds for TCP and TLS together; inside a region they take a few milliseconds."""


# Names


@Check(
    name="resolver",
    looks_at="whether the resolver that this machine asks (/etc/resolv.conf) answers at all",
    meaning="no name can be looked up, so neither SageMaker nor EC2 is found.",
    remedies=(
        "check the nameserver in /etc/resolv.conf ({resolver}): inside a VPC it is 169.254.169.253 "
        "or the VPC's base address plus two",
        "open UDP and TCP port 53 from this machine to it",
    ),
    hop="dns",
).for_session
def resolver(facts: Facts) -> Iterator[CheckResult]:
    names = [name for service in facts.services for name in service.names]
    if names and all(name.unanswered for name in names):
        seen = f"No name was answered; the resolver is {facts.resolver}."
        broken = not any(service.works for service in facts.services)
        yield failure_if(broken, facts.resolver, seen, resolver=facts.resolver)
    elif names:
        yield ok(facts.resolver, f"{facts.resolver} answers.")


@Check(
    name="dns",
    looks_at="what DNS answers for the default host and for the VPC endpoint's regional and zonal "
    "names, and which resolver answered",
    meaning="the resolver that this machine asks does not lead to the VPC endpoint: it is not the "
    "VPC's own, it has a rule or an entry of its own, or it cannot be reached.",
    remedies=(
        "dig +short {host} (asked: {resolver}), and compare with the addresses that EC2 shows",
        "forward the name to the VPC's resolver (169.254.169.253, or a Route 53 Resolver inbound "
        "endpoint from outside)",
    ),
    hop="dns",
    explained_by=("resolver", "vpc-attributes", "private-dns", *NO_VPC_ENDPOINT),
).for_each_service
def dns(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    for name in service.names:
        lost = not service.works and _is_used(service, name)
        values = {"host": name.host, "resolver": facts.resolver}
        resolver = f"the resolver is {facts.resolver}."
        if name.failure is not None:
            yield failure_if(lost, name.host, f"{name.host} {name.failure}; {resolver}", **values)
            continue
        if not name.refused:
            listed = ", ".join(name.addresses)
            yield ok(name.host, f"{name.host} resolves to {listed}; {resolver}")
            continue
        address, why = name.refused[0]
        seen = f"{name.host} resolves to {address}, which {why}; {resolver}"
        lost = lost and service.serving is not None
        if not lost and name.kind == "default" and not _has_private_dns(service):
            yield ok(name.host, seen)
        else:
            yield failure_if(lost, name.host, seen, **values)


def _has_private_dns(service: ServiceFacts) -> bool:
    used = service.serving
    return used is not None and used.vpc_endpoint.private_dns_enabled


def _is_used(service: ServiceFacts, name: NameAnswer) -> bool:
    """Return True if calls go to a name; without a route, to a default or regional one."""
    if not isinstance(service.route, RouteFailure):
        return name.host == service.route.host
    if name.kind == "default":
        return service.serving is None or _has_private_dns(service)
    return name.kind == "regional"


# Firewalls


def lets_in(
    groups: Iterable[SecurityGroup], *, sources: Iterable[str], own_group_ids: Iterable[str]
) -> bool | None:
    """Return True if security groups let TCP to port 443 in from us.

    Args:
        groups: The groups of the VPC endpoint; each adds to what is let in.
        sources: Where our packets come from, as CIDRs. If our address is not known, they are the
            VPC's, and a part of them is enough.
        own_group_ids: Our own groups.

    Returns:
        ``None`` if a rule names a group or prefix list and ours are not known.
    """
    own = set(own_group_ids)
    nets = [ipaddress.ip_network(source) for source in sources]
    open_rules = [rule for group in groups for rule in group.rules if _covers_https(rule)]
    for rule in open_rules:
        if own & set(rule.group_ids) or any(_overlaps(cidr, nets) for cidr in rule.cidrs):
            return True
    unclear = any(rule.prefix_list_ids or (rule.group_ids and not own) for rule in open_rules)
    return None if unclear or (open_rules and not nets) else False


def _covers_https(rule: GroupRule) -> bool:
    in_ports = _has_port(rule.from_port, rule.to_port, _HTTPS)
    return rule.protocol == "-1" or (rule.protocol in ("tcp", "6") and in_ports)


def _has_port(first: int | None, last: int | None, port: int) -> bool:
    return first is None or last is None or first <= port <= last


def _overlaps(cidr: str, nets: list[Network]) -> bool:
    allowed = ipaddress.ip_network(cidr)
    return any(net.version == allowed.version and net.overlaps(allowed) for net in nets)


@Check(
    name="security-group",
    looks_at="whether the VPC endpoint's security groups let port 443 in from our address or group",
    meaning="packets that no rule lets in are dropped, and connections hang.",
    remedies=(
        "aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 443 "
        "--cidr {source}",
    ),
    hop="network-interface",
).for_each_service
def security_group(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    used = _interface(service)
    if used is None or not used.security_groups:
        return
    groups, subject = used.security_groups, used.vpc_endpoint.vpc_endpoint_id
    if isinstance(groups, Unknown):
        yield unknown(subject, groups)
        return
    ids = ", ".join(group.group_id for group in groups)
    if any(peer.connected for peer in service.peers):
        yield ok(subject, f"{ids} lets us in: a connection was made.")
        return
    allowed = lets_in(groups, sources=facts.sources, own_group_ids=facts.own_group_ids)
    if allowed is None:
        reason = f"whether {ids} lets us in depends on groups or addresses that are not known"
        yield unknown(subject, Unknown(reason=reason))
    elif allowed:
        yield ok(subject, f"{ids} lets port 443 in from us.")
    else:
        source = facts.sources[0] if facts.sources else "<your CIDR>"
        seen = f"{ids} does not let TCP port 443 in from {source}."
        group_id = groups[0].group_id
        yield failure_if(not service.works, subject, seen, group=group_id, source=source)


def _interface(service: ServiceFacts) -> VpcEndpointFacts | None:
    """Return the VPC endpoint that serves, if it has network interfaces."""
    used = service.serving
    return used if used is not None and used.vpc_endpoint.kind == "Interface" else None


def blocked_directions(acl: NetworkAcl, *, sources: Iterable[str]) -> tuple[Direction, ...]:
    """Return the directions in which a network ACL drops the traffic of our calls.

    Inbound is port 443 from us. Outbound are the answers to our ephemeral ports, because network
    ACLs keep no state.
    """
    blocked: list[Direction] = []
    for net in map(ipaddress.ip_network, sources):
        if not _allows(acl.entries, net, egress=False, port=_HTTPS):
            blocked.append("inbound")
        if not _allows(acl.entries, net, egress=True, port=_EPHEMERAL):
            blocked.append("outbound")
    return tuple(dict.fromkeys(blocked))


def _allows(entries: tuple[AclEntry, ...], net: Network, *, egress: bool, port: int) -> bool:
    for entry in sorted(entries, key=lambda e: e.number):
        if entry.egress == egress and _matches(entry, net, port):
            return entry.allow
    return False


def _matches(entry: AclEntry, net: Network, port: int) -> bool:
    block = ipaddress.ip_network(entry.cidr)
    if entry.protocol not in ("-1", "6", "tcp") or block.version != net.version:
        return False
    within = net.subnet_of(block)  # type: ignore[arg-type] # of the same version
    return within and _has_port(entry.from_port, entry.to_port, port)


@Check(
    name="network-acl",
    looks_at="whether the network ACLs of the VPC endpoint's subnets let port 443 in and the "
    "answers out",
    meaning="network ACLs keep no state: requests and answers need a rule each.",
    remedies=(
        "aws ec2 create-network-acl-entry --network-acl-id {acl} {flag} --rule-number {number} "
        "--protocol tcp --port-range {ports} --cidr-block {source} --rule-action allow",
    ),
    hop="network-interface",
).for_each_service
def network_acl(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    used = _interface(service)
    if used is None:
        return
    if isinstance(used.network_acls, Unknown):
        yield unknown(used.vpc_endpoint.vpc_endpoint_id, used.network_acls)
        return
    zones = {s.subnet_id: s.availability_zone for s in known(used.subnets) or ()}
    reached = {p.address.availability_zone for p in service.peers if p.connected}
    for acl in used.network_acls:
        lost = [s for s in acl.subnet_ids if zones.get(s) not in reached or s not in zones]
        blocked = blocked_directions(acl, sources=facts.sources)
        if not blocked or not lost:
            yield ok(acl.acl_id, f"{acl.acl_id} lets port 443 in and the answers out.")
            continue
        source, direction = facts.sources[0], blocked[0]
        inbound = direction == "inbound"
        ports = "443" if inbound else "1024-65535"
        seen = (
            f"{acl.acl_id} drops {direction} traffic of {source}, TCP ports {ports}, in "
            f"{', '.join(lost)}."
        )
        yield failure_if(
            not service.works,
            acl.acl_id,
            seen,
            acl=acl.acl_id,
            flag="--ingress" if inbound else "--egress",
            ports="From=443,To=443" if inbound else "From=1024,To=65535",
            source=source,
            number=str(_free_number(acl.entries, direction)),
        )


def _free_number(entries: tuple[AclEntry, ...], direction: Direction) -> int:
    """Return a rule number below all others of a direction, so that it comes first."""
    taken = [entry.number for entry in entries if entry.egress == (direction == "outbound")]
    return max(1, min([100, *(number - 1 for number in taken)]))


# Connections


@Check(
    name="connection",
    looks_at="a TCP connection to port 443 of every network interface",
    meaning="nothing answers there: a firewall drops the packets, the zone is down, or there is no "
    "network way from here (routes, peering, VPN).",
    remedies=(
        "nc -vz {address} 443, from this machine and from another one in the VPC",
        "check the route tables, and peering, transit gateway or VPN, between here and the VPC",
    ),
    hop="network-interface",
    explained_by=("security-group", "network-acl", "ip-address-type", *NO_VPC_ENDPOINT, "dns"),
).for_each_service
def connection(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    works = service.works or any(peer.connected for peer in service.peers)
    for peer in service.peers:
        address = peer.address.address
        if peer.connected:
            took = f"{peer.seconds * 1000:.0f} ms"
            yield ok(address, f"{peer.label} took a connection in {took}.")
        else:
            seen = f"{peer.label}: {peer.tcp_failure}."
            yield failure_if(not works, address, seen, address=address)


@Check(
    name="latency",
    looks_at="how long connection and TLS take to every network interface",
    meaning="the way is long (another region, a slow VPN), or something on it is overloaded.",
    remedies=("call from the VPC endpoint's own region and zone",),
).for_each_service
def latency(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    for peer in service.peers:
        if not peer.is_good or peer.tls is None:
            continue
        took = peer.seconds + peer.tls.seconds
        seen = f"{peer.label} took {took * 1000:.0f} ms for connection and TLS."
        yield (warning if took > _SLOW else ok)(peer.address.address, seen)
