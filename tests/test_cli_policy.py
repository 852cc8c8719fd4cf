"""``sm-private-client policy``: documents by themselves, and on VPC endpoints in played VPCs."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from at_a_terminal import SCRIPT, answered
from sm_private_client.cli import main
from sm_private_client.policy import DEFAULT_ENDPOINT_POLICY, EndpointPolicy, confine_to, to_json
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ml"
VPCE = "vpce-0fe5b17a0707d6abc"
HERE = ["--region", "us-east-1", "--account-id", ACCOUNT]
EXAMPLE = """\
{
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": "*",
      "Action": "sagemaker:InvokeEndpoint",
      "Resource": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/myEndpoint"
    }
  ]
}
"""
"""SageMaker developer guide, "Connect to SageMaker AI within your VPC"."""
INVOKING = ["--allow", "sagemaker:InvokeEndpoint", "--endpoint-name", "myEndpoint"]
NOBODY = """\
Nobody can be asked whether to {action}; nothing was changed.
Cause: standard input or standard error is no terminal.
Remedy: pass --yes if that is meant, or run it on a terminal.
See docs/errors.md#configuration
"""


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as running:
        yield running


@pytest.fixture
def vpce(link: LocalPrivateLink) -> str:
    """A VPC endpoint that no other test touches, with AWS's default policy."""
    vpc_id = link.create_vpc().vpc_id
    return link.create_vpc_endpoint("sagemaker-runtime", vpc_id=vpc_id).vpc_endpoint_id


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with AWS's example, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.json").write_text(EXAMPLE, encoding="utf-8")
    return "policy.json"


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def attached(link: LocalPrivateLink, vpc_endpoint_id: str) -> Any:
    ec2 = link.session().client("ec2")
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[vpc_endpoint_id])["VpcEndpoints"][0]
    return json.loads(found["PolicyDocument"])["Statement"]


def changing(calls: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in calls.items() if not name.startswith("ec2:Describe")}


# build


