"""The front of the other services (STS, S3, …) behind an ENI, a gateway and on the internet."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from sm_private_client.testing.aws_errors import UNKNOWN_OPERATION, AwsError, other_service_error
from sm_private_client.testing.control_plane import operation_of
from sm_private_client.testing.endpoint_services import signing_name
from sm_private_client.testing.records import Log, RequestRecord, record_of
from sm_private_client.testing.server import LOOPBACK
from sm_private_client.testing.signatures import scope_of, verify

if TYPE_CHECKING:
    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.endpoint_policies import EndpointPolicies
    from sm_private_client.testing.http_connection import Connection, Request, Response
    from sm_private_client.testing.ingress import Ingress
    from sm_private_client.testing.signatures import Clock

__all__ = ["OtherServicesFront"]

_UNSIGNED_ACTIONS: Final = frozenset({"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})
_QUERY_CODES: Final = {
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
}
"""What services of the query protocol call the errors that others call as on the left."""

_OWN_CODES: Final = {
    ("ec2", "InvalidClientTokenId"): "AuthFailure",
    ("ec2", "SignatureDoesNotMatch"): "AuthFailure",
    ("ec2", "ExpiredToken"): "RequestExpired",
    ("s3", "InvalidClientTokenId"): "InvalidAccessKeyId",
    ("s3", "MissingAuthenticationToken"): "AccessDenied",
}

_S3_LABELS: Final = frozenset({"s3", "s3-fips"})
_S3_KINDS: Final = frozenset({"bucket", "accesspoint", "control"})
"""What stands before the own label of an S3 VPC endpoint (AWS: "AWS PrivateLink for Amazon S3")."""


class OtherServicesFront:
    """Checks host and signature, then lets moto answer.

    Attributes:
        requests: What came in over the network; payloads are never kept.
    """

    def __init__(self, *, control: ControlPlane, policies: EndpointPolicies, clock: Clock) -> None:
        self.requests: Log[RequestRecord] = Log()
        self._policies = policies
        self._control = control
        self._clock = clock

    def on_head(self, _ingress: Ingress, request: Request, connection: Connection) -> None:
        """Look at a request whose body has not been read yet; a fault may reset it."""
        self._control.on_head(request, connection)

    def answer(self, ingress: Ingress, request: Request, connection: Connection) -> Response:
        """Answer one request, and keep a record of it."""
        service_name = ingress.service_called(request, connection)
        status = None
        try:
            response = self._answer(ingress, service_name, request, connection)
            status = response.status
        finally:
            operation = operation_of(request)
            self.requests.append(
                record_of(ingress, request, connection, service_name, operation, status)
            )
        return response

    def _answer(
        self, ingress: Ingress, service_name: str | None, request: Request, connection: Connection
    ) -> Response:
        if service_name is None:
            return UNKNOWN_OPERATION
        service = signing_name(service_name)
        try:
            self._verify(ingress, service, request)
            translated = _for_moto(service, request)
            self._policies.check_other_service(ingress, service, operation_of(request), translated)
        except AwsError as error:
            return other_service_error(service, error, is_json=_is_json(request))
        return self._control.answer(translated, connection)

    def _verify(self, ingress: Ingress, service: str, request: Request) -> None:
        is_signed = request.header("authorization") is not None
        # S3 has presigned URLs and public objects; how far these go is moto's to say.
        if not is_signed and (service == "s3" or operation_of(request) in _UNSIGNED_ACTIONS):
            return
        scope = scope_of(request)
        # IAM is signed for the region that its partition has it in, whatever the client's is.
        region = scope.region if scope is not None and service == "iam" else ingress.region
        try:
            verify(
                request,
                region=region,
                service=service,
                find_credentials=self._control.find_credentials,
                now=self._clock(),
            )
        except AwsError as error:
            if _is_json(request) or service == "lambda":
                raise
            code = _QUERY_CODES.get(error.code, error.code)
            raise AwsError(
                _OWN_CODES.get((service, code), code), error.message, error.rest_status
            ) from None


def _is_json(request: Request) -> bool:
    return request.header("x-amz-target") is not None


def _for_moto(service: str, request: Request) -> Request:
    """Return a request with a host that moto takes, and with its bucket in the path."""
    bucket = _bucket_in(request.host) if service == "s3" else None
    target = request.target if bucket is None else f"/{bucket}{request.target}"
    kept = (header for header in request.headers if header[0] != "host")
    return dataclasses.replace(request, target=target, headers=(("host", LOOPBACK), *kept))


def _bucket_in(host: str) -> str | None:
    labels = host.split(".")
    service = next(n for n in reversed(range(len(labels))) if labels[n] in _S3_LABELS)
    before = labels[:service]
    if before and before[-1].startswith("vpce-"):
        before.pop()
        if before and before[-1] in _S3_KINDS:
            before.pop()
    return ".".join(before) or None
