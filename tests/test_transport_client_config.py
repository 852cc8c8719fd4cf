"""Specification of transport/client_config.py: our defaults, under whatever the caller says."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.config import Config

import sm_private_client
from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.client_config import RoutedConfig, set_timeouts, verified_by

AGENT = f"lib/sm-private-client#{sm_private_client.__version__}"


def merged(caller: Config | None = None, **kwargs: Any) -> RoutedConfig:
    kwargs.setdefault("session_default", None)
    kwargs.setdefault("retries_are_configured", False)
    return RoutedConfig.merged(caller, **kwargs)


@pytest.mark.parametrize(
    ("option", "default", "chosen"),
    [
        ("connect_timeout", 5, 9),
        ("read_timeout", 70, 9),
        ("max_pool_connections", 50, 9),
        ("tcp_keepalive", True, False),
        ("retries", {"mode": "standard", "total_max_attempts": 4}, {"mode": "adaptive"}),
    ],
)
def test_each_default_yields_to_the_callers_config(option: str, default: Any, chosen: Any) -> None:
    """Defaults on routed clients, each overridable by the caller's Config, then the session's."""
    assert getattr(merged().config, option) == default
    assert getattr(merged(Config(**{option: chosen})).config, option) == chosen
    session_default = Config(**{option: chosen})
    assert getattr(merged(session_default=session_default).config, option) == chosen
    both = merged(Config(**{option: default}), session_default=session_default)
    assert getattr(both.config, option) == default


def test_what_the_caller_sets_besides_is_kept() -> None:
    """Config is merged, not replaced."""
    routed = merged(Config(region_name="eu-west-1", signature_version="v4", user_agent_extra="a/1"))
    assert routed.config.region_name == "eu-west-1"  # type: ignore[attr-defined] # not in the stubs
    assert routed.config.signature_version == "v4"  # type: ignore[attr-defined] # not in the stubs
    assert routed.config.user_agent_extra == f"a/1 {AGENT}"  # type: ignore[attr-defined] # as above
    assert merged().config.user_agent_extra == AGENT  # type: ignore[attr-defined] # as above


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (None, 600.0),
        (Config(connect_timeout=1), 600.0),
        (Config(read_timeout=60), 60),
        (Config(read_timeout=None), None),
    ],
)
def test_streams_may_be_read_for_600_seconds_unless_the_caller_says_otherwise(
    caller: Config | None, expected: float | None
) -> None:
    """Read 70 s, 600 s on streams; an explicit read_timeout is for both."""
    assert merged(caller).stream_timeout == expected


def test_configured_retries_count_as_they_do_for_boto3() -> None:
    """AWS_RETRY_MODE, AWS_MAX_ATTEMPTS and their profile keys are not overridden by a default."""
    assert merged(retries_are_configured=True).config.retries is None  # type: ignore[attr-defined] # not in the stubs


@pytest.mark.parametrize("argument", ["caller", "session_default"])
def test_a_proxy_is_refused(argument: str) -> None:
    """A proxy resolves the name itself, so nothing could prove that the call stays private."""
    proxied = Config(proxies={"https": "http://proxy.example:3128"})
    with pytest.raises(ConfigurationError) as caught:
        merged(**{argument: proxied})
    assert str(caught.value) == (
        "Config(proxies=...) is set for a routed client.\n"
        "Cause: a proxy resolves the name itself, so nothing could prove that the call stays "
        "private.\n"
        "Remedy: leave proxies out for SageMaker; a private route needs none.\n"
        "See docs/errors.md#configuration"
    )
    assert merged(Config(proxies={})).config.proxies == {}  # type: ignore[attr-defined] # not in the stubs


@pytest.mark.parametrize(
    ("given", "expected", "streams"),
    [
        (Config(), (5, 70), 600),
        (Config(connect_timeout=9), (9, 70), 600),
        (Config(read_timeout=9), (5, 9), 9),
        (Config(read_timeout=None), (5, None), None),
    ],
)
def test_a_client_made_elsewhere_gets_our_time_outs_for_botocores(
    given: Any, expected: tuple[Any, Any], streams: float | None
) -> None:
    """What it was given itself is kept."""
    assert set_timeouts(given) == streams
    assert (given.connect_timeout, given.read_timeout) == expected


def test_a_client_of_ours_keeps_what_it_was_given() -> None:
    """Also if that is botocore's default."""
    made: Any = Config(connect_timeout=5, read_timeout=70)
    routed = merged(Config(connect_timeout=60, read_timeout=60))
    assert set_timeouts(made, routed) == 60
    assert (made.connect_timeout, made.read_timeout) == (60, 60)


@pytest.mark.parametrize(
    ("ca_bundle", "environ", "expected"),
    [
        (None, {}, True),
        ("/session.pem", {"REQUESTS_CA_BUNDLE": "/requests.pem"}, "/session.pem"),
        (None, {"REQUESTS_CA_BUNDLE": "/requests.pem"}, "/requests.pem"),
    ],
)
def test_the_bundle_is_chosen_as_botocore_does(
    ca_bundle: str | None,
    environ: dict[str, str],
    expected: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AWS_CA_BUNDLE or profile, then REQUESTS_CA_BUNDLE, then botocore's own."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    session = botocore.session.Session()
    if ca_bundle is not None:
        session.set_config_variable("ca_bundle", ca_bundle)
    assert verified_by(session, environ=environ) == expected
