"""Specification of inference/async_predictor.py: the verbs as coroutines."""

from __future__ import annotations

import asyncio
import datetime as dt
import pickle
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError

from sm_private_client.errors import ConfigurationError, PayloadError, PublicAddressError
from sm_private_client.inference.async_predictor import AsyncPredictor
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.session import Session
from sm_private_client.testing import LocalPrivateLink

T = TypeVar("T")


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        link.deploy("echo", lambda body, content_type: (body, content_type))
        yield link


def run(session: Session, name: str, use: Callable[[AsyncPredictor], Awaitable[T]]) -> T:
    """Run a coroutine with a predictor, and closes its connections before the loop ends."""

    async def main() -> T:
        async with session.async_predictor(name) as predictor:
            return await use(predictor)

    return asyncio.run(main())


def test_invoke_and_predict(link: LocalPrivateLink) -> None:
    """The same answers as Predictor's."""

    async def use(p: AsyncPredictor) -> None:
        answer = await p.invoke(b"1,2", content_type="text/csv", inference_id="i")
        assert (answer.body, answer.content_type, answer.attempts) == (b"1,2", "text/csv", 1)
        assert answer.availability_zone in {"us-east-1a", "us-east-1b"}
        assert await p.predict({"a": [1]}) == {"a": [1]}

    run(link.session(), "echo", use)


def test_many_calls_are_in_flight_at_once(link: LocalPrivateLink) -> None:
    """200 calls share one loop; every answer belongs to its own question."""

    async def use(p: AsyncPredictor) -> list[Any]:
        return await asyncio.gather(*(p.predict(n) for n in range(200)))

    assert run(link.session(), "echo", use) == list(range(200))


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        ("bytes", [b'{"a":1}\n{"a', b'":2}\n']),
        ("text", ['{"a":1}\n{"a', '":2}\n']),
        ("lines", ['{"a":1}', '{"a":2}']),
        ("json", [{"a": 1}, {"a": 2}]),
    ],
)
def test_streams_are_async_iterators(link: LocalPrivateLink, reader: str, expected: Any) -> None:
    """Each reader gives what ResponseStream's gives."""
    link.deploy("talk", lambda _, __: iter([b'{"a":1}\n{"a', b'":2}\n']))

    async def use(p: AsyncPredictor) -> list[Any]:
        async with await p.stream({"q": 1}) as stream:
            items = [item async for item in getattr(stream, reader)()]
            assert stream.parts_received == 2
            return items

    assert run(link.session(), "talk", use) == expected


def test_leaving_a_stream_early_closes_it(link: LocalPrivateLink) -> None:
    """The connection is not used again, and the next call works."""
    link.deploy("talk", lambda _, __: iter([b"a"] * 50))

    async def use(p: AsyncPredictor) -> None:
        async with await p.stream(b"") as stream:
            async for _ in stream.bytes():
                break
        assert (await p.invoke(b"1")).body

    run(link.session(), "talk", use)


def test_an_error_in_a_stream_says_how_much_had_arrived(link: LocalPrivateLink) -> None:
    """The client's own ModelStreamError, after one part of two bytes."""
    link.deploy("talk", lambda _, __: iter([b"ab", b"cd"]))

    async def use(p: AsyncPredictor) -> None:
        async with await p.stream(b"") as stream:
            with pytest.raises(ClientError) as caught:
                _ = [part async for part in stream.bytes()]
        assert type(caught.value).__name__ == "ModelStreamError"
        assert vars(caught.value)["parts_received"] == 1
        assert vars(caught.value)["bytes_received"] == 2

    with link.faults.stream_error("ModelStreamError", "talk", after_parts=1):
        run(link.session(), "talk", use)


def test_errors_are_the_clients_own(link: LocalPrivateLink) -> None:
    """The very classes of the client's exceptions, from calls and streams."""
    session: Any = link.session()
    exceptions = session.client("sagemaker-runtime").exceptions

    async def use(p: AsyncPredictor) -> None:
        with pytest.raises(exceptions.ValidationError):
            await p.invoke(b"")
        with pytest.raises(exceptions.ValidationError):
            await p.stream(b"")

    run(session, "absent", use)


