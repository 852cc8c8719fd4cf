"""Endpoint URLs as users write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.urls import EndpointUrl, parse_endpoint_url

VPCE = "vpce-0fe5b17a0707d6abc-29p5708s.runtime.sagemaker.us-east-1.vpce.amazonaws.com"


@pytest.mark.parametrize(
    ("text", "url", "host", "is_local"),
    [
        (VPCE, f"https://{VPCE}", VPCE, False),
        (f"https://{VPCE}", f"https://{VPCE}", VPCE, False),
        (f"  https://{VPCE}/ \n", f"https://{VPCE}", VPCE, False),
        (f"https://{VPCE}.", f"https://{VPCE}", VPCE, False),
        (f"HTTPS://{VPCE.upper()}", f"HTTPS://{VPCE.upper()}", VPCE, False),
        (f"{VPCE}:8443", f"https://{VPCE}:8443", VPCE, False),
        (
            "https://proxy.corp.example/sm",
            "https://proxy.corp.example/sm",
            "proxy.corp.example",
            False,
        ),
        ("https://intranet", "https://intranet", "intranet", False),
        ("10.0.0.5", "https://10.0.0.5", "10.0.0.5", False),
        ("https://[fd00::5]:443", "https://[fd00::5]:443", "fd00::5", False),
        ("localhost", "https://localhost", "localhost", True),
        ("localhost:5000", "https://localhost:5000", "localhost", True),
        ("http://localhost:5000", "http://localhost:5000", "localhost", True),
        ("http://127.0.0.1:4566/", "http://127.0.0.1:4566", "127.0.0.1", True),
        ("http://[::1]:4566", "http://[::1]:4566", "::1", True),
        ("https://localhost.", "https://localhost", "localhost", True),
        ("http://aws.localhost:4566", "http://aws.localhost:4566", "aws.localhost", True),
    ],
)
def test_urls_that_are_taken(text: str, url: str, host: str, is_local: bool) -> None:
    """A URL or a bare host name; https is added where there is no scheme."""
    assert parse_endpoint_url(text, "x=") == EndpointUrl(url=url, host=host, is_local=is_local)


NO_HOST = "it has no valid host."
NO_ID = "it is neither a VPC endpoint id (vpce- and 8 or 17 hex digits) nor a host."
EXTRA = "an endpoint URL has no user name, query or fragment."
PLAIN = "http is not encrypted; it is allowed to this machine only."


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", NO_HOST),
        ("   ", NO_HOST),
        ("https://", NO_HOST),
        ("https:///path", NO_HOST),
        ("//host.example", NO_HOST),
        ("https://ho st.example", NO_HOST),
        ("https://host.example\n.evil", NO_HOST),
        ("https://host.example\t", None),
        ("https://h\u00f6st.example", NO_HOST),
        ("https://host.example\x00.evil", NO_HOST),
        ("https://host.example\\evil", NO_HOST),
        ("https://host.example,other.example", NO_HOST),
        ("https://a..b", NO_HOST),
        ("https://.example.com", NO_HOST),
        (f"https://{'x' * 64}.example", NO_HOST),
        (f"https://{'x.' * 130}example", NO_HOST),
        ("vpce-0fe5b17", NO_ID),
        ("vpce-0fe5b17a0707d6abcd", NO_ID),
        ("vpc-0fe5b17a", NO_ID),
        ("true", NO_ID),
        ("https://user@host.example", EXTRA),
        ("https://user:password@host.example", EXTRA),
        ("https://@host.example", EXTRA),
        ("https://host.example?x=1", EXTRA),
        ("https://host.example/#top", EXTRA),
        ("http://host.example", PLAIN),
        ("http://10.0.0.5", PLAIN),
        ("http://localhost.evil.example", PLAIN),
        ("http://0.0.0.0:5000", PLAIN),
        ("HTTP://host.example", PLAIN),
        ("ftp://host.example", "ftp is not a scheme that AWS services speak."),
        ("file:///etc/passwd", NO_HOST),
        ("https+unix://host.example", "https+unix is not a scheme that AWS services speak."),
        ("https://host.example:99999", "Port out of range 0-65535."),
        ("https://host.example:x", "Port could not be cast to integer value as 'x'."),
        ("https://[::1", "Invalid IPv6 URL."),
    ],
)
def test_urls_that_are_refused(text: str, cause: str | None) -> None:
    """Anything else is refused, with the place it was given in, the cause and the remedy."""
    if cause is None:  # white space around it is passed over
        assert parse_endpoint_url(text, "x=").url == text.strip()
        return
    told = re.sub("//.*@", "//…@", text)  # neither user nor password is repeated
    message = (
        f"endpoint_url= has {told!r}, which cannot be used as an endpoint URL.\n"
        f"Cause: {cause}\n"
        "Remedy: give https:// and a host, or the DNS name of a VPC endpoint alone.\n"
        "See docs/errors.md#configuration"
    )
    with pytest.raises(ConfigurationError, match=rf"\A{re.escape(message)}\Z") as caught:
        parse_endpoint_url(text, "endpoint_url=")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text() | st.text("htps:/.[]@?#%1a\\ ").map("https://{}".format))
def test_any_text_is_taken_or_refused(text: str) -> None:
    """Any text gives a checked URL or a ConfigurationError, and http only to this machine."""
    try:
        made = parse_endpoint_url(text, "x=")
    except ConfigurationError:
        return
    assert made.host.isascii()
    assert not any(c.isspace() for c in made.url)
    assert made.is_local or made.url.lower().startswith("https://")
