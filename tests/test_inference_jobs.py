"""Specification of asynchronous inference: submit.py, jobs.py, job_wait.py and s3.py."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime as dt
import json
import logging
import math
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import boto3
import botocore
import botocore.session
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import (
    ConfigurationError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    PayloadError,
)
from sm_private_client.inference.codecs import JsonCodec
from sm_private_client.inference.invokers import BotocoreInvoker
from sm_private_client.inference.job_wait import Poller, PollSchedule
from sm_private_client.inference.jobs import AsyncJob
from sm_private_client.inference.operations import OperationResult, RuntimeOperation
from sm_private_client.inference.s3 import S3Location, S3Objects
from sm_private_client.inference.submit import INPUT_LIMIT, submit
from sm_private_client.testing import LocalPrivateLink, ModelFailure

MODEL = botocore.session.Session().get_service_model("sagemaker-runtime")
OPERATION = RuntimeOperation(MODEL.operation_model("InvokeEndpointAsync"))
INLINE = "Body" in OPERATION.input_members
QUICK = PollSchedule(first_pause=0.01, longest_pause=0.05)
SECRET = b"row-of-a-patient"


class Time:
    """A clock that only sleeping moves; ``on_sleep`` is called at each sleep."""

    def __init__(self, on_sleep: Callable[[int], object] = lambda _: None) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []
        self._on_sleep = on_sleep

    def sleep(self, _woken: threading.Event, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        self._on_sleep(len(self.slept))

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.seconds, tz=dt.timezone.utc)

    def schedule(self) -> PollSchedule:
        return PollSchedule(
            clock=lambda: self.seconds, now=self.now, random=lambda: 0, sleep=self.sleep
        )


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as running:
        running.control.put_object("jobs", "nothing", b"")
        running.control.put_object("inputs", "given/row", b"from s3")
        running.deploy("upper", lambda body, _: body.upper(), s3_output_path="s3://jobs/out")
        yield running


@pytest.fixture(scope="module")
def s3(link: LocalPrivateLink) -> Any:
    return boto3.Session(botocore_session=link.botocore_session()).client("s3")


@pytest.fixture(scope="module")
def invoker(link: LocalPrivateLink) -> BotocoreInvoker:
    client: Any = link.session().client("sagemaker-runtime")
    return BotocoreInvoker(client)


def text(body: bytes, _content_type: str) -> str:
    return body.decode()


def with_type(body: bytes, content_type: str) -> tuple[bytes, str]:
    return body, content_type


def submitted(invoker: BotocoreInvoker, s3: Any, **options: Any) -> AsyncJob:
    params = {"EndpointName": "upper", "ContentType": "text/plain", **options.pop("params", {})}
    options.setdefault("decode", text)
    options.setdefault("schedule", QUICK)
    return submit(
        lambda members: invoker.send("InvokeEndpointAsync", members, timeout=60),
        params,
        operation=OPERATION,
        s3=S3Objects(s3),
        **options,
    )


_names = iter(range(1_000_000))


def job_at(s3: Any, **options: Any) -> AsyncJob:
    """Return a job whose objects nobody wrote yet."""
    name = next(_names)
    options.setdefault("decode", text)
    options.setdefault("schedule", QUICK)
    options.setdefault("failure_location", f"s3://jobs/{name}-error.out")
    return AsyncJob.from_locations(output_location=f"s3://jobs/{name}.out", s3=s3, **options)


def write(s3: Any, location: str | None, body: bytes, **options: Any) -> None:
    place = S3Location.parse(location or "", name="location")
    s3.put_object(Bucket=place.bucket, Key=place.key, Body=body, **options)


# Submitting


@pytest.mark.skipif(not INLINE, reason="this botocore's InvokeEndpointAsync has no Body")
def test_a_small_input_travels_in_the_request(
    link: LocalPrivateLink, invoker: BotocoreInvoker, s3: Any
) -> None:
    """Up to 128,000 bytes; nothing is written to S3, though a prefix is there for more."""
    before = link.calls["s3:PUT"]
    job = submitted(invoker, s3, body=bytes(128_000), s3_prefix="s3://inputs/in/")
    assert job.input_location is None
    assert job.result(timeout=30) == "\0" * 128_000
    assert link.calls["s3:PUT"] == before


@pytest.mark.parametrize(
    ("prefix", "content_type", "key"),
    [
        ("s3://inputs/in/", "text/csv", r"in/[0-9a-f-]{36}\.csv"),
        ("s3://inputs/in", "text/csv; charset=utf-8", r"in/[0-9a-f-]{36}\.csv"),
        ("s3://inputs/a/b/", "application/x-npy", r"a/b/[0-9a-f-]{36}\.npy"),
        ("s3://inputs", "application/json", r"[0-9a-f-]{36}\.json"),
        ("s3://inputs/", "application/x-own", r"[0-9a-f-]{36}\.bin"),
        ("s3://inputs/", None, r"[0-9a-f-]{36}\.bin"),
    ],
)
def test_a_larger_input_is_put_under_the_prefix(
    invoker: BotocoreInvoker, s3: Any, prefix: str, content_type: str | None, key: str
) -> None:
    """Under a name of its own, with the content type; and the answer comes back."""
    body = b"a" * 128_001
    job = submitted(invoker, s3, body=body, s3_prefix=prefix, params={"ContentType": content_type})
    place = S3Location.parse(job.input_location or "", name="input_location")
    assert place.bucket == "inputs"
    assert re.fullmatch(key, place.key)
    held = s3.get_object(Bucket=place.bucket, Key=place.key)
    with held["Body"] as stored:
        assert stored.read() == body
    assert held["ContentType"] == (content_type or "binary/octet-stream")
    assert job.result(timeout=30) == body.decode().upper()


def test_the_upload_takes_boto3_s_extra_args(invoker: BotocoreInvoker, s3: Any) -> None:
    """Encryption of the object is the user's to say."""
    job = submitted(
        invoker,
        s3,
        body=bytes(128_001),
        s3_prefix="s3://inputs/kms/",
        extra_args={"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine"},
    )
    place = S3Location.parse(job.input_location or "", name="input_location")
    head = s3.head_object(Bucket=place.bucket, Key=place.key)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/mine")


