"""Retrier: when a call goes on, what it costs, and what its error tells; without any real wait."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client import errors
from sm_private_client.inference.retrier import Retrier, attempts_made
from sm_private_client.inference.retry_policy import RetryPolicy, RetryQuota

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence


THEN: Final = 1792567680.0  # Wed, 21 Oct 2026 07:28:00 GMT
URL: Final = "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations"


def answered(status: int, code: str, /, **members: object) -> ClientError:
    """Return an error as boto3 makes it of an answer; headers' names are in lower case there."""
    response: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {
            "HTTPStatusCode": status,
            "HTTPHeaders": members.pop("headers", {}),
            "RetryAttempts": 0,
        },
        **members,
    }
    return ClientError(response, "InvokeEndpoint")


def throttled() -> ClientError:
    return answered(429, "ThrottlingException")


def unavailable(**headers: str) -> ClientError:
    return answered(503, "ServiceUnavailable", headers=headers)


def model_error(original: int) -> ClientError:
    return answered(424, "ModelError", OriginalStatusCode=original)


def read_timeout() -> exceptions.ReadTimeoutError:
    return exceptions.ReadTimeoutError(endpoint_url=URL)


def connect_timeout() -> exceptions.ConnectTimeoutError:
    return exceptions.ConnectTimeoutError(endpoint_url=URL)


class World:
    """Time that passes only where somebody sleeps or a step takes some, and no chance."""

    def __init__(self, *, draw: float = 1.0, oversleeps: float = 0.0) -> None:
        self.now = 5000.0
        self.slept: list[float] = []
        self.draw = draw
        self.oversleeps = oversleeps

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + self.oversleeps

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def retrier(self, quota: RetryQuota | None = None, /, **policy: Any) -> Retrier:
        return Retrier(
            RetryPolicy(**policy),
            quota,
            sleep=self.sleep,
            async_sleep=self.async_sleep,
            random=lambda: self.draw,
            clock=lambda: self.now,
            wall_clock=lambda: THEN,
        )


class Script:
    """A function whose attempts end as told; keeps the seconds that each was given."""

    def __init__(self, world: World, *outcomes: object, each_takes: float = 0.0) -> None:
        self._world = world
        self._left = list(outcomes)
        self._each_takes = each_takes
        self.given: list[float | None] = []

    def attempt(self, seconds: float | None) -> object:
        self.given.append(seconds)
        self._world.now += self._each_takes
        outcome = self._left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def async_attempt(self, seconds: float | None) -> object:
        return self.attempt(seconds)


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never has to wait, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    coroutine.close()
    raise AssertionError("it waits for something real")


def plain(retrier: Retrier, script: Script, **arguments: Any) -> Any:
    return retrier.call(script.attempt, **arguments)


def asynchronous(retrier: Retrier, script: Script, **arguments: Any) -> Any:
    return finished(retrier.call_async(script.async_attempt, **arguments))


Run = Any
both: Final = pytest.mark.parametrize("run", [plain, asynchronous])


def notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", []))


def failure(run: Run, retrier: Retrier, script: Script, **arguments: Any) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each test says which
        run(retrier, script, **arguments)
    return caught.value


@both
def test_a_call_that_succeeds_is_one_plain_call(run: Run) -> None:
    """One attempt, no wait, no time looked at but the beginning's."""
    world = World()
    script = Script(world, "answer")
    assert run(world.retrier(), script, timeout=70) == ("answer", 1)
    assert script.given == [70]
    assert world.slept == []