def test_retries_and_the_guard_are_the_same(link: LocalPrivateLink) -> None:
    """Four attempts of the policy are four requests; a public address is never dialled."""
    session = link.session()
    waits = RetryPolicy(wait_initial=0.01, wait_max=0.02)

    async def throttled() -> None:
        p = session.async_predictor("echo", retry=waits)
        with link.faults.throttle("sagemaker:InvokeEndpoint"), pytest.raises(ClientError):
            await p.invoke(b"1")
        assert len(link.requests) == 4
        await p.aclose()

    async def public() -> None:
        p = link.session().async_predictor("echo")
        link.network.dialled.clear()
        with link.faults.dns("sagemaker-runtime", "52.1.2.3"), pytest.raises(PublicAddressError):
            await p.invoke(b"1")
        assert list(link.network.dialled) == []
        await p.aclose()

    asyncio.run(throttled())
    asyncio.run(public())
    assert (link.internet.connections, link.internet.bytes_received) == (0, 0)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda p: p.invoke("text"), PayloadError),
        (lambda p: p.invoke(b"", inference_id="a\nb"), ConfigurationError),
        (lambda p: p.invoke(b"", colour="red"), TypeError),
        (lambda p: p.predict(object()), PayloadError),
        (lambda p: p.stream(object()), PayloadError),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    link: LocalPrivateLink, call: Any, expected: type[Exception]
) -> None:
    """As by Predictor."""

    async def use(p: AsyncPredictor) -> None:
        with pytest.raises(expected):
            await call(p)

    run(link.session(), "echo", use)
    assert len(link.requests) == 0


def test_map_takes_iterables_of_both_kinds(link: LocalPrivateLink) -> None:
    """In order, errors in place where they are asked for, endless sources too."""

    async def source() -> AsyncIterator[int]:
        for n in range(50):
            yield n

    async def use(p: AsyncPredictor) -> None:
        assert [r async for r in p.map(range(50), concurrency=8)] == list(range(50))
        assert [r async for r in p.map(source(), concurrency=8)] == list(range(50))
        unordered = [r async for r in p.map(source(), ordered=False, batch_size=4)]
        assert sorted(unordered) == list(range(50))
        got = [r async for r in p.map([1, object(), 3], on_error="return")]
        assert (got[0], type(got[1]), got[2]) == (1, PayloadError, 3)
        with pytest.raises(PayloadError):
            [r async for r in p.map([1, object(), 3])]
        endless = p.map(iter(int, 1), concurrency=2)
        assert [await endless.__anext__() for _ in range(3)] == [0, 0, 0]
        await endless.aclose()

    run(link.session(), "echo", use)


