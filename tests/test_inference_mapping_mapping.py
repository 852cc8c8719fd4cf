"""Map: many items, bounded memory, in order or as they come, over kills and Ctrl-C."""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.inference.mapping.journal import Journal, JournalCodec, fingerprint_of
from sm_private_client.inference.mapping.mapping import MapResults, map_calls
from sm_private_client.inference.mapping.window import Combine, OnFailure

RUN = {"endpoint_name": "churn"}


def noting(items: Any, pulled: list[int]) -> Iterator[int]:
    """Return the items, and notes each as it is pulled."""
    for item in items:
        pulled.append(item)
        yield item


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends with the threads it began with; abandoned ones have a moment."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    until = time.monotonic() + 60
    while set(threading.enumerate()) - before and time.monotonic() < until:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


class Model:
    """Doubles numbers; fails, waits and counts as it is told."""

    def __init__(self) -> None:
        self.called: list[Any] = []
        self.failing: dict[Any, BaseException] = {}
        self.gates: dict[Any, threading.Event] = {}
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, item: Any, _on_failure: OnFailure, /) -> Any:
        with self._lock:
            self.called.append(item)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if not isinstance(item, list) and item in self.gates:
                assert self.gates[item].wait(30)
            if not isinstance(item, list) and item in self.failing:
                raise self.failing[item]
            return [x * 2 for x in item] if isinstance(item, list) else item * 2
        finally:
            with self._lock:
                self.running -= 1

    def gate(self, item: Any) -> threading.Event:
        return self.gates.setdefault(item, threading.Event())


@pytest.fixture
def model() -> Model:
    return Model()


def mapped(call: Any, items: Any, **options: Any) -> MapResults[Any]:
    options.setdefault("progress", False)
    return map_calls(call, items, **options)


def recording(path: Path, **changes: Any) -> JournalCodec[Any, Any]:
    options: dict[str, Any] = {
        "path": path,
        "run": RUN,
        "encode": lambda item: str(item).encode(),
        "dump": lambda result: str(result).encode(),
        "load": int,
    }
    return JournalCodec(**{**options, **changes})


# Results


@given(
    count=st.integers(0, 60),
    concurrency=st.sampled_from([1, 2, 7, "auto"]),
    ordered=st.booleans(),
    batch_size=st.integers(1, 7),
    failing=st.sets(st.integers(0, 60), max_size=5),
)
def test_every_item_has_one_result(
    count: int, concurrency: Any, ordered: bool, batch_size: int, failing: set[int]
) -> None:
    """None is lost or given twice, and in order they are those of the items."""

    def call(item: Any, _on_failure: OnFailure) -> Any:
        rows = [item] if batch_size == 1 else item
        if failing & set(rows):
            raise ValueError(str(rows))
        return rows[0] * 2 if batch_size == 1 else [row * 2 for row in rows]

    results = list(
        mapped(
            call,
            range(count),
            concurrency=concurrency,
            ordered=ordered,
            on_error="return",
            batch_size=batch_size,
        )
    )
    expected: list[Any] = []
    for first in range(0, count, batch_size):
        rows = list(range(first, min(first + batch_size, count)))
        bad = bool(failing & set(rows))
        expected += [str(rows) if bad else row * 2 for row in rows]
    got = [str(r) if isinstance(r, ValueError) else r for r in results]
    assert got == expected if ordered else Counter(got) == Counter(expected)


def test_nothing_to_do() -> None:
    """No items, no results, no calls, no threads."""
    results = mapped(None, [])
    assert list(results) == []
    assert list(results) == []


def test_nothing_is_called_before_it_is_asked_for(model: Model) -> None:
    """Making the iterator pulls and calls nothing."""
    pulled: list[int] = []
    results = mapped(model, noting(range(3), pulled), concurrency=2)
    assert (pulled, model.called) == ([], [])
    assert list(results) == [0, 2, 4]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_an_iterable_without_an_end_is_pulled_as_needed(
    model: Model, ordered: bool, batch_size: int
) -> None:
    """At most 4 times the calls at once times the batch size are ahead of the consumer."""
    pulled = itertools.count()
    with mapped(model, pulled, concurrency=3, ordered=ordered, batch_size=batch_size) as results:
        given = [next(results) for _ in range(200)]
    assert len(set(given)) == 200
    assert next(pulled) - 200 <= 4 * 3 * batch_size


