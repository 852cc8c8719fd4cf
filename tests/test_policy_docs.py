"""The page on endpoint policies tells the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sm_private_client import policy
from sm_private_client.policy.condition_keys import NOT_SUPPLIED
from sm_private_client.policy.evaluation import evaluate

if TYPE_CHECKING:
    import pytest

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "endpoint-policies.md"
EXAMPLE: Final = re.compile(
    r"^```python\n(?P<code>.*?)^```\n\n(?:[^`]*?\n\n)?^```text\n(?P<printed>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def test_the_examples_of_the_page_print_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    """They are executed one after the other, as a reader would."""
    text = PAGE.read_text(encoding="utf-8")
    examples = list(EXAMPLE.finditer(text))
    assert len(examples) == text.count("```python\n")
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example["code"], PAGE.name, "exec"), names)  # noqa: S102 - our own page
        assert capsys.readouterr().out == example["printed"]


def test_the_page_has_the_limits_and_the_keys_of_the_code() -> None:
    """The size and the keys that SageMaker does not supply."""
    text = PAGE.read_text(encoding="utf-8")
    assert f"{policy.ENDPOINT_POLICY_SIZE:,} characters, white space included" in text
    assert all(f"`{key}`" in text for key in NOT_SUPPLIED)


def test_the_page_names_what_the_room_gives() -> None:
    """Its functions, as they are called."""
    text = PAGE.read_text(encoding="utf-8")
    for name in ("evaluate", "evaluate_operation", "check", "diff", "explain", "confine_to"):
        assert f"{name}(" in text


def test_without_a_policy_everything_passes() -> None:
    """The default of a VPC endpoint allows any call, and says so when it is looked over."""
    decision = evaluate(
        policy.DEFAULT_ENDPOINT_POLICY,
        principal="arn:aws:iam::123456789012:user/anna",
        action="sagemaker:DeleteEndpoint",
        resource="arn:aws:sagemaker:us-east-1:123456789012:endpoint/x",
    )
    assert decision.allowed
    (problem,) = policy.check(policy.DEFAULT_ENDPOINT_POLICY)
    assert problem.message == "everybody may do everything, as without a policy."
