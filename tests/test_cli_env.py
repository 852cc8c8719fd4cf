"""``sm-private-client env``: variables that lead any SDK over the private routes, or none."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.cli import main
from sm_private_client.cli.commands.env import Shell, lines_for, shell_of
from sm_private_client.errors import ConfigurationError
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

API = "AWS_ENDPOINT_URL_SAGEMAKER"
BASH = shutil.which("bash") or ""
RUNTIME = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        yield running


def url(link: LocalPrivateLink, service: str, *, fips: bool = False) -> str:
    return f"https://{link.vpc_endpoint(service, fips=fips).name.host}"


def record_of(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str], *words: str, make: Any = None
) -> Any:
    """Run it with --json and return the record; the keys are nowhere."""
    assert main(["env", "--json", *words], make_session=make or link.session) == 0
    shown = capsys.readouterr()
    assert link.secret_access_key not in shown.out + shown.err
    assert link.access_key_id not in shown.out + shown.err
    return json.loads(shown.out)


def test_a_url_for_each_route_and_no_proxy(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Services with a route get a URL, all hosts pass proxies by, the others are named."""
    record = record_of(link, capsys)
    hosts = [url(link, s).removeprefix("https://") for s in ("sagemaker", "sagemaker-runtime")]
    passed_by = ",".join([".vpce.amazonaws.com", *hosts])
    assert record["region"] == "us-east-1"
    assert record["variables"] == {
        API: url(link, "sagemaker"),
        RUNTIME: url(link, "sagemaker-runtime"),
        "NO_PROXY": passed_by,
        "no_proxy": passed_by,
    }
    assert record["notes"][0] == (
        "sagemaker-featurestore-runtime is left out (no private route): "
        "calls to it go where the SDK sends them"
    )