def test_an_input_that_is_in_s3_stays_there(invoker: BotocoreInvoker, s3: Any) -> None:
    """Its location is sent, the object is not looked at."""
    job = submitted(invoker, s3, input_location="s3://inputs/given/row")
    assert job.input_location == "s3://inputs/given/row"
    assert job.result(timeout=30) == "FROM S3"


def test_what_a_job_knows(invoker: BotocoreInvoker, s3: Any) -> None:
    """Id, locations, inference endpoint, time; and how long it can take at most."""
    before = dt.datetime.now(dt.timezone.utc)
    job = submitted(
        invoker,
        s3,
        input_location="s3://inputs/given/row",
        params={"InferenceId": "mine", "RequestTTLSeconds": 60, "InvocationTimeoutSeconds": 30},
    )
    assert (job.inference_id, job.endpoint_name) == ("mine", "upper")
    assert job.output_location.startswith("s3://jobs/out/")
    assert str(job.failure_location).endswith("-error.out")
    assert job.submitted_at is not None
    assert before <= job.submitted_at <= dt.datetime.now(dt.timezone.utc)
    assert job.time_limit == 150
    assert repr(job) == f"<AsyncJob job mine of upper at {job.output_location}>"
    assert submitted(invoker, s3, input_location="s3://inputs/given/row").time_limit == 22_560


def never(_members: object) -> OperationResult:
    raise AssertionError("something was sent")


LOCATION = {"input_location": "s3://b-1/k"}
BIG = bytes(128_001)


@pytest.mark.parametrize(
    ("arguments", "params", "error", "what"),
    [
        (
            {"body": bytes(INPUT_LIMIT + 1), "s3_prefix": "s3://inputs/"},
            {},
            PayloadError,
            "The input has 1,073,741,825 bytes; asynchronous inference takes 1,073,741,824. "
            "Nothing was sent.",
        ),
        (
            {"body": "text"},
            {},
            PayloadError,
            "The input is a str, not bytes; nothing was sent.",
        ),
        (
            {},
            {},
            ConfigurationError,
            "An asynchronous call takes exactly one input; nothing was sent.",
        ),
        (
            {"body": b"a", **LOCATION},
            {},
            ConfigurationError,
            "An asynchronous call takes exactly one input; nothing was sent.",
        ),
        (
            LOCATION,
            {"Body": b""},
            ConfigurationError,
            "An asynchronous call takes exactly one input; nothing was sent.",
        ),
        (
            {"body": BIG, "s3_prefix": "https://inputs/in"},
            {},
            ConfigurationError,
            "s3_prefix='https://inputs/in' is not a location in S3; nothing was sent.",
        ),
        (
            {"body": BIG, "s3_prefix": "s3:///in"},
            {},
            ConfigurationError,
            "s3_prefix='s3:///in' is not a location in S3; nothing was sent.",
        ),
        (
            {"input_location": "/data/row.csv"},
            {},
            ConfigurationError,
            "InputLocation has characters or a form that is not allowed; nothing was sent.",
        ),
        (
            {"body": BIG, "s3_prefix": "s3://inputs/", "extra_args": {"Colour": "red"}},
            {},
            ConfigurationError,
            "extra_args has 'Colour'; nothing was sent.",
        ),
        (
            {"body": BIG, "s3_prefix": "s3://inputs/", "extra_args": {"ContentType": "a/b"}},
            {},
            ConfigurationError,
            "extra_args has 'ContentType'; nothing was sent.",
        ),
        (
            LOCATION,
            {"RequestTTLSeconds": 59},
            ConfigurationError,
            "RequestTTLSeconds is 59; nothing was sent.",
        ),
        (
            LOCATION,
            {"RequestTTLSeconds": 21_601},
            ConfigurationError,
            "RequestTTLSeconds is 21601; nothing was sent.",
        ),
        (
            LOCATION,
            {"InvocationTimeoutSeconds": 0},
            ConfigurationError,
            "InvocationTimeoutSeconds is 0; nothing was sent.",
        ),
        (
            LOCATION,
            {"InvocationTimeoutSeconds": 3601},
            ConfigurationError,
            "InvocationTimeoutSeconds is 3601; nothing was sent.",
        ),
        (
            {"body": BIG, "s3_prefix": "s3://inputs/"},
            {"InferenceId": "x" * 1000},
            ConfigurationError,
            "InferenceId has 1000 characters; nothing was sent.",
        ),
        (
            LOCATION,
            {"TargetVariant": "blue"},
            ConfigurationError,
            "InvokeEndpointAsync has no member 'TargetVariant'.",
        ),
    ],
)
def test_what_is_out_of_limits_is_refused_before_anything_is_sent(
    link: LocalPrivateLink,
    s3: Any,
    arguments: dict[str, Any],
    params: dict[str, Any],
    error: type[Exception],
    what: str,
) -> None:
    """No upload, no call; the message names the limit and not the value."""
    before = sum(link.calls.values())
    with pytest.raises(error) as caught:
        submit(
            never,
            {"EndpointName": "upper", **params},
            operation=OPERATION,
            s3=S3Objects(s3),
            **arguments,
        )
    assert getattr(caught.value, "what", "") == what
    assert sum(link.calls.values()) == before