def test_a_slow_first_item_holds_back_memory_not_grows_it(model: Model) -> None:
    """In order, the rest waits for the first; the window stays as it is."""
    gate = model.gate(0)
    pulled: list[int] = []
    results = mapped(model, noting(itertools.count(), pulled), concurrency=2)
    timer = threading.Timer(0.3, gate.set)
    timer.start()
    assert next(results) == 0
    assert len(pulled) <= 8
    results.close()
    timer.join()


def test_as_they_come(model: Model) -> None:
    """Out of order, a slow item keeps nobody waiting."""
    gate = model.gate(0)
    with mapped(model, range(50), concurrency=2, ordered=False) as results:
        first: list[Any] = [next(results) for _ in range(49)]
        assert sorted(first) == list(range(2, 100, 2))
        gate.set()
        assert list(results) == [0]


def test_a_slow_source_does_not_hold_results_back_for_long(model: Model) -> None:
    """A result waits for two more items of the source at the most."""
    given: list[Any] = []
    ahead: list[int] = []

    def source() -> Iterator[int]:
        for item in range(12):
            until = time.monotonic() + 60
            while (len(model.called) < item or model.running) and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(0.02)  # for the worker to hand its answer over
            ahead.append(item - len(given))
            yield item

    results = mapped(model, source(), concurrency=8)
    for result in results:
        given += [result]
    assert given == list(range(0, 24, 2))
    assert max(ahead) < 8


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_no_more_calls_at_once_than_asked_for(model: Model, concurrency: int) -> None:
    """A number is what it says, of calls and of threads, also where calls take no time."""
    most = 0
    for _ in mapped(model, range(5_000), concurrency=concurrency):
        ours = [t for t in threading.enumerate() if t.name.startswith("map-")]
        most = max(most, len(ours))
    assert model.most <= concurrency
    assert 1 <= most <= concurrency


def test_workers_go_on_while_the_consumer_is_busy(model: Model) -> None:
    """They take what was pulled by themselves, not only when a result is asked for."""
    gate = model.gate(0)
    with mapped(model, range(100), concurrency=2) as results:
        timer = threading.Timer(0.2, gate.set)  # until then the window fills
        timer.start()
        assert next(results) == 0
        timer.join()
        until = time.monotonic() + 60
        while len(model.called) < 8 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(model.called) >= 8


def test_workers_that_exited_are_spawned_again(model: Model) -> None:
    """A consumer that thinks for longer than workers wait still gets every result."""
    with mapped(model, range(30), concurrency=2) as results:
        given = [next(results)]
        until = time.monotonic() + 60
        while any(t.name.startswith("map-") for t in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.05)
        given += results
    assert given == list(range(0, 60, 2))


def test_another_thread_may_go_on_with_it(model: Model) -> None:
    """Where the thread that began has ended, its successor gets the rest."""
    results = mapped(model, range(40), concurrency=2)
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(next(results)))
    thread.start()
    thread.join()
    given += results
    assert given == list(range(0, 80, 2))


# Errors


def test_an_error_is_returned_in_its_place(model: Model) -> None:
    """``return`` gives the very exception, and goes on."""
    error = ValueError("three")
    model.failing[3] = error
    results = list(mapped(model, range(6), concurrency=2, on_error="return"))
    assert results == [0, 2, 4, error, 8, 10]
    assert results[3] is error


@pytest.mark.parametrize("ordered", [True, False])
def test_the_first_error_in_order_is_raised(model: Model, ordered: bool) -> None:
    """Item 2 fails after item 3 did; its error is the one, after the results before it."""
    model.failing = {2: ValueError("two"), 3: ValueError("three")}
    gate = model.gate(2)
    results = mapped(model, range(1_000), concurrency=4, ordered=ordered)
    timer = threading.Timer(0.2, gate.set)
    timer.start()
    given: list[Any] = []
    with pytest.raises(ValueError, match="two"):
        given.extend(results)
    timer.join()
    assert given[:2] == [0, 2] if ordered else {0, 2} <= set(given)
    assert len(model.called) < 100
    assert model.running == 0
    assert list(results) == []


def test_what_has_not_started_is_cancelled(model: Model) -> None:
    """After an error nothing more is called; what runs is waited for."""
    model.failing[0] = ValueError("zero")
    gate = model.gate(1)
    timer = threading.Timer(0.2, gate.set)
    timer.start()
    with pytest.raises(ValueError, match="zero"):
        list(mapped(model, range(1_000), concurrency=2))
    timer.join()
    assert model.running == 0
    assert len(model.called) <= 3


