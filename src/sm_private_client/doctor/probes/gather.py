"""Gathering: all the looking, once, in parallel, in bounded time; gives ``Facts``.

First what other questions need: settings, credentials, clients (botocore makes one at a time).
Then, at once: where we are, EC2, STS, other services, and of each service its route; once there is
one, its signed call, and its names and addresses. What is late is ``Unknown``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from sm_private_client.doctor.facts import (
    Credentials,
    Facts,
    Identity,
    ServiceFacts,
)
from sm_private_client.doctor.observations import Unknown, known
from sm_private_client.doctor.probes.account import (
    Account,
    groups_of,
    identity_of_caller,
    look_at_account,
)
from sm_private_client.doctor.probes.network import name_servers
from sm_private_client.doctor.probes.other_services import (
    look_at_other_services,
    other_endpoint_services,
)
from sm_private_client.doctor.probes.service import ServiceGathering
from sm_private_client.doctor.probes.session import credentials_of, environment_of, look_at_hook
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
    from sm_private_client.session import Session

__all__ = ["gather"]

GATHERING_TIMEOUT: Final = 13.0
"""Seconds for everything, so that a dead world is told within fifteen."""

_CREDENTIALS_TIMEOUT: Final = 4.0
_CLIENT_TIMEOUT: Final = 3.0

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 1}
)


def gather(session: Session, service_names: Sequence[str], *, deep: bool) -> Facts:
    """Looks at everything.

    Args:
        session: Whose settings, credentials and network count.
        service_names: boto3's names.
        deep: Whether every other service and every VPC endpoint's interfaces are tried.

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
        told = " ".join(str(missing_region()).splitlines()[:2])
        return Facts(region="", settings_problem=told)
    try:
        partition = routes_of(session).router.partition(region)
        requests = {name: routes_of(session).router.request(name, region) for name in names}
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
        self._services = {
            name: ServiceGathering(session, partition, r, deadline=self._deadline, deep=deep)
            for name, r in requests.items()
        }

    def facts(self) -> Facts:
        session, request = self._session, self._request
        environ = read_environment()
        fips = any(r.fips for r in self._requests.values())
        environment = environment_of(
            session, environ, fips=fips, dual_stack=".api.aws" in (request.default_url or "")
        )
        credentials = self._credentials()
        ec2, sts = (self._client(name, credentials) for name in ("ec2", "sts"))
        location = BackgroundTask(routes_of(session).router.location, what="location")
        identity = self._ask_identity(sts)
        account = BackgroundTask(lambda: self._account(ec2, location), what="EC2")
        other_services = BackgroundTask(
            lambda: look_at_other_services(
                session,
                region=self._region,
                partition=self._partition,
                account=lambda: self._within(account, self._no_account()),
                vpc_id=lambda: self._vpc_id(location),
                deep=self._deep,
            ),
            what="other_services",
        )
        signs = isinstance(credentials, Credentials)
        looked = [
            (
                service,
                BackgroundTask(
                    lambda s=service: s.look(  # type: ignore[misc] # mypy knows no default of a lambda
                        told=lambda: self._within(account, self._no_account()).vpc_endpoints,
                        vpc_id=lambda: self._vpc_id(location),
                        signs=signs,
                        shakes_hands=environment.ca_bundle_problem is None,
                    ),
                    what=name,
                ),
            )
            for name, service in self._services.items()
        ]
        seen = tuple(self._within(started, service.too_late()) for service, started in looked)
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
            other_services=self._within(other_services, ()),
        )

    # The session

    def _credentials(self) -> Credentials | Unknown | None:
        started = BackgroundTask(lambda: credentials_of(self._session), what="credentials")
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

        def made() -> Any:  # noqa: ANN401 - boto3's
            client = make(name, self._region, config=_QUICK)
            if is_guarded(client):  # the session is sealed: its way may take seconds to find
                decide_route(client)
            return client

        making = BackgroundTask(made, what=f"client {name}")
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
    def _ask_identity(sts: Any) -> BackgroundTask[Identity | Unknown]:  # noqa: ANN401
        return BackgroundTask(
            lambda: sts if isinstance(sts, Unknown) else identity_of_caller(sts), what="STS"
        )

    def _own_groups(self, ec2: Any, own: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ANN401
        if isinstance(ec2, Unknown) or not own:
            return ()
        asked = BackgroundTask(lambda: groups_of(ec2, own), what="own security groups")
        return known(self._within(asked, Unknown(reason="late"))) or ()

    def _vpc_id(self, location: BackgroundTask[Location]) -> str | None:
        if self._request.settings.vpc_id is not None:
            return self._request.settings.vpc_id
        place = self._within(location, None)
        return place.vpc_id if place else None

    def _account(self, ec2: Any, location: BackgroundTask[Location]) -> Account:  # noqa: ANN401
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
            endpoint_services=[*every, *other_endpoint_services(self._region, self._partition)],
            in_full=[
                name for service in self._services.values() for name in service.endpoint_services()
            ],
            vpc_ids=(vpc_id,) if vpc_id else (),
        )

    @staticmethod
    def _no_account() -> Account:
        return Account(
            vpc_endpoints=Unknown(reason="EC2 did not answer in time", unreachable=True), vpcs={}
        )

    def _within(self, started: BackgroundTask[Any], instead: Any) -> Any:  # noqa: ANN401 - a T each
        return started.result_or(instead, self._deadline)


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
