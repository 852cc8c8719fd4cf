"""Changing the policy of a VPC endpoint: checked, compared, the old one kept and given back."""

from __future__ import annotations

import datetime as dt
import json
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sm_private_client.errors import (
    ConfigurationError,
    DiscoveryError,
    PolicyError,
    ProvisioningError,
)
from sm_private_client.policy.building import EndpointPolicy
from sm_private_client.policy.parsing import parse
from sm_private_client.provisioning import (
    apply_policy,
    compare_kept_policy,
    compare_policy,
    restore_policy,
)
from sm_private_client.session import Session
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/caller"
MODELS = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint"
SEED = EndpointPolicy(region="us-east-1", account_id=ACCOUNT).allow(
    "sagemaker:InvokeEndpoint", endpoint="myEndpoint"
)
OTHER = EndpointPolicy(region="us-east-1", account_id=ACCOUNT).allow(
    "sagemaker:InvokeEndpoint", endpoint="other"
)


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=("sagemaker-runtime",)) as running:
        yield running


@pytest.fixture(scope="module")
def session(link: LocalPrivateLink) -> Session:
    return link.session()


@pytest.fixture
def vpc_endpoint_id(link: LocalPrivateLink) -> Iterator[str]:
    """The VPC endpoint of the Runtime, with the policy of AWS's default."""
    found = link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id
    link.set_policy(found, None)
    yield found
    link.faults.clear()


def in_force(session: Session, vpc_endpoint_id: str) -> Any:
    ec2 = session.client("ec2")
    (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[vpc_endpoint_id])["VpcEndpoints"]
    return parse(found["PolicyDocument"])


def test_a_comparison_changes_nothing(
    link: LocalPrivateLink, session: Session, vpc_endpoint_id: str
) -> None:
    """It only describes."""
    before = link.calls.copy()
    change = compare_policy(session, vpc_endpoint_id, SEED)
    assert link.calls - before == {"ec2:DescribeVpcEndpoints": 1}
    assert (change.is_change, change.kept_in) == (True, None)


def test_a_comparison_says_which_actions_on_which_endpoints_change(
    link: LocalPrivateLink, session: Session, vpc_endpoint_id: str
) -> None:
    """What both allow is left out; a text with a wildcard is what nobody names."""
    link.set_policy(vpc_endpoint_id, OTHER.as_dict())
    change = compare_policy(session, vpc_endpoint_id, SEED)
    assert str(change).splitlines() == [
        f"Policy of {vpc_endpoint_id} (com.amazonaws.us-east-1.sagemaker.runtime)",
        f"- * sagemaker:InvokeEndpoint {MODELS}/other",
        f"- * sagemaker:InvokeEndpointWithResponseStream {MODELS}/other",
        f"+ * sagemaker:InvokeEndpoint {MODELS}/myEndpoint",
        f"+ * sagemaker:InvokeEndpointWithResponseStream {MODELS}/myEndpoint",
    ]
    record = json.loads(json.dumps(change.as_dict()))
    assert {right["resource"] for right in record["given"]} == {f"{MODELS}/myEndpoint"}
    assert {right["resource"] for right in record["taken"]} == {f"{MODELS}/other"}


def test_a_stream_is_no_right_that_invoke_endpoint_lacks(
    session: Session, vpc_endpoint_id: str
) -> None:
    """After AWS's example streams of its model still pass, jobs do not."""
    change = compare_policy(session, vpc_endpoint_id, SEED)
    taken = {one.action for one in change.rights if one.resource == f"{MODELS}/myEndpoint"}
    assert taken == {"*", "sagemaker:InvokeEndpointAsync"}


def test_more_calls_can_be_tried(session: Session, vpc_endpoint_id: str) -> None:
    """Principals, actions and inference endpoints that no document names."""
    change = compare_policy(
        session,
        vpc_endpoint_id,
        SEED,
        principals=[ROLE],
        resources=[f"{MODELS}/third"],
        actions=["sagemaker:InvokeEndpointAsync"],
    )
    assert f"- {ROLE} sagemaker:InvokeEndpointAsync {MODELS}/third" in str(change).splitlines()