@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_what_is_no_exception_always_ends_the_run(model: Model, on_error: Any) -> None:
    """A SystemExit in a call is not a result."""
    model.failing[5] = SystemExit(3)
    with pytest.raises(SystemExit):
        list(mapped(model, range(100), concurrency=2, on_error=on_error))


@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_an_error_of_the_source_comes_after_what_it_gave(model: Model, on_error: Any) -> None:
    """As in a for loop: everything before it is answered first."""

    def source() -> Iterator[int]:
        yield from range(5)
        raise LookupError("the file ended")

    given: list[Any] = []
    with pytest.raises(LookupError, match="the file ended"):
        given.extend(mapped(model, source(), concurrency=3, on_error=on_error))
    assert given == [0, 2, 4, 6, 8]


def test_errors_do_not_keep_their_items() -> None:
    """A returned error is freed with its last reference: no cycle holds it or the run."""

    class MarkedError(ValueError):
        alive = 0

        def __init__(self) -> None:
            MarkedError.alive += 1
            super().__init__("marked")

        def __del__(self) -> None:
            MarkedError.alive -= 1

    def call(_item: int, _on_failure: OnFailure) -> None:
        raise MarkedError

    gc.disable()
    try:
        for _ in mapped(call, range(500), concurrency=2, on_error="return"):
            assert MarkedError.alive <= 8 + 2
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"concurrency": 0}, "concurrency=0 cannot be used."),
        ({"on_error": "ignore"}, "on_error='ignore' cannot be used."),
        ({"batch_size": 0}, "batch_size=0 cannot be used."),
        ({"combine": "rows"}, "combine= cannot be a str."),
    ],
)
def test_bad_arguments_are_refused_at_once(
    tmp_path: Path, options: dict[str, Any], what: str
) -> None:
    """Before anything is pulled, called or written."""
    with pytest.raises(ConfigurationError) as caught:
        mapped(None, itertools.count(), journal=recording(tmp_path / "j"), **options)
    assert str(caught.value).splitlines()[0] == what
    assert list(tmp_path.iterdir()) == []


# Capacity


class Throttling:
    """A service that does a few calls at once and throttles more; the caller retries."""

    def __init__(self, capacity: int, *, tells: bool) -> None:
        self.throttled = 0
        self.most = 0
        self._tells = tells
        self._free = threading.Semaphore(capacity)
        self._lock = threading.Lock()
        self._running = 0

    def __call__(self, item: int, on_failure: OnFailure, /) -> int:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            while not self._free.acquire(blocking=False):
                with self._lock:
                    self.throttled += 1
                if self._tells:
                    on_failure(
                        ClientError({"Error": {"Code": "ThrottlingException"}}, "InvokeEndpoint")
                    )
                time.sleep(0.002)
            time.sleep(0.002)
            self._free.release()
            return item * 2
        finally:
            with self._lock:
                self._running -= 1


def test_throttled_attempts_lower_the_limit() -> None:
    """Told of them, ``auto`` stays near what the service bears, and loses no item."""
    service = Throttling(6, tells=True)
    results = mapped(service, range(1_500))
    assert list(results) == list(range(0, 3_000, 2))
    assert "limit" in repr(results)
    assert 1 <= int(repr(results).rstrip(">").rpartition(" ")[2]) <= 14


def test_throttling_that_is_raised_lowers_the_limit() -> None:
    """Also where the caller's policy gave up, or has no retries."""

    def call(_item: int, _on_failure: OnFailure) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "InvokeEndpoint")

    results = mapped(call, range(100), on_error="return")
    assert all(isinstance(result, ClientError) for result in results)
    assert int(repr(results).rstrip(">").rpartition(" ")[2]) < 4


# Batches


@pytest.mark.parametrize("ordered", [True, False])
def test_a_batch_is_one_call(model: Model, ordered: bool) -> None:
    """Items go in as a list, only the last one shorter; results stay per item."""
    results = mapped(model, range(402), concurrency=2, ordered=ordered, batch_size=4)
    assert Counter(results) == Counter(range(0, 804, 2))
    assert sorted(model.called) == [
        list(range(first, min(first + 4, 402))) for first in range(0, 402, 4)
    ]


def test_a_batch_of_one_is_joined_where_a_combine_is_given() -> None:
    """A model that wants its items wrapped gets them wrapped."""
    combine = Combine(join=lambda items: {"i": items}, split=lambda answer, _count: answer["p"])
    results = mapped(
        lambda payload, _observe: {"p": payload["i"]}, range(3), concurrency=1, combine=combine
    )
    assert list(results) == [0, 1, 2]


