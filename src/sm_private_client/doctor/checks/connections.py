"""Checks of the way to the network interfaces: names, firewalls, connections, TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sm_private_client.doctor.checks.check import (
    Check,
    Verdict,
    broken,
    could_not_look,
    doubtful,
    fine,
    worse,
)
from sm_private_client.doctor.checks.firewalls import blocked_directions, lets_in
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts
from sm_private_client.doctor.unknown import Unknown, known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.network_facts import NameAnswer

__all__ = [
    "ACLS",
    "CONNECTION",
    "DNS",
    "GROUPS",
    "LATENCY",
    "RESOLVER",
]

_SLOW: Final = 0.25
"""Seconds for TCP and TLS together; inside a region they take a few milliseconds."""

_NO_ENDPOINT: Final = (
    "named-vpc-endpoint",
    "custom-url-target",
    "custom-url",
    "fips",
    "discovery",
    "vpc-endpoint",
    "vpc-endpoint-state",
    "vpc-endpoint-vpc",
)


def _resolver(facts: Facts) -> Iterator[Verdict]:
    names = [name for service in facts.services for name in service.names]
    if not names:
        return
    if all(name.unanswered for name in names):
        seen = f"No name was answered; asked was {facts.resolver}."
        say = doubtful if any(s.works for s in facts.services) else broken
        yield say(facts.resolver, seen, resolver=facts.resolver)
    else:
        yield fine(facts.resolver, f"{facts.resolver} answers.")


RESOLVER = Check(
    name="resolver",
    looks_at="whether the resolver that this machine asks (/etc/resolv.conf) answers at all",
    meaning="no name can be looked up, so neither SageMaker nor EC2 is found.",
    remedies=(
        "check the nameserver in /etc/resolv.conf ({resolver}): inside a VPC it is 169.254.169.253 "
        "or the VPC's base address plus two",
        "open UDP and TCP port 53 from this machine to it",
    ),
    hop="dns",
    session=_resolver,
)


def _dns(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    for name in service.names:
        used = _is_used(service, name)
        values = {"host": name.host, "resolver": facts.resolver}
        if name.failure is not None:
            seen = f"{name.host} {name.failure}; asked was {facts.resolver}."
            yield (broken if used and not service.works else doubtful)(name.host, seen, **values)
        elif name.refused:
            address, why = name.refused[0]
            seen = f"{name.host} resolves to {address}, which {why}; asked was {facts.resolver}."
            if used and not service.works and service.serving is not None:
                yield broken(name.host, seen, **values)
            elif name.kind == "default" and not _has_private_dns(service):
                yield fine(name.host, seen)
            else:
                yield doubtful(name.host, seen, **values)
        else:
            listed = ", ".join(name.addresses)
            yield fine(name.host, f"{name.host} resolves to {listed}; asked was {facts.resolver}.")


def _has_private_dns(service: ServiceFacts) -> bool:
    used = service.serving
    return used is not None and used.vpc_endpoint.private_dns_enabled


def _is_used(service: ServiceFacts, name: NameAnswer) -> bool:
    """Says whether calls go to a name; without a route, the default and the regional one could."""
    if isinstance(service.route, RouteFailure):
        used = service.serving
        if name.kind == "default":
            return used is None or _has_private_dns(service)
        return name.kind == "regional"
    return name.host == service.route.host


DNS = Check(
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
    service=_dns,
    explained_by=("resolver", "vpc-attributes", "private-dns", *_NO_ENDPOINT),
)


def _groups(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    used = service.serving
    if used is None or used.kind != "interface":
        return
    groups = used.security_groups
    subject = used.vpc_endpoint.vpc_endpoint_id
    if isinstance(groups, Unknown):
        yield could_not_look(subject, groups)
        return
    if not groups:
        return
    ids = ", ".join(group.group_id for group in groups)
    if any(peer.connected for peer in service.peers):
        yield fine(subject, f"{ids} lets us in: a connection stands.")
        return
    allowed = lets_in(groups, sources=facts.sources, own_group_ids=facts.own_group_ids)
    if allowed is None:
        reason = f"whether {ids} lets us in depends on groups or addresses that are not known"
        yield could_not_look(subject, Unknown(reason=reason))
    elif allowed:
        yield fine(subject, f"{ids} lets port 443 in from us.")
    else:
        source = facts.sources[0] if facts.sources else "<your CIDR>"
        seen = f"{ids} does not let TCP port 443 in from {source}."
        yield worse(service, subject, seen, group=groups[0].group_id, source=source)


GROUPS = Check(
    name="security-group",
    looks_at="whether the VPC endpoint's security groups let port 443 in from our address or group",
    meaning="packets that no rule lets in are dropped, and connections hang.",
    remedies=(
        "aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 443 "
        "--cidr {source}",
    ),
    hop="network-interface",
    service=_groups,
)


def _acls(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    used = service.serving
    if used is None or used.kind != "interface":
        return
    if isinstance(used.network_acls, Unknown):
        yield could_not_look(used.vpc_endpoint.vpc_endpoint_id, used.network_acls)
        return
    zones = {s.subnet_id: s.availability_zone for s in known(used.subnets) or ()}
    reached = {p.address.availability_zone for p in service.peers if p.connected}
    for acl in used.network_acls:
        guarded = [s for s in acl.subnet_ids if zones.get(s) not in reached or s not in zones]
        blocked = blocked_directions(acl, sources=facts.sources)
        if not blocked or not guarded:
            yield fine(acl.acl_id, f"{acl.acl_id} lets port 443 in and the answers out.")
            continue
        source = facts.sources[0]
        direction = blocked[0]
        ports = "443" if direction == "inbound" else "1024-65535"
        seen = (
            f"{acl.acl_id} drops {direction} traffic of {source}, TCP ports {ports}, in "
            f"{', '.join(guarded)}."
        )
        first, _, last = ports.partition("-")
        yield worse(
            service,
            acl.acl_id,
            seen,
            acl=acl.acl_id,
            flag="--ingress" if direction == "inbound" else "--egress",
            ports=f"From={first},To={last or first}",
            source=source,
            number=str(_free_number(acl.entries, direction)),
        )


def _free_number(entries: tuple[object, ...], direction: Literal["inbound", "outbound"]) -> int:
    """Gives a rule number below all others of a direction, so that it comes first."""
    taken = [
        getattr(e, "number", 0)
        for e in entries
        if getattr(e, "egress", None) == (direction == "outbound")
    ]
    return max(1, min([100, *(number - 1 for number in taken)]))


ACLS = Check(
    name="network-acl",
    looks_at="whether the network ACLs of the VPC endpoint's subnets let port 443 in and the "
    "answers out",
    meaning="network ACLs keep no state: requests and answers need a rule each.",
    remedies=(
        "aws ec2 create-network-acl-entry --network-acl-id {acl} {flag} --rule-number {number} "
        "--protocol tcp --port-range {ports} --cidr-block {source} --rule-action allow",
    ),
    hop="network-interface",
    service=_acls,
)


def _connection(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    del facts
    lost = [peer for peer in service.peers if not peer.connected]
    stands = len(lost) < len(service.peers)
    for peer in service.peers:
        values = {"address": peer.address.address}
        if peer.connected:
            seen = f"{peer.label} took a connection in {peer.seconds * 1000:.0f} ms."
            yield fine(peer.address.address, seen)
            continue
        seen = f"{peer.label}: {peer.tcp_failure}."
        say = doubtful if stands or service.works else broken
        yield say(peer.address.address, seen, **values)


CONNECTION = Check(
    name="connection",
    looks_at="a TCP connection to port 443 of every network interface",
    meaning="nothing answers there: a firewall drops the packets, the zone is down, or there is no "
    "network way from here (routes, peering, VPN).",
    remedies=(
        "nc -vz {address} 443, from this machine and from another one in the VPC",
        "check the route tables, and peering, transit gateway or VPN, between here and the VPC",
    ),
    hop="network-interface",
    service=_connection,
    explained_by=("security-group", "network-acl", "ip-address-type", *_NO_ENDPOINT, "dns"),
)


def _latency(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    del facts
    for peer in service.peers:
        if not peer.is_good or peer.tls is None:
            continue
        took = peer.seconds + peer.tls.seconds
        seen = f"{peer.label} took {took * 1000:.0f} ms for connection and TLS."
        if took > _SLOW:
            yield doubtful(peer.address.address, seen)
        else:
            yield fine(peer.address.address, seen)


LATENCY = Check(
    name="latency",
    looks_at="how long connection and TLS take to every network interface",
    meaning="the way is long (another region, a slow VPN), or something on it is overloaded.",
    remedies=("call from the VPC endpoint's own region and zone",),
    service=_latency,
)
