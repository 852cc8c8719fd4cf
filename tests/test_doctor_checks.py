"""The doctor's checks as tables: facts written by hand, and what each check says of them."""

from __future__ import annotations

import runpy
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sm_private_client.doctor.checks.connections import blocked_directions, lets_in
from sm_private_client.doctor.checks.environment import covered_by_no_proxy
from sm_private_client.doctor.checks.table import CHECKS, check_all
from sm_private_client.doctor.diagnose import paths, ranked
from sm_private_client.doctor.facts import (
    AclEntry,
    Call,
    Certificate,
    Credentials,
    Environment,
    Facts,
    GroupRule,
    Hook,
    Identity,
    NameAnswer,
    NetworkAcl,
    OtherServiceFacts,
    Peer,
    RouteFailure,
    SecurityGroup,
    ServiceFacts,
    Subnet,
    TlsResult,
    Unknown,
    UrlSetting,
    VpcEndpointFacts,
    VpcFacts,
)
from sm_private_client.doctor.findings import Finding
from sm_private_client.doctor.probes.service import denied_by, read_host
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.hostnames import Partition
from sm_private_client.privatelink.records import EndpointAddress, Evidence, Route, VpcEndpoint
from sm_private_client.routing.location import Location

VPC = "vpc-0a1b2c3d"
VPCE = "vpce-0fe5b17a0707d6abc"
HOST = f"{VPCE}-29p5708s.api.sagemaker.us-east-1.vpce.amazonaws.com"
DEFAULT = "api.sagemaker.us-east-1.amazonaws.com"
ENDPOINT_SERVICE = "com.amazonaws.us-east-1.sagemaker.api"
DENIED = Unknown(reason="not allowed", permission="ec2:DescribeVpcEndpoints")
LOST = Unknown(reason="EC2 is not reached", unreachable=True)
ALLOW = '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}'
NOTHING = ALLOW.replace('"Action": "*"', '"Action": "sagemaker:CreateModel"')
ADDRESS = EndpointAddress(
    address="10.0.1.10", availability_zone="us-east-1a", network_interface_id="eni-1"
)
CERTIFICATE = Certificate(
    names=("*.api.sagemaker.us-east-1.vpce.amazonaws.com",),
    issuer="Amazon, Amazon RSA 2048 M02",
    not_before="2026-01-01T00:00:00Z",
    not_after="2027-01-01T00:00:00Z",
)
PEER = Peer(address=ADDRESS, seconds=0.002, tls=TlsResult(certificate=CERTIFICATE, seconds=0.004))
OPEN = SecurityGroup(group_id="sg-1", rules=(GroupRule(cidrs=("10.0.0.0/16",)),))
ALLOW_ALL = (
    AclEntry(number=100, egress=False, allow=True),
    AclEntry(number=100, egress=True, allow=True),
)
VPCE_FACTS = VpcEndpointFacts(
    vpc_endpoint=VpcEndpoint(
        vpc_endpoint_id=VPCE,
        endpoint_service=ENDPOINT_SERVICE,
        vpc_id=VPC,
        state="available",
        private_dns_enabled=True,
        dns_names=(HOST, DEFAULT),
        subnet_ids=("subnet-1",),
        network_interface_ids=("eni-1",),
        addresses=(ADDRESS,),
        policy=ALLOW,
    ),
    security_groups=(OPEN,),
    network_acls=(NetworkAcl(acl_id="acl-1", subnet_ids=("subnet-1",), entries=ALLOW_ALL),),
    subnets=(Subnet(subnet_id="subnet-1", availability_zone="us-east-1a"),),
)
ROUTE = Route(
    service_name="sagemaker",
    region="us-east-1",
    partition="aws",
    endpoint_url=f"https://{HOST}",
    source="discovery",
    vpc_endpoint=VPCE_FACTS.vpc_endpoint,
    addresses=(ADDRESS,),
)
NO_ROUTE = RouteFailure(reference="no-private-route", what="No private route to sagemaker.")
CALL = Call(
    operation="ListEndpoints",
    action="sagemaker:ListEndpoints",
    status=200,
    expected=True,
    clock_skew=0.4,
)
NAMES = (
    NameAnswer(host=DEFAULT, kind="default", addresses=("10.0.1.10",)),
    NameAnswer(host=HOST, kind="regional", addresses=("10.0.1.10",)),
)
PUBLIC = NameAnswer(
    host=DEFAULT,
    kind="default",
    addresses=("52.46.128.1",),
    refused=(("52.46.128.1", "is public"),),
)
SERVICE = ServiceFacts(
    service_name="sagemaker",
    vpc_id=VPC,
    endpoint_services=(ENDPOINT_SERVICE,),
    default_host=DEFAULT,
    route=ROUTE,
    vpc_endpoints=(VPCE_FACTS,),
    names=NAMES,
    peers=(PEER,),
    call=CALL,
)
OTHER_SERVICE = OtherServiceFacts(
    service_name="sts",
    host="sts.us-east-1.amazonaws.com",
    endpoint_service="com.amazonaws.us-east-1.sts",
    purpose="roles",
    addresses=("10.0.1.20",),
    private=True,
    through="private addresses",
    reached=True,
)
FACTS = Facts(
    region="us-east-1",
    partition="aws",
    credentials=Credentials(source="iam-role", temporary=True, seconds_left=7200),
    identity=Identity(arn="arn:aws:iam::123456789012:user/me", account_id="123456789012"),
    location=Location(vpc_id=VPC, availability_zone="us-east-1a", source="the instance metadata"),
    vpc_id=VPC,
    availability_zone="us-east-1a",
    vpc=VpcFacts(vpc_id=VPC, cidrs=("10.0.0.0/16",)),
    name_servers=("10.0.0.2",),
    services=(SERVICE,),
    other_services=(OTHER_SERVICE,),
)


