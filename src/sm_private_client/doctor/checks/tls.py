"""Checks of TLS: the certificate's name, time and signer, and the handshake itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.doctor.checks.check import Check, CheckResult, failure_if, ok
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts, TlsResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.facts import Peer, TlsProblem

__all__ = ["tls_authority", "tls_expired", "tls_handshake", "tls_inspection", "tls_name"]


def _handshakes(service: ServiceFacts) -> list[tuple[Peer, TlsResult]]:
    return [(peer, peer.tls) for peer in service.peers if peer.tls is not None]


def _failed(service: ServiceFacts, problem: TlsProblem) -> list[tuple[Peer, TlsResult]]:
    return [(peer, tls) for peer, tls in _handshakes(service) if tls.problem == problem]


def _host(service: ServiceFacts) -> str:
    if isinstance(service.route, RouteFailure):
        return service.default_host or service.service_name
    return service.route.host


@Check(
    name="tls-name",
    looks_at="whether the certificate is for the host that is called",
    meaning="what answers is not the VPC endpoint of that name, or something on the way answers "
    "for it.",
    remedies=(
        "openssl s_client -connect {host}:443 -servername {host} </dev/null, to see who answers",
        "export SM_PRIVATE_VPC_ENDPOINT=<the DNS name that EC2 gives for the VPC endpoint>",
    ),
    hop="tls",
).for_each_service
def tls_name(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    host = _host(service)
    wrong = _failed(service, "name")
    for peer, tls in wrong:
        names = ", ".join(tls.certificate.names) if tls.certificate else "other names"
        seen = f"{peer.label} shows a certificate for {names}, not for {host}."
        yield failure_if(not service.works, peer.address.address, seen, host=host)
    if not wrong and _handshakes(service):
        yield ok(host, f"The certificate is for {host}.")


@Check(
    name="tls-expired",
    looks_at="whether the certificate is valid now",
    meaning="this machine's clock is wrong, or something on the way answers with an old "
    "certificate: Amazon's are renewed long before.",
    remedies=(
        "date -u, and set the clock right: sudo chronyc makestep",
        "have what inspects TLS renew its certificate, or let {host} pass it by",
    ),
    hop="tls",
).for_each_service
def tls_expired(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    for peer, tls in _failed(service, "expired"):
        shown = tls.certificate
        if shown is None:
            what = "a certificate that is not valid now"
        elif shown.expired:
            what = (
                f"a certificate that is valid from {shown.not_before} to {shown.not_after}, "
                f"signed by {shown.issuer}"
            )
        else:
            what = "a chain of certificates of which one is not valid now"
        seen = f"{peer.label} shows {what}."
        yield failure_if(not service.works, peer.address.address, seen, host=_host(service))


def _is_inspected(tls: TlsResult) -> bool:
    shown = tls.certificate
    if shown is None or not shown.issuer or shown.is_amazons:
        return False
    return tls.problem in (None, "authority")


@Check(
    name="tls-inspection",
    looks_at="whether Amazon signed the certificate",
    meaning="TLS is inspected on the way: what inspects it sees every payload in the clear (or "
    "this is a stand-in with an authority of its own).",
    remedies=(
        "have what inspects TLS let {host} pass it by",
        "if inspection is intended: export AWS_CA_BUNDLE=<a bundle that also has {issuer}>",
    ),
    hop="tls",
).for_each_service
def tls_inspection(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    if not isinstance(service.route, RouteFailure) and service.route.is_local:
        return
    host = _host(service)
    handshakes = _handshakes(service)
    wrong = [(peer, tls) for peer, tls in handshakes if _is_inspected(tls)]
    for peer, tls in wrong:
        issuer = tls.certificate.issuer if tls.certificate else ""
        trusted = tls.problem is None
        seen = (
            f"{peer.label} shows a certificate that {issuer} signed, which is not Amazon, and "
            f"{facts.environment.ca_bundle} {'trusts' if trusted else 'does not trust'} it."
        )
        broken = not trusted and not service.works
        yield failure_if(broken, peer.address.address, seen, host=host, issuer=issuer)
    first = handshakes[0][1].certificate if handshakes else None
    if not wrong and first is not None and first.is_amazons:
        yield ok(host, f"{first.issuer} signed the certificate.")


@Check(
    name="tls-authority",
    looks_at="whether the CA bundle in use has the authority that signed the certificate",
    meaning="the bundle lacks Amazon's own authorities (Amazon Trust Services).",
    remedies=(
        "unset AWS_CA_BUNDLE REQUESTS_CA_BUNDLE, which takes botocore's own bundle",
        "cat AmazonRootCA1.pem >> $AWS_CA_BUNDLE (from https://www.amazontrust.com/repository/)",
    ),
    hop="tls",
).for_each_service
def tls_authority(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    bundle = facts.environment.ca_bundle
    wrong = [(p, tls) for p, tls in _failed(service, "authority") if not _is_inspected(tls)]
    for peer, tls in wrong:
        issuer = tls.certificate.issuer if tls.certificate else ""
        issuer = issuer or "an authority that could not be read"
        seen = f"{peer.label} shows a certificate of {issuer}, which {bundle} does not have."
        yield failure_if(not service.works, peer.address.address, seen)
    if not wrong and any(peer.is_good for peer in service.peers):
        yield ok(bundle, f"{bundle} has the authority that signed the certificate.")


@Check(
    name="tls-handshake",
    looks_at="whether a TLS handshake is answered at all",
    meaning="a firewall that looks into TLS cuts the connection, or what listens there speaks no "
    "TLS or is too slow.",
    remedies=(
        "have the firewall on the way allow TLS to {host}, port 443",
        "openssl s_client -connect {host}:443 -servername {host} </dev/null",
    ),
    hop="tls",
).for_each_service
def tls_handshake(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    works = service.works or any(peer.is_good for peer in service.peers)
    for peer, tls in _failed(service, "handshake"):
        seen = f"{peer.label} took a connection, but no TLS handshake: {tls.detail}."
        yield failure_if(not works, peer.address.address, seen, host=_host(service))
