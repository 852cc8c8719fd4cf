"""The simulator's network: DNS and routes of a VPC, and what goes wrong there."""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from simulator_calls import drain
from sm_private_client.routing.network import NetworkBackend
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator

API = "api.sagemaker.us-east-1.amazonaws.com"
RUNTIME = "runtime.sagemaker.us-east-1.amazonaws.com"


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


def connect(link: LocalPrivateLink, address: str, port: int = 443) -> socket.socket:
    """Connect, or raise what the socket says; TimeoutError after 0.3 s."""
    opened = link.network.open(address, port)
    with selectors.DefaultSelector() as waiting:  # select() takes no descriptor above 1023
        waiting.register(opened, selectors.EVENT_WRITE)
        writable = waiting.select(0.3)
    code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not writable or code:
        opened.close()
        raise TimeoutError if not writable else OSError(code, errno.errorcode[code])
    opened.setblocking(True)
    opened.settimeout(3)
    return opened


def secure(link: LocalPrivateLink, opened: socket.socket, name: str) -> ssl.SSLSocket:
    trust = ssl.create_default_context(cafile=link.ca_bundle)
    return trust.wrap_socket(opened, server_hostname=name)


def test_it_is_a_network_backend(link: LocalPrivateLink) -> None:
    """It fits the protocol of production code."""
    network: NetworkBackend = link.network
    assert network.resolve("10.0.0.10", timeout=1) == ("10.0.0.10",)


def test_vpce_names_resolve_to_the_interfaces(link: LocalPrivateLink) -> None:
    """The regional name to all of them, a zonal one to its own; in any case, dot or not."""
    standing = link.vpc_endpoint("sagemaker")
    a, b = standing.interfaces
    resolve = link.network.resolve
    assert resolve(standing.name.host, timeout=1) == (a.address, b.address)
    assert resolve(standing.name.in_zone("us-east-1a").host, timeout=1) == (a.address,)
    assert resolve(standing.name.in_zone("us-east-1b").host.upper() + ".", timeout=1) == (
        b.address,
    )


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "vpce-0fe5b17a0707d6abc.api.sagemaker.us-east-1.vpce.amazonaws.com",
        "api.sagemaker.eu-west-1.amazonaws.com",
        "sagemaker.us-east-1.amazonaws.com",
        "",
    ],
)
def test_unknown_names_do_not_resolve(link: LocalPrivateLink, name: str) -> None:
    """Nor does the name with the bare id, which is only a placeholder."""
    with pytest.raises(socket.gaierror, match="Name or service not known") as caught:
        link.network.resolve(name, timeout=1)
    assert caught.value.errno == socket.EAI_NONAME


@pytest.mark.parametrize("private_dns", [False, True])
def test_default_names_are_private_only_with_private_dns(*, private_dns: bool) -> None:
    """Without it they resolve to AWS's public addresses; FIPS names stay public in both."""
    with LocalPrivateLink(private_dns=private_dns) as link:
        addresses = link.network.resolve(API, timeout=1)
        interfaces = tuple(i.address for i in link.vpc_endpoint("sagemaker").interfaces)
        assert (addresses == interfaces) is private_dns
        assert addresses[0].startswith("52.46.128.") is not private_dns
        fips = link.network.resolve("api-fips.sagemaker.us-east-1.amazonaws.com", timeout=1)
        assert fips[0].startswith("52.46.128.")


def test_private_dns_is_for_its_own_vpc_only(link: LocalPrivateLink) -> None:
    """Another VPC's private DNS does not answer here, its vpce names do."""
    other = link.create_vpc()
    standing = link.create_vpc_endpoint("sagemaker", vpc_id=other.vpc_id, private_dns=True)
    assert link.network.resolve(API, timeout=1)[0].startswith("52.46.128.")
    assert link.network.resolve(standing.name.host, timeout=1)[0].startswith("10.1.")


def test_another_vpc_is_reached_only_when_peered(link: LocalPrivateLink) -> None:
    """Its addresses resolve, but nothing answers there without a peering."""
    other = link.create_vpc()
    standing = link.create_vpc_endpoint("sagemaker", vpc_id=other.vpc_id)
    address = standing.interfaces[0].address
    with pytest.raises(TimeoutError):
        connect(link, address)
    link.network.peer(other.vpc_id)
    connect(link, address).close()


def test_browser_names_resolve(link: LocalPrivateLink) -> None:
    """Publicly, until there is a VPC endpoint with private DNS for them."""
    name = "nb.notebook.us-east-1.sagemaker.aws"
    assert link.network.resolve(name, timeout=1)[0].startswith("52.46.128.")
    standing = link.create_vpc_endpoint("aws.sagemaker.us-east-1.notebook", private_dns=True)
    addresses = tuple(i.address for i in standing.interfaces)
    assert link.network.resolve(name, timeout=1) == addresses


def test_every_dial_is_recorded(link: LocalPrivateLink) -> None:
    """In order, failed ones too."""
    address = link.vpc_endpoint("sagemaker").interfaces[0].address
    connect(link, address).close()
    with pytest.raises(OSError, match=r"Network is unreachable: 192\.168\.7\.7:443"):
        link.network.open("192.168.7.7", 443)
    assert list(link.network.dialled) == [(address, 443), ("192.168.7.7", 443)]
    assert link.network.dialled[-1:] == (("192.168.7.7", 443),)


def test_unknown_addresses_are_unreachable(link: LocalPrivateLink) -> None:
    """A private address without an ENI has no route."""
    with pytest.raises(OSError, match="unreachable") as caught:
        link.network.open("10.0.0.99", 443)
    assert caught.value.errno == errno.ENETUNREACH


