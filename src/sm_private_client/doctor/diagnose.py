"""A diagnosis: facts, findings in the order of causes, paths."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.checks.table import CHECKS, check_all
from sm_private_client.doctor.findings import HOPS, Finding, Hop, HopName, HopState, Path, Report
from sm_private_client.doctor.probes.gather import gather
from sm_private_client.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_private_client.doctor.facts import Facts, ServiceFacts

__all__ = ["diagnose", "paths", "ranked"]

_EXPLAINED_BY: Final[Mapping[str, tuple[str, ...]]] = {c.name: c.explained_by for c in CHECKS}
_ORDER: Final[Mapping[str, int]] = {check.name: number for number, check in enumerate(CHECKS)}
_STATUSES: Final = ("failure", "warning", "unknown", "ok")


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings in order: root causes, what follows from them, warnings, unknown, ok.

    A failure follows from another one that its check names as an explanation, of the same service
    or of all of them; among several, from the one that comes first in the table.
    """
    failures = [f for f in findings if f.status == "failure"]

    def place(finding: Finding) -> tuple[int, bool, int]:
        follows = finding.follows_from is not None
        return _STATUSES.index(finding.status), follows, _ORDER[finding.check]

    return tuple(sorted((_with_cause(f, failures) for f in findings), key=place))


def _with_cause(finding: Finding, failures: Sequence[Finding]) -> Finding:
    causes = {
        f.check
        for f in failures
        if f.check in _EXPLAINED_BY[finding.check]
        and (f.service_name is None or finding.service_name in (None, f.service_name))
    }
    if finding.status != "failure" or not causes:
        return finding
    # What follows needs no remedy but its cause's.
    return replace(finding, follows_from=min(causes, key=_ORDER.__getitem__), remedy=())


def paths(facts: Facts, findings: Sequence[Finding]) -> tuple[Path, ...]:
    """Return the path of each service: up to the broken hop, and what was not reached behind it."""
    return tuple(_path(facts, service, findings) for service in facts.services)


def _path(facts: Facts, service: ServiceFacts, findings: Sequence[Finding]) -> Path:
    about = [
        f
        for f in findings
        if f.status == "failure" and f.hop and f.service_name in (None, service.service_name)
    ]
    roots = [f for f in about if f.follows_from is None] or about
    broken = roots[0].hop if roots else None
    doubted = {f.hop for f in about}
    labels = _labels(facts, service)
    hops = []
    state: HopState = "ok"
    for name in HOPS:
        if state in ("broken", "not-reached"):
            state = "not-reached"
        elif name == broken:
            state = "broken"
        else:
            state = "unknown" if name in doubted else _seen(name, service)
        hops.append(Hop(name=name, label=labels[name], state=state))
    return Path(service_name=service.service_name, hops=tuple(hops))


def _seen(name: HopName, service: ServiceFacts) -> HopState:
    call = service.call
    answered = call is not None and (call.expected or call.status is not None)
    denied = call is not None and call.code is not None and "AccessDenied" in call.code
    good: Mapping[HopName, bool] = {
        "you": True,
        "dns": service.has_route
        and (answered or any(n.addresses and not n.refused for n in service.names)),
        "network-interface": answered or any(peer.connected for peer in service.peers),
        "tls": answered or any(peer.is_good for peer in service.peers),
        "signature": answered,
        "endpoint-policy": answered and (not denied or bool(call and call.denied_by)),
        "service": answered and not denied,
    }
    return "ok" if good[name] else "unknown"


def _labels(facts: Facts, service: ServiceFacts) -> Mapping[HopName, str]:
    where = ", ".join(filter(None, (facts.vpc_id, facts.availability_zone)))
    best = next((p for p in service.peers if p.is_good), next(iter(service.peers), None))
    interface = "network interface"
    if best is not None:
        interface = best.label
    elif service.serving is not None:
        interface = service.serving.vpc_endpoint.vpc_endpoint_id
    rest = service.service_name.removeprefix("sagemaker").replace("-", " ")
    return {
        "you": f"you ({where})" if where else "you",
        "dns": "DNS",
        "network-interface": interface,
        "tls": "TLS",
        "signature": "SigV4",
        "endpoint-policy": "endpoint policy",
        "service": f"SageMaker{rest.title()}",
    }


def diagnose(
    session: Session | None = None,
    services: Sequence[str] = ("sagemaker", "sagemaker-runtime"),
    *,
    deep: bool = False,
) -> Report:
    """Find out what is wrong between here and SageMaker, in at most fifteen seconds.

    It reads, and changes nothing: settings, DNS, EC2, connections, and one harmless signed call
    for each service.

    Args:
        session: Whose settings, credentials and network count; a new ``Session`` by default.
        services: boto3's names of the services to look at.
        deep: Also every other service, and all network interfaces of the services' VPC endpoints.

    Raises:
        ConfigurationError: A service is not one of the SageMaker family.
    """
    started = time.monotonic()
    created = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    facts = gather(session if session is not None else Session(), services, deep=deep)
    findings = ranked(check_all(facts))
    return Report(
        region=facts.region,
        findings=findings,
        paths=paths(facts, findings),
        created=created,
        seconds=time.monotonic() - started,
    )
