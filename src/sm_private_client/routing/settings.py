"""Routing settings: argument, then ``SM_PRIVATE_*`` variable, then profile key.

The only module that reads the environment. ``allowed_networks`` and ``on_public_route`` have no
variable: nothing in the environment can widen what counts as private. ``sealed`` has one because
it only narrows: whichever source seals a session, no other one can open it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypedDict, get_args

from sm_private_client.errors import ConfigurationError, MissingRegionError
from sm_private_client.privatelink.addresses import Network, parse_allowed_networks
from sm_private_client.privatelink.services import canonical_service_name, routable_service_names
from sm_private_client.privatelink.urls import parse_endpoint_url, redacted, redacted_url

__all__ = [
    "DiscoveryMode",
    "OnPublicRoute",
    "RoutingOptions",
    "RoutingSettings",
    "is_sealed",
    "load_settings",
    "missing_region",
    "read_environment",
]

OnPublicRoute = Literal["refuse", "warn"]
DiscoveryMode = Literal["any", "private"]


class RoutingOptions(TypedDict, total=False):
    """The routing keywords that ``Session``, ``connect`` and ``client`` share.

    Attributes:
        vpc_endpoint: The VPC endpoint to use: an id, an id with its suffix, an ARN, a full DNS name
            (also as CloudFormation's ``DnsEntries`` has it) or a URL; or a mapping from service
            name to one of these. A single id serves every service: the other endpoint of its VPC is
            found. Variable ``SM_PRIVATE_VPC_ENDPOINT`` (one value, or ``service=value,…``), profile
            key ``sm_private_vpc_endpoint``.
        vpc_id: The VPC to look in, where it cannot be found out or another one is meant. Variable
            ``SM_PRIVATE_VPC_ID``, profile key ``sm_private_vpc_id``.
        availability_zone: The zone to prefer, by name. Variable
            ``SM_PRIVATE_AVAILABILITY_ZONE``, profile key ``sm_private_availability_zone``.
        allowed_networks: Networks in CIDR form that count as private on top of the VPC's own.
            Profile key ``sm_private_allowed_networks`` (comma-separated); no variable.
        on_public_route: ``"refuse"`` (default) or ``"warn"``: log a warning and go on where there
            is no private route or an address is public. Profile key
            ``sm_private_on_public_route``; no variable.
        discovery: ``"any"`` (default) or ``"private"``: EC2 is asked at a private address only, by
            its own VPC endpoint. Profile key ``sm_private_discovery``; no variable.
        route_cache: ``False`` to keep no routes on disk, or the directory to keep them in; the
            default is the platform's cache directory. Variable ``SM_PRIVATE_ROUTE_CACHE`` (``off``
            or a directory), profile key ``sm_private_route_cache``.
        sealed: ``True``: no client or resource of the session may reach a public address, whatever
            service it is of. Variable ``SM_PRIVATE_SEALED``, profile key ``sm_private_sealed``
            (both ``true`` or ``false``); one of the three that says so is enough.
    """

    vpc_endpoint: str | Mapping[str, str] | None
    vpc_id: str | None
    availability_zone: str | None
    allowed_networks: Iterable[str | Network] | None
    on_public_route: OnPublicRoute | None
    discovery: DiscoveryMode | None
    route_cache: bool | str | os.PathLike[str] | None
    sealed: bool | None


class RoutingSettings(NamedTuple):
    """The settings in force, checked.

    Attributes:
        vpc_endpoint: One VPC endpoint for whatever service is asked for, else ``None``.
        vpc_endpoints: Pairs of service name and VPC endpoint; these come first.
        vpc_endpoint_from: Where these two come from, in words.
        vpc_endpoint_is_argument: Whether they were given as an argument.
        vpc_id: The VPC to look in, ``None`` to find it out.
        vpc_id_from: Where it comes from, in words.
        availability_zone: The zone to prefer, ``None`` to find it out.
        allowed_networks: In CIDR form.
        on_public_route: What to do where there is no private way.
        discovery: Which addresses EC2 may be asked at.
        route_cache: The directory for routes, ``None`` for no cache.
        sealed: Whether no client of the session may reach a public address.
    """

    vpc_endpoint: str | None = None
    vpc_endpoints: tuple[tuple[str, str], ...] = ()
    vpc_endpoint_from: str = ""
    vpc_endpoint_is_argument: bool = False
    vpc_id: str | None = None
    vpc_id_from: str = ""
    availability_zone: str | None = None
    allowed_networks: tuple[str, ...] = ()
    on_public_route: OnPublicRoute = "refuse"
    discovery: DiscoveryMode = "any"
    route_cache: str | None = None
    sealed: bool = False

    def vpc_endpoint_for(self, service_name: str) -> tuple[str, bool] | None:
        """Gives the VPC endpoint set for a service, and whether it was set for it alone."""
        for name, value in self.vpc_endpoints:
            if name == service_name:
                return value, True
        return (self.vpc_endpoint, False) if self.vpc_endpoint else None

    def only_for(self, service_name: str) -> RoutingSettings:
        """Gives settings in which a single VPC endpoint is meant for this one service."""
        if self.vpc_endpoint is None:
            return self
        return self._replace(vpc_endpoint=None, vpc_endpoints=((service_name, self.vpc_endpoint),))

    def cache_key(self) -> dict[str, Any]:
        """Gives what decides about a route, for the key of the route cache."""
        key = self._asdict()
        for name in ("route_cache", "sealed", "vpc_id_from"):  # the same route, however it is kept
            del key[name]
        return key


_VARIABLES: Final = {
    "vpc_endpoint": "SM_PRIVATE_VPC_ENDPOINT",
    "vpc_id": "SM_PRIVATE_VPC_ID",
    "availability_zone": "SM_PRIVATE_AVAILABILITY_ZONE",
    "route_cache": "SM_PRIVATE_ROUTE_CACHE",
    "sealed": "SM_PRIVATE_SEALED",
}
_OPTIONS: Final = frozenset(RoutingOptions.__annotations__)
_VPC_ID: Final = re.compile(r"vpc-[0-9a-f]{8}(?:[0-9a-f]{9})?\Z")
_ZONE: Final = re.compile(r"[a-z]{2,5}(?:-[a-z]+)+-\d+(?:-[a-z]{3}-\d+)?[a-z]\Z")
_REGION: Final = re.compile(r"[a-z]{2,5}(?:-[a-z]+)+-\d+\Z")
_OFF: Final = frozenset({"off", "false", "0", "no"})
_ON: Final = frozenset({"on", "true", "1", "yes"})


def read_environment() -> dict[str, str]:
    """Takes a copy of the process's environment."""
    return dict(os.environ)


