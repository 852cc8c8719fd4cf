"""The simulator's front: hosts, signatures, operations."""

from __future__ import annotations

import datetime as dt
import http.client
import ssl
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from as_read import operations_read
from sm_private_client.testing import LocalPrivateLink, RequestRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

FAMILY = (
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-featurestore-runtime",
    "sagemaker-metrics",
    "sagemaker-geospatial",
)
LIST = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.ListEndpoints"}
SIGNATURE_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(region="us-west-2", services=FAMILY) as running:
        running.deploy("churn", lambda body, _content_type: body)
        yield running


class RawClient:
    """Sends single requests through the simulated network, signed by botocore."""

    def __init__(self, link: LocalPrivateLink, host: str, *, address: str | None = None) -> None:
        self.link = link
        self.host = host
        self.address = address or link.network.resolve(host, timeout=1)[0]
        self.region = link.region
        self.service = "sagemaker"
        self.credentials = Credentials(link.access_key_id, link.secret_access_key)

    def send(
        self,
        method: str = "POST",
        path: str = "/",
        *,
        body: bytes = b"{}",
        signed_body: bytes | None = None,
        headers: dict[str, str] | None = None,
        host: str | None = None,
        sign: bool = True,
        change: dict[str, str | None] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        request = AWSRequest(
            method,
            f"https://{host or self.host}{path}",
            data=body if signed_body is None else signed_body,
            headers=headers or LIST,
        )
        if sign:
            SigV4Auth(self.credentials, self.service, self.region).add_auth(request)
        sent = {"Host": host or self.host, **dict(request.headers.items()), **(change or {})}
        opened = self.link.network.open(self.address, 443)
        opened.setblocking(True)
        opened.settimeout(5)
        trust = ssl.create_default_context(cafile=self.link.ca_bundle)
        connection = http.client.HTTPConnection(self.host)
        with opened, trust.wrap_socket(opened, server_hostname=self.host) as secured:
            connection.sock = secured
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            answered = {name.lower(): value for name, value in response.getheaders()}
            return response.status, answered, response.read()


@pytest.fixture
def api(link: LocalPrivateLink) -> RawClient:
    return RawClient(link, link.vpc_endpoint("sagemaker").name.host)


@pytest.fixture
def runtime(link: LocalPrivateLink) -> RawClient:
    return RawClient(link, link.vpc_endpoint("sagemaker-runtime").name.host)


def test_a_good_signature_is_answered_on_every_name_of_the_vpc_endpoint(
    link: LocalPrivateLink,
) -> None:
    """Regional and zonal names, and the default one, are covered by certificate and front."""
    standing = link.vpc_endpoint("sagemaker")
    for name in (*standing.public_names, "api.sagemaker.us-west-2.amazonaws.com"):
        client = RawClient(link, name, address=standing.interfaces[0].address)
        status, _, body = client.send()
        assert (status, b'"churn"' in body) == (200, True), name


def test_a_connection_is_kept_alive(link: LocalPrivateLink) -> None:
    """Several calls of a client come over one connection."""
    client = link.session().client("sagemaker-runtime")
    client.invoke_endpoint(EndpointName="churn", Body=b"1")["Body"].read()
    before = len(link.network.dialled)
    for _ in range(3):
        client.invoke_endpoint(EndpointName="churn", Body=b"1")["Body"].read()
    assert len(link.network.dialled) == before


@pytest.mark.parametrize(
    "host",
    [
        "vpce-0fe5b17a0707d6abc-29p5708s.api.sagemaker.us-west-2.vpce.amazonaws.com",
        "runtime.sagemaker.us-west-2.amazonaws.com",
        "api.sagemaker.us-east-1.amazonaws.com",
        "example.com",
        "",
    ],
)
def test_a_host_that_is_not_the_vpc_endpoints_is_unknown(api: RawClient, host: str) -> None:
    """Another VPC endpoint's, service's or region's name is refused, whoever signed for it."""
    status, _, body = api.send(host=host, change={"Host": host})
    assert (status, body) == (404, b"<UnknownOperationException/>\n")


def test_a_server_name_of_another_service_is_unknown(
    link: LocalPrivateLink, api: RawClient
) -> None:
    """The certificate shown does not fit it, so that an honest client never gets that far."""
    client = RawClient(link, link.vpc_endpoint("sagemaker-runtime").name.host, address=api.address)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        client.send()


@pytest.mark.parametrize(
    ("target", "status"),
    [("SageMaker.ListEndpoints", 200), ("SageMaker.Nonsense", 404), ("EC2.ListEndpoints", 404)],
)
def test_only_operations_of_the_model_are_known(api: RawClient, target: str, status: int) -> None:
    """The operation is found in botocore's model."""
    assert api.send(headers={**LIST, "X-Amz-Target": target})[0] == status


def test_a_rest_path_that_is_no_operation_is_unknown(runtime: RawClient) -> None:
    """A GET on /ping is the container's, not the service's."""
    assert runtime.send("GET", "/ping", body=b"")[0] == 404


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"Authorization": None}, "MissingAuthenticationTokenException", "Missing Authentication"),
        ({"Authorization": "Bearer x"}, "IncompleteSignatureException", "Authorization header"),
        ({"X-Amz-Security-Token": "t"}, "UnrecognizedClientException", "The security token inclu"),
        ({"X-Amz-Target": "SageMaker.ListModels"}, "InvalidSignatureException", SIGNATURE_MISMATCH),
        ({"X-Amz-Date": "yesterday"}, "InvalidSignatureException", "Date must be in ISO-8601"),
        ({"X-Amz-Date": "20200101T000000Z"}, "InvalidSignatureException", "Date in Credential"),
        ({"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, "InvalidSignatureException", "The request"),
    ],
)
def test_what_is_changed_after_signing_is_refused(
    api: RawClient, change: dict[str, str | None], code: str, message: str
) -> None:
    """The JSON protocol answers 400 with the code in ``__type``."""
    status, _, body = api.send(change=change)
    assert status == 400
    assert f'"__type": "{code}", "message": "{message}' in body.decode()


