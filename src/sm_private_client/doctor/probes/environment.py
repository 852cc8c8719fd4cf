"""Probes of the session and this machine: credentials, variables, settings, plugin hook."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.doctor.facts import Credentials, Environment, Hook, Unknown
from sm_private_client.errors import ConfigurationError
from sm_private_client.plugin import VARIABLE, is_live
from sm_private_client.privatelink.urls import redacted, redacted_url
from sm_private_client.session.private_routes import routes_of
from sm_private_client.transport.tls import verifying_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.session import Session

__all__ = ["credentials_of", "environment_of", "probe_hook"]

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
    VARIABLE,
)
_PREFIXES: Final = ("AWS_ENDPOINT_URL", "SM_PRIVATE_")


def credentials_of(session: Session) -> Credentials | Unknown | None:
    """Return the source and expiry of the credentials; no part of them is kept."""
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
    """Return the variables and settings that lead calls astray, without secrets."""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name for name in sorted(environ) if name in _VARIABLES or name.startswith(_PREFIXES)]
    bundle = routes_of(session).bundle()
    problem = None
    try:
        verifying_context(bundle)
    except ConfigurationError as error:
        problem = error.what
    return Environment(
        proxies=tuple((n, _without_user(environ[n])) for n in _PROXIES if environ.get(n)),
        no_proxy=tuple(entry.strip() for entry in no_proxy.split(",") if entry.strip()),
        variables=tuple(
            (name, (redacted_url if name.startswith(_PREFIXES) else redacted)(environ[name]))
            for name in names
        ),
        fips=fips,
        dual_stack=dual_stack,
        ca_bundle=bundle if isinstance(bundle, str) else "botocore's own CA bundle",
        ca_bundle_problem=problem,
    )


def _without_user(proxy: str) -> str:
    return proxy.rpartition("@")[2].partition("://")[2] or proxy.rpartition("@")[2]


def probe_hook(environ: Mapping[str, str]) -> Hook:
    """Read the variable and, if it names our plugin, try a plain client."""
    if "sm_private_client" not in environ.get(VARIABLE, ""):
        return Hook()
    live: bool | Unknown
    try:
        live = is_live()
    except (BotoCoreError, OSError, ValueError) as error:
        live = Unknown(reason=f"no client was made: {type(error).__name__}")
    return Hook(configured=True, live=live)
