"""Specification of inference/predictor.py, invokers.py and engines.py: calls over every path."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.loaders import create_loader
from botocore.stub import Stubber

from as_read import as_read
from sm_private_client.errors import (
    ConfigurationError,
    NoPrivateRouteError,
    PayloadError,
    PublicAddressError,
    StreamInterruptedError,
)
from sm_private_client.inference.invocation import Invocation
from sm_private_client.inference.predictor import Predictor
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.session import Session
from sm_private_client.session.private_routes import routes_of
from sm_private_client.testing import LocalPrivateLink

PATHS = ("direct", "botocore")
RUNTIME = botocore.session.Session().get_service_model("sagemaker-runtime")
INLINE = "Body" in RUNTIME.operation_model("InvokeEndpointAsync").input_shape.members  # type: ignore[union-attr] # it has a shape


def echo(body: bytes, content_type: str) -> tuple[bytes, str]:
    return body, content_type


@pytest.fixture
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink() as link:
        link.deploy("echo", echo)
        yield link


def predictor(session: Session, name: str, path: Any, **options: Any) -> Predictor:
    """Make a predictor over one of the paths."""
    return session.predictor(name, transport=path, **options)


@pytest.mark.parametrize("path", PATHS)
def test_invoke_gives_the_answer_as_it_is(link: LocalPrivateLink, path: str) -> None:
    """Bytes out, bytes in, and what the service says besides."""
    made = predictor(link.session(), "echo", path)
    answer = made.invoke(
        b"1,2\xff", content_type="text/csv", custom_attributes="trace=1", inference_id="i-1"
    )
    assert isinstance(answer, Invocation)
    assert (answer.body, answer.content_type) == (b"1,2\xff", "text/csv")
    assert answer.invoked_production_variant == "AllTraffic"
    assert answer.request_id
    assert answer.attempts == 1
    assert answer.seconds > 0
    assert answer.members["Body"] == b"1,2\xff"
    assert b"1,2" not in repr(answer).encode()
    zones = {"us-east-1a", "us-east-1b"}
    assert path == "botocore" or answer.availability_zone in zones
    assert link.requests[-1].operation == "InvokeEndpoint"


@as_read
def test_every_member_of_the_model_can_be_given_and_read(link: LocalPrivateLink) -> None:
    """Walks botocore's model, so that a new member cannot be missed."""
    model = botocore.session.Session().get_service_model("sagemaker-runtime")
    operation: Any = model.operation_model("InvokeEndpoint")
    seen: dict[str, Any] = {}

    class Recorder:
        def send(self, _: str, params: Any, *, timeout: float | None, limit: int | None) -> Any:
            seen.update(params, timeout=timeout, limit=limit)
            raise KeyboardInterrupt

    made = link.session().predictor("echo")
    made._invoker = Recorder()  # type: ignore[assignment] # one verb is enough here
    with pytest.raises(KeyboardInterrupt):
        made.invoke(
            b"x",
            content_type="a",
            accept="b",
            custom_attributes="c",
            inference_id="d",
            session_id="e",
            prefix_aware_id="f",
            explanations="g",
            inference_component="h",
            target_variant="i",
            target_model="j",
            target_container="k",
            members={"Future": "z"},
            timeout=3,
        )
    assert set(operation.input_shape.members) <= set(seen)
    assert set(seen) - set(operation.input_shape.members) <= {
        "Future",
        "timeout",
        "limit",
        "PrefixAwareId",
    }
    assert seen["timeout"] == 3
    reachable = {
        "Body": "body",
        "ContentType": "content_type",
        "InvokedProductionVariant": "invoked_production_variant",
        "CustomAttributes": "custom_attributes",
        "NewSessionId": "new_session_id",
        "ClosedSessionId": "closed_session_id",
    }
    assert set(operation.output_shape.members) <= set(reachable)
    assert set(reachable.values()) <= set(Invocation.__dataclass_fields__)


