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
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts, Unknown, known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.doctor.facts import NameAnswer, Peer

__all__ = [
    "ACLS",
    "CONNECTION",
    "DNS",
    "GROUPS",
    "LATENCY",
    "RESOLVER",
    "TLS_AUTHORITY",
    "TLS_EXPIRED",
    "TLS_HANDSHAKE",
    "TLS_INSPECTION",
    "TLS_NAME",
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
            elif name.kind == "default":
                yield fine(name.host, seen)
            else:
                yield doubtful(name.host, seen, **values)
        else:
            listed = ", ".join(name.addresses)
            yield fine(name.host, f"{name.host} resolves to {listed}; asked was {facts.resolver}.")


def _is_used(service: ServiceFacts, name: NameAnswer) -> bool:
    """Says whether calls go to a name; without a route, the default and the regional one could."""
    if isinstance(service.route, RouteFailure):
        used = service.serving
        if name.kind == "default":
            return used is None or used.vpc_endpoint.private_dns_enabled
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


def _of_problem(
    service: ServiceFacts, wanted: Callable[[Peer], bool]
) -> tuple[list[Peer], list[Peer]]:
    shaken = [peer for peer in service.peers if peer.tls is not None]
    return [p for p in shaken if wanted(p)], [p for p in shaken if not wanted(p)]


def _host(service: ServiceFacts) -> str:
    if isinstance(service.route, RouteFailure):
        return service.default_host or service.service_name
    return service.route.host


def _tls_name(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    del facts
    wrong, right = _of_problem(service, lambda p: p.tls is not None and p.tls.problem == "name")
    for peer in wrong:
        shown = peer.tls.certificate if peer.tls else None
        names = ", ".join(shown.names) if shown else "other names"
        seen = f"{peer.label} shows a certificate for {names}, not for {_host(service)}."
        yield worse(service, peer.address.address, seen, host=_host(service))
    if right and not wrong:
        yield fine(_host(service), f"The certificate is for {_host(service)}.")


TLS_NAME = Check(
    name="tls-name",
    looks_at="whether the certificate is for the host that is called",
    meaning="what answers is not the VPC endpoint of that name, or something on the way answers "
    "for it.",
    remedies=(
        "openssl s_client -connect {host}:443 -servername {host} </dev/null, to see who answers",
        "export SM_PRIVATE_VPC_ENDPOINT=<the DNS name that EC2 gives for the VPC endpoint>",
    ),
    hop="tls",
    service=_tls_name,
)


def _tls_expired(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    del facts
    wrong, _ = _of_problem(service, lambda p: p.tls is not None and p.tls.problem == "expired")
    for peer in wrong:
        shown = peer.tls.certificate if peer.tls else None
        if shown is not None and not shown.expired:
            seen = f"{peer.label} shows a chain of certificates of which one is not valid now."
        elif shown is not None:
            seen = (
                f"{peer.label} shows a certificate that is valid from {shown.not_before} to "
                f"{shown.not_after}, signed by {shown.issuer}."
            )
        else:
            seen = f"{peer.label} shows a certificate that is not valid now."
        yield worse(service, peer.address.address, seen, host=_host(service))


TLS_EXPIRED = Check(
    name="tls-expired",
    looks_at="whether the certificate is valid now",
    meaning="this machine's clock is wrong, or something on the way answers with an old "
    "certificate: Amazon's are renewed long before.",
    remedies=(
        "date -u, and set the clock right: sudo chronyc makestep",
        "have what inspects TLS renew its certificate, or let {host} pass it by",
    ),
    hop="tls",
    service=_tls_expired,
)


def _is_inspected(peer: Peer) -> bool:
    shown = peer.tls.certificate if peer.tls is not None else None
    if peer.tls is None or shown is None or not shown.issuer or shown.is_amazons:
        return False
    return peer.tls.problem in (None, "authority")


def _tls_inspection(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    if not isinstance(service.route, RouteFailure) and service.route.is_local:
        return
    wrong, right = _of_problem(service, _is_inspected)
    for peer in wrong:
        issuer = peer.tls.certificate.issuer if peer.tls and peer.tls.certificate else ""
        seen = f"{peer.label} shows a certificate that {issuer} signed, which is not Amazon"
        bundle = facts.environment.ca_bundle
        values = {"host": _host(service), "issuer": issuer}
        if peer.tls is not None and peer.tls.problem is None:
            yield doubtful(peer.address.address, f"{seen}, and {bundle} trusts it.", **values)
        else:
            seen = f"{seen}, and {bundle} does not trust it."
            yield worse(service, peer.address.address, seen, **values)
    for peer in right[:1]:
        shown = peer.tls.certificate if peer.tls else None
        if not wrong and shown is not None and shown.is_amazons:
            yield fine(_host(service), f"{shown.issuer} signed the certificate.")


TLS_INSPECTION = Check(
    name="tls-inspection",
    looks_at="whether Amazon signed the certificate",
    meaning="TLS is inspected on the way: what inspects it sees every payload in the clear (or "
    "this is a stand-in with an authority of its own).",
    remedies=(
        "have what inspects TLS let {host} pass it by",
        "if inspection is meant: export AWS_CA_BUNDLE=<a bundle that also has {issuer}>",
    ),
    hop="tls",
    service=_tls_inspection,
)


def _tls_authority(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    wrong, right = _of_problem(
        service,
        lambda p: p.tls is not None and p.tls.problem == "authority" and not _is_inspected(p),
    )
    bundle = facts.environment.ca_bundle
    for peer in wrong:
        shown = peer.tls.certificate if peer.tls else None
        issuer = shown.issuer if shown and shown.issuer else "an authority that could not be read"
        seen = f"{peer.label} shows a certificate of {issuer}, which {bundle} does not have."
        yield worse(service, peer.address.address, seen)
    if not wrong and any(p.is_good for p in right):
        yield fine(bundle, f"{bundle} has the authority that signed the certificate.")


TLS_AUTHORITY = Check(
    name="tls-authority",
    looks_at="whether the CA bundle in use has the authority that signed the certificate",
    meaning="the bundle lacks Amazon's own authorities (Amazon Trust Services).",
    remedies=(
        "unset AWS_CA_BUNDLE REQUESTS_CA_BUNDLE, which takes botocore's own bundle",
        "cat AmazonRootCA1.pem >> $AWS_CA_BUNDLE (from https://www.amazontrust.com/repository/)",
    ),
    hop="tls",
    service=_tls_authority,
)


def _tls_handshake(facts: Facts, service: ServiceFacts) -> Iterator[Verdict]:
    del facts
    wrong, _ = _of_problem(service, lambda p: p.tls is not None and p.tls.problem == "handshake")
    for peer in wrong:
        detail = peer.tls.detail if peer.tls else ""
        seen = f"{peer.label} took a connection, but no TLS handshake: {detail}."
        good = any(p.is_good for p in service.peers)
        say = doubtful if good or service.works else broken
        yield say(peer.address.address, seen, host=_host(service))


TLS_HANDSHAKE = Check(
    name="tls-handshake",
    looks_at="whether a TLS handshake is answered at all",
    meaning="a firewall that looks into TLS cuts the connection, or what listens there speaks no "
    "TLS or is too slow.",
    remedies=(
        "have the firewall on the way allow TLS to {host}, port 443",
        "openssl s_client -connect {host}:443 -servername {host} </dev/null",
    ),
    hop="tls",
    service=_tls_handshake,
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
