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
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypedDict, get_args

from sm_private_client.errors import ConfigurationError, MissingRegionError
from sm_private_client.privatelink.addresses import Network, parse_allowed_networks
from sm_private_client.privatelink.services import canonical_service_name, routable_service_names
from sm_private_client.privatelink.urls import parse_endpoint_url, redacted, redacted_url

if TYPE_CHECKING:
    from sm_private_client.types import Value

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
        vpc_id: The VPC to look in, if it cannot be found out or another one is meant. Variable
            ``SM_PRIVATE_VPC_ID``, profile key ``sm_private_vpc_id``.
        availability_zone: The zone to prefer, by name. Variable
            ``SM_PRIVATE_AVAILABILITY_ZONE``, profile key ``sm_private_availability_zone``.
        allowed_networks: Networks in CIDR form that count as private on top of the VPC's own.
            Profile key ``sm_private_allowed_networks`` (comma-separated); no variable.
        on_public_route: ``"refuse"`` (default) or ``"warn"``: log a warning and go on if there is
            no private route or an address is public. Profile key
            ``sm_private_on_public_route``; no variable.
        discovery: ``"any"`` (default) or ``"private"``: EC2 is asked at a private address only, by
            its own VPC endpoint. Profile key ``sm_private_discovery``; no variable.
        route_cache: ``False`` to keep no routes on disk, or the directory to keep them in; the
            default is the platform's cache directory. Variable ``SM_PRIVATE_ROUTE_CACHE`` (``off``
            or a directory), profile key ``sm_private_route_cache``.
        sealed: ``True``: no client or resource of the session may reach a public address, whatever
            service it is of. Variable ``SM_PRIVATE_SEALED``, profile key ``sm_private_sealed``
            (both ``true`` or ``false``); one of the three is enough.
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
        vpc_endpoint: One VPC endpoint for every service, else ``None``.
        vpc_endpoints: Pairs of service name and VPC endpoint; these come first.
        vpc_endpoint_from: The origin of these two, in words.
        vpc_id: The VPC to look in; ``None`` to find it out.
        vpc_id_from: Its origin, in words.
        availability_zone: The zone to prefer; ``None`` to find it out.
        allowed_networks: In CIDR form.
        on_public_route: What to do if there is no private route.
        discovery: The addresses that EC2 may be asked at.
        route_cache: The directory for routes; ``None`` for no cache.
        sealed: Whether no client of the session may reach a public address.
    """

    vpc_endpoint: str | None = None
    vpc_endpoints: tuple[tuple[str, str], ...] = ()
    vpc_endpoint_from: str = ""
    vpc_id: str | None = None
    vpc_id_from: str = ""
    availability_zone: str | None = None
    allowed_networks: tuple[str, ...] = ()
    on_public_route: OnPublicRoute = "refuse"
    discovery: DiscoveryMode = "any"
    route_cache: str | None = None
    sealed: bool = False

    @property
    def vpc_endpoint_is_argument(self) -> bool:
        """Whether the VPC endpoints were given as an argument."""
        return self.vpc_endpoint_from == "vpc_endpoint="

    def vpc_endpoint_for(self, service_name: str) -> tuple[str, bool] | None:
        """Return the VPC endpoint set for a service, and True if it was set for it alone."""
        for name, value in self.vpc_endpoints:
            if name == service_name:
                return value, True
        return (self.vpc_endpoint, False) if self.vpc_endpoint else None

    def only_for(self, service_name: str) -> RoutingSettings:
        """Return the settings with a single VPC endpoint meant for this one service."""
        if self.vpc_endpoint is None:
            return self
        return self._replace(vpc_endpoint=None, vpc_endpoints=((service_name, self.vpc_endpoint),))

    def cache_key(self) -> dict[str, Any]:
        """Return what decides about a route, for the key of the route cache."""
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
    """Return a copy of the process's environment."""
    return dict(os.environ)