def test_a_large_input_without_a_prefix_names_limit_source_and_remedy(s3: Any) -> None:
    """No bucket is ever chosen for the user."""
    if not INLINE:
        pytest.skip("here every input needs a prefix")
    with pytest.raises(PayloadError) as caught:
        submit(never, {"EndpointName": "a"}, operation=OPERATION, s3=S3Objects(s3), body=BIG)
    assert str(caught.value) == (
        "The input has 128,001 bytes and no s3_prefix is given; InvokeEndpointAsync takes 128,000 "
        "in the request. Nothing was sent.\n"
        "Cause: SageMaker Runtime's API reference sets this limit for Body.\n"
        "Remedy: pass s3_prefix='s3://bucket/prefix/': you need s3:PutObject there, and the role "
        "of the inference endpoint s3:GetObject.\n"
        "See docs/errors.md#payload"
    )


def operation_without_body() -> RuntimeOperation:
    """Return InvokeEndpointAsync as botocore 1.40 has it."""
    description: Any = json.loads(json.dumps(cast(Any, MODEL)._service_description))
    shape = description["shapes"]["InvokeEndpointAsyncInput"]
    shape["members"].pop("Body", None)
    shape.pop("payload", None)
    shape["required"] = ["EndpointName", "InputLocation"]
    old = type(MODEL)(description, "sagemaker-runtime")
    return RuntimeOperation(old.operation_model("InvokeEndpointAsync"))


def test_a_botocore_without_body_needs_the_prefix_for_any_input(
    invoker: BotocoreInvoker, s3: Any
) -> None:
    """The installed botocore's model says what can travel in the request."""
    old = operation_without_body()
    with pytest.raises(ConfigurationError) as caught:
        submit(never, {"EndpointName": "a"}, operation=old, s3=S3Objects(s3), body=b"small")
    assert str(caught.value) == (
        "InvokeEndpointAsync needs its input in S3, and no s3_prefix is given; nothing was sent.\n"
        f"Cause: botocore {botocore.__version__} does not know its member Body yet.\n"
        "Remedies, in order:\n"
        "  1. pass s3_prefix='s3://bucket/prefix/': you need s3:PutObject there, and the role of "
        "the inference endpoint s3:GetObject.\n"
        "  2. or install a newer boto3.\n"
        "See docs/errors.md#configuration"
    )
    job = submit(
        lambda members: invoker.send("InvokeEndpointAsync", members, timeout=60),
        {"EndpointName": "upper"},
        operation=old,
        s3=S3Objects(s3),
        body=b"small",
        s3_prefix="s3://inputs/old/",
        decode=text,
        schedule=QUICK,
    )
    assert job.result(timeout=30) == "SMALL"


def test_an_upload_that_s3_refuses_sends_no_call(link: LocalPrivateLink, s3: Any) -> None:
    """S3's own error comes through."""
    with link.faults.deny("s3:PUT"), pytest.raises(ClientError) as caught:
        submit(
            never,
            {"EndpointName": "upper"},
            operation=OPERATION,
            s3=S3Objects(s3),
            body=BIG,
            s3_prefix="s3://inputs/",
        )
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_an_answer_without_an_output_location_is_no_job(s3: Any) -> None:
    """There would be nothing to wait for."""
    with pytest.raises(JobError, match=r"^a accepted the call and did not say where its output"):
        submit(
            lambda _: OperationResult(members={"InferenceId": "i"}, request_id=None),
            {"EndpointName": "a"},
            operation=OPERATION,
            s3=S3Objects(s3),
            input_location="s3://b-1/k",
        )


@given(st.text("abc/-_. ", max_size=20), st.text("abc", min_size=1, max_size=5))
def test_an_input_never_leaves_its_prefix(prefix: str, name: str) -> None:
    """Its key begins with the prefix, whatever that is."""
    place = S3Location.parse(f"s3://bucket/{prefix}", name="s3_prefix", needs_key=False)
    below = place.below(name)
    assert below.bucket == "bucket"
    assert below.key.startswith(prefix)
    assert below.key.endswith(name)
    assert S3Location.parse(str(below), name="it") == below


# Results


def test_done_checks_once(link: LocalPrivateLink, s3: Any) -> None:
    """Output and failure are asked for, once each; what has ended is not asked for again."""
    job = job_at(s3)
    before = link.calls["s3:GET"]
    assert job.done() is False
    assert link.calls["s3:GET"] == before + 2
    write(s3, job.output_location, b"x")
    assert job.done() is True
    assert job.done() is True
    assert link.calls["s3:GET"] == before + 3


