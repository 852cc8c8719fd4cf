"""The documentation tells the truth: names, settings, messages, examples and links are checked."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
import pytest
import typer

import sm_private_client as smp
from as_read import as_read
from sm_private_client import PrivateClientError, api, errors
from sm_private_client.cli import app, main
from sm_private_client.cli.app import LazyCommands
from sm_private_client.cli.route_reports import report_on
from sm_private_client.inference.codecs import CODECS, encode, registry
from sm_private_client.inference.invocation import (
    INVOKE_TIMEOUT,
    MEMBERS,
    STREAM_TIMEOUT,
    PredictorOptions,
)
from sm_private_client.inference.jobs import AsyncJob
from sm_private_client.inference.operations import BODY_LIMITS
from sm_private_client.policy.parsing import parse
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.provisioning import plan_vpc_endpoints
from sm_private_client.routing import settings
from sm_private_client.routing.botocore_rules import configured_url
from sm_private_client.routing.discovery import Discovery, Ec2Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sm_private_client.testing import LocalPrivateLink

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "sm_private_client"
README: Final = ROOT / "README.md"
PAGES: Final = (
    README,
    *(ROOT / f"{n}.md" for n in ("CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").glob("*.md")),
)
CALLING: Final = ROOT / "docs" / "calling.md"
SIMULATOR: Final = ROOT / "docs" / "simulator.md"
FENCED_TEXT: Final = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEVER_RAISED: Final = "This version never raises it itself."

ERRORS: Final[dict[str, type[errors.PrivateClientError]]] = {
    cls.reference: cls for cls in (getattr(errors, name) for name in errors.__all__)
}


def commands_of(group: LazyCommands, before: str = "") -> Iterator[str]:
    for name in group.commands:
        loaded = group.load(name)
        if isinstance(loaded, LazyCommands):
            yield from commands_of(loaded, f"{before}{name} ")
        else:
            yield before + name


ROOT_GROUP: Final = typer.main.get_group(app.app)
assert isinstance(ROOT_GROUP, LazyCommands)
COMMANDS: Final = tuple(commands_of(ROOT_GROUP))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def headings(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", prose, re.MULTILINE)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections_of_errors() -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", text_of(ROOT / "docs" / "errors.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def python_blocks() -> list[tuple[str, str]]:
    return [
        (f"{page.name}-{number}", block)
        for page in PAGES
        for number, block in enumerate(blocks(page, "python"), 1)
    ]


# Errors


def test_every_reference_is_a_section_of_the_errors_page_and_nothing_else_is() -> None:
    """``reference`` leads to a heading, and no heading is of an error that is gone."""
    assert len(ERRORS) == len(errors.__all__)
    assert sorted(sections_of_errors()) == sorted(ERRORS)


def raise_configuration(link: LocalPrivateLink) -> None:
    link.session().client("sagemaker-runtime", verify=False)


def raise_routing(link: LocalPrivateLink) -> None:
    session = link.session(vpc_endpoint={"sagemaker": "http://localhost:5000"})
    error = report_on(session, "sagemaker").error
    assert error is not None
    raise error


def raise_no_private_route(link: LocalPrivateLink) -> None:
    link.session().route("sagemaker-featurestore-runtime")


def raise_ambiguous(link: LocalPrivateLink) -> None:
    link.create_vpc_endpoint("sagemaker", vpc_id=link.create_vpc().vpc_id)
    link.session().route("sagemaker")


def raise_unavailable(link: LocalPrivateLink) -> None:
    link.set_state(link.vpc_endpoint("sagemaker").vpc_endpoint_id, "pending")
    link.session().route("sagemaker")


def raise_fips_unavailable(link: LocalPrivateLink) -> None:
    profile = link.botocore_session()
    profile.set_config_variable("use_fips_endpoint", "true")
    link.session(botocore_session=profile).route("sagemaker-runtime")


def raise_discovery(link: LocalPrivateLink) -> None:
    access = Ec2Access(client=link.session().client("ec2"), identity=object())
    link.faults.deny("ec2:DescribeVpcEndpoints")
    Discovery(lambda: access, service_names=["any"]).vpc_endpoints()


def raise_public_address(link: LocalPrivateLink) -> None:
    client = link.session().client("sagemaker")
    link.faults.dns("sagemaker", "203.0.113.7")
    client.list_endpoints()


def raise_missing_extra(_: LocalPrivateLink) -> None:
    raise smp.MissingExtraError("sm-private-client demo", extra="demo")


def raise_missing_region(_: LocalPrivateLink) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_DEFAULT_REGION", raising=False)
        patch.setenv("AWS_REGION", "eu-west-1")
        smp.Session().client("sagemaker")


def raise_policy(_: LocalPrivateLink) -> None:
    statement = {"Effect": "allow", "Action": "sagemaker:*", "Resource": "*", "Principal": "*"}
    parse({"Statement": [statement]})


def raise_provisioning(link: LocalPrivateLink) -> None:
    session = link.session()
    groups = session.client("ec2").describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [link.vpc_id]}]
    )["SecurityGroups"]
    plan = plan_vpc_endpoints(
        session,
        vpc_id=link.vpc_id,
        services=["sagemaker-metrics"],
        security_groups=[g["GroupId"] for g in groups if g["GroupName"] == "default"],
    )
    link.faults.deny("ec2:CreateVpcEndpoint")
    plan.apply()


def raise_payload(link: LocalPrivateLink) -> None:
    link.session().predictor("churn-xgb").invoke(bytes(25 * 1024 * 1024 + 1))


def count(*_: object) -> Iterator[bytes]:
    yield from (b"one\n", b"two\n", b"three\n")


def raise_stream(link: LocalPrivateLink) -> None:
    link.deploy("chat-llm", count)
    with link.session().predictor("chat-llm").stream("Count.") as stream:
        list(stream.lines())
        list(stream.json())


def raise_stream_interrupted(link: LocalPrivateLink) -> None:
    link.deploy("chat-llm", count)
    link.faults.cut("chat-llm", after_parts=2)
    with link.session().predictor("chat-llm").stream("Count.") as stream:
        list(stream.text())


def job_of(link: LocalPrivateLink, *, failure: bytes | None = None) -> AsyncJob:
    """Take up a job that has written a failure object, or nothing."""
    s3 = link.session().client("s3")
    s3.create_bucket(Bucket="answers")
    if failure is not None:
        s3.put_object(Bucket="answers", Key="failures/7.out", Body=failure)
    return AsyncJob.from_locations(
        output_location="s3://answers/outputs/7.out",
        failure_location="s3://answers/failures/7.out",
        s3=s3,
        endpoint_name="summarise-llm",
        inference_id="7",
    )


def raise_job(link: LocalPrivateLink) -> None:
    job = job_of(link)

    async def wait() -> None:
        waiting = asyncio.ensure_future(job.result_async())
        await asyncio.sleep(0)
        job.cancel_wait()
        await waiting

    asyncio.run(wait())


def raise_job_failed(link: LocalPrivateLink) -> None:
    said = b'Received server error (500) from primary with message "the model\'s own words".'
    job_of(link, failure=said).result()


def raise_job_timeout(link: LocalPrivateLink) -> None:
    job_of(link).result(timeout=0)


RAISED: Final[dict[str, Callable[[LocalPrivateLink], None]]] = {
    "ambiguous-vpc-endpoint": raise_ambiguous,
    "configuration": raise_configuration,
    "discovery": raise_discovery,
    "fips-unavailable": raise_fips_unavailable,
    "job": raise_job,
    "job-failed": raise_job_failed,
    "job-timeout": raise_job_timeout,
    "missing-extra": raise_missing_extra,
    "missing-region": raise_missing_region,
    "no-private-route": raise_no_private_route,
    "payload": raise_payload,
    "policy": raise_policy,
    "provisioning": raise_provisioning,
    "public-address": raise_public_address,
    "routing": raise_routing,
    "stream": raise_stream,
    "stream-interrupted": raise_stream_interrupted,
    "vpc-endpoint-unavailable": raise_unavailable,
}


def without_random_parts(message: str) -> str:
    """Numbers the ids that EC2 makes up, in the order they occur."""
    found: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return found.setdefault(match[0], f"{match['kind']}-#{len(found)}")

    ids = re.compile(r"\b(?P<kind>vpce?)-[0-9a-f]{17}(?:-[0-9a-z]{8}(?=\.))?")
    return re.sub(r"\b52\.46\.128\.\d+", "<public>", ids.sub(number, message)).strip()


@pytest.mark.parametrize("reference", sorted(RAISED))
def test_the_errors_page_shows_the_message_as_it_is_printed(
    reference: str, private_link: LocalPrivateLink
) -> None:
    """A reader who searches the page for the text on the screen finds it."""
    with pytest.raises(ERRORS[reference]) as caught:
        RAISED[reference](private_link)
    assert caught.value.reference == reference
    shown = re.findall(FENCED_TEXT, sections_of_errors()[reference])
    assert without_random_parts(str(caught.value)) in map(without_random_parts, shown)


def test_the_errors_page_says_which_errors_nothing_raises() -> None:
    """An error that the code never makes is not presented as one that users will meet."""
    trees = [
        ast.parse(text_of(path)) for path in SOURCE.rglob("*.py") if path != SOURCE / "errors.py"
    ]
    made = {
        node.func.id
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    # The root is not looked at: what it says where it is raised by itself is another program's.
    known = {reference: cls for reference, cls in ERRORS.items() if cls is not PrivateClientError}
    raised = {reference for reference, cls in known.items() if cls.__name__ in made}
    sections = sections_of_errors()
    silent = {reference for reference, section in sections.items() if NEVER_RAISED in section}
    assert raised == set(RAISED)
    assert silent == set(known) - raised
    for reference, cls in ERRORS.items():
        assert f"`{cls.__name__}`" in sections[reference]


# Settings


@pytest.mark.parametrize("option", sorted(settings.RoutingOptions.__annotations__))
def test_every_setting_has_a_row_on_the_routes_page(option: str) -> None:
    """Argument, variable and profile key of one option stand in one row of the table."""
    rows = text_of(ROOT / "docs" / "routes.md").splitlines()
    row = next(row for row in rows if row.startswith(f"| `{option}`"))
    assert f"`sm_private_{option}`" in row
    variable = settings._VARIABLES.get(option)
    assert (f"`{variable}`" in row) if variable else "SM_PRIVATE" not in row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_setting_that_does_not_exist(page: Path) -> None:
    """Every SM_PRIVATE_ variable and every sm_private_ key on a page is known to the code."""
    variables = set(settings._VARIABLES.values())
    keys = {f"sm_private_{option}" for option in settings.RoutingOptions.__annotations__}
    text = text_of(page)
    assert set(re.findall(r"\bSM_PRIVATE_[A-Z_]*[A-Z]\b", text)) <= variables
    assert set(re.findall(r"\bsm_private_(?!client)[a-z_]+\b", text)) <= keys


def test_the_service_variables_on_the_routes_page_are_the_ones_that_are_read(
    private_link: LocalPrivateLink,
) -> None:
    """Each AWS_ENDPOINT_URL_ variable on the page leads a service that can be routed."""
    named = set(
        re.findall(r"`(AWS_ENDPOINT_URL_SAGEMAKER\w*)`", text_of(ROOT / "docs" / "routes.md"))
    )
    session, url = private_link.botocore_session(), "https://host.internal"
    read = {
        variable
        for variable in named
        for service in routable_service_names()
        if configured_url(session, service, config=None, environ={variable: url})
    }
    assert named == read
    assert len(named) == len(routable_service_names())


def test_the_profile_on_the_routes_page_can_be_used(tmp_path: Path) -> None:
    """The example of a config file is read without a complaint, and every key counts."""
    (example,) = blocks(ROOT / "docs" / "routes.md", "ini")
    config = tmp_path / "config"
    config.write_text(example, encoding="utf-8")
    session = botocore.session.Session()
    session.set_config_variable("config_file", str(config))
    session.set_config_variable("profile", "prod")
    loaded = settings.load_settings({}, environ={}, profile=session.get_scoped_config())
    assert len(loaded.vpc_endpoints) == 2
    assert loaded.availability_zone == "us-east-1a"
    assert loaded.allowed_networks == ("198.51.100.0/24",)


# Examples


@pytest.mark.parametrize(("name", "block"), python_blocks())
def test_every_example_compiles_and_uses_only_names_that_exist(name: str, block: str) -> None:
    """Public names, their keywords and routing options in examples are the package's own."""
    options = set(settings.RoutingOptions.__annotations__)
    tree = ast.parse(block, filename=name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "smp":
            assert node.attr in smp.__all__
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "smp.Session",
            "smp.client",
            "smp.connect",
        }:
            function = getattr(smp, ast.unparse(node.func).removeprefix("smp."))
            known = options | set(inspect.signature(function).parameters)
            if function is smp.client:
                known |= set(api.ClientArguments.__annotations__)
            assert {keyword.arg for keyword in node.keywords} <= known


