"""Checks of route, endpoint policy, signed call, other services and plugin hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.checks.check import (
    NO_VPC_ENDPOINT,
    Check,
    CheckResult,
    create_vpc_endpoint,
    failure,
    failure_if,
    ok,
    unknown,
    warning,
)
from sm_private_client.doctor.checks.environment import EXPIRED_CODES, SIGNATURE_CODES
from sm_private_client.doctor.facts import Facts, RouteFailure, ServiceFacts, Unknown
from sm_private_client.errors import PolicyError
from sm_private_client.plugin import ENTRY, VARIABLE
from sm_private_client.policy.evaluation import Decision, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.doctor.facts import Call, Identity
    from sm_private_client.privatelink.records import VpcEndpoint

__all__ = ["endpoint_policy", "other_service", "permission", "plugin_hook", "route", "signed_call"]

_LAST_CLIENT_ERROR: Final = 499
_NO_WAY: Final = (
    "settings",
    "credentials",
    "credentials-expiry",
    "signature",
    "clock",
    "proxy",
    "resolver",
    *NO_VPC_ENDPOINT,
    "vpc-attributes",
    "private-dns",
    "dns",
)


@Check(
    name="route",
    looks_at="whether a private route was found, and by which step",
    meaning="no step led to the service privately: neither a setting, nor private DNS, nor what "
    "EC2 shows this identity.",
    remedies=(
        "{first}",
        "export SM_PRIVATE_VPC_ENDPOINT=<the DNS name of the VPC endpoint>",
        create_vpc_endpoint(),
    ),
    hop="dns",
    explained_by=_NO_WAY,
).for_each_service
def route(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    route = service.route
    if isinstance(route, RouteFailure):
        seen = f"{route.what.rstrip(':.').strip()}."
    elif route.is_local:
        seen = f"{route.host} is a stand-in on this machine, not a private route."
        yield ok(service.service_name, seen)
        return
    elif route.source != "public":
        yield ok(service.service_name, f"Calls go to {route.host} ({route.source}).")
        return
    else:
        seen = (
            f"There is no private route, and on_public_route='warn' lets calls go to {route.host}."
        )
    yield failure_if(
        not service.has_route,
        service.service_name,
        seen,
        first=_first_remedy(service.vpc_endpoints),
        service=service.endpoint_service,
        vpc=facts.vpc_label,
    )


def _first_remedy(vpc_endpoints: object) -> str:
    if not isinstance(vpc_endpoints, Unknown):
        return "sm-private-client routes, which shows every step that was tried"
    if vpc_endpoints.permission is None:
        return f"run the doctor again once EC2 answers: {vpc_endpoints.reason}"
    permission = vpc_endpoints.permission
    return f"allow {permission} for this identity, so that the VPC endpoint can be found"


@Check(
    name="endpoint-policy",
    looks_at="the VPC endpoint's policy, and whether it would let this identity make the call",
    meaning="the VPC endpoint lets only pass what its policy allows, whatever the identity may do.",
    remedies=(
        "allow {action} in the policy: aws ec2 modify-vpc-endpoint --vpc-endpoint-id "
        "{vpc_endpoint} --policy-document file://policy.json",
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpc_endpoint} --reset-policy",
    ),
    hop="endpoint-policy",
).for_each_service
def endpoint_policy(facts: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    used = service.serving.vpc_endpoint if service.serving is not None else None
    call = service.call
    subject = used.vpc_endpoint_id if used is not None else service.service_name
    action = call.action if call is not None else "sagemaker:InvokeEndpoint"
    values = {"vpc_endpoint": subject, "action": action}
    if call is not None and _is_policy_of_endpoint(call):
        seen = f"AWS says that the VPC endpoint's policy refuses {action}."
        yield failure(subject, seen, **values)
    elif used is None:
        return
    elif service.has_endpoint_policy is False or not used.policy:
        yield ok(subject, "Its endpoint service takes no endpoint policies.")
    elif isinstance(facts.identity, Unknown):
        yield unknown(subject, facts.identity)
    elif isinstance(decision := _decision(facts, service, facts.identity, used, action), Unknown):
        yield unknown(subject, decision)
    elif decision.allowed:
        yield ok(subject, decision.why)
    elif call is not None and call.expected:
        yield warning(subject, f"{decision.why} The call still came through.", **values)
    else:
        yield failure(subject, decision.why, **values)


def _is_policy_of_endpoint(call: Call) -> bool:
    return "endpoint polic" in call.denied_by.lower()


def _decision(
    facts: Facts, service: ServiceFacts, identity: Identity, vpc_endpoint: VpcEndpoint, action: str
) -> Decision | Unknown:
    resource = "*"
    if not action.startswith("sagemaker:List"):
        kind = "feature-group" if "featurestore" in service.service_name else "endpoint"
        resource = (
            f"arn:{facts.partition}:sagemaker:{facts.region}:{identity.account_id}:{kind}/"
            "sm-private-client-doctor-probe"
        )
    try:
        return evaluate(
            vpc_endpoint.policy,
            principal=identity.arn,
            action=action,
            resource=resource,
            context={
                "aws:SourceVpce": vpc_endpoint.vpc_endpoint_id,
                "aws:SourceVpc": vpc_endpoint.vpc_id,
            },
        )
    except PolicyError as error:
        return Unknown(reason=f"the policy cannot be read: {error.what}")


@Check(
    name="permission",
    looks_at="whether the identity may make the harmless call that is tried",
    meaning="the way to the service is open; only this call is not allowed.",
    remedies=(),
    hop="service",
).for_each_service
def permission(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    call = service.call
    if call is None or "AccessDenied" not in (call.code or "") or _is_policy_of_endpoint(call):
        return
    by = f" by its {call.denied_by}" if call.denied_by else ""
    reason = f"the call was answered, but {call.action} is refused to this identity{by}"
    yield unknown(service.service_name, Unknown(reason=reason, permission=call.action))


@Check(
    name="signed-call",
    looks_at="one signed call that changes nothing: ListEndpoints with MaxResults=1; "
    "InvokeEndpoint of an endpoint that does not exist, which SageMaker itself must refuse with "
    "ValidationError, so that no model runs; GetRecord of a feature group that does not exist",
    meaning="what answers is not {name}, or {name} has trouble of its own, or nothing answers.",
    remedies=("run again with --deep; see https://health.aws.amazon.com/health/status for {name}",),
    hop="service",
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
).for_each_service
def signed_call(_: Facts, service: ServiceFacts) -> Iterator[CheckResult]:
    call, name = service.call, service.service_name
    if call is None:
        if service.works:
            reason = "no harmless call is known for it, or there are no credentials"
            yield unknown(name, Unknown(reason=f"{reason}; TLS was answered"))
        return
    code = call.code or ""
    answered = f"{call.operation} was answered"
    if call.expected:
        proof = f" with {code}, which only {name} says" if code else ""
        yield ok(name, f"{answered}{proof}, in {call.seconds * 1000:.0f} ms.")
    elif call.failure is not None:
        yield failure(name, f"{call.operation} got no answer: {call.failure}", name=name)
    elif code in EXPIRED_CODES | SIGNATURE_CODES or "AccessDenied" in code:
        return  # reported by the checks of credentials, policy and permission
    elif "Throttl" in code:
        yield warning(name, f"{call.operation} was throttled ({code}).", name=name)
    elif call.status is not None and call.status > _LAST_CLIENT_ERROR:
        yield failure(name, f"{answered} with {code} (HTTP {call.status}).", name=name)
    elif name in ("sagemaker", "sagemaker-runtime"):
        yield failure(name, f"{answered} with {code}, which {name} would not say.", name=name)
    else:
        yield ok(name, f"{answered} with {code}: somebody is there.")


@Check(
    name="other-service",
    looks_at="the services that SageMaker code also calls (STS, S3, Logs, ECR, KMS; with --deep "
    "all of them): private, public or unreachable",
    meaning="code that calls it leaves the private network, or hangs until its time-outs are over.",
    remedies=("{command}",),
).for_session
def other_service(facts: Facts) -> Iterator[CheckResult]:
    for other in facts.other_services:
        about = f"{other.host} ({other.purpose})"
        if other.private and other.reached is not False:
            yield ok(other.service_name, f"{about} is private, through {other.through}.")
            continue
        if other.reached:
            seen = f"{about} is reached at {other.addresses[0]}, which is public."
        else:
            seen = f"{about} is not reached: {other.failure or 'no answer'}."
        command = create_vpc_endpoint(other.endpoint_service, facts.vpc_label)
        if other.interface is not None:
            command = (
                f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {other.interface} "
                "--private-dns-enabled"
            )
        yield warning(other.service_name, seen, command=command)


@Check(
    name="plugin-hook",
    looks_at="whether the plugin hook for other people's clients is set, and live",
    meaning="botocore passes over a plugin that it cannot load: clients of other libraries go out "
    "publicly although the variable is set.",
    remedies=(
        f'export {VARIABLE}="{ENTRY}", where sm-private-client is installed for the same Python',
    ),
).for_session
def plugin_hook(facts: Facts) -> Iterator[CheckResult]:
    live = facts.hook.live
    if not facts.hook.configured:
        yield ok(VARIABLE, "It does not name our plugin; only this package's clients are routed.")
    elif isinstance(live, Unknown):
        yield unknown(VARIABLE, live)
    elif live:
        yield ok(VARIABLE, "It names our plugin, and a plain client is routed.")
    else:
        yield failure(VARIABLE, "It names our plugin, but a plain client is not routed by it.")