def test_a_job_that_is_still_queued_is_not_done(
    link: LocalPrivateLink, invoker: BotocoreInvoker, s3: Any
) -> None:
    """Accepted at once, answered later; ``result`` spans the time between."""
    with link.faults.delay_jobs(0.5, "upper", times=1):
        job = submitted(invoker, s3, input_location="s3://inputs/given/row")
    assert job.done() is False
    assert job.result(timeout=30) == "FROM S3"
    assert job.done() is True


def test_done_is_true_of_a_failed_job_too(s3: Any) -> None:
    """As for futures: done is not the same as well done."""
    job = job_at(s3)
    write(s3, job.failure_location, b"x")
    assert job.done() is True


def test_the_result_comes_when_the_output_does(s3: Any) -> None:
    """Written while it waits; decoded; kept."""

    def end(count: int) -> None:
        if count == 5:
            write(s3, job.output_location, b"late")

    clock = Time(on_sleep=end)
    job = job_at(s3, schedule=clock.schedule())
    assert job.result() == "late"
    assert clock.slept == [0.5, 1, 2, 4, 8]
    s3.delete_object(Bucket="jobs", Key=job.output_location.rpartition("/")[2])
    assert job.result() == "late"


@pytest.mark.parametrize(
    ("stored", "accept", "decoded"),
    [
        ({"ContentType": "text/csv"}, "application/json", "text/csv"),
        ({}, "application/json", "application/json"),
        ({"ContentType": "application/octet-stream"}, "text/csv", "text/csv"),
        ({}, "application/json, text/csv", "binary/octet-stream"),
        ({}, "*/*", "binary/octet-stream"),
        ({}, None, "binary/octet-stream"),
    ],
)
def test_the_object_s_content_type_decides_decoding(
    s3: Any, stored: dict[str, str], accept: str | None, decoded: str
) -> None:
    """Where S3 does not know it, the one type that was asked for does."""
    job = job_at(s3, decode=with_type, accept=accept)
    write(s3, job.output_location, b"x", **stored)
    assert job.result(timeout=30) == (b"x", decoded)


def test_without_a_decoder_the_content_type_chooses_a_codec(s3: Any) -> None:
    """A job that is taken up again needs no predictor."""
    job = AsyncJob.from_locations(output_location="s3://jobs/json.out", s3=s3)
    write(s3, job.output_location, b'{"a": 1}', ContentType=JsonCodec.content_type)
    assert job.result() == {"a": 1}


def test_an_output_that_cannot_be_decoded_stays_readable(s3: Any) -> None:
    """The decoder's error comes through, and another decoder can try."""
    job = AsyncJob.from_locations(output_location="s3://jobs/broken.out", s3=s3)
    write(s3, job.output_location, b"{", ContentType=JsonCodec.content_type)
    with pytest.raises(PayloadError):
        job.result()
    again = AsyncJob.from_locations(output_location=job.output_location, s3=s3, decode=text)
    assert again.result() == "{"


def test_the_output_wins_over_a_failure(s3: Any) -> None:
    """Both are there."""
    job = job_at(s3)
    write(s3, job.failure_location, b"bad")
    write(s3, job.output_location, b"good")
    assert job.result(timeout=30) == "good"


# Failures


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (
            b'Received server error (500) from primary with message "' + SECRET + b'".',
            " The container answered 500.",
        ),
        (
            b'Received client error (400) from primary with message "x".',
            " The container answered 400.",
        ),
        (SECRET, ""),
        (b"\xff\xfe", ""),
        (b"", ""),
    ],
)
def test_a_failure_is_told_without_what_it_holds(s3: Any, failure: bytes, status: str) -> None:
    """Location, size and the container's status; the rest may be data, and is in failure()."""
    job = job_at(s3, inference_id="i-1", endpoint_name="churn")
    write(s3, job.failure_location, failure)
    with pytest.raises(JobFailedError) as caught:
        job.result(timeout=30)
    assert str(caught.value) == (
        f"job i-1 of churn failed.{status} The failure object at {job.failure_location} has "
        f"{len(failure)} bytes; they may hold data of yours and are not shown.\n"
        "Possible causes: the model refused the input or raised; the model took longer than "
        "InvocationTimeoutSeconds; the request was queued for longer than RequestTTLSeconds; "
        "SageMaker could not read the input.\n"
        "Remedy: read it with job.failure(), and the container's log in CloudWatch.\n"
        "See docs/errors.md#job-failed"
    )
    assert job.failure() == failure


def test_a_model_that_raises_is_a_failed_job(
    link: LocalPrivateLink, invoker: BotocoreInvoker, s3: Any
) -> None:
    """End to end: SageMaker's words are in failure() only."""

    def refuse(body: bytes, _content_type: str) -> bytes:
        raise ModelFailure(415, body.decode())

    link.deploy("refuses", refuse, s3_output_path="s3://jobs/out")
    link.control.put_object("inputs", "secret", SECRET)
    params = {"EndpointName": "refuses"}
    job = submitted(invoker, s3, input_location="s3://inputs/secret", params=params)
    with pytest.raises(JobFailedError, match="The container answered 415") as caught:
        job.result(timeout=30)
    assert SECRET.decode() not in str(caught.value)
    assert SECRET in (job.failure() or b"")


def test_failure_is_none_while_there_is_none(s3: Any) -> None:
    """Also where no failure location is known."""
    assert job_at(s3).failure() is None
    assert job_at(s3, failure_location=None).failure() is None


# The deadline


