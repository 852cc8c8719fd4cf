"""RetryQuota: the token bucket."""

from __future__ import annotations

from botocore.retries.quota import RetryQuota as BotocoreQuota

from sm_private_client.inference.retry_policy import RetryQuota


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