def with_service(**changes: Any) -> Facts:
    return replace(FACTS, services=(replace(SERVICE, **changes),))


def broken(**changes: Any) -> Facts:
    """The service's call got no answer."""
    call = replace(CALL, status=None, expected=False, failure="timed out.", clock_skew=None)
    return with_service(**{"call": call, **changes})


def stranded(**changes: Any) -> Facts:
    return with_service(**{"route": NO_ROUTE, "call": None, "peers": (), **changes})


def vpce_facts(**changes: Any) -> tuple[VpcEndpointFacts, ...]:
    return (replace(VPCE_FACTS, **changes),)


def described(**changes: Any) -> tuple[VpcEndpointFacts, ...]:
    return (replace(VPCE_FACTS, vpc_endpoint=replace(VPCE_FACTS.vpc_endpoint, **changes)),)


def answered(code: str, status: int = 400, **more: Any) -> Facts:
    call = replace(CALL, expected=False, code=code, status=status, **more)
    return with_service(call=call)


def tls(problem: Any, certificate: Certificate | None = CERTIFICATE, detail: str = "") -> Any:
    result = TlsResult(problem=problem, certificate=certificate, detail=detail)
    return (replace(PEER, tls=result),)


def environment(**changes: Any) -> Facts:
    return replace(FACTS, environment=Environment(**changes))


def url(**changes: Any) -> UrlSetting:
    return UrlSetting(**{"host": HOST, "origin": "AWS_ENDPOINT_URL*", **changes})


def with_variables(service: dict[str, Any], **variables: str) -> Facts:
    seen = with_service(**service)
    return replace(seen, environment=Environment(variables=tuple(variables.items())))


def expiring(seconds: float) -> Facts:
    return replace(FACTS, credentials=Credentials(source="sso", seconds_left=seconds))


def failed(reference: str, what: str) -> Facts:
    return stranded(route=RouteFailure(reference=reference, what=what))


def unreached(**changes: Any) -> Facts:
    """No peer takes a connection."""
    return broken(peers=UNSEEN, vpc_endpoints=vpce_facts(**changes))


def other_service(**changes: Any) -> Facts:
    return replace(FACTS, other_services=(replace(OTHER_SERVICE, **changes),))


UNSEEN = (replace(PEER, tcp_failure="no answer within 2 s", tls=None),)
CORPORATE = replace(CERTIFICATE, issuer="Corporate Proxy CA")
CLOSED = SecurityGroup(group_id="sg-1", rules=(GroupRule(cidrs=("192.0.2.0/24",)),))
BY_GROUP = SecurityGroup(group_id="sg-1", rules=(GroupRule(group_ids=("sg-mine",)),))
DROPS = replace(VPCE_FACTS.network_acls[0], entries=ALLOW_ALL[:1])  # type: ignore[index] # not Unknown
FIPS = Environment(fips=True)
OTHER = replace(VPCE_FACTS.vpc_endpoint, vpc_id="vpc-0f0f0f0f")

LATE_NAME = replace(NAMES[0], addresses=(), failure="late", unanswered=True)
UNRESOLVED = replace(NAMES[0], addresses=(), failure="does not resolve (none)")
NO_PRIVATE_DNS = described(private_dns_enabled=False)
IPV6 = described(ip_address_type="ipv6")
VPC_WITHOUT_DNS = VpcFacts(vpc_id=VPC, dns_support=False, dns_hostnames=False)

