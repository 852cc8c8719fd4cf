"""Probes of one service: its settings, its route, its names and addresses, and a signed call."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.doctor.facts import (
    Call,
    NameAnswer,
    Peer,
    RouteFailure,
    ServiceFacts,
    Unknown,
    UrlSetting,
    known,
)
from sm_private_client.doctor.probes.network import AddressProbe, look_up
from sm_private_client.errors import ConfigurationError, NoPrivateRouteError, PrivateClientError
from sm_private_client.privatelink import services as catalogue
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.hostnames import endpoint_service_name, parse_vpce_name
from sm_private_client.privatelink.records import EndpointAddress, Route
from sm_private_client.privatelink.urls import parse_endpoint_url, redacted
from sm_private_client.routing.deadlines import BackgroundTask
from sm_private_client.session.private_routes import routes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_private_client.doctor.facts import NameKind, VpcEndpointFacts
    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.routing.botocore_rules import ConfiguredUrl
    from sm_private_client.routing.search import RouteRequest
    from sm_private_client.session import Session

__all__ = ["ServiceProbe", "denied_by", "read_host"]

_NOBODY: Final = "sm-private-client-doctor-probe"
"""The name of an inference endpoint or feature group that does not exist."""

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 1}
)
"""A private route answers in milliseconds; one try, because a failure is what is looked for."""

_MORE_TIME: Final = 2.5
"""Seconds kept for names and addresses behind a route that was late."""

_DENIED_BY: Final = re.compile(r"(?:no|in an?|in a) ([A-Za-z -]+ polic(?:y|ies))\b")


class HarmlessCall(NamedTuple):
    """A call that changes nothing.

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


_CALLS: Final[Mapping[str, HarmlessCall]] = {
    "sagemaker": HarmlessCall("ListEndpoints", "list_endpoints", {"MaxResults": 1}),
    # An inference endpoint that does not exist: no model runs, and only SageMaker knows it.
    "sagemaker-runtime": HarmlessCall(
        "InvokeEndpoint",
        "invoke_endpoint",
        {"EndpointName": _NOBODY, "Body": b"", "ContentType": "text/csv"},
        frozenset({"ValidationError", "ValidationException"}),
    ),
    "sagemaker-featurestore-runtime": HarmlessCall(
        "GetRecord",
        "get_record",
        {"FeatureGroupName": _NOBODY, "RecordIdentifierValueAsString": "0"},
        frozenset({"ResourceNotFound", "ValidationError", "ValidationException"}),
    ),
}
"""The services for which a harmless call is known; the others are tried up to TLS."""


