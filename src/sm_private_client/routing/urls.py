"""Endpoint URLs as users write them: with or without a scheme."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.addresses import is_loopback_host

__all__ = ["EndpointUrl", "parse_endpoint_url"]


_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"(?!.{{254}}){_LABEL}(?:\.{_LABEL})*\.?\Z")
"""A host name as DNS carries it (RFC 1035); underscores occur in private zones."""

_USER: Final = re.compile(r"[^/@\s]*@")
"""A user and a password, which no message repeats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointUrl:
    """A checked endpoint URL.

    Attributes:
        url: The whole, with its scheme.
        host: Its host, in lower case.
        is_local: Whether it names a host on this machine.
    """

    url: str
    host: str
    is_local: bool


def parse_endpoint_url(text: str, origin: str) -> EndpointUrl:
    """Checks a URL or a bare host name; ``https`` is added where there is no scheme.

    Args:
        text: What was given.
        origin: Where it was given, for errors.

    Raises:
        ConfigurationError: No host, another scheme than https (or http to this machine), a user
            name, a query or a fragment in it.
    """

    def refused(cause: str) -> ConfigurationError:
        return ConfigurationError(
            f"{origin} has {_USER.sub('…@', text)!r}, which cannot be used as an endpoint URL.",
            cause=cause,
            remedy="give https:// and a host, or the DNS name of a VPC endpoint alone.",
        )

    url = text.strip()
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise refused(f"{error}.") from None
    if any(c.isspace() for c in url) or not _is_host(host):
        raise refused("it has no valid host.")
    if "." not in host and ":" not in host and not is_loopback_host(host) and "://" not in text:
        raise refused("it is neither a VPC endpoint id (vpce- and 8 or 17 hex digits) nor a host.")
    if parts.username is not None or parts.query or parts.fragment:
        raise refused("an endpoint URL has no user name, query or fragment.")
    local = is_loopback_host(host)
    if parts.scheme.lower() not in ("https", "http"):
        raise refused(f"{parts.scheme} is not a scheme that AWS services speak.")
    if parts.scheme.lower() == "http" and not local:
        raise refused("http is not encrypted; it is allowed to this machine only.")
    _ = port  # reading it is what checks it
    if host.endswith("."):  # the same name, but not as it stands in signatures and certificates
        url = parts._replace(netloc=parts.netloc.replace(".:", ":").rstrip(".")).geturl()
    return EndpointUrl(url=url.rstrip("/"), host=host.rstrip("."), is_local=local)


def _is_host(host: str) -> bool:
    if _HOST.match(host):
        return True
    try:
        return ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - IPv6
    except ValueError:
        return False