ROWS: list[tuple[str, Facts, str | None, str]] = [
    ("settings", FACTS, "ok", "us-east-1, of the partition aws"),
    ("settings", Facts(region="", settings_problem="no region is set"), "failure", "no region is"),
    ("ca-bundle", FACTS, "ok", "botocore's own CA bundle"),
    ("ca-bundle", environment(ca_bundle_problem="It cannot be used."), "failure", "cannot be used"),
    ("credentials", FACTS, "ok", "temporary credentials from iam-role, of arn:aws:iam"),
    ("credentials", replace(FACTS, credentials=None), "failure", "No credentials were found."),
    ("credentials", replace(FACTS, credentials=DENIED), "failure", "no usable credentials: not"),
    ("credentials-expiry", FACTS, "ok", "good for 120 minutes more"),
    ("credentials-expiry", expiring(120), "warning", "expire in 2 minutes"),
    ("credentials-expiry", expiring(-1), "failure", "have expired"),
    ("credentials-expiry", answered("ExpiredTokenException", 403), "failure", "have expired"),
    ("credentials-expiry", replace(FACTS, credentials=Credentials(source="env")), "ok", "not say"),
    ("credentials-expiry", replace(FACTS, credentials=None), None, ""),
    ("clock", FACTS, "ok", "agrees with AWS's"),
    ("clock", with_service(call=replace(CALL, clock_skew=-90)), "warning", "90 s behind"),
    ("clock", with_service(call=replace(CALL, clock_skew=301)), "failure", "301 s ahead of"),
    ("clock", answered("RequestTimeTooSkewed", 403), "failure", "0 s ahead of"),
    ("clock", stranded(), "unknown", "no service answered with its time"),
    ("signature", FACTS, "ok", "accepts the signature"),
    ("signature", answered("UnrecognizedClientException", 403), "failure", "(Unrecognized"),
    ("signature", answered("InvalidSignatureException", 403), "failure", "(InvalidSignature"),
    ("signature", answered("AccessDeniedException", 403), "ok", "accepts the signature"),
    ("proxy", FACTS, "ok", "No proxy is set."),
    ("proxy", environment(proxies=(("HTTPS_PROXY", "proxy:8080"),)), "warning", "proxy:8080"),
    (
        "proxy",
        environment(proxies=(("HTTPS_PROXY", "proxy:8080"),), no_proxy=(".amazonaws.com",)),
        "ok",
        "NO_PROXY keeps the private hosts from it",
    ),
    (
        "proxy",
        replace(
            stranded(vpc_endpoints=LOST),
            environment=Environment(proxies=(("HTTPS_PROXY", "proxy:8080"),)),
        ),
        "failure",
        "EC2 was not reached",
    ),
    ("custom-url-target", FACTS, None, ""),
    ("custom-url-target", with_service(url_setting=url()), "ok", HOST),
    (
        "custom-url-target",
        with_service(url_setting=url(names_service="sagemaker-runtime")),
        "failure",
        "which is sagemaker-runtime, not sagemaker",
    ),
    (
        "custom-url-target",
        with_service(url_setting=url(names_service="sagemaker", names_region="eu-west-1")),
        "failure",
        "in eu-west-1, but the region is us-east-1",
    ),
    ("custom-url-target", broken(url_setting=url(host="")), "failure", "no URL of a host"),
    ("custom-url", FACTS, None, ""),
    (
        "custom-url",
        with_variables({}, AWS_ENDPOINT_URL="https://x"),
        "warning",
        "every AWS service",
    ),
    (
        "custom-url",
        with_variables({"call": None, "peers": ()}, AWS_ENDPOINT_URL="https://x"),
        "failure",
        "every AWS service to https://x",
    ),
    (
        "custom-url",
        with_variables({}, AWS_ENDPOINT_URL="https://x", AWS_ENDPOINT_URL_SAGEMAKER="https://y"),
        None,
        "",
    ),
    (
        "custom-url",
        with_variables(
            {}, AWS_ENDPOINT_URL="https://x", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true"
        ),
        "warning",
        "passed over",
    ),
    ("fips", FACTS, None, ""),
    ("fips", replace(FACTS, environment=FIPS), "ok", "is a FIPS host"),
    (
        "fips",
        replace(failed("fips-unavailable", "None is there."), environment=FIPS),
        "failure",
        "FIPS is asked for. None is there.",
    ),
    (
        "fips",
        replace(with_service(url_setting=url()), environment=Environment(dual_stack=True)),
        "warning",
        "drops dual-stack",
    ),
    ("named-vpc-endpoint", FACTS, None, ""),
    ("named-vpc-endpoint", with_service(route=replace(ROUTE, source="explicit")), "ok", HOST),
    (
        "named-vpc-endpoint",
        failed("configuration", "It names another."),
        "failure",
        "It names another.",
    ),
    (
        "named-vpc-endpoint",
        stranded(
            route=replace(
                NO_ROUTE, steps=(Evidence(step="explicit", outcome="no", detail="no such id"),)
            )
        ),
        "failure",
        "No private route to sagemaker. no such id.",
    ),
    ("named-vpc-endpoint", stranded(), None, ""),
    ("discovery", FACTS, "ok", "EC2 describes"),
    ("discovery", with_service(vpc_endpoints=DENIED), "unknown", "not allowed"),
    ("discovery", with_service(vpc_endpoints=LOST), "warning", "EC2 is not reached"),
    ("discovery", stranded(vpc_endpoints=LOST), "failure", "EC2 is not reached"),
    ("vpc-endpoint", FACTS, "ok", VPCE),
    (
        "vpc-endpoint",
        stranded(vpc_endpoints=()),
        "failure",
        f"no VPC endpoint of {ENDPOINT_SERVICE}",
    ),
    ("vpc-endpoint", with_service(vpc_endpoints=()), "ok", "another one's is used"),
    ("vpc-endpoint", with_service(vpc_endpoints=DENIED), "unknown", "not allowed"),
    ("vpc-endpoint", with_service(vpc_endpoints=LOST), None, ""),
    ("vpc-endpoint", stranded(endpoint_services=()), "failure", "offers no endpoint service"),
    ("vpc-endpoint-state", FACTS, "ok", "is available"),
    (
        "vpc-endpoint-state",
        stranded(vpc_endpoints=described(state="pending")),
        "failure",
        "is in the state pending",
    ),
    (
        "vpc-endpoint-state",
        with_service(vpc_endpoints=described(state="deleting")),
        "warning",
        "is in the state deleting",
    ),
    ("vpc-endpoint-vpc", FACTS, "ok", f"There is one in {VPC}."),
    (
        "vpc-endpoint-vpc",
        stranded(vpc_endpoints=vpce_facts(vpc_endpoint=OTHER)),
        "failure",
        f"None is in {VPC}",
    ),
    (
        "vpc-endpoint-vpc",
        with_service(vpc_endpoints=vpce_facts(vpc_endpoint=OTHER)),
        "ok",
        "None is",
    ),
    (
        "vpc-endpoint-vpc",
        failed("ambiguous-vpc-endpoint", "Several."),
        "failure",
        "in several VPCs, and which is ours",
    ),
    ("vpc-attributes", FACTS, "ok", "enableDnsSupport is on"),
    ("vpc-attributes", replace(FACTS, vpc=None), None, ""),
    ("vpc-attributes", replace(FACTS, vpc=DENIED), "unknown", "not allowed"),
    (
        "vpc-attributes",
        replace(FACTS, vpc=VpcFacts(vpc_id=VPC, dns_support=DENIED, dns_hostnames=DENIED)),
        "unknown",
        "not allowed",
    ),
    ("vpc-attributes", replace(FACTS, vpc=VPC_WITHOUT_DNS), "warning", "enableDnsSupport is off"),
    (
        "vpc-attributes",
        replace(stranded(), vpc=VPC_WITHOUT_DNS),
        "failure",
        "enableDnsSupport is off",
    ),
    ("private-dns", FACTS, "ok", "Private DNS is on"),
    (
        "private-dns",
        with_service(vpc_endpoints=NO_PRIVATE_DNS, names=(PUBLIC, NAMES[1])),
        "warning",
        f"{DEFAULT} does not lead to it",
    ),
    (
        "private-dns",
        stranded(vpc_endpoints=NO_PRIVATE_DNS, names=(PUBLIC, NAMES[1])),
        "failure",
        f"{DEFAULT} does not lead to it",
    ),
    ("private-dns", with_service(vpc_endpoints=NO_PRIVATE_DNS), "ok", "still resolves privately"),
    ("dns", FACTS, "ok", "resolves to 10.0.1.10; the resolver is 10.0.0.2"),
    (
        "dns",
        broken(names=(replace(NAMES[1], addresses=(), failure="does not resolve (none)"),)),
        "failure",
        "does not resolve (none); the resolver is 10.0.0.2",
    ),
    ("dns", with_service(names=(UNRESOLVED,)), "warning", "does not resolve (none)"),
    ("dns", with_service(names=(PUBLIC,)), "warning", "52.46.128.1, which is public"),
    (
        "dns",
        with_service(names=(PUBLIC,), vpc_endpoints=NO_PRIVATE_DNS),
        "ok",
        "52.46.128.1, which is public",
    ),
    ("dns", stranded(names=(PUBLIC,)), "failure", "52.46.128.1, which is public"),
    ("dns", stranded(names=(PUBLIC,), vpc_endpoints=()), "ok", "52.46.128.1, which is public"),
    ("resolver", FACTS, "ok", "10.0.0.2 answers."),
    (
        "resolver",
        stranded(names=(LATE_NAME,)),
        "failure",
        "No name was answered; the resolver is 10.0.0.2.",
    ),
    ("resolver", with_service(names=(LATE_NAME,)), "warning", "No name was answered"),
    ("resolver", stranded(names=(LATE_NAME, PUBLIC)), "ok", "answers"),
    ("resolver", stranded(names=()), None, ""),
    ("route", FACTS, "ok", f"Calls go to {HOST} (discovery)."),
    ("route", stranded(), "failure", "No private route to sagemaker."),
    ("route", with_service(route=replace(ROUTE, source="public")), "warning", "on_public_route"),
    (
        "route",
        with_service(
            route=replace(
                ROUTE,
                endpoint_url="http://127.0.0.1:5000",
                address_policy=AddressPolicy(local=True),
            )
        ),
        "ok",
        "a stand-in on this machine",
    ),
    ("ip-address-type", FACTS, "ok", "ipv4"),
    (
        "ip-address-type",
        replace(broken(vpc_endpoints=IPV6), own_addresses=("10.0.1.9",)),
        "failure",
        "This machine has IPv4 only.",
    ),
    (
        "ip-address-type",
        replace(broken(vpc_endpoints=IPV6), own_addresses=("fd00::9",)),
        "ok",
        "ipv6",
    ),
    ("security-group", FACTS, "ok", "a connection was made"),
    ("security-group", unreached(), "ok", "sg-1 lets port 443 in from us"),
    (
        "security-group",
        unreached(security_groups=(CLOSED,)),
        "failure",
        "sg-1 does not let TCP port 443 in from 10.0.0.0/16",
    ),
    (
        "security-group",
        unreached(security_groups=(BY_GROUP,)),
        "unknown",
        "depends on groups or addresses that are not known",
    ),
    (
        "security-group",
        replace(unreached(security_groups=(BY_GROUP,)), own_group_ids=("sg-mine",)),
        "ok",
        "lets port 443 in",
    ),
    (
        "security-group",
        with_service(vpc_endpoints=vpce_facts(security_groups=DENIED)),
        "unknown",
        "not allowed",
    ),
    ("network-acl", FACTS, "ok", "acl-1 lets port 443 in and the answers out"),
    (
        "network-acl",
        unreached(network_acls=(DROPS,)),
        "failure",
        "acl-1 drops outbound traffic of 10.0.0.0/16, TCP ports 1024-65535, in subnet-1",
    ),
    ("network-acl", with_service(vpc_endpoints=vpce_facts(network_acls=(DROPS,))), "ok", "acl-1"),
    (
        "network-acl",
        with_service(vpc_endpoints=vpce_facts(network_acls=DENIED)),
        "unknown",
        "not allowed",
    ),
    ("connection", FACTS, "ok", "eni-1 10.0.1.10 (us-east-1a) took a connection in 2 ms."),
    ("connection", unreached(), "failure", "(us-east-1a): no answer within 2 s."),
    ("connection", with_service(peers=(*UNSEEN, PEER)), "warning", "no answer within 2 s."),
    ("tls-name", FACTS, "ok", f"The certificate is for {HOST}."),
    ("tls-name", broken(peers=tls("name")), "failure", f"not for {HOST}"),
    ("tls-name", with_service(peers=tls("name")), "warning", f"not for {HOST}"),
    ("tls-expired", FACTS, None, ""),
    (
        "tls-expired",
        broken(peers=tls("expired", replace(CERTIFICATE, expired=True))),
        "failure",
        "valid from 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z, signed by Amazon",
    ),
    ("tls-expired", broken(peers=tls("expired")), "failure", "a chain of certificates"),
    ("tls-expired", broken(peers=tls("expired", None)), "failure", "not valid now"),
    ("tls-inspection", FACTS, "ok", "Amazon, Amazon RSA 2048 M02 signed"),
    (
        "tls-inspection",
        broken(peers=tls("authority", CORPORATE)),
        "failure",
        "Corporate Proxy CA signed, which is not Amazon, and botocore's own CA bundle does not",
    ),
    ("tls-inspection", with_service(peers=tls(None, CORPORATE)), "warning", "trusts it"),
    ("tls-inspection", broken(peers=tls("authority")), "ok", "signed the certificate"),
    ("tls-authority", FACTS, "ok", "botocore's own CA bundle has the authority"),
    (
        "tls-authority",
        broken(peers=tls("authority")),
        "failure",
        "Amazon RSA 2048 M02, which botocore's own CA bundle does not have",
    ),
    ("tls-authority", broken(peers=tls("authority", CORPORATE)), None, ""),
    ("tls-handshake", FACTS, None, ""),
    ("tls-handshake", broken(peers=tls("handshake", None, "EOF")), "failure", "handshake: EOF."),
    (
        "tls-handshake",
        with_service(peers=(*tls("handshake", None, "EOF"), PEER)),
        "warning",
        "handshake: EOF.",
    ),
    ("endpoint-policy", FACTS, "ok", "allows sagemaker:ListEndpoints"),
    (
        "endpoint-policy",
        broken(vpc_endpoints=described(policy=NOTHING)),
        "failure",
        "sagemaker:ListEndpoints",
    ),
    (
        "endpoint-policy",
        with_service(vpc_endpoints=described(policy=NOTHING)),
        "warning",
        "The call still came through.",
    ),
    (
        "endpoint-policy",
        answered("AccessDeniedException", 403, denied_by="VPC endpoint policy"),
        "failure",
        "AWS says that the VPC endpoint's policy refuses sagemaker:ListEndpoints.",
    ),
    ("endpoint-policy", with_service(has_endpoint_policy=False), "ok", "no endpoint policies"),
    ("endpoint-policy", replace(FACTS, identity=DENIED), "unknown", "not allowed"),
    ("endpoint-policy", with_service(vpc_endpoints=described(policy="{")), "unknown", "be read"),
    ("permission", FACTS, None, ""),
    (
        "permission",
        answered("AccessDeniedException", 403, denied_by="identity-based policy"),
        "unknown",
        "sagemaker:ListEndpoints is refused to this identity by its identity-based policy",
    ),
    (
        "permission",
        answered("AccessDeniedException", 403, denied_by="VPC endpoint policy"),
        None,
        "",
    ),
    ("signed-call", FACTS, "ok", "ListEndpoints was answered"),
    ("signed-call", broken(), "failure", "ListEndpoints got no answer: timed out."),
    ("signed-call", answered("ServiceUnavailable", 503), "failure", "(HTTP 503)"),
    ("signed-call", answered("ThrottlingException"), "warning", "was throttled"),
    ("signed-call", answered("UnknownOperationException", 404), "failure", "would not say"),
    ("signed-call", answered("AccessDeniedException", 403), None, ""),
    ("signed-call", answered("ExpiredTokenException", 403), None, ""),
    ("signed-call", with_service(call=None), "unknown", "no harmless call is known for it"),
    ("signed-call", stranded(), None, ""),
    ("location", FACTS, "ok", f"This is us-east-1a in {VPC}, say the instance metadata."),
    (
        "location",
        replace(FACTS, vpc_id=None, availability_zone=None, location=None),
        "unknown",
        "no platform told it",
    ),
    ("zone", FACTS, "ok", "has a network interface in us-east-1a"),
    ("zone", replace(FACTS, availability_zone="us-east-1c"), "warning", "is in us-east-1a, and"),
    ("zone", replace(FACTS, availability_zone=None), None, ""),
    ("latency", FACTS, "ok", "took 6 ms for connection and TLS"),
    ("latency", with_service(peers=(replace(PEER, seconds=0.4),)), "warning", "took 404 ms"),
    ("other-service", FACTS, "ok", "(roles) is private, through private addresses"),
    ("other-service", other_service(private=False), "warning", "which is public"),
    (
        "other-service",
        other_service(reached=False, failure="no answer"),
        "warning",
        "is not reached: no answer",
    ),
    ("plugin-hook", FACTS, "ok", "does not name our plugin"),
    ("plugin-hook", replace(FACTS, hook=Hook(configured=True, live=True)), "ok", "is routed"),
    ("plugin-hook", replace(FACTS, hook=Hook(configured=True)), "failure", "is not routed by it"),
    (
        "plugin-hook",
        replace(FACTS, hook=Hook(configured=True, live=DENIED)),
        "unknown",
        "not allowed",
    ),
]


