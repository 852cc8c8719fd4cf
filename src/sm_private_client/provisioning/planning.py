"""Planning of VPC endpoints: look at the account and return what would be made; change nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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
    choose_subnets,
    mark_existing,
)
from sm_private_client.provisioning.plan import Plan
from sm_private_client.provisioning.policy_files import validated
from sm_private_client.provisioning.records import (
    PlannedSecurityGroup,
    PlannedVpcEndpoint,
    Problem,
    Subnet,
)
from sm_private_client.provisioning.requested_services import RequestedService, resolve_services
from sm_private_client.routing.botocore_rules import partitions, wants_fips
from sm_private_client.routing.settings import missing_region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.policy.parsing import Policy
    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.provisioning.account import ServiceOffer
    from sm_private_client.session import Session

__all__ = ["Planner", "list_vpc_endpoints", "plan_vpc_endpoints"]


def list_vpc_endpoints(session: Session, *, vpc_id: str | None = None) -> tuple[VpcEndpoint, ...]:
    """Return the VPC endpoints of the session's region, of every service, the oldest first.

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
    policy: Policy | Mapping[str, Policy] | None = None,
    tags: Mapping[str, str] | None = None,
    route_tables: Literal["all"] | Sequence[str] = "all",
    fips: bool | None = None,
) -> Plan:
    """Plan the VPC endpoints of a VPC; look, and change nothing.

    Args:
        session: Whose account and region.
        vpc_id: The VPC.
        services: boto3's names of the SageMaker family and the other services (``sts``, ``logs``,
            ``kms``, …), ``notebook`` and ``studio`` for browsers, or full names of endpoint
            services. ``s3`` and ``dynamodb`` mean the gateway, ``s3-interface`` the interface.
        subnets: ``one-per-zone`` takes one of each zone that the service is offered in.
        security_groups: ``create`` makes one that allows TCP port 443 from the VPC.
        private_dns: Whether the default host names lead to the VPC endpoints inside the VPC.
        policy: An endpoint policy for the services of the SageMaker family that clients call, or a
            mapping from the words of ``services`` to policies. Without one AWS's own allows all.
        tags: Of everything that is made.
        route_tables: For gateways; ``all`` means every one of the VPC.
        fips: Whether to take the family's FIPS endpoint services; as the session by default.

    Raises:
        ConfigurationError: An argument cannot be used; nothing is planned.
        PolicyError: A policy cannot be attached.
        FipsUnavailableError: A service has no FIPS endpoint service.
        DiscoveryError: EC2 could not be asked; the permission is named.
        MissingRegionError: The session has no region; botocore's NoRegionError catches it.
    """
    return Planner(session, vpc_id, services, fips).plan(
        subnets=subnets,
        security_groups=security_groups,
        private_dns=private_dns,
        policy=policy,
        tags=dict(tags or {}),
        route_tables=route_tables,
    )


