"""Which engine carries the direct path: pyreqwest where the extra ``fast`` is, else http.client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sm_private_client.inference.invokers import DirectInvoker, RuntimeModel
from sm_private_client.transport.direct import DirectTransport
from sm_private_client.transport.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import ServiceModel

    from sm_private_client.transport.dialer import Dialer
    from sm_private_client.transport.http import HttpTransport
    from sm_private_client.transport.signing import Credentials

__all__ = ["direct_invoker"]

HAS_FAST: Final = False


def direct_invoker(
    dialer: Dialer,
    *,
    model: ServiceModel,
    credentials: Callable[[], Credentials | None],
    bundle: bool | str,
    config: Any,  # noqa: ANN401 - botocore's Config is partly typed
    user_agent: str,
    exceptions: Callable[[], Any],
    fast: bool = HAS_FAST,
) -> DirectInvoker:
    """Makes what carries the Runtime's operations over one route.

    Args:
        dialer: Judges and connects; its route says where to.
        model: botocore's model of ``sagemaker-runtime``.
        credentials: Asked for each request; ``None``: there are none.
        bundle: The path of a CA bundle, or ``True`` for botocore's own.
        config: Connect time-out, pool size and client certificate are taken from it.
        user_agent: The value of ``User-Agent``.
        exceptions: Gives the ``exceptions`` of a client when the first error comes.
        fast: Whether pyreqwest is the engine.
    """
    signer = Signer(region=dialer.route.region, service=str(model.signing_name))
    options: dict[str, Any] = {
        "url": dialer.route.endpoint_url,
        "signer": signer,
        "credentials": credentials,
        "bundle": bundle,
        "client_cert": config.client_cert,
        "connect_timeout": config.connect_timeout,
        "max_idle": config.max_pool_connections,
        "user_agent": user_agent,
    }
    transport: HttpTransport
    if fast:
        from sm_private_client.transport.fast import FastTransport  # noqa: PLC0415 - optional

        transport = FastTransport(dialer, **options)
    else:
        transport = DirectTransport(dialer, **options)
    runtime = RuntimeModel(model, exceptions)
    return DirectInvoker(transport, runtime, name="fast" if fast else "direct")