def of_check(facts: Facts, name: str) -> list[Finding]:
    return [finding for finding in check_all(facts) if finding.check == name]


@pytest.mark.parametrize(
    ("name", "facts", "status", "seen"),
    ROWS,
    ids=[f"{row[0]}-{row[2]}-{number}" for number, row in enumerate(ROWS)],
)
def test_what_a_check_says_of_facts(name: str, facts: Facts, status: str | None, seen: str) -> None:
    """Each check says its one thing; ``None`` stands for saying nothing."""
    findings = of_check(facts, name)
    if status is None:
        assert findings == []
        return
    first = findings[0]
    assert (first.status, seen in first.seen) == (status, True), first.seen
    assert (first.cause is not None) == (status in ("failure", "warning"))
    if status in ("failure", "warning"):
        assert first.remedy
        assert not any("{" in text for text in (*first.remedy, str(first.cause)))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_has_a_row_where_it_is_wrong_and_one_where_it_is_not(check: Any) -> None:
    """The table above forgets no check; `permission` can only be unknown."""
    statuses = {status for name, _, status, _ in ROWS if name == check.name}
    wrong = {"unknown"} if check.name in ("permission", "location") else {"failure", "warning"}
    assert statuses & wrong
    assert statuses & {"ok", None}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_can_be_shown_and_explained(check: Any) -> None:
    """Names are unique anchors; explanations are checks that stand earlier in the table."""
    names = [c.name for c in CHECKS]
    assert names.count(check.name) == 1
    assert set(check.name) <= set(string.ascii_lowercase + "-")
    assert all(names.index(earlier) < names.index(check.name) for earlier in check.explained_by)
    assert (check.session is None) != (check.service is None)


