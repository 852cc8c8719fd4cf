"""Specification of routing/botocore_rules.py: what it says is what a real boto3 client uses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointResolutionError, EndpointVariantError

from as_read import as_read
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.routing.botocore_rules import (
    configured_url,
    default_url,
    partitions,
    wants_dual_stack,
    wants_fips,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from botocore.awsrequest import AWSPreparedRequest

REGIONS = (
    "us-east-1",
    "us-west-2",
    "eu-central-2",
    "cn-north-1",
    "us-gov-west-1",
    "us-gov-east-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "us-isof-south-1",
    "eusc-de-east-1",
)
METRIC = {"MetricName": "loss", "Timestamp": 0, "Step": 1, "Value": 0.5}
OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "sagemaker": ("list_endpoints", {}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "name", "Body": b""}),
    "sagemaker-featurestore-runtime": (
        "get_record",
        {"FeatureGroupName": "name", "RecordIdentifierValueAsString": "1"},
    ),
    "sagemaker-metrics": (
        "batch_put_metrics",
        {"TrialComponentName": "name", "MetricData": [METRIC]},
    ),
    "sagemaker-geospatial": ("list_earth_observation_jobs", {}),
    "sagemaker-a2i-runtime": ("describe_human_loop", {"HumanLoopName": "name"}),
    "sagemaker-edge": (
        "get_device_registration",
        {"DeviceName": "name", "DeviceFleetName": "name"},
    ),
}


class Stopped(Exception):  # noqa: N818 - no error: the request is seen, and goes nowhere
    """Ends a call before it is sent."""


def url_called(client: Any, service: str) -> str | None:
    """Return the URL that a real client calls; ``meta.endpoint_url`` is by older rules."""
    seen: list[str] = []

    def stop(request: AWSPreparedRequest, **_: object) -> None:
        seen.append(f"https://{urlsplit(request.url).netloc}")
        raise Stopped

    client.meta.events.register("before-send", stop)
    operation, arguments = OPERATIONS[service]
    with pytest.raises((Stopped, EndpointResolutionError)):
        getattr(client, operation)(**arguments)
    return seen[0] if seen else None


@pytest.fixture(scope="module")
def core() -> botocore.session.Session:
    return botocore.session.Session()


@pytest.fixture(scope="module")
def real() -> Any:
    """A boto3 session; stubs know its clients by literal names only."""
    return boto3.Session("key", "secret")


def test_every_routable_service_is_compared() -> None:
    assert set(routable_service_names()) <= set(OPERATIONS)


# Default hosts


@pytest.mark.parametrize("service", OPERATIONS)
@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("dual_stack", [False, True])
def test_default_url_is_boto3_s(
    core: botocore.session.Session, real: Any, service: str, *, fips: bool, dual_stack: bool
) -> None:
    """For every partition, FIPS and dual-stack, the default URL is the one that boto3 calls."""
    if service not in real.get_available_services():
        pytest.skip(f"this botocore has no {service}")
    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dual_stack)
    for region in REGIONS:
        try:
            client = real.client(service, region_name=region, config=config)
        except EndpointVariantError:
            assert dual_stack  # botocore's older rules, which it asks first, stop it there
            continue
        said = default_url(core, service, region, fips=fips, dual_stack=dual_stack)
        assert said == url_called(client, service)


def test_a_service_without_rules_has_no_default_url(core: botocore.session.Session) -> None:
    """Where botocore has no rules there is no URL; nothing is made up."""
    assert default_url(core, "sagemaker-foo", "us-east-1") is None


@as_read
def test_the_sample_has_every_partition(core: botocore.session.Session) -> None:
    """The regions above are of every partition that botocore knows."""
    known = partitions(core)
    sampled = {p.name for p in known for region in REGIONS if region in p.regions}
    assert sampled == {p.name for p in known}


# Configured URLs

SECTION = (
    "[services mine]\nsagemaker =\n  endpoint_url = https://section-api.test\n"
    "sagemaker_runtime =\n  endpoint_url = https://section-runtime.test\n"
)
SERVICES = f"[default]\nservices = mine\n{SECTION}"
PROFILE = "[default]\nendpoint_url = https://profile.test\n"
BOTH = f"[default]\nservices = mine\nendpoint_url = https://profile.test\n{SECTION}"
IN_FILE, IN_VARIABLE = "the config file's endpoint_url", "AWS_ENDPOINT_URL*"


@pytest.mark.parametrize("service", ["sagemaker", "sagemaker-runtime", "sagemaker-metrics"])
@pytest.mark.parametrize(
    ("config_file", "variables"),
    [
        ("", {}),
        ("", {"AWS_ENDPOINT_URL": "https://variable.test"}),
        ("", {"AWS_ENDPOINT_URL_SAGEMAKER": "https://service.test"}),
        ("", {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "https://service.test"}),
        (
            "",
            {
                "AWS_ENDPOINT_URL": "https://variable.test",
                "AWS_ENDPOINT_URL_SAGEMAKER_METRICS": "https://service.test",
            },
        ),
        ("", {"AWS_ENDPOINT_URL": ""}),
        (SERVICES, {}),
        (SERVICES, {"AWS_ENDPOINT_URL": "https://variable.test"}),
        (PROFILE, {}),
        (PROFILE, {"AWS_ENDPOINT_URL_SAGEMAKER": "https://service.test"}),
        (BOTH, {}),
        (BOTH, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}),
        (BOTH, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}),
        (f"{BOTH}[profile other]\nendpoint_url = https://other.test\n", {"AWS_PROFILE": "other"}),
        ("[default]\nignore_configured_endpoint_urls = true\nendpoint_url = https://a.test\n", {}),
        (
            PROFILE,
            {
                "AWS_ENDPOINT_URL": "https://variable.test",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            },
        ),
    ],
)
def test_configured_url_is_boto3_s(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    service: str,
    config_file: str,
    variables: dict[str, str],
) -> None:
    """AWS_ENDPOINT_URL*, the services section and the profile's endpoint_url count as in boto3."""
    path = tmp_path / "config"
    path.write_text(config_file)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    core = botocore.session.Session()
    for config in (
        None,
        Config(),
        Config(ignore_configured_endpoint_urls=True),  # type: ignore[call-arg] # stubs lack it
        Config(ignore_configured_endpoint_urls=False),  # type: ignore[call-arg] # stubs lack it
    ):
        client = core.create_client(
            service,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=config,
        )
        said = configured_url(core, service, config=config, environ=dict(os.environ))
        expected = default_url(core, service, "us-east-1")
        assert (said.url if said else expected) == client.meta.endpoint_url
        if said is not None:
            in_file = said.url in config_file
            assert said.origin == (IN_FILE if in_file else IN_VARIABLE)