def test_rest_services_answer_403_with_the_code_in_a_header(runtime: RawClient) -> None:
    """sagemaker-runtime words a wrong signature as REST services do."""
    runtime.credentials.secret_key = "wrong"
    status, headers, body = runtime.send(
        path="/endpoints/churn/invocations", headers={"Content-Type": "text/csv"}
    )
    assert (status, headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert body.decode() == '{"Message": "' + SIGNATURE_MISMATCH + '"}'


def test_a_changed_body_is_refused(api: RawClient) -> None:
    """The payload is part of the signature though no header states its hash."""
    for body, good in ((b"{}", True), (b'{"MaxResults": 1}', False)):
        status, _, answer = api.send(body=body, signed_body=b"{}")
        assert (status == 200) is good
        assert (b"InvalidSignatureException" in answer) is not good


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("region", "eu-west-1", "Credential should be scoped to a valid region, not 'eu-west-1'. "),
        ("service", "ec2", "Credential should be scoped to correct service: 'sagemaker'. "),
    ],
)
def test_a_signature_for_elsewhere_is_refused(
    api: RawClient, attribute: str, value: str, message: str
) -> None:
    """Region and service stand in the scope."""
    setattr(api, attribute, value)
    assert f'"message": "{message}"' in api.send()[2].decode()


def test_an_unknown_key_is_refused(api: RawClient) -> None:
    """So are keys of other accounts."""
    api.credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    assert b'"__type": "UnrecognizedClientException"' in api.send()[2]


