"""Routing settings: argument, then SM_PRIVATE_* variable, then profile key."""

from __future__ import annotations

import json
import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.settings import (
    RoutingOptions,
    RoutingSettings,
    default_cache_directory,
    identity_of,
    load_settings,
    missing_region,
    read_environment,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUTABLE = (
    "sagemaker, sagemaker-runtime, sagemaker-featurestore-runtime, sagemaker-metrics, "
    "sagemaker-geospatial"
)
VARIABLES = {
    "vpc_endpoint": "SM_PRIVATE_VPC_ENDPOINT",
    "vpc_id": "SM_PRIVATE_VPC_ID",
    "availability_zone": "SM_PRIVATE_AVAILABILITY_ZONE",
    "route_cache": "SM_PRIVATE_ROUTE_CACHE",
}
VALUES = {  # what each option may be: three values that can be told from each other
    "vpc_endpoint": ("vpce-0aaaaaaa", "vpce-0bbbbbbb", "vpce-0ccccccc"),
    "vpc_id": ("vpc-0aaaaaaa", "vpc-0bbbbbbb", "vpc-0ccccccc"),
    "availability_zone": ("us-east-1a", "us-east-1b", "us-east-1c"),
    "allowed_networks": (["198.51.100.0/24"], "203.0.113.0/24", "192.0.2.0/24"),
    "on_public_route": ("refuse", "warn", "warn"),
    "discovery": ("any", "private", "private"),
    "route_cache": ("/one", "/two", "/three"),
}
LOADED: dict[str, Any] = {"allowed_networks": (("198.51.100.0/24",), None, ("192.0.2.0/24",))}


def load(
    options: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    profile: Mapping[str, object] | None = None,
) -> RoutingSettings:
    given_options: Any = options or {}
    return load_settings(given_options, environ=environ or {}, profile=profile or {})


def test_defaults() -> None:
    """Without any of the sources everything is found out, and nothing public is let through."""
    assert load(environ={"HOME": "/home/x"}) == RoutingSettings(
        vpc_endpoint=None,
        vpc_endpoints=(),
        vpc_endpoint_from="",
        vpc_id=None,
        availability_zone=None,
        allowed_networks=(),
        on_public_route="refuse",
        route_cache=default_cache_directory({"HOME": "/home/x"}),
    )


def test_every_option_has_its_rows_here() -> None:
    """An option that is added is added to the tables of this file."""
    assert {*VALUES, "sealed"} == set(RoutingOptions.__annotations__)


@pytest.mark.parametrize(
    ("argument", "variable", "key", "sealed"),
    [
        (None, None, None, False),
        (False, "false", "no", False),
        (True, None, None, True),
        (None, "true", None, True),
        (None, "ON", None, True),
        (None, None, "1", True),
        (None, "", "", False),
        (False, "true", None, True),
        (False, None, "true", True),
        (True, "false", "false", True),
        (None, "false", "true", True),
        (None, "true", "false", True),
    ],
)
def test_what_seals_a_session_cannot_be_undone(
    argument: bool | None, variable: str | None, key: str | None, sealed: bool
) -> None:
    """One of the three sources is enough; no other one, the environment above all, opens it."""
    environ = {} if variable is None else {"SM_PRIVATE_SEALED": variable}
    profile = {} if key is None else {"sm_private_sealed": key}
    assert load({"sealed": argument}, environ, profile).sealed is sealed


@pytest.mark.parametrize(
    ("sources", "what"),
    [
        (({"sealed": "true"}, {}, {}), "sealed= has 'true'."),
        (({"sealed": 1}, {}, {}), "sealed= has 1."),
        (({}, {"SM_PRIVATE_SEALED": "maybe"}, {}), "the variable SM_PRIVATE_SEALED has 'maybe'."),
        (({}, {}, {"sm_private_sealed": "x"}), "the profile key sm_private_sealed has 'x'."),
        (
            ({"sealed": True}, {"SM_PRIVATE_SEALED": "x"}, {}),
            "the variable SM_PRIVATE_SEALED has 'x'.",
        ),
        (
            ({"sealed": True, "on_public_route": "warn"}, {}, {}),
            "The session is sealed and on_public_route is 'warn'.",
        ),
        (
            ({}, {"SM_PRIVATE_SEALED": "on"}, {"sm_private_on_public_route": "warn"}),
            "The session is sealed and on_public_route is 'warn'.",
        ),
    ],
)
def test_what_seals_by_half_is_refused(sources: tuple[Any, Any, Any], what: str) -> None:
    """A word that is neither yes nor no, and a seal beside what breaks it."""
    with pytest.raises(ConfigurationError) as caught:
        load(*sources)
    assert caught.value.what == what


@pytest.mark.parametrize("name", VALUES)
def test_argument_then_variable_then_profile(name: str) -> None:
    """For each option the argument comes first, then the variable, then the profile key."""
    by_argument, by_variable, by_profile = LOADED.get(name, VALUES[name])
    options, profile = {name: VALUES[name][0]}, {f"sm_private_{name}": VALUES[name][2]}
    variable = VARIABLES.get(name, f"SM_PRIVATE_{name.upper()}")
    environ = {variable: str(VALUES[name][1])}
    has_variable = name in VARIABLES
    for sources, expected in (
        ((options, environ, profile), by_argument),
        ((options, environ, None), by_argument),
        ((options, None, profile), by_argument),
        ((options, None, None), by_argument),
        ((None, environ, profile), by_variable if has_variable else by_profile),
        ((None, None, profile), by_profile),
        ((None, environ, None), by_variable if has_variable else getattr(load(), name)),
        (({name: None}, environ, profile), by_variable if has_variable else by_profile),
    ):
        assert getattr(load(*sources), name) == expected


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_or_key_counts_as_not_set(name: str) -> None:
    """As everywhere in AWS's tools, an empty variable or profile key is none."""
    by_profile = VALUES[name][2]
    assert getattr(load(None, {VARIABLES[name]: ""}, {f"sm_private_{name}": by_profile}), name) == (
        by_profile
    )
    assert load(None, {VARIABLES[name]: ""}, {f"sm_private_{name}": ""}) == load()


PLAUSIBLE = (
    "",  # a process can be given a variable without a name
    "ALLOWED_NETWORKS",
    "AWS_ALLOWED_NETWORKS",
    "AWS_ON_PUBLIC_ROUTE",
    "ON_PUBLIC_ROUTE",
    "SM_PRIVATE_ALLOWED_NETWORKS",
    "SM_PRIVATE_ON_PUBLIC_ROUTE",
    "SM_PRIVATE_allowed_networks",
    "SM_PRIVATE_on_public_route",
    "allowed_networks",
    "on_public_route",
    "sm_private_allowed_networks",
    "sm_private_on_public_route",
)


@pytest.mark.parametrize("value", ["warn", "52.0.0.0/8"])
@pytest.mark.parametrize("variable", PLAUSIBLE)
def test_no_variable_widens_what_is_private(variable: str, value: str) -> None:
    """allowed_networks and on_public_route have no variable."""
    assert load(None, {variable: value}) == load()
    given_options = {"allowed_networks": ["198.51.100.0/24"]}
    assert load(given_options, {variable: value}) == load(given_options)
    assert load({"on_public_route": "refuse"}, {variable: value}) == load()


@given(
    st.dictionaries(
        st.sampled_from([*VARIABLES.values(), *PLAUSIBLE]) | st.text(max_size=8),
        st.sampled_from(["warn", "52.0.0.0/8", "0.0.0.0/0", "off", "vpc-0aaaaaaa"]),
    )
)
def test_no_environment_widens_what_is_private(environ: dict[str, str]) -> None:
    """Whatever the environment holds, no network is allowed by it and public routes are refused."""
    try:
        settings = load(None, environ)
    except ConfigurationError:
        return
    assert settings.allowed_networks == ()
    assert settings.on_public_route == "refuse"


def test_unknown_argument() -> None:
    """An argument that does not exist is a TypeError, as for any Python function."""
    with pytest.raises(TypeError, match=r"^unexpected keyword argument 'vpc_endpont'$"):
        load({"vpc_endpont": "vpce-0aaaaaaa"})


def test_unknown_variables_and_keys_are_passed_over() -> None:
    """Other variables and profile keys are none of ours."""
    assert load(None, {"SM_PRIVATE_X": "1"}, {"sm_private_x": "1", "region": "x"}) == load()


# vpc_endpoint


@pytest.mark.parametrize(
    ("value", "single", "mapping"),
    [
        ("vpce-0aaaaaaa", "vpce-0aaaaaaa", ()),
        (" vpce-0aaaaaaa ", "vpce-0aaaaaaa", ()),
        ("https://h.example/x", "https://h.example/x", ()),
        ("sagemaker=vpce-0aaaaaaa", None, (("sagemaker", "vpce-0aaaaaaa"),)),
        (
            "sagemaker-runtime=h.example,sagemaker=vpce-0aaaaaaa",
            None,
            (("sagemaker", "vpce-0aaaaaaa"), ("sagemaker-runtime", "h.example")),
        ),
        (
            " sagemaker = vpce-0aaaaaaa , runtime.sagemaker = https://h.example , ",
            None,
            (("sagemaker", "vpce-0aaaaaaa"), ("sagemaker-runtime", "https://h.example")),
        ),
        (
            "sagemaker-metrics=a,sagemaker-geospatial=b,sagemaker-featurestore-runtime=c",
            None,
            (
                ("sagemaker-featurestore-runtime", "c"),
                ("sagemaker-geospatial", "b"),
                ("sagemaker-metrics", "a"),
            ),
        ),
    ],
)
def test_vpc_endpoint_as_text(
    value: str, single: str | None, mapping: tuple[tuple[str, str], ...]
) -> None:
    """One value, or ``service=value,…``, in each of the three places."""
    for sources, origin in (
        (({"vpc_endpoint": value}, None, None), "vpc_endpoint="),
        ((None, {"SM_PRIVATE_VPC_ENDPOINT": value}, None), "the variable SM_PRIVATE_VPC_ENDPOINT"),
        (
            (None, None, {"sm_private_vpc_endpoint": value}),
            "the profile key sm_private_vpc_endpoint",
        ),
    ):
        settings = load(*sources)
        assert (settings.vpc_endpoint, settings.vpc_endpoints) == (single, mapping)
        assert settings.vpc_endpoint_from == origin
        assert settings.vpc_endpoint_is_argument is (origin == "vpc_endpoint=")


def test_vpc_endpoint_as_mapping() -> None:
    """A mapping from service name to value; the alias and white space are taken care of."""
    settings = load({"vpc_endpoint": {"runtime.sagemaker": " b ", "sagemaker": "a"}})
    assert settings.vpc_endpoint is None
    assert settings.vpc_endpoints == (("sagemaker", "a"), ("sagemaker-runtime", "b"))


def test_vpc_endpoint_for() -> None:
    """A value that is set for a service alone comes first; the single one serves every service."""
    both = RoutingSettings(vpc_endpoint="x", vpc_endpoints=(("sagemaker", "a"),))
    assert both.vpc_endpoint_for("sagemaker") == ("a", True)
    assert both.vpc_endpoint_for("sagemaker-runtime") == ("x", False)
    assert RoutingSettings().vpc_endpoint_for("sagemaker") is None
    assert load({"vpc_endpoint": "sagemaker=a"}).vpc_endpoint_for("sagemaker-runtime") is None


def test_only_for() -> None:
    """A single value can be said to be meant for one service."""
    settings = RoutingSettings(vpc_endpoint="x", vpc_id="vpc-0aaaaaaa")
    assert settings.only_for("sagemaker") == RoutingSettings(
        vpc_endpoints=(("sagemaker", "x"),), vpc_id="vpc-0aaaaaaa"
    )
    assert RoutingSettings().only_for("sagemaker") == RoutingSettings()


ORIGINS = {
    "argument": "{name}=",
    "variable": "the variable {variable}",
    "profile": "the profile key sm_private_{name}",
}


def refusal_of(name: str, value: object, source: str) -> str:
    sources = {
        "argument": ({name: value}, None, None),
        "variable": (None, {VARIABLES.get(name, ""): str(value)}, None),
        "profile": (None, None, {f"sm_private_{name}": value}),
    }
    with pytest.raises(ConfigurationError) as caught:
        load(*sources[source])
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


def refused(what: str, remedy: str, cause: str = "") -> str:
    because = f"Cause: {cause}\n" if cause else ""
    return f"{what}\n{because}Remedy: {remedy}\nSee docs/errors.md#configuration"


NOT_ROUTED = "the name is not a service with an endpoint service, or its value is empty."


@pytest.mark.parametrize("source", ORIGINS)
@pytest.mark.parametrize(
    ("name", "value", "what", "remedy", "cause"),
    [
        (
            "vpc_endpoint",
            "  ",
            "{origin} is empty.",
            "give an id, a DNS name or a URL of a VPC endpoint, or leave it out.",
            "",
        ),
        *[
            (
                "vpc_endpoint",
                text,
                f"{{origin}} names {service!r}={value!r}, which cannot be routed.",
                f"name some of {ROUTABLE}.",
                NOT_ROUTED,
            )
            for text, service, value in (
                ("s3=vpce-0aaaaaaa", "s3", "vpce-0aaaaaaa"),
                ("sagemaker=", "sagemaker", ""),
                ("sagemaker= ,sagemaker-runtime=x", "sagemaker", " "),
                ("=vpce-0aaaaaaa", "", "vpce-0aaaaaaa"),
                ("sagemaker=x,vpce-0aaaaaaa", "vpce-0aaaaaaa", ""),
                ("sagemaker-a2i-runtime=x", "sagemaker-a2i-runtime", "x"),
                ("notebook=x", "notebook", "x"),
            )
        ],
        *[
            (
                "vpc_endpoint",
                text,
                f"{{origin}} has {shown!r}, which cannot be used as an endpoint URL.",
                "give https:// and a host, or the DNS name of a VPC endpoint alone.",
                "an endpoint URL has no user name, query or fragment.",
            )
            for text, shown in (
                ("https://h.example?a=b", "https://h.example?…"),
                ("https://user:pa=ss@h.example", "https://…@h.example"),
                ("user:pass@h.example", "…@h.example"),
                ("sagemaker=https://user:pa=ss@h.example", "https://…@h.example"),
                ("sagemaker=https://h.example?X-Amz-Signature=abc", "https://h.example?…"),
            )
        ],
        *[
            (
                "vpc_endpoint",
                text,
                f"{{origin}} names {shown!r}, which cannot be routed.",
                f"name some of {ROUTABLE}.",
                NOT_ROUTED,
            )
            for text, shown in (
                ("user:pa=ss@h.example", "…@h.example"),
                ("sagemaker=x,https://user:pa=ss@h.example", "https://…@h.example"),
                ("sagemaker=https://user:pa,ss@h.example", "…@h.example="),
            )
        ],
        *[
            (
                "vpc_id",
                text,
                f"{{origin}} has {text!r}.",
                "give a VPC id such as vpc-0a1b2c3d.",
                "",
            )
            for text in (
                "vpce-0a1b2c3d",
                "vpc-0a1b2c3",
                "vpc-0a1b2c3d4",
                "vpc-0A1B2C3D",
                "0a1b2c3d",
                "vpc-0a1b2c3d\n",
                " vpc-0a1b2c3d",
            )
        ],
        *[
            (
                "availability_zone",
                text,
                f"{{origin}} has {text!r}.",
                "give the name of an Availability Zone such as us-east-1a.",
                "",
            )
            for text in ("use1-az1", "us-east-1", "us-east-1A", "a", "us-east-1a ", "us-east-1a\n")
        ],
        (
            "route_cache",
            "~nobody-has-this-name/x",
            "{origin} has '~nobody-has-this-name/x'.",
            "give False (or off), or a directory.",
            "",
        ),
    ],
)
def test_bad_texts(name: str, value: str, what: str, remedy: str, cause: str, source: str) -> None:
    """A text that cannot be used is refused with the place it comes from and the remedy."""
    origin = ORIGINS[source].format(name=name, variable=VARIABLES[name])
    text = refused(what.replace("{origin}", origin), remedy, cause)
    assert refusal_of(name, value, source) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (
            "vpc_endpoint",
            "",
            refused(
                "vpc_endpoint= is empty.",
                "give an id, a DNS name or a URL of a VPC endpoint, or leave it out.",
            ),
        ),
        *[
            (
                "vpc_endpoint",
                value,
                refused(
                    f"vpc_endpoint= has {value!r}, which is neither a text nor a mapping of texts.",
                    "give an id, a DNS name or a URL, or {service name: one of these}.",
                ),
            )
            for value in (5, ["vpce-0aaaaaaa"], {"sagemaker": 5}, {"sagemaker": None}, False)
        ],
        (
            "vpc_endpoint",
            {"sagemaker": " "},
            refused(
                "vpc_endpoint= names 'sagemaker'=' ', which cannot be routed.",
                f"name some of {ROUTABLE}.",
                NOT_ROUTED,
            ),
        ),
        ("vpc_id", "", refused("vpc_id= has ''.", "give a VPC id such as vpc-0a1b2c3d.")),
        ("vpc_id", 5, refused("vpc_id= has 5.", "give a VPC id such as vpc-0a1b2c3d.")),
        *[
            (
                "on_public_route",
                value,
                refused(f"on_public_route= has {value!r}.", "give 'refuse' or 'warn'."),
            )
            for value in ("", "allow", "Warn", True, False, 0)
        ],
        *[
            (
                "route_cache",
                value,
                refused(f"route_cache= has {value!r}.", "give False (or off), or a directory."),
            )
            for value in (5, b"/x", "", 1.5)
        ],
        *[
            (
                "allowed_networks",
                value,
                refused(
                    f"allowed_networks= has {value!r}, which is not a list of networks.",
                    "give a list such as allowed_networks=['198.51.100.0/24'].",
                ),
            )
            for value in ("198.51.100.0/24", 5)
        ],
        (
            "allowed_networks",
            ["0.0.0.0/0"],
            refused(
                "allowed_networks has 0.0.0.0/0, wider than /8.",
                "name the networks your VPC endpoints are in.",
                "a network this wide would let public addresses through.",
            ),
        ),
    ],
)
def test_bad_arguments(name: str, value: object, text: str) -> None:
    """An argument that cannot be used is refused with its name and the remedy."""
    assert refusal_of(name, value, "argument") == text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (
            "on_public_route",
            "allow",
            refused(
                "the profile key sm_private_on_public_route has 'allow'.",
                "give 'refuse' or 'warn'.",
            ),
        ),
        (
            "allowed_networks",
            "198.51.100.0/24 203.0.113.0/24",
            refused(
                "allowed_networks has '198.51.100.0/24 203.0.113.0/24', which is not a network.",
                "give networks in CIDR form, such as allowed_networks=['198.51.100.0/24'].",
                "'198.51.100.0/24 203.0.113.0/24' does not appear to be an IPv4 or IPv6 network.",
            ),
        ),
        (
            "allowed_networks",
            "::/0",
            refused(
                "allowed_networks has ::/0, wider than /16.",
                "name the networks your VPC endpoints are in.",
                "a network this wide would let public addresses through.",
            ),
        ),
    ],
)
def test_bad_profile_keys(key: str, value: str, text: str) -> None:
    """What only an argument or a profile key can set is checked in both."""
    assert refusal_of(key, value, "profile") == text


