"""Specification of transport/signing.py: botocore's SigV4Auth is the truth."""

from __future__ import annotations

import datetime as dt
import string
import threading
from collections.abc import Callable
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError
from sm_private_client.transport.http11 import HttpResponse
from sm_private_client.transport.signing import RequestSigner, Signer, canonical_path

HOST = "vpce-0a1b2c3d-abcdefgh.runtime.sagemaker.us-east-1.vpce.amazonaws.com"
KEYS = ReadOnlyCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)

Headers = list[tuple[str, str]]


def botocores(
    *,
    path: str,
    headers: Headers,
    body: bytes,
    credentials: ReadOnlyCredentials,
    now: dt.datetime,
    region: str = "us-east-1",
    service: str = "sagemaker",
    host: str = HOST,
) -> str:
    """What botocore puts into Authorization, each step by its own code, at a given time."""
    request = AWSRequest(method="POST", url=f"https://{host}{path}", data=body)
    signer = SigV4Auth(credentials, service, region)
    request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    for name, value in headers:
        request.headers.add_header(name, value)
    signer._modify_request_before_signing(request)  # type: ignore[attr-defined] # not in the stubs
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))  # type: ignore[attr-defined]
    return str(request.headers["Authorization"])


def ours(
    *,
    path: str,
    headers: Headers,
    body: bytes,
    credentials: ReadOnlyCredentials,
    now: dt.datetime,
    signer: Signer | None = None,
) -> dict[str, str]:
    used = signer or Signer(region="us-east-1", service="sagemaker")
    added = used.sign(
        method="POST",
        path=canonical_path(path),
        headers=(("Host", HOST), *headers),
        body=body,
        credentials=credentials,
        now=now.timestamp(),
    )
    assert len(dict(added)) == len(added)
    return dict(added)


TAKEN = {"authorization", "content-length", "date", "host", "x-amz-content-sha256", "x-amz-date"}
names = st.one_of(
    st.sampled_from(
        [
            "Content-Type",
            "Accept",
            "X-Amzn-SageMaker-Custom-Attributes",
            "X-Amzn-SageMaker-Target-Model",
            "x-amzn-trace-id",
            "User-Agent",
            "Expect",
            "Transfer-Encoding",
            "Connection",
            "amz-sdk-request",
        ]
    ),
    st.text(string.ascii_letters + string.digits + "-_.!~", min_size=1, max_size=12),
).filter(lambda name: name.lower() not in TAKEN | {"x-amz-security-token"})
values = st.one_of(
    st.sampled_from(["", " ", "a,b", "a, b ,,c", "  a   b\t c  ", "\t", '"quoted  string"', "%25"]),
    st.text(string.printable.replace("\r", "").replace("\n", "").replace("\x0b", "")[:97]),
).map(lambda value: value.replace("\x0c", ""))
paths = st.lists(
    st.text(max_size=12).map(lambda part: quote(part, safe="-_.~")), min_size=1, max_size=5
).map(lambda parts: "/" + "/".join(parts))
odd_paths = st.text("/.%25aZ~-_!$&'()*+,;=:@", max_size=20).map("/".__add__)
moments = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2099, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=dt.timezone.utc)
)
keys = st.builds(
    ReadOnlyCredentials,
    st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=20),
    st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=40),
    st.one_of(st.none(), st.just(""), st.text(string.ascii_letters + "/+=", min_size=1)),
)


@given(
    path=paths | odd_paths.filter(lambda path: not path.startswith("//")),
    headers=st.lists(st.tuples(names, values), max_size=8),
    body=st.binary(max_size=200),
    credentials=keys,
    now=moments,
)
@example(path="/", headers=[], body=b"", credentials=KEYS, now=NOON)
@example(
    path="/endpoints/a%20b%25c/../x//y/./invocations",
    headers=[("X-A", " 1  2 "), ("x-a", "3,4"), ("X-a", "")],
    body=b"\x00\xff",
    credentials=ReadOnlyCredentials("A", "b", "token//+="),
    now=NOON,
)
def test_a_signature_equals_botocores(
    path: str,
    headers: Headers,
    body: bytes,
    credentials: ReadOnlyCredentials,
    now: dt.datetime,
) -> None:
    """Odd spacing, commas, repeated and empty headers, any path, body, key, token and time."""
    signed = ours(path=path, headers=headers, body=body, credentials=credentials, now=now)
    assert signed["Authorization"] == botocores(
        path=path, headers=headers, body=body, credentials=credentials, now=now
    )
    assert signed["X-Amz-Date"] == now.strftime("%Y%m%dT%H%M%SZ")
    assert signed.get("X-Amz-Security-Token") == (credentials.token or None)
    assert list(signed)[-1] == "Authorization"


