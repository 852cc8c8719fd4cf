"""URLs that open a notebook instance or Studio in a browser."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sm_private_client.privatelink.services import BROWSER_DNS_DOMAIN
from sm_private_client.testing.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["presigned_url"]


def presigned_url(operation: str, parameters: Mapping[str, Any], region: str) -> str | None:
    """Gives the URL that a ``CreatePresigned…Url`` operation answers.

    Returns:
        The URL, or ``None`` where the operation is another one.

    Raises:
        Refusal: A parameter is missing.
    """
    token = secrets.token_urlsafe(48)
    if operation == "CreatePresignedNotebookInstanceUrl":
        name = _required(parameters, "NotebookInstanceName")
        return f"https://{name}.notebook.{region}.{BROWSER_DNS_DOMAIN}?authToken={token}"
    if operation == "CreatePresignedDomainUrl":
        domain = _required(parameters, "DomainId")
        _required(parameters, "UserProfileName")
        return f"https://{domain}.studio.{region}.{BROWSER_DNS_DOMAIN}/auth?token={token}"
    return None


def _required(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or not value:
        lower = name[0].lower() + name[1:]
        raise Refusal(
            "ValidationException",
            f"1 validation error detected: Value null at '{lower}' failed to satisfy "
            "constraint: Member must not be null",
        )
    return value
