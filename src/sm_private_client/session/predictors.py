"""The invokers, credentials and retry quota that the predictors of one session share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.retry_policy import RetryQuota
from sm_private_client.routing.deadlines import ForkableLock
from sm_private_client.session.private_routes import ServiceRoute
from sm_private_client.transport.client_config import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Callable

    import botocore.session
    from botocore.credentials import ReadOnlyCredentials

    from sm_private_client.inference.invocation import PredictorOptions
    from sm_private_client.inference.invokers import AsyncInvoker, DirectInvoker, Invoker
    from sm_private_client.session.clients import ClientGuard
    from sm_private_client.session.private_routes import PrivateRoutes
    from sm_private_client.session.session import Session
    from sm_private_client.types import Value

__all__ = ["SharedInvokers"]

_RUNTIME: Final = "sagemaker-runtime"


class SharedInvokers:
    """Makes the invokers of predictors, one a region, so that predictors share connections.

    What calls models is imported when the first invoker is made: a process that only wants
    clients need not load it. ``client`` and ``get_credentials`` are the session's methods.
    """

    def __init__(
        self,
        botocore_session: botocore.session.Session,
        *,
        routes: PrivateRoutes,
        clients: ClientGuard,
        client: Callable[..., Any],
        get_credentials: Callable[[], Any],
    ) -> None:
        self._session = botocore_session
        self._routes = routes
        self._clients = clients
        self._client = client
        self._credentials = _Credentials(
            get_credentials,
            lambda: botocore_session.get_credentials(),  # noqa: PLW0108 - it may be a weak proxy
        )
        self._quota = RetryQuota()
        self._lock = ForkableLock(threading.RLock)
        self._service_routes: dict[str, ServiceRoute] = {}
        self._direct: dict[str, DirectInvoker] = {}
        self._async: dict[str, AsyncInvoker] = {}

    def invoker(self, transport: str, region: str, options: PredictorOptions) -> Invoker:
        """Return the invoker of a ``Predictor``; no I/O.

        The time-outs in its options become those of a botocore client.

        Raises:
            ConfigurationError: There is no such transport.
        """
        from sm_private_client.inference.invokers import direct_invoker

        if transport == "botocore":
            return self._botocore_invoker(region, options)
        if transport != "direct":
            raise ConfigurationError(
                f"transport= has {transport!r}.", remedy="give 'direct' or 'botocore'."
            )
        with self._lock:
            if region not in self._direct:
                self._direct[region] = direct_invoker(**self._direct_options(region))
            return self._direct[region]

    def async_invoker(self, region: str) -> AsyncInvoker:
        """Return the invoker of an ``AsyncPredictor``; no I/O."""
        from sm_private_client.inference.invokers import async_invoker

        with self._lock:
            if region not in self._async:
                self._async[region] = async_invoker(
                    **self._direct_options(region), refresh_is_due=self._credentials.refresh_is_due
                )
            return self._async[region]

    def predictor_arguments(
        self, session: Session, method: str, endpoint_name: str, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Return what a predictor has from its session besides the invoker.

        The method of the session makes the predictor again in another process, with the options.
        """
        from sm_private_client.inference.s3 import S3Objects

        return {
            "quota": self._quota,
            "s3": S3Objects.of_session(session),
            "recipe": (_predictor_again, (session, method, endpoint_name, options)),
        }

    def _botocore_invoker(self, region: str, options: PredictorOptions) -> Invoker:
        from sm_private_client.inference.invocation import INVOKE_TIMEOUT, STREAM_TIMEOUT
        from sm_private_client.inference.invokers import BotocoreInvoker

        once = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            read_timeout=options.get("timeout", INVOKE_TIMEOUT),
        )
        client = self._client(_RUNTIME, region_name=region, config=once)
        http_session = self._clients.put_on(client, routed=self._clients.routed_config(once))
        http_session.stream_timeout = options.get("stream_timeout", STREAM_TIMEOUT)
        return BotocoreInvoker(client)

    def _direct_options(self, region: str) -> dict[str, Any]:
        if region not in self._service_routes:
            self._service_routes[region] = ServiceRoute(self._routes, _RUNTIME, region)
        return {
            "routes": self._service_routes[region],
            "model": self._session.get_service_model(_RUNTIME),
            "credentials": self._credentials.frozen,
            "bundle": self._routes.bundle,
            "config": self._clients.routed_config(None).config,
            "user_agent": f"{self._session.user_agent()} {USER_AGENT}",
            "exceptions": lambda: self._client(_RUNTIME, region).exceptions,
        }


class _Credentials:
    """The session's credentials as they are at each call.

    ``load`` loads them, which may take I/O; ``get`` returns those loaded, or set since.
    """

    def __init__(self, load: Callable[[], Any], get: Callable[[], Any]) -> None:
        self._load = load
        self._get = get
        self._are_loaded = False

    def frozen(self) -> ReadOnlyCredentials | None:
        """Return them, ``None`` if there are none; this may take I/O."""
        credentials = self._get() if self._are_loaded else self._load()
        if credentials is None:
            return None
        self._are_loaded = True
        frozen: ReadOnlyCredentials = credentials.get_frozen_credentials()
        return frozen

    def refresh_is_due(self) -> bool:
        """Return True if asking for them may take I/O."""
        if not self._are_loaded:
            return True
        # Only credentials that expire have it.
        is_due: Callable[[], bool] | None = getattr(self._get(), "refresh_needed", None)
        return is_due is not None and is_due()


def _predictor_again(
    session: Session, method: str, endpoint_name: str, options: dict[str, Any]
) -> Value:
    return getattr(session, method)(endpoint_name, **options)
