"""What a routed client is set to: our defaults, under whatever the caller says."""

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
    """The configuration of a client that a session of ours makes.

    Attributes:
        config: For botocore.
        stream_timeout: Seconds of silence on response streams; ``None`` waits for ever.
    """

    config: Config
    stream_timeout: float | None

    @classmethod
    def merged(
        cls,
        caller: Config | None,
        *,
        session_default: Config | None,
        retries_are_configured: bool,
    ) -> RoutedConfig:
        """Put together our defaults, the session's default config and the caller's, in that order.

        Args:
            caller: The ``config=`` argument.
            session_default: botocore's ``set_default_client_config``.
            retries_are_configured: True if the environment or the profile says how to retry; then
                that counts, as it does for boto3.

        Raises:
            ConfigurationError: A proxy is asked for.
        """
        options = _options(session_default, caller)
        defaults = dict(_DEFAULTS)
        if not retries_are_configured:
            defaults["retries"] = dict(_RETRIES)
        extra = options.get("user_agent_extra")
        options["user_agent_extra"] = f"{extra} {USER_AGENT}" if extra else USER_AGENT
        return cls(
            config=Config(**{**defaults, **options}),
            stream_timeout=options.get("read_timeout", STREAM_TIMEOUT),
        )


def set_timeouts(config: Config, routed: RoutedConfig | None = None) -> float | None:
    """Set the time-outs of a made client.

    Args:
        config: The client's own, which is changed.
        routed: What they are; if none is given, ours take the place of botocore's defaults.

    Returns:
        Seconds of silence on response streams.

    Raises:
        ConfigurationError: A proxy is asked for.
    """
    given: Any = config
    _refuse_proxies(given.proxies)
    if routed is not None:
        wanted: Any = routed.config
        given.connect_timeout = wanted.connect_timeout
        given.read_timeout = wanted.read_timeout
        return routed.stream_timeout
    waits: float | None = given.read_timeout
    for name in ("connect_timeout", "read_timeout"):
        if getattr(given, name) == DEFAULT_TIMEOUT:
            setattr(given, name, _DEFAULTS[name])
    return STREAM_TIMEOUT if waits == DEFAULT_TIMEOUT else waits


def _options(session_default: Config | None, caller: Config | None) -> dict[str, Any]:
    """Gives what the two were made with, the caller's last.

    Raises:
        ConfigurationError: A proxy is asked for.
    """
    options: dict[str, Any] = {}
    for config in (session_default, caller):
        options.update(user_provided_options(config))
    _refuse_proxies(options.get("proxies"))
    return options


def _refuse_proxies(proxies: object) -> None:
    if proxies:
        raise ConfigurationError(
            "Config(proxies=...) is set for a routed client.",
            cause="a proxy resolves the name itself, so nothing could prove that the call "
            "stays private.",
            remedy="leave proxies out for SageMaker; a private route needs none.",
        )


def verified_by(session: botocore.session.Session, *, environ: Mapping[str, str]) -> bool | str:
    """Return the CA bundle that TLS is verified with, as botocore chooses it.

    Returns:
        The path of a bundle, or ``True`` for botocore's own.
    """
    bundle = session.get_config_variable("ca_bundle") or environ.get("REQUESTS_CA_BUNDLE")
    return bundle or True
