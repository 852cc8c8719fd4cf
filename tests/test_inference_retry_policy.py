"""RetryPolicy: defaults, what it refuses, the waits it draws. RetryQuota: the token bucket."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
from botocore.retries.quota import RetryQuota as BotocoreQuota
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client import errors
from sm_private_client.inference.retry_policy import RetryPolicy, RetryQuota


def test_the_defaults_are_as_documented() -> None:
    """Four attempts in 300 s, waits from 0.5 s up to 20 s, nothing twice that may have run."""
    assert RetryPolicy() == RetryPolicy(
        attempts=4,
        deadline=300.0,
        wait_initial=0.5,
        wait_max=20.0,
        safe_to_repeat=False,
        model_statuses={0, 502, 503, 504, 507},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            (
                {"attempts": value},
                f"RetryPolicy(attempts={value!r}) cannot be used.\n"
                "Remedy: pass a whole number from 1 on.",
            )
            for value in (0, -1, 2.0, "3", True, None)
        ),
        *(
            (
                {"deadline": value},
                f"RetryPolicy(deadline={value!r}) cannot be used.\n"
                "Remedy: pass seconds greater than 0, or None for no limit.",
            )
            for value in (0, -1.0, float("nan"), float("inf"), "60", True)
        ),
        *(
            (
                {name: value},
                f"RetryPolicy({name}={value!r}) cannot be used.\nRemedy: pass seconds, 0 or more.",
            )
            for name in ("wait_initial", "wait_max")
            for value in (-0.1, float("nan"), float("inf"), None, "1", False)
        ),
        (
            {"wait_initial": 21},
            "RetryPolicy(wait_initial=21) cannot be used.\n"
            "Remedy: pass at most wait_max, which is 20.0.",
        ),
        *(
            (
                {"safe_to_repeat": value},
                f"RetryPolicy(safe_to_repeat={value!r}) cannot be used.\n"
                "Remedy: pass True or False.",
            )
            for value in (1, "yes", None)
        ),
        *(
            (
                {"model_statuses": value},
                f"RetryPolicy(model_statuses={value!r}) cannot be used.\n"
                "Remedy: pass a set of HTTP statuses, such as {429, 503}.",
            )
            for value in ({600}, {-1}, {"503"}, {True}, [503], 503, None)
        ),
    ],
)
def test_what_a_policy_refuses(arguments: dict[str, Any], message: str) -> None:
    """Values of a wrong type or range are refused where they are given, with the remedy."""
    with pytest.raises(errors.ConfigurationError) as caught:
        RetryPolicy(**arguments)
    assert str(caught.value) == f"{message}\nSee docs/errors.md#configuration"


@pytest.mark.parametrize(
    "policy",
    [
        RetryPolicy(),
        RetryPolicy(attempts=1, deadline=None, wait_initial=0, wait_max=0),
        RetryPolicy(safe_to_repeat=True, model_statuses=set()),
    ],
)
def test_policies_pickle_and_compare_by_value(policy: RetryPolicy) -> None:
    """Predictors pickle as recipes, and the policy is a part of it."""
    again = pickle.loads(pickle.dumps(policy))  # noqa: S301 - our own bytes
    assert again == policy
    assert hash(again) == hash(policy)


def test_a_policy_never_changes() -> None:
    """It is frozen, takes keywords only, and keeps its own copy of a set."""
    statuses = {503}
    policy = RetryPolicy(model_statuses=statuses)
    statuses.add(500)
    assert policy.model_statuses == {503}
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.attempts = 9  # type: ignore[misc] # that is the test
    with pytest.raises(TypeError):
        RetryPolicy(3)  # type: ignore[call-arg] # that is the test


@given(
    waits=st.tuples(st.floats(0, 1e300), st.floats(0, 1e300)).map(sorted),
    failures=st.integers(1, 100_000),
    draw=st.floats(0, 1),
)
def test_no_wait_is_drawn_outside_its_bounds(
    waits: list[float], failures: int, draw: float
) -> None:
    """From 0 to wait_max, however often a call failed."""
    policy = RetryPolicy(wait_initial=waits[0], wait_max=waits[1])
    assert 0 <= policy.backoff(failures, draw=draw) <= policy.wait_max


def test_waits_are_drawn_from_twice_as_much_each_time() -> None:
    """Full jitter: any part of the whole, down to none."""
    policy = RetryPolicy(wait_initial=0.5, wait_max=3)
    assert [policy.backoff(n, draw=1.0) for n in (1, 2, 3, 4, 5)] == [0.5, 1, 2, 3, 3]
    assert [policy.backoff(n, draw=0.25) for n in (1, 2, 3, 4)] == [0.125, 0.25, 0.5, 0.75]
    assert policy.backoff(4, draw=0.0) == 0


# The quota


def test_a_quota_gives_until_it_is_empty_and_takes_back_to_its_capacity() -> None:
    """All or none of what is asked; never below 0, never above the capacity."""
    quota = RetryQuota(capacity=12)
    assert [quota.acquire(5) for _ in range(3)] == [True, True, False]
    assert quota.available == 2
    assert quota.acquire(2)
    quota.release(1)
    assert repr(quota) == "RetryQuota(available=1, capacity=12)"
    quota.release(100)
    assert quota.available == 12
    quota.release(1)
    assert quota.available == 12


def test_a_quota_starts_as_botocore_s_does() -> None:
    """500 tokens."""
    assert RetryQuota().available == BotocoreQuota().available_capacity == 500