def test_healthy_facts_give_no_failure_warning_or_unknown() -> None:
    """The facts that the rows change are ok."""
    assert {finding.status for finding in check_all(FACTS)} == {"ok"}


def test_the_path_of_healthy_facts() -> None:
    """The whole path on one line."""
    (path,) = paths(FACTS, check_all(FACTS))
    assert path.line == (
        f"you ({VPC}, us-east-1a) → DNS → eni-1 10.0.1.10 (us-east-1a) → TLS → SigV4 → "
        "endpoint policy → SageMaker"
    )


def finding(check: str, **changes: Any) -> Finding:
    fields = {"status": "failure", "subject": "x", "seen": "x", "service_name": "sagemaker"}
    return Finding(check=check, remedy=("do",), **{**fields, **changes})


RANKED: list[tuple[list[Finding], list[tuple[str, str | None]]]] = [
    ([], []),
    ([finding("dns")], [("dns", None)]),
    ([finding("route"), finding("dns")], [("dns", None), ("route", "dns")]),
    (
        [finding("signed-call"), finding("tls-name"), finding("clock", service_name=None)],
        [("clock", None), ("tls-name", None), ("signed-call", "clock")],
    ),
    (
        [finding("signed-call"), finding("tls-name", service_name="sagemaker-runtime")],
        [("tls-name", None), ("signed-call", None)],
    ),
    (
        [finding("zone", status="warning"), finding("latency", status="ok"), finding("dns")],
        [("dns", None), ("zone", None), ("latency", None)],
    ),
    (
        [finding("dns", status="unknown"), finding("route", status="warning")],
        [("route", None), ("dns", None)],
    ),
    ([finding("route"), finding("dns", status="warning")], [("route", None), ("dns", None)]),
]


