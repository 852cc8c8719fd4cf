"""EC2's answers: descriptions read into records, failures explained in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from botocore.exceptions import ClientError, NoCredentialsError

from sm_private_client.errors import (
    DiscoveryError,
    PrivateClientError,
    PublicAddressError,
    RoutingError,
)
from sm_private_client.privatelink.records import EndpointAddress, RouteTable, VpcEndpoint
from sm_private_client.privatelink.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "PLAN_TAG",
    "Failure",
    "discovery_error",
    "error_code",
    "explain",
    "is_throttled",
    "read_addresses",
    "read_cidrs",
    "read_route_table",
    "read_vpc_endpoint",
    "read_vpc_endpoints",
]

PLAN_TAG: Final = "sm-private-client:plan"
"""The tag of everything that a plan of this package made; its value is the plan's id."""

_DENIED: Final = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"}
)
_MISSING_ACTION: Final = re.compile(r"not authorized to perform: ([\w-]+:\w+)")


def read_vpc_endpoint(raw: Mapping[str, Any]) -> VpcEndpoint:
    """Return one entry of DescribeVpcEndpoints as a record, without its addresses."""
    created = raw.get("CreationTimestamp")
    tags = {tag["Key"]: tag["Value"] for tag in raw.get("Tags", ())}
    return VpcEndpoint(
        vpc_endpoint_id=raw["VpcEndpointId"],
        endpoint_service=raw["ServiceName"],
        vpc_id=raw.get("VpcId", ""),
        # Pascal case in the model, camel or lower case in answers.
        state=str(raw.get("State", "")).lower(),
        kind=str(raw.get("VpcEndpointType") or "Interface"),
        private_dns_enabled=bool(raw.get("PrivateDnsEnabled")),
        dns_names=tuple(e["DnsName"] for e in raw.get("DnsEntries", ()) if e.get("DnsName")),
        subnet_ids=tuple(raw.get("SubnetIds", ())),
        network_interface_ids=tuple(raw.get("NetworkInterfaceIds", ())),
        security_group_ids=tuple(group["GroupId"] for group in raw.get("Groups", ())),
        route_table_ids=tuple(raw.get("RouteTableIds", ())),
        ip_address_type=str(raw.get("IpAddressType") or "ipv4").lower(),
        policy=raw.get("PolicyDocument") or "",
        created=created.isoformat() if created else "",
        plan_id=tags.get(PLAN_TAG, ""),
    )


def read_vpc_endpoints(raw: Iterable[Mapping[str, Any]]) -> tuple[VpcEndpoint, ...]:
    """Return the entries of DescribeVpcEndpoints as records, the oldest first."""
    found = map(read_vpc_endpoint, raw)
    return tuple(sorted(found, key=lambda v: (v.created, v.vpc_endpoint_id)))


def read_addresses(raw: Mapping[str, Any]) -> tuple[EndpointAddress, ...]:
    """Return the addresses of one entry of DescribeNetworkInterfaces, the primary one first."""
    first = [raw["PrivateIpAddress"]] if raw.get("PrivateIpAddress") else []
    v4 = [a["PrivateIpAddress"] for a in raw.get("PrivateIpAddresses", ())]
    v6 = [a["Ipv6Address"] for a in raw.get("Ipv6Addresses", ())]
    return tuple(
        EndpointAddress(
            address=address,
            availability_zone=raw.get("AvailabilityZone"),
            availability_zone_id=raw.get("AvailabilityZoneId"),
            network_interface_id=raw["NetworkInterfaceId"],
        )
        for address in dict.fromkeys([*first, *v4, *v6])
    )