# The other options


@pytest.mark.parametrize("value", ["vpc-0a1b2c3d", "vpc-0a1b2c3d4e5f67890"])
def test_vpc_ids(value: str) -> None:
    """A VPC id is vpc- and 8 or 17 hex digits."""
    assert load({"vpc_id": value}).vpc_id == value


@pytest.mark.parametrize(
    "value",
    [
        "us-east-1a",
        "ap-southeast-2c",
        "us-gov-west-1b",
        "cn-northwest-1a",
        "us-isob-east-1a",
        "eusc-de-east-1a",
        "us-west-2-lax-1a",
        "us-east-1-nyc-2a",
    ],
)
def test_zone_names(value: str) -> None:
    """Names of Availability Zones and local zones in every partition."""
    assert load({"availability_zone": value}).availability_zone == value


def test_allowed_networks_as_list_and_as_profile_key() -> None:
    """A list of texts or networks as an argument, comma-separated in the profile."""
    given_list = [ip_network("198.51.100.0/24"), "2001:DB8::/32"]
    assert load({"allowed_networks": iter(given_list)}).allowed_networks == (
        "198.51.100.0/24",
        "2001:db8::/32",
    )
    profile = {"sm_private_allowed_networks": " 198.51.100.0/24, 203.0.113.7 ,"}
    assert load(None, None, profile).allowed_networks == ("198.51.100.0/24", "203.0.113.7/32")


