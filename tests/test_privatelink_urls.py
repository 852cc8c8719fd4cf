"""Endpoint URLs as users write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.urls import (
    EndpointUrl,
    parse_endpoint_url,
    redacted,
    redacted_url,
    without_call,
)

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
        ("proxy.corp.example/a/b/", "https://proxy.corp.example/a/b", "proxy.corp.example", False),
        ("https://h.example/gateway/ml", "https://h.example/gateway/ml", "h.example", False),
        ("https://h.example/endpoints", "https://h.example/endpoints", "h.example", False),
        ("https://h.example/endpoints/m", "https://h.example/endpoints/m", "h.example", False),
        ("https://h.example/a%20b/c..d", "https://h.example/a%20b/c..d", "h.example", False),
        ("https://intranet", "https://intranet", "intranet", False),
        ("10.0.0.5", "https://10.0.0.5", "10.0.0.5", False),
        ("https://[fd00::5]:443", "https://[fd00::5]:443", "fd00::5", False),
        ("[fd00::5]", "https://[fd00::5]", "fd00::5", False),
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
PORT = "its port is no number from 0 to 65535."
PATH = "its path has '..', a backslash, or letters that a URL encodes."
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
        ("https://host.example?", EXTRA),
        ("https://host.example/a#", EXTRA),
        ("https://user:pass/word@host.example", EXTRA),
        ("https://user:p@ss@host.example", EXTRA),
        ("https://user:p ss@host.example", EXTRA),
        ("https://user:p?ss@host.example", EXTRA),
        ("https://user:p#ss@host.example", EXTRA),
        ("user:password@host.example", EXTRA),
        ("http://user:password@localhost:5000", EXTRA),
        ("https://host.example/../x", PATH),
        ("https://host.example/a/./x", PATH),
        ("https://host.example/a/..", PATH),
        ("https://host.example/a\\x", PATH),
        ("https://host.example/\u00fc", PATH),
        ("http://host.example", PLAIN),
        ("http://10.0.0.5", PLAIN),
        ("http://localhost.evil.example", PLAIN),
        ("http://0.0.0.0:5000", PLAIN),
        ("HTTP://host.example", PLAIN),
        ("ftp://host.example", "ftp is not a scheme that AWS services speak."),
        ("file:///etc/passwd", NO_HOST),
        ("https+unix://host.example", "https+unix is not a scheme that AWS services speak."),
        ("https://host.example:99999", PORT),
        ("https://host.example:x", PORT),
        ("https://[::1", "it is no URL."),
        ("https://user:p\u2100ss@host.example", "it is no URL."),  # its letters change by NFKC
    ],
)
def test_urls_that_are_refused(text: str, cause: str | None) -> None:
    """Anything else is refused, with the place it was given in, the cause and the remedy."""
    if cause is None:  # white space around it is passed over
        assert parse_endpoint_url(text, "x=").url == text.strip()
        return
    told = redacted_url(text)
    if "user" in text:
        assert not [part for part in ("user", "pass", "ss@", "word") if part in told]
    message = (
        f"endpoint_url= has {told!r}, which cannot be used as an endpoint URL.\n"
        f"Cause: {cause}\n"
        "Remedy: give https:// and a host, or the DNS name of a VPC endpoint alone.\n"
        "See docs/errors.md#configuration"
    )
    with pytest.raises(ConfigurationError, match=rf"\A{re.escape(message)}\Z") as caught:
        parse_endpoint_url(text, "endpoint_url=")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        *(
            (
                f"https://{host}{prefix}/endpoints/churn-1/{call}",
                "it names a call to one model already; each call adds that path itself.",
                f"give https://{host}{prefix}.",
            )
            for host, prefix, call in (
                ("runtime.sagemaker.us-east-1.amazonaws.com", "", "invocations"),
                (VPCE, "", "invocations/"),
                (VPCE, "", "invocations-response-stream"),
                (VPCE, "", "async-invocations"),
                (VPCE, "", "openai/v1"),
                ("gateway.corp.example:8443", "/gateway/ml", "invocations"),
            )
        ),
        (
            f"Z7HUB22UULQXV:{VPCE}",
            "a hosted zone id stands before the name, as in CloudFormation's DnsEntries.",
            f"pass what stands after the colon: {VPCE}.",
        ),
        (
            "arn:aws:ec2:us-east-1:123456789012:vpc-endpoint/vpce-0fe5b17a0707d6abc",
            "it is an ARN.",
            "pass the ARN of a VPC endpoint as vpc_endpoint=.",
        ),
    ],
)
def test_what_is_often_pasted_is_told(text: str, cause: str, remedy: str) -> None:
    """What the console, CloudFormation and Terraform show is named, with what to give instead."""
    with pytest.raises(ConfigurationError) as caught:
        parse_endpoint_url(text, "endpoint_url=")
    assert str(caught.value).splitlines()[1:3] == [f"Cause: {cause}", f"Remedy: {remedy}"]


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        (f"https://{VPCE}/endpoints/churn-1/invocations", f"https://{VPCE}"),
        (f"https://{VPCE}/endpoints/churn-1/invocations-response-stream/", f"https://{VPCE}"),
        ("https://h.example/ml/endpoints/churn-1/async-invocations", "https://h.example/ml"),
        ("https://h.example/ml/endpoints/churn-1/openai/v1", "https://h.example/ml"),
        (f"https://{VPCE}/", f"https://{VPCE}/"),
        ("https://h.example/endpoints/churn-1", "https://h.example/endpoints/churn-1"),
        (
            "https://h.example/endpoints/churn-1/invocations/x",
            "https://h.example/endpoints/churn-1/invocations/x",
        ),
        ("h.example", "h.example"),
    ],
)
def test_the_path_of_a_call_is_taken_off(url: str, prefix: str) -> None:
    """What the console shows for one model leads to all; anything else stays as it is."""
    assert without_call(url) == prefix


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/path", "https://host/path"),
        ("host:8443/path", "host:8443/path"),
        ("https://user:password@host/path", "https://…@host/path"),
        ("user:password@host", "…@host"),
        ("https://user@host", "https://…@host"),
        ("https://user:pass/word@host", "https://…@host"),
        ("https://user:p@ss@host", "https://…@host"),
        ("https://user:p ss@host", "https://…@host"),
        ("https://user:p?ss@host", "https://…"),
        ("https://user:p#ss@host", "https://…"),
        ("https://user:p://ss@host", "https://…@host"),
        ("user:pass://word@host", "…"),
        ("https://host/a?X-Amz-Signature=abc", "https://host/a?…"),
        ("https://host/a?mail=me@host&X-Amz-Signature=abc", "https://…"),
        ("https://host/a#token", "https://host/a?…"),
        ("https://host/a?X-Amz-Signature=abc#top", "https://host/a?…"),
        ("https://host/a#token?x", "https://host/a?…"),
        ("sagemaker=https://user:password@host", "sagemaker=https://…@host"),
        ("a=https://u:p@h,b=https://u:p@h", "a=https://…@h"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    """User, password, query and fragment are never shown, whatever they consist of."""
    assert redacted_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:word@host/path", "https://…@host/path"),
        ("'https://me@host' is wrong", "'https://…@host' is wrong"),
        ('to "https://me:word@host/": no (x@y)', 'to "https://…@host/": no (x@y)'),
        ("see https://host/a?X-Amz-Signature=abc or x", "see https://host/a?… or x"),
        ("me@host", "me@host"),
    ],
)
def test_a_text_is_shown_without_the_secrets_of_its_urls(text: str, shown: str) -> None:
    """What stands before the host in a URL, and what follows its path, is a secret."""
    assert redacted(text) == shown


secrets = st.text(min_size=6, max_size=20)


@given(
    secret=secrets, host=st.sampled_from(["host.example", "localhost:5000", "[::1]", "bad host"])
)
def test_no_error_repeats_a_password(secret: str, host: str) -> None:
    """Whatever a password consists of, it is refused and not repeated."""
    for url in (f"https://user:{secret}@{host}", f"user:{secret}@{host}/path"):
        with pytest.raises(ConfigurationError) as caught:
            parse_endpoint_url(url, "endpoint_url=")
        # The last part of it may be what a host is allowed to be called: only whole ones count.
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value)


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