def test_each_item_of_a_failed_batch_has_its_error() -> None:
    """The other batches are answered."""
    error = ValueError("no")

    def call(items: list[int], _on_failure: OnFailure) -> list[int]:
        if 4 in items:
            raise error
        return items

    results = list(mapped(call, range(9), concurrency=2, batch_size=3, on_error="return"))
    assert results == [0, 1, 2, error, error, error, 6, 7, 8]


def test_an_answer_of_another_length_is_each_items_error() -> None:
    """Answers are never shifted."""
    results = list(mapped(lambda items, _: items[1:], range(3), batch_size=3, on_error="return"))
    assert [str(result).splitlines()[0] for result in results] == [
        "A batch of 3 items was answered by 2 rows."
    ] * 3
    assert all(isinstance(result, PayloadError) for result in results)


# The journal


def test_a_second_run_calls_nothing_again(model: Model, tmp_path: Path) -> None:
    """Everything comes from the journal, in order."""
    path = tmp_path / "run.journal"
    first = list(mapped(model, range(50), journal=recording(path)))
    assert sorted(model.called) == list(range(50))
    model.called.clear()
    assert list(mapped(model, range(50), journal=recording(path))) == first
    assert model.called == []


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("ordered", [True, False])
def test_only_what_is_missing_is_called(
    model: Model, tmp_path: Path, batch_size: int, ordered: bool
) -> None:
    """Known items are not put into batches; results and gaps come out in their places."""
    path = tmp_path / "run.journal"
    with Journal(path, RUN) as journal:
        for index in range(0, 200, 3):
            journal.record(index, fingerprint_of(b"%d" % index), b"%d" % (index * 2))
    results: list[Any] = list(
        mapped(
            model,
            range(200),
            concurrency=2,
            ordered=ordered,
            batch_size=batch_size,
            journal=recording(path),
        )
    )
    assert (results if ordered else sorted(results)) == list(range(0, 400, 2))
    called = [x for c in model.called for x in (c if isinstance(c, list) else [c])]
    assert sorted(called) == [i for i in range(200) if i % 3]


def test_a_lone_item_before_many_known_ones_is_called(model: Model, tmp_path: Path) -> None:
    """A batch that does not fill goes when the window is full of what is known."""
    path = tmp_path / "run.journal"
    with Journal(path, RUN) as journal:
        for index in range(1, 500):
            journal.record(index, fingerprint_of(b"%d" % index), b"%d" % (index * 2))
    results = mapped(model, range(500), concurrency=1, batch_size=8, journal=recording(path))
    assert list(results) == list(range(0, 1_000, 2))
    assert model.called == [[0]]


def test_failed_items_are_tried_again_by_the_next_run(model: Model, tmp_path: Path) -> None:
    """An error is no answer; the rest is not repeated."""
    path = tmp_path / "run.journal"
    model.failing[3] = ValueError("three")
    list(mapped(model, range(6), on_error="return", journal=recording(path)))
    model.failing.clear()
    model.called.clear()
    assert list(mapped(model, range(6), journal=recording(path))) == [0, 2, 4, 6, 8, 10]
    assert model.called == [3]


def test_other_items_are_refused(model: Model, tmp_path: Path) -> None:
    """A journal is of these items in this order."""
    path = tmp_path / "run.journal"
    list(mapped(model, range(6), journal=recording(path)))
    with pytest.raises(ConfigurationError, match="Item 0 is not the one"):
        list(mapped(model, range(1, 7), on_error="return", journal=recording(path)))
    assert list(mapped(model, range(6), journal=recording(path))) == [0, 2, 4, 6, 8, 10]


def test_what_cannot_be_encoded_or_dumped_is_the_items_error(model: Model, tmp_path: Path) -> None:
    """The other items go on."""

    def encode(item: int) -> bytes:
        if item == 1:
            raise PayloadError("cannot be encoded")
        return str(item).encode()

    def dump(result: int) -> bytes:
        if result == 4:
            raise PayloadError("cannot be kept")
        return str(result).encode()

    results = list(
        mapped(
            model,
            range(4),
            on_error="return",
            journal=recording(tmp_path / "j", encode=encode, dump=dump),
        )
    )
    assert [r if isinstance(r, int) else str(r).splitlines()[0] for r in results] == [
        0,
        "cannot be encoded",
        "cannot be kept",
        6,
    ]
    assert 1 not in model.called