@pytest.mark.parametrize("off", [False, "off", "OFF", "false", "no", "0", 0])
def test_the_cache_is_off(off: object) -> None:
    """``False`` as an argument, off and the like everywhere."""
    assert load({"route_cache": off}, {"HOME": "/h"}).route_cache is None
    if isinstance(off, str):
        assert load(None, {"SM_PRIVATE_ROUTE_CACHE": off, "HOME": "/h"}).route_cache is None
        assert load(None, {"HOME": "/h"}, {"sm_private_route_cache": off}).route_cache is None


@pytest.mark.parametrize("on", [True, "on", "true", "yes", "1"])
def test_the_cache_is_in_its_default_place(on: object) -> None:
    """``True`` and on mean the platform's cache directory."""
    environ = {"HOME": "/h", "LOCALAPPDATA": "/h"}
    assert load({"route_cache": on}, environ).route_cache == default_cache_directory(environ)


def test_the_cache_is_in_a_directory(tmp_path: Path) -> None:
    """A directory as text or path; ``~`` is the home directory."""
    assert load({"route_cache": tmp_path}).route_cache == str(tmp_path)
    assert load({"route_cache": str(tmp_path)}).route_cache == str(tmp_path)
    assert load({"route_cache": "~/routes"}).route_cache == str(Path("~/routes").expanduser())


