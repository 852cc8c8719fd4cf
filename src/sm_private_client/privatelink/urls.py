"""Endpoint URLs as users write them, checked; and URLs as messages may show them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.addresses import is_loopback_host
from sm_private_client.privatelink.hostnames import parse_vpc_endpoint_arn, without_hosted_zone

__all__ = ["EndpointUrl", "parse_endpoint_url", "redacted", "redacted_url", "without_call"]


_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"(?!.{{254}}){_LABEL}(?:\.{_LABEL})*\.?\Z")
"""A host name as DNS carries it (RFC 1035); underscores occur in private zones."""

_OPERATION: Final = re.compile(
    r"(?P<prefix>.*)/endpoints/[^/]+/(?:invocations[a-z-]*|async-invocations|openai(?:/.*)?)\Z"
)
"""The path of a call to a model, after a gateway's prefix: the operations add it themselves."""

_DOT_SEGMENT: Final = re.compile(r"/\.\.?(?:/|\Z)")
_REMEDY: Final = "give https:// and a host, or the DNS name of a VPC endpoint alone."
_SCHEME: Final = re.compile(r"[\w.,+=-]*\Z")
_WORD: Final = re.compile(r"[^\s'\"]+")


def redacted_url(url: str) -> str:
    """Return a URL as messages may show it: without a user, a password, a query or a fragment.

    Everything that may be part of a secret is taken out, in a malformed URL too.
    """
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    if not _SCHEME.match(scheme):
        return "…"
    end = min((rest.find(c) for c in "?#" if c in rest), default=len(rest))
    before, after = rest[:end], rest[end:]
    if "@" in after:  # a password with such a character, or a query with such an address
        return f"{scheme}{mark}…"
    if "@" in before:
        before = "…@" + before.rpartition("@")[2]
    return f"{scheme}{mark}{before}{after and '?…'}"


def redacted(text: str) -> str:
    """Return a text with every URL in it as ``redacted_url`` returns it."""
    return _WORD.sub(lambda m: redacted_url(m[0]) if "://" in m[0] else m[0], text)


class EndpointUrl(NamedTuple):
    """A checked endpoint URL.

    Attributes:
        url: The whole, with its scheme and its path.
        host: Its host, in lower case.
        is_local: Whether it names a host on this machine.
    """

    url: str
    host: str
    is_local: bool


def parse_endpoint_url(text: str, origin: str) -> EndpointUrl:
    """Check a URL or a bare host name; return it with its path, which is a gateway's prefix.

    Without a scheme it is ``https``. ``origin`` is its place in words, for errors.

    Raises:
        ConfigurationError: No host, another scheme than https (or http to this machine), a user
            name, a query, a fragment, or the path of a call in it.
    """

    def refused(cause: str, remedy: str = _REMEDY) -> ConfigurationError:
        what = f"{origin} has {redacted_url(text)!r}, which cannot be used as an endpoint URL."
        return ConfigurationError(what, cause=cause, remedy=remedy)

    url = text.strip()
    misread = _not_a_url(url)
    if misread is not None:
        raise refused(*misread)
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # its words repeat what may be a password
        raise refused("it is no URL.") from None
    if any(c in url for c in "@?#"):
        raise refused("an endpoint URL has no user name, query or fragment.")
    if any(c.isspace() for c in url) or not _is_host(host):
        raise refused("it has no valid host.")
    if not _has_port(parts):
        raise refused("its port is no number from 0 to 65535.")
    if "." not in host and ":" not in host and not is_loopback_host(host) and "://" not in text:
        raise refused("it is neither a VPC endpoint id (vpce- and 8 or 17 hex digits) nor a host.")
    local = is_loopback_host(host)
    unusable = _unusable_scheme(parts.scheme, local=local) or _unusable_path(parts)
    if unusable is not None:
        raise refused(*unusable)
    if host.endswith("."):  # the same name, but not as it stands in signatures and certificates
        url = parts._replace(netloc=parts.netloc.replace(".:", ":").rstrip(".")).geturl()
    return EndpointUrl(url=url.rstrip("/"), host=host.rstrip("."), is_local=local)


def without_call(url: str) -> str:
    """Return a URL without the path of a call to a model, such as the console shows."""
    found = _OPERATION.match(url.rstrip("/"))
    return found["prefix"] if found is not None else url


def _not_a_url(text: str) -> tuple[str, str] | None:
    """Return cause and remedy for what CloudFormation and Terraform have in place of a host."""
    if parse_vpc_endpoint_arn(text) is not None:
        return "it is an ARN.", "pass the ARN of a VPC endpoint as vpc_endpoint=."
    name = without_hosted_zone(text)
    if name == text:
        return None
    return (
        "a hosted zone id stands before the name, as in CloudFormation's DnsEntries.",
        f"pass what stands after the colon: {redacted_url(name)}.",
    )


def _unusable_scheme(scheme: str, *, local: bool) -> tuple[str] | None:
    if scheme not in ("https", "http"):
        return (f"{scheme} is not a scheme that AWS services speak.",)
    if scheme == "http" and not local:
        return ("http is not encrypted; it is allowed to this machine only.",)
    return None


def _unusable_path(parts: SplitResult) -> tuple[str, str] | tuple[str] | None:
    operation = _OPERATION.match(parts.path.rstrip("/"))
    if operation is not None:
        return (
            "it names a call to one model already; each call adds that path itself.",
            f"give {parts._replace(path=operation['prefix']).geturl()}.",
        )
    if not parts.path.isascii() or "\\" in parts.path or _DOT_SEGMENT.search(parts.path):
        return ("its path has '..', a backslash, or letters that a URL encodes.",)
    return None


def _has_port(parts: SplitResult) -> bool:
    try:
        _ = parts.port  # reading it is what checks it
    except ValueError:
        return False
    return True


def _is_host(host: str) -> bool:
    if _HOST.match(host):
        return True
    try:
        return isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address)
    except ValueError:
        return False
