"""The doctor in broken and healthy worlds: the root cause comes first, with what mends it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from botocore.config import Config
from botocore.credentials import RefreshableCredentials

from route_limits import limit_routes
from sm_private_client.doctor.diagnose import diagnose
from sm_private_client.doctor.findings import Report
from sm_private_client.doctor.probes import account, gather
from sm_private_client.errors import ConfigurationError
from sm_private_client.plugin import ENTRY, VARIABLE
from sm_private_client.session import Session
from sm_private_client.testing import LocalPrivateLink

API = "sagemaker"
RUNTIME = "sagemaker-runtime"
ZONES = ("us-east-1a", "us-east-1b")
EVERYTHING = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
SECRET = "a-secret-that-nobody-may-see"


@dataclass
class Site:
    """A simulated network to break; everything is undone afterwards."""

    link: LocalPrivateLink
    undo: contextlib.ExitStack
    environ: pytest.MonkeyPatch
    named: dict[str, str] = field(default_factory=dict)

    def vpce(self, service: str = API) -> str:
        return self.link.vpc_endpoint(service).vpc_endpoint_id

    def host(self, service: str = API) -> str:
        return self.link.vpc_endpoint(service).name.host

    def fault(self, fault: Any) -> None:
        self.undo.enter_context(fault)

    def state(self, state: str) -> Session:
        vpce = self.vpce()
        self.link.set_state(vpce, state)
        self.undo.callback(self.link.set_state, vpce, "available")
        return self.link.session()

    def groups(self, vpc_endpoint_id: str) -> None:
        """Note the security groups, to put them back."""
        described = (
            self.link.session()
            .client("ec2")
            .describe_vpc_endpoints(VpcEndpointIds=[vpc_endpoint_id])
        )
        before = [g["GroupId"] for g in described["VpcEndpoints"][0]["Groups"]]
        self.undo.callback(self.link.set_security_groups, vpc_endpoint_id, *before)

    def policy(self, *statements: dict[str, Any], service: str = API) -> None:
        vpce = self.vpce(service)
        self.link.set_policy(vpce, {"Version": "2012-10-17", "Statement": list(statements)})
        self.undo.callback(self.link.set_policy, vpce, None)


def without_credentials(site: Site) -> Session:
    core = site.link.botocore_session()
    core.set_config_variable("credentials_file", "/nowhere")
    return site.link.session(botocore_session=core)


def unknown_key(site: Site) -> Session:
    return site.link.session(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x" * 40
    )


def wrong_secret(site: Site) -> Session:
    return site.link.session(
        aws_access_key_id=site.link.access_key_id, aws_secret_access_key="x" * 40
    )


def expired_token(site: Site) -> Session:
    from moto.sts.models import sts_backends  # noqa: PLC0415 - after moto was set up

    link = site.link
    role = (
        link.session()
        .client("sts")
        .assume_role(RoleArn=f"arn:aws:iam::{link.account_id}:role/old", RoleSessionName="old")[
            "Credentials"
        ]
    )
    for backend in list(sts_backends[link.account_id].values()):
        for assumed in backend.assumed_roles:
            assumed.expiration = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - as moto has it
    site.named["token"] = role["SessionToken"]
    return link.session(
        aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"],
        aws_session_token=role["SessionToken"],
    )


def slow_clock(site: Site) -> Session:
    site.fault(site.link.faults.clock_skew(3600))
    return site.link.session()


def fast_clock(site: Site) -> Session:
    site.fault(site.link.faults.clock_skew(-3600, code="RequestTimeTooSkewed"))
    return site.link.session()


def no_bundle(site: Site) -> Session:
    core = site.link.botocore_session()
    core.set_config_variable("ca_bundle", "/nowhere.pem")
    return site.link.session(botocore_session=core)


def foreign_bundle(site: Site) -> Session:
    core = site.link.botocore_session()
    path = site.undo.enter_context(trustme.CA().cert_pem.tempfile())
    core.set_config_variable("ca_bundle", path)
    return site.link.session(botocore_session=core)


def bad_region(site: Site) -> Session:
    return site.link.session(region_name="nowhere-1")


def bad_setting(site: Site) -> Session:
    site.environ.setenv("SM_PRIVATE_VPC_ID", "mine")
    return site.link.session()


def pending(site: Site) -> Session:
    return site.state("pendingAcceptance")


def failed(site: Site) -> Session:
    return site.state("failed")


def in_another_vpc(site: Site) -> Session:
    site.named["vpc"] = site.link.create_vpc().vpc_id
    return site.link.session(vpc_id=site.named["vpc"])


def in_two_vpcs(site: Site) -> Session:
    other = site.link.create_vpc()
    second = site.link.create_vpc_endpoint(API, vpc_id=other.vpc_id)
    site.undo.callback(site.link.delete_vpc_endpoint, second.vpc_endpoint_id)
    return site.link.session()


def ec2_denied(site: Site) -> Session:
    site.fault(site.link.faults.deny("ec2:DescribeVpcEndpoints"))
    return site.link.session()


def ec2_throttled(site: Site) -> Session:
    site.fault(site.link.faults.throttle("ec2:DescribeVpcEndpoints"))
    return site.link.session()


def ec2_unreachable(site: Site) -> Session:
    site.environ.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1")
    return site.link.session()


def ec2_behind_proxy(site: Site) -> Session:
    site.environ.setenv("AWS_ENDPOINT_URL_EC2", "https://ec2.us-east-1.amazonaws.com")
    site.environ.setenv("HTTPS_PROXY", f"http://somebody:{SECRET}@127.0.0.1:1")
    return site.link.session()


def url_of_another_service(site: Site) -> Session:
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"https://{site.host(RUNTIME)}")
    return site.link.session()


def default_url_of_another_service(site: Site) -> Session:
    host = "https://runtime.sagemaker.us-east-1.amazonaws.com"
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER", host)
    return site.link.session()


def url_of_another_region(site: Site) -> Session:
    url = "https://api.sagemaker.eu-west-1.amazonaws.com"
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    return site.link.session()


def no_url(site: Site) -> Session:
    url = f"ftp://somebody:{SECRET}@files.example"
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    return site.link.session()


def one_url_for_all(site: Site) -> Session:
    site.environ.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    return site.link.session()


def no_fips(site: Site) -> Session:
    site.environ.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    return site.link.session()


def fips_and_url(site: Site) -> Session:
    site.environ.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"https://{site.host()}")
    return site.link.session()


def names_another_service(site: Site) -> Session:
    return site.link.session(vpc_endpoint={API: site.host(RUNTIME)})


def names_nothing(site: Site) -> Session:
    return site.link.session(vpc_endpoint="vpce-0123456789abcdef0")


def no_dns(site: Site) -> Session:
    site.fault(site.link.faults.dns_failure())
    return site.link.session()


def forged_dns(site: Site) -> Session:
    site.fault(site.link.faults.dns(API, "203.0.113.9"))
    return site.link.session()


def default_url_without_private_dns(site: Site) -> Session:
    url = "https://api.sagemaker.us-east-1.amazonaws.com"
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    return site.link.session()


def _attributes(site: Site, *, support: bool = True, hostnames: bool = True) -> Session:
    site.link.set_dns_attributes(support=support, hostnames=hostnames)
    site.undo.callback(site.link.set_dns_attributes)
    site.fault(site.link.faults.deny("ec2:DescribeVpcEndpoints"))
    return site.link.session(vpc_id=site.link.vpc_id)


def no_dns_support(site: Site) -> Session:
    return _attributes(site, support=False)


def no_dns_hostnames(site: Site) -> Session:
    return _attributes(site, hostnames=False)


def zones_refuse(site: Site) -> Session:
    for zone in ZONES:
        site.fault(site.link.faults.zone(zone, "refuse"))
    return site.link.session()


def zones_swallow(site: Site) -> Session:
    for zone in ZONES:
        site.fault(site.link.faults.zone(zone))
    return site.link.session()


def closed_group(site: Site) -> Session:
    site.groups(site.vpce())
    site.named["group"] = site.link.close_https(site.vpce())
    return site.link.session()


def other_certificate(site: Site) -> Session:
    site.fault(site.link.faults.certificate("other.example", service_name=API))
    return site.link.session()


def old_certificate(site: Site) -> Session:
    site.fault(site.link.faults.expired_certificate(API))
    return site.link.session()


def inspected(site: Site) -> Session:
    site.fault(site.link.faults.tls_inspection(API))
    return site.link.session()


def cut_in_handshake(site: Site) -> Session:
    site.fault(site.link.faults.handshake_close(API))
    return site.link.session()


def policy_denies(site: Site) -> Session:
    deny = {**EVERYTHING, "Effect": "Deny", "Action": "sagemaker:ListEndpoints"}
    site.policy(EVERYTHING, deny)
    return site.link.session()


def policy_forgets(site: Site) -> Session:
    site.policy({**EVERYTHING, "Action": "sagemaker:CreateModel"}, service=RUNTIME)
    return site.link.session()


def cut_off(site: Site) -> Session:
    site.fault(site.link.faults.reset(API))
    return site.link.session()


def plugin_misspelt(site: Site) -> Session:
    site.environ.setenv(VARIABLE, "sm-private-client=sm_private_client.plugins")
    return site.link.session()


def closed_group_and_denying_policy(site: Site) -> Session:
    policy_denies(site)
    return closed_group(site)


def no_credentials_and_no_dns(site: Site) -> Session:
    no_dns(site)
    return without_credentials(site)


def pending_and_inspected(site: Site) -> Session:
    site.fault(site.link.faults.tls_inspection(RUNTIME))
    return pending(site)


CREATE = "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name"

BROKEN: list[tuple[Callable[[Site], Session], str, str | None, str]] = [
    (without_credentials, "credentials", None, "aws sso login (or aws configure, or AWS_PROFILE="),
    (unknown_key, "signature", None, "aws sts get-caller-identity"),
    (wrong_secret, "signature", None, "aws sts get-caller-identity"),
    (expired_token, "credentials-expiry", None, "aws sso login (or get new temporary"),
    (slow_clock, "clock", None, "sudo chronyc makestep"),
    (fast_clock, "clock", None, "sudo chronyc makestep"),
    (no_bundle, "ca-bundle", None, "unset AWS_CA_BUNDLE"),
    (foreign_bundle, "tls-authority", API, "unset AWS_CA_BUNDLE REQUESTS_CA_BUNDLE"),
    (bad_region, "settings", None, "set the region: export AWS_DEFAULT_REGION=us-east-1"),
    (bad_setting, "settings", None, "correct or unset the setting that is named"),
    (pending, "vpc-endpoint-state", API, "have the owner accept it: aws ec2 accept-vpc-endpoint"),
    (failed, "vpc-endpoint-state", API, f"{CREATE} com.amazonaws.us-east-1.sagemaker.api"),
    (in_another_vpc, "vpc-endpoint-vpc", API, "--vpc-id {vpc} --subnet-ids <subnets>"),
    (in_two_vpcs, "vpc-endpoint-vpc", API, "export SM_PRIVATE_VPC_ID="),
    (ec2_denied, "route", API, "allow ec2:DescribeVpcEndpoints for this identity"),
    (ec2_throttled, "route", API, "run the doctor again once EC2 answers: ec2:Describe"),
    (ec2_unreachable, "discovery", None, "export SM_PRIVATE_VPC_ENDPOINT=<the DNS name"),
    (ec2_behind_proxy, "proxy", None, 'export NO_PROXY="$NO_PROXY,ec2.us-east-1.amazonaws.com'),
    (url_of_another_service, "custom-url-target", API, "unset AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S"),
    (default_url_of_another_service, "custom-url-target", API, "unset AWS_ENDPOINT_URL"),
    (url_of_another_region, "custom-url-target", API, "a VPC endpoint of sagemaker in us-east-1"),
    (no_url, "custom-url-target", API, "unset AWS_ENDPOINT_URL AWS_ENDPOINT_URL_SAGEMAKER"),
    (one_url_for_all, "custom-url", API, "unset AWS_ENDPOINT_URL"),
    (no_fips, "fips", API, f"{CREATE} com.amazonaws.us-east-1.sagemaker.api-fips"),
    (fips_and_url, "fips", API, "unset AWS_USE_FIPS_ENDPOINT"),
    (names_another_service, "named-vpc-endpoint", API, "Values=com.amazonaws.us-east-1.sagemaker"),
    (names_nothing, "named-vpc-endpoint", API, "unset SM_PRIVATE_VPC_ENDPOINT"),
    (no_dns, "dns", API, "dig +short {host}"),
    (forged_dns, "dns", API, "forward the name to the VPC's resolver"),
    (
        default_url_without_private_dns,
        "private-dns",
        API,
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {vpce} --private-dns-enabled",
    ),
    (zones_refuse, "connection", API, "nc -vz 10.0.0.10 443"),
    (zones_swallow, "connection", API, "check the route tables, and peering"),
    (
        closed_group,
        "security-group",
        API,
        "aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 443 "
        "--cidr 10.0.0.0/16",
    ),
    (other_certificate, "tls-name", API, "openssl s_client -connect {host}:443"),
    (old_certificate, "tls-expired", API, "date -u, and set the clock right"),
    (inspected, "tls-inspection", API, "a bundle that also has Corporate Proxy CA"),
    (cut_in_handshake, "tls-handshake", API, "have the firewall on the way allow TLS to {host}"),
    (policy_denies, "endpoint-policy", API, "allow sagemaker:ListEndpoints in the policy: aws ec2"),
    (
        policy_forgets,
        "endpoint-policy",
        RUNTIME,
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {runtime} --reset-policy",
    ),
    (cut_off, "signed-call", API, "run again with --deep"),
    (plugin_misspelt, "plugin-hook", None, f"export {VARIABLE}="),
    (closed_group_and_denying_policy, "security-group", API, "--group-id {group}"),
    (no_credentials_and_no_dns, "credentials", None, "aws sso login"),
    (pending_and_inspected, "vpc-endpoint-state", API, "have the owner accept it"),
]


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        yield link


@pytest.fixture(scope="module")
def shared_with_dns() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(private_dns=True) as link:
        yield link


PROMISED = gather.PROBE_TIMEOUT


def limit_probes(monkeypatch: pytest.MonkeyPatch, *, one: float, all_: float) -> None:
    """Set how many seconds one question and all of them may take."""
    for name in ("_CREDENTIALS_TIMEOUT", "_CLIENT_TIMEOUT"):
        monkeypatch.setattr(gather, name, one)
    quick = gather._QUICK.merge(Config(read_timeout=one))
    monkeypatch.setattr(gather, "_QUICK", quick)
    monkeypatch.setattr(gather, "PROBE_TIMEOUT", all_)
    monkeypatch.setattr(account, "ACCOUNT_TIMEOUT", all_)


@pytest.fixture(autouse=True)
def a_busy_machine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what these worlds hang on purpose is too late."""
    limit_probes(monkeypatch, one=60, all_=200)