def test_nothing_waits_for_ever_by_default(s3: Any) -> None:
    """RequestTTL, invocation time-out and a minute, then an error that says how to go on."""
    clock = Time()
    job = job_at(s3, schedule=clock.schedule(), endpoint_name="churn", time_limit=150)
    with pytest.raises(JobTimeoutError) as caught:
        job.result()
    assert clock.seconds == pytest.approx(1150)
    assert max(clock.slept) == 15
    out, bad = job.output_location, job.failure_location
    assert str(caught.value) == (
        f"the job of churn wrote nothing in 150 s of waiting: there is no output at {out} and no "
        f"failure at {bad}.\n"
        "Possible causes: the job is still queued or running.\n"
        "Remedy: wait on with job.result(timeout=...), or in another process with "
        f"AsyncJob.from_locations(output_location='{out}', failure_location='{bad}').\n"
        "See docs/errors.md#job-timeout"
    )
    write(s3, out, b"after all")
    assert job.result() == "after all"


@pytest.mark.parametrize(
    ("ago", "waits"), [(0, 1000), (400, 600), (999, 60), (10_000, 60), (-500, 1000)]
)
def test_the_default_counts_from_submission(s3: Any, ago: float, waits: float) -> None:
    """At least a minute and at most the limit: clocks of two machines may differ."""
    clock = Time()
    job = job_at(
        s3,
        schedule=clock.schedule(),
        submitted_at=clock.now() - dt.timedelta(seconds=ago),
        time_limit=1000,
    )
    with pytest.raises(JobTimeoutError):
        job.result()
    assert sum(clock.slept) == pytest.approx(waits)


def test_a_timeout_of_zero_checks_once(s3: Any) -> None:
    """And finds what is there."""
    clock = Time()
    job = job_at(s3, schedule=clock.schedule())
    with pytest.raises(JobTimeoutError):
        job.result(timeout=0)
    assert clock.slept == []
    write(s3, job.output_location, b"x")
    assert job.result(timeout=0) == "x"


def test_for_ever_is_only_waited_where_it_is_said(s3: Any) -> None:
    """math.inf outlasts the job's own limit."""

    def end(count: int) -> None:
        if count == 30:
            write(s3, job.output_location, b"x")

    clock = Time(on_sleep=end)
    job = job_at(s3, schedule=clock.schedule(), time_limit=10)
    assert job.result(timeout=math.inf) == "x"
    assert len(clock.slept) == 30


@pytest.mark.parametrize("timeout", [-1, math.nan, True, "5"])
def test_what_is_not_a_time_is_refused(s3: Any, timeout: Any) -> None:
    """Nothing is asked for."""
    with pytest.raises(ConfigurationError) as caught:
        job_at(s3).result(timeout=timeout)
    assert str(caught.value) == (
        f"timeout={timeout!r} is not a time.\n"
        "Remedy: give seconds from 0 on; math.inf waits for ever.\n"
        "See docs/errors.md#configuration"
    )


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_pauses_are_bounded(checks: int, drawn: float) -> None:
    """Between a half of and the whole doubled pause, never over the longest."""
    schedule = PollSchedule(random=lambda: drawn)
    most = min(0.5 * 2.0 ** min(checks, 30), 15)
    assert most / 2 <= schedule.pause(checks) <= most


# What waiting mends and what it does not


def response(code: str, status: int, message: str = "") -> ClientError:
    answered: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answered, "GetObject")


class Raising:
    """An S3 client whose connection, or service, is at fault so many times."""

    def __init__(self, error: Exception, times: int, s3: Any) -> None:
        self.error, self.times, self.s3 = error, times, s3
        self.calls = 0

    def get_object(self, **arguments: Any) -> Any:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self.s3.get_object(**arguments)


URL = "https://jobs.s3.us-east-1.amazonaws.com/x"


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
        SSLError(endpoint_url=URL, error=OSError("EOF occurred")),
        response("SlowDown", 503),
        response("ServiceUnavailable", 503),
        response("InternalError", 500),
        response("RequestTimeout", 400),
        response("ThrottlingException", 429),
        response("AccessDenied", 403),
    ],
    ids=lambda error: (
        error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    ),
)
def test_what_waiting_mends_is_outlasted(s3: Any, error: Exception) -> None:
    """``done`` says no, ``result`` waits on, and both see the output once S3 shows it."""
    client = Raising(error, 10, s3)
    clock = Time()
    job = job_at(client, schedule=clock.schedule())
    write(s3, job.output_location, b"there")
    assert job.done() is False
    assert job.result() == "there"
    assert clock.slept


@pytest.mark.parametrize(
    "error",
    [
        response("NoSuchBucket", 404),
        response("ExpiredToken", 400),
        response("InvalidAccessKeyId", 403),
        response("SignatureDoesNotMatch", 403),
        response("PermanentRedirect", 301),
        response("InvalidObjectState", 403),
        response("AccessDenied", 403, "User: x is not authorized to perform: kms:Decrypt on y"),
        NoCredentialsError(),
        SSLError(endpoint_url=URL, error=OSError("certificate verify failed")),
    ],
    ids=lambda error: (
        error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    ),
)
def test_what_waiting_does_not_mend_is_raised_at_once(s3: Any, error: Exception) -> None:
    """S3's own error, by every way of asking."""
    clock = Time()
    job = job_at(Raising(error, 10, s3), schedule=clock.schedule())
    for ask in (job.done, job.result, job.failure, lambda: asyncio.run(job.result_async())):
        with pytest.raises(type(error)) as caught:
            ask()
        assert caught.value is error
    assert clock.slept == []