def test_tenacity_is_not_even_imported_while_nothing_fails() -> None:
    """A process whose calls succeed does not pay for it."""
    program = (
        "import sys\n"
        "from sm_private_client.inference.retrier import Retrier\n"
        "assert Retrier().call(lambda seconds: 'answer') == ('answer', 1)\n"
        "assert not {'tenacity', 'asyncio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)  # noqa: S603 - our own program


@both
def test_a_call_that_fails_is_tried_again_and_says_how_often(run: Run) -> None:
    """The answer comes with the number of attempts; waits are drawn from 0.5, 1 and 2 s."""
    world = World(draw=0.5)
    script = Script(
        world, throttled(), answered(500, "InternalFailure"), connect_timeout(), "answer"
    )
    assert run(world.retrier(), script) == ("answer", 4)
    assert world.slept == [0.25, 0.5, 1.0]


@both
def test_the_last_real_error_is_raised_with_its_attempts_as_notes(run: Run) -> None:
    """Neither wrapped nor chained, and of the very class that the client has."""
    world = World(draw=0.3)
    last = model_error(503)
    script = Script(world, throttled(), connect_timeout(), unavailable(), last)
    error = failure(run, world.retrier(), script)
    assert error is last
    assert (error.__cause__, error.__context__) == (None, None)
    assert notes(error) == [
        "attempt 1: ThrottlingException (HTTP 429)",
        "attempt 2 after 0.15 s: ConnectTimeoutError",
        "attempt 3 after 0.3 s: ServiceUnavailable (HTTP 503)",
        "attempt 4 after 0.6 s: ModelError (HTTP 424, model 503)",
        "not tried again: RetryPolicy.attempts is 4",
    ]
    assert attempts_made(error) == 4
    assert last.response["ResponseMetadata"]["RetryAttempts"] == 3


@both
@pytest.mark.parametrize(
    ("make", "attempts"),
    [
        (lambda: answered(400, "ValidationError"), 1),
        (lambda: answered(403, "AccessDeniedException"), 1),
        (lambda: errors.PublicAddressError("no", host="h", address="52.1.2.3"), 1),
        (lambda: ValueError("no"), 1),
    ],
)
def test_what_is_never_retried_is_raised_as_it_is(
    run: Run, make: Callable[[], Exception], attempts: int
) -> None:
    """Once called, at once raised, without a note."""
    world = World()
    error = make()
    assert failure(run, world.retrier(), Script(world, error)) is error
    assert notes(error) == []
    assert attempts_made(error) == attempts
    assert world.slept == []


@both
@pytest.mark.parametrize(
    ("make", "first"),
    [
        (read_timeout, "attempt 1: ReadTimeoutError"),
        (
            lambda: exceptions.ConnectionClosedError(endpoint_url=URL),
            "attempt 1: ConnectionClosedError",
        ),
    ],
)
def test_what_may_have_run_says_how_to_allow_it(
    run: Run, make: Callable[[], Exception], first: str
) -> None:
    """It is not repeated, and its notes tell the remedy; with the remedy it is repeated."""
    world = World()
    error = failure(run, world.retrier(), Script(world, make()))
    assert notes(error) == [
        first,
        "not tried again: the model may have run; RetryPolicy(safe_to_repeat=True) retries it",
    ]
    script = Script(world, make(), "answer")
    assert run(world.retrier(safe_to_repeat=True), script) == ("answer", 2)


@both
def test_a_later_error_that_is_not_retried_ends_it(run: Run) -> None:
    """Each attempt's own error decides; what went before is in the notes."""
    world = World()
    script = Script(world, throttled(), answered(400, "ValidationError"))
    error = failure(run, world.retrier(), script)
    assert notes(error) == [
        "attempt 1: ThrottlingException (HTTP 429)",
        "attempt 2 after 0.5 s: ValidationError (HTTP 400)",
        "not tried again: the request is not valid, and stays so",
    ]
    assert attempts_made(error) == 2


@both
def test_one_attempt_means_one(run: Run) -> None:
    """``attempts=1`` switches retries off, and the notes say so."""
    world = World()
    error = failure(run, world.retrier(attempts=1), Script(world, unavailable()))
    assert notes(error) == [
        "attempt 1: ServiceUnavailable (HTTP 503)",
        "not tried again: RetryPolicy.attempts is 1",
    ]


@both
def test_the_deadline_is_kept_to_the_moment(run: Run) -> None:
    """Attempts and waits count; an attempt that would begin at the deadline is not made."""
    for deadline, attempts in ((7.5, 3), (7.5001, 4)):
        # Attempts of 1 s and waits of 0.5, 1 and 3 s: the fourth would begin at 7.5.
        world = World()
        script = Script(world, *(unavailable() for _ in range(3)), "answer", each_takes=1.0)
        script._left[2] = unavailable(**{"retry-after": "3"})
        retrier = world.retrier(deadline=deadline)
        if attempts == 4:
            assert run(retrier, script) == ("answer", 4)
            continue
        error = failure(run, retrier, script)
        assert attempts_made(error) == attempts
        assert notes(error)[-1] == (
            "not tried again: the service asks for a wait of 3 s, and 3 s are left of "
            "RetryPolicy.deadline"
        )
        assert world.now == 5000 + 4.5


@both
def test_each_attempt_is_given_what_is_left(run: Run) -> None:
    """Its own time-out, or the rest of the deadline where that is less."""
    world = World()
    outcomes = [unavailable() for _ in range(3)]
    script = Script(world, *outcomes, "answer", each_takes=20.0)
    run(world.retrier(deadline=100), script, timeout=70)
    assert script.given == [70, 70, 58.5, 36.5]


@both
@pytest.mark.parametrize(
    ("timeout", "deadline", "given"),
    [
        (70, 60, [60, 59.5]),
        (None, 60, [60, 59.5]),
        (70, None, [70, 70]),
        (None, None, [None, None]),
    ],
)
def test_time_outs_with_and_without_a_deadline(
    run: Run, timeout: float | None, deadline: float | None, given: list[float | None]
) -> None:
    """No time-out and no deadline is no limit; the lesser of both counts from the first attempt."""
    world = World()
    script = Script(world, unavailable(), "answer")
    run(world.retrier(deadline=deadline), script, timeout=timeout)
    assert script.given == given


@both
def test_a_sleep_that_takes_too_long_leaves_a_time_out_that_sockets_take(run: Run) -> None:
    """A millisecond, never 0 or less."""
    world = World(oversleeps=30)
    script = Script(world, unavailable(), "answer")
    assert run(world.retrier(deadline=10), script) == ("answer", 2)
    assert script.given == [10, 0.001]


@both
@pytest.mark.parametrize(
    ("headers", "slept"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "45"}, 45),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT"}, 9),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:09 GMT",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            9,
        ),
        ({"x-amz-retry-after": "2500"}, 2.5),
        ({"retry-after": "0"}, 0.5),
        ({"retry-after": "0.25"}, 0.5),
        ({"retry-after": "soon"}, 0.5),
    ],
)
def test_retry_after_is_obeyed(run: Run, headers: dict[str, str], slept: float) -> None:
    """At least that long, beyond wait_max too; never less than the drawn wait."""
    world = World()
    assert run(world.retrier(), Script(world, unavailable(**headers), "answer")) == ("answer", 2)
    assert world.slept == [slept]