@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1"])
@pytest.mark.parametrize("service", ["sagemaker", "sagemaker-geospatial"])
def test_region_and_service_are_signed_for(region: str, service: str) -> None:
    """The scope has the region and the signing name that the signer was made for."""
    arguments = {"path": "/endpoints/a/invocations", "headers": [], "body": b"1"}
    signer = Signer(region=region, service=service)
    added = ours(**arguments, credentials=KEYS, now=NOON, signer=signer)  # type: ignore[arg-type]
    expected = botocores(
        **arguments,  # type: ignore[arg-type]
        credentials=KEYS,
        now=NOON,
        region=region,
        service=service,
    )
    assert added["Authorization"] == expected
    assert f"/20261123/{region}/{service}/aws4_request" in expected


def test_the_largest_body_is_signed_the_same() -> None:
    """25 MB: InvokeEndpoint's limit."""
    body = bytes(range(256)) * (25 * 4096)
    assert len(body) == 25 * 1024 * 1024
    signed = ours(path="/e", headers=[], body=body, credentials=KEYS, now=NOON)
    assert signed["Authorization"] == botocores(
        path="/e", headers=[], body=body, credentials=KEYS, now=NOON
    )


def test_a_new_day_a_new_key_and_a_new_second_are_noticed() -> None:
    """One signer serves other days, seconds and refreshed credentials, whatever it has kept."""
    signer = Signer(region="us-east-1", service="sagemaker")
    others = ReadOnlyCredentials("AKIDOTHER", "another/secret", "token")
    for now in (NOON, NOON + dt.timedelta(seconds=1), NOON + dt.timedelta(days=1), NOON):
        for credentials in (KEYS, others, KEYS):
            signed = ours(
                path="/e", headers=[], body=b"", credentials=credentials, now=now, signer=signer
            )
            assert signed["Authorization"] == botocores(
                path="/e", headers=[], body=b"", credentials=credentials, now=now
            )


