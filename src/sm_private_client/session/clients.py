"""ClientGuard: one session's guard on the clients that boto3 makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore import UNSIGNED

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink import services
from sm_private_client.privatelink.addresses import is_loopback_host
from sm_private_client.privatelink.urls import parse_endpoint_url
from sm_private_client.routing.router import ClientCredentials
from sm_private_client.routing.settings import read_environment
from sm_private_client.session.presigned_urls import PresignedUrlNotice
from sm_private_client.session.private_routes import ServiceRoute
from sm_private_client.transport.client_config import RoutedConfig, set_timeouts
from sm_private_client.transport.guarded import (
    credentials_of,
    guard,
    guarded_session,
    is_guarded,
    verified_by_client,
)
from sm_private_client.transport.sealing import without_common_runtime

if TYPE_CHECKING:
    import botocore.session
    from botocore.config import Config

    from sm_private_client.session.private_routes import PrivateRoutes
    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.guarded import GuardedHTTPSession
    from sm_private_client.types import BotoClient

__all__ = ["ClientGuard", "check_encrypted"]

_STATIC: Final = "explicit"  # botocore's name for keys that were passed as arguments


class ClientGuard:
    """Puts the guard of one session on clients that boto3 made; no I/O, no locks."""

    def __init__(
        self, botocore_session: botocore.session.Session, *, routes: PrivateRoutes
    ) -> None:
        self._session = botocore_session
        self._routes = routes
        self._presigned = PresignedUrlNotice(
            routes.network,
            allowed_networks=lambda: routes.router.settings().allowed_networks,
            has_private_dns=routes.router.has_private_dns,
        )

    def put_on(
        self,
        client: BotoClient,
        *,
        routed: RoutedConfig | None = None,
        is_foreign: bool = False,
    ) -> GuardedHTTPSession:
        """Put the guard on a client; its first call decides the route.

        Args:
            client: A client that botocore has just made, of any service.
            routed: Its time-outs. If ``None``, because it was made elsewhere, ours replace
                botocore's defaults.
            is_foreign: True if another session made it; EC2 is then asked with its credentials.

        Returns:
            Its new HTTP session.

        Raises:
            ConfigurationError: It asks for what is not private: a proxy, or TLS that is not
                verified; or its HTTP session is not botocore's.
        """
        config = client.meta.config
        ours = guarded_session(client)
        if ours is not None and ours.owner is self:  # botocore's event had it guarded already
            stream_timeout = set_timeouts(config, routed)
            ours.wait(config.connect_timeout, config.read_timeout, streams=stream_timeout)
            return ours
        service_name = services.canonical_service_name(client.meta.service_model.service_name)
        verify = verified_by_client(client)
        if not verify:
            raise ConfigurationError(
                f"verify={verify!r} asks for TLS without verification.",
                cause="without it nothing proves who answers.",
                remedy="pass verify='<path of the CA bundle>', or set AWS_CA_BUNDLE.",
            )
        stream_timeout = set_timeouts(config, routed)
        self._refuse_monitoring()
        region = client.meta.region_name
        if region is None or region.endswith("-global"):  # botocore's for IAM and its kind
            region = self._routes.region(None, None)
        route = ServiceRoute(
            self._routes,
            service_name,
            region,
            config=config,
            credentials=lambda: _own_credentials(client, is_foreign=is_foreign),
        )

        def decide(endpoint_url: str | None) -> Dialer:
            if endpoint_url is not None:
                parse_endpoint_url(endpoint_url, "endpoint_url=")
            return route.decide(endpoint_url)

        guarded = guard(client, decide, verify=verify)
        guarded.owner = self
        guarded.stream_timeout = stream_timeout
        if service_name == "sagemaker":
            self._presigned.watch(client)
        if service_name == "s3":
            without_common_runtime(client)
        return guarded

    def _refuse_monitoring(self) -> None:
        """Refuse clients that report their calls to another machine.

        Raises:
            ConfigurationError: Client-side monitoring is on and its agent is not on this machine.
        """
        host = self._session.get_config_variable("csm_host")
        if self._session.get_config_variable("csm_enabled") and not is_loopback_host(str(host)):
            raise ConfigurationError(
                f"AWS_CSM_ENABLED has clients tell {host} of every call.",
                cause="botocore sends it by UDP, past every guard.",
                remedy="unset AWS_CSM_ENABLED, or set AWS_CSM_HOST to 127.0.0.1.",
            )

    def checked(self, client: BotoClient) -> BotoClient:
        """Return a client that must be guarded by now.

        Raises:
            ConfigurationError: It is not.
        """
        if not is_guarded(client):
            raise ConfigurationError(
                f"A client of {client.meta.service_model.service_name} was made without a guard; "
                "it was not handed out.",
                cause="something took the seal off the botocore session.",
                remedy="give the session a botocore_session that nothing else changes.",
            )
        return client

    def routed_config(self, config: Config | None) -> RoutedConfig:
        """Return a caller's config over our defaults.

        Raises:
            ConfigurationError: A proxy is asked for.
        """
        return RoutedConfig.merged(
            config,
            session_default=self._session.get_default_client_config(),
            retries_are_configured=self._retries_are_configured(),
        )

    def _retries_are_configured(self) -> bool:
        environ, profile = read_environment(), self._session.get_scoped_config()
        return any(
            environ.get(f"AWS_{name.upper()}") or profile.get(name)
            for name in ("retry_mode", "max_attempts")
        )


def check_encrypted(service_name: str, *, use_ssl: bool | None, endpoint_url: str | None) -> None:
    """Refuse arguments of ``boto3.client`` that ask for a client without TLS.

    Raises:
        ConfigurationError: They do, or the URL cannot be used.
    """
    if endpoint_url is not None:
        parse_endpoint_url(endpoint_url, "endpoint_url=")
    # botocore 1.40 makes http of an https URL then.
    if not use_ssl and not (endpoint_url or "").startswith("http://"):
        raise ConfigurationError(
            f"use_ssl=False asks for an unencrypted {service_name} client.",
            cause="a private route is always encrypted.",
            remedy="leave use_ssl out; for a stand-in on this machine pass endpoint_url=.",
        )


def _own_credentials(client: BotoClient, *, is_foreign: bool) -> ClientCredentials:
    """Return the credentials of a client if they are not those of its guard's session."""
    if client.meta.config.signature_version is UNSIGNED:
        return ClientCredentials(is_unsigned=True)
    credentials = credentials_of(client)
    if credentials is None or not (is_foreign or credentials.method == _STATIC):
        return ClientCredentials()
    frozen = credentials.get_frozen_credentials()  # the call signs with them in a moment
    return ClientCredentials(frozen.access_key, frozen.secret_key, frozen.token)