@both
@pytest.mark.parametrize(
    ("headers", "deadline", "note"),
    [
        ({"retry-after": "60"}, 60, "wait of 60 s, and 60 s are left"),
        ({"retry-after": "3600"}, 300.0, "wait of 3600 s, and 300 s are left"),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:38:00 GMT"},
            60,
            "wait of 600 s, and 60 s are left",
        ),
    ],
)
def test_retry_after_beyond_the_deadline_ends_the_call_at_once(
    run: Run, headers: dict[str, str], deadline: float, note: str
) -> None:
    """With the service's own error, and without the wait."""
    world = World()
    error = failure(run, world.retrier(deadline=deadline), Script(world, unavailable(**headers)))
    assert isinstance(error, ClientError)
    assert notes(error) == [
        "attempt 1: ServiceUnavailable (HTTP 503)",
        f"not tried again: the service asks for a {note} of RetryPolicy.deadline",
    ]
    assert world.slept == []


@both
def test_a_wait_that_nobody_can_sleep_ends_the_call(run: Run) -> None:
    """Without a deadline the platform's longest sleep is the limit."""
    world = World()
    asks = unavailable(**{"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"})
    assert failure(run, world.retrier(deadline=None), Script(world, asks)) is asks


@both
def test_a_drawn_wait_beyond_the_deadline_ends_the_call(run: Run) -> None:
    """The note tells it from a wait that the service asked for."""
    world = World()
    script = Script(world, connect_timeout(), each_takes=5.0)
    error = failure(run, world.retrier(deadline=5.25), script)
    assert notes(error)[-1] == (
        "not tried again: the next attempt needs a wait of 0.5 s, and 0.25 s are left of "
        "RetryPolicy.deadline"
    )


