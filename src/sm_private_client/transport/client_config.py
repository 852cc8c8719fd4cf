"""The configuration of routed clients: our defaults, and over them what the caller sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.config import Config
from botocore.endpoint import DEFAULT_TIMEOUT

from sm_private_client._version import __version__
from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.guarded import user_provided_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session

    from sm_private_client.types import Value

__all__ = [
    "STREAM_TIMEOUT",
    "USER_AGENT",
    "RoutedConfig",
    "set_timeouts",
    "verified_by",
]

_DEFAULTS: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    # SageMaker gives a model 60 s; AWS says to wait 70 s for the socket (InvokeEndpoint).
    "read_timeout": 70,
    "max_pool_connections": 50,
    "tcp_keepalive": True,
}
_RETRIES: Final = {"mode": "standard", "total_max_attempts": 4}
STREAM_TIMEOUT: Final = 600.0
"""Seconds; a response stream may last 8 minutes (InvokeEndpointWithResponseStream)."""

USER_AGENT: Final = f"lib/sm-private-client#{__version__}"


class RoutedConfig(NamedTuple):
    """The configuration of a client that a session of ours makes."""

    config: Config
    stream_timeout: float | None  # seconds of silence; None waits for ever

    @classmethod
    def merged(
        cls,
        caller: Config | None,
        *,
        session_default: Config | None,
        retries_are_configured: bool,
    ) -> RoutedConfig:
        """Merge our defaults, the session's default config and the caller's; the last one counts.

        If the environment or the profile sets retries, those count, as they do for boto3.

        Raises:
            ConfigurationError: A proxy is asked for.
        """
        options = {**user_provided_options(session_default), **user_provided_options(caller)}
        _refuse_proxies(options.get("proxies"))
        defaults = dict(_DEFAULTS)
        if not retries_are_configured:
            defaults["retries"] = dict(_RETRIES)
        extra = options.get("user_agent_extra")
        options["user_agent_extra"] = f"{extra} {USER_AGENT}" if extra else USER_AGENT
        return cls(
            config=Config(**{**defaults, **options}),
            stream_timeout=options.get("read_timeout", STREAM_TIMEOUT),
        )


def set_timeouts(config: Value, routed: RoutedConfig | None = None) -> float | None:
    """Set the time-outs in a client's own config; return that of response streams, in seconds.

    If ``routed`` is ``None``, ours replace botocore's defaults.

    Raises:
        ConfigurationError: A proxy is asked for.
    """
    _refuse_proxies(config.proxies)
    timeouts = ("connect_timeout", "read_timeout")
    if routed is not None:
        for name in timeouts:
            setattr(config, name, getattr(routed.config, name))
        return routed.stream_timeout
    read_timeout: float | None = config.read_timeout
    for name in timeouts:
        if getattr(config, name) == DEFAULT_TIMEOUT:
            setattr(config, name, _DEFAULTS[name])
    return STREAM_TIMEOUT if read_timeout == DEFAULT_TIMEOUT else read_timeout


def _refuse_proxies(proxies: object) -> None:
    if proxies:
        raise ConfigurationError(
            "Config(proxies=...) is set for a routed client.",
            cause="a proxy resolves the name itself, so nothing could prove that the call "
            "stays private.",
            remedy="leave proxies out for SageMaker; a private route needs none.",
        )


def verified_by(session: botocore.session.Session, *, environ: Mapping[str, str]) -> bool | str:
    """Return the CA bundle as botocore chooses it: a path, or ``True`` for botocore's own."""
    bundle = session.get_config_variable("ca_bundle") or environ.get("REQUESTS_CA_BUNDLE")
    return bundle or True
