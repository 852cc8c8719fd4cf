"""``sm-private-client env --write-profile``: the AWS config file, whole or as it was."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from sm_private_client.cli import main
from sm_private_client.cli.aws_config import write_profile
from sm_private_client.errors import ConfigurationError
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

API_URL = "https://vpce-0a-11111111.api.sagemaker.us-east-1.vpce.amazonaws.com"
RUNTIME_URL = "https://vpce-0b-22222222.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
URLS = {"sagemaker": API_URL, "sagemaker-runtime": RUNTIME_URL}
SECTION = f"""\
[services prod-private]
sagemaker =
  endpoint_url = {API_URL}
sagemaker_runtime =
  endpoint_url = {RUNTIME_URL}
"""
MADE = f"[profile prod]\nservices = prod-private\nregion = us-east-1\n\n{SECTION}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def write(config: Path, profile: str = "prod", **changed: Any) -> Any:
    arguments: dict[str, Any] = {"region": "us-east-1", "urls": URLS, "served": {}, "fips": False}
    arguments |= {"merge": False, **changed}
    return write_profile(str(config), profile, **arguments)


def url_of(config: Path, profile: str, service: str = "sagemaker-runtime") -> str:
    """The URL that a real botocore session takes for a profile."""
    core = botocore.session.Session(profile=profile)
    core.set_config_variable("config_file", str(config))
    client = core.create_client(service, region_name="us-east-1")
    url: str = client.meta.endpoint_url
    client.close()
    return url


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", MADE),
        ("[default]\nregion = eu-west-1", f"[default]\nregion = eu-west-1\n\n{MADE}"),
        ("# mine\n\n\n", f"# mine\n\n\n{MADE}"),
        (
            "; a\n[profile prod]\n# b\nregion=us-east-1\n\n[profile other]\nregion = x\n",
            "; a\n[profile prod]\nservices = prod-private\n# b\nregion=us-east-1\n\n"
            f"[profile other]\nregion = x\n\n{SECTION}",
        ),
        (
            "[profile 'prod']\nservices: prod-private\n\n[services prod-private]\n# kept\n"
            "s3 =\n    endpoint_url = https://s3.corp\nsagemaker =\n    # why\n"
            "    max_attempts = 4\n    endpoint_url =  https://old\n\n# of the next\n"
            "[profile b]\noutput = json\n",
            "[profile 'prod']\nservices: prod-private\n\n[services prod-private]\n# kept\n"
            "s3 =\n    endpoint_url = https://s3.corp\nsagemaker =\n    # why\n"
            f"    max_attempts = 4\n    endpoint_url =  {API_URL}\nsagemaker_runtime =\n"
            f"  endpoint_url = {RUNTIME_URL}\n\n# of the next\n[profile b]\noutput = json\n",
        ),
        (
            "[profile prod]\nservices = prod-private\n[services prod-private]\n"
            "sagemaker_runtime =\n  region = us-east-1\n",
            "[profile prod]\nservices = prod-private\n[services prod-private]\n"
            f"sagemaker_runtime =\n  endpoint_url = {RUNTIME_URL}\n  region = us-east-1\n"
            f"sagemaker =\n  endpoint_url = {API_URL}\n",
        ),
    ],
    ids=["new", "no last line end", "comments", "profile", "section", "service"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_what_is_asked_for_changes(before: str, after: str, end: str, config: Path) -> None:
    """Comments, order, blank lines and line ends stay; a second time nothing changes at all."""
    config.write_bytes(before.replace("\n", end).encode())
    first = write(config)
    expected = after.replace("\n", end) if "\n" in before else after
    assert config.read_bytes() == expected.encode()
    assert first.changed
    second = write(config)
    assert (second.changed, second.backup) == (False, None)
    assert config.read_bytes() == expected.encode()
    assert url_of(config, "prod") == RUNTIME_URL
    assert url_of(config, "prod", "sagemaker") == API_URL


@pytest.mark.parametrize(
    ("before", "profile"),
    [
        ("[default]\nregion = us-east-1\n", "default"),
        ("[profile default]\nregion = us-east-1\n", "default"),
        ("", "default"),
        ("[profile 'a b']\noutput = json\n", "a b"),
        ("", "a b"),
        ("[profile x]\n\u00e9 = \u2028\n", "x"),
    ],
)
def test_every_profile_can_be_written(before: str, profile: str, config: Path) -> None:
    """The default profile, names with a space, and text that is not ASCII."""
    config.write_text(before, encoding="utf-8")
    write(config, profile)
    assert url_of(config, profile) == RUNTIME_URL
    assert not write(config, profile).changed


def test_a_url_that_changed_is_replaced(config: Path) -> None:
    """A VPC endpoint that was made anew gets its new name; each change leaves its copy."""
    config.write_text("[profile prod]\nregion = us-east-1\n", encoding="utf-8")
    config.chmod(0o640)
    before = config.read_bytes()
    first = write(config)
    between = config.read_bytes()
    second = write(config, urls={"sagemaker-runtime": "https://new.example"})
    assert url_of(config, "prod") == "https://new.example"
    assert url_of(config, "prod", "sagemaker") == API_URL
    assert (first.backup.name, first.backup.read_bytes()) == ("config.bak", before)
    assert (second.backup.name, second.backup.read_bytes()) == ("config.bak1", between)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (config, first.backup)] == [0o640, 0o600]


def test_private_dns_writes_only_over_a_url_that_stands_there(config: Path) -> None:
    """What private DNS serves needs no URL; one that stands there may be of what is gone."""
    served = {"sagemaker": "https://api.sagemaker.us-east-1.amazonaws.com"}
    config.write_bytes(b"[profile prod]\nregion = us-east-1\n")
    assert not write(config, urls={}, served=served).changed
    write(config)
    assert write(config, urls={}, served=served).changed
    assert url_of(config, "prod", "sagemaker") == served["sagemaker"]
    assert url_of(config, "prod") == RUNTIME_URL


def test_a_new_file_is_the_owners_alone(tmp_path: Path) -> None:
    """The directory is made too; there is no copy of what was not there."""
    config = tmp_path / "aws" / "config"
    assert write(config).backup is None
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert [path.name for path in config.parent.iterdir()] == ["config"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed(config: Path, tmp_path: Path) -> None:
    """A link to a file in another directory stays a link."""
    real = tmp_path / "dotfiles" / "aws"
    real.parent.mkdir()
    real.write_text("[default]\n", encoding="utf-8")
    config.symlink_to(real)
    assert write(config).path == real.resolve()
    assert config.is_symlink()
    assert url_of(real, "prod") == RUNTIME_URL


def test_merge_writes_into_the_section_that_is_named(config: Path) -> None:
    """Its other services stay, and the profile names it as before."""
    before = "[profile prod]\nservices = ours\n\n[services ours]\ns3 =\n  endpoint_url = https://s3.corp\n"
    config.write_text(before, encoding="utf-8")
    assert write(config, merge=True).section == "ours"
    added = SECTION.partition("\n")[2]
    assert config.read_text(encoding="utf-8") == before + added
    assert url_of(config, "prod", "s3") == "https://s3.corp"
    assert url_of(config, "prod") == RUNTIME_URL


REFUSED = [
    (
        "[profile prod]\nservices = ours\n",
        "The profile 'prod' of {config} has services = ours already.\n"
        "Cause: a profile has one services section.\n"
        "Remedies, in order:\n"
        "  1. pass --merge to set the URLs in [services ours]\n"
        "  2. or write to another profile.\n",
    ),
    (
        "[profile prod]\nregion = eu-west-1\n",
        "The profile 'prod' of {config} is of eu-west-1, the URLs are of us-east-1.\n"
        "Remedy: pass --region eu-west-1, or write to another profile.\n",
    ),
    (
        "[profile prod]\nuse_fips_endpoint = True\n",
        "The profile 'prod' of {config} asks for FIPS, and the URLs are not FIPS ones.\n"
        "Cause: they were found without that profile, and a custom URL turns FIPS off.\n"
        "Remedy: pass --profile prod too.\n",
    ),
    (
        "[profile prod]\nignore_configured_endpoint_urls = true\n",
        "The profile 'prod' of {config} has ignore_configured_endpoint_urls = true.\n"
        "Cause: no SDK would read the URLs, and calls would go out publicly.\n"
        "Remedy: take that line out.\n",
    ),
    (
        "[profile prod\nregion = us-east-1\n",
        "The AWS config file {config} cannot be read; it is left as it was.\n"
        "Cause: botocore finds a mistake in it.\n"
        "Remedy: run `aws configure list` to see what it says, and mend the file.\n",
    ),
    *(
        (
            unusual,
            "The AWS config file {config} is written in a way that cannot be changed safely.\n"
            "Cause: a section or an option of it is indented, repeated or unusual.\n"
            "Remedy: write the lines of `sm-private-client env` into it by hand.\n",
        )
        for unusual in (
            "  [profile prod]\n  output = json\n",
            "[services prod-private]\nsagemaker = https://x\n",
        )
    ),
]


@pytest.mark.parametrize(("before", "text"), REFUSED)
def test_what_contradicts_is_refused(before: str, text: str, config: Path) -> None:
    """The file is as it was, and nothing stands beside it."""
    config.write_text(before, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        write(config)
    message = text.format(config=config) + "See docs/errors.md#configuration"
    assert str(caught.value) == message
    assert config.read_text(encoding="utf-8") == before
    assert [path.name for path in config.parent.iterdir()] == ["config"]


@pytest.mark.parametrize("name", ["", "a]", "a\nb"])
def test_a_name_that_no_header_can_hold_is_refused(name: str, config: Path) -> None:
    """Nothing is written for it."""
    with pytest.raises(ConfigurationError, match="cannot be the name of a profile"):
        write(config, name)
    assert not config.exists()


def test_a_full_disk_leaves_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never half-written: what cannot be forced to the disk does not take its place."""
    config.write_text("[default]\n", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match="No space left on device"):
            write(config)
    assert config.read_text(encoding="utf-8") == "[default]\n"
    assert not list(config.parent.glob(".*"))


