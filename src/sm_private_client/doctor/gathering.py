"""Gathering: all the looking, once, in parallel, in bounded time; gives ``Facts``.

First what other questions need: settings, credentials, clients (botocore makes one at a time).
Then, all at once: where we are, EC2, STS, siblings, and of each service its route; once there is
one, its signed call, and its names and addresses. What is late is ``Unknown``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from sm_private_client.doctor.facts import (
    Call,
    Credentials,
    Environment,
    Facts,
    Identity,
    RouteFailure,
    ServiceFacts,
)
from sm_private_client.doctor.gathering_account import (
    Account,
    groups_of,
    identity_of_caller,
    look_at_account,
)
from sm_private_client.doctor.gathering_calls import call
from sm_private_client.doctor.gathering_network import Prober, look_up, name_servers
from sm_private_client.doctor.gathering_session import credentials_of, environment_of, url_setting
from sm_private_client.doctor.gathering_siblings import look_at_siblings, sibling_services
from sm_private_client.doctor.hosts import redacted
from sm_private_client.doctor.network_facts import Peer
from sm_private_client.doctor.plugin_hook import look_at_hook
from sm_private_client.doctor.started import Started
from sm_private_client.doctor.unknown import Unknown, known
from sm_private_client.errors import ConfigurationError, NoPrivateRouteError, PrivateClientError
from sm_private_client.privatelink import services as catalogue
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.hostnames import endpoint_service_name, parse_vpce_name
from sm_private_client.privatelink.records import EndpointAddress, Route
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.doctor.account_facts import VpcEndpointFacts
    from sm_private_client.doctor.network_facts import NameAnswer
    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.routing.inquiry import RouteRequest
    from sm_private_client.routing.location import Location
    from sm_private_client.session import Session

__all__ = ["gather"]

GATHERING_TIMEOUT: Final = 13.0
"""Seconds for everything, so that a dead world is told within fifteen."""

_CREDENTIALS_TIMEOUT: Final = 4.0
_CLIENT_TIMEOUT: Final = 3.0
_MORE_TIME: Final = 2.5
"""Seconds kept for names and addresses behind a route that was late."""

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 1}
)


def gather(session: Session, service_names: Sequence[str], *, deep: bool) -> Facts:
    """Looks at everything.

    Args:
        session: Whose settings, credentials and network count.
        service_names: boto3's names.
        deep: Whether every sibling and every VPC endpoint's interfaces are tried.

    Raises:
        ConfigurationError: A name is not one of the SageMaker family.
    """
    for name in service_names:
        catalogue.for_service(name)
    names = tuple(dict.fromkeys(map(catalogue.canonical_service_name, service_names)))
    region = str(session.region_name or "")
    if not region:
        return Facts(region="", settings_problem="no region is set")
    try:
        partition = session.routes.partition(region)
        requests = {name: session.routes.request(name, region) for name in names}
    except ConfigurationError as error:
        return Facts(region=region, settings_problem=redacted(error.what))
    return _Gathering(session, region, partition, requests, deep=deep).facts()


class _Gathering:
    def __init__(
        self,
        session: Session,
        region: str,
        partition: Partition,
        requests: dict[str, RouteRequest],
        *,
        deep: bool,
    ) -> None:
        self._session = session
        self._region = region
        self._partition = partition
        self._requests = requests
        self._deep = deep
        self._deadline = time.monotonic() + GATHERING_TIMEOUT
        self._request = next(iter(requests.values()))

    def facts(self) -> Facts:
        session, request = self._session, self._request
        environ = read_environment()
        fips = any(r.fips for r in self._requests.values())
        environment = environment_of(
            session, environ, fips=fips, dual_stack=".api.aws" in (request.default_url or "")
        )
        credentials = self._credentials()
        ec2, sts = (self._client(name, credentials) for name in ("ec2", "sts"))
        location = Started(session.routes.location, what="location")
        identity = self._ask_identity(sts)
        account = Started(lambda: self._account(ec2, location), what="EC2")
        siblings = Started(
            lambda: look_at_siblings(
                session,
                region=self._region,
                partition=self._partition,
                account=lambda: self._within(account, self._no_account()),
                vpc_id=lambda: self._vpc_id(location),
                deep=self._deep,
            ),
            what="siblings",
        )
        signs = isinstance(credentials, Credentials)
        looked = {
            name: Started(
                lambda n=name: self._service(n, account, location, environment, signs=signs),  # type: ignore[misc] # mypy knows no default of a lambda
                what=name,
            )
            for name in self._requests
        }
        seen = tuple(
            self._within(started, self._too_late(name)) for name, started in looked.items()
        )
        place = self._within(location, None)
        told = self._within(account, self._no_account())
        own = tuple(
            sorted({p.source_address for s in seen for p in s.peers if _is_own(p.source_address)})
        )
        groups = self._own_groups(ec2, own)
        vpc_id = self._vpc_id(location)
        used = next((s.serving for s in seen if s.serving), None)
        of_vpc = vpc_id or (used.vpc_endpoint.vpc_id if used else None)
        return Facts(
            region=self._region,
            partition=self._partition.name,
            credentials=credentials,
            identity=self._within(identity, Unknown(reason="STS did not answer in time")),
            location=place,
            vpc_id=vpc_id,
            availability_zone=_zone(request, place, seen),
            vpc=told.vpcs.get(of_vpc) if of_vpc else None,
            own_addresses=own,
            own_group_ids=groups,
            name_servers=name_servers(),
            environment=environment,
            hook=look_at_hook(environ),
            services=seen,
            siblings=self._within(siblings, ()),
        )

    # The session

    def _credentials(self) -> Credentials | Unknown | None:
        started = Started(lambda: credentials_of(self._session), what="credentials")
        try:
            return started.result(time.monotonic() + _CREDENTIALS_TIMEOUT)
        except TimeoutError:
            return Unknown(reason="the provider did not answer in time")

    def _client(self, name: str, credentials: Credentials | Unknown | None) -> Any:  # noqa: ANN401 - boto3's, or Unknown
        if credentials is None:
            return Unknown(reason="there are no AWS credentials")
        if isinstance(credentials, Unknown):
            return Unknown(reason=f"there are no credentials: {credentials.reason}")
        make: Any = self._session.client
        # A sealed session looks for a private way first, which may take seconds.
        making = Started(lambda: make(name, self._region, config=_QUICK), what=f"client {name}")
        try:
            return making.result(time.monotonic() + _CLIENT_TIMEOUT)
        except TimeoutError:
            return Unknown(reason=f"no way to {name} was found in time", unreachable=True)
        except PrivateClientError as error:
            reason = f"this sealed session has no private way to {name} ({type(error).__name__})"
            return Unknown(reason=reason, unreachable=True)
        except (BotoCoreError, ValueError) as error:
            return Unknown(reason=f"no client of {name} could be made ({type(error).__name__})")

    @staticmethod
    def _ask_identity(sts: Any) -> Started[Identity | Unknown]:  # noqa: ANN401
        return Started(
            lambda: sts if isinstance(sts, Unknown) else identity_of_caller(sts), what="STS"
        )

    def _own_groups(self, ec2: Any, own: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ANN401
        if isinstance(ec2, Unknown) or not own:
            return ()
        asked = Started(lambda: groups_of(ec2, own), what="own security groups")
        return known(self._within(asked, Unknown(reason="late"))) or ()

    def _vpc_id(self, location: Started[Location]) -> str | None:
        if self._request.settings.vpc_id is not None:
            return self._request.settings.vpc_id
        place = self._within(location, None)
        return place.vpc_id if place else None

    def _account(self, ec2: Any, location: Started[Location]) -> Account:  # noqa: ANN401
        if isinstance(ec2, Unknown):
            return Account(vpc_endpoints=ec2, vpcs={})
        rows = [row for row in catalogue.CATALOGUE if not row.is_browser_only]
        every = [
            endpoint_service_name(row, region=self._region, partition=self._partition)
            for row in rows
        ]
        vpc_id = self._vpc_id(location)
        return look_at_account(
            ec2,
            endpoint_services=[*every, *sibling_services(self._region, self._partition)],
            in_full=[name for n in self._requests for name in self._endpoint_services(n)],
            vpc_ids=(vpc_id,) if vpc_id else (),
        )

    @staticmethod
    def _no_account() -> Account:
        return Account(
            vpc_endpoints=Unknown(reason="EC2 did not answer in time", unreachable=True), vpcs={}
        )

    # One service

    def _endpoint_services(self, service_name: str) -> tuple[str, ...]:
        request = self._requests[service_name]
        rows = [catalogue.for_service(service_name, fips=request.fips)]
        if request.fips and request.default_is_fips:
            rows.append(catalogue.for_service(service_name))
        return tuple(
            endpoint_service_name(row, region=self._region, partition=self._partition)
            for row in rows
            if row is not None
        )

    def _service(
        self,
        service_name: str,
        account: Started[Account],
        location: Started[Location],
        environment: Environment,
        *,
        signs: bool,
    ) -> ServiceFacts:
        bare = self._bare(service_name)
        route = self._route(service_name)
        calling: Started[Call | None] | None = None
        if signs and isinstance(route, Route):
            calling = Started(
                lambda: call(self._session, service_name, self._region), what=f"call {service_name}"
            )
        told = self._within(account, self._no_account()).vpc_endpoints
        place = self._vpc_id(location)
        wanted = set(bare.endpoint_services)
        mine: tuple[VpcEndpointFacts, ...] | Unknown = told
        if not isinstance(told, Unknown):
            mine = tuple(v for v in told if v.vpc_endpoint.endpoint_service in wanted)
        seen = replace(bare, route=route, vpc_endpoints=mine, vpc_id=place)
        seen = replace(seen, names=self._names(seen))
        if environment.ca_bundle_problem is None:
            seen = replace(seen, peers=self._peers(seen))
        return replace(seen, call=self._within(calling, None) if calling else None)

    def _bare(self, service_name: str) -> ServiceFacts:
        request = self._requests[service_name]
        row = catalogue.for_service(service_name, fips=request.fips)
        setting = request.configured_url
        return ServiceFacts(
            service_name=service_name,
            endpoint_services=self._endpoint_services(service_name),
            default_host=urlsplit(request.default_url or "").hostname,
            has_endpoint_policy=row.endpoint_policy if row else None,
            url_setting=url_setting(setting, self._partition) if setting else None,
            route=RouteFailure(reference="no-private-route", what="not decided"),
        )

    def _too_late(self, service_name: str) -> ServiceFacts:
        late = RouteFailure(
            reference="no-private-route",
            what=f"The route to {service_name} was not decided in time.",
            late=True,
        )
        why = Unknown(reason="nobody answered in time", unreachable=True)
        return replace(self._bare(service_name), route=late, vpc_endpoints=why)

    def _route(self, service_name: str) -> Route | RouteFailure:
        started = Started(
            lambda: self._session.route(service_name, self._region), what=f"route {service_name}"
        )
        try:
            return started.result(self._deadline - _MORE_TIME)
        except TimeoutError:
            return self._too_late(service_name).route
        except PrivateClientError as error:
            steps = error.attempts if isinstance(error, NoPrivateRouteError) else ()
            return RouteFailure(
                reference=error.reference,
                what=redacted(error.what.splitlines()[0]).removesuffix(" Tried, in order:"),
                steps=tuple(steps),  # type: ignore[arg-type] # they are Evidence
            )
        except BotoCoreError as error:
            return RouteFailure(reference="routing", what=redacted(str(error).splitlines()[0]))

    def _names(self, seen: ServiceFacts) -> tuple[NameAnswer, ...]:
        wanted: dict[str, Any] = {}
        if seen.default_host:
            wanted[seen.default_host] = "default"
        for one in self._of_interest(seen):
            for host in one.vpc_endpoint.dns_names:
                name = parse_vpce_name(host, (self._partition,))
                if name is not None:
                    wanted[host] = "zonal" if name.availability_zone else "regional"
        if isinstance(seen.route, Route):
            wanted.setdefault(seen.route.host, "route")
        policy = self._policy(seen)
        network = self._session.network
        asked = [
            Started(lambda h=host, k=kind: look_up(network, h, k, policy), what=f"DNS {host}")  # type: ignore[misc] # mypy knows no default of a lambda
            for host, kind in wanted.items()
        ]
        answers = (self._within(started, None) for started in asked)
        return tuple(answer for answer in answers if answer is not None)

    def _of_interest(self, seen: ServiceFacts) -> tuple[VpcEndpointFacts, ...]:
        every = tuple(v for v in known(seen.vpc_endpoints) or () if v.vpc_endpoint.is_available)
        used = seen.serving
        if not self._deep:
            return (used,) if used is not None else ()
        vpc_id = self._request.settings.vpc_id or (used.vpc_endpoint.vpc_id if used else None)
        return tuple(v for v in every if vpc_id in (None, v.vpc_endpoint.vpc_id))

    def _policy(self, seen: ServiceFacts) -> AddressPolicy:
        if isinstance(seen.route, Route):
            return seen.route.address_policy
        allowed = self._requests[seen.service_name].settings.allowed_networks
        return AddressPolicy(allowed_networks=allowed)

    def _peers(self, seen: ServiceFacts) -> tuple[Peer, ...]:
        """Tries the addresses that calls go to and the interfaces of the VPC endpoint.

        A public address is never dialled.
        """
        own = {a.address: a for one in self._of_interest(seen) for a in one.vpc_endpoint.addresses}
        targets = dict(own)
        url = urlsplit("")
        host = seen.default_host or ""
        if isinstance(seen.route, Route):
            url = urlsplit(seen.route.endpoint_url)
            host = seen.route.host
            reached = [a for n in seen.names if n.host == host for a in n.addresses]
            refused = {a for n in seen.names for a, _ in n.refused}
            zones = {a.address: a for a in seen.route.addresses}
            targets = {
                a: own.get(a) or zones.get(a) or EndpointAddress(address=a)
                for a in dict.fromkeys([*reached, *own])
                if a not in refused or a in own
            }
        elif (used := seen.serving) is not None:
            host = next((n.host for n in seen.names if n.kind == "regional"), host)
            host = host if used.vpc_endpoint.dns_names else seen.default_host or ""
        if not host:
            return ()
        prober = Prober(self._session.network, self._session.ca_bundle)
        asked = [
            Started(
                lambda a=address: prober.probe(  # type: ignore[misc] # mypy knows no default of a lambda
                    a,
                    host,
                    port=url.port or (80 if url.scheme == "http" else 443),
                    tls=url.scheme != "http",
                ),
                what=f"connection to {address.address}",
            )
            for address in targets.values()
        ]
        return tuple(
            self._within(
                started, Peer(address=address, tcp_failure="no answer in time", timed_out=True)
            )
            for address, started in zip(targets.values(), asked, strict=True)
        )

    def _within(self, started: Started[Any], instead: Any) -> Any:  # noqa: ANN401 - a T each
        try:
            return started.result(self._deadline)
        except TimeoutError:
            return instead


def _is_own(address: str | None) -> bool:
    # Loopback is what the simulator and proxies on this machine are reached from.
    return address is not None and not address.startswith(("127.", "::1", "0.0.0.0"))  # noqa: S104 - no binding


def _zone(
    request: RouteRequest, place: Location | None, seen: tuple[ServiceFacts, ...]
) -> str | None:
    if request.settings.availability_zone is not None:
        return request.settings.availability_zone
    decided = (s.route.availability_zone for s in seen if isinstance(s.route, Route))
    return next(filter(None, decided), place.availability_zone if place else None)
