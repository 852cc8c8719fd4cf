"""What is seen of one service: its route, and what is behind it."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.doctor.facts import Call, RouteFailure, ServiceFacts
from sm_private_client.doctor.observations import NameAnswer, Peer, Unknown, known
from sm_private_client.doctor.probes.network import Prober, look_up
from sm_private_client.doctor.probes.session import url_setting
from sm_private_client.errors import NoPrivateRouteError, PrivateClientError
from sm_private_client.privatelink import services as catalogue
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.hostnames import endpoint_service_name, parse_vpce_name
from sm_private_client.privatelink.records import EndpointAddress, Route
from sm_private_client.privatelink.urls import redacted
from sm_private_client.routing.deadlines import BackgroundTask
from sm_private_client.session.private_routes import routes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_private_client.doctor.observations import VpcEndpointFacts
    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.routing.search import RouteRequest
    from sm_private_client.session import Session

__all__ = ["PROBES", "Probe", "ServiceGathering", "call", "denied_by"]

NOBODY: Final = "sm-private-client-doctor-probe"
"""The name of an inference endpoint, feature group or job that does not exist."""

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 1}
)
"""A private route answers in milliseconds; one try, because a failure is what is looked for."""

_DENIED_BY: Final = re.compile(r"(?:no|in an?|in a) ([A-Za-z -]+ polic(?:y|ies))\b")


class Probe(NamedTuple):
    """A harmless call.

    Attributes:
        operation: Its operation.
        method: botocore's name of it.
        parameters: What it is called with.
        proof: The error codes that prove the way through; success does too.
    """

    operation: str
    method: str
    parameters: Mapping[str, Any]
    proof: frozenset[str] = frozenset()


PROBES: Final[Mapping[str, Probe]] = {
    "sagemaker": Probe("ListEndpoints", "list_endpoints", {"MaxResults": 1}),
    # An inference endpoint that does not exist: no model runs, and only SageMaker knows it.
    "sagemaker-runtime": Probe(
        "InvokeEndpoint",
        "invoke_endpoint",
        {"EndpointName": NOBODY, "Body": b"", "ContentType": "text/csv"},
        frozenset({"ValidationError", "ValidationException"}),
    ),
    "sagemaker-featurestore-runtime": Probe(
        "GetRecord",
        "get_record",
        {"FeatureGroupName": NOBODY, "RecordIdentifierValueAsString": "0"},
        frozenset({"ResourceNotFound", "ValidationError", "ValidationException"}),
    ),
}
"""The services for which a harmless call is known; the others are tried up to TLS."""


def call(session: Session, service_name: str, region: str) -> Call | None:
    """Makes the service's call; gives ``None`` where none is known to be harmless."""
    probe = PROBES.get(service_name)
    if probe is None:
        return None
    action = f"sagemaker:{probe.operation}"
    started = time.monotonic()

    def outcome(**seen: Any) -> Call:  # noqa: ANN401 - fields of Call
        seconds = time.monotonic() - started
        return Call(operation=probe.operation, action=action, seconds=seconds, **seen)

    make: Any = session.client
    try:
        client = make(service_name, region, config=_QUICK)
        answer = getattr(client, probe.method)(**probe.parameters)
    except ClientError as error:
        told: Mapping[str, Any] = error.response
        code = str(told.get("Error", {}).get("Code", ""))
        return outcome(
            code=code,
            status=_status(told),
            denied_by=denied_by(str(told.get("Error", {}).get("Message", "")), code),
            expected=code in probe.proof,
            clock_skew=_skew(told),
        )
    except PrivateClientError as error:
        return outcome(failure=redacted(error.what))
    except BotoCoreError as error:
        said = re.split(r" \([\"']", str(error).splitlines()[0])[0]  # TLS is told by the probes
        return outcome(failure=f"{redacted(said).rstrip('.')}.")
    return outcome(status=_status(answer), expected=True, clock_skew=_skew(answer))


def denied_by(message: str, code: str) -> str:
    """Gives the kind of policy that refused, as AWS's message says; empty where it does not."""
    found = _DENIED_BY.search(message) if "Denied" in code else None
    return found[1] if found else ""


def _status(answer: Mapping[str, Any]) -> int | None:
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status is not None else None


