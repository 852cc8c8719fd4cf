"""Private clients for code that makes its own: ``install``, and what other libraries are given.

Names are imported when they are first used: the botocore plugin needs only ``blocking``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sm_private_client.swap_in.installing import Installation, install, uninstall
    from sm_private_client.swap_in.libraries import aiobotocore_arguments, httpx_transport

__all__ = ["Installation", "aiobotocore_arguments", "httpx_transport", "install", "uninstall"]

_HOMES: Final = {"aiobotocore_arguments": "libraries", "httpx_transport": "libraries"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'installing')}"), name)
