"""Specification of session/sealed.py: credential providers that call out are covered, or named."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError, SSLError
from urllib3.util import Timeout

from sm_private_client.errors import NoPrivateRouteError, PublicAddressError, RoutingError
from sm_private_client.testing import LocalPrivateLink
from sm_private_client.transport import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import botocore.session

IMDS = "169.254.169.254"
ECS = "169.254.170.2"
POD_IDENTITY = "169.254.170.23"


class _Metadata(BaseHTTPRequestHandler):
    """Plays the instance metadata service and the container credentials service."""

    server: Served

    def do_PUT(self) -> None:
        self._answer("token")

    def do_GET(self) -> None:
        if self.path.endswith("/security-credentials/"):
            return self._answer("role")
        link = self.server.link
        until = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=6)
        return self._answer(
            json.dumps(
                {
                    "Code": "Success",
                    "AccessKeyId": link.access_key_id,
                    "SecretAccessKey": link.secret_access_key,
                    "Token": "",
                    "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            )
        )

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
        """Log nothing."""


class Served(ThreadingHTTPServer):
    """A played metadata service."""

    link: LocalPrivateLink


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    """A VPC with EC2 and STS, STS without private DNS, and a played metadata service."""
    with LocalPrivateLink(services=()) as running, Served(("127.0.0.1", 0), _Metadata) as served:
        running.create_vpc_endpoint("ec2", private_dns=True)
        running.create_vpc_endpoint("sts")
        served.link = running
        thread = threading.Thread(target=served.serve_forever, args=(0.05,))
        thread.start()
        target = ("127.0.0.1", int(served.server_address[1]))
        for address in (IMDS, ECS, POD_IDENTITY):
            running.network.map(address, 80, target)
        yield running
        served.shutdown()
        thread.join()
        assert running.internet.connections == 0


def core(link: LocalPrivateLink, tmp_path: Path, profile: str) -> botocore.session.Session:
    """Return a botocore session that has a profile, and no keys."""
    config = tmp_path / "config"
    config.write_text(f"[default]\nregion = us-east-1\n{profile}", encoding="utf-8")
    core = link.botocore_session(other_services="network")
    core.set_config_variable("config_file", str(config))
    core.set_config_variable("credentials_file", str(tmp_path / "credentials"))
    return core


def sealed(link: LocalPrivateLink, core: botocore.session.Session) -> Any:
    return link.session(botocore_session=core, sealed=True)


def reached(session: Any) -> dict[str, tuple[str, str, bool]]:
    return {r.service_name: (r.address, r.rule, r.private) for r in session.egress().records}


def test_instance_metadata_is_a_rule_of_its_own(
    link: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reached at its link-local address, and not through a proxy that a variable names."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    session = sealed(link, core(link, tmp_path, ""))
    assert session.client("sts").get_caller_identity()["Account"] == link.account_id
    assert session.get_credentials().method == "iam-role"
    assert reached(session)["instance metadata"] == (IMDS, "link-local credentials", True)
    assert not session.egress().reached_public


def test_metadata_at_a_public_host_is_refused(
    link: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable may name any host; only the platform's own are reached."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://52.46.128.77/")
    session = sealed(link, core(link, tmp_path, ""))
    with pytest.raises(PublicAddressError, match="is not where the platform gives credentials"):
        session.get_credentials()
    (record,) = session.egress().records
    assert (record.address, record.refused, record.connections) == ("52.46.128.77", 1, 0)


def test_metadata_is_guarded_for_whoever_asks_the_botocore_session_first(
    link: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile seals when it is read: that is then, at the latest."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://52.46.128.77/")
    botocore_session = core(link, tmp_path, "sm_private_sealed = true\n")
    session: Any = link.session(botocore_session=botocore_session)
    with pytest.raises(PublicAddressError, match="is not where the platform gives credentials"):
        session._session.get_credentials()
    assert [r.refused for r in session.egress().records] == [1]


@pytest.mark.parametrize(
    ("variable", "value", "address"),
    [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x", ECS),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            f"http://{POD_IDENTITY}/v1/credentials",
            POD_IDENTITY,
        ),
    ],
)
def test_container_credentials_are_a_rule_of_their_own(
    link: LocalPrivateLink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    address: str,
) -> None:
    """ECS tasks and EKS Pod Identity."""
    monkeypatch.setenv(variable, value)
    session = sealed(link, core(link, tmp_path, ""))
    assert session.client("sts").get_caller_identity()["Account"] == link.account_id
    assert reached(session)["container credentials"] == (address, "link-local credentials", True)


def test_container_credentials_at_a_public_host_are_refused(
    link: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By us if botocore takes any https host, as newer ones do; older ones refuse it too."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://52.46.128.77/credentials")
    with pytest.raises((PublicAddressError, ValueError), match=r"52\.46\.128\.77"):
        sealed(link, core(link, tmp_path, "")).get_credentials()


def test_a_role_is_assumed_through_sts_own_endpoint(link: LocalPrivateLink, tmp_path: Path) -> None:
    """The provider's client is guarded; EC2 is asked for STS with the source's credentials."""
    profile = (
        f"role_arn = arn:aws:iam::{link.account_id}:role/ml\n"
        "source_profile = keys\n\n"
        "[profile keys]\n"
        f"aws_access_key_id = {link.access_key_id}\n"
        f"aws_secret_access_key = {link.secret_access_key}\n"
    )
    session = sealed(link, core(link, tmp_path, profile))
    identity = session.client("sts").get_caller_identity()
    assert ":assumed-role/ml/" in identity["Arn"]
    records = session.egress().records
    assert {r.service_name for r in records} == {"ec2", "sts"}
    assert {r.rule for r in records if r.service_name == "sts"} == {"eni"}
    assert sum(r.calls for r in records if r.service_name == "sts") == 2


def test_a_web_identity_needs_private_dns_for_sts(link: LocalPrivateLink, tmp_path: Path) -> None:
    """EC2 cannot be asked with credentials that this very call fetches; the error says so."""
    token = tmp_path / "token"
    token.write_text("a token", encoding="utf-8")
    profile = (
        "role_arn = arn:aws:iam::123456789012:role/ml\n"
        f"web_identity_token_file = {token}\nrole_session_name = session\n"
    )
    session = sealed(link, core(link, tmp_path, profile))
    with pytest.raises(NoPrivateRouteError) as caught:
        session.get_credentials().get_frozen_credentials()
    assert "EC2 cannot be asked before this service is reached" in str(caught.value)
    assert "create an interface endpoint of com.amazonaws.us-east-1.sts" in str(caught.value)
    interface = link.vpc_endpoint("sts").interfaces[0].address
    with link.faults.dns("sts.us-east-1.amazonaws.com", interface):
        session = sealed(link, core(link, tmp_path, profile))
        assert session.get_credentials().get_frozen_credentials().token
    assert reached(session)["sts"] == (interface, "private-range", True)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """What takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def accepted(listener: socket.socket) -> int:
    """Close and count the connections that nobody answered."""
    listener.setblocking(False)
    number = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            number += 1
    return number


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_silent_sts_is_named_soon(
    link: LocalPrivateLink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    silent: socket.socket,
    is_sealed: bool,
) -> None:
    """Two tries; botocore makes five of 60 s each while the call that needs credentials hangs.

    That they take 5 s and 10 s at most is seen by what is asked of urllib3; here they are short.
    """
    timeouts: list[dict[str, float]] = []

    def shorter(**seconds: float) -> Timeout:
        timeouts.append(seconds)
        return Timeout(connect=2, read=0.2)

    monkeypatch.setattr(guarded, "Timeout", shorter)
    url = f"https://127.0.0.1:{silent.getsockname()[1]}"
    link.network.map("127.0.0.1", silent.getsockname()[1], silent.getsockname())
    token = tmp_path / "token"
    token.write_text("a token", encoding="utf-8")
    profile = (
        "role_arn = arn:aws:iam::123456789012:role/ml\n"
        f"web_identity_token_file = {token}\nrole_session_name = session\n"
        f"services = local\n\n[services local]\nsts =\n  endpoint_url = {url}\n"
    )
    session: Any = link.session(botocore_session=core(link, tmp_path, profile), sealed=is_sealed)
    client = session.client("sagemaker", endpoint_url="https://10.0.1.7")
    with pytest.raises(RoutingError) as caught:
        client.list_endpoints()
    assert timeouts[-1] == {"connect": 5, "read": 10}
    assert accepted(silent) == 2
    assert str(caught.value) == (
        f"STS at {url} did not answer in time.\n"
        "Cause: nothing leads from here to STS; a call that waits for its credentials was not "
        "sent.\n"
        "Remedies, in order:\n"
        "  1. create an interface endpoint of com.amazonaws.us-east-1.sts in this VPC, with "
        "private DNS.\n"
        "  2. set AWS_STS_REGIONAL_ENDPOINTS=regional if that URL names no region.\n"
        "See docs/errors.md#routing"
    )