def _skew(answer: Mapping[str, Any]) -> float | None:
    """Gives how far our clock is ahead of the one that wrote the ``Date`` header, in seconds."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


_MORE_TIME: Final = 2.5
"""Seconds kept for names and addresses behind a route that was late."""


class ServiceGathering:
    """Looks at one service.

    Args:
        session: Whose route and network count.
        partition: The region's.
        request: What its route is asked for.
        deadline: Until when, as ``time.monotonic()`` counts.
        deep: Whether the interfaces of all its VPC endpoints are tried.
    """

    def __init__(
        self,
        session: Session,
        partition: Partition,
        request: RouteRequest,
        *,
        deadline: float,
        deep: bool,
    ) -> None:
        self._session = session
        self._region = request.region
        self._partition = partition
        self._request = request
        self._deadline = deadline
        self._deep = deep

    def endpoint_services(self) -> tuple[str, ...]:
        """Gives the endpoint services that serve it, the best first."""
        request = self._request
        service_name = request.service_name
        rows = [catalogue.for_service(service_name, fips=request.fips)]
        if request.fips and request.default_is_fips:
            rows.append(catalogue.for_service(service_name))
        return tuple(
            endpoint_service_name(row, region=self._region, partition=self._partition)
            for row in rows
            if row is not None
        )

    def look(
        self,
        *,
        told: Callable[[], tuple[VpcEndpointFacts, ...] | Unknown],
        vpc_id: Callable[[], str | None],
        signs: bool,
        shakes_hands: bool,
    ) -> ServiceFacts:
        """Looks.

        Args:
            told: Waits for the VPC endpoints that EC2 tells.
            vpc_id: Waits for our VPC.
            signs: Whether there are credentials to make a call with.
            shakes_hands: Whether there is a CA bundle to verify TLS with.
        """
        service_name = self._request.service_name
        bare = self._bare()
        route = self._route()
        calling: BackgroundTask[Call | None] | None = None
        if signs and isinstance(route, Route):
            calling = BackgroundTask(
                lambda: call(self._session, service_name, self._region), what=f"call {service_name}"
            )
        mine = told()
        if not isinstance(mine, Unknown):
            wanted = set(bare.endpoint_services)
            mine = tuple(v for v in mine if v.vpc_endpoint.endpoint_service in wanted)
        seen = replace(bare, route=route, vpc_endpoints=mine, vpc_id=vpc_id())
        seen = replace(seen, names=self._names(seen))
        if shakes_hands:
            seen = replace(seen, peers=self._peers(seen))
        return replace(seen, call=calling.result_or(None, self._deadline) if calling else None)

    def _bare(self) -> ServiceFacts:
        request = self._request
        service_name = request.service_name
        row = catalogue.for_service(service_name, fips=request.fips)
        setting = request.configured_url
        return ServiceFacts(
            service_name=service_name,
            endpoint_services=self.endpoint_services(),
            default_host=urlsplit(request.default_url or "").hostname,
            has_endpoint_policy=row.endpoint_policy if row else None,
            url_setting=url_setting(setting, self._partition) if setting else None,
            route=RouteFailure(reference="no-private-route", what="not decided"),
        )

    def too_late(self) -> ServiceFacts:
        """Gives what stands for a service that was not looked at in time."""
        late = RouteFailure(
            reference="no-private-route",
            what=f"The route to {self._request.service_name} was not decided in time.",
            late=True,
        )
        why = Unknown(reason="nobody answered in time", unreachable=True)
        return replace(self._bare(), route=late, vpc_endpoints=why)

    def _route(self) -> Route | RouteFailure:
        service_name = self._request.service_name
        started = BackgroundTask(
            lambda: self._session.route(service_name, self._region), what=f"route {service_name}"
        )
        try:
            return started.result(self._deadline - _MORE_TIME)
        except TimeoutError:
            return self.too_late().route
        except PrivateClientError as error:
            steps = error.attempts if isinstance(error, NoPrivateRouteError) else ()
            return RouteFailure(
                reference=error.reference,
                what=redacted(error.what.splitlines()[0]).removesuffix(" Tried, in order:"),
                steps=steps,
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
        network = routes_of(self._session).network
        asked = [
            BackgroundTask(partial(look_up, network, host, kind, policy), what=f"DNS {host}")
            for host, kind in wanted.items()
        ]
        return tuple(
            started.result_or(
                NameAnswer(host=host, kind=kind, failure="was not answered", unanswered=True),
                self._deadline,
            )
            for (host, kind), started in zip(wanted.items(), asked, strict=True)
        )

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
        allowed = self._request.settings.allowed_networks
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
        routes = routes_of(self._session)
        prober = Prober(routes.network, routes.bundle())
        asked = [
            BackgroundTask(
                partial(
                    prober.probe,
                    address,
                    host,
                    port=url.port or (80 if url.scheme == "http" else 443),
                    tls=url.scheme != "http",
                ),
                what=f"connection to {address.address}",
            )
            for address in targets.values()
        ]
        return tuple(
            started.result_or(
                Peer(address=address, tcp_failure="no answer in time", timed_out=True),
                self._deadline,
            )
            for address, started in zip(targets.values(), asked, strict=True)
        )