def test_region_and_profile_that_are_named_are_told_too(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL is of one region: a user who names one has it set, and a profile as well."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    record = record_of(link, capsys, "--region", "us-east-1", "--profile", "default")
    chosen = {n: v for n, v in record["variables"].items() if "PROXY" not in n.upper()}
    assert chosen == {
        "AWS_PROFILE": "default",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        API: url(link, "sagemaker"),
        RUNTIME: url(link, "sagemaker-runtime"),
    }
    assert "AWS_ACCESS_KEY_ID is set and comes before AWS_PROFILE: unset it" in record["notes"]


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ({}, ""),
        ({"NO_PROXY": "10.0.0.0/8, .corp"}, "10.0.0.0/8,.corp,"),
        ({"no_proxy": "a", "NO_PROXY": "b,a"}, "a,b,"),
        ({"NO_PROXY": ".vpce.amazonaws.com,,x"}, ".vpce.amazonaws.com,x,"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_what_passes_proxies_by_already_is_kept(
    before: dict[str, str],
    kept: str,
    link: LocalPrivateLink,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both spellings are joined, each entry once; a star stays alone, as programs want it."""
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    variables = record_of(link, capsys, "--service", "sagemaker")["variables"]
    assert variables["NO_PROXY"] == variables["no_proxy"]
    assert variables["NO_PROXY"].startswith(kept)
    assert variables["NO_PROXY"].count(".vpce.amazonaws.com,") == (kept != "*")


def test_private_dns_needs_no_url(capsys: pytest.CaptureFixture[str]) -> None:
    """If private DNS serves a service, a comment says so and nothing is set or unset for it."""
    with LocalPrivateLink(private_dns=True) as link:
        assert main(["env", "--shell", "bash"], make_session=link.session) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "# sagemaker needs no URL: private DNS leads api.sagemaker.us-east-1.amazonaws.com to "
        "private addresses",
        "# sagemaker-runtime needs no URL: private DNS leads "
        "runtime.sagemaker.us-east-1.amazonaws.com to private addresses",
    ]
    assert lines[-2:] == [
        f"export {name}=.vpce.amazonaws.com,api.sagemaker.us-east-1.amazonaws.com,"
        "runtime.sagemaker.us-east-1.amazonaws.com"
        for name in ("NO_PROXY", "no_proxy")
    ]
    assert all(line.startswith("# ") for line in lines[:-2])


def test_a_partition_has_its_own_suffix(capsys: pytest.CaptureFixture[str]) -> None:
    """In China the hosts that pass proxies by end as they do there."""
    with LocalPrivateLink(region="cn-north-1", services=("sagemaker",)) as link:
        variables = record_of(link, capsys, "--service", "sagemaker")["variables"]
    assert variables["NO_PROXY"].startswith(".vpce.amazonaws.com.cn,vpce-")


def with_fips(link: LocalPrivateLink) -> Callable[..., Any]:
    def make(**arguments: Any) -> Any:
        core = link.botocore_session()
        core.set_config_variable("use_fips_endpoint", "true")
        return link.session(botocore_session=core, **arguments)

    return make


def test_fips_gets_the_fips_url(capsys: pytest.CaptureFixture[str]) -> None:
    """A custom URL turns FIPS off in botocore: so it is the FIPS endpoint service's."""
    with LocalPrivateLink(fips=True, services=("sagemaker-runtime",)) as link:
        words = ("--service", "sagemaker-runtime")
        variables = record_of(link, capsys, *words, make=with_fips(link))["variables"]
        expected = url(link, "sagemaker-runtime", fips=True)
    assert variables[RUNTIME] == expected
    assert ".runtime-fips.sagemaker." in expected


@pytest.mark.parametrize("command", [["env"], ["exec", "--", "never-run"]])
def test_fips_is_never_dropped(
    command: list[str], link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a FIPS route nothing is printed or run."""
    status = main(command, make_session=with_fips(link))
    shown = capsys.readouterr()
    assert (status, shown.out) == (1 if command == ["env"] else 125, "")
    assert "FIPS" in shown.err
    assert "See docs/errors.md#fips-unavailable\n" in shown.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--service", "sagemaker-metrics"], 1, "No private route to sagemaker-metrics"),
        (["--service", "s3"], 2, "not a service of the SageMaker family"),
        (["--merge"], 2, "--merge goes with --write-profile."),
        (["--shell", "bash", "--json"], 2, "--shell goes with neither"),
        (["--shell", "tcsh"], 2, "tcsh"),
    ],
)
def test_what_cannot_be_told(
    words: list[str],
    status: int,
    message: str,
    link: LocalPrivateLink,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was asked for has a route or there is no line at all; wrong usage is status 2."""
    assert main(["env", *words], make_session=link.session) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in " ".join(shown.err.split())
    assert "Traceback" not in shown.err


def test_a_setting_that_passes_urls_over_is_refused(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If every SDK would ignore the URLs, calls would go out publicly."""
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    named = ",".join(f"{s}={url(link, s)}" for s in ("sagemaker", "sagemaker-runtime"))
    words = ["env", "--service", "sagemaker", "--vpc-endpoint", named]
    assert main(words, make_session=link.session) == 1
    assert capsys.readouterr().err == (
        "No SDK would read the URLs, and calls would go out publicly.\n"
        "Cause: AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, or ignore_configured_endpoint_urls of the "
        "profile, is set.\n"
        "Remedy: unset it, or set it to false.\n"
        "See docs/errors.md#configuration\n"
    )


def test_a_public_address_is_no_route(
    link: LocalPrivateLink, capsys: pytest.CaptureFixture[str]
) -> None:
    """A URL whose host resolves to a public address is told to nobody."""
    named = "https://runtime.sagemaker.us-east-1.amazonaws.com"
    words = ["--service", "sagemaker-runtime", "--vpc-endpoint", f"sagemaker-runtime={named}"]
    assert main(["env", *words], make_session=link.session) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "See docs/errors.md#public-address" in shown.err


# Shells

ODD = 'it\'s \\ \u2019 $HOME `id` "x" * #'


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        (Shell.BASH, f"export N={shlex.quote(ODD)}"),
        (Shell.ZSH, f"export N={shlex.quote(ODD)}"),
        (Shell.FISH, "set -gx N 'it\\'s \\\\ \u2019 $HOME `id` \"x\" * #'"),
        (Shell.POWERSHELL, "$env:N = 'it''s \\ \u2019\u2019 $HOME `id` \"x\" * #'"),
        (Shell.DOTENV, "N='it\\'s \\\\ \u2019 $HOME `id` \"x\" * #'"),
    ],
)
def test_each_shell_has_its_quotes(shell: Shell, line: str) -> None:
    """A value means itself, whatever is in it."""
    assert list(lines_for(shell, {"N": ODD}, notes=["why"])) == ["# why", line]


def test_a_plain_value_has_no_quotes_in_a_file() -> None:
    """Docker takes no quotes in a ``.env`` file; URLs and hosts need none."""
    variables = {API: "https://vpce-1.api.sagemaker.us-east-1.vpce.amazonaws.com:8443/x"}
    assert list(lines_for(Shell.DOTENV, variables)) == [f"{API}={variables[API]}"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0")))
def test_bash_reads_every_value_back(value: str) -> None:
    """What POSIX's rules of quoting make of a line is the value again."""
    (line,) = lines_for(Shell.BASH, {"N": value})
    assert shlex.split(line) == ["export", f"N={value}"]


@pytest.mark.parametrize("end", ["\n", "\r", "\0"])
@pytest.mark.parametrize("shell", list(Shell))
def test_a_line_end_in_a_value_is_refused(shell: Shell, end: str) -> None:
    """It could become a line of its own, which a shell would run."""
    with pytest.raises(ConfigurationError, match="NO_PROXY would have a line end in it"):
        list(lines_for(shell, {"NO_PROXY": f"a{end}b"}))


@pytest.mark.parametrize(
    ("environ", "platform", "shell"),
    [
        ({"SHELL": "/usr/bin/fish"}, "linux", Shell.FISH),
        ({"SHELL": "/bin/zsh"}, "darwin", Shell.ZSH),
        ({"SHELL": "/bin/tcsh"}, "linux", Shell.BASH),
        ({}, "linux", Shell.BASH),
        ({}, "win32", Shell.POWERSHELL),
    ],
)
def test_the_shell_is_guessed(environ: dict[str, str], platform: str, shell: Shell) -> None:
    """Without --shell it is what $SHELL names, if that is known here."""
    assert shell_of(environ, platform=platform) is shell


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(not BASH, reason="there is no bash")
def test_a_shell_is_led_there(
    link: LocalPrivateLink, in_other_processes: Callable[[LocalPrivateLink], dict[str, str]]
) -> None:
    """A shell that evaluates the lines of the real program leads botocore to the VPC endpoint."""
    environ = {**in_other_processes(link), "NO_PROXY": "it's; $(false)", "no_proxy": ""}
    script = (
        f'eval "$({shlex.quote(sys.executable)} -m sm_private_client env --shell bash)" && '
        'printf "%s\\n" "$AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME" "$no_proxy"'
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [BASH, "-c", script], env=environ, capture_output=True, text=True, check=False, timeout=240
    )
    runtime, no_proxy = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert runtime == url(link, "sagemaker-runtime")
    assert no_proxy.startswith("it's; $(false),.vpce.amazonaws.com,vpce-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNTIME, runtime)
        core = botocore.session.Session()
        client = core.create_client("sagemaker-runtime", region_name="us-east-1")
        assert client.meta.endpoint_url == runtime
        client.close()
