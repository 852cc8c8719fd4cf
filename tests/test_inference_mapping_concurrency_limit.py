"""The adaptive limit: grows by trying, gives way to throttling and slowness, settles."""

from __future__ import annotations

import heapq
import random
from collections import deque
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.inference.mapping.concurrency_limit import (
    MAXIMUM,
    START,
    AdaptiveLimit,
    Limit,
    is_overload,
    limit_for,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Server:
    """A service that does ``capacity`` calls at once, and throttles or queues what is more."""

    def __init__(self, capacity: int, *, queues: bool, seconds: float, spread: float) -> None:
        self.capacity = capacity
        self.clock = Clock()
        self.limit = AdaptiveLimit(clock=self.clock)
        self.throttled = 0
        self.seconds = seconds
        self.seen: list[int] = []
        self._queues = queues
        self._spread = spread
        self._random = random.Random(7)  # noqa: S311 - a model, not a secret
        self._busy = 0
        self._in_flight = 0
        self._queue: deque[list[Any]] = deque()
        self._events: list[tuple[float, int, str, list[Any]]] = []
        self._count = 0

    def run(self, calls: int) -> None:
        done = 0
        while done < calls:
            while self._in_flight < self.limit.limit:
                self._in_flight += 1
                self._arrive([self.limit.started(), True])
            self.clock.now, _, what, call = heapq.heappop(self._events)
            if what == "retry":
                self._arrive(call)
                continue
            self._busy -= 1
            done += 1
            if call[1]:
                self.limit.answered(call[0], in_flight=self._in_flight)
            self._in_flight -= 1
            if self._queue and self._busy < self.capacity:
                self._serve(self._queue.popleft())
            self.seen.append(self.limit.limit)

    def _arrive(self, call: list[Any]) -> None:
        if self._busy < self.capacity:
            self._serve(call)
        elif self._queues:
            self._queue.append(call)
        else:
            self.throttled += 1
            self.limit.overloaded()
            call[1] = False
            self._later(self._random.random() * self.seconds, "retry", call)

    def _serve(self, call: list[Any]) -> None:
        self._busy += 1
        factor = self._random.lognormvariate(0, self._spread) if self._spread else 1.0
        self._later(self.seconds * factor, "end", call)

    def _later(self, seconds: float, what: str, call: list[Any]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.clock.now + seconds, self._count, what, call))


@pytest.mark.parametrize(
    "spread", [0.0, pytest.param(0.1, marks=pytest.mark.slow(reason="72 rows of one kind")), 0.5]
)
@pytest.mark.parametrize("seconds", [0.005, 0.3, 20.0])
@pytest.mark.parametrize("capacity", [2, 8, 24, 50])
@pytest.mark.parametrize("queues", [False, True], ids=["throttles", "queues"])
def test_it_settles_near_the_capacity(
    capacity: int, seconds: float, spread: float, queues: bool
) -> None:
    """Whether a service throttles or queues, the limit settles between half and 1.5 times that.

    Three more are allowed for the smallest capacities, where a step is a large part. Where it
    throttles, at most a sixth of the attempts are probes too many, at the smallest capacity.
    """
    server = Server(capacity, queues=queues, seconds=seconds, spread=spread)
    server.run(6_000)
    settled = server.seen[2_000:]
    mean = sum(settled) / len(settled)
    assert capacity * 0.5 <= mean <= capacity * 1.5 + 3
    if not queues:
        assert max(settled) <= capacity + 2
        assert server.throttled < 1_000


def test_it_starts_small_and_never_exceeds_its_maximum() -> None:
    """From 4 it doubles to 64 where the service bears everything, and stays there."""
    server = Server(1_000, queues=False, seconds=0.1, spread=0.0)
    server.run(400)
    assert server.seen[0] == START == 4
    assert sorted(set(server.seen)) == [4, 8, 16, 32, MAXIMUM]
    assert server.throttled == 0


def test_it_follows_a_capacity_that_changes() -> None:
    """A service that scales in, and out again, is noticed both times."""
    server = Server(32, queues=False, seconds=0.1, spread=0.1)
    server.run(2_000)
    server.capacity = 4
    server.run(2_000)
    assert server.limit.limit <= 6
    server.capacity = 32
    server.run(3_000)
    assert server.limit.limit >= 14


def test_a_service_that_became_slower_is_not_starved() -> None:
    """Where calls simply take five times as long from now on, the limit comes back."""
    server = Server(1_000, queues=True, seconds=0.1, spread=0.1)
    server.run(500)
    assert server.limit.limit == MAXIMUM
    server.seconds = 0.5
    server.run(300)
    assert min(server.seen) <= 4
    server.run(1_000)
    assert server.limit.limit == MAXIMUM


def answer_a_round(
    limit: AdaptiveLimit, clock: Clock, seconds: float = 1.0, calls: int = 8
) -> None:
    started = [limit.started() for _ in range(calls)]
    clock.now += seconds
    for begun in started:
        limit.answered(begun, in_flight=limit.limit)