def test_time_outs_that_were_given_for_sts_are_kept(
    link: LocalPrivateLink, tmp_path: Path, silent: socket.socket
) -> None:
    """And so are its retries: they are the caller's own."""
    keys = (
        f"aws_access_key_id = {link.access_key_id}\n"
        f"aws_secret_access_key = {link.secret_access_key}\n"
    )
    port = silent.getsockname()[1]
    link.network.map("127.0.0.1", port, silent.getsockname())
    client = sealed(link, core(link, tmp_path, keys)).client(
        "sts",
        endpoint_url=f"https://127.0.0.1:{port}",
        config=Config(connect_timeout=2, read_timeout=0.2, retries={"total_max_attempts": 1}),
    )
    with pytest.raises((ConnectTimeoutError, ReadTimeoutError, SSLError)):
        client.get_caller_identity()
    assert accepted(silent) == 1


def test_sign_in_of_identity_center_is_refused_with_a_remedy(
    link: LocalPrivateLink, tmp_path: Path
) -> None:
    """It has no interface endpoint."""
    session = sealed(link, core(link, tmp_path, ""))
    for service, operation, arguments in (
        ("sso", "list_accounts", {"accessToken": "token"}),
        ("sso-oidc", "register_client", {"clientName": "me", "clientType": "public"}),
    ):
        client = session.client(service)
        with pytest.raises(NoPrivateRouteError) as caught:
            getattr(client, operation)(**arguments)
        assert str(caught.value) == (
            f"No private route to {service} in us-east-1, and the session is sealed; nothing was "
            "sent. Tried, in order:\n"
            "  explicit (skipped): neither endpoint_url= nor AWS_ENDPOINT_URL* was given\n"
            "Cause: IAM Identity Center's sign-in has no interface endpoint, so that a profile "
            "with sso_session= needs the internet.\n"
            "Remedies, in order:\n"
            "  1. give this session credentials that need no sign-in: an instance, task or "
            "notebook role, or a role_arn= with a source that has one.\n"
            "  2. export the credentials where the internet is allowed (aws configure "
            "export-credentials) and bring them here.\n"
            "See docs/errors.md#no-private-route"
        )


def test_where_a_process_runs_is_asked_on_link_local_addresses_only(
    link: LocalPrivateLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that names another host tells nothing, and is counted as refused."""
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://52.46.128.77/v4/x")
    keys = (
        f"aws_access_key_id = {link.access_key_id}\n"
        f"aws_secret_access_key = {link.secret_access_key}\n"
    )
    session = sealed(link, core(link, tmp_path, keys))
    assert session.client("sts").get_caller_identity()["Account"] == link.account_id
    (record,) = [r for r in session.egress().records if r.service_name == "instance metadata"]
    assert (record.address, record.refused, record.connections) == ("52.46.128.77", 1, 0)