def test_a_missing_bucket_is_an_error_at_once(s3: Any) -> None:
    """From S3 itself: nobody will write there."""
    job = AsyncJob.from_locations(output_location="s3://no-such-bucket/x.out", s3=s3)
    with pytest.raises(s3.exceptions.NoSuchBucket):
        job.result()


def test_a_lost_network_is_outlasted(link: LocalPrivateLink, s3: Any) -> None:
    """Real connections, reset until the fault is over."""
    fault = link.faults.reset("s3")

    def mend(count: int) -> None:
        if count == 2:
            fault.clear()

    clock = Time(on_sleep=mend)
    job = job_at(s3, schedule=clock.schedule())
    link.control.put_object("jobs", job.output_location.rpartition("/")[2], b"back")
    try:
        assert job.result() == "back"
    finally:
        fault.clear()
    assert len(clock.slept) == 2


def test_an_answer_that_breaks_off_is_read_again(s3: Any) -> None:
    """The body's read counts as part of the look."""

    class Torn:
        def __init__(self) -> None:
            self.torn = 0

        def get_object(self, **arguments: Any) -> Any:
            answer = s3.get_object(**arguments)
            if self.torn < 2:
                self.torn += 1
                answer["Body"]._amount_read = 1  # botocore then misses a byte
            return answer

    job = job_at(Torn(), schedule=Time().schedule())
    write(s3, job.output_location, b"whole")
    assert job.result() == "whole"


def test_a_failure_counts_only_where_there_is_certainly_no_output(s3: Any) -> None:
    """A look at the output that did not come through says nothing."""
    job = job_at(Raising(response("SlowDown", 503), 1, s3))
    write(s3, job.output_location, b"good")
    write(s3, job.failure_location, b"bad")
    assert job.result(timeout=30) == "good"


def test_a_timeout_after_403_names_the_permission(link: LocalPrivateLink, s3: Any) -> None:
    """S3 answers 403 instead of 404 where s3:ListBucket is missing."""
    job = job_at(s3, schedule=Time().schedule())
    with link.faults.deny("s3:GET"), pytest.raises(JobTimeoutError) as caught:
        job.result(timeout=5)
    assert (
        "Possible causes: the job is still queued or running; S3 answered the last check of "
        f"{job.output_location} with AccessDenied (HTTP 403): without the permission s3:ListBucket "
        "it does so for what is not there yet, and without s3:GetObject for what is.\n"
        "Remedies, in order:\n"
        "  1. allow s3:GetObject on both objects and s3:ListBucket on their buckets.\n"
        "  2. wait on with job.result(timeout=...)"
    ) in str(caught.value)


def test_a_timeout_without_a_network_says_so(s3: Any) -> None:
    """What the last look saw is among the causes."""
    error = EndpointConnectionError(endpoint_url=URL)
    job = job_at(Raising(error, 1000, s3), schedule=Time().schedule())
    with pytest.raises(JobTimeoutError) as caught:
        job.result(timeout=5)
    assert (
        f"S3 did not answer the last check of {job.output_location} (EndpointConnectionError).\n"
        "Remedies, in order:\n"
        "  1. check the way to S3 from here: its VPC endpoint, routes and DNS.\n"
    ) in str(caught.value)


def test_a_timeout_without_a_failure_location_says_what_that_means(s3: Any) -> None:
    """A failed job cannot be told from a slow one."""
    job = job_at(s3, schedule=Time().schedule(), failure_location=None)
    with pytest.raises(JobTimeoutError) as caught:
        job.result(timeout=5)
    assert (
        "the job is still queued or running; the job failed, and its inference endpoint has no "
        "S3FailurePath to say so.\n"
        "Remedies, in order:\n"
        "  1. set S3FailurePath in the AsyncInferenceConfig of the inference endpoint.\n"
        "  2. wait on with job.result(timeout=...), or in another process with "
        f"AsyncJob.from_locations(output_location='{job.output_location}').\n"
    ) in str(caught.value)


# Cancelling a wait


def waits(job: AsyncJob) -> None:
    deadline = time.monotonic() + 30
    while not job._wakers and time.monotonic() < deadline:
        time.sleep(0.005)


CANCELLED = (
    "Waiting for the job was cancelled.\n"
    "Cause: cancel_wait() was called; the job itself goes on.\n"
    "Remedy: wait anew with job.result().\n"
    "See docs/errors.md#job"
)


def test_cancel_wait_wakes_every_result(s3: Any) -> None:
    """From another thread, in the middle of a long pause; the job can be waited for anew."""
    job = job_at(s3, schedule=PollSchedule(first_pause=3600, longest_pause=3600))
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(job.result) for _ in range(2)]
        while len(job._wakers) < 2:
            time.sleep(0.005)
        job.cancel_wait()
        for one in waiting:
            error = one.exception(timeout=30)
            assert type(error) is JobError
            assert str(error) == CANCELLED
    assert not job._wakers
    write(s3, job.output_location, b"goes on")
    assert job.result(timeout=30) == "goes on"


