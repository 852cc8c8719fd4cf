"""Which engine carries the direct path: pyreqwest where the extra ``fast`` is, else our own."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import MissingExtraError
from sm_private_client.inference.async_invoker import AsyncInvoker
from sm_private_client.inference.invokers import DirectInvoker, RuntimeModel
from sm_private_client.transport.direct import DirectTransport
from sm_private_client.transport.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import ServiceModel

    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.http import HttpTransport
    from sm_private_client.transport.signing import Credentials

__all__ = ["HAS_FAST", "async_invoker", "direct_invoker"]

HAS_FAST: Final = importlib.util.find_spec("pyreqwest") is not None
"""Whether the extra ``fast`` is installed."""


def direct_invoker(
    dialer: Dialer,
    *,
    model: ServiceModel,
    exceptions: Callable[[], Any],
    fast: bool = HAS_FAST,
    **options: Any,  # noqa: ANN401 - those of _transport_options
) -> DirectInvoker:
    """Makes what carries the Runtime's operations over one route.

    Args:
        dialer: Judges and connects; its route says where to.
        model: botocore's model of ``sagemaker-runtime``.
        exceptions: Gives the ``exceptions`` of a client when the first error comes.
        fast: Whether pyreqwest is the engine.
        **options: See ``_transport_options``.
    """
    given = _transport_options(dialer, model, **options)
    transport: HttpTransport
    if fast:
        from sm_private_client.transport.fast import FastTransport  # noqa: PLC0415 - optional

        transport = FastTransport(dialer, **given)
    else:
        transport = DirectTransport.to(dialer, **given)
    runtime = RuntimeModel(model, exceptions)
    return DirectInvoker(transport, runtime, name="fast" if fast else "direct")


def async_invoker(
    dialer: Dialer,
    *,
    model: ServiceModel,
    exceptions: Callable[[], Any],
    refresh_is_due: Callable[[], bool],
    **options: Any,  # noqa: ANN401 - those of _transport_options
) -> AsyncInvoker:
    """Makes the same for asyncio; see ``direct_invoker``.

    Args:
        dialer: As there.
        model: As there.
        exceptions: As there.
        refresh_is_due: Whether asking for the credentials may take I/O.
        **options: As there.

    Raises:
        MissingExtraError: pyreqwest is not installed.
    """
    if not HAS_FAST:
        raise MissingExtraError("An AsyncPredictor", extra="fast")
    from sm_private_client.transport.fast import AsyncFastTransport  # noqa: PLC0415 - optional

    transport = AsyncFastTransport(
        dialer,
        refresh_is_due=refresh_is_due,
        **_transport_options(dialer, model, **options),
    )
    return AsyncInvoker(transport, RuntimeModel(model, exceptions))


def _transport_options(
    dialer: Dialer,
    model: ServiceModel,
    *,
    credentials: Callable[[], Credentials | None],
    bundle: bool | str,
    config: Any,  # noqa: ANN401 - botocore's Config is partly typed
    user_agent: str,
) -> dict[str, Any]:
    """Gives what every engine takes.

    Args:
        dialer: Its route says where to.
        model: Says what the service is called in signatures.
        credentials: Asked for each request; ``None``: there are none.
        bundle: The path of a CA bundle, or ``True`` for botocore's own.
        config: Connect time-out, pool size and client certificate are taken from it.
        user_agent: The value of ``User-Agent``.
    """
    return {
        "url": dialer.route.endpoint_url,
        "signer": Signer(region=dialer.route.region, service=str(model.signing_name)),
        "credentials": credentials,
        "bundle": bundle,
        "client_cert": config.client_cert,
        "connect_timeout": config.connect_timeout,
        "max_idle": config.max_pool_connections,
        "user_agent": user_agent,
    }