def test_the_examples_of_the_readme_run(
    private_link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are executed as they stand; only the sessions are inside the simulator."""
    private_link.deploy("churn-xgb", lambda body, _content_type: b"1" + body)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", private_link.session())
    monkeypatch.setattr(smp, "Session", private_link.session)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in blocks(README, "python"):
        exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - our own page
    assert capsys.readouterr().out.splitlines() == [
        "b'11,2,3'",
        "[[11, 2, 3]]",
        *(f"[[{n + 10}, 2, 3]]" for n in range(4)),
    ]
    assert private_link.internet.connections == 0


def score(body: bytes, content_type: str) -> tuple[str, str]:
    """Answer a number a row, in the form that was sent."""
    if content_type == "text/csv":
        return "0.5\n" * len(body.splitlines()), content_type
    return json.dumps([0.5] * len(json.loads(body))), content_type


def talk(_body: bytes, _content_type: str) -> Iterator[bytes]:
    for word in ("It ", "scatters."):
        chunk = {"choices": [{"index": 0, "delta": {"content": word}}]}
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def test_the_examples_of_the_calling_page_run(
    private_link: LocalPrivateLink,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are executed one after the other, as a reader would; the session is a simulated one."""
    private_link.deploy("churn-xgb", score)
    private_link.deploy("chat-llm", talk)
    private_link.deploy(
        "summarise-llm",
        lambda body, _: json.dumps(len(json.loads(body)["text"])),
        s3_output_path="s3://outputs/summaries",
    )
    private_link.session().client("s3").create_bucket(Bucket="inputs")
    monkeypatch.setattr(smp, "Session", private_link.session)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed = []
    for block in blocks(CALLING, "python"):
        exec(compile(block, CALLING.name, "exec"), names)  # noqa: S102 - our own page
        printed.append(capsys.readouterr().out)
    assert printed == [
        "[0.5, 0.5]\n",
        "b'0.5\\n' text/csv 1\n",
        "[[0.5], [0.5]]\n",
        "It scatters.\n",
        "14\n",
        "1000\n",
        "50\n2\n2\n",
    ]
    assert [call.content_type for call in private_link.model("churn-xgb").calls[2:13]] == [
        "text/csv"
    ] * 11
    assert private_link.internet.connections == 0


def table_below(page: Path, heading: str, first: str) -> list[list[str]]:
    """Return the rows of the table of a section whose head begins so."""
    section = text_of(page).partition(f"# {heading}\n")[2].partition("\n## ")[0]
    (table,) = re.findall(rf"^\| {first} \|.*\n\|.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()]


@dataclasses.dataclass
class Row:
    age: int


def sent() -> dict[str, list[object]]:
    """Return data by the words of the calling page."""
    numpy, pandas, pyarrow = map(pytest.importorskip, ("numpy", "pandas", "pyarrow"))
    table = pyarrow.table({"a": [1]})
    return {
        "dict, list, tuple, number, bool, None, dataclass": [{}, [], (), 1, 0.5, True, Row(1)],
        "iterator, other iterable of rows": [iter([[1]]), {1: 2}.values(), range(2)],
        "str": ["text"],
        "bytes, bytearray, memoryview": [b"1", bytearray(b"1"), memoryview(b"1")],
        "pandas DataFrame, Series": [pandas.DataFrame({"a": [1]}), pandas.Series([1])],
        "pyarrow Table, RecordBatch": [table, table.to_batches()[0]],
        "numpy array": [numpy.zeros((2, 2))],
        "(named only)": [],
    }


def test_the_calling_page_says_how_data_is_sent() -> None:
    """Each row's data has the content type of the row, which the row's codec has too."""
    rows = table_below(CALLING, "Codecs", "Data")
    data_of = sent()
    assert [words for words, _, _ in rows] == list(data_of)
    assert sorted(codec for _, codec, _ in rows) == sorted(f"`{name}`" for name in CODECS)
    for words, codec, content_type in rows:
        assert content_type == f"`{CODECS[codec.strip('`')].content_type}`"
        for data in data_of[words]:
            assert f"`{encode(data).content_type}`" == content_type


def test_the_calling_page_says_which_answers_are_decoded() -> None:
    """Every content type that has a codec stands in the table, and no other does."""
    listed = {
        content_type
        for row in table_below(CALLING, "Codecs", "Content type")
        for content_type in re.findall(r"`([^`=]+)`", row[0])
    }
    known = {name for name in registry._ALIASES if "/" in name}
    assert listed == known | {"application/…+json"}


@as_read
def test_the_calling_page_has_the_limits_of_the_model() -> None:
    """Lengths are those of botocore's model, and every option that is a header has its row."""
    model = botocore.session.Session().get_service_model("sagemaker-runtime")
    shape: Any = model.operation_model("InvokeEndpoint").input_shape
    members = {**MEMBERS, "endpoint_name": "EndpointName"}
    listed = {}
    for what, limit, source in table_below(CALLING, "Limits", "What"):
        if source == "botocore's model":
            (most,) = re.findall(r"^([\d,]+) characters", limit)
            listed.update(dict.fromkeys(re.findall(r"`(\w+)`", what), int(most.replace(",", ""))))
    assert listed == {
        option: shape.members[name].metadata["max"]
        for option, name in members.items()
        if name in shape.members  # the oldest botocore lacks one
    } | {option: listed[option] for option, name in members.items() if name not in shape.members}
    assert "25 MB" in text_of(CALLING)
    assert BODY_LIMITS["InvokeEndpoint"] == 25 * 1024 * 1024
    assert f"{BODY_LIMITS['InvokeEndpointAsync']:,} bytes inline" in text_of(CALLING)


def test_the_calling_page_has_the_defaults_of_predictors_and_map() -> None:
    """Every option of a predictor and argument of map is there, with its default."""
    options = {
        name: default
        for names, default, _ in table_below(CALLING, "Calling models", "Option")
        for name in re.findall(r"`(\w+)`", names)
    }
    accepted = set(PredictorOptions.__annotations__) | set(
        inspect.signature(smp.Session.predictor).parameters
    )
    assert set(options) == accepted - {"self", "endpoint_name", "options"}
    assert (options["timeout"], options["stream_timeout"]) == (
        f"{INVOKE_TIMEOUT:g}",
        f"{STREAM_TIMEOUT:g}",
    )
    arguments = {name.strip("`") for name, _, _ in table_below(CALLING, "Map", "Argument")}
    mapped = set(inspect.signature(smp.Predictor.map).parameters)
    assert arguments == mapped - {"self", "items", "codec", "options"}


@pytest.mark.slow(reason="a pytest in a process of its own")
def test_the_test_modules_of_the_simulator_page_pass(tmp_path: Path) -> None:
    """The blocks are written to a directory of their own and run by pytest as a user would."""
    modules = blocks(SIMULATOR, "python")
    for number, module in enumerate(modules, 1):
        assert "\ndef test_" in f"\n{module}"
        (tmp_path / f"test_block_{number}.py").write_text(module, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    # Nothing of this machine's own settings: what a page promises needs none.
    kept = ("PATH", "SYSTEMROOT", "HOME", "TMPDIR")
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={name: os.environ[name] for name in kept if name in os.environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


# Pages


def links() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
        found += [
            (page.relative_to(ROOT).as_posix(), target)
            for target in re.findall(r"\]\(([^)\s]+)\)", prose)
        ]
    return found


@pytest.mark.parametrize(("page", "target"), links())
def test_every_relative_link_leads_somewhere(page: str, target: str) -> None:
    """The file or directory is there, and so is the heading that the anchor names."""
    if "://" in target:
        assert target.startswith("https://")
        return
    path, _, wanted = target.partition("#")
    led_to = (ROOT / page).parent / path if path else ROOT / page
    assert led_to.exists()
    if wanted:
        assert wanted in map(anchor, headings(led_to))


def test_every_page_is_reached_from_the_readme_and_the_index() -> None:
    """Nobody has to list the directory to find a page."""
    for start in ("README.md", "docs/index.md"):
        reached = {
            ((ROOT / page).parent / target.partition("#")[0]).resolve()
            for page, target in links()
            if page == start
        }
        pages = {page for page in PAGES if page.parent == ROOT / "docs"} - {ROOT / start}
        assert pages <= reached


def test_the_readme_is_short_and_has_the_two_commands() -> None:
    """Two screens, and what to type stands there as it is typed."""
    lines = text_of(README).splitlines()
    assert len(lines) <= 110
    assert "pip install -e '.[demo]' && sm-private-client demo" in lines
    assert "pip install -e '.[test]' && pytest" in lines


def test_every_command_has_a_section_on_the_command_line_page() -> None:
    """``sm-private-client X`` is documented under that very heading, and nothing else is."""
    titles = headings(ROOT / "docs" / "command-line.md")
    assert {title for title in titles if title.startswith("sm-private-client ")} == {
        f"sm-private-client {command}" for command in COMMANDS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_on_the_command_line_page(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``--help`` lists, the page lists; and the page lists no more."""
    assert main([*command.split(), "--help"]) == 0
    offered = set(re.findall(r"^\s+(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    page = text_of(ROOT / "docs" / "command-line.md")
    section = page.partition(f"## sm-private-client {command}\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) == offered - {"--help"}