@pytest.mark.parametrize(
    ("platform", "environ", "directory"),
    [
        ("linux", {"HOME": "/h"}, "/h/.cache/sm-private-client/routes"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/sm-private-client/routes"),
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/sm-private-client/routes"),
        # relative ones are invalid by the XDG base directory specification
        (
            "linux",
            {"HOME": "/h", "XDG_CACHE_HOME": "here"},
            "/h/.cache/sm-private-client/routes",
        ),
        ("linux", {"XDG_CACHE_HOME": "here"}, None),
        ("linux", {"HOME": ""}, None),
        ("linux", {}, None),
        ("freebsd14", {"HOME": "/h"}, "/h/.cache/sm-private-client/routes"),
        (
            "darwin",
            {"HOME": "/h", "XDG_CACHE_HOME": "/c"},
            "/h/Library/Caches/sm-private-client/routes",
        ),
        ("darwin", {}, None),
        ("win32", {"LOCALAPPDATA": "/l"}, os.path.join("/l", "sm-private-client", "routes")),  # noqa: PTH118 - as the code has it
        ("win32", {"HOME": "/h"}, None),
    ],
)
def test_cache_directories(platform: str, environ: dict[str, str], directory: str | None) -> None:
    """Each platform's own cache directory; none where there is no home."""
    assert default_cache_directory(environ, platform=platform) == directory


# Identity and keys

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_identity_tells_accounts_apart_and_holds_no_key() -> None:
    """Profile and key id make an identity; no part of a credential stands in it."""
    environ = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    mine = identity_of("prod", environ)
    assert mine == identity_of("prod", dict(environ))
    assert mine != identity_of("dev", environ)
    assert mine != identity_of("prod", {"AWS_ACCESS_KEY_ID": "AKIAI44QH8DHBEXAMPLE"})
    assert mine != identity_of("prod", {})
    assert re.fullmatch(r"prod:[0-9a-f]{16}", mine)
    assert identity_of("prod", {}) == "prod:"


@given(st.text(min_size=4), st.text(min_size=4))
def test_identity_depends_on_no_secret(key_id: str, secret: str) -> None:
    """The secret key and the session token do not even change the identity."""
    plain = {"AWS_ACCESS_KEY_ID": key_id}
    more = {**plain, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": secret}
    assert identity_of("p", plain) == identity_of("p", more)


def test_cache_key() -> None:
    """What decides about a route is in the key, the place of the cache is not; JSON can hold it."""
    settings = load({"vpc_endpoint": "sagemaker=a", "route_cache": "/x"})
    key = settings.cache_key()
    assert set(key) == set(settings._fields) - {"route_cache", "sealed", "vpc_id_from"}
    assert json.loads(json.dumps(key))
    assert key == load({"vpc_endpoint": "sagemaker=a", "route_cache": "/y"}).cache_key()
    assert key != load({"vpc_endpoint": "sagemaker=b", "route_cache": "/x"}).cache_key()


def test_the_environment_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read does not change with the process's environment."""
    monkeypatch.setenv("SM_PRIVATE_VPC_ID", "vpc-0a1b2c3d")
    copied = read_environment()
    monkeypatch.delenv("SM_PRIVATE_VPC_ID")
    assert copied["SM_PRIVATE_VPC_ID"] == "vpc-0a1b2c3d"


def test_settings_are_frozen_and_read_well() -> None:
    """Settings do not change, can be keys, and their repr shows their state."""
    settings = load({"vpc_id": "vpc-0a1b2c3d"})
    with pytest.raises(AttributeError):
        settings.vpc_id = None  # type: ignore[misc] # that it cannot be set is what is tested
    assert {settings: 1}[settings] == 1
    assert "vpc_id='vpc-0a1b2c3d'" in repr(settings)


# No region


@pytest.mark.parametrize(
    ("aws_region", "option", "cause", "remedies"),
    [
        (
            None,
            "region_name=",
            "neither region_name= nor AWS_DEFAULT_REGION nor the profile names one.",
            ("export AWS_DEFAULT_REGION=us-east-1", "or pass region_name='us-east-1'."),
        ),
        (
            "eu-west-1",
            "region_name=",
            "AWS_REGION=eu-west-1 is set, and boto3 does not read it.",
            ("export AWS_DEFAULT_REGION=eu-west-1", "or pass region_name='eu-west-1'."),
        ),
        (
            "https://me:word@host",  # not repeated: it is no region
            "--region",
            "AWS_REGION is set, and boto3 does not read it.",
            ("export AWS_DEFAULT_REGION=us-east-1", "or pass --region us-east-1."),
        ),
    ],
)
def test_a_region_that_is_missing_is_explained(
    monkeypatch: pytest.MonkeyPatch,
    aws_region: str | None,
    option: str,
    cause: str,
    remedies: tuple[str, ...],
) -> None:
    """AWS_REGION, which boto3 passes over, is named and offered."""
    if aws_region is not None:
        monkeypatch.setenv("AWS_REGION", aws_region)
    error = missing_region(option=option)
    assert (error.cause, error.remedies) == (cause, remedies)