@pytest.fixture
def site(shared: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with contextlib.ExitStack() as undo:
        yield Site(link=shared, undo=undo, environ=monkeypatch)


@pytest.fixture
def site_with_dns(
    shared_with_dns: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    with contextlib.ExitStack() as undo:
        yield Site(link=shared_with_dns, undo=undo, environ=monkeypatch)


def outputs(report: Report) -> str:
    return f"{report}\n{report!r}\n{json.dumps(report.as_dict())}"


def hides_keys(report: Report, site: Site, *more: str) -> None:
    written = outputs(report)
    keys = (site.link.access_key_id, site.link.secret_access_key, SECRET, "AKIAIOSFODNN7EXAMPLE")
    for key in (*keys, "x" * 40, *more):
        assert key not in written


def check(
    site: Site, build: Callable[[Site], Session], name: str, service: str | None, remedy: str
) -> None:
    names = {"host": site.host(), "vpce": site.vpce(), "runtime": site.vpce(RUNTIME)}
    report = diagnose(build(site))
    first = report.findings[0]
    assert report.exit_status == 1
    assert report.root_cause is first
    assert (first.check, first.service_name, first.follows_from) == (name, service, None)
    assert remedy.format(**names, **site.named) in "\n".join(first.remedy)
    assert first.cause
    hides_keys(report, site, *site.named.get("token", SECRET).split())


@pytest.mark.parametrize(
    ("build", "name", "service", "remedy"), BROKEN, ids=[row[0].__name__ for row in BROKEN]
)
def test_the_first_finding_of_a_broken_world_is_its_root_cause(
    site: Site, build: Callable[[Site], Session], name: str, service: str | None, remedy: str
) -> None:
    """In each broken world the root cause comes first, with what mends it, and no key in sight."""
    check(site, build, name, service, remedy)


@pytest.mark.parametrize(
    ("build", "name", "service", "remedy"),
    [
        (without_credentials, "credentials", None, "give the instance, task or function a role"),
        (no_dns_support, "vpc-attributes", None, "--enable-dns-support"),
        (no_dns_hostnames, "vpc-attributes", None, "--enable-dns-hostnames"),
        (closed_group, "security-group", API, "--group-id {group}"),
    ],
    ids=["without_credentials", "no_dns_support", "no_dns_hostnames", "closed_group"],
)
def test_the_same_with_private_dns(
    site_with_dns: Site,
    build: Callable[[Site], Session],
    name: str,
    service: str | None,
    remedy: str,
) -> None:
    """With private DNS, other things come to light first."""
    check(site_with_dns, build, name, service, remedy)


def test_the_remedy_of_a_missing_vpc_endpoint_is_the_one_to_create(site: Site) -> None:
    """No VPC endpoint of the service: the remedy names the endpoint service."""
    report = diagnose(site.link.session(), ["sagemaker-metrics"])
    first = report.findings[0]
    assert first.check == "vpc-endpoint"
    assert first.remedy[0].startswith(f"{CREATE} com.amazonaws.us-east-1.sagemaker.metrics ")
    assert {f.follows_from for f in report.findings if f.status == "failure"} == {
        None,
        "vpc-endpoint",
    }


@pytest.mark.parametrize(
    ("egress", "remedy"),
    [
        (False, "--ingress --rule-number 99 --protocol tcp --port-range From=443,To=443"),
        (True, "--egress --rule-number 99 --protocol tcp --port-range From=1024,To=65535"),
    ],
)
def test_the_remedy_of_a_network_acl_that_drops_is_the_entry_to_add(
    egress: bool, remedy: str
) -> None:
    """Requests or answers are dropped at the border of the VPC endpoint's subnet."""
    service = "sagemaker-featurestore-runtime"
    with LocalPrivateLink(services=()) as link:
        link.create_vpc_endpoint(service, zones=ZONES[1:])
        acl = link.deny_in_network_acl(ZONES[1], egress=egress)
        first = diagnose(link.session(), [service]).findings[0]
    assert (first.check, first.service_name, first.status) == ("network-acl", service, "failure")
    command = f"aws ec2 create-network-acl-entry --network-acl-id {acl} {remedy}"
    assert first.remedy == (f"{command} --cidr-block 10.0.0.0/16 --rule-action allow",)


def test_a_dead_world_is_reported_within_fifteen_seconds(site: Site) -> None:
    """No resolver answers, and EC2 and STS take connections and say nothing."""
    assert PROMISED + 2 <= 15
    limit_probes(site.environ, one=0.5, all_=60)
    limit_routes(site.environ, ec2=0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for service in ("EC2", "STS"):
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            site.environ.setenv(f"AWS_ENDPOINT_URL_{service}", url)
        site.fault(site.link.faults.dns_delay(600))
        check(site, lambda s: s.link.session(), "resolver", None, "in /etc/resolv.conf")


def test_what_follows_is_marked_and_comes_after(site: Site) -> None:
    """No credentials, so no discovery, so no route: one root cause, the rest follows from it."""
    report = diagnose(without_credentials(site))
    failures = [f for f in report.findings if f.status == "failure"]
    assert [f.follows_from for f in failures] == [None, "credentials", "credentials"]
    assert all(f.remedy == () for f in failures[1:])
    line = "you → ? DNS → ? network interface → ? TLS → ✗ SigV4 → · endpoint policy → · SageMaker"
    assert report.paths[0].line == line


def test_the_path_shows_the_broken_hop_and_what_was_not_reached(site: Site) -> None:
    """The hops before the broken one are ok, those behind it were not reached."""
    report = diagnose(inspected(site))
    api, runtime = report.paths
    interface = site.link.vpc_endpoint(API).interfaces[0]
    eni = f"{interface.network_interface_id} {interface.address} ({interface.availability_zone})"
    assert api.line == (f"you → DNS → {eni} → ✗ TLS → · SigV4 → · endpoint policy → · SageMaker")
    assert {hop.state for hop in runtime.hops} == {"ok"}


@pytest.mark.parametrize(
    ("permission", "found"),
    [
        ("ec2:DescribeSecurityGroups", "security-group"),
        ("ec2:DescribeNetworkAcls", "network-acl"),
        ("ec2:DescribeVpcAttribute", "vpc-attributes"),
        ("sts:GetCallerIdentity", "endpoint-policy"),
    ],
)
def test_a_missing_permission_is_unknown_and_named(site: Site, permission: str, found: str) -> None:
    """What may not be looked at is unknown with the permission to ask for; nothing crashes."""
    site.fault(site.link.faults.deny(permission))
    report = diagnose(site.link.session())
    unknown = [f for f in report.findings if f.status == "unknown" and f.check == found]
    assert unknown
    assert all(f.remedy[0].startswith(f"allow {permission} for this") for f in unknown)
    assert report.exit_status == 0


def test_a_call_that_is_not_allowed_cannot_tell(site: Site) -> None:
    """AccessDenied by an identity policy proves the way, but not the service: exit status 2."""
    site.fault(site.link.faults.deny("sagemaker:ListEndpoints"))
    report = diagnose(site.link.session())
    assert report.exit_status == 2
    (unknown,) = [f for f in report.findings if f.check == "permission"]
    assert "allow sagemaker:ListEndpoints for this identity" in unknown.remedy[0]


def test_the_plugin_hook_is_ok_if_it_is_live(site: Site) -> None:
    """The hook is tried with a client of botocore's, not only read."""
    site.environ.setenv(VARIABLE, ENTRY)
    report = diagnose(site.link.session())
    (hook,) = [f for f in report.findings if f.check == "plugin-hook"]
    assert hook.status == "ok"
    assert hook.seen == "It names our plugin, and a plain client is routed."


def test_credentials_that_end_soon_are_a_warning(site: Site) -> None:
    """Expiry is seen of credentials that botocore renews; the session token is not shown."""
    core = site.link.botocore_session()
    ends = dt.datetime.now(dt.timezone.utc) + dt.timedelta(minutes=5)
    core._credentials = RefreshableCredentials(  # type: ignore[attr-defined] # not in the stubs
        site.link.access_key_id,
        site.link.secret_access_key,
        "",
        ends,
        refresh_using=dict,
        method="played",
        advisory_timeout=0,
        mandatory_timeout=0,
    )
    report = diagnose(site.link.session(botocore_session=core))
    (expiry,) = [f for f in report.findings if f.check == "credentials-expiry"]
    assert (expiry.status, expiry.seen) == ("warning", "They expire in 4 minutes.")
    hides_keys(report, site)


def test_no_services_are_refused(site: Site) -> None:
    """What is to be looked at must be named, and be of the family."""
    for services, said in (([], "names no service"), (["s3"], "is not a service of")):
        with pytest.raises(ConfigurationError, match=said):
            diagnose(site.link.session(), services)


def test_one_zone_down_is_a_warning(site: Site) -> None:
    """Calls come through the other zone."""
    site.fault(site.link.faults.zone(ZONES[0], "refuse"))
    report = diagnose(site.link.session())
    assert report.exit_status == 0
    assert [f.subject for f in report.findings if f.check == "connection" and f.status != "ok"] == [
        "10.0.0.10",
        "10.0.0.11",
    ]


def test_a_diagnosis_sends_nothing_but_its_harmless_calls(site: Site) -> None:
    """SageMaker sees one call for each service, and the internet not one connection."""
    site.link.requests.clear()
    before = site.link.internet.connections
    diagnose(site.link.session())
    assert sorted(str(r.operation) for r in site.link.requests) == [
        "InvokeEndpoint",
        "ListEndpoints",
    ]
    assert site.link.internet.connections == before


# Healthy worlds


def no_failure(report: Report, link: LocalPrivateLink) -> None:
    assert [f for f in report.findings if f.status == "failure"] == []
    assert report.exit_status == 0
    assert [hop.state for path in report.paths for hop in path.hops] == ["ok"] * 14
    written = outputs(report)
    assert link.access_key_id not in written
    assert link.secret_access_key not in written


def test_private_dns_is_healthy(site_with_dns: Site) -> None:
    """Private DNS."""
    no_failure(diagnose(site_with_dns.link.session()), site_with_dns.link)


def test_discovery_is_healthy(site: Site) -> None:
    """Found by EC2."""
    no_failure(diagnose(site.link.session()), site.link)


def test_a_deep_look_is_healthy(site: Site) -> None:
    """With every other service and every VPC endpoint's interfaces."""
    report = diagnose(site.link.session(), deep=True)
    no_failure(report, site.link)
    assert len([f for f in report.findings if f.check == "other-service"]) > 10


def test_other_services_are_private_or_have_a_remedy() -> None:
    """Private DNS, a gateway, an interface that DNS does not lead to, or none."""
    with LocalPrivateLink(private_dns=True) as link:
        for service in ("ec2", "sts"):
            link.create_vpc_endpoint(service, private_dns=True)
        gateway = link.create_gateway("s3")
        logs = link.create_vpc_endpoint("logs").vpc_endpoint_id
        report = diagnose(link.session(other_services="network", sealed=True))
        no_failure(report, link)
        assert link.internet.connections == 0
    found = {f.subject: f for f in report.findings if f.check == "other-service"}
    assert {name: f.status for name, f in found.items()} == {
        "sts": "ok",
        "s3": "ok",
        "logs": "warning",
        "ecr": "warning",
        "kms": "warning",
    }
    assert found["s3"].seen.endswith(f"is private, through the gateway {gateway}.")
    turn_on = f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {logs} --private-dns-enabled"
    assert found["logs"].remedy == (turn_on,)
    assert found["kms"].remedy[0].startswith(f"{CREATE} com.amazonaws.us-east-1.kms ")


def test_a_sealed_session_without_a_way_to_ec2_says_so() -> None:
    """Then VPC endpoints cannot be found; private DNS would do without."""
    with LocalPrivateLink() as link:
        report = diagnose(link.session(other_services="network", sealed=True))
        assert link.internet.connections == 0
    assert report.findings[0].check == "discovery"
    assert "no private way to ec2" in report.findings[0].seen
    assert f"{CREATE} com.amazonaws.us-east-1.ec2 " in report.findings[0].remedy[1]


def test_a_vpce_url_is_healthy(site: Site) -> None:
    """The URLs of the VPC endpoints, as variables."""
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"https://{site.host()}")
    site.environ.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"https://{site.host(RUNTIME)}")
    no_failure(diagnose(site.link.session()), site.link)


def test_a_participant_of_a_shared_vpc_is_healthy(site_with_dns: Site) -> None:
    """EC2 shows nothing, and private DNS answers."""
    link = site_with_dns.link
    link.control.participant = True
    site_with_dns.undo.callback(setattr, link.control, "participant", False)
    no_failure(diagnose(link.session()), link)


def test_hub_and_spoke_is_healthy(site: Site) -> None:
    """The default names resolve to the hub's addresses, by a rule of Route 53."""
    link = site.link
    spoke = link.create_vpc().vpc_id
    for service, host in ((API, "api.sagemaker"), (RUNTIME, "runtime.sagemaker")):
        addresses = [i.address for i in link.vpc_endpoint(service).interfaces]
        site.fault(link.faults.dns(f"{host}.us-east-1.amazonaws.com", *addresses))
    hub, link.network.vpc_id = link.network.vpc_id, spoke
    site.undo.callback(setattr, link.network, "vpc_id", hub)
    link.network.peer(hub)
    link.control.participant = True
    site.undo.callback(setattr, link.control, "participant", False)
    no_failure(diagnose(link.session()), link)


@pytest.mark.parametrize("inbound_resolver", [False, True])
def test_on_premises_over_a_vpn_is_healthy(site_with_dns: Site, inbound_resolver: bool) -> None:
    """By the VPC endpoints' own names, or by private DNS through an inbound resolver."""
    link = site_with_dns.link
    before = link.caller.availability_zone
    assert before is not None
    link.move_on_premises(inbound_resolver=inbound_resolver)
    site_with_dns.undo.callback(link.move_to, before)
    no_failure(diagnose(link.session()), link)


def test_fips_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """FIPS VPC endpoints, which take no endpoint policies."""
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    with LocalPrivateLink(fips=True) as link:
        report = diagnose(link.session())
        no_failure(report, link)
    assert [f.subject for f in report.findings if f.check == "fips"] == ["use_fips_endpoint"] * 2


def test_china_is_healthy() -> None:
    """Another partition, with names of its own."""
    with LocalPrivateLink(region="cn-north-1") as link:
        no_failure(diagnose(link.session()), link)


def test_the_path_begins_with_the_vpc_and_zone_of_an_instance() -> None:
    """The metadata service knows both."""
    with LocalPrivateLink() as link:
        link.play_instance_metadata()
        report = diagnose(link.session())
        no_failure(report, link)
        assert report.paths[0].hops[0].label == f"you ({link.vpc_id}, us-east-1a)"