@both
def test_a_caller_can_observe_each_failure(run: Run) -> None:
    """Before the wait, so that a caller of many can slow down at once."""
    world = World()
    observed: list[tuple[BaseException, int]] = []

    def on_failure(error: BaseException) -> None:
        observed.append((error, len(world.slept)))

    first, second = throttled(), model_error(400)
    failure(run, world.retrier(), Script(world, first, second), on_failure=on_failure)
    assert observed == [(first, 0), (second, 1)]


@both
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_an_interrupt_is_never_swallowed(run: Run, before: int, kind: type[BaseException]) -> None:
    """In whichever attempt it comes, it ends the call at once, as itself, with its attempts."""
    world = World()
    interrupt = kind()
    failures = [throttled() for _ in range(before)]
    script = Script(world, *failures, interrupt, "never")
    observed: list[BaseException] = []
    with pytest.raises(kind) as caught:
        run(world.retrier(safe_to_repeat=True), script, on_failure=observed.append)
    assert caught.value is interrupt
    assert attempts_made(interrupt) == before + 1
    assert observed == failures
    assert len(script.given) == before + 1
    assert notes(interrupt) == []


@both
def test_an_interrupt_ends_a_wait(run: Run) -> None:
    """Ctrl-C while sleeping is Ctrl-C, and no attempt more."""
    world = World()
    sleeps = iter((None, KeyboardInterrupt()))

    def interrupted(_seconds: float) -> None:
        if (error := next(sleeps)) is not None:
            raise error

    world.sleep = interrupted  # type: ignore[method-assign,assignment] # this world's sleep is cut
    script = Script(world, throttled(), throttled(), "never")
    with pytest.raises(KeyboardInterrupt) as caught:
        run(world.retrier(), script)
    assert len(script.given) == attempts_made(caught.value) == 2


@both
def test_no_note_tells_what_was_sent_or_answered(run: Run) -> None:
    """Codes and statuses only: the message of the service may have a payload in it."""
    world = World()
    members = {"OriginalStatusCode": 503, "OriginalMessage": "secret", "Message": "secret"}
    script = Script(world, *(answered(424, "ModelError", **members) for _ in range(4)))
    error = failure(run, world.retrier(), script)
    assert len(notes(error)) == 5
    assert "secret" not in "".join(notes(error))