def test_build_writes_the_example_of_the_developer_guide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The sentence as flags is the document as AWS prints it, on stdout and nothing else."""
    assert main(["policy", "build", *INVOKING, "--principal", "*", *HERE]) == 0
    assert capsys.readouterr() == (EXAMPLE, "")


OWN = EndpointPolicy(region="us-east-1", account_id=ACCOUNT)


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (INVOKING, EndpointPolicy().allow("sagemaker:InvokeEndpoint", endpoint="myEndpoint")),
        (
            ["--deny", "sagemaker:DeleteEndpoint", "--deny", "sagemaker:DeleteModel"],
            EndpointPolicy().deny("sagemaker:DeleteEndpoint", "sagemaker:DeleteModel"),
        ),
        (
            [*INVOKING, "--inference-component-name", "a", "--principal", ROLE, *HERE],
            OWN.allow(
                "sagemaker:InvokeEndpoint",
                principal=ROLE,
                endpoint="myEndpoint",
                inference_component="a",
            ),
        ),
        (
            ["--allow", "sagemaker:InvokeEndpoint", "--resource", f"{ARN}/a", "--sid", "One"],
            EndpointPolicy().allow("sagemaker:InvokeEndpoint", resource=f"{ARN}/a", sid="One"),
        ),
        (
            [*INVOKING, "--principal", ACCOUNT, "--principal", "sagemaker.amazonaws.com"],
            EndpointPolicy().allow(
                "sagemaker:InvokeEndpoint",
                endpoint="myEndpoint",
                principal={"AWS": ACCOUNT, "Service": "sagemaker.amazonaws.com"},
            ),
        ),
        (
            [
                *INVOKING,
                "--condition",
                "StringEquals aws:PrincipalOrgID o-1",
                "--condition",
                "StringLike aws:PrincipalTag/team a b*",
                "--condition",
                "StringEquals aws:PrincipalOrgID o-2",
            ],
            EndpointPolicy().allow(
                "sagemaker:InvokeEndpoint",
                endpoint="myEndpoint",
                conditions={
                    "StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]},
                    "StringLike": {"aws:PrincipalTag/team": "a b*"},
                },
            ),
        ),
        (
            ["--allow-invoking", "a", "--allow-invoking", "b*", "--principal", ROLE, *HERE],
            OWN.allow_invoking("a", "b*", principal=ROLE),
        ),
        (["--within", "o-a1b2c3d4e5"], EndpointPolicy().allow_within("o-a1b2c3d4e5")),
        (["--outside", "o-a1b2c3d4e5"], EndpointPolicy().deny_outside("o-a1b2c3d4e5")),
        (
            ["--outside", "o-a1b2c3d4e5", "--deny", "sagemaker:*"],
            EndpointPolicy().deny_outside("o-a1b2c3d4e5", "sagemaker:*"),
        ),
        (
            ["--within", "o-a1b2c3d4e5", "--allow", "sagemaker:*"],
            EndpointPolicy().allow_within("o-a1b2c3d4e5", "sagemaker:*"),
        ),
        (["--confine-to-vpc-endpoint", VPCE], confine_to(vpc_endpoint_ids=VPCE)),
        (
            [
                "--confine-to-vpc",
                "vpc-1",
                "--confine-to-vpc",
                "vpc-2",
                "--allow",
                "sagemaker:List*",
            ],
            confine_to(vpc_id=["vpc-1", "vpc-2"], actions="sagemaker:List*"),
        ),
        (
            ["--confine-to-vpc-endpoint", VPCE, "--deny", "sagemaker:*"],
            confine_to(vpc_endpoint_ids=VPCE, effect="Deny"),
        ),
    ],
)
def test_build_says_in_flags_what_the_builders_say_in_python(
    argv: list[str],
    meant: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each sentence gives the document that the builder of the same name gives."""
    assert main(["policy", "build", *argv]) == 0
    assert json.loads(capsys.readouterr().out) == meant.as_dict()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Say what to build: --allow"),
        (["--principal", "*"], "Say what to build: --allow"),
        (["--allow", "a:b", "--deny", "c:d"], "--allow and --deny are two sentences"),
        (["--allow-invoking", "a", "--deny", "c:d"], "goes with --principal only"),
        (["--within", "o-1", "--principal", ROLE], "goes with --allow only"),
        (["--within", "o-1", "--outside", "o-1"], "--within goes with --allow only"),
        (["--outside", "o-1", "--allow", "sagemaker:*"], "--outside goes with --deny only"),
        (["--confine-to-vpc", "vpc-1", "--principal", "*"], "whoever has the policy is meant"),
        (["--confine-to-vpc", "vpc-1", *HERE], "whoever has the policy is meant"),
        ([*INVOKING, "--principal", "*", "--principal", ROLE], "name nobody besides"),
        ([*INVOKING, "--condition", "StringEquals a"], "is not of the form 'OPERATOR KEY VALUE'"),
        ([*INVOKING, "--add-to", "nowhere.json"], "'nowhere.json' cannot be read: No such file"),
    ],
)
def test_build_refuses_what_is_no_sentence(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too little or too much said is wrong usage, and stdout stays empty."""
    assert main(["policy", "build", *argv]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in " ".join(shown.err.split())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--allow", "sagemaker:InvokeEndpiont"],
            "The policy could not be used:\n"
            "  Statement[0].Action: sagemaker:InvokeEndpiont is no action of SageMaker.\n"
            "Remedy: did you mean sagemaker:InvokeEndpoint?\n"
            "See docs/errors.md#policy\n",
        ),
        (
            ["--confine-to-vpc", "vpc-1", "--confine-to-vpc-endpoint", VPCE],
            "confine_to takes either VPC endpoints or VPCs, or an organization.\n",
        ),
        (["--allow", "Invoke"], "Statement[0].Action"),
        ([*INVOKING, "--condition", "StringEqual a b"], "Statement[0].Condition"),
    ],
)
def test_build_writes_nothing_that_aws_would_refuse(
    argv: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the document is told in three parts, and the file stays as it was."""
    out = tmp_path / "policy.json"
    out.write_text("before", encoding="utf-8")
    assert main(["policy", "build", *argv, "--out", str(out)]) == 1
    shown = capsys.readouterr()
    assert (shown.out, out.read_text(encoding="utf-8")) == ("", "before")
    assert message in shown.err
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_build_warns_of_what_is_likely_not_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning goes to stderr, so that stdout is the document."""
    assert main(["policy", "build", "--allow", "*"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["Statement"][0]["Action"] == "*"
    assert shown.err.startswith("warning at Statement[0]: everybody may do everything")


def test_build_adds_a_statement_to_a_document(
    example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--add-to keeps the statements that are there, in their order."""
    argv = ["--deny", "sagemaker:InvokeEndpoint", "--endpoint-name", "b", "--add-to", example]
    assert main(["policy", "build", *argv, *HERE]) == 0
    statements = json.loads(capsys.readouterr().out)["Statement"]
    assert statements[0] == json.loads(EXAMPLE)["Statement"][0]
    assert (statements[1]["Effect"], statements[1]["Resource"]) == ("Deny", f"{ARN}/b")


def test_build_as_json_explains_the_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--json has the document, its kind, what it says and its problems, beside any --out."""
    out = tmp_path / "policy.json"
    assert main(["policy", "build", *INVOKING, *HERE, "--json", "--out", str(out)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["kind"], record["document"]) == ("endpoint", json.loads(EXAMPLE))
    assert record["explanation"][0].startswith("Everybody may do sagemaker:InvokeEndpoint")
    assert record["problems"] == []
    assert out.read_text(encoding="utf-8") == EXAMPLE


# check


def run_script(argv: list[str], text: str = "") -> tuple[int, str, str]:
    done = subprocess.run(  # noqa: S603 - our own text
        [str(SCRIPT), "policy", *argv],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow(reason="several programs")
def test_documents_go_from_one_program_to_the_next(tmp_path: Path) -> None:
    """build, check, explain and simulate work as programs, over files and pipes."""
    out = tmp_path / "policy.json"
    assert run_script(["build", *INVOKING, *HERE, "--out", str(out)]) == (0, "", "")
    assert (out.read_text(encoding="utf-8"), out.stat().st_mode & 0o777) == (EXAMPLE, 0o600)
    assert run_script(["check", str(out)]) == (0, "No problems.\n", "")
    status, output, _ = run_script(["explain", "-"], EXAMPLE)
    assert (status, output) == (
        0,
        "Everybody may do sagemaker:InvokeEndpoint (response streams included) on inference "
        f"endpoint myEndpoint in us-east-1 of account {ACCOUNT}.\n",
    )
    call = ["--principal", ROLE, "--action", "sagemaker:InvokeEndpoint", "--resource", f"{ARN}/b"]
    status, output, _ = run_script(["simulate", "-", *call], EXAMPLE)
    assert (status, output.splitlines()[0]) == (1, "denied")


@pytest.mark.parametrize(
    ("change", "argv", "status", "message"),
    [
        ({}, [], 0, "No problems."),
        ({}, ["--region", "us-east-1", "--account-id", ACCOUNT], 0, "No problems."),
        ({}, ["--region", "eu-west-1"], 1, "error at Statement[0].Resource: it is in us-east-1"),
        ({}, ["--account-id", "210987654321"], 0, "1 warning."),
        ({"Action": "*", "Resource": "*"}, [], 0, "everybody may do everything"),
        ({"Action": "sagemaker:Invoke"}, [], 1, "1 error."),
        ({"Action": ["sagemaker:Invoke", "sagemaker:Crate"]}, [], 1, "2 errors."),
        ({"Principal": None}, [], 1, "names its principals"),
        ({}, ["--kind", "identity"], 1, "name no principals"),
        ({"Principal": None}, ["--kind", "identity"], 0, "No problems."),
        ({"Principal": None}, ["--kind", "scp"], 0, "No problems."),
        ({}, ["--endpoint-service", "sagemaker.runtime-fips"], 1, "do not support policies"),
        ({}, ["--endpoint-service", "sagemaker.api"], 0, "does not come through sagemaker.api"),
        ({"Effect": "allow"}, [], 1, "error at Statement[0].Effect"),
    ],
)
def test_check_finds_problems(
    change: dict[str, Any],
    argv: list[str],
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Errors make the status 1, warnings do not; each has its place and its remedy."""
    statement = {**json.loads(EXAMPLE)["Statement"][0], **change}
    kept = {name: value for name, value in statement.items() if value is not None}
    text = json.dumps({"Statement": [kept]})
    typed(monkeypatch, text)
    assert main(["policy", "check", "-", *argv]) == status
    shown = capsys.readouterr()
    assert message in shown.out
    assert shown.err == ""
    typed(monkeypatch, text)
    assert main(["policy", "check", "-", *argv, "--json"]) == status
    record = json.loads(capsys.readouterr().out)
    assert (record["errors"] > 0) == (status == 1)
    assert len(record["problems"]) == record["errors"] + record["warnings"]
    for problem in record["problems"]:
        assert set(problem) == {"severity", "place", "message", "remedy"}
        assert problem["remedy"]


def test_check_counts_white_space_as_aws_does(tmp_path: Path) -> None:
    """The size is that of the file as it is: 20,480 characters at most."""
    path = tmp_path / "policy.json"
    path.write_text(EXAMPLE + " " * (20_480 - len(EXAMPLE)), encoding="utf-8")
    assert main(["policy", "check", str(path)]) == 0
    path.write_text(EXAMPLE + " " * (20_481 - len(EXAMPLE)), encoding="utf-8")
    assert main(["policy", "check", str(path)]) == 1


def test_check_of_an_unknown_endpoint_service_is_wrong_usage(
    example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that SageMaker does not have is refused in three parts, with status 2."""
    assert main(["policy", "check", example, "--endpoint-service", "sagemaker.runtim"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("'sagemaker.runtim' is no endpoint service of SageMaker.\n")
    assert "\nRemedy: " in shown.err


@pytest.mark.parametrize("command", ["check", "explain"])
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"\xff\xfe{", "is not in UTF-8")],
)
def test_a_file_that_cannot_be_read_is_wrong_usage(
    command: str,
    content: bytes | None,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file that is not there, or no text, is told with its name, and the status is 2."""
    path = tmp_path / "policy.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["policy", command, str(path)]) == 2
    assert message in capsys.readouterr().err


# explain


def test_explain_as_json_names_the_statements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record a statement, in the document's order, with its Sid."""
    policy = OWN.allow_invoking("a").deny("*", principal=ROLE, sid="NotMl")
    path = tmp_path / "policy.json"
    path.write_text(policy.to_json(), encoding="utf-8")
    assert main(["policy", "explain", str(path), "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [(one["statement"], one["sid"]) for one in records] == [(0, None), (1, "NotMl")]
    assert records[1]["text"] == f"Role ml of account {ACCOUNT} may not do anything on everything."


def test_a_broken_document_is_told_by_its_place_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no JSON may be anything, a secret too: it is not shown."""
    typed(monkeypatch, '{"Statement": "wJalrXUtnFEMI/K7MDENG" oops')
    assert main(["policy", "explain", "-"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "wJalrXUtnFEMI" not in shown.err
    assert "\nRemedy: " in shown.err
    assert shown.err.endswith("See docs/errors.md#policy\n")


# simulate


def call(
    *, action: str = "sagemaker:InvokeEndpoint", name: str = "myEndpoint", principal: str = ROLE
) -> list[str]:
    return ["--principal", principal, "--action", action, "--resource", f"{ARN}/{name}"]


@pytest.mark.parametrize(
    ("argv", "record"),
    [
        (call(), ("allow", 0, None)),
        (call(action="SAGEMAKER:invokeendpoint"), ("allow", 0, None)),
        (call(name="another"), ("implicit-deny", None, None)),
        (call(action="sagemaker:CreateEndpoint"), ("implicit-deny", None, None)),
        ([*call(), "--context", f"aws:SourceVpce={VPCE}"], ("allow", 0, None)),
        ([*call(), "--context", "aws:SourceVpce=vpce-2"], ("explicit-deny", 1, "NotFromThere")),
        (
            [*call(), "--context", "aws:TagKeys=a", "--context", "AWS:tagkeys=secret"],
            ("explicit-deny", 2, None),
        ),
    ],
)
def test_simulate_says_which_statement_decided(
    argv: list[str],
    record: tuple[str, int | None, str | None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 0 is allowed and 1 denied; the reason and the statement are told."""
    policy = (
        OWN.allow("sagemaker:InvokeEndpoint", endpoint="myEndpoint")
        .deny("*", sid="NotFromThere", conditions={"StringEquals": {"aws:SourceVpce": "vpce-2"}})
        .deny("*", conditions={"ForAnyValue:StringEquals": {"aws:TagKeys": "secret"}})
    )
    path = tmp_path / "policy.json"
    path.write_text(policy.to_json(), encoding="utf-8")
    allowed = record[0] == "allow"
    assert main(["policy", "simulate", str(path), *argv, "--json"]) == int(not allowed)
    result = json.loads(capsys.readouterr().out)
    assert (result["effect"], result["statement"], result["sid"]) == record
    assert result["allowed"] is allowed
    assert main(["policy", "simulate", str(path), *argv]) == int(not allowed)
    shown = capsys.readouterr().out
    assert shown == f"{'allowed' if allowed else 'denied'}\n  {result['why']}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (call(action="sagemaker:InvokeEndpiont"), "did you mean sagemaker:InvokeEndpoint?"),
        (call(action="sagemaker:*"), "is not one action"),
        (call(action="InvokeEndpoint"), "is not one action"),
        (call(principal="arn:aws:iam::12345:role/ml"), "is no ARN of an identity"),
        ([*call(), "--context", "aws:SourceVpce"], "is not of the form KEY=VALUE"),
        (call()[:4], "Missing option '--resource'"),
    ],
)
def test_simulate_refuses_what_no_call_is(
    argv: list[str], message: str, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing error would be denied by every policy, so it is wrong usage."""
    assert main(["policy", "simulate", example, *argv]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in " ".join(shown.err.split())


def test_simulate_cannot_tell_by_a_broken_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, so that nobody takes it for a denial."""
    typed(monkeypatch, "{}")
    assert main(["policy", "simulate", "-", *call()]) == 2
    assert capsys.readouterr().err.endswith("See docs/errors.md#policy\n")


# apply and restore


def test_apply_shows_the_rights_and_keeps_the_old_document(
    link: LocalPrivateLink,
    vpce: str,
    example: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is decided by goes to stderr, what came of it to stdout; the old one is safe, 0600."""
    assert main(["policy", "apply", vpce, example, "--yes"], make_session=link.session) == 0
    shown = capsys.readouterr()
    (kept,) = tmp_path.glob("vpce-*.json")
    assert shown.out == (
        f"The policy of {vpce} is changed; AWS enforces it within minutes.\n"
        f"The old document is in {kept}.\n"
    )
    rights = shown.err.splitlines()
    assert rights[0] == f"Policy of {vpce} (com.amazonaws.us-east-1.sagemaker.runtime)"
    assert "- * sagemaker:InvokeEndpoint *" in rights
    assert not any(line.startswith("+") for line in rights)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert attached(link, vpce) == json.loads(EXAMPLE)["Statement"]


def test_restore_gives_the_newest_one_back_and_twice_takes_it_back(
    link: LocalPrivateLink,
    vpce: str,
    example: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a file the newest is taken; what was in force until then is kept as well."""
    default, own = DEFAULT_ENDPOINT_POLICY.as_dict()["Statement"], json.loads(EXAMPLE)["Statement"]
    assert main(["policy", "apply", vpce, example, "--yes"], make_session=link.session) == 0
    (first,) = tmp_path.glob("vpce-*.json")
    for now in (default, own, default):
        argv = ["policy", "restore", vpce, "--yes", "--json"]
        capsys.readouterr()
        assert main(argv, make_session=link.session) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["new"]["Statement"] == now == attached(link, vpce)
        assert record["kept_in"] == str(max(tmp_path.glob("vpce-*.json")))
    assert main(["policy", "restore", vpce, str(first), "--yes"], make_session=link.session) == 0
    assert "The documents are the same." in capsys.readouterr().out


def test_a_dry_run_shows_the_change_and_makes_none(
    link: LocalPrivateLink,
    vpce: str,
    example: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """--dry-run needs no --yes, writes no file and makes no changing call."""
    before = link.calls.copy()
    argv = ["policy", "apply", vpce, example, "--dry-run", "--json"]
    assert main(argv, make_session=link.session) == 0
    record = json.loads(capsys.readouterr().out)
    right = {"principal": "*", "action": "sagemaker:InvokeEndpoint", "resource": "*"}
    assert right in record["taken"]
    assert (record["given"], record["kept_in"]) == ([], None)
    assert changing(link.calls - before) == {}
    assert [path.name for path in tmp_path.glob("vpce-*")] == []


def test_the_same_document_is_no_change(
    link: LocalPrivateLink,
    vpce: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is asked, kept or changed where nothing would change; stdin is a file too."""
    ec2 = link.session().client("ec2")
    ec2.modify_vpc_endpoint(VpcEndpointId=vpce, PolicyDocument=EXAMPLE)
    before = link.calls.copy()
    typed(monkeypatch, EXAMPLE)
    assert main(["policy", "apply", vpce, "-", "--yes"], make_session=link.session) == 0
    assert capsys.readouterr().out.endswith("The documents are the same.\n")
    assert changing(link.calls - before) == {}


@pytest.mark.parametrize(
    ("argv", "deed"),
    [
        (["apply", VPCE, "policy.json"], f"change the policy of {VPCE}"),
        (["restore", VPCE, "policy.json"], f"restore the policy of {VPCE}"),
    ],
)
def test_without_a_terminal_or_yes_nothing_is_even_looked_at(
    argv: list[str],
    deed: str,
    link: LocalPrivateLink,
    example: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 2, a text that says why, and no call at all."""
    assert example == "policy.json"
    before = link.calls.copy()
    assert main(["policy", *argv], make_session=link.session) == 2
    assert capsys.readouterr() == ("", NOBODY.format(action=deed))
    assert link.calls == before


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["apply", "vpce-0123", "policy.json"], 2, "There is no VPC endpoint vpce-0123 in us-east"),
        (["apply", "myEndpoint", "policy.json"], 2, "'myEndpoint' is not the id of a VPC endpoint"),
        (["apply", "VPCE", "none.json"], 2, "'none.json' cannot be read"),
        (["apply", "VPCE", "typo.json"], 1, "did you mean sagemaker:InvokeEndpoint?"),
        (["apply", "VPCE", "policy.json", "--keep-in", "none"], 2, "'none' is no directory"),
        (["restore", "VPCE"], 2, "No policy of VPCE is kept in"),
        (["restore", "VPCE", "policy.json"], 2, "is no file that `policy apply` kept"),
        (["restore", "VPCE", "typo.json"], 2, "is no file that `policy apply` kept"),
        (["restore", "VPCE", "other.json"], 2, "'other.json' is of vpce-0123, not of VPCE."),
    ],
)
def test_what_cannot_be_applied_is_refused_with_nothing_changed(
    argv: list[str],
    status: int,
    message: str,
    link: LocalPrivateLink,
    vpce: str,
    example: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each refusal names what is wrong; the VPC endpoint keeps its policy."""
    assert example == "policy.json"
    (tmp_path / "typo.json").write_text(EXAMPLE.replace("Invoke", "Invok"), encoding="utf-8")
    other = {"vpc_endpoint_id": "vpce-0123", "region": "us-east-1", "policy": json.loads(EXAMPLE)}
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    before = link.calls.copy()
    named = [vpce if word == "VPCE" else word for word in argv]
    assert main(["policy", *named, "--yes"], make_session=link.session) == status
    shown = capsys.readouterr()
    assert message.replace("VPCE", vpce) in " ".join(shown.err.split())
    assert changing(link.calls - before) == {}
    assert attached(link, vpce) == DEFAULT_ENDPOINT_POLICY.as_dict()["Statement"]


@pytest.mark.parametrize("action", ["ec2:DescribeVpcEndpoints", "ec2:ModifyVpcEndpoint"])
def test_a_missing_permission_is_named(
    action: str,
    link: LocalPrivateLink,
    vpce: str,
    example: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """If EC2 refuses, the remedy names the permission, and the policy is as it was."""
    with link.faults.deny(action):
        assert main(["policy", "apply", vpce, example, "--yes"], make_session=link.session) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"Remedy: allow {action} for it." in shown.err
    assert attached(link, vpce) == DEFAULT_ENDPOINT_POLICY.as_dict()["Statement"]


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
@pytest.mark.parametrize(
    ("answer", "status", "changes"),
    [
        pytest.param(b"y\n", 0, 1, id="yes"),
        pytest.param(
            b"no\n",
            1,
            0,
            id="no",
            marks=pytest.mark.slow(reason="a program of its own for each key"),
        ),
        pytest.param(b"\n", 1, 0, id="enter"),
        pytest.param(
            b"\x04",
            1,
            0,
            id="ctrl-d",
            marks=pytest.mark.slow(reason="a program of its own for each key"),
        ),
        pytest.param(
            b"\x03",
            130,
            0,
            id="ctrl-c",
            marks=pytest.mark.slow(reason="a program of its own for each key"),
        ),
    ],
)
def test_the_question_on_a_terminal(
    answer: bytes,
    status: int,
    changes: int,
    link: LocalPrivateLink,
    vpce: str,
    example: str,
    tmp_path: Path,
) -> None:
    """Only yes goes on: another answer, none and Ctrl-C make no changing call."""
    before = link.calls.copy()
    ended, shown = answered(
        ["policy", "apply", vpce, example],
        answer,
        environ={**os.environ, **link.environment()},
        cwd=tmp_path,
    )
    assert ended == status, shown
    assert f"Change the policy of {vpce}? [y/N] " in shown
    assert "Traceback" not in shown
    assert ("Nothing was changed." in shown) == (status == 1)
    assert changing(link.calls - before).get("ec2:ModifyVpcEndpoint", 0) == changes
    assert len(list(tmp_path.glob("vpce-*"))) == changes


# the group


def test_the_group_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the group says which there are, as wrong usage."""
    assert main(["policy"]) == 2
    shown = capsys.readouterr()
    for name in ("build", "check", "explain", "simulate", "apply", "restore"):
        assert f"\n  {name} " in shown.out + shown.err


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("build", "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."),
        ("check", "Exit status: 0 no errors (warnings count as none), 1 errors, 2 wrong usage."),
        ("explain", "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."),
        ("simulate", "Exit status: 0 allowed, 1 denied, 2 could not tell, or wrong usage."),
        ("apply", "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."),
        ("restore", "Exit status: 0 ok, 1 what was asked for failed, 2 wrong usage."),
    ],
)
def test_help_has_examples_and_exit_statuses(
    command: str, ends: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command's help has examples and its exit statuses."""
    assert main(["policy", command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Examples:\n    sm-private-client policy {command} " in shown
    assert ends in " ".join(shown.split())


def test_a_built_document_is_what_is_attached(
    link: LocalPrivateLink, vpce: str, tmp_path: Path
) -> None:
    """build, apply and restore fit each other."""
    out = str(tmp_path / "policy.json")
    argv = ["policy", "build", "--allow-invoking", "a", "--region", "us-east-1", "--out", out]
    assert main(argv) == 0
    argv = ["policy", "apply", vpce, out, "--keep-in", str(tmp_path), "--yes"]
    assert main(argv, make_session=link.session) == 0
    meant = EndpointPolicy(region="us-east-1").allow_invoking("a")
    assert attached(link, vpce) == json.loads(to_json(meant.document))["Statement"]


# the page


@pytest.mark.parametrize(("command", "status"), [("build", 0), ("simulate", 1)])
def test_the_page_shows_what_is_printed(
    command: str, status: int, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands below an example on the command line page is what it prints."""
    assert example == "policy.json"
    page = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = page.partition(f"## sm-private-client policy {command}\n")[2].partition("\n## ")[0]
    typed_in = section.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    printed = section.partition("```text\n")[2].partition("```")[0]
    assert main(shlex.split(typed_in)[1:]) == status
    assert capsys.readouterr().out == printed
