"""Plan VPC endpoints: look at the account, change nothing, say what would be made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sm_private_client.errors import ConfigurationError
from sm_private_client.policy.documents import to_json
from sm_private_client.privatelink.ec2 import PLAN_TAG
from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.provisioning.account import Account, ec2_of
from sm_private_client.provisioning.checks import (
    check_addresses,
    check_dns_attributes,
    check_private_names,
    check_quotas,
    check_security_groups,
    chosen_subnets,
    found_again,
)
from sm_private_client.provisioning.plan import Plan
from sm_private_client.provisioning.policy_files import (
    AnyPolicy,
    accepted,
    by_service,
    of_one_service,
)
from sm_private_client.provisioning.records import (
    PlannedSecurityGroup,
    PlannedVpcEndpoint,
    Problem,
    Subnet,
)
from sm_private_client.provisioning.requested_services import RequestedService, services_wanted
from sm_private_client.routing.botocore_rules import partitions, wants_fips
from sm_private_client.routing.settings import missing_region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.provisioning.account import ServiceOffer
    from sm_private_client.provisioning.policy_files import AnyPolicy
    from sm_private_client.session import Session

__all__ = ["Planner", "list_vpc_endpoints", "plan_vpc_endpoints"]


class Planner:
    """One look at an account.

    Args:
        session: Whose account and region.
        vpc_id: The VPC.
        services: The words of what is wanted.
        fips: As ``plan_vpc_endpoints``.

    Raises:
        ConfigurationError, FipsUnavailableError, MissingRegionError: As ``plan_vpc_endpoints``.
    """

    def __init__(
        self, session: Session, vpc_id: str, services: tuple[str, ...], fips: bool | None
    ) -> None:
        if not session.region_name:
            raise missing_region()
        self._session = session
        self._vpc_id = vpc_id
        self._region: str = session.region_name
        botocore_session: Any = session._session  # noqa: SLF001 - boto3 names it no other way
        self._requested = services_wanted(
            services,
            region=self._region,
            partition=partition_of(self._region, partitions(botocore_session)),
            fips=wants_fips(botocore_session, None) if fips is None else fips,
        )
        self._account = Account(ec2_of(session))
        self._problems: list[Problem] = []
        self._notes: list[str] = []

    def plan(
        self,
        *,
        subnets: Literal["one-per-zone"] | Sequence[str],
        security_groups: Literal["create"] | Sequence[str],
        private_dns: bool,
        policy: AnyPolicy | Mapping[str, AnyPolicy] | None,
        tags: dict[str, str],
        route_tables: Literal["all"] | Sequence[str],
    ) -> Plan:
        """Looks, and makes the plan; see ``plan_vpc_endpoints``."""
        self._check_words(policy, tags)
        cidrs = self._account.vpc_cidrs(self._vpc_id)
        if cidrs is None:
            raise ConfigurationError(
                f"There is no VPC {self._vpc_id} in {self._region} that this account sees.",
                possible_causes=("a typing error", "another region or account"),
                remedy="pass vpc_id= with one that aws ec2 describe-vpcs lists.",
            )
        offers = self._offers()
        has_interface = any(one.kind == "Interface" for one in self._requested)
        there = self._account.subnets(self._vpc_id) if has_interface else ()
        chosen = chosen_subnets(subnets, there, self._vpc_id) if has_interface else ()
        planned = [
            self._interface(one, offers, chosen, subnets == "one-per-zone", private_dns)
            if one.kind == "Interface"
            else self._gateway(one, offers, self._route_tables(route_tables))
            for one in self._requested
        ]
        planned = [self._with_policy(one, policy, offers) for one in planned]
        standing = self._account.vpc_endpoints(vpc_id=self._vpc_id)
        given = () if security_groups == "create" else _as_tuple(security_groups)
        found = tuple(found_again(one, standing, given) for one in planned)
        arguments = [subnets, security_groups, private_dns, tags, route_tables]
        policies = [one.policy for one in planned]
        plan_id = self._plan_id([arguments, policies, [one.endpoint_service for one in planned]])
        group = None
        if has_interface and security_groups == "create":
            group = self._group(plan_id, cidrs)
        elif has_interface:
            self._check_groups(given, cidrs)
        self._problems += check_private_names(found, offers, standing)
        self._problems += check_addresses(found, there)
        if any(one.private_dns for one in found):
            attributes = self._account.dns_attributes(self._vpc_id)
            self._problems += check_dns_attributes(self._vpc_id, attributes)
        gateways = 0
        if any(one.kind == "Gateway" for one in found):
            gateways = len(self._account.vpc_endpoints(vpc_endpoint_type="Gateway"))
        self._notes += check_quotas(standing, gateways, found)
        makes_interface = any(one.kind == "Interface" and not one.found_id for one in found)
        return Plan(
            plan_id=plan_id,
            region=self._region,
            vpc_id=self._vpc_id,
            vpc_endpoints=found,
            security_group=group if makes_interface else None,
            security_group_ids=given,
            tags=tuple(tags.items()),
            problems=tuple(self._problems),
            notes=tuple(dict.fromkeys(self._notes)),
            session=self._session,
        )

    def _check_words(self, policy: object, tags: dict[str, str]) -> None:
        if PLAN_TAG in tags or any(key.startswith("aws:") for key in tags):
            raise ConfigurationError(
                f"tags has {PLAN_TAG} or a key that begins with 'aws:'.",
                cause="these are set by this package and by AWS.",
                remedy="choose other keys.",
            )
        if by_service(policy) and isinstance(policy, Mapping):
            words = {one.service for one in self._requested}
            if strangers := [word for word in policy if word not in words]:
                raise ConfigurationError(
                    f"policy has {', '.join(map(repr, strangers))}, which services does not.",
                    remedy=f"use {', '.join(sorted(words))} as keys, or pass one policy.",
                )

    def _offers(self) -> dict[tuple[str, str], ServiceOffer]:
        return self._account.offers(name for one in self._requested for name in one.names)

    def _offered(
        self, one: RequestedService, offers: dict[tuple[str, str], ServiceOffer]
    ) -> ServiceOffer:
        found = next((offers[n, one.kind] for n in one.names if (n, one.kind) in offers), None)
        if found is None:
            raise ConfigurationError(
                f"EC2 offers no {one.kind.lower()} endpoint service {' or '.join(one.names)} in "
                f"{self._region}.",
                possible_causes=("the service is not in this region", "a typing error"),
                remedy=f"leave {one.service!r} out of services, or choose another region.",
            )
        return found

    def _interface(
        self,
        one: RequestedService,
        offers: dict[tuple[str, str], ServiceOffer],
        chosen: tuple[Subnet, ...],
        may_leave_out: bool,
        private_dns: bool,
    ) -> PlannedVpcEndpoint:
        offer = self._offered(one, offers)
        outside = [s for s in chosen if s.availability_zone not in offer.zones]
        kept = tuple(s for s in chosen if s not in outside)
        zones = ", ".join(s.availability_zone for s in outside)
        if outside and may_leave_out and kept:
            self._notes.append(
                f"{offer.name} is not offered in {zones}: callers there reach it in another zone."
            )
        elif outside:
            self._problems.append(
                Problem(
                    what=f"{offer.name} is not offered in {zones}.",
                    remedy="pass subnets=[...] in "
                    f"{', '.join(sorted(offer.zones)) or 'zones that it is offered in'}.",
                )
            )
        if private_dns and not offer.private_names:
            self._notes.append(f"{offer.name} has no private DNS names, so private DNS stays off.")
        return PlannedVpcEndpoint(
            service=one.service,
            endpoint_service=offer.name,
            kind="Interface",
            service_name=one.service_name,
            subnets=kept or chosen,
            private_dns=private_dns and bool(offer.private_names),
        )

    def _gateway(
        self,
        one: RequestedService,
        offers: dict[tuple[str, str], ServiceOffer],
        route_table_ids: tuple[str, ...],
    ) -> PlannedVpcEndpoint:
        offer = self._offered(one, offers)
        return PlannedVpcEndpoint(
            service=one.service,
            endpoint_service=offer.name,
            kind="Gateway",
            service_name=one.service_name,
            route_table_ids=route_table_ids,
        )

    def _route_tables(self, asked: Literal["all"] | Sequence[str]) -> tuple[str, ...]:
        there = self._account.route_table_ids(self._vpc_id)
        if asked == "all":
            return there
        wanted = _as_tuple(asked)
        if strangers := [one for one in wanted if one not in there]:
            raise ConfigurationError(
                f"route_tables names {', '.join(strangers)}, of which {self._vpc_id} has none.",
                remedy=f"pass route_tables='all', or ids of {', '.join(there)}.",
            )
        return wanted

    def _with_policy(
        self,
        one: PlannedVpcEndpoint,
        policy: AnyPolicy | Mapping[str, AnyPolicy] | None,
        offers: dict[tuple[str, str], ServiceOffer],
    ) -> PlannedVpcEndpoint:
        in_family = one.service_name.startswith("sagemaker")
        meant = of_one_service(policy, one.service, in_family=in_family)
        if meant is None:
            return one
        document, warnings = accepted(
            meant, endpoint_service=one.endpoint_service, region=self._region
        )
        self._notes += [f"policy for {one.service}: {problem.message}" for problem in warnings]
        if not offers[one.endpoint_service, one.kind].takes_policy:
            raise ConfigurationError(
                f"policy is given for {one.service}, but {one.endpoint_service} takes none.",
                remedy=f"leave {one.service!r} out of policy.",
            )
        return replace(one, policy=to_json(document, indent=None))

    def _group(self, plan_id: str, cidrs: tuple[str, ...]) -> PlannedSecurityGroup:
        name = f"sm-private-client-{plan_id}"
        found = self._account.security_groups(vpc_id=[self._vpc_id], group_name=[name])
        found_id = str(found[0]["GroupId"]) if found else ""
        return PlannedSecurityGroup(name=name, cidrs=cidrs, found_id=found_id)

    def _check_groups(self, given: tuple[str, ...], cidrs: tuple[str, ...]) -> None:
        found = self._account.security_groups(group_id=given) if given else []
        inside = {g["GroupId"] for g in found if g.get("VpcId") == self._vpc_id}
        if not given or (strangers := [one for one in given if one not in inside]):
            named = ", ".join(strangers) if given else "no group at all"
            raise ConfigurationError(
                f"security_groups names {named}, of which {self._vpc_id} has none.",
                remedy="pass security_groups='create', or ids of groups of that VPC.",
            )
        problems, notes = check_security_groups(found, cidrs)
        self._problems += problems
        self._notes += notes

    def _plan_id(self, arguments: object) -> str:
        content = json.dumps([self._region, self._vpc_id, arguments], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def _as_tuple(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def list_vpc_endpoints(session: Session, *, vpc_id: str | None = None) -> tuple[VpcEndpoint, ...]:
    """Lists the VPC endpoints of the session's region, of every service, the oldest first.

    Args:
        session: Whose account and region.
        vpc_id: Only those of one VPC; all by default.

    Raises:
        DiscoveryError: EC2 could not be asked.
    """
    account = Account(ec2_of(session))
    return account.vpc_endpoints(**({"vpc_id": vpc_id} if vpc_id else {}))


def plan_vpc_endpoints(
    session: Session,
    *,
    vpc_id: str,
    services: Sequence[str] = ("sagemaker", "sagemaker-runtime"),
    subnets: Literal["one-per-zone"] | Sequence[str] = "one-per-zone",
    security_groups: Literal["create"] | Sequence[str] = "create",
    private_dns: bool = True,
    policy: AnyPolicy | Mapping[str, AnyPolicy] | None = None,
    tags: Mapping[str, str] | None = None,
    route_tables: Literal["all"] | Sequence[str] = "all",
    fips: bool | None = None,
) -> Plan:
    """Plans the VPC endpoints of a VPC; looks, and changes nothing.

    Args:
        session: Whose account and region.
        vpc_id: The VPC.
        services: boto3's names of the SageMaker family and the other services (``sts``, ``logs``,
            ``kms``, …), ``notebook`` and ``studio`` for browsers, or full names of endpoint
            services. ``s3`` and ``dynamodb`` mean the gateway, ``s3-interface`` the interface.
        subnets: ``one-per-zone`` takes one of each zone that the service is offered in.
        security_groups: ``create`` makes one that lets TCP port 443 in from the VPC.
        private_dns: Whether the default host names lead to the VPC endpoints inside the VPC.
        policy: An endpoint policy for the services of the SageMaker family that clients call, or a
            mapping from the words of ``services`` to policies. Without one AWS's own allows all.
        tags: Of everything that is made.
        route_tables: For gateways; ``all`` means every one of the VPC.
        fips: Whether the family's FIPS endpoint services are meant; as the session says by default.

    Raises:
        ConfigurationError: An argument cannot be used; nothing is planned.
        PolicyError: A policy cannot be attached.
        FipsUnavailableError: A service has no FIPS endpoint service.
        DiscoveryError: EC2 could not be asked; the permission is named.
        MissingRegionError: The session has no region; botocore's NoRegionError catches it.
    """
    asked = Planner(
        session, vpc_id, tuple(services) if not isinstance(services, str) else (services,), fips
    )
    return asked.plan(
        subnets=subnets,
        security_groups=security_groups,
        private_dns=private_dns,
        policy=policy,
        tags=dict(tags or {}),
        route_tables=route_tables,
    )