@pytest.mark.parametrize("path", PATHS)
def test_operations_of_a_later_model_do_not_matter(
    link: LocalPrivateLink, tmp_path: Path, path: str
) -> None:
    """What a later botocore's Runtime has besides, such as one without input, is left alone."""
    description: Any = dict(cast(Any, RUNTIME)._service_description)
    ping = {"name": "Ping", "http": {"method": "GET", "requestUri": "/ping"}}
    description["operations"] = {**description["operations"], "Ping": ping}
    model = tmp_path / "sagemaker-runtime" / RUNTIME.api_version / "service-2.json"
    model.parent.mkdir(parents=True)
    model.write_text(json.dumps(description), encoding="utf-8")
    core = link.botocore_session()
    core.register_component("data_loader", create_loader(str(tmp_path)))
    assert "Ping" in core.get_service_model("sagemaker-runtime").operation_names
    made = predictor(link.session(botocore_session=core), "echo", path)
    assert made.invoke(b"1").body == b"1"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "data", [{"a": [1, None, "\u00e9"]}, [[1, 2], [3, 4]], "text", b"raw", 5], ids=repr
)
def test_predict_encodes_and_decodes(link: LocalPrivateLink, path: str, data: Any) -> None:
    """What goes out comes back from a model that echoes."""
    assert predictor(link.session(), "echo", path).predict(data) == data


@pytest.mark.parametrize("path", PATHS)
def test_stream_gives_the_answer_as_it_comes(link: LocalPrivateLink, path: str) -> None:
    """Parts, text, JSON: whatever path carries them."""
    link.deploy("talk", lambda _, __: iter([b'{"a":1}\n{"a', b'":2}', b"\n"]))
    made = predictor(link.session(), "talk", path)
    with made.stream({"q": 1}) as stream:
        assert list(stream.json()) == [{"a": 1}, {"a": 2}]
        assert stream.parts_received == 3
        assert stream.time_to_first_byte is not None
    with made.stream({"q": 1}) as stream:
        assert next(iter(stream.bytes())) == b'{"a":1}\n{"a'
    assert made.predict is not None
    assert predictor(link.session(), "echo", path).invoke(b"1").body == b"1"


@pytest.mark.parametrize("path", PATHS)
def test_errors_are_the_clients_own(link: LocalPrivateLink, path: str) -> None:
    """The very classes of session.client("sagemaker-runtime").exceptions, with every field."""

    def broken(_: bytes, __: str) -> bytes:
        raise ValueError("no")

    link.deploy("broken", broken)
    session: Any = link.session()
    exceptions = session.client("sagemaker-runtime").exceptions
    once = RetryPolicy(attempts=1)
    with pytest.raises(exceptions.ModelError) as caught:
        predictor(session, "broken", path, retry=once).invoke(b"1")
    assert caught.value.response["OriginalStatusCode"] == 500
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    for verb in ("invoke", "stream"):
        with pytest.raises(exceptions.ValidationError) as absent:
            getattr(predictor(session, "absent", path), verb)(b"1")
        assert "Endpoint absent of account" in str(absent.value)
    wrong = link.session(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
    with pytest.raises(ClientError) as refused:
        predictor(wrong, "echo", path).invoke(b"1")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


@pytest.mark.parametrize("path", PATHS)
def test_retries_have_one_owner(link: LocalPrivateLink, path: str) -> None:
    """Four attempts of the policy are four requests, on every path; success counts its own."""
    waits = RetryPolicy(attempts=4, wait_initial=0.01, wait_max=0.02)
    made = predictor(link.session(), "echo", path, retry=waits)
    link.faults.throttle("sagemaker:InvokeEndpoint", times=2)
    assert made.invoke(b"1").attempts == 3
    link.requests.clear()
    with link.faults.throttle("sagemaker:InvokeEndpoint"), pytest.raises(ClientError):
        made.invoke(b"1")
    assert len(link.requests) == 4


@pytest.mark.parametrize("path", PATHS)
def test_the_guard_stands_under_every_path(link: LocalPrivateLink, path: str) -> None:
    """A public address is refused before a byte is sent, and not retried."""
    made = predictor(link.session(), "echo", path)
    link.network.dialled.clear()
    with link.faults.dns("sagemaker-runtime", "52.1.2.3"), pytest.raises(PublicAddressError):
        made.invoke(b"1")
    assert list(link.network.dialled) == []
    assert (link.internet.connections, link.internet.bytes_received) == (0, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda p: p.invoke("text"), PayloadError),
        (lambda p: p.invoke(bytes(25 * 1024 * 1024 + 1)), PayloadError),
        (lambda p: p.invoke(b"", custom_attributes="x" * 10_000), ConfigurationError),
        (lambda p: p.invoke(b"", inference_id="a\nb"), ConfigurationError),
        (lambda p: p.invoke(b"", members={"Colour": "red"}), ConfigurationError),
        (lambda p: p.predict(object()), PayloadError),
        (lambda p: p.stream(object()), PayloadError),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    link: LocalPrivateLink, path: str, call: Any, expected: type[Exception]
) -> None:
    """Wrong type, too large, header out of limits: refused early on every path."""
    made = predictor(link.session(), "echo", path)
    link.requests.clear()
    with pytest.raises(expected):
        call(made)
    assert len(link.requests) == 0