@dataclass(frozen=True, kw_only=True)
class ServiceProbe:
    """A probe of one service.

    Attributes:
        session: Whose route and network count.
        partition: The region's.
        request: What its route is asked for.
        deadline: Until when, as ``time.monotonic()`` counts.
        deep: Try the interfaces of all its VPC endpoints.
    """

    session: Session
    partition: Partition
    request: RouteRequest
    deadline: float
    deep: bool

    @property
    def service_name(self) -> str:
        """boto3's name of the service."""
        return self.request.service_name

    def endpoint_services(self) -> tuple[str, ...]:
        """Return the endpoint services that serve it, the best first."""
        request = self.request
        rows = [catalogue.for_service(self.service_name, fips=request.fips)]
        if request.fips and request.default_is_fips:
            rows.append(catalogue.for_service(self.service_name))
        return tuple(
            endpoint_service_name(row, region=request.region, partition=self.partition)
            for row in rows
            if row is not None
        )

    def run(
        self,
        *,
        vpc_endpoints: Callable[[], tuple[VpcEndpointFacts, ...] | Unknown],
        vpc_id: Callable[[], str | None],
        with_call: bool,
        with_tls: bool,
    ) -> ServiceFacts:
        """Look at its route and at what is behind it.

        Args:
            vpc_endpoints: Waits for the VPC endpoints that EC2 shows.
            vpc_id: Waits for our VPC.
            with_call: Make the signed call; it needs credentials.
            with_tls: Try the addresses; TLS needs a CA bundle.
        """
        facts = self._bare(self._route())
        call: BackgroundTask[Call | None] | None = None
        if with_call and facts.has_route:
            call = BackgroundTask(self._call, what=f"call {self.service_name}")
        mine = vpc_endpoints()
        if not isinstance(mine, Unknown):
            served = facts.endpoint_services
            mine = tuple(v for v in mine if v.vpc_endpoint.endpoint_service in served)
        facts = replace(facts, vpc_endpoints=mine, vpc_id=vpc_id())
        facts = replace(facts, names=self._names(facts))
        if with_tls:
            facts = replace(facts, peers=self._peers(facts))
        return replace(facts, call=call.result_or(None, self.deadline) if call else None)

    def too_late(self) -> ServiceFacts:
        """Return the facts of a service that was not looked at in time."""
        why = Unknown(reason="nobody answered in time", unreachable=True)
        return replace(self._bare(self._late_route()), vpc_endpoints=why)

    def _bare(self, route: Route | RouteFailure) -> ServiceFacts:
        request = self.request
        row = catalogue.for_service(self.service_name, fips=request.fips)
        setting = request.configured_url
        return ServiceFacts(
            service_name=self.service_name,
            endpoint_services=self.endpoint_services(),
            default_host=urlsplit(request.default_url or "").hostname,
            has_endpoint_policy=row.endpoint_policy if row else None,
            url_setting=_url_setting(setting, self.partition) if setting else None,
            route=route,
        )

    def _route(self) -> Route | RouteFailure:
        task = BackgroundTask(
            lambda: self.session.route(self.service_name, self.request.region),
            what=f"route {self.service_name}",
        )
        try:
            return task.result(self.deadline - _MORE_TIME)
        except TimeoutError:
            return self._late_route()
        except PrivateClientError as error:
            steps = error.attempts if isinstance(error, NoPrivateRouteError) else ()
            what = redacted(error.what.splitlines()[0]).removesuffix(" Tried, in order:")
            return RouteFailure(reference=error.reference, what=what, steps=steps)
        except BotoCoreError as error:
            return RouteFailure(reference="routing", what=redacted(str(error).splitlines()[0]))

    def _late_route(self) -> RouteFailure:
        what = f"The route to {self.service_name} was not decided in time."
        return RouteFailure(reference="no-private-route", what=what)

    def _call(self) -> Call | None:
        """Make the service's call; return ``None`` if none is known to be harmless."""
        harmless = _CALLS.get(self.service_name)
        if harmless is None:
            return None
        started = time.monotonic()
        outcome = Call(operation=harmless.operation, action=f"sagemaker:{harmless.operation}")
        make: Any = self.session.client
        try:
            client = make(self.service_name, self.request.region, config=_QUICK)
            response = getattr(client, harmless.method)(**harmless.parameters)
            outcome = replace(outcome, expected=True)
        except ClientError as error:
            response = error.response
            code = str(response.get("Error", {}).get("Code", ""))
            message = str(response.get("Error", {}).get("Message", ""))
            outcome = replace(
                outcome,
                code=code,
                denied_by=denied_by(message, code),
                expected=code in harmless.proof,
            )
        except PrivateClientError as error:
            response = {}
            outcome = replace(outcome, failure=redacted(error.what))
        except BotoCoreError as error:
            response = {}
            # Only the first clause: what TLS said is a fact of its own.
            clause = re.split(r" \([\"']", str(error).splitlines()[0])[0]
            outcome = replace(outcome, failure=f"{redacted(clause).rstrip('.')}.")
        metadata = response.get("ResponseMetadata", {})
        status = metadata.get("HTTPStatusCode")
        return replace(
            outcome,
            status=int(status) if status is not None else None,
            clock_skew=_skew(metadata.get("HTTPHeaders", {}).get("date")),
            seconds=time.monotonic() - started,
        )

    def _names(self, facts: ServiceFacts) -> tuple[NameAnswer, ...]:
        kinds: dict[str, NameKind] = {}
        if facts.default_host:
            kinds[facts.default_host] = "default"
        for one in self._of_interest(facts):
            for host in one.vpc_endpoint.dns_names:
                name = parse_vpce_name(host, (self.partition,))
                if name is not None:
                    kinds[host] = "zonal" if name.availability_zone else "regional"
        policy = AddressPolicy(allowed_networks=self.request.settings.allowed_networks)
        if isinstance(facts.route, Route):
            kinds.setdefault(facts.route.host, "route")
            policy = facts.route.address_policy
        network = routes_of(self.session).network
        tasks = [
            BackgroundTask(partial(look_up, network, host, kind, policy), what=f"DNS {host}")
            for host, kind in kinds.items()
        ]
        return tuple(
            task.result_or(
                NameAnswer(host=host, kind=kind, failure="was not answered", unanswered=True),
                self.deadline,
            )
            for (host, kind), task in zip(kinds.items(), tasks, strict=True)
        )

    def _of_interest(self, facts: ServiceFacts) -> tuple[VpcEndpointFacts, ...]:
        used = facts.serving
        if not self.deep:
            return (used,) if used is not None else ()
        usable = (v for v in known(facts.vpc_endpoints) or () if v.vpc_endpoint.is_available)
        vpc_id = self.request.settings.vpc_id or (used.vpc_endpoint.vpc_id if used else None)
        return tuple(v for v in usable if vpc_id in (None, v.vpc_endpoint.vpc_id))

    def _peers(self, facts: ServiceFacts) -> tuple[Peer, ...]:
        """Try the addresses that calls go to, and the interfaces of the VPC endpoint.

        A public address is never dialled.
        """
        own = {a.address: a for v in self._of_interest(facts) for a in v.vpc_endpoint.addresses}
        targets = dict(own)
        url = urlsplit("")
        host = facts.default_host or ""
        if isinstance(facts.route, Route):
            url = urlsplit(facts.route.endpoint_url)
            host = facts.route.host
            reached = [a for n in facts.names if n.host == host for a in n.addresses]
            refused = {a for n in facts.names for a, _ in n.refused}
            zones = {a.address: a for a in facts.route.addresses}
            targets = {
                a: own.get(a) or zones.get(a) or EndpointAddress(address=a)
                for a in dict.fromkeys([*reached, *own])
                if a not in refused or a in own
            }
        elif (used := facts.serving) is not None and used.vpc_endpoint.dns_names:
            host = next((n.host for n in facts.names if n.kind == "regional"), host)
        if not host:
            return ()
        routes = routes_of(self.session)
        probe = AddressProbe(routes.network, routes.bundle())
        tls = url.scheme != "http"
        port = url.port or (443 if tls else 80)
        tasks = [
            BackgroundTask(
                partial(probe.probe, address, host, port=port, tls=tls),
                what=f"connection to {address.address}",
            )
            for address in targets.values()
        ]
        return tuple(
            task.result_or(Peer(address=address, tcp_failure="no answer in time"), self.deadline)
            for address, task in zip(targets.values(), tasks, strict=True)
        )


