"""Checks of what all services share: settings, CA bundle, credentials, clock, proxy, location."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.checks.check import Check, CheckResult, failure, ok, unknown, warning
from sm_private_client.doctor.facts import Call, Credentials, Facts, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ca_bundle",
    "clock",
    "covered_by_no_proxy",
    "credentials",
    "credentials_expiry",
    "location",
    "proxy",
    "settings",
    "signature",
]

EXPIRED_CODES: Final = frozenset({"ExpiredToken", "ExpiredTokenException"})
SIGNATURE_CODES: Final = frozenset(
    {
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
        "UnrecognizedClientException",
    }
)
_TIME_CODES: Final = frozenset({"RequestExpired", "RequestTimeTooSkewed"})

_LARGEST_SKEW: Final = 300.0
"""Seconds; AWS refuses signatures that are further from its own clock (IAM User Guide, SigV4)."""

_NOTICEABLE_SKEW: Final = 60.0
_SOON: Final = 900.0
"""Seconds before expiry at which the doctor warns; botocore itself renews that early."""


@Check(
    name="settings",
    looks_at="the region, its partition, and the routing settings from arguments, SM_PRIVATE_* "
    "variables and the profile",
    meaning="nothing can be looked at before the settings can be read.",
    remedies=(
        "set the region: export AWS_DEFAULT_REGION=us-east-1 (or pass region_name=, --region)",
        "correct or unset the setting that is named",
    ),
    hop="you",
).for_session
def settings(facts: Facts) -> Iterator[CheckResult]:
    if facts.settings_problem is not None:
        yield failure("settings", f"{facts.settings_problem.rstrip('.')}.")
    else:
        yield ok("settings", f"The region is {facts.region}, of the partition {facts.partition}.")


@Check(
    name="ca-bundle",
    looks_at="the CA bundle that TLS is verified with: verify=, AWS_CA_BUNDLE, the profile's "
    "ca_bundle, REQUESTS_CA_BUNDLE, else botocore's own",
    meaning="without a readable bundle no server can be trusted, so nothing is sent.",
    remedies=("unset AWS_CA_BUNDLE", "export AWS_CA_BUNDLE=/path/to/certificates.pem"),
    hop="tls",
).for_session
def ca_bundle(facts: Facts) -> Iterator[CheckResult]:
    environment = facts.environment
    if environment.ca_bundle_problem is not None:
        yield failure(environment.ca_bundle, environment.ca_bundle_problem)
    elif facts.settings_problem is None:
        yield ok(environment.ca_bundle, f"TLS is verified with {environment.ca_bundle}.")


@Check(
    name="credentials",
    looks_at="whether there are credentials, and from which provider; never their values",
    meaning="without credentials no call can be signed, and EC2 cannot be asked for VPC endpoints.",
    remedies=(
        "aws sso login (or aws configure, or AWS_PROFILE=<a profile with credentials>)",
        "give the instance, task or function a role",
    ),
    hop="signature",
).for_session
def credentials(facts: Facts) -> Iterator[CheckResult]:
    found = facts.credentials
    if facts.settings_problem is not None:
        return
    if isinstance(found, Unknown):
        yield failure("credentials", f"There are no usable credentials: {found.reason}.")
    elif found is None:
        yield failure("credentials", "No credentials were found.")
    else:
        kind = "temporary" if found.temporary else "long-term"
        identity = facts.identity
        whose = "" if isinstance(identity, Unknown) else f", of {identity.arn}"
        yield ok("credentials", f"There are {kind} credentials from {found.source}{whose}.")


@Check(
    name="credentials-expiry",
    looks_at="when the credentials expire, as they say and as AWS answers",
    meaning="temporary credentials end, and AWS refuses what is signed with them from then on.",
    remedies=("aws sso login (or get new temporary credentials from where these came from)",),
    hop="signature",
).for_session
def credentials_expiry(facts: Facts) -> Iterator[CheckResult]:
    found = facts.credentials
    if not isinstance(found, Credentials):
        return
    refused = next((call.code for call in _calls(facts) if call.code in EXPIRED_CODES), None)
    left = found.seconds_left
    if refused is not None:
        yield failure("credentials", f"AWS answered {refused}: the credentials have expired.")
    elif left is None:
        yield ok("credentials", "They do not say when they expire.")
    elif left <= 0:
        yield failure("credentials", "They have expired.")
    elif left < _SOON:
        yield warning("credentials", f"They expire in {int(left // 60)} minutes.")
    else:
        yield ok("credentials", f"They are good for {int(left // 60)} minutes more.")


def _calls(facts: Facts) -> list[Call]:
    return [service.call for service in facts.services if service.call is not None]


@Check(
    name="clock",
    looks_at="this machine's clock against the Date of an answer",
    meaning="AWS refuses signatures that are more than five minutes from its own time.",
    remedies=("sudo chronyc makestep (or: sudo timedatectl set-ntp true)",),
    hop="signature",
).for_session
def clock(facts: Facts) -> Iterator[CheckResult]:
    skews = [call.clock_skew for call in _calls(facts) if call.clock_skew is not None]
    if not skews:
        if facts.settings_problem is None:
            yield unknown("clock", Unknown(reason="no service answered with its time"))
        return
    skew = max(skews, key=abs)
    way = "ahead of" if skew > 0 else "behind"
    seen = f"This machine's clock is {abs(skew):.0f} s {way} AWS's."
    if abs(skew) > _LARGEST_SKEW or any(c.code in _TIME_CODES for c in _calls(facts)):
        yield failure("clock", seen)
    elif abs(skew) > _NOTICEABLE_SKEW:
        yield warning("clock", seen)
    else:
        yield ok("clock", "This machine's clock agrees with AWS's.")


@Check(
    name="signature",
    looks_at="whether AWS accepts the signature of a call",
    meaning="the key is unknown to AWS, inactive or of another partition, or the secret or the "
    "session token does not belong to it.",
    remedies=(
        "aws sts get-caller-identity, to see whether the same credentials work elsewhere",
        "set the key, the secret and the session token of one and the same credentials",
    ),
    hop="signature",
    explained_by=("clock", "credentials-expiry"),
).for_session
def signature(facts: Facts) -> Iterator[CheckResult]:
    if not isinstance(facts.credentials, Credentials):
        return
    codes = {call.code for call in _calls(facts) if call.code}
    wrong = sorted(codes & SIGNATURE_CODES)
    if wrong:
        yield failure("credentials", f"AWS does not accept the signature ({wrong[0]}).")
    elif any(call.status is not None for call in _calls(facts)):
        yield ok("credentials", "AWS accepts the signature.")


def covered_by_no_proxy(host: str, no_proxy: tuple[str, ...]) -> bool:
    """Return True if NO_PROXY keeps a host from the proxy, as Python's urllib reads it."""
    names = [entry.lstrip(".").lower() for entry in no_proxy]
    return any(name in ("*", host) or host.endswith(f".{name}") for name in names)