def test_cancel_wait_wakes_an_await(s3: Any) -> None:
    """From another thread than the event loop's."""
    job = job_at(s3, schedule=PollSchedule(first_pause=3600, longest_pause=3600))

    async def main() -> None:
        with pytest.raises(JobError) as caught:
            await job
        assert str(caught.value) == CANCELLED

    def cancel() -> None:
        waits(job)
        job.cancel_wait()

    thread = threading.Thread(target=cancel)
    thread.start()
    asyncio.run(asyncio.wait_for(main(), 30))
    thread.join()


def test_cancel_wait_without_a_wait_does_nothing(s3: Any) -> None:
    """It does not spoil the next wait."""
    job = job_at(s3)
    job.cancel_wait()
    write(s3, job.output_location, b"x")
    assert job.result(timeout=30) == "x"


# asyncio


def test_many_jobs_are_awaited_side_by_side(s3: Any) -> None:
    """The event loop runs on meanwhile, and no thread is left when it is closed."""
    jobs = [job_at(s3, schedule=PollSchedule(first_pause=0.1, longest_pause=1)) for _ in range(30)]

    def write_all() -> None:
        for number, job in enumerate(jobs):
            waits(job)
            write(s3, job.output_location, str(number).encode())

    async def main() -> tuple[list[Any], int]:
        ticks = 0
        waiting = asyncio.gather(*jobs)
        while not waiting.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return await waiting, ticks

    writer = threading.Thread(target=write_all)
    writer.start()
    results, ticks = asyncio.run(main())
    writer.join()
    assert results == [str(number) for number in range(30)]
    assert ticks > 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio")]


def test_awaiting_raises_what_result_raises(s3: Any) -> None:
    """Failures and time-outs alike; the result is kept for both."""
    failed, slow, good = job_at(s3), job_at(s3), job_at(s3)
    write(s3, failed.failure_location, b"x")
    write(s3, good.output_location, b"x")

    async def main() -> None:
        with pytest.raises(JobFailedError):
            await failed
        with pytest.raises(JobTimeoutError):
            await slow.result_async(timeout=0.05)
        assert await good == "x"

    asyncio.run(main())
    assert good.result() == "x"
    assert asyncio.run(good.result_async()) == "x"


def test_an_await_can_be_cancelled(s3: Any) -> None:
    """As any task; nothing of it stays."""
    job = job_at(s3, schedule=PollSchedule(first_pause=3600, longest_pause=3600))

    async def main() -> None:
        task = asyncio.ensure_future(job.result_async())
        await asyncio.to_thread(waits, job)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not job._wakers


def test_many_jobs_at_once(invoker: BotocoreInvoker, s3: Any) -> None:
    """Submitted and waited for from many threads; each gets its own answer."""

    def one(number: int) -> Any:
        write(s3, f"s3://inputs/many/{number}", f"row {number}".encode())
        return submitted(invoker, s3, input_location=f"s3://inputs/many/{number}").result(60)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(24))) == [f"ROW {number}" for number in range(24)]


