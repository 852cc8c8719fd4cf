"""A warning, once, that a presigned URL opens over the internet unless a VPC endpoint serves it.

The calls that make these URLs are private like any other. What they return is for a browser, and
PrivateLink carries it only through a ``notebook`` or ``studio`` VPC endpoint with private DNS.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sm_private_client.privatelink.addresses import AddressPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient
    from botocore.model import OperationModel

    from sm_private_client.routing.network import NetworkBackend

__all__ = ["PresignedUrlNotice"]

_BROWSER_SERVICES: Final = {
    "CreatePresignedNotebookInstanceUrl": "notebook",
    "CreatePresignedDomainUrl": "studio",
}
_DNS_TIMEOUT: Final = 2.0

_logger = logging.getLogger(__name__)


class PresignedUrlNotice:
    """Warns about presigned URLs, once an operation and session.

    ``has_private_dns`` returns True if a VPC endpoint with private DNS is known for a browser
    service (``notebook`` or ``studio``), without I/O.
    """

    def __init__(
        self,
        network: NetworkBackend,
        *,
        allowed_networks: Callable[[], tuple[str, ...]],
        has_private_dns: Callable[[str], bool],
    ) -> None:
        self._network = network
        self._allowed_networks = allowed_networks
        self._has_private_dns = has_private_dns
        self._unsaid = set(_BROWSER_SERVICES)

    def watch(self, client: BaseClient) -> None:
        """Read the answers of a ``sagemaker`` client from now on."""
        for operation in _BROWSER_SERVICES:
            client.meta.events.register(f"after-call.sagemaker.{operation}", self._read)

    def _read(self, parsed: dict[str, Any], model: OperationModel, **_: object) -> None:
        url = parsed.get("AuthorizedUrl")
        operation = str(model.name)
        if not url:
            return
        host = urlsplit(str(url)).hostname or ""
        service = _BROWSER_SERVICES[operation]
        if self._has_private_dns(service) or self._resolves_privately(host):
            return
        try:
            self._unsaid.remove(operation)  # one step, so that one thread warns
        except KeyError:
            return
        _logger.warning(
            "The URL that %s returns opens over the internet: %s does not resolve to a VPC "
            "endpoint from here. Create an interface endpoint of aws.sagemaker.REGION.%s with "
            "private DNS to keep it private.",
            operation,
            host,
            service,
        )

    def _resolves_privately(self, host: str) -> bool:
        try:
            addresses = self._network.resolve(host, timeout=_DNS_TIMEOUT)
        except OSError:
            return False
        policy = AddressPolicy(allowed_networks=self._allowed_networks())
        return bool(addresses) and all(policy.judge(address).private for address in addresses)
