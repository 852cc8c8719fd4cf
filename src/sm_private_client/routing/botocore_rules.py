"""botocore's own partitions, default host names and configured URLs.

The private surfaces of botocore that routing needs stand here and nowhere else;
``tests/test_botocore_surfaces.py`` names them and fails when they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from botocore.configprovider import ConfiguredEndpointProvider
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError, UnknownServiceError

from sm_private_client.privatelink.hostnames import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session
    from botocore.config import Config

    from sm_private_client.types import Value

__all__ = [
    "ConfiguredUrl",
    "configured_url",
    "default_url",
    "partitions",
    "wants_dual_stack",
    "wants_fips",
]


class ConfiguredUrl(NamedTuple):
    """A standard ``endpoint_url`` setting.

    Attributes:
        url: Its value.
        origin: Its place, in words.
    """

    url: str
    origin: str

    def __repr__(self) -> str:  # without the URL: it was not checked yet, and may hold a password
        return f"ConfiguredUrl(origin={self.origin!r})"


def partitions(session: botocore.session.Session) -> tuple[Partition, ...]:
    """Return every partition of botocore's ``partitions.json``."""
    return tuple(
        Partition(
            name=raw["id"],
            dns_suffix=raw["outputs"]["dnsSuffix"],
            region_regex=raw["regionRegex"],
            regions=frozenset(raw["regions"]),
        )
        for raw in _loader(session).load_data("partitions")["partitions"]
    )


def default_url(
    session: botocore.session.Session,
    service_name: str,
    region: str,
    *,
    fips: bool = False,
    dual_stack: bool = False,
) -> str | None:
    """Return the URL of the service's own endpoint rules; ``None`` if they have none."""
    loader = _loader(session)
    try:
        rules = loader.load_service_model(service_name, "endpoint-rule-set-1")
    except UnknownServiceError:
        return None  # a botocore older than the service
    provider = EndpointProvider(rules, loader.load_data("partitions"))
    try:
        resolved = provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack)
    except EndpointProviderError:
        return None
    return str(resolved.url)


def configured_url(
    session: botocore.session.Session,
    service_name: str,
    *,
    config: Config | None,
    environ: Mapping[str, str],
) -> ConfiguredUrl | None:
    """Return ``AWS_ENDPOINT_URL_*`` or the config file's ``services`` section, as botocore does.

    ``ignore_configured_endpoint_urls`` of the caller's ``Config`` comes first.
    """
    ignored = getattr(config, "ignore_configured_endpoint_urls", None)
    if ignored is None:
        ignored = session.get_config_variable("ignore_configured_endpoint_urls")
    if ignored:
        return None

    variables = ConfiguredEndpointProvider(
        full_config={}, scoped_config={}, client_name=service_name, environ=environ
    )
    files = ConfiguredEndpointProvider(
        full_config=session.full_config,
        scoped_config=session.get_scoped_config(),
        client_name=service_name,
        environ={},
    )
    # In this order, as botocore looks: what is wrong in a file matters only without a variable.
    for provider, origin in (
        (variables, "AWS_ENDPOINT_URL*"),
        (files, "the config file's endpoint_url"),
    ):
        url = cast("str | None", provider.provide())
        if url is not None:
            return ConfiguredUrl(url=url, origin=origin)
    return None


def wants_fips(session: botocore.session.Session, config: Config | None) -> bool:
    """Return True if FIPS is set: by ``Config``, then variable, then profile."""
    return _variant(session, config, "use_fips_endpoint")


def wants_dual_stack(session: botocore.session.Session, config: Config | None) -> bool:
    """Return True if dual-stack is set: by ``Config``, then variable, then profile."""
    return _variant(session, config, "use_dualstack_endpoint")


def _variant(session: botocore.session.Session, config: Config | None, name: str) -> bool:
    given = getattr(config, name, None)
    return bool(session.get_config_variable(name) if given is None else given)


def _loader(session: botocore.session.Session) -> Value:
    return session.get_component("data_loader")
