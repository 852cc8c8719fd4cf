"""Checks of TLS: the certificate's name, time and signer, and the handshake itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.doctor.checks.check import (
    Check,
    CheckResult,
    failure,
    failure_or_warning,
    ok,
    warning,
)
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.doctor.observations import Peer

__all__ = ["AUTHORITY", "EXPIRED", "HANDSHAKE", "INSPECTION", "NAME"]


def _of_problem(
    service: ServiceFacts, wanted: Callable[[Peer], bool]
) -> tuple[list[Peer], list[Peer]]:
    shaken = [peer for peer in service.peers if peer.tls is not None]
    return [p for p in shaken if wanted(p)], [p for p in shaken if not wanted(p)]


def _host(service: ServiceFacts) -> str:
    if isinstance(service.route, RouteFailure):
        return service.default_host or service.service_name
    return service.route.host


def _tls_name(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    del facts
    wrong, right = _of_problem(service, lambda p: p.tls is not None and p.tls.problem == "name")
    for peer in wrong:
        shown = peer.tls.certificate if peer.tls else None
        names = ", ".join(shown.names) if shown else "other names"
        seen = f"{peer.label} shows a certificate for {names}, not for {_host(service)}."
        yield failure_or_warning(service, peer.address.address, seen, host=_host(service))
    if right and not wrong:
        yield ok(_host(service), f"The certificate is for {_host(service)}.")


NAME = Check(
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


def _tls_expired(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
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
        yield failure_or_warning(service, peer.address.address, seen, host=_host(service))


EXPIRED = Check(
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


def _tls_inspection(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    if not isinstance(service.route, RouteFailure) and service.route.is_local:
        return
    wrong, right = _of_problem(service, _is_inspected)
    for peer in wrong:
        issuer = peer.tls.certificate.issuer if peer.tls and peer.tls.certificate else ""
        seen = f"{peer.label} shows a certificate that {issuer} signed, which is not Amazon"
        bundle = facts.environment.ca_bundle
        values = {"host": _host(service), "issuer": issuer}
        if peer.tls is not None and peer.tls.problem is None:
            yield warning(peer.address.address, f"{seen}, and {bundle} trusts it.", **values)
        else:
            seen = f"{seen}, and {bundle} does not trust it."
            yield failure_or_warning(service, peer.address.address, seen, **values)
    for peer in right[:1]:
        shown = peer.tls.certificate if peer.tls else None
        if not wrong and shown is not None and shown.is_amazons:
            yield ok(_host(service), f"{shown.issuer} signed the certificate.")


INSPECTION = Check(
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


def _tls_authority(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    wrong, right = _of_problem(
        service,
        lambda p: p.tls is not None and p.tls.problem == "authority" and not _is_inspected(p),
    )
    bundle = facts.environment.ca_bundle
    for peer in wrong:
        shown = peer.tls.certificate if peer.tls else None
        issuer = shown.issuer if shown and shown.issuer else "an authority that could not be read"
        seen = f"{peer.label} shows a certificate of {issuer}, which {bundle} does not have."
        yield failure_or_warning(service, peer.address.address, seen)
    if not wrong and any(p.is_good for p in right):
        yield ok(bundle, f"{bundle} has the authority that signed the certificate.")


AUTHORITY = Check(
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


def _tls_handshake(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    del facts
    wrong, _ = _of_problem(service, lambda p: p.tls is not None and p.tls.problem == "handshake")
    for peer in wrong:
        detail = peer.tls.detail if peer.tls else ""
        seen = f"{peer.label} took a connection, but no TLS handshake: {detail}."
        good = any(p.is_good for p in service.peers)
        say = warning if good or service.works else failure
        yield say(peer.address.address, seen, host=_host(service))


HANDSHAKE = Check(
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