def identity_of(
    profile_name: str, environ: Mapping[str, str], access_key_id: str | None = None
) -> str:
    """Names whose view of the account is meant, without holding any part of a credential.

    Two sets of static keys under one profile name see two accounts, so a digest of the access
    key id (an identifier, not a secret) stands beside the profile's name.
    """
    key_id = access_key_id or environ.get("AWS_ACCESS_KEY_ID", "")
    digest = hashlib.sha256(key_id.encode()).hexdigest()[:16] if key_id else ""
    return f"{profile_name}:{digest}"


def missing_region(*, option: str = "region_name=") -> MissingRegionError:
    """Make the error for a session without a region, which says what boto3 passes over.

    Platforms such as ECS, EKS and Lambda set ``AWS_REGION``, which other SDKs read and boto3 does
    not (boto3 guide, "Configuration").

    Args:
        option: How the caller names a region.
    """
    region = read_environment().get("AWS_REGION", "")
    for_example = region if _REGION.match(region) else "us-east-1"
    cause = f"neither {option} nor AWS_DEFAULT_REGION nor the profile names one."
    if region:
        shown = f"={region}" if region == for_example else ""
        cause = f"AWS_REGION{shown} is set, and boto3 does not read it."
    given = f"{option}{for_example!r}" if option.endswith("=") else f"{option} {for_example}"
    return MissingRegionError(
        "No region is set.",
        cause=cause,
        remedy=(f"export AWS_DEFAULT_REGION={for_example}", f"or pass {given}."),
    )