def test_each_retry_is_logged_for_whoever_debugs(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, in the words of the notes."""
    world = World()
    with caplog.at_level(logging.DEBUG, logger="sm_private_client"):
        plain(world.retrier(), Script(world, throttled(), "answer"))
    (record,) = caplog.records
    assert record.name == "sm_private_client.inference.retrier"
    assert record.getMessage() == "attempt 1: ThrottlingException (HTTP 429); again in 0.500 s"


@both
@given(
    attempts=st.integers(1, 30),
    deadline=st.none() | st.floats(0.01, 100),
    waits=st.tuples(st.floats(0, 50), st.floats(0, 50)).map(sorted),
    draw=st.floats(0, 1),
    each_takes=st.floats(0, 20),
    asked=st.lists(st.integers(0, 100), max_size=30),
)
def test_no_call_outstays_its_policy(
    run: Run,
    attempts: int,
    deadline: float | None,
    waits: list[float],
    draw: float,
    each_takes: float,
    asked: Sequence[int],
) -> None:
    """Whatever happens: attempts, deadline, bounds of waits and of time-outs are kept."""
    world = World(draw=draw)
    raised = [
        unavailable(**({"retry-after": str(asked[n])} if n < len(asked) else {}))
        for n in range(attempts)
    ]
    script = Script(world, *raised, each_takes=each_takes)
    retrier = world.retrier(
        attempts=attempts, deadline=deadline, wait_initial=waits[0], wait_max=waits[1]
    )
    error = failure(run, retrier, script)
    made = len(script.given)
    assert error is raised[made - 1]
    assert attempts_made(error) == made == len(world.slept) + 1 <= attempts
    for n, slept in enumerate(world.slept):
        assert slept >= 0
        assert slept <= waits[1] or slept == asked[n]
    if deadline is not None:
        assert world.now - each_takes < 5000 + deadline + 1e-6
        assert all(given is not None and 0 < given <= deadline for given in script.given)


# Quota and retrier together


@both
@pytest.mark.parametrize(
    ("make", "cost"),
    [(throttled, 5), (unavailable, 5), (connect_timeout, 10), (read_timeout, 10)],
)
def test_a_retry_costs_tokens_and_its_success_gives_them_back(
    run: Run, make: Callable[[], Exception], cost: int
) -> None:
    """5, or 10 after a time-out; only the last retry's come back; a plain success gives 1."""
    world = World()
    quota = RetryQuota(capacity=100)
    retrier = world.retrier(quota, safe_to_repeat=True)
    run(retrier, Script(world, make(), "answer"))
    assert quota.available == 100
    run(retrier, Script(world, unavailable(), make(), "answer"))
    assert quota.available == 95
    run(retrier, Script(world, "answer"))
    assert quota.available == 96
    failure(run, retrier, Script(world, make(), answered(400, "ValidationError")))
    assert quota.available == 96 - cost


@both
def test_an_empty_quota_means_one_attempt(run: Run) -> None:
    """The error says that it was the quota."""
    world = World()
    quota = RetryQuota(capacity=4)
    error = failure(run, world.retrier(quota), Script(world, unavailable()))
    assert notes(error) == [
        "attempt 1: ServiceUnavailable (HTTP 503)",
        "not tried again: too many calls fail, and the retry quota is used up",
    ]
    assert quota.available == 4


def test_a_storm_of_threads_has_a_hundred_retries_in_all() -> None:
    """However many threads call a service that is down; when it answers, tokens come back."""
    quota = RetryQuota()
    world = World()
    counted = threading.Lock()
    attempts = 0

    def caller(calls: int) -> None:
        # Each its own retrier, as each predictor of a session has; no world shared between threads.
        retrier = Retrier(RetryPolicy(attempts=10), quota, sleep=lambda _: None)

        def attempt(_seconds: float | None) -> None:
            nonlocal attempts
            with counted:
                attempts += 1
            raise unavailable()

        for _ in range(calls):
            with pytest.raises(ClientError):
                retrier.call(attempt)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(caller, [50] * 16))
    assert attempts == 16 * 50 + 500 // 5
    assert quota.available == 0
    for _ in range(7):
        plain(world.retrier(quota), Script(world, "answer"))
    assert quota.available == 7


def test_a_retrier_shows_its_policy_and_quota() -> None:
    """Its repr tells both."""
    retrier = Retrier(RetryPolicy(attempts=2), RetryQuota(capacity=3))
    assert repr(retrier) == f"Retrier({retrier.policy!r}, RetryQuota(available=3, capacity=3))"


def test_a_retrier_has_its_own_policy_and_quota_where_none_is_given() -> None:
    """``Retrier()`` is complete."""
    assert Retrier().policy == RetryPolicy()
    assert Retrier().quota.available == 500


# The event loop


def test_an_asynchronous_call_waits_on_the_event_loop() -> None:
    """By default it sleeps as asyncio does: another task runs meanwhile, and can cancel it."""
    retrier = Retrier(RetryPolicy(wait_initial=600, wait_max=600, deadline=None), random=lambda: 1)

    async def attempt(_seconds: float | None) -> None:
        raise unavailable()

    async def main() -> None:
        failed = asyncio.Event()
        task = asyncio.ensure_future(
            retrier.call_async(attempt, on_failure=lambda _error: failed.set())
        )
        await asyncio.wait_for(failed.wait(), 30)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_asynchronous_calls_do_not_disturb_each_other() -> None:
    """Many at once over one retrier, each with its own count."""
    retrier = Retrier(RetryPolicy(wait_initial=0.001, wait_max=0.001, attempts=6))

    async def one(failures: int) -> int:
        left = failures

        async def attempt(_seconds: float | None) -> int:
            nonlocal left
            await asyncio.sleep(0)
            if left:
                left -= 1
                raise unavailable()
            return failures

        value, attempts = await retrier.call_async(attempt)
        assert value == failures
        return attempts

    async def main() -> list[int]:
        return list(await asyncio.gather(*(one(n % 5) for n in range(40))))

    assert asyncio.run(main()) == [n % 5 + 1 for n in range(40)]