@pytest.mark.parametrize("verb", ["invoke", "predict", "stream", "submit", "map"])
def test_an_option_that_does_not_exist_is_refused(link: LocalPrivateLink, verb: str) -> None:
    """By every verb, before anything is sent; map refuses it at once, not for each item."""
    call: Any = getattr(link.session().predictor("echo"), verb)
    for misspelt in ({"contenttype": "text/csv"}, {"contenttype": None}):
        with pytest.raises(TypeError, match=r"^unexpected keyword argument 'contenttype'$"):
            call(b"1", **misspelt)
    with pytest.raises(TypeError, match="unexpected keyword argument 'retries'"):
        link.session().predictor("echo", retries=3)  # type: ignore[call-arg] # that is the test
    assert len(link.requests) == 0


def test_predictors_of_a_session_share_connections(link: LocalPrivateLink) -> None:
    """The second predictor dials nothing."""
    session = link.session()
    assert session.predictor("echo").invoke(b"1").body == b"1"
    link.network.dialled.clear()
    assert session.predictor("echo", timeout=5).invoke(b"1").body == b"1"
    assert list(link.network.dialled) == []


@pytest.mark.parametrize("path", PATHS)
def test_invoke_and_stream_have_time_outs_of_their_own(link: LocalPrivateLink, path: str) -> None:
    """``timeout`` is for invoke, ``stream_timeout`` for streams, for ever if ``None``."""
    link.deploy("chat", lambda *_: iter((b"one", b"two")))
    session, once = link.session(), RetryPolicy(attempts=1)
    link.requests.clear()
    made = predictor(session, "chat", path, timeout=0.2, stream_timeout=None, retry=once)
    with link.faults.stall(0.5, "chat", after_parts=1), made.stream(b"") as stream:
        assert list(stream.bytes()) == [b"one", b"two"]
    with link.faults.stall(endpoint_name="chat"), pytest.raises(ReadTimeoutError):
        made.invoke(b"1")
    made = predictor(session, "chat", path, timeout=60, stream_timeout=2, retry=once)
    with (
        link.faults.stall(endpoint_name="chat", after_parts=1),
        made.stream(b"") as stream,
        pytest.raises(StreamInterruptedError) as caught,
    ):
        list(stream.bytes())
    assert caught.value.parts_received == 1
    made = predictor(session, "echo", path, timeout=60, stream_timeout=0.2, retry=once)
    with link.faults.stall(0.5, "echo"):
        assert made.invoke(b"1").body == b"1"
    streamed, invoked = "InvokeEndpointWithResponseStream", "InvokeEndpoint"
    sent = [request.operation for request in link.requests]
    assert sent == [streamed, invoked, streamed, invoked]


def test_it_works_over_any_client(link: LocalPrivateLink) -> None:
    """Predictor(name, client=…): a routed client, a plain one, a stubbed one."""
    client: Any = link.session().client("sagemaker-runtime")
    assert Predictor("echo", client=client).predict([1]) == [1]
    plain: Any = boto3.client(
        "sagemaker-runtime",
        "us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        endpoint_url="https://127.0.0.1:1",
    )
    with Stubber(plain) as stubber:
        stubber.add_response(
            "invoke_endpoint_async", {"InferenceId": "i", "OutputLocation": "s3://b/k"}
        )
        invoker = Predictor("echo", client=plain)._invoker
        params = {"EndpointName": "echo", "InputLocation": "s3://b/in"}
        answer = invoker.send("InvokeEndpointAsync", params, timeout=None)
    assert answer.members["OutputLocation"] == "s3://b/k"


@pytest.mark.parametrize("arguments", [{}, {"client": object(), "invoker": object()}])
def test_it_needs_one_carrier(arguments: Any) -> None:
    """Neither a client nor a session is not enough, both are too many."""
    with pytest.raises(ConfigurationError, match="A Predictor needs a client"):
        Predictor("echo", **arguments)


def test_a_transport_is_named(link: LocalPrivateLink) -> None:
    """Anything but direct and botocore is refused."""
    wrong: Any = "carrier-pigeon"
    with pytest.raises(ConfigurationError, match="transport= has 'carrier-pigeon'"):
        link.session().predictor("echo", transport=wrong)


