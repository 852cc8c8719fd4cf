"""Specification of inference/operations.py: the same request that botocore sends, limits first."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.model import ServiceModel
from hypothesis import given
from hypothesis import strategies as st

from as_read import as_read
from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.inference.operations import BODY_LIMITS, RuntimeOperation

MODEL = botocore.session.Session().get_service_model("sagemaker-runtime")
OPERATIONS = {name: RuntimeOperation(MODEL.operation_model(name)) for name in BODY_LIMITS}
VALUES: dict[str, Any] = {
    "Accept": "application/json",
    "Body": b'{"a": [1, 2]}\xff\x00',
    "ContentType": "text/csv; header=present",
    "CustomAttributes": "trace id=a b  c; 100%, ~x/y",
    "EnableExplanations": "`true`",
    "EndpointName": "a-1",
    "Filename": "out.csv",
    "InferenceComponentName": "a-1",
    "InferenceId": "id 1/2?3",
    "InputLocation": "s3://bucket/a b/c%20d+e.csv",
    "InvocationTimeoutSeconds": 1,
    "PrefixAwareId": "prefix/1",
    "RequestTTLSeconds": 60,
    "S3OutputPathExtension": "team/run_1",
    "SessionId": "a-1",
    "TargetContainerHostname": "a-1",
    "TargetModel": "models/a b+c%20d.tar.gz",
    "TargetVariant": "a-1",
}
"""A value of every member, odd but allowed."""
SIGNED_OR_SDK = re.compile(
    "authorization|x-amz-date|user-agent|content-length|amz-sdk-.*|x-amz-content-sha256",
    re.IGNORECASE,
)


def sent_by_botocore(operation: str, params: dict[str, Any]) -> Any:
    """Return the request that a real client would have put on the wire."""
    client: Any = botocore.session.Session().create_client(
        "sagemaker-runtime",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    seen = []

    class Nothing:
        def stream(self, **_: object) -> Any:
            return iter([b"{}"])

    def answer(request: Any, **_: object) -> AWSResponse:
        seen.append(request)
        return AWSResponse(request.url, 200, {}, Nothing())  # type: ignore[arg-type] # stubs want more

    client.meta.events.register("before-send.sagemaker-runtime", answer)
    client._make_api_call(operation, params)
    client.close()
    return seen[0]


def members_of(operation: str) -> Any:
    """The input members of an operation by name, as the installed botocore has them."""
    shape: Any = MODEL.operation_model(operation).input_shape
    return shape.members


def most(name: str) -> int:
    """The largest length that the model allows a member of InvokeEndpoint."""
    return int(members_of("InvokeEndpoint")[name].metadata["max"])


def full(operation: str) -> dict[str, Any]:
    return {name: VALUES[name] for name in members_of(operation) if name in VALUES}


def assert_equal(operation: str, params: dict[str, Any]) -> None:
    theirs = sent_by_botocore(operation, params)
    ours = OPERATIONS[operation].request(params)
    assert (ours.method, ours.body) == (theirs.method, theirs.body or b"")
    assert theirs.url == f"https://runtime.sagemaker.us-east-1.amazonaws.com{ours.path}"
    expected = {
        k.lower(): v.decode() if isinstance(v, bytes) else v
        for k, v in theirs.headers.items()
        if not SIGNED_OR_SDK.fullmatch(k)
    }
    assert {k.lower(): v for k, v in ours.headers} == expected


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_member_travels_as_botocore_sends_it(operation: str) -> None:
    """All at once."""
    assert_equal(operation, full(operation))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_member_alone_travels_as_botocore_sends_it(operation: str) -> None:
    """What is not given is not sent, and ``None`` counts as not given."""
    whole = full(operation)
    shape: Any = MODEL.operation_model(operation).input_shape
    required = {n: whole[n] for n in shape.required_members}
    for name in whole:
        assert_equal(operation, {**required, name: whole[name]})
    nothing = dict.fromkeys(set(whole) - set(required))
    nothing.pop("Body", None)
    assert OPERATIONS[operation].request({**required, **nothing}) == OPERATIONS[operation].request(
        required
    )


@as_read
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_member_is_left_out_above(operation: str) -> None:
    """Walks the model: the members that it has are the ones that were compared."""
    assert set(members_of(operation)) <= set(VALUES)


def test_a_member_of_a_later_model_travels() -> None:
    """Nothing here has to be changed for a member that a newer botocore brings."""
    description: Any = json.loads(json.dumps(cast(Any, MODEL)._service_description))
    description["shapes"]["InvokeEndpointInput"]["members"]["Future"] = {
        "shape": "TargetVariantHeader",
        "location": "header",
        "locationName": "X-Amzn-Future",
    }
    later = ServiceModel(description, "sagemaker-runtime")
    operation = RuntimeOperation(later.operation_model("InvokeEndpoint"))
    made = operation.request({"EndpointName": "a", "Future": "b"})
    assert ("X-Amzn-Future", "b") in made.headers


@given(st.text("abcXYZ019", min_size=1, max_size=63), st.binary(max_size=200))
def test_any_name_and_body_travel_unchanged(name: str, body: bytes) -> None:
    """Name in the path, payload untouched."""
    made = OPERATIONS["InvokeEndpoint"].request({"EndpointName": name, "Body": body})
    assert (made.path, made.body) == (f"/endpoints/{name}/invocations", body)


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({}, "InvokeEndpoint needs EndpointName."),
        (
            {"EndpointName": "x" * (most("EndpointName") + 1)},
            f"EndpointName has {most('EndpointName') + 1} characters; nothing was sent.",
        ),
        (
            {"EndpointName": "a/../b"},
            "EndpointName has characters or a form that is not allowed; nothing was sent.",
        ),
        ({"EndpointName": 5}, "EndpointName is a int, not a text; nothing was sent."),
        (
            {"EndpointName": "a", "CustomAttributes": "x" * (most("CustomAttributes") + 1)},
            f"CustomAttributes has {most('CustomAttributes') + 1} characters; nothing was sent.",
        ),
        (
            {"EndpointName": "a", "CustomAttributes": "a\r\nX-Evil: 1"},
            "CustomAttributes has control characters; nothing was sent.",
        ),
        (
            {"EndpointName": "a", "CustomAttributes": "h\u00e9"},
            "CustomAttributes has characters or a form that is not allowed; nothing was sent.",
        ),
        (
            {"EndpointName": "a", "EnableExplanations": "h\u00e9"},
            "EnableExplanations has characters outside ASCII; nothing was sent.",
        ),
        (
            {"EndpointName": "a", "InferenceId": ""},
            "InferenceId has 0 characters; nothing was sent.",
        ),
        (
            {"EndpointName": "a", "SessionId": "a b"},
            "SessionId has characters or a form that is not allowed; nothing was sent.",
        ),
        ({"EndpointName": "a", "Colour": "red"}, "InvokeEndpoint has no member 'Colour'."),
    ],
)
def test_what_is_out_of_limits_is_refused(params: dict[str, Any], what: str) -> None:
    """Header limits are the model's; nothing is sent; the value stays out of the message."""
    with pytest.raises(ConfigurationError) as caught:
        OPERATIONS["InvokeEndpoint"].request(params)
    assert caught.value.what == what
    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (0, "RequestTTLSeconds is 0; nothing was sent."),
        (10**9, "RequestTTLSeconds is 1000000000; nothing was sent."),
        ("900", "RequestTTLSeconds is a str, not an integer; nothing was sent."),
        (True, "RequestTTLSeconds is a bool, not an integer; nothing was sent."),
    ],
)
def test_numbers_have_limits_too(value: object, what: str) -> None:
    """No less and no more than the model allows, and integers only."""
    with pytest.raises(ConfigurationError) as caught:
        OPERATIONS["InvokeEndpointAsync"].request(
            {"EndpointName": "a", "InputLocation": "s3://b/k", "RequestTTLSeconds": value}
        )
    assert caught.value.what == what


