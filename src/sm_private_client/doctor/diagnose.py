"""``diagnose``: gather, check, order by cause, draw the paths."""

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
_ORDER: Final[Mapping[str, int]] = {check.name: place for place, check in enumerate(CHECKS)}
_STATUSES: Final = ("failure", "warning", "unknown", "ok")


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Orders findings: root causes, what follows from them, warnings, unknown, what is well.

    A failure follows from another one that its check names as an explanation, of the same service
    or of all of them; among several, from the one that comes first in the table.
    """
    failures = [f for f in findings if f.status == "failure"]
    marked = [_marked(f, _cause(f, failures)) for f in findings]

    def place(finding: Finding) -> tuple[int, bool, int]:
        return (
            _STATUSES.index(finding.status),
            finding.follows_from is not None,
            _ORDER[finding.check],
        )

    return tuple(sorted(marked, key=place))


def _marked(finding: Finding, cause: str | None) -> Finding:
    """Marks what follows; it needs no remedy but its cause's."""
    return finding if cause is None else replace(finding, follows_from=cause, remedy=())


def _cause(finding: Finding, failures: Sequence[Finding]) -> str | None:
    if finding.status != "failure":
        return None
    causes = [
        f.check
        for f in failures
        if f.check in _EXPLAINED_BY[finding.check]
        and (f.service_name is None or finding.service_name in (None, f.service_name))
    ]
    return min(causes, key=lambda name: _ORDER[name], default=None)


def paths(facts: Facts, findings: Sequence[Finding]) -> tuple[Path, ...]:
    """Gives the path of each service: up to the broken hop, and what was not reached behind it."""
    return tuple(_path(facts, service, findings) for service in facts.services)


def _path(facts: Facts, service: ServiceFacts, findings: Sequence[Finding]) -> Path:
    about = [
        f
        for f in findings
        if f.status == "failure" and f.hop and f.service_name in (None, service.service_name)
    ]
    roots = [f for f in about if f.follows_from is None] or about
    broken = roots[0].hop if roots else None
    doubted = {f.hop for f in about if f.hop != broken}
    states: dict[HopName, HopState] = {}
    for name in HOPS:
        if broken is not None and HOPS.index(name) > HOPS.index(broken):
            states[name] = "not-reached"
        elif name == broken:
            states[name] = "broken"
        elif name in doubted:
            states[name] = "unknown"
        else:
            seen = _seen(name, service)
            lost = "not-reached" in states.values()
            states[name] = "not-reached" if lost and seen == "unknown" else seen
    labels = _labels(facts, service)
    hops = tuple(Hop(name=name, label=labels[name], state=states[name]) for name in HOPS)
    return Path(service_name=service.service_name, hops=hops)


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
    peers = service.peers
    best = next((p for p in peers if p.is_good), next(iter(peers), None))
    if best is None and service.serving is not None:
        interface = service.serving.vpc_endpoint.vpc_endpoint_id
    else:
        interface = best.label if best is not None else "network interface"
    return {
        "you": f"you ({where})" if where else "you",
        "dns": "DNS",
        "network-interface": interface,
        "tls": "TLS",
        "signature": "SigV4",
        "endpoint-policy": "endpoint policy",
        "service": "SageMaker" if service.service_name == "sagemaker" else _title(service),
    }


def _title(service: ServiceFacts) -> str:
    rest = service.service_name.removeprefix("sagemaker-").replace("-", " ")
    return f"SageMaker {rest.title()}"


def diagnose(
    session: Session | None = None,
    services: Sequence[str] = ("sagemaker", "sagemaker-runtime"),
    *,
    deep: bool = False,
) -> Report:
    """Finds out what is wrong between here and SageMaker, in at most fifteen seconds.

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