def test_a_signer_is_safe_between_threads() -> None:
    """Threads that sign for two identities and two days at once get their own signatures."""
    signer = Signer(region="us-east-1", service="sagemaker")
    others = ReadOnlyCredentials("AKIDOTHER", "another/secret", None)
    cases = [(c, n) for c in (KEYS, others) for n in (NOON, NOON + dt.timedelta(days=1))]
    expected = [botocores(path="/e", headers=[], body=b"", credentials=c, now=n) for c, n in cases]
    wrong: list[str] = []

    def sign(case: int) -> None:
        credentials, now = cases[case]
        for _ in range(200):
            signed = ours(
                path="/e", headers=[], body=b"", credentials=credentials, now=now, signer=signer
            )
            if signed["Authorization"] != expected[case]:
                wrong.append(signed["Authorization"])

    threads = [threading.Thread(target=sign, args=(n % 4,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_not_signed_is_the_installed_botocores_own_list() -> None:
    """The list grew in botocore 1.44; the header ``Connection`` tells the versions apart."""
    unsigned = botocore.auth.SIGNED_HEADERS_BLACKLIST
    signed = ours(
        path="/e", headers=[(n, "x") for n in unsigned], body=b"", credentials=KEYS, now=NOON
    )
    assert "SignedHeaders=host;x-amz-date," in signed["Authorization"]


@given(paths | odd_paths)
def test_the_canonical_path_equals_botocores(path: str) -> None:
    """What goes on the wire is normalized and percent-encoded once more."""
    signer = SigV4Auth(KEYS, "sagemaker", "us-east-1")
    assert canonical_path(path) == signer._normalize_url_path(path)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/endpoints/a/invocations", "/endpoints/a/invocations"),
        ("/endpoints/a%20b/invocations", "/endpoints/a%2520b/invocations"),
        ("/endpoints/a%2Fb/invocations", "/endpoints/a%252Fb/invocations"),
        ("/a/./b/../c//d/", "/a/c/d/"),
        ("/a:b@c~", "/a%3Ab%40c~"),
    ],
)
def test_canonical_paths(path: str, canonical: str) -> None:
    """Percent signs are encoded again; dots and double slashes go away."""
    assert canonical_path(path) == canonical


@pytest.mark.parametrize(
    "path",
    [
        "",
        "endpoints",
        "/a b",
        "/a?b=c",
        "/a#b",
        "/\u00e4",
        "/a\r\nX: y",
        "/a\n",
        "/\x00",
        "/a\\b",
        "/{a}",
        "/a^b",
    ],
)
def test_a_path_that_cannot_go_on_the_wire_is_refused(path: str) -> None:
    """What would end the request line, or begin a query, never gets into it."""
    with pytest.raises(ConfigurationError) as caught:
        canonical_path(path)
    assert str(caught.value) == (
        f"{path!r} cannot be the path of a request.\n"
        "Cause: it does not start with a slash, or is not percent-encoded, or has a query.\n"
        "Remedy: percent-encode every part of the path.\n"
        "See docs/errors.md#configuration"
    )


def test_a_signers_repr_has_no_secret() -> None:
    """State is in the repr; what it keeps of a key is not."""
    signer = Signer(region="us-east-1", service="sagemaker")
    ours(path="/e", headers=[], body=b"", credentials=KEYS, now=NOON, signer=signer)
    assert repr(signer) == "Signer(region='us-east-1', service='sagemaker')"


def signing_at(now: Callable[[], float]) -> RequestSigner:
    return RequestSigner(
        service="sagemaker",
        credentials=lambda: KEYS,
        user_agent="lib/test",
        now=now,
    )


def refused(
    code: str, *, date: str = "Mon, 23 Nov 2026 12:00:00 GMT", status: int = 403, body: bytes = b""
) -> HttpResponse:
    headers = {"date": date} | ({"x-amzn-errortype": code} if code else {})
    return HttpResponse(status=status, headers=headers, body=body)


@pytest.mark.parametrize("seconds", [-86400, -241, 241, 3600])
@pytest.mark.parametrize(
    "answer",
    [
        refused("RequestExpired"),
        refused("RequestTimeTooSkewed", status=400),
        refused("SignatureDoesNotMatch"),
        refused("InvalidSignatureException"),
        refused("InvalidSignatureException:http://internal.amazon.com/coral/"),
        refused("aws.protocoltests#InvalidSignatureException:http://x"),
        refused("", body=b'{"code": "RequestExpired"}'),
        refused("", body=b'{"Code": "RequestExpired"}'),
        refused("", body=b'{"__type": "com.amazon.coral.service#InvalidSignatureException"}'),
        refused("RequestExpired", date="Mon, 23 Nov 2026 12:00:00 -0000"),
    ],
)
def test_a_clock_that_is_off_is_set_after_the_services(
    answer: HttpResponse, seconds: float
) -> None:
    """An answer that refuses the time, and whose Date is more than 240 s off, corrects it once."""
    clock = signing_at(lambda: NOON.timestamp() + seconds)
    assert clock.is_corrected_by(answer)
    assert clock.now() == NOON.timestamp()
    assert not clock.is_corrected_by(answer)


@pytest.mark.parametrize("seconds", [0, 240, -240])
def test_a_clock_that_is_right_is_not_why_a_signature_was_refused(seconds: float) -> None:
    """Within four minutes nothing is corrected, so nothing is sent again."""
    clock = signing_at(lambda: NOON.timestamp() + seconds)
    assert not clock.is_corrected_by(refused("InvalidSignatureException"))
    assert clock.now() == NOON.timestamp() + seconds


@pytest.mark.parametrize(
    "answer",
    [
        refused("AccessDeniedException"),
        refused("ExpiredTokenException"),
        refused("", body=b'{"message": "RequestExpired"}'),
        refused("", body=b"[]"),
        refused("", body=b"<html>"),
        refused("", body=b'{"code": 7}'),
        refused("", body=b"\xff\xfe"),
        refused("RequestExpired", status=200),
        refused("RequestExpired", date=""),
        refused("RequestExpired", date="yesterday"),
        refused("RequestExpired", date="Mon, 99 Nov 2026 12:00:00 GMT"),
        HttpResponse(status=403, headers={}, body=b'{"code": "RequestExpired"}'),
    ],
)
def test_other_answers_do_not_set_the_clock(answer: HttpResponse) -> None:
    """Another error, a success, an answer without a readable Date or code: nothing changes."""
    clock = signing_at(lambda: 0.0)
    assert not clock.is_corrected_by(answer)
    assert clock.now() == 0.0
