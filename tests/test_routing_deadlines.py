"""What has no time limit of its own is bounded."""

from __future__ import annotations

import threading

import pytest

from sm_private_client.routing.deadlines import run_within


def test_the_result_is_given_back() -> None:
    """What the function returns is returned, ``None`` included."""
    assert run_within(5, lambda: "x", what="test") == "x"
    assert run_within(5, lambda: None, what="test") is None


class Stop(BaseException):
    """Neither an Exception nor anything else that is caught by habit."""


@pytest.mark.parametrize(
    "error", [ValueError("bad"), TimeoutError("its own"), Stop(), SystemExit(3)]
)
def test_its_error_is_raised_as_it_is(error: BaseException) -> None:
    """Whatever the function raises is raised here, the very same object."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_within(5, fail, what="test")
    assert caught.value is error


@pytest.mark.parametrize(
    ("timeout", "text"),
    [
        (0.05, "DNS look-up of x: no answer within 0.05 s"),
        (0, "DNS look-up of x: no answer within 0 s"),
        (-1, "DNS look-up of x: no answer within -1 s"),
    ],
)
def test_too_late(timeout: float, text: str) -> None:
    """A function that takes longer is left behind: a TimeoutError that says what it did."""
    release = threading.Event()
    with pytest.raises(TimeoutError) as caught:
        run_within(timeout, release.wait, what="DNS look-up of x")
    assert str(caught.value) == text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    (left,) = [t for t in threading.enumerate() if t.name == "DNS look-up of x"]
    assert left.daemon  # it does not keep the process alive
    release.set()
    left.join(5)
    assert not left.is_alive()


def test_an_error_that_comes_too_late_is_dropped() -> None:
    """What a function that was left behind raises later reaches nobody."""
    release = threading.Event()

    def fail() -> None:
        release.wait(60)
        raise ValueError("late")

    with pytest.raises(TimeoutError):
        run_within(0.05, fail, what="late failure")
    release.set()
    for thread in threading.enumerate():
        if thread.name == "late failure":
            thread.join(5)  # an unhandled error in it would fail the test


def test_callers_do_not_wait_for_each_other() -> None:
    """Each call has a thread of its own: one that hangs does not hold up another."""
    release = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            run_within(0.05, release.wait, what="hanging")
        assert run_within(5, lambda: 1, what="quick") == 1
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name == "hanging":
                thread.join(5)