def identity_of(
    profile_name: str, environ: Mapping[str, str], access_key_id: str | None = None
) -> str:
    """Return a name for whose view of the account is meant; it has no part of a credential.

    Two sets of static keys under one profile name see two accounts, so a digest of the access
    key id (an identifier, not a secret) stands beside the profile's name.
    """
    key_id = access_key_id or environ.get("AWS_ACCESS_KEY_ID", "")
    digest = hashlib.sha256(key_id.encode()).hexdigest()[:16] if key_id else ""
    return f"{profile_name}:{digest}"


def missing_region(*, option: str = "region_name=") -> MissingRegionError:
    """Return the error for a session without a region; it names what boto3 passes over.

    Platforms such as ECS, EKS and Lambda set ``AWS_REGION``, which other SDKs read and boto3 does
    not (boto3 guide, "Configuration"). ``option`` is how the caller names a region.
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
    """Return the settings of the arguments, the environment and the profile's section.

    Raises:
        TypeError: An argument that does not exist.
        ConfigurationError: A value that cannot be used, with its origin.
    """
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")

    def first(name: str, default: object = None) -> tuple[Any, str]:
        found = _values(name, options, environ=environ, profile=profile)
        return found[0] if found else (default, "")

    vpc_endpoint, vpc_endpoint_from = first("vpc_endpoint")
    single, mapping = _vpc_endpoints(vpc_endpoint, vpc_endpoint_from)
    vpc_id, vpc_id_from = first("vpc_id")
    sealed = is_sealed(options, environ=environ, profile=profile)
    on_public_route: OnPublicRoute = _one_of(
        get_args(OnPublicRoute), *first("on_public_route", "refuse")
    )
    if sealed and on_public_route == "warn":
        raise ConfigurationError(
            "The session is sealed and on_public_route is 'warn'.",
            cause="one refuses every public address, the other lets them pass.",
            remedy="leave one of them out.",
        )
    zone_form = "the name of an Availability Zone such as us-east-1a"
    return RoutingSettings(
        vpc_endpoint=single,
        vpc_endpoints=mapping,
        vpc_endpoint_from=vpc_endpoint_from,
        vpc_id=_matching(_VPC_ID, "a VPC id such as vpc-0a1b2c3d", vpc_id, vpc_id_from),
        vpc_id_from=vpc_id_from,
        availability_zone=_matching(_ZONE, zone_form, *first("availability_zone")),
        allowed_networks=_networks(*first("allowed_networks", ())),
        on_public_route=on_public_route,
        discovery=_one_of(get_args(DiscoveryMode), *first("discovery", "any")),
        route_cache=_route_cache(*first("route_cache", True), environ=environ),
        sealed=sealed,
    )


def is_sealed(
    options: RoutingOptions, *, environ: Mapping[str, str], profile: Mapping[str, Any]
) -> bool:
    """Return True if any of the three sources seals the session.

    Raises:
        ConfigurationError: One of them is neither yes nor no.
    """
    values = _values("sealed", options, environ=environ, profile=profile)
    sealing = [_is_on(value, origin) for value, origin in values]
    return any(sealing)  # after all were read: what is wrong in one is always reported


def _values(
    name: str, options: RoutingOptions, *, environ: Mapping[str, str], profile: Mapping[str, Any]
) -> list[tuple[Any, str]]:
    """Return the values of an option with their origins in words; the first one counts."""
    variable, key = _VARIABLES.get(name), f"sm_private_{name}"
    values = (
        (options.get(name), f"{name}="),
        ((variable and environ.get(variable)) or None, f"the variable {variable}"),
        (profile.get(key) or None, f"the profile key {key}"),
    )
    return [(value, origin) for value, origin in values if value is not None]


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


def _one_of(words: tuple[str, str], given: object, origin: str) -> Value:
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
    """Return the platform's cache directory for routes; ``None`` if there is no home."""
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
