"""What is trusted: files and hashed directories of PEM certificates, each read once a process."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
import trustme

from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.tls import Authorities, check_bundle, verifying_context

OPENSSL = shutil.which("openssl")
HOST = "host.example"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def directory(authority: trustme.CA, tmp_path: Path) -> Path:
    """A directory as ``openssl rehash`` leaves it, made with what every OpenSSL has."""
    if OPENSSL is None:
        pytest.skip("there is no openssl to hash names with")
    path = tmp_path / "hashed"
    path.mkdir()
    pem = path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    command = [OPENSSL, "x509", "-noout", "-subject_hash", "-in", str(pem)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240).stdout  # noqa: S603
    (path / f"{told.strip()}.0").symlink_to(pem)
    return path


def shake_hands(context: ssl.SSLContext, authority: trustme.CA) -> None:
    """Take a client through a handshake with a server of the authority, in memory."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(serving)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=HOST)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() is not None


def test_a_file_is_trusted(authority: trustme.CA, bundle: Path) -> None:
    """A file of PEM certificates is what is trusted, and nothing else is."""
    assert check_bundle(str(bundle)) == Authorities(cafile=str(bundle), capath=None)
    shake_hands(verifying_context(str(bundle)), authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(verifying_context(str(bundle)), trustme.CA())


def test_a_hashed_directory_is_trusted(authority: trustme.CA, directory: Path) -> None:
    """A directory that ``openssl rehash`` made is trusted, as curl and Python's own TLS take it."""
    assert check_bundle(str(directory)) == Authorities(cafile=None, capath=str(directory))
    shake_hands(verifying_context(str(directory)), authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(verifying_context(str(directory)), trustme.CA())


def test_botocores_own_file_is_trusted() -> None:
    """True is the file that botocore brings."""
    found = check_bundle(True)
    assert found.capath is None
    assert found.cafile is not None
    assert found.cafile.endswith(".pem")


@pytest.mark.parametrize(
    ("make", "why", "remedy"),
    [
        (lambda _: None, "No such file or directory", None),
        (lambda path: path.write_bytes(b""), "it holds no PEM certificate", None),
        (lambda path: path.write_bytes(os.urandom(5000)), "it holds no PEM certificate", None),
        (
            lambda path: path.write_text("-----BEGIN PRIVATE KEY-----\n"),
            "it holds no PEM certificate",
            None,
        ),
        (lambda path: path.mkdir(), "it is a directory without hashed certificates", "rehash"),
        (
            lambda path: (
                path.mkdir(),
                (path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----"),
            ),
            "it is a directory without hashed certificates",
            "rehash",
        ),
        (
            lambda path: (path.mkdir(), (path / "9d66eef0.0").write_text("")),
            "it is a directory without hashed certificates",
            "rehash",
        ),
        (
            lambda path: (path.mkdir(), (path / "9d66eef0.0").mkdir()),
            "it is a directory without hashed certificates",
            "rehash",
        ),
        (
            lambda path: (path.mkdir(), (path / "9d66eef0.0").symlink_to("missing.pem")),
            "it is a directory without hashed certificates",
            "rehash",
        ),
    ],
)
@pytest.mark.parametrize(
    ("variable", "origin"),
    [
        ("AWS_CA_BUNDLE", "AWS_CA_BUNDLE"),
        ("REQUESTS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
        (None, "verify= or the profile's ca_bundle"),
    ],
)
def test_what_cannot_be_trusted_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: object,
    why: str,
    remedy: str | None,
    variable: str | None,
    origin: str,
) -> None:
    """The error has the path, where it comes from, what is wrong with it, and what helps."""
    path = tmp_path / "given"
    assert callable(make)
    make(path)
    if variable is not None:
        monkeypatch.setenv(variable, str(path))
    for use in (check_bundle, verifying_context):
        with pytest.raises(ConfigurationError) as caught:
            use(str(path))
        lines = str(caught.value).splitlines()
        assert lines[:2] == [
            f"The CA bundle {str(path)!r} cannot be used.",
            f"Cause: {origin} names it, and: {why}.",
        ]
        assert ("openssl rehash" in str(caught.value)) is (remedy is not None)


def test_a_damaged_certificate_is_named(tmp_path: Path) -> None:
    """What looks like a certificate and is none is refused when it is loaded."""
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        verifying_context(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe can be read only once, and nobody may be writing to it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="it holds no PEM certificate"):
        check_bundle(str(path))


def test_a_path_with_a_nul_is_refused() -> None:
    """What no system takes as a path is a ConfigurationError too."""
    with pytest.raises(ConfigurationError, match="cannot be used"):
        check_bundle("ca\0.pem")


# Once a process


def test_a_bundle_is_read_once(bundle: Path, directory: Path) -> None:
    """Clients and predictors of a process share one context while the files stay as they are."""
    for path in (str(bundle), str(directory), True):
        made: list[ssl.SSLContext] = []
        threads = [
            threading.Thread(target=lambda p=path, into=made: into.append(verifying_context(p)))
            for _ in range(4)
        ]
        made.append(verifying_context(path))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {id(context) for context in made} == {id(made[0])}


def test_a_bundle_that_was_replaced_is_read_anew(bundle: Path) -> None:
    """A renewed bundle counts from the next client on."""
    before = verifying_context(str(bundle))
    other = trustme.CA()
    fresh = bundle.with_name("new.pem")
    other.cert_pem.write_to_path(str(fresh))
    fresh.replace(bundle)
    after = verifying_context(str(bundle))
    assert after is not before
    shake_hands(after, other)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(before, other)


def test_each_client_certificate_has_its_context(
    authority: trustme.CA, bundle: Path, tmp_path: Path
) -> None:
    """A context with a client certificate is never given to who has none, or another one."""
    paths = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.pem"
        authority.issue_cert(f"{name}@host.example").private_key_and_cert_chain_pem.write_to_path(
            str(path)
        )
        paths.append(str(path))
    contexts = [verifying_context(str(bundle), cert) for cert in (None, *paths)]
    assert len({id(context) for context in contexts}) == 3
    assert verifying_context(str(bundle), (paths[0],)) is contexts[1]  # type: ignore[arg-type]


def test_a_context_verifies_as_botocores_does(bundle: Path) -> None:
    """Chain and name are verified, from TLS 1.2 on, without Python 3.13's stricter rules."""
    context = verifying_context(str(bundle))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
