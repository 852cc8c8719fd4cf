"""All probes, run once, in parallel, in bounded time.

First comes what the others need: settings, credentials, clients (botocore makes one at a time).
Then, at once: where we are, EC2, STS, the other services, and of each service its route. A service
that has a route is called; its names and addresses are tried. What is late is ``Unknown``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from sm_private_client.doctor.facts import Credentials, Facts, ServiceFacts, Unknown, known
from sm_private_client.doctor.probes.account import (
    Account,
    groups_of,
    identity_of_caller,
    probe_account,
)
from sm_private_client.doctor.probes.environment import credentials_of, environment_of, probe_hook
from sm_private_client.doctor.probes.network import name_servers
from sm_private_client.doctor.probes.other_services import (
    other_endpoint_services,
    probe_other_services,
)
from sm_private_client.doctor.probes.service import ServiceProbe
from sm_private_client.errors import ConfigurationError, PrivateClientError
from sm_private_client.privatelink import services as catalogue
from sm_private_client.privatelink.hostnames import endpoint_service_name
from sm_private_client.privatelink.records import Route
from sm_private_client.privatelink.urls import redacted
from sm_private_client.routing.deadlines import BackgroundTask
from sm_private_client.routing.settings import missing_region, read_environment
from sm_private_client.session.private_routes import routes_of
from sm_private_client.transport.guarded import decide_route, is_guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.routing.location import Location
    from sm_private_client.routing.search import RouteRequest
    from sm_private_client.routing.settings import RoutingSettings
    from sm_private_client.session import Session
    from sm_private_client.types import BotoClient

__all__ = ["gather"]

PROBE_TIMEOUT: Final = 13.0
"""Seconds for everything, so that a dead world is reported within fifteen."""

_CREDENTIALS_TIMEOUT: Final = 4.0
_CLIENT_TIMEOUT: Final = 3.0

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 1}
)

T = TypeVar("T")


def gather(session: Session, service_names: Sequence[str], *, deep: bool) -> Facts:
    """Return everything that the probes see.

    Args:
        session: Whose settings, credentials and network count.
        service_names: boto3's names.
        deep: Try every other service and the interfaces of every VPC endpoint.

    Raises:
        ConfigurationError: A name is not one of the SageMaker family.
    """
    for name in service_names:
        catalogue.for_service(name)
    names = tuple(dict.fromkeys(map(catalogue.canonical_service_name, service_names)))
    if not names:
        raise ConfigurationError("services= names no service.", remedy="name sagemaker-runtime.")
    region = str(session.region_name or "")
    if not region:
        problem = " ".join(str(missing_region()).splitlines()[:2])
        return Facts(region="", settings_problem=problem)
    router = routes_of(session).router
    try:
        partition = router.partition(region)
        requests = [router.request(name, region) for name in names]
    except ConfigurationError as error:
        return Facts(region=region, settings_problem=redacted(error.what))
    deadline = time.monotonic() + PROBE_TIMEOUT
    return _Probes(session, region, partition, requests, deadline, deep=deep).run()


@dataclass(frozen=True)
class _Probes:
    session: Session
    region: str
    partition: Partition
    requests: Sequence[RouteRequest]
    deadline: float
    deep: bool = field(kw_only=True)

    @property
    def settings(self) -> RoutingSettings:
        return self.requests[0].settings  # one session's, and so the same for every service

    def run(self) -> Facts:
        session = self.session
        environ = read_environment()
        environment = environment_of(
            session,
            environ,
            fips=any(r.fips for r in self.requests),
            dual_stack=".api.aws" in (self.requests[0].default_url or ""),
        )
        services = [
            ServiceProbe(
                session=session,
                partition=self.partition,
                request=request,
                deadline=self.deadline,
                deep=self.deep,
            )
            for request in self.requests
        ]
        credentials = self._credentials()
        ec2, sts = (self._client(name, credentials) for name in ("ec2", "sts"))
        location: BackgroundTask[Location | None] = BackgroundTask(
            routes_of(session).router.location, what="location"
        )
        identity = BackgroundTask(
            lambda: sts if isinstance(sts, Unknown) else identity_of_caller(sts), what="STS"
        )
        vpc_id = partial(self._vpc_id, location)
        account_task = BackgroundTask(lambda: self._account(ec2, services, vpc_id()), what="EC2")
        late = Unknown(reason="EC2 did not answer in time", unreachable=True)
        no_account = Account(vpc_endpoints=late, vpcs={})
        account = partial(self._within, account_task, no_account)
        other_services = BackgroundTask(
            lambda: probe_other_services(
                session,
                region=self.region,
                partition=self.partition,
                account=account,
                vpc_id=vpc_id,
                deep=self.deep,
            ),
            what="other services",
        )
        tasks = [
            BackgroundTask(
                partial(
                    service.run,
                    vpc_endpoints=lambda: account().vpc_endpoints,
                    vpc_id=vpc_id,
                    with_call=isinstance(credentials, Credentials),
                    with_tls=environment.ca_bundle_problem is None,
                ),
                what=service.service_name,
            )
            for service in services
        ]
        seen = tuple(
            self._within(task, service.too_late())
            for service, task in zip(services, tasks, strict=True)
        )
        place = self._within(location, None)
        sources = {p.source_address for s in seen for p in s.peers}
        own = tuple(sorted(filter(None, map(_own, sources))))
        used = next((s.serving for s in seen if s.serving), None)
        of_vpc = vpc_id() or (used.vpc_endpoint.vpc_id if used else None)
        return Facts(
            region=self.region,
            partition=self.partition.name,
            credentials=credentials,
            identity=self._within(identity, Unknown(reason="STS did not answer in time")),
            location=place,
            vpc_id=vpc_id(),
            availability_zone=self._availability_zone(place, seen),
            vpc=account().vpcs.get(of_vpc) if of_vpc else None,
            own_addresses=own,
            own_group_ids=self._own_groups(ec2, own),
            name_servers=name_servers(),
            environment=environment,
            hook=probe_hook(environ),
            services=seen,
            other_services=self._within(other_services, ()),
        )

    def _within(self, task: BackgroundTask[T], instead: T) -> T:
        return task.result_or(instead, self.deadline)

    def _credentials(self) -> Credentials | Unknown | None:
        task = BackgroundTask(lambda: credentials_of(self.session), what="credentials")
        late = Unknown(reason="the provider did not answer in time")
        return task.result_or(late, time.monotonic() + _CREDENTIALS_TIMEOUT)

    def _client(self, name: str, credentials: Credentials | Unknown | None) -> BotoClient | Unknown:
        if credentials is None:
            return Unknown(reason="there are no AWS credentials")
        if isinstance(credentials, Unknown):
            return Unknown(reason=f"there are no credentials: {credentials.reason}")
        make: Any = self.session.client

        def make_client() -> BotoClient:
            client = make(name, self.region, config=_QUICK)
            if is_guarded(client):  # the session is sealed: its way may take seconds to find
                decide_route(client)
            return client

        task = BackgroundTask(make_client, what=f"client {name}")
        try:
            return task.result(time.monotonic() + _CLIENT_TIMEOUT)
        except TimeoutError:
            return Unknown(reason=f"no way to {name} was found in time", unreachable=True)
        except PrivateClientError as error:
            reason = f"this sealed session has no private way to {name} ({type(error).__name__})"
            return Unknown(reason=reason, unreachable=True)
        except (BotoCoreError, ValueError) as error:
            return Unknown(reason=f"no client of {name} could be made ({type(error).__name__})")

    def _account(
        self, ec2: BotoClient | Unknown, services: Sequence[ServiceProbe], vpc_id: str | None
    ) -> Account:
        if isinstance(ec2, Unknown):
            return Account(vpc_endpoints=ec2, vpcs={})
        family = [
            endpoint_service_name(row, region=self.region, partition=self.partition)
            for row in catalogue.CATALOGUE
            if not row.is_browser_only
        ]
        return probe_account(
            ec2,
            endpoint_services=[*family, *other_endpoint_services(self.region, self.partition)],
            in_full={n for service in services for n in service.endpoint_services()},
            vpc_ids=(vpc_id,) if vpc_id else (),
        )

    def _own_groups(self, ec2: BotoClient | Unknown, own: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(ec2, Unknown) or not own:
            return ()
        task: BackgroundTask[tuple[str, ...] | Unknown] = BackgroundTask(
            lambda: groups_of(ec2, own), what="own security groups"
        )
        return known(self._within(task, Unknown(reason="late"))) or ()

    def _vpc_id(self, location: BackgroundTask[Location | None]) -> str | None:
        if self.settings.vpc_id is not None:
            return self.settings.vpc_id
        place = self._within(location, None)
        return place.vpc_id if place else None

    def _availability_zone(
        self, place: Location | None, services: tuple[ServiceFacts, ...]
    ) -> str | None:
        if self.settings.availability_zone is not None:
            return self.settings.availability_zone
        decided = (s.route.availability_zone for s in services if isinstance(s.route, Route))
        return next(filter(None, decided), place.availability_zone if place else None)


def _own(address: str | None) -> str | None:
    # Loopback is what the simulator and proxies on this machine are reached from.
    others = ("127.", "::1", "0.0.0.0")  # noqa: S104 - nothing is bound to it
    return None if address is None or address.startswith(others) else address