def load_settings(
    options: RoutingOptions, *, environ: Mapping[str, str], profile: Mapping[str, Any]
) -> RoutingSettings:
    """Merges the three sources.

    Args:
        options: The arguments; ``None`` counts as not given.
        environ: The environment.
        profile: The profile's section of the AWS config file.

    Raises:
        TypeError: An argument that does not exist.
        ConfigurationError: A value that cannot be used, with the place it comes from.
    """
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    found: dict[str, tuple[Any, str]] = {}
    for name in sorted(_OPTIONS - {"sealed"}):
        variable = _VARIABLES.get(name)
        key = f"sm_private_{name}"
        argument = options.get(name)
        if argument is not None:
            found[name] = (argument, f"{name}=")
        elif variable is not None and environ.get(variable):
            found[name] = (environ[variable], f"the variable {variable}")
        elif profile.get(key):
            found[name] = (profile[key], f"the profile key {key}")
    single, mapping = _vpc_endpoints(*found.get("vpc_endpoint", (None, "")))
    origin = found.get("vpc_endpoint", (None, ""))[1]
    sealed = is_sealed(options, environ=environ, profile=profile)
    on_public_route: OnPublicRoute = _one_of(
        get_args(OnPublicRoute), *found.get("on_public_route", ("refuse", ""))
    )
    if sealed and on_public_route == "warn":
        raise ConfigurationError(
            "The session is sealed and on_public_route is 'warn'.",
            cause="one refuses every public address, the other lets them pass.",
            remedy="leave one of them out.",
        )
    return RoutingSettings(
        vpc_endpoint=single,
        vpc_endpoints=mapping,
        vpc_endpoint_from=origin,
        vpc_endpoint_is_argument=origin == "vpc_endpoint=",
        vpc_id=_matching(
            _VPC_ID, "a VPC id such as vpc-0a1b2c3d", *found.get("vpc_id", (None, ""))
        ),
        vpc_id_from=found.get("vpc_id", (None, ""))[1],
        availability_zone=_matching(
            _ZONE,
            "the name of an Availability Zone such as us-east-1a",
            *found.get("availability_zone", (None, "")),
        ),
        allowed_networks=_networks(*found.get("allowed_networks", ((), ""))),
        on_public_route=on_public_route,
        discovery=_one_of(get_args(DiscoveryMode), *found.get("discovery", ("any", ""))),
        route_cache=_route_cache(*found.get("route_cache", (True, "")), environ=environ),
        sealed=sealed,
    )


def is_sealed(
    options: RoutingOptions, *, environ: Mapping[str, str], profile: Mapping[str, Any]
) -> bool:
    """Says whether any of the three sources seals the session.

    Raises:
        ConfigurationError: One of them says neither yes nor no.
    """
    variable, key = _VARIABLES["sealed"], "sm_private_sealed"
    given = (
        (options.get("sealed"), "sealed="),
        (environ.get(variable), f"the variable {variable}"),
        (profile.get(key), f"the profile key {key}"),
    )
    says = [_is_on(value, origin) for value, origin in given if value not in (None, "")]
    return any(says)  # each was looked at: what is wrong in one is said whatever the others say


def _is_on(value: object, origin: str) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) and origin != "sealed=" else ""
    if word in _ON:
        return True
    if word in _OFF:
        return False
    what = "True or False" if origin == "sealed=" else "true or false"
    raise ConfigurationError(f"{origin} has {value!r}.", remedy=f"give {what}.")