def read_cidrs(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the IPv4 and IPv6 CIDRs of one entry of DescribeVpcs, the primary one first."""
    first = [raw["CidrBlock"]] if "CidrBlock" in raw else []
    v4 = [a["CidrBlock"] for a in raw.get("CidrBlockAssociationSet", ())]
    v6 = [a["Ipv6CidrBlock"] for a in raw.get("Ipv6CidrBlockAssociationSet", ())]
    return tuple(dict.fromkeys([*first, *v4, *v6]))


def read_route_table(raw: Mapping[str, Any]) -> RouteTable:
    """Return one entry of DescribeRouteTables as a record."""
    associations = raw.get("Associations", ())
    return RouteTable(
        route_table_id=raw["RouteTableId"],
        is_main=any(a.get("Main") for a in associations),
        subnet_ids=frozenset(a["SubnetId"] for a in associations if a.get("SubnetId")),
        gateways=frozenset(
            (r["DestinationPrefixListId"], r.get("GatewayId", ""))
            for r in raw.get("Routes", ())
            if r.get("DestinationPrefixListId") and r.get("State", "active") == "active"
        ),
    )


class Failure(NamedTuple):
    """Why AWS did not answer a question.

    Attributes:
        kind: ``denied``, ``throttled``, ``answered`` with another error, or ``unreachable``.
        cause: The cause, as a sentence.
        remedies: What to do about it, in the imperative; tried in order.
        permission: The IAM action that is missing; ``None`` if none is.
    """

    kind: Literal["denied", "throttled", "answered", "unreachable"]
    cause: str
    remedies: tuple[str, ...]
    permission: str | None = None


def error_code(error: BaseException) -> str:
    """Return the code that AWS answered with; empty if it did not answer."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_throttled(error: BaseException) -> bool:
    """Return True if AWS throttles, also if that is the cause of an error of ours."""
    cause = error.__cause__ if isinstance(error, PrivateClientError) else None
    code = error_code(cause or error)
    return code == "RequestLimitExceeded" or "Throttl" in code


def explain(
    error: Exception, permission: str, *, or_else: str = "", with_message: bool = False
) -> Failure:
    """Return the cause of a failed question to AWS, and its remedies.

    Args:
        error: What boto3 raised, or ``TimeoutError``.
        permission: The IAM action that was needed, ``ec2:DescribeVpcEndpoints``.
        or_else: What else can be done, in the imperative, without a full stop.
        with_message: Repeat AWS's own message. It may name accounts and resources.
    """
    service = permission.partition(":")[0].upper()
    otherwise = f", or {or_else}." if or_else else "."
    code = error_code(error)
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
        if code in _DENIED:
            found = _MISSING_ACTION.search(message)
            missing = found[1] if found else permission
            cause = f"this identity is not allowed to ({code})."
            return Failure("denied", cause, (f"allow {missing} for it{otherwise}",), missing)
        if is_throttled(error):
            cause = f"{service} throttles this account ({code})."
            return Failure("throttled", cause, (f"try again in a minute{otherwise}",))
        # The message about a signature repeats what was signed, the session token included.
        quoted = f": {message}" if with_message and message and "Signature" not in code else ""
        remedy = f"correct what {service} names, and try again" if quoted else "try again"
        return Failure("answered", f"{service} answered {code}{quoted}.", (remedy + otherwise,))
    if isinstance(error, NoCredentialsError):
        cause = "there are no AWS credentials."
        return Failure("unreachable", cause, (f"give credentials as for boto3{otherwise}",))
    if isinstance(error, PrivateClientError):
        remedies = error.remedies
        if isinstance(error, (RoutingError, PublicAddressError)):  # the session is sealed
            remedies = (
                f"create an interface endpoint for {service} in this VPC, with private DNS.",
                f"or name one you have: set AWS_ENDPOINT_URL_{service}.",
            )
        return Failure("unreachable", error.what.partition("\n")[0], remedies)
    # The service's own URL may be one with a password, which botocore repeats.
    message = redacted(str(error)).rstrip(".")
    cause = message if isinstance(error, TimeoutError) else f"{type(error).__name__}: {message}"
    otherwise = or_else or "run this in a network that reaches it"
    remedy = f"create an interface endpoint for {service} in this VPC, or {otherwise}."
    return Failure("unreachable", f"{cause}.", (remedy,))


def discovery_error(
    error: Exception, permission: str, *, or_else: str = "", with_message: bool = False
) -> DiscoveryError:
    """Return the error that says why EC2 could not be asked; see ``explain``."""
    failure = explain(error, permission, or_else=or_else, with_message=with_message)
    what = f"EC2 could not be asked ({permission})."
    return DiscoveryError(what, cause=failure.cause, remedy=failure.remedies)