class Planner:
    """Looks at an account once, and collects problems and notes; see ``plan_vpc_endpoints``."""

    def __init__(
        self, session: Session, vpc_id: str, services: Sequence[str], fips: bool | None
    ) -> None:
        if not session.region_name:
            raise missing_region()
        self._session = session
        self._vpc_id = vpc_id
        self._region: str = session.region_name
        botocore_session: Any = session._session  # noqa: SLF001 - boto3 has no public name for it
        self._requested = resolve_services(
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
        policy: Policy | Mapping[str, Policy] | None,
        tags: dict[str, str],
        route_tables: Literal["all"] | Sequence[str],
    ) -> Plan:
        """Look, and return the plan; see ``plan_vpc_endpoints``."""
        _check_tags(tags)
        policies = self._policies(policy)
        cidrs = self._account.vpc_cidrs(self._vpc_id)
        if cidrs is None:
            raise ConfigurationError(
                f"There is no VPC {self._vpc_id} in {self._region} that this account sees.",
                possible_causes=("a typing error", "another region or account"),
                remedy="pass vpc_id= with one that aws ec2 describe-vpcs lists.",
            )
        offers = self._account.offers(name for one in self._requested for name in one.names)
        has_interface = any(one.kind == "Interface" for one in self._requested)
        vpc_subnets = self._account.subnets(self._vpc_id) if has_interface else ()
        chosen = choose_subnets(subnets, vpc_subnets, self._vpc_id) if has_interface else ()
        existing = self._account.vpc_endpoints(vpc_id=self._vpc_id)
        group_ids = () if security_groups == "create" else _as_tuple(security_groups)
        planned = []
        for one in self._requested:
            offer = self._offer(one, offers)
            is_interface = one.kind == "Interface"
            vpc_endpoint = PlannedVpcEndpoint(
                service=one.service,
                endpoint_service=offer.name,
                kind=one.kind,
                service_name=one.service_name,
                policy=self._policy_text(one, offer, policies),
                subnets=self._offered_subnets(offer, chosen, subnets == "one-per-zone")
                if is_interface
                else (),
                private_dns=is_interface and private_dns and self._has_private_dns(offer),
                route_table_ids=() if is_interface else self._route_tables(route_tables),
            )
            planned.append(mark_existing(vpc_endpoint, existing, group_ids))
        arguments = [subnets, security_groups, private_dns, tags, route_tables]
        contents = [[one.policy for one in planned], [one.endpoint_service for one in planned]]
        plan_id = self._plan_id([arguments, *contents])
        group = None
        if has_interface and security_groups == "create":
            group = self._group(plan_id, cidrs)
        elif has_interface:
            self._check_groups(group_ids, cidrs)
        self._problems += check_private_names(planned, offers, existing)
        self._problems += check_addresses(planned, vpc_subnets)
        if any(one.private_dns for one in planned):
            attributes = self._account.dns_attributes(self._vpc_id)
            self._problems += check_dns_attributes(self._vpc_id, attributes)
        gateways = 0
        if any(one.kind == "Gateway" for one in planned):
            gateways = len(self._account.vpc_endpoints(vpc_endpoint_type="Gateway"))
        self._notes += check_quotas(existing, gateways, planned)
        makes_interface = any(one.kind == "Interface" and not one.found_id for one in planned)
        return Plan(
            plan_id=plan_id,
            region=self._region,
            vpc_id=self._vpc_id,
            vpc_endpoints=tuple(planned),
            session=self._session,
            security_group=group if makes_interface else None,
            security_group_ids=group_ids,
            tags=tuple(tags.items()),
            problems=tuple(self._problems),
            notes=tuple(dict.fromkeys(self._notes)),
        )

    def _policies(self, policy: Policy | Mapping[str, Policy] | None) -> dict[str, Policy]:
        """Return the policy of each service that gets one."""
        words = {one.service: one.service_name for one in self._requested}
        if not isinstance(policy, Mapping) or "Statement" in policy:
            family = [word for word, name in words.items() if name.startswith("sagemaker")]
            return {} if policy is None else dict.fromkeys(family, policy)
        if strangers := [word for word in policy if word not in words]:
            raise ConfigurationError(
                f"policy has {', '.join(map(repr, strangers))}, which services does not.",
                remedy=f"use {', '.join(sorted(words))} as keys, or pass one policy.",
            )
        return dict(policy)

    def _offer(
        self, requested: RequestedService, offers: Mapping[tuple[str, str], ServiceOffer]
    ) -> ServiceOffer:
        for name in requested.names:
            if (name, requested.kind) in offers:
                return offers[name, requested.kind]
        raise ConfigurationError(
            f"EC2 offers no {requested.kind.lower()} endpoint service "
            f"{' or '.join(requested.names)} in {self._region}.",
            possible_causes=("the service is not in this region", "a typing error"),
            remedy=f"leave {requested.service!r} out of services, or choose another region.",
        )

    def _policy_text(
        self, requested: RequestedService, offer: ServiceOffer, policies: Mapping[str, Policy]
    ) -> str:
        service = requested.service
        if service not in policies:
            return ""
        document, warnings = validated(
            policies[service], endpoint_service=offer.name, region=self._region
        )
        self._notes += [f"policy for {service}: {problem.message}" for problem in warnings]
        if not offer.takes_policy:
            raise ConfigurationError(
                f"policy is given for {service}, but {offer.name} takes none.",
                remedy=f"leave {service!r} out of policy.",
            )
        return to_json(document, indent=None)

    def _offered_subnets(
        self, offer: ServiceOffer, chosen: tuple[Subnet, ...], may_leave_out: bool
    ) -> tuple[Subnet, ...]:
        offered = tuple(s for s in chosen if s.availability_zone in offer.zones)
        others = ", ".join(s.availability_zone for s in chosen if s not in offered)
        if others and may_leave_out and offered:
            self._notes.append(
                f"{offer.name} is not offered in {others}: callers there reach it in another zone."
            )
        elif others:
            zones = ", ".join(sorted(offer.zones)) or "zones that it is offered in"
            self._problems.append(
                Problem(
                    what=f"{offer.name} is not offered in {others}.",
                    remedy=f"pass subnets=[...] in {zones}.",
                )
            )
        return offered or chosen

    def _has_private_dns(self, offer: ServiceOffer) -> bool:
        if not offer.private_names:
            self._notes.append(f"{offer.name} has no private DNS names, so private DNS stays off.")
        return bool(offer.private_names)

    def _route_tables(self, route_tables: Literal["all"] | Sequence[str]) -> tuple[str, ...]:
        existing = self._account.route_table_ids(self._vpc_id)
        if route_tables == "all":
            return existing
        named = _as_tuple(route_tables)
        if strangers := [one for one in named if one not in existing]:
            raise ConfigurationError(
                f"route_tables names {', '.join(strangers)}, of which {self._vpc_id} has none.",
                remedy=f"pass route_tables='all', or ids of {', '.join(existing)}.",
            )
        return named

    def _group(self, plan_id: str, cidrs: tuple[str, ...]) -> PlannedSecurityGroup:
        name = f"sm-private-client-{plan_id}"
        found = self._account.security_groups(vpc_id=[self._vpc_id], group_name=[name])
        found_id = str(found[0]["GroupId"]) if found else ""
        return PlannedSecurityGroup(name=name, cidrs=cidrs, found_id=found_id)

    def _check_groups(self, group_ids: tuple[str, ...], cidrs: tuple[str, ...]) -> None:
        found = self._account.security_groups(group_id=group_ids) if group_ids else []
        inside = {g["GroupId"] for g in found if g.get("VpcId") == self._vpc_id}
        if not group_ids or (strangers := [one for one in group_ids if one not in inside]):
            named = ", ".join(strangers) if group_ids else "no group at all"
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


def _check_tags(tags: Mapping[str, str]) -> None:
    if PLAN_TAG in tags or any(key.startswith("aws:") for key in tags):
        raise ConfigurationError(
            f"tags has {PLAN_TAG} or a key that begins with 'aws:'.",
            cause="these are set by this package and by AWS.",
            remedy="choose other keys.",
        )


def _as_tuple(ids: str | Sequence[str]) -> tuple[str, ...]:
    return (ids,) if isinstance(ids, str) else tuple(ids)
