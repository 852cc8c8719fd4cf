"""RouteReport: how one service is reached, or why not; as lines, as a table and as JSON."""

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
    from collections.abc import Iterator, Sequence

    from botocore.config import Config
    from rich.console import Group, RenderableType

    from sm_private_client.privatelink.records import Route
    from sm_private_client.session import Session

__all__ = ["NEEDED", "RouteReport", "RouteStatus", "lines", "report_on", "table"]

NEEDED: Final = ("sagemaker", "sagemaker-runtime")
"""What must have a route if no service is asked for: nobody works without these two."""

_DNS_TIMEOUT: Final = 2.0
"""Seconds for the look-up of a host that was named and not yet looked up."""


class RouteStatus(str, enum.Enum):
    """How a service is reached from here."""

    PRIVATE = "private"
    LOCAL = "local, not private"
    PUBLIC = "public"
    NONE = "no private route"
    ELSEWHERE = "other regions only"


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteReport:
    """How one service is reached, or why not.

    Attributes:
        service_name: boto3's name of the service.
        region: The region.
        status: How it is reached.
        route: The route, its addresses looked up; ``None`` if there is none.
        error: Why there is no private route; ``None`` if nothing is wrong.
    """

    service_name: str
    region: str
    status: RouteStatus
    route: Route | None = None
    error: PrivateClientError | None = None

    @property
    def source(self) -> str:
        """What decided, in a word or two; for people."""
        if self.status is RouteStatus.ELSEWHERE:
            return ", ".join(_regions(self.service_name))
        return self.route.source if self.route is not None else ""

    def reasons(self, *, briefly: bool = False) -> tuple[str, ...]:
        """Return the evidence, a line each.

        Args:
            briefly: Leave out the steps that were skipped.
        """
        if self.status is RouteStatus.ELSEWHERE:
            return (f"AWS offers no endpoint service for it in {self.region}.",)
        found: list[str] = []
        if self.route is not None:
            found = [line.strip() for line in self.route.explain().splitlines()[1:]]
        if briefly:
            found = [line for line in found if not line.partition(":")[0].endswith("(skipped)")]
        if self.error is not None:
            found += str(self.error).splitlines()
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Return ``Route.as_dict()``, if there is a route, with the status and the error."""
        record: dict[str, Any] = {"service_name": self.service_name, "region": self.region}
        if self.route is not None:
            record.update(self.route.as_dict())
        elif isinstance(self.error, NoPrivateRouteError):
            record["evidence"] = [
                {"step": a.step, "outcome": a.outcome, "detail": a.detail}
                for a in self.error.attempts
            ]
        record["private"] = self.status is RouteStatus.PRIVATE
        record["status"] = self.status.value
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
    """Find out how a service is reached; every failure becomes part of the report.

    Args:
        session: Decides the route.
        service_name: boto3's own name of a service of the SageMaker family.
        asked_for: The user named it; then having no endpoint service here is a failure too.
        config: As for ``Session.route``.
    """
    region = session.region_name
    error: PrivateClientError | None
    try:
        route = session.route(service_name, config=config)
    except PrivateClientError as failure:
        error, regions = failure, _regions(service_name)
        status = RouteStatus.NONE
        if isinstance(error, NoPrivateRouteError) and regions and region not in regions:
            status = RouteStatus.ELSEWHERE
            error = error if asked_for else None
        return RouteReport(service_name=service_name, region=region, status=status, error=error)
    route, error = _look_up(route, session)
    if route.is_local:
        status = RouteStatus.LOCAL
    elif route.source == "public" or (error is not None and route.addresses):
        status = RouteStatus.PUBLIC
    else:
        status = RouteStatus.PRIVATE if error is None else RouteStatus.NONE
    return RouteReport(
        service_name=service_name, region=region, status=status, route=route, error=error
    )


def _look_up(route: Route, session: Session) -> tuple[Route, PrivateClientError | None]:
    """Return a route with its addresses, and the error that the guard would raise for them.

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
            addresses = routes_of(session).network.resolve(route.host, timeout=_DNS_TIMEOUT)
        except OSError as error:
            return route, RoutingError(
                f"{route.host} cannot be looked up, so {route.service_name} has no private route.",
                cause=f"{error.strerror or error}.",
                remedy="name a host that this network's DNS knows, or leave it out so that the "
                "VPC endpoint is found.",
            )
        route = replace(route, addresses=tuple(EndpointAddress(address=a) for a in addresses))
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


def lines(reports: Sequence[RouteReport], *, briefly: bool = False) -> Iterator[str]:
    """Yield plain lines: one for each service, then its evidence, indented."""
    for report in reports:
        url = f"  {report.route.endpoint_url}" if report.route is not None else ""
        source = f"  ({report.source})" if report.source else ""
        yield f"{report.service_name}  {report.status.value}{url}{source}"
        yield from (f"  {reason}" for reason in report.reasons(briefly=briefly))


_STYLES: Final = {
    RouteStatus.PRIVATE: "bold green",
    RouteStatus.LOCAL: "yellow",
    RouteStatus.PUBLIC: "bold red",
    RouteStatus.NONE: "bold red",
    RouteStatus.ELSEWHERE: "dim",
}


def table(reports: Sequence[RouteReport], *, briefly: bool = False, indent: int = 0) -> Group:
    """Return a row for each service and its evidence below; print it with ``crop=False``.

    Args:
        reports: The rows.
        briefly: Leave out the steps that were skipped.
        indent: Columns to leave free on the left.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    rows: list[RenderableType] = []
    name_width = max((len(report.service_name) for report in reports), default=0)
    status_width = max((len(report.status.value) for report in reports), default=0)
    for report in reports:
        row = Text.assemble(
            (report.service_name.ljust(name_width), "bold"),
            "  ",
            (report.status.value.ljust(status_width), _STYLES[report.status]),
            f"  {report.source}" if report.source else "",
        )
        rows.append(Padding(row, (0, 0, 0, indent)))
        if report.route is not None:
            # Never broken into two, so that it can be copied.
            url = Text(" " * (indent + 2) + report.route.endpoint_url)
            url.no_wrap, url.overflow = True, "ignore"
            rows.append(url)
        rows.extend(
            Padding(Text(reason, style="dim"), (0, 0, 0, indent + 2))
            for reason in report.reasons(briefly=briefly)
        )
    return Group(*rows)
