"""What a user imports: the names, what importing costs, and how things look in a REPL."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys

import boto3
import pytest

import sm_private_client

NAMES = [
    "AmbiguousVpcEndpointError",
    "AsyncJob",
    "AsyncPredictor",
    "ConfigurationError",
    "DiscoveryError",
    "FipsUnavailableError",
    "Invocation",
    "MissingExtraError",
    "NoPrivateRouteError",
    "PayloadError",
    "Predictor",
    "PrivateClientError",
    "PublicAddressError",
    "RetryPolicy",
    "Route",
    "RoutingError",
    "Session",
    "VpcEndpoint",
    "VpcEndpointUnavailableError",
    "__version__",
    "client",
    "connect",
    "diagnose",
    "install",
    "resource",
    "set_stream_logger",
    "setup_default_session",
    "uninstall",
]


def loaded_by(statements: str) -> set[str]:
    """The modules that a fresh interpreter has after some statements."""
    code = f"{statements}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    made = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert made.stderr == ""
    return set(json.loads(made.stdout))


def test_names() -> None:
    """The public names, in their order: five of them are those of the module boto3."""
    assert sm_private_client.__all__ == NAMES


def test_dir() -> None:
    """``dir()`` shows the public names."""
    assert dir(sm_private_client) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    """Every public name can be imported, is the same each time, and has its own module."""
    value = getattr(sm_private_client, name)
    assert getattr(sm_private_client, name) is value
    module = importlib.import_module("sm_private_client")
    assert getattr(module, name) is value
    if name not in {"__version__", "set_stream_logger"}:  # a text, and boto3's own
        assert value.__name__ == name
        assert value.__module__.startswith("sm_private_client.")
        assert value.__doc__


def test_a_session_has_boto3s_members_and_our_verbs() -> None:
    """What our own rooms need of it is no member that a user sees."""
    ours = {name for name in dir(sm_private_client.Session) if not name.startswith("_")}
    assert ours - set(dir(boto3.Session)) == {
        "async_predictor",
        "egress",
        "forget_routes",
        "predictor",
        "route",
        "sealed",
    }
    made = {name for name in vars(sm_private_client.Session()) if not name.startswith("_")}
    assert made <= set(vars(boto3.Session()))


def test_star_import() -> None:
    """A star import gives exactly the public names."""
    code = "from sm_private_client import *\nprint(sorted(n for n in dir() if n in set(%r)))"
    made = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", code % NAMES],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert made.stdout.strip() == str(NAMES)


@pytest.mark.parametrize("name", ["Sesion", "predictor", "__wrapped__", "annotations_", ""])
def test_an_unknown_name(name: str) -> None:
    """A name that is not there is an AttributeError as modules give it."""
    text = f"module 'sm_private_client' has no attribute {name!r}"
    with pytest.raises(AttributeError, match=f"^{re.escape(text)}$"):
        getattr(sm_private_client, name)


def test_a_name_that_cannot_be_imported() -> None:
    """``from sm_private_client import`` an unknown name is an ImportError."""
    with pytest.raises(ImportError, match="cannot import name 'Sesion'"):
        exec("from sm_private_client import Sesion", {})  # noqa: S102 - a literal


HEAVY = {"boto3", "botocore", "urllib3", "ssl", "socket", "asyncio", "logging", "moto", "tenacity"}


def test_importing_costs_next_to_nothing() -> None:
    """``import sm_private_client`` imports neither boto3 nor botocore nor our own rooms."""
    plain = loaded_by("")
    mine = loaded_by("import sm_private_client")
    new = mine - plain
    assert new & HEAVY == set()
    assert {name for name in new if name.startswith("sm_private_client")} == {
        "sm_private_client",
        "sm_private_client._version",
    }


def test_dir_and_version_import_nothing_more() -> None:
    """Looking at the names and the version imports nothing."""
    looked = loaded_by("import sm_private_client as s\ndir(s)\ns.__version__\nhasattr(s, 'nope')")
    assert looked & {"boto3", "botocore"} == set()


@pytest.mark.slow(reason="other programs")
@pytest.mark.parametrize(
    ("name", "home", "absent"),
    [
        ("Route", "privatelink.records", {"boto3"}),
        ("VpcEndpoint", "privatelink.records", {"boto3"}),
        ("NoPrivateRouteError", "errors", {"boto3"}),
        ("Session", "session", {"moto"}),
        ("connect", "api", {"moto"}),
    ],
)
def test_a_name_imports_its_home_only(name: str, home: str, absent: set[str]) -> None:
    """A name brings the module it is in; no simulator and no boto3 if neither is needed."""
    loaded = loaded_by(f"from sm_private_client import {name}")
    assert f"sm_private_client.{home}" in loaded
    assert loaded & absent == set()


def test_version() -> None:
    """The version is one that packaging tools can read."""
    assert re.fullmatch(r"\d+\.\d+\.\d+([abrc.]+\d+)?", sm_private_client.__version__)


# How things look in a REPL


def test_repr_of_a_route() -> None:
    """A route's repr shows its whole state, and evaluates to it."""
    route = sm_private_client.Route(
        service_name="sagemaker",
        region="us-east-1",
        partition="aws",
        endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com",
        source="private-dns",
    )
    assert repr(route) == (
        "Route(service_name='sagemaker', region='us-east-1', partition='aws', "
        "endpoint_url='https://api.sagemaker.us-east-1.amazonaws.com', source='private-dns', "
        "vpc_endpoint=None, addresses=(), availability_zone=None, "
        "address_policy=AddressPolicy(eni_addresses=frozenset(), vpc_cidrs=(), "
        "allowed_networks=(), local=False, gateway='', gateway_networks=(), credentials=False), "
        "fips=False, evidence=())"
    )


def test_repr_of_a_vpc_endpoint() -> None:
    """Records show their parts by name."""
    found = sm_private_client.VpcEndpoint(
        vpc_endpoint_id="vpce-0aaaaaaa", endpoint_service="s", vpc_id="vpc-1", state="available"
    )
    assert repr(found).startswith(
        "VpcEndpoint(vpc_endpoint_id='vpce-0aaaaaaa', endpoint_service='s', vpc_id='vpc-1', "
        "state='available', private_dns_enabled=False,"
    )


def test_repr_of_a_session() -> None:
    """A session's repr is boto3's, under the class's own name; no key is in it."""
    session = sm_private_client.Session(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI",
        region_name="us-east-1",
    )
    assert repr(session) == "Session(region_name='us-east-1')"


def test_repr_of_an_error() -> None:
    """An error's repr has its class's name and its message."""
    error = sm_private_client.PublicAddressError("Refused.", host="h", address="52.1.2.3")
    assert repr(error) == ("PublicAddressError('Refused.\\nSee docs/errors.md#public-address')")


def test_public_records_cannot_be_made_by_position() -> None:
    """Records take keywords only, so that a part that is added later shifts nothing."""
    for cls in (
        sm_private_client.Route,
        sm_private_client.VpcEndpoint,
    ):
        with pytest.raises(TypeError, match="positional argument"):
            cls("x")  # type: ignore[call-arg] # that it cannot be made so is what is tested