def test_throttling_halves_once_in_the_time_of_a_call() -> None:
    """The calls that are throttled together count once; later ones count again; 1 is the least."""
    clock = Clock()
    limit = AdaptiveLimit(clock=clock, start=16)
    answer_a_round(limit, clock, seconds=2.0, calls=16)
    seen = [limit.limit]
    for wait in (0.0, 0.1, 1.8, 0.2, 2.0, 2.0, 2.0, 2.0, 2.0):
        clock.now += wait
        limit.overloaded()
        seen.append(limit.limit)
    assert seen == [32, 16, 16, 16, 8, 4, 2, 1, 1, 1]


def test_after_a_halving_it_probes_one_by_one() -> None:
    """Doubling is for the start; afterwards a round of 16 answers adds one."""
    clock = Clock()
    limit = AdaptiveLimit(clock=clock, start=8)
    limit.overloaded()
    seen = [limit.limit]
    for _ in range(3):
        answer_a_round(limit, clock, calls=15)
        seen.append(limit.limit)
        answer_a_round(limit, clock, calls=1)
        seen.append(limit.limit)
    assert seen == [4, 4, 5, 5, 6, 6, 7]


def test_it_does_not_grow_while_it_is_not_used() -> None:
    """A consumer that asks slowly leaves calls few, which says nothing about the service."""
    clock = Clock()
    limit = AdaptiveLimit(clock=clock)
    for _ in range(100):
        begun = limit.started()
        clock.now += 1
        limit.answered(begun, in_flight=1)
    assert limit.limit == START


def test_calls_that_began_before_a_decrease_say_nothing_about_it() -> None:
    """The queue that the decrease is to empty is not counted against it once more."""
    clock = Clock()
    limit = AdaptiveLimit(clock=clock, start=8)
    old = [limit.started() for _ in range(64)]
    clock.now = 1.0
    limit.overloaded()
    for begun in old:
        limit.answered(begun, in_flight=64)
    assert limit.limit == 4


@given(
    st.lists(
        st.tuples(st.sampled_from(["answer", "overload"]), st.floats(0, 100), st.integers(1, 99))
    ),
    st.integers(1, 100),
)
def test_it_is_always_between_one_and_its_maximum(
    events: list[tuple[str, float, int]], maximum: int
) -> None:
    """Whatever is reported in whatever order, the limit is a usable number."""
    clock = Clock()
    limit = AdaptiveLimit(clock=clock, maximum=maximum)
    for what, seconds, in_flight in events:
        begun = limit.started()
        clock.now += seconds
        if what == "answer":
            limit.answered(begun, in_flight=in_flight)
        else:
            limit.overloaded()
        assert 1 <= limit.limit <= maximum


def client_error(code: str, status: int, **members: object) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **members,
    }
    return ClientError(response, "InvokeEndpoint")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client_error("ThrottlingException", 400), True),
        (client_error("TooManyRequestsException", 429), True),
        (client_error("SomethingNew", 429), True),
        (client_error("ModelNotReadyException", 429), True),
        (client_error("ServiceUnavailable", 503), True),
        (client_error("ModelError", 424, OriginalStatusCode=503), True),
        (client_error("ModelError", 424, OriginalStatusCode=429), True),
        (client_error("ModelError", 424, OriginalStatusCode=507), True),
        (ReadTimeoutError(endpoint_url="https://x"), True),
        (ConnectTimeoutError(endpoint_url="https://x"), True),
        (client_error("ModelError", 424, OriginalStatusCode=500), False),
        (client_error("ModelError", 424), False),
        (client_error("InternalFailure", 500), False),
        (client_error("InternalDependencyException", 530), False),
        (client_error("ValidationError", 400), False),
        (client_error("AccessDeniedException", 403), False),
        (ClientError({}, "InvokeEndpoint"), False),
        (EndpointConnectionError(endpoint_url="https://x"), False),
        (PayloadError("too big"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=repr,
)
def test_what_means_too_much_at_once(error: BaseException, expected: bool) -> None:
    """Throttling, 429, 503 and time-outs do; refusals and failures do not."""
    assert is_overload(error) is expected


def test_a_number_stays_what_it_is() -> None:
    """A fixed limit hears everything and changes nothing."""
    limit = limit_for(7)
    for _ in range(50):
        limit.answered(limit.started(), in_flight=7)
        limit.overloaded()
    assert type(limit) is Limit
    assert limit.limit == 7


def test_auto_adapts() -> None:
    """``auto`` begins small."""
    assert repr(limit_for("auto")) == "AdaptiveLimit(limit=4)"


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "many", None])
def test_what_is_no_concurrency_is_refused(value: Any) -> None:
    """Only ``auto`` and whole numbers from 1 up pass."""
    with pytest.raises(ConfigurationError) as caught:
        limit_for(value)
    assert str(caught.value).splitlines()[:3] == [
        f"concurrency={value!r} cannot be used.",
        'Cause: it is neither "auto" nor a whole number from 1 up.',
        'Remedy: pass concurrency="auto", or the number of calls at once.',
    ]