@pytest.mark.parametrize(("findings", "order"), RANKED)
def test_the_root_cause_comes_first_and_what_follows_is_marked(
    findings: list[Finding], order: list[tuple[str, str | None]]
) -> None:
    """Failures of the same service, or of all, explain; warnings explain nothing."""
    assert [(f.check, f.follows_from) for f in ranked(findings)] == order
    assert all(f.remedy == (() if f.follows_from else ("do",)) for f in ranked(findings))


def rule(**changes: Any) -> SecurityGroup:
    return SecurityGroup(group_id="sg-1", rules=(GroupRule(**changes),))


@pytest.mark.parametrize(
    ("group", "sources", "own", "allowed"),
    [
        (SecurityGroup(group_id="sg-1"), ("10.0.0.0/16",), (), False),
        (rule(cidrs=("10.0.0.0/16",)), ("10.0.1.9/32",), (), True),
        (rule(cidrs=("0.0.0.0/0",)), ("10.0.1.9/32",), (), True),
        (rule(cidrs=("10.0.2.0/24",)), ("10.0.1.9/32",), (), False),
        (rule(cidrs=("10.0.2.0/24",)), ("10.0.0.0/16",), (), True),
        (rule(cidrs=("::/0",)), ("10.0.1.9/32",), (), False),
        (rule(cidrs=("10.0.0.0/16",), from_port=80, to_port=80), ("10.0.1.9/32",), (), False),
        (rule(cidrs=("10.0.0.0/16",), from_port=0, to_port=65535), ("10.0.1.9/32",), (), True),
        (rule(cidrs=("10.0.0.0/16",), protocol="udp"), ("10.0.1.9/32",), (), False),
        (
            rule(cidrs=("10.0.0.0/16",), protocol="-1", from_port=None, to_port=None),
            ("10.0.1.9/32",),
            (),
            True,
        ),
        (rule(group_ids=("sg-2",)), ("10.0.1.9/32",), (), None),
        (rule(group_ids=("sg-2",)), ("10.0.1.9/32",), ("sg-3",), False),
        (rule(group_ids=("sg-2",)), ("10.0.1.9/32",), ("sg-2",), True),
        (rule(prefix_list_ids=("pl-1",)), ("10.0.1.9/32",), ("sg-2",), None),
        (rule(cidrs=("10.0.0.0/16",)), (), (), None),
    ],
)
def test_what_security_groups_let_in(
    group: SecurityGroup, sources: tuple[str, ...], own: tuple[str, ...], allowed: bool | None
) -> None:
    """TCP to port 443, from our address or group; what cannot be known is not guessed."""
    assert lets_in((group,), sources=sources, own_group_ids=own) is allowed