def _vpc_endpoints(given: object, origin: str) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    if given is None:
        return None, ()
    if isinstance(given, str):
        if not given.strip():
            raise ConfigurationError(
                f"{origin} is empty.",
                remedy="give an id, a DNS name or a URL of a VPC endpoint, or leave it out.",
            )
        if "=" not in given.partition("://")[0]:  # a URL may have more of them
            return _without_secret(given.strip(), origin), ()
        pairs = [part.partition("=") for part in given.split(",") if part.strip()]
        given = {name.strip(): value for name, _, value in pairs}
    if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
        raise ConfigurationError(
            f"{origin} has {redacted(repr(given))}, which is neither a text nor a mapping of "
            "texts.",
            remedy="give an id, a DNS name or a URL, or {service name: one of these}.",
        )
    mapping = {}
    for name, value in given.items():
        canonical = canonical_service_name(name)
        if canonical not in routable_service_names() or not value.strip():
            raise ConfigurationError(
                f"{origin} names {_shown(name, value)}, which cannot be routed.",
                cause="the name is not a service with an endpoint service, or its value is empty.",
                remedy=f"name some of {', '.join(routable_service_names())}.",
            )
        mapping[canonical] = _without_secret(value.strip(), origin)
    return None, tuple(sorted(mapping.items()))


def _shown(name: object, value: str) -> str:
    pair = f"{name}={value}"  # a password may have the sign that it was cut at
    shown = redacted_url(pair)
    return f"{name!r}={value!r}" if shown == pair else repr(shown)


def _without_secret(value: str, origin: str) -> str:
    """Refuse a URL that holds a password or a signature before anything can repeat it."""
    if any(c in value for c in "@?#"):
        parse_endpoint_url(value, origin)
    return value


def _matching(pattern: re.Pattern[str], wanted: str, given: object, origin: str) -> str | None:
    if given is None:
        return None
    if isinstance(given, str) and pattern.match(given):
        return given
    raise ConfigurationError(f"{origin} has {given!r}.", remedy=f"give {wanted}.")


def _networks(given: object, origin: str) -> tuple[str, ...]:
    if isinstance(given, str) and origin.startswith("the profile key"):
        given = [part.strip() for part in given.split(",") if part.strip()]
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(
            f"{origin} has {given!r}, which is not a list of networks.",
            remedy="give a list such as allowed_networks=['198.51.100.0/24'].",
        )
    return parse_allowed_networks(given)


def _one_of(words: tuple[str, str], given: object, origin: str) -> Any:  # noqa: ANN401 - a literal
    if given in words:
        return given
    raise ConfigurationError(
        f"{origin} has {given!r}.", remedy=f"give {words[0]!r} or {words[1]!r}."
    )


def _route_cache(given: object, origin: str, *, environ: Mapping[str, str]) -> str | None:
    word = str(given).lower()
    if given is False or (origin and word in _OFF):
        return None
    if given is True or (origin and word in _ON):
        return default_cache_directory(environ)
    if isinstance(given, (str, os.PathLike)) and str(given):
        with contextlib.suppress(RuntimeError):  # ~name of nobody here
            return os.fspath(Path(given).expanduser())
    raise ConfigurationError(
        f"{origin} has {given!r}.", remedy="give False (or off), or a directory."
    )


def default_cache_directory(
    environ: Mapping[str, str], *, platform: str = sys.platform
) -> str | None:
    """Gives the platform's cache directory for routes; ``None`` where there is no home."""
    name = "sm-private-client"
    if platform == "win32":
        base = environ.get("LOCALAPPDATA", "")
        return os.path.join(base, name, "routes") if base else None  # noqa: PTH118 - pure
    home = environ.get("HOME", "")
    if platform == "darwin":
        return f"{home}/Library/Caches/{name}/routes" if home else None
    base = environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # the XDG specification has relative ones passed over
        base = f"{home}/.cache" if home else ""
    return f"{base}/{name}/routes" if base else None