def test_a_role_s_credentials_need_their_token(link: LocalPrivateLink, api: RawClient) -> None:
    """What STS gave out is good with its session token and only with that."""
    sts = boto3.Session(botocore_session=link.botocore_session()).client("sts")
    role = f"arn:aws:iam::{link.account_id}:role/tester"
    given = sts.assume_role(RoleArn=role, RoleSessionName="tester")["Credentials"]
    for token, status in ((given["SessionToken"], 200), (None, 400), ("another", 400)):
        api.credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], token)
        assert api.send()[0] == status, token


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0, None),
        (-290, None),
        (290, None),
        (400, "Signature expired: "),
        (-400, "Signature not yet current: "),
    ],
)
def test_a_signature_is_good_for_five_minutes(seconds: int, message: str | None) -> None:
    """The simulator's clock is ahead of (or, negative, behind) the signer's."""

    def clock() -> dt.datetime:
        now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
        return now + dt.timedelta(seconds=seconds)

    with LocalPrivateLink(services=["sagemaker"], clock=clock) as link:
        client = RawClient(link, link.vpc_endpoint("sagemaker").name.host)
        status, _, body = client.send()
    assert (status == 200) is (message is None)
    if message:
        assert f'"__type": "InvalidSignatureException", "message": "{message}' in body.decode()


def test_records_tell_who_asked_for_what_where(link: LocalPrivateLink) -> None:
    """A record has the dialled address, names, scope and status; no payload, no secret."""
    standing = link.vpc_endpoint("sagemaker-runtime")
    zonal = standing.name.in_zone("us-west-2b").host
    client = RawClient(link, zonal)
    client.send(path="/endpoints/churn/invocations", body=b"SECRET-PAYLOAD", headers={"A": "b"})
    record = link.requests[-1]
    assert record == RequestRecord(
        service_name="sagemaker-runtime",
        operation="InvokeEndpoint",
        method="POST",
        path="/endpoints/churn/invocations",
        address=standing.interfaces[1].address,
        availability_zone="us-west-2b",
        vpc_endpoint_id=standing.vpc_endpoint_id,
        sni=zonal,
        host=zonal,
        signing_region="us-west-2",
        signing_service="sagemaker",
        access_key_id=link.access_key_id,
        status=200,
    )
    assert "SECRET" not in repr(link.requests)
    assert link.secret_access_key not in repr(link.requests)