DENY_IN = AclEntry(number=50, egress=False, allow=False, protocol="6", from_port=443, to_port=443)


@pytest.mark.parametrize(
    ("entries", "blocked"),
    [
        (ALLOW_ALL, ()),
        ((), ("inbound", "outbound")),
        (ALLOW_ALL[:1], ("outbound",)),
        (ALLOW_ALL[1:], ("inbound",)),
        ((*ALLOW_ALL, DENY_IN), ("inbound",)),
        ((*ALLOW_ALL, replace(DENY_IN, number=200)), ()),
        ((*ALLOW_ALL, replace(DENY_IN, protocol="17")), ()),
        ((*ALLOW_ALL, replace(DENY_IN, cidr="192.0.2.0/24")), ()),
        ((*ALLOW_ALL, replace(DENY_IN, cidr="::/0")), ()),
        ((*ALLOW_ALL, replace(DENY_IN, from_port=80, to_port=80)), ()),
        ((ALLOW_ALL[0], replace(ALLOW_ALL[1], protocol="6", from_port=1024, to_port=65535)), ()),
        (
            (ALLOW_ALL[0], replace(ALLOW_ALL[1], protocol="6", from_port=443, to_port=443)),
            ("outbound",),
        ),
    ],
)
def test_what_network_acls_drop(entries: tuple[AclEntry, ...], blocked: tuple[str, ...]) -> None:
    """The entry with the lowest number decides, in each direction."""
    acl = NetworkAcl(acl_id="acl-1", entries=entries)
    assert blocked_directions(acl, sources=("10.0.1.9/32",)) == blocked


