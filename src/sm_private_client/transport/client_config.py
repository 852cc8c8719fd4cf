"""What a routed client is set to: our defaults, under whatever the caller says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.endpoint import DEFAULT_TIMEOUT

from sm_private_client._version import __version__
from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.guarded import user_provided_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session

__all__ = ["USER_AGENT", "RoutedConfig", "sealed_config", "verified_by"]

_DEFAULTS: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    # SageMaker gives a model 60 s; AWS says to wait 70 s for the socket (InvokeEndpoint).
    "read_timeout": 70,
    "max_pool_connections": 50,
    "tcp_keepalive": True,
}
_RETRIES: Final = {"mode": "standard", "total_max_attempts": 4}
_STREAM_TIMEOUT: Final = 600.0
"""Seconds; a response stream may last 8 minutes (InvokeEndpointWithResponseStream)."""

USER_AGENT: Final = f"lib/sm-private-client#{__version__}"


@dataclass(frozen=True, kw_only=True)
class RoutedConfig:
    """The configuration of a routed client.

    Attributes:
        config: For botocore.
        stream_timeout: Seconds to read on response streams; ``None`` waits for ever.
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
        """Puts together our defaults, the session's default config and the caller's, in that order.

        Args:
            caller: The ``config=`` argument.
            session_default: botocore's ``set_default_client_config``.
            retries_are_configured: Whether the environment or the profile says how to retry; then
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
            stream_timeout=options.get("read_timeout", _STREAM_TIMEOUT),
        )

    @classmethod
    def adopted(cls, config: Config) -> RoutedConfig:
        """Sets the time-outs of a made client to ours where they are botocore's defaults.

        Its retries stay what they are: botocore set them up when it made the client.

        Args:
            config: The made client's own, which is changed.

        Raises:
            ConfigurationError: A proxy is asked for.
        """
        given: Any = config
        cls.merged(config, session_default=None, retries_are_configured=True)  # raises: a proxy
        waits = given.read_timeout
        if given.connect_timeout == DEFAULT_TIMEOUT:
            given.connect_timeout = _DEFAULTS["connect_timeout"]
        if waits == DEFAULT_TIMEOUT:
            given.read_timeout = _DEFAULTS["read_timeout"]
        return cls(
            config=config, stream_timeout=_STREAM_TIMEOUT if waits == DEFAULT_TIMEOUT else waits
        )

    def key(self) -> str:
        """Gives a text that is equal for equal configurations."""
        return repr(sorted(user_provided_options(self.config).items()))


def sealed_config(caller: Config | None, *, session_default: Config | None) -> Config:
    """Gives the configuration of a sealed session's client of a service outside the family.

    boto3's defaults hold, but that an address that swallows what it is sent costs 5 s and not 60,
    and that S3 in us-east-1 has its regional host: private DNS does not answer for the global one.

    Raises:
        ConfigurationError: A proxy is asked for.
    """
    connect_timeout = _DEFAULTS["connect_timeout"]
    options = {"connect_timeout": connect_timeout, **_options(session_default, caller)}
    options["s3"] = {"us_east_1_regional_endpoint": "regional", **(options.get("s3") or {})}
    return Config(**options)


def _options(session_default: Config | None, caller: Config | None) -> dict[str, Any]:
    """Gives what the two were made with, the caller's last.

    Raises:
        ConfigurationError: A proxy is asked for.
    """
    options: dict[str, Any] = {}
    for config in (session_default, caller):
        options.update(user_provided_options(config))
    if options.get("proxies"):
        raise ConfigurationError(
            "Config(proxies=...) is set for a routed client.",
            cause="a proxy resolves the name itself, so nothing could prove that the call "
            "stays private.",
            remedy="leave proxies out for SageMaker; a private route needs none.",
        )
    return options


def verified_by(
    verify: bool | str | None,
    *,
    session: botocore.session.Session,
    environ: Mapping[str, str],
) -> bool | str:
    """Gives the CA bundle that TLS is verified with, as botocore chooses it.

    Returns:
        The path of a bundle, or ``True`` for botocore's own.

    Raises:
        ConfigurationError: ``verify`` is false; TLS is always verified on a private route.
    """
    if verify is None:
        verify = session.get_config_variable("ca_bundle") or environ.get("REQUESTS_CA_BUNDLE")
        return verify or True
    if verify is False or verify == "":
        raise ConfigurationError(
            f"verify={verify!r} asks for TLS without verification.",
            cause="without it nothing proves who answers.",
            remedy="pass verify='<path of the CA bundle>', or set AWS_CA_BUNDLE.",
        )
    return verify
