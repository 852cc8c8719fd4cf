"""What has no time limit of its own is bounded."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from loopback_peer import in_child
from sm_private_client.routing.deadlines import ForkableLock, SingleFlight, run_within


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
    assert caught.value.__context__ is None
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


def test_those_who_ask_meanwhile_share_one_run() -> None:
    """One thread, one run, one outcome; later ones begin anew."""
    flight = SingleFlight()
    go_on = threading.Event()
    runs: list[str] = []

    def work() -> str:
        runs.append(threading.current_thread().name)
        go_on.wait(20)
        return "x"

    tasks = [flight.begin("key", work, what="a look-up") for _ in range(20)]
    other = flight.begin("other", lambda: "y", what="another")
    assert other.result_within(20) == "y"
    go_on.set()
    assert [task.result_within(20) for task in tasks] == ["x"] * 20
    assert runs == ["a look-up"]
    assert flight.run_within(20, "key", work, what="again") == "x"
    assert runs == ["a look-up", "again"]


def test_a_shared_run_that_takes_too_long_goes_on_for_others() -> None:
    """However many gave up, there is one thread, and who waits longer has its outcome."""
    flight = SingleFlight()
    go_on = threading.Event()
    before = threading.active_count()
    for _ in range(10):
        with pytest.raises(TimeoutError, match=r"DNS look-up of x: no answer within 0\.01 s"):
            flight.run_within(0.01, "x", go_on.wait, what="DNS look-up of x")
    assert threading.active_count() - before == 1
    go_on.set()
    assert flight.run_within(20, "x", go_on.wait, what="DNS look-up of x") is True


def test_a_shared_run_that_fails_fails_for_all() -> None:
    """With its own error; the next one begins anew."""
    flight = SingleFlight()
    outcomes = iter([LookupError("no"), "x"])

    def work() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(LookupError, match="no"):
        flight.run_within(20, "key", work, what="test")
    assert flight.run_within(20, "key", work, what="test") == "x"


def test_a_loop_waits_without_standing_still() -> None:
    """Cancelled or late waits leave the run to the others."""
    flight = SingleFlight()
    go_on = threading.Event()

    async def main() -> None:
        waiting = [
            asyncio.ensure_future(flight.run("key", go_on.wait, what="test")) for _ in range(3)
        ]
        with pytest.raises(TimeoutError):
            await flight.run("key", go_on.wait, what="test", timeout=0.01)
        waiting[0].cancel()
        go_on.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert outcomes[1:] == [True, True]

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
def test_a_forked_child_and_another_process_begin_with_none() -> None:
    """A run of the parent's is not waited for where its thread is not."""
    flight = SingleFlight()
    go_on = threading.Event()
    flight.begin("key", go_on.wait, what="the parent's")
    assert in_child(lambda: flight.run_within(5, "key", lambda: "own", what="own") == "own")
    go_on.set()
    again = pickle.loads(pickle.dumps(flight))  # noqa: S301 - our own bytes
    assert again.run_within(5, "key", lambda: "own", what="own") == "own"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_lock_that_a_thread_holds_at_a_fork_is_free_in_the_child(
    make: Callable[[], Any],
) -> None:
    """There nobody would release it; in the parent it stays held."""
    lock = ForkableLock(make)
    held, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def hold() -> None:
        with lock:
            held.set()
            go_on.wait(60)
            order.append("the thread")

    def enter() -> bool:
        signal.alarm(30)  # ends a child that waits for ever
        with lock:
            return True

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    assert in_child(enter)
    go_on.set()
    with lock:
        order.append("this one")
    thread.join()
    assert order == ["the thread", "this one"]