def test_a_policy_is_applied_and_the_old_one_kept(
    session: Session, vpc_endpoint_id: str, tmp_path: Path
) -> None:
    """In a file of its own for its owner only; restoring gives it back, and keeps the other."""
    old = in_force(session, vpc_endpoint_id)
    now = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.timezone.utc)
    change = apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path, now=lambda: now)
    assert in_force(session, vpc_endpoint_id) == SEED.document
    kept = tmp_path / f"{vpc_endpoint_id}.policy.20261123T120000.000000Z.json"
    assert change.kept_in == kept
    assert parse(json.loads(kept.read_text(encoding="utf-8"))["policy"]) == old
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [kept]

    back = restore_policy(session, kept)
    assert in_force(session, vpc_endpoint_id) == old
    assert back.new == old
    assert back.kept_in is not None
    assert parse(json.loads(back.kept_in.read_text(encoding="utf-8"))["policy"]) == SEED.document


def test_the_same_policy_is_not_applied_again(
    link: LocalPrivateLink, session: Session, vpc_endpoint_id: str, tmp_path: Path
) -> None:
    """Nothing is changed and nothing kept."""
    link.set_policy(vpc_endpoint_id, SEED.as_dict())
    before = link.calls["ec2:ModifyVpcEndpoint"]
    change = apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path)
    assert (change.is_change, change.kept_in) == (False, None)
    assert "The documents are the same." in str(change)
    assert link.calls["ec2:ModifyVpcEndpoint"] == before
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten(
    session: Session, vpc_endpoint_id: str, tmp_path: Path
) -> None:
    """Then nothing is changed either."""
    old = in_force(session, vpc_endpoint_id)
    now = dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc)
    there = tmp_path / f"{vpc_endpoint_id}.policy.20261123T000000.000000Z.json"
    there.write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError):
        apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path, now=lambda: now)
    assert there.read_text(encoding="utf-8") == "precious"
    assert in_force(session, vpc_endpoint_id) == old
    with pytest.raises(FileNotFoundError):
        apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path / "nowhere")
    assert in_force(session, vpc_endpoint_id) == old


@pytest.mark.parametrize("failure", [PermissionError(1, "no links"), OSError(95, "no links")])
def test_file_systems_without_hard_links_will_do(
    session: Session,
    vpc_endpoint_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: OSError,
) -> None:
    """The file is as safe there: new, whole, and its owner's."""

    def no_links(*_: object) -> None:
        raise failure

    monkeypatch.setattr("os.link", no_links)
    old = in_force(session, vpc_endpoint_id)
    now = dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc)
    change = apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path, now=lambda: now)
    (kept,) = tmp_path.iterdir()
    assert change.kept_in == kept
    assert parse(json.loads(kept.read_text(encoding="utf-8"))["policy"]) == old
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        apply_policy(session, vpc_endpoint_id, OTHER, keep_in=tmp_path, now=lambda: now)
    assert in_force(session, vpc_endpoint_id) == SEED.document


UNREADABLE = (
    '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","New":1}]}'
)


def test_a_document_that_cannot_be_read_is_replaced_kept_and_given_back(
    link: LocalPrivateLink, vpc_endpoint_id: str, tmp_path: Path
) -> None:
    """AWS may know more of its grammar than this package; its document is kept word for word."""
    session = link.session()
    with link.control.ec2("us-east-1") as backend:
        backend.vpc_end_points[vpc_endpoint_id].policy_document = UNREADABLE
    change = apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path)
    assert in_force(session, vpc_endpoint_id) == SEED.document
    assert (change.old, change.rights, change.tried) == (UNREADABLE, (), 0)
    assert "The old document cannot be read, so no rights were compared." in str(change)
    assert change.as_dict()["old"] == UNREADABLE
    assert change.kept_in is not None
    sent: list[dict[str, Any]] = []
    session.events.register(
        "provide-client-params.ec2.ModifyVpcEndpoint", lambda params, **_: sent.append(params)
    )
    with pytest.raises(ProvisioningError):  # the simulator's EC2 cannot read it either
        restore_policy(session, change.kept_in)
    assert sent == [{"VpcEndpointId": vpc_endpoint_id, "PolicyDocument": UNREADABLE}]


def test_what_was_in_force_is_given_back_whatever_is_wrong_with_it(
    link: LocalPrivateLink, session: Session, vpc_endpoint_id: str, tmp_path: Path
) -> None:
    """It is told, and does not stop it: it worked before."""
    old = EndpointPolicy().allow("sagemaker:NoLongerKnown")
    link.set_policy(vpc_endpoint_id, old.as_dict())
    change = apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path)
    assert change.kept_in is not None
    preview = compare_kept_policy(session, change.kept_in)
    assert in_force(session, vpc_endpoint_id) == SEED.document
    back = restore_policy(session, change.kept_in)
    assert (back.old, back.new, back.rights) == (preview.old, preview.new, preview.rights)
    assert in_force(session, vpc_endpoint_id) == old.document
    assert "sagemaker:NoLongerKnown is no action of SageMaker." in str(back)