def test_writers_at_the_same_time_lose_nothing(config: Path) -> None:
    """A run that reports success has written; the others ask to be run again."""
    barrier = threading.Barrier(4)

    def work(number: int) -> str | None:
        barrier.wait(60)
        try:
            write(config, f"p{number}")
        except ConfigurationError as error:
            return error.what
        return None

    for content in ("[default]\n", None):
        config.unlink(missing_ok=True)
        if content is not None:
            config.write_text(content, encoding="utf-8")
        with ThreadPoolExecutor(4) as pool:
            refusals = list(pool.map(work, range(4)))
        text = config.read_text(encoding="utf-8")
        for number, refusal in enumerate(refusals):
            assert (f"[profile p{number}]" in text) is (refusal is None)
            assert refusal is None or refusal.endswith("was changed by another program just now.")
        assert None in refusals
    assert not list(config.parent.glob(".*"))


# Through the program


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


@pytest.mark.slow(reason="other programs")
def test_the_program_writes_a_profile(
    link: LocalPrivateLink,
    config: Path,
    in_other_processes: Callable[[LocalPrivateLink], dict[str, str]],
) -> None:
    """The real program finds the routes, writes them, and a second run changes nothing."""
    environ = in_other_processes(link)
    before = Path(environ["AWS_CONFIG_FILE"]).read_bytes()
    config.write_bytes(before)
    environ["AWS_CONFIG_FILE"] = str(config)
    words = [sys.executable, "-m", "sm_private_client", "env", "--write-profile", "prod", "--json"]
    records = []
    for _ in range(2):
        done = subprocess.run(  # noqa: S603 - our own program
            words, env=environ, capture_output=True, text=True, check=False, timeout=240
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert link.secret_access_key not in done.stdout
        records.append(json.loads(done.stdout))
    assert [(r["changed"], r["backup"]) for r in records] == [
        (True, f"{config}.bak"),
        (False, None),
    ]
    assert records[0]["section"] == "prod-private"
    assert config.read_bytes().startswith(before)
    assert link.secret_access_key not in config.read_text(encoding="utf-8")
    vpc_endpoint = link.vpc_endpoint("sagemaker-runtime")
    assert url_of(config, "prod") == f"https://{vpc_endpoint.name.host}"


def test_routes_are_found_anew_and_by_the_profile_itself(
    link: LocalPrivateLink, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """URLs that stand there do not decide; a profile with credentials is asked with these."""
    config.write_text(
        f"[profile prod]\nregion = us-east-1\nendpoint_url = {link.control_url}\n"
        f"aws_access_key_id = {link.access_key_id}\n"
        f"aws_secret_access_key = {link.secret_access_key}\n"
        "services = prod-private\n[services prod-private]\n"
        "sagemaker =\n  endpoint_url = https://gone.example\n",
        encoding="utf-8",
    )

    def make(**arguments: Any) -> Any:
        core = link.botocore_session()
        core.set_config_variable("config_file", str(config))
        core.set_config_variable("credentials_file", os.devnull)
        core.set_config_variable("profile", None)
        return link.session(botocore_session=core, **{**arguments, "region_name": "us-east-1"})

    assert main(["env", "--write-profile", "prod"], make_session=make) == 0
    shown = capsys.readouterr()
    assert link.secret_access_key not in shown.out + shown.err
    for service in ("sagemaker", "sagemaker-runtime"):
        expected = f"https://{link.vpc_endpoint(service).name.host}"
        assert url_of(config, "prod", service) == expected
    assert shown.out.endswith(
        f"{config.resolve()} has [services prod-private] for the profile prod; "
        f"the file as it was is {config.resolve()}.bak.\n"
    )