@pytest.mark.parametrize(
    "wrong", [{"on_error": "retrun"}, {"concurrency": 0}, {"batch_size": 0}, {"combine": 1}]
)
def test_what_map_cannot_use_is_refused(
    link: LocalPrivateLink, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    """As Predictor.map does; nothing is called, and the journal is free for the next run."""

    async def use(p: AsyncPredictor) -> None:
        journal = tmp_path / "run.journal"
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            _ = [item async for item in p.map([1], journal=journal, **wrong)]
        assert [item async for item in p.map([1], journal=journal)] == [1]

    run(link.session(), "echo", use)


def test_map_goes_on_from_its_journal(link: LocalPrivateLink, tmp_path: Path) -> None:
    """The journal is Predictor.map's own: either goes on where the other stopped."""
    session = link.session()
    journal = tmp_path / "run.journal"
    items = [[n, n / 2] for n in range(20)]

    async def use(p: AsyncPredictor) -> list[Any]:
        return [r async for r in p.map(items, journal=journal)]

    assert run(session, "echo", use) == items
    link.requests.clear()
    assert run(link.session(), "echo", use) == items
    assert list(session.predictor("echo").map(items, journal=journal)) == items
    assert len(link.requests) == 0


def test_what_a_source_raises_comes_after_its_items(link: LocalPrivateLink) -> None:
    """Everything before it is given first."""

    def source() -> Iterator[int]:
        yield 1
        raise LookupError("source")

    async def use(p: AsyncPredictor) -> list[Any]:
        results = p.map(source())
        got = [await results.__anext__()]
        with pytest.raises(LookupError, match="source"):
            await results.__anext__()
        return got

    assert run(link.session(), "echo", use) == [1]


def test_submit_gives_a_job_to_await(link: LocalPrivateLink) -> None:
    """The upload does not block the loop, the job is awaitable."""
    session: Any = link.session()
    session.client("s3").create_bucket(Bucket="jobs")
    link.deploy("batch", lambda b, c: (b, c), s3_output_path="s3://jobs/out")

    async def use(p: AsyncPredictor) -> Any:
        job = await p.submit([1] * 70_000, s3_prefix="s3://jobs/in/")
        return await job

    assert run(session, "batch", use) == [1] * 70_000


def test_it_pickles_as_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and settings travel; the other process makes its own session."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    host = "vpce-0a1b2c3d-abcdefgh.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"https://{host}")
    made = Session(region_name="us-east-1").async_predictor("churn", target_variant="blue")
    again = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes
    assert again.endpoint_name == "churn"
    assert again._target["TargetVariant"] == "blue"
    assert repr(again).startswith("AsyncPredictor('churn', transport=AsyncInvoker(")


@pytest.mark.slow(reason="a thousand TLS connections")
def test_a_thousand_streams_are_in_flight_at_once(link: LocalPrivateLink) -> None:
    """No stream ends before all of them have begun."""
    many = 1000
    begun, lock, all_begun = [0], threading.Lock(), threading.Event()

    def talk(_: bytes, __: str) -> Iterator[bytes]:
        with lock:
            begun[0] += 1
            if begun[0] == many:
                all_begun.set()
        yield b"first"
        yield b"last" if all_begun.wait(60) else b"alone"

    link.deploy("talk", talk)

    async def one(p: AsyncPredictor) -> list[bytes]:
        async with await p.stream(b"") as stream:
            return [part async for part in stream.bytes()]

    async def use(p: AsyncPredictor) -> list[list[bytes]]:
        return await asyncio.gather(*(one(p) for _ in range(many)))

    inner = link.botocore_session()  # a thousand handshakes with one process take their time
    inner.set_default_client_config(Config(connect_timeout=60))
    session = link.session(botocore_session=inner)
    assert run(session, "talk", use) == [[b"first", b"last"]] * many


def test_credentials_are_refreshed_beside_the_loop(link: LocalPrivateLink) -> None:
    """A source that answers late holds up the calls that need it, and nothing else in the loop."""
    session: Any = link.session()
    keys = session.get_credentials().get_frozen_credentials()
    session.route("sagemaker-runtime")  # deciding it asks EC2, with credentials
    now = dt.datetime.now(dt.timezone.utc)
    beating = threading.Event()

    def refresh() -> dict[str, str | None]:
        assert beating.wait(20), "the loop stood still"
        return {
            "access_key": keys.access_key,
            "secret_key": keys.secret_key,
            "token": keys.token,
            "expiry_time": (now + dt.timedelta(hours=1)).isoformat(),
        }

    session._session._credentials = RefreshableCredentials(
        "AKIDEXPIRED", "expired", "expired", now - dt.timedelta(minutes=1), refresh, "test"
    )
    link.deploy("echo", lambda body, content_type: (body, content_type))

    async def main() -> Any:
        predictor = session.async_predictor("echo")
        calls = asyncio.gather(*(predictor.predict([n]) for n in range(5)))
        await asyncio.sleep(0.05)
        beating.set()
        return await calls

    assert asyncio.run(main()) == [[n] for n in range(5)]