def test_a_policy_that_aws_would_refuse_is_not_applied(
    link: LocalPrivateLink, session: Session, vpc_endpoint_id: str, tmp_path: Path
) -> None:
    """What is wrong is said before EC2 is asked to change anything."""
    before = link.calls["ec2:ModifyVpcEndpoint"]
    with pytest.raises(PolicyError) as caught:
        apply_policy(session, vpc_endpoint_id, "{}", keep_in=tmp_path)
    assert "com.amazonaws.us-east-1.sagemaker.runtime" in str(caught.value)
    with pytest.raises(PolicyError, match="20,480 is the most"):
        apply_policy(
            session, vpc_endpoint_id, json.dumps(SEED.as_dict()) + " " * 20_480, keep_in=tmp_path
        )
    assert link.calls["ec2:ModifyVpcEndpoint"] == before
    assert list(tmp_path.iterdir()) == []


def test_a_change_that_is_refused_names_the_permission_and_the_file(
    link: LocalPrivateLink, session: Session, vpc_endpoint_id: str, tmp_path: Path
) -> None:
    """The old document is in force, and in the file."""
    old = in_force(session, vpc_endpoint_id)
    link.faults.deny("ec2:ModifyVpcEndpoint")
    with pytest.raises(ProvisioningError) as caught:
        apply_policy(session, vpc_endpoint_id, SEED, keep_in=tmp_path)
    (kept,) = tmp_path.iterdir()
    assert str(caught.value) == (
        f"The policy of {vpc_endpoint_id} was not changed; the old one is in {kept}.\n"
        "Cause: this identity is not allowed to (UnauthorizedOperation).\n"
        "Remedy: allow ec2:ModifyVpcEndpoint for it.\n"
        "See docs/errors.md#provisioning"
    )
    assert in_force(session, vpc_endpoint_id) == old


def test_a_vpc_endpoint_that_is_not_there_is_refused(
    link: LocalPrivateLink, session: Session, vpc_endpoint_id: str
) -> None:
    """Also where EC2 may not be asked."""
    with pytest.raises(ConfigurationError) as caught:
        compare_policy(session, "vpce-00000000000000000", SEED)
    assert caught.value.what == (
        "There is no VPC endpoint vpce-00000000000000000 in us-east-1 that this account sees."
    )
    link.faults.deny("ec2:DescribeVpcEndpoints")
    with pytest.raises(DiscoveryError, match="allow ec2:DescribeVpcEndpoints for it"):
        compare_policy(session, vpc_endpoint_id, SEED)


KEPT = {"vpc_endpoint_id": "vpce-0a1b2c3d", "region": "us-east-1", "policy": SEED.as_dict()}


NOT_KEPT = "FILE is not a file that apply_policy wrote."
OTHER_REGION = "FILE is of a VPC endpoint in eu-west-1, but the session's region is us-east-1."


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("not JSON", NOT_KEPT),
        ("[]", NOT_KEPT),
        (json.dumps({**KEPT, "policy": {}}), NOT_KEPT),
        (json.dumps({"region": "us-east-1"}), NOT_KEPT),
        (json.dumps({**KEPT, "vpc_endpoint_id": "*"}), NOT_KEPT),
        (json.dumps({**KEPT, "vpc_endpoint_id": ["vpce-0a1b2c3d"]}), NOT_KEPT),
        ("[" * 100_000, NOT_KEPT),
        (json.dumps(KEPT) + " " * (1 << 18), NOT_KEPT),
        (json.dumps({**KEPT, "region": "eu-west-1"}), OTHER_REGION),
    ],
)
def test_only_what_was_kept_is_restored(
    session: Session, tmp_path: Path, content: str, what: str
) -> None:
    """Another file, or one of another region, is refused."""
    kept = tmp_path / "kept.json"
    kept.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        restore_policy(session, kept)
    assert caught.value.what == what.replace("FILE", str(kept))


@pytest.mark.parametrize("bits", [0o620, 0o602, 0o666])
def test_a_policy_that_others_can_write_is_not_restored(
    session: Session, tmp_path: Path, bits: int
) -> None:
    """Who may call is not decided by a file that another user may have written."""
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(KEPT), encoding="utf-8")
    kept.chmod(bits)
    with pytest.raises(ConfigurationError, match="can be written by others; nothing was restored"):
        restore_policy(session, kept)