def test_the_repr_says_which_engine_carries(link: LocalPrivateLink) -> None:
    """State is in the repr, and nothing secret."""
    session = link.session()
    host = link.vpc_endpoint("sagemaker-runtime").name.host
    made = predictor(session, "echo", "direct")
    assert "DirectTransport(host=None, idle=0)" in repr(made)  # nobody has decided the route yet
    made.invoke(b"1")
    text = repr(made)
    assert text.startswith("Predictor('echo', transport=DirectInvoker(DirectTransport(")
    assert host in text
    assert link.secret_access_key not in text


def test_a_predictor_is_made_without_any_io(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look-up, no question to EC2, no credentials, no CA bundle: its first call does that."""
    link.delete_vpc_endpoint(link.vpc_endpoint("sagemaker-runtime").vpc_endpoint_id)
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
    session: Any = link.session()
    session._session.get_credentials = None  # it is not asked for
    link.network.looked_up.clear()
    made = session.predictor("echo")
    assert (list(link.network.looked_up), len(link.requests), dict(link.calls)) == ([], 0, {})
    del session._session.get_credentials
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(NoPrivateRouteError):
        made.invoke(b"1")


def test_a_ca_bundle_that_cannot_be_used_is_the_first_calls_error(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the path, and nothing was sent."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
    session: Any = link.session()
    session._session.set_config_variable("ca_bundle", "/no/such/file")
    with pytest.raises(ConfigurationError, match="'/no/such/file'"):
        session.predictor("echo").invoke(b"1")
    assert len(link.requests) == 0


def test_routes_that_are_forgotten_are_decided_anew(link: LocalPrivateLink) -> None:
    """A predictor that was made before goes where the new route leads."""
    session = link.session()
    made = session.predictor("echo")
    made.invoke(b"1")
    before = repr(made)
    session.forget_routes()
    assert "host=None" in repr(made)
    made.invoke(b"1")
    assert repr(made) == before


@pytest.mark.parametrize("path", PATHS)
def test_a_predictor_is_a_context_manager(link: LocalPrivateLink, path: str) -> None:
    """At its end no idle connection is left; it can be used again."""
    with predictor(link.session(), "echo", path) as made:
        made.invoke(b"1")
    if path == "direct":
        assert "idle=0" in repr(made)
    assert made.invoke(b"2").body == b"2"
    made.close()


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_above_the_limit_is_refused(link: LocalPrivateLink, path: str) -> None:
    """It is not retried: the answer would be as large again."""
    link.deploy("large", lambda _, __: (bytes(1001), "application/octet-stream"))
    made = predictor(link.session(), "large", path, max_response_bytes=1000)
    with pytest.raises(PayloadError, match="The answer has more than 1,000 bytes"):
        made.invoke(b"")
    assert len(link.requests) == 1
    other = predictor(link.session(), "large", path, max_response_bytes=1001)
    assert len(other.invoke(b"").body) == 1001


def test_sessions_and_predictors_pickle_as_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and settings travel; credentials and sockets do not."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    host = "vpce-0a1b2c3d-abcdefgh.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"https://{host}")
    session = Session(
        "AKIAI44QH8DHBEXAMPLE", "secret", region_name="us-east-1", vpc_id="vpc-0a1b2c3d"
    )
    made = session.predictor("churn", target_variant="blue", retry=RetryPolicy(attempts=2))
    data = pickle.dumps(made)
    assert b"secret" not in data
    assert b"AKIAI44QH8DHBEXAMPLE" not in data
    again = pickle.loads(data)  # noqa: S301 - our own bytes
    assert again.endpoint_name == "churn"
    assert again._target["TargetVariant"] == "blue"
    assert again._retrier.policy == RetryPolicy(attempts=2)
    session_again = pickle.loads(pickle.dumps(session))  # noqa: S301 - our own bytes
    assert session_again.region_name == "us-east-1"
    assert routes_of(session_again).router.settings().vpc_id == "vpc-0a1b2c3d"


def test_a_predictor_over_a_client_does_not_pickle() -> None:
    """Clients stay in their process; the error says what to do."""
    client: Any = boto3.client(
        "sagemaker-runtime", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with pytest.raises(ConfigurationError, match="cannot be pickled"):
        pickle.dumps(Predictor("echo", client=client))


def test_16_threads_share_a_predictor(link: LocalPrivateLink) -> None:
    """Every answer belongs to its own question."""
    made = link.session().predictor("echo")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(made.predict, range(400)))
    assert answers == list(range(400))


@pytest.mark.parametrize("path", PATHS)
def test_credentials_that_expire_are_refreshed_once_for_all_threads(
    link: LocalPrivateLink, path: str
) -> None:
    """By botocore's own rules: a predictor signs with what the session's credentials are then."""
    session: Any = link.session()
    keys = session.get_credentials().get_frozen_credentials()
    expired = dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=1)
    asked: list[str] = []

    def refresh() -> dict[str, str | None]:
        asked.append("once")
        expiry = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
        return {
            "access_key": keys.access_key,
            "secret_key": keys.secret_key,
            "token": keys.token,
            "expiry_time": expiry.isoformat(),
        }

    session._session._credentials = RefreshableCredentials(
        "AKIDEXPIRED", "expired", "expired", expired, refresh, "test"
    )
    made = predictor(session, "echo", path)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(made.predict, range(40))) == list(range(40))
    assert len(asked) == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("path", PATHS)
def test_a_forked_child_has_connections_of_its_own(link: LocalPrivateLink, path: str) -> None:
    """A child calls through its own connection, and its parent's goes on working."""
    made = predictor(link.session(), "echo", path)
    assert made.predict("before") == "before"
    link.network.dialled.clear()
    child = os.fork()
    if child == 0:  # no pytest in here: whatever happens, leave at once
        status = 1
        try:
            signal.alarm(20)
            status = 0 if made.predict("in the child") == "in the child" else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert made.predict("after") == "after"
    assert list(link.network.dialled) == []


def test_nothing_of_a_payload_is_logged(
    link: LocalPrivateLink, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither payload nor credential nor signature reaches our loggers at DEBUG."""
    with caplog.at_level(logging.DEBUG, logger="sm_private_client"):
        link.session().predictor("echo").predict({"secret-payload": 1})
    ours = " ".join(
        r.getMessage() for r in caplog.records if r.name.startswith("sm_private_client")
    )
    assert "secret-payload" not in ours
    assert link.secret_access_key not in ours


@pytest.mark.parametrize("path", PATHS)
def test_map_predicts_for_every_item(link: LocalPrivateLink, path: str) -> None:
    """In order, many at once, errors in place where they are asked for."""
    made = predictor(link.session(), "echo", path)
    assert list(made.map(range(100), concurrency=4)) == list(range(100))
    answers = list(made.map([1, object(), 3], concurrency=2, on_error="return"))
    assert (answers[0], type(answers[1]), answers[2]) == (1, PayloadError, 3)
    with made.map(iter(int, 1), concurrency=2) as endless:
        assert [next(endless) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("options", [{}, {"batch_size": 4}], ids=["alone", "in batches"])
def test_map_goes_on_from_its_journal(
    link: LocalPrivateLink, tmp_path: Path, options: dict[str, Any]
) -> None:
    """What was answered is not called again, and comes back equal."""
    journal = tmp_path / "run.journal"
    made = link.session().predictor("echo")
    items = [[n, n / 2] for n in range(20)]
    assert list(made.map(items, concurrency=2, journal=journal, **options)) == items
    link.requests.clear()
    assert list(made.map(items, concurrency=2, journal=journal, **options)) == items
    assert len(link.requests) == 0
    assert journal.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError):
        list(link.session().predictor("other").map(items, journal=journal, **options))


@pytest.mark.parametrize("path", PATHS)
def test_submit_gives_a_job_that_ends(link: LocalPrivateLink, path: str) -> None:
    """Inline, by S3 prefix, and from where the input is already."""
    session: Any = link.session()
    session.client("s3").create_bucket(Bucket="jobs")
    link.deploy("batch", echo, s3_output_path="s3://jobs/out")
    made = predictor(session, "batch", path, s3_prefix="s3://jobs/in/")
    first = made.submit({"a": 1}) if INLINE else made.submit({"a": [1] * 60_000})
    assert first.result(timeout=20) in ({"a": 1}, {"a": [1] * 60_000})
    large = made.submit([1] * 70_000)
    assert str(large.input_location).startswith("s3://jobs/in/")
    assert large.result(timeout=20) == [1] * 70_000
    kind = "application/json"
    again = made.submit(large.input_location, content_type=kind, accept=kind)
    assert again.result(timeout=20) == [1] * 70_000
    with pytest.raises(PayloadError if INLINE else ConfigurationError):
        predictor(session, "batch", path).submit([1] * 70_000)