def test_asyncio_is_loaded_only_where_it_is_used() -> None:
    """A process that calls ``result`` does not pay for it."""
    program = (
        "import sys, sm_private_client.inference.submit\n"
        "assert not {'asyncio', 'rich', 'tqdm', 'numpy', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)  # noqa: S603 - our own program


# After a restart


def client_again() -> Any:
    return _RESTARTED[0]


_RESTARTED: list[Any] = []


def test_a_job_pickles_as_names_and_locations(
    link: LocalPrivateLink, invoker: BotocoreInvoker, s3: Any
) -> None:
    """The factory makes the client again, on first use; no credential is in the pickle."""
    made = submitted(invoker, s3, input_location="s3://inputs/given/row")
    job = AsyncJob.from_locations(
        output_location=made.output_location,
        failure_location=made.failure_location,
        s3=client_again,
        decode=text,
        endpoint_name="upper",
        submitted_at=made.submitted_at,
        time_limit=200,
        schedule=QUICK,
    )
    _RESTARTED[:] = [s3]
    assert job.result(timeout=30) == "FROM S3"
    pickled = pickle.dumps(job)
    for secret in (link.secret_access_key, link.access_key_id, "FROM S3"):
        assert secret.encode() not in pickled
    again = pickle.loads(pickled)  # noqa: S301 - our own bytes
    assert repr(again) == repr(job)
    names = ("failure_location", "endpoint_name", "submitted_at", "time_limit")
    assert [getattr(again, n) for n in names] == [getattr(job, n) for n in names]
    assert again.result(timeout=30) == "FROM S3"


def test_a_given_client_pickles_as_region_and_url(
    link: LocalPrivateLink, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials are those of the place it is unpickled at."""
    job = job_at(s3)
    write(s3, job.output_location, b"x")
    pickled = pickle.dumps(job)
    for secret in (link.secret_access_key, link.access_key_id):
        assert secret.encode() not in pickled
    again = pickle.loads(pickled)  # noqa: S301 - our own bytes
    with pytest.raises(NoCredentialsError):
        again.result(timeout=30)
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)
    there = pickle.loads(pickled)  # noqa: S301 - our own bytes
    assert there.result(timeout=30) == "x"


def test_a_session_makes_the_client(link: LocalPrivateLink, s3: Any) -> None:
    """On first use; its S3 settings are followed."""
    job = AsyncJob.from_locations(
        output_location="s3://jobs/of-session.out", session=link.session(), decode=text
    )
    write(s3, job.output_location, b"x")
    assert job.result(timeout=30) == "x"


def test_without_session_and_client_boto3_s_default_is_used(
    link: LocalPrivateLink, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart, with nothing but the location."""
    for name, value in link.environment().items():
        monkeypatch.setenv(name, value)
    job = AsyncJob.from_locations(output_location="s3://jobs/default.out", decode=text)
    write(s3, job.output_location, b"x")
    assert job.result(timeout=30) == "x"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (
            {"output_location": "s3://jobs"},
            "output_location='s3://jobs' is not a location in S3; nothing was sent.",
        ),
        (
            {"output_location": "jobs/x.out"},
            "output_location='jobs/x.out' is not a location in S3; nothing was sent.",
        ),
        (
            {"output_location": None},
            "output_location=None is not a location in S3; nothing was sent.",
        ),
        (
            {"output_location": "s3://jobs/x", "failure_location": "s3://j/x"},
            "failure_location='s3://j/x' is not a location in S3; nothing was sent.",
        ),
        (
            {"output_location": "s3://jobs/x", "session": boto3.Session(), "s3": client_again},
            "Both session= and s3= are given.",
        ),
        (
            {"output_location": "s3://jobs/x", "submitted_at": dt.datetime(2026, 1, 1)},  # noqa: DTZ001 - the point
            "submitted_at has no time zone.",
        ),
        (
            {"output_location": "s3://jobs/x", "time_limit": -1},
            "time_limit=-1 is not a time.",
        ),
    ],
)
def test_what_cannot_be_taken_up_is_refused(arguments: dict[str, Any], what: str) -> None:
    """Before any client is made."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncJob.from_locations(**arguments)
    assert caught.value.what == what


def test_the_client_is_made_once_on_first_use(s3: Any) -> None:
    """Many threads at first use get the same one."""
    made = []

    def make() -> Any:
        made.append(s3)
        return s3

    objects = S3Objects(make)
    place = S3Location(bucket="jobs", key="nothing")
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        states = {
            status.state
            for status in threads.map(lambda _: objects.check(place, read=False), range(16))
        }
    assert (states, len(made)) == ({"found"}, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads: meant
def test_a_forked_child_closes_inherited_connections_first(link: LocalPrivateLink) -> None:
    """It reads over a connection of its own, and the parent's goes on."""
    client: Any = boto3.Session(botocore_session=link.botocore_session()).client("s3")
    job = job_at(client)
    write(client, job.output_location, b"x")
    assert job.done()
    told, result = os.pipe()
    child = os.fork()
    if child == 0:  # nothing of pytest may run in the child
        closings = []
        try:
            close = client.close
            client.close = lambda: closings.append(close())
            read = job.result(timeout=30)
            os.write(result, f"{read} {len(closings)}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(result)
    assert os.read(told, 10) == b"x 1"
    os.close(told)
    assert job.result(timeout=30) == "x"


# What is shown


def test_a_line_a_minute_is_logged(s3: Any, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO, with names and no payload."""
    job = job_at(s3, schedule=Time().schedule(), inference_id="i-1")
    with caplog.at_level(logging.INFO, "sm_private_client"), pytest.raises(JobTimeoutError):
        job.result(timeout=200)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(re.fullmatch(r"job i-1 is not done after \d+ s of waiting", line) for line in lines)


class Terminal:
    """Standard error as a terminal is."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.written = ""

    def write(self, written: str) -> int:
        self.written += written
        return len(written)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("timeout", "progress", "shown"),
    [(9, None, False), (30, None, True), (30, False, False), (9, True, True)],
)
def test_a_long_wait_is_shown_on_a_terminal(
    s3: Any,
    monkeypatch: pytest.MonkeyPatch,
    timeout: float,
    progress: bool | None,
    shown: bool,
) -> None:
    """After 10 s, unless it is asked for or forbidden."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    job = job_at(s3, schedule=Time().schedule(), inference_id="i-1")
    with pytest.raises(JobTimeoutError):
        job.result(timeout=timeout, progress=progress)
    assert ("waiting for job i-1" in terminal.written) is shown


def test_waits_in_other_threads_show_nothing(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two displays would write over each other."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    job = job_at(s3, schedule=Time().schedule())
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        error = threads.submit(job.result, timeout=60).exception(timeout=60)
    assert isinstance(error, JobTimeoutError)
    assert terminal.written == ""


def test_a_wait_s_last_look_is_at_its_deadline() -> None:
    """The last pause is cut short, and there is none after it."""
    clock = Time()
    wait = Poller(clock.schedule(), timeout=4, name="it", progress=False)
    pauses = []
    while (pause := wait.pause()) is not None:
        pauses.append(pause)
        clock.seconds += pause
    assert pauses == [0.5, 1, 2, 0.5]


# botocore's own words for S3


def test_stubbed_answers_of_s3_mean_what_they_say() -> None:
    """A HEAD-like 404 without a code of its own is as absent as NoSuchKey."""
    client: Any = boto3.Session("k", "s", region_name="us-east-1").client("s3")
    objects = S3Objects(client)
    place = S3Location(bucket="jobs", key="k")
    with Stubber(client) as stub:
        for code, status, state in (
            ("NoSuchKey", 404, "absent"),
            ("404", 404, "absent"),
            ("AccessDenied", 403, "denied"),
            ("SlowDown", 503, "unreachable"),
        ):
            stub.add_client_error("get_object", code, http_status_code=status)
            assert objects.check(place, read=True).state == state
