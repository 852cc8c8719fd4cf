"""RouteReport: what is to be told about one service, whether it has a route or not."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import NoPrivateRouteError, PrivateClientError, RoutingError
from sm_private_client.privatelink import services
from sm_private_client.privatelink.addresses import refusal
from sm_private_client.privatelink.records import EndpointAddress
from sm_private_client.session.private_routes import routes_of

if TYPE_CHECKING:
    from botocore.config import Config

    from sm_private_client.privatelink.records import Route
    from sm_private_client.session import Session

__all__ = ["NEEDED", "RouteReport", "Standing", "report_on"]

NEEDED: Final = ("sagemaker", "sagemaker-runtime")
"""What must have a route where no service is asked for: nobody works without these two."""

_DNS_TIMEOUT: Final = 2.0
"""Seconds for the look-up of a host that was named and not yet looked up."""


class Standing(str, enum.Enum):
    """How a service stands, seen from here."""

    PRIVATE = "private"
    LOCAL = "local, not private"
    PUBLIC = "public"
    NONE = "no private route"
    ELSEWHERE = "other regions only"


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteReport:
    """One service, and how it is reached or why not.

    Attributes:
        service_name: boto3's name of the service.
        region: The region.
        standing: The verdict.
        route: The route, its addresses looked up; ``None`` where there is none.
        error: Why there is no private route; ``None`` where nothing is wrong.
    """

    service_name: str
    region: str
    standing: Standing
    route: Route | None = None
    error: PrivateClientError | None = None

    @property
    def by(self) -> str:
        """What decided, in a word or two; for people."""
        if self.standing is Standing.ELSEWHERE:
            return ", ".join(_regions(self.service_name))
        return self.route.source if self.route is not None else ""

    def reasons(self, *, briefly: bool = False) -> tuple[str, ...]:
        """Gives the evidence, a line each.

        Args:
            briefly: Leave out the steps that were skipped.
        """
        if self.standing is Standing.ELSEWHERE:
            return (f"AWS offers no endpoint service for it in {self.region}.",)
        lines: list[str] = []
        if self.route is not None:
            told = self.route.explain().splitlines()[1:]
            skipped = {f"{e.step} ({e.outcome})" for e in self.route.evidence if briefly}
            skipped = {start for start in skipped if start.endswith("(skipped)")}
            lines = [line.strip() for line in told if line.strip().partition(":")[0] not in skipped]
        if self.error is not None:
            lines += str(self.error).splitlines()
        return tuple(lines)

    def as_record(self) -> dict[str, Any]:
        """Gives the report as JSON can hold it: a ``Route.as_dict()`` and the verdict."""
        record: dict[str, Any] = {"service_name": self.service_name, "region": self.region}
        if self.route is not None:
            record.update(self.route.as_dict())
        elif isinstance(self.error, NoPrivateRouteError):
            record["evidence"] = [
                {"step": a.step, "outcome": a.outcome, "detail": a.detail}
                for a in self.error.attempts
            ]
        record["private"] = self.standing is Standing.PRIVATE
        record["standing"] = self.standing.value
        record["error"] = None if self.error is None else str(self.error)
        record["reference"] = None if self.error is None else self.error.reference
        return record


def report_on(
    session: Session,
    service_name: str,
    *,
    asked_for: bool = False,
    config: Config | None = None,
) -> RouteReport:
    """Finds out how a service is reached; every failure becomes part of the report.

    Args:
        session: Whose routes count.
        service_name: boto3's own name of a service of the SageMaker family.
        asked_for: Whether it was named; then having no endpoint service here is a failure too.
        config: As for ``Session.route``.
    """
    region = session.region_name
    try:
        route = session.route(service_name, config=config)
    except PrivateClientError as error:
        regions = _regions(service_name)
        if isinstance(error, NoPrivateRouteError) and regions and region not in regions:
            return RouteReport(
                service_name=service_name,
                region=region,
                standing=Standing.ELSEWHERE,
                error=error if asked_for else None,
            )
        return RouteReport(
            service_name=service_name, region=region, standing=Standing.NONE, error=error
        )
    route, failure = _looked_up(route, session)
    return RouteReport(
        service_name=service_name,
        region=region,
        standing=_standing(route, failure),
        route=route,
        error=failure,
    )


def _standing(route: Route, failure: PrivateClientError | None) -> Standing:
    if route.is_local:
        return Standing.LOCAL
    if route.source == "public" or (failure is not None and route.addresses):
        return Standing.PUBLIC
    return Standing.PRIVATE if failure is None else Standing.NONE


def _looked_up(route: Route, session: Session) -> tuple[Route, PrivateClientError | None]:
    """Gives a route with its addresses, and the error that the guard would raise for them.

    A host that was named by URL is judged when it is dialled, so its route has no addresses yet.
    """
    if route.is_local:
        return route, RoutingError(
            f"{route.service_name} goes to {route.endpoint_url}, a stand-in on this machine.",
            cause=f"it was named by {route.evidence[-1].detail.partition(' names ')[0]}.",
            remedy="unset that for a private route to AWS.",
        )
    if not route.addresses:
        try:
            found = routes_of(session).network.resolve(route.host, timeout=_DNS_TIMEOUT)
        except OSError as error:
            return route, RoutingError(
                f"{route.host} cannot be looked up, so {route.service_name} has no private route.",
                cause=f"{error.strerror or error}.",
                remedy="name a host that this network's DNS knows, or leave it out so that the "
                "VPC endpoint is found.",
            )
        route = replace(route, addresses=tuple(EndpointAddress(address=a) for a in found))
    for verdict in (route.address_policy.judge(a.address) for a in route.addresses):
        if not verdict.private:
            return route, refusal(route.host, verdict)
    if route.source == "public":
        return route, RoutingError(
            f"Calls to {route.service_name} go out publicly.",
            cause="on_public_route is 'warn' and there is no private route.",
            remedy="take sm_private_on_public_route out of the profile.",
        )
    return route, None


def _regions(service_name: str) -> tuple[str, ...]:
    row = services.for_service(service_name)
    return tuple(sorted(row.regions)) if row is not None and row.regions else ()