@pytest.mark.parametrize("operation", sorted(BODY_LIMITS))
def test_a_body_may_be_as_large_as_the_quota_and_not_a_byte_more(operation: str) -> None:
    """25 MB for a call and a stream, 128,000 bytes for an asynchronous call."""
    limit = BODY_LIMITS[operation]
    assert len(OPERATIONS[operation].checked_body(bytes(limit))) == limit
    with pytest.raises(PayloadError) as caught:
        OPERATIONS[operation].checked_body(bytes(limit + 1))
    assert caught.value.what == (
        f"The body has {limit + 1:,} bytes; {operation} takes {limit:,}. Nothing was sent."
    )


@pytest.mark.parametrize("body", ["text", None, 5, {"a": 1}])
def test_a_body_is_bytes(body: object) -> None:
    """Anything else is for predict(), which encodes."""
    with pytest.raises(PayloadError, match=f"is a {type(body).__name__}, not bytes"):
        OPERATIONS["InvokeEndpoint"].checked_body(body)


@pytest.mark.parametrize("body", [bytearray(b"ab"), memoryview(b"ab"), b"ab"])
def test_bytes_come_in_three_types(body: object) -> None:
    """bytes, bytearray and memoryview."""
    assert OPERATIONS["InvokeEndpoint"].checked_body(body) == b"ab"


def test_output_members_are_read_from_headers() -> None:
    """By the model's own names."""
    read = OPERATIONS["InvokeEndpoint"].members(
        {
            "content-type": "text/csv",
            "x-amzn-invoked-production-variant": "AllTraffic",
            "x-amzn-sagemaker-new-session-id": "id; Expires=2026-01-01T00:00:00Z",
            "date": "today",
        }
    )
    assert read == {
        "ContentType": "text/csv",
        "InvokedProductionVariant": "AllTraffic",
        "NewSessionId": "id; Expires=2026-01-01T00:00:00Z",
    }