def test_mapped_addresses_lead_to_real_servers(link: LocalPrivateLink) -> None:
    """For instance the metadata address to a played metadata service."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        link.network.map("169.254.169.254", 80, server.getsockname()[:2])
        with connect(link, "169.254.169.254", 80):
            accepted, _ = server.accept()
            accepted.close()


def test_socket_options_are_set(link: LocalPrivateLink) -> None:
    """As the caller wants them."""
    address = link.vpc_endpoint("sagemaker").interfaces[0].address
    options = ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),)
    with link.network.open(address, 443, socket_options=options) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert opened.gettimeout() == 0.0


def test_the_internet_counts_what_arrives(link: LocalPrivateLink) -> None:
    """Connections and raw bytes, before any TLS."""
    (address,) = link.network.resolve(API, timeout=1)
    with connect(link, address) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while opened.recv(100):
            pass
    assert (link.internet.connections, link.internet.bytes_received) == (1, 18)


def test_no_internet(link: LocalPrivateLink) -> None:
    """Public addresses then swallow packets."""
    (address,) = link.network.resolve(API, timeout=1)
    with link.faults.no_internet(), pytest.raises(TimeoutError):
        connect(link, address)
    connect(link, address).close()
    assert link.internet.connections <= 1


@pytest.mark.parametrize(("how", "error"), [("refuse", OSError), ("swallow", TimeoutError)])
def test_a_zone_goes_down(link: LocalPrivateLink, how: Any, error: type[OSError]) -> None:
    """Only its ENIs; all services' in it; cleared, it is back."""
    fault = link.faults.zone("us-east-1a", how)
    for standing in link.vpc_endpoints:
        down, up = standing.interfaces
        with pytest.raises(error) as caught:
            connect(link, down.address)
        assert caught.value.errno in (errno.ECONNREFUSED, None)
        connect(link, up.address).close()
    fault.clear()
    connect(link, link.vpc_endpoint("sagemaker").interfaces[0].address).close()


def test_a_zone_that_goes_down_resets_what_stands(link: LocalPrivateLink) -> None:
    """Kept connections of that zone are reset, others live on."""
    standing = link.vpc_endpoint("sagemaker")
    down, up = (
        secure(link, connect(link, i.address), standing.name.host) for i in standing.interfaces
    )
    with down, up:
        link.faults.zone("us-east-1a")
        with pytest.raises(ConnectionResetError):
            drain(down)
        up.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert up.recv(100).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("subject", [RUNTIME, "sagemaker-runtime", "vpce"])
def test_dns_is_forged(link: LocalPrivateLink, subject: str) -> None:
    """For a host, or for every name of a service."""
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    if subject == "vpce":
        subject = host
    name = RUNTIME if subject == RUNTIME else host
    with link.faults.dns(subject, "52.1.2.3"):
        assert link.network.resolve(name, timeout=1) == ("52.1.2.3",)
        assert link.network.resolve(API, timeout=1) != ("52.1.2.3",)
    assert link.network.resolve(name, timeout=1) != ("52.1.2.3",)


def test_dns_fails_so_many_times(link: LocalPrivateLink) -> None:
    """Then it is well again."""
    host = link.vpc_endpoint("sagemaker").name.host
    link.faults.dns_failure(host, times=2)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            link.network.resolve(host, timeout=1)
    assert link.network.resolve(host, timeout=1)


def test_dns_is_slow(link: LocalPrivateLink) -> None:
    """Within the caller's time-out it answers late, beyond it not at all."""
    host = link.vpc_endpoint("sagemaker").name.host
    with link.faults.dns_delay(0.05):
        started = time.monotonic()
        assert link.network.resolve(host, timeout=1)
        assert time.monotonic() - started >= 0.04
        with pytest.raises(TimeoutError, match=rf"no DNS answer for {host} within 0.01 s"):
            link.network.resolve(host, timeout=0.01)


def test_accepting_is_slow(link: LocalPrivateLink) -> None:
    """The connection stands at once, the handshake waits."""
    standing = link.vpc_endpoint("sagemaker")
    with link.faults.slow_accept(0.2, "us-east-1a"):
        started = time.monotonic()
        with connect(link, standing.interfaces[0].address) as opened:
            secure(link, opened, standing.name.host).close()
        assert time.monotonic() - started >= 0.2


def test_a_wrong_certificate_is_shown(link: LocalPrivateLink) -> None:
    """Good for other names only, so that verification fails."""
    standing = link.vpc_endpoint("sagemaker")
    with (
        link.faults.certificate("other.example", service_name="sagemaker"),
        connect(link, standing.interfaces[0].address) as opened,
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        secure(link, opened, standing.name.host)


def test_faults_tell_and_clear(link: LocalPrivateLink) -> None:
    """The active ones are listed; clear ends all."""
    fault = link.faults.deny("ec2:DescribeVpcEndpoints", times=3)
    link.faults.no_internet()
    assert repr(link.faults.active) == (
        "(Fault('deny', 'ec2:DescribeVpcEndpoints', remaining=3), Fault('no-internet', ''))"
    )
    link.faults.clear()
    fault.clear()
    assert link.faults.active == ()


def test_many_threads_resolve_and_dial(link: LocalPrivateLink) -> None:
    """It is safe for threads."""
    host, errors = link.vpc_endpoint("sagemaker").name.host, []

    def work() -> None:
        try:
            for address in link.network.resolve(host, timeout=1):
                secure(link, connect(link, address), host).close()
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(link.network.dialled) == 32
