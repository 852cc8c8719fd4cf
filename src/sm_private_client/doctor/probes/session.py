"""What this machine and the session themselves tell: credentials, variables, settings."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.doctor.facts import Credentials, Environment, Hook, UrlSetting
from sm_private_client.doctor.hosts import read_host
from sm_private_client.doctor.observations import Unknown
from sm_private_client.errors import ConfigurationError
from sm_private_client.plugin import is_live
from sm_private_client.privatelink.addresses import is_loopback_host
from sm_private_client.privatelink.urls import parse_endpoint_url, redacted, redacted_url
from sm_private_client.session.private_routes import routes_of
from sm_private_client.transport.tls import verifying_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.routing.botocore_rules import ConfiguredUrl
    from sm_private_client.session import Session

__all__ = ["PLUGINS", "credentials_of", "environment_of", "look_at_hook", "url_setting"]

PLUGINS: Final = "BOTOCORE_EXPERIMENTAL__PLUGINS"

_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_VARIABLES: Final = (
    "AWS_CA_BUNDLE",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "REQUESTS_CA_BUNDLE",
    PLUGINS,
)
_PREFIXES: Final = ("AWS_ENDPOINT_URL", "SM_PRIVATE_")


def credentials_of(session: Session) -> Credentials | Unknown | None:
    """Says that there are credentials and from where; keeps no part of them."""
    try:
        found: Any = session.get_credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        return Unknown(reason=f"the provider failed: {type(error).__name__}")
    # botocore has no public name for it; without it nothing is said about expiry.
    expiry = getattr(found, "_expiry_time", None)
    left = None
    if isinstance(expiry, dt.datetime):
        left = (expiry - dt.datetime.now(expiry.tzinfo or dt.timezone.utc)).total_seconds()
    return Credentials(source=found.method, temporary=bool(frozen.token), seconds_left=left)


def environment_of(
    session: Session, environ: Mapping[str, str], *, fips: bool, dual_stack: bool
) -> Environment:
    """Collects the variables and settings that lead calls astray, without secrets."""
    proxies = tuple((name, _without_user(environ[name])) for name in _PROXIES if environ.get(name))
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    wanted = [name for name in sorted(environ) if name in _VARIABLES or name.startswith(_PREFIXES)]
    bundle = routes_of(session).bundle()
    problem = None
    try:
        verifying_context(bundle)
    except ConfigurationError as error:
        problem = error.what
    return Environment(
        proxies=proxies,
        no_proxy=tuple(entry.strip() for entry in no_proxy.split(",") if entry.strip()),
        variables=tuple(
            (name, (redacted_url if name.startswith(_PREFIXES) else redacted)(environ[name]))
            for name in wanted
        ),
        fips=fips,
        dual_stack=dual_stack,
        ca_bundle=bundle if isinstance(bundle, str) else "botocore's own CA bundle",
        ca_bundle_problem=problem,
    )


def url_setting(configured: ConfiguredUrl, partition: Partition) -> UrlSetting:
    """Reads what a standard ``endpoint_url`` setting of a service names."""
    try:
        host = parse_endpoint_url(configured.url, configured.origin).host
    except ConfigurationError:
        return UrlSetting(host="", origin=configured.origin)
    named = read_host(host, partition)
    return UrlSetting(
        host=host,
        origin=configured.origin,
        names_service=named.service_name if named else None,
        names_region=named.region if named else None,
        is_fips=bool(named and named.fips),
        is_local=is_loopback_host(host),
    )


def _without_user(proxy: str) -> str:
    return proxy.rpartition("@")[2].partition("://")[2] or proxy.rpartition("@")[2]


def look_at_hook(environ: Mapping[str, str]) -> Hook:
    """Looks at the variable, and tries a client of botocore's where it names us."""
    if "sm_private_client" not in environ.get(PLUGINS, ""):
        return Hook()
    try:
        live = is_live()
    except (BotoCoreError, OSError, ValueError) as error:
        return Hook(wanted=True, live=Unknown(reason=f"no client was made: {type(error).__name__}"))
    return Hook(wanted=True, live=live)