@Check(
    name="proxy",
    looks_at="HTTPS_PROXY, ALL_PROXY and NO_PROXY",
    meaning="what goes through a proxy does not go through the VPC endpoint, or nowhere at all.",
    remedies=('export NO_PROXY="$NO_PROXY,{no_proxy}"', "unset HTTPS_PROXY https_proxy"),
    hop="you",
).for_session
def proxy(facts: Facts) -> Iterator[CheckResult]:
    environment = facts.environment
    if not environment.proxies:
        if facts.settings_problem is None:
            yield ok("proxy", "No proxy is set.")
        return
    name, proxy = environment.proxies[0]
    without = [s.vpc_endpoints for s in facts.services if not s.has_route]
    unknowns = [found for found in without if isinstance(found, Unknown)]
    suffix = "amazonaws.com.cn" if facts.partition == "aws-cn" else "amazonaws.com"
    ec2 = f"ec2.{facts.region}.{suffix}"
    entries = f".vpce.{suffix},.sagemaker.{facts.region}.{suffix}"
    is_lost = unknowns and all(found.unreachable for found in unknowns)
    if is_lost and not covered_by_no_proxy(ec2, environment.no_proxy):
        seen = f"{name} sends calls to EC2 through {proxy}, and EC2 was not reached."
        yield failure(name, seen, no_proxy=f"{ec2},{entries}")
        return
    hosts = [s.default_host for s in facts.services if s.default_host]
    hosts += [n.host for s in facts.services for n in s.names if n.kind == "regional"]
    through = [host for host in hosts if not covered_by_no_proxy(host, environment.no_proxy)]
    if through:
        seen = (
            f"{name} is set to {proxy}. Routed clients do not use it, but the AWS CLI and plain "
            f"boto3 would call {through[0]} through it."
        )
        yield warning(name, seen, no_proxy=entries)
    else:
        yield ok(name, f"{name} is set, and NO_PROXY keeps the private hosts from it.")


@Check(
    name="location",
    looks_at="in which VPC and Availability Zone this process runs",
    meaning="if it is not known, the nearest VPC endpoint cannot be chosen.",
    remedies=("export SM_PRIVATE_VPC_ID=vpc-… SM_PRIVATE_AVAILABILITY_ZONE=us-east-1a",),
).for_session
def location(facts: Facts) -> Iterator[CheckResult]:
    if facts.settings_problem is not None:
        return
    if facts.vpc_id is None and facts.availability_zone is None:
        yield unknown("location", Unknown(reason="no platform told it, as outside of AWS"))
        return
    place = facts.location
    source = place.source if place is not None and place.source != "unknown" else "the settings"
    where = " in ".join(filter(None, (facts.availability_zone, facts.vpc_id)))
    yield ok("location", f"This is {where}, say {source}.")
