"""Specification of inference/invokers.py: whatever a service answers is an answer or its error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from loopback_peer import Peer, Talk
from sm_private_client.inference.retrier import attempts_made
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.session import Session

QUICK = RetryPolicy(attempts=2, wait_initial=0.01, wait_max=0.02)
WORKS = ("invoke", "stream", "async invoke", "async stream")


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """A stand-in on this machine, over http."""
    made = Peer()
    made.tls = False
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{made.port}/gate")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield made
    made.stop()


def call(session: Session, work: str) -> Any:
    if work == "invoke":
        return session.predictor("m", retry=QUICK).invoke(b"x")
    if work == "stream":
        return session.predictor("m", retry=QUICK).stream(b"x")

    async def main() -> Any:
        async with session.async_predictor("m", retry=QUICK) as predictor:
            verb = predictor.invoke if work == "async invoke" else predictor.stream
            return await verb(b"x")

    return asyncio.run(main())


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (503, b"[]", "503", "[]"),
        (503, b'"down"', "503", '"down"'),
        (500, b"null", "500", "null"),
        (502, b"7", "502", "7"),
        (429, b"\xff\xfe busy", "429", "\ufffd\ufffd busy"),
        (504, b"<html>gateway</html>", "504", "Gateway Timeout"),
        (503, b"", "503", "Service Unavailable"),
        (503, b'{"message": "plain"}', "503", "plain"),
        (424, b'{"Message": "m", "OriginalStatusCode": "none"}', "424", None),
        (400, b"[[", "400", "[["),
    ],
)
def test_an_error_is_the_services_whatever_its_body(
    peer: Peer, work: str, status: int, body: bytes, code: str, message: str | None
) -> None:
    """A ClientError with its HTTP status, retried by that; boto3 has an AttributeError for some."""

    def script(_: Peer, talk: Talk) -> None:
        while asked := talk.read():
            peer.requests.append(asked)
            size = b"Content-Length: %d\r\n\r\n" % len(body)
            talk.write(b"HTTP/1.1 %d Failed\r\n" % status + size + body)

    peer.script = script
    with pytest.raises(ClientError) as caught:
        call(Session(region_name="us-east-1"), work)
    response: Any = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    if message is not None:
        assert (response["Error"]["Code"], response["Error"]["Message"]) == (code, message)
    retried = status >= 429
    assert attempts_made(caught.value) == len(peer.requests) == (2 if retried else 1)
    path = "/gate/endpoints/m/invocations"
    assert peer.requests[0].line.split()[1] == path + (
        "-response-stream" if "stream" in work else ""
    )


@pytest.mark.parametrize("work", WORKS)
def test_a_modelled_error_without_its_document_is_still_that_error(peer: Peer, work: str) -> None:
    """The header says which; its class is the client's own."""

    def script(_: Peer, talk: Talk) -> None:
        while talk.read():
            talk.write(
                b"HTTP/1.1 424 Failed\r\nx-amzn-errortype: ModelError\r\nContent-Length: 5\r\n\r\n"
                b'["x"]'
            )

    peer.script = script
    with pytest.raises(ClientError) as caught:
        call(Session(region_name="us-east-1"), work)
    assert type(caught.value).__name__ == "ModelError"
    assert caught.value.response["Error"]["Message"] == '["x"]'