def test_an_item_that_cannot_be_encoded_ends_the_run_where_errors_are_raised(
    model: Model, tmp_path: Path
) -> None:
    """Also where earlier items are still waiting for their batch to fill."""

    def encode(item: int) -> bytes:
        if item == 2:
            raise PayloadError("cannot be encoded")
        return str(item).encode()

    with pytest.raises(PayloadError, match="cannot be encoded"):
        list(
            mapped(
                model,
                range(100),
                batch_size=10,
                journal=recording(tmp_path / "j", encode=encode),
            )
        )


# Ending it


def test_closing_stops_it(model: Model) -> None:
    """The calls under way end, the rest is not made, the iterator is at its end."""
    results = mapped(model, itertools.count(), concurrency=3)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    results.close()
    results.close()
    called = len(model.called)
    assert called <= 5 + 12
    assert model.running == 0
    assert list(results) == []
    assert not [t for t in threading.enumerate() if t.name.startswith("map-")]
    assert len(model.called) == called
    assert "closed" in repr(results)


def test_abandoning_it_stops_it(model: Model, tmp_path: Path) -> None:
    """A break without a close: threads end, the journal is freed (and nothing warns)."""
    path = tmp_path / "run.journal"
    for _ in mapped(model, itertools.count(), concurrency=3, journal=recording(path)):
        break
    gc.collect()
    until = time.monotonic() + 60
    while any(t.name.startswith("map-") for t in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
    with Journal(path, RUN) as journal:
        assert journal.answered >= 1


def test_an_error_of_the_consumer_stops_it(model: Model) -> None:
    """The with statement closes it."""

    def consume() -> None:
        with mapped(model, itertools.count(), concurrency=2) as results:
            raise KeyError(next(results))

    with pytest.raises(KeyError):
        consume()
    assert not [t for t in threading.enumerate() if t.name.startswith("map-")]


def test_threads_are_no_daemons_and_bear_the_name(model: Model) -> None:
    """They are found in dumps, and never cut off in the midst of a record."""
    gate = model.gate(1)
    with mapped(model, range(10), concurrency=2, name="churn") as results:
        assert next(results) == 0
        ours = [t for t in threading.enumerate() if t.name.startswith("churn-")]
        assert ours
        assert not any(t.daemon for t in ours)
        gate.set()


# Other processes

CHILD = """
import itertools, os, sys, threading, time
from pathlib import Path
from sm_private_client.inference.mapping.journal import JournalCodec
from sm_private_client.inference.mapping.mapping import map_calls

journal, log, out, count, batch, ending = sys.argv[1:]
calls = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def call(item, on_failure):
    rows = item if isinstance(item, list) else [item]
    os.write(calls, b"".join(b"%d\\n" % row for row in rows))
    time.sleep(0.001)
    return [row * 2 for row in rows] if isinstance(item, list) else item * 2

results = map_calls(
    call, itertools.count() if count == "endless" else range(int(count)),
    concurrency=4, batch_size=int(batch), progress=False,
    journal=JournalCodec(path=journal, run={"endpoint_name": "churn"},
        encode=lambda item: str(item).encode(), dump=lambda r: b"%d" % r, load=int),
)
with open(out, "w") as output:
    try:
        for result in results:
            output.write(f"{result}\\n")
            output.flush()
            if ending == "leave":
                break
    except KeyboardInterrupt:
        names = [t.name for t in threading.enumerate() if t.name.startswith("map-")]
        print("interrupted", names, flush=True)
        raise
"""


class Child:
    """A run in a process of its own, which notes what it calls and what it gives."""

    def __init__(self, directory: Path) -> None:
        self.journal = directory / "run.journal"
        self.log = directory / "calls"
        self.out = directory / "out"
        self.log.touch()

    def start(self, count: int | str, *, batch: int = 1, ending: str = "") -> subprocess.Popen[str]:
        files = (str(self.journal), str(self.log), str(self.out))
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", CHILD, *files, str(count), str(batch), ending],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def called(self) -> list[int]:
        return [int(line) for line in self.log.read_text().split()]

    def wait_for_calls(self, count: int) -> None:
        until = time.monotonic() + 60
        while len(self.called()) < count:
            assert time.monotonic() < until
            time.sleep(0.002)

    def answered(self, count: int) -> set[int]:
        if not self.journal.exists():
            return set()
        with Journal(self.journal, RUN) as journal:
            found = [journal.find(i, fingerprint_of(b"%d" % i)) for i in range(count)]
        assert all(value == b"%d" % (i * 2) for i, value in enumerate(found) if value is not None)
        return {i for i, value in enumerate(found) if value is not None}


@pytest.mark.slow(reason="other programs")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("batch", [1, 7])
def test_a_killed_run_goes_on(tmp_path: Path, batch: int) -> None:
    """Killed again and again at any point: nothing lost, nothing twice, nothing finished redone."""
    count = 600
    chance = random.Random(batch)  # noqa: S311 - moments to kill at
    child = Child(tmp_path)
    known: set[int] = set()
    for _ in range(8):
        before = len(child.called())
        running = child.start(count, batch=batch)
        child.wait_for_calls(min(before + chance.randrange(1, 80), before + count - len(known)))
        time.sleep(chance.random() * 0.01)
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=240)
        assert not known & set(child.called()[before:])
        now = child.answered(count)
        assert known <= now
        assert now <= set(child.called())
        # What was called and is not in the journal was under way: one call a worker.
        assert len(set(child.called()) - now) <= 4 * batch * 8
        given = child.out.read_text().splitlines(keepends=True)
        assert [int(line) for line in given] == list(range(0, len(given) * 2, 2))
        known = now
    before = len(child.called())
    running = child.start(count, batch=batch)
    _, errors = running.communicate(timeout=120)
    assert (running.returncode, errors) == (0, "")
    assert [int(line) for line in child.out.read_text().split()] == list(range(0, count * 2, 2))
    assert sorted(child.called()[before:]) == sorted(set(range(count)) - known)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_stops_it_cleanly(tmp_path: Path) -> None:
    """Whatever was called is in the journal when the program has ended; then it goes on."""
    child = Child(tmp_path)
    running = child.start("endless")
    child.wait_for_calls(50)
    running.send_signal(signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert running.returncode in (-signal.SIGINT, 130)
    assert errors.strip().endswith("KeyboardInterrupt")
    called = child.called()
    assert len(called) == len(set(called))
    # The interrupt may have hit the loop's own body, whose handler runs before the closing.
    assert printed.startswith("interrupted")
    count = len(called) + 20
    assert child.answered(count) == set(called)
    running = child.start(count)
    assert running.communicate(timeout=60) == ("", "")
    assert sorted(child.called()) == list(range(count))
    assert [int(line) for line in child.out.read_text().split()] == list(range(0, count * 2, 2))


def test_the_end_of_the_program_does_not_wait_for_an_open_run(tmp_path: Path) -> None:
    """An iterator that is still there when the program ends keeps it for no more than its calls."""
    child = Child(tmp_path)
    running = child.start("endless", ending="leave")
    assert running.communicate(timeout=60) == ("", "")
    assert running.returncode == 0
    called = child.called()
    assert 1 <= len(called) <= 16 + 4
    assert child.answered(len(called)) == set(called)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_leaves_the_run_to_its_parent() -> None:
    """Collecting the iterator in the child waits for nobody's lock and stops nothing."""
    script = """
        import gc, os, sys, time
        from sm_private_client.inference.mapping.mapping import map_calls
        results = map_calls(lambda item, _: item, range(100), concurrency=2, progress=False)
        next(results)
        pid = os.fork()
        if pid == 0:
            del results
            gc.collect()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        print(sum(results))
    """
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("4950\n", "")


# Progress


def test_progress_is_shown_where_it_is_asked_for(
    model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, with name and count; by default only on a terminal."""
    list(map_calls(model, range(5), progress=True, name="churn"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "churn" in shown.err
    assert "5/5" in shown.err
    list(map_calls(model, range(5)))
    list(map_calls(model, range(5), progress=False))
    assert capsys.readouterr() == ("", "")


def test_nothing_is_given_before_it_is_written_down(tmp_path: Path) -> None:
    """A consumer that is fast never empties a place that the journal has not read yet."""
    items = list(range(200))
    for number in range(20):
        for _ in range(2):
            recording: JournalCodec[int, int] = JournalCodec(
                path=tmp_path / f"{number}.journal",
                run={"name": "race"},
                encode=lambda item: str(item).encode(),
                dump=lambda result: json.dumps(result).encode(),
                load=json.loads,
            )
            made = map_calls(
                lambda item, _: item, items, concurrency=2, batch_size=4, journal=recording
            )
            assert list(made) == items
