"""PrivateVariables: what leads any AWS SDK, or the AWS CLI, over the private routes.

A program that is led by variables dials by itself, unguarded. So only routes whose addresses were
all judged private become variables, or stand-ins on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.config import Config

from sm_private_client.cli.route_reports import NEEDED, RouteStatus, report_on
from sm_private_client.errors import ConfigurationError, PrivateClientError
from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.routing.botocore_rules import partitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_private_client.cli.route_reports import RouteReport
    from sm_private_client.session import Session

__all__ = [
    "IGNORE_URLS",
    "KEYS",
    "PrivateVariables",
    "reports_for",
    "service_key",
    "variables_for",
]

KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables that SDKs take before ``AWS_PROFILE``."""

IGNORE_URLS: Final = "ignore_configured_endpoint_urls"
"""The setting that has every SDK ignore the URLs."""

_USABLE: Final = (RouteStatus.PRIVATE, RouteStatus.LOCAL)
_ALL_HOSTS: Final = "*"  # the value of NO_PROXY that turns every proxy off


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateVariables:
    """What to set, and what to know about it.

    Attributes:
        region: The region of the URLs.
        variables: By name, in the order in which they are printed.
        urls: The URLs among them, by boto3's name of the service.
        notes: A sentence each: what needs no URL, and what has no route.
    """

    region: str
    variables: Mapping[str, str]
    urls: Mapping[str, str]
    notes: tuple[str, ...]


def service_key(service_name: str) -> str:
    """Return the name of a service in a ``services`` section of the AWS config file."""
    return service_name.replace("-", "_")


def reports_for(
    session: Session, service_names: Sequence[str], *, ignore_urls: bool = False
) -> tuple[RouteReport, ...]:
    """Find out how services are reached.

    Args:
        session: Decides the routes.
        service_names: The services that must have a route. If there are none, those of ``NEEDED``
            must, and the report has every service.
        ignore_urls: Ignore the standard ``endpoint_url`` settings, which are about to be written.

    Raises:
        PrivateClientError: One that must have a private route has none.
    """
    config = Config(ignore_configured_endpoint_urls=True) if ignore_urls else None  # type: ignore[call-arg] # the stubs miss it
    reports = tuple(
        report_on(session, name, asked_for=bool(service_names), config=config)
        for name in service_names or routable_service_names()
    )
    for report in reports:
        is_needed = report.service_name in (service_names or NEEDED)
        if is_needed and report.status not in _USABLE:
            raise report.error or PrivateClientError(
                f"{report.service_name} has no private route: {report.status.value}."
            )
    return reports


def variables_for(
    session: Session,
    reports: Sequence[RouteReport],
    *,
    environ: Mapping[str, str],
    region: str | None = None,
    profile: str | None = None,
) -> PrivateVariables:
    """Return the variables that lead over routes.

    Args:
        session: Its settings count.
        reports: The routes, from ``reports_for``.
        environ: The environment; its ``NO_PROXY`` is kept and extended.
        region: Set by variables too, if an option named it: a URL is of one region.
        profile: The same.

    Raises:
        ConfigurationError: A URL is needed, and a setting has every SDK ignore URLs.
    """
    urls: dict[str, str] = {}
    hosts, notes = [], []
    for report in reports:
        name, route = report.service_name, report.route
        if report.status not in _USABLE or route is None:
            notes.append(
                f"{name} is left out ({report.status.value}): calls to it go where the SDK sends "
                "them"
            )
            continue
        hosts.append(route.host)
        if route.source == "private-dns":
            notes.append(
                f"{name} needs no URL: private DNS leads {route.host} to private addresses"
            )
            continue
        if report.status is RouteStatus.LOCAL:
            notes.append(f"{name} is a stand-in on this machine, not private")
        urls[name] = route.endpoint_url
    settings = session._session  # noqa: SLF001 - boto3 has no other way to botocore's settings
    if urls and settings.get_config_variable(IGNORE_URLS):
        raise ConfigurationError(
            "No SDK would read the URLs, and calls would go out publicly.",
            cause=f"AWS_{IGNORE_URLS.upper()}, or {IGNORE_URLS} of the profile, is set.",
            remedy="unset it, or set it to false.",
        )
    if profile and any(name in environ for name in KEYS):
        notes.append(f"{KEYS[0]} is set and comes before AWS_PROFILE: unset it")
    variables = {"AWS_PROFILE": profile} if profile else {}
    if region:
        variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    for service_name, url in urls.items():
        variables[f"AWS_ENDPOINT_URL_{service_key(service_name).upper()}"] = url
    dns_suffix = partition_of(session.region_name, partitions(settings)).dns_suffix
    no_proxy = _no_proxy(environ, (f".vpce.{dns_suffix}", *hosts))
    variables |= {"NO_PROXY": no_proxy, "no_proxy": no_proxy}
    return PrivateVariables(
        region=session.region_name, variables=variables, urls=urls, notes=tuple(notes)
    )


def _no_proxy(environ: Mapping[str, str], added: Sequence[str]) -> str:
    """Return one value for both spellings: some programs read the one, some the other."""
    known: list[str] = []
    for name in ("no_proxy", "NO_PROXY"):
        known += [part.strip() for part in environ.get(name, "").split(",") if part.strip()]
    if _ALL_HOSTS in known:
        return _ALL_HOSTS
    return ",".join(dict.fromkeys([*known, *added]))