@pytest.mark.parametrize(
    ("fault", "service", "status", "code"),
    [
        ("deny", "sagemaker", 400, "AccessDeniedException"),
        ("throttle", "sagemaker", 400, "ThrottlingException"),
        ("deny", "sagemaker-runtime", 403, "AccessDeniedException"),
        ("throttle", "sagemaker-runtime", 429, "ThrottlingException"),
    ],
)
def test_actions_are_denied_and_throttled_so_many_times(
    link: LocalPrivateLink, fault: str, service: str, status: int, code: str
) -> None:
    """After ``times`` calls it is over; each was counted."""
    quick = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    client: Any = link.session().client(service, config=quick)  # type: ignore[call-overload]
    call, action = (
        (client.list_endpoints, "sagemaker:ListEndpoints")
        if service == "sagemaker"
        else (
            lambda: client.invoke_endpoint(EndpointName="churn", Body=b""),
            "sagemaker:InvokeEndpoint",
        )
    )
    before = link.calls[action]
    getattr(link.faults, fault)(action, times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            call()
        answer = caught.value.response
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (
            status,
            code,
        )
    call()
    assert link.calls[action] == before + 3
    assert link.faults.active == ()


@pytest.mark.parametrize("service", FAMILY)
def test_every_operation_of_the_model_is_answered(link: LocalPrivateLink, service: str) -> None:
    """Each reaches its own VPC endpoint, well signed; what is not played is a plain 400."""
    session = link.session()
    client = session.client(service)  # type: ignore[call-overload]
    standing = link.vpc_endpoint(service)
    signing = "sagemaker-geospatial" if service == "sagemaker-geospatial" else "sagemaker"
    for operation in operations_read(client.meta.service_model):
        shape = client.meta.service_model.operation_model(operation).input_shape
        before = len(link.requests)
        answer: Any = {"Error": {"Code": "", "Message": "it is played"}}
        try:
            client._make_api_call(operation, _minimal(shape) if shape is not None else {})
        except ClientError as error:
            answer = error.response
        assert answer["Error"]["Code"] in {
            "",
            "UnsupportedOperation",
            "ValidationError",
            "ValidationException",
            "ResourceNotFound",
        }, operation
        assert answer["Error"]["Message"], operation
        (record,) = link.requests[before:]
        assert record.status in {200, 202, 400}, operation
        assert (record.service_name, record.operation) == (service, operation)
        assert (record.sni, record.host) == (standing.name.host,) * 2
        assert (record.signing_region, record.signing_service) == ("us-west-2", signing)
        assert record.address in {i.address for i in standing.interfaces}


def _minimal(shape: Shape) -> Any:
    limits: Any = shape.metadata
    untyped: Any = shape
    if shape.type_name == "structure":
        names = untyped.required_members or list(untyped.members)[: int(untyped.is_tagged_union)]
        return {name: _minimal(untyped.members[name]) for name in names}
    if shape.type_name == "list":
        return [_minimal(untyped.member)] * max(1, limits.get("min", 1))
    if shape.type_name == "map":
        return {"key": _minimal(untyped.value)}
    if shape.type_name == "string":
        return untyped.enum[0] if untyped.enum else "a" * max(1, limits.get("min", 1))
    simple = {
        "integer": max(1, limits.get("min", 1)),
        "long": max(1, limits.get("min", 1)),
        "float": 1.0,
        "double": 1.0,
        "boolean": True,
        "timestamp": 0,
        "blob": b"x",
    }
    return simple[shape.type_name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("operation", "arguments", "start"),
    [
        (
            "create_presigned_notebook_instance_url",
            {"NotebookInstanceName": "nb"},
            "https://nb.notebook.us-west-2.sagemaker.aws?authToken=",
        ),
        (
            "create_presigned_domain_url",
            {"DomainId": "d-abc", "UserProfileName": "me"},
            "https://d-abc.studio.us-west-2.sagemaker.aws/auth?token=",
        ),
    ],
)
def test_presigned_urls_have_the_real_form(
    link: LocalPrivateLink, operation: str, arguments: dict[str, str], start: str
) -> None:
    """Moto does not play these two; the simulator does."""
    client = link.session().client("sagemaker")
    url = getattr(client, operation)(**arguments)["AuthorizedUrl"]
    assert url.startswith(start)
    assert len(url) > len(start) + 20


def test_signing_does_not_depend_on_the_version_of_the_signer(link: LocalPrivateLink) -> None:
    """Paths and queries that need encoding verify too."""
    host = link.vpc_endpoint("sagemaker-geospatial").name.host
    client = RawClient(link, host)
    client.service = "sagemaker-geospatial"
    status, headers, _ = client.send(
        "DELETE",
        "/tags/arn%3Aaws%3Asagemaker%2Fx?tagKeys=a%20b&tagKeys=c",
        body=b"",
        headers={"Accept": "*/*"},
    )
    assert (status, headers["x-amzn-errortype"]) == (400, "UnsupportedOperation")


def test_the_public_front_takes_calls_and_counts_them(link: LocalPrivateLink) -> None:
    """On the internet listener the default names are answered; the record has no ENI."""
    before = (link.internet.connections, link.internet.bytes_received)
    client = RawClient(link, "api.sagemaker.us-west-2.amazonaws.com")
    assert client.address.startswith("52.46.128.")
    assert client.send()[0] == 200
    assert link.internet.connections == before[0] + 1
    assert link.internet.bytes_received > before[1] + 500
    record = link.requests[-1]
    assert (record.address, record.vpc_endpoint_id) == (client.address, None)


def test_botocore_knows_the_models_the_simulator_reads() -> None:
    """The loader's services are the family's."""
    known = botocore.session.Session().get_available_services()
    assert set(FAMILY) <= set(known)
