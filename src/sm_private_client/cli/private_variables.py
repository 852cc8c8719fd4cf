"""PrivateVariables: what leads any AWS SDK, or the AWS CLI, over the private routes.

A route is not carried over whole: whoever is led by variables dials by itself, unguarded. So only
routes whose addresses were all judged private are given, or stand-ins on this machine.
"""

from __future__ import annotations

import enum
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botocore.config import Config

from sm_private_client.cli.route_reports import NEEDED, Standing, report_on
from sm_private_client.errors import ConfigurationError, PrivateClientError
from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.routing.botocore_rules import partitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sm_private_client.cli.route_reports import RouteReport
    from sm_private_client.session import Session

__all__ = [
    "KEYS",
    "PrivateVariables",
    "Shell",
    "lines_for",
    "reports_for",
    "service_key",
    "shell_of",
    "variables_for",
]

KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables that SDKs take before ``AWS_PROFILE``."""

_IGNORED: Final = "ignore_configured_endpoint_urls"
_USABLE: Final = (Standing.PRIVATE, Standing.LOCAL)
_ALL: Final = "*"  # the value of NO_PROXY that passes every proxy by


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateVariables:
    """What to set, and what to know about it.

    Attributes:
        region: The region that the URLs are of.
        variables: By name, in the order in which they are told.
        urls: The URLs among them, by boto3's name of the service.
        notes: A sentence each: what needs no URL, and what has no route.
    """

    region: str
    variables: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def service_key(service_name: str) -> str:
    """Gives what a ``services`` section of the AWS config file calls a service."""
    return service_name.replace("-", "_")


def reports_for(
    session: Session, asked: Sequence[str], *, anew: bool = False
) -> tuple[RouteReport, ...]:
    """Finds out how services are reached.

    Args:
        session: Whose routes count.
        asked: The services that must have a route; ``NEEDED`` must where none is asked for, and
            the others are given where they have one.
        anew: Pass over the standard ``endpoint_url`` settings, which are about to be written.

    Raises:
        PrivateClientError: One that must have a private route has none.
    """
    config = Config(ignore_configured_endpoint_urls=True) if anew else None  # type: ignore[call-arg] # the stubs miss it
    reports = tuple(
        report_on(session, name, asked_for=bool(asked), config=config)
        for name in asked or routable_service_names()
    )
    for report in reports:
        is_needed = report.service_name in (asked or NEEDED)
        if is_needed and report.standing not in _USABLE:
            raise report.error or PrivateClientError(
                f"{report.service_name} has no private route: {report.standing.value}."
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
    """Gives the variables that lead over routes.

    Args:
        session: Whose settings count.
        reports: As ``reports_for`` gives them.
        environ: The environment; its ``NO_PROXY`` is kept and extended.
        region: Told by a variable too, where it was given by an option: a URL is of one region.
        profile: The same.

    Raises:
        ConfigurationError: A URL is needed, and a setting has every SDK pass URLs over.
    """
    urls, hosts, notes = {}, [], []
    for report in reports:
        if report.standing not in _USABLE or report.route is None:
            notes.append(_left_out(report))
            continue
        hosts.append(report.route.host)
        if report.route.source == "private-dns":
            notes.append(
                f"{report.service_name} needs no URL: private DNS leads {report.route.host} to "
                "private addresses"
            )
            continue
        if report.standing is Standing.LOCAL:
            notes.append(f"{report.service_name} is a stand-in on this machine, not private")
        urls[report.service_name] = report.route.endpoint_url
    if urls:
        _check_urls_are_read(session)
    if profile and any(name in environ for name in KEYS):
        notes.append(f"{KEYS[0]} is set and comes before AWS_PROFILE: unset it")
    variables = {"AWS_PROFILE": profile} if profile else {}
    if region:
        variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    for service_name, url in urls.items():
        variables[f"AWS_ENDPOINT_URL_{service_key(service_name).upper()}"] = url
    no_proxy = _no_proxy(environ, (f".vpce.{_dns_suffix(session)}", *hosts))
    variables |= {"NO_PROXY": no_proxy, "no_proxy": no_proxy}
    return PrivateVariables(
        region=session.region_name, variables=variables, urls=urls, notes=tuple(notes)
    )


def _left_out(report: RouteReport) -> str:
    why = report.standing.value
    return f"{report.service_name} is left out ({why}): calls to it go where the SDK sends them"


def _check_urls_are_read(session: Session) -> None:
    settings = session._session  # noqa: SLF001 - boto3 has no other way to botocore's settings
    if not settings.get_config_variable(_IGNORED):
        return
    raise ConfigurationError(
        "No SDK would read the URLs, and calls would go out publicly.",
        cause=f"AWS_{_IGNORED.upper()}, or {_IGNORED} of the profile, is set.",
        remedy="unset it, or set it to false.",
    )


def _dns_suffix(session: Session) -> str:
    known = partitions(session._session)  # noqa: SLF001 - as above
    return partition_of(session.region_name, known).dns_suffix


def _no_proxy(environ: Mapping[str, str], added: Sequence[str]) -> str:
    """Extends both spellings to one value: some programs read the one, some the other."""
    known: list[str] = []
    for name in ("no_proxy", "NO_PROXY"):
        known += [part.strip() for part in environ.get(name, "").split(",") if part.strip()]
    if _ALL in known:
        return _ALL
    return ",".join(dict.fromkeys([*known, *added]))


class Shell(str, enum.Enum):
    """What reads the lines."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"
    DOTENV = "dotenv"


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@%+=*\[\]-]*\Z")
"""What every reader of ``.env`` files takes without quotes; Docker's takes no quotes at all."""

_POWERSHELL_QUOTES: Final = "'\u2018\u2019\u201a\u201b"
"""PowerShell's language specification, section 2.3.5.2: all of these end a quoted text."""


def shell_of(environ: Mapping[str, str], *, platform: str) -> Shell:
    """Gives the shell that a process was probably started from; bash where nothing says so."""
    if platform == "win32":
        return Shell.POWERSHELL
    name = environ.get("SHELL", "").rpartition("/")[2]
    return Shell(name) if name in (Shell.ZSH.value, Shell.FISH.value) else Shell.BASH


def lines_for(
    shell: Shell, variables: Mapping[str, str], *, notes: Sequence[str] = ()
) -> Iterator[str]:
    """Gives a line for each variable, after a comment for each note.

    Raises:
        ConfigurationError: A value cannot be written for this reader.
    """
    for note in notes:
        yield f"# {note}"
    for name, value in variables.items():
        yield _line(shell, name, value)


def _line(shell: Shell, name: str, value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ConfigurationError(
            f"{name} would have a line end in it.",
            cause=f"the value of {name} that is set now has one.",
            remedy=f"set {name} to one line first.",
        )
    if shell is Shell.FISH:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}'"
    if shell is Shell.POWERSHELL:
        escaped = "".join(2 * c if c in _POWERSHELL_QUOTES else c for c in value)
        return f"$env:{name} = '{escaped}'"
    if shell is Shell.DOTENV:
        if _PLAIN.match(value):
            return f"{name}={value}"
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{name}='{escaped}'"
    return f"export {name}={shlex.quote(value)}"
