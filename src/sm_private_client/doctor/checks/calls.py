"""Checks of route, endpoint policy, signed call, other services and plugin hook."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.checks.check import (
    Check,
    CheckResult,
    failure,
    ok,
    unknown,
    warning,
)
from sm_private_client.doctor.checks.session import (
    EXPIRED_CODES,
    SIGNATURE_CODES,
    UNKNOWN_KEY_CODES,
)
from sm_private_client.doctor.facts import (
    Facts,
    Identity,
    OtherServiceFacts,
    RouteFailure,
    ServiceFacts,
)
from sm_private_client.doctor.observations import Unknown
from sm_private_client.errors import PolicyError
from sm_private_client.policy.evaluation import Decision, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.observations import VpcEndpointFacts

__all__ = ["CALL", "HOOK", "OTHER_SERVICES", "PERMISSION", "POLICY", "ROUTE"]

_THROTTLED: Final = "*Throttl*"
_LAST_CLIENT_ERROR: Final = 499
_NO_WAY: Final = (
    "settings",
    "credentials",
    "credentials-expiry",
    "signature",
    "clock",
    "proxy",
    "resolver",
    "custom-url-target",
    "custom-url",
    "fips",
    "named-vpc-endpoint",
    "discovery",
    "vpc-endpoint",
    "vpc-endpoint-state",
    "vpc-endpoint-vpc",
    "vpc-attributes",
    "private-dns",
    "dns",
)


def _route(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    route = service.route
    if isinstance(route, RouteFailure):
        wanted = service.endpoint_services[0] if service.endpoint_services else service.service_name
        yield failure(
            service.service_name,
            route.what.rstrip(":.").strip() + ".",
            first=_first_remedy(service.vpc_endpoints),
            service=wanted,
            vpc=facts.vpc_id or "<vpc>",
        )
    elif route.is_local:
        seen = f"{route.host} is a stand-in on this machine, not a private route."
        yield ok(service.service_name, seen)
    elif route.source == "public":
        seen = (
            f"There is no private route, and on_public_route='warn' lets calls go to {route.host}."
        )
        yield warning(
            service.service_name,
            seen,
            first=_first_remedy(service.vpc_endpoints),
            service=service.endpoint_services[0] if service.endpoint_services else "",
            vpc=facts.vpc_id or "<vpc>",
        )
    else:
        yield ok(service.service_name, f"Calls go to {route.host} ({route.source}).")


def _first_remedy(told: object) -> str:
    if isinstance(told, Unknown) and told.permission is not None:
        return f"allow {told.permission} for this identity, so that the VPC endpoint can be found"
    if isinstance(told, Unknown):
        return f"run the doctor again once EC2 answers: {told.reason}"
    return "sm-private-client routes, which shows every step that was tried"


ROUTE = Check(
    name="route",
    looks_at="whether a private route was found, and by which step",
    meaning="no step led to the service privately: neither a setting, nor private DNS, nor what "
    "EC2 shows this identity.",
    remedies=(
        "{first}",
        "export SM_PRIVATE_VPC_ENDPOINT=<the DNS name of the VPC endpoint>",
        "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name {service} "
        "--vpc-id {vpc} --subnet-ids <subnets> --private-dns-enabled",
    ),
    hop="dns",
    service=_route,
    explained_by=_NO_WAY,
)


def _partition_resource(facts: Facts, service: ServiceFacts, account_id: str) -> str:
    kind = "feature-group" if "featurestore" in service.service_name else "endpoint"
    return f"arn:{facts.partition}:sagemaker:{facts.region}:{account_id}:{kind}/*"


def _is_listing(action: str) -> bool:
    return action.rpartition(":")[2].startswith("List")


def _policy(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    used, call = service.serving, service.call
    refused = call is not None and "endpoint polic" in call.denied_by.lower()
    subject = used.vpc_endpoint.vpc_endpoint_id if used is not None else service.service_name
    action = call.action if call is not None else "sagemaker:InvokeEndpoint"
    values = {"vpc_endpoint": subject, "action": action}
    if refused:
        yield failure(
            subject, f"AWS says that the VPC endpoint's policy refuses {action}.", **values
        )
        return
    if used is None:
        return
    if service.has_endpoint_policy is False or not used.vpc_endpoint.policy:
        yield ok(subject, "Its endpoint service takes no endpoint policies.")
        return
    if isinstance(facts.identity, Unknown):
        yield unknown(subject, facts.identity)
        return
    decision = _decision(facts, service, facts.identity, used, action)
    if isinstance(decision, Unknown):
        yield unknown(subject, decision)
    elif decision.allowed:
        yield ok(subject, decision.why)
    elif call is not None and call.expected:
        yield warning(subject, f"{decision.why} The call came through nevertheless.", **values)
    else:
        yield failure(subject, decision.why, **values)


def _decision(
    facts: Facts, service: ServiceFacts, identity: Identity, used: VpcEndpointFacts, action: str
) -> Decision | Unknown:
    standing = used.vpc_endpoint
    resource = "*"
    if not _is_listing(action):
        resource = _partition_resource(facts, service, identity.account_id).removesuffix("*")
        resource += "sm-private-client-doctor-probe"
    context = {"aws:SourceVpce": standing.vpc_endpoint_id, "aws:SourceVpc": standing.vpc_id}
    try:
        return evaluate(
            standing.policy,
            principal=identity.arn,
            action=action,
            resource=resource,
            context=context,
        )
    except PolicyError as error:
        return Unknown(reason=f"the policy cannot be read: {error.what}")


POLICY = Check(
    name="endpoint-policy",
    looks_at="the VPC endpoint's policy, and whether it would let this identity make the call",
    meaning="the VPC endpoint lets only pass what its policy allows, whatever the identity may do.",
    remedies=(
        "allow {action} in the policy: aws ec2 modify-vpc-endpoint --vpc-endpoint-id "
        "{vpc_endpoint} --policy-document file://policy.json",
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --reset-policy",
    ),
    hop="endpoint-policy",
    service=_policy,
)


def _permission(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    del facts
    call = service.call
    if call is None or call.code is None or "AccessDenied" not in call.code:
        return
    if "endpoint polic" in call.denied_by.lower():
        return
    by = f" by its {call.denied_by}" if call.denied_by else ""
    reason = f"the call was answered, but {call.action} is refused to this identity{by}"
    yield unknown(service.service_name, Unknown(reason=reason, permission=call.action))


PERMISSION = Check(
    name="permission",
    looks_at="whether the identity may make the harmless call that is tried",
    meaning="the way to the service is open; only this call is not allowed.",
    remedies=(),
    hop="service",
    service=_permission,
)


def _call(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    del facts
    call = service.call
    name = service.service_name
    if call is None:
        if service.has_route and service.works:
            reason = "no harmless call is known for it, or there are no credentials"
            yield unknown(name, Unknown(reason=f"{reason}; TLS was answered"))
        return
    code = call.code or ""
    if call.expected:
        answered = f"{call.operation} was answered"
        proof = f" with {code}, which only {name} says" if code else ""
        yield ok(name, f"{answered}{proof}, in {call.seconds * 1000:.0f} ms.")
    elif call.failure is not None:
        yield failure(name, f"{call.operation} got no answer: {call.failure}", name=name)
    elif code in EXPIRED_CODES | SIGNATURE_CODES | UNKNOWN_KEY_CODES or "AccessDenied" in code:
        return  # said by the checks of credentials, policy and permission
    elif fnmatch.fnmatchcase(code, _THROTTLED):
        yield warning(name, f"{call.operation} was throttled ({code}).", name=name)
    elif call.status is not None and call.status > _LAST_CLIENT_ERROR:
        seen = f"{call.operation} was answered with {code} (HTTP {call.status})."
        yield failure(name, seen, name=name)
    elif name in ("sagemaker", "sagemaker-runtime"):
        seen = f"{call.operation} was answered with {code}, which {name} would not say."
        yield failure(name, seen, name=name)
    else:
        yield ok(name, f"{call.operation} was answered with {code}: somebody is there.")


CALL = Check(
    name="signed-call",
    looks_at="one signed call that changes nothing: ListEndpoints with MaxResults=1; "
    "InvokeEndpoint of an endpoint that does not exist, which SageMaker itself must refuse with "
    "ValidationError, so that no model runs; GetRecord of a feature group that does not exist",
    meaning="what answers is not {name}, or {name} has trouble of its own, or nothing answers.",
    remedies=("run again with --deep; see https://health.aws.amazon.com/health/status for {name}",),
    hop="service",
    service=_call,
    explained_by=(
        *_NO_WAY,
        "ca-bundle",
        "security-group",
        "network-acl",
        "ip-address-type",
        "connection",
        "tls-name",
        "tls-expired",
        "tls-inspection",
        "tls-authority",
        "tls-handshake",
        "endpoint-policy",
    ),
)


def _other_services(facts: Facts) -> Iterator[CheckResult]:
    for other_service in facts.other_services:
        name = other_service.service_name
        values = {"command": _other_service_command(facts, other_service)}
        about = f"{other_service.host} ({other_service.purpose})"
        if other_service.private and other_service.reached is not False:
            yield ok(name, f"{about} is private, through {other_service.through}.")
        elif other_service.reached:
            seen = f"{about} is reached at {other_service.addresses[0]}, which is public."
            yield warning(name, seen, **values)
        else:
            why = other_service.failure or "no answer"
            yield warning(name, f"{about} is not reached: {why}.", **values)


def _other_service_command(facts: Facts, other_service: OtherServiceFacts) -> str:
    if other_service.interface is not None:
        turn = (
            f"modify-vpc-endpoint --vpc-endpoint-id {other_service.interface} --private-dns-enabled"
        )
        return f"aws ec2 {turn}"
    return (
        f"aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name "
        f"{other_service.endpoint_service} --vpc-id {facts.vpc_id or '<vpc>'} "
        "--subnet-ids <subnets> "
        "--private-dns-enabled"
    )


OTHER_SERVICES = Check(
    name="other-service",
    looks_at="the services that SageMaker code also calls (STS, S3, Logs, ECR, KMS; with --deep "
    "all of them): private, public or unreachable",
    meaning="code that calls it leaves the private network, or hangs until its time-outs are over.",
    remedies=("{command}",),
    session=_other_services,
)


def _hook(facts: Facts) -> Iterator[CheckResult]:
    hook = facts.hook
    variable = "BOTOCORE_EXPERIMENTAL__PLUGINS"
    if not hook.wanted:
        yield ok(variable, "It does not name our plugin; only this package's clients are routed.")
    elif isinstance(hook.live, Unknown):
        yield unknown(variable, hook.live)
    elif hook.live:
        yield ok(variable, "It names our plugin, and a plain client is routed.")
    else:
        yield failure(variable, "It names our plugin, but a plain client is not routed by it.")


HOOK = Check(
    name="plugin-hook",
    looks_at="whether the plugin hook for other people's clients is set, and live",
    meaning="botocore passes over a plugin that it cannot load: clients of other libraries go out "
    "publicly although the variable is set.",
    remedies=(
        'export BOTOCORE_EXPERIMENTAL__PLUGINS="sm-private-client=sm_private_client.plugin", where '
        "sm-private-client is installed for the same Python",
    ),
    session=_hook,
)