def _url_setting(configured: ConfiguredUrl, partition: Partition) -> UrlSetting:
    try:
        host = parse_endpoint_url(configured.url, configured.origin).host
    except ConfigurationError:
        return UrlSetting(host="", origin=configured.origin)
    service_name, region = read_host(host, partition) or (None, None)
    return UrlSetting(
        host=host, origin=configured.origin, names_service=service_name, names_region=region
    )


def read_host(host: str, partition: Partition) -> tuple[str | None, str] | None:
    """Return boto3's service name and the region of a host name.

    It reads a VPC endpoint's DNS name, or a default host name of the SageMaker family; any other
    host is ``None``.
    """
    name = parse_vpce_name(host, (partition,))
    if name is not None:
        return name.service.service_name, name.region
    for row in catalogue.CATALOGUE:
        stem, suffix = f"{row.dns_label}.", f".{partition.dns_suffix}"
        if row.is_browser_only or not (host.startswith(stem) and host.endswith(suffix)):
            continue
        region = host.removeprefix(stem).removesuffix(suffix)
        if partition.has_region(region):
            return row.service_name, region
    return None


def denied_by(message: str, code: str) -> str:
    """Return the kind of policy that refused, as AWS's message says; empty if it does not."""
    found = _DENIED_BY.search(message) if "Denied" in code else None
    return found[1] if found else ""


def _skew(date: str | None) -> float | None:
    """Return how far our clock is ahead of the one that wrote a ``Date`` header, in seconds."""
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None