# FIPS and dual-stack


@pytest.mark.parametrize(
    ("config", "variable", "profile", "wanted"),
    [
        (None, None, None, False),
        (True, None, None, True),
        (None, "true", None, True),
        (None, None, "true", True),
        (False, "true", "true", False),
        (None, "false", "true", False),
        (True, "false", "false", True),
    ],
)
@pytest.mark.parametrize(
    ("name", "wants", "mark"),
    [
        ("use_fips_endpoint", wants_fips, "fips"),
        ("use_dualstack_endpoint", wants_dual_stack, "api.aws"),
    ],
)
def test_variants_are_boto3_s(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    config: bool | None,
    variable: str | None,
    profile: str | None,
    wanted: bool,
    name: str,
    wants: Callable[[botocore.session.Session, Config | None], bool],
    mark: str,
) -> None:
    """Config comes before the variable, and that before the profile, as in boto3."""
    path = tmp_path / "config"
    path.write_text(f"[default]\n{name} = {profile}\n" if profile else "")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    if variable is not None:
        monkeypatch.setenv(f"AWS_{name.upper()}", variable)
    core = botocore.session.Session()
    given = None if config is None else Config(**{name: config})  # type: ignore[arg-type] # bools
    assert wants(core, given) is wanted
    client = core.create_client(
        "sagemaker",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=given,
    )
    assert (mark in client.meta.endpoint_url) is wanted