AWS = Partition(
    name="aws", dns_suffix="amazonaws.com", region_regex=r"(us|eu)-\w+-\d+", regions=frozenset()
)


@pytest.mark.parametrize(
    ("host", "read"),
    [
        (HOST, ("sagemaker", "us-east-1")),
        (DEFAULT, ("sagemaker", "us-east-1")),
        ("runtime.sagemaker.eu-west-1.amazonaws.com", ("sagemaker-runtime", "eu-west-1")),
        ("runtime-fips.sagemaker.us-east-1.amazonaws.com", ("sagemaker-runtime", "us-east-1")),
        ("runtime.sagemaker.nowhere.amazonaws.com", None),
        ("runtime.sagemaker.us-east-1.example.com", None),
        ("sts.us-east-1.amazonaws.com", None),
        ("localhost", None),
    ],
)
def test_what_a_host_name_says(host: str, read: tuple[str, str] | None) -> None:
    """Service and region, of default hosts and of VPC endpoints' names."""
    assert read_host(host, AWS) == read


@pytest.mark.parametrize(
    ("message", "code", "kind"),
    [
        (
            "User: arn:aws:iam::1:user/x is not authorized to perform: sagemaker:ListEndpoints "
            "because no VPC endpoint policy allows the sagemaker:ListEndpoints action",
            "AccessDeniedException",
            "VPC endpoint policy",
        ),
        (
            "User: x not authorized to perform: y with an explicit deny in a VPC endpoint policy",
            "AccessDenied",
            "VPC endpoint policy",
        ),
        (
            "User: x is not authorized to perform: y because no identity-based policy allows y",
            "AccessDeniedException",
            "identity-based policy",
        ),
        ("User: x is not authorized to perform: y", "AccessDeniedException", ""),
        ("because no VPC endpoint policy allows it", "ValidationException", ""),
    ],
)
def test_who_refused_is_read_from_the_message(message: str, code: str, kind: str) -> None:
    """AWS says which kind of policy refused; nothing else of the message is kept."""
    assert denied_by(message, code) == kind


@pytest.mark.parametrize(
    ("host", "entries", "covered"),
    [
        ("a.example", ("*",), True),
        ("a.example", (".example",), True),
        ("a.example", ("example",), True),
        ("a.example", ("a.example",), True),
        ("a.example", ("b.example", "ample"), False),
        ("a.example", (), False),
    ],
)
def test_what_no_proxy_covers(host: str, entries: tuple[str, ...], covered: bool) -> None:
    """As Python's own library reads NO_PROXY."""
    assert covered_by_no_proxy(host, entries) is covered


def test_the_page_is_made_from_the_checks() -> None:
    """docs/doctor.md is the generator's output, with a section for each check."""
    docs = Path(__file__).parents[1] / "docs"
    page = runpy.run_path(str(docs / "doctor_page.py"))["page"]()
    assert (docs / "doctor.md").read_text(encoding="utf-8") == page
    assert all(f"\n### {check.name}\n" in page for check in CHECKS)
